//! What all connections share, and the steps that every path through the transport uses: mark, answer, drain, close.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use ipseity_core::{
    actor::Ahead,
    ids::ConnectionId,
    time::Instant,
    words::{ErrorReply, GrantCounts, Grants},
};
use ipseity_frames::FrameDecoder;

use super::{
    ByHttp, Closure, TransportLimits, handshakes::Sealing, holders::Holders, parting::Parting,
    reserve::Reserve,
};
use crate::{
    buffer::BufferPool,
    codec::{Codec, Replies},
    connection::{
        CloseReason, Connection, ConnectionState, Gate, LinkState, Origin, Place, Resume,
    },
    edge::Socket,
    limits::{FRAMES_IN_FLIGHT_MAX, LOOKS_IN_FLIGHT_MAX},
    mailbox::Mailbox,
    secure::Settings,
    trust::Trust,
};

/// Everything in the transport except the connections themselves.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: TransportLimits,
    /// Becomes part of the next connection's id.
    serial: u32,
    /// Accepted connections that are not closed.
    pub(super) accepted_open: usize,
    pub(super) accepted_total: u64,
    /// The same as `accepted_open`, by codec and by what the connections may do.
    pub(super) open_by: [GrantCounts; Codec::NAMES.len()],
    /// The addresses of peers, and of connections with TLS. They are kept because a socket forgets its own when it is
    /// reset. Few connections need that, so it is not kept with them.
    pub(super) addresses: BTreeMap<ConnectionId, SocketAddr>,
    /// Who holds the accepted connections.
    pub(super) holders: Holders,
    /// Who holds those of them that speak HTTP.
    pub(super) web_holders: Holders,
    /// Connections that were refused because their address had as many as it may have.
    pub(super) refused_for_address: u64,
    /// Idle connections that were closed to make room.
    pub(super) closed_idle: u64,
    /// Connections that were idle at the last search, and since when, the longest idle last; and when that search was.
    pub(super) idle: Vec<(Instant, ConnectionId)>,
    pub(super) idle_searched_at: Option<Instant>,
    /// Connections in [`Place::Beyond`].
    pub(super) reserve: Reserve,
    /// Connections in [`Place::WebBeyond`].
    pub(super) web_reserve: Reserve,
    /// Connections of peers that came in beyond the limit.
    pub(super) promoted: usize,
    /// Open connections that came in beyond the limit, including peers. They do not use up places for clients.
    pub(super) beyond: usize,
    /// The only decoder. Between two reads a connection keeps only the frame that it has begun.
    pub(super) decoder: FrameDecoder,
    pub(super) pool: BufferPool,
    pub(super) sealing: Sealing,
    /// Frames of all connections that are decoded and not answered yet.
    pub(super) in_flight: usize,
    /// How many there may be: [`FRAMES_IN_FLIGHT_MAX`], and one more for each connection with a request that may wait
    /// alone ([`Gate::Alone`]). Such a request may wait for as long as the disk takes. If it took the room of others, they
    /// would wait for the disk too.
    pub(super) frames_max: usize,
    /// Which requests may wait alone.
    pub(super) ahead: Ahead,
    pub(super) dirty: Vec<ConnectionId>,
    /// Connections that wait because of `in_flight`, in the order in which they came. While any connection waits
    /// here, every other one that wants to decode joins the end. See [`Transport::serve_line`](super::Transport).
    pub(super) line: VecDeque<ConnectionId>,
    /// Requests to look, of all connections, that are decoded and not answered yet.
    pub(super) looks_in_flight: usize,
    /// How many more of them may be decoded before the next flush. It is zero while any connection waits in the line:
    /// otherwise clients that look again and again would take every turn.
    pub(super) looks_left: usize,
    /// Connections that wait for their turn to look, in the order in which they came.
    pub(super) look_line: VecDeque<ConnectionId>,
    /// Bytes of replies of all connections that were left after their last flush, with what the kernel holds for those.
    pub(super) pending_total: usize,
    /// Connections that were closed because `pending_total` was too high.
    pub(super) crowded_out: u64,
    /// Connections beyond the limit that are used by an operator.
    pub(super) operators: usize,
    /// Connections within the limit that speak HTTP.
    pub(super) web: usize,
    pub(super) by_http: ByHttp,
    /// Whom the server believes, by the address.
    pub(super) trust: Trust,
    pub(super) reapable: VecDeque<ConnectionId>,
    /// Connections on which nothing is left to do, and that have to be ended. Some may be closed already.
    pub(super) ending: VecDeque<ConnectionId>,
    /// Connections that may hold more of what is dropped. Some may be closed already.
    pub(super) discarding: VecDeque<ConnectionId>,
    pub(super) closures: Vec<Closure>,
    pub(super) parting: Parting,
    /// Whether a connection has come under a deadline since the last sweep.
    pub(super) sweep_wanted: bool,
    pub(super) errors: BTreeMap<u16, u64>,
}

