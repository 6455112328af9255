//! All connections: the `Slab` that holds them, and how they are read, decoded, written, closed and reaped.
//!
//! It moves bytes and decides nothing about identities. What it decodes goes into the mailbox, and what it sends was
//! given to it. It may import `codec`, `connection`, `edge`, `listeners`, `mailbox`, `trust`, the errors of `frames`, the
//! events of `actor` and `limits`.
//!
//! Four rules that a reader should know:
//!
//! - The poll reports each readiness only once. Code that stops reading before the socket is empty must set what
//!   starts reading again: a readiness of our own, the flush when there is room, or one of the lines of waiting
//!   connections (`Resume`).
//! - Replies are written at the end of the turn. All replies of a connection leave in one write.
//! - Nothing is freed while it is being handled. A connection is marked `Closed` and reaped at the end of the turn.
//!   Its slot is freed when it is owed no answer and nothing names it any more.
//! - A connection holds buffers only while there is something in them.

mod admission;
mod decoding;
mod handshakes;
mod holders;
mod parting;
mod pulling;
mod reading;
mod reserve;
mod sealing;
mod shared;
mod sweeping;
mod writing;

use std::{collections::BTreeMap, io, net::IpAddr, sync::Arc, time::Duration};

use ipseity_core::{
    actor::Ahead,
    identity::Identity,
    ids::{ConnectionId, NameId, PeerId},
    time::Instant,
    words::{ErrorCode, GrantCounts, Grants, Message},
};
use ipseity_frames::Receiver;
use ipseity_http::HostNames;
use slab::Slab;

pub use self::{
    admission::{Admitted, Arrival, Freed},
    handshakes::{Handshakes, Rechecked},
};
use self::{holders::Holders, shared::Shared};

use crate::{
    codec::{Codec, Replies},
    connection::{
        CloseReason, Connection, ConnectionState, Holder, LinkState, Opening, Origin, Terms,
    },
    edge::{Edge, Socket},
    limits::{ENDINGS_PER_TURN, READ_BYTES_MAX},
    mailbox::{Mailbox, Readiness},
    secure::{Dialing, PlainFrom, Settings},
    trust::TrustOptions,
};

/// Limits that an operator can set.
#[derive(Clone, Debug)]
pub struct TransportLimits {
    /// The most accepted connections.
    pub connections_max: usize,
    /// The most accepted connections by HTTP. They are not counted among the others.
    pub http_max: usize,
    /// The most accepted connections from one address ([`Holder`]); `None` is no limit. Loopback, and the addresses
    /// of peers and operators, are exempt.
    pub per_address_max: Option<usize>,
    /// When all places are taken, the connection that has been idle longest makes room for a new one.
    pub closes_idle: bool,
    /// The most bytes read from one connection at a time, at most [`READ_BYTES_MAX`]. A simulation makes it smaller,
    /// so that reads end at every possible place.
    pub read_bytes_max: usize,
    /// Bytes of replies that may wait for one connection. At this bound nothing more is read from it.
    pub pending_bytes_max: usize,
    /// Bytes of memory that the waiting replies of all connections together may take. Above it connections are closed:
    /// first those that have read nothing for longest, and among equals those with the most waiting bytes.
    pub pending_bytes_total: usize,
    /// How long a connection may be idle; `None` means for ever.
    pub idle_timeout: Option<Duration>,
    /// Whom it believes, by the address.
    pub trust: TrustOptions,
    /// Where connections without TLS are taken from, if the server offers TLS.
    pub plain: PlainFrom,
    /// How the server may be called in requests by HTTP.
    pub hosts: HostNames,
}

/// What became of the requests for identities that came by HTTP, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByHttp {
    /// Those that were answered with identities.
    pub answered: u64,
    /// Those that were answered with an error.
    pub refused: u64,
    /// The identities.
    pub identities: u64,
}

/// A connection that was closed in this turn and has to be reported to the server.
#[derive(Debug)]
pub struct Closure {
    /// The connection that was closed.
    pub connection: ConnectionId,
    /// Which side began it.
    pub origin: Origin,
    /// Whether the actor knows it as a link to a peer that connected to this server.
    pub is_link: bool,
    /// Whether it is owed answers.
    pub is_owed: bool,
    /// Why it was closed.
    pub reason: CloseReason,
}

/// What a readiness led to, apart from bytes that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readied {
    /// Nothing else.
    Nothing,
    /// A connection to a peer is now established.
    Connected(PeerId),
}

