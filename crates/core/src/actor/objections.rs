//! The objections to this server: what each of them means, and what of them is durable.

use super::{ActorConfig, bucket::TokenBucket, objected::Objected, phase::Phase};
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
    /// An operator has confirmed that it is safe to start above this sequence; zero if none has.
    recovered: Sequence,
    noted: Noted,
    /// A peer has objected since the start.
    is_heard: bool,
    /// How often peers may make the server write.
    writes: TokenBucket,
}

/// Whether this server was objected to, and what of that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noted {
    /// It was never objected to.
    Nothing,
    /// It was objected to, when nothing could be made durable any more.
    Heard,
    /// It was objected to, and that is durable or on its way to the disk.
    Written { objected: Objected },
}

/// What an objection means for this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: it is for an earlier process, or its code comes from a later version.
    Void,
    /// An operator has confirmed this state. The peer that objects has to be told so.
    Overruled(Overrule),
    /// This server must not hand out identities any more, and enters this phase.
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
                Some(objected) => Noted::Written { objected },
            },
            is_heard: false,
            writes: TokenBucket::new(SAVE_BURST, SAVE_RATE_PER_SECOND),
        }
    }

    /// Whether this server was objected to. Then an operator has to look.
    pub(super) fn is_objected(&self) -> bool {
        self.noted != Noted::Nothing
    }

    /// The highest sequence that an objection has named, as far as it is durable or on its way; zero if there is none.
    pub(super) fn above(&self) -> Sequence {
        match self.noted {
            Noted::Nothing | Noted::Heard => Sequence::ZERO,
            Noted::Written { objected } => objected.sequence,
        }
    }

    /// A peer objects. Returns whether it is the first one since the start.
    pub(super) fn hear(&mut self) -> bool {
        !std::mem::replace(&mut self.is_heard, true)
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

    /// Notes an objection. Returns what is to be made durable, if this objection says more than those before. Peers
    /// repeat it in each round, so one that finds no token is not lost.
    pub(super) fn note(
        &mut self,
        objected: Objected,
        may_write: bool,
        now: Instant,
    ) -> Option<Objected> {
        let before = match self.noted {
            Noted::Nothing | Noted::Heard => None,
            Noted::Written { objected } => Some(objected),
        };
        let objected = objected.with(before);
        let says_more = before.is_none_or(|before| {
            objected.is_conflict != before.is_conflict || objected.sequence > before.sequence
        });
        if self.noted == Noted::Nothing {
            self.noted = Noted::Heard;
        }
        // bug ObjectionNotDurable: return None;
        if !(says_more && may_write) {
            return None;
        }
        // The first objection is never left out: nothing was taken from the budget before it.
        self.writes.take(1, now).ok()?;
        self.noted = Noted::Written { objected };
        Some(objected)
    }
}
