//! The edge to a real operating system: one `mio::Poll`, the listener, the sockets, the signals, the clock.
//!
//! Some things have no call that does not block: looking up a name, writing to the disk so that it is durable, and
//! writing to a log or a trace. Each of these is done on a helper thread that owns nothing of the server. A lookup or
//! a write to the disk is a task in a channel. Its result comes back in a channel and enters the mailbox like
//! everything else. Lines of the log and of the trace wait in bounded queues, and the server does not wait for them.

mod clock;
mod cpus;
mod descriptors;
mod disk;
mod failure;
mod host_name;
mod late;
mod line_queue;
mod listen;
mod log;
mod log_line;
mod lookup;
mod pid_threads;
mod signals;
mod socket;
mod supervisor;
mod tls_files;
mod trace_file;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, mpsc},
    time::Duration,
};

use mio::{Events, Interest, Poll, Token, Waker, net::TcpListener};
use signal_hook_mio::v1_0::Signals;

pub use self::{
    clock::Clock,
    cpus::usable_cpus,
    descriptors::{Descriptors, Others, Places, TooFewDescriptors, raise_limit},
    failure::{StartFailure, advice},
    host_name::host_name,
    late::tell_if_late,
    listen::{Bound, ListenError, listen_addresses},
    log::{announce, dropped as dropped_log_lines, init as init_log, say, time_of_day},
    signals::StartSignals,
    socket::TcpSocket,
    trace_file::{TraceOut, TracePlace},
};
use self::{
    disk::Disk,
    supervisor::Supervisor,
    tls_files::{TlsFiles, TlsRead},
};
use ipseity_core::{
    actor::{Event, Write, Written},
    ids::{ConnectionId, ListenerId, NameId},
    time::Instant,
    words::{Standing, StorageStatus, StoreStatus, WriteTimes},
};

use crate::{
    edge::Edge,
    limits::{LAST_LINES_TIMEOUT, POLL_EVENTS_MAX},
    mailbox::{Entry, Mailbox, Readiness},
    pid_store::{Confirmed, PidStore},
    secure::{Files, Settings},
    store::Store,
};

// Tokens of connections are their ids, which have 32 bits. Those of the listeners come last.
const SIGNALS: Token = Token(1 << 32);
const WAKER: Token = Token((1 << 32) + 1);
const FIRST_LISTENER: usize = (1 << 32) + 2;

/// What keeps the state of a server.
#[derive(Debug, Default)]
pub enum Keeper {
    /// Nothing: nothing is durable.
    #[default]
    Nothing,
    /// A directory.
    Directory(Store),
    /// A pid in etcd, which was confirmed at this moment.
    Pid(PidStore, Instant),
}

/// What a helper thread has done.
#[derive(Debug)]
pub(crate) enum Done {
    /// Something is durable, or could not be made durable.
    Written(Written),
    /// A name was looked up.
    Resolved(NameId, io::Result<Vec<SocketAddr>>),
    /// The files of TLS were read again.
    TlsRead(Box<TlsRead>),
    /// etcd has confirmed the lease.
    Leased {
        confirmed: Confirmed,
        /// How long that took.
        took: Duration,
        /// The lease had ended, and is a new one.
        is_new: bool,
    },
    /// The pid is lost.
    Fenced,
    /// Those who own the other pids have changed.
    Owners(Vec<String>),
}

/// The operating system, as a server sees it through [`Edge`].
pub struct Os {
    poll: Poll,
    events: Events,
    /// By their ids; empty once the server accepts no more connections.
    listeners: Vec<TcpListener>,
    signals: Signals,
    /// Opened again at a SIGHUP.
    trace: Option<TraceOut>,
    clock: Clock,
    disk: Disk,
    reporter: Reporter,
    done: mpsc::Receiver<Done>,
    resolved: BTreeMap<NameId, io::Result<Vec<SocketAddr>>>,
    /// Those who own the other pids, as the store said last.
    owners: Vec<String>,
    tls: Option<TlsFiles>,
    supervisor: Supervisor,
}

