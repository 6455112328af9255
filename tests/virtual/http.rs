//! HTTP in virtual time: one request of a connection at a time, its deadlines, its places, and what never waits.

use std::time::Duration;

use ipseity::limits::{
    FRAME_TIMEOUT, FRAMES_IN_FLIGHT_MAX, FRAMES_PER_CONNECTION_MAX, HTTP_IDLE_TIMEOUT,
    LINGER_TIMEOUT, LOOKS_IN_FLIGHT_MAX, SWEEP_INTERVAL,
};
use ipseity_core::words::{CodecStatus, ErrorCode};
use ipseity_sim::world::{Client, DiskMode, Setup, World};

use crate::deadlines::assert_about;

const SECOND: Duration = Duration::from_secs(1);
pub const LIVE: &[u8] = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
pub const READY: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n";
pub const STATUS: &[u8] = b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n";

/// A request for identities with these further headers.
pub fn post(query: &str, headers: &str) -> Vec<u8> {
    let start = format!("POST /identities{query} HTTP/1.1\r\nHost: localhost\r\n");
    format!("{start}Content-Type: application/json\r\n{headers}\r\n").into_bytes()
}

/// An answer: its status, its head and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    fn closes(&self) -> bool {
        self.head.contains("\r\nConnection: close")
    }
}

/// The answers in `bytes`, where the one at `head` belongs to a HEAD. All have to be whole.
fn split(bytes: &[u8], head: Option<usize>) -> Vec<Answer> {
    let mut rest = str::from_utf8(bytes).unwrap();
    let mut answers = Vec::new();
    while !rest.is_empty() {
        let (top, behind) = rest.split_once("\r\n\r\n").expect("a whole head");
        let (_, length) = top.split_once("Content-Length: ").expect("a length");
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        let length = if head == Some(answers.len()) {
            0
        } else {
            length
        };
        let (body, behind) = behind.split_at(length);
        answers.push(Answer {
            status: top["HTTP/1.1 ".len()..][..3].parse().unwrap(),
            head: top.to_owned(),
            body: body.to_owned(),
        });
        rest = behind;
    }
    answers
}

pub fn answers(client: &mut Client) -> Vec<Answer> {
    split(&client.bytes(), None)
}

/// Lets the server answer, and returns the answers.
pub fn ask(world: &mut World, client: &mut Client, request: &[u8]) -> Vec<Answer> {
    client.send(request);
    world.drive();
    answers(client)
}

pub fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

fn bodies(answers: &[Answer]) -> Vec<&str> {
    answers.iter().map(|answer| &*answer.body).collect()
}

/// A world with one server and one client that speaks HTTP.
fn pair(setup: Setup) -> (World, Client) {
    let mut world = World::with(setup);
    let client = world.connect_by_http(0);
    world.drive();
    (world, client)
}

/// A server whose disk has to write before it hands out anything, and does not.
fn hanging() -> Setup {
    Setup::new(1).disk(DiskMode::Waits, 0)
}

fn release(world: &mut World) {
    world.node(0).disk.mode = DiskMode::Takes(Duration::ZERO);
    world.end_write(0, true);
    world.drive();
}

/// What the codecs have done: that of frames, and that of HTTP. It is asked for by frames.
fn codecs(world: &mut World) -> [CodecStatus; 2] {
    world.status(0).vitals.codecs.try_into().unwrap()
}

fn open(codec: &CodecStatus) -> u32 {
    let by = codec.connections;
    by.none + by.take + by.look + by.sync + by.operate
}

// One request at a time.

#[test]
fn a_lone_request_is_answered_in_one_piece_and_the_connection_goes_on() {
    let (mut world, mut client) = pair(Setup::new(1));
    for round in 1..=3_u64 {
        let found = ask(&mut world, &mut client, &post("", ""));
        let body = format!("{{\"identities\":[\"{}\"]}}\n", round * 1024 + 1);
        assert_eq!(
            (statuses(&found), bodies(&found)),
            (vec![200], vec![&*body])
        );
        assert_eq!(client.pieces(), round);
    }
    // One for the request, and none for an end of something.
    assert_eq!(world.trace(0, "readable").len(), 3);
    assert!(!client.has_ended());
}

