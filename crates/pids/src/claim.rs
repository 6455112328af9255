//! Takes a pid.

use std::{fmt, time::Duration};

use ipseity_core::{identity::Pid, text::Plain};
use ipseity_etcd::{
    Answer, Answered, Call, CallError, KeyRange, LeaseId, Op, Procedure, Step, Txn,
};

use crate::{
    breach::{Breach, Watch},
    floor::{floor, lives_of},
    found::{Ground, ground, random_128},
    keep::random_lease,
    layout::{Layout, Meta, Owner, State, Value},
    pause::Tries,
    survey::{Entry, Found, Seen, Survey, entry_of},
    tenure::{Claimant, Tenure, is_absent, stands},
};

/// How often a claim looks whether the pid is free meanwhile. Fewer than a hundred starts wait at a time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How much longer than one lease a claim waits: etcd looks every half second for leases that have ended, and writes that
/// down before anybody sees it.
const LEASE_SLACK: Duration = Duration::from_secs(2);

/// How many calls of a claim may fail, in all. A supervisor starts a server again that could not begin, so it need not wait
/// for long; but a leader that is just being chosen, or a member that restarts, must not end it.
const FAILURES_MAX: u32 = 20;

/// How often a claim or a revocation without an answer is made again before it is given up.
const REPEATS_MAX: u32 = 5;

/// By how much the boot of a pid rises with each epoch. After a restore nobody knows how often the pid was claimed since
/// the backup, and no life may have the boot of an earlier one. Nobody starts a server a million times between two backups.
pub const EPOCH_BOOTS: u64 = 1 << 20;

/// Which pid a start wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This one.
    Pid(Pid),
    /// Any that is free, from the first to the last of these: one that was used before rather than a new one.
    Auto {
        /// The first.
        first: Pid,
        /// The last.
        last: Pid,
    },
}

impl Wanted {
    /// The lowest one of them: the one, where there is no choice.
    pub const fn lowest(self) -> Pid {
        match self {
            Wanted::Pid(pid) => pid,
            Wanted::Auto { first, .. } => first,
        }
    }
}

/// Which pid a start would take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This one.
    Take(Pid),
    /// None now: see there who has it.
    Wait(Waiting),
}

/// What a start waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Somebody has the pid.
    Owned {
        /// The pid.
        pid: Pid,
        /// Who, if it can be read.
        owner: Option<Owner>,
    },
    /// None of these is free: somebody has it, or its state cannot be used.
    NoneFree {
        /// The first.
        first: Pid,
        /// The last.
        last: Pid,
    },
}

/// Why no pid was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoClaim {
    /// What was wanted was not free for as long as a lease lasts.
    Taken {
        /// What was wanted.
        waiting: Waiting,
        /// How long was waited.
        waited: Duration,
    },
    /// Calls have failed again and again.
    Call(CallError),
    /// The store is not what it was.
    Breach(Breach),
    /// Nothing is there of the cluster, and it is to exist.
    NoCluster {
        /// What its keys would begin with.
        root: String,
    },
}

/// Which pid a start would take; `random` decides where to begin to look. It asks nobody.
///
/// # Errors
/// The state of the wanted pid cannot be used.
pub fn choose(survey: &Survey, meta: &Meta, wanted: Wanted, random: u64) -> Result<Choice, Breach> {
    match wanted {
        Wanted::Pid(pid) => {
            let found = survey.pid(pid);
            before(pid, found, meta)?;
            Ok(match &found.owner {
                Entry::Absent => Choice::Take(pid),
                owner => Choice::Wait(Waiting::Owned {
                    pid,
                    owner: owner.seen().map(|seen| seen.value.clone()),
                }),
            })
        }
        Wanted::Auto { first, last } => {
            let free = free(survey, meta, first, last);
            Ok(match free.len() {
                0 => Choice::Wait(Waiting::NoneFree { first, last }),
                count => Choice::Take(free[(random % count as u64) as usize]),
            })
        }
    }
}

/// The pids that a start may take of these: those that were used before, or, if none of them is free, the new ones.
pub fn free(survey: &Survey, meta: &Meta, first: Pid, last: Pid) -> Vec<Pid> {
    let is_free = |pid: &Pid| {
        let found = survey.pid(*pid);
        found.owner.is_absent() && before(*pid, found, meta).is_ok()
    };
    let all = (first.get()..=last.get()).filter_map(Pid::new);
    let (used, new): (Vec<Pid>, Vec<Pid>) = all
        .filter(is_free)
        .partition(|pid| !survey.pid(*pid).state.is_absent());
    if used.is_empty() { new } else { used }
}

