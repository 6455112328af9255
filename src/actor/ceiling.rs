//! How far the disk allows, and when to ask it for more.
//!
//! Handing out a sequence is allowed only at or below a ceiling that this boot has made durable. The
//! ceiling is raised ahead of need, when half of the last step is left, in steps that follow demand: a
//! busy server writes about once a second, an idle one asks for little. This is the high-low allocation of
//! databases with a step that adapts.

use crate::{
    identity::Sequence,
    limits::{STEP_DEMAND_FLOOR, STEP_MAX, STEP_MIN, STEP_SPAN},
    time::Instant,
};

/// The durable ceiling and the raise that is under way.
#[derive(Clone, Debug)]
pub(super) struct Ceiling {
    durable: Sequence,
    /// The sequence at which the next raise is due; `None` while one is under way, and at the very end.
    raise_at: Option<Sequence>,
    writing: Option<Sequence>,
    step: u64,
    /// When the last raise was asked for, and how far the sequence had come by then.
    asked_at: Instant,
    asked_sequence: Sequence,
}

impl Ceiling {
    /// Starts below a ceiling that this boot has made durable, `sequence` being where it starts.
    pub(super) fn new(sequence: Sequence, durable: Sequence) -> Ceiling {
        let step = durable.ahead_of(sequence);
        let mut ceiling = Ceiling {
            durable,
            raise_at: None,
            writing: None,
            step,
            asked_at: Instant::START,
            asked_sequence: sequence,
        };
        ceiling.arm();
        ceiling
    }

    /// The highest sequence that may be handed out.
    pub(super) const fn durable(&self) -> Sequence {
        self.durable
    }

    /// Whether a write is under way.
    pub(super) const fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Whether `sequence` has come so far that a raise is due.
    #[inline]
    pub(super) fn is_due(&self, sequence: Sequence) -> bool {
        self.raise_at.is_some_and(|raise_at| sequence >= raise_at)
    }

    /// The ceiling to ask the disk for, now that the actor has come to `sequence`.
    ///
    /// The step is as far as the sequence moved in the last span, times two, because the next raise is due
    /// when half is left. What was absorbed counts like what was handed out: a server that follows busy
    /// peers needs the disk no more often than they do.
    pub(super) fn raise(&mut self, sequence: Sequence, now: Instant) -> Sequence {
        let elapsed = now.since(self.asked_at).max(STEP_DEMAND_FLOOR);
        let moved = u128::from(sequence.ahead_of(self.asked_sequence));
        let demand = moved * STEP_SPAN.as_nanos() / elapsed.as_nanos();
        self.step = u64::try_from(2 * demand)
            .unwrap_or(STEP_MAX)
            .clamp(STEP_MIN, STEP_MAX);
        self.asked_at = now;
        self.asked_sequence = sequence;
        self.raise_at = None;
        let target = sequence.max(self.durable).saturating_add(self.step);
        self.writing = Some(target);
        target
    }

    /// Hears that the write is durable.
    ///
    /// # Panics
    /// When none was asked for: a ceiling that nobody wrote would be a mistake of this program.
    pub(super) fn raised(&mut self) -> Sequence {
        self.durable = self
            .writing
            .take()
            .expect("only a raise that was asked for becomes durable");
        self.arm();
        self.durable
    }

    /// Hears that the write failed: no raise is ever asked for again.
    pub(super) fn failed(&mut self) {
        self.writing = None;
        self.raise_at = None;
    }

    fn arm(&mut self) {
        let half = Sequence::new(self.durable.get() - (self.step / 2).min(self.durable.get()));
        self.raise_at = if self.durable < Sequence::MAX {
            half
        } else {
            None
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sequence(value: u64) -> Sequence {
        Sequence::new(value).unwrap()
    }

    #[test]
    fn a_raise_is_due_when_half_of_the_step_is_left() {
        let ceiling = Ceiling::new(sequence(1000), sequence(2000));
        assert!(!ceiling.is_due(sequence(1499)));
        assert!(ceiling.is_due(sequence(1500)));
    }

    #[test]
    fn the_step_follows_demand_between_its_bounds() {
        let mut ceiling = Ceiling::new(Sequence::ZERO, sequence(STEP_MIN));
        // 50,000 in a quarter of a second is 200,000 a second, and the step is twice that.
        let now = Instant::START.after(STEP_SPAN / 4);
        assert_eq!(
            ceiling.raise(sequence(50_000), now),
            sequence(50_000 + 400_000)
        );
        assert!(ceiling.is_writing());
        assert!(!ceiling.is_due(Sequence::MAX), "one raise at a time");
        assert_eq!(ceiling.raised(), sequence(450_000));
        assert!(!ceiling.is_due(sequence(249_999)));
        assert!(ceiling.is_due(sequence(250_000)));
        // An hour of nothing brings it back to the least.
        let later = now.after(Duration::from_secs(3600));
        assert_eq!(
            ceiling.raise(sequence(250_000), later),
            sequence(450_000 + STEP_MIN)
        );
        ceiling.raised();
        // And no jump brings it over the most.
        assert_eq!(
            ceiling.raise(sequence(1 << 50), later),
            sequence((1 << 50) + STEP_MAX)
        );
    }

    #[test]
    fn nothing_is_asked_for_beyond_the_last_sequence() {
        let mut ceiling = Ceiling::new(
            sequence(Sequence::MAX.get() - 10),
            sequence(Sequence::MAX.get() - 2),
        );
        let target = ceiling.raise(sequence(Sequence::MAX.get() - 3), Instant::START);
        assert_eq!(target, Sequence::MAX);
        ceiling.raised();
        assert!(!ceiling.is_due(Sequence::MAX));
    }

    #[test]
    fn after_a_failure_nothing_is_asked_for() {
        let mut ceiling = Ceiling::new(Sequence::ZERO, sequence(STEP_MIN));
        ceiling.raise(sequence(600), Instant::START);
        ceiling.failed();
        assert!(!ceiling.is_writing());
        assert!(!ceiling.is_due(Sequence::MAX));
        assert_eq!(ceiling.durable(), sequence(STEP_MIN));
    }
}
