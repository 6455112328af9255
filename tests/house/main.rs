//! The house: what must be true of the files of the repository.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    reason = "a panic is the report, and tests print"
)]

mod pages; // the pages show the flags, bounds, commands and log lines that there are
mod tidy; // rooms, arrows, clocks, sizes, planted bugs
