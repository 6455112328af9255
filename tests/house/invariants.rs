//! The lines of docs/architecture.md that begin with "Invariant:". Each says what is always true of a room because
//! something is not there. What can be seen in the code is looked for here; for the others the tests are named.

use std::collections::BTreeMap;

use ipseity_harness::page;

use crate::tidy::{CLOCK_READINGS, Source, check, named, outside, paths_from, written};

/// How an invariant is held.
enum Held {
    /// No file of the room breaks this rule.
    InCode(fn(&Source) -> Vec<String>),
    /// In these rooms, which are not only its own, no file breaks it.
    InRooms(&'static [&'static str], fn(&Source) -> Vec<String>),
    /// One file of the room has this text.
    Has(&'static str),
    /// It cannot be seen in the code: these tests hold it.
    ByTests(&'static [&'static str]),
}

use Held::{ByTests, Has, InCode, InRooms};

/// Everything that opens, connects or looks something up.
const OPENS: &[&str] = &[
    "File::open",
    "File::create",
    "OpenOptions::",
    "TcpStream::",
    "TcpListener::",
    "UdpSocket::",
    "ToSocketAddrs",
    "Command::new",
];

/// Each room, how the line of the page begins, and how it is held.
const INVARIANTS: &[(&str, &str, Held)] = &[
    (
        "core::limits",
        "`const` assertions tie the bounds",
        Has("const _: () ="),
    ),
    (
        "core::time",
        "it reads no clock",
        InCode(|source| written(&source.code, CLOCK_READINGS)),
    ),
    (
        "core::text",
        "it knows no terminal and no log",
        InCode(|source| named(&source.code, &["log", "io", "stdout", "stderr"])),
    ),
    (
        "core::address",
        "it is text, and nothing looks it up here",
        InCode(opens),
    ),
    (
        "core::identity",
        "no value out of range can be made, and no arithmetic wraps",
        InCode(|source| {
            let mut broken = written(&source.code, &["wrapping_", "unchecked", "overflowing_"]);
            // Their numbers are private, so nothing outside of this file makes one.
            for field in [
                "struct Pid(u16);",
                "struct Sequence(u64);",
                "struct Identity(u64);",
            ] {
                if !source.code.contains(field) {
                    broken.push(format!("no `{field}`"));
                }
            }
            broken
        }),
    ),
    (
        "core::ids",
        "they are names and not sockets",
        InCode(|source| outside(&source.code)),
    ),
    (
        "core::words",
        "it names no codec",
        InCode(|source| {
            named(
                &source.code,
                &["bincode", "byteorder", "ipseity_frames", "frames"],
            )
        }),
    ),
    (
        "core::actor",
        "it has no socket, no clock, no file and no randomness",
        InCode(|source| {
            let mut broken = outside(&source.code);
            broken.extend(written(&source.code, CLOCK_READINGS));
            broken.extend(written(&source.code, &["Rng::new(", "fastrand::u"]));
            broken
        }),
    ),
    (
        "core::timer",
        "no kind has a second slot",
        Has("deadlines: [Option<Instant>; Timer::ALL.len()]"),
    ),
    (
        "trust",
        "it opens nothing and looks nothing up; it is told what a name leads to",
        InCode(opens),
    ),
    (
        "frames",
        "it does no I/O and never allocates because of a length in a frame",
        InCode(|source| {
            let mut broken = outside(&source.code);
            broken.extend(written(&source.code, &["with_capacity(", "reserve("]));
            broken
        }),
    ),
    (
        "console",
        "it opens nothing and looks nothing up",
        InCode(|source| {
            let mut broken = opens(source);
            broken.extend(written(&source.code, &["println!", "print!"]));
            broken
        }),
    ),
    (
        "client",
        "it names nothing of the server",
        InCode(no_server),
    ),
    (
        "limits",
        "`const` assertions tie the bounds",
        Has("const _: () ="),
    ),
    (
        "mailbox",
        "it has no second queue and no priorities",
        InCode(|source| {
            let queues = source.code.matches("VecDeque<").count();
            let mut broken = named(&source.code, &["BinaryHeap", "BTreeMap", "BTreeSet"]);
            if queues != 1 {
                broken.push(format!("{queues} queues"));
            }
            broken
        }),
    ),
    (
        "options",
        "it opens nothing and looks nothing up",
        InCode(opens),
    ),
    (
        "store",
        "nothing in it repeats a failed write or sync",
        ByTests(&[
            "tests/process/disk.rs",
            "tests/process/store_faults.rs",
            "tests/core/store.rs",
        ]),
    ),
    (
        "trace",
        "it only reads what it prints",
        InCode(|source| written(&source.code, &["&mut Entry", "&mut Effect", "&mut Event"])),
    ),
    (
        "edge",
        "nothing else leads outside",
        InRooms(
            &[
                "server",
                "transport",
                "connection",
                "codec",
                "listeners",
                "buffer",
                "peers",
                "mailbox",
            ],
            |source| {
                let mut broken = opens(source);
                broken.extend(written(&source.code, CLOCK_READINGS));
                broken.extend(written(&source.code, &["thread::", "getrandom"]));
                broken
            },
        ),
    ),
    (
        "codec",
        "every codec gives the same messages",
        ByTests(&["tests/core/golden_bytes.rs", "tests/core/frames.rs"]),
    ),
    (
        "listeners",
        "no address lets a connection do more than its listener does",
        ByTests(&["src/listeners.rs"]),
    ),
    (
        "buffer",
        "a connection on which nothing is under way has none",
        ByTests(&["tests/memory.rs", "src/buffer.rs"]),
    ),
    (
        "connection",
        "no state leads back to an earlier one",
        ByTests(&["tests/virtual/transport.rs", "tests/virtual/turn.rs"]),
    ),
    (
        "transport",
        "it never looks into an identity",
        InCode(|source| {
            written(
                &source.code,
                &[
                    "Identity::new",
                    "Identity::from",
                    ".sequence()",
                    "Sequence::",
                ],
            )
        }),
    ),
    (
        "peers",
        "it opens nothing, and it has no state in which a peer is given up for good",
        InCode(opens),
    ),
    (
        "server",
        "it changes no sequence",
        InCode(|source| {
            written(
                &source.code,
                &[
                    "Identity::new",
                    "checked_add",
                    "saturating_add",
                    "Sequence::new",
                ],
            )
        }),
    ),
    (
        "os",
        "its helper threads hold nothing of the server",
        InCode(|source| match source.code.contains("thread::") {
            true => named(&source.code, &["Actor", "Transport", "Peers", "Server"]),
            false => Vec::new(),
        }),
    ),
    ("bench", "it names nothing of the server", InCode(no_server)),
    ("cli", "it names nothing of the server", InCode(no_server)),
    (
        "bin/ipseity",
        "it listens before it opens the state directory",
        ByTests(&["tests/process/directory.rs", "tests/process/life.rs"]),
    ),
    (
        "bin/ipseity-cli",
        "it contains nothing else",
        InCode(|source| {
            let lines = source.code.lines().filter(|line| !line.trim().is_empty());
            match lines.count() {
                0..=4 => Vec::new(),
                more => vec![format!("{more} lines of code")],
            }
        }),
    ),
];

