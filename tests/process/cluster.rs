//! Several real servers that synchronize: they converge, survive each other's death, refuse wrong peers, and hand out
//! nothing twice.

use std::{
    collections::BTreeMap,
    net::{TcpListener, TcpStream},
    sync::Mutex,
    thread,
    time::Duration,
};

use ipseity_client::{Client, ClientOptions};
use ipseity_core::{
    identity::Identity,
    words::{ErrorCode, Message, PeerState, Standing, Status, SyncMessage},
};
use ipseity_frames::Receiver;
use ipseity_harness::server::{Connection, Port, Server, eventually};
use ipseity_sim::checker::{Answer, Clock, check};
use ipseity_sim::config::peer_says;

/// Waits until all of them show the same sequence, and one of at least `least`.
fn wait_until_they_agree<'a>(
    servers: impl IntoIterator<Item = &'a Server> + Clone,
    least: u64,
) -> u64 {
    let mut seen: Vec<u64> = Vec::new();
    let agreed = eventually(|| {
        seen = servers
            .clone()
            .into_iter()
            .map(|server| server.status().sequence)
            .collect();
        seen.iter()
            .all(|sequence| *sequence == seen[0] && *sequence >= least)
    });
    assert!(agreed, "they never agree on {least} or more: {seen:?}");
    seen[0]
}

/// Waits until it has this many peers, all of them up.
fn wait_for_peers(server: &Server, count: usize) -> Status {
    server.wait_for_status("peers that are all up", |status| {
        status.peers.len() == count && status.peers.iter().all(|peer| peer.state == PeerState::Up)
    })
}

/// The sequence of the first identity of a reply.
fn sequence_of(reply: &Message) -> u64 {
    match reply {
        Message::IdentityReply { first, .. } => first >> 10,
        other => panic!("{other:?}"),
    }
}

/// The code and the text of an error reply.
fn error_of(reply: Message) -> (Option<ErrorCode>, String) {
    match reply {
        Message::ErrorReply(error) => (ErrorCode::from_u16(error.code), error.message),
        other => panic!("{other:?}"),
    }
}

/// What a server of another pid in the default cluster would send.
fn sync_message(pid: u16, sequence: u64) -> SyncMessage {
    SyncMessage {
        session: 77,
        sequence,
        ..peer_says(pid.try_into().unwrap())
    }
}

#[test]
fn three_servers_that_name_each_other_agree() {
    let servers = Server::cluster(3, &["--sync-interval", "20ms"]);
    for (asked, server) in servers.iter().enumerate() {
        server.ask(100 * (asked as u32 + 1), 0);
        let least = server.status().sequence;
        wait_until_they_agree(&servers, least);
    }
    for server in &servers {
        let status = wait_for_peers(server, 2);
        assert_eq!((status.peers.len(), status.peers_total), (2, 2));
        let mut pids: Vec<u16> = status.peers.iter().map(|p| p.pid.unwrap().get()).collect();
        pids.push(status.pid.get());
        pids.sort_unstable();
        assert_eq!(pids, [1, 2, 3]);
        // The next identities are greater than all that any of the three has handed out.
        assert!(sequence_of(&server.ask(1, 0)) > 600);
    }
}

/// Two servers, of which the second names the first and asks it this often.
fn named_and_naming(sync_interval: &str) -> (Server, Server) {
    let named = Server::start(&["--pid", "1"]);
    let address = named.address();
    let flags = [
        "--pid",
        "2",
        "--peer",
        &address,
        "--sync-interval",
        sync_interval,
    ];
    let naming = Server::start(&flags);
    (named, naming)
}

#[test]
fn two_servers_agree_when_only_one_names_the_other() {
    let (named, naming) = named_and_naming("20ms");
    naming.ask(50, 0);
    wait_until_they_agree([&named, &naming], 50);
    named.ask(50, 0);
    wait_until_they_agree([&named, &naming], 100);
    // The named server knows the other by its pid; it never dialed.
    let status = wait_for_peers(&named, 1);
    assert_eq!(status.peers[0].pid.map(|pid| pid.get()), Some(2));
    assert_eq!(status.counters.sync_replies, 0);
    assert_eq!(
        *wait_for_peers(&naming, 1).peers[0].address,
        *named.address()
    );
    named.wait_for_log("is up: pid 2");
    naming.wait_for_log(&format!("peer {} is up: pid 1", named.address()));
}

