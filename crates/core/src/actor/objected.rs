//! What the disk keeps of the objections to a state directory.

use crate::{identity::Sequence, words::Standing};

/// That a peer has objected to a state directory, as it is kept on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objected {
    /// Identities up to this sequence may have been handed out by another one. Nothing is handed out before an
    /// operator's word is at least this.
    pub sequence: Sequence,
    /// Two live servers had the pid. Otherwise the state is not the newest.
    pub is_conflict: bool,
}

impl Objected {
    /// An objection to a state that is not the newest.
    pub const fn stale(sequence: Sequence) -> Objected {
        Objected {
            sequence,
            is_conflict: false,
        }
    }

    /// An objection to one of two live servers.
    pub const fn conflict(sequence: Sequence) -> Objected {
        Objected {
            sequence,
            is_conflict: true,
        }
    }

    /// The standing of a server that has only this.
    pub const fn standing(self) -> Standing {
        match self.is_conflict {
            true => Standing::Conflict,
            false => Standing::Stale,
        }
    }

    /// Both objections in one: the higher sequence counts, and a conflict stays one.
    pub fn with(self, other: Option<Objected>) -> Objected {
        let Some(other) = other else { return self };
        Objected {
            sequence: self.sequence.max(other.sequence),
            is_conflict: self.is_conflict || other.is_conflict,
        }
    }
}
