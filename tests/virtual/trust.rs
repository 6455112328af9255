//! Who is believed to be a peer, in virtual time: strangers, peers that move, and peers that lie about their boot.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ipseity::limits::{
    BACKOFF_MAX, BACKOFF_NOT_A_PEER, LINES_SPAN, LOOKUP_AGAIN_MIN, PEER_SILENCE_MIN,
};
use ipseity_core::{
    identity::Pid,
    limits::BOOT_JUMP_MAX,
    words::{ErrorCode, LifeMarks, Message, Objection, Overrule, PeerState, Standing, SyncMessage},
};
use ipseity_sim::config::peer_says;
use ipseity_sim::world::{
    Client, DiskMode, Route, Setup, World, address, keep_log_lines, take_log_lines,
};

const SECOND: Duration = Duration::from_secs(1);
const NOT_A_PEER: u16 = ErrorCode::NotAPeer.get();
const BOOT_TOO_FAR: u16 = ErrorCode::BootTooFar.get();

/// A server of pid 1 with a disk, which believes only those whom it names.
fn careful(peers: &[&str]) -> Setup {
    let disk = DiskMode::Takes(Duration::from_millis(1));
    Setup::new(1)
        .believes_nobody()
        .peers(peers)
        .disk(disk, 1000)
}

/// What a server with this pid may say of itself.
fn sync(pid: u16) -> SyncMessage {
    SyncMessage {
        sequence: 500,
        ..peer_says(Pid::new(pid).unwrap())
    }
}

fn request(sync: SyncMessage) -> Message {
    Message::SyncRequest(Box::new(sync))
}

/// The codes of what comes back for this message, and whether the connection ends with it.
fn codes_for(world: &mut World, mut from: Client, message: &Message) -> (Vec<u16>, bool) {
    from.send_message(message);
    world.drive();
    let codes = from.peer_replies().into_iter().map(|reply| match reply {
        Message::ErrorReply(error) => error.code,
        _ => 0,
    });
    (codes.collect(), from.has_ended())
}

#[test]
fn whatever_a_stranger_says_as_a_peer_is_refused_and_leaves_no_trace() {
    let mut world = World::with(careful(&[]));
    let status = world.status(0);
    assert_eq!(status.life(), None, "a stranger cannot know its session");
    let own_session = careful(&[]).actor.session;
    // A frame of 62 bytes in the name of the server's own pid would stop it for good.
    let twin = request(sync(1));
    let other = request(sync(2));
    let objection = Message::Objection(Box::new(Objection::new(
        status.pid,
        own_session,
        ErrorCode::StaleState,
        9,
        "stop",
    )));
    let overrule = Message::Overrule(Box::new(Overrule {
        pid: Pid::new(2).unwrap(),
        incarnation: 7,
        session: 7,
        above: 600,
    }));
    for said in [twin, other, objection, overrule] {
        let stranger = world.connect(0);
        let refused = codes_for(&mut world, stranger, &said);
        assert_eq!(refused, (vec![NOT_A_PEER], true), "{said:?}");
    }
    world.advance(SECOND);
    let status = world.status(0);
    assert_eq!((status.standing, status.sequence), (Standing::Serving, 0));
    assert_eq!((status.peers_total, status.counters.absorbed), (0, 0));
    assert_eq!(world.node(0).saves, 0);
    assert_eq!(world.trace(0, "syncRequest"), Vec::<String>::new());
}

