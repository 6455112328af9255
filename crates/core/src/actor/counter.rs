//! The counter: `next` and `update` of the model, and what may be asked of them.

use super::{Actor, Effect};
use crate::{
    identity::{Identity, PID_BITS, Sequence},
    time::Instant,
    words::{ErrorCode, ErrorReply, Standing},
};

impl Actor {
    /// `next` of the model: takes `count` sequences above both the counter and `after`. Returns what the
    /// counter was raised to before, and the first identity.
    pub(super) fn next(
        &mut self,
        count: u32,
        after: u64,
        now: Instant,
    ) -> Result<(Sequence, Identity), ErrorReply> {
        // bug CountUnchecked instead: if count == 0 || (count > self.config.count_max && !BUG) {
        if count == 0 || count > self.config.count_max {
            return Err(self.bad_count());
        }
        if self.standing != Standing::Serving {
            self.may_serve(count, after)?;
        }
        // bug AfterIgnored instead: let before = if after == 0 || BUG {
        let before = if after == 0 {
            self.sequence
        } else {
            self.sequence.max(self.judge_after(after)?)
        };
        let Some(last) = before.checked_add(u64::from(count)) else {
            // bug EndWraps: self.sequence = Sequence::ZERO; return self.next(count, 0, now);
            return Err(self.exhausted(before));
        };
        if before > self.sequence {
            self.pay(before, Source::After, now)?;
            self.tally.absorbed += 1;
        }
        let first = before
            .checked_add(1)
            .expect("the last sequence of the block exists, so does its first");
        Ok((before, self.take(first, last, count)))
    }

    /// `next` for nearly every request: one that raises the counter no further than is clear, and by nothing but
    /// its count. `None` for all others, which are to be looked at more closely.
    #[inline(always)]
    pub(super) fn next_in_the_clear(&mut self, count: u32, after: u64) -> Option<Identity> {
        debug_assert_eq!(self.clear, self.clear_up_to());
        let before = self.sequence;
        let last = before.checked_add_up_to(u64::from(count), self.clear)?;
        // There is none where the count is zero.
        let first = before.checked_add_up_to(1, last)?;
        // An `after` that is no identity is ahead, too.
        let is_ahead = after >> PID_BITS > before.get();
        (count <= self.config.count_max && !is_ahead).then(|| self.take(first, last, count))
    }

    /// How far the counter may go without a look at anything else: up to there the server serves, all is durable,
    /// and no raise is due.
    ///
    /// It changes only with the standing and the ceiling, so with no request that is in the clear. And where an
    /// answer is held back for the disk, the counter stands above the ceiling, so nothing is in the clear that
    /// could overtake it.
    pub(super) fn clear_up_to(&self) -> Sequence {
        match self.standing {
            Standing::Serving => self.ceiling.clear(),
            Standing::Joining
            | Standing::Conflict
            | Standing::Stale
            | Standing::StorageFailed
            | Standing::Stopping => Sequence::ZERO,
        }
    }

    /// Raises the counter to `last`, which is the last of `count` sequences, and returns the first identity.
    #[inline(always)]
    fn take(&mut self, first: Sequence, last: Sequence, count: u32) -> Identity {
        self.tally.identity_requests += 1;
        self.tally.identities += u64::from(count);
        self.sequence = last;
        // bug BlockOverlaps: self.sequence = first;
        // bug PidLeftOut: return Identity::new(first, crate::identity::Pid::MIN);
        Identity::new(first, self.config.pid)
    }

    /// The sequence of `after`, if the counter may be raised so far.
    fn judge_after(&self, after: u64) -> Result<Sequence, ErrorReply> {
        match Identity::from_u64(after) {
            Some(identity) => self.judge_advance(identity.sequence().get(), Source::After),
            None => Err(ErrorReply::new(
                ErrorCode::AdvanceTooLarge,
                format!(
                    "after {after} is beyond the last identity there is, {}",
                    i64::MAX
                ),
            )),
        }
    }

    /// `sequence`, if the counter may be raised so far. Refusing costs order, never uniqueness.
    pub(super) fn judge_advance(
        &self,
        sequence: u64,
        source: Source,
    ) -> Result<Sequence, ErrorReply> {
        let what = source.name();
        let Some(wanted) = Sequence::new(sequence) else {
            return Err(ErrorReply::new(
                ErrorCode::AdvanceTooLarge,
                format!(
                    "{what}: sequence {sequence} is beyond the last there is, {}",
                    Sequence::MAX
                ),
            ));
        };
        let advance = wanted.ahead_of(self.sequence);
        if advance > self.config.advance_max {
            return Err(ErrorReply::new(
                ErrorCode::AdvanceTooLarge,
                format!(
                    "{what}: sequence {wanted} is {advance} ahead of this server, more than --max-advance \
                     {} allows at once",
                    self.config.advance_max
                ),
            ));
        }
        Ok(wanted)
    }

