//! How often others may make the server write: a token bucket over the monotonic clock (see J. Turner, "New Directions
//! in Communications", IEEE Communications Magazine 24(10), 1986; a token is one write).

use std::time::Duration;

use crate::time::Instant;

/// A bucket that starts full.
#[derive(Clone, Debug)]
pub(super) struct TokenBucket {
    burst: u64,
    rate_per_second: u64,
    tokens: u64,
    filled_at: Instant,
}

impl TokenBucket {
    pub(super) fn new(burst: u64, rate_per_second: u64) -> TokenBucket {
        TokenBucket {
            burst,
            rate_per_second,
            tokens: burst,
            filled_at: Instant::START,
        }
    }

    /// Takes `tokens`. If there are too few it takes none, and returns how many there are.
    pub(super) fn take(&mut self, tokens: u64, now: Instant) -> Result<(), u64> {
        self.fill(now);
        match self.tokens.checked_sub(tokens) {
            Some(left) => {
                self.tokens = left;
                Ok(())
            }
            None => Err(self.tokens),
        }
    }

    /// How long it takes until there is a token; zero if there is one.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        self.fill(now);
        if self.tokens > 0 {
            return Duration::ZERO;
        }
        match 1_000_000_000_u64.checked_div(self.rate_per_second) {
            // A whole nanosecond more, as the division may have left a part of one.
            Some(nanos) => {
                Duration::from_nanos(nanos + 1).saturating_sub(now.since(self.filled_at))
            }
            None => Duration::MAX,
        }
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.since(self.filled_at).as_nanos();
        let filled = elapsed * u128::from(self.rate_per_second) / 1_000_000_000;
        let Ok(filled) = u64::try_from(filled) else {
            self.tokens = self.burst;
            self.filled_at = now;
            return;
        };
        // Time that was too short for a whole token is kept. Otherwise many calls in a row would never add one.
        if filled > 0 {
            self.tokens = self.tokens.saturating_add(filled).min(self.burst);
            let spent = u128::from(filled) * 1_000_000_000 / u128::from(self.rate_per_second);
            let spent = Duration::from_nanos(u64::try_from(spent).unwrap_or(u64::MAX));
            self.filled_at = self.filled_at.after(spent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::START.after(Duration::from_millis(millis))
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_what_time_adds() {
        let mut bucket = TokenBucket::new(1000, 10);
        assert_eq!(bucket.take(1001, at(0)), Err(1000));
        assert_eq!(bucket.take(1000, at(0)), Ok(()));
        assert_eq!(bucket.take(1, at(0)), Err(0));
        assert_eq!(bucket.take(10, at(1000)), Ok(()));
        assert_eq!(bucket.take(1, at(1050)), Err(0));
        // The fifty milliseconds were not lost, neither before a whole token nor after one.
        assert_eq!(bucket.take(1, at(1150)), Ok(()));
        assert_eq!(bucket.take(1, at(1200)), Ok(()));
    }

    #[test]
    fn it_never_holds_more_than_its_burst() {
        let mut bucket = TokenBucket::new(5, u64::MAX);
        assert_eq!(bucket.take(5, at(0)), Ok(()));
        assert_eq!(bucket.take(6, Instant::from_nanos(u64::MAX)), Err(5));
        assert_eq!(bucket.take(0, at(0)), Ok(()));
    }

    #[test]
    fn after_the_wait_that_it_returns_there_is_a_token() {
        for rate in [1, 3, 7, 1000] {
            let mut bucket = TokenBucket::new(2, rate);
            assert_eq!(bucket.wait(at(0)), Duration::ZERO);
            assert_eq!(bucket.take(2, at(0)), Ok(()));
            let mut now = Instant::from_nanos(123_456);
            for _ in 0..5 {
                let wait = bucket.wait(now);
                assert!(
                    wait > Duration::ZERO && wait <= Duration::from_nanos(1_000_000_001 / rate + 2)
                );
                now = now.after(wait);
                assert_eq!(bucket.wait(now), Duration::ZERO);
                assert_eq!(bucket.take(1, now), Ok(()));
                assert_eq!(bucket.take(1, now), Err(0));
            }
        }
        let mut never = TokenBucket::new(0, 0);
        assert_eq!(never.wait(at(0)), Duration::MAX);
    }

    #[test]
    fn without_a_rate_nothing_is_added() {
        let mut bucket = TokenBucket::new(5, 0);
        assert_eq!(bucket.take(5, at(0)), Ok(()));
        assert_eq!(bucket.take(1, Instant::from_nanos(u64::MAX)), Err(0));
    }
}
