//! Rounds in which a server asks only some of its peers: which peers one actor asks, and how soon a cluster agrees.

use std::{collections::BTreeSet, time::Duration};

use ipseity_core::{
    actor::{Actor, ActorConfig, Effect, Event, HangUp, JoinMode},
    identity::Pid,
    ids::{Link, PeerId},
    time::Instant,
    words::{ErrorCode, Objection, Standing, SyncMessage},
};
use ipseity_sim::config::{actor_config, peer_says};
use ipseity_sim::world::{Setup, World, address};

const SECOND: Duration = Duration::from_secs(1);

/// An actor, its peers, which are all connected and have been asked, and the time.
struct Scene {
    actor: Actor,
    peers: u32,
    now: Instant,
}

impl Scene {
    fn new(peers: u32, change: impl FnOnce(&mut ActorConfig)) -> Scene {
        let mut config = actor_config();
        change(&mut config);
        let mut scene = Scene {
            actor: Actor::new(config),
            peers,
            now: Instant::from_nanos(1_000_000_000_000),
        };
        for peer in 0..peers {
            scene.on(Event::PeerConnected(PeerId(peer)));
        }
        scene
    }

    /// All peers have answered the first request.
    fn met(mut self) -> Scene {
        for peer in 0..self.peers {
            self.answer(peer);
        }
        self
    }

    fn on(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.actor.handle(event, self.now, &mut effects);
        effects
    }

    fn answer(&mut self, peer: u32) {
        let sync = SyncMessage {
            incarnation: u128::from(peer),
            session: 1000 + u64::from(peer),
            ..peer_says(Pid::new(100 + peer as u16).unwrap())
        };
        let (from, sync) = (PeerId(peer), Box::new(sync));
        self.on(Event::SyncReply { from, sync });
    }

    /// The next round. Returns the peers that are asked, and those that are hung up on.
    fn round(&mut self) -> (BTreeSet<u32>, BTreeSet<u32>) {
        self.now = self.now.after(SECOND);
        let (mut asked, mut hung_up) = (BTreeSet::new(), BTreeSet::new());
        for effect in self.on(Event::SyncTimeout) {
            match effect {
                Effect::Send { to, .. } => assert!(asked.insert(to.0), "once in a round"),
                Effect::HangUp { peer, cause } => {
                    assert!(matches!(cause, HangUp::Silent(_)));
                    hung_up.insert(peer.0);
                }
                other => panic!("{other}"),
            }
        }
        (asked, hung_up)
    }

    /// The next round, in which every peer that is asked answers.
    fn answered_round(&mut self) -> BTreeSet<u32> {
        let (asked, hung_up) = self.round();
        assert_eq!(hung_up, BTreeSet::new());
        for peer in &asked {
            self.answer(*peer);
        }
        asked
    }
}

// One actor.

#[test]
fn a_round_asks_as_many_peers_as_the_fanout_says() {
    for (fanout, asked) in [(1, 1), (3, 3), (7, 7), (8, 7), (1023, 7)] {
        let mut scene = Scene::new(7, |config| config.fanout = fanout).met();
        for _ in 0..20 {
            assert_eq!(scene.answered_round().len(), asked);
        }
    }
}

#[test]
fn each_peer_is_asked_within_two_passes_in_changing_order() {
    let mut scene = Scene::new(10, |config| config.fanout = 3).met();
    let rounds: Vec<_> = (0..200).map(|_| scene.answered_round()).collect();
    // Two passes over ten peers, three at a time.
    for rounds in rounds.windows(7) {
        let asked: BTreeSet<u32> = rounds.iter().flatten().copied().collect();
        assert_eq!(asked, (0..10).collect());
    }
    let different: BTreeSet<_> = rounds.iter().collect();
    assert!(different.len() > 50, "{} of 120 threes", different.len());
}

#[test]
fn a_peer_that_reconnects_has_had_its_turn() {
    for session in 0..20 {
        let mut scene = Scene::new(3, |config| {
            (config.fanout, config.session) = (1, session);
        })
        .met();
        let asked = scene.answered_round();
        let mut left = (0..3).filter(|peer| !asked.contains(peer));
        let (back, last) = (left.next().unwrap(), left.next().unwrap());
        scene.on(Event::PeerDisconnected(Link::Dialed(PeerId(back))));
        scene.on(Event::PeerConnected(PeerId(back)));
        scene.answer(back);
        assert_eq!(scene.answered_round(), BTreeSet::from([last]));
    }
}

#[test]
fn the_session_decides_the_order_of_the_peers() {
    let rounds = |session| {
        let mut scene = Scene::new(30, |config| {
            (config.fanout, config.session) = (4, session);
        })
        .met();
        (0..10).map(|_| scene.answered_round()).collect::<Vec<_>>()
    };
    assert_eq!(rounds(1), rounds(1));
    assert_ne!(rounds(1), rounds(2));
}

