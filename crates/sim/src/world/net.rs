//! The network of a world: its listeners, its connections, and its scheduled events.
//!
//! A connection has two ends; what an end does is in `stream.rs`.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ipseity::{
    limits::{PEER_KEEPALIVE_IDLE, PEER_KEEPALIVE_INTERVAL, PEER_KEEPALIVE_RETRIES},
    mailbox::Entry,
};
use ipseity_core::{ids::ListenerId, time::Instant};

use super::{
    end::{Came, End, EndId, Phase},
    node::{Node, Wake},
    pid_storage,
    setup::http_address,
};

/// Something that will happen, and where.
pub enum WorldEvent {
    /// Bytes arrive.
    Segment { to: EndId, bytes: Vec<u8> },
    /// The other side has shut its sending side.
    Fin { to: EndId },
    /// The other side has cut the connection.
    Reset { to: EndId },
    /// An attempt to connect arrives at its destination.
    Syn { from: EndId },
    /// The attempt has succeeded.
    Connected { end: EndId },
    /// The listening side learns that the connection is established.
    Established { end: EndId },
    /// The attempt was turned down.
    Refused { end: EndId },
    /// The disk of a server is done.
    Disk { node: usize, life: u64 },
    /// The lookup of a server is done.
    Lookup {
        node: usize,
        life: u64,
        entry: Entry,
    },
    /// TCP checks whether the other side is still there.
    KeepAlive { end: EndId },
    /// Something happens in etcd, or to those who have their pids there.
    Etcd,
    /// Something that the user of the world has scheduled.
    Call(u64),
}

/// Something that will happen at a moment, in the order in which it was scheduled. The next one is the greatest.
struct Scheduled {
    at: Instant,
    serial: u64,
    event: WorldEvent,
}

impl Scheduled {
    fn order(&self) -> Reverse<(Instant, u64)> {
        Reverse((self.at, self.serial))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> Ordering {
        self.order().cmp(&other.order())
    }
}

/// What is sent, as [`NetworkConditions`] see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// This many bytes.
    Bytes(usize),
    /// The end of the stream.
    Fin,
    /// The connection is cut. Unlike everything else, a reset is not sent again when it is lost.
    Reset,
    /// An attempt to connect, or its outcome.
    Handshake,
}

/// What happens to something that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, at this moment or after what was sent before it.
    Arrives(Instant),
    /// Nothing arrives any more in this direction of the connection, and nobody is told.
    Silence,
    /// This many bytes of it arrive, and then both sides find the connection cut.
    Cut(Instant, usize),
}

/// Delays, losses and window sizes, for tests that need more than one fixed delay.
pub trait NetworkConditions {
    /// What happens to something that is sent at this moment.
    fn fate(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, what: Sent) -> Fate;

    /// The receive window, the send buffer and the longest segment of a connection between these two addresses.
    fn sizes(&mut self, from: SocketAddr, to: SocketAddr) -> [usize; 3];
}

/// A copy of all bytes that servers have written. Each part gives the server, the end, and the number of bytes.
#[derive(Default)]
pub struct Wiretap {
    pub bytes: Vec<u8>,
    pub parts: Vec<(usize, EndId, usize)>,
}

/// What happens to attempts to connect to an address, if they do not reach the listener there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Nothing comes back.
    Hangs,
    /// The attempt fails in the call itself.
    Unreachable,
}

/// How soon something is sent again that was sent to a machine without power.
const RETRANSMISSION: Duration = Duration::from_secs(1);

/// The listener of a server for frames, and the one for HTTP. Each server has both.
pub const FRAMES: ListenerId = ListenerId(0);
pub const HTTP: ListenerId = ListenerId(1);

/// A listener at an address, and the connections that it has not accepted yet.
struct Listener {
    /// The server to wake, and which of its listeners this is; `None` if a test accepts the connections.
    node: Option<(usize, ListenerId)>,
    queue: VecDeque<EndId>,
    /// Tells this listener from earlier ones at the same address.
    serial: u64,
}

