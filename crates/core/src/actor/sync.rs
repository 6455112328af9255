//! Synchronization: asking the peers, answering them, and taking the larger sequence.
//!
//! Late, repeated and reordered messages do no harm: a message can only raise the counter.

// Long because: a message of a peer is judged in many steps, whose order is the point.

use super::{
    Actor, ConnectionId, Effect, HangUp, Life, Link, PeerId, Report,
    guard::{KnownLives, comes_before},
    links::Whom,
    phase::Phase,
    refusal::{Refusal, Source},
};
use crate::{
    identity::{Pid, Sequence},
    limits::BOOT_JUMP_MAX,
    time::Instant,
    words::{
        ErrorCode, ErrorReply, KnownLife, LifeMarks, Message, Objection, Overrule, Stage,
        SyncMessage, Told, Vote, WIRE_VERSION,
    },
};

impl Actor {
    pub(super) fn on_sync_timeout(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.ask_round(now, effects);
    }

    /// Asks all or some of the peers.
    pub(super) fn ask_round(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        // While it joins, clients wait for it, and any peer may be the one that has a reason to object.
        let whom = match self.phase.is_joining() {
            true => Whom::All,
            false => Whom::Some,
        };
        let own = self.sync_message(KnownLives::default(), 0);
        let (guard, links) = (&mut self.guard, &mut self.links);
        let make = |pid: Option<Pid>, session: Option<u64>, heard| {
            let known = pid.map_or_else(KnownLives::default, |pid| guard.known_lives(pid, session));
            SyncMessage {
                told: Told {
                    known: known.served,
                    claimed: known.claimed,
                    nonce: guard.next_nonce(),
                    heard,
                    ..own.told
                },
                ..own.clone()
            }
        };
        links.ask_round(whom, make, now, effects);
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
        let heard = self.links.heard(Link::Dialed(peer));
        let message = self.sync_message(KnownLives::default(), heard);
        self.links.connect(peer, message, now, effects);
    }

    /// A link is gone. Once this is handled, nothing in the actor names the link, and the server frees its slot.
    pub(super) fn on_peer_disconnected(
        &mut self,
        link: Link,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(pid) = self.links.pid(link) {
            self.guard.lose(link, pid);
        }
        if let Some(pid) = self.links.disconnect(link) {
            effects.push(Effect::Report(Report::PeerDown { link, pid }));
        }
        if matches!(link, Link::Dialed(_)) && !self.links.has_dialed() {
            effects.push(Effect::StopTicker);
        }
        self.settle_newcomers(now, effects);
    }

    /// The server has given up this address of a peer.
    pub(super) fn on_peer_forgotten(&mut self, peer: PeerId) {
        self.links.forget_dialed(peer);
        self.join.forget(peer);
    }

    /// Takes the larger sequence and answers with this server's own. A peer that asks for its pid is judged first.
    pub(super) fn on_sync_request(
        &mut self,
        from: ConnectionId,
        sync: Box<SyncMessage>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let link = Link::Accepted(from);
        if let Err(refusal) = self.judge_peer(link, &sync) {
            let error = ErrorReply::from(refusal);
            self.notice_same_pid(link, &error, sync.sequence, now, effects);
            if error.code == ErrorCode::SamePid.get() {
                self.tell_same_pid(link, &sync, &error, effects);
            }
            let code = error.code;
            match self.is_late_word(&sync) {
                true => self.refuse_late_word(from, error, effects),
                false => self.refuse_peer(from, error, effects),
            }
            self.step_back(link, &sync, now, effects);
            return self.meet_incumbent(&sync, code, now, effects);
        }
        self.hear(link, &sync, now, effects);
        if sync.told.stage.asks() {
            self.on_newcomer(from, sync, now, effects);
            self.save_members(now, effects);
            return;
        }
        self.answer_server(from, &sync, now, effects);
        // One that asks for that pid may have waited for this.
        self.settle_newcomers(now, effects);
    }

