//! The counter: `next` and `update` of the model, and the limits on raising it.
//!
//! It knows nothing of the peers. Of the disk it knows only how far the counter may go. The caller has checked before
//! whether the server may hand out, and lets nothing leave before it is durable.
//!
//! **What waits alone.** An advance above what is durable is paid for at once, but moves nothing: the others go on
//! below it. It is *claimed*, so what comes later pays only for what goes beyond it. It moves the counter when it is
//! durable.

use super::{
    ActorConfig, Link, Report, Tally,
    budget::{Budget, Payer, Start, Unpaid},
    news::News,
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
    /// Up to this sequence a request needs no other check.
    clear: Sequence,
    /// The highest sequence that came from a peer or an operator. It is never above `sequence`.
    absorbed: Sequence,
    /// The highest advance that was paid for. Above `sequence` it waits for the disk.
    claimed: Sequence,
    /// The highest sequence of a peer that waits for the disk.
    heard: Sequence,
    /// The highest sequence of a peer that the raise under way covers. A later one may be above that ceiling.
    heard_below_asked: Sequence,
    /// The ceiling that was asked for last.
    asked: Sequence,
    budget: Budget,
    /// Requests for which sequences were taken, and how many were.
    requests: u64,
    identities: u64,
    /// Requests that were refused.
    refused: u64,
    /// How often it was raised by a peer or by `after`.
    advances: u64,
    /// The last warning about used-up sequences, in percent.
    warned_percent: u64,
    /// The raises by clients and by peers that are reported.
    raises_by_clients: News,
    raises_by_peers: News,
}

impl Counter {
    pub(super) fn new(config: &ActorConfig) -> Counter {
        let start = Start {
            is_first: config.first_start,
            knows_peers: !config.remembered.is_empty(),
            boot: config.boot,
        };
        Counter {
            pid: config.pid,
            count_max: config.count_max,
            advance_max: config.advance_max,
            sequence: config.sequence,
            clear: Sequence::ZERO,
            absorbed: config.sequence,
            claimed: Sequence::ZERO,
            heard: Sequence::ZERO,
            heard_below_asked: Sequence::ZERO,
            asked: Sequence::ZERO,
            budget: Budget::new(config.budgets, start),
            requests: 0,
            identities: 0,
            refused: 0,
            advances: 0,
            warned_percent: 0,
            raises_by_clients: News::default(),
            raises_by_peers: News::default(),
        }
    }

    /// The highest sequence handed out, promised to a held reply, or absorbed.
    pub(super) const fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The highest sequence that came from a peer or an operator. It is never taken back.
    pub(super) const fn absorbed(&self) -> Sequence {
        self.absorbed
    }

    /// Identities decided.
    pub(super) const fn identities(&self) -> u64 {
        self.identities
    }

    /// Counts everything that was decided.
    pub(super) const fn count_into(&self, tally: &mut Tally) {
        tally.identity_requests = self.requests;
        tally.refused = self.refused;
        tally.identities = self.identities;
        tally.absorbed = self.advances;
    }

    /// So many requests for identities are refused.
    pub(super) const fn count_refused(&mut self, requests: u64) {
        self.refused = self.refused.saturating_add(requests);
    }

    /// The limit of [`Counter::next_in_the_clear`].
    pub(super) const fn clear(&self) -> Sequence {
        self.clear
    }

    /// From now on a request up to `clear` needs no other check.
    pub(super) fn set_clear(&mut self, clear: Sequence) {
        self.clear = clear;
    }

    /// `next` for nearly every request: it raises the counter by the count alone and stays within `clear`. Returns
    /// `None` for any other request, which then has to be checked closely.
    #[inline(always)]
    pub(super) fn next_in_the_clear(&mut self, count: u32, after: u64) -> Option<Identity> {
        let before = self.sequence;
        let last = before.checked_add_up_to(u64::from(count), self.clear)?;
        // There is no first sequence if the count is zero.
        let first = before.checked_add_up_to(1, last)?;
        // An `after` that is not a valid identity counts as ahead, too.
        let is_ahead = after >> PID_BITS > before.get();
        (count <= self.count_max && !is_ahead).then(|| self.take(first, last, count))
    }

    /// Whether a request may ask for this many identities.
    pub(super) fn judge_count(&self, count: u32) -> Result<(), Refusal> {
        let count_max = self.count_max;
        // bug CountUnchecked instead: if count == 0 || (count > count_max && !BUG) {
        if count == 0 || count > count_max {
            return Err(Refusal::BadCount { count_max });
        }
        Ok(())
    }

    /// The sequence at which a request would leave the counter if it were not refused.
    pub(super) fn reach(&self, count: u32, after: u64) -> u64 {
        let after = Identity::from_u64(after).map_or(u64::MAX, |after| after.sequence().get());
        self.sequence
            .get()
            .max(after)
            .saturating_add(u64::from(count))
    }

