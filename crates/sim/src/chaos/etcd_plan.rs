//! The etcd that a seed draws, and which servers have their pids in it.

use std::time::Duration;

use ipseity_core::{identity::Pid, time::Instant, words::ClusterName};
use ipseity_pids::{Layout, Wanted};

use super::fault::{Fault, Faults, stream};
use crate::{
    etcd::{self, SimEtcd, store::Store},
    world::{Clock, PidWorld, counted},
};

/// The first of the seeds in which pids live in etcd. They are apart from all others, so that those stay as they are.
pub const FIRST_SEED: u64 = 1 << 40;

/// The pids in etcd are from here on. No server with a disk has one of them.
const FIRST_PID: u16 = 600;

/// Where a majority has to accept a start, so many servers have disks at least, as only these have a vote. With two, one
/// that is down would stop the other.
pub const VOTERS_MIN: usize = 3;

/// The number of the etcd of a run.
const CLUSTER_ID: u64 = 0xe7cd;

/// Of so many seeds, one may be without leases that end early: the one at this place. There the judge exempts only those who
/// go on in doubt.
const ORDERED_EVERY: u64 = 8;
const ORDERED_AT: u64 = 3;

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

/// What does not go with it: mistakes with directories and faults of disks, as most servers have none; and a sequence that an
/// operator sets at a start.
const LEFT_OUT: [Fault; 14] = [
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
    Fault::Force,
    Fault::Exhaustion,
    Fault::Require,
];

/// The faults of a seed, without those that do not go with etcd.
pub fn faults(seed: u64, faults: Faults) -> Faults {
    match are_in_etcd(seed) {
        true => LEFT_OUT.into_iter().fold(faults, Faults::without),
        false => faults.without(Fault::Restore),
    }
}

/// How often etcd is restored in a seed in which it is.
pub fn restores(seed: u64) -> usize {
    *stream(seed, 11).choice(&[1, 1, 1, 2, 4]).expect("five")
}

/// An etcd, and the servers that use it.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub etcd: EtcdPlan,
    /// The pid that each of them has at first, and how it uses it.
    pub servers: Vec<Option<(Pid, InEtcd)>>,
}

/// Draws the etcd, and which servers have their pids there.
///
/// [`Drawn::servers`] has the pid of each such server.
pub fn draw(seed: u64, servers: usize, faults: Faults) -> Option<Drawn> {
    if !are_in_etcd(seed) {
        return None;
    }
    let mut rng = stream(seed, 10);
    let votes = faults.has(Fault::Majority) && servers > VOTERS_MIN;
    let all = rng.u32(..3) > 0 && !votes;
    let mut count: u16 = 0;
    let is_in = |index: usize| {
        let has_room = !votes || usize::from(count) + VOTERS_MIN < servers;
        let is_in = all || index == 0 || has_room && rng.bool();
        count += u16::from(is_in);
        is_in
    };
    let are_in: Vec<bool> = (0..servers).map(is_in).collect();
    // Without a spare one, a server that comes back has to wait for a pid, or takes that of another one.
    let spare = u16::from(rng.u32(..3) == 0);
    let pid = |number: u16| Pid::new(FIRST_PID + number).expect("there are so many");
    let (first, last) = (pid(0), pid(count + spare - 1));
    let is_auto = rng.u32(..4) > 0;
    let mut number = 0;
    let mut servers = Vec::new();
    for is_in in are_in {
        servers.push(is_in.then(|| {
            let own = pid(number);
            number += 1;
            let in_etcd = InEtcd {
                wanted: match is_auto {
                    true => Wanted::Auto { first, last },
                    false => Wanted::Pid(own),
                },
                waits_in_doubt: rng.u32(..3) > 0,
            };
            (own, in_etcd)
        }));
    }
    let mut faults = etcd::faults::Faults::random(&mut rng);
    // Claims take some calls, and a run has only some seconds.
    faults.mishap = faults.mishap.map(|every| every.max(Duration::from_secs(1)));
    // In most seeds leases end early too, because that is how lives are fenced.
    faults.ends_leases |= seed % ORDERED_EVERY != ORDERED_AT;
    let etcd = EtcdPlan {
        faults,
        seed: rng.u64(..),
        ttl: Duration::from_secs(rng.u64(2..=5)),
        first,
        last,
    };
    Some(Drawn { etcd, servers })
}

impl EtcdPlan {
    /// All pids there.
    pub fn pids(&self) -> impl Iterator<Item = u16> {
        self.first.get()..=self.last.get()
    }

    /// Whether no lease ends before its time.
    pub fn leases_hold(&self) -> bool {
        self.faults.leases_hold()
    }

    /// Whether a life with this clock is in doubt before etcd can have ended its lease.
    pub fn doubts_in_time(&self, clock: Clock) -> bool {
        clock.takes(counted(self.ttl)) <= self.ttl
    }

    pub fn layout() -> Layout {
        Layout::new("/ids", &ClusterName::default())
    }

    /// The etcd itself.
    pub fn world(&self, now: Instant) -> PidWorld {
        let etcd = SimEtcd::new(Store::new(CLUSTER_ID), self.faults, self.seed, now);
        PidWorld::new(etcd, EtcdPlan::layout(), stream(self.seed, 0))
    }
}
