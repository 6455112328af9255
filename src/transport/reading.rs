//! Reading: bytes come out of a socket, a limited number at a time, and go to the decoder.
//!
//! The poll tells of each change once. So every way out of a read says who goes on with what may be left (`Resume`), and
//! [`Connection::is_taken_up`] holds whenever a connection is left alone.

use std::io;

use super::{
    Readied,
    decoding::Decoded,
    shared::{Shared, read_again},
};
use ipseity_core::{actor::Event, time::Instant};
use ipseity_frames::{FrameDecoder, WireError};

use crate::{
    connection::{CloseReason, Connection, ConnectionState, Inflow, Origin, Resume},
    edge::Socket,
    limits::{FRAMES_IN_FLIGHT_MAX, FRAMES_PER_CONNECTION_MAX, LOOK_BYTES_MAX, READ_BYTES_MAX},
    mailbox::{Entry, Mailbox, Readiness},
};

impl Shared {
    /// [`read`](Self::read) for a connection on which nothing is under way and nothing else has happened. Returns false,
    /// and has done nothing, for any other.
    #[inline(always)]
    pub(super) fn read_at_rest<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        readiness: Readiness,
        now: Instant,
        mailbox: &mut Mailbox,
    ) -> bool {
        let room = FRAMES_IN_FLIGHT_MAX.saturating_sub(self.in_flight);
        let is_plain = readiness.is_readable() && !readiness.is_read_closed();
        if !is_plain || !c.is_at_rest() || room == 0 || !self.line.is_empty() {
            return false;
        }
        self.decoder.restore(&[]);
        let pulled = pull(c, &mut self.decoder);
        if let Pulled::Part = pulled {
            let room = room.min(FRAMES_PER_CONNECTION_MAX);
            let asked = c
                .codec
                .take_identity_requests(c.id, &mut self.decoder, room, mailbox);
            c.owed = asked as u32;
            self.in_flight += asked;
            if self.decoder.is_empty() {
                c.progress_at = now;
                return true;
            }
        }
        let before = Before {
            owed: 0,
            has_begun: false,
        };
        self.read_on(c, before, Some(pulled), now, mailbox);
        true
    }

    /// Acts on a readiness, whatever is under way on the connection.
    #[cold]
    pub(super) fn on_ready<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        readiness: Readiness,
        now: Instant,
        mailbox: &mut Mailbox,
    ) -> Readied {
        c.note(readiness);
        if readiness.is_writable() && c.pending_bytes() > 0 {
            self.mark_dirty(c);
        }
        let mut readied = Readied::Nothing;
        match c.state {
            ConnectionState::Connecting => readied = self.on_dialed(c, now, mailbox),
            ConnectionState::Open | ConnectionState::Reserve => {
                if readiness.is_readable() {
                    self.read(c, now, mailbox);
                }
            }
            ConnectionState::Lingering => {
                if readiness.is_readable() {
                    self.discard(c, mailbox);
                }
            }
            // What comes is left where it is until all is answered.
            ConnectionState::Draining | ConnectionState::Closed => {}
        }
        debug_assert!(c.is_taken_up());
        readied
    }

    fn on_dialed<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        now: Instant,
        mailbox: &mut Mailbox,
    ) -> Readied {
        match (c.socket.as_ref().map(Socket::is_connected), c.origin) {
            (Some(Ok(true)), Origin::Dialed(peer)) => {
                c.state = ConnectionState::Open;
                c.progress_at = now;
                if c.inflow.may_hold_more() {
                    // The peer spoke first, or closed. It is read in its turn, and no other edge comes for it.
                    read_again(c, mailbox);
                }
                Readied::Connected(peer)
            }
            (Some(Err(error)), _) => {
                self.close(c, CloseReason::Dial(error));
                Readied::Nothing
            }
            _ => Readied::Nothing,
        }
    }

    /// Reads once, decodes what came, and puts every frame into the mailbox.
    pub(super) fn read<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        now: Instant,
        mailbox: &mut Mailbox,
    ) {
        if c.is_held_up() {
            // Whoever it waits for takes it up again.
            return;
        }
        if !c.has_room(self.limits.pending_bytes_max) {
            // Its replies are flushed later, and the flush takes it up again.
            c.resume = Resume::Flush;
            return;
        }
        // Peers that were dialed are read even so: what they say is owed no answer, and what they object must
        // be heard in time.
        let is_accepted = c.origin == Origin::Accepted;
        if is_accepted && (!self.line.is_empty() || self.in_flight >= FRAMES_IN_FLIGHT_MAX) {
            return self.read_for_look(c, now, mailbox);
        }
        let before = Before {
            owed: c.owed,
            has_begun: !c.input().is_empty(),
        };
        self.decoder.restore(c.input());
        self.read_on(c, before, None, now, mailbox);
    }

    /// Reads a little of a connection while too many frames of all wait, and takes what asks to look. Everything else
    /// stands in line.
    #[cold]
    fn read_for_look<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        now: Instant,
        mailbox: &mut Mailbox,
    ) {
        let before = Before {
            owed: c.owed,
            has_begun: !c.input().is_empty(),
        };
        self.decoder.restore(c.input());
        if !before.has_begun && c.owed == 0 {
            match pull_up_to(c, &mut self.decoder, LOOK_BYTES_MAX) {
                Pulled::Failed(error) => return self.close(c, CloseReason::Io(error)),
                Pulled::Part | Pulled::Full | Pulled::Nothing => {}
            }
        }
        let stop = match c.owed == 0 && c.codec.looks_next(&self.decoder) {
            true => match self.decode_up_to(0, c, mailbox) {
                Decoded::Looks => Stop::Looks,
                Decoded::Broken(error) => Stop::Broken(error),
                Decoded::All | Decoded::Gate | Decoded::Turn => Stop::Gate,
            },
            false => Stop::Line,
        };
        self.keep_rest(c, before, now);
        match stop {
            // The answer to the look opens the gate, and the flush goes on from there.
            Stop::Gate => {
                c.resume = Resume::Flush;
                self.mark_dirty(c);
            }
            stop => self.leave(c, stop, mailbox),
        }
    }

    /// Decodes what is in the decoder, reads more where that is due, and leaves the connection as it has to be
    /// then.
    #[cold]
    fn read_on<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        before: Before,
        pulled: Option<Pulled>,
        now: Instant,
        mailbox: &mut Mailbox,
    ) {
        let stop = self.pull_and_decode(c, pulled, mailbox);
        self.keep_rest(c, before, now);
        self.leave(c, stop, mailbox);
    }

    /// Decodes and reads until it has to stop, and says why.
    fn pull_and_decode<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        mut pulled: Option<Pulled>,
        mailbox: &mut Mailbox,
    ) -> Stop {
        loop {
            if !self.decoder.is_empty() {
                match self.decode(c, mailbox) {
                    Decoded::All => {}
                    Decoded::Gate => return Stop::Gate,
                    Decoded::Looks => return Stop::Looks,
                    Decoded::Turn => return Stop::Turn,
                    Decoded::Broken(error) => return Stop::Broken(error),
                }
            }
            match pulled {
                Some(Pulled::Failed(error)) => return Stop::Failed(error),
                // There may be more, but others have their turn first.
                Some(Pulled::Full) => return Stop::All,
                Some(Pulled::Part) if !goes_on_to_the_end(c) => return Stop::All,
                // Nothing was there, or nothing more ever will be.
                Some(Pulled::Nothing) => return Stop::All,
                Some(Pulled::Part) | None => pulled = Some(pull(c, &mut self.decoder)),
            }
        }
    }

    /// Keeps what was not decoded for the next read.
    fn keep_rest<S: Socket>(&mut self, c: &mut Connection<S>, before: Before, now: Instant) {
        let rest = self.decoder.rest();
        // While replies wait, only a client that reads them makes progress.
        let progress = c.owed > before.owed || (!before.has_begun && !rest.is_empty());
        if progress && c.pending_bytes() == 0 {
            c.progress_at = now;
        }
        c.keep_input(rest, &mut self.pool);
        self.sweep_wanted |= !rest.is_empty();
    }

    /// Leaves the connection as the end of a read wants it: with somebody who goes on, wherever something may be left.
    fn leave<S: Socket>(&mut self, c: &mut Connection<S>, stop: Stop, mailbox: &mut Mailbox) {
        // bug ReadStopsEarly: if matches!(stop, Stop::Turn) { c.inflow = Inflow::Empty; }
        match stop {
            Stop::Failed(error) => self.close(c, CloseReason::Io(error)),
            Stop::Broken(error) => self.broken(c, *error, mailbox),
            Stop::Line => self.stand_in_line(c),
            Stop::Looks => {
                c.resume = Resume::Looks;
                self.look_line.push_back(c.id);
            }
            Stop::Gate if self.in_flight >= FRAMES_IN_FLIGHT_MAX => self.stand_in_line(c),
            Stop::Gate => {
                c.resume = Resume::Flush;
                // The gate may have closed with nothing in flight, over replies that wait.
                self.mark_dirty(c);
            }
            Stop::All if c.inflow == Inflow::Ended => self.ended(c, mailbox),
            Stop::Turn if !c.input().is_empty() => read_again(c, mailbox),
            Stop::All | Stop::Turn if c.inflow.may_hold_more() => {
                read_again(c, mailbox);
            }
            Stop::All | Stop::Turn => {
                c.resume = Resume::Poll;
                c.release_buffers(&mut self.pool);
            }
        }
    }

    /// Puts a connection into the line of those that wait until fewer frames are in flight. Nobody passes them: else
    /// room that is free for a moment would go to those that are quickest, again and again.
    fn stand_in_line<S>(&mut self, c: &mut Connection<S>) {
        c.resume = Resume::Line;
        self.line.push(c.id);
    }

    /// The other side will send nothing more.
    fn ended<S: Socket>(&mut self, c: &mut Connection<S>, mailbox: &mut Mailbox) {
        let bytes = c.input().len();
        match c.origin {
            Origin::Dialed(_) => self.close(c, CloseReason::Ended),
            Origin::Accepted if bytes > 0 => {
                self.broken(c, WireError::Incomplete { bytes }, mailbox);
            }
            Origin::Accepted => {
                c.state = ConnectionState::Draining;
                self.mark_dirty(c);
            }
        }
    }

    /// Bytes that are no message take their place in the line, so that what was asked before them is answered
    /// before them. Nothing more is read.
    pub(super) fn broken<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        error: WireError,
        mailbox: &mut Mailbox,
    ) {
        if matches!(c.origin, Origin::Dialed(_)) {
            return self.close(c, CloseReason::Wire(error));
        }
        c.state = ConnectionState::Draining;
        c.keep_input(&[], &mut self.pool);
        c.owed += 1;
        self.in_flight += 1;
        mailbox.dispatch(Entry::Event(Event::Unknown {
            from: c.id,
            error: Box::new(error.reply()),
        }));
    }

    /// Throws away what a connection still sends that was told why it is closed.
    #[cold]
    fn discard<S: Socket>(&mut self, c: &mut Connection<S>, mailbox: &mut Mailbox) {
        self.decoder.restore(&[]);
        match pull(c, &mut self.decoder) {
            // There may be more, and always more; others have their turn first.
            Pulled::Part | Pulled::Full => read_again(c, mailbox),
            Pulled::Nothing if c.inflow != Inflow::Ended => c.resume = Resume::Poll,
            Pulled::Nothing | Pulled::Failed(_) => self.close(c, CloseReason::Told),
        }
    }
}

