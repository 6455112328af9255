//! The loop's thread waits in its poll and nowhere else. docs/architecture.md lists every system call that it makes,
//! with the reason why it does not block. Also, clients get answers while a helper thread is held in a call.

use std::{collections::BTreeSet, fs, io::Write as _};

use ipseity_core::words::{Message, PeerState};
use ipseity_harness::{
    failing::strace::{self, Attached},
    nobody::Nobody,
    page,
    program::run,
    server::{Port, Server, eventually},
};
use tempfile::TempDir;

/// The heading of the table in docs/architecture.md.
const HEADING: &str = "### Every system call of the loop's thread";

/// Calls that the run below has to make. If one is missing, the run has shown nothing.
const SURE: [&str; 9] = [
    "accept4",
    "close",
    "connect",
    "epoll_ctl",
    "epoll_wait",
    "futex",
    "read",
    "sendto",
    "socket",
];

/// The system calls that the page lists: the first cell of each row, which may have several names.
fn listed() -> BTreeSet<String> {
    let text = page::read("docs/architecture.md");
    let section = text.split_once(HEADING).expect("the page has the table").1;
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

#[test]
fn every_call_of_the_loops_thread_is_on_the_page() {
    if !strace::is_allowed() {
        return;
    }
    let home = TempDir::new().unwrap();
    let in_home = |name: &str| home.path().join(name).display().to_string();
    let (data_dir, trace, moved) = (in_home("state"), in_home("trace"), in_home("moved"));
    let log = home.path().join("strace");
    // A peer with a name, another server that names this one, and an address where nobody listens.
    let (port, own) = (Port::reserve(), Port::reserve());
    let nobody = Nobody::new();
    let by_name = format!("localhost:{}", port.address().port());
    let flags = [
        "--pid",
        "1",
        "--data-dir",
        &data_dir,
        "--trace",
        &trace,
        "--log-level",
        "debug",
        "--peer",
        &by_name,
        "--peer",
        &nobody.address(),
        "--sync-interval",
        "20ms",
        "--max-connections",
        "20",
        "--join-timeout",
        "100ms",
        "--idle-timeout",
        "500ms",
    ];
    let listen = own.address().to_string();
    let mut server = Server::start_under(&strace::recorder(&log), &["--listen", &listen], &flags)
        .unwrap_or_else(|refusal| panic!("it did not start:\n{}", refusal.log));
    let other = Server::start_on(port, &["--pid", "2", "--peer", &listen]);
    server.wait_for_log(" is up: pid 2, ");
    // Clients of all kinds: one by one, many at once, more than there are places, and some that go wrong.
    for count in [1, 900, 1000, 1000] {
        server.ask(count, 0);
    }
    let address = server.address();
    let bench = ["bench", "--server", &address, "-c", "5"];
    run(&[&bench[..], &["--duration", "200ms"]].concat()).good();
    run(&["members", "--server", &address]).good();
    let mut crowd: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for (number, connection) in crowd.iter_mut().enumerate() {
        let bytes: &[u8] = match number % 3 {
            0 => &[0, 0],
            1 => &[0, 1, 1].repeat(1000),
            _ => &[0],
        };
        // The connections that were turned away are gone.
        let _ = connection.stream().write_all(bytes);
    }
    drop(crowd);
    // Files are opened again, what is known of the peer is saved, it goes, and the server stops.
    fs::rename(&trace, &moved).unwrap();
    server.signal("HUP");
    server.wait_for_log("the trace goes on in");
    drop(other);
    server.wait_for_log("(pid 2) is down");
    let process = server.pid();
    server.stop();
    let calls = strace::calls_of_thread(&log, process);
    let accepted = calls.iter().position(|call| call == "accept4");
    let made: BTreeSet<String> = calls[accepted.unwrap()..].iter().cloned().collect();
    println!("{made:?}");
    for call in SURE {
        assert!(made.contains(call), "{call} was never made: {made:?}");
    }
    let listed = listed();
    let unlisted: Vec<&String> = made.difference(&listed).collect();
    assert!(
        unlisted.is_empty(),
        "{unlisted:?}: say in docs/architecture.md, {HEADING:?}, why the loop's thread does not wait in them"
    );
}

/// Asks a server in many ways. None of the answers needs a helper thread.
fn assert_answers(server: &Server) {
    for _ in 0..100 {
        match server.ask(1, 0) {
            Message::IdentityReply { count: 1, .. } => {}
            other => panic!("{other:?}"),
        }
    }
    server.status();
}

#[test]
fn threads_that_write_lines_hold_up_no_client() {
    if !strace::is_allowed() {
        return;
    }
    let home = TempDir::new().unwrap();
    let trace = home.path().join("trace").display().to_string();
    let server = Server::start(&["--pid", "1", "--log-level", "debug", "--trace", &trace]);
    let attached = Attached::holding(&server, &home.path().join("strace"), "write");
    assert_answers(&server);
    for thread in ["ipseity-log", "ipseity-trace"] {
        assert!(
            eventually(|| strace::is_held(server.pid(), thread)),
            "{thread}"
        );
    }
    assert_answers(&server);
    server.signal("HUP");
    assert_answers(&server);
    drop(attached);
    server.wait_for_log("the trace goes on in");
}

#[test]
fn a_thread_that_writes_to_the_disk_holds_up_no_client() {
    if !strace::is_allowed() {
        return;
    }
    let home = TempDir::new().unwrap();
    for calls in ["pwrite64", "fdatasync,fsync", "pread64", "openat,rename"] {
        let port = Port::reserve();
        let peer = port.address().to_string();
        let server = Server::start(&["--pid", "1", "--peer", &peer, "--join-timeout", "100ms"]);
        server.wait_for_log("handing out identities");
        let attached = Attached::holding(&server, &home.path().join("strace"), calls);
        // The members are saved for a peer, and the ceiling is raised when half of the first step is used.
        let other = Server::start_on(port, &["--pid", "2"]);
        server.wait_for_log(" is up: pid 2, ");
        server.ask(700, 0);
        assert!(
            eventually(|| strace::is_held(server.pid(), "ipseity-disk")),
            "{calls}"
        );
        assert_answers(&server);
        drop((attached, other));
    }
}

#[test]
fn a_thread_that_looks_up_a_name_holds_up_no_client() {
    if !strace::is_allowed() {
        return;
    }
    let home = TempDir::new().unwrap();
    let name = format!("localhost:{}", Port::reserve().address().port());
    let server = Server::start(&["--pid", "1", "--peer", &name, "--join-timeout", "100ms"]);
    let attached = Attached::holding(&server, &home.path().join("strace"), "openat");
    assert!(eventually(|| strace::is_held(
        server.pid(),
        "ipseity-lookup"
    )));
    let status = server.wait_for_status("the end of joining", |status| {
        status.peers[0].state == PeerState::Connecting
    });
    assert_eq!(status.peers.len(), 1);
    server.wait_for_log("handing out identities");
    assert_answers(&server);
    drop(attached);
}
