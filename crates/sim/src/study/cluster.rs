//! A cluster of actors that all name each other. Each has its own ticker, and dials, asks and answers as it would
//! in a server. There is no disk, and the only clients are those that now and then send one request.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    time::Duration,
};

use fastrand::Rng;
use ipseity::{
    limits::DIAL_TIMEOUT,
    peers::{Failure, Peers},
};
use ipseity_core::{
    actor::{Actor, Effect, Event, HangUp, Report, Write},
    identity::{Pid, Sequence},
    ids::{ConnectionId, Count, Link, PeerId},
    time::Instant,
    timer::{Ticker, Timer, Timers},
    words::{Message, SyncMessage},
};
use ipseity_frames::encode;

use super::network::{self, INTERVAL};
use crate::config::actor_config;

/// The size of a cluster, its fanout and its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub servers: usize,
    /// How many peers a server asks each time; `None` for all.
    pub fanout: Option<usize>,
    pub loss_percent: u32,
}

/// Counts of what was sent between servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Frames. A frame that was sent again counts again.
    pub messages: u64,
    /// The bytes of those frames.
    pub bytes: u64,
}

/// Something that will happen at a moment.
struct Scheduled {
    at: Instant,
    /// Of two at the same moment, the one that was planned first comes first.
    serial: u64,
    what: StudyEvent,
}

enum StudyEvent {
    /// The ticker of a server expires.
    Tick { server: u16 },
    /// A server dials a peer.
    Dial(Way),
    /// The connection is established.
    Connected(Way),
    /// A syncRequest arrives.
    Question { way: Way, sync: Box<SyncMessage> },
    /// Its answer arrives.
    Answer { way: Way, sync: Box<SyncMessage> },
    /// The server that has hung up learns that the connection is gone.
    Lost(Way),
    /// The server that was dialed learns that the connection is closed.
    Closed(Way),
}

/// One connection, seen from the server that has dialed it.
#[derive(Clone, Copy)]
struct Way {
    from: u16,
    to: u16,
    /// Counts the connections between these two servers.
    serial: u16,
}

struct Server {
    actor: Actor,
    ticker: Ticker,
    timers: Timers,
    /// The moment for which a tick is planned.
    tick_at: Option<Instant>,
    peers: Peers,
    /// The serial of the connection to each other server. It is odd while the connection is established.
    serials: Vec<u16>,
}

/// See the head of this file.
pub struct Cluster {
    plan: Plan,
    random: Rng,
    /// How many percent of the segments are lost at present.
    loss_percent: u32,
    now: Instant,
    serial: u64,
    due: BinaryHeap<Reverse<Scheduled>>,
    servers: Vec<Server>,
    effects: Vec<Effect>,
    frame: Vec<u8>,
    traffic: Traffic,
    /// The highest sequence of all.
    highest: Sequence,
    /// How many servers have reached it.
    arrived: usize,
}

