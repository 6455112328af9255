//! Seeds in which pids live in a simulated etcd: those of all servers, or of some of them, while the others have disks.
//!
//! A server takes whatever pid its claim brings. It is killed, paused and stopped like any other, and others take its pid
//! meanwhile. Calls to etcd are lost, late and done twice, its leaders change, it has no space, and leases end early.
//!
//! The judge knows two exemptions, and both are about order and not about uniqueness. A life that was told to go on in
//! doubt (`--on-doubt serve`) may hand out the rest of its own allowance after another life has taken its pid. And where
//! leases end early, so may a life that believes in its own.

use std::time::Duration;

use fastrand::Rng;
use ipseity::server::Exit;
use ipseity_core::{
    actor::JoinMode, identity::Pid, limits::STEP_MIN, time::Instant, words::ClusterName,
};
use ipseity_pids::{Claimant, Layout, NoClaim, Wanted};

use super::{
    calls::Call,
    cluster::Cluster,
    fault::{Fault, Faults, stream},
    judge::Life,
    plan::{BEGIN, Downtime, ServerPlan},
};
use crate::{
    etcd::{self, SimEtcd, store::Store},
    world::{PidStorage, PidWorld, WriteFate, address, started_from},
};

/// The first of the seeds in which pids live in etcd. They are apart from all others, so that those stay as they are.
pub const FIRST_SEED: u64 = 1 << 40;

/// The pids in etcd are from here on. No server with a disk has one of them.
const FIRST_PID: u16 = 600;

/// How long a server waits before it is started again that could not have a pid.
const NO_PID_WAIT: Duration = Duration::from_millis(300);

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

/// Draws the etcd, and which servers have their pids there.
pub fn draw(seed: u64, servers: &mut [ServerPlan]) -> Option<EtcdPlan> {
    if !are_in_etcd(seed) {
        return None;
    }
    let mut rng = stream(seed, 10);
    let all = rng.u32(..3) > 0;
    let is_in = |rng: &mut Rng, index: usize| all || index == 0 || rng.bool();
    let are_in: Vec<bool> = (0..servers.len())
        .map(|index| is_in(&mut rng, index))
        .collect();
    let count = are_in.iter().filter(|is_in| **is_in).count() as u16;
    // Without a spare one, a server that comes back has to wait for a pid, or takes that of another one.
    let spare = u16::from(rng.u32(..3) == 0);
    let pid = |number: u16| Pid::new(FIRST_PID + number).expect("there are so many");
    let (first, last) = (pid(0), pid(count + spare - 1));
    let is_auto = rng.u32(..4) > 0;
    let mut number = 0;
    for (server, _) in servers.iter_mut().zip(are_in).filter(|(_, is_in)| *is_in) {
        let wanted = match is_auto {
            true => Wanted::Auto { first, last },
            false => Wanted::Pid(pid(number)),
        };
        server.pid = pid(number).get();
        server.join = JoinMode::Prefer;
        server.etcd = Some(InEtcd {
            wanted,
            waits_in_doubt: rng.u32(..3) > 0,
        });
        number += 1;
    }
    let mut faults = etcd::faults::Faults::random(&mut rng);
    // Claims take some calls, and a run has only some seconds.
    faults.mishap = faults.mishap.map(|every| every.max(Duration::from_secs(1)));
    Some(EtcdPlan {
        faults,
        seed: rng.u64(..),
        ttl: Duration::from_secs(rng.u64(2..=5)),
        first,
        last,
    })
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

    fn layout() -> Layout {
        Layout::new("/ids", &ClusterName::default())
    }

    /// The etcd itself.
    pub fn world(&self) -> PidWorld {
        let etcd = SimEtcd::new(Store::new(CLUSTER_ID), self.faults, self.seed, BEGIN);
        PidWorld::new(etcd, EtcdPlan::layout(), stream(self.seed, 0))
    }
}

impl Cluster {
    /// Gives a server its place in etcd.
    pub fn attach_pid(&mut self, server: usize, in_etcd: InEtcd) {
        let plan = self.plan.etcd.as_ref().expect("the seed has one");
        let claimant = Claimant {
            address: address(server).to_string().parse().expect("an address"),
            since: String::new(),
            ttl: plan.ttl,
            step: STEP_MIN,
        };
        let token = Call::Claimed(server).token();
        let storage = PidStorage::new(EtcdPlan::layout(), in_etcd.wanted, claimant, token);
        self.net.borrow_mut().nodes[server].pid_storage = Some(storage);
    }

    /// A start begins: it claims a pid.
    pub fn claim_pid(&mut self, number: usize) {
        let mut net = self.net.borrow_mut();
        let now = net.now;
        net.down.remove(&self.machines[number].address.ip());
        let storage = net.nodes[number].pid_storage.as_mut();
        storage.expect("it is in etcd").claim(now);
        net.run_etcd();
    }

