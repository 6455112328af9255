//! Writing to standard error, and to files that have reached their limit.
//!
//! `println!` and the like panic if the stream cannot be written, and a program that is built to abort then ends with a
//! core dump instead of its exit code. So they are not used (see clippy.toml).

use std::{
    fmt,
    io::{self, Write},
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::consts::SIGXFSZ;

use crate::plain;

/// Writes `PROGRAM: TEXT` to standard error, always as one line. It never panics: if the line cannot be written, there is
/// nowhere to report that. It waits as long as the stream does, so only a program that has nothing else to do may use it.
pub fn complain(program: &str, text: impl fmt::Display) {
    // One write, so that the lines of two programs do not mix.
    let _ = io::stderr().write_all(format!("{program}: {}\n", plain(&text.to_string())).as_bytes());
}

/// From now on a write past the limit of a file's size (`ulimit -f`) fails with an error, as on a full disk. By
/// default the signal SIGXFSZ would end the process.
///
/// # Errors
/// The system does not accept a handler for the signal.
pub fn outlive_file_size_limit() -> io::Result<()> {
    // The handler only has to exist. The flag that it sets is not used.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(|_| ())
}
