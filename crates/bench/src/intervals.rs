//! Which numbers have been seen, as ranges: each takes two words, however many numbers it holds.

/// Numbers from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first number of the range; never above `last`.
    pub first: u64,
    /// The last number of the range.
    pub last: u64,
}

/// A set of numbers. Ranges that touch become one, so that what comes without gaps, in whatever order,
/// takes one range in the end.
#[derive(Debug, Default)]
pub struct Intervals {
    // Ascending, and between two of them lies a number that is in neither.
    ranges: Vec<Range>,
    /// The place of the range that was changed last: the next one nearly always touches it.
    recent: usize,
}

impl Intervals {
    /// Adds a range, or returns the one that it overlaps.
    #[inline]
    pub fn insert(&mut self, new: Range) -> Result<(), Range> {
        let next_first = self.ranges.get(self.recent + 1).map(|next| next.first);
        match self.ranges.get_mut(self.recent) {
            Some(recent)
                if recent.last + 1 == new.first
                    && next_first.is_none_or(|next| new.last + 1 < next) =>
            {
                recent.last = new.last;
                Ok(())
            }
            _ => self.insert_anywhere(new),
        }
    }

    fn insert_anywhere(&mut self, new: Range) -> Result<(), Range> {
        // The first range that ends at or after the beginning of the new one.
        let place = self.ranges.partition_point(|range| range.last < new.first);
        if let Some(range) = self.ranges.get(place)
            && range.first <= new.last
        {
            return Err(*range);
        }
        let touches_before = place > 0 && self.ranges[place - 1].last + 1 == new.first;
        let touches_behind = self
            .ranges
            .get(place)
            .is_some_and(|range| new.last + 1 == range.first);
        self.recent = match (touches_before, touches_behind) {
            (true, true) => {
                self.ranges[place - 1].last = self.ranges[place].last;
                self.ranges.remove(place);
                place - 1
            }
            (true, false) => {
                self.ranges[place - 1].last = new.last;
                place - 1
            }
            (false, true) => {
                self.ranges[place].first = new.first;
                place
            }
            (false, false) => {
                self.ranges.insert(place, new);
                place
            }
        };
        Ok(())
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Forgets whole ranges from the front, those that end at or below `end`.
    pub fn forget_to(&mut self, end: u64) {
        let count = self.ranges.partition_point(|range| range.last <= end);
        self.ranges.drain(..count);
        self.recent = self.recent.saturating_sub(count);
    }

    /// Forgets the lower half of the ranges, and returns how many numbers were in it.
    pub fn forget_half(&mut self) -> u64 {
        let count = self.ranges.len() / 2;
        self.recent = self.recent.saturating_sub(count);
        let forgotten = self.ranges.drain(..count);
        forgotten.map(|range| range.last - range.first + 1).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn range(first: u64, last: u64) -> Range {
        Range { first, last }
    }

    #[test]
    fn what_comes_without_gaps_in_any_order_is_one_range_in_the_end() {
        for order in [
            &[(1, 3), (10, 12), (4, 5), (13, 20), (8, 9), (6, 7)][..],
            &[(1, 3), (10, 20), (4, 5), (6, 9)],
        ] {
            let mut set = Intervals::default();
            for (first, last) in order {
                assert_eq!(set.insert(range(*first, *last)), Ok(()));
            }
            assert_eq!(set.ranges, [range(1, 20)]);
        }
    }

    #[test]
    fn it_is_the_set_of_its_numbers() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut set, mut numbers) = (Intervals::default(), BTreeSet::new());
        let (mut taken, mut refused) = (0, 0);
        for _ in 0..2000 {
            let first = random.u64(1..3000);
            let new = range(first, first + random.u64(0..6));
            let members = || new.first..=new.last;
            let overlaps = members().any(|number| numbers.contains(&number));
            match set.insert(new) {
                Ok(()) => {
                    assert!(!overlaps, "{new:?}");
                    numbers.extend(members());
                    taken += 1;
                }
                Err(with) => {
                    assert!(with.first <= new.last && new.first <= with.last);
                    assert!((with.first..=with.last).all(|number| numbers.contains(&number)));
                    refused += 1;
                }
            }
            let counted: u64 = set.ranges.iter().map(|r| r.last - r.first + 1).sum();
            assert_eq!(counted, numbers.len() as u64);
            assert!(
                set.ranges
                    .windows(2)
                    .all(|two| two[0].last + 1 < two[1].first)
            );
        }
        assert!(taken > 100 && refused > 100, "{taken} {refused}");
    }

    #[test]
    fn what_is_forgotten_is_whole_ranges_from_the_front() {
        let mut set = Intervals::default();
        for first in [1, 11, 21, 31] {
            set.insert(range(first, first + 4)).unwrap();
        }
        set.forget_to(12);
        assert_eq!(set.len(), 3, "the range around 12 is kept whole");
        assert_eq!(set.insert(range(15, 15)), Err(range(11, 15)));
        assert_eq!(set.forget_half(), 5);
        assert_eq!(set.insert(range(11, 15)), Ok(()));
        assert_eq!(set.insert(range(36, 36)), Ok(()));
        assert_eq!(set.ranges, [range(11, 15), range(21, 25), range(31, 36)]);
    }
}
