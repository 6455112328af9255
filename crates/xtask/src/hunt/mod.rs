//! The hunt: it makes a copy of the repository in which the planted bugs are real, and runs the test there that has to
//! find them.
//!
//! ```text
//! target/hunt/tree     the copy: directives are expanded, and a new crate `bugs` has the switches
//! target/hunt/build    the target directory of the copy
//! ```
//!
//! Nothing is written elsewhere, so the programs in target/debug never have a bug.

mod copy;
mod directives;
#[cfg(test)]
mod folder;
#[cfg(test)]
mod switches;

use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    process::Command,
};

use copy::Tree;

/// The source of the crate with the switches.
const SWITCHES: &str = include_str!("switches.rs");

/// The test binary and the file in it that has to find the bugs. No other test of the binary runs.
const HUNT: (&str, &str) = ("simulation", "planted_bugs");

const SWITCHES_MANIFEST: &str = "[package]
name = \"bugs\"
version = \"0.0.0\"
edition = \"2024\"
publish = false
";

/// The folders in which directives are expanded, in each `.rs` file. This crate is left out, because it writes about
/// directives.
const EXPANDED: [&str; 3] = ["src", "crates", "tests"];

const NOT_EXPANDED: &str = "crates/xtask";

/// Makes the copy and runs the test in it. `arguments` go to `cargo test`. If they name a test, that test runs instead
/// of the hunt. Returns whether it passed.
pub fn run(top: &Path, arguments: &[String]) -> Result<bool, String> {
    let hunt = top.join("target/hunt");
    let tree = hunt.join("tree");
    let names = plant(top, &tree)?;
    if let Ok(name) = env::var("IPSEITY_BUG")
        && !names.contains(&name)
    {
        return Err(format!("IPSEITY_BUG={name}: no directive has that name"));
    }
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.arg("test").current_dir(&tree);
    if !arguments.iter().any(|argument| argument == "--test") {
        // The hunt does not need ipseity-cli, so its dependencies are not built.
        let (binary, file) = HUNT;
        cargo.args(["--no-default-features", "--test", binary, file]);
    }
    let flags = env::var("RUSTFLAGS").unwrap_or_default();
    let status = cargo
        .args(arguments)
        .env("CARGO_TARGET_DIR", hunt.join("build"))
        .env("RUSTFLAGS", format!("{flags} --cfg planted"))
        // The hunt is built once and thrown away, so it needs no debug information and no incremental build.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_INCREMENTAL", "0")
        .status()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    Ok(status.success())
}

/// Updates the copy. Returns the names of the bugs in it.
fn plant(top: &Path, tree: &Path) -> Result<BTreeSet<String>, String> {
    let mut names = BTreeSet::new();
    let mut crates = BTreeSet::new();
    let mut copy = Tree::default();
    for path in copy::files(top)? {
        let bytes = copy::read(&top.join(&path))?;
        if !is_expanded(&path) {
            copy.put(path, bytes);
            continue;
        }
        let text =
            String::from_utf8(bytes).map_err(|_| format!("{}: not UTF-8", path.display()))?;
        let expanded = directives::expand(&text)
            .map_err(|error| format!("{}:{}: {}", path.display(), error.line, error.what))?;
        if !expanded.names.is_empty() {
            crates.insert(crate_of(&path));
            names.extend(expanded.names);
        }
        copy.put(path, expanded.text.into_bytes());
    }
    for folder in crates {
        let depth = folder.components().count();
        let path = folder.join("Cargo.toml");
        let text = copy.text(&path)?;
        let switches = format!("{}bugs", "../".repeat(depth));
        copy.put(path, with_switches(&text, &switches).into_bytes());
    }
    copy.put("bugs/Cargo.toml".into(), SWITCHES_MANIFEST.into());
    copy.put("bugs/src/lib.rs".into(), SWITCHES.into());
    copy.write(tree)?;
    Ok(names)
}

fn is_expanded(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
        && EXPANDED.iter().any(|folder| path.starts_with(folder))
        && !path.starts_with(NOT_EXPANDED)
}

