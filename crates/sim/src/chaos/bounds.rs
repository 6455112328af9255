//! How much a server may log and save, whatever the others do.

use std::time::Duration;

use ipseity::limits::{LINE_KINDS, LINES_PER_KIND_MAX, LINES_PER_PEER_MAX, LINES_SPAN};
use ipseity_core::limits::{SAVE_BURST, SAVE_RATE_PER_SECOND};

/// Lines that a server writes of itself in one life: that it joins, that it is objected to, that it stops, and how
/// much of the sequence is used up.
const OWN_LINES_MAX: u64 = 20;

/// Saves that belong to a stop: when it begins and before the last write.
const LAST_SAVES: u64 = 2;

/// Log lines of a server in a life that has lasted so long, at most, with so many peers named to it.
pub fn lines_max(named: usize, age: Duration) -> u64 {
    // A minute is begun with a line, and what was left out in it is told when it is over, in one line for each kind.
    let minutes = age.as_secs() / LINES_SPAN.as_secs() + 1;
    let of_a_kind =
        u64::from(LINES_PER_KIND_MAX) + named as u64 * u64::from(LINES_PER_PEER_MAX) + 1;
    OWN_LINES_MAX + minutes * LINE_KINDS as u64 * of_a_kind
}

/// Saves of what it remembers of its peers in that time, at most.
pub fn saves_max(age: Duration) -> u64 {
    SAVE_BURST + SAVE_RATE_PER_SECOND * age.as_secs() + LAST_SAVES
}
