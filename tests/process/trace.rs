//! The trace of scripted runs of a real server, compared line by line: when its behaviour changes, a reviewer sees the
//! change as a diff. Times and random values are masked.
//!
//! Each step waits until the trace shows the one before, so the order of the lines is certain.

use std::{
    fs,
    io::Write as _,
    net::{Shutdown, TcpListener},
    path::PathBuf,
};

use ipseity_core::words::{Message, SyncMessage, Told};
use ipseity_harness::server::{Connection, Server, eventually};
use ipseity_sim::config::peer_says;
use tempfile::TempDir;

/// A server that writes its trace into a file.
struct Traced {
    server: Server,
    file: PathBuf,
    _directory: TempDir,
}

impl Traced {
    fn start(flags: &[&str]) -> Traced {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("trace");
        let mut all = vec!["--pid", "5", "--trace", file.to_str().unwrap()];
        all.extend(flags);
        Traced {
            server: Server::start(&all),
            file,
            _directory: directory,
        }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    /// Waits until a line has this end.
    fn wait_for(&self, end: &str) {
        let end = format!(" {end}\n");
        assert!(
            eventually(|| self.text().contains(&end)),
            "{end} never came:\n{}",
            self.text()
        );
    }

    /// The trace with times and random values masked. It leaves out what no script decides: when connections are swept for
    /// deadlines, and whether the kernel reports again that a connection is writable after it was shut.
    fn masked(&self) -> String {
        let mut writables = 0;
        let mut shown = String::new();
        for line in self.text().lines().map(mask) {
            writables += usize::from(line == "writable connection=0.0");
            // The disk decides when it is done with a write that nobody waits for. The time for a claim may end at any
            // moment after it was confirmed.
            let has_its_moment =
                !["sweepTimeout", "written members", "joinTimeout"].contains(&line.as_str());
            if has_its_moment && (line != "writable connection=0.0" || writables == 1) {
                // In a trace, serials say which effect belongs to which entry. Here the indent does.
                shown += &line;
                shown += "\n";
            }
        }
        shown
    }
}

/// A line without its serial and its time. An effect is indented, and values that are random or depend on the time, as
/// the ceiling does, are replaced by a star.
fn mask(line: &str) -> String {
    let mut words = line.splitn(3, ' ');
    let (serial, time) = (words.next().unwrap(), words.next().unwrap());
    assert!(serial.parse::<u64>().is_ok(), "{line}");
    let (seconds, nanos) = time.split_once('.').unwrap();
    assert!(seconds.parse::<u64>().is_ok() && nanos.len() == 9, "{line}");
    let rest = words.next().unwrap();
    let starred: Vec<String> = rest
        .split(' ')
        .map(|word| match word.split_once('=') {
            Some((name @ ("incarnation" | "session" | "ceiling" | "nonce"), _)) => {
                format!("{name}=*")
            }
            _ => word.to_owned(),
        })
        .collect();
    let text = starred.join(" ");
    match text.strip_prefix("> ") {
        Some(effect) => format!("    {effect}"),
        None => text,
    }
}

/// Compares, and shows both when they differ.
fn assert_trace(shown: &str, expected: &str) {
    let expected: String = expected
        .lines()
        .map(|line| line.strip_prefix("        ").unwrap_or(line))
        .filter(|line| !line.is_empty())
        .fold(String::new(), |text, line| text + line + "\n");
    let differs = shown
        .lines()
        .zip(expected.lines())
        .position(|(a, b)| a != b);
    assert!(
        shown == expected,
        "line {:?} is the first that differs. Expected:\n{expected}\nShown:\n{shown}",
        differs.map(|index| index + 1)
    );
}

#[test]
fn a_trace_shows_every_frame_of_a_connection_and_its_effects() {
    let mut traced = Traced::start(&["--max-count", "5000"]);
    let mut connection = traced.server.connect();
    traced.wait_for("writable connection=0.0");
    let request = |count, after| Message::IdentityRequest { count, after };
    let mut ask = |message: &Message| {
        connection.send(message);
        connection.receive();
    };
    ask(&request(1, 0));
    ask(&request(10, 0));
    ask(&request(1, 100 << 10 | 7));
    // Over the ceiling: the answer waits for the disk.
    ask(&request(2000, 0));
    traced.wait_for("written ceiling");
    ask(&request(0, 0));
    ask(&request(5001, 0));
    ask(&request(1, 1 << 60));
    ask(&request(1, u64::MAX));
    ask(&Message::StatusRequest);
    // Three requests that arrive together are three entries after one readiness.
    connection
        .stream()
        .write_all(&[0, 1, 1, 0, 1, 1, 0, 1, 1])
        .unwrap();
    for _ in 0..3 {
        connection.receive();
    }
    connection.stream().write_all(&[0, 1, 99]).unwrap();
    connection.receive();
    assert_eq!(connection.try_receive(), None);
    // The server reads again for what came after. If it found the end there, no readiness would report it.
    let looked = || {
        let text = traced.text();
        let (_, behind) = text.split_once("close connection=0.0").unwrap_or_default();
        behind.contains(" readable connection=0.0\n")
    };
    assert!(eventually(looked), "{}", traced.text());
    drop(connection);
    traced.wait_for("readClosed");
    assert_eq!(traced.server.stop(), 0);
    // One entry for each frame that was sent. Anything that is not shown here did not happen.
    let text = traced.text();
    for (frames, name) in [
        (11, " identityRequest "),
        (1, " statusRequest "),
        (1, " unknown "),
    ] {
        assert_eq!(text.matches(name).count(), frames, "{name}:\n{text}");
    }
    assert_trace(
        &traced.masked(),
        r#"
        acceptable
        writable connection=0.0
        readableWritable connection=0.0
        identityRequest connection=0.0 count=1 after=0
            reply connection=0.0 identityReply first=1029 count=1
        readableWritable connection=0.0
        identityRequest connection=0.0 count=10 after=0
            reply connection=0.0 identityReply first=2053 count=10
        readableWritable connection=0.0
        identityRequest connection=0.0 count=1 after=102407
            reply connection=0.0 identityReply first=103429 count=1
        readableWritable connection=0.0
        identityRequest connection=0.0 count=2000 after=0
            write ceiling sequence=1024 ceiling=*
        written ceiling
            reply connection=0.0 identityReply first=104453 count=2000
        readableWritable connection=0.0
        identityRequest connection=0.0 count=0 after=0
            reply connection=0.0 errorReply code=32 message="count must be 1 to 5000 (--max-count)"
        readableWritable connection=0.0
        identityRequest connection=0.0 count=5001 after=0
            reply connection=0.0 errorReply code=32 message="count must be 1 to 5000 (--max-count)"
        readableWritable connection=0.0
        identityRequest connection=0.0 count=1 after=1152921504606846976
            report advanceRefused connection=0.0 code=33 message="after: sequence 1125899906842624 is 1125899906840523 ahead of this server, more than --max-advance 1099511627776 allows at once"
            reply connection=0.0 errorReply code=33 message="after: sequence 1125899906842624 is 1125899906840523 ahead of this server, more than --max-advance 1099511627776 allows at once"
        readableWritable connection=0.0
        identityRequest connection=0.0 count=1 after=18446744073709551615
            report advanceRefused connection=0.0 code=33 message="after 18446744073709551615 is beyond the last identity there is, 9223372036854775807"
            reply connection=0.0 errorReply code=33 message="after 18446744073709551615 is beyond the last identity there is, 9223372036854775807"
        readableWritable connection=0.0
        statusRequest connection=0.0
            reply connection=0.0 statusReply
        readable connection=0.0
        readableWritable connection=0.0
        identityRequest connection=0.0 count=1 after=0
            reply connection=0.0 identityReply first=2152453 count=1
        identityRequest connection=0.0 count=1 after=0
            reply connection=0.0 identityReply first=2153477 count=1
        identityRequest connection=0.0 count=1 after=0
            reply connection=0.0 identityReply first=2154501 count=1
        readableWritable connection=0.0
        unknown connection=0.0 error="unknown kind 99"
            reply connection=0.0 errorReply code=1 message="unknown kind 99"
            close connection=0.0
        readable connection=0.0
        readableWritable connection=0.0 readClosed
        signal
        stop
            write stop sequence=2104
        written stop
            stopped
"#,
    );
}

#[test]
fn a_trace_shows_every_round_with_a_peer_from_dialing_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = listener.local_addr().unwrap().to_string();
    // Times in which this test can answer even on a busy machine: a round without an answer has other lines.
    let flags = [
        "--peer",
        &name,
        "--sync-interval",
        "2s",
        "--join-timeout",
        "1h",
    ];
    let traced = Traced::start(&flags);
    let mut peer = Connection::serving(listener.accept().unwrap().0);
    let reply = |sequence| {
        Message::SyncReply(Box::new(SyncMessage {
            told: Told {
                nonce: 77 + sequence,
                ..Told::default()
            },
            session: 77,
            sequence,
            ..peer_says(6.try_into().unwrap())
        }))
    };
    // It joins, it claims its pid, it serves; and then there is one round when it is time.
    for sequence in [3, 4, 40, 2] {
        assert!(matches!(peer.receive(), Message::SyncRequest(_)));
        peer.send(&reply(sequence));
        traced.wait_for(&format!(
            "nonce={:016x} heard=0000000000000000 refused=0",
            77 + sequence
        ));
    }
    peer.stream().shutdown(Shutdown::Both).unwrap();
    drop((peer, listener));
    traced.wait_for("> stopTicker");
    traced.wait_for("written members");
    // The connection was under a deadline while it was made, so it was swept.
    traced.wait_for("sweepTimeout");
    // From here on it dials again and again, at times of its own.
    let shown = traced.masked();
    let (script, _) = shown.split_once("    stopTicker\n").unwrap();
    assert_trace(
        &format!("{script}    stopTicker\n"),
        r#"
        dialTimeout
        writable connection=0.0
        peerConnected peer=0
            startTicker
            send peer=0 syncRequest version=2 cluster="ipseity" pid=5 incarnation=* boot=1 session=* sequence=0 stage=joins ceiling=* votes=true nonce=* heard=0000000000000000 refused=0
        readableWritable connection=0.0
        syncReply peer=0 version=2 cluster="ipseity" pid=6 incarnation=* boot=1 session=* sequence=3 stage=serves ceiling=* votes=false nonce=* heard=0000000000000000 refused=0
            report peerUp peer=0 pid=6 sequence=3
            write members count=1
            joinWithin ms=500
        allAsked
            claimWithin ms=3000
            send peer=0 syncRequest version=2 cluster="ipseity" pid=5 incarnation=* boot=1 session=* sequence=3 stage=claims ceiling=* votes=true nonce=* heard=0000000000000050 refused=0 known=1/000000000000004d/0/3
        readableWritable connection=0.0
        syncReply peer=0 version=2 cluster="ipseity" pid=6 incarnation=* boot=1 session=* sequence=4 stage=serves ceiling=* votes=false nonce=* heard=0000000000000000 refused=0
            report joined answered=1
            send peer=0 syncRequest version=2 cluster="ipseity" pid=5 incarnation=* boot=1 session=* sequence=3 stage=serves ceiling=* votes=true nonce=* heard=0000000000000051 refused=0 known=1/000000000000004d/0/4
        readableWritable connection=0.0
        syncReply peer=0 version=2 cluster="ipseity" pid=6 incarnation=* boot=1 session=* sequence=40 stage=serves ceiling=* votes=false nonce=* heard=0000000000000000 refused=0
        syncTimeout
            send peer=0 syncRequest version=2 cluster="ipseity" pid=5 incarnation=* boot=1 session=* sequence=40 stage=serves ceiling=* votes=true nonce=* heard=0000000000000075 refused=0 known=1/000000000000004d/0/40
        readableWritable connection=0.0
        syncReply peer=0 version=2 cluster="ipseity" pid=6 incarnation=* boot=1 session=* sequence=2 stage=serves ceiling=* votes=false nonce=* heard=0000000000000000 refused=0
        readableWritable connection=0.0 readClosed
        peerDisconnected peer=0
            report peerDown peer=0 pid=6
            stopTicker
"#,
    );
}
