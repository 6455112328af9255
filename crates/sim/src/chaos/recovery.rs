//! The end of a run. The faults are over, and within a fixed time every server has to work again: servers that
//! should serve do so, every request is answered, and the counters agree.

use std::{net::SocketAddr, time::Duration};

use ipseity::limits::LINES_SPAN;
use ipseity_core::{actor::JoinMode, time::Instant, words::Standing};

use crate::world::WriteFate;

use super::{
    calls::Call,
    client::{Batch, Client, Connection},
    cluster::Cluster,
    machine::Machine,
    network::SIZES,
    plan::{ClientPlan, NAME_OF_ALL},
    traffic::status_batch,
};

/// How often the cluster checks whether everybody works.
const PROBE: Duration = Duration::from_millis(250);

impl Cluster {
    /// The faults end: the network heals, disks work, and servers that are down are started.
    pub fn begin_recovery(&mut self) {
        let now = self.now();
        self.is_recovering = true;
        self.network.borrow_mut().clear();
        let [window, _, segment] = SIZES;
        self.net.borrow_mut().widen(window, segment);
        self.speakers.clear();
        self.floods.clear();
        for undo in 0..self.undos.len() {
            self.on_undo(undo);
        }
        self.heal_etcd();
        for number in 0..self.machines.len() {
            if self.machines[number].plan.etcd.is_none() {
                self.disk(number, |disk| disk.fault = None);
            }
            let is_second = number >= self.plan.servers.len();
            if is_second && self.disk(number, |disk| disk.is_shared) {
                // An operator finds out that two servers share a directory, and takes this one away.
                self.machines[number].is_gone = true;
                self.machines[number].status = None;
                self.end(number, WriteFate::Old, false);
                continue;
            }
            self.net.borrow_mut().nodes[number].descriptors_max = None;
            let machine = &mut self.machines[number];
            machine.ready_at = machine.ready_at.min(now.after(self.plan.turn));
            if machine.server.is_none() {
                self.call(now, Call::Restart(number));
            }
        }
        for number in 0..self.clients.len() {
            for socket in std::mem::take(&mut self.clients[number].kept) {
                self.net.borrow_mut().cut(socket.end());
            }
            let Some(connection) = &mut self.clients[number].connection else {
                continue;
            };
            connection.unread_until = None;
            let net = self.net.borrow();
            let end = connection.socket.end();
            let is_open = net.is_connected(end).is_ok_and(|connected| connected);
            let is_lost = !is_open || net.is_dead(end);
            drop(net);
            match is_lost {
                true => {
                    // The server, too, finds out in the end.
                    self.net.borrow_mut().cut(end);
                    self.leave(number, false);
                }
                false => {
                    self.send_rest(number);
                    self.on_client_ready(number);
                }
            }
        }
        let is_client = |remote: SocketAddr| {
            self.machines
                .iter()
                .all(|machine| machine.address.ip() != remote.ip())
        };
        self.net.borrow_mut().cut_dead(is_client);
        for server in 0..self.machines.len() {
            if self.machines[server].is_gone {
                continue;
            }
            let number = self.clients.len();
            let plan = ClientPlan {
                // It has to see which life answers.
                is_believed: true,
                ..ClientPlan::default()
            };
            let mut probe = Client::new(self.plan.seed, number, plan, now);
            probe.probes = Some(server);
            self.clients.push(probe);
            self.clients[number].due = now;
            self.call(now, Call::Client(number));
        }
    }

    /// It is time for a probe to look at its server.
    pub fn on_probe_due(&mut self, number: usize) {
        let now = self.now();
        let Some(server) = self.clients[number].probes else {
            return;
        };
        let next = now.after(PROBE);
        self.clients[number].due = next;
        self.call(next, Call::Client(number));
        let Some(connection) = &self.clients[number].connection else {
            return self.connect(number, server);
        };
        // One that is refused may never run long enough.
        let runs = |server: &usize| !self.machines[*server].is_refused;
        let mut probed = self.clients.iter().filter_map(|client| client.probes);
        let is_first = probed.find(runs) == Some(server);
        // The borrow of the network ends here: a connection that is given up below borrows it again.
        let is_connected = self.net.borrow().is_connected(connection.socket.end());
        match is_connected {
            Ok(true) if connection.asked.is_empty() || now < connection.patience_until => {}
            Ok(false) if now < connection.patience_until => return,
            // The machine was off, or the server was restarted.
            _ => {
                self.clients[number].connection = None;
                return;
            }
        }
        if connection.is_told {
            self.clients[number].connection = None;
            return;
        }
        if is_first {
            for client in &mut self.clients {
                // The client has all its answers, and makes room.
                let has_all = |connection: &mut Connection| {
                    connection.asked.is_empty() && !connection.is_shut && !connection.is_told
                };
                if client.probes.is_none() {
                    client.connection.take_if(has_all);
                }
            }
            self.look(now);
        }
        let connection = self.clients[number]
            .connection
            .as_ref()
            .expect("looked at above");
        if connection.asked.is_empty() {
            self.clients[number].asked_at = now;
            let floor = self.judge.floor(server, self.machines[server].began);
            self.send(number, status_batch(floor));
        }
    }

