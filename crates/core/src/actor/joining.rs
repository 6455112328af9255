//! Joining: a server that starts asks its peers whether they know of anything that speaks against it, and
//! hands out nothing before. Who asks for identities meanwhile waits, and is answered in order when it is
//! decided.

use super::{Actor, Effect, PeerId, Report};
use crate::{
    identity::Sequence,
    time::Instant,
    words::{ErrorCode, ErrorReply, Standing},
};

/// What waits until it is decided whether this server hands out identities.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A request for identities.
    Request { count: u32, after: u64 },
    /// An operator's word.
    Advance { above: Sequence },
    /// The answer to something that the same connection asked behind one.
    Answer(Effect),
}

impl Actor {
    /// A named peer has judged this server and did not object.
    pub(super) fn peer_answered(&mut self, peer: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        self.answered.insert(peer);
        self.decide(peer, now, effects);
    }

    /// A named peer is no peer, and will not become one: it is not waited for.
    pub(super) fn peer_is_none(
        &mut self,
        peer: PeerId,
        error: &ErrorReply,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let code = ErrorCode::from_u16(error.code);
        if matches!(code, Some(ErrorCode::Oneself | ErrorCode::ForeignCluster)) {
            self.decide(peer, now, effects);
        }
    }

    fn decide(&mut self, peer: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        self.decided.insert(peer);
        let may_do_without = !self.config.join_requires_peer;
        let is_heard = !self.answered.is_empty();
        let is_complete = self.decided.len() >= self.config.peers && (is_heard || may_do_without);
        let is_enough = is_complete || (self.join_expired && is_heard);
        if self.standing == Standing::Joining && is_enough {
            self.join(now, effects);
        }
    }

    /// The time for asking the peers is over.
    pub(super) fn on_join_timeout(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.join_expired = true;
        if self.standing != Standing::Joining {
            return;
        }
        if self.config.join_requires_peer && self.answered.is_empty() {
            effects.push(Effect::Report(Report::JoinWaits));
            // Nobody knows how long that takes: from now on those who ask are told.
            self.settle_waiting(now, effects);
        } else {
            self.join(now, effects);
        }
    }

    fn join(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.standing = Standing::Serving;
        let (answered, asked) = (self.answered.len(), self.config.peers);
        effects.push(Effect::Report(Report::Joined { answered, asked }));
        self.settle_waiting(now, effects);
    }

    /// Whether a request for identities has to wait for the peers.
    pub(super) fn must_wait(&self) -> bool {
        self.standing == Standing::Joining && !self.join_expired
    }

    /// It is decided: answers those who waited, in their order.
    pub(super) fn settle_waiting(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        for (to, waiting) in self.waiting.take_all() {
            match waiting {
                Waiting::Request { count, after } => {
                    self.on_identity_request(to, count, after, now, effects);
                }
                Waiting::Advance { above } => {
                    self.on_advance_request(to, above.get(), now, effects);
                }
                Waiting::Answer(effect) => self.emit(to, effect, effects),
            }
        }
    }
}