/// How a connection stood before it was read.
struct Before {
    owed: u32,
    /// A frame had been begun.
    has_begun: bool,
}

/// Why reading stopped.
enum Stop {
    /// All that was read is decoded.
    All,
    /// There is no room for what more would be decoded.
    Gate,
    /// The same, and whoever waits in the line goes first.
    Line,
    /// A request to look has to wait for its turn.
    Looks,
    /// What was decoded last has its turn first.
    Turn,
    /// The bytes are no message.
    Broken(Box<WireError>),
    /// The connection is broken.
    Failed(io::Error),
}

/// What a read came to.
enum Pulled {
    /// Some bytes, and the socket is empty now, or only its end is left.
    Part,
    /// Some bytes, and perhaps not all.
    Full,
    /// None.
    Nothing,
    /// The connection is broken.
    Failed(io::Error),
}

/// Reads once into the decoder, and notes what the socket may still hold.
#[inline(always)]
fn pull<S: Socket>(c: &mut Connection<S>, decoder: &mut FrameDecoder) -> Pulled {
    pull_up_to(c, decoder, READ_BYTES_MAX)
}

/// The same, of so many bytes at most.
#[inline(always)]
fn pull_up_to<S: Socket>(c: &mut Connection<S>, decoder: &mut FrameDecoder, most: usize) -> Pulled {
    let Some(socket) = &mut c.socket else {
        c.inflow = Inflow::Empty;
        return Pulled::Nothing;
    };
    loop {
        let space = decoder.space();
        let wanted = space.len().min(most);
        match socket.read(&mut space[..wanted]) {
            Ok(0) => {
                c.inflow = Inflow::Ended;
                return Pulled::Nothing;
            }
            Ok(bytes) => {
                decoder.filled(bytes);
                return match c.is_emptied_by(bytes, wanted) {
                    true => emptied(c),
                    false => filled(c),
                };
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                c.inflow = Inflow::Empty;
                return Pulled::Nothing;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Pulled::Failed(error),
        }
    }
}

/// The socket holds no more bytes: asking again would cost a system call for each request. The end it may still
/// hold, of which the poll has told and does not tell again.
#[inline(always)]
fn emptied<S>(c: &mut Connection<S>) -> Pulled {
    // bug EdgeLost: c.inflow = Inflow::Empty;
    c.inflow = match c.inflow {
        Inflow::Ending => Inflow::Ending,
        Inflow::Empty | Inflow::More | Inflow::Ended => Inflow::Empty,
    };
    Pulled::Part
}

#[inline(always)]
fn filled<S>(c: &mut Connection<S>) -> Pulled {
    c.inflow = match c.inflow {
        Inflow::Ending => Inflow::Ending,
        Inflow::Empty | Inflow::More | Inflow::Ended => Inflow::More,
    };
    Pulled::Full
}

/// Whether a read that has emptied the socket is followed by one that meets the end. What a peer said before it closed
/// has its turn first: else a refusal would pass for a connection that was lost.
fn goes_on_to_the_end<S>(c: &Connection<S>) -> bool {
    c.inflow == Inflow::Ending && c.origin == Origin::Accepted
}
