//! The way to etcd: it makes the calls of procedures, notes when a lease was asked for, and what went wrong last.

use std::{sync::Arc, thread, time::Duration};

use ipseity_core::time::Instant;
use ipseity_etcd::{Answer, Call, CallError, Gateway, World};

/// Reads the clock, which only the edge may do.
pub type Now = Arc<dyn Fn() -> Instant + Send + Sync>;

/// What is told when a call has failed.
pub type Failed<'a> = &'a mut dyn FnMut(&CallError);

/// See the [module](self).
pub(super) struct Link {
    gateway: Gateway,
    now: Now,
    /// When the newest lease, or the newest sign of life for one, was asked for. It lasts from a later moment on.
    asked_at: Instant,
}

impl Link {
    pub(super) fn new(gateway: Gateway, now: Now) -> Link {
        Link {
            gateway,
            asked_at: now(),
            now,
        }
    }

    /// The world of a procedure. `failed` is told of each call that fails.
    pub(super) fn world<'a>(&'a mut self, failed: Failed<'a>) -> Linked<'a> {
        Linked { link: self, failed }
    }

    /// 64 random bits.
    pub(super) fn random(&mut self) -> u64 {
        getrandom::u64().expect("the system has random bits once it has started")
    }

    pub(super) fn asked_at(&self) -> Instant {
        self.asked_at
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// A link, for as long as one procedure takes.
pub(super) struct Linked<'a> {
    link: &'a mut Link,
    failed: Failed<'a>,
}

impl World for Linked<'_> {
    fn call(&mut self, call: &Call) -> Result<Answer, CallError> {
        if matches!(call, Call::KeepAlive(_) | Call::Grant { .. }) {
            self.link.asked_at = (self.link.now)();
        }
        let result = self.link.gateway.call(call);
        if let Err(error) = &result {
            (self.failed)(error);
        }
        result
    }

    fn wait(&mut self, wait: Duration) {
        thread::sleep(wait);
    }

    fn random(&mut self) -> u64 {
        self.link.random()
    }
}
