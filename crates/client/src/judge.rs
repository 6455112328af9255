//! What a reply means: whether it keeps what the protocol promises, and whether another server may say something else.
//! No clock, no network.

use ipseity_core::{
    identity::{Identity, Pid},
    words::{ClusterName, ErrorCode, ErrorReply, Hello, Message},
};
use ipseity_frames::{Kind, WireError};

use crate::{
    Block,
    error::{FailureCause, Violation},
};

/// Why an attempt at one server brought no reply.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The server failed; the next one is tried.
    Failed(FailureCause),
    /// The server answered with an error, and no other server is tried.
    Answered(ErrorReply),
    /// The server is of another cluster than the client expects.
    Foreign(ErrorReply),
    /// The server broke the protocol.
    Violated(Violation),
}

impl Trouble {
    /// The same once more. Several calls may wait on one connection.
    #[cfg(feature = "tokio")]
    pub(crate) fn again(&self) -> Trouble {
        match self {
            Trouble::Failed(cause) => Trouble::Failed(cause.again()),
            Trouble::Answered(reply) => Trouble::Answered(reply.clone()),
            Trouble::Foreign(reply) => Trouble::Foreign(reply.clone()),
            Trouble::Violated(violation) => Trouble::Violated(violation.clone()),
        }
    }
}

impl From<FailureCause> for Trouble {
    fn from(cause: FailureCause) -> Trouble {
        Trouble::Failed(cause)
    }
}

impl From<Violation> for Trouble {
    fn from(violation: Violation) -> Trouble {
        Trouble::Violated(violation)
    }
}

impl From<WireError> for Trouble {
    fn from(error: WireError) -> Trouble {
        Trouble::Violated(Violation::Undecodable(error))
    }
}

/// A request for identities whose reply has not come yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) count: u32,
    pub(crate) after: Option<Identity>,
}

impl Asked {
    pub(crate) fn message(self) -> Message {
        Message::IdentityRequest {
            count: self.count,
            after: self.after.map_or(0, Identity::get),
        }
    }
}

/// What is known of the server at the other end of one connection, from its replies.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub(crate) pid: Option<Pid>,
    /// The most identities that a request may ask for.
    pub(crate) count_max: Option<u32>,
    /// The greatest identity that has come.
    last: Option<Identity>,
}

impl Server {
    /// The identities of a reply to `asked`, if it keeps what is promised.
    pub(crate) fn judge_block(&mut self, asked: Asked, reply: Message) -> Result<Block, Trouble> {
        let (first, received) = match reply {
            Message::IdentityReply { first, count } => (first, count),
            Message::ErrorReply(reply) => return Err(refusal(*reply)),
            other => return Err(wrong_kind(Kind::IdentityReply, &other)),
        };
        let count = asked.count;
        if received != count {
            let asked = count;
            return Err(Violation::WrongCount { asked, received }.into());
        }
        let block = Identity::from_u64(first)
            .and_then(|first| Block::new(first, count))
            .ok_or(Violation::NoIdentities { first, count })?;
        let first = block.first();
        // A server increases over all its replies, whatever was asked.
        if let Some(after) = asked.after.max(self.last).filter(|after| first <= *after) {
            return Err(Violation::NotGreater { first, after }.into());
        }
        let now = first.pid();
        let before = *self.pid.get_or_insert(now);
        if before != now {
            return Err(Violation::PidChanged { before, now }.into());
        }
        self.last = Some(block.last());
        Ok(block)
    }

    /// Whether the server is of the cluster that is expected, if one is.
    pub(crate) fn judge_hello(
        &mut self,
        expected: Option<&ClusterName>,
        reply: Message,
    ) -> Result<(), Trouble> {
        let reply = match reply {
            Message::HelloReply(reply) => *reply,
            Message::ErrorReply(reply) => return Err(refusal(*reply)),
            other => return Err(wrong_kind(Kind::HelloReply, &other)),
        };
        // It did not look at the name that it was told.
        if let Some(expected) = expected.filter(|expected| reply.cluster != **expected) {
            let text = format!(
                "this server is of cluster {:?}, and the client expects {:?}",
                reply.cluster.as_str(),
                expected.as_str()
            );
            let error = ErrorReply::new(ErrorCode::ForeignCluster, text);
            return Err(Trouble::Foreign(error));
        }
        self.pid = Some(reply.pid);
        self.count_max = Some(reply.count_max);
        Ok(())
    }
}

