//! A cluster that guards itself, with real processes: two servers with one pid, a lost directory, a directory that was
//! rolled back, each from its start to the way out that the server itself names.

use std::{fs, io::ErrorKind, path::Path, process::Command};

use ipseity::store::MembersFile;
use ipseity_core::{
    actor::Remembered,
    identity::{Identity, Pid},
    words::{ErrorCode, Message, Standing, SyncMessage, Told},
};
use ipseity_frames::Receiver;
use ipseity_harness::{
    nobody::Nobody,
    programs,
    server::{Connection, Server, eventually},
};
use ipseity_sim::config::peer_says;

/// A server that the others name as their peer, so that it hears them all.
pub(super) fn observer() -> Server {
    Server::start(&["--pid", "3"])
}

/// A server of pid 1 that names `observer`, with the state directory `directory`.
pub(super) fn one(directory: &Path, observer: &Server, more: &[&str]) -> Server {
    let (directory, peer) = (directory.to_str().unwrap(), observer.address());
    let mut flags = vec![
        "--pid",
        "1",
        "--data-dir",
        directory,
        "--peer",
        &peer,
        "--sync-interval",
        "50ms",
    ];
    flags.extend(more);
    Server::start_with(&["--listen", "127.0.0.1:0"], &flags)
}

pub(super) fn wait_until(server: &Server, standing: Standing) {
    server.wait_for_status(standing.name(), |status| status.standing == standing);
}

/// Waits until the observer has heard that pid 1 has come to `sequence`.
pub(super) fn wait_until_heard(observer: &Server, sequence: u64) {
    let pid = Pid::new(1);
    observer.wait_for_status("the sequence of pid 1", |status| {
        status
            .peers
            .iter()
            .any(|peer| peer.pid == pid && peer.sequence >= sequence)
    });
}

/// The first of `count` identities.
fn ask(server: &Server, count: u32) -> Identity {
    match server.ask(count, 0) {
        Message::IdentityReply { first, .. } => Identity::from_u64(first).unwrap(),
        other => panic!("{other:?}\n{}", server.log()),
    }
}

/// The code and the text with which a request is refused.
fn refusal(server: &Server) -> (u16, String) {
    match server.ask(1, 0) {
        Message::ErrorReply(error) => (error.code, error.message),
        other => panic!("{other:?}\n{}", server.log()),
    }
}

/// Copies a state directory, as somebody might while its server runs.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let file = entry.unwrap().path();
        match fs::copy(&file, to.join(file.file_name().unwrap())) {
            Ok(_) => {}
            // A new file of the members has this name only until it replaces the old one.
            Err(error) if error.kind() == ErrorKind::NotFound && file.ends_with("members.new") => {}
            Err(error) => panic!("{}: {error}", file.display()),
        }
    }
}

#[test]
fn a_copy_that_serves_unasked_stops_both_and_one_goes_on_above_what_either_handed_out() {
    let home = tempfile::tempdir().unwrap();
    let (original, copied) = (home.path().join("original"), home.path().join("copied"));
    let observer = observer();
    let mut first = one(&original, &observer, &[]);
    wait_until(&first, Standing::Serving);
    ask(&first, 10);
    copy(&original, &copied);
    // It does not wait for an answer before it serves.
    let mut second = one(&copied, &observer, &["--join-timeout", "0"]);
    second.wait_for_log("--join-timeout 0 waits for no peer: handing out identities until a peer");
    wait_until(&first, Standing::Conflict);
    wait_until(&second, Standing::Conflict);
    for server in [&first, &second] {
        let (code, text) = refusal(server);
        assert_eq!(code, ErrorCode::PidConflict.get());
        assert!(
            text.contains("another live server has the pid of this one"),
            "{text}"
        );
        let line = server.wait_for_log("NOT HANDING OUT IDENTITIES (pid conflict)");
        assert!(line.contains("--recover-above"), "{line}");
    }
    let line = observer.wait_for_log("pid 1 is used by two live servers");
    assert_eq!(
        line.matches("127.0.0.1:").count(),
        2,
        "it names both: {line}"
    );
    assert_eq!(
        observer.log().matches("two live servers").count(),
        1,
        "reported once"
    );
    // A server that is not part of the conflict goes on serving.
    ask(&observer, 1);

    let highest = first.status().sequence.max(second.status().sequence);
    assert_eq!(
        (first.stop(), second.stop()),
        (1, 1),
        "an operator has to look"
    );
    // Without --recover-above the server that is kept does not go on, however often it is started: the other one may
    // have handed out more.
    for _ in 0..3 {
        let mut kept = one(&original, &observer, &[]);
        kept.wait_for_log("a peer has objected to this state directory");
        assert_eq!(refusal(&kept).0, ErrorCode::PidConflict.get());
        assert_eq!(kept.stop(), 1);
    }
    let above = (highest + 1000).to_string();
    let mut kept = one(&original, &observer, &["--recover-above", &above]);
    wait_until(&kept, Standing::Serving);
    assert!(ask(&kept, 1).sequence().get() > highest + 1000);
    assert_eq!(kept.stop(), 0);
    // --recover-above is durable: the next start needs no flag.
    let kept = one(&original, &observer, &[]);
    ask(&kept, 1);
}