impl Cluster {
    /// A cluster whose servers come up within the first interval. Nothing is lost yet.
    pub fn new(plan: Plan, seed: u64) -> Cluster {
        let mut random = Rng::with_seed(seed);
        let servers = (0..plan.servers)
            .map(|number| Server::new(plan, number, random.u64(..)))
            .collect();
        let mut cluster = Cluster {
            plan,
            random,
            loss_percent: 0,
            now: Instant::START,
            serial: 0,
            due: BinaryHeap::new(),
            servers,
            effects: Vec::new(),
            frame: Vec::new(),
            traffic: Traffic::default(),
            highest: Sequence::ZERO,
            arrived: plan.servers,
        };
        for from in 0..plan.servers as u16 {
            let start = Duration::from_nanos(cluster.random.u64(0..INTERVAL.as_nanos() as u64));
            for to in (0..plan.servers as u16).filter(|to| *to != from) {
                let serial = 0;
                cluster.plan_for(start, StudyEvent::Dial(Way { from, to, serial }));
            }
        }
        cluster
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// The counts so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// From now on segments are lost.
    pub fn begin_loss(&mut self) {
        self.loss_percent = self.plan.loss_percent;
    }

    /// Lets time pass.
    pub fn advance(&mut self, wait: Duration) {
        let end = self.now.after(wait);
        while self.happen(end) {}
        self.now = end;
    }

    /// Lets time pass until all servers have reached the highest sequence. Returns how long that takes.
    pub fn advance_until_level(&mut self, wait_max: Duration) -> Duration {
        let start = self.now;
        let end = start.after(wait_max);
        while self.arrived < self.servers.len() {
            assert!(self.happen(end), "{:?}: nobody tells anybody", self.plan);
        }
        self.now.since(start)
    }

    /// A server hands out this many identities to a client.
    pub fn hand_out(&mut self, server: usize, count: u32) {
        let event = Event::IdentityRequest {
            from: self.client(),
            count: Count::saturating(count),
            after: 0,
        };
        self.handle(server, event);
    }

    /// How far the last server is behind the first.
    pub fn spread(&self) -> u64 {
        let sequences = self.servers.iter().map(|server| server.actor.sequence());
        let (least, most) = sequences
            .fold((Sequence::MAX, Sequence::ZERO), |(least, most), one| {
                (least.min(one), most.max(one))
            });
        most.ahead_of(least)
    }

    /// The connection of the clients. Its slot comes after those of all servers.
    fn client(&self) -> ConnectionId {
        ConnectionId::new(self.plan.servers as u32, 0)
    }

    fn plan_for(&mut self, wait: Duration, what: StudyEvent) {
        self.serial += 1;
        self.due.push(Reverse(Scheduled {
            at: self.now.after(wait),
            serial: self.serial,
            what,
        }));
    }

    /// Lets the next thing happen, if it is due by `end`. Returns whether it was.
    fn happen(&mut self, end: Instant) -> bool {
        let Some(Reverse(due)) = self.due.pop() else {
            return false;
        };
        if due.at > end {
            self.due.push(Reverse(due));
            return false;
        }
        self.now = due.at;
        match due.what {
            StudyEvent::Tick { server } => self.tick(server),
            StudyEvent::Dial(way) => self.dial(way),
            StudyEvent::Connected(way) => {
                self.server(way).serials[usize::from(way.to)] = way.serial;
                self.handle(way.from.into(), Event::PeerConnected(way.peer()));
            }
            StudyEvent::Question { way, sync } if self.stands(way) => {
                let from = way.connection();
                self.handle(way.to.into(), Event::SyncRequest { from, sync });
            }
            StudyEvent::Answer { way, sync } if self.stands(way) => {
                let (peer, pid, session) = (way.peer(), sync.pid, sync.session);
                let from = peer;
                self.handle(way.from.into(), Event::SyncReply { from, sync });
                self.server(way).peers.answered(peer, pid, session);
            }
            // The message was lost with its connection.
            StudyEvent::Question { .. } | StudyEvent::Answer { .. } => {}
            StudyEvent::Lost(way) => {
                let link = Link::Dialed(way.peer());
                self.handle(way.from.into(), Event::PeerDisconnected(link));
            }
            StudyEvent::Closed(way) => {
                let link = Link::Accepted(way.connection());
                self.handle(way.to.into(), Event::PeerDisconnected(link));
            }
        }
        true
    }

    /// The server that has dialed.
    fn server(&mut self, way: Way) -> &mut Server {
        &mut self.servers[usize::from(way.from)]
    }

    fn stands(&self, way: Way) -> bool {
        self.servers[usize::from(way.from)].serials[usize::from(way.to)] == way.serial
    }

    fn tick(&mut self, server: u16) {
        let now = self.now;
        let one = &mut self.servers[usize::from(server)];
        one.tick_at = None;
        let Some(Timer::Sync) = one.timers.expire(now) else {
            return self.plan_tick(server);
        };
        one.ticker.expired(now, &mut one.timers);
        self.handle(server.into(), Event::SyncTimeout);
        self.plan_tick(server);
    }

    /// Plans the next tick of a server, unless it is planned already.
    fn plan_tick(&mut self, server: u16) {
        let one = &mut self.servers[usize::from(server)];
        let (Some(next), None) = (one.timers.next(), one.tick_at) else {
            return;
        };
        one.tick_at = Some(next);
        let wait = next.since(self.now);
        self.plan_for(wait, StudyEvent::Tick { server });
    }

    fn dial(&mut self, way: Way) {
        match network::open(&mut self.random, self.loss_percent) {
            Some(wait) => {
                let serial = self.server(way).serials[usize::from(way.to)] + 1;
                self.plan_for(wait, StudyEvent::Connected(Way { serial, ..way }));
            }
            None => self.dial_again(way, DIAL_TIMEOUT),
        }
    }

    /// Plans the next attempt. The one before it has failed after `spent`.
    fn dial_again(&mut self, way: Way, spent: Duration) {
        let (now, random) = (self.now, self.random.u64(..));
        let wait = self
            .server(way)
            .peers
            .failed(way.peer(), Failure::Unreached, now, random);
        self.plan_for(spent + wait, StudyEvent::Dial(way));
    }

    fn handle(&mut self, number: usize, event: Event) {
        let mut effects = std::mem::take(&mut self.effects);
        let actor = &mut self.servers[number].actor;
        let before = actor.sequence();
        actor.handle(event, self.now, &mut effects);
        let after = actor.sequence();
        if after > self.highest {
            (self.highest, self.arrived) = (after, 1);
        } else if after > before && after == self.highest {
            self.arrived += 1;
        }
        for effect in effects.drain(..) {
            self.carry_out(number as u16, effect);
        }
        self.effects = effects;
    }

    fn carry_out(&mut self, number: u16, effect: Effect) {
        match effect {
            Effect::ReplyIdentities { to, .. } => assert_eq!(to, self.client()),
            Effect::Reply { to, message } => {
                let from = to.slot() as u16;
                let mut way = Way::new(from, number);
                way.serial = self.server(way).serials[usize::from(number)];
                // The server that asked may have hung up meanwhile.
                let lost = way.connection() != to;
                if let (Some(arrives), false) = (self.send(&message), lost) {
                    let Message::SyncReply(sync) = message else {
                        panic!("{number} to {from}: {message:?}");
                    };
                    self.plan_for(arrives, StudyEvent::Answer { way, sync });
                }
            }
            Effect::Send { to, message } => {
                let mut way = Way::new(number, Way::named(number, to));
                way.serial = self.server(way).serials[usize::from(way.to)];
                if let Some(arrives) = self.send(&message) {
                    let Message::SyncRequest(sync) = message else {
                        panic!("{number}: {message:?}");
                    };
                    self.plan_for(arrives, StudyEvent::Question { way, sync });
                }
            }
            Effect::HangUp { peer, cause } => {
                assert!(matches!(cause, HangUp::Silent(_)), "{cause}");
                let mut way = Way::new(number, Way::named(number, peer));
                let serial = &mut self.server(way).serials[usize::from(way.to)];
                way.serial = *serial;
                *serial += 1;
                let wait = network::delay(&mut self.random);
                self.plan_for(wait, StudyEvent::Closed(way));
                self.dial_again(way, Duration::ZERO);
                self.plan_for(Duration::ZERO, StudyEvent::Lost(way));
            }
            Effect::StartTicker => {
                let now = self.now;
                let one = &mut self.servers[usize::from(number)];
                one.ticker.start(now, &mut one.timers);
                self.plan_tick(number);
            }
            Effect::StopTicker => {
                let one = &mut self.servers[usize::from(number)];
                one.ticker.stop(&mut one.timers);
            }
            Effect::Write(Write::Members(_))
            | Effect::Report(Report::PeerUp { .. } | Report::PeerDown { .. }) => {}
            // There is no disk and no stranger, and no server objects to another.
            other => panic!("server {number}: {other}"),
        }
    }

    /// Sends a frame. Returns how long it takes to arrive, if it does.
    fn send(&mut self, message: &Message) -> Option<Duration> {
        let sent = network::send(&mut self.random, self.loss_percent);
        self.frame.clear();
        encode(message, &mut self.frame);
        self.traffic.messages += u64::from(sent.segments);
        self.traffic.bytes += u64::from(sent.segments) * self.frame.len() as u64;
        sent.arrives
    }
}

impl Server {
    fn new(plan: Plan, number: usize, session: u64) -> Server {
        let mut config = actor_config();
        config.pid = Pid::new(number as u16).unwrap();
        config.incarnation = number as u128;
        config.session = session;
        config.ceiling = Sequence::MAX;
        config.fanout = plan.fanout.unwrap_or(plan.servers);
        let name = |peer: usize| format!("10.0.0.1:{}", peer + 1);
        Server {
            actor: Actor::new(config),
            ticker: Ticker::new(INTERVAL),
            timers: Timers::new(),
            tick_at: None,
            peers: Peers::new((0..plan.servers - 1).map(name).collect(), Vec::new()),
            serials: vec![0; plan.servers],
        }
    }
}

impl Way {
    fn new(from: u16, to: u16) -> Way {
        Way {
            from,
            to,
            serial: 0,
        }
    }

    /// The id by which the dialing server knows the other. Each server numbers all others, in order.
    fn peer(self) -> PeerId {
        PeerId(u32::from(self.to - u16::from(self.to > self.from)))
    }

    /// The server that another one knows by this id.
    fn named(by: u16, peer: PeerId) -> u16 {
        let peer = peer.0 as u16;
        peer + u16::from(peer >= by)
    }

    /// The id of the connection in the server that was dialed.
    fn connection(self) -> ConnectionId {
        ConnectionId::new(self.from.into(), self.serial.into())
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> Ordering {
        (self.at, self.serial).cmp(&(other.at, other.serial))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}
