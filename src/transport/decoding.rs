//! Decoding: the bytes that were read become frames, and every frame becomes an entry of the mailbox.

use super::shared::Shared;
use ipseity_core::{
    actor::Event,
    ids::{Count, Link},
    words::{ErrorCode, Grant, Message},
};
use ipseity_frames::{Kind, WireError};

use crate::{
    codec::{Inbound, take_framed_requests},
    connection::{Connection, ConnectionState, Gate, Opening, Origin, Place},
    edge::Socket,
    limits::{
        FRAMES_PER_CONNECTION_MAX, RESERVE_CONNECTIONS_MAX, RESERVE_OPERATORS_MAX,
        RESERVE_UNNAMED_MAX,
    },
    mailbox::{Entry, HttpRequest, Mailbox, Page},
};

/// How decoding ended.
pub(super) enum Decoded {
    /// Everything that was read is decoded; more has to be read.
    All,
    /// The gate closed before everything was decoded.
    Gate,
    /// The next frame is a request to look, and the allowed number of them is already under way.
    Looks,
    /// The last frame is owed no answer, and no other count bounds such frames. The next one waits until this one is
    /// handled.
    Turn,
    /// The bytes are not a valid frame. Boxed, so that the other variants fit into registers.
    Broken(Box<WireError>),
}

