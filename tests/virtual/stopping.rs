//! Stopping, and a disk that fails, in virtual time.

use std::time::Duration;

use ipseity::{
    limits::{
        FRAMES_PER_CONNECTION_MAX, LINGER_TIMEOUT, PAUSED, STOP_DRAIN, STOP_PAUSES_MAX,
        STOP_TIMEOUT, STORAGE_EXIT, SWEEP_INTERVAL,
    },
    server::Exit,
};
use ipseity_core::{
    actor::Write,
    identity::Sequence,
    words::{ErrorCode, Message},
};
use ipseity_sim::world::{Client, DiskMode, Setup, World, address};

use crate::http::post;

const SECOND: Duration = Duration::from_secs(1);
const AT_ONCE: DiskMode = DiskMode::Takes(Duration::ZERO);
const STOPPING: u16 = ErrorCode::Stopping.get();
const STORAGE: u16 = ErrorCode::Storage.get();

/// A world with one server and one client that is connected to it.
fn pair(setup: Setup) -> (World, Client) {
    let mut world = World::with(setup);
    let client = world.connect(0);
    world.drive();
    (world, client)
}

/// How the server exits, and after how long.
fn exit(world: &mut World) -> (Duration, Exit) {
    let waited = world.advance_until(60 * SECOND, |world| world.exit(0).is_some());
    (waited, world.exit(0).unwrap())
}

// Stopping.

#[test]
fn a_stop_makes_the_exact_sequence_durable_and_the_next_start_goes_on_there() {
    let (mut world, mut client) = pair(Setup::new(1).disk(AT_ONCE, 1000));
    client.ask(7);
    world.drive();
    world.signal(0);
    world.drive();
    assert_eq!(world.exit(0), Some(Exit::Clean));
    assert_eq!(client.sequences().len(), 7);
    assert!(client.has_ended() && !client.is_reset());
    assert_eq!(world.node(0).disk.durable.get(), 7);
    world.restart(0);
    let mut client = world.connect(0);
    client.ask(1);
    assert_eq!(world.collect(&mut client), [8]);
}

#[test]
fn requests_that_arrived_before_a_stop_are_answered() {
    let (mut world, mut client) = pair(Setup::new(1).disk(AT_ONCE, 100));
    // More than the gate lets through at once, so that a part is still in the kernel.
    let requests = 3 * FRAMES_PER_CONNECTION_MAX;
    client.ask(requests);
    world.signal(0);
    world.drive();
    assert_eq!(world.exit(0), Some(Exit::Clean));
    assert_eq!(client.sequences().len(), requests);
    assert_eq!(world.node(0).disk.durable.get(), requests as u64);
}

/// A client that reads its replies only now and then, and has sent so many requests that not all replies fit into the
/// buffers. The bytes of its requests have all arrived before the stop.
fn answers_of_a_slow_reader(mut client: Client, world: &mut World, requests: &[u8]) -> Vec<u8> {
    client.send(requests);
    world.signal(0);
    let mut answers = Vec::new();
    for _ in 0..1000 {
        world.drive();
        answers.extend(client.bytes());
        if client.has_ended() {
            drop(client);
            world.drive();
            return answers;
        }
    }
    panic!("the stop does not end");
}

/// A server that holds little for a client that does not read.
fn holds_little() -> Setup {
    let mut setup = Setup::new(1).disk(AT_ONCE, 1_000_000);
    setup.limits.pending_bytes_max = 4096;
    setup
}

#[test]
fn requests_of_a_slow_reader_that_arrived_before_a_stop_are_answered() {
    let mut world = World::with(holds_little());
    let client = world.connect(0);
    world.drive();
    // More replies than the windows, the kernel and the server hold.
    let requests = 20_000;
    let answers = answers_of_a_slow_reader(client, &mut world, &[0, 1, 1].repeat(requests));
    assert_eq!(answers.len(), requests * 15);
    assert_eq!(world.exit(0), Some(Exit::Clean));
}

#[test]
fn requests_by_http_of_a_slow_reader_that_arrived_before_a_stop_are_answered() {
    let mut world = World::with(holds_little());
    let client = world.connect_by_http(0);
    world.drive();
    let requests = 300;
    let answers =
        answers_of_a_slow_reader(client, &mut world, &post("?count=500", "").repeat(requests));
    let answers = String::from_utf8(answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), requests);
    assert_eq!(world.exit(0), Some(Exit::Clean));
}

