//! What was counted and timed in a round.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::clock::Moment;

/// The greatest latency that is recorded. A longer one is counted as this.
const LATENCY_MAX: Duration = Duration::from_secs(3600);

/// How many digits of a latency are exact.
const DIGITS: u8 = 3;

/// Errors are counted by their codes, of which a server has a few. All codes beyond this many are counted as one.
const ERROR_CODES_MAX: usize = 32;

/// The counters of a round that is under way.
pub struct Tally {
    latencies: Histogram<u64>,
    /// Requests that were answered with what they asked for.
    pub requests: u64,
    /// When the last of these answers came.
    pub last: Option<Moment>,
    /// Requests that were answered with errors, by code: at most [`ERROR_CODES_MAX`] codes.
    pub errors: Vec<ErrorCount>,
    /// Whether any request was answered, measured or not.
    pub has_served: bool,
}

/// An error that a server answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorCount {
    /// Its name, or its number where this build does not know it; `others` for all codes beyond the bound.
    pub code: String,
    /// Its text, as it came the first time.
    pub text: String,
    /// How many requests were answered with it, 1 or more.
    pub count: u64,
}

/// How long replies took: quantiles, each exact to three digits. All are zero where nothing was answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latency {
    /// Half of them took at most this.
    pub p50: Duration,
    /// Nine of ten took at most this.
    pub p90: Duration,
    /// 99 of 100 took at most this.
    pub p99: Duration,
    /// 999 of 1,000 took at most this.
    pub p99_9: Duration,
    /// The slowest took this, or [`LATENCY_MAX`] if it took longer.
    pub max: Duration,
}

impl Tally {
    /// Counters at zero.
    pub fn new() -> Tally {
        let latencies = Histogram::new_with_bounds(1, LATENCY_MAX.as_nanos() as u64, DIGITS)
            .expect("a histogram accepts these bounds and digits");
        Tally {
            latencies,
            requests: 0,
            last: None,
            errors: Vec::new(),
            has_served: false,
        }
    }

    /// Records that `count` replies took this long.
    #[inline]
    pub fn record(&mut self, latency: Duration, count: u64) {
        let ns = latency.as_nanos() as u64;
        self.latencies.saturating_record_n(ns, count);
    }

    /// Counts a request that was answered with this error.
    pub fn error(&mut self, code: String, text: String) {
        let kinds = self.errors.len();
        let same = self.errors.iter_mut().find(|error| error.code == code);
        match same {
            Some(error) => error.count += 1,
            None if kinds < ERROR_CODES_MAX => self.errors.push(ErrorCount {
                code,
                text,
                count: 1,
            }),
            None => {
                if let Some(last) = self.errors.last_mut() {
                    last.code = "others".to_owned();
                    last.count += 1;
                }
            }
        }
    }

    /// The quantiles of all that was recorded.
    pub fn latency(&self) -> Latency {
        let at = |quantile| Duration::from_nanos(self.latencies.value_at_quantile(quantile));
        Latency {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: Duration::from_nanos(self.latencies.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_all_that_was_recorded() {
        let mut tally = Tally::new();
        tally.record(Duration::from_micros(100), 900);
        tally.record(Duration::from_millis(1), 99);
        tally.record(Duration::from_secs(7200), 1);
        let latency = tally.latency();
        let near = |is: Duration, should: Duration| {
            assert!(
                is >= should && is < should.mul_f64(1.002),
                "{is:?} {should:?}"
            );
        };
        near(latency.p50, Duration::from_micros(100));
        near(latency.p90, Duration::from_micros(100));
        near(latency.p99, Duration::from_millis(1));
        near(latency.max, LATENCY_MAX);
    }

    #[test]
    fn errors_are_counted_by_a_bounded_number_of_codes() {
        let mut tally = Tally::new();
        for number in 0..2 * ERROR_CODES_MAX {
            tally.error(format!("code{number}"), "text".to_owned());
            tally.error("code0".to_owned(), "another text".to_owned());
        }
        assert_eq!(tally.errors.len(), ERROR_CODES_MAX);
        let first = ErrorCount {
            code: "code0".to_owned(),
            text: "text".to_owned(),
            count: 2 * ERROR_CODES_MAX as u64 + 1,
        };
        assert_eq!(tally.errors[0], first);
        let total: u64 = tally.errors.iter().map(|error| error.count).sum();
        assert_eq!(total, 4 * ERROR_CODES_MAX as u64);
    }
}
