//! See `crates/sim/src/properties/slots.rs`.

#![no_main]

use ipseity_sim::properties::slots;

libfuzzer_sys::fuzz_target!(|input: &[u8]| slots::check(input));