/// A client that reads late and goes on sending until the server has ended its side. All that had arrived before the
/// stop must be answered. Whatever was sent afterwards is answered, refused or dropped.
fn answer_one_that_goes_on_sending(world: &mut World) -> Client {
    let mut client = world.connect(0);
    world.drive();
    let arrived = 20_000;
    client.send(&[0, 1, 1].repeat(arrived));
    world.signal(0);
    let mut codes = Vec::new();
    for _ in 0..1000 {
        client.send(&[0, 1, 1].repeat(10));
        world.drive();
        codes.extend(client.codes());
        assert!(!client.is_reset(), "{} are answered", codes.len());
        if client.has_ended() {
            assert!(codes.len() >= arrived, "{}", codes.len());
            assert!(codes[..arrived].iter().all(|code| *code == 0));
            return client;
        }
    }
    panic!("the stop does not end");
}

#[test]
fn a_client_that_reads_late_and_goes_on_sending_gets_all_its_answers_in_a_stop() {
    let mut world = World::with(holds_little());
    let client = answer_one_that_goes_on_sending(&mut world);
    assert_eq!(world.exit(0), None, "it may still be reading");
    drop(client);
    world.drive();
    assert_eq!(world.exit(0), Some(Exit::Clean));
}

#[test]
fn a_client_that_does_not_close_holds_up_a_stop_only_so_long() {
    let mut world = World::with(holds_little());
    let client = answer_one_that_goes_on_sending(&mut world);
    let (waited, exit) = exit(&mut world);
    assert_eq!(exit, Exit::Clean);
    assert!(waited <= LINGER_TIMEOUT + SWEEP_INTERVAL, "{waited:?}");
    drop(client);
}

#[test]
fn a_client_that_only_keeps_its_connection_does_not_hold_up_a_stop() {
    let (mut world, mut client) = pair(Setup::new(1).disk(AT_ONCE, 1000));
    client.ask(1);
    assert_eq!(world.collect(&mut client), [1]);
    world.signal(0);
    assert_eq!(exit(&mut world), (Duration::ZERO, Exit::Clean));
    assert!(client.has_ended() && !client.is_reset());
}

#[test]
fn a_client_that_reads_nothing_cannot_hold_up_a_stop() {
    let mut world = World::with(holds_little());
    let client = world.connect(0);
    world.drive();
    client.send(&[0, 1, 1].repeat(20_000));
    world.signal(0);
    let (waited, exit) = exit(&mut world);
    assert_eq!((waited, exit), (STOP_TIMEOUT, Exit::Clean));
}

#[test]
fn a_stop_waits_for_replies_that_wait_for_the_disk() {
    let (mut world, mut client) = pair(Setup::new(1).disk(DiskMode::Takes(SECOND), 0));
    client.ask(3);
    world.drive();
    world.signal(0);
    let (waited, exit) = exit(&mut world);
    assert_eq!((waited, exit), (2 * SECOND, Exit::Clean));
    assert_eq!(client.sequences(), [1, 2, 3]);
    assert_eq!(world.node(0).disk.durable.get(), 3);
}

#[test]
fn a_stopping_server_accepts_no_connection_and_dials_nobody() {
    let mut setup = Setup::new(1).disk(DiskMode::Waits, 1000);
    setup.peers = vec![address(7).to_string()];
    let mut world = World::with(setup);
    world.signal(0);
    world.advance(Duration::from_millis(10));
    let dials = world.trace(0, "dialTimeout").len();
    let late = world.connect(0);
    world.advance(4 * SECOND);
    assert!(!late.is_connected());
    assert_eq!(world.trace(0, "dialTimeout").len(), dials);
    world.end_write(0, true);
    world.drive();
    assert_eq!(world.exit(0), Some(Exit::Clean));
}

#[test]
fn new_requests_during_a_stop_are_refused() {
    let (mut world, mut client) = pair(Setup::new(1).disk(DiskMode::Waits, 1000));
    client.ask(1);
    world.drive();
    world.signal(0);
    world.drive();
    assert_eq!(
        world.node(0).disk.under_way,
        Some(Write::Stop {
            sequence: Sequence::new(1).unwrap()
        })
    );
    client.ask(2);
    client.send_message(&Message::StatusRequest);
    world.drive();
    assert_eq!(client.codes(), [0, STOPPING, STOPPING, 0]);
    world.end_write(0, true);
    world.drive();
    assert_eq!(world.exit(0), Some(Exit::Clean));
}

#[test]
fn a_client_that_never_stops_asking_cannot_hold_up_a_stop() {
    let (mut world, mut client) = pair(Setup::new(1).disk(AT_ONCE, 1000));
    world.signal(0);
    let start = world.now();
    let mut codes = Vec::new();
    while world.exit(0).is_none() {
        // More than one turn can answer.
        client.ask(2 * FRAMES_PER_CONNECTION_MAX);
        world.step(0);
        codes.extend(client.codes());
        let now = world.now();
        world.net().now = now.after(Duration::from_millis(50));
        assert!(now.since(start) <= STOP_TIMEOUT + SECOND);
    }
    world.drive();
    codes.extend(client.codes());
    let waited = world.now().since(start);
    assert!(waited >= STOP_DRAIN, "{waited:?}");
    assert_eq!(world.exit(0), Some(Exit::Clean));
    let first_refused = codes.iter().position(|code| *code == STOPPING).unwrap();
    assert!(codes[..first_refused].iter().all(|code| *code == 0));
    assert!(codes[first_refused..].iter().all(|code| *code == STOPPING));
}