/// What a life of this pid takes over from the one before it.
fn before(pid: Pid, found: &Found, meta: &Meta) -> Result<Option<State>, Breach> {
    match &found.state {
        Entry::Absent => Ok(None),
        Entry::Unreadable(what) => Err(Breach::StateUnreadable(what.clone())),
        Entry::Seen(seen) if seen.value.epoch > meta.epoch => Err(Breach::EpochFell { pid }),
        Entry::Seen(seen) => Ok(Some(seen.value.clone())),
    }
}

/// Takes a pid, and waits for it for up to one lease.
#[derive(Clone, Debug)]
pub struct Claim {
    layout: Layout,
    wanted: Wanted,
    claimant: Claimant,
    at: At,
    /// What was seen of the store, once something was.
    watch: Option<Watch>,
    /// It makes no cluster.
    is_existing: bool,
    /// The id of the cluster that it has wanted to make last.
    made: Option<u128>,
    /// What it waits for, if it does.
    waiting: Option<Waiting>,
    /// How long it has waited for a pid.
    waited: Duration,
    tries: Tries,
}

#[derive(Clone, Debug)]
enum At {
    /// Reads all that is there.
    Looking,
    /// Makes what the cluster has in common.
    Founding,
    /// Has its lease made.
    Granting(Box<Attempt>),
    /// Claims.
    Claiming(Box<Attempt>, u32),
    /// Has the lease of an attempt revoked that was given up.
    Revoking(LeaseId, u32),
}

/// One attempt. What it has drawn is never used again.
#[derive(Clone, Debug)]
struct Attempt {
    pid: Pid,
    session: u64,
    lease: LeaseId,
    meta: Seen<Meta>,
    /// The state that it replaces.
    before: Entry<State>,
    /// The state that it puts.
    state: State,
    skipped: u64,
}

type Done = Result<Tenure, NoClaim>;

impl Claim {
    /// Claims what is wanted.
    pub fn new(layout: Layout, wanted: Wanted, claimant: Claimant) -> Claim {
        Claim {
            layout,
            wanted,
            claimant,
            at: At::Looking,
            watch: None,
            is_existing: false,
            made: None,
            waiting: None,
            waited: Duration::ZERO,
            tries: Tries::new(FAILURES_MAX),
        }
    }

    /// The same, but only if the cluster is there already: a wrong name or prefix must not begin another one.
    #[must_use]
    pub fn of_existing(self, is_existing: bool) -> Claim {
        Claim {
            is_existing,
            ..self
        }
    }

    /// What it waits for, if it waits because nothing that it wants is free.
    pub fn waiting(&self) -> Option<&Waiting> {
        self.waiting.as_ref()
    }

    /// How long it waits for that at most.
    pub fn waits_up_to(&self) -> Duration {
        self.claimant.ttl + LEASE_SLACK
    }

    fn look(&mut self) -> Step<Done> {
        self.at = At::Looking;
        Step::Call(Call::Range(self.layout.all()))
    }

