//! The ends of connections, which behave like TCP sockets of Linux under edge-triggered epoll.
//!
//! A readiness is queued once when something changes, and not again just because something is left. Its content
//! is decided when the server polls. A read returns everything that has arrived and fits. Bytes that do not fit
//! the receive window wait in the sender's buffer. A sender that got `WouldBlock` is told when a third of that
//! buffer is free again.

use std::{
    io::{self, Read},
    net::SocketAddr,
    time::Duration,
};

use ipseity_core::{ids::ConnectionId, time::Instant};

use super::{
    end::{EndId, Phase},
    net::{Fate, Net, Sent, WorldEvent},
    node::Wake,
};

impl Net {
    /// From now on the owner of the end can write any number of bytes, even if the other side does not read.
    pub fn set_unbounded(&mut self, end: EndId) {
        self.ends[end].set_unbounded();
    }

    /// From now on every connection has at least these sizes, so that none is slow because of its windows.
    pub fn widen(&mut self, window_bytes: usize, segment_bytes: usize) {
        for end in &mut self.ends {
            end.window_bytes = end.window_bytes.max(window_bytes);
            end.segment_bytes = end.segment_bytes.max(segment_bytes);
        }
    }

    /// From now on the client is told about changes of the end.
    pub fn watch(&mut self, end: EndId, client: usize) {
        self.ends[end].client = Some(client);
    }

    /// Whether nothing gets through on the connection any more, in one direction or both, or the other side is gone.
    pub fn is_dead(&self, end: EndId) -> bool {
        let other = self.ends[end].other.map(|other| &self.ends[other]);
        self.ends[end].is_silenced || other.is_none_or(|end| end.is_silenced || end.is_dropped)
    }

    /// The other end of a connection, and its address.
    pub fn other_side(&self, end: EndId) -> Option<(EndId, SocketAddr)> {
        let other = self.ends[end].other?;
        Some((other, self.ends[other].own))
    }

    /// From now on the server is told about changes of the end, and at once about its present state.
    pub fn register(&mut self, end: EndId, node: usize, connection: ConnectionId) {
        self.ends[end].registered = Some((node, connection));
        self.changed(end);
    }

