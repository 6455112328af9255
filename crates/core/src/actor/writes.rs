//! Finds writes that are late. A late write is reported at once, and again when it is over.
//!
//! Time comes with the events. The server asks when the next check is due, and dispatches `writeTimeout` then. This is a
//! timer of its own, because the sweep runs only while a connection has a deadline, and a disk may hang when none has.

use std::time::Duration;

use crate::{limits::WRITE_LATE, time::Instant};

/// See the [module](self). The writes are done one after the other.
#[derive(Debug)]
pub(super) struct Writes {
    under_way: usize,
    /// When the disk began with the write that is under way.
    since: Instant,
    /// That write is late, and was reported.
    is_late: bool,
}

impl Writes {
    pub(super) const fn new() -> Writes {
        Writes {
            under_way: 0,
            since: Instant::START,
            is_late: false,
        }
    }

    /// A write was asked for.
    pub(super) fn asked(&mut self, now: Instant) {
        if self.under_way == 0 {
            self.since = now;
        }
        self.under_way += 1;
    }

    /// The disk is done with the write that was under way. If that was late, returns how long it took.
    pub(super) fn finished(&mut self, now: Instant) -> Option<Duration> {
        self.under_way = self.under_way.saturating_sub(1);
        let took = now.since(self.since);
        self.since = now;
        std::mem::take(&mut self.is_late).then_some(took)
    }

    /// Whether the write that is under way is late, and was reported.
    pub(super) const fn is_late(&self) -> bool {
        self.is_late
    }

    /// When the write that is under way will be late, unless it is done by then.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.under_way > 0 && !self.is_late).then(|| self.since.after(WRITE_LATE))
    }

    /// The deadline has come. Returns how long the write has taken so far, if it is late and was not reported yet.
    pub(super) fn look(&mut self, now: Instant) -> Option<Duration> {
        // The write that had this deadline may be done, and another one under way.
        // bug LateWriteUntold: return None;
        self.deadline().filter(|deadline| *deadline <= now)?;
        self.is_late = true;
        Some(now.since(self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::START.after(Duration::from_millis(millis))
    }

    #[test]
    fn the_time_of_a_write_begins_when_the_disk_begins_with_it() {
        let mut writes = Writes::new();
        assert_eq!(writes.deadline(), None);
        assert_eq!(writes.look(at(5000)), None);
        writes.asked(at(5000));
        writes.asked(at(5500));
        assert_eq!(writes.deadline(), Some(at(6000)));
        assert_eq!(writes.look(at(5999)), None);
        assert_eq!(writes.finished(at(5999)), None);
        assert_eq!(writes.look(at(6000)), None, "that one is done");
        assert_eq!(writes.deadline(), Some(at(6999)));
        assert_eq!(writes.look(at(7000)), Some(Duration::from_millis(1001)));
        assert!(writes.is_late());
        assert_eq!(writes.deadline(), None, "it is told once");
        assert_eq!(writes.look(at(8000)), None);
        assert_eq!(writes.finished(at(9000)), Some(Duration::from_millis(3001)));
        assert!(!writes.is_late());
        assert_eq!(writes.deadline(), None);
    }
}
