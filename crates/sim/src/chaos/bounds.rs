//! How much a server may log and save, whatever the others do.

use std::time::Duration;

use ipseity::limits::{LINE_KINDS, LINES_PER_KIND_MAX, LINES_PER_PEER_MAX, LINES_SPAN};
use ipseity_core::limits::{
    CLAIM_SAVE_BURST, CLAIM_SAVE_RATE_PER_SECOND, SAVE_BURST, SAVE_RATE_PER_SECOND,
};

/// Lines that a server writes about itself in one life: that it joins, that a peer objects, that it stops, and
/// how much of the sequence is used up.
const OWN_LINES_MAX: u64 = 20;

/// Lines that are logged once in a minute at most: that all places are taken, that an address has too many connections,
/// and that somebody is not believed to be a peer.
const ONCE_A_MINUTE: u64 = 3;

/// Saves that belong to a stop. A stop waits for at most three writes, one after the other: a save or a raise
/// that was under way, a save, and the exact sequence. News that comes during each write is saved after it,
/// and then once more.
const LAST_SAVES: u64 = 4;

/// How many lines a server may log in a life of this length, with names that lead to this many addresses.
pub fn lines_max(named: usize, age: Duration) -> u64 {
    // At the end of a minute, one line for each kind says how many lines were left out.
    let minutes = age.as_secs() / LINES_SPAN.as_secs() + 1;
    let of_a_kind =
        u64::from(LINES_PER_KIND_MAX) + named as u64 * u64::from(LINES_PER_PEER_MAX) + 1;
    OWN_LINES_MAX + minutes * (LINE_KINDS as u64 * of_a_kind + ONCE_A_MINUTE)
}

/// How often a server may save what it remembers of its peers in a life of this length.
pub fn saves_max(age: Duration) -> u64 {
    let seconds = age.as_secs();
    let of_claims = CLAIM_SAVE_BURST + CLAIM_SAVE_RATE_PER_SECOND * seconds;
    SAVE_BURST + SAVE_RATE_PER_SECOND * seconds + of_claims + LAST_SAVES
}

/// How much can flow into the budgets of a server in a life of this length. The age is the one by the server's own
/// clock, to the nanosecond: at the rates of most seeds a millisecond is worth millions of sequences.
pub fn filled_max(rate_per_second: u64, age: Duration) -> u64 {
    let filled = age.as_nanos() * u128::from(rate_per_second) / 1_000_000_000;
    u64::try_from(filled).unwrap_or(u64::MAX)
}
