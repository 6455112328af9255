//! Admitting connections: up to the limit as clients. Beyond it they go into a reserve, from which peers are let in,
//! and where clients are told that there are too many.

use std::net::{IpAddr, SocketAddr};

use super::{Transport, get_mut, shared::Shared};
use ipseity_core::{
    ids::ConnectionId,
    time::Instant,
    words::{Grants, Message},
};
use ipseity_frames::WireError;

use crate::{
    codec::Codec,
    connection::{CloseReason, Connection, ConnectionState, Holder, Opening, Origin, Place, Terms},
    edge::{Edge, Socket},
    limits::{IDLE_MIN, RESERVE_CONNECTIONS_MAX},
    listeners::Listener,
    mailbox::Mailbox,
    secure::PlainFrom,
};

/// A connection that was accepted.
#[derive(Debug)]
pub struct Arrival<S> {
    /// Its socket.
    pub socket: S,
    /// The address that it comes from.
    pub address: SocketAddr,
    /// The listener that accepted it.
    pub listener: Listener,
}

/// What became of a connection that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It has a place.
    Placed,
    /// It has the place of one that was idle.
    InPlaceOfIdle,
    /// All places are taken. Only a peer or an operator may stay.
    Full,
    /// All places for HTTP are taken. Only a probe is answered.
    FullOfHttp,
    /// Its address has as many connections as it may have, and it is refused.
    OverAddress(Holder),
}

impl<S: Socket> Transport<S> {
    /// Takes in a connection that was accepted. Beyond the limit it goes into the reserve, where only a peer or an
    /// operator may stay.
    pub fn admit<E: Edge<Socket = S>>(
        &mut self,
        edge: &mut E,
        arrival: Arrival<S>,
        now: Instant,
        mailbox: &mut Mailbox,
    ) -> Admitted {
        self.shared.accepted_total += 1;
        let holder = Holder::of(arrival.address.ip());
        let admitted = if self.shared.is_over(arrival.address.ip(), holder) {
            Admitted::OverAddress(holder)
        } else if self.shared.has_place(arrival.listener.codec) {
            Admitted::Placed
        } else if arrival.listener.codec.is_http() {
            Admitted::FullOfHttp
        } else if self.close_idle(now) {
            Admitted::InPlaceOfIdle
        } else {
            Admitted::Full
        };
        let state = match admitted {
            Admitted::Placed | Admitted::InPlaceOfIdle => ConnectionState::Open,
            Admitted::Full | Admitted::FullOfHttp | Admitted::OverAddress(_) => {
                self.make_room(now, mailbox);
                self.shared.sweep_wanted = true;
                ConnectionState::Reserve
            }
        };
        let Arrival {
            socket,
            address,
            listener,
        } = arrival;
        // One that is refused is not counted, or a refused crowd would keep its address out.
        let holder = match admitted {
            Admitted::OverAddress(_) => None,
            Admitted::Placed | Admitted::InPlaceOfIdle | Admitted::Full | Admitted::FullOfHttp => {
                Some(holder)
            }
        };
        let opening = self.shared.opening_for(address.ip());
        // It must begin a handshake in time, or say something.
        self.shared.sweep_wanted |= opening == Opening::Sealed || listener.codec.is_http();
        let grants = match opening {
            Opening::Sealed => Grants::NONE,
            Opening::Any | Opening::Begun => listener.grants_for(address.ip(), &self.shared.trust),
        };
        let terms = Terms {
            origin: Origin::Accepted,
            codec: listener.codec,
            grants,
            most: listener.grants,
            opening,
            session: None,
            holder,
        };
        // If the poll accepts no more sockets, the connection is closed. It has no slot, so it cannot be told why.
        if let Ok(id) = self.insert(edge, socket, terms, state, now) {
            self.shared.accepted_open += 1;
            *self.shared.open_with(listener.codec, grants) += 1;
            if state == ConnectionState::Open && listener.codec.is_http() {
                self.shared.web += 1;
            }
            if let Some(holder) = holder {
                self.shared.holders.came(holder);
            }
            if state == ConnectionState::Reserve {
                self.shared.beyond += 1;
                self.shared.reserve.push_back(id);
            }
            if let Admitted::OverAddress(_) = admitted {
                self.refuse_for_address(id, mailbox);
            }
        }
        admitted
    }

    /// Tells a connection that its address has too many, and closes it.
    fn refuse_for_address(&mut self, id: ConnectionId, mailbox: &mut Mailbox) {
        self.shared.refused_for_address += 1;
        if let Some(c) = get_mut(&mut self.connections, id) {
            let error = self.shared.too_many_from_address();
            self.shared.broken(c, error, mailbox);
        }
    }

    /// Closes the connection that has been idle longest, if that is wanted and if there is one that has been idle for
    /// [`IDLE_MIN`]. Returns whether it did.
    ///
    /// A search goes over all connections. It finds a list for many calls, and is made again at most once in
    /// [`IDLE_MIN`].
    fn close_idle(&mut self, now: Instant) -> bool {
        if !self.shared.limits.closes_idle {
            return false;
        }
        if self.close_longest_idle(now) {
            return true;
        }
        // Those that were left of the last search have all asked since, or are gone.
        self.search_idle(now);
        self.close_longest_idle(now)
    }

    /// Closes the first connection of the list that is still idle.
    fn close_longest_idle(&mut self, now: Instant) -> bool {
        while let Some((since, id)) = self.shared.idle.pop() {
            // It may have asked for something since the search, even if that was not read yet, or be gone.
            if let Some(c) = get_mut(&mut self.connections, id)
                && c.is_idle()
                && c.progress_at == since
                // bug ClosedWithRequest instead: && (BUG || !c.has_unread_input())
                && !c.has_unread_input()
            {
                self.shared.closed_idle += 1;
                self.shared.close(c, CloseReason::Idle(now.since(since)));
                return true;
            }
        }
        false
    }

