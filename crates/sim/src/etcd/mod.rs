//! A simulated etcd, in virtual time and from a seed: what it keeps, and what can happen to it and to the calls on their
//! way there and back.
//!
//! - [`store`]: the state machine.
//! - [`doing`]: a procedure that makes calls there.
//! - [`faults`]: how likely what is.
//! - [`workers`]: lives that claim, raise, keep and leave pids there, and a judge.
//!
//! A call has a deadline. Whatever becomes of it afterwards, its caller is told at the deadline that there was no answer:
//! the call may have been lost on the way, or its answer; it may take effect later, or twice.

mod allowances;
pub mod doing;
pub mod faults;
pub mod store;
pub mod workers;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use ipseity_core::time::Instant;
use ipseity_etcd::{Answer, Answered, Call, CallError, Op};

use self::{faults::Faults, store::Store};

/// Names one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

/// What becomes of a call.
pub type CallResult = Result<Answer, CallError>;

/// Something on its way.
#[derive(Clone, Debug)]
enum Due {
    /// A call arrives. The caller is told only by the first copy.
    Arrives {
        id: CallId,
        call: Call,
        is_answered: bool,
    },
    /// An answer arrives, or the caller gives up.
    Ends { id: CallId, result: CallResult },
    /// A leader is gone, or a new one is there.
    Leader { is_there: bool },
    /// Ends a lease early.
    EndsLease,
    /// The store is full, or has space again.
    Full(bool),
}

/// See the [module](self).
#[derive(Debug)]
pub struct SimEtcd {
    pub store: Store,
    faults: Faults,
    random: fastrand::Rng,
    now: Instant,
    due: BTreeMap<(Instant, u64), Due>,
    serial: u64,
    /// The calls whose callers still wait.
    open: BTreeMap<CallId, ()>,
    ended: VecDeque<(CallId, CallResult)>,
    has_leader: bool,
    former: Option<Former>,
    /// What is drawn for it has a stream of its own, so that it changes nothing else in a seed.
    former_random: fastrand::Rng,
    /// The calls that wait for a leader.
    waiting: Vec<Due>,
    pub counts: Counts,
    /// What was put since somebody looked: keys and values.
    pub puts: Vec<(String, String)>,
}

/// A leader that does not know yet that it is none any more.
#[derive(Debug)]
struct Former {
    /// What it knows.
    store: Store,
    /// Then it learns it. `None` as long as there is no other leader.
    until: Option<Instant>,
}

/// How often what has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub calls: u64,
    pub lost: u64,
    pub answers_lost: u64,
    pub late: u64,
    pub doubled: u64,
    pub refused: u64,
    pub leaders: u64,
    pub leases_ended: u64,
    pub renewed_by_former: u64,
    pub restored: u64,
}

impl Counts {
    /// Adds what has happened elsewhere.
    pub fn add(&mut self, other: &Counts) {
        self.calls += other.calls;
        self.lost += other.lost;
        self.answers_lost += other.answers_lost;
        self.late += other.late;
        self.doubled += other.doubled;
        self.refused += other.refused;
        self.leaders += other.leaders;
        self.leases_ended += other.leases_ended;
        self.renewed_by_former += other.renewed_by_former;
        self.restored += other.restored;
    }
}

impl SimEtcd {
    pub fn new(store: Store, faults: Faults, seed: u64, now: Instant) -> SimEtcd {
        let mut etcd = SimEtcd {
            store,
            random: fastrand::Rng::with_seed(seed),
            now,
            due: BTreeMap::new(),
            serial: 0,
            open: BTreeMap::new(),
            ended: VecDeque::new(),
            has_leader: true,
            former: None,
            former_random: fastrand::Rng::with_seed(!seed),
            waiting: Vec::new(),
            counts: Counts::default(),
            puts: Vec::new(),
            faults,
        };
        etcd.plan_mishaps();
        etcd
    }

    /// From now on nothing goes wrong any more.
    pub fn heal(&mut self) {
        self.faults = Faults::NONE;
        self.former = None;
        self.store.is_full = false;
        if !self.has_leader {
            self.put(Duration::ZERO, Due::Leader { is_there: true });
        }
    }

    /// Sends a call. Its caller hears of it at the deadline at the latest.
    pub fn send(&mut self, call: Call, deadline: Duration) -> CallId {
        self.counts.calls += 1;
        self.serial += 1;
        let id = CallId(self.serial);
        self.open.insert(id, ());
        let none = |what: &str| Err(CallError::Unanswered(format!("etcd: {what}")));
        self.put(
            deadline,
            Due::Ends {
                id,
                result: none("no answer in time"),
            },
        );
        let arrives = |is_answered| Due::Arrives {
            id,
            call: call.clone(),
            is_answered,
        };
        let way = self.faults.delay(&mut self.random);
        if self.faults.hits(self.faults.lost, &mut self.random) {
            self.counts.lost += 1;
        } else if self.faults.hits(self.faults.late, &mut self.random) {
            self.counts.late += 1;
            let late = deadline + self.faults.lateness(&mut self.random);
            self.put(late, arrives(false));
        } else {
            let is_answered = !self.faults.hits(self.faults.answer_lost, &mut self.random);
            self.counts.answers_lost += u64::from(!is_answered);
            self.put(way, arrives(is_answered));
        }
        if self.faults.hits(self.faults.doubled, &mut self.random) {
            self.counts.doubled += 1;
            let again = way + self.faults.lateness(&mut self.random);
            self.put(again, arrives(false));
        }
        id
    }

