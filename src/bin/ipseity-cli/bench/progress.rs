//! A line on a terminal that says how far the bench is. Into a file or a pipe nothing is written.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Steps of the bar in a round.
const STEPS: u64 = 1000;

/// See the [module](self).
pub struct Progress {
    bar: ProgressBar,
    round: u64,
}

impl Progress {
    /// Of so many rounds in all.
    pub fn new(rounds: usize) -> Progress {
        let bar = ProgressBar::with_draw_target(
            Some(rounds as u64 * STEPS),
            // Which draws nothing where there is no terminal.
            ProgressDrawTarget::stderr(),
        );
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}") {
            bar.set_style(style);
        }
        Progress { bar, round: 0 }
    }

    /// The next round begins, which is this.
    pub fn begin(&self, what: String) {
        self.bar.set_message(what);
        self.bar.set_position(self.round * STEPS);
    }

    /// This part of it is done.
    pub fn show(&self, part: f64) {
        let steps = (part.clamp(0.0, 1.0) * STEPS as f64) as u64;
        self.bar.set_position(self.round * STEPS + steps);
    }

    /// It is at its end.
    pub fn end(&mut self) {
        self.round += 1;
    }

    /// Takes the line away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
