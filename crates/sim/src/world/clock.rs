//! The clocks of the simulated machines.

use std::time::Duration;

use ipseity_core::time::Instant;

/// The monotonic clock of one process: it begins when the process does, and may be fast or slow.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The moment of the world at which it showed zero.
    pub zero: Instant,
    /// Its speed: a million is the speed of the world.
    pub speed_ppm: u64,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock {
            zero: Instant::START,
            speed_ppm: 1_000_000,
        }
    }
}

impl Clock {
    /// The time that it shows at a moment of the world.
    pub fn shows(self, now: Instant) -> Instant {
        let nanos = now.since(self.zero).as_nanos() * u128::from(self.speed_ppm) / 1_000_000;
        Instant::from_nanos(nanos as u64)
    }

    /// How long the world takes until it shows that this much has passed.
    pub fn takes(self, local: Duration) -> Duration {
        self.when(Instant::START.after(local)).since(self.zero)
    }

    /// The first moment of the world at which it shows at least `local`.
    pub fn when(self, local: Instant) -> Instant {
        let nanos = local.since(Instant::START).as_nanos() * 1_000_000;
        let nanos = nanos.div_ceil(u128::from(self.speed_ppm));
        self.zero.after(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }
}
