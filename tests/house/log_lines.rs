//! Every line that others can cause has a bound. A line of the server's log either asks `may_tell` first, or it is in
//! the table below with what else bounds it. Lines of the level debug are left out: whoever asks for them wants each.
//!
//! And every line has the name of its event, which docs/operations.md lists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use ipseity_harness::page;

use crate::tidy::{Source, collect};

/// How far before a line `may_tell` may be asked: the longest way between the two.
const DISTANCE: usize = 8;

/// The file, how the text of the line begins, and why it needs no kind of its own.
const BOUNDED_OTHERWISE: &[(&str, &str, &str)] = &[
    ("src/bin/ipseity.rs", "{shortage}", "a start"),
    (
        "src/bin/ipseity.rs",
        "{text}",
        "a start, one for each thing that it found",
    ),
    ("src/bin/ipseity.rs", "{address} can be reached", "a start"),
    ("src/bin/ipseity.rs", "--recover-above {above}", "a start"),
    ("src/bin/ipseity.rs", "--join=require asks", "a start"),
    (
        "src/server/certificates.rs",
        "{text}",
        "a start, or a reload that was told",
    ),
    (
        "src/server/certificates.rs",
        "connections closed by --tls-recheck",
        "a reload that was told, or a look that is made when certificates expire",
    ),
    (
        "src/os/disk.rs",
        "cannot remember the peers",
        "others cause at most SAVE_RATE_PER_SECOND saves a second, and only another error is logged",
    ),
    ("src/os/disk.rs", "{error}", "the server exits after it"),
    ("src/opening.rs", "pid {} is this server's", "a start"),
    ("src/opening.rs", "the state is in etcd", "a start"),
    ("src/opening.rs", "others can read or write", "a start"),
    (
        "src/opening.rs",
        "waiting for up to",
        "a start, once for each thing that it waits for",
    ),
    (
        "src/opening.rs",
        "a call of etcd has failed",
        "a start, once for each reason, and a claim gives up after some",
    ),
    (
        "src/os/pid_threads.rs",
        "a write to etcd has failed",
        "once in LINES_SPAN: `may_tell_failed`",
    ),
    (
        "src/os/pid_threads.rs",
        "etcd does not confirm",
        "once in LINES_SPAN: `may_tell_failed`",
    ),
    (
        "src/os/pid_threads.rs",
        "etcd answers again",
        "only after a line that says that it does not",
    ),
    (
        "src/os/pid_threads.rs",
        "the lease of pid {pid} had ended",
        "once in a lease",
    ),
    (
        "src/os/pid_threads.rs",
        "FENCED",
        "the server exits after it",
    ),
    (
        "src/os/pid_threads.rs",
        "THE STORE IS NOT",
        "the server exits after it",
    ),
    (
        "src/os/late.rs",
        "still waiting",
        "a start, and then once in LINES_SPAN",
    ),
    ("src/os/late.rs", "the disk has answered", "a start"),
    (
        "src/os/mod.rs",
        "cannot wake",
        "only if the kernel refuses a call that does not fail",
    ),
    (
        "src/os/supervisor.rs",
        "cannot reach the supervisor",
        "a start",
    ),
    (
        "src/os/supervisor.rs",
        "cannot tell the supervisor",
        "only the supervisor can cause it, at most once in NOTIFY_RETRY",
    ),
    (
        "src/os/trace_file.rs",
        "the trace goes on",
        "the server asks `may_tell` before it hands the request over",
    ),
    ("src/os/trace_file.rs", "cannot open the trace", "the same"),
    (
        "src/os/trace_file.rs",
        "cannot write the trace",
        "once, and again after a line of the two above",
    ),
    (
        "src/server/accepting.rs",
        "no place for",
        "once in LINES_SPAN: `is_due`",
    ),
    (
        "src/server/accepting.rs",
        "{holder} has",
        "once in LINES_SPAN: `is_due`",
    ),
    (
        "src/server/certificates.rs",
        "the certificates were",
        "`may_tell` is asked when the files were read",
    ),
    (
        "src/server/certificates.rs",
        "{what} in {file}",
        "once for each level of each certificate, and again after a SIGHUP that was told",
    ),
    (
        "src/server/dialing.rs",
        "--peer {name} has too many addresses",
        "once for each name",
    ),
    (
        "src/server/report.rs",
        "refused {address}, which says",
        "once in LINES_SPAN: `is_due`",
    ),
    (
        "src/server/report.rs",
        "{who} raises",
        "RAISE_REPORTS_MAX in the actor",
    ),
    (
        "src/server/report.rs",
        "NOT HANDING OUT IDENTITIES ({standing})",
        "once in a life",
    ),
    (
        "src/server/report.rs",
        "NOT HANDING OUT IDENTITIES: a peer now says",
        "a function whose callers ask, or that ends a minute",
    ),
    ("src/server/report.rs", "asked the peers", "once in a life"),
    (
        "src/server/report.rs",
        "--join-timeout 0 waits for no peer",
        "once in a life",
    ),
    (
        "src/server/report.rs",
        "--peer names only this server itself",
        "once in a life",
    ),
    (
        "src/server/report.rs",
        "too few peers have answered yet",
        "twice in a life: while it joins, and while it claims its pid",
    ),
    (
        "src/server/report.rs",
        "NOT STARTED",
        "the server exits after it",
    ),
    ("src/server/report.rs", "{percent} %", "once for each level"),
    (
        "src/server/report.rs",
        "THE SEQUENCE IS USED UP",
        "once in a life",
    ),
    (
        "src/server/report.rs",
        "the state directory cannot be written",
        "the server exits after it",
    ),
    (
        "src/server/report.rs",
        "{}: and {count} more",
        "one for each kind in LINES_SPAN",
    ),
    (
        "src/server/stopping.rs",
        "asked to stop a second time",
        "the server exits after it",
    ),
    (
        "src/server/stopping.rs",
        "asked to stop: answering",
        "once in a life",
    ),
    (
        "src/server/stopping.rs",
        "what the peers have said",
        "the server exits after it",
    ),
    (
        "src/server/stopping.rs",
        "the disk takes too long",
        "the server exits after it",
    ),
    (
        "src/server/stopping.rs",
        "etcd takes too long",
        "the server exits after it",
    ),
    (
        "src/server/stopping.rs",
        "some clients do not read",
        "the server exits after it",
    ),
    (
        "src/server/stopping.rs",
        "{late} clients did not close",
        "once in a life",
    ),
    (
        "src/server/stopping.rs",
        "stopped at sequence",
        "once in a life",
    ),
    (
        "src/server/watching.rs",
        "cannot write the trace",
        "once: there is no trace after it",
    ),
];

