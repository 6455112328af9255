//! Dialing, synchronizing and losing peers, in virtual time.

use std::{net::SocketAddr, time::Duration};

use ipseity::limits::{
    ATTEMPT_DELAY, BACKOFF_MAX, BACKOFF_MIN, BACKOFF_REFUSED, DIAL_TIMEOUT, FRAMES_IN_FLIGHT_MAX,
    FRAMES_PER_CONNECTION_MAX, JOIN_TIMEOUT_DEFAULT, LOOKUP_INTERVAL, LOOKUP_INTERVAL_JOINING,
    LOOKUP_SLOW, PEER_SILENCE_MIN,
};
use ipseity_core::{
    actor::{JoinMode, Remembered},
    identity::{Pid, Sequence},
    limits::{JOIN_WAIT, PROBE_TIMEOUT},
    words::{
        ErrorCode, ErrorReply, Goodbye, Message, Objection, PeerState, Stage, Standing, SyncMessage,
    },
};
use ipseity_frames::encode;
use ipseity_sim::config::peer_says;
use ipseity_sim::world::{
    Client, DiskMode, Route, Setup, World, address, keep_log_lines, take_log_lines,
};

const SECOND: Duration = Duration::from_secs(1);
const DELAY: Duration = Duration::from_millis(20);
const ROUND_TRIP: Duration = Duration::from_millis(40);
/// Where tests play the peer.
const STAGE: ([u8; 4], u16) = ([10, 9, 9, 9], 3264);

/// The servers 0, 1, ..., each with the given peers, and with some delay between them.
fn cluster(named: &[&[usize]]) -> World {
    let mut world = World::new();
    world.net().delay = DELAY;
    for (number, peers) in named.iter().enumerate() {
        let peers: Vec<String> = peers
            .iter()
            .map(|peer| address(*peer).to_string())
            .collect();
        let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
        world.start(Setup::new(number as u16 + 1).peers(&peers));
    }
    world
}

/// A server whose only peer is played by the test.
fn stage() -> (World, SocketAddr) {
    let stage = SocketAddr::from(STAGE);
    let mut world = World::new();
    world.listen(stage);
    world.start(Setup::new(1).peers(&[&stage.to_string()]));
    world.drive();
    (world, stage)
}

/// The sequence that a server's status shows.
fn sequence(world: &mut World, server: usize) -> u64 {
    world.status(server).sequence
}

fn peer_state(world: &mut World, server: usize) -> PeerState {
    world.status(server).peers[0].state
}

/// Takes this many identities from a server.
fn hand_out(world: &mut World, server: usize, count: usize) {
    let mut client = world.connect(server);
    client.ask(count);
    let mut answered = 0;
    world.advance_until(SECOND, |_| {
        answered += client.replies().len();
        answered == count
    });
}

/// What a peer with this pid says about itself.
fn hello(pid: u16, sequence: u64) -> Box<SyncMessage> {
    Box::new(SyncMessage {
        sequence,
        ..peer_says(Pid::new(pid).unwrap())
    })
}

/// The sequence of the next identity of a server. It waits as long as the server lets it wait.
fn next_of(world: &mut World, server: usize) -> u64 {
    let mut client = world.connect(server);
    client.ask(1);
    match world.reply_of(&mut client) {
        Message::IdentityReply { first, .. } => first >> 10,
        other => panic!("{other:?}"),
    }
}

fn error(code: ErrorCode) -> Message {
    Message::ErrorReply(Box::new(ErrorReply::new(code, "no")))
}

/// The server's next connection to the stage, and how long it took to come.
fn next_attempt(world: &mut World, stage: SocketAddr) -> (Duration, Client) {
    let mut attempt = None;
    let waited = world.advance_until(60 * SECOND, |world| {
        attempt = world.accept(stage);
        attempt.is_some()
    });
    (waited, attempt.unwrap())
}

/// The server's next connection to the stage, which the server does not know to be open yet.
fn next_dial(world: &mut World, stage: SocketAddr) -> Client {
    loop {
        world.net().now = world.now().after(Duration::from_millis(1));
        world.step(0);
        world.net().run_due_events();
        if let Some(peer) = world.accept(stage) {
            return peer;
        }
    }
}

// Synchronizing.

#[test]
fn two_servers_agree_within_an_interval_and_a_round_trip() {
    for (handing_out, behind) in [(0, 1), (1, 0)] {
        for moment_ms in [0, 1, 250, 500, 940, 960, 980, 999] {
            let mut world = cluster(&[&[1], &[]]);
            world.advance(3 * SECOND + Duration::from_millis(moment_ms));
            hand_out(&mut world, handing_out, 5);
            world.advance(SECOND + ROUND_TRIP);
            // The sequence that is read now was reached before the status request arrived.
            assert_eq!(sequence(&mut world, behind), 5, "at {moment_ms} ms");
        }
    }
}

