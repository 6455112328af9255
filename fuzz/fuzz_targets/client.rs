//! See `crates/sim/src/properties/client.rs`.

#![no_main]

use ipseity_sim::properties::client;

libfuzzer_sys::fuzz_target!(|input: &[u8]| client::check(input));