#[test]
fn a_stranger_cannot_claim_the_pids_that_nobody_uses() {
    let mut world = World::with(careful(&[]));
    for pid in (0..=1023).filter(|pid| *pid != 1) {
        let stranger = world.connect(0);
        let refused = codes_for(&mut world, stranger, &request(sync(pid)));
        assert_eq!(refused, (vec![NOT_A_PEER], true), "{pid}");
    }
    let mut client = world.connect(0);
    client.send_message(&Message::MembersRequest { from: Pid::MIN });
    world.drive();
    match &client.replies()[..] {
        [Message::MembersReply(members)] => assert_eq!(members.total, 0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_that_a_stranger_sends_behind_its_claim_is_looked_at() {
    let mut world = World::with(careful(&[]));
    let mut stranger = world.connect(0);
    stranger.ask(1);
    stranger.send_message(&request(sync(2)));
    stranger.ask(1);
    world.drive();
    assert_eq!(stranger.codes(), [0, NOT_A_PEER]);
    assert!(stranger.has_ended());
    assert_eq!(world.status(0).counters.identities, 1);
}

#[test]
fn a_server_that_names_nobody_serves_and_says_once_a_minute_whom_it_refuses() {
    let mut world = World::with(careful(&[]));
    keep_log_lines();
    let peer = world.start(Setup::new(2).peers(&[&address(0).to_string()]));
    world.advance(LINES_SPAN - SECOND);
    let ip = address(peer).ip();
    let (refused, others): (Vec<String>, Vec<String>) = take_log_lines()
        .into_iter()
        .partition(|line| line.starts_with("refused "));
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0].starts_with(&format!("refused {ip}:")),
        "{refused:?}"
    );
    assert!(refused[0].contains("--peer-from"), "{refused:?}");
    // The other one says once why its peer is down.
    let down = others
        .iter()
        .filter(|line| line.contains("is down: it refuses this server"));
    assert_eq!(down.count(), 1, "{others:?}");
    for server in [0, peer] {
        assert_eq!(world.status(server).standing, Standing::Serving);
    }
    assert_eq!(world.status(peer).peers[0].state, PeerState::Refused);
    world.advance(2 * SECOND);
    let lines = take_log_lines();
    assert!(
        lines.iter().any(|line| line.starts_with("refused ")),
        "{lines:?}"
    );
}

#[test]
fn who_is_told_that_it_is_not_known_asks_again_after_about_a_second() {
    let mut world = World::with(careful(&[]));
    world.start(Setup::new(2).peers(&[&address(0).to_string()]));
    let attempts = |world: &mut World| {
        let errors = world.status(0).counters.errors;
        errors
            .iter()
            .find(|(code, _)| *code == NOT_A_PEER)
            .map_or(0, |(_, count)| *count)
    };
    world.advance(SECOND);
    let before = attempts(&mut world);
    let span = 20;
    world.advance(span * SECOND);
    let made = attempts(&mut world) - before;
    // Chance always says zero here, so it waits the shortest time.
    let most = (span * SECOND).div_duration_f64(BACKOFF_NOT_A_PEER / 2) as u64;
    assert!((u64::from(span)..=most).contains(&made), "{made}");
}

#[test]
fn the_addresses_that_are_named_in_place_of_names_are_believed_from_the_beginning() {
    let peer = SocketAddr::from(([10, 0, 0, 2], 3264));
    let mut world = World::new();
    // The server cannot have dialed it yet.
    world.net().routes.insert(peer, Route::Unreachable);
    world.start(careful(&[&peer.to_string()]));
    let named = world.connect_from(0, peer.ip());
    let (codes, _) = codes_for(&mut world, named, &request(sync(2)));
    assert_eq!(codes, [0]);
}

#[test]
fn a_connection_that_the_server_has_made_itself_is_believed_wherever_its_name_leads_now() {
    let mut world = World::new();
    let name = "peer.test".to_owned();
    world.net().names.insert(name.clone(), vec![address(1)]);
    world.start(careful(&["peer.test:3264"]));
    let peer = world.start(Setup::new(2));
    world.advance(BACKOFF_MAX);
    assert_eq!(world.status(0).peers[0].state, PeerState::Up);
    let elsewhere = SocketAddr::from(([10, 9, 9, 9], 3264));
    world.net().names.insert(name, vec![elsewhere]);
    let stranger = world.connect(0);
    codes_for(&mut world, stranger, &request(sync(3)));
    // From its address nobody else is believed any more, but the connection to it goes on.
    let other = world.connect_from(0, address(1).ip());
    assert_eq!(
        codes_for(&mut world, other, &request(sync(3))).0,
        [NOT_A_PEER]
    );
    let mut client = world.connect(peer);
    client.ask(5);
    world.advance(2 * SECOND);
    assert_eq!(client.sequences().len(), 5);
    assert_eq!(world.status(0).sequence, 5);
}

// Names and lookups.

/// A server that names `peer.test`, whose dials lead nowhere, and the number of lookups so far.
fn with_a_name() -> World {
    let mut world = World::new();
    let nowhere = SocketAddr::from(([10, 9, 9, 9], 3264));
    world.net().routes.insert(nowhere, Route::Hangs);
    world
        .net()
        .names
        .insert("peer.test".to_owned(), vec![nowhere]);
    world.start(careful(&["peer.test:3264"]));
    world.drive();
    assert_eq!(world.node(0).lookups.len(), 1);
    world
}

#[test]
fn an_unknown_address_causes_a_lookup_but_not_more_than_one_a_second() {
    let mut world = with_a_name();
    let claim = |world: &mut World| {
        for _ in 0..20 {
            let stranger = world.connect(0);
            let (codes, _) = codes_for(world, stranger, &request(sync(2)));
            assert_eq!(codes, [NOT_A_PEER]);
        }
    };
    claim(&mut world);
    assert_eq!(world.node(0).lookups.len(), 2);
    world.advance(LOOKUP_AGAIN_MIN / 2);
    claim(&mut world);
    assert_eq!(world.node(0).lookups.len(), 2);
    world.advance(LOOKUP_AGAIN_MIN / 2);
    claim(&mut world);
    assert_eq!(world.node(0).lookups.len(), 3);
    // A client that asks for identities causes none.
    world.advance(LOOKUP_AGAIN_MIN);
    let mut client = world.connect(0);
    client.ask(1);
    world.drive();
    assert_eq!(client.sequences(), [1]);
    assert_eq!(world.node(0).lookups.len(), 3);
}

#[test]
fn no_second_lookup_of_a_name_begins_while_one_is_under_way() {
    let mut world = with_a_name();
    world.node(0).lookup_delay = 20 * SECOND;
    for _ in 0..10 {
        let stranger = world.connect(0);
        codes_for(&mut world, stranger, &request(sync(2)));
        // Its own attempts to dial also want one.
        world.advance(SECOND);
    }
    assert_eq!(world.node(0).lookups.len(), 2);
}

#[test]
fn a_peer_that_has_moved_is_believed_about_a_second_later() {
    let mut world = with_a_name();
    let name = "peer.test".to_owned();
    world.net().names.insert(name.clone(), vec![address(1)]);
    // The attempt to dial the old address is under way for a while, so this server does not find the peer by itself.
    let peer = world.start(Setup::new(2).peers(&[&address(0).to_string()]));
    world.drive();
    assert_eq!(world.status(peer).peers[0].state, PeerState::Refused);
    world.advance(BACKOFF_NOT_A_PEER);
    assert_eq!(world.status(peer).peers[0].state, PeerState::Up);
    // The address that it had before is not believed any more.
    let old = world.connect_from(0, [10, 9, 9, 9].into());
    let (codes, _) = codes_for(&mut world, old, &request(sync(3)));
    assert_eq!(codes, [NOT_A_PEER]);
    // A name that cannot be looked up keeps the addresses that it had.
    world.net().names.clear();
    world.advance(LOOKUP_AGAIN_MIN);
    let stranger = world.connect(0);
    codes_for(&mut world, stranger, &request(sync(3)));
    world.advance(SECOND);
    let same = world.connect_from(0, address(1).ip());
    let (codes, _) = codes_for(&mut world, same, &request(sync(4)));
    assert_eq!(codes, [0]);
}

#[test]
fn all_addresses_of_a_name_are_believed_and_a_server_meets_itself_among_them() {
    let mut world = World::new();
    let all = (0..3).map(address).collect();
    world.net().names.insert("all.test".to_owned(), all);
    for pid in 1..=3 {
        let disk = DiskMode::Takes(Duration::from_millis(1));
        let setup = Setup::new(pid).believes_nobody().disk(disk, 1000);
        world.start(setup.peers(&["all.test:3264"]));
    }
    world.advance(BACKOFF_MAX);
    for server in 0..3 {
        let status = world.status(server);
        let states = status.peers.iter().map(|peer| peer.state);
        assert_eq!(states.collect::<Vec<_>>(), [PeerState::Up; 2], "{status:?}");
        let refused = status.counters.errors.iter();
        let refused = refused.filter(|(code, _)| *code == NOT_A_PEER);
        assert_eq!(refused.count(), 0, "{status:?}");
    }
    let stranger = world.connect(0);
    assert_eq!(
        codes_for(&mut world, stranger, &request(sync(9))).0,
        [NOT_A_PEER]
    );
}

#[test]
fn a_full_server_still_looks_names_up_for_a_peer_that_has_moved() {
    let mut world = World::new();
    let mut setup = careful(&["peer.test:3264"]);
    setup.limits.connections_max = 1;
    world.start(setup);
    let _regular = world.connect(0);
    world.drive();
    let before = world.node(0).lookups.len();
    let moved = world.connect(0);
    let (codes, has_ended) = codes_for(&mut world, moved, &request(sync(2)));
    assert_eq!((codes, has_ended), (vec![NOT_A_PEER], true));
    assert_eq!(world.node(0).lookups.len(), before + 1);
    // Anybody else is told that there is no place.
    let mut client = world.connect(0);
    client.ask(1);
    world.drive();
    assert_eq!(client.codes(), [ErrorCode::TooManyConnections.get()]);
}

// Loopback, operators, and what is shown.

fn lives_shown(world: &mut World, mut client: Client) -> [Option<LifeMarks>; 2] {
    client.send_message(&Message::StatusRequest);
    client.send_message(&Message::MembersRequest { from: Pid::MIN });
    world.drive();
    match &client.replies()[..] {
        [Message::StatusReply(status), Message::MembersReply(members)] => {
            [status.life(), members.members[0].life()]
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn lives_are_shown_to_peers_and_operators_only() {
    let mut setup = careful(&[]);
    setup.limits.trust.peers = vec!["10.1.0.0/16".parse().unwrap()];
    setup.limits.trust.operators = vec!["10.2.0.0/16".parse().unwrap()];
    let mut world = World::with(setup);
    let peer = world.connect_from(0, [10, 1, 0, 1].into());
    assert_eq!(codes_for(&mut world, peer, &request(sync(2))).0, [0]);
    for (ip, are_shown) in [
        ([127, 0, 0, 1], true),
        ([10, 1, 0, 9], true),
        ([10, 2, 0, 9], true),
        ([10, 3, 0, 9], false),
    ] {
        let client = world.connect_from(0, ip.into());
        let [own, other] = lives_shown(&mut world, client);
        let expected = LifeMarks {
            incarnation: 7,
            boot: 1,
            session: 7,
        };
        assert_eq!(own.is_some(), are_shown, "{ip:?}");
        assert_eq!(other, Some(expected).filter(|_| are_shown), "{ip:?}");
    }
}

#[test]
fn loopback_is_like_any_other_address_where_it_is_not_trusted() {
    for (trusts, sync_code, advance_code) in [
        (true, 0, 0),
        (false, NOT_A_PEER, ErrorCode::NotTrusted.get()),
    ] {
        let mut setup = careful(&[]);
        setup.limits.trust.loopback = trusts;
        let mut world = World::with(setup);
        let loopback = || IpAddr::from([127, 0, 0, 1]);
        let mut operator = world.connect_from(0, loopback());
        operator.send_message(&Message::AdvanceRequest { above: 100 });
        world.advance(SECOND);
        assert_eq!(operator.codes(), [advance_code]);
        let client = world.connect_from(0, loopback());
        assert_eq!(
            codes_for(&mut world, client, &request(sync(2))).0,
            [sync_code]
        );
    }
}

// Boots.

/// Somebody who is believed says this, and its answer.
fn said_by_one_who_is_believed(world: &mut World, sync: SyncMessage) -> (Vec<u16>, bool) {
    let believed = world.connect_from(0, [127, 0, 0, 1].into());
    codes_for(world, believed, &request(sync))
}

#[test]
fn a_boot_that_no_server_can_have_come_to_is_refused_and_stops_nobody() {
    let mut world = World::with(careful(&[]));
    // Also in the name of the server's own pid.
    for (pid, boot) in [(2, u64::MAX), (2, BOOT_JUMP_MAX + 1), (1, u64::MAX)] {
        let claim = SyncMessage { boot, ..sync(pid) };
        let refused = said_by_one_who_is_believed(&mut world, claim);
        assert_eq!(refused, (vec![BOOT_TOO_FAR], true), "{pid} {boot}");
    }
    let status = world.status(0);
    assert_eq!((status.standing, status.sequence), (Standing::Serving, 0));
    assert_eq!(world.node(0).saves, 0);
}

/// What a liar says of the server with pid 2, of which it knows nearly everything.
fn lie(boot: u64) -> SyncMessage {
    SyncMessage {
        boot,
        incarnation: Setup::new(2).actor.incarnation,
        ..sync(2)
    }
}

#[test]
fn a_lie_about_a_boot_turns_no_later_start_away() {
    let mut world = World::with(careful(&[&address(1).to_string()]));
    let lies = |world: &mut World| {
        let answer = said_by_one_who_is_believed(world, lie(u64::MAX));
        assert_eq!(answer, (vec![BOOT_TOO_FAR], true));
    };
    lies(&mut world);
    let disk = DiskMode::Takes(Duration::from_millis(1));
    let setup = Setup::new(2).disk(disk, 1000);
    let peer = world.start(setup.peers(&[&address(0).to_string()]));
    world.advance(3 * SECOND);
    for _ in 0..2 {
        let status = world.status(peer);
        assert_eq!(status.standing, Standing::Serving, "{status:?}");
        assert_eq!(status.peers[0].state, PeerState::Up);
        lies(&mut world);
        world.kill(peer);
        world.restart(peer);
        world.advance(PEER_SILENCE_MIN);
    }
    assert_eq!(world.status(peer).standing, Standing::Serving);
}

#[test]
fn the_owners_of_other_pids_are_dialed_and_believed_until_they_own_nothing() {
    let mut world = World::new();
    let one = world.start(careful(&[]));
    let other = world.start(Setup {
        actor: ipseity_core::actor::ActorConfig {
            pid: Pid::new(2).unwrap(),
            session: 102,
            incarnation: 202,
            ..careful(&[]).actor
        },
        ..careful(&[])
    });
    let (at_one, at_other) = (address(one).to_string(), address(other).to_string());
    let states = |world: &mut World, server| {
        let peers = world.status(server).peers;
        peers.into_iter().map(|peer| peer.state).collect::<Vec<_>>()
    };
    // Each has to believe the other one.
    world.say_owners(one, &[&at_other]);
    world.advance(SECOND);
    assert_eq!(states(&mut world, one), [PeerState::Refused]);
    world.say_owners(other, &[&at_one]);
    world.advance(2 * BACKOFF_MAX);
    assert_eq!(states(&mut world, one), [PeerState::Up]);
    assert_eq!(states(&mut world, other), [PeerState::Up]);
    // They may only be cut off from the store, so what is connected stays.
    world.say_owners(one, &[]);
    world.say_owners(other, &[]);
    world.advance(2 * BACKOFF_MAX);
    assert_eq!(states(&mut world, one), [PeerState::Up]);
    world.kill(other);
    world.advance(2 * BACKOFF_MAX);
    assert_eq!(states(&mut world, one), []);
}