#[test]
fn three_servers_agree_whichever_of_them_are_named() {
    for named in [
        &[&[1usize, 2][..], &[0, 2], &[0, 1]][..],
        &[&[1, 2], &[], &[]],
        &[&[1], &[2], &[]],
    ] {
        let mut world = cluster(named);
        world.advance(SECOND);
        for server in 0..3 {
            hand_out(&mut world, server, 10 * (server + 1));
        }
        world.advance(3 * (SECOND + ROUND_TRIP));
        let all: Vec<u64> = (0..3).map(|server| sequence(&mut world, server)).collect();
        assert!(
            all[0] >= 30 && all.iter().all(|one| *one == all[0]),
            "{all:?}"
        );
    }
}

#[test]
fn the_ticker_runs_from_the_first_connected_peer_to_the_last() {
    let mut world = cluster(&[&[1, 2], &[], &[]]);
    let ticker = |world: &World| {
        let starts = world.trace(0, "> startTicker").len();
        let stops = world.trace(0, "> stopTicker").len();
        (starts, stops)
    };
    let ticks = |world: &World| world.trace(0, "syncTimeout").len();
    world.advance(10 * SECOND);
    assert_eq!(ticker(&world), (1, 0));
    assert_eq!(
        ticks(&world),
        9,
        "the first is one interval after the first peer"
    );
    world.kill(1);
    world.advance(SECOND);
    assert_eq!(ticker(&world), (1, 0));
    world.kill(2);
    world.advance(SECOND);
    assert_eq!(ticker(&world), (1, 1));
    let before = ticks(&world);
    world.advance(10 * SECOND);
    assert_eq!(ticks(&world), before);
    world.restart(2);
    world.advance(BACKOFF_MAX + SECOND);
    assert_eq!(ticker(&world), (2, 1));
    assert!(ticks(&world) > before);
}

#[test]
fn a_server_that_comes_back_catches_up_at_once() {
    let mut world = cluster(&[&[], &[0]]);
    world.advance(2 * SECOND);
    world.kill(1);
    hand_out(&mut world, 0, 1000);
    world.restart(1);
    // Connecting takes one round trip, and asking takes another.
    world.advance(2 * ROUND_TRIP);
    assert!(next_of(&mut world, 1) > 1000);
}

#[test]
fn a_server_that_comes_back_is_found_by_the_servers_that_name_it() {
    let mut world = cluster(&[&[1], &[]]);
    world.advance(2 * SECOND);
    world.kill(1);
    world.advance(60 * SECOND);
    assert_eq!(peer_state(&mut world, 0), PeerState::Down);
    hand_out(&mut world, 0, 1000);
    world.restart(1);
    world.advance(BACKOFF_MAX + 2 * ROUND_TRIP);
    assert_eq!(peer_state(&mut world, 0), PeerState::Up);
    assert!(sequence(&mut world, 1) >= 1000);
}

#[test]
fn a_server_that_restarts_from_its_disk_hands_out_nothing_twice() {
    let mut world = World::new();
    world.start(Setup::new(1).disk(DiskMode::Takes(DELAY), 100));
    let mut last = 0;
    for _ in 0..5 {
        let mut client = world.connect(0);
        client.ask(1500);
        world.advance(DELAY / 2);
        client.ask(700);
        // Some of these wait for the disk and are lost with the process.
        let sequences = world.collect(&mut client);
        assert!(sequences[0] > last && sequences.is_sorted());
        last = *sequences.last().unwrap();
        world.kill(0);
        world.restart(0);
    }
}

// Dialing.

#[test]
fn the_waits_between_attempts_grow_up_to_their_bound() {
    for random in [0, u64::MAX / 2] {
        let mut world = World::new();
        world.start(Setup::new(1).peers(&["nobody:1"]));
        world.node(0).random = random;
        let mut wait = BACKOFF_MIN;
        for attempt in 1..=20 {
            let waited =
                world.advance_until(BACKOFF_MAX, |world| world.node(0).lookups.len() == attempt);
            if attempt > 1 {
                assert!(wait / 2 <= waited && waited <= wait, "{waited:?}");
                wait = (2 * wait).min(BACKOFF_MAX);
            }
        }
    }
}

#[test]
fn a_name_is_looked_up_again_at_each_attempt() {
    let mut world = cluster(&[&[], &[], &[]]);
    world.start(Setup::new(9).peers(&["moving:3264"]));
    world.advance(10 * SECOND);
    let attempts = world.node(3).lookups.len();
    assert!(
        attempts > 5,
        "nobody knows the name, and it is asked for again"
    );
    world
        .net()
        .names
        .insert("moving".to_owned(), vec![address(0)]);
    world.advance(BACKOFF_MAX + 2 * ROUND_TRIP);
    assert_eq!(peer_state(&mut world, 3), PeerState::Up);
    let attempts = world.node(3).lookups.len();
    world.advance(10 * SECOND);
    assert_eq!(world.node(3).lookups.len(), attempts, "not while it is up");
    world
        .net()
        .names
        .insert("moving".to_owned(), vec![address(1)]);
    world.kill(0);
    world.advance(BACKOFF_MAX);
    let status = world.status(3);
    assert_eq!(status.peers[0].state, PeerState::Up);
    assert_eq!(status.peers[0].pid, Pid::new(2));
}

