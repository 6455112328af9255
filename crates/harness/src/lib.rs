//! Tests of real processes: servers and clients are started, killed, frozen and cut off, disks fail, and fake
//! servers misbehave.
//!
//! - [`programs`]: where the programs under test are, and where the repository is.
//! - [`server`]: `ipseity` as a process.
//! - [`unheard`]: the same, but the test decides where the log goes.
//! - [`program`]: `ipseity-cli` as a process, and how it ended.
//! - [`command`]: runs the commands of the machine that a test needs.
//! - [`page`]: the fenced blocks of a page of docs/.
//! - [`fake`]: a server made of threads, which answers like Ipseity or follows a script.
//! - [`pki`]: a CA and certificates for those who speak TLS, with any dates.
//! - [`stand_in`]: servers of other kinds, made of threads.
//! - [`measured`], [`lockstep`]: for benchmarks: a server that is measured from outside, and a client with the same
//!   load in every run.
//! - [`etcd`]: a real etcd, with one member or several.
//! - [`nobody`]: an address where nothing listens.
//! - [`port`]: ports that nobody else gets.
//! - [`silent`]: an address where connecting takes for ever.
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
pub mod etcd;
pub mod failing;
pub mod fake;
pub mod hosts;
pub mod lockstep;
pub mod measured;
pub mod nemesis;
pub mod nobody;
pub mod page;
pub mod pki;
pub mod port;
pub mod program;
pub mod programs;
pub mod server;
pub mod silent;
pub mod stand_in;
pub mod unheard;
