//! How signals are handled. docs/operations.md has the table.
//!
//! While a server starts, a signal to stop ends it at once, as it does by default: nobody has been answered yet. After
//! that, each signal is an entry of the mailbox. A signal without a handler has no effect on the first process of a
//! container, so there the server has handlers from the beginning.

use std::{
    io, process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};
use signal_hook_mio::v1_0::Signals;

use crate::mailbox::Entry;

/// By convention, the exit code of a process that a signal has ended is this plus the number of the signal.
const ENDED_BY_SIGNAL: i32 = 128;

/// The signals during a start.
#[derive(Debug)]
pub struct StartSignals {
    is_starting: Arc<AtomicBool>,
}

impl StartSignals {
    /// From now on SIGHUP does not end the process, and a signal to stop ends even the first process of a container.
    ///
    /// # Errors
    /// The system refuses the handlers.
    pub fn handle() -> io::Result<StartSignals> {
        let is_starting = Arc::new(AtomicBool::new(true));
        // There is nothing to open again yet, so nothing checks whether it came.
        flag::register(SIGHUP, Arc::new(AtomicBool::new(false)))?;
        if process::id() == 1 {
            for signal in [SIGTERM, SIGINT] {
                let condition = Arc::clone(&is_starting);
                flag::register_conditional_shutdown(signal, ENDED_BY_SIGNAL + signal, condition)?;
            }
        }
        Ok(StartSignals { is_starting })
    }

    /// Takes over: from now on [`entry`] says what each signal is for the server.
    pub(super) fn take_over(self) -> io::Result<Signals> {
        let signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        self.is_starting.store(false, Ordering::SeqCst);
        Ok(signals)
    }
}

/// The entry of the mailbox for a signal.
pub(super) fn entry(signal: i32) -> Entry {
    match signal {
        SIGHUP => Entry::Hangup,
        // SIGTERM or SIGINT: there are no others in the set.
        _ => Entry::Signal,
    }
}