#[test]
fn a_slow_lookup_does_not_hold_up_clients() {
    let mut world = World::new();
    world.start(Setup::new(1).peers(&["slow:1"]));
    world.node(0).lookup_delay = 30 * SECOND;
    let mut client = world.connect(0);
    client.ask(1);
    world.drive();
    assert_eq!(client.sequences(), [1]);
    assert_eq!(peer_state(&mut world, 0), PeerState::Connecting);
    world.advance(31 * SECOND);
    assert_eq!(world.node(0).lookups.len(), 2, "one at a time");
}

#[test]
fn the_addresses_of_a_name_are_tried_in_turn() {
    let [unreachable, hangs, refuses] =
        [1, 2, 3].map(|last| SocketAddr::from(([10, 7, 7, last], 1)));
    let mut world = cluster(&[&[]]);
    world.net().routes.insert(unreachable, Route::Unreachable);
    world.net().routes.insert(hangs, Route::Hangs);
    world.net().names.insert(
        "many".to_owned(),
        vec![unreachable, hangs, refuses, address(0)],
    );
    let server = world.start(Setup::new(2).peers(&["many:1"]));
    let waited = world.advance_until(10 * SECOND, |world| {
        !world.trace(server, "peerConnected").is_empty()
    });
    // The one that is unreachable and the one that refuses lead to the next one at once.
    assert_eq!(waited, ATTEMPT_DELAY + 2 * ROUND_TRIP);
    assert_eq!(world.node(server).lookups.len(), 1, "all in one attempt");
    // It stays so, whatever becomes of the others.
    world.advance(10 * DIAL_TIMEOUT);
    assert_eq!(world.trace(server, "peerConnected").len(), 1);
}

/// Lets a name lead to these servers.
fn lead(world: &World, name: &str, servers: &[usize]) {
    let addresses = servers.iter().map(|server| address(*server)).collect();
    world.net().names.insert(name.to_owned(), addresses);
}

/// The pids of the peers that are up, in the order of the status.
fn peers_up(world: &mut World, server: usize) -> Vec<u16> {
    let peers = world.status(server).peers;
    assert!(
        peers.iter().all(|peer| peer.state == PeerState::Up),
        "{peers:?}"
    );
    peers.iter().map(|peer| peer.pid.unwrap().get()).collect()
}

/// A server that asks the peers behind the name "all" first.
fn joining(pid: u16) -> Setup {
    let mut setup = Setup::new(pid).peers(&["all:3264"]);
    setup.actor.joins = true;
    setup
}

#[test]
fn one_name_leads_to_all_servers_behind_it() {
    let mut world = cluster(&[&[], &[], &[]]);
    lead(&world, "all", &[3, 0, 1, 2]);
    let server = world.start(Setup::new(4).peers(&["all:3264"]));
    world.advance(SECOND);
    assert_eq!(peers_up(&mut world, server), [1, 2, 3], "all but itself");
    // One that is lost is dialed again, and the others stay.
    let connected = |world: &World| world.trace(server, "peerConnected").len();
    let before = connected(&world);
    world.kill(1);
    world.advance(SECOND);
    world.restart(1);
    world.advance(BACKOFF_MAX + SECOND);
    assert_eq!(peers_up(&mut world, server), [1, 2, 3]);
    assert_eq!(connected(&world), before + 1);
}

#[test]
fn a_server_that_is_new_behind_a_name_is_found() {
    let mut world = cluster(&[&[], &[]]);
    lead(&world, "all", &[0]);
    let server = world.start(Setup::new(3).peers(&["all:3264"]));
    world.advance(SECOND);
    lead(&world, "all", &[1, 0]);
    world.advance(LOOKUP_INTERVAL);
    let mut up = peers_up(&mut world, server);
    up.sort_unstable();
    assert_eq!(up, [1, 2]);
    // One that the name does not lead to any more stays as long as its connection does.
    lead(&world, "all", &[0]);
    world.advance(LOOKUP_INTERVAL);
    assert_eq!(peers_up(&mut world, server).len(), 2);
    world.kill(1);
    world.advance(2 * LOOKUP_INTERVAL);
    assert_eq!(peers_up(&mut world, server), [1]);
}

#[test]
fn a_server_that_meets_itself_first_joins_with_the_others() {
    for own_place in 0..3 {
        let mut world = cluster(&[&[], &[]]);
        let mut servers = vec![0, 1];
        servers.insert(own_place, 2);
        lead(&world, "all", &servers);
        hand_out(&mut world, 0, 700);
        let server = world.start(joining(3));
        // It has asked both, so it begins above what they have handed out.
        assert_eq!(next_of(&mut world, server), 701);
        assert_eq!(
            world.trace(server, "report joined"),
            ["> report joined answered=2"]
        );
    }
}

