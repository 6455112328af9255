//! The objections to this server: what one means for it, and how far it has come to the disk.

use super::{ActorConfig, Write, budget::Budget, phase::Phase};
use crate::{
    identity::{Pid, Sequence},
    limits::{SAVE_BURST, SAVE_RATE_PER_SECOND},
    time::Instant,
    words::{ErrorCode, Objection, Overrule},
};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Objections {
    pid: Pid,
    incarnation: u128,
    session: u64,
    /// An operator's word that the start is no lower than this; zero for none.
    recovered: Sequence,
    noted: Noted,
    /// How often peers may make the server write.
    writes: Budget,
}

/// Whether this server was objected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noted {
    /// Never.
    Nothing,
    /// It was, when nothing could be made durable any more.
    Heard,
    /// It was, up to that sequence, which is durable or on its way to the disk.
    Written { sequence: Sequence },
}

/// What an objection means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: it is meant for a process that was here before, or it is of a later version.
    Void,
    /// An operator has answered for this state, which is to be said.
    Overruled(Overrule),
    /// This server must not hand out identities, and becomes that.
    Counts(Phase),
}

impl Objections {
    pub(super) fn new(config: &ActorConfig) -> Objections {
        Objections {
            pid: config.pid,
            incarnation: config.incarnation,
            session: config.session,
            recovered: config.recovered,
            noted: match config.objected {
                None => Noted::Nothing,
                Some(sequence) => Noted::Written { sequence },
            },
            writes: Budget::new(SAVE_BURST, SAVE_RATE_PER_SECOND),
        }
    }

    /// Whether this server was objected to, so that an operator has to look.
    pub(super) fn is_objected(&self) -> bool {
        self.noted != Noted::Nothing
    }

    pub(super) fn judge(&self, objection: &Objection) -> Verdict {
        if objection.pid != self.pid || objection.session != self.session {
            return Verdict::Void;
        }
        let is_overruled =
            self.recovered.get() >= objection.sequence && self.recovered > Sequence::ZERO;
        match ErrorCode::from_u16(objection.code) {
            Some(ErrorCode::PidConflict) => Verdict::Counts(Phase::Conflict),
            Some(ErrorCode::StaleState) if is_overruled => Verdict::Overruled(Overrule {
                pid: self.pid,
                incarnation: self.incarnation,
                session: self.session,
                above: self.recovered.get(),
            }),
            Some(ErrorCode::StaleState) => Verdict::Counts(Phase::Stale),
            _ => Verdict::Void,
        }
    }

    /// Notes an objection: up to `sequence` at least somebody else may have handed out. Returns what is to be made
    /// durable, if it says more than the one before. Peers say it again with each round, so one that there is no
    /// token for is not lost.
    pub(super) fn note(
        &mut self,
        sequence: Sequence,
        may_write: bool,
        now: Instant,
    ) -> Option<Write> {
        let says_more = match self.noted {
            Noted::Nothing | Noted::Heard => true,
            Noted::Written { sequence: before } => sequence > before,
        };
        if self.noted == Noted::Nothing {
            self.noted = Noted::Heard;
        }
        // bug ObjectionNotDurable: return None;
        if !(says_more && may_write) {
            return None;
        }
        // The first one is never left out: before it nothing was taken.
        self.writes.take(1, now).ok()?;
        self.noted = Noted::Written { sequence };
        Some(Write::Objection { sequence })
    }
}