#[test]
fn two_rounds_are_enough_to_agree() {
    // The promise without a clock: after one interval a round has begun, and after one round trip it is over. The first
    // reply that is seen may belong to a round that was already under way.
    let (named, naming) = named_and_naming("200ms");
    wait_for_peers(&naming, 1);
    for round in 1..=3 {
        let highest = sequence_of(&named.ask(1, 0)).max(sequence_of(&naming.ask(20, 0)) + 19);
        let before = naming.status().counters.sync_replies;
        naming.wait_for_status("two rounds", |status| {
            status.counters.sync_replies >= before + 2
        });
        for server in [&named, &naming] {
            assert!(server.status().sequence >= highest, "round {round}");
        }
    }
}

#[test]
fn a_killed_server_is_reported_down_once_and_catches_up_at_once_when_it_is_back() {
    // No ticker matters here: everything happens because a connection opens or closes.
    let mut servers = Server::cluster(3, &["--sync-interval", "1h"]);
    for server in &servers {
        wait_for_peers(server, 2);
    }
    servers[2].kill();
    for server in &servers[..2] {
        let line = server.wait_for_log("(pid 3) is down: ");
        assert!(
            line.contains(&format!("peer {} ", servers[2].address())),
            "the peer is not called by its name: {line}"
        );
        let status = server.wait_for_status("one peer down", |status| {
            status
                .peers
                .iter()
                .any(|peer| peer.state == PeerState::Down)
        });
        assert_eq!(status.peers.len(), 2);
    }
    // The others go on.
    let highest = sequence_of(&servers[0].ask(500, 0)) + 499;
    servers[2].restart();
    let back = servers[2].wait_for_status("what it missed", |status| status.sequence >= highest);
    assert_eq!(back.boot, 2);
    assert!(sequence_of(&servers[2].ask(1, 0)) > highest);
    for server in &servers {
        wait_for_peers(server, 2);
    }
    for server in &servers[..2] {
        let log = server.log();
        server.wait_for_logs("is up: pid 3", 2);
        server.wait_for_logs("(pid 3) is down: ", 1);
        // Before it was up for the first time, the log may say once that it was not there yet.
        let unreached = format!("peer {} is down: cannot connect", servers[2].address());
        assert!(server.count_log(&unreached) <= 1, "{log}");
    }
}

#[test]
fn a_stopped_server_is_reported_down_once_and_up_once_each_time() {
    let mut servers = Server::cluster(2, &["--sync-interval", "20ms"]);
    for _ in 0..3 {
        for server in &servers {
            wait_for_peers(server, 1);
        }
        assert_eq!(servers[1].stop(), 0);
        let waited = servers[0].wait_for_status("a peer down", |status| {
            status.peers.iter().all(|peer| peer.state != PeerState::Up)
        });
        assert_eq!(waited.peers_total, 1);
        servers[1].restart();
        // It is one peer, whether it has dialed, was dialed, or both.
        servers[0].wait_for_status("the peer again", |status| {
            assert_eq!(status.peers_total, 1, "{status:#?}");
            status.peers[0].state == PeerState::Up
        });
    }
    wait_for_peers(&servers[0], 1);
    servers[0].wait_for_logs("is up: pid 2", 4);
    servers[0].wait_for_logs("(pid 2) is down: ", 3);
}

#[test]
fn concurrent_clients_never_receive_an_identity_twice() {
    let servers = Server::cluster(3, &["--sync-interval", "5ms"]);
    let pids: BTreeMap<String, u16> = (1..)
        .zip(&servers)
        .map(|(pid, s)| (s.address(), pid))
        .collect();
    let addresses: Vec<String> = servers.iter().map(Server::address).collect();
    let (clock, history) = (Clock::default(), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for client in 0..6 {
            let (clock, history, pids) = (&clock, &history, &pids);
            let mut order = addresses.clone();
            order.rotate_left(client as usize % 3);
            scope.spawn(move || {
                let mut answers = Vec::new();
                let mut newest = 0;
                for request in 0..200 {
                    // Each connection asks for a while. Then a new client goes on where it ended.
                    let count = 1 + (request * 7 + client) % 50;
                    let fresh = Client::with_options(
                        &order[request as usize % 2..],
                        ClientOptions::one_round(),
                    )
                    .unwrap();
                    if newest > 0 {
                        fresh.observe(Identity::from_u64(newest).unwrap());
                    }
                    for _ in 0..3 {
                        let after = fresh.newest().map_or(0, Identity::get);
                        let begun = clock.tick();
                        let block = fresh.block(count).unwrap();
                        answers.push(Answer {
                            server: pids[&fresh.server().to_string()],
                            life: Some(1),
                            client,
                            begun,
                            ended: clock.tick(),
                            after,
                            first: block.first().get(),
                            count: block.count(),
                        });
                        newest = block.last().get();
                    }
                }
                history.lock().unwrap().extend(answers);
            });
        }
    });
    let summary = check(&history.into_inner().unwrap()).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!((summary.answers, summary.lives), (6 * 200 * 3, 3));
    let highest = servers.iter().map(|server| server.status().sequence).max();
    wait_until_they_agree(&servers, highest.unwrap());
}

