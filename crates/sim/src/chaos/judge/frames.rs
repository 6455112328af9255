//! What servers say in frames, to clients and to each other.

use byteorder::{BigEndian, ByteOrder};
use ipseity_core::words::{ErrorCode, Stage};
use ipseity_frames::Kind;
use ipseity_pids::EPOCH_BOOTS;

use super::{Announcement, Confirmed, EndState, FOR_ADDRESS, Judge, Life, Refusal, Withdrawn};
use crate::world::EndId;

/// The fields of a sync message from the pid on.
pub fn sync_fields(body: &[u8]) -> &[u8] {
    let name = BigEndian::read_u64(&body[2..]) as usize;
    &body[10 + name..]
}

/// How far the sender of a sync message has come.
fn stage(body: &[u8]) -> Stage {
    Stage::try_from(sync_fields(body)[42]).expect("a server tells a stage that there is")
}

/// The ceiling that the sender of a sync message has told.
fn ceiling(body: &[u8]) -> u64 {
    BigEndian::read_u64(&sync_fields(body)[43..])
}

/// Whether the sender of a syncReply has refused the sequence that it was told.
fn is_refused(body: &[u8]) -> bool {
    let mut rest = &sync_fields(body)[52..];
    for _life in ["known", "claimed"] {
        let bytes = if rest[0] == 0 { 1 } else { 1 + 4 * 8 };
        rest = &rest[bytes..];
    }
    // Behind the nonce and what was heard.
    BigEndian::read_u16(&rest[16..]) != 0
}

