//! One connection: a socket, the frame that has begun to arrive, the replies that wait to be written, and its state.
//! It decides nothing; [`transport`](crate::transport) moves it from state to state.

mod close_reason;
mod deadline;
mod holder;

use std::{io, net::SocketAddr, os::fd::OwnedFd};

use ipseity_core::{
    ids::{ConnectionId, PeerId},
    time::Instant,
    words::{DecidedBy, Grant, Grants},
};

pub(crate) use self::deadline::Overdue;
pub use self::{close_reason::CloseReason, holder::Holder};
use crate::{
    buffer::{BufferPool, Buffers},
    codec::{Codec, Replies},
    edge::Socket,
    limits::{CONNECTION_BYTES_MAX, FRAMES_PER_CONNECTION_MAX},
    mailbox::Readiness,
    secure::Session,
};

/// The life of a connection. It only moves down this list, and may leave states out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConnectionState {
    /// Being dialed.
    Connecting,
    /// Accepted beyond the limit: only a peer or an operator may stay.
    Reserve,
    /// Frames are read and answered.
    Open,
    /// Nothing more is read. It closes when every request is answered and every reply is written.
    Draining,
    /// The sending side is shut. Input is dropped until the other side closes too.
    Lingering,
    /// Closed. Its slot is freed as soon as it is owed no answer and nothing names it.
    Closed,
}

/// Who began the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It connected to this server.
    Accepted,
    /// This server connected to it.
    Dialed(PeerId),
}

/// What the socket may still hold that is not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inflow {
    /// Nothing: it was emptied, and the poll will report new input.
    Empty,
    /// Perhaps something. The poll has reported it and will not report it again.
    More,
    /// Perhaps something, and after it the end of the stream.
    Ending,
    /// Nothing, and nothing more will come: the end was reached.
    Ended,
}

impl Inflow {
    /// Whether reading must go on without waiting for the poll.
    pub(crate) fn may_hold_more(self) -> bool {
        matches!(self, Inflow::More | Inflow::Ending)
    }
}

/// What resumes reading a connection after it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// The poll, when new input arrives.
    Poll,
    /// A readiness of our own, which is in the mailbox.
    Mailbox,
    /// The flush, as soon as there is room for more replies.
    Flush,
    /// The line of connections that wait until fewer frames of all connections are in flight.
    Line,
    /// The line of connections that wait to look. Only a few have their turn at a time.
    Looks,
    /// The line of connections that wait with a step of their TLS handshake. Only a few have their turn at a time.
    Handshake,
    /// The line of connections that may hold more of what is dropped. Only a few are read in a turn.
    Discard,
}

/// How a connection may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// With a message, or with TLS if the server offers it.
    Any,
    /// Only with TLS.
    Sealed,
    /// It has begun, and no message was whole yet.
    Begun,
    /// It has sent a message, so it is known how it speaks.
    Spoken,
}

impl Opening {
    /// Whether it is known if the connection uses TLS.
    pub(crate) const fn is_decided(self) -> bool {
        matches!(self, Opening::Begun | Opening::Spoken)
    }
}

/// Whether more frames of a connection may be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It may.
    Open,
    /// Not before the last decoded request is answered, because that answer may end the connection.
    Shut,
    /// Not before a request of a peer is answered, as with `Shut`. But that may take seconds, while others are asked or the
    /// disk is written. What a peer says unasked is taken meanwhile: that it is alive, or that its life is over, may be
    /// just what is waited for.
    Words,
    /// Not before a request to look is answered, because that answer may be large.
    Looks,
    /// Not before a request is answered that may wait for the disk alone. It has a place of its own, beside the room that
    /// all share.
    Alone,
}

