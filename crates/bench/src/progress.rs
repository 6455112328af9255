//! A line on a terminal that says how far the bench is. Into a file or a pipe nothing is written.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Steps of the bar in a round.
const STEPS: u64 = 1000;

/// The progress bar of a bench. It shows nothing if standard error is not a terminal.
pub struct Progress {
    bar: ProgressBar,
    round: u64,
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
        Progress { bar, round: 0 }
    }

    /// The next round begins. `what` is shown beside the bar.
    pub fn begin(&self, what: String) {
        self.bar.set_message(what);
        self.bar.set_position(self.round * STEPS);
    }

    /// This part of the round is done, from 0 to 1.
    pub fn show(&self, part: f64) {
        let steps = (part.clamp(0.0, 1.0) * STEPS as f64) as u64;
        self.bar.set_position(self.round * STEPS + steps);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_an_equal_part_of_the_bar() {
        let mut progress = Progress::new(2);
        let at = |progress: &Progress| (progress.bar.position(), progress.bar.length());
        progress.begin("one".to_owned());
        progress.show(0.5);
        assert_eq!(at(&progress), (500, Some(2000)));
        // A round may take longer than planned.
        progress.show(7.0);
        assert_eq!(at(&progress), (1000, Some(2000)));
        progress.end();
        progress.begin("two".to_owned());
        assert_eq!(at(&progress), (1000, Some(2000)));
        progress.show(0.25);
        assert_eq!(at(&progress), (1250, Some(2000)));
    }
}
