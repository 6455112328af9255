//! The rules of the house that a program can check. It reads the crates and looks only at code: comments and strings
//! may say anything. Code under `#[cfg(test)]` has to follow the arrows and no other rule.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use ipseity_sim::chaos::bugs::BUGS;

/// Which of our rooms a room may name. A room is a module of the core or of the server, or a crate that counts as
/// one. It may only name rooms above it, so there is no circle. A new room gets a line here, below all that it uses.
const ARROWS: &[(&str, &[&str])] = &[
    // The core: no socket, no clock, no file, no bytes.
    ("core::limits", &[]),
    ("core::time", &[]),
    ("core::text", &[]),
    ("core::address", &["core::limits", "core::text"]),
    ("core::identity", &[]),
    ("core::ids", &["core::limits"]),
    ("core::words", &["core::identity", "core::limits"]),
    (
        "core::actor",
        &[
            "core::address",
            "core::identity",
            "core::ids",
            "core::limits",
            "core::time",
            "core::words",
        ],
    ),
    ("core::timer", &["core::time", "core::words"]),
    // Built on the core.
    ("frames", &["core::identity", "core::limits", "core::words"]),
    ("http", &["core::identity", "core::text", "core::words"]),
    ("console", &["core::identity", "core::text", "core::words"]),
    ("tls", &["core::text"]),
    ("monitor", &["console", "core::identity", "core::words"]),
    ("etcd", &["core::address", "core::text", "tls"]),
    (
        "pids",
        &[
            "core::actor",
            "core::address",
            "core::identity",
            "core::text",
            "core::words",
            "etcd",
        ],
    ),
    (
        "client",
        &[
            "core::address",
            "core::identity",
            "core::limits",
            "core::text",
            "core::words",
            "frames",
            "tls",
        ],
    ),
    // The server.
    ("limits", &["core::limits", "frames"]),
    ("trust", &["core::ids", "core::words", "limits"]),
    ("secure", &["core::text", "core::words", "tls"]),
    (
        "mailbox",
        &[
            "core::actor",
            "core::ids",
            "core::timer",
            "core::words",
            "http",
            "limits",
        ],
    ),
    (
        "options",
        &[
            "console",
            "core::actor",
            "core::address",
            "core::identity",
            "core::limits",
            "core::text",
            "core::words",
            "etcd",
            "http",
            "limits",
            "pids",
            "secure",
            "trust",
        ],
    ),
    (
        "store",
        &[
            "core::actor",
            "core::identity",
            "core::limits",
            "core::words",
            "limits",
            "pids",
        ],
    ),
    (
        "pid_store",
        &[
            "core::identity",
            "core::time",
            "core::words",
            "etcd",
            "limits",
            "pids",
            "store",
        ],
    ),
    (
        "trace",
        &["core::actor", "core::ids", "core::time", "mailbox"],
    ),
    // The edges: they know how, and decide nothing about identities.
    (
        "edge",
        &[
            "core::actor",
            "core::ids",
            "core::time",
            "core::words",
            "mailbox",
            "secure",
        ],
    ),
    (
        "codec",
        &[
            "core::actor",
            "core::identity",
            "core::ids",
            "core::words",
            "frames",
            "http",
            "mailbox",
            "monitor",
        ],
    ),
    (
        "listeners",
        &[
            "codec",
            "core::ids",
            "core::words",
            "frames",
            "http",
            "trust",
        ],
    ),
    ("buffer", &["limits"]),
    (
        "connection",
        &[
            "buffer",
            "codec",
            "core::actor",
            "core::ids",
            "core::time",
            "core::words",
            "edge",
            "frames",
            "limits",
            "mailbox",
            "secure",
        ],
    ),
    (
        "transport",
        &[
            "buffer",
            "codec",
            "connection",
            "core::actor",
            "core::identity",
            "core::ids",
            "core::time",
            "core::words",
            "edge",
            "frames",
            "http",
            "limits",
            "listeners",
            "mailbox",
            "secure",
            "trust",
        ],
    ),
    (
        "peers",
        &["core::identity", "core::ids", "core::time", "limits"],
    ),
    (
        "server",
        &[
            "codec",
            "connection",
            "core::actor",
            "core::address",
            "core::identity",
            "core::ids",
            "core::limits",
            "core::time",
            "core::timer",
            "core::words",
            "edge",
            "http",
            "limits",
            "listeners",
            "mailbox",
            "monitor",
            "peers",
            "secure",
            "tls",
            "trace",
            "transport",
        ],
    ),
    (
        "os",
        &[
            "console",
            "core::actor",
            "core::address",
            "core::ids",
            "core::text",
            "core::time",
            "core::words",
            "edge",
            "etcd",
            "limits",
            "mailbox",
            "pid_store",
            "pids",
            "secure",
            "store",
        ],
    ),
    // The start.
    (
        "opening",
        &[
            "core::actor",
            "core::address",
            "core::identity",
            "core::limits",
            "core::time",
            "etcd",
            "options",
            "os",
            "pid_store",
            "pids",
            "store",
        ],
    ),
    // What is told of a start that does not take place.
    (
        "check",
        &[
            "core::actor",
            "core::address",
            "core::text",
            "options",
            "pid_store",
            "secure",
            "store",
            "tls",
        ],
    ),
    // The programs.
    (
        "bench",
        &[
            "client",
            "console",
            "core::identity",
            "core::limits",
            "core::words",
            "frames",
            "tls",
        ],
    ),
    (
        "cli",
        &[
            "bench",
            "client",
            "console",
            "core::identity",
            "core::limits",
            "core::words",
            "etcd",
            "monitor",
            "pids",
            "tls",
        ],
    ),
    (
        "bin/ipseity",
        &[
            "check",
            "codec",
            "console",
            "core::actor",
            "core::identity",
            "limits",
            "listeners",
            "opening",
            "options",
            "os",
            "peers",
            "pid_store",
            "secure",
            "server",
            "store",
            "trace",
            "transport",
        ],
    ),
    ("bin/ipseity-cli", &["cli", "store"]),
];

