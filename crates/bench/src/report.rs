//! What was measured, as text, JSON or CSV.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    check::Checks,
    generator::{Ended, Round},
    settings::{Format, Settings},
    tally::{ErrorCount, Latency},
};
use ipseity_console::{counted, milliseconds, plain_json, table};

/// All rounds at one number of connections.
pub struct Point {
    /// How many connections there were, 1 or more.
    pub connections: usize,
    /// The result of each round, in order.
    pub rounds: Vec<Round>,
}

/// The median of several numbers, the least and the most of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// Of these numbers; `None` if there are none.
    fn of(numbers: impl Iterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = numbers.collect();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let (lower, upper) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Some(Spread {
            median: f64::midpoint(lower, upper),
            least,
            most,
        })
    }
}

impl Point {
    /// Requests a second, over the rounds.
    pub fn throughput(&self) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(Round::throughput))
    }

    /// The latency that half of the requests had at most, in milliseconds, over the rounds.
    pub fn p50_ms(&self) -> Option<Spread> {
        self.latency(|latency| latency.p50)
    }

    /// The latency that 99 of 100 requests had at most, in milliseconds, over the rounds.
    pub fn p99_ms(&self) -> Option<Spread> {
        self.latency(|latency| latency.p99)
    }

    fn latency(&self, of: impl Fn(&Latency) -> Duration) -> Option<Spread> {
        let answered = self.rounds.iter().filter(|round| round.requests > 0);
        Spread::of(answered.map(|round| of(&round.latency).as_secs_f64() * 1000.0))
    }

    fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        Spread::of(self.rounds.iter().map(of)).map_or(0.0, |spread| spread.median)
    }
}

impl Round {
    /// Answered requests a second; 0 for a round that measured no time.
    fn throughput(&self) -> f64 {
        match self.elapsed.is_zero() {
            true => 0.0,
            false => self.requests as f64 / self.elapsed.as_secs_f64(),
        }
    }

    /// This time divided by the number of requests, in microseconds; 0 without requests.
    fn us_a_request(&self, time: Duration) -> f64 {
        match self.requests {
            0 => 0.0,
            requests => microseconds(time) / requests as f64,
        }
    }

    /// This program's processor time for each request in microseconds, as text; `-` if it is not known.
    fn own_us(&self) -> String {
        let own = self.own_cpu.map(|time| self.us_a_request(time));
        own.map_or_else(|| "-".to_owned(), |us| format!("{us:.3}"))
    }

    fn server_cpu(&self) -> Duration {
        self.cpu.iter().sum()
    }

    fn error_count(&self) -> u64 {
        self.errors.iter().map(|error| error.count).sum()
    }
}

/// Writes everything in the format that was asked for.
pub fn write(
    out: &mut dyn Write,
    settings: &Settings,
    points: &[Point],
    checks: &Checks,
) -> io::Result<()> {
    match settings.format {
        Format::Text => write_text(out, settings, points, checks),
        Format::Json => {
            let json = format!("{:#}", to_json(settings, points, checks));
            writeln!(out, "{}", plain_json(&json))
        }
        Format::Csv => write_csv(out, settings, points),
    }
}

fn write_text(
    out: &mut dyn Write,
    settings: &Settings,
    points: &[Point],
    checks: &Checks,
) -> io::Result<()> {
    writeln!(out, "{}", settings.summary())?;
    match points {
        [point] if point.rounds.len() == 1 => write_round(out, settings, &point.rounds[0])?,
        _ => write_points(out, settings, points)?,
    }
    let rounds = || points.iter().flat_map(|point| &point.rounds);
    for error in rounds().flat_map(|round| &round.errors) {
        let ErrorCount { code, text, count } = error;
        let times = counted(*count, "time");
        writeln!(out, "errors       {times} {code}: {text}")?;
    }
    let unsent: u64 = rounds().map(|round| round.unsent).sum();
    if unsent > 0 {
        writeln!(
            out,
            "not sent     {} that were due: the server, or this program, does not keep up \
             with --rate, or -P is too small for it",
            counted(unsent, "request")
        )?;
    }
    writeln!(out, "checked      {}", checked(settings, checks))
}

