//! Newcomers: lives of other pids that ask for their pid, and wait for the answer. The [`guard`](super::guard) judges
//! them.
//!
//! No other request is read from the connection of a newcomer before it has its answer. So no answer can be overtaken,
//! and the number of newcomers is bounded by that of connections. What it says meanwhile and is owed no answer is heard: that
//! it gives up, or that a life which somebody asks about is alive.

use super::{
    Actor, ConnectionId, Effect, Link,
    guard::{Claimant, Verdict},
    refusal::Refusal,
};
use crate::{
    identity::Pid,
    time::Instant,
    words::{Goodbye, Message, Probe, SyncMessage},
};

/// A life that waits for the answer.
#[derive(Debug)]
pub(super) struct Newcomer {
    from: ConnectionId,
    sync: Box<SyncMessage>,
    waits_for: WaitsFor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitsFor {
    /// The lives that may have its pid are being asked.
    Others,
    /// Its claim is being saved.
    Disk,
}

impl Newcomer {
    const fn life(&self) -> (Pid, u64) {
        (self.sync.pid, self.sync.session)
    }
}

impl Actor {
    /// A life joins or claims its pid.
    pub(super) fn on_newcomer(
        &mut self,
        from: ConnectionId,
        sync: Box<SyncMessage>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let link = Link::Accepted(from);
        let claimant = self.claimant(&sync);
        let verdict = self.guard.judge(link, &sync, claimant, &self.links, now);
        self.guard.note_address(&sync);
        match verdict {
            Verdict::Accepted => {
                self.guard.claim_answered(sync.pid, sync.session);
                self.reply_accepted(from, &sync, effects);
            }
            Verdict::Held => {
                let refusal = Refusal::HeldByAnother(sync.pid);
                self.refuse_peer(from, refusal.into(), effects);
            }
            Verdict::Claimed => {
                let refusal = Refusal::Claimed(sync.pid);
                self.refuse_peer(from, refusal.into(), effects);
            }
            Verdict::Stale(charge) => {
                let answers = true;
                effects.push(Effect::Object { charge, answers });
            }
            Verdict::Saving => self.newcomers.push(Newcomer {
                from,
                sync,
                waits_for: WaitsFor::Disk,
            }),
            Verdict::Asking(questions) => {
                effects.extend(questions.dial.map(Effect::DialOnce));
                for (session, to) in questions.probes {
                    let probe = Probe {
                        pid: sync.pid,
                        session,
                        nonce: self.guard.next_nonce(),
                    };
                    let message = Message::Probe(probe);
                    effects.push(Effect::Tell { to, message });
                }
                self.newcomers.push(Newcomer {
                    from,
                    sync,
                    waits_for: WaitsFor::Others,
                });
            }
        }
    }

    /// Something has changed that may decide about those who wait.
    pub(super) fn settle_newcomers(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.newcomers.is_empty() {
            return;
        }
        let newcomers = std::mem::take(&mut self.newcomers);
        let lives: Vec<_> = newcomers.iter().map(Newcomer::life).collect();
        for Newcomer { from, sync, .. } in newcomers {
            self.on_newcomer(from, sync, now, effects);
        }
        self.close_trials(lives);
        // A claim that is accepted now has to be durable before it is answered.
        self.save_members(now, effects);
    }

    fn close_trials(&mut self, lives: Vec<(Pid, u64)>) {
        for (pid, session) in lives {
            // It may ask on more than one connection.
            let waits = |newcomer: &Newcomer| {
                newcomer.life() == (pid, session) && newcomer.waits_for == WaitsFor::Others
            };
            if !self.newcomers.iter().any(waits) {
                self.guard.close_trial(pid, session);
            }
        }
    }

    /// When [`Event::ProbeTimeout`](super::Event::ProbeTimeout) is due, if a newcomer waits for it.
    pub fn probe_deadline(&self) -> Option<Instant> {
        let deadline = |newcomer: &Newcomer| {
            let (pid, session) = newcomer.life();
            self.guard.trial_deadline(pid, session)
        };
        self.newcomers.iter().filter_map(deadline).min()
    }

