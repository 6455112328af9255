//! The local actor: it owns the sequence, handles one event at a time, and says what is to be done.
//!
//! No I/O, no clock, no randomness. Given an event and the present moment, [`Actor::handle`] changes the
//! actor's private state and pushes [`Effect`]s; the server carries those out before it takes the next
//! event. So the actor runs unchanged under a simulated network, disk and time. It may import `identity`,
//! `ids`, `words`, `limits` and `time`.
//!
//! Durable first, reply after: an identity is *decided* when its request is handled and *leaves* when the
//! ceiling that covers it is durable. What must wait is held back, in order, in one place
//! (`durability.rs`).

mod budget;
mod ceiling;
mod counter;
mod durability;
mod effect;
mod event;
mod fanout;
mod guard;
mod guarding;
mod joining;
mod line;
mod sync;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use self::{
    budget::Budget, ceiling::Ceiling, durability::Held, fanout::Lots, guard::Guard,
    joining::Waiting, line::Line,
};

pub use self::{
    effect::{Effect, HangUp, Outbox, Report},
    event::Event,
    guard::{Charge, Known, Remembered},
};
use crate::{
    identity::{Pid, Sequence},
    ids::{ConnectionId, Count, Link, PeerId},
    limits::ADVANCE_REPORT_INTERVAL,
    time::Instant,
    words::{ClusterName, ErrorCode, ErrorReply, Message, Standing},
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
    /// The random value of this process. It also decides how the lots of the rounds fall.
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
    /// How many sequences `after` may absorb at once, and a peer, and how many of both fill in each second.
    pub budgets: Budgets,
    /// An operator's word that the start is no lower than this; zero for none. Durable in the state
    /// directory.
    pub recovered: Sequence,
    /// A peer objected to this state directory in an earlier run, and no operator's word is high enough.
    pub objected: Option<Sequence>,
    /// What is remembered of the peers.
    pub remembered: Vec<Remembered>,
    /// How many peers were named.
    pub peers: usize,
    /// Whether they are asked before anything is handed out.
    pub joins: bool,
    /// Whether one of them must answer: without, the server hands out when `joinTimeout` has come.
    pub join_requires_peer: bool,
    /// How many of the connected peers are asked in a round, at most.
    pub fanout: usize,
    /// How long a peer may take to answer before it is hung up on. Checked when the ticker expires.
    pub peer_silence: Duration,
}

/// See [`ActorConfig::budgets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// For `after`.
    pub after_burst: u64,
    /// For peers.
    pub peer_burst: u64,
    /// What fills in, of each.
    pub rate_per_second: u64,
}

/// What the actor knows of the peer at the other end of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    /// Its pid, once it has spoken.
    pub pid: Option<Pid>,
    /// The sequence that it told last.
    pub sequence: u64,
    /// When it last spoke.
    pub heard_at: Option<Instant>,
    /// When it was asked what it has not answered yet.
    asked_at: Option<Instant>,
    /// The pass of lots in which it was last asked; 0 before the first.
    pass: u64,
    /// What was last sent to it: once it is heard again, it has received that.
    sent: Option<guard::Serial>,
    /// Whether the last round was refused, by either side: people are told once.
    refused: bool,
}

/// What the actor has done since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Identity requests answered with identities, or about to be.
    pub identity_requests: u64,
    /// Identity requests that had to wait for the disk.
    pub waited: u64,
    /// Identities decided.
    pub identities: u64,
    /// Sync requests answered.
    pub sync_requests: u64,
    /// Sync replies received.
    pub sync_replies: u64,
    /// Times the sequence was raised by a peer or by `after`.
    pub absorbed: u64,
}

