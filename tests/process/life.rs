//! The life of one server process: start, stop, signals, and what it says.

use std::{
    fs,
    io::Write as _,
    net::{Ipv6Addr, Shutdown, TcpListener, TcpStream},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use ipseity::limits::RECEIVE_BUFFER_BYTES;
use ipseity_core::{
    text::is_plain,
    words::{Message, Standing},
};
use ipseity_frames::encode;
use ipseity_harness::server::{Connection, Port, Server};
use tempfile::TempDir;

/// Runs the server to its end, in a directory of its own.
fn run(arguments: &[&str]) -> Output {
    let directory = TempDir::new().unwrap();
    run_in(directory.path(), arguments)
}

fn run_in(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(ipseity_harness::programs::ipseity())
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The one line on standard error of a run that ended with `code` and said nothing else.
fn complaint(output: Output, code: i32) -> String {
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert_eq!(output.stdout, b"");
    let line = error.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line}");
    line.strip_prefix("ipseity: ").unwrap().to_owned()
}

/// The sequences of a reply, first and last.
fn sequences(reply: &Message) -> (u64, u64) {
    match reply {
        Message::IdentityReply { first, count } => {
            (first >> 10, (first >> 10) + u64::from(count - 1))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrong_command_line_gives_one_clear_line_and_exit_code_2() {
    for (line, part) in [
        ("--nonsense", "there is no flag \"--nonsense\""),
        ("-x", "-x"),
        ("serve", "\"serve\" is not a flag"),
        ("--pid", "--pid needs a value"),
        ("--pid 1 --pid 1", "--pid is given more than once"),
        (
            "--listen a:1 --listen a:1",
            "--listen a:1 is given more than once",
        ),
        (
            "--ephemeral --ephemeral",
            "--ephemeral is given more than once",
        ),
        ("--ephemeral=yes", "--ephemeral takes no value"),
        (
            "--pid 1024",
            "--pid \"1024\": expected a number from 0 to 1023",
        ),
        ("--pid one", "--pid \"one\""),
        ("--pid -1", "--pid"),
        ("--listen 3264", "expected HOST:PORT"),
        ("--listen :3264", "expected HOST:PORT"),
        ("--listen ::1:3264", "expected HOST:PORT"),
        ("--listen 127.0.0.1:65536", "expected HOST:PORT"),
        ("--peer 127.0.0.1:1", "--peer needs --pid"),
        ("--pid 1 --peer 127.0.0.1:0", "expected a port"),
        (
            "--pid 1 --peer a:1 --peer a:1",
            "--peer a:1 is given more than once",
        ),
        ("--cluster=", "1 to 255 bytes"),
        ("--sync-interval 0", "expected a duration from 1ms to 1h"),
        ("--sync-interval 2h", "expected a duration from 1ms to 1h"),
        ("--sync-interval 1.5.1", "expected a duration"),
        ("--data-dir=", "--data-dir"),
        ("--data-dir x --ephemeral", "contradict each other"),
        (
            "--pid 1 --join majority --peer b:1",
            "--join=majority needs --cluster-size",
        ),
        (
            "--join majority --cluster-size 3",
            "--join=majority needs --peer",
        ),
        (
            "--cluster-size 3",
            "--cluster-size counts only with --join=majority",
        ),
        ("--max-connections 0", "expected a number from 1"),
        ("--max-count 0", "expected a number from 1"),
        ("--max-advance 0", "expected a number from 1"),
        ("--max-advance 1e9", "expected a number from 1"),
        ("--max-pending-bytes 0", "expected a number from 4096"),
        ("--idle-timeout soon", "expected a duration"),
        ("--log-level trace", "expected error, warn, info or debug"),
    ] {
        let directory = TempDir::new().unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let said = complaint(run_in(directory.path(), &words), 2);
        assert!(said.contains(part), "{line}: {said}");
        assert!(said.contains("--help"), "{line}: {said}");
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            0,
            "{line} left something"
        );
    }
}

#[test]
fn an_argument_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let directory = TempDir::new().unwrap();
    let output = Command::new(ipseity_harness::programs::ipseity())
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(std::ffi::OsStr::from_bytes(b"state\xff"))
        .current_dir(directory.path())
        .output()
        .unwrap();
    let said = complaint(output, 2);
    assert!(said.contains("\"state\\xFF\" is not UTF-8"), "{said}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn help_and_version_go_to_standard_output() {
    for flag in ["--help", "-h"] {
        let output = run(&[flag]);
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with("Usage: ipseity [FLAGS]\n"), "{text}");
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{text:?}");
        assert!(!text.lines().any(|line| line.ends_with(' ')), "{text:?}");
        for flag in [
            "listen",
            "peer",
            "pid",
            "cluster",
            "sync-interval",
            "data-dir",
            "trace",
        ] {
            assert!(text.contains(&format!("--{flag} ")), "{flag}: {text}");
        }
    }
    let output = run(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    let version = format!("{}\n", ipseity_console::version("ipseity"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), version);
}

#[test]
fn a_reader_that_leaves_the_help_is_not_a_failure_but_a_full_disk_is() {
    for flag in ["--help", "--version"] {
        let mut child = Command::new(ipseity_harness::programs::ipseity())
            .arg(flag)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
        let Ok(full) = fs::File::create("/dev/full") else {
            eprintln!("SKIPPED: this machine has no /dev/full");
            return;
        };
        let output = Command::new(ipseity_harness::programs::ipseity())
            .arg(flag)
            .stdout(full)
            .output()
            .unwrap();
        assert!(complaint(output, 1).starts_with("cannot write to standard output: "));
    }
}

#[test]
fn the_first_log_line_says_who_the_server_is() {
    let directory = TempDir::new().unwrap();
    let state = directory.path().join("state");
    let flags = [
        "--pid",
        "7",
        "--cluster",
        "blue",
        "--peer",
        "127.0.0.1:1",
        "--peer",
        "127.0.0.2:1",
        "--data-dir",
        state.to_str().unwrap(),
    ];
    let server = Server::start_with(&["--listen", "127.0.0.1:0"], &flags);
    // Port 0 takes a free port, and it is the one in the line.
    assert_ne!(server.socket_address().port(), 0);
    let log = server.log();
    let line = log.lines().next().unwrap();
    let rest = line.split_once("INFO  ").unwrap().1;
    let expected = format!(
        "ipseity {} listens on {}: pid 7 of cluster \"blue\", peers 127.0.0.1:1 127.0.0.2:1, data \
         directory {} (boot 1, sequence 0)",
        env!("CARGO_PKG_VERSION"),
        server.address(),
        state.display(),
    );
    assert_eq!(rest, expected);
    assert_eq!(sequences(&server.ask(1, 0)), (1, 1));
}

/// The first line of a server that is started in `directory`, and then killed.
fn first_line(directory: &Path, flags: &[&str]) -> String {
    let mut child = Command::new(ipseity_harness::programs::ipseity())
        .args(flags)
        .current_dir(directory)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut error = std::io::BufReader::new(child.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut error, &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    line
}

#[test]
fn an_ephemeral_server_says_so_and_writes_nothing() {
    let directory = TempDir::new().unwrap();
    let line = first_line(
        directory.path(),
        &["--listen", "127.0.0.1:0", "--ephemeral", "--pid", "3"],
    );
    assert!(line.contains("EPHEMERAL"), "{line}");
    assert!(line.contains("peers none"), "{line}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

    let mut server = Server::start_with(
        &["--listen", "127.0.0.1:0"],
        &["--ephemeral", "--max-count", "65536"],
    );
    assert!(!server.status().storage.durable);
    // Far more than any step on the way to a disk.
    assert_eq!(sequences(&server.ask(65_536, 0)), (1, 65_536));
    assert_eq!(server.stop(), 0);
}

#[test]
fn the_state_directory_is_made_below_the_working_directory_by_default() {
    let directory = TempDir::new().unwrap();
    let line = first_line(
        directory.path(),
        &["--listen", "127.0.0.1:0", "--pid", "12"],
    );
    let absolute = directory.path().join("ipseity-data/12");
    let shown = format!("data directory {} ", absolute.display());
    assert!(line.contains(&shown), "{line}");
    assert!(directory.path().join("ipseity-data/12").is_dir());
}

#[test]
fn a_server_can_listen_on_ipv6() {
    if let Err(error) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        eprintln!("SKIPPED: this machine has no IPv6: {error}");
        return;
    }
    let server = Server::start_with(&["--listen", "[::1]:0"], &["--ephemeral"]);
    assert!(
        server.address().starts_with("[::1]:"),
        "{}",
        server.address()
    );
    assert_eq!(sequences(&server.ask(2, 0)), (1, 2));
}

#[test]
fn a_server_can_listen_on_a_name() {
    let server = Server::start_with(&["--listen", "localhost:0"], &["--ephemeral"]);
    assert!(server.socket_address().ip().is_loopback());
    assert_eq!(sequences(&server.ask(1, 0)), (1, 1));
}

#[test]
fn an_address_in_use_gives_one_clear_line_and_leaves_nothing_behind() {
    let first = Server::start(&[]);
    let directory = TempDir::new().unwrap();
    for listen in [
        first.address(),
        "203.0.113.1:3264".to_owned(),
        "no-such-host.invalid:1".to_owned(),
    ] {
        let said = complaint(
            run_in(
                directory.path(),
                &["--listen", &listen, "--data-dir", "state"],
            ),
            1,
        );
        assert!(
            said.contains(&format!("cannot listen on {listen}: ")),
            "{said}"
        );
        assert!(said.contains("--listen"), "{said}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
    // The same is true in a directory that exists already: the next start is its second, and skips nothing.
    let mut other = Server::start(&[]);
    other.ask(5, 0);
    assert_eq!(other.stop(), 0);
    let state = other.data_dir();
    let flags = [
        "--listen",
        &first.address(),
        "--data-dir",
        state.to_str().unwrap(),
    ];
    complaint(run(&flags), 1);
    other.restart();
    assert_eq!(
        (other.status().boot, other.status().storage.skipped),
        (2, 0)
    );
    assert_eq!(sequences(&other.ask(1, 0)), (6, 6));
}

#[test]
fn a_second_server_on_one_state_directory_is_refused_and_names_the_first() {
    let first = Server::start(&[]);
    first.ask(5, 0);
    let state = first.data_dir();
    let said = complaint(
        run(&[
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            state.to_str().unwrap(),
        ]),
        1,
    );
    assert!(said.contains(&first.pid().to_string()), "{said}");
    assert!(said.contains(state.to_str().unwrap()), "{said}");
    assert_eq!(sequences(&first.ask(1, 0)), (6, 6));
    assert_eq!(first.status().boot, 1);
}

#[test]
fn a_directory_of_another_pid_or_cluster_is_refused() {
    let mut server = Server::start(&["--pid", "1", "--cluster", "blue"]);
    server.ask(5, 0);
    assert_eq!(server.stop(), 0);
    let state = server.data_dir();
    let state = state.to_str().unwrap();
    for flags in [
        ["--pid", "2", "--cluster", "blue"],
        ["--pid", "1", "--cluster", "red"],
    ] {
        let mut all = vec!["--listen", "127.0.0.1:0", "--data-dir", state];
        all.extend(flags);
        let said = complaint(run(&all), 1);
        assert!(said.contains(state), "{said}");
    }
    server.restart();
    assert_eq!((server.status().boot, server.status().sequence), (2, 5));
}

#[test]
fn a_state_directory_that_cannot_be_made_gives_one_clear_line() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let said = complaint(
        run_in(
            directory.path(),
            &["--listen", "127.0.0.1:0", "--data-dir", "file/state"],
        ),
        1,
    );
    assert!(said.contains("file/state"), "{said}");
}

#[test]
fn a_path_cannot_forge_a_line_or_steer_a_terminal() {
    let directory = TempDir::new().unwrap();
    let odd = "no\u{1b}[2J\n\u{202e}where/state";
    for flag in ["--data-dir", "--trace"] {
        let arguments = ["--listen", "127.0.0.1:0", flag, odd];
        let said = complaint(run_in(directory.path(), &arguments), 1);
        assert!(said.chars().all(is_plain), "{said:?}");
        assert!(said.contains(r"no\u{1b}[2J\n\u{202e}where"), "{said}");
    }
}

#[test]
fn a_clean_restart_skips_nothing_and_a_kill_repeats_nothing() {
    let mut server = Server::start(&["--pid", "1"]);
    assert_eq!(
        server.ask(3, 0),
        Message::IdentityReply {
            first: 1025,
            count: 3
        }
    );
    assert_eq!(server.stop(), 0);
    server.restart();
    assert_eq!(
        server.ask(1, 0),
        Message::IdentityReply {
            first: 4 * 1024 + 1,
            count: 1
        }
    );
    server.kill();
    server.restart();
    match server.ask(1, 0) {
        Message::IdentityReply { first, .. } => assert!(first > 4 * 1024 + 1, "{first}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn kills_in_a_row_repeat_nothing_and_clean_stops_between_them_skip_nothing() {
    let mut server = Server::start(&["--max-count", "3000"]);
    let mut newest = 0;
    for round in 0..8 {
        // More than a step now and then, so that the disk is written while it runs.
        let (first, last) = sequences(&server.ask([1, 700, 3000][round % 3], 0));
        assert!(first > newest, "round {round}: {first} after {newest}");
        newest = last;
        if round % 4 == 3 {
            assert_eq!(server.stop(), 0);
            server.restart();
            let status = server.status();
            assert_eq!((status.sequence, status.storage.skipped), (newest, 0));
        } else {
            server.kill();
            server.restart();
            let status = server.status();
            // Nobody knows how much was handed out after the last write: `skipped` is the most that it can be.
            let (reached, skipped) = (status.sequence, status.storage.skipped);
            assert!(
                newest <= reached && reached <= newest + skipped,
                "{status:#?}"
            );
        }
        assert_eq!(server.status().boot, round as u64 + 2);
    }
    // Killed again and again before anybody asked.
    for _ in 0..3 {
        server.kill();
        server.restart();
    }
    assert!(sequences(&server.ask(1, 0)).0 > newest);
}

#[test]
fn a_sequence_raised_by_after_survives_a_kill() {
    let mut server = Server::start(&[]);
    assert_eq!(
        sequences(&server.ask(1, 123_456_789 << 10)),
        (123_456_790, 123_456_790)
    );
    server.kill();
    server.restart();
    assert!(sequences(&server.ask(1, 0)).0 > 123_456_790);
}

#[test]
fn both_stop_signals_stop_a_server_cleanly() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&[]);
        server.ask(1, 0);
        // Idle connections do not hold up a stop.
        let mut idle = server.connect();
        server.signal(signal);
        let status = server.wait();
        assert_eq!(
            (status.code(), status.signal()),
            (Some(0), None),
            "{signal}"
        );
        assert_eq!(idle.try_receive(), None);
        assert!(server.log().contains("asked to stop"), "{}", server.log());
    }
}

#[test]
fn requests_that_had_arrived_before_a_stop_are_answered() {
    /// So few that all of them have surely arrived: they fill half of the kernel's buffer for a connection.
    const REQUESTS: u64 = RECEIVE_BUFFER_BYTES as u64 / 2 / 15;
    let mut server = Server::start(&[]);
    let mut known = server.connect();
    known.send(&Message::StatusRequest);
    known.receive();
    server.signal("STOP");
    // Requests arrive while the server is paused: on a connection that it knows, and on one that it does not.
    let mut bytes = Vec::new();
    for _ in 0..REQUESTS {
        encode(&Message::IdentityRequest { count: 2, after: 0 }, &mut bytes);
    }
    known.stream().write_all(&bytes).unwrap();
    let mut unknown = server.connect();
    unknown.send(&Message::IdentityRequest { count: 5, after: 0 });
    unknown.stream().shutdown(Shutdown::Write).unwrap();
    server.signal("TERM");
    server.signal("CONT");
    let mut newest = 0;
    for _ in 0..REQUESTS {
        let (first, last) = sequences(&known.receive());
        assert!(first > newest);
        newest = last;
    }
    let (first, last) = sequences(&unknown.receive());
    assert_eq!(last, first + 4);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!((known.try_receive(), unknown.try_receive()), (None, None));
    // All of it is in the exact sequence of the stop.
    server.restart();
    assert_eq!(server.status().sequence, 2 * REQUESTS + 5);
}

#[test]
fn no_new_connection_is_accepted_during_a_stop() {
    let server = Server::start(&[]);
    let _held = unread(&server);
    server.signal("TERM");
    server.wait_for_log("asked to stop");
    let refused = ipseity_harness::server::eventually(|| {
        TcpStream::connect(server.socket_address()).is_err()
    });
    assert!(refused, "it still accepts");
    // And not because it is gone: it waits for the client that does not read, and would log its exit first.
    let log = server.log();
    assert!(!log.contains("exiting"), "{log}");
}

#[test]
fn a_second_signal_ends_a_stop_at_once() {
    let mut server = Server::start(&[]);
    let newest = sequences(&server.ask(1, 0)).1;
    let _held = unread(&server);
    server.signal("TERM");
    server.wait_for_log("asked to stop: ");
    // A signal that comes sooner counts as the same request.
    std::thread::sleep(ipseity::limits::STOP_REPEAT);
    server.signal("INT");
    let status = server.wait();
    assert_eq!((status.code(), status.signal()), (Some(1), None));
    assert!(server.log().contains("a second time"), "{}", server.log());
    server.restart();
    assert!(sequences(&server.ask(1, 0)).0 > newest);
}

/// A client that asks for more than the kernel can hold and reads nothing: a stop has to wait for it.
fn unread(server: &Server) -> Connection {
    let mut connection = server.connect();
    let stream = connection.stream();
    stream.set_nonblocking(true).unwrap();
    let mut bytes = Vec::new();
    for _ in 0..4096 {
        encode(&Message::IdentityRequest { count: 1, after: 0 }, &mut bytes);
    }
    let mut written = 0;
    // Until the server has stopped reading, because its replies are not read.
    let full = ipseity_harness::server::eventually(|| {
        match stream.write(&bytes[written % bytes.len()..]) {
            Ok(some) => {
                written += some;
                false
            }
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    });
    assert!(full, "the server reads without end: {written} bytes");
    connection
}

#[test]
fn the_log_level_decides_what_is_logged_but_never_hides_the_first_line() {
    let foreign = |server: &Server| {
        let mut connection = server.connect();
        connection.stream().write_all(&[0, 3, 3, 0, 3]).unwrap();
        connection.receive();
        assert_eq!(connection.try_receive(), None);
    };
    for (level, infos, warnings, debugs) in [
        ("error", false, false, false),
        ("warn", false, true, false),
        ("info", true, true, false),
        ("debug", true, true, true),
    ] {
        let mut server = Server::start(&["--log-level", level]);
        foreign(&server);
        assert_eq!(server.stop(), 0);
        let log = server.log();
        assert!(log.contains(" listens on "), "{level}: {log}");
        assert_eq!(log.contains("asked to stop"), infos, "{level}: {log}");
        assert_eq!(
            log.contains(" WARN  refused peer 127.0.0.1:"),
            warnings,
            "{level}: {log}"
        );
        assert_eq!(
            log.contains(" DEBUG connection from 127.0.0.1:"),
            debugs,
            "{level}: {log}"
        );
        for line in log.lines() {
            let (time, rest) = line.split_once(' ').unwrap();
            assert!(time.len() == 24 && time.ends_with('Z'), "{line}");
            assert!(
                ["ERROR ", "WARN  ", "INFO  ", "DEBUG "]
                    .iter()
                    .any(|level| rest.starts_with(level)),
                "{line}"
            );
        }
    }
}

#[test]
fn requests_are_not_logged() {
    let mut server = Server::start(&["--log-level", "debug"]);
    let mut connection = server.connect();
    for _ in 0..100 {
        connection.send(&Message::IdentityRequest { count: 1, after: 0 });
        connection.receive();
    }
    drop(connection);
    assert_eq!(server.stop(), 0);
    assert!(server.log().lines().count() < 10, "{}", server.log());
}

#[test]
fn a_trace_goes_to_a_file_or_among_the_log_lines() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("run.trace");
    fs::write(&file, "of another run\n").unwrap();
    let mut server = Server::start(&["--trace", file.to_str().unwrap()]);
    server.ask(2, 0);
    assert_eq!(server.stop(), 0);
    let trace = fs::read_to_string(&file).unwrap();
    assert!(trace.starts_with("of another run\n1 "), "{trace}");
    assert!(
        trace.contains(" identityRequest connection=0.0 count=2 after=0\n"),
        "{trace}"
    );
    assert!(
        trace.contains(" > reply connection=0.0 identityReply first=1024 count=2\n"),
        "{trace}"
    );
    assert!(
        !server.log().contains("identityRequest"),
        "{}",
        server.log()
    );

    let mut server = Server::start(&["--trace", "-"]);
    server.ask(2, 0);
    assert_eq!(server.stop(), 0);
    assert!(
        server
            .log()
            .contains(" identityRequest connection=0.0 count=2 after=0\n"),
        "{}",
        server.log()
    );
}

#[test]
fn a_trace_that_cannot_be_written_refuses_the_start_before_anything_is_touched() {
    let directory = TempDir::new().unwrap();
    let said = complaint(
        run_in(
            directory.path(),
            &[
                "--listen",
                "127.0.0.1:0",
                "--data-dir",
                "state",
                "--trace",
                "no/such/file",
            ],
        ),
        1,
    );
    assert!(
        said.contains("no/such/file") && said.contains("--trace"),
        "{said}"
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_trace_on_a_full_disk_is_given_up_and_the_server_goes_on() {
    if !Path::new("/dev/full").exists() {
        eprintln!("SKIPPED: this machine has no /dev/full");
        return;
    }
    let mut server = Server::start(&["--trace", "/dev/full"]);
    assert_eq!(sequences(&server.ask(1, 0)), (1, 1));
    server.wait_for_log("cannot write the trace");
    assert_eq!(sequences(&server.ask(1, 0)), (2, 2));
    assert_eq!(server.stop(), 0);
    assert_eq!(server.count_log("trace"), 1, "{}", server.log());
}

#[test]
fn a_port_is_free_again_at_once() {
    let port = Port::reserve();
    let mut server = Server::start_on(port, &[]);
    for _ in 0..3 {
        // Connections that the server closed first would hold the port for a minute if it could not be reused.
        let mut connection = server.connect();
        connection.send(&Message::IdentityRequest { count: 1, after: 0 });
        connection.receive();
        assert_eq!(server.stop(), 0);
        server.restart();
        assert_eq!(server.status().standing, Standing::Serving);
    }
}