/// Which kind of place an accepted connection takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The place of a client. A dialed connection has this value too.
    Regular,
    /// The place of one that speaks HTTP. They have a limit of their own, so that neither keeps the other out.
    Web,
    /// Beyond the limit: in the reserve.
    Beyond,
    /// Beyond the limit of those that speak HTTP: in their own reserve, so that they push nobody else out.
    WebBeyond,
    /// Beyond the limit: it spoke like a peer and was let in.
    Promoted,
    /// Beyond the limit: it is used by an operator.
    Operator,
}

impl Place {
    /// Whether it is in a reserve.
    pub(crate) fn is_in_reserve(self) -> bool {
        matches!(self, Place::Beyond | Place::WebBeyond)
    }
}

/// Whether the actor names the connection for another reason than an unanswered request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// The actor does not name it.
    Unknown,
    /// The actor knows it as a link to a peer.
    Known,
    /// The actor knows it as a link, and the connection is closed: `peerDisconnected` is on its way.
    Leaving,
}

/// What is decided when the connection is made.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) origin: Origin,
    pub(crate) codec: Codec,
    /// What it may do if it speaks without TLS.
    pub(crate) grants: Grants,
    /// The most that it may do.
    pub(crate) most: Grants,
    pub(crate) opening: Opening,
    pub(crate) session: Option<Box<Session>>,
    /// Who an accepted connection is counted for.
    pub(crate) holder: Option<Holder>,
}

/// One connection.
#[derive(Debug)]
pub struct Connection<S> {
    pub(crate) id: ConnectionId,
    /// `None` once the connection is closed and reaped, even if the slot is still held.
    pub(crate) socket: Option<S>,
    pub(crate) origin: Origin,
    /// How it speaks: its codec.
    pub(crate) codec: Codec,
    /// What it may do.
    pub(crate) grants: Grants,
    /// The most that it may ever do.
    pub(crate) most: Grants,
    pub(crate) opening: Opening,
    /// What lies between the socket and the codec, if it uses TLS.
    pub(crate) session: Option<Box<Session>>,
    /// Who it is counted for, if it was accepted.
    pub(crate) holder: Option<Holder>,
    pub(crate) state: ConnectionState,
    pub(crate) inflow: Inflow,
    pub(crate) resume: Resume,
    pub(crate) place: Place,
    pub(crate) gate: Gate,
    /// Whether it is in the list of connections to be flushed.
    pub(crate) dirty: bool,
    pub(crate) link: LinkState,
    /// Whether it was owed answers when it was closed, and `disconnected` is on its way to the actor.
    pub(crate) is_leaving: bool,
    /// Frames that are decoded and not answered yet.
    pub(crate) owed: u32,
    /// The memory of the replies that were left after its last flush, with what the kernel holds, as counted in the sum
    /// over all connections.
    pub(crate) counted: u32,
    /// When a frame was last completed or begun, or a reply was last written.
    pub(crate) progress_at: Instant,
    pub(crate) buffers: Option<Box<Buffers>>,
}

// With a socket as large as a descriptor. mio's is larger in builds for tests.
const _: () = assert!(size_of::<Connection<OwnedFd>>() <= CONNECTION_BYTES_MAX);

impl<S> Connection<S> {
    /// Goes on to a state further down the list.
    pub(crate) fn go_on_to(&mut self, state: ConnectionState) {
        debug_assert!(self.state < state, "{:?} to {state:?}", self.state);
        self.state = state;
    }
}

impl<S: Socket> Connection<S> {
    pub(crate) fn new(
        id: ConnectionId,
        socket: S,
        terms: Terms,
        state: ConnectionState,
        now: Instant,
    ) -> Connection<S> {
        let Terms {
            origin,
            codec,
            grants,
            most,
            opening,
            session,
            holder,
        } = terms;
        Connection {
            id,
            socket: Some(socket),
            origin,
            codec,
            grants,
            most,
            opening,
            session,
            holder,
            state,
            inflow: Inflow::Empty,
            resume: Resume::Poll,
            place: match (state, codec) {
                (ConnectionState::Reserve, Codec::Http(_)) => Place::WebBeyond,
                (ConnectionState::Reserve, Codec::Frames(_)) => Place::Beyond,
                (_, Codec::Http(_)) => Place::Web,
                (_, Codec::Frames(_)) => Place::Regular,
            },
            gate: Gate::Open,
            dirty: false,
            link: LinkState::Unknown,
            is_leaving: false,
            owed: 0,
            counted: 0,
            progress_at: now,
            buffers: None,
        }
    }

