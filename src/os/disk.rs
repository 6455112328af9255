//! The state directory on a thread of its own, so that a slow disk holds up only those who wait for it, and
//! a disk that hangs can be seen in `status`.

use std::{io, sync::mpsc, thread, time::Duration};

use log::error;

use super::{Done, Reporter};
use crate::{identity::Sequence, store::Store, time::Instant, wire::StorageStatus};

/// What is to be made durable.
#[derive(Debug)]
enum Task {
    Raise {
        sequence: Sequence,
        ceiling: Sequence,
    },
    Stop {
        sequence: Sequence,
    },
}

/// The disk as the loop sees it: tasks go in, outcomes come back through the reporter.
#[derive(Debug)]
pub(super) struct Disk {
    /// `None` where nothing is durable.
    tasks: Option<mpsc::Sender<Task>>,
    started_at: Option<Instant>,
    writes: u64,
    longest: Duration,
}

impl Disk {
    /// Nothing is durable. The actor's ceiling is the end of the sequence, so it asks for no raise.
    pub(super) fn ephemeral() -> Disk {
        Disk {
            tasks: None,
            started_at: None,
            writes: 0,
            longest: Duration::ZERO,
        }
    }

    /// Everything goes to `store`, on a thread of its own.
    pub(super) fn durable(store: Store, reporter: Reporter) -> io::Result<Disk> {
        let (tasks, inbox) = mpsc::channel();
        thread::Builder::new()
            .name("ipseity-disk".to_owned())
            .spawn(move || write_all(store, &inbox, &reporter))?;
        Ok(Disk {
            tasks: Some(tasks),
            ..Disk::ephemeral()
        })
    }

    pub(super) fn raise(&mut self, sequence: Sequence, ceiling: Sequence, now: Instant) {
        self.begin(Task::Raise { sequence, ceiling }, now);
    }

    /// Returns false where nothing is durable, and no outcome will come.
    pub(super) fn stop(&mut self, sequence: Sequence, now: Instant) -> bool {
        self.begin(Task::Stop { sequence }, now)
    }

    fn begin(&mut self, task: Task, now: Instant) -> bool {
        let Some(tasks) = &self.tasks else {
            return false;
        };
        self.started_at = Some(now);
        tasks
            .send(task)
            .expect("the disk's thread ends only when this sender is dropped");
        true
    }

    /// Hears that the task that was under way is done.
    pub(super) fn finished(&mut self, now: Instant) {
        if let Some(started_at) = self.started_at.take() {
            self.writes += 1;
            self.longest = self.longest.max(now.since(started_at));
        }
    }

    pub(super) fn status(&self, now: Instant) -> StorageStatus {
        let micros = |wait: Duration| u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        StorageStatus {
            durable: self.tasks.is_some(),
            writes: self.writes,
            longest_write_us: micros(self.longest),
            current_write_us: self.started_at.map_or(0, |at| micros(now.since(at)).max(1)),
            ..StorageStatus::default()
        }
    }
}

/// The thread: one task after the other, until there is no server any more.
fn write_all(mut store: Store, inbox: &mpsc::Receiver<Task>, reporter: &Reporter) {
    for task in inbox {
        let done = match task {
            Task::Raise { sequence, ceiling } => {
                Done::Raised(succeeded(store.raise(sequence, ceiling)))
            }
            Task::Stop { sequence } => Done::Stopped(succeeded(store.stop(sequence))),
        };
        reporter.report(done);
    }
}

fn succeeded(outcome: Result<(), crate::store::StoreError>) -> bool {
    outcome.inspect_err(|error| error!("{error}")).is_ok()
}
