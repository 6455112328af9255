//! Time as a plain number: a moment that can be compared, stored, simulated and printed.
//!
//! Nothing here reads a clock. The operating system's edge reads it once a turn, and the moment travels
//! from there as an argument.

use std::{fmt, time::Duration};

/// A moment on the monotonic clock: nanoseconds since the process (or the simulation) began, enough for
/// 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The moment at which the clock began.
    pub const START: Instant = Instant(0);

    /// The moment `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// The moment `wait` later, or the last one there is.
    pub fn after(self, wait: Duration) -> Instant {
        Instant(
            self.0
                .saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// How long `earlier` lies back; zero when it does not.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Whether something may be done now that is done at most once in a span. If so, `last` is set.
pub fn is_due(last: &mut Option<Instant>, now: Instant, span: Duration) -> bool {
    let is_due = last.is_none_or(|at| now.since(at) >= span);
    if is_due {
        *last = Some(now);
    }
    is_due
}

impl fmt::Display for Instant {
    /// Seconds and nanoseconds since the start: `12.000345678`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:09}",
            self.0 / 1_000_000_000,
            self.0 % 1_000_000_000
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_due_at_once_and_then_once_in_a_span() {
        let span = Duration::from_secs(60);
        let (mut last, begin) = (None, Instant::from_nanos(7));
        assert!(is_due(&mut last, begin, span));
        assert!(!is_due(
            &mut last,
            begin.after(span - Duration::from_nanos(1)),
            span
        ));
        assert!(is_due(&mut last, begin.after(span), span));
        assert_eq!(last, Some(begin.after(span)));
    }

    #[test]
    fn moments_saturate_instead_of_wrapping() {
        let early = Instant::from_nanos(5);
        let late = early.after(Duration::from_secs(1));
        assert_eq!(late, Instant::from_nanos(1_000_000_005));
        assert_eq!(late.since(early), Duration::from_secs(1));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.after(Duration::MAX), Instant::from_nanos(u64::MAX));
        assert_eq!(late.to_string(), "1.000000005");
        assert_eq!(Instant::START, Instant::from_nanos(0));
    }
}
