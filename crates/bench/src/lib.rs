//! The load generator: how many identities a server hands out, and how fast, with every one of them checked.
//!
//! `generator` is the loop that keeps the server busy, `replies` reads what it answers, and `check` compares that with
//! what is promised. This file runs the rounds and shows the result.

mod alarm;
mod check;
mod clock;
mod connection;
mod draft;
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

use std::io::{self, Write};

use check::Checks;
use draft::Draft;
use generator::{Ended, Generator};
use ipseity_console::counted;
use progress::Progress;
use report::Point;

pub use pace::Amount;
pub use settings::{Format, Settings};
pub use target::{Target, parse_url};

/// Why a bench ended before its end.
#[derive(Debug)]
pub enum BenchError {
    /// The result could not be written.
    Output(io::Error),
    /// Something was not measured: one line that says what happened, where, and what to do.
    Failed(String),
}

impl From<io::Error> for BenchError {
    fn from(error: io::Error) -> BenchError {
        BenchError::Output(error)
    }
}

/// Measures what `settings` ask for, and writes the result to `out`.
///
/// # Errors
/// Something could not be measured in full, or the result could not be written. What was measured before that is
/// written in any case.
pub fn run(settings: &Settings, out: &mut dyn Write) -> Result<(), BenchError> {
    let draft = settings.plot.as_deref().map(Draft::beside).transpose();
    let draft = draft.map_err(BenchError::Failed)?;
    let mut generator = Generator::new(settings).map_err(BenchError::Failed)?;
    let mut checks = Checks::default();
    let (points, outcome) = measure(settings, &mut generator, &mut checks);
    let has_answers = |point: &Point| point.rounds.iter().any(|round| round.requests > 0);
    // A failure that came before the first answer says all there is to say.
    if outcome.is_ok() || points.iter().any(has_answers) {
        report::write(out, settings, &points, &checks)?;
        // Flushed, so that it is shown before what is written to standard error.
        out.flush()?;
        if let Some(draft) = draft {
            let picture = plot::picture(settings, &points);
            picture
                .and_then(|picture| draft.publish(&picture))
                .map_err(BenchError::Failed)?;
        }
    }
    outcome?;
    refused(&points)?;
    match points.iter().all(has_answers) {
        true => Ok(()),
        false => Err(BenchError::Failed(
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
) -> (Vec<Point>, Result<(), BenchError>) {
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
                "{}, round {round} of {}",
                counted(point.connections as u64, "connection"),
                settings.rounds
            ));
            let measured = generator.round(
                settings,
                point.connections,
                checks,
                &mut |part, requests| {
                    progress.show(part, requests);
                },
            );
            progress.end();
            outcome = match measured {
                Err(error) => Err(BenchError::Failed(error)),
                Ok(round) => {
                    let outcome = match &round.ended {
                        Ended::Done => Ok(()),
                        Ended::Interrupted => Err(BenchError::Failed("interrupted".to_owned())),
                        Ended::Failed(error) => Err(BenchError::Failed(error.clone())),
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

/// Fails if any request was refused: then the bench did not measure what it was asked to.
fn refused(points: &[Point]) -> Result<(), BenchError> {
    let rounds = points.iter().flat_map(|point| &point.rounds);
    let errors = rounds.flat_map(|round| &round.errors);
    match errors.map(|error| error.count).sum() {
        0 => Ok(()),
        1 => Err(BenchError::Failed(
            "1 request was answered with an error".to_owned(),
        )),
        count => Err(BenchError::Failed(format!(
            "{count} requests were answered with errors"
        ))),
    }
}