#[test]
fn pipelined_requests_are_answered_in_order_each_in_its_own_form() {
    for bytes in [1, 7, 60, 4096] {
        let mut setup = Setup::new(1);
        setup.limits.read_bytes_max = bytes;
        let (mut world, mut client) = pair(setup);
        let requests = [
            &post("", "")[..],
            &post("?count=2", "Accept: text/plain\r\n"),
            b"HEAD /livez HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
            &post("?count=501", ""),
            &post("", "Content-Length: 4\r\n"),
            b"POST",
            STATUS,
            &post("", "Connection: close\r\n"),
            LIVE,
        ];
        client.send(&requests.concat());
        world.drive();
        let found = split(&client.bytes(), Some(2));
        assert_eq!(
            statuses(&found),
            [200, 200, 200, 404, 400, 200, 200, 200],
            "in pieces of {bytes}"
        );
        assert_eq!(found[0].body, "{\"identities\":[\"1025\"]}\n");
        assert_eq!(found[1].body, "2049\n3073\n");
        assert_eq!(found[2].body, "");
        assert!(found[4].body.starts_with("{\"error\":\"badCount\""));
        assert_eq!(found[5].body, "{\"identities\":[\"4097\"]}\n");
        assert!(found[6].body.starts_with("{\"") && found[6].body.contains("\"vitals\""));
        assert_eq!(found[7].body, "{\"identities\":[\"5121\"]}\n");
        let closing: Vec<bool> = found.iter().map(Answer::closes).collect();
        assert_eq!(
            closing,
            [false, false, false, false, false, false, false, true]
        );
        world.advance(LINGER_TIMEOUT + SWEEP_INTERVAL);
        assert!(client.has_ended(), "and what is behind is never read");
        assert_eq!(open(&codecs(&mut world)[1]), 0);
    }
}

#[test]
fn a_request_behind_one_that_waits_for_the_disk_waits_and_changes_nothing_about_its_answer() {
    let behind: [&[u8]; 5] = [
        b"HEAD /livez HTTP/1.1\r\nHost: a\r\n\r\n",
        &post("", "Accept: text/plain\r\nConnection: close\r\n"),
        b"nonsense\r\n\r\n",
        STATUS,
        b"GET /livez HTTP/1.0\r\n\r\n",
    ];
    for next in behind {
        for at_once in [true, false] {
            let (mut world, mut client) = pair(hanging());
            client.send(&post("", ""));
            if !at_once {
                world.drive();
            }
            client.send(next);
            assert_eq!(ask(&mut world, &mut client, b""), []);
            world.advance(2 * FRAME_TIMEOUT);
            assert_eq!(answers(&mut client), [], "its own wait is not its client's");
            release(&mut world);
            let is_head = next.starts_with(b"HEAD");
            let found = split(&client.bytes(), is_head.then_some(1));
            assert_eq!(found.len(), 2);
            assert_eq!(found[0].body, "{\"identities\":[\"1025\"]}\n");
            assert!(!found[0].closes());
            let closes = !is_head && next != STATUS;
            assert_eq!(found[1].closes(), closes);
            assert_eq!(client.has_ended(), closes);
        }
    }
}

#[test]
fn a_request_far_ahead_waits_alone_and_takes_no_room() {
    let (mut world, mut client) = pair(Setup::new(1).disk(DiskMode::Waits, 1000));
    let far = post("?after=500000:1", "Connection: close\r\n");
    client.send(&[far, LIVE.to_vec()].concat());
    world.drive();
    let mut other = world.connect_by_http(0);
    let found = ask(&mut world, &mut other, &post("", ""));
    assert_eq!(bodies(&found), ["{\"identities\":[\"1025\"]}\n"]);
    assert_eq!(answers(&mut client), []);
    release(&mut world);
    let found = answers(&mut client);
    assert_eq!(statuses(&found), [200]);
    assert!(found[0].closes() && client.has_ended());
    assert_eq!(codecs(&mut world)[1].identity_requests, 2);
}