/// The crates that are read, each with its folder, its name in code, and whether its modules are rooms of their own.
/// The crates that only tests use have no rooms.
const CRATES: &[(&str, &str, &str)] = &[
    ("src", "ipseity", ""),
    ("crates/core/src", "ipseity_core", "core::"),
    ("crates/frames/src", "ipseity_frames", "frames"),
    ("crates/http/src", "ipseity_http", "http"),
    ("crates/console/src", "ipseity_console", "console"),
    ("crates/tls/src", "ipseity_tls", "tls"),
    ("crates/etcd/src", "ipseity_etcd", "etcd"),
    ("crates/pids/src", "ipseity_pids", "pids"),
    ("crates/client/src", "ipseity_client", "client"),
    ("crates/monitor/src", "ipseity_monitor", "monitor"),
    ("crates/bench/src", "ipseity_bench", "bench"),
    ("crates/cli/src", "ipseity_cli", "cli"),
];

/// The rooms that must run unchanged under a simulated network, disk and time.
fn is_core(room: &str) -> bool {
    room.starts_with("core::") || ["frames", "http", "mailbox", "limits"].contains(&room)
}

/// What the core must not know, as paths.
const OUTSIDE: &[&[&str]] = &[
    &["std", "net"],
    &["std", "fs"],
    &["std", "env"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
];

/// What the core must not know, as crates.
const OUTSIDE_CRATES: &[&str] = &[
    "mio",
    "getrandom",
    "socket2",
    "rustix",
    "signal_hook",
    "signal_hook_mio",
];

/// The files that may read a clock. All others take `now` as an argument.
const CLOCK_READERS: &[&str] = &["os", "client", "bench", "cli"];

pub(crate) const CLOCK_READINGS: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    ".elapsed()",
    "clock_gettime",
];

const UNFINISHED: &[&str] = &[".unwrap()", "todo!", "unimplemented!", "dbg!"];

/// A file that is longer says why, in a line that begins with [`LONG_BECAUSE`].
const FILE_LINES_MAX: usize = 600;

const LONG_BECAUSE: &str = "// Long because:";

