//! The loop: poll, dispatch, handle, flush, reap.
//!
//! ```text
//! sockets, timers, signals ──poll──▶ dispatch ──▶ [ mailbox ] ──▶ handle ──▶ replies, timers, disk
//!                                       ▲                            │
//!                                       └──── decoded frames ────────┘
//! ```
//!
//! One turn, [`Server::turn`], reads aloud: wait for something to happen and put it into the mailbox; put
//! the timers that expired behind it; take entries out one at a time, in order, and handle each to its
//! end; write what has come together for each connection; free what was closed.
//!
//! The server routes. The [`actor`](crate::actor) decides, the [`transport`](crate::transport) moves bytes,
//! [`peers`](crate::peers) knows whom to dial, and the [`edge`](crate::edge) is the world.

mod status;

use std::{io, time::Duration};

use log::{debug, error, info, warn};

use crate::{
    actor::{Actor, ActorConfig, Effect, Event, HangUp, Link, PeerId, Report},
    connection::{CloseReason, Origin},
    edge::Edge,
    limits::{
        ACCEPT_RETRY, ACCEPTS_PER_TURN_MAX, MAILBOX_POLL_MAX, STOP_DRAIN, STOP_TIMEOUT,
        STORAGE_EXIT, SWEEP_INTERVAL, TURN_ENTRIES_MAX,
    },
    mailbox::{Entry, Mailbox},
    peers::{Dial, Peers},
    time::Instant,
    timer::{Ticker, Timer, Timers},
    trace::Trace,
    transport::{Closure, Readied, Transport, TransportLimits},
};

/// What a server needs to know when it is made.
#[derive(Debug)]
pub struct ServerConfig {
    /// See [`ActorConfig`].
    pub actor: ActorConfig,
    /// See [`TransportLimits`].
    pub limits: TransportLimits,
    /// The peers to dial, each `host:port`.
    pub peers: Vec<String>,
    /// How often they are asked.
    pub sync_interval: Duration,
    /// Sequences that this start skipped, for `status`.
    pub skipped: u64,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to, and everything is durable.
    Clean,
    /// It was asked to a second time, and did not wait.
    Forced,
    /// The disk failed.
    StorageFailed,
}

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    No,
    /// What has arrived is still read and answered.
    Draining,
    /// The actor was told to stop; the exact sequence is being made durable.
    Settling,
    /// It is durable; what was answered is being written.
    Flushing,
    /// The disk failed: the clients are being told, then the server exits.
    Failing,
}

/// One server in its world.
#[derive(Debug)]
pub struct Server<E: Edge> {
    edge: E,
    mailbox: Mailbox,
    timers: Timers,
    ticker: Ticker,
    actor: Actor,
    transport: Transport<E::Socket>,
    peers: Peers,
    trace: Option<Trace>,
    stopping: Stopping,
    exit: Option<Exit>,
    /// Read once a turn.
    now: Instant,
    started_at: Instant,
    skipped: u64,
    /// Effects of the event that is being handled; empty between two entries.
    effects: Vec<Effect>,
    /// Accepting has failed, and people were told.
    accept_failed: bool,
}

impl<E: Edge> Server<E> {
    /// A server that has not turned yet.
    pub fn new(edge: E, config: ServerConfig, trace: Option<Trace>) -> Server<E> {
        let now = edge.now();
        let mut timers = Timers::new();
        let peers = Peers::new(config.peers);
        if peers.next_due().is_some() {
            timers.set(Timer::Dial, now);
        }
        Server {
            edge,
            mailbox: Mailbox::new(),
            timers,
            ticker: Ticker::new(config.sync_interval),
            actor: Actor::new(config.actor),
            transport: Transport::new(config.limits),
            peers,
            trace,
            stopping: Stopping::No,
            exit: None,
            now,
            started_at: now,
            skipped: config.skipped,
            effects: Vec::new(),
            accept_failed: false,
        }
    }

