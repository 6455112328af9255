//! What can be wrong with a request, as a number for programs.

use std::fmt;

/// The number in an errorReply. Codes below 32 end the connection: it is not known where the next frame begins, or there
/// is no place for the connection. From 32 on the error is the reply to one request, and the connection goes on. Codes
/// from 64 on are answers to peers and also end the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum ErrorCode {
    /// This server does not accept this kind byte.
    UnknownKind = 1,
    /// A frame of this kind cannot have this length.
    BadLength = 2,
    /// The body does not decode, or bytes are left over.
    BadBody = 3,
    /// The frame was not completed: the sender closed the connection, or took too long.
    Incomplete = 4,
    /// The server, or the client's address, has as many connections as it may have.
    TooManyConnections = 5,
    /// This server takes only TLS from there.
    TlsRequired = 6,
    /// This server offers no TLS.
    TlsNotOffered = 7,
    /// The certificate that was shown is good, but gives its holder no role here.
    CertificateRefused = 8,

    /// The count is 0 or over the server's limit.
    BadCount = 32,
    /// The advance that `after`, or a peer's sequence, asks for is over the limit or beyond the last sequence.
    AdvanceTooLarge = 33,
    /// The sequence is used up, or too little is left for this count.
    Exhausted = 34,
    /// The disk failed; the server is about to exit.
    Storage = 35,
    /// The server is stopping, and will exit within seconds.
    Stopping = 36,
    /// Another live server has this server's pid: both hand out nothing.
    PidConflict = 37,
    /// The server's state is older than what its peers remember of its pid.
    StaleState = 38,
    /// The budget for advances is used up for now.
    OverBudget = 39,
    /// Too few peers have accepted this start within `--join-timeout`.
    Joining = 40,
    /// Only an operator may ask for this: from the server's own machine, or from an address that was given with `--trust`.
    NotTrusted = 41,
    /// Nothing is known of that pid.
    UnknownPid = 42,
    /// The store that keeps the server's state does not answer. The server goes on when it does.
    StoreUnavailable = 43,

    /// The peer belongs to another cluster, or the client expects another one.
    ForeignCluster = 64,
    /// The peer speaks another version of the synchronization messages.
    ForeignVersion = 65,
    /// The peer has the same pid, and both have served.
    SamePid = 66,
    /// The peer is the server itself.
    Oneself = 67,
    /// The connection comes from an address that this server does not know as that of a peer.
    NotAPeer = 68,
    /// The peer's boot is so far above what is remembered of its pid that it cannot be right.
    BootTooFar = 69,
    /// Another life of the peer's pid is alive. The peer has just started, and must end.
    HeldByAnother = 70,
}

impl ErrorCode {
    /// Every code there is, in the order of their numbers.
    pub const ALL: [ErrorCode; 27] = [
        ErrorCode::UnknownKind,
        ErrorCode::BadLength,
        ErrorCode::BadBody,
        ErrorCode::Incomplete,
        ErrorCode::TooManyConnections,
        ErrorCode::TlsRequired,
        ErrorCode::TlsNotOffered,
        ErrorCode::CertificateRefused,
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
        ErrorCode::StoreUnavailable,
        ErrorCode::ForeignCluster,
        ErrorCode::ForeignVersion,
        ErrorCode::SamePid,
        ErrorCode::Oneself,
        ErrorCode::NotAPeer,
        ErrorCode::BootTooFar,
        ErrorCode::HeldByAnother,
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
            ErrorCode::TlsRequired => "tlsRequired",
            ErrorCode::TlsNotOffered => "tlsNotOffered",
            ErrorCode::CertificateRefused => "certificateRefused",
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
            ErrorCode::StoreUnavailable => "storeUnavailable",
            ErrorCode::ForeignCluster => "foreignCluster",
            ErrorCode::ForeignVersion => "foreignVersion",
            ErrorCode::SamePid => "samePid",
            ErrorCode::Oneself => "oneself",
            ErrorCode::NotAPeer => "notAPeer",
            ErrorCode::BootTooFar => "bootTooFar",
            ErrorCode::HeldByAnother => "heldByAnother",
        }
    }

    /// Whether the server closes the connection after this error: its number says so.
    pub const fn closes(self) -> bool {
        !matches!(self.get(), 32..=63)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
