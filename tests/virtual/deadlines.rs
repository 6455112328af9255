//! Deadlines and endings of connections, in virtual time.

use std::time::Duration;

use ipseity::limits::{
    FRAME_TIMEOUT, FRAMES_IN_FLIGHT_MAX, FRAMES_PER_CONNECTION_MAX, LINGER_TIMEOUT,
    RESERVE_TIMEOUT, SWEEP_INTERVAL, WRITE_TIMEOUT,
};
use ipseity_core::words::{ErrorCode, Message, Standing};
use ipseity_sim::world::{Client, DiskMode, Setup, World, address};

const SECOND: Duration = Duration::from_secs(1);

/// A world with one server and one client that is connected to it.
fn pair(setup: Setup) -> (World, Client) {
    let mut world = World::with(setup);
    let client = world.connect(0);
    world.drive();
    (world, client)
}

fn idle(timeout: Duration) -> Setup {
    let mut setup = Setup::new(1);
    setup.limits.idle_timeout = Some(timeout);
    setup
}

/// How long it takes until the server has closed its side, while the client keeps reading.
fn until_ended(world: &mut World, client: &mut Client, wait_max: Duration) -> (Duration, Vec<u16>) {
    let mut codes = Vec::new();
    let waited = world.advance_until(wait_max, |_| {
        codes.extend(client.codes());
        client.has_ended()
    });
    (waited, codes)
}

/// It took so long, and no longer than until the next sweep.
#[track_caller]
pub fn assert_about(waited: Duration, expected: Duration) {
    let late = waited.checked_sub(expected);
    assert!(
        late.is_some_and(|late| late <= SWEEP_INTERVAL),
        "{waited:?} and not {expected:?}"
    );
}

// Unfinished frames.

#[test]
fn a_frame_that_stalls_gets_an_error_and_closes_the_connection() {
    let (mut world, mut client) = pair(Setup::new(1));
    client.send(&[0]);
    let (waited, codes) = until_ended(&mut world, &mut client, 20 * SECOND);
    assert_about(waited, FRAME_TIMEOUT);
    assert_eq!(codes, [ErrorCode::Incomplete.get()]);
}

#[test]
fn a_frame_that_trickles_in_is_treated_like_one_that_stalls() {
    let (mut world, mut client) = pair(Setup::new(1));
    client.send(&[0, 13, 1]);
    for _ in 0..9 {
        world.advance(SECOND);
        assert_eq!(client.codes(), [0u16; 0]);
        client.send(&[0]);
    }
    world.advance(SECOND + SWEEP_INTERVAL);
    assert_eq!(client.codes(), [ErrorCode::Incomplete.get()]);
    assert!(client.has_ended());
}

#[test]
fn frames_that_trickle_in_but_become_complete_are_always_served() {
    let (mut world, mut client) = pair(Setup::new(1));
    for round in 1..=100 {
        // Each write completes the frame that the one before it began.
        client.send(if round == 1 {
            &[0, 1, 1, 0]
        } else {
            &[1, 1, 0]
        });
        world.advance(9 * SECOND);
        assert_eq!(client.sequences(), [round]);
    }
}

#[test]
fn the_time_of_a_frame_counts_from_its_first_byte() {
    let (mut world, mut client) = pair(Setup::new(1));
    world.advance(60 * SECOND);
    client.send(&[0, 1]);
    world.advance(5 * SECOND);
    client.send(&[1]);
    world.drive();
    assert_eq!(client.sequences(), [1]);
}

#[test]
fn a_slow_server_does_not_count_against_the_client() {
    let (mut world, mut client) = pair(Setup::new(1).disk(DiskMode::Waits, 0));
    // The gate closes. The next frame begins and is completed long before the gate opens.
    client.ask(FRAMES_PER_CONNECTION_MAX);
    client.send(&[0, 1]);
    world.advance(5 * FRAME_TIMEOUT);
    client.send(&[1]);
    world.advance(5 * FRAME_TIMEOUT);
    world.node(0).disk.mode = DiskMode::Takes(Duration::ZERO);
    world.end_write(0, true);
    assert_eq!(
        world.collect(&mut client).len(),
        FRAMES_PER_CONNECTION_MAX + 1
    );
}

// A client that does not read.

/// A server whose client has a small window and reads nothing.
fn deaf() -> (World, Client) {
    let mut world = World::new();
    world.net().window_bytes = 1000;
    world.net().send_buffer_bytes = 1000;
    world.start(Setup::new(1));
    let client = world.connect(0);
    client.ask(300);
    world.drive();
    (world, client)
}

#[test]
fn a_client_that_never_reads_is_cut_off() {
    let (mut world, client) = deaf();
    world.advance(WRITE_TIMEOUT - SECOND);
    assert_eq!(world.trace(0, "sweepTimeout").len(), 4 * 59);
    assert!(is_open(&mut world));
    world.advance(SECOND + SWEEP_INTERVAL);
    assert!(!is_open(&mut world));
    drop(client);
    let turns = world.turns(0);
    world.advance(10 * SECOND);
    assert!(world.turns(0) <= turns + 2, "nothing is left to sweep");
}

