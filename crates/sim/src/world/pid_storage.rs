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
    words::{StorageStatus, StoreKind, StoreStatus, WriteTimes},
};
use ipseity_etcd::{Answered, Header, Procedure};
use ipseity_pids::{
    Breach, Claim, Claimant, Epoch, Keep, Kept, Layout, Lost, NoClaim, NoEpoch, Raise, Stop,
    Tenure, Wanted,
    layout::{Key, Owner, State, Value},
};

use super::clock::Clock;
use crate::etcd::{
    CallId, SimEtcd,
    doing::{Doing, Inbox},
    store::Store,
};

/// How long a server waits for an answer of etcd, by its own clock.
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
    /// When it was restored from a backup last.
    pub restored_at: Option<Instant>,
    /// An operator who raises the epoch of the pids.
    operator: Option<Operator>,
    /// Why an operator could not.
    pub no_epoch: Option<String>,
}

/// An operator at work.
struct Operator {
    above: Sequence,
    epoch: Doing<Epoch>,
    inbox: Inbox,
}

/// The number of the operator among those who make calls. No server has it.
const OPERATOR: usize = usize::MAX;

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
            restored_at: None,
            operator: None,
            no_epoch: None,
        }
    }

    /// A backup takes the place of etcd.
    pub fn restore(&mut self, backup: Store, now: Instant) {
        self.etcd.restore(backup);
        // Connections end with the etcd that was there. Calls of servers may come late all the same, which is harder for them.
        // But if an operator's word came late, it would end what began under a word after it, and nothing would be wrong.
        self.operator = None;
        let etcd = &mut self.etcd;
        self.callers.retain(|call, caller| {
            let is_of_server = *caller != OPERATOR;
            if !is_of_server {
                etcd.cut(*call);
            }
            is_of_server
        });
        self.restored_at = Some(now);
    }

    /// An operator says above which sequence all pids begin.
    pub fn raise_epoch(&mut self, above: Sequence, now: Instant) {
        self.operator = Some(Operator {
            above,
            epoch: Doing::new(Epoch::new(self.layout.clone(), above), now),
            inbox: Inbox::new(),
        });
    }

    /// Whether that is not done yet.
    pub fn raises_epoch(&self) -> bool {
        self.operator.is_some()
    }

    /// When the operator goes on, if no answer comes before.
    pub fn next(&self) -> Option<Instant> {
        let operator = self.operator.as_ref();
        let operator = operator.and_then(|operator| operator.epoch.next());
        operator.into_iter().chain(self.etcd.next()).min()
    }

    fn operate(&mut self, now: Instant) {
        let Some(mut operator) = self.operator.take() else {
            return;
        };
        let (etcd, callers) = (&mut self.etcd, &mut self.callers);
        let inbox = &mut operator.inbox;
        let done = operator.epoch.go(
            now,
            inbox,
            &mut self.random,
            |wait| wait,
            |call| {
                let call = etcd.send(call, DEADLINE);
                callers.insert(call, OPERATOR);
                call
            },
        );
        match done {
            Some(Ok(_)) => {}
            // The operator tries again.
            Some(Err(NoEpoch::Call(_))) => self.raise_epoch(operator.above, now),
            Some(Err(error)) => self.no_epoch = Some(error.to_string()),
            None => self.operator = Some(operator),
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
            match (self.callers.remove(&call), &mut self.operator) {
                (Some(OPERATOR), Some(operator)) => {
                    operator.inbox.insert(call, result);
                }
                (Some(OPERATOR) | None, _) => {}
                (Some(server), _) => answers.push((server, call, result)),
            }
        }
        self.operate(now);
        answers
    }

    /// A server is gone: nobody hears the answers to its calls any more.
    pub fn hang_up(&mut self, server: usize) {
        self.callers.retain(|_, caller| *caller != server);
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

    /// Whether etcd has ended the lease of a life, so that anybody may take its pid. A life that has stopped has given it
    /// back, and of what a backup knows of leases nothing follows.
    pub fn has_ended_lease(&self, pid: Pid, session: u64) -> bool {
        if self.restored_at.is_some() || self.has_stopped(session) {
            return false;
        }
        let owner = self.etcd.store.value(&self.layout.owner(pid));
        let owner = owner.map(|text| Owner::read(text).expect("servers write what they can read"));
        owner.is_none_or(|owner| owner.session != session)
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
    /// The clock of the machine. Only its speed counts here.
    clock: Clock,
    /// What the user of the world is called with once a claim has ended.
    token: u64,
    /// Until then the process stands still, with its threads.
    pub paused_until: Instant,
    claim: Option<Doing<Claim>>,
    claimed: Option<(Claimed, Instant)>,
    life: Option<Life>,
    inbox: Inbox,
    /// The etcd that this process has seen, with the highest revision.
    seen: Option<Header>,
    /// It has its pid confirmed by an etcd that is older than what it has seen.
    pub overlooks: bool,
}

/// A life that has its pid.
struct Life {
    tenure: Tenure,
    writes: VecDeque<Write>,
    writing: Option<Writing>,
    begun: Instant,
    keep: Option<Doing<Keep>>,
    next_keep: Option<Instant>,
    /// From when on the last sign of life has confirmed the pid; before the first one, when the life began.
    confirmed_at: Instant,
    owners: Vec<String>,
    count: u64,
    longest: Duration,
    times: WriteTimes,
    /// A sign that etcd is not what it was.
    breach: Option<Breach>,
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
    pub fn new(
        layout: Layout,
        wanted: Wanted,
        claimant: Claimant,
        clock: Clock,
        token: u64,
    ) -> PidStorage {
        PidStorage {
            layout,
            wanted,
            claimant,
            clock,
            token,
            paused_until: Instant::START,
            claim: None,
            claimed: None,
            life: None,
            inbox: Inbox::new(),
            seen: None,
            overlooks: false,
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
                confirmed_at: now,
                owners: Vec::new(),
                count: 0,
                longest: Duration::ZERO,
                times: WriteTimes::new(&WRITE_TIMES_US),
                breach: None,
            });
        }
        Some((claimed, until))
    }

    /// The process is gone. Its calls go on.
    pub fn die(&mut self) {
        (self.claim, self.claimed, self.life) = (None, None, None);
        self.inbox.clear();
        self.paused_until = Instant::START;
        (self.seen, self.overlooks) = (None, false);
    }

    /// Takes a write.
    pub fn write(&mut self, write: Write) {
        let life = self.life.as_mut().expect("only a life writes");
        life.writes.push_back(write);
    }

    /// An answer has come.
    pub fn answered(&mut self, call: CallId, result: crate::etcd::CallResult) {
        if let Ok(answer) = &result
            && matches!(answer.answered, Answered::Range(_) | Answered::Txn { .. })
        {
            let seen = self.seen.get_or_insert(answer.header);
            seen.revision = seen.revision.max(answer.header.revision);
        }
        self.inbox.insert(call, result);
    }

    /// The sign that this life has seen that etcd is not what it was.
    pub fn breach(&self) -> Option<&Breach> {
        self.life.as_ref()?.breach.as_ref()
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

    pub fn store(&self, now: Instant) -> StoreStatus {
        StoreStatus {
            kind: StoreKind::Etcd,
            confirmed_us: self.life.as_ref().map_or(0, |life| {
                (now.since(life.confirmed_at).as_micros() as u64).max(1)
            }),
            ..StoreStatus::default()
        }
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
            seen: self.seen,
            overlooks: &mut self.overlooks,
            server,
            now,
            clock: self.clock,
            inbox: &mut self.inbox,
            world,
        };
        if let Some(claim) = &mut self.claim
            && let Some(claimed) = hand.drive(claim)
        {
            let until = hand.confirmed_until(claim.asked_at, self.claimant.ttl);
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
    seen: Option<Header>,
    overlooks: &'a mut bool,
    server: usize,
    now: Instant,
    clock: Clock,
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
        let takes = |wait| self.clock.takes(wait);
        doing.go(self.now, self.inbox, random, takes, |call| {
            let call = etcd.send(call, takes(DEADLINE));
            callers.insert(call, self.server);
            call
        })
    }

    /// Until when a lease is confirmed that was asked for at this moment. It is counted by the clock of the machine.
    fn confirmed_until(&self, asked_at: Instant, ttl: Duration) -> Instant {
        asked_at.after(self.clock.takes(counted(ttl)))
    }
}