#[test]
fn a_refusal_that_closes_ends_the_connection_and_nothing_behind_it_is_read() {
    for bad in [
        &b"nonsense\r\n\r\n"[..],
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\nHost: a\n\n",
        b"POST /identities HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /livez HTTP/2.0\r\nHost: a\r\n\r\n",
    ] {
        let (mut world, mut client) = pair(Setup::new(1));
        let found = ask(
            &mut world,
            &mut client,
            &[LIVE, bad, &post("", "")].concat(),
        );
        assert_eq!(found.len(), 2);
        assert!(found[0].status == 200 && found[1].status >= 400);
        assert!(found[1].closes() && client.has_ended() && !client.is_reset());
        assert_eq!(world.trace(0, "identityRequest").len(), 0);
        assert_eq!(world.trace(0, "pageRequest").len(), 1);
        assert_eq!(world.trace(0, "httpRefused").len(), 1);
    }
}

#[test]
fn a_half_closed_client_gets_all_its_answers_and_the_end() {
    for waits in [false, true] {
        let setup = if waits { hanging() } else { Setup::new(1) };
        let (mut world, mut client) = pair(setup);
        client.send(&[&post("", "")[..], LIVE, &post("", "")].concat());
        client.finish();
        world.drive();
        if waits {
            release(&mut world);
        }
        assert_eq!(statuses(&answers(&mut client)), [200, 200, 200]);
        assert!(client.has_ended() && !client.is_reset());
    }
    let (mut world, mut client) = pair(Setup::new(1));
    client.send(&[LIVE, b"GET /li"].concat());
    client.finish();
    world.drive();
    let found = answers(&mut client);
    assert_eq!(statuses(&found), [200, 408]);
    assert!(found[1].closes() && client.has_ended());
}

#[test]
fn empty_lines_behind_a_request_are_no_request() {
    // At the end of the stream.
    for waits in [false, true] {
        let setup = if waits { hanging() } else { Setup::new(1) };
        let (mut world, mut client) = pair(setup);
        client.send(&[&post("", "")[..], b"\r\n"].concat());
        client.finish();
        world.drive();
        if waits {
            release(&mut world);
        }
        assert_eq!(statuses(&answers(&mut client)), [200]);
        assert!(client.has_ended() && !client.is_reset());
    }
    // While the connection is kept: it is idle, and the next request is answered.
    let (mut world, mut client) = pair(Setup::new(1));
    client.send(&[LIVE, b"\r\n\r\n"].concat());
    for piece in [&b"\r"[..], b"\n", b"\r\n"] {
        world.drive();
        client.send(piece);
    }
    world.advance(2 * FRAME_TIMEOUT);
    assert_eq!(statuses(&answers(&mut client)), [200]);
    assert_eq!(statuses(&ask(&mut world, &mut client, LIVE)), [200]);
    // A line feed alone is none.
    let (mut other, mut sloppy) = pair(Setup::new(1));
    sloppy.send(&[LIVE, b"\n"].concat());
    other.drive();
    assert_eq!(statuses(&answers(&mut sloppy)), [200, 400]);
    assert!(sloppy.has_ended());
    // Half of one is the beginning of something.
    client.send(b"\r");
    client.finish();
    world.drive();
    assert_eq!(statuses(&answers(&mut client)), [408]);
}

