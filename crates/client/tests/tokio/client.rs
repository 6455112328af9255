//! The client.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ipseity_client::{
    ClientError, ClientOptions, FailureCause, Hooks, Identity, Rounds, Violation,
    limits::CLIENT_IN_FLIGHT_MAX, tokio::Client,
};
use ipseity_core::words::{ErrorCode, ErrorReply, Message};
use ipseity_harness::{
    fake::{Fake, Step},
    nobody::Nobody,
    pki::{Life, Pki},
    silent::Silent,
};
use tokio::{
    runtime::Runtime,
    task::{JoinHandle, JoinSet},
};

use super::{LONG, SOON, addresses, causes, identity, options, stopping, wait_until};

fn client(servers: &[&Fake], options: ClientOptions) -> Client {
    Client::with_options(addresses(servers), options).unwrap()
}

/// So many calls at once.
fn calls(client: &Arc<Client>, count: usize) -> JoinSet<Result<Identity, ClientError>> {
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let client = Arc::clone(client);
        calls.spawn(async move { client.next().await });
    }
    calls
}

fn call(client: &Arc<Client>) -> JoinHandle<Result<Identity, ClientError>> {
    let client = Arc::clone(client);
    tokio::spawn(async move { client.next().await })
}

fn reply(first: u64, count: u32) -> Step {
    Step::Reply(Message::IdentityReply { first, count })
}

