//! A server whose places are all taken: who still gets in, who makes room, and how many places one address may have.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Command,
};

use ipseity_core::words::{ErrorCode, Message};
use ipseity_harness::{
    hosts::cage,
    program::{Run, run},
    server::{Connection, PATIENCE, Server, eventually},
};

const ONE: Message = Message::IdentityRequest { count: 1, after: 0 };

fn cli(server: &Server, arguments: &[&str]) -> Run {
    let address = server.address();
    run(&[arguments, &["--server", &address]].concat())
}

/// Clients that have been served.
fn served(server: &Server, count: usize) -> Vec<Connection> {
    (0..count)
        .map(|_| {
            let mut client = server.connect();
            assert_served(&mut client);
            client
        })
        .collect()
}

fn assert_served(client: &mut Connection) {
    client.send(&ONE);
    match client.receive() {
        Message::IdentityReply { count: 1, .. } => {}
        other => panic!("{other:?}"),
    }
}

/// The text of the error with which a connection is refused.
fn refusal(client: &mut Connection) -> String {
    match client.receive() {
        Message::ErrorReply(error) => {
            assert_eq!(error.code, ErrorCode::TooManyConnections.get());
            error.message
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_operator_looks_and_operates_while_all_places_are_taken() {
    const PLACES: usize = 20;
    let server = Server::start(&["--pid", "1", "--max-connections", "20"]);
    let mut clients = served(&server, PLACES);
    let shown = cli(&server, &["status"]).good();
    assert!(shown.contains("of at most 20"), "{shown}");
    cli(&server, &["status", "--json"]).good();
    cli(&server, &["members"]).good();
    assert_eq!(
        cli(&server, &["advance", "--above", "5000"]).good(),
        "5000\n"
    );
    // But only clients that have a place get identities.
    let refused = cli(&server, &["next"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("--max-connections"), "{refused:?}");
    clients.iter_mut().for_each(assert_served);
    let line = server.wait_for_log("no place for clients is left (of 20)");
    assert!(
        line.contains("most connections come from 127.0.0.1 (2"),
        "{line}"
    );
    assert_eq!(server.count_log("no place for clients is left"), 1);
}

#[test]
fn the_client_that_is_idle_longest_makes_room_unless_its_request_has_arrived() {
    let flags = [
        "--pid",
        "1",
        "--max-connections",
        "3",
        "--when-full",
        "close-idle",
    ];
    let server = Server::start(&flags);
    let mut clients = served(&server, 3);
    // Until one of them has been idle for long enough, a new one is refused.
    let mut next = None;
    assert!(eventually(|| {
        let mut client = server.connect();
        client.send(&ONE);
        let is_served = matches!(client.try_receive(), Some(Message::IdentityReply { .. }));
        next = is_served.then_some(client);
        is_served
    }));
    assert!(clients[0].try_receive().is_none(), "it was idle longest");
    // The second one asks while the server is paused, after another one has connected.
    server.signal("STOP");
    let mut late = server.connect();
    clients[1].send(&ONE);
    server.signal("CONT");
    assert!(matches!(
        clients[1].receive(),
        Message::IdentityReply { .. }
    ));
    assert!(clients[2].try_receive().is_none(), "it is the next one");
    assert_served(&mut late);
    late.send(&Message::StatusRequest);
    match late.receive() {
        Message::StatusReply(status) => assert_eq!(status.bounds.closed_idle, 2),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_address_has_no_more_connections_than_it_may_have() {
    cage::run(
        "full::one_address_has_no_more_connections_than_it_may_have",
        || {
            let ip = |arguments: &[&str]| Command::new("ip").args(arguments).status();
            let is_there = |result: std::io::Result<std::process::ExitStatus>| {
                result.is_ok_and(|status| status.success())
            };
            if !is_there(ip(&["link", "set", "lo", "up"]))
                || !is_there(ip(&["address", "add", "10.9.8.7/32", "dev", "lo"]))
            {
                eprintln!("SKIPPED: no address can be added here");
                return;
            }
            let flags = [
                "--ephemeral",
                "--pid",
                "1",
                "--max-connections-per-address",
                "2",
            ];
            // There the clients' addresses are IPv6 addresses that stand for IPv4 ones.
            let server = Server::start_with(&["--listen", "[::]:0"], &flags);
            let port = server.socket_address().port();
            let from = |host: [u8; 4]| {
                let stream = TcpStream::connect(SocketAddr::from((host, port))).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                Connection::new(stream)
            };
            let mut holders: Vec<Connection> = (0..2).map(|_| from([10, 9, 8, 7])).collect();
            holders.iter_mut().for_each(assert_served);
            for _ in 0..3 {
                let mut refused = from([10, 9, 8, 7]);
                let text = refusal(&mut refused);
                assert!(
                    text.contains("takes 2 connections from one address"),
                    "{text}"
                );
                assert_eq!(refused.stream().read(&mut [0]).unwrap(), 0, "it is closed");
            }
            // This machine's own connections are not limited.
            let mut own: Vec<Connection> = (0..5).map(|_| from([127, 0, 0, 1])).collect();
            own.iter_mut().for_each(assert_served);
            own[0].send(&Message::StatusRequest);
            match own[0].receive() {
                Message::StatusReply(status) => assert_eq!(status.bounds.refused_for_address, 3),
                other => panic!("{other:?}"),
            }
            let line = server.wait_for_log("10.9.8.7 has 2 connections, and more are refused");
            assert!(line.contains("--max-connections-per-address"), "{line}");
            assert_eq!(server.count_log("and more are refused"), 1);
            // Whoever closes one may open another.
            holders.pop();
            assert!(eventually(|| {
                let mut next = from([10, 9, 8, 7]);
                let _ = next.stream().write_all(&[0, 1, 1]);
                matches!(next.try_receive(), Some(Message::IdentityReply { .. }))
            }));
        },
    );
}
