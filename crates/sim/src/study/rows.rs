//! The measurements, the clusters that are measured, and what the theory predicts.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use fastrand::Rng;

use super::{Cluster, INTERVAL, Plan};

const SIZES: [usize; 4] = [3, 10, 100, 1000];
const FANOUTS: [usize; 3] = [1, 4, 32];
pub const LOSSES_PERCENT: [u32; 3] = [0, 10, 50];

/// The time until all servers are connected and have been asked.
const START: Duration = Duration::from_secs(3);

/// With loss: the time until as many connections are dialed again as break.
const SETTLING: Duration = Duration::from_secs(20);

/// How many rounds more than the theory says it takes until servers that hand out are as far apart as they will
/// ever be.
const ROUNDS_MORE: u32 = 3;

/// Longer than any cluster ever took.
const PATIENCE: Duration = Duration::from_secs(600);

/// How much the busiest server hands out in a second. The second server hands out half of that, the third a third,
/// and so on.
const BUSIEST_RATE: u64 = 10_000;

/// How often each server hands out what its rate allows. Also how often their distance is measured.
const STEP: Duration = Duration::from_millis(10);

/// The measurements of one cluster.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// How many intervals it took until all had absorbed a sequence, sorted.
    pub intervals: Vec<f64>,
    /// Frames between servers in a second.
    pub messages: f64,
    /// Their bytes.
    pub bytes: f64,
    /// How far the last server was behind the first, sorted. The unit is what the busiest one hands out in an
    /// interval.
    pub behind: Vec<f64>,
}

/// Clusters of one size and one fanout, without loss and with loss.
pub struct Row {
    pub servers: usize,
    /// How many peers a server asks each time; `None` for all.
    pub fanout: Option<usize>,
    pub measured: Vec<Measured>,
}

/// Every size with every fanout that is smaller than the cluster, and with all.
pub fn all_plans(servers_max: usize) -> Vec<(usize, Option<usize>)> {
    let mut plans = Vec::new();
    for servers in SIZES.into_iter().filter(|servers| *servers <= servers_max) {
        let few = FANOUTS.into_iter().filter(|fanout| *fanout < servers - 1);
        plans.extend(few.map(|fanout| (servers, Some(fanout))));
        plans.push((servers, None));
    }
    plans
}

/// Measures all of these, as many at a time as the machine has cores.
pub fn measure_all(plans: &[(usize, Option<usize>)]) -> Vec<Row> {
    // The largest first, so that no large one runs alone at the end.
    let tasks: Vec<Plan> = plans
        .iter()
        .rev()
        .flat_map(|(servers, fanout)| {
            LOSSES_PERCENT.map(|loss_percent| Plan {
                servers: *servers,
                fanout: *fanout,
                loss_percent,
            })
        })
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(plan) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((*plan, measure(*plan)));
            eprintln!("measured: {plan:?}");
        }
        done
    };
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    let mut done: Vec<(Plan, Measured)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|worker| worker.join().unwrap());
        done.flatten().collect()
    });
    let row = |(servers, fanout): &(usize, Option<usize>)| {
        let mut take = |loss_percent| {
            let plan = Plan {
                servers: *servers,
                fanout: *fanout,
                loss_percent,
            };
            let place = done.iter().position(|(done, _)| *done == plan).unwrap();
            done.swap_remove(place).1
        };
        Row {
            servers: *servers,
            fanout: *fanout,
            measured: LOSSES_PERCENT.into_iter().map(&mut take).collect(),
        }
    };
    plans.iter().map(row).collect()
}

/// Measures clusters of one kind.
fn measure(plan: Plan) -> Measured {
    let mut measured = Measured::default();
    let effort = effort(plan);
    for seed in 0..effort.seeds {
        let (mut cluster, intervals) = spread(plan, seed);
        measured.intervals.extend(intervals);
        let rounds = theory(plan.servers, plan.fanout).ceil() as u32 + ROUNDS_MORE;
        keep_busy(&mut cluster, INTERVAL * rounds);
        let before = cluster.traffic();
        measured.behind.extend(keep_busy(&mut cluster, effort.busy));
        let after = cluster.traffic();
        let seconds = effort.busy.as_secs_f64() * effort.seeds as f64;
        measured.messages += (after.messages - before.messages) as f64 / seconds;
        measured.bytes += (after.bytes - before.bytes) as f64 / seconds;
    }
    measured.intervals.sort_by(f64::total_cmp);
    measured.behind.sort_by(f64::total_cmp);
    measured
}

