//! Who may speak as a peer, with real servers: strangers from other hosts, a peer that moves to another address, and a
//! machine that others use too.
//!
//! Most of it needs network namespaces, because on one machine everybody is at a loopback address. Where none can be
//! made, those tests are skipped, and say so.

#![cfg(target_os = "linux")]

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use ipseity_core::words::{ErrorCode, Message, PeerState, Standing, Status, SyncMessage};
use ipseity_frames::{Receiver, encode};
use ipseity_harness::hosts::{self, Network, cage};
use ipseity_harness::program::run;
use ipseity_harness::server::{Connection, Server, eventually};
use ipseity_sim::config::peer_says;
use ipseity_sim::goldens::{boot_too_far, not_a_peer};
use tempfile::TempDir;

/// The hosts of the two servers, and that of the stranger.
const ONE: usize = 0;
const TWO: usize = 1;
const STRANGER: usize = 2;

/// The sequence that lies name. No server of these tests comes near it.
const FAR: u64 = 1 << 30;

/// What a server with this pid could say of itself.
fn sync(pid: u16) -> SyncMessage {
    SyncMessage {
        sequence: FAR,
        ..peer_says(pid.to_string().parse().unwrap())
    }
}

fn request(sync: SyncMessage) -> Message {
    Message::SyncRequest(Box::new(sync))
}

/// Runs a test with so many hosts, in a cage.
fn with_hosts(test: &str, hosts: usize, body: impl FnOnce(&TempDir)) {
    cage::run(&format!("trust::{test}"), || {
        if let Err(error) = Network::new(hosts) {
            return eprintln!("SKIPPED: no network of namespaces can be made here: {error}");
        }
        body(&TempDir::new_in("/run").unwrap());
    });
}

/// Does this as somebody on a host.
fn on_host<T: Send>(host: usize, body: impl FnOnce() -> T + Send) -> T {
    let on_host = || {
        hosts::enter(host);
        body()
    };
    thread::scope(|scope| scope.spawn(on_host).join().unwrap())
}

/// A server on a host, whose pid is one more than the host, with these flags beside.
fn start(host: usize, directory: &TempDir, flags: &[&str]) -> Server {
    let pid = (host + 1).to_string();
    let data_dir = directory.path().join(&pid);
    let listen = hosts::socket_address(host).to_string();
    let mut all = vec!["--pid", &pid, "--data-dir", data_dir.to_str().unwrap()];
    all.extend(["--sync-interval", "50ms"]);
    all.extend(flags);
    Server::start_under(&hosts::runner(host), &["--listen", &listen], &all)
        .unwrap_or_else(|refusal| panic!("it did not start:\n{}", refusal.log))
}

/// The first two hosts, with servers that name each other and are connected.
fn pair(directory: &TempDir) -> [Server; 2] {
    let names = [ONE, TWO].map(|host| hosts::socket_address(host).to_string());
    let one = start(ONE, directory, &["--peer", &names[TWO]]);
    let two = start(TWO, directory, &["--peer", &names[ONE]]);
    for server in [&one, &two] {
        wait_until_up(server);
    }
    [one, two]
}

fn wait_until_up(server: &Server) -> Status {
    server.wait_for_status("its peer is up", |status| {
        status.standing == Standing::Serving
            && status.peers.iter().all(|peer| peer.state == PeerState::Up)
    })
}

/// What a server answers to one message on a connection of its own, as the other side of a peer reads it.
fn answer(address: SocketAddr, message: &Message) -> Message {
    let mut connection = Connection::new(TcpStream::connect(address).unwrap());
    connection.send(message);
    let answer = connection.try_receive_as(Receiver::Dialer);
    answer.unwrap_or_else(|| panic!("no answer to {message:?}"))
}

fn code(answer: &Message) -> Option<ErrorCode> {
    match answer {
        Message::ErrorReply(error) => ErrorCode::from_u16(error.code),
        _ => None,
    }
}

/// The server is as it was before anybody lied to it.
fn assert_unharmed(server: &Server) {
    let status = wait_until_up(server);
    assert_eq!(status.peers_total, 1, "{status:?}");
    assert!(status.sequence < FAR, "{status:?}");
    assert_eq!(server.count_log("NOT HANDING OUT"), 0, "{}", server.log());
    assert!(matches!(server.ask(1, 0), Message::IdentityReply { .. }));
}

