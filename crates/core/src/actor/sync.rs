//! Synchronization: asking the peers, answering them, and taking the larger sequence.
//!
//! Late, repeated and reordered messages do no harm: a message can only raise the counter.

use super::{
    Actor, ConnectionId, Effect, HangUp, Link, PeerId, Report,
    links::Whom,
    phase::Phase,
    refusal::{Refusal, Source},
};
use crate::{
    identity::Sequence,
    limits::BOOT_JUMP_MAX,
    time::Instant,
    words::{ErrorCode, ErrorReply, Message, Objection, SyncMessage, WIRE_VERSION},
};

impl Actor {
    /// Asks all or some of the peers.
    pub(super) fn on_sync_timeout(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        // While it joins, clients wait for it, and any peer may be the one that has a reason to object.
        let whom = match self.phase.is_joining() {
            true => Whom::All,
            false => Whom::Some,
        };
        let message = self.sync_message();
        let serial = self.guard.next_serial();
        self.links.ask_round(whom, &message, serial, now, effects);
    }

    pub(super) fn on_peer_connected(
        &mut self,
        peer: PeerId,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if !self.links.has_dialed() {
            effects.push(Effect::StartTicker);
        }
        let message = self.sync_message();
        let serial = self.guard.next_serial();
        self.links.connect(peer, &message, serial, now, effects);
    }

    /// A link is gone. Once this is handled, nothing in the actor names the link, and the server frees its slot.
    pub(super) fn on_peer_disconnected(&mut self, link: Link, effects: &mut Vec<Effect>) {
        if let Some(pid) = self.links.pid(link) {
            self.guard.lose(link, pid);
        }
        if let Some(pid) = self.links.disconnect(link) {
            effects.push(Effect::Report(Report::PeerDown { link, pid }));
        }
        if matches!(link, Link::Dialed(_)) && !self.links.has_dialed() {
            effects.push(Effect::StopTicker);
        }
    }

    /// Takes the larger sequence and answers with this server's own.
    pub(super) fn on_sync_request(
        &mut self,
        from: ConnectionId,
        sync: &SyncMessage,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let link = Link::Accepted(from);
        if let Err(refusal) = self.judge_peer(link, sync) {
            let error = ErrorReply::from(refusal);
            self.notice_same_pid(&error, sync.sequence, now, effects);
            if error.code == ErrorCode::SamePid.get() {
                self.tell_same_pid(link, sync, &error, effects);
            }
            return self.refuse_peer(from, error, effects);
        }
        self.hear(link, sync, now, effects);
        let objected = self.guard_against(link, sync, now, effects);
        let judged = self.counter.judge_advance(sync.sequence, Source::Peer);
        // From here on the peer will be answered, and it sends its next question only after it has the answer.
        let serial = self.guard.next_serial();
        self.links.answer(link, serial);
        if objected {
            return;
        }
        match judged.and_then(|sequence| self.absorb(link, sync, sequence, now, effects)) {
            Ok(()) => {
                self.links.agreed_to_request(link);
                // bug SyncNeverAnswers: return;
                let message = Message::SyncReply(Box::new(self.sync_message()));
                self.answer(from, Effect::Reply { to: from, message }, effects);
            }
            Err(refusal) => {
                self.round_refused(link, Box::new(refusal.clone().into()), effects);
                self.refuse(from, refusal, effects);
            }
        }
    }

    /// Takes the larger sequence.
    pub(super) fn on_sync_reply(
        &mut self,
        from: PeerId,
        sync: &SyncMessage,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let link = Link::Dialed(from);
        // A reply that comes after its connection was given up is late and is ignored.
        if !self.links.has(link) {
            return;
        }
        if let Err(refusal) = self.judge_peer(link, sync) {
            let error = Box::new(ErrorReply::from(refusal));
            self.notice_same_pid(&error, sync.sequence, now, effects);
            return self.hang_up(from, error, HangUp::Refused, now, effects);
        }
        self.links.count_reply();
        self.hear(link, sync, now, effects);
        if self.guard_against(link, sync, now, effects) {
            return;
        }
        let judged = self.counter.judge_advance(sync.sequence, Source::Peer);
        self.peer_answered(from, now, effects);
        match judged.and_then(|sequence| self.absorb(link, sync, sequence, now, effects)) {
            Ok(()) => self.links.agreed(link),
            Err(refusal) => self.round_refused(link, Box::new(refusal.into()), effects),
        }
    }

    /// A peer answers a question with an error. The code says whether the connection stays open.
    pub(super) fn on_error_reply(
        &mut self,
        from: PeerId,
        error: Box<ErrorReply>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let link = Link::Dialed(from);
        if !self.links.hear_error(link, now) {
            return;
        }
        if ErrorCode::from_u16(error.code).is_some_and(|code| !code.closes()) {
            self.peer_answered(from, now, effects);
            self.round_refused(link, error, effects);
        } else {
            self.notice_same_pid(&error, 0, now, effects);
            self.hang_up(from, error, HangUp::RefusedBy, now, effects);
        }
    }

