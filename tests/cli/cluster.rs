//! `ipseity-cli` against clusters of real servers: what people see of them, and failover in the middle of a
//! long output.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
};

use ipseity_core::words::{PeerState, Standing};
use ipseity_harness::server::{Server, eventually};

fn command(servers: &[Server], arguments: &[&str]) -> Command {
    let list: Vec<String> = servers.iter().map(Server::address).collect();
    let mut command = Command::new(ipseity_harness::programs::ipseity_cli());
    command
        .args(arguments)
        .env("IPSEITY_SERVER", list.join(","))
        .stdin(Stdio::null());
    command
}

/// The output of a run that succeeded and wrote no error.
fn good(servers: &[Server], arguments: &[&str]) -> String {
    let output = command(servers, arguments).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*error), (Some(0), ""));
    String::from_utf8(output.stdout).unwrap()
}

/// Two servers that know each other, both ways.
fn two() -> Vec<Server> {
    let servers = Server::cluster(2, &["--sync-interval", "20ms"]);
    for server in &servers {
        server.wait_for_status("the other, and serves", |status| {
            status.standing == Standing::Serving
                && status.peers.len() == 1
                && status.peers[0].state == PeerState::Up
        });
    }
    servers
}

fn reader(child: &mut Child) -> BufReader<std::process::ChildStdout> {
    BufReader::new(child.stdout.take().unwrap())
}

#[test]
fn next_asks_a_real_server_in_every_format() {
    let servers = [Server::start(&["--pid", "5"])];
    assert_eq!(good(&servers, &["next"]), "1029\n");
    assert_eq!(
        good(&servers, &["next", "-n", "2", "--format", "pair"]),
        "2:5\n3:5\n"
    );
    assert_eq!(
        good(&servers, &["next", "--format", "hex"]),
        "0x0000000000001005\n"
    );
    assert_eq!(
        good(&servers, &["next", "--format", "json"]),
        "{\"identity\":\"5125\",\"sequence\":\"5\",\"pid\":5}\n"
    );
    assert_eq!(
        good(&servers, &["next", "--after", "1000:9", "--format", "pair"]),
        "1001:5\n"
    );
    let said = good(&servers, &["decode", "1025029"]);
    assert!(said.contains("\npair     1001:5\n"), "{said}");
}

#[test]
fn an_after_that_the_server_refuses_is_one_error_line_and_a_count_comes_in_parts() {
    let servers = [Server::start(&[
        "--max-count",
        "100",
        "--max-advance",
        "1000",
    ])];
    let output = command(&servers, &["next", "--after", "5000:0"]).output();
    let output = output.unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]));
    assert!(error.contains(" with advanceTooLarge: "), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert_eq!(good(&servers, &["next"]), "1024\n");
    let many = good(&servers, &["next", "-n", "350"]);
    assert_eq!(many.lines().count(), 350, "{many}");
    // The first request was for more than the server gives, and was refused.
    let status = servers[0].status();
    assert_eq!(status.counters.errors.len(), 2, "{status:?}");
}

