//! The edge to a real operating system: one `mio::Poll`, the listener, the sockets, the signals, the clock.
//!
//! Two things have no call that does not block: looking up a name, and writing to the disk so that it is
//! durable. Each is made on a helper thread that owns nothing of the server and shares nothing with it: it
//! takes a task from a channel, makes the call, and puts the outcome into a channel back. The outcome
//! enters the mailbox like everything else.

mod clock;
mod descriptors;
mod disk;
mod listen;
mod log;
mod lookup;
mod socket;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, mpsc},
    time::Duration,
};

use mio::{Events, Interest, Poll, Token, Waker, net::TcpListener};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use self::{clock::Clock, disk::Disk, lookup::Lookups};
pub use self::{
    descriptors::{Descriptors, raise_limit},
    listen::Bound,
    log::{announce, init as init_log},
    socket::TcpSocket,
};
use ipseity_core::{
    actor::{Event, Remembered},
    identity::Sequence,
    ids::{ConnectionId, ListenerId, PeerId},
    time::Instant,
    words::StorageStatus,
};

use crate::{
    edge::Edge,
    limits::POLL_EVENTS_MAX,
    mailbox::{Entry, Mailbox, Readiness},
    store::Store,
};

// Tokens of connections are their ids, which have 32 bits. Those of the listeners come last.
const SIGNALS: Token = Token(1 << 32);
const WAKER: Token = Token((1 << 32) + 1);
const FIRST_LISTENER: usize = (1 << 32) + 2;

/// What a helper thread has done.
#[derive(Debug)]
pub(crate) enum Done {
    /// The ceiling is durable, or is not.
    Raised(bool),
    /// The exact sequence of a clean stop is durable, or is not.
    Stopped(bool),
    /// It is durable that a peer objected, or is not.
    Objected(bool),
    /// What is remembered of the peers was saved, or could not be.
    Saved,
    /// A name was looked up.
    Resolved(PeerId, io::Result<Vec<SocketAddr>>),
}

/// See the [module](self).
pub struct Os {
    poll: Poll,
    events: Events,
    /// By their ids; none when the server takes no more connections.
    listeners: Vec<TcpListener>,
    signals: Signals,
    clock: Clock,
    disk: Disk,
    lookups: Lookups,
    done: mpsc::Receiver<Done>,
    resolved: BTreeMap<PeerId, io::Result<Vec<SocketAddr>>>,
}

impl Os {
    /// Takes over SIGTERM and SIGINT, and puts the disk onto its thread: without a `store` nothing is
    /// durable. Then it listens on `bound`, and not before, because what the store has made durable at its
    /// opening must be so when the first connection is accepted.
    ///
    /// # Errors
    /// The address is taken, or the system gives no poll, pipe or thread.
    pub fn new(bound: Bound, store: Option<Store>) -> io::Result<Os> {
        let poll = Poll::new()?;
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        poll.registry()
            .register(&mut signals, SIGNALS, Interest::READABLE)?;
        let mut listener = bound.listen()?;
        poll.registry()
            .register(&mut listener, Token(FIRST_LISTENER), Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (outcomes, done) = mpsc::channel();
        let reporter = Reporter { outcomes, waker };
        Ok(Os {
            poll,
            events: Events::with_capacity(POLL_EVENTS_MAX),
            listeners: vec![listener],
            signals,
            clock: Clock::new(),
            disk: match store {
                Some(store) => Disk::durable(store, reporter.clone())?,
                None => Disk::ephemeral(),
            },
            lookups: Lookups::new(reporter),
            done,
            resolved: BTreeMap::new(),
        })
    }

    /// What the helper threads have done since the last look.
    fn collect_done(&mut self, mailbox: &mut Mailbox) {
        while let Ok(done) = self.done.try_recv() {
            match done {
                Done::Raised(durable) => {
                    self.disk.finished(self.clock.now());
                    let event = if durable {
                        Event::Persisted
                    } else {
                        Event::PersistFailed
                    };
                    mailbox.dispatch(Entry::Event(event));
                }
                Done::Stopped(durable) => {
                    self.disk.finished(self.clock.now());
                    mailbox.dispatch(Entry::StopPersisted { durable });
                }
                Done::Objected(durable) => {
                    self.disk.finished(self.clock.now());
                    if !durable {
                        mailbox.dispatch(Entry::Event(Event::PersistFailed));
                    }
                }
                // Nobody waits for it.
                Done::Saved => self.disk.saved(self.clock.now()),
                Done::Resolved(peer, outcome) => {
                    self.lookups.finished();
                    self.resolved.insert(peer, outcome);
                    mailbox.dispatch(Entry::Resolved(peer));
                }
            }
        }
    }
}

impl std::fmt::Debug for Os {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Os")
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}

impl Edge for Os {
    type Socket = TcpSocket;

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn poll(&mut self, deadline: Option<Instant>, mailbox: &mut Mailbox) -> io::Result<()> {
        let timeout = deadline.map(|deadline| match deadline.since(self.clock.now()) {
            // Rounded up: the poll counts whole milliseconds, and one that wakes early would only poll again.
            wait if !wait.is_zero() => wait + Duration::from_micros(999),
            _ => Duration::ZERO,
        });
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        let mut woken = false;
        for event in &self.events {
            let token = event.token();
            if let Ok(id) = u32::try_from(token.0) {
                mailbox.dispatch(Entry::Ready {
                    connection: ConnectionId::from_u32(id),
                    readiness: Readiness::new(
                        event.is_readable() || event.is_error(),
                        event.is_writable(),
                        event.is_read_closed(),
                    ),
                });
                continue;
            }
            match token {
                SIGNALS => {
                    for _ in self.signals.pending() {
                        mailbox.dispatch(Entry::Signal);
                    }
                }
                WAKER => woken = true,
                Token(listener) => {
                    let id = u16::try_from(listener - FIRST_LISTENER)
                        .expect("nothing else is registered");
                    mailbox.dispatch(Entry::Acceptable(ListenerId(id)));
                }
            }
        }
        if woken {
            self.collect_done(mailbox);
        }
        Ok(())
    }

