//! What each signal does to a server, even if it is the first process of its namespace, as in a container. There the
//! kernel drops every signal for which the process has no handler. docs/operations.md has the table.

#![cfg(target_os = "linux")]
use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use ipseity::limits::STOP_MAX;
use ipseity_harness::{
    failing::strace,
    server::{Server, eventually},
    unheard::Unheard,
};

/// Long enough that a process that a signal ends is gone.
const MOMENT: Duration = Duration::from_millis(200);

/// Makes the command that follows it the first process of a namespace of processes.
const CONTAINER: [&str; 5] = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// Whether such a namespace can be made. If not, it prints that.
fn containers_are_allowed() -> bool {
    let works = Command::new(CONTAINER[0])
        .args(&CONTAINER[1..])
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("SKIPPED: no namespace of processes can be made here");
    }
    works
}

/// A server that is process 1 of its namespace.
fn contained(runner: &[&str], flags: &[&str]) -> Unheard {
    let runner = [&CONTAINER[..], runner].concat();
    let mut server = Unheard::begin(&runner, Stdio::null(), flags);
    server.follow_the_child();
    server
}

/// Whether a process has a handler for a signal.
fn handled(server: &Unheard, signal: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .unwrap();
    let caught = u64::from_str_radix(line.trim(), 16).unwrap();
    caught & 1 << (signal - 1) != 0
}

#[test]
fn sigterm_and_sigint_stop_cleanly() {
    for signal in ["TERM", "INT"] {
        let mut server = Unheard::start(Stdio::null(), &[]);
        assert_eq!(server.next(), 1);
        let (code, waited) = server.stop(signal);
        assert_eq!(code, 0, "{signal}");
        assert!(waited < STOP_MAX);
        server.restart(Stdio::null(), &[]);
        assert_eq!(server.next(), 2, "{signal}: a clean stop skips nothing");
    }
}

#[test]
fn sighup_never_ends_a_server() {
    for flags in [&[][..], &["--trace", "trace"]] {
        let directory = tempfile::tempdir().unwrap();
        let runner = ["sh", "-c", "cd \"$0\" && exec \"$@\""];
        let home = directory.path().to_str().unwrap();
        let runner = [&runner[..], &[home]].concat();
        let mut server = Unheard::start_under(&runner, Stdio::null(), flags);
        for _ in 0..20 {
            server.signal("HUP");
            server.next();
        }
        thread::sleep(MOMENT);
        assert!(server.runs());
        assert_eq!(server.next(), 21);
        // It neither hurries a stop nor holds it up.
        server.signal("HUP");
        server.signal("TERM");
        server.signal("HUP");
        assert_eq!(server.wait().0.code(), Some(0));
    }
}

#[test]
fn sighup_reopens_files_even_where_it_was_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let flags = ["--trace", trace.to_str().unwrap()];
    // As nohup does.
    let runner = ["sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""];
    let server = Unheard::start_under(&runner, Stdio::null(), &flags);
    fs::rename(&trace, directory.path().join("old")).unwrap();
    server.signal("HUP");
    assert!(eventually(|| trace.exists()));
}

#[test]
fn a_file_size_limit_is_treated_like_a_full_disk() {
    // 32 or 64 KiB, as `sh` counts; the state fits.
    let runner = ["sh", "-c", "ulimit -f 64; exec \"$0\" \"$@\""].map(str::to_owned);
    let directory = tempfile::tempdir().unwrap();
    let (trace, state) = (
        directory.path().join("trace"),
        directory.path().join("state"),
    );
    let flags = [
        "--trace",
        trace.to_str().unwrap(),
        "--data-dir",
        state.to_str().unwrap(),
    ];
    let mut server = Server::start_under(&runner, &["--listen", "127.0.0.1:0"], &flags).unwrap();
    for _ in 0..1000 {
        server.ask(1, 0);
    }
    let line = server.wait_for_log("cannot write the trace");
    assert!(line.contains("File too large"), "{line}");
    assert_eq!(server.stop(), 0);
    assert_eq!(server.count_log("cannot write the trace"), 1);
    // If there is no room even for the state, the start says so.
    let runner = ["sh", "-c", "ulimit -f 0; exec \"$0\" \"$@\""].map(str::to_owned);
    let other = directory.path().join("other");
    let flags = ["--data-dir", other.to_str().unwrap()];
    let refusal = Server::start_under(&runner, &["--listen", "127.0.0.1:0"], &flags).unwrap_err();
    assert_eq!(refusal.code, Some(1), "{}", refusal.log);
    assert!(refusal.log.contains("File too large"), "{}", refusal.log);
}

#[test]
fn the_client_reports_a_file_size_limit_as_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        .args(["-c", "ulimit -f 0; \"$0\" --help > help"])
        .arg(ipseity_harness::programs::ipseity_cli())
        .current_dir(directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("File too large"), "{said}");
}

#[test]
fn other_signals_do_what_they_do_to_every_process() {
    // A shell makes what it starts in the background ignore SIGQUIT, and these tests may run there.
    let runner = ["env", "--default-signal=QUIT,USR1,USR2"];
    for (signal, number) in [("QUIT", 3), ("USR1", 10), ("USR2", 12), ("KILL", 9)] {
        let mut server = Unheard::start_under(&runner, Stdio::null(), &[]);
        assert_eq!(server.next(), 1);
        server.signal(signal);
        assert_eq!(server.wait().0.signal(), Some(number));
        server.restart(Stdio::null(), &[]);
        assert!(server.next() > 1, "nothing is repeated");
    }
    // A reader that leaves is an error of a write, not a signal.
    let mut server = Unheard::start(Stdio::null(), &[]);
    server.signal("PIPE");
    thread::sleep(MOMENT);
    assert!(server.runs());
    assert_eq!(server.next(), 1);
}

#[test]
fn as_the_first_process_of_a_container_a_server_handles_signals_as_elsewhere() {
    if !containers_are_allowed() {
        return;
    }
    for signal in ["TERM", "INT"] {
        let mut server = contained(&[], &[]);
        assert!(eventually(|| std::net::TcpStream::connect(
            server.address()
        )
        .is_ok()));
        assert_eq!(server.next(), 1);
        // A signal without a handler cannot end it.
        for other in ["HUP", "PIPE", "QUIT", "USR1", "USR2"] {
            server.signal(other);
        }
        thread::sleep(MOMENT);
        assert!(server.runs());
        assert_eq!(server.next(), 2);
        let (code, waited) = server.stop(signal);
        assert_eq!(code, 0, "{signal}");
        assert!(waited < STOP_MAX);
        server.restart(Stdio::null(), &[]);
        assert_eq!(server.next(), 3, "a clean stop skips nothing");
    }
}

#[test]
fn a_start_can_be_ended_even_as_the_first_process_of_a_container() {
    if !containers_are_allowed() || !strace::is_allowed() {
        return;
    }
    for (signal, number) in [("TERM", 15), ("INT", 2)] {
        // A disk so slow that the signal comes before the end of the start, even on a busy machine.
        let slow = "inject=fsync,fdatasync:delay_enter=2000000";
        let strace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", slow];
        let mut server = contained(&strace, &[]);
        assert!(eventually(|| handled(&server, number)));
        let lock = server.path("state").join("lock");
        assert!(eventually(|| lock.exists()));
        let (code, _) = server.stop(signal);
        assert_eq!(code, 128 + number as i32, "{signal}");
    }
}
