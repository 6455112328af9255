//! What an error says: what happened, at which server, and what to do. All client libraries say the same
//! (docs/clients.md, conformance/texts.json).

use std::fmt;

use ipseity_core::{
    text::Plain,
    words::{ErrorCode, ErrorReply},
};

use super::ClientError;

impl ClientError {
    /// What to do, in plain words: what `Display` writes at the end. `None` where what happened says it already.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            ClientError::Unavailable(failures) => Some(match failures.len() {
                1 => "try again later; if it goes on, look at the server",
                _ => "try again later; if it goes on, look at the servers",
            }),
            ClientError::Refused { reply, .. } => Some(advice_on(reply.code)),
            ClientError::WrongCluster { .. } => {
                Some("correct the list of servers, or the name of the cluster")
            }
            ClientError::Violation { .. } => {
                Some("check that it is an Ipseity server, and its version")
            }
            ClientError::Closed => Some("make a new one to go on"),
            ClientError::Thread(_) => {
                Some("share the sources that there are, or raise the limit of threads")
            }
            ClientError::NoServers => Some("name at least one, such as 127.0.0.1:3264"),
            ClientError::NoTime(_) | ClientError::Address(_) => None,
        }
    }

    /// What happened, and at which server, without [`advice`](Self::advice): for a program that knows better what to do.
    pub fn without_advice(&self) -> impl fmt::Display + '_ {
        Happened(self)
    }
}

/// What to do about a request that was refused with this code, known or not.
fn advice_on(code: u16) -> &'static str {
    match ErrorCode::from_u16(code) {
        Some(ErrorCode::BadCount) => "ask for as many as it allows, or raise its --max-count",
        Some(ErrorCode::AdvanceTooLarge) => "check where so large a number comes from",
        Some(ErrorCode::NotTrusted) => {
            "show a certificate that it trusts, or ask from an address that it trusts"
        }
        Some(
            ErrorCode::UnknownKind
            | ErrorCode::BadLength
            | ErrorCode::BadBody
            | ErrorCode::Incomplete,
        ) => "check that the server is not older than this program",
        _ => "correct the request",
    }
}

/// What happened, and at which server.
struct Happened<'a>(&'a ClientError);

impl fmt::Display for Happened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ClientError::Unavailable(failures) => {
                if failures.len() > 1 {
                    write!(f, "none of {} servers answered: ", failures.len())?;
                }
                for (index, failure) in failures.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{failure}")?;
                }
                Ok(())
            }
            ClientError::Refused { server, reply } => {
                write!(f, "{server} refused the request with {}", InWords(reply))
            }
            ClientError::WrongCluster { server, reply, .. } => {
                let said = Plain(&reply.message);
                write!(f, "{server} is of another cluster: {said}")
            }
            ClientError::Violation { server, violation } => {
                write!(f, "{server} breaks the protocol: {violation}")
            }
            ClientError::Closed => f.write_str("the client or source was closed"),
            ClientError::Thread(error) => write!(f, "cannot start a thread: {error}"),
            ClientError::NoServers => f.write_str("the list of servers is empty"),
            ClientError::NoTime(option) => {
                write!(f, "{option} is zero: it must be more than zero")
            }
            ClientError::Address(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for ClientError {
    /// What happened, and at which server; then, in brackets, what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.without_advice())?;
        match self.advice() {
            Some(advice) => write!(f, " ({advice})"),
            None => Ok(()),
        }
    }
}

/// An errorReply in one line, after "refused with": its text comes from the network.
pub(super) struct InWords<'a>(pub(super) &'a ErrorReply);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Plain(&self.0.message);
        match ErrorCode::from_u16(self.0.code) {
            Some(code) => write!(f, "{code}: {text}"),
            None => write!(f, "code {}: {text}", self.0.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FailureCause, ServerFailure, address::ServerAddress};

    fn server() -> ServerAddress {
        "a:1".parse().unwrap()
    }

    #[test]
    fn every_error_says_what_to_do() {
        let refused = |code| {
            let (server, message) = (server(), "no".to_owned());
            let reply = ErrorReply { code, message };
            ClientError::Refused { server, reply }.to_string()
        };
        assert_eq!(
            refused(2),
            "a:1 refused the request with badLength: no (check that the server is not older than this program)"
        );
        assert_eq!(
            refused(999),
            "a:1 refused the request with code 999: no (correct the request)"
        );
        let failure = || ServerFailure {
            server: server(),
            cause: FailureCause::NotTried,
        };
        let one = ClientError::Unavailable(vec![failure()]);
        let happened = "a:1: it was not asked, because the time of the call was over";
        let later = "try again later; if it goes on, look at the server";
        assert_eq!(one.without_advice().to_string(), happened);
        assert_eq!(one.to_string(), format!("{happened} ({later})"));
        let two = ClientError::Unavailable(vec![failure(), failure()]);
        assert_eq!(
            two.to_string(),
            format!("none of 2 servers answered: {happened}; {happened} ({later}s)")
        );
        let closed = ClientError::Closed.to_string();
        assert_eq!(
            closed,
            "the client or source was closed (make a new one to go on)"
        );
    }
}