    /// Looks whether everybody works. If so, every server is asked once more.
    fn look(&mut self, now: Instant) {
        if self.why_not(now).is_some() {
            return;
        }
        let serving: Vec<usize> = (0..self.machines.len())
            .filter(|server| self.serves(*server))
            .collect();
        if serving
            .iter()
            .all(|server| self.machines[*server].is_served)
        {
            self.end_or_restart();
            return;
        }
        let newest = self.clients.iter().map(|client| client.newest).max();
        // A lost directory may have been further ahead than a budget lets in.
        let is_whole = self.judge.pids.values().all(|pid| !pid.was_breached);
        // A server that has come back with another pid in etcd has nobody who tells it what it had handed out, if it is alone.
        let demands = self.judge.never_refuses_peers && is_whole && self.plan.etcd.is_none();
        for server in serving {
            let probe = self
                .clients
                .iter()
                .position(|client| client.probes == Some(server));
            let probe = probe.expect("every server has one");
            let idle = self.clients[probe]
                .connection
                .as_ref()
                .is_some_and(|connection| connection.asked.is_empty());
            if !self.machines[server].is_served && idle {
                let after = if demands {
                    newest.unwrap_or_default()
                } else {
                    0
                };
                let floor = self.judge.floor(server, self.machines[server].began);
                let mut batch = Batch::default();
                batch.identities(1, after, floor);
                self.send(probe, batch);
            }
        }
    }

    /// Ends the run. But if an objection has stopped a server, that must survive a restart first.
    fn end_or_restart(&mut self) {
        if self.plan.lingers && self.now() < self.plan.end.after(LINES_SPAN) {
            return;
        }
        let stopped: Vec<usize> = (0..self.machines.len())
            .filter(|server| !self.serves(*server) && !self.machines[*server].is_gone)
            .collect();
        if stopped.is_empty() || self.has_restarted {
            for fate in self.judge.breaches.fates() {
                self.judge.coverage.fate(fate);
            }
            self.is_done = true;
            return;
        }
        self.has_restarted = true;
        for server in stopped {
            self.signal(server);
        }
    }

    fn serves(&self, server: usize) -> bool {
        self.machines[server]
            .status
            .is_some_and(|(_, standing, _)| {
                matches!(standing, Standing::Serving | Standing::Exhausted)
            })
    }

    /// If somebody does not work: why.
    fn why_not(&self, now: Instant) -> Option<String> {
        for (number, client) in self.clients.iter().enumerate() {
            if client.probes.is_none()
                && let Some(connection) = &client.connection
                && (!connection.asked.is_empty() || connection.is_shut || connection.is_told)
            {
                let server = connection.server;
                return Some(format!(
                    "client {number} waits for {:?} of server {server}, or for it to close",
                    connection.asked
                ));
            }
        }
        let mut sequences: Vec<(usize, u64)> = Vec::new();
        let machines = self.machines.iter().enumerate();
        for (number, machine) in machines.filter(|(_, machine)| !machine.is_gone) {
            // Another one was accepted in its place, or has left a claim open: an operator has to decide which one stays.
            let is_claimed = self.judge.pids[&machine.plan.pid].known.has_left_claim();
            if machine.is_refused && (is_claimed || self.is_held(number)) {
                continue;
            }
            let Some((asked_at, standing, sequence)) = machine.status else {
                return Some(format!("server {number} does not answer"));
            };
            if machine.server.is_none() || now.since(asked_at) > 2 * PROBE {
                return Some(format!("server {number} does not answer any more"));
            }
            // The word of an operator does not end a claim that was left open.
            let state = &self.judge.pids[&machine.plan.pid];
            let is_breached = state.is_breached || state.is_vouched && state.known.has_left_claim();
            let is_witnessed = machine.witnesses.iter().any(|(who, began)| {
                self.machines[*who].began == *began && self.is_heard(*who, number)
            });
            // One that was accepted in the place of the other one goes on.
            let has_rival = machine
                .rival
                .is_some_and(|rival| self.serves(rival) && self.are_told_apart(number, rival));
            // A server that refuses a peer's sequence answers with an error, which does not say who it is.
            let is_noticed = self.judge.never_refuses_peers && (is_witnessed || has_rival);
            match standing {
                Standing::Serving | Standing::Exhausted if machine.is_objected || is_noticed => {
                    return Some(format!(
                        "server {number} serves, and should have been stopped"
                    ));
                }
                Standing::Serving | Standing::Exhausted => sequences.push((number, sequence)),
                Standing::Conflict | Standing::Stale if self.has_done_nothing_wrong(number) => {
                    return Some(format!(
                        "server {number} is {standing}, and nobody else has had its pid"
                    ));
                }
                Standing::Conflict | Standing::Stale if is_breached => {}
                // It needs a peer, and the peers that it names have been stopped.
                Standing::Joining if self.names_serving(number) < machine.plan.join.needed() => {}
                _ => return Some(format!("server {number} is {standing}")),
            }
        }
        if self.judge.never_refuses_peers
            && let Some((one, low)) = sequences.iter().min_by_key(|(_, sequence)| *sequence)
            && let Some((other, high)) = sequences.iter().max_by_key(|(_, sequence)| *sequence)
            && low < high
            && self.are_connected(&sequences)
            && !self.machines.iter().any(|machine| machine.is_served)
        {
            return Some(format!(
                "server {one} is at {low} and server {other} at {high}"
            ));
        }
        None
    }