/// See the head of this file.
pub struct Net {
    pub now: Instant,
    pub nodes: Vec<Node>,
    /// How long everything takes from one end to the other.
    pub delay: Duration,
    /// The most bytes that arrive at one moment. The next ones come a nanosecond later.
    pub segment_bytes: usize,
    /// The receive window of ends that are made from now on.
    pub window_bytes: usize,
    /// The send buffer of ends that are made from now on.
    pub send_buffer_bytes: usize,
    pub routes: BTreeMap<SocketAddr, Route>,
    /// The addresses of each name. Lookups of other names fail.
    pub names: BTreeMap<String, Vec<SocketAddr>>,
    /// If set, it decides in place of `delay` and the sizes above.
    pub conditions: Option<Box<dyn NetworkConditions>>,
    /// Machines without power. What is sent to them is lost, or sent again later.
    pub down: BTreeSet<IpAddr>,
    /// Calls that are due.
    pub calls: VecDeque<u64>,
    /// Clients whose end has changed.
    pub ready_clients: VecDeque<usize>,
    /// What servers have written since it was last emptied, if anybody listens.
    pub wiretap: Option<Wiretap>,
    /// Ends that servers have accepted, and accepted ones that they have dropped, since somebody looked.
    pub accepted: Vec<EndId>,
    pub dropped: Vec<EndId>,
    pub ends: Vec<End>,
    /// The etcd of this world, if there is one.
    pub pids: Option<pid_storage::World>,
    listeners: BTreeMap<SocketAddr, Listener>,
    scheduled: BinaryHeap<Scheduled>,
    serial: u64,
}

impl Net {
    pub fn new() -> Net {
        Net {
            now: Instant::from_nanos(1_000_000_000),
            nodes: Vec::new(),
            delay: Duration::ZERO,
            segment_bytes: usize::MAX,
            window_bytes: 64 * 1024,
            send_buffer_bytes: 128 * 1024,
            routes: BTreeMap::new(),
            names: BTreeMap::new(),
            conditions: None,
            down: BTreeSet::new(),
            calls: VecDeque::new(),
            ready_clients: VecDeque::new(),
            wiretap: None,
            accepted: Vec::new(),
            dropped: Vec::new(),
            ends: Vec::new(),
            pids: None,
            listeners: BTreeMap::new(),
            scheduled: BinaryHeap::new(),
            serial: 0,
        }
    }

    /// The next moment at which something happens.
    pub fn next_event_at(&self) -> Option<Instant> {
        self.scheduled.peek().map(|scheduled| scheduled.at)
    }

    /// Schedules something, after everything else at the same moment.
    pub fn schedule(&mut self, at: Instant, event: WorldEvent) {
        self.serial += 1;
        self.scheduled.push(Scheduled {
            at,
            serial: self.serial,
            event,
        });
    }

    /// Does everything that is due.
    pub fn run_due_events(&mut self) {
        while self.next_event_at().is_some_and(|at| at <= self.now) {
            let Some(Scheduled { event, .. }) = self.scheduled.pop() else {
                return;
            };
            if !self.down.is_empty() && self.meets_no_power(&event) {
                if matches!(event, WorldEvent::Segment { .. } | WorldEvent::Fin { .. }) {
                    self.schedule(self.now.after(RETRANSMISSION), event);
                }
                continue;
            }
            match event {
                WorldEvent::Segment { to, bytes } => self.on_segment(to, &bytes),
                WorldEvent::Fin { to } => self.on_fin(to),
                WorldEvent::Reset { to } => self.on_reset(to),
                WorldEvent::Syn { from } => self.on_syn(from),
                WorldEvent::KeepAlive { end } => self.keep_alive(end),
                WorldEvent::Call(token) => self.calls.push_back(token),
                WorldEvent::Etcd => self.run_etcd(),
                WorldEvent::Connected { end } => self.on_connected(end),
                WorldEvent::Established { end } => self.on_established(end),
                WorldEvent::Refused { end } => self.on_refused(end),
                WorldEvent::Disk { node, life } if self.nodes[node].life == life => {
                    if let Some(done_at) = self.nodes[node].disk_done(self.now) {
                        self.schedule(done_at, WorldEvent::Disk { node, life });
                    }
                }
                WorldEvent::Lookup { node, life, entry } if self.nodes[node].life == life => {
                    self.nodes[node].wake(Wake::Entry(entry));
                }
                // The event belongs to a process that is gone.
                WorldEvent::Disk { .. } | WorldEvent::Lookup { .. } => {}
            }
        }
    }

    /// Lets etcd go on, and all who have their pids there.
    pub fn run_etcd(&mut self) {
        let Some(mut world) = self.pids.take() else {
            return;
        };
        loop {
            for (node, call, result) in world.run(self.now) {
                if let Some(storage) = &mut self.nodes[node].pid_storage {
                    storage.answered(call, result);
                }
            }
            let mut has_moved = false;
            for node in 0..self.nodes.len() {
                let Some(storage) = &mut self.nodes[node].pid_storage else {
                    continue;
                };
                if storage.next().is_some_and(|at| at <= self.now) {
                    has_moved = true;
                    let told = storage.go(node, &mut world, self.now);
                    self.calls.extend(told.token);
                    self.nodes[node].told_by_etcd(told);
                }
            }
            if !has_moved {
                break;
            }
        }
        let storages = self
            .nodes
            .iter()
            .filter_map(|node| node.pid_storage.as_ref());
        let next = storages.filter_map(pid_storage::PidStorage::next);
        let next = next.chain(world.next()).min();
        if let Some(at) = next
            && world.due.is_none_or(|due| at < due || due <= self.now)
        {
            world.due = Some(at);
            self.schedule(at, WorldEvent::Etcd);
        }
        self.pids = Some(world);
    }