#[tokio::test]
async fn one_connection_serves_all_calls_and_each_request_carries_the_newest() {
    let server = Fake::serving(1);
    let client = client(&[&server], options());
    assert_eq!((server.accepted(), client.newest()), (0, None));
    assert_eq!(client.next().await.unwrap(), identity(1, 1));
    assert_eq!(client.block(3).await.unwrap().last(), identity(4, 1));
    client.observe(identity(100, 7));
    client.observe(identity(50, 7));
    assert_eq!(client.next().await.unwrap(), identity(101, 1));
    assert_eq!(client.newest(), Some(identity(101, 1)));
    let request = |count, after: Option<Identity>| Message::IdentityRequest {
        count,
        after: after.map_or(0, Identity::get),
    };
    assert_eq!(
        server.requests(),
        [
            request(1, None),
            request(3, Some(identity(1, 1))),
            request(1, Some(identity(100, 7)))
        ]
    );
    let counters = client.counters();
    assert_eq!((counters.requests, counters.identities), (3, 5));
    assert_eq!((counters.connects, counters.failures), (1, 0));
    assert_eq!(server.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_once_share_a_connection_and_get_different_identities() {
    let server = Fake::serving(1);
    let client = Arc::new(client(&[&server], options()));
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        let client = Arc::clone(&client);
        workers.spawn(async move {
            let mut own = Vec::new();
            for _ in 0..200 {
                own.push(client.next().await.unwrap());
            }
            assert!(own.is_sorted_by(|one, next| one < next));
            own
        });
    }
    let all: BTreeSet<Identity> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(all.len(), 1600);
    assert_eq!(server.accepted(), 1);
    assert_eq!(client.counters().requests, 1600);
}

#[tokio::test]
async fn many_calls_are_under_way_at_once() {
    // It answers none before it has been asked by two connections, so one after the other would never end.
    let barrier = Arc::new(Barrier::new(2));
    let together = || Step::ServeTogether(Arc::clone(&barrier));
    let (one, other) = (
        Fake::scripted(1, [together()]),
        Fake::scripted(2, [together()]),
    );
    let (first, second) = (client(&[&one], options()), client(&[&other], options()));
    let (first, second) = tokio::join!(first.next(), second.next());
    assert_eq!(first.unwrap().pid().get() + second.unwrap().pid().get(), 3);

    // On one connection the requests of all come before the first reply is there.
    let server = Fake::scripted(1, [Step::ServeAfter(SOON)]);
    let client = Arc::new(client(&[&server], options()));
    let calls = calls(&client, 3 * CLIENT_IN_FLIGHT_MAX);
    wait_until(|| client.counters().requests > 0).await;
    assert_eq!(calls.join_all().await.len(), 3 * CLIENT_IN_FLIGHT_MAX);
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_a_connection_may_have() {
    let silent = Fake::scripted(1, vec![Step::Silence; 2 * CLIENT_IN_FLIGHT_MAX]);
    let client = Arc::new(client(&[&silent], options()));
    let calls = calls(&client, CLIENT_IN_FLIGHT_MAX + 100);
    let most = CLIENT_IN_FLIGHT_MAX as u64;
    wait_until(|| client.counters().requests == most).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(client.counters().requests, most);
    client.close();
    for ended in calls.join_all().await {
        assert!(matches!(ended, Err(ClientError::Closed)));
    }
}

#[tokio::test]
async fn a_cancelled_call_shifts_nothing() {
    let server = Fake::scripted(1, [Step::Serve, Step::ServeAfter(SOON)]);
    let client = Arc::new(client(&[&server], options()));
    client.next().await.unwrap();
    let cancelled = client.block(3);
    // Its request is written, and its reply is late.
    let timed = tokio::time::timeout(SOON / 10, cancelled);
    assert!(timed.await.is_err());
    let (next, block) = tokio::join!(client.next(), client.block(2));
    assert_eq!(next.unwrap(), identity(5, 1));
    assert_eq!(block.unwrap().count(), 2);
    assert_eq!((server.accepted(), server.requests().len()), (1, 4));
    assert_eq!(client.counters().identities, 4);
}

#[tokio::test]
async fn calls_that_are_cancelled_at_any_moment_shift_nothing() {
    let server = Fake::serving(1);
    let client = Arc::new(client(&[&server], options()));
    let mut newest = None;
    for round in 0..100u64 {
        let cancelled: Vec<_> = (0..5).map(|_| call(&client)).collect();
        if round % 3 == 0 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_micros(round * 5)).await;
        cancelled.iter().for_each(JoinHandle::abort);
        // A reply of the wrong count would be that of another call.
        let block = client.block(7).await.unwrap();
        assert!(Some(block.first()) > newest);
        newest = Some(block.last());
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_it_connects_leaves_the_others_alone() {
    let silent = Silent::new();
    let server = Fake::serving(1);
    let options = ClientOptions {
        connect_timeout: SOON,
        ..options()
    };
    let servers = [silent.socket_address().to_string(), server.address()];
    let client = Arc::new(Client::with_options(servers, options).unwrap());
    let cancelled = call(&client);
    let others = calls(&client, 3);
    tokio::time::sleep(SOON / 10).await;
    cancelled.abort();
    for identity in others.join_all().await {
        assert_eq!(identity.unwrap().pid().get(), 1);
    }
    assert_eq!(server.accepted(), 1);
}

/// A client of a server that cannot be reached, with little time for a call and much to connect. A call of it has ended, and
/// connecting goes on.
async fn connecting(silent: &Silent) -> Client {
    let options = ClientOptions {
        connect_timeout: LONG,
        call_timeout: SOON,
        ..options()
    };
    let client = Client::with_options([silent.socket_address().to_string()], options).unwrap();
    let causes = causes(client.next().await.unwrap_err());
    assert!(matches!(causes[..], [FailureCause::NoConnection(limit)] if limit == SOON));
    let counters = client.counters();
    assert_eq!((counters.connects, counters.failures), (0, 0));
    client
}

#[tokio::test]
async fn connecting_outlives_the_call_that_began_it() {
    let silent = Silent::new();
    let client = connecting(&silent).await;
    silent.accept_again();
    wait_until(|| client.counters().connects == 1).await;
    assert_eq!(client.counters().failures, 0);
}

#[tokio::test]
async fn connecting_ends_with_the_client() {
    let silent = Silent::new();
    drop(connecting(&silent).await);
    let metrics = tokio::runtime::Handle::current().metrics();
    wait_until(|| metrics.num_alive_tasks() == 0).await;
}

#[test]
fn a_client_outlives_a_runtime_that_ends_while_it_connects() {
    let silent = Silent::new();
    let client = Runtime::new().unwrap().block_on(connecting(&silent));
    silent.accept_again();
    // What was under way has ended with its runtime, and keeps nobody from connecting again.
    Runtime::new().unwrap().block_on(async {
        while client.counters().connects == 0 {
            client.next().await.unwrap_err();
        }
    });
}

#[tokio::test]
async fn identities_increase_across_failover_to_a_server_that_is_behind() {
    let (ahead, behind) = (Fake::serving(1), Fake::serving(2));
    ahead.set_sequence(1000);
    let client = client(&[&ahead, &behind], options());
    assert_eq!(client.next().await.unwrap(), identity(1001, 1));
    assert_eq!(client.server().to_string(), ahead.address());
    drop(ahead);
    assert_eq!(client.next().await.unwrap(), identity(1002, 2));
    assert_eq!(client.server().to_string(), behind.address());
    client.next().await.unwrap();
    assert_eq!(behind.accepted(), 1);
}

#[tokio::test]
async fn a_silent_server_costs_its_time_once_for_all_calls_and_then_is_avoided() {
    let silent = Fake::scripted(1, vec![Step::Silence; 100]);
    let other = Fake::serving(2);
    let options = ClientOptions {
        reply_timeout: SOON,
        ..options()
    };
    let client = Arc::new(client(&[&silent, &other], options));
    for identity in calls(&client, 10).join_all().await {
        assert_eq!(identity.unwrap().pid().get(), 2);
    }
    assert_eq!(client.next().await.unwrap().pid().get(), 2);
    assert_eq!((silent.accepted(), other.accepted()), (1, 1));
    assert_eq!(client.counters().failures, 1);
}

#[tokio::test]
async fn a_server_that_cannot_serve_now_is_left() {
    for code in [
        ErrorCode::TooManyConnections,
        ErrorCode::Storage,
        ErrorCode::Stopping,
        ErrorCode::PidConflict,
        ErrorCode::StaleState,
        ErrorCode::OverBudget,
        ErrorCode::Joining,
        ErrorCode::Exhausted,
    ] {
        let poor = Fake::scripted(1, [Step::error(code, "not now")]);
        let server = Fake::serving(2);
        let client = client(&[&poor, &server], options());
        assert_eq!(client.next().await.unwrap(), identity(1, 2), "{code}");
        assert_eq!(client.server().to_string(), server.address());
        assert_eq!(client.counters().failures, 1);
    }
}

#[tokio::test]
async fn an_error_that_every_server_would_give_ends_the_call_and_not_the_connection() {
    let unknown = ErrorReply {
        code: 63,
        message: "later".to_owned(),
    };
    let unknown = Step::Reply(Message::ErrorReply(Box::new(unknown)));
    for step in [
        Step::error(ErrorCode::BadCount, "no"),
        Step::error(ErrorCode::AdvanceTooLarge, "no"),
        unknown,
    ] {
        let (server, other) = (Fake::scripted(1, [step]), Fake::serving(2));
        let client = client(&[&server, &other], options());
        assert!(matches!(
            client.next().await,
            Err(ClientError::Refused { .. })
        ));
        assert_eq!(client.next().await.unwrap().pid().get(), 1);
        assert_eq!((server.accepted(), other.accepted()), (1, 0));
    }
}

#[tokio::test]
async fn a_call_tries_again_until_a_server_is_back() {
    let server = Fake::scripted(1, vec![stopping(); 3]);
    let client = client(&[&server], options());
    assert_eq!(client.next().await.unwrap().pid().get(), 1);
    assert_eq!(server.requests().len(), 4);
    assert_eq!(client.counters().failures, 3);
}

#[tokio::test]
async fn a_call_does_not_wait_for_what_waiting_does_not_mend() {
    for code in [ErrorCode::Exhausted, ErrorCode::TlsRequired] {
        let server = Fake::scripted(1, vec![Step::error(code, "no"); 100]);
        let client = client(&[&server], options());
        assert_eq!(causes(client.next().await.unwrap_err()).len(), 1);
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_call_ends_with_its_time_and_names_every_server() {
    let silent = Fake::scripted(1, vec![Step::Silence; 100]);
    let nobody = Nobody::new();
    let options = ClientOptions {
        call_timeout: SOON,
        ..options()
    };
    let servers = [silent.address(), nobody.address(), silent.address()];
    let client = Arc::new(Client::with_options(servers, options).unwrap());
    for ended in calls(&client, 3).join_all().await {
        let causes = causes(ended.unwrap_err());
        assert!(matches!(causes[0], FailureCause::Timeout(limit) if limit <= SOON));
        assert_eq!(causes.len(), 3);
    }
}

#[tokio::test]
async fn all_calls_that_wait_while_others_connect_hear_why_it_failed() {
    let (one, other) = (Nobody::new(), Nobody::new());
    let options = ClientOptions {
        rounds: Rounds::One,
        ..options()
    };
    let client = Client::with_options([one.address(), other.address()], options).unwrap();
    let client = Arc::new(client);
    for ended in calls(&client, 20).join_all().await {
        for cause in causes(ended.unwrap_err()) {
            assert!(matches!(cause, FailureCause::Connect(_)), "{cause}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_was_idle_is_made_again() {
    let server = Fake::scripted(1, [Step::ServeAndClose, Step::ServeAndClose]);
    let client = client(&[&server], options());
    for sequence in 1..4 {
        assert_eq!(client.next().await.unwrap(), identity(sequence, 1));
    }
    assert_eq!(server.accepted(), 3);
    assert_eq!(client.counters().failures, 0);
}

#[tokio::test]
async fn a_server_that_closes_without_a_reply_has_failed() {
    let closing = Fake::scripted(1, vec![Step::Last(Vec::new()); 5]);
    let server = Fake::serving(2);
    let client = client(&[&closing, &server], options());
    assert_eq!(client.next().await.unwrap().pid().get(), 2);
    assert_eq!((closing.accepted(), client.counters().failures), (1, 1));
}

#[tokio::test]
async fn a_connection_that_was_idle_for_too_long_is_closed() {
    let server = Fake::serving(1);
    let options = ClientOptions {
        idle_max: Duration::from_millis(1),
        ..options()
    };
    let client = client(&[&server], options);
    client.next().await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    client.next().await.unwrap();
    assert_eq!(server.accepted(), 2);
    assert_eq!(client.counters().failures, 0);
}

#[tokio::test]
async fn a_reply_that_breaks_the_protocol_ends_the_call_and_the_connection() {
    let server = Fake::scripted(1, [reply(1025, 2)]);
    let other = Fake::serving(2);
    let client = client(&[&server, &other], options());
    match client.next().await {
        Err(ClientError::Violation { violation, .. }) => assert_eq!(
            violation,
            Violation::WrongCount {
                asked: 1,
                received: 2
            }
        ),
        other => panic!("{other:?}"),
    }
    client.next().await.unwrap();
    assert_eq!((server.accepted(), other.accepted()), (2, 0));
}

#[tokio::test]
async fn what_nothing_had_asked_for_is_told_to_the_next_call() {
    let mut bytes = Vec::new();
    for first in [1025, 2049] {
        let reply = Message::IdentityReply { first, count: 1 };
        ipseity_frames::encode(&reply, &mut bytes);
    }
    let server = Fake::scripted(1, [Step::Bytes(bytes)]);
    let client = client(&[&server], options());
    client.next().await.unwrap();
    match client.next().await {
        Err(ClientError::Violation { violation, .. }) => {
            assert_eq!(violation, Violation::Unasked { bytes: 15 });
        }
        other => panic!("{other:?}"),
    }
    client.next().await.unwrap();
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn the_wrong_cluster_is_an_error_of_its_own_for_all_calls() {
    let server = Fake::serving(1);
    let client = client(&[&server], options()).cluster("other".parse().unwrap());
    let client = Arc::new(client);
    for ended in calls(&client, 3).join_all().await {
        assert!(matches!(ended, Err(ClientError::WrongCluster { .. })));
    }
    // A server of its own: the requests from above may still be on their way to the other one.
    let server = Fake::serving(1);
    let right = Client::new(addresses(&[&server])).unwrap();
    let right = right.cluster("ipseity".parse().unwrap());
    right.next().await.unwrap();
    assert!(matches!(
        server.requests()[..],
        [
            ..,
            Message::HelloRequest(_),
            Message::IdentityRequest { .. }
        ]
    ));
}

#[tokio::test]
async fn a_client_that_is_closed_ends_the_calls_that_wait_and_all_later_ones() {
    let silent = Fake::scripted(1, vec![Step::Silence; 100]);
    let client = Arc::new(client(&[&silent], options()));
    let calls = calls(&client, 5);
    wait_until(|| silent.requests().len() == 5).await;
    client.close();
    for ended in calls.join_all().await {
        assert!(matches!(ended, Err(ClientError::Closed)));
    }
    assert!(matches!(client.next().await, Err(ClientError::Closed)));
    assert_eq!(silent.accepted(), 1);
}

#[tokio::test]
async fn a_client_that_is_dropped_closes_its_connection() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new([listener.local_addr().unwrap().to_string()]).unwrap();
    let end = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut said = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut said).unwrap();
        said
    });
    let timed = tokio::time::timeout(SOON, client.next());
    assert!(timed.await.is_err());
    drop(client);
    // Between the two the owner of the connection has its turn.
    let end = tokio::task::spawn_blocking(|| end.join().unwrap());
    assert_eq!(end.await.unwrap(), [0, 1, 1]);
}

#[tokio::test]
async fn hooks_hear_of_connections_and_of_failures() {
    let (first, second) = (Fake::scripted(1, [stopping()]), Fake::serving(2));
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
    client.next().await.unwrap();
    assert_eq!(connected.load(Ordering::Relaxed), 2);
    assert_eq!(failed.load(Ordering::Relaxed), 1);
}

#[test]
fn a_time_of_zero_is_an_error() {
    for set in [
        |options: &mut ClientOptions| options.connect_timeout = Duration::ZERO,
        |options: &mut ClientOptions| options.reply_timeout = Duration::ZERO,
        |options: &mut ClientOptions| options.call_timeout = Duration::ZERO,
        |options: &mut ClientOptions| options.idle_max = Duration::ZERO,
    ] {
        let mut options = options();
        set(&mut options);
        assert!(matches!(
            Client::with_options(["a"], options),
            Err(ClientError::NoTime(_))
        ));
        assert!(matches!(
            ipseity_client::Client::with_options(["a"], options),
            Err(ClientError::NoTime(_))
        ));
    }
}

#[test]
fn a_client_outlives_the_runtime_of_its_connection() {
    let server = Fake::serving(1);
    let client = client(&[&server], options());
    for sequence in 1..4 {
        let identity = Runtime::new().unwrap().block_on(client.next()).unwrap();
        assert_eq!(identity.sequence().get(), sequence);
    }
    assert_eq!(server.accepted(), 3);
    assert_eq!(client.counters().failures, 0);
}

#[tokio::test]
async fn all_works_by_tls_too() {
    let pki = Pki::new("Example CA");
    pki.issue("one", &["127.0.0.1"], Life::Now);
    pki.issue("alice", &["alice"], Life::Now);
    let server = Fake::tls(pki.server("one", true), 1, []);
    let client = Arc::new(client(&[&server], options()).tls(pki.dialer(Some("alice"))));
    // More than fits into one record of TLS, in both directions.
    for identity in calls(&client, 3000).join_all().await {
        identity.unwrap();
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_tls_is_said() {
    let pki = Pki::new("Example CA");
    pki.issue("one", &["127.0.0.1"], Life::Now);
    pki.issue("old", &["127.0.0.1"], Life::Expired);
    pki.issue("named", &["ids.example"], Life::Now);
    let stranger = Pki::new("Other CA");
    stranger.issue("one", &["127.0.0.1"], Life::Now);
    let plain = Fake::serving(1);
    let good = Fake::tls(pki.server("one", false), 1, []);
    let wants = Fake::tls(pki.server("one", true), 1, []);
    let old = Fake::tls(pki.server("old", false), 1, []);
    let named = Fake::tls(pki.server("named", false), 1, []);
    let strange = Fake::tls(stranger.server("one", false), 1, []);
    for (address, expected) in [
        (old.address(), "expired"),
        (
            named.address(),
            "is not for 127.0.0.1: it is for ids.example",
        ),
        (strange.address(), "Other CA"),
        (wants.address(), "it wants a certificate"),
        (good.place(), "it speaks TLS there"),
        (format!("tls://{}", plain.place()), "TLS"),
    ] {
        let options = ClientOptions {
            rounds: Rounds::One,
            connect_timeout: LONG,
            ..options()
        };
        // A server without TLS may wait for more of a frame.
        let options = match address.ends_with(&plain.place()) {
            true => ClientOptions {
                connect_timeout: SOON,
                ..options
            },
            false => options,
        };
        let client = Client::with_options([address], options).unwrap();
        let client = client.tls(pki.dialer(None));
        let error = client.next().await.unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    let without = client(&[&good], options());
    let error = without.next().await.unwrap_err();
    assert!(error.to_string().contains("no CA is given"), "{error}");
}
