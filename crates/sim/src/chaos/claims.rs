//! Whether the others treat a life that asks for its pid as they should. They are judged by what is true in the world:
//! which lives there are, what each server has on its disk, and how long each has waited.

use std::time::Duration;

use ipseity_core::{limits::SAVE_BURST, time::Instant, words::Stage};

use super::{
    calls::{Call, Check},
    cluster::Cluster,
    fault::Fault,
    judge::{Confirmed, Withdrawn},
    machine::{Machine, storage},
};
use crate::world::sessions;

/// How soon a server has forgotten a claim that was withdrawn.
const WITHDRAWN: Duration = Duration::from_millis(100);

/// How soon a server serves that is started again after a clean stop, if all others run.
const NO_WAIT: Duration = Duration::from_secs(1);

impl Cluster {
    fn check(&mut self, after: Duration, check: Check) {
        self.checks.push(check);
        let at = self.now().after(after);
        self.call(at, Call::Check(self.checks.len() - 1));
    }

    pub fn on_check(&mut self, index: usize) {
        match self.checks[index].clone() {
            Check::Withdrawn { by, began, session } => self.check_withdrawn(by, began, session),
            Check::Serves { server, began } => self.check_serves(server, &began),
        }
    }

    /// A server that has accepted a life must have made that durable, and must have asked the one that has the pid, if
    /// that one could answer.
    pub fn look_at_claims(&mut self) {
        for confirmed in std::mem::take(&mut self.judge.confirmed) {
            let Confirmed {
                by,
                newcomer,
                session,
                claimed_at,
                before,
            } = confirmed;
            // Nobody hears what is told to a process that is over.
            if self.judge.lives[newcomer].session != session {
                continue;
            }
            // Servers in etcd remember their peers in memory only, and a pid in etcd is judged there.
            let is_in_etcd = |server: usize| self.machines[server].plan.etcd.is_some();
            if is_in_etcd(by) || is_in_etcd(newcomer) {
                continue;
            }
            let is_durable = storage(&self.net.borrow().nodes[by])
                .remembered
                .contains(&session);
            // One that serves has not waited for this, so nothing depends on it.
            let serves = self.judge.serves(newcomer);
            if !is_durable && !serves {
                self.judge.note_violation(|| {
                    format!(
                        "server {by} accepts server {newcomer}, and nothing of that is on its disk"
                    )
                });
            }
            let pid = self.machines[newcomer].plan.pid;
            let state = &self.judge.pids[&pid];
            if !self.plan.faults.all_can_answer() || state.is_shared {
                continue;
            }
            let is_held_by = |other: &usize| {
                let machine = &self.machines[*other];
                let life = &self.judge.lives[*other];
                let has_it = || match life.stage {
                    // One that is heard while the claim is being saved is told to the newcomer.
                    Some(Stage::Serves) => state.known.has_heard_before(life.life, by, claimed_at),
                    // It was accepted first.
                    Some(Stage::Claims) => before == Some(life.life),
                    _ => false,
                };
                *other != newcomer
                    && machine.plan.pid == pid
                    && machine.server.is_some()
                    && machine.signals.is_empty()
                    && has_it()
                    && !life.is_objected
                    && !life.is_over
                    && !life.disk_failed
            };
            let holder = (0..self.judge.lives.len()).find(is_held_by);
            if let Some(holder) = holder {
                self.judge.note_violation(|| {
                    format!(
                        "server {by} accepts server {newcomer} of pid {pid}, and server {holder} has the pid"
                    )
                });
            }
        }
    }

