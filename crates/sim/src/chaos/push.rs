//! The reserve: where all places of a server are taken, some connections are kept open for a moment, so that a peer, an
//! operator or a probe can still ask. A crowd comes that would push everybody else out of it, and the judge looks who is
//! turned away.
//!
//! Who says nothing has a second to ask. Before that, one is turned away only if more wait than the reserve has places, or
//! if there are no descriptors left. Then it is one of the address with most of them, and of those the oldest; without
//! descriptors those by HTTP go first. It is read before it goes, and what it has asked is answered.
//!
//! The judge sees connections, and not what the server makes of each. So it counts what is beyond doubt: how many may at
//! most have waited in a turn, and how many have waited all the time.

use std::{
    collections::{BTreeMap, VecDeque},
    io::Write as _,
    net::IpAddr,
    time::Duration,
};

use ipseity::limits::{RESERVE_CONNECTIONS_MAX, RESERVE_HTTP_MAX, RESERVE_TIMEOUT, SWEEP_INTERVAL};
use ipseity_core::time::Instant;

use super::{
    calls::Other,
    client::{Asked, Web},
    cluster::Cluster,
    fault::{Fault, chance},
    flood::{HANDSHAKE_US, PAUSE, has_ended},
    judge::Refusal,
    plan::STRANGERS,
};
use crate::world::{End, EndId, Net, SimSocket, http_address};

/// How many connections a crowd holds at most, so that many of them are turned away all the time, and how many it opens
/// each time.
const PUSHED_MAX: usize = 2 * RESERVE_CONNECTIONS_MAX;
const PUSHED_AT_ONCE: usize = 24;

/// How many of the crowd ask each time, and among how many of the oldest they are.
const ASKING: usize = 2;
const OLDEST: usize = 24;

/// The last bytes of the two addresses of a crowd, and of those who come beside it, each from another one.
const CROWD: [u8; 2] = [251, 252];
const OTHERS: std::ops::Range<u8> = 150..200;

/// How often somebody comes beside the crowd, in a thousand times, and how many there may be: some may have found a place,
/// and stay.
const OTHERS_PER_MILLE: u32 = 500;
const OTHERS_MAX: usize = 24;

/// How long the server does something else when a crowd comes. So what was asked in that time has arrived, and is not read
/// yet, when the crowd comes in.
const BUSY: Duration = Duration::from_millis(1);

/// The request of a probe.
const PROBE: &[u8] = b"GET /livez HTTP/1.1\r\nHost: probe\r\n\r\n";

/// What is allowed for clocks that count in whole nanoseconds at another speed.
const ROUNDED: Duration = Duration::from_millis(1);

/// How long one may wait in a reserve at most: sweeps look at the deadlines now and then.
const WAIT_MAX: Duration = RESERVE_TIMEOUT.saturating_add(SWEEP_INTERVAL.saturating_mul(3));

impl Cluster {
    /// A crowd grows, and somebody may come beside it. A moment later, when the new ones come in, those ask who want to: the
    /// others whose time has come, and the oldest of the crowd, who are turned away next. Returns when to go on.
    pub fn push(&mut self, index: usize, server: usize, by_http: bool) -> Duration {
        let mut held = std::mem::take(&mut self.floods[index].held);
        held.retain_mut(|socket| !has_ended(socket));
        let mut others = std::mem::take(&mut self.floods[index].others);
        others.retain_mut(|other| !has_ended(&mut other.socket));
        let asks = self.floods[index].asks_next;
        if asks {
            let now = self.now();
            for _ in 0..ASKING.min(held.len()) {
                let one = self.rng.usize(..held.len().min(OLDEST));
                self.ask_beyond(server, &mut held[one], by_http);
            }
            for other in &mut others {
                if other.asks_at.take_if(|at| *at <= now).is_some() {
                    self.ask_beyond(server, &mut other.socket, other.by_http);
                }
            }
        } else {
            self.grow(server, by_http, &mut held, &mut others);
        }
        let flood = &mut self.floods[index];
        (flood.held, flood.others, flood.asks_next) = (held, others, !asks);
        match asks {
            true => PAUSE,
            false => Duration::from_micros(self.rng.u64(..3 * HANDSHAKE_US)),
        }
    }

