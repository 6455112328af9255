//! `bench`: how many identities a server hands out, and how fast, with every one of them checked.
//!
//! [`generator`] is the loop that keeps the server busy, [`replies`] takes what it answers, and [`check`]
//! holds that to what is promised. This file runs the rounds and shows what came of them.

mod alarm;
mod check;
mod clock;
mod connection;
mod generator;
mod intervals;
mod pace;
mod plot;
mod process;
mod progress;
mod protocol;
mod replies;
mod report;
mod settings;
mod tally;
mod target;

use std::io::Write;

use getopts::Matches;

use crate::{
    command::{Command, no_more},
    failure::Failure,
};
use check::Checks;
use generator::{Ended, Generator};
use progress::Progress;
use report::Point;
use settings::Settings;

/// The command.
pub const COMMAND: Command = Command {
    name: "bench",
    arguments: "",
    summary: "Measure how much a server can do, and check all that it hands out",
    details: "\
Each connection keeps so many requests in flight, and sends the next when one is answered. With
--rate requests leave at moments of their own. Connections are spread over all servers.

Every identity is held to two promises, in memory that does not grow: it is greater than all that
had been received, over any connection, when it was asked for; and it comes once. One that is
not ends the bench with exit code 1.

Latency is from the moment before a request is written to the moment after its reply is read. The
clock is read once for the replies of one read, so a reply is timed with the last of those that came
with it. Quantiles are right to three digits. The processor time of a --process is that of all its
threads, to a few milliseconds in a round.

To give server and bench a processor each, or the same: taskset -c 1 ipseity-cli bench ...",
    options: settings::options,
    run,
};

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    no_more(&matches.free)?;
    let settings = Settings::of(matches)?;
    if let Some(path) = &settings.plot {
        plot::prepare(path).map_err(Failure::Failed)?;
    }
    let mut generator = Generator::new(&settings).map_err(Failure::Failed)?;
    let mut checks = Checks::default();
    let (points, outcome) = measure(&settings, &mut generator, &mut checks);
    let has_answers = |point: &Point| point.rounds.iter().any(|round| round.requests > 0);
    // A failure that came before the first answer says all there is to say.
    if outcome.is_ok() || points.iter().any(has_answers) {
        report::write(out, &settings, &points, &checks)?;
        // So that it stands before what is said on standard error.
        out.flush()?;
        if let Some(path) = &settings.plot {
            plot::draw(path, &settings, &points).map_err(Failure::Failed)?;
        }
    }
    outcome?;
    refused(&points)?;
    match points.iter().all(has_answers) {
        true => Ok(()),
        false => Err(Failure::Failed(
            "no request was both sent and answered while it was measured: --duration gives it more time"
                .to_owned(),
        )),
    }
}

/// Runs all rounds. They take turns: the first of each point, then the second of each, so that what else
/// the machine does meanwhile hits all points alike. What was measured before a failure is returned with it.
fn measure(
    settings: &Settings,
    generator: &mut Generator,
    checks: &mut Checks,
) -> (Vec<Point>, Result<(), Failure>) {
    let mut points: Vec<Point> = settings
        .points
        .iter()
        .map(|connections| Point {
            connections: *connections,
            rounds: Vec::new(),
        })
        .collect();
    let mut progress = Progress::new(points.len() * settings.rounds);
    let mut outcome = Ok(());
    'rounds: for round in 1..=settings.rounds {
        for point in &mut points {
            progress.begin(format!(
                "{} connections, round {round} of {}",
                point.connections, settings.rounds
            ));
            let measured = generator.round(settings, point.connections, checks, &mut |part| {
                progress.show(part);
            });
            progress.end();
            outcome = match measured {
                Err(error) => Err(Failure::Failed(error)),
                Ok(round) => {
                    let outcome = match &round.ended {
                        Ended::Done => Ok(()),
                        Ended::Interrupted => Err(Failure::Failed("interrupted".to_owned())),
                        Ended::Failed(error) => Err(Failure::Failed(error.clone())),
                    };
                    point.rounds.push(round);
                    outcome
                }
            };
            if outcome.is_err() {
                break 'rounds;
            }
        }
    }
    progress.clear();
    (points, outcome)
}

/// A bench of which a part was refused did not measure what it was asked to.
fn refused(points: &[Point]) -> Result<(), Failure> {
    let rounds = points.iter().flat_map(|point| &point.rounds);
    let errors = rounds.flat_map(|round| &round.errors);
    match errors.map(|error| error.count).sum() {
        0 => Ok(()),
        count => Err(Failure::Failed(format!(
            "{count} requests were answered with errors"
        ))),
    }
}
