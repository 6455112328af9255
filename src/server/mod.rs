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
//! The server routes. The [`actor`](ipseity_core::actor) decides, the [`transport`](crate::transport) moves bytes,
//! [`peers`](crate::peers) knows whom to dial, and the [`edge`](crate::edge) is the world.

mod dialing;
mod loss;
mod members;
mod objecting;
mod report;
mod status;
mod stopping;

use std::{collections::BTreeMap, io, ops::ControlFlow, time::Duration};

use log::{debug, error, warn};

use self::{loss::Loss, stopping::Stopping};

use ipseity_core::{
    actor::{Actor, ActorConfig, Effect, Event, Outbox},
    identity::{Identity, Pid},
    ids::{ConnectionId, Count, Link},
    limits::EMPTY_LIST_ROOM_MAX,
    time::Instant,
    timer::{Ticker, Timer, Timers},
    words::Message,
};
use ipseity_frames::encode_identities;

use crate::{
    edge::Edge,
    limits::{ACCEPT_RETRY, ACCEPTS_PER_TURN_MAX, SWEEP_INTERVAL, TURN_ENTRIES_MAX},
    mailbox::{Entry, Mailbox, Readiness},
    peers::Peers,
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
    /// The peers to dial, each `host:port`.
    pub peers: Vec<String>,
    /// How often they are asked.
    pub sync_interval: Duration,
    /// How long they are asked before identities are handed out, where that is wanted.
    pub join_timeout: Duration,
    /// Sequences that this start skipped, for `status`.
    pub skipped: u64,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to, and everything is durable.
    Clean,
    /// It was asked to, and everything is durable; but a peer had objected to it, and an operator has to look.
    Objected,
    /// It was asked to a second time, and did not wait.
    Forced,
    /// The disk failed.
    StorageFailed,
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
    /// Links whose connection was closed, while their `peerDisconnected` stands in the mailbox.
    losses: BTreeMap<Link, Loss>,
    trace: Option<Trace>,
    stopping: Stopping,
    stop_asked_at: Option<Instant>,
    exit: Option<Exit>,
    /// Read once a turn.
    now: Instant,
    started_at: Instant,
    skipped: u64,
    /// Effects of the event that is being handled; empty between two entries.
    effects: Vec<Effect>,
    /// Where each pid was last heard.
    addresses: BTreeMap<Pid, (Link, String)>,
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
        if config.actor.joins {
            timers.set(Timer::Join, now.after(config.join_timeout));
        }
        let mut server = Server {
            edge,
            mailbox: Mailbox::new(),
            timers,
            ticker: Ticker::new(config.sync_interval),
            actor: Actor::new(config.actor),
            transport: Transport::new(config.limits),
            peers,
            losses: BTreeMap::new(),
            trace,
            stopping: Stopping::No,
            stop_asked_at: None,
            exit: None,
            now,
            started_at: now,
            skipped: config.skipped,
            effects: Vec::new(),
            addresses: BTreeMap::new(),
            accept_failed: false,
        };
        // Also at each start, or it would be forgotten between two levels.
        if let Some(report) = server.actor.start_report() {
            server.report(&report);
        }
        server
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
        let mut left = TURN_ENTRIES_MAX;
        while left > 0
            && let Some(entry) = self.mailbox.first()
        {
            left -= 1;
            // Nearly every entry is one of these two. With a trace, each has lines of its own.
            match *entry {
                Entry::Event(Event::IdentityRequest { from, count, after })
                    if self.trace.is_none() =>
                {
                    self.mailbox.remove_plain();
                    left -= self.on_identity_requests(from, count, after, left);
                }
                Entry::Ready {
                    connection,
                    readiness,
                } if self.trace.is_none() => {
                    self.mailbox.remove_plain();
                    self.on_ready(connection, readiness);
                }
                _ => {
                    if let Some(entry) = self.mailbox.take() {
                        self.handle(entry);
                    }
                }
            }
            if self.transport.has_closures() {
                self.settle_closures();
            }
        }
        self.transport.flush(self.now, &mut self.mailbox);
        if self.transport.has_closures() {
            self.settle_closures();
        }
        self.transport.reap();
        self.arm_sweep();
        self.flush_trace();
        self.advance_stop();
        Ok(self.exit)
    }

    /// Waits for something to happen. While something waits to be handled it only looks, but it does look:
    /// clients that pipeline without end keep the mailbox full, and others come in, and signals.
    fn poll(&mut self) -> io::Result<()> {
        let deadline = if self.mailbox.is_empty() {
            self.timers.next()
        } else {
            Some(self.now)
        };
        self.edge.poll(deadline, &mut self.mailbox)?;
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
                Timer::Join => Entry::Event(Event::JoinTimeout),
                Timer::Write => Entry::Event(Event::WriteTimeout),
                Timer::Dial | Timer::Sweep | Timer::Accept | Timer::Stop => Entry::Expired(timer),
            });
            // The ticker has set itself anew, at a later moment than this one.
        }
    }

    /// Handles an identityRequest, and those of the same connection that stand behind it, `most` at most: each for
    /// itself and to its end, but the connection is looked up once for all. Returns how many stood behind it.
    #[inline]
    fn on_identity_requests(
        &mut self,
        from: ConnectionId,
        count: Count,
        after: u64,
        most: usize,
    ) -> usize {
        let Self {
            actor,
            transport,
            mailbox,
            effects,
            now,
            ..
        } = self;
        let mut behind = 0;
        transport.answer_many(from, |output| {
            let mut outlet = Outlet {
                output,
                replies: 0,
                effects,
            };
            let first = Event::IdentityRequest { from, count, after };
            if outlet.put(actor, first, *now).is_continue() {
                behind = mailbox.take_identity_requests(from, most, |count, after| {
                    let next = Event::IdentityRequest { from, count, after };
                    outlet.put(actor, next, *now)
                });
            }
            outlet.replies
        });
        if !self.effects.is_empty() {
            self.carry_out_effects();
            self.watch_write();
        }
        behind
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

    /// Handles one entry to its end.
    // Cold, like all that lies beside the way of an identityRequest: so the compiler lays that way out in a row.
    #[cold]
    fn handle(&mut self, entry: Entry) {
        if let Some(trace) = &mut self.trace {
            trace.entry(self.now, &entry);
        }
        match entry {
            Entry::Event(event) => self.on_event(event),
            Entry::Ready {
                connection,
                readiness,
            } => self.on_ready(connection, readiness),
            Entry::Acceptable => self.on_acceptable(),
            Entry::Expired(timer) => self.on_expired(timer),
            Entry::Resolved(peer) => self.on_resolved(peer),
            Entry::Signal => self.on_signal(),
            // bug HangupStops instead: Entry::Hangup => if BUG { self.on_signal() } else { self.edge.reopen() },
            Entry::Hangup => self.edge.reopen(),
        }
    }

    #[cold]
    fn on_event(&mut self, event: Event) {
        let (mut heard, mut lost) = (None, None);
        match &event {
            Event::SyncRequest { from, .. } => heard = Some(Link::Accepted(*from)),
            Event::SyncReply { from, .. } => heard = Some(Link::Dialed(*from)),
            Event::PeerDisconnected(link) => lost = Some(*link),
            _ => {}
        }
        self.actor.handle(event, self.now, &mut self.effects);
        self.carry_out_effects();
        self.watch_write();
        if let Some(link) = heard {
            self.on_heard(link);
        }
        if let Some(link) = lost {
            self.forget_loss(link);
        }
    }

    /// Carries out what the actor wants done, in order.
    #[cold]
    fn carry_out_effects(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            if let Some(trace) = &mut self.trace {
                trace.effect(&effect);
            }
            self.carry_out(effect);
        }
        // The list keeps some room for the next event. Carrying effects out makes no new ones.
        debug_assert!(self.effects.is_empty());
        effects.shrink_to(EMPTY_LIST_ROOM_MAX);
        self.effects = effects;
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::ReplyIdentities { to, first, count } => {
                self.transport.reply_identities(to, first, count);
            }
            Effect::Reply { to, message } => self.transport.reply(to, &message),
            Effect::ReplyStatus { to } => {
                let status = self.status();
                self.transport.reply(to, &status);
            }
            Effect::ReplyMembers { to, first } => {
                let members = self.member_list(first);
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
            Effect::Write(write) => self.edge.write(write),
            Effect::Stopped(outcome) => self.on_stopped(outcome),
            Effect::Report(report) => self.report(&report),
        }
    }

    /// Looks at the disk again when the write that it is at becomes late.
    fn watch_write(&mut self) {
        match self.actor.write_deadline() {
            Some(deadline) => self.timers.set(Timer::Write, deadline),
            None => self.timers.stop(Timer::Write),
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

    /// A peer was heard, unless the actor refused it.
    fn on_heard(&mut self, link: Link) {
        let Some(pid) = self.actor.links().get(&link).and_then(|state| state.pid) else {
            return;
        };
        self.note_address(pid, link);
        match link {
            Link::Dialed(peer) => self.peers.answered(peer, pid),
            Link::Accepted(connection) => {
                if !self.transport.set_link(connection) {
                    // It was closed while its request stood in the mailbox.
                    self.mailbox
                        .dispatch(Entry::Event(Event::PeerDisconnected(link)));
                }
            }
        }
    }

    pub(super) fn on_acceptable(&mut self) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            match self.edge.accept() {
                Ok((socket, address)) => {
                    debug!("connection from {address}");
                    self.transport
                        .admit(&mut self.edge, socket, self.now, &mut self.mailbox);
                    if self.transport.has_idle_timeout() {
                        self.set_sweep();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.accept_failed = false;
                    return;
                }
                // The one that came is gone again; the next may be there.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted
                            | io::ErrorKind::ConnectionReset
                            | io::ErrorKind::Interrupted
                    ) => {}
                // Mostly no descriptors. Those who are only there to be told make room for the next.
                Err(_) if self.transport.free_descriptor(self.now, &mut self.mailbox) => {}
                Err(error) => {
                    // Nothing is left to give. The connection stays in the kernel's queue, and no
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
            Timer::Sync | Timer::Join | Timer::Write => {
                unreachable!("those are dispatched as events of the actor")
            }
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

    fn flush_trace(&mut self) {
        if let Some(trace) = &mut self.trace
            && let Err(error) = trace.flush()
        {
            error!("cannot write the trace: {error}; going on without it");
            self.trace = None;
        }
    }
}

/// Where the actor puts what it wants done: the answer to an identityRequest goes to its connection at once,
/// everything else into the list.
struct Outlet<'a> {
    /// What waits to be written on the connection from which all requests come.
    output: &'a mut Vec<u8>,
    /// Replies that were appended to it.
    replies: u32,
    effects: &'a mut Vec<Effect>,
}

impl Outlet<'_> {
    /// Has the actor handle an event. Few have an effect besides a reply, and that is to be carried out before the
    /// next one is handled.
    #[inline(always)]
    fn put(&mut self, actor: &mut Actor, event: Event, now: Instant) -> ControlFlow<()> {
        actor.handle(event, now, self);
        if self.effects.is_empty() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

impl Outbox for Outlet<'_> {
    #[inline(always)]
    fn reply_identities(&mut self, _to: ConnectionId, first: Identity, count: u32) {
        encode_identities(first, count, self.output);
        self.replies += 1;
    }

    #[inline(always)]
    fn list(&mut self) -> &mut Vec<Effect> {
        self.effects
    }
}
