//! The clock. The one file that reads it.
#![allow(
    clippy::disallowed_methods,
    reason = "the ban is for the server; here somebody waits, looks at a clock, or dates a certificate"
)]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

use crate::failure::Failure;

/// The time in seconds since 1970.
pub fn now() -> Result<u64, Failure> {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Ok(since.as_secs()),
        Err(_) => Err(Failure::Failed(
            "the clock of this machine is before 1970, so no certificate can be dated: set it"
                .to_owned(),
        )),
    }
}

/// For the time that passes.
pub fn stopwatch() -> Instant {
    Instant::now()
}

/// The date and the time of day in UTC, as RFC 3339 has it: `2026-11-29T04:05:06Z`.
pub fn stamp() -> String {
    let now = OffsetDateTime::from(SystemTime::now());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    )
}
