//! Objections: those that this server makes, those that it receives, and an operator's answer to one.

use super::{
    Actor, Effect, Link, Report, Write,
    guard::{Charge, Rival, Save},
    objected::Objected,
    objections::Verdict,
    phase::Phase,
};
use crate::{
    identity::Sequence,
    time::Instant,
    words::{Message, Objection, Overrule, SyncMessage},
};

impl Actor {
    /// Notes who a peer is, and objects if there is a reason. Returns whether the message was answered with an
    /// objection.
    pub(super) fn guard_against(
        &mut self,
        link: Link,
        sync: &SyncMessage,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let claimant = self.claimant(sync);
        let charges = self.guard.hear(link, sync, claimant, now);
        self.guard.note_address(sync);
        let objected = charges
            .first()
            .is_some_and(|charge| charge.session == sync.session);
        for (index, charge) in charges.into_iter().enumerate() {
            self.object(charge, index == 0 && objected, effects);
        }
        self.save_members(now, effects);
        objected
    }

    /// Tells a process why it must not hand out identities. If it waits for an answer, the objection is that answer.
    fn object(&mut self, mut charge: Charge, is_sender: bool, effects: &mut Vec<Effect>) {
        match charge.link {
            Link::Accepted(connection) if is_sender => {
                if self.is_waited_for(connection) {
                    // An answer that waits may outlive every link except the one of its own connection.
                    charge.rival = charge.rival.map(|rival| Rival {
                        link: None,
                        ..rival
                    });
                }
                let effect = Effect::Object {
                    charge,
                    answers: true,
                };
                self.answer(connection, effect, effects);
            }
            Link::Accepted(_) | Link::Dialed(_) => {
                effects.push(Effect::Object {
                    charge,
                    answers: false,
                });
            }
        }
    }

    /// A peer objects to this process, or to an earlier process in its place.
    pub(super) fn on_objection(
        &mut self,
        link: Link,
        objection: &Objection,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        // Only a peer may object: one that this server has asked, or one that has asked this server.
        if !self.links.hear_objection(link) {
            return;
        }
        match self.objections.judge(objection) {
            Verdict::Void => {}
            Verdict::Overruled(overrule) => {
                let message = Message::Overrule(Box::new(overrule));
                effects.push(Effect::Tell { to: link, message });
            }
            Verdict::Counts(becomes) => {
                let sequence = self.counter.believable(objection.sequence);
                let why = &objection.message;
                self.object_to_oneself(becomes, sequence, (link, why), now, effects);
            }
        }
    }

    /// This server must not hand out identities any more, because somebody else may have handed out identities up to
    /// `sequence`. This is made durable, so that a restart does not undo it: only an operator's word does. The sequence
    /// is the one that the peer has said, so that all logs, `members` and the next start name the same number. `by` and `why`
    /// are the link on which it was said, and the words.
    pub(super) fn object_to_oneself(
        &mut self,
        becomes: Phase,
        sequence: Sequence,
        (by, why): (Link, &str),
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if matches!(self.phase, Phase::Stopped | Phase::Fenced) {
            // It is too late to make this durable, so it counts as if it came after the end. A server whose exit says
            // that it was objected to must still know that at its next start.
            return;
        }
        let objected = Objected {
            sequence,
            is_conflict: becomes == Phase::Conflict,
        };
        let noted = self.objections.note(objected, self.phase.may_write(), now);
        effects.extend(noted.map(|objected| Effect::Write(Write::Objection(objected))));
        let is_first = self.objections.hear();
        if self.phase.object(becomes) {
            effects.push(Effect::Report(Report::Objected {
                standing: self.phase.standing(),
                above: noted.unwrap_or(objected).sequence,
                by,
                why: why.to_owned(),
            }));
            self.settle_waiting(now, effects);
        } else if let Some(objected) = noted {
            // The number that people have read in the log before is too low.
            let (above, why) = (objected.sequence, why.to_owned());
            effects.push(Effect::Report(Report::ObjectedHigher { above, by, why }));
        } else if is_first {
            let why = why.to_owned();
            effects.push(Effect::Report(Report::ObjectedStill { by, why }));
        }
    }

    /// The operator of a process that was objected to has confirmed its state.
    pub(super) fn on_overrule(
        &mut self,
        link: Link,
        overrule: &Overrule,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let speaks_for_itself = self.links.pid(link) == Some(overrule.pid);
        let believed = self.counter.believable(overrule.above);
        if speaks_for_itself && self.guard.overrule(overrule, believed) {
            let (pid, above) = (overrule.pid, overrule.above);
            effects.push(Effect::Report(Report::Overruled { link, pid, above }));
            self.save_members(now, effects);
        }
    }

    /// Writes what is remembered of the peers to the disk, if it is time. During a stop it always is.
    pub(super) fn save_members(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.keeps_nothing() {
            return;
        }
        match self.guard.take_unsaved(now, self.phase.is_stopping()) {
            Save::Nothing => {}
            Save::Now(members) => effects.push(Effect::Write(Write::Members(members))),
            Save::Later(wait) => effects.push(Effect::SaveLater(wait)),
        }
    }

    /// The wait for the next save is over. What waited is saved now, unless it was saved meanwhile.
    pub(super) fn on_save_timeout(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.guard.wait_is_over();
        self.save_members(now, effects);
    }

    /// Whether what is remembered of the peers ends with this process, which ends. A store that fences keeps nothing of them:
    /// a save only holds back the answer to a claim, and nobody is accepted any more. Peers that speak until the process is
    /// gone must not keep it busy with saves, of which a stop makes as many as there is news.
    pub(super) const fn keeps_nothing(&self) -> bool {
        self.config.fences && self.phase.is_stopping()
    }
}