/// The macros that log, but for those of the level debug.
const LEVELS: &[&str] = &["info!(", "warn!(", "error!("];

/// What may stand before the name of an event: in a macro, in a note or a warning, in a call, beside its kind.
const NAMING: &[&str] = &[
    "event = \"",
    "event: \"",
    "UNNAMED: &str = \"",
    "Level::",
    "Line::",
];

/// How far behind the name of an event its text is looked for.
const TEXT_MAX: usize = 600;

/// Events with a text that is not beside their name: it is made before, or in another file.
const TEXT_ELSEWHERE: &[&str] = &[
    "descriptorsFew",
    "linesMissing",
    "listening",
    "objectedBefore",
    "panicked",
    "pidConflict",
    "pidStale",
    "writeFailed",
];

#[test]
fn every_log_line_has_a_bound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join("src"), &mut paths);
    let mut used = vec![false; BOUNDED_OTHERWISE.len()];
    let mut unbounded = Vec::new();
    let mut found = 0;
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root).unwrap().to_str().unwrap();
        for (at, line) in log_lines(&text) {
            found += 1;
            let row = BOUNDED_OTHERWISE
                .iter()
                .position(|(file, begins, _)| *file == path && begins_like(&line, begins));
            match row {
                Some(row) => used[row] = true,
                None if asks(&text, at) => {}
                None => unbounded.push(format!("{path}:{}: {line}", at + 1)),
            }
        }
    }
    assert!(found >= 30, "only {found} lines were found");
    assert!(
        unbounded.is_empty(),
        "these ask no `may_tell`, and the table does not say what bounds them:\n{}",
        unbounded.join("\n")
    );
    for (row, used) in BOUNDED_OTHERWISE.iter().zip(used) {
        assert!(used, "there is no such line: {row:?}");
    }
}

/// Each line of the log that a file writes: where, and its text as the code has it.
fn log_lines(text: &str) -> Vec<(usize, String)> {
    // Only to leave comments and tests out: it keeps the lines, but not what is in strings.
    let code = Source::code_of(text);
    let lines: Vec<&str> = text.lines().collect();
    let is_one = |line: &str| LEVELS.iter().any(|it| line.contains(it));
    let numbers = code
        .lines()
        .enumerate()
        .filter(|(_, line)| is_one(line))
        .map(|(at, _)| at);
    let shown = |at: usize| {
        let behind = lines[at..].join("\n");
        let called = behind.find("!(").expect("it was found") + 2;
        // Before the text are the parts of the line that have names, and no semicolon is in them.
        let said = match behind[called..].trim_start().starts_with("event = ") {
            true => behind[called..].split_once(';').expect("a text").1,
            false => &behind[called..],
        };
        said.split('"').nth(1).unwrap_or_default().to_owned()
    };
    numbers.map(|at| (at, shown(at))).collect()
}

