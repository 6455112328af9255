//! The only way to the disk, as plain data: what has to be made durable, and the result.
//!
//! The actor requests a write with one effect, [`Effect::Write`](super::Effect::Write), and gets the result with one
//! event, [`Event::Written`](super::Event::Written). What does the writing is not known here: a state directory, a
//! simulated disk, or nothing at all.

use std::fmt;

use super::{Remembered, objected::Objected};
use crate::{identity::Sequence, words::EntryKind};

/// Something that has to be made durable. Each write is answered by one [`Written`], in the order of the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// A higher ceiling. At most one raise is under way at a time.
    Ceiling {
        /// The highest sequence that was handed out or absorbed so far.
        sequence: Sequence,
        /// The new ceiling.
        ceiling: Sequence,
    },
    /// A peer objected, because identities may have been handed out by another state of this pid.
    Objection(Objected),
    /// What is remembered of the peers. A failure does no harm: the next write has it all again.
    Members(Vec<Remembered>),
    /// The exact sequence of a clean stop. No ceiling and no objection is written after it.
    Stop {
        /// Everything that was handed out or absorbed is at or below it.
        sequence: Sequence,
    },
}

impl Write {
    /// The answer to this write.
    pub const fn written(&self, outcome: Outcome) -> Written {
        match self {
            Write::Ceiling { .. } => Written::Ceiling(outcome),
            Write::Objection(_) => Written::Objection(outcome),
            Write::Members(_) => Written::Members(outcome),
            Write::Stop { .. } => Written::Stop(outcome),
        }
    }
}

/// Which write it was, and its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The ceiling that was asked for.
    Ceiling(Outcome),
    /// The objection of a peer.
    Objection(Outcome),
    /// What is remembered of the peers.
    Members(Outcome),
    /// The exact sequence of a clean stop.
    Stop(Outcome),
}

impl Written {
    /// The result.
    pub const fn outcome(self) -> Outcome {
        match self {
            Written::Ceiling(outcome)
            | Written::Objection(outcome)
            | Written::Members(outcome)
            | Written::Stop(outcome) => outcome,
        }
    }

    /// The kind of the event.
    pub(super) const fn kind(self) -> EntryKind {
        match self.outcome() {
            Outcome::Durable => EntryKind::Written,
            Outcome::Failed => EntryKind::WriteFailed,
            Outcome::Fenced => EntryKind::Fenced,
        }
    }
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable.
    Durable,
    /// It may be durable or not. Only the next start can tell.
    Failed,
    /// Another session has the state of this pid in the store, so this one never writes it again. Nothing above what was
    /// durable before may leave.
    Fenced,
}

impl Outcome {
    /// The outcome of a call that makes something durable.
    pub const fn of<T, E>(result: &Result<T, E>) -> Outcome {
        match result {
            Ok(_) => Outcome::Durable,
            Err(_) => Outcome::Failed,
        }
    }
}

impl fmt::Display for Write {
    /// The text in a trace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Write::Ceiling { sequence, ceiling } => {
                write!(f, "ceiling sequence={sequence} ceiling={ceiling}")
            }
            Write::Objection(Objected {
                sequence,
                is_conflict,
            }) => {
                write!(f, "objection sequence={sequence} conflict={is_conflict}")
            }
            Write::Members(members) => write!(f, "members count={}", members.len()),
            Write::Stop { sequence } => write!(f, "stop sequence={sequence}"),
        }
    }
}

impl fmt::Display for Written {
    /// Which write it was, as the text after the event's name in a trace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Written::Ceiling(_) => "ceiling",
            Written::Objection(_) => "objection",
            Written::Members(_) => "members",
            Written::Stop(_) => "stop",
        })
    }
}
