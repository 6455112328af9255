//! The actor: it owns the sequence, handles one event at a time, and returns what has to be done.
//!
//! It does no I/O, reads no clock and uses no randomness. [`Actor::handle`] takes an event and the present moment,
//! changes the actor's private state and adds [`Effect`]s. The server carries these out before it takes the next
//! event. So the actor runs unchanged with a simulated network, disk and time. It may import `identity`, `ids`,
//! `words`, `limits` and `time`.
//!
//! Durable first, reply after: an identity is *decided* when its request is handled. It *leaves* when the ceiling
//! above it is durable.
//!
//! The state stands in rooms, each a struct with private fields, so a line can touch no more than its room:
//! [`counter`], [`durability`], [`join`], [`links`], [`guard`], [`objections`], [`phase`], [`store`] and [`writes`]. The
//! other files say what happens at an event. They belong to [`Actor`] and reach all rooms, but only through what these offer.

// Rooms, and what they are made of.
mod bucket;
mod budget;
mod ceiling;
mod counter;
mod durability;
mod guard;
mod join;
mod line;
mod links;
mod news;
mod objections;
mod phase;
mod refusal;
mod store;
mod writes;

// What happens at an event.
mod disk;
mod joining;
mod newcomers;
mod objected;
mod objecting;
mod operator;
mod requests;
mod sync;
mod waiting;

// Plain data.
mod ahead;
mod effect;
mod event;
mod life;
mod write;

use std::{collections::BTreeMap, time::Duration};

use self::{
    counter::Counter, durability::Durability, guard::Guard, join::Join, line::Line, links::Links,
    newcomers::Newcomer, objections::Objections, phase::Phase, store::Store, waiting::Waiting,
    writes::Writes,
};

pub use self::{
    ahead::Ahead,
    effect::{Effect, HangUp, Outbox, Report},
    event::Event,
    guard::{Charge, Known, Remembered, Rival},
    join::JoinMode,
    life::Life,
    links::LinkState,
    objected::Objected,
    write::{Outcome, Write, Written},
};
use crate::{
    identity::{Identity, Pid, Sequence},
    ids::{ConnectionId, Count, Link, PeerId},
    time::Instant,
    words::{ClusterName, JoinStatus, Standing},
};

/// What an actor needs to know when it is made.
#[derive(Clone, Debug)]
pub struct ActorConfig {
    /// The cluster's name. Servers of other clusters are refused.
    pub cluster: ClusterName,
    /// The actor's own number in the cluster.
    pub pid: Pid,
    /// The incarnation: a random value that is made with the state directory.
    pub incarnation: u128,
    /// The boot: how many times that directory has been started.
    pub boot: u64,
    /// A random value of this process. It is also the seed for drawing the peers of each round.
    pub session: u64,
    /// Identities are handed out above this sequence.
    pub sequence: Sequence,
    /// The ceiling that this boot has made durable. Nothing above it is handed out before the disk is written again.
    /// [`Sequence::MAX`] if there is no disk.
    pub ceiling: Sequence,
    /// The most identities in one request, 1 to [`COUNT_LIMIT_MAX`](crate::limits::COUNT_LIMIT_MAX).
    pub count_max: u32,
    /// The most by which a peer or an `after` may raise the sequence at once.
    pub advance_max: u64,
    /// How many sequences `after` and peers may skip in a burst, and how many more they may skip each second.
    pub budgets: Budgets,
    /// It is the first start of its state directory. Later ones begin without the bursts of the budgets.
    pub first_start: bool,
    /// How much time of recent demand is left of the ceiling when a raise is asked for.
    pub reserve: Duration,
    /// An operator's word that the start is no lower than this; zero for none. Durable in the state
    /// directory.
    pub recovered: Sequence,
    /// A peer objected to this state directory in an earlier run, and no operator's word is high enough.
    pub objected: Option<Objected>,
    /// What is remembered of the peers.
    pub remembered: Vec<Remembered>,
    /// Whether the peers are asked before anything is handed out.
    pub joins: bool,
    /// How many peers must accept this start.
    pub join_mode: JoinMode,
    /// The last lives of the state directory, this one included.
    pub lives: Vec<Life>,
    /// Whether the acceptance of this server counts as a vote: what it remembers of its peers is durable and complete.
    pub votes: bool,
    /// The state is in a store that fences: a life with a higher boot has taken it over for good, and this one is told so.
    /// Then [`votes`](ActorConfig::votes) is false.
    pub fences: bool,
    /// Until when the store has confirmed that this life has its pid. `None` if nothing has to be confirmed: with a state
    /// directory, and where availability was preferred.
    pub lease: Option<Instant>,
    /// How long a request may wait for the store before it is refused. `None` for a disk: either it answers, or it fails.
    pub patience: Option<Duration>,
    /// Where others can dial this server, `host:port`; empty if nobody has told it.
    pub advertise: String,
    /// How many of the connected peers are asked in a round, at most.
    pub fanout: usize,
    /// How long a peer may take to answer before its connection is given up. Checked when the ticker expires.
    pub peer_silence: Duration,
}