fn write_round(out: &mut dyn Write, settings: &Settings, round: &Round) -> io::Result<()> {
    writeln!(
        out,
        "requests     {} in {:.3} s",
        round.requests,
        round.elapsed.as_secs_f64()
    )?;
    let rate = round.throughput();
    writeln!(
        out,
        "throughput   {rate:.0} requests/s, {:.0} identities/s",
        rate * f64::from(settings.count)
    )?;
    let latency = &round.latency;
    writeln!(
        out,
        "latency      p50 {}, p90 {}, p99 {}, p99.9 {}, max {}",
        milliseconds(latency.p50),
        milliseconds(latency.p90),
        milliseconds(latency.p99),
        milliseconds(latency.p99_9),
        milliseconds(latency.max)
    )?;
    write!(
        out,
        "cpu          this program {} us a request",
        round.own_us()
    )?;
    for (process, time) in settings.processes.iter().zip(&round.cpu) {
        write!(
            out,
            ", process {process} {:.3} us",
            round.us_a_request(*time)
        )?;
    }
    writeln!(out)
}

fn write_points(out: &mut dyn Write, settings: &Settings, points: &[Point]) -> io::Result<()> {
    let mut rows = vec![
        [
            "connections",
            "requests/s",
            "least",
            "most",
            "p50 ms",
            "p99 ms",
            "own us",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    if !settings.processes.is_empty() {
        rows[0].push("server us".to_owned());
    }
    for point in points {
        let Some(spread) = point.throughput() else {
            continue;
        };
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let mut row = vec![
            point.connections.to_string(),
            format!("{:.0}", spread.median),
            format!("{:.0}", spread.least),
            format!("{:.0}", spread.most),
            format!("{:.3}", point.median(|round| ms(round.latency.p50))),
            format!("{:.3}", point.median(|round| ms(round.latency.p99))),
            format!(
                "{:.3}",
                point.median(|round| round.us_a_request(round.own_cpu.unwrap_or_default()))
            ),
        ];
        if !settings.processes.is_empty() {
            let cpu = point.median(|round| round.us_a_request(round.server_cpu()));
            row.push(format!("{cpu:.3}"));
        }
        rows.push(row);
    }
    for line in table(
        &rows,
        &[-11, -10, -10, -10, -8, -8, -7, -9][..rows[0].len()],
    ) {
        writeln!(out, "{line}")?;
    }
    let rounds = match settings.rounds {
        1 => "one round".to_owned(),
        rounds => format!("medians of {rounds} rounds"),
    };
    writeln!(out, "({rounds}; us is processor time a request)")
}

/// What was checked, in words.
fn checked(settings: &Settings, checks: &Checks) -> String {
    if !settings.target.is_checked() {
        return "nothing: what a raw target answers is not looked at".to_owned();
    }
    let forgotten = match checks.forgotten() {
        0 => String::new(),
        count => format!(
            " ({count} were forgotten to save memory, and not compared with those that came after them)"
        ),
    };
    format!(
        "{} identities: each greater than all that had been received when it was asked for, none came \
         twice{forgotten}",
        checks.identities()
    )
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1000.0
}

/// Rounded to three decimals.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

fn to_json(settings: &Settings, points: &[Point], checks: &Checks) -> Value {
    let servers: Vec<String> = settings.servers.iter().map(ToString::to_string).collect();
    let points: Vec<Value> = points
        .iter()
        .map(|point| {
            let spread = point.throughput().map(|spread| {
                json!({
                    "median": rounded(spread.median),
                    "least": rounded(spread.least),
                    "most": rounded(spread.most),
                })
            });
            let rounds = point.rounds.iter();
            let rounds: Vec<Value> = rounds.map(|round| round_to_json(settings, round)).collect();
            json!({
                "connections": point.connections,
                "requests_per_second": spread,
                "rounds": rounds,
            })
        })
        .collect();
    json!({
        "target": settings.target.to_string(),
        "servers": servers,
        "in_flight": settings.in_flight,
        "count": settings.count,
        "rate": settings.rate,
        "warmup_s": settings.warmup.as_secs_f64(),
        "points": points,
        "checked": {
            "identities": checks.identities(),
            "order": settings.target.is_checked(),
            "unique": settings.target.is_checked(),
            "forgotten": checks.forgotten(),
        },
    })
}

fn round_to_json(settings: &Settings, round: &Round) -> Value {
    let us = |duration| rounded(microseconds(duration));
    let errors: Vec<Value> = round
        .errors
        .iter()
        .map(|error| json!({"code": error.code, "text": error.text, "count": error.count}))
        .collect();
    let processes: Vec<Value> = settings
        .processes
        .iter()
        .zip(&round.cpu)
        .map(|(process, time)| {
            // Not rounded: with many in flight it is a few hundredths.
            json!({"process": process, "us_per_request": round.us_a_request(*time)})
        })
        .collect();
    let ended = match &round.ended {
        Ended::Done => "done",
        Ended::Interrupted => "interrupted",
        Ended::Failed(reason) => reason,
    };
    json!({
        "requests": round.requests,
        "identities": round.requests * u64::from(settings.count),
        "seconds": round.elapsed.as_secs_f64(),
        "requests_per_second": rounded(round.throughput()),
        "identities_per_second": rounded(round.throughput() * f64::from(settings.count)),
        "latency_us": {
            "p50": us(round.latency.p50),
            "p90": us(round.latency.p90),
            "p99": us(round.latency.p99),
            "p99_9": us(round.latency.p99_9),
            "max": us(round.latency.max),
        },
        "own_cpu_us_per_request": round.own_cpu.map(|time| rounded(round.us_a_request(time))),
        "processes": processes,
        "errors": errors,
        "unsent": round.unsent,
        "ended": ended,
    })
}

const CSV_HEADER: &str = "target,connections,in_flight,count,rate,round,requests,identities,seconds,\
     requests_per_second,identities_per_second,p50_us,p90_us,p99_us,p99_9_us,max_us,own_cpu_us,\
     server_cpu_us,errors,unsent";

/// A line for each round. No field can hold a comma.
fn write_csv(out: &mut dyn Write, settings: &Settings, points: &[Point]) -> io::Result<()> {
    writeln!(out, "{CSV_HEADER}")?;
    for point in points {
        for (index, round) in point.rounds.iter().enumerate() {
            let latency = &round.latency;
            let server_cpu = match settings.processes.is_empty() {
                true => String::new(),
                false => format!("{:.3}", round.us_a_request(round.server_cpu())),
            };
            let fields = [
                settings.target.to_string(),
                point.connections.to_string(),
                settings.in_flight.to_string(),
                settings.count.to_string(),
                settings
                    .rate
                    .map_or_else(String::new, |rate| rate.to_string()),
                (index + 1).to_string(),
                round.requests.to_string(),
                (round.requests * u64::from(settings.count)).to_string(),
                format!("{:.6}", round.elapsed.as_secs_f64()),
                format!("{:.3}", round.throughput()),
                format!("{:.3}", round.throughput() * f64::from(settings.count)),
                format!("{:.3}", microseconds(latency.p50)),
                format!("{:.3}", microseconds(latency.p90)),
                format!("{:.3}", microseconds(latency.p99)),
                format!("{:.3}", microseconds(latency.p99_9)),
                format!("{:.3}", microseconds(latency.max)),
                round.own_us(),
                server_cpu,
                round.error_count().to_string(),
                round.unsent.to_string(),
            ];
            writeln!(out, "{}", fields.join(","))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ipseity_client::ClientOptions;

    use super::*;
    use crate::{pace::Amount, target::Target};

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        let spread = |numbers: &[f64]| Spread::of(numbers.iter().copied());
        let expected = Spread {
            median: 2.0,
            least: 1.0,
            most: 9.0,
        };
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some(expected));
        assert_eq!(spread(&[4.0, 1.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(spread(&[]), None);
    }

    /// Two identities a request, and two processes that are looked at.
    fn settings(format: Format, rounds: usize) -> Settings {
        Settings {
            target: Target::Ipseity,
            servers: vec!["10.0.0.1:3264".parse().unwrap()],
            points: vec![3],
            is_sweep: false,
            in_flight: 4,
            count: 2,
            amount: Amount::Requests(1000),
            rate: Some(500),
            warmup: Duration::from_millis(1500),
            rounds,
            processes: vec![70, 71],
            timeouts: ClientOptions::one_round(),
            dialer: None,
            format,
            plot: None,
        }
    }

    /// A round of a thousand requests that took this many seconds.
    fn round(seconds: u64) -> Round {
        let us = |us: u64| Duration::from_nanos(us * 1000 + 400);
        Round {
            requests: 1000,
            elapsed: Duration::from_secs(seconds),
            latency: Latency {
                p50: us(50),
                p90: us(90),
                p99: us(99),
                p99_9: us(999),
                max: us(5000),
            },
            errors: vec![ErrorCount {
                code: "exhausted".to_owned(),
                text: "no more".to_owned(),
                count: 3,
            }],
            unsent: 7,
            own_cpu: Some(Duration::from_millis(2)),
            cpu: vec![Duration::from_millis(8), Duration::from_micros(16)],
            ended: Ended::Done,
        }
    }

    fn written(format: Format, seconds: &[u64]) -> String {
        let point = Point {
            connections: 3,
            rounds: seconds.iter().copied().map(round).collect(),
        };
        let settings = settings(format, seconds.len());
        let mut out = Vec::new();
        write(&mut out, &settings, &[point], &Checks::default()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_round_is_told_in_full() {
        let text = written(Format::Text, &[4]);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "requests     1000 in 4.000 s",
                "throughput   250 requests/s, 500 identities/s",
                "latency      p50 0.050 ms, p90 0.090 ms, p99 0.099 ms, p99.9 0.999 ms, max 5.000 ms",
                "cpu          this program 2.000 us a request, process 70 8.000 us, process 71 0.016 us",
                "errors       3 times exhausted: no more",
                "not sent     7 requests that were due: the server, or this program, does not keep up with \
                 --rate, or -P is too small for it",
                "checked      0 identities: each greater than all that had been received when it was asked \
                 for, none came twice",
            ]
        );
    }

    #[test]
    fn of_several_rounds_the_medians_are_told() {
        let text = written(Format::Text, &[4, 5, 10]);
        let lines: Vec<&str> = text.lines().skip(1).take(3).collect();
        assert_eq!(
            lines[..2],
            [
                "connections  requests/s       least        most    p50 ms    p99 ms   own us  server us",
                "          3         200         100         250     0.050     0.099    2.000      8.016",
            ]
        );
        assert_eq!(
            lines[2],
            "(medians of 3 rounds; us is processor time a request)"
        );
        assert!(text.contains("errors       3 times exhausted: no more"));
        assert!(text.contains("not sent     21 requests"));
    }

    #[test]
    fn one_round_has_no_medians() {
        // Several points have a table, also with one round of each.
        let points = [2, 3].map(|connections| Point {
            connections,
            rounds: vec![round(4)],
        });
        let mut out = Vec::new();
        let settings = settings(Format::Text, 1);
        write(&mut out, &settings, &points, &Checks::default()).unwrap();
        let text = String::from_utf8(out).unwrap();
        let is_note = |line: &&str| line.starts_with('(');
        let note = text.lines().find(is_note).unwrap();
        assert_eq!(note, "(one round; us is processor time a request)");
    }

    #[test]
    fn csv_has_a_line_for_each_round() {
        let text = written(Format::Csv, &[4, 5]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                CSV_HEADER,
                "ipseity,3,4,2,500,1,1000,2000,4.000000,250.000,500.000,50.400,90.400,99.400,999.400,\
                 5000.400,2.000,8.016,3,7",
                "ipseity,3,4,2,500,2,1000,2000,5.000000,200.000,400.000,50.400,90.400,99.400,999.400,\
                 5000.400,2.000,8.016,3,7",
            ]
        );
    }

    #[test]
    fn json_has_every_number() {
        let read: Value = serde_json::from_str(&written(Format::Json, &[4, 5])).unwrap();
        let point = &read["points"][0];
        assert_eq!(
            point["requests_per_second"],
            json!({"median": 225.0, "least": 200.0, "most": 250.0})
        );
        let errors = json!([{"code": "exhausted", "text": "no more", "count": 3}]);
        assert_eq!(
            point["rounds"][0],
            json!({
                "requests": 1000,
                "identities": 2000,
                "seconds": 4.0,
                "requests_per_second": 250.0,
                "identities_per_second": 500.0,
                "latency_us": {"p50": 50.4, "p90": 90.4, "p99": 99.4, "p99_9": 999.4, "max": 5000.4},
                "own_cpu_us_per_request": 2.0,
                "processes": [
                    {"process": 70, "us_per_request": 8.0},
                    {"process": 71, "us_per_request": 0.016},
                ],
                "errors": errors,
                "unsent": 7,
                "ended": "done",
            })
        );
        assert_eq!(
            (&read["servers"], &read["count"], &read["warmup_s"]),
            (&json!(["10.0.0.1:3264"]), &json!(2), &json!(1.5))
        );
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        let mut nothing = round(0);
        nothing.requests = 0;
        assert_eq!(nothing.throughput(), 0.0);
        assert_eq!(nothing.us_a_request(Duration::from_secs(1)), 0.0);
        assert_eq!(round(1).us_a_request(Duration::from_millis(3)), 3.0);
        assert_eq!(rounded(1.23456), 1.235);
    }

    #[test]
    fn a_line_of_csv_has_a_field_for_each_name() {
        let names: Vec<&str> = CSV_HEADER.split(',').collect();
        assert_eq!(names.len(), 20);
        assert!(names.iter().all(|name| name.trim() == *name));
    }
}
