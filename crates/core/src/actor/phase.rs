//! The phase of the server. It is the only state machine for this, and the public [`Standing`] follows from it.
//!
//! ```text
//! a start      Joining ──▶ Claiming ──▶ Serving        (or through JoinOverdue and ClaimOverdue)
//! refused      Joining, JoinOverdue, Claiming, ClaimOverdue ──▶ Refused
//! objected to  all of a start, Serving ──▶ Stale ──▶ Conflict             (or straight to Conflict)
//! disk failed  Serving ──▶ Finishing ──▶ StorageFailed      (all others straight to StorageFailed)
//! a stop       all but those after a failure ──▶ Stopping ──▶ Stopped
//! fenced       all that may still write, and Finishing ──▶ Fenced
//! ```
//!
//! Nothing leads back to `Serving`: only the next start can change what a peer or the disk has said. A store that does not
//! answer changes no phase (see [`store`](super::store)): it can come back.

use super::{objected::Objected, refusal::Refusal};
use crate::words::{Stage, Standing};

/// See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It asks its peers, and requests for identities wait.
    Joining,
    /// The time for asking is over, but one peer must answer. From now on requests for identities are refused.
    JoinOverdue,
    /// It was accepted. It asks its peers to note that, and requests for identities wait.
    Claiming,
    /// The time for that is over too. From now on requests for identities are refused.
    ClaimOverdue,
    /// Another life has the pid. It hands out nothing and ends.
    Refused,
    /// It hands out identities.
    Serving,
    /// Another live server has the same pid.
    Conflict,
    /// Its state is older than what its peers remember of its pid.
    Stale,
    /// The disk failed while it handed out identities. What is below the durable ceiling may still be handed out.
    Finishing,
    /// The disk failed, and nothing is handed out.
    StorageFailed,
    /// It is stopping, and waits for the writes that are under way.
    Stopping,
    /// The exact sequence of the stop was given to the disk. No ceiling or objection is written after it.
    Stopped,
    /// Another session has the state of the pid in the store. It hands out nothing more and ends.
    Fenced,
}

impl Phase {
    /// The phase in which a server starts.
    pub(super) fn new(objected: Option<Objected>, joins: bool) -> Phase {
        match objected {
            Some(objected) if objected.is_conflict => Phase::Conflict,
            Some(_) => Phase::Stale,
            // bug JoinIgnored instead: None if joins && !BUG => Phase::Joining,
            None if joins => Phase::Joining,
            None => Phase::Serving,
        }
    }

    /// The standing that others are told.
    pub(super) const fn standing(self) -> Standing {
        match self {
            Phase::Joining
            | Phase::JoinOverdue
            | Phase::Claiming
            | Phase::ClaimOverdue
            | Phase::Refused => Standing::Joining,
            Phase::Serving => Standing::Serving,
            Phase::Conflict => Standing::Conflict,
            Phase::Stale => Standing::Stale,
            Phase::Finishing | Phase::StorageFailed => Standing::StorageFailed,
            Phase::Stopping | Phase::Stopped | Phase::Fenced => Standing::Stopping,
        }
    }

    /// Whether the sequence of a peer may raise the counter.
    pub(super) const fn absorbs(self) -> bool {
        match self {
            Phase::Joining
            | Phase::JoinOverdue
            | Phase::Claiming
            | Phase::ClaimOverdue
            | Phase::Serving => true,
            Phase::Refused
            | Phase::Conflict
            | Phase::Stale
            | Phase::Finishing
            | Phase::StorageFailed
            | Phase::Stopping
            | Phase::Stopped
            | Phase::Fenced => false,
        }
    }

    /// Whether an operator may still raise the sequence.
    ///
    /// # Errors
    /// Nothing more is made durable.
    pub(super) const fn may_advance(self) -> Result<(), Refusal> {
        match self {
            Phase::Finishing | Phase::StorageFailed => Err(Refusal::StorageFailed),
            Phase::Stopping | Phase::Stopped | Phase::Fenced | Phase::Refused => {
                Err(Refusal::Stopping)
            }
            Phase::Joining
            | Phase::JoinOverdue
            | Phase::Claiming
            | Phase::ClaimOverdue
            | Phase::Serving
            | Phase::Conflict
            | Phase::Stale => Ok(()),
        }
    }

    /// Whether a request for identities has to wait for the peers.
    pub(super) const fn must_wait(self) -> bool {
        matches!(self, Phase::Joining | Phase::Claiming)
    }

    /// Whether it has not decided yet whether it may use its pid.
    pub(super) const fn is_joining(self) -> bool {
        matches!(
            self,
            Phase::Joining | Phase::JoinOverdue | Phase::Claiming | Phase::ClaimOverdue
        )
    }

    /// Whether it waits for its claim to be durable.
    pub(super) const fn claims(self) -> bool {
        matches!(self, Phase::Claiming | Phase::ClaimOverdue)
    }