/// As in Kubernetes: the name stands for all pods, and each is there a moment after the one before.
#[test]
fn a_cold_start_behind_one_name_takes_seconds_although_the_first_lookup_finds_few() {
    let mut world = World::new();
    let mut servers = Vec::new();
    for pid in 1..=5 {
        let mut setup = joining(pid);
        setup.actor.join_mode = JoinMode::Majority { cluster_size: 5 };
        setup.actor.votes = true;
        lead(&world, "all", &(0..usize::from(pid)).collect::<Vec<_>>());
        servers.push(world.start(setup));
        world.advance(SECOND / 10);
    }
    let waited = world.advance_until(LOOKUP_INTERVAL, |world| {
        servers
            .iter()
            .all(|server| !world.trace(*server, "report joined").is_empty())
    });
    assert!(waited < 3 * LOOKUP_INTERVAL_JOINING, "{waited:?}");
}

#[test]
fn a_join_does_not_wait_for_itself_or_for_another_cluster() {
    for (other_cluster, addresses) in [(false, vec![0]), (true, vec![0, 1])] {
        let mut world = World::new();
        lead(&world, "all", &addresses);
        let server = world.start(joining(1));
        let mut setup = Setup::new(2);
        setup.actor.cluster = "other".parse().unwrap();
        if other_cluster {
            world.start(setup);
        }
        world.advance(SECOND);
        assert_eq!(world.status(server).standing, Standing::Serving);
        // Where a peer must answer, this is not an answer.
        let mut requiring = joining(1);
        requiring.actor.join_mode = JoinMode::Require;
        let mut world = World::with(requiring);
        lead(&world, "all", &[0]);
        world.advance(2 * JOIN_TIMEOUT_DEFAULT);
        assert_eq!(world.status(0).standing, Standing::Joining);
    }
}

/// How long a server waits that asks the servers behind the name "all" first. Server 0 is up, nobody is at 7, and nothing
/// comes back from 8.
fn join_takes(addresses: &[usize]) -> Duration {
    let mut world = cluster(&[&[]]);
    world.net().routes.insert(address(8), Route::Hangs);
    lead(&world, "all", addresses);
    let server = world.start(joining(2));
    let waited = world.advance_until(2 * JOIN_TIMEOUT_DEFAULT, |world| {
        !world.trace(server, "report joined").is_empty()
    });
    assert_eq!(world.status(server).standing, Standing::Serving);
    waited
}

#[test]
fn a_start_waits_for_a_dead_peer_only_a_moment_longer_than_for_the_others() {
    let all_up = join_takes(&[0]);
    assert!(all_up < 5 * ROUND_TRIP, "{all_up:?}");
    // Where nobody is, that is known as soon as an answer can be there.
    let waited = join_takes(&[0, 7]);
    assert!(waited <= all_up + ROUND_TRIP, "{waited:?}");
    for addresses in [[0, 8], [8, 0]] {
        let waited = join_takes(&addresses);
        let most = all_up + ATTEMPT_DELAY + JOIN_WAIT;
        assert!(JOIN_WAIT < waited && waited <= most, "{waited:?}");
    }
}

#[test]
fn a_start_waits_for_all_peers_that_say_nothing_and_hardly_for_those_that_are_not_there() {
    assert_eq!(join_takes(&[8]), JOIN_TIMEOUT_DEFAULT);
    assert_eq!(join_takes(&[7, 8]), JOIN_TIMEOUT_DEFAULT);
    let waited = join_takes(&[7]);
    assert!(
        JOIN_WAIT <= waited && waited <= JOIN_WAIT + ROUND_TRIP,
        "{waited:?}"
    );
    // The name itself may be known later.
    assert_eq!(join_takes(&[]), JOIN_TIMEOUT_DEFAULT);
}

#[test]
fn the_log_says_how_many_peers_have_answered_and_nothing_of_oneself() {
    for (addresses, says) in [
        (
            &[7][..],
            "asked the peers, 0 of 1 answered: handing out identities, though nobody could object",
        ),
        (
            &[1, 7],
            "asked the peers, 0 of 1 answered: handing out identities, though nobody could object",
        ),
        (
            &[1, 0],
            "asked the peers, 1 of 1 answered: handing out identities",
        ),
        (
            &[1],
            "--peer names only this server itself: handing out identities",
        ),
    ] {
        keep_log_lines();
        let mut world = cluster(&[&[]]);
        lead(&world, "all", addresses);
        world.start(joining(2));
        world.advance(2 * JOIN_TIMEOUT_DEFAULT);
        let lines = take_log_lines();
        assert!(lines.iter().any(|line| line.starts_with(says)), "{lines:?}");
        assert!(
            !lines.iter().any(|line| line.contains("refused peer")),
            "{lines:?}"
        );
        let down = lines.iter().filter(|line| line.contains("is down"));
        assert_eq!(
            down.count(),
            usize::from(addresses.contains(&7)),
            "{lines:?}"
        );
    }
}

#[test]
fn a_slow_lookup_and_a_slow_dial_are_waited_for() {
    let mut world = cluster(&[&[]]);
    hand_out(&mut world, 0, 700);
    lead(&world, "all", &[0]);
    let server = world.start(joining(2));
    world.node(server).lookup_delay = LOOKUP_SLOW;
    // The first attempt is lost.
    world.net().routes.insert(address(0), Route::Hangs);
    world.advance(LOOKUP_SLOW + DIAL_TIMEOUT / 2);
    world.net().routes.clear();
    assert_eq!(next_of(&mut world, server), 701);
}

