//! Handing out the identities of one run after the other to many threads, without a lock.
//!
//! A run is identities in a row: `first`, `first + 1024`, and so on. A thread raises one counter, the cursor, and with that
//! alone it owns one place of the current run: nobody else gets the same place. The cursor holds the number of the run too,
//! so a place always belongs to the run that it was taken from. If the place lies behind the end of the run, the thread has
//! to come back when there is another one.
//!
//! What a run is stands in a slot beside the cursor. Slots are used in turn. If a thread sleeps between the two steps for so
//! long that its slot is used for another run, it notices that, because the number of the run in the slot has changed (a
//! sequence lock: W. Hemminger's seqlock in Linux 2.5.60). Its place is then skipped, and it takes another.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use ipseity_core::identity::{IDENTITY_STRIDE, Identity};

use crate::Block;

/// The slots, a power of two. A thread would have to sleep through three runs to find its slot used again.
const SLOTS: usize = 4;

/// Half of the cursor is the number of the run, and half the place in it.
const PLACE_BITS: u32 = 32;

/// The cursor is put back when so many places behind the end were taken, long before they run into the number of the run.
const PLACES_MAX: u32 = u32::MAX / 2;

/// No place in any run.
const NOWHERE: u32 = u32::MAX;

/// The run that is handed out.
#[derive(Debug)]
pub(super) struct Run {
    cursor: Alone<AtomicU64>,
    slots: [Alone<Slot>; SLOTS],
}

/// It has its cache line to itself. Otherwise threads that write one thing would slow down those that read another. (Two
/// lines, because processors fetch them in pairs.)
#[derive(Debug, Default)]
#[repr(align(128))]
struct Alone<T>(T);

#[derive(Debug, Default)]
struct Slot {
    run: AtomicU32,
    count: AtomicU32,
    /// The place whose taker says that it is time for more.
    mark: AtomicU32,
    first: AtomicU64,
}

/// What taking a place has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// An identity.
    One(Identity),
    /// The identity at the mark.
    Marked(Identity),
    /// The run is at its end.
    Nothing,
}

impl Run {
    /// A run that is at its end.
    pub(super) fn empty() -> Run {
        Run {
            cursor: Alone::default(),
            slots: Default::default(),
        }
    }

    /// Takes the next identity.
    #[inline]
    pub(super) fn take(&self) -> Taken {
        loop {
            let (run, place) = split(self.cursor.0.fetch_add(1, Ordering::Acquire));
            let slot = &self.slots[run as usize % SLOTS].0;
            let count = slot.count.load(Ordering::Relaxed);
            let mark = slot.mark.load(Ordering::Relaxed);
            let first = slot.first.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if slot.run.load(Ordering::Relaxed) != run {
                continue;
            }
            if place >= count {
                return Taken::Nothing;
            }
            // Below 2^63, because `first` and `count` are of a block.
            let identity = Identity::from_u64(first + u64::from(place) * IDENTITY_STRIDE);
            return match identity {
                Some(identity) if place == mark => Taken::Marked(identity),
                Some(identity) => Taken::One(identity),
                None => Taken::Nothing,
            };
        }
    }

    /// Hands out this block next. What was left of the run before is dropped; returns how many that were. Whoever calls this,
    /// or any function below, holds the lock of the source.
    pub(super) fn begin(&self, block: Block, mark: Option<u32>) -> u64 {
        self.set(block.first().get(), block.count(), mark.unwrap_or(NOWHERE))
    }

    /// Drops what is left. Returns how many that were.
    pub(super) fn end(&self) -> u64 {
        self.set(0, 0, NOWHERE)
    }

    fn set(&self, first: u64, count: u32, mark: u32) -> u64 {
        let (run, _) = split(self.cursor.0.load(Ordering::Relaxed));
        let ended = &self.slots[run as usize % SLOTS].0;
        let next = run.wrapping_add(1);
        let slot = &self.slots[next as usize % SLOTS].0;
        // Not the number of any run that a thread may still look for here.
        slot.run.store(run, Ordering::Relaxed);
        fence(Ordering::Release);
        slot.first.store(first, Ordering::Relaxed);
        slot.count.store(count, Ordering::Relaxed);
        slot.mark.store(mark, Ordering::Relaxed);
        slot.run.store(next, Ordering::Release);
        let before = self.cursor.0.swap(joined(next, 0), Ordering::AcqRel);
        let count = ended.count.load(Ordering::Relaxed);
        u64::from(count.saturating_sub(split(before).1))
    }

    /// How many identities are left.
    pub(super) fn left(&self) -> u32 {
        let (slot, place) = self.current();
        slot.count.load(Ordering::Relaxed).saturating_sub(place)
    }

    /// The next identity that would be handed out, if there is one.
    pub(super) fn next(&self) -> Option<Identity> {
        let (slot, place) = self.current();
        let is_there = place < slot.count.load(Ordering::Relaxed);
        let value = slot.first.load(Ordering::Relaxed) + u64::from(place) * IDENTITY_STRIDE;
        Identity::from_u64(value).filter(|_| is_there)
    }

    /// The greatest identity of this run that was handed out, if one was.
    pub(super) fn newest(&self) -> Option<Identity> {
        let (slot, place) = self.current();
        let taken = place.min(slot.count.load(Ordering::Relaxed));
        let last = u64::from(taken.checked_sub(1)?);
        Identity::from_u64(slot.first.load(Ordering::Relaxed) + last * IDENTITY_STRIDE)
    }

