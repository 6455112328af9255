//! What the judge knows of the lives of a pid: what the other servers have heard of each, and who has accepted it. With
//! this it knows which identities must not be handed out twice, whatever an operator has done.

use std::collections::{BTreeMap, BTreeSet};

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
    /// The highest ceiling that each other server has heard of it and has not lost since.
    told: BTreeMap<usize, u64>,
    /// The servers that have confirmed its claim, each with what it had heard of the other lives by then.
    confirmed: BTreeMap<usize, BTreeMap<u64, u64>>,
    /// It has been accepted by some server, because it claims the pid.
    claims: bool,
    /// It has said that it serves.
    serves: bool,
}

/// The lives of one pid, by their number.
#[derive(Debug, Default)]
pub struct Lives(BTreeMap<u64, Known>);

impl Lives {
    /// A life begins on a server.
    pub fn begin(&mut self, life: u64, server: usize) {
        let known = Known {
            server,
            ..Known::default()
        };
        self.0.insert(life, known);
    }

    fn known(&mut self, life: u64) -> &mut Known {
        self.0.get_mut(&life).expect("every life has begun")
    }

    /// A life has claimed the pid.
    pub fn claims(&mut self, life: u64) {
        self.known(life).claims = true;
    }

    /// A life has said that it serves.
    pub fn serves(&mut self, life: u64) {
        self.known(life).serves = true;
    }

    /// Another server has taken in what a life has told.
    pub fn heard(&mut self, life: u64, by: usize, ceiling: u64) {
        let told = self.known(life).told.entry(by).or_default();
        *told = ceiling.max(*told);
    }

    /// Another server has confirmed the claim of a life.
    pub fn confirmed(&mut self, life: u64, by: usize) {
        let others = self.0.iter().filter(|(other, _)| **other != life);
        let heard = others
            .filter_map(|(other, known)| Some((*other, *known.told.get(&by)?)))
            .collect();
        self.known(life).confirmed.entry(by).or_insert(heard);
    }

    /// A server may have lost what it had heard.
    pub fn forget(&mut self, by: usize) {
        for known in self.0.values_mut() {
            known.told.remove(&by);
        }
    }

    /// The servers that have confirmed the claim of a life.
    pub fn voters(&self, life: u64) -> BTreeSet<usize> {
        self.0[&life].confirmed.keys().copied().collect()
    }

    /// Whether a server has heard a life, and has not lost that.
    pub fn has_heard(&self, life: u64, by: usize) -> bool {
        self.0[&life].told.contains_key(&by)
    }

    /// Whether a life may have claimed the pid somewhere and has never said that it serves. Such a claim stays until an
    /// operator has it forgotten.
    pub fn has_open_claim(&self) -> bool {
        self.0.values().any(|known| !known.serves)
    }

    /// Whether a life on another server was accepted, or has said that it serves.
    pub fn has_other(&self, server: usize) -> bool {
        let is_other = |known: &Known| known.server != server;
        let counts = |known: &Known| known.serves || known.claims;
        self.0
            .values()
            .any(|known| is_other(known) && counts(known))
    }

    /// A life hands out a sequence that an earlier one had handed out.
    ///
    /// # Errors
    /// This must not be. The server with this number has accepted it, although it knew better.
    pub fn judge(&self, life: u64, earlier: u64, sequence: u64) -> Result<Cause, usize> {
        let confirmed = &self.0[&life].confirmed;
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