/// See [`ActorConfig::budgets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// For `after`.
    pub after_burst: u64,
    /// For peers.
    pub peer_burst: u64,
    /// How many tokens both together get each second.
    pub rate_per_second: u64,
}

/// What the actor has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Identity requests that were answered with identities. Those that wait for the disk are not among them yet.
    pub identity_requests: u64,
    /// Identity requests that were answered with an error.
    pub refused: u64,
    /// Identity requests that had to wait for the disk.
    pub waited: u64,
    /// The identities in these answers.
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
    phase: Phase,
    counter: Counter,
    durability: Durability,
    join: Join,
    links: Links,
    guard: Guard,
    objections: Objections,
    store: Store,
    writes: Writes,
    newcomers: Vec<Newcomer>,
    /// It has handed out identities, or could have.
    served: bool,
    /// What waits before it is decided; bounded by the frames that the server keeps in flight.
    waiting: Line<Waiting>,
}

impl Actor {
    /// An actor that hands out above `config.sequence`.
    pub fn new(config: ActorConfig) -> Actor {
        assert!(
            config.sequence <= config.ceiling,
            "an actor starts at or below its ceiling"
        );
        let mut actor = Actor {
            phase: Phase::new(config.objected, config.joins),
            counter: Counter::new(&config),
            durability: Durability::new(&config),
            join: Join::new(&config),
            links: Links::new(&config),
            guard: Guard::new(config.session, config.remembered.clone()),
            objections: Objections::new(&config),
            store: Store::new(&config),
            writes: Writes::new(),
            newcomers: Vec::new(),
            served: config.objected.is_none() && !config.joins,
            waiting: Line::new(),
            config,
        };
        actor.counter.set_clear(actor.clear_up_to());
        actor
    }

    /// Handles one event.
    #[inline(always)]
    pub fn handle(&mut self, event: Event, now: Instant, effects: &mut impl Outbox) {
        // Nearly every event is a request that depends on the counter alone. So this is checked before the jump
        // table.
        if let Event::IdentityRequest { from, count, after } = event
            && let Some(first) = self.next_in_the_clear(count.get(), after)
        {
            effects.reply_identities(from, first, count.get());
        } else {
            let effects = effects.list();
            let before = effects.len();
            self.look_at_clock(now);
            self.look_up(event, now, effects);
            self.store.note_waits(self.waiting_for_disk() > 0, now);
            for effect in &effects[before..] {
                if let Effect::Write(_) = effect {
                    self.writes.asked(now);
                }
            }
            // Every sequence at which there is something to tell passes by here: up to it nothing is clear.
            effects.extend(self.counter.exhaustion().map(Effect::Report));
            effects.extend(self.store.news().map(Effect::Report));
            self.counter.set_clear(self.clear_up_to());
        }
    }

