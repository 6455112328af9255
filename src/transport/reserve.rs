//! A reserve: the connections beyond a limit that are kept open for a moment, and which of them goes when there are too
//! many.
//!
//! Whoever comes last must not win, or a crowd would push everybody else out. So a connection goes that belongs to the
//! holder with the most of them, and a crowd from few addresses pushes out only itself.

use std::collections::VecDeque;

use ipseity_core::ids::ConnectionId;

use super::holders::Holders;
use crate::connection::Holder;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Reserve {
    /// The oldest first. A connection that leaves the reserve also leaves this list, so a later connection in the same
    /// slot is never turned away by mistake.
    kept: VecDeque<(ConnectionId, Holder)>,
    /// Who holds them.
    holders: Holders,
}

/// How far a connection of the reserve has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It may still ask for something.
    Waits,
    /// It has asked, and is answered within this turn or soon after. Until then it stays.
    IsOwed,
    /// It was answered. Only its end is left.
    Answered,
}

impl Reserve {
    /// A connection came.
    pub(super) fn came(&mut self, id: ConnectionId, holder: Holder) {
        self.kept.push_back((id, holder));
        self.holders.came(holder);
    }

    /// A connection is gone, or has a place now.
    pub(super) fn left(&mut self, id: ConnectionId) {
        let at = self.kept.iter().position(|(kept, _)| *kept == id);
        if let Some((_, holder)) = at.and_then(|at| self.kept.remove(at)) {
            // bug WaitedStillCounts instead: if !BUG { self.holders.left(holder); }
            self.holders.left(holder);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The connection that goes, if more than `most` are there that are owed no answer: one that was answered, or else
    /// one of the holder with the most connections; of those the oldest.
    pub(super) fn first_to_go(
        &self,
        most: usize,
        stage: impl Fn(ConnectionId) -> Stage,
    ) -> Option<ConnectionId> {
        let mut count = 0;
        let mut first = None;
        for (id, holder) in &self.kept {
            let is_answered = match stage(*id) {
                Stage::IsOwed => continue,
                Stage::Waits => false,
                Stage::Answered => true,
            };
            count += 1;
            // bug LongestWaitGoes instead: let rank = (is_answered, if BUG { 0 } else { self.holders.count(*holder) });
            let rank = (is_answered, self.holders.count(*holder));
            // bug NewestOfCrowdGoes instead: if first.is_none_or(|(highest, _)| rank > highest || BUG && rank == highest) {
            if first.is_none_or(|(highest, _)| rank > highest) {
                first = Some((rank, *id));
            }
        }
        first.filter(|_| count > most).map(|(_, id)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The connection in this slot, with an address that ends like this.
    fn came(reserve: &mut Reserve, slot: u32, address: u8) {
        let holder = Holder::of([10, 0, 0, address].into());
        reserve.came(ConnectionId::new(slot, 0), holder);
    }

    fn goes(reserve: &Reserve, most: usize, stage: impl Fn(u32) -> Stage) -> Option<u32> {
        let first = reserve.first_to_go(most, |id| stage(id.slot() as u32));
        first.map(|id| id.slot() as u32)
    }

    #[test]
    fn the_oldest_of_the_largest_holder_goes_and_on_equal_counts_the_oldest() {
        let mut reserve = Reserve::default();
        let waits = |_| Stage::Waits;
        assert_eq!(goes(&reserve, 0, waits), None);
        for (slot, address) in [(0, 1), (1, 2), (2, 3)] {
            came(&mut reserve, slot, address);
        }
        assert_eq!(goes(&reserve, 3, waits), None);
        assert_eq!(goes(&reserve, 2, waits), Some(0));
        came(&mut reserve, 3, 3);
        assert_eq!(goes(&reserve, 3, waits), Some(2));
        reserve.left(ConnectionId::new(2, 0));
        came(&mut reserve, 4, 2);
        assert_eq!(goes(&reserve, 3, waits), Some(1));
        for slot in [0, 1, 3, 4] {
            reserve.left(ConnectionId::new(slot, 0));
        }
        // One that was never there changes nothing.
        reserve.left(ConnectionId::new(4, 0));
        assert!(reserve.is_empty());
        assert_eq!(reserve.holders.most_without(&Holders::default()), []);
    }

    #[test]
    fn one_that_is_owed_an_answer_stays_and_takes_nobodys_place_and_one_that_was_answered_goes_first()
     {
        let mut reserve = Reserve::default();
        for (slot, address) in [(0, 1), (1, 1), (2, 1), (3, 2)] {
            came(&mut reserve, slot, address);
        }
        let stage = |slot| match slot {
            0 => Stage::IsOwed,
            3 => Stage::Answered,
            _ => Stage::Waits,
        };
        assert_eq!(goes(&reserve, 3, stage), None);
        assert_eq!(goes(&reserve, 2, stage), Some(3));
        reserve.left(ConnectionId::new(3, 0));
        assert_eq!(goes(&reserve, 1, stage), Some(1));
        assert_eq!(goes(&reserve, 0, |_| Stage::IsOwed), None);
    }
}
