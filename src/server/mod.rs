//! The loop: poll, dispatch, handle, flush, reap.
//!
//! ```text
//! sockets, timers, signals ──poll──▶ dispatch ──▶ [ mailbox ] ──▶ handle ──▶ replies, timers, disk
//!                                       ▲                            │
//!                                       └──── decoded frames ────────┘
//! ```
//!
//! One turn, [`Server::turn`], reads like this: wait for something to happen and put it into the mailbox; put the
//! expired timers behind it; take entries out one at a time, in order, and handle each completely; write the replies
//! that were collected for each connection; free what was closed.
//!
//! The server only routes. The [`actor`](ipseity_core::actor) decides, the [`transport`](crate::transport) moves
//! bytes, [`peers`](crate::peers) knows which peers to dial, and the [`edge`](crate::edge) is the outside world.

mod accepting;
mod answering;
mod certificates;
mod deadlines;
mod dialing;
mod loss;
mod members;
mod notifying;
mod objecting;
mod pages;
mod report;
mod spin;
mod status;
mod stopping;
mod telling;
mod vitals;
mod watching;

pub use objecting::at_least;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::Duration,
};

use self::{
    certificates::Certificates,
    loss::Loss,
    members::{Heard, Speaker},
    report::Objector,
    spin::Spin,
    stopping::Stopping,
    telling::Telling,
    vitals::Vitals,
    watching::Watch,
};

use ipseity_core::{
    actor::{Actor, ActorConfig, Effect, Event},
    identity::Pid,
    ids::{ConnectionId, Link},
    limits::EMPTY_LIST_ROOM_MAX,
    time::Instant,
    timer::{Ticker, Timer, Timers},
    words::{Message, Standing},
};

use crate::{
    edge::Edge,
    limits::{SWEEP_INTERVAL, TURN_ENTRIES_MAX},
    listeners::{Listener, Listeners},
    mailbox::{Entry, Mailbox, Readiness},
    peers::Peers,
    secure::Settings,
    trace::Trace,
    transport::{Readied, Transport, TransportLimits},
};

/// What a server needs to know when it is made.
#[derive(Debug)]
pub struct ServerConfig {
    /// See [`ActorConfig`].
    pub actor: ActorConfig,
    /// See [`TransportLimits`].
    pub limits: TransportLimits,
    /// What each listener of the edge is for, in their order.
    pub listeners: Vec<Listener>,
    /// The peers to dial, each `host:port`.
    pub peers: Vec<String>,
    /// Addresses that are remembered of peers, and asked besides those while the server joins; see
    /// [`to_ask`](crate::peers::to_ask).
    pub remembered: Vec<String>,
    /// The addresses of those who own the other pids, as the store said at the start, each `host:port`. They are peers too.
    pub owners: Vec<String>,
    /// How often the peers are asked.
    pub sync_interval: Duration,
    /// How long the peers are asked before identities are handed out, if this start asks them first.
    pub join_timeout: Duration,
    /// Sequences that were skipped at this start, for `status`.
    pub skipped: u64,
    /// TLS, if it is offered.
    pub tls: Option<TlsConfig>,
    /// How long the loop may look again before it sleeps; `None`: not at all.
    pub spin: Option<Duration>,
    /// How many CPUs the process may use.
    pub cpus: usize,
}

/// What a server needs to know to speak TLS.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Its certificates, until they are read again.
    pub settings: Arc<Settings>,
    /// Connections whose certificate is not good any more are closed (`--tls-recheck`).
    pub rechecks: bool,
    /// Those of the peers that are dialed without TLS (`--peer plain://…`).
    pub plain_peers: BTreeSet<String>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to stop, and everything is durable.
    Clean,
    /// It was asked to stop, and everything is durable. But a peer had objected to it, so an operator has to look.
    Objected,
    /// Another server has its pid.
    Refused,
    /// It was asked to stop a second time, and did not wait.
    Forced,
    /// The disk failed.
    StorageFailed,
    /// Another session has the state of its pid in the store.
    Fenced,
}

