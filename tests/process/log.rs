//! The log and the trace on streams that are slow, full or gone: nobody waits for them, and what is missing is counted.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _, pipe},
    os::unix::{
        fs::{OpenOptionsExt as _, PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::Path,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use ipseity::limits::{STOP_MAX, TRACE_LINES_MAX};
use ipseity_harness::{
    programs,
    server::{Server, eventually},
    unheard::{Unheard, fill, never_wait},
};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, fcntl_setfl, mknodat},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Action, tcflow},
};
use tempfile::TempDir;

fn full_device() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

fn make_fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Checks that the server answers and stops as if there were no log, within the time of a stop.
fn assert_serves_and_stops(server: &mut Unheard) {
    let first = server.next();
    assert!(server.next() > first);
    let (code, waited) = server.stop("TERM");
    assert_eq!(code, 0);
    assert!(waited < STOP_MAX, "{waited:?}");
}

/// Runs a start that must be refused. One that hangs is killed, and fails by its exit code.
fn refused(directory: &Path, flags: &[&str]) -> Output {
    let output = Command::new("timeout")
        .args(["-s", "KILL", "20"])
        .arg(programs::ipseity())
        .args(["--listen", "127.0.0.1:0", "--pid", "1"])
        .args(flags)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    output
}

// The log.

#[test]
fn a_log_that_nobody_reads_does_not_hold_up_the_server() {
    let (reader, writer) = pipe().unwrap();
    fill(&writer);
    // There is no room even for the first line, in which a server says who it is.
    let mut server = Unheard::start(writer, &["--log-level", "debug"]);
    for _ in 0..200 {
        server.next();
    }
    assert_serves_and_stops(&mut server);
    drop(reader);
}

#[test]
fn two_signals_end_a_server_whose_log_nobody_reads() {
    let (reader, writer) = pipe().unwrap();
    fill(&writer);
    let mut server = Unheard::start(writer, &["--pid", "1"]);
    server.signal("INT");
    thread::sleep(Duration::from_millis(250));
    server.signal("INT");
    let (status, waited) = server.wait();
    assert!(status.code().is_some(), "{status}");
    assert!(waited < STOP_MAX, "{waited:?}");
    drop(reader);
}

#[test]
fn log_lines_that_waited_for_a_reader_arrive_whole_and_in_order() {
    for waits in [true, false] {
        let (mut reader, writer) = pipe().unwrap();
        fill(&writer);
        if !waits {
            // Some programs that share a stream with the server do this.
            never_wait(&writer);
        }
        let mut server = Unheard::start(writer, &["--log-level", "debug"]);
        for _ in 0..1000 {
            server.next();
        }
        let reading = thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        assert_eq!(server.stop("TERM").0, 0);
        let text = reading.join().unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        assert!(lines[0].contains(" listens on "), "{}", lines[0]);
        let accepted = |line: &&&str| line.contains(" connection from ");
        assert!(lines.iter().filter(accepted).count() >= 1000);
        let last = lines[lines.len() - 1];
        assert!(last.contains(" stopped at sequence 1000"), "{last}");
        assert!(!text.contains("are missing here"), "{text}");
    }
}

#[test]
fn a_stopped_terminal_does_not_hold_up_the_server() {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    // As Ctrl-S does.
    tcflow(&terminal, Action::OOff).unwrap();
    let mut server = Unheard::start(terminal, &["--log-level", "debug"]);
    assert_serves_and_stops(&mut server);
}

#[test]
fn a_log_that_cannot_be_written_does_not_end_the_server() {
    let (reader, gone) = pipe().unwrap();
    drop(reader);
    for log in [Stdio::from(full_device()), Stdio::from(gone)] {
        let mut server = Unheard::start(log, &["--log-level", "debug"]);
        assert_serves_and_stops(&mut server);
    }
}

