//! `status`: the status of each server, for people or as JSON.

mod text;

pub use text::mood;

use std::io::{self, Write};

use getopts::Matches;
use ipseity_client::{ClientError, ClientOptions};
use ipseity_console::Flags;
use ipseity_core::words::{CertificateStatus, PeerState, Status};
use ipseity_monitor::status_json;

use crate::{
    at_once::at_once,
    command::{Command, no_more},
    failure::{Failure, Outcome, advice, complain},
    json::write_error,
    servers,
    shape::{self, Shape, write_csv},
    tint::Tint,
    unread::Unread,
    unseen::Unseen,
};

/// The command.
pub const COMMAND: Command = Command {
    name: "status",
    arguments: "",
    summary: "Show how each server is doing, and what it knows of its peers",
    details: "\
All servers are asked at once, and shown in the order in which they are named. If a server cannot be
reached, standard error says so, and the others are shown.

Exit code: 0 every server hands out identities, 1 one of them could not be asked, 3 one of them
hands out none: its standing is not \"serving\".

In JSON and CSV, a server that cannot be asked has a line too, with the error.",
    examples: &[
        ("ipseity-cli status", "one server, for people"),
        ("ipseity-cli status --check", "for a health check"),
        (
            "ipseity-cli status --format json",
            "every number, for a program",
        ),
    ],
    options,
    run,
};

fn options(options: &mut Flags) {
    shape::options_with_json(options);
    options.optflag(
        "",
        "check",
        "write one short line for each server, for a health check that looks at the exit code",
    );
    servers::options(options);
}

/// How a status is shown.
#[derive(Clone, Copy)]
enum Look {
    Text,
    Json,
    Csv,
    Check,
}

/// The columns in CSV.
const CSV_HEADER: [&str; 12] = [
    "server",
    "standing",
    "pid",
    "sequence",
    "cluster",
    "version",
    "uptime_ms",
    "connections",
    "identities",
    "peers_up",
    "peers",
    "error",
];

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    no_more(&matches.free)?;
    let is_check = matches.opt_present("check");
    for flag in ["json", "format"] {
        if is_check && matches.opt_present(flag) {
            return Err(Failure::Usage(format!(
                "--{flag} and --check cannot be given together"
            )));
        }
    }
    let look = match shape::shape(matches)? {
        _ if is_check => Look::Check,
        Shape::Text => Look::Text,
        Shape::Json => Look::Json,
        Shape::Csv => Look::Csv,
    };
    let tint = Tint::of(matches)?;
    let out = &mut Unread::new(out);
    let mut outcome = Outcome::default();
    let mut shown = 0;
    if let Look::Csv = look {
        write_csv(out, CSV_HEADER)?;
    }
    let mut clients = servers::clients(matches, ClientOptions::one_round())?;
    at_once(
        &mut clients,
        |client| client.status(),
        |client, answer| {
            let server = client.server().to_string();
            match answer {
                Ok(status) => {
                    outcome.stands(status.standing);
                    if shown > 0 && matches!(look, Look::Text) {
                        writeln!(out)?;
                    }
                    show(out, look, &server, &status, tint)?;
                    shown += 1;
                }
                Err(error) => {
                    outcome.failed();
                    show_error(out, look, &server, &error)?;
                }
            }
            // Flushed, so that it is shown before what is written about the next server to standard error.
            out.flush()
        },
    )?;
    outcome.end()
}

fn show(
    out: &mut dyn Write,
    look: Look,
    server: &str,
    status: &Status,
    tint: Tint,
) -> io::Result<()> {
    match look {
        Look::Text => text::write(out, server, status, tint),
        Look::Csv => {
            let up = peers_up(status);
            let fields: [&dyn ToString; CSV_HEADER.len()] = [
                &server,
                &status.standing,
                &status.pid,
                &status.sequence,
                &status.cluster,
                &status.version,
                &status.uptime_ms,
                &status.connections,
                &status.counters.identities,
                &up,
                &status.peers_total,
                &"",
            ];
            write_csv(out, fields.map(ToString::to_string))
        }
        Look::Json => writeln!(out, "{}", status_json(status, Some(server))),
        Look::Check => writeln!(
            out,
            "{server}: {}, pid {}, sequence {}",
            status.standing, status.pid, status.sequence
        ),
    }
}

fn show_error(
    out: &mut dyn Write,
    look: Look,
    server: &str,
    error: &ClientError,
) -> io::Result<()> {
    match look {
        Look::Text => {}
        Look::Json => write_error(out, server, error)?,
        Look::Csv => {
            let mut fields = [""; CSV_HEADER.len()].map(str::to_owned);
            server.clone_into(&mut fields[0]);
            fields[CSV_HEADER.len() - 1] = Unseen::new(error).reason;
            write_csv(out, fields)?;
        }
        // The error is on its line of standard output, so none is written to standard error.
        Look::Check => {
            let unseen = Unseen::new(error);
            return writeln!(out, "{server}: {}, {}", unseen.word, unseen.reason);
        }
    }
    complain(&advice(error));
    Ok(())
}

