//! A pid whose state is in etcd: takes it at a start, raises its ceiling, keeps its lease, and gives it back.
//!
//! Every decision is made by a procedure of [`ipseity_pids`]. This room only makes the calls that it asks for, one after
//! the other, and waits for their answers. It has two hands, each for a thread of its own and with a connection of its own:
//! a slow raise holds up no sign of life. What they both know of the pid is shared, and never held over a call.

mod link;
mod prospect;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ipseity_core::{
    identity::{Pid, Sequence},
    time::Instant,
    words::ClusterName,
};
use ipseity_etcd::{CallError, Gateway, Procedure as _, Secrets, Step, Target, World as _, run};
use ipseity_pids::{
    Breach, Claim, Claimant, Keep, Kept, Layout, Look, Lost, NoClaim, Raise, Stop, Tenure, Waiting,
    Wanted, layout::Owner,
};

use self::link::Link;
pub use self::{
    link::{Failed, Now},
    prospect::{PidProspect, Takes, prospect},
};
use crate::{
    limits::LEASE_MARGIN_PARTS,
    store::{Note, Started},
};

/// The etcd in which the pids are.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where it is.
    pub target: Target,
    /// What to show it, and what it has to show.
    pub secrets: Secrets,
    /// The cluster of the pids.
    pub cluster: ClusterName,
}

/// What a start wants.
#[derive(Clone, Debug)]
pub struct PidStoreOptions {
    /// The etcd.
    pub place: Place,
    /// Which pid.
    pub wanted: Wanted,
    /// Who claims it.
    pub claimant: Claimant,
    /// Only if the cluster is there already.
    pub is_existing: bool,
}

impl PidStoreOptions {
    fn claim(&self) -> Claim {
        let layout = self.place.layout();
        Claim::new(layout, self.wanted, self.claimant.clone()).of_existing(self.is_existing)
    }
}

impl Place {
    fn layout(&self) -> Layout {
        Layout::new(self.target.prefix(), &self.cluster)
    }

    fn gateway(&self) -> Result<Gateway, String> {
        Gateway::new(&self.target, &self.secrets).map_err(|error| error.to_string())
    }
}

/// A pid that was claimed.
#[derive(Debug)]
pub struct Claimed {
    /// The pid.
    pub pid: Pid,
    /// The random value of this life.
    pub session: u64,
    /// What the claim has found, and what is durable now.
    pub started: Started,
    /// Where the owners of the other pids are, each `host:port`.
    pub owners: Vec<String>,
    /// For how long the lease is confirmed.
    pub confirmed: Confirmed,
    /// What keeps the pid.
    pub store: PidStore,
}

/// For how long it is confirmed that a life has its pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Before that was asked.
    pub at: Instant,
    /// Until then nobody else can claim the pid.
    pub until: Instant,
}

/// What keeps a pid.
#[derive(Debug)]
pub struct PidStore {
    /// Where it is, for people.
    pub target: String,
    /// It raises the ceiling and stops.
    pub writer: Writer,
    /// It keeps the lease.
    pub keeper: Keeper,
}

/// A clock for those who have no lease.
fn no_clock() -> Now {
    Arc::new(|| Instant::START)
}

