//! File descriptors: as many as the connections need, or as many connections as there are descriptors for.

use ipseity_console::raise_open_files;

use crate::limits::{DESCRIPTORS_OTHER, RESERVE_CONNECTIONS_MAX};

/// What the limit of the process came out at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// Client connections that there are descriptors for, at most as many as were asked for.
    pub connections_max: usize,
    /// Descriptors that the process may have.
    pub limit: u64,
}

/// Raises the soft limit of open files (`ulimit -n`) towards what `connections_max` clients and `peers` peers
/// need, as far as the hard limit goes, and says how many clients that leaves room for. The reserve is left
/// out of that number, so that a flood still gets its answer and peers still get in.
pub fn raise_limit(connections_max: usize, peers: usize) -> Descriptors {
    let other = DESCRIPTORS_OTHER + 2 * RESERVE_CONNECTIONS_MAX + peers;
    let limit = raise_open_files((connections_max + other) as u64);
    let room = usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_sub(other)
        .max(1);
    Descriptors {
        connections_max: connections_max.min(room),
        limit,
    }
}
