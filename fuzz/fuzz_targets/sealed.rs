//! See `crates/sim/src/properties/sealed.rs`.

#![no_main]

use ipseity_sim::properties::sealed;

libfuzzer_sys::fuzz_target!(|input: &[u8]| sealed::check(input));
