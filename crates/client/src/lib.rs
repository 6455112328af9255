//! A blocking client: identities from one server, or from the first of several that answers.
//!
//! ```
//! use ipseity_client::Client;
//! # let server = ipseity_harness::fake::Fake::serving(1);
//! # let address = server.address();
//!
//! # fn run(address: String) -> Result<(), Box<dyn std::error::Error>> {
//! // `address` is "127.0.0.1:3264", say.
//! let client = Client::new([address])?;
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
//! A program that needs many shares a [`Source`]. It keeps a block of identities and takes the next one ahead of need:
//!
//! ```
//! use ipseity_client::Source;
//! # let server = ipseity_harness::fake::Fake::serving(1);
//! # let address = server.address();
//!
//! let source = Source::new([address]).unwrap();
//! std::thread::scope(|scope| {
//!     for _ in 0..4 {
//!         scope.spawn(|| println!("{}", source.next().unwrap()));
//!     }
//! });
//! ```
//!
//! The rules are the same for the clients of all languages; docs/clients.md has them.
//!
//! # What it keeps
//!
//! - **Strictly increasing.** The client remembers the newest identity that it has seen and sends it as
//!   `after` with every request. So what a call returns is greater than all that the client had seen when the call began,
//!   whichever server answers. An identity that came another way, in a message or from a database, is made known with
//!   [`Client::observe`].
//! - **Checked.** A reply that does not keep the promises of docs/protocol.md (not greater than `after`, of
//!   another count or kind, not decodable) is a [`Violation`], and nothing of it is handed on.
//! - **Bounded.** Each call ends within [`ClientOptions::call_timeout`], over all servers and all tries. In it a server has
//!   [`ClientOptions::connect_timeout`] to be looked up, to accept and for a TLS handshake, and
//!   [`ClientOptions::reply_timeout`] to reply in full, however many frames that takes. A call that ends while it connects
//!   leaves the attempt to the next one, so a server has not failed because that call had little time left.
//! - **Shared.** Threads may share a client. Their calls take turns, and a call that waits for its turn does so within its own
//!   time. A [`Source`] is much faster for that.
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
//! The client connects with its first call, to a random server of the list ([`ClientOptions::first`]), and keeps the
//! connection. A server that cannot be reached, does not reply in time, closes the connection or answers that it cannot serve
//! now (it is full, stopping, without a disk, asking its peers first, objected to by them, over its budget, out of sequences)
//! is left for the next in the list, and the client stays with the one that answered. A server that has failed is avoided for
//! a second, and for longer each time that it fails again, up to half a minute. So a frozen server costs one
//! `reply_timeout`, and not one for each call. When all have failed, the client waits a moment and tries them again, until the
//! time of the call is over. After an answer such as "the count is over the limit" no other server is asked. If a connection
//! that was in use is found closed, for example after an idle time, it is made again once before its server counts as
//! failed. A server that breaks the protocol ends the call.
//!
//! A request whose reply was lost is simply sent again, to the same server or the next. That is safe: the
//! identities of the lost reply may have been taken from the counter, and then nobody ever gets them. They
//! are skipped, never repeated.
//!
//! # What it does not do
//!
//! It keeps no state beyond its process, reads no wall clock and writes no log: [`Hooks`] and [`Counters`] tell what it does.
//! A client starts threads only for what cannot be cancelled: connecting, and in it looking up a name, and each of several
//! addresses. They end by themselves, within [`ClientOptions::connect_timeout`] but for the lookup. A client has one that
//! connects, and a process has at most [`LOOKUPS_MAX`](limits::LOOKUPS_MAX) lookups and
//! [`ATTEMPT_THREADS_MAX`](limits::ATTEMPT_THREADS_MAX) attempts at one of several addresses. None of them keeps a process
//! from its end. A source has one thread. A process that forks makes its clients after the fork: a connection must not be
//! used from two sides. It imports `ipseity_core`, `ipseity_frames` and `ipseity_tls`, and
//! nothing of the server.

mod address;
mod block;
mod choice;
mod client;
mod clock;
mod closed;
mod connecting;
mod connection;
mod dial;
mod error;
mod judge;
pub mod limits;
mod lookup;
mod operator;
mod options;
mod pipeline;
mod setup;
mod source;
mod stream;
#[cfg(feature = "tokio")]
pub mod tokio;
mod turn;
mod watch;

pub use address::{ServerAddress, ServerAddressError};
pub use block::{Block, Identities};
pub use client::Client;
pub use dial::connect;
pub use error::{AddressFailure, ClientError, FailureCause, ServerFailure, Violation};
pub use options::{ClientOptions, First, Rounds};
pub use pipeline::Pipeline;
pub use source::{Source, SourceOptions};
pub use watch::{Counters, Hooks};

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
    identity::{Identity, IdentityError, Pid, Sequence},
    limits::PORT_DEFAULT,
    words::{ClusterName, ErrorCode, ErrorReply, Member, Members, Standing, Status},
};
