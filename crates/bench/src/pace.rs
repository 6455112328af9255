//! How many requests may leave, and when each should.

use std::time::Duration;

use crate::clock::Moment;

/// How long late requests may still be sent after the end of an open loop with a duration. Those that are not sent by
/// then were too many for the rate, and are counted.
const GRACE: Duration = Duration::from_secs(1);

/// How much there is to do in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// This many requests, 1 or more.
    Requests(u64),
    /// All that can be done in this time.
    For(Duration),
}

/// Every request leaves as soon as there is room for it on its connection.
#[derive(Debug)]
pub struct Closed {
    measured_from: Moment,
    until: Moment,
    left: u64,
}

impl Closed {
    /// What leaves before `measured_from` is the warm-up, and counts for nothing in `amount`.
    pub fn new(measured_from: Moment, amount: Amount) -> Closed {
        let (until, left) = match amount {
            Amount::Requests(count) => (Moment::NEVER, count),
            Amount::For(duration) => (measured_from.after(duration), u64::MAX),
        };
        Closed {
            measured_from,
            until,
            left,
        }
    }

    /// How many of `wanted` requests may leave now.
    #[inline]
    pub fn grant(&mut self, wanted: u32, now: Moment) -> u32 {
        if now < self.measured_from {
            return wanted;
        }
        if now >= self.until {
            return 0;
        }
        let granted = u64::from(wanted).min(self.left);
        self.left -= granted;
        granted as u32
    }
}

/// Each request has a moment of its own at which it should leave, whatever became of those before it. The
/// connections take turns: request `i` belongs to connection `i % connections`.
#[derive(Debug)]
pub struct Open {
    start: Moment,
    /// Nanoseconds from one request to the next.
    gap: f64,
    connections: u64,
    /// The number of the next request that is not due yet, from 0.
    next: u64,
    /// How many requests there are, with those of the warm-up.
    total: u64,
    until: Moment,
}

impl Open {
    /// `rate` requests a second from `start` on, of which those from `measured_from` on are measured.
    pub fn new(
        start: Moment,
        measured_from: Moment,
        amount: Amount,
        rate: u64,
        connections: usize,
    ) -> Open {
        let gap = 1e9 / rate as f64;
        let due_in = |duration: Duration| (duration.as_nanos() as f64 / gap).ceil() as u64;
        let warmup = measured_from.since(start);
        let (total, until) = match amount {
            Amount::Requests(count) => (due_in(warmup).saturating_add(count), Moment::NEVER),
            Amount::For(duration) => (
                due_in(warmup + duration),
                measured_from.after(duration + GRACE),
            ),
        };
        Open {
            start,
            gap,
            connections: connections as u64,
            next: 0,
            total,
            until,
        }
    }

    /// The moment at which request `index` should leave.
    #[inline]
    fn intended(&self, index: u64) -> Moment {
        Moment(self.start.0 + (index as f64 * self.gap) as u64)
    }

    /// The moment at which the request number `place` of a connection, counted from 0, should be sent.
    #[inline]
    pub fn intended_on(&self, connection: usize, place: u64) -> Moment {
        self.intended(connection as u64 + place * self.connections)
    }

    /// The connection of the next request that is due by now, if one is.
    #[inline]
    pub fn next_due(&mut self, now: Moment) -> Option<usize> {
        if self.next == self.total || self.intended(self.next) > now {
            return None;
        }
        let connection = (self.next % self.connections) as usize;
        self.next += 1;
        Some(connection)
    }

    /// When the next request is due; `None` if all have been due.
    pub fn wakes_at(&self) -> Option<Moment> {
        (self.next < self.total).then(|| self.intended(self.next))
    }

    /// Whether requests that are late may still leave.
    pub fn is_open(&self, now: Moment) -> bool {
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn moment(ms: u32) -> Moment {
        Moment(0).after(MS * ms)
    }

    #[test]
    fn a_closed_loop_grants_its_number_and_does_not_count_the_warm_up() {
        let mut pace = Closed::new(moment(10), Amount::Requests(5));
        assert_eq!(pace.grant(100, moment(9)), 100);
        assert_eq!(pace.grant(3, moment(10)), 3);
        assert_eq!(pace.grant(3, moment(999)), 2);
        assert_eq!(pace.grant(3, moment(999)), 0);
        let mut pace = Closed::new(moment(10), Amount::For(MS * 5));
        assert_eq!(pace.grant(7, moment(14)), 7);
        assert_eq!(pace.grant(7, moment(15)), 0);
    }

    #[test]
    fn an_open_loop_has_a_moment_for_each_request_and_takes_turns() {
        let mut pace = Open::new(moment(100), moment(100), Amount::For(MS * 4), 1000, 3);
        assert_eq!(pace.next_due(moment(99)), None);
        assert_eq!(pace.wakes_at(), Some(moment(100)));
        assert_eq!(pace.next_due(moment(100)), Some(0));
        assert_eq!(pace.next_due(moment(100)), None);
        let late = moment(200);
        let due: Vec<usize> = std::iter::from_fn(|| pace.next_due(late)).collect();
        assert_eq!(due, [1, 2, 0]);
        assert_eq!(pace.wakes_at(), None);
        assert_eq!(pace.intended_on(0, 1), moment(103));
        assert_eq!(pace.intended_on(2, 0), moment(102));
        assert!(pace.is_open(moment(1103)) && !pace.is_open(moment(1104)));
    }

    #[test]
    fn an_open_loop_does_not_count_the_warm_up() {
        let mut pace = Open::new(moment(0), moment(10), Amount::Requests(5), 1000, 1);
        let due = std::iter::from_fn(|| pace.next_due(moment(999))).count();
        assert_eq!(due, 15);
        assert!(pace.is_open(moment(999_999)));
    }
}
