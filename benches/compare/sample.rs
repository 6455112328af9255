//! One measurement, many of them, and their summary.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    SAMPLE,
    load::{Load, Place},
    subject::{Running, Subject},
};

/// How long and how often is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rounds, in each of which every subject has its turn.
    pub rounds: usize,
    /// How long a sample lasts.
    pub sample: Duration,
    /// How long is sent before it begins.
    pub warmup: Duration,
    /// The rounds and the length of a sample of the sweep, which has many.
    pub sweep_rounds: usize,
    pub sweep_sample: Duration,
    /// The most clients of the sweep; it begins at one.
    pub sweep_clients: usize,
    /// Where it is drawn.
    pub plot: Option<PathBuf>,
    /// How many idle connections are held.
    pub idle_connections: usize,
    /// Whether the clean build, which takes a minute or two, is timed.
    pub builds: bool,
}

impl Plan {
    /// What the numbers in the docs are made with.
    pub fn full() -> Plan {
        Plan {
            rounds: 7,
            sample: SAMPLE,
            warmup: Duration::from_millis(100),
            sweep_rounds: 3,
            sweep_sample: Duration::from_millis(300),
            sweep_clients: 42,
            plot: None,
            idle_connections: 10_000,
            builds: true,
        }
    }

    /// Just enough to see that everything runs.
    pub fn quick(plot: Option<PathBuf>) -> Plan {
        Plan {
            rounds: 1,
            sample: Duration::from_millis(50),
            warmup: Duration::ZERO,
            sweep_rounds: 1,
            sweep_sample: Duration::from_millis(20),
            sweep_clients: 3,
            plot,
            idle_connections: 100,
            builds: false,
        }
    }
}

/// What one run of `ipseity-cli bench` told.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Requests a second.
    pub requests: f64,
    /// The server's processor time, in microseconds a request.
    pub cpu_us: f64,
    /// The latency, in microseconds: that of half of the requests is no longer, and that of 99 and 99.9 in a hundred.
    pub p50_us: f64,
    pub p99_us: f64,
    pub p99_9_us: f64,
}

/// Samples of the same thing.
#[derive(Clone, Debug, Default)]
pub struct Samples(pub Vec<Sample>);

impl Samples {
    /// The median of one of their numbers.
    pub fn median(&self, number: impl Fn(&Sample) -> f64) -> f64 {
        let sorted = self.sorted(number);
        sorted[sorted.len() / 2]
    }

    /// `median (least to most)` of one of their numbers.
    pub fn show(&self, number: impl Fn(&Sample) -> f64, digits: usize) -> String {
        let sorted = self.sorted(number);
        let show = |value: f64| grouped(value, digits);
        format!(
            "{} ({} to {})",
            show(sorted[sorted.len() / 2]),
            show(sorted[0]),
            show(sorted[sorted.len() - 1])
        )
    }

    fn sorted(&self, number: impl Fn(&Sample) -> f64) -> Vec<f64> {
        let mut sorted: Vec<f64> = self.0.iter().map(number).collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// The median, over the rounds, of how many times as much one has of a number than the other. Neighbours in time
/// are compared, so what changes slowly on the machine falls out.
pub fn ratio(one: &Samples, other: &Samples, number: impl Fn(&Sample) -> f64) -> f64 {
    let pairs = one.0.iter().zip(&other.0);
    let mut ratios: Vec<f64> = pairs.map(|(a, b)| number(a) / number(b)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// A number with commas between its thousands.
pub fn grouped(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

/// Runs every subject under `load`, alternating, and returns the samples of each in their order. All of them are
/// up for the whole time; those that are not asked have nothing to do.
pub fn alternate(subjects: &[Subject], load: Load, place: Place, plan: &Plan) -> Vec<Samples> {
    let running: Vec<Running> = subjects
        .iter()
        .map(|subject| subject.start(place))
        .collect();
    let mut samples = vec![Samples::default(); subjects.len()];
    for _ in 0..plan.rounds {
        for (server, samples) in running.iter().zip(&mut samples) {
            let sample = measure(server, load, place, plan.sample, plan.warmup);
            samples.0.push(sample);
        }
    }
    samples
}

/// A sample in which the machine gave server and clients no time at all is taken again so often.
const TRIES: usize = 3;

/// One sample.
pub fn measure(
    server: &Running,
    load: Load,
    place: Place,
    time: Duration,
    warmup: Duration,
) -> Sample {
    let mut line = place.of_clients();
    line.extend(server.client(load, time, warmup));
    let line = line;
    for _ in 0..TRIES {
        let output = Command::new(&line[0])
            .args(&line[1..])
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", line.join(" ")));
        let text = String::from_utf8_lossy(&output.stdout);
        let report: Value = serde_json::from_str(&text).unwrap_or_default();
        let round = &report["points"][0]["rounds"][0];
        if output.status.success() {
            return sample(round);
        }
        let is_empty = round["ended"] == "done" && round["requests"] == 0;
        assert!(
            is_empty,
            "measuring {}: {} ended with {}:\n{text}{}",
            server.name(),
            line.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    panic!("{} answered nothing in {TRIES} samples", server.name());
}

fn sample(round: &Value) -> Sample {
    let number = |value: &Value| {
        value
            .as_f64()
            .unwrap_or_else(|| panic!("a number is missing in {round}"))
    };
    Sample {
        requests: number(&round["requests_per_second"]),
        cpu_us: number(&round["processes"][0]["us_per_request"]),
        p50_us: number(&round["latency_us"]["p50"]),
        p99_us: number(&round["latency_us"]["p99"]),
        p99_9_us: number(&round["latency_us"]["p99_9"]),
    }
}
