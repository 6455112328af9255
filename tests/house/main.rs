//! The house: what must be true of the files of the repository.
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod pages; // the pages show the flags, bounds, commands and log lines that there are
mod tidy; // rooms, arrows, clocks, sizes, planted bugs
