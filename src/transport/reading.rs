//! Reading: bytes come out of a socket, a limited number at a time, and go to the decoder.

use std::io;

use super::{
    Transport,
    decoding::{Decoded, decode, take_identity_requests},
    get_mut, mark_dirty,
};
use ipseity_core::{actor::Event, ids::ConnectionId, time::Instant};
use ipseity_frames::{FrameDecoder, WireError};

use crate::{
    connection::{CloseReason, Connection, ConnectionState, Origin},
    edge::Socket,
    limits::{FRAMES_IN_FLIGHT_MAX, FRAMES_PER_CONNECTION_MAX, READ_BYTES_MAX},
    mailbox::{Entry, Mailbox, Readiness},
};

impl<S: Socket> Transport<S> {
    /// [`read`](Self::read) for a connection on which nothing is under way and nothing else has happened. Returns false,
    /// and has done nothing, for any other.
    #[inline(always)]
    pub(super) fn read_at_rest(
        &mut self,
        id: ConnectionId,
        readiness: Readiness,
        now: Instant,
        mailbox: &mut Mailbox,
    ) -> bool {
        let Self {
            connections,
            decoder,
            in_flight,
            stalled,
            ..
        } = self;
        let room = FRAMES_IN_FLIGHT_MAX.saturating_sub(*in_flight);
        let Some(c) = get_mut(connections, id) else {
            return false;
        };
        let is_plain = readiness.is_readable() && !readiness.is_read_closed();
        if !is_plain || !c.is_at_rest() || room == 0 || !stalled.is_empty() {
            return false;
        }
        decoder.restore(&[]);
        let pulled = pull(c, decoder);
        if let Pulled::Short = pulled {
            let room = room.min(FRAMES_PER_CONNECTION_MAX);
            let asked = take_identity_requests(id, decoder, room, mailbox);
            c.owed = asked as u32;
            *in_flight += asked;
            if decoder.is_empty() {
                c.progress_at = now;
                return true;
            }
        }
        let before = Before {
            owed: 0,
            begun: false,
        };
        self.read_on(id, before, pulled, now, mailbox);
        true
    }

    /// Reads once, decodes what came, and puts every frame into the mailbox.
    pub(super) fn read(&mut self, id: ConnectionId, now: Instant, mailbox: &mut Mailbox) {
        let Some(c) = get_mut(&mut self.connections, id) else {
            return;
        };
        if c.paused {
            // The flush takes it up again.
            return;
        }
        if !c.has_room(self.limits.pending_bytes_max) {
            // Its replies are flushed later, and the flush takes it up again.
            c.paused = true;
            return;
        }
        // Peers that were dialed are read even so: what they say is owed no answer, and what they object must
        // be heard in time.
        let is_accepted = c.origin == Origin::Accepted;
        if is_accepted && (!self.stalled.is_empty() || self.in_flight >= FRAMES_IN_FLIGHT_MAX) {
            stall(c, &mut self.stalled);
            return;
        }
        let before = Before {
            owed: c.owed,
            begun: !c.input().is_empty(),
        };
        self.decoder.restore(c.input());
        self.read_on(id, before, Pulled::Nothing, now, mailbox);
    }

    /// Decodes what is in the decoder, reads more where that is due, and leaves the connection as it has to be
    /// then.
    #[cold]
    fn read_on(
        &mut self,
        id: ConnectionId,
        before: Before,
        mut pulled: Pulled,
        now: Instant,
        mailbox: &mut Mailbox,
    ) {
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
        let mut again = false;
        let decoded = loop {
            let decoded = if decoder.is_empty() {
                Decoded::All
            } else {
                decode(c, decoder, limits, in_flight, promoted, mailbox)
            };
            if !matches!(decoded, Decoded::All) || c.read_closed {
                break decoded;
            }
            match pulled {
                Pulled::Nothing => {}
                // A short read has emptied the socket, and the poll will tell of more: asking again would
                // cost a system call for each request. Unless the other side has closed: no edge comes any more,
                // and only another read meets the end. But what a peer said before it closed has its turn first, or
                // a refusal would pass for a connection that was lost.
                // bug EdgeLost instead: Pulled::Short if c.close_hint && !BUG => {
                Pulled::Short if c.close_hint => {
                    if c.origin != Origin::Accepted {
                        again = true;
                        break decoded;
                    }
                }
                // There may be more, but others have their turn first.
                Pulled::Full => {
                    again = true;
                    break decoded;
                }
                Pulled::Short | Pulled::Emptied | Pulled::Ended | Pulled::Failed(_) => {
                    break decoded;
                }
            }
            pulled = pull(c, decoder);
        };
        let rest = decoder.rest();
        // While replies wait, only a client that reads them makes progress.
        let progress = c.owed > before.owed || (!before.begun && !rest.is_empty());
        if progress && c.pending_bytes() == 0 {
            c.progress_at = now;
        }
        c.keep_input(rest, pool);
        if !rest.is_empty() {
            self.sweep_wanted = true;
        }
        if let Pulled::Failed(error) = pulled {
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
            error: Box::new(error.reply()),
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

/// How a connection stood before it was read.
struct Before {
    owed: u32,
    /// A frame had been begun.
    begun: bool,
}

/// What the last read came to.
enum Pulled {
    /// None was made.
    Nothing,
    /// Fewer bytes than there was space for.
    Short,
    /// As many as there was space for.
    Full,
    /// There was nothing.
    Emptied,
    /// There never will be anything.
    Ended,
    /// The connection is broken.
    Failed(io::Error),
}

/// Reads once into the decoder.
#[inline(always)]
fn pull<S: Socket>(c: &mut Connection<S>, decoder: &mut FrameDecoder) -> Pulled {
    let Some(socket) = &mut c.socket else {
        return Pulled::Emptied;
    };
    loop {
        let space = decoder.space();
        let wanted = space.len().min(READ_BYTES_MAX);
        match socket.read(&mut space[..wanted]) {
            Ok(0) => {
                c.read_closed = true;
                return Pulled::Ended;
            }
            Ok(bytes) => {
                decoder.filled(bytes);
                return if bytes < wanted {
                    Pulled::Short
                } else {
                    Pulled::Full
                };
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Pulled::Emptied,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Pulled::Failed(error),
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