    fn accept(&mut self, listener: ListenerId) -> io::Result<(TcpSocket, SocketAddr)> {
        let listener = self.listeners.get(usize::from(listener.0));
        let listener = listener.ok_or(io::ErrorKind::WouldBlock)?;
        let (stream, address) = listener.accept()?;
        Ok((TcpSocket::accepted(stream), address))
    }

    fn stop_accepting(&mut self) {
        for mut listener in self.listeners.drain(..) {
            // Closing it is what counts; an error here would change nothing.
            let _ = self.poll.registry().deregister(&mut listener);
        }
    }

    fn connect(&mut self, address: SocketAddr) -> io::Result<TcpSocket> {
        TcpSocket::connect(address)
    }

    fn register(&mut self, socket: &mut TcpSocket, connection: ConnectionId) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(socket.stream(), Token(connection.get() as usize), interest)
    }

    fn resolve(&mut self, peer: PeerId, name: &str) {
        self.lookups.begin(peer, name);
    }

    fn resolved(&mut self, peer: PeerId) -> io::Result<Vec<SocketAddr>> {
        self.resolved
            .remove(&peer)
            .unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))
    }

    fn persist(&mut self, sequence: Sequence, ceiling: Sequence) {
        self.disk.raise(sequence, ceiling, self.clock.now());
    }

    fn persist_stop(&mut self, sequence: Sequence, mailbox: &mut Mailbox) {
        if !self.disk.stop(sequence, self.clock.now()) {
            // There is no disk to wait for.
            mailbox.dispatch(Entry::StopPersisted { durable: true });
        }
    }

    fn persist_members(&mut self, members: Vec<Remembered>) {
        self.disk.save_members(members, self.clock.now());
    }

    fn persist_objection(&mut self, sequence: Sequence) {
        self.disk.object(sequence, self.clock.now());
    }

    fn storage(&self) -> StorageStatus {
        self.disk.status(self.clock.now())
    }

    fn random(&mut self) -> u64 {
        // Only the jitter of a backoff depends on it: without it the wait is still right.
        getrandom::u64().unwrap_or_default()
    }
}

/// How a helper thread reports: the outcome goes into a channel, and the poll is woken.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    outcomes: mpsc::Sender<Done>,
    waker: Arc<Waker>,
}

impl Reporter {
    pub(crate) fn report(&self, done: Done) {
        // The receiver is gone when the server has exited, and then nobody wants to know.
        if self.outcomes.send(done).is_ok()
            && let Err(error) = self.waker.wake()
        {
            ::log::error!("cannot wake the event loop: {error}");
        }
    }
}
