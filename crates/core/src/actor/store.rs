//! A store that may be away: whether it has confirmed that this life has its pid, and how long requests have waited for
//! it. With a state directory nothing has to be confirmed, and a request waits until the disk answers or fails.
//!
//! **Doubt.** A store that fences keeps two lives of a pid apart whatever happens: what each may hand out is its own. But a
//! life that was paused and taken over would still hand out the rest of what is its own, behind the back of its successor.
//! So it hands out nothing from the moment on to which the store has confirmed it. Until that moment no other life can
//! have taken the pid.
//!
//! **Patience.** A store on the network comes back. So a request that waits for it is not lost when it takes long, and the
//! server does not end. But the client asks another server after a second, so it is told before.
//!
//! Time comes with the events and with [`Actor::look_at_clock`].

use std::time::Duration;

use super::{Actor, ActorConfig, Effect, Report, phase::Phase, refusal::Refusal};
use crate::{
    time::Instant,
    words::{Message, StoreState},
};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Store {
    /// Until when it is confirmed that this life has its pid. `None` if nothing has to be confirmed.
    confirmed_until: Option<Instant>,
    doubt: Option<Doubt>,
    /// How often there was doubt.
    doubts: u64,
    patience: Option<Duration>,
    /// Since when requests have waited for the store without an answer from it.
    waits_since: Option<Instant>,
    /// Since when requests that need the store are refused.
    away_since: Option<Instant>,
}

/// It is not confirmed any more that this life has its pid.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    since: Instant,
    is_told: bool,
}

impl Store {
    pub(super) const fn new(config: &ActorConfig) -> Store {
        Store {
            confirmed_until: config.lease,
            doubt: None,
            doubts: 0,
            patience: config.patience,
            waits_since: None,
            away_since: None,
        }
    }

    /// Whether nothing may be handed out until the store has confirmed that this life has its pid.
    pub(super) fn is_in_doubt(&self) -> bool {
        // bug DoubtIgnored: return false;
        self.doubt.is_some()
    }

    /// Whether requests that need the store are refused.
    pub(super) const fn is_away(&self) -> bool {
        self.away_since.is_some()
    }

    /// Looks at the clock. Returns whether doubt has begun.
    #[inline(always)]
    fn look(&mut self, now: Instant) -> bool {
        match self.confirmed_until {
            Some(until) if now >= until && self.doubt.is_none() => {
                self.begin_doubt(until);
                true
            }
            _ => false,
        }
    }

    #[cold]
    fn begin_doubt(&mut self, since: Instant) {
        self.doubts += 1;
        self.doubt = Some(Doubt {
            since,
            is_told: false,
        });
    }

    /// What people should hear of a doubt that has begun.
    pub(super) fn news(&mut self) -> Option<Report> {
        let doubt = self.doubt.as_mut().filter(|doubt| !doubt.is_told)?;
        doubt.is_told = true;
        Some(Report::InDoubt)
    }

    /// The store has confirmed this life until a moment.
    fn leased(&mut self, until: Instant, now: Instant) -> Option<Report> {
        // There is nothing to confirm: the life goes on in any case.
        self.confirmed_until?;
        self.confirmed_until = Some(until);
        if now >= until {
            self.look(now);
            return None;
        }
        let doubt = self.doubt.take()?;
        let took = now.since(doubt.since);
        doubt.is_told.then_some(Report::Confirmed { took })
    }

    /// The store has answered: who still waits begins to wait anew.
    fn answered(&mut self) {
        self.waits_since = None;
    }

    /// Notes whether anybody waits for the store.
    pub(super) fn note_waits(&mut self, waits: bool, now: Instant) {
        self.waits_since = waits.then(|| self.waits_since.unwrap_or(now));
    }

    /// When those who wait have waited for long enough.
    fn patience_ends(&self) -> Option<Instant> {
        let since = self.waits_since.filter(|_| !self.is_away())?;
        self.patience.map(|patience| since.after(patience))
    }

    fn deadline(&self) -> Option<Instant> {
        let doubt_begins = self.confirmed_until.filter(|_| self.doubt.is_none());
        doubt_begins.into_iter().chain(self.patience_ends()).min()
    }

    /// From now on requests that need the store are refused.
    fn goes_away(&mut self, now: Instant) {
        self.away_since = Some(now);
        self.waits_since = None;
    }

