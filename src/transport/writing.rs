//! Writing: what has come together for a connection leaves in one write, at the end of the turn.

use super::{
    Transport, get_mut,
    shared::{Shared, read_again},
};
use ipseity_core::{ids::ConnectionId, time::Instant};

use crate::{
    connection::{CloseReason, Connection, ConnectionState, Flushed, Inflow, Resume},
    edge::Socket,
    limits::{FRAMES_IN_FLIGHT_MAX, LOOKS_IN_FLIGHT_MAX},
    mailbox::Mailbox,
};

impl<S: Socket> Transport<S> {
    /// Writes what has come together for each connection, and takes up those that were held up.
    pub fn flush(&mut self, now: Instant, mailbox: &mut Mailbox) {
        let Self {
            connections,
            shared,
        } = self;
        let mut dirty = std::mem::take(&mut shared.dirty);
        for id in dirty.drain(..) {
            if let Some(c) = get_mut(connections, id) {
                shared.flush(c, now, mailbox);
                debug_assert!(c.is_taken_up());
            }
        }
        // The list keeps its space for the next turn. Flushing marks nothing dirty.
        debug_assert!(shared.dirty.is_empty());
        shared.dirty = dirty;
        if shared.pending_total > shared.limits.pending_bytes_total {
            self.crowd_out();
        }
        if !self.shared.look_line.is_empty() {
            self.take_up_looks(now, mailbox);
        }
        let Self {
            connections,
            shared,
        } = self;
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

    /// Takes up those that want to look, as many as may at a time.
    fn take_up_looks(&mut self, now: Instant, mailbox: &mut Mailbox) {
        let Self {
            connections,
            shared,
        } = self;
        let mut room = LOOKS_IN_FLIGHT_MAX.saturating_sub(shared.looks_in_flight);
        while room > 0
            && let Some(id) = shared.look_line.pop_front()
        {
            if let Some(c) = get_mut(connections, id)
                && c.resume == Resume::Looks
            {
                room -= 1;
                c.resume = Resume::Flush;
                shared.resume(c, now, mailbox);
            }
        }
    }

    /// Closes the connections for which most waits, until what waits for all is well below its bound again.
    #[cold]
    fn crowd_out(&mut self) {
        let Self {
            connections,
            shared,
        } = self;
        let bound = shared.limits.pending_bytes_total;
        let mut waiting: Vec<(u32, ConnectionId)> = connections
            .iter()
            .filter(|(_, c)| c.counted > 0)
            .map(|(_, c)| (c.counted, c.id))
            .collect();
        waiting.sort_unstable_by(|one, other| other.cmp(one));
        for (bytes, id) in waiting {
            if shared.pending_total <= bound / 4 * 3 {
                break;
            }
            if let Some(c) = get_mut(connections, id) {
                shared.crowded_out += 1;
                shared.close(c, CloseReason::Crowded(bytes as usize));
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
        self.count_pending(c);
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