    /// Whether an event would happen at a machine without power.
    fn meets_no_power(&self, event: &WorldEvent) -> bool {
        let address = match event {
            WorldEvent::Segment { to, .. } | WorldEvent::Fin { to } | WorldEvent::Reset { to } => {
                self.ends[*to].own
            }
            WorldEvent::Connected { end }
            | WorldEvent::Refused { end }
            | WorldEvent::Established { end } => self.ends[*end].own,
            WorldEvent::Syn { from } => self.ends[*from].remote,
            WorldEvent::Disk { .. }
            | WorldEvent::Lookup { .. }
            | WorldEvent::KeepAlive { .. }
            | WorldEvent::Etcd
            | WorldEvent::Call(_) => return false,
        };
        self.down.contains(&address.ip())
    }

    /// The machine loses its power: its connections vanish without a packet, and so does its listener.
    pub fn lose_power(&mut self, address: SocketAddr) {
        self.down.insert(address.ip());
        self.listeners.remove(&address);
        self.listeners.remove(&http_address(address));
        for end in &mut self.ends {
            if end.own.ip() == address.ip() {
                end.vanish();
            }
        }
    }

    /// Turns on TCP keepalive: if the other side vanishes without a packet, this side finds out. Only
    /// [`NetworkConditions`] make sides vanish.
    pub fn keep_alive(&mut self, end: EndId) {
        if self.conditions.is_none() || self.ends[end].is_over() {
            return;
        }
        match self.is_dead(end) {
            true => self.on_reset(end),
            false => {
                let wait = PEER_KEEPALIVE_IDLE + PEER_KEEPALIVE_INTERVAL * PEER_KEEPALIVE_RETRIES;
                self.schedule(self.now.after(wait), WorldEvent::KeepAlive { end });
            }
        }
    }

    /// Lets servers find out which connections of clients are dead, as TCP does after a long time. A connection that
    /// came in and never sent anything counts as a client's, because no server can know what it was meant to be.
    pub fn cut_dead(&mut self, is_client: impl Fn(SocketAddr) -> bool) {
        for end in 0..self.ends.len() {
            let e = &self.ends[end];
            let is_unknown = e.listener > 0 && e.pieces == 0;
            if !e.is_over() && (is_client(e.remote) || is_unknown) && self.is_dead(end) {
                self.on_reset(end);
            }
        }
    }

    /// Both sides of a connection find it cut.
    pub fn cut(&mut self, end: EndId) {
        for end in [Some(end), self.ends[end].other].into_iter().flatten() {
            self.on_reset(end);
        }
    }

    /// What happens to something that is sent now from one address to another.
    pub(super) fn way(&mut self, from: SocketAddr, to: SocketAddr, what: Sent) -> Fate {
        match &mut self.conditions {
            Some(conditions) => conditions.fate(self.now, from, to, what),
            None => Fate::Arrives(self.now.after(self.delay)),
        }
    }

    /// From now on a server accepts connections at its address, and those by HTTP at its other one.
    pub fn start_server(&mut self, address: SocketAddr, node: usize) {
        self.add_listener(address, Some((node, FRAMES)));
        self.add_listener(http_address(address), Some((node, HTTP)));
    }

    /// From now on the test accepts connections to `address`.
    pub fn listen(&mut self, address: SocketAddr) {
        self.add_listener(address, None);
    }

    fn add_listener(&mut self, address: SocketAddr, node: Option<(usize, ListenerId)>) {
        self.serial += 1;
        let listener = Listener {
            node,
            queue: VecDeque::new(),
            serial: self.serial,
        };
        self.listeners.insert(address, listener);
    }

    /// Closes the listeners of a server, and resets the connections that were not accepted.
    pub fn stop_server(&mut self, address: SocketAddr) {
        self.stop_listening(address);
        self.stop_listening(http_address(address));
    }

    /// Closes the listener, and resets the connections that were not accepted.
    fn stop_listening(&mut self, address: SocketAddr) {
        let listener = self.listeners.remove(&address);
        for end in listener.into_iter().flat_map(|listener| listener.queue) {
            self.reset(end);
        }
    }

