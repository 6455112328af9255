//! Admitting connections: up to the limit as clients. Beyond it they go into a reserve, from which peers are let in,
//! and where clients are told that there are too many.

use std::net::{IpAddr, SocketAddr};

use super::{
    Transport, get_mut,
    reserve::{Reserve, Stage},
    shared::Shared,
};
use ipseity_core::{
    ids::ConnectionId,
    time::Instant,
    words::{Grants, Message},
};
use ipseity_frames::WireError;

use crate::{
    codec::Codec,
    connection::{CloseReason, Connection, ConnectionState, Holder, Opening, Origin, Terms},
    edge::{Edge, Socket},
    limits::{IDLE_MIN, RESERVE_CONNECTIONS_MAX, RESERVE_HTTP_MAX},
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

/// Whether there is a descriptor for the next connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freed {
    /// One was freed.
    Now,
    /// Some will be free as soon as their connections were answered.
    Soon,
    /// There is none to free.
    Nothing,
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
    /// Its address has as many connections as it may have. It is refused, but a probe is answered.
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
        let counted = match admitted {
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
            Opening::Any | Opening::Begun | Opening::Spoken => {
                listener.grants_for(address.ip(), &self.shared.trust)
            }
        };
        let terms = Terms {
            origin: Origin::Accepted,
            codec: listener.codec,
            grants,
            most: listener.grants,
            opening,
            session: None,
            holder: counted,
        };
        // If the poll accepts no more sockets, the connection is closed. It has no slot, so it cannot be told why.
        if let Ok(id) = self.insert(edge, socket, terms, state, now) {
            self.shared.accepted_open += 1;
            *self.shared.open_with(listener.codec, grants) += 1;
            if state == ConnectionState::Open && listener.codec.is_http() {
                self.shared.web += 1;
            }
            if let Some(holder) = counted {
                self.shared.holders.came(holder);
                if listener.codec.is_http() {
                    self.shared.web_holders.came(holder);
                }
            }
            if state == ConnectionState::Reserve {
                self.shared.beyond += 1;
                let is_http = listener.codec.is_http();
                self.shared.reserve_of(is_http).came(id, holder);
                self.make_room(is_http, now, mailbox);
                // By HTTP it may be a probe.
                if let Admitted::OverAddress(_) = admitted
                    && !is_http
                {
                    self.refuse_for_address(id, mailbox);
                }
            }
        }
        admitted
    }

    /// Tells a connection that its address has too many, and closes it.
    fn refuse_for_address(&mut self, id: ConnectionId, mailbox: &mut Mailbox) {
        let c = get_mut(&mut self.connections, id);
        let Some(c) = c.filter(|c| c.state == ConnectionState::Reserve) else {
            // It was told when room was made.
            return;
        };
        if c.can_be_told() {
            let error = self.shared.refusal(c);
            self.shared.broken(c, error, mailbox);
        } else {
            self.shared.refuse_untold(c);
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

    /// Turns connections of a reserve away until no more are left there than it has places.
    fn make_room(&mut self, of_http: bool, now: Instant, mailbox: &mut Mailbox) {
        // bug ReserveTooSmall instead: let most = match of_http { _ if BUG => 16,
        let most = match of_http {
            true => RESERVE_HTTP_MAX,
            false => RESERVE_CONNECTIONS_MAX,
        };
        // bug ReserveUnbounded: return;
        while let Some(id) = self.first_to_go(of_http, most) {
            self.turn_one_away(of_http, id, now, mailbox);
        }
    }

    /// Frees a descriptor when none is left for accepting: that of a connection that is closed, or else a connection of a
    /// reserve is turned away early. Those by HTTP go first: peers and operators are among the others.
    pub fn free_descriptor(&mut self, now: Instant, mailbox: &mut Mailbox) -> Freed {
        if self.reap_some(self.shared.reapable.len()) {
            return Freed::Now;
        }
        // bug PeersGoFirst instead: for of_http in [!BUG, BUG] {
        for of_http in [true, false] {
            while let Some(id) = self.first_to_go(of_http, 0) {
                if self.turn_one_away(of_http, id, now, mailbox) {
                    return Freed::Now;
                }
            }
        }
        match self.shared.web_reserve.is_empty() && self.shared.reserve.is_empty() {
            true => Freed::Nothing,
            false => Freed::Soon,
        }
    }

    /// The connection that goes from a reserve if more than `most` wait there.
    fn first_to_go(&mut self, of_http: bool, most: usize) -> Option<ConnectionId> {
        let Self {
            connections,
            shared,
        } = self;
        let stage = |id: ConnectionId| match connections.get(id.slot()).filter(|c| c.id == id) {
            Some(c) if c.owed > 0 => Stage::IsOwed,
            Some(c) if c.state == ConnectionState::Reserve => Stage::Waits,
            Some(_) | None => Stage::Answered,
        };
        shared.reserve_of(of_http).first_to_go(most, stage)
    }

    /// Turns a connection of a reserve away, unless it turns out to be a peer or an operator, or to have asked for something
    /// that is answered. Returns whether its descriptor is free.
    fn turn_one_away(
        &mut self,
        of_http: bool,
        id: ConnectionId,
        now: Instant,
        mailbox: &mut Mailbox,
    ) -> bool {
        let Some(c) = get_mut(&mut self.connections, id) else {
            debug_assert!(
                false,
                "a connection that leaves the reserve leaves its list"
            );
            self.shared.reserve_of(of_http).left(id);
            return false;
        };
        // It may have sent something already, with its readiness far back in the queue. So it is read first: a peer
        // gets in even then, and a probe is answered. And the bytes of a client must be read from the kernel, because
        // closing with unread input resets the connection, and the client might never see the reply.
        // bug TurnedAwayUnread instead: if c.state == ConnectionState::Reserve && !BUG {
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

    /// The reserve of those that speak HTTP, or that of all others.
    pub(super) fn reserve_of(&mut self, of_http: bool) -> &mut Reserve {
        match of_http {
            true => &mut self.web_reserve,
            false => &mut self.reserve,
        }
    }

    /// Tells a connection of a reserve that there are too many, unless it was told already, and closes it. One that is
    /// owed an answer stays until it has it. Returns whether its descriptor is free.
    fn turn_away<S: Socket>(&mut self, c: &mut Connection<S>) -> bool {
        if c.state != ConnectionState::Closed {
            // bug OwedTurnedAway instead: if !c.place.is_in_reserve() || c.owed > 0 && !BUG {
            if !c.place.is_in_reserve() || c.owed > 0 {
                return false;
            }
            if c.state == ConnectionState::Reserve && !c.can_be_told() {
                self.refuse_untold(c);
            } else {
                if c.state == ConnectionState::Reserve {
                    let error = self.refusal(c).reply();
                    self.count_error(&error);
                    let error = Message::ErrorReply(Box::new(error));
                    c.replies(&mut self.pool).message(&error);
                }
                // What fails here changes nothing: the connection is closed in any case.
                let _ = self.write_now(c);
                let _ = self.end_session(c);
                self.close(c, CloseReason::Told);
            }
        }
        // The next connection needs this descriptor now, so it is not kept until the end of the turn.
        c.socket = None;
        true
    }

    /// Closes a connection beyond the limit that cannot be told why.
    pub(super) fn refuse_untold<S: Socket>(&mut self, c: &mut Connection<S>) {
        // Only so that it is counted.
        let _ = self.refusal(c);
        self.close(c, CloseReason::Full);
    }

    /// Why a connection is refused: all places are taken, or its address has as many as it may have. It is asked once for
    /// each.
    pub(super) fn refusal<S>(&mut self, c: &Connection<S>) -> WireError {
        match (c.holder, c.codec) {
            (None, _) => {
                self.refused_for_address += 1;
                WireError::TooManyFromAddress {
                    per_address_max: self.limits.per_address_max.unwrap_or(usize::MAX),
                }
            }
            (Some(_), Codec::Frames(_)) => WireError::TooManyConnections {
                connections_max: self.limits.connections_max,
            },
            (Some(_), Codec::Http(_)) => WireError::TooManyByHttp,
        }
    }
}
