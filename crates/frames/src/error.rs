//! What can be wrong with bytes: [`WireError`].

use std::fmt;

use ipseity_core::words::{ErrorCode, ErrorReply, WIRE_VERSION};

use crate::kind::Kind;

/// Why bytes are not a frame that this side accepts. Each error ends the connection, because nobody knows where the next
/// frame begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// Length 0: there is not even a kind.
    EmptyFrame,
    /// The length is greater than the longest frame that this side accepts.
    FrameTooLong {
        /// The length that was read.
        length: u16,
        /// The greatest length that this side accepts.
        length_max: u16,
    },
    /// No message has this kind.
    UnknownKind(u8),
    /// The kind exists, but not in this direction: for example a reply that is sent to a server.
    UnexpectedKind(Kind),
    /// A frame of this kind cannot have this length.
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
        /// What the decoder of the body said, in words.
        reason: String,
    },
    /// The body decodes and bytes are left over.
    LeftOver {
        /// The kind that was read.
        kind: Kind,
        /// How many bytes are left after the last field, 1 or more.
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
        /// How many bytes of the frame had arrived.
        bytes: usize,
    },
    /// The frame was not completed in time.
    Stalled {
        /// How many bytes of the frame had arrived.
        bytes: usize,
        /// The time that a frame has, in milliseconds.
        timeout_ms: u64,
    },
    /// A request of a client whose address has as many connections as it may have.
    TooManyFromAddress {
        /// The most connections that one address may have.
        per_address_max: usize,
    },
    /// A request of a client for which there is no room.
    TooManyConnections {
        /// The most connections that the server takes.
        connections_max: usize,
    },
    /// The same for one that speaks HTTP, which has its own places.
    TooManyByHttp,
    /// A message without TLS, where only TLS is taken.
    TlsRequired,
    /// A TLS handshake, where none is taken.
    TlsNotOffered,
    /// The certificate of the other side gives it no role.
    CertificateRefused {
        /// Why, in words.
        text: String,
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
            WireError::TooManyConnections { .. }
            | WireError::TooManyFromAddress { .. }
            | WireError::TooManyByHttp => ErrorCode::TooManyConnections,
            WireError::TlsRequired => ErrorCode::TlsRequired,
            WireError::TlsNotOffered => ErrorCode::TlsNotOffered,
            WireError::CertificateRefused { .. } => ErrorCode::CertificateRefused,
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
                let (least, most) = crate::length::length_bounds(*kind);
                match (kind, least == most) {
                    (Kind::IdentityRequest, _) => {
                        write!(f, "frame length {length}: {kind} needs {least} or {most}")
                    }
                    (_, true) => write!(f, "frame length {length}: {kind} needs {least}"),
                    (_, false) => {
                        write!(f, "frame length {length}: {kind} needs {least} to {most}")
                    }
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
                    "{kind} of version {version}: this server speaks version {WIRE_VERSION}; upgrade the one \
                     with the lower version"
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
            WireError::TooManyFromAddress { per_address_max } => write!(
                f,
                "this server takes {per_address_max} connections from one address \
                 (--max-connections-per-address) and has them: close one, or try another server"
            ),
            WireError::TooManyConnections { connections_max } => write!(
                f,
                "this server takes {connections_max} connections (--max-connections) and has them: try \
                 again later or ask another server"
            ),
            WireError::TooManyByHttp => f.write_str(
                "this server has as many connections by HTTP as it takes: close one, or try again later",
            ),
            WireError::TlsRequired => f.write_str(
                "this server takes only TLS from your address: a client connects with tls:// and --tls-ca, or by \
                 https://, and another server with --tls-cert, --tls-key and --tls-peer-ca",
            ),
            WireError::TlsNotOffered => f.write_str(
                "this server does not speak TLS (it has no --tls-cert): connect without tls://",
            ),
            WireError::CertificateRefused { text } => f.write_str(text),
        }
    }
}

impl std::error::Error for WireError {}

/// A number of bytes, in words.
pub(crate) struct Bytes(pub(crate) usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 byte"),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}
