//! `bench`: how many identities a server hands out, and how fast, with every one of them checked. This file
//! reads the command line; the load generator is a crate of its own.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use getopts::Matches;
use ipseity_bench::{Amount, BenchError, Format, Settings, Target, parse_url};
use ipseity_client::{ClientOptions, ServerAddress};
use ipseity_console::{Flags, dashed};
use ipseity_core::limits::COUNT_LIMIT_MAX;

use crate::{
    command::{Command, no_more},
    failure::Failure,
    servers,
    shape::{self, Shape},
    values,
};

const CONNECTIONS_DEFAULT: usize = 50;

/// As many as there are ports at this end, for one address of a server.
const CONNECTIONS_MAX: usize = 64_000;

/// With this many in flight no network in use is short of work, and the requests take a megabyte.
const IN_FLIGHT_MAX: u64 = 65_536;

const REQUESTS_MAX: u64 = 1_000_000_000_000;
const DURATION_DEFAULT: Duration = Duration::from_secs(5);
const DURATION_SWEEP_DEFAULT: Duration = Duration::from_secs(1);
const DURATION_MIN: Duration = Duration::from_millis(1);
const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// A request each ten nanoseconds, which no generator comes near.
const RATE_MAX: u64 = 100_000_000;

const ROUNDS_MAX: u64 = 1000;

/// As many points as a plot has room for.
const POINTS_MAX: usize = 1000;

/// The command.
pub const COMMAND: Command = Command {
    name: "bench",
    arguments: "",
    summary: "Measure how much a server can do, and check every identity",
    details: "\
Each connection keeps -P requests in flight, and sends the next one when one is answered. With
--rate, requests are sent at a fixed rate instead. The connections are spread over all servers.

Every identity is checked, in memory that does not grow. It must be greater than every identity that
had been received, on any connection, when it was asked for. And it must not come twice. If one
breaks these rules, the bench ends with exit code 1.

Latency is the time from just before a request is written to just after its reply is read. Replies
that are read together have the time of the last of them. Quantiles are exact to three digits. The
processor time of a --process is that of all its threads, exact to a few milliseconds a round.

To put the bench on a certain processor: taskset -c 1 ipseity-cli bench ...",
    examples: &[
        (
            "ipseity-cli bench -c 50 -P 16 --duration 1s",
            "as much as the server can do",
        ),
        (
            "ipseity-cli bench --rate 2000 --duration 1s",
            "how long requests take at a given load",
        ),
        (
            "ipseity-cli bench --sweep 1,10,100 --duration 100ms --plot sweep.svg",
            "draw it against the connections",
        ),
    ],
    options,
    run,
};

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    no_more(&matches.free)?;
    ipseity_bench::run(&settings(matches)?, out).map_err(|error| match error {
        BenchError::Output(error) => error.into(),
        BenchError::Failed(text) => Failure::Failed(text),
    })
}

/// Declares the flags of `bench`.
pub fn options(options: &mut Flags) {
    options.optopt("c", "", "how many connections (default: 50)", "COUNT");
    options.optopt(
        "P",
        "",
        "how many requests each connection keeps in flight (default: 1)",
        "COUNT",
    );
    options.optopt(
        "n",
        "",
        "how many requests to send, in place of --duration",
        "COUNT",
    );
    options.optopt(
        "",
        "duration",
        "how long to send: 250ms, 2s; a bare number means milliseconds (default: 5s, with --sweep 1s)",
        "DURATION",
    );
    options.optopt(
        "",
        "count",
        "how many identities to ask for in each request (default: 1)",
        "COUNT",
    );
    options.optopt(
        "",
        "rate",
        "send this many requests a second in all, whether or not they are answered (an open loop); \
         latency then begins when a request should have been sent",
        "RATE",
    );
    options.optopt(
        "",
        "warmup",
        "send for this long before measuring begins (default: 0)",
        "DURATION",
    );
    options.optopt(
        "",
        "rounds",
        "how many times to measure (default: 1)",
        "COUNT",
    );
    options.optopt(
        "",
        "sweep",
        "measure with each of these numbers of connections: 1..42, or 1,10,100..105",
        "LIST",
    );
    options.optopt(
        "",
        "plot",
        "draw the sweep into this file, as SVG",
        "FILE.svg",
    );
    shape::options(options);
    options.optopt(
        "",
        "target",
        "measure another server than Ipseity: redis://HOST[:PORT] (INCR), memcached://HOST[:PORT] \
         (incr), or raw://HOST[:PORT], which answers each request with any 15 bytes",
        "URL",
    );
    options.optmulti(
        "",
        "process",
        "also measure the processor time of this process, by its id on this machine; may be repeated",
        "ID",
    );
    servers::options_of_any_cluster(options);
}