    /// Whether a start is under way.
    pub fn claims_pid(&self, number: usize) -> bool {
        let net = self.net.borrow();
        let storage = net.nodes[number].pid_storage.as_ref();
        storage.is_some_and(PidStorage::is_claiming)
    }

    /// A claim has ended.
    pub fn on_claimed(&mut self, number: usize) {
        let mut net = self.net.borrow_mut();
        let now = net.now;
        let storage = net.nodes[number].pid_storage.as_mut();
        let claimed = storage.and_then(|storage| storage.claimed(now));
        drop(net);
        match claimed {
            // The process has died meanwhile.
            None => {}
            Some((Ok(tenure), until)) => {
                self.machines[number].plan.pid = tenure.pid.get();
                self.fault_of_etcd(number, tenure.state.value.boot);
                let started = started_from(&tenure);
                self.live(number, &started, tenure.session(), Some(until));
            }
            Some((Err(NoClaim::Breach(breach)), _)) => {
                self.judge
                    .note_violation(|| format!("server {number} sees a breach of etcd: {breach}"));
            }
            Some((Err(NoClaim::Taken { .. } | NoClaim::Call(_)), _)) => {
                self.machines[number].downtime = Some(Downtime::default());
                self.call(now.after(NO_PID_WAIT), Call::Restart(number));
            }
        }
    }

    fn fault_of_etcd(&mut self, number: usize, boot: u64) {
        let before = &self.judge.lives[number];
        if boot > 1 && before.pid != self.machines[number].plan.pid {
            self.judge.coverage.takeovers += 1;
        }
    }

    /// A server was paused, with its threads.
    pub fn pause_pid(&mut self, number: usize, until: Instant) {
        if let Some(storage) = &mut self.net.borrow_mut().nodes[number].pid_storage {
            storage.paused_until = until;
        }
    }

    /// From now on all is well with etcd, and with those who have their pids there.
    pub fn heal_etcd(&mut self) {
        let mut net = self.net.borrow_mut();
        let now = net.now;
        if let Some(world) = &mut net.pids {
            world.etcd.heal();
        }
        for storage in net
            .nodes
            .iter_mut()
            .filter_map(|node| node.pid_storage.as_mut())
        {
            storage.paused_until = storage.paused_until.min(now);
        }
        net.run_etcd();
    }

    /// Whether another life has the pid of a server in etcd by now.
    pub fn has_lost_its_pid(&self, number: usize) -> bool {
        let life = &self.judge.lives[number];
        let net = self.net.borrow();
        let is_replaced = |world: &PidWorld| {
            let pid = Pid::new(life.pid).expect("servers have no others");
            world.is_replaced(pid, life.session)
        };
        life.is_in_etcd && net.pids.as_ref().is_some_and(is_replaced)
    }

    /// A server with its pid in etcd has exited by itself. Checks that it had a reason.
    pub fn on_exit_in_etcd(&mut self, number: usize, exit: Exit) {
        let now = self.now();
        let signals = self.machines[number].signals.len();
        let is_lost = self.has_lost_its_pid(number);
        let session = self.judge.lives[number].session;
        let net = self.net.borrow();
        let is_noted = net
            .pids
            .as_ref()
            .is_some_and(|world| world.has_stopped(session));
        drop(net);
        let has_reason = match exit {
            Exit::Clean => signals > 0 && is_noted,
            Exit::Objected => signals > 0 && is_lost,
            Exit::Refused | Exit::Fenced => is_lost,
            // It was told to stop a second time, or etcd did not answer for as long as a stop may take.
            Exit::Forced | Exit::StorageFailed => signals > 0,
        };
        if !has_reason {
            self.judge.note_violation(|| {
                format!(
                    "server {number} exits ({exit:?}) after {signals} signals; another life has its pid: {is_lost}; \
                     etcd says that it stopped cleanly: {is_noted}"
                )
            });
        }
        if exit == Exit::Fenced {
            self.judge.coverage.fenced += 1;
        }
        self.end(number, WriteFate::Old, false);
        let downtime = self.machines[number].downtime.get_or_insert_default();
        let at = now.after(downtime.wait);
        self.call(at, Call::Restart(number));
    }

    /// What the judge has to know of a life in etcd.
    pub fn life_in_etcd(&self, number: usize, life: Life) -> Life {
        let (Some(in_etcd), Some(plan)) = (self.machines[number].plan.etcd, &self.plan.etcd) else {
            return life;
        };
        Life {
            is_in_etcd: true,
            keeps_order: in_etcd.waits_in_doubt && plan.leases_hold(),
            ..life
        }
    }
}