    /// `next` of the model: takes `count` sequences above both the counter and `after`. If `after` is ahead of the
    /// counter and the last of them is above `durable`, nothing is taken: the request has to wait. Its advance is paid
    /// for now.
    pub(super) fn next(
        &mut self,
        count: u32,
        after: u64,
        durable: Sequence,
        now: Instant,
    ) -> Result<Next, Refusal> {
        // bug AfterIgnored instead: let before = if after == 0 || BUG {
        let before = if after == 0 {
            self.sequence
        } else {
            self.sequence.max(self.judge_after(after)?)
        };
        let Some(last) = before.checked_add(u64::from(count)) else {
            // bug EndWraps: self.sequence = Sequence::ZERO; return self.next(count, 0, durable, now);
            let remaining = before.remaining();
            return Err(Refusal::Exhausted { remaining });
        };
        let mut paid = 0;
        if before > self.sequence {
            paid = self.claim(before, Source::After, now)?;
            // bug AdvanceMovesAll instead: if last > durable && !BUG {
            if last > durable {
                return Ok(Next::Waits { until: last, paid });
            }
            self.advances += 1;
        }
        let first = before
            .checked_add(1)
            .expect("the last sequence of the block exists, so does its first");
        Ok(Next::Taken {
            before,
            first: self.take(first, last, count),
            paid,
        })
    }

    /// `update` of the model: raises the counter to the sequence of a peer, if the server `absorbs` and the sequence is
    /// durable. A sequence that is not durable waits, even if the counter is that far already: the counter may be taken
    /// back.
    ///
    /// Returns how many tokens the raise has cost.
    ///
    /// # Errors
    /// The budget does not allow it. Nothing has changed.
    pub(super) fn update(
        &mut self,
        sequence: Sequence,
        source: Source,
        absorbs: bool,
        durable: Sequence,
        now: Instant,
    ) -> Result<u64, Refusal> {
        let raises = sequence > self.sequence;
        // bug SyncAssigns: let raises = raises || BUG;
        // bug SyncTakesSmaller: let raises = if BUG { sequence < self.sequence } else { raises };
        let raises = raises && absorbs;
        let mut paid = 0;
        if raises {
            paid = self.claim(sequence, source, now)?;
        }
        // bug AdvanceMovesAll: let durable = if BUG { Sequence::MAX } else { durable };
        // bug AbsorptionBypassesCeiling: let durable = if BUG { Sequence::MAX } else { durable };
        if sequence > durable {
            if absorbs {
                self.heard = self.heard.max(sequence);
                self.note_below_asked(sequence);
            }
            return Ok(paid);
        }
        if raises {
            self.sequence = sequence;
            self.advances += 1;
        }
        if sequence <= self.sequence {
            self.absorbed = self.absorbed.max(sequence);
        }
        Ok(paid)
    }

    /// The highest sequence of a peer that waits for the disk.
    pub(super) const fn heard(&self) -> Sequence {
        self.heard
    }

    /// A raise to this ceiling is asked for. It covers everything that has been heard so far.
    pub(super) fn raise_asked(&mut self, ceiling: Sequence) {
        self.asked = ceiling;
        self.note_below_asked(self.heard);
    }

    fn note_below_asked(&mut self, sequence: Sequence) {
        if sequence <= self.asked {
            self.heard_below_asked = self.heard_below_asked.max(sequence);
        }
    }

    /// Everything up to `durable` is durable now: absorbs what was heard from peers and waited for that.
    pub(super) fn absorb_heard(&mut self, durable: Sequence) {
        let durable_ones = [self.heard, self.heard_below_asked]
            .into_iter()
            .filter(|heard| *heard <= durable);
        let Some(heard) = durable_ones.max() else {
            return;
        };
        // bug HeardForgotten: return;
        if heard > self.sequence {
            self.sequence = heard;
            self.advances += 1;
        }
        self.absorbed = self.absorbed.max(heard);
    }

    /// An operator raises the counter, whatever the budgets allow. Returns where the counter stood before, or `None` if
    /// the raise has to wait until `above` is durable.
    pub(super) fn advance(&mut self, above: Sequence, durable: Sequence) -> Option<Sequence> {
        let before = self.sequence;
        if above > before && above > durable {
            self.claimed = self.claimed.max(above);
            return None;
        }
        self.sequence = before.max(above);
        if above <= durable {
            self.absorbed = self.absorbed.max(above);
        }
        Some(before)
    }

    /// Takes back what was decided above `before`, but not what was absorbed: nothing below that is handed out any
    /// more.
    pub(super) fn go_back(&mut self, before: Sequence) {
        self.sequence = before.max(self.absorbed);
    }