#[test]
fn a_peer_that_comes_while_nobody_is_there_is_waited_for() {
    let mut world = World::new();
    let stage = SocketAddr::from(STAGE);
    let mut setup = Setup::new(1).peers(&[&stage.to_string()]);
    setup.actor.joins = true;
    let server = world.start(setup);
    world.advance(JOIN_WAIT / 2);
    world.listen(stage);
    let (_, peer) = next_attempt(&mut world, stage);
    // It takes its time, as it does when it asks another life first.
    world.advance(PROBE_TIMEOUT);
    assert_eq!(world.status(server).standing, Standing::Joining);
    peer.send_message(&Message::SyncReply(hello(2, 5)));
    world.advance(SECOND);
    assert_eq!(world.trace(server, "> send peer=0 syncRequest").len(), 2);
}

/// A server that names nobody and asks what it remembers.
fn remembering(pid: u16, servers: &[usize]) -> Setup {
    let mut setup = Setup::new(pid);
    let addresses = servers.iter().map(|server| address(*server).to_string());
    setup.remembered = addresses.collect();
    setup.actor.joins = true;
    setup
}

#[test]
fn a_start_asks_those_that_it_remembers_and_hangs_up_when_they_know_that_it_serves() {
    let mut world = cluster(&[&[], &[]]);
    hand_out(&mut world, 1, 700);
    // Nobody is at the third address any more.
    let server = world.start(remembering(3, &[0, 1, 7]));
    assert_eq!(next_of(&mut world, server), 701);
    assert_eq!(
        world.trace(server, "report joined"),
        ["> report joined answered=2"]
    );
    world.advance(60 * SECOND);
    assert_eq!(world.status(server).peers, []);
    assert_eq!(world.status(0).peers, []);
    assert_eq!(world.trace(server, "peerConnected").len(), 2);
    assert_eq!(world.trace(server, "peerForgotten").len(), 3);
    // The last thing that each of them was told is that it serves.
    for other in [0, 1] {
        let asked = world.trace(other, "syncRequest");
        assert!(asked.last().unwrap().contains("stage=serves"), "{asked:?}");
    }
}

#[test]
fn a_server_that_is_named_and_remembered_is_asked_as_a_named_one() {
    let mut world = cluster(&[&[]]);
    lead(&world, "all", &[0]);
    let mut setup = remembering(2, &[0]);
    setup.peers = vec!["all:3264".to_owned()];
    let server = world.start(setup);
    world.advance(60 * SECOND);
    assert_eq!(
        world.trace(server, "report joined"),
        ["> report joined answered=1"]
    );
    assert_eq!(peers_up(&mut world, server), [1]);
    assert_eq!(world.trace(server, "peerConnected").len(), 1);
}

#[test]
fn an_incumbent_without_a_link_is_dialed_where_it_has_said_that_it_can_be() {
    for is_up in [true, false] {
        let two = Pid::new(2).unwrap();
        let mut judge = Setup::new(1);
        judge.actor.remembered = vec![Remembered {
            incarnation: 202,
            boot: 1,
            session: 102,
            address: Some(address(1).to_string().into()),
            ..Remembered::new(two, Sequence::ZERO)
        }];
        let mut world = World::with(judge);
        if is_up {
            world.start(Setup::new(2));
        } else {
            world.start(Setup::new(9));
            world.kill(1);
        }
        // The next start of the same directory.
        let mut newcomer = Setup::new(2).peers(&[&address(0).to_string()]);
        newcomer.actor.joins = true;
        (newcomer.actor.boot, newcomer.actor.session) = (2, 999);
        let newcomer = world.start(newcomer);
        world.advance(PROBE_TIMEOUT + SECOND);
        assert_eq!(world.trace(0, "> dialOnce").len(), 1);
        let gave_up = world.trace(newcomer, "> report gaveUp").len();
        assert_eq!(gave_up, usize::from(is_up));
        assert_eq!(
            world.trace(newcomer, "report joined").len(),
            usize::from(!is_up)
        );
        // It is not dialed again.
        world.advance(60 * SECOND);
        let reached = world.trace(0, "peerConnected").len();
        assert_eq!(reached, usize::from(is_up));
        assert_eq!(world.trace(0, "peerForgotten").len(), 1);
    }
}

#[test]
fn another_address_of_a_server_is_kept_in_reserve() {
    let both = [[10, 9, 9, 1], [10, 9, 9, 2]].map(|ip| SocketAddr::from((ip, 3264)));
    let mut world = World::new();
    both.iter().for_each(|address| world.listen(*address));
    world.net().names.insert("twice".to_owned(), both.to_vec());
    world.start(Setup::new(1).peers(&["twice:3264"]));
    let mut links = both.map(|address| {
        let (_, peer) = next_attempt(&mut world, address);
        peer.send_message(&Message::SyncReply(hello(2, 5)));
        world.drive();
        peer
    });
    world.advance(PEER_SILENCE_MIN - SECOND);
    links.iter_mut().for_each(|link| drop(link.replies()));
    assert!(!links[0].has_ended() && links[1].has_ended());
    assert!(world.accept(both[1]).is_none(), "it is not dialed again");
    assert_eq!(world.status(0).peers.len(), 1);
    let [first, _] = links;
    first.reset();
    world.drive();
    let (waited, again) = next_attempt(&mut world, both[1]);
    assert_eq!(waited, Duration::ZERO);
    again.send_message(&Message::SyncReply(hello(2, 6)));
    world.drive();
    assert_eq!(peers_up(&mut world, 0), [2]);
}

