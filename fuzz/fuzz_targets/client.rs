//! See `tests/properties/client.rs`.

#![no_main]

use ipseity_fuzz::properties::client;

libfuzzer_sys::fuzz_target!(|input: &[u8]| client::check(input));
