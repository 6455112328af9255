//! Admitting connections: up to the limit as clients. Beyond it they go into a reserve, from which peers are let in,
//! and where clients are told that there are too many.

use std::net::SocketAddr;

use super::{Transport, get_mut, shared::Shared};
use ipseity_core::{time::Instant, words::Message};
use ipseity_frames::WireError;

use crate::{
    connection::{CloseReason, Connection, ConnectionState, Origin, Place, Terms},
    edge::{Edge, Socket},
    limits::RESERVE_CONNECTIONS_MAX,
    listeners::Listener,
    mailbox::Mailbox,
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

impl<S: Socket> Transport<S> {
    /// Takes in a connection that was accepted. Beyond the limit it goes into the reserve, where only a peer or an
    /// operator may stay.
    pub fn admit<E: Edge<Socket = S>>(
        &mut self,
        edge: &mut E,
        arrival: Arrival<S>,
        now: Instant,
        mailbox: &mut Mailbox,
    ) {
        self.shared.accepted_total += 1;
        let clients = self.shared.accepted_open - self.shared.beyond;
        let state = if clients < self.shared.limits.connections_max {
            ConnectionState::Open
        } else {
            self.make_room(now, mailbox);
            self.shared.sweep_wanted = true;
            ConnectionState::Reserve
        };
        let Arrival {
            socket,
            address,
            listener,
        } = arrival;
        let terms = Terms {
            origin: Origin::Accepted,
            codec: listener.codec,
            grants: listener.grants_for(address, &self.shared.limits.trusted),
        };
        // If the poll accepts no more sockets, the connection is closed. It has no slot, so it cannot be told why.
        if let Ok(id) = self.insert(edge, socket, terms, state, now) {
            self.shared.accepted_open += 1;
            if state == ConnectionState::Reserve {
                self.shared.beyond += 1;
                self.shared.reserve.push_back(id);
            }
        }
    }

    /// Makes room in the reserve. The oldest connection there is told at once that there are too many, and is closed.
    fn make_room(&mut self, now: Instant, mailbox: &mut Mailbox) {
        while self.shared.reserve.len() >= RESERVE_CONNECTIONS_MAX {
            self.turn_oldest_away(now, mailbox);
        }
    }

    /// Frees a descriptor when none is left for accepting: the oldest connection of the reserve is turned away early.
    /// Returns false when the reserve is empty.
    pub fn free_descriptor(&mut self, now: Instant, mailbox: &mut Mailbox) -> bool {
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
        // gets in even then. And what a client has sent must be read from the kernel, because closing with unread
        // input resets the connection, and the client might never see the reply.
        if c.state == ConnectionState::Reserve {
            self.shared.read(c, now, mailbox);
        }
        self.shared.turn_away(c)
    }
}

impl Shared {
    /// Tells a connection of the reserve that there are too many, unless it was told already, and closes it. Returns
    /// whether it closed it.
    fn turn_away<S: Socket>(&mut self, c: &mut Connection<S>) -> bool {
        if c.place != Place::Beyond || c.state == ConnectionState::Closed {
            return false;
        }
        if c.state == ConnectionState::Reserve || c.owed > 0 {
            let error = self.too_many().reply();
            if c.owed == 0 {
                // If an answer is owed, it is this same error: it is in the mailbox and is counted there.
                self.count_error(&error);
            }
            let error = Message::ErrorReply(Box::new(error));
            c.replies(&mut self.pool).message(&error);
        }
        // A failed write changes nothing: the connection is closed in any case.
        let _ = c.flush();
        // The next connection needs this descriptor now, so it is not kept until the end of the turn.
        c.socket = None;
        self.close(c, CloseReason::Told);
        true
    }

    pub(super) fn too_many(&self) -> WireError {
        WireError::TooManyConnections {
            connections_max: self.limits.connections_max,
        }
    }
}
