//! Codecs: bytes in and messages out, messages in and bytes out. A connection has one, from its first byte to its last.
//!
//! They are a closed set: what the loop sees are messages, so what is promised does not depend on who asks how. A new
//! codec is an arm here and a row in the table of listeners. It may import `words` and `frames`, and puts requests
//! for identities into the mailbox; it does no I/O and decides nothing.

use ipseity_core::{
    actor::Event,
    identity::Identity,
    ids::{ConnectionId, Count},
    words::Message,
};
use ipseity_frames::{FrameDecoder, Kind, Receiver, WireError, encode, encode_identities};

use crate::mailbox::{Entry, Mailbox};

/// How a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// The binary frames of docs/protocol.md, of which the receiver decides what is taken.
    Frames(Receiver),
}

impl Codec {
    /// Takes requests for identities from the front of what was read, one after the other, as long as nothing else
    /// stands between them, and puts each into the mailbox: nearly always that is all there is. Returns how many.
    #[inline(always)]
    pub(crate) fn take_identity_requests(
        self,
        from: ConnectionId,
        read: &mut FrameDecoder,
        room: usize,
        mailbox: &mut Mailbox,
    ) -> usize {
        match self {
            Codec::Frames(_) => take_framed_requests(from, read, room, mailbox),
        }
    }

    /// The next whole message of what was read, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// The bytes are no message that may be said here. Nothing can be read after an error.
    #[inline]
    pub(crate) fn next(self, read: &mut FrameDecoder) -> Result<Option<Message>, WireError> {
        match self {
            Codec::Frames(receiver) => read.next(receiver),
        }
    }

    /// Whether the message at the front of what was read asks to look: at the status, or at the members.
    pub(crate) fn looks_next(self, read: &FrameDecoder) -> bool {
        match self {
            Codec::Frames(_) => match read.rest() {
                [_, _, kind, ..] => {
                    [Kind::StatusRequest as u8, Kind::MembersRequest as u8].contains(kind)
                }
                _ => false,
            },
        }
    }

    /// Appends what says `message`.
    #[inline]
    pub(crate) fn write(self, message: &Message, output: &mut Vec<u8>) {
        match self {
            Codec::Frames(_) => encode(message, output),
        }
    }

    /// The same for an identityReply.
    #[inline(always)]
    fn write_identities(self, first: Identity, count: u32, output: &mut Vec<u8>) {
        match self {
            Codec::Frames(_) => encode_identities(first, count, output),
        }
    }
}

/// Where the replies of one connection go: they are words until its codec writes them.
#[derive(Debug)]
pub struct Replies<'a> {
    codec: Codec,
    output: &'a mut Vec<u8>,
    /// How many were given.
    count: u32,
}

impl Replies<'_> {
    pub(crate) fn new(codec: Codec, output: &mut Vec<u8>) -> Replies<'_> {
        let count = 0;
        Replies {
            codec,
            output,
            count,
        }
    }

    /// Gives one.
    #[inline]
    pub fn message(&mut self, message: &Message) {
        self.codec.write(message, self.output);
        self.count += 1;
    }

    /// Gives an identityReply.
    #[inline(always)]
    pub fn identities(&mut self, first: Identity, count: u32) {
        self.codec.write_identities(first, count, self.output);
        self.count += 1;
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }
}

#[inline(always)]
fn take_framed_requests(
    from: ConnectionId,
    decoder: &mut FrameDecoder,
    room: usize,
    mailbox: &mut Mailbox,
) -> usize {
    // The smallest of them are told by looking at three bytes, and their entries are all the same.
    let bare = decoder.take_bare_identity_requests(room);
    mailbox.dispatch_bare_requests(from, bare);
    if bare == room || decoder.is_empty() {
        return bare;
    }
    let mut taken = bare;
    let mut requests = decoder.identity_requests();
    while taken < room
        && let Some((count, after)) = requests.next()
    {
        let count = Count::saturating(count);
        mailbox.dispatch(Entry::Event(Event::IdentityRequest { from, count, after }));
        taken += 1;
    }
    taken
}
