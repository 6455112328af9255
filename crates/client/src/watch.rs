//! What a program can watch of a client: hooks and counters.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ipseity_core::identity::Pid;

use crate::{FailureCause, ServerAddress};

type OnConnect = Arc<dyn Fn(&ServerAddress) + Send + Sync>;
type OnFailover = Arc<dyn Fn(&ServerAddress, &FailureCause) + Send + Sync>;
type OnRefill = Arc<dyn Fn(u64) + Send + Sync>;
type OnDisowned = Arc<dyn Fn(Pid) + Send + Sync>;

/// Functions of the program that a client or a source calls. Each should be short, because the call waits for it. If one
/// panics, the panic is ignored.
#[derive(Clone, Default)]
pub struct Hooks {
    connect: Option<OnConnect>,
    failover: Option<OnFailover>,
    refill: Option<OnRefill>,
    /// Only a source sets it.
    disowned: Option<OnDisowned>,
}

impl Hooks {
    /// Calls `hook` when a connection to a server is there.
    #[must_use]
    pub fn on_connect(mut self, hook: impl Fn(&ServerAddress) + Send + Sync + 'static) -> Hooks {
        self.connect = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` when a server has failed, and why.
    #[must_use]
    pub fn on_failover(
        mut self,
        hook: impl Fn(&ServerAddress, &FailureCause) + Send + Sync + 'static,
    ) -> Hooks {
        self.failover = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` when a source has taken a block, with how many identities it has.
    #[must_use]
    pub fn on_refill(mut self, hook: impl Fn(u64) + Send + Sync + 'static) -> Hooks {
        self.refill = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` when the server of a pid does not know any more whether its identities are unique.
    #[must_use]
    pub(crate) fn on_disowned(mut self, hook: impl Fn(Pid) + Send + Sync + 'static) -> Hooks {
        self.disowned = Some(Arc::new(hook));
        self
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("connect", &self.connect.is_some())
            .field("failover", &self.failover.is_some())
            .field("refill", &self.refill.is_some())
            .finish()
    }
}

/// What a client or a source has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests for identities that were written.
    pub requests: u64,
    /// Identities that were handed out to callers.
    pub identities: u64,
    /// Connections that were made.
    pub connects: u64,
    /// Servers that have failed, each time.
    pub failures: u64,
    /// Blocks that a source has taken.
    pub refills: u64,
    /// Calls of a source that had to wait for a refill.
    pub waits: u64,
    /// Identities that a source has dropped.
    pub dropped: u64,
}

/// A counter that many threads raise.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where the parts of a client tell what they do.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) hooks: Hooks,
    pub(crate) requests: Count,
    pub(crate) identities: Count,
    pub(crate) connects: Count,
    pub(crate) failures: Count,
}

impl Watch {
    pub(crate) fn connected(&self, server: &ServerAddress) {
        self.connects.add(1);
        if let Some(hook) = &self.hooks.connect {
            calmly(|| hook(server));
        }
    }

    pub(crate) fn failed(&self, server: &ServerAddress, cause: &FailureCause) {
        self.failures.add(1);
        if let Some(hook) = &self.hooks.failover {
            calmly(|| hook(server, cause));
        }
    }

    pub(crate) fn disowned(&self, pid: Pid) {
        if let Some(hook) = &self.hooks.disowned {
            hook(pid);
        }
    }

    pub(crate) fn refilled(&self, identities: u64) {
        if let Some(hook) = &self.hooks.refill {
            calmly(|| hook(identities));
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            requests: self.requests.get(),
            identities: self.identities.get(),
            connects: self.connects.get(),
            failures: self.failures.get(),
            ..Counters::default()
        }
    }
}

/// A hook that panics must not end the call, and less so the thread of a source.
fn calmly(hook: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(hook));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_that_panics_harms_nobody() {
        let watch = Watch {
            hooks: Hooks::default().on_refill(|_| panic!("on purpose")),
            ..Watch::default()
        };
        watch.refilled(1);
    }

    #[test]
    fn hooks_are_told_what_happened() {
        let told = Arc::new(Count::default());
        let hooks = Hooks::default()
            .on_connect({
                let told = told.clone();
                move |server| told.add(u64::from(server.port()))
            })
            .on_failover({
                let told = told.clone();
                move |_, cause| told.add(cause.to_string().len() as u64)
            });
        let watch = Watch {
            hooks,
            ..Watch::default()
        };
        let server: ServerAddress = "ids:1000".parse().unwrap();
        watch.connected(&server);
        watch.failed(&server, &FailureCause::NoAddress);
        watch.refilled(7);
        let text = FailureCause::NoAddress.to_string();
        assert_eq!(told.get(), 1000 + text.len() as u64);
        assert_eq!(
            (watch.counters().connects, watch.counters().failures),
            (1, 1)
        );
    }
}
