//! The local actor: it owns the sequence, handles one event at a time, and says what is to be done.
//!
//! No I/O, no clock, no randomness. Given an event and the present moment, [`Actor::handle`] changes the
//! actor's private state and pushes [`Effect`]s; the server carries those out before it takes the next
//! event. So the actor runs unchanged under a simulated network, disk and time. It may import `identity`,
//! `wire`'s messages, `limits` and `time`.
//!
//! Durable first, reply after: an identity is *decided* when its request is handled and *leaves* when the
//! ceiling that covers it is durable. What must wait is held back, in order, in one place
//! ([`Actor::emit`]).

mod address;
mod ceiling;
mod effect;
mod event;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use ceiling::Ceiling;

pub use self::{
    address::{ConnectionId, Count, Link, PeerId},
    effect::{Effect, HangUp, Report},
    event::Event,
};
use crate::{
    identity::{Identity, Pid, Sequence},
    time::Instant,
    wire::{
        ClusterName, ErrorCode, ErrorReply, Message, Standing, SyncMessage, WIRE_VERSION, WireError,
    },
};

/// What an actor needs to know when it is made.
#[derive(Clone, Debug)]
pub struct ActorConfig {
    /// The cluster's name; servers of another are refused.
    pub cluster: ClusterName,
    /// The actor's own number in the cluster.
    pub pid: Pid,
    /// The random value made with the state directory.
    pub incarnation: u128,
    /// How many times that directory has been started.
    pub boot: u64,
    /// The random value of this process.
    pub session: u64,
    /// Identities are handed out above this sequence.
    pub sequence: Sequence,
    /// What this boot has made durable: nothing above it is handed out before the disk is written again.
    /// [`Sequence::MAX`] where there is no disk.
    pub ceiling: Sequence,
    /// The most identities in one request, 1 to [`COUNT_LIMIT_MAX`](crate::limits::COUNT_LIMIT_MAX).
    pub count_max: u32,
    /// How far a peer or an `after` may raise the sequence at once.
    pub advance_max: u64,
    /// How long a peer may take to answer before it is hung up on. Checked when the ticker expires.
    pub peer_silence: Duration,
}

/// What the actor knows of the peer at the other end of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    /// Its pid, once it has spoken.
    pub pid: Option<Pid>,
    /// The highest sequence that it has told.
    pub sequence: u64,
    /// When it last spoke.
    pub heard_at: Option<Instant>,
    /// When it was asked what it has not answered yet.
    asked_at: Option<Instant>,
    /// Whether the last round was refused, by either side: people are told once.
    refused: bool,
}

/// What the actor has done since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Identity requests answered with identities, or about to be.
    pub identity_requests: u64,
    /// Identities decided.
    pub identities: u64,
    /// Identity requests that had to wait for the disk.
    pub waited: u64,
    /// Sync requests answered.
    pub sync_requests: u64,
    /// Sync replies received.
    pub sync_replies: u64,
    /// Times the sequence was raised by a peer or by `after`.
    pub absorbed: u64,
}

/// An effect that must not leave before the disk has caught up.
#[derive(Debug)]
struct Held {
    /// The ceiling that it waits for.
    until: Sequence,
    /// The sequence as it was before, should the disk fail.
    before: Sequence,
    effect: Effect,
}

/// The actor. See the [module](self).
#[derive(Debug)]
pub struct Actor {
    config: ActorConfig,
    /// The highest sequence handed out, promised to a held reply, or absorbed.
    sequence: Sequence,
    ceiling: Ceiling,
    /// Effects that wait for the disk, in the order in which they will leave. Bounded by the frames that the
    /// server keeps in flight.
    held: VecDeque<Held>,
    links: BTreeMap<Link, LinkState>,
    standing: Standing,
    tally: Tally,
}

impl Actor {
    /// An actor that hands out above `config.sequence`.
    pub fn new(config: ActorConfig) -> Actor {
        assert!(
            config.sequence <= config.ceiling,
            "an actor starts at or below its ceiling"
        );
        Actor {
            sequence: config.sequence,
            ceiling: Ceiling::new(config.sequence, config.ceiling),
            config,
            held: VecDeque::new(),
            links: BTreeMap::new(),
            standing: Standing::Serving,
            tally: Tally::default(),
        }
    }

