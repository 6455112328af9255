//! Who goes first when there is not enough room for all: nobody waits for ever, and those who take much do not keep
//! the room from those who take little.

use std::time::Duration;

use ipseity::limits::{
    DISCARDS_PER_TURN, FRAMES_IN_FLIGHT_MAX, FRAMES_PER_CONNECTION_MAX, FRAMES_SHARE_MIN,
    READ_BYTES_MAX, READING_SPAN, ROOM_TO_SHARE, TURN_ENTRIES_MAX,
};
use ipseity_core::{identity::PID_BITS, words::Message};
use ipseity_frames::encode;
use ipseity_sim::world::{Client, DiskMode, End, Setup, World};

/// What a greedy client keeps waiting to be read.
const ASKED_AHEAD: usize = 3000;

/// A new connection stands behind what is in flight when it is accepted, when it is read, when it waits for room, and
/// when its request is handled.
const TURNS_MAX: usize = 4 * FRAMES_IN_FLIGHT_MAX / TURN_ENTRIES_MAX;

/// A client that sends the same request without end, and reads everything.
struct Greedy {
    client: Client,
    request: Vec<u8>,
    asked: usize,
    answered: usize,
}

impl Greedy {
    fn new(client: Client, request: &Message) -> Greedy {
        let mut bytes = Vec::new();
        encode(request, &mut bytes);
        Greedy {
            client,
            request: bytes,
            asked: 0,
            answered: 0,
        }
    }

    /// Reads what has come and asks for as much again.
    fn go_on(&mut self) {
        self.answered += self.client.replies().len();
        let more = ASKED_AHEAD + self.answered - self.asked;
        self.client.send(&self.request.repeat(more));
        self.asked += more;
    }
}

/// A server with so many greedy clients, which have all been at work for some turns. `window` is how many bytes of a
/// connection are read at a time.
fn flooded(clients: usize, window: usize, request: &Message) -> (World, Vec<Greedy>) {
    let mut setup = Setup::new(1);
    setup.is_traced = false;
    setup.limits.connections_max = 10_000;
    let mut world = World::new();
    world.net().window_bytes = window;
    world.start(setup);
    let mut crowd: Vec<Greedy> = (0..clients)
        .map(|_| Greedy::new(world.connect(0), request))
        .collect();
    world.drive();
    for _ in 0..4 * TURNS_MAX {
        turn(&mut world, &mut crowd);
    }
    (world, crowd)
}

fn turn(world: &mut World, crowd: &mut [Greedy]) {
    world.net().run_due_events();
    world.step(0);
    world.net().run_due_events();
    crowd.iter_mut().for_each(Greedy::go_on);
}

/// How many answers each has.
fn answered(crowd: &[Greedy]) -> impl Iterator<Item = usize> + use<> {
    let answered: Vec<usize> = crowd.iter().map(|one| one.answered).collect();
    answered.into_iter()
}

/// The requests that a flood can consist of: one that is refused, and the usual one.
fn requests() -> [Message; 2] {
    [0, 1].map(|count| Message::IdentityRequest { count, after: 0 })
}

/// In how many turns one that waits behind these is served. The room is shared out so often that each gets the smallest
/// share, and what was shared out is handled in some turns. Twice more, for what was in flight and for what came just
/// before it.
fn turns_max(clients: usize) -> usize {
    let times = (clients * FRAMES_SHARE_MIN).div_ceil(ROOM_TO_SHARE);
    (times + 2) * FRAMES_IN_FLIGHT_MAX / TURN_ENTRIES_MAX
}

#[test]
fn clients_that_take_all_the_room_hold_up_a_modest_one_for_a_few_turns() {
    for request in requests() {
        for (clients, window) in [(80, 16_384), (300, 4096)] {
            let (mut world, mut crowd) = flooded(clients, window, &request);
            let mut modest = world.connect(0);
            for _ in 0..3 {
                modest.ask(1);
                let before = answered(&crowd);
                let mut turns = 0;
                while modest.replies().is_empty() {
                    turn(&mut world, &mut crowd);
                    turns += 1;
                    let most = turns_max(clients);
                    assert!(turns <= most, "{clients} x {window}: not answered");
                }
                // What was in flight, a share before its own, and perhaps one behind it in the same turn.
                let most = answered(&crowd)
                    .zip(before)
                    .map(|(now, before)| now - before)
                    .max();
                assert!(
                    most <= Some(3 * FRAMES_PER_CONNECTION_MAX),
                    "{clients} x {window}: {most:?}"
                );
            }
        }
    }
}

#[test]
fn of_many_greedy_clients_each_gets_its_share() {
    // More than can be served at once, even if each gets the smallest share.
    let many = 2 * ROOM_TO_SHARE / FRAMES_SHARE_MIN;
    for (clients, window, rounds) in [(80, 4096, 1), (many, 700, 3)] {
        let (mut world, mut crowd) = flooded(clients, window, &requests()[0]);
        let before: Vec<usize> = answered(&crowd).collect();
        for _ in 0..rounds * TURNS_MAX {
            turn(&mut world, &mut crowd);
        }
        let shares: Vec<usize> = answered(&crowd)
            .zip(before)
            .map(|(now, before)| now - before)
            .collect();
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        assert!(
            *least > 0 && most - least <= 2 * FRAMES_PER_CONNECTION_MAX,
            "{clients}: {least} to {most}"
        );
    }
}