    /// The bytes that arrived and are not decoded yet.
    pub(crate) fn input(&self) -> &[u8] {
        self.buffers.as_ref().map_or(&[], |buffers| &buffers.input)
    }

    /// Whether something has begun to arrive and is not complete: a frame, or a record of TLS.
    pub(crate) fn has_begun(&self) -> bool {
        let is_within = |session: &Session| session.is_within_record();
        !self.input().is_empty() || self.session.as_deref().is_some_and(is_within)
    }

    /// Keeps `rest` for the next read.
    #[inline]
    pub(crate) fn keep_input(&mut self, rest: &[u8], pool: &mut BufferPool) {
        if !rest.is_empty() {
            let buffers = self.buffers(pool);
            buffers.input.clear();
            buffers.input.extend_from_slice(rest);
        } else if let Some(buffers) = &mut self.buffers {
            buffers.input.clear();
        }
    }

    /// How many bytes of replies wait to be written.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.buffers
            .as_ref()
            .map_or(0, |buffers| buffers.output.len() - buffers.written)
    }

    /// How many bytes of memory hold replies that wait to be written. A buffer doubles as it grows, so this is up to
    /// twice as much.
    pub(crate) fn pending_room(&self) -> usize {
        match &self.buffers {
            Some(buffers) if buffers.output.len() > buffers.written => buffers.output.capacity(),
            Some(_) | None => 0,
        }
    }

    /// Whether this is an open connection of a client on which everything was answered and nothing is under way.
    /// Nearly every readiness comes from such a connection.
    #[inline]
    pub(crate) fn is_at_rest(&self) -> bool {
        let is_at_rest = self.state == ConnectionState::Open
            && self.grants.has(Grant::Take)
            && self.session.is_none()
            && self.buffers.is_none()
            && self.owed == 0
            && self.resume == Resume::Poll;
        // No other has this grant.
        debug_assert!(!is_at_rest || self.origin == Origin::Accepted);
        // Whoever is owed nothing finds the gate open, and the poll resumes no connection that may hold more.
        debug_assert!(!is_at_rest || self.gate == Gate::Open);
        debug_assert!(!is_at_rest || self.inflow == Inflow::Empty);
        is_at_rest
    }

    /// Notes what the poll reported about the incoming side.
    pub(crate) fn note(&mut self, readiness: Readiness) {
        self.inflow = match self.inflow {
            Inflow::Ended => Inflow::Ended,
            Inflow::Ending => Inflow::Ending,
            Inflow::Empty | Inflow::More if readiness.is_read_closed() => Inflow::Ending,
            Inflow::Empty | Inflow::More if readiness.is_readable() => Inflow::More,
            Inflow::Empty => Inflow::Empty,
            Inflow::More => Inflow::More,
        };
    }

    /// The address of the other side, as long as the socket knows it.
    pub(crate) fn peer_address(&self) -> Option<SocketAddr> {
        self.socket.as_ref()?.peer_address().ok()
    }

    /// What has decided which grants it has.
    pub(crate) fn decided_by(&self) -> DecidedBy {
        match self.session {
            Some(_) => DecidedBy::Certificate,
            None => DecidedBy::Address,
        }
    }

    /// Whether its TLS handshake is under way.
    pub(crate) fn is_shaking(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.is_shaking())
    }

    /// The handshake has waited for the server. That time is not counted against it.
    pub(crate) fn had_waited(&mut self, since: Instant, now: Instant) {
        self.progress_at = self.progress_at.after(now.since(since));
    }

    /// Seals the replies that were appended, and adds what TLS itself has to send. Nothing happens without TLS.
    #[cold]
    pub(crate) fn seal(&mut self, pool: &mut BufferPool, room: &mut Vec<u8>) {
        let Some(session) = &mut self.session else {
            return;
        };
        if self.buffers.is_some() || session.has_output() {
            let buffers = self.buffers.get_or_insert_with(|| pool.take());
            session.seal(&mut buffers.output, room);
        }
    }

    /// Tells the session how much of what was sealed is left after a write.
    pub(crate) fn note_left(&mut self) {
        if let Some(session) = &mut self.session {
            let output = self
                .buffers
                .as_ref()
                .map_or(0, |buffers| buffers.output.len());
            session.left(output);
        }
    }

    /// Whether its slot must be kept: it is owed an answer, or the actor or an event names it.
    pub(crate) fn is_held(&self) -> bool {
        self.owed > 0 || self.is_leaving || self.link != LinkState::Unknown
    }

    /// Whether the server makes it wait.
    pub(crate) fn is_held_up(&self) -> bool {
        matches!(
            self.resume,
            Resume::Flush | Resume::Line | Resume::Looks | Resume::Handshake
        )
    }

    /// The server made it wait, and now it goes on. That time is not counted against it. But while replies wait, it makes
    /// progress only by reading them, and that it could do all the time.
    pub(crate) fn was_held_up(&mut self, now: Instant) {
        if self.pending_bytes() == 0 {
            self.progress_at = now;
        }
    }

    /// Whether a reply can reach the other side. One that may speak only TLS, or has begun to, would take it for a broken
    /// handshake before the handshake is over.
    pub(crate) fn can_be_told(&self) -> bool {
        match &self.session {
            Some(session) => session.is_open(),
            None => self.opening != Opening::Sealed && self.resume != Resume::Handshake,
        }
    }

    /// Whether what arrives is decoded: nothing has ended it yet.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.state, ConnectionState::Open | ConnectionState::Reserve)
    }

    /// Whether something will read what may be left. The poll reports each change only once, so this must hold
    /// whenever the connection is left alone.
    pub(crate) fn is_taken_up(&self) -> bool {
        !self.is_read() || self.resume != Resume::Poll || !self.inflow.may_hold_more()
    }

    /// Whether another frame may be decoded. This bounds everything that a client can make the server hold for it.
    pub(crate) fn has_room(&self, pending_bytes_max: usize) -> bool {
        self.gate == Gate::Open
            && (self.owed as usize) < FRAMES_PER_CONNECTION_MAX
            && self.pending_bytes() < pending_bytes_max
    }

    /// Whether nothing may be decoded but what a peer says unasked. See [`Gate::Words`].
    pub(crate) fn hears_words(&self) -> bool {
        // bug WordsUnheard: return false;
        self.gate == Gate::Words && self.link == LinkState::Known
    }

    /// The replies that wait to be written, so that more can be appended.
    #[inline]
    pub(crate) fn replies(&mut self, pool: &mut BufferPool) -> Replies<'_> {
        let buffers = self.buffers.get_or_insert_with(|| pool.take());
        Replies::new(&self.codec, &mut buffers.output)
    }

    /// Writes once the replies that wait. Nearly always that is all.
    #[inline(always)]
    pub(crate) fn write_once(&mut self) -> Once {
        let (Some(buffers), Some(socket)) = (&mut self.buffers, &mut self.socket) else {
            return Once::Nothing;
        };
        let waiting = &buffers.output[buffers.written..];
        if waiting.is_empty() {
            return Once::Nothing;
        }
        match socket.write(waiting) {
            Ok(bytes) if bytes == waiting.len() => {
                buffers.output.clear();
                buffers.written = 0;
                Once::All
            }
            outcome => Once::Other(outcome),
        }
    }

    /// Goes on after the first write, until all replies are written or the kernel takes no more.
    ///
    /// # Errors
    /// The connection is broken.
    #[cold]
    #[inline(never)]
    pub(crate) fn write_on(&mut self, once: Once) -> io::Result<Flushed> {
        let mut outcome = match once {
            Once::Nothing => return Ok(Flushed::Nothing),
            Once::All => return Ok(Flushed::All),
            Once::Other(outcome) => outcome,
        };
        let (Some(buffers), Some(socket)) = (&mut self.buffers, &mut self.socket) else {
            return Ok(Flushed::Nothing);
        };
        let Buffers {
            output, written, ..
        } = &mut **buffers;
        let before = *written;
        loop {
            match outcome {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => *written += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if *written == output.len() {
                output.clear();
                *written = 0;
                return Ok(Flushed::All);
            }
            outcome = socket.write(&output[*written..]);
        }
        let progress = *written > before;
        // The written part is removed once it is at least half of the buffer. Otherwise the buffer of a client that
        // always reads late would grow for ever. Moving a rest that is no longer than what was written costs next to
        // nothing.
        if *written >= output.len() / 2 {
            output.drain(..*written);
            *written = 0;
        }
        Ok(Flushed::Part { progress })
    }

    /// Whether a flush that writes everything changes nothing but its buffers. With TLS there may be more to do.
    #[inline(always)]
    pub(crate) fn is_settled(&self) -> bool {
        self.state == ConnectionState::Open
            && self.session.is_none()
            && self.counted == 0
            && self.resume == Resume::Poll
    }

    /// Whether nothing is left to do on it but to end it.
    pub(crate) fn is_done(&self) -> bool {
        self.state == ConnectionState::Draining && self.owed == 0 && self.pending_bytes() == 0
    }

    /// Gives the buffers back if they are empty.
    #[inline(always)]
    pub(crate) fn release_buffers(&mut self, pool: &mut BufferPool) {
        if let Some(buffers) = self.buffers.take_if(|buffers| buffers.is_empty()) {
            pool.put(buffers);
        }
    }

    /// Whether the other side is a peer: this server dialed it, or the actor has accepted it as one.
    pub(crate) fn is_peer(&self) -> bool {
        self.link == LinkState::Known || matches!(self.origin, Origin::Dialed(_))
    }

    /// Whether the idle deadline applies. It does not apply to peers, because the actor judges their silence, nor
    /// while the connection waits for the server.
    fn may_idle(&self) -> bool {
        let waits = self.owed > 0 || self.is_held_up();
        !waits && self.link == LinkState::Unknown && self.origin == Origin::Accepted
    }

    /// Whether it is a client's and nothing at all is under way on it, so that it may be closed to make room. The places
    /// of the reserve are left alone.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == ConnectionState::Open
            && self.place == Place::Regular
            && self.may_idle()
            && !self.is_shaking()
            && !self.has_begun()
            && self.buffers.is_none()
    }

    /// Whether a request of it, or a part of one, has arrived and was not read yet. The readiness that will read it may
    /// stand far back in the mailbox, or be in the next poll.
    pub(crate) fn has_unread_input(&self) -> bool {
        self.socket.as_ref().is_some_and(Socket::has_input)
    }

    fn buffers(&mut self, pool: &mut BufferPool) -> &mut Buffers {
        self.buffers.get_or_insert_with(|| pool.take())
    }
}

/// The result of one write.
#[derive(Debug)]
pub(crate) enum Once {
    /// Nothing waited.
    Nothing,
    /// Everything was written.
    All,
    /// Anything else: this is what the socket said.
    Other(io::Result<usize>),
}

/// The result of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing waited.
    Nothing,
    /// Everything was written.
    All,
    /// The kernel takes no more for now.
    Part {
        /// Whether anything was written.
        progress: bool,
    },
}
