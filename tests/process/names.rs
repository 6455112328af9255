//! Names that lead to several addresses, to dead ones, to the server itself, or nowhere for a while; several addresses to
//! listen on. The resolver is that of the system, so each test has a cage with an /etc/hosts and a network of its own.
//!
//! They need root, or a machine that lets other users make namespaces. Otherwise they are skipped, and say so.

#![cfg(target_os = "linux")]

use std::{
    fs,
    net::{Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    path::Path,
    process::Command,
    thread,
};

use ipseity_core::{
    identity::Pid,
    words::{Message, PeerState, Standing},
};
use ipseity_harness::{
    command::run,
    hosts::cage,
    server::{Connection, Server, eventually},
};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

/// Every server has its own address, so all can have this port.
const PORT: u16 = 3264;

/// The text of this file from now on, for this test.
fn overlay(path: &str, text: &str) {
    let name = Path::new(path).file_name().unwrap().to_str().unwrap();
    let file = format!("/run/{name}");
    fs::write(&file, text).unwrap();
    run(Command::new("mount").args(["--bind", &file, path])).unwrap();
}

/// Runs `body` in a cage in which these names are known.
fn with_hosts(test: &str, hosts: &str, body: impl FnOnce(&Path)) {
    cage::run(&format!("names::{test}"), || {
        run(Command::new("ip").args(["link", "set", "lo", "up"])).unwrap();
        overlay("/etc/hosts", hosts);
        let home = TempDir::new_in("/run").unwrap();
        body(home.path());
    });
}

/// A server that listens there, with a directory of its own.
fn start(home: &Path, pid: u16, listen: &str, flags: &[&str]) -> Server {
    let (pid, state) = (pid.to_string(), home.join(pid.to_string()));
    let mut all = vec!["--pid", &pid, "--data-dir", state.to_str().unwrap()];
    all.extend(["--sync-interval", "50ms"]);
    all.extend(flags);
    Server::start_with(&["--listen", listen], &all)
}

/// Takes identities from a server, and waits until another one has saved that it did.
fn hand_out(server: &Server, pid: u16, witness: &Server) {
    assert!(matches!(server.ask(500, 0), Message::IdentityReply { .. }));
    let has_heard = || {
        let Message::MembersReply(members) = ask_for_members(witness) else {
            return false;
        };
        let mut members = members.members.iter();
        members.any(|member| Some(member.pid) == Pid::new(pid) && member.sequence >= 500)
    };
    assert!(eventually(has_heard), "{}", witness.log());
}

fn ask_for_members(server: &Server) -> Message {
    let mut connection = server.connect();
    connection.send(&Message::MembersRequest { from: Pid::MIN });
    connection.receive()
}

/// Starts a server again without its directory, and sees that it hands out nothing.
fn lose_directory(mut server: Server, home: &Path, pid: u16) {
    assert_eq!(server.stop(), 0);
    fs::remove_dir_all(home.join(pid.to_string())).unwrap();
    server.restart();
    match server.ask(500, 0) {
        Message::ErrorReply(_) => {}
        other => panic!("{other:?}: it was handed out before\n{}", server.log()),
    }
    assert_eq!(server.status().standing, Standing::Stale);
}

#[test]
fn a_server_that_meets_itself_first_asks_the_others_behind_the_name() {
    let hosts = "127.0.0.1 localhost\n127.0.0.2 all.test\n127.0.0.3 all.test\n";
    let test = "a_server_that_meets_itself_first_asks_the_others_behind_the_name";
    with_hosts(test, hosts, |home| {
        let name = format!("all.test:{PORT}");
        let [one, other] = ["127.0.0.2:3264", "127.0.0.3:3264"];
        // Either of them may be the first one that the resolver gives.
        for (own, others, pids) in [(one, other, [1, 2]), (other, one, [3, 4])] {
            let flags = ["--peer", &name, "--log-level", "debug"];
            let server = start(home, pids[0], own, &flags);
            let witness = start(home, pids[1], others, &flags);
            hand_out(&server, pids[0], &witness);
            let leads_here = format!("--peer {name} ({own}) leads to this server itself");
            server.wait_for_logs(&leads_here, 1);
            assert_eq!(server.count_log("refused peer"), 0, "{}", server.log());
            assert_eq!(server.status().peers_total, 1);
            lose_directory(server, home, pids[0]);
        }
    });
}

/// Copies the files of a state directory.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_restored_backup_that_names_nobody_asks_the_peers_that_it_remembers() {
    let test = "a_restored_backup_that_names_nobody_asks_the_peers_that_it_remembers";
    with_hosts(test, "127.0.0.1 localhost\n", |home| {
        let witness = ["--peer", "127.0.0.1:4001", "--advertise", "127.0.0.1:3264"];
        let witness = start(home, 9, "127.0.0.1:3264", &witness);
        let mut server = start(home, 1, "127.0.0.1:4001", &[]);
        let knows_witness = || match ask_for_members(&server) {
            Message::MembersReply(members) => members
                .members
                .iter()
                .any(|member| &*member.address == "127.0.0.1:3264"),
            other => panic!("{other:?}"),
        };
        assert!(eventually(knows_witness), "{}", server.log());
        assert_eq!(server.stop(), 0);
        let (state, backup) = (home.join("1"), home.join("backup"));
        copy(&state, &backup);
        server.restart();
        hand_out(&server, 1, &witness);
        server.kill();
        fs::remove_dir_all(&state).unwrap();
        copy(&backup, &state);
        server.restart();
        match server.ask(500, 0) {
            Message::ErrorReply(_) => {}
            other => panic!("{other:?}: it was handed out before\n{}", server.log()),
        }
        assert_eq!(server.status().standing, Standing::Stale);
    });
}

