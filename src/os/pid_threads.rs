//! The threads of a pid in etcd: one raises the ceiling and stops, the other gives signs of life. Both call etcd and wait
//! for its answers, so neither may be the loop's.

use std::{
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use ipseity_core::{
    actor::{Outcome, Write},
    time::{Instant, is_due},
};
use ipseity_etcd::CallError;
use ipseity_pids::Lost;
use log::{error, info, warn};

use super::{Clock, Done, Reporter};
use crate::{
    limits::{KEEP_RETRY, LINES_SPAN},
    pid_store::{Confirmed, Keeper, PidStore, Sign, Writer},
};

/// What the loop holds of the two threads.
#[derive(Debug)]
pub(super) struct PidThreads {
    /// Where etcd is, for people.
    pub(super) target: String,
    pub(super) writes: mpsc::Sender<Write>,
    /// The thread of the lease ends when this is dropped.
    _running: mpsc::Sender<()>,
}

/// Starts both threads.
pub(super) fn begin(store: PidStore, clock: Clock, reporter: &Reporter) -> io::Result<PidThreads> {
    let PidStore {
        target,
        writer,
        keeper,
    } = store;
    let (writes, inbox) = mpsc::channel();
    let (running, ended) = mpsc::channel();
    let told = Arc::new(AtomicBool::new(false));
    let writing = Writing {
        writer,
        reporter: reporter.clone(),
        told: Arc::clone(&told),
        lines: Lines::new(clock),
    };
    let keeping = Keeping {
        keeper,
        reporter: reporter.clone(),
        told,
        clock,
        lines: Lines::new(clock),
        owners: Vec::new(),
    };
    let thread = |name: &str| thread::Builder::new().name(name.to_owned());
    thread("ipseity-store").spawn(move || writing.run(&inbox))?;
    thread("ipseity-lease").spawn(move || keeping.run(&ended))?;
    Ok(PidThreads {
        target,
        writes,
        _running: running,
    })
}

/// The thread that writes.
struct Writing {
    writer: Writer,
    reporter: Reporter,
    told: Arc<AtomicBool>,
    lines: Lines,
}

impl Writing {
    fn run(mut self, inbox: &mpsc::Receiver<Write>) {
        for write in inbox {
            let outcome = self.write(&write);
            self.reporter.report(Done::Written(write.written(outcome)));
        }
    }

    fn write(&mut self, write: &Write) -> Outcome {
        let lines = &mut self.lines;
        let mut failed = |error: &CallError| {
            if lines.may_tell_failed() {
                warn!(
                    event = "storeFails", reason:% = error;
                    "a write to etcd has failed and is tried again: {error}"
                );
            }
        };
        let done = match write {
            Write::Ceiling { sequence, ceiling } => {
                self.writer.raise(*sequence, *ceiling, &mut failed)
            }
            Write::Stop { sequence } => self.writer.stop(*sequence, &mut failed),
            // Kept in memory only: neither counts for a life after this one, which is claimed and judged anew.
            Write::Members(_) | Write::Objection(_) => return Outcome::Durable,
        };
        match done {
            Ok(()) => {
                if self.lines.take_failed() {
                    info!(event = "storeAnswers"; "etcd answers again: the write was made");
                }
                Outcome::Durable
            }
            Err(lost) => {
                tell_of_loss(&lost, &self.told);
                Outcome::Fenced
            }
        }
    }
}

/// The thread that keeps the lease.
struct Keeping {
    keeper: Keeper,
    reporter: Reporter,
    told: Arc<AtomicBool>,
    clock: Clock,
    lines: Lines,
    /// What was reported last.
    owners: Vec<String>,
}

impl Keeping {
    fn run(mut self, ended: &mpsc::Receiver<()>) {
        let mut wait = Duration::ZERO;
        while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            let begun = self.clock.now();
            let Some(next) = self.keep() else {
                return;
            };
            wait = next.saturating_sub(self.clock.now().since(begun));
        }
    }

    /// Gives a sign of life. Returns how soon after it the next one is due; `None` if there is to be none.
    fn keep(&mut self) -> Option<Duration> {
        match self.keeper.keep() {
            Sign::Confirmed {
                confirmed,
                is_new,
                owners,
            } => {
                self.confirmed(confirmed, is_new);
                if self.owners != owners {
                    self.owners.clone_from(&owners);
                    self.reporter.report(Done::Owners(owners));
                }
                Some(self.keeper.interval())
            }
            Sign::Unknown(error) => {
                self.unknown(&error);
                Some(KEEP_RETRY.min(self.keeper.interval()))
            }
            Sign::Stopped => None,
            Sign::Lost(lost) => {
                tell_of_loss(&lost, &self.told);
                self.reporter.report(Done::Fenced);
                None
            }
        }
    }

    fn confirmed(&mut self, confirmed: Confirmed, is_new: bool) {
        let pid = self.keeper.pid();
        if self.lines.take_failed() {
            info!(event = "leaseAnswers", pid = pid.get(); "etcd answers again: the lease of pid {pid} is confirmed");
        }
        if is_new {
            info!(
                event = "leaseRemade", pid = pid.get();
                "the lease of pid {pid} had ended, and nobody has taken the pid meanwhile: it has a new one"
            );
        }
        self.reporter.report(Done::Leased {
            confirmed,
            took: self.clock.now().since(confirmed.at),
            is_new,
        });
    }

    fn unknown(&mut self, error: &CallError) {
        if self.lines.may_tell_failed() {
            let pid = self.keeper.pid();
            warn!(
                event = "leaseFails", pid = pid.get(), reason:% = error;
                "etcd does not confirm the lease of pid {pid}, which is tried again: {error}"
            );
        }
    }
}

/// Says once why the server ends, whichever of the two threads has found it out first.
fn tell_of_loss(lost: &Lost, told: &AtomicBool) {
    if told.swap(true, Ordering::Relaxed) {
        return;
    }
    match lost {
        Lost::Fenced { .. } => error!(
            event = "fenced", reason:% = lost;
            "FENCED: {lost}; this server hands out nothing more and exits; if both were to run, give one of them \
             another --pid, or --pid auto"
        ),
        Lost::Breach(breach) => error!(
            event = "storeBreached", reason:% = breach;
            "THE STORE IS NOT WHAT IT WAS: {breach}; this server hands out nothing more and exits"
        ),
    }
}

/// The lines about calls that fail: at most one in [`LINES_SPAN`], however often etcd answers in between, and one when it
/// is over.
struct Lines {
    clock: Clock,
    told_at: Option<Instant>,
    /// That it is over was not told yet.
    is_open: bool,
}

impl Lines {
    fn new(clock: Clock) -> Lines {
        Lines {
            clock,
            told_at: None,
            is_open: false,
        }
    }

    fn may_tell_failed(&mut self) -> bool {
        let is_due = is_due(&mut self.told_at, self.clock.now(), LINES_SPAN);
        self.is_open |= is_due;
        is_due
    }

    /// It is over. Returns whether it was told.
    fn take_failed(&mut self) -> bool {
        mem::take(&mut self.is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etcd_that_fails_again_and_again_is_told_of_once() {
        let mut lines = Lines::new(Clock::begin());
        assert!(!lines.take_failed());
        assert!(lines.may_tell_failed());
        assert!(!lines.may_tell_failed());
        assert!(lines.take_failed());
        for _ in 0..3 {
            assert!(!lines.may_tell_failed());
            assert!(!lines.take_failed());
        }
    }
}