#[test]
fn the_table_of_arrows_has_no_circle() {
    for (place, (room, names)) in ARROWS.iter().enumerate() {
        for name in *names {
            assert!(
                ARROWS[..place].iter().any(|(above, _)| above == name),
                "{room} may name {name}, which does not stand above it"
            );
        }
    }
}

#[test]
fn the_architecture_page_shows_the_arrows() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let page = fs::read_to_string(page).unwrap();
    let mut lines = page.lines().skip_while(|line| *line != "## Modules");
    for (room, names) in ARROWS {
        let names = match names {
            [] => "nothing".to_owned(),
            names => format!("`{}`", names.join("`, `")),
        };
        let begins = format!("- **`{room}`** ({names}): ");
        assert!(
            lines.any(|line| line.starts_with(&begins)),
            "docs/architecture.md does not show, in the order of ARROWS, {begins:?}"
        );
        let next = lines.next().unwrap_or_default();
        assert!(next.starts_with("  Invariant: "), "{room}: {next}");
    }
}

#[test]
fn imports_point_one_way() {
    check(broken_arrows);
}

#[test]
fn bincode_is_named_in_one_file() {
    check(|source| match source.path.as_str() {
        "crates/frames/src/body.rs" => Vec::new(),
        _ => named(&source.code, &["bincode"]),
    });
}

#[test]
fn the_core_knows_no_socket_no_clock_and_no_file() {
    check(|source| match is_core(&source.room) {
        true => outside(&source.code),
        false => Vec::new(),
    });
}

#[test]
fn clocks_are_read_at_the_edge() {
    check(
        |source| match CLOCK_READERS.contains(&source.room.as_str()) {
            true => Vec::new(),
            false => written(&source.code, CLOCK_READINGS),
        },
    );
}

#[test]
fn nothing_is_unwrapped_or_left_to_do() {
    check(|source| written(&source.code, UNFINISHED));
}

#[test]
fn every_dependency_is_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = fs::read_dir(root.join("crates")).unwrap();
    let mut folders: Vec<PathBuf> = crates.map(|entry| entry.unwrap().path()).collect();
    folders.extend([root.to_owned(), root.join("fuzz")]);
    let mut unused = Vec::new();
    for folder in folders {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let mut paths = Vec::new();
        for part in ["src", "tests", "benches", "examples", "fuzz_targets"] {
            if folder.join(part).exists() {
                collect(&folder.join(part), &mut paths);
            }
        }
        let code: Vec<String> = paths
            .iter()
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        for name in dependencies(&manifest) {
            let in_code = format!("{}::", name.replace('-', "_"));
            if !code.iter().any(|code| code.contains(&in_code)) {
                unused.push(format!("{}: {name}", folder.display()));
            }
        }
    }
    assert!(unused.is_empty(), "{unused:#?}");
}

/// The names of the dependencies in a manifest, those for tests too.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut is_in_table = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_in_table = ["[dependencies]", "[dev-dependencies]"].contains(&line);
        } else if is_in_table && line.starts_with(char::is_alphabetic) {
            names.extend(line.split(['.', ' ', '=']).next());
        }
    }
    names
}

#[test]
fn long_files_say_why() {
    check(|source| {
        let says_why = source
            .text
            .lines()
            .any(|line| line.starts_with(LONG_BECAUSE));
        match source.text.lines().count() {
            lines if lines > FILE_LINES_MAX && !says_why => {
                vec![format!("{lines} lines, and no line `{LONG_BECAUSE} ...`")]
            }
            _ => Vec::new(),
        }
    });
}