#[test]
fn an_absorbed_after_reaches_the_peers_too() {
    let servers = Server::cluster(2, &["--sync-interval", "10ms"]);
    let after = 1_000_000 << 10 | 9;
    assert_eq!(sequence_of(&servers[0].ask(1, after)), 1_000_001);
    wait_until_they_agree(&servers, 1_000_001);
    assert_eq!(sequence_of(&servers[1].ask(1, 0)), 1_000_002);
}

#[test]
fn a_peer_of_another_cluster_is_refused_by_name_and_clients_are_still_served() {
    let blue = Server::start(&["--pid", "1", "--cluster", "blue"]);
    let mut red = Server::start(&["--pid", "2", "--cluster", "red", "--peer", &blue.address()]);
    // The server that refuses logs the peer and the reason. The refused server logs what it was told.
    let line = blue.wait_for_log("refused peer 127.0.0.1:");
    assert!(
        line.contains("cluster \"blue\" refuses one of cluster \"red\""),
        "{line}"
    );
    let line = red.wait_for_log(&format!("peer {} is down: ", blue.address()));
    assert!(
        line.contains("it refuses this server and says: a server of cluster"),
        "{line}"
    );
    let status = red.wait_for_status("a refusal", |status| {
        status.peers[0].state == PeerState::Refused
    });
    assert_eq!(status.peers[0].pid, None);
    assert_eq!(blue.status().peers_total, 0);
    assert_eq!(
        red.ask(5, 0),
        Message::IdentityReply {
            first: 1026,
            count: 5
        }
    );
    assert_eq!(
        blue.ask(1, 0),
        Message::IdentityReply {
            first: 1025,
            count: 1
        }
    );
    blue.wait_for_logs("refused peer", 1);
    red.wait_for_logs("is down", 1);
    // The way out that both lines suggest.
    assert_eq!(red.stop(), 0);
    let port = Port::reserve();
    let flags = ["--pid", "2", "--cluster", "blue", "--peer", &blue.address()];
    let red = Server::start_on(port, &flags);
    wait_for_peers(&red, 1);
}

#[test]
fn a_newcomer_with_the_pid_of_the_peer_that_it_names_is_refused_by_name_and_the_peer_goes_on() {
    let first = Server::start(&["--pid", "1"]);
    assert_eq!(sequence_of(&first.ask(1, 0)), 1);
    let mut second = Server::start(&["--pid", "1", "--peer", &first.address()]);
    let why = "another server with pid 1 is running: start with an unused --pid";
    let line = first.wait_for_log("refused peer 127.0.0.1:");
    assert!(line.contains(why), "{line}");
    let line = second.wait_for_log("NOT STARTED: ");
    assert!(line.contains(why), "{line}");
    assert_eq!(second.wait().code(), Some(1));
    assert_eq!(first.status().standing, Standing::Serving);
    assert_eq!(sequence_of(&first.ask(1, 0)), 2);
}

#[test]
fn a_server_that_names_itself_says_so_once_and_serves() {
    let port = Port::reserve();
    let own = port.address().to_string();
    let flags = ["--pid", "1", "--peer", &own, "--log-level", "debug"];
    let server = Server::start_on(port, &flags);
    server.wait_for_log("--peer names only this server itself: handing out identities");
    server.wait_for_logs(&format!("--peer {own} leads to this server itself"), 1);
    assert_eq!(server.count_log("refused peer"), 0);
    assert_eq!(server.count_log("is down"), 0);
    assert_eq!(sequence_of(&server.ask(1, 0)), 1);
    assert_eq!(server.status().peers_total, 0);
}

