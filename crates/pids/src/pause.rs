//! How long to wait before a call is made again.

use std::time::Duration;

/// The first wait: an etcd that has just chosen another leader answers soon.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest wait. A life that waits for its ceiling has to notice soon that etcd is back, and one call a second does no
/// harm to an etcd that has trouble.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The waits between the tries of one call. Each is twice as long as the one before.
#[derive(Clone, Debug)]
pub(crate) struct Pause {
    next: Duration,
    waited: Duration,
}

impl Pause {
    pub(crate) const fn new() -> Pause {
        Pause {
            next: PAUSE_MIN,
            waited: Duration::ZERO,
        }
    }

    /// The next wait.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(PAUSE_MAX);
        self.waited += pause;
        pause
    }

    /// All waits so far together.
    pub(crate) const fn waited(&self) -> Duration {
        self.waited
    }
}
