//! Frames: a decoder that is fed bytes in any pieces and yields whole messages, and the encoder.

use std::borrow::Cow;

use byteorder::{BigEndian, ByteOrder};
use ipseity_core::{
    identity::Identity,
    words::{Message, SyncMessage, WIRE_VERSION},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    body::{body_bytes, decode_body, encode_body},
    error::WireError,
    kind::Kind,
    length::{LENGTH_BYTES, LENGTH_MAX, length_fits},
    limits::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES, READ_BUFFER_BYTES, SYNC_LENGTH_MAX},
};

/// Who reads. This decides which kinds of frames are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A server that reads from a connection which it accepted: requests.
    Server,
    /// A server that reads from a peer which it dialed: answers.
    Dialer,
    /// A client: answers.
    Client,
}

impl Receiver {
    /// Whether a frame of this kind may come from the other side.
    pub const fn takes(self, kind: Kind) -> bool {
        match self {
            Receiver::Server => matches!(
                kind,
                Kind::IdentityRequest
                    | Kind::SyncRequest
                    | Kind::StatusRequest
                    | Kind::Objection
                    | Kind::Overrule
                    | Kind::Probe
                    | Kind::Alive
                    | Kind::Goodbye
                    | Kind::MembersRequest
                    | Kind::HelloRequest
                    | Kind::ForgetRequest
                    | Kind::AdvanceRequest
            ),
            Receiver::Dialer => matches!(
                kind,
                Kind::SyncReply
                    | Kind::Objection
                    | Kind::Overrule
                    | Kind::Probe
                    | Kind::Alive
                    | Kind::Goodbye
                    | Kind::ErrorReply
            ),
            Receiver::Client => matches!(
                kind,
                Kind::IdentityReply
                    | Kind::StatusReply
                    | Kind::MembersReply
                    | Kind::HelloReply
                    | Kind::DoneReply
                    | Kind::ErrorReply
            ),
        }
    }

    /// The greatest length field of any frame that is accepted.
    const fn length_max(self) -> u16 {
        match self {
            Receiver::Server | Receiver::Dialer => SYNC_LENGTH_MAX,
            Receiver::Client => LENGTH_MAX,
        }
    }
}

