//! `ipseity-cli bench` as a person or a script uses it: what it counts, what it refuses, and that it finds every lie
//! that a server can tell about identities. How fast anything is does not matter here.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use ipseity_core::words::{ErrorCode, Message};
use ipseity_frames::encode;
use ipseity_harness::server::{Server, eventually};
use ipseity_harness::stand_in::{Manner, StandIn};
use ipseity_harness::{
    fake::{Fake, Step},
    nobody::Nobody,
    program::{Run, command, run},
};
use serde_json::Value;
use tempfile::TempDir;

/// A bench of these servers.
fn bench(servers: &str, arguments: &[&str]) -> Run {
    run(&[&["bench", "--server", servers], arguments].concat())
}

/// A bench of another target.
fn bench_target(url: &str, arguments: &[&str]) -> Run {
    run(&[&["bench", "--target", url], arguments].concat())
}

fn json(out: &str) -> Value {
    serde_json::from_str(out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// The one round of a bench that had one.
fn only_round(report: &Value) -> &Value {
    let rounds = report["points"][0]["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 1);
    &rounds[0]
}

/// A step that hands out one identity.
fn identity(sequence: u64, pid: u64) -> Step {
    block(sequence, pid, 1)
}

fn block(sequence: u64, pid: u64, count: u32) -> Step {
    Step::Reply(Message::IdentityReply {
        first: sequence * 1024 + pid,
        count,
    })
}

#[test]
fn a_bench_sends_as_many_requests_as_it_is_told_and_checks_every_identity() {
    let server = Server::start(&["--pid", "3"]);
    let out = bench(&server.address(), &["-n", "1000", "-c", "7", "-P", "5"]).good();
    for line in [
        format!(
            "ipseity {}: 7 connections, 5 requests in flight on each, 1000 requests\n",
            server.address()
        ),
        "\nrequests     1000 in ".to_owned(),
        "\nthroughput   ".to_owned(),
        "\nlatency      p50 ".to_owned(),
        "\ncpu          this program ".to_owned(),
        "\nchecked      1000 identities: each greater than all that had been received when it was asked \
         for, none came twice\n"
            .to_owned(),
    ] {
        assert!(format!("\n{out}").contains(&line), "{line:?} in {out}");
    }
    let counters = server.status().counters;
    assert_eq!(
        (counters.identities, counters.identity_requests),
        (1000, 1000)
    );
}

#[test]
fn json_has_all_numbers_of_every_round() {
    let server = Server::start(&[]);
    let pid = server.pid().to_string();
    let flags = ["-n", "30", "-c", "2", "--count", "100", "--rounds", "2"];
    let more = ["--format", "json", "--process", &pid, "--warmup", "20ms"];
    let out = bench(&server.address(), &[&flags[..], &more].concat()).good();
    let report = json(&out);
    assert_eq!(report["target"], "ipseity");
    assert_eq!(report["servers"][0], server.address().as_str());
    assert_eq!(
        (&report["in_flight"], &report["count"]),
        (&1.into(), &100.into())
    );
    let points = report["points"].as_array().unwrap();
    assert_eq!(points.len(), 1);
    assert_eq!(points[0]["connections"], 2);
    let spread = &points[0]["requests_per_second"];
    assert!(spread["least"].as_f64() <= spread["median"].as_f64());
    let rounds = points[0]["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2);
    for round in rounds {
        assert_eq!(
            (&round["requests"], &round["identities"]),
            (&30.into(), &3000.into())
        );
        assert_eq!(
            (&round["unsent"], &round["ended"]),
            (&0.into(), &"done".into())
        );
        assert_eq!(
            round["processes"][0]["process"].as_u64(),
            Some(server.pid().into())
        );
        assert!(round["errors"].as_array().unwrap().is_empty());
        let latency = &round["latency_us"];
        let quantiles = ["p50", "p90", "p99", "p99_9", "max"].map(|name| latency[name].as_f64());
        assert!(quantiles[0] > Some(0.0) && quantiles.is_sorted(), "{round}");
    }
    // Requests before the measurement are checked too, but not counted.
    let checked = report["checked"]["identities"].as_u64().unwrap();
    assert!(checked > 6000, "{checked}");
    assert_eq!(checked, server.status().counters.identities);
}

#[test]
fn csv_has_a_line_for_each_round() {
    let server = Server::start(&[]);
    let flags = [
        "-n", "20", "--sweep", "1,2", "--rounds", "3", "--format", "csv",
    ];
    let out = bench(&server.address(), &flags).good();
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines.len(), 1 + 2 * 3);
    assert!(
        lines.iter().all(|line| line.len() == lines[0].len()),
        "{out}"
    );
    let column = |name| lines[0].iter().position(|cell| *cell == name).unwrap();
    for line in &lines[1..] {
        assert_eq!(
            (line[column("target")], line[column("requests")]),
            ("ipseity", "20")
        );
    }
    let of = |name| {
        lines[1..]
            .iter()
            .map(|line| line[column(name)])
            .collect::<Vec<_>>()
    };
    assert_eq!(of("connections"), ["1", "1", "1", "2", "2", "2"]);
    assert_eq!(of("round"), ["1", "2", "3", "1", "2", "3"]);
}

#[test]
fn a_bench_with_a_duration_ends_by_itself() {
    let server = Server::start(&[]);
    let flags = ["--duration", "50ms", "-P", "3", "--format", "json"];
    let report = json(&bench(&server.address(), &flags).good());
    let round = only_round(&report);
    assert!(round["requests"].as_u64() > Some(0));
    // Every request that it sent was answered and counted.
    assert_eq!(
        round["requests"].as_u64(),
        Some(server.status().counters.identities)
    );
}

#[test]
fn connections_are_spread_over_all_servers() {
    let servers = Server::cluster(2, &[]);
    let list = [servers[0].address(), servers[1].address()].join(",");
    let flags = ["-n", "200", "-c", "5", "--format", "json"];
    let report = json(&bench(&list, &flags).good());
    assert_eq!(report["checked"]["identities"], 200);
    let counts = [0, 1].map(|place| servers[place].status().counters.identities);
    assert_eq!(counts[0] + counts[1], 200);
    assert!(counts[0] > 0 && counts[1] > 0, "{counts:?}");
}

#[test]
fn a_sweep_gives_a_table_and_a_plot() {
    let server = Server::start(&[]);
    let plot = server.scratch().join("sweep.svg");
    let flags = ["-n", "40", "--sweep", "1..4", "--rounds", "2", "--plot"];
    let out = bench(
        &server.address(),
        &[&flags[..], &[plot.to_str().unwrap()]].concat(),
    )
    .good();
    let rows = out.lines().filter(|line| line.starts_with("          "));
    let points: Vec<&str> = rows
        .filter_map(|row| row.split_whitespace().next())
        .collect();
    assert_eq!(points, ["1", "2", "3", "4"], "{out}");
    assert!(out.contains("(medians of 2 rounds;"), "{out}");
    let script = "import sys, xml.dom.minidom as xml
root = xml.parse(sys.argv[1]).documentElement
print(root.tagName, root.namespaceURI, len(root.getElementsByTagName('circle')))";
    let parsed = Command::new("python3")
        .args(["-c", script])
        .arg(&plot)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&parsed.stdout),
        "svg http://www.w3.org/2000/svg 12\n",
        "{parsed:?}"
    );
    let text = std::fs::read_to_string(plot).unwrap();
    assert!(text.contains("a sweep of connections"), "{text}");
    for title in ["<title>", "Throughput", "Latency"] {
        assert!(text.contains(title), "{title}: {text}");
    }
    assert_eq!(drafts(server.scratch()), 0);
}

/// How many files a plot that was not finished has left behind.
fn drafts(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".draft")).count()
}