#[test]
fn a_client_that_never_reads_but_goes_on_asking_is_cut_off_too() {
    let (mut world, client) = deaf();
    for _ in 0..59 {
        world.advance(SECOND);
        client.ask(1);
    }
    assert!(is_open(&mut world));
    world.advance(2 * SECOND);
    assert!(!is_open(&mut world));
}

#[test]
fn a_client_that_never_reads_is_cut_off_even_if_the_server_makes_it_wait() {
    let (mut world, client) = deaf();
    let mut waited = Duration::ZERO;
    while waited < WRITE_TIMEOUT + SECOND && !client.is_reset() {
        // Nothing more of it is decoded before this is answered, and then it goes on.
        client.send_message(&Message::StatusRequest);
        world.advance(10 * SECOND);
        waited += 10 * SECOND;
    }
    assert!(client.is_reset());
}

#[test]
fn a_client_that_reads_slowly_is_served() {
    let (mut world, mut client) = deaf();
    let mut replies = client.replies().len();
    for _ in 0..10 {
        world.advance(WRITE_TIMEOUT - SECOND);
        replies += client.replies().len();
    }
    assert_eq!(replies, 300);
}

/// Whether the server still has the connection of the one client.
fn is_open(world: &mut World) -> bool {
    let mut other = world.connect(0);
    other.send_message(&Message::StatusRequest);
    world.drive();
    // The status is longer than the small window: it comes piece by piece.
    let mut replies = Vec::new();
    while replies.is_empty() {
        replies = other.replies();
        world.drive();
    }
    match &replies[..] {
        [Message::StatusReply(status)] => status.connections == 2,
        other => panic!("{other:?}"),
    }
}

// Idleness.

#[test]
fn an_idle_connection_is_closed_in_time_and_a_busy_one_is_not() {
    let (mut world, mut client) = pair(idle(30 * SECOND));
    let mut busy = world.connect(0);
    for _ in 0..29 {
        world.advance(SECOND);
        busy.ask(1);
    }
    assert!(!client.has_ended());
    let (waited, codes) = until_ended(&mut world, &mut client, 5 * SECOND);
    assert_about(waited, SECOND);
    assert!(codes.is_empty(), "silently");
    assert_eq!(world.collect(&mut busy).len(), 29);
    let (waited, _) = until_ended(&mut world, &mut busy, 60 * SECOND);
    assert!(waited > 28 * SECOND);
}

#[test]
fn waiting_for_the_disk_is_not_idleness_but_idleness_counts_again_afterwards() {
    let setup = idle(3 * SECOND).disk(DiskMode::Waits, 0);
    let (mut world, mut client) = pair(setup);
    client.ask(1);
    world.advance(60 * SECOND);
    assert!(!client.has_ended());
    world.end_write(0, true);
    world.drive();
    assert_eq!(client.sequences(), [1]);
    let (waited, _) = until_ended(&mut world, &mut client, 10 * SECOND);
    assert_about(waited, 3 * SECOND);
}

#[test]
fn waiting_for_others_that_wait_for_the_disk_is_not_idleness() {
    let mut world = World::with(idle(3 * SECOND).disk(DiskMode::Waits, 0));
    let full = FRAMES_IN_FLIGHT_MAX / FRAMES_PER_CONNECTION_MAX;
    let greedy: Vec<Client> = (0..full).map(|_| world.connect(0)).collect();
    for client in &greedy {
        client.ask(FRAMES_PER_CONNECTION_MAX);
    }
    world.drive();
    // No more frames are decoded, so the server has not seen this request yet.
    let mut modest = world.connect(0);
    modest.ask(1);
    world.advance(60 * SECOND);
    world.node(0).disk.mode = DiskMode::Takes(Duration::ZERO);
    world.end_write(0, true);
    assert_eq!(world.collect(&mut modest).len(), 1);
    let (waited, _) = until_ended(&mut world, &mut modest, 10 * SECOND);
    assert_about(waited, 3 * SECOND);
}

#[test]
fn without_an_idle_timeout_no_connection_is_swept_or_closed() {
    let (mut world, mut client) = pair(Setup::new(1));
    client.ask(1);
    world.drive();
    let turns = world.turns(0);
    world.advance(3600 * SECOND);
    assert_eq!(world.turns(0), turns);
    assert!(!client.has_ended());
    assert_eq!(client.sequences(), [1]);
}

#[test]
fn a_peer_is_not_idle_between_two_rounds() {
    let mut world = World::new();
    let mut asker = idle(2 * SECOND).peers(&[&ipseity_sim::world::address(1).to_string()]);
    asker.sync_interval = 10 * SECOND;
    let mut asked = idle(2 * SECOND);
    asked.actor = Setup::new(2).actor;
    world.start(asker);
    world.start(asked);
    world.advance(100 * SECOND);
    for server in [0, 1] {
        assert_eq!(world.trace(server, "peerDisconnected"), [""; 0]);
    }
}

