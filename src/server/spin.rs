//! Whether the loop looks again before it sleeps.
//!
//! A client that gets its answer often asks again within microseconds. If the loop sleeps by then, waking it takes longer
//! than the request. So behind a turn that answered somebody, the loop may look for a few microseconds before it sleeps: it
//! *spins*. A look is a turn whose poll does not wait, so signals, timers and helper threads are seen as always.
//!
//! It pays only while clients run on another CPU. So a record is kept of the last spins, and the loop spins only while
//! most of them met something. While they do not, one is tried now and then. One that met something is followed by another
//! behind the next answer, so a client that has become fast is noticed within a few requests.
//!
//! This is pure: no clock is read here, the present moment is an argument.

use std::time::Duration;

use ipseity_core::{time::Instant, words::SpinStatus};

use crate::limits::{SPIN_TRIAL_TURNS, SPINS_RECORDED};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Spin {
    /// How long it may take. `None`: the loop never spins.
    most: Option<Duration>,
    phase: Phase,
    /// The last spins, the newest in the lowest bit: a one if it met something.
    record: u32,
    /// Turns with answers until a spin is tried, while most spins meet nothing.
    until_trial: u32,
    spins: u64,
    met: u64,
    took: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The next poll may wait.
    Over,
    /// A turn has answered somebody. Whether the loop spins behind it is not decided.
    Answered,
    /// The next poll is the first look. What it finds came during the turn, so this says nothing about spins.
    First,
    /// The first look has found nothing, at this moment.
    Since(Instant),
}

impl Spin {
    /// For a process that may use so many CPUs. With one, whoever is to send something cannot do so while the loop spins.
    pub(super) fn new(most: Option<Duration>, cpus: usize) -> Spin {
        Spin {
            most: most.filter(|_| cpus > 1),
            phase: Phase::Over,
            record: 0,
            until_trial: SPIN_TRIAL_TURNS,
            spins: 0,
            met: 0,
            took: Duration::ZERO,
        }
    }

    /// This turn answers requests for identities.
    #[inline(always)]
    pub(super) fn answers(&mut self) {
        self.phase = Phase::Answered;
    }

    /// Whether the next poll is to look and not to wait. To be asked once before each poll.
    #[inline(always)]
    pub(super) fn looks(&mut self) -> bool {
        match self.phase {
            Phase::Over => false,
            Phase::Answered => self.begins(),
            Phase::First | Phase::Since(_) => true,
        }
    }

    fn begins(&mut self) -> bool {
        let spins = self.most.is_some() && (self.pays() || self.is_trial());
        self.phase = match spins {
            true => Phase::First,
            false => Phase::Over,
        };
        spins
    }

    /// Most of the last spins met something.
    fn pays(&self) -> bool {
        self.record.count_ones() > SPINS_RECORDED / 2
    }

    fn is_trial(&mut self) -> bool {
        self.until_trial -= 1;
        let is_trial = self.until_trial == 0;
        if is_trial {
            self.until_trial = SPIN_TRIAL_TURNS;
        }
        is_trial
    }

    /// A poll is over. `found`: it has brought something, or something was left. Returns whether this was a look that found
    /// nothing.
    #[inline(always)]
    pub(super) fn polled(&mut self, now: Instant, found: bool) -> bool {
        match self.phase {
            Phase::Over | Phase::Answered => false,
            Phase::First | Phase::Since(_) => self.looked(now, found),
        }
    }

    fn looked(&mut self, now: Instant, found: bool) -> bool {
        match (self.phase, found) {
            (Phase::Since(begun), true) => self.ends(now.since(begun), true),
            (Phase::Since(begun), false) => {
                let spun = now.since(begun);
                if self.most.is_none_or(|most| spun >= most) {
                    self.ends(spun, false);
                }
            }
            (_, true) => self.phase = Phase::Over,
            (_, false) => self.phase = Phase::Since(now),
        }
        !found
    }

    fn ends(&mut self, spun: Duration, met: bool) {
        self.phase = Phase::Over;
        self.record = self.record << 1 | u32::from(met);
        self.until_trial = if met { 1 } else { SPIN_TRIAL_TURNS };
        self.spins += 1;
        self.met += u64::from(met);
        self.took += spun;
    }