    /// Handles one event: the jump table.
    #[inline]
    pub fn handle(&mut self, event: Event, now: Instant, effects: &mut Vec<Effect>) {
        match event {
            Event::IdentityRequest { from, count, after } => {
                self.on_identity_request(from, count.get(), after, now, effects);
            }
            Event::SyncTimeout => self.on_sync_timeout(now, effects),
            Event::SyncRequest { from, sync } => self.on_sync_request(from, &sync, now, effects),
            Event::SyncReply { from, sync } => self.on_sync_reply(from, &sync, now, effects),
            Event::Unknown { from, error } => self.on_unknown(from, &error, effects),
            Event::ErrorReply { from, error } => self.on_error_reply(from, error, now, effects),
            Event::StatusRequest { from } => {
                self.emit(from, Effect::ReplyStatus { to: from }, effects)
            }
            Event::PeerConnected(peer) => self.on_peer_connected(peer, now, effects),
            Event::PeerDisconnected(link) => self.on_peer_disconnected(link, effects),
            Event::Persisted => self.on_persisted(now, effects),
            Event::PersistFailed => self.on_persist_failed(effects),
            Event::Stop => self.on_stop(effects),
        }
    }

    /// Who the actor is.
    pub fn config(&self) -> &ActorConfig {
        &self.config
    }

    /// The highest sequence handed out or absorbed that is durable: what peers and people are told. Never a
    /// reserved ceiling: where the ceiling is the smaller one, everything below it is spoken for.
    pub fn sequence(&self) -> Sequence {
        self.sequence.min(self.ceiling.durable())
    }

    /// The highest sequence that may be handed out before the disk is written again.
    pub fn ceiling(&self) -> Sequence {
        self.ceiling.durable()
    }

    /// Whether identities are handed out.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// What has been done so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The links on which peers are heard or asked.
    pub fn links(&self) -> &BTreeMap<Link, LinkState> {
        &self.links
    }

    /// The pid of the peer on `link`, if no other link leads to that peer too.
    pub fn only_link(&self, link: Link) -> Option<Pid> {
        let pid = self.links.get(&link)?.pid?;
        let others = self
            .links
            .iter()
            .any(|(other, state)| *other != link && state.pid == Some(pid));
        (!others).then_some(pid)
    }

    /// Increments the counter by `count`, not lower than `after`, and answers with what lies between.
    #[inline]
    fn on_identity_request(
        &mut self,
        from: ConnectionId,
        count: u32,
        after: u64,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        match self.next(count, after) {
            Ok((before, first)) => {
                let message = Message::IdentityReply {
                    first: first.get(),
                    count,
                };
                let reply = Effect::Reply { to: from, message };
                // `next` made this the last sequence of the reply.
                let last = self.sequence;
                if last <= self.ceiling.durable() {
                    // Nothing is held: held replies end above the ceiling, and this one comes after them.
                    effects.push(reply);
                } else {
                    self.tally.waited += 1;
                    self.held.push_back(Held {
                        until: last,
                        before,
                        effect: reply,
                    });
                }
                self.raise_if_due(now, effects);
            }
            Err(error) => self.reply_error(from, error, effects),
        }
    }

    /// `next` of the model: takes `count` sequences above both the counter and `after`. Returns what the
    /// counter was raised to before, and the first identity.
    #[inline]
    fn next(&mut self, count: u32, after: u64) -> Result<(Sequence, Identity), ErrorReply> {
        if count == 0 || count > self.config.count_max {
            return Err(self.bad_count());
        }
        if self.standing != Standing::Serving {
            self.may_serve(count, after)?;
        }
        let before = if after == 0 {
            self.sequence
        } else {
            self.sequence.max(self.judge_after(after)?)
        };
        let Some(last) = before.checked_add(u64::from(count)) else {
            return Err(self.exhausted(before));
        };
        if before > self.sequence {
            self.tally.absorbed += 1;
        }
        self.tally.identity_requests += 1;
        self.tally.identities += u64::from(count);
        self.sequence = last;
        let first = before
            .checked_add(1)
            .expect("the last sequence of the block exists, so does its first");
        Ok((before, Identity::new(first, self.config.pid)))
    }