/// How many of its peers it is connected to.
pub fn peers_up(status: &Status) -> usize {
    let peers = status.peers.iter();
    peers.filter(|peer| peer.state == PeerState::Up).count()
}

/// How many whole days a certificate is still valid.
pub fn days_left(certificate: &CertificateStatus) -> u64 {
    certificate.expires_in_s / (24 * 60 * 60)
}

#[cfg(test)]
mod tests {
    use ipseity_core::{
        identity::Pid,
        words::{JoinStatus, ObjectionStatus, Status, StorageStatus},
    };
    use ipseity_monitor::sample::status;
    use proptest::prelude::ProptestConfig;

    use super::{Look, Tint, show, text};

    #[test]
    fn people_are_shown_one_thing_a_line_and_a_table_of_peers() {
        let mut out = Vec::new();
        text::write(&mut out, "a:3264", &status(), Tint::NONE).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\
server       a:3264
version      0.1.0\\u{1b}[2J
pid          1
cluster      blue
standing     serving
join         1 of the 2 peers that must accept it have done so, 0 have confirmed it
objection    by b:3264 (pid 2): not the newest\\u{1b}
way out      stop it; start it with an unused --pid and a new state directory, or with --recover-above SEQUENCE. SEQUENCE must be at least 2000, and not lower than anything that the other state or server may have handed out
sequence     1000
remaining    9007199254739991 (99.9999 %)
uptime       1h 2m 3s, boot 3
connections  2 of at most 10000, 12 accepted so far; 2 refused for their address, 5 closed as idle
unread       700 bytes wait, 3 clients cut off
requests     30, of which 1 waited for etcd
identities   900
sync         4 requests answered, 5 replies received, 6 times raised
errors       unknownKind 2, badCount 7, joining 3, 63 1
storage      etcd://a:2379/ipseity is ready (confirmed 20s ago in 3.000 ms, 2 doubts, 1 lost lease), ceiling 5000, 10 skipped at start, 8 writes, longest 1.500 ms, none under way
log          4 lines dropped: nobody reads it, or it cannot be written
tls          2 connections, 7 handshakes, 3 failed, 1 under way, longest wait 1.250 ms
certificates the certificate of this server, a\\u{1b} (2 days left)
peers        3, the first 2 of them below

address  pid  state       tls  sequence   lag  last heard
b:3264     2  up          yes       990    10  250ms ago
c:3264     -  connecting  no          0  1000  never
"
        );
    }

    #[test]
    fn a_server_without_a_disk_or_trouble_says_so() {
        let mut status = status();
        status.storage = StorageStatus::default();
        status.counters.errors.clear();
        status.peers.clear();
        status.peers_total = 0;
        let mut out = Vec::new();
        text::write(&mut out, "a:3264", &status, Tint::NONE).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert!(shown.contains("errors       none\n"), "{shown}");
        assert!(shown.contains("storage      none (ephemeral)"), "{shown}");
        assert!(shown.ends_with("peers        0\n"), "{shown}");
        status.storage.durable = true;
        status.storage.current_write_us = 2000;
        status.bounds.waiting_for_disk = 1;
        let mut out = Vec::new();
        text::write(&mut out, "a:3264", &status, Tint::NONE).unwrap();
        let shown = String::from_utf8(out).unwrap();
        let line = "one under way for 2.000 ms, and 1 request waits\n";
        assert!(shown.contains(line), "{shown}");
    }

    #[test]
    fn what_is_not_known_of_an_objection_is_not_made_up() {
        let shown = |change: fn(&mut Status)| {
            let mut status = status();
            change(&mut status);
            let mut out = Vec::new();
            text::write(&mut out, "a:3264", &status, Tint::NONE).unwrap();
            String::from_utf8(out).unwrap()
        };
        let noted = shown(|status| {
            let reason = "an earlier run was objected to".to_owned();
            status.objection = Some(ObjectionStatus {
                reason,
                ..ObjectionStatus::default()
            });
            status.join = Some(JoinStatus::default());
        });
        let line = "\nobjection    an earlier run was objected to\n";
        assert!(noted.contains(line), "{noted}");
        assert!(noted.contains("SEQUENCE must be not lower than"), "{noted}");
        assert!(
            noted.contains("\njoin         0 peers have accepted it, and it waits"),
            "{noted}"
        );
        let nameless = shown(|status| status.objection.as_mut().unwrap().pid = None);
        assert!(nameless.contains("\nobjection    by b:3264: not the newest"));
        let decided = shown(|status| (status.join, status.objection) = (None, None));
        assert!(
            !decided.contains("\njoin") && !decided.contains("objection"),
            "{decided}"
        );
    }