#[test]
fn two_servers_with_one_pid_that_meet_directly_both_stop() {
    let home = tempfile::tempdir().unwrap();
    let mut first = Server::start(&["--pid", "1"]);
    ask(&first, 40);
    let mut second = one(
        &home.path().join("second"),
        &first,
        &["--join-timeout", "0"],
    );
    wait_until(&first, Standing::Conflict);
    wait_until(&second, Standing::Conflict);
    assert_eq!(refusal(&first).0, ErrorCode::PidConflict.get());

    // Both logs give the same least value for --recover-above, also after a restart.
    for server in [&first, &second] {
        assert!(
            eventually(|| newest_number(server) == Some(40)),
            "{}",
            server.log()
        );
    }
    assert_eq!((first.stop(), second.stop()), (1, 1));
    first.restart();
    second.restart();
    for server in [&first, &second] {
        let line = server.wait_for_log("NOT HANDING OUT IDENTITIES (pid conflict): a peer has");
        assert!(line.contains("at least 40 "), "{line}");
    }
}

/// The last number for `--recover-above` in the log of a server.
fn newest_number(server: &Server) -> Option<u64> {
    let log = server.log();
    let line = log.lines().rfind(|line| line.contains("NOT HANDING OUT"))?;
    let (_, said) = line.rsplit_once("at least ")?;
    said.split([' ', ')']).next()?.parse().ok()
}

#[test]
fn a_conflict_names_both_even_if_one_of_them_has_hung_up() {
    let observer = observer();
    let [mut one, mut other] = [observer.connect(), observer.connect()];
    let addresses = [&mut one, &mut other].map(|peer| peer.stream().local_addr().unwrap());
    // Each message says which answer its sender has received last.
    let speak = |peer: &mut Connection, session: u64, heard: u64| {
        peer.send(&Message::SyncRequest(Box::new(SyncMessage {
            told: Told {
                heard,
                ..Told::default()
            },
            boot: session,
            session,
            ..peer_says(1.try_into().unwrap())
        })));
        peer.try_receive_as(Receiver::Dialer).unwrap()
    };
    let nonce = |answer: Message| match answer {
        Message::SyncReply(reply) => reply.told.nonce,
        other => panic!("{other:?}"),
    };
    let mut heard = nonce(speak(&mut one, 1, 0));
    let heard_by_other = nonce(speak(&mut other, 2, 0));
    // The first one is known to have lived beside the second one, before it hangs up.
    for _ in 0..2 {
        heard = nonce(speak(&mut one, 1, heard));
    }
    drop(one);
    observer.wait_for_status("one peer less", |status| status.peers_total == 1);
    let Message::Objection(objection) = speak(&mut other, 2, heard_by_other) else {
        panic!("it is known that the other one lived beside the first one, too");
    };
    let [one, other] = addresses;
    let both = format!("two live servers, {other} and {one} (not connected now): neither");
    assert!(
        objection.message.contains(&both),
        "{} has not {both}",
        objection.message
    );
    observer.wait_for_log(&both);
}

#[test]
fn a_restart_is_not_a_conflict() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("state");
    let observer = observer();
    let mut newest = None;
    for round in 0..6 {
        let mut server = one(&directory, &observer, &[]);
        wait_until(&server, Standing::Serving);
        let identity = ask(&server, 100);
        assert!(Some(identity) > newest);
        newest = identity.checked_add(99);
        if round % 2 == 0 {
            server.kill();
        } else {
            assert_eq!(server.stop(), 0);
        }
    }
    assert!(!observer.log().contains("ERROR"), "{}", observer.log());
}

