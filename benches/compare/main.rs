//! Compares Ipseity with a floor, with servers that people use instead, and with the kinds of servers in the essay.
//! It prints the tables of docs/benchmarks.md as Markdown, except those of the last two sections.
//!
//! ```text
//! cargo bench --bench compare                           everything, in less than twenty minutes
//! cargo bench --bench compare -- floor essay            only these sections
//! cargo bench --bench compare -- --plot docs/sweep.svg  draw the sweep, too
//! cargo bench --bench compare -- --quick                everything, so short that it only shows that it works
//! cargo bench --bench compare -- serve locker           one of the other servers, until it is killed
//! ```
//!
//! Each sample is one run of `ipseity-cli bench`, of wrk for HTTP, or of a client that comes with the other server.
//! Servers that are compared alternate, round by round, so that other work of the machine affects all of them. A server
//! that is not installed is left out, with a line that says so.

#![allow(
    clippy::disallowed_macros,
    reason = "benchmarks print, and may fail if they cannot"
)]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a panic is the report, and a benchmark has to read the clock"
)]

mod build;
mod bursts;
mod flood;
mod go;
mod grpc;
mod http;
mod instead;
mod load;
mod memory;
mod postgres;
mod sample;
mod speed;
mod subject;
mod sweep;
mod tls;

use std::{net::TcpListener, path::PathBuf, process::ExitCode, time::Duration};

use sample::Plan;

/// A section of the output: its name on the command line, and what prints it.
type Section = (&'static str, fn(&Plan));

const SECTIONS: &[Section] = &[
    ("machine", build::machine),
    ("floor", speed::floor),
    ("others", speed::others),
    ("disk", speed::disk),
    ("grpc", speed::grpc),
    ("instead", instead::instead),
    ("durable", speed::durable),
    ("store", speed::store),
    ("blocks", speed::blocks),
    ("essay", speed::essay),
    ("sweep", sweep::sweep),
    ("flood", flood::flood),
    ("bursts", bursts::bursts),
    ("memory", memory::memory),
    ("tls", tls::tls),
    ("http", http::http),
    ("build", build::build),
];

fn main() -> ExitCode {
    // cargo adds a flag of its own.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let outcome = match words.first().map(String::as_str) {
        Some("serve") => serve(&words[1..]),
        _ => compare(&words),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Becomes one of the other servers.
fn serve(words: &[String]) -> Result<(), String> {
    let names: Vec<&str> = ipseity_baselines::Baseline::ALL
        .iter()
        .map(|kind| kind.name())
        .collect();
    let (name, listen) = match words {
        [name] => (name, "127.0.0.1:3264"),
        [name, flag, listen] if flag == "--listen" => (name, listen.as_str()),
        _ => {
            return Err(format!(
                "serve needs one of {} [--listen HOST:PORT]",
                names.join(", ")
            ));
        }
    };
    let kind = ipseity_baselines::Baseline::from_name(name)
        .ok_or_else(|| format!("{name:?} is not one of {}", names.join(", ")))?;
    let cannot = |error: std::io::Error| format!("cannot listen on {listen}: {error}");
    let listener = TcpListener::bind(listen).map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    eprintln!("{name} listens on {address}");
    Err(format!("{name} cannot go on: {}", kind.serve(listener)))
}

/// Prints the sections that the command line names.
fn compare(words: &[String]) -> Result<(), String> {
    let mut plan = Plan::full();
    let mut chosen = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--quick" => plan = Plan::quick(plan.plot),
            "--plot" => {
                let path = rest.next().ok_or("--plot needs a file")?;
                plan.plot = Some(PathBuf::from(path));
            }
            name => match SECTIONS.iter().find(|(section, _)| *section == name) {
                Some((_, print)) => chosen.push(print),
                None => {
                    let names: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
                    return Err(format!(
                        "{name:?} is not a section; there are {}, and the flags --quick and --plot FILE.svg",
                        names.join(", ")
                    ));
                }
            },
        }
    }
    // For the ten thousand connections.
    let wanted = ipseity::os::Places {
        connections: plan.idle_connections,
        http: 0,
    };
    let descriptors = ipseity::os::raise_limit(wanted, ipseity::os::Others::default())
        .map_err(|error| error.to_string())?;
    plan.idle_connections = descriptors.places.connections;
    if chosen.is_empty() {
        chosen.extend(SECTIONS.iter().map(|(_, print)| print));
    }
    for print in chosen {
        print(&plan);
    }
    Ok(())
}

/// How long a sample lasts, unless a section has a reason for more or less.
const SAMPLE: Duration = Duration::from_secs(1);
