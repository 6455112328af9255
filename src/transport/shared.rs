//! What all connections share, and the steps that every way through the transport takes: mark, answer, drain, close.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
};

use ipseity_core::{
    ids::ConnectionId,
    words::{ErrorReply, Grants},
};
use ipseity_frames::FrameDecoder;

use super::{Closure, TransportLimits};
use crate::{
    buffer::BufferPool,
    codec::Replies,
    connection::{
        CloseReason, Connection, ConnectionState, Gate, LinkState, Origin, Place, Resume,
    },
    edge::Socket,
    mailbox::Mailbox,
};

/// All of the transport but the connections themselves.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: TransportLimits,
    /// Goes into the next connection's id.
    serial: u32,
    /// Accepted connections that are not closed.
    pub(super) accepted_open: usize,
    pub(super) accepted_total: u64,
    /// Connections in [`Place::Beyond`], oldest first: whoever leaves that place leaves the list, so nobody is turned
    /// away for one that had the slot before.
    pub(super) reserve: VecDeque<ConnectionId>,
    /// Connections of peers that came in beyond the limit.
    pub(super) promoted: usize,
    /// Open connections that came in beyond the limit, peers among them: they take no client's place.
    pub(super) beyond: usize,
    /// The one decoder; between two reads a connection keeps only what it has begun.
    pub(super) decoder: FrameDecoder,
    pub(super) pool: BufferPool,
    /// Frames decoded and not answered, of all connections.
    pub(super) in_flight: usize,
    pub(super) dirty: Vec<ConnectionId>,
    /// Those that wait because of `in_flight`, in the order in which they came: while anybody stands here, whoever
    /// wants to decode stands behind.
    pub(super) line: Vec<ConnectionId>,
    /// Requests to look that are decoded and not answered, of all connections.
    pub(super) looks_in_flight: usize,
    /// Those that want to look and wait for their turn, in the order in which they came.
    pub(super) look_line: VecDeque<ConnectionId>,
    /// Bytes that waited for all connections after their last flush.
    pub(super) pending_total: usize,
    /// Connections that were closed because of that.
    pub(super) crowded_out: u64,
    /// Connections beyond the limit from which an operator looks.
    pub(super) operators: usize,
    /// Addresses of the peers that were named, as far as they are known.
    pub(super) named: BTreeSet<IpAddr>,
    pub(super) reapable: Vec<ConnectionId>,
    pub(super) closures: Vec<Closure>,
    /// Whether a connection has come under a deadline since the last sweep.
    pub(super) sweep_wanted: bool,
    pub(super) errors: BTreeMap<u16, u64>,
}

impl Shared {
    pub(super) fn new(limits: TransportLimits) -> Shared {
        Shared {
            limits,
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
            line: Vec::new(),
            looks_in_flight: 0,
            look_line: VecDeque::new(),
            pending_total: 0,
            crowded_out: 0,
            operators: 0,
            named: BTreeSet::new(),
            reapable: Vec::new(),
            closures: Vec::new(),
            sweep_wanted: false,
            errors: BTreeMap::new(),
        }
    }

    /// The id of the next connection, which gets this slot.
    pub(super) fn next_id(&mut self, slot: u32) -> ConnectionId {
        let id = ConnectionId::new(slot, self.serial);
        self.serial = self.serial.wrapping_add(1);
        id
    }

    /// What waits for the connection is written at the end of the turn.
    #[inline]
    pub(super) fn mark_dirty<S>(&mut self, c: &mut Connection<S>) {
        if !c.dirty {
            c.dirty = true;
            self.dirty.push(c.id);
        }
    }

    /// Answers requests of the connection with what `answer` gives.
    #[inline(always)]
    pub(super) fn answer<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        answer: impl FnOnce(&mut Replies<'_>),
    ) {
        let is_closed = c.state == ConnectionState::Closed;
        let mut replies = c.replies(&mut self.pool);
        answer(&mut replies);
        let answers = replies.count();
        if is_closed {
            // Nobody is there any more to be answered: the buffers go with what stands in them.
            self.reapable.push(c.id);
        } else {
            self.mark_dirty(c);
        }
        c.owed -= answers;
        self.in_flight -= answers as usize;
        if c.owed == 0 && c.gate != Gate::Open {
            self.open_gate(c);
        }
    }

    #[cold]
    fn open_gate<S>(&mut self, c: &mut Connection<S>) {
        if c.gate == Gate::Looks {
            self.looks_in_flight -= 1;
        }
        c.gate = Gate::Open;
    }

    /// Notes how many bytes wait for the connection now.
    #[inline]
    pub(super) fn count_pending<S: Socket>(&mut self, c: &mut Connection<S>) {
        let pending = c.pending_bytes();
        if pending != c.counted as usize {
            self.pending_total = self.pending_total - c.counted as usize + pending;
            // A reply is shorter than a frame, and few wait above the bound of one connection.
            c.counted = u32::try_from(pending).unwrap_or(u32::MAX);
        }
    }

    /// Reads nothing more from the connection, and closes it when its replies have left.
    pub(super) fn drain<S: Socket>(&mut self, c: &mut Connection<S>) {
        if matches!(c.state, ConnectionState::Open | ConnectionState::Reserve) {
            c.state = ConnectionState::Draining;
            c.keep_input(&[], &mut self.pool);
            self.mark_dirty(c);
        }
    }

    /// Closes the connection now. What was not written is lost.
    pub(super) fn close<S>(&mut self, c: &mut Connection<S>, reason: CloseReason) {
        if c.state == ConnectionState::Closed {
            return;
        }
        c.state = ConnectionState::Closed;
        self.pending_total -= c.counted as usize;
        c.counted = 0;
        if c.origin == Origin::Accepted {
            self.accepted_open -= 1;
        }
        match c.place {
            Place::Regular => {}
            Place::Beyond => {
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
        self.reapable.push(c.id);
        self.closures.push(Closure {
            connection: c.id,
            origin: c.origin,
            is_link: c.link == LinkState::Known,
            reason,
        });
        if c.link == LinkState::Known {
            c.link = LinkState::Leaving;
        }
    }

    /// It spoke like a peer, for whom the reserve is.
    pub(super) fn promote<S>(&mut self, c: &mut Connection<S>) {
        self.leave_reserve(c);
        c.state = ConnectionState::Open;
        c.place = Place::Promoted;
        self.promoted += 1;
    }

    /// An operator looks or operates there, and may do nothing else.
    pub(super) fn let_operator_in<S>(&mut self, c: &mut Connection<S>) {
        self.leave_reserve(c);
        c.state = ConnectionState::Open;
        c.place = Place::Operator;
        c.grants = c.grants.within(Grants::OPERATOR);
        self.operators += 1;
    }

    fn leave_reserve<S>(&mut self, c: &Connection<S>) {
        // bug ReserveNotLeft: return;
        self.reserve.retain(|id| *id != c.id);
    }

    /// Counts an error reply that is sent.
    pub(super) fn count_error(&mut self, error: &ErrorReply) {
        *self.errors.entry(error.code).or_default() += 1;
    }
}

/// Brings the connection back to be read: others have their turn first.
pub(super) fn read_again<S>(c: &mut Connection<S>, mailbox: &mut Mailbox) {
    c.resume = Resume::Mailbox;
    mailbox.dispatch_readable(c.id);
}
