//! See `crates/sim/src/properties/command_line.rs`.

#![no_main]

use ipseity_sim::properties::command_line;

libfuzzer_sys::fuzz_target!(|input: &[u8]| command_line::check(input));
