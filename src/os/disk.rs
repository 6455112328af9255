//! What keeps the state, each on a thread of its own, so that a slow disk or a slow etcd holds up only the requests that
//! wait for it, and one that hangs can be seen in `status`.

use std::{collections::VecDeque, io, sync::mpsc, thread, time::Duration};

use log::error;

use super::{Done, Reporter, pid_threads::PidThreads};
use ipseity_core::{
    actor::{Outcome, Remembered, Write},
    time::Instant,
    words::{StorageStatus, StoreKind, StoreStatus, WriteTimes},
};

use crate::{
    limits::WRITE_TIMES_US,
    store::{MembersFile, Store, StoreError},
};

/// The disk as the loop sees it: writes go in, outcomes come back through the reporter.
#[derive(Debug)]
pub(super) struct Disk {
    door: Door,
    /// When each write under way was handed over, the oldest first. The oldest counts from the end of the write before
    /// it, if that was later.
    under_way: VecDeque<Instant>,
    writes: u64,
    longest: Duration,
    times: WriteTimes,
    /// When it was asked for the last confirmation that the server has its pid; `None` if there is nothing to confirm.
    confirmed_at: Option<Instant>,
    /// How long the last confirmation took.
    answered: Duration,
    leases_lost: u64,
}

/// Where the writes go. Each write is answered once, and in order, whichever it is.
#[derive(Debug)]
enum Door {
    /// Nothing is durable, and each write is done at once. The actor's ceiling is the end of the sequence, so it
    /// asks for no higher one.
    Nothing(Reporter),
    /// The thread of a state directory.
    Directory(mpsc::Sender<Write>),
    /// The threads of a pid in etcd.
    Pid(PidThreads),
}

impl Disk {
    pub(super) fn ephemeral(reporter: Reporter) -> Disk {
        Disk::behind(Door::Nothing(reporter))
    }

    /// Sends every write to `store`, on a thread of its own.
    pub(super) fn durable(store: Store, reporter: Reporter) -> io::Result<Disk> {
        let (writes, inbox) = mpsc::channel();
        thread::Builder::new()
            .name("ipseity-disk".to_owned())
            .spawn(move || write_all(store, &inbox, &reporter))?;
        Ok(Disk::behind(Door::Directory(writes)))
    }

    /// Sends every write to etcd, on a thread of its own.
    /// It was confirmed at this moment that the server has its pid.
    pub(super) fn in_etcd(threads: PidThreads, confirmed_at: Instant) -> Disk {
        Disk {
            confirmed_at: Some(confirmed_at),
            ..Disk::behind(Door::Pid(threads))
        }
    }

    fn behind(door: Door) -> Disk {
        Disk {
            door,
            under_way: VecDeque::new(),
            writes: 0,
            longest: Duration::ZERO,
            times: WriteTimes::new(&WRITE_TIMES_US),
            confirmed_at: None,
            answered: Duration::ZERO,
            leases_lost: 0,
        }
    }

    pub(super) fn write(&mut self, write: Write, now: Instant) {
        match &self.door {
            Door::Nothing(reporter) => {
                reporter.report(Done::Written(write.written(Outcome::Durable)));
            }
            Door::Directory(writes) | Door::Pid(PidThreads { writes, .. }) => {
                self.under_way.push_back(now);
                writes
                    .send(write)
                    .expect("the thread ends only when this sender is dropped");
            }
        }
    }

    /// Notes that the oldest write under way is done, and how.
    pub(super) fn finished(&mut self, now: Instant, outcome: Outcome) {
        if let Some(started_at) = self.under_way.pop_front() {
            self.writes += 1;
            let took = now.since(started_at);
            self.longest = self.longest.max(took);
            self.times.record(took, outcome != Outcome::Durable);
        }
        if let Some(next) = self.under_way.front_mut() {
            *next = now;
        }
    }

    /// Notes that it was confirmed that the server has its pid, as was asked at this moment, and how long that took.
    pub(super) fn confirmed(&mut self, at: Instant, took: Duration, is_new_lease: bool) {
        self.confirmed_at = Some(at);
        self.answered = took;
        self.leases_lost += u64::from(is_new_lease);
    }

    /// What keeps the state. The caller fills in whether it answers.
    pub(super) fn store(&self, now: Instant) -> StoreStatus {
        StoreStatus {
            kind: match self.door {
                Door::Nothing(_) => StoreKind::None,
                Door::Directory(_) => StoreKind::Directory,
                Door::Pid(_) => StoreKind::Etcd,
            },
            confirmed_us: self
                .confirmed_at
                .map_or(0, |at| micros(now.since(at)).max(1)),
            target: match &self.door {
                Door::Pid(threads) => threads.target.clone(),
                Door::Nothing(_) | Door::Directory(_) => String::new(),
            },
            answered_us: micros(self.answered),
            leases_lost: self.leases_lost,
            ..StoreStatus::default()
        }
    }

    pub(super) fn times(&self) -> &WriteTimes {
        &self.times
    }

    pub(super) fn status(&self, now: Instant) -> StorageStatus {
        StorageStatus {
            durable: match self.door {
                Door::Nothing(_) => false,
                Door::Directory(_) | Door::Pid(_) => true,
            },
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

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The work of the thread: one write after the other, until the server is gone.
fn write_all(mut store: Store, inbox: &mpsc::Receiver<Write>, reporter: &Reporter) {
    let mut members_file = MembersFile::new(store.path());
    // The error that was logged last. Peers cause these writes, so a disk that stays full is logged once.
    let mut told = None;
    for write in inbox {
        let outcome = match &write {
            Write::Ceiling { sequence, ceiling } => {
                logged(&store.write_ceiling(*sequence, *ceiling))
            }
            Write::Objection(objected) => logged(&store.write_objection(*objected)),
            Write::Members(members) => {
                let result = save(members, &mut members_file, &mut store);
                let failure = result.as_ref().err().cloned();
                if let Some(error) = failure
                    .as_ref()
                    .filter(|error| told.as_ref() != Some(*error))
                {
                    error!(
                        event = "membersNotSaved", reason:% = error;
                        "cannot remember the peers: {error}"
                    );
                }
                told = failure;
                Outcome::of(&result)
            }
            Write::Stop { sequence } => logged(&store.write_stop(*sequence)),
        };
        reporter.report(Done::Written(write.written(outcome)));
    }
}

/// Saves what is remembered of the peers, and notes in the state file that there is such a file. Others rely on it once
/// both are durable. If the machine fails in between, the next start finds the file and notes it; the other way round it
/// would miss a file that there never was.
fn save(members: &[Remembered], file: &mut MembersFile, store: &mut Store) -> Result<(), String> {
    file.save(members).map_err(|error| error.to_string())?;
    store
        .write_members_saved()
        .map_err(|error| error.to_string())
}

fn logged(result: &Result<(), StoreError>) -> Outcome {
    if let Err(error) = result {
        error!(event = "writeFailed"; "{error}");
    }
    Outcome::of(result)
}
