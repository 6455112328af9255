//! See `tests/properties/slots.rs`.

#![no_main]

use ipseity_fuzz::properties::slots;

libfuzzer_sys::fuzz_target!(|input: &[u8]| slots::check(input));
