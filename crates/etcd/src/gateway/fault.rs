//! What it means that a call has failed: whether it was done, and whether another endpoint can do it.
//!
//! What etcd says is taken for a refusal only where its code shows that it checks this before it does anything. With
//! everything else the call may have been done.

use std::{error::Error as _, time::Duration};

use ipseity_core::text::Plain;
use ipseity_tls::TlsFailed;
use serde::Deserialize;

use super::{ANSWER_BYTES_MAX, unreached::NotReached};

/// How much of a text that is not etcd's is shown. It may be a whole page of a proxy.
const SHOWN_CHARACTERS_MAX: usize = 120;

/// What to do about an error that nobody expects.
const ITS_LOG: &str = "its log may say more";

/// Why one endpoint has given no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call was not done, and no endpoint would do it.
    Refused(String),
    /// The call was not done here. Another endpoint may do it.
    Unserved(String),
    /// etcd is full. All endpoints say the same, and the call may have been done.
    Full(String),
    /// Nobody knows whether it was done.
    Unanswered(String),
}

impl Fault {
    /// The same fault of something on whose success nothing depends but whether what was asked for begins.
    pub fn closed(self) -> Fault {
        match self {
            Fault::Full(text) | Fault::Unanswered(text) => Fault::Unserved(text),
            Fault::Refused(_) | Fault::Unserved(_) => self,
        }
    }
}

/// What it means that no whole answer has come.
pub fn fault_of(error: &ureq::Error, try_max: Duration) -> Fault {
    match error {
        ureq::Error::Other(inner) => match inner.downcast_ref::<NotReached>() {
            Some(NotReached(text)) => Fault::Unserved(text.clone()),
            None => Fault::Unanswered(inner.to_string()),
        },
        ureq::Error::Timeout(_) => {
            let limit = try_max.as_secs();
            Fault::Unanswered(format!(
                "no answer in {limit} s; is it running, and does it have a leader?"
            ))
        }
        ureq::Error::BodyExceedsLimit(_) => Fault::Unanswered(format!(
            "its answer has more than {ANSWER_BYTES_MAX} bytes: does somebody else keep keys below the prefix of --store?"
        )),
        ureq::Error::Io(error) => match error.get_ref() {
            // A limit that was reached while the body was read.
            Some(inner) if inner.is::<ureq::Error>() => inner
                .downcast_ref::<ureq::Error>()
                .map_or_else(|| broken(error), |inner| fault_of(inner, try_max)),
            Some(inner) if inner.is::<NotReached>() => Fault::Unserved(inner.to_string()),
            _ => match TlsFailed::text_of(error) {
                Some(text) => Fault::Unanswered(format!("the connection cannot go on: {text}")),
                None => broken(error),
            },
        },
        ureq::Error::Protocol(_) | ureq::Error::Http(_) | ureq::Error::LargeResponseHeader(..) => {
            let reason = error.to_string();
            let reason = Plain(&reason);
            Fault::Unanswered(format!(
                "what it sent is no answer by HTTP ({reason}): is this etcd's port for clients?"
            ))
        }
        _ => {
            let source = error.source().map(|source| format!(" ({source})"));
            Fault::Unanswered(format!("{error}{}", source.unwrap_or_default()))
        }
    }
}

fn broken(error: &std::io::Error) -> Fault {
    Fault::Unanswered(format!(
        "the connection broke before the answer: {error}; is it running?"
    ))
}

/// An answer that says that something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    status: u16,
    /// What etcd says, with its code of gRPC. `None` if it does not come from etcd.
    said: Option<(Code, String)>,
    body: String,
}

/// The codes of gRPC. <https://grpc.io/docs/guides/status-codes/>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    OutOfRange,
    Unimplemented,
    Unavailable,
    DataLoss,
    Unauthenticated,
    /// One that says nothing about whether the call was done.
    Other,
}

impl Code {
    fn of(number: u64) -> Code {
        match number {
            3 => Code::InvalidArgument,
            5 => Code::NotFound,
            7 => Code::PermissionDenied,
            8 => Code::ResourceExhausted,
            9 => Code::FailedPrecondition,
            11 => Code::OutOfRange,
            12 => Code::Unimplemented,
            14 => Code::Unavailable,
            15 => Code::DataLoss,
            16 => Code::Unauthenticated,
            _ => Code::Other,
        }
    }
}

/// An error as etcd's gateway writes it. Its versions do not agree on the fields.
#[derive(Debug, Deserialize)]
pub struct ErrorBody {
    #[serde(alias = "grpc_code")]
    code: Option<u64>,
    message: Option<String>,
    error: Option<String>,
}

/// The same in a stream.
#[derive(Debug, Deserialize)]
struct Wrapped {
    error: ErrorBody,
}

impl Complaint {
    /// The answer with this status and body.
    pub fn new(status: u16, body: &[u8]) -> Complaint {
        // A stream that fails before its first answer has the error of a stream, and the status of an error.
        let inner = serde_json::from_slice(body).map(|Wrapped { error }| error);
        let said = inner.or_else(|_| serde_json::from_slice(body));
        Complaint {
            status,
            said: said.ok().and_then(said_in),
            body: shown(&String::from_utf8_lossy(body)),
        }
    }

