//! What the log and the status report: a slow disk, the end of the sequence, and operators. Also the reserve.

#![allow(
    clippy::disallowed_macros,
    reason = "tests print, and one that cannot may fail"
)]

use std::{thread, time::Duration};

use ipseity::{limits::STOP_REPEAT, store::MembersFile};
use ipseity_core::{
    identity::{Pid, Sequence},
    words::{ErrorCode, Message, Standing, Status, SyncMessage},
};
use ipseity_frames::Receiver;
use ipseity_harness::{
    failing::strace::{self, Attached},
    program::run,
    server::{Connection, Server},
};
use ipseity_sim::config::peer_says;

fn first(reply: &Message) -> u64 {
    match reply {
        Message::IdentityReply { first, .. } => first >> 10,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_disk_that_hangs_is_reported_while_others_are_served() {
    if !strace::is_allowed() {
        return;
    }
    let server = Server::start(&[]);
    let delay = "pwrite64:delay_enter=10000000:when=1".to_owned();
    let log = server.scratch().join("strace");
    let attached = Attached::to(&server, &log, &server.data_dir(), &[delay]);
    // One client's advance is above the ceiling.
    let mut ahead: Connection = server.connect();
    let after = 50_000 << 10;
    ahead.send(&Message::IdentityRequest { count: 1, after });
    let line = server.wait_for_log("a write to the state directory has taken");
    assert!(line.contains("WARN"), "{line}");
    assert!(line.contains("(requests that wait for it: 1)"), "{line}");
    let status = server.status();
    assert_eq!(status.standing, Standing::WaitingForDisk);
    assert_eq!(status.bounds.waiting_for_disk, 1);
    assert_eq!(status.storage.writes, 0, "it is still under way");
    // The advance waits alone.
    assert_eq!(first(&server.ask(1, 0)), 1);
    let shown = run(&["watch", "-n", "1", "--server", &server.address()]).good();
    assert!(shown.contains("waiting for the disk"), "{shown}");
    assert_eq!(first(&ahead.receive()), 50_001);
    let line = server.wait_for_log("the slow write to the state directory is over after");
    assert!(line.contains("WARN"), "{line}");
    assert!(line.contains("(requests that waited for it: 1)"), "{line}");
    server.wait_for_status("the end of it", |status| {
        status.standing == Standing::Serving && status.bounds.waiting_for_disk == 0
    });
    drop(attached);
}

#[test]
fn a_used_up_sequence_is_reported_at_once_and_at_each_start() {
    let last = Sequence::MAX.get();
    let mut server = Server::start(&["--pid", "3"]);
    let other = Server::start(&["--pid", "4"]);
    let advance = |above: u64| {
        let above = above.to_string();
        let arguments = ["advance", "--yes", "--above", &above, "--server"];
        run(&[&arguments[..], &[&server.address()]].concat()).good();
    };
    advance(last / 100 * 60);
    let line = server.wait_for_log("an operator at 127.0.0.1:");
    assert!(
        line.contains("has advanced this server above sequence"),
        "{line}"
    );
    server.wait_for_log("50 % of the sequence is used up");
    advance(last - 3);
    server.wait_for_log("90 % of the sequence is used up");
    assert_eq!(first(&server.ask(3, 0)), last - 2);
    let line = server.wait_for_log("THE SEQUENCE IS USED UP");
    assert!(line.contains("ERROR"), "{line}");
    assert_eq!(server.status().standing, Standing::Exhausted);
    let Message::ErrorReply(error) = server.ask(1, 0) else {
        panic!("no identity is left");
    };
    assert_eq!(error.code, ErrorCode::Exhausted.get());
    // Clients go on to the next server.
    let both = format!("{},{}", server.address(), other.address());
    run(&["next", "--server", &both]).good();
    assert_eq!(other.status().counters.identities, 1);
    assert_eq!(server.stop(), 0);
    server.restart();
    server.wait_for_log("THE SEQUENCE IS USED UP");
    assert_eq!(server.status().standing, Standing::Exhausted);
}

#[test]
fn a_reserve_is_kept_ready() {
    // A load of a second and a half. The server has to keep a minute of it ready.
    let server = Server::start(&["--reserve", "1m"]);
    let mut connection = server.connect();
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        connection.send(&Message::IdentityRequest {
            count: 1000,
            after: 0,
        });
        first(&connection.receive());
    }
    // A raise that is under way on a slow disk may still have to end.
    let a_second = |status: &Status| status.counters.identities / 2;
    server.wait_for_status("a reserve of twenty seconds", |status| {
        status.storage.ceiling - status.sequence >= 20 * a_second(status)
    });
}

/// A server that takes this long for each save of its peers, and a connection of a peer that it has heard once.
fn with_slow_saves(delay: Duration) -> (Server, Attached, Connection) {
    let server = Server::start(&["--pid", "3"]);
    let log = server.scratch().join("strace");
    let micros = delay.as_micros();
    let delay = format!("?rename,?renameat,?renameat2:delay_enter={micros}");
    let attached = Attached::to(&server, &log, &server.data_dir(), &[delay]);
    let mut peer = server.connect();
    speak(&mut peer, 1);
    (server, attached, peer)
}

/// The peer sends a sync message with this boot, and is answered.
fn speak(peer: &mut Connection, boot: u64) {
    peer.send(&Message::SyncRequest(Box::new(SyncMessage {
        boot,
        session: boot,
        ..peer_says(Pid::MIN)
    })));
    let answer = peer.try_receive_as(Receiver::Dialer);
    assert!(matches!(answer, Some(Message::SyncReply(_))), "{answer:?}");
}

#[test]
fn what_a_peer_says_during_a_stop_is_saved() {
    if !strace::is_allowed() {
        return;
    }
    let (mut server, _attached, mut peer) = with_slow_saves(Duration::from_millis(700));
    server.signal("TERM");
    // When it refuses requests, the exact sequence waits for the save.
    while {
        let request = Message::IdentityRequest { count: 1, after: 0 };
        peer.send(&request);
        matches!(peer.receive(), Message::IdentityReply { .. })
    } {}
    speak(&mut peer, 2);
    drop(peer);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    let saved = MembersFile::new(&server.data_dir()).load().unwrap();
    assert_eq!(saved[0].boot, 2, "{}", server.log());
    assert!(!server.log().contains("is lost"), "{}", server.log());
}

#[test]
fn a_server_that_exits_without_saving_its_peers_says_so() {
    if !strace::is_allowed() {
        return;
    }
    let (mut server, _attached, mut peer) = with_slow_saves(Duration::from_secs(3));
    speak(&mut peer, 2);
    server.signal("TERM");
    server.wait_for_log("asked to stop");
    thread::sleep(STOP_REPEAT);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(1));
    let line = server.wait_for_log("what the peers have said since the last save is lost");
    assert!(line.contains("WARN"), "{line}");
}
