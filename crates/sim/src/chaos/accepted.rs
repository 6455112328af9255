//! What the judge knows of the lives of a pid: what the other servers have heard of each, and who has accepted it. With
//! this it knows which identities must not be handed out twice, whatever an operator has done.

use std::collections::{BTreeMap, BTreeSet};

use ipseity_core::time::Instant;

/// Why the identities of one life could be handed out by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Nobody had accepted the second one: it could reach nobody, or names nobody.
    Alone,
    /// Those that had accepted it had not heard of the first one, or had lost what they had heard.
    NobodyRemembers,
    /// The first one had not told them that it could come so far.
    NotTold,
}

/// One life, as others know it.
#[derive(Debug, Default)]
struct Known {
    server: usize,
    boot: u64,
    /// The highest ceiling that each other server has heard of it and has not lost since.
    told: BTreeMap<usize, u64>,
    /// When each of those has heard it first.
    heard_at: BTreeMap<usize, Instant>,
    /// When it last told each other server that it serves, if that one still runs.
    met_at: BTreeMap<usize, Instant>,
    /// The servers that have confirmed its claim, each with what it had heard of the other lives by then.
    confirmed: BTreeMap<usize, BTreeMap<u64, u64>>,
    /// It has been accepted by some server, because it claims the pid.
    claims: bool,
    /// It has said that it serves.
    serves: bool,
}

/// The lives of one pid, by their number.
#[derive(Debug, Default)]
pub struct Lives {
    lives: BTreeMap<u64, Known>,
    /// The life whose claim each other server has confirmed last, in its present life.
    accepted_by: BTreeMap<usize, u64>,
}

impl Lives {
    /// A life begins on a server.
    pub fn begin(&mut self, life: u64, server: usize, boot: u64) {
        let known = Known {
            server,
            boot,
            ..Known::default()
        };
        self.lives.insert(life, known);
    }

    fn known(&mut self, life: u64) -> &mut Known {
        self.lives.get_mut(&life).expect("every life has begun")
    }

    /// A life has claimed the pid.
    pub fn claims(&mut self, life: u64) {
        self.known(life).claims = true;
    }

    /// A life has said that it serves.
    pub fn serves(&mut self, life: u64) {
        self.known(life).serves = true;
    }

    /// A life tells another server that it serves. If its directory was started more often than that of the life which the
    /// other one has accepted, it may not have asked anybody, and takes the place of that one.
    pub fn meets(&mut self, life: u64, by: usize, now: Instant) {
        self.known(life).met_at.insert(by, now);
        let boot = |life: u64| self.lives[&life].boot;
        if let Some(accepted) = self.accepted_by(by)
            && boot(life) > boot(accepted)
        {
            self.accepted_by.remove(&by);
        }
    }

    /// Whether a life has said that it serves.
    pub fn has_served(&self, life: u64) -> bool {
        self.lives.get(&life).is_some_and(|known| known.serves)
    }

    /// Another server has taken in what a life has told.
    pub fn heard(&mut self, life: u64, by: usize, ceiling: u64, now: Instant) {
        // What was accepted was a claim. Where another life is heard that serves, it counts no more, until the one that was
        // accepted has been heard to serve too.
        if let Some(accepted) = self.accepted_by(by)
            && accepted != life
            && !self.has_heard(accepted, by)
        {
            self.accepted_by.remove(&by);
        }
        let known = self.known(life);
        known.heard_at.entry(by).or_insert(now);
        let told = known.told.entry(by).or_default();
        *told = ceiling.max(*told);
    }

    /// Another server has confirmed the claim of a life. Returns the life for which it had done so before.
    pub fn confirmed(&mut self, life: u64, by: usize) -> Option<u64> {
        let others = self.lives.iter().filter(|(other, _)| **other != life);
        let heard = others
            .filter_map(|(other, known)| Some((*other, *known.told.get(&by)?)))
            .collect();
        self.known(life).confirmed.entry(by).or_insert(heard);
        self.accepted_by.insert(by, life)
    }

    /// The life whose claim another server has confirmed last, in its present life.
    pub fn accepted_by(&self, by: usize) -> Option<u64> {
        self.accepted_by.get(&by).copied()
    }

    /// A server may have lost what it had heard.
    pub fn forget(&mut self, by: usize) {
        for known in self.lives.values_mut() {
            known.told.remove(&by);
            known.heard_at.remove(&by);
            known.met_at.remove(&by);
        }
        self.accepted_by.remove(&by);
    }

    /// Whether those that have confirmed the claim of a life had heard of another one by then; `None` if nobody has.
    pub fn confirmed_by(&self, life: u64) -> Option<bool> {
        let confirmed = &self.lives[&life].confirmed;
        let has_heard = confirmed.values().any(|heard| !heard.is_empty());
        (!confirmed.is_empty()).then_some(has_heard)
    }

    /// The servers that have confirmed the claim of a life.
    pub fn voters(&self, life: u64) -> BTreeSet<usize> {
        self.lives[&life].confirmed.keys().copied().collect()
    }

    /// When a life last told another server that it serves, if that one still runs.
    pub fn met_at(&self, life: u64, by: usize) -> Option<Instant> {
        self.lives[&life].met_at.get(&by).copied()
    }

    /// Whether a server has heard a life before some moment, and has not lost that.
    pub fn has_heard_before(&self, life: u64, by: usize, moment: Instant) -> bool {
        let heard_at = self.lives[&life].heard_at.get(&by);
        heard_at.is_some_and(|heard_at| *heard_at < moment)
    }

    /// Whether a server has heard a life, and has not lost that.
    pub fn has_heard(&self, life: u64, by: usize) -> bool {
        self.lives[&life].told.contains_key(&by)
    }

    /// Whether a life may have claimed the pid somewhere and has never said that it serves. Such a claim stays until an
    /// operator has it forgotten.
    pub fn has_open_claim(&self) -> bool {
        self.lives.values().any(|known| !known.serves)
    }

    /// Whether a server may still remember a claim: it has not heard that life serve, or has lost that.
    pub fn has_left_claim(&self) -> bool {
        let is_left = |known: &Known| {
            let mut confirmed = known.confirmed.keys();
            confirmed.any(|by| !known.told.contains_key(by))
        };
        self.has_open_claim() || self.lives.values().any(is_left)
    }

    /// Whether a life on another server was accepted, or has said that it serves.
    pub fn has_other(&self, server: usize) -> bool {
        let is_other = |known: &Known| known.server != server;
        let counts = |known: &Known| known.serves || known.claims;
        self.lives
            .values()
            .any(|known| is_other(known) && counts(known))
    }

    /// Whether a life on another server has said that it serves.
    pub fn another_serves(&self, server: usize) -> bool {
        let mut lives = self.lives.values();
        lives.any(|known| known.server != server && known.serves)
    }

    /// A life hands out a sequence that an earlier one had handed out.
    ///
    /// # Errors
    /// This must not be. The server with this number has accepted it, although it knew better.
    pub fn judge(&self, life: u64, earlier: u64, sequence: u64) -> Result<Cause, usize> {
        let confirmed = &self.lives[&life].confirmed;
        let heard = |heard: &BTreeMap<u64, u64>| heard.get(&earlier).copied();
        let knew = |(by, known): (&usize, _)| (heard(known)? >= sequence).then_some(*by);
        if let Some(by) = confirmed.iter().find_map(knew) {
            return Err(by);
        }
        Ok(
            match confirmed.values().any(|known| heard(known).is_some()) {
                true => Cause::NotTold,
                false if confirmed.is_empty() => Cause::Alone,
                false => Cause::NobodyRemembers,
            },
        )
    }
}