#[test]
fn a_plot_is_kept_until_there_is_a_new_one() {
    let folder = TempDir::new().unwrap();
    let plot = folder.path().join("plot.svg");
    let old = "<svg>the plot of yesterday</svg>\n";
    std::fs::write(&plot, old).unwrap();
    let path = plot.to_str().unwrap();
    let sweep = ["--sweep", "1,2", "-n", "20", "--plot", path];

    let nobody = Nobody::new();
    bench(&nobody.address(), &sweep).bad(1);
    assert_eq!(std::fs::read_to_string(&plot).unwrap(), old);
    let server = Fake::serving(1);
    bench(&server.address(), &[&sweep[..], &["--bogus"]].concat()).bad(2);
    assert_eq!(std::fs::read_to_string(&plot).unwrap(), old);

    bench(&server.address(), &sweep).good();
    let new = std::fs::read_to_string(&plot).unwrap();
    assert!(new.ends_with("</svg>\n") && new != old, "{new}");
    assert_eq!(drafts(folder.path()), 0);

    // A plot over a folder, and one that is no plot by its name.
    let folder = folder.path().join("folder.svg");
    std::fs::create_dir(&folder).unwrap();
    let sweep = ["--sweep", "1", "-n", "1", "--plot"];
    let over = bench(
        &server.address(),
        &[&sweep[..], &[folder.to_str().unwrap()]].concat(),
    );
    assert!(over.bad(1).contains("it is a directory"), "{over:?}");
    let wrong = bench(&server.address(), &[&sweep[..], &["notes.txt"]].concat());
    let says = "--plot takes a file whose name ends with .svg, not \"notes.txt\"";
    assert!(wrong.bad(2).starts_with(says), "{wrong:?}");
}