fn opens(source: &Source) -> Vec<String> {
    let mut broken = written(&source.code, OPENS);
    broken.extend(
        paths_from(&source.code, "std")
            .into_iter()
            .filter(|path| path.get(1).is_some_and(|module| module == "fs"))
            .map(|path| format!("`{}`", path.join("::"))),
    );
    broken
}

fn no_server(source: &Source) -> Vec<String> {
    paths_from(&source.code, "ipseity")
        .into_iter()
        .map(|path| format!("`{}`", path.join("::")))
        .collect()
}

#[test]
fn every_invariant_of_the_page_is_held_and_no_other() {
    let page = page::read("docs/architecture.md");
    let mut on_page = BTreeMap::new();
    let mut lines = page.lines().skip_while(|line| *line != "## Modules");
    while let Some(line) = lines.next() {
        let Some(room) = line
            .strip_prefix("- **`")
            .and_then(|rest| rest.split_once("`**"))
        else {
            continue;
        };
        let invariant = lines.next().unwrap_or_default();
        let invariant = invariant
            .strip_prefix("  Invariant: ")
            .unwrap_or_else(|| panic!("{}: {invariant}", room.0));
        on_page.insert(room.0, invariant);
    }
    for (room, invariant) in &on_page {
        assert!(
            INVARIANTS
                .iter()
                .any(|(named, begins, _)| named == room && invariant.starts_with(begins)),
            "INVARIANTS does not have what docs/architecture.md says of {room}: {invariant}"
        );
    }
    assert_eq!(on_page.len(), INVARIANTS.len(), "INVARIANTS has more");
}

