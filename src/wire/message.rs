//! The messages and their fields, in the order in which they cross.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::codec::{list, text};
use crate::{
    identity::Pid,
    limits::{CLUSTER_NAME_BYTES_MAX, ERROR_TEXT_BYTES_MAX},
};

/// The version of the synchronization messages that this build speaks.
pub const WIRE_VERSION: u16 = 1;

/// The third byte of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A client asks for identities.
    IdentityRequest = 1,
    /// The identities.
    IdentityReply = 2,
    /// A peer says how far it is and asks the same.
    SyncRequest = 3,
    /// The answer of the peer that was asked.
    SyncReply = 4,
    /// Anyone asks how the server does.
    StatusRequest = 5,
    /// How the server does.
    StatusReply = 6,
    /// The request could not be read or served.
    ErrorReply = 255,
}

impl Kind {
    /// Every kind there is.
    pub const ALL: [Kind; 7] = [
        Kind::IdentityRequest,
        Kind::IdentityReply,
        Kind::SyncRequest,
        Kind::SyncReply,
        Kind::StatusRequest,
        Kind::StatusReply,
        Kind::ErrorReply,
    ];

    /// The kind that `byte` stands for.
    pub const fn from_u8(byte: u8) -> Option<Kind> {
        Some(match byte {
            1 => Kind::IdentityRequest,
            2 => Kind::IdentityReply,
            3 => Kind::SyncRequest,
            4 => Kind::SyncReply,
            5 => Kind::StatusRequest,
            6 => Kind::StatusReply,
            255 => Kind::ErrorReply,
            _ => return None,
        })
    }

    /// The name in logs, traces and docs.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::IdentityRequest => "identityRequest",
            Kind::IdentityReply => "identityReply",
            Kind::SyncRequest => "syncRequest",
            Kind::SyncReply => "syncReply",
            Kind::StatusRequest => "statusRequest",
            Kind::StatusReply => "statusReply",
            Kind::ErrorReply => "errorReply",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one frame says.
///
/// Large bodies are boxed: a message that a client sends a million times a second should not be moved
/// about in the size of a status reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Asks for `count` identities, all greater than the identity `after` (0: no demand). On the wire an
    /// empty body means count 1 and after 0.
    IdentityRequest {
        /// How many; 1 or more.
        count: u32,
        /// An identity, or 0.
        after: u64,
    },
    /// The identities `first`, `first + 1024`, ..., `count` of them.
    IdentityReply {
        /// The first identity.
        first: u64,
        /// How many.
        count: u32,
    },
    /// See [`SyncMessage`].
    SyncRequest(Box<SyncMessage>),
    /// See [`SyncMessage`].
    SyncReply(Box<SyncMessage>),
    /// Asks for [`Status`].
    StatusRequest,
    /// See [`Status`].
    StatusReply(Box<Status>),
    /// See [`ErrorReply`].
    ErrorReply(Box<ErrorReply>),
}

impl Message {
    /// The frame's kind byte.
    pub const fn kind(&self) -> Kind {
        match self {
            Message::IdentityRequest { .. } => Kind::IdentityRequest,
            Message::IdentityReply { .. } => Kind::IdentityReply,
            Message::SyncRequest(_) => Kind::SyncRequest,
            Message::SyncReply(_) => Kind::SyncReply,
            Message::StatusRequest => Kind::StatusRequest,
            Message::StatusReply(_) => Kind::StatusReply,
            Message::ErrorReply(_) => Kind::ErrorReply,
        }
    }
}

/// Who a server is and how far it has come. The same fields in both directions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncMessage {
    /// [`WIRE_VERSION`] of the sender. A frame of another version is refused before the rest is read.
    pub version: u16,
    /// The cluster that the sender belongs to.
    pub cluster: ClusterName,
    /// The sender's pid.
    pub pid: Pid,
    /// The random value made with the sender's state directory.
    pub incarnation: u128,
    /// How many times that directory has been started.
    pub boot: u64,
    /// The random value of the sender's process.
    pub session: u64,
    /// The highest sequence that the sender has handed out or absorbed. A raw integer: one beyond the last
    /// sequence is well formed and refused by the actor.
    pub sequence: u64,
}

/// The name of a cluster: 1 to 255 bytes of UTF-8 without control characters. Servers synchronize only
/// with servers of the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ClusterName(String);

