//! The events while a server joins: peers accept it, it claims its pid, they confirm that, and it serves. Or it is
//! refused and gives up. Requests that waited are answered then.

use std::time::Duration;

use super::{Actor, Effect, Link, PeerId, Report, join::Voter, phase::Phase};
use crate::{
    limits::{CLAIM_WAIT, JOIN_WAIT, PROBE_TIMEOUT},
    time::Instant,
    words::{ErrorCode, ErrorReply, Stage, SyncMessage},
};

impl Actor {
    /// A dialed peer has answered, and so it has accepted what this server asked for.
    pub(super) fn peer_answered(
        &mut self,
        peer: PeerId,
        sync: &SyncMessage,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if !self.phase.is_joining() {
            return;
        }
        let voter = Voter {
            pid: sync.pid,
            votes: sync.told.votes.counts(),
        };
        match self.links.asked_as(Link::Dialed(peer)) {
            // It may be one that has only become reachable since the claim was made.
            Some(Stage::Claims) => {
                self.join.accepted(peer, voter);
                self.join.confirmed(peer);
            }
            Some(Stage::Joins | Stage::Serves | Stage::Rests | Stage::Clashes) | None => {
                let is_first = self.join.accepted(peer, voter);
                let awaits_answer = self.links.awaits_answer();
                // The wait for the confirmation of a claim is another one, and is not cut.
                if !self.phase.claims() && (is_first || !awaits_answer) {
                    // A peer that is connected and does not answer may be asking another life first.
                    let wait = if awaits_answer {
                        PROBE_TIMEOUT
                    } else {
                        Duration::ZERO
                    };
                    effects.push(Effect::JoinWithin(wait + JOIN_WAIT));
                }
                if self.phase.claims() {
                    self.ask_round(now, effects);
                }
            }
        }
        self.advance_join(now, effects);
    }

    /// A peer could not be reached.
    pub(super) fn on_peer_unreachable(
        &mut self,
        peer: PeerId,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        self.links.unreachable(peer, now);
        if self.phase.is_joining() {
            self.join.unreachable(peer);
            self.advance_join(now, effects);
        }
        self.settle_newcomers(now, effects);
    }

    /// A dialed peer was refused, or refuses this server, with this code. Some codes mean that it is not a peer, and one
    /// means that this server must not start.
    pub(super) fn peer_refused(
        &mut self,
        peer: PeerId,
        error: &ErrorReply,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if !self.phase.is_joining() {
            return;
        }
        match ErrorCode::from_u16(error.code) {
            Some(ErrorCode::HeldByAnother) => self.give_up(&error.message, now, effects),
            Some(ErrorCode::Oneself | ErrorCode::ForeignCluster | ErrorCode::SamePid) => {
                self.join.rule_out(peer);
            }
            _ => {}
        }
    }

    /// No other answer is expected: each peer that can answer has done so, is none, or is not there.
    pub(super) fn on_all_asked(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.join.all_asked();
        self.advance_join(now, effects);
    }

    /// Another life has the pid: this one hands out nothing, and ends.
    pub(super) fn give_up(&mut self, why: &str, now: Instant, effects: &mut Vec<Effect>) {
        let why = why.to_owned();
        self.phase.give_up();
        effects.push(Effect::Report(Report::GaveUp { why }));
        self.settle_waiting(now, effects);
        self.say_goodbye(false, effects);
        effects.push(Effect::GiveUp);
    }

    /// Takes the next step of joining, if all answers that it needs are there.
    fn advance_join(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let is_done = match self.phase {
            Phase::Joining => self.join.is_complete(),
            Phase::JoinOverdue => self.join.is_enough(),
            Phase::Claiming => self.join.is_confirmed(),
            Phase::ClaimOverdue => self.join.is_confirmed_enough(),
            Phase::Serving
            | Phase::Refused
            | Phase::Conflict
            | Phase::Stale
            | Phase::Finishing
            | Phase::StorageFailed
            | Phase::Stopping
            | Phase::Stopped
            | Phase::Fenced => return,
        };
        if !is_done {
            return;
        }
        // bug ServesUnclaimed: return self.serve(now, effects);
        if self.phase.claims() || self.join.is_alone() {
            self.serve(now, effects);
        } else {
            self.phase.claim();
            effects.push(Effect::ClaimWithin(CLAIM_WAIT));
            self.ask_round(now, effects);
        }
    }

    /// The time for asking the peers is over, or that for their confirmation.
    pub(super) fn on_join_timeout(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let is_enough = match self.phase {
            Phase::Joining => self.join.is_enough(),
            Phase::Claiming => self.join.is_confirmed_enough(),
            Phase::JoinOverdue
            | Phase::ClaimOverdue
            | Phase::Serving
            | Phase::Refused
            | Phase::Conflict
            | Phase::Stale
            | Phase::Finishing
            | Phase::StorageFailed
            | Phase::Stopping
            | Phase::Stopped
            | Phase::Fenced => return,
        };
        self.phase.overdue();
        if is_enough {
            self.advance_join(now, effects);
        } else {
            effects.push(Effect::Report(Report::JoinWaits));
            // Nobody knows how long this will take. From now on requests for identities are refused with that reason.
            self.settle_waiting(now, effects);
        }
    }

    fn serve(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.phase.serve();
        self.served = true;
        effects.push(Effect::Report(self.join.report()));
        self.settle_waiting(now, effects);
        // The peers learn at once that it serves.
        self.ask_round(now, effects);
    }
}