#[test]
fn next_stops_asking_when_its_reader_leaves() {
    let servers = [Server::start(&[])];
    let mut child = command(&servers, &["next", "-n", "1000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = reader(&mut child);
    out.read_line(&mut line).unwrap();
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (&*line, output.status.code(), &*output.stderr),
        ("1024\n", Some(0), &b""[..])
    );
    // It has requested no more identities than were read.
    assert!(servers[0].status().counters.identities < 1_000_000);
}

#[test]
fn next_goes_on_and_never_back_when_its_server_is_killed() {
    const COUNT: usize = 3_000_000;
    let mut servers = two();
    let mut child = command(&servers, &["next", "-n", &COUNT.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = reader(&mut child);
    let (mut newest, mut seen, mut pids) = (0, 0, [0, 0]);
    let mut line = String::new();
    while out.read_line(&mut line).unwrap() > 0 {
        let identity: u64 = line.trim_end().parse().unwrap();
        assert!(identity > newest, "{identity} after {newest}");
        newest = identity;
        pids[(identity & 1023) as usize - 1] += 1;
        seen += 1;
        line.clear();
        if seen == 50_000 {
            // The pipe is full by now and most is still to come: killed in the middle.
            servers[0].kill();
        }
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
    assert_eq!(seen, COUNT);
    assert!(pids[0] >= 50_000 && pids[1] > 0, "{pids:?}");
    servers[0].restart();
    let out = good(&servers, &["next"]);
    assert!(out.trim_end().parse::<u64>().unwrap() > 0);
}

#[test]
fn status_shows_a_cluster_with_its_peers() {
    let mut servers = two();
    servers[0].ask(70, 0);
    for server in &servers {
        server.wait_for_status("the same sequence", |status| {
            status.sequence == 70 && status.peers[0].sequence == 70
        });
    }
    let shown = good(&servers, &["status"]);
    let texts: Vec<&str> = shown.split("server       ").skip(1).collect();
    assert_eq!(texts.len(), 2, "{shown}");
    for (text, (own, other)) in texts.iter().zip([(0, 1), (1, 0)]) {
        assert!(
            text.starts_with(&format!("{}\n", servers[own].address())),
            "{shown}"
        );
        for line in [
            format!("\npid          {}\n", own + 1),
            "\nstanding     serving\n".to_owned(),
            "\nsequence     70\n".to_owned(),
            "\npeers        1\n".to_owned(),
        ] {
            assert!(text.contains(&line), "{line}: {shown}");
        }
        let row = text
            .lines()
            .find(|line| line.starts_with(&servers[other].address()));
        let row: Vec<&str> = row.unwrap().split_whitespace().collect();
        let pid = (other + 1).to_string();
        assert_eq!(row[1..6], [&*pid, "up", "no", "70", "0"], "{shown}");
    }

    let shown = good(&servers, &["status", "--json"]);
    for (line, own) in shown.lines().zip([0_usize, 1]) {
        let status: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(status["server"], servers[own].address());
        assert_eq!(status["sequence"], "70");
        let peer = &status["peers"][0];
        assert_eq!(peer["address"], servers[1 - own].address());
        assert_eq!((&peer["state"], &peer["lag"]), (&"up".into(), &"0".into()));
        assert_eq!(peer["pid"], 2 - own);
        assert!(peer["last_heard_ms"].is_u64());
    }

    // One of them is gone: the other one says so, and so does the exit code.
    servers[1].kill();
    servers[0].wait_for_status("a peer down", |status| {
        status.peers[0].state != PeerState::Up
    });
    let output = command(&servers, &["status"]).output().unwrap();
    let (out, error) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains(&servers[1].address()) && error.lines().count() == 1,
        "{error}"
    );
    assert!(!out.contains(" up "), "{out}");
}

#[test]
fn ping_measures_every_server() {
    let servers = two();
    let out = good(&servers, &["ping"]);
    for (line, server) in out.lines().zip(&servers) {
        assert!(
            line.starts_with(&format!("{}: ", server.address())),
            "{out}"
        );
        assert!(line.ends_with(" ms"), "{out}");
    }
    assert_eq!(out.lines().count(), 2);
}

#[test]
fn watch_in_a_pipe_writes_plain_lines() {
    let servers = two();
    servers[0].ask(30, 0);
    servers[1].wait_for_status("the same", |status| status.sequence == 30);
    let out = good(&servers, &["watch", "-n", "3", "--interval", "20ms"]);
    assert!(!out.contains(['\u{1b}', '\r']), "{out}");
    assert_eq!(out.lines().count(), 1 + 3 * 2, "{out}");
    for (line, index) in out.lines().skip(1).zip([0, 1, 0, 1, 0, 1]) {
        let row: Vec<&str> = line.split_whitespace().collect();
        let pid = (index + 1).to_string();
        assert_eq!(
            row[..4],
            [&*servers[index].address(), &*pid, "30", "serving"],
            "{out}"
        );
        assert_eq!(row[6..8], ["1/1", "0"], "{out}");
    }
}

#[test]
fn watch_on_a_terminal_redraws_in_place() {
    let servers = two();
    let cli = ipseity_harness::programs::ipseity_cli();
    let cli = cli.display();
    let list: Vec<String> = servers.iter().map(Server::address).collect();
    // `script` of util-linux gives a program a terminal.
    let spawned = Command::new("script")
        .args([
            "-qec",
            &format!("'{cli}' watch -n 3 --interval 20ms"),
            "/dev/null",
        ])
        .env("IPSEITY_SERVER", list.join(","))
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = spawned else {
        eprintln!("SKIPPED: this machine has no script(1)");
        return;
    };
    let mut shown = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut shown)
        .unwrap();
    let mut status = None;
    assert!(eventually(|| {
        status = child.try_wait().unwrap();
        status.is_some()
    }));
    if !shown.contains("server") {
        eprintln!("SKIPPED: script(1) of this machine takes other flags: {shown}");
        return;
    }
    assert!(status.unwrap().success(), "{shown}");
    // Three rounds of two lines above two rows, each but the first drawn over the one before.
    assert_eq!(shown.matches("\u{1b}[4A").count(), 2, "{shown:?}");
    assert_eq!(shown.matches("standing").count(), 3, "{shown:?}");
    assert_eq!(shown.matches("\u{1b}[K").count(), 12, "{shown:?}");
}
