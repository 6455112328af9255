//! `ping`: how long a round trip to each server takes.

use std::{
    convert::Infallible,
    io::{self, Write},
    thread,
    time::Duration,
};

use getopts::Matches;
use ipseity_client::{Client, ClientError, ClientOptions};
use ipseity_core::words::{Standing, Status};

use ipseity_console::{Flags, counted, milliseconds};

use crate::{
    at_once::at_once,
    clock,
    command::{Command, no_more},
    failure::{Failure, Outcome, advice, complain},
    json::write_error,
    servers,
    shape::{self, Shape, write_csv},
    unread::Unread,
    unseen::Unseen,
    values,
};

const COUNT_MAX: u64 = 1_000_000_000;

const WAIT_MIN: Duration = Duration::from_millis(1);
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long `--wait` pauses between two attempts. A start takes about a second, and a connection costs next to nothing.
const WAIT_PAUSE: Duration = Duration::from_millis(100);

/// The columns in CSV.
const CSV_HEADER: [&str; 3] = ["server", "round_trip_ms", "error"];

/// The command.
pub const COMMAND: Command = Command {
    name: "ping",
    arguments: "",
    summary: "Measure how long each server takes to answer",
    details: "\
Each round trip is a status request and its reply on an open connection. All servers are asked at
once, and shown in the order in which they are named. When a round trip fails, its server is not
asked again.

Exit code: 0 every server hands out identities, 1 a round trip failed, 3 one of them hands out
none: standard error says why.

With --wait, it waits until every server hands out identities: exit code 0 as soon as they do, and 1
if the time is over before. Then standard error says what each of the others lacks.",
    examples: &[
        ("ipseity-cli ping -n 3", "three round trips"),
        (
            "ipseity-cli ping --wait 10s && ipseity-cli next",
            "wait for a server that is just starting",
        ),
        ("ipseity-cli ping --format json", "for a program"),
    ],
    options,
    run,
};

fn options(options: &mut Flags) {
    options.optopt(
        "n",
        "",
        "how many round trips, one after the other (default: 1)",
        "COUNT",
    );
    options.optopt(
        "",
        "wait",
        "first wait until every server hands out identities, for at most this long: 10s, 1m",
        "DURATION",
    );
    shape::options(options);
    servers::options(options);
}

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    no_more(&matches.free)?;
    let count = values::number(matches, "n", 1..=COUNT_MAX)?.unwrap_or(1);
    let shape = shape::shape(matches)?;
    let wait = values::duration(matches, "wait", WAIT_MIN..=WAIT_MAX)?;
    let out = &mut Unread::new(out);
    let mut clients = servers::clients(matches, ClientOptions::one_round())?;
    if let Some(time) = wait {
        wait_for(&mut clients, time)?;
    }
    if shape == Shape::Csv {
        write_csv(out, CSV_HEADER)?;
    }
    let mut pinged: Vec<Pinged> = clients.into_iter().map(Pinged::new).collect();
    for round in 0..count {
        // At least one round trip: the exit code covers all servers, even if the reader has left.
        if round > 0 && out.has_left() {
            break;
        }
        let mut asked: Vec<&mut Pinged> = pinged.iter_mut().filter(|one| !one.failed).collect();
        if asked.is_empty() {
            break;
        }
        let ask = |one: &mut &mut Pinged| one.client.timed_status();
        at_once(&mut asked, ask, |one, answer| one.note(out, shape, answer))?;
    }
    let mut outcome = Outcome::default();
    for one in &pinged {
        one.sum_up(out, shape, &mut outcome)?;
    }
    outcome.end()
}

