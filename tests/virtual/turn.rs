//! The loop and the transport in a simulated world: edges, gates, turns, slots.

use std::{ops::RangeInclusive, time::Duration};

use ipseity::{
    limits::{
        ACCEPT_RETRY, ACCEPTS_PER_TURN_MAX, FRAMES_IN_FLIGHT_MAX, FRAMES_PER_CONNECTION_MAX,
        IDLE_MIN, LOOKS_IN_FLIGHT_MAX, READ_BYTES_MAX, RESERVE_CONNECTIONS_MAX,
        RESERVE_OPERATORS_MAX, RESERVE_UNNAMED_MAX, STATUS_PEER_BYTES_MAX, STATUS_PEERS_BYTES_MAX,
        STRANGERS_LIST_MAX, TURN_ENTRIES_MAX,
    },
    server::Exit,
};
use ipseity_core::{
    actor::Remembered,
    identity::{Pid, Sequence},
    limits::CONNECTION_SLOT_BITS,
    words::{ErrorCode, Forget, Message, Overrule, PeerState, SyncMessage},
};
use ipseity_frames::encode;
use ipseity_sim::config::peer_says;
use ipseity_sim::world::{Client, DiskMode, Setup, World, keep_log_lines, take_log_lines};

/// `EMFILE`: the process has no descriptors left.
const EMFILE: i32 = 24;

/// A world with one server and one client that is connected to it.
fn pair(setup: Setup) -> (World, Client) {
    let mut world = World::with(setup);
    let client = world.connect(0);
    world.drive();
    (world, client)
}

/// A server whose disk keeps every reply back until the test says so.
fn slow(pid: u16) -> Setup {
    Setup::new(pid).disk(DiskMode::Waits, 0)
}

/// Compares a long list of sequences with the expected range, without printing it.
#[track_caller]
fn assert_all(sequences: &[u64], expected: RangeInclusive<u64>) {
    assert_eq!(
        sequences.len() as u64,
        expected.end() + 1 - expected.start()
    );
    assert_eq!(sequences.first(), Some(expected.start()));
    assert!(sequences.windows(2).all(|pair| pair[0] + 1 == pair[1]));
}

// Order and edges.

#[test]
fn entries_are_handled_in_the_order_in_which_they_came() {
    let (mut world, mut one) = pair(Setup::new(1));
    let mut other = world.connect(0);
    world.drive();
    one.ask(2);
    other.ask(1);
    one.ask(1);
    world.signal(0);
    world.drive();
    let lines = world.trace(0, "");
    assert_eq!(
        lines[4..],
        [
            "signal",
            "readableWritable connection=0.0",
            "readableWritable connection=1.1",
            // Because of the signal, what has arrived is read.
            "readable connection=0.0",
            "readable connection=1.1",
            // It comes after everything that was there before.
            "identityRequest connection=0.0 count=1 after=0",
            "> reply connection=0.0 identityReply first=1025 count=1",
            "identityRequest connection=0.0 count=1 after=0",
            "> reply connection=0.0 identityReply first=2049 count=1",
            "identityRequest connection=0.0 count=1 after=0",
            "> reply connection=0.0 identityReply first=3073 count=1",
            "identityRequest connection=1.1 count=1 after=0",
            "> reply connection=1.1 identityReply first=4097 count=1",
            "stop",
            "> write stop sequence=4",
            "written stop",
            "> stopped",
            // Whoever still sends is waited for.
            "readable connection=0.0",
            "readable connection=1.1",
        ]
    );
    assert_eq!(world.exit(0), Some(Exit::Clean));
    assert_eq!(one.sequences(), [1, 2, 3]);
    assert_eq!(other.sequences(), [4]);
}

