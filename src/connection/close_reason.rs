//! Why a connection was closed, in words.

use std::{fmt, io, time::Duration};

/// Why a connection was closed.
#[derive(Debug)]
pub enum CloseReason {
    /// The other side closed, and all its requests were answered.
    Ended,
    /// The other side was told what was wrong.
    Told,
    /// Reading or writing failed.
    Io(io::Error),
    /// The connection could not be made.
    Dial(io::Error),
    /// A frame of a peer could not be read.
    Wire(ipseity_frames::WireError),
    /// The actor gave up the peer.
    HungUp(ipseity_core::actor::HangUp),
    /// The same server is connected at another address.
    SameServer,
    /// The address is only remembered, and what was asked there is answered.
    OnlyAsked,
    /// It did not read its replies for this long.
    Unread(Duration),
    /// It was idle for this long.
    Idle(Duration),
    /// Too many bytes waited in all connections, and this many in this one.
    Crowded(usize),
    /// Its TLS session could not be made, or broke.
    Tls(String),
    /// All places were taken, and it could not be told: it speaks TLS, and its handshake was not over.
    Full,
    /// Too many TLS handshakes were under way, and this one for longest.
    HandshakesFull,
    /// Its certificate is not good any more.
    NotGoodAnyMore(String),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Ended => f.write_str("the other side closed the connection"),
            CloseReason::Told => f.write_str("closed after an error reply"),
            CloseReason::Io(error) => write!(f, "connection lost: {error}"),
            CloseReason::Dial(error) => write!(f, "cannot connect: {error}"),
            CloseReason::Wire(error) => {
                write!(f, "it sent something that is not an answer: {error}")
            }
            CloseReason::HungUp(cause) => cause.fmt(f),
            CloseReason::SameServer => {
                f.write_str("the same server is connected at another address")
            }
            CloseReason::OnlyAsked => f.write_str("it was only asked, and nobody has named it"),
            CloseReason::Unread(wait) => {
                write!(f, "it left its replies unread for {} ms", wait.as_millis())
            }
            CloseReason::Idle(wait) => write!(f, "idle for {} ms", wait.as_millis()),
            CloseReason::Tls(text) => write!(f, "TLS failed: {text}"),
            CloseReason::Full => f.write_str(
                "all places are taken, and it could not be told so, because its TLS handshake was not over",
            ),
            CloseReason::HandshakesFull => {
                f.write_str("too many TLS handshakes are under way, and this one takes longest")
            }
            CloseReason::NotGoodAnyMore(text) => {
                write!(
                    f,
                    "its certificate is not good any more (--tls-recheck): {text}"
                )
            }
            CloseReason::Crowded(bytes) => write!(
                f,
                "too much memory holds what waits in all connections (--max-pending-bytes-total), {bytes} bytes of it in this one"
            ),
        }
    }
}