/// The result of marking a connection as a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// The closure of this connection reports the link, or has already done so.
    Known,
    /// The connection was already closed, and its closure did not mention a link. The actor still has to be told that
    /// the link is gone.
    Late,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Transport<S> {
    connections: Slab<Connection<S>>,
    /// Everything else. A connection is looked up once, where the transport is entered. Inside, functions take the
    /// connection and this.
    shared: Shared,
}

impl<S: Socket> Transport<S> {
    /// A transport without connections. With `tls`, connections may begin with a TLS handshake.
    pub fn new(limits: TransportLimits, tls: Option<Arc<Settings>>) -> Transport<S> {
        assert!(
            (1..=READ_BYTES_MAX).contains(&limits.read_bytes_max),
            "what is read at a time fits the decoder"
        );
        Transport {
            // Room for all, so that the list never moves: while it grows, it leaves holes. The system gives memory only
            // for the part that is used.
            connections: Slab::with_capacity(limits.connections_max),
            shared: Shared::new(limits, tls),
        }
    }

    /// The limits that the operator has set.
    pub fn limits(&self) -> &TransportLimits {
        &self.shared.limits
    }

    /// Accepted connections that are open.
    pub fn accepted_open(&self) -> usize {
        self.shared.accepted_open
    }

    /// The same, by codec and by what the connections may do.
    pub fn open_by(&self) -> &[GrantCounts; Codec::NAMES.len()] {
        &self.shared.open_by
    }

    /// What became of the requests for identities that came by HTTP.
    pub fn by_http(&self) -> ByHttp {
        self.shared.by_http
    }

    /// Connections accepted since the start.
    pub fn accepted_total(&self) -> u64 {
        self.shared.accepted_total
    }

    /// The address with the most accepted connections that speak frames, and the next one, each with its count.
    pub fn holders(&self) -> Vec<(Holder, usize)> {
        self.shared.holders.most_without(&self.shared.web_holders)
    }

    /// The same of those that speak HTTP. They have places of their own.
    pub fn web_holders(&self) -> Vec<(Holder, usize)> {
        self.shared.web_holders.most_without(&Holders::default())
    }

    /// Error replies sent, by code.
    pub fn errors(&self) -> &BTreeMap<u16, u64> {
        &self.shared.errors
    }

