//! Codecs: they turn bytes into messages and messages into bytes. A connection keeps the same codec for its whole
//! life.
//!
//! Codecs are a closed set. The loop sees only messages, so the guarantees are the same for every codec. A new codec
//! is an arm here and a row in the table of listeners. This module puts requests for identities into the mailbox. It
//! does no I/O and decides nothing.

mod http;

use ipseity_core::{
    actor::{Ahead, Event},
    identity::Identity,
    ids::{ConnectionId, Count},
    words::Message,
};
use ipseity_frames::{FrameDecoder, Kind, Receiver, WireError, encode, encode_identities};
use ipseity_http::{Exchange, HostNames, What};

use self::http::NextPage;
pub use self::http::PageAnswer;
use crate::mailbox::{Entry, HttpRequest, Mailbox};

/// How a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// The binary frames of docs/protocol.md. The receiver decides which messages are allowed.
    Frames(Receiver),
    /// HTTP, docs/http.md. It notes how the request that is not answered yet has to be answered. There is one at a time.
    Http(Exchange),
}

/// What a codec has taken out of the bytes.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A message.
    Message(Message),
    /// A request by HTTP that the server answers itself.
    Http(HttpRequest),
}

impl Codec {
    /// The name of each codec in the status and in metrics, in the order of [`kind`](Self::kind).
    pub const NAMES: [&str; 2] = ["frames", "http"];

    /// Which codec it is, whatever it was told about a connection: a place in [`NAMES`](Self::NAMES).
    pub const fn kind(self) -> usize {
        match self {
            Codec::Frames(_) => 0,
            Codec::Http(_) => 1,
        }
    }

    /// The next whole message, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// The bytes are not a message that is allowed here. Nothing can be read after an error.
    #[inline]
    pub(crate) fn next(
        &mut self,
        read: &mut FrameDecoder,
        hosts: &HostNames,
    ) -> Result<Option<Inbound>, WireError> {
        match self {
            Codec::Frames(receiver) => Ok(read.next(*receiver)?.map(Inbound::Message)),
            Codec::Http(exchange) => Ok(http::next(exchange, read, hosts)),
        }
    }

    /// Whether the next message asks to look: a request for the status or the members.
    pub(crate) fn looks_next(self, read: &FrameDecoder) -> bool {
        match self {
            Codec::Frames(_) => next_kind(read).is_some_and(|kind| LOOKS.contains(&kind)),
            Codec::Http(_) => http::next_page(read) == Some(NextPage::Look),
        }
    }

    /// Whether the next message is a request for a page that is answered at once, whatever waits.
    pub(crate) fn page_next(self, read: &FrameDecoder) -> bool {
        match self {
            Codec::Frames(_) => false,
            Codec::Http(_) => http::next_page(read) == Some(NextPage::Other),
        }
    }

    /// Whether this is HTTP. There, a request is decoded only when the one before it was answered.
    pub(crate) fn is_http(self) -> bool {
        match self {
            Codec::Frames(_) => false,
            Codec::Http(_) => true,
        }
    }

    /// Whether the request that is not answered yet asks for identities by HTTP.
    pub(crate) fn asks_for_identities_by_http(self) -> bool {
        match self {
            Codec::Frames(_) => false,
            Codec::Http(exchange) => exchange.asks() == What::Identities,
        }
    }

    /// Whether the connection ends with the next answer.
    pub(crate) fn ends_with_answer(self) -> bool {
        match self {
            Codec::Frames(_) => false,
            Codec::Http(exchange) => exchange.closes(),
        }
    }

    /// The connection ends with the answer to the request that was taken last.
    pub(crate) fn end_after_answer(&mut self) {
        if let Codec::Http(exchange) = self {
            *exchange = exchange.closing();
        }
    }

    /// The request that was taken last is refused before anybody counts it, and the connection ends with the answer.
    pub(crate) fn refuse_asked(&mut self) {
        if let Codec::Http(exchange) = self {
            *exchange = exchange.refusing();
        }
    }

    /// What comes next is not a request, and nothing more can be read. The answer says so.
    pub(crate) fn end_with_refusal(&mut self) {
        if let Codec::Http(exchange) = self {
            *exchange = Exchange::default();
        }
    }

