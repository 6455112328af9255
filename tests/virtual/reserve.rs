//! Beyond the limit: whom a crowd pushes out of the reserve, what is answered even then, and where only TLS is taken.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use ipseity::{
    limits::{
        ACCEPTS_PER_TURN_MAX, LINGER_TIMEOUT, RESERVE_CONNECTIONS_MAX, RESERVE_HTTP_MAX,
        RESERVE_OPERATORS_MAX, RESERVE_TIMEOUT, SWEEP_INTERVAL,
    },
    secure::PlainFrom,
};
use ipseity_core::{
    identity::Pid,
    words::{ErrorCode, Message},
};
use ipseity_sim::{
    config::peer_says,
    pki::Pki,
    world::{Client, Setup, World, address, keep_log_lines, take_log_lines},
};

use crate::{
    deadlines::assert_about,
    http::{LIVE, READY, STATUS, answers, ask, post, statuses},
    tls::{Sealed, offering, talk},
};

const TOO_MANY: u16 = ErrorCode::TooManyConnections.get();

/// What `accept` fails with when there are no descriptors left.
const EMFILE: i32 = 24;

/// The address of somebody who is neither the crowd nor anybody else in a test.
const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 0, 1));

/// One of the addresses of a crowd.
fn one_of(number: usize) -> IpAddr {
    Ipv4Addr::from(0x0a09_0000 + number as u32).into()
}

/// A server with a place for one client, which is taken, and none for HTTP. Operators come from [`HONEST`].
fn full() -> (World, Client) {
    let mut setup = Setup::new(1);
    (setup.limits.connections_max, setup.limits.http_max) = (1, 0);
    // Who asks for the status comes from the other address.
    setup.limits.trust.operators = ["172.16.0.1/32", "192.168.0.1/32"]
        .map(|it| it.parse().unwrap())
        .to_vec();
    let mut world = World::with(setup);
    let client = world.connect(0);
    world.drive();
    (world, client)
}

/// Connections that say nothing, each from the next of so many addresses.
fn crowd(world: &mut World, size: usize, addresses: usize, by_http: bool) -> Vec<Client> {
    let crowd = (0..size).map(|number| {
        let from = one_of(number % addresses);
        match by_http {
            true => world.connect_by_http_from(0, from),
            false => world.connect_from(0, from),
        }
    });
    let crowd = crowd.collect();
    world.drive();
    crowd
}

fn assert_operates(world: &mut World, operator: &mut Client) {
    operator.send_message(&Message::StatusRequest);
    world.drive();
    let replies = operator.replies();
    assert!(
        matches!(replies[..], [Message::StatusReply(_)]),
        "{replies:?}"
    );
}

// Whom a crowd pushes out.

#[test]
fn a_crowd_from_a_few_addresses_pushes_no_slow_probe_out() {
    for addresses in [1, 2, RESERVE_HTTP_MAX / 2 - 1] {
        let (mut world, _client) = full();
        let mut probe = world.connect_by_http_from(0, HONEST);
        world.drive();
        let mut held = Vec::new();
        for _ in 0..4 {
            held.extend(crowd(&mut world, 4 * RESERVE_HTTP_MAX, addresses, true));
            world.advance(RESERVE_TIMEOUT / 5);
        }
        assert_eq!(answers(&mut probe), [], "{addresses} addresses");
        let found = ask(&mut world, &mut probe, LIVE);
        assert_eq!(statuses(&found), [200], "{addresses} addresses");
        // Those who are pushed out are told.
        assert_eq!(statuses(&answers(&mut held[0])), [503]);
    }
}

#[test]
fn a_crowd_of_clients_pushes_no_operator_and_no_peer_out() {
    let (mut world, _client) = full();
    let mut operator = world.connect_from(0, HONEST);
    let mut peer = world.connect_from(0, one_of(5000));
    world.drive();
    let mut held = crowd(&mut world, 4 * RESERVE_CONNECTIONS_MAX, 3, false);
    assert_eq!(held[0].codes(), [TOO_MANY]);
    assert_operates(&mut world, &mut operator);
    let pid = Pid::new(7).unwrap();
    peer.send_message(&Message::SyncRequest(Box::new(peer_says(pid))));
    world.drive();
    let replies = peer.peer_replies();
    assert!(
        matches!(replies[..], [Message::SyncReply(_)]),
        "{replies:?}"
    );
}

