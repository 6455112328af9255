//! Requests for identities, for the status and for the members; frames that no handler accepts; and the order of
//! answers.

use super::{
    Actor, ConnectionId, Effect, Link, Report,
    counter::Next,
    phase::Phase,
    refusal::{Refusal, Source},
    waiting::Waiting,
};
use crate::{
    identity::{Pid, Sequence},
    time::Instant,
    words::{ErrorCode, ErrorReply, Hello, Introduction, Message, WIRE_VERSION},
};

impl Actor {
    /// Raises the counter by `count`, above `after`, and answers with the identities in between.
    pub(super) fn on_identity_request(
        &mut self,
        from: ConnectionId,
        count: u32,
        after: u64,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let request = Waiting::Request { count, after };
        if self.waiting.has(from) {
            return self.waiting.push(from, request);
        }
        match self.next(count, after, now) {
            Ok(Next::Taken {
                before,
                first,
                paid,
            }) => {
                self.report_raise(paid, from, now, effects);
                let to = from;
                let reply = Effect::ReplyIdentities { to, first, count };
                self.reply_when_durable(to, reply, before, now, effects);
            }
            Ok(Next::Waits { until, paid }) => {
                debug_assert!(self.ahead().may_wait(count, after), "it is foreseen");
                self.report_raise(paid, from, now, effects);
                self.wait_for_disk(from, request, until, now, effects);
            }
            Err(_) if self.must_wait() => self.waiting.push(from, request),
            Err(refusal) => {
                if refusal.is_of_advance() {
                    let error = Box::new(refusal.clone().into());
                    effects.push(Effect::Report(Report::AdvanceRefused { from, error }));
                }
                self.counter.count_refused(1);
                // bug ErrorCloses: return self.reply_and_close(from, refusal.into(), effects);
                self.refuse(from, refusal, effects);
            }
        }
    }

    /// `next` of the model, where the server may hand out.
    fn next(&mut self, count: u32, after: u64, now: Instant) -> Result<Next, Refusal> {
        self.counter.judge_count(count)?;
        self.may_serve(count, after)?;
        let durable = self.durability.durable();
        self.counter.next(count, after, durable, now)
    }

    /// Tells people of a large raise by a client.
    fn report_raise(
        &mut self,
        paid: u64,
        from: ConnectionId,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let (step, link) = (self.durability.step(), Link::Accepted(from));
        let report = self
            .counter
            .raise_report(paid, step, link, Source::After, now);
        effects.extend(report.map(Effect::Report));
    }

    /// Whether this request may still be served.
    fn may_serve(&self, count: u32, after: u64) -> Result<(), Refusal> {
        match self.phase {
            Phase::Serving if self.store.is_in_doubt() || self.is_beyond_store(count, after) => {
                Err(Refusal::StoreUnavailable)
            }
            Phase::Serving => Ok(()),
            Phase::Finishing
                if !self.store.is_in_doubt()
                    && self.counter.reach(count, after) <= self.durability.durable().get() =>
            {
                Ok(())
            }
            Phase::Finishing | Phase::StorageFailed => Err(Refusal::StorageFailed),
            // bug ServesWhileStopping instead: Phase::Stopping | Phase::Stopped | Phase::Fenced | Phase::Refused => { if BUG { return Ok(()); }
            Phase::Stopping | Phase::Stopped | Phase::Fenced | Phase::Refused => {
                Err(Refusal::Stopping)
            }
            Phase::Joining | Phase::JoinOverdue | Phase::Claiming | Phase::ClaimOverdue => {
                Err(Refusal::Joining)
            }
            Phase::Conflict => Err(Refusal::Conflict),
            Phase::Stale => Err(Refusal::Stale),
        }
    }

    /// Whether this request would have to wait for a store that does not answer.
    fn is_beyond_store(&self, count: u32, after: u64) -> bool {
        self.store.is_away() && self.counter.reach(count, after) > self.durability.durable().get()
    }

    /// Whether a request that may not be served now has to wait, for the peers or for the store.
    fn must_wait(&self) -> bool {
        let waits_for_store =
            self.phase == Phase::Serving && self.store.is_in_doubt() && !self.store.is_away();
        self.phase.must_wait() || waits_for_store
    }