    /// Whether the next message may be one that a peer sends unasked and that is owed no answer. True too as long as its
    /// kind has not arrived.
    pub(crate) fn word_may_be_next(self, read: &FrameDecoder) -> bool {
        match self {
            Codec::Frames(_) => next_kind(read).is_none_or(|kind| WORDS.contains(&kind)),
            Codec::Http(_) => false,
        }
    }
}

/// What asks to look.
const LOOKS: [u8; 2] = [Kind::StatusRequest as u8, Kind::MembersRequest as u8];

/// What a peer sends unasked, and is owed no answer.
const WORDS: [u8; 5] = [
    Kind::Objection as u8,
    Kind::Overrule as u8,
    Kind::Probe as u8,
    Kind::Alive as u8,
    Kind::Goodbye as u8,
];

/// The kind of the next frame, once it has arrived.
fn next_kind(read: &FrameDecoder) -> Option<u8> {
    match read.rest() {
        [_, _, kind, ..] => Some(*kind),
        _ => None,
    }
}

/// Requests for identities that were put into the mailbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// How many.
    pub(crate) requests: usize,
    /// Whether the last one may have to wait for the disk before it is decided.
    pub(crate) last_may_wait: bool,
}

/// The replies of one connection. They are words until its codec writes them.
#[derive(Debug)]
pub struct Replies<'a> {
    codec: &'a Codec,
    output: &'a mut Vec<u8>,
    /// How many replies were added.
    count: u32,
}

impl Replies<'_> {
    #[inline(always)]
    pub(crate) fn new<'a>(codec: &'a Codec, output: &'a mut Vec<u8>) -> Replies<'a> {
        let count = 0;
        Replies {
            codec,
            output,
            count,
        }
    }

    /// Whether they are frames.
    #[inline(always)]
    pub fn are_frames(&self) -> bool {
        matches!(self.codec, Codec::Frames(_))
    }

    /// Adds a reply.
    #[inline]
    pub fn message(&mut self, message: &Message) {
        match *self.codec {
            Codec::Frames(_) => encode(message, self.output),
            Codec::Http(exchange) => http::write(exchange, message, self.output),
        }
        self.count += 1;
    }

    /// Adds an identityReply.
    pub fn identities(&mut self, first: Identity, count: u32) {
        match *self.codec {
            Codec::Frames(_) => self.identities_in_frames(first, count),
            Codec::Http(exchange) => {
                ipseity_http::write_identities(exchange, first, count, self.output);
                self.count += 1;
            }
        }
    }

    /// Adds an identityReply to frames. The caller has asked once for many replies whether they
    /// [are frames](Self::are_frames).
    #[inline(always)]
    pub fn identities_in_frames(&mut self, first: Identity, count: u32) {
        debug_assert!(self.are_frames());
        encode_identities(first, count, self.output);
        self.count += 1;
    }

    /// Adds what a page says. Only HTTP has pages.
    pub fn page(&mut self, answer: &PageAnswer) {
        debug_assert!(!self.are_frames(), "only HTTP asks for a page");
        if let Codec::Http(exchange) = *self.codec {
            answer.write(exchange, self.output);
        }
        self.count += 1;
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }
}

/// Takes requests for identities from the start of what was read in frames, until something else comes, at most `room` of
/// them, and puts each into the mailbox. Nearly always there is nothing else. It stops after a request that may wait
/// alone.
#[inline(always)]
pub(crate) fn take_framed_requests(
    from: ConnectionId,
    decoder: &mut FrameDecoder,
    room: usize,
    ahead: Ahead,
    mailbox: &mut Mailbox,
) -> Asked {
    let mut last_may_wait = false;
    // The smallest requests are the same three bytes each, and their entries are all the same.
    let bare = decoder.take_bare_identity_requests(room);
    mailbox.dispatch_bare_requests(from, bare);
    if bare == room || decoder.is_empty() {
        return Asked {
            requests: bare,
            last_may_wait,
        };
    }
    let mut taken = bare;
    let mut requests = decoder.identity_requests();
    while taken < room
        && !last_may_wait
        && let Some((count, after)) = requests.next()
    {
        last_may_wait = ahead.may_wait(count, after);
        let count = Count::saturating(count);
        mailbox.dispatch(Entry::Event(Event::IdentityRequest { from, count, after }));
        taken += 1;
    }
    Asked {
        requests: taken,
        last_may_wait,
    }
}
