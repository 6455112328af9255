//! The events while a server joins: peers answer, the time runs out, and requests that waited are answered.

use super::{Actor, Effect, PeerId, Report, phase::Phase};
use crate::{time::Instant, words::ErrorCode};

impl Actor {
    /// A named peer has checked this server and did not object.
    pub(super) fn peer_answered(&mut self, peer: PeerId, now: Instant, effects: &mut Vec<Effect>) {
        self.join.answered(peer);
        self.serve_if_joined(now, effects);
    }

    /// A named peer was refused, or refuses this server, with this code. Some codes mean that it is not a peer.
    pub(super) fn peer_refused(
        &mut self,
        peer: PeerId,
        code: Option<ErrorCode>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if matches!(code, Some(ErrorCode::Oneself | ErrorCode::ForeignCluster)) {
            self.join.rule_out(peer);
            self.serve_if_joined(now, effects);
        }
    }

    fn serve_if_joined(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let has_joined = match self.phase {
            Phase::Joining => self.join.is_complete(),
            Phase::JoinOverdue => self.join.is_enough(),
            Phase::Serving
            | Phase::Conflict
            | Phase::Stale
            | Phase::Finishing
            | Phase::StorageFailed
            | Phase::Stopping
            | Phase::Stopped => false,
        };
        if has_joined {
            self.serve(now, effects);
        }
    }

    /// The time for asking the peers is over.
    pub(super) fn on_join_timeout(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if !self.phase.is_joining() {
            return;
        }
        if self.join.is_enough() {
            self.serve(now, effects);
        } else {
            self.phase.overdue();
            effects.push(Effect::Report(Report::JoinWaits));
            // Nobody knows how long this will take. From now on requests for identities are refused with that reason.
            self.settle_waiting(now, effects);
        }
    }

    fn serve(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.phase.serve();
        effects.push(Effect::Report(self.join.report()));
        self.settle_waiting(now, effects);
    }
}
