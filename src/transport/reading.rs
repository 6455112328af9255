//! Reading and decoding: bytes come out of a socket, and every frame goes into the mailbox.

use std::io;

use super::{Transport, TransportLimits, get_mut, mark_dirty};
use crate::{
    actor::{ConnectionId, Count, Event, Link},
    connection::{CloseReason, Connection, ConnectionState, Origin},
    edge::Socket,
    limits::{
        FRAMES_IN_FLIGHT_MAX, FRAMES_PER_CONNECTION_MAX, READ_BYTES_MAX, RESERVE_CONNECTIONS_MAX,
    },
    mailbox::{Entry, Mailbox, Readiness},
    time::Instant,
    wire::{FrameDecoder, Message, WireError},
};

/// How decoding ended.
enum Decoded {
    /// All that was there is decoded; more has to be read.
    All,
    /// The gate closed before that.
    Gate,
    /// A frame that nobody owes an answer, and of which nothing else keeps count: the next one has to wait
    /// until this one was handled.
    Turn,
    /// The bytes are no frame.
    Broken(WireError),
}

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
        if !stalled.is_empty() || *in_flight >= FRAMES_IN_FLIGHT_MAX {
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
                    if !c.close_hint {
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
            Decoded::Broken(error) => self.broken(id, error, mailbox),
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
                mailbox.dispatch(Entry::Ready {
                    connection: id,
                    readiness: Readiness::READABLE,
                });
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
                    mailbox.dispatch(Entry::Ready {
                        connection: id,
                        readiness: Readiness::READABLE,
                    });
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

/// Takes whole frames out of the decoder and puts them into the mailbox, as many as there is room for.
fn decode<S: Socket>(
    c: &mut Connection<S>,
    decoder: &mut FrameDecoder,
    limits: &TransportLimits,
    in_flight: &mut usize,
    promoted: &mut usize,
    mailbox: &mut Mailbox,
) -> Decoded {
    if !c.has_room(limits.pending_bytes_max) {
        return Decoded::Gate;
    }
    let room = (FRAMES_PER_CONNECTION_MAX - c.owed as usize)
        .min(FRAMES_IN_FLIGHT_MAX.saturating_sub(*in_flight));
    let receiver = c.receiver();
    let from = c.id;
    for _ in 0..room {
        let event = match decoder.next(receiver) {
            Ok(None) => return Decoded::All,
            Err(error) => return Decoded::Broken(error),
            Ok(Some(message)) => match (message, c.origin) {
                (Message::IdentityRequest { count, after }, Origin::Accepted)
                    if c.state == ConnectionState::Open =>
                {
                    Event::IdentityRequest {
                        from,
                        count: Count::saturating(count),
                        after,
                    }
                }
                (Message::SyncRequest(sync), Origin::Accepted)
                    if c.state == ConnectionState::Open || *promoted < RESERVE_CONNECTIONS_MAX =>
                {
                    if c.state == ConnectionState::Reserve {
                        // The reserve is for peers.
                        c.state = ConnectionState::Open;
                        c.is_promoted = true;
                        *promoted += 1;
                    }
                    // It may be refused, and then nothing behind it is to be looked at.
                    c.heavy = true;
                    if c.address.is_none() {
                        let address = c
                            .socket
                            .as_ref()
                            .and_then(|socket| socket.peer_address().ok());
                        c.address = address.map(Box::new);
                    }
                    Event::SyncRequest { from, sync }
                }
                (_, Origin::Accepted) if c.state == ConnectionState::Reserve => {
                    let connections_max = limits.connections_max;
                    return Decoded::Broken(WireError::TooManyConnections { connections_max });
                }
                (Message::StatusRequest, Origin::Accepted) => {
                    // Its reply may be large.
                    c.heavy = true;
                    Event::StatusRequest { from }
                }
                (Message::MembersRequest { from: first }, Origin::Accepted) => {
                    c.heavy = true;
                    c.owed += 1;
                    *in_flight += 1;
                    let event = Event::MembersRequest { from, first };
                    mailbox.dispatch(Entry::Event(event));
                    return Decoded::Gate;
                }
                (Message::ForgetRequest { pid }, Origin::Accepted) => {
                    let trusted = is_trusted(c, limits);
                    Event::ForgetRequest { from, pid, trusted }
                }
                (Message::AdvanceRequest { above }, Origin::Accepted) => {
                    let trusted = is_trusted(c, limits);
                    Event::AdvanceRequest {
                        from,
                        trusted,
                        above,
                    }
                }
                // What follows answers a question of this server, or nothing at all: no answer is owed.
                (Message::Objection(objection), _) if c.is_peer() => {
                    let heard = Box::new((link(c), *objection));
                    mailbox.dispatch(Entry::Event(Event::Objection(heard)));
                    return Decoded::Turn;
                }
                (Message::Overrule(overrule), _) if c.is_peer() => {
                    let heard = Box::new((link(c), *overrule));
                    mailbox.dispatch(Entry::Event(Event::Overrule(heard)));
                    return Decoded::Turn;
                }
                (Message::SyncReply(sync), Origin::Dialed(from)) => {
                    mailbox.dispatch(Entry::Event(Event::SyncReply { from, sync }));
                    return Decoded::Turn;
                }
                (Message::ErrorReply(error), Origin::Dialed(from)) => {
                    mailbox.dispatch(Entry::Event(Event::ErrorReply { from, error }));
                    return Decoded::Turn;
                }
                (message, _) => {
                    return Decoded::Broken(WireError::UnexpectedKind(message.kind()));
                }
            },
        };
        c.owed += 1;
        *in_flight += 1;
        mailbox.dispatch(Entry::Event(event));
        if c.heavy {
            break;
        }
    }
    Decoded::Gate
}

/// The name under which the actor knows the other side, if it is a peer.
fn link<S>(c: &Connection<S>) -> Link {
    match c.origin {
        Origin::Accepted => Link::Accepted(c.id),
        Origin::Dialed(peer) => Link::Dialed(peer),
    }
}

/// Whether an operator may come from where this connection comes from.
fn is_trusted<S: Socket>(c: &Connection<S>, limits: &TransportLimits) -> bool {
    let address = c
        .socket
        .as_ref()
        .and_then(|socket| socket.peer_address().ok());
    address.is_some_and(|address| {
        // An IPv4 address that came in over an IPv6 socket is still itself.
        let ip = address.ip().to_canonical();
        ip.is_loopback() || limits.trusted.contains(&ip)
    })
}