    pub fn read(&mut self, end: EndId, buffer: &mut [u8]) -> io::Result<usize> {
        let e = &mut self.ends[end];
        if e.arrived.is_empty() {
            return match (e.is_reset, e.fin_arrived) {
                (true, _) => Err(io::ErrorKind::ConnectionReset.into()),
                (false, true) => Ok(0),
                (false, false) => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        let bytes = buffer.len().min(e.arrived.len());
        e.arrived.read_exact(&mut buffer[..bytes]).unwrap();
        (e.taken, e.used_at) = (e.taken + bytes, self.now);
        // The window is open again.
        if let Some(other) = e.other {
            self.transmit(other);
        }
        Ok(bytes)
    }

    pub fn write(&mut self, end: EndId, bytes: &[u8]) -> io::Result<usize> {
        let e = &mut self.ends[end];
        if e.is_reset || e.fin_wanted {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let taken = bytes.len().min(e.send_buffer_bytes - e.unsent.len());
        if taken == 0 {
            e.is_blocked = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        e.unsent.extend(&bytes[..taken]);
        (e.given, e.used_at) = (e.given + taken, self.now);
        if let (Some(wiretap), Some((node, _))) = (&mut self.wiretap, e.registered) {
            wiretap.bytes.extend(&bytes[..taken]);
            wiretap.parts.push((node, end, taken));
        }
        self.transmit(end);
        Ok(taken)
    }

    /// Whether a connection is established by now; an error if it failed.
    pub fn is_connected(&self, end: EndId) -> io::Result<bool> {
        if self.ends[end].is_reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        match self.ends[end].phase {
            Phase::Refused => Err(io::ErrorKind::ConnectionRefused.into()),
            Phase::Open => Ok(true),
            Phase::Connecting => Ok(false),
        }
    }

    /// Nothing more will be sent.
    pub fn shutdown(&mut self, end: EndId) -> io::Result<()> {
        if self.ends[end].is_reset {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.ends[end].fin_wanted = true;
        self.transmit(end);
        Ok(())
    }

    /// The end is closed. Bytes that were written are still sent. If bytes had arrived that were not read, the
    /// connection is cut, as in the kernel.
    pub fn drop_end(&mut self, end: EndId) {
        let e = &mut self.ends[end];
        if e.is_dropped {
            // Cut already.
            return;
        }
        if e.came.is_some() {
            self.dropped.push(end);
        }
        e.is_dropped = true;
        e.registered = None;
        e.client = None;
        if e.arrived.is_empty() {
            e.fin_wanted = true;
            self.transmit(end);
        } else {
            self.reset(end);
        }
    }

    /// Cuts the connection.
    pub fn reset(&mut self, end: EndId) {
        let e = &mut self.ends[end];
        e.is_dropped = true;
        e.registered = None;
        e.client = None;
        e.unsent.clear();
        e.fin_sent = true;
        if let Some(to) = e.other {
            self.send(to, WorldEvent::Reset { to });
        }
    }

    /// Sends as much as fits into the window of the other end.
    fn transmit(&mut self, from: EndId) {
        if self.ends[from].phase != Phase::Open {
            return;
        }
        let Some(to) = self.ends[from].other else {
            return;
        };
        loop {
            let room = self.ends[to].window_bytes
                - (self.ends[to].arrived.len() + self.ends[to].on_the_way);
            let e = &mut self.ends[from];
            let bytes = room.min(e.unsent.len()).min(e.segment_bytes);
            if bytes == 0 {
                break;
            }
            let mut segment = vec![0; bytes];
            // Copied in slices and not byte by byte: segments may be long, and there are many.
            e.unsent.read_exact(&mut segment).unwrap();
            let bytes = segment;
            self.ends[to].on_the_way += bytes.len();
            self.send(to, WorldEvent::Segment { to, bytes });
        }
        let e = &mut self.ends[from];
        if e.fin_wanted && !e.fin_sent && e.unsent.is_empty() {
            e.fin_sent = true;
            self.send(to, WorldEvent::Fin { to });
        }
        let e = &mut self.ends[from];
        if e.is_blocked && e.has_space() {
            e.is_blocked = false;
            self.changed(from);
        }
    }

    /// Lets something arrive at an end, after everything that was sent to it before.
    fn send(&mut self, to: EndId, mut event: WorldEvent) {
        let e = &self.ends[to];
        if e.is_silenced {
            return;
        }
        let what = match &event {
            WorldEvent::Segment { bytes, .. } => Sent::Bytes(bytes.len()),
            WorldEvent::Fin { .. } => Sent::Fin,
            _ => Sent::Reset,
        };
        let (own, remote) = (e.own, e.remote);
        match self.way(remote, own, what) {
            Fate::Arrives(at) => {
                let at = self.behind_all(to, at);
                self.schedule(at, event);
            }
            Fate::Silence => self.ends[to].is_silenced = true,
            Fate::Cut(at, length) => {
                let at = self.behind_all(to, at);
                if let WorldEvent::Segment { bytes, .. } = &mut event {
                    self.ends[to].on_the_way -= bytes.len() - length;
                    bytes.truncate(length);
                    self.schedule(at, event);
                }
                self.schedule(at, WorldEvent::Reset { to });
                self.ends[to].is_silenced = true;
                if let Some(from) = self.ends[to].other {
                    self.schedule(at, WorldEvent::Reset { to: from });
                }
            }
        }
    }

    /// The moment at which something arrives: `at`, or later so that it overtakes nothing.
    fn behind_all(&mut self, to: EndId, at: Instant) -> Instant {
        let e = &mut self.ends[to];
        let soonest = match e.segment_bytes {
            usize::MAX => e.last_arrival,
            _ => e.last_arrival.after(Duration::from_nanos(1)),
        };
        e.last_arrival = at.max(soonest);
        e.last_arrival
    }

    pub(super) fn on_segment(&mut self, to: EndId, bytes: &[u8]) {
        let e = &mut self.ends[to];
        e.on_the_way -= bytes.len();
        if e.is_dropped {
            // Nobody is there to read it.
            return self.reset(to);
        }
        e.pieces += 1;
        e.arrived.extend(bytes);
        self.changed(to);
    }

    pub(super) fn on_fin(&mut self, to: EndId) {
        self.ends[to].fin_arrived = true;
        self.changed(to);
    }

    pub(super) fn on_reset(&mut self, to: EndId) {
        let e = &mut self.ends[to];
        // Bytes that had arrived before can still be read.
        e.is_reset = true;
        e.unsent.clear();
        self.changed(to);
    }

    pub(super) fn on_connected(&mut self, end: EndId) {
        if self.ends[end].is_dropped && self.conditions.is_some() {
            // Nobody waits for the connection any more.
            return;
        }
        self.acknowledge(end);
        self.ends[end].phase = Phase::Open;
        self.changed(end);
        self.transmit(end);
    }

    pub(super) fn on_refused(&mut self, end: EndId) {
        self.ends[end].phase = Phase::Refused;
        self.changed(end);
    }

    /// Something changed: reports an edge to the registered server.
    fn changed(&mut self, end: EndId) {
        let e = &self.ends[end];
        if let Some((node, _)) = e.registered {
            self.nodes[node].wake(Wake::Ready(end));
        } else if let Some(client) = e.client {
            self.ready_clients.push_back(client);
        }
    }
}
