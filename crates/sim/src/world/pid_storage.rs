//! The pid of a server in a world whose state is in the simulated etcd: what the two threads of a real server do, call by
//! call, so that the calls of several servers interleave.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use fastrand::Rng;
use ipseity::{
    limits::{KEEP_RETRY, WRITE_TIMES_US},
    mailbox::Entry,
    pid_store::{Confirmed, addresses, interval},
};
use ipseity_core::{
    actor::{Event, Outcome, Write},
    identity::{Pid, Sequence},
    time::Instant,
    words::{StorageStatus, WriteTimes},
};
use ipseity_etcd::Procedure;
use ipseity_pids::{
    Claim, Claimant, Keep, Kept, Layout, Lost, NoClaim, Raise, Stop, Tenure, Wanted,
    layout::{Key, State, Value},
};

use crate::etcd::{
    CallId, SimEtcd,
    doing::{Doing, Inbox},
};

/// How long a server waits for an answer of etcd.
const DEADLINE: Duration = Duration::from_secs(1);

/// The etcd of a world, and all that is known of the pids in it.
pub struct World {
    pub etcd: SimEtcd,
    layout: Layout,
    callers: BTreeMap<CallId, usize>,
    random: Rng,
    /// The highest ceiling that each life has ever had there, by its session.
    ceilings: BTreeMap<u64, Sequence>,
    /// The life that has claimed each pid last: its boot and its session.
    newest: BTreeMap<Pid, (u64, u64)>,
    /// The lives that have noted that they stopped.
    stopped: Vec<u64>,
    /// When the next look at it is due.
    pub due: Option<Instant>,
}

impl World {
    pub fn new(etcd: SimEtcd, layout: Layout, random: Rng) -> World {
        World {
            etcd,
            layout,
            callers: BTreeMap::new(),
            random,
            ceilings: BTreeMap::new(),
            newest: BTreeMap::new(),
            stopped: Vec::new(),
            due: None,
        }
    }

    /// Lets etcd go on. Returns the answers that have come, with the server that waits for each.
    pub fn run(&mut self, now: Instant) -> Vec<(usize, CallId, crate::etcd::CallResult)> {
        self.etcd.run(now);
        for (key, value) in std::mem::take(&mut self.etcd.puts) {
            let Some(Key::State(pid)) = self.layout.key(&key) else {
                continue;
            };
            let state = State::read(&value).expect("servers write what they can read");
            let ceiling = self.ceilings.entry(state.session).or_default();
            *ceiling = state.ceiling.max(*ceiling);
            self.newest.insert(pid, (state.boot, state.session));
            if state.stopped {
                self.stopped.push(state.session);
            }
        }
        let mut answers = Vec::new();
        while let Some((call, result)) = self.etcd.ended() {
            if let Some(server) = self.callers.remove(&call) {
                answers.push((server, call, result));
            }
        }
        answers
    }

    /// The highest ceiling that a life has ever had in etcd.
    pub fn ceiling(&self, session: u64) -> Sequence {
        self.ceilings.get(&session).copied().unwrap_or_default()
    }

    /// Whether another life has claimed a pid after this one.
    pub fn is_replaced(&self, pid: Pid, session: u64) -> bool {
        self.newest
            .get(&pid)
            .is_some_and(|(_, newest)| *newest != session)
    }

    /// Whether a life has noted that it stopped.
    pub fn has_stopped(&self, session: u64) -> bool {
        self.stopped.contains(&session)
    }
}

/// What comes of a claim.
pub type Claimed = Result<Tenure, NoClaim>;

/// See the head of this file.
pub struct PidStorage {
    layout: Layout,
    wanted: Wanted,
    claimant: Claimant,
    /// What the user of the world is called with once a claim has ended.
    token: u64,
    /// Until then the process stands still, with its threads.
    pub paused_until: Instant,
    claim: Option<Doing<Claim>>,
    claimed: Option<(Claimed, Instant)>,
    life: Option<Life>,
    inbox: Inbox,
}

/// A life that has its pid.
struct Life {
    tenure: Tenure,
    writes: VecDeque<Write>,
    writing: Option<Writing>,
    begun: Instant,
    keep: Option<Doing<Keep>>,
    next_keep: Option<Instant>,
    owners: Vec<String>,
    count: u64,
    longest: Duration,
    times: WriteTimes,
}

