//! The source.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ipseity_client::{
    ClientError, Hooks, Identity, SourceOptions, Violation,
    tokio::{Client, Source},
};
use ipseity_core::words::{ErrorCode, Message};
use ipseity_harness::{
    fake::{Fake, Step},
    nobody::Nobody,
};
use tokio::{runtime::Runtime, task::JoinSet};

use super::{SOON, addresses, counts, wait_until};

fn options() -> SourceOptions {
    SourceOptions {
        client: super::options(),
        ..SourceOptions::default()
    }
}

fn source(servers: &[&Fake], options: SourceOptions) -> Source {
    Source::with_options(addresses(servers), options).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_get_different_identities_in_strict_order() {
    let server = Fake::serving(1);
    let source = Arc::new(source(&[&server], options()));
    // Whoever sees a number of this knows an identity that was returned before its own call.
    let newest = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (source, newest) = (Arc::clone(&source), Arc::clone(&newest));
        tasks.spawn(async move {
            let mut own = Vec::new();
            for _ in 0..10_000 {
                let before = newest.load(Ordering::SeqCst);
                let identity = source.next().await.unwrap();
                assert!(identity.get() > before);
                newest.fetch_max(identity.get(), Ordering::SeqCst);
                own.push(identity);
            }
            own
        });
    }
    let all: BTreeSet<Identity> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(all.len(), 80_000);
    assert_eq!(source.newest(), all.last().copied());
    let counters = source.counters();
    assert_eq!(counters.identities, 80_000);
    assert_eq!(
        (counters.connects, counters.failures, counters.dropped),
        (1, 0, 0)
    );
}

#[tokio::test]
async fn the_next_block_is_taken_when_half_is_left() {
    let server = Fake::serving(1);
    let source = source(&[&server], options());
    for _ in 0..7 {
        source.next().await.unwrap();
    }
    assert_eq!(counts(&server), [16]);
    source.next().await.unwrap();
    wait_until(|| source.counters().refills == 2).await;
    for _ in 0..16 {
        source.next().await.unwrap();
    }
    assert_eq!(source.counters().waits, 1);
}