    /// When something happens next.
    pub fn next(&self) -> Option<Instant> {
        let due = self.due.keys().next().map(|(at, _)| *at);
        let lease = self.store.next_end().filter(|_| self.has_leader);
        due.into_iter().chain(lease).min()
    }

    /// Lets everything happen that is due by now.
    pub fn run(&mut self, now: Instant) {
        while let Some(at) = self.next().filter(|at| *at <= now) {
            self.now = self.now.max(at);
            if self.has_leader {
                self.store.expire(self.now);
            }
            if let Some(entry) = self.due.first_entry()
                && entry.key().0 <= self.now
            {
                let due = entry.remove();
                self.happen(due);
            }
        }
        self.now = self.now.max(now);
    }

    /// The next call that has ended, and its result.
    pub fn ended(&mut self) -> Option<(CallId, CallResult)> {
        self.ended.pop_front()
    }

    /// Puts an earlier state of the store in the place of this one, as a restore does. Calls on their way arrive there.
    pub fn restore(&mut self, backup: Store) {
        self.counts.restored += 1;
        self.store = backup;
        self.store.begin_term(self.now);
        self.former = None;
    }

    /// A call that has not arrived never does.
    pub fn cut(&mut self, call: CallId) {
        self.due
            .retain(|_, due| !matches!(due, Due::Arrives { id, .. } if *id == call));
    }

    fn put(&mut self, wait: Duration, due: Due) {
        self.serial += 1;
        self.due.insert((self.now.after(wait), self.serial), due);
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Arrives {
                id,
                call,
                is_answered,
            } => self.arrive(id, call, is_answered),
            Due::Ends { id, result } => {
                if self.open.remove(&id).is_some() {
                    self.ended.push_back((id, result));
                }
            }
            Due::Leader { is_there } => self.change_leader(is_there),
            Due::EndsLease => {
                let leases = self.store.leases();
                if self.faults.mishap.is_some() && !leases.is_empty() {
                    self.counts.leases_ended += 1;
                    self.store.end(leases[self.random.usize(..leases.len())]);
                }
                self.plan_mishaps();
            }
            Due::Full(is_full) => {
                self.store.is_full = is_full && self.faults.mishap.is_some();
                if is_full {
                    let while_full = self.faults.outage(&mut self.random);
                    self.put(while_full, Due::Full(false));
                } else {
                    self.plan_mishaps();
                }
            }
        }
    }

    fn arrive(&mut self, id: CallId, call: Call, is_answered: bool) {
        if let Some(answer) = self.asked_of_former(&call) {
            if is_answered {
                let way = self.faults.delay(&mut self.former_random);
                let result = Ok(answer);
                self.put(way, Due::Ends { id, result });
            }
            return;
        }
        if !self.has_leader {
            self.waiting.push(Due::Arrives {
                id,
                call,
                is_answered,
            });
            return;
        }
        let refused = self.faults.hits(self.faults.refused, &mut self.random);
        let result = if refused {
            Err("etcdserver: too many requests".to_owned())
        } else {
            self.store.apply(&call, self.now)
        };
        if let (Ok(answer), Call::Txn(txn)) = (&result, &call)
            && let Answered::Txn {
                succeeded: true, ..
            } = answer.answered
        {
            let puts = txn.then.iter().filter_map(|op| match op {
                Op::Put { key, value, .. } => Some((key.clone(), value.clone())),
                Op::Delete(_) | Op::Range(_) => None,
            });
            self.puts.extend(puts);
        }
        if !is_answered {
            return;
        }
        let result = result.map_err(|error| {
            self.counts.refused += 1;
            CallError::Refused(error)
        });
        let way = self.faults.delay(&mut self.random);
        self.put(way, Due::Ends { id, result });
    }

    /// The answer of a former leader, if a sign of life goes to one. It takes no other call: for those it needs the others.
    fn asked_of_former(&mut self, call: &Call) -> Option<Answer> {
        let now = self.now;
        self.former
            .take_if(|former| former.until.is_some_and(|until| until <= now));
        let former = self.former.as_mut()?;
        // Who has a connection to it stays with it as long as it answers.
        if !matches!(call, Call::KeepAlive(_)) || self.former_random.u8(..8) == 0 {
            return None;
        }
        self.counts.renewed_by_former += 1;
        former.store.apply(call, now).ok()
    }

    fn change_leader(&mut self, is_there: bool) {
        self.has_leader = is_there;
        if is_there {
            self.store.begin_term(self.now);
            let learns = self.faults.lateness(&mut self.former_random);
            if let Some(former) = &mut self.former {
                former.until = Some(self.now.after(learns));
            }
            for due in std::mem::take(&mut self.waiting) {
                self.put(Duration::ZERO, due);
            }
            self.plan_mishaps();
        } else {
            self.counts.leaders += 1;
            self.former = Some(Former {
                store: self.store.clone(),
                until: None,
            });
            let without = self.faults.outage(&mut self.random);
            self.put(without, Due::Leader { is_there: true });
        }
    }

    /// Plans the next thing that goes wrong with etcd itself: there is always one.
    fn plan_mishaps(&mut self) {
        let Some(every) = self.faults.mishap else {
            return;
        };
        let wait = every.mul_f64(2.0 * self.random.f64());
        let due = match self.random.u8(..6) {
            0 | 1 => Due::Leader { is_there: false },
            2 => Due::Full(true),
            _ if self.faults.ends_leases => Due::EndsLease,
            _ => Due::Leader { is_there: false },
        };
        self.put(wait, due);
    }
}