#[test]
fn another_version_is_refused_whichever_side_dialed() {
    let server = Server::start(&["--pid", "1"]);
    let mut connection = server.connect();
    let address = connection.stream().local_addr().unwrap();
    std::io::Write::write_all(connection.stream(), &[0, 3, 3, 0, 3]).unwrap();
    let (code, text) = error_of(connection.receive());
    assert_eq!(code, Some(ErrorCode::ForeignVersion));
    assert!(text.contains("version 3"), "{text}");
    assert_eq!(connection.try_receive(), None);
    let line = server.wait_for_log("refused peer");
    assert!(
        line.contains(&format!("refused peer {address}: syncRequest of version 3")),
        "{line}"
    );

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = listener.local_addr().unwrap().to_string();
    let server = Server::start(&["--pid", "1", "--peer", &name]);
    let mut peer = Connection::serving(listener.accept().unwrap().0);
    assert!(matches!(peer.receive(), Message::SyncRequest(_)));
    std::io::Write::write_all(peer.stream(), &[0, 3, 4, 0, 3]).unwrap();
    let line = server.wait_for_log(&format!("peer {name} is down: "));
    assert!(line.contains("syncReply of version 3"), "{line}");
    assert_eq!(peer.try_receive(), None);
    assert_eq!(sequence_of(&server.ask(1, 0)), 1);
}

#[test]
fn a_wrong_peer_that_dials_is_told_why_and_the_log_says_the_same() {
    let server = Server::start(&["--pid", "1"]);
    let mut foreign = sync_message(2, 0);
    foreign.cluster = "else".parse().unwrap();
    for (sync, code) in [
        (foreign, ErrorCode::ForeignCluster),
        (sync_message(1, 0), ErrorCode::SamePid),
    ] {
        let mut connection = server.connect();
        let address = connection.stream().local_addr().unwrap();
        connection.send(&Message::SyncRequest(Box::new(sync)));
        if code == ErrorCode::SamePid {
            // It comes before the error, and says how far the server has come.
            let Some(Message::Objection(objection)) = connection.try_receive_as(Receiver::Dialer)
            else {
                panic!("the server objects");
            };
            assert_eq!(objection.code, ErrorCode::PidConflict.get());
        }
        let (refused, text) = error_of(connection.receive());
        assert_eq!(refused, Some(code));
        assert_eq!(connection.try_receive(), None);
        server.wait_for_log(&format!("refused peer {address}: {text}"));
    }
    assert_eq!(server.status().peers_total, 0);
}

#[test]
fn names_are_looked_up_and_a_name_without_an_address_does_no_harm() {
    let named = Server::start(&["--pid", "1"]);
    let by_name = format!("localhost:{}", named.socket_address().port());
    let nowhere = "no-such-host.invalid:3264";
    let mut naming = Server::start(&[
        "--pid",
        "2",
        "--sync-interval",
        "20ms",
        "--peer",
        nowhere,
        "--peer",
        &by_name,
    ]);
    naming.ask(10, 0);
    wait_until_they_agree([&named, &naming], 10);
    naming.wait_for_log(&format!("peer {by_name} is up: pid 1"));
    let line = naming.wait_for_log(&format!("peer {nowhere} is down: "));
    assert!(line.contains("cannot look up its name"), "{line}");
    let status = naming.status();
    assert_eq!(*status.peers[0].address, *nowhere);
    assert_ne!(status.peers[0].state, PeerState::Up);
    // A lookup that is under way does not hold up the end.
    assert_eq!(naming.stop(), 0);
}

