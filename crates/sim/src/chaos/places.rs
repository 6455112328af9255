//! The places of a server: who may be refused one, and who may lose one. The judge hears what servers say; this looks at
//! their connections, too.
//!
//! A connection is refused when its address has as many as it may have (`--max-connections-per-address`), or when all places
//! are taken. With `--when-full close-idle` the client that is idle longest loses its place to the next one. Nothing else
//! closes a connection on which there was nothing wrong.

use std::net::SocketAddr;

use ipseity::limits::{HTTP_IDLE_TIMEOUT, IDLE_MIN};

use super::{
    client::{Asked, Client},
    cluster::Cluster,
    fault::Fault,
    judge::{Judge, Refusal},
    plan::ServerPlan,
};
use crate::world::{Came, End, EndId, Net};

impl Cluster {
    /// Looks at what a server has done with its places in a turn.
    pub fn look_at_places(&mut self, number: usize) {
        self.note_places(number);
        let refused = std::mem::take(&mut self.judge.refused);
        let dropped = std::mem::take(&mut self.net.borrow_mut().dropped);
        self.look_at_reserves(number, &refused, &dropped);
        for refusal in refused {
            let wrong = self.what_is_wrong_with(number, refusal);
            self.expect_right(number, refusal.end, wrong);
        }
        for end in std::mem::take(&mut self.judge.served) {
            // Who gets identities has a place.
            self.net.borrow_mut().ends[end].has_place = true;
            let wrong = self.is_one_too_many(number, end);
            self.expect_right(number, end, wrong);
        }
        for end in dropped {
            if self.was_closed_without_word(end) {
                let wrong = self.why_not_that_one(number, end);
                self.expect_right(number, end, wrong);
            }
        }
    }

    pub fn expect_right(&mut self, number: usize, end: EndId, wrong: Option<String>) {
        if let Some(wrong) = wrong {
            let remote = self.net.borrow().ends[end].remote();
            self.judge.note_violation(|| {
                format!("the connection of {remote} to server {number} {wrong}")
            });
        }
    }

    /// Notes which of the connections that have come certainly have a place.
    fn note_places(&mut self, number: usize) {
        let plan = &self.machines[number].plan;
        let names_move = self.plan.faults.has(Fault::Lookup);
        let net = &mut *self.net.borrow_mut();
        for end in std::mem::take(&mut net.accepted) {
            let Some(mut came) = net.ends[end].came else {
                continue;
            };
            let is_free = |most| {
                came.of_address < most
                    || is_surely_exempt(plan, names_move, net.ends[end].remote(), came)
            };
            let most = places(plan, &net.ends[end]);
            net.ends[end].has_place = came.held < most && plan.per_address_max.is_none_or(is_free);
            // One that was closed earlier in the same turn was there until its end.
            came.silent = came.silent.filter(|(_, held)| !net.ends[*held].is_over());
            net.ends[end].came = Some(came);
            let is_earlier = |held: &&EndId| {
                let held = &net.ends[**held];
                let is_before = held.came.is_some_and(|other| other.number < came.number);
                is_before && held.is_http() == net.ends[end].is_http()
            };
            let has_place = |held: &&EndId| {
                let held = &net.ends[**held];
                held.has_place && !held.is_over() && !held.is_left()
            };
            let held = net.nodes[number].accepted.iter();
            let placed = held.filter(is_earlier).filter(has_place).count();
            let makes_room = plan.closes_idle && !net.ends[end].is_http();
            net.ends[end].is_beyond = placed >= most && !makes_room;
        }
    }

