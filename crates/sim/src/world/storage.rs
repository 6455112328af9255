//! The state directory of a server in a world: the real logic of the slots on a [`Medium`], and in front of it the
//! queue of writes that the disk's thread of a real server does one after the other.
//!
//! Two servers can share a medium, without a lock that keeps one of them away.

use std::{
    cell::RefCell,
    collections::{BTreeSet, VecDeque},
    rc::Rc,
    time::Duration,
};

use ipseity::{
    limits::WRITE_TIMES_US,
    store::{
        Started, begin,
        record::{MembersMark, Record},
        slots::{self, Owner, RecoverError, Recovered, Slots, SlotsError},
    },
};
use ipseity_core::{
    actor::{Outcome, Remembered, Write, Written},
    identity::Sequence,
    limits::STEP_MIN,
    time::Instant,
    words::{StorageStatus, WriteTimes},
};

use super::medium::{Device, Medium, WriteFate, Writer};

/// A fault of the disk for the next writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// This many block writes succeed from now on, and then one fails.
    Fails(u32, WriteFate),
    /// The next write hangs for this long.
    Hangs(Duration),
    /// The memory of the peers cannot be saved.
    SaveFails,
}

/// Why a start failed.
#[derive(Debug)]
pub enum StartFault {
    Recover(RecoverError),
    Boot(SlotsError),
}

/// The write that is under way.
struct Running {
    write: Write,
    outcome: Outcome,
    begun: Instant,
}

/// See the head of this file.
pub struct Storage {
    medium: Rc<RefCell<Medium>>,
    writer: Writer,
    /// Whether another server has the same medium.
    pub is_shared: bool,
    /// What a start has read, until it writes.
    read: Option<Result<Recovered<Device>, RecoverError>>,
    /// How often the ceiling was raised since the start of this life, and the ceiling.
    pub granted: (u32, Sequence),
    /// A newest record that another process had written, and that a write did not notice.
    pub overlooked: Option<Record>,
    owner: Owner,
    slots: Option<Slots<Device>>,
    /// Writes that wait for the write that is under way.
    waiting: VecDeque<Write>,
    running: Option<Running>,
    /// The durable memory of the peers; `None` without a members file.
    pub members: Option<Vec<Remembered>>,
    /// The sessions of all lives that were ever in it.
    pub remembered: BTreeSet<u64>,
    /// How long the write of a block takes.
    pub latency: Duration,
    pub fault: Option<DiskFault>,
    /// How many faults have had an effect.
    pub faults_met: u32,
    writes: u64,
    longest: Duration,
    times: WriteTimes,
}

/// The lives that are remembered of a pid.
pub fn sessions(of: &Remembered) -> impl Iterator<Item = u64> {
    let claims = [of.claim, of.claim_before];
    let claims = claims.into_iter().flatten().map(|claim| claim.session);
    claims.chain([of.session])
}

impl Storage {
    /// A new state directory.
    pub fn new(owner: Owner, incarnation: u128) -> Storage {
        let medium = Rc::new(RefCell::new(Medium::new()));
        let writer = Writer(0);
        slots::format(&mut Device(Rc::clone(&medium), writer), &owner, incarnation).unwrap();
        medium.borrow_mut().settle(writer);
        Storage::on(medium, owner, None)
    }

    fn on(medium: Rc<RefCell<Medium>>, owner: Owner, members: Option<Vec<Remembered>>) -> Storage {
        Storage {
            medium,
            writer: Writer(0),
            is_shared: false,
            read: None,
            granted: (0, Sequence::ZERO),
            overlooked: None,
            owner,
            slots: None,
            waiting: VecDeque::new(),
            running: None,
            remembered: members.iter().flatten().flat_map(sessions).collect(),
            members,
            latency: Duration::from_micros(100),
            fault: None,
            faults_met: 0,
            writes: 0,
            longest: Duration::ZERO,
            times: WriteTimes::new(&WRITE_TIMES_US),
        }
    }

