//! Runs many seeds on all cores, and finds the smallest form of a seed that fails.

#![allow(
    clippy::disallowed_methods,
    reason = "the clock only tells people how long a hunt takes, and no run sees it"
)]

use std::{
    fmt::Write as _,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Options, Outcome, coverage::Coverage, plan::BEGIN, run};

/// How many lines of each server's trace a report shows.
const TRACE_LINES: usize = 25;

/// The most times that a failing seed is run again to find a smaller form of it.
const SHRINKS_MAX: usize = 120;

/// How often progress is shown.
const PROGRESS: Duration = Duration::from_secs(5);

/// Which seeds to run, and how.
pub struct Hunt {
    pub first: u64,
    pub seeds: u64,
    /// No seed begins after this time.
    pub duration: Option<Duration>,
    pub options: Options,
    /// How many of the first seeds write traces. The entries that were handled are counted from them.
    pub traced: u64,
    pub threads: usize,
    pub shows_progress: bool,
}

/// The results of a hunt.
#[derive(Default)]
pub struct HuntReport {
    pub seeds: u64,
    pub simulated: Duration,
    /// The time that servers have run, added up.
    pub lived: Duration,
    pub took: Duration,
    pub coverage: Coverage,
    /// The seeds that broke a promise and how, the lowest first.
    pub failures: Vec<(u64, String)>,
}

impl Hunt {
    /// Runs the seeds, on as many threads as `threads` says. One failure ends the hunt, once the seeds before it
    /// are done.
    pub fn run(&self) -> HuntReport {
        let next = AtomicU64::new(self.first);
        let has_failed = AtomicBool::new(false);
        let found = Mutex::new(HuntReport::default());
        let began = Instant::now();
        let end = self.first.saturating_add(self.seeds);
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    while !has_failed.load(Ordering::Relaxed)
                        && self
                            .duration
                            .is_none_or(|duration| began.elapsed() < duration)
                    {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= end {
                            break;
                        }
                        let options = Options {
                            trace: seed - self.first < self.traced,
                            ..self.options.clone()
                        };
                        let outcome = run(seed, &options);
                        let mut found = found.lock().unwrap();
                        if outcome.violation.is_some() {
                            has_failed.store(true, Ordering::Relaxed);
                        }
                        let told = found.took.as_secs() / PROGRESS.as_secs();
                        found.add(outcome, began.elapsed());
                        if self.shows_progress && found.took.as_secs() / PROGRESS.as_secs() > told {
                            println!("{}", found.progress());
                        }
                    }
                });
            }
        });
        let mut found = found.into_inner().unwrap();
        found.took = began.elapsed();
        found.failures.sort();
        found
    }
}

impl HuntReport {
    fn add(&mut self, outcome: Outcome, took: Duration) {
        self.seeds += 1;
        self.simulated += outcome.simulated;
        self.lived += outcome.simulated * outcome.servers as u32;
        self.took = took;
        self.coverage.add(&outcome.coverage);
        self.failures
            .extend(outcome.violation.map(|violation| (outcome.seed, violation)));
    }

    /// How far the hunt has come, in a line.
    pub fn progress(&self) -> String {
        let took = self.took.as_secs_f64();
        let year = 365.25 * 24.0 * 3600.0;
        format!(
            "{} seeds, {:.0} a second; {:.1} hours simulated, {:.0} times as fast as time; {:.4} \
             cluster-years, {:.4} server-years; {} failed",
            self.seeds,
            self.seeds as f64 / took,
            self.simulated.as_secs_f64() / 3600.0,
            self.simulated.as_secs_f64() / took,
            self.simulated.as_secs_f64() / year,
            self.lived.as_secs_f64() / year,
            self.failures.len(),
        )
    }
}

/// Finds a smaller form of a seed that fails: fewer faults, and an earlier end of the faults. Returns the
/// options and the outcome.
pub fn shrink(seed: u64, options: &Options) -> (Options, Outcome) {
    let mut best = options.clone();
    let mut outcome = run(seed, &best);
    let mut runs = 0;
    let mut is_better = true;
    while std::mem::take(&mut is_better) && runs < SHRINKS_MAX {
        for fault in outcome.faults.iter() {
            let fewer = Options {
                faults: best.faults.and(outcome.faults).without(fault),
                ..best.clone()
            };
            let tried = run(seed, &fewer);
            runs += 1;
            if tried.violation.is_some() {
                (best, outcome, is_better) = (fewer, tried, true);
            }
        }
        let faulty = outcome.end.min(outcome.faults_end).since(BEGIN);
        for tenths in [2, 5, 8, 9] {
            let earlier = Options {
                end: Some(BEGIN.after(faulty * tenths / 10)),
                ..best.clone()
            };
            let tried = run(seed, &earlier);
            runs += 1;
            if tried.violation.is_some() {
                (best, outcome, is_better) = (earlier, tried, true);
                break;
            }
        }
    }
    (best, outcome)
}

/// The full report on a seed that fails. `IPSEITY_TRACES` names a directory for the traces of its smallest
/// form.
pub fn failure_report(seed: u64, violation: &str, options: &Options) -> String {
    let (smallest, shrunk) = shrink(seed, options);
    let traced = Options {
        trace: true,
        ..smallest.clone()
    };
    let outcome = run(seed, &traced);
    let mut text = String::new();
    let faults: Vec<String> = shrunk
        .faults
        .iter()
        .map(|fault| format!("{fault:?}"))
        .collect();
    let end = smallest.end.map_or(String::new(), |end| {
        format!("IPSEITY_END_MS={} ", end.since(BEGIN).as_millis())
    });
    let shorter = shrunk
        .violation
        .as_deref()
        .unwrap_or("it does not fail a second time");
    writeln!(text, "seed {seed} breaks a promise: {violation}").unwrap();
    writeln!(
        text,
        "repeat it: IPSEITY_SEED={seed} cargo test --release --test simulation seeds"
    )
    .unwrap();
    writeln!(
        text,
        "the smallest form found, at {}: {shorter}\n  {end}IPSEITY_FAULTS={} IPSEITY_SEED={seed} cargo test \
         --release --test simulation seeds",
        shrunk.end,
        if faults.is_empty() { "none".to_owned() } else { faults.join(",") },
    )
    .unwrap();
    if let Ok(directory) = std::env::var("IPSEITY_TRACES") {
        for (number, trace) in outcome.traces.iter().enumerate() {
            let file = format!("{directory}/seed-{seed}-server-{number}.trace");
            std::fs::write(&file, trace).unwrap();
            writeln!(text, "the whole trace of server {number}: {file}").unwrap();
        }
    }
    for (number, trace) in outcome.traces.iter().enumerate() {
        writeln!(text, "the last of server {number}:").unwrap();
        let lines: Vec<&str> = trace.lines().collect();
        for line in &lines[lines.len().saturating_sub(TRACE_LINES)..] {
            writeln!(text, "  {line}").unwrap();
        }
    }
    text
}
