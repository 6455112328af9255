//! Writes the man pages and the completions, or with `--check` says which of them are not what they should be.
//!
//! ```text
//! cargo run -p texts [-- --check]
//! ```

use std::{
    env, fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let only_checks = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => return failed("usage: cargo run -p texts [-- --check]"),
    };
    for (path, text) in texts::files() {
        let place = top().join(&path);
        if fs::read_to_string(&place).is_ok_and(|found| found == text) {
            continue;
        }
        if only_checks {
            return failed(&format!(
                "{} is not up to date: cargo run -p texts",
                path.display()
            ));
        }
        let folder = place.parent().unwrap_or(&place);
        if let Err(error) = fs::create_dir_all(folder).and_then(|()| fs::write(&place, text)) {
            return failed(&format!("{}: {error}", path.display()));
        }
    }
    ExitCode::SUCCESS
}

fn failed(text: &str) -> ExitCode {
    // If this cannot be printed, there is still the exit code.
    let _ = writeln!(io::stderr(), "texts: {text}");
    ExitCode::FAILURE
}

/// The root folder of the repository, two folders above this crate.
fn top() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}