#[test]
fn a_lost_directory_is_noticed_and_has_two_ways_out() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("state");
    let observer = observer();
    let mut server = one(&directory, &observer, &[]);
    wait_until(&server, Standing::Serving);
    let last = ask(&server, 1000).sequence().get() + 999;
    wait_until_heard(&observer, last);
    server.kill();
    fs::remove_dir_all(&directory).unwrap();

    let mut server = one(&directory, &observer, &[]);
    wait_until(&server, Standing::Stale);
    let (code, text) = refusal(&server);
    assert_eq!(code, ErrorCode::StaleState.get());
    assert!(text.contains("remember a newer state"), "{text}");
    let line = server.wait_for_log("NOT HANDING OUT IDENTITIES (stale state)");
    assert!(
        line.contains("unused --pid") && line.contains("--recover-above"),
        "{line}"
    );
    assert_eq!(line.matches("at least ").count(), 1, "{line}");
    assert_eq!(server.status().counters.identities, 0);
    assert_eq!(server.stop(), 1);

    // The recommended way out: a pid that nobody had.
    let other = home.path().join("other");
    let peer = observer.address();
    let flags = [
        "--pid",
        "2",
        "--data-dir",
        other.to_str().unwrap(),
        "--peer",
        &peer,
    ];
    let server = Server::start_with(&["--listen", "127.0.0.1:0"], &flags);
    wait_until(&server, Standing::Serving);
    ask(&server, 1);

    // The other way out is --recover-above. A sequence that is too low does not count.
    let too_low = (last - 1).to_string();
    let mut server = one(&directory, &observer, &["--recover-above", &too_low]);
    wait_until(&server, Standing::Stale);
    let says = format!("--recover-above {too_low} IS TOO LOW: ");
    let line = server.wait_for_log(&says);
    assert!(line.contains(&format!("at least {last} ")), "{line}");
    assert!(!server.log().contains("was accepted"), "{}", server.log());
    assert_eq!(server.stop(), 1);
    // A check says it too.
    let check = Command::new(programs::ipseity())
        .args(["--check", "--listen", "127.0.0.1:0", "--pid", "1"])
        .args(["--recover-above", &too_low, "--data-dir"])
        .arg(&directory)
        .output()
        .unwrap();
    assert_eq!(check.status.code(), Some(1));
    let faults = String::from_utf8_lossy(&check.stderr);
    assert!(faults.contains(&says), "{faults}");
    // Where only the peers know that it is too low, they are what says so.
    fs::remove_dir_all(&directory).unwrap();
    let mut server = one(&directory, &observer, &["--recover-above", "5"]);
    server.wait_for_log("(--recover-above 5 IS TOO LOW)");
    assert_eq!(server.stop(), 1);
    let enough = (last + 5000).to_string();
    let server = one(&directory, &observer, &["--recover-above", &enough]);
    wait_until(&server, Standing::Serving);
    server.wait_for_log(&format!(
        "--recover-above {enough} was accepted: this server hands out only identities above sequence {enough}"
    ));
    assert!(ask(&server, 1).sequence().get() > last + 5000);
}

