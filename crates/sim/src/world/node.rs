//! What a world keeps for one server: what wakes it, its disk, its lookups, its turns.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ipseity::mailbox::Entry;
use ipseity_core::{
    actor::{Event, Objected, Outcome, Remembered, Write, Written},
    identity::Sequence,
    ids::{ListenerId, NameId},
    time::Instant,
    words::Standing,
};

use super::{
    clock::Clock,
    end::EndId,
    pid_storage::{PidStorage, Told},
    storage::Storage,
};

/// Something that the next poll of a server reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Connections have come in.
    Acceptable(ListenerId),
    /// An end has changed.
    Ready(EndId),
    /// A signal, the disk, a lookup.
    Entry(Entry),
}

/// How the disk of a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskMode {
    /// There is no disk: nothing is durable, and the ceiling is the last sequence.
    Ephemeral,
    /// Each write takes this long.
    Takes(Duration),
    /// Each write fails after this long.
    FailsAfter(Duration),
    /// Each write goes on until the test ends it.
    Waits,
}

/// The disk of a server, across its lives.
pub struct Disk {
    pub mode: DiskMode,
    /// The sequence that a start finds. Nothing above it was ever handed out.
    pub durable: Sequence,
    /// The ceiling or the stop that is being written.
    pub under_way: Option<Write>,
    pub writes: u64,
    /// What the server remembers of its peers.
    pub members: Vec<Remembered>,
    /// The objection of a peer, if there was one.
    pub objected: Option<Objected>,
}

/// How the last poll went.
#[derive(Clone, Copy, Debug)]
pub struct Polled {
    pub deadline: Option<Instant>,
    /// Entries that the turn before had left in the mailbox.
    pub waiting: usize,
    pub dispatched: usize,
}

/// See the head of this file.
pub struct Node {
    pub address: SocketAddr,
    /// Counts the processes. A later process gets no results of an earlier one.
    pub life: u64,
    pub disk: Disk,
    /// If set, accepting fails with this error number of the operating system.
    pub accept_error: Option<i32>,
    /// How many accepted connections there are file descriptors for, if that is bounded.
    pub descriptors_max: Option<usize>,
    /// Whether accepting has failed for that since somebody looked.
    pub ran_out: bool,
    /// How often the server has called `accept`.
    pub accepts: u64,
    /// The connections that this process has accepted, apart from those that it has dropped by now.
    pub accepted: Vec<EndId>,
    /// How many connections came in all, in all lives.
    pub came: u64,
    /// Addresses that this process has dialed.
    pub dialed: BTreeSet<IpAddr>,
    /// How often this process saved what it remembers of its peers.
    pub saves: u64,
    /// Log lines of this process that were dropped.
    pub log_lines_dropped: u64,
    /// How often the server was told to open its files again.
    pub reopened: u64,
    /// What this process told its supervisor.
    pub notices: Vec<Standing>,
    /// After which time the supervisor wants to be told again.
    pub notify_every: Option<Duration>,
    /// The names that were looked up.
    pub lookups: Vec<String>,
    /// How long a lookup takes.
    pub lookup_delay: Duration,
    pub resolving: BTreeMap<NameId, String>,
    /// The owners of the other pids, as the store says.
    pub owners: Vec<String>,
    /// The number that takes the place of random numbers.
    pub random: u64,
    /// Real random numbers, in runs that have a seed.
    pub chance: Option<fastrand::Rng>,
    pub clock: Clock,
    /// A disk with the real logic of the slots, used instead of `disk` if it is set.
    pub storage: Option<Storage>,
    /// A pid in the etcd of the world, used instead of both if it is set.
    pub pid_storage: Option<PidStorage>,
    pub polled: Option<Polled>,
    wakes: VecDeque<Wake>,
}

impl Node {
    pub fn new(address: SocketAddr, disk: DiskMode, durable: Sequence) -> Node {
        Node {
            address,
            life: 0,
            disk: Disk {
                mode: disk,
                durable,
                under_way: None,
                writes: 0,
                members: Vec::new(),
                objected: None,
            },
            accept_error: None,
            descriptors_max: None,
            ran_out: false,
            accepts: 0,
            accepted: Vec::new(),
            came: 0,
            dialed: BTreeSet::new(),
            saves: 0,
            log_lines_dropped: 0,
            reopened: 0,
            notices: Vec::new(),
            notify_every: None,
            lookups: Vec::new(),
            owners: Vec::new(),
            lookup_delay: Duration::ZERO,
            resolving: BTreeMap::new(),
            random: 0,
            chance: None,
            clock: Clock::default(),
            storage: None,
            pid_storage: None,
            polled: None,
            wakes: VecDeque::new(),
        }
    }

