//! The conformance kit: it holds every client library to the rules of docs/clients.md. conformance/README.md is its
//! manual.
//!
//! - [`message`]: messages as JSON and as bytes.
//! - [`vectors`]: what stands in `conformance/vectors`; [`exam`] asks an adapter for all of it.
//! - [`clients`], [`adapter`]: the clients, and the program that each of them has for the kit.
//! - [`scenario`]: a scenario as it stands in its file. [`stage`], [`scripted`]: the servers in it, with their [`wire`] and
//!   [`certificates`]. [`names`] with several addresses. [`perform`]: what comes of it. [`compare`]: whether that is what must come.
//! - [`texts`]: what each error says.
//! - [`load`], [`proxy`]: load before real servers that fail.
//! - [`run`], [`table`]: everything, and its results.
//! - [`stand_in`]: a client that tests the kit itself, because it can break each rule.

#![allow(
    missing_docs,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::new_without_default,
    clippy::unwrap_used,
    reason = "this crate is part of the tests: it prints and reads the clock, and a panic is a report"
)]

pub mod adapter;
pub mod certificates;
pub mod clients;
pub mod compare;
pub mod exam;
pub mod load;
pub mod message;
pub mod names;
pub mod perform;
pub mod proxy;
pub mod run;
pub mod scenario;
pub mod scripted;
pub mod stage;
pub mod stand_in;
pub mod table;
pub mod texts;
pub mod vectors;
pub mod wire;
