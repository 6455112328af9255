//! A blocking client: identities from one server, or from the first of several that answers.
//!
//! ```
//! use ipseity_client::Client;
//! # let server = ipseity_harness::fake::Fake::serving(1);
//! # let address = server.address();
//!
//! # fn run(address: String) -> Result<(), Box<dyn std::error::Error>> {
//! // `address` is "127.0.0.1:3264", say.
//! let mut client = Client::new([address])?;
//!
//! let identity = client.next()?;
//! println!("{identity} is sequence {} of pid {}", identity.sequence(), identity.pid());
//!
//! // A thousand with one request; each is greater than all before it.
//! for newer in client.block(1000)? {
//!     assert!(newer > identity);
//! }
//! # Ok(())
//! # }
//! # run(address).unwrap();
//! ```
//!
//! # What it keeps
//!
//! - **Strictly increasing.** The client remembers the newest identity that it has seen and sends it as
//!   `after` with every request, so what one client returns increases, whichever server answers. An
//!   identity that came another way, in a message or from a database, is made known with
//!   [`Client::observe`].
//! - **Checked.** A reply that does not keep the promises of docs/protocol.md (not greater than `after`, of
//!   another count or kind, not decodable) is a [`Violation`], and nothing of it is handed on.
//! - **Bounded.** Each call ends: a server has [`ClientOptions::connect_timeout`] to be looked up, to accept and for a TLS handshake, and
//!   [`ClientOptions::reply_timeout`] to reply in full, however many frames that takes. Each server is tried once per
//!   call.
//!
//! # Names and addresses
//!
//! A server may be given by name. Then all its addresses are used, as RFC 8305 describes: IPv6 and IPv4 take turns, and
//! the family that the system puts first begins. The next attempt begins as soon as the last one fails, or after
//! 250 ms ([`ATTEMPT_DELAY`](limits::ATTEMPT_DELAY)); the earlier ones go on, and the first that connects wins. So an
//! address that is dead or silent does not use up the time. Where many addresses share a short timeout, the attempts
//! are closer together, so that all of them begin in time.
//!
//! Servers behind one name should be of one cluster. The client asks the one that accepts first, and does not go on
//! to another address of the name when that one refuses a request. To fail over from server to server, list each.
//!
//! A name is looked up each time a connection is made. The system's resolver cannot be cancelled, so a call that gives
//! up leaves its lookup behind, and the next call for that name waits for the same lookup. If the resolver is often
//! slower than the timeout, for example because its first name server is down, set a longer
//! [`ClientOptions::connect_timeout`].
//!
//! # TLS
//!
//! A server whose address begins with `tls://` is spoken to by TLS 1.3 or 1.2. [`Client::tls`] says which CAs are
//! believed; those of the system are not asked. The handshake is part of connecting and shares its time, and a certificate
//! that is not accepted is a failure of that server ([`FailureCause::Tls`]) with the reason in plain words. Nothing is
//! kept from one connection to the next, so each one looks at the certificates anew. Without the feature `tls`, which is
//! on by default, this crate has no TLS and depends on nothing for it.
//!
//! # Failover
//!
//! The client connects with its first call and keeps the connection. A server that cannot be reached, does
//! not reply in time, closes the connection or answers that it cannot serve now (it is full, stopping,
//! without a disk, asking its peers first, objected to by them, over its budget, out of sequences) is left for the next in
//! the list, and the client stays with the one that answered. After an answer such as "the count is over the
//! limit" no other server is asked. If a connection that was in use is found closed, for example after an idle time, it
//! is made again once before its server counts as failed. A server that breaks the protocol ends the call.
//!
//! A request whose reply was lost is simply sent again, to the same server or the next. That is safe: the
//! identities of the lost reply may have been taken from the counter, and then nobody ever gets them. They
//! are skipped, never repeated.
//!
//! # What it does not do
//!
//! It keeps no state beyond its process and reads no wall clock. It starts threads only for what cannot be cancelled:
//! looking up a name, and connecting to one of several addresses. They end by themselves, and a process has at most
//! [`LOOKUPS_MAX`](limits::LOOKUPS_MAX) and [`ATTEMPT_THREADS_MAX`](limits::ATTEMPT_THREADS_MAX) of them. For a server
//! that is given by its IP address there are none. One client serves one thread at a time; threads that share nothing
//! take one client each. It imports `ipseity_core`, `ipseity_frames` and `ipseity_tls`, and nothing of the server.