    /// A copy of the directory, as somebody could make it while the server runs or after it has stopped.
    pub fn copy(&self, now: Instant) -> Storage {
        let mut medium = self.medium.borrow().clone();
        for writer in [Writer(0), Writer(1)] {
            medium.crash(writer, now, WriteFate::Old, true);
        }
        let medium = Rc::new(RefCell::new(medium));
        Storage::on(medium, self.owner.clone(), self.members.clone())
    }

    /// The same directory, for a second server that does not see the locks of the first.
    pub fn share(&mut self) -> Storage {
        self.is_shared = true;
        let medium = Rc::clone(&self.medium);
        Storage {
            writer: Writer(1),
            is_shared: true,
            ..Storage::on(medium, self.owner.clone(), self.members.clone())
        }
    }

    /// The newest record that is on the medium at this moment.
    pub fn newest(&self, now: Instant) -> Option<Record> {
        let mut medium = self.medium.borrow_mut();
        medium.pass(now);
        medium.newest().cloned()
    }

    /// The boot that wrote the newest record and the ceiling in it.
    pub fn allowance(&self, now: Instant) -> Option<(u64, Sequence)> {
        let mut medium = self.medium.borrow_mut();
        medium.pass(now);
        medium.newest().map(|record| (record.boot, record.ceiling))
    }

