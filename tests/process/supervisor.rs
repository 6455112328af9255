//! What a server tells the supervisor that started it: that it is ready, how it stands, and that its loop turns.

use std::{
    io::ErrorKind,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    path::PathBuf,
    time::Duration,
};

use ipseity_harness::{
    nobody::Nobody,
    server::{PATIENCE, Server},
};
use tempfile::TempDir;

/// What the log says when the supervisor cannot be told.
const NOT_TOLD: &str = "cannot tell the supervisor how this server stands: ";

/// The socket of a supervisor, and a directory for it and for the state.
struct Supervisor {
    socket: UnixDatagram,
    home: TempDir,
}

impl Supervisor {
    fn new() -> Supervisor {
        let home = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(home.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Supervisor { socket, home }
    }

    fn path(&self) -> PathBuf {
        self.home.path().join("notify")
    }

    /// Starts a server that has this one and these variables.
    fn start(&self, variables: &[&str], flags: &[&str]) -> Server {
        self.start_with(&self.path().display().to_string(), variables, flags)
    }

    /// The same with another name of the socket.
    fn start_with(&self, name: &str, variables: &[&str], flags: &[&str]) -> Server {
        let named = format!("NOTIFY_SOCKET={name}");
        let runner = [&["env", &named][..], variables].concat();
        let runner: Vec<String> = runner.into_iter().map(str::to_owned).collect();
        let state = self.home.path().join("state").display().to_string();
        let flags = [&["--data-dir", &state][..], flags].concat();
        Server::start_under(&runner, &["--listen", "127.0.0.1:0"], &flags)
            .unwrap_or_else(|refusal| panic!("it did not start:\n{}", refusal.log))
    }

    /// The next message.
    fn receive(&self) -> String {
        receive(&self.socket)
    }

    /// Everything that has come and was not received yet.
    fn rest(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut rest = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) => rest.push(String::from_utf8(buffer[..length].to_vec()).unwrap()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return rest,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Fills its queue, so that it takes nothing more. Returns how many messages that took.
    fn fill(&self) -> usize {
        let other = UnixDatagram::unbound().unwrap();
        other.set_nonblocking(true).unwrap();
        other.connect(self.path()).unwrap();
        let fits = |_: &usize| other.send(b"full").is_ok();
        (0..).take_while(fits).count()
    }
}

fn receive(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).expect("no message came");
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn a_supervisor_hears_of_the_start_of_each_standing_and_of_the_stop() {
    let supervisor = Supervisor::new();
    let nobody = Nobody::new();
    let flags = ["--pid", "1", "--peer", &nobody.address()];
    // It asks a peer that is not there: its start is ready before that is over.
    let mut server = supervisor.start(&[], &flags);
    let joining = "STATUS=joining: asking its peers before it hands out identities\n";
    assert_eq!(supervisor.receive(), format!("READY=1\n{joining}"));
    assert_eq!(supervisor.receive(), "STATUS=serving\n");
    server.ask(5000, 0);
    assert_eq!(server.stop(), 0);
    // Without a watchdog, it says nothing else.
    assert_eq!(supervisor.rest(), ["STOPPING=1\nSTATUS=stopping\n"]);
}

#[test]
fn it_is_ready_only_when_it_listens() {
    let supervisor = Supervisor::new();
    let server = supervisor.start(&[], &["--log-level", "error"]);
    assert_eq!(supervisor.receive(), "READY=1\nSTATUS=serving\n");
    server.ask(1, 0);
    // A second server cannot use the directory of the first, and says so only in its log.
    let taken = Supervisor::new();
    let named = format!("NOTIFY_SOCKET={}", taken.path().display());
    let state = supervisor.home.path().join("state").display().to_string();
    let runner = ["env".to_owned(), named];
    let flags = ["--data-dir", &state];
    let refusal = Server::start_under(&runner, &["--listen", "127.0.0.1:0"], &flags);
    assert_eq!(refusal.unwrap_err().code, Some(1));
    assert_eq!(taken.rest(), Vec::<String>::new());
}

#[test]
fn a_watchdog_is_told_again_and_again_that_the_loop_turns() {
    let supervisor = Supervisor::new();
    let mut server = supervisor.start(&["WATCHDOG_USEC=100000"], &[]);
    let first = "READY=1\nSTATUS=serving\nWATCHDOG=1\n";
    assert_eq!(supervisor.receive(), first);
    for _ in 0..5 {
        assert_eq!(supervisor.receive(), "WATCHDOG=1\n");
    }
    // While it is stopped its loop does not turn. What was sent before may still have to be received.
    server.signal("STOP");
    supervisor.rest();
    std::thread::sleep(Duration::from_millis(300));
    assert!(supervisor.rest().len() <= 1);
    server.signal("CONT");
    supervisor.socket.set_nonblocking(false).unwrap();
    assert_eq!(supervisor.receive(), "WATCHDOG=1\n");
    assert_eq!(server.stop(), 0);
    let rest = supervisor.rest();
    let stop = "STOPPING=1\nSTATUS=stopping\nWATCHDOG=1\n";
    assert!(rest.iter().any(|text| text == stop), "{rest:?}");
}

#[test]
fn a_watchdog_of_another_process_is_not_told() {
    for variables in [
        ["WATCHDOG_USEC=20000", "WATCHDOG_PID=1"],
        ["WATCHDOG_USEC=0", "OTHER=1"],
        ["WATCHDOG_USEC=soon", "OTHER=1"],
    ] {
        let supervisor = Supervisor::new();
        let mut server = supervisor.start(&variables, &[]);
        server.ask(1, 0);
        assert_eq!(server.stop(), 0);
        let told = ["READY=1\nSTATUS=serving\n", "STOPPING=1\nSTATUS=stopping\n"];
        assert_eq!(supervisor.rest(), told);
    }
}

#[test]
fn the_name_of_the_socket_may_be_abstract() {
    let supervisor = Supervisor::new();
    // Nobody else has the name of this directory.
    let name = supervisor.home.path().display().to_string();
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut server = supervisor.start_with(&format!("@{name}"), &[], &[]);
    assert_eq!(receive(&socket), "READY=1\nSTATUS=serving\n");
    assert_eq!(server.stop(), 0);
    assert_eq!(receive(&socket), "STOPPING=1\nSTATUS=stopping\n");
}

#[test]
fn a_supervisor_that_does_not_read_holds_up_nobody_and_is_told_later() {
    let supervisor = Supervisor::new();
    let filled = supervisor.fill();
    assert!(filled > 0);
    let mut server = supervisor.start(&["WATCHDOG_USEC=20000"], &[]);
    server.wait_for_log(NOT_TOLD);
    for _ in 0..100 {
        server.ask(1, 0);
    }
    for _ in 0..filled {
        assert_eq!(supervisor.receive(), "full");
    }
    let first = "READY=1\nSTATUS=serving\nWATCHDOG=1\n";
    assert_eq!(supervisor.receive(), first);
    assert_eq!(supervisor.receive(), "WATCHDOG=1\n");
    // A stop does not wait for it either.
    supervisor.fill();
    assert_eq!(server.stop(), 0);
    assert!(server.log().contains("trying again"), "{}", server.log());
}

#[test]
fn a_supervisor_that_vanishes_harms_nobody() {
    let supervisor = Supervisor::new();
    let mut server = supervisor.start(&["WATCHDOG_USEC=20000"], &[]);
    supervisor.receive();
    let Supervisor { socket, home } = supervisor;
    drop(socket);
    server.wait_for_log("not trying again");
    for _ in 0..100 {
        server.ask(1, 0);
    }
    assert_eq!(server.stop(), 0);
    assert_eq!(server.count_log(NOT_TOLD), 1);
    drop(home);
}

#[test]
fn a_name_that_leads_nowhere_is_logged_and_harms_nobody() {
    let supervisor = Supervisor::new();
    let nowhere = supervisor.home.path().join("nowhere").display().to_string();
    for name in [&nowhere, "@", "notify", "vsock:2:1234"] {
        let mut server = supervisor.start_with(name, &["WATCHDOG_USEC=20000"], &[]);
        let line = server.wait_for_log("cannot reach the supervisor at ");
        assert!(line.contains(name), "{line}");
        server.ask(1, 0);
        assert_eq!(server.stop(), 0);
    }
    // An empty name is none.
    let mut server = supervisor.start_with("", &[], &[]);
    assert_eq!(server.stop(), 0);
    assert_eq!(server.count_log("supervisor"), 0);
}
