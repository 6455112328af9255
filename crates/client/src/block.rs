//! The result of a request: one or more identities, one sequence apart.

use std::iter::FusedIterator;

use ipseity_core::identity::Identity;

/// One or more identities of one server: `first`, `first + 1024`, `first + 2048`, ... They were handed out
/// together, and nobody else has them.
///
/// ```
/// use ipseity_client::{Block, Identity};
///
/// let block = Block::new(Identity::from_u64(1025).unwrap(), 3).unwrap();
/// assert_eq!(block.count(), 3);
/// assert_eq!(block.last().get(), 3073);
/// let identities: Vec<u64> = block.into_iter().map(Identity::get).collect();
/// assert_eq!(identities, [1025, 2049, 3073]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    first: Identity,
    last: Identity,
    count: u32,
}

impl Block {
    /// The block of `count` identities from `first` on. `None` if it would be empty, begin before sequence 1 or end beyond
    /// the last sequence.
    pub fn new(first: Identity, count: u32) -> Option<Block> {
        let last = first.checked_add(u64::from(count.checked_sub(1)?))?;
        (first.sequence().get() > 0).then_some(Block { first, last, count })
    }

    /// The two as one block, if `next` goes on where this one ends.
    pub(crate) fn joined(self, next: Block) -> Option<Block> {
        let goes_on = self.last.checked_add(1) == Some(next.first);
        let count = self.count.checked_add(next.count).filter(|_| goes_on)?;
        Block::new(self.first, count)
    }

    /// The smallest identity. Its sequence is 1 or more.
    pub fn first(&self) -> Identity {
        self.first
    }

    /// The greatest identity; [`first`](Self::first) in a block of one.
    pub fn last(&self) -> Identity {
        self.last
    }

    /// How many identities, 1 or more.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The identities in increasing order.
    pub fn iter(&self) -> Identities {
        Identities {
            first: self.first,
            given: 0,
            count: self.count,
        }
    }
}

impl IntoIterator for Block {
    type Item = Identity;
    type IntoIter = Identities;

    fn into_iter(self) -> Identities {
        self.iter()
    }
}

impl IntoIterator for &Block {
    type Item = Identity;
    type IntoIter = Identities;

    fn into_iter(self) -> Identities {
        self.iter()
    }
}

/// The identities of a [`Block`], in increasing order.
#[derive(Clone, Debug)]
pub struct Identities {
    first: Identity,
    // given <= count
    given: u32,
    count: u32,
}

impl Iterator for Identities {
    type Item = Identity;

    fn next(&mut self) -> Option<Identity> {
        if self.given == self.count {
            return None;
        }
        let identity = self.first.checked_add(u64::from(self.given));
        self.given += 1;
        identity
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.count - self.given) as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Identities {}
impl FusedIterator for Identities {}

#[cfg(test)]
mod tests {
    use super::*;
    use ipseity_core::identity::{Pid, Sequence};

    #[test]
    fn a_block_is_never_empty_and_never_leaves_the_sequence() {
        let first = Identity::new(Sequence::new(1).unwrap(), Pid::MAX);
        assert_eq!(Block::new(first, 0), None);
        assert_eq!(Block::new(Identity::new(Sequence::ZERO, Pid::MAX), 1), None);
        let end = Identity::new(Sequence::MAX, Pid::MAX);
        assert_eq!(Block::new(end, 1).unwrap().last(), end);
        assert_eq!(Block::new(end, 2), None);
    }

    #[test]
    fn iteration_gives_count_identities_from_first_to_last() {
        let first = Identity::new(Sequence::new(7).unwrap(), Pid::new(3).unwrap());
        let block = Block::new(first, 1000).unwrap();
        let identities: Vec<Identity> = block.iter().collect();
        assert_eq!(block.iter().len(), 1000);
        assert_eq!(identities.len(), 1000);
        assert_eq!(identities.first(), Some(&block.first()));
        assert_eq!(identities.last(), Some(&block.last()));
        assert!(identities.iter().all(|identity| identity.pid().get() == 3));
        assert!(identities.is_sorted());
        let mut rest = block.iter();
        rest.nth(997);
        assert_eq!(rest.len(), 2);
    }
}
