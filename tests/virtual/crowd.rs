//! Clients that come, ask, stall and vanish in any order, against a server with small buffers and a slow disk: each
//! client that stays gets every answer once and in order, and the others leave nothing behind.

use std::time::Duration;

use ipseity::limits::{ACCEPTS_PER_TURN_MAX, ENDINGS_PER_TURN};
use ipseity_core::words::Message;
use ipseity_sim::world::{Client, DiskMode, Setup, World};
use proptest::{collection::vec, prelude::*};

/// What may happen next. A client is named by a number, taken modulo the number of clients.
#[derive(Clone, Debug)]
enum Act {
    Connect,
    Ask { client: usize, requests: usize },
    AskByHalves { client: usize },
    Status { client: usize },
    Read { client: usize },
    Finish { client: usize },
    Leave { client: usize },
    Cut { client: usize },
    Step,
    Drive,
    Pass { ms: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    let client = 0..8usize;
    prop_oneof![
        3 => Just(Act::Connect),
        6 => (client.clone(), 1..20usize).prop_map(|(client, requests)| Act::Ask { client, requests }),
        2 => (client.clone(), 500..9000usize)
            .prop_map(|(client, requests)| Act::Ask { client, requests }),
        3 => client.clone().prop_map(|client| Act::AskByHalves { client }),
        2 => client.clone().prop_map(|client| Act::Status { client }),
        4 => client.clone().prop_map(|client| Act::Read { client }),
        1 => client.clone().prop_map(|client| Act::Finish { client }),
        1 => client.clone().prop_map(|client| Act::Leave { client }),
        1 => client.prop_map(|client| Act::Cut { client }),
        8 => Just(Act::Step),
        2 => Just(Act::Drive),
        3 => (0..300u64).prop_map(|ms| Act::Pass { ms }),
    ]
}

/// A client, and how many answers it still has to get.
struct Guest {
    client: Client,
    asked: usize,
    answers: Vec<u64>,
    /// The second half of a request is still to be sent.
    is_halfway: bool,
    is_finished: bool,
}

impl Guest {
    /// Reads what has come. A status counts as an answer without a sequence.
    fn read(&mut self) {
        for reply in self.client.replies() {
            match reply {
                Message::IdentityReply { first, count: 1 } => {
                    self.answers.push(first >> 10);
                }
                Message::StatusReply(_) => self.answers.push(0),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Sends the rest of a request that was begun, so that another one may follow.
    fn complete(&mut self) {
        if self.is_halfway {
            self.client.send(&[1, 1]);
            self.is_halfway = false;
        }
    }
}

fn perform(world: &mut World, guests: &mut Vec<Guest>, act: &Act) {
    if let Act::Connect = act {
        if guests.len() < 8 {
            guests.push(Guest {
                client: world.connect(0),
                asked: 0,
                answers: Vec::new(),
                is_halfway: false,
                is_finished: false,
            });
        }
        return;
    }
    let (Act::Ask { client, .. }
    | Act::AskByHalves { client }
    | Act::Status { client }
    | Act::Read { client }
    | Act::Finish { client }
    | Act::Leave { client }
    | Act::Cut { client }) = act
    else {
        match act {
            Act::Step => drop(world.step(0)),
            Act::Pass { ms } => world.advance(Duration::from_millis(*ms)),
            _ => world.drive(),
        }
        return;
    };
    if guests.is_empty() {
        return;
    }
    let place = client % guests.len();
    let guest = &mut guests[place];
    match act {
        Act::Read { .. } => guest.read(),
        Act::Leave { .. } => drop(guests.swap_remove(place)),
        Act::Cut { .. } => guests.swap_remove(place).client.reset(),
        _ if guest.is_finished => {}
        Act::Ask { requests, .. } => {
            guest.complete();
            guest.client.ask(*requests);
            guest.asked += requests;
        }
        Act::AskByHalves { .. } => {
            guest.complete();
            guest.client.send(&[0]);
            guest.asked += 1;
            guest.is_halfway = true;
        }
        Act::Status { .. } => {
            guest.complete();
            guest.client.send(&[0, 1, 5]);
            guest.asked += 1;
        }
        _ => {
            guest.complete();
            guest.client.finish();
            guest.is_finished = true;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_client_that_stays_gets_every_answer_once_and_in_order(
        acts in vec(act(), 1..80),
        disk_ms in 0..400u64,
        window in 40..5000usize,
        send_buffer in 40..5000usize,
    ) {
        let mut setup = Setup::new(1).disk(DiskMode::Takes(Duration::from_millis(disk_ms)), 0);
        setup.limits.pending_bytes_max = 4096;
        let mut world = World::new();
        world.net().window_bytes = window;
        world.net().send_buffer_bytes = send_buffer;
        world.start(setup);
        let mut guests = Vec::new();
        for act in &acts {
            perform(&mut world, &mut guests, act);
        }
        // Now every client completes its request and reads until no answer is missing.
        for guest in &mut guests {
            guest.complete();
        }
        world.drive();
        guests.iter_mut().for_each(Guest::read);
        let mut rounds = 0;
        while guests.iter().any(|guest| guest.answers.len() < guest.asked) {
            world.advance(Duration::from_millis(if rounds % 100 == 99 { 500 } else { 0 }));
            guests.iter_mut().for_each(Guest::read);
            rounds += 1;
            prop_assert!(rounds < 100_000, "a client is never answered");
        }
        world.drive();
        let mut all: Vec<u64> = Vec::new();
        for guest in &guests {
            prop_assert_eq!(guest.answers.len(), guest.asked);
            prop_assert_eq!(guest.client.has_ended(), guest.is_finished);
            let sequences = guest.answers.iter().filter(|sequence| **sequence > 0);
            let before = all.len();
            all.extend(sequences);
            prop_assert!(all[before..].is_sorted_by(|one, next| one < next));
        }
        let handed_out = all.len();
        all.sort_unstable();
        all.dedup();
        prop_assert_eq!(all.len(), handed_out);
        // The clients that are gone left nothing behind.
        drop(guests);
        world.advance(Duration::from_secs(70));
        world.net().window_bytes = 64 * 1024;
        prop_assert_eq!(world.status(0).connections, 1);
    }
}

/// To end a connection takes a few system calls. Many that leave at once must not hold up those that stay.
#[test]
fn clients_that_leave_at_once_are_ended_over_several_turns_and_others_are_served_between() {
    let mut world = World::with(Setup::new(1));
    let crowd: Vec<Client> = (0..4 * ENDINGS_PER_TURN)
        .map(|_| world.connect(0))
        .collect();
    let mut stays = world.connect(0);
    world.drive();
    for client in &crowd {
        client.finish();
    }
    let ended = || crowd.iter().filter(|client| client.has_ended()).count();
    let before = world.turns(0);
    let mut served = 0;
    while ended() < crowd.len() {
        stays.ask(1);
        world.step(0);
        served += stays.sequences().len();
        let turns = (world.turns(0) - before) as usize;
        assert!(
            ended() <= turns * ENDINGS_PER_TURN,
            "{} in {turns} turns",
            ended()
        );
    }
    assert!(served >= 3, "{served}");
}

/// To accept a connection takes a few system calls too.
#[test]
fn clients_that_come_at_once_are_accepted_over_several_turns_and_others_are_served_between() {
    let mut world = World::with(Setup::new(1));
    let mut stays = world.connect(0);
    world.drive();
    let crowd: Vec<Client> = (0..4 * ACCEPTS_PER_TURN_MAX)
        .map(|_| world.connect(0))
        .collect();
    world.net().run_due_events();
    let accepts = |world: &World| world.trace(0, "acceptable").len();
    let before = (world.turns(0), accepts(&world));
    let mut served = 0;
    for _ in 0..8 {
        stays.ask(1);
        world.step(0);
        served += stays.sequences().len();
        let turns = (world.turns(0) - before.0) as usize;
        // Each of them takes a few.
        assert!(accepts(&world) - before.1 <= turns);
    }
    assert!(served >= 7, "{served}");
    world.drive();
    assert_eq!(world.status(0).connections as usize, crowd.len() + 2);
}