/// The sign that etcd is not what it was, if the pid is lost for that.
fn breach(lost: Lost) -> Option<Breach> {
    match lost {
        Lost::Breach(breach) => Some(breach),
        Lost::Fenced { .. } => None,
    }
}

/// For how long a life believes in a lease.
pub fn counted(ttl: Duration) -> Duration {
    Confirmed::of(Instant::START, ttl)
        .until
        .since(Instant::START)
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
                    Some(Err(lost)) => {
                        self.breach = breach(lost);
                        write.written(Outcome::Fenced)
                    }
                },
                Some(Writing::Stop(stop, write)) => match hand.drive(stop) {
                    None => return,
                    Some(Ok(())) => write.written(Outcome::Durable),
                    Some(Err(lost)) => {
                        self.breach = breach(lost);
                        write.written(Outcome::Fenced)
                    }
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
        let after = |wait: Duration| Some(begun.after(hand.clock.takes(wait)).max(hand.now));
        self.next_keep = match kept {
            Ok(Kept::Confirmed {
                ttl,
                lease,
                watch,
                owners,
            }) => {
                let is = hand.world.etcd.store.header();
                let is_older = |seen: Header| {
                    (is.cluster_id, is.revision.max(seen.revision))
                        != (seen.cluster_id, is.revision)
                };
                let restored_at = hand.world.restored_at;
                *hand.overlooks |=
                    restored_at.is_some_and(|at| begun > at) && hand.seen.is_some_and(is_older);
                self.tenure.kept(lease, &watch);
                self.confirmed_at = asked_at;
                told.leased_until = Some(hand.confirmed_until(asked_at, ttl));
                let owners = addresses(&owners, self.tenure.pid);
                if owners != self.owners {
                    self.owners.clone_from(&owners);
                    told.owners = Some(owners);
                }
                after(interval)
            }
            Ok(Kept::Unknown { lease, watch, .. }) => {
                self.tenure.kept(lease, &watch);
                after(KEEP_RETRY.min(interval))
            }
            Ok(Kept::Stopped) => None,
            Err(lost) => {
                self.breach = breach(lost);
                told.entries.push(Entry::Event(Event::Fenced));
                None
            }
        };
    }
}
