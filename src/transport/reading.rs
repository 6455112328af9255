//! Reading: bytes come out of a socket, a limited number at a time, and go to the decoder.

use std::io;

use super::{
    Transport,
    decoding::{Decoded, decode},
    get_mut, mark_dirty,
};
use crate::{
    actor::{ConnectionId, Event},
    connection::{CloseReason, Connection, ConnectionState, Origin},
    edge::Socket,
    limits::{FRAMES_IN_FLIGHT_MAX, READ_BYTES_MAX},
    mailbox::{Entry, Mailbox},
    sabotage::{self, Sabotage},
    time::Instant,
    wire::WireError,
};

impl<S: Socket> Transport<S> {
    /// Reads once, decodes what came, and puts every frame into the mailbox.
    pub(super) fn read(&mut self, id: ConnectionId, now: Instant, mailbox: &mut Mailbox) {
        let Self {
            connections,
            decoder,
            pool,
            in_flight,
            promoted,
            stalled,
            limits,
            ..
        } = self;
        let Some(c) = get_mut(connections, id) else {
            return;
        };
        if c.paused {
            // The flush takes it up again.
            return;
        }
        if !c.has_room(limits.pending_bytes_max) {
            // Its replies are flushed later, and the flush takes it up again.
            c.paused = true;
            return;
        }
        // Peers that were dialed are read even so: what they say is owed no answer, and what they object must
        // be heard in time.
        let is_accepted = c.origin == Origin::Accepted;
        if is_accepted && (!stalled.is_empty() || *in_flight >= FRAMES_IN_FLIGHT_MAX) {
            stall(c, stalled);
            return;
        }
        let begun = !c.input().is_empty();
        let before = c.owed;
        decoder.restore(c.input());
        let mut decoded = if begun {
            decode(c, decoder, limits, in_flight, promoted, mailbox)
        } else {
            Decoded::All
        };
        let mut again = false;
        let mut failed = None;
        while matches!(decoded, Decoded::All) && !c.read_closed {
            let space = decoder.space();
            let wanted = space.len().min(READ_BYTES_MAX);
            let Some(socket) = &mut c.socket else { return };
            match socket.read(&mut space[..wanted]) {
                Ok(0) => c.read_closed = true,
                Ok(bytes) => {
                    decoder.filled(bytes);
                    decoded = decode(c, decoder, limits, in_flight, promoted, mailbox);
                    // There may be more, but others have their turn first: so has what a peer said before it
                    // closed, or a refusal would pass for a connection that was lost.
                    if bytes == wanted || (c.close_hint && c.origin != Origin::Accepted) {
                        again = true;
                        break;
                    }
                    // A short read has emptied the socket, and the poll will tell of more: asking again
                    // would cost a system call for each request. Unless the other side has closed: no edge
                    // comes any more, and only another read meets the end.
                    if !c.close_hint || sabotage::is(Sabotage::EdgeLost) {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let rest = decoder.rest();
        // While replies wait, only a client that reads them makes progress.
        let progress = c.owed > before || (!begun && !rest.is_empty());
        if progress && c.pending_bytes() == 0 {
            c.progress_at = now;
        }
        c.keep_input(rest, pool);
        if !rest.is_empty() {
            self.sweep_wanted = true;
        }
        if let Some(error) = failed {
            self.close(id, CloseReason::Io(error));
            return;
        }
        again |= matches!(decoded, Decoded::Turn) && (!c.input().is_empty() || c.close_hint);
        match decoded {
            Decoded::Broken(error) => self.broken(id, *error, mailbox),
            Decoded::Gate => {
                if *in_flight >= FRAMES_IN_FLIGHT_MAX {
                    stall(c, stalled);
                } else {
                    c.paused = true;
                    // The gate may have closed with nothing in flight, over replies that wait.
                    mark_dirty(c, &mut self.dirty);
                }
            }
            Decoded::All if c.read_closed => self.ended(id, mailbox),
            Decoded::All | Decoded::Turn if again => {
                mailbox.dispatch_readable(id);
            }
            Decoded::All | Decoded::Turn => {
                c.release_buffers(pool);
            }
        }
    }

    /// The other side will send nothing more.
    fn ended(&mut self, id: ConnectionId, mailbox: &mut Mailbox) {
        let Some(c) = get_mut(&mut self.connections, id) else {
            return;
        };
        let bytes = c.input().len();
        match c.origin {
            Origin::Dialed(_) => self.close(id, CloseReason::Ended),
            Origin::Accepted if bytes > 0 => {
                self.broken(id, WireError::Incomplete { bytes }, mailbox);
            }
            Origin::Accepted => {
                c.state = ConnectionState::Draining;
                mark_dirty(c, &mut self.dirty);
            }
        }
    }

    /// Bytes that are no frame take their place in the line, so that what was asked before them is answered
    /// before them. Nothing more is read.
    pub(super) fn broken(&mut self, id: ConnectionId, error: WireError, mailbox: &mut Mailbox) {
        let Some(c) = get_mut(&mut self.connections, id) else {
            return;
        };
        if matches!(c.origin, Origin::Dialed(_)) {
            self.close(id, CloseReason::Wire(error));
            return;
        }
        c.state = ConnectionState::Draining;
        c.keep_input(&[], &mut self.pool);
        c.owed += 1;
        self.in_flight += 1;
        mailbox.dispatch(Entry::Event(Event::Unknown {
            from: id,
            error: Box::new(error),
        }));
    }

    /// Throws away what a connection still sends that was told why it is closed.
    pub(super) fn discard(&mut self, id: ConnectionId, mailbox: &mut Mailbox) {
        let Some(c) = get_mut(&mut self.connections, id) else {
            return;
        };
        let Some(socket) = &mut c.socket else { return };
        self.decoder.restore(&[]);
        loop {
            let space = &mut self.decoder.space()[..READ_BYTES_MAX];
            match socket.read(space) {
                Ok(0) => return self.close(id, CloseReason::Told),
                Ok(_) => {
                    // There may be more, and always more; others have their turn first.
                    mailbox.dispatch_readable(id);
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.close(id, CloseReason::Told),
            }
        }
    }
}

/// Puts a connection into the line of those that wait until fewer frames are in flight. Nobody passes them:
/// room that is free for a moment would else go to those that are quickest, again and again.
fn stall<S: Socket>(c: &mut Connection<S>, stalled: &mut Vec<ConnectionId>) {
    c.paused = true;
    c.stalled = true;
    stalled.push(c.id);
}
