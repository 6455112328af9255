//! Simulated networks, disks and clusters: whole servers in virtual time, with faults that rain on them and a
//! judge that hears every byte.
//!
//! - [`config`]: the one place where tests make an actor's configuration.
//! - [`world`]: servers, clients, links and disks in virtual time.
//! - [`chaos`]: seeded faults, plans and the judge.
//! - [`checker`]: what was handed out, held to what is promised.
//! - [`goldens`]: every message as a value and as its bytes, and every malformed input.
//! - [`properties`]: what holds of any bytes that a stranger may send, write or type.
//! - [`study`]: how many servers cost what.

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
pub mod goldens;
pub mod properties;
pub mod study;
pub mod world;
