//! Taking connections in: up to the limit, and beyond it into a reserve from which peers get in and clients
//! get an answer.

use super::{Transport, count_error, get_mut};
use ipseity_core::{ids::ConnectionId, time::Instant, words::Message};
use ipseity_frames::{WireError, encode};

use crate::{
    connection::{CloseReason, ConnectionState, Origin},
    edge::{Edge, Socket},
    limits::RESERVE_CONNECTIONS_MAX,
    mailbox::Mailbox,
};

impl<S: Socket> Transport<S> {
    /// Takes in a connection that was accepted. Beyond the limit it goes into the reserve, where only a peer
    /// may stay.
    pub fn admit<E: Edge<Socket = S>>(
        &mut self,
        edge: &mut E,
        socket: S,
        now: Instant,
        mailbox: &mut Mailbox,
    ) {
        self.accepted_total += 1;
        let state = if self.accepted_open - self.beyond < self.limits.connections_max {
            ConnectionState::Open
        } else {
            self.make_room(now, mailbox);
            self.sweep_wanted = true;
            ConnectionState::Reserve
        };
        // Where the poll takes no more, the connection is closed: there is no place to tell it from.
        if let Ok(id) = self.insert(edge, socket, Origin::Accepted, state, now) {
            self.accepted_open += 1;
            if state == ConnectionState::Reserve {
                self.beyond += 1;
                self.reserve.push_back(id);
            }
        }
    }

    /// Makes sure that the reserve has a place: the oldest in it is told that there are too many, at once,
    /// and closed.
    fn make_room(&mut self, now: Instant, mailbox: &mut Mailbox) {
        while self.reserve.len() >= RESERVE_CONNECTIONS_MAX {
            self.turn_oldest_away(now, mailbox);
        }
    }

    /// Frees a descriptor when there are none left to accept with: the oldest of the reserve is turned away
    /// before its time. Returns false when there is nobody in it.
    pub fn free_descriptor(&mut self, now: Instant, mailbox: &mut Mailbox) -> bool {
        while !self.reserve.is_empty() {
            if self.turn_oldest_away(now, mailbox) {
                return true;
            }
        }
        false
    }

    /// Turns away the oldest of the reserve, unless it has moved on. Returns whether it was closed.
    fn turn_oldest_away(&mut self, now: Instant, mailbox: &mut Mailbox) -> bool {
        let Some(oldest) = self.reserve.pop_front() else {
            return false;
        };
        // It may have spoken, and its readiness stands behind the flood: a peer gets in even so. And what a
        // client has sent must be taken from the kernel, or closing would reset the connection and the reply
        // might never be seen.
        if self
            .get(oldest)
            .is_some_and(|c| c.state == ConnectionState::Reserve)
        {
            self.read(oldest, now, mailbox);
        }
        self.turn_away(oldest)
    }

    /// Tells a connection of the reserve that there are too many, if it has not been told, and closes it.
    /// Returns whether it did.
    fn turn_away(&mut self, id: ConnectionId) -> bool {
        let error = self.too_many().reply();
        let Self {
            connections,
            pool,
            errors,
            ..
        } = self;
        let Some(c) = get_mut(connections, id) else {
            return false;
        };
        // Peers stay: they are counted elsewhere.
        if c.is_promoted || c.state == ConnectionState::Closed {
            return false;
        }
        if c.state == ConnectionState::Reserve || c.owed > 0 {
            if c.owed == 0 {
                // What it is owed is this very error, which stands in the mailbox and is counted there.
                count_error(errors, &error);
            }
            encode(&Message::ErrorReply(Box::new(error)), c.output(pool));
        }
        // A failure changes nothing: it is closed in any case.
        let _ = c.flush();
        // Its descriptor is needed for the next one, and not only at the end of the turn.
        c.socket = None;
        self.close(id, CloseReason::Told);
        true
    }

    pub(super) fn too_many(&self) -> WireError {
        WireError::TooManyConnections {
            connections_max: self.limits.connections_max,
        }
    }
}
