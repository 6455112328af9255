//! What the server needs from the world: sockets, names, a disk, the time, randomness.
//!
//! The server and the transport are written against these two traits, so that the same code runs on an
//! operating system ([`os`](crate::os)) and in a simulation.

use std::{
    io::{self, Read},
    net::SocketAddr,
    time::Duration,
};

use ipseity_core::{
    actor::Write,
    ids::{ConnectionId, ListenerId, NameId},
    time::Instant,
    words::{Standing, StorageStatus, StoreKind, StoreStatus, WriteTimes},
};

use crate::{mailbox::Mailbox, secure::Settings};

/// A stream that never blocks: what cannot be done now fails with [`io::ErrorKind::WouldBlock`].
///
/// Readiness is edge-triggered: after a `WouldBlock`, a new readiness is dispatched when reading or writing can go
/// on, and only then.
pub trait Socket: Read + io::Write {
    /// Whether the connection is established: `Ok(false)` while it is still being made.
    ///
    /// # Errors
    /// The connection failed.
    fn is_connected(&self) -> io::Result<bool>;

    /// The address of the other side.
    ///
    /// # Errors
    /// The connection is broken.
    fn peer_address(&self) -> io::Result<SocketAddr>;

    /// From now on, notices soon if the other side vanishes without closing. It is for a peer that connected and
    /// asks: it gets nothing but answers, so after it has vanished no write would fail.
    fn watch(&self) {}

    /// How many bytes the kernel holds for a socket that takes no more: replies that were not read, and requests that
    /// wait for them. It is asked for nearly every write that does not fit, so it must cost nothing.
    fn held_bytes(&self) -> usize;

    /// Whether bytes have arrived that were not read yet.
    fn has_input(&self) -> bool;

    /// When it is closed, unsent bytes are dropped, so that the kernel keeps nothing for somebody who does not read.
    fn discard(&self) {}

    /// Tells the other side that nothing more will be sent.
    ///
    /// # Errors
    /// The connection is broken.
    fn shutdown_write(&self) -> io::Result<()>;
}

/// The world around one server.
pub trait Edge {
    /// A connection to another process.
    type Socket: Socket;

    /// The present moment, on a clock that never goes back.
    fn now(&self) -> Instant;

    /// Waits until something happens or the deadline comes, and dispatches what happened: readiness,
    /// finished lookups, finished writes, signals. With `None` it waits without a limit; with a deadline in
    /// the past it only looks and does not wait.
    ///
    /// # Errors
    /// The poll itself failed: the server cannot go on.
    fn poll(&mut self, deadline: Option<Instant>, mailbox: &mut Mailbox) -> io::Result<()>;

    /// Accepts the next connection that waits at a listener.
    ///
    /// # Errors
    /// `WouldBlock` if none waits. After most other errors the connection still waits.
    fn accept(&mut self, listener: ListenerId) -> io::Result<(Self::Socket, SocketAddr)>;

    /// Closes the listeners.
    fn stop_accepting(&mut self);

    /// Starts to connect.
    ///
    /// # Errors
    /// The attempt failed at once.
    fn connect(&mut self, address: SocketAddr) -> io::Result<Self::Socket>;

    /// From now on, readiness of `socket` is dispatched with the id `connection`.
    ///
    /// # Errors
    /// The poll accepts no more sockets.
    fn register(&mut self, socket: &mut Self::Socket, connection: ConnectionId) -> io::Result<()>;

    /// Starts to look up the addresses behind a name, `host:port`. `Entry::Resolved` is dispatched when it is done. There
    /// is one lookup of a name at a time, and none waits for that of another name.
    fn resolve(&mut self, name: NameId, text: &str);

    /// Takes the result of a lookup that is done. There is one result for each `Entry::Resolved`.
    ///
    /// # Errors
    /// The name has no address at the moment.
    fn resolved(&mut self, name: NameId) -> io::Result<Vec<SocketAddr>>;

    /// Starts to make something durable, after everything that was requested before. `Event::Written` is
    /// dispatched with the result. If it fails, the edge logs why.
    fn write(&mut self, write: Write);

    /// The part of the status about the disk. The caller fills in the ceiling and what was skipped.
    fn storage(&self) -> StorageStatus;

    /// What keeps the state. The caller fills in whether it answers.
    fn store(&self) -> StoreStatus {
        on_disk(&self.storage())
    }

    /// How long writes took, and how many have failed.
    fn writes(&self) -> WriteTimes;

    /// How many log lines were dropped since the start.
    fn log_lines_dropped(&self) -> u64;

    /// Has the trace file opened again, because it may have been moved away. The call does not wait for that. If
    /// `is_told`, a log line says how it went.
    fn reopen(&mut self, is_told: bool);

    /// Starts to read the files of TLS again. `Entry::TlsRead` is dispatched when that is done. The call does not wait.
    fn read_tls(&mut self);

    /// Takes what was read. There is one result for each `Entry::TlsRead`.
    ///
    /// # Errors
    /// A file is wrong, or they do not fit together.
    fn tls_read(&mut self) -> Result<Settings, String>;

    /// Takes the addresses of those who own the other pids, each `host:port`, as the store said last. `Entry::Owners` is
    /// dispatched each time that they have changed.
    fn owners(&mut self) -> Vec<String>;

    /// Tells the supervisor that started this process, if it wants to be told, that the server runs and how it stands. The
    /// first call says that it is ready: it listens. The call does not wait. Returns after which time it is to be called
    /// again, even if nothing has changed by then.
    fn notify(&mut self, standing: Standing) -> Option<Duration>;

    /// 64 random bits, for the jitter of the backoff.
    fn random(&mut self) -> u64;
}

/// What keeps the state of a server that has a disk of its own, or nothing.
pub fn on_disk(storage: &StorageStatus) -> StoreStatus {
    StoreStatus {
        kind: match storage.durable {
            true => StoreKind::Directory,
            false => StoreKind::None,
        },
        ..StoreStatus::default()
    }
}
