//! What an operator may request: to forget, and to go on above a sequence.

use super::{
    Actor, ConnectionId, Effect, Report,
    refusal::{Refusal, Source},
    waiting::Waiting,
};
use crate::{
    identity::{Pid, Sequence},
    time::Instant,
    words::{Forget, Message},
};

impl Actor {
    /// An operator wants something that is remembered to be forgotten.
    pub(super) fn on_forget_request(
        &mut self,
        from: ConnectionId,
        what: Forget,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        match what {
            Forget::All(pid) => self.forget_pid(from, pid, now, effects),
            Forget::NeverServed(pid) if !self.guard.members().contains_key(&pid) => {
                self.refuse(from, Refusal::UnknownPid(pid), effects);
            }
            Forget::NeverServed(pid) => self.forget_claims(from, Some(pid), now, effects),
            Forget::AllNeverServed => self.forget_claims(from, None, now, effects),
        }
    }

    /// Lives that never said that they serve. If there are none, that is done too, and nothing is reported.
    fn forget_claims(
        &mut self,
        from: ConnectionId,
        pid: Option<Pid>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let (claims, sequence) = self.guard.forget_claims(pid);
        if claims > 0 {
            effects.push(Effect::Report(Report::ForgotClaims { from, pid, claims }));
            self.save_members(now, effects);
        }
        self.answer(from, done(from, sequence), effects);
    }

    fn forget_pid(
        &mut self,
        from: ConnectionId,
        pid: Pid,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        match self.guard.forget(pid) {
            Some(sequence) => {
                effects.push(Effect::Report(Report::Forgot {
                    from,
                    pid,
                    sequence,
                }));
                self.save_members(now, effects);
                let reply = done(from, sequence);
                self.answer(from, reply, effects);
            }
            None => self.refuse(from, Refusal::UnknownPid(pid), effects),
        }
    }

    /// An operator wants the server to go on above a sequence. Budgets do not apply. This is durable before it is
    /// answered.
    pub(super) fn on_advance_request(
        &mut self,
        from: ConnectionId,
        above: u64,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        match self.judge_operator(above) {
            Ok(above) => {
                let sequence = self.counter.sequence();
                // Reported when it is asked for and not when it is done: its connection may be gone by then. If the
                // server is that far already, nothing moves and there is nothing to report.
                if above > sequence {
                    effects.push(Effect::Report(Report::Advanced {
                        from,
                        above,
                        sequence,
                    }));
                }
                self.advance_or_wait(from, above, now, effects);
            }
            Err(refusal) => self.refuse(from, refusal, effects),
        }
    }

    /// An operator's advance that was accepted before and has waited since.
    pub(super) fn on_advance_again(
        &mut self,
        from: ConnectionId,
        above: Sequence,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        match self.judge_operator(above.get()) {
            Ok(above) => self.advance_or_wait(from, above, now, effects),
            Err(refusal) => self.refuse(from, refusal, effects),
        }
    }

    fn advance_or_wait(
        &mut self,
        from: ConnectionId,
        above: Sequence,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let advance = Waiting::Advance { above };
        if self.waiting.has(from) || self.store.is_in_doubt() {
            return self.waiting.push(from, advance);
        }
        match self.counter.advance(above, self.durability.durable()) {
            Some(before) => {
                let reply = done(from, self.counter.sequence());
                self.reply_when_durable(from, reply, before, now, effects);
            }
            None => self.wait_for_disk(from, advance, above, now, effects),
        }
    }

    fn judge_operator(&self, above: u64) -> Result<Sequence, Refusal> {
        self.phase.may_advance()?;
        let above = self.counter.judge_advance(above, Source::Operator)?;
        let needs_store = self.store.is_in_doubt() || above > self.durability.durable();
        match self.store.is_away() && needs_store {
            true => Err(Refusal::StoreUnavailable),
            false => Ok(above),
        }
    }
}

fn done(to: ConnectionId, sequence: Sequence) -> Effect {
    let sequence = sequence.get();
    let message = Message::DoneReply { sequence };
    Effect::Reply { to, message }
}