impl Shared {
    /// Takes whole frames out of the decoder and puts them into the mailbox, until so many frames of all connections are
    /// in flight, or its own bounds are reached.
    pub(super) fn decode<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        until: usize,
        mailbox: &mut Mailbox,
    ) -> Decoded {
        let of_all = match c.origin {
            Origin::Accepted => until.saturating_sub(self.in_flight),
            // Messages of a dialed peer are owed no answer, so they do not count as in flight.
            Origin::Dialed(_) => FRAMES_PER_CONNECTION_MAX,
        };
        self.decode_up_to(of_all, c, mailbox)
    }

    /// The same, where `of_all` is the room that is left for frames of all connections. When there is none, a request
    /// to look is taken anyway: people can always get the status, whatever waits.
    pub(super) fn decode_up_to<S: Socket>(
        &mut self,
        of_all: usize,
        c: &mut Connection<S>,
        mailbox: &mut Mailbox,
    ) -> Decoded {
        if !c.has_room(self.limits.pending_bytes_max) {
            return self.decode_at_gate(c, mailbox);
        }
        let room = (FRAMES_PER_CONNECTION_MAX - c.owed as usize).min(of_all);
        let codec = c.codec;
        let serves = c.origin == Origin::Accepted
            && c.state == ConnectionState::Open
            && c.grants.has(Grant::Take)
            && !codec.is_http();
        let mut taken = 0;
        loop {
            if serves {
                let (decoder, ahead) = (&mut self.decoder, self.ahead);
                let left = room - taken;
                let asked = take_framed_requests(c.id, decoder, left, ahead, mailbox);
                c.owed += asked.requests as u32;
                self.in_flight += asked.requests;
                taken += asked.requests;
                if asked.requests > 0 {
                    c.opening = Opening::Spoken;
                }
                if asked.last_may_wait {
                    self.let_wait_alone(c);
                    break;
                }
            }
            if self.decoder.is_empty() {
                return Decoded::All;
            }
            // bug PipelineUngated instead: if codec.is_http() && c.owed > 0 && !BUG {
            if codec.is_http() && c.owed > 0 {
                // It is decoded when the one before it is answered.
                c.gate = Gate::Shut;
                break;
            }
            let looks = codec.looks_next(&self.decoder) && c.origin == Origin::Accepted;
            // Only where there is no room does it matter whether a page comes next.
            let passes = || of_all == 0 && taken == 0 && (looks || codec.page_next(&self.decoder));
            if taken == room && !passes() {
                break;
            }
            if looks && c.owed > 0 {
                // Earlier requests may wait for the disk. The look is decoded when they are answered, because
                // one that waits would keep its turn from all others.
                c.gate = Gate::Shut;
                break;
            }
            if looks && self.looks_left == 0 {
                return Decoded::Looks;
            }
            let inbound = match c.codec.next(&mut self.decoder, &self.limits.hosts) {
                Ok(Some(inbound)) => inbound,
                Ok(None) => return Decoded::All,
                Err(error) => return Decoded::Broken(Box::new(error)),
            };
            taken += 1;
            c.opening = Opening::Spoken;
            let what = match inbound {
                Inbound::Message(message) => self.take(c, message),
                Inbound::Http(request) => self.take_http(c, request),
            };
            match what {
                Taken::Request(entry) => self.owe(c, entry, mailbox),
                Taken::Word(event) => {
                    mailbox.dispatch(Entry::Event(event));
                    return Decoded::Turn;
                }
                Taken::Refused(error) => return Decoded::Broken(Box::new(error)),
            }
            if c.codec.ends_with_answer() && c.gate == Gate::Open {
                // The answer ends the connection.
                c.gate = Gate::Shut;
            }
            if c.gate != Gate::Open {
                break;
            }
        }
        // bug RequestLostAtGate: let _ = c.codec.next(&mut self.decoder, &self.limits.hosts);
        self.decode_at_gate(c, mailbox)
    }

    /// No request may be decoded now. Takes one message that is owed no answer, if that may be taken and comes next.
    #[cold]
    fn decode_at_gate<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        mailbox: &mut Mailbox,
    ) -> Decoded {
        if !c.hears_words() || !c.codec.word_may_be_next(&self.decoder) {
            return Decoded::Gate;
        }
        let message = match c.codec.next(&mut self.decoder, &self.limits.hosts) {
            Ok(Some(Inbound::Message(message))) => message,
            Ok(None) => return Decoded::All,
            // Only HTTP has it, and nobody says anything unasked there.
            Ok(Some(Inbound::Http(_))) => return Decoded::Gate,
            Err(error) => return Decoded::Broken(Box::new(error)),
        };
        match self.take(c, message) {
            Taken::Word(event) => {
                mailbox.dispatch(Entry::Event(event));
                Decoded::Turn
            }
            Taken::Refused(error) => Decoded::Broken(Box::new(error)),
            // It may not say this any more, and is told so.
            Taken::Request(entry) => {
                self.owe(c, entry, mailbox);
                Decoded::Gate
            }
        }
    }

    /// Puts what is owed an answer into the mailbox.
    pub(super) fn owe<S>(&mut self, c: &mut Connection<S>, entry: Entry, mailbox: &mut Mailbox) {
        c.owed += 1;
        self.in_flight += 1;
        mailbox.dispatch(entry);
    }

    /// Turns a request by HTTP into an entry. A probe is answered whoever it is, and even beyond the limit.
    #[cold]
    fn take_http<S: Socket>(&mut self, c: &mut Connection<S>, request: HttpRequest) -> Taken {
        let is_beyond = c.state == ConnectionState::Reserve;
        match request {
            HttpRequest::Page(Page::Live | Page::Ready) | HttpRequest::Refused(_) => {
                if is_beyond {
                    c.codec.end_after_answer();
                }
            }
            HttpRequest::Page(Page::Overview) if is_beyond => {
                return self.refuse_beyond(c);
            }
            HttpRequest::Page(Page::Overview) => {
                // It is of no use to those who may not look.
                if let Err(error) = c.grants.check(&Message::StatusRequest, c.decided_by()) {
                    let error = Box::new(error);
                    return Taken::event(Event::Denied { from: c.id, error });
                }
            }
        }
        Taken::Request(Entry::Http(Box::new((c.id, request))))
    }

    /// Turns a message into the actor's event.
    #[inline(never)]
    fn take<S: Socket>(&mut self, c: &mut Connection<S>, message: Message) -> Taken {
        let from = c.id;
        if c.state == ConnectionState::Reserve
            && c.grants.has(Grant::Operate)
            && message.is_for_operators()
            && !c.codec.is_http()
            && self.operators < RESERVE_OPERATORS_MAX
        {
            self.let_operator_in(c);
        }
        let is_reserve = c.state == ConnectionState::Reserve;
        // The only place that checks what a connection may do. Requests for identities that come in a row are checked
        // above: they are only taken from a connection that may make them.
        if c.origin == Origin::Accepted
            && let Err(error) = c.grants.check(&message, c.decided_by())
        {
            let is_claim = error.code == ErrorCode::NotAPeer.get();
            // A client that came when all places were taken is told so, and can go to another server. Who says that it
            // is a peer is told why it is not believed even then: it may be one with a new address.
            if (is_reserve && !is_claim) || c.place == Place::Operator {
                return self.refuse_beyond(c);
            }
            if is_claim {
                // The answer ends the connection.
                c.gate = Gate::Shut;
            }
            return Taken::event(Event::Denied {
                from,
                error: Box::new(error),
            });
        }
        match (message, c.origin) {
            (Message::IdentityRequest { count, after }, Origin::Accepted) if !is_reserve => {
                if self.ahead.may_wait(count, after) {
                    self.let_wait_alone(c);
                }
                let count = Count::saturating(count);
                Taken::event(Event::IdentityRequest { from, count, after })
            }
            (Message::SyncRequest(sync), Origin::Accepted)
                if !is_reserve || self.has_place_for_peer(c) =>
            {
                if is_reserve {
                    self.promote(c);
                }
                // The request may be refused, and then no other request behind it is served.
                c.gate = Gate::Words;
                self.keep_address(c);
                Taken::event(Event::SyncRequest { from, sync })
            }
            (_, Origin::Accepted) if is_reserve => self.refuse_beyond(c),
            (Message::StatusRequest, Origin::Accepted) => {
                self.shut_for_look(c);
                Taken::event(Event::StatusRequest { from })
            }
            (Message::MembersRequest { from: first }, Origin::Accepted) => {
                self.shut_for_look(c);
                Taken::event(Event::MembersRequest { from, first })
            }
            (Message::HelloRequest(hello), Origin::Accepted) => {
                // It may be refused, and then nothing behind it is served.
                c.gate = Gate::Shut;
                Taken::event(Event::HelloRequest { from, hello })
            }
            (Message::ForgetRequest { what }, Origin::Accepted) => {
                Taken::event(Event::ForgetRequest { from, what })
            }
            (Message::AdvanceRequest { above }, Origin::Accepted) => {
                self.let_wait_alone(c);
                Taken::event(Event::AdvanceRequest { from, above })
            }
            (Message::SyncReply(sync), Origin::Dialed(from)) => {
                Taken::Word(Event::SyncReply { from, sync })
            }
            (Message::ErrorReply(error), Origin::Dialed(from)) => {
                Taken::Word(Event::ErrorReply { from, error })
            }
            (Message::Objection(objection), _) if c.is_peer() => {
                Taken::Word(Event::Objection(Box::new((link(c), *objection))))
            }
            (Message::Overrule(overrule), _) if c.is_peer() => {
                Taken::Word(Event::Overrule(Box::new((link(c), *overrule))))
            }
            (Message::Probe(probe), _) if c.is_peer() => {
                Taken::Word(Event::Probe(Box::new((link(c), probe))))
            }
            (Message::Alive(probe), _) if c.is_peer() => {
                Taken::Word(Event::Alive(Box::new((link(c), probe))))
            }
            (Message::Goodbye(goodbye), _) if c.is_peer() => {
                Taken::Word(Event::Goodbye(Box::new((link(c), goodbye))))
            }
            (message, _) => Taken::Refused(WireError::UnexpectedKind(Kind::from(&message))),
        }
    }
}