/// One server with its edge.
#[derive(Debug)]
pub struct Server<E: Edge> {
    edge: E,
    mailbox: Mailbox,
    timers: Timers,
    ticker: Ticker,
    actor: Actor,
    listeners: Listeners,
    transport: Transport<E::Socket>,
    /// `None` without TLS.
    certificates: Option<Certificates>,
    peers: Peers,
    /// The peers are being asked before anything is handed out, and some may still answer.
    is_asking: bool,
    /// It has not decided yet whether it may use its pid.
    is_joining: bool,
    /// A start gives its peers time to answer (`--join-timeout`).
    waits_for_peers: bool,
    /// Requests that wait for the store are refused after a while.
    has_patience: bool,
    /// The peer that objects to this server, if one has done so since the start.
    objector: Option<Objector>,
    /// While its message is handled: the peer that has just spoken, and where it says that it can be dialed.
    speaker: Option<Speaker>,
    /// Meanwhile nobody is there at any address of the peers; when they have had time enough to come.
    alone_until: Option<Instant>,
    /// Links whose connection was closed and whose `peerDisconnected` is still in the mailbox.
    losses: BTreeMap<Link, Loss>,
    watch: Watch,
    vitals: Vitals,
    spin: Spin,
    stopping: Stopping,
    /// The standing that the supervisor was told.
    told: Standing,
    /// Read once a turn.
    now: Instant,
    started_at: Instant,
    skipped: u64,
    /// Effects of the event that is being handled. Empty between two entries.
    effects: Vec<Effect>,
    /// Where the last processes of each pid were heard, the newest last.
    addresses: BTreeMap<Pid, Vec<Heard>>,
    telling: Telling,
    /// When a line last said that all places for clients are taken.
    full_told_at: Option<Instant>,
    /// When a line last said the same of those for HTTP.
    http_full_told_at: Option<Instant>,
    /// When it was last logged that an address has too many connections.
    crowd_told_at: Option<Instant>,
    /// When it was last logged that somebody is not believed to be a peer.
    claim_told_at: Option<Instant>,
}

impl<E: Edge> Server<E> {
    /// A server before its first turn.
    pub fn new(edge: E, config: ServerConfig, trace: Option<Trace>) -> Server<E> {
        let now = edge.now();
        let mut timers = Timers::new();
        let mut peers = Peers::new(config.peers, config.remembered);
        peers.set_owners(&config.owners, now);
        let is_joining = config.actor.joins;
        let has_patience = config.actor.patience.is_some();
        let tls = config.tls.as_ref();
        if peers.next_due().is_some() {
            timers.set(Timer::Dial, now);
        }
        if is_joining {
            peers.begin_join(config.actor.join_mode.needed());
            timers.set(Timer::Join, now.after(config.join_timeout));
        }
        let mut server = Server {
            edge,
            mailbox: Mailbox::new(),
            timers,
            ticker: Ticker::new(config.sync_interval),
            actor: Actor::new(config.actor),
            listeners: Listeners::new(config.listeners),
            transport: Transport::new(config.limits, tls.map(|tls| Arc::clone(&tls.settings))),
            certificates: config.tls.map(Certificates::new),
            peers,
            is_asking: is_joining,
            is_joining,
            waits_for_peers: !config.join_timeout.is_zero(),
            has_patience,
            objector: None,
            speaker: None,
            alone_until: None,
            losses: BTreeMap::new(),
            watch: Watch::new(trace),
            vitals: Vitals::new(),
            spin: Spin::new(config.spin, config.cpus),
            stopping: Stopping::No,
            told: Standing::Joining,
            now,
            started_at: now,
            skipped: config.skipped,
            effects: Vec::new(),
            addresses: BTreeMap::new(),
            telling: Telling::new(),
            full_told_at: None,
            http_full_told_at: None,
            crowd_told_at: None,
            claim_told_at: None,
        };
        // Before the first connection is accepted.
        for name in server.peers.ids() {
            let address = server.peers.literal(name);
            server
                .transport
                .note_named(name, address.map(|address| address.ip()));
        }
        // The line about a sequence that is nearly used up comes also at each start. Otherwise people would forget
        // it between two levels.
        if let Some(report) = server.actor.start_report() {
            server.report(&report);
        }
        server.warn_of_certificates(true);
        server.check_certificates();
        server.notify();
        server
    }