    pub(super) fn on_status_request(&mut self, from: ConnectionId, effects: &mut Vec<Effect>) {
        self.answer(from, Effect::ReplyStatus { to: from }, effects);
    }

    /// A client asks who this server is. One that expects another cluster is not served.
    pub(super) fn on_hello_request(
        &mut self,
        from: ConnectionId,
        hello: Hello,
        effects: &mut Vec<Effect>,
    ) {
        let own = self.config.cluster.clone();
        if let Some(expected) = hello.cluster.filter(|expected| *expected != own) {
            let refusal = Refusal::NotThatCluster { own, expected };
            return self.reply_and_close(from, refusal.into(), effects);
        }
        let message = Message::HelloReply(Box::new(Introduction {
            cluster: own,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            wire_version: WIRE_VERSION,
            count_max: self.config.count_max,
            pid: self.config.pid,
            standing: self.phase.standing(),
        }));
        self.answer(from, Effect::Reply { to: from, message }, effects);
    }

    pub(super) fn on_members_request(
        &mut self,
        from: ConnectionId,
        first: Pid,
        effects: &mut Vec<Effect>,
    ) {
        self.answer(from, Effect::ReplyMembers { to: from, first }, effects);
    }

    pub(super) fn on_unknown(
        &mut self,
        from: ConnectionId,
        error: ErrorReply,
        effects: &mut Vec<Effect>,
    ) {
        if error.code == ErrorCode::ForeignVersion.get() {
            self.refuse_peer(from, error, effects);
        } else {
            self.reply_and_close(from, error, effects);
        }
    }

    /// A connection asks for what it may not. Somebody who only says that it is a peer is reported to people, and nothing
    /// of what it says is looked at.
    pub(super) fn on_denied(
        &mut self,
        from: ConnectionId,
        error: ErrorReply,
        effects: &mut Vec<Effect>,
    ) {
        if error.code == ErrorCode::NotAPeer.get() {
            self.refuse_peer(from, error, effects);
        } else {
            self.reply_error(from, error, effects);
        }
    }

    /// Tells a peer why it is refused, and reports it to people.
    pub(super) fn refuse_peer(
        &mut self,
        from: ConnectionId,
        error: ErrorReply,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Report(Report::Refused {
            from,
            error: Box::new(error.clone()),
        }));
        self.reply_and_close(from, error, effects);
    }

    /// Answers an earlier life of this server's own directory, which most likely is over. There is nothing to mend.
    pub(super) fn refuse_late_word(
        &mut self,
        from: ConnectionId,
        error: ErrorReply,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Report(Report::LateWord { from }));
        self.reply_and_close(from, error, effects);
    }

    /// Answers with an error. The connection stays open.
    pub(super) fn refuse(&mut self, to: ConnectionId, refusal: Refusal, effects: &mut Vec<Effect>) {
        self.reply_error(to, refusal.into(), effects);
    }

    fn reply_and_close(&mut self, to: ConnectionId, error: ErrorReply, effects: &mut Vec<Effect>) {
        self.reply_error(to, error, effects);
        self.answer(to, Effect::Close(to), effects);
    }

    pub(super) fn reply_error(
        &mut self,
        to: ConnectionId,
        error: ErrorReply,
        effects: &mut Vec<Effect>,
    ) {
        let message = Message::ErrorReply(Box::new(error));
        self.answer(to, Effect::Reply { to, message }, effects);
    }

    /// Sends the answer for which the counter was raised, as soon as that is durable. `before` is the sequence before
    /// that.
    pub(super) fn reply_when_durable(
        &mut self,
        to: ConnectionId,
        reply: Effect,
        before: Sequence,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        self.durability
            .reply_when_durable(to, reply, before, &self.counter, effects);
        self.raise_if_due(now, effects);
    }

    /// Whether an answer for that connection would have to wait behind others.
    pub(super) fn is_waited_for(&self, connection: ConnectionId) -> bool {
        self.waiting.has(connection) || self.durability.holds_for(connection)
    }

    /// Sends an answer that needs nothing from the disk, after the answers that its connection already waits for.
    pub(super) fn answer(&mut self, to: ConnectionId, effect: Effect, effects: &mut Vec<Effect>) {
        if self.waiting.has(to) {
            self.waiting.push(to, Waiting::Answer(effect));
        } else {
            self.durability.reply_behind(to, effect, effects);
        }
    }
}
