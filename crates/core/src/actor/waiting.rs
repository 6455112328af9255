//! What waits before it is decided. While the server joins, every request waits for the peers; while it is in doubt whether
//! it still has its pid, for the store. Else only an advance above the durable ceiling waits, for the disk, together with
//! what its connection asks after it.
//!
//! Such an advance waits alone. It moves the counter only once that is durable. So the others go on below it, and nobody
//! waits for a write that somebody else has made necessary. When the advance is decided, what came after it on the same
//! connection is decided too, in order.

use super::{Actor, ConnectionId, Effect, phase::Phase};
use crate::{identity::Sequence, time::Instant};

/// What waits.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A request for identities.
    Request { count: u32, after: u64 },
    /// An operator's word.
    Advance { above: Sequence },
    /// The answer to something that the same connection asked after one that waits.
    Answer(Effect),
}

impl Actor {
    /// Lets an advance wait until the sequence that it leads to is durable.
    pub(super) fn wait_for_disk(
        &mut self,
        from: ConnectionId,
        waiting: Waiting,
        until: Sequence,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        self.waiting.push(from, waiting);
        self.durability.want(until);
        self.raise_if_due(now, effects);
    }

    /// Asks for a higher ceiling if the counter has come far enough, or if something waits for one.
    pub(super) fn raise_if_due(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        // After the exact sequence of a stop the disk takes no ceiling, and another session's state is not to be changed.
        if matches!(self.phase, Phase::Stopped | Phase::Fenced) {
            return;
        }
        self.durability
            .raise_if_due(&mut self.counter, now, effects);
    }

    /// The ceiling is higher now: decides what waited for it, in order. The next raise is asked for after that.
    pub(super) fn settle_durable(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.durability.set_settling(true);
        for (to, waiting) in self.waiting.take_all() {
            let is_request = matches!(waiting, Waiting::Request { .. });
            let held = self.durability.waited();
            self.settle_one(to, waiting, now, effects);
            // It has waited, whether or not it still does.
            let is_answered = !self.waiting.has(to) && self.durability.waited() == held;
            if is_request && is_answered {
                self.durability.count_waited();
            }
        }
        self.durability.set_settling(false);
    }

    /// Nobody waits for the peers any more: answers those who did, in order. Those who wait for the disk still do.
    pub(super) fn settle_waiting(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        for (to, waiting) in self.waiting.take_all() {
            self.settle_one(to, waiting, now, effects);
        }
    }

    /// A connection is gone: nothing waits for it any more. What was decided for it stays decided.
    pub(super) fn on_disconnected(
        &mut self,
        connection: ConnectionId,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        self.forget_newcomer(connection, now, effects);
        self.waiting.take_of(connection);
        self.durability.forget(connection);
    }

    fn settle_one(
        &mut self,
        to: ConnectionId,
        waiting: Waiting,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        match waiting {
            Waiting::Request { count, after } => {
                self.on_identity_request(to, count, after, now, effects);
            }
            Waiting::Advance { above } => {
                self.on_advance_again(to, above, now, effects);
            }
            Waiting::Answer(effect) => self.answer(to, effect, effects),
        }
    }
}
