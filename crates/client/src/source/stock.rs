//! The blocks that a source holds behind the run that it hands out. No clock, no network.

use std::{collections::VecDeque, time::Duration};

use ipseity_core::identity::{Identity, Pid};

use crate::Block;

/// A block, and when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) block: Block,
    pub(super) since: Duration,
}

/// Blocks in increasing order.
#[derive(Debug, Default)]
pub(super) struct Stock(VecDeque<Held>);

impl Stock {
    /// Puts a block behind the others. One that goes on where the last ends becomes part of it.
    pub(super) fn put(&mut self, block: Block, since: Duration) {
        if let Some(last) = self.0.back_mut()
            && last.since == since
            && let Some(both) = last.block.joined(block)
        {
            last.block = both;
            return;
        }
        self.0.push_back(Held { block, since });
    }

    /// The next block.
    pub(super) fn take(&mut self) -> Option<Held> {
        self.0.pop_front()
    }

    /// The block that would be next.
    pub(super) fn next(&self) -> Option<Block> {
        self.0.front().map(|held| held.block)
    }

    /// How many identities there are.
    pub(super) fn count(&self) -> u64 {
        let counts = self.0.iter().map(|held| u64::from(held.block.count()));
        counts.sum()
    }

    /// When the oldest block came.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.0.front().map(|held| held.since)
    }

    /// Drops all. Returns how many identities that were.
    pub(super) fn drop_all(&mut self) -> u64 {
        let dropped = self.count();
        self.0.clear();
        dropped
    }

    /// Drops the blocks that came before a moment.
    pub(super) fn drop_before(&mut self, moment: Duration) -> u64 {
        self.drop_unless(|held| held.since >= moment)
    }

    /// Drops the blocks of a pid.
    pub(super) fn drop_of(&mut self, pid: Pid) -> u64 {
        self.drop_unless(|held| held.block.first().pid() != pid)
    }

    /// Drops the blocks that are not greater than an identity.
    pub(super) fn drop_up_to(&mut self, newest: Identity) -> u64 {
        self.drop_unless(|held| held.block.first() > newest)
    }

    fn drop_unless(&mut self, is_kept: impl Fn(&Held) -> bool) -> u64 {
        let before = self.count();
        self.0.retain(is_kept);
        before - self.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(9);

    fn block(first: u64, count: u32, pid: u64) -> Block {
        Block::new(Identity::from_u64(first << 10 | pid).unwrap(), count).unwrap()
    }

    #[test]
    fn blocks_in_a_row_become_one() {
        let mut stock = Stock::default();
        stock.put(block(1, 3, 1), NOW);
        stock.put(block(4, 2, 1), NOW);
        stock.put(block(7, 1, 1), NOW);
        stock.put(block(8, 1, 2), NOW);
        assert_eq!(stock.count(), 7);
        let blocks: Vec<Block> =
            std::iter::from_fn(|| stock.take().map(|held| held.block)).collect();
        assert_eq!(blocks, [block(1, 5, 1), block(7, 1, 1), block(8, 1, 2)]);
    }

    #[test]
    fn blocks_are_dropped_by_age_by_pid_and_by_what_was_seen() {
        let mut stock = Stock::default();
        stock.put(block(1, 2, 1), NOW);
        stock.put(block(10, 3, 2), NOW * 2);
        stock.put(block(20, 4, 1), NOW * 3);
        assert_eq!(stock.oldest(), Some(NOW));
        assert_eq!(stock.drop_before(NOW * 2), 2);
        assert_eq!(stock.drop_of(Pid::new(2).unwrap()), 3);
        assert_eq!(stock.drop_up_to(block(19, 1, 1).first()), 0);
        assert_eq!(stock.drop_up_to(block(20, 1, 1).first()), 4);
        stock.put(block(30, 5, 1), NOW);
        assert_eq!(stock.drop_all(), 5);
        assert_eq!(stock.take(), None);
    }
}
