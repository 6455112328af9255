//! Goes through all states, the nearest first, so that what it finds is a shortest counterexample.

use std::{
    collections::HashSet,
    fmt::Write,
    hash::{BuildHasher, BuildHasherDefault, Hasher},
};

use crate::{
    events::{Event, Events},
    properties::{self, Fault},
    rules::Model,
    state::State,
    steps::{self, Step},
};

/// What a search has found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// How many different states it has seen. Peers in another order are no other state.
    pub(crate) states: usize,
    /// How many steps the farthest is away.
    pub(crate) depth: usize,
    /// Whether there are no others.
    pub(crate) is_complete: bool,
    /// The first fault, and the steps that lead to it.
    pub(crate) fault: Option<(Fault, Vec<Step>)>,
    /// What has happened.
    pub(crate) events: Events,
}

/// A state that is to be searched, and the place of the way to it.
type Place = (State, u32);

/// There is no way to the origin.
const ORIGIN: u32 = u32::MAX;

/// Searches until a fault is found, or all was seen, or this many states were.
pub(crate) fn search(model: &Model, states_max: usize) -> Found {
    let mut seen = HashSet::<u64, BuildHasherDefault<Same>>::default();
    // How each state was reached: from which one, and by which step.
    let mut ways: Vec<(u32, Step)> = Vec::new();
    let mut found = Found {
        states: 0,
        depth: 0,
        is_complete: false,
        fault: None,
        events: Events::default(),
    };
    let mut now: Vec<Place> = vec![(steps::origin(model), ORIGIN)];
    let mut next = Vec::new();
    let mut choices = Vec::new();
    while !now.is_empty() {
        for (state, place) in &now {
            steps::steps(state, model, &mut choices);
            for step in &choices {
                let mut after = *state;
                steps::take(&mut after, model, *step);
                found.events.add(std::mem::take(&mut after.events));
                if !seen.insert(fingerprint(&after)) {
                    continue;
                }
                ways.push((*place, *step));
                if after.fault.is_none() {
                    properties::judge_progress(&mut after, model);
                }
                let here = ways.len() as u32 - 1;
                if let Some(fault) = after.fault {
                    found.fault = Some((fault, way_to(&ways, here)));
                    found.states = seen.len();
                    return found;
                }
                next.push((after, here));
            }
            if seen.len() >= states_max {
                found.states = seen.len();
                return found;
            }
        }
        found.depth += 1;
        now.clear();
        std::mem::swap(&mut now, &mut next);
    }
    found.states = seen.len();
    found.is_complete = true;
    found
}

fn way_to(ways: &[(u32, Step)], place: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = place;
    while at != ORIGIN {
        let (from, step) = ways[at as usize];
        steps.push(step);
        at = from;
    }
    steps.reverse();
    steps
}

/// Takes steps by lot, this many times from the beginning, and sees whether there is a fault. What it finds is not the
/// shortest, but it gets farther than a search.
pub(crate) fn wander(model: &Model, walks: usize, steps_max: usize, seed: u64) -> Found {
    let mut lots = seed | 1;
    let mut draw = |below: usize| {
        lots ^= lots << 13;
        lots ^= lots >> 7;
        lots ^= lots << 17;
        (lots >> 33) as usize % below
    };
    let mut found = Found {
        states: 0,
        depth: steps_max,
        is_complete: false,
        fault: None,
        events: Events::default(),
    };
    let mut choices = Vec::new();
    for _ in 0..walks {
        let mut state = steps::origin(model);
        let mut way = Vec::new();
        for _ in 0..2 * steps_max {
            steps::steps(&state, model, &mut choices);
            if choices.is_empty() {
                break;
            }
            let step = choices[draw(choices.len())];
            if is_an_end(step) && draw(6) > 0 {
                // They are always possible, and too many of them end all that is interesting.
                continue;
            }
            let mut after = state;
            steps::take(&mut after, model, step);
            found.events.add(std::mem::take(&mut after.events));
            if after == state {
                continue;
            }
            state = after;
            way.push(step);
            found.states += 1;
            properties::judge_progress(&mut state, model);
            if let Some(fault) = state.fault {
                found.fault = Some((fault, way));
                return found;
            }
        }
    }
    found
}

fn is_an_end(step: Step) -> bool {
    matches!(
        step,
        Step::Crashes { .. }
            | Step::Stops { .. }
            | Step::PeerCrashes { .. }
            | Step::PeerForgets { .. }
    )
}

impl Found {
    /// All of it, for people.
    pub(crate) fn tell(&self) -> String {
        let mut text = format!("{} states, {} steps deep", self.states, self.depth);
        if self.is_complete {
            text.push_str(", and no others");
        }
        let never = Event::ALL.iter().filter(|event| !self.events.has(**event));
        let never: Vec<&Event> = never.collect();
        if !never.is_empty() {
            let _ = write!(text, "; never: {never:?}");
        }
        if let Some((fault, steps)) = &self.fault {
            let _ = write!(text, "\n{fault:?}:");
            for step in steps {
                let _ = write!(text, "\n  {step:?}");
            }
        }
        text
    }
}

/// 64 bits that stand for a state. Two of a hundred million states share theirs once in 3,000 searches.
fn fingerprint(state: &State) -> u64 {
    let mut ordered = *state;
    ordered.peers.sort_unstable();
    BuildHasherDefault::<Mixed>::default().hash_one(ordered)
}

/// A quick hash of many small fields: eight of them at a time.
#[derive(Default)]
struct Mixed {
    hash: u64,
    word: u64,
    bytes: u8,
}

impl Mixed {
    fn mix(&mut self, word: u64) {
        let mixed = (self.hash ^ word.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash = mixed ^ (mixed >> 29);
    }
}

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.word = self.word << 8 | u64::from(byte);
        self.bytes += 1;
        if self.bytes == 8 {
            self.mix(self.word);
            self.word = 0;
            self.bytes = 0;
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    // The number of a variant, and the length of an array.
    fn write_isize(&mut self, small: isize) {
        self.write_u8(small as u8);
    }

    fn write_usize(&mut self, small: usize) {
        self.write_u8(small as u8);
    }

    fn finish(&self) -> u64 {
        let last = (self.hash ^ self.word.wrapping_add(1)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let mixed = (last ^ (last >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ (mixed >> 32)
    }
}

/// A fingerprint is its own hash.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("fingerprints are u64");
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
