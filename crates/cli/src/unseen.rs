//! Why it is not known how a server does, in one word and in one line.

use ipseity_client::{ClientError, ErrorReply, FailureCause};
use ipseity_console::plain;

/// Why it is not known how a server does.
pub struct Unseen {
    /// The word in place of its standing: `unreachable`, `refused` (it answered with an error) or `unclear` (its
    /// answer breaks the protocol).
    pub word: &'static str,
    /// What happened, in one line without the server's name.
    pub reason: String,
    /// The number of the error that the server answered with, if it did.
    pub code: Option<u16>,
}

impl Unseen {
    /// From the error of a client that has only this server.
    pub fn new(error: &ClientError) -> Unseen {
        let refused = |reply: &ErrorReply| ("refused", reply.message.clone(), Some(reply.code));
        let (word, reason, code) = match error {
            ClientError::Unavailable(failures) => match failures.as_slice() {
                [failure] => match &failure.cause {
                    // A server that answers with an error can be reached.
                    FailureCause::Refused(reply) => refused(reply),
                    cause => ("unreachable", cause.to_string(), None),
                },
                _ => ("unreachable", error.to_string(), None),
            },
            ClientError::Violation { violation, .. } => {
                let advice = error.advice().unwrap_or_default();
                ("unclear", format!("{violation} ({advice})"), None)
            }
            ClientError::Refused { reply, .. } | ClientError::WrongCluster { reply, .. } => {
                refused(reply)
            }
            _ => ("unreachable", error.to_string(), None),
        };
        let reason = plain(&reason);
        Unseen { word, reason, code }
    }
}
