//! How often others may make the server write: a token bucket over the monotonic clock (see J. Turner, "New Directions
//! in Communications", IEEE Communications Magazine 24(10), 1986; a token is one write).

use std::time::Duration;

use crate::time::Instant;

/// A bucket that starts full.
#[derive(Clone, Debug)]
pub(super) struct TokenBucket {
    burst: u64,
    tokens: u64,
    inflow: Inflow,
}

impl TokenBucket {
    pub(super) fn new(burst: u64, rate_per_second: u64) -> TokenBucket {
        TokenBucket {
            burst,
            tokens: burst,
            inflow: Inflow::new(rate_per_second),
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
        self.inflow.until_next()
    }

    fn fill(&mut self, now: Instant) {
        let filled = self.inflow.since_last(now);
        self.tokens = self.tokens.saturating_add(filled).min(self.burst);
    }
}

/// The tokens that time brings. It is exact: a part of a token is neither lost nor brought twice, however often
/// somebody asks. Otherwise those who ask often would get more than the rate, or nothing at all.
#[derive(Clone, Debug)]
pub(super) struct Inflow {
    rate_per_second: u64,
    /// The part of a token that was left over, in billionths.
    rest: u64,
    /// When it was asked last.
    at: Instant,
}

/// The parts into which a token is divided: as many as a second has nanoseconds.
const PARTS: u64 = 1_000_000_000;

impl Inflow {
    pub(super) fn new(rate_per_second: u64) -> Inflow {
        Inflow {
            rate_per_second,
            rest: 0,
            at: Instant::START,
        }
    }

    pub(super) const fn rate_per_second(&self) -> u64 {
        self.rate_per_second
    }

    /// The whole tokens that have come since the last call.
    pub(super) fn since_last(&mut self, now: Instant) -> u64 {
        let nanos = now.since(self.at).as_nanos();
        // An `Instant` has 64 bits, so this does not overflow.
        let parts = nanos * u128::from(self.rate_per_second) + u128::from(self.rest);
        self.rest = (parts % u128::from(PARTS)) as u64;
        self.at = self.at.max(now);
        u64::try_from(parts / u128::from(PARTS)).unwrap_or(u64::MAX)
    }

    /// How long it takes after the last call until the next token is whole.
    fn until_next(&self) -> Duration {
        match self.rate_per_second {
            0 => Duration::MAX,
            rate => Duration::from_nanos((PARTS - self.rest).div_ceil(rate)),
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

    #[test]
    fn those_who_ask_often_get_no_more_than_the_rate() {
        // These rates give no whole number of nanoseconds for a token.
        for rate in [3, 7_000_000, 3_000_000_001, 1 << 32] {
            for pause in [1, 3, 1000, 333_333_334] {
                let mut inflow = Inflow::new(rate);
                let (mut now, mut sum) = (0, 0);
                for _ in 0..10_000 {
                    now += pause;
                    sum += inflow.since_last(Instant::from_nanos(now));
                }
                let exact = u128::from(now) * u128::from(rate) / u128::from(PARTS);
                assert_eq!(u128::from(sum), exact, "{rate} a second, each {pause} ns");
            }
        }
    }
}