    /// What it has done since the start.
    pub(super) fn status(&self) -> SpinStatus {
        SpinStatus {
            spins: self.spins,
            met: self.met,
            took_us: u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_micros(20);

    /// A loop in virtual time: each look takes a microsecond.
    struct Loop {
        spin: Spin,
        now: Instant,
        looks: u32,
    }

    impl Loop {
        fn new(cpus: usize) -> Loop {
            Loop {
                spin: Spin::new(Some(MOST), cpus),
                now: Instant::START,
                looks: 0,
            }
        }

        /// A turn that answers, and behind it a client that sends again after so many microseconds; `None`: never. Returns
        /// whether that met a look.
        fn turn(&mut self, sends_after: Option<u64>) -> bool {
            self.spin.answers();
            let sent_at = sends_after.map(|us| self.now.after(Duration::from_micros(us)));
            while self.spin.looks() {
                self.looks += 1;
                self.now = self.now.after(Duration::from_micros(1));
                let found = sent_at.is_some_and(|at| at <= self.now);
                assert_eq!(self.spin.polled(self.now, found), !found);
                if found {
                    return true;
                }
            }
            false
        }

        /// So many turns. Returns how many spins there were, and how many of them met something.
        fn turns(&mut self, turns: u32, sends_after: Option<u64>) -> (u64, u64) {
            let before = self.spin.status();
            for _ in 0..turns {
                self.turn(sends_after);
            }
            let after = self.spin.status();
            (after.spins - before.spins, after.met - before.met)
        }
    }

    #[test]
    fn a_trial_that_meets_something_is_followed_by_spins_behind_every_turn() {
        let mut looped = Loop::new(2);
        assert_eq!(looped.turns(SPIN_TRIAL_TURNS - 1, Some(5)), (0, 0));
        assert_eq!(looped.turns(100, Some(5)), (100, 100));
    }

    #[test]
    fn a_trial_that_meets_nothing_ends_the_trials_for_a_while() {
        let mut looped = Loop::new(2);
        looped.turns(SPIN_TRIAL_TURNS + 1, Some(5));
        assert_eq!(looped.turns(1, None), (1, 0));
        assert_eq!(looped.turns(SPIN_TRIAL_TURNS - 1, Some(5)), (0, 0));
        assert_eq!(looped.turns(1, Some(5)), (1, 1));
    }

    #[test]
    fn it_stops_to_spin_when_half_of_the_spins_have_met_nothing() {
        let mut looped = Loop::new(2);
        looped.turns(SPIN_TRIAL_TURNS + SPINS_RECORDED, Some(5));
        let half = u64::from(SPINS_RECORDED / 2);
        assert_eq!(looped.turns(SPINS_RECORDED / 2, None), (half, 0));
        assert_eq!(looped.turns(SPIN_TRIAL_TURNS - 1, None), (0, 0));
        assert_eq!(looped.turns(1, None), (1, 0), "this is the trial");
        assert_eq!(looped.turns(10 * SPIN_TRIAL_TURNS, None), (10, 0));
    }

    #[test]
    fn a_spin_has_an_end() {
        let mut looped = Loop::new(2);
        looped.turns(SPIN_TRIAL_TURNS - 1, None);
        assert_eq!(looped.looks, 0);
        let begun = looped.now;
        looped.turns(1, None);
        // The first look begins the time.
        assert_eq!(
            looped.now.since(begun),
            MOST + Duration::from_micros(1),
            "and no look follows"
        );
        let status = looped.spin.status();
        assert_eq!((status.spins, status.met, status.took_us), (1, 0, 20));
        assert!(!looped.spin.looks(), "no turn has answered since");
    }

    #[test]
    fn what_the_first_look_finds_is_no_spin() {
        let mut looped = Loop::new(2);
        let turns = SPINS_RECORDED * SPIN_TRIAL_TURNS * 2;
        assert_eq!(looped.turns(turns, Some(0)), (0, 0));
        assert_eq!(
            looped.looks,
            turns / SPIN_TRIAL_TURNS,
            "only where one was tried"
        );
    }

    #[test]
    fn without_answers_with_one_cpu_or_switched_off_it_never_looks() {
        let mut idle = Loop::new(2);
        for _ in 0..1000 {
            assert!(!idle.spin.looks());
            assert!(!idle.spin.polled(idle.now, true));
        }
        let mut alone = Loop::new(1);
        let turns = SPINS_RECORDED * SPIN_TRIAL_TURNS * 2;
        alone.turns(turns, Some(0));
        let mut off = Loop::new(2);
        off.spin = Spin::new(None, 2);
        off.turns(turns, Some(0));
        assert_eq!((alone.looks, off.looks), (0, 0));
    }
}
