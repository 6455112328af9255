//! The conformance kit: it holds every client library to the rules of docs/clients.md. conformance/README.md is its
//! manual.
//!
//! - [`message`]: messages as JSON and as bytes.
//! - [`vectors`]: what stands in `conformance/vectors`.

#![allow(
    missing_docs,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "this crate is a test: it prints, and reads the clock, and a panic is a report"
)]

pub mod message;
pub mod vectors;
