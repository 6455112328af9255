//! Why a call of the client failed, as types; `Display` says it in plain words and names the server.

mod again;
mod words;

use std::{fmt, io, net::SocketAddr, time::Duration};

use super::address::{ServerAddress, ServerAddressError};
use ipseity_core::{
    identity::{Identity, Pid, Sequence},
    text::Plain,
    words::{ClusterName, ErrorCode, ErrorReply},
};
use ipseity_frames::{Kind, WireError};
use words::InWords;

/// Why a call failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// No server answered in time: every server with its last failure, in the order in which they were tried. The list is
    /// never empty. Trying again later is safe.
    Unavailable(Vec<ServerFailure>),
    /// A server refused this request, and no other server is tried. Another one would say the same
    /// ([`ErrorCode::BadCount`], [`ErrorCode::AdvanceTooLarge`]), or the request was for this one only
    /// ([`ErrorCode::NotTrusted`], [`ErrorCode::UnknownPid`]), or this build does not know the code. The client can still
    /// be used.
    Refused {
        /// The server that answered.
        server: ServerAddress,
        /// Its answer: a code for programs, and a text for people.
        reply: ErrorReply,
    },
    /// The server is of another cluster than the client was told ([`Client::cluster`](crate::Client::cluster)). Nothing that
    /// it said is used, and no other server is tried. Correct the list of servers, or the name.
    WrongCluster {
        /// The server that answered.
        server: ServerAddress,
        /// The cluster that the client was told, if it was told one.
        expected: Option<ClusterName>,
        /// The answer of the server, or what it would have answered: both clusters, for people.
        reply: ErrorReply,
    },
    /// A server broke the protocol, so its reply is not used. Perhaps it is not an Ipseity server, or its counter went
    /// back; to go on with another server would hide that. The connection is closed; the next call makes a new one.
    Violation {
        /// The server that sent it.
        server: ServerAddress,
        /// What is wrong with it.
        violation: Violation,
    },
    /// The client or the source was closed, before the call or during it.
    Closed,
    /// The operating system gave no thread to a source.
    Thread(io::Error),
    /// The list of servers is empty.
    NoServers,
    /// The option with this name is zero, and a time must be more than that. Nothing was sent.
    NoTime(&'static str),
    /// A text in the list of servers is not an address.
    Address(ServerAddressError),
}

impl ClientError {
    /// The code of the errorReply that this error comes from, if it is [`Refused`](Self::Refused) or
    /// [`WrongCluster`](Self::WrongCluster), with a code that this build knows.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Refused { reply, .. } | ClientError::WrongCluster { reply, .. } => {
                ErrorCode::from_u16(reply.code)
            }
            ClientError::Unavailable(_)
            | ClientError::Violation { .. }
            | ClientError::Closed
            | ClientError::Thread(_)
            | ClientError::NoServers
            | ClientError::NoTime(_)
            | ClientError::Address(_) => None,
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ClientError::Violation {
                violation: Violation::Undecodable(error),
                ..
            } => Some(error),
            ClientError::Address(error) => Some(error),
            ClientError::Thread(error) => Some(error),
            ClientError::Unavailable(failures) => failures.last()?.cause.source(),
            ClientError::Refused { .. }
            | ClientError::WrongCluster { .. }
            | ClientError::Violation { .. }
            | ClientError::Closed
            | ClientError::NoServers
            | ClientError::NoTime(_) => None,
        }
    }
}

impl FailureCause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FailureCause::Lookup(error) | FailureCause::Io(error) => Some(error),
            FailureCause::Connect(failures) => failures.last().map(|failure| &failure.error as _),
            _ => None,
        }
    }
}

/// A server that was tried, and what happened there.
#[derive(Debug)]
pub struct ServerFailure {
    /// The server that was tried, as it was given to the client.
    pub server: ServerAddress,
    /// What happened there. It is never the answer to the request.
    pub cause: FailureCause,
}

impl fmt::Display for ServerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            // The address is the server's name, so it is not named twice.
            FailureCause::Connect(failures)
                if let [failure] = failures.as_slice()
                    && self.server.place() == failure.address.to_string() =>
            {
                write!(f, "{}: cannot connect: {}", self.server, failure.error)
            }
            cause => write!(f, "{}: {cause}", self.server),
        }
    }
}

