//! Answers of the disk. A stop ends with the last of them.

use super::{Actor, Effect, Outcome, Report, Write, Written, phase::Phase, refusal::Refusal};
use crate::time::Instant;

impl Actor {
    /// The disk has answered.
    pub(super) fn on_written(&mut self, written: Written, now: Instant, effects: &mut Vec<Effect>) {
        if let Some(took) = self.writes.finished(now) {
            let waited = self.waiting_for_disk();
            effects.push(Effect::Report(Report::WriteOver { took, waited }));
        }
        match written {
            // A raise that succeeded before this life was fenced. Nobody waits for it any more.
            Written::Ceiling(_) if self.phase == Phase::Fenced => {}
            Written::Ceiling(Outcome::Durable) => self.on_ceiling_durable(now, effects),
            Written::Ceiling(Outcome::Fenced) | Written::Objection(Outcome::Fenced) => {
                self.on_fenced(now, effects);
            }
            Written::Ceiling(Outcome::Failed) | Written::Objection(Outcome::Failed) => {
                self.on_write_failed(now, effects);
            }
            Written::Objection(Outcome::Durable) => {}
            Written::Members(outcome) => {
                self.guard.saved(outcome);
                self.settle_newcomers(now, effects);
                // A stop does not try again, because it would only fail until the time is over.
                if outcome == Outcome::Durable || !self.phase.is_stopping() {
                    self.save_members(now, effects);
                }
            }
            Written::Stop(outcome) => {
                if outcome == Outcome::Durable {
                    self.say_goodbye(self.served, effects);
                }
                effects.push(Effect::Stopped(outcome));
            }
        }
    }

    /// The write that is under way may be late.
    pub(super) fn on_write_timeout(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if let Some(took) = self.writes.look(now) {
            let waiting = self.waiting_for_disk();
            effects.push(Effect::Report(Report::WriteLate { took, waiting }));
        }
    }

    /// The ceiling is higher: the answers that waited for it leave, and what waited for it is absorbed and decided.
    fn on_ceiling_durable(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.durability.raised();
        self.counter.absorb_heard(self.durability.durable());
        self.go_on(now, effects);
    }

    /// The disk failed. Answers that waited for it become errors. The counter goes back, so that it can still serve
    /// what is below the durable ceiling.
    fn on_write_failed(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.phase.fail();
        self.durability.give_up_raise();
        self.take_back(Refusal::StorageFailed, effects);
        self.settle_waiting(now, effects);
        effects.push(Effect::Report(Report::StorageFailed));
    }

    /// The server is to stop. Nothing more is handed out, and the exact sequence is made durable.
    pub(super) fn on_stop(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.phase.stop() {
            self.refuse_newcomers(effects);
            self.save_members(now, effects);
            self.settle_waiting(now, effects);
            self.stop_if_settled(now, effects);
        }
    }

    /// Makes the exact sequence durable, once no ceiling is on its way to the disk and no answer waits for one.
    pub(super) fn stop_if_settled(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.durability.is_settled() {
            self.phase.end();
            self.save_members(now, effects);
            let sequence = self.counter.sequence();
            effects.push(Effect::Write(Write::Stop { sequence }));
        }
    }
}