#[test]
fn closed_standard_streams_are_not_mistaken_for_other_files() {
    for closed in ["2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"] {
        let script = format!("exec \"$0\" \"$@\" {closed}");
        let mut server = Unheard::start_under(
            &["sh", "-c", &script],
            Stdio::null(),
            &["--log-level", "debug"],
        );
        assert_serves_and_stops(&mut server);
        // If a line of the log had gone into the state file, it would not start.
        server.restart(Stdio::null(), &[]);
        assert_eq!(server.next(), 3, "{closed}");
        assert_serves_and_stops(&mut server);
    }
}

#[test]
fn a_log_that_was_full_goes_on_and_says_what_is_missing() {
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log");
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&log)
        .unwrap();
    // Room for the state, but not for all lines: 32 or 64 KiB, as `sh` counts.
    let mut server = Unheard::start_under(
        &["sh", "-c", "ulimit -f 64; exec \"$0\" \"$@\""],
        file,
        &["--log-level", "debug"],
    );
    for _ in 0..1500 {
        server.next();
    }
    // Then somebody makes room, as logrotate does with copytruncate.
    let cut = fs::metadata(&log).unwrap().len();
    assert!(cut == 32 * 1024 || cut == 64 * 1024, "{cut}");
    File::create(&log).unwrap();
    let is_told = || {
        server.next();
        fs::read_to_string(&log)
            .unwrap()
            .contains("log lines are missing here: standard error took no more of them\n")
    };
    assert!(eventually(is_told));
    assert_serves_and_stops(&mut server);
}

// The trace.

/// A server with a trace in a file.
fn traced(trace: &Path) -> Unheard {
    Unheard::start(Stdio::null(), &["--trace", trace.to_str().unwrap()])
}

fn restart(server: &mut Unheard, trace: &Path) {
    server.restart(Stdio::null(), &["--trace", trace.to_str().unwrap()]);
}

/// The serials of the lines of a trace, each once, in their order.
fn serials(text: &str) -> Vec<u64> {
    let mut serials: Vec<u64> = text
        .lines()
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect();
    serials.dedup();
    serials
}

#[test]
fn a_restart_keeps_the_trace_and_begins_a_new_line() {
    let directory = TempDir::new().unwrap();
    let trace = directory.path().join("trace");
    let mut server = traced(&trace);
    server.next();
    server.stop("TERM");
    let mode = fs::metadata(&trace).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // As if the machine had lost its power in the middle of a line.
    let mut before = fs::read_to_string(&trace).unwrap();
    before += "77 1.5 identityReq";
    fs::write(&trace, &before).unwrap();
    restart(&mut server, &trace);
    server.next();
    server.stop("TERM");
    let after = fs::read_to_string(&trace).unwrap();
    let (old, new) = after.split_at(before.len());
    assert_eq!(old, before);
    assert!(new.starts_with("\n1 "), "{new}");
    assert!(new.contains("identityReply"), "{new}");
    serials(&new[1..]);
    // A trace that ends with a whole line gets no empty line.
    restart(&mut server, &trace);
    server.stop("TERM");
    let last = fs::read_to_string(&trace).unwrap();
    assert!(last[after.len()..].starts_with("1 "), "{last}");
}

#[test]
fn a_start_that_is_refused_does_not_touch_a_trace() {
    let directory = TempDir::new().unwrap();
    let trace = directory.path().join("trace");
    let state = directory.path().join("state");
    let flags = ["--pid", "1", "--data-dir", state.to_str().unwrap()];
    let first = Server::start_with(&["--listen", "127.0.0.1:0"], &flags);
    for listen in [first.address(), "127.0.0.1:0".to_owned()] {
        let flags = [&flags[..], &["--trace", trace.to_str().unwrap()]].concat();
        Server::try_start(&["--listen", &listen], &flags).unwrap_err();
        assert!(!trace.exists(), "{listen}");
    }
}

