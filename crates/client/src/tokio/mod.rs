//! The same client and the same source for tokio: by the same rules, with tasks in place of threads.
//!
//! ```
//! # let server = ipseity_harness::fake::Fake::serving(1);
//! # let address = server.address();
//! use ipseity_client::tokio::Client;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! let client = Client::new([address])?;
//! let identity = client.next().await?;
//! let (one, other) = tokio::join!(client.next(), client.block(1000));
//! assert!(one? > identity && other?.first() > identity);
//! # Ok::<(), ipseity_client::ClientError>(())
//! # }).unwrap();
//! ```
//!
//! # What differs
//!
//! - **Calls share a connection at the same time.** One task owns the connection. It writes all requests and reads all replies,
//!   up to [`CLIENT_IN_FLIGHT_MAX`](crate::limits::CLIENT_IN_FLIGHT_MAX) of them under way. If the connection fails, all calls
//!   that wait on it go on to the next server, each within its own time. If the server breaks the protocol, all of them end
//!   with that.
//! - **Connecting has its own time**, [`connect_timeout`](crate::ClientOptions::connect_timeout), in a task of its own. If the
//!   call that began it ends before, it goes on for the others, until the client is dropped or closed.
//! - **A call may be cancelled** by dropping its future. The reply is still read, and thrown away: it is never taken for
//!   another. Its identities are skipped.
//! - **Names** are looked up by tokio, on its threads for blocking work. A lookup that comes too late goes on there.
//! - What an operator asks ([`Client::status`](crate::Client::status) and the like) only the blocking client has.
//!
//! Clients and sources are shared by reference or in an [`Arc`](std::sync::Arc). They may be made anywhere, and are used in a
//! runtime of tokio with its network and its time enabled. Their tasks belong to the runtime of the call that began them. If that
//! runtime ends, the next call begins new ones.

mod call;
mod client;
mod dial;
mod link;
mod owner;
mod shared;
mod source;
mod stream;
mod wait;

pub use client::Client;
pub use source::Source;