/// Makes only the first measurement: how many intervals it takes.
pub fn measure_intervals(plan: Plan) -> Vec<f64> {
    let seeds = 0..effort(plan).seeds;
    let mut intervals: Vec<f64> = seeds.flat_map(|seed| spread(plan, seed).1).collect();
    intervals.sort_by(f64::total_cmp);
    intervals
}

/// How much is measured.
struct Effort {
    /// How many clusters, which differ only in their seed.
    seeds: u64,
    /// How many sequences in each.
    sequences: usize,
    /// How long each is watched while all servers hand out.
    busy: Duration,
}

fn effort(plan: Plan) -> Effort {
    // With a thousand servers that all ask each other, one second takes several real seconds.
    let (seeds, sequences, busy) = match (plan.servers, plan.fanout) {
        (..=100, _) => (5, 20, 10),
        (_, Some(_)) => (2, 10, 2),
        (_, None) => (1, 4, 2),
    };
    Effort {
        seeds,
        sequences,
        busy: Duration::from_secs(busy),
    }
}

/// Runs a cluster in which one server after the other hands something out. Returns it, and how many intervals it
/// took each time until all servers knew.
fn spread(plan: Plan, seed: u64) -> (Cluster, Vec<f64>) {
    let mut random = Rng::with_seed(seed);
    let mut cluster = Cluster::new(plan, seed);
    cluster.advance(START);
    if plan.loss_percent > 0 {
        cluster.begin_loss();
        cluster.advance(SETTLING);
    }
    let mut intervals = Vec::new();
    for _ in 0..effort(plan).sequences {
        let pause = random.u64(0..INTERVAL.as_nanos() as u64);
        cluster.advance(Duration::from_nanos(pause));
        cluster.hand_out(random.u64(0..plan.servers as u64) as usize, 1);
        let took = cluster.advance_until_level(PATIENCE);
        intervals.push(took.as_secs_f64() / INTERVAL.as_secs_f64());
    }
    (cluster, intervals)
}

/// Lets all servers hand out, each at its own rate. Returns how far the last was behind the first at each step.
fn keep_busy(cluster: &mut Cluster, busy: Duration) -> Vec<f64> {
    let end = cluster.now().after(busy);
    let mut owed = vec![0; cluster.servers()];
    let mut behind = Vec::new();
    while cluster.now() < end {
        for (server, owed) in owed.iter_mut().enumerate() {
            // In billionths, so that almost nothing is lost by rounding.
            *owed += BUSIEST_RATE * STEP.as_nanos() as u64 / (server as u64 + 1);
            let count = *owed / 1_000_000_000;
            *owed %= 1_000_000_000;
            if count > 0 {
                cluster.hand_out(server, count as u32);
            }
        }
        cluster.advance(STEP);
        let an_interval = BUSIEST_RATE as f64 * INTERVAL.as_secs_f64();
        behind.push(cluster.spread() as f64 / an_interval);
    }
    behind
}

/// How many rounds the theory predicts until a sequence has reached all servers, without loss.
///
/// At first the sequence spreads. In a round, a server that has it tells `k` others and is asked by `k` on
/// average, so after the round `2k + 1` times as many servers have it. At the end only a few servers lack it. A
/// server still lacks it after a round if all `k` that it asks lack it too, so the share of these servers is
/// raised to the power `k + 1` (Karp, Schindelhauer, Shenker, Vöcking 2000, for `k` = 1: log3 n + O(log log n)).
pub fn theory(servers: usize, fanout: Option<usize>) -> f64 {
    let Some(k) = fanout else { return 1.0 };
    let (n, k) = (servers as f64, k as f64);
    n.ln() / (2.0 * k + 1.0).ln() + n.ln().ln() / (k + 1.0).ln()
}

/// The median and the greatest of sorted numbers.
pub fn middle_and_most(sorted: &[f64]) -> (f64, f64) {
    (sorted[sorted.len() / 2], sorted[sorted.len() - 1])
}