    /// Those that were told that a claim is withdrawn must forget it soon.
    pub fn look_at_withdrawals(&mut self) {
        for withdrawn in std::mem::take(&mut self.judge.withdrawn) {
            let Withdrawn {
                by,
                session,
                claimed_at,
            } = withdrawn;
            // The save that forgets it waits for a disk that hangs, and is made again later where it fails.
            let faults = self.plan.faults;
            let is_soon = !faults.has(Fault::DiskHangs) && !faults.has(Fault::SaveFails);
            let has_disk = self.machines[by].plan.etcd.is_none();
            if self.plan.faults.all_can_answer() && is_soon && has_disk {
                let began = self.machines[by].began;
                if began > claimed_at {
                    // The process that was told is over.
                    continue;
                }
                self.check(WITHDRAWN, Check::Withdrawn { by, began, session });
            }
        }
    }

    fn check_withdrawn(&mut self, by: usize, began: Instant, session: u64) {
        let machine = &self.machines[by];
        if machine.server.is_none() || machine.began != began || !machine.signals.is_empty() {
            return;
        }
        let net = self.net.borrow();
        let node = &net.nodes[by];
        let disk = storage(node);
        // One that has saved so often has to wait before it may again.
        let may_save = !disk.is_busy() && node.saves < SAVE_BURST;
        let members = disk.members.iter().flatten();
        let is_kept = may_save && members.flat_map(sessions).any(|kept| kept == session);
        drop(net);
        if is_kept {
            self.judge.note_violation(|| {
                format!("server {by} still remembers a claim that was withdrawn")
            });
        }
    }

    /// A server stops cleanly. Notes whether all others run and are connected to it: then all of them hear its goodbye.
    pub fn take_leave(&mut self, server: usize) {
        let now = self.now();
        let is_calm = self.plan.is_about_starts
            && self.plan.faults.all_can_answer()
            && !self.plan.faults.has(Fault::DiskHangs)
            // Where somebody has erred, another server may be stopped meanwhile.
            && self.judge.pids.values().all(|pid| !pid.was_breached)
            && !self.is_recovering;
        let is_with_it = |other: usize| {
            let machine = &self.machines[other];
            let life = &self.judge.lives[server];
            let met_at = self.judge.pids[&life.pid].known.met_at(life.life, other);
            // A connection that is only there for the start has been closed by then.
            let is_lasting =
                |at: &Instant| at.since(self.machines[server].began) > Duration::from_millis(500);
            let a_round = machine.plan.sync_interval + Duration::from_millis(100);
            other == server
                || machine.is_gone
                || machine.server.is_some()
                    && machine.signals.is_empty()
                    && machine.votes
                    && self.judge.lives[other].stage == Some(Stage::Serves)
                    && !self.judge.lives[other].is_objected
                    && machine.plan.believes_servers
                    && met_at
                        .filter(is_lasting)
                        .is_some_and(|at| now.since(at) <= a_round)
        };
        let is_heard = is_calm && (0..self.machines.len()).all(is_with_it);
        self.machines[server].took_leave =
            is_heard.then(|| self.machines.iter().map(|machine| machine.began).collect());
    }

    /// A server is started again after a clean stop. If all others have run since, none of them has a reason to let it
    /// wait.
    pub fn expect_no_wait(&mut self, server: usize, began: Option<Vec<Instant>>) {
        let Some(mut began) = began else { return };
        began[server] = self.machines[server].began;
        if self.have_run_since(&began) {
            self.check(NO_WAIT, Check::Serves { server, began });
        }
    }

    /// Whether the same processes run as at the time when these had begun.
    fn have_run_since(&self, began: &[Instant]) -> bool {
        let is_same = |(machine, began): (&Machine, &Instant)| {
            machine.is_gone
                || machine.server.is_some() && machine.began == *began && machine.signals.is_empty()
        };
        self.machines.len() == began.len() && self.machines.iter().zip(began).all(is_same)
    }

    fn check_serves(&mut self, server: usize, began: &[Instant]) {
        let serves = self.judge.serves(server);
        if self.have_run_since(began) && !serves {
            self.judge.note_violation(|| {
                format!("server {server} has stopped cleanly, and its next start has to wait")
            });
        }
    }
}