    fn grow(
        &mut self,
        server: usize,
        by_http: bool,
        held: &mut Vec<SimSocket>,
        others: &mut VecDeque<Other>,
    ) {
        let now = self.now();
        let machine = &mut self.machines[server];
        machine.ready_at = machine.ready_at.max(now.after(BUSY));
        let address = machine.address;
        let port = |by_http| {
            if by_http {
                http_address(address)
            } else {
                address
            }
        };
        for _ in 0..PUSHED_AT_ONCE.min(PUSHED_MAX - held.len()) {
            let last = CROWD[usize::from(self.rng.u32(..4) == 0)];
            let home = IpAddr::from([192, 168, STRANGERS, last]);
            held.extend(self.connect_to(home, port(by_http)));
        }
        if chance(&mut self.rng, OTHERS_PER_MILLE) {
            let home = IpAddr::from([192, 168, STRANGERS, self.rng.u8(OTHERS)]);
            let asks_at = now.after(RESERVE_TIMEOUT * self.rng.u32(..100) / 100);
            // Whoever reaches one port pushes nobody out who comes to the other one.
            let by_http = by_http ^ (self.rng.u32(..3) == 0);
            let socket = self.connect_to(home, port(by_http));
            others.extend(socket.map(|socket| Other {
                asks_at: Some(asks_at),
                by_http,
                socket,
            }));
            if others.len() > OTHERS_MAX {
                others.pop_front();
            }
        }
    }

    /// Asks for what is answered beyond the limit, by HTTP, or for what is refused there.
    fn ask_beyond(&mut self, server: usize, socket: &mut SimSocket, by_http: bool) {
        match by_http {
            // It may be cut already.
            true => drop(socket.write_all(PROBE)),
            false => self.ask(server, socket),
        }
    }

    /// Looks at who was turned away from the reserves of a server in a turn. `refused` were told that there are too many, and
    /// `dropped` were closed.
    pub fn look_at_reserves(&mut self, number: usize, refused: &[Refusal], dropped: &[EndId]) {
        let ran_out = std::mem::take(&mut self.net.borrow_mut().nodes[number].ran_out);
        let machine = &self.machines[number];
        if !machine.signals.is_empty() || self.judge.lives[number].disk_failed {
            // A server that ends closes all.
            return;
        }
        let is_probe_refused = |refusal: &&Refusal| self.is_refused_probe(refusal);
        let probe = refused.iter().find(is_probe_refused);
        let mut wrong = probe.map(|refusal| {
            let what = "is refused, and a probe has asked on it";
            (refusal.end, what.to_owned())
        });
        let net = self.net.borrow();
        let ended = refused.iter().map(|refusal| refusal.end);
        let gone: Vec<EndId> = ended
            .chain(dropped.iter().copied())
            .filter(|end| self.is_turned_away(number, &net, *end))
            .collect();
        let may_pause = self.plan.faults.has(Fault::Pause);
        for by_http in [false, true] {
            let waiting = Waiting::new(&net, number, dropped, by_http);
            let late = |(at, _): &(Instant, EndId)| {
                let clock = net.nodes[number].clock;
                clock.shows(net.now).since(clock.shows(*at)) > WAIT_MAX
            };
            let waits_for_ever = waiting.surely.iter().copied().find(late);
            if let Some((_, end)) = waits_for_ever.filter(|_| !may_pause) {
                wrong = wrong.or(Some((end, "waits in the reserve for ever".to_owned())));
            }
            if let Some((_, end)) = waiting.surely.get(waiting.places()) {
                let count = waiting.surely.len();
                let what = format!("is one of {count} that wait in the reserve");
                wrong = wrong.or(Some((*end, what)));
            }
            let of_it = gone
                .iter()
                .filter(|end| net.ends[**end].is_http() == by_http);
            for end in of_it {
                let what = waiting.what_is_wrong(&net, *end, ran_out);
                wrong = wrong.or(what.map(|what| (*end, what)));
            }
        }
        let is_before_http = || {
            let by_frames = gone.iter().find(|end| !net.ends[**end].is_http())?;
            let frames = Waiting::new(&net, number, dropped, false);
            let (_, other) = *Waiting::new(&net, number, dropped, true).surely.first()?;
            let other = net.ends[other].remote();
            (ran_out && frames.at_most() <= frames.places()).then(|| {
                let what = format!("is turned away before {other}, which waits by HTTP");
                (*by_frames, what)
            })
        };
        wrong = wrong.or_else(is_before_http);
        drop(net);
        if !gone.is_empty() {
            self.fault(Fault::Reserve);
        }
        if let Some((end, wrong)) = wrong {
            self.expect_right(number, end, Some(wrong));
        }
    }