#[test]
fn an_open_loop_sends_exactly_the_requests_that_are_due() {
    let server = Server::start(&[]);
    let flags = ["--rate", "2000", "-c", "3", "--format", "json"];
    let counted = [&flags[..], &["-n", "100"]].concat();
    let report = json(&bench(&server.address(), &counted).good());
    assert_eq!(only_round(&report)["requests"], 100);
    assert_eq!(report["rate"], 2000);
    assert_eq!(server.status().counters.identity_requests, 100);

    let timed = [&flags[..], &["--duration", "50ms", "--warmup", "10ms"]].concat();
    let report = json(&bench(&server.address(), &timed).good());
    let round = only_round(&report);
    assert_eq!(
        (&round["requests"], &round["unsent"]),
        (&100.into(), &0.into())
    );
    assert_eq!(server.status().counters.identity_requests, 100 + 120);
}

#[test]
fn an_open_loop_that_falls_behind_says_so() {
    // One answer, and then no more until the end: the requests that are due on the only connection cannot be sent.
    let server = Fake::scripted(1, [Step::Serve, Step::Silence]);
    let flags = [
        "--rate",
        "1000",
        "-c",
        "1",
        "--duration",
        "50ms",
        "--timeout",
        "1200ms",
    ];
    let run = bench(&server.address(), &flags);
    assert!(run.bad(1).contains("no reply within 1s 200ms"), "{run:?}");
    assert!(
        run.out.contains("\nnot sent     48 requests that were due"),
        "{}",
        run.out
    );
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn every_lie_about_identities_is_found() {
    let lies: [(&str, Vec<Step>, &[&str], &str); 9] = [
        (
            "one that repeats",
            vec![identity(5, 1), identity(5, 1)],
            &["-c", "1", "-n", "9"],
            "identity 5121 came after 5121 on one connection",
        ),
        (
            "one that goes back",
            vec![identity(9, 1), identity(8, 1)],
            &["-c", "1", "-n", "9"],
            "identity 8193 came after 9217 on one connection",
        ),
        (
            "one that goes back between requests that are in flight together",
            vec![identity(9, 1), identity(10, 1), identity(4, 1)],
            &["-c", "1", "-n", "9", "-P", "4"],
            "identity 4097 came after 10241 on one connection",
        ),
        (
            "one that gives the same to two connections",
            vec![identity(5, 1), identity(5, 1)],
            &["-c", "2", "-n", "2"],
            "identity 5121 came twice",
        ),
        (
            "one that gives overlapping blocks to two connections",
            vec![block(100, 1, 10), block(109, 1, 10)],
            &["-c", "2", "-n", "2", "--count", "10"],
            "identity 111617 came twice",
        ),
        (
            "one that changes its pid",
            vec![identity(5, 1), identity(6, 2)],
            &["-c", "1", "-n", "9"],
            "identities of pid 2 came after those of pid 1 on one connection",
        ),
        (
            "one that counts wrong",
            vec![block(5, 1, 2)],
            &["-c", "1", "-n", "9"],
            "asked for 1 identities, 2 came",
        ),
        (
            "one that begins at nothing",
            vec![identity(0, 1)],
            &["-c", "1", "-n", "9"],
            "1 is before sequence 1",
        ),
        (
            "one that goes beyond the last",
            vec![block((1 << 53) - 1, 1, 2)],
            &["-c", "1", "-n", "9", "--count", "2"],
            "which do not exist",
        ),
    ];
    for (what, steps, flags, says) in lies {
        let server = Fake::scripted(1, steps);
        let run = bench(&server.address(), flags);
        let error = run.bad(1);
        assert!(error.starts_with(&server.address()), "{what}: {error}");
        assert!(error.contains(says), "{what}: {error}");
    }
}

#[test]
fn two_servers_with_the_same_pid_are_found() {
    let servers = [Fake::serving(4), Fake::serving(4)];
    let list = servers.each_ref().map(Fake::address).join(",");
    let run = bench(&list, &["-n", "50", "-c", "2"]);
    assert!(run.bad(1).contains("identity 1028 came twice"), "{run:?}");
}

#[test]
fn errors_are_counted_and_named_and_the_rest_is_measured() {
    let refusal = || Step::error(ErrorCode::OverBudget, "spent\u{7}");
    let server = Fake::scripted(1, [Step::Serve, refusal(), Step::Serve, refusal()]);
    let run = bench(&server.address(), &["-n", "10", "-c", "1"]);
    assert_eq!(run.bad(1), "2 requests were answered with errors");
    assert!(run.out.contains("\nrequests     8 in "), "{}", run.out);
    let line = "\nerrors       2 times overBudget: spent\\u{7}\n";
    assert!(run.out.contains(line), "{}", run.out);
}

#[test]
fn a_bench_stops_when_its_first_request_is_refused() {
    let server = Server::start(&["--max-count", "10"]);
    let run = bench(&server.address(), &["--count", "11"]);
    assert_eq!(
        run.bad(1),
        format!(
            "{}: refused with badCount: count must be 1 to 10 (--max-count)",
            server.address()
        )
    );
    assert_eq!(run.out, "");
}

#[test]
fn a_connection_that_ends_early_is_reported_with_what_was_measured() {
    let partial = vec![0, 13, 2, 0, 0];
    let server = Fake::scripted(1, [Step::Serve, Step::Serve, Step::Last(partial)]);
    let run = bench(&server.address(), &["-n", "10", "-c", "1"]);
    let says = format!(
        "{}: the server closed a connection 5 bytes into a reply",
        server.address()
    );
    assert_eq!(run.bad(1), says);
    assert!(run.out.contains("\nrequests     2 in "), "{}", run.out);

    let full = Step::error(ErrorCode::TooManyConnections, "full");
    let server = Fake::scripted(1, [Step::Serve, full]);
    let run = bench(&server.address(), &["-n", "10", "-c", "1"]);
    let error = run.bad(1);
    assert!(
        error.contains(": the server closed a connection with "),
        "{error}"
    );
    assert!(
        error.ends_with("; it had refused with tooManyConnections: full"),
        "{error}"
    );
}

#[test]
fn a_silent_server_ends_a_bench_after_the_timeout() {
    let server = Fake::scripted(1, [Step::Serve, Step::Silence]);
    let run = bench(
        &server.address(),
        &["-n", "9", "-c", "1", "--timeout", "100ms"],
    );
    let says = format!(
        "{}: no reply within 100ms (--timeout gives it more)",
        server.address()
    );
    assert_eq!(run.bad(1), says);
}

#[test]
fn a_bench_in_which_nothing_was_answered_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let late = thread::spawn(move || {
        // The first connection only checks whether somebody listens; the second one asks.
        let _looks = listener.accept().unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 3]).unwrap();
        thread::sleep(Duration::from_millis(1500));
        let mut reply = Vec::new();
        encode(
            &Message::IdentityReply {
                first: 1024,
                count: 1,
            },
            &mut reply,
        );
        stream.write_all(&reply).unwrap();
        // Waits until the bench has gone.
        let _ = stream.read(&mut [0; 3]);
    });
    let flags = [
        "-c",
        "1",
        "--warmup",
        "1s",
        "--duration",
        "1ms",
        "--format",
        "json",
    ];
    let run = bench(&address, &flags);
    assert_eq!(only_round(&json(&run.out))["requests"], 0);
    assert_eq!(
        run.bad(1),
        "no request was both sent and answered while it was measured: --duration gives it more time"
    );
    late.join().unwrap();
}