#[test]
fn no_number_is_named_where_the_lost_state_had_handed_out_nothing() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("state");
    let observer = observer();
    let mut server = one(&directory, &observer, &[]);
    wait_until(&server, Standing::Serving);
    wait_until_heard(&observer, 0);
    server.kill();
    fs::remove_dir_all(&directory).unwrap();
    let mut server = one(&directory, &observer, &[]);
    wait_until(&server, Standing::Stale);
    let line = server.wait_for_log("NOT HANDING OUT IDENTITIES (stale state), a peer objects");
    assert!(!line.contains("at least"), "{line}");
    assert_eq!(server.stop(), 1);
    server.restart();
    let line = server.wait_for_log("NOT HANDING OUT IDENTITIES (stale state): a peer has");
    assert!(!line.contains("at least"), "{line}");
    // A check says so once, and nothing that contradicts it.
    let directory = directory.display().to_string();
    let output = std::process::Command::new(programs::ipseity())
        .args(["--check", "--pid", "1", "--data-dir", &directory])
        .args(["--listen", "127.0.0.1:0", "--peer", &observer.address()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let [said, faults] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(
        faults.contains("NOT HANDING OUT IDENTITIES (stale state)"),
        "{faults}"
    );
    assert!(!said.contains("hands out identities"), "{said}");
    assert!(
        said.contains("the start is boot 3, and hands out nothing"),
        "{said}"
    );
}

#[test]
fn a_start_that_requires_peers_and_names_none_says_that_it_asks_nobody() {
    let server = Server::start(&["--pid", "1", "--join", "require"]);
    let line = server.wait_for_log("--join=require asks nobody");
    assert!(line.contains("WARN"), "{line}");
    ask(&server, 1);
}

#[test]
fn a_directory_that_was_rolled_back_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let (directory, backup) = (home.path().join("state"), home.path().join("backup"));
    let observer = observer();
    let mut server = one(&directory, &observer, &[]);
    wait_until(&server, Standing::Serving);
    ask(&server, 10);
    assert_eq!(server.stop(), 0);
    copy(&directory, &backup);
    let mut server = one(&directory, &observer, &["--max-count", "50000"]);
    let last = ask(&server, 50_000).sequence().get() + 49_999;
    wait_until_heard(&observer, last);
    assert_eq!(server.stop(), 0);
    fs::remove_dir_all(&directory).unwrap();
    copy(&backup, &directory);

    // Every start waits under --join=require, so nothing can be repeated before a peer objects.
    let mut server = one(&directory, &observer, &["--join", "require"]);
    wait_until(&server, Standing::Stale);
    assert_eq!(refusal(&server).0, ErrorCode::StaleState.get());
    assert_eq!(server.status().counters.identities, 0);
    assert_eq!(server.stop(), 1);
    let above = last.to_string();
    let server = one(&directory, &observer, &["--recover-above", &above]);
    wait_until(&server, Standing::Serving);
    assert!(ask(&server, 1).sequence().get() > last);
}

#[test]
fn what_peers_remember_survives_their_restart() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("state");
    let mut observer = observer();
    let mut server = one(&directory, &observer, &[]);
    wait_until(&server, Standing::Serving);
    ask(&server, 10);
    wait_until_heard(&observer, 10);
    // It is saved after the answer, and on a busy disk the kill would be sooner. Before that, the claim is saved. If only that
    // is remembered, the next life does not wait for an operator: it gives up, and exits.
    let members = MembersFile::new(&observer.data_dir());
    let is_saved = || {
        let saved = members.load().unwrap();
        let serves =
            |member: &Remembered| Some(member.pid) == Pid::new(1) && member.claim.is_none();
        saved.iter().any(serves)
    };
    assert!(eventually(is_saved));
    server.kill();
    observer.kill();
    observer.restart();
    fs::remove_dir_all(&directory).unwrap();
    let server = one(&directory, &observer, &[]);
    wait_until(&server, Standing::Stale);
}

/// A stranger there could make the server that comes back give up, or those that still dial it.
#[test]
fn the_port_of_a_server_that_is_down_is_kept_for_it() {
    let home = tempfile::tempdir().unwrap();
    let observer = observer();
    let mut server = one(&home.path().join("state"), &observer, &[]);
    let address = server.socket_address();
    server.kill();
    assert!(Nobody::at(address).is_err(), "{address} is free");
    server.restart();
    wait_until(&server, Standing::Serving);
    drop(server);
    assert!(Nobody::at(address).is_err(), "{address} is free too soon");
}

#[test]
fn a_first_start_asks_its_peers_and_with_join_require_waits_for_one() {
    let home = tempfile::tempdir().unwrap();
    let mut observer = observer();
    assert_eq!(observer.stop(), 0);
    // Nobody answers: a first start waits for --join-timeout, and not for ever.
    let preferring = one(
        &home.path().join("prefers"),
        &observer,
        &["--join-timeout", "50ms"],
    );
    let line = preferring.wait_for_log("asked the peers, 0 of 1 answered");
    assert!(line.contains("WARN"), "{line}");
    preferring.wait_for_logs("0 of 1 answered", 1);
    ask(&preferring, 1);
    let flags = ["--join", "require", "--join-timeout", "50ms"];
    let requiring = one(&home.path().join("requires"), &observer, &flags);
    requiring.wait_for_log("too few peers have answered yet");
    let (code, text) = refusal(&requiring);
    assert_eq!(code, ErrorCode::Joining.get());
    assert!(text.contains("has to hear from its peers"), "{text}");
    drop(preferring);
    observer.restart();
    wait_until(&requiring, Standing::Serving);
    ask(&requiring, 1);
}