#[test]
fn the_planted_bugs_are_in_the_table() {
    let named: BTreeSet<&str> = BUGS.iter().map(|bug| bug.name).collect();
    let told: BTreeSet<&str> = BUGS.iter().map(|bug| bug.wrong).collect();
    assert_eq!((named.len(), told.len()), (BUGS.len(), BUGS.len()));
    let production = planted_in(&["src", "crates"]);
    let missing: Vec<&str> = named
        .iter()
        .filter(|name| !production.contains(**name))
        .copied()
        .collect();
    assert!(missing.is_empty(), "no `// bug` makes {missing:?}");
    let planted = planted_in(&["src", "crates", "tests"]);
    let unknown: Vec<&String> = planted
        .iter()
        .filter(|name| !named.contains(name.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "crates/sim/src/chaos/bugs.rs has no line for {unknown:?}"
    );
}

#[test]
fn the_page_and_the_table_describe_each_planted_bug_alike() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/testing.md"));
    let page = page.unwrap();
    let on_page: Vec<(&str, &str, u64)> = page
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
            let (wrong, seed) = rest.split_once(" | ")?;
            Some((name, wrong, seed.strip_suffix(" |")?.parse().ok()?))
        })
        .collect();
    let in_table: Vec<_> = BUGS
        .iter()
        .map(|bug| (bug.name, bug.wrong, bug.seed))
        .collect();
    assert_eq!(on_page, in_table);
}

/// A file without a `mod` line would not be compiled, and nobody would miss its tests.
#[test]
fn every_file_of_a_test_binary_has_a_line_in_its_index() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut broken = Vec::new();
    let mut files = 0;
    for folder in fs::read_dir(tests).unwrap() {
        let folder = folder.unwrap().path();
        let Ok(index) = fs::read_to_string(folder.join("main.rs")) else {
            continue;
        };
        for file in fs::read_dir(&folder).unwrap() {
            let file = file.unwrap().path();
            let name = file.file_stem().unwrap().to_str().unwrap();
            if name != "main" && file.extension().is_some_and(|kind| kind == "rs") {
                files += 1;
                let line = format!("mod {name}; // ");
                if !index.lines().any(|other| other.starts_with(&line)) {
                    broken.push(format!("{}: no line {line:?}", folder.display()));
                }
            }
        }
    }
    assert!(files > 30, "only {files} files");
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// The names in the `// bug` directives of these folders. crates/xtask expands them and contains none itself.
fn planted_in(folders: &[&str]) -> BTreeSet<String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in folders.iter().map(|folder| top.join(folder)) {
        if folder.exists() {
            collect(&folder, &mut paths);
        }
    }
    paths.retain(|path| !path.starts_with(top.join("crates/xtask")));
    let mut names = BTreeSet::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let directives = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("// bug "));
        names.extend(directives.map(|directive| {
            let end = directive.find([' ', ':']).unwrap_or(directive.len());
            directive[..end].to_owned()
        }));
    }
    names
}

/// A file of a crate that is read.
pub(crate) struct Source {
    /// The path in the repository.
    pub(crate) path: String,
    /// The room of the table that it belongs to; empty for the head of a crate that has rooms.
    pub(crate) room: String,
    text: String,
    /// The text without comments, without the contents of strings, and without code that is only for tests.
    pub(crate) code: String,
    /// The same, with the code that is only for tests.
    code_and_tests: String,
}

impl Source {
    /// The code of a file, without comments, without the contents of strings, and without code that is only for tests.
    pub(crate) fn code_of(text: &str) -> String {
        without_tests(&code_of(text))
    }

    pub(crate) fn new(path: &str, text: &str) -> Source {
        let code_and_tests = code_of(text);
        // This is the file of a `#[cfg(test)] mod tests;`.
        let is_for_tests = path.ends_with("/tests.rs");
        Source {
            path: path.to_owned(),
            room: room_of_path(path),
            text: text.to_owned(),
            code: match is_for_tests {
                true => String::new(),
                false => without_tests(&code_and_tests),
            },
            code_and_tests,
        }
    }
}

/// The room that a file belongs to.
fn room_of_path(path: &str) -> String {
    let is_in = |(folder, ..): &&(&str, &str, &str)| path.starts_with(&format!("{folder}/"));
    let (folder, _, prefix) = CRATES.iter().find(is_in).expect("the path of a crate");
    let inside = &path[folder.len() + 1..];
    let parts: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    match parts[..] {
        ["bin", program, ..] => format!("bin/{program}"),
        _ if !prefix.is_empty() && !prefix.ends_with("::") => (*prefix).to_owned(),
        ["lib"] => String::new(),
        [module, ..] => format!("{prefix}{module}"),
        [] => unreachable!("a split has a first part"),
    }
}

