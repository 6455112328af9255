//! Finds out which commit is built, for `--version` and the metrics.
//!
//! A packager says it with `IPSEITY_COMMIT` and, if wanted, `IPSEITY_COMMIT_DATE`. If `IPSEITY_COMMIT` is set and empty, no
//! commit is shown. Otherwise a release build asks git. Where there is no git, or these sources are not what its
//! repository is about (a tarball of crates.io, an archive, a copy in another repository), no commit is shown.
//!
//! A debug build does not ask git, because everything would then be compiled again after each commit. Whether the tree had
//! other changes is not said either: that would need a look at every file before each build.
#![allow(
    clippy::disallowed_macros,
    reason = "cargo reads standard output, and a build that cannot write to it may fail"
)]

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, exit},
};

/// As many digits of a commit as are shown.
const DIGITS: usize = 12;

/// The least digits that name a commit.
const DIGITS_MIN: usize = 7;

fn main() {
    for variable in ["IPSEITY_COMMIT", "IPSEITY_COMMIT_DATE"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    // This also means that the script is not run again for every other file that changes.
    println!("cargo::rerun-if-changed=build.rs");
    let found = match env::var("IPSEITY_COMMIT") {
        Ok(commit) => given(commit),
        Err(_) if env::var("PROFILE").as_deref() == Ok("release") => asked(),
        Err(_) => None,
    };
    if let Some((commit, date)) = found {
        println!("cargo::rustc-env=IPSEITY_BUILT_COMMIT={commit}");
        println!("cargo::rustc-env=IPSEITY_BUILT_DATE={date}");
    }
}

/// What the packager says.
fn given(commit: String) -> Option<(String, String)> {
    if commit.is_empty() {
        return None;
    }
    if commit.len() < DIGITS_MIN || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        stop(
            "IPSEITY_COMMIT",
            &commit,
            "the id of a commit, at least 7 of its digits",
        );
    }
    let date = env::var("IPSEITY_COMMIT_DATE").unwrap_or_default();
    let is_date = date.len() == 10
        && date.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !date.is_empty() && !is_date {
        stop("IPSEITY_COMMIT_DATE", &date, "a date such as 2026-11-28");
    }
    Some((short(&commit), date))
}

/// What git says, and what it would say something else after.
fn asked() -> Option<(String, String)> {
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    // Sources that were copied into another repository are not of its commit.
    let top = PathBuf::from(git(&folder, &["rev-parse", "--show-toplevel"])?);
    let own = folder.parent()?.parent()?.canonicalize().ok()?;
    if top.canonicalize().ok()? != own || git(&folder, &["ls-files", "build.rs"])?.is_empty() {
        return None;
    }
    // `HEAD` changes at a checkout, and its log at each commit too. A repository without that log is rare; then a new
    // commit is seen where its branch has a file. In a worktree all of this is elsewhere than in `.git`.
    let branch = git(&folder, &["rev-parse", "--symbolic-full-name", "HEAD"])?;
    for name in ["HEAD", "logs/HEAD", &branch] {
        let path = folder.join(git(&folder, &["rev-parse", "--git-path", name])?);
        // A path that is not there would have everything built again each time.
        if path.is_file() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    // The date of the commit in UTC, so that every build of it says the same.
    let said = git(
        &folder,
        &[
            "log",
            "-1",
            "--no-show-signature",
            "--date=format-local:%Y-%m-%d",
            "--format=%H %cd",
        ],
    )?;
    let (commit, date) = said.split_once(' ')?;
    Some((short(commit), date.to_owned()))
}

fn short(commit: &str) -> String {
    commit.chars().take(DIGITS).collect()
}

/// What git prints, without the end of the line; `None` if it cannot be run or fails.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .env("TZ", "UTC")
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim_end().to_owned())
}

/// Ends the build: a commit that is wrong is worse than none.
fn stop(variable: &str, value: &str, expected: &str) -> ! {
    println!("cargo::error={variable} {value:?}: expected {expected}");
    exit(1)
}