#[test]
fn a_trace_that_was_moved_away_goes_on_in_a_new_file() {
    let directory = TempDir::new().unwrap();
    let (trace, old) = (
        directory.path().join("trace"),
        directory.path().join("trace.1"),
    );
    let mut server = traced(&trace);
    for _ in 0..100 {
        server.next();
    }
    fs::rename(&trace, &old).unwrap();
    server.signal("HUP");
    assert!(eventually(|| trace.exists()));
    for _ in 0..100 {
        server.next();
    }
    assert_eq!(server.stop("TERM").0, 0);
    let (old, new) = (
        fs::read_to_string(&old).unwrap(),
        fs::read_to_string(&trace).unwrap(),
    );
    assert!(new.contains(" written stop\n"), "{new}");
    let all = serials(&(old + &new));
    let expected: Vec<u64> = (1..=all.len() as u64).collect();
    assert_eq!(all, expected);
}

#[test]
fn a_trace_that_cannot_be_opened_again_goes_on_in_the_old_file() {
    let directory = TempDir::new().unwrap();
    let home = directory.path().join("traces");
    fs::create_dir(&home).unwrap();
    let trace = home.join("trace");
    let server = Server::start(&["--trace", trace.to_str().unwrap()]);
    let moved = directory.path().join("moved");
    fs::rename(&home, &moved).unwrap();
    server.signal("HUP");
    let line = server.wait_for_log("cannot open the trace");
    assert!(line.contains("going on with the old file"), "{line}");
    server.ask(1, 0);
    let trace = moved.join("trace");
    assert!(eventually(|| {
        fs::read_to_string(&trace)
            .unwrap()
            .contains("identityReply")
    }));
}

#[test]
fn a_trace_that_nobody_reads_does_not_hold_up_the_server_and_counts_what_is_missing() {
    let directory = TempDir::new().unwrap();
    let trace = directory.path().join("trace");
    make_fifo(&trace);
    // A reader that is there from the beginning, as with `cat trace &`, but does not read.
    let mut reader = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(&trace)
        .unwrap();
    let mut server = traced(&trace);
    let mut connection = server.connect();
    let requests = 1000;
    let batch = [0, 1, 1].repeat(requests);
    // Each request is two lines.
    for _ in 0..TRACE_LINES_MAX / requests {
        connection.stream().write_all(&batch).unwrap();
        for _ in 0..requests {
            connection.receive();
        }
    }
    fcntl_setfl(&reader, OFlags::empty()).unwrap();
    let text = Arc::new(Mutex::new(String::new()));
    let read = Arc::clone(&text);
    let reading = thread::spawn(move || {
        let mut piece = vec![0; TRACE_LINES_MAX];
        loop {
            match reader.read(&mut piece).unwrap() {
                0 => break,
                length => *read.lock().unwrap() += str::from_utf8(&piece[..length]).unwrap(),
            }
        }
    });
    let is_told = || text.lock().unwrap().contains("\n- - missing lines=");
    assert!(eventually(is_told));
    assert_serves_and_stops(&mut server);
    reading.join().unwrap();
    let text = text.lock().unwrap();
    let missing: Vec<u64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("- - missing lines="))
        .map(|count| count.parse().unwrap())
        .collect();
    assert!(missing.iter().all(|count| *count > 0), "{missing:?}");
    // The lines after the gap are whole.
    assert!(text.contains(" > write stop "));
}

#[test]
fn a_trace_that_is_never_read_does_not_hold_up_a_stop() {
    let directory = TempDir::new().unwrap();
    let trace = directory.path().join("trace");
    make_fifo(&trace);
    let reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&trace)
        .unwrap();
    fill(&reader);
    let mut server = traced(&trace);
    assert_serves_and_stops(&mut server);
}

