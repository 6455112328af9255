//! How far the disk allows the counter to go, and when a higher ceiling has to be written.
//!
//! Handing out a sequence is allowed only at or below a ceiling that this boot has made durable. The
//! ceiling is raised ahead of need, when no more than a reserve is left, in steps that follow demand: a
//! busy server writes about once a second, an idle one asks for little. This is the high-low allocation of
//! databases with a step that adapts.
//!
//! The reserve covers the recent demand of some time (`--reserve`): a write may take that long before anybody waits for
//! it.

use std::time::Duration;

use crate::{
    identity::Sequence,
    limits::{STEP_DEMAND_FLOOR, STEP_MAX, STEP_MIN, STEP_SPAN},
    time::Instant,
};

/// The durable ceiling, and the raise that is under way.
#[derive(Clone, Debug)]
pub(super) struct Ceiling {
    durable: Sequence,
    /// The sequence at which the next raise is due. `None` while a raise is under way, and when there is nothing left
    /// to raise to.
    raise_at: Option<Sequence>,
    writing: Option<Sequence>,
    /// The highest sequence that something waits for without moving the counter.
    wanted: Sequence,
    step: u64,
    /// What is to be left when the next raise is asked for.
    reserve: u64,
    /// The time whose demand the reserve covers.
    reserve_time: Duration,
    /// When the last raise was asked for, how far the sequence had come by then, and how many identities had been
    /// handed out.
    asked_at: Instant,
    asked_sequence: Sequence,
    asked_identities: u64,
    /// How far peers and `after` moved the sequence in a span, in the last measurement.
    absorbed_demand: u64,
    /// The most by which they can move it in a span, over a long time.
    absorbed_demand_max: u64,
    /// All demand in a span, in the last measurement.
    demand: u64,
}