    /// What is wrong with a refusal, if anything is.
    fn what_is_wrong_with(&mut self, number: usize, refusal: Refusal) -> Option<String> {
        let net = self.net.borrow();
        let end = &net.ends[refusal.end];
        let (remote, came) = (end.remote(), end.came?);
        let plan = &self.machines[number].plan;
        if refusal.is_for_address {
            let names_move = self.plan.faults.has(Fault::Lookup);
            if is_surely_exempt(plan, names_move, remote, came) {
                return Some("is refused for its address, which is exempt".to_owned());
            }
            let had = came.of_address;
            let is_over = plan.per_address_max.is_some_and(|most| had >= most);
            drop(net);
            self.fault(Fault::PerAddress);
            let most = self.machines[number].plan.per_address_max;
            return (!is_over).then(|| {
                format!("is refused for its address, which had {had} and may have {most:?}")
            });
        }
        let (had, most) = (came.held, places(plan, end));
        if had < most {
            return Some(format!("is refused, and {had} of {most} places were taken"));
        }
        if end.is_http() {
            // Nobody makes room there, and no peer or operator comes that way.
            return None;
        }
        let clock = net.nodes[number].clock;
        let has_been_silent = |(since, _)| clock.shows(came.at).since(clock.shows(since));
        // They are searched for once in that time, and before it they are not idle.
        if let Some(silence) = came.silent.map(has_been_silent)
            && plan.closes_idle
            && silence >= 2 * IDLE_MIN
        {
            return Some(format!(
                "is refused, and another one was idle for {silence:?}"
            ));
        }
        if came.is_dialed && has_spoken(&self.judge, &net, refusal.end) {
            return Some("is refused, and comes from a peer that was named".to_owned());
        }
        let operates = refusal.is_first && self.has_operated(number, &net, refusal.end);
        operates.then(|| "is refused, and an operator has asked for something on it".to_owned())
    }

    /// Whether the first request that was read is one that an operator may make when all places are taken.
    fn has_operated(&self, number: usize, net: &Net, end: EndId) -> bool {
        let Some((other, remote)) = net.other_side(end) else {
            return false;
        };
        let is_his = |client: &&Client| {
            let connection = client.connection.as_ref();
            connection.is_some_and(|connection| connection.socket.end() == other)
        };
        let client = self.clients.iter().find(is_his);
        let first = client.and_then(|client| client.connection.as_ref()?.asked.front());
        let length = match first {
            Some(Asked::Status { .. }) => 3,
            Some(Asked::Members { .. } | Asked::Forget) => 5,
            Some(Asked::Advance { .. }) => 11,
            Some(Asked::Identities { .. } | Asked::Nonsense | Asked::Web(_)) | None => {
                return false;
            }
        };
        self.machines[number].plan.takes_operators(remote.ip()) && net.ends[end].taken >= length
    }

    /// Whether an address has more connections that were given identities than it may have.
    fn is_one_too_many(&self, number: usize, end: EndId) -> Option<String> {
        let net = self.net.borrow();
        let remote = net.ends[end].remote();
        let plan = &self.machines[number].plan;
        let most = plan.per_address_max?;
        if is_exempt(plan, remote, net.ends[end].came?) {
            return None;
        }
        let is_counted = |held: &&EndId| {
            let held = **held;
            // One that the client has left is closed in this turn or the next, and its place may be given away before.
            !net.ends[held].is_over()
                && !net.ends[held].is_left()
                && net.ends[held].remote().ip() == remote.ip()
                && self.judge.has_served(held)
        };
        let count = net.nodes[number].accepted.iter().filter(is_counted).count();
        (count > most).then(|| format!("is one of {count}, and its address may have {most}"))
    }

    /// Whether the server closed a connection of a client that was still there, and did not say why. Only one that makes room
    /// is closed like this: who is refused is told, and a peer that is silent on one connection is given up on all.
    fn was_closed_without_word(&self, end: EndId) -> bool {
        let net = self.net.borrow();
        let is_explained = self.judge.is_told(end) || speaks_like_peer(&self.judge, &net, end);
        !net.ends[end].is_left() && !is_explained
    }

