//! Seeds in which pids live in a simulated etcd: those of all servers, or of some of them, while the others have disks.
//! `restores` has what happens when that etcd is restored from a backup.
//!
//! A server takes whatever pid its claim brings. It is killed, paused and stopped like any other, and others take its pid
//! meanwhile. Calls to etcd are lost, late and done twice, its leaders change, it has no space, and leases end early.
//!
//! The judge knows three exemptions, and all are about order and not about uniqueness. A life that was told to go on in
//! doubt (`--on-doubt serve`) may hand out the rest of its own allowance after another life has taken its pid. Where leases
//! end early, so may a life that believes in its own. And so may one whose clock is slower than that of etcd by more than
//! the part of a lease that it leaves out: it believes in a lease that is over.

use std::time::Duration;

use ipseity::{pid_store::started, server::Exit};
use ipseity_core::{identity::Pid, limits::STEP_MIN, time::Instant};
use ipseity_pids::{Claimant, NoClaim};

use super::{
    calls::Call,
    cluster::Cluster,
    etcd_plan::{EtcdPlan, InEtcd},
    judge::Life,
    plan::Downtime,
};
use crate::world::{PidStorage, PidWorld, WriteFate, address};

/// How long a server waits before it is started again that could not have a pid.
const NO_PID_WAIT: Duration = Duration::from_millis(300);

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
        let clock = self.machines[server].clock();
        let storage = PidStorage::new(EtcdPlan::layout(), in_etcd.wanted, claimant, clock, token);
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
                let started = started(&tenure);
                self.live(number, &started, tenure.session(), Some(until));
            }
            Some((Err(error @ (NoClaim::Breach(_) | NoClaim::NoCluster { .. })), _)) => {
                self.judge
                    .note_violation(|| format!("server {number} sees a breach of etcd: {error}"));
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
        let is_breached = self.sees_a_breach(number);
        let session = self.judge.lives[number].session;
        let state = &self.judge.pids[&self.judge.lives[number].pid];
        let was_breached = state.was_breached;
        // What an operator says after a restore does not end a claim that was left open.
        let is_held_back = state.is_vouched && state.known.has_left_claim();
        let net = self.net.borrow();
        let is_noted = net
            .pids
            .as_ref()
            .is_some_and(|world| world.has_stopped(session));
        drop(net);
        let has_reason = match exit {
            Exit::Clean => signals > 0 && is_noted,
            // After a restore its peers may know of a later life than etcd does.
            Exit::Objected => signals > 0 && (is_lost || was_breached),
            Exit::Refused => is_lost || is_held_back,
            Exit::Fenced => is_lost || is_breached,
            // It was told to stop a second time, or etcd did not answer for as long as a stop may take.
            Exit::Forced | Exit::StorageFailed => signals > 0,
        };
        if !has_reason {
            self.judge.note_violation(|| {
                format!(
                    "server {number} exits ({exit:?}) after {signals} signals; another life has its pid: {is_lost}; \
                     etcd says that it stopped cleanly: {is_noted}; it has seen that etcd was restored: {is_breached}"
                )
            });
        }
        match exit {
            Exit::Fenced if is_breached => {
                self.judge.coverage.breached += 1;
                self.machines[number].has_seen_breach = true;
            }
            Exit::Fenced => self.judge.coverage.fenced += 1,
            Exit::Clean | Exit::Objected | Exit::Refused | Exit::Forced | Exit::StorageFailed => {}
        }
        self.machines[number].is_refused |= exit == Exit::Refused && is_held_back;
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
            keeps_order: in_etcd.waits_in_doubt
                && plan.leases_hold()
                && plan.doubts_in_time(self.machines[number].clock()),
            ..life
        }
    }
}
