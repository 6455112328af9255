//! What the server asks of the world: sockets, names, a disk, the time, randomness.
//!
//! The server and the transport are written against these two traits, so that the same code runs on an
//! operating system ([`os`](crate::os)) and in a simulation.

use std::{
    io::{self, Read},
    net::SocketAddr,
};

use ipseity_core::{
    actor::Write,
    ids::{ConnectionId, ListenerId, PeerId},
    time::Instant,
    words::StorageStatus,
};

use crate::mailbox::Mailbox;

/// A stream that never blocks: what cannot be done now fails with [`io::ErrorKind::WouldBlock`].
///
/// Readiness is told by edges: after a read or a write that was cut short by `WouldBlock`, a new readiness
/// is dispatched when it can go on, and only then.
pub trait Socket: Read + io::Write {
    /// Whether a connection that was begun stands: `Ok(false)` while it is under way.
    ///
    /// # Errors
    /// The connection failed.
    fn is_connected(&self) -> io::Result<bool>;

    /// The address of the other side.
    ///
    /// # Errors
    /// The connection is broken.
    fn peer_address(&self) -> io::Result<SocketAddr>;

    /// From now on finds out soon when the other side has vanished without a word: it is a peer that asks, so
    /// nothing is ever written to it that would fail.
    fn watch(&self) {}

    /// Tells the other side that nothing more will be sent.
    ///
    /// # Errors
    /// The connection is broken.
    fn shutdown_write(&self) -> io::Result<()>;
}

/// The world around one server.
pub trait Edge {
    /// Its connections.
    type Socket: Socket;

    /// The present moment.
    fn now(&self) -> Instant;

    /// Waits until something happens or the deadline comes, and dispatches what happened: readiness,
    /// finished lookups, finished writes, signals. `None` waits for ever; a deadline in the past only looks.
    ///
    /// # Errors
    /// The poll itself failed: the server cannot go on.
    fn poll(&mut self, deadline: Option<Instant>, mailbox: &mut Mailbox) -> io::Result<()>;

    /// Takes the next connection that has come in by a listener.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; others leave it in the queue.
    fn accept(&mut self, listener: ListenerId) -> io::Result<(Self::Socket, SocketAddr)>;

    /// Closes the listeners.
    fn stop_accepting(&mut self);

    /// Begins to connect.
    ///
    /// # Errors
    /// It failed at once.
    fn connect(&mut self, address: SocketAddr) -> io::Result<Self::Socket>;

    /// From now on readiness of `socket` is dispatched under the name `connection`.
    ///
    /// # Errors
    /// The poll takes no more.
    fn register(&mut self, socket: &mut Self::Socket, connection: ConnectionId) -> io::Result<()>;

    /// Begins to look up the address of a peer, `host:port`. `Entry::Resolved` is dispatched when it is
    /// done.
    fn resolve(&mut self, peer: PeerId, name: &str);

    /// The outcome of a lookup that is done; taken once.
    ///
    /// # Errors
    /// The name has no address now.
    fn resolved(&mut self, peer: PeerId) -> io::Result<Vec<SocketAddr>>;

    /// Begins to make something durable, behind everything that was asked for before. `Event::Written` is
    /// dispatched when it is done. Should it fail, the edge tells people why.
    fn write(&mut self, write: Write);

    /// How the disk does. The ceiling in it is the caller's to fill.
    fn storage(&self) -> StorageStatus;

    /// Log lines that were dropped so far.
    fn log_lines_dropped(&self) -> u64;

    /// Begins to open anew what may have been moved away while it was written: the trace. It never waits.
    fn reopen(&mut self);

    /// 64 random bits, for the jitter of the backoff.
    fn random(&mut self) -> u64;
}
