//! Writing: all replies that were collected for a connection leave in one write, at the end of the turn.

use super::{
    Transport, get_mut,
    shared::{Shared, read_again},
};
use ipseity_core::{ids::ConnectionId, time::Instant};

use crate::{
    connection::{CloseReason, Connection, ConnectionState, Flushed, Inflow, Once, Resume},
    edge::Socket,
    limits::{
        DISCARDS_PER_TURN, ENDINGS_PER_TURN, FRAMES_PER_CONNECTION_MAX, FRAMES_SHARE_MIN,
        LOOKS_IN_FLIGHT_MAX, READING_SPAN, ROOM_TO_SHARE,
    },
    mailbox::Mailbox,
};

impl<S: Socket> Transport<S> {
    /// Writes the collected replies of each connection, and resumes connections that had to wait.
    pub fn flush(&mut self, now: Instant, mailbox: &mut Mailbox) {
        let Self {
            connections,
            shared,
        } = self;
        // The list is not taken out, so it keeps its memory for the next turn.
        let dirty = shared.dirty.len();
        for place in 0..dirty {
            if let Some(c) = get_mut(connections, shared.dirty[place]) {
                shared.flush(c, now, mailbox);
                debug_assert!(c.is_taken_up());
            }
        }
        shared.dirty.clear();
        if !shared.ending.is_empty() {
            self.end_some(now, mailbox);
        }
        if !self.shared.discarding.is_empty() {
            self.discard_some();
        }
        let Self { shared, .. } = self;
        if shared.is_crowded() {
            self.crowd_out(now);
        }
        // Otherwise nobody has looked, and nobody waits for it.
        if self.shared.looks_left < LOOKS_IN_FLIGHT_MAX {
            self.take_up_looks(now, mailbox);
        }
        if self.shared.has_handshakes() {
            self.take_up_handshakes(now, mailbox);
        }
        if !self.shared.line.is_empty() && self.shared.room() >= ROOM_TO_SHARE {
            self.serve_line(now, mailbox);
        }
    }

    /// Divides the room among the connections that wait for it. Each gets a share, in the order in which they came.
    ///
    /// **Nobody gets a second share while another waits for its first.** While anybody is in the line, nothing is
    /// decoded but what is given out here (and looks, which have a line of their own). The line is served from its
    /// front, and whoever joins it stands at its end, also one that has just had its share. So while a connection waits,
    /// each other one has at most one share: then it stands behind. Each is read here and now. A readiness in the mailbox
    /// would come behind those of connections that were just answered, and these would take the room first.
    ///
    /// **And the wait has an end.** A share is at most what is left of the room, divided by those who are left. So either
    /// all who wait are served now, or each gets [`FRAMES_SHARE_MIN`], and as many are served as such shares fit into the
    /// room.
    #[cold]
    fn serve_line(&mut self, now: Instant, mailbox: &mut Mailbox) {
        let Self {
            connections,
            shared,
        } = self;
        for left in (1..=shared.line.len()).rev() {
            let room = shared.room();
            if room == 0 {
                break;
            }
            let share = (room / left).clamp(FRAMES_SHARE_MIN, FRAMES_PER_CONNECTION_MAX);
            if let Some(id) = shared.line.pop_front()
                && let Some(c) = get_mut(connections, id)
                && c.resume == Resume::Line
                && c.is_read()
            {
                shared.read_share(c, share.min(room), now, mailbox);
            }
        }
    }

    /// Lets connections that wait with a request to look have their turn, as many as are allowed at a time. Each is
    /// read here and now, so that nobody else takes its turn.
    #[cold]
    fn take_up_looks(&mut self, now: Instant, mailbox: &mut Mailbox) {
        let Self {
            connections,
            shared,
        } = self;
        while shared.looks_in_flight < LOOKS_IN_FLIGHT_MAX
            && let Some(id) = shared.look_line.pop_front()
        {
            if let Some(c) = get_mut(connections, id)
                && c.resume == Resume::Looks
                && c.is_read()
            {
                shared.looks_left = 1;
                c.resume = Resume::Mailbox;
                shared.read(c, now, mailbox);
                debug_assert!(c.is_taken_up());
            }
        }
        shared.looks_left = match shared.look_line.is_empty() {
            true => LOOKS_IN_FLIGHT_MAX - shared.looks_in_flight,
            false => 0,
        };
    }