    /// What its peers are told.
    pub(super) const fn stage(self) -> Stage {
        match self {
            Phase::Joining | Phase::JoinOverdue => Stage::Joins,
            Phase::Claiming | Phase::ClaimOverdue => Stage::Claims,
            Phase::Serving | Phase::Finishing => Stage::Serves,
            Phase::Conflict => Stage::Clashes,
            Phase::Refused
            | Phase::Stale
            | Phase::StorageFailed
            | Phase::Stopping
            | Phase::Stopped
            | Phase::Fenced => Stage::Rests,
        }
    }

    /// Whether nobody else may have its pid: it hands out identities, or may soon.
    pub(super) const fn holds_pid(self) -> bool {
        !self.stage().is_over()
    }

    /// Whether a write can still be given to the disk and make a difference.
    pub(super) const fn may_write(self) -> bool {
        !matches!(
            self,
            Phase::Refused
                | Phase::Finishing
                | Phase::StorageFailed
                | Phase::Stopped
                | Phase::Fenced
        )
    }

    /// Whether anything can still wait for the store, or be handed out once it has answered.
    pub(super) const fn has_use_for_store(self) -> bool {
        !matches!(
            self,
            Phase::Refused | Phase::StorageFailed | Phase::Stopped | Phase::Fenced
        )
    }

    pub(super) const fn is_stopping(self) -> bool {
        matches!(self, Phase::Stopping | Phase::Stopped | Phase::Fenced)
    }

    /// The time for joining or for claiming is over.
    pub(super) fn overdue(&mut self) {
        debug_assert!(self.is_joining());
        *self = match self.claims() {
            true => Phase::ClaimOverdue,
            false => Phase::JoinOverdue,
        };
    }

    /// The peers have accepted the server, and it asks them to note that.
    pub(super) fn claim(&mut self) {
        debug_assert!(matches!(self, Phase::Joining | Phase::JoinOverdue));
        *self = Phase::Claiming;
    }

    /// Another life has the pid.
    pub(super) fn give_up(&mut self) {
        debug_assert!(self.is_joining());
        *self = Phase::Refused;
    }

    /// The peers have been asked, and the server begins to serve.
    pub(super) fn serve(&mut self) {
        debug_assert!(self.is_joining(), "nothing else leads to serving");
        *self = Phase::Serving;
    }

    /// A peer objects, so the phase becomes [`Phase::Conflict`] or [`Phase::Stale`]. Returns whether that is new.
    pub(super) fn object(&mut self, becomes: Phase) -> bool {
        let (next, is_new) = match *self {
            Phase::Joining
            | Phase::JoinOverdue
            | Phase::Claiming
            | Phase::ClaimOverdue
            | Phase::Serving => (becomes, true),
            Phase::Stale => (becomes, becomes == Phase::Conflict),
            Phase::Finishing => (Phase::StorageFailed, false),
            same @ (Phase::Refused
            | Phase::Conflict
            | Phase::StorageFailed
            | Phase::Stopping
            | Phase::Stopped
            | Phase::Fenced) => (same, false),
        };
        *self = next;
        is_new
    }

    /// A write failed. A server that did not hand out before does not start to now.
    pub(super) fn fail(&mut self) {
        *self = match *self {
            Phase::Serving | Phase::Finishing => Phase::Finishing,
            Phase::Joining
            | Phase::JoinOverdue
            | Phase::Claiming
            | Phase::ClaimOverdue
            | Phase::Refused
            | Phase::Conflict
            | Phase::Stale
            | Phase::StorageFailed
            | Phase::Stopping
            | Phase::Stopped => Phase::StorageFailed,
            Phase::Fenced => Phase::Fenced,
        };
    }

    /// Another session has the state of the pid in the store. Returns whether that is new.
    pub(super) fn fence(&mut self) -> bool {
        let is_news = match *self {
            Phase::Joining
            | Phase::JoinOverdue
            | Phase::Claiming
            | Phase::ClaimOverdue
            | Phase::Serving
            | Phase::Conflict
            | Phase::Stale
            | Phase::Finishing
            | Phase::Stopping => true,
            // It ends already.
            Phase::Refused | Phase::StorageFailed | Phase::Stopped | Phase::Fenced => false,
        };
        if is_news {
            *self = Phase::Fenced;
        }
        is_news
    }

    /// The server is asked to stop. Returns whether that is new.
    pub(super) fn stop(&mut self) -> bool {
        let is_news = match *self {
            Phase::Joining
            | Phase::JoinOverdue
            | Phase::Claiming
            | Phase::ClaimOverdue
            | Phase::Serving
            | Phase::Conflict
            | Phase::Stale => true,
            Phase::Refused
            | Phase::Finishing
            | Phase::StorageFailed
            | Phase::Stopping
            | Phase::Stopped
            | Phase::Fenced => false,
        };
        if is_news {
            *self = Phase::Stopping;
        }
        is_news
    }

    /// The exact sequence of the stop is given to the disk.
    pub(super) fn end(&mut self) {
        debug_assert_eq!(*self, Phase::Stopping);
        *self = Phase::Stopped;
    }
}