#[test]
fn a_name_without_an_address_is_tried_again() {
    let mut world = World::new();
    world.net().names.insert("empty".to_owned(), Vec::new());
    world.start(Setup::new(1).peers(&["empty:1"]));
    world.advance(10 * SECOND);
    assert!(world.node(0).lookups.len() > 5);
    assert_eq!(peer_state(&mut world, 0), PeerState::Down);
}

#[test]
fn an_attempt_that_hangs_is_given_up_and_repeated() {
    let (mut world, stage) = stage();
    drop(world.accept(stage).unwrap());
    world.net().routes.insert(stage, Route::Hangs);
    world.advance(2 * SECOND);
    assert_eq!(peer_state(&mut world, 0), PeerState::Connecting);
    world.net().routes.clear();
    let (waited, _) = next_attempt(&mut world, stage);
    assert!(waited <= DIAL_TIMEOUT + SECOND, "{waited:?}");
}

#[test]
fn a_dead_peer_does_not_keep_the_server_busy() {
    let mut world = cluster(&[&[1]]);
    world.advance(60 * SECOND);
    let turns = world.turns(0);
    world.advance(600 * SECOND);
    // The wait is at least half of the longest one, and each attempt takes a few turns.
    let bound = 4 * 600 / (BACKOFF_MAX.as_secs() / 2);
    assert!(
        world.turns(0) - turns <= bound,
        "{}",
        world.turns(0) - turns
    );
}

// Peers that misbehave.

#[test]
fn a_silent_peer_is_hung_up_on_and_dialed_again() {
    let (mut world, stage) = stage();
    let mut silent = world.accept(stage).unwrap();
    let hung_up = world.advance_until(10 * SECOND, |_| {
        silent.replies();
        silent.has_ended()
    });
    assert!(hung_up >= PEER_SILENCE_MIN && hung_up <= PEER_SILENCE_MIN + SECOND);
    assert_eq!(world.trace(0, "> hangUp").len(), 1);
    let (waited, mut again) = next_attempt(&mut world, stage);
    assert!(waited <= BACKOFF_MIN);
    world.drive();
    assert!(matches!(again.replies()[..], [Message::SyncRequest(_)]));
    again.send_message(&Message::SyncReply(hello(2, 50)));
    world.drive();
    assert_eq!(peer_state(&mut world, 0), PeerState::Up);
    assert_eq!(sequence(&mut world, 0), 50);
}

#[test]
fn a_peer_of_another_cluster_is_left_alone_for_a_long_time() {
    let mut world = World::new();
    let mut foreign = Setup::new(1).peers(&[&address(1).to_string()]);
    foreign.actor.cluster = "other".parse().unwrap();
    world.start(foreign);
    world.start(Setup::new(2));
    world.advance(SECOND);
    assert_eq!(peer_state(&mut world, 0), PeerState::Refused);
    assert_eq!(world.trace(1, "> report refused").len(), 1);
    world.advance(BACKOFF_REFUSED - 2 * SECOND);
    assert_eq!(world.trace(0, "peerConnected").len(), 1);
    world.advance(2 * SECOND);
    assert_eq!(world.trace(0, "peerConnected").len(), 2);
}

#[test]
fn a_refusal_and_the_end_of_the_connection_may_come_together() {
    // Before it was asked, after it was asked, and with the connection cut.
    for (asked, cut) in [(false, false), (true, false), (true, true)] {
        let (mut world, stage) = stage();
        drop(world.accept(stage).unwrap());
        world.drive();
        let peer = next_dial(&mut world, stage);
        if asked {
            world.drive();
        }
        peer.send_message(&error(ErrorCode::ForeignCluster));
        if cut {
            peer.reset();
        } else {
            peer.finish();
        }
        world.drive();
        assert_eq!(
            peer_state(&mut world, 0),
            PeerState::Refused,
            "asked: {asked}, cut: {cut}"
        );
    }
}

#[test]
fn a_peer_that_answers_wrongly_is_refused() {
    let mut foreign = hello(2, 5);
    foreign.cluster = "other".parse().unwrap();
    for answer in [foreign, hello(1, 5)] {
        let (mut world, stage) = stage();
        let mut peer = world.accept(stage).unwrap();
        peer.send_message(&Message::SyncReply(answer));
        world.drive();
        peer.replies();
        assert!(peer.has_ended());
        assert_eq!(peer_state(&mut world, 0), PeerState::Refused);
        assert_eq!(sequence(&mut world, 0), 0);
        let (waited, _) = next_attempt(&mut world, stage);
        assert_eq!(waited, BACKOFF_REFUSED);
    }
}