    /// Puts the mark where half of what is left now is left.
    pub(super) fn mark_again(&self) {
        let (slot, place) = self.current();
        let left = slot.count.load(Ordering::Relaxed).saturating_sub(place);
        slot.mark
            .store(place.saturating_add(left / 2), Ordering::Relaxed);
    }

    /// Puts the cursor back to the end of the run, if very many have come for nothing. No place that counts is taken again.
    pub(super) fn put_back(&self) {
        let (run, place) = split(self.cursor.0.load(Ordering::Relaxed));
        if place > PLACES_MAX {
            let (slot, _) = self.current();
            let end = slot.count.load(Ordering::Relaxed);
            self.cursor.0.store(joined(run, end), Ordering::Relaxed);
        }
    }

    fn current(&self) -> (&Slot, u32) {
        let (run, place) = split(self.cursor.0.load(Ordering::Acquire));
        (&self.slots[run as usize % SLOTS].0, place)
    }
}

fn split(cursor: u64) -> (u32, u32) {
    ((cursor >> PLACE_BITS) as u32, cursor as u32)
}

fn joined(run: u32, place: u32) -> u64 {
    u64::from(run) << PLACE_BITS | u64::from(place)
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, thread};

    use super::*;

    fn block(first: u64, count: u32) -> Block {
        Block::new(Identity::from_u64(first << 10).unwrap(), count).unwrap()
    }

    fn taken(run: &Run) -> Option<u64> {
        match run.take() {
            Taken::One(identity) | Taken::Marked(identity) => Some(identity.sequence().get()),
            Taken::Nothing => None,
        }
    }

    #[test]
    fn a_run_is_handed_out_in_order_and_then_nothing() {
        let run = Run::empty();
        assert_eq!(taken(&run), None);
        assert_eq!((run.left(), run.next(), run.newest()), (0, None, None));
        assert_eq!(run.begin(block(5, 2), None), 0);
        assert_eq!(run.left(), 2);
        assert_eq!(run.next(), Some(block(5, 1).first()));
        assert_eq!(taken(&run), Some(5));
        assert_eq!(run.newest(), Some(block(5, 1).first()));
        assert_eq!(taken(&run), Some(6));
        assert_eq!(taken(&run), None);
        assert_eq!(run.newest(), Some(block(6, 1).first()));
        assert_eq!(run.end(), 0);
    }

    #[test]
    fn the_taker_of_the_marked_place_is_told() {
        let run = Run::empty();
        run.begin(block(1, 3), Some(1));
        assert!(matches!(run.take(), Taken::One(_)));
        assert!(matches!(run.take(), Taken::Marked(_)));
        assert!(matches!(run.take(), Taken::One(_)));
    }

    #[test]
    fn what_is_left_is_dropped_and_counted() {
        let run = Run::empty();
        run.begin(block(1, 3), None);
        taken(&run);
        assert_eq!(run.begin(block(10, 4), None), 2);
        assert_eq!(taken(&run), Some(10));
        assert_eq!(run.end(), 3);
        assert_eq!(taken(&run), None);
    }

    #[test]
    fn places_behind_the_end_never_come_back() {
        let run = Run::empty();
        run.begin(block(1, 3), None);
        let (number, _) = split(run.cursor.0.load(Ordering::Relaxed));
        run.cursor
            .0
            .store(joined(number, PLACES_MAX + 1), Ordering::Relaxed);
        run.put_back();
        assert_eq!(run.cursor.0.load(Ordering::Relaxed), joined(number, 3));
        assert_eq!(taken(&run), None);
        run.put_back();
        assert_eq!(run.cursor.0.load(Ordering::Relaxed), joined(number, 4));
    }

    #[test]
    fn the_number_of_the_run_wraps() {
        let run = Run::empty();
        let last = u32::MAX;
        run.slots[last as usize % SLOTS]
            .0
            .run
            .store(last, Ordering::Relaxed);
        run.cursor.0.store(joined(last, 0), Ordering::Relaxed);
        run.begin(block(7, 1), None);
        assert_eq!(split(run.cursor.0.load(Ordering::Relaxed)).0, 0);
        assert_eq!(taken(&run), Some(7));
    }

    /// Many threads take while runs begin and end all the time. Nothing comes twice, and for each thread it increases.
    #[test]
    fn threads_that_take_while_runs_change_get_each_identity_at_most_once() {
        const RUNS: u64 = 20_000;
        const PER_RUN: u64 = 7;
        let run = Run::empty();
        let all = Mutex::new(Vec::new());
        let dropped = thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut own = Vec::new();
                    while own.last() < Some(&(RUNS * PER_RUN)) {
                        match taken(&run) {
                            Some(sequence) => own.push(sequence),
                            None => thread::yield_now(),
                        }
                    }
                    assert!(own.is_sorted_by(|one, next| one < next));
                    all.lock().unwrap().append(&mut own);
                });
            }
            let mut dropped = 0;
            for number in 0..RUNS {
                dropped += run.begin(block(number * PER_RUN + 1, PER_RUN as u32), None);
                if number % 3 == 0 {
                    thread::yield_now();
                }
            }
            // Each thread ends with an identity above all of these.
            dropped += run.begin(block(RUNS * PER_RUN + 1, 4), None);
            dropped
        });
        let mut all = all.into_inner().unwrap();
        let count = all.len() as u64;
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len() as u64, count);
        // A place that a thread took and had to skip is neither dropped nor handed out, which is rare.
        assert!(count + dropped <= RUNS * PER_RUN + 4);
    }
}