/// What happened at a server that gave no answer. The next server is tried.
#[derive(Debug)]
#[non_exhaustive]
pub enum FailureCause {
    /// The name could not be looked up: what the system's resolver said.
    Lookup(io::Error),
    /// The system's resolver did not answer within this time, the
    /// [`connect_timeout`](crate::ClientOptions::connect_timeout). Perhaps it waits for a name server that is down.
    LookupTimeout(Duration),
    /// The name exists but has no address.
    NoAddress,
    /// No connection to any of its addresses: those that were tried, in order. There is at least one.
    Connect(Vec<AddressFailure>),
    /// There was no connection within this time, that of the call. Connecting may go on, for later calls.
    NoConnection(Duration),
    /// The reply was not complete in time; the time that it had.
    Timeout(Duration),
    /// The server closed the connection before the reply was complete; how many bytes of it had arrived.
    Closed {
        /// How many bytes of the frame had arrived.
        bytes: usize,
    },
    /// The connection failed in another way.
    Io(io::Error),
    /// The TLS handshake was not complete within this time, the
    /// [`connect_timeout`](crate::ClientOptions::connect_timeout). Perhaps the server does not speak TLS there.
    HandshakeTimeout(Duration),
    /// There is no TLS with the server: its certificate is not accepted, or it does not accept that of the client, or one
    /// of the two does not speak TLS. The text says which and why, as a sentence about the server.
    Tls(String),
    /// The server answered with an error that another server may not have:
    /// [`ErrorCode::TooManyConnections`], [`ErrorCode::Storage`], [`ErrorCode::Stopping`],
    /// [`ErrorCode::PidConflict`], [`ErrorCode::StaleState`], [`ErrorCode::OverBudget`],
    /// [`ErrorCode::Joining`], [`ErrorCode::StoreUnavailable`], [`ErrorCode::Exhausted`], or that of TLS that is missing or
    /// not offered, or of a certificate that is not accepted.
    Refused(ErrorReply),
    /// The time of the call was over before its turn came.
    NotTried,
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailureCause::Lookup(error) => write!(f, "cannot look up the name: {error}"),
            FailureCause::LookupTimeout(limit) => {
                write!(f, "the name could not be looked up within {limit:?}")
            }
            FailureCause::NoAddress => f.write_str("the name has no address"),
            FailureCause::Connect(failures) => {
                f.write_str("cannot connect")?;
                for (index, failure) in failures.iter().enumerate() {
                    let before = if index == 0 { " to " } else { ", or to " };
                    write!(f, "{before}{failure}")?;
                }
                Ok(())
            }
            FailureCause::NoConnection(limit) => write!(f, "no connection within {limit:?}"),
            FailureCause::Timeout(limit) => write!(f, "no reply within {limit:?}"),
            FailureCause::Closed { bytes: 0 } => {
                f.write_str("the server closed the connection without a reply")
            }
            FailureCause::Closed { bytes } => {
                write!(
                    f,
                    "the server closed the connection {bytes} bytes into a reply"
                )
            }
            FailureCause::Io(error) => write!(f, "the connection failed: {error}"),
            FailureCause::HandshakeTimeout(limit) => {
                write!(f, "the TLS handshake was not complete within {limit:?}")
            }
            FailureCause::Tls(text) => write!(f, "{}", Plain(text)),
            FailureCause::Refused(reply) => write!(f, "refused with {}", InWords(reply)),
            FailureCause::NotTried => {
                f.write_str("it was not asked, because the time of the call was over")
            }
        }
    }
}

/// An address of a server's name that did not accept, and why.
#[derive(Debug)]
pub struct AddressFailure {
    /// The address that was tried.
    pub address: SocketAddr,
    /// What the operating system said; [`io::ErrorKind::TimedOut`] if the address did not answer in time.
    pub error: io::Error,
}

impl fmt::Display for AddressFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.error)
    }
}