impl Os {
    /// Takes over the signals, and starts the thread of the disk. If nothing keeps the state, nothing is durable. Connections
    /// of `bound` are accepted from the first poll on and not before, because the store must have made this boot
    /// durable by then. With `tls`, these files are read again when that is asked for. `clock` is the one by which the
    /// lease of a pid was confirmed.
    ///
    /// # Errors
    /// The system refuses a poll, a pipe or a thread.
    pub fn new(
        bound: Vec<Bound>,
        keeper: Keeper,
        signals: StartSignals,
        trace: Option<TraceOut>,
        tls: Option<Files>,
        clock: Clock,
    ) -> Result<Os, StartFailure> {
        let poll = Poll::new().map_err(StartFailure::of("make a poll"))?;
        let registry = poll.registry();
        let mut signals = signals
            .take_over()
            .map_err(StartFailure::of("take over signals"))?;
        registry
            .register(&mut signals, SIGNALS, Interest::READABLE)
            .map_err(StartFailure::of("poll for signals"))?;
        let mut listeners: Vec<_> = bound.into_iter().map(Bound::into_listener).collect();
        for (index, listener) in listeners.iter_mut().enumerate() {
            registry
                .register(listener, Token(FIRST_LISTENER + index), Interest::READABLE)
                .map_err(StartFailure::of("poll the listener"))?;
        }
        let waker = Waker::new(registry, WAKER).map_err(StartFailure::of("make a waker"))?;
        let waker = Arc::new(waker);
        let (outcomes, done) = mpsc::channel();
        let reporter = Reporter { outcomes, waker };
        Ok(Os {
            poll,
            events: Events::with_capacity(POLL_EVENTS_MAX),
            listeners,
            signals,
            trace,
            clock,
            disk: match keeper {
                Keeper::Directory(store) => Disk::durable(store, reporter.clone())
                    .map_err(StartFailure::of("start the thread that writes to the disk"))?,
                Keeper::Nothing => Disk::ephemeral(reporter.clone()),
                Keeper::Pid(store, at) => pid_threads::begin(store, clock, &reporter)
                    .map(|threads| Disk::in_etcd(threads, at))
                    .map_err(StartFailure::of("start the threads that call etcd"))?,
            },
            reporter,
            done,
            resolved: BTreeMap::new(),
            owners: Vec::new(),
            tls: tls.map(TlsFiles::new),
            supervisor: Supervisor::from_environment(),
        })
    }

    /// Puts the results of the helper threads since the last call into the mailbox.
    fn collect_done(&mut self, mailbox: &mut Mailbox) {
        while let Ok(done) = self.done.try_recv() {
            match done {
                Done::Written(written) => {
                    self.disk.finished(self.clock.now(), written.outcome());
                    mailbox.dispatch(Entry::Event(Event::Written(written)));
                }
                Done::Resolved(name, outcome) => {
                    self.resolved.insert(name, outcome);
                    mailbox.dispatch(Entry::Resolved(name));
                }
                Done::Leased {
                    confirmed: Confirmed { at, until },
                    took,
                    is_new,
                } => {
                    self.disk.confirmed(at, took, is_new);
                    mailbox.dispatch(Entry::Event(Event::Leased { until }));
                }
                Done::Fenced => mailbox.dispatch(Entry::Event(Event::Fenced)),
                Done::Owners(owners) => {
                    self.owners = owners;
                    mailbox.dispatch(Entry::Owners);
                }
                Done::TlsRead(outcome) => {
                    if let Some(tls) = &mut self.tls
                        && tls.have(*outcome)
                    {
                        mailbox.dispatch(Entry::TlsRead);
                    }
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
                    for signal in self.signals.pending() {
                        mailbox.dispatch(signals::entry(signal));
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

    fn resolve(&mut self, name: NameId, text: &str) {
        lookup::begin(name, text, &self.reporter);
    }

    fn resolved(&mut self, name: NameId) -> io::Result<Vec<SocketAddr>> {
        self.resolved
            .remove(&name)
            .unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))
    }

    fn write(&mut self, write: Write) {
        self.disk.write(write, self.clock.now());
    }

    fn storage(&self) -> StorageStatus {
        self.disk.status(self.clock.now())
    }

    fn store(&self) -> StoreStatus {
        self.disk.store(self.clock.now())
    }

    fn writes(&self) -> WriteTimes {
        self.disk.times().clone()
    }

    fn log_lines_dropped(&self) -> u64 {
        dropped_log_lines()
    }

    fn reopen(&mut self, is_told: bool) {
        if let Some(trace) = &self.trace {
            trace.reopen(is_told);
        }
    }

    fn read_tls(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.read(&self.reporter);
        }
    }

    fn tls_read(&mut self) -> Result<Settings, String> {
        let read = self.tls.as_mut().and_then(TlsFiles::take);
        read.unwrap_or_else(|| Err("nothing was read".to_owned()))
    }

    fn owners(&mut self) -> Vec<String> {
        self.owners.clone()
    }

    fn notify(&mut self, standing: Standing) -> Option<Duration> {
        self.supervisor.notify(standing)
    }

    fn random(&mut self) -> u64 {
        // Only the jitter of a backoff depends on it: without it the wait is still right.
        getrandom::u64().unwrap_or_default()
    }
}

/// Waits at the end of the process until the last lines of the trace and of the log are written, but for
/// [`LAST_LINES_TIMEOUT`] at most.
pub fn finish_lines(trace: Option<&TraceOut>) {
    let clock = Clock::begin();
    if let Some(trace) = trace {
        trace.queue().finish(LAST_LINES_TIMEOUT);
    }
    // The log's thread was writing meanwhile.
    let waited = clock.now().since(Instant::START);
    log::finish(LAST_LINES_TIMEOUT.saturating_sub(waited));
}

/// How a helper thread reports: it puts the result into a channel and wakes the poll.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    outcomes: mpsc::Sender<Done>,
    waker: Arc<Waker>,
}

impl Reporter {
    pub(crate) fn report(&self, done: Done) {
        // The receiver is gone once the server has ended, and then nobody needs the result.
        if self.outcomes.send(done).is_ok()
            && let Err(error) = self.waker.wake()
        {
            ::log::error!(
                event = "wakeFailed", reason:% = error;
                "cannot wake the event loop: {error}; what a helper thread has done is noticed later"
            );
        }
    }
}