#[test]
fn of_many_addresses_with_one_connection_each_the_oldest_goes() {
    let (mut world, _client) = full();
    let mut held = crowd(&mut world, RESERVE_HTTP_MAX + 10, 5000, true);
    let told = held.iter_mut().map(|one| answers(one).len());
    let told: Vec<usize> = told.collect();
    let expected = [vec![1; 10], vec![0; RESERVE_HTTP_MAX]].concat();
    assert_eq!(told, expected);
}

#[test]
fn one_that_was_answered_goes_before_those_that_may_still_ask() {
    let (mut world, _client) = full();
    let mut held = crowd(&mut world, RESERVE_HTTP_MAX, 5000, true);
    // They do not close their side.
    for answered in &mut held[RESERVE_HTTP_MAX - 10..] {
        assert_eq!(statuses(&ask(&mut world, answered, LIVE)), [200]);
    }
    for number in 0..10 {
        let late = world.connect_by_http_from(0, one_of(6000 + number));
        world.drive();
        held.push(late);
    }
    for one in &mut held {
        assert_eq!(answers(one), []);
    }
}

#[test]
fn a_crowd_by_http_takes_nothing_of_what_peers_and_operators_have() {
    let (mut world, _client) = full();
    let mut operator = world.connect_from(0, HONEST);
    world.drive();
    let held = crowd(&mut world, 4 * RESERVE_HTTP_MAX, 5000, true);
    assert_operates(&mut world, &mut operator);
    // And the other way round.
    let mut probe = world.connect_by_http_from(0, HONEST);
    world.drive();
    let others = crowd(&mut world, 4 * RESERVE_CONNECTIONS_MAX, 5000, false);
    assert_eq!(statuses(&ask(&mut world, &mut probe, READY)), [200]);
    drop((held, others));
    // By HTTP an operator is not let in either, so the places of operators are left to those with frames.
    for _ in 0..RESERVE_OPERATORS_MAX + 1 {
        let mut by_http = world.connect_by_http_from(0, HONEST);
        assert_eq!(statuses(&ask(&mut world, &mut by_http, STATUS)), [503]);
    }
    let mut other = world.connect_from(0, HONEST);
    assert_operates(&mut world, &mut other);
}

// What is owed.

#[test]
fn a_probe_that_was_read_gets_its_answer_whoever_comes_then() {
    for asks_first in [true, false] {
        let (mut world, _client) = full();
        let mut held = crowd(&mut world, RESERVE_HTTP_MAX, 5000, true);
        let mut late = Vec::new();
        let ask_all = |held: &[Client]| held.iter().for_each(|one| one.send(LIVE));
        if asks_first {
            ask_all(&held);
        }
        for number in 0..ACCEPTS_PER_TURN_MAX {
            late.push(world.connect_by_http_from(0, one_of(6000 + number)));
        }
        if !asks_first {
            // The server reads them when it needs their places.
            world.net().run_due_events();
            ask_all(&held);
        }
        world.drive();
        for one in &mut held {
            assert_eq!(statuses(&answers(one)), [200]);
        }
        // Nobody had to go for them.
        for one in &mut late {
            assert_eq!(statuses(&ask(&mut world, one, READY)), [200]);
        }
        assert_eq!(world.status(0).counters.errors, []);
        let all = held.iter().chain(&late);
        world.advance(LINGER_TIMEOUT + SWEEP_INTERVAL);
        assert!(all.into_iter().all(Client::has_ended));
    }
}

#[test]
fn each_one_of_a_crowd_that_asks_is_answered_once_and_each_error_is_counted_once() {
    let (mut world, _client) = full();
    let mut probes: Vec<Client> = Vec::new();
    let mut others: Vec<Client> = Vec::new();
    for number in 0..10 * RESERVE_HTTP_MAX {
        let one = world.connect_by_http_from(0, one_of(number % 100));
        match number % 3 {
            0 => one.send(LIVE),
            1 => one.send(&post("", "")),
            _ => {}
        }
        match number % 3 {
            0 => probes.push(one),
            _ => others.push(one),
        }
    }
    world.drive();
    world.advance(RESERVE_TIMEOUT + SWEEP_INTERVAL);
    for probe in &mut probes {
        assert_eq!(statuses(&answers(probe)), [200]);
    }
    for other in &mut others {
        assert_eq!(statuses(&answers(other)), [503]);
        assert!(other.has_ended());
    }
    let errors = world.status(0).counters.errors;
    assert_eq!(errors, [(TOO_MANY, others.len() as u64)]);
}