    /// The sequence of `after`, if the counter may be raised so far.
    fn judge_after(&self, after: u64) -> Result<Sequence, ErrorReply> {
        match Identity::from_u64(after) {
            Some(identity) => self.judge_advance(identity.sequence().get(), "after"),
            None => Err(ErrorReply::new(
                ErrorCode::AdvanceTooLarge,
                format!(
                    "after {after} is beyond the last identity there is, {}",
                    i64::MAX
                ),
            )),
        }
    }

    /// `sequence`, if the counter may be raised so far. Refusing costs order, never uniqueness.
    fn judge_advance(&self, sequence: u64, what: &str) -> Result<Sequence, ErrorReply> {
        let Some(wanted) = Sequence::new(sequence) else {
            return Err(ErrorReply::new(
                ErrorCode::AdvanceTooLarge,
                format!(
                    "{what}: sequence {sequence} is beyond the last there is, {}",
                    Sequence::MAX
                ),
            ));
        };
        let advance = wanted.ahead_of(self.sequence);
        if advance > self.config.advance_max {
            return Err(ErrorReply::new(
                ErrorCode::AdvanceTooLarge,
                format!(
                    "{what}: sequence {wanted} is {advance} ahead of this server, more than --max-advance \
                     {} allows at once",
                    self.config.advance_max
                ),
            ));
        }
        Ok(wanted)
    }

    fn bad_count(&self) -> ErrorReply {
        ErrorReply::new(
            ErrorCode::BadCount,
            format!("count must be 1 to {} (--max-count)", self.config.count_max),
        )
    }

    fn exhausted(&self, before: Sequence) -> ErrorReply {
        ErrorReply::new(
            ErrorCode::Exhausted,
            format!(
                "only {} sequences are left, and the count asks for more",
                before.remaining()
            ),
        )
    }

    /// Whether a server that is not serving may still hand this out.
    #[cold]
    fn may_serve(&self, count: u32, after: u64) -> Result<(), ErrorReply> {
        let after = Identity::from_u64(after).map_or(u64::MAX, |after| after.sequence().get());
        let last = self
            .sequence
            .get()
            .max(after)
            .saturating_add(u64::from(count));
        match self.standing {
            Standing::Serving => Ok(()),
            Standing::StorageFailed if last <= self.ceiling.durable().get() => Ok(()),
            Standing::StorageFailed => Err(storage_failed()),
            Standing::Stopping => Err(ErrorReply::new(
                ErrorCode::Stopping,
                "this server is stopping: ask another one",
            )),
        }
    }

    /// `update` of the model: raises the counter when `sequence` is larger.
    fn update(&mut self, sequence: Sequence, now: Instant, effects: &mut Vec<Effect>) {
        if sequence > self.sequence && self.standing == Standing::Serving {
            self.sequence = sequence;
            self.tally.absorbed += 1;
            self.raise_if_due(now, effects);
        }
    }

    /// Asks every peer that has answered what it was asked before, and hangs up on those that are silent.
    fn on_sync_timeout(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let message = self.sync_message();
        for (link, state) in &mut self.links {
            let Link::Dialed(peer) = *link else { continue };
            match state.asked_at {
                None => ask(peer, state, &message, now, effects),
                // One question at a time: what is late is not asked again, and a peer that has stopped
                // reading is not written to.
                Some(asked_at) if now.since(asked_at) < self.config.peer_silence => {}
                Some(asked_at) => {
                    effects.push(Effect::HangUp {
                        peer,
                        cause: HangUp::Silent(now.since(asked_at)),
                    });
                }
            }
        }
    }

    fn on_peer_connected(&mut self, peer: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        if !self.has_dialed() {
            effects.push(Effect::StartTicker);
        }
        let message = self.sync_message();
        let state = self.links.entry(Link::Dialed(peer)).or_default();
        ask(peer, state, &message, now, effects);
    }

    fn on_peer_disconnected(&mut self, link: Link, effects: &mut Vec<Effect>) {
        self.links.remove(&link);
        if matches!(link, Link::Dialed(_)) && !self.has_dialed() {
            effects.push(Effect::StopTicker);
        }
    }

    fn has_dialed(&self) -> bool {
        self.links
            .keys()
            .any(|link| matches!(link, Link::Dialed(_)))
    }