    /// Turns until it is stopped.
    ///
    /// # Errors
    /// The poll failed: nothing more can be heard.
    pub fn run(mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.turn()? {
                return Ok(exit);
            }
        }
    }

    /// One turn of the loop.
    ///
    /// # Errors
    /// The poll failed: nothing more can be heard.
    pub fn turn(&mut self) -> io::Result<Option<Exit>> {
        self.poll()?;
        self.expire_timers();
        for _ in 0..TURN_ENTRIES_MAX {
            let Some(entry) = self.mailbox.take() else {
                break;
            };
            self.handle(entry);
        }
        self.transport.flush(self.now, &mut self.mailbox);
        self.settle_closures();
        self.transport.reap();
        self.arm_sweep();
        self.flush_trace();
        self.advance_stop();
        Ok(self.exit)
    }

    /// Waits for something to happen, unless something waits to be handled.
    fn poll(&mut self) -> io::Result<()> {
        if self.mailbox.is_empty() {
            self.edge.poll(self.timers.next(), &mut self.mailbox)?;
        } else if self.mailbox.len() < MAILBOX_POLL_MAX {
            self.edge.poll(Some(self.now), &mut self.mailbox)?;
        }
        self.now = self.edge.now();
        Ok(())
    }

    /// Puts the timers that have expired into the mailbox.
    fn expire_timers(&mut self) {
        while let Some(timer) = self.timers.expire(self.now) {
            self.mailbox.dispatch(match timer {
                Timer::Sync => {
                    self.ticker.expired(self.now, &mut self.timers);
                    Entry::Event(Event::SyncTimeout)
                }
                Timer::Dial | Timer::Sweep | Timer::Accept | Timer::Stop => Entry::Expired(timer),
            });
            // The ticker has set itself anew, at a later moment than this one.
        }
    }

    /// Handles one entry to its end.
    fn handle(&mut self, entry: Entry) {
        if let Some(trace) = &mut self.trace {
            trace.entry(self.now, &entry);
        }
        match entry {
            Entry::Event(event) => self.on_event(event),
            Entry::Ready {
                connection,
                readiness,
            } => {
                match self
                    .transport
                    .on_ready(connection, readiness, self.now, &mut self.mailbox)
                {
                    Readied::Nothing => {}
                    Readied::Connected(peer) => self.on_connected(peer),
                }
            }
            Entry::Acceptable => self.on_acceptable(),
            Entry::Expired(timer) => self.on_expired(timer),
            Entry::Resolved(peer) => self.on_resolved(peer),
            Entry::Signal => self.on_signal(),
            Entry::StopPersisted { durable } => self.on_stop_persisted(durable),
        }
        self.settle_closures();
    }

    #[inline]
    fn on_event(&mut self, event: Event) {
        let heard = match &event {
            Event::SyncRequest { from, .. } => Some(Link::Accepted(*from)),
            Event::SyncReply { from, .. } => Some(Link::Dialed(*from)),
            _ => None,
        };
        self.actor.handle(event, self.now, &mut self.effects);
        self.apply_effects();
        if let Some(link) = heard {
            self.on_heard(link);
        }
    }

    /// Carries out what the actor wants done.
    #[inline]
    fn apply_effects(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            if let Some(trace) = &mut self.trace {
                trace.effect(&effect);
            }
            match effect {
                Effect::Reply { to, message } => self.transport.reply(to, &message),
                Effect::ReplyStatus { to } => {
                    let status = self.status();
                    self.transport.reply(to, &status);
                }
                Effect::Close(connection) => self.transport.drain(connection),
                Effect::Send { to, message } => {
                    if let Some(connection) = self.peers.connection(to) {
                        self.transport.send(connection, &message);
                    }
                }
                Effect::HangUp { peer, cause } => {
                    if let Some(connection) = self.peers.connection(peer) {
                        self.transport.close(connection, CloseReason::HungUp(cause));
                    }
                }
                Effect::StartTicker => self.ticker.start(self.now, &mut self.timers),
                Effect::StopTicker => self.ticker.stop(&mut self.timers),
                Effect::Persist { sequence, ceiling } => self.edge.persist(sequence, ceiling),
                Effect::PersistStop { sequence } => {
                    self.edge.persist_stop(sequence, &mut self.mailbox);
                }
                Effect::Report(report) => self.report(&report),
            }
        }
        // The list keeps its space for the next event. Carrying effects out makes no new ones.
        debug_assert!(self.effects.is_empty());
        self.effects = effects;
    }

    /// A peer was heard, unless the actor refused it.
    fn on_heard(&mut self, link: Link) {
        if !self.actor.links().contains_key(&link) {
            return;
        }
        match link {
            Link::Dialed(peer) => self.peers.answered(peer),
            Link::Accepted(connection) => {
                if !self.transport.set_link(connection) {
                    // It was closed while its request stood in the mailbox.
                    self.mailbox
                        .dispatch(Entry::Event(Event::PeerDisconnected(link)));
                }
            }
        }
    }

    fn on_acceptable(&mut self) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            match self.edge.accept() {
                Ok((socket, address)) => {
                    debug!("connection from {address}");
                    self.transport.admit(&mut self.edge, socket, self.now);
                    if self.transport.has_idle_timeout() {
                        self.set_sweep();
                    }
                    self.accept_failed = false;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The one that came is gone again; the next may be there.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted
                            | io::ErrorKind::ConnectionReset
                            | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => {
                    // Mostly no descriptors or no memory. The connection stays in the kernel's queue, and no
                    // new edge is promised for it: a timer brings the loop back here.
                    if !self.accept_failed {
                        warn!(
                            "cannot accept a connection: {error}; trying again every {} ms (see ulimit -n \
                             and --max-connections)",
                            ACCEPT_RETRY.as_millis()
                        );
                        self.accept_failed = true;
                    }
                    self.timers.set(Timer::Accept, self.now.after(ACCEPT_RETRY));
                    return;
                }
            }
        }
        // There may be more, but others have their turn first.
        self.mailbox.dispatch(Entry::Acceptable);
    }

    fn on_expired(&mut self, timer: Timer) {
        match timer {
            Timer::Sync => unreachable!("the ticker's expiry is dispatched as syncTimeout"),
            Timer::Dial => self.dial_due(),
            Timer::Sweep => {
                if self.transport.sweep(self.now, &mut self.mailbox) {
                    self.set_sweep();
                }
            }
            Timer::Accept => self.on_acceptable(),
            Timer::Stop => self.on_stop_timeout(),
        }
    }

    fn arm_sweep(&mut self) {
        if self.transport.take_sweep_wanted() {
            self.set_sweep();
        }
    }

    fn set_sweep(&mut self) {
        if !self.timers.is_set(Timer::Sweep) {
            self.timers
                .set(Timer::Sweep, self.now.after(SWEEP_INTERVAL));
        }
    }

    // Peers.

    /// Begins every attempt that is due.
    fn dial_due(&mut self) {
        if self.stopping != Stopping::No {
            return;
        }
        while let Some(peer) = self.peers.take_due(self.now) {
            let name = self.peers.name(peer);
            match name.parse() {
                Ok(address) => {
                    self.peers.resolved(peer, vec![address]);
                    self.dial_next(peer, None);
                }
                Err(_) => self.edge.resolve(peer, name),
            }
        }
        self.arm_dial();
    }

    fn arm_dial(&mut self) {
        match self.peers.next_due() {
            Some(due) => self.timers.set(Timer::Dial, due),
            None => self.timers.stop(Timer::Dial),
        }
    }

    fn on_resolved(&mut self, peer: PeerId) {
        match self.edge.resolved(peer) {
            Ok(addresses) => {
                self.peers.resolved(peer, addresses);
                self.dial_next(peer, None);
            }
            Err(error) => self.dial_failed(peer, &format!("cannot look up its name: {error}")),
        }
    }

    /// Connects to the next address of a peer; when there is none, the attempt has failed, for the reason
    /// why the address before could not be reached.
    fn dial_next(&mut self, peer: PeerId, mut reason: Option<String>) {
        if self.stopping != Stopping::No {
            return;
        }
        while let Some(address) = self.peers.next_address(peer) {
            let dialed = self
                .edge
                .connect(address)
                .and_then(|socket| self.transport.dial(&mut self.edge, socket, peer, self.now));
            match dialed {
                Ok(connection) => return self.peers.connecting(peer, connection),
                Err(error) => reason = Some(CloseReason::Dial(error).to_string()),
            }
        }
        let reason = reason.unwrap_or_else(|| "its name has no address".to_owned());
        self.dial_failed(peer, &reason);
    }

    fn dial_failed(&mut self, peer: PeerId, reason: &str) {
        let random = self.edge.random();
        self.peers.failed(peer, false, self.now, random);
        self.arm_dial();
        if self.peers.is_news(peer, reason) {
            warn!(
                "peer {} is down: {reason}; trying again and again",
                self.peers.name(peer)
            );
        }
    }

    fn on_connected(&mut self, peer: PeerId) {
        self.peers.connected(peer);
        self.mailbox
            .dispatch(Entry::Event(Event::PeerConnected(peer)));
    }

    // Closed connections.

    /// Tells the actor, the peers and people of the connections that were closed.
    fn settle_closures(&mut self) {
        while let Some(closure) = self.transport.take_closure() {
            match closure.origin {
                Origin::Dialed(peer) => self.on_dialed_closed(peer, &closure),
                Origin::Accepted => self.on_accepted_closed(&closure),
            }
        }
    }

    fn on_accepted_closed(&mut self, closure: &Closure) {
        let id = closure.connection;
        debug!("connection {id} closed: {}", closure.reason);
        if closure.is_link {
            let link = Link::Accepted(id);
            if let Some(pid) = self.actor.only_link(link) {
                let address = self.transport.address(id);
                info!("peer {address} (pid {pid}) is down: {}", closure.reason);
            }
            self.mailbox
                .dispatch(Entry::Event(Event::PeerDisconnected(link)));
        }
    }

    fn on_dialed_closed(&mut self, peer: PeerId, closure: &Closure) {
        let reason = closure.reason.to_string();
        match self.peers.dial(peer) {
            Dial::Connecting(connection) if connection == closure.connection => {
                self.dial_next(peer, Some(reason));
            }
            Dial::Connected(connection) if connection == closure.connection => {
                let refused = matches!(
                    closure.reason,
                    CloseReason::HungUp(HangUp::Refused(_) | HangUp::RefusedBy(_))
                );
                let random = self.edge.random();
                self.peers.failed(peer, refused, self.now, random);
                self.arm_dial();
                let link = Link::Dialed(peer);
                let was_up = self
                    .actor
                    .links()
                    .get(&link)
                    .is_some_and(|state| state.pid.is_some());
                if self.peers.is_news(peer, &reason) {
                    let name = self.peers.name(peer);
                    match (was_up, self.actor.only_link(link)) {
                        (true, Some(pid)) => info!("peer {name} (pid {pid}) is down: {reason}"),
                        (true, None) => debug!("the connection to peer {name} is gone: {reason}"),
                        (false, _) => {
                            warn!("peer {name} is down: {reason}; trying again and again")
                        }
                    }
                }
                self.mailbox
                    .dispatch(Entry::Event(Event::PeerDisconnected(link)));
            }
            // Of an attempt that was given up.
            Dial::Waiting { .. } | Dial::Resolving | Dial::Connecting(_) | Dial::Connected(_) => {}
        }
    }

    // Stopping.

    fn on_signal(&mut self) {
        if self.stopping != Stopping::No {
            warn!("asked to stop a second time: exiting at once");
            self.exit = Some(Exit::Forced);
            return;
        }
        info!("asked to stop: answering what has arrived");
        self.stopping = Stopping::Draining;
        self.edge.stop_accepting();
        self.timers.stop(Timer::Dial);
        self.timers.set(Timer::Stop, self.now.after(STOP_DRAIN));
        self.transport.dispatch_all(&mut self.mailbox);
    }

    /// Takes a stop to its next step, at the end of a turn.
    fn advance_stop(&mut self) {
        match self.stopping {
            Stopping::No | Stopping::Settling => {}
            Stopping::Draining => {
                if self.mailbox.is_empty() && self.transport.in_flight() == 0 {
                    self.settle();
                }
            }
            Stopping::Flushing => {
                if self.transport.is_flushed() {
                    self.exit = Some(Exit::Clean);
                }
            }
            Stopping::Failing => {}
        }
    }

    fn settle(&mut self) {
        self.stopping = Stopping::Settling;
        self.timers.set(Timer::Stop, self.now.after(STOP_TIMEOUT));
        self.mailbox.dispatch(Entry::Event(Event::Stop));
    }

    fn on_stop_persisted(&mut self, durable: bool) {
        if durable {
            self.stopping = Stopping::Flushing;
        } else {
            self.exit = Some(Exit::StorageFailed);
        }
    }

    fn on_stop_timeout(&mut self) {
        match self.stopping {
            Stopping::No => {}
            // Clients go on asking: what comes from now on is refused.
            Stopping::Draining => self.settle(),
            Stopping::Settling => {
                error!(
                    "the disk takes too long: exiting without a clean stop; the next start skips ahead"
                );
                self.exit = Some(Exit::StorageFailed);
            }
            Stopping::Flushing => {
                warn!("some clients do not read their replies: exiting without them");
                self.exit = Some(Exit::Clean);
            }
            Stopping::Failing => self.exit = Some(Exit::StorageFailed),
        }
    }

    // People.

    fn report(&mut self, report: &Report) {
        match report {
            Report::PeerUp {
                link,
                pid,
                sequence,
            } => {
                info!(
                    "peer {} is up: pid {pid}, sequence {sequence}",
                    self.link_name(*link)
                );
            }
            Report::Refused { from, error } => {
                let address = self.transport.address(*from);
                warn!("refused peer {address}: {}", error.message);
            }
            Report::RoundRefused { link, error } => {
                let name = self.link_name(*link);
                warn!("not synchronized with peer {name}: {}", error.message);
            }
            Report::StorageFailed => {
                error!(
                    "the state directory cannot be written: exiting; the next start reads what the disk \
                     really holds, and nothing is handed out twice"
                );
                self.stopping = Stopping::Failing;
                self.timers.set(Timer::Stop, self.now.after(STORAGE_EXIT));
            }
        }
    }

    fn link_name(&self, link: Link) -> String {
        match link {
            Link::Dialed(peer) => self.peers.name(peer).to_owned(),
            Link::Accepted(connection) => self.transport.address(connection),
        }
    }

    fn flush_trace(&mut self) {
        if let Some(trace) = &mut self.trace
            && let Err(error) = trace.flush()
        {
            error!("cannot write the trace: {error}; going on without it");
            self.trace = None;
        }
    }
}
