//! The house: what must be true of the files of the repository.
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod tidy; // rooms, arrows, clocks, sizes, planted bugs
