//! How many identities a refill takes: as many as the demand needs. No clock.

use std::time::Duration;

use crate::limits::{REFILL_LATE, REFILL_MIN, REFILL_SOON};

/// The size of the next refill.
#[derive(Debug)]
pub(super) struct Demand {
    least: u32,
    most: u32,
    /// The last refill that has brought something.
    last: Option<Begun>,
    /// The one that began last.
    begun: Option<Begun>,
}

/// A refill, as it began.
#[derive(Clone, Copy, Debug)]
struct Begun {
    /// On the clock of the caller.
    at: Duration,
    size: u32,
    /// How many identities had been dropped by then.
    dropped: u64,
}

impl Demand {
    /// At most so many at once.
    pub(super) fn up_to(most: u32) -> Demand {
        Demand {
            least: REFILL_MIN.min(most),
            most,
            last: None,
            begun: None,
        }
    }

    /// The size of a refill that begins now. So many identities have been `dropped` since the beginning.
    pub(super) fn next(&mut self, at: Duration, dropped: u64) -> u32 {
        let size = match self.last {
            None => self.least,
            Some(last) => {
                let since = at.saturating_sub(last.at);
                let size = match last.dropped == dropped {
                    true if since < REFILL_SOON => last.size.saturating_mul(2),
                    _ if since > REFILL_LATE => last.size / 2,
                    // What was dropped is gone sooner, but nobody has used it.
                    _ => last.size,
                };
                size.clamp(self.least, self.most)
            }
        };
        self.begun = Some(Begun { at, size, dropped });
        size
    }

    /// The refill that began last has brought something. One that fails shows no demand.
    pub(super) fn succeeded(&mut self) {
        self.last = self.begun;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Demand {
        fn after(&mut self, at: Duration, dropped: u64) -> u32 {
            let size = self.next(at, dropped);
            self.succeeded();
            size
        }
    }

    #[test]
    fn the_size_follows_the_demand_within_its_bounds() {
        let mut demand = Demand::up_to(50);
        let at = Duration::from_secs;
        let soon = REFILL_SOON - Duration::from_millis(1);
        assert_eq!(demand.after(at(1), 0), 16);
        assert_eq!(demand.after(at(1) + REFILL_SOON, 0), 16);
        assert_eq!(demand.after(at(1) + REFILL_SOON + soon, 0), 32);
        assert_eq!(demand.after(at(1) + REFILL_SOON + soon, 0), 50);
        assert_eq!(demand.after(at(3), 0), 25);
        assert_eq!(demand.after(at(5), 0), 16);
        assert_eq!(demand.after(at(9), 0), 16);
        assert_eq!(demand.after(at(9) + REFILL_LATE, 0), 16);
    }

    #[test]
    fn a_refill_that_failed_shows_no_demand() {
        let mut demand = Demand::up_to(1000);
        assert_eq!(demand.next(Duration::ZERO, 0), 16);
        assert_eq!(demand.next(Duration::ZERO, 0), 16);
        demand.succeeded();
        assert_eq!(demand.next(Duration::ZERO, 0), 32);
        assert_eq!(demand.next(Duration::ZERO, 0), 32);
    }

    #[test]
    fn what_is_dropped_shows_no_demand() {
        let mut demand = Demand::up_to(1000);
        assert_eq!(demand.after(Duration::ZERO, 0), 16);
        assert_eq!(demand.after(Duration::ZERO, 15), 16);
        assert_eq!(demand.after(Duration::ZERO, 15), 32);
        assert_eq!(demand.after(Duration::from_secs(2), 40), 16);
    }

    #[test]
    fn a_small_bound_is_the_size() {
        let mut demand = Demand::up_to(3);
        assert_eq!(demand.after(Duration::ZERO, 0), 3);
        assert_eq!(demand.after(Duration::ZERO, 0), 3);
        assert_eq!(demand.after(Duration::from_secs(60), 0), 3);
    }
}
