//! All connections: the `Slab` they stand in, reading and decoding, writing, closing and reaping.
//!
//! It moves bytes and decides nothing about identities: what it decodes goes into the mailbox, and what it
//! sends was given to it. It may import `connection`, `edge`, `mailbox`, `wire`, `actor`'s names and
//! `limits`.
//!
//! Four rules that a reader should know:
//!
//! - Readiness is told once. Whoever stops reading before the end dispatches the readiness again, or marks
//!   the connection `paused`, and [`Transport::flush`] takes it up when there is room.
//! - Replies are written at the end of the turn, all that have come together for a connection in one
//!   write.
//! - Nothing is freed while it is being handled: a connection is marked `Closed` and reaped at the end of the
//!   turn, and its slot is given back when nobody owes it an answer.
//! - A connection holds buffers only while something stands in them.

mod admission;
mod decoding;
mod reading;
mod sweeping;
mod writing;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::IpAddr,
    time::Duration,
};

use ipseity_core::{
    identity::Identity,
    ids::{ConnectionId, PeerId},
    time::Instant,
    words::{ErrorReply, Message},
};
use ipseity_frames::{FrameDecoder, encode, encode_identities};
use slab::Slab;

use crate::{
    buffer::BufferPool,
    connection::{CloseReason, Connection, ConnectionState, Origin},
    edge::{Edge, Socket},
    mailbox::{Mailbox, Readiness},
};

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct TransportLimits {
    /// Connections that are accepted, at most.
    pub connections_max: usize,
    /// Bytes of replies that may wait for one connection before nothing more is read from it.
    pub pending_bytes_max: usize,
    /// How long a connection may be idle; `None` for ever.
    pub idle_timeout: Option<Duration>,
    /// Addresses, beside those of loopback, from which an operator may come.
    pub trusted: Vec<IpAddr>,
}

/// A connection that was closed in this turn, for the server to tell of.
#[derive(Debug)]
pub struct Closure {
    /// Which.
    pub connection: ConnectionId,
    /// Who had begun it.
    pub origin: Origin,
    /// Whether the actor knows it as a link to a peer that connected.
    pub is_link: bool,
    /// Why.
    pub reason: CloseReason,
}

/// What a readiness led to, beyond bytes that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readied {
    /// Nothing else.
    Nothing,
    /// A connection to a peer stands now.
    Connected(PeerId),
}

/// See the [module](self).
#[derive(Debug)]
pub struct Transport<S> {
    limits: TransportLimits,
    connections: Slab<Connection<S>>,
    /// Goes into the next connection's id.
    serial: u32,
    /// Accepted connections that are not closed.
    accepted_open: usize,
    accepted_total: u64,
    /// Connections accepted beyond the limit, oldest first; some have moved on since.
    reserve: VecDeque<ConnectionId>,
    /// Connections of peers that came in beyond the limit.
    promoted: usize,
    /// Open connections that came in beyond the limit, peers among them: they take no client's place.
    beyond: usize,
    /// The one decoder; between two reads a connection keeps only what it has begun.
    decoder: FrameDecoder,
    pool: BufferPool,
    /// Frames decoded and not answered, of all connections.
    in_flight: usize,
    dirty: Vec<ConnectionId>,
    /// Paused because of `in_flight`, in the order in which they came: while anybody stands here, whoever wants
    /// to decode stands behind.
    stalled: Vec<ConnectionId>,
    reapable: Vec<ConnectionId>,
    closures: Vec<Closure>,
    /// Whether a connection has come under a deadline since the last sweep.
    sweep_wanted: bool,
    errors: BTreeMap<u16, u64>,
}

impl<S: Socket> Transport<S> {
    /// No connections.
    pub fn new(limits: TransportLimits) -> Transport<S> {
        Transport {
            limits,
            connections: Slab::new(),
            serial: 0,
            accepted_open: 0,
            accepted_total: 0,
            reserve: VecDeque::new(),
            promoted: 0,
            beyond: 0,
            decoder: FrameDecoder::new(),
            pool: BufferPool::default(),
            in_flight: 0,
            dirty: Vec::new(),
            stalled: Vec::new(),
            reapable: Vec::new(),
            closures: Vec::new(),
            sweep_wanted: false,
            errors: BTreeMap::new(),
        }
    }

    /// What the operator has set.
    pub fn limits(&self) -> &TransportLimits {
        &self.limits
    }

    /// Accepted connections that are open.
    pub fn accepted_open(&self) -> usize {
        self.accepted_open
    }

    /// Connections accepted since the start.
    pub fn accepted_total(&self) -> u64 {
        self.accepted_total
    }

    /// Error replies sent, by code.
    pub fn errors(&self) -> &BTreeMap<u16, u64> {
        &self.errors
    }

