//! The clocks of the bench, and the one file of it that reads them.

use std::time::{Duration, Instant};

/// A moment, in nanoseconds since the clock was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// A moment that does not come.
    pub const NEVER: Moment = Moment(u64::MAX);

    /// This much later; [`NEVER`](Self::NEVER) if that is beyond the last moment.
    pub fn after(self, duration: Duration) -> Moment {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Moment(self.0.saturating_add(ns))
    }

    /// The time since `earlier`; zero if that is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The monotonic clock, with a beginning of its own. Moments of two clocks cannot be compared.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock whose moment 0 is now.
    #[allow(
        clippy::disallowed_methods,
        reason = "the ban keeps the server's core replayable; this measures real time"
    )]
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    /// The present moment, never before one that this clock has shown.
    #[inline]
    pub fn now(self) -> Moment {
        // Nanoseconds fit 64 bits for 584 years.
        Moment(self.0.elapsed().as_nanos() as u64)
    }
}