impl Shared {
    /// Refuses what a connection beyond the limit asks for. By HTTP the answer has the form that was asked for.
    #[cold]
    fn refuse_beyond<S>(&mut self, c: &mut Connection<S>) -> Taken {
        let error = self.refusal(c);
        if !c.codec.is_http() {
            return Taken::Refused(error);
        }
        c.codec.refuse_asked();
        Taken::event(Event::Unknown {
            from: c.id,
            error: Box::new(error.reply()),
        })
    }

    /// The reply may be large, and so may the next one. So nothing more is decoded before it.
    fn shut_for_look<S>(&mut self, c: &mut Connection<S>) {
        c.gate = Gate::Looks;
        self.looks_in_flight += 1;
        self.looks_left -= 1;
    }

    /// Whether there is room beyond the limit for one more connection that speaks like a peer.
    fn has_place_for_peer<S: Socket>(&self, c: &Connection<S>) -> bool {
        let is_named = || {
            let socket = c.socket.as_ref();
            let address = socket.and_then(|socket| socket.peer_address().ok());
            address.is_some_and(|address| self.trust.is_named(address.ip()))
        };
        self.promoted < RESERVE_CONNECTIONS_MAX
            && (self.promoted < RESERVE_UNNAMED_MAX || is_named())
    }
}

/// What a message means for the server.
enum Taken {
    /// A request: an answer is owed.
    Request(Entry),
    /// An answer to this server, or a message that needs none: no answer is owed.
    Word(Event),
    /// A message that may not be sent on this connection.
    Refused(WireError),
}

impl Taken {
    /// A request that the actor answers.
    fn event(event: Event) -> Taken {
        Taken::Request(Entry::Event(event))
    }
}

/// The name that the actor uses for the other side if it is a peer.
fn link<S>(c: &Connection<S>) -> Link {
    match c.origin {
        Origin::Accepted => Link::Accepted(c.id),
        Origin::Dialed(peer) => Link::Dialed(peer),
    }
}