/// The room that a path in code leads to: `crate::a::b`, or `ipseity_core::a::b`. `None` if the path leads to no crate
/// of ours, or only to the head of a crate that has rooms.
fn room_of_use(path: &[String], home: &str) -> Option<String> {
    let is_named = |(folder, name, _): &&(&str, &str, &str)| match path[0].as_str() {
        "crate" => *folder == home,
        first => first == *name,
    };
    let (_, _, prefix) = CRATES.iter().find(is_named)?;
    if !prefix.is_empty() && !prefix.ends_with("::") {
        return Some((*prefix).to_owned());
    }
    Some(format!("{prefix}{}", path.get(1)?))
}

/// Checks every file of the crates against a rule, and names all that break it.
pub(crate) fn check(rule: impl Fn(&Source) -> Vec<String>) {
    let mut broken = Vec::new();
    for source in &*SOURCES {
        let path = &source.path;
        broken.extend(
            rule(source)
                .into_iter()
                .map(|what| format!("{path}: {what}")),
        );
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// Every file of the crates. They are read once, because many rules look at them.
static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for (folder, ..) in CRATES {
        let mut paths = Vec::new();
        collect(&root.join(folder), &mut paths);
        assert!(!paths.is_empty(), "no sources in {folder}");
        for path in paths {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_str().unwrap();
            let mut source = Source::new(path, &text);
            if is_for_tests(root, path) {
                source.code.clear();
            }
            sources.push(source);
        }
    }
    sources
});

/// Whether a file is a `#[cfg(test)] mod NAME;` of the module beside it. This counts like tests inside of the module.
fn is_for_tests(root: &Path, path: &str) -> bool {
    let Some((module, file)) = path.rsplit_once('/') else {
        return false;
    };
    let declared = format!("#[cfg(test)]\nmod {};", file.trim_end_matches(".rs"));
    [format!("{module}.rs"), format!("{module}/mod.rs")]
        .iter()
        .filter_map(|file| fs::read_to_string(root.join(file)).ok())
        .any(|text| text.contains(&declared))
}

pub(crate) fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The rooms that a file names and may not name.
fn broken_arrows(source: &Source) -> Vec<String> {
    let room = source.room.as_str();
    if room.is_empty() {
        return Vec::new();
    }
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == room) else {
        return vec![format!(
            "room `{room}` is new: give it a line in ARROWS of tests/house/tidy.rs"
        )];
    };
    let is_in = |(folder, ..): &&(&str, &str, &str)| source.path.starts_with(&format!("{folder}/"));
    let (home, _, prefix) = CRATES.iter().find(is_in).expect("the path of a crate");
    let mut paths = paths_from(&source.code_and_tests, "crate");
    for (_, name, _) in CRATES {
        paths.extend(paths_from(&source.code_and_tests, name));
    }
    if source.path == format!("{home}/{}.rs", room.trim_start_matches(prefix)) {
        // Outside of a module of its own, `super` is the crate.
        let supers = paths_from(&source.code, "super").into_iter();
        paths.extend(supers.map(|mut path| {
            path[0] = "crate".to_owned();
            path
        }));
        paths.retain(|path| path[0] != "crate" || path.get(1).is_some_and(|name| name != "*"));
    }
    let mut broken: Vec<String> = paths
        .iter()
        .filter_map(|path| Some((path, room_of_use(path, home)?)))
        .filter(|(_, named)| ARROWS.iter().any(|(name, _)| name == named))
        .filter(|(_, named)| named != room && !allowed.contains(&named.as_str()))
        .map(|(path, _)| format!("`{room}` may not name `{}`", path.join("::")))
        .collect();
    if source.code.contains("super::super::") {
        broken.push("write `crate::`, not `super::super::`".to_owned());
    }
    broken
}

/// The parts of the outside world that code names.
pub(crate) fn outside(code: &str) -> Vec<String> {
    let mut broken = named(code, OUTSIDE_CRATES);
    for mut path in paths_from(code, "std") {
        if path
            .last()
            .is_some_and(|last| last == "self" || last == "*")
        {
            path.pop();
        }
        // A part of the outside world, or a whole module that contains it.
        let touches = |outside: &[&str]| path.iter().zip(outside).all(|(one, other)| one == other);
        if OUTSIDE.iter().any(|outside| touches(outside)) {
            broken.push(format!("the core may not name `{}`", path.join("::")));
        }
    }
    broken
}