/// Bytes in, messages out. It knows nothing of sockets: the caller fills [`space`](Self::space), says with
/// [`filled`](Self::filled) how much arrived, and takes messages with [`next`](Self::next) until there are no more.
///
/// A server has one decoder for all its connections. Between two reads a connection keeps only the bytes of an
/// unfinished frame, [`rest`](Self::rest), and gives them back with [`restore`](Self::restore). An idle connection
/// keeps nothing.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: Box<[u8]>,
    // consumed <= buffered <= buffer.len()
    consumed: usize,
    buffered: usize,
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameDecoder {
    /// A decoder without bytes. It takes [`READ_BUFFER_BYTES`] of memory, whatever arrives.
    pub fn new() -> FrameDecoder {
        FrameDecoder {
            buffer: vec![0; READ_BUFFER_BYTES].into_boxed_slice(),
            consumed: 0,
            buffered: 0,
        }
    }

    /// Forgets everything and begins with `bytes`, which arrived earlier.
    ///
    /// # Panics
    /// If `bytes` are more than the buffer holds. What [`rest`](Self::rest) returned always fits.
    #[inline(always)]
    pub fn restore(&mut self, bytes: &[u8]) {
        assert!(
            bytes.len() <= self.buffer.len(),
            "what is restored came from such a buffer"
        );
        self.buffer[..bytes.len()].copy_from_slice(bytes);
        self.consumed = 0;
        self.buffered = bytes.len();
        self.invariants();
    }

    /// Where the next bytes go. It is never empty once [`next`](Self::next) has returned `None`. Before that it may be
    /// empty, and a read into it would look like the end of the stream.
    #[inline(always)]
    pub fn space(&mut self) -> &mut [u8] {
        // The bytes that were consumed make room. Usually nothing has to be moved. Each byte of an unfinished frame is
        // moved once: after that it is at the front until the frame is whole.
        if self.consumed > 0 {
            self.buffer.copy_within(self.consumed..self.buffered, 0);
            self.buffered -= self.consumed;
            self.consumed = 0;
        }
        self.invariants();
        &mut self.buffer[self.buffered..]
    }

    /// Says that `bytes` bytes have been put at the front of [`space`](Self::space).
    #[inline(always)]
    pub fn filled(&mut self, bytes: usize) {
        assert!(
            bytes <= self.buffer.len() - self.buffered,
            "no more arrived than there was space"
        );
        self.buffered += bytes;
        self.invariants();
    }

    /// The bytes that have arrived and belong to no message yet.
    #[inline(always)]
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.consumed..self.buffered]
    }

    /// Whether every byte that has arrived was part of a message that was taken.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.consumed == self.buffered
    }

    /// Takes bytes off the front, which another codec than that of frames has understood.
    ///
    /// # Panics
    /// If there are fewer in [`rest`](Self::rest).
    pub fn consume(&mut self, bytes: usize) {
        assert!(
            bytes <= self.rest().len(),
            "what was understood has arrived"
        );
        self.consumed += bytes;
        self.invariants();
    }

    /// The next whole message, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// The bytes are not a frame that `receiver` accepts. Kind and length are checked as soon as they have arrived.
    /// Nothing can be read after an error: the caller closes the connection.
    // Not inlined, so that the loop that calls it keeps its registers for the common case.
    #[inline(never)]
    pub fn next(&mut self, receiver: Receiver) -> Result<Option<Message>, WireError> {
        match split(self.rest(), receiver)? {
            None => Ok(None),
            Some((kind, body)) => {
                let message = decode(kind, body)?;
                self.consumed += FRAME_HEADER_BYTES + body.len();
                self.invariants();
                Ok(Some(message))
            }
        }
    }

    /// Takes an identityRequest without a body, if it is all that has arrived. Returns whether it was.
    #[inline(always)]
    pub fn take_lone_bare_identity_request(&mut self) -> bool {
        let is_alone = self.rest() == BARE_REQUEST;
        if is_alone {
            self.consumed = self.buffered;
        }
        is_alone
    }

    /// Takes identityRequests without a body from the front, as many as stand there one after the other, and
    /// `most` at most. Returns how many.
    #[inline(always)]
    pub fn take_bare_identity_requests(&mut self, most: usize) -> usize {
        let mut rest = self.rest();
        let mut taken = 0;
        while most - taken >= BARE_AT_ONCE
            && let Some(behind) = rest.strip_prefix(BARE_REQUESTS.as_flattened())
        {
            rest = behind;
            taken += BARE_AT_ONCE;
        }
        while taken < most
            && let Some(behind) = rest.strip_prefix(&BARE_REQUEST)
        {
            rest = behind;
            taken += 1;
        }
        self.consumed = self.buffered - rest.len();
        taken
    }

    /// The count and the `after` of the messages at the front, as long as they are whole identityRequests:
    /// a fast [`next`](Self::next) for nearly everything that a server receives. bincode would give the same.
    #[inline(always)]
    pub fn identity_requests(&mut self) -> IdentityRequests<'_> {
        IdentityRequests {
            rest: &self.buffer[self.consumed..self.buffered],
            buffered: self.buffered,
            consumed: &mut self.consumed,
        }
    }

    fn invariants(&self) {
        debug_assert!(self.consumed <= self.buffered);
        debug_assert!(self.buffered <= self.buffer.len());
    }
}

/// An identityRequest without a body, the smallest frame of all.
const BARE_REQUEST: [u8; FRAME_HEADER_BYTES] = [0, 1, Kind::IdentityRequest as u8];

/// This many of them are compared at once, as three words. That costs less than comparing two of them alone.
const BARE_AT_ONCE: usize = 8;

const BARE_REQUESTS: [[u8; FRAME_HEADER_BYTES]; BARE_AT_ONCE] = [BARE_REQUEST; BARE_AT_ONCE];

/// See [`FrameDecoder::identity_requests`]. What it has yielded is consumed.
#[derive(Debug)]
pub struct IdentityRequests<'a> {
    rest: &'a [u8],
    buffered: usize,
    consumed: &'a mut usize,
}

impl Iterator for IdentityRequests<'_> {
    type Item = (u32, u64);

    #[inline(always)]
    fn next(&mut self) -> Option<(u32, u64)> {
        const KIND: u8 = Kind::IdentityRequest as u8;
        let (header, body) = self.rest.split_first_chunk::<FRAME_HEADER_BYTES>()?;
        if *header == [0, 1, KIND] {
            self.rest = body;
            return Some((1, 0));
        }
        if *header != [0, 13, KIND] {
            return None;
        }
        let (fields, rest) = body.split_first_chunk::<12>()?;
        self.rest = rest;
        let (count, after) = fields.split_at(4);
        Some((BigEndian::read_u32(count), BigEndian::read_u64(after)))
    }
}