    /// The next connection that has come to an address.
    pub fn accept(&mut self, address: SocketAddr) -> Option<EndId> {
        self.listeners.get_mut(&address)?.queue.pop_front()
    }

    /// A server has accepted a connection. Notes how it stood then.
    pub(super) fn note_accepted(&mut self, node: usize, end: EndId) {
        let (ends, node) = (&mut self.ends, &mut self.nodes[node]);
        node.accepted.retain(|held| !ends[*held].is_dropped);
        let address = ends[end].remote.ip();
        let held = || node.accepted.iter().map(|held| &ends[*held]);
        let is_http = ends[end].is_http();
        let came = Came {
            at: self.now,
            number: node.came,
            held: held()
                .filter(|held| held.is_http() == is_http && !held.is_beyond)
                .count(),
            of_address: held().filter(|held| held.remote.ip() == address).count(),
            silent: node
                .accepted
                .iter()
                .filter(|held| ends[**held].has_place && ends[**held].is_silent())
                .filter(|held| !ends[**held].is_http())
                .map(|held| (ends[*held].used_at, *held))
                .min(),
            is_dialed: node.dialed.contains(&address),
        };
        node.came += 1;
        node.accepted.push(end);
        self.accepted.push(end);
        (ends[end].came, ends[end].used_at) = (Some(came), self.now);
    }

    /// Begins to connect.
    pub fn connect(&mut self, own: SocketAddr, remote: SocketAddr) -> io::Result<EndId> {
        let route = self.routes.get(&remote).copied();
        if route == Some(Route::Unreachable) {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        let end = self.add_end(own, remote, Phase::Connecting);
        if route.is_none()
            && let Fate::Arrives(at) = self.way(own, remote, Sent::Handshake)
        {
            self.schedule(at, WorldEvent::Syn { from: end });
        }
        Ok(end)
    }

    fn on_syn(&mut self, from: EndId) {
        if self.ends[from].is_cut() {
            return;
        }
        let (own, remote) = (self.ends[from].own, self.ends[from].remote);
        let back = match self.way(remote, own, Sent::Handshake) {
            Fate::Arrives(at) => Some(at),
            Fate::Silence | Fate::Cut(..) => None,
        };
        if let Some(serial) = self.listeners.get(&remote).map(|listener| listener.serial) {
            let end = self.add_end(remote, own, Phase::Open);
            self.ends[end].listener = serial;
            self.ends[end].other = Some(from);
            self.ends[from].other = Some(end);
            if let Some(back) = back {
                // Anything that the other side sends at once arrives after it.
                self.ends[from].last_arrival = back;
                self.schedule(back, WorldEvent::Connected { end: from });
            }
            if self.conditions.is_none() {
                self.on_established(end);
            }
        } else if let Some(back) = back {
            self.schedule(back, WorldEvent::Refused { end: from });
        }
    }

    /// The other side has acknowledged: the listener may accept the connection.
    fn on_established(&mut self, end: EndId) {
        let (own, serial) = (self.ends[end].own, self.ends[end].listener);
        match self.listeners.get_mut(&own) {
            // Only if the listener is still the one that it came to.
            Some(listener) if listener.serial == serial => {
                listener.queue.push_back(end);
                if let Some((node, listener)) = listener.node {
                    self.nodes[node].wake(Wake::Acceptable(listener));
                }
            }
            _ => self.reset(end),
        }
    }

    /// The side that connected acknowledges the connection. Without conditions it was accepted at once.
    pub(super) fn acknowledge(&mut self, from: EndId) {
        let end = &self.ends[from];
        if let (true, Some(to)) = (self.conditions.is_some(), end.other) {
            let (own, remote) = (end.own, end.remote);
            match self.way(own, remote, Sent::Handshake) {
                Fate::Arrives(at) => {
                    // Anything that it sends at once arrives after it.
                    self.ends[to].last_arrival = at;
                    self.schedule(at, WorldEvent::Established { end: to });
                }
                Fate::Silence | Fate::Cut(..) => self.ends[to].silence(),
            }
        }
    }

    fn add_end(&mut self, own: SocketAddr, remote: SocketAddr, phase: Phase) -> EndId {
        let [window, send_buffer, segment] = match &mut self.conditions {
            Some(conditions) => conditions.sizes(own, remote),
            None => [
                self.window_bytes,
                self.send_buffer_bytes,
                self.segment_bytes,
            ],
        };
        let mut end = End::new(own, remote, phase, window, send_buffer);
        end.segment_bytes = segment;
        self.ends.push(end);
        self.ends.len() - 1
    }
}
