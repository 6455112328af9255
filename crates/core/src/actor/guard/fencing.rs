//! Pids whose state is in a store that fences.
//!
//! Such a store counts the boots of a pid, and each boot ends the one before it for good: what that may still hand out is
//! its own, and it never gets more. So of two lives of one incarnation that both say so, the one with the higher boot has
//! the pid. Nobody needs to ask whether the other one is alive, and both being alive is no conflict. The lower one must stop
//! all the same: what it still hands out is out of order. It learns that from its store too, only later.
//!
//! All other lives are judged as ever. The same boot twice, or a boot that falls, is a store that was rolled back. And a life
//! that does not fence, because its state was on a disk before, is not ended by a boot in the store.
//!
//! This is not durable: a server that has forgotten it judges such lives as those of a directory. Then a newcomer waits
//! until the one before it does not answer.

use super::{Claimant, Known};
use crate::{limits::LIVES_PER_PID_MAX, words::LifeMarks};

impl Known {
    /// Notes a life, if it says that its store fences.
    pub(super) fn note_fencing(&mut self, claimant: &Claimant) {
        let life = claimant.life();
        if !claimant.fences || self.fencing.contains(&life) {
            return;
        }
        if self.fencing.len() >= LIVES_PER_PID_MAX {
            self.fencing.remove(0);
        }
        self.fencing.push(life);
    }

    /// Whether `newcomer` has taken the pid from `before`, for good.
    pub(super) fn has_taken_over(&self, newcomer: &Claimant, before: LifeMarks) -> bool {
        // bug FencedIncumbentAsked: return false;
        newcomer.fences && before.is_followed_by(newcomer.life()) && self.fencing.contains(&before)
    }

    /// Whether another life is known that has taken the pid from this one, for good.
    pub(super) fn has_lost_pid(&self, life: &Claimant) -> bool {
        let is_later = |later: &LifeMarks| life.life().is_followed_by(*later);
        // bug GuardObjectsToOwner: return life.fences && self.fencing.iter().any(|other| other.is_followed_by(life.life()));
        life.fences && self.fencing.iter().any(is_later)
    }
}

/// Whether the store keeps these two lives apart, by their sessions. Both alive is no conflict then.
pub(super) fn are_kept_apart(fencing: &[LifeMarks], sessions: [u64; 2]) -> bool {
    let marks = |session| fencing.iter().find(|life| life.session == session);
    match sessions.map(marks) {
        [Some(one), Some(other)] => one.is_followed_by(*other) || other.is_followed_by(*one),
        _ => false,
    }
}
