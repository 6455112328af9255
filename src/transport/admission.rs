//! Taking connections in: up to the limit, and beyond it into a reserve from which peers get in and clients
//! get an answer.

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
    /// Where it comes from.
    pub address: SocketAddr,
    /// By which door.
    pub listener: Listener,
}

impl<S: Socket> Transport<S> {
    /// Takes in a connection that was accepted. Beyond the limit it goes into the reserve, where only a peer
    /// may stay.
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
        // Where the poll takes no more, the connection is closed: there is no place to tell it from.
        if let Ok(id) = self.insert(edge, socket, terms, state, now) {
            self.shared.accepted_open += 1;
            if state == ConnectionState::Reserve {
                self.shared.beyond += 1;
                self.shared.reserve.push_back(id);
            }
        }
    }

    /// Makes sure that the reserve has a place: the oldest in it is told that there are too many, at once,
    /// and closed.
    fn make_room(&mut self, now: Instant, mailbox: &mut Mailbox) {
        while self.shared.reserve.len() >= RESERVE_CONNECTIONS_MAX {
            self.turn_oldest_away(now, mailbox);
        }
    }

    /// Frees a descriptor when there are none left to accept with: the oldest of the reserve is turned away
    /// before its time. Returns false when there is nobody in it.
    pub fn free_descriptor(&mut self, now: Instant, mailbox: &mut Mailbox) -> bool {
        while !self.shared.reserve.is_empty() {
            if self.turn_oldest_away(now, mailbox) {
                return true;
            }
        }
        false
    }

    /// Turns away the oldest of the reserve, unless it turns out to be a peer. Returns whether it was closed.
    fn turn_oldest_away(&mut self, now: Instant, mailbox: &mut Mailbox) -> bool {
        let oldest = self.shared.reserve.front().copied();
        let Some(c) = oldest.and_then(|id| get_mut(&mut self.connections, id)) else {
            debug_assert!(
                oldest.is_none(),
                "whoever leaves the reserve leaves its list"
            );
            self.shared.reserve.pop_front();
            return false;
        };
        // It may have spoken, and its readiness stands behind the flood: a peer gets in even so. And what a
        // client has sent must be taken from the kernel, or closing would reset the connection and the reply
        // might never be seen.
        if c.state == ConnectionState::Reserve {
            self.shared.read(c, now, mailbox);
        }
        self.shared.turn_away(c)
    }
}

impl Shared {
    /// Tells a connection of the reserve that there are too many, if it has not been told, and closes it.
    /// Returns whether it did.
    fn turn_away<S: Socket>(&mut self, c: &mut Connection<S>) -> bool {
        if c.place != Place::Beyond || c.state == ConnectionState::Closed {
            return false;
        }
        if c.state == ConnectionState::Reserve || c.owed > 0 {
            let error = self.too_many().reply();
            if c.owed == 0 {
                // What it is owed is this very error, which stands in the mailbox and is counted there.
                self.count_error(&error);
            }
            let error = Message::ErrorReply(Box::new(error));
            c.replies(&mut self.pool).message(&error);
        }
        // A failure changes nothing: it is closed in any case.
        let _ = c.flush();
        // Its descriptor is needed for the next one, and not only at the end of the turn.
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
