//! One connection: a socket, the frame that it has begun, the replies that wait to be written, and the
//! state it is in. It decides nothing; [`transport`](crate::transport) moves it from state to state.

use std::{fmt, io, net::SocketAddr, time::Duration};

use ipseity_core::{
    ids::{ConnectionId, PeerId},
    time::Instant,
    words::{Grant, Grants},
};

use crate::{
    buffer::{BufferPool, Buffers},
    codec::{Codec, Replies},
    edge::Socket,
    limits::{
        DIAL_TIMEOUT, FRAME_TIMEOUT, FRAMES_PER_CONNECTION_MAX, LINGER_TIMEOUT, RESERVE_TIMEOUT,
        WRITE_TIMEOUT,
    },
    mailbox::Readiness,
};

/// Where a connection stands in its life. It goes down this list and never up, but for a connection in
/// reserve that becomes open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Being dialed.
    Connecting,
    /// Accepted beyond the limit: only a peer may stay.
    Reserve,
    /// Frames are read and answered.
    Open,
    /// Nothing more is read; it closes when what was asked is answered and written.
    Draining,
    /// The sending side is shut; what still comes is thrown away until the other side closes too.
    Lingering,
    /// Done for. Its slot is given back as soon as nobody owes it an answer.
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

/// What the socket may still hold that was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inflow {
    /// Nothing: it was emptied, and the poll tells of more.
    Empty,
    /// Something, perhaps. The poll has told of it, and does not tell again.
    More,
    /// The same, and behind it the end.
    Ending,
    /// Nothing, and nothing will come: the end was met.
    Ended,
}

impl Inflow {
    /// Whether somebody has to read on without being told by the poll.
    pub(crate) fn may_hold_more(self) -> bool {
        matches!(self, Inflow::More | Inflow::Ending)
    }
}

/// Who goes on reading a connection where that has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// The poll, when more has come.
    Poll,
    /// A readiness of our own, which stands in the mailbox.
    Mailbox,
    /// The flush, as soon as there is room for more replies.
    Flush,
    /// The line of those that wait until fewer frames of all connections are in flight.
    Line,
    /// The line of those that want to look, of whom few have their turn at a time.
    Looks,
}

/// Whether more of a connection may be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It may.
    Open,
    /// Not before the answer to what was decoded last, which may be the end of the connection.
    Shut,
    /// Not before the answer to a request to look, which may be large.
    Looks,
}

/// In which place an accepted connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In that of a client, or it was dialed.
    Regular,
    /// Beyond the limit, in the reserve.
    Beyond,
    /// Beyond the limit, and it spoke like a peer.
    Promoted,
    /// Beyond the limit, and an operator looks or operates there.
    Operator,
}

/// Why a connection was closed.
#[derive(Debug)]
pub enum CloseReason {
    /// The other side closed, and everything that it asked was answered.
    Ended,
    /// The other side was told what was wrong.
    Told,
    /// Reading or writing failed.
    Io(io::Error),
    /// The connection could not be made.
    Dial(io::Error),
    /// A frame of a peer could not be read.
    Wire(ipseity_frames::WireError),
    /// The actor gave a peer up.
    HungUp(ipseity_core::actor::HangUp),
    /// It left its replies unread for so long.
    Unread(Duration),
    /// It was idle for so long.
    Idle(Duration),
    /// Too many bytes of replies wait for all connections, and so many for this one.
    Crowded(usize),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Ended => f.write_str("the other side closed the connection"),
            CloseReason::Told => f.write_str("closed after an error reply"),
            CloseReason::Io(error) => write!(f, "connection lost: {error}"),
            CloseReason::Dial(error) => write!(f, "cannot connect: {error}"),
            CloseReason::Wire(error) => write!(f, "it sent what is no answer: {error}"),
            CloseReason::HungUp(cause) => cause.fmt(f),
            CloseReason::Unread(wait) => {
                write!(f, "it left its replies unread for {} ms", wait.as_millis())
            }
            CloseReason::Idle(wait) => write!(f, "idle for {} ms", wait.as_millis()),
            CloseReason::Crowded(bytes) => write!(
                f,
                "too many replies wait unread (--max-pending-bytes-total), {bytes} bytes of them for this connection"
            ),
        }
    }
}