/// Reads the flags. Each must be in its range, and has its default if it is not given.
fn settings(matches: &Matches) -> Result<Settings, Failure> {
    let (target, servers) = target_and_servers(matches)?;
    let number = |name, range| values::number(matches, name, range);
    let sweep = matches.opt_str("sweep").map(|text| points(&text));
    let sweep = sweep.transpose()?;
    let connections = number("c", 1..=CONNECTIONS_MAX as u64)?;
    refuse_both(matches, "c", "sweep")?;
    refuse_both(matches, "n", "duration")?;
    let is_sweep = sweep.is_some();
    let plot = matches.opt_str("plot").map(PathBuf::from);
    if plot.is_some() && !is_sweep {
        return Err(Failure::Usage(
            "--plot needs --sweep: that is what it draws".to_owned(),
        ));
    }
    if let Some(path) = plot.as_ref().filter(|path| !is_svg(path)) {
        return Err(Failure::Usage(format!(
            "--plot takes a file whose name ends with .svg, not {path:?}"
        )));
    }
    let time = values::duration(matches, "duration", DURATION_MIN..=DURATION_MAX)?;
    let amount = match (number("n", 1..=REQUESTS_MAX)?, time) {
        (Some(requests), _) => Amount::Requests(requests),
        (None, Some(time)) => Amount::For(time),
        (None, None) if is_sweep => Amount::For(DURATION_SWEEP_DEFAULT),
        (None, None) => Amount::For(DURATION_DEFAULT),
    };
    let dialer = servers::dialer(matches, &servers)?;
    Ok(Settings {
        target,
        servers,
        points: sweep.unwrap_or_else(|| {
            vec![connections.map_or(CONNECTIONS_DEFAULT, |count| count as usize)]
        }),
        is_sweep,
        in_flight: number("P", 1..=IN_FLIGHT_MAX)?.unwrap_or(1) as u32,
        count: number("count", 1..=u64::from(COUNT_LIMIT_MAX))?.unwrap_or(1) as u32,
        amount,
        rate: number("rate", 1..=RATE_MAX)?,
        warmup: values::duration(matches, "warmup", Duration::ZERO..=DURATION_MAX)?
            .unwrap_or_default(),
        rounds: number("rounds", 1..=ROUNDS_MAX)?.unwrap_or(1) as usize,
        processes: processes(matches)?,
        timeouts: servers::client_options(matches, ClientOptions::one_round())?,
        dialer,
        format: format(matches)?,
        plot,
    })
}

/// A plot replaces the file that is there, so a mistyped name must not cost somebody another file.
fn is_svg(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("svg"))
}

fn target_and_servers(matches: &Matches) -> Result<(Target, Vec<ServerAddress>), Failure> {
    refuse_both(matches, "target", "server")?;
    match matches.opt_str("target") {
        None => Ok((Target::Ipseity, servers::addresses(matches)?)),
        Some(url) => {
            let (target, server) =
                parse_url(&url).map_err(|error| Failure::Usage(format!("--target: {error}")))?;
            Ok((target, vec![server]))
        }
    }
}

fn refuse_both(matches: &Matches, one: &str, other: &str) -> Result<(), Failure> {
    if matches.opt_present(one) && matches.opt_present(other) {
        let (one, other) = (dashed(one), dashed(other));
        return Err(Failure::Usage(format!(
            "{one} and {other} cannot be given together"
        )));
    }
    Ok(())
}

/// Reads `1..42` and `1,10,100..105`: ascending numbers from 1 to [`CONNECTIONS_MAX`], at most [`POINTS_MAX`] of
/// them.
fn points(text: &str) -> Result<Vec<usize>, Failure> {
    let wrong = || {
        Failure::Usage(format!(
            "--sweep takes up to {POINTS_MAX} numbers from 1 to {CONNECTIONS_MAX} that ascend, such as \
             1..42 or 1,10,100, not {text:?}"
        ))
    };
    let number = |text: &str| match ipseity_console::number(text, 1..=CONNECTIONS_MAX as u64) {
        Ok(number) => Ok(number as usize),
        Err(_) => Err(wrong()),
    };
    let mut points = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once("..").unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last || last - first >= POINTS_MAX {
            return Err(wrong());
        }
        points.extend(first..=last);
    }
    let ascends = points.is_sorted_by(|one, next| one < next);
    match points.len() <= POINTS_MAX && ascends {
        true => Ok(points),
        false => Err(wrong()),
    }
}

fn processes(matches: &Matches) -> Result<Vec<u32>, Failure> {
    let wrong = |text: &String| {
        Failure::Usage(format!(
            "--process takes the id of a process, as ps shows it, not {text:?}"
        ))
    };
    let texts = matches.opt_strs("process");
    let parse = |text: &String| match ipseity_console::number(text, 1..=u64::from(u32::MAX)) {
        Ok(id) => Ok(id as u32),
        Err(_) => Err(wrong(text)),
    };
    texts.iter().map(parse).collect()
}

fn format(matches: &Matches) -> Result<Format, Failure> {
    Ok(match shape::shape(matches)? {
        Shape::Text => Format::Text,
        Shape::Json => Format::Json,
        Shape::Csv => Format::Csv,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_a_list_of_numbers_and_ranges() {
        let good = |text| points(text).unwrap();
        assert_eq!(good("1..42"), (1..=42).collect::<Vec<_>>());
        assert_eq!(good("1,10,100..102"), [1, 10, 100, 101, 102]);
        assert_eq!(good("7"), [7]);
        for text in [
            "", "0", "0..3", "3..1", "1...3", "1..", "..3", "1,1", "2,1", "a", "+1", "1, 2",
            "1..1001", "64001",
        ] {
            assert!(points(text).is_err(), "{text}");
        }
    }
}