    /// Takes the larger sequence and answers with its own.
    fn on_sync_request(
        &mut self,
        from: ConnectionId,
        sync: &SyncMessage,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(error) = self.judge_peer(sync) {
            let error = Box::new(error);
            effects.push(Effect::Report(Report::Refused {
                from,
                error: error.clone(),
            }));
            self.emit(
                from,
                Effect::Reply {
                    to: from,
                    message: Message::ErrorReply(error),
                },
                effects,
            );
            self.emit(from, Effect::Close(from), effects);
            return;
        }
        let link = Link::Accepted(from);
        self.hear(link, sync, now, effects);
        match self.judge_advance(sync.sequence, "sequence of a peer") {
            Ok(sequence) => {
                self.round_agreed(link);
                self.update(sequence, now, effects);
                self.tally.sync_requests += 1;
                let message = Message::SyncReply(Box::new(self.sync_message()));
                self.emit(from, Effect::Reply { to: from, message }, effects);
            }
            Err(error) => {
                self.round_refused(link, Box::new(error.clone()), effects);
                self.reply_error(from, error, effects);
            }
        }
    }

    /// Takes the larger sequence.
    fn on_sync_reply(
        &mut self,
        from: PeerId,
        sync: &SyncMessage,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let link = Link::Dialed(from);
        // A reply that comes after its connection was given up is late, and does no harm.
        if !self.links.contains_key(&link) {
            return;
        }
        if let Err(error) = self.judge_peer(sync) {
            effects.push(Effect::HangUp {
                peer: from,
                cause: HangUp::Refused(Box::new(error)),
            });
            return;
        }
        self.tally.sync_replies += 1;
        self.hear(link, sync, now, effects);
        match self.judge_advance(sync.sequence, "sequence of a peer") {
            Ok(sequence) => {
                self.round_agreed(link);
                self.update(sequence, now, effects);
            }
            Err(error) => self.round_refused(link, Box::new(error), effects),
        }
    }

    /// A peer answers a question with an error: whether the connection goes on, the code says.
    fn on_error_reply(
        &mut self,
        from: PeerId,
        error: Box<ErrorReply>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let link = Link::Dialed(from);
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        state.asked_at = None;
        state.heard_at = Some(now);
        if ErrorCode::from_u16(error.code).is_some_and(|code| !code.closes()) {
            self.round_refused(link, error, effects);
        } else {
            effects.push(Effect::HangUp {
                peer: from,
                cause: HangUp::RefusedBy(error),
            });
        }
    }

    fn round_agreed(&mut self, link: Link) {
        if let Some(state) = self.links.get_mut(&link) {
            state.refused = false;
        }
    }

    fn round_refused(&mut self, link: Link, error: Box<ErrorReply>, effects: &mut Vec<Effect>) {
        if let Some(state) = self.links.get_mut(&link)
            && !state.refused
        {
            state.refused = true;
            effects.push(Effect::Report(Report::RoundRefused { link, error }));
        }
    }

    /// Whether a server that speaks so may be synchronized with.
    fn judge_peer(&self, sync: &SyncMessage) -> Result<(), ErrorReply> {
        let own = &self.config;
        if sync.cluster != own.cluster {
            return Err(ErrorReply::new(
                ErrorCode::ForeignCluster,
                format!(
                    "this server belongs to cluster {:?}, not {:?}: check --cluster and --peer on both",
                    own.cluster.as_str(),
                    sync.cluster.as_str()
                ),
            ));
        }
        if sync.pid != own.pid {
            return Ok(());
        }
        if sync.session == own.session {
            return Err(ErrorReply::new(
                ErrorCode::Oneself,
                "this server was named as its own peer: remove that --peer",
            ));
        }
        Err(ErrorReply::new(
            ErrorCode::SamePid,
            format!(
                "pid {} is that of this server too: give every server its own --pid",
                own.pid
            ),
        ))
    }

    /// Remembers what a peer says of itself.
    fn hear(&mut self, link: Link, sync: &SyncMessage, now: Instant, effects: &mut Vec<Effect>) {
        let known = self.links.values().any(|state| state.pid == Some(sync.pid));
        let state = self.links.entry(link).or_default();
        state.pid = Some(sync.pid);
        // Messages of one link keep their order, so the last is the highest.
        state.sequence = sync.sequence;
        state.heard_at = Some(now);
        state.asked_at = None;
        if !known {
            let report = Report::PeerUp {
                link,
                pid: sync.pid,
                sequence: sync.sequence,
            };
            effects.push(Effect::Report(report));
        }
    }

