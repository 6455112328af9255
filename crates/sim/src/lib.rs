//! Simulated networks, disks and clusters: whole servers in virtual time, many faults, and a judge that reads
//! every byte the servers write.
//!
//! - [`config`]: the one place where tests make an actor's configuration.
//! - [`world`]: servers, clients, links and disks in virtual time.
//! - [`chaos`]: seeded faults, plans and the judge.
//! - [`checker`]: checks the identities that were handed out against the promises.
//! - [`etcd`]: a simulated etcd, and lives that share its pids.
//! - [`goldens`]: every message as a value and as its bytes, and every malformed input.
//! - [`pki`]: a CA and certificates.
//! - [`properties`]: what is always true, whatever bytes a stranger sends, writes or types.
//! - [`study`]: how soon many servers agree, and what it costs.

#![allow(
    missing_docs,
    clippy::disallowed_macros,
    clippy::new_without_default,
    clippy::result_large_err,
    clippy::unwrap_used,
    reason = "this crate is part of the tests: they print, a panic is the report, and only tests read it"
)]

pub mod chaos;
pub mod checker;
pub mod config;
pub mod etcd;
pub mod goldens;
pub mod pki;
pub mod properties;
pub mod study;
pub mod world;
