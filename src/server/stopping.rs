//! Stopping: what has arrived is answered, the exact sequence is made durable, what was answered leaves, each
//! within a bound.

use log::{error, info, warn};

use super::{Exit, Server};
use ipseity_core::{
    actor::{Event, Outcome},
    time::Instant,
    timer::Timer,
};

use crate::{
    edge::Edge,
    limits::{STOP_DRAIN, STOP_REPEAT, STOP_TIMEOUT, STORAGE_EXIT},
    mailbox::Entry,
};

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopping {
    No,
    /// What has arrived is still read and answered; the whole stop ends at the deadline.
    Draining {
        deadline: Instant,
    },
    /// The actor was told to stop; the exact sequence is being made durable.
    Settling,
    /// It is durable; what was answered is being written.
    Flushing,
    /// The disk failed: the clients are being told, then the server exits.
    Failing,
}

impl<E: Edge> Server<E> {
    pub(super) fn on_signal(&mut self) {
        if let Some(asked_at) = self.stop_asked_at
            && self.now.since(asked_at) < STOP_REPEAT
        {
            return;
        }
        match self.stopping {
            Stopping::No => self.begin_stop(),
            Stopping::Failing => info!("asked to stop: the server is about to exit anyway"),
            Stopping::Draining { .. } | Stopping::Settling | Stopping::Flushing => {
                warn!("asked to stop a second time: exiting at once");
                self.exit = Some(Exit::Forced);
            }
        }
    }

    fn begin_stop(&mut self) {
        info!("asked to stop: answering what has arrived");
        self.stop_asked_at = Some(self.now);
        self.stopping = Stopping::Draining {
            deadline: self.now.after(STOP_TIMEOUT),
        };
        // Those who wait in the queue have arrived too.
        self.on_acceptable();
        self.edge.stop_accepting();
        self.timers.stop(Timer::Dial);
        self.timers.set(Timer::Stop, self.now.after(STOP_DRAIN));
        self.transport.dispatch_all(&mut self.mailbox);
    }

    /// Takes a stop to its next step, at the end of a turn.
    pub(super) fn advance_stop(&mut self) {
        match self.stopping {
            Stopping::No | Stopping::Settling => {}
            Stopping::Draining { deadline } => {
                if self.mailbox.is_empty() && self.transport.in_flight() == 0 {
                    self.settle(deadline);
                }
            }
            Stopping::Flushing => {
                if self.transport.is_flushed() {
                    self.exit = Some(self.clean_exit());
                }
            }
            Stopping::Failing => {}
        }
    }

    fn settle(&mut self, deadline: Instant) {
        self.stopping = Stopping::Settling;
        self.timers.set(Timer::Stop, deadline);
        self.mailbox.dispatch(Entry::Event(Event::Stop));
    }

    pub(super) fn on_stopped(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Durable => {
                self.stopping = Stopping::Flushing;
                // Otherwise clients that go on asking would never be done.
                self.transport.drain_all();
            }
            Outcome::Failed => self.exit = Some(Exit::StorageFailed),
        }
    }

    pub(super) fn on_stop_timeout(&mut self) {
        match self.stopping {
            Stopping::No => {}
            // Clients go on asking: what comes from now on is refused.
            Stopping::Draining { deadline } => self.settle(deadline),
            Stopping::Settling => {
                let storage = self.edge.storage();
                error!(
                    "the disk takes too long: exiting without a clean stop; the next start skips ahead (a \
                     write has been under way for {} ms, and the longest before it took {} ms)",
                    storage.current_write_us / 1000,
                    storage.longest_write_us / 1000
                );
                self.exit = Some(Exit::StorageFailed);
            }
            Stopping::Flushing => {
                warn!("some clients do not read their replies: exiting without them");
                self.exit = Some(self.clean_exit());
            }
            Stopping::Failing => self.exit = Some(Exit::StorageFailed),
        }
    }

    fn clean_exit(&mut self) -> Exit {
        self.tell_what_was_left_out();
        info!("stopped at sequence {}", self.actor.sequence());
        if self.actor.is_objected() {
            Exit::Objected
        } else {
            Exit::Clean
        }
    }

    /// The disk failed: goes on for a moment with what it has, so that clients are told, and then exits.
    pub(super) fn begin_failing(&mut self) {
        self.stopping = Stopping::Failing;
        self.timers.set(Timer::Stop, self.now.after(STORAGE_EXIT));
    }
}