    /// The jump table. The order is that of the protocol: the events of the model, of peers, of clients and
    /// operators, of the disk, of the server.
    #[cold]
    fn look_up(&mut self, event: Event, now: Instant, effects: &mut Vec<Effect>) {
        match event {
            Event::Unknown { from, error } => self.on_unknown(from, *error, effects),
            Event::Denied { from, error } => self.on_denied(from, *error, effects),
            Event::IdentityRequest { from, count, after } => {
                self.on_identity_request(from, count.get(), after, now, effects);
            }
            Event::SyncTimeout => self.on_sync_timeout(now, effects),
            Event::SyncRequest { from, sync } => self.on_sync_request(from, sync, now, effects),
            Event::SyncReply { from, sync } => self.on_sync_reply(from, &sync, now, effects),
            Event::ErrorReply { from, error } => self.on_error_reply(from, error, now, effects),
            Event::Objection(heard) => self.on_objection(heard.0, &heard.1, now, effects),
            Event::Overrule(heard) => self.on_overrule(heard.0, &heard.1, now, effects),
            Event::HelloRequest { from, hello } => self.on_hello_request(from, *hello, effects),
            Event::StatusRequest { from } => self.on_status_request(from, effects),
            Event::MembersRequest { from, first } => self.on_members_request(from, first, effects),
            Event::ForgetRequest { from, what } => self.on_forget_request(from, what, now, effects),
            Event::AdvanceRequest { from, above } => {
                self.on_advance_request(from, above, now, effects);
            }
            Event::PeerConnected(peer) => self.on_peer_connected(peer, now, effects),
            Event::PeerDisconnected(link) => self.on_peer_disconnected(link, now, effects),
            Event::Disconnected(connection) => self.on_disconnected(connection, now, effects),
            Event::Probe(heard) => self.on_probe(heard.0, heard.1, effects),
            Event::Alive(heard) => self.on_alive(heard.0, heard.1, now, effects),
            Event::Goodbye(heard) => self.on_goodbye(heard.0, heard.1, now, effects),
            Event::PeerUnreachable(peer) => self.on_peer_unreachable(peer, now, effects),
            Event::PeerForgotten(peer) => self.on_peer_forgotten(peer),
            Event::AllAsked => self.on_all_asked(now, effects),
            Event::JoinTimeout => self.on_join_timeout(now, effects),
            Event::ProbeTimeout => self.settle_newcomers(now, effects),
            Event::SaveTimeout => self.on_save_timeout(now, effects),
            Event::WriteTimeout => self.on_write_timeout(now, effects),
            Event::Written(written) => self.on_written(written, now, effects),
            Event::Leased { until } => self.on_leased(until, now, effects),
            Event::Fenced => self.on_fenced(now, effects),
            Event::StoreTimeout => self.on_store_timeout(now, effects),
            Event::Stop => self.on_stop(now, effects),
        }
    }

    /// `next` for nearly every request: it looks at nothing but the counter.
    #[inline(always)]
    fn next_in_the_clear(&mut self, count: u32, after: u64) -> Option<Identity> {
        debug_assert_eq!(self.counter.clear(), self.clear_up_to());
        self.counter.next_in_the_clear(count, after)
    }

    /// How far the counter may go without a look at anything else: up to there the server serves, all is durable,
    /// no raise is due, and there is nothing to tell of the end of the sequence.
    ///
    /// It changes only with the phase, the ceiling and what waits, so with no request that is in the clear. And where an
    /// answer is held back for the disk, the counter stands above the ceiling, so nothing is in the clear that
    /// could overtake it. Where a request waits before it is decided, nothing is in the clear at all.
    fn clear_up_to(&self) -> Sequence {
        let nothing_waits = self.waiting.is_empty();
        match self.phase {
            // Nothing is handed out as long as another life may have taken the pid.
            Phase::Serving if self.store.is_in_doubt() => Sequence::ZERO,
            Phase::Serving if nothing_waits => self.durability.clear().min(self.counter.quiet()),
            Phase::Serving => Sequence::ZERO,
            Phase::Joining
            | Phase::JoinOverdue
            | Phase::Claiming
            | Phase::ClaimOverdue
            | Phase::Refused
            | Phase::Conflict
            | Phase::Stale
            | Phase::Finishing
            | Phase::StorageFailed
            | Phase::Stopping
            | Phase::Stopped
            | Phase::Fenced => Sequence::ZERO,
        }
    }

    /// The configuration that the actor was made with.
    pub fn config(&self) -> &ActorConfig {
        &self.config
    }

