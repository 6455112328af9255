//! Synchronization: asking the peers, answering them, taking the larger sequence.
//!
//! Late, duplicated and reordered messages do no harm: a message can only raise the counter.

use super::{
    Actor, ConnectionId, Effect, HangUp, Link, LinkState, PeerId, Report, counter::Source,
    guard::Serial,
};
use crate::{
    identity::{Pid, Sequence},
    limits::PEERS_MAX,
    time::Instant,
    words::{ErrorCode, ErrorReply, Message, Standing, SyncMessage, WIRE_VERSION},
};

impl Actor {
    /// Asks the peers, or some of them, that have answered what they were asked before, and hangs up on those
    /// that are silent.
    pub(super) fn on_sync_timeout(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let fanout = if self.standing == Standing::Joining {
            // Clients wait for it, and any peer may be the one that remembers.
            PEERS_MAX
        } else {
            self.config.fanout
        };
        let drawn = self.lots.draw(fanout, &mut self.links);
        let message = self.sync_message();
        let serial = self.guard.next_serial();
        for (link, state) in &mut self.links {
            let Link::Dialed(peer) = *link else { continue };
            match state.asked_at {
                None if drawn.contains(&peer) => ask(peer, state, &message, serial, now, effects),
                // Its turn comes in a later round.
                None => {}
                // One question at a time: what is late is not asked again, and a peer that has stopped
                // reading is not written to.
                Some(asked_at) if now.since(asked_at) < self.config.peer_silence => {}
                Some(asked_at) => {
                    effects.push(Effect::HangUp {
                        peer,
                        cause: HangUp::Silent(now.since(asked_at)),
                    });
                }
            }
        }
    }

    pub(super) fn on_peer_connected(
        &mut self,
        peer: PeerId,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if !self.has_dialed() {
            effects.push(Effect::StartTicker);
        }
        let message = self.sync_message();
        let serial = self.guard.next_serial();
        let state = self.links.entry(Link::Dialed(peer)).or_default();
        state.pass = self.lots.pass();
        ask(peer, state, &message, serial, now, effects);
    }

    pub(super) fn on_peer_disconnected(&mut self, link: Link, effects: &mut Vec<Effect>) {
        if let Some(pid) = self.links.remove(&link).and_then(|state| state.pid) {
            self.uncount_link(pid);
            if !self.links_of.contains_key(&pid) {
                effects.push(Effect::Report(Report::PeerDown { link, pid }));
            }
        }
        if matches!(link, Link::Dialed(_)) && !self.has_dialed() {
            effects.push(Effect::StopTicker);
        }
    }

    /// A peer is heard on one link less.
    fn uncount_link(&mut self, pid: Pid) {
        if let Some(links) = self.links_of.get_mut(&pid) {
            *links -= 1;
            if *links == 0 {
                self.links_of.remove(&pid);
            }
        }
    }

    fn has_dialed(&self) -> bool {
        self.links
            .keys()
            .any(|link| matches!(link, Link::Dialed(_)))
    }

