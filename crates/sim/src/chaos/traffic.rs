//! The traffic of the clients: what each one sends and when, and whether the replies are right.

use std::{io, time::Duration};

use ipseity_core::{
    identity::{Identity, Sequence},
    limits::WRITE_LATE,
    time::Instant,
    words::{ErrorCode, ErrorReply, LifeMarks, Message, Standing, Status},
};
use ipseity_frames::Receiver;

use super::{
    calls::Call,
    client::{Asked, Batch, Connection, Ending, Floor, Web, may_answer},
    cluster::Cluster,
    fault::{Fault, chance},
};
use crate::world::{SimSocket, address, http_address};

/// How long a server may be busy with something else, in microseconds.
const STALL_US: u64 = 100_000;

/// The most connections that a client keeps without using them.
const KEPT_MAX: usize = 8;

impl Cluster {
    /// It is time for a client to act.
    pub fn on_client_due(&mut self, number: usize) {
        let now = self.now();
        let client = &mut self.clients[number];
        if client.due > now {
            return;
        }
        if self.is_recovering {
            return self.on_probe_due(number);
        }
        let next = now.after(client.think());
        client.due = next;
        self.call(next, Call::Client(number));
        let client = &mut self.clients[number];
        let Some(connection) = &mut client.connection else {
            let server = client.rng.usize(..self.machines.len());
            return self.connect(number, server);
        };
        if connection.unread_until.is_some_and(|until| until <= now) {
            connection.unread_until = None;
            return self.on_client_ready(number);
        }
        if !connection.asked.is_empty() && now >= connection.patience_until {
            return self.leave(number, false);
        }
        let is_ended = connection.asked.iter().any(Asked::ends);
        let connected = self.net.borrow().is_connected(connection.socket.end());
        match connected {
            Err(_) => return self.leave(number, false),
            Ok(false) if now >= connection.patience_until => return self.leave(number, false),
            Ok(false) => return,
            Ok(true) => {}
        }
        if !connection.later.is_empty() {
            return self.send_rest(number);
        }
        if is_ended || connection.is_shut || connection.is_told || connection.asked.len() > 100 {
            return;
        }
        let server = connection.server;
        if self.clients[number].plan.by_http {
            return self.ask_by_http(number);
        }
        let floor = self.judge.floor(server, self.machines[server].began);
        let known = self.judge.highest();
        let client = &mut self.clients[number];
        let batch = client.draw(floor, known, &self.template);
        self.send(number, batch);
    }

    pub fn connect(&mut self, number: usize, server: usize) {
        let now = self.now();
        let client = &mut self.clients[number];
        let mut home = client.home;
        home.set_port(client.rng.u16(1024..));
        let address = match client.plan.by_http {
            true => http_address(self.machines[server].address),
            false => self.machines[server].address,
        };
        let connected = self.net.borrow_mut().connect(home, address);
        let Ok(end) = connected else { return };
        let mut net = self.net.borrow_mut();
        net.watch(end, number);
        // Bytes that it sends wait there until the server takes them.
        net.set_unbounded(end);
        drop(net);
        let client = &mut self.clients[number];
        let patience = Duration::from_millis(client.rng.u64(2000..9000));
        client.connection = Some(Connection {
            socket: SimSocket::new(&self.net, end),
            server,
            began: now,
            partial: Vec::new(),
            later: Vec::new(),
            asked: Default::default(),
            is_shut: false,
            unread_until: None,
            is_told: false,
            patience_until: now.after(patience),
        });
    }

