//! Real processes under test: servers and clients that are started, killed, frozen and cut off, disks that fail,
//! and servers that misbehave.
//!
//! - [`programs`]: where the programs under test are, and where the repository is.
//! - [`server`]: `ipseity` as a process.
//! - [`unheard`]: the same, with a log that goes where the test says.
//! - [`program`]: `ipseity-cli` as a process, and how it ended.
//! - [`command`]: the commands of the machine that a test calls.
//! - [`page`]: the fenced blocks of a page of docs/.
//! - [`fake`]: a server made of threads, which answers as Ipseity does, or as a script says.
//! - [`stand_in`]: servers of other kinds, made of threads.
//! - [`measured`], [`lockstep`]: for benchmarks: a server that is measured from outside, and a client whose load is
//!   the same in every run.
//! - [`nobody`]: an address where nothing listens.
//! - [`clients`], [`nemesis`], [`hosts`], [`failing`]: load, faults, network namespaces and disks for
//!   black-box runs.

#![allow(
    missing_docs,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::new_without_default,
    clippy::unwrap_used,
    reason = "this crate is part of the tests: they print, a panic is the report, and only tests read it"
)]

pub mod clients;
pub mod command;
pub mod failing;
pub mod fake;
pub mod hosts;
pub mod lockstep;
pub mod measured;
pub mod nemesis;
pub mod nobody;
pub mod page;
pub mod program;
pub mod programs;
pub mod server;
pub mod stand_in;
pub mod unheard;
