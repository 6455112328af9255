//! What the actor wants done, as plain data.

use std::{fmt, time::Duration};

use super::{ConnectionId, Link, PeerId, event::Fields};
use crate::{
    identity::{Pid, Sequence},
    wire::{ErrorReply, Message},
};

/// What the actor wants done. The server carries effects out in their order, all of one event before the
/// next event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer a request; each request is answered exactly once, in the order of the requests.
    Reply {
        /// Who asked.
        to: ConnectionId,
        /// The answer.
        message: Message,
    },
    /// Answer a statusRequest: the server knows the rest of what goes into it.
    ReplyStatus {
        /// Who asked.
        to: ConnectionId,
    },
    /// Close the connection once what was answered has left.
    Close(ConnectionId),
    /// Send to a peer; dropped when it is not connected, the next round repairs that.
    Send {
        /// To whom.
        to: PeerId,
        /// What.
        message: Message,
    },
    /// Give up the connection to a peer; it is dialed again later.
    HangUp {
        /// On whom.
        peer: PeerId,
        /// Why.
        cause: HangUp,
    },
    /// Start the ticker.
    StartTicker,
    /// Stop the ticker: there is nobody to ask.
    StopTicker,
    /// Make a ceiling durable and dispatch `persisted` or `persistFailed`. At most one is under way.
    Persist {
        /// The highest sequence handed out or absorbed by now.
        sequence: Sequence,
        /// The ceiling.
        ceiling: Sequence,
    },
    /// Make the exact sequence of a clean stop durable. The last effect of an actor.
    PersistStop {
        /// Everything handed out or absorbed is at or below it.
        sequence: Sequence,
    },
    /// Tell people.
    Report(Report),
}

impl fmt::Display for Effect {
    /// As it stands in a trace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Reply { to, message } => {
                write!(f, "reply connection={to} {}", MessageFields(message))
            }
            Effect::ReplyStatus { to } => write!(f, "reply connection={to} statusReply"),
            Effect::Close(connection) => write!(f, "close connection={connection}"),
            Effect::Send { to, message } => write!(f, "send peer={to} {}", MessageFields(message)),
            Effect::HangUp { peer, cause } => {
                write!(f, "hangUp peer={peer} cause={:?}", cause.to_string())
            }
            Effect::StartTicker => f.write_str("startTicker"),
            Effect::StopTicker => f.write_str("stopTicker"),
            Effect::Persist { sequence, ceiling } => {
                write!(f, "persist sequence={sequence} ceiling={ceiling}")
            }
            Effect::PersistStop { sequence } => write!(f, "persistStop sequence={sequence}"),
            Effect::Report(report) => write!(f, "report {report:?}"),
        }
    }
}

/// A message as it stands in a trace.
struct MessageFields<'a>(&'a Message);

impl fmt::Display for MessageFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.kind().name();
        match self.0 {
            Message::IdentityRequest { count, after } => {
                write!(f, "{name} count={count} after={after}")
            }
            Message::IdentityReply { first, count } => {
                write!(f, "{name} first={first} count={count}")
            }
            Message::SyncRequest(sync) | Message::SyncReply(sync) => {
                write!(f, "{name} {}", Fields(sync))
            }
            Message::ErrorReply(error) => {
                write!(f, "{name} code={} message={:?}", error.code, error.message)
            }
            Message::StatusRequest | Message::StatusReply(_) => f.write_str(name),
        }
    }
}

/// Why the actor gives up the connection to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// It has not answered for so long.
    Silent(Duration),
    /// This server refuses it.
    Refused(Box<ErrorReply>),
    /// It refuses this server.
    RefusedBy(Box<ErrorReply>),
}

impl fmt::Display for HangUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HangUp::Silent(silence) => write!(f, "no answer for {} ms", silence.as_millis()),
            HangUp::Refused(error) => write!(f, "refused: {}", error.message),
            HangUp::RefusedBy(error) => write!(f, "it refuses this server: {}", error.message),
        }
    }
}

/// What people should hear of. The server adds addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A peer is heard for the first time on any link.
    PeerUp {
        /// On which link.
        link: Link,
        /// The peer's pid.
        pid: Pid,
        /// How far it is.
        sequence: u64,
    },
    /// A peer was refused and its connection is about to be closed.
    Refused {
        /// Who it was.
        from: ConnectionId,
        /// What it was told.
        error: Box<ErrorReply>,
    },
    /// A round was refused, by this server or by the peer, and the one before it was not. The connection
    /// goes on.
    RoundRefused {
        /// On which link.
        link: Link,
        /// What is wrong.
        error: Box<ErrorReply>,
    },
    /// The disk failed: the server must exit.
    StorageFailed,
}