    /// Frames decoded and not answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Where an accepted connection comes from, for people.
    pub fn address(&self, connection: ConnectionId) -> String {
        let c = self.get(connection);
        let kept = c.and_then(|c| c.address.as_deref().copied());
        let asked = || c.and_then(|c| c.socket.as_ref()?.peer_address().ok());
        kept.or_else(asked).map_or_else(
            || "an address that is gone".to_owned(),
            |address| address.to_string(),
        )
    }

    /// Takes in a connection that is being dialed.
    ///
    /// # Errors
    /// The poll takes no more.
    pub fn dial<E: Edge<Socket = S>>(
        &mut self,
        edge: &mut E,
        socket: S,
        peer: PeerId,
        now: Instant,
    ) -> io::Result<ConnectionId> {
        self.sweep_wanted = true;
        self.insert(
            edge,
            socket,
            Origin::Dialed(peer),
            ConnectionState::Connecting,
            now,
        )
    }

    fn insert<E: Edge<Socket = S>>(
        &mut self,
        edge: &mut E,
        mut socket: S,
        origin: Origin,
        state: ConnectionState,
        now: Instant,
    ) -> io::Result<ConnectionId> {
        let vacant = self.connections.vacant_entry();
        let slot =
            u32::try_from(vacant.key()).expect("limits.rs keeps slots within a connection id");
        let id = ConnectionId::new(slot, self.serial);
        self.serial = self.serial.wrapping_add(1);
        edge.register(&mut socket, id)?;
        vacant.insert(Connection::new(id, socket, origin, state, now));
        Ok(id)
    }

    /// Reads and decodes, or finishes a dial, or notes that replies can be written.
    #[inline(always)]
    pub fn on_ready(
        &mut self,
        id: ConnectionId,
        readiness: Readiness,
        now: Instant,
        mailbox: &mut Mailbox,
    ) -> Readied {
        // Nearly every readiness is that of a client that waits for nothing and asks.
        if self.read_at_rest(id, readiness, now, mailbox) {
            Readied::Nothing
        } else {
            self.on_ready_with_care(id, readiness, now, mailbox)
        }
    }

    #[cold]
    fn on_ready_with_care(
        &mut self,
        id: ConnectionId,
        readiness: Readiness,
        now: Instant,
        mailbox: &mut Mailbox,
    ) -> Readied {
        let Some(c) = get_mut(&mut self.connections, id) else {
            return Readied::Nothing;
        };
        c.close_hint |= readiness.is_read_closed();
        if c.state == ConnectionState::Connecting {
            return self.on_dialed(id, readiness, now, mailbox);
        }
        if readiness.is_writable() && c.pending_bytes() > 0 {
            mark_dirty(c, &mut self.dirty);
        }
        if readiness.is_readable() {
            match c.state {
                ConnectionState::Open | ConnectionState::Reserve => self.read(id, now, mailbox),
                ConnectionState::Lingering => self.discard(id, mailbox),
                ConnectionState::Draining
                | ConnectionState::Connecting
                | ConnectionState::Closed => {}
            }
        }
        Readied::Nothing
    }

    fn on_dialed(
        &mut self,
        id: ConnectionId,
        readiness: Readiness,
        now: Instant,
        mailbox: &mut Mailbox,
    ) -> Readied {
        let Some(c) = get_mut(&mut self.connections, id) else {
            return Readied::Nothing;
        };
        match (c.socket.as_ref().map(Socket::is_connected), c.origin) {
            (Some(Ok(true)), Origin::Dialed(peer)) => {
                c.state = ConnectionState::Open;
                c.progress_at = now;
                if readiness.is_readable() {
                    // The peer spoke first, or closed. It is read in its turn, and no other edge comes for it.
                    mailbox.dispatch_readable(id);
                }
                Readied::Connected(peer)
            }
            (Some(Err(error)), _) => {
                self.close(id, CloseReason::Dial(error));
                Readied::Nothing
            }
            _ => Readied::Nothing,
        }
    }

    /// Answers one frame that was decoded from `to`.
    pub fn reply(&mut self, to: ConnectionId, message: &Message) {
        if let Message::ErrorReply(error) = message {
            count_error(&mut self.errors, error);
        }
        self.answer(to, |output| encode(message, output));
    }

    /// The same for an identityReply.
    pub fn reply_identities(&mut self, to: ConnectionId, first: Identity, count: u32) {
        self.answer(to, |output| encode_identities(first, count, output));
    }

    /// Answers one frame that was decoded from `to` with what `encode` appends.
    fn answer(&mut self, to: ConnectionId, encode: impl FnOnce(&mut Vec<u8>)) {
        self.answer_many(to, |output| {
            encode(output);
            1
        });
    }