/// Waits until every server hands out identities, or the time is over. A server that has done so once is not asked again.
fn wait_for(clients: &mut [Client], time: Duration) -> Result<(), Failure> {
    let begun = clock::stopwatch();
    let mut waited_for: Vec<&mut Client> = clients.iter_mut().collect();
    loop {
        let mut lacking = Vec::new();
        let mut is_ready = Vec::new();
        at_once(
            &mut waited_for,
            |client| client.status(),
            |client, answer| {
                let lacks = match answer {
                    Ok(status) if status.standing.hands_out() => None,
                    Ok(status) => Some(format!(
                        "{} hands out no identities: {}",
                        client.server(),
                        status.standing
                    )),
                    Err(error) => Some(advice(&error)),
                };
                is_ready.push(lacks.is_none());
                lacking.extend(lacks);
                Ok::<(), Infallible>(())
            },
        )
        .unwrap_or_else(|never| match never {});
        if lacking.is_empty() {
            return Ok(());
        }
        let left = time.saturating_sub(begun.elapsed());
        if left.is_zero() {
            for lack in &lacking {
                complain(lack);
            }
            return Err(Failure::Said);
        }
        let mut is_ready = is_ready.into_iter();
        waited_for.retain(|_| is_ready.next() != Some(true));
        thread::sleep(WAIT_PAUSE.min(left));
    }
}

/// A server, and what came of asking it so far.
struct Pinged {
    client: Client,
    trips: Trips,
    /// What it said last.
    standing: Option<Standing>,
    /// A round trip failed, so it is not asked again.
    failed: bool,
}

impl Pinged {
    fn new(client: Client) -> Pinged {
        Pinged {
            client,
            trips: Trips::default(),
            standing: None,
            failed: false,
        }
    }

    /// Notes and shows how one round trip went.
    fn note(
        &mut self,
        out: &mut dyn Write,
        shape: Shape,
        answer: Result<(Status, Duration), ClientError>,
    ) -> io::Result<()> {
        match answer {
            Ok((status, trip)) => {
                self.trips.add(trip);
                self.standing = Some(status.standing);
                let server = self.client.server();
                let ms = trip.as_secs_f64() * 1000.0;
                match shape {
                    Shape::Text => writeln!(out, "{server}: {}", milliseconds(trip)),
                    Shape::Json => {
                        writeln!(out, r#"{{"server":"{server}","round_trip_ms":{ms:.3}}}"#)
                    }
                    Shape::Csv => writeln!(out, "{server},{ms:.3},"),
                }?;
                out.flush()
            }
            Err(error) => {
                let server = self.client.server().to_string();
                match shape {
                    Shape::Text => {}
                    Shape::Json => write_error(out, &server, &error)?,
                    Shape::Csv => {
                        let fields = [server, String::new(), Unseen::new(&error).reason];
                        write_csv(out, fields)?;
                    }
                }
                out.flush()?;
                complain(&advice(&error));
                self.failed = true;
                Ok(())
            }
        }
    }

    /// Shows what came of all round trips, and notes it for the exit code.
    fn sum_up(&self, out: &mut dyn Write, shape: Shape, outcome: &mut Outcome) -> io::Result<()> {
        let server = self.client.server();
        if self.failed {
            outcome.failed();
        }
        if self.trips.count > 1 && shape == Shape::Text {
            writeln!(out, "{server}: {}", self.trips.summary())?;
            out.flush()?;
        }
        if let Some(standing) = self.standing {
            outcome.stands(standing);
            if !standing.hands_out() {
                complain(&format!("{server} hands out no identities: {standing}"));
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Trips {
    count: u64,
    sum: Duration,
    least: Option<Duration>,
    most: Duration,
}

impl Trips {
    fn add(&mut self, trip: Duration) {
        self.count += 1;
        self.sum += trip;
        self.least = Some(self.least.map_or(trip, |least| least.min(trip)));
        self.most = self.most.max(trip);
    }

    fn summary(&self) -> String {
        let mean = self.sum.div_f64(self.count as f64);
        format!(
            "{}, least {}, mean {}, most {}",
            counted(self.count, "round trip"),
            milliseconds(self.least.unwrap_or_default()),
            milliseconds(mean),
            milliseconds(self.most)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_the_least_the_mean_and_the_most() {
        let mut trips = Trips::default();
        for us in [200, 100, 600] {
            trips.add(Duration::from_micros(us));
        }
        assert_eq!(
            trips.summary(),
            "3 round trips, least 0.100 ms, mean 0.300 ms, most 0.600 ms"
        );
    }
}
