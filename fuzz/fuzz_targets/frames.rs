//! See `crates/sim/src/properties/frames.rs`.

#![no_main]

use ipseity_sim::properties::frames;

libfuzzer_sys::fuzz_target!(|input: &[u8]| frames::check(input));