    /// Answers frames that were decoded from `to` with what `encode` appends to the replies that wait to be
    /// written. It says how many frames those are.
    #[inline(always)]
    pub fn answer_many(&mut self, to: ConnectionId, encode: impl FnOnce(&mut Vec<u8>) -> u32) {
        let Some(c) = get_mut(&mut self.connections, to) else {
            debug_assert!(false, "a slot is held until its connection is owed nothing");
            return;
        };
        let is_closed = c.state == ConnectionState::Closed;
        let output = c.output(&mut self.pool);
        let answers = encode(output);
        if is_closed {
            // Nobody is there any more to be answered.
            output.clear();
            self.reapable.push(to);
        } else {
            mark_dirty(c, &mut self.dirty);
        }
        c.owed -= answers;
        self.in_flight -= answers as usize;
        if c.owed == 0 {
            c.heavy = false;
        }
    }

    /// Sends a message that answers nothing.
    pub fn send(&mut self, to: ConnectionId, message: &Message) {
        let Self {
            connections,
            pool,
            dirty,
            ..
        } = self;
        if let Some(c) = get_mut(connections, to).filter(|c| c.state == ConnectionState::Open) {
            encode(message, c.output(pool));
            mark_dirty(c, dirty);
        }
    }

    /// Reads nothing more from a connection, and closes it when its replies have left.
    pub fn drain(&mut self, id: ConnectionId) {
        if let Some(c) = get_mut(&mut self.connections, id)
            && matches!(c.state, ConnectionState::Open | ConnectionState::Reserve)
        {
            c.state = ConnectionState::Draining;
            c.keep_input(&[], &mut self.pool);
            mark_dirty(c, &mut self.dirty);
        }
    }

    /// Reads nothing more from anybody.
    pub fn drain_all(&mut self) {
        let ids: Vec<ConnectionId> = self.connections.iter().map(|(_, c)| c.id).collect();
        for id in ids {
            self.drain(id);
        }
    }

    /// Notes that the actor knows this connection as a link to a peer, so that its closure will say so.
    /// Returns false when it is closed already, and the closure has been told of.
    pub fn set_link(&mut self, id: ConnectionId) -> bool {
        match get_mut(&mut self.connections, id) {
            Some(c) if c.state != ConnectionState::Closed => {
                if !c.is_link
                    && let Some(socket) = &c.socket
                {
                    socket.watch();
                }
                c.is_link = true;
                true
            }
            _ => false,
        }
    }

    /// Closes a connection now. What was not written is lost.
    pub fn close(&mut self, id: ConnectionId, reason: CloseReason) {
        let Some(c) = get_mut(&mut self.connections, id) else {
            return;
        };
        if c.state == ConnectionState::Closed {
            return;
        }
        c.state = ConnectionState::Closed;
        if c.origin == Origin::Accepted {
            self.accepted_open -= 1;
        }
        if c.is_beyond {
            self.beyond -= 1;
        }
        if c.is_promoted {
            self.promoted -= 1;
        }
        self.reapable.push(id);
        let (origin, is_link) = (c.origin, c.is_link);
        self.closures.push(Closure {
            connection: id,
            origin,
            is_link,
            reason,
        });
    }

    /// Whether a connection was closed and not told of yet.
    #[inline]
    pub fn has_closures(&self) -> bool {
        !self.closures.is_empty()
    }

    /// The next connection that was closed and not told of yet.
    pub fn take_closure(&mut self) -> Option<Closure> {
        self.closures.pop()
    }

    /// Frees the sockets of closed connections, and the slots of those that are owed nothing. The last step of
    /// a turn.
    pub fn reap(&mut self) {
        if self.reapable.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.reapable) {
            let Some(c) = get_mut(&mut self.connections, id) else {
                continue;
            };
            c.socket = None;
            if let Some(buffers) = c.buffers.take() {
                self.pool.put(buffers);
            }
            // bug StaleToken instead: if c.owed == 0 || BUG {
            if c.owed == 0 {
                self.connections.remove(id.slot());
            }
        }
    }

    /// Dispatches a readiness for every open connection: a server that stops reads what has arrived.
    pub fn dispatch_all(&self, mailbox: &mut Mailbox) {
        for (_, c) in &self.connections {
            if c.state == ConnectionState::Open && c.origin == Origin::Accepted {
                mailbox.dispatch_readable(c.id);
            }
        }
    }

    fn get(&self, id: ConnectionId) -> Option<&Connection<S>> {
        self.connections.get(id.slot()).filter(|c| c.id == id)
    }
}

/// The connection of that id, unless the slot has passed to another one since.
#[inline]
fn get_mut<S>(
    connections: &mut Slab<Connection<S>>,
    id: ConnectionId,
) -> Option<&mut Connection<S>> {
    // bug StaleToken: return connections.get_mut(id.slot());
    connections.get_mut(id.slot()).filter(|c| c.id == id)
}

#[inline]
fn mark_dirty<S>(c: &mut Connection<S>, dirty: &mut Vec<ConnectionId>) {
    if !c.dirty {
        c.dirty = true;
        dirty.push(c.id);
    }
}

fn count_error(errors: &mut BTreeMap<u16, u64>, error: &ErrorReply) {
    *errors.entry(error.code).or_default() += 1;
}
