//! The kind of a frame: its third byte.

use std::fmt;

use ipseity_core::words::Message;

/// The third byte of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A client asks for identities.
    IdentityRequest = 1,
    /// The answer to an identityRequest: one or more identities.
    IdentityReply = 2,
    /// A peer says how far it is and asks the same.
    SyncRequest = 3,
    /// The answer of the peer that was asked.
    SyncReply = 4,
    /// Anyone asks for the status of the server.
    StatusRequest = 5,
    /// The answer to a statusRequest.
    StatusReply = 6,
    /// A peer says why the addressed server must not hand out identities.
    Objection = 7,
    /// The addressed server answers that its operator has confirmed its state.
    Overrule = 8,
    /// Anyone asks which servers this one knows.
    MembersRequest = 9,
    /// The answer to a membersRequest: as many of those servers as fit into a frame.
    MembersReply = 10,
    /// An operator tells the server to forget a pid, or lives that never served.
    ForgetRequest = 11,
    /// An operator tells the server to go on above a sequence.
    AdvanceRequest = 12,
    /// What an operator asked for is done.
    DoneReply = 13,
    /// A peer asks one life of a pid whether it is alive.
    Probe = 14,
    /// That life answers that it is.
    Alive = 15,
    /// A peer says that its life is over.
    Goodbye = 16,
    /// A client says which cluster it expects, and asks who the server is.
    HelloRequest = 17,
    /// The answer to a helloRequest.
    HelloReply = 18,
    /// The request could not be read or served.
    ErrorReply = 255,
}

impl Kind {
    /// The kind that `byte` stands for.
    pub const fn from_u8(byte: u8) -> Option<Kind> {
        Some(match byte {
            1 => Kind::IdentityRequest,
            2 => Kind::IdentityReply,
            3 => Kind::SyncRequest,
            4 => Kind::SyncReply,
            5 => Kind::StatusRequest,
            6 => Kind::StatusReply,
            7 => Kind::Objection,
            8 => Kind::Overrule,
            9 => Kind::MembersRequest,
            10 => Kind::MembersReply,
            11 => Kind::ForgetRequest,
            12 => Kind::AdvanceRequest,
            13 => Kind::DoneReply,
            14 => Kind::Probe,
            15 => Kind::Alive,
            16 => Kind::Goodbye,
            17 => Kind::HelloRequest,
            18 => Kind::HelloReply,
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
            Kind::Objection => "objection",
            Kind::Overrule => "overrule",
            Kind::MembersRequest => "membersRequest",
            Kind::MembersReply => "membersReply",
            Kind::ForgetRequest => "forgetRequest",
            Kind::AdvanceRequest => "advanceRequest",
            Kind::DoneReply => "doneReply",
            Kind::Probe => "probe",
            Kind::Alive => "alive",
            Kind::Goodbye => "goodbye",
            Kind::HelloRequest => "helloRequest",
            Kind::HelloReply => "helloReply",
            Kind::ErrorReply => "errorReply",
        }
    }
}

impl From<&Message> for Kind {
    fn from(message: &Message) -> Kind {
        match message {
            Message::IdentityRequest { .. } => Kind::IdentityRequest,
            Message::IdentityReply { .. } => Kind::IdentityReply,
            Message::SyncRequest(_) => Kind::SyncRequest,
            Message::SyncReply(_) => Kind::SyncReply,
            Message::StatusRequest => Kind::StatusRequest,
            Message::StatusReply(_) => Kind::StatusReply,
            Message::Objection(_) => Kind::Objection,
            Message::Overrule(_) => Kind::Overrule,
            Message::MembersRequest { .. } => Kind::MembersRequest,
            Message::MembersReply(_) => Kind::MembersReply,
            Message::ForgetRequest { .. } => Kind::ForgetRequest,
            Message::AdvanceRequest { .. } => Kind::AdvanceRequest,
            Message::DoneReply { .. } => Kind::DoneReply,
            Message::Probe(_) => Kind::Probe,
            Message::Alive(_) => Kind::Alive,
            Message::Goodbye(_) => Kind::Goodbye,
            Message::HelloRequest(_) => Kind::HelloRequest,
            Message::HelloReply(_) => Kind::HelloReply,
            Message::ErrorReply(_) => Kind::ErrorReply,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_their_bytes_agree() {
        for byte in 0..=255 {
            if let Some(kind) = Kind::from_u8(byte) {
                assert_eq!(kind as u8, byte);
            }
        }
        assert_eq!((0..=255).filter_map(Kind::from_u8).count(), 19);
    }
}
