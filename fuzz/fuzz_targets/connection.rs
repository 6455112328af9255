//! See `crates/sim/src/properties/connection.rs`.

#![no_main]

use ipseity_sim::properties::connection;

libfuzzer_sys::fuzz_target!(|input: &[u8]| connection::check(input));
