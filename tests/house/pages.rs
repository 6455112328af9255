//! The pages agree with the files: the commands that set up a fresh machine, every flag of the server, every
//! bound, and every line of the log. The files and the tests that they name exist.

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
const LIMITS: [&str; 4] = [
    "src/limits.rs",
    "crates/core/src/limits.rs",
    "crates/frames/src/limits.rs",
    "crates/http/src/limits.rs",
];

#[test]
fn two_commands_set_up_a_fresh_machine() {
    let blocks = page::blocks(&page::read("README.md"), "sh");
    let commands: Vec<&str> = blocks.iter().map(|block| block.text.trim_end()).collect();
    assert_eq!(commands, [MAIN_JOB, TESTS]);
    for program in [".ci/setup", ".ci/run", ".ci/full", ".ci/release"] {
        let path = programs::repository().join(program);
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{program} is executable");
    }
    let run = page::read(".ci/run");
    for command in TESTS.split(" && ") {
        // Behind it may stand what is done if it fails.
        let step = format!("step {command}");
        let mut steps = run.lines().map(|line| line.split(" || ").next().unwrap());
        assert!(steps.any(|line| line == step), "{step}");
    }
}

#[test]
fn the_tests_that_ci_and_the_pages_name_exist() {
    let root = programs::repository();
    let mut texts = pages();
    texts.extend([".ci/run", ".ci/full"].map(|program| (program.to_owned(), page::read(program))));
    let mut named = 0;
    for (place, text) in texts {
        for (flag, folder) in [
            ("--test ", "tests"),
            ("--test=", "tests"),
            ("--bench ", "benches"),
        ] {
            for behind in text.split(flag).skip(1) {
                let command = behind.split(['\n', '`']).next().unwrap();
                let mut words = command.split_whitespace();
                let name = words.next().unwrap();
                let [one, other] = ["", "/main"].map(|end| format!("{folder}/{name}{end}.rs"));
                let is_there = root.join(&one).exists() || root.join(&other).exists();
                assert!(is_there, "{place}: neither {one} nor {other} is there");
                // Behind the name stands the file whose tests are run, or what is for the program.
                if let Some(part) = words.next().filter(|word| !word.starts_with('-')) {
                    let part = format!("{folder}/{name}/{}.rs", part.trim_end_matches("::"));
                    assert!(root.join(&part).exists(), "{place}: {part} is not there");
                }
                named += 1;
            }
        }
    }
    assert!(named >= 10, "only {named} are named");
}

/// What stands in backticks as a path is there, and so is what a link leads to.
#[test]
fn every_path_on_a_page_is_there() {
    let files = files();
    let is_there = |path: &str| {
        let path = path.trim_end_matches('/');
        let inside = format!("{path}/");
        files
            .iter()
            .any(|file| file == path || file.starts_with(&inside))
    };
    // This page leaves out the folders that stand in front of it.
    let is_short = |page: &str, path: &str| {
        let end = format!("/{path}");
        page == "docs/architecture.md" && files.iter().any(|file| file.ends_with(&end))
    };
    let mut broken = Vec::new();
    let mut named = 0;
    for (page, text) in pages() {
        for path in paths_in(&text) {
            named += 1;
            if !is_there(path) && !is_short(&page, path) {
                broken.push(format!("{page}: `{path}`"));
            }
        }
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|link| link.split([')', '#']).next())
            .filter(|link| !link.is_empty() && !link.starts_with("http"))
        {
            named += 1;
            let path = match link.strip_prefix("../") {
                Some(path) => path.to_owned(),
                None if page.starts_with("docs/") => format!("docs/{link}"),
                None => link.to_owned(),
            };
            if !is_there(&path) {
                broken.push(format!("{page}: a link to {link}"));
            }
        }
    }
    assert!(named > 100, "only {named} paths");
    assert!(broken.is_empty(), "not there:\n{}", broken.join("\n"));
}

/// The words in backticks that are paths of this repository: they end as its files do, or begin with one of its
/// folders.
fn paths_in(text: &str) -> Vec<&str> {
    const ENDS: [&str; 5] = [".rs", ".md", ".go", ".svg", ".toml"];
    const FOLDERS: [&str; 8] = [
        ".ci/",
        "benches/",
        "crates/",
        "docs/",
        "fuzz/",
        "packaging/",
        "src/",
        "tests/",
    ];
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .flat_map(str::split_whitespace)
        .filter(|word| {
            ENDS.iter().any(|end| word.ends_with(end))
                || FOLDERS.iter().any(|folder| word.starts_with(folder))
        })
        .collect()
}

#[test]
fn the_planted_bugs_that_the_page_shows_are_in_the_code() {
    let mut code = String::new();
    for folder in ["src", "crates/core/src"] {
        collect(&programs::repository().join(folder), &mut code);
    }
    let blocks = page::blocks(&page::read("docs/testing.md"), "rust");
    let shown: Vec<&str> = blocks.iter().flat_map(|block| block.text.lines()).collect();
    assert!(!shown.is_empty(), "none is shown");
    for bug in shown {
        let is_there = code.lines().any(|line| line.trim_start() == bug);
        assert!(is_there, "{bug:?} is not in the code");
    }
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

/// The pages at the top, such as README.md, and those of docs/, each with its text.
fn pages() -> Vec<(String, String)> {
    let is_page =
        |path: &String| path.ends_with(".md") && (path.starts_with("docs/") || !path.contains('/'));
    files()
        .into_iter()
        .filter(is_page)
        .map(|path| (path.clone(), page::read(&path)))
        .collect()
}

/// Every file of the repository, as a path from its top.
fn files() -> Vec<String> {
    let top = programs::repository();
    let mut folders = vec![top.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&top).unwrap().to_str().unwrap();
            if !path.is_dir() {
                files.push(name.to_owned());
            } else if ![".git", "target", "fuzz/target"].contains(&name) {
                folders.push(path);
            }
        }
    }
    files
}

/// The texts of all files below a folder.
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
