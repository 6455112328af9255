//! The pages agree with the files: the commands that set up a fresh machine, every flag of the server, every
//! bound, and every line of the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use ipseity_harness::{page, programs};

/// The set-up of a fresh machine.
const MAIN_JOB: &str = "cargo build --release --locked && target/release/ipseity";
const TESTS: &str = ".ci/setup && cargo test --workspace --locked";

/// The files with the bounds that an operator may reach.
const LIMITS: [&str; 3] = [
    "src/limits.rs",
    "crates/core/src/limits.rs",
    "crates/frames/src/limits.rs",
];

#[test]
fn two_commands_set_up_a_fresh_machine() {
    let blocks = page::blocks(&page::read("README.md"), "sh");
    let commands: Vec<&str> = blocks.iter().map(|block| block.text.trim_end()).collect();
    assert_eq!(commands, [MAIN_JOB, TESTS]);
    for program in [".ci/setup", ".ci/run", ".ci/full"] {
        let path = programs::repository().join(program);
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{program} is executable");
    }
    let run = page::read(".ci/run");
    for command in TESTS.split(" && ") {
        let step = format!("step {command}");
        assert!(run.lines().any(|line| line == step), "{step}");
    }
}

#[test]
fn the_tests_that_ci_runs_exist() {
    let root = programs::repository();
    let mut named = 0;
    for program in [".ci/run", ".ci/full"] {
        let text = page::read(program);
        let words: Vec<&str> = text.split_whitespace().collect();
        for pair in words.windows(2) {
            let folder = match pair[0] {
                "--test" => "tests",
                "--bench" => "benches",
                _ => continue,
            };
            let [one, other] = ["", "/main"].map(|end| format!("{folder}/{}{end}.rs", pair[1]));
            let is_there = root.join(&one).exists() || root.join(&other).exists();
            assert!(is_there, "{program}: neither {one} nor {other} is there");
            named += 1;
        }
    }
    assert!(named >= 4, "only {named} are named");
}

#[test]
fn the_table_of_flags_equals_the_help() {
    let help: BTreeSet<String> = ipseity::options::help()
        .lines()
        .filter_map(|line| {
            flag(
                line.trim_start()
                    .trim_start_matches("-h, ")
                    .trim_start_matches("-V, "),
            )
        })
        .collect();
    let shown: BTreeSet<String> = page::read("README.md")
        .lines()
        .filter_map(|line| flag(line.strip_prefix("| `")?))
        .collect();
    assert!(help.contains("--listen"), "{help:?}");
    assert_eq!(shown, help, "left: the README, right: ipseity --help");
}

#[test]
fn the_bounds_on_the_architecture_page_are_in_the_limits() {
    let mut limits = BTreeMap::new();
    for line in LIMITS.map(page::read).concat().replace("=\n", "=").lines() {
        if let Some((name, value)) = line
            .strip_prefix("pub const ")
            .and_then(|rest| rest.split_once(": "))
        {
            let value = value.split_once('=').unwrap().1;
            let value = plain(value.trim().trim_end_matches(';'));
            assert_eq!(limits.insert(name.to_owned(), value), None, "two {name}");
        }
    }
    let mut checked = 0;
    for line in page::read("docs/architecture.md").lines() {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [_, constant, value, _] = cells[..] else {
            continue;
        };
        let Some(name) = constant
            .strip_prefix('`')
            .and_then(|name| name.split('`').next())
        else {
            continue;
        };
        let limit = limits
            .get(name)
            .unwrap_or_else(|| panic!("{LIMITS:?} have no {name}"));
        assert_eq!(value, limit, "{name}");
        checked += 1;
    }
    assert!(checked >= 10, "only {checked} bounds are shown");
}

#[test]
fn the_log_lines_on_the_operations_page_are_in_the_code() {
    let mut code = String::new();
    collect(&programs::repository().join("src"), &mut code);
    // A long text continues after a backslash at the end of a line.
    let parts: Vec<&str> = code.split("\\\n").collect();
    let (first, rest) = parts.split_first().unwrap();
    let code = rest
        .iter()
        .fold((*first).to_owned(), |code, part| code + part.trim_start());
    let page = page::read("docs/operations.md");
    let table = page.split("## Log lines").nth(1).unwrap();
    let lines: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .collect();
    assert!(lines.len() >= 10, "only {} lines are shown", lines.len());
    for line in lines {
        let line = line.split('`').next().unwrap();
        // The text in place of `...` is different each time.
        for piece in line.split("...").filter(|piece| piece.len() > 3) {
            assert!(code.contains(piece), "{line:?}: src/ has no {piece:?}");
        }
    }
}

fn collect(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, text);
        } else {
            *text += &fs::read_to_string(&path).unwrap();
        }
    }
}

/// A value of limits.rs as a page shows it: `16 * 1024` is `16 KiB`, a duration has its unit.
fn plain(value: &str) -> String {
    let number = |text: &str| text.replace('_', "");
    let inside = |prefix: &str| value.strip_prefix(prefix)?.strip_suffix(')');
    if let Some(seconds) = inside("Duration::from_secs(") {
        format!("{} s", number(seconds))
    } else if let Some(millis) = inside("Duration::from_millis(") {
        format!("{} ms", number(millis))
    } else if let Some(mib) = value.strip_suffix(" * 1024 * 1024") {
        format!("{} MiB", number(mib))
    } else if let Some(kib) = value.strip_suffix(" * 1024") {
        format!("{} KiB", number(kib))
    } else if let Some(power) = value.strip_prefix("1 << ") {
        format!("2^{power}")
    } else {
        number(value)
    }
}

/// The flag that a text begins with, without its value.
fn flag(text: &str) -> Option<String> {
    let name = text.strip_prefix("--")?;
    let end = name.find(|c: char| !c.is_ascii_lowercase() && c != '-');
    Some(format!("--{}", &name[..end.unwrap_or(name.len())]))
}