#[test]
fn who_is_not_believed_to_be_a_peer_is_told_that_and_not_that_there_are_too_many() {
    let mut setup = Setup::new(1).believes_nobody();
    setup.limits.connections_max = 0;
    let mut world = World::with(setup);
    let mut stranger = world.connect_from(0, HONEST);
    world.drive();
    let _held = crowd(&mut world, RESERVE_CONNECTIONS_MAX - 1, 5000, false);
    let pid = Pid::new(7).unwrap();
    stranger.send_message(&Message::SyncRequest(Box::new(peer_says(pid))));
    let _late = crowd(&mut world, ACCEPTS_PER_TURN_MAX, 5000, false);
    assert_eq!(stranger.codes(), [ErrorCode::NotAPeer.get()]);
}

// No descriptors left.

#[test]
fn without_descriptors_those_by_http_go_first_and_one_that_is_owed_an_answer_gets_it() {
    let (mut world, _client) = full();
    let mut frames = crowd(&mut world, 8, 5000, false);
    let mut by_http = crowd(&mut world, ACCEPTS_PER_TURN_MAX, 5000, true);
    world.node(0).accept_error = Some(EMFILE);
    let _one_more = world.connect_from(0, HONEST);
    by_http[0].send(LIVE);
    world.net().run_due_events();
    world.step(0);
    world.net().run_due_events();
    let codes: Vec<u16> = by_http
        .iter_mut()
        .flat_map(|one| statuses(&answers(one)))
        .collect();
    assert_eq!(codes[0], 200);
    assert_eq!(codes.len(), ACCEPTS_PER_TURN_MAX);
    assert!(codes[1..].iter().all(|code| *code == 503));
    let told = frames.iter_mut().filter_map(|one| one.codes().pop());
    assert!(told.count() <= 1, "only when nobody else is left");
}

#[test]
fn where_all_that_could_go_are_owed_an_answer_it_is_tried_again_at_once() {
    let (mut world, _client) = full();
    let mut probes = crowd(&mut world, 4, 5000, true);
    keep_log_lines();
    world.node(0).accept_error = Some(EMFILE);
    let mut late = world.connect_by_http_from(0, HONEST);
    late.send(LIVE);
    probes.iter().for_each(|probe| probe.send(LIVE));
    world.net().run_due_events();
    world.step(0);
    world.node(0).accept_error = None;
    world.drive();
    for probe in probes.iter_mut().chain([&mut late]) {
        assert_eq!(statuses(&answers(probe)), [200]);
    }
    assert_eq!(take_log_lines(), Vec::<String>::new());
}

// One address has too many.

#[test]
fn a_probe_of_an_address_that_has_too_many_is_answered_and_nothing_else() {
    let mut setup = Setup::new(1).believes_nobody();
    setup.limits.per_address_max = Some(2);
    let mut world = World::with(setup);
    let _held: Vec<Client> = (0..2)
        .map(|_| world.connect_by_http_from(0, HONEST))
        .collect();
    world.drive();
    for probe in [LIVE, READY] {
        let mut client = world.connect_by_http_from(0, HONEST);
        let found = ask(&mut world, &mut client, probe);
        assert_eq!(statuses(&found), [200]);
        assert!(client.has_ended());
    }
    assert_eq!(world.status(0).bounds.refused_for_address, 0);
    let mut silent = world.connect_by_http_from(0, HONEST);
    for request in [&post("", "")[..], STATUS] {
        let mut client = world.connect_by_http_from(0, HONEST);
        let found = ask(&mut world, &mut client, request);
        assert_eq!(statuses(&found), [503]);
        let said = &found[0].body;
        assert!(said.contains("--max-connections-per-address"), "{said}");
    }
    world.advance(RESERVE_TIMEOUT + SWEEP_INTERVAL);
    let found = answers(&mut silent);
    assert_eq!(statuses(&found), [503]);
    assert!(found[0].body.contains("--max-connections-per-address"));
    let status = world.status(0);
    assert_eq!(status.bounds.refused_for_address, 3);
    assert_eq!(status.counters.errors, [(TOO_MANY, 3)]);
}

