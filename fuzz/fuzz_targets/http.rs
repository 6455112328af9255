//! See `crates/sim/src/properties/http.rs`.

#![no_main]

use ipseity_sim::properties::http;

libfuzzer_sys::fuzz_target!(|input: &[u8]| http::check(input));
