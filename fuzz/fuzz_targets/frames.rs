//! See `tests/properties/frames.rs`.

#![no_main]

use ipseity_fuzz::properties::frames;

libfuzzer_sys::fuzz_target!(|input: &[u8]| frames::check(input));