#[test]
fn a_bench_says_when_nobody_listens_or_something_else_answers() {
    let nobody = Nobody::new();
    let run = bench(&nobody.address(), &["-n", "1"]);
    let address = nobody.address();
    let why = "Connection refused (os error 111)";
    let hint = "is it running there? --server or --target chooses another";
    assert_eq!(
        run.bad(1),
        format!("{address}: cannot connect: {why} ({hint})")
    );

    let stranger = Fake::scripted(1, [Step::Bytes(b"HTTP/1.1 400 Bad Request\r\n".to_vec())]);
    let run = bench(&stranger.address(), &["-n", "1"]);
    assert!(
        run.bad(1)
            .contains("(check that it is an Ipseity server, and its version)"),
        "{run:?}"
    );
}

#[test]
fn redis_and_memcached_are_driven_and_checked_the_same_way() {
    for manner in [Manner::Redis, Manner::Memcached] {
        let server = StandIn::new(manner);
        let flags = ["-n", "500", "-c", "4", "-P", "3", "--format", "json"];
        let report = json(&bench_target(&server.url(), &flags).good());
        assert_eq!(only_round(&report)["requests"], 500);
        assert_eq!(report["checked"]["identities"], 500);
        assert_eq!(server.counted(), 500);

        let flags = ["-n", "10", "--count", "50", "--format", "json"];
        let report = json(&bench_target(&server.url(), &flags).good());
        assert_eq!(report["checked"]["identities"], 500);
        assert_eq!(server.counted(), 1000);

        server.refuse_after(3);
        let run = bench_target(&server.url(), &["-n", "10", "-c", "1"]);
        assert_eq!(run.bad(1), "7 requests were answered with errors");
        assert!(run.out.contains("\nerrors       7 times "), "{}", run.out);

        let server = StandIn::new(manner);
        server.repeat_after(3);
        let run = bench_target(&server.url(), &["-n", "10", "-c", "1"]);
        assert!(
            run.bad(1)
                .contains("identity 3 came after 3 on one connection"),
            "{run:?}"
        );

        let server = StandIn::new(manner);
        server.repeat_after(1);
        let run = bench_target(&server.url(), &["-n", "10", "-c", "2"]);
        assert!(run.bad(1).contains("identity 1 came "), "{run:?}");
    }
}