impl Drop for IdentityRequests<'_> {
    // Set once, at the end. While it runs, the cursor stays in a register.
    #[inline(always)]
    fn drop(&mut self) {
        *self.consumed = self.buffered - self.rest.len();
    }
}

/// Cuts the first frame off `bytes`, or says that more are needed.
fn split(bytes: &[u8], receiver: Receiver) -> Result<Option<(Kind, &[u8])>, WireError> {
    let Some((length_bytes, behind)) = bytes.split_at_checked(LENGTH_BYTES) else {
        return Ok(None);
    };
    let length = BigEndian::read_u16(length_bytes);
    if length == 0 {
        return Err(WireError::EmptyFrame);
    }
    let length_max = receiver.length_max();
    if length > length_max {
        return Err(WireError::FrameTooLong { length, length_max });
    }
    let Some((kind, body)) = behind.split_first() else {
        return Ok(None);
    };
    let kind = Kind::from_u8(*kind).ok_or(WireError::UnknownKind(*kind))?;
    if !receiver.takes(kind) {
        return Err(WireError::UnexpectedKind(kind));
    }
    if !length_fits(kind, length) {
        return Err(WireError::BadLength { kind, length });
    }
    Ok(body.get(..usize::from(length) - 1).map(|body| (kind, body)))
}

fn decode(kind: Kind, body: &[u8]) -> Result<Message, WireError> {
    match kind {
        Kind::IdentityRequest if body.is_empty() => {
            Ok(Message::IdentityRequest { count: 1, after: 0 })
        }
        Kind::IdentityRequest => {
            whole(kind, body).map(|(count, after)| Message::IdentityRequest { count, after })
        }
        Kind::IdentityReply => {
            whole(kind, body).map(|(first, count)| Message::IdentityReply { first, count })
        }
        Kind::SyncRequest => sync(kind, body).map(Message::SyncRequest),
        Kind::SyncReply => sync(kind, body).map(Message::SyncReply),
        Kind::StatusRequest => Ok(Message::StatusRequest),
        Kind::StatusReply => start(kind, body).map(|(status, _)| Message::StatusReply(status)),
        Kind::Objection => whole(kind, body).map(Message::Objection),
        Kind::Overrule => whole(kind, body).map(Message::Overrule),
        Kind::Probe => whole(kind, body).map(Message::Probe),
        Kind::Alive => whole(kind, body).map(Message::Alive),
        Kind::Goodbye => whole(kind, body).map(Message::Goodbye),
        Kind::MembersRequest => whole(kind, body).map(|from| Message::MembersRequest { from }),
        Kind::MembersReply => whole(kind, body).map(Message::MembersReply),
        Kind::ForgetRequest => whole(kind, body).map(|what| Message::ForgetRequest { what }),
        Kind::AdvanceRequest => whole(kind, body).map(|above| Message::AdvanceRequest { above }),
        Kind::DoneReply => whole(kind, body).map(|sequence| Message::DoneReply { sequence }),
        Kind::HelloRequest => whole(kind, body).map(Message::HelloRequest),
        Kind::HelloReply => whole(kind, body).map(Message::HelloReply),
        Kind::ErrorReply => whole(kind, body).map(Message::ErrorReply),
    }
}

fn sync(kind: Kind, body: &[u8]) -> Result<Box<SyncMessage>, WireError> {
    // Of a message of another version only the version is read: the rest may have other fields. The version is there,
    // because the length was checked.
    let version = BigEndian::read_u16(body);
    match version {
        WIRE_VERSION => whole(kind, body),
        _ => Err(WireError::ForeignVersion { kind, version }),
    }
}

/// The fields at the start of a body, and how many bytes they have. The only message that may go on behind the fields that
/// this version knows is the statusReply: a later version of the server may show more.
fn start<T: DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<(T, usize), WireError> {
    decode_body(body).map_err(|reason| WireError::BadBody { kind, reason })
}

fn whole<T: DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<T, WireError> {
    let (value, consumed) = start(kind, body)?;
    // bincode does not check this by itself.
    match body.len() - consumed {
        0 => Ok(value),
        bytes => Err(WireError::LeftOver { kind, bytes }),
    }
}