impl ClusterName {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ClusterName {
    /// The name of a cluster that was given none: `ipseity`.
    fn default() -> Self {
        ClusterName("ipseity".to_owned())
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ClusterName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

impl From<ClusterName> for String {
    fn from(name: ClusterName) -> String {
        name.0
    }
}

impl TryFrom<String> for ClusterName {
    type Error = ClusterNameError;

    fn try_from(name: String) -> Result<Self, ClusterNameError> {
        if name.is_empty() || name.len() > CLUSTER_NAME_BYTES_MAX {
            return Err(ClusterNameError::Length(name.len()));
        }
        // The name stands in log lines and error texts, where a control character could forge a line.
        if name.chars().any(char::is_control) {
            return Err(ClusterNameError::Control);
        }
        Ok(ClusterName(name))
    }
}

impl FromStr for ClusterName {
    type Err = ClusterNameError;

    fn from_str(name: &str) -> Result<Self, ClusterNameError> {
        ClusterName::try_from(name.to_owned())
    }
}

/// Why a text is no cluster name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterNameError {
    /// Empty, or longer than 255 bytes; the length in bytes.
    Length(usize),
    /// It holds a control character.
    Control,
}

impl fmt::Display for ClusterNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => {
                write!(
                    f,
                    "a cluster name has 1 to {CLUSTER_NAME_BYTES_MAX} bytes, this one has {length}"
                )
            }
            Self::Control => f.write_str("a cluster name holds no control characters"),
        }
    }
}

impl std::error::Error for ClusterNameError {}

/// A request that could not be read or served: a code for programs and a text for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReply {
    /// An [`ErrorCode`](super::ErrorCode), as a raw integer: a client may meet one that it does not know.
    pub code: u16,
    /// What happened and what to do, in plain words, at most 512 bytes.
    #[serde(deserialize_with = "text")]
    pub message: String,
}

impl ErrorReply {
    /// An error reply with a text cut to what a frame may carry.
    pub fn new(code: super::ErrorCode, message: impl Into<String>) -> ErrorReply {
        let mut message = message.into();
        // `floor_char_boundary` keeps the text valid UTF-8.
        message.truncate(message.floor_char_boundary(ERROR_TEXT_BYTES_MAX));
        ErrorReply {
            code: code.get(),
            message,
        }
    }
}

/// How a server does, for `ipseity-cli status` and for monitors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the program, such as `0.1.0`.
    #[serde(deserialize_with = "text")]
    pub version: String,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The server's pid.
    pub pid: Pid,
    /// The random value made with its state directory.
    pub incarnation: u128,
    /// How many times that directory has been started.
    pub boot: u64,
    /// The random value of this process.
    pub session: u64,
    /// Whether identities are handed out, and if not, why.
    pub standing: Standing,
    /// The highest sequence handed out or absorbed.
    pub sequence: u64,
    /// Milliseconds since the process began to serve.
    pub uptime_ms: u64,
    /// Connections that are open now, the asking one included.
    pub connections: u32,
    /// As many connections as this server takes.
    pub connections_max: u32,
    /// What has been done since the start.
    pub counters: Counters,
    /// How the disk does.
    pub storage: StorageStatus,
    /// How many peers there are in all; the list below holds as many as fit into a frame.
    pub peers_total: u32,
    /// The peers, those named with `--peer` first. What is too long for a frame loses its last peers when it
    /// is encoded.
    #[serde(deserialize_with = "list")]
    pub peers: Vec<PeerStatus>,
}

/// What a server has done since it started. Each only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Identity requests answered with identities.
    pub identity_requests: u64,
    /// Identities handed out.
    pub identities: u64,
    /// Identity requests that had to wait for the disk.
    pub waited: u64,
    /// Sync requests answered.
    pub sync_requests: u64,
    /// Sync replies received.
    pub sync_replies: u64,
    /// Times the sequence was raised by a peer or by `after`.
    pub absorbed: u64,
    /// Error replies sent, by code, in the order of the codes.
    #[serde(deserialize_with = "list")]
    pub errors: Vec<(u16, u64)>,
}

/// How the state directory does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageStatus {
    /// False under `--ephemeral`, where nothing is written and the rest is zero.
    pub durable: bool,
    /// The highest sequence that may be handed out before the disk must be written again.
    pub ceiling: u64,
    /// Sequences that this start skipped, because the last run did not stop cleanly.
    pub skipped: u64,
    /// Writes that are done.
    pub writes: u64,
    /// Microseconds that the longest write took.
    pub longest_write_us: u64,
    /// Microseconds since the write that is under way began; 0 when none is.
    pub current_write_us: u64,
}

/// Whether a server hands out identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[repr(u8)]
pub enum Standing {
    /// It does.
    Serving = 0,
    /// It is stopping: what had arrived is still answered.
    Stopping = 1,
    /// The disk failed: what lies under the durable ceiling is still handed out.
    StorageFailed = 2,
}

