//! Many calls of one client: servers that fail and come back, the time of a whole call, and threads that share it.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ipseity_client::{Client, ClientError, ClientOptions, FailureCause, First, Hooks, Identity};
use ipseity_core::words::ErrorCode;
use ipseity_harness::{
    fake::{Fake, Step},
    nobody::Nobody,
    pki::{Life, Pki},
    silent::Silent,
};

/// A server that is silent costs each of these tests this long.
const SOON: Duration = Duration::from_millis(300);

/// Long beside anything that these tests wait for.
const LONG: Duration = Duration::from_secs(60);

fn options() -> ClientOptions {
    ClientOptions {
        call_timeout: LONG,
        reply_timeout: LONG,
        first: First::Place(0),
        ..ClientOptions::default()
    }
}

fn client(servers: &[&Fake], options: ClientOptions) -> Client {
    Client::with_options(servers.iter().map(|server| server.address()), options).unwrap()
}

fn stopping() -> Step {
    Step::error(ErrorCode::Stopping, "stopping")
}

fn causes(error: ClientError) -> Vec<FailureCause> {
    match error {
        ClientError::Unavailable(failures) => {
            failures.into_iter().map(|failure| failure.cause).collect()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn clients_begin_at_random_servers() {
    let servers = [Fake::serving(1), Fake::serving(2)];
    let both: Vec<String> = servers.iter().map(Fake::address).collect();
    let pids: BTreeSet<u16> = (0..64)
        .map(|_| Client::new(&both).unwrap().next().unwrap().pid().get())
        .collect();
    assert_eq!(pids.len(), 2);
}

#[test]
fn a_silent_server_costs_its_time_once_and_then_is_avoided() {
    let silent = Fake::scripted(1, vec![Step::Silence; 100]);
    let other = Fake::scripted(2, [Step::Serve, Step::Serve, stopping()]);
    let options = ClientOptions {
        reply_timeout: SOON,
        ..options()
    };
    let client = client(&[&silent, &other], options);
    for _ in 0..2 {
        assert_eq!(client.next().unwrap().pid().get(), 2);
    }
    // The other one refuses once. The silent one is still avoided, or tried once more if this machine is slow.
    assert_eq!(client.next().unwrap().pid().get(), 2);
    assert!(silent.accepted() <= 2);
    assert_eq!(client.counters().failures, silent.accepted() as u64 + 1);
}

#[test]
fn a_call_tries_again_until_a_server_is_back() {
    let server = Fake::scripted(1, vec![stopping(); 3]);
    let client = client(&[&server], options());
    assert_eq!(client.next().unwrap().pid().get(), 1);
    assert_eq!(server.requests().len(), 4);
    assert_eq!(client.counters().failures, 3);
}

#[test]
fn a_call_ends_with_its_time_and_names_every_server() {
    let silent = Fake::scripted(1, vec![Step::Silence; 100]);
    let nobody = Nobody::new();
    let options = ClientOptions {
        call_timeout: SOON,
        ..options()
    };
    let servers = [silent.address(), nobody.address(), silent.address()];
    let client = Client::with_options(servers, options).unwrap();
    let causes = causes(client.next().unwrap_err());
    match causes.as_slice() {
        [FailureCause::Timeout(limit), others @ ..] => {
            assert!(*limit <= SOON);
            assert_eq!(others.len(), 2);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_does_not_wait_for_what_waiting_does_not_mend() {
    for code in [
        ErrorCode::Exhausted,
        ErrorCode::TlsRequired,
        ErrorCode::TlsNotOffered,
        ErrorCode::CertificateRefused,
    ] {
        let server = Fake::scripted(1, vec![Step::error(code, "no"); 100]);
        let client = client(&[&server], options());
        assert_eq!(causes(client.next().unwrap_err()).len(), 1);
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_server_that_comes_back_is_used_again() {
    let first = Fake::scripted(1, [stopping()]);
    let second = Fake::scripted(2, [Step::Serve, stopping()]);
    let client = client(&[&first, &second], options());
    let pids: Vec<u16> = (0..3).map(|_| client.next().unwrap().pid().get()).collect();
    assert_eq!(pids, [2, 1, 1]);
}

#[test]
fn a_connection_that_was_idle_for_too_long_is_not_used_again() {
    let server = Fake::serving(1);
    let options = ClientOptions {
        idle_max: Duration::from_millis(1),
        ..options()
    };
    let client = client(&[&server], options);
    client.next().unwrap();
    thread::sleep(Duration::from_millis(5));
    client.next().unwrap();
    assert_eq!(server.accepted(), 2);
    assert_eq!(client.counters().failures, 0);
}

#[test]
fn threads_that_share_a_client_get_different_identities_in_order() {
    let server = Fake::serving(1);
    let client = client(&[&server], options());
    let all = thread::scope(|scope| {
        let work = || {
            let own: Vec<Identity> = (0..200).map(|_| client.next().unwrap()).collect();
            assert!(own.is_sorted_by(|one, next| one < next));
            own
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        let all = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        all.collect::<BTreeSet<Identity>>()
    });
    assert_eq!(all.len(), 800);
    assert_eq!(server.accepted(), 1);
    let counters = client.counters();
    assert_eq!((counters.requests, counters.identities), (800, 800));
}

#[test]
fn who_waits_for_the_turn_of_others_waits_no_longer_than_a_call_may() {
    let silent = Fake::scripted(1, vec![Step::Silence; 100]);
    let options = ClientOptions {
        call_timeout: SOON,
        ..options()
    };
    let client = client(&[&silent], options);
    let untried = thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| client.next())).collect();
        let answers = calls.into_iter().map(|call| call.join().unwrap());
        let causes = answers.flat_map(|answer| causes(answer.unwrap_err()));
        causes
            .filter(|cause| matches!(cause, FailureCause::NotTried))
            .count()
    });
    // One has its turn for the whole time. The turn of another may come with the last of its own.
    assert!(untried >= 1);
    assert!(silent.requests().len() <= 8);
}

#[test]
fn a_client_that_is_closed_ends_the_call_that_waits_and_all_later_ones() {
    let silent = Fake::scripted(1, vec![Step::Silence; 100]);
    let client = client(&[&silent], options());
    thread::scope(|scope| {
        let call = scope.spawn(|| client.next());
        while silent.requests().is_empty() {
            thread::yield_now();
        }
        client.close();
        assert!(matches!(call.join().unwrap(), Err(ClientError::Closed)));
    });
    assert!(matches!(client.next(), Err(ClientError::Closed)));
    assert_eq!(silent.accepted(), 1);
}

#[test]
fn hooks_hear_of_connections_and_of_failures() {
    let first = Fake::scripted(1, [stopping()]);
    let second = Fake::serving(2);
    let connected = Arc::new(AtomicUsize::new(0));
    let failed = Arc::new(AtomicUsize::new(0));
    let hooks = Hooks::default()
        .on_connect({
            let connected = connected.clone();
            move |_| {
                connected.fetch_add(1, Ordering::Relaxed);
            }
        })
        .on_failover({
            let failed = failed.clone();
            move |_, cause| {
                assert!(matches!(cause, FailureCause::Refused(_)));
                failed.fetch_add(1, Ordering::Relaxed);
            }
        });
    let client = client(&[&first, &second], options()).hooks(hooks);
    client.next().unwrap();
    assert_eq!(connected.load(Ordering::Relaxed), 2);
    assert_eq!(failed.load(Ordering::Relaxed), 1);
}

#[test]
fn the_wrong_cluster_is_an_error_of_its_own() {
    let server = Fake::serving(1);
    let client = client(&[&server], options()).cluster("other".parse().unwrap());
    match client.next() {
        Err(ClientError::WrongCluster {
            expected: Some(expected),
            ..
        }) => assert_eq!(expected.as_str(), "other"),
        other => panic!("{other:?}"),
    }
}

/// A server by TLS, and a client of it, which has little time for a call and as much as this to connect.
fn by_tls(connect_timeout: Duration) -> (Fake, Client) {
    let pki = Pki::new("a CA");
    pki.issue("one", &["127.0.0.1"], Life::Now);
    let server = Fake::tls(pki.server("one", false), 1, []);
    let options = ClientOptions {
        connect_timeout,
        call_timeout: SOON,
        ..options()
    };
    let client = client(&[&server], options).tls(pki.dialer(None));
    (server, client)
}

#[test]
fn connecting_outlives_the_call_that_began_it_and_the_next_one_uses_it() {
    let (server, client) = by_tls(LONG);
    let paused = server.pause();
    for _ in 0..3 {
        let causes = causes(client.next().unwrap_err());
        assert!(matches!(causes[..], [FailureCause::NoConnection(limit)] if limit == SOON));
    }
    assert_eq!(client.counters().failures, 0);
    drop(paused);
    // On a busy machine the time of one call is not enough.
    while client.next().is_err() {}
    let counters = client.counters();
    assert_eq!(server.accepted() as u64, counters.connects);
    assert_eq!(counters.connects, counters.failures + 1);
}

#[test]
fn connecting_that_fails_while_no_call_waits_is_told_to_the_next_one() {
    let connect_timeout = 2 * SOON;
    let (server, client) = by_tls(connect_timeout);
    let paused = server.pause();
    client.next().unwrap_err();
    assert_eq!(client.counters().failures, 0);
    while client.counters().failures == 0 {
        thread::sleep(connect_timeout);
        client.next().unwrap_err();
    }
    assert_eq!(client.counters().connects, 0);
    drop(paused);
    while client.next().is_err() {}
}

#[test]
fn a_client_that_is_closed_does_not_wait_for_a_connection() {
    let unreachable = Silent::new();
    // Nobody answers its handshake.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    for server in [
        unreachable.socket_address().to_string(),
        format!("tls://{}", deaf.local_addr().unwrap()),
    ] {
        let options = ClientOptions {
            connect_timeout: LONG,
            ..options()
        };
        let client = Client::with_options([&server], options).unwrap();
        let client = client.tls(Pki::new("a CA").dialer(None));
        let began = Instant::now();
        thread::scope(|scope| {
            let call = scope.spawn(|| client.next());
            thread::sleep(SOON);
            client.close();
            assert!(matches!(call.join().unwrap(), Err(ClientError::Closed)));
        });
        assert!(began.elapsed() < LONG / 2, "{server}");
    }
}