#[test]
fn what_an_invariant_says_is_not_there_is_not_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (room, _, held) in INVARIANTS {
        match held {
            InCode(rule) => check(|source| match source.room == *room {
                true => rule(source),
                false => Vec::new(),
            }),
            InRooms(rooms, rule) => check(|source| match rooms.contains(&source.room.as_str()) {
                true => rule(source),
                false => Vec::new(),
            }),
            Has(text) => {
                let seen = std::cell::Cell::new(false);
                check(|source| {
                    if source.room == *room && source.code.contains(text) {
                        seen.set(true);
                    }
                    Vec::new()
                });
                assert!(seen.get(), "{room} has no {text:?}");
            }
            ByTests(files) => {
                for file in *files {
                    let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
                    assert!(text.contains("#[test]"), "{room}: no tests in {file}");
                }
            }
        }
    }
}

#[test]
fn an_invariant_that_is_broken_is_found() {
    for (room, path, code) in [
        (
            "core::time",
            "crates/core/src/time.rs",
            "fn now() { Instant::now(); }",
        ),
        ("core::text", "crates/core/src/text.rs", "use std::io;"),
        (
            "core::words",
            "crates/core/src/words/status.rs",
            "use bincode::config;",
        ),
        (
            "core::actor",
            "crates/core/src/actor/mod.rs",
            "use std::fs::File;",
        ),
        (
            "frames",
            "crates/frames/src/frame.rs",
            "fn f() { Vec::<u8>::with_capacity(9); }",
        ),
        (
            "client",
            "crates/client/src/lib.rs",
            "use ipseity::server::Server;",
        ),
        (
            "mailbox",
            "src/mailbox.rs",
            "struct M { a: VecDeque<u8>, b: VecDeque<u8> }",
        ),
        (
            "options",
            "src/options/mod.rs",
            "fn f() { File::open(\"x\"); }",
        ),
        ("trace", "src/trace.rs", "fn entry(entry: &mut Entry) {}"),
        (
            "transport",
            "src/transport/mod.rs",
            "fn f(id: Identity) { id.sequence(); }",
        ),
        (
            "server",
            "src/server/mod.rs",
            "fn f(s: Sequence) { s.checked_add(1); }",
        ),
        (
            "os",
            "src/os/disk.rs",
            "fn f(a: Actor) { thread::spawn(|| {}); }",
        ),
    ] {
        let source = Source::new(path, code);
        assert_eq!(source.room, room);
        let (_, _, held) = INVARIANTS
            .iter()
            .find(|(named, ..)| *named == room)
            .unwrap();
        let InCode(rule) = held else {
            panic!("{room} is not held in its code");
        };
        assert!(!rule(&source).is_empty(), "{room}: {code}");
    }
}