    /// Whether a connection that may have been in a reserve was turned away before its time, without a word of its own.
    fn is_turned_away(&self, number: usize, net: &Net, end: EndId) -> bool {
        let plan = &self.machines[number].plan;
        let gone = &net.ends[end];
        let Some(came) = gone.came else { return false };
        let clock = net.nodes[number].clock;
        let age = clock.shows(net.now).since(clock.shows(came.at));
        let is_over = plan
            .per_address_max
            .is_some_and(|most| came.of_address >= most);
        gone.is_beyond
            && gone.taken == 0
            && !gone.is_left()
            && !is_over
            && age + ROUNDED < RESERVE_TIMEOUT
    }

    /// Whether the server has read the whole request of a probe on a connection, and nothing else, and refuses it.
    fn is_refused_probe(&self, refusal: &Refusal) -> bool {
        let net = self.net.borrow();
        let end = &net.ends[refusal.end];
        let Some((other, _)) = net.other_side(refusal.end) else {
            return false;
        };
        if !refusal.is_first || !end.is_http() || end.taken == 0 {
            return false;
        }
        let mut sockets = self.floods.iter().flat_map(|flood| {
            let others = flood.others.iter().map(|other| &other.socket);
            others.chain(&flood.held)
        });
        if sockets.any(|socket| socket.end() == other) {
            return end.taken == PROBE.len();
        }
        let connections = self
            .clients
            .iter()
            .filter_map(|client| client.connection.as_ref());
        let of_client = connections
            .into_iter()
            .find(|connection| connection.socket.end() == other);
        of_client.is_some_and(|connection| {
            let probes = |asked: &Asked| match asked {
                Asked::Web(asked) => matches!(asked.what, Web::Live | Web::Ready),
                _ => false,
            };
            connection.later.is_empty()
                && end.taken == net.ends[other].given
                && connection.asked.front().is_some_and(probes)
        })
    }
}

/// Who waits in a reserve.
struct Waiting {
    by_http: bool,
    /// How many of each address may have been there at some time in the turn.
    may: BTreeMap<IpAddr, usize>,
    /// Those that were there all the time, the oldest first, and when they came.
    surely: Vec<(Instant, EndId)>,
}

impl Waiting {
    fn new(net: &Net, number: usize, dropped: &[EndId], by_http: bool) -> Waiting {
        let node = &net.nodes[number];
        let is_of_it = |end: &&EndId| net.ends[**end].is_http() == by_http;
        let mut may = BTreeMap::new();
        let is_there = |end: &&EndId| !net.ends[**end].is_dropped();
        let there = node.accepted.iter().filter(is_there);
        for end in there.chain(dropped).filter(is_of_it) {
            let end = &net.ends[*end];
            if !end.has_place {
                *may.entry(end.remote().ip()).or_default() += 1;
            }
        }
        let waits = |end: &End| {
            let came = end.came?;
            let waits = end.is_beyond && !end.is_over() && end.is_silent() && came.at < net.now;
            waits.then_some(came.at)
        };
        let surely = node.accepted.iter().filter(is_of_it);
        let surely = surely.filter_map(|end| Some((waits(&net.ends[*end])?, *end)));
        Waiting {
            by_http,
            may,
            surely: surely.collect(),
        }
    }

    /// How many places there are.
    fn places(&self) -> usize {
        match self.by_http {
            true => RESERVE_HTTP_MAX,
            false => RESERVE_CONNECTIONS_MAX,
        }
    }

    fn at_most(&self) -> usize {
        self.may.values().sum()
    }

    /// What is wrong with turning this one away, if anything is.
    fn what_is_wrong(&self, net: &Net, end: EndId, ran_out: bool) -> Option<String> {
        let gone = &net.ends[end];
        let (address, came) = (gone.remote().ip(), gone.came?);
        if gone.unread() > 0 {
            return Some("is turned away, and what it had sent was not read".to_owned());
        }
        let most = self.at_most();
        if !ran_out && most <= self.places() {
            return Some(format!(
                "is turned away, and there were {most} in the reserve at most"
            ));
        }
        let own = self.may.get(&address).copied().unwrap_or_default();
        let mut surely: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (_, other) in &self.surely {
            *surely.entry(net.ends[*other].remote().ip()).or_default() += 1;
        }
        if let Some((other, count)) = surely.iter().find(|(_, count)| **count > own) {
            return Some(format!(
                "is turned away, as one of {own}, and {count} of {other} stay"
            ));
        }
        let is_older = |(_, other): &&(Instant, EndId)| {
            let other = &net.ends[*other];
            let before = other.came.is_some_and(|other| other.number < came.number);
            before && other.remote().ip() == address
        };
        let (at, _) = self.surely.iter().find(is_older)?;
        Some(format!(
            "is turned away, and one of the same address stays that came at {at}"
        ))
    }
}