    fn looked(
        &mut self,
        survey: &Survey,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Step<Done>, Breach> {
        if let Some(watch) = &mut self.watch {
            watch.survey(survey)?;
        }
        let meta = match ground(&self.layout, survey, random)? {
            Ground::There(meta) => meta,
            Ground::Make(..) if self.is_existing => {
                let root = self.layout.root().to_owned();
                return Ok(Step::Done(Err(NoClaim::NoCluster { root })));
            }
            Ground::Make(meta, txn) => {
                self.made = Some(meta.id);
                self.at = At::Founding;
                return Ok(Step::Call(Call::Txn(txn)));
            }
        };
        self.watch = Some(Watch {
            meta: meta.clone(),
            revision: survey.header.revision,
        });
        let pid = match choose(survey, &meta.value, self.wanted, random())? {
            Choice::Take(pid) => pid,
            Choice::Wait(waiting) => return Ok(self.wait(waiting)),
        };
        self.waiting = None;
        let attempt = self.attempt(pid, survey, meta, random)?;
        let lease = attempt.lease;
        self.at = At::Granting(Box::new(attempt));
        Ok(Step::Call(Call::Grant {
            lease,
            ttl: self.claimant.ttl,
        }))
    }

    fn wait(&mut self, waiting: Waiting) -> Step<Done> {
        if self.waited >= self.waits_up_to() {
            return Step::Done(Err(NoClaim::Taken {
                waiting,
                waited: self.waited,
            }));
        }
        self.at = At::Looking;
        self.waiting = Some(waiting);
        self.waited += LOOK_EVERY;
        Step::Wait(LOOK_EVERY)
    }

    fn attempt(
        &self,
        pid: Pid,
        survey: &Survey,
        meta: Seen<Meta>,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Attempt, Breach> {
        let found = survey.pid(pid);
        let session = random().max(1);
        let lease = random_lease(random);
        let old = before(pid, found, &meta.value)?;
        let (above, skipped) = floor(pid, survey, &meta.value);
        let (incarnation, boot, lives) = match old {
            None => (random_128(random), 1, Vec::new()),
            Some(old) => {
                let epochs = meta.value.epoch - old.epoch;
                let boot = EPOCH_BOOTS
                    .checked_mul(epochs)
                    .and_then(|boots| old.boot.checked_add(boots)?.checked_add(1))
                    .ok_or(Breach::NoBootLeft { pid })?;
                // The lives between the backup and the restore are not known. A list with a hole would say that they
                // never were, so a new one is begun.
                let lives = if epochs == 0 {
                    lives_of(&old)
                } else {
                    Vec::new()
                };
                (old.incarnation, boot, lives)
            }
        };
        let state = State {
            incarnation,
            boot,
            session,
            sequence: above,
            ceiling: above.saturating_add(self.claimant.step),
            highest: above.saturating_add(self.claimant.step),
            stopped: false,
            epoch: meta.value.epoch,
            lives,
        };
        Ok(Attempt {
            pid,
            session,
            lease,
            meta,
            before: found.state.clone(),
            state,
            skipped,
        })
    }

    fn claim(&mut self, attempt: Box<Attempt>, repeats: u32) -> Step<Done> {
        let (state, owner) = (
            self.layout.state(attempt.pid),
            self.layout.owner(attempt.pid),
        );
        let mut compare = match &attempt.before {
            Entry::Seen(seen) => stands(state.clone(), seen),
            Entry::Absent | Entry::Unreadable(_) => vec![is_absent(state.clone())],
        };
        // bug LeaseTrusted: compare.clear();
        compare.push(is_absent(owner.clone()));
        compare.extend(stands(self.layout.meta(), &attempt.meta));
        // bug ClaimUncompared: compare.clear();
        let txn = Txn {
            compare,
            then: vec![
                Op::Put {
                    key: state.clone(),
                    value: attempt.state.text(),
                    lease: None,
                },
                Op::Put {
                    key: owner,
                    value: self.owner(attempt.session).text(),
                    lease: Some(attempt.lease),
                },
            ],
            otherwise: vec![Op::Range(KeyRange::Key(state))],
        };
        self.at = At::Claiming(attempt, repeats);
        Step::Call(Call::Txn(txn))
    }

    fn claimed(&mut self, attempt: &Attempt, answer: &Answer) -> Result<Step<Done>, Breach> {
        if let Some(watch) = &mut self.watch {
            watch.see(&answer.header)?;
        }
        let Answered::Txn { succeeded, ranges } = &answer.answered else {
            return Err(Breach::WrongAnswer);
        };
        if *succeeded {
            let seen = Seen {
                value: attempt.state.clone(),
                text: attempt.state.text(),
                revision: answer.header.revision,
                lease: None,
            };
            return Ok(Step::Done(Ok(self.tenure(attempt, seen))));
        }
        let [state] = &ranges[..] else {
            return Err(Breach::WrongAnswer);
        };
        // An earlier try of this attempt may have been done, and its answer was lost.
        match entry_of::<State>(state) {
            Entry::Seen(seen) if seen.value.session == attempt.session => {
                Ok(Step::Done(Ok(self.tenure(attempt, seen))))
            }
            // bug ForeignClaimAdopted: Entry::Seen(seen) if BUG => { Ok(Step::Done(Ok(self.tenure(attempt, seen)))) }
            Entry::Absent | Entry::Seen(_) | Entry::Unreadable(_) => {
                Ok(self.revoke(attempt.lease, 0))
            }
        }
    }

    fn tenure(&self, attempt: &Attempt, state: Seen<State>) -> Tenure {
        let watch = self.watch.clone().unwrap_or(Watch {
            meta: attempt.meta.clone(),
            revision: state.revision,
        });
        Tenure {
            layout: self.layout.clone(),
            pid: attempt.pid,
            above: attempt.state.sequence,
            skipped: attempt.skipped,
            is_first: attempt.before.is_absent(),
            // Another start may have made it at the same time.
            made_cluster: self.made == Some(attempt.meta.value.id),
            owner: self.owner(attempt.session),
            ttl: self.claimant.ttl,
            lease: attempt.lease,
            state,
            watch,
        }
    }

    fn owner(&self, session: u64) -> Owner {
        Owner {
            session,
            address: self.claimant.address.clone(),
            since: self.claimant.since.clone(),
        }
    }

    fn revoke(&mut self, lease: LeaseId, repeats: u32) -> Step<Done> {
        self.at = At::Revoking(lease, repeats);
        Step::Call(Call::Revoke(lease))
    }

    fn failed(&mut self, error: CallError) -> Step<Done> {
        let is_unanswered = matches!(error, CallError::Unanswered(_));
        match std::mem::replace(&mut self.at, At::Looking) {
            At::Looking | At::Founding => {}
            At::Granting(attempt) => self.at = At::Revoking(attempt.lease, 0),
            // The same again: it finds out.
            At::Claiming(attempt, repeats) if is_unanswered && repeats < REPEATS_MAX => {
                self.at = At::Claiming(attempt, repeats + 1);
            }
            At::Claiming(attempt, _) => self.at = At::Revoking(attempt.lease, 0),
            At::Revoking(lease, repeats) if repeats < REPEATS_MAX => {
                self.at = At::Revoking(lease, repeats + 1);
            }
            // It ends by itself, and until then keeps the pid from everybody at the most.
            At::Revoking(..) => {}
        }
        self.tries.failed(error, NoClaim::Call)
    }

    fn answered(
        &mut self,
        answer: &Answer,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Step<Done>, Breach> {
        self.tries.answered();
        match (
            std::mem::replace(&mut self.at, At::Looking),
            &answer.answered,
        ) {
            (At::Looking, Answered::Range(_)) => match Survey::of(&self.layout, answer) {
                Some(survey) => self.looked(&survey, random),
                None => Err(Breach::WrongAnswer),
            },
            (At::Founding, Answered::Txn { .. }) => Ok(self.look()),
            (At::Granting(attempt), Answered::Granted { .. }) => Ok(self.claim(attempt, 0)),
            (At::Claiming(attempt, _), _) => self.claimed(&attempt, answer),
            (At::Revoking(..), Answered::Revoked) => Ok(self.look()),
            (At::Looking | At::Founding | At::Granting(_) | At::Revoking(..), _) => {
                Err(Breach::WrongAnswer)
            }
        }
    }

    /// Goes on after a wait, or begins.
    fn resume(&mut self) -> Step<Done> {
        match std::mem::replace(&mut self.at, At::Looking) {
            At::Claiming(attempt, repeats) => self.claim(attempt, repeats),
            At::Revoking(lease, repeats) => self.revoke(lease, repeats),
            At::Looking | At::Founding | At::Granting(_) => self.look(),
        }
    }
}

impl Procedure for Claim {
    type Output = Done;

    fn step(
        &mut self,
        result: Option<Result<Answer, CallError>>,
        random: &mut dyn FnMut() -> u64,
    ) -> Step<Self::Output> {
        match result {
            None => self.resume(),
            Some(Err(error)) => self.failed(error),
            Some(Ok(answer)) => self
                .answered(&answer, random)
                .unwrap_or_else(|breach| Step::Done(Err(NoClaim::Breach(breach)))),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Pid(pid) => pid.fmt(f),
            Wanted::Auto { first, last } => write!(f, "a free one from {first} to {last}"),
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waiting::Owned {
                pid,
                owner: Some(owner),
            } => write!(f, "pid {pid} is owned by {}", owner.address),
            Waiting::Owned { pid, owner: None } => write!(f, "pid {pid} is owned"),
            Waiting::NoneFree { first, last } => {
                write!(f, "no pid from {first} to {last} is free")
            }
        }
    }
}

impl fmt::Display for NoClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoClaim::Taken { waiting, waited } => {
                let later = match waiting {
                    Waiting::Owned { .. } => "still was",
                    Waiting::NoneFree { .. } => "none was",
                };
                write!(f, "{waiting}, and {later} after {} s", waited.as_secs())
            }
            NoClaim::Call(error) => error.fmt(f),
            NoClaim::Breach(breach) => breach.fmt(f),
            NoClaim::NoCluster { root } => {
                write!(f, "nothing is there of the cluster, below {}", Plain(root))
            }
        }
    }
}

impl std::error::Error for NoClaim {}