    /// Closes connections for which replies wait, until the sum is well below its bound again. Those that have read
    /// nothing for longest go first, because they may never read. Among equals those with the most waiting bytes go
    /// first. A client that reads is not closed before one that does not, however little waits for that one.
    #[cold]
    pub(super) fn crowd_out(&mut self, now: Instant) {
        let Self {
            connections,
            shared,
        } = self;
        let bound = shared.limits.pending_bytes_total;
        let spans =
            |c: &Connection<S>| now.since(c.progress_at).as_nanos() / READING_SPAN.as_nanos();
        let mut waiting: Vec<(u128, u32, ConnectionId)> = connections
            .iter()
            .filter(|(_, c)| c.counted > 0)
            .map(|(_, c)| (spans(c), c.counted, c.id))
            .collect();
        waiting.sort_unstable_by(|one, other| other.cmp(one));
        for (_, bytes, id) in waiting {
            if shared.pending_total <= bound / 4 * 3 {
                break;
            }
            if let Some(c) = get_mut(connections, id) {
                shared.crowded_out += 1;
                shared.close_unread(c, CloseReason::Crowded(bytes as usize));
                c.session = None;
            }
        }
    }

    /// Ends connections on which nothing is left to do, as many as may be ended in a turn.
    #[cold]
    fn end_some(&mut self, now: Instant, mailbox: &mut Mailbox) {
        for _ in 0..ENDINGS_PER_TURN {
            let Some(id) = self.shared.ending.pop_front() else {
                break;
            };
            if let Some(c) = get_mut(&mut self.connections, id).filter(|c| c.is_done()) {
                self.shared.finish(c, now, mailbox);
            }
        }
    }

    /// Reads what is dropped, from as many connections as may be read for that in a turn.
    #[cold]
    fn discard_some(&mut self) {
        let Self {
            connections,
            shared,
        } = self;
        for _ in 0..DISCARDS_PER_TURN {
            let Some(id) = shared.discarding.pop_front() else {
                break;
            };
            if let Some(c) = get_mut(connections, id)
                && c.state == ConnectionState::Lingering
                && c.resume == Resume::Discard
            {
                shared.discard(c);
            }
        }
    }

    /// Whether connections wait for the next turn to be read, ended or freed.
    #[inline]
    pub fn is_behind(&self) -> bool {
        let shared = &self.shared;
        !(shared.ending.is_empty() && shared.reapable.is_empty() && shared.discarding.is_empty())
    }

    /// Whether every reply has been written.
    pub fn is_flushed(&self) -> bool {
        self.shared.ending.is_empty()
            && self.connections.iter().all(|(_, c)| {
                c.state == ConnectionState::Closed || (c.owed == 0 && c.pending_bytes() == 0)
            })
    }
}

impl Shared {
    fn flush<S: Socket>(&mut self, c: &mut Connection<S>, now: Instant, mailbox: &mut Mailbox) {
        c.dirty = false;
        // Nearly every flush: nothing has waited, and nothing waits for it.
        let outcome = if c.is_settled() {
            match c.write_once() {
                Once::All => {
                    c.progress_at = now;
                    return c.release_buffers(&mut self.pool);
                }
                once => c.write_on(once),
            }
        } else if c.state == ConnectionState::Closed {
            return;
        } else {
            // One that is being dialed has something to write only if it speaks TLS.
            self.write_now(c)
        };
        match outcome {
            Ok(Flushed::All) => c.progress_at = now,
            Ok(Flushed::Part { progress }) => {
                if progress {
                    c.progress_at = now;
                }
                self.parting.await_close(c);
                self.sweep_wanted = true;
            }
            Ok(Flushed::Nothing) => {}
            Err(error) => return self.close(c, CloseReason::Io(error)),
        }
        self.count_pending(c);
        if c.is_done() {
            return self.let_end(c);
        }
        self.resume(c, now, mailbox);
        c.release_buffers(&mut self.pool);
    }

    /// Resumes a connection that waits for the flush, if there is room now.
    #[inline]
    fn resume<S: Socket>(&self, c: &mut Connection<S>, now: Instant, mailbox: &mut Mailbox) {
        if c.resume == Resume::Flush && c.has_room(self.limits.pending_bytes_max) {
            c.was_held_up(now);
            read_again(c, mailbox);
        }
    }

    #[cold]
    fn let_end<S>(&mut self, c: &Connection<S>) {
        self.ending.push_back(c.id);
    }

    /// Everything was answered and written: closes the connection in order, so that the last reply is not lost.
    #[cold]
    fn finish<S: Socket>(&mut self, c: &mut Connection<S>, now: Instant, mailbox: &mut Mailbox) {
        match self.end_session(c) {
            Ok(true) => {}
            // The kernel takes no more now. When it does, this is called again.
            Ok(false) => return self.count_pending(c),
            Err(error) => return self.close(c, CloseReason::Io(error)),
        }
        if c.inflow == Inflow::Ended {
            return self.close(c, CloseReason::Ended);
        }
        c.go_on_to(ConnectionState::Lingering);
        c.progress_at = now;
        self.sweep_wanted = true;
        if let Some(Err(error)) = c.socket.as_ref().map(Socket::shutdown_write) {
            return self.close(c, CloseReason::Io(error));
        }
        c.release_buffers(&mut self.pool);
        // Input that arrived while it drained was not read, perhaps including the end, and no new edge will report
        // it.
        read_again(c, mailbox);
    }
}