#[test]
fn a_raw_target_is_only_counted() {
    let server = StandIn::new(Manner::Raw);
    let flags = ["-n", "500", "-c", "4", "-P", "3"];
    let out = bench_target(&server.url(), &flags).good();
    assert!(out.contains("\nrequests     500 in "), "{out}");
    assert!(out.contains("\nchecked      nothing: "), "{out}");
    assert_eq!(server.counted(), 500);
}

#[test]
fn a_wrong_command_line_says_what_is_wrong() {
    for (line, says) in [
        ("-c 0", "-c takes a number from 1 to 64000, not \"0\""),
        ("-P x", "-P takes a number from 1 to 65536"),
        ("-n 0", "-n takes a number from 1"),
        ("--duration 0", "--duration takes a duration from 1ms"),
        ("--count 0", "--count takes a number from 1"),
        ("--rate 0", "--rate takes a number from 1"),
        ("--rounds 0", "--rounds takes a number from 1"),
        (
            "-n 1 --duration 1s",
            "-n and --duration cannot be given together",
        ),
        (
            "-c 1 --sweep 1..2",
            "-c and --sweep cannot be given together",
        ),
        ("--sweep 2..1", "--sweep takes up to 1000 numbers"),
        ("--plot x.svg", "--plot needs --sweep"),
        (
            "--format xml",
            "--format takes text, json or csv, not \"xml\"",
        ),
        ("--process me", "--process takes the id of a process"),
        ("--target http://a", "\"http://a\" is not a target"),
        (
            "--target redis://a --server b",
            "--target and --server cannot be given together",
        ),
        ("more", "\"more\" is one argument too many"),
    ] {
        let arguments: Vec<&str> = ["bench"].into_iter().chain(line.split(' ')).collect();
        let run = run(&arguments);
        let error = run.bad(2);
        assert!(error.contains(says), "{line}: {error}");
        assert!(error.ends_with("(see ipseity-cli bench --help)"), "{error}");
    }
    let server = Fake::serving(1);
    let run = bench(
        &server.address(),
        &["--sweep", "1", "--plot", "/nowhere/x.svg"],
    );
    assert!(
        run.bad(1)
            .starts_with("--plot: cannot write /nowhere/x.svg: "),
        "{run:?}"
    );
    let run = bench(&server.address(), &["-n", "1", "--process", "4294967295"]);
    assert!(
        run.bad(1).starts_with("--process 4294967295: cannot read "),
        "{run:?}"
    );
    assert!(server.requests().is_empty());
}

