//! Stopping: all requests that have arrived are answered, the exact sequence is made durable, and the answers are
//! written. Each step has a time limit.

use log::{error, info, warn};

use super::{
    Exit, Server,
    telling::{Line, Whom},
};
use ipseity_core::{
    actor::{Event, Outcome},
    time::Instant,
    timer::Timer,
    words::StoreKind,
};

use crate::{
    edge::Edge,
    limits::{
        PAUSED, SETTLE_LEAST, STOP_DRAIN, STOP_PAUSES_MAX, STOP_REPEAT, STOP_TIMEOUT, STORAGE_EXIT,
    },
    mailbox::Entry,
};

/// Whether the server goes on running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopping {
    No,
    /// It was asked to stop.
    Asked {
        at: Instant,
        step: Step,
    },
    /// The disk failed, or another session has the pid: clients are told, and then the server exits.
    Failing(Exit),
    /// The server exits at the end of this turn.
    Over(Exit),
}

/// How far a requested stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Requests that have arrived are still read and answered, also those of clients that have to read replies first. The
    /// whole stop ends at the deadline.
    Draining { deadline: Instant },
    /// The actor was told to stop, and the exact sequence is being made durable. The disk has until the deadline. `pauses`
    /// is how often that was put off, because the process was paused beyond it.
    Settling { deadline: Instant, pauses: u32 },
    /// The exact sequence is durable. The remaining answers are being written, clients close, and the last news of the
    /// peers is being saved.
    Flushing,
}

impl<E: Edge> Server<E> {
    #[cold]
    pub(super) fn on_signal(&mut self) {
        match self.stopping {
            Stopping::No => self.begin_stop(),
            // The same signal arrived twice, for example for the process and for its group.
            Stopping::Asked { at, .. } if self.now.since(at) < STOP_REPEAT => {}
            Stopping::Asked { .. } => {
                warn!(event = "stopForced"; "asked to stop a second time: exiting at once");
                self.stopping = Stopping::Over(Exit::Forced);
            }
            Stopping::Failing(_) => {
                if self.may_tell(Line::StopRepeated, Whom::Nobody) {
                    info!(
                        event = "stopRepeated";
                        "asked to stop: the server is about to exit anyway"
                    );
                }
            }
            Stopping::Over(_) => {}
        }
    }

    /// Opens the trace again. Whoever sends SIGHUP in a loop does not fill the log with the answers.
    pub(super) fn on_hangup(&mut self) {
        let is_told = self.may_tell(Line::Hangup, Whom::Nobody);
        self.edge.reopen(is_told);
        self.read_certificates(is_told);
    }

    fn begin_stop(&mut self) {
        info!(event = "stopping"; "asked to stop: answering what has arrived");
        let deadline = self.now.after(STOP_TIMEOUT);
        self.stopping = Stopping::Asked {
            at: self.now,
            step: Step::Draining { deadline },
        };
        self.transport.begin_parting();
        self.notify_of_change();
        // Connections that wait in the kernel's queue have arrived too.
        self.accept_the_last();
        self.edge.stop_accepting();
        self.timers.stop(Timer::Dial);
        self.timers.set(Timer::Stop, self.now.after(STOP_DRAIN));
        self.transport.dispatch_all(&mut self.mailbox);
    }

    /// Moves a stop to its next step, at the end of a turn. Returns how the server ends once that is decided.
    #[inline(always)]
    pub(super) fn advance_stop(&mut self) -> Option<Exit> {
        match self.stopping {
            Stopping::No => None,
            Stopping::Asked { .. } | Stopping::Failing(_) | Stopping::Over(_) => self.advance(),
        }
    }

    #[cold]
    fn advance(&mut self) -> Option<Exit> {
        let exit = match self.stopping {
            Stopping::No | Stopping::Failing(_) => None,
            Stopping::Asked { at, step } => self.advance_to(at, step),
            Stopping::Over(exit) => Some(exit),
        };
        // One that was not started has nothing that its next start would miss: it asks anew.
        let has_run = exit.is_some_and(|exit| exit != Exit::Refused);
        if has_run && !self.actor.has_saved() {
            warn!(
                event = "savesLost";
                "what the peers have said since the last save is lost: after the next start, this server may not \
                 notice if one of them has lost its state"
            );
        }
        exit
    }

    fn advance_to(&mut self, at: Instant, step: Step) -> Option<Exit> {
        match step {
            Step::Draining { deadline } => {
                let is_answered = self.mailbox.is_empty() && self.transport.in_flight() == 0;
                if is_answered && !self.transport.has_held_up() {
                    self.stop_actor(at, deadline);
                }
                None
            }
            Step::Settling { .. } => None,
            // Peers may have spoken until the exact sequence was durable.
            Step::Flushing if self.actor.is_saving() => None,
            Step::Flushing => self.transport.has_parted().then(|| self.clean_exit()),
        }
    }

