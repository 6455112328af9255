//! Durable first, reply after: how far the disk allows, and the answers that wait for it.

use super::{
    ActorConfig, ConnectionId, Effect, Write, ceiling::Ceiling, counter::Counter, line::Line,
};
use crate::{identity::Sequence, time::Instant, words::Message};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Durability {
    ceiling: Ceiling,
    /// Answers that wait for the disk. Bounded by the frames that the server keeps in flight.
    held: Line<Held>,
    /// Identity requests that had to wait.
    waited: u64,
    /// Until all who wait have been looked at no raise is asked for: it is to cover those who wait on.
    is_settling: bool,
}

/// An answer that must not leave before the disk has caught up.
#[derive(Debug)]
enum Held {
    /// It waits for a sequence that was decided for it.
    Decided {
        /// The ceiling that it waits for.
        until: Sequence,
        /// The sequence as it was before, should the disk fail.
        before: Sequence,
        effect: Effect,
    },
    /// It waits for nothing itself, and leaves with the one before it.
    Behind(Effect),
}

impl Durability {
    pub(super) fn new(config: &ActorConfig) -> Durability {
        let rate = config.budgets.rate_per_second;
        Durability {
            ceiling: Ceiling::new(config.sequence, config.ceiling, rate, config.reserve),
            held: Line::new(),
            waited: 0,
            is_settling: false,
        }
    }

    /// The highest sequence that is durable.
    pub(super) const fn durable(&self) -> Sequence {
        self.ceiling.durable()
    }

    /// The highest sequence that is durable and at which no raise is due.
    pub(super) fn clear(&self) -> Sequence {
        self.ceiling.clear()
    }

    /// Identity requests that had to wait for the disk.
    pub(super) const fn waited(&self) -> u64 {
        self.waited
    }

    /// From now on no raise is asked for, or again.
    pub(super) const fn set_settling(&mut self, is_settling: bool) {
        self.is_settling = is_settling;
    }

    /// One more that had to wait, and was not held.
    pub(super) const fn count_waited(&mut self) {
        self.waited += 1;
    }

    /// How many answers wait for the disk.
    pub(super) fn holds(&self) -> usize {
        self.held.len()
    }

    /// How much was last added to the ceiling at once.
    pub(super) const fn step(&self) -> u64 {
        self.ceiling.step()
    }

    /// Something waits until `sequence` is durable, and moves nothing before.
    pub(super) fn want(&mut self, sequence: Sequence) {
        self.ceiling.want(sequence);
    }

    /// Whether no answer waits for the disk.
    pub(super) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether an answer to that connection waits.
    pub(super) fn holds_for(&self, connection: ConnectionId) -> bool {
        self.held.has(connection)
    }

    /// Whether no answer waits, and no ceiling is on its way to the disk.
    pub(super) fn is_settled(&self) -> bool {
        self.held.is_empty() && !self.ceiling.is_writing()
    }

    /// Lets an answer leave as soon as the last sequence that was decided, which is that of this answer, is
    /// durable. `before` is the sequence as it was before.
    pub(super) fn reply_when_durable(
        &mut self,
        to: ConnectionId,
        reply: Effect,
        before: Sequence,
        counter: &Counter,
        effects: &mut Vec<Effect>,
    ) {
        if self.may_leave(counter) {
            // Nothing is held back: what is ends above the ceiling, and this answer comes after it.
            effects.push(reply);
            return;
        }
        if let Effect::ReplyIdentities { .. } = reply {
            self.waited += 1;
        }
        let held = Held::Decided {
            until: counter.sequence(),
            before,
            effect: reply,
        };
        self.held.push(to, held);
    }

    /// Whether the last sequence that was decided is durable.
    fn may_leave(&self, counter: &Counter) -> bool {
        // bug ReplyBeforeDurable: return true;
        // bug AbsorptionBypassesCeiling: if counter.absorbed() > self.ceiling.durable() { return true; }
        counter.sequence() <= self.ceiling.durable()
    }

    /// Lets an answer leave that waits for nothing itself, behind those of the same connection that do.
    pub(super) fn reply_behind(
        &mut self,
        to: ConnectionId,
        effect: Effect,
        effects: &mut Vec<Effect>,
    ) {
        // bug ReplyOvertakes instead: if self.held.has(to) && !BUG {
        if self.held.has(to) {
            self.held.push(to, Held::Behind(effect));
        } else {
            effects.push(effect);
        }
    }

    /// Asks for a higher ceiling when the counter has come so far, or something waits for one.
    pub(super) fn raise_if_due(
        &mut self,
        counter: &mut Counter,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if self.is_settling || !self.ceiling.is_due(counter.sequence()) {
            return;
        }
        counter.raise_asked();
        let ceiling = self
            .ceiling
            .raise(counter.sequence(), counter.identities(), now);
        let sequence = counter.sequence().min(self.ceiling.durable());
        effects.push(Effect::Write(Write::Ceiling { sequence, ceiling }));
    }

    /// The ceiling that was asked for is durable: what waited for it leaves.
    pub(super) fn raised(&mut self, effects: &mut Vec<Effect>) {
        let durable = self.ceiling.raised();
        let may_leave = |held: &Held| match held {
            Held::Decided { until, .. } => *until <= durable,
            Held::Behind(_) => true,
        };
        while let Some(held) = self.held.pop_if(may_leave) {
            let (Held::Decided { effect, .. } | Held::Behind(effect)) = held;
            effects.push(effect);
        }
    }

    /// The disk failed: no raise is asked for any more, and what waited for one is answered with `error`. Returns
    /// the sequence as it was before the first that is taken back so.
    pub(super) fn fail(&mut self, error: &Message, effects: &mut Vec<Effect>) -> Option<Sequence> {
        self.ceiling.failed();
        // What leaves next, leaves with its own sequence: the others stand behind one.
        let before = self.held.first().and_then(|held| match held {
            Held::Decided { before, .. } => Some(*before),
            Held::Behind(_) => None,
        });
        for (to, held) in self.held.take_all() {
            effects.push(match held {
                Held::Decided { .. } => Effect::Reply {
                    to,
                    message: error.clone(),
                },
                Held::Behind(effect) => effect,
            });
        }
        before
    }
}