#[test]
fn an_interrupted_bench_shows_what_it_has_measured() {
    let server = Server::start(&[]);
    let child = command(&[
        "bench",
        "-s",
        &server.address(),
        "-c",
        "2",
        "--duration",
        "1h",
    ])
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    assert!(eventually(|| server.status().counters.identities > 100));
    let id = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(killed.success());
    let run: Run = child.wait_with_output().unwrap().into();
    assert_eq!(run.bad(1), "interrupted");
    assert!(run.out.contains("\nlatency      p50 "), "{}", run.out);
    assert!(run.out.contains("\nchecked      "), "{}", run.out);
}

#[test]
fn progress_is_shown_on_a_terminal_and_cleared_before_the_report() {
    let server = Server::start(&[]);
    let line = format!(
        "{} bench -s {} --duration 700ms --sweep 1,2",
        ipseity_harness::programs::ipseity_cli().display(),
        server.address()
    );
    // `script` gives a program a terminal.
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("2 connections, round 1 of 1"), "{shown}");
    assert!(
        shown.contains(" requests/s, ") && shown.contains("s left"),
        "{shown}"
    );
    // The report begins on a line of its own.
    assert!(
        shown.contains("\x1b[2Kipseity ") || shown.contains("\x1b[Kipseity "),
        "{shown:?}"
    );
}
