//! Eight lives that want three pids, and a judge: the procedures of [`ipseity_pids`] against the simulated etcd, call by
//! call, without servers around them. So thousands of seeds take seconds.
//!
//! A worker claims a pid, hands out sequences up to its ceiling, raises it, keeps its lease, and at some moment stops, is
//! killed, or is paused with its calls on their way. Then it begins again. Half of them hand out nothing while their lease
//! is unconfirmed, the others go on.
//!
//! In every fourth seed etcd is restored from a backup. An operator ends all workers, says above which sequence the pids
//! begin, and starts them again.

use std::{collections::BTreeMap, time::Duration};

use ipseity_core::{
    identity::{Pid, Sequence},
    time::Instant,
    words::ClusterName,
};
use ipseity_etcd::Procedure;
use ipseity_pids::{
    Claim, Claimant, Epoch, Keep, Kept, Layout, Lost, NoClaim, NoEpoch, Raise, Stop, Tenure, Wanted,
};

use super::{
    CallId, Counts, SimEtcd,
    allowances::Judge,
    doing::{Doing, Inbox},
    faults::Faults,
    store::Store,
};

const WORKERS: usize = 8;
const PIDS: u16 = 3;

/// How long faults rain.
const FAULTY: Duration = Duration::from_secs(40);

/// How long everything is well after that. Long enough for every lease to end and every claim to begin again.
const HEALTHY: Duration = Duration::from_secs(40);

/// How long a worker waits for an answer.
const DEADLINE: Duration = Duration::from_secs(1);

/// How long a stop may take.
const STOP_MAX: Duration = Duration::from_secs(5);

/// The number of the operator among those who make calls.
const OPERATOR: usize = WORKERS;

/// The etcd of a run.
const CLUSTER_ID: u64 = 0xe7cd;

/// A run that does more than this in its two minutes turns in a circle.
const EVENTS_MAX: u64 = 1_000_000;

/// What a run has come to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The promise that was broken, if one was.
    pub violation: Option<String>,
    pub handed_out: u64,
    pub lives: u64,
    pub fenced: u64,
    pub stopped: u64,
    pub raises: u64,
    pub calls: Counts,
}

impl Outcome {
    /// Adds what another run has come to.
    pub fn add(&mut self, other: &Outcome) {
        self.handed_out += other.handed_out;
        self.lives += other.lives;
        self.fenced += other.fenced;
        self.stopped += other.stopped;
        self.raises += other.raises;
        self.calls.add(&other.calls);
    }
}

/// Runs a seed.
pub fn run(seed: u64) -> Outcome {
    let mut run = Run::new(seed);
    let outcome = run.go();
    Outcome {
        violation: outcome.err(),
        calls: run.etcd.counts,
        ..run.outcome
    }
}

/// A life that has a pid.
struct Life {
    tenure: Tenure,
    handed_out: Sequence,
    /// Until when nobody else can have the pid, as far as the lease says.
    confirmed: Instant,
    /// With the ceiling that was asked for.
    raise: Option<(Doing<Raise>, Sequence)>,
    keep: Option<Doing<Keep>>,
    next_keep: Instant,
    stop: Option<Doing<Stop>>,
}

enum Part {
    /// Begins again at this moment.
    Down(Instant),
    Claims(Box<Doing<Claim>>),
    Lives(Box<Life>),
}

struct Worker {
    part: Part,
    wanted: Wanted,
    /// Hands out nothing while its lease is unconfirmed.
    waits_in_doubt: bool,
    /// When it acts next.
    acts: Instant,
    /// Until then it does nothing and sees nothing.
    paused: Instant,
    /// The answers that it has not looked at.
    inbox: Inbox,
}

struct Run {
    random: fastrand::Rng,
    etcd: SimEtcd,
    layout: Layout,
    now: Instant,
    workers: Vec<Worker>,
    callers: BTreeMap<CallId, usize>,
    judge: Judge,
    outcome: Outcome,
    ttl: Duration,
    step: u64,
    is_healed: bool,
    restore: Option<Restore>,
}

/// A restore that is planned or under way.
struct Restore {
    backup_at: Instant,
    backup: Option<Store>,
    restored_at: Instant,
    /// The number of the restored etcd.
    cluster_id: u64,
    operator: Option<Doing<Epoch>>,
    inbox: Inbox,
}

impl Restore {
    /// When it goes on, if no answer comes before.
    fn next(&self) -> Instant {
        let operator = self.operator.as_ref().map(Doing::next);
        match operator {
            None if self.backup.is_none() => self.backup_at,
            None => self.restored_at,
            Some(next) => next.unwrap_or(Instant::from_nanos(u64::MAX)),
        }
    }

