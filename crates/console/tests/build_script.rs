//! The build script finds the commit where it can, and says nothing where it cannot.
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// A compiled copy of the build script, beside a folder that looks like this workspace.
struct Copy {
    home: TempDir,
    script: PathBuf,
}

impl Copy {
    fn new() -> Copy {
        let home = TempDir::new().unwrap();
        let script = home.path().join("script");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
        let compiled = Command::new("rustc")
            .args(["--edition", "2024", "-o"])
            .args([&script, &source])
            .status();
        assert!(compiled.unwrap().success());
        let copy = Copy { home, script };
        put_sources(&copy.top());
        copy
    }

    fn top(&self) -> PathBuf {
        self.home.path().join("top")
    }

    fn git(&self, arguments: &[&str]) {
        let done = Command::new("git")
            .arg("-C")
            .arg(self.top())
            .args([
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(arguments)
            .env("GIT_COMMITTER_DATE", "2026-01-31T23:30:00-0100")
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// What the script says about the workspace in `top`.
    fn run(&self, top: &Path, profile: &str, variables: &[(&str, &str)]) -> Output {
        Command::new(&self.script)
            .env_remove("IPSEITY_COMMIT")
            .env_remove("IPSEITY_COMMIT_DATE")
            .env("CARGO_MANIFEST_DIR", top.join("crates/console"))
            .env("PROFILE", profile)
            // A repository above this folder does not count.
            .env("GIT_CEILING_DIRECTORIES", self.home.path())
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    }

    /// The commit and the date, if the script has found them.
    fn found(&self, top: &Path, profile: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let output = self.run(top, profile, variables);
        assert!(output.status.success(), "{output:?}");
        lines(&output, "cargo::rustc-env=IPSEITY_BUILT_")
    }
}

/// Makes what the script looks at of a workspace.
fn put_sources(top: &Path) {
    let folder = top.join("crates/console");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("build.rs"), "").unwrap();
}

fn lines(output: &Output, begin: &str) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix(begin))
        .map(str::to_owned)
        .collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_release_build_asks_git_and_only_about_its_own_sources() {
    let copy = Copy::new();
    let top = copy.top();
    // An archive, without git.
    assert_eq!(copy.found(&top, "release", &[]), NOTHING);
    copy.git(&["init", "--quiet"]);
    copy.git(&["commit", "--quiet", "--allow-empty", "-m", "empty"]);
    // The sources are there, and not of this commit.
    assert_eq!(copy.found(&top, "release", &[]), NOTHING);
    copy.git(&["add", "."]);
    copy.git(&["commit", "--quiet", "-m", "sources"]);
    let found = copy.found(&top, "release", &[]);
    let [commit, date] = &found[..] else {
        panic!("{found:?}");
    };
    let commit = commit.strip_prefix("COMMIT=").unwrap();
    assert_eq!(commit.len(), 12, "{commit}");
    assert!(
        commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{commit}"
    );
    assert_eq!(date, "DATE=2026-02-01", "in UTC");
    assert_eq!(copy.found(&top, "debug", &[]), NOTHING);
    // A worktree, whose `.git` is a file.
    let tree = copy.home.path().join("tree");
    copy.git(&["worktree", "add", "--quiet", tree.to_str().unwrap()]);
    assert!(tree.join(".git").is_file());
    assert_eq!(copy.found(&tree, "release", &[]), found);
    for top in [&top, &tree] {
        let watched = lines(&copy.run(top, "release", &[]), "cargo::rerun-if-changed=");
        assert!(
            watched.iter().any(|path| path.ends_with("/HEAD")),
            "{watched:?}"
        );
        assert!(
            watched.iter().any(|path| path.ends_with("logs/HEAD")),
            "{watched:?}"
        );
        for path in watched {
            // Because of one that is not there, cargo would build everything each time.
            assert!(top.join("crates/console").join(&path).exists(), "{path}");
        }
    }
    // A copy of the sources inside another repository.
    let vendored = top.join("vendor/ipseity");
    put_sources(&vendored);
    copy.git(&["add", "."]);
    copy.git(&["commit", "--quiet", "-m", "a copy"]);
    assert_eq!(copy.found(&vendored, "release", &[]), NOTHING);
}

#[test]
fn a_packager_says_the_commit_or_that_there_is_none() {
    let copy = Copy::new();
    let top = copy.top();
    let id = "9cc9810abc12345678901234567890123456789a";
    for profile in ["debug", "release"] {
        let found = |variables: &[(&str, &str)]| copy.found(&top, profile, variables);
        let (commit, date) = ("IPSEITY_COMMIT", "IPSEITY_COMMIT_DATE");
        assert_eq!(
            found(&[(commit, id), (date, "2026-11-28")]),
            ["COMMIT=9cc9810abc12", "DATE=2026-11-28"]
        );
        assert_eq!(found(&[(commit, "9cc9810")]), ["COMMIT=9cc9810", "DATE="]);
        assert_eq!(found(&[(commit, "")]), NOTHING);
        for wrong in [
            [(commit, "unknown"), (date, "")],
            [(commit, "9cc981"), (date, "")],
            [(commit, id), (date, "today")],
            [(commit, id), (date, "28-11-2026")],
        ] {
            let output = copy.run(&top, profile, &wrong);
            assert_eq!(output.status.code(), Some(1), "{wrong:?}");
            let said = lines(&output, "cargo::error=");
            assert!(said[0].contains(": expected "), "{said:?}");
        }
    }
}