#[test]
fn a_count_that_is_too_large_for_http_is_refused_with_the_bound_that_counts() {
    for (count_max, bound) in [
        (500, "500 (--max-count)"),
        (10_000, "10000 (--max-count)"),
        (10_001, "10000 over HTTP"),
    ] {
        let mut setup = Setup::new(1);
        setup.actor.count_max = count_max;
        let (mut world, mut client) = pair(setup);
        for (query, is_no_number) in [
            ("?count=20000", ""),
            ("?count=0", ""),
            ("?count=x", "\"x\" is not a number: "),
        ] {
            let found = ask(&mut world, &mut client, &post(query, ""));
            assert_eq!(statuses(&found), [400], "{query}");
            let shown = is_no_number.replace('"', "\\\"");
            let json =
                format!("{{\"error\":\"badCount\",\"message\":\"{shown}count must be 1 to {bound}");
            assert!(found[0].body.starts_with(&json), "{}", found[0].body);
            let found = ask(
                &mut world,
                &mut client,
                &post(query, "Accept: text/plain\r\n"),
            );
            let text = format!("badCount: {is_no_number}count must be 1 to {bound}");
            assert!(found[0].body.starts_with(&text), "{}", found[0].body);
            assert!(!found[0].closes());
        }
        let errors = world.status(0).counters.errors;
        assert_eq!(errors, [(ErrorCode::BadCount.get(), 6)]);
    }
}

// Deadlines.

#[test]
fn a_head_that_is_not_complete_in_time_gets_a_408_and_the_end() {
    let (mut world, mut client) = pair(Setup::new(1));
    ask(&mut world, &mut client, &post("", ""));
    client.send(b"HEAD /livez HTTP/1.1\r\n");
    world.advance(FRAME_TIMEOUT / 2);
    // However steadily it trickles in.
    client.send(b"Host: ");
    let mut found = Vec::new();
    let waited = world.advance_until(2 * FRAME_TIMEOUT, |_| {
        found.extend(answers(&mut client));
        client.has_ended()
    });
    assert_about(waited + FRAME_TIMEOUT / 2, FRAME_TIMEOUT);
    assert_eq!(statuses(&found), [408]);
    assert!(found[0].closes());
    let http = &codecs(&mut world)[1];
    assert_eq!(
        (http.identity_requests, http.identity_requests_refused),
        (1, 0)
    );
}

#[test]
fn an_idle_connection_is_closed_in_time_and_sooner_where_that_is_wanted() {
    for (timeout, expected) in [
        (None, HTTP_IDLE_TIMEOUT),
        (Some(20 * SECOND), 20 * SECOND),
        (Some(2 * HTTP_IDLE_TIMEOUT), HTTP_IDLE_TIMEOUT),
    ] {
        let mut setup = Setup::new(1);
        setup.limits.idle_timeout = timeout;
        let (mut world, mut client) = pair(setup);
        let frames = world.connect(0);
        for _ in 0..3 {
            world.advance(expected / 2);
            assert_eq!(ask(&mut world, &mut client, LIVE).len(), 1);
        }
        let waited = world.advance_until(2 * HTTP_IDLE_TIMEOUT, |_| client.has_ended());
        assert_about(waited, expected);
        assert_eq!(client.bytes(), b"");
        assert!(timeout.is_some() || !frames.has_ended());
    }
}

// Places.

#[test]
fn http_and_frames_have_places_of_their_own() {
    let mut setup = Setup::new(1);
    (setup.limits.connections_max, setup.limits.http_max) = (2, 2);
    let mut world = World::with(setup);
    let mut web: Vec<Client> = (0..2).map(|_| world.connect_by_http(0)).collect();
    let mut frames: Vec<Client> = (0..2).map(|_| world.connect(0)).collect();
    world.drive();
    for client in &mut web {
        assert_eq!(statuses(&ask(&mut world, client, &post("", ""))), [200]);
    }
    for client in &mut frames {
        client.ask(1);
        assert_eq!(world.collect(client).len(), 1);
    }
    let mut late = world.connect(0);
    late.ask(1);
    world.drive();
    assert_eq!(late.codes(), [ErrorCode::TooManyConnections.get()]);
    let mut late = world.connect_by_http(0);
    assert_eq!(statuses(&ask(&mut world, &mut late, &post("", ""))), [503]);
    // A place that is left is free again, and only for its own kind.
    drop(web.pop());
    drop(frames.pop());
    world.drive();
    let mut again = world.connect_by_http(0);
    assert_eq!(statuses(&ask(&mut world, &mut again, &post("", ""))), [200]);
    let mut late = world.connect_by_http(0);
    assert_eq!(statuses(&ask(&mut world, &mut late, &post("", ""))), [503]);
    let mut again = world.connect(0);
    again.ask(1);
    assert_eq!(world.collect(&mut again).len(), 1);
}

