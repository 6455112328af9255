//! Durable first, reply after: how far the disk allows the counter to go, and the answers that wait for the disk.

use super::{
    ActorConfig, ConnectionId, Effect, Write, ceiling::Ceiling, counter::Counter, line::Line,
};
use crate::{identity::Sequence, time::Instant, words::Message};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Durability {
    ceiling: Ceiling,
    /// Answers that wait for the disk. The server's bound on frames in flight bounds them too.
    held: Line<Held>,
    /// Answers that waited for the disk and whose connection is gone: the highest sequence that one of them waits for,
    /// and the sequence to go back to if the disk fails. `None` once all of it is durable.
    forgotten: Option<Forgotten>,
    /// Identity requests that had to wait.
    waited: u64,
    /// What was decided and will never be answered.
    unanswered: Decided,
    /// Everything that waits is being looked at. No raise is asked for until that is over, so that the next one covers
    /// what still waits.
    is_settling: bool,
}

/// An answer that must wait for the disk.
#[derive(Debug)]
enum Held {
    /// It waits until the sequence that was decided for it is durable.
    Decided {
        /// It leaves when this sequence is durable.
        until: Sequence,
        /// The sequence before this request, in case it is taken back.
        before: Sequence,
        effect: Effect,
    },
    /// It needs nothing from the disk, and only has to leave after the answer before it.
    Behind(Effect),
}

/// Requests for which identities were decided.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Decided {
    pub(super) requests: u64,
    pub(super) identities: u64,
}

impl Decided {
    fn add(&mut self, held: &Held) {
        if let Held::Decided { effect, .. } = held
            && let Effect::ReplyIdentities { count, .. } = effect
        {
            self.requests += 1;
            self.identities += u64::from(*count);
        }
    }
}

/// What is taken back when the disk fails or the store is away.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakenBack {
    /// The sequence from before the first request that is taken back, if there is one.
    pub(super) before: Option<Sequence>,
    /// How many requests for identities get an error after all.
    pub(super) refused: u64,
}

/// See [`Durability::forgotten`].
#[derive(Clone, Copy, Debug)]
struct Forgotten {
    until: Sequence,
    before: Sequence,
}

impl Durability {
    pub(super) fn new(config: &ActorConfig) -> Durability {
        let rate = config.budgets.rate_per_second;
        Durability {
            ceiling: Ceiling::new(config.sequence, config.ceiling, rate, config.reserve),
            held: Line::new(),
            forgotten: None,
            waited: 0,
            unanswered: Decided::default(),
            is_settling: false,
        }
    }

    /// The highest sequence that is durable.
    pub(super) const fn durable(&self) -> Sequence {
        self.ceiling.durable()
    }

    /// The highest sequence that is durable and needs no raise yet.
    pub(super) fn clear(&self) -> Sequence {
        self.ceiling.clear()
    }

    /// Identity requests that had to wait for the disk.
    pub(super) const fn waited(&self) -> u64 {
        self.waited
    }

    /// From now on no raise is asked for (`true`), or raises are asked for again (`false`).
    pub(super) const fn set_settling(&mut self, is_settling: bool) {
        self.is_settling = is_settling;
    }

    /// Counts a request that had to wait, but whose answer was not held.
    pub(super) const fn count_waited(&mut self) {
        self.waited += 1;
    }

    /// What was decided and is not answered: it waits for the disk, was taken back, or its connection is gone.
    pub(super) fn unanswered(&self) -> Decided {
        let mut unanswered = self.unanswered;
        for held in self.held.iter() {
            unanswered.add(held);
        }
        unanswered
    }

    /// How many answers wait for the disk.
    pub(super) fn holds(&self) -> usize {
        self.held.len()
    }

    /// How much was last added to the ceiling at once.
    pub(super) const fn step(&self) -> u64 {
        self.ceiling.step()
    }

    /// How much of the sequence was used in a second lately.
    pub(super) fn demand_per_second(&self, sequence: Sequence, now: Instant) -> u64 {
        self.ceiling.demand_per_second(sequence, now)
    }

    /// Something waits until `sequence` is durable, and moves nothing before.
    pub(super) fn want(&mut self, sequence: Sequence) {
        self.ceiling.want(sequence);
    }

    /// Whether no answer waits for the disk.
    pub(super) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether an answer for that connection waits.
    pub(super) fn holds_for(&self, connection: ConnectionId) -> bool {
        self.held.has(connection)
    }

    /// Whether no answer waits, and no ceiling is on its way to the disk.
    pub(super) fn is_settled(&self) -> bool {
        self.held.is_empty() && !self.ceiling.is_writing()
    }

