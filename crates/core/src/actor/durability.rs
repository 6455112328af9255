//! Durable first, reply after: effects that wait for the disk, and what becomes of them.

use super::{
    Actor, ConnectionId, Effect, Outcome, Report, Write, Written, counter::storage_failed,
    joining::Waiting,
};
use crate::{
    identity::Sequence,
    limits::EXHAUSTION_WARNINGS_PERCENT,
    time::Instant,
    words::{Message, Standing},
};

/// An effect that must not leave before the disk has caught up.
#[derive(Debug)]
pub(super) struct Held {
    /// The ceiling that it waits for.
    pub(super) until: Sequence,
    /// The sequence as it was before, should the disk fail.
    pub(super) before: Sequence,
    pub(super) effect: Effect,
}

impl Actor {
    /// Lets an answer leave as soon as the last sequence that was decided, which is that of this answer, is
    /// durable. `before` is the sequence as it was before.
    pub(super) fn reply_when_durable(
        &mut self,
        to: ConnectionId,
        reply: Effect,
        before: Sequence,
        effects: &mut Vec<Effect>,
    ) {
        if self.may_leave() {
            // Nothing is held back: what is ends above the ceiling, and this answer comes after it.
            effects.push(reply);
        } else {
            let held = Held {
                until: self.sequence,
                before,
                effect: reply,
            };
            self.held.push(to, held);
        }
    }

    /// Whether the last sequence that was decided is durable.
    pub(super) fn may_leave(&self) -> bool {
        // bug ReplyBeforeDurable: return true;
        // bug AbsorptionBypassesCeiling: if self.absorbed > self.ceiling.durable() { return true; }
        self.sequence <= self.ceiling.durable()
    }

    /// Lets an answer leave that waits for nothing itself, behind those of the same connection that do.
    pub(super) fn emit(&mut self, to: ConnectionId, effect: Effect, effects: &mut Vec<Effect>) {
        if self.waiting.has(to) {
            self.waiting.push(to, Waiting::Answer(effect));
        // bug ReplyOvertakes instead: } else if self.held.has(to) && !BUG {
        } else if self.held.has(to) {
            // It leaves with the one before it.
            let held = Held {
                until: Sequence::ZERO,
                before: self.sequence,
                effect,
            };
            self.held.push(to, held);
        } else {
            effects.push(effect);
        }
    }

    pub(super) fn raise_if_due(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.ceiling.is_due(self.sequence) {
            self.raise(now, effects);
        }
    }

    fn raise(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let ceiling = self
            .ceiling
            .raise(self.sequence, self.tally.identities, now);
        let sequence = self.sequence();
        effects.push(Effect::Write(Write::Ceiling { sequence, ceiling }));
        // Warned here, where every sequence passes by sooner or later, and not at each request.
        let used_percent = self.sequence.get() / (Sequence::MAX.get() / 100);
        let reached = EXHAUSTION_WARNINGS_PERCENT
            .into_iter()
            .filter(|level| used_percent >= *level)
            .max();
        if let Some(percent) = reached.filter(|percent| *percent > self.warned_percent) {
            self.warned_percent = percent;
            let remaining = self.sequence.remaining();
            effects.push(Effect::Report(Report::Exhaustion { percent, remaining }));
        }
    }

    /// The disk has answered.
    pub(super) fn on_written(&mut self, written: Written, now: Instant, effects: &mut Vec<Effect>) {
        match written {
            Written::Ceiling(Outcome::Durable) => self.on_ceiling_durable(now, effects),
            Written::Ceiling(Outcome::Failed) | Written::Objection(Outcome::Failed) => {
                self.on_write_failed(now, effects);
            }
            Written::Objection(Outcome::Durable) => {}
            Written::Members(_) => {
                self.guard.saved();
                self.save_members(now, false, effects);
            }
            Written::Stop(outcome) => effects.push(Effect::Stopped(outcome)),
        }
    }

    /// The ceiling stands higher: what waited for it leaves.
    fn on_ceiling_durable(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let durable = self.ceiling.raised();
        while let Some(held) = self.held.pop_if(|held| held.until <= durable) {
            effects.push(held.effect);
        }
        if self.standing == Standing::Stopping && self.held.is_empty() {
            self.stop_if_settled(now, effects);
        } else {
            self.raise_if_due(now, effects);
        }
    }

    /// The disk failed: what waited for it is answered with an error, and the counter goes back to where it
    /// can still serve what lies under the durable ceiling.
    fn on_write_failed(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.ceiling.failed();
        // One that did not hand out does not begin to now.
        self.may_finish = self.standing == Standing::Serving
            || (self.standing == Standing::StorageFailed && self.may_finish);
        self.standing = Standing::StorageFailed;
        if let Some(first) = self.held.first() {
            // What was absorbed stays so: nothing below it is handed out any more.
            self.sequence = first.before.max(self.absorbed);
        }
        for (_, held) in self.held.take_all() {
            effects.push(match held.effect {
                Effect::ReplyIdentities { to, .. }
                | Effect::Reply {
                    to,
                    message: Message::DoneReply { .. },
                } if held.until > Sequence::ZERO => {
                    let message = Message::ErrorReply(Box::new(storage_failed()));
                    Effect::Reply { to, message }
                }
                other => other,
            });
        }
        self.settle_waiting(now, effects);
        effects.push(Effect::Report(Report::StorageFailed));
    }

    pub(super) fn on_stop(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        match self.standing {
            Standing::Serving | Standing::Joining | Standing::Conflict | Standing::Stale => {
                self.standing = Standing::Stopping;
                self.save_members(now, true, effects);
                self.settle_waiting(now, effects);
                self.stop_if_settled(now, effects);
            }
            Standing::Stopping | Standing::StorageFailed => {}
        }
    }

    /// Makes the exact sequence durable once no write is under way and nothing waits for one.
    fn stop_if_settled(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.held.is_empty() && !self.ceiling.is_writing() {
            self.stop_written = true;
            self.save_members(now, true, effects);
            let sequence = self.sequence;
            effects.push(Effect::Write(Write::Stop { sequence }));
        }
    }
}
