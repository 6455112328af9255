//! Taking connections in: up to the limit, and beyond it into a reserve from which peers get in and clients
//! get an answer.

use std::net::SocketAddr;

use super::{Transport, count_error, get_mut};
use crate::{
    connection::{CloseReason, ConnectionState, Origin},
    edge::{Edge, Socket},
    limits::RESERVE_CONNECTIONS_MAX,
    time::Instant,
    wire::{Message, WireError},
};

impl<S: Socket> Transport<S> {
    /// Takes in a connection that was accepted. Beyond the limit it goes into the reserve, where only a peer
    /// may stay.
    pub fn admit<E: Edge<Socket = S>>(
        &mut self,
        edge: &mut E,
        socket: S,
        address: SocketAddr,
        now: Instant,
    ) {
        self.accepted_total += 1;
        let state = if self.accepted_open < self.limits.connections_max {
            ConnectionState::Open
        } else {
            self.make_room();
            self.sweep_wanted = true;
            ConnectionState::Reserve
        };
        if let Ok(id) = self.insert(edge, socket, Origin::Accepted, state, now) {
            if let Some(c) = get_mut(&mut self.connections, id) {
                c.address = Some(address);
            }
            self.accepted_open += 1;
            if state == ConnectionState::Reserve {
                self.reserve.push_back(id);
            }
        }
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

    pub(super) fn too_many(&self) -> WireError {
        WireError::TooManyConnections {
            connections_max: self.limits.connections_max,
        }
    }
}
