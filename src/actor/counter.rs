//! The counter: `next` and `update` of the model, and what may be asked of them.

use super::{Actor, Effect};
use crate::{
    identity::{Identity, Sequence},
    time::Instant,
    wire::{ErrorCode, ErrorReply, Standing},
};

impl Actor {
    /// `next` of the model: takes `count` sequences above both the counter and `after`. Returns what the
    /// counter was raised to before, and the first identity.
    #[inline]
    pub(super) fn next(
        &mut self,
        count: u32,
        after: u64,
    ) -> Result<(Sequence, Identity), ErrorReply> {
        if count == 0 || count > self.config.count_max {
            return Err(self.bad_count());
        }
        if self.standing != Standing::Serving {
            self.may_serve(count, after)?;
        }
        let before = if after == 0 {
            self.sequence
        } else {
            self.sequence.max(self.judge_after(after)?)
        };
        let Some(last) = before.checked_add(u64::from(count)) else {
            return Err(self.exhausted(before));
        };
        if before > self.sequence {
            self.tally.absorbed += 1;
        }
        self.tally.identity_requests += 1;
        self.tally.identities += u64::from(count);
        self.sequence = last;
        let first = before
            .checked_add(1)
            .expect("the last sequence of the block exists, so does its first");
        Ok((before, Identity::new(first, self.config.pid)))
    }

    /// The sequence of `after`, if the counter may be raised so far.
    fn judge_after(&self, after: u64) -> Result<Sequence, ErrorReply> {
        match Identity::from_u64(after) {
            Some(identity) => self.judge_advance(identity.sequence().get(), "after"),
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
    pub(super) fn judge_advance(&self, sequence: u64, what: &str) -> Result<Sequence, ErrorReply> {
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

    fn bad_count(&self) -> ErrorReply {
        ErrorReply::new(
            ErrorCode::BadCount,
            format!("count must be 1 to {} (--max-count)", self.config.count_max),
        )
    }

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
            Standing::StorageFailed if last <= self.ceiling.durable().get() => Ok(()),
            Standing::StorageFailed => Err(storage_failed()),
            Standing::Stopping => Err(ErrorReply::new(
                ErrorCode::Stopping,
                "this server is stopping: ask another one",
            )),
        }
    }

    /// `update` of the model: raises the counter when `sequence` is larger.
    pub(super) fn update(&mut self, sequence: Sequence, now: Instant, effects: &mut Vec<Effect>) {
        if sequence > self.sequence && self.standing == Standing::Serving {
            self.sequence = sequence;
            self.tally.absorbed += 1;
            self.raise_if_due(now, effects);
        }
    }
}

pub(super) fn storage_failed() -> ErrorReply {
    ErrorReply::new(
        ErrorCode::Storage,
        "this server cannot write its state directory and is about to exit: ask another one",
    )
}