/// Whether the actor names the connection, beyond the requests that it is owed an answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// It does not.
    Unknown,
    /// It knows it as a link to a peer.
    Known,
    /// The same, and the connection is closed: `peerDisconnected` is on its way.
    Leaving,
}

/// Under which terms a connection was made. They hold as long as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) origin: Origin,
    pub(crate) codec: Codec,
    pub(crate) grants: Grants,
}

/// One connection.
#[derive(Debug)]
pub struct Connection<S> {
    pub(crate) id: ConnectionId,
    /// Gone as soon as the connection is closed and reaped, while the slot may still be held.
    pub(crate) socket: Option<S>,
    pub(crate) origin: Origin,
    /// How it speaks.
    pub(crate) codec: Codec,
    /// What it may do.
    pub(crate) grants: Grants,
    /// Where a peer comes from. Kept, because a socket forgets it as soon as it is reset; boxed, because few
    /// connections are peers.
    pub(crate) address: Option<Box<SocketAddr>>,
    pub(crate) state: ConnectionState,
    pub(crate) inflow: Inflow,
    pub(crate) resume: Resume,
    pub(crate) place: Place,
    pub(crate) gate: Gate,
    /// Stands in the list of those to be flushed.
    pub(crate) dirty: bool,
    pub(crate) link: LinkState,
    /// Frames decoded and not answered.
    pub(crate) owed: u32,
    /// Bytes that waited for it after the last flush, as they stand in the sum over all connections.
    pub(crate) counted: u32,
    /// When a frame was last completed or begun, or a reply last written.
    pub(crate) progress_at: Instant,
    pub(crate) buffers: Option<Box<Buffers>>,
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
        } = terms;
        Connection {
            id,
            socket: Some(socket),
            origin,
            codec,
            grants,
            address: None,
            state,
            inflow: Inflow::Empty,
            resume: Resume::Poll,
            place: match state {
                ConnectionState::Reserve => Place::Beyond,
                ConnectionState::Connecting
                | ConnectionState::Open
                | ConnectionState::Draining
                | ConnectionState::Lingering
                | ConnectionState::Closed => Place::Regular,
            },
            gate: Gate::Open,
            dirty: false,
            link: LinkState::Unknown,
            owed: 0,
            counted: 0,
            progress_at: now,
            buffers: None,
        }
    }

    /// The bytes that arrived and are decoded no further.
    pub(crate) fn input(&self) -> &[u8] {
        self.buffers.as_ref().map_or(&[], |buffers| &buffers.input)
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

    /// Whether nothing is under way on it and nothing stands against it: an open connection of a client that has been
    /// answered. Nearly every readiness is that of one.
    #[inline]
    pub(crate) fn is_at_rest(&self) -> bool {
        let is_at_rest = self.state == ConnectionState::Open
            && self.origin == Origin::Accepted
            && self.grants.has(Grant::Take)
            && self.buffers.is_none()
            && self.owed == 0
            && self.resume == Resume::Poll
            && self.inflow == Inflow::Empty;
        debug_assert!(!is_at_rest || self.gate == Gate::Open);
        is_at_rest
    }

    /// Notes what the poll says of the incoming side.
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

    /// Whether a read of so many bytes, where there was space for so many, has emptied the socket. For a plain socket
    /// a short read has. What stands between the socket and the codec has to answer for what it keeps.
    #[inline(always)]
    pub(crate) fn is_emptied_by(&self, bytes: usize, space: usize) -> bool {
        bytes < space
    }

    /// Whether its slot is held: it is owed an answer, or the actor names it.
    pub(crate) fn is_held(&self) -> bool {
        // bug LinkNotHeld: return self.owed > 0;
        self.owed > 0 || self.link != LinkState::Unknown
    }

    /// Whether it is made to wait by the server.
    pub(crate) fn is_held_up(&self) -> bool {
        matches!(self.resume, Resume::Flush | Resume::Line | Resume::Looks)
    }

    /// Whether somebody goes on with what may be left to read. The poll tells of each change once, so this holds
    /// whenever the connection is left alone.
    pub(crate) fn is_taken_up(&self) -> bool {
        let is_read = matches!(self.state, ConnectionState::Open | ConnectionState::Reserve);
        !is_read || self.resume != Resume::Poll || !self.inflow.may_hold_more()
    }

    /// Whether another frame may be decoded: everything that a client could make the server hold for it is
    /// bounded here.
    pub(crate) fn has_room(&self, pending_bytes_max: usize) -> bool {
        self.gate == Gate::Open
            && (self.owed as usize) < FRAMES_PER_CONNECTION_MAX
            && self.pending_bytes() < pending_bytes_max
    }

    /// What waits to be written, for more to be appended.
    #[inline]
    pub(crate) fn replies(&mut self, pool: &mut BufferPool) -> Replies<'_> {
        let codec = self.codec;
        Replies::new(codec, &mut self.buffers(pool).output)
    }

    /// Writes what waits, until it is all gone or the kernel takes no more.
    ///
    /// # Errors
    /// The connection is broken.
    #[inline(always)]
    pub(crate) fn flush(&mut self) -> io::Result<Flushed> {
        let (Some(buffers), Some(socket)) = (&mut self.buffers, &mut self.socket) else {
            return Ok(Flushed::Nothing);
        };
        let Buffers {
            output, written, ..
        } = &mut **buffers;
        if output.is_empty() {
            return Ok(Flushed::Nothing);
        }
        let before = *written;
        loop {
            match socket.write(&output[*written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => *written += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            // Nearly always the kernel takes all at once.
            if *written == output.len() {
                output.clear();
                *written = 0;
                return Ok(Flushed::All);
            }
        }
        let progress = *written > before;
        // What has left makes room as soon as it is half of all: a client that is always behind with reading
        // would else make the buffer grow for ever, and moving less than has left costs next to nothing.
        if *written >= output.len() / 2 {
            output.drain(..*written);
            *written = 0;
        }
        Ok(Flushed::Part { progress })
    }

    /// Gives the buffers back when nothing stands in them.
    #[inline(always)]
    pub(crate) fn release_buffers(&mut self, pool: &mut BufferPool) {
        if let Some(buffers) = self.buffers.take_if(|buffers| buffers.is_empty()) {
            pool.put(buffers);
        }
    }

    /// The deadline that the connection is under, if any: not one on idleness while something is under way,
    /// but on progress.
    pub(crate) fn deadline(&self, idle_timeout: Option<Duration>) -> Option<(Instant, Overdue)> {
        let (wait, overdue) = match self.state {
            ConnectionState::Connecting => (DIAL_TIMEOUT, Overdue::Dial),
            ConnectionState::Lingering => (LINGER_TIMEOUT, Overdue::Linger),
            ConnectionState::Closed => return None,
            _ if self.pending_bytes() > 0 => (WRITE_TIMEOUT, Overdue::Unread),
            ConnectionState::Reserve => (RESERVE_TIMEOUT, Overdue::Reserve),
            ConnectionState::Open if !self.is_held_up() && !self.input().is_empty() => {
                (FRAME_TIMEOUT, Overdue::Frame)
            }
            ConnectionState::Open if self.may_idle() => (idle_timeout?, Overdue::Idle),
            ConnectionState::Open | ConnectionState::Draining => return None,
        };
        Some((self.progress_at.after(wait), overdue))
    }

    /// Whether the other side is a peer: it was dialed, or the actor has taken it for one.
    pub(crate) fn is_peer(&self) -> bool {
        self.link == LinkState::Known || matches!(self.origin, Origin::Dialed(_))
    }

    /// Whether doing nothing is held against it: not against peers, whose silence the actor judges, and not
    /// while it waits for the server.
    fn may_idle(&self) -> bool {
        let waits = self.owed > 0 || self.is_held_up();
        !waits && self.link == LinkState::Unknown && self.origin == Origin::Accepted
    }

    fn buffers(&mut self, pool: &mut BufferPool) -> &mut Buffers {
        self.buffers.get_or_insert_with(|| pool.take())
    }
}

/// What a flush came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing waited.
    Nothing,
    /// Everything has left.
    All,
    /// The kernel takes no more for now.
    Part {
        /// Whether anything has left.
        progress: bool,
    },
}

/// What a connection is late with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// With being connected.
    Dial,
    /// With showing that it is a peer.
    Reserve,
    /// With completing a frame.
    Frame,
    /// With reading its replies.
    Unread,
    /// With anything at all.
    Idle,
    /// With closing its side.
    Linger,
}
