//! Frames: a decoder that is fed bytes in any pieces and yields whole messages, and the encoder.

use byteorder::{BigEndian, ByteOrder};

use super::{
    codec::{decode_body, encode_body},
    error::WireError,
    message::{Kind, Message, WIRE_VERSION},
};
use crate::limits::{
    ERROR_TEXT_BYTES_MAX, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, READ_BUFFER_BYTES, SYNC_LENGTH_MAX,
};

/// The bytes of a frame's length field, which do not count themselves.
const LENGTH_BYTES: usize = 2;

/// Who reads: it decides which kinds are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A server, of those who connected to it: requests.
    Server,
    /// A server, of a peer that it connected to: syncReply and errorReply.
    Dialer,
    /// A client: identityReply, statusReply and errorReply.
    Client,
}

impl Receiver {
    /// Whether a frame of this kind may come from the other side.
    pub const fn takes(self, kind: Kind) -> bool {
        match self {
            Receiver::Server => matches!(
                kind,
                Kind::IdentityRequest | Kind::SyncRequest | Kind::StatusRequest
            ),
            Receiver::Dialer => matches!(kind, Kind::SyncReply | Kind::ErrorReply),
            Receiver::Client => matches!(
                kind,
                Kind::IdentityReply | Kind::StatusReply | Kind::ErrorReply
            ),
        }
    }

    /// The longest length field of any frame that is taken.
    fn length_max(self) -> u16 {
        Kind::ALL
            .into_iter()
            .filter(|kind| self.takes(*kind))
            .map(|kind| length_bounds(kind).1)
            .max()
            .expect("every receiver takes some kind")
    }
}

/// The least and the greatest length field of a kind. An identityRequest has only these two, the kinds
/// between them are refused.
pub(super) const fn length_bounds(kind: Kind) -> (u16, u16) {
    /// The kind and the version: the least that can be told to be of another version. A message of this
    /// version is longer, and one that is too short for its fields does not decode.
    const SYNC_LEAST: u16 = 1 + 2;
    match kind {
        Kind::IdentityRequest => (1, 13),
        Kind::IdentityReply => (13, 13),
        Kind::SyncRequest | Kind::SyncReply => (SYNC_LEAST, SYNC_LENGTH_MAX),
        Kind::StatusRequest => (1, 1),
        Kind::StatusReply => (1, (FRAME_BYTES_MAX - LENGTH_BYTES) as u16),
        Kind::ErrorReply => (11, 11 + ERROR_TEXT_BYTES_MAX as u16),
    }
}

const fn length_fits(kind: Kind, length: u16) -> bool {
    let (least, most) = length_bounds(kind);
    match kind {
        Kind::IdentityRequest => length == least || length == most,
        _ => least <= length && length <= most,
    }
}

