//! A line on a terminal that says how far the bench is. Into a file or a pipe nothing is written.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ipseity_console::grouped;

use crate::clock::{Clock, Moment};

/// Steps of the bar in a round.
const STEPS: u64 = 1000;

/// The rate is that over at least this time, so that its digits can be read before they change.
const RATE_OVER: Duration = Duration::from_millis(250);

/// The progress bar of a bench. It shows nothing if standard error is not a terminal.
pub struct Progress {
    bar: ProgressBar,
    clock: Clock,
    begun: Moment,
    round: u64,
    /// What is measured in this round.
    what: String,
    /// When the rate was shown last, and how many requests had been answered then.
    shown: (Moment, u64),
}

impl Progress {
    /// A bar for this many rounds.
    pub fn new(rounds: usize) -> Progress {
        let bar = ProgressBar::with_draw_target(
            Some(rounds as u64 * STEPS),
            // It draws nothing if there is no terminal.
            ProgressDrawTarget::stderr(),
        );
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}") {
            bar.set_style(style);
        }
        let clock = Clock::start();
        let begun = clock.now();
        Progress {
            bar,
            clock,
            begun,
            round: 0,
            what: String::new(),
            shown: (begun, 0),
        }
    }

    /// The next round begins. `what` is shown beside the bar.
    pub fn begin(&mut self, what: String) {
        self.bar.set_message(what.clone());
        self.what = what;
        self.shown = (self.clock.now(), 0);
        self.bar.set_position(self.round * STEPS);
    }

    /// This part of the round is done, from 0 to 1, and so many requests have been answered in it.
    pub fn show(&mut self, part: f64, requests: u64) {
        let steps = (part.clamp(0.0, 1.0) * STEPS as f64) as u64;
        let done = self.round * STEPS + steps;
        self.bar.set_position(done);
        let now = self.clock.now();
        let (before, answered) = self.shown;
        if now.since(before) < RATE_OVER {
            return;
        }
        self.shown = (now, requests);
        let rate = rate(requests.saturating_sub(answered), now.since(before));
        let left = match left(now.since(self.begun), done, self.bar.length()) {
            Some(left) => format!(", {} left", humantime::format_duration(left)),
            None => String::new(),
        };
        let what = &self.what;
        self.bar
            .set_message(format!("{what}, {} requests/s{left}", grouped(rate)));
    }

    /// The round has ended.
    pub fn end(&mut self) {
        self.round += 1;
    }

    /// Removes the bar from the screen, so that the result is not written after it.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Requests a second.
fn rate(requests: u64, time: Duration) -> u64 {
    (requests as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)) as u64
}

/// How long the rest takes if it goes on as before, in whole seconds; `None` while that is not known.
fn left(elapsed: Duration, done: u64, all: Option<u64>) -> Option<Duration> {
    let rest = all?.checked_sub(done)?;
    let seconds = elapsed.as_secs_f64() * rest as f64 / done as f64;
    Duration::try_from_secs_f64(seconds.ceil()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_an_equal_part_of_the_bar() {
        let mut progress = Progress::new(2);
        let at = |progress: &Progress| (progress.bar.position(), progress.bar.length());
        progress.begin("one".to_owned());
        progress.show(0.5, 10);
        assert_eq!(at(&progress), (500, Some(2000)));
        // A round may take longer than planned.
        progress.show(7.0, 20);
        assert_eq!(at(&progress), (1000, Some(2000)));
        progress.end();
        progress.begin("two".to_owned());
        assert_eq!(at(&progress), (1000, Some(2000)));
        progress.show(0.25, 5);
        assert_eq!(at(&progress), (1250, Some(2000)));
    }

    #[test]
    fn the_rest_takes_as_long_as_what_is_done_did() {
        let seconds = Duration::from_secs;
        assert_eq!(left(seconds(3), 250, Some(1000)), Some(seconds(9)));
        assert_eq!(left(seconds(3), 1000, Some(1000)), Some(seconds(0)));
        // Nothing is done yet, or no end is known.
        assert_eq!(left(seconds(3), 0, Some(1000)), None);
        assert_eq!(left(seconds(3), 5, None), None);
        assert_eq!(rate(500, Duration::from_millis(250)), 2000);
    }
}