enum Writing {
    Raise(Doing<Raise>, Write),
    Stop(Doing<Stop>, Write),
}

/// What the server is told, and what else has happened.
#[derive(Default)]
pub struct Told {
    /// With a moment of the world for each lease, which the server's clock shows differently.
    pub entries: Vec<Entry>,
    pub leased_until: Option<Instant>,
    pub owners: Option<Vec<String>>,
    /// A claim has ended: the user of the world is called with this.
    pub token: Option<u64>,
}

impl PidStorage {
    pub fn new(layout: Layout, wanted: Wanted, claimant: Claimant, token: u64) -> PidStorage {
        PidStorage {
            layout,
            wanted,
            claimant,
            token,
            paused_until: Instant::START,
            claim: None,
            claimed: None,
            life: None,
            inbox: Inbox::new(),
        }
    }

    /// A start begins.
    pub fn claim(&mut self, now: Instant) {
        let claim = Claim::new(self.layout.clone(), self.wanted, self.claimant.clone());
        self.claim = Some(Doing::new(claim, now));
    }

    /// Whether a start is under way.
    pub fn is_claiming(&self) -> bool {
        self.claim.is_some()
    }

    /// Takes what has come of the claim. If it has a pid, its life begins. The moment is the one until which its lease is
    /// confirmed.
    pub fn claimed(&mut self, now: Instant) -> Option<(Claimed, Instant)> {
        let (claimed, until) = self.claimed.take()?;
        if let Ok(tenure) = &claimed {
            self.life = Some(Life {
                tenure: tenure.clone(),
                writes: VecDeque::new(),
                writing: None,
                begun: now,
                keep: None,
                next_keep: Some(now),
                owners: Vec::new(),
                count: 0,
                longest: Duration::ZERO,
                times: WriteTimes::new(&WRITE_TIMES_US),
            });
        }
        Some((claimed, until))
    }

    /// The process is gone. Its calls go on.
    pub fn die(&mut self) {
        (self.claim, self.claimed, self.life) = (None, None, None);
        self.inbox.clear();
        self.paused_until = Instant::START;
    }

    /// Takes a write.
    pub fn write(&mut self, write: Write) {
        let life = self.life.as_mut().expect("only a life writes");
        life.writes.push_back(write);
    }

    /// An answer has come.
    pub fn answered(&mut self, call: CallId, result: crate::etcd::CallResult) {
        self.inbox.insert(call, result);
    }

    /// The ceiling that this life knows of.
    pub fn granted(&self) -> Sequence {
        self.life
            .as_ref()
            .map_or(Sequence::ZERO, |life| life.tenure.ceiling())
    }

    /// How the writes of this life went.
    pub fn times(&self) -> WriteTimes {
        self.life
            .as_ref()
            .map_or_else(WriteTimes::default, |life| life.times.clone())
    }

    pub fn status(&self, now: Instant) -> StorageStatus {
        let Some(life) = &self.life else {
            return StorageStatus::default();
        };
        let micros = |wait: Duration| wait.as_micros() as u64;
        StorageStatus {
            durable: true,
            writes: life.count,
            longest_write_us: micros(life.longest),
            current_write_us: match life.writing {
                Some(_) => micros(now.since(life.begun)).max(1),
                None => 0,
            },
            ..StorageStatus::default()
        }
    }

    /// When it goes on, if no answer comes before.
    pub fn next(&self) -> Option<Instant> {
        let claim = self.claim.as_ref().and_then(Doing::next);
        let life = self.life.as_ref().and_then(Life::next);
        let woken = (!self.inbox.is_empty()).then_some(self.paused_until);
        [claim, life, woken]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.max(self.paused_until))
    }

    /// Does all that it can do now.
    pub fn go(&mut self, server: usize, world: &mut World, now: Instant) -> Told {
        let mut told = Told::default();
        if now < self.paused_until {
            return told;
        }
        let mut hand = Hand {
            server,
            now,
            inbox: &mut self.inbox,
            world,
        };
        if let Some(claim) = &mut self.claim
            && let Some(claimed) = hand.drive(claim)
        {
            let until = Confirmed::of(claim.asked_at, self.claimant.ttl).until;
            self.claimed = Some((claimed, until));
            self.claim = None;
            told.token = Some(self.token);
        }
        if let Some(life) = &mut self.life {
            life.write(&mut hand, &mut told);
            life.keep(&mut hand, &mut told);
        }
        // Whatever is left answers what was given up.
        self.inbox.clear();
        told
    }
}

