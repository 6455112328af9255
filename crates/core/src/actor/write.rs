//! The one door to the disk, as plain data: what is to be made durable, and what came of it.
//!
//! The actor asks with one effect, [`Effect::Write`](super::Effect::Write), and hears with one event,
//! [`Event::Written`](super::Event::Written). What is behind the door is not known here: a state directory, a
//! simulated disk, or nothing at all.

use std::fmt;

use super::{Remembered, objections::Objected};
use crate::identity::Sequence;

/// What is to be made durable. Each is answered by one [`Written`], in the order in which they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// A higher ceiling. At most one is under way.
    Ceiling {
        /// The highest sequence handed out or absorbed by now.
        sequence: Sequence,
        /// The ceiling.
        ceiling: Sequence,
    },
    /// A peer objected, because identities may have been handed out by another state of this pid.
    Objection(Objected),
    /// What is remembered of the peers. A failure does no harm: the next write has it all again.
    Members(Vec<Remembered>),
    /// The exact sequence of a clean stop. Behind it comes neither a ceiling nor an objection.
    Stop {
        /// Everything handed out or absorbed is at or below it.
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

/// Which write it was, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The ceiling that was asked for.
    Ceiling(Outcome),
    /// That a peer objected.
    Objection(Outcome),
    /// What is remembered of the peers.
    Members(Outcome),
    /// The exact sequence of a clean stop.
    Stop(Outcome),
}

impl Written {
    /// What came of it.
    pub const fn outcome(self) -> Outcome {
        match self {
            Written::Ceiling(outcome)
            | Written::Objection(outcome)
            | Written::Members(outcome)
            | Written::Stop(outcome) => outcome,
        }
    }

    /// The name of the event in logs, traces and metrics.
    pub(super) const fn name(self) -> &'static str {
        match self.outcome() {
            Outcome::Durable => "written",
            Outcome::Failed => "writeFailed",
        }
    }
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable.
    Durable,
    /// It may be durable or not: only the next start can tell.
    Failed,
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
    /// As it stands in a trace.
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
    /// Which write it was, as it stands in a trace behind the name of the event.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Written::Ceiling(_) => "ceiling",
            Written::Objection(_) => "objection",
            Written::Members(_) => "members",
            Written::Stop(_) => "stop",
        })
    }
}
