//! Writing: what has come together for a connection leaves in one write, at the end of the turn.

use super::{Transport, TransportLimits, get_mut};
use ipseity_core::{ids::ConnectionId, time::Instant};

use crate::{
    connection::{CloseReason, Connection, ConnectionState, Flushed},
    edge::Socket,
    limits::FRAMES_IN_FLIGHT_MAX,
    mailbox::Mailbox,
};

impl<S: Socket> Transport<S> {
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
                    c.stalled = false;
                    resume(c, &self.limits, now, mailbox);
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
            Ok(Flushed::All) => c.progress_at = now,
            Ok(Flushed::Part { progress }) => {
                if progress {
                    c.progress_at = now;
                }
                self.sweep_wanted = true;
            }
            Ok(Flushed::Nothing) => {}
            Err(error) => return self.close(id, CloseReason::Io(error)),
        }
        if c.state == ConnectionState::Draining && c.owed == 0 && c.pending_bytes() == 0 {
            return self.finish(id, now, mailbox);
        }
        resume(c, limits, now, mailbox);
        c.release_buffers(pool);
    }

    /// Everything was answered and has left: closes the connection, gently.
    fn finish(&mut self, id: ConnectionId, now: Instant, mailbox: &mut Mailbox) {
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
        // What arrived while it drained was left where it is, the end perhaps too, and no edge comes for it.
        mailbox.dispatch_readable(id);
    }

    /// Whether every reply has left.
    pub fn is_flushed(&self) -> bool {
        self.connections.iter().all(|(_, c)| {
            c.state == ConnectionState::Closed || (c.owed == 0 && c.pending_bytes() == 0)
        })
    }
}

/// Takes a paused connection up again when there is room.
#[inline]
fn resume<S: Socket>(
    c: &mut Connection<S>,
    limits: &TransportLimits,
    now: Instant,
    mailbox: &mut Mailbox,
) {
    if c.paused && !c.stalled && c.has_room(limits.pending_bytes_max) {
        c.paused = false;
        // The time that it was made to wait is not held against it.
        c.progress_at = now;
        mailbox.dispatch_readable(c.id);
    }
}