    /// An error in the answer to a keepalive, whose status is sent before.
    pub fn in_stream(body: ErrorBody) -> Complaint {
        Complaint {
            status: 200,
            body: shown(&format!("{body:?}")),
            said: said_in(body),
        }
    }

    /// Whether a new token would help.
    pub fn wants_a_token(&self) -> bool {
        self.is(Code::Unauthenticated, "")
            || self.is(Code::InvalidArgument, "user name is empty")
            || self.says("auth store is old")
            || self.says("revision in header is old")
    }

    /// Whether there is no such lease.
    pub fn is_no_lease(&self) -> bool {
        self.is(Code::NotFound, "lease not found")
    }

    /// Whether etcd does not ask who somebody is.
    pub fn is_no_users(&self) -> bool {
        self.is(Code::FailedPrecondition, "authentication is not enabled")
    }

    fn is(&self, expected: Code, part: &str) -> bool {
        let said = self.said.as_ref();
        said.is_some_and(|(code, text)| *code == expected && text.contains(part))
    }

    fn says(&self, part: &str) -> bool {
        let said = self.said.as_ref();
        said.is_some_and(|(_, text)| text.contains(part))
    }

    /// What it means.
    pub fn fault(&self) -> Fault {
        let Some((code, text)) = &self.said else {
            return self.fault_of_stranger();
        };
        let text = shown(text);
        match code {
            Code::InvalidArgument if text.contains("user name is empty") => {
                Fault::Refused(format!(
                    "it wants to know who asks ({text}): give user and password with --etcd-user"
                ))
            }
            Code::InvalidArgument if text.contains("authentication failed") => {
                Fault::Refused(format!(
                    "it does not know this user, or the password is another one ({text}): correct the file of --etcd-user"
                ))
            }
            // Another member may have a newer memory of users and tokens.
            Code::Unauthenticated => Fault::Unserved(text),
            _ if self.wants_a_token() => Fault::Unserved(text),
            Code::PermissionDenied => Fault::Refused(format!(
                "the user may not do this ({text}): grant it a role that may read and write all keys with the prefix of \
                 --store"
            )),
            Code::FailedPrecondition if text.contains("learner") => {
                Fault::Unserved(format!("{text}: name the members that vote in --store"))
            }
            Code::FailedPrecondition if text.contains("not capable") => Fault::Unserved(text),
            Code::FailedPrecondition if text.contains("not leader") => Fault::Unserved(text),
            Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::OutOfRange => Fault::Refused(format!("{text}; {ITS_LOG}")),
            Code::Unimplemented => Fault::Refused(format!("{text}: etcd must be 3.4 or later")),
            // What finds no room any more is refused, but what takes the last room is done and gets the same answer.
            Code::ResourceExhausted if text.contains("space exceeded") => Fault::Full(format!(
                "it is full ({text}): compact it and defragment every member, or raise its --quota-backend-bytes, and then \
                 call etcdctl alarm disarm"
            )),
            Code::ResourceExhausted if text.contains("too many requests") => Fault::Unserved(text),
            // Only a request that needs a leader and finds none is told so; what has begun is told something else.
            Code::Unavailable if text.contains("no leader") => Fault::Unserved(format!(
                "{text}: most of its members are away, or it is cut off from them"
            )),
            Code::Unavailable if text.contains("learner") || text.contains("not capable") => {
                Fault::Unserved(text)
            }
            Code::DataLoss => Fault::Unanswered(format!("{text}: ask who runs etcd")),
            Code::ResourceExhausted | Code::Unavailable | Code::Other => {
                Fault::Unanswered(format!("{text}; {ITS_LOG}"))
            }
        }
    }

    /// What it means if it does not come from etcd itself, but from its HTTP server or from something on the way.
    fn fault_of_stranger(&self) -> Fault {
        let Complaint { status, body, .. } = self;
        match status {
            404 => Fault::Unserved(
                "it has no JSON gateway (404): start etcd with --enable-grpc-gateway, or with enable-grpc-gateway: true \
                 in its configuration file; it must be 3.4 or later"
                    .to_owned(),
            ),
            400 if body.contains("HTTPS server") => {
                Fault::Unserved("it speaks TLS: write etcds:// in --store".to_owned())
            }
            400 if body.contains("CommonName") => Fault::Unserved(format!(
                "it takes no certificate with a common name here ({body}): show one without, and give user and password \
                 with --etcd-user"
            )),
            300..400 => Fault::Unserved(format!(
                "it sends requests elsewhere ({status}), which is not followed: name etcd itself in --store"
            )),
            400..500 => Fault::Unserved(format!(
                "it refuses the request ({status}: {body}): is this etcd's port for clients?"
            )),
            _ => {
                let says = if body.is_empty() { "" } else { ": " };
                Fault::Unanswered(format!(
                    "it answers {status}{says}{body}; is this etcd's port for clients, with nothing in between?"
                ))
            }
        }
    }
}

fn said_in(body: ErrorBody) -> Option<(Code, String)> {
    let text = body.message.or(body.error)?;
    Some((Code::of(body.code?), text))
}

/// A text in one line, and not more of it than a log can take.
fn shown(text: &str) -> String {
    let text = text.trim();
    let mut shown: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    Plain(&shown).to_string()
}