#[test]
fn a_trace_that_cannot_be_opened_is_refused_with_what_to_do() {
    let directory = TempDir::new().unwrap();
    let here = directory.path();
    make_fifo(&here.join("pipe"));
    let socket = UnixListener::bind(here.join("socket")).unwrap();
    fs::create_dir(here.join("folder")).unwrap();
    symlink("no/where", here.join("link")).unwrap();
    for (trace, why) in [
        (
            "pipe",
            "it is a named pipe that nobody reads; start its reader first",
        ),
        ("socket", "it is a socket"),
        ("folder", "is a directory"),
        ("no/where", "No such file or directory"),
        ("link", "No such file or directory"),
        ("new/", "it names no file"),
        ("", "it names no file"),
    ] {
        let output = refused(here, &["--trace", trace]);
        let said = String::from_utf8(output.stderr).unwrap();
        let begin = format!("ipseity: cannot write the trace file {trace}: ");
        assert!(said.starts_with(&begin), "{said}");
        assert!(said.contains(why), "{said}");
        assert!(
            said.ends_with("; choose another file with --trace\n"),
            "{said}"
        );
        assert!(!here.join("ipseity-data").exists(), "nothing is made");
    }
    drop(socket);
}

#[test]
fn a_start_that_is_refused_for_its_trace_uses_up_no_boot() {
    let directory = TempDir::new().unwrap();
    let trace = directory.path().join("trace");
    let mut server = Server::start(&["--pid", "1"]);
    assert_eq!(server.stop(), 0);
    make_fifo(&trace);
    let flags = ["--data-dir", server.data_dir().to_str().unwrap()].map(str::to_owned);
    let [flag, home] = &flags;
    refused(
        directory.path(),
        &[flag, home, "--trace", trace.to_str().unwrap()],
    );
    server.restart();
    assert_eq!(server.status().boot, 2);
}

#[test]
fn a_trace_in_the_state_directory_is_refused() {
    let directory = TempDir::new().unwrap();
    let here = directory.path();
    let state = here.join("state");
    let mut first = Server::start_with(
        &["--listen", "127.0.0.1:0"],
        &["--pid", "1", "--data-dir", state.to_str().unwrap()],
    );
    assert_eq!(first.stop(), 0);
    fs::write(state.join("members"), "").unwrap();
    let kept = || ["lock", "state", "members"].map(|name| fs::read(state.join(name)).unwrap());
    let before = kept();
    fs::create_dir(state.join("below")).unwrap();
    symlink("state", here.join("other-name")).unwrap();
    symlink("state/state", here.join("to-a-file")).unwrap();
    symlink("state/new", here.join("to-none")).unwrap();
    symlink("to-none", here.join("to-a-link")).unwrap();
    fs::hard_link(state.join("lock"), here.join("one-more")).unwrap();
    let absolute = state.join("lock");
    for (trace, data_dir) in [
        ("state/state", "state"),
        ("state/lock", "state"),
        ("state/members", "state"),
        ("state/new", "state"),
        ("state/below/new", "state"),
        ("./below/../state/state", "state"),
        ("other-name/state", "state"),
        ("state/state", "other-name"),
        ("to-a-file", "state"),
        ("to-none", "state"),
        ("to-a-link", "state"),
        ("one-more", "state"),
        ("state", "state"),
        (absolute.to_str().unwrap(), "state"),
    ] {
        fs::create_dir_all(here.join("below")).unwrap();
        let output = refused(here, &["--data-dir", data_dir, "--trace", trace]);
        let said = String::from_utf8(output.stderr).unwrap();
        let text = format!(
            "ipseity: cannot write the trace file {trace}: it is in the state directory {data_dir}, where only \
             the server's own files may be; choose another file with --trace\n"
        );
        assert_eq!(said, text);
        assert!(kept() == before, "{trace} is touched");
        assert!(!state.join("new").exists());
    }
    // Before the first start, too.
    symlink("later/trace", here.join("to-later")).unwrap();
    for trace in ["later", "to-later"] {
        refused(here, &["--data-dir", "later", "--trace", trace]);
        assert!(!here.join("later").exists());
    }
    // Beside the directory it is allowed.
    let beside = here.join("state.trace");
    let server = Server::start_with(
        &["--listen", "127.0.0.1:0"],
        &[
            "--pid",
            "1",
            "--data-dir",
            here.join("beside").to_str().unwrap(),
            "--trace",
            beside.to_str().unwrap(),
        ],
    );
    server.ask(1, 0);
}

