//! The monotonic clock, read here and nowhere else in the server.

use ipseity_core::time::Instant;

/// A clock that counts from the moment when it was made.
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

    #[inline]
    pub(super) fn now(&self) -> Instant {
        let elapsed = self.start.elapsed();
        // It is read in every turn, and 64 bits are enough for 584 years.
        Instant::from_nanos(elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos()))
    }
}
