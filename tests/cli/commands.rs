//! `ipseity-cli` as a person or a script uses it: the real binary, its output, errors and exit codes.

use std::{
    io::{self, BufRead as _, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use ipseity_core::{
    identity::Pid,
    text::is_plain,
    words::{ErrorCode, Forget, Message, Standing},
};
use ipseity_harness::{
    fake::{Fake, Step},
    nobody::Nobody,
    program::{Run, command, run},
};

#[test]
fn next_writes_one_identity_a_line() {
    let server = Fake::serving(1);
    let address = server.address();
    assert_eq!(run(&["--server", &address, "next"]).good(), "1025\n");
    assert_eq!(
        run(&["next", "-n", "3", "-s", &address]).good(),
        "2049\n3073\n4097\n"
    );
}

#[test]
fn next_has_four_formats() {
    let server = Fake::serving(1);
    let next = |format| run(&["-s", &server.address(), "next", "--format", format]).good();
    assert_eq!(next("decimal"), "1025\n");
    assert_eq!(next("hex"), "0x0000000000000801\n");
    assert_eq!(next("pair"), "3:1\n");
    assert_eq!(
        next("json"),
        "{\"identity\":\"4097\",\"sequence\":\"4\",\"pid\":1}\n"
    );
}

#[test]
fn next_exceeds_the_identity_given_as_after() {
    let server = Fake::serving(1);
    for (after, next) in [("1000:5", "1001:1\n"), ("0xffc05", "1024:1\n")] {
        let shown = run(&[
            "-s",
            &server.address(),
            "next",
            "--after",
            after,
            "--format",
            "pair",
        ]);
        assert_eq!(shown.good(), next);
    }
}

#[test]
fn many_identities_come_in_blocks_and_each_only_once() {
    let server = Fake::serving(1);
    let out = run(&["-s", &server.address(), "next", "-n", "2501"]).good();
    let identities: Vec<u64> = out.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(identities.len(), 2_501);
    assert!(identities.windows(2).all(|pair| pair[1] == pair[0] + 1024));
    let counts: Vec<u32> = server
        .requests()
        .iter()
        .map(|request| match request {
            Message::IdentityRequest { count, .. } => *count,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(counts, [1_000, 1_000, 501]);
}

#[test]
fn next_asks_for_no_more_at_once_than_the_server_gives() {
    for (most, wanted) in [(10, 25), (1, 7), (999, 3000)] {
        let server = Fake::serving(1);
        server.set_count_max(most);
        let wanted_text = wanted.to_string();
        let out = run(&["-s", &server.address(), "next", "-n", &wanted_text]).good();
        let identities: Vec<u64> = out.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(identities.len(), wanted, "--max-count {most}");
        assert!(identities.is_sorted_by(|one, next| one < next));
    }
}

#[test]
fn next_asks_for_less_although_the_server_does_not_say_what_it_gives() {
    let refusal = || Step::error(ErrorCode::BadCount, "too many");
    let unknown = || Step::error(ErrorCode::UnknownKind, "unknown kind");
    // 5 are refused, then 2 are; each time it is asked what it gives.
    let server = Fake::scripted(1, [refusal(), unknown(), refusal(), unknown()]);
    let out = run(&["-s", &server.address(), "next", "-n", "5"]).good();
    assert_eq!(out.lines().count(), 5, "{out}");
    // One that refuses even a single one does not keep it busy for ever.
    let server = Fake::scripted(1, [refusal()]);
    let run = run(&["-s", &server.address(), "next"]);
    assert!(run.bad(1).contains("with badCount: "), "{run:?}");
}

#[test]
fn next_increases_across_failover() {
    let failing = Fake::scripted(7, [Step::Serve, Step::Last(vec![]), Step::Last(vec![])]);
    failing.set_sequence(1_000_000);
    let server = Fake::serving(1);
    let list = format!("{},{}", failing.address(), server.address());
    let out = run(&["--server", &list, "next", "-n", "3000"]).good();
    let identities: Vec<u64> = out.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(identities.len(), 3_000);
    assert!(identities.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(identities[999] % 1024, 7);
    assert_eq!(identities[1_000] % 1024, 1);
}

#[test]
fn next_ends_without_an_error_when_its_reader_leaves() {
    let server = Fake::serving(1);
    // Far more than fits into a pipe, so that writing meets its end.
    let mut child = command(&["-s", &server.address(), "next", "-n", "1000000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "1025\n");
    drop(out);
    let run: Run = child.wait_with_output().unwrap().into();
    assert_eq!(run.good(), "");
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    // Linux has a device that is always full.
    let Ok(full) = std::fs::File::create("/dev/full") else {
        eprintln!("SKIPPED: this machine has no /dev/full");
        return;
    };
    let output = command(&["decode", "1"]).stdout(full).output().unwrap();
    let run = Run::from(output);
    assert!(run.bad(1).starts_with("cannot write to standard output: "));
}

#[test]
fn servers_that_do_not_answer_are_named_with_the_cause() {
    let (nobody, full) = (
        Nobody::new(),
        Fake::scripted(1, [Step::error(ErrorCode::TooManyConnections, "full")]),
    );
    let list = [nobody.address(), full.address()].join(",");
    let run = run(&["-s", &list, "next"]);
    let error = run.bad(1);
    assert!(
        error.contains(&format!("{}: cannot connect", nobody.address())),
        "{error}"
    );
    assert!(
        error.contains(&format!(
            "{}: refused with tooManyConnections: full",
            full.address()
        )),
        "{error}"
    );
    assert!(error.contains("--server"), "{error}");
    assert_eq!(run.out, "");
}

#[test]
fn the_error_of_a_server_that_refuses_does_not_ask_whether_it_runs() {
    let joining = Fake::scripted(1, [Step::error(ErrorCode::Joining, "in a moment")]);
    let full = Fake::scripted(2, [Step::error(ErrorCode::TooManyConnections, "full")]);
    let list = [joining.address(), full.address()].join(",");
    let run = run(&["-s", &list, "next"]);
    assert_eq!(
        run.bad(1),
        format!(
            "none of 2 servers answered: {}: refused with joining: in a moment; \
             {}: refused with tooManyConnections: full \
             (try again later; if it goes on, look at the servers)",
            joining.address(),
            full.address()
        )
    );
}

#[test]
fn identities_received_before_a_failure_are_written() {
    let script = [Step::Serve, Step::error(ErrorCode::Exhausted, "used up")];
    let server = Fake::scripted(1, script);
    let run = run(&["-s", &server.address(), "next", "-n", "2000"]);
    let error = run.bad(1);
    assert_eq!(run.out.lines().count(), 1_000);
    assert_eq!(
        error,
        format!(
            "after 1000 of 2000 identities: {}: refused with exhausted: used up \
             (try again later; if it goes on, look at the server)",
            server.address()
        )
    );
}

#[test]
fn a_server_of_another_protocol_is_recognized() {
    let server = Fake::scripted(1, [Step::Last(b"SSH-2.0-x\r\n".to_vec())]);
    let run = run(&["-s", &server.address(), "next"]);
    assert!(run.bad(1).contains("breaks the protocol"), "{run:?}");
}

#[test]
fn a_server_that_never_replies_costs_no_more_than_the_timeout() {
    let server = Fake::scripted(1, [Step::Silence]);
    let run = run(&["-s", &server.address(), "--timeout", "50ms", "next"]);
    assert!(run.bad(1).contains("no reply within 50ms"), "{run:?}");
}

#[test]
fn the_environment_names_servers_and_the_command_line_overrules_it() {
    let (server, other, nobody) = (Fake::serving(1), Fake::serving(2), Nobody::new());
    let list = format!("{}, {}", nobody.address(), server.address());
    let next = |arguments: &[&str]| -> Run {
        command(arguments)
            .env("IPSEITY_SERVER", &list)
            .output()
            .unwrap()
            .into()
    };
    assert_eq!(next(&["next"]).good(), "1025\n");
    assert_eq!(next(&["next", "-s", &other.address()]).good(), "1026\n");
    let wrong: Run = command(&["next"])
        .env("IPSEITY_SERVER", "host:port")
        .output()
        .unwrap()
        .into();
    assert!(wrong.bad(2).starts_with("IPSEITY_SERVER: "), "{wrong:?}");
}

#[test]
fn decode_shows_all_forms_and_asks_nobody() {
    for text in [
        "1025",
        "0x401",
        "0x0000000000000401",
        "1:1",
        "000000000o101",
    ] {
        assert_eq!(
            run(&["decode", text]).good(),
            "\
decimal  1025
hex      0x0000000000000401
pair     1:1
base32   0000000000101
json     {\"identity\":\"1025\",\"sequence\":\"1\",\"pid\":1}
sequence 1
pid      1
"
        );
    }
}

#[test]
fn status_shows_each_server_and_names_those_that_cannot_be_reached() {
    let (one, two, nobody) = (Fake::serving(1), Fake::serving(2), Nobody::new());
    let list = [one.address(), nobody.address(), two.address()].join(",");
    let shown = run(&["status", "-s", &list]);
    assert!(shown.bad(1).contains(&nobody.address()), "{shown:?}");
    assert!(shown.out.contains("\npid          1\n"), "{shown:?}");
    assert!(
        shown
            .out
            .contains(&format!("\n\nserver       {}\n", two.address())),
        "{shown:?}"
    );

    let shown = run(&["status", "--json", "-s", &list]);
    shown.bad(1);
    let pids: Vec<u64> = shown
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|status| status["error"].is_null())
        .map(|status| status["pid"].as_u64().unwrap())
        .collect();
    assert_eq!(pids, [1, 2]);
}

#[test]
fn json_has_an_object_with_the_error_of_a_server_that_is_down() {
    let (server, nobody) = (Fake::serving(1), Nobody::new());
    server.set_members([2]);
    let list = [nobody.address(), server.address()].join(",");
    for command in ["status", "members"] {
        let shown = run(&[command, "--json", "-s", &list]);
        assert!(shown.bad(1).contains(&nobody.address()), "{shown:?}");
        let objects: Vec<serde_json::Value> = shown
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(objects.len(), 2, "{shown:?}");
        assert_eq!(objects[0]["server"], nobody.address());
        let error = objects[0]["error"].as_str().unwrap();
        assert!(error.starts_with("cannot connect"), "{error}");
        assert_eq!(objects[1]["server"], server.address());
        assert_eq!(objects[1]["error"], serde_json::Value::Null);
    }
}

#[test]
fn a_check_writes_one_line_for_each_server_and_sets_the_exit_code() {
    let (serving, joining, nobody) = (Fake::serving(1), Fake::serving(2), Nobody::new());
    serving.set_sequence(70);
    joining.set_standing(Standing::Joining);
    let check = |servers: &[String]| run(&["status", "--check", "-s", &servers.join(",")]);
    let [one, two, three] = [serving.address(), joining.address(), nobody.address()];
    let line = format!("{one}: serving, pid 1, sequence 70\n");
    assert_eq!(check(std::slice::from_ref(&one)).good(), line);

    let other = format!("{two}: joining, pid 2, sequence 0\n");
    let run = check(&[one.clone(), two.clone()]);
    assert_eq!(
        (run.code, run.out, run.err),
        (Some(3), format!("{line}{other}"), String::new())
    );

    // A server that cannot be asked may be worse off than one that says how it stands.
    let run = check(&[two, three.clone(), one]);
    assert_eq!((run.code, &*run.err), (Some(1), ""));
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(
        [lines[0], lines[2]].join("\n") + "\n",
        format!("{other}{line}")
    );
    let begins = format!("{three}: unreachable, cannot connect");
    assert!(lines[1].starts_with(&begins), "{run:?}");
}

#[test]
fn a_ping_of_a_server_that_hands_out_nothing_says_so() {
    let (serving, stale) = (Fake::serving(1), Fake::serving(2));
    stale.set_standing(Standing::Stale);
    let list = [stale.address(), serving.address()].join(",");
    let run = run(&["ping", "-n", "2", "-s", &list]);
    assert_eq!(
        run.bad(3),
        format!("{} hands out no identities: stale state", stale.address())
    );
    // Both are measured all the same.
    assert_eq!(run.out.lines().count(), 2 * 3, "{run:?}");
}

#[test]
fn the_exit_code_covers_all_servers_even_if_the_reader_has_left() {
    let (joining, nobody) = (Fake::serving(1), Nobody::new());
    joining.set_standing(Standing::Joining);
    let unread = |arguments: &[&str]| {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let status = command(arguments)
            .stdout(writer)
            .stderr(Stdio::null())
            .status();
        status.unwrap().code()
    };
    let (one, two) = (joining.address(), nobody.address());
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["status", "--check"],
    ] {
        for (servers, code) in [(vec![&*one], 3), (vec![&*one, &*two, &*one], 1)] {
            let list = servers.join(",");
            let all = [arguments, &["-s", &list]].concat();
            assert_eq!(unread(&all), Some(code), "{all:?}");
        }
    }
    // A million round trips would take long.
    let list = [&*one, &*two].join(",");
    assert_eq!(unread(&["ping", "-n", "1000000", "-s", &one]), Some(3));
    assert_eq!(unread(&["ping", "-n", "1000000", "-s", &list]), Some(1));

    // The work is done on every server, too.
    let others = [Fake::serving(2), Fake::serving(3)];
    let list = others.each_ref().map(Fake::address).join(",");
    for other in &others {
        other.set_members([9]);
    }
    assert_eq!(unread(&["members", "--forget", "9", "-s", &list]), Some(0));
    for other in &others {
        assert_eq!(other.requests().len(), 1);
    }
    // But `next` takes no more identities when nobody reads them.
    assert_eq!(unread(&["next", "-n", "1000000", "-s", &list]), Some(0));
}

/// Characters that control a terminal, or change the order in which a text is shown.
const ODD: &str = "\0\u{7}\u{1b}[2J\n\u{7f}\u{9b}\u{200e}\u{200f}\u{202a}\u{202e}\u{2028}\u{2029}\u{2066}\u{2069}";

#[test]
fn control_characters_from_a_server_are_escaped_in_every_output() {
    let server = Fake::scripted(1, []);
    let address = server.address();
    let said = format!("no{ODD}");
    server.set_members_at(&[(2, &said)]);
    for (arguments, code) in [
        (&["next"][..], 1),
        (&["status"], 1),
        (&["status", "--json"], 1),
        (&["status", "--check"], 1),
        (&["ping"], 1),
        (&["watch", "-n", "1"], 1),
        (&["members"], 0),
        (&["members", "--json"], 0),
        (&["members", "--forget", "3"], 1),
        (&["advance", "--above", "5", "--yes"], 1),
        (&["bench", "-n", "1", "-c", "1", "--format", "text"], 1),
        (&["bench", "-n", "1", "-c", "1", "--format", "json"], 1),
    ] {
        if code == 1 {
            server.script([Step::error(ErrorCode::BadCount, &said)]);
        }
        let run = run(&[arguments, &["-s", &address]].concat());
        assert_eq!(run.code, Some(code), "{run:?}");
        let shown = format!("{}{}", run.out, run.err).replace('\n', " ");
        assert!(shown.contains("no\\"), "{arguments:?}: {run:?}");
        assert!(shown.chars().all(is_plain), "{arguments:?}: {run:?}");
    }
    let shown = run(&["members", "--json", "-s", &address]).good();
    let member: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(member["address"], said);
}

#[test]
fn all_pages_of_members_share_one_timeout() {
    let server = Fake::serving(1);
    server.set_members(2..12);
    // Each page comes well within the timeout, but all of them together do not.
    server.script(vec![Step::ServeAfter(Duration::from_millis(300)); 5]);
    let began = Instant::now();
    let slow = run(&["members", "--timeout", "1s", "-s", &server.address()]);
    assert!(slow.bad(1).contains("no reply within 1s"), "{slow:?}");
    assert_eq!(slow.out, "");
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert!(server.requests().len() < 5, "{:?}", server.requests());
    let whole = run(&["members", "--timeout", "30s", "-s", &server.address()]).good();
    assert_eq!(whole.lines().count(), 1 + 10, "{whole}");
}

#[test]
fn ping_writes_a_line_for_each_round_trip_and_a_summary() {
    let server = Fake::serving(1);
    let address = server.address();
    let out = run(&["ping", "-s", &address]).good();
    assert!(out.starts_with(&format!("{address}: ")), "{out}");
    assert!(out.ends_with(" ms\n"), "{out}");
    assert_eq!(out.lines().count(), 1);
    let out = run(&["ping", "-n", "3", "-s", &address]).good();
    assert_eq!(out.lines().count(), 4);
    assert!(out.contains(": 3 round trips, least "), "{out}");
    assert_eq!(server.accepted(), 2);

    let nobody = Nobody::new();
    let list = [nobody.address(), address].join(",");
    let shown = run(&["ping", "-s", &list]);
    assert!(shown.bad(1).contains(&nobody.address()), "{shown:?}");
    assert_eq!(shown.out.lines().count(), 1);
}

#[test]
fn watch_appends_plain_lines_in_a_pipe() {
    let (one, two, nobody) = (Fake::serving(1), Fake::serving(2), Nobody::new());
    one.set_sequence(70);
    two.set_sequence(100);
    let list = [one.address(), two.address(), nobody.address()].join(",");
    let out = run(&["watch", "-n", "2", "--interval", "10ms", "-s", &list]).good();
    assert!(!out.contains('\u{1b}'), "{out}");
    let lines: Vec<Vec<&str>> = out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines.len(), 1 + 2 * 3, "{out}");
    for round in [&lines[1..4], &lines[4..]] {
        assert_eq!(
            round[0],
            [
                &*one.address(),
                "1",
                "70",
                "serving",
                "1",
                "-",
                "0/0",
                "30",
                "no"
            ]
        );
        assert_eq!(round[1][7], "0");
        assert_eq!(round[2][..4], [&*nobody.address(), "-", "-", "unreachable"]);
    }
    // Each server was asked on one connection.
    assert_eq!(one.accepted(), 1);
}

/// Runs the program under strace, which makes calls fail. `None` where that is not allowed.
fn run_with_faults(faults: &[&str], arguments: &[&str]) -> Option<Run> {
    let strace = || {
        let mut strace = std::process::Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null"]);
        for fault in faults {
            strace.args(["-e", &format!("inject={fault}")]);
        }
        strace
    };
    let works = strace().arg("true").output();
    if !works.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: strace is missing or not allowed here; no call was made to fail");
        return None;
    }
    let program = command(arguments);
    let output = strace()
        .arg(program.get_program())
        .args(program.get_args())
        .env_remove("IPSEITY_SERVER")
        .output();
    Some(output.unwrap().into())
}

/// As when somebody stops the program with Ctrl-Z and lets it go on.
#[test]
fn an_interrupted_call_is_repeated_on_the_same_connection() {
    let server = Fake::serving(1);
    let interruptions = ["sendto:error=EINTR:when=1", "recvfrom:error=EINTR:when=1"];
    let address = server.address();
    if let Some(run) = run_with_faults(&interruptions, &["next", "-n", "2", "-s", &address]) {
        assert_eq!(run.good(), "1025\n2049\n");
        assert_eq!(server.accepted(), 1);
    }
}

#[test]
fn the_bench_goes_on_after_an_interruption_and_ends_when_its_poll_fails() {
    let server = Fake::serving(1);
    let address = server.address();
    let bench = ["bench", "-c", "1", "-n", "10", "-s", &address];
    let Some(run) = run_with_faults(&["epoll_wait:error=EINTR:when=1"], &bench) else {
        return;
    };
    assert!(run.good().contains("10 in "));
    let failed = run_with_faults(&["epoll_wait:error=EBADF:when=1"], &bench).unwrap();
    assert!(failed.err.contains("the loop failed"), "{failed:?}");
    assert_eq!(failed.code, Some(1));
}

#[test]
fn watch_waits_the_interval_between_two_rounds() {
    let server = Fake::serving(1);
    let began = Instant::now();
    let watch = ["watch", "-n", "3", "--interval", "60ms"];
    run(&[&watch[..], &["-s", &server.address()]].concat()).good();
    // Taking longer does not matter: a machine may be slow.
    assert!(began.elapsed() >= Duration::from_millis(120));
}

#[test]
fn watch_fails_when_no_server_answers() {
    let nobody = Nobody::new();
    let shown = run(&["watch", "-n", "1", "-s", &nobody.address()]);
    assert!(shown.bad(1).contains("no server answered"), "{shown:?}");
}

#[test]
fn watch_ends_when_its_reader_leaves() {
    let server = Fake::serving(1);
    let mut child = command(&["watch", "--interval", "10ms", "-s", &server.address()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("server"), "{line}");
    drop(out);
    let run: Run = child.wait_with_output().unwrap().into();
    run.good();
}

#[test]
fn watch_and_status_say_why_a_server_hands_out_nothing() {
    let server = Fake::serving(1);
    let address = server.address();
    for standing in Standing::ALL {
        server.set_standing(standing);
        let word = standing.name();
        let code = if standing == Standing::Serving { 0 } else { 3 };
        let ended = |run: Run| {
            assert_eq!((run.code, &*run.err), (Some(code), ""), "{run:?}");
            run.out
        };
        let shown = ended(run(&["status", "-s", &address]));
        assert!(
            shown.contains(&format!("\nstanding     {word}\n")),
            "{shown}"
        );
        let shown = ended(run(&["status", "--json", "-s", &address]));
        let status: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(status["standing"], word);
        let shown = run(&["watch", "-n", "1", "-s", &address]).good();
        assert!(shown.contains(&format!("  {word} ")), "{shown}");
    }
    let full = Fake::scripted(2, [Step::error(ErrorCode::TooManyConnections, "full")]);
    let list = [address, full.address()].join(",");
    let shown = run(&["watch", "-n", "1", "-s", &list]).good();
    let words: Vec<&str> = shown.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(words[1..4], ["-", "-", "refused"], "{shown}");
    assert_eq!(words.last(), Some(&"full"), "{shown}");
}

#[test]
fn members_shows_a_table_and_with_several_servers_a_heading_for_each() {
    let (one, two, nobody) = (Fake::serving(1), Fake::serving(2), Nobody::new());
    one.set_members([2, 3, 1023]);
    let shown = run(&["members", "-s", &one.address()]).good();
    let lines: Vec<Vec<&str>> = shown
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0][..3], ["pid", "incarnation", "boot"]);
    assert_eq!(
        lines[1],
        [
            "2",
            "0x000000000000000000000000000abc02",
            "3",
            "10.0.0.2:3264",
            "1002",
            "250ms",
            "ago",
            "staleState"
        ]
    );
    assert_eq!(lines[3][0], "1023");
    assert_eq!(lines[3][3..], ["-", "2023", "before", "its", "start", "-"]);
    assert_eq!(lines.len(), 4);

    let list = [one.address(), nobody.address(), two.address()].join(",");
    let headed = run(&["members", "-s", &list]);
    assert!(headed.bad(1).contains(&nobody.address()), "{headed:?}");
    assert_eq!(
        headed.out,
        format!(
            "{}\n{shown}\n{}\nno other server is known\n",
            one.address(),
            two.address()
        )
    );
}

#[test]
fn members_as_json_name_the_server_that_knows_them() {
    let (one, two) = (Fake::serving(1), Fake::serving(2));
    one.set_members([2, 3, 4]);
    two.set_members([1]);
    let list = [one.address(), two.address()].join(",");
    let shown = run(&["members", "--json", "-s", &list]).good();
    let members: Vec<(String, u64)> = shown
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|member| {
            let server = member["server"].as_str().unwrap().to_owned();
            (server, member["pid"].as_u64().unwrap())
        })
        .collect();
    let (one, two) = (one.address(), two.address());
    assert_eq!(
        members,
        [(one.clone(), 2), (one.clone(), 3), (one, 4), (two, 1)]
    );
}

#[test]
fn a_server_of_another_cluster_is_refused_by_name() {
    let server = Fake::serving(1);
    let address = server.address();
    for arguments in [&["next"][..], &["ping", "-n", "1"], &["members"]] {
        run(&[arguments, &["--cluster", "ipseity", "-s", &address]].concat()).good();
        let refused = run(&[arguments, &["--cluster", "blue", "-s", &address]].concat());
        let said = refused.bad(1);
        assert!(
            said.contains("is of another cluster: "),
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn lives_that_never_served_are_forgotten_of_one_pid_or_of_all() {
    let server = Fake::serving(1);
    let address = server.address();
    let three = Pid::new(3).unwrap();
    for (arguments, what, whose) in [
        (
            &["members", "--forget", "--never-served"][..],
            Forget::AllNeverServed,
            "any pid",
        ),
        (
            &["members", "--forget", "3", "--never-served"],
            Forget::NeverServed(three),
            "pid 3",
        ),
        (
            &["members", "--never-served", "--forget=3"],
            Forget::NeverServed(three),
            "pid 3",
        ),
    ] {
        let shown = run(&[arguments, &["-s", &address]].concat()).good();
        assert_eq!(
            shown,
            format!(
                "{address} has forgotten every life of {whose} that never served, if there was one\n"
            )
        );
        let asked = server.requests();
        assert_eq!(asked.last(), Some(&Message::ForgetRequest { what }));
    }
    let json = run(&[
        "members",
        "--json",
        "--forget",
        "--never-served",
        "-s",
        &address,
    ])
    .good();
    assert!(
        json.ends_with(
            r#""forgotten":null,"never_served":true,"sequence":"7"}
"#
        ),
        "{json}"
    );
}

#[test]
fn each_server_forgets_and_one_that_does_not_is_named() {
    let (one, two) = (Fake::serving(1), Fake::serving(2));
    one.set_members([3]);
    two.set_members([1, 3]);
    let list = [one.address(), two.address()].join(",");
    let shown = run(&["members", "--forget", "3", "-s", &list]).good();
    let line = |server: &Fake| {
        let server = server.address();
        format!("{server} has forgotten pid 3, which had come to sequence 1003\n")
    };
    assert_eq!(shown, [line(&one), line(&two)].concat());
    let pid = Pid::new(3).unwrap();
    let what = Forget::All(pid);
    assert_eq!(one.requests(), [Message::ForgetRequest { what }]);

    let again = run(&["members", "--json", "--forget", "1", "-s", &list]);
    assert_eq!(
        again.bad(1),
        format!(
            "{} refused the request with unknownPid: nothing is known here of pid 1 (correct the request)",
            one.address()
        )
    );
    assert_eq!(
        again.out,
        format!(
            "{{\"server\":\"{}\",\"error\":\"nothing is known here of pid 1\",\"code\":\"unknownPid\"}}\n\
             {{\"server\":\"{}\",\"forgotten\":1,\"sequence\":\"1001\"}}\n",
            one.address(),
            two.address()
        )
    );
}

#[test]
fn advance_shows_where_the_server_goes_on() {
    let server = Fake::serving(1);
    let address = server.address();
    let advance = |above| run(&["advance", "--above", above, "-s", &address]);
    assert_eq!(advance("5000").good(), "5000\n");
    assert_eq!(advance("7").good(), "5000\n");
    server.script([
        Step::Serve,
        Step::error(ErrorCode::NotTrusted, "not from here"),
    ]);
    assert_eq!(
        advance("6000").bad(1),
        format!(
            "{address} refused the request with notTrusted: not from here \
             (show a certificate that it trusts, or ask from an address that it trusts)"
        )
    );
}

#[test]
fn a_long_advance_needs_yes() {
    let server = Fake::serving(1);
    server.set_sequence(1000);
    let address = server.address();
    let above = (1000 + (1_u64 << 40) + 1).to_string();
    let arguments = ["advance", "--above", &above, "-s", &address];
    let refused = run(&arguments);
    let says = format!("jumps over {} sequences", (1_u64 << 40) + 1);
    assert!(refused.bad(2).contains(&says), "{refused:?}");
    assert!(refused.err.contains("add --yes"), "{refused:?}");
    let asked = |request: &Message| matches!(request, Message::AdvanceRequest { .. });
    assert!(!server.requests().iter().any(asked));
    // A shorter one needs no --yes.
    let less = (1000 + (1_u64 << 40)).to_string();
    let done = run(&["advance", "--above", &less, "-s", &address]).good();
    assert_eq!(done, format!("{less}\n"));
    server.set_sequence(1000);
    let done = run(&[&arguments[..], &["--yes"]].concat()).good();
    assert_eq!(done, format!("{above}\n"));
}

#[test]
fn advance_asks_exactly_one_server() {
    let (one, two) = (Fake::serving(1), Fake::serving(2));
    let list = [one.address(), two.address()].join(",");
    for arguments in [
        &["advance", "--above", "5", "-s", &list][..],
        &[
            "advance",
            "--above",
            "5",
            "-s",
            &one.address(),
            "-s",
            &two.address(),
        ],
    ] {
        let refused = run(arguments);
        assert!(refused.bad(2).contains("name one with --server"));
    }
    let refused: Run = command(&["advance", "--above", "5"])
        .env("IPSEITY_SERVER", &list)
        .output()
        .unwrap()
        .into();
    assert!(refused.bad(2).contains("2 are named"), "{refused:?}");
    assert_eq!((one.accepted(), two.accepted()), (0, 0));
}

#[test]
fn a_wrong_command_line_gives_one_clear_line_and_exit_code_2() {
    for (line, part) in [
        ("", "the command is missing"),
        ("nxt", "there is no command \"nxt\""),
        (
            "next -n 0",
            "-n takes a number from 1 to 9007199254740991, not \"0\"",
        ),
        ("next -n -1", "not \"-1\""),
        ("next -n 9007199254740992", "not \"9007199254740992\""),
        ("next -n 1e3", "not \"1e3\""),
        ("next -n", "-n needs a value"),
        ("next -n 1 -n 2", "-n is given more than once"),
        ("next extra", "\"extra\" is one argument too many"),
        (
            "next --format xml",
            "--format takes text, json or csv, not \"xml\"",
        ),
        ("next --as xml", "--as takes decimal, hex, pair or base32"),
        (
            "next --format hex --as pair",
            "--format hex and --as cannot be given together",
        ),
        (
            "status --color sometimes",
            "--color takes auto, always or never",
        ),
        (
            "statsu",
            "there is no command \"statsu\"; did you mean status?",
        ),
        ("next --aftr 1", "\"--aftr\" here; did you mean --after?"),
        (
            "status --json --format csv",
            "--json and --format cannot be given together",
        ),
        ("ping --wait 0", "--wait takes a duration from 1ms"),
        (
            "next --after 1:1024",
            "--after \"1:1024\": pid 1024 is beyond",
        ),
        ("next --after -1", "--after \"-1\": not a number"),
        ("next --server :1", "--server: \":1\" is not an address"),
        ("next --server a,,b", "--server: \"\" is not an address"),
        (
            "next --timeout 0",
            "--timeout takes a duration from 1ms to 1h",
        ),
        ("next --timeout soon", "not \"soon\""),
        ("next --json", "next takes no --json"),
        (
            "next --frobnicate",
            "there is no flag \"--frobnicate\" here",
        ),
        ("decode", "ID is missing: decode 1025"),
        ("decode 1 2", "\"2\" is one argument too many"),
        ("decode one", "ID \"one\": not a number"),
        ("decode 9223372036854775808", "is beyond the last"),
        ("status --json --json", "--json is given more than once"),
        ("status 1", "\"1\" is one argument too many"),
        (
            "status --json --check",
            "--json and --check cannot be given together",
        ),
        (
            "watch --interval 1ms",
            "--interval takes a duration from 10ms to 1h",
        ),
        ("watch -n 0", "-n takes a number from 1 to 1000000000"),
        ("ping -n 0", "-n takes a number from 1 to 1000000000"),
        ("members 1", "\"1\" is one argument too many"),
        (
            "members --forget 1024",
            "--forget takes a number from 0 to 1023, not \"1024\"",
        ),
        ("members --forget", "--forget needs a value"),
        (
            "members --never-served",
            "--never-served needs --forget: members --forget [PID] --never-served",
        ),
        (
            "status --cluster=",
            "--cluster: a cluster name has 1 to 255 bytes, this one has 0",
        ),
        ("bench --cluster blue", "bench takes no --cluster"),
        ("members --above 1", "members takes no --above"),
        ("advance", "--above SEQUENCE is missing"),
        ("advance 5", "\"5\" is one argument too many"),
        (
            "advance --above 9007199254740991",
            "--above takes a number from 0 to 9007199254740990",
        ),
        (
            "advance --above 5 -s a,b",
            "2 are named: name one with --server",
        ),
    ] {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let run = run(&arguments);
        let error = run.bad(2);
        assert!(error.contains(part), "{line}: {error}");
        assert!(error.contains("--help"), "{line}: {error}");
        assert_eq!(run.out, "", "{line}");
    }
}

#[test]
fn a_command_that_asks_no_server_refuses_the_flags_of_a_connection() {
    for words in [
        &["decode", "1"][..],
        &["cert", "show", "none.pem"],
        &["pids", "--store", "etcd://127.0.0.1"],
    ] {
        for [flag, value] in [
            ["--server", "a:1"],
            ["-s", "a:1"],
            ["--timeout", "1s"],
            ["--tls-ca", "ca.pem"],
            ["--tls-cert", "own.pem"],
            ["--tls-key", "own.key"],
        ] {
            // Before the command, and behind it.
            for arguments in [
                &[&[flag, value], words].concat(),
                &[words, &[flag, value]].concat(),
            ] {
                let refused = run(arguments);
                let said = refused.bad(2);
                let name = words[0];
                let expected = format!("{name} takes no {flag} (see ipseity-cli {name} --help)");
                assert!(said.contains(&expected), "{arguments:?}: {said}");
            }
        }
        let help = run(&[words[0], "--help"]).good();
        assert!(!help.contains("--server"), "{help}");
    }
    let cluster = ["--cluster", "blue"];
    for words in [&["decode", "1"][..], &["cert", "show", "none.pem"]] {
        let refused = run(&[words, &cluster].concat());
        let said = refused.bad(2);
        assert!(said.contains("takes no --cluster"), "{said}");
    }
    // Variables are there for all programs of a shell, and this one does not read them.
    let output = command(&["decode", "1025"])
        .env("IPSEITY_SERVER", "host:port")
        .env("IPSEITY_TLS_CA", "/nonexistent")
        .output()
        .unwrap();
    assert!(Run::from(output).good().contains("1:1"));
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let garbage = std::ffi::OsStr::from_bytes(b"\xff");
    let output = command(&["decode"]).arg(garbage).output().unwrap();
    Run::from(output).bad(2);
}

#[test]
fn help_and_version_go_to_standard_output() {
    let overview = run(&["--help"]).good();
    let names = ipseity_cli::COMMANDS.map(|command| command.name);
    assert!(names.contains(&"next"), "{names:?}");
    let has_spaces = |text: &str| text.lines().any(|line| line.ends_with(' '));
    assert!(!has_spaces(&overview), "{overview:?}");
    for name in names {
        assert!(overview.contains(&format!("\n    {name} ")), "{overview}");
        let help = run(&[name, "--help"]).good();
        assert!(help.contains(&format!("ipseity-cli {name} ")), "{help}");
        assert!(!has_spaces(&help), "{help:?}");
    }
    assert_eq!(
        run(&["--version"]).good(),
        format!("{}\n", ipseity_console::version("ipseity-cli"))
    );
}
