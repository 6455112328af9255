//! How many identities a refill takes: as many as the demand needs. No clock.

use std::time::Duration;

use crate::limits::{REFILL_LATE, REFILL_MIN, REFILL_SOON};

/// The size of the next refill.
#[derive(Debug)]
pub(super) struct Demand {
    size: u32,
    most: u32,
    /// When the last refill began, on the clock of the caller.
    last: Option<Duration>,
}

impl Demand {
    /// At most so many at once.
    pub(super) fn up_to(most: u32) -> Demand {
        Demand {
            size: REFILL_MIN.min(most),
            most,
            last: None,
        }
    }

    /// The size of a refill that begins now.
    pub(super) fn next(&mut self, now: Duration) -> u32 {
        match self.last.replace(now).map(|last| now.saturating_sub(last)) {
            Some(since) if since < REFILL_SOON => self.size = self.size.saturating_mul(2),
            Some(since) if since > REFILL_LATE => self.size /= 2,
            _ => {}
        }
        self.size = self.size.clamp(REFILL_MIN.min(self.most), self.most);
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_follows_the_demand_within_its_bounds() {
        let mut demand = Demand::up_to(50);
        let at = Duration::from_secs;
        assert_eq!(demand.next(at(1)), 16);
        assert_eq!(demand.next(at(1) + REFILL_SOON), 16);
        assert_eq!(demand.next(at(1) + REFILL_SOON), 32);
        assert_eq!(demand.next(at(1) + REFILL_SOON), 50);
        assert_eq!(demand.next(at(3)), 25);
        assert_eq!(demand.next(at(5)), 16);
        assert_eq!(demand.next(at(9)), 16);
        assert_eq!(demand.next(at(9) + REFILL_LATE), 16);
    }

    #[test]
    fn a_small_bound_is_the_size() {
        let mut demand = Demand::up_to(3);
        assert_eq!(demand.next(Duration::ZERO), 3);
        assert_eq!(demand.next(Duration::ZERO), 3);
        assert_eq!(demand.next(Duration::from_secs(60)), 3);
    }
}
