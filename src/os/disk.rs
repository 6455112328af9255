//! The state directory on a thread of its own, so that a slow disk holds up only those who wait for it, and
//! a disk that hangs can be seen in `status`.

use std::{collections::VecDeque, io, sync::mpsc, thread, time::Duration};

use log::error;

use super::{Done, Reporter};
use ipseity_core::{actor::Remembered, identity::Sequence, time::Instant, words::StorageStatus};

use crate::store::{MembersFile, Store};

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
    Object {
        sequence: Sequence,
    },
    Save {
        members: Vec<Remembered>,
    },
}

/// The disk as the loop sees it: tasks go in, outcomes come back through the reporter.
#[derive(Debug)]
pub(super) struct Disk {
    /// `None` where nothing is durable.
    tasks: Option<mpsc::Sender<Task>>,
    /// When each of those under way was handed over, the oldest first.
    under_way: VecDeque<Instant>,
    /// What is remembered of the peers is being saved, or waits for that.
    saving: bool,
    /// What is to be saved when that is done: only the newest counts, and raises come between.
    save_next: Option<Vec<Remembered>>,
    writes: u64,
    longest: Duration,
}

impl Disk {
    /// Nothing is durable. The actor's ceiling is the end of the sequence, so it asks for no raise.
    pub(super) fn ephemeral() -> Disk {
        Disk {
            tasks: None,
            under_way: VecDeque::new(),
            saving: false,
            save_next: None,
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
        if let Some(members) = self.save_next.take() {
            self.begin(Task::Save { members }, now);
        }
        self.begin(Task::Stop { sequence }, now)
    }

    pub(super) fn save_members(&mut self, members: Vec<Remembered>, now: Instant) {
        if self.saving {
            self.save_next = Some(members);
        } else {
            self.saving = self.begin(Task::Save { members }, now);
        }
    }

    /// Hears that the oldest of those under way is done, and that it was a save.
    pub(super) fn saved(&mut self, now: Instant) {
        self.finished(now);
        self.saving = false;
        if let Some(members) = self.save_next.take() {
            self.save_members(members, now);
        }
    }

    pub(super) fn object(&mut self, sequence: Sequence, now: Instant) {
        self.begin(Task::Object { sequence }, now);
    }

    fn begin(&mut self, task: Task, now: Instant) -> bool {
        let Some(tasks) = &self.tasks else {
            return false;
        };
        self.under_way.push_back(now);
        tasks
            .send(task)
            .expect("the disk's thread ends only when this sender is dropped");
        true
    }

    /// Hears that the oldest of those under way is done.
    pub(super) fn finished(&mut self, now: Instant) {
        if let Some(started_at) = self.under_way.pop_front() {
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
            current_write_us: self
                .under_way
                .front()
                .map_or(0, |at| micros(now.since(*at)).max(1)),
            ..StorageStatus::default()
        }
    }
}

/// The thread: one task after the other, until there is no server any more.
fn write_all(mut store: Store, inbox: &mpsc::Receiver<Task>, reporter: &Reporter) {
    let mut members_file = MembersFile::new(store.path());
    for task in inbox {
        let done = match task {
            Task::Raise { sequence, ceiling } => {
                Done::Raised(succeeded(store.raise(sequence, ceiling)))
            }
            Task::Stop { sequence } => Done::Stopped(succeeded(store.stop(sequence))),
            Task::Object { sequence } => Done::Objected(succeeded(store.object(sequence))),
            Task::Save { members } => {
                if let Err(error) = members_file.save(&members) {
                    error!("cannot remember the peers: {error}");
                }
                Done::Saved
            }
        };
        reporter.report(done);
    }
}

fn succeeded(outcome: Result<(), crate::store::StoreError>) -> bool {
    outcome.inspect_err(|error| error!("{error}")).is_ok()
}