mod address;
mod block;
mod clock;
mod connection;
mod dial;
mod error;
pub mod limits;
mod lookup;
mod operator;
mod pipeline;
mod stream;

use std::time::Duration;

pub use address::{ServerAddress, ServerAddressError};
pub use block::{Block, Identities};
pub use dial::connect;
pub use error::{AddressFailure, ClientError, FailureCause, ServerFailure, Violation};
pub use pipeline::Pipeline;

/// TLS: which CAs are believed, and which certificate is shown.
#[cfg(feature = "tls")]
pub use ipseity_tls::{Credentials, Dialer, Roots, TlsError};
#[cfg(feature = "tls")]
pub use stream::handshake;

/// Without TLS there is nobody who dials by it.
#[cfg(not(feature = "tls"))]
#[derive(Clone, Debug)]
enum Dialer {}

// What the calls take and return. A user of this crate needs no other.
pub use ipseity_core::{
    address::AddressError,
    identity::{Identity, Pid, Sequence},
    limits::PORT_DEFAULT,
    words::{ClusterName, ErrorCode, ErrorReply, Member, Members, Standing, Status},
};

use clock::Stopwatch;
use connection::{Connection, Trouble};
use ipseity_core::words::Message;
use ipseity_frames::Kind;

use crate::limits::CLIENT_IN_FLIGHT_MAX;

/// How long a [`Client`] waits.
///
/// ```
/// use std::time::Duration;
/// use ipseity_client::ClientOptions;
///
/// let options = ClientOptions { reply_timeout: Duration::from_millis(250), ..ClientOptions::default() };
/// assert_eq!(options.connect_timeout, Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// The time in which a server must accept a connection, with the lookup of its name and over all addresses that
    /// the name has: 2 seconds unless set. Less than 1 ms is taken as 1 ms.
    pub connect_timeout: Duration,
    /// The time in which a reply must be complete, from the moment that the call begins to wait for it,
    /// however its bytes arrive: 5 seconds unless set. Less than 1 ms is taken as 1 ms.
    pub reply_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            connect_timeout: Duration::from_secs(2),
            reply_timeout: Duration::from_secs(5),
        }
    }
}

/// A connection to one of several servers. See the [module](self) for what it keeps.
#[derive(Debug)]
pub struct Client {
    // Never empty.
    servers: Vec<ServerAddress>,
    /// The place in `servers` of the one that the connection leads to, or that is tried first.
    current: usize,
    connection: Option<Connection>,
    newest: Option<Identity>,
    options: ClientOptions,
    cluster: Option<ClusterName>,
    dialer: Option<Dialer>,
}

impl Client {
    /// A client of these servers, with default options. The first is tried first. Nothing is looked up
    /// or connected before the first call.
    ///
    /// # Errors
    /// [`ClientError::NoServers`] if there are none, [`ClientError::Address`] if one is not an address.
    pub fn new<A: AsRef<str>>(servers: impl IntoIterator<Item = A>) -> Result<Client, ClientError> {
        Client::with_options(servers, ClientOptions::default())
    }