#[test]
fn a_client_that_does_not_read_cannot_hold_up_a_stop() {
    let mut world = World::new();
    world.net().window_bytes = 100;
    world.net().send_buffer_bytes = 100;
    world.start(Setup::new(1).disk(AT_ONCE, 1000));
    let deaf = world.connect(0);
    deaf.ask(100);
    world.drive();
    world.signal(0);
    let (waited, exit) = exit(&mut world);
    assert_eq!((waited, exit), (STOP_TIMEOUT, Exit::Clean));
    assert_eq!(world.node(0).disk.durable.get(), 100);
}

#[test]
fn a_second_signal_exits_at_once() {
    let (mut world, mut client) = pair(Setup::new(1).disk(DiskMode::Waits, 0));
    client.ask(1);
    world.drive();
    world.signal(0);
    world.advance(SECOND);
    assert_eq!(world.exit(0), None);
    world.signal(0);
    world.drive();
    assert_eq!(world.exit(0), Some(Exit::Forced));
    assert_eq!(client.sequences(), [0u64; 0]);
}

#[test]
fn a_disk_that_hangs_cannot_hold_up_a_stop() {
    for requests in [0, 1] {
        let (mut world, client) = pair(Setup::new(1).disk(DiskMode::Waits, 0));
        client.ask(requests);
        world.drive();
        world.signal(0);
        let (waited, exit) = exit(&mut world);
        assert_eq!((waited, exit), (STOP_TIMEOUT, Exit::StorageFailed));
    }
}

/// A client asks for an identity and a stop begins. Then the process is paused for longer than a stop may take, and
/// goes on.
fn ask_and_pause_in_stop(world: &mut World, client: &Client) {
    client.ask(1);
    world.drive();
    world.signal(0);
    world.step(0);
    let resumed = world.now().after(2 * STOP_TIMEOUT);
    world.net().now = resumed;
}

#[test]
fn a_pause_during_a_stop_takes_no_time_from_the_last_write() {
    let (mut world, mut client) = pair(Setup::new(1).disk(DiskMode::Takes(SECOND), 0));
    ask_and_pause_in_stop(&mut world, &client);
    let (waited, exit) = exit(&mut world);
    assert_eq!((waited, exit), (SECOND, Exit::Clean));
    assert_eq!(client.sequences(), [1]);
    assert_eq!(world.node(0).disk.durable.get(), 1);
    // But the disk has no more time than in any other stop.
    let (mut world, client) = pair(Setup::new(1).disk(DiskMode::Waits, 0));
    ask_and_pause_in_stop(&mut world, &client);
    let (waited, exit) = self::exit(&mut world);
    assert_eq!(
        (waited, exit),
        (STOP_TIMEOUT - STOP_DRAIN, Exit::StorageFailed)
    );
}

#[test]
fn a_pause_behind_the_last_request_of_a_stop_takes_no_time_from_the_last_write() {
    let (mut world, client) = pair(Setup::new(1).disk(DiskMode::Takes(SECOND), 1000));
    client.ask(1);
    world.drive();
    world.signal(0);
    // The actor has been told to stop, and the process is paused before the write begins.
    world.step(0);
    let resumed = world.now().after(2 * STOP_TIMEOUT);
    world.net().now = resumed;
    let (waited, exit) = exit(&mut world);
    assert_eq!((waited, exit), (SECOND, Exit::Clean));
    assert_eq!(world.node(0).disk.durable.get(), 1);
}

#[test]
fn a_process_that_is_always_late_ends_its_stop_too() {
    let (mut world, client) = pair(Setup::new(1).disk(DiskMode::Waits, 0));
    client.ask(1);
    world.drive();
    world.signal(0);
    world.step(0);
    let mut late = 0;
    while world.exit(0).is_none() {
        let resumed = world.now().after(STOP_TIMEOUT + PAUSED);
        world.net().now = resumed;
        world.drive();
        late += 1;
        // First it stops to answer, and at last it gives the disk up.
        assert!(late <= 2 + STOP_PAUSES_MAX, "it never ends");
    }
    assert_eq!(world.exit(0), Some(Exit::StorageFailed));
}