    pub fn medium(&self) -> std::cell::RefMut<'_, Medium> {
        self.medium.borrow_mut()
    }

    /// The first part of a start: it reads. A long time may pass before it goes on.
    pub fn read_for_start(&mut self, now: Instant) {
        let mut medium = self.medium.borrow_mut();
        medium.pass(now);
        medium.begin(now, Duration::ZERO);
        drop(medium);
        let device = Device(Rc::clone(&self.medium), self.writer);
        self.read = Some(slots::recover(device, &self.owner));
    }

    /// Does what a real start does on a real directory.
    pub fn start(
        &mut self,
        now: Instant,
        session: u64,
        above: Option<Sequence>,
    ) -> Result<Started, StartFault> {
        if let Some(DiskFault::Fails(after, fate)) = self.fault.take() {
            self.faults_met += 1;
            self.medium.borrow_mut().fail(after, fate);
        }
        if self.read.is_none() {
            self.read_for_start(now);
        }
        let recovered = self.read.take().expect("it was read just now");
        self.medium.borrow_mut().begin(now, Duration::ZERO);
        // Of a shared directory, the other server may have saved the file.
        let has_members = self.members.is_some() || self.is_shared;
        let started = recovered
            .map_err(StartFault::Recover)
            .and_then(|mut recovered| {
                recovered.see_members(has_members, false);
                begin(recovered, session, above, STEP_MIN).map_err(StartFault::Boot)
            });
        let mut medium = self.medium.borrow_mut();
        medium.settle(self.writer);
        medium.repair();
        let (slots, started) = started?;
        self.granted = (0, started.ceiling);
        self.slots = Some(slots);
        (self.writes, self.longest) = (0, Duration::ZERO);
        self.times = WriteTimes::new(&WRITE_TIMES_US);
        Ok(started)
    }

    /// The process is gone; with `power`, the machine has lost its power too.
    pub fn crash(&mut self, now: Instant, fate: WriteFate, power: bool) {
        self.medium
            .borrow_mut()
            .crash(self.writer, now, fate, power);
        self.read = None;
        if let Some(Running {
            write: Write::Members(members),
            outcome: Outcome::Durable,
            ..
        }) = self.running.take()
        {
            // The file is saved before that is noted.
            let is_noted = self
                .newest(now)
                .is_some_and(|newest| newest.members == MembersMark::Saved);
            if fate == WriteFate::New || is_noted {
                self.remember(members);
            }
        }
        self.medium.borrow_mut().repair();
        self.slots = None;
        self.waiting.clear();
        self.fault = None;
    }

    /// Takes a write. Returns when the disk is done with it, if it was idle.
    pub fn write(&mut self, write: Write, now: Instant) -> Option<Instant> {
        self.waiting.push_back(write);
        match &self.running {
            Some(_) => None,
            None => self.run(now),
        }
    }

    /// Begins the next write. Returns when it is done.
    fn run(&mut self, now: Instant) -> Option<Instant> {
        let write = self.waiting.pop_front()?;
        let mut wait = Duration::ZERO;
        match (self.fault, &write) {
            (Some(DiskFault::Hangs(hang)), _) => {
                wait = hang;
                self.meet_fault();
            }
            (Some(DiskFault::Fails(after, fate)), _) if !matches!(write, Write::Members(_)) => {
                self.medium.borrow_mut().fail(after, fate);
                self.meet_fault();
            }
            _ => {}
        }
        let slots = self.slots.as_mut().expect("it was started");
        let mut medium = self.medium.borrow_mut();
        medium.pass(now);
        // It hangs between the check and the write. That is the worst moment.
        medium.begin(now, self.latency);
        medium.hang(wait);
        let is_own = |newest: &Record| {
            (newest.boot, newest.session) == (slots.newest().boot, slots.newest().session)
        };
        let foreign = medium.newest().filter(|newest| !is_own(newest)).cloned();
        drop(medium);
        let ceiling = slots.newest().ceiling;
        let outcome = match &write {
            Write::Ceiling { sequence, ceiling } => {
                Outcome::of(&slots.write_ceiling(*sequence, *ceiling))
            }
            Write::Stop { sequence } => Outcome::of(&slots.write_stop(*sequence)),
            Write::Objection(objected) => Outcome::of(&slots.write_objection(*objected)),
            Write::Members(_) if self.fault == Some(DiskFault::SaveFails) => {
                self.meet_fault();
                Outcome::Failed
            }
            Write::Members(_) => Outcome::of(&slots.write_members_saved()),
        };
        let slots = self.slots.as_ref().expect("it was started");
        match (&write, foreign) {
            (Write::Members(_), _) => {}
            (_, Some(foreign))
                if outcome == Outcome::Durable && slots.newest().ceiling != ceiling =>
            {
                self.overlooked = Some(foreign);
            }
            // Whatever the server found there, it is a reason to exit.
            (_, _) if outcome == Outcome::Failed && self.is_shared => self.faults_met += 1,
            (_, _) => {}
        }
        let done_at = match &write {
            Write::Members(_) => {
                let noted_at = self.medium.borrow().busy_until();
                noted_at.max(now.after(wait + 3 * self.latency))
            }
            Write::Ceiling { .. } | Write::Objection(_) | Write::Stop { .. } => {
                self.medium.borrow().busy_until().max(now.after(wait))
            }
        };
        self.running = Some(Running {
            write,
            outcome,
            begun: now,
        });
        Some(done_at.max(now.after(Duration::from_nanos(1))))
    }

    fn meet_fault(&mut self) {
        self.fault = None;
        self.faults_met += 1;
    }

    /// The write under way is done. Returns what the server is told about it, and when the next write is done.
    pub fn done(&mut self, now: Instant) -> (Written, Option<Instant>) {
        let Running {
            write,
            outcome,
            begun,
        } = self.running.take().expect("a write is under way");
        self.medium.borrow_mut().pass(now);
        self.writes += 1;
        self.longest = self.longest.max(now.since(begun));
        self.times
            .record(now.since(begun), outcome == Outcome::Failed);
        if outcome == Outcome::Durable && matches!(write, Write::Ceiling { .. }) {
            let slots = self.slots.as_ref().expect("it was started");
            self.granted = (self.granted.0 + 1, slots.newest().ceiling);
        }
        let written = write.written(outcome);
        if let (Write::Members(members), Outcome::Durable) = (write, outcome) {
            self.remember(members);
        }
        (written, self.run(now))
    }

    fn remember(&mut self, members: Vec<Remembered>) {
        self.remembered.extend(members.iter().flat_map(sessions));
        self.members = Some(members);
    }

    /// Whether a write is under way.
    pub fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// How the writes of this life went.
    pub fn times(&self) -> &WriteTimes {
        &self.times
    }

    pub fn status(&self, now: Instant) -> StorageStatus {
        let micros = |wait: Duration| wait.as_micros() as u64;
        let current = self.running.as_ref();
        StorageStatus {
            durable: true,
            writes: self.writes,
            longest_write_us: micros(self.longest),
            current_write_us: current.map_or(0, |running| micros(now.since(running.begun)).max(1)),
            ..StorageStatus::default()
        }
    }
}