#[test]
fn requests_that_wait_alone_for_the_disk_take_no_room_from_others() {
    const CEILING: u64 = 100_000;
    let setup = Setup::new(1).disk(DiskMode::Waits, CEILING);
    let after = (CEILING + 1000) << PID_BITS;
    let next = Message::IdentityRequest { count: 1, after };
    let advance = Message::AdvanceRequest {
        above: CEILING + 1000,
    };
    for request in [next, advance] {
        let mut setup = setup.clone();
        setup.limits.trust.operators = vec!["192.168.0.1/32".parse().unwrap()];
        let mut world = World::with(setup);
        let mut old = world.connect(0);
        let mut crowd: Vec<Client> = (0..2 * FRAMES_IN_FLIGHT_MAX / FRAMES_PER_CONNECTION_MAX)
            .map(|_| world.connect(0))
            .collect();
        world.drive();
        let mut bytes = Vec::new();
        encode(&request, &mut bytes);
        for client in &crowd {
            client.ask(1);
            client.send(&bytes.repeat(FRAMES_PER_CONNECTION_MAX));
            client.ask(1);
        }
        world.drive();
        assert_eq!(
            world.status(0).bounds.waiting_for_disk,
            crowd.len() as u64,
            "one for each"
        );
        for client in &mut crowd {
            assert_eq!(
                client.replies().len(),
                1,
                "what was asked before it is answered"
            );
        }
        // There is plenty below the ceiling for everybody else.
        let mut new = world.connect(0);
        for client in [&mut old, &mut new] {
            client.ask(FRAMES_PER_CONNECTION_MAX);
            assert_eq!(world.collect(client).len(), FRAMES_PER_CONNECTION_MAX);
        }
        // Once it is durable everything is answered, and nobody has lost a place.
        world.node(0).disk.mode = DiskMode::Takes(Duration::ZERO);
        world.end_write(0, true);
        for client in &mut crowd {
            let mut replies = 0;
            while replies < FRAMES_PER_CONNECTION_MAX + 1 {
                world.drive();
                let more = client.replies().len();
                assert!(more > 0, "{replies} replies");
                replies += more;
            }
        }
        assert_eq!(world.status(0).bounds.waiting_for_disk, 0);
    }
}

#[test]
fn requests_after_what_was_handed_out_are_not_taken_one_by_one() {
    let mut world = World::with(Setup::new(1).disk(DiskMode::Waits, 2000));
    let mut client = world.connect(0);
    client.ask(1);
    world.drive();
    let Some(Message::IdentityReply { first, .. }) = client.replies().pop() else {
        panic!("it has one reply");
    };
    for _ in 0..FRAMES_PER_CONNECTION_MAX {
        client.send_message(&Message::IdentityRequest {
            count: 3,
            after: first,
        });
    }
    world.drive();
    let waits = world.status(0).bounds.waiting_for_disk as usize;
    assert_eq!(client.replies().len() + waits, FRAMES_PER_CONNECTION_MAX);
}

#[test]
fn those_that_read_nothing_for_long_make_room_before_one_that_reads() {
    const BOUND: usize = 100_000;
    let mut setup = Setup::new(1);
    setup.limits.pending_bytes_total = BOUND;
    let mut world = World::new();
    world.net().window_bytes = 1024;
    world.net().send_buffer_bytes = 2048;
    world.start(setup);
    let mut reader = world.connect(0);
    let mut deaf = Vec::new();
    reader.ask(3000);
    let mut read = 0;
    let mut cut_off = 0;
    while read < 3000 {
        let client = world.connect(0);
        client.ask(300);
        deaf.push(client);
        world.advance(READING_SPAN);
        let status = world.status(0);
        assert!(
            status.bounds.pending_bytes <= BOUND as u64,
            "{:?}",
            status.bounds
        );
        cut_off = status.bounds.cut_off;
        read += reader.replies().len();
        assert!(!reader.has_ended(), "it was cut off after {read}");
    }
    assert!(cut_off > 0);
    // The first one that never read is gone, and the last one is still there.
    let last = deaf.len() - 1;
    for (place, is_cut_off) in [(0, true), (last, false)] {
        let replies = world.collect(&mut deaf[place]).len();
        assert_eq!(replies < 300, is_cut_off, "{replies}");
    }
}

/// Bytes that have arrived at the server and that it has not read.
fn unread(world: &World) -> usize {
    world.net().ends.iter().map(End::unread).sum()
}

/// What somebody sends who was told that nothing more is read is dropped. To read it takes system calls, and serves nobody.
#[test]
fn those_who_go_on_sending_after_a_refusal_take_little_of_each_turn() {
    let mut world = World::new();
    world.net().window_bytes = 100 * READ_BYTES_MAX;
    world.start(Setup::new(1));
    let mut noisy: Vec<Client> = (0..4).map(|_| world.connect(0)).collect();
    let mut stays = world.connect(0);
    world.drive();
    for client in &noisy {
        client.send(&[0xff; 3]);
    }
    world.drive();
    for client in &mut noisy {
        assert!(client.codes().len() == 1 && client.has_ended());
        client.send(&vec![0xff; 50 * READ_BYTES_MAX]);
    }
    // The poll tells of each of them once.
    let at_once = noisy.len() + DISCARDS_PER_TURN;
    world.net().run_due_events();
    let mut left = unread(&world);
    assert_eq!(left, noisy.len() * 50 * READ_BYTES_MAX);
    let mut turns = 0;
    while left > 0 {
        stays.ask(1);
        world.net().run_due_events();
        world.step(0);
        turns += 1;
        world.net().run_due_events();
        assert_eq!(stays.sequences(), [turns], "it is answered in each turn");
        let before = std::mem::replace(&mut left, unread(&world));
        let read = before.abs_diff(left) / READ_BYTES_MAX;
        assert!(read <= at_once, "{read} reads in turn {turns}");
    }
}