    /// Runs turns until the server ends.
    ///
    /// # Errors
    /// The poll failed, so nothing more can be received.
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
    /// The poll failed, so nothing more can be received.
    pub fn turn(&mut self) -> io::Result<Option<Exit>> {
        let finds_nothing = self.poll()?;
        self.expire_timers();
        if finds_nothing && self.mailbox.is_empty() {
            return Ok(None);
        }
        self.transport.note_ahead(self.actor.ahead());
        self.vitals.turn_begins(self.mailbox.len());
        let mut left = TURN_ENTRIES_MAX;
        while left > 0
            && let Some(handled) = self.handle_next(left)
        {
            left -= handled;
            self.settle();
        }
        self.transport.flush(self.now, &mut self.mailbox);
        self.settle();
        self.transport.reap();
        self.arm_sweep();
        self.watch.flush();
        if self.vitals.turn_ends() {
            self.vitals.measured(self.now, self.edge.now());
        }
        Ok(self.advance_stop())
    }

    /// Waits for something to happen. If the mailbox is not empty, or something was left to this turn, or the loop spins, it
    /// only looks and does not wait. It looks in every turn: clients that pipeline without end keep the mailbox full, and
    /// other clients and signals must get in.
    ///
    /// Returns whether the loop spins and has found nothing.
    fn poll(&mut self) -> io::Result<bool> {
        // Here and not behind the effects, because a request that begins to wait for the store causes none.
        if self.has_patience {
            self.set_store_timer();
        }
        let is_left = !self.mailbox.is_empty() || self.transport.is_behind();
        let deadline = if self.spin.looks() || is_left {
            Some(self.now)
        } else {
            self.timers.next()
        };
        self.edge.poll(deadline, &mut self.mailbox)?;
        self.now = self.edge.now();
        self.actor.look_at_clock(self.now);
        let is_found = is_left || !self.mailbox.is_empty();
        Ok(self.spin.polled(self.now, is_found))
    }

    /// Puts the timers that have expired into the mailbox.
    fn expire_timers(&mut self) {
        while let Some(timer) = self.timers.expire(self.now) {
            self.mailbox.dispatch(match timer {
                Timer::Sync => {
                    self.ticker.expired(self.now, &mut self.timers);
                    Entry::Event(Event::SyncTimeout)
                }
                Timer::Join => Entry::Event(Event::JoinTimeout),
                Timer::Probe => Entry::Event(Event::ProbeTimeout),
                Timer::Save => Entry::Event(Event::SaveTimeout),
                Timer::Write => Entry::Event(Event::WriteTimeout),
                Timer::Store => Entry::Event(Event::StoreTimeout),
                Timer::Dial
                | Timer::Sweep
                | Timer::Accept
                | Timer::Stop
                | Timer::Tell
                | Timer::Certificates
                | Timer::Notify => Entry::Expired(timer),
            });
            // The ticker has already set its timer again, for a later moment.
        }
    }

