//! The state directory of a server in a world: the real logic of the slots on a [`Medium`], and in front of it
//! the line of tasks that the disk's thread of an operating system takes one after the other.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, time::Duration};

use ipseity::{
    mailbox::Entry,
    store::{
        Started, begin,
        record::Record,
        slots::{self, Owner, RecoverError, Slots, SlotsError},
    },
};
use ipseity_core::{
    actor::{Event, Remembered},
    identity::Sequence,
    limits::STEP_MIN,
    time::Instant,
    words::StorageStatus,
};

use super::medium::{Device, Medium, Remains};

/// What is to be made durable.
#[derive(Clone, Debug)]
pub enum Task {
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

/// What a disk does to the next task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// Of the block writes from now on, one fails after so many that do not.
    Fails(u32, Remains),
    /// It hangs for so long.
    Hangs(Duration),
    /// What is remembered of the peers cannot be saved.
    SaveFails,
}

/// Why a start could not be.
#[derive(Debug)]
pub enum StartFault {
    Recover(RecoverError),
    Boot(SlotsError),
}

/// The task that the disk is at.
struct Running {
    task: Task,
    succeeds: bool,
    begun: Instant,
}

/// See the head of this file.
pub struct Storage {
    medium: Rc<RefCell<Medium>>,
    owner: Owner,
    slots: Option<Slots<Device>>,
    tasks: VecDeque<(Task, Instant)>,
    running: Option<Running>,
    saving: bool,
    save_next: Option<Vec<Remembered>>,
    /// What is durable of what is remembered of the peers.
    pub members: Vec<Remembered>,
    /// How long a block takes.
    pub latency: Duration,
    pub fault: Option<DiskFault>,
    /// Faults that something has met.
    pub faults_met: u32,
    writes: u64,
    longest: Duration,
}

impl Storage {
    /// A new state directory.
    pub fn new(owner: Owner, incarnation: u128) -> Storage {
        let medium = Rc::new(RefCell::new(Medium::new()));
        slots::format(&mut Device(Rc::clone(&medium)), &owner, incarnation).unwrap();
        medium.borrow_mut().pass(Instant::from_nanos(u64::MAX));
        Storage::on(medium, owner, Vec::new())
    }

    fn on(medium: Rc<RefCell<Medium>>, owner: Owner, members: Vec<Remembered>) -> Storage {
        Storage {
            medium,
            owner,
            slots: None,
            tasks: VecDeque::new(),
            running: None,
            saving: false,
            save_next: None,
            members,
            latency: Duration::from_micros(100),
            fault: None,
            faults_met: 0,
            writes: 0,
            longest: Duration::ZERO,
        }
    }

    /// A copy of the directory, as somebody would make it while the server runs or has stopped.
    pub fn copy(&self, now: Instant) -> Storage {
        let mut medium = self.medium.borrow().clone();
        medium.crash(now, Remains::Old, true);
        let medium = Rc::new(RefCell::new(medium));
        Storage::on(medium, self.owner.clone(), self.members.clone())
    }

    /// What is on the medium, at this moment.
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

    /// What the real start does on a real directory.
    pub fn start(&mut self, above: Option<Sequence>) -> Result<Started, StartFault> {
        if let Some(DiskFault::Fails(after, remains)) = self.fault.take() {
            self.faults_met += 1;
            self.medium.borrow_mut().fail(after, remains);
        }
        let device = Device(Rc::clone(&self.medium));
        let started = slots::recover(device, &self.owner)
            .map_err(StartFault::Recover)
            .and_then(|recovered| begin(recovered, above, STEP_MIN).map_err(StartFault::Boot));
        let mut medium = self.medium.borrow_mut();
        medium.pass(Instant::from_nanos(u64::MAX));
        medium.repair();
        let (slots, started) = started?;
        self.slots = Some(slots);
        (self.writes, self.longest) = (0, Duration::ZERO);
        Ok(started)
    }

