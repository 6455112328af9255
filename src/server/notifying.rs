//! Telling the supervisor how the server stands, and that its loop turns.

use ipseity_core::{timer::Timer, words::Standing};

use super::{Server, stopping::Stopping};
use crate::edge::Edge;

impl<E: Edge> Server<E> {
    /// Tells the supervisor that the server runs, and how it stands. A timer calls this again when the edge asks for it, so
    /// a supervisor that waits for a sign of life gets one only if the mailbox is worked off.
    #[cold]
    pub(super) fn notify(&mut self) {
        self.told = self.standing_now();
        match self.edge.notify(self.told) {
            Some(wait) => self.timers.set(Timer::Notify, self.now.after(wait)),
            None => self.timers.stop(Timer::Notify),
        }
    }

    /// Does so if it stands differently now. Called after the effects of each event that has any, and nearly every change
    /// has one. A request that waits for a write that was late before it came has none: the next event tells of it.
    pub(super) fn notify_of_change(&mut self) {
        if self.standing_now() != self.told {
            self.notify();
        }
    }

    /// How the server stands, as all are told who ask. A stop begins before the actor hears of it, because what has arrived
    /// is answered first.
    pub(super) fn standing_now(&self) -> Standing {
        match self.stopping {
            Stopping::No | Stopping::Failing(_) => self.actor.standing(),
            Stopping::Asked { .. } | Stopping::Over(_) => Standing::Stopping,
        }
    }
}