    /// Answers a peer that asks for nothing.
    fn answer_server(
        &mut self,
        from: ConnectionId,
        sync: &SyncMessage,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let link = Link::Accepted(from);
        // What was known before this message: it may have made the sender the one that is known.
        let known = self.guard.known_lives(sync.pid, Some(sync.session));
        if self.guard_against(link, sync, now, effects) {
            return;
        }
        let judged = self.counter.judge_advance(sync.sequence, Source::Peer);
        let absorbed = judged.and_then(|sequence| self.absorb(link, sync, sequence, now, effects));
        match absorbed {
            Ok(()) => self.links.agreed_to_request(link),
            Err(ref refusal) => {
                self.round_refused(link, Box::new(refusal.clone().into()), effects);
            }
        }
        // bug SyncNeverAnswers: return;
        let mut answer = self.sync_message(known, sync.told.nonce);
        answer.told.refused = absorbed.err().map_or(0, |refusal| refusal.code().get());
        let message = Message::SyncReply(Box::new(answer));
        self.answer(from, Effect::Reply { to: from, message }, effects);
    }

    /// Answers a peer that asked for its pid and may have it.
    pub(super) fn reply_accepted(
        &mut self,
        to: ConnectionId,
        sync: &SyncMessage,
        effects: &mut Vec<Effect>,
    ) {
        let known = self.guard.known_lives(sync.pid, Some(sync.session));
        let answer = self.sync_message(known, sync.told.nonce);
        let message = Message::SyncReply(Box::new(answer));
        effects.push(Effect::Reply { to, message });
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
            self.notice_same_pid(link, &error, sync.sequence, now, effects);
            let code = error.code;
            self.hang_up(from, error, HangUp::Refused, now, effects);
            self.step_back(link, sync, now, effects);
            return self.meet_incumbent(sync, code, now, effects);
        }
        self.links.count_reply();
        self.hear(link, sync, now, effects);
        // One that asks for its pid itself is judged when it asks here.
        if !sync.told.stage.asks() && self.guard_against(link, sync, now, effects) {
            return;
        }
        self.settle_newcomers(now, effects);
        if self.is_fork(link, sync, now, effects) {
            return;
        }
        let judged = self.counter.judge_advance(sync.sequence, Source::Peer);
        self.peer_answered(from, sync, now, effects);
        let refused = refused_by_peer(sync);
        match judged.and_then(|sequence| self.absorb(link, sync, sequence, now, effects)) {
            Ok(()) if refused.is_none() => self.links.agreed(link),
            Ok(()) => {}
            Err(refusal) => self.round_refused(link, Box::new(refusal.into()), effects),
        }
        if let Some(error) = refused {
            self.round_refused(link, error, effects);
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
            self.round_refused(link, error, effects);
        } else {
            self.notice_same_pid(link, &error, 0, now, effects);
            self.notice_incumbent(link, &error, now, effects);
            self.hang_up(from, error, HangUp::RefusedBy, now, effects);
        }
    }

    /// A peer may remember a life of this pid that the state directory of this server does not know, or not to its end.
    /// Then the directory is a copy or was rolled back, and this server must not serve. Returns whether it is so.
    fn is_fork(
        &mut self,
        link: Link,
        sync: &SyncMessage,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let own = &self.config;
        let is_unknown = |life: &KnownLife| !self.is_own(life);
        let [served, claimed] =
            [sync.told.known, sync.told.claimed].map(|life| life.filter(is_unknown));
        let Some(known) = served.or(claimed).filter(|_| self.phase.holds_pid()) else {
            return false;
        };
        if own.recovered > Sequence::ZERO && own.recovered.get() >= known.sequence {
            let message = Message::Overrule(Box::new(Overrule {
                pid: own.pid,
                incarnation: own.incarnation,
                session: own.session,
                above: own.recovered.get(),
            }));
            effects.push(Effect::Tell { to: link, message });
            return false;
        }
        if served.is_none() && self.phase.is_joining() {
            // A claim may come to nothing, so nothing that lasts follows from it.
            let error = ErrorReply::from(Refusal::Claimed(own.pid));
            self.give_up(&error.message, now, effects);
            return true;
        }
        let (above, ceiling) = (known.sequence, known.ceiling.max(known.sequence));
        let why = format!(
            "pid {} remembers a life of pid {} that this state directory does not know, or not to its end: this is a \
             copy, or an older state. Start with an unused --pid and a new state directory; or, if the other state is \
             gone for ever, with --recover-above SEQUENCE, at least {above} and not lower than anything that the \
             other state may have handed out: that peer knows of nothing above {ceiling}",
            sync.pid, own.pid
        );
        let sequence = self.counter.believable(above);
        self.object_to_oneself(Phase::Stale, sequence, (link, &why), now, effects);
        true
    }

    /// Whether a life that a peer remembers of this pid is part of what this state directory knows.
    fn is_own(&self, known: &KnownLife) -> bool {
        // bug ForkUnseen: return true;
        let own = &self.config;
        // One that is newer than this is judged by the peer.
        if known.session == own.session || known.boot > own.boot {
            return true;
        }
        let is_it = |life: &&Life| (life.boot, life.session) == (known.boot, known.session);
        match own.lives.iter().find(is_it) {
            // bug RolledBackLifeUnseen instead: Some(life) => BUG || known.ceiling <= life.ceiling.get(),
            Some(life) => known.ceiling <= life.ceiling.get(),
            // One that is older than all that the directory remembers may be one of its own. It is not known how far that
            // came, but each start of the directory that forgets a life begins at or above its ceiling.
            None => {
                let is_older = own.lives.iter().all(|life| life.boot > known.boot);
                is_older && known.ceiling <= own.sequence.get()
            }
        }
    }

    /// Whether this life hands out identities, or has stopped only because another one of its pid does too.
    fn has_served(&self) -> bool {
        self.phase.stage() == Stage::Serves || self.phase == Phase::Conflict
    }

    /// Whether this server gives up for another life of its pid, if both have only just started. One of the two does. A
    /// directory that was started more often is most likely the one that the pid belongs to.
    fn yields_to(&self, sync: &SyncMessage) -> bool {
        let own = &self.config;
        let life = |boot, session| LifeMarks {
            boot,
            session,
            ..LifeMarks::NOT_SHOWN
        };
        comes_before(life(sync.boot, sync.session), life(own.boot, own.session))
    }

    /// Whether this is the word of an earlier life of this server's own directory. It comes late: had that life gone on, it
    /// would have come further than the directory knows.
    fn is_late_word(&self, sync: &SyncMessage) -> bool {
        let own = &self.config;
        let is_it = |life: &Life| (life.boot, life.session) == (sync.boot, sync.session);
        let came_so_far = |life: &Life| sync.told.ceiling <= life.ceiling.get();
        let is_earlier = sync.incarnation == own.incarnation && sync.boot < own.boot;
        // The store has ended that one, however far it came.
        let is_ended = own.fences && sync.told.votes.is_fenced();
        is_earlier
            && (is_ended
                || own
                    .lives
                    .iter()
                    .any(|life| is_it(life) && came_so_far(life)))
    }

    /// Whether this is a later life of this server's own pid, and the store of both has given it the pid for good.
    fn has_lost_pid_to(&self, sync: &SyncMessage) -> bool {
        let own = &self.config;
        own.fences
            && sync.told.votes.is_fenced()
            && sync.cluster == own.cluster
            && sync.pid == own.pid
            && sync.incarnation == own.incarnation
            && sync.boot > own.boot
            // bug OwnBootJumpTaken instead: && (BUG || self.judge_boot(sync).is_ok())
            && self.judge_boot(sync).is_ok()
    }

    /// This life has lost its pid to the one that is heard, and stops for the rest of its life. It hands out nothing that is not
    /// its own, but what it hands out is out of order.
    fn step_back(
        &mut self,
        link: Link,
        sync: &SyncMessage,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if self.phase.is_joining() || !self.has_lost_pid_to(sync) {
            return;
        }
        let error = ErrorReply::from(Refusal::Yields(sync.pid));
        let sequence = self.counter.believable(sync.sequence);
        let said = (link, error.message.as_str());
        self.object_to_oneself(Phase::Stale, sequence, said, now, effects);
    }

    /// A message was refused with this code. If it was from a life of this server's own pid that serves, and this one has
    /// only just started, this one gives up.
    fn meet_incumbent(
        &mut self,
        sync: &SyncMessage,
        code: u16,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let is_rival = [ErrorCode::HeldByAnother, ErrorCode::Joining]
            .map(ErrorCode::get)
            .contains(&code);
        let wins = match sync.told.stage {
            Stage::Serves => true,
            Stage::Joins | Stage::Claims => self.yields_to(sync),
            Stage::Rests | Stage::Clashes => false,
        };
        if is_rival && wins && self.phase.is_joining() && !self.is_late_word(sync) {
            let error = ErrorReply::from(Refusal::HeldByAnother(sync.pid));
            self.give_up(&error.message, now, effects);
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
        self.peer_refused(peer, &error, now, effects);
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

    /// Another server with the same pid was met directly, and both serve. Both are alive: the other one has spoken to this
    /// process, and this process hears it.
    fn notice_same_pid(
        &mut self,
        link: Link,
        error: &ErrorReply,
        sequence: u64,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if error.code == ErrorCode::SamePid.get() && self.has_served() {
            // A peer that only refuses this server names no sequence; then `sequence` is 0.
            let sequence = self.counter.believable(sequence).max(self.sequence());
            let said = (link, error.message.as_str());
            self.object_to_oneself(Phase::Conflict, sequence, said, now, effects);
        }
    }

    /// A peer refuses what this life has asked for before it served: another one has the pid. This one has not waited for
    /// the answer, and stops now. The other one goes on.
    fn notice_incumbent(
        &mut self,
        link: Link,
        error: &ErrorReply,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let asked = self.links.asked_as(link).is_some_and(Stage::asks);
        if error.code == ErrorCode::HeldByAnother.get() && asked && self.has_served() {
            let sequence = self.sequence();
            let said = (link, error.message.as_str());
            self.object_to_oneself(Phase::Stale, sequence, said, now, effects);
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
        if sync.session == own.session {
            return Err(Refusal::Oneself);
        }
        if self.is_late_word(sync) {
            return Err(Refusal::LateWord(own.pid));
        }
        if self.has_lost_pid_to(sync) {
            // The other one has the pid, whatever this one is doing.
            return Err(Refusal::Yields(own.pid));
        }
        // Two that serve must both stop. Of two others, only one that has not served yet is refused, and the other one goes on.
        let has_served = matches!(sync.told.stage, Stage::Serves | Stage::Clashes);
        if has_served && self.has_served() {
            return Err(Refusal::SamePid(own.pid));
        }
        match self.phase.is_joining() && sync.told.stage.asks() && self.yields_to(sync) {
            // This one gives up. That is no refusal of the other one.
            true => Err(Refusal::Yields(own.pid)),
            false => Err(Refusal::HeldByAnother(own.pid)),
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

    /// What peers are told of this server's vote.
    const fn vote(&self) -> Vote {
        let own = &self.config;
        match own.votes && self.phase.holds_pid() {
            _ if own.fences => Vote::Fenced,
            true => Vote::Counts,
            false => Vote::None,
        }
    }

    /// A message to a peer of which these lives are known, and of which this nonce was heard last.
    fn sync_message(&mut self, known: KnownLives, heard: u64) -> SyncMessage {
        let sequence = self.sequence();
        // bug CeilingGossiped: let sequence = if BUG { self.ceiling() } else { sequence };
        // bug ToldBeforeDurable: let sequence = if BUG { self.counter.sequence() } else { sequence };
        let own = &self.config;
        SyncMessage {
            version: WIRE_VERSION,
            cluster: own.cluster.clone(),
            pid: own.pid,
            incarnation: own.incarnation,
            boot: own.boot,
            session: own.session,
            sequence: sequence.get(),
            told: Told {
                stage: self.phase.stage(),
                ceiling: self.durability.durable().get(),
                votes: self.vote(),
                known: known.served,
                claimed: known.claimed,
                nonce: self.guard.next_nonce(),
                heard,
                refused: 0,
            },
            advertise: own.advertise.clone(),
        }
    }
}

/// The error that says why a peer did not absorb the sequence that it was told.
fn refused_by_peer(sync: &SyncMessage) -> Option<Box<ErrorReply>> {
    if sync.told.refused == 0 {
        return None;
    }
    let why = ErrorCode::from_u16(sync.told.refused)
        .map_or_else(|| sync.told.refused.to_string(), |code| code.to_string());
    Some(Box::new(ErrorReply {
        code: sync.told.refused,
        message: format!(
            "it does not take over the sequence of this server ({why}): its log says more"
        ),
    }))
}