/// Appends `message` to `out` as one frame, and takes no more room than that. A statusReply or membersReply that is too
/// long for a frame loses the last items of its list; `peers_total` or `total` still counts them.
///
/// # Panics
/// If a frame of this kind cannot be so long, for example an [`ErrorReply`](ipseity_core::words::ErrorReply) whose text
/// was not cut by its `new`. That would be a mistake in this program.
#[inline]
pub fn encode(message: &Message, out: &mut Vec<u8>) {
    match message {
        // Nearly everything that clients send is one of these, so they are written directly. bincode would give the same
        // bytes.
        Message::IdentityRequest { count: 1, after: 0 } => out.extend_from_slice(&[0, 1, 1]),
        Message::IdentityRequest { count, after } => {
            let mut frame = [0; LENGTH_BYTES + 13];
            frame[..FRAME_HEADER_BYTES].copy_from_slice(&[0, 13, Kind::IdentityRequest as u8]);
            BigEndian::write_u32(&mut frame[3..], *count);
            BigEndian::write_u64(&mut frame[7..], *after);
            out.extend_from_slice(&frame);
        }
        Message::IdentityReply { .. }
        | Message::SyncRequest(_)
        | Message::SyncReply(_)
        | Message::StatusRequest
        | Message::StatusReply(_)
        | Message::Objection(_)
        | Message::Overrule(_)
        | Message::Probe(_)
        | Message::Alive(_)
        | Message::Goodbye(_)
        | Message::MembersRequest { .. }
        | Message::MembersReply(_)
        | Message::ForgetRequest { .. }
        | Message::AdvanceRequest { .. }
        | Message::DoneReply { .. }
        | Message::HelloRequest(_)
        | Message::HelloReply(_)
        | Message::ErrorReply(_) => encode_other(message, out),
    }
}

/// Appends an identityReply to `out`: a fast [`encode`] for nearly everything that a server sends. bincode would give the
/// same bytes.
#[inline]
pub fn encode_identities(first: Identity, count: u32, out: &mut Vec<u8>) {
    let mut frame = [0; LENGTH_BYTES + 13];
    frame[..FRAME_HEADER_BYTES].copy_from_slice(&[0, 13, Kind::IdentityReply as u8]);
    BigEndian::write_u64(&mut frame[3..], first.get());
    BigEndian::write_u32(&mut frame[11..], count);
    out.extend_from_slice(&frame);
}

/// [`encode`] for messages that are sent seldom.
fn encode_other(message: &Message, out: &mut Vec<u8>) {
    let kind = Kind::from(message);
    let start = out.len();
    // The length is filled in once it is known.
    out.extend_from_slice(&[0, 0, kind as u8]);
    match message {
        Message::IdentityRequest { count, after } => encode_body((count, after), out),
        Message::IdentityReply { first, count } => encode_body((first, count), out),
        Message::SyncRequest(sync) | Message::SyncReply(sync) => encode_body(sync, out),
        Message::StatusRequest => {}
        Message::StatusReply(status) => {
            encode_body(fit(&**status, |status| &mut status.peers), out)
        }
        Message::Objection(objection) => encode_body(objection, out),
        Message::Overrule(overrule) => encode_body(overrule, out),
        Message::Probe(probe) | Message::Alive(probe) => encode_body(probe, out),
        Message::Goodbye(goodbye) => encode_body(goodbye, out),
        Message::MembersRequest { from } => encode_body(from, out),
        Message::ForgetRequest { what } => encode_body(what, out),
        Message::MembersReply(members) => {
            encode_body(fit(&**members, |members| &mut members.members), out)
        }
        Message::AdvanceRequest { above: sequence } | Message::DoneReply { sequence } => {
            encode_body(sequence, out);
        }
        Message::HelloRequest(hello) => encode_body(hello, out),
        Message::HelloReply(introduction) => encode_body(introduction, out),
        Message::ErrorReply(error) => encode_body(error, out),
    }
    let length = u16::try_from(out.len() - start - LENGTH_BYTES)
        .ok()
        .filter(|length| length_fits(kind, *length))
        .expect("every text in a message is short enough for a frame of its kind");
    BigEndian::write_u16(&mut out[start..], length);
}

/// The message without the last items of its list, if it is too long for a frame with them.
fn fit<T: Clone + Serialize, I: Serialize>(
    message: &T,
    list: impl Fn(&mut T) -> &mut Vec<I>,
) -> Cow<'_, T> {
    let mut over = body_bytes(message).saturating_sub(FRAME_BYTES_MAX - FRAME_HEADER_BYTES);
    let mut message = Cow::Borrowed(message);
    while over > 0
        && let Some(item) = list(message.to_mut()).pop()
    {
        over = over.saturating_sub(body_bytes(item));
    }
    message
}

#[cfg(test)]
mod tests;