    /// Whether a server has its own directory, as it left it, and no other server of its pid was ever accepted or has served.
    fn has_done_nothing_wrong(&self, number: usize) -> bool {
        let state = &self.judge.pids[&self.machines[number].plan.pid];
        let is_second = number >= self.plan.servers.len();
        !is_second && !state.has_lost && !state.is_shared && !state.known.has_other(number)
    }

    /// Whether the servers that serve synchronize with each other, directly or through each other.
    fn are_connected(&self, serving: &[(usize, u64)]) -> bool {
        let mut reached = vec![serving[0].0];
        let mut at = 0;
        while let Some(one) = reached.get(at).copied() {
            at += 1;
            for (other, _) in serving {
                if !reached.contains(other) && (self.names(one, *other) || self.names(*other, one))
                {
                    reached.push(*other);
                }
            }
        }
        reached.len() == serving.len()
    }

    /// Whether two servers of one pid are noticed: they meet, or a server hears both. That server must have done
    /// nothing wrong: a server that gets an objection in place of an answer does not learn who sent it.
    fn are_told_apart(&self, one: usize, other: usize) -> bool {
        let meet = |a: usize, b: usize| self.names(a, b) || self.names(b, a);
        self.machines[one].server.is_some()
            && self.machines[other].server.is_some()
            && (meet(one, other)
                || (0..self.machines.len()).any(|who| {
                    !self.judge.pids[&self.machines[who].plan.pid].was_breached
                        && meet(who, one)
                        && meet(who, other)
                }))
    }

    /// Whether a server learns who another one is. It does when the other one asks it. When it asks itself, it may
    /// get an objection in place of an answer, and an objection does not say who sent it.
    fn is_heard(&self, by: usize, other: usize) -> bool {
        let is_good = !self.judge.pids[&self.machines[by].plan.pid].was_breached;
        self.names(other, by) || is_good && self.names(by, other)
    }

    /// How many servers could accept a start of this one so that it counts.
    fn names_serving(&self, one: usize) -> usize {
        (0..self.machines.len())
            .filter(|other| *other != one && self.serves(*other) && self.names(one, *other))
            .filter(|other| {
                self.machines[*other].votes || self.machines[one].plan.join == JoinMode::Require
            })
            .count()
    }

    /// Whether another server with the pid of this one serves, or would if enough others had a vote.
    fn is_held(&self, one: usize) -> bool {
        let is_other = |(number, machine): &(usize, &Machine)| {
            *number != one && machine.plan.pid == self.machines[one].plan.pid
        };
        let mut others = self.machines.iter().enumerate().filter(is_other);
        let joins = |machine: &Machine| matches!(machine.status, Some((_, Standing::Joining, _)));
        others.any(|(number, machine)| self.serves(number) || joins(machine))
    }

    fn names(&self, one: usize, other: usize) -> bool {
        let address = self.machines[other].address.to_string();
        let name = format!("server{other}.test:3264");
        // A copy of a server was not there when the name was made.
        let is_of_all = |peer: &str| peer == NAME_OF_ALL && other < self.plan.servers.len();
        self.machines[one]
            .plan
            .peers
            .iter()
            .any(|peer| *peer == address || *peer == name || is_of_all(peer))
    }

    /// What still does not work, as a violation.
    pub fn what_is_left(&self) -> String {
        let why = self.why_not(self.now());
        let why = why.unwrap_or_else(|| "somebody is not served".to_owned());
        format!("the faults have been over for a long time, and {why}")
    }
}