#[test]
fn only_a_peer_that_was_asked_can_be_silent_and_it_is_hung_up_on_in_any_round() {
    let mut scene = Scene::new(6, |config| config.fanout = 1).met();
    let silent = 2;
    let mut asked_at = None;
    for round in 0..100 {
        let (asked, hung_up) = scene.round();
        // The silent peer does not use up the round: another one is asked.
        assert_eq!(asked.len(), 1);
        for peer in asked {
            if peer == silent {
                assert_eq!(asked_at, None, "one request at a time");
                asked_at = Some(round);
            } else {
                scene.answer(peer);
            }
        }
        match asked_at {
            Some(at) if round >= at + 5 => assert_eq!(hung_up, BTreeSet::from([silent])),
            Some(_) | None => assert_eq!(hung_up, BTreeSet::new()),
        }
    }
    assert!(asked_at.is_some());
}

#[test]
fn a_joining_server_asks_every_peer_in_each_round() {
    let mut scene = Scene::new(5, |config| {
        (config.fanout, config.joins, config.join_mode) = (1, true, JoinMode::Require);
    });
    assert_eq!(scene.actor.standing(), Standing::Joining);
    // All were asked when they connected. Two hang up and come back, and are asked at once.
    for peer in [1, 3] {
        scene.on(Event::PeerDisconnected(Link::Dialed(PeerId(peer))));
        let effects = scene.on(Event::PeerConnected(PeerId(peer)));
        assert!(matches!(effects[..], [Effect::Send { .. }]));
    }
    // An objection to an earlier process decides nothing, but the peer may be asked again.
    for peer in 0..5 {
        let link = Link::Dialed(PeerId(peer));
        let objection = Objection {
            pid: actor_config().pid,
            session: 7,
            code: ErrorCode::StaleState.get(),
            sequence: 0,
            message: String::new(),
        };
        scene.on(Event::Objection(Box::new((link, objection))));
    }
    assert_eq!(scene.round().0, (0..5).collect());
    // They accept it, and then note that.
    for peer in 0..5 {
        scene.answer(peer);
    }
    scene.on(Event::AllAsked);
    assert_eq!(scene.actor.standing(), Standing::Joining);
    for peer in 0..5 {
        scene.answer(peer);
    }
    assert_eq!(scene.actor.standing(), Standing::Serving);
    assert_eq!(scene.round().0.len(), 1);
}

// A cluster.

/// This many servers that all name each other, with this fanout, after a quiet while.
fn cluster(servers: u16, fanout: usize) -> World {
    let mut world = World::new();
    world.net().delay = Duration::from_millis(2);
    for number in 0..servers {
        world.start(setup(number, servers, fanout));
        // So that their rounds are not at the same time.
        world.advance(SECOND / u32::from(servers));
    }
    // The first ones found nobody and dial again.
    world.advance(10 * SECOND);
    world
}

fn setup(number: u16, servers: u16, fanout: usize) -> Setup {
    let others = (0..servers).filter(|other| *other != number);
    let others: Vec<String> = others
        .map(|other| address(usize::from(other)).to_string())
        .collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let mut setup = Setup::new(number + 1).peers(&others);
    setup.actor.fanout = fanout;
    setup
}

#[test]
fn with_a_fanout_of_one_all_servers_learn_a_sequence_within_a_few_rounds() {
    const SERVERS: usize = 16;
    let mut world = cluster(SERVERS as u16, 1);
    for origin in [0, 7, 15] {
        let asked = |world: &World| -> usize {
            let sends = |server| world.trace(server, "> send").len();
            (0..SERVERS).map(sends).sum()
        };
        let before = asked(&world);
        let mut client = world.connect(origin);
        client.ask(10);
        world.advance(Duration::from_millis(10));
        let sequence = client.sequences().last().copied().unwrap();
        drop(client);
        // Two passes over all would take thirty rounds.
        world.advance(8 * SECOND - Duration::from_millis(10));
        assert_eq!(asked(&world) - before, 8 * SERVERS, "one each in a round");
        for server in 0..SERVERS {
            assert!(
                world.status(server).sequence >= sequence,
                "{origin} to {server}"
            );
        }
    }
}

#[test]
fn two_servers_with_one_pid_are_noticed_with_a_fanout_of_one() {
    const WITNESSES: u16 = 4;
    let servers = WITNESSES + 2;
    let mut world = World::new();
    world.net().delay = Duration::from_millis(2);
    for number in 0..WITNESSES {
        world.start(setup(number, servers, 1));
    }
    // They name nobody. The servers that name them tell them about the conflict.
    let twins = [usize::from(WITNESSES), usize::from(WITNESSES) + 1];
    for twin in twins {
        let mut setup = Setup::new(500);
        setup.actor.session = 500 + twin as u64;
        world.start(setup);
    }
    // Dialing takes some of the time, and each witness then asks both within two passes of five.
    world.advance(12 * SECOND);
    for twin in twins {
        assert_eq!(world.status(twin).standing, Standing::Conflict);
    }
    for witness in 0..usize::from(WITNESSES) {
        assert_eq!(world.status(witness).standing, Standing::Serving);
    }
}