#[test]
fn beyond_the_limit_a_probe_is_answered_and_everything_else_is_refused_as_it_was_asked() {
    let mut setup = Setup::new(1);
    setup.limits.http_max = 0;
    let mut world = World::with(setup);
    for probe in [LIVE, READY] {
        let mut client = world.connect_by_http(0);
        let found = ask(&mut world, &mut client, &[probe, &post("", "")].concat());
        assert_eq!(statuses(&found), [200]);
        assert!(found[0].closes() && client.has_ended());
    }
    for request in [
        &post("", "")[..],
        STATUS,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let mut client = world.connect_by_http(0);
        let found = ask(&mut world, &mut client, &[request, LIVE].concat());
        assert_eq!(statuses(&found), [503]);
        assert!(found[0].closes() && client.has_ended());
        let is_json = found[0]
            .body
            .starts_with("{\"error\":\"tooManyConnections\"");
        assert_eq!(is_json, request.starts_with(b"POST"), "{found:?}");
    }
    let mut client = world.connect_by_http(0);
    client.send(b"HEAD /status HTTP/1.1\r\nHost: a\r\n\r\n");
    world.drive();
    let found = split(&client.bytes(), Some(0));
    assert_eq!(statuses(&found), [503], "and no body");
    let mut silent = world.connect_by_http(0);
    world.advance(2 * SECOND);
    let found = answers(&mut silent);
    assert_eq!(statuses(&found), [503]);
    assert!(silent.has_ended());
    drop(silent);
    world.drive();
    let http = &codecs(&mut world)[1];
    assert_eq!((http.identity_requests_refused, open(http)), (0, 0));
}

// What never waits, and what waits in order.

/// A server with a disk that hangs, and all the room for frames taken.
fn exhausted(world: &mut World) -> Vec<Client> {
    let each = FRAMES_PER_CONNECTION_MAX;
    let crowd: Vec<Client> = (0..FRAMES_IN_FLIGHT_MAX / each + 1)
        .map(|_| world.connect(0))
        .collect();
    world.drive();
    for client in &crowd {
        client.ask(each);
    }
    world.drive();
    crowd
}

#[test]
fn probes_and_looks_are_answered_whatever_waits_and_a_post_joins_the_line() {
    let mut setup = hanging();
    setup.is_traced = false;
    let mut world = World::with(setup);
    let mut crowd = exhausted(&mut world);
    world.advance(6 * SECOND);
    let mut probe = world.connect_by_http(0);
    let found = ask(&mut world, &mut probe, &[LIVE, READY, STATUS].concat());
    assert_eq!(statuses(&found), [200, 503, 200]);
    assert!(
        found[1]
            .body
            .contains("disk failed: waiting for a write that began")
    );
    let mut poster = world.connect_by_http(0);
    assert_eq!(ask(&mut world, &mut poster, &post("", "")), []);
    assert_eq!(
        ask(&mut world, &mut poster, LIVE),
        [],
        "it is behind a request"
    );
    // One that comes later does not pass it.
    let mut late = world.connect(0);
    late.ask(1);
    world.drive();
    release(&mut world);
    let first: Vec<u64> = crowd
        .iter_mut()
        .flat_map(|one| world.collect(one))
        .collect();
    let found = answers(&mut poster);
    assert_eq!(statuses(&found), [200, 200]);
    let number = found[0].body.split('"').nth(3).unwrap();
    let sequence = number.parse::<u64>().unwrap() >> 10;
    assert!(!first.contains(&sequence));
    assert!(world.collect(&mut late)[0] > sequence);
    let [frames, http] = codecs(&mut world);
    assert_eq!(http.identity_requests, 1);
    assert_eq!(frames.identity_requests, first.len() as u64 + 1);
}