/// An address at which connecting takes for ever, as behind a firewall that drops: its queue is full.
fn dead(address: SocketAddr) -> Vec<Socket> {
    let listener = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
    listener.set_only_v6(true).unwrap();
    listener.bind(&address.into()).unwrap();
    listener.listen(0).unwrap();
    let callers = (0..4).map(|_| {
        let caller = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        caller.set_nonblocking(true).unwrap();
        let _ = caller.connect(&address.into());
        caller
    });
    callers.chain([listener]).collect()
}

/// Answers like a name server: every name is 127.0.0.2, and has no IPv6 address.
fn serve_names(socket: &UdpSocket) {
    let mut query = [0; 600];
    while let Ok((bytes, from)) = socket.recv_from(&mut query) {
        let mut at = 12;
        while query[at] > 0 {
            at += usize::from(query[at]) + 1;
        }
        let question = &query[12..(at + 5).min(bytes)];
        let wants_v4 = query[at + 2] == 1;
        let mut reply = query[..2].to_vec();
        reply.extend([0x81, 0x80, 0, 1, 0, u8::from(wants_v4), 0, 0, 0, 0]);
        reply.extend(question);
        if wants_v4 {
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 2]);
        }
        let _ = socket.send_to(&reply, from);
    }
}

#[test]
fn a_slow_lookup_and_a_dead_first_address_are_waited_for() {
    let hosts = "127.0.0.1 localhost\n::1 two.test\n127.0.0.2 two.test\n";
    let test = "a_slow_lookup_and_a_dead_first_address_are_waited_for";
    with_hosts(test, hosts, |home| {
        // The first name server never answers.
        overlay(
            "/etc/resolv.conf",
            "nameserver 127.0.0.9\nnameserver 127.0.0.1\n",
        );
        let silent = UdpSocket::bind("127.0.0.9:53").unwrap();
        let answering = UdpSocket::bind("127.0.0.1:53").unwrap();
        thread::spawn(move || serve_names(&answering));
        let held = dead((Ipv6Addr::LOCALHOST, PORT).into());
        let witness = start(home, 9, "127.0.0.2:3264", &[]);
        for (pid, name) in [(1, "two.test:3264"), (2, "slow.test:3264")] {
            let server = start(
                home,
                pid,
                &format!("127.0.0.1:{}", 4000 + pid),
                &["--peer", name],
            );
            hand_out(&server, pid, &witness);
            lose_directory(server, home, pid);
        }
        drop((held, silent));
    });
}

