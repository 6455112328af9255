//! How a server does, for monitors: a status as JSON and as metrics for Prometheus, and the answers to health checks.
//!
//! Everything here is made from what a server says of itself. No clock is read, and nothing is opened.

mod health;
mod json;
mod metrics;
mod names;
#[cfg(any(test, feature = "sample"))]
pub mod sample;
mod text;

pub use health::{Health, live, ready};
pub use json::status_json;
pub use metrics::metrics_text;
pub use names::{Kind, METRICS, Metric};

use ipseity_core::words::{PeerStatus, Status};

/// How many sequences the peer is behind a server that has come to `sequence`.
pub fn lag(sequence: u64, peer: &PeerStatus) -> u64 {
    sequence.saturating_sub(peer.sequence)
}

/// How many connections are open that take one of the `connections_max` places, peers included. Those by HTTP have places of
/// their own.
pub fn framed_connections(status: &Status) -> u64 {
    let codecs = &status.vitals.codecs;
    match codecs.iter().find(|codec| codec.name == "frames") {
        Some(frames) => frames.connections.sum(),
        // Nothing is said of codecs, so there is one.
        None => u64::from(status.connections),
    }
}
