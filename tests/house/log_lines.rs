//! Every line that others can cause has a bound. A line of the server's log either asks `may_tell` first, or it is in
//! the table below with what else bounds it. Lines of the level debug are left out: whoever asks for them wants each.

use std::{fs, path::Path};

use crate::tidy::{Source, collect};

/// How far before a line `may_tell` may be asked: the longest way between the two.
const DISTANCE: usize = 8;

/// The file, how the text of the line begins, and why it needs no kind of its own.
const BOUNDED_OTHERWISE: &[(&str, &str, &str)] = &[
    ("src/bin/ipseity.rs", "{} file descriptors", "a start"),
    (
        "src/bin/ipseity.rs",
        "{note}",
        "a start, one for each thing that it found",
    ),
    ("src/bin/ipseity.rs", "{}", "a start"),
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
        "all {} places",
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
        "--peer {} has too many addresses",
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
        "some clients do not read",
        "the server exits after it",
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
    let is_one = |line: &str| {
        ["info!(", "warn!(", "error!("]
            .iter()
            .any(|it| line.contains(it))
    };
    let numbers = code
        .lines()
        .enumerate()
        .filter(|(_, line)| is_one(line))
        .map(|(at, _)| at);
    let shown = |at: usize| {
        let behind = lines[at..].join("\n");
        let called = behind.find("!(").expect("it was found") + 2;
        let quoted = behind[called..].split('"').nth(1).unwrap_or_default();
        quoted.to_owned()
    };
    numbers.map(|at| (at, shown(at))).collect()
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