    pub fn send(&mut self, number: usize, batch: Batch) {
        let now = self.now();
        for fault in &batch.faults {
            self.fault(*fault);
        }
        let client = &mut self.clients[number];
        let (first, later) = batch.bytes.split_at(batch.cut.unwrap_or(batch.bytes.len()));
        if !client.write(first) {
            // The buffers on the way are full, or the connection is gone. Nobody knows how much was taken.
            return self.leave(number, true);
        }
        let Some(connection) = &mut client.connection else {
            return;
        };
        connection.later.extend_from_slice(later);
        connection.patience_until = now.after(Duration::from_millis(client.rng.u64(2000..9000)));
        let server = connection.server;
        for asked in &batch.asked {
            match asked {
                Asked::Identities { count, after, .. } => self.judge.asked(server, *count, *after),
                Asked::Advance { above } => self.judge.told(server, *above, true),
                Asked::Web(asked) => {
                    if let Web::Identities { count, after, .. } = asked.what {
                        self.judge.asked(server, count, after);
                    }
                }
                _ => {}
            }
        }
        connection.asked.extend(batch.asked);
        match batch.ending {
            Ending::Waits => {}
            Ending::Shuts => {
                connection.is_shut = true;
                let end = connection.socket.end();
                let _ = self.net.borrow_mut().shutdown(end);
            }
            Ending::Leaves => self.leave(number, true),
            Ending::Unread(wait) => connection.unread_until = Some(now.after(wait)),
        }
        let client = &mut self.clients[number];
        if client.plan.crowds
            && client.kept.len() < KEPT_MAX
            && let Some(connection) = client
                .connection
                .take_if(|connection| connection.asked.is_empty())
        {
            client.kept.push(connection.socket);
            self.fault(Fault::Crowd);
        }
    }

    /// A client gives its connection up.
    pub fn leave(&mut self, number: usize, cuts: bool) {
        let client = &mut self.clients[number];
        let Some(connection) = client.connection.take() else {
            return;
        };
        if client.plan.repeat > 0 {
            for asked in &connection.asked {
                if let Asked::Identities { count, after, .. } = asked
                    && client.lost.len() < 20
                    && chance(&mut client.rng, client.plan.repeat)
                {
                    client.lost.push((*count, *after));
                }
            }
        }
        if cuts {
            self.net.borrow_mut().reset(connection.socket.end());
        }
    }

