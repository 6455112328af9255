//! What the calls of one client and the owners of its connections share.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ipseity_core::identity::Identity;
use tokio::sync::watch;

use crate::{
    FailureCause, choice::Choice, clock::Stopwatch, judge::Trouble, setup::Setup, watch::Watch,
};

/// How a connection ended for a call that waited on it.
#[derive(Debug)]
pub(super) enum Ended {
    /// It was closed while it was idle, or before the request was written. The server has not failed.
    Stale,
    /// There is a reason.
    By(Trouble),
    /// It goes on, but the time of the call is over.
    TooLate,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) setup: Setup,
    pub(super) watch: Watch,
    /// The newest identity that was seen; 0 for none.
    newest: AtomicU64,
    born: Stopwatch,
    state: Mutex<State>,
    closed: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    choice: Choice,
    /// The last failure of each server, and when it was.
    failures: Vec<Option<(Duration, FailureCause)>>,
}

impl Shared {
    pub(super) fn new(setup: Setup, watch: Watch, newest: Option<Identity>) -> Shared {
        let servers = setup.servers.len();
        Shared {
            state: Mutex::new(State {
                choice: Choice::new(servers, setup.first()),
                failures: (0..servers).map(|_| None).collect(),
            }),
            setup,
            watch,
            newest: AtomicU64::new(newest.map_or(0, Identity::get)),
            born: Stopwatch::start(),
            closed: watch::Sender::new(false),
        }
    }

    pub(super) fn observe(&self, identity: Identity) {
        self.newest.fetch_max(identity.get(), Ordering::AcqRel);
    }

    pub(super) fn newest(&self) -> Option<Identity> {
        let newest = self.newest.load(Ordering::Acquire);
        Identity::from_u64(newest).filter(|newest| newest.get() > 0)
    }

    /// The time since the client was made.
    pub(super) fn now(&self) -> Duration {
        self.born.elapsed()
    }

    /// The place of the server that answered last, or is tried first.
    pub(super) fn current(&self) -> usize {
        self.state().choice.current()
    }

    /// The places in the order in which they are tried now.
    pub(super) fn order(&self) -> Vec<usize> {
        self.state().choice.order(self.now())
    }

    pub(super) fn answered(&self, place: usize) {
        let mut state = self.state();
        state.choice.answered(place);
        state.failures[place] = None;
    }

    /// There is a connection to this server now.
    pub(super) fn turn_to(&self, place: usize) {
        self.state().choice.turn_to(place);
    }

    /// A server has failed. A failure that several calls find is told once.
    pub(super) fn failed(&self, place: usize, cause: &FailureCause) {
        let now = self.now();
        let mut state = self.state();
        state.choice.failed(place, now);
        state.failures[place] = Some((now, cause.again()));
        drop(state);
        self.watch.failed(&self.setup.servers[place], cause);
    }

    /// Why a server has failed, if it was not before this moment.
    pub(super) fn failure_since(&self, place: usize, since: Duration) -> Option<FailureCause> {
        match &self.state().failures[place] {
            Some((moment, cause)) if *moment >= since => Some(cause.again()),
            _ => None,
        }
    }

    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Ends when the client is closed.
    pub(super) async fn closed(&self) {
        // The sender lives as long as this does.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    // Nothing panics while it holds the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