    /// A connection is gone: its newcomer waits no more.
    pub(super) fn forget_newcomer(
        &mut self,
        connection: ConnectionId,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let gone = self
            .newcomers
            .extract_if(.., |newcomer| newcomer.from == connection);
        let lives: Vec<_> = gone.map(|newcomer| newcomer.life()).collect();
        for (pid, session) in lives.iter().copied() {
            let waits = |newcomer: &Newcomer| newcomer.life() == (pid, session);
            if !self.newcomers.iter().any(waits) {
                self.guard.drop_claim(pid, session);
            }
        }
        self.close_trials(lives);
        self.save_members(now, effects);
        self.settle_newcomers(now, effects);
    }

    /// This server stops: nobody is accepted any more.
    pub(super) fn refuse_newcomers(&mut self, effects: &mut Vec<Effect>) {
        for Newcomer { from, sync, .. } in std::mem::take(&mut self.newcomers) {
            self.guard.close_trial(sync.pid, sync.session);
            self.refuse(from, Refusal::Stopping, effects);
        }
    }

    /// A peer asks whether this process is alive, because another one wants its pid.
    pub(super) fn on_probe(&mut self, link: Link, probe: Probe, effects: &mut Vec<Effect>) {
        let own = &self.config;
        let is_for_it = probe.pid == own.pid && probe.session == own.session;
        // One that hands out nothing any more does not keep its pid.
        // bug ProbeUnanswered instead: if is_for_it && self.phase.holds_pid() && !BUG {
        if is_for_it && self.phase.holds_pid() {
            effects.push(Effect::Tell {
                to: link,
                message: Message::Alive(probe),
            });
        }
    }

    /// A life has answered a probe.
    pub(super) fn on_alive(
        &mut self,
        link: Link,
        alive: Probe,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        // Only for itself may it answer.
        if self.links.pid(link) == Some(alive.pid) {
            self.guard
                .hear_alive(alive.pid, alive.session, alive.nonce, now);
            self.settle_newcomers(now, effects);
        }
    }

    /// A peer says that its life is over.
    pub(super) fn on_goodbye(
        &mut self,
        link: Link,
        goodbye: Goodbye,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if self.links.pid(link) == Some(goodbye.pid) {
            self.guard.hear_goodbye(&goodbye);
            self.send_away(goodbye.pid, goodbye.session, effects);
            self.save_members(now, effects);
            self.settle_newcomers(now, effects);
        }
    }

    /// A life that said goodbye, perhaps on another link, waits for nothing any more. Otherwise its claim would be noted
    /// again.
    fn send_away(&mut self, pid: Pid, session: u64, effects: &mut Vec<Effect>) {
        let of_life = |newcomer: &mut Newcomer| newcomer.life() == (pid, session);
        let gone: Vec<Newcomer> = self.newcomers.extract_if(.., of_life).collect();
        for newcomer in gone {
            self.refuse(newcomer.from, Refusal::HeldByAnother(pid), effects);
        }
        self.guard.close_trial(pid, session);
    }

    /// Tells all peers that this life is over.
    pub(super) fn say_goodbye(&self, served: bool, effects: &mut Vec<Effect>) {
        // bug NoGoodbye: if served { return; }
        let goodbye = Goodbye {
            pid: self.config.pid,
            session: self.config.session,
            served,
        };
        effects.extend(self.links.states().keys().map(|link| Effect::Tell {
            to: *link,
            message: Message::Goodbye(goodbye),
        }));
    }

    /// What a peer tells of itself, and how far that is believed.
    pub(super) fn claimant(&self, sync: &SyncMessage) -> Claimant {
        Claimant {
            incarnation: sync.incarnation,
            boot: sync.boot,
            session: sync.session,
            sequence: self.counter.believable(sync.sequence),
            ceiling: self.counter.believable(sync.told.ceiling),
            told_sequence: sync.sequence,
            fences: sync.told.votes.is_fenced(),
        }
    }
}