    fn sync_message(&self) -> SyncMessage {
        SyncMessage {
            version: WIRE_VERSION,
            cluster: self.config.cluster.clone(),
            pid: self.config.pid,
            incarnation: self.config.incarnation,
            boot: self.config.boot,
            session: self.config.session,
            sequence: self.sequence().get(),
        }
    }

    fn on_unknown(&mut self, from: ConnectionId, error: &WireError, effects: &mut Vec<Effect>) {
        let reply = Box::new(error.reply());
        if reply.code == ErrorCode::ForeignVersion.get() {
            effects.push(Effect::Report(Report::Refused {
                from,
                error: reply.clone(),
            }));
        }
        self.emit(
            from,
            Effect::Reply {
                to: from,
                message: Message::ErrorReply(reply),
            },
            effects,
        );
        self.emit(from, Effect::Close(from), effects);
    }

    fn reply_error(&mut self, to: ConnectionId, error: ErrorReply, effects: &mut Vec<Effect>) {
        let message = Message::ErrorReply(Box::new(error));
        self.emit(to, Effect::Reply { to, message }, effects);
    }

    /// Lets an answer leave that waits for nothing itself, behind those of the same connection that do.
    fn emit(&mut self, to: ConnectionId, effect: Effect, effects: &mut Vec<Effect>) {
        if self.held.iter().any(|held| held.is_for(to)) {
            // It leaves with the one before it.
            let before = self.sequence;
            self.held.push_back(Held {
                until: Sequence::ZERO,
                before,
                effect,
            });
        } else {
            effects.push(effect);
        }
    }

    #[inline]
    fn raise_if_due(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.ceiling.is_due(self.sequence) {
            let ceiling = self.ceiling.raise(self.sequence, now);
            effects.push(Effect::Persist {
                sequence: self.sequence(),
                ceiling,
            });
        }
    }

    /// The ceiling stands higher: what waited for it leaves.
    fn on_persisted(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let durable = self.ceiling.raised();
        while let Some(held) = self.held.pop_front_if(|held| held.until <= durable) {
            effects.push(held.effect);
        }
        if self.standing == Standing::Stopping && self.held.is_empty() {
            self.stop_if_settled(effects);
        } else {
            self.raise_if_due(now, effects);
        }
    }

    /// The disk failed: what waited for it is answered with an error, and the counter goes back to where it
    /// can still serve what lies under the durable ceiling.
    fn on_persist_failed(&mut self, effects: &mut Vec<Effect>) {
        self.ceiling.failed();
        self.standing = Standing::StorageFailed;
        if let Some(first) = self.held.front() {
            self.sequence = first.before;
        }
        for held in std::mem::take(&mut self.held) {
            effects.push(match held.effect {
                Effect::Reply {
                    to,
                    message: Message::IdentityReply { .. },
                } => {
                    let message = Message::ErrorReply(Box::new(storage_failed()));
                    Effect::Reply { to, message }
                }
                other => other,
            });
        }
        effects.push(Effect::Report(Report::StorageFailed));
    }

    fn on_stop(&mut self, effects: &mut Vec<Effect>) {
        if self.standing == Standing::Serving {
            self.standing = Standing::Stopping;
            self.stop_if_settled(effects);
        }
    }

    /// Makes the exact sequence durable once no write is under way and nothing waits for one.
    fn stop_if_settled(&mut self, effects: &mut Vec<Effect>) {
        if self.held.is_empty() && !self.ceiling.is_writing() {
            effects.push(Effect::PersistStop {
                sequence: self.sequence,
            });
        }
    }
}

impl Held {
    fn is_for(&self, connection: ConnectionId) -> bool {
        match &self.effect {
            Effect::Reply { to, .. } | Effect::ReplyStatus { to } | Effect::Close(to) => {
                *to == connection
            }
            _ => false,
        }
    }
}

fn ask(
    peer: PeerId,
    state: &mut LinkState,
    message: &SyncMessage,
    now: Instant,
    effects: &mut Vec<Effect>,
) {
    state.asked_at = Some(now);
    effects.push(Effect::Send {
        to: peer,
        message: Message::SyncRequest(Box::new(message.clone())),
    });
}

fn storage_failed() -> ErrorReply {
    ErrorReply::new(
        ErrorCode::Storage,
        "this server cannot write its state directory and is about to exit: ask another one",
    )
}