#[tokio::test]
async fn a_block_consists_of_requests_that_the_server_takes() {
    let server = Fake::serving(1);
    server.set_count_max(5);
    let told = Arc::new(AtomicU64::new(0));
    let options = SourceOptions {
        hooks: Hooks::default().on_refill({
            let told = told.clone();
            move |count| {
                told.fetch_add(count, Ordering::Relaxed);
            }
        }),
        ..options()
    };
    let source = source(&[&server], options);
    source.next().await.unwrap();
    // The first request goes out with the hello, before the answer to that is known.
    assert_eq!(counts(&server), [16, 5, 5, 5, 1]);
    wait_until(|| told.load(Ordering::Relaxed) == 16).await;
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn large_demand_makes_large_blocks_and_the_bound_holds() {
    let server = Fake::serving(1);
    let options = SourceOptions {
        block_max: 100,
        ..options()
    };
    let source = source(&[&server], options);
    for _ in 0..2000 {
        source.next().await.unwrap();
    }
    let counts = counts(&server);
    assert!(counts.iter().all(|count| (16..=100).contains(count)));
    assert_eq!(counts.last(), Some(&100));
}

#[tokio::test]
async fn what_is_held_is_dropped_when_a_greater_identity_is_observed() {
    let server = Fake::serving(1);
    let source = source(&[&server], options());
    let one = source.next().await.unwrap();
    source.observe(one);
    assert_eq!(source.next().await.unwrap(), one.checked_add(1).unwrap());
    let greater = one.checked_add(1000).unwrap();
    source.observe(greater);
    assert_eq!(source.newest(), Some(greater));
    assert!(source.next().await.unwrap() > greater);
    assert_eq!(source.counters().dropped, 14);
    assert_eq!(source.counters().identities, 3);
}

#[tokio::test]
async fn what_is_too_old_is_dropped() {
    let server = Fake::serving(1);
    let options = SourceOptions {
        block_age_max: Duration::from_millis(20),
        ..options()
    };
    let source = source(&[&server], options);
    source.next().await.unwrap();
    wait_until(|| source.counters().dropped == 15).await;
    let sequence = source.next().await.unwrap().sequence().get();
    assert!(sequence > 16, "{sequence}");
}

#[tokio::test]
async fn what_is_held_of_a_pid_is_dropped_when_its_server_says_that_the_pid_is_not_its_own() {
    for code in [ErrorCode::PidConflict, ErrorCode::StaleState] {
        let first = Fake::scripted(1, [Step::Serve, Step::Serve, Step::error(code, "no")]);
        let second = Fake::serving(2);
        second.set_sequence(1000);
        let source = source(&[&first, &second], options());
        for _ in 0..8 {
            assert_eq!(source.next().await.unwrap().pid().get(), 1);
        }
        wait_until(|| source.counters().dropped == 8).await;
        assert_eq!(source.next().await.unwrap().pid().get(), 2);
    }
}

#[tokio::test]
async fn a_refill_that_fails_is_an_error_for_those_who_wait_and_the_next_call_tries_again() {
    let refused = || Step::error(ErrorCode::AdvanceTooLarge, "too far");
    let server = Fake::scripted(1, [Step::Serve, refused(), Step::Serve, refused()]);
    let options = SourceOptions {
        block_max: 16,
        ..options()
    };
    let source = Arc::new(source(&[&server], options));
    let mut waiting = JoinSet::new();
    for _ in 0..3 {
        let source = Arc::clone(&source);
        waiting.spawn(async move { source.next().await });
    }
    for ended in waiting.join_all().await {
        assert!(matches!(ended, Err(ClientError::Refused { .. })));
    }
    // The refill when half is left fails too, and nobody is told, because nobody waits for it.
    for _ in 0..8 {
        source.next().await.unwrap();
    }
    wait_until(|| counts(&server).len() == 3).await;
    // If its refusal has not come yet, the call that waits next hears of it.
    let mut refused = 0;
    for _ in 0..40 {
        refused += u32::from(source.next().await.is_err());
    }
    assert!(refused <= 1);
}

#[tokio::test]
async fn a_reply_that_breaks_the_protocol_is_told_to_those_who_wait() {
    let wrong = Step::Reply(Message::IdentityReply {
        first: 1025,
        count: 1,
    });
    let server = Fake::scripted(1, [Step::Serve, wrong]);
    let source = source(&[&server], options());
    match source.next().await {
        Err(ClientError::Violation { violation, .. }) => {
            let asked = 16;
            let received = 1;
            assert_eq!(violation, Violation::WrongCount { asked, received });
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_that_waits_ends_with_its_time() {
    let silent = Fake::scripted(1, vec![Step::Silence; 100]);
    let mut options = options();
    options.client.call_timeout = Duration::from_millis(50);
    let source = source(&[&silent], options);
    assert!(matches!(
        source.next().await,
        Err(ClientError::Unavailable(_))
    ));
    let nobody = Nobody::new();
    let source = Source::new([nobody.address()]).unwrap();
    let error = source.next().await.unwrap_err();
    assert!(error.to_string().contains(&nobody.address()), "{error}");
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_it_waits_takes_nothing() {
    let late = Duration::from_millis(50);
    let server = Fake::scripted(1, [Step::Serve, Step::ServeAfter(late)]);
    let source = source(&[&server], options());
    let timed = tokio::time::timeout(late / 10, source.next());
    assert!(timed.await.is_err());
    assert_eq!(source.next().await.unwrap().sequence().get(), 1);
    assert_eq!(source.counters().identities, 1);
}

#[tokio::test]
async fn a_source_that_is_closed_ends_the_call_that_waits_and_all_later_ones() {
    let silent = Fake::scripted(1, vec![Step::Silence; 100]);
    let source = Arc::new(source(&[&silent], options()));
    let call = tokio::spawn({
        let source = Arc::clone(&source);
        async move { source.next().await }
    });
    wait_until(|| !silent.requests().is_empty()).await;
    source.close();
    assert!(matches!(call.await.unwrap(), Err(ClientError::Closed)));
    assert!(matches!(source.next().await, Err(ClientError::Closed)));
}

#[tokio::test]
async fn what_is_held_at_the_end_is_not_handed_out() {
    let server = Fake::serving(1);
    let source = source(&[&server], options());
    source.next().await.unwrap();
    source.close();
    assert!(matches!(source.next().await, Err(ClientError::Closed)));
    let counters = source.counters();
    assert_eq!((counters.identities, counters.dropped), (1, 15));
}

#[tokio::test]
async fn a_source_goes_on_with_another_server_when_its_own_is_gone() {
    let (first, second) = (Fake::serving(1), Fake::serving(2));
    second.set_sequence(100_000);
    let source = source(&[&first, &second], options());
    let mut newest = source.next().await.unwrap();
    drop(first);
    while newest.pid().get() == 1 {
        let next = source.next().await.unwrap();
        assert!(next > newest);
        newest = next;
    }
}

#[test]
fn a_source_outlives_the_runtime_of_its_task() {
    let server = Fake::serving(1);
    let source = source(&[&server], options());
    let mut newest = None;
    for _ in 0..3 {
        Runtime::new().unwrap().block_on(async {
            for _ in 0..100 {
                let next = Some(source.next().await.unwrap());
                assert!(next > newest);
                newest = next;
            }
        });
    }
}

#[test]
fn a_runtime_that_ends_in_the_middle_of_a_refill_leaves_it_to_the_next_one() {
    let server = Fake::scripted(1, [Step::Serve, Step::Serve, Step::Silence]);
    let source = source(&[&server], options());
    let mut newest = None;
    Runtime::new().unwrap().block_on(async {
        for _ in 0..8 {
            newest = Some(source.next().await.unwrap());
        }
        wait_until(|| counts(&server).len() == 2).await;
    });
    Runtime::new().unwrap().block_on(async {
        for _ in 0..100 {
            let next = Some(source.next().await.unwrap());
            assert!(next > newest);
            newest = next;
        }
    });
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_call_goes_on_when_the_runtime_ends_that_refilled_for_it() {
    let server = Fake::scripted(1, [Step::Serve, Step::Silence]);
    let source = Arc::new(source(&[&server], options()));
    let next = || {
        let source = Arc::clone(&source);
        async move { source.next().await }
    };
    let (ends, stays) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let cancelled = ends.spawn(next());
    stays.block_on(wait_until(|| !counts(&server).is_empty()));
    let call = stays.spawn(next());
    stays.block_on(wait_until(|| source.counters().waits == 2));
    drop(ends);
    let one = stays.block_on(call).unwrap().unwrap();
    assert_eq!(one.sequence().get(), 1);
    assert!(stays.block_on(cancelled).unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_task_that_is_aborted_in_the_middle_of_a_refill_leaves_it_to_the_others() {
    let server = Fake::scripted(1, [Step::Serve, Step::ServeAfter(SOON)]);
    let source = Arc::new(source(&[&server], options()));
    let call = || {
        let source = Arc::clone(&source);
        tokio::spawn(async move { source.next().await })
    };
    let aborted = call();
    wait_until(|| !counts(&server).is_empty()).await;
    let (one, other) = (call(), call());
    aborted.abort();
    assert!(aborted.await.unwrap_err().is_cancelled());
    let (one, other) = (one.await.unwrap().unwrap(), other.await.unwrap().unwrap());
    assert_eq!(one.sequence().get() + other.sequence().get(), 3);
    assert_eq!(counts(&server), [16]);
}

#[test]
fn what_a_call_returns_may_cross_threads() {
    fn is_send(_: impl Send) {}
    let client = Client::new(["127.0.0.1:1"]).unwrap();
    let source = Source::new(["127.0.0.1:1"]).unwrap();
    is_send(client.next());
    is_send(client.block(1));
    is_send(source.next());
}