    /// The process is gone, and the machine with it if its power is.
    pub fn crash(&mut self, now: Instant, remains: Remains, power: bool) {
        self.medium.borrow_mut().crash(now, remains, power);
        if let Some(Running {
            task: Task::Save { members },
            succeeds: true,
            ..
        }) = self.running.take()
            && remains == Remains::New
        {
            self.members = members;
        }
        self.medium.borrow_mut().repair();
        self.slots = None;
        self.tasks.clear();
        self.saving = false;
        self.save_next = None;
        self.fault = None;
    }

    /// Takes a task. Returns when the disk is done with it, if it was idle.
    pub fn hand_over(&mut self, task: Task, now: Instant) -> Option<Instant> {
        match task {
            Task::Save { members } if self.saving => {
                self.save_next = Some(members);
                return None;
            }
            Task::Save { .. } => self.saving = true,
            Task::Stop { .. } => {
                if let Some(members) = self.save_next.take() {
                    self.tasks.push_back((Task::Save { members }, now));
                }
            }
            Task::Raise { .. } | Task::Object { .. } => {}
        }
        self.tasks.push_back((task, now));
        match &self.running {
            Some(_) => None,
            None => self.run(now),
        }
    }

    /// Begins the next task. Returns when it is done.
    fn run(&mut self, now: Instant) -> Option<Instant> {
        let (task, begun) = self.tasks.pop_front()?;
        let mut wait = Duration::ZERO;
        match (self.fault, &task) {
            (Some(DiskFault::Hangs(hang)), _) => {
                wait = hang;
                self.meet_fault();
            }
            (Some(DiskFault::Fails(after, remains)), _) if !matches!(task, Task::Save { .. }) => {
                self.medium.borrow_mut().fail(after, remains);
                self.meet_fault();
            }
            _ => {}
        }
        let slots = self.slots.as_mut().expect("it was started");
        self.medium
            .borrow_mut()
            .begin(now.after(wait), self.latency);
        let succeeds = match &task {
            Task::Raise { sequence, ceiling } => slots.raise(*sequence, *ceiling).is_ok(),
            Task::Stop { sequence } => slots.stop(*sequence).is_ok(),
            Task::Object { sequence } => slots.object(*sequence).is_ok(),
            Task::Save { .. } => {
                let fails = self.fault == Some(DiskFault::SaveFails);
                if fails {
                    self.meet_fault();
                }
                !fails
            }
        };
        let done_at = match &task {
            Task::Save { .. } => now.after(wait + 3 * self.latency),
            _ => self.medium.borrow().busy_until(),
        };
        self.running = Some(Running {
            task,
            succeeds,
            begun,
        });
        Some(done_at.max(now.after(Duration::from_nanos(1))))
    }

    fn meet_fault(&mut self) {
        self.fault = None;
        self.faults_met += 1;
    }

    /// The task that the disk was at is done. Returns what the server hears of it, and when the next one is
    /// done.
    pub fn done(&mut self, now: Instant) -> (Option<Entry>, Option<Instant>) {
        let Running {
            task,
            succeeds,
            begun,
        } = self.running.take().expect("it was at something");
        self.medium.borrow_mut().pass(now);
        self.writes += 1;
        self.longest = self.longest.max(now.since(begun));
        let entry = match task {
            Task::Raise { .. } if succeeds => Some(Entry::Event(Event::Persisted)),
            Task::Raise { .. } => Some(Entry::Event(Event::PersistFailed)),
            Task::Stop { .. } => Some(Entry::StopPersisted { durable: succeeds }),
            Task::Object { .. } => (!succeeds).then_some(Entry::Event(Event::PersistFailed)),
            Task::Save { members } => {
                if succeeds {
                    self.members = members;
                }
                self.saving = false;
                if let Some(members) = self.save_next.take() {
                    self.saving = true;
                    self.tasks.push_back((Task::Save { members }, now));
                }
                None
            }
        };
        (entry, self.run(now))
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