impl Shared {
    pub(super) fn new(limits: TransportLimits, tls: Option<Arc<Settings>>) -> Shared {
        let trust = Trust::new(limits.trust.clone());
        Shared {
            limits,
            serial: 0,
            accepted_open: 0,
            accepted_total: 0,
            open_by: [GrantCounts::default(); _],
            addresses: BTreeMap::new(),
            holders: Holders::default(),
            web_holders: Holders::default(),
            refused_for_address: 0,
            closed_idle: 0,
            idle: Vec::new(),
            idle_searched_at: None,
            reserve: Reserve::default(),
            web_reserve: Reserve::default(),
            promoted: 0,
            beyond: 0,
            decoder: FrameDecoder::new(),
            pool: BufferPool::default(),
            sealing: Sealing::new(tls),
            in_flight: 0,
            frames_max: FRAMES_IN_FLIGHT_MAX,
            ahead: Ahead::NOTHING_KNOWN,
            dirty: Vec::new(),
            line: VecDeque::new(),
            looks_in_flight: 0,
            looks_left: LOOKS_IN_FLIGHT_MAX,
            look_line: VecDeque::new(),
            pending_total: 0,
            crowded_out: 0,
            operators: 0,
            web: 0,
            by_http: ByHttp::default(),
            trust,
            reapable: VecDeque::new(),
            ending: VecDeque::new(),
            discarding: VecDeque::new(),
            closures: Vec::new(),
            parting: Parting::default(),
            sweep_wanted: false,
            errors: BTreeMap::new(),
        }
    }

    /// A new id for the connection that gets this slot.
    pub(super) fn next_id(&mut self, slot: u32) -> ConnectionId {
        let id = ConnectionId::new(slot, self.serial);
        self.serial = self.serial.wrapping_add(1);
        id
    }

    /// Marks the connection to be written at the end of the turn.
    #[inline]
    pub(super) fn mark_dirty<S>(&mut self, c: &mut Connection<S>) {
        if !c.dirty {
            c.dirty = true;
            self.dirty.push(c.id);
        }
    }

    /// Answers requests of the connection with the replies that `answer` writes. It is told how many are owed.
    #[inline(always)]
    pub(super) fn answer<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        answer: impl FnOnce(&mut Replies<'_>, usize),
    ) {
        if c.state == ConnectionState::Closed {
            return self.settle(c, 1);
        }
        let owed = c.owed as usize;
        let mut replies = c.replies(&mut self.pool);
        answer(&mut replies, owed);
        let answers = replies.count();
        self.mark_dirty(c);
        c.owed -= answers;
        self.in_flight -= answers as usize;
        if c.gate != Gate::Open {
            self.answered_at_gate(c);
        }
    }

    /// A closed connection is no longer owed this many answers: nobody is left to read them.
    #[cold]
    pub(super) fn settle<S: Socket>(&mut self, c: &mut Connection<S>, answers: u32) {
        c.owed -= answers;
        self.in_flight -= answers as usize;
        if c.owed == 0 {
            self.reapable.push_back(c.id);
        }
        if c.gate != Gate::Open {
            self.answered_at_gate(c);
        }
    }

