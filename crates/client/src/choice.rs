//! Which server is tried next: the one that answered last, then the others, and those that have failed lately at the end.
//! And how long to wait when all have failed. No clock, no network.

use std::time::Duration;

use crate::limits::{AVOIDED_FIRST, AVOIDED_MAX, PAUSE_FIRST, PAUSE_MAX};

/// What is known of the servers of a list. They are named by their places in it.
#[derive(Debug)]
pub(crate) struct Choice {
    // Never empty.
    servers: Vec<Record>,
    current: usize,
}

/// What is known of one server.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// How often it has failed since it answered last.
    failures: u32,
    /// The time from which on it is no longer avoided, on the clock of the caller.
    avoided_until: Duration,
}

impl Choice {
    pub(crate) fn new(servers: usize, first: usize) -> Choice {
        Choice {
            servers: vec![Record::default(); servers],
            current: first % servers,
        }
    }

    /// The server that answered last, or that is tried first.
    pub(crate) fn current(&self) -> usize {
        self.current
    }

    /// The order in which the servers are tried now: the current one and those behind it in the list. Those that are avoided
    /// come last, the one whose time is over first.
    pub(crate) fn order(&self, now: Duration) -> Vec<usize> {
        let count = self.servers.len();
        let mut order: Vec<usize> = (0..count).map(|i| (self.current + i) % count).collect();
        // The sort is stable, so those that are not avoided stay as they are.
        order.sort_by_key(|place| match self.servers[*place].avoided_until {
            until if until <= now => Duration::ZERO,
            until => until,
        });
        order
    }

    /// The server has answered.
    pub(crate) fn answered(&mut self, place: usize) {
        self.current = place;
        self.servers[place] = Record::default();
    }

    /// There is a connection to this server, which has not answered yet.
    pub(crate) fn turn_to(&mut self, place: usize) {
        self.current = place;
    }

    /// The server has failed.
    pub(crate) fn failed(&mut self, place: usize, now: Duration) {
        let record = &mut self.servers[place];
        let doubled = 1 << record.failures.min(u32::BITS - 1);
        record.failures = record.failures.saturating_add(1);
        record.avoided_until = now + AVOIDED_FIRST.saturating_mul(doubled).min(AVOIDED_MAX);
        self.current = (place + 1) % self.servers.len();
    }
}

/// The waits of one call between its rounds. Each is a random part of a bound that doubles: "full jitter" (M. Brooker,
/// "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). So clients that have lost the same server do not
/// come back together.
#[derive(Debug)]
pub(crate) struct Pauses(Duration);

impl Pauses {
    pub(crate) fn new() -> Pauses {
        Pauses(PAUSE_FIRST)
    }

    /// The next one. `random` is 0 to 1.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        let bound = self.0;
        self.0 = (bound * 2).min(PAUSE_MAX);
        bound.mul_f64(random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    #[test]
    fn the_one_that_answered_last_is_first_and_the_others_follow_it() {
        let mut choice = Choice::new(3, 4);
        assert_eq!(choice.order(NOW), [1, 2, 0]);
        choice.answered(2);
        assert_eq!(choice.order(NOW), [2, 0, 1]);
        assert_eq!(choice.current(), 2);
    }

    #[test]
    fn one_that_has_failed_is_avoided_for_a_second_and_then_as_good_as_the_others() {
        let mut choice = Choice::new(3, 0);
        choice.failed(0, NOW);
        assert_eq!(choice.order(NOW), [1, 2, 0]);
        choice.answered(2);
        let before = NOW + AVOIDED_FIRST - Duration::from_nanos(1);
        assert_eq!(choice.order(before), [2, 1, 0]);
        assert_eq!(choice.order(NOW + AVOIDED_FIRST), [2, 0, 1]);
    }

    #[test]
    fn where_all_have_failed_the_one_whose_time_is_over_first_is_first() {
        let mut choice = Choice::new(2, 0);
        choice.failed(0, NOW);
        choice.failed(0, NOW);
        choice.failed(1, NOW + Duration::from_millis(1));
        assert_eq!(choice.order(NOW + Duration::from_millis(2)), [1, 0]);
    }

    #[test]
    fn the_time_doubles_up_to_half_a_minute_and_an_answer_ends_it() {
        let mut choice = Choice::new(1, 0);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            choice.failed(0, NOW);
            let until = NOW + Duration::from_secs(seconds);
            assert_eq!(choice.servers[0].avoided_until, until);
        }
        for _ in 0..100 {
            choice.failed(0, NOW);
        }
        assert_eq!(choice.servers[0].avoided_until, NOW + AVOIDED_MAX);
        choice.answered(0);
        choice.failed(0, NOW);
        assert_eq!(choice.servers[0].avoided_until, NOW + AVOIDED_FIRST);
    }

    #[test]
    fn pauses_are_a_random_part_of_a_bound_that_doubles() {
        let mut pauses = Pauses::new();
        for bound in [50, 100, 200, 400, 400] {
            assert_eq!(pauses.next(1.0), Duration::from_millis(bound));
        }
        assert_eq!(Pauses::new().next(0.5), PAUSE_FIRST / 2);
        assert_eq!(Pauses::new().next(0.0), Duration::ZERO);
    }
}
