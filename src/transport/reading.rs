//! Reading: a limited number of bytes at a time goes from a socket to the decoder.
//!
//! The poll reports each change only once. So every path out of a read sets what will read the rest (`Resume`), and
//! [`Connection::is_taken_up`] is true whenever a connection is left alone.

use std::io;

use super::{
    Readied,
    decoding::Decoded,
    handshakes::Begins,
    pulling::{Pulled, pull},
    shared::{Shared, read_again},
};
use ipseity_core::{actor::Event, time::Instant, words::ErrorCode};
use ipseity_frames::WireError;
use ipseity_http::{Exchange, Refusal};

use crate::{
    codec::{Codec, take_framed_requests},
    connection::{CloseReason, Connection, ConnectionState, Inflow, Opening, Origin, Resume},
    edge::Socket,
    limits::{FRAMES_PER_CONNECTION_MAX, LOOK_BYTES_MAX, SHARE_BYTES_PER_FRAME},
    mailbox::{Entry, HttpRequest, Mailbox, Readiness},
};

impl Shared {
    /// A fast version of [`read`](Self::read), for a connection on which nothing else is under way and nothing else
    /// has happened. For any other it does nothing and returns false.
    #[inline(always)]
    pub(super) fn read_at_rest<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        readiness: Readiness,
        now: Instant,
        mailbox: &mut Mailbox,
    ) -> bool {
        let is_plain = readiness.is_readable() && !readiness.is_read_closed();
        let is_full = self.in_flight >= self.frames_max || !self.line.is_empty();
        if !is_plain || is_full || !c.is_at_rest() {
            return false;
        }
        self.decoder.restore(&[]);
        let pulled = pull(c, &mut self.decoder, self.limits.read_bytes_max);
        if let Pulled::Part = pulled
            && !c.codec.is_http()
        {
            if self.decoder.take_lone_bare_identity_request() {
                // Nearly every client waits for its answer before it asks again.
                mailbox.dispatch_bare_requests(c.id, 1);
                c.owed = 1;
                self.in_flight += 1;
                c.opening = Opening::Spoken;
                c.progress_at = now;
                return true;
            }
            let room = (self.frames_max - self.in_flight).min(FRAMES_PER_CONNECTION_MAX);
            let asked = take_framed_requests(c.id, &mut self.decoder, room, self.ahead, mailbox);
            c.owed = asked.requests as u32;
            self.in_flight += asked.requests;
            if asked.last_may_wait {
                self.let_wait_alone(c);
            }
            if asked.requests > 0 {
                c.opening = Opening::Spoken;
            }
            if self.decoder.is_empty() {
                c.progress_at = now;
                return true;
            }
        }
        let before = Before {
            owed: 0,
            has_begun: false,
        };
        let room = self.whole_room();
        self.read_on(c, before, Some(pulled), room, now, mailbox);
        true
    }

    /// Handles a readiness, whatever else is under way on the connection.
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
                if readiness.is_readable() && c.resume != Resume::Discard {
                    self.discard(c);
                }
            }
            // New input stays in the kernel until everything is answered.
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
            (Some(Ok(true)), Origin::Dialed(_))
                if c.is_shaking() && !self.shake_dialed(c, now, mailbox) =>
            {
                Readied::Nothing
            }
            (Some(Ok(true)), Origin::Dialed(peer)) => {
                c.go_on_to(ConnectionState::Open);
                c.progress_at = now;
                if c.inflow.may_hold_more() {
                    // The peer has already sent something, or closed. It is read in its turn, and no other edge will
                    // report it.
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
            // Whatever it waits for will resume it.
            return;
        }
        if c.is_shaking() {
            self.shake(c, now, mailbox);
            return;
        }
        if !c.has_room(self.limits.pending_bytes_max) && !c.hears_words() {
            // Its replies are flushed later, and the flush will resume it.
            c.resume = Resume::Flush;
            return;
        }
        // Dialed peers are read even now. Their messages are owed no answer, and their objections must be heard in
        // time. So are the words of a peer whose request waits.
        let may_ask = c.origin == Origin::Accepted && !c.hears_words();
        let room = match may_ask && (!self.line.is_empty() || self.room() == 0) {
            false => self.whole_room(),
            // Its pages are answered whatever waits. A request for identities joins the line.
            true if c.codec.is_http() => Room {
                until: self.in_flight,
                bytes: self.limits.read_bytes_max,
            },
            true => return self.read_for_look(c, now, mailbox),
        };
        self.read_within(c, room, now, mailbox);
    }

    /// The other side is now known as a peer. If the answer to its request takes a while, it is heard meanwhile.
    pub(super) fn hear_words<S: Socket>(&self, c: &mut Connection<S>, mailbox: &mut Mailbox) {
        if c.is_read() && c.hears_words() && c.resume == Resume::Flush {
            read_again(c, mailbox);
        }
    }

    /// Reads a connection whose turn in the line has come, and decodes at most `share` frames.
    pub(super) fn read_share<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        share: usize,
        now: Instant,
        mailbox: &mut Mailbox,
    ) {
        c.resume = Resume::Flush;
        if !c.has_room(self.limits.pending_bytes_max) {
            // It has had a share, and its replies to that wait. Their flush resumes it.
            return;
        }
        c.was_held_up(now);
        c.resume = Resume::Mailbox;
        let room = Room {
            until: self.in_flight + share,
            bytes: self
                .limits
                .read_bytes_max
                .min(share * SHARE_BYTES_PER_FRAME),
        };
        self.read_within(c, room, now, mailbox);
        debug_assert!(c.is_taken_up());
    }

    /// All the room that is left.
    fn whole_room(&self) -> Room {
        Room {
            until: self.frames_max,
            bytes: self.limits.read_bytes_max,
        }
    }

    fn read_within<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        room: Room,
        now: Instant,
        mailbox: &mut Mailbox,
    ) {
        let before = Before {
            owed: c.owed,
            has_begun: c.has_begun(),
        };
        self.decoder.restore(c.input());
        self.read_on(c, before, None, room, now, mailbox);
    }

    /// Reads a little from a connection while too many frames of all connections wait, and takes a request to look.
    /// Any other request waits in the line.
    #[cold]
    fn read_for_look<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        now: Instant,
        mailbox: &mut Mailbox,
    ) {
        let before = Before {
            owed: c.owed,
            has_begun: c.has_begun(),
        };
        self.decoder.restore(c.input());
        if !before.has_begun && c.owed == 0 {
            match self.pull(c, LOOK_BYTES_MAX) {
                Pulled::Failed(error) => return self.close(c, CloseReason::Io(error)),
                Pulled::Unsealed(error) => return self.broken_session(c, &error),
                Pulled::Part | Pulled::Full | Pulled::Nothing => {}
            }
        }
        let begins = match c.opening.is_decided() || self.decoder.is_empty() {
            true => Begins::Message,
            false => self.begin(c, now),
        };
        let stop = match begins {
            Begins::Handshake => Stop::Handshake,
            Begins::Refused(error) => Stop::Broken(Box::new(error)),
            Begins::Message if c.owed == 0 && c.codec.looks_next(&self.decoder) => {
                match self.decode_up_to(0, c, mailbox) {
                    Decoded::Looks => Stop::Looks,
                    Decoded::Broken(error) => Stop::Broken(error),
                    Decoded::All | Decoded::Gate | Decoded::Turn => Stop::Gate,
                }
            }
            Begins::Message => Stop::Line,
        };
        self.keep_rest(c, before, now);
        match stop {
            // The answer to the look opens the gate, and then the flush resumes the connection.
            Stop::Gate => {
                c.resume = Resume::Flush;
                self.mark_dirty(c);
            }
            Stop::Handshake => self.begin_to_shake(c, now, mailbox),
            stop => self.leave(c, stop, mailbox),
        }
    }

    /// Decodes what is in the decoder, reads more if needed, and then sets how the connection goes on.
    #[cold]
    fn read_on<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        before: Before,
        pulled: Option<Pulled>,
        room: Room,
        now: Instant,
        mailbox: &mut Mailbox,
    ) {
        let stop = self.pull_and_decode(c, pulled, room, now, mailbox);
        self.keep_rest(c, before, now);
        match stop {
            Stop::Handshake => self.begin_to_shake(c, now, mailbox),
            stop => self.leave(c, stop, mailbox),
        }
    }

    /// Decodes and reads until it has to stop, and returns why it stopped.
    fn pull_and_decode<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        mut pulled: Option<Pulled>,
        room: Room,
        now: Instant,
        mailbox: &mut Mailbox,
    ) -> Stop {
        loop {
            if !self.decoder.is_empty() {
                if !c.opening.is_decided() {
                    match self.begin(c, now) {
                        Begins::Message => {}
                        Begins::Handshake => return Stop::Handshake,
                        Begins::Refused(error) => return Stop::Broken(Box::new(error)),
                    }
                }
                match self.decode(c, room.until, mailbox) {
                    Decoded::All => {}
                    Decoded::Gate => return Stop::Gate,
                    Decoded::Looks => return Stop::Looks,
                    Decoded::Turn => return Stop::Turn,
                    Decoded::Broken(error) => return Stop::Broken(error),
                }
            }
            match pulled {
                Some(Pulled::Failed(error)) => return Stop::Failed(error),
                Some(Pulled::Unsealed(error)) => return Stop::Unsealed(error),
                // There may be more, but the others have their turn first.
                Some(Pulled::Full) => return Stop::All,
                Some(Pulled::Part) if !goes_on_to_the_end(c) => return Stop::All,
                // Nothing was there, or nothing more will ever come.
                Some(Pulled::Nothing) => return Stop::All,
                Some(Pulled::Part) | None => {
                    pulled = Some(self.pull(c, room.bytes));
                }
            }
        }
    }

    /// Keeps the bytes that were not decoded for the next read.
    fn keep_rest<S: Socket>(&mut self, c: &mut Connection<S>, before: Before, now: Instant) {
        let rest = self.decoder.rest();
        c.keep_input(rest, &mut self.pool);
        let has_begun = c.has_begun();
        // While replies wait, a client makes progress only by reading them.
        let progress = c.owed > before.owed || (!before.has_begun && has_begun);
        if progress && c.pending_bytes() == 0 {
            c.progress_at = now;
        }
        self.sweep_wanted |= has_begun;
    }

    /// Sets how the connection goes on after a read. If anything may be left to read, something must resume it.
    fn leave<S: Socket>(&mut self, c: &mut Connection<S>, stop: Stop, mailbox: &mut Mailbox) {
        match stop {
            Stop::Failed(error) => self.close(c, CloseReason::Io(error)),
            Stop::Unsealed(error) => self.broken_session(c, &error),
            Stop::Handshake => debug_assert!(false, "it was begun"),
            Stop::Broken(error) => self.broken(c, *error, mailbox),
            Stop::Line => self.stand_in_line(c),
            Stop::Looks => {
                c.resume = Resume::Looks;
                self.look_line.push_back(c.id);
            }
            // Its own bounds leave it room, so the room of all or its share is used up.
            Stop::Gate if c.has_room(self.limits.pending_bytes_max) => self.stand_in_line(c),
            Stop::Gate => {
                c.resume = Resume::Flush;
                // The gate may be closed because of waiting replies, with nothing in flight.
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

    /// Puts a connection at the end of the line of those that wait until fewer frames are in flight. No connection may
    /// pass the line. Otherwise the fastest clients would take every free place again and again.
    fn stand_in_line<S>(&mut self, c: &mut Connection<S>) {
        c.resume = Resume::Line;
        self.line.push_back(c.id);
    }

    /// The other side has ended its stream and will send nothing more.
    fn ended<S: Socket>(&mut self, c: &mut Connection<S>, mailbox: &mut Mailbox) {
        let bytes = c.input().len();
        match c.origin {
            Origin::Dialed(_) => self.close(c, CloseReason::Ended),
            Origin::Accepted if bytes > 0 => {
                self.broken(c, WireError::Incomplete { bytes }, mailbox);
            }
            Origin::Accepted => {
                c.go_on_to(ConnectionState::Draining);
                self.mark_dirty(c);
            }
        }
    }

    /// A malformed frame is queued like a request, so that everything asked before it is answered before it. Nothing
    /// more is read.
    pub(super) fn broken<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        error: WireError,
        mailbox: &mut Mailbox,
    ) {
        if matches!(c.origin, Origin::Dialed(_)) {
            return self.close(c, CloseReason::Wire(error));
        }
        c.go_on_to(ConnectionState::Draining);
        let is_http = !c.codec.is_http()
            && c.opening != Opening::Spoken
            && ipseity_http::looks_like_http(c.input());
        c.keep_input(&[], &mut self.pool);
        if is_http {
            self.set_codec(c, Codec::Http(Exchange::REFUSAL));
        }
        c.codec.end_with_refusal();
        // Where only TLS is taken, the other port would not help.
        if is_http && error.code() != ErrorCode::TlsRequired {
            let refused = HttpRequest::Refused(Refusal::WrongPort);
            return self.owe(c, Entry::Http(Box::new((c.id, refused))), mailbox);
        }
        let event = Event::Unknown {
            from: c.id,
            error: Box::new(error.reply()),
        };
        self.owe(c, Entry::Event(event), mailbox);
    }

    /// Reads once and drops the bytes, on a connection that is about to be closed: closing it with unread input would
    /// reset it, and it might never see why.
    pub(super) fn throw_away<S: Socket>(&mut self, c: &mut Connection<S>) {
        // It is closed in any case.
        let _ = self.pull_and_drop(c);
    }

    /// Reads once and drops what a connection still sends after it was told why it is closed.
    #[cold]
    pub(super) fn discard<S: Socket>(&mut self, c: &mut Connection<S>) {
        match self.pull_and_drop(c) {
            // There may always be more. In the mailbox it would come again in the same turn, as often as the turn has room, and
            // the other side may send as fast as this one reads.
            Pulled::Part | Pulled::Full => {
                self.parting.await_close(c);
                c.resume = Resume::Discard;
                self.discarding.push_back(c.id);
            }
            Pulled::Nothing if c.inflow != Inflow::Ended => c.resume = Resume::Poll,
            Pulled::Nothing | Pulled::Failed(_) | Pulled::Unsealed(_) => {
                self.close(c, CloseReason::Told);
            }
        }
    }

    /// Reads once. The bytes that come are lost, and so they need not be opened first.
    fn pull_and_drop<S: Socket>(&mut self, c: &mut Connection<S>) -> Pulled {
        self.decoder.restore(&[]);
        pull(c, &mut self.decoder, self.limits.read_bytes_max)
    }
}

/// How much may be decoded and read.
#[derive(Clone, Copy)]
struct Room {
    /// No more is decoded once so many frames of all connections are in flight.
    until: usize,
    /// The most bytes of one read.
    bytes: usize,
}

/// The state of a connection before it was read.
struct Before {
    owed: u32,
    /// Part of a frame had arrived.
    has_begun: bool,
}

/// Why reading stopped.
enum Stop {
    /// Everything that was read is decoded.
    All,
    /// There is no room for more decoded frames.
    Gate,
    /// There is no room either, and connections that already wait in the line go first.
    Line,
    /// A request to look has to wait for its turn.
    Looks,
    /// The frame that was decoded last must be handled first.
    Turn,
    /// The bytes are not a valid message.
    Broken(Box<WireError>),
    /// The first byte begins a TLS handshake, which waits for its turn.
    Handshake,
    /// The connection is broken.
    Failed(io::Error),
    /// The TLS session is broken.
    Unsealed(rustls::Error),
}

/// Whether to read on until the end after a read that emptied the socket. What a peer sent before it closed must be
/// handled first. Otherwise a refusal would look like a lost connection.
fn goes_on_to_the_end<S>(c: &Connection<S>) -> bool {
    c.inflow == Inflow::Ending && c.origin == Origin::Accepted
}
