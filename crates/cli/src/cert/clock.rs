//! The clock of `cert`. The one file of it that reads it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::failure::Failure;

/// The time in seconds since 1970.
#[allow(
    clippy::disallowed_methods,
    reason = "the ban is for the server; a certificate says from when to when it is valid"
)]
pub fn now() -> Result<u64, Failure> {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Ok(since.as_secs()),
        Err(_) => Err(Failure::Failed(
            "the clock of this machine is before 1970, so no certificate can be dated: set it"
                .to_owned(),
        )),
    }
}