#[test]
fn a_peer_that_answers_with_a_malformed_frame_is_closed_and_dialed_again() {
    let (mut world, stage) = stage();
    for _ in 0..5 {
        let (_, mut peer) = next_attempt(&mut world, stage);
        peer.send(b"SSH-2.0-OpenSSH");
        world.drive();
        peer.replies();
        assert!(peer.has_ended());
        assert_eq!(peer_state(&mut world, 0), PeerState::Down);
    }
}

#[test]
fn a_peer_that_closes_at_once_is_dialed_with_growing_waits() {
    let (mut world, stage) = stage();
    let start = world.now();
    for _ in 0..12 {
        let (_, peer) = next_attempt(&mut world, stage);
        drop(peer);
        world.drive();
    }
    assert!(world.now().since(start) > 3 * BACKOFF_MAX);
}

#[test]
fn a_peer_that_answers_and_closes_at_once_is_heard_and_then_down() {
    let (mut world, stage) = stage();
    let peer = world.accept(stage).unwrap();
    peer.send_message(&Message::SyncReply(hello(2, 70)));
    peer.finish();
    world.drive();
    assert_eq!(peer_state(&mut world, 0), PeerState::Down);
    assert_eq!(sequence(&mut world, 0), 70);
}

#[test]
fn a_peer_that_answered_is_dialed_again_soon_even_after_a_long_outage() {
    let mut world = cluster(&[&[1], &[]]);
    world.advance(SECOND);
    world.kill(1);
    world.advance(60 * SECOND);
    world.restart(1);
    world.advance(BACKOFF_MAX + SECOND);
    assert_eq!(peer_state(&mut world, 0), PeerState::Up);
    world.kill(1);
    world.restart(1);
    world.advance(DELAY + BACKOFF_MIN + 3 * ROUND_TRIP);
    assert_eq!(peer_state(&mut world, 0), PeerState::Up);
}

#[test]
fn a_refused_round_does_not_close_the_connection() {
    let (mut world, stage) = stage();
    let mut peer = world.accept(stage).unwrap();
    peer.send_message(&error(ErrorCode::AdvanceTooLarge));
    world.advance(3 * SECOND);
    assert!(!peer.has_ended());
    assert_eq!(peer.replies().len(), 2, "the first round and the next");
    assert_eq!(world.trace(0, "> report roundRefused").len(), 1);
}

#[test]
fn a_server_that_names_itself_goes_on_alone() {
    let mut world = cluster(&[&[0]]);
    world.advance(10 * SECOND);
    assert_eq!(world.status(0).peers, [], "it is no peer of itself");
    hand_out(&mut world, 0, 3);
    assert_eq!(sequence(&mut world, 0), 3);
}

#[test]
fn a_peer_that_connected_is_forgotten_when_it_is_gone() {
    let mut world = cluster(&[&[], &[0]]);
    world.advance(2 * SECOND);
    assert_eq!(world.status(0).peers.len(), 1);
    world.kill(1);
    world.advance(SECOND);
    assert_eq!(world.status(0).peers.len(), 0);
    let gone = world.trace(0, "peerDisconnected");
    assert_eq!(gone.len(), 1, "{gone:?}");
}

#[test]
fn a_peer_that_is_gone_before_its_request_is_handled_leaves_no_link_behind() {
    let mut world = World::with(Setup::new(1));
    let peer = world.connect(0);
    world.drive();
    // One poll brings both: the connection fails while the request is in the mailbox.
    peer.send_message(&Message::SyncRequest(hello(2, 7)));
    peer.reset();
    world.drive();
    assert_eq!(world.trace(0, "syncRequest").len(), 1);
    assert_eq!(world.trace(0, "peerDisconnected").len(), 1);
    let status = world.status(0);
    assert_eq!(status.peers, []);
    assert_eq!(status.sequence, 7, "what it said still counts");
}

#[test]
fn many_waiting_clients_do_not_delay_an_objection() {
    let stage = SocketAddr::from(STAGE);
    let mut world = World::new();
    world.listen(stage);
    let mut setup = Setup::new(1).peers(&[&stage.to_string()]);
    setup.actor.joins = true;
    let session = setup.actor.session;
    let server = world.start(setup);
    world.drive();
    let peer = world.accept(stage).unwrap();
    // More than the gate lets in flight, and all of them wait for the peer.
    let clients = FRAMES_IN_FLIGHT_MAX / FRAMES_PER_CONNECTION_MAX + 4;
    let mut crowd: Vec<_> = (0..clients)
        .map(|_| {
            let client = world.connect(server);
            client.ask(FRAMES_PER_CONNECTION_MAX);
            client
        })
        .collect();
    world.drive();
    assert!(crowd.iter_mut().all(|client| client.replies().is_empty()));
    let objection = Objection {
        pid: Pid::new(1).unwrap(),
        session,
        code: ErrorCode::StaleState.get(),
        sequence: 9,
        message: "no".to_owned(),
    };
    peer.send_message(&Message::Objection(Box::new(objection)));
    world.drive();
    // No time has passed, so it was the objection that ended their wait.
    for client in &mut crowd {
        let replies = client.replies();
        let is_error = |reply: &Message| matches!(reply, Message::ErrorReply(_));
        assert!(!replies.is_empty() && replies.iter().all(is_error));
    }
    assert_eq!(world.status(server).standing, Standing::Stale);
}