    /// See [`Transport::forget`](super::Transport::forget).
    pub(super) fn forget<S: Socket>(&mut self, c: &mut Connection<S>) {
        c.is_leaving = false;
        self.settle(c, c.owed);
    }

    /// The gate opens when everything is answered.
    #[cold]
    fn answered_at_gate<S: Socket>(&mut self, c: &mut Connection<S>) {
        if c.owed > 0 {
            return;
        }
        match c.gate {
            Gate::Looks => self.looks_in_flight -= 1,
            Gate::Alone => self.frames_max -= 1,
            Gate::Open | Gate::Shut | Gate::Words => {}
        }
        c.gate = Gate::Open;
        // bug LastAnswerLost: if c.codec.ends_with_answer() { return self.close(c, CloseReason::Told); }
        // bug CloseIgnored instead: if c.codec.ends_with_answer() && !BUG {
        if c.codec.ends_with_answer() {
            self.drain(c);
        }
    }

    /// The request that was decoded last may wait alone for the disk. Nothing more is decoded before it is answered, and
    /// it takes no room from others. So whoever asks for such things holds up only himself.
    #[cold]
    pub(super) fn let_wait_alone<S>(&mut self, c: &mut Connection<S>) {
        debug_assert_eq!(c.gate, Gate::Open);
        c.gate = Gate::Alone;
        self.frames_max += 1;
    }

    /// How many more frames may be decoded.
    #[inline(always)]
    pub(super) fn room(&self) -> usize {
        self.frames_max.saturating_sub(self.in_flight)
    }

    /// Whether too much memory holds what waits in all connections.
    #[inline]
    pub(super) fn is_crowded(&self) -> bool {
        self.pending_total > self.limits.pending_bytes_total
    }

    /// Updates how much memory holds replies that wait for the connection, here and in the kernel, and what TLS holds of what
    /// it has sent.
    #[inline]
    pub(super) fn count_pending<S: Socket>(&mut self, c: &mut Connection<S>) {
        let held = || c.socket.as_ref().map_or(0, Socket::held_bytes);
        // If anything waits here, the kernel's buffers are full.
        let replies = match c.pending_room() {
            0 => 0,
            room => room + held(),
        };
        let sealed = match &c.session {
            Some(session) => session.held_bytes(),
            // It waits for its turn to begin a handshake.
            None if !c.opening.is_decided() => c.input().len(),
            None => 0,
        };
        let pending = replies + sealed;
        if pending != c.counted as usize {
            self.pending_total = self.pending_total - c.counted as usize + pending;
            // A reply is shorter than a frame, so little can wait above the bound of one connection, and this fits even
            // in a buffer that has doubled.
            c.counted = u32::try_from(pending).unwrap_or(u32::MAX);
        }
    }

    /// Reads nothing more from the connection, and closes it when its replies are written.
    pub(super) fn drain<S: Socket>(&mut self, c: &mut Connection<S>) {
        if c.is_read() {
            c.go_on_to(ConnectionState::Draining);
            c.keep_input(&[], &mut self.pool);
            self.mark_dirty(c);
        }
    }

