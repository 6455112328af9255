//! See `tests/properties/connection.rs`.

#![no_main]

use ipseity_fuzz::properties::connection;

libfuzzer_sys::fuzz_target!(|input: &[u8]| connection::check(input));