#[test]
fn the_status_of_a_peer_that_is_down_shows_what_it_said_last() {
    let mut world = World::new();
    world.start(Setup::new(1).peers(&[&address(1).to_string()]));
    let other = world.start(Setup::new(2));
    world.advance(SECOND);
    hand_out(&mut world, other, 7);
    world.advance(2 * SECOND);
    world.kill(other);
    world.advance(SECOND);
    let peer = &world.status(0).peers[0];
    assert_eq!((peer.state, peer.pid), (PeerState::Down, Pid::new(2)));
    assert_eq!(peer.sequence, 7);
    assert!(peer.last_heard_ms.is_some_and(|ms| ms >= 1000));
}

/// How something comes behind the question of a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    /// Together with the question.
    Together,
    /// Later, in two pieces.
    Later,
    /// Later, in two pieces. It has asked before, when there was nobody else.
    AsKnown,
}

const BEHIND: [Behind; 3] = [Behind::Together, Behind::Later, Behind::AsKnown];

/// A life of pid 7 that joins beside one that serves, and waits until that one is asked. Returns both connections, that of the newcomer last.
fn joins_beside_another(behind: &Message, how: Behind) -> (World, Client, Client) {
    let comes_at_once = how == Behind::Together;
    let mut world = World::with(Setup::new(1));
    let [mut serves, mut joins] = [1, 2].map(|boot| SyncMessage {
        boot,
        session: boot,
        ..*hello(7, 0)
    });
    serves.told.stage = Stage::Serves;
    joins.told.stage = Stage::Joins;
    let incumbent = world.connect(0);
    let mut newcomer = world.connect(0);
    if how == Behind::AsKnown {
        newcomer.send_message(&Message::SyncRequest(Box::new(joins.clone())));
        world.drive();
        assert_eq!(newcomer.peer_replies().len(), 1);
    }
    incumbent.send_message(&Message::SyncRequest(Box::new(serves)));
    world.drive();
    let mut bytes = Vec::new();
    encode(&Message::SyncRequest(Box::new(joins)), &mut bytes);
    if !comes_at_once {
        newcomer.send(&bytes);
        world.drive();
        bytes.clear();
    }
    encode(behind, &mut bytes);
    let (first, last) = bytes.split_at(bytes.len() - 2);
    newcomer.send(first);
    if !comes_at_once {
        world.drive();
    }
    newcomer.send(last);
    world.drive();
    assert_eq!(
        world.trace(0, "probe pid=7 session=0000000000000001").len(),
        1
    );
    (world, incumbent, newcomer)
}

/// Its claim would stay where it is not heard, and be in the way of its next start.
#[test]
fn a_life_that_waits_for_its_answer_can_say_that_it_is_over() {
    let goodbye = Message::Goodbye(Goodbye {
        pid: Pid::new(7).unwrap(),
        session: 2,
        served: false,
    });
    for how in BEHIND {
        let (world, _incumbent, mut newcomer) = joins_beside_another(&goodbye, how);
        assert_eq!(world.trace(0, "goodbye connection=1.1").len(), 1);
        assert_eq!(newcomer.codes(), [ErrorCode::HeldByAnother.get()]);
    }
}

#[test]
fn a_request_behind_that_of_a_newcomer_waits_until_that_is_answered() {
    let request = Message::IdentityRequest { count: 1, after: 0 };
    for how in BEHIND {
        let (mut world, incumbent, mut newcomer) = joins_beside_another(&request, how);
        world.advance(PROBE_TIMEOUT / 2);
        assert_eq!(world.trace(0, "identityRequest").len(), 0);
        assert_eq!(newcomer.bytes(), [0u8; 0]);
        drop(incumbent);
        world.advance(PROBE_TIMEOUT);
        assert_eq!(world.trace(0, "identityRequest").len(), 1);
    }
}

/// What it may not say ends the connection, as it would without a question before it.
#[test]
fn what_a_newcomer_may_not_send_is_refused_behind_its_answer() {
    let wrong = Message::IdentityReply { first: 1, count: 1 };
    for how in BEHIND {
        let (mut world, incumbent, mut newcomer) = joins_beside_another(&wrong, how);
        assert_eq!(newcomer.bytes(), [0u8; 0]);
        drop(incumbent);
        world.advance(PROBE_TIMEOUT);
        let replies = newcomer.peer_replies();
        assert!(
            matches!(
                &replies[..],
                [Message::SyncReply(_), Message::ErrorReply(error)]
                    if error.code == ErrorCode::UnknownKind.get()
            ),
            "{replies:?}"
        );
        assert!(newcomer.has_ended());
    }
}