    /// Closes the connection now. Replies that are not written yet are lost.
    pub(super) fn close<S>(&mut self, c: &mut Connection<S>, mut reason: CloseReason) {
        if c.state == ConnectionState::Closed {
            return;
        }
        // Where the dial itself has failed, no handshake has begun.
        if c.session.is_some() && !matches!(reason, CloseReason::Dial(_)) {
            self.session_over(c);
            // That it was told is the least of it.
            if let Some(why) = c.session.as_mut().and_then(|session| session.take_fault()) {
                reason = CloseReason::Tls(why);
            }
        }
        c.go_on_to(ConnectionState::Closed);
        // The slot is freed in its turn. What was counted is gone at once.
        if let Some(mut buffers) = c.buffers.take() {
            buffers.clear();
            self.pool.put(buffers);
        }
        self.pending_total -= c.counted as usize;
        c.counted = 0;
        if c.origin == Origin::Accepted {
            self.accepted_open -= 1;
            *self.open_with(c.codec, c.grants) -= 1;
        }
        // bug HolderNotLeft instead: if let Some(holder) = c.holder.filter(|_| !BUG) {
        if let Some(holder) = c.holder {
            self.holders.left(holder);
            if let Place::Web | Place::WebBeyond = c.place {
                self.web_holders.left(holder);
            }
        }
        match c.place {
            Place::Regular => {}
            Place::Web => self.web -= 1,
            Place::Beyond | Place::WebBeyond => {
                self.beyond -= 1;
                self.leave_reserve(c);
            }
            Place::Promoted => {
                self.beyond -= 1;
                self.promoted -= 1;
            }
            Place::Operator => {
                self.beyond -= 1;
                self.operators -= 1;
            }
        }
        self.reapable.push_back(c.id);
        self.closures.push(Closure {
            connection: c.id,
            origin: c.origin,
            is_link: c.link == LinkState::Known,
            is_owed: c.owed > 0,
            reason,
        });
        c.is_leaving = c.owed > 0;
        if c.link == LinkState::Known {
            c.link = LinkState::Leaving;
        }
    }

    /// Closes a connection that does not read its replies, and drops what the kernel still holds of them.
    pub(super) fn close_unread<S: Socket>(&mut self, c: &mut Connection<S>, reason: CloseReason) {
        if let Some(socket) = &c.socket {
            socket.discard();
        }
        self.close(c, reason);
    }

    /// Notes the address of the other side, for log lines that come when the socket has forgotten it.
    pub(super) fn keep_address<S: Socket>(&mut self, c: &Connection<S>) {
        if let Some(address) = c.peer_address() {
            self.addresses.entry(c.id).or_insert(address);
        }
    }

    /// The connection spoke like a peer, and the reserve is kept for peers.
    pub(super) fn promote<S>(&mut self, c: &mut Connection<S>) {
        self.leave_reserve(c);
        c.go_on_to(ConnectionState::Open);
        c.place = Place::Promoted;
        self.promoted += 1;
    }

    /// The connection is used by an operator and may do nothing else.
    pub(super) fn let_operator_in<S>(&mut self, c: &mut Connection<S>) {
        self.leave_reserve(c);
        c.go_on_to(ConnectionState::Open);
        c.place = Place::Operator;
        self.set_grants(c, c.grants.within(Grants::OPERATOR));
        self.operators += 1;
    }

    fn leave_reserve<S>(&mut self, c: &Connection<S>) {
        match c.place {
            Place::WebBeyond => self.web_reserve.left(c.id),
            _ => self.reserve.left(c.id),
        }
    }

    /// How many accepted connections are open that have this codec and these grants.
    pub(super) fn open_with(&mut self, codec: Codec, grants: Grants) -> &mut u32 {
        self.open_by[codec.kind()].of(grants)
    }

    /// From now on the connection speaks like this.
    pub(super) fn set_codec<S>(&mut self, c: &mut Connection<S>, codec: Codec) {
        *self.open_with(c.codec, c.grants) -= 1;
        *self.open_with(codec, c.grants) += 1;
        c.codec = codec;
    }

    /// From now on the connection may do this.
    pub(super) fn set_grants<S>(&mut self, c: &mut Connection<S>, grants: Grants) {
        if c.origin == Origin::Accepted && c.state != ConnectionState::Closed {
            *self.open_with(c.codec, c.grants) -= 1;
            *self.open_with(c.codec, grants) += 1;
        }
        c.grants = grants;
    }

    /// Counts an error reply that is sent.
    pub(super) fn count_error(&mut self, error: &ErrorReply) {
        *self.errors.entry(error.code).or_default() += 1;
    }
}

/// Dispatches a readiness for the connection, so that it is read again after the others had their turn.
pub(super) fn read_again<S>(c: &mut Connection<S>, mailbox: &mut Mailbox) {
    c.resume = Resume::Mailbox;
    mailbox.dispatch_readable(c.id);
}
