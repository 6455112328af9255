//! What can be wrong: with bytes ([`WireError`]), and with a request, in the words of the wire
//! ([`ErrorCode`]).

use std::fmt;

use super::message::{ErrorReply, Kind};

/// The number in an errorReply. Codes below 32 end the connection: where the next frame begins is not
/// known any more, or there is no place for one. From 32 on the error stands in the place of one reply
/// and the connection goes on. Codes from 64 on are answers to peers and end the connection too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum ErrorCode {
    /// The kind byte is none that this server takes.
    UnknownKind = 1,
    /// The length is none that a frame of this kind can have.
    BadLength = 2,
    /// The body does not decode, or bytes are left over.
    BadBody = 3,
    /// The frame was begun and not completed: the sender closed, or took too long.
    Incomplete = 4,
    /// The server has as many connections as it takes.
    TooManyConnections = 5,

    /// The count is 0 or over the server's limit.
    BadCount = 32,
    /// The advance that `after`, or a peer's sequence, asks for is over the limit or beyond the last sequence.
    AdvanceTooLarge = 33,
    /// The sequence is used up, or too little is left for this count.
    Exhausted = 34,
    /// The disk failed; the server is about to exit.
    Storage = 35,
    /// The server is stopping.
    Stopping = 36,
    /// Another live server has this server's pid: both hand out nothing.
    PidConflict = 37,
    /// The server's state is older than what its peers remember of its pid.
    StaleState = 38,
    /// So much has been absorbed lately that the budget for it is used up.
    OverBudget = 39,
    /// The server has just started and asks its peers first.
    Joining = 40,
    /// Only an operator may ask for this: from a loopback address, or one that was named with `--trust`.
    NotTrusted = 41,
    /// Nothing is known of that pid.
    UnknownPid = 42,

    /// The peer belongs to another cluster.
    ForeignCluster = 64,
    /// The peer speaks another version of the synchronization messages.
    ForeignVersion = 65,
    /// The peer has the same pid.
    SamePid = 66,
    /// The peer is the server itself.
    Oneself = 67,
}

impl ErrorCode {
    /// Every code there is.
    pub const ALL: [ErrorCode; 20] = [
        ErrorCode::UnknownKind,
        ErrorCode::BadLength,
        ErrorCode::BadBody,
        ErrorCode::Incomplete,
        ErrorCode::TooManyConnections,
        ErrorCode::BadCount,
        ErrorCode::AdvanceTooLarge,
        ErrorCode::Exhausted,
        ErrorCode::Storage,
        ErrorCode::Stopping,
        ErrorCode::PidConflict,
        ErrorCode::StaleState,
        ErrorCode::OverBudget,
        ErrorCode::Joining,
        ErrorCode::NotTrusted,
        ErrorCode::UnknownPid,
        ErrorCode::ForeignCluster,
        ErrorCode::ForeignVersion,
        ErrorCode::SamePid,
        ErrorCode::Oneself,
    ];

    /// The number on the wire.
    pub const fn get(self) -> u16 {
        self as u16
    }

    /// The code of that number, or `None` for one that this build does not know.
    pub fn from_u16(code: u16) -> Option<ErrorCode> {
        Self::ALL.into_iter().find(|known| known.get() == code)
    }

