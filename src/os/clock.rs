//! The clock, read here and nowhere else in the server. It never goes back, and it counts the time for which the machine
//! was suspended too: a lease of the store goes on meanwhile.

use ipseity_core::time::Instant;
use rustix::time::{ClockId, Timespec, clock_gettime};

#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
/// Where there is no other one, this one mostly counts suspension too.
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// A clock that counts from the moment when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timespec,
}

impl Clock {
    /// A clock that begins now.
    pub fn begin() -> Clock {
        Clock { start: read() }
    }

    /// The time since the clock was made. It is read in every turn, so this is one subtraction in 64 bits, which are
    /// enough for 292 years. With [`std::time::Instant`] it takes forty instructions more.
    #[inline]
    pub fn now(&self) -> Instant {
        let (now, start) = (read(), self.start);
        let nanos = (now.tv_sec - start.tv_sec) * 1_000_000_000 + now.tv_nsec - start.tv_nsec;
        // This clock never goes back, so the number is never negative.
        Instant::from_nanos(nanos as u64)
    }
}

#[inline]
#[allow(clippy::disallowed_methods)] // The one place.
fn read() -> Timespec {
    clock_gettime(CLOCK)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_counts_from_its_start_and_never_goes_back() {
        let clock = Clock::begin();
        let mut last = Instant::START;
        for _ in 0..1000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
        // The system counts from its own start, which would be much more on nearly every machine.
        assert!(
            last < Instant::START.after(Duration::from_secs(60)),
            "{last}"
        );
    }

    #[test]
    fn it_counts_nanoseconds_and_carries_them_over() {
        let clock = Clock::begin();
        let begun = clock.now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.now().since(begun) >= Duration::from_millis(2));
    }
}