/// The actor. See the [module](self).
#[derive(Debug)]
pub struct Actor {
    config: ActorConfig,
    /// The highest sequence handed out, promised to a held reply, or absorbed.
    sequence: Sequence,
    /// Up to here a request needs a look at nothing else: see [`Actor::clear_up_to`].
    clear: Sequence,
    /// The highest sequence that came from a peer or an operator.
    absorbed: Sequence,
    ceiling: Ceiling,
    /// Effects that wait for the disk. Bounded by the frames that the server keeps in flight.
    held: Line<Held>,
    /// Requests that wait for the peers; bounded like those.
    waiting: Line<Waiting>,
    links: BTreeMap<Link, LinkState>,
    /// On how many links each pid is heard. With a thousand peers there are too many links to look through.
    links_of: BTreeMap<Pid, usize>,
    lots: Lots,
    guard: Guard,
    after_budget: Budget,
    peer_budget: Budget,
    /// The named peers that have judged this server and not objected.
    answered: BTreeSet<PeerId>,
    /// Those, and the named peers that turned out to be no peers.
    decided: BTreeSet<PeerId>,
    join_expired: bool,
    standing: Standing,
    /// It was objected to: an operator has to look.
    objected: bool,
    /// Up to which sequence that is durable or on its way to the disk, and since when.
    objected_at: Option<(Sequence, Instant)>,
    /// The disk failed while the server handed out, and what lies under the ceiling may still be.
    may_finish: bool,
    /// The exact sequence of a clean stop was handed to the disk, and nothing is written behind it.
    stop_written: bool,
    /// The part of the sequence that people were last warned is used up, in percent.
    warned_percent: u64,
    /// When people were last told of a client's advance that was refused.
    advance_reported_at: Option<Instant>,
    tally: Tally,
}

impl Actor {
    /// An actor that hands out above `config.sequence`.
    pub fn new(config: ActorConfig) -> Actor {
        assert!(
            config.sequence <= config.ceiling,
            "an actor starts at or below its ceiling"
        );
        let Budgets {
            after_burst,
            peer_burst,
            rate_per_second,
        } = config.budgets;
        let mut actor = Actor {
            sequence: config.sequence,
            clear: Sequence::ZERO,
            absorbed: config.sequence,
            ceiling: Ceiling::new(config.sequence, config.ceiling, rate_per_second),
            held: Line::new(),
            waiting: Line::new(),
            links: BTreeMap::new(),
            links_of: BTreeMap::new(),
            lots: Lots::new(config.session),
            guard: Guard::new(config.remembered.clone()),
            after_budget: Budget::new(after_burst, rate_per_second),
            peer_budget: Budget::new(peer_burst, rate_per_second),
            answered: BTreeSet::new(),
            decided: BTreeSet::new(),
            join_expired: false,
            standing: match config.objected {
                Some(_) => Standing::Stale,
                // bug JoinIgnored instead: None if config.joins && !BUG => Standing::Joining,
                None if config.joins => Standing::Joining,
                None => Standing::Serving,
            },
            objected: config.objected.is_some(),
            objected_at: config.objected.map(|sequence| (sequence, Instant::START)),
            may_finish: false,
            stop_written: false,
            warned_percent: 0,
            advance_reported_at: None,
            tally: Tally::default(),
            config,
        };
        actor.clear = actor.clear_up_to();
        actor
    }

    /// Handles one event.
    #[inline(always)]
    pub fn handle(&mut self, event: Event, now: Instant, effects: &mut impl Outbox) {
        // Nearly every event is a request that needs no look at anything else, so it is asked for before the
        // jump table.
        if let Event::IdentityRequest { from, count, after } = event
            && let Some(first) = self.next_in_the_clear(count.get(), after)
        {
            effects.reply_identities(from, first, count.get());
        } else {
            self.look_up(event, now, effects.list());
            self.clear = self.clear_up_to();
        }
    }

    /// The jump table.
    #[cold]
    fn look_up(&mut self, event: Event, now: Instant, effects: &mut Vec<Effect>) {
        match event {
            Event::IdentityRequest { from, count, after } => {
                self.on_identity_request(from, count.get(), after, now, effects);
            }
            Event::SyncTimeout => self.on_sync_timeout(now, effects),
            Event::SyncRequest { from, sync } => self.on_sync_request(from, &sync, now, effects),
            Event::SyncReply { from, sync } => self.on_sync_reply(from, &sync, now, effects),
            Event::Unknown { from, error } => self.on_unknown(from, *error, effects),
            Event::Denied { from, error } => self.reply_error(from, *error, effects),
            Event::ErrorReply { from, error } => self.on_error_reply(from, error, now, effects),
            Event::StatusRequest { from } => {
                self.emit(from, Effect::ReplyStatus { to: from }, effects)
            }
            Event::PeerConnected(peer) => self.on_peer_connected(peer, now, effects),
            Event::PeerDisconnected(link) => self.on_peer_disconnected(link, effects),
            Event::Persisted => self.on_persisted(now, effects),
            Event::PersistFailed => self.on_persist_failed(now, effects),
            Event::Stop => self.on_stop(now, effects),
            Event::Objection(heard) => self.on_objection(heard.0, &heard.1, now, effects),
            Event::Overrule(heard) => self.on_overrule(heard.0, &heard.1, now, effects),
            Event::JoinTimeout => self.on_join_timeout(now, effects),
            Event::MembersRequest { from, first } => {
                self.emit(from, Effect::ReplyMembers { to: from, first }, effects);
            }
            Event::ForgetRequest { from, pid } => {
                self.on_forget_request(from, pid, now, effects);
            }
            Event::AdvanceRequest { from, above } => {
                self.on_advance_request(from, above, now, effects);
            }
        }
    }

