//! The monotonic clock, read here and nowhere else in the server.

use crate::time::Instant;

/// Counts from the moment when it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: std::time::Instant,
}

impl Clock {
    #[allow(clippy::disallowed_methods)] // The one place.
    pub(super) fn new() -> Clock {
        Clock {
            start: std::time::Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        Instant::START.after(self.start.elapsed())
    }
}
