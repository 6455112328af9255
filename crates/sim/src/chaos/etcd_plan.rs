//! What a seed draws about the etcd in which pids live; see [`pids`](super::pids).

use std::time::Duration;

use fastrand::Rng;
use ipseity_core::{identity::Pid, time::Instant, words::ClusterName};
use ipseity_pids::{Layout, Wanted};

use super::fault::{Fault, Faults, stream};
use crate::{
    etcd::{self, SimEtcd, store::Store},
    world::PidWorld,
};

/// The first of the seeds in which pids live in etcd. They are apart from all others, so that those stay as they are.
pub const FIRST_SEED: u64 = 1 << 40;

/// The pids in etcd are from here on. No server with a disk has one of them.
const FIRST_PID: u16 = 600;

/// The number of the etcd of a run.
const CLUSTER_ID: u64 = 0xe7cd;

/// Whether pids live in etcd in a seed.
pub const fn are_in_etcd(seed: u64) -> bool {
    seed >= FIRST_SEED
}

/// The etcd of a seed.
#[derive(Clone, Debug)]
pub struct EtcdPlan {
    pub faults: etcd::faults::Faults,
    pub seed: u64,
    pub ttl: Duration,
    pub first: Pid,
    pub last: Pid,
}

/// How a server uses it.
#[derive(Clone, Copy, Debug)]
pub struct InEtcd {
    pub wanted: Wanted,
    /// It hands out nothing while its lease is not confirmed.
    pub waits_in_doubt: bool,
}

/// The pid that a server is drawn with and how it uses etcd, if it does.
pub type Place = Option<(u16, InEtcd)>;

/// What does not go with it: mistakes with directories and faults of disks, as there are none; clocks of different speed,
/// because a lease needs a clock; a majority, in which servers in etcd have no vote; and a sequence that an operator sets
/// at a start.
const LEFT_OUT: [Fault; 19] = [
    Fault::DiskFails,
    Fault::DiskHangs,
    Fault::SaveFails,
    Fault::Rot,
    Fault::KillInStart,
    Fault::Amnesia,
    Fault::Copy,
    Fault::WrongPid,
    Fault::Lost,
    Fault::Rollback,
    Fault::SharedDirectory,
    Fault::Clock,
    Fault::Force,
    Fault::Exhaustion,
    Fault::Majority,
    Fault::Require,
    Fault::BootJump,
    Fault::Operator,
    Fault::Flood,
];

/// The faults of a seed, without those that do not go with etcd.
pub fn faults(seed: u64, faults: Faults) -> Faults {
    match are_in_etcd(seed) {
        true => LEFT_OUT.into_iter().fold(faults, Faults::without),
        false => faults,
    }
}

/// Draws the etcd, and which of so many servers have their pids there: the pid that each is drawn with, and how it uses
/// etcd.
pub fn draw(seed: u64, servers: usize) -> Option<(EtcdPlan, Vec<Place>)> {
    if !are_in_etcd(seed) {
        return None;
    }
    let mut rng = stream(seed, 10);
    let all = rng.u32(..3) > 0;
    let is_in = |rng: &mut Rng, index: usize| all || index == 0 || rng.bool();
    let are_in: Vec<bool> = (0..servers).map(|index| is_in(&mut rng, index)).collect();
    let count = are_in.iter().filter(|is_in| **is_in).count() as u16;
    // Without a spare one, a server that comes back has to wait for a pid, or takes that of another one.
    let spare = u16::from(rng.u32(..3) == 0);
    let pid = |number: u16| Pid::new(FIRST_PID + number).expect("there are so many");
    let (first, last) = (pid(0), pid(count + spare - 1));
    let is_auto = rng.u32(..4) > 0;
    let mut numbers = 0..;
    let mut place = |rng: &mut Rng| {
        let number = pid(numbers.next()?);
        let wanted = match is_auto {
            true => Wanted::Auto { first, last },
            false => Wanted::Pid(number),
        };
        let waits_in_doubt = rng.u32(..3) > 0;
        Some((
            number.get(),
            InEtcd {
                wanted,
                waits_in_doubt,
            },
        ))
    };
    let places = are_in
        .into_iter()
        .map(|is_in| is_in.then(|| place(&mut rng)).flatten())
        .collect();
    let mut faults = etcd::faults::Faults::random(&mut rng);
    // Claims take some calls, and a run has only some seconds.
    faults.mishap = faults.mishap.map(|every| every.max(Duration::from_secs(1)));
    let plan = EtcdPlan {
        faults,
        seed: rng.u64(..),
        ttl: Duration::from_secs(rng.u64(2..=5)),
        first,
        last,
    };
    Some((plan, places))
}

impl EtcdPlan {
    /// All pids there.
    pub fn pids(&self) -> impl Iterator<Item = u16> {
        self.first.get()..=self.last.get()
    }

    /// Whether no lease ends before its time.
    pub fn leases_hold(&self) -> bool {
        self.faults.mishap.is_none()
    }

    /// Where its keys are.
    pub fn layout() -> Layout {
        Layout::new("/ids", &ClusterName::default())
    }

    /// The etcd itself, as it is when a run begins.
    pub fn world(&self, begin: Instant) -> PidWorld {
        let etcd = SimEtcd::new(Store::new(CLUSTER_ID), self.faults, self.seed, begin);
        PidWorld::new(etcd, EtcdPlan::layout(), stream(self.seed, 0))
    }
}