#[test]
fn a_look_in_any_form_takes_its_turn() {
    // The line that asks may begin in more ways than one.
    let forms = [
        "GET /status HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/status HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    let mut world = World::with(Setup::new(1));
    let mut crowd: Vec<(Client, &str)> = forms
        .iter()
        .cycle()
        .take(40)
        .map(|form| (world.connect_by_http(0), *form))
        .collect();
    world.drive();
    for (client, form) in &crowd {
        client.send(form.as_bytes());
    }
    let mut turns = 0;
    let mut done = 0;
    while done < crowd.len() {
        world.net().run_due_events();
        world.step(0);
        turns += 1;
        assert!(turns < 200, "{done} are answered");
        world.net().run_due_events();
        let before = done;
        for (client, form) in &mut crowd {
            let is_head = form.starts_with("HEAD").then_some(0);
            let found = split(&client.bytes(), is_head);
            assert!(found.iter().all(|answer| answer.status == 200));
            done += found.len();
        }
        assert!(done - before <= 2 * LOOKS_IN_FLIGHT_MAX, "all in one turn");
    }
}

#[test]
fn a_stopping_server_says_so_and_answers_what_has_arrived() {
    let (mut world, mut client) = pair(hanging());
    let mut probe = world.connect_by_http(0);
    world.drive();
    client.send(&post("", ""));
    world.drive();
    world.signal(0);
    world.drive();
    assert_eq!(statuses(&ask(&mut world, &mut probe, LIVE)), [200]);
    release(&mut world);
    world.advance(20 * SECOND);
    assert!(world.exit(0).is_some());
    assert_eq!(statuses(&answers(&mut client)), [200]);
}

// The wrong port.

#[test]
fn http_at_the_port_of_frames_is_told_so_in_http() {
    let mut world = World::with(Setup::new(1));
    for request in [LIVE, &post("", ""), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut client = world.connect(0);
        let found = ask(&mut world, &mut client, request);
        assert_eq!(statuses(&found), [400]);
        assert!(found[0].closes() && client.has_ended());
    }
    // Behind a frame it is a malformed frame, whether that was answered or not.
    for waits_for_answer in [true, false] {
        let mut client = world.connect(0);
        client.ask(1);
        if waits_for_answer {
            world.drive();
        }
        client.send(LIVE);
        world.drive();
        assert_eq!(client.codes(), [0, ErrorCode::BadLength.get()]);
    }
    world.advance(LINGER_TIMEOUT + SWEEP_INTERVAL);
    let [frames, http] = codecs(&mut world);
    assert_eq!((open(&frames), open(&http)), (1, 0), "the one that asks");
    assert_eq!((frames.identity_requests, http.identity_requests), (2, 0));
}

// Counters.

#[test]
fn requests_of_clients_that_are_gone_count_for_nobody() {
    let (mut world, client) = pair(hanging());
    client.send(&post("?count=3", ""));
    let far = world.connect_by_http(0);
    far.send(&post("?after=500000:1", ""));
    world.drive();
    drop((client, far));
    world.drive();
    let mut other = world.connect_by_http(0);
    other.send(
        &[
            &post("?count=2", "")[..],
            &post("?count=0", ""),
            &post("?count=501", ""),
        ]
        .concat(),
    );
    world.drive();
    release(&mut world);
    assert_eq!(statuses(&answers(&mut other)), [200, 400, 400]);
    let status = world.status(0);
    let [frames, http]: [CodecStatus; 2] = status.vitals.codecs.try_into().unwrap();
    assert_eq!(
        (frames.identity_requests, frames.identity_requests_refused),
        (0, 0)
    );
    // The first refusal is HTTP's own, and the actor never saw it.
    assert_eq!(http.identity_requests_refused, 1);
    assert_eq!((open(&frames), open(&http)), (1, 1));
}