    /// Gives up the connection to a peer that this server refuses, or that refuses this server.
    fn hang_up(
        &mut self,
        peer: PeerId,
        error: Box<ErrorReply>,
        cause: fn(Box<ErrorReply>) -> HangUp,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        self.peer_refused(peer, ErrorCode::from_u16(error.code), now, effects);
        let cause = cause(error);
        effects.push(Effect::HangUp { peer, cause });
    }

    /// Takes the sequence of a peer, if it is larger: at once, or when it is durable.
    fn absorb(
        &mut self,
        link: Link,
        sync: &SyncMessage,
        sequence: Sequence,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let source = match link {
            Link::Dialed(_) => Source::KnownPeer,
            Link::Accepted(_) if self.remembered_at_start(sync) => Source::KnownPeer,
            Link::Accepted(_) => Source::Peer,
        };
        let (absorbs, durable) = (self.phase.absorbs(), self.durability.durable());
        let paid = self
            .counter
            .update(sequence, source, absorbs, durable, now)?;
        let step = self.durability.step();
        let report = self.counter.raise_report(paid, step, link, source, now);
        effects.extend(report.map(Effect::Report));
        self.durability.want(self.counter.heard());
        self.raise_if_due(now, effects);
        Ok(())
    }

    /// Whether this server knew that state directory before it started. Anybody may have said what it heard since then.
    fn remembered_at_start(&self, sync: &SyncMessage) -> bool {
        self.config
            .remembered
            .iter()
            .any(|known| known.pid == sync.pid && known.incarnation == sync.incarnation)
    }

    /// Tells people of a round that was refused, if the one before it was not.
    fn round_refused(&mut self, link: Link, error: Box<ErrorReply>, effects: &mut Vec<Effect>) {
        if self.links.refused(link) {
            effects.push(Effect::Report(Report::RoundRefused { link, error }));
        }
    }

    /// Another server with the same pid was met directly. Both are alive: the other one has spoken to this process,
    /// and this process hears it.
    fn notice_same_pid(
        &mut self,
        error: &ErrorReply,
        sequence: u64,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if error.code == ErrorCode::SamePid.get() {
            // A peer that only refuses this server names no sequence; then `sequence` is 0.
            let sequence = self.counter.believable(sequence).max(self.sequence());
            self.object_to_oneself(Phase::Conflict, sequence, &error.message, now, effects);
        }
    }

    /// Tells the other server with this pid which sequence this server has noted, so that both name the same one. An
    /// errorReply cannot carry a sequence.
    fn tell_same_pid(
        &self,
        link: Link,
        sync: &SyncMessage,
        error: &ErrorReply,
        effects: &mut Vec<Effect>,
    ) {
        let known = self.counter.believable(sync.sequence).max(self.sequence());
        let objection = Objection::new(
            sync.pid,
            sync.session,
            ErrorCode::PidConflict,
            self.objections.above().max(known).get(),
            &error.message,
        );
        effects.push(Effect::Tell {
            to: link,
            message: Message::Objection(Box::new(objection)),
        });
    }

    /// Whether this server may be synchronized with.
    fn judge_peer(&self, link: Link, sync: &SyncMessage) -> Result<(), Refusal> {
        let own = &self.config;
        if sync.cluster != own.cluster {
            return Err(Refusal::ForeignCluster {
                own: own.cluster.clone(),
                theirs: sync.cluster.clone(),
            });
        }
        if let Some(before) = self.links.pid(link).filter(|before| *before != sync.pid) {
            let pid = sync.pid;
            return Err(Refusal::OtherPid { before, pid });
        }
        self.judge_boot(sync)?;
        if sync.pid != own.pid {
            return Ok(());
        }
        match sync.session == own.session {
            true => Err(Refusal::Oneself),
            false => Err(Refusal::SamePid(own.pid)),
        }
    }

    /// Whether a server of that pid can have come to this boot.
    fn judge_boot(&self, sync: &SyncMessage) -> Result<(), Refusal> {
        let (pid, boot) = (sync.pid, sync.boot);
        let known = match pid == self.config.pid {
            true => self.config.boot,
            false => self.guard.boot(pid),
        };
        // bug BootJumpTaken: return Ok(());
        match boot.saturating_sub(known) > BOOT_JUMP_MAX {
            true => Err(Refusal::BootTooFar { pid, boot, known }),
            false => Ok(()),
        }
    }

    /// Notes what a peer tells about itself. Reports it to people if it was not heard on any link before.
    fn hear(&mut self, link: Link, sync: &SyncMessage, now: Instant, effects: &mut Vec<Effect>) {
        if self.links.hear(link, sync, now) {
            effects.push(Effect::Report(Report::PeerUp {
                link,
                pid: sync.pid,
                sequence: sync.sequence,
            }));
        }
    }

    fn sync_message(&self) -> SyncMessage {
        let sequence = self.sequence();
        // bug CeilingGossiped: let sequence = if BUG { self.ceiling() } else { sequence };
        // bug ToldBeforeDurable: let sequence = if BUG { self.counter.sequence() } else { sequence };
        SyncMessage {
            version: WIRE_VERSION,
            cluster: self.config.cluster.clone(),
            pid: self.config.pid,
            incarnation: self.config.incarnation,
            boot: self.config.boot,
            session: self.config.session,
            sequence: sequence.get(),
        }
    }
}
