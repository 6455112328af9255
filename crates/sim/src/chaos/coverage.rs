//! Counts what happened in runs, and how often.

use std::collections::BTreeMap;

use ipseity_core::words::ErrorCode;

use super::{accepted::Cause, breaches::Fate, fault::Fault};

/// What came by HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Heard {
    Identities,
    /// A 503 in place of identities.
    Unavailable,
    Status,
    Scrape,
    Live,
    Ready,
    NotReady,
    /// A malformed request was refused.
    Refused,
    /// A request did not come whole in time.
    Late,
    /// There are too many connections.
    TooMany,
    /// An answer said that the connection ends.
    Closes,
    /// A request was sent in pieces.
    Pieces,
}

impl Heard {
    pub const ALL: [Heard; 12] = [
        Heard::Identities,
        Heard::Unavailable,
        Heard::Status,
        Heard::Scrape,
        Heard::Live,
        Heard::Ready,
        Heard::NotReady,
        Heard::Refused,
        Heard::Late,
        Heard::TooMany,
        Heard::Closes,
        Heard::Pieces,
    ];
}

/// Counts of what happened in runs.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// By [`Fault`].
    pub faults: Vec<u64>,
    /// Error replies that left a server, by their place in [`ErrorCode::ALL`].
    pub codes: Vec<u64>,
    /// What came by HTTP, by [`Heard`].
    pub heard: Vec<u64>,
    /// Entries that were handled, by name; only of runs with a trace.
    pub entries: BTreeMap<String, u64>,
    pub replies: u64,
    pub identities: u64,
    pub lives: u64,
    /// How often a server has taken a pid in etcd that another one had before.
    pub takeovers: u64,
    /// How often a server has ended because another one had its pid.
    pub fenced: u64,
    /// How often a server has ended because it has seen that etcd was restored.
    pub breached: u64,
    pub turns: u64,
    /// The mistakes of operators, by what became of them.
    pub breaches: BTreeMap<Fate, u64>,
    /// How often an identity was handed out again after such a breach, by the reason why that could be.
    pub repeats: BTreeMap<Cause, u64>,
}

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage {
            faults: vec![0; Fault::ALL.len()],
            codes: vec![0; ErrorCode::ALL.len()],
            heard: vec![0; Heard::ALL.len()],
            entries: BTreeMap::new(),
            replies: 0,
            identities: 0,
            lives: 0,
            takeovers: 0,
            fenced: 0,
            breached: 0,
            turns: 0,
            breaches: BTreeMap::new(),
            repeats: BTreeMap::new(),
        }
    }
}

impl Coverage {
    pub fn fault(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    pub fn heard(&mut self, heard: Heard) {
        self.heard[heard as usize] += 1;
    }

    pub fn repeat(&mut self, cause: Cause) {
        *self.repeats.entry(cause).or_default() += 1;
    }

    pub fn fate(&mut self, fate: Fate) {
        *self.breaches.entry(fate).or_default() += 1;
    }

    pub fn code(&mut self, code: u16) {
        let place = ErrorCode::ALL.iter().position(|known| known.get() == code);
        self.codes[place.expect("a server sends only codes that it knows")] += 1;
    }

    pub fn add(&mut self, other: &Coverage) {
        for (sum, count) in self.faults.iter_mut().zip(&other.faults) {
            *sum += count;
        }
        for (sum, count) in self.codes.iter_mut().zip(&other.codes) {
            *sum += count;
        }
        for (sum, count) in self.heard.iter_mut().zip(&other.heard) {
            *sum += count;
        }
        for (name, count) in &other.entries {
            *self.entries.entry(name.clone()).or_default() += count;
        }
        self.replies += other.replies;
        self.identities += other.identities;
        self.lives += other.lives;
        self.takeovers += other.takeovers;
        self.fenced += other.fenced;
        self.breached += other.breached;
        self.turns += other.turns;
        for (fate, count) in &other.breaches {
            *self.breaches.entry(*fate).or_default() += count;
        }
        for (cause, count) in &other.repeats {
            *self.repeats.entry(*cause).or_default() += count;
        }
    }

    /// Counts the entries of a trace.
    pub fn trace(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split(' ');
            let (_serial, _moment) = (words.next(), words.next());
            if let Some(name) = words.next().filter(|name| *name != ">") {
                let name = match name {
                    // The name of the write comes after it.
                    "written" | "writeFailed" | "fenced" => {
                        format!("{name} {}", words.next().unwrap_or_default())
                    }
                    _ => name.to_owned(),
                };
                *self.entries.entry(name).or_default() += 1;
            }
        }
    }
}