impl Judge {
    /// Judges the whole frames at the head of `rest`, and returns what is behind them. `other` finds the other end and the
    /// server that holds it.
    pub(super) fn frames<'a>(
        &mut self,
        server: usize,
        state: &mut EndState,
        mut rest: &'a [u8],
        other: impl Fn() -> Option<(EndId, Option<usize>)>,
    ) -> &'a [u8] {
        while rest.len() >= 3 {
            let length = 2 + usize::from(BigEndian::read_u16(rest));
            let Some((frame, behind)) = rest.split_at_checked(length) else {
                break;
            };
            rest = behind;
            let (other, hearer) = other().unzip();
            self.frame(server, state, frame, other, hearer.flatten());
        }
        rest
    }

    fn frame(
        &mut self,
        server: usize,
        state: &mut EndState,
        frame: &[u8],
        other: Option<EndId>,
        hearer: Option<usize>,
    ) {
        let body = &frame[3..];
        state.frames += 1;
        match Kind::from_u8(frame[2]) {
            Some(Kind::IdentityReply) => {
                let first = BigEndian::read_u64(body);
                let count = BigEndian::read_u32(&body[8..]);
                self.coverage.replies += 1;
                self.leaves(server, state, first, u64::from(count));
            }
            Some(Kind::ErrorReply) => {
                let code = BigEndian::read_u16(body);
                // One that does not know who asks has not answered.
                if code != ErrorCode::NotAPeer.get() {
                    self.answers(hearer);
                }
                self.coverage.code(code);
                hear_error(state, body);
            }
            Some(Kind::SyncRequest) => {
                let sequence = self.tells(server, state, body);
                state.first_sync.get_or_insert(match state.opened.is_tls() {
                    true => state.written,
                    false => frame.len(),
                });
                if self.remembered.len() < 64 {
                    self.remembered.push(frame.to_vec());
                }
                // It asks again, so it has taken in the answer to its request before, unless it objects to the
                // life that answered: its state may be older, or it has heard a later life of that pid.
                let answered = other.and_then(|other| self.ends.get_mut(&other)?.answered.take());
                if let Some((sequence, pid, boot)) = answered
                    && !self.pids[&pid].was_breached
                    && !self.is_followed(pid, boot)
                {
                    self.absorbs(server, sequence);
                }
                let life = &self.lives[server];
                state.asked = Some(Announcement {
                    incarnation: life.incarnation,
                    boot: life.boot,
                    session: life.session,
                    sequence,
                    ceiling: ceiling(body),
                    stage: stage(body),
                    at: self.now,
                });
                if stage(body) == Stage::Claims {
                    state.claimed_at = Some(self.now);
                }
                if let Some(hearer) = hearer {
                    self.told(hearer, sequence, false);
                    self.meets(server, hearer, body);
                }
            }
            Some(Kind::SyncReply) => {
                let sequence = self.tells(server, state, body);
                let asked = other.and_then(|other| self.ends.get_mut(&other)?.asked.take());
                let Life { pid, boot, .. } = self.lives[server];
                state.answered = Some((sequence, pid, boot));
                state.is_peer = true;
                self.answers(hearer);
                if let Some(hearer) = hearer {
                    self.told(hearer, sequence, false);
                    self.meets(server, hearer, body);
                    if let Some(asked) = asked {
                        if !asked.stage.asks() && !is_refused(body) {
                            self.absorbs(server, asked.sequence);
                        }
                        // Who only asks for its pid may give up, and who was stopped is not remembered.
                        let (pid, life) = (self.lives[hearer].pid, self.lives[hearer].life);
                        // What the process before it has said is answered to nobody, and is not this life's.
                        let is_its_own = asked.session == self.lives[hearer].session;
                        match asked.stage {
                            _ if !is_its_own => {}
                            Stage::Claims => {
                                let before = self.pid(pid).known.confirmed(life, server);
                                // To say again what was said before is no new decision.
                                if before != Some(life) {
                                    self.confirmed.push(Confirmed {
                                        by: server,
                                        newcomer: hearer,
                                        session: asked.session,
                                        claimed_at: asked.at,
                                        before,
                                    });
                                }
                            }
                            Stage::Serves => {
                                let now = self.now;
                                let known = &mut self.pid(pid).known;
                                known.heard(life, server, asked.ceiling, now);
                            }
                            Stage::Joins | Stage::Rests | Stage::Clashes => {}
                        }
                        if asked.stage == Stage::Serves {
                            self.knows.insert((server, self.lives[hearer].pid), asked);
                        }
                    }
                }
            }
            // An operator has vouched for the state of the sender, so what the other side remembers of it no longer
            // counts, even if the state loses that record later. If this message is lost, the other side objects
            // again.
            Some(Kind::Overrule) => {
                state.is_peer = true;
                let pid = self.lives[server].pid;
                self.pid(pid).has_overruled = true;
                if let Some(hearer) = hearer {
                    self.knows.remove(&(hearer, pid));
                }
            }
            Some(Kind::Goodbye) => {
                self.lives[server].is_over = true;
                let (session, served) = (BigEndian::read_u64(&body[2..]), body[10] != 0);
                if let (Some(by), Some(claimed_at), false) = (hearer, state.claimed_at, served) {
                    self.withdrawn.push(Withdrawn {
                        by,
                        session,
                        claimed_at,
                    });
                }
            }
            Some(Kind::Objection) => {
                state.is_peer = true;
                let (pid, session) = (BigEndian::read_u16(body), BigEndian::read_u64(&body[2..]));
                let Some(accused) = self.lives.iter().position(|life| life.session == session)
                else {
                    return;
                };
                self.lives[accused].is_objected = true;
                self.breaches.tell(accused, pid);
                let life = &self.lives[accused];
                let serves = life.stage == Some(Stage::Serves);
                // It has not waited for the answer to what it asked before it served, and this is that answer.
                let asked = other.and_then(|other| self.ends.get(&other)?.asked);
                let is_late = asked.is_some_and(|asked| asked.stage.asks());
                let is_superseded = self.is_superseded(life);
                let is_innocent = self.pids.get(&pid).is_some_and(|state| {
                    // A second server that has only claimed the pid must not stop the first one, which serves.
                    let is_first =
                        accused < self.servers && serves && !state.has_lost && !state.is_shared;
                    // Of two lives, the one that this server has accepted goes on, unless an operator says otherwise.
                    let is_accepted = serves
                        && !self.may_forget
                        && !state.is_vouched
                        && !state.has_overruled
                        && state.known.accepted_by(server) == Some(life.life)
                        && state.known.has_heard(life.life, server);
                    !state.was_breached
                        || is_first
                            && match is_late {
                                true => !state.known.has_other(accused),
                                false => !state.known.another_serves(accused),
                            }
                        || is_accepted
                });
                if is_innocent && !is_superseded {
                    self.note_violation(|| {
                        format!(
                            "server {server} objects to pid {pid}, which has done nothing wrong"
                        )
                    });
                }
            }
            _ => {}
        }
    }

    /// A server tells another one how far it has come.
    fn meets(&mut self, server: usize, hearer: usize, body: &[u8]) {
        let Life { pid, life, .. } = self.lives[server];
        if stage(body) == Stage::Serves && pid != self.lives[hearer].pid {
            let now = self.now;
            self.pid(pid).known.meets(life, hearer, now);
        }
    }

    /// A peer answers a server, which then does not wait for other peers.
    fn answers(&mut self, hearer: Option<usize>) {
        if let Some(hearer) = hearer {
            self.lives[hearer].joins_until = None;
        }
    }

    /// A server tells its sequence. Returns it.
    fn tells(&mut self, server: usize, end: &mut EndState, body: &[u8]) -> u64 {
        let tail = sync_fields(body);
        let sequence = BigEndian::read_u64(&tail[34..]);
        let life = &mut self.lives[server];
        let base = life.advances.base(life.allowed);
        let life = &self.lives[server];
        let said = (
            BigEndian::read_u16(tail),
            BigEndian::read_u128(&tail[2..]),
            BigEndian::read_u64(&tail[18..]),
            BigEndian::read_u64(&tail[26..]),
        );
        let is = (life.pid, life.incarnation, life.boot, life.session);
        let (most, allowed, before, start) =
            (base + life.asked, life.allowed, end.told, life.start);
        let shown = || format!("server {server} tells of sequence {sequence}");
        if said != is {
            self.note_violation(|| {
                format!("server {server} says that it is {said:?} and is {is:?}")
            });
        } else if sequence > most {
            self.note_violation(|| format!("{}, and nothing brought it above {most}", shown()));
        } else if sequence > allowed {
            self.note_violation(|| format!("{}, and {allowed} is durable of this boot", shown()));
        } else if sequence < start || (sequence < before && !self.lives[server].may_go_back()) {
            self.note_violation(|| {
                format!("{}, began at {start} and told of {before} before", shown())
            });
        }
        let Life { pid, life, .. } = self.lives[server];
        self.lives[server].stage = Some(stage(body));
        end.told = sequence;
        let state = self.pid(pid);
        match stage(body) {
            Stage::Claims => state.known.claims(life),
            Stage::Serves => state.known.serves(life),
            Stage::Joins | Stage::Rests | Stage::Clashes => {}
        }
        state.told = state.told.max(sequence);
        sequence
    }

    /// A server has taken in the sequence of a peer.
    fn absorbs(&mut self, server: usize, sequence: u64) {
        let life = &mut self.lives[server];
        // After a restore the boots are so high that next to nothing of the budget for peers that are known is left.
        let has_budget = life.boot < EPOCH_BOOTS;
        if self.never_refuses_peers && has_budget && !life.disk_failed {
            life.advances.absorb(sequence);
        }
    }
}

/// Notes what an error means for the connection.
fn hear_error(state: &mut EndState, body: &[u8]) {
    let code = ErrorCode::from_u16(BigEndian::read_u16(body));
    state.is_told |= code.is_none_or(ErrorCode::closes);
    if code == Some(ErrorCode::TooManyConnections) {
        state.refused = Some(Refusal {
            end: EndId::MAX,
            is_for_address: body
                .windows(FOR_ADDRESS.len())
                .any(|part| part == FOR_ADDRESS),
            is_first: state.frames == 1,
        });
    }
}