    /// Who the actor is.
    pub fn config(&self) -> &ActorConfig {
        &self.config
    }

    /// The highest sequence handed out or absorbed that is durable: what peers and people are told. Never a
    /// reserved ceiling: where the ceiling is the smaller one, everything below it is spoken for.
    ///
    /// It goes back in one case, when the disk fails and what was decided and is not durable is taken back. That
    /// does no harm: not below what was absorbed or has left, what was told can only have raised others, peers
    /// judge no later word of a process by its sequence, and the next life begins above the ceiling.
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

    /// Whether a peer has objected to this server, so that an operator has to look.
    pub fn is_objected(&self) -> bool {
        self.objected
    }

    /// What is known of other pids.
    pub fn members(&self) -> &BTreeMap<Pid, Known> {
        self.guard.members()
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
        (self.links_of.get(&pid) == Some(&1)).then_some(pid)
    }

    /// Increments the counter by `count`, not lower than `after`, and answers with what lies between.
    fn on_identity_request(
        &mut self,
        from: ConnectionId,
        count: u32,
        after: u64,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        match self.next(count, after, now) {
            Ok((before, first)) => {
                if !self.may_leave() {
                    self.tally.waited += 1;
                }
                let to = from;
                let reply = Effect::ReplyIdentities { to, first, count };
                self.reply_when_durable(to, reply, before, effects);
                self.raise_if_due(now, effects);
            }
            Err(error) => self.refuse_or_wait(from, count, after, error, now, effects),
        }
    }

    fn refuse_or_wait(
        &mut self,
        from: ConnectionId,
        count: u32,
        after: u64,
        error: ErrorReply,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if self.must_wait() {
            self.waiting.push(from, Waiting::Request { count, after });
        } else {
            self.report_over_budget(&error, now, effects);
            // bug ErrorCloses: return self.reply_and_close(from, error, effects);
            self.reply_error(from, error, effects);
        }
    }

    fn on_unknown(&mut self, from: ConnectionId, error: ErrorReply, effects: &mut Vec<Effect>) {
        if error.code == ErrorCode::ForeignVersion.get() {
            self.refuse_peer(from, error, effects);
        } else {
            self.reply_and_close(from, error, effects);
        }
    }

    /// Tells a peer why it is refused, and people too.
    fn refuse_peer(&mut self, from: ConnectionId, error: ErrorReply, effects: &mut Vec<Effect>) {
        effects.push(Effect::Report(Report::Refused {
            from,
            error: Box::new(error.clone()),
        }));
        self.reply_and_close(from, error, effects);
    }

    fn reply_and_close(&mut self, to: ConnectionId, error: ErrorReply, effects: &mut Vec<Effect>) {
        self.reply_error(to, error, effects);
        self.emit(to, Effect::Close(to), effects);
    }

    /// Tells people of a client's advance that was refused, now and then: clients come in crowds.
    fn report_over_budget(&mut self, error: &ErrorReply, now: Instant, effects: &mut Vec<Effect>) {
        let is_advance = error.code == ErrorCode::OverBudget.get()
            || error.code == ErrorCode::AdvanceTooLarge.get();
        let is_due = self
            .advance_reported_at
            .is_none_or(|at| now.since(at) >= ADVANCE_REPORT_INTERVAL);
        if is_advance && is_due {
            self.advance_reported_at = Some(now);
            let error = Box::new(error.clone());
            effects.push(Effect::Report(Report::AdvanceRefused { error }));
        }
    }

    fn reply_error(&mut self, to: ConnectionId, error: ErrorReply, effects: &mut Vec<Effect>) {
        let message = Message::ErrorReply(Box::new(error));
        self.emit(to, Effect::Reply { to, message }, effects);
    }
}