    fn stop_actor(&mut self, at: Instant, deadline: Instant) {
        // After a pause of the process the deadline may be over, but the disk has had no time yet.
        self.settle_until(at, deadline.max(self.now.after(SETTLE_LEAST)), 0);
        self.mailbox.dispatch(Entry::Event(Event::Stop));
    }

    fn settle_until(&mut self, at: Instant, deadline: Instant, pauses: u32) {
        let step = Step::Settling { deadline, pauses };
        self.stopping = Stopping::Asked { at, step };
        self.timers.set(Timer::Stop, deadline);
    }

    /// Says that the exact sequence was not made durable in time.
    #[cold]
    fn tell_of_slow_stop(&self) {
        let storage = self.edge.storage();
        let (current, longest) = (
            storage.current_write_us / 1000,
            storage.longest_write_us / 1000,
        );
        match self.edge.store().kind {
            StoreKind::None | StoreKind::Directory => error!(
                event = "stopTimeout";
                "the disk takes too long: exiting without a clean stop; the next start skips ahead (a write has been \
                 under way for {current} ms, and the longest before it took {longest} ms)"
            ),
            StoreKind::Etcd => error!(
                event = "stopTimeout";
                "etcd takes too long: exiting without a clean stop; the next start skips ahead, and this pid stays \
                 taken until its lease ends; look whether etcd runs and has a leader (a write has been under way for \
                 {current} ms, and the longest before it took {longest} ms)"
            ),
        }
    }

    #[cold]
    pub(super) fn on_stopped(&mut self, outcome: Outcome) {
        match (self.stopping, outcome) {
            (Stopping::Asked { at, .. }, Outcome::Durable) => {
                let step = Step::Flushing;
                self.stopping = Stopping::Asked { at, step };
                // Otherwise clients that keep asking would keep the server running.
                self.transport.drain_all();
            }
            (Stopping::Asked { .. } | Stopping::Failing(_), Outcome::Failed) => {
                self.stopping = Stopping::Over(Exit::StorageFailed);
            }
            (Stopping::Asked { .. } | Stopping::Failing(_), Outcome::Fenced) => {
                self.stopping = Stopping::Over(Exit::Fenced);
            }
            (Stopping::No | Stopping::Failing(_) | Stopping::Over(_), _) => {}
        }
    }

    pub(super) fn on_stop_timeout(&mut self) {
        match self.stopping {
            Stopping::No | Stopping::Over(_) => {}
            Stopping::Asked { at, step } => match step {
                // Clients keep asking, or do not read. What is read from now on is refused.
                Step::Draining { deadline } => self.stop_actor(at, deadline),
                // The process was paused beyond the deadline, perhaps since before the write began.
                Step::Settling { deadline, pauses }
                    if pauses < STOP_PAUSES_MAX && self.now.since(deadline) >= PAUSED =>
                {
                    self.settle_until(at, self.now.after(SETTLE_LEAST), pauses + 1);
                }
                Step::Settling { .. } => {
                    self.tell_of_slow_stop();
                    self.stopping = Stopping::Over(Exit::StorageFailed);
                }
                Step::Flushing => {
                    if !self.transport.is_flushed() {
                        warn!(
                            event = "repliesLost";
                            "some clients do not read their replies: exiting without them"
                        );
                    }
                    self.stopping = Stopping::Over(self.clean_exit());
                }
            },
            Stopping::Failing(exit) => self.stopping = Stopping::Over(exit),
        }
    }

    fn clean_exit(&mut self) -> Exit {
        self.tell_what_was_left_out();
        let late = self.transport.late_to_part();
        if late > 0 {
            warn!(
                event = "clientsLate";
                "{late} clients did not close in time: exiting without them; if they were still reading, they may have \
                 lost their last answers"
            );
        }
        info!(event = "stopped"; "stopped at sequence {}", self.actor.sequence());
        match self.actor.is_objected() {
            true => Exit::Objected,
            false => Exit::Clean,
        }
    }

    /// Another server has the pid of this one, which has handed out nothing. What was answered in this turn is still
    /// written.
    pub(super) fn give_up(&mut self) {
        self.stopping = Stopping::Over(Exit::Refused);
    }

    /// The disk failed, or another session has the pid. The server goes on for a moment, so that clients are told, and then
    /// exits.
    pub(super) fn begin_failing(&mut self, exit: Exit) {
        if let Stopping::Over(_) = self.stopping {
            return;
        }
        self.stopping = Stopping::Failing(exit);
        self.timers.set(Timer::Stop, self.now.after(STORAGE_EXIT));
    }
}