/// Which of these names are in the code as whole words.
pub(crate) fn named(code: &str, names: &[&str]) -> Vec<String> {
    let words: Vec<&str> = code.split(|c| !is_word(c)).collect();
    names
        .iter()
        .filter(|name| words.contains(*name))
        .map(|name| format!("`{name}` has no place here"))
        .collect()
}

/// Which of these pieces are in the code, with their lines.
pub(crate) fn written(code: &str, pieces: &[&str]) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, line) in code.lines().enumerate() {
        for piece in pieces.iter().filter(|piece| line.contains(*piece)) {
            broken.push(format!("`{piece}` in line {}", number + 1));
        }
    }
    broken
}

/// Every path in `code` that begins with `root::`, down to its leaves: for `use crate::{a, b::{c, d}}` these are
/// `crate::a`, `crate::b::c` and `crate::b::d`.
pub(crate) fn paths_from(code: &str, root: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(root) {
        let (before, behind) = (&code[..at], &code[at + root.len()..]);
        let is_root = !before.ends_with(is_word) && !before.trim_end().ends_with("::");
        if let (true, Some(tree)) = (is_root, behind.trim_start().strip_prefix("::")) {
            read_tree(tree.trim_start(), &[root.to_owned()], &mut paths);
        }
    }
    paths
}

/// Reads one tree of imports at the front of `text`, and returns the text after it.
fn read_tree<'a>(text: &'a str, stem: &[String], paths: &mut Vec<Vec<String>>) -> &'a str {
    if let Some(mut items) = text.strip_prefix('{') {
        loop {
            items = items.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
            if items.is_empty() {
                return items;
            }
            if let Some(behind) = items.strip_prefix('}') {
                return behind;
            }
            items = read_tree(items, stem, paths);
            // A name given with `as`.
            items = items.trim_start_matches(|c: char| c != ',' && c != '}');
        }
    }
    let end = text.find(|c| !is_word(c) && c != '*').unwrap_or(text.len());
    let (name, behind) = text.split_at(end);
    let path = [stem, &[name.to_owned()]].concat();
    match behind.trim_start().strip_prefix("::") {
        // The turbofish ends a path.
        Some(tree) if !tree.starts_with('<') => read_tree(tree.trim_start(), &path, paths),
        _ => {
            paths.push(path);
            behind
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text with a space for each character of a comment, a string or a character literal.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut behind = text;
    while let Some(first) = behind.chars().next() {
        let skipped = literal_or_comment(behind, code.ends_with(is_word));
        let bytes = skipped.max(first.len_utf8());
        for c in behind[..bytes].chars() {
            code.push(if skipped == 0 || c == '\n' { c } else { ' ' });
        }
        behind = &behind[bytes..];
    }
    code
}

/// How many bytes the comment or the literal at the front of `text` takes; 0 if there is none.
fn literal_or_comment(text: &str, behind_word: bool) -> usize {
    let up_to = |end: &str, from: usize| {
        text[from..]
            .find(end)
            .map_or(text.len(), |at| from + at + end.len())
    };
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return up_to("*/", 2);
    }
    if let Some(raw) = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))
        && !behind_word
    {
        let quoted = raw.trim_start_matches('#');
        if quoted.starts_with('"') {
            let hashes = "#".repeat(raw.len() - quoted.len());
            return up_to(&format!("\"{hashes}"), text.len() - quoted.len() + 1);
        }
    }
    if let Some(string) = text.strip_prefix('"') {
        let mut escaped = false;
        let end = string.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        return end.map_or(text.len(), |at| 1 + at + 1);
    }
    // This is a character and not a lifetime.
    if let Some(inner) = text.strip_prefix('\'') {
        if inner.starts_with('\\') {
            return up_to("'", 3);
        }
        let first = inner.chars().next().map_or(0, char::len_utf8);
        if inner[first..].starts_with('\'') {
            return 1 + first + 1;
        }
    }
    0
}

