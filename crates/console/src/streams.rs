//! What the programs say on standard error, and how a stream that takes no more ends a write.
//!
//! `println!` and its kin panic when the stream cannot be written, and a program that was built to abort then
//! ends with a core dump in the place of its exit code. So nobody uses them (see clippy.toml).

use std::{
    fmt,
    io::{self, Write},
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::consts::SIGXFSZ;

use crate::plain;

/// Writes `PROGRAM: TEXT` as one line to standard error, whatever the text holds. It never panics: where nobody can be told, nobody can be
/// told that either. It waits as long as the stream does, so it is for a program that has nothing else to do.
pub fn complain(program: &str, text: impl fmt::Display) {
    // One write, so that the lines of two programs do not mix.
    let _ = io::stderr().write_all(format!("{program}: {}\n", plain(&text.to_string())).as_bytes());
}

/// From now on a write past the limit of a file's size (`ulimit -f`) fails with an error, as on a full disk. By
/// default the signal SIGXFSZ would end the process.
///
/// # Errors
/// The system takes no handler for the signal.
pub fn outlive_file_size_limit() -> io::Result<()> {
    // What counts is that there is a handler. Nobody asks whether it was called.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(|_| ())
}