#[test]
fn names_that_hang_keep_no_other_name_waiting() {
    let hosts = "127.0.0.1 localhost\n127.0.0.2 quick.test\n";
    let test = "names_that_hang_keep_no_other_name_waiting";
    with_hosts(test, hosts, |home| {
        overlay("/etc/resolv.conf", "nameserver 127.0.0.9\n");
        let silent = UdpSocket::bind("127.0.0.9:53").unwrap();
        let quick = start(home, 9, "127.0.0.2:3264", &[]);
        let names: Vec<String> = (0..40).map(|name| format!("slow{name}.test:1")).collect();
        let mut flags: Vec<&str> = names.iter().flat_map(|name| ["--peer", name]).collect();
        flags.extend(["--peer", "quick.test:3264"]);
        let server = start(home, 1, "127.0.0.1:3264", &flags);
        server.wait_for_log("peer quick.test:3264 is up: pid 9");
        // The system's resolver has given up none of the others yet.
        assert_eq!(server.count_log("cannot look up"), 0, "{}", server.log());
        drop((silent, quick));
    });
}

#[test]
fn a_server_listens_on_all_addresses_of_a_name_or_on_none() {
    let hosts = "127.0.0.1 localhost\n127.0.0.2 two.test\n127.0.0.3 two.test\n";
    let test = "a_server_listens_on_all_addresses_of_a_name_or_on_none";
    with_hosts(test, hosts, |home| {
        let state = home.join("1");
        let flags = ["--pid", "1", "--data-dir", state.to_str().unwrap()];
        let listen = ["--listen", "two.test:3264", "--listen", "127.0.0.4:4000"];
        let mut server = Server::start_with(&listen, &flags);
        server.wait_for_log("listens on 127.0.0.2:3264 and 127.0.0.3:3264 and 127.0.0.4:4000: ");
        for address in ["127.0.0.2:3264", "127.0.0.3:3264", "127.0.0.4:4000"] {
            let mut client = Connection::new(TcpStream::connect(address).unwrap());
            client.send(&Message::IdentityRequest { count: 1, after: 0 });
            assert!(matches!(client.receive(), Message::IdentityReply { .. }));
        }
        assert_eq!(server.stop(), 0);
        let taken = start(home, 2, "127.0.0.3:3264", &[]);
        let log = Server::try_start(&listen, &flags).unwrap_err();
        let says = "cannot listen on 127.0.0.3:3264, an address of two.test:3264: ";
        assert!(log.contains(says), "{log}");
        drop(taken);
    });
}

#[test]
fn an_address_may_have_a_zone() {
    let test = "an_address_may_have_a_zone";
    with_hosts(test, "127.0.0.1 localhost\n", |home| {
        let ip = |line: &str| run(Command::new("ip").args(line.split(' '))).unwrap();
        ip("link add ids0 type veth peer name ids1");
        ip("link set ids0 up");
        ip("link set ids1 up");
        ip("-6 addr add fe80::77/64 dev ids0 nodad");
        let name = "[fe80::77%ids0]:3264";
        // The other one comes from this address too.
        let server = start(home, 1, name, &["--peer-from", "fe80::77"]);
        let asking = start(home, 2, "127.0.0.1:3264", &["--peer", name]);
        asking.wait_for_log(&format!("peer {name} is up: pid 1"));
        let peers = asking.status().peers;
        assert_eq!((peers.len(), peers[0].state), (1, PeerState::Up));
        drop(server);
    });
}

#[test]
fn members_shows_no_port_that_nobody_can_dial() {
    let test = "members_shows_no_port_that_nobody_can_dial";
    with_hosts(test, "127.0.0.1 localhost\n", |home| {
        let one = start(home, 1, "127.0.0.1:3264", &[]);
        let two = start(home, 2, "127.0.0.1:4000", &["--peer", "localhost:3264"]);
        let flags = [
            "--peer",
            "localhost:3264",
            "--advertise",
            "three.example:4000",
        ];
        let _three = start(home, 3, "127.0.0.1:4001", &flags);
        for (server, other, address) in [
            (&one, 2, "127.0.0.1"),
            (&two, 1, "localhost:3264"),
            (&one, 3, "three.example:4000"),
        ] {
            let shows = || match ask_for_members(server) {
                Message::MembersReply(members) => members.members.iter().any(|member| {
                    Some(member.pid) == Pid::new(other) && &*member.address == address
                }),
                other => panic!("{other:?}"),
            };
            assert!(eventually(shows), "{:?}", ask_for_members(server));
        }
    });
}
