//! Identities a second of the Rust client, beside what one would use instead: a Snowflake library, UUIDv7, ULID, and INCR
//! of Redis by its usual client.
//!
//! ```text
//! ipseity-client-bench SERVER [REDIS_PORT]
//! ```
//!
//! `benches/clients` starts the servers, runs this, and ends them.

use std::{
    env,
    hint::black_box,
    io::{self, Write as _},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ipseity_client::{Client, Source};
use redis::Commands as _;
use snowflaked::sync::Generator;

/// How often each row is measured. The best counts, because others use the machine too.
const RUNS: usize = 3;
/// How long each run lasts.
const RUN_TIME: Duration = Duration::from_secs(1);
const THREADS: [usize; 2] = [1, 8];
/// The most that a server gives at once, unless told otherwise.
const BLOCK: u32 = 1000;
/// How many calls a thread makes before it looks whether the time is over. A call may take nanoseconds.
const CALLS: u64 = 64;

/// One way to get identities.
struct Row<'a> {
    name: &'static str,
    /// How many identities a call brings.
    each: u64,
    take: Box<dyn Fn() + Sync + 'a>,
}

impl<'a> Row<'a> {
    fn new(name: &'static str, each: u64, take: impl Fn() + Sync + 'a) -> Row<'a> {
        let take = Box::new(take);
        Row { name, each, take }
    }

    /// Identities a second of so many threads.
    fn rate(&self, threads: usize) -> f64 {
        let rates = (0..RUNS).map(|_| self.one_run(threads));
        rates.fold(0.0, f64::max)
    }

    #[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
    fn one_run(&self, threads: usize) -> f64 {
        let (is_over, calls) = (AtomicBool::new(false), AtomicU64::new(0));
        let began = Instant::now();
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut own = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        (0..CALLS).for_each(|_| (self.take)());
                        own += CALLS;
                    }
                    calls.fetch_add(own, Ordering::Relaxed);
                });
            }
            thread::sleep(RUN_TIME);
            is_over.store(true, Ordering::Relaxed);
        });
        (calls.into_inner() * self.each) as f64 / began.elapsed().as_secs_f64()
    }
}

fn main() {
    let mut arguments = env::args().skip(1);
    let server = arguments
        .next()
        .expect("the first argument is the address of a server");
    let client = Client::new([&server]).unwrap();
    let source = Source::new([&server]).unwrap();
    let snowflake = Generator::new(1);
    let ulid = Mutex::new(ulid::Generator::new());
    let mut rows = vec![
        Row::new("`Source::next`", 1, || {
            black_box(source.next().unwrap());
        }),
        Row::new("`Client::block(1000)`", u64::from(BLOCK), || {
            black_box(client.block(BLOCK).unwrap());
        }),
        Row::new("`Client::next`", 1, || {
            black_box(client.next().unwrap());
        }),
        Row::new("Snowflake (`snowflaked`)", 1, || {
            black_box(snowflake.generate::<u64>());
        }),
        Row::new("UUIDv7 (`uuid`)", 1, || {
            black_box(uuid::Uuid::now_v7());
        }),
        Row::new("ULID, monotonic (`ulid`)", 1, || {
            // It fails if more than 2^80 are asked for in a millisecond.
            black_box(ulid.lock().unwrap().generate().unwrap());
        }),
    ];
    if let Some(port) = arguments.next() {
        let redis = redis::Client::open(format!("redis://127.0.0.1:{port}/")).unwrap();
        // Its connection is for one thread at a time.
        let connection = Mutex::new(redis.get_connection().unwrap());
        rows.push(Row::new("Redis `INCR` (`redis`)", 1, move || {
            let _: u64 = connection.lock().unwrap().incr("id", 1).unwrap();
        }));
    }
    print(&rows).unwrap();
}

fn print(rows: &[Row<'_>]) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(
        out,
        "| identities a second | 1 thread | 8 threads | 1, to `Source` | 8, to `Source` |"
    )?;
    writeln!(out, "| --- | ---: | ---: | ---: | ---: |")?;
    let mut first = None;
    for row in rows {
        let rates = THREADS.map(|threads| row.rate(threads));
        let [one, eight] = *first.get_or_insert(rates);
        writeln!(
            out,
            "| {} | {:.0} | {:.0} | {:.4} | {:.4} |",
            row.name,
            rates[0],
            rates[1],
            rates[0] / one,
            rates[1] / eight
        )?;
    }
    Ok(())
}