#[test]
fn one_frame_of_a_stranger_stops_no_server() {
    with_hosts("one_frame_of_a_stranger_stops_no_server", 3, |directory| {
        let servers = pair(directory);
        for (server, pid) in servers.iter().zip(1..) {
            // In the name of the server itself, and in the name of its peer.
            for claimed in [pid, 3 - pid] {
                let claim = request(sync(claimed));
                let mut frame = Vec::new();
                encode(&claim, &mut frame);
                assert_eq!(frame.len(), 100);
                let address = server.socket_address();
                let answer = on_host(STRANGER, || answer(address, &claim));
                assert_eq!(code(&answer), Some(ErrorCode::NotAPeer), "{answer:?}");
            }
            assert_unharmed(server);
        }
        // The line names the address and the flag, and there is one.
        for server in &servers {
            let line = server.wait_for_log("which says that it is a peer");
            assert!(line.contains("WARN"), "{line}");
            assert!(line.contains("refused 10.47.2.1:"), "{line}");
            assert!(line.contains("--peer-from"), "{line}");
            assert_eq!(server.count_log("which says that it is a peer"), 1);
        }
    });
}

#[test]
fn a_boot_that_a_stranger_claims_stops_no_later_start() {
    let test = "a_boot_that_a_stranger_claims_stops_no_later_start";
    with_hosts(test, 3, |directory| {
        let name = hosts::socket_address(TWO).to_string();
        let one = start(
            ONE,
            directory,
            &["--peer", &name, "--peer-from", "10.47.2.1"],
        );
        // Before the server with pid 2 has ever been heard, somebody takes its place. Both who try come from an address
        // that is believed.
        let claim = request(SyncMessage {
            boot: u64::MAX,
            ..sync(2)
        });
        let address = one.socket_address();
        for host in [STRANGER, TWO] {
            let answer = on_host(host, || answer(address, &claim));
            assert_eq!(code(&answer), Some(ErrorCode::BootTooFar), "{answer:?}");
        }
        one.wait_for_log("refused peer 10.47.2.1:");
        let name = address.to_string();
        let mut two = start(TWO, directory, &["--peer", &name]);
        for _ in 0..2 {
            assert_unharmed(&one);
            assert_unharmed(&two);
            two.kill();
            two.restart_under(&hosts::runner(TWO));
        }
        assert_unharmed(&two);
    });
}

#[test]
fn a_stranger_cannot_claim_the_pids_that_nobody_uses() {
    let test = "a_stranger_cannot_claim_the_pids_that_nobody_uses";
    with_hosts(test, 3, |directory| {
        let servers = pair(directory);
        let address = servers[0].socket_address();
        on_host(STRANGER, || {
            for pid in 3..=1023 {
                let answer = answer(address, &request(sync(pid)));
                assert_eq!(
                    code(&answer),
                    Some(ErrorCode::NotAPeer),
                    "{pid}: {answer:?}"
                );
            }
        });
        let shown = run(&["members", "--json", "--server", &address.to_string()]).good();
        assert_eq!(shown.lines().count(), 1, "{shown}");
        assert_unharmed(&servers[0]);
        assert_eq!(servers[0].count_log("which says that it is a peer"), 1);
    });
}

#[test]
fn a_server_that_names_nobody_takes_peers_only_from_where_it_was_told() {
    let test = "a_server_that_names_nobody_takes_peers_only_from_where_it_was_told";
    with_hosts(test, 2, |directory| {
        let name = hosts::socket_address(ONE).to_string();
        let hub = start(ONE, directory, &[]);
        let two = start(TWO, directory, &["--peer", &name]);
        let refused = two.wait_for_status("it is refused", |status| {
            status.peers[0].state == PeerState::Refused
        });
        assert_eq!(refused.peers_total, 1);
        hub.wait_for_log("refused 10.47.1.1:");
        two.wait_for_log(
            "is down: it refuses this server and says: no name in --peer of this server has the address",
        );
        for server in [&hub, &two] {
            assert!(matches!(server.ask(1, 0), Message::IdentityReply { .. }));
        }
        drop(hub);
        // It comes within a second, and not within the 30 of other refusals.
        let began = Instant::now();
        let hub = start(ONE, directory, &["--peer-from", "10.47.1.0/24"]);
        wait_until_up(&two);
        hub.wait_for_log("peers none (and any from 10.47.1.0/24), data directory");
        assert!(began.elapsed() < Duration::from_secs(15), "{}", two.log());
        assert_eq!(hub.count_log("which says that it is a peer"), 0);
    });
}