/// How a reply breaks the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The bytes are not a frame that a client accepts.
    Undecodable(WireError),
    /// The answer is HTTP.
    Http,
    /// A reply of another kind than the request has.
    WrongKind {
        /// The kind that answers the request.
        expected: Kind,
        /// The kind that came instead.
        received: Kind,
    },
    /// More or fewer identities than were asked for.
    WrongCount {
        /// How many were asked for.
        asked: u32,
        /// How many the reply says it holds.
        received: u32,
    },
    /// The numbers are not identities: they are before sequence 1 or beyond the last sequence.
    NoIdentities {
        /// The first, as it came.
        first: u64,
        /// How many the reply says it holds.
        count: u32,
    },
    /// The identities are not greater than the newest that this client has seen.
    NotGreater {
        /// The first identity of the reply.
        first: Identity,
        /// The newest that the client had seen, and sent as `after`.
        after: Identity,
    },
    /// The identities carry another pid than earlier ones on the same connection, which has one server
    /// at its other end.
    PidChanged {
        /// The pid of the earlier ones.
        before: Pid,
        /// The pid of the identities in this reply.
        now: Pid,
    },
    /// Members that do not ascend from the pid that was asked for.
    MembersOutOfOrder {
        /// The pid that was asked for.
        from: Pid,
    },
    /// Fewer members than the reply says there are, with no way to ask for the others; or more.
    MembersMiscounted {
        /// How many the server says there are, from the requested pid on.
        total: u32,
        /// How many the reply holds.
        received: usize,
    },
    /// The server confirmed the operation with a sequence that does not exist or is too low.
    WrongSequence {
        /// The sequence, as it came; it may be one that does not exist.
        received: u64,
        /// The lowest sequence that would do: what the request asked for.
        least: Sequence,
    },
    /// Bytes arrived although every request had its reply.
    Unasked {
        /// How many bytes had arrived when that was noticed.
        bytes: usize,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Undecodable(error) => error.fmt(f),
            Violation::Http => f.write_str(
                "it speaks HTTP there: if it is an Ipseity server, ask the address of its --listen",
            ),
            Violation::WrongKind { expected, received } => {
                write!(f, "{received} came instead of {expected}")
            }
            Violation::WrongCount { asked, received } => {
                write!(f, "asked for {asked} identities, {received} came")
            }
            Violation::NoIdentities { first, count } => {
                write!(f, "{count} identities from {first} on do not exist")
            }
            Violation::NotGreater { first, after } => {
                write!(
                    f,
                    "identity {first} is not greater than {after}, which is known already"
                )
            }
            Violation::PidChanged { before, now } => {
                write!(
                    f,
                    "identities of pid {now} after those of pid {before} on one connection"
                )
            }
            Violation::MembersOutOfOrder { from } => {
                write!(f, "members that do not ascend from pid {from}")
            }
            Violation::MembersMiscounted { total, received } => {
                write!(f, "{received} members came, of {total} that there are")
            }
            Violation::WrongSequence { received, least } => {
                write!(
                    f,
                    "sequence {received} came, which is beyond the last or below {least}"
                )
            }
            Violation::Unasked { bytes } => {
                write!(f, "{bytes} bytes came that nothing had asked for")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn server() -> ServerAddress {
        "a:1".parse().unwrap()
    }

    fn pid(pid: u16) -> Pid {
        Pid::new(pid).unwrap()
    }

    #[test]
    fn every_violation_says_what_came_and_what_was_expected() {
        let identity = |value| Identity::from_u64(value).unwrap();
        for (violation, text) in [
            (
                Violation::Undecodable(WireError::EmptyFrame),
                WireError::EmptyFrame.to_string(),
            ),
            (
                Violation::Http,
                "it speaks HTTP there: if it is an Ipseity server, ask the address of its --listen"
                    .to_owned(),
            ),
            (
                Violation::WrongKind {
                    expected: Kind::IdentityReply,
                    received: Kind::StatusReply,
                },
                "statusReply came instead of identityReply".to_owned(),
            ),
            (
                Violation::WrongCount {
                    asked: 3,
                    received: 2,
                },
                "asked for 3 identities, 2 came".to_owned(),
            ),
            (
                Violation::NoIdentities { first: 5, count: 2 },
                "2 identities from 5 on do not exist".to_owned(),
            ),
            (
                Violation::NotGreater {
                    first: identity(1025),
                    after: identity(2049),
                },
                "identity 1025 is not greater than 2049, which is known already".to_owned(),
            ),
            (
                Violation::PidChanged {
                    before: pid(1),
                    now: pid(2),
                },
                "identities of pid 2 after those of pid 1 on one connection".to_owned(),
            ),
            (
                Violation::MembersOutOfOrder { from: pid(3) },
                "members that do not ascend from pid 3".to_owned(),
            ),
            (
                Violation::MembersMiscounted {
                    total: 5,
                    received: 4,
                },
                "4 members came, of 5 that there are".to_owned(),
            ),
            (
                Violation::WrongSequence {
                    received: 4,
                    least: Sequence::new(5).unwrap(),
                },
                "sequence 4 came, which is beyond the last or below 5".to_owned(),
            ),
            (
                Violation::Unasked { bytes: 6 },
                "6 bytes came that nothing had asked for".to_owned(),
            ),
        ] {
            assert_eq!(violation.to_string(), text);
            let undecodable = matches!(violation, Violation::Undecodable(_));
            let error = ClientError::Violation {
                server: server(),
                violation,
            };
            assert_eq!(
                error.to_string(),
                format!(
                    "a:1 breaks the protocol: {text} (check that it is an Ipseity server, and its version)"
                )
            );
            assert_eq!(error.source().is_some(), undecodable);
            assert_eq!(error.code(), None);
        }
    }

    #[test]
    fn every_failure_of_a_server_says_what_happened_there() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let address_failure = |port| AddressFailure {
            address: ([127, 0, 0, 1], port).into(),
            error: refused(),
        };
        for (cause, text) in [
            (
                FailureCause::Lookup(refused()),
                "cannot look up the name: connection refused",
            ),
            (
                FailureCause::LookupTimeout(Duration::from_millis(500)),
                "the name could not be looked up within 500ms",
            ),
            (FailureCause::NoAddress, "the name has no address"),
            (
                FailureCause::Connect(vec![address_failure(1)]),
                "cannot connect to 127.0.0.1:1: connection refused",
            ),
            (
                FailureCause::Connect(vec![address_failure(1), address_failure(2)]),
                "cannot connect to 127.0.0.1:1: connection refused, or to 127.0.0.1:2: connection refused",
            ),
            (
                FailureCause::Timeout(Duration::from_millis(250)),
                "no reply within 250ms",
            ),
            (
                FailureCause::Closed { bytes: 0 },
                "the server closed the connection without a reply",
            ),
            (
                FailureCause::Closed { bytes: 7 },
                "the server closed the connection 7 bytes into a reply",
            ),
            (
                FailureCause::Io(refused()),
                "the connection failed: connection refused",
            ),
            (
                FailureCause::Refused(ErrorReply {
                    code: 999,
                    message: "no\n".to_owned(),
                }),
                "refused with code 999: no\\n",
            ),
        ] {
            let server = server();
            let failure = ServerFailure { server, cause };
            assert_eq!(failure.to_string(), format!("a:1: {text}"));
        }
    }

    #[test]
    fn a_call_that_asked_no_server_says_why() {
        assert_eq!(
            ClientError::NoServers.to_string(),
            "the list of servers is empty (name at least one, such as 127.0.0.1:3264)"
        );
        let address = "a:b".parse::<ServerAddress>().unwrap_err();
        let error = ClientError::Address(address.clone());
        assert_eq!(error.to_string(), address.to_string());
        assert_eq!(error.source().unwrap().to_string(), address.to_string());
        let reply = ErrorReply::new(ErrorCode::BadCount, "count must be 1 to 9");
        let server = server();
        let error = ClientError::Refused { server, reply };
        assert_eq!(error.code(), Some(ErrorCode::BadCount));
        assert_eq!(
            error.to_string(),
            "a:1 refused the request with badCount: count must be 1 to 9 \
             (ask for as many as it allows, or raise its --max-count)"
        );
    }
}
