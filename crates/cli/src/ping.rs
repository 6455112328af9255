//! `ping`: how long a round trip to each server takes.

use std::{
    io::{self, Write},
    time::Duration,
};

use getopts::Matches;
use ipseity_client::{Client, ClientError, ClientOptions};
use ipseity_core::words::{Standing, Status};

use ipseity_console::{Flags, milliseconds};

use crate::{
    at_once::at_once,
    command::{Command, no_more},
    failure::{Failure, Outcome, advice, complain},
    servers,
    unread::Unread,
    values,
};

const COUNT_MAX: u64 = 1_000_000_000;

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
none: standard error says why.",
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
}

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    no_more(&matches.free)?;
    let count = values::number(matches, "n", 1..=COUNT_MAX)?.unwrap_or(1);
    let out = &mut Unread::new(out);
    let clients = servers::clients(matches, ClientOptions::one_round())?;
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
        at_once(&mut asked, ask, |one, answer| one.note(out, answer))?;
    }
    let mut outcome = Outcome::default();
    for one in &pinged {
        one.sum_up(out, &mut outcome)?;
    }
    outcome.end()
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
        answer: Result<(Status, Duration), ClientError>,
    ) -> io::Result<()> {
        match answer {
            Ok((status, trip)) => {
                self.trips.add(trip);
                self.standing = Some(status.standing);
                writeln!(out, "{}: {}", self.client.server(), milliseconds(trip))?;
                out.flush()
            }
            Err(error) => {
                complain(&advice(&error));
                self.failed = true;
                Ok(())
            }
        }
    }

    /// Shows what came of all round trips, and notes it for the exit code.
    fn sum_up(&self, out: &mut dyn Write, outcome: &mut Outcome) -> io::Result<()> {
        let server = self.client.server();
        if self.failed {
            outcome.failed();
        }
        if self.trips.count > 1 {
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
            "{} round trips, least {}, mean {}, most {}",
            self.count,
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
