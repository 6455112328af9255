//! The client's clock. The one file of the client that reads it.

use std::time::{Duration, Instant};

/// How long something takes, on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    /// A stopwatch that begins now.
    #[allow(
        clippy::disallowed_methods,
        reason = "the ban is for the server, whose runs are simulated; a client waits for a network in real time"
    )]
    pub(super) fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// The time since the start.
    pub(super) fn elapsed(self) -> Duration {
        Stopwatch::start().0.saturating_duration_since(self.0)
    }

    /// What is left of `limit`, or `None` if it is used up.
    pub(super) fn left_of(self, limit: Duration) -> Option<Duration> {
        limit
            .checked_sub(self.elapsed())
            .filter(|left| !left.is_zero())
    }
}
