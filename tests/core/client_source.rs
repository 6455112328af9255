//! A source of identities: order over threads, blocks that follow the demand, what is dropped and when, and refills that
//! fail.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use ipseity_client::{
    ClientError, ClientOptions, First, Hooks, Identity, Source, SourceOptions, Violation,
};
use ipseity_core::words::{ErrorCode, Message};
use ipseity_harness::{
    fake::{Fake, Step},
    nobody::Nobody,
};

/// Long beside anything that these tests wait for.
const LONG: Duration = Duration::from_secs(60);

fn options() -> SourceOptions {
    SourceOptions {
        client: ClientOptions {
            call_timeout: LONG,
            reply_timeout: LONG,
            first: First::Place(0),
            ..ClientOptions::default()
        },
        ..SourceOptions::default()
    }
}

fn source(servers: &[&Fake], options: SourceOptions) -> Source {
    Source::with_options(servers.iter().map(|server| server.address()), options).unwrap()
}

/// The counts of the requests for identities that have come.
fn counts(server: &Fake) -> Vec<u32> {
    let requests = server.requests();
    let counts = requests.iter().filter_map(|request| match request {
        Message::IdentityRequest { count, .. } => Some(*count),
        _ => None,
    });
    counts.collect()
}

fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn threads_get_different_identities_in_strict_order() {
    let server = Fake::serving(1);
    let source = source(&[&server], options());
    // Whoever sees a number of this knows an identity that was returned before its own call.
    let newest = AtomicU64::new(0);
    let all = thread::scope(|scope| {
        let work = || {
            let take = |_| {
                let before = newest.load(Ordering::SeqCst);
                let identity = source.next().unwrap();
                assert!(identity.get() > before);
                newest.fetch_max(identity.get(), Ordering::SeqCst);
                identity
            };
            (0..20_000).map(take).collect::<Vec<Identity>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        let all = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        all.collect::<BTreeSet<Identity>>()
    });
    assert_eq!(all.len(), 80_000);
    assert_eq!(source.newest(), all.last().copied());
    let counters = source.counters();
    assert_eq!(counters.identities, 80_000);
    assert_eq!(
        (counters.connects, counters.failures, counters.dropped),
        (1, 0, 0)
    );
}

#[test]
fn the_next_block_is_taken_when_half_is_left() {
    let server = Fake::serving(1);
    let source = source(&[&server], options());
    for _ in 0..7 {
        source.next().unwrap();
    }
    wait_until(|| source.counters().refills == 1);
    assert_eq!(counts(&server), [16]);
    source.next().unwrap();
    wait_until(|| source.counters().refills == 2);
    for _ in 0..16 {
        source.next().unwrap();
    }
    assert_eq!(source.counters().waits, 1);
}

#[test]
fn a_block_consists_of_requests_that_the_server_takes() {
    let server = Fake::serving(1);
    server.set_count_max(5);
    let told = Arc::new(AtomicU64::new(0));
    let source = source(
        &[&server],
        SourceOptions {
            hooks: Hooks::default().on_refill({
                let told = told.clone();
                move |count| {
                    told.fetch_add(count, Ordering::Relaxed);
                }
            }),
            ..options()
        },
    );
    source.next().unwrap();
    // The first request goes out with the hello, before the answer to that is known.
    assert_eq!(counts(&server), [16, 5, 5, 5, 1]);
    assert_eq!(told.load(Ordering::Relaxed), 16);
    assert_eq!(server.accepted(), 1);
}

#[test]
fn large_demand_makes_large_blocks_and_the_bound_holds() {
    let server = Fake::serving(1);
    let source = source(
        &[&server],
        SourceOptions {
            block_max: 100,
            ..options()
        },
    );
    for _ in 0..2000 {
        source.next().unwrap();
    }
    let counts = counts(&server);
    assert!(counts.iter().all(|count| (16..=100).contains(count)));
    assert_eq!(counts.last(), Some(&100));
}

#[test]
fn what_is_held_is_dropped_when_a_greater_identity_is_observed() {
    let server = Fake::serving(1);
    let source = source(&[&server], options());
    let one = source.next().unwrap();
    source.observe(one);
    assert_eq!(source.next().unwrap(), one.checked_add(1).unwrap());
    let greater = one.checked_add(1000).unwrap();
    source.observe(greater);
    assert_eq!(source.newest(), Some(greater));
    assert!(source.next().unwrap() > greater);
    assert_eq!(source.counters().dropped, 14);
    assert_eq!(source.counters().identities, 3);
}

#[test]
fn what_is_too_old_is_dropped() {
    let server = Fake::serving(1);
    let source = source(
        &[&server],
        SourceOptions {
            block_age_max: Duration::from_millis(20),
            ..options()
        },
    );
    source.next().unwrap();
    wait_until(|| source.counters().dropped == 15);
    let sequence = source.next().unwrap().sequence().get();
    assert!(sequence > 16, "{sequence}");
}

#[test]
fn what_is_held_of_a_pid_is_dropped_when_its_server_says_that_the_pid_is_not_its_own() {
    for code in [ErrorCode::PidConflict, ErrorCode::StaleState] {
        let first = Fake::scripted(1, [Step::Serve, Step::Serve, Step::error(code, "no")]);
        let second = Fake::serving(2);
        second.set_sequence(1000);
        let source = source(&[&first, &second], options());
        for _ in 0..8 {
            assert_eq!(source.next().unwrap().pid().get(), 1);
        }
        wait_until(|| source.counters().dropped == 8);
        assert_eq!(source.next().unwrap().pid().get(), 2);
    }
}

#[test]
fn a_refill_that_fails_is_an_error_for_those_who_wait_and_the_next_call_tries_again() {
    let refused = || Step::error(ErrorCode::AdvanceTooLarge, "too far");
    let server = Fake::scripted(1, [Step::Serve, refused(), Step::Serve, refused()]);
    let options = SourceOptions {
        block_max: 16,
        ..options()
    };
    let source = source(&[&server], options);
    assert!(matches!(source.next(), Err(ClientError::Refused { .. })));
    // The refill when half is left fails too, and nobody is told, because nobody waits for it.
    for _ in 0..8 {
        source.next().unwrap();
    }
    wait_until(|| counts(&server).len() == 3);
    for _ in 0..40 {
        source.next().unwrap();
    }
}

#[test]
fn a_reply_that_breaks_the_protocol_is_told_to_all_who_wait() {
    let wrong = Step::Reply(Message::IdentityReply {
        first: 1025,
        count: 1,
    });
    let server = Fake::scripted(1, [Step::Serve, wrong]);
    let source = source(&[&server], options());
    match source.next() {
        Err(ClientError::Violation { violation, .. }) => {
            let asked = 16;
            let received = 1;
            assert_eq!(violation, Violation::WrongCount { asked, received });
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_that_waits_ends_with_its_time() {
    let silent = Fake::scripted(1, vec![Step::Silence; 100]);
    let mut options = options();
    options.client.call_timeout = Duration::from_millis(50);
    let source = source(&[&silent], options);
    assert!(matches!(source.next(), Err(ClientError::Unavailable(_))));
    let nobody = Nobody::new();
    let source = Source::new([nobody.address()]).unwrap();
    let error = source.next().unwrap_err();
    assert!(error.to_string().contains(&nobody.address()), "{error}");
}

#[test]
fn a_source_that_is_closed_ends_the_call_that_waits_and_all_later_ones() {
    let silent = Fake::scripted(1, vec![Step::Silence; 100]);
    let source = source(&[&silent], options());
    thread::scope(|scope| {
        let call = scope.spawn(|| source.next());
        while silent.requests().is_empty() {
            thread::yield_now();
        }
        source.close();
        assert!(matches!(call.join().unwrap(), Err(ClientError::Closed)));
    });
    assert!(matches!(source.next(), Err(ClientError::Closed)));
}

#[test]
fn what_is_held_at_the_end_is_not_handed_out() {
    let server = Fake::serving(1);
    let source = source(&[&server], options());
    source.next().unwrap();
    source.close();
    assert!(matches!(source.next(), Err(ClientError::Closed)));
    let counters = source.counters();
    assert_eq!((counters.identities, counters.dropped), (1, 15));
}

#[test]
fn a_source_goes_on_with_another_server_when_its_own_is_gone() {
    let first = Fake::serving(1);
    let second = Fake::serving(2);
    second.set_sequence(100_000);
    let source = source(&[&first, &second], options());
    let one = source.next().unwrap();
    drop(first);
    let mut newest = one;
    while newest.pid().get() == 1 {
        let next = source.next().unwrap();
        assert!(next > newest);
        newest = next;
    }
}
