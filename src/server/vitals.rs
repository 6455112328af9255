//! Counting what the loop does, always. Nothing depends on a count: no code can read one but the status.
//!
//! Nearly all entries are readinesses and identityRequests. A readiness costs one addition here, identityRequests of one
//! connection that follow each other cost one together, and so does a turn. Everything else is counted out of the way.

use ipseity_core::{
    time::Instant,
    words::{EntryKind, Histogram},
};

use crate::{
    limits::{TURN_SAMPLE, TURN_TIMES_US},
    mailbox::{Entry, Readiness},
};

/// The counts of the loop.
#[derive(Debug)]
pub(super) struct Vitals {
    /// Turns until the next one that is measured.
    until_sample: u32,
    /// Turns before those.
    turns: u64,
    mailbox_max: usize,
    /// By the bits of the readiness.
    ready: [u64; Readiness::COUNT],
    identity_requests: u64,
    /// All other entries, by their kinds.
    others: [u64; EntryKind::ALL.len()],
    turn_times: Histogram,
}

impl Vitals {
    pub(super) fn new() -> Vitals {
        Vitals {
            until_sample: TURN_SAMPLE,
            turns: 0,
            mailbox_max: 0,
            ready: [0; Readiness::COUNT],
            identity_requests: 0,
            others: [0; EntryKind::ALL.len()],
            turn_times: Histogram::new(&TURN_TIMES_US),
        }
    }

    /// A turn begins to handle the mailbox, in which so many entries wait.
    #[inline(always)]
    pub(super) fn turn_begins(&mut self, mailbox: usize) {
        if mailbox > self.mailbox_max {
            self.raise_mailbox_max(mailbox);
        }
    }

    #[cold]
    #[inline(never)]
    fn raise_mailbox_max(&mut self, mailbox: usize) {
        self.mailbox_max = mailbox;
    }

    /// A turn is over. Returns whether it is one of those that are measured: see [`measured`](Self::measured).
    #[inline(always)]
    pub(super) fn turn_ends(&mut self) -> bool {
        self.until_sample -= 1;
        self.until_sample == 0
    }

    /// The turn that is over began and ended at these moments.
    #[cold]
    #[inline(never)]
    pub(super) fn measured(&mut self, begun: Instant, ended: Instant) {
        self.until_sample = TURN_SAMPLE;
        self.turns += u64::from(TURN_SAMPLE);
        self.turn_times.record(ended.since(begun));
    }

    /// A readiness is handled.
    #[inline(always)]
    pub(super) fn ready(&mut self, readiness: Readiness) {
        self.ready[readiness.bits()] += 1;
    }

    /// So many identityRequests were handled.
    #[inline(always)]
    pub(super) fn identity_requests(&mut self, handled: usize) {
        self.identity_requests += handled as u64;
    }

    /// Any other entry is handled.
    pub(super) fn other(&mut self, entry: &Entry) {
        self.others[entry.kind() as usize] += 1;
    }

    /// Turns since the start.
    pub(super) fn turns(&self) -> u64 {
        self.turns + u64::from(TURN_SAMPLE - self.until_sample)
    }

    /// The most entries that have stood in the mailbox when a turn began.
    pub(super) fn mailbox_max(&self) -> usize {
        self.mailbox_max
    }

    /// How long turns took.
    pub(super) fn turn_times(&self) -> &Histogram {
        &self.turn_times
    }

    /// How many entries of each kind were handled, without kinds of which there was none.
    pub(super) fn events(&self) -> Vec<(u8, u64)> {
        let mut all = self.others;
        all[EntryKind::IdentityRequest as usize] = self.identity_requests;
        for (bits, count) in self.ready.iter().enumerate() {
            all[Readiness::of_bits(bits).kind() as usize] += count;
        }
        let counted = (0u8..).zip(all).filter(|(_, count)| *count > 0);
        counted.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ipseity_core::actor::Event;

    use super::*;

    #[test]
    fn each_entry_counts_under_its_kind() {
        let mut vitals = Vitals::new();
        assert_eq!(vitals.events(), []);
        vitals.identity_requests(3);
        vitals.ready(Readiness::READABLE);
        vitals.ready(Readiness::new(true, false, true));
        vitals.ready(Readiness::new(false, true, false));
        vitals.ready(Readiness::new(true, true, true));
        vitals.other(&Entry::Signal);
        vitals.other(&Entry::Event(Event::SyncTimeout));
        let events = vitals.events();
        let named: Vec<_> = events
            .iter()
            .map(|(kind, count)| (EntryKind::name_of(*kind), *count))
            .collect();
        let expected = [
            ("identityRequest", 3),
            ("syncTimeout", 1),
            ("readable", 2),
            ("writable", 1),
            ("readableWritable", 1),
            ("signal", 1),
        ];
        assert_eq!(
            named,
            expected.map(|(name, count)| (name.to_owned(), count))
        );
    }

    #[test]
    fn every_turn_counts_and_some_are_measured() {
        let mut vitals = Vitals::new();
        let mut measured = 0;
        for turn in 1..=3 * u64::from(TURN_SAMPLE) + 1 {
            vitals.turn_begins(turn as usize % 50);
            if vitals.turn_ends() {
                measured += 1;
                let ended = Instant::START.after(Duration::from_micros(measured * 70));
                vitals.measured(Instant::START, ended);
            }
            assert_eq!(vitals.turns(), turn);
        }
        assert_eq!(vitals.turn_times().count(), measured);
        assert_eq!((measured, vitals.mailbox_max()), (3, 49));
        assert_eq!(vitals.turn_times().sum_us, 70 + 140 + 210);
    }
}