    /// The process is gone; its disk remains.
    pub fn die(&mut self) {
        self.life += 1;
        self.wakes.clear();
        self.resolving.clear();
        self.owners.clear();
        if let Some(pid) = &mut self.pid_storage {
            pid.die();
        }
        self.disk.under_way = None;
        self.polled = None;
        self.accepted.clear();
        self.ran_out = false;
        self.dialed.clear();
        self.saves = 0;
        self.log_lines_dropped = 0;
        self.notices.clear();
    }

    /// What the threads that speak to etcd report.
    pub fn told_by_etcd(&mut self, told: Told) {
        for entry in told.entries {
            self.wake(Wake::Entry(entry));
        }
        if let Some(until) = told.leased_until {
            let until = self.clock.shows(until);
            self.wake(Wake::Entry(Entry::Event(Event::Leased { until })));
        }
        if let Some(owners) = told.owners {
            self.owners = owners;
            self.wake(Wake::Entry(Entry::Owners));
        }
    }

    /// Queues something for the next poll. If an end changes twice before the poll, it is reported once.
    pub fn wake(&mut self, wake: Wake) {
        if matches!(wake, Wake::Entry(_)) || !self.wakes.contains(&wake) {
            self.wakes.push_back(wake);
        }
    }

    /// Whether the next poll reports something.
    pub fn is_awake(&self) -> bool {
        !self.wakes.is_empty()
    }

    pub fn take_wake(&mut self) -> Option<Wake> {
        self.wakes.pop_front()
    }

    /// Ends the write that is under way, as the mode says. Returns when the next write is done, if one waits.
    pub fn disk_done(&mut self, now: Instant) -> Option<Instant> {
        if let Some(storage) = &mut self.storage {
            let (written, next) = storage.done(now);
            self.written(written);
            return next;
        }
        let succeeds = !matches!(self.disk.mode, DiskMode::FailsAfter(_));
        self.end_write(succeeds);
        None
    }

    /// Writes to the disk without the real logic. Returns how long the write takes, if the world has to end it.
    pub fn write(&mut self, write: Write) -> Option<Duration> {
        match (write, self.disk.mode) {
            (Write::Members(members), _) => {
                self.disk.members = members;
                self.written(Written::Members(Outcome::Durable));
            }
            (Write::Objection(objected), _) => {
                self.disk.objected = Some(objected.with(self.disk.objected));
                self.written(Written::Objection(Outcome::Durable));
            }
            (write @ (Write::Ceiling { .. } | Write::Stop { .. }), DiskMode::Ephemeral) => {
                self.written(write.written(Outcome::Durable));
            }
            (write @ (Write::Ceiling { .. } | Write::Stop { .. }), mode) => {
                assert_eq!(self.disk.under_way, None, "one write at a time");
                self.disk.under_way = Some(write);
                return match mode {
                    DiskMode::Takes(wait) | DiskMode::FailsAfter(wait) => Some(wait),
                    DiskMode::Waits | DiskMode::Ephemeral => None,
                };
            }
        }
        None
    }

    fn written(&mut self, written: Written) {
        self.wake(Wake::Entry(Entry::Event(Event::Written(written))));
    }

    /// Ends the write that is under way.
    pub fn end_write(&mut self, succeeds: bool) {
        let write = self.disk.under_way.take().expect("a write is under way");
        self.disk.writes += 1;
        let outcome = match (&write, succeeds) {
            (_, false) => Outcome::Failed,
            (
                Write::Ceiling {
                    ceiling: durable, ..
                }
                | Write::Stop { sequence: durable },
                true,
            ) => {
                self.disk.durable = *durable;
                Outcome::Durable
            }
            (Write::Members(_) | Write::Objection { .. }, true) => Outcome::Durable,
        };
        self.written(write.written(outcome));
    }
}