#[test]
fn an_address_that_has_too_many_keeps_no_probe_of_another_out() {
    let mut setup = Setup::new(1).believes_nobody();
    setup.limits.per_address_max = Some(1);
    setup.limits.http_max = 1;
    let mut world = World::with(setup);
    let _held = crowd(&mut world, 1, 1, true);
    let mut probe = world.connect_by_http_from(0, HONEST);
    world.drive();
    let _more = crowd(&mut world, 4 * RESERVE_HTTP_MAX, 1, true);
    assert_eq!(statuses(&ask(&mut world, &mut probe, LIVE)), [200]);
}

// The log.

#[test]
fn of_the_places_that_are_taken_the_line_names_those_who_hold_them() {
    let (mut world, _clients) = full();
    let _web: Vec<Client> = (0..50)
        .map(|_| world.connect_by_http_from(0, HONEST))
        .collect();
    world.drive();
    keep_log_lines();
    let _one_more = world.connect(0);
    world.drive();
    let lines = take_log_lines();
    let line = lines
        .iter()
        .find(|line| line.contains("no place for clients"));
    let from = HONEST.to_string();
    assert!(!line.unwrap().contains(&from), "{lines:#?}");
}

#[test]
fn that_one_kind_of_places_is_taken_does_not_hide_that_the_other_is() {
    let (mut world, _client) = full();
    keep_log_lines();
    for _ in 0..3 {
        let _web = world.connect_by_http(0);
        let _frames = world.connect(0);
        world.drive();
    }
    let lines = take_log_lines();
    let count = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
    assert_eq!(count("no place for clients is left"), 1, "{lines:#?}");
    assert_eq!(count("no place for HTTP is left"), 1, "{lines:#?}");
}

// TLS.

/// A server that offers TLS, and has no places.
fn sealed_and_full(pki: &Pki, plain: PlainFrom) -> World {
    let mut setup = offering(pki, 1, false);
    setup.limits.plain = plain;
    (setup.limits.connections_max, setup.limits.http_max) = (0, 0);
    World::with(setup)
}

fn dial(world: &mut World, pki: &Pki, by_http: bool) -> Sealed {
    let client = match by_http {
        true => world.connect_by_http_from(0, HONEST),
        false => world.connect_from(0, HONEST),
    };
    Sealed::new(client, pki.dial(&address(0).ip().to_string(), None))
}

#[test]
fn a_probe_by_tls_has_a_moment_for_each_of_its_steps() {
    let pki = Pki::new("CA");
    let mut world = sealed_and_full(&pki, PlainFrom::Nowhere);
    let pause = RESERVE_TIMEOUT - 2 * SWEEP_INTERVAL;
    let client = world.connect_by_http_from(0, HONEST);
    world.advance(pause);
    let mut probe = Sealed::new(client, pki.dial(&address(0).ip().to_string(), None));
    world.drive();
    world.advance(pause);
    talk(&mut world, &mut [&mut probe]);
    world.advance(pause);
    probe.send(LIVE);
    talk(&mut world, &mut [&mut probe]);
    let said = String::from_utf8_lossy(probe.decoder.rest()).into_owned();
    assert!(said.starts_with("HTTP/1.1 200 "), "{said:?}");
    assert_eq!(probe.error, None);
    assert!(probe.has_ended, "close_notify comes before the end");
}