    /// Something has changed on a client's connection.
    pub fn on_client_ready(&mut self, number: usize) {
        loop {
            let client = &mut self.clients[number];
            let Some(connection) = &mut client.connection else {
                return;
            };
            if connection.unread_until.is_some() {
                return;
            }
            if client.plan.by_http {
                return self.on_web_ready(number);
            }
            self.decoder.restore(&connection.partial);
            let read = client.read(self.decoder.space());
            match read {
                Ok(0) => return self.on_end(number),
                Ok(bytes) => self.decoder.filled(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.leave(number, false),
            }
            loop {
                match self.decoder.next(Receiver::Client) {
                    Ok(Some(message)) => self.on_reply(number, message),
                    Ok(None) => break,
                    Err(error) => {
                        self.judge
                            .note_violation(|| format!("client {number} cannot read: {error}"));
                        return;
                    }
                }
            }
            match &mut self.clients[number].connection {
                Some(connection) => {
                    connection.partial.clear();
                    connection.partial.extend_from_slice(self.decoder.rest());
                }
                None => return,
            }
        }
    }

    /// The server has closed its side, without cutting the connection.
    pub fn on_end(&mut self, number: usize) {
        let Some(connection) = &self.clients[number].connection else {
            return;
        };
        let machine = &self.machines[connection.server];
        let same_life = machine.server.is_some() && machine.began <= connection.began;
        let other = self.net.borrow().other_side(connection.socket.end());
        let is_kept = other.is_some_and(|(other, _)| {
            !self.judge.made_room.contains(&other) && !self.gives_up_its_descriptor(other)
        });
        let waits = connection.asked.len();
        let owes = waits > 0 || connection.partial_answer();
        if owes && same_life && is_kept && !connection.is_told && machine.signals.is_empty() {
            let server = connection.server;
            self.judge.note_violation(|| {
                format!("server {server} closes on client {number} and owes it {waits} answers")
            });
        }
        self.leave(number, false);
    }

    fn on_reply(&mut self, number: usize, message: Message) {
        let client = &mut self.clients[number];
        let Some(connection) = &mut client.connection else {
            return;
        };
        let server = connection.server;
        if let Message::ErrorReply(error) = &message {
            return self.on_error(number, error);
        }
        let Some(asked) = connection.asked.pop_front() else {
            return self.judge.note_violation(|| {
                format!("client {number} has asked nothing of server {server} and gets {message:?}")
            });
        };
        let fits = match (&asked, &message) {
            (
                Asked::Identities {
                    count,
                    after,
                    floor,
                },
                Message::IdentityReply { first, count: got },
            ) => {
                let began = self.machines[server].began;
                if self.judge.hands_out_in_doubt(server, floor, began) {
                    return self.judge.note_violation(|| {
                        format!(
                            "server {server} answers client {number} with {got} from {first}, and etcd had ended its \
                             lease before it was asked"
                        )
                    });
                }
                let identity = Identity::from_u64(*first);
                let least = self.judge.least(server, floor, began);
                let is_greater = identity.is_some_and(|identity| identity.sequence().get() > least);
                if count == got && is_greater && first > after {
                    let last = first + (u64::from(*got) - 1) * 1024;
                    client.newest = client.newest.max(last);
                    if self.is_recovering {
                        self.machines[server].is_served = true;
                    }
                    true
                } else {
                    false
                }
            }
            (Asked::Status { floor }, Message::StatusReply(status)) => {
                self.on_status(number, server, floor, status)
            }
            (Asked::Members { from }, Message::MembersReply(members)) => {
                let pids = members.members.iter().map(|member| member.pid);
                let sees_lives = client.plan.sees_lives();
                pids.clone().is_sorted()
                    && pids.clone().all(|pid| pid >= *from)
                    && (sees_lives || members.members.iter().all(|member| member.life().is_none()))
            }
            (Asked::Advance { above }, Message::DoneReply { sequence }) => {
                client.plan.is_trusted && sequence >= above
            }
            (Asked::Forget, Message::DoneReply { .. }) => client.plan.is_trusted,
            _ => false,
        };
        if !fits {
            self.judge.note_violation(|| {
                format!("client {number} asks server {server} {asked:?} and gets {message:?}")
            });
        }
    }

    fn on_error(&mut self, number: usize, error: &ErrorReply) {
        let client = &mut self.clients[number];
        let Some(connection) = &mut client.connection else {
            return;
        };
        let server = connection.server;
        let Some(code) = ErrorCode::from_u16(error.code) else {
            return self
                .judge
                .note_violation(|| format!("no such error code: {}", error.code));
        };
        // A slow frame is not finished in time, and a crowd is turned away before it asks.
        let is_due = match connection.asked.front() {
            Some(asked) => may_answer(code, asked, &self.template, &client.plan),
            None => false,
        } || matches!(code, ErrorCode::Incomplete | ErrorCode::TooManyConnections);
        match code.closes() {
            true => {
                connection.is_told = true;
                if connection.asked.len() == 1 || code == ErrorCode::TooManyConnections {
                    connection.asked.clear();
                }
            }
            false => {
                connection.asked.pop_front();
            }
        }
        let began = connection.began;
        let has_reason = self.has_reason(server, began, code);
        if self.is_recovering && code == ErrorCode::Exhausted {
            self.machines[server].is_served = true;
        }
        if !is_due || !has_reason {
            let asked = self.clients[number]
                .connection
                .as_ref()
                .and_then(|connection| connection.asked.front().cloned());
            self.judge.note_violation(|| {
                format!("client {number} gets {error:?} from server {server} for no reason; next: {asked:?}")
            });
        }
    }

    /// Whether a server has a reason to answer so on a connection that began at this moment.
    pub fn has_reason(&self, server: usize, began: Instant, code: ErrorCode) -> bool {
        let machine = &self.machines[server];
        // It may have come from a process before this one, which had another pid in etcd and has lost it.
        let is_late = machine.plan.etcd.is_some() && machine.began > began;
        let was_breached = self.judge.pids[&machine.plan.pid].was_breached
            || self.has_lost_its_pid(server)
            || is_late;
        let sees_breach = machine.has_seen_breach || self.sees_a_breach(server);
        match code {
            ErrorCode::PidConflict | ErrorCode::StaleState => was_breached,
            ErrorCode::Storage => machine.has_failed,
            // It is stopped, or was refused because another one has its pid.
            ErrorCode::Stopping => {
                !machine.signals.is_empty() || machine.began > began || was_breached || sees_breach
            }
            ErrorCode::Joining => machine.plan.join.needed() > 0,
            ErrorCode::Exhausted => self.plan.faults.has(Fault::Exhaustion),
            _ => true,
        }
    }

    /// Compares a server's status with what is known about the server. Returns whether they agree.
    fn on_status(&mut self, number: usize, server: usize, floor: &Floor, status: &Status) -> bool {
        let connection = self.clients[number]
            .connection
            .as_ref()
            .expect("the status came over it");
        let machine = &mut self.machines[server];
        let life = &self.judge.lives[server];
        let marks = LifeMarks {
            incarnation: life.incarnation,
            boot: life.boot,
            session: life.session,
        };
        let sees_life = self.clients[number].plan.sees_lives();
        let is_same =
            status.pid.get() == life.pid && status.life() == Some(marks).filter(|_| sees_life);
        // Who does not see the life cannot tell.
        let is_certain = sees_life && is_same;
        if machine.server.is_none() || (!is_certain && machine.began > connection.began) {
            // The status is of an earlier life.
            return true;
        }
        let own = [
            address(server).to_string(),
            format!("server{server}.test:3264"),
        ];
        let named = machine.plan.peers.iter();
        let peers = named.filter(|peer| !own.contains(peer)).count();
        let is_superseded = self.judge.is_superseded(life);
        let is_innocent = !self.judge.pids[&life.pid].was_breached && !is_superseded;
        let is_in_etcd = life.is_in_etcd;
        let is_blamed = matches!(status.standing, Standing::Conflict | Standing::Stale);
        let is_consistent = (status.sequence >= floor.left || self.judge.is_breached(life.pid))
            && status.storage.ceiling >= status.sequence
            // A name that leads only to owners of pids is shown as these.
            && (self.plan.etcd.is_some() || status.peers_total as usize >= peers);
        // A server that was paused answers an old question before it looks at the disk.
        let is_paused = self.plan.faults.has(Fault::Pause);
        let is_used_up = status.sequence == Sequence::MAX.get();
        let is_consistent = is_consistent
            && match status.standing {
                Standing::Serving => {
                    !is_used_up && (is_paused || is_in_etcd || !is_stalled(status))
                }
                Standing::Exhausted => is_used_up,
                // One that is in doubt says so, whether somebody waits or not.
                Standing::WaitingForDisk => is_in_etcd || status.bounds.waiting_for_disk > 0,
                _ => true,
            };
        let asked_at = self.clients[number].asked_at;
        // Its count of dropped lines stops growing when the log is read again.
        let dropped = self.net.borrow().nodes[server].log_lines_dropped;
        let told = status.bounds.log_lines_dropped;
        let is_exact = machine.log_stalls_until < asked_at;
        let is_consistent = is_consistent && told <= dropped && (!is_exact || told == dropped);
        machine.status = Some((asked_at, status.standing, status.sequence));
        machine.is_refused &= status.standing == Standing::Joining;
        let pid = self.judge.lives[server].pid;
        if is_blamed {
            self.judge.breaches.tell(server, pid);
        }
        let state = self.judge.pid(pid);
        state.told = state.told.max(status.sequence);
        is_same && is_consistent && !(is_innocent && is_blamed)
    }
}

/// Whether requests wait for a write that is late by any clock.
fn is_stalled(status: &Status) -> bool {
    let late_us = WRITE_LATE.as_micros() as u64;
    // The slowest clock takes twice as long, and the server may be busy with something else.
    status.bounds.waiting_for_disk > 0 && status.storage.current_write_us > 2 * late_us + STALL_US
}

/// A request for a server's status.
pub fn status_batch(floor: Floor) -> Batch {
    let mut bytes = Vec::new();
    ipseity_frames::encode(&Message::StatusRequest, &mut bytes);
    Batch {
        bytes,
        asked: vec![Asked::Status { floor }],
        ..Batch::default()
    }
}