#[test]
fn a_stop_whose_last_write_fails_exits_with_a_failure() {
    let setup = Setup::new(1).disk(DiskMode::FailsAfter(SECOND), 1000);
    let (mut world, mut client) = pair(setup);
    client.ask(1);
    world.drive();
    world.signal(0);
    let (waited, exit) = exit(&mut world);
    assert_eq!((waited, exit), (SECOND, Exit::StorageFailed));
    assert_eq!(client.sequences(), [1]);
    assert_eq!(world.node(0).disk.durable.get(), 1000);
}

#[test]
fn a_stop_that_waits_for_a_write_that_fails_refuses_its_requests_and_exits_with_a_failure() {
    let setup = Setup::new(1).disk(DiskMode::FailsAfter(SECOND), 0);
    let (mut world, mut client) = pair(setup);
    client.ask(2);
    world.drive();
    world.signal(0);
    let (waited, exit) = exit(&mut world);
    assert!(waited <= SECOND + STORAGE_EXIT);
    assert_eq!(exit, Exit::StorageFailed);
    assert_eq!(client.codes(), [STORAGE, STORAGE]);
}

#[test]
fn connected_peers_do_not_hold_up_a_stop() {
    let mut world = World::new();
    world.net().delay = Duration::from_millis(20);
    world.start(Setup::new(1).peers(&[&address(1).to_string()]));
    world.start(Setup::new(2).peers(&[&address(0).to_string()]));
    world.advance(5 * SECOND);
    world.signal(0);
    let (waited, exit) = exit(&mut world);
    assert_eq!((waited, exit), (Duration::ZERO, Exit::Clean));
    world.advance(5 * SECOND);
    assert_eq!(world.status(1).sequence, 0, "and the other goes on");
}

// A signal that does not stop.

#[test]
fn a_hangup_reopens_files_and_neither_ends_a_server_nor_hurries_a_stop() {
    let (mut world, mut client) = pair(Setup::new(1).disk(DiskMode::Waits, 1000));
    world.hang_up(0);
    world.hang_up(0);
    client.ask(1);
    world.drive();
    assert_eq!(world.node(0).reopened, 2);
    assert_eq!(client.sequences(), [1]);
    world.signal(0);
    world.advance(SECOND);
    world.hang_up(0);
    world.advance(SECOND);
    assert_eq!(world.exit(0), None);
    assert_eq!(world.node(0).reopened, 3);
    world.end_write(0, true);
    world.drive();
    assert_eq!(world.exit(0), Some(Exit::Clean));
}

// A disk that fails.

#[test]
fn when_the_disk_fails_requests_below_the_ceiling_are_served_and_the_server_exits() {
    let setup = Setup::new(1).disk(DiskMode::FailsAfter(Duration::ZERO), 10);
    let (mut world, mut client) = pair(setup);
    let mut other = world.connect(0);
    world.drive();
    client.ask(8);
    world.drive();
    assert_eq!(client.sequences().len(), 8, "the raise fails after them");
    other.ask(3);
    world.drive();
    assert_eq!(other.codes(), [0, 0, STORAGE]);
    world.advance(STORAGE_EXIT / 2);
    client.ask(1);
    world.drive();
    assert_eq!(client.codes(), [STORAGE]);
    assert_eq!(world.status(0).counters.errors, [(STORAGE, 2)]);
    let (waited, exit) = exit(&mut world);
    assert_eq!((waited, exit), (STORAGE_EXIT / 2, Exit::StorageFailed));
    assert!(client.has_ended() && !client.is_reset());
}

#[test]
fn after_a_failed_disk_the_next_start_begins_above_everything() {
    let setup = Setup::new(1).disk(DiskMode::FailsAfter(SECOND), 1000);
    let (mut world, mut client) = pair(setup);
    client.ask(2000);
    let (_, exit) = exit(&mut world);
    assert_eq!(exit, Exit::StorageFailed);
    let replies = client.codes();
    assert_eq!(replies.iter().filter(|code| **code == 0).count(), 1000);
    world.node(0).disk.mode = AT_ONCE;
    world.restart(0);
    let mut client = world.connect(0);
    client.ask(1);
    assert_eq!(world.collect(&mut client), [1001]);
}

#[test]
fn a_signal_to_a_server_that_is_exiting_changes_nothing() {
    let setup = Setup::new(1).disk(DiskMode::FailsAfter(Duration::ZERO), 0);
    let (mut world, mut client) = pair(setup);
    client.ask(1);
    world.advance(STORAGE_EXIT / 2);
    assert_eq!(client.codes(), [STORAGE]);
    world.signal(0);
    let (waited, exit) = exit(&mut world);
    assert_eq!((waited, exit), (STORAGE_EXIT / 2, Exit::StorageFailed));
}
