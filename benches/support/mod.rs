//! What the benchmarks share: servers that are started and measured, and a client in lock-step.
//!
//! `mod support;` in a benchmark brings it in; its parts are used by some and not by others.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "each benchmark uses its own part, a panic is the report, and measuring is what the clock is for"
)]

pub mod lockstep;
pub mod program;
