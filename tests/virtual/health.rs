//! What probes and monitors are told over HTTP: whether identities can be handed out, and labels made of what others say.

use std::{net::SocketAddr, time::Duration};

use ipseity_core::{
    actor::JoinMode,
    identity::Pid,
    words::{ErrorCode, JoinStatus, Message, Objection, ObjectionStatus, Standing, SyncMessage},
};
use ipseity_sim::{
    config::peer_says,
    world::{Client, DiskMode, Setup, World},
};

use crate::http::ask;

const SECOND: Duration = Duration::from_secs(1);
/// Where tests play the peer.
const STAGE: ([u8; 4], u16) = ([10, 9, 9, 9], 3264);

/// The status and the body of the answer to a probe.
fn probe(world: &mut World, client: &mut Client, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut answers = ask(world, client, request.as_bytes());
    assert_eq!(answers.len(), 1, "{path}");
    let answer = answers.remove(0);
    (answer.status, answer.body)
}

/// A server that joins and waits for one peer, which is played by the test.
fn joining() -> (World, Client, Client) {
    let stage = SocketAddr::from(STAGE);
    let mut world = World::new();
    world.listen(stage);
    let mut setup = Setup::new(1).peers(&[&stage.to_string()]);
    (setup.actor.joins, setup.actor.join_mode) = (true, JoinMode::Require);
    world.start(setup);
    world.drive();
    let peer = world.accept(stage).unwrap();
    let client = world.connect_by_http(0);
    world.drive();
    (world, peer, client)
}

/// A peer objects to server 0.
fn object(world: &mut World, peer: &Client, code: ErrorCode) {
    let session = world.status(0).session;
    let pid = Pid::new(1).unwrap();
    let objection = Objection::new(pid, session, code, 9, "no");
    peer.send_message(&Message::Objection(Box::new(objection)));
    world.drive();
}

#[test]
fn a_server_that_joins_lives_and_is_not_ready_before_it_hands_out() {
    let (mut world, peer, mut client) = joining();
    for _ in 0..2 {
        let (status, body) = probe(&mut world, &mut client, "/readyz");
        assert_eq!(status, 503);
        assert!(body.contains("\njoined failed: "), "{body}");
        assert!(body.ends_with("\nnot ready\n"), "{body}");
        assert_eq!(probe(&mut world, &mut client, "/livez").0, 200);
        // Also when the time for asking is over.
        world.advance(2 * SECOND);
    }
    // It accepts the start, and then the claim.
    for accepted in 0..2 {
        let join = JoinStatus {
            accepted,
            confirmed: 0,
            needed: 1,
        };
        assert_eq!(world.status(0).join, Some(join));
        peer.send_message(&Message::SyncReply(Box::new(peer_says(
            Pid::new(2).unwrap(),
        ))));
        world.drive();
    }
    let status = world.status(0);
    assert_eq!((status.standing, status.join), (Standing::Serving, None));
    let ready = "standing ok\ndisk ok: nothing is written (--ephemeral)\njoined ok\nready\n";
    assert_eq!(
        probe(&mut world, &mut client, "/readyz"),
        (200, ready.to_owned())
    );
}

#[test]
fn a_server_that_was_objected_to_lives_and_is_not_ready() {
    for (code, why) in [
        (ErrorCode::StaleState, "stale state: "),
        (ErrorCode::PidConflict, "pid conflict: "),
    ] {
        let (mut world, peer, mut client) = joining();
        object(&mut world, &peer, code);
        let (status, body) = probe(&mut world, &mut client, "/readyz");
        assert_eq!(status, 503);
        assert!(
            body.starts_with(&format!("standing failed: {why}")),
            "{body}"
        );
        assert_eq!(probe(&mut world, &mut client, "/livez").0, 200);
    }
}

#[test]
fn the_status_says_who_objects_and_why_also_after_a_restart() {
    let (mut world, peer, mut client) = joining();
    assert_eq!(world.status(0).objection, None);
    object(&mut world, &peer, ErrorCode::StaleState);
    // The link is gone when somebody asks.
    drop(peer);
    world.drive();
    let said = ObjectionStatus {
        above: 9,
        peer: SocketAddr::from(STAGE).to_string(),
        pid: None,
        reason: "no".to_owned(),
    };
    assert_eq!(world.status(0).objection.as_ref(), Some(&said));
    let (_, metrics) = probe(&mut world, &mut client, "/metrics");
    let line = "ipseity_objection_above_sequence{peer=\"10.9.9.9:3264\",pid=\"\"} 9\n";
    assert!(metrics.contains(line), "{metrics}");
    // The next start knows the sequence, and nobody has told it more.
    world.kill(0);
    world.restart(0);
    world.drive();
    let noted = world.status(0).objection.unwrap();
    assert_eq!((noted.above, &*noted.peer, noted.pid), (9, "", None));
    let way_on = "ipseity-cli members, asked of the other servers, shows which of them objects";
    assert!(
        noted.reason.starts_with("an earlier run of this server") && noted.reason.ends_with(way_on),
        "{}",
        noted.reason
    );
    let peer = world.accept(SocketAddr::from(STAGE)).unwrap();
    let mut sync = peer_says(Pid::new(2).unwrap());
    peer.send_message(&Message::SyncReply(Box::new(sync.clone())));
    world.drive();
    object(&mut world, &peer, ErrorCode::StaleState);
    let pid = Pid::new(2);
    assert_eq!(
        world.status(0).objection,
        Some(ObjectionStatus { pid, ..said })
    );
    // Another one that says no more than is known changes nothing.
    sync.pid = Pid::new(3).unwrap();
    (sync.session, sync.incarnation) = (77, 77);
    let other = world.connect(0);
    other.send_message(&Message::SyncRequest(Box::new(sync)));
    world.drive();
    object(&mut world, &other, ErrorCode::StaleState);
    assert_eq!(world.status(0).objection.unwrap().pid, pid);
}