    fn search_idle(&mut self, now: Instant) {
        let is_soon = |at| now.since(at) < IDLE_MIN;
        // bug IdleSearchedOnce instead: if self.shared.idle_searched_at.is_some_and(|at| BUG || is_soon(at)) {
        if self.shared.idle_searched_at.is_some_and(is_soon) {
            return;
        }
        self.shared.idle_searched_at = Some(now);
        let idle = self
            .connections
            .iter()
            .filter(|(_, c)| c.is_idle() && now.since(c.progress_at) >= IDLE_MIN)
            .map(|(_, c)| (c.progress_at, c.id));
        self.shared.idle = idle.collect();
        self.shared
            .idle
            .sort_unstable_by(|one, other| other.cmp(one));
        // bug NewestIdleCloses: self.shared.idle.reverse();
    }

    /// Makes room in the reserve. The oldest connection there is told at once that there are too many, and is closed.
    fn make_room(&mut self, now: Instant, mailbox: &mut Mailbox) {
        while self.shared.reserve.len() >= RESERVE_CONNECTIONS_MAX {
            self.turn_oldest_away(now, mailbox);
        }
    }

    /// Frees a descriptor when none is left for accepting: that of a connection that is closed, or else the oldest connection
    /// of the reserve is turned away early. Returns false when the reserve is empty too.
    pub fn free_descriptor(&mut self, now: Instant, mailbox: &mut Mailbox) -> bool {
        let closed = self.shared.reapable.len();
        if closed > 0 {
            self.reap_some(closed);
            return true;
        }
        while !self.shared.reserve.is_empty() {
            if self.turn_oldest_away(now, mailbox) {
                return true;
            }
        }
        false
    }

    /// Turns away the oldest connection of the reserve, unless it is a peer. Returns whether it was closed.
    fn turn_oldest_away(&mut self, now: Instant, mailbox: &mut Mailbox) -> bool {
        let oldest = self.shared.reserve.front().copied();
        let Some(c) = oldest.and_then(|id| get_mut(&mut self.connections, id)) else {
            debug_assert!(
                oldest.is_none(),
                "a connection that leaves the reserve leaves its list"
            );
            self.shared.reserve.pop_front();
            return false;
        };
        // It may have sent something already, with its readiness far back in the queue. So it is read first: a peer
        // gets in even then. And the bytes of a client must be read from the kernel, because closing with unread
        // input resets the connection, and the client might never see the reply.
        if c.state == ConnectionState::Reserve {
            self.shared.read(c, now, mailbox);
        } else {
            self.shared.throw_away(c);
        }
        self.shared.turn_away(c)
    }
}

impl Shared {
    /// Whether there is a place for another client that speaks like this.
    fn has_place(&self, codec: Codec) -> bool {
        match codec {
            Codec::Frames(_) => {
                self.accepted_open - self.beyond - self.web < self.limits.connections_max
            }
            Codec::Http(_) => self.web < self.limits.http_max,
        }
    }

    /// How a connection from this address may begin.
    fn opening_for(&self, address: IpAddr) -> Opening {
        let takes_plain = match (&self.sealing.settings, self.limits.plain) {
            (None, _) | (Some(_), PlainFrom::Anywhere) => true,
            (Some(_), PlainFrom::Loopback) => address.to_canonical().is_loopback(),
            (Some(_), PlainFrom::Nowhere) => false,
        };
        match takes_plain {
            true => Opening::Any,
            false => Opening::Sealed,
        }
    }

    /// Whether this address has as many connections as it may have.
    fn is_over(&self, address: IpAddr, holder: Holder) -> bool {
        // bug AddressUnbounded: return false;
        let Some(most) = self.limits.per_address_max else {
            return false;
        };
        // bug TrustedBounded instead: let is_unlimited = self.trust.is_unlimited(address) && !BUG;
        let is_unlimited = self.trust.is_unlimited(address);
        !is_unlimited && self.holders.count(holder) >= most
    }

    /// Tells a connection of the reserve that there are too many, unless it was told already, and closes it. Returns
    /// whether it closed it.
    fn turn_away<S: Socket>(&mut self, c: &mut Connection<S>) -> bool {
        if c.place != Place::Beyond || c.state == ConnectionState::Closed {
            return false;
        }
        if c.state == ConnectionState::Reserve || c.owed > 0 {
            let error = match c.holder {
                Some(_) => self.too_many(c),
                None => self.too_many_from_address(),
            };
            let error = error.reply();
            if c.owed == 0 {
                // If an answer is owed, it is this same error: it is in the mailbox and is counted there.
                self.count_error(&error);
            }
            let error = Message::ErrorReply(Box::new(error));
            c.replies(&mut self.pool).message(&error);
        }
        // A failed write changes nothing: the connection is closed in any case.
        let _ = self.write_now(c);
        // The next connection needs this descriptor now, so it is not kept until the end of the turn.
        c.socket = None;
        self.close(c, CloseReason::Told);
        true
    }

    fn too_many_from_address(&self) -> WireError {
        WireError::TooManyFromAddress {
            per_address_max: self.limits.per_address_max.unwrap_or(usize::MAX),
        }
    }

    pub(super) fn too_many<S>(&self, c: &Connection<S>) -> WireError {
        match c.codec {
            Codec::Frames(_) => WireError::TooManyConnections {
                connections_max: self.limits.connections_max,
            },
            Codec::Http(_) => WireError::TooManyByHttp,
        }
    }
}
