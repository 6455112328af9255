//! File descriptors: as many as the connections need, or as many connections as there are descriptors for.

use std::fmt;

use ipseity_console::raise_open_files;

use crate::limits::{
    DESCRIPTORS_MIN, DESCRIPTORS_OTHER, REMEMBERED_DIALED_MAX, RESERVE_CONNECTIONS_MAX,
};

/// The limit of the process after it was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// Client connections that there are descriptors for, at most as many as were asked for.
    pub connections_max: usize,
    /// Connections by HTTP that there are descriptors for.
    pub http_max: usize,
    /// Descriptors that the process may have.
    pub limit: u64,
}

/// There are too few descriptors to serve even one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFewDescriptors {
    limit: u64,
    least: u64,
}

impl fmt::Display for TooFewDescriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooFewDescriptors { limit, least } = self;
        write!(
            f,
            "this process may have {limit} open files, and needs {least} to serve one client; raise the hard limit \
             (ulimit -Hn, LimitNOFILE=)"
        )
    }
}

impl std::error::Error for TooFewDescriptors {}

/// Raises the soft limit of open files (`ulimit -n`) towards what `connections_max` clients, `http_max` connections by HTTP
/// and connections to `peers` addresses need, as far as the hard limit goes, and says how many that leaves room for. The
/// reserve is left out of those numbers, so that a flood still gets its answer and peers still get in.
///
/// # Errors
/// The limit leaves no room for a single client.
pub fn raise_limit(
    connections_max: usize,
    http_max: usize,
    peers: usize,
) -> Result<Descriptors, TooFewDescriptors> {
    let other = DESCRIPTORS_OTHER + 2 * RESERVE_CONNECTIONS_MAX + REMEMBERED_DIALED_MAX + peers;
    let limit = raise_open_files((connections_max + http_max + other) as u64);
    let least = (DESCRIPTORS_MIN + peers) as u64;
    if limit < least {
        return Err(TooFewDescriptors { limit, least });
    }
    // With few descriptors the reserve has to share them.
    let room = usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_sub(other)
        .max(1);
    // Most of a small room is for clients.
    let http_max = http_max.min(room.div_ceil(4));
    Ok(Descriptors {
        connections_max: connections_max.min(room.saturating_sub(http_max).max(1)),
        http_max,
        limit,
    })
}