#[test]
fn every_log_line_has_an_event_and_the_page_lists_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join("src"), &mut paths);
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    let mut unnamed = Vec::new();
    let mut found = 0;
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        // It is read to the tests, which may name what they like.
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (at, has_event) in macros(text) {
            found += 1;
            if !has_event {
                unnamed.push(format!("{}:{}", path.display(), at + 1));
            }
        }
        for (event, behind) in events(text) {
            *named.entry(event).or_default() += &behind;
        }
    }
    assert!(found >= 60, "only {found} lines were found");
    assert!(unnamed.is_empty(), "these have no event: {unnamed:?}");

    let page = page::read("docs/operations.md");
    let table = page.split("## Log lines").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let mut listed = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let texts = ticked(cells[0]);
        // The events that have no line of their own come first in their rows.
        let (texts, events) = match is_event(texts[0]) {
            true => (Vec::new(), texts),
            false => (texts, ticked(cells[1])),
        };
        for event in &events {
            assert!(is_event(event), "{row}: {event:?} is no event");
            assert!(named.contains_key(*event), "src/ has no event {event:?}");
            listed.insert((*event).to_owned());
        }
        let code: String = events.iter().map(|event| &*named[*event]).collect();
        let is_elsewhere = events.iter().any(|event| TEXT_ELSEWHERE.contains(event));
        // The text in place of `...` is different each time.
        let pieces = texts.iter().flat_map(|text| text.split("..."));
        for piece in pieces.filter(|piece| piece.len() > 3 && !is_elsewhere) {
            assert!(code.contains(piece), "{events:?} does not say {piece:?}");
        }
    }
    let named: BTreeSet<String> = named.into_keys().collect();
    assert_eq!(listed, named, "the page and the code name other events");
}

/// Where each macro is that logs, and whether an event comes first in it.
fn macros(text: &str) -> Vec<(usize, bool)> {
    let code = Source::code_of(text);
    let mut found = Vec::new();
    for (at, line) in code.lines().enumerate() {
        for call in LEVELS.iter().chain(&["debug!(", "log!("]) {
            if let Some(start) = line.find(call) {
                let first = line[start + call.len()..].trim();
                let next = code.lines().nth(at + 1).unwrap_or_default().trim();
                let inside = if first.is_empty() { next } else { first };
                found.push((at, inside.starts_with("event = ")));
            }
        }
    }
    found
}

/// Each name of an event in a file, with what stands behind it: up to the next one, and without breaks of lines.
fn events(text: &str) -> Vec<(String, String)> {
    let joined = text.split("\\\n").map(str::trim_start);
    let text: String = joined.collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut starts = Vec::new();
    for naming in NAMING {
        for (at, _) in text.match_indices(naming) {
            let behind = &text[at + naming.len()..];
            // In a call and beside a kind, a word comes first.
            let name_at = match naming.ends_with('"') {
                true => Some(0),
                false => behind
                    .find(|c: char| !c.is_alphanumeric())
                    .filter(|end| behind[*end..].starts_with(", \""))
                    .map(|end| end + 3),
            };
            let name = name_at.and_then(|start| behind[start..].split('"').next());
            if let Some(name) = name.filter(|name| is_event(name)) {
                starts.push((at, name.to_owned()));
            }
        }
    }
    starts.sort();
    let ends = starts.iter().skip(1).map(|(at, _)| *at);
    let ends: Vec<usize> = ends.chain([text.len()]).collect();
    let behind = |at: usize, end: usize| text[at..end].chars().take(TEXT_MAX).collect();
    let named = starts.iter().zip(ends);
    named
        .map(|((at, name), end)| (name.clone(), behind(*at, end)))
        .collect()
}

/// The texts in backticks.
fn ticked(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The name of an event is one word in lower camel case.
fn is_event(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
}

#[test]
fn a_line_without_an_event_is_found() {
    let text = "fn f() {\n    warn!(\n        event = \"peerDown\", peer:% = a;\n        \"peer \\\n         {a}; b\"\n    );\n    debug!(\"c\");\n    put(Level::Info, \"listening\", d);\n}\n";
    assert_eq!(macros(text), [(1, true), (6, false)]);
    assert_eq!(
        log_lines(text),
        [(1, "peer \\\n         {a}; b".to_owned())]
    );
    let found = events(text);
    let names: Vec<&str> = found.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["peerDown", "listening"]);
    assert!(found[0].1.contains("\"peer {a}; b\""), "{:?}", found[0].1);
    assert!(!found[0].1.contains("listening"), "{:?}", found[0].1);
}

/// An empty pattern of arguments alone, `{}`, has to be the whole text.
fn begins_like(line: &str, begins: &str) -> bool {
    match begins {
        "{}" => line == begins,
        _ => line.starts_with(begins),
    }
}

fn asks(text: &str, at: usize) -> bool {
    let before = text.lines().take(at + 1).skip(at.saturating_sub(DISTANCE));
    before.into_iter().any(|line| line.contains("may_tell("))
}

#[test]
fn a_line_that_does_not_ask_is_found() {
    let asks_first = "fn f() {\n    if self.may_tell(Line::PeerUp, whom) {\n        warn!(\n            \"a {b}\"\n        );\n    }\n}";
    assert_eq!(log_lines(asks_first), [(2, "a {b}".to_owned())]);
    assert!(asks(asks_first, 2));
    let does_not = "fn f() {\n    // warn!(\"no\");\n    ::log::error!(\"c\");\n}";
    assert_eq!(log_lines(does_not), [(2, "c".to_owned())]);
    assert!(!asks(does_not, 2));
}