    /// Takes the larger sequence and answers with its own.
    pub(super) fn on_sync_request(
        &mut self,
        from: ConnectionId,
        sync: &SyncMessage,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let link = Link::Accepted(from);
        if let Err(error) = self.judge_peer(link, sync) {
            self.notice_same_pid(&error, sync.sequence, now, effects);
            return self.refuse_peer(from, error, effects);
        }
        self.hear(link, sync, now, effects);
        let objected = self.guard_against(link, sync, now, effects);
        let judged = self.judge_advance(sync.sequence, Source::Peer);
        // From here on the peer is answered, and whatever it asks next it asks after it had the answer.
        let serial = self.guard.next_serial();
        if let Some(state) = self.links.get_mut(&link) {
            state.sent = Some(serial);
        }
        if objected {
            return;
        }
        match judged.and_then(|sequence| self.absorb(sequence, now, effects)) {
            Ok(()) => {
                self.round_agreed(link);
                self.tally.sync_requests += 1;
                // bug SyncNeverAnswers: return;
                let message = Message::SyncReply(Box::new(self.sync_message()));
                self.emit(from, Effect::Reply { to: from, message }, effects);
            }
            Err(error) => {
                self.round_refused(link, Box::new(error.clone()), effects);
                self.reply_error(from, error, effects);
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
        // A reply that comes after its connection was given up is late, and does no harm.
        if !self.links.contains_key(&link) {
            return;
        }
        if let Err(error) = self.judge_peer(link, sync) {
            self.notice_same_pid(&error, sync.sequence, now, effects);
            self.peer_is_none(from, &error, now, effects);
            effects.push(Effect::HangUp {
                peer: from,
                cause: HangUp::Refused(Box::new(error)),
            });
            return;
        }
        self.tally.sync_replies += 1;
        self.hear(link, sync, now, effects);
        if self.guard_against(link, sync, now, effects) {
            return;
        }
        let judged = self.judge_advance(sync.sequence, Source::Peer);
        self.peer_answered(from, now, effects);
        match judged.and_then(|sequence| self.absorb(sequence, now, effects)) {
            Ok(()) => self.round_agreed(link),
            Err(error) => self.round_refused(link, Box::new(error), effects),
        }
    }

    /// A peer answers a question with an error: whether the connection goes on, the code says.
    pub(super) fn on_error_reply(
        &mut self,
        from: PeerId,
        error: Box<ErrorReply>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let link = Link::Dialed(from);
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        state.asked_at = None;
        state.heard_at = Some(now);
        if ErrorCode::from_u16(error.code).is_some_and(|code| !code.closes()) {
            self.peer_answered(from, now, effects);
            self.round_refused(link, error, effects);
        } else {
            self.notice_same_pid(&error, 0, now, effects);
            self.peer_is_none(from, &error, now, effects);
            effects.push(Effect::HangUp {
                peer: from,
                cause: HangUp::RefusedBy(error),
            });
        }
    }

    /// Raises the counter to where a peer is. Where it is that far already, what it stands at may not be durable
    /// and may be taken back: not below the peer.
    fn absorb(
        &mut self,
        sequence: Sequence,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> Result<(), ErrorReply> {
        self.update(sequence, Source::Peer, now, effects)?;
        if sequence <= self.sequence {
            self.absorbed = self.absorbed.max(sequence);
        }
        Ok(())
    }

    fn round_agreed(&mut self, link: Link) {
        if let Some(state) = self.links.get_mut(&link) {
            state.refused = false;
        }
    }

    fn round_refused(&mut self, link: Link, error: Box<ErrorReply>, effects: &mut Vec<Effect>) {
        if let Some(state) = self.links.get_mut(&link)
            && !state.refused
        {
            state.refused = true;
            effects.push(Effect::Report(Report::RoundRefused { link, error }));
        }
    }

    /// Whether a server that speaks so may be synchronized with.
    fn judge_peer(&self, link: Link, sync: &SyncMessage) -> Result<(), ErrorReply> {
        let own = &self.config;
        if sync.cluster != own.cluster {
            return Err(ErrorReply::new(
                ErrorCode::ForeignCluster,
                format!(
                    "this server belongs to cluster {:?}, not {:?}: check --cluster and --peer on both",
                    own.cluster.as_str(),
                    sync.cluster.as_str()
                ),
            ));
        }
        if let Some(before) = self.links.get(&link).and_then(|state| state.pid)
            && before != sync.pid
        {
            return Err(ErrorReply::new(
                ErrorCode::BadBody,
                format!(
                    "pid {} on a connection that spoke for pid {before} before",
                    sync.pid
                ),
            ));
        }
        if sync.pid != own.pid {
            return Ok(());
        }
        if sync.session == own.session {
            return Err(ErrorReply::new(
                ErrorCode::Oneself,
                "this server was named as its own peer: remove that --peer",
            ));
        }
        Err(ErrorReply::new(
            ErrorCode::SamePid,
            format!(
                "pid {} is that of this server too, so both stop handing out identities: start the one \
                 that is to keep it with --recover-above, and the other with an unused --pid",
                own.pid
            ),
        ))
    }

    /// Remembers what a peer says of itself.
    fn hear(&mut self, link: Link, sync: &SyncMessage, now: Instant, effects: &mut Vec<Effect>) {
        let state = self.links.entry(link).or_default();
        let before = state.pid.replace(sync.pid);
        // Messages of one link keep their order, so the last is the newest.
        state.sequence = sync.sequence;
        state.heard_at = Some(now);
        state.asked_at = None;
        if before == Some(sync.pid) {
            return;
        }
        // Nothing keeps the other side of a link from giving another pid later.
        if let Some(before) = before {
            self.uncount_link(before);
        }
        let links = self.links_of.entry(sync.pid).or_default();
        *links += 1;
        if *links == 1 {
            let report = Report::PeerUp {
                link,
                pid: sync.pid,
                sequence: sync.sequence,
            };
            effects.push(Effect::Report(report));
        }
    }

    fn sync_message(&self) -> SyncMessage {
        let sequence = self.sequence();
        // bug CeilingGossiped: let sequence = if BUG { self.ceiling() } else { sequence };
        // bug ToldBeforeDurable: let sequence = if BUG { self.sequence } else { sequence };
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

fn ask(
    peer: PeerId,
    state: &mut LinkState,
    message: &SyncMessage,
    serial: Serial,
    now: Instant,
    effects: &mut Vec<Effect>,
) {
    state.asked_at = Some(now);
    state.sent = Some(serial);
    effects.push(Effect::Send {
        to: peer,
        message: Message::SyncRequest(Box::new(message.clone())),
    });
}