/// Bytes in, messages out. It knows nothing of sockets: the caller fills [`space`](Self::space), says how
/// much arrived with [`filled`](Self::filled), and takes messages with [`next`](Self::next) until there is
/// none.
///
/// A server keeps one decoder for all its connections. Between two reads a connection keeps only the
/// bytes of the frame that it has begun, [`rest`](Self::rest), and gives them back with
/// [`restore`](Self::restore); an idle connection keeps nothing.
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
    /// An empty decoder.
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
    /// When `bytes` leave no space to read into. What [`rest`](Self::rest) returned always does.
    pub fn restore(&mut self, bytes: &[u8]) {
        assert!(
            bytes.len() < self.buffer.len(),
            "what is restored leaves space to read into"
        );
        self.buffer[..bytes.len()].copy_from_slice(bytes);
        self.consumed = 0;
        self.buffered = bytes.len();
        self.invariants();
    }

    /// Where the next bytes go. Never empty once every message has been taken.
    pub fn space(&mut self) -> &mut [u8] {
        if self.consumed == self.buffered {
            self.consumed = 0;
            self.buffered = 0;
        } else if self.buffered == self.buffer.len() {
            // A frame has been begun and the buffer ends: only its own bytes move.
            self.buffer.copy_within(self.consumed..self.buffered, 0);
            self.buffered -= self.consumed;
            self.consumed = 0;
        }
        self.invariants();
        &mut self.buffer[self.buffered..]
    }

    /// Says that `bytes` bytes have been put at the front of [`space`](Self::space).
    pub fn filled(&mut self, bytes: usize) {
        assert!(
            bytes <= self.buffer.len() - self.buffered,
            "no more arrived than there was space"
        );
        self.buffered += bytes;
        self.invariants();
    }

    /// The bytes that have arrived and belong to no message yet.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.consumed..self.buffered]
    }

    /// The next whole message, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// The bytes are no frame that `receiver` takes. Kind and length are judged as soon as they have
    /// arrived. Nothing can be read after an error: the caller closes.
    #[inline]
    pub fn next(&mut self, receiver: Receiver) -> Result<Option<Message>, WireError> {
        let rest = &self.buffer[self.consumed..self.buffered];
        // Nearly every frame that a server meets is this one, so it is told apart before all others.
        if let [0, 1, 1, ..] = rest
            && receiver == Receiver::Server
        {
            self.consumed += FRAME_HEADER_BYTES;
            return Ok(Some(Message::IdentityRequest { count: 1, after: 0 }));
        }
        match split(rest, receiver)? {
            None => Ok(None),
            Some((kind, body)) => {
                let message = decode(kind, body)?;
                self.consumed += FRAME_HEADER_BYTES + body.len();
                self.invariants();
                Ok(Some(message))
            }
        }
    }

    fn invariants(&self) {
        debug_assert!(self.consumed <= self.buffered);
        debug_assert!(self.buffered <= self.buffer.len());
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
    fn whole<T: serde::de::DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<T, WireError> {
        let (value, consumed) =
            decode_body(body).map_err(|reason| WireError::BadBody { kind, reason })?;
        // bincode does not check this by itself.
        match body.len() - consumed {
            0 => Ok(value),
            bytes => Err(WireError::LeftOver { kind, bytes }),
        }
    }
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
        Kind::SyncRequest | Kind::SyncReply => {
            // Only the version is read of a message of another version: the rest may have other fields.
            let version = BigEndian::read_u16(body);
            if version != WIRE_VERSION {
                return Err(WireError::ForeignVersion { kind, version });
            }
            let sync = whole(kind, body)?;
            Ok(match kind {
                Kind::SyncRequest => Message::SyncRequest(sync),
                _ => Message::SyncReply(sync),
            })
        }
        Kind::StatusRequest => Ok(Message::StatusRequest),
        Kind::StatusReply => whole(kind, body).map(Message::StatusReply),
        Kind::ErrorReply => whole(kind, body).map(Message::ErrorReply),
    }
}

/// Appends `message` to `out` as one frame.
///
/// # Panics
/// When the message is longer than a frame. Every text and list in a message has a limit that keeps it
/// shorter, so that would be a mistake of this program.
#[inline]
pub fn encode(message: &Message, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + FRAME_HEADER_BYTES + body_bytes_max(message), 0);
    let body = &mut out[start + FRAME_HEADER_BYTES..];
    let written = match message {
        Message::IdentityRequest { count: 1, after: 0 } | Message::StatusRequest => Some(0),
        Message::IdentityRequest { count, after } => encode_body((count, after), body),
        Message::IdentityReply { first, count } => encode_body((first, count), body),
        Message::SyncRequest(sync) | Message::SyncReply(sync) => encode_body(sync, body),
        Message::StatusReply(status) => encode_body(status, body),
        Message::ErrorReply(error) => encode_body(error, body),
    }
    .expect("every text and list in a message has a limit that keeps it within a frame");
    BigEndian::write_u16(&mut out[start..], 1 + written as u16);
    out[start + LENGTH_BYTES] = message.kind() as u8;
    out.truncate(start + FRAME_HEADER_BYTES + written);
}

/// As much space as the body may need.
const fn body_bytes_max(message: &Message) -> usize {
    length_bounds(message.kind()).1 as usize - 1
}