    /// Takes the next entry out of the mailbox and handles it completely, or several identityRequests of one
    /// connection, at most `left`. Returns how many it handled, or `None` when the mailbox is empty.
    #[inline(always)]
    fn handle_next(&mut self, left: usize) -> Option<usize> {
        let entry = self.mailbox.take()?;
        // Nearly every entry is one of these two. Each is recognized by one comparison; a match over all variants
        // would use a jump table.
        if let Entry::Ready {
            connection,
            readiness,
        } = entry
        {
            self.watch.entry(self.now, || Entry::Ready {
                connection,
                readiness,
            });
            self.vitals.ready(readiness);
            self.on_ready(connection, readiness);
        } else if let Entry::Event(Event::IdentityRequest { from, count, after }) = entry {
            self.watch.entry(self.now, || {
                Entry::Event(Event::IdentityRequest { from, count, after })
            });
            let handled = self.on_identity_requests(from, count, after, left);
            self.vitals.identity_requests(handled);
            self.spin.answers();
            return Some(handled);
        } else {
            self.handle_other(entry);
        }
        Some(1)
    }

    /// Handles the entries that are rare.
    // Cold, like everything beside the path of an identityRequest, so that the compiler lays that path out in one
    // piece.
    #[cold]
    #[inline(never)]
    fn handle_other(&mut self, entry: Entry) {
        self.watch.other(self.now, &entry);
        self.vitals.other(&entry);
        match entry {
            Entry::Event(event) => self.on_event(event),
            Entry::Acceptable(listener) => self.on_acceptable(listener),
            Entry::Expired(timer) => self.on_expired(timer),
            Entry::Resolved(name) => self.on_resolved(name),
            Entry::TlsRead => self.on_tls_read(),
            Entry::Owners => self.on_owners(),
            Entry::Signal => self.on_signal(),
            // bug HangupStops instead: Entry::Hangup => if BUG { self.on_signal() } else { self.on_hangup() },
            Entry::Hangup => self.on_hangup(),
            Entry::Http(http) => self.on_http(*http),
            Entry::Ready { .. } => unreachable!("it was looked at before"),
        }
    }

    /// Reports the connections that were closed meanwhile to the actor and the peers.
    #[inline(always)]
    fn settle(&mut self) {
        if self.transport.has_closures() {
            self.settle_closures();
        }
    }

    #[inline(always)]
    fn on_ready(&mut self, connection: ConnectionId, readiness: Readiness) {
        let readied = self
            .transport
            .on_ready(connection, readiness, self.now, &mut self.mailbox);
        match readied {
            Readied::Nothing => {}
            Readied::Connected(peer) => self.on_connected(peer),
        }
    }

    #[cold]
    pub(super) fn on_event(&mut self, event: Event) {
        if let Some(client) = event.client()
            && self.transport.is_closed(client)
        {
            return self.transport.drop_request(client);
        }
        let (mut heard, mut lost, mut gone, mut answering) = (None, None, None, None);
        match &event {
            Event::SyncRequest { from, sync } => {
                heard = Some((Link::Accepted(*from), sync.session));
                self.speaker = Speaker::of(sync);
            }
            Event::SyncReply { from, sync } => {
                heard = Some((Link::Dialed(*from), sync.session));
                self.speaker = Speaker::of(sync);
                answering = Some(*from);
            }
            Event::ErrorReply { from, .. } => answering = Some(*from),
            Event::PeerDisconnected(link) => lost = Some(*link),
            // After this event nothing of the connection is in the mailbox, and once it is handled nothing is in the
            // actor either.
            Event::Disconnected(connection) => gone = Some(*connection),
            _ => {}
        }
        self.actor.handle(event, self.now, &mut self.effects);
        if let Some(peer) = answering.filter(|peer| self.actor.has_answered(*peer)) {
            self.peers.checked(peer);
        }
        self.carry_out_effects();
        if let Some((link, session)) = heard {
            self.on_heard(link, session);
            self.speaker = None;
        }
        if let Some(peer) = answering {
            self.note_all_asked();
            self.hang_up_if_only_asked(peer);
        }
        if self.is_joining && !self.actor.is_joining() {
            self.is_joining = false;
            self.peers.end_join();
            self.forget_peers();
        }
        if let Some(connection) = gone {
            self.transport.forget(connection);
        }
        if let Some(link) = lost {
            self.forget_loss(link);
            self.forget_link(link);
            self.forget_peers();
        }
    }