impl Ceiling {
    /// Starts at `sequence`, below a ceiling that this boot has made durable. `absorbed_per_second` is the most by
    /// which peers and `after` may move the sequence over a long time. When a raise is asked for, the demand of
    /// `reserve_time` is to be left.
    pub(super) fn new(
        sequence: Sequence,
        durable: Sequence,
        absorbed_per_second: u64,
        reserve_time: Duration,
    ) -> Ceiling {
        let step = durable.ahead_of(sequence);
        let mut ceiling = Ceiling {
            durable,
            raise_at: None,
            writing: None,
            wanted: Sequence::ZERO,
            step,
            reserve: step / 2,
            reserve_time,
            asked_at: Instant::START,
            asked_sequence: sequence,
            asked_identities: 0,
            absorbed_demand: 0,
            absorbed_demand_max: amount_in(STEP_SPAN, absorbed_per_second, Duration::from_secs(1)),
            demand: 0,
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

    /// The highest sequence that is durable and needs no raise yet.
    pub(super) fn clear(&self) -> Sequence {
        match self.raise_at {
            Some(raise_at) => Sequence::new(raise_at.get().saturating_sub(1))
                .map_or(Sequence::ZERO, |below| below.min(self.durable)),
            None => self.durable,
        }
    }

    /// How much was last added to the ceiling at once.
    pub(super) const fn step(&self) -> u64 {
        self.step
    }

    /// How much of the sequence is used in a second: since the last raise was asked for, if that is a span ago or more, and
    /// otherwise in the time before it.
    pub(super) fn demand_per_second(&self, sequence: Sequence, now: Instant) -> u64 {
        let elapsed = now.since(self.asked_at);
        if elapsed < STEP_SPAN {
            return amount_in(Duration::from_secs(1), self.demand, STEP_SPAN);
        }
        let moved = sequence.ahead_of(self.asked_sequence);
        amount_in(Duration::from_secs(1), moved, elapsed)
    }

    /// Something waits until `sequence` is durable, and moves nothing before.
    pub(super) fn want(&mut self, sequence: Sequence) {
        self.wanted = self.wanted.max(sequence);
    }

    /// Whether `sequence` has come so far that a raise is due, or something waits for one.
    pub(super) fn is_due(&self, sequence: Sequence) -> bool {
        self.raise_at
            .is_some_and(|raise_at| sequence >= raise_at || self.wanted > self.durable)
    }

    /// The ceiling to ask the disk for, now that the actor has come to `sequence` and has handed out this many
    /// `identities` in all. It covers what waits for a raise.
    ///
    /// The step is the demand of two spans. If less than the reserve is left, the raise also restores the reserve.
    ///
    /// What was absorbed is demand too. Otherwise a server that follows busy peers would make its clients wait for
    /// the disk in each round. But only lasting demand counts: the smaller one of the last two measurements, and no
    /// more than the budgets allow over a long time. A server that crashes skips its step, and its peers absorb that
    /// jump. If they took it for demand, their steps would become larger than it, then also what they skip in a crash,
    /// and so on.
    pub(super) fn raise(&mut self, sequence: Sequence, identities: u64, now: Instant) -> Sequence {
        let sequence = sequence.max(self.wanted);
        let elapsed = now.since(self.asked_at).max(STEP_DEMAND_FLOOR);
        let moved = sequence.ahead_of(self.asked_sequence);
        let handed_out = identities - self.asked_identities;
        let absorbed_demand = amount_in(STEP_SPAN, moved.saturating_sub(handed_out), elapsed);
        let lasting = absorbed_demand
            .min(self.absorbed_demand)
            .min(self.absorbed_demand_max);
        let demand = amount_in(STEP_SPAN, handed_out, elapsed).saturating_add(lasting);
        self.demand = demand;
        self.step = demand.saturating_mul(2).clamp(STEP_MIN, STEP_MAX);
        let half = self.step / 2;
        self.reserve =
            amount_in(self.reserve_time, demand, STEP_SPAN).clamp(STEP_MIN / 2, STEP_MAX - half);
        self.asked_identities = identities;
        self.absorbed_demand = absorbed_demand;
        self.asked_at = now;
        self.asked_sequence = sequence;
        self.raise_at = None;
        // Where more than the reserve is left, which is so while demand is steady, a step is enough.
        let next = self.durable.saturating_add(self.step);
        let target = next.max(sequence.saturating_add(self.reserve + half));
        self.writing = Some(target);
        target
    }

    /// The requested ceiling is durable.
    ///
    /// # Panics
    /// If no raise was requested. A ceiling that nobody wrote would be a bug in this program.
    pub(super) fn raised(&mut self) -> Sequence {
        self.durable = self
            .writing
            .take()
            .expect("only a raise that was asked for becomes durable");
        self.arm();
        self.durable
    }

    /// The write failed: no raise is requested ever again.
    pub(super) fn failed(&mut self) {
        self.writing = None;
        self.raise_at = None;
    }

    fn arm(&mut self) {
        let reserved = Sequence::new(self.durable.get() - self.reserve.min(self.durable.get()));
        self.raise_at = if self.durable < Sequence::MAX {
            reserved
        } else {
            None
        };
    }
}

/// How much it is in `span`, if it is `amount` in `elapsed`.
fn amount_in(span: Duration, amount: u64, elapsed: Duration) -> u64 {
    let amount = u128::from(amount) * span.as_nanos() / elapsed.as_nanos();
    u64::try_from(amount).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{RESERVE_DEFAULT, RESERVE_MAX};

    /// The most by which peers may move a server in a second, over a long time.
    const FLOW: u64 = 1_000_000;

    fn sequence(value: u64) -> Sequence {
        Sequence::new(value).unwrap()
    }

    fn new(sequence: Sequence, durable: Sequence, absorbed_per_second: u64) -> Ceiling {
        Ceiling::new(sequence, durable, absorbed_per_second, RESERVE_DEFAULT)
    }

    #[test]
    fn a_raise_is_due_when_half_of_the_step_is_left() {
        let ceiling = new(sequence(1000), sequence(2000), FLOW);
        assert!(!ceiling.is_due(sequence(1499)));
        assert!(ceiling.is_due(sequence(1500)));
    }

    #[test]
    fn it_is_clear_where_all_is_durable_and_no_raise_is_due() {
        let mut ceiling = new(sequence(1000), sequence(2000), FLOW);
        assert_eq!(ceiling.clear(), sequence(1499));
        assert!(!ceiling.is_due(ceiling.clear()));
        // While a raise is under way no other is due. After one has failed, none is due ever again.
        ceiling.raise(sequence(1500), 500, Instant::START);
        assert_eq!(ceiling.clear(), sequence(2000));
        let mut failed = ceiling.clone();
        failed.failed();
        assert_eq!(failed.clear(), sequence(2000));
        let durable = ceiling.raised();
        assert!(ceiling.clear() < durable && ceiling.clear() > sequence(2000));
        assert!(!ceiling.is_due(ceiling.clear()));
        assert!(ceiling.is_due(ceiling.clear().saturating_add(1)));
        // A step of nothing leaves nothing clear.
        let nothing = new(Sequence::ZERO, Sequence::ZERO, FLOW);
        assert_eq!(nothing.clear(), Sequence::ZERO);
    }

    #[test]
    fn the_step_follows_demand_between_its_bounds() {
        let mut ceiling = new(Sequence::ZERO, sequence(STEP_MIN), FLOW);
        // 50,000 in a quarter of a second is 200,000 a second, and the step is twice that.
        let now = Instant::START.after(STEP_SPAN / 4);
        assert_eq!(
            ceiling.raise(sequence(50_000), 50_000, now),
            sequence(50_000 + 400_000)
        );
        assert!(ceiling.is_writing());
        assert!(!ceiling.is_due(Sequence::MAX), "one raise at a time");
        assert_eq!(ceiling.raised(), sequence(450_000));
        assert!(!ceiling.is_due(sequence(249_999)));
        assert!(ceiling.is_due(sequence(250_000)));
        // After an hour without demand it is back at the minimum.
        let later = now.after(Duration::from_secs(3600));
        assert_eq!(
            ceiling.raise(sequence(250_000), 250_000, later),
            sequence(450_000 + STEP_MIN)
        );
        ceiling.raised();
        // And no demand brings it above the maximum.
        assert_eq!(
            ceiling.raise(sequence(1 << 50), 1 << 50, later),
            sequence((1 << 50) + STEP_MAX)
        );
    }

    #[test]
    fn steady_demand_gives_steady_steps() {
        let mut ceiling = new(Sequence::ZERO, sequence(STEP_MIN), FLOW);
        for second in 1..=4 {
            let now = Instant::START.after(Duration::from_secs(second));
            let at = sequence(10_000 * second);
            let from = at.max(ceiling.durable());
            assert_eq!(ceiling.raise(at, at.get(), now).ahead_of(from), 20_000);
            ceiling.raised();
        }
    }

    #[test]
    fn what_peers_hand_out_is_demand_when_it_goes_on() {
        let mut ceiling = new(Sequence::ZERO, sequence(STEP_MIN), FLOW);
        let mut at = 0;
        let mut steps = Vec::new();
        for second in 1..=3 {
            at += 100_000;
            let now = Instant::START.after(Duration::from_secs(second));
            let target = ceiling.raise(sequence(at), 0, now);
            steps.push(target.get() - at.max(ceiling.durable().get()));
            ceiling.raised();
        }
        assert_eq!(steps, [STEP_MIN, 200_000, 200_000]);
        // Movement that is faster than the budgets allow over a long time counts only as far as they allow.
        for second in 4..=5 {
            at += 100 * FLOW;
            let now = Instant::START.after(Duration::from_secs(second));
            ceiling.raise(sequence(at), 0, now);
            ceiling.raised();
        }
        assert_eq!(ceiling.durable(), sequence(at + 2 * FLOW));
    }

    #[test]
    fn skips_of_crashed_peers_do_not_make_one_another_larger() {
        let mut ceilings = [0, 0].map(|start| {
            let start = sequence(start);
            new(start, sequence(STEP_MIN), FLOW)
        });
        let mut at = sequence(1 << 30);
        for second in 1..=100 {
            // One server crashes and starts again at its old ceiling. The other one absorbs that jump.
            let now = Instant::START.after(Duration::from_secs(second));
            let [crashed, other] = &mut ceilings;
            let target = other.raise(at, 0, now);
            other.raised();
            *crashed = new(target, target.saturating_add(STEP_MIN), FLOW);
            at = target;
            ceilings.swap(0, 1);
        }
        let skipped = at.get() - (1 << 30);
        assert!(skipped <= 100 * (2 * FLOW + STEP_MIN), "{skipped}");
    }

    #[test]
    fn nothing_is_asked_for_beyond_the_last_sequence() {
        let mut ceiling = new(
            sequence(Sequence::MAX.get() - 10),
            sequence(Sequence::MAX.get() - 2),
            FLOW,
        );
        let target = ceiling.raise(sequence(Sequence::MAX.get() - 3), 7, Instant::START);
        assert_eq!(target, Sequence::MAX);
        ceiling.raised();
        assert!(!ceiling.is_due(Sequence::MAX));
    }

    #[test]
    fn after_a_failure_nothing_is_asked_for() {
        let mut ceiling = new(Sequence::ZERO, sequence(STEP_MIN), FLOW);
        ceiling.raise(sequence(600), 600, Instant::START);
        ceiling.failed();
        assert!(!ceiling.is_writing());
        assert!(!ceiling.is_due(Sequence::MAX));
        assert_eq!(ceiling.durable(), sequence(STEP_MIN));
    }

    #[test]
    fn what_waits_is_covered_and_makes_a_raise_due() {
        let mut ceiling = new(Sequence::ZERO, sequence(2000), FLOW);
        ceiling.want(sequence(2000));
        assert!(!ceiling.is_due(sequence(10)), "that is durable");
        ceiling.want(sequence(5000));
        ceiling.want(sequence(3000));
        assert!(ceiling.is_due(sequence(10)));
        let later = Instant::START.after(Duration::from_secs(1000));
        assert_eq!(
            ceiling.raise(sequence(10), 10, later),
            sequence(5000 + STEP_MIN)
        );
        // What comes while that is being written waits for the next one.
        ceiling.want(sequence(9000));
        assert!(!ceiling.is_due(sequence(10)), "one raise at a time");
        ceiling.raised();
        assert!(ceiling.is_due(sequence(10)));
        assert_eq!(
            ceiling.raise(sequence(10), 10, later),
            sequence(9000 + STEP_MIN)
        );
        ceiling.raised();
        assert!(!ceiling.is_due(sequence(10)));
        assert!(ceiling.is_due(sequence(9000 + STEP_MIN / 2)));
    }

    #[test]
    fn a_reserve_covers_its_time_of_demand_after_one_raise() {
        // 10,000 a second, and a disk that may stall for a minute.
        let minute = Duration::from_secs(60);
        let mut ceiling = Ceiling::new(Sequence::ZERO, sequence(STEP_MIN), FLOW, minute);
        let mut at = 10_000;
        let mut now = Instant::START.after(STEP_SPAN);
        ceiling.raise(sequence(at), at, now);
        assert_eq!(ceiling.raised(), sequence(at + 610_000));
        for _ in 0..5 {
            // A raise is asked for when a minute is left, and then every other second, as without a reserve.
            assert!(!ceiling.is_due(sequence(ceiling.durable().get() - 600_001)));
            let due = ceiling.durable().get() - 600_000;
            assert!(ceiling.is_due(sequence(due)));
            now = now.after(Duration::from_micros((due - at) * 100));
            at = due;
            let durable = ceiling.durable();
            let target = ceiling.raise(sequence(at), at, now);
            assert_eq!(target.ahead_of(durable), 20_000);
            ceiling.raised();
        }
        // Without demand only the smallest reserve is kept.
        let later = now.after(Duration::from_secs(3600));
        ceiling.raise(sequence(at), at, later);
        let durable = ceiling.raised();
        assert!(!ceiling.is_due(sequence(durable.get() - STEP_MIN / 2 - 1)));
    }

    #[test]
    fn no_reserve_makes_a_raise_larger_than_the_largest_step() {
        let mut ceiling = Ceiling::new(Sequence::ZERO, sequence(STEP_MIN), FLOW, RESERVE_MAX);
        let at = sequence(1 << 40);
        let target = ceiling.raise(at, at.get(), Instant::START.after(STEP_SPAN));
        assert_eq!(target.ahead_of(at), STEP_MAX);
    }
}