/// What a procedure needs to go on.
struct Hand<'a> {
    server: usize,
    now: Instant,
    inbox: &'a mut Inbox,
    world: &'a mut World,
}

impl Hand<'_> {
    fn drive<P: Procedure>(&mut self, doing: &mut Doing<P>) -> Option<P::Output> {
        let World {
            etcd,
            callers,
            random,
            ..
        } = &mut *self.world;
        doing.go(self.now, self.inbox, random, |call| {
            let call = etcd.send(call, DEADLINE);
            callers.insert(call, self.server);
            call
        })
    }
}

impl Life {
    fn next(&self) -> Option<Instant> {
        let keep = match &self.keep {
            Some(keep) => keep.next(),
            None => self.next_keep,
        };
        let write = match &self.writing {
            Some(Writing::Raise(raise, _)) => raise.next(),
            Some(Writing::Stop(stop, _)) => stop.next(),
            None => (!self.writes.is_empty()).then_some(Instant::START),
        };
        [keep, write].into_iter().flatten().min()
    }

    /// One write after the other, as the thread of the store does them.
    fn write(&mut self, hand: &mut Hand<'_>, told: &mut Told) {
        loop {
            let done = match &mut self.writing {
                Some(Writing::Raise(raise, write)) => match hand.drive(raise) {
                    None => return,
                    Some(Ok(mark)) => {
                        self.tenure.note(mark);
                        write.written(Outcome::Durable)
                    }
                    Some(Err(_)) => write.written(Outcome::Fenced),
                },
                Some(Writing::Stop(stop, write)) => match hand.drive(stop) {
                    None => return,
                    Some(Ok(())) => write.written(Outcome::Durable),
                    Some(Err(_)) => write.written(Outcome::Fenced),
                },
                None => {
                    let Some(write) = self.writes.pop_front() else {
                        return;
                    };
                    self.begun = hand.now;
                    match write {
                        Write::Ceiling { sequence, ceiling } => {
                            let raise = Raise::new(&self.tenure, sequence, ceiling);
                            let doing = Doing::new(raise, hand.now);
                            self.writing = Some(Writing::Raise(doing, write));
                            continue;
                        }
                        Write::Stop { sequence } => {
                            let stop = Stop::new(&self.tenure, sequence);
                            let doing = Doing::new(stop, hand.now);
                            self.writing = Some(Writing::Stop(doing, write));
                            continue;
                        }
                        Write::Members(_) | Write::Objection(_) => write.written(Outcome::Durable),
                    }
                }
            };
            if self.writing.take().is_some() {
                let took = hand.now.since(self.begun);
                self.count += 1;
                self.longest = self.longest.max(took);
                self.times.record(took, false);
            }
            told.entries.push(Entry::Event(Event::Written(done)));
        }
    }

    /// The sign of life, as the thread of the lease gives it.
    fn keep(&mut self, hand: &mut Hand<'_>, told: &mut Told) {
        if self.keep.is_none() && self.next_keep.is_some_and(|at| at <= hand.now) {
            self.keep = Some(Doing::new(Keep::new(&self.tenure), hand.now));
        }
        let Some(keep) = &mut self.keep else {
            return;
        };
        let Some(kept) = hand.drive(keep) else {
            return;
        };
        let (begun, asked_at) = (keep.begun, keep.asked_at);
        self.keep = None;
        let interval = interval(&self.tenure);
        let after = |wait: Duration| Some(begun.after(wait).max(hand.now));
        self.next_keep = match kept {
            Ok(Kept::Confirmed {
                ttl,
                lease,
                watch,
                owners,
            }) => {
                self.tenure.kept(lease, &watch);
                told.leased_until = Some(Confirmed::of(asked_at, ttl).until);
                let owners = addresses(&owners, self.tenure.pid);
                if owners != self.owners {
                    self.owners.clone_from(&owners);
                    told.owners = Some(owners);
                }
                after(interval)
            }
            Ok(Kept::Unknown { lease, .. }) => {
                self.tenure.lease = lease;
                after(KEEP_RETRY.min(interval))
            }
            Ok(Kept::Stopped) => None,
            Err(Lost::Fenced { .. } | Lost::Breach(_)) => {
                told.entries.push(Entry::Event(Event::Fenced));
                None
            }
        };
    }
}
