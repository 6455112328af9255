//! Writing: what has come together for a connection leaves in one write, at the end of the turn.

use super::{
    Transport, get_mut,
    shared::{Shared, read_again},
};
use ipseity_core::time::Instant;

use crate::{
    connection::{CloseReason, Connection, ConnectionState, Flushed, Inflow, Resume},
    edge::Socket,
    limits::FRAMES_IN_FLIGHT_MAX,
    mailbox::Mailbox,
};

impl<S: Socket> Transport<S> {
    /// Writes what has come together for each connection, and takes up those that were held up.
    pub fn flush(&mut self, now: Instant, mailbox: &mut Mailbox) {
        let Self {
            connections,
            shared,
        } = self;
        // The list is not taken out, and keeps its space for the next turn. Flushing marks nothing dirty.
        let dirty = shared.dirty.len();
        for place in 0..dirty {
            if let Some(c) = get_mut(connections, shared.dirty[place]) {
                shared.flush(c, now, mailbox);
                debug_assert!(c.is_taken_up());
            }
        }
        debug_assert_eq!(shared.dirty.len(), dirty);
        shared.dirty.clear();
        if !shared.line.is_empty() && shared.in_flight <= FRAMES_IN_FLIGHT_MAX / 2 {
            for id in std::mem::take(&mut shared.line) {
                if let Some(c) = get_mut(connections, id)
                    && c.resume == Resume::Line
                {
                    c.resume = Resume::Flush;
                    shared.resume(c, now, mailbox);
                }
            }
        }
    }

    /// Whether every reply has left.
    pub fn is_flushed(&self) -> bool {
        self.connections.iter().all(|(_, c)| {
            c.state == ConnectionState::Closed || (c.owed == 0 && c.pending_bytes() == 0)
        })
    }
}

impl Shared {
    fn flush<S: Socket>(&mut self, c: &mut Connection<S>, now: Instant, mailbox: &mut Mailbox) {
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
            Err(error) => return self.close(c, CloseReason::Io(error)),
        }
        if c.state == ConnectionState::Draining && c.owed == 0 && c.pending_bytes() == 0 {
            return self.finish(c, now, mailbox);
        }
        self.resume(c, now, mailbox);
        c.release_buffers(&mut self.pool);
    }

    /// Takes a connection that waits for the flush up again when there is room.
    #[inline]
    fn resume<S: Socket>(&self, c: &mut Connection<S>, now: Instant, mailbox: &mut Mailbox) {
        if c.resume == Resume::Flush && c.has_room(self.limits.pending_bytes_max) {
            // The time that it was made to wait is not held against it.
            c.progress_at = now;
            read_again(c, mailbox);
        }
    }

    /// Everything was answered and has left: closes the connection, gently.
    #[cold]
    fn finish<S: Socket>(&mut self, c: &mut Connection<S>, now: Instant, mailbox: &mut Mailbox) {
        if c.inflow == Inflow::Ended {
            return self.close(c, CloseReason::Ended);
        }
        c.state = ConnectionState::Lingering;
        c.progress_at = now;
        self.sweep_wanted = true;
        if let Some(Err(error)) = c.socket.as_ref().map(Socket::shutdown_write) {
            return self.close(c, CloseReason::Io(error));
        }
        c.release_buffers(&mut self.pool);
        // What arrived while it drained was left where it is, the end perhaps too, and no edge comes for it.
        read_again(c, mailbox);
    }
}