#[test]
fn a_trace_may_be_among_the_log_lines() {
    for trace in ["-", "/dev/stderr"] {
        let mut server = Server::start(&["--trace", trace]);
        server.ask(1, 0);
        assert_eq!(server.stop(), 0);
        let log = server.log();
        assert!(
            log.contains(" > reply connection=0.0 identityReply"),
            "{log}"
        );
        assert!(log.contains(" listens on "), "{log}");
        // No line is in the middle of another.
        let is_whole = |line: &str| {
            let first = line.split(' ').next().unwrap();
            first.parse::<u64>().is_ok() || first.ends_with('Z')
        };
        assert!(log.lines().all(is_whole), "{log}");
    }
}

// A named pipe in the state directory.

#[test]
fn a_named_pipe_in_place_of_a_state_file_does_not_hold_up_a_start() {
    for name in ["members", "lock", "state"] {
        let directory = TempDir::new().unwrap();
        let state = directory.path().join("state");
        fs::create_dir(&state).unwrap();
        make_fifo(&state.join(name));
        let output = refused(directory.path(), &["--data-dir", "state"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&format!("state/{name}")), "{said}");
        if name == "members" {
            assert!(said.contains("is not a regular file"), "{said}");
            assert!(said.contains("--data-dir"), "{said}");
        }
    }
}

// The output of both programs.

#[test]
fn exit_codes_do_not_depend_on_whether_the_error_can_be_written() {
    let directory = TempDir::new().unwrap();
    let state = directory.path().join("state");
    let state = state.to_str().unwrap();
    let (server, client) = (programs::ipseity(), programs::ipseity_cli());
    for (program, arguments, code) in [
        (&server, &["--nonsense"][..], 2),
        (&server, &["--data-dir", "/proc/none"], 1),
        (
            &server,
            &["--listen", "203.0.113.9:1", "--data-dir", state],
            1,
        ),
        (&client, &["nonsense"], 2),
        (&client, &["next", "-n", "x"], 2),
        (&client, &["-s", "127.0.0.1:1", "next"], 1),
        (&client, &["bench", "-s", "127.0.0.1:1"], 1),
    ] {
        let (reader, gone) = pipe().unwrap();
        drop(reader);
        let closed = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 2>&-"])
            .arg(program)
            .args(arguments)
            .stdout(Stdio::null())
            .status();
        assert_eq!(closed.unwrap().code(), Some(code), "{arguments:?}");
        for errors in [Stdio::from(full_device()), Stdio::from(gone)] {
            let status = Command::new(program)
                .args(arguments)
                .stdout(Stdio::null())
                .stderr(errors)
                .status();
            assert_eq!(status.unwrap().code(), Some(code), "{arguments:?}");
        }
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure_and_not_a_crash() {
    let (server, client) = (programs::ipseity(), programs::ipseity_cli());
    let number = "1025";
    for (program, arguments) in [
        (&server, &["--help"][..]),
        (&server, &["--version"]),
        (&client, &["--help"]),
        (&client, &["--version"]),
        (&client, &["decode", number]),
    ] {
        let output = Command::new(program)
            .args(arguments)
            .stdout(full_device())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("cannot write to standard output"), "{said}");
        // If standard error cannot be written either, only the exit code is left.
        let status = Command::new(program)
            .args(arguments)
            .stdout(full_device())
            .stderr(full_device())
            .status();
        assert_eq!(status.unwrap().code(), Some(1), "{arguments:?}");
    }
}