    /// Requests may wait for the store again.
    fn comes_back(&mut self, now: Instant) -> Option<Report> {
        let since = self.away_since.take()?;
        let took = now.since(since);
        Some(Report::StoreBack { took })
    }

    fn state(&self) -> StoreState {
        match (self.is_away(), self.is_in_doubt()) {
            (true, _) => StoreState::Away,
            (false, true) => StoreState::InDoubt,
            (false, false) => StoreState::Ready,
        }
    }
}

impl Actor {
    /// Tells the actor the time. A server does so in each turn, before it hands over the events of that turn: most requests
    /// are answered without a look at the clock.
    #[inline(always)]
    pub fn look_at_clock(&mut self, now: Instant) {
        if self.store.look(now) {
            self.counter.set_clear(self.clear_up_to());
        }
    }

    /// When [`Event::StoreTimeout`](super::Event::StoreTimeout) is due: requests have waited for too long, or the store has
    /// not confirmed in time that this life has its pid.
    pub fn store_deadline(&self) -> Option<Instant> {
        match self.phase.has_use_for_store() {
            true => self.store.deadline(),
            false => None,
        }
    }

    /// Whether the store answers and has confirmed this life.
    pub fn store_state(&self) -> StoreState {
        self.store.state()
    }

    /// How often the store has not confirmed this life in time.
    pub fn doubts(&self) -> u64 {
        self.store.doubts
    }

    /// Whether another life has the pid in the store.
    pub fn is_fenced(&self) -> bool {
        self.phase == Phase::Fenced
    }

    /// The store has confirmed that this life has its pid.
    pub(super) fn on_leased(&mut self, until: Instant, now: Instant, effects: &mut Vec<Effect>) {
        let was_in_doubt = self.store.is_in_doubt();
        effects.extend(self.store.leased(until, now).map(Effect::Report));
        if was_in_doubt && !self.store.is_in_doubt() {
            self.go_on(now, effects);
        }
    }

    /// The store has answered: what waited for it goes on, unless it is in doubt whether this life has its pid.
    pub(super) fn go_on(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if !self.store.is_in_doubt() {
            self.store.answered();
            // A raise that is under way is what others would wait for.
            if !self.durability.is_writing() {
                effects.extend(self.store.comes_back(now).map(Effect::Report));
            }
            self.durability.release(effects);
            self.settle_durable(now, effects);
        }
        match self.phase == Phase::Stopping && self.durability.holds_nothing() {
            true => self.stop_if_settled(now, effects),
            false => self.raise_if_due(now, effects),
        }
    }

    /// Requests may have waited for the store for too long. Then they are refused, and so are those that would wait now,
    /// until the store has answered. What was decided for them has not left, so it is taken back and may be handed out
    /// later. The raise that is under way stays so.
    pub(super) fn on_store_timeout(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.store.patience_ends().is_none_or(|ends| now < ends) {
            return;
        }
        let waiting = self.waiting_for_disk();
        self.store.goes_away(now);
        effects.push(Effect::Report(Report::StoreAway { waiting }));
        self.take_back(Refusal::StoreUnavailable, effects);
        self.settle_waiting(now, effects);
        if self.phase == Phase::Stopping {
            self.stop_if_settled(now, effects);
        }
    }

    /// What was decided and is not durable, or may not leave, is taken back.
    pub(super) fn take_back(&mut self, why: Refusal, effects: &mut Vec<Effect>) {
        let error = Message::ErrorReply(Box::new(why.into()));
        let taken_back = self.durability.take_back(&error, effects);
        if let Some(before) = taken_back.before {
            self.counter.go_back(before);
        }
        self.counter.count_refused(taken_back.refused);
        debug_assert!(self.counter.absorbed() <= self.counter.sequence());
    }

    /// Another session has the state of this pid, so this life is over. What is durable but was not handed out is its own for
    /// ever, so it could go on below that; but its successor is ahead of it, and order would be lost.
    pub(super) fn on_fenced(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        // bug FencedGoesOn: return;
        let stops = self.phase == Phase::Stopping;
        if !self.phase.fence() {
            return;
        }
        self.durability.give_up_raise();
        self.take_back(Refusal::Stopping, effects);
        self.refuse_newcomers(effects);
        self.settle_waiting(now, effects);
        self.say_goodbye(self.served, effects);
        effects.push(Effect::Report(Report::Fenced));
        if stops {
            effects.push(Effect::Stopped(super::Outcome::Fenced));
        }
    }
}