#[test]
fn an_advance_that_is_too_large_is_refused_and_logged_once_and_changes_nothing() {
    let ahead = Server::start(&["--pid", "1", "--max-advance", "10000000"]);
    assert_eq!(sequence_of(&ahead.ask(1, 5_000_000 << 10)), 5_000_001);
    let behind = Server::start(&[
        "--pid",
        "2",
        "--peer",
        &ahead.address(),
        "--sync-interval",
        "5ms",
        "--max-advance",
        "1000",
    ]);
    let line = behind.wait_for_log("not synchronized with peer");
    assert!(line.contains(&ahead.address()), "{line}");
    assert!(line.contains("sequence 5000001 is 5000001 ahead"), "{line}");
    behind.wait_for_status("some rounds", |status| status.counters.sync_replies >= 20);
    assert_eq!(behind.status().sequence, 0);
    assert_eq!(behind.status().counters.absorbed, 0);
    assert_eq!(sequence_of(&behind.ask(1, 0)), 1);
    behind.wait_for_logs("not synchronized", 1);
    // Refusing costs order, but the connection stays open: the peer is still shown as up.
    wait_for_peers(&behind, 1);

    // A peer that asks is answered, and told that its sequence was not taken.
    let mut peer = Connection::dialing(TcpStream::connect(behind.socket_address()).unwrap());
    let mut round = |sequence| {
        peer.send(&Message::SyncRequest(Box::new(sync_message(9, sequence))));
        match peer.receive() {
            Message::SyncReply(reply) => (reply.sequence, reply.told.refused),
            other => panic!("{other:?}"),
        }
    };
    for _ in 0..3 {
        assert_eq!(round(5_000_000), (1, ErrorCode::AdvanceTooLarge.get()));
    }
    behind.wait_for_logs("not synchronized", 2);
    // Within the bound it is taken, on the same connection.
    assert_eq!(round(900), (900, 0));
    // So is a client.
    let (code, _) = error_of(behind.ask(1, 6_000_000 << 10));
    assert_eq!(code, Some(ErrorCode::AdvanceTooLarge));
    let (code, _) = error_of(behind.ask(1, u64::MAX));
    assert_eq!(code, Some(ErrorCode::AdvanceTooLarge));
    assert_eq!(sequence_of(&behind.ask(1, 0)), 901);
}

#[test]
fn a_peer_that_is_paused_is_hung_up_on_once_and_comes_back() {
    let servers = Server::cluster(2, &["--sync-interval", "50ms"]);
    for server in &servers {
        wait_for_peers(server, 1);
    }
    servers[1].signal("STOP");
    let line = servers[0].wait_for_log("(pid 2) is down: ");
    assert!(line.contains("no answer for "), "{line}");
    // Its kernel still accepts connections. They are tried, but not each is logged.
    let highest = sequence_of(&servers[0].ask(300, 0)) + 299;
    servers[0].wait_for_status("another attempt", |status| {
        status.peers[0].state == PeerState::Connected
    });
    servers[0].wait_for_status("the end of it", |status| {
        status.peers[0].state != PeerState::Connected
    });
    servers[0].wait_for_logs("(pid 2) is down", 1);
    servers[0].wait_for_logs("no answer", 1);
    servers[1].signal("CONT");
    wait_until_they_agree(&servers, highest);
    for server in &servers {
        wait_for_peers(server, 1);
    }
    servers[0].wait_for_logs("is up: pid 2", 2);
}

#[test]
fn a_client_goes_on_with_another_server_when_its_own_dies() {
    let mut servers = Server::cluster(2, &["--sync-interval", "10ms"]);
    let addresses: Vec<String> = servers.iter().map(Server::address).collect();
    let options = ClientOptions {
        reply_timeout: Duration::from_secs(10),
        ..ClientOptions::one_round()
    };
    let client = Client::with_options(&addresses, options).unwrap();
    let mut newest = client.block(100).unwrap().last();
    assert_eq!(newest.pid().get(), 1);
    servers[0].kill();
    for _ in 0..10 {
        let block = client.block(100).unwrap();
        assert!(block.first() > newest);
        assert_eq!(block.first().pid().get(), 2);
        newest = block.last();
    }
}

#[test]
fn the_first_log_line_says_when_a_round_asks_only_some_peers() {
    let one = Server::start(&["--pid", "1"]);
    let two = Server::start(&["--pid", "2"]);
    let (one, two) = (one.address(), two.address());
    for (pid, fanout, says) in [("3", "1", true), ("4", "2", false), ("5", "all", false)] {
        let flags = [
            "--pid", pid, "--peer", &one, "--peer", &two, "--fanout", fanout,
        ];
        let asking = Server::start(&flags);
        let line = asking.wait_for_log("listens on");
        assert_eq!(
            line.contains("(1 asked in each round, at random)"),
            says,
            "{line}"
        );
        asking.wait_for_status("both peers", |status| {
            status.peers.iter().all(|peer| peer.state == PeerState::Up)
        });
    }
}