/// What a claim tells of while it goes on.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// What is wanted is not free, and it waits for up to so long.
    Waits(&'a Waiting, Duration),
    /// A call has failed.
    Failed(&'a CallError),
}

/// Claims a pid, and waits for it for up to one lease. `told` is told of each wait and each failure.
///
/// # Errors
/// One line for people.
pub fn claim(
    options: &PidStoreOptions,
    now: &Now,
    told: &mut dyn FnMut(Told<'_>),
) -> Result<Claimed, String> {
    let place = &options.place;
    let mut link = Link::new(place.gateway()?, Arc::clone(now));
    let mut claim = options.claim();
    let mut result = None;
    let tenure = loop {
        let step = claim.step(result.take(), &mut || link.random());
        match step {
            Step::Call(call) => {
                let mut failed = |error: &CallError| told(Told::Failed(error));
                result = Some(link.world(&mut failed).call(&call));
            }
            Step::Wait(wait) => {
                if let Some(waiting) = claim.waiting() {
                    told(Told::Waits(waiting, claim.waits_up_to()));
                }
                link.world(&mut |_| {}).wait(wait);
            }
            Step::Done(done) => break done.map_err(|error| why_not(&error))?,
        }
    };
    let mut look = Look::new(place.layout());
    let owners = run(&mut look, &mut link.world(&mut |_| {}));
    let owners = owners.map(|survey| addresses(&survey.owners(), tenure.pid));
    let confirmed = Confirmed::of(link.asked_at(), tenure.ttl);
    let keeping = Link::new(place.gateway()?, Arc::clone(now));
    let shared = Shared {
        tenure: Arc::new(Mutex::new(tenure.clone())),
        stops: Arc::new(AtomicBool::new(false)),
    };
    Ok(Claimed {
        pid: tenure.pid,
        session: tenure.session(),
        started: Started {
            notes: notes(place, &tenure),
            ..started(&tenure)
        },
        // The first sign of life asks again.
        owners: owners.unwrap_or_default(),
        confirmed,
        store: PidStore {
            target: place.target.to_string(),
            writer: Writer {
                link,
                tenure: shared.clone(),
            },
            keeper: Keeper {
                link: keeping,
                tenure: shared,
            },
        },
    })
}

/// Why there is no pid, and what to do.
fn why_not(error: &NoClaim) -> String {
    match error {
        NoClaim::Taken { waiting, .. } => {
            let advice = match waiting {
                Waiting::Owned { .. } => {
                    "stop that server first, or start this one with another --pid or with --pid auto; after a crash, start \
                     it again"
                }
                Waiting::NoneFree { .. } => {
                    "stop one of the servers that have them, or give a wider --pid-range; ipseity-cli pids shows who has \
                     which"
                }
            };
            format!("{error}; {advice}")
        }
        NoClaim::Call(error) => format!("cannot claim a pid: {error}"),
        NoClaim::Breach(breach) => format!("cannot claim a pid: {breach}"),
        NoClaim::NoCluster { .. } => format!(
            "{error}, and --existing requires it; check --store and --cluster, or leave --existing out for the first start \
             of a cluster"
        ),
    }
}

/// What people should hear of a claim, beside what has become of it.
fn notes(place: &Place, tenure: &Tenure) -> Vec<Note> {
    let made = tenure.made_cluster.then(|| Note {
        event: "firstStart",
        text: format!(
            "first start in {}: nothing was there of cluster \"{}\", and this start has made it, with the id {:032x}. If the \
             cluster has run before, stop this server: its state is somewhere else, and --store or --cluster is wrong",
            place.target, place.cluster, tenure.watch.meta.value.id
        ),
    });
    made.into_iter().collect()
}

/// What a start has found, as for a state directory.
pub fn started(tenure: &Tenure) -> Started {
    let state = &tenure.state.value;
    Started {
        incarnation: state.incarnation,
        boot: state.boot,
        sequence: tenure.above,
        ceiling: tenure.ceiling(),
        lives: tenure.lives(),
        members_lost: false,
        // Peers with disks may remember lives that a restored etcd does not know, and an operator has vouched for this one.
        // bug EpochUntold instead: recovered: if BUG { Sequence::ZERO } else { tenure.watch.meta.value.above },
        recovered: tenure.watch.meta.value.above,
        objected: None,
        skipped: tenure.skipped,
        first_start: tenure.is_first,
        notes: Vec::new(),
    }
}

/// What both hands know of the pid.
#[derive(Clone, Debug)]
struct Shared {
    tenure: Arc<Mutex<Tenure>>,
    /// Whether this life has begun to give the pid back.
    stops: Arc<AtomicBool>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Tenure> {
        // What it holds is whole at each moment.
        self.tenure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn copy(&self) -> Tenure {
        self.lock().clone()
    }
}

/// Raises the ceiling of the pid, and stops.
#[derive(Debug)]
pub struct Writer {
    link: Link,
    tenure: Shared,
}

impl Writer {
    /// Raises the ceiling to this. It goes on until it is known that the ceiling is raised, or that the pid is lost.
    ///
    /// # Errors
    /// The pid is lost.
    pub fn raise(
        &mut self,
        sequence: Sequence,
        ceiling: Sequence,
        failed: Failed<'_>,
    ) -> Result<(), Lost> {
        let mut raise = Raise::new(&self.tenure.copy(), sequence, ceiling);
        let mark = run(&mut raise, &mut self.link.world(failed))?;
        self.tenure.lock().note(mark);
        Ok(())
    }

    /// Notes the exact sequence, and gives the pid back. It goes on until it is known that this was done, or that the pid
    /// is lost.
    ///
    /// # Errors
    /// The pid is lost.
    pub fn stop(&mut self, sequence: Sequence, failed: Failed<'_>) -> Result<(), Lost> {
        self.tenure.stops.store(true, Ordering::SeqCst);
        let mut stop = Stop::new(&self.tenure.copy(), sequence);
        run(&mut stop, &mut self.link.world(failed))
    }
}

/// Keeps the lease of the pid.
#[derive(Debug)]
pub struct Keeper {
    link: Link,
    tenure: Shared,
}

/// What came of a sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The lease is confirmed.
    Confirmed {
        /// For how long.
        confirmed: Confirmed,
        /// It had ended, and is a new one.
        is_new: bool,
        /// Where the owners of the other pids are, each `host:port`.
        owners: Vec<String>,
    },
    /// It is not known.
    Unknown(CallError),
    /// The pid was given back.
    Stopped,
    /// The pid is lost.
    Lost(Lost),
}

impl Keeper {
    /// The pid.
    pub fn pid(&self) -> Pid {
        self.tenure.lock().pid
    }

    /// See [`interval`].
    pub fn interval(&self) -> Duration {
        interval(&self.tenure.lock())
    }

    /// Gives a sign of life.
    pub fn keep(&mut self) -> Sign {
        let tenure = self.tenure.copy();
        let mut keep = Keep::new(&tenure);
        let kept = run(&mut keep, &mut self.link.world(&mut |_| {}));
        match kept {
            Ok(Kept::Confirmed {
                ttl,
                lease,
                watch,
                owners,
            }) => {
                self.tenure.lock().kept(lease, &watch);
                Sign::Confirmed {
                    confirmed: Confirmed::of(self.link.asked_at(), ttl),
                    is_new: lease != tenure.lease,
                    owners: addresses(&owners, tenure.pid),
                }
            }
            Ok(Kept::Unknown {
                lease,
                watch,
                error,
            }) => {
                self.tenure.lock().kept(lease, &watch);
                Sign::Unknown(error)
            }
            Ok(Kept::Stopped) if self.tenure.stops.load(Ordering::SeqCst) => Sign::Stopped,
            Ok(Kept::Stopped) => Sign::Lost(Breach::GivenBack { pid: tenure.pid }.into()),
            Err(lost) => Sign::Lost(lost),
        }
    }
}

/// How long to wait after one sign of life until the next: a third of the lease, so that two may be lost.
pub fn interval(tenure: &Tenure) -> Duration {
    tenure.ttl / 3
}

impl Confirmed {
    /// A lease of this length that was asked for at this moment. Clocks do not all run at the same speed, so a part of it
    /// is left out.
    pub fn of(at: Instant, ttl: Duration) -> Confirmed {
        Confirmed {
            at,
            until: at.after(ttl - ttl / LEASE_MARGIN_PARTS),
        }
    }
}

/// The addresses of those who have the other pids.
pub fn addresses(owners: &[(Pid, Owner)], own: Pid) -> Vec<String> {
    let others = owners.iter().filter(|(pid, _)| *pid != own);
    others.map(|(_, owner)| owner.address.to_string()).collect()
}