    /// The name in logs, JSON and docs.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorCode::UnknownKind => "unknownKind",
            ErrorCode::BadLength => "badLength",
            ErrorCode::BadBody => "badBody",
            ErrorCode::Incomplete => "incomplete",
            ErrorCode::TooManyConnections => "tooManyConnections",
            ErrorCode::BadCount => "badCount",
            ErrorCode::AdvanceTooLarge => "advanceTooLarge",
            ErrorCode::Exhausted => "exhausted",
            ErrorCode::Storage => "storage",
            ErrorCode::Stopping => "stopping",
            ErrorCode::PidConflict => "pidConflict",
            ErrorCode::StaleState => "staleState",
            ErrorCode::OverBudget => "overBudget",
            ErrorCode::Joining => "joining",
            ErrorCode::NotTrusted => "notTrusted",
            ErrorCode::UnknownPid => "unknownPid",
            ErrorCode::ForeignCluster => "foreignCluster",
            ErrorCode::ForeignVersion => "foreignVersion",
            ErrorCode::SamePid => "samePid",
            ErrorCode::Oneself => "oneself",
        }
    }

    /// Whether the server closes the connection after this error.
    pub const fn closes(self) -> bool {
        !matches!(
            self,
            ErrorCode::BadCount
                | ErrorCode::AdvanceTooLarge
                | ErrorCode::Exhausted
                | ErrorCode::Storage
                | ErrorCode::Stopping
                | ErrorCode::PidConflict
                | ErrorCode::StaleState
                | ErrorCode::OverBudget
                | ErrorCode::Joining
                | ErrorCode::NotTrusted
                | ErrorCode::UnknownPid
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why bytes are no frame that this side takes. Each ends the connection: after it nobody knows where the
/// next frame begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// Length 0: not even a kind.
    EmptyFrame,
    /// The length is over that of every frame that this side takes.
    FrameTooLong {
        /// The length that was read.
        length: u16,
        /// The longest that this side takes.
        length_max: u16,
    },
    /// No message has this kind.
    UnknownKind(u8),
    /// A kind that exists, but not in this direction: a reply sent to a server, say.
    UnexpectedKind(Kind),
    /// The length is none that this kind can have.
    BadLength {
        /// The kind that was read.
        kind: Kind,
        /// The length that was read.
        length: u16,
    },
    /// The body does not decode.
    BadBody {
        /// The kind that was read.
        kind: Kind,
        /// What the decoder said.
        reason: String,
    },
    /// The body decodes and bytes are left over.
    LeftOver {
        /// The kind that was read.
        kind: Kind,
        /// How many bytes.
        bytes: usize,
    },
    /// A synchronization message of another version.
    ForeignVersion {
        /// The kind that was read.
        kind: Kind,
        /// The version that was read.
        version: u16,
    },
    /// The sender closed its side in the middle of a frame.
    Incomplete {
        /// Bytes that arrived, of the frame that was begun.
        bytes: usize,
    },
    /// The frame was begun and not completed in time.
    Stalled {
        /// Bytes that arrived, of the frame that was begun.
        bytes: usize,
        /// The time that a frame has, in milliseconds.
        timeout_ms: u64,
    },
    /// A request of a client that there is no room for.
    TooManyConnections {
        /// As many connections as the server takes.
        connections_max: usize,
    },
}

impl WireError {
    /// The code of the errorReply that answers it.
    pub const fn code(&self) -> ErrorCode {
        match self {
            WireError::UnknownKind(_) | WireError::UnexpectedKind(_) => ErrorCode::UnknownKind,
            WireError::EmptyFrame
            | WireError::FrameTooLong { .. }
            | WireError::BadLength { .. } => ErrorCode::BadLength,
            WireError::BadBody { .. } | WireError::LeftOver { .. } => ErrorCode::BadBody,
            WireError::ForeignVersion { .. } => ErrorCode::ForeignVersion,
            WireError::Incomplete { .. } | WireError::Stalled { .. } => ErrorCode::Incomplete,
            WireError::TooManyConnections { .. } => ErrorCode::TooManyConnections,
        }
    }

    /// The errorReply that answers it.
    pub fn reply(&self) -> ErrorReply {
        ErrorReply::new(self.code(), self.to_string())
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::EmptyFrame => {
                f.write_str("frame length 0: a frame has at least its kind byte")
            }
            WireError::FrameTooLong { length, length_max } => {
                write!(
                    f,
                    "frame length {length}: the longest frame taken here has {length_max}"
                )
            }
            WireError::UnknownKind(kind) => write!(f, "unknown kind {kind}"),
            WireError::UnexpectedKind(kind) => {
                write!(
                    f,
                    "kind {} ({kind}) is not taken on this side of a connection",
                    *kind as u8
                )
            }
            WireError::BadLength { kind, length } => {
                let (least, most) = super::frame::length_bounds(*kind);
                match (kind, least == most) {
                    (Kind::IdentityRequest, _) => {
                        write!(
                            f,
                            "frame length {length}: that of {kind} is {least} or {most}"
                        )
                    }
                    (_, true) => write!(f, "frame length {length}: that of {kind} is {least}"),
                    (_, false) => write!(
                        f,
                        "frame length {length}: that of {kind} is {least} to {most}"
                    ),
                }
            }
            WireError::BadBody { kind, reason } => {
                write!(f, "the body of {kind} does not decode: {reason}")
            }
            WireError::LeftOver { kind, bytes } => {
                write!(
                    f,
                    "the body of {kind} has {} more than its fields",
                    Bytes(*bytes)
                )
            }
            WireError::ForeignVersion { kind, version } => {
                write!(
                    f,
                    "{kind} of version {version}: this server speaks version {}",
                    super::WIRE_VERSION
                )
            }
            WireError::Incomplete { bytes } => {
                write!(
                    f,
                    "the connection was closed {} into a frame",
                    Bytes(*bytes)
                )
            }
            WireError::Stalled { bytes, timeout_ms } => {
                write!(
                    f,
                    "only {} of a frame arrived within {timeout_ms} ms",
                    Bytes(*bytes)
                )
            }
            WireError::TooManyConnections { connections_max } => write!(
                f,
                "this server takes {connections_max} connections (--max-connections) and has them: try \
                 again later or ask another server"
            ),
        }
    }
}

impl std::error::Error for WireError {}

/// A number of bytes, in words.
pub(super) struct Bytes(pub(super) usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 byte"),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_their_numbers_agree() {
        for number in 0..=u16::MAX {
            if let Some(code) = ErrorCode::from_u16(number) {
                assert_eq!(code.get(), number);
                assert_eq!(code.closes(), !(32..64).contains(&number), "{code}");
            }
        }
        assert_eq!(
            (0..=u16::MAX).filter_map(ErrorCode::from_u16).count(),
            ErrorCode::ALL.len()
        );
    }
}