#[test]
fn a_trace_changes_nothing_that_a_client_sees() {
    let run = |is_traced| {
        let mut setup = Setup::new(1).disk(DiskMode::Takes(Duration::from_millis(1)), 0);
        setup.is_traced = is_traced;
        let (mut world, mut one) = pair(setup);
        let mut other = world.connect(0);
        world.drive();
        let ask = |client: &mut Client, count, after| {
            client.send_message(&Message::IdentityRequest { count, after });
        };
        // Runs of requests of one connection, interrupted by waits for the disk, by errors and by other kinds.
        for round in 0..20 {
            for count in [1, 1, 1, 100, 0, 1, 1] {
                ask(&mut one, count, 0);
            }
            ask(&mut one, 1, round << 20);
            ask(&mut one, 1, u64::MAX);
            one.send(&[0, 1, 5]);
            one.ask(30);
            ask(&mut other, 7, 0);
            world.drive();
            world.advance(Duration::from_millis(10));
        }
        one.send(&[0, 1, 99]);
        world.drive();
        (one.replies(), other.replies(), world.status(0))
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn no_edge_is_lost_when_more_bytes_follow_a_short_read() {
    let (mut world, mut client) = pair(Setup::new(1));
    for round in 1..=5 {
        client.ask(1);
        // The edge is in the mailbox or in the poll, and more arrives.
        world.step(0);
        client.ask(1);
        world.drive();
        assert_eq!(client.sequences(), [2 * round - 1, 2 * round]);
    }
}

#[test]
fn a_read_that_fills_its_buffer_goes_on_without_an_edge() {
    // Long frames, so that a read is full before their number closes a gate.
    let mut setup = Setup::new(1);
    setup.actor.cluster = "c".repeat(255).parse().unwrap();
    let question = Message::SyncRequest(Box::new(SyncMessage {
        cluster: setup.actor.cluster.clone(),
        incarnation: 1,
        session: 1,
        ..peer_says(Pid::MAX)
    }));
    let mut bytes = Vec::new();
    encode(&question, &mut bytes);
    for requests in [
        READ_BYTES_MAX / bytes.len() + 1,
        3 * READ_BYTES_MAX / bytes.len(),
    ] {
        let (mut world, mut client) = pair(setup.clone());
        client.send(&bytes.repeat(requests));
        world.drive();
        assert_eq!(client.peer_replies().len(), requests);
    }
}

#[test]
fn bytes_after_a_read_that_ends_with_an_overrule_are_read_without_an_edge() {
    let setup = Setup::new(1);
    let mut hello = Vec::new();
    let question = Message::SyncRequest(Box::new(SyncMessage {
        incarnation: 1,
        session: 1,
        ..peer_says(Pid::MAX)
    }));
    encode(&question, &mut hello);
    let mut word = Vec::new();
    let overrule = Message::Overrule(Box::new(Overrule {
        pid: Pid::MAX,
        incarnation: 1,
        session: 1,
        above: 1,
    }));
    encode(&overrule, &mut word);
    // An overrule has its turn before what follows it. It ends a read exactly: one that filled the buffer, one that
    // found a frame begun, and one that decoded only what had been kept.
    for words in [1, 2, 3, 4, 7, 100, READ_BYTES_MAX / word.len()] {
        let before = (READ_BYTES_MAX - words * word.len()) / 3;
        for off in [0, 1, 2, 3] {
            let (mut world, mut client) = pair(setup.clone());
            client.send(&hello);
            world.drive();
            assert_eq!(client.peer_replies().len(), 1);
            let behind = 10;
            let mut bytes = [0, 1, 1].repeat(before);
            bytes.extend(word.repeat(words));
            bytes.extend([0, 1, 1].repeat(behind));
            // Some of it comes first, so that the reads end elsewhere.
            client.send(&bytes[..off]);
            world.drive();
            client.send(&bytes[off..]);
            world.drive();
            assert_all(&world.collect(&mut client), 1..=(before + behind) as u64);
        }
    }
}

#[test]
fn a_frame_may_be_split_anywhere() {
    let (mut world, mut client) = pair(Setup::new(1));
    let mut bytes = Vec::new();
    let (count, after) = (1, 1);
    encode(&Message::IdentityRequest { count, after }, &mut bytes);
    bytes.extend([0, 1, 1]);
    let mut next = 1;
    for split in 1..bytes.len() {
        client.send(&bytes[..split]);
        world.drive();
        client.send(&bytes[split..]);
        world.drive();
        assert_eq!(client.sequences(), [next, next + 1], "split at {split}");
        next += 2;
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let (mut world, mut client) = pair(Setup::new(1));
    world.net().segment_bytes = 1;
    client.ask(100);
    world.advance(Duration::from_millis(1));
    assert_all(&world.collect(&mut client), 1..=100);
}

#[test]
fn replies_to_requests_that_came_together_leave_in_one_write() {
    let (mut world, mut client) = pair(Setup::new(1));
    client.ask(100);
    assert_all(&world.collect(&mut client), 1..=100);
    assert_eq!(client.pieces(), 1);
}

#[test]
fn replies_longer_than_the_socket_buffer_leave_as_it_takes_more() {
    let mut world = World::new();
    world.net().window_bytes = 100;
    world.net().send_buffer_bytes = 90;
    world.start(Setup::new(1));
    let mut client = world.connect(0);
    client.ask(500);
    assert_all(&world.collect(&mut client), 1..=500);
    assert!(client.pieces() >= 500 * 15 / 100);
}

// The gate.

#[test]
fn a_pipeline_longer_than_the_gate_is_answered_whole_and_in_order() {
    let requests = 5 * FRAMES_PER_CONNECTION_MAX + 3;
    for finish_first in [false, true] {
        let (mut world, mut client) = pair(Setup::new(1));
        client.ask(requests);
        if finish_first {
            client.finish();
        }
        world.drive();
        assert_all(&world.collect(&mut client), 1..=requests as u64);
        assert_eq!(client.has_ended(), finish_first);
    }
}

#[test]
fn an_end_that_came_while_the_gate_was_closed_is_noticed() {
    let (mut world, mut client) = pair(slow(1));
    let requests = 2 * FRAMES_PER_CONNECTION_MAX;
    client.ask(requests);
    world.drive();
    assert_eq!(client.sequences(), [0u64; 0], "they wait for the disk");
    client.finish();
    world.drive();
    world.node(0).disk.mode = DiskMode::Takes(Duration::ZERO);
    world.end_write(0, true);
    world.drive();
    assert_all(&world.collect(&mut client), 1..=requests as u64);
    assert!(client.has_ended());
    assert_eq!(
        world.status(0).connections,
        1,
        "only the one that asks for the status"
    );
}

#[test]
fn half_a_frame_before_the_end_gets_an_error_although_the_gate_was_closed() {
    let (mut world, mut client) = pair(slow(1));
    client.ask(FRAMES_PER_CONNECTION_MAX);
    client.send(&[0]);
    client.finish();
    world.drive();
    world.node(0).disk.mode = DiskMode::Takes(Duration::ZERO);
    world.end_write(0, true);
    world.drive();
    let codes = client.codes();
    assert_eq!(codes.len(), FRAMES_PER_CONNECTION_MAX + 1);
    assert_eq!(codes.last(), Some(&ErrorCode::Incomplete.get()));
    assert!(client.has_ended());
}

#[test]
fn the_gate_over_all_connections_closes_and_opens_for_everybody() {
    let mut world = World::with(slow(1));
    // Each of the first connections takes its full share, and nothing is left for the last ones.
    let full = FRAMES_IN_FLIGHT_MAX / FRAMES_PER_CONNECTION_MAX;
    let mut clients: Vec<Client> = (0..full + 3).map(|_| world.connect(0)).collect();
    world.drive();
    let requests = FRAMES_PER_CONNECTION_MAX + 5;
    for client in &clients {
        client.ask(requests);
        world.drive();
    }
    let turns = world.turns(0);
    world.advance(Duration::from_secs(1));
    assert!(
        world.turns(0) < turns + 5,
        "a closed gate keeps nobody busy"
    );
    let decided = world.trace(0, "identityRequest").len();
    assert_eq!(decided, FRAMES_IN_FLIGHT_MAX, "no frame more is decoded");
    for client in &clients {
        client.finish();
    }
    world.node(0).disk.mode = DiskMode::Takes(Duration::ZERO);
    world.end_write(0, true);
    world.drive();
    let mut all_sequences = Vec::new();
    for client in &mut clients {
        let sequences = world.collect(client);
        assert_eq!(sequences.len(), requests);
        assert!(sequences.is_sorted());
        assert!(client.has_ended());
        all_sequences.extend(sequences);
    }
    all_sequences.sort_unstable();
    assert_all(&all_sequences, 1..=(clients.len() * requests) as u64);
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_and_loses_nothing() {
    let mut setup = Setup::new(1);
    setup.limits.pending_bytes_max = 4096;
    let mut world = World::new();
    world.net().window_bytes = 1024;
    world.net().send_buffer_bytes = 2048;
    world.start(setup);
    let mut client = world.connect(0);
    let requests = 20_000;
    client.ask(requests);
    client.finish();
    world.drive();
    let handled = world.trace(0, "> reply").len();
    // One read may bring a full share beyond the bound, and no more.
    let bound = (1024 + 2048 + 4096) / 15 + FRAMES_PER_CONNECTION_MAX;
    assert!(handled <= bound, "{handled} replies wait for a client");
    assert_all(&world.collect(&mut client), 1..=requests as u64);
    assert!(client.has_ended());
}

#[test]
fn requests_with_long_replies_are_taken_one_by_one() {
    let (mut world, mut client) = pair(slow(1));
    client.ask(1);
    let statuses = 50;
    client.send(&[0, 1, 5].repeat(statuses));
    client.ask(1);
    client.finish();
    world.drive();
    assert_eq!(
        world.trace(0, "statusRequest").len(),
        0,
        "they wait until the disk has answered what was asked before"
    );
    world.end_write(0, true);
    world.drive();
    let replies = client.replies();
    assert_eq!(replies.len(), statuses + 2);
    let is_status = |reply: &Message| matches!(reply, Message::StatusReply(_));
    assert!(replies[1..=statuses].iter().all(is_status));
    assert!(!is_status(&replies[0]) && !is_status(&replies[statuses + 1]));
    assert!(client.has_ended());
}

// Fairness.

#[test]
fn an_objection_is_an_answer_and_lets_the_next_request_through() {
    let setup = Setup::new(1);
    let cluster = setup.actor.cluster.clone();
    let (mut world, mut peer) = pair(setup);
    let question = |boot| {
        Message::SyncRequest(Box::new(SyncMessage {
            cluster: cluster.clone(),
            incarnation: 1,
            boot,
            session: boot,
            ..peer_says(Pid::MAX)
        }))
    };
    peer.send_message(&question(5));
    // The server has the state of another start.
    peer.send_message(&question(4));
    peer.send_message(&question(5));
    world.drive();
    let replies = peer.peer_replies();
    assert!(replies.len() > 2, "the replies after it: {replies:?}");
    assert!(matches!(replies[1], Message::Objection(_)), "{replies:?}");
}

#[test]
fn a_modest_client_does_not_wait_for_a_greedy_one() {
    let (mut world, mut greedy) = pair(Setup::new(1));
    let mut modest = world.connect(0);
    world.drive();
    greedy.ask(20_000);
    modest.ask(1);
    let mut before = 0;
    let sequence = loop {
        assert!(world.step(0));
        before += greedy.sequences().len();
        if let [sequence] = modest.sequences()[..] {
            break sequence;
        }
    };
    let bound = 2 * FRAMES_PER_CONNECTION_MAX;
    assert!(before <= bound, "{before} came before the one");
    assert!(sequence <= bound as u64 + 1);
    assert_eq!(before + world.collect(&mut greedy).len(), 20_000);
}

// Slots.

#[test]
fn a_late_readiness_does_not_reach_the_next_connection_in_the_slot() {
    let (mut world, client) = pair(Setup::new(1));
    // The readiness of the reset and the next connection come with one poll; the slot is the same.
    client.reset();
    world.drive();
    let mut next = world.connect(0);
    next.ask(1);
    world.drive();
    assert_eq!(next.sequences(), [1]);
    let lines = world.trace(0, "connection=");
    assert!(lines.iter().any(|line| line.contains("connection=0.1")));
}

/// Connections come and go until all serials that fit into an id are used. If nothing prevented it, the next connection
/// would then have the slot and the serial of the first.
fn wrap_serials(world: &mut World, opened_since: usize) {
    for _ in opened_since..1 << (32 - CONNECTION_SLOT_BITS) {
        let passing = world.connect(0);
        world.drive();
        drop(passing);
        world.drive();
    }
}

/// What a peer with pid 7 says about itself.
fn seventh(_setup: &Setup, boot: u64) -> Message {
    Message::SyncRequest(Box::new(SyncMessage {
        boot,
        session: boot,
        ..peer_says(Pid::new(7).unwrap())
    }))
}

#[test]
fn an_objection_to_a_connection_that_is_gone_reaches_nobody_however_many_came_since() {
    let setup = Setup::new(1);
    let mut world = World::with(setup.clone());
    let mut first = world.connect(0);
    let mut second = world.connect(0);
    world.drive();
    for boot in [1, 2, 1, 1] {
        let client = if boot == 1 { &mut first } else { &mut second };
        client.send_message(&seventh(&setup, boot));
        world.drive();
        assert_eq!(client.peer_replies().len(), 1);
    }
    // Now it is known that the first process was alive after the second was heard.
    drop(first);
    world.drive();
    wrap_serials(&mut world, 2);
    let mut innocent = world.connect(0);
    innocent.ask(1);
    world.drive();
    assert_eq!(innocent.sequences(), [1]);
    second.send_message(&seventh(&setup, 2));
    world.drive();
    assert_eq!(second.peer_replies().len(), 1, "it is objected to");
    assert_eq!(innocent.bytes(), [0u8; 0], "it never asked for that");
    assert!(
        world.trace(0, "identityRequest connection=0.0").len() == 1,
        "the innocent one has the id that the first had"
    );
}

#[test]
fn the_slot_of_a_peer_is_free_once_the_actor_knows_that_it_is_gone() {
    let setup = Setup::new(1);
    let (mut world, mut peer) = pair(setup.clone());
    for next in 1..=3 {
        peer.send_message(&seventh(&setup, 1));
        world.drive();
        assert_eq!(peer.peer_replies().len(), 1);
        peer.reset();
        world.drive();
        assert_eq!(world.trace(0, "peerDisconnected").len(), next);
        peer = world.connect(0);
        world.drive();
        let name = format!("writable connection=0.{next}");
        assert_eq!(world.trace(0, &name).len(), 1, "slot 0 again");
    }
}

#[test]
fn nobody_is_turned_away_in_place_of_a_connection_that_left_the_reserve() {
    let mut setup = Setup::new(1);
    setup.limits.connections_max = 1;
    let mut world = World::with(setup);
    let client = world.connect(0);
    let too_many = world.connect(0);
    world.drive();
    drop(client);
    drop(too_many);
    world.drive();
    wrap_serials(&mut world, 2);
    // The slot that was given back last is taken first, so one of these two has the id.
    let mut pair = [world.connect(0), world.connect(0)];
    world.drive();
    let named: Vec<bool> = (0..2)
        .map(|slot| world.trace(0, &format!("connection={slot}.1")).len() > 1)
        .collect();
    assert!(named.contains(&true), "{named:?}");
    pair[0].ask(1);
    world.drive();
    assert_eq!(pair[0].sequences(), [1]);
    let crowd: Vec<Client> = (0..RESERVE_CONNECTIONS_MAX)
        .map(|_| world.connect(0))
        .collect();
    world.drive();
    pair[0].ask(1);
    world.drive();
    assert_eq!(pair[0].sequences(), [2], "it has its place");
    drop(crowd);
}

#[test]
fn answers_that_wait_for_a_closed_connection_no_longer_count_and_reach_nobody() {
    let (mut world, client) = pair(slow(1));
    client.ask(3);
    world.drive();
    assert_eq!(world.status(0).bounds.waiting_for_disk, 3);
    client.reset();
    world.drive();
    assert_eq!(world.trace(0, "disconnected connection=0.0").len(), 1);
    // The slot is free. Identities that were decided for the old connection stay decided.
    let mut next = world.connect(0);
    next.ask(1);
    world.drive();
    assert_eq!(world.trace(0, "identityRequest connection=0.2").len(), 1);
    assert_eq!(world.status(0).bounds.waiting_for_disk, 1);
    world.end_write(0, true);
    world.drive();
    assert_eq!(next.sequences(), [4]);
}

#[test]
fn requests_of_a_connection_that_is_closed_before_they_are_handled_take_no_identities() {
    let mut world = World::new();
    let mut setup = Setup::new(1);
    setup.limits.pending_bytes_total = 1000;
    world.start(setup);
    // More requests than a turn handles. At its end their replies are over the bound, and most clients are closed.
    let window = world.net().window_bytes;
    world.net().window_bytes = 100;
    world.net().send_buffer_bytes = 100;
    let clients: Vec<Client> = (0..=TURN_ENTRIES_MAX / FRAMES_PER_CONNECTION_MAX)
        .map(|_| world.connect(0))
        .collect();
    // The ends of the server are made later.
    world.net().window_bytes = window;
    world.drive();
    for client in &clients {
        client.ask(FRAMES_PER_CONNECTION_MAX);
    }
    world.drive();
    let asked = clients.len() * FRAMES_PER_CONNECTION_MAX;
    let requests = world.trace(0, "identityRequest").len();
    assert_eq!(requests, asked, "all of them were in the mailbox");
    let status = world.status(0);
    assert!(
        status.sequence > 0 && status.sequence < asked as u64,
        "{}",
        status.sequence
    );
    // Nothing of them is left.
    let mut next = world.connect(0);
    next.ask(1);
    world.drive();
    assert_eq!(next.sequences(), [status.sequence + 1]);
}

#[test]
fn the_slot_of_a_connection_is_free_once_the_actor_knows_that_it_is_gone() {
    let mut world = World::new();
    let mut setup = Setup::new(1);
    setup.limits.connections_max = 1000;
    setup.limits.pending_bytes_total = 1000;
    world.start(setup);
    // The first client reads so little that it is closed at the end of a turn.
    let window = world.net().window_bytes;
    let buffer = world.net().send_buffer_bytes;
    world.net().window_bytes = 100;
    world.net().send_buffer_bytes = 100;
    let client = world.connect(0);
    // The end of the server is made later.
    world.net().window_bytes = window;
    world.drive();
    world.net().send_buffer_bytes = buffer;
    let each = FRAMES_PER_CONNECTION_MAX;
    let crowd: Vec<Client> = (0..2 * TURN_ENTRIES_MAX / each)
        .map(|_| world.connect(0))
        .collect();
    world.drive();
    // A turn ends in the middle of its requests, others have enough for another turn, and then more connections wait than
    // are accepted at a time.
    let (before, behind) = crowd.split_at(TURN_ENTRIES_MAX / each - 1);
    before.iter().for_each(|other| other.ask(each));
    client.ask(each);
    behind.iter().for_each(|other| other.ask(each));
    let late: Vec<Client> = (0..2 * ACCEPTS_PER_TURN_MAX)
        .map(|_| world.connect(0))
        .collect();
    world.drive();
    assert_eq!(world.trace(0, "disconnected connection=0.0").len(), 1);
    // None of these got its slot, although its last request had been dropped by then.
    let of_slot = |world: &World| {
        let lines = world.trace(0, "connection=0.");
        let others = lines
            .iter()
            .filter(|line| !line.ends_with("connection=0.0") && !line.contains("connection=0.0 "));
        others.cloned().collect::<Vec<String>>()
    };
    assert_eq!(of_slot(&world), [""; 0]);
    let _next = world.connect(0);
    world.drive();
    assert_eq!(of_slot(&world).len(), 1, "now it is free");
    drop((crowd, late));
}

#[test]
fn a_client_may_vanish_at_any_moment() {
    for requests in [1, FRAMES_PER_CONNECTION_MAX + 1] {
        for steps in 0..6 {
            for reset in [false, true] {
                let (mut world, client) = pair(Setup::new(1));
                client.ask(requests);
                for _ in 0..steps {
                    world.step(0);
                }
                if reset {
                    client.reset();
                } else {
                    drop(client);
                }
                world.drive();
                assert_eq!(world.status(0).connections, 1);
            }
        }
    }
}

#[test]
fn a_malformed_frame_is_answered_after_the_requests_before_it() {
    let (mut world, mut client) = pair(slow(1));
    client.ask(2);
    client.send(&[0, 1, 99]);
    client.ask(5);
    world.drive();
    assert_eq!(client.codes(), [0u16; 0]);
    world.end_write(0, true);
    world.drive();
    assert_eq!(client.codes(), [0, 0, ErrorCode::UnknownKind.get()]);
    assert!(client.has_ended());
}

// Accepting.

#[test]
fn without_descriptors_accepting_is_retried_by_the_timer_only() {
    let mut world = World::with(Setup::new(1));
    world.node(0).accept_error = Some(EMFILE);
    let mut client = world.connect(0);
    client.ask(1);
    world.drive();
    let (turns, accepts) = (world.turns(0), world.node(0).accepts);
    world.advance(Duration::from_secs(10));
    let tries = 10_000 / ACCEPT_RETRY.as_millis() as u64;
    // Both listeners are asked.
    assert_eq!(world.node(0).accepts - accepts, 2 * tries);
    assert_eq!(world.turns(0) - turns, tries);
    assert_eq!(client.sequences(), [0u64; 0]);
    world.node(0).accept_error = None;
    world.advance(ACCEPT_RETRY);
    assert_eq!(client.sequences(), [1]);
    let turns = world.turns(0);
    world.advance(Duration::from_secs(10));
    assert_eq!(world.turns(0), turns, "and the timer rests");
}

#[test]
fn a_new_connection_ends_the_wait_for_descriptors() {
    let mut world = World::with(Setup::new(1));
    world.node(0).accept_error = Some(EMFILE);
    let mut first = world.connect(0);
    first.ask(1);
    world.drive();
    world.node(0).accept_error = None;
    let mut second = world.connect(0);
    second.ask(1);
    world.drive();
    assert_eq!(first.sequences().len() + second.sequences().len(), 2);
}

#[test]
fn many_connections_are_accepted_in_several_turns() {
    let mut setup = Setup::new(1);
    setup.limits.connections_max = 1000;
    let mut world = World::with(setup);
    let mut crowd: Vec<Client> = (0..1000).map(|_| world.connect(0)).collect();
    for client in &crowd {
        client.ask(1);
    }
    world.drive();
    let answered = crowd.iter_mut().map(|client| client.sequences().len());
    assert_eq!(answered.sum::<usize>(), 1000);
    drop(crowd);
    world.drive();
    // The connection that asks for the status counts too.
    assert_eq!(world.status(0).counters.accepted, 1001);
}

#[test]
fn beyond_the_limit_a_client_is_refused_and_a_peer_gets_in() {
    let mut setup = Setup::new(1);
    setup.limits.connections_max = 2;
    let mut world = World::with(setup);
    let mut regulars: Vec<Client> = (0..2).map(|_| world.connect(0)).collect();
    world.drive();
    let mut client = world.connect(0);
    client.ask(1);
    world.drive();
    assert_eq!(client.codes(), [ErrorCode::TooManyConnections.get()]);
    assert!(client.has_ended());
    // The client sees the end and closes its side, too.
    drop(client);
    world.drive();
    let peer = world.start(Setup::new(2).peers(&[&ipseity_sim::world::address(0).to_string()]));
    regulars[0].ask(7);
    world.advance(Duration::from_secs(2));
    assert_eq!(regulars[0].sequences().len(), 7);
    assert_eq!(world.status(peer).sequence, 7);
}

#[test]
fn the_reserve_lets_in_a_limited_number_of_strangers() {
    let mut setup = Setup::new(1);
    setup.limits.connections_max = 1;
    let cluster = setup.actor.cluster.clone();
    let mut world = World::with(setup);
    let _regular = world.connect(0);
    world.drive();
    let mut codes = (2..).take(RESERVE_UNNAMED_MAX + 1).map(|pid| {
        let mut peer = world.connect(0);
        peer.send_message(&Message::SyncRequest(Box::new(SyncMessage {
            cluster: cluster.clone(),
            incarnation: u128::from(pid),
            session: u64::from(pid),
            ..peer_says(Pid::new(pid).unwrap())
        })));
        world.drive();
        match &peer.peer_replies()[..] {
            [Message::SyncReply(_)] => (peer, 0),
            [Message::ErrorReply(error)] => (peer, error.code),
            other => panic!("{other:?}"),
        }
    });
    let within: Vec<(Client, u16)> = codes.by_ref().take(RESERVE_UNNAMED_MAX).collect();
    assert!(within.iter().all(|(_, code)| *code == 0));
    let (_, beyond) = codes.next().unwrap();
    assert_eq!(beyond, ErrorCode::TooManyConnections.get());
}

#[test]
fn a_named_peer_gets_in_when_strangers_fill_their_half_of_the_reserve() {
    let named = ipseity_sim::world::address(1).to_string();
    let mut setup = Setup::new(1).peers(&[&named]);
    setup.limits.connections_max = 1;
    let mut world = World::with(setup.clone());
    let _regular = world.connect(0);
    world.drive();
    let strangers: Vec<Client> = (0..RESERVE_UNNAMED_MAX)
        .map(|number| {
            let stranger = world.connect(0);
            let pid = Pid::new(100 + number as u16).unwrap();
            stranger.send_message(&Message::SyncRequest(Box::new(SyncMessage {
                incarnation: u128::from(pid.get()),
                session: u64::from(pid.get()),
                ..peer_says(pid)
            })));
            world.drive();
            stranger
        })
        .collect();
    let peer = world.start(Setup::new(2).peers(&[&ipseity_sim::world::address(0).to_string()]));
    world.advance(Duration::from_secs(3));
    let status = world.status(peer);
    assert_eq!(status.peers[0].state, PeerState::Up, "{status:?}");
    drop(strangers);
}

#[test]
fn an_operator_gets_in_when_all_places_are_taken_but_gets_no_identities() {
    let mut setup = Setup::new(1);
    setup.limits.connections_max = 1;
    // Clients of this world come from 192.168.0.1.
    setup.limits.trust.operators = vec!["192.168.0.1/32".parse().unwrap()];
    let mut world = World::with(setup);
    let mut regular = world.connect(0);
    regular.ask(1);
    world.drive();
    let mut operator = world.connect(0);
    operator.send_message(&Message::StatusRequest);
    operator.send_message(&Message::AdvanceRequest { above: 500 });
    operator.ask(1);
    world.drive();
    let replies = operator.replies();
    assert!(matches!(replies[0], Message::StatusReply(_)), "{replies:?}");
    assert_eq!(replies[1], Message::DoneReply { sequence: 500 });
    match &replies[2] {
        Message::ErrorReply(error) => {
            assert_eq!(error.code, ErrorCode::TooManyConnections.get());
        }
        other => panic!("{other:?}"),
    }
    drop(operator);
    world.drive();
    // There is a limit for operators, too.
    let mut crowd: Vec<Client> = (0..RESERVE_OPERATORS_MAX + 1)
        .map(|_| {
            let one = world.connect(0);
            one.send_message(&Message::StatusRequest);
            world.drive();
            one
        })
        .collect();
    let last = crowd.pop().unwrap().replies();
    match &last[..] {
        [Message::ErrorReply(error)] => {
            assert_eq!(error.code, ErrorCode::TooManyConnections.get());
        }
        other => panic!("{other:?}"),
    }
    regular.ask(1);
    world.drive();
    assert_eq!(regular.sequences(), [1, 501]);
}

#[test]
fn status_requests_are_answered_a_few_in_a_turn_with_identities_in_between() {
    let mut world = World::with(Setup::new(1));
    let mut crowd: Vec<Client> = (0..80).map(|_| world.connect(0)).collect();
    let mut honest = world.connect(0);
    world.drive();
    for client in &mut crowd {
        client.send_message(&Message::StatusRequest);
    }
    honest.ask(1);
    world.drive();
    assert_eq!(honest.sequences(), [1]);
    for client in &mut crowd {
        assert_eq!(client.replies().len(), 1, "all are answered");
    }
    let trace = world.trace(0, "");
    let place = |what: &str| trace.iter().position(|line| line.contains(what)).unwrap();
    let before = trace[..place("identityReply")]
        .iter()
        .filter(|line| line.contains("statusReply"))
        .count();
    assert!(before <= 2 * LOOKS_IN_FLIGHT_MAX, "{before} came first");
}

#[test]
fn a_status_is_answered_whatever_waits_for_the_disk() {
    let mut world = World::with(Setup::new(1).disk(DiskMode::Waits, 2000));
    let each = FRAMES_PER_CONNECTION_MAX;
    let crowd: Vec<Client> = (0..2 * FRAMES_IN_FLIGHT_MAX / each)
        .map(|_| world.connect(0))
        .collect();
    world.drive();
    for client in &crowd {
        // More than the ceiling allows for at once.
        client.ask(each);
    }
    world.drive();
    let mut operator = world.connect(0);
    operator.send_message(&Message::StatusRequest);
    world.drive();
    assert_eq!(operator.replies().len(), 1);
    // But a connection that asks for identities waits like all the others.
    operator.ask(1);
    operator.send_message(&Message::StatusRequest);
    world.drive();
    assert_eq!(operator.replies().len(), 0);
}

#[test]
fn clients_that_ask_for_the_status_without_end_leave_others_their_turn() {
    let mut world = World::with(Setup::new(1));
    let crowd: Vec<Client> = (0..20).map(|_| world.connect(0)).collect();
    let mut honest = world.connect(0);
    world.drive();
    for client in &crowd {
        for _ in 0..100 {
            client.send_message(&Message::StatusRequest);
        }
    }
    for _ in 0..3 {
        world.step(0);
    }
    honest.send_message(&Message::StatusRequest);
    let answered = |world: &World| {
        let trace = world.trace(0, "");
        let replies = trace.iter().filter(|line| line.contains("statusReply"));
        replies.count()
    };
    let before = answered(&world);
    while honest.replies().is_empty() {
        world.step(0);
    }
    // Each client that came before has had one turn, and no client has had many.
    let between = answered(&world) - before;
    assert!(
        between <= crowd.len() + 2 * LOOKS_IN_FLIGHT_MAX,
        "{between} came first"
    );
}

#[test]
fn status_requests_that_wait_for_the_disk_hold_up_no_others() {
    let mut world = World::with(Setup::new(1).disk(DiskMode::Waits, 2000));
    let mut crowd: Vec<Client> = (0..8).map(|_| world.connect(0)).collect();
    world.drive();
    for client in &crowd {
        // All of them together ask for more than the ceiling allows.
        client.ask(FRAMES_PER_CONNECTION_MAX - 1);
        client.send_message(&Message::StatusRequest);
    }
    world.drive();
    for client in &mut crowd[2..] {
        assert_eq!(client.replies().len(), 0, "it waits for the disk");
    }
    let mut operator = world.connect(0);
    operator.send_message(&Message::StatusRequest);
    world.drive();
    assert_eq!(operator.replies().len(), 1);
}

#[test]
fn replies_over_all_connections_are_bounded_and_clients_that_read_are_served() {
    let mut setup = Setup::new(1);
    setup.limits.pending_bytes_total = 40_000;
    let mut world = World::new();
    world.net().window_bytes = 1024;
    world.net().send_buffer_bytes = 2048;
    world.start(setup);
    let mut readers: Vec<Client> = (0..5).map(|_| world.connect(0)).collect();
    let deaf: Vec<Client> = (0..20).map(|_| world.connect(0)).collect();
    world.drive();
    for client in &deaf {
        client.ask(1000);
    }
    world.drive();
    for client in &mut readers {
        client.ask(1);
    }
    world.drive();
    for client in &mut readers {
        assert_eq!(client.sequences().len(), 1);
    }
    let status = world.status(0);
    assert!(status.connections < 25, "{}", status.connections);
    let cut_off = u64::from(26 - status.connections);
    assert_eq!(
        status.bounds.cut_off, cut_off,
        "the 26th asks for the status"
    );
    assert!(status.bounds.pending_bytes <= 40_000, "{:?}", status.bounds);
    assert!(status.bounds.pending_bytes > 0);
}

#[test]
fn a_full_server_says_at_most_once_a_minute_who_holds_most() {
    let mut setup = Setup::new(1);
    setup.limits.connections_max = 2;
    let mut world = World::with(setup);
    let _regulars: Vec<Client> = (0..2).map(|_| world.connect(0)).collect();
    world.drive();
    keep_log_lines();
    for _ in 0..30 {
        let _client = world.connect(0);
        world.advance(Duration::from_secs(4));
    }
    let lines = take_log_lines();
    let full: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("no place for clients is left (of 2)"))
        .collect();
    // The attempts last 116 seconds, so there are lines at 0 and 60 seconds.
    assert_eq!(full.len(), 2, "{lines:#?}");
    assert!(full[0].contains("come from 192.168.0.1 (3)"), "{full:?}");
}

#[test]
fn one_address_has_no_more_connections_than_it_may_have() {
    let mut setup = Setup::new(1).believes_nobody();
    setup.limits.per_address_max = Some(3);
    let mut world = World::with(setup);
    let mut clients: Vec<Client> = (0..5).map(|_| world.connect(0)).collect();
    keep_log_lines();
    world.drive();
    for client in &clients {
        client.ask(1);
    }
    world.drive();
    let too_many = ErrorCode::TooManyConnections.get();
    for client in &mut clients[..3] {
        assert_eq!(client.sequences().len(), 1);
    }
    for client in &mut clients[3..] {
        assert_eq!(client.codes(), [too_many]);
    }
    let lines = take_log_lines();
    let told = |line: &&String| line.contains("has 3 connections, and more are refused");
    assert_eq!(lines.iter().filter(told).count(), 1, "{lines:#?}");
    // A place is free again once a connection is gone.
    drop(clients.remove(0));
    world.drive();
    let mut next = world.connect(0);
    next.ask(1);
    assert_eq!(world.collect(&mut next), [4]);
    // An operator who asks for the status also counts as a connection of this address.
    drop(clients.remove(0));
    world.drive();
    assert_eq!(world.status(0).bounds.refused_for_address, 2);
}

#[test]
fn those_who_are_trusted_have_as_many_connections_as_they_want() {
    let mut setup = Setup::new(1).believes_nobody();
    setup.limits.per_address_max = Some(1);
    let mut world = World::with(setup);
    let _first = world.connect(0);
    world.drive();
    let mut refused = world.connect(0);
    world.drive();
    assert_eq!(refused.codes(), [ErrorCode::TooManyConnections.get()]);
    // All clients of a world have this address.
    let mut setup = Setup::new(1).believes_nobody();
    setup.limits.per_address_max = Some(1);
    setup.limits.trust.operators = vec!["192.168.0.1/32".parse().unwrap()];
    let mut world = World::with(setup);
    let mut clients: Vec<Client> = (0..5).map(|_| world.connect(0)).collect();
    world.drive();
    for client in &mut clients {
        client.ask(1);
        assert_eq!(world.collect(client).len(), 1);
    }
}

#[test]
fn when_full_the_client_that_is_idle_longest_makes_room() {
    let mut setup = Setup::new(1);
    setup.limits.connections_max = 3;
    setup.limits.closes_idle = true;
    let mut world = World::with(setup);
    let mut clients: Vec<Client> = (0..3).map(|_| world.connect(0)).collect();
    world.advance(IDLE_MIN);
    // The second one has been idle longest.
    for client in [2, 0] {
        clients[client].ask(1);
        world.advance(IDLE_MIN);
        assert_eq!(clients[client].sequences().len(), 1);
    }
    world.advance(IDLE_MIN);
    let mut next = world.connect(0);
    next.ask(1);
    assert_eq!(world.collect(&mut next), [3]);
    assert!(clients[1].has_ended());
    assert!(!clients[0].has_ended() && !clients[2].has_ended());
    // A client that has asked since the search keeps its place, and the next one goes.
    clients[2].ask(1);
    world.drive();
    let mut other = world.connect(0);
    other.ask(1);
    assert_eq!(world.collect(&mut other), [5]);
    assert!(clients[0].has_ended() && !clients[2].has_ended());
    assert_eq!(clients[2].sequences(), [4]);
    // None of them has been idle for long now, so the new one is refused.
    let mut late = world.connect(0);
    world.drive();
    late.ask(1);
    world.advance(Duration::from_secs(2));
    assert_eq!(late.codes(), [ErrorCode::TooManyConnections.get()]);
    assert!(!clients[2].has_ended() && !next.has_ended() && !other.has_ended());
    assert_eq!(world.status(0).bounds.closed_idle, 3);
}

#[test]
fn a_client_makes_room_when_all_that_were_found_idle_have_asked_since() {
    let (mut world, mut clients) = full_of_idle(Setup::new(1), 3);
    // The search for the first one finds all three.
    let _next = world.connect(0);
    world.drive();
    assert!(clients[0].has_ended());
    for client in &mut clients[1..] {
        client.ask(1);
        assert_eq!(world.collect(client).len(), 1);
    }
    world.advance(2 * IDLE_MIN);
    let mut late = world.connect(0);
    late.ask(1);
    assert_eq!(world.collect(&mut late), [3]);
}

/// A server that is full, makes room by closing idle clients, and has these clients; all of them are idle.
fn full_of_idle(setup: Setup, count: usize) -> (World, Vec<Client>) {
    let mut setup = setup;
    setup.limits.connections_max = count;
    setup.limits.closes_idle = true;
    let mut world = World::with(setup);
    let clients: Vec<Client> = (0..count)
        .map(|_| {
            let client = world.connect(0);
            // This makes the first one the longest idle.
            world.advance(Duration::from_millis(1));
            client
        })
        .collect();
    world.advance(2 * IDLE_MIN);
    (world, clients)
}

#[test]
fn a_client_whose_request_has_arrived_is_not_closed_to_make_room() {
    let (mut world, mut clients) = full_of_idle(Setup::new(1), 2);
    // One poll brings both, the new connection first.
    let mut next = world.connect(0);
    clients[0].ask(1);
    world.drive();
    assert!(!clients[0].is_reset() && !clients[0].has_ended());
    assert_eq!(clients[0].sequences(), [1]);
    assert!(clients[1].has_ended(), "it is the next one");
    next.ask(1);
    assert_eq!(world.collect(&mut next), [2]);
    // The one that asks for the status takes a place, too.
    world.advance(2 * IDLE_MIN);
    assert_eq!(world.status(0).bounds.closed_idle, 2);
}

#[test]
fn a_client_that_waits_for_the_disk_is_not_closed_to_make_room() {
    let (mut world, mut clients) = full_of_idle(slow(1), 2);
    clients[0].ask(1);
    world.advance(2 * IDLE_MIN);
    let _next = world.connect(0);
    world.drive();
    assert!(clients[1].has_ended());
    world.end_write(0, true);
    world.drive();
    assert_eq!(clients[0].sequences(), [1]);
}

#[test]
fn peers_and_operators_are_not_closed_to_make_room() {
    let mut setup = Setup::new(1);
    // Clients of this world come from 192.168.0.1.
    setup.limits.trust.operators = vec!["192.168.0.1/32".parse().unwrap()];
    let peer = seventh(&setup, 1);
    let (mut world, mut clients) = full_of_idle(setup, 1);
    // There is one place. A peer takes it, and then an operator gets into the reserve.
    clients[0].send_message(&peer);
    world.drive();
    assert_eq!(clients[0].peer_replies().len(), 1);
    let mut operator = world.connect(0);
    operator.send_message(&Message::StatusRequest);
    world.drive();
    assert_eq!(operator.replies().len(), 1);
    world.advance(2 * IDLE_MIN);
    let mut next = world.connect(0);
    next.ask(1);
    world.drive();
    assert_eq!(next.codes(), [ErrorCode::TooManyConnections.get()]);
    for client in [&mut clients[0], &mut operator] {
        assert!(!client.has_ended());
        client.send_message(&Message::StatusRequest);
        world.drive();
        assert_eq!(client.replies().len(), 1);
    }
}

#[test]
fn each_connection_of_a_flood_from_one_address_is_told_what_there_is_too_much_of() {
    let mut setup = Setup::new(1).believes_nobody();
    setup.limits.per_address_max = Some(1);
    let (mut world, mut client) = pair(setup);
    // More than the reserve holds, so the oldest of them are turned away at once.
    let mut flood: Vec<Client> = (0..RESERVE_CONNECTIONS_MAX + 10)
        .map(|_| world.connect(0))
        .collect();
    for refused in &flood {
        refused.ask(1);
    }
    world.drive();
    for refused in &mut flood {
        match &refused.replies()[..] {
            [Message::ErrorReply(error)] => assert!(
                error.message.contains("--max-connections-per-address"),
                "{}",
                error.message
            ),
            other => panic!("{other:?}"),
        }
        assert!(refused.has_ended() && !refused.is_reset());
    }
    client.ask(1);
    world.drive();
    assert_eq!(client.sequences(), [1]);
}

#[test]
fn a_flood_beyond_the_limit_is_refused_at_once() {
    let mut setup = Setup::new(1);
    setup.limits.connections_max = 1;
    let mut world = World::with(setup);
    let _regular = world.connect(0);
    world.drive();
    let mut flood: Vec<Client> = (0..RESERVE_CONNECTIONS_MAX + 10)
        .map(|_| world.connect(0))
        .collect();
    world.drive();
    let mut told = flood.iter_mut().map(|client| client.codes());
    let is_told = |codes: Vec<u16>| codes == [ErrorCode::TooManyConnections.get()];
    assert!(told.by_ref().take(10).all(is_told), "the oldest make room");
    assert!(told.all(|codes| codes.is_empty()));
}

#[test]
fn connections_that_left_the_reserve_make_room_before_anybody_is_refused() {
    let mut setup = Setup::new(1);
    setup.limits.connections_max = 1;
    let (mut world, _regular) = pair(setup);
    let gone: Vec<Client> = (0..10).map(|_| world.connect(0)).collect();
    world.drive();
    drop(gone);
    world.drive();
    // They get the slots of the connections that left, but they are other connections.
    let mut flood: Vec<Client> = (0..RESERVE_CONNECTIONS_MAX)
        .map(|_| world.connect(0))
        .collect();
    world.drive();
    assert!(flood.iter_mut().all(|client| client.codes().is_empty()));
}

#[test]
fn only_an_operator_may_forget_and_advance() {
    let mut world = World::new();
    let mut setup = Setup::new(1);
    let server = world.start(setup.clone());
    let request = Message::AdvanceRequest { above: 500 };
    let mut stranger = world.connect(server);
    stranger.send_message(&request);
    let pid = Pid::new(2).unwrap();
    stranger.send_message(&Message::ForgetRequest {
        what: Forget::All(pid),
    });
    world.drive();
    let codes: Vec<u16> = stranger
        .replies()
        .into_iter()
        .map(|reply| match reply {
            Message::ErrorReply(error) => error.code,
            other => panic!("{other:?}"),
        })
        .collect();
    let code = ErrorCode::NotTrusted.get();
    assert_eq!(codes, [code, code]);

    // Clients of this world come from 192.168.0.1, which is not loopback.
    setup.limits.trust.operators = vec!["192.168.0.1/32".parse().unwrap()];
    let server = world.start(setup);
    let mut operator = world.connect(server);
    operator.send_message(&request);
    world.drive();
    assert_eq!(operator.replies(), [Message::DoneReply { sequence: 500 }]);
}

#[test]
fn a_status_lists_as_many_peers_as_fit_and_their_total() {
    let names: Vec<String> = (0..400).map(|peer| format!("{peer:0>250}:1")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::with(slow(1).peers(&names));
    let stranger = world.status(0);
    assert_eq!(stranger.peers_total, 400);
    assert_eq!(stranger.peers.len(), STRANGERS_LIST_MAX);
    let mut setup = slow(1).peers(&names);
    setup.limits.trust.operators = vec!["192.168.0.1/32".parse().unwrap()];
    let mut world = World::with(setup);
    let status = world.status(0);
    let each = STATUS_PEER_BYTES_MAX + names[0].len();
    assert_eq!(status.peers_total, 400);
    assert_eq!(status.peers.len(), STATUS_PEERS_BYTES_MAX / each);
    assert_eq!(*status.peers[1].address, *names[1]);
}

#[test]
fn a_list_of_members_is_bounded_for_everyone_but_operators() {
    let remembered: Vec<Remembered> = (1..=200)
        .map(|pid| Remembered {
            incarnation: u128::from(pid),
            boot: 1,
            session: 1,
            ..Remembered::new(Pid::new(pid).unwrap(), Sequence::ZERO)
        })
        .collect();
    for (trusted, most) in [
        (vec![], STRANGERS_LIST_MAX),
        (vec!["192.168.0.1/32".parse().unwrap()], remembered.len()),
    ] {
        let mut setup = Setup::new(0);
        setup.actor.remembered = remembered.clone();
        setup.limits.trust.operators = trusted;
        let (mut world, mut client) = pair(setup);
        client.send_message(&Message::MembersRequest { from: Pid::MIN });
        world.drive();
        match &client.replies()[..] {
            [Message::MembersReply(members)] => {
                assert_eq!(members.total as usize, remembered.len());
                assert_eq!(members.members.len(), most);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_status_shows_the_ceiling() {
    let mut world = World::with(Setup::new(1).disk(DiskMode::Waits, 2000));
    assert_eq!(world.status(0).storage.ceiling, 2000);
}
