//! Objections: made to others, and heard from them; and what an operator may ask.

use super::{Actor, ConnectionId, Effect, Link, Report, guard::Charge, joining::Waiting};
use crate::{
    identity::{Pid, Sequence},
    limits::URGENT_SAVE_INTERVAL,
    time::Instant,
    words::{ErrorCode, ErrorReply, Message, Objection, Overrule, Standing, SyncMessage},
};

impl Actor {
    /// Remembers who a peer is, and objects when something speaks against it. Returns whether the message
    /// that was heard has been answered with an objection.
    pub(super) fn guard_against(
        &mut self,
        link: Link,
        sync: &SyncMessage,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let sequence = self.believable(sync.sequence);
        let received = self.links.get(&link).and_then(|state| state.sent);
        let charges = self.guard.hear(link, received, sync, sequence, now);
        let objected = charges
            .first()
            .is_some_and(|charge| charge.session == sync.session);
        for (index, charge) in charges.into_iter().enumerate() {
            self.object(charge, index == 0 && objected, effects);
        }
        self.save_members(now, false, effects);
        objected
    }

    /// Tells a process why it must not hand out identities: in the place of an answer, where one is due.
    fn object(&mut self, charge: Charge, is_sender: bool, effects: &mut Vec<Effect>) {
        match charge.link {
            Link::Accepted(connection) if is_sender => {
                let effect = Effect::Object {
                    charge,
                    answers: true,
                };
                self.emit(connection, effect, effects);
            }
            Link::Accepted(_) | Link::Dialed(_) => {
                effects.push(Effect::Object {
                    charge,
                    answers: false,
                });
            }
        }
    }

    /// A peer objects to this process.
    pub(super) fn on_objection(
        &mut self,
        link: Link,
        objection: &Objection,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        // Only a peer may object: one that was asked, or one that has asked.
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        state.asked_at = None;
        let own = &self.config;
        if objection.pid != own.pid || objection.session != own.session {
            // Meant for a process that was here before.
            return;
        }
        let sequence = self.believable(objection.sequence);
        let own = &self.config;
        let code = ErrorCode::from_u16(objection.code);
        if code == Some(ErrorCode::PidConflict) {
            return self.object_to_oneself(
                Standing::Conflict,
                sequence,
                &objection.message,
                now,
                effects,
            );
        }
        if code != Some(ErrorCode::StaleState) {
            // Of a later version: what it means is not known.
            return;
        }
        if own.recovered.get() >= objection.sequence && own.recovered > Sequence::ZERO {
            let overrule = Overrule {
                pid: own.pid,
                incarnation: own.incarnation,
                session: own.session,
                above: own.recovered.get(),
            };
            let message = Message::Overrule(Box::new(overrule));
            effects.push(Effect::Tell { to: link, message });
            return;
        }
        self.object_to_oneself(Standing::Stale, sequence, &objection.message, now, effects);
    }

    /// This server must not hand out identities any more, up to `sequence` at least somebody else may have.
    /// That is durable, or restarts would wash it off: only an operator's word changes it.
    pub(super) fn object_to_oneself(
        &mut self,
        standing: Standing,
        sequence: Sequence,
        why: &str,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if self.stop_written {
            // It comes too late to be made durable, and counts as though it came after the end: who says at
            // his end that he was objected to has to know it at the next start.
            return;
        }
        self.objected = true;
        self.may_finish = false;
        let sequence = sequence.max(self.sequence());
        self.remember_objection(sequence, now, effects);
        let may_become = match self.standing {
            Standing::Serving | Standing::Joining => true,
            Standing::Stale => standing == Standing::Conflict,
            Standing::Conflict | Standing::Stopping | Standing::StorageFailed => false,
        };
        if may_become {
            self.standing = standing;
            effects.push(Effect::Report(Report::Objected {
                standing,
                why: why.to_owned(),
            }));
            self.settle_waiting(now, effects);
        }
    }

    /// Makes an objection durable that says more than the one before. Peers say it again with each round, so
    /// one that comes too soon is not lost.
    fn remember_objection(&mut self, sequence: Sequence, now: Instant, effects: &mut Vec<Effect>) {
        // bug ObjectionNotDurable: return;
        let says_more = match self.objected_at {
            None => true,
            Some((before, at)) => sequence > before && now.since(at) >= URGENT_SAVE_INTERVAL,
        };
        let can_write = self.standing != Standing::StorageFailed;
        if says_more && can_write {
            self.objected_at = Some((sequence, now));
            effects.push(Effect::PersistObjection { sequence });
        }
    }

    /// Another server with this one's pid was met face to face. Both are alive: it has spoken to this
    /// process, and this process hears it.
    pub(super) fn notice_same_pid(
        &mut self,
        error: &ErrorReply,
        sequence: u64,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if error.code == ErrorCode::SamePid.get() {
            let sequence = self.believable(sequence);
            self.object_to_oneself(Standing::Conflict, sequence, &error.message, now, effects);
        }
    }

    /// The process that was objected to has its operator's word.
    pub(super) fn on_overrule(
        &mut self,
        link: Link,
        overrule: &Overrule,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let speaks_for_itself = self
            .links
            .get(&link)
            .is_some_and(|state| state.pid == Some(overrule.pid));
        let believed = self.believable(overrule.above);
        if speaks_for_itself && self.guard.overrule(overrule, believed) {
            let (pid, above) = (overrule.pid, overrule.above);
            effects.push(Effect::Report(Report::Overruled { link, pid, above }));
            self.save_members(now, false, effects);
        }
    }

    /// Hands what is remembered of the peers to the disk, when it is time.
    pub(super) fn save_members(&mut self, now: Instant, stopping: bool, effects: &mut Vec<Effect>) {
        if let Some(members) = self.guard.take_unsaved(now, stopping) {
            effects.push(Effect::PersistMembers(members));
        }
    }

    /// An operator says that what is remembered of a pid counts no more.
    pub(super) fn on_forget_request(
        &mut self,
        from: ConnectionId,
        pid: Pid,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        match self.guard.forget(pid) {
            Some(sequence) => {
                self.save_members(now, false, effects);
                let message = Message::DoneReply {
                    sequence: sequence.get(),
                };
                self.emit(from, Effect::Reply { to: from, message }, effects);
            }
            None => {
                let text = format!(
                    "nothing is known here of pid {pid}: ipseity-cli members lists those known"
                );
                self.reply_error(from, ErrorReply::new(ErrorCode::UnknownPid, text), effects);
            }
        }
    }

    /// An operator says that the server is to go on above a sequence, whatever the budgets allow. Durable
    /// before its answer.
    pub(super) fn on_advance_request(
        &mut self,
        from: ConnectionId,
        above: u64,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        match self.judge_operator(above) {
            Ok(above) if self.waiting.has(from) => {
                self.waiting.push(from, Waiting::Advance { above });
            }
            Ok(above) => self.advance(from, above, now, effects),
            Err(error) => self.reply_error(from, error, effects),
        }
    }

    fn advance(
        &mut self,
        from: ConnectionId,
        above: Sequence,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let before = self.sequence;
        self.sequence = before.max(above);
        self.absorbed = self.absorbed.max(above);
        let sequence = self.sequence.get();
        let message = Message::DoneReply { sequence };
        self.reply_when_durable(from, Effect::Reply { to: from, message }, before, effects);
        self.raise_if_due(now, effects);
    }
}