    /// The highest durable sequence that was handed out or absorbed. Peers and people are told this one, never a
    /// reserved ceiling, and nothing that was decided and has not left: when the disk fails or the store is away, that is taken
    /// back. So it never falls, and a next start that goes on after it is not behind what peers remember.
    pub fn sequence(&self) -> Sequence {
        let sequence = self.counter.sequence().min(self.durability.durable());
        // bug DecidedIsTold: return sequence;
        match self.durability.before_decided() {
            Some(before) => sequence.min(before.max(self.counter.absorbed())),
            None => sequence,
        }
    }

    /// The highest sequence that may be handed out before the disk is written again.
    pub fn ceiling(&self) -> Sequence {
        self.durability.durable()
    }

    /// Whether identities are handed out.
    pub fn standing(&self) -> Standing {
        match self.phase.standing() {
            Standing::Serving if self.sequence() == Sequence::MAX => Standing::Exhausted,
            Standing::Serving if self.store.is_away() || self.store.is_in_doubt() => {
                Standing::WaitingForDisk
            }
            Standing::Serving if self.writes.is_late() && self.waiting_for_disk() > 0 => {
                Standing::WaitingForDisk
            }
            standing => standing,
        }
    }

    /// How many answers wait for the disk.
    pub fn waiting_for_disk(&self) -> usize {
        let undecided = match self.phase.is_joining() {
            // They wait for the peers.
            true => 0,
            false => self.waiting.len(),
        };
        self.durability.holds() + undecided
    }

    /// When [`Event::WriteTimeout`] is due, if a write is under way that is not late yet.
    pub fn write_deadline(&self) -> Option<Instant> {
        self.writes.deadline()
    }

    /// What people should hear when the server begins: how much of the sequence is used up.
    pub fn start_report(&mut self) -> Option<Report> {
        let report = self.counter.exhaustion();
        self.counter.set_clear(self.clear_up_to());
        report
    }

    /// Whether a peer has objected to this server. Then an operator has to look.
    pub fn is_objected(&self) -> bool {
        self.objections.is_objected()
    }

    /// The highest sequence in an objection to this server; zero if there is none.
    pub fn objected_above(&self) -> Sequence {
        self.objections.above()
    }

    /// Whether a save of what is known of other pids is under way.
    pub fn is_saving(&self) -> bool {
        self.guard.is_saving()
    }

    /// Whether all that is known of other pids is on the disk, or will not be in any case.
    pub fn has_saved(&self) -> bool {
        self.keeps_nothing() || self.guard.has_saved()
    }

    /// What is known of other pids.
    pub fn members(&self) -> &BTreeMap<Pid, Known> {
        self.guard.members()
    }

    /// What has been done so far.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally {
            waited: self.durability.waited(),
            ..Tally::default()
        };
        self.counter.count_into(&mut tally);
        let unanswered = self.durability.unanswered();
        tally.identity_requests -= unanswered.requests;
        tally.identities -= unanswered.identities;
        self.links.count_into(&mut tally);
        tally
    }

    /// How much of the sequence was used in a second lately, by clients and by what was absorbed.
    pub fn demand_per_second(&self, now: Instant) -> u64 {
        self.durability
            .demand_per_second(self.counter.sequence(), now)
    }

    /// Whether it has not decided yet whether it may use its pid.
    pub fn is_joining(&self) -> bool {
        self.phase.is_joining()
    }

    /// How far its start has come, as long as that is not decided.
    pub fn join_status(&self) -> Option<JoinStatus> {
        self.phase.is_joining().then(|| self.join.status())
    }

    /// Whether a dialed peer has answered since this server has told it what it has decided.
    pub fn has_told_outcome(&self, peer: PeerId) -> bool {
        self.links
            .answered_as(Link::Dialed(peer))
            .is_some_and(|stage| !stage.asks())
    }

    /// Whether a dialed peer has checked this server and did not object.
    pub fn has_answered(&self, peer: PeerId) -> bool {
        self.join.has_accepted(peer)
    }

    /// The first link on which a pid is heard.
    pub fn link_of(&self, pid: Pid) -> Option<(Link, &LinkState)> {
        self.links.first_of(pid)
    }

    /// The links on which peers are heard or asked.
    pub fn links(&self) -> &BTreeMap<Link, LinkState> {
        self.links.states()
    }
}
