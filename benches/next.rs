//! How much one `next` costs in memory, without a network: through a plain call, a mutex, an atomic, a channel to
//! another thread, and the real mailbox and actor. Where threads can share the counter, with 1 to 8 threads.
//!
//! ```text
//! cargo bench --bench next                    all of them
//! cargo bench --bench next -- 'channel|mutex'  only these
//! ```
//!
//! A time is the wall time divided by all calls of all threads. If threads do not get in each other's way, it goes
//! down with their number, as long as there are enough processors. If they do, it does not go down.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a panic is the report, and a benchmark has to read the clock"
)]

use std::{
    hint::black_box,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Sender, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ipseity::mailbox::{Entry, Mailbox};
use ipseity_core::{
    actor::{Actor, Effect, Event, Outbox},
    identity::Identity,
    ids::{ConnectionId, Count},
};

/// How many threads call at the same time.
const THREADS: [usize; 4] = [1, 2, 4, 8];

/// The capacity of the bounded channel, as in the essay.
const CHANNEL_ENTRIES_MAX: usize = 1024;

/// How many requests are in the mailbox when they are handled: one, and as many as in a busy server.
const BATCHES: [usize; 2] = [1, 64];

/// A request whose fields the compiler does not know, as if it had come over a network.
fn request() -> Event {
    Event::IdentityRequest {
        from: ConnectionId::from_u32(black_box(0)),
        count: Count::saturating(black_box(1)),
        after: black_box(0),
    }
}

/// The moment at which all events of this page are handled.
const NOW: ipseity_core::time::Instant = ipseity_core::time::Instant::START;

/// An actor, and the buffer for its effects.
struct Owner {
    actor: Actor,
    answers: Answers,
}

/// Takes the identities at once, as the real server does.
#[derive(Default)]
struct Answers {
    newest: u64,
    /// The other effects. There are none here, so this stays empty.
    others: Vec<Effect>,
}

impl Outbox for Answers {
    fn reply_identities(&mut self, _to: ConnectionId, first: Identity, _count: u32) {
        self.newest = first.get();
    }

    fn list(&mut self) -> &mut Vec<Effect> {
        &mut self.others
    }
}

impl Owner {
    fn new() -> Owner {
        Owner {
            actor: ipseity_baselines::actor(),
            answers: Answers::default(),
        }
    }

    fn handle(&mut self, event: Event) -> u64 {
        self.actor.handle(event, NOW, &mut self.answers);
        self.answers.newest
    }
}

/// One thread owns the counter.
fn alone(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("alone");
    group.throughput(Throughput::Elements(1));
    group.bench_function("plain call", |bencher| {
        let mut counter = 0_u64;
        bencher.iter(|| {
            counter = black_box(counter) + 1;
            counter
        });
    });
    group.bench_function("actor", |bencher| {
        let mut owner = Owner::new();
        bencher.iter(|| owner.handle(request()));
    });
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch as u64));
        let id = BenchmarkId::new("mailbox and actor", batch);
        group.bench_function(id, |bencher| {
            let mut owner = Owner::new();
            let mut mailbox = Mailbox::new();
            bencher.iter(|| {
                for _ in 0..batch {
                    mailbox.dispatch(Entry::Event(request()));
                }
                while let Some(Entry::Event(event)) = mailbox.take() {
                    black_box(owner.handle(event));
                }
            });
        });
    }
    group.finish();
}

/// Several threads share the counter.
fn shared(criterion: &mut Criterion) {
    for threads in THREADS {
        let mut group = criterion.benchmark_group(format!("{threads} threads"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("atomic", |bencher| {
            let counter = AtomicU64::new(0);
            let next = || counter.fetch_add(1, Ordering::Relaxed);
            bencher.iter_custom(|calls| by(threads, calls, || next));
        });
        group.bench_function("mutex", |bencher| {
            let counter = Mutex::new(0_u64);
            let next = || {
                let mut counter = counter.lock().unwrap();
                *counter += 1;
                *counter
            };
            bencher.iter_custom(|calls| by(threads, calls, || next));
        });
        group.bench_function("mutex around the actor", |bencher| {
            let owner = Mutex::new(Owner::new());
            let next = || owner.lock().unwrap().handle(request());
            bencher.iter_custom(|calls| by(threads, calls, || next));
        });
        group.bench_function("channel to the actor", |bencher| {
            let mailbox = channel();
            bencher.iter_custom(|calls| by(threads, calls, || asking(&mailbox)));
        });
        group.finish();
    }
}

/// A thread that owns the actor, behind a bounded channel. It ends when nobody can ask any more.
fn channel() -> SyncSender<Sender<u64>> {
    let (sender, mailbox) = mpsc::sync_channel::<Sender<u64>>(CHANNEL_ENTRIES_MAX);
    thread::spawn(move || {
        let mut owner = Owner::new();
        for reply in mailbox {
            // The thread that asks waits for the answer.
            reply.send(owner.handle(request())).unwrap();
        }
    });
    sender
}

/// A caller that asks through the channel and waits for its own answer.
fn asking(mailbox: &SyncSender<Sender<u64>>) -> impl FnMut() -> u64 + use<> {
    let mailbox = mailbox.clone();
    let (sender, answers) = mpsc::channel();
    move || {
        mailbox.send(sender.clone()).unwrap();
        answers.recv().unwrap()
    }
}

/// The time that this many calls take on this many threads that begin together, each with its own caller.
fn by<F: FnMut() -> u64 + Send>(threads: usize, calls: u64, caller: impl Fn() -> F) -> Duration {
    let share = calls.div_ceil(threads as u64);
    let gate = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let mut next = caller();
                let gate = &gate;
                scope.spawn(move || {
                    gate.wait();
                    for _ in 0..share {
                        black_box(next());
                    }
                })
            })
            .collect();
        gate.wait();
        let start = Instant::now();
        for worker in workers {
            worker.join().unwrap();
        }
        // Scaled, as if exactly the requested number of calls had been made.
        start
            .elapsed()
            .mul_f64(calls as f64 / (share * threads as u64) as f64)
    })
}

criterion_group! {
    name = benches;
    // Half a minute in all.
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = alone, shared
}
criterion_main!(benches);