/// The manifest of a crate with one more dependency: the crate `bugs` in that folder. Cargo updates the lock file of
/// the copy by itself, because a crate from a folder has no version to choose.
fn with_switches(manifest: &str, folder: &str) -> String {
    const TABLE: &str = "[dependencies]";
    let line = format!("bugs = {{ path = \"{folder}\" }}");
    let mut lines: Vec<&str> = manifest.lines().collect();
    match lines.iter().position(|line| *line == TABLE) {
        Some(at) => lines.insert(at + 1, &line),
        None => lines.extend(["", TABLE, &line]),
    }
    lines.join("\n") + "\n"
}

/// The folder of the crate that a file belongs to: `crates/NAME`, or the top.
fn crate_of(path: &Path) -> PathBuf {
    match path.starts_with("crates") {
        true => path.iter().take(2).collect(),
        false => PathBuf::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{folder::Folder, *};

    #[test]
    fn each_crate_with_a_bug_gets_the_switches() {
        let top = Folder::new("planted");
        for folder in ["", "crates/core/", "crates/clean/"] {
            top.put(&format!("{folder}Cargo.toml"), "[dependencies]\n");
            top.put(&format!("{folder}src/lib.rs"), "f();\n");
        }
        top.put("crates/core/src/a/b.rs", "// bug Lost: return;\nf();\n");
        top.put("tests/core/actor.rs", "// bug Kept: return;\nf();\n");
        top.put("crates/xtask/src/a.rs", "// bug is a mark\n");
        let tree = top.0.join("target");
        top.put(".gitignore", "/target\n");

        let names = plant(&top.0, &tree).expect("nothing is wrong with it");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["Kept", "Lost"]);
        let text = |path| fs::read_to_string(tree.join(path)).expect("it is there");
        assert_eq!(
            text("Cargo.toml"),
            "[dependencies]\nbugs = { path = \"bugs\" }\n"
        );
        assert_eq!(
            text("crates/core/Cargo.toml"),
            "[dependencies]\nbugs = { path = \"../../bugs\" }\n"
        );
        assert_eq!(text("crates/clean/Cargo.toml"), "[dependencies]\n");
        assert_eq!(text("crates/clean/src/lib.rs"), "f();\n");
        assert_eq!(
            text("crates/core/src/a/b.rs"),
            "if ::bugs::is(\"Lost\") { return; }\nf();\n"
        );
        assert_eq!(text("bugs/src/lib.rs"), SWITCHES);

        top.put("src/lib.rs", "f();\n// bug Late: return;\n");
        assert_eq!(
            plant(&top.0, &tree),
            Err("src/lib.rs:2: no line of code follows this directive".to_owned())
        );
    }

    #[test]
    fn only_code_of_the_server_and_its_tests_is_expanded() {
        for path in [
            "src/a/b.rs",
            "crates/core/src/lib.rs",
            "tests/core/actor.rs",
        ] {
            assert!(is_expanded(Path::new(path)), "{path}");
        }
        for path in [
            "src/a.txt",
            "crates/xtask/src/main.rs",
            "benches/a.rs",
            "docs/a.md",
        ] {
            assert!(!is_expanded(Path::new(path)), "{path}");
        }
        assert_eq!(
            crate_of(Path::new("crates/core/src/lib.rs")),
            Path::new("crates/core")
        );
        assert_eq!(crate_of(Path::new("tests/core/actor.rs")), Path::new(""));
    }

    /// With a wrong name, cargo would run no test and report success.
    #[test]
    fn the_test_of_the_hunt_exists() {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
        let (binary, file) = HUNT;
        assert!(tests.join(binary).join(format!("{file}.rs")).exists());
    }

    #[test]
    fn a_manifest_gets_the_switches_with_or_without_other_dependencies() {
        assert_eq!(
            with_switches(
                "[package]\n\n[dependencies]\nmio = \"1\"\n\n[lints]\n",
                "../bugs"
            ),
            "[package]\n\n[dependencies]\nbugs = { path = \"../bugs\" }\nmio = \"1\"\n\n[lints]\n"
        );
        assert_eq!(
            with_switches("[package]\n[dev-dependencies]\n", "bugs"),
            "[package]\n[dev-dependencies]\n\n[dependencies]\nbugs = { path = \"bugs\" }\n"
        );
    }
}