    /// A client of these servers, with these options.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options<A: AsRef<str>>(
        servers: impl IntoIterator<Item = A>,
        options: ClientOptions,
    ) -> Result<Client, ClientError> {
        let servers = servers
            .into_iter()
            .map(|server| server.as_ref().parse())
            .collect::<Result<Vec<ServerAddress>, ServerAddressError>>()
            .map_err(ClientError::Address)?;
        if servers.is_empty() {
            return Err(ClientError::NoServers);
        }
        Ok(Client {
            servers,
            current: 0,
            connection: None,
            newest: None,
            options,
            cluster: None,
            dialer: None,
        })
    }

    /// The same client, for servers of this cluster only. On each new connection the name is sent with the first request,
    /// so it costs no round trip. A server of another cluster ends the call with
    /// [`ErrorCode::ForeignCluster`], and none of its identities is returned.
    ///
    /// ```
    /// # let server = ipseity_harness::fake::Fake::serving(1);
    /// # let address = server.address();
    /// use ipseity_client::Client;
    ///
    /// let client = Client::new([address]).unwrap();
    /// let mut client = client.cluster("ipseity".parse().unwrap());
    /// println!("{}", client.next().unwrap());
    /// ```
    #[must_use]
    pub fn cluster(self, name: ClusterName) -> Client {
        Client {
            cluster: Some(name),
            connection: None,
            ..self
        }
    }

    /// The same client, with what it needs for servers at `tls://` addresses: which CAs it believes, and the certificate
    /// that it shows to servers that ask for one. The certificate of the server must be for the name or the address that
    /// stands in the list of servers.
    ///
    /// ```no_run
    /// use std::path::Path;
    ///
    /// use ipseity_client::{Client, Credentials, Dialer, Roots};
    ///
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let roots = Roots::read(Path::new("ca.pem"))?;
    /// let own = Credentials::read(Path::new("alice.pem"), Path::new("alice.key"))?;
    /// let client = Client::new(["tls://ids.example.org"])?;
    /// let mut client = client.tls(Dialer::new(roots, Some(own)));
    /// println!("{}", client.next()?);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(self, dialer: Dialer) -> Client {
        Client {
            dialer: Some(dialer),
            connection: None,
            ..self
        }
    }

    /// One identity, greater than all that this client has seen.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means.
    #[allow(
        clippy::should_implement_trait,
        reason = "an endless iterator of results would hide that each step asks a server"
    )]
    pub fn next(&mut self) -> Result<Identity, ClientError> {
        self.block(1).map(|block| block.first())
    }

    /// `count` identities with one request, all greater than those that this client has seen. A server
    /// refuses 0, and more than its limit: 1000 unless its operator has set another.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means.
    pub fn block(&mut self, count: u32) -> Result<Block, ClientError> {
        self.attempt(0, |connection, newest| {
            connection.queue(&identity_request(count, *newest))?;
            receive_block(connection, count, newest)
        })
    }

    /// Sends a request for each of `counts`, keeps up to `in_flight` of them without a reply, and yields the
    /// replies in the order of the requests. `in_flight` is 1 to 1024; a value outside is taken as the
    /// nearest of these. See [`Pipeline`].
    pub fn pipeline<I>(&mut self, in_flight: usize, counts: I) -> Pipeline<'_, I::IntoIter>
    where
        I: IntoIterator<Item = u32>,
    {
        Pipeline::new(
            self,
            in_flight.clamp(1, CLIENT_IN_FLIGHT_MAX),
            counts.into_iter(),
        )
    }

    /// How the server does. With several servers, the first that answers.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means.
    pub fn status(&mut self) -> Result<Status, ClientError> {
        self.attempt(0, |connection, _| receive_status(connection))
    }

    /// The time that a server takes to answer a status request on an open connection. With several
    /// servers, the first that answers.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means.
    pub fn ping(&mut self) -> Result<Duration, ClientError> {
        self.timed_status().map(|(_, time)| time)
    }

    /// How the server does, and the time that it took to answer on an open connection. With several
    /// servers, the first that answers.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means.
    pub fn timed_status(&mut self) -> Result<(Status, Duration), ClientError> {
        self.attempt(0, |connection, _| {
            let stopwatch = Stopwatch::start();
            let status = receive_status(connection)?;
            Ok((status, stopwatch.elapsed()))
        })
    }

    /// Makes an identity known that came another way: what this client returns from now on is greater.
    /// An identity that is not greater than the newest changes nothing. A server refuses an `after` that is too
    /// far ahead of its own sequence ([`ErrorCode::AdvanceTooLarge`]).
    ///
    /// ```
    /// # let server = ipseity_harness::fake::Fake::serving(1);
    /// # let address = server.address();
    /// use ipseity_client::{Client, Identity};
    ///
    /// let mut client = Client::new([address]).unwrap();
    /// let seen = Identity::from_u64(1_000_000).unwrap();
    /// client.observe(seen);
    /// assert!(client.next().unwrap() > seen);
    /// ```
    pub fn observe(&mut self, identity: Identity) {
        self.newest = self.newest.max(Some(identity));
    }

    /// The newest identity that this client has seen, received or told by [`observe`](Self::observe).
    pub fn newest(&self) -> Option<Identity> {
        self.newest
    }

    /// The server that answered last, or is tried first.
    pub fn server(&self) -> &ServerAddress {
        &self.servers[self.current]
    }

    /// Does `call` on the connection, or on one to the next server until each has been tried once.
    /// `awaited` is how many replies the caller expects on a connection that is open already.
    fn attempt<T>(
        &mut self,
        awaited: usize,
        mut call: impl FnMut(&mut Connection, &mut Option<Identity>) -> Result<T, Trouble>,
    ) -> Result<T, ClientError> {
        // Replies to a pipeline that was dropped would be taken for replies to this call.
        self.connection
            .take_if(|connection| connection.awaited() != awaited);
        let mut failures = Vec::new();
        while failures.len() < self.servers.len() {
            let used = self.connection.is_some();
            // Taken out, so that it is closed on every path that does not put it back: after a failure
            // nobody knows which reply comes next.
            let opened = match self.connection.take() {
                Some(connection) => Ok(connection),
                None => Connection::open(
                    self.server(),
                    &self.options,
                    self.cluster.as_ref(),
                    self.dialer.as_ref(),
                ),
            };
            let cause = match opened {
                Err(cause) => cause,
                Ok(mut connection) => match call(&mut connection, &mut self.newest) {
                    Ok(value) => {
                        self.connection = Some(connection);
                        return Ok(value);
                    }
                    Err(Trouble::Failed(FailureCause::Closed { .. })) if used => continue,
                    Err(Trouble::Failed(cause)) => cause,
                    Err(Trouble::Answered(reply)) => {
                        if goes_on_after(&reply) {
                            self.connection = Some(connection);
                        }
                        let server = self.server().clone();
                        return Err(ClientError::Refused { server, reply });
                    }
                    Err(Trouble::Violated(violation)) => {
                        let server = self.server().clone();
                        return Err(ClientError::Violation { server, violation });
                    }
                },
            };
            let server = self.server().clone();
            failures.push(ServerFailure { server, cause });
            self.current = (self.current + 1) % self.servers.len();
        }
        Err(ClientError::Unavailable(failures))
    }
}

