//! The etcd in which the pids are is restored from a backup, and an operator does what docs/etcd.md says.
//!
//! Nobody starts a server until an operator has said above which sequence the pids begin. In half of the seeds all servers
//! that use etcd are stopped before the restore. In the others they run on, and each has to stop as soon as it can see what
//! has happened; the operator ends those that could not see it yet.
//!
//! The judge knows one exemption. A life whose pid was taken since the backup, and that has not noticed that yet, may find
//! its own state in the restored etcd, and go on above it. So until the operator has spoken, such a pid may repeat itself.

use std::time::Duration;

use ipseity_core::identity::Sequence;

use super::{
    calls::Call,
    cluster::Cluster,
    fault::Fault,
    plan::{Downtime, Restore},
    restored::Stage,
};
use crate::world::WriteFate;

/// How often an operator looks how far things have come, and a supervisor whether it may start a server again.
pub const OPERATOR_LOOKS: Duration = Duration::from_millis(100);

impl Cluster {
    pub fn back_up_etcd(&mut self) {
        let net = self.net.borrow();
        let etcd = &net.pids.as_ref().expect("the seed has one").etcd;
        self.restore.backup = Some(etcd.store.clone());
    }

    /// The backup takes the place of etcd.
    pub fn restore_etcd(&mut self, restore: Restore) -> bool {
        let Some(mut backup) = self.restore.backup.clone() else {
            return false;
        };
        let now = self.now();
        self.fault(Fault::Restore);
        self.restore.stage = Stage::Waits;
        // Who has no pid yet would take one as it was.
        let ends =
            |cluster: &Cluster, number: &usize| restore.stops_first || cluster.claims_pid(*number);
        self.end_in_etcd(ends);
        for pid in self.pids_in_etcd() {
            // Peers with disks remember more of it than etcd, until they hear what the operator has said.
            let state = self.judge.pid(pid);
            (state.was_breached, state.has_lost) = (true, true);
        }
        for number in self.in_etcd().collect::<Vec<_>>() {
            if self.machines[number].server.is_some() && self.has_lost_its_pid(number) {
                let pid = self.judge.lives[number].pid;
                self.judge.breach(pid);
            }
        }
        backup.cluster_id += u64::from(restore.is_renamed);
        let mut net = self.net.borrow_mut();
        net.pids
            .as_mut()
            .expect("the seed has one")
            .restore(backup, now);
        net.run_etcd();
        drop(net);
        self.call(now.after(restore.operator_after), Call::Operator);
        true
    }

    /// The operator goes on.
    pub fn on_operator(&mut self) {
        let now = self.now();
        match self.restore.stage {
            Stage::Idle => return,
            Stage::Waits => {
                self.look_for_overlooked();
                self.end_in_etcd(|_, _| true);
                let above = self.highest_in_etcd();
                let mut net = self.net.borrow_mut();
                net.pids
                    .as_mut()
                    .expect("the seed has one")
                    .raise_epoch(above, now);
                net.run_etcd();
                drop(net);
                self.restore.stage = Stage::Raises;
            }
            Stage::Raises => {
                let net = self.net.borrow();
                let world = net.pids.as_ref().expect("the seed has one");
                let (is_busy, failed) = (world.raises_epoch(), world.no_epoch.clone());
                drop(net);
                if let Some(failed) = failed {
                    self.judge
                        .note_violation(|| format!("an operator cannot go on: {failed}"));
                }
                if !is_busy {
                    self.restore.stage = Stage::Idle;
                    for pid in self.pids_in_etcd() {
                        self.judge.vouch_in_etcd(pid);
                    }
                    return;
                }
            }
        }
        self.call(now.after(OPERATOR_LOOKS), Call::Operator);
    }

    /// A server that could see that etcd was restored must have stopped.
    fn look_for_overlooked(&mut self) {
        let net = self.net.borrow();
        let overlooks = |number: &usize| {
            let storage = net.nodes[*number].pid_storage.as_ref();
            storage.is_some_and(|storage| storage.overlooks)
        };
        let overlooks = self.in_etcd().find(overlooks);
        drop(net);
        if let Some(number) = overlooks {
            self.judge.note_violation(|| {
                format!("server {number} goes on in an etcd that is older than what it has seen")
            });
        }
    }

    /// Whether an operator lets nobody start this server.
    pub fn is_held_down(&self, number: usize) -> bool {
        self.machines[number].plan.etcd.is_some() && self.restore.stage != Stage::Idle
    }

    fn in_etcd(&self) -> impl Iterator<Item = usize> {
        (0..self.machines.len()).filter(|number| self.machines[*number].plan.etcd.is_some())
    }

    fn pids_in_etcd(&self) -> Vec<u16> {
        let plan = self.plan.etcd.as_ref().expect("the seed has one");
        plan.pids().collect()
    }

    /// Ends those of the servers in etcd that are to end. A supervisor will start them again.
    fn end_in_etcd(&mut self, ends: impl Fn(&Cluster, &usize) -> bool) {
        let now = self.now();
        for number in self.in_etcd().collect::<Vec<_>>() {
            let runs = self.machines[number].server.is_some() || self.claims_pid(number);
            if runs && ends(self, &number) {
                self.end(number, WriteFate::Old, false);
                self.machines[number].downtime = Some(Downtime::default());
                self.call(now.after(OPERATOR_LOOKS), Call::Restart(number));
            }
        }
    }

    /// The highest sequence that any server in etcd has handed out or has shown.
    fn highest_in_etcd(&self) -> Sequence {
        let of_pid = |pid| {
            let state = &self.judge.pids[&pid];
            state.left.max(state.told)
        };
        let highest = self.pids_in_etcd().into_iter().map(of_pid).max();
        let highest = highest.unwrap_or_default();
        Sequence::new(highest).expect("servers hand out no others")
    }

    /// Whether the life of a server has seen that etcd is not what it was, and it was restored in its life.
    pub fn sees_a_breach(&self, number: usize) -> bool {
        let net = self.net.borrow();
        let (Some(world), Some(storage)) = (&net.pids, &net.nodes[number].pid_storage) else {
            return false;
        };
        let began = self.machines[number].began;
        storage.breach().is_some() && world.restored_at.is_some_and(|at| at >= began)
    }
}