impl Standing {
    /// The word in `status`.
    pub const fn name(self) -> &'static str {
        match self {
            Standing::Serving => "serving",
            Standing::Stopping => "stopping",
            Standing::StorageFailed => "storage failed",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Standing> for u8 {
    fn from(standing: Standing) -> u8 {
        standing as u8
    }
}

impl TryFrom<u8> for Standing {
    type Error = String;

    fn try_from(byte: u8) -> Result<Self, String> {
        [
            Standing::Serving,
            Standing::Stopping,
            Standing::StorageFailed,
        ]
        .into_iter()
        .find(|standing| *standing as u8 == byte)
        .ok_or_else(|| format!("{byte} is no standing"))
    }
}

/// One peer, as a server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// As it was named with `--peer`, or the address that it connected from.
    #[serde(deserialize_with = "text")]
    pub address: String,
    /// Its pid, once it has said so.
    pub pid: Option<Pid>,
    /// How the connection to it stands.
    pub state: PeerState,
    /// The highest sequence that it has told; 0 before it has spoken.
    pub sequence: u64,
    /// Milliseconds since it last spoke, if it ever did.
    pub last_heard_ms: Option<u64>,
}

/// How the connection to a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[repr(u8)]
pub enum PeerState {
    /// Not connected: waiting to try again.
    Down = 0,
    /// Looking up its name, or connecting.
    Connecting = 1,
    /// Connected, and it has not answered yet.
    Connected = 2,
    /// It has answered: the two synchronize.
    Up = 3,
    /// It refused us, or we refused it; the log says why.
    Refused = 4,
}

impl PeerState {
    /// The word in `status`.
    pub const fn name(self) -> &'static str {
        match self {
            PeerState::Down => "down",
            PeerState::Connecting => "connecting",
            PeerState::Connected => "connected",
            PeerState::Up => "up",
            PeerState::Refused => "refused",
        }
    }
}

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<PeerState> for u8 {
    fn from(state: PeerState) -> u8 {
        state as u8
    }
}

impl TryFrom<u8> for PeerState {
    type Error = String;

    fn try_from(byte: u8) -> Result<Self, String> {
        [
            PeerState::Down,
            PeerState::Connecting,
            PeerState::Connected,
            PeerState::Up,
            PeerState::Refused,
        ]
        .into_iter()
        .find(|state| *state as u8 == byte)
        .ok_or_else(|| format!("{byte} is no state of a peer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ErrorCode;

    #[test]
    fn kinds_and_their_bytes_agree() {
        for byte in 0..=255 {
            if let Some(kind) = Kind::from_u8(byte) {
                assert_eq!(kind as u8, byte);
                assert!(Kind::ALL.contains(&kind));
            }
        }
        assert_eq!((0..=255).filter_map(Kind::from_u8).count(), Kind::ALL.len());
    }

    #[test]
    fn cluster_names_have_1_to_255_bytes_and_no_control_characters() {
        assert_eq!("".parse::<ClusterName>(), Err(ClusterNameError::Length(0)));
        assert_eq!(
            "x".repeat(256).parse::<ClusterName>(),
            Err(ClusterNameError::Length(256))
        );
        assert_eq!(
            "a\nb".parse::<ClusterName>(),
            Err(ClusterNameError::Control)
        );
        assert_eq!(
            "x".repeat(255)
                .parse::<ClusterName>()
                .unwrap()
                .as_str()
                .len(),
            255
        );
        assert_eq!("Grüße".parse::<ClusterName>().unwrap().to_string(), "Grüße");
    }

    #[test]
    fn error_texts_are_cut_at_a_character() {
        let reply = ErrorReply::new(ErrorCode::Storage, "é".repeat(ERROR_TEXT_BYTES_MAX));
        assert!(reply.message.len() <= ERROR_TEXT_BYTES_MAX);
        assert!(reply.message.len() >= ERROR_TEXT_BYTES_MAX - 3);
    }

    #[test]
    fn words_and_bytes_of_states_agree() {
        for byte in 0..=255u8 {
            if let Ok(standing) = Standing::try_from(byte) {
                assert_eq!(u8::from(standing), byte);
                assert!(!standing.to_string().is_empty());
            }
            if let Ok(state) = PeerState::try_from(byte) {
                assert_eq!(u8::from(state), byte);
                assert!(!state.to_string().is_empty());
            }
        }
        assert!(Standing::try_from(200).is_err());
        assert!(PeerState::try_from(5).is_err());
    }
}
