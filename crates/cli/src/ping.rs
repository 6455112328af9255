//! `ping`: how long a round trip to each server takes.

use std::{io::Write, time::Duration};

use getopts::{Matches, Options};
use ipseity_client::ClientOptions;

use ipseity_console::milliseconds;

use crate::{
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
Each round trip is a status request and its reply on an open connection. When one fails, its server
is not asked again.

Exit code: 0 every server hands out identities, 1 a round trip failed, 3 one of them hands out
none: standard error says why.",
    options,
    run,
};

fn options(options: &mut Options) {
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
    let mut outcome = Outcome::default();
    for mut client in servers::clients(matches, ClientOptions::default())? {
        let mut trips = Trips::default();
        let mut standing = None;
        let server = client.server().clone();
        // At least one round trip: the exit code covers all servers, even if the reader has left.
        while trips.count == 0 || (trips.count < count && !out.has_left()) {
            match client.timed_status() {
                Ok((status, trip)) => {
                    trips.add(trip);
                    standing = Some(status.standing);
                    writeln!(out, "{server}: {}", milliseconds(trip))?;
                    out.flush()?;
                }
                Err(error) => {
                    complain(&advice(&error));
                    outcome.failed();
                    break;
                }
            }
        }
        if trips.count > 1 {
            writeln!(out, "{server}: {}", trips.summary())?;
            out.flush()?;
        }
        if let Some(standing) = standing {
            outcome.stands(standing);
            if !standing.hands_out() {
                complain(&format!("{server} hands out no identities: {standing}"));
            }
        }
    }
    outcome.end()
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
