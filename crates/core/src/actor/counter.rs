//! The counter: `next` and `update` of the model, and how far it may be raised.
//!
//! It knows nothing of the disk and of the peers. Whoever calls it has asked before whether the server may hand
//! out, and lets nothing leave before it is durable.

use super::{
    ActorConfig, Budgets, Report, Tally,
    budget::Budget,
    refusal::{Refusal, Source},
};
use crate::{
    identity::{Identity, PID_BITS, Pid, Sequence},
    limits::EXHAUSTION_WARNINGS_PERCENT,
    time::Instant,
};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Counter {
    pid: Pid,
    count_max: u32,
    advance_max: u64,
    /// The highest sequence handed out, promised to a held reply, or absorbed.
    sequence: Sequence,
    /// Up to here a request needs a look at nothing else.
    clear: Sequence,
    /// The highest sequence that came from a peer or an operator. Never above `sequence`.
    absorbed: Sequence,
    after_budget: Budget,
    peer_budget: Budget,
    /// Requests for which sequences were taken, and how many were.
    requests: u64,
    identities: u64,
    /// Times that it was raised by a peer or by `after`.
    advances: u64,
    /// The part of the sequence that people were last warned is used up, in percent.
    warned_percent: u64,
}

impl Counter {
    pub(super) fn new(config: &ActorConfig) -> Counter {
        let Budgets {
            after_burst,
            peer_burst,
            rate_per_second,
        } = config.budgets;
        Counter {
            pid: config.pid,
            count_max: config.count_max,
            advance_max: config.advance_max,
            sequence: config.sequence,
            clear: Sequence::ZERO,
            absorbed: config.sequence,
            after_budget: Budget::new(after_burst, rate_per_second),
            peer_budget: Budget::new(peer_burst, rate_per_second),
            requests: 0,
            identities: 0,
            advances: 0,
            warned_percent: 0,
        }
    }

    /// The highest sequence handed out, promised to a held reply, or absorbed.
    pub(super) const fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The highest sequence that came from a peer or an operator: it is never taken back.
    pub(super) const fn absorbed(&self) -> Sequence {
        self.absorbed
    }

    /// Identities decided.
    pub(super) const fn identities(&self) -> u64 {
        self.identities
    }

    pub(super) fn count_into(&self, tally: &mut Tally) {
        tally.identity_requests = self.requests;
        tally.identities = self.identities;
        tally.absorbed = self.advances;
    }

    /// Up to here [`Counter::next_in_the_clear`] goes.
    pub(super) const fn clear(&self) -> Sequence {
        self.clear
    }

    /// From now on a request needs a look at nothing else up to `clear`.
    pub(super) fn set_clear(&mut self, clear: Sequence) {
        self.clear = clear;
    }

    /// `next` for nearly every request: one that raises the counter no further than is clear, and by nothing but
    /// its count. `None` for all others, which are to be looked at more closely.
    #[inline(always)]
    pub(super) fn next_in_the_clear(&mut self, count: u32, after: u64) -> Option<Identity> {
        let before = self.sequence;
        let last = before.checked_add_up_to(u64::from(count), self.clear)?;
        // There is none where the count is zero.
        let first = before.checked_add_up_to(1, last)?;
        // An `after` that is no identity is ahead, too.
        let is_ahead = after >> PID_BITS > before.get();
        (count <= self.count_max && !is_ahead).then(|| self.take(first, last, count))
    }

    /// Whether so many identities may be asked for at once.
    pub(super) fn judge_count(&self, count: u32) -> Result<(), Refusal> {
        let count_max = self.count_max;
        // bug CountUnchecked instead: if count == 0 || (count > count_max && !BUG) {
        if count == 0 || count > count_max {
            return Err(Refusal::BadCount { count_max });
        }
        Ok(())
    }

    /// Where a request would leave the counter, if nothing refused it.
    pub(super) fn reach(&self, count: u32, after: u64) -> u64 {
        let after = Identity::from_u64(after).map_or(u64::MAX, |after| after.sequence().get());
        self.sequence
            .get()
            .max(after)
            .saturating_add(u64::from(count))
    }

    /// `next` of the model: takes `count` sequences above both the counter and `after`. Returns what the
    /// counter was raised to before, and the first identity.
    pub(super) fn next(
        &mut self,
        count: u32,
        after: u64,
        now: Instant,
    ) -> Result<(Sequence, Identity), Refusal> {
        // bug AfterIgnored instead: let before = if after == 0 || BUG {
        let before = if after == 0 {
            self.sequence
        } else {
            self.sequence.max(self.judge_after(after)?)
        };
        let Some(last) = before.checked_add(u64::from(count)) else {
            // bug EndWraps: self.sequence = Sequence::ZERO; return self.next(count, 0, now);
            let remaining = before.remaining();
            return Err(Refusal::Exhausted { remaining });
        };
        if before > self.sequence {
            self.pay(before, Source::After, now)?;
            self.advances += 1;
        }
        let first = before
            .checked_add(1)
            .expect("the last sequence of the block exists, so does its first");
        Ok((before, self.take(first, last, count)))
    }

