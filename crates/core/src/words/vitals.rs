//! The vitals of a server: what its loop, its disk and its connections do, for those who watch it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Grant, Grants,
    fields::{list, text},
};

/// What the loop, the disk and the connections of a server do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VitalsStatus {
    /// Turns of the loop since the start.
    pub turns: u64,
    /// How long turns took, without the wait for something to happen. Only some of them are measured.
    pub turn_times: Histogram,
    /// Entries that wait in the mailbox now.
    pub mailbox: u64,
    /// The most entries that have stood in the mailbox at the beginning of a turn.
    pub mailbox_max: u64,
    /// Entries handled since the start: the number of each [`EntryKind`](super::EntryKind), and how many. Kinds of which there
    /// was none are left out.
    #[serde(deserialize_with = "list")]
    pub events: Vec<(u8, u64)>,
    /// What each codec has done.
    #[serde(deserialize_with = "list")]
    pub codecs: Vec<CodecStatus>,
    /// Sequences that were used in a second recently, by clients and by what was absorbed.
    pub demand_per_second: u64,
    /// How the writes of the state directory went.
    pub writes: WriteTimes,
    /// How often each peer has refused this server or was refused, since the start: its place in the list of the peers,
    /// and how often. Peers that never did are left out.
    #[serde(deserialize_with = "list")]
    pub refusals: Vec<(u16, u64)>,
}

impl VitalsStatus {
    /// How often the peer at this place of the list has refused this server or was refused.
    pub fn refusals_of(&self, place: u16) -> u64 {
        // They stand in the order of the list. If somebody sends them in another order, some may not be found.
        let found = self.refusals.binary_search_by_key(&place, |(at, _)| *at);
        found.map_or(0, |found| self.refusals[found].1)
    }
}

/// How the writes of the state directory went, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteTimes {
    /// How long they took, also those that have failed.
    pub times: Histogram,
    /// How many have failed.
    pub failed: u64,
}

impl WriteTimes {
    /// None so far. `bounds` are those of the [`Histogram`].
    pub fn new(bounds: &[u64]) -> WriteTimes {
        WriteTimes {
            times: Histogram::new(bounds),
            failed: 0,
        }
    }

    /// Counts one.
    pub fn record(&mut self, took: Duration, failed: bool) {
        self.times.record(took);
        self.failed += u64::from(failed);
    }
}

/// What one codec has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodecStatus {
    /// What it is called, such as `frames`.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// Identity requests answered with identities.
    pub identity_requests: u64,
    /// Identity requests answered with an error.
    pub identity_requests_refused: u64,
    /// Identities handed out.
    pub identities: u64,
    /// Connections that were accepted and are open now, by what they may do.
    pub connections: GrantCounts,
}

/// A count for each grant. A connection counts for the highest one that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantCounts {
    /// Those that may do nothing, or nothing yet.
    pub none: u32,
    /// Those that take identities at most.
    pub take: u32,
    /// Those that look at most.
    pub look: u32,
    /// Those that synchronize at most.
    pub sync: u32,
    /// Those that operate.
    pub operate: u32,
}

impl GrantCounts {
    /// The count for connections with these grants.
    pub fn of(&mut self, grants: Grants) -> &mut u32 {
        if grants.has(Grant::Operate) {
            &mut self.operate
        } else if grants.has(Grant::Sync) {
            &mut self.sync
        } else if grants.has(Grant::Look) {
            &mut self.look
        } else if grants.has(Grant::Take) {
            &mut self.take
        } else {
            &mut self.none
        }
    }

    /// All of them together.
    pub fn sum(&self) -> u64 {
        self.named()
            .iter()
            .map(|(_, count)| u64::from(*count))
            .sum()
    }

    /// Each count with the name of its grant.
    pub const fn named(&self) -> [(&'static str, u32); 5] {
        [
            ("none", self.none),
            ("take", self.take),
            ("look", self.look),
            ("sync", self.sync),
            ("operate", self.operate),
        ]
    }
}

/// How many times were how long. It says itself where its buckets end, so they may change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// For each bucket the longest time that it takes, in microseconds, and how many are in it. They rise.
    #[serde(deserialize_with = "list")]
    pub buckets: Vec<(u64, u64)>,
    /// How many were longer than the last bucket takes.
    pub above: u64,
    /// All of them together, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    /// An empty one. `bounds` are the longest times of its buckets in microseconds, and rise.
    pub fn new(bounds: &[u64]) -> Histogram {
        debug_assert!(bounds.is_sorted());
        Histogram {
            buckets: bounds.iter().map(|bound| (*bound, 0)).collect(),
            above: 0,
            sum_us: 0,
        }
    }

    /// Counts one.
    pub fn record(&mut self, time: Duration) {
        let us = u64::try_from(time.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
        self.sum_us = self.sum_us.saturating_add(us);
        match self.buckets.iter_mut().find(|(most, _)| us <= *most) {
            Some((_, count)) => *count += 1,
            None => self.above += 1,
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        let counted = |sum: u64, (_, count): &(u64, u64)| sum.saturating_add(*count);
        self.buckets.iter().fold(self.above, counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_in_the_first_bucket_that_takes_it() {
        let mut histogram = Histogram::new(&[10, 100]);
        for nanos in [0, 10_000, 10_001, 100_000, 100_001, u64::MAX] {
            histogram.record(Duration::from_nanos(nanos));
        }
        assert_eq!(histogram.buckets, [(10, 2), (100, 2)]);
        assert_eq!(histogram.above, 2);
        assert_eq!(histogram.count(), 6);
        assert_eq!(
            histogram.sum_us,
            10 + 11 + 100 + 101 + u64::MAX.div_ceil(1000)
        );
        histogram.above = u64::MAX;
        assert_eq!(histogram.count(), u64::MAX, "the network may say anything");
    }

    #[test]
    fn a_connection_counts_for_its_highest_grant() {
        let mut counts = GrantCounts::default();
        let take = Grants::NONE.and(Grant::Take);
        for (grants, times) in [
            (Grants::NONE, 1),
            (take, 2),
            (Grants::EVERYBODY, 3),
            (take.and(Grant::Sync), 4),
            (Grants::OPERATOR, 5),
        ] {
            *counts.of(grants) += times;
        }
        *counts.of(Grants::ALL) += 1;
        assert_eq!(counts.named().map(|(_, count)| count), [1, 2, 3, 4, 6]);
    }
}