/// The code with a space for each character of an item under `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut behind = code;
    while let Some(at) = behind.find(MARK) {
        let (before, item) = behind.split_at(at);
        out.push_str(before);
        let mut depth = 0;
        let end = item.find(|c| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0 && (c == '}' || c == ';')
        });
        let (item, rest) = item.split_at(end.map_or(item.len(), |end| end + 1));
        out.extend(item.chars().map(|c| if c == '\n' { c } else { ' ' }));
        behind = rest;
    }
    out + behind
}

#[test]
fn a_tree_of_imports_is_read_to_its_leaves() {
    let code = "use crate::{\n  identity::Pid as P, limits::{A, B},\n wire::{self, codec::*}, };
        fn f(x: crate::actor::Event) { crate::timer::start::<u8>() } use xcrate::y; use std :: fs;";
    let paths: Vec<String> = paths_from(code, "crate")
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(
        paths,
        [
            "crate::identity::Pid",
            "crate::limits::A",
            "crate::limits::B",
            "crate::wire::self",
            "crate::wire::codec::*",
            "crate::actor::Event",
            "crate::timer::start",
        ]
    );
    assert_eq!(paths_from(code, "std"), [["std", "fs"]]);
}

#[test]
fn comments_strings_and_tests_do_not_count_as_code() {
    let text = r##"
        /// crate::server
        fn a<'a>(x: &'a str) -> char { /* mio */ let q = '"'; let s = "mio \" mio"; f(q, s, '\'') }
        const R: &str = r#"mio " mio"#; fn real() {}
        #[cfg(test)]
        mod tests { fn t() { mio(); } }
        fn last() {}
    "##;
    let source = Source::new("crates/core/src/identity.rs", text);
    assert!(named(&source.code, &["mio"]).is_empty(), "{}", source.code);
    assert_eq!(named(&source.code_and_tests, &["mio"]).len(), 1);
    assert!(broken_arrows(&source).is_empty());
    for kept in ["fn a<'a>(x: &'a str)", "fn real()", "fn last()"] {
        assert!(source.code.contains(kept), "{kept} in {}", source.code);
    }
    assert_eq!(source.code.lines().count(), text.lines().count());
    assert!(
        Source::new("crates/frames/src/frame/tests.rs", text)
            .code
            .is_empty()
    );
}

#[test]
fn code_that_breaks_a_rule_is_found() {
    for (path, text) in [
        ("crates/core/src/limits.rs", "use crate::identity::Pid;"),
        ("crates/core/src/identity.rs", "use super::limits;"),
        (
            "crates/core/src/words/message.rs",
            "use crate::{limits::A, actor::Event};",
        ),
        (
            "crates/frames/src/frame.rs",
            "use ipseity_core::{limits::A, actor::Event};",
        ),
        (
            "crates/core/src/words/message.rs",
            "use super::super::actor::Event;",
        ),
        ("src/mailbox.rs", "fn f() { crate::server::turn() }"),
        ("src/novelty.rs", ""),
        ("src/bin/ipseity.rs", "use ipseity_client::Client;"),
        ("crates/cli/src/view.rs", "use ipseity::server::Server;"),
    ] {
        assert_eq!(
            broken_arrows(&Source::new(path, text)).len(),
            1,
            "{path}: {text}"
        );
    }
    for code in [
        "use std::{fmt, net::SocketAddr};",
        "use std::time::Instant;",
        "use std::time::{self, Duration};",
        "use std::time::*;",
        "fn f() { std::fs::read(p) }",
        "use mio::Token;",
        "getrandom::fill(&mut b)",
    ] {
        assert_eq!(outside(code).len(), 1, "{code}");
    }
    assert!(outside("use std::{fmt, time::Duration, collections::VecDeque};").is_empty());
    assert_eq!(
        written("let x = 1;\nlet now = Instant::now();", CLOCK_READINGS),
        ["`Instant::now` in line 2"]
    );
    assert_eq!(written("f().unwrap()", UNFINISHED).len(), 1);
    assert!(written("f().unwrap_or(1)", UNFINISHED).is_empty());
}
