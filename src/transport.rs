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

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    time::Duration,
};

use slab::Slab;

use crate::{
    actor::{ConnectionId, Count, Event, PeerId},
    buffer::BufferPool,
    connection::{CloseReason, Connection, ConnectionState, Origin, Overdue},
    edge::{Edge, Socket},
    limits::{
        FRAME_TIMEOUT, FRAMES_IN_FLIGHT_MAX, FRAMES_PER_CONNECTION_MAX, READ_BYTES_MAX,
        RESERVE_CONNECTIONS_MAX,
    },
    mailbox::{Entry, Mailbox, Readiness},
    time::Instant,
    wire::{ErrorReply, FrameDecoder, Message, WireError},
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

/// How decoding ended.
enum Decoded {
    /// All that was there is decoded; more has to be read.
    All,
    /// The gate closed before that.
    Gate,
    /// The bytes are no frame.
    Broken(WireError),
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
    /// The one decoder; between two reads a connection keeps only what it has begun.
    decoder: FrameDecoder,
    pool: BufferPool,
    /// Frames decoded and not answered, of all connections.
    in_flight: usize,
    dirty: Vec<ConnectionId>,
    /// Paused because of `in_flight`.
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

    /// The address at the other end, for people.
    pub fn address(&self, connection: ConnectionId) -> String {
        self.get(connection)
            .and_then(|c| c.socket.as_ref()?.peer_address().ok())
            .map_or_else(
                || "an address that is gone".to_owned(),
                |address| address.to_string(),
            )
    }

    /// Takes in a connection that was accepted. Beyond the limit it goes into the reserve, where only a peer
    /// may stay.
    pub fn admit<E: Edge<Socket = S>>(&mut self, edge: &mut E, socket: S, now: Instant) {
        self.accepted_total += 1;
        let state = if self.accepted_open < self.limits.connections_max {
            ConnectionState::Open
        } else {
            self.make_room();
            self.sweep_wanted = true;
            ConnectionState::Reserve
        };
        if let Ok(id) = self.insert(edge, socket, Origin::Accepted, state, now) {
            self.accepted_open += 1;
            if state == ConnectionState::Reserve {
                self.reserve.push_back(id);
            }
        }
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

    /// Makes sure that the reserve has a place: the oldest in it is told that there are too many, at once,
    /// and closed.
    fn make_room(&mut self) {
        while self.reserve.len() >= RESERVE_CONNECTIONS_MAX {
            let Some(oldest) = self.reserve.pop_front() else {
                return;
            };
            let error = self.too_many().reply();
            let Self {
                connections,
                pool,
                errors,
                decoder,
                ..
            } = self;
            // Those that moved on need no room: peers stay, the others are gone.
            let Some(c) = get_mut(connections, oldest) else {
                continue;
            };
            if matches!(c.state, ConnectionState::Open | ConnectionState::Closed) {
                continue;
            }
            if c.state == ConnectionState::Reserve {
                count_error(errors, &error);
                c.queue(&Message::ErrorReply(Box::new(error)), pool);
                // What has been sent here is taken from the kernel, or closing would reset the connection
                // and the reply might never be seen. Errors change nothing: it is closed in any case.
                if let Some(socket) = &mut c.socket {
                    decoder.restore(&[]);
                    let _ = socket.read(decoder.space());
                }
                let _ = c.flush();
            }
            self.close(oldest, CloseReason::Told);
        }
    }

    fn too_many(&self) -> WireError {
        WireError::TooManyConnections {
            connections_max: self.limits.connections_max,
        }
    }

    /// Reads and decodes, or finishes a dial, or notes that replies can be written.
    pub fn on_ready(
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
            return self.on_dialed(id, now);
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

    fn on_dialed(&mut self, id: ConnectionId, now: Instant) -> Readied {
        let Some(c) = get_mut(&mut self.connections, id) else {
            return Readied::Nothing;
        };
        match (c.socket.as_ref().map(Socket::is_connected), c.origin) {
            (Some(Ok(true)), Origin::Dialed(peer)) => {
                c.state = ConnectionState::Open;
                c.progress_at = now;
                Readied::Connected(peer)
            }
            (Some(Err(error)), _) => {
                self.close(id, CloseReason::Dial(error));
                Readied::Nothing
            }
            _ => Readied::Nothing,
        }
    }

    /// Reads once, decodes what came, and puts every frame into the mailbox.
    fn read(&mut self, id: ConnectionId, now: Instant, mailbox: &mut Mailbox) {
        let Self {
            connections,
            decoder,
            pool,
            in_flight,
            promoted,
            stalled,
            limits,
            ..
        } = self;
        let Some(c) = get_mut(connections, id) else {
            return;
        };
        if !c.has_room(limits.pending_bytes_max) {
            // Its replies are flushed later, and the flush takes it up again.
            c.paused = true;
            return;
        }
        let begun = !c.input().is_empty();
        let before = c.owed;
        decoder.restore(c.input());
        let mut decoded = if begun {
            decode(c, decoder, limits, in_flight, promoted, mailbox)
        } else {
            Decoded::All
        };
        let mut again = false;
        let mut failed = None;
        while matches!(decoded, Decoded::All) && !c.read_closed {
            let space = decoder.space();
            let wanted = space.len().min(READ_BYTES_MAX);
            let Some(socket) = &mut c.socket else { return };
            match socket.read(&mut space[..wanted]) {
                Ok(0) => c.read_closed = true,
                Ok(bytes) => {
                    decoder.filled(bytes);
                    decoded = decode(c, decoder, limits, in_flight, promoted, mailbox);
                    if bytes == wanted {
                        // There may be more, but others have their turn first.
                        again = true;
                        break;
                    }
                    // A short read has emptied the socket, and the poll will tell of more: asking again
                    // would cost a system call for each request. Unless the other side has closed: no edge
                    // comes any more, and only another read meets the end.
                    if !c.close_hint {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let rest = decoder.rest();
        if c.owed > before || (!begun && !rest.is_empty()) {
            c.progress_at = now;
        }
        c.keep_input(rest, pool);
        if !rest.is_empty() {
            self.sweep_wanted = true;
        }
        if let Some(error) = failed {
            self.close(id, CloseReason::Io(error));
            return;
        }
        match decoded {
            Decoded::Broken(error) => self.broken(id, error, mailbox),
            Decoded::Gate => {
                c.paused = true;
                if *in_flight >= FRAMES_IN_FLIGHT_MAX {
                    stalled.push(id);
                } else {
                    // The gate may have closed with nothing in flight, over replies that wait.
                    mark_dirty(c, &mut self.dirty);
                }
            }
            Decoded::All if c.read_closed => self.ended(id, mailbox),
            Decoded::All if again => {
                mailbox.dispatch(Entry::Ready {
                    connection: id,
                    readiness: Readiness::READABLE,
                });
            }
            Decoded::All => {
                c.release_buffers(pool);
            }
        }
    }

    /// The other side will send nothing more.
    fn ended(&mut self, id: ConnectionId, mailbox: &mut Mailbox) {
        let Some(c) = get_mut(&mut self.connections, id) else {
            return;
        };
        let bytes = c.input().len();
        match c.origin {
            Origin::Dialed(_) => self.close(id, CloseReason::Ended),
            Origin::Accepted if bytes > 0 => {
                self.broken(id, WireError::Incomplete { bytes }, mailbox);
            }
            Origin::Accepted => {
                c.state = ConnectionState::Draining;
                mark_dirty(c, &mut self.dirty);
            }
        }
    }

    /// Bytes that are no frame take their place in the line, so that what was asked before them is answered
    /// before them. Nothing more is read.
    fn broken(&mut self, id: ConnectionId, error: WireError, mailbox: &mut Mailbox) {
        let Some(c) = get_mut(&mut self.connections, id) else {
            return;
        };
        if matches!(c.origin, Origin::Dialed(_)) {
            self.close(id, CloseReason::Wire(error));
            return;
        }
        c.state = ConnectionState::Draining;
        c.keep_input(&[], &mut self.pool);
        c.owed += 1;
        self.in_flight += 1;
        mailbox.dispatch(Entry::Event(Event::Unknown {
            from: id,
            error: Box::new(error),
        }));
    }

    /// Throws away what a connection still sends that was told why it is closed.
    fn discard(&mut self, id: ConnectionId, mailbox: &mut Mailbox) {
        let Some(c) = get_mut(&mut self.connections, id) else {
            return;
        };
        let Some(socket) = &mut c.socket else { return };
        self.decoder.restore(&[]);
        loop {
            let space = &mut self.decoder.space()[..READ_BYTES_MAX];
            match socket.read(space) {
                Ok(0) => return self.close(id, CloseReason::Told),
                Ok(bytes) if bytes == READ_BYTES_MAX => {
                    mailbox.dispatch(Entry::Ready {
                        connection: id,
                        readiness: Readiness::READABLE,
                    });
                    return;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.close(id, CloseReason::Told),
            }
        }
    }

    /// Answers one frame that was decoded from `to`.
    #[inline]
    pub fn reply(&mut self, to: ConnectionId, message: &Message) {
        let Self {
            connections,
            pool,
            in_flight,
            dirty,
            errors,
            reapable,
            ..
        } = self;
        let Some(c) = get_mut(connections, to) else {
            debug_assert!(false, "a slot is held until its connection is owed nothing");
            return;
        };
        c.owed -= 1;
        *in_flight -= 1;
        if c.owed == 0 {
            c.heavy = false;
        }
        if let Message::ErrorReply(error) = message {
            count_error(errors, error);
        }
        if c.state == ConnectionState::Closed {
            reapable.push(to);
            return;
        }
        c.queue(message, pool);
        mark_dirty(c, dirty);
    }

    /// Sends a message that answers nothing, to a peer that was dialed.
    pub fn send(&mut self, to: ConnectionId, message: &Message) {
        let Self {
            connections,
            pool,
            dirty,
            ..
        } = self;
        if let Some(c) = get_mut(connections, to).filter(|c| c.state == ConnectionState::Open) {
            c.queue(message, pool);
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

    /// Notes that the actor knows this connection as a link to a peer, so that its closure will say so.
    /// Returns false when it is closed already, and the closure has been told of.
    pub fn set_link(&mut self, id: ConnectionId) -> bool {
        match get_mut(&mut self.connections, id) {
            Some(c) if c.state != ConnectionState::Closed => {
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

    /// The next connection that was closed and not told of yet.
    pub fn take_closure(&mut self) -> Option<Closure> {
        self.closures.pop()
    }

    /// Writes what has come together for each connection, and takes up those that were paused.
    pub fn flush(&mut self, now: Instant, mailbox: &mut Mailbox) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for id in dirty.drain(..) {
            self.flush_one(id, now, mailbox);
        }
        // The list keeps its space for the next turn. Flushing marks nothing dirty.
        debug_assert!(self.dirty.is_empty());
        self.dirty = dirty;
        if !self.stalled.is_empty() && self.in_flight <= FRAMES_IN_FLIGHT_MAX / 2 {
            for id in std::mem::take(&mut self.stalled) {
                if let Some(c) = get_mut(&mut self.connections, id) {
                    resume(c, &self.limits, mailbox);
                }
            }
        }
    }

    fn flush_one(&mut self, id: ConnectionId, now: Instant, mailbox: &mut Mailbox) {
        let Self {
            connections,
            pool,
            limits,
            ..
        } = self;
        let Some(c) = get_mut(connections, id) else {
            return;
        };
        c.dirty = false;
        if matches!(
            c.state,
            ConnectionState::Closed | ConnectionState::Connecting
        ) {
            return;
        }
        match c.flush() {
            Ok(true) => c.progress_at = now,
            Ok(false) => {}
            Err(error) => return self.close(id, CloseReason::Io(error)),
        }
        if c.pending_bytes() > 0 {
            self.sweep_wanted = true;
        } else if c.state == ConnectionState::Draining && c.owed == 0 {
            return self.finish(id, now);
        }
        resume(c, limits, mailbox);
        c.release_buffers(pool);
    }

    /// Everything was answered and has left: closes the connection, gently.
    fn finish(&mut self, id: ConnectionId, now: Instant) {
        let Some(c) = get_mut(&mut self.connections, id) else {
            return;
        };
        if c.read_closed {
            return self.close(id, CloseReason::Ended);
        }
        c.state = ConnectionState::Lingering;
        c.progress_at = now;
        self.sweep_wanted = true;
        if let Some(Err(error)) = c.socket.as_ref().map(Socket::shutdown_write) {
            return self.close(id, CloseReason::Io(error));
        }
        c.release_buffers(&mut self.pool);
    }

    /// Frees the sockets of closed connections, and the slots of those that are owed nothing. The last step of
    /// a turn.
    pub fn reap(&mut self) {
        for id in std::mem::take(&mut self.reapable) {
            let Some(c) = get_mut(&mut self.connections, id) else {
                continue;
            };
            c.socket = None;
            if let Some(buffers) = c.buffers.take() {
                self.pool.put(buffers);
            }
            if c.owed == 0 {
                self.connections.remove(id.slot());
            }
        }
    }

    /// Whether a connection has come under a deadline since the last call.
    pub fn take_sweep_wanted(&mut self) -> bool {
        std::mem::take(&mut self.sweep_wanted)
    }

    /// Whether connections are under a deadline from the moment when they are accepted.
    pub fn has_idle_timeout(&self) -> bool {
        self.limits.idle_timeout.is_some()
    }

    /// Looks every connection over for deadlines that have passed. Says whether any is still under one.
    pub fn sweep(&mut self, now: Instant, mailbox: &mut Mailbox) -> bool {
        let mut overdue = Vec::new();
        let mut waiting = false;
        for (_, c) in &self.connections {
            match c.deadline(self.limits.idle_timeout) {
                Some((deadline, what)) if deadline <= now => overdue.push((c.id, what)),
                Some(_) => waiting = true,
                None => {}
            }
        }
        for (id, what) in overdue {
            waiting = true;
            self.on_overdue(id, what, now, mailbox);
        }
        waiting
    }

    fn on_overdue(&mut self, id: ConnectionId, what: Overdue, now: Instant, mailbox: &mut Mailbox) {
        let Some(c) = self.get(id) else { return };
        match what {
            Overdue::Dial => self.close(id, CloseReason::Dial(io::ErrorKind::TimedOut.into())),
            Overdue::Reserve => self.broken(id, self.too_many(), mailbox),
            Overdue::Frame => {
                let timeout_ms = FRAME_TIMEOUT.as_millis() as u64;
                self.broken(
                    id,
                    WireError::Stalled {
                        bytes: c.input().len(),
                        timeout_ms,
                    },
                    mailbox,
                );
            }
            Overdue::Unread => {
                self.close(id, CloseReason::Unread(now.since(c.progress_at)));
            }
            Overdue::Idle => self.close(id, CloseReason::Idle(now.since(c.progress_at))),
            Overdue::Linger => self.close(id, CloseReason::Told),
        }
    }

    /// Dispatches a readiness for every open connection: a server that stops reads what has arrived.
    pub fn dispatch_all(&self, mailbox: &mut Mailbox) {
        for (_, c) in &self.connections {
            if c.state == ConnectionState::Open && c.origin == Origin::Accepted {
                let (connection, readiness) = (c.id, Readiness::READABLE);
                mailbox.dispatch(Entry::Ready {
                    connection,
                    readiness,
                });
            }
        }
    }

    /// Whether every reply has left.
    pub fn is_flushed(&self) -> bool {
        self.connections.iter().all(|(_, c)| {
            c.state == ConnectionState::Closed || (c.owed == 0 && c.pending_bytes() == 0)
        })
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
    connections.get_mut(id.slot()).filter(|c| c.id == id)
}

fn mark_dirty<S>(c: &mut Connection<S>, dirty: &mut Vec<ConnectionId>) {
    if !c.dirty {
        c.dirty = true;
        dirty.push(c.id);
    }
}

fn count_error(errors: &mut BTreeMap<u16, u64>, error: &ErrorReply) {
    *errors.entry(error.code).or_default() += 1;
}

/// Takes a paused connection up again when there is room.
fn resume<S: Socket>(c: &mut Connection<S>, limits: &TransportLimits, mailbox: &mut Mailbox) {
    if c.paused && c.has_room(limits.pending_bytes_max) {
        c.paused = false;
        mailbox.dispatch(Entry::Ready {
            connection: c.id,
            readiness: Readiness::READABLE,
        });
    }
}

/// Takes whole frames out of the decoder and puts them into the mailbox, as many as there is room for.
fn decode<S: Socket>(
    c: &mut Connection<S>,
    decoder: &mut FrameDecoder,
    limits: &TransportLimits,
    in_flight: &mut usize,
    promoted: &mut usize,
    mailbox: &mut Mailbox,
) -> Decoded {
    if !c.has_room(limits.pending_bytes_max) {
        return Decoded::Gate;
    }
    let room = (FRAMES_PER_CONNECTION_MAX - c.owed as usize)
        .min(FRAMES_IN_FLIGHT_MAX.saturating_sub(*in_flight));
    let receiver = c.receiver();
    let from = c.id;
    for _ in 0..room {
        let event = match decoder.next(receiver) {
            Ok(None) => return Decoded::All,
            Err(error) => return Decoded::Broken(error),
            Ok(Some(message)) => match (message, c.origin) {
                (Message::IdentityRequest { count, after }, Origin::Accepted)
                    if c.state == ConnectionState::Open =>
                {
                    Event::IdentityRequest {
                        from,
                        count: Count::saturating(count),
                        after,
                    }
                }
                (Message::SyncRequest(sync), Origin::Accepted)
                    if c.state == ConnectionState::Open || *promoted < RESERVE_CONNECTIONS_MAX =>
                {
                    if c.state == ConnectionState::Reserve {
                        // The reserve is for peers.
                        c.state = ConnectionState::Open;
                        c.is_promoted = true;
                        *promoted += 1;
                    }
                    Event::SyncRequest { from, sync }
                }
                (_, Origin::Accepted) if c.state == ConnectionState::Reserve => {
                    let connections_max = limits.connections_max;
                    return Decoded::Broken(WireError::TooManyConnections { connections_max });
                }
                (Message::StatusRequest, Origin::Accepted) => {
                    c.heavy = true;
                    c.owed += 1;
                    *in_flight += 1;
                    mailbox.dispatch(Entry::Event(Event::StatusRequest { from }));
                    return Decoded::Gate;
                }
                (Message::SyncReply(sync), Origin::Dialed(from)) => {
                    mailbox.dispatch(Entry::Event(Event::SyncReply { from, sync }));
                    continue;
                }
                (Message::ErrorReply(error), Origin::Dialed(from)) => {
                    mailbox.dispatch(Entry::Event(Event::ErrorReply { from, error }));
                    continue;
                }
                (message, _) => {
                    return Decoded::Broken(WireError::UnexpectedKind(message.kind()));
                }
            },
        };
        c.owed += 1;
        *in_flight += 1;
        mailbox.dispatch(Entry::Event(event));
    }
    Decoded::Gate
}