#[test]
fn nobody_gets_plain_text_before_its_handshake() {
    let pki = Pki::new("CA");
    let both = [PlainFrom::Nowhere, PlainFrom::Anywhere];
    for (plain, by_http) in both
        .into_iter()
        .flat_map(|plain| [(plain, true), (plain, false)])
    {
        let most = match by_http {
            true => RESERVE_HTTP_MAX,
            false => RESERVE_CONNECTIONS_MAX,
        };
        let mut world = sealed_and_full(&pki, plain);
        let mut held = crowd(&mut world, most, 5000, by_http);
        // Half of them have begun a handshake, and the first step of some of these was done.
        for one in held.iter().step_by(2) {
            one.send(&[0x16, 3, 1, 1, 0]);
        }
        world.net().run_due_events();
        world.step(0);
        world.step(0);
        let _more = crowd(&mut world, most / 2, 5000, by_http);
        let mut got = vec![false; most];
        let mut ended = || {
            for (one, got) in held.iter_mut().zip(&mut got) {
                *got |= !one.bytes().is_empty();
            }
            held.iter().filter(|one| one.has_ended()).count()
        };
        assert_eq!(ended(), most / 2, "they were turned away");
        // And the others are, when their time is over.
        let waited = world.advance_until(3 * RESERVE_TIMEOUT, |_| ended() == most);
        assert_about(waited, RESERVE_TIMEOUT);
        // Who has not begun is told without TLS where that is taken.
        let told = |number: usize| plain == PlainFrom::Anywhere && number % 2 == 1;
        assert!(
            got.iter()
                .enumerate()
                .all(|(number, got)| *got == told(number)),
            "{got:?}"
        );
    }
}

#[test]
fn one_that_has_ended_its_handshake_is_told_within_it() {
    let pki = Pki::new("CA");
    let mut world = sealed_and_full(&pki, PlainFrom::Nowhere);
    let mut client = dial(&mut world, &pki, false);
    let mut by_http = dial(&mut world, &pki, true);
    talk(&mut world, &mut [&mut client, &mut by_http]);
    // They wait there, and so many come that they have to go.
    let _held = crowd(&mut world, RESERVE_CONNECTIONS_MAX, 5000, false);
    let _also = crowd(&mut world, RESERVE_HTTP_MAX, 5000, true);
    talk(&mut world, &mut [&mut client, &mut by_http]);
    assert_eq!(client.codes(), [TOO_MANY]);
    by_http.pump();
    let said = String::from_utf8_lossy(by_http.decoder.rest()).into_owned();
    assert!(said.starts_with("HTTP/1.1 503 "), "{said:?}");
    assert!(client.has_ended && by_http.has_ended, "with close_notify");
}

#[test]
fn an_address_that_has_too_many_gets_no_plain_text_where_only_tls_is_taken() {
    let pki = Pki::new("CA");
    let mut setup = offering(&pki, 1, false).believes_nobody();
    setup.limits.plain = PlainFrom::Nowhere;
    setup.limits.per_address_max = Some(1);
    let mut world = World::with(setup);
    let _held = world.connect_from(0, HONEST);
    world.drive();
    let mut refused = world.connect_from(0, HONEST);
    world.drive();
    assert!(refused.has_ended() && refused.bytes().is_empty());
    let mut probe = dial(&mut world, &pki, true);
    talk(&mut world, &mut [&mut probe]);
    probe.send(LIVE);
    talk(&mut world, &mut [&mut probe]);
    let said = String::from_utf8_lossy(probe.decoder.rest()).into_owned();
    assert!(said.starts_with("HTTP/1.1 200 "), "{said:?}");
}

/// A step of a handshake takes its time, and many wait for theirs.
#[test]
fn the_time_for_which_a_handshake_waits_for_the_server_is_not_counted_against_it() {
    let pki = Pki::new("CA");
    let mut world = sealed_and_full(&pki, PlainFrom::Nowhere);
    let mut probes: Vec<Sealed> = (0..10).map(|_| dial(&mut world, &pki, true)).collect();
    let mut passed = Duration::ZERO;
    let mut is_asked = [false; 10];
    while !probes.iter().all(|probe| probe.client.has_ended()) {
        assert!(passed < 100 * RESERVE_TIMEOUT, "some are never answered");
        world.net().run_due_events();
        world.step(0);
        let step = RESERVE_TIMEOUT / 3;
        world.net().now = world.now().after(step);
        passed += step;
        for (probe, is_asked) in probes.iter_mut().zip(&mut is_asked) {
            probe.pump();
            if !*is_asked && !probe.tls.is_handshaking() {
                *is_asked = true;
                probe.send(LIVE);
            }
        }
    }
    assert!(passed > 3 * RESERVE_TIMEOUT, "{passed:?}");
    for probe in &mut probes {
        probe.pump();
        let said = String::from_utf8_lossy(probe.decoder.rest()).into_owned();
        assert!(said.starts_with("HTTP/1.1 200 "), "{said:?}");
    }
}
