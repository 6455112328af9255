//! The network of a world: who listens where, who is connected to whom, and what happens when.
//!
//! Connections are made of two ends; what an end does is in `stream.rs`.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    time::Duration,
};

use ipseity::{mailbox::Entry, time::Instant};

use super::{
    node::{Node, Wake},
    stream::{End, EndId, Phase},
};

/// What will happen, and to whom.
pub enum Happening {
    /// Bytes arrive.
    Segment { to: EndId, bytes: Vec<u8> },
    /// The other side has shut its sending side.
    Fin { to: EndId },
    /// The other side has cut the connection.
    Reset { to: EndId },
    /// An attempt to connect arrives where it goes.
    Syn { from: EndId },
    /// The attempt has succeeded.
    Connected { end: EndId },
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
}

/// Where an address leads, other than to whoever listens there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Nothing comes back.
    Hangs,
    /// The attempt fails in the call itself.
    Unreachable,
}

/// Whoever takes connections at an address, and those that it has not taken yet.
struct Listener {
    /// The server to wake; a test looks by itself.
    node: Option<usize>,
    queue: VecDeque<EndId>,
}

/// See the [module](self).
pub struct Net {
    pub now: Instant,
    pub nodes: Vec<Node>,
    /// How long everything takes from one end to the other.
    pub delay: Duration,
    /// As many bytes as arrive at one moment; the next come a nanosecond later.
    pub segment_bytes: usize,
    /// Of the ends that are made from now on.
    pub window_bytes: usize,
    /// Of the ends that are made from now on.
    pub send_buffer_bytes: usize,
    pub routes: BTreeMap<SocketAddr, Route>,
    /// What names are looked up to; others fail.
    pub names: BTreeMap<String, Vec<SocketAddr>>,
    pub(super) ends: Vec<End>,
    listeners: BTreeMap<SocketAddr, Listener>,
    happenings: BTreeMap<(Instant, u64), Happening>,
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
            ends: Vec::new(),
            listeners: BTreeMap::new(),
            happenings: BTreeMap::new(),
            serial: 0,
        }
    }

    /// When something happens next.
    pub fn next_happening(&self) -> Option<Instant> {
        self.happenings.keys().next().map(|(at, _)| *at)
    }

    /// Lets something happen, behind all that happens at the same moment.
    pub fn later(&mut self, at: Instant, happening: Happening) {
        self.serial += 1;
        self.happenings.insert((at, self.serial), happening);
    }

    /// Lets everything happen that is due.
    pub fn happen(&mut self) {
        while let Some(next) = self.happenings.first_entry() {
            if next.key().0 > self.now {
                return;
            }
            match next.remove() {
                Happening::Segment { to, bytes } => self.on_segment(to, &bytes),
                Happening::Fin { to } => self.on_fin(to),
                Happening::Reset { to } => self.on_reset(to),
                Happening::Syn { from } => self.on_syn(from),
                Happening::Connected { end } => self.on_connected(end),
                Happening::Refused { end } => self.on_refused(end),
                Happening::Disk { node, life } if self.nodes[node].life == life => {
                    self.nodes[node].disk_done();
                }
                Happening::Lookup { node, life, entry } if self.nodes[node].life == life => {
                    self.nodes[node].wake(Wake::Entry(entry));
                }
                // Of a process that is no more.
                Happening::Disk { .. } | Happening::Lookup { .. } => {}
            }
        }
    }

    /// From now on connections to `address` are taken: by a server, or by the test.
    pub fn listen(&mut self, address: SocketAddr, node: Option<usize>) {
        let queue = VecDeque::new();
        self.listeners.insert(address, Listener { node, queue });
    }

    /// Closes the listener, and resets those that nobody has taken.
    pub fn stop_listening(&mut self, address: SocketAddr) {
        let listener = self.listeners.remove(&address);
        for end in listener.into_iter().flat_map(|listener| listener.queue) {
            self.reset(end);
        }
    }

    /// The next connection that has come to an address.
    pub fn accept(&mut self, address: SocketAddr) -> Option<EndId> {
        self.listeners.get_mut(&address)?.queue.pop_front()
    }

    /// Begins to connect.
    pub fn connect(&mut self, own: SocketAddr, remote: SocketAddr) -> io::Result<EndId> {
        let route = self.routes.get(&remote).copied();
        if route == Some(Route::Unreachable) {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        let end = self.add_end(own, remote, Phase::Connecting);
        if route.is_none() {
            self.later(self.now.after(self.delay), Happening::Syn { from: end });
        }
        Ok(end)
    }

    fn on_syn(&mut self, from: EndId) {
        if self.ends[from].is_cut() {
            return;
        }
        let (own, remote) = (self.ends[from].own, self.ends[from].remote);
        let back = self.now.after(self.delay);
        if self.listeners.contains_key(&remote) {
            let end = self.add_end(remote, own, Phase::Open);
            self.ends[end].other = Some(from);
            self.ends[from].other = Some(end);
            self.later(back, Happening::Connected { end: from });
            let listener = self.listeners.get_mut(&remote).unwrap();
            listener.queue.push_back(end);
            if let Some(node) = listener.node {
                self.nodes[node].wake(Wake::Acceptable);
            }
        } else {
            self.later(back, Happening::Refused { end: from });
        }
    }

    fn add_end(&mut self, own: SocketAddr, remote: SocketAddr, phase: Phase) -> EndId {
        let (window, send_buffer) = (self.window_bytes, self.send_buffer_bytes);
        self.ends
            .push(End::new(own, remote, phase, window, send_buffer));
        self.ends.len() - 1
    }
}
