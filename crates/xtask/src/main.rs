//! Chores of this repository that need a program of their own. It uses only std, so it builds in a moment.
//!
//! ```text
//! cargo run -p xtask -- hunt [ARGUMENTS OF cargo test]
//! ```

mod hunt;

use std::{
    env,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

const USAGE: &str = "usage: cargo run -p xtask -- hunt [ARGUMENTS OF cargo test]";

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let done = match arguments.next().as_deref() {
        Some("hunt") => hunt::run(top(), &arguments.collect::<Vec<_>>()),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            // If this cannot be printed, there is still the exit code.
            let _ = writeln!(io::stderr(), "xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The root folder of the repository, two folders above this crate.
fn top() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}
