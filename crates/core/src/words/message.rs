//! The messages and their fields, in the order in which they cross.

use serde::{Deserialize, Serialize};

use super::{
    cluster::{Forget, Members, Objection, Overrule},
    fields::text,
    hello::{Hello, Introduction},
    life::{Goodbye, Probe, Told},
    name::ClusterName,
    status::Status,
};
use crate::{identity::Pid, limits::ERROR_TEXT_BYTES_MAX};

/// The version of the synchronization messages that this build speaks.
pub const WIRE_VERSION: u16 = 2;

/// What a client, a peer or a server says to another.
///
/// Large bodies are boxed. Otherwise a message that a client sends a million times a second would have the size of a
/// status reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Asks for `count` identities, all greater than the identity `after` (0: no demand). On the wire an
    /// empty body means count 1 and after 0.
    IdentityRequest {
        /// How many; 1 or more.
        count: u32,
        /// An identity that all of them must exceed, or 0 for no demand. A raw integer: one that is not an
        /// identity is refused by the actor.
        after: u64,
    },
    /// The identities `first`, `first + 1024`, ..., `count` of them.
    IdentityReply {
        /// The first identity, a raw integer that the receiver checks.
        first: u64,
        /// How many identities, 1 or more.
        count: u32,
    },
    /// Says who the sender is and how far it has come, and asks the same of a peer.
    SyncRequest(Box<SyncMessage>),
    /// Answers a syncRequest.
    SyncReply(Box<SyncMessage>),
    /// Asks how the server does. Its body is empty.
    StatusRequest,
    /// Answers a statusRequest.
    StatusReply(Box<Status>),
    /// Says to one server why it must not hand out identities.
    Objection(Box<Objection>),
    /// Answers an objection about an older state, where an operator has decided.
    Overrule(Box<Overrule>),
    /// Asks one life of a pid whether it is alive.
    Probe(Probe),
    /// Answers a probe, with the same fields.
    Alive(Probe),
    /// Says that a life is over.
    Goodbye(Goodbye),
    /// Asks for the servers that this one knows, from pid `from` on.
    MembersRequest {
        /// The lowest pid that is asked for.
        from: Pid,
    },
    /// Answers a membersRequest.
    MembersReply(Box<Members>),
    /// Tells the server to forget something that it remembers.
    ForgetRequest {
        /// What to forget.
        what: Forget,
    },
    /// Tells the server to go on above a sequence, past every budget. A raw integer, see
    /// [`SyncMessage::sequence`].
    AdvanceRequest {
        /// The sequence above which the server is to go on.
        above: u64,
    },
    /// Answers a forgetRequest or an advanceRequest: it is done. An advance is durable.
    DoneReply {
        /// After a forgetRequest, the highest sequence that was known of the pid or of those of which something was
        /// forgotten, or 0; after an advanceRequest, the
        /// sequence that the server goes on above.
        sequence: u64,
    },
    /// Says which cluster the client expects, and asks who the server is.
    HelloRequest(Box<Hello>),
    /// Answers a helloRequest.
    HelloReply(Box<Introduction>),
    /// Answers a request that could not be read or served.
    ErrorReply(Box<ErrorReply>),
}

impl Message {
    /// The name in logs, traces and docs.
    pub const fn name(&self) -> &'static str {
        match self {
            Message::IdentityRequest { .. } => "identityRequest",
            Message::IdentityReply { .. } => "identityReply",
            Message::SyncRequest(_) => "syncRequest",
            Message::SyncReply(_) => "syncReply",
            Message::StatusRequest => "statusRequest",
            Message::StatusReply(_) => "statusReply",
            Message::Objection(_) => "objection",
            Message::Overrule(_) => "overrule",
            Message::Probe(_) => "probe",
            Message::Alive(_) => "alive",
            Message::Goodbye(_) => "goodbye",
            Message::MembersRequest { .. } => "membersRequest",
            Message::MembersReply(_) => "membersReply",
            Message::ForgetRequest { .. } => "forgetRequest",
            Message::AdvanceRequest { .. } => "advanceRequest",
            Message::DoneReply { .. } => "doneReply",
            Message::HelloRequest(_) => "helloRequest",
            Message::HelloReply(_) => "helloReply",
            Message::ErrorReply(_) => "errorReply",
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
    /// The sender's own number in its cluster, 0 to 1023.
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
    /// What serves only the guard.
    pub told: Told,
    /// Where others can dial the sender, `host:port`, at most [`ADDRESS_BYTES_MAX`](crate::limits::ADDRESS_BYTES_MAX)
    /// bytes; empty if nobody has told it. One that is no such address counts as empty.
    #[serde(deserialize_with = "text")]
    pub advertise: String,
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::ErrorCode;

    #[test]
    fn error_texts_are_cut_at_a_character() {
        let reply = ErrorReply::new(ErrorCode::Storage, "é".repeat(ERROR_TEXT_BYTES_MAX));
        assert!(reply.message.len() <= ERROR_TEXT_BYTES_MAX);
        assert!(reply.message.len() >= ERROR_TEXT_BYTES_MAX - 3);
    }
}