    /// Frames that are decoded and not answered yet.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight
    }

    /// Whether the server makes a client wait whose requests may have arrived: it has to read replies first, or others have
    /// their turn. This looks at every connection.
    pub fn has_held_up(&self) -> bool {
        let mut all = self.connections.iter();
        all.any(|(_, c)| c.origin == Origin::Accepted && c.is_read() && c.is_held_up())
    }

    /// Bytes of replies that wait to be written, for all connections together, with what the kernel holds for those.
    pub fn pending_bytes(&self) -> usize {
        self.shared.pending_total
    }

    /// Connections that were closed because too many bytes waited for all connections.
    pub fn crowded_out(&self) -> u64 {
        self.shared.crowded_out
    }

    /// Connections that were refused because their address had as many as it may have.
    pub fn refused_for_address(&self) -> u64 {
        self.shared.refused_for_address
    }

    /// Idle connections that were closed to make room for others.
    pub fn closed_idle(&self) -> u64 {
        self.shared.closed_idle
    }

    /// What the other end of the connection may do.
    pub fn grants(&self, connection: ConnectionId) -> Grants {
        self.get(connection).map_or(Grants::NONE, |c| c.grants)
    }

    /// Notes the addresses of a name in `--peer`, as a lookup has found them. It counts for the connections that are
    /// accepted from now on.
    pub fn note_named(&mut self, name: NameId, addresses: impl IntoIterator<Item = IpAddr>) {
        self.shared.trust.note_named(name, addresses);
    }

    /// The address that an accepted connection comes from, as text for people.
    pub fn address(&self, connection: ConnectionId) -> String {
        let c = self.get(connection);
        let kept = self.shared.addresses.get(&connection).copied();
        let asked = || c?.peer_address();
        kept.or_else(asked)
            .map_or_else(address_that_is_gone, |address| address.to_string())
    }

    /// Notes which requests are ahead of the counter and may have to wait for the disk alone. It may be a little out of
    /// date, because both numbers in it only grow.
    #[inline(always)]
    pub fn note_ahead(&mut self, ahead: Ahead) {
        self.shared.ahead = ahead;
    }

    /// Takes in a connection that is being dialed. With `dialing`, it speaks TLS.
    ///
    /// # Errors
    /// The poll accepts no more sockets.
    pub fn dial<E: Edge<Socket = S>>(
        &mut self,
        edge: &mut E,
        socket: S,
        peer: PeerId,
        dialing: Option<Dialing>,
        now: Instant,
    ) -> io::Result<ConnectionId> {
        self.shared.sweep_wanted = true;
        let renewals = self.shared.sealing.renewals;
        self.insert(
            edge,
            socket,
            Terms {
                origin: Origin::Dialed(peer),
                codec: Codec::Frames(Receiver::Dialer),
                // A dialed peer answers and asks for nothing.
                grants: Grants::NONE,
                most: Grants::NONE,
                opening: Opening::Begun,
                session: dialing.map(|Dialing(session)| Box::new(session.made_after(renewals))),
                holder: None,
            },
            ConnectionState::Connecting,
            now,
        )
    }

    fn insert<E: Edge<Socket = S>>(
        &mut self,
        edge: &mut E,
        mut socket: S,
        terms: Terms,
        state: ConnectionState,
        now: Instant,
    ) -> io::Result<ConnectionId> {
        let vacant = self.connections.vacant_entry();
        let slot =
            u32::try_from(vacant.key()).expect("limits.rs keeps slots within a connection id");
        let id = self.shared.next_id(slot);
        edge.register(&mut socket, id)?;
        vacant.insert(Connection::new(id, socket, terms, state, now));
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
        let Some(c) = get_mut(&mut self.connections, id) else {
            return Readied::Nothing;
        };
        // Nearly every readiness comes from a client that waits for nothing and asks for identities.
        if self.shared.read_at_rest(c, readiness, now, mailbox) {
            Readied::Nothing
        } else {
            let readied = self.shared.on_ready(c, readiness, now, mailbox);
            self.keep_bound(now);
            readied
        }
    }

    /// With TLS, what was read may be held, and many can send something in one turn. So the bound over all connections is kept
    /// after each of them.
    #[cold]
    #[inline(never)]
    fn keep_bound(&mut self, now: Instant) {
        if self.shared.is_crowded() {
            self.crowd_out(now);
        }
    }

    /// Whether the connection was closed.
    pub fn is_closed(&self, id: ConnectionId) -> bool {
        self.get(id)
            .is_some_and(|c| c.state == ConnectionState::Closed)
    }

    /// Drops a request of a connection that was closed before it was handled.
    pub fn drop_request(&mut self, of: ConnectionId) {
        if let Some(c) = get_mut(&mut self.connections, of) {
            debug_assert_eq!(c.state, ConnectionState::Closed);
            self.shared.settle(c, 1);
        }
    }

    /// Nothing of a closed connection waits for an answer any more.
    pub fn forget(&mut self, id: ConnectionId) {
        if let Some(c) = get_mut(&mut self.connections, id) {
            debug_assert_eq!(c.state, ConnectionState::Closed);
            self.shared.forget(c);
        }
    }

    /// Answers one frame that was decoded from `to`.
    pub fn reply(&mut self, to: ConnectionId, message: &Message) {
        let Some((c, shared)) = self.owed(to) else {
            return;
        };
        if let Message::ErrorReply(error) = message {
            shared.count_error(error);
            // Where it may not ask for any, the actor has counted nothing either.
            let is_denied = error.code == ErrorCode::NotTrusted.get();
            if !is_denied && c.codec.asks_for_identities_by_http() {
                shared.by_http.refused += 1;
            }
        }
        shared.answer(c, |replies, _| replies.message(message));
    }

    /// Answers with an identityReply.
    pub fn reply_identities(&mut self, to: ConnectionId, first: Identity, count: u32) {
        let Some((c, shared)) = self.owed(to) else {
            return;
        };
        if c.codec.asks_for_identities_by_http() {
            shared.by_http.answered += 1;
            shared.by_http.identities += u64::from(count);
        }
        shared.answer(c, |replies, _| replies.identities(first, count));
    }

    /// Answers requests that were decoded from `to` with the replies that `answer` writes. It is told how many are owed:
    /// so many are in the mailbox or wait for the disk. If the connection is closed, one request is dropped instead.
    #[inline(always)]
    pub fn answer(&mut self, to: ConnectionId, answer: impl FnOnce(&mut Replies<'_>, usize)) {
        if let Some((c, shared)) = self.owed(to) {
            shared.answer(c, answer);
        }
    }

    /// The connection that is owed an answer, and everything else.
    #[inline(always)]
    fn owed(&mut self, to: ConnectionId) -> Option<(&mut Connection<S>, &mut Shared)> {
        let c = get_mut(&mut self.connections, to);
        debug_assert!(
            c.is_some(),
            "a slot is held until its connection is owed nothing"
        );
        Some((c?, &mut self.shared))
    }

    /// Sends a message that is not an answer.
    pub fn send(&mut self, to: ConnectionId, message: &Message) {
        if let Some(c) = get_mut(&mut self.connections, to)
            && c.state == ConnectionState::Open
        {
            c.replies(&mut self.shared.pool).message(message);
            self.shared.mark_dirty(c);
        }
    }

    /// Reads nothing more from a connection, and closes it when its replies have left.
    pub fn drain(&mut self, id: ConnectionId) {
        if let Some(c) = get_mut(&mut self.connections, id) {
            self.shared.drain(c);
        }
    }

    /// Reads nothing more from any connection.
    pub fn drain_all(&mut self) {
        for (_, c) in &mut self.connections {
            self.shared.drain(c);
        }
    }

    /// Marks this connection as a link to a peer that the actor knows. Its slot is held until
    /// [`release_link`](Self::release_link).
    pub fn set_link(&mut self, id: ConnectionId, mailbox: &mut Mailbox) -> Linked {
        let Some(c) = get_mut(&mut self.connections, id) else {
            debug_assert!(false, "a slot is held while its request is handled");
            return Linked::Known;
        };
        match c.link {
            LinkState::Unknown if c.state == ConnectionState::Closed => {
                c.link = LinkState::Leaving;
                Linked::Late
            }
            LinkState::Unknown => {
                if let Some(socket) = &c.socket {
                    socket.watch();
                }
                c.link = LinkState::Known;
                self.shared.hear_words(c, mailbox);
                Linked::Known
            }
            LinkState::Known | LinkState::Leaving => Linked::Known,
        }
    }

    /// The actor has handled the loss of the link, and nothing names it any more.
    pub fn release_link(&mut self, id: ConnectionId) {
        if let Some(c) = get_mut(&mut self.connections, id) {
            debug_assert_eq!(c.link, LinkState::Leaving);
            c.link = LinkState::Unknown;
            self.shared.reapable.push_back(id);
        }
    }

    /// Closes a connection now. Replies that are not written yet are lost.
    pub fn close(&mut self, id: ConnectionId, reason: CloseReason) {
        if let Some(c) = get_mut(&mut self.connections, id) {
            self.shared.close(c, reason);
        }
    }

    /// Whether any connection was closed and not reported yet.
    #[inline]
    pub fn has_closures(&self) -> bool {
        !self.shared.closures.is_empty()
    }

    /// The next connection that was closed and not reported yet.
    pub fn take_closure(&mut self) -> Option<Closure> {
        self.shared.closures.pop()
    }

    /// Frees the sockets of closed connections, and the slots of those that are owed no answer. This is the last step
    /// of a turn. Where there are many, some are left to the next ones, a quarter or more in each.
    pub fn reap(&mut self) {
        if !self.shared.reapable.is_empty() {
            self.reap_some(ENDINGS_PER_TURN.max(self.shared.reapable.len() / 4));
        }
    }

    /// Frees at most so many. See [`reap`](Self::reap). Returns whether one of them still had its socket.
    pub(super) fn reap_some(&mut self, most: usize) -> bool {
        let mut had_socket = false;
        for _ in 0..most {
            let Some(id) = self.shared.reapable.pop_front() else {
                break;
            };
            let Some(c) = get_mut(&mut self.connections, id) else {
                continue;
            };
            had_socket |= c.socket.take().is_some();
            // bug StaleToken instead: if !c.is_held() || BUG {
            if !c.is_held() {
                self.connections.remove(id.slot());
                self.shared.addresses.remove(&id);
            }
        }
        had_socket
    }

    /// Dispatches a readiness for every open connection, so that a server that stops reads what has arrived.
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

/// What people are shown when a connection is gone and its address is not known any more.
fn address_that_is_gone() -> String {
    "an address that is not known any more".to_owned()
}

/// The connection with this id. `None` if the slot belongs to another one by now.
#[inline]
fn get_mut<S>(
    connections: &mut Slab<Connection<S>>,
    id: ConnectionId,
) -> Option<&mut Connection<S>> {
    // bug StaleToken: return connections.get_mut(id.slot());
    connections.get_mut(id.slot()).filter(|c| c.id == id)
}