// Endings.

#[test]
fn a_half_closed_client_gets_its_answers_and_then_the_end() {
    let (mut world, mut client) = pair(Setup::new(1).disk(DiskMode::Takes(20 * SECOND), 0));
    client.ask(3);
    client.finish();
    let (waited, codes) = until_ended(&mut world, &mut client, 60 * SECOND);
    assert_eq!(codes, [0, 0, 0]);
    assert_eq!(waited, 20 * SECOND);
    assert!(!client.is_reset());
}

#[test]
fn a_client_that_stays_after_its_error_is_closed_after_a_while() {
    let (mut world, mut client) = pair(Setup::new(1));
    client.send(&[0, 1, 99]);
    world.drive();
    assert_eq!(client.codes(), [ErrorCode::UnknownKind.get()]);
    assert!(client.has_ended(), "the server sends nothing more");
    assert_eq!(world.status(0).connections, 2, "and waits for the client");
    // Bytes that the client still sends are thrown away.
    client.send(&[7; 100_000]);
    world.advance(LINGER_TIMEOUT - SECOND);
    assert_eq!(world.status(0).connections, 2);
    assert!(!client.is_reset());
    world.advance(SECOND + SWEEP_INTERVAL);
    assert_eq!(world.status(0).connections, 1);
}

#[test]
fn a_client_that_closed_before_its_error_is_not_waited_for() {
    let (mut world, mut client) = pair(Setup::new(1));
    client.send(&[0, 1, 99, 1, 2, 3]);
    client.finish();
    world.drive();
    assert_eq!(client.codes(), [ErrorCode::UnknownKind.get()]);
    assert_eq!(world.status(0).connections, 1);
    assert!(!client.is_reset());
}

#[test]
fn bytes_after_a_malformed_frame_do_not_cut_off_the_reply() {
    let (mut world, mut client) = pair(Setup::new(1).disk(DiskMode::Waits, 0));
    client.ask(1);
    client.send(&[0, 1, 99]);
    world.drive();
    // Arrives while the reply waits for the disk, and nothing comes after it.
    client.send(&[7; 1000]);
    world.drive();
    world.end_write(0, true);
    world.advance(10 * SECOND);
    assert_eq!(client.codes(), [0, ErrorCode::UnknownKind.get()]);
    assert!(client.has_ended());
    assert!(!client.is_reset());
}

// The reserve.

#[test]
fn a_silent_connection_beyond_the_limit_is_refused_after_a_moment() {
    let mut setup = Setup::new(1);
    setup.limits.connections_max = 1;
    let (mut world, _regular) = pair(setup);
    let mut silent = world.connect(0);
    let (waited, codes) = until_ended(&mut world, &mut silent, 10 * SECOND);
    assert_about(waited, RESERVE_TIMEOUT);
    assert_eq!(codes, [ErrorCode::TooManyConnections.get()]);
}

// The supervisor.

#[test]
fn the_supervisor_is_told_each_change_and_again_each_time_that_it_asks_for() {
    let mut world = World::with(Setup::new(1).disk(DiskMode::Takes(SECOND), 100));
    // It wants to be told once.
    world.advance(60 * SECOND);
    assert_eq!(world.node(0).notices, [Standing::Serving]);
    assert_eq!(world.trace(0, "notifyTimeout").len(), 0);
    world.kill(0);
    world.node(0).notify_every = Some(5 * SECOND);
    world.restart(0);
    assert_eq!(world.node(0).notices, [Standing::Serving]);
    world.advance(16 * SECOND);
    assert_eq!(world.node(0).notices, [Standing::Serving; 4]);
    // It is told through the mailbox.
    assert_eq!(world.trace(0, "notifyTimeout").len(), 3);
    // The stop has to wait for the disk.
    world.signal(0);
    world.drive();
    assert_eq!(world.node(0).notices[4..], [Standing::Stopping]);
}

#[test]
fn the_supervisor_is_told_how_a_start_goes_on_and_that_a_peer_objects() {
    let life = |session, joins| {
        let mut setup = Setup::new(2).peers(&["witness:1"]);
        setup.actor.session = session;
        setup.actor.joins = joins;
        setup
    };
    let mut world = World::with(Setup::new(1));
    let witness = vec![address(0)];
    world.net().names.insert("witness".to_owned(), witness);
    let first = world.start(life(300, true));
    assert_eq!(world.node(first).notices, [Standing::Joining]);
    world.advance(SECOND);
    let told = [Standing::Joining, Standing::Serving];
    assert_eq!(world.node(first).notices, told);
    // A second life of the same state, which does not ask first.
    let second = world.start(life(301, false));
    world.advance(5 * SECOND);
    let told = [Standing::Serving, Standing::Stale];
    assert_eq!(world.node(second).notices, told);
}