    #[test]
    fn the_way_out_is_not_said_twice() {
        let shown = |above| {
            let mut status = status();
            let objection = status.objection.as_mut().unwrap();
            objection.above = above;
            "start it with --recover-above SEQUENCE".clone_into(&mut objection.reason);
            let mut out = Vec::new();
            text::write(&mut out, "a:3264", &status, Tint::NONE).unwrap();
            String::from_utf8(out).unwrap()
        };
        let out = "\nway out      as the peer says; SEQUENCE must be at least 2000\n";
        assert!(shown(2000).contains(out), "{}", shown(2000));
        let out = "\nway out      as the peer says\n";
        assert!(shown(0).contains(out), "{}", shown(0));
    }

    #[test]
    fn connections_by_http_take_no_place_of_the_others() {
        let mut status = status();
        status.connections = 7;
        let mut out = Vec::new();
        text::write(&mut out, "a:3264", &status, Tint::NONE).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert!(
            shown.contains("\nconnections  2 of at most 10000, 5 by HTTP, 12 accepted so far"),
            "{shown}"
        );
    }

    #[test]
    fn a_life_that_is_not_shown_is_not_made_up() {
        let mut status = status();
        (status.incarnation, status.boot, status.session) = (0, 0, 0);
        let mut out = Vec::new();
        text::write(&mut out, "a:3264", &status, Tint::NONE).unwrap();
        let shown = String::from_utf8(out).unwrap();
        let line = "uptime       1h 2m 3s, boot shown only to peers and operators\n";
        assert!(shown.contains(line), "{shown}");
        let mut out = Vec::new();
        show(&mut out, Look::Json, "a:3264", &status, Tint::NONE).unwrap();
        let shown = String::from_utf8(out).unwrap();
        let nulls = r#""incarnation":null,"boot":null,"session":null,"standing""#;
        assert!(shown.contains(nulls), "{shown}");
    }

    proptest::proptest! {
        // A failure prints the smallest input that fails. A file beside the sources would add nothing.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_a_server_says_of_itself_is_shown(
            texts in proptest::array::uniform3(".{0,40}"),
            numbers in proptest::array::uniform22(any_number()),
            pids in proptest::array::uniform2(proptest::option::of(0..=Pid::MAX.get())),
        ) {
            let status = status_of(&texts, &numbers, pids.map(|pid| pid.and_then(Pid::new)));
            let mut out = Vec::new();
            text::write(&mut out, "a:3264", &status, Tint::NONE).unwrap();
            let shown = String::from_utf8(out).unwrap();
            assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
            assert_eq!(shown.lines().count(), 24 + status.peers.len());

            let mut out = Vec::new();
            show(&mut out, Look::Json, "a:3264", &status, Tint::NONE).unwrap();
            assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
            let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(value["version"], status.version);
            assert_eq!(value["sequence"], status.sequence.to_string());
            assert_eq!(value["peers"].as_array().unwrap().len(), status.peers.len());
            assert_eq!(value["peers"][0]["address"], *status.peers[0].address);
        }
    }

    fn any_number() -> impl proptest::strategy::Strategy<Value = u64> {
        use proptest::prelude::*;
        prop_oneof![Just(0), Just(u64::MAX), 0..1000u64, any::<u64>()]
    }

    fn status_of(texts: &[String; 3], numbers: &[u64; 22], pids: [Option<Pid>; 2]) -> Status {
        let objection = ObjectionStatus {
            above: numbers[0],
            peer: texts[1].clone(),
            pid: pids[0],
            reason: texts[2].clone(),
        };
        let mut numbers = numbers.iter().copied();
        let mut number = || numbers.next().unwrap();
        let mut status = status();
        status.objection = Some(objection);
        texts[0].clone_into(&mut status.version);
        (status.boot, status.session, status.sequence) = (number(), number(), number());
        (status.uptime_ms, status.incarnation) = (number(), u128::from(number()) << 64);
        (status.connections, status.connections_max) = (number() as u32, number() as u32);
        (status.counters.accepted, status.counters.identities) = (number(), number());
        (status.counters.waited, status.counters.absorbed) = (number(), number());
        status.counters.errors = vec![(number() as u16, number())];
        (status.storage.ceiling, status.storage.skipped) = (number(), number());
        (
            status.storage.longest_write_us,
            status.storage.current_write_us,
        ) = (number(), number());
        status.peers_total = number() as u32;
        for ((peer, text), pid) in status.peers.iter_mut().zip(&texts[1..]).zip(pids) {
            peer.address = text.as_str().into();
            (peer.pid, peer.sequence) = (pid, number());
            peer.last_heard_ms = pid.map(|_| number());
        }
        status
    }
}