    /// Returns `sequence` if the counter may be raised that far. A refusal costs order, never uniqueness.
    pub(super) fn judge_advance(&self, sequence: u64, source: Source) -> Result<Sequence, Refusal> {
        let wanted = Sequence::new(sequence).ok_or(Refusal::NoSequence { sequence, source })?;
        let advance_max = match source {
            Source::After | Source::Peer | Source::KnownPeer => self.advance_max,
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

    /// How far a sequence told by others is believed. What is beyond that is never made durable.
    pub(super) fn believable(&self, sequence: u64) -> Sequence {
        let most = self.sequence.saturating_add(self.advance_max);
        Sequence::new(sequence).unwrap_or(Sequence::MAX).min(most)
    }

    /// The highest sequence up to which no warning about used-up sequences is due.
    pub(super) fn quiet(&self) -> Sequence {
        let next = EXHAUSTION_WARNINGS_PERCENT
            .into_iter()
            .find(|level| *level > self.warned_percent)
            .map(|level| level * PERCENT);
        let next = match next {
            Some(next) => next,
            None if self.warned_percent < EXHAUSTED_PERCENT => Sequence::MAX.get(),
            None => return Sequence::MAX,
        };
        Sequence::new(next - 1).unwrap_or(Sequence::MAX)
    }

    /// The next warning about used-up sequences, if it is due. Each is returned once.
    pub(super) fn exhaustion(&mut self) -> Option<Report> {
        let remaining = self.sequence.remaining();
        let used_percent = self.sequence.get() / PERCENT;
        let level = match remaining {
            0 => Some(EXHAUSTED_PERCENT),
            _ => EXHAUSTION_WARNINGS_PERCENT
                .into_iter()
                .rfind(|level| used_percent >= *level),
        };
        let percent = level.filter(|level| *level > self.warned_percent)?;
        self.warned_percent = percent;
        Some(match remaining {
            0 => Report::Exhausted,
            _ => Report::Exhaustion { percent, remaining },
        })
    }

    /// The report of a raise that has cost `paid`, if that is more than a `step` of the ceiling and not too many such
    /// raises were reported lately.
    pub(super) fn raise_report(
        &mut self,
        paid: u64,
        step: u64,
        link: Link,
        source: Source,
        now: Instant,
    ) -> Option<Report> {
        if paid <= step {
            return None;
        }
        let news = match source {
            Source::After => &mut self.raises_by_clients,
            Source::Peer | Source::KnownPeer | Source::Operator => &mut self.raises_by_peers,
        };
        let untold = news.tell(now)?;
        Some(Report::Raised {
            link,
            by: paid,
            to: self.claimed,
            untold,
        })
    }

    /// Raises the counter to `last`, the last of `count` sequences, and returns the first identity.
    #[inline(always)]
    fn take(&mut self, first: Sequence, last: Sequence, count: u32) -> Identity {
        self.requests += 1;
        self.identities += u64::from(count);
        self.sequence = last;
        // bug BlockOverlaps: self.sequence = first;
        // bug PidLeftOut: return Identity::new(first, crate::identity::Pid::MIN);
        Identity::new(first, self.pid)
    }

    /// The sequence of `after`, if the counter may be raised that far.
    fn judge_after(&self, after: u64) -> Result<Sequence, Refusal> {
        let identity = Identity::from_u64(after).ok_or(Refusal::NoIdentity { after })?;
        self.judge_advance(identity.sequence().get(), Source::After)
    }

    /// Takes an advance to `sequence` out of the budget of its source, except for what was paid before. An advance over
    /// budget is refused: it is never absorbed in part, and never made durable. Returns how many tokens it has cost.
    fn claim(&mut self, sequence: Sequence, source: Source, now: Instant) -> Result<u64, Refusal> {
        let advance = sequence.ahead_of(self.sequence.max(self.claimed));
        self.pay(sequence, advance, source, now)?;
        self.claimed = self.claimed.max(sequence);
        Ok(advance)
    }

    fn pay(
        &mut self,
        sequence: Sequence,
        advance: u64,
        source: Source,
        now: Instant,
    ) -> Result<(), Refusal> {
        // bug BudgetIgnored: return Ok(());
        let payer = match source {
            Source::After => Payer::Client,
            Source::Peer => Payer::Peer,
            Source::KnownPeer => Payer::KnownPeer,
            Source::Operator => return Ok(()),
        };
        self.budget
            .take(advance, payer, now)
            .map_err(|unpaid| match unpaid {
                Unpaid::NotNow { left } => Refusal::OverBudget {
                    sequence,
                    advance,
                    left,
                    source,
                },
                Unpaid::Never { most } => Refusal::NeverPaid {
                    sequence,
                    advance,
                    most,
                    source,
                },
            })
    }
}

/// What a request for identities comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is decided: the counter was raised to `before`, and then by the count.
    Taken {
        before: Sequence,
        first: Identity,
        paid: u64,
    },
    /// It has to wait until `until` is durable, and has moved nothing.
    Waits { until: Sequence, paid: u64 },
}

/// A hundredth of the sequence.
const PERCENT: u64 = Sequence::MAX.get() / 100;

/// The last level: nothing is left.
const EXHAUSTED_PERCENT: u64 = 100;
