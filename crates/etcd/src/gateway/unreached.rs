//! Failures before a request was sent: [`NotReached`].

use std::fmt;

/// Why a request was not sent, inside of an error of ureq.
#[derive(Debug)]
pub struct NotReached(pub String);

impl fmt::Display for NotReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotReached {}