    fn draw(seed: u64) -> Option<Restore> {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let at = |ms| Instant::START.after(Duration::from_millis(ms));
        let restored_ms = random.u64(8_000..30_000);
        seed.is_multiple_of(4).then(|| Restore {
            backup_at: at(random.u64(1_000..restored_ms)),
            backup: None,
            restored_at: at(restored_ms),
            // Restored under the same names and addresses, it has the same number.
            cluster_id: CLUSTER_ID + u64::from(random.bool()),
            operator: None,
            inbox: Inbox::new(),
        })
    }
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut random = fastrand::Rng::with_seed(seed);
        let faults = Faults::random(&mut random);
        let etcd = SimEtcd::new(
            Store::new(CLUSTER_ID),
            faults,
            random.u64(..),
            Instant::START,
        );
        let workers = (0..WORKERS).map(|number| {
            let begins = Instant::START.after(Duration::from_millis(random.u64(..3_000)));
            Worker {
                part: Part::Down(begins),
                wanted: match number % 2 {
                    0 => Wanted::Auto {
                        first: Pid::MIN,
                        last: pid(PIDS - 1),
                    },
                    _ => Wanted::Pid(pid(random.u16(..PIDS))),
                },
                waits_in_doubt: random.bool(),
                acts: begins,
                paused: Instant::START,
                inbox: Inbox::new(),
            }
        });
        Run {
            workers: workers.collect(),
            etcd,
            layout: Layout::new("/ids", &ClusterName::default()),
            now: Instant::START,
            callers: BTreeMap::new(),
            // A lease that ends early lets a successor begin while its predecessor still believes in it.
            judge: Judge::new(faults.leases_hold()),
            outcome: Outcome::default(),
            ttl: Duration::from_secs(random.u64(2..10)),
            step: random.u64(10..500),
            is_healed: false,
            restore: Restore::draw(seed),
            random,
        }
    }

    fn go(&mut self) -> Result<(), String> {
        let healed = Instant::START.after(FAULTY);
        let end = healed.after(HEALTHY);
        for _ in 0..EVENTS_MAX {
            let next = self.etcd.next().into_iter();
            let next = next.chain(self.workers.iter().filter_map(Worker::next));
            let next = next.chain(self.restore.as_ref().map(Restore::next));
            // A moment that is over is one that has just been made due.
            self.now = next.min().unwrap_or(end).max(self.now).min(end);
            if self.now == end {
                return self.judge.judge_liveness((0..PIDS).map(pid), end);
            }
            if !self.is_healed && self.now >= healed {
                self.is_healed = true;
                self.etcd.heal();
            }
            self.etcd.run(self.now);
            self.etcd.puts.clear();
            while let Some((call, result)) = self.etcd.ended() {
                match self.callers.remove(&call) {
                    Some(OPERATOR) => {
                        let restore = self.restore.as_mut();
                        restore.map(|restore| restore.inbox.insert(call, result));
                    }
                    Some(worker) => {
                        self.workers[worker].inbox.insert(call, result);
                    }
                    None => {}
                }
            }
            self.restore()?;
            for worker in 0..WORKERS {
                if self.workers[worker].next().is_some_and(|at| at <= self.now) {
                    self.turn(worker)?;
                }
            }
        }
        Err("it turns in a circle".to_owned())
    }

    /// Goes on with the restore, if there is one.
    fn restore(&mut self) -> Result<(), String> {
        let Some(mut restore) = self.restore.take() else {
            return Ok(());
        };
        if restore.backup.is_none() && restore.backup_at <= self.now {
            restore.backup = Some(self.etcd.store.clone());
        }
        if restore.operator.is_none() && restore.restored_at <= self.now {
            let mut backup = restore.backup.clone().expect("it was made before");
            backup.cluster_id = restore.cluster_id;
            self.etcd.restore(backup);
            for worker in 0..WORKERS {
                self.workers[worker].part = self.down();
                self.workers[worker].paused = self.now;
            }
            self.judge.end_all();
            restore.operator = Some(self.epoch());
        }
        if let Some(epoch) = &mut restore.operator {
            let (etcd, callers) = (&mut self.etcd, &mut self.callers);
            let done = epoch.go(
                self.now,
                &mut restore.inbox,
                &mut self.random,
                same,
                |call| {
                    let call = etcd.send(call, DEADLINE);
                    callers.insert(call, OPERATOR);
                    call
                },
            );
            match done {
                None => {}
                Some(Ok(_)) => return Ok(()),
                // The operator tries again.
                Some(Err(NoEpoch::Call(_))) => restore.operator = Some(self.epoch()),
                Some(Err(error)) => return Err(format!("an operator cannot go on: {error}")),
            }
        }
        self.restore = Some(restore);
        Ok(())
    }

    /// An operator who knows what was handed out.
    fn epoch(&self) -> Doing<Epoch> {
        let above = self.judge.newest.values().map(|(newest, _)| *newest).max();
        let epoch = Epoch::new(self.layout.clone(), above.unwrap_or_default());
        Doing::new(epoch, self.now)
    }

    /// Whether an operator keeps all workers down.
    fn is_stopped(&self) -> bool {
        self.restore
            .as_ref()
            .is_some_and(|restore| restore.operator.is_some())
    }

    /// Lets a worker do all that it can do now.
    fn turn(&mut self, number: usize) -> Result<(), String> {
        let down = self.down();
        let part = std::mem::replace(&mut self.workers[number].part, down);
        let part = match part {
            Part::Down(until) if until > self.now => Part::Down(until),
            Part::Down(_) if self.is_stopped() => self.down(),
            Part::Down(_) => {
                let worker = &self.workers[number];
                let claimant = Claimant {
                    address: format!("10.0.0.{number}:3264").parse().unwrap(),
                    since: String::new(),
                    ttl: self.ttl,
                    step: self.step,
                };
                let claim = Claim::new(self.layout.clone(), worker.wanted, claimant);
                self.claim(number, Box::new(Doing::new(claim, self.now)))?
            }
            Part::Claims(claim) => self.claim(number, claim)?,
            Part::Lives(life) => self.live(number, life)?,
        };
        let worker = &mut self.workers[number];
        worker.part = part;
        // Whatever is left answers what was given up.
        worker.inbox.clear();
        Ok(())
    }

    fn claim(&mut self, number: usize, mut claim: Box<Doing<Claim>>) -> Result<Part, String> {
        match self.drive(number, &mut claim) {
            None => Ok(Part::Claims(claim)),
            Some(Ok(tenure)) => {
                self.outcome.lives += 1;
                self.judge.begin(&tenure)?;
                Ok(Part::Lives(Box::new(Life {
                    handed_out: tenure.above,
                    confirmed: claim.asked_at.after(self.ttl),
                    raise: None,
                    keep: None,
                    next_keep: self.now,
                    stop: None,
                    tenure,
                })))
            }
            Some(Err(error @ (NoClaim::Breach(_) | NoClaim::NoCluster { .. }))) => {
                Err(format!("a claim sees a breach: {error}"))
            }
            Some(Err(NoClaim::Taken { .. } | NoClaim::Call(_))) => Ok(self.down()),
        }
    }

    fn live(&mut self, number: usize, mut life: Box<Life>) -> Result<Part, String> {
        if let Some((raise, _)) = &mut life.raise
            && let Some(raised) = self.drive(number, raise)
        {
            life.raise = None;
            match raised {
                Ok(mark) => {
                    self.outcome.raises += 1;
                    life.tenure.note(mark);
                    self.judge.allow(&life.tenure)?;
                }
                Err(lost) => return self.lost(&lost),
            }
        }
        if life.stop.is_none()
            && let Some(part) = self.keep(number, &mut life)?
        {
            return Ok(part);
        }
        if let Some(stop) = &mut life.stop {
            let is_late = self.now.since(stop.begun) > STOP_MAX;
            match self.drive(number, stop) {
                None if is_late => return Ok(self.down()),
                None => {}
                Some(Ok(())) => {
                    self.outcome.stopped += 1;
                    return Ok(self.down());
                }
                Some(Err(lost)) => return self.lost(&lost),
            }
        }
        if self.workers[number].acts <= self.now {
            let wait = Duration::from_millis(self.random.u64(10..600));
            self.workers[number].acts = self.now.after(wait);
            if let Some(part) = self.act(number, &mut life)? {
                return Ok(part);
            }
        }
        Ok(Part::Lives(life))
    }

    /// The lease. Returns what comes of the worker if it has lost its pid.
    fn keep(&mut self, number: usize, life: &mut Life) -> Result<Option<Part>, String> {
        if life.keep.is_none() && life.next_keep <= self.now {
            life.keep = Some(Doing::new(Keep::new(&life.tenure), self.now));
        }
        let Some(keep) = &mut life.keep else {
            return Ok(None);
        };
        let begun = keep.begun;
        let kept = self.drive(number, keep);
        let asked_at = keep.asked_at;
        let Some(kept) = kept else {
            return Ok(None);
        };
        life.keep = None;
        life.next_keep = begun.after(self.ttl / 3).max(self.now);
        match kept {
            Ok(Kept::Confirmed { ttl, lease, .. }) => {
                life.tenure.lease = lease;
                life.confirmed = asked_at.after(ttl);
            }
            Ok(Kept::Unknown { lease, watch, .. }) => {
                life.tenure.kept(lease, &watch);
                life.next_keep = self.now.after(Duration::from_millis(300));
            }
            Ok(Kept::Stopped) => return Err("a life that runs has stopped".to_owned()),
            Err(lost) => return self.lost(&lost).map(Some),
        }
        Ok(None)
    }

    fn act(&mut self, number: usize, life: &mut Life) -> Result<Option<Part>, String> {
        let fate = self.random.u16(..400);
        if !self.is_healed {
            match fate {
                0 | 1 => return Ok(Some(self.down())),
                2..6 => {
                    let pause = Duration::from_millis(self.random.u64(..15_000));
                    self.workers[number].paused = self.now.after(pause);
                    return Ok(None);
                }
                6 | 7 if life.stop.is_none() => {
                    // A raise that is under way is left alone: it may still be done.
                    (life.raise, life.keep) = (None, None);
                    self.judge.stop(&life.tenure, life.handed_out);
                    let stop = Stop::new(&life.tenure, life.handed_out);
                    life.stop = Some(Doing::new(stop, self.now));
                    return Ok(None);
                }
                _ => {}
            }
        }
        let waits = self.workers[number].waits_in_doubt;
        if life.stop.is_some() || (waits && self.now >= life.confirmed) {
            return Ok(None);
        }
        let ceiling = life.tenure.ceiling();
        // bug ReplyBeforeAcknowledged: let ceiling = if BUG { life.raise.as_ref().map_or(ceiling, |(_, asked)| *asked) } else { ceiling };
        let last = life
            .handed_out
            .saturating_add(self.random.u64(1..=self.step / 4 + 1));
        if last <= ceiling {
            let tenure = &life.tenure;
            self.judge
                .hand_out(tenure, life.handed_out, last, waits, self.now)?;
            self.outcome.handed_out += last.ahead_of(life.handed_out);
            life.handed_out = last;
        }
        if life.raise.is_none() && ceiling.ahead_of(life.handed_out) < self.step / 2 + 1 {
            let asked = life.handed_out.saturating_add(self.step);
            let raise = Raise::new(&life.tenure, life.handed_out, asked);
            life.raise = Some((Doing::new(raise, self.now), asked));
        }
        Ok(None)
    }

    fn lost(&mut self, lost: &Lost) -> Result<Part, String> {
        match lost {
            Lost::Fenced { .. } => {
                self.outcome.fenced += 1;
                Ok(self.down())
            }
            Lost::Breach(breach) => Err(format!("a life sees a breach: {breach}")),
        }
    }

    fn down(&mut self) -> Part {
        Part::Down(
            self.now
                .after(Duration::from_millis(self.random.u64(10..3_000))),
        )
    }

    /// Takes a procedure as far as it comes now.
    fn drive<P: Procedure>(&mut self, number: usize, doing: &mut Doing<P>) -> Option<P::Output> {
        let (etcd, callers) = (&mut self.etcd, &mut self.callers);
        let inbox = &mut self.workers[number].inbox;
        doing.go(self.now, inbox, &mut self.random, same, |call| {
            let call = etcd.send(call, DEADLINE);
            callers.insert(call, number);
            call
        })
    }
}

impl Worker {
    /// When it does something next, unless an answer comes before.
    fn next(&self) -> Option<Instant> {
        let next = match &self.part {
            Part::Down(until) => Some(*until),
            Part::Claims(claim) => claim.next(),
            Part::Lives(life) => {
                let keep = match &life.keep {
                    Some(keep) => keep.next(),
                    None if life.stop.is_none() => Some(life.next_keep),
                    None => None,
                };
                let raise = life.raise.as_ref().and_then(|(raise, _)| raise.next());
                let stop = life.stop.as_ref().and_then(Doing::next);
                [Some(self.acts), keep, raise, stop]
                    .into_iter()
                    .flatten()
                    .min()
            }
        };
        // Once its pause is over it looks at the answers that have come.
        let woken = (!self.inbox.is_empty()).then_some(self.paused);
        next.into_iter()
            .chain(woken)
            .min()
            .map(|at| at.max(self.paused))
    }
}

/// Here all clocks run at one speed.
fn same(wait: Duration) -> Duration {
    wait
}

fn pid(number: u16) -> Pid {
    Pid::new(number).unwrap()
}
