//! The parts of the server and the client by themselves, in this process. No program is started, so descriptors and
//! locks have one owner. Where there is a network, it is sockets of 127.0.0.1.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a panic is the report, tests print, and waiting is bounded by the clock"
)]

mod actor; // the actor's transitions, one scenario a function
mod actor_operator; // what operators ask of the actor, objections, overrules, refusals
mod actor_store; // a store that fences: doubt, patience, a life that is fenced, and the lives of one pid in such stores
mod actor_told; // advances that wait alone for the disk, and reports
mod baselines; // the servers that the real one is compared with keep the same promise
mod checker; // the checker of histories finds each broken promise
mod client; // the Rust client against servers that fail in every way
mod client_failover; // many calls, servers that fail and come back, threads that share a client
mod client_source; // blocks at hand: order, demand, what is dropped and when, and refills that fail
mod client_tls; // the client by TLS: certificates on both sides, and every way in which a handshake fails
mod display; // events, effects, messages and causes as a trace and the log show them
mod frames; // frames in pieces, wherever the stream is cut
mod golden_bytes; // the bytes of every message, and that docs/protocol.md shows them
mod newcomers; // lives that ask for a pid which another one has or had
mod pids; // the pids in etcd: keys, values, and each procedure by itself
mod state_files; // the bytes of the files in a state directory, of this version and of earlier ones
mod store; // the state directory: what a start finds after stops, crashes, damage and misuse
mod strangers; // bytes from strangers: what is true for every input
mod transcripts; // scenarios of the actor, as texts that a review can compare

use ipseity_core::{
    actor::Effect,
    words::{Message, Told},
};

/// Leaves only the stage and the refusal in what sync messages tell the guard of a peer. The rest has tests of its own.
fn without_told(effects: &mut [Effect]) {
    for effect in effects {
        if let Effect::Send { message, .. } | Effect::Reply { message, .. } = effect
            && let Message::SyncRequest(sync) | Message::SyncReply(sync) = message
        {
            sync.told = Told {
                stage: sync.told.stage,
                refused: sync.told.refused,
                ..Told::default()
            };
        }
    }
}
