//! Simulations of whole clusters, from seeds: see docs/testing.md and docs/scale.md.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    reason = "a panic is the report, and tests print"
)]

mod pids; // lives that share pids in a simulated etcd, over many seeds
mod planted_bugs; // every bug that is planted in the code is found; only in the copy that xtask makes
mod scale; // how soon many servers agree, and what it costs
mod seeds; // clusters under every fault, over many seeds