    /// Carries out the effects of the actor, in order.
    #[cold]
    pub(super) fn carry_out_effects(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            self.watch.effect(&effect);
            self.carry_out(effect);
        }
        // The list keeps some memory for the next event. Carrying out effects adds no new ones.
        debug_assert!(self.effects.is_empty());
        effects.shrink_to(EMPTY_LIST_ROOM_MAX);
        self.effects = effects;
        self.set_write_timer();
        self.set_probe_timer();
        self.notify_of_change();
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::ReplyIdentities { to, first, count } => {
                self.transport.reply_identities(to, first, count);
            }
            Effect::Reply { to, message } => self.transport.reply(to, &message),
            Effect::ReplyStatus { to } => {
                let status = self.status(self.transport.grants(to));
                self.transport.reply(to, &status);
            }
            Effect::ReplyMembers { to, first } => {
                let members = self.member_list(first, self.transport.grants(to));
                self.transport.reply(to, &members);
            }
            Effect::Object { charge, answers } => {
                let message = self.objection(&charge);
                match charge.link {
                    Link::Accepted(connection) if answers => {
                        self.transport.reply(connection, &message);
                    }
                    link => self.tell(link, &message),
                }
            }
            Effect::Tell { to, message } => self.tell(to, &message),
            Effect::Close(connection) => self.transport.drain(connection),
            Effect::Send { to, message } => self.tell(Link::Dialed(to), &message),
            Effect::HangUp { peer, cause } => self.hang_up(peer, cause),
            Effect::StartTicker => self.ticker.start(self.now, &mut self.timers),
            Effect::StopTicker => self.ticker.stop(&mut self.timers),
            Effect::JoinWithin(wait) => self.timers.set_within(Timer::Join, self.now.after(wait)),
            Effect::ClaimWithin(wait) => self.timers.set(Timer::Join, self.now.after(wait)),
            Effect::DialOnce(address) => self.ask_once(&address),
            Effect::GiveUp => self.give_up(),
            Effect::SaveLater(wait) => self.timers.set(Timer::Save, self.now.after(wait)),
            Effect::Write(write) => self.edge.write(write),
            Effect::Stopped(outcome) => self.on_stopped(outcome),
            Effect::Report(report) => self.report(&report),
        }
    }

    /// Sends a message on a link, unless it is gone.
    fn tell(&mut self, to: Link, message: &Message) {
        let connection = match to {
            Link::Accepted(connection) => Some(connection),
            Link::Dialed(peer) => self.peers.connection(peer),
        };
        if let Some(connection) = connection {
            self.transport.send(connection, message);
        }
    }

    #[cold]
    fn on_expired(&mut self, timer: Timer) {
        match timer {
            Timer::Sync
            | Timer::Join
            | Timer::Probe
            | Timer::Save
            | Timer::Write
            | Timer::Store => {
                unreachable!("those are dispatched as events of the actor")
            }
            Timer::Dial => self.dial_due(),
            Timer::Sweep => {
                if self.transport.sweep(self.now, &mut self.mailbox) {
                    self.set_sweep();
                }
            }
            Timer::Accept => self.accept_all(),
            Timer::Stop => self.on_stop_timeout(),
            Timer::Tell => self.tell_what_was_left_out(),
            Timer::Certificates => self.check_certificates(),
            Timer::Notify => self.notify(),
        }
    }

    fn arm_sweep(&mut self) {
        if self.transport.take_sweep_wanted() {
            self.set_sweep();
        }
    }

    pub(super) fn set_sweep(&mut self) {
        if !self.timers.is_set(Timer::Sweep) {
            self.timers
                .set(Timer::Sweep, self.now.after(SWEEP_INTERVAL));
        }
    }
}