#[test]
fn advances_over_budget_are_refused_but_an_operator_may_advance() {
    let server = Server::start(&["--pid", "1", "--after-burst", "1000", "--advance-rate", "1"]);
    let after = |sequence: u64| (sequence << 10) | 9;
    let reply = server.ask(1, after(600));
    assert_eq!(
        reply,
        Message::IdentityReply {
            first: (601 << 10) | 1,
            count: 1
        }
    );
    match server.ask(1, after(601 + 500)) {
        Message::ErrorReply(error) => {
            assert_eq!(error.code, ErrorCode::OverBudget.get());
            assert!(
                error.message.contains("its budget for advances allows 4"),
                "{}",
                error.message
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.status().sequence, 601, "nothing was absorbed");
    let line = server.wait_for_log("refused an advance that the client at 127.0.0.1:");
    assert!(line.contains("try again later"), "{line}");
    match server.ask(1, after(601 + 1001)) {
        Message::ErrorReply(error) => {
            assert_eq!(error.code, ErrorCode::AdvanceTooLarge.get());
            let says = "never allows more than 1000 (--after-burst): have an operator run";
            assert!(error.message.contains(says), "{}", error.message);
        }
        other => panic!("{other:?}"),
    }

    let mut operator = server.connect();
    operator.send(&Message::AdvanceRequest { above: 1 << 50 });
    assert_eq!(operator.receive(), Message::DoneReply { sequence: 1 << 50 });
    assert_eq!(ask(&server, 1).sequence().get(), (1 << 50) + 1);
    operator.send(&Message::AdvanceRequest { above: 5 });
    assert_eq!(
        operator.receive(),
        Message::DoneReply {
            sequence: (1 << 50) + 1
        },
        "it never goes back"
    );
    operator.send(&Message::AdvanceRequest { above: 1 << 53 });
    match operator.receive() {
        Message::ErrorReply(error) => assert_eq!(error.code, ErrorCode::AdvanceTooLarge.get()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_advance_that_was_answered_survives_a_kill() {
    let mut server = Server::start(&["--pid", "1"]);
    let mut operator = server.connect();
    operator.send(&Message::AdvanceRequest { above: 1 << 40 });
    assert_eq!(operator.receive(), Message::DoneReply { sequence: 1 << 40 });
    server.kill();
    server.restart();
    assert!(ask(&server, 1).sequence().get() > 1 << 40);
}

#[test]
fn the_end_of_the_sequence_is_a_lasting_error_and_never_wraps() {
    let end = (1u64 << 53) - 1;
    let above = (end - 5).to_string();
    let mut server = Server::start(&["--pid", "1", "--recover-above", &above]);
    match server.ask(6, 0) {
        Message::ErrorReply(error) => assert_eq!(error.code, ErrorCode::Exhausted.get()),
        other => panic!("a block that would cross the end fails as a whole: {other:?}"),
    }
    assert_eq!(ask(&server, 5).sequence().get(), end - 4);
    assert_eq!(refusal(&server).0, ErrorCode::Exhausted.get());
    server.kill();
    server.restart();
    assert_eq!(refusal(&server).0, ErrorCode::Exhausted.get());
}

#[test]
fn a_first_start_that_was_cut_short_asks_again() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("state");
    let mut observer = observer();
    let mut server = one(&directory, &observer, &[]);
    wait_until(&server, Standing::Serving);
    ask(&server, 900);
    wait_until_heard(&observer, 900);
    server.kill();
    fs::remove_dir_all(&directory).unwrap();

    // The server that remembers is away: the first start on a new directory waits, and is killed.
    assert_eq!(observer.stop(), 0);
    let mut server = one(&directory, &observer, &["--join-timeout", "1h"]);
    wait_until(&server, Standing::Joining);
    server.kill();
    let server = one(&directory, &observer, &["--join-timeout", "1h"]);
    wait_until(&server, Standing::Joining);
    observer.restart();
    wait_until(&server, Standing::Stale);
    assert_eq!(server.status().counters.identities, 0);
}
