//! How far others let a server go. An advance above the durable ceiling waits alone: until it is durable, it
//! raises the server no further, and it is not absorbed.

use std::collections::BTreeSet;

/// See the [module](self).
#[derive(Debug, Default, Clone)]
pub struct Advances {
    /// Nothing raised the server above this, apart from requests for identities.
    base: u64,
    /// Sequences that were told to the server and are not durable yet.
    above: BTreeSet<u64>,
    /// The highest sequence that it has absorbed from peers, as far as this can be seen from outside.
    absorbed: u64,
    /// Sequences that count as absorbed once they are durable and the server knows it.
    heard: BTreeSet<u64>,
}

impl Advances {
    /// The server begins another life, at `start`.
    pub fn begin(&self, start: u64) -> Advances {
        Advances {
            base: self.base.max(start),
            above: self.above.clone(),
            absorbed: start,
            heard: BTreeSet::new(),
        }
    }

    /// Somebody lets the server go on above this sequence.
    pub fn say(&mut self, sequence: u64) {
        if sequence > self.base {
            self.above.insert(sequence);
        }
    }

    /// How far the server can have been raised while this much is durable, apart from requests for identities.
    pub fn base(&mut self, durable: u64) -> u64 {
        self.base = take_up_to(&mut self.above, durable).map_or(self.base, |it| it.max(self.base));
        self.base
    }

    /// The server has taken in the sequence of a peer.
    pub fn absorb(&mut self, sequence: u64) {
        if sequence > self.absorbed {
            self.heard.insert(sequence);
        }
    }

    /// A turn is over and everything in it was handled. The server knows that this much is durable.
    pub fn settle(&mut self, durable: u64) {
        let heard = take_up_to(&mut self.heard, durable);
        self.absorbed = heard.map_or(self.absorbed, |it| it.max(self.absorbed));
    }

    /// The disk has failed: nothing that waits is absorbed any more.
    pub fn give_up(&mut self) {
        self.heard.clear();
    }

    /// The highest sequence that it has absorbed.
    pub fn absorbed(&self) -> u64 {
        self.absorbed
    }

    /// Whether anything waits to be absorbed.
    pub fn waits(&self) -> bool {
        !self.heard.is_empty()
    }
}

/// Takes everything up to `most` out of the set, and returns the highest.
fn take_up_to(set: &mut BTreeSet<u64>, most: u64) -> Option<u64> {
    let highest = set.range(..=most).next_back().copied()?;
    *set = set.split_off(&(highest + 1));
    Some(highest)
}
