//! A connection that is being made. It has a thread and a time of its own: the call that began it may end before, and then a
//! later one finds it. And nothing can end a lookup, an attempt to connect or a handshake from outside, so whoever does not
//! want to wait any more goes on without it.

use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
};

use crate::{
    clock::{Deadline, Stopwatch},
    closed::Closed,
    connection::Connection,
    error::FailureCause,
    limits::CLOSE_NOTICED,
    setup::Setup,
};

/// An attempt to connect. If it is dropped, the connection is closed as soon as it is there.
#[derive(Debug)]
pub(crate) struct Connecting {
    /// The place of the server in the list.
    pub(crate) place: usize,
    outcome: Receiver<Outcome>,
}

/// How an attempt has ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ended: Stopwatch,
    pub(crate) opened: Result<Connection, FailureCause>,
}

impl Outcome {
    fn of(opened: Result<Connection, FailureCause>) -> Outcome {
        Outcome {
            ended: Stopwatch::start(),
            opened,
        }
    }
}

impl Connecting {
    /// Begins to connect. Where there can be no thread for it, it is done at once, within the time of the call.
    pub(crate) fn begin(setup: &Setup, place: usize, call: Deadline) -> Connecting {
        let (sender, outcome) = mpsc::channel();
        let time = setup.options.connect_timeout;
        let open = {
            let (setup, sender) = (setup.clone(), sender.clone());
            // If nobody wants it any more, it is closed here.
            move || drop(sender.send(Outcome::of(Connection::open(&setup, place, time))))
        };
        let thread = thread::Builder::new().name("ipseity-connect".to_owned());
        if thread.spawn(open).is_err() {
            let time = time.min(call.left().unwrap_or_default());
            let _ = sender.send(Outcome::of(Connection::open(setup, place, time)));
        }
        Connecting { place, outcome }
    }

    /// What has come of it, if it has ended.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.outcome.try_recv().ok()
    }

    /// Waits for its end. `None` if the call or the client has ended before.
    pub(crate) fn wait(&self, call: Deadline, closed: &Closed) -> Option<Outcome> {
        loop {
            let left = call.left()?;
            match self.outcome.recv_timeout(CLOSE_NOTICED.min(left)) {
                Ok(outcome) => return Some(outcome),
                Err(RecvTimeoutError::Timeout) if !closed.is_closed() => {}
                Err(RecvTimeoutError::Timeout) => return None,
                // Its thread has panicked.
                Err(RecvTimeoutError::Disconnected) => {
                    return Some(Outcome::of(Err(FailureCause::Closed { bytes: 0 })));
                }
            }
        }
    }
}
