//! Properties that are true for any bytes that a stranger may send, write or type. Each file has one function,
//! `check`, that takes an input and panics where a property is broken. `tests/core/strangers.rs` calls it with
//! inputs that proptest makes up, and the targets in `fuzz/` with inputs of the fuzzer.

pub mod client;
pub mod command_line;
pub mod connection;
pub mod frames;
pub mod http;
mod input;
pub mod sealed;
mod seeds;
pub mod slots;
mod strategy;
mod streams;

pub use seeds::{Seeds, seeds};
pub use strategy::bytes_for;

use ipseity_core::text::is_plain;

/// One line, in which nothing moves the cursor of a terminal.
fn is_a_line(text: &str) {
    assert!(!text.is_empty());
    assert!(text.chars().all(is_plain), "{text:?}");
}