/// Lets names lead to the addresses of hosts, in this cage.
fn write_names(directory: &TempDir, names: &[(&str, usize)]) {
    let file = directory.path().join("names");
    let is_new = !file.exists();
    let lines = names.iter().map(|(name, host)| {
        let address = hosts::socket_address(*host).ip();
        format!("{address} {name}\n")
    });
    fs::write(&file, lines.collect::<String>()).unwrap();
    if is_new {
        let mount = Command::new("mount")
            .args(["--bind", file.to_str().unwrap(), "/etc/hosts"])
            .status();
        assert!(mount.unwrap().success());
    }
}

#[test]
fn a_peer_that_moves_to_another_address_is_found_by_its_name() {
    let test = "a_peer_that_moves_to_another_address_is_found_by_its_name";
    with_hosts(test, 3, |directory| {
        write_names(directory, &[("two.test", TWO)]);
        let one = start(ONE, directory, &["--peer", "two.test:3264"]);
        let name = hosts::socket_address(ONE).to_string();
        let two = start(TWO, directory, &["--peer", &name]);
        wait_until_up(&one);
        drop(two);
        // It comes back on another host, with another directory and pid: only its address counts here.
        write_names(directory, &[("two.test", STRANGER)]);
        let moved = start(STRANGER, directory, &["--peer", &name]);
        wait_until_up(&moved);
        // From where it was, nobody is believed any more.
        let address = one.socket_address();
        let refused = eventually(|| {
            let answer = on_host(TWO, || answer(address, &request(sync(9))));
            code(&answer) == Some(ErrorCode::NotAPeer)
        });
        assert!(refused, "{}", one.log());
    });
}

#[test]
fn a_machine_that_others_use_too_is_not_trusted_by_itself() {
    let server = Server::start(&["--pid", "1", "--trust-loopback", "no"]);
    let address = server.socket_address();
    let refused = not_a_peer();
    let mut peer = Connection::new(TcpStream::connect(address).unwrap());
    assert_eq!(
        exchanged(&mut peer, &refused.request, refused.answer().len()),
        refused.answer()
    );
    let advance = Message::AdvanceRequest { above: 100 };
    assert_eq!(
        code(&answer(address, &advance)),
        Some(ErrorCode::NotTrusted)
    );
    assert_eq!(server.status().life(), None);
    let shown = run(&["status", "--server", &address.to_string()]).good();
    assert!(
        shown.contains("boot shown only to peers and operators"),
        "{shown}"
    );
    let json = run(&["status", "--json", "--server", &address.to_string()]).good();
    assert!(
        json.contains(r#""incarnation":null,"boot":null,"session":null"#),
        "{json}"
    );
    // Who is named is trusted again.
    let flags = [
        "--pid",
        "1",
        "--trust-loopback",
        "no",
        "--peer-from",
        "127.0.0.0/8",
    ];
    let server = Server::start(&flags);
    let mut claim = sync(2);
    claim.sequence = 5;
    let answer = answer(server.socket_address(), &request(claim));
    assert!(matches!(answer, Message::SyncReply(_)), "{answer:?}");
    assert!(server.status().life().is_some());
}

#[test]
fn a_boot_too_far_gets_the_answer_that_the_page_shows() {
    let server = Server::start(&["--pid", "1"]);
    let refused = boot_too_far();
    let mut peer = Connection::new(TcpStream::connect(server.socket_address()).unwrap());
    assert_eq!(
        exchanged(&mut peer, &refused.request, refused.answer().len()),
        refused.answer()
    );
    server.wait_for_log("refused peer 127.0.0.1:");
    assert_eq!(server.status().peers_total, 0);
    assert!(server.status().life().is_some());
}

/// Sends these bytes, and reads as many as are expected.
fn exchanged(connection: &mut Connection, bytes: &[u8], length: usize) -> Vec<u8> {
    use std::io::{Read as _, Write as _};
    let stream = connection.stream();
    stream.write_all(bytes).unwrap();
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).unwrap();
    answer
}