    /// Sends the answer for which a sequence was decided last, as soon as that sequence is durable. `before` is the
    /// sequence before that.
    pub(super) fn reply_when_durable(
        &mut self,
        to: ConnectionId,
        reply: Effect,
        before: Sequence,
        counter: &Counter,
        effects: &mut Vec<Effect>,
    ) {
        if self.may_leave(counter) {
            // No answer is held. If one were, its sequence would be above the ceiling, and so would this later one.
            effects.push(reply);
            return;
        }
        if let Effect::ReplyIdentities { .. } = reply {
            self.waited += 1;
        }
        let held = Held::Decided {
            until: counter.sequence(),
            before,
            effect: reply,
        };
        self.held.push(to, held);
    }

    /// Whether the last sequence that was decided is durable.
    fn may_leave(&self, counter: &Counter) -> bool {
        // bug ReplyBeforeDurable: return true;
        // bug AbsorptionBypassesCeiling: if counter.absorbed() > self.ceiling.durable() { return true; }
        counter.sequence() <= self.ceiling.durable()
    }

    /// Sends an answer that needs nothing from the disk, after the held answers of the same connection.
    pub(super) fn reply_behind(
        &mut self,
        to: ConnectionId,
        effect: Effect,
        effects: &mut Vec<Effect>,
    ) {
        // bug ReplyOvertakes instead: if self.held.has(to) && !BUG {
        if self.held.has(to) {
            self.held.push(to, Held::Behind(effect));
        } else {
            effects.push(effect);
        }
    }

    /// Asks for a higher ceiling if the counter has come far enough, or if something waits for one.
    pub(super) fn raise_if_due(
        &mut self,
        counter: &mut Counter,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if self.is_settling || !self.ceiling.is_due(counter.sequence()) {
            return;
        }
        let ceiling = self
            .ceiling
            .raise(counter.sequence(), counter.identities(), now);
        counter.raise_asked(ceiling);
        let sequence = counter.sequence().min(self.ceiling.durable());
        effects.push(Effect::Write(Write::Ceiling { sequence, ceiling }));
    }

    /// A connection is gone, and nobody waits for its answers.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        for held in self.held.take_of(connection) {
            self.unanswered.add(&held);
            let Held::Decided { until, before, .. } = held else {
                continue;
            };
            self.forgotten = Some(match self.forgotten {
                None => Forgotten { until, before },
                Some(forgotten) => Forgotten {
                    until: forgotten.until.max(until),
                    before: forgotten.before.min(before),
                },
            });
        }
    }

    /// The requested ceiling is durable.
    pub(super) fn raised(&mut self) {
        let durable = self.ceiling.raised();
        // What is durable is not taken back: answers that came between the forgotten ones leave now.
        self.forgotten = self
            .forgotten
            .filter(|forgotten| forgotten.until > durable)
            .map(|Forgotten { until, before }| Forgotten {
                until,
                before: before.max(durable),
            });
    }

    /// The answers that wait for nothing any more leave.
    pub(super) fn release(&mut self, effects: &mut Vec<Effect>) {
        let durable = self.ceiling.durable();
        let may_leave = |held: &Held| match held {
            Held::Decided { until, .. } => *until <= durable,
            Held::Behind(_) => true,
        };
        while let Some(held) = self.held.pop_if(may_leave) {
            let (Held::Decided { effect, .. } | Held::Behind(effect)) = held;
            effects.push(effect);
        }
    }

    /// Whether a ceiling is on its way to the disk.
    pub(super) const fn is_writing(&self) -> bool {
        self.ceiling.is_writing()
    }

    /// No raise is requested any more, and the one that is under way comes to nothing.
    pub(super) fn give_up_raise(&mut self) {
        self.ceiling.failed();
    }

    /// The sequence before all that was decided and may still be taken back.
    pub(super) fn before_decided(&self) -> Option<Sequence> {
        // The first answer in the line always has a sequence of its own. Answers without one come only after it.
        let before = self.held.first().and_then(|held| match held {
            Held::Decided { before, .. } => Some(*before),
            Held::Behind(_) => None,
        });
        let forgotten = self.forgotten.as_ref().map(|forgotten| forgotten.before);
        before.into_iter().chain(forgotten).min()
    }

    /// Every answer that waits becomes `error`.
    pub(super) fn take_back(&mut self, error: &Message, effects: &mut Vec<Effect>) -> TakenBack {
        let before = self.before_decided();
        self.forgotten = None;
        let mut refused = 0;
        for (to, held) in self.held.take_all() {
            self.unanswered.add(&held);
            let message = error.clone();
            effects.push(match held {
                Held::Decided { effect, .. } => {
                    if matches!(effect, Effect::ReplyIdentities { .. }) {
                        refused += 1;
                    }
                    // bug TakenBackLeaves instead: if BUG { effect } else { Effect::Reply { to, message } }
                    Effect::Reply { to, message }
                }
                Held::Behind(effect) => effect,
            });
        }
        TakenBack { before, refused }
    }
}