/// Asks who the server is, and says which cluster is expected.
pub(crate) fn hello(expected: Option<&ClusterName>) -> Message {
    let cluster = expected.cloned();
    Message::HelloRequest(Box::new(Hello { cluster }))
}

/// What an errorReply means: try the next server if that may answer better, otherwise hand the error on.
pub(crate) fn refusal(reply: ErrorReply) -> Trouble {
    match ErrorCode::from_u16(reply.code) {
        Some(
            ErrorCode::TooManyConnections
            | ErrorCode::TlsRequired
            | ErrorCode::TlsNotOffered
            | ErrorCode::CertificateRefused
            | ErrorCode::Storage
            | ErrorCode::Stopping
            | ErrorCode::PidConflict
            | ErrorCode::StaleState
            | ErrorCode::OverBudget
            | ErrorCode::Joining
            | ErrorCode::StoreUnavailable
            | ErrorCode::Exhausted,
        ) => Trouble::Failed(FailureCause::Refused(reply)),
        Some(ErrorCode::ForeignCluster) => Trouble::Foreign(reply),
        Some(
            ErrorCode::NotTrusted
            | ErrorCode::UnknownPid
            | ErrorCode::UnknownKind
            | ErrorCode::BadLength
            | ErrorCode::BadBody
            | ErrorCode::Incomplete
            | ErrorCode::BadCount
            | ErrorCode::AdvanceTooLarge
            | ErrorCode::ForeignVersion
            | ErrorCode::SamePid
            | ErrorCode::Oneself
            | ErrorCode::NotAPeer
            | ErrorCode::BootTooFar
            | ErrorCode::HeldByAnother,
        )
        | None => Trouble::Answered(reply),
    }
}

/// Whether the connection can be used after an errorReply. Its number says so, also that of a code that this build does not
/// know.
pub(crate) fn goes_on_after(reply: &ErrorReply) -> bool {
    matches!(reply.code, 32..=63)
}

/// Whether the failure of a server does not go away by waiting.
pub(crate) fn is_lasting(cause: &FailureCause) -> bool {
    match cause {
        FailureCause::Tls(_) => true,
        FailureCause::Refused(reply) => matches!(
            ErrorCode::from_u16(reply.code),
            Some(
                ErrorCode::Exhausted
                    | ErrorCode::TlsRequired
                    | ErrorCode::TlsNotOffered
                    | ErrorCode::CertificateRefused
            )
        ),
        _ => false,
    }
}

/// Whether the server said that its pid has another owner, or that its state is too old. What it has handed out lately is
/// then better not used.
pub(crate) fn disowns(cause: &FailureCause) -> bool {
    matches!(
        cause,
        FailureCause::Refused(reply)
            if matches!(
                ErrorCode::from_u16(reply.code),
                Some(ErrorCode::PidConflict | ErrorCode::StaleState)
            )
    )
}

/// What bytes mean that are not a frame. A server that speaks TLS answers a plain request with an alert, or says
/// nothing; an alert is never the beginning of a frame for clients, and neither are the letters of HTTP.
pub(crate) fn no_frame(error: WireError, bytes: &[u8], is_plain: bool) -> Trouble {
    match bytes {
        [0x15 | 0x16, 0x03, ..] if is_plain => {
            let text = "it speaks TLS there: write tls:// before its address";
            FailureCause::Tls(text.to_owned()).into()
        }
        [b'H', b'T', b'T', ..] => Violation::Http.into(),
        _ => error.into(),
    }
}

pub(crate) fn wrong_kind(expected: Kind, received: &Message) -> Trouble {
    let received = Kind::from(received);
    Violation::WrongKind { expected, received }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_goes_on_after_the_codes_that_say_so() {
        for code in 0..=100 {
            let reply = ErrorReply {
                code,
                message: String::new(),
            };
            let known = ErrorCode::from_u16(code).map(|code| !code.closes());
            let expected = known.unwrap_or((32..64).contains(&code));
            assert_eq!(goes_on_after(&reply), expected, "{code}");
        }
    }
}