    /// `update` of the model: raises the counter to where a peer is, if the server `absorbs`. Where it is that far
    /// already, what it stands at may not be durable and may be taken back: not below the peer. Returns whether it
    /// was raised.
    ///
    /// # Errors
    /// The budget does not allow it; nothing has changed.
    pub(super) fn update(
        &mut self,
        sequence: Sequence,
        absorbs: bool,
        now: Instant,
    ) -> Result<bool, Refusal> {
        let raises = sequence > self.sequence;
        // bug SyncAssigns: let raises = raises || BUG;
        // bug SyncTakesSmaller: let raises = if BUG { sequence < self.sequence } else { raises };
        let raises = raises && absorbs;
        if raises {
            self.pay(sequence, Source::Peer, now)?;
            self.sequence = sequence;
            self.advances += 1;
        }
        if sequence <= self.sequence {
            self.absorbed = self.absorbed.max(sequence);
        }
        Ok(raises)
    }

    /// An operator raises the counter, whatever the budgets allow. Returns where it stood before.
    pub(super) fn advance(&mut self, above: Sequence) -> Sequence {
        let before = self.sequence;
        self.sequence = before.max(above);
        self.absorbed = self.absorbed.max(above);
        before
    }

    /// Takes back what was decided above `before`. What was absorbed stays so: nothing below it is handed out any
    /// more.
    pub(super) fn go_back(&mut self, before: Sequence) {
        self.sequence = before.max(self.absorbed);
    }

    /// `sequence`, if the counter may be raised so far. Refusing costs order, never uniqueness.
    pub(super) fn judge_advance(&self, sequence: u64, source: Source) -> Result<Sequence, Refusal> {
        let wanted = Sequence::new(sequence).ok_or(Refusal::NoSequence { sequence, source })?;
        let advance_max = match source {
            Source::After | Source::Peer => self.advance_max,
            // Anything that exists.
            Source::Operator => u64::MAX,
        };
        let advance = wanted.ahead_of(self.sequence);
        if advance > advance_max {
            return Err(Refusal::TooFar {
                sequence: wanted,
                advance,
                advance_max,
                source,
            });
        }
        Ok(wanted)
    }

    /// As far as others are believed when they speak of a sequence: what is beyond it is never made durable.
    pub(super) fn believable(&self, sequence: u64) -> Sequence {
        let most = self.sequence.saturating_add(self.advance_max);
        Sequence::new(sequence).unwrap_or(Sequence::MAX).min(most)
    }

    /// What people should hear, if so much of the sequence is used up that they have not heard of it yet.
    pub(super) fn exhaustion(&mut self) -> Option<Report> {
        let used_percent = self.sequence.get() / (Sequence::MAX.get() / 100);
        let percent = EXHAUSTION_WARNINGS_PERCENT
            .into_iter()
            .filter(|level| used_percent >= *level && *level > self.warned_percent)
            .max()?;
        self.warned_percent = percent;
        let remaining = self.sequence.remaining();
        Some(Report::Exhaustion { percent, remaining })
    }

    /// Raises the counter to `last`, which is the last of `count` sequences, and returns the first identity.
    #[inline(always)]
    fn take(&mut self, first: Sequence, last: Sequence, count: u32) -> Identity {
        self.requests += 1;
        self.identities += u64::from(count);
        self.sequence = last;
        // bug BlockOverlaps: self.sequence = first;
        // bug PidLeftOut: return Identity::new(first, crate::identity::Pid::MIN);
        Identity::new(first, self.pid)
    }

    /// The sequence of `after`, if the counter may be raised so far.
    fn judge_after(&self, after: u64) -> Result<Sequence, Refusal> {
        let identity = Identity::from_u64(after).ok_or(Refusal::NoIdentity { after })?;
        self.judge_advance(identity.sequence().get(), Source::After)
    }

    /// Takes an advance to `sequence` out of the budget of its source. What is over budget is refused: it
    /// is never absorbed in part, and never made durable.
    fn pay(&mut self, sequence: Sequence, source: Source, now: Instant) -> Result<(), Refusal> {
        // bug BudgetIgnored: return Ok(());
        let advance = sequence.ahead_of(self.sequence);
        let budget = match source {
            Source::After => &mut self.after_budget,
            Source::Peer => &mut self.peer_budget,
            Source::Operator => return Ok(()),
        };
        budget
            .take(advance, now)
            .map_err(|left| Refusal::OverBudget {
                sequence,
                advance,
                left,
                source,
            })
    }
}