#[test]
fn the_pid_of_who_objects_is_shown_also_if_it_says_that_after_the_objection() {
    let (mut world, peer, _) = joining();
    object(&mut world, &peer, ErrorCode::StaleState);
    assert_eq!(world.status(0).objection.unwrap().pid, None);
    let pid = Pid::new(2).unwrap();
    peer.send_message(&Message::SyncReply(Box::new(peer_says(pid))));
    world.drive();
    assert_eq!(world.status(0).objection.unwrap().pid, Some(pid));
}

/// Who is said to object, to one of two servers of one pid that both tell the same address.
#[test]
fn an_objection_names_where_a_server_listens_and_where_it_has_connected_from() {
    let mut world = World::with(Setup::new(9));
    let mut texts = Vec::new();
    let says = |session: u64, advertise: &str| {
        let mut sync = peer_says(Pid::new(1).unwrap());
        (sync.session, sync.incarnation) = (session, u128::from(session));
        sync.sequence = 100 - session;
        advertise.clone_into(&mut sync.advertise);
        Message::SyncRequest(Box::new(sync))
    };
    for (session, advertise) in [(1, ""), (2, "id1.example:3264"), (3, "no address")] {
        let mut peer = world.connect(0);
        peer.send_message(&says(session, advertise));
        world.drive();
        for message in peer.peer_replies() {
            if let Message::Objection(objection) = message {
                texts.push(objection.message);
            }
        }
    }
    let [told, bare] = &texts[..] else {
        panic!("{texts:?}");
    };
    let place = " at id1.example:3264 (connected from ";
    assert!(told.contains(place), "{told}");
    assert!(
        bare.contains("the state of pid 1 at ") && !bare.contains("connected from"),
        "{bare}"
    );
}

#[test]
fn a_server_that_stops_lives_and_is_not_ready() {
    // Something is still to be answered, so that it does not end at once.
    let mut world = World::with(Setup::new(1).disk(DiskMode::Waits, 0));
    let (waits, mut client) = (world.connect(0), world.connect_by_http(0));
    world.drive();
    waits.ask(1);
    world.drive();
    world.signal(0);
    world.drive();
    assert_eq!(probe(&mut world, &mut client, "/livez").0, 200);
    let (status, body) = probe(&mut world, &mut client, "/readyz");
    assert_eq!(status, 503);
    assert!(
        body.starts_with("standing failed: the server is stopping\n"),
        "{body}"
    );
    // Nobody new is let in, so a probe of a supervisor fails too.
    let late = world.connect_by_http(0);
    world.drive();
    late.send(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    world.drive();
    assert_eq!(late.pieces(), 0);
}

/// Whether a line can be read as a sample: a name, labels in which every quote is escaped, and a number.
fn is_sample(line: &str) -> bool {
    let Some((series, value)) = line.rsplit_once(' ') else {
        return false;
    };
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let is_name = name.starts_with("ipseity_") && !name.contains(['"', '\\']);
    let (mut is_quoted, mut is_escaped, mut closed) = (false, false, 0);
    for character in labels.chars() {
        match character {
            _ if is_escaped => {
                assert!(matches!(character, '"' | '\\' | 'n'), "{line}");
                is_escaped = false;
            }
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '}' if !is_quoted => closed += 1,
            _ => {}
        }
    }
    is_name && closed == 1 && labels.ends_with('}') && !is_quoted && value.parse::<f64>().is_ok()
}

#[test]
fn no_name_or_address_of_a_peer_can_break_the_metrics() {
    let hostile = [
        "a\"} 1\nipseity_sequence 9:1",
        "b\\\":1",
        "\u{1b}[2J\u{202e}:1",
        "[fe80::1%eth0]:1",
        "c{d=\"e\"}:1",
    ];
    let mut world = World::with(Setup::new(1).peers(&hostile));
    let peer = world.connect(0);
    peer.send_message(&Message::SyncRequest(Box::new(SyncMessage {
        advertise: "x\"} 7\n:1".to_owned(),
        ..peer_says(Pid::new(2).unwrap())
    })));
    let mut client = world.connect_by_http(0);
    world.drive();
    let (status, body) = probe(&mut world, &mut client, "/metrics");
    assert_eq!(status, 200);
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        assert!(is_sample(line), "{line:?}");
        assert!(line.chars().all(ipseity_core::text::is_plain), "{line:?}");
    }
    let up = |line: &&str| line.starts_with("ipseity_peer_up{");
    assert_eq!(body.lines().filter(up).count(), hostile.len() + 1);
    assert_eq!(body.matches("\nipseity_sequence ").count(), 1);
    let (_, status) = probe(&mut world, &mut client, "/status");
    let json: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(json["peers"].as_array().unwrap().len(), hostile.len() + 1);
}
