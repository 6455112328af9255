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
        Stopwatch::start().since(self)
    }

    /// The time since another start.
    pub(super) fn since(self, earlier: Stopwatch) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// What is left of `limit`, or `None` if it is used up.
    pub(super) fn left_of(self, limit: Duration) -> Option<Duration> {
        limit
            .checked_sub(self.elapsed())
            .filter(|left| !left.is_zero())
    }
}

/// A time limit that began at one moment and that several steps share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    since: Stopwatch,
    limit: Duration,
}

impl Deadline {
    /// A limit that begins now.
    pub(super) fn within(limit: Duration) -> Deadline {
        let since = Stopwatch::start();
        Deadline { since, limit }
    }

    /// A limit that begins now, and ends with this one at the latest.
    pub(super) fn and_within(self, limit: Duration) -> Deadline {
        let since = Stopwatch::start();
        let left = self.limit.saturating_sub(since.since(self.since));
        Deadline {
            since,
            limit: limit.min(left),
        }
    }

    /// The whole time that there was at the beginning.
    pub(super) fn limit(self) -> Duration {
        self.limit
    }

    /// What is left of it, or `None` if it is used up.
    pub(super) fn left(self) -> Option<Duration> {
        self.since.left_of(self.limit)
    }
}
