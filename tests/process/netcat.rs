//! The protocol, spoken with netcat: bytes in, bytes out, against a real server. Also every command that
//! docs/protocol.md shows, run as it is shown.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
    thread,
    time::Duration,
};

use ipseity_core::words::{ErrorCode, Message, Objection, SyncMessage};
use ipseity_frames::{FrameDecoder, Receiver, encode};
use ipseity_harness::server::{Server, eventually};
use ipseity_sim::goldens::{error_reply, hex, malformed, malformed_too, messages, unfinished};

/// How long nc waits, in seconds, while nothing comes and nothing goes. Only a failing test waits that long.
const PATIENCE_S: &str = "20";

const INSTALL: &str =
    "install OpenBSD netcat (apt-get install netcat-openbsd; on Fedora: dnf install netcat)";

/// An `nc` that talks to a server.
struct Netcat {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
}

impl Netcat {
    /// `nc FLAGS 127.0.0.1 PORT`.
    fn start(server: &Server, flags: &[&str]) -> Netcat {
        check_that_nc_is_here();
        let mut child = Command::new("nc")
            .args(flags)
            .args(["-w", PATIENCE_S, "127.0.0.1"])
            .arg(server.socket_address().port().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Netcat {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().unwrap(),
            child,
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    /// Reads as many bytes as `expected` has, and checks that they are the same.
    fn expect(&mut self, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        let outcome = self.stdout.read_exact(&mut bytes);
        assert_eq!(shown(&bytes), shown(expected), "{outcome:?}");
    }

    /// Ends standard input, and returns all bytes that still come.
    fn finish(mut self) -> Vec<u8> {
        self.stdin = None;
        self.rest()
    }

    /// All bytes that still come while standard input stays open, so that the server has to close.
    fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stdout.read_to_end(&mut bytes).unwrap();
        bytes
    }
}

impl Drop for Netcat {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A test that needs nc fails if there is no nc, because otherwise it would pass without testing anything.
fn check_that_nc_is_here() {
    static HELP: OnceLock<String> = OnceLock::new();
    let help = HELP.get_or_init(|| match Command::new("nc").arg("-h").output() {
        Ok(output) => String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("these tests need nc, and there is none: {INSTALL}")
        }
        Err(error) => panic!("cannot run nc: {error}; {INSTALL}"),
    });
    let fits = help.lines().any(|line| line.trim().starts_with("-N"));
    assert!(
        fits,
        "this nc has no -N to shut its sending side: {INSTALL}"
    );
}

/// The answer to `bytes`, sent by `nc -N`: all at once, and then its side is shut.
fn nc(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut nc = Netcat::start(server, &["-N"]);
    nc.send(bytes);
    nc.finish()
}

/// A server that has handed out nothing yet, with pid 1.
fn fresh(flags: &[&str]) -> Server {
    let mut all = vec!["--ephemeral", "--pid", "1"];
    all.extend(flags);
    Server::start_with(&["--listen", "127.0.0.1:0"], &all)
}

/// The reply to a request for one identity: the one of pid 1 with this sequence.
fn identity(sequence: u64) -> Vec<u8> {
    block(sequence, 1)
}

fn block(sequence: u64, count: u32) -> Vec<u8> {
    let mut bytes = hex("000d 02");
    bytes.extend((sequence * 1024 + 1).to_be_bytes());
    bytes.extend(count.to_be_bytes());
    bytes
}

fn request(count: u32, after: u64) -> Vec<u8> {
    let mut bytes = hex("000d 01");
    bytes.extend(count.to_be_bytes());
    bytes.extend(after.to_be_bytes());
    bytes
}

fn golden(name: &str) -> Vec<u8> {
    let all = messages();
    let golden = all.into_iter().find(|golden| golden.name == name);
    golden.unwrap().bytes
}

fn shown(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares in hexadecimal, which people can read.
#[track_caller]
fn assert_bytes(bytes: &[u8], expected: &[u8], what: &str) {
    assert_eq!(shown(bytes), shown(expected), "{what}");
}

#[test]
fn the_smallest_request_is_answered_by_the_first_identity() {
    let server = Server::start(&["--pid", "1"]);
    let reply = nc(&server, &golden("identityRequest"));
    assert_bytes(&reply, &golden("identityReply"), "one request");
}

#[test]
fn a_block_after_an_identity_is_above_it() {
    let server = Server::start(&["--pid", "1"]);
    let reply = nc(&server, &golden("identityRequest-count-after"));
    assert_bytes(&reply, &golden("identityReply-block"), "count and after");
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let server = Server::start(&["--pid", "1"]);
    let requests = [
        golden("identityRequest"),
        request(5, 0),
        request(1, 0),
        golden("identityRequest"),
    ];
    let replies = [identity(1), block(2, 5), identity(7), identity(8)];
    assert_bytes(&nc(&server, &requests.concat()), &replies.concat(), "");
    let many = nc(&server, &golden("identityRequest").repeat(5000));
    let expected: Vec<u8> = (9..5009).flat_map(identity).collect();
    assert!(many == expected, "5000 requests at once");
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = fresh(&[]);
    let mut nc = Netcat::start(&server, &["-N"]);
    for byte in [golden("identityRequest-count-after"), request(2, 0)].concat() {
        nc.send(&[byte]);
        thread::sleep(Duration::from_millis(3));
    }
    nc.expect(&[block(6, 3), block(9, 2)].concat());
    // The connection still works.
    nc.send(&golden("identityRequest"));
    nc.expect(&identity(11));
    assert!(nc.finish().is_empty());
}

#[test]
fn a_connection_may_wait_between_its_requests() {
    let server = fresh(&[]);
    let mut nc = Netcat::start(&server, &["-N"]);
    for sequence in 1..4 {
        nc.send(&golden("identityRequest"));
        nc.expect(&identity(sequence));
    }
    assert!(nc.finish().is_empty());
}

/// The example of a helloReply, with the version of this server.
fn hello_reply() -> Vec<u8> {
    let (example, own) = (b"0.1.0", env!("CARGO_PKG_VERSION").as_bytes());
    assert_eq!(example.len(), own.len(), "or the length would change too");
    let mut reply = golden("helloReply");
    let at = reply
        .windows(example.len())
        .position(|part| part == example);
    reply[at.unwrap()..][..own.len()].copy_from_slice(own);
    reply
}

#[test]
fn a_hello_and_a_request_in_one_write_have_both_their_answers() {
    let server = fresh(&[]);
    let sent = [golden("helloRequest"), golden("identityRequest")].concat();
    let expected = [hello_reply(), identity(1)].concat();
    assert_bytes(&nc(&server, &sent), &expected, "hello");
    let sent = [golden("helloRequest-any"), golden("identityRequest")].concat();
    let expected = [hello_reply(), identity(2)].concat();
    assert_bytes(&nc(&server, &sent), &expected, "hello to any");
}

#[test]
fn a_hello_to_another_cluster_ends_the_connection_and_takes_nothing() {
    let server = fresh(&["--cluster", "blue"]);
    let sent = [
        golden("identityRequest"),
        golden("helloRequest"),
        golden("identityRequest"),
    ];
    let reply = nc(&server, &sent.concat());
    let error = reply.strip_prefix(&identity(1)[..]).unwrap();
    // The kind, and the code.
    assert_eq!(error[2..5], [255, 0, 64]);
    let text = String::from_utf8_lossy(&error[13..]);
    assert!(
        text.starts_with("this server is of cluster \"blue\", and the client expects \"ipseity\""),
        "{text}"
    );
    assert_eq!(nc(&server, &golden("identityRequest")), identity(2));
}

#[test]
fn a_connection_that_asks_nothing_is_closed_without_a_reply() {
    let server = fresh(&[]);
    assert!(nc(&server, b"").is_empty());
}

#[test]
fn every_malformed_input_gets_its_error_reply_and_closes_the_connection() {
    let server = fresh(&[]);
    for malformed in as_a_server_meets_them() {
        let reply = nc(&server, &malformed.bytes);
        assert_bytes(&reply, &malformed.answer(), malformed.name);
    }
}

#[test]
fn malformed_input_is_answered_as_soon_as_it_can_be_judged() {
    let server = fresh(&[]);
    for malformed in as_a_server_meets_them() {
        // Without -N, like a sender that would go on.
        let mut nc = Netcat::start(&server, &[]);
        nc.send(&malformed.bytes[..malformed.judged_at]);
        nc.expect(&malformed.answer());
        assert!(nc.finish().is_empty(), "{}", malformed.name);
    }
}

#[test]
fn requests_before_malformed_input_are_answered_and_those_after_it_are_not() {
    let server = fresh(&[]);
    for (turn, malformed) in (0..).zip(as_a_server_meets_them()) {
        let sent = [
            golden("identityRequest"),
            request(2, 0),
            malformed.bytes.clone(),
            golden("identityRequest"),
        ];
        let expected = [
            identity(3 * turn + 1),
            block(3 * turn + 2, 2),
            malformed.answer(),
        ];
        assert_bytes(
            &nc(&server, &sent.concat()),
            &expected.concat(),
            malformed.name,
        );
    }
}

/// The malformed inputs of a server. A frame whose connection is closed or stalls in its middle has tests of its own.
fn as_a_server_meets_them() -> Vec<ipseity_sim::goldens::Malformed> {
    let all = malformed().into_iter().chain(malformed_too());
    all.filter(|malformed| malformed.receiver == Receiver::Server)
        .collect()
}

#[test]
fn a_connection_shut_in_the_middle_of_a_frame_gets_an_error() {
    let server = fresh(&[]);
    let incomplete = unfinished().into_iter().next().unwrap();
    assert_eq!(incomplete.name, "incomplete");
    assert_bytes(
        &nc(&server, &incomplete.bytes),
        &incomplete.answer(),
        "alone",
    );
    let sent = [golden("identityRequest"), incomplete.bytes.clone()].concat();
    let expected = [identity(1), incomplete.answer()].concat();
    assert_bytes(&nc(&server, &sent), &expected, "behind a request");
    let answer = error_reply(4, "the connection was closed 1 byte into a frame");
    assert_bytes(&nc(&server, &[0]), &answer, "one byte");
}

#[test]
fn a_connection_that_met_an_error_is_closed_at_once_and_leaves_nothing_behind() {
    let server = fresh(&[]);
    for malformed in as_a_server_meets_them() {
        nc(&server, &malformed.bytes);
    }
    // Only the connection that asks is left.
    server.wait_for_status("one connection", |status| status.connections == 1);
}

#[test]
fn a_request_that_cannot_be_served_gets_an_error_in_its_place_and_the_connection_goes_on() {
    let server = fresh(&["--max-count", "100", "--max-advance", "1000"]);
    let advance = |after: u64, ahead: u64| {
        format!(
            "after: sequence {after} is {ahead} ahead of this server, more than --max-advance 1000 allows \
             at once"
        )
    };
    let count = "count must be 1 to 100 (--max-count)";
    let sent = [
        request(0, 0),
        request(101, 0),
        request(u32::MAX, 0),
        request(1, 0),
        request(1, 1002 << 10),
        request(1, i64::MAX as u64),
        request(1, 1 << 63),
        request(1, u64::MAX),
        request(100, 1001 << 10),
        request(0, 0),
        request(1, 0),
    ];
    let expected = [
        error_reply(32, count),
        error_reply(32, count),
        error_reply(32, count),
        identity(1),
        error_reply(33, &advance(1002, 1001)),
        error_reply(33, &advance((1 << 53) - 1, (1 << 53) - 2)),
        error_reply(
            33,
            "after 9223372036854775808 is beyond the last identity there is, 9223372036854775807",
        ),
        error_reply(
            33,
            "after 18446744073709551615 is beyond the last identity there is, 9223372036854775807",
        ),
        block(1002, 100),
        error_reply(32, count),
        identity(1102),
    ];
    assert_bytes(&nc(&server, &sent.concat()), &expected.concat(), "");
}

#[test]
fn the_last_identities_are_handed_out_and_none_beyond_them() {
    let most = "9007199254740991";
    let server = fresh(&["--max-advance", most, "--after-burst", most]);
    let left = |left| {
        let text = format!("only {left} sequences are left, and the count asks for more");
        error_reply(34, &text)
    };
    let end = (1 << 53) - 1;
    let sent = [
        request(1, i64::MAX as u64),
        // A refusal changes nothing.
        request(1, 0),
        request(3, (end - 2) << 10),
        request(2, (end - 2) << 10),
        request(1, 0),
    ];
    let expected = [left(0), identity(1), left(2), block(end - 1, 2), left(0)];
    assert_bytes(&nc(&server, &sent.concat()), &expected.concat(), "");
}

#[test]
fn a_status_is_answered_in_its_place_among_the_requests() {
    let server = fresh(&["--cluster", "netcat", "--max-connections", "77"]);
    let one = golden("identityRequest");
    let sent = [&one[..], &golden("statusRequest"), &one].concat();
    let replies = nc(&server, &sent);
    let mut decoder = FrameDecoder::new();
    decoder.restore(&replies);
    let mut next = || decoder.next(Receiver::Client).unwrap();
    let reply = |first| Some(Message::IdentityReply { first, count: 1 });
    assert_eq!(next(), reply(1025));
    let Some(Message::StatusReply(status)) = next() else {
        panic!("no status");
    };
    assert_eq!(status.cluster.as_str(), "netcat");
    assert_eq!(status.pid.get(), 1);
    assert_eq!(status.sequence, 1);
    assert_eq!((status.connections, status.connections_max), (1, 77));
    assert_eq!(
        (status.counters.identity_requests, status.counters.accepted),
        (1, 1)
    );
    assert_eq!(next(), reply(2049));
    assert_eq!(next(), None);
}

/// A syncRequest of pid 2 to a server of `fresh`, which the test may change.
fn sync_request(change: impl FnOnce(&mut SyncMessage)) -> Vec<u8> {
    let mut message = SyncMessage {
        pid: "2".parse().unwrap(),
        session: 2,
        ..ipseity_sim::goldens::sync_message()
    };
    change(&mut message);
    let mut bytes = Vec::new();
    encode(&Message::SyncRequest(Box::new(message)), &mut bytes);
    bytes
}

#[test]
fn a_peer_is_answered_and_its_sequence_absorbed() {
    let server = fresh(&[]);
    let sent = [
        sync_request(|_| {}),
        golden("identityRequest"),
        sync_request(|sync| sync.sequence = 3),
        sync_request(|sync| sync.sequence = 5 + (1 << 41)),
        golden("identityRequest"),
    ];
    let replies = nc(&server, &sent.concat());
    let mut decoder = FrameDecoder::new();
    decoder.restore(&replies);
    // The replies to a peer and to a client are in one stream here. Each is read by the receiver that accepts it.
    let Ok(Some(Message::SyncReply(first))) = decoder.next(Receiver::Dialer) else {
        panic!("{}", shown(&replies));
    };
    assert_eq!((first.pid.get(), first.sequence, first.boot), (1, 5, 1));
    assert_eq!(first.session, server.status().session);
    let reply = |first| Ok(Some(Message::IdentityReply { first, count: 1 }));
    assert_eq!(decoder.next(Receiver::Client), reply(6 * 1024 + 1));
    let Ok(Some(Message::SyncReply(second))) = decoder.next(Receiver::Dialer) else {
        panic!("{}", shown(&replies));
    };
    assert_eq!(second.sequence, 6);
    // What is too far ahead is not absorbed, and the answer says so.
    let Ok(Some(Message::SyncReply(third))) = decoder.next(Receiver::Dialer) else {
        panic!("{}", shown(&replies));
    };
    assert_eq!((third.sequence, third.told.refused), (6, 33));
    assert_eq!((first.told.refused, second.told.refused), (0, 0));
    assert_eq!(decoder.next(Receiver::Client), reply(7 * 1024 + 1));
    server.wait_for_log("is up: pid 2, sequence 5");
}

#[test]
fn a_wrong_peer_is_told_why_and_the_log_says_so_too() {
    let server = fresh(&["--cluster", "ipseity"]);
    let session = server.status().session;
    let foreign_version = malformed()
        .into_iter()
        .find(|malformed| malformed.name == "foreignVersion")
        .unwrap();
    let cases = [
        (
            sync_request(|sync| sync.cluster = "other".parse().unwrap()),
            64,
            "a server of cluster \"ipseity\" refuses one of cluster \"other\": check --cluster and --peer on both",
        ),
        (foreign_version.bytes, 65, foreign_version.text),
        (
            sync_request(|sync| {
                sync.pid = "1".parse().unwrap();
                sync.session = session;
            }),
            67,
            "a server was named as its own peer, which does no harm",
        ),
    ];
    for (turn, (bytes, code, text)) in (1..).zip(cases) {
        let answer = error_reply(code, text);
        assert_bytes(&nc(&server, &bytes), &answer, text);
        // Earlier requests are answered, and nothing after the mistake is looked at.
        let one = golden("identityRequest");
        let sent = [&one[..], &bytes, &one, &one].concat();
        let expected = [identity(turn), answer.clone()].concat();
        let mut nc = Netcat::start(&server, &[]);
        nc.send(&sent);
        nc.expect(&expected);
        assert!(nc.finish().is_empty(), "behind {text}");
        if code == 67 {
            // A server that reaches itself is normal.
            assert_eq!(server.count_log(text), 0);
        } else {
            let line = server.wait_for_log(text);
            assert!(line.contains("refused peer 127.0.0.1:"), "{line}");
        }
    }
    // No sequence was absorbed, and the server goes on serving.
    assert_eq!(server.status().counters.absorbed, 0);
    let request = golden("identityRequest");
    assert_bytes(&nc(&server, &request), &identity(4), "");

    // A live server with the same pid is another matter: a server that meets it stops handing out.
    let mut told = ipseity_sim::goldens::sync_message();
    let twin = sync_request(|sync| {
        sync.pid = "1".parse().unwrap();
        told = sync.clone();
    });
    let text = "pid 1 is this server's pid too, so both stop handing out identities: start the one that \
    keeps it with --recover-above, and the other with an unused --pid";
    // It is told how far both have come, and then why.
    let sequence = told.sequence.max(4);
    let objection = Objection::new(
        told.pid,
        told.session,
        ErrorCode::PidConflict,
        sequence,
        text,
    );
    let mut answer = Vec::new();
    encode(&Message::Objection(Box::new(objection)), &mut answer);
    answer.extend(error_reply(66, text));
    assert_bytes(&nc(&server, &twin), &answer, text);
    server.wait_for_log("refused peer 127.0.0.1:");
    server.wait_for_log("NOT HANDING OUT IDENTITIES (pid conflict)");
    let text = "another live server has the pid of this one, so neither hands out identities: ask another one, \
                and have an operator look at ipseity-cli status";
    assert_bytes(&nc(&server, &request), &error_reply(37, text), text);
}

#[test]
fn a_client_cut_off_in_the_middle_of_a_frame_harms_nobody() {
    let server = fresh(&[]);
    let mut nc1 = Netcat::start(&server, &[]);
    nc1.send(&golden("identityRequest").repeat(3));
    nc1.send(&hex("000d 01 00"));
    nc1.expect(&identity(1));
    nc1.child.kill().unwrap();
    let gone = eventually(|| server.status().connections == 1);
    assert!(gone, "the connection is still there");
    let reply = nc(&server, &golden("identityRequest"));
    assert_bytes(&reply, &identity(4), "somebody else");
}

#[test]
fn every_command_of_the_protocol_page_does_what_the_page_shows() {
    check_that_nc_is_here();
    let page = ipseity_harness::page::read("docs/protocol.md");
    let request = &ipseity_harness::page::blocks(&page, "frame")[0];
    let python = ipseity_harness::page::blocks(&page, "python");
    assert_eq!(python.len(), 1, "client.py is the one block of Python");
    let consoles = ipseity_harness::page::blocks(&page, "console");
    for console in &consoles {
        let server = Server::start(&["--pid", "1"]);
        let port = server.socket_address().port().to_string();
        let here = server.scratch();
        fs::write(here.join("request.txt"), &request.text).unwrap();
        fs::write(
            here.join("client.py"),
            python[0].text.replace("3264", &port),
        )
        .unwrap();
        for example in ipseity_harness::page::examples(console) {
            let output = Command::new("sh")
                .args(["-c", &example.command.replace("3264", &port)])
                .current_dir(here)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                String::from_utf8_lossy(&output.stdout),
                example.output,
                "$ {}\n{errors}\n(the page's commands need nc, xxd, sed and python3)",
                example.command
            );
        }
    }
    assert!(consoles.len() >= 4, "{consoles:#?}");
}

#[test]
fn the_protocol_page_shows_no_command_that_is_not_run() {
    let page = ipseity_harness::page::read("docs/protocol.md");
    let run: Vec<String> = ipseity_harness::page::blocks(&page, "console")
        .iter()
        .flat_map(ipseity_harness::page::examples)
        .map(|example| format!("$ {}", example.command))
        .collect();
    for line in page.lines().filter(|line| line.contains("| nc ")) {
        assert!(run.iter().any(|command| command == line), "{line}");
    }
}

#[test]
fn nobody_but_a_peer_may_object() {
    let server = fresh(&[]);
    let status = server.status();
    let objection = Objection {
        pid: status.pid,
        session: status.session,
        code: 37,
        sequence: 0,
        message: "stop".to_owned(),
    };
    let mut bytes = Vec::new();
    encode(&Message::Objection(Box::new(objection)), &mut bytes);
    let text = "kind 7 (objection) is not taken on this side of a connection";
    assert_bytes(&nc(&server, &bytes), &error_reply(1, text), text);
    assert_bytes(
        &nc(&server, &golden("identityRequest")),
        &identity(1),
        "it goes on",
    );
}