    /// Takes an advance to `sequence` out of the budget of its source. What is over budget is refused: it
    /// is never absorbed in part, and never made durable.
    fn pay(&mut self, sequence: Sequence, source: Source, now: Instant) -> Result<(), ErrorReply> {
        // bug BudgetIgnored: return Ok(());
        let advance = sequence.ahead_of(self.sequence);
        let budget = match source {
            Source::After => &mut self.after_budget,
            Source::Peer => &mut self.peer_budget,
        };
        budget.take(advance, now).map_err(|left| {
            ErrorReply::new(
                ErrorCode::OverBudget,
                format!(
                    "{}: sequence {sequence} is {advance} ahead of this server, and its budget for \
                     advances allows {left} now: try again later, or have an operator run ipseity-cli \
                     advance",
                    source.name()
                ),
            )
        })
    }

    /// What an operator may raise the counter to: anything that exists.
    pub(super) fn judge_operator(&self, above: u64) -> Result<Sequence, ErrorReply> {
        match self.standing {
            Standing::StorageFailed => return Err(storage_failed()),
            Standing::Stopping => return Err(stopping()),
            Standing::Serving | Standing::Joining | Standing::Conflict | Standing::Stale => {}
        }
        Sequence::new(above).ok_or_else(|| {
            let text = format!(
                "sequence {above} is beyond the last there is, {}",
                Sequence::MAX
            );
            ErrorReply::new(ErrorCode::AdvanceTooLarge, text)
        })
    }

    /// As far as a peer is believed that speaks of a sequence: what is beyond it is never made durable.
    pub(super) fn believable(&self, sequence: u64) -> Sequence {
        let most = self.sequence.saturating_add(self.config.advance_max);
        Sequence::new(sequence).unwrap_or(Sequence::MAX).min(most)
    }

    #[cold]
    fn bad_count(&self) -> ErrorReply {
        ErrorReply::new(
            ErrorCode::BadCount,
            format!("count must be 1 to {} (--max-count)", self.config.count_max),
        )
    }

    #[cold]
    fn exhausted(&self, before: Sequence) -> ErrorReply {
        ErrorReply::new(
            ErrorCode::Exhausted,
            format!(
                "only {} sequences are left, and the count asks for more",
                before.remaining()
            ),
        )
    }

    /// Whether a server that is not serving may still hand this out.
    #[cold]
    fn may_serve(&self, count: u32, after: u64) -> Result<(), ErrorReply> {
        let after = Identity::from_u64(after).map_or(u64::MAX, |after| after.sequence().get());
        let last = self
            .sequence
            .get()
            .max(after)
            .saturating_add(u64::from(count));
        match self.standing {
            Standing::Serving => Ok(()),
            Standing::StorageFailed if self.may_finish && last <= self.ceiling.durable().get() => {
                Ok(())
            }
            Standing::StorageFailed => Err(storage_failed()),
            // bug ServesWhileStopping instead: Standing::Stopping => if BUG { Ok(()) } else { Err(stopping()) },
            Standing::Stopping => Err(stopping()),
            Standing::Joining => Err(ErrorReply::new(
                ErrorCode::Joining,
                "this server has just started and asks its peers first: try again in a moment or ask \
                 another one",
            )),
            Standing::Conflict => Err(ErrorReply::new(
                ErrorCode::PidConflict,
                "another live server has the pid of this one, so both have stopped: ask another one, and \
                 have an operator look at its log",
            )),
            Standing::Stale => Err(ErrorReply::new(
                ErrorCode::StaleState,
                "the peers of this server remember a newer state of its pid, so it has stopped: ask \
                 another one, and have an operator look at its log",
            )),
        }
    }

    /// `update` of the model: raises the counter when `sequence` is larger.
    ///
    /// # Errors
    /// The source's budget does not allow it; nothing has changed.
    pub(super) fn update(
        &mut self,
        sequence: Sequence,
        source: Source,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> Result<(), ErrorReply> {
        let absorbs = matches!(self.standing, Standing::Serving | Standing::Joining);
        let raises = sequence > self.sequence;
        // bug SyncAssigns: let raises = raises || BUG;
        // bug SyncTakesSmaller: let raises = if BUG { sequence < self.sequence } else { raises };
        if raises && absorbs {
            self.pay(sequence, source, now)?;
            self.sequence = sequence;
            self.absorbed = sequence;
            self.tally.absorbed += 1;
            self.raise_if_due(now, effects);
        }
        Ok(())
    }
}

/// Who asks for an advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A client, with `after`.
    After,
    /// A peer, with its sequence.
    Peer,
}

impl Source {
    const fn name(self) -> &'static str {
        match self {
            Source::After => "after",
            Source::Peer => "sequence of a peer",
        }
    }
}

fn stopping() -> ErrorReply {
    ErrorReply::new(
        ErrorCode::Stopping,
        "this server is stopping: ask another one",
    )
}

pub(super) fn storage_failed() -> ErrorReply {
    ErrorReply::new(
        ErrorCode::Storage,
        "this server cannot write its state directory and is about to exit: ask another one",
    )
}
