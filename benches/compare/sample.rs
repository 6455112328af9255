//! One measurement, many of them, and their summary.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    SAMPLE,
    load::{Load, Place},
    subject::{Running, Subject},
};

/// How long and how often everything is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The number of rounds. Every subject has its turn in each round.
    pub rounds: usize,
    /// How long a sample lasts.
    pub sample: Duration,
    /// How long requests are sent before a sample begins.
    pub warmup: Duration,
    /// The rounds and the length of a sample of the sweep, which has many samples.
    pub sweep_rounds: usize,
    pub sweep_sample: Duration,
    /// The most clients of the sweep; it begins at one.
    pub sweep_clients: usize,
    /// The file for the picture of the sweep.
    pub plot: Option<PathBuf>,
    /// How many idle connections are kept open.
    pub idle_connections: usize,
    /// Whether the clean build, which takes a minute or two, is timed.
    pub builds: bool,
}

impl Plan {
    /// The plan for the numbers in the docs.
    pub fn full() -> Plan {
        Plan {
            rounds: 7,
            sample: SAMPLE,
            warmup: Duration::from_millis(100),
            sweep_rounds: 10,
            sweep_sample: Duration::from_millis(300),
            sweep_clients: 42,
            plot: None,
            idle_connections: 10_000,
            builds: true,
        }
    }

    /// A plan just long enough to see that everything runs.
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

/// The results of one run of `ipseity-cli bench`.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Requests a second.
    pub requests: f64,
    /// The processor time of the server, and of what stands before it, in microseconds a request.
    pub cpu_us: f64,
    /// The latency in microseconds, as percentiles: 50 percent of the requests take no longer than this, and so on.
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

/// The median of the ratio of one number in two series. Samples of the same round are compared, so slow changes of the
/// machine do not matter.
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

/// Runs the subjects in turn under `load`, and returns the samples of each, in the order of the subjects. All of them
/// run the whole time; while one is measured, the others are idle.
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

/// How often a sample is tried. It fails if the machine gives the server and the clients no time at all.
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
        let output = output_of(&line);
        let text = String::from_utf8_lossy(&output.stdout);
        let report: Value = serde_json::from_str(&text).unwrap_or_default();
        let round = &report["points"][0]["rounds"][0];
        if output.status.success() {
            return sample(round);
        }
        let is_empty = round["ended"] == "done" && round["requests"] == 0;
        assert!(
            is_empty,
            "measuring {}: {}",
            server.name(),
            ended(&line, &output)
        );
    }
    panic!("{} answered nothing in {TRIES} samples", server.name());
}

/// Runs a client to its end.
fn output_of(line: &[String]) -> Output {
    Command::new(&line[0])
        .args(&line[1..])
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", line.join(" ")))
}

/// How a client has ended, and what it said.
fn ended(line: &[String], output: &Output) -> String {
    format!(
        "{} ended with {}:\n{}{}",
        line.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// One sample of a server that has a client of its own. `requests` finds in its output how many requests a second there
/// were; nothing else is known.
pub fn by_its_own_client(line: &[String], requests: impl Fn(&str) -> Option<f64>) -> Sample {
    let output = output_of(line);
    let text = String::from_utf8_lossy(&output.stdout);
    let found = requests(&text).filter(|_| output.status.success());
    let requests = found.unwrap_or_else(|| panic!("{}", ended(line, &output)));
    Sample {
        requests,
        cpu_us: f64::NAN,
        p50_us: f64::NAN,
        p99_us: f64::NAN,
        p99_9_us: f64::NAN,
    }
}

fn sample(round: &Value) -> Sample {
    let number = |value: &Value| {
        value
            .as_f64()
            .unwrap_or_else(|| panic!("a number is missing in {round}"))
    };
    let processes = round["processes"].as_array().unwrap();
    Sample {
        requests: number(&round["requests_per_second"]),
        cpu_us: processes
            .iter()
            .map(|process| number(&process["us_per_request"]))
            .sum(),
        p50_us: number(&round["latency_us"]["p50"]),
        p99_us: number(&round["latency_us"]["p99"]),
        p99_9_us: number(&round["latency_us"]["p99_9"]),
    }
}