    /// Whether the server may have closed a connection while it told it why. One of a reserve is not waited for: its
    /// descriptor is wanted, and what its buffers do not take is lost. One that certainly has a place is never closed so.
    pub fn gives_up_its_descriptor(&self, end: EndId) -> bool {
        let net = self.net.borrow();
        let closed = &net.ends[end];
        !closed.has_place && self.judge.is_told_in_part(end, closed.is_http())
    }

    /// Why it should not have been that one, if so.
    fn why_not_that_one(&mut self, number: usize, end: EndId) -> Option<String> {
        let machine = &self.machines[number];
        let is_ending = !machine.signals.is_empty() || self.judge.lives[number].disk_failed;
        let net = self.net.borrow();
        if net.ends[end].is_http() {
            let clock = net.nodes[number].clock;
            let used_at = net.ends[end].used_at;
            let idle = clock.shows(net.now).since(clock.shows(used_at));
            return (!is_ending && idle < HTTP_IDLE_TIMEOUT)
                .then(|| format!("is closed for no reason, and was idle for {idle:?}"));
        }
        drop(net);
        if machine.plan.closes_idle {
            self.judge.made_room.insert(end);
        }
        if is_ending {
            return None;
        }
        if !machine.plan.closes_idle {
            return Some("is closed for no reason".to_owned());
        }
        self.fault(Fault::CloseIdle);
        let net = self.net.borrow();
        let node = &net.nodes[number];
        let closed = &net.ends[end];
        if closed.unread() > 0 {
            return Some("makes room, and its request had arrived".to_owned());
        }
        let idle = node
            .clock
            .shows(net.now)
            .since(node.clock.shows(closed.used_at));
        if idle < IDLE_MIN {
            return Some(format!("makes room, and was idle for {idle:?}"));
        }
        let is_idle_longer = |held: &&EndId| {
            let held = &net.ends[**held];
            !held.is_over()
                && !held.is_http()
                && held.has_place
                && held.is_silent()
                && held.used_at < closed.used_at
        };
        let longer = node.accepted.iter().find(is_idle_longer)?;
        let since = net.ends[*longer].used_at;
        Some(format!(
            "makes room, and another one was idle since {since}"
        ))
    }
}

/// How many connections may have a place that speak like this one.
fn places(plan: &ServerPlan, end: &End) -> usize {
    match end.is_http() {
        true => plan.http_max,
        false => plan.connections_max,
    }
}

/// Whether connections from there are not limited: they have rights, or come from a peer that was named.
fn is_exempt(plan: &ServerPlan, remote: SocketAddr, came: Came) -> bool {
    let address = remote.ip();
    came.is_dialed || plan.takes_operators(address) || plan.takes_peers(address)
}

/// The same, without any doubt: a name may lead elsewhere by now, and then nobody who was dialed is exempt for that.
fn is_surely_exempt(plan: &ServerPlan, names_move: bool, remote: SocketAddr, came: Came) -> bool {
    let is_dialed = came.is_dialed && !names_move;
    is_exempt(plan, remote, Came { is_dialed, ..came })
}

/// Whether a server has dialed it, or was answered like one.
fn speaks_like_peer(judge: &Judge, net: &Net, end: EndId) -> bool {
    let other = net.other_side(end).map(|(other, _)| other);
    // Only servers speak TLS, and a handshake that is never finished is closed without a word.
    let speaks_tls = |end| judge.speaks_tls(end);
    judge.is_peer(end) || other.is_some_and(speaks_tls) || first_sync(judge, net, end).is_some()
}

/// Whether the server has read the first message of a peer.
fn has_spoken(judge: &Judge, net: &Net, end: EndId) -> bool {
    first_sync(judge, net, end).is_some_and(|length| net.ends[end].taken >= length)
}

/// The length of the first syncRequest that was sent to this end.
fn first_sync(judge: &Judge, net: &Net, end: EndId) -> Option<usize> {
    let (other, _) = net.other_side(end)?;
    judge.first_sync(other)
}