/// The request for `count` identities greater than `newest`.
fn identity_request(count: u32, newest: Option<Identity>) -> Message {
    Message::IdentityRequest {
        count,
        after: newest.map_or(0, Identity::get),
    }
}

/// Waits for the reply to a request for `count` identities, and checks it.
fn receive_block(
    connection: &mut Connection,
    count: u32,
    newest: &mut Option<Identity>,
) -> Result<Block, Trouble> {
    match connection.receive()? {
        Message::IdentityReply {
            first,
            count: received,
        } => {
            if received != count {
                let asked = count;
                return Err(Violation::WrongCount { asked, received }.into());
            }
            let block = Identity::from_u64(first)
                .and_then(|first| Block::new(first, count))
                .ok_or(Violation::NoIdentities { first, count })?;
            // The newest may be newer than the `after` of this request, when others were answered since
            // it was sent. The reply must exceed it even so: a server increases over all its replies.
            if let Some(after) = newest.filter(|after| block.first() <= *after) {
                let first = block.first();
                return Err(Violation::NotGreater { first, after }.into());
            }
            let now = block.first().pid();
            let before = *connection.pid.get_or_insert(now);
            if before != now {
                return Err(Violation::PidChanged { before, now }.into());
            }
            *newest = Some(block.last());
            Ok(block)
        }
        Message::ErrorReply(reply) => Err(refusal(*reply)),
        other => Err(wrong_kind(Kind::IdentityReply, &other)),
    }
}

fn receive_status(connection: &mut Connection) -> Result<Status, Trouble> {
    connection.queue(&Message::StatusRequest)?;
    match connection.receive()? {
        Message::StatusReply(status) => Ok(*status),
        Message::ErrorReply(reply) => Err(refusal(*reply)),
        other => Err(wrong_kind(Kind::StatusReply, &other)),
    }
}

/// What an errorReply means: try the next server if that may answer better, otherwise hand the error on.
fn refusal(reply: ErrorReply) -> Trouble {
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
            | ErrorCode::Exhausted,
        ) => Trouble::Failed(FailureCause::Refused(reply)),
        Some(
            ErrorCode::NotTrusted
            | ErrorCode::UnknownPid
            | ErrorCode::UnknownKind
            | ErrorCode::BadLength
            | ErrorCode::BadBody
            | ErrorCode::Incomplete
            | ErrorCode::BadCount
            | ErrorCode::AdvanceTooLarge
            | ErrorCode::ForeignCluster
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

/// Whether the connection can be used after an errorReply. After an unknown code it is given up: a new
/// connection costs little, and one that the server no longer reads costs a timeout.
fn goes_on_after(reply: &ErrorReply) -> bool {
    ErrorCode::from_u16(reply.code).is_some_and(|code| !code.closes())
}

fn wrong_kind(expected: Kind, received: &Message) -> Trouble {
    let received = Kind::from(received);
    Violation::WrongKind { expected, received }.into()
}
