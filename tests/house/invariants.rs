//! The lines of docs/architecture.md that begin with "Invariant:". Each says what is always true of a room because
//! something is not there. What can be seen in the code is looked for here; for the rest the tests are named.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
};

use ipseity_harness::page;

use crate::tidy::{CLOCK_READINGS, Source, check, named, outside, paths_from, written};

/// How an invariant, or a part of it, is held.
enum Held {
    /// No file of the room breaks this rule. Each of these pieces of code would.
    InCode(Rule, &'static [&'static str]),
    /// The same in these rooms, which are not only its own.
    InRooms(&'static [&'static str], Rule, &'static [&'static str]),
    /// One file of the room has this text.
    Has(&'static str),
    /// It cannot be seen in the code: in this file these tests hold it.
    ByTests(&'static str, &'static [&'static str]),
}

/// What in a file breaks a rule.
type Rule = fn(&Source) -> Vec<String>;

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

/// Each room, the line of the page, and how its parts are held.
const INVARIANTS: &[(&str, &str, &[Held])] = &[
    (
        "core::limits",
        "`const` assertions tie the bounds that depend on each other.",
        &[Has("const _: () =")],
    ),
    (
        "core::time",
        "it reads no clock, so time can be simulated.",
        &[InCode(
            |source| written(&source.code, CLOCK_READINGS),
            &[
                "fn now() { Instant::now(); }",
                "fn f(at: Instant) { at.elapsed(); }",
            ],
        )],
    ),
    (
        "core::text",
        "it knows no terminal and no log, so the same rule of what is safe applies to all of them.",
        &[InCode(
            |source| named(&source.code, &["log", "io", "stdout", "stderr"]),
            &["use std::io;", "use log::info;"],
        )],
    ),
    (
        "core::address",
        "it is text, and nothing looks it up here.",
        &[InCode(opens, &["use std::net::ToSocketAddrs;"])],
    ),
    (
        "core::identity",
        "no value out of range can be made, and no arithmetic wraps.",
        &[
            InCode(
                |source| written(&source.code, &["wrapping_", "unchecked", "overflowing_"]),
                &["fn f(a: u64) { a.wrapping_add(1); }"],
            ),
            // clippy, which .ci/run calls, refuses every other arithmetic that could wrap.
            Has("#![forbid(clippy::arithmetic_side_effects)]"),
            // Their numbers are private, so nothing outside of this file makes one.
            Has("struct Pid(u16);"),
            Has("struct Sequence(u64);"),
            Has("struct Identity(u64);"),
            ByTests(
                "crates/core/src/identity.rs",
                &["the_ends_are_refused_and_never_wrap"],
            ),
        ],
    ),
    (
        "core::ids",
        "they are names and not sockets, so they can be stored, printed and compared.",
        &[InCode(|source| outside(&source.code), &["use mio::Token;"])],
    ),
    (
        "core::words",
        "it names no codec, so the guarantees do not depend on how a client asks.",
        &[InCode(
            |source| {
                named(
                    &source.code,
                    &["bincode", "byteorder", "ipseity_frames", "frames"],
                )
            },
            &["use bincode::config;", "use ipseity_frames::encode;"],
        )],
    ),
    (
        "core::actor",
        "it has no socket, no clock, no file and no randomness (random draws follow from the session, which it is \
         given), so the same events at the same moments give the same effects.",
        &[
            InCode(
                |source| {
                    let mut broken = outside(&source.code);
                    broken.extend(written(&source.code, CLOCK_READINGS));
                    // The order in a map that is hashed differs from one process to the next.
                    broken.extend(named(
                        &source.code,
                        &["fastrand", "RandomState", "HashMap", "HashSet"],
                    ));
                    broken
                },
                &[
                    "use std::fs::File;",
                    "use std::net::TcpStream;",
                    "fn f() { Instant::now(); }",
                    "fn f() { fastrand::u64(..); }",
                    "use std::collections::HashMap;",
                ],
            ),
            ByTests(
                "tests/virtual/fanout.rs",
                &["the_session_decides_the_order_of_the_peers"],
            ),
            ByTests(
                "tests/simulation/seeds.rs",
                &["the_same_seed_gives_the_same_trace_byte_for_byte"],
            ),
        ],
    ),
    (
        "core::timer",
        "no kind has a second slot, so each time a timer is set it is put into the mailbox at most once.",
        &[
            Has("deadlines: [Option<Instant>; Timer::ALL.len()]"),
            ByTests(
                "crates/core/src/timer.rs",
                &["the_table_has_a_slot_for_each_kind"],
            ),
        ],
    ),
    (
        "trust",
        "it opens nothing and looks nothing up; it is told what a name leads to, so what it believes can be tested without a network.",
        &[InCode(
            opens,
            &["fn f() { std::net::TcpStream::connect(A); }"],
        )],
    ),
    (
        "frames",
        "it does no I/O and never allocates because of a length in a frame, so no input can make it block or grow; \
         only one of its files names `bincode`.",
        &[
            InCode(
                |source| {
                    let mut broken = outside(&source.code);
                    broken.extend(sized(&source.code));
                    broken
                },
                &[
                    "use std::net::TcpStream;",
                    "fn f(n: usize) { Vec::<u8>::with_capacity(n); }",
                    "fn f(n: usize) { let a = vec![0; n]; }",
                    "fn f(n: usize) { let a = vec![[0; 4]; n]; }",
                    "fn f(n: usize, a: &mut Vec<u8>) { a.resize(n, 0); }",
                ],
            ),
            ByTests(
                "tests/memory.rs",
                &[
                    "a_length_that_claims_more_than_its_body_has_takes_no_memory",
                    "decoding_takes_memory_only_for_bytes_that_have_arrived",
                ],
            ),
            ByTests("tests/house/tidy.rs", &["bincode_is_named_in_one_file"]),
        ],
    ),
    (
        "http",
        "it does no I/O and reads no clock, and never takes memory because of a number in a request, so no input can make \
         it block or grow.",
        &[InCode(
            |source| {
                let mut broken = outside(&source.code);
                broken.extend(written(&source.code, CLOCK_READINGS));
                broken.extend(sized(&source.code));
                broken
            },
            &[
                "use std::net::TcpStream;",
                "fn f() { Instant::now(); }",
                "fn f(n: usize) { Vec::<u8>::with_capacity(n); }",
            ],
        )],
    ),
    (
        "console",
        "it opens nothing and looks nothing up, and it never panics because a stream cannot be written.",
        &[
            InCode(
                |source| {
                    let mut broken = opens(source);
                    // Each of them panics if it cannot write.
                    broken.extend(written(&source.code, &["println!", "print!"]));
                    broken
                },
                &["use std::fs;", "fn f() { eprintln!(); }"],
            ),
            ByTests(
                "tests/cli/commands.rs",
                &["output_that_cannot_be_written_is_an_error"],
            ),
        ],
    ),
    (
        "monitor",
        "it sees nothing but a status, so `ipseity-cli` can show everything that a monitor sees.",
        &[InCode(
            |source| {
                let mut broken = outside(&source.code);
                broken.extend(written(&source.code, CLOCK_READINGS));
                broken
            },
            &[
                "use std::net::TcpStream;",
                "fn f() { std::time::Instant::now(); }",
            ],
        )],
    ),
    (
        "tls",
        "it opens no socket and reads no clock, so it decides nothing about when and to whom TLS is spoken.",
        &[InCode(
            |source| {
                let mut broken = named(&source.code, &["TcpStream", "TcpListener", "UdpSocket"]);
                broken.extend(written(&source.code, CLOCK_READINGS));
                broken
            },
            &[
                "use std::net::TcpStream;",
                "fn f() { std::time::SystemTime::now(); }",
            ],
        )],
    ),
    (
        "etcd",
        "it names no pid and no sequence, so it decides nothing about identities.",
        &[InCode(
            |source| {
                named(
                    &source.code,
                    &["identity", "actor", "Pid", "Sequence", "ipseity_pids"],
                )
            },
            &["use ipseity_core::identity::Pid;", "fn f(a: Sequence) {}"],
        )],
    ),
    (
        "pids",
        "it makes no call, reads no clock and does not wait, so the code that runs before a simulated etcd is the one \
         that runs.",
        &[InCode(
            |source| {
                let mut broken = outside(&source.code);
                broken.extend(written(&source.code, CLOCK_READINGS));
                broken.extend(named(&source.code, &["Gateway", "World", "sleep"]));
                broken
            },
            &[
                "use ipseity_etcd::Gateway;",
                "fn f() { std::thread::sleep(a); }",
                "fn f() { Instant::now(); }",
            ],
        )],
    ),
    (
        "client",
        "it names nothing of the server, only the identity and the wire, so a test of one against the other is a \
         test of the protocol.",
        &[
            InCode(no_server, &["use ipseity::server::Server;"]),
            ByTests("tests/house/tidy.rs", &["imports_point_one_way"]),
        ],
    ),
    (
        "limits",
        "`const` assertions tie the bounds that depend on each other, so a build with bounds that contradict each \
         other does not exist.",
        &[Has("const _: () =")],
    ),
    (
        "secure",
        "it knows no socket and no connection, so every step of it can be tested with bytes.",
        &[InCode(
            |source| {
                let mut broken = named(
                    &source.code,
                    &["mio", "edge", "connection", "transport", "mailbox"],
                );
                broken.extend(written(&source.code, OPENS));
                broken
            },
            &[
                "use crate::edge::Socket;",
                "use crate::connection::Connection;",
                "fn f() { TcpStream::connect(address); }",
            ],
        )],
    ),
    (
        "mailbox",
        "it has no second queue and no priorities, so what came first is handled first.",
        &[
            InCode(
                |source| {
                    let queues = source.code.matches("VecDeque<").count();
                    let mut broken = named(
                        &source.code,
                        &["BinaryHeap", "BTreeMap", "BTreeSet", "push_front"],
                    );
                    if queues != 1 {
                        broken.push(format!("{queues} queues"));
                    }
                    broken
                },
                &[
                    "struct M { a: VecDeque<u8>, b: VecDeque<u8> }",
                    "fn f(a: &mut VecDeque<u8>) { a.push_front(1); }",
                ],
            ),
            ByTests(
                "src/mailbox.rs",
                &["entries_leave_in_the_order_in_which_they_came"],
            ),
        ],
    ),
    (
        "options",
        "it opens nothing and looks nothing up, not even the environment, so a wrong command line has no effect but its \
         message.",
        &[InCode(
            |source| {
                let mut broken = opens(source);
                broken.extend(written(&source.code, &["env::var", "uname("]));
                broken
            },
            &[
                "fn f() { File::open(path); }",
                "fn f() { std::env::vars_os(); }",
                "fn f() { rustix::system::uname(); }",
            ],
        )],
    ),
    (
        "store",
        "nothing in it repeats a failed write or sync (one that a signal interrupted before it moved a byte has not \
         failed), so an error that the disk has reported once always counts.",
        &[
            ByTests(
                "tests/process/store_faults.rs",
                &[
                    "a_failing_write_breaks_no_promise",
                    "a_failing_sync_breaks_no_promise",
                    "an_interrupted_write_is_repeated",
                ],
            ),
            ByTests(
                "src/store/slots/tests.rs",
                &["nothing_follows_a_stop_or_a_failure"],
            ),
        ],
    ),
    (
        "pid_store",
        "it makes no comparison and no value of its own, so every decision about a pid is one of `pids`.",
        &[InCode(
            |source| named(&source.code, &["Txn", "Compare", "Op", "Value"]),
            &["fn f() { Call::Txn(a); }", "use ipseity_etcd::Compare;"],
        )],
    ),
    (
        "trace",
        "it only reads what it prints, so a run with a trace does what the same run does without.",
        &[
            InCode(
                |source| written(&source.code, &["&mut Entry", "&mut Effect", "&mut Event"]),
                &["fn entry(entry: &mut Entry) {}"],
            ),
            ByTests(
                "tests/virtual/turn.rs",
                &["a_trace_changes_nothing_that_a_client_sees"],
            ),
        ],
    ),
    (
        "edge",
        "nothing else leads outside, so the same server runs in a simulation.",
        &[InRooms(
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
            &[
                "fn f() { TcpStream::connect(address); }",
                "fn f() { Instant::now(); }",
                "fn f() { thread::spawn(g); }",
                "fn f() { getrandom::u64(); }",
            ],
        )],
    ),
    (
        "codec",
        "every codec gives the same messages, so the guarantees do not depend on how a client asks.",
        &[ByTests(
            "tests/core/golden_bytes.rs",
            &[
                "every_message_is_encoded_to_its_golden_bytes",
                "golden_bytes_are_decoded_to_their_message",
            ],
        )],
    ),
    (
        "listeners",
        "no address lets a connection do more than its listener does.",
        &[
            ByTests(
                "src/listeners.rs",
                &["no_address_allows_more_than_the_listener_does"],
            ),
            ByTests(
                "tests/virtual/transport.rs",
                &["a_connection_is_denied_what_its_listener_does_not_grant_and_stays_open"],
            ),
        ],
    ),
    (
        "buffer",
        "a connection on which nothing is under way has none, so ten thousand idle ones cost little.",
        &[ByTests(
            "tests/process/load.rs",
            &["ten_thousand_idle_connections_are_cheap_and_do_not_hinder_others"],
        )],
    ),
    (
        "connection",
        "no state leads back to an earlier one, so a closed connection stays closed.",
        &[
            // It has an assertion, and the simulation meets every state.
            Has("debug_assert!(self.state < state,"),
            InRooms(
                &["connection", "transport"],
                // Only in `go_on_to`, behind the assertion.
                |source| match source.code.matches(".state = ").count() {
                    0 => Vec::new(),
                    1 if source.room == "connection" => Vec::new(),
                    _ => vec!["a state is set without `go_on_to`".to_owned()],
                },
                &["fn f(c: &mut Connection) { c.state = ConnectionState::Open; }"],
            ),
            ByTests(
                "tests/simulation/seeds.rs",
                &["no_seed_breaks_a_promise_and_together_they_exercise_everything"],
            ),
        ],
    ),
    (
        "transport",
        "it never looks into an identity, so no mistake in it can hand one out twice.",
        &[InCode(
            |source| {
                written(
                    &source.code,
                    &[
                        "Identity::new",
                        "Identity::from",
                        ".sequence()",
                        "Sequence::",
                    ],
                )
            },
            &["fn f(id: Identity) { id.sequence(); }"],
        )],
    ),
    (
        "peers",
        "it opens nothing, and it has no state in which a named peer is given up for good, so a peer that comes back is \
         found.",
        &[
            InCode(opens, &["fn f() { TcpStream::connect(address); }"]),
            ByTests(
                "src/peers/tests.rs",
                &["no_failure_in_any_state_gives_a_peer_up"],
            ),
            ByTests(
                "tests/virtual/peers.rs",
                &[
                    "a_server_that_comes_back_is_found_by_the_servers_that_name_it",
                    "a_name_without_an_address_is_tried_again",
                    "an_attempt_that_hangs_is_given_up_and_repeated",
                ],
            ),
        ],
    ),
    (
        "server",
        "it changes no sequence; it only carries effects out, all of one event before the next.",
        &[
            InCode(
                |source| {
                    written(
                        &source.code,
                        &[
                            "Identity::new",
                            "checked_add",
                            "saturating_add",
                            "Sequence::new",
                        ],
                    )
                },
                &["fn f(s: Sequence) { s.checked_add(1); }"],
            ),
            ByTests(
                "tests/simulation/seeds.rs",
                &["no_seed_breaks_a_promise_and_together_they_exercise_everything"],
            ),
        ],
    ),
    (
        "os",
        "its helper threads hold nothing of the server, so only one thread ever touches it.",
        &[InCode(
            |source| match source.code.contains("thread::") {
                true => named(&source.code, &["Actor", "Transport", "Peers", "Server"]),
                false => Vec::new(),
            },
            &["fn f(a: Actor) { thread::spawn(g); }"],
        )],
    ),
    (
        "opening",
        "it names no server, so nothing is handed out before it has come to its end.",
        &[InCode(
            |source| named(&source.code, &["server", "Server", "transport"]),
            &["use crate::server::Server;"],
        )],
    ),
    (
        "check",
        "it opens nothing and looks nothing up; it is told what was read, so what it says changes nothing.",
        &[
            InCode(
                |source| {
                    let mut broken = opens(source);
                    broken.extend(written(
                        &source.code,
                        &["Settings::read", "Store::", "prospect("],
                    ));
                    broken
                },
                &[
                    "fn f() { File::open(path); }",
                    "fn f() { Settings::read(files); }",
                    "fn f() { Store::open(options); }",
                    "fn f() { prospect(options); }",
                ],
            ),
            ByTests(
                "tests/process/check.rs",
                &["a_check_beside_a_server_changes_nothing"],
            ),
        ],
    ),
    (
        "bench",
        "it names nothing of the server, so it measures other servers in the same way.",
        &[InCode(no_server, &["use ipseity::server::Server;"])],
    ),
    (
        "cli",
        "it names nothing of the server, so any client can do what it does.",
        &[InCode(no_server, &["use ipseity::server::Server;"])],
    ),
    (
        "bin/ipseity",
        "it listens before it opens the state directory, so a start whose address is taken changes nothing there; \
         and it accepts the first connection only after the state directory has made this boot durable, so no \
         server ever answers without a durable ceiling of its own.",
        &[
            InCode(
                |source| {
                    in_order(
                        &source.code,
                        &["Bound::all(", "opening::open(", "Os::new(", "Server::new("],
                    )
                },
                &["fn f() { opening::open(); Bound::all(); Os::new(); Server::new(); }"],
            ),
            ByTests(
                "tests/process/life.rs",
                &["an_address_in_use_gives_one_clear_line_and_leaves_nothing_behind"],
            ),
            ByTests(
                "tests/process/directory.rs",
                &["when_two_start_at_once_on_one_port_the_loser_leaves_nothing_behind"],
            ),
        ],
    ),
    (
        "bin/ipseity-cli",
        "it contains nothing else.",
        &[InCode(
            |source| {
                let lines = source.code.lines().filter(|line| !line.trim().is_empty());
                match lines.count() {
                    0..=4 => Vec::new(),
                    more => vec![format!("{more} lines of code")],
                }
            },
            &["fn main() {\n a();\n b();\n c();\n}"],
        )],
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

/// Where memory is taken for a number that is no constant, and may have come from the network.
fn sized(code: &str) -> Vec<String> {
    let mut broken = written(
        code,
        &["with_capacity(", "reserve(", "reserve_exact(", ".resize"],
    );
    for (at, opening) in code.match_indices("vec![") {
        let inside = &code[at + opening.len()..];
        let mut depth = 1;
        let end = inside.find(|c| {
            depth += match c {
                '[' => 1,
                ']' => -1,
                _ => 0,
            };
            depth == 0
        });
        if let Some((_, size)) = inside[..end.unwrap_or(inside.len())].rsplit_once(';')
            && size.contains(|c: char| c.is_ascii_lowercase())
        {
            broken.push(format!("`vec![...;{size}]`"));
        }
    }
    broken
}

/// Whether each of these pieces of code stands there for the first time behind the one before it.
fn in_order(code: &str, pieces: &[&str]) -> Vec<String> {
    let places: Vec<Option<usize>> = pieces.iter().map(|piece| code.find(piece)).collect();
    match places.iter().all(Option::is_some) && places.is_sorted() {
        true => Vec::new(),
        false => vec![format!("not there or not in this order: {pieces:?}")],
    }
}

/// Holds the code of these rooms against a rule. A room without any would keep every rule.
fn hold(rooms: &[&str], rule: impl Fn(&Source) -> Vec<String>) {
    let seen = RefCell::new(BTreeSet::new());
    check(|source| {
        if !rooms.contains(&source.room.as_str()) || source.code.trim().is_empty() {
            return Vec::new();
        }
        seen.borrow_mut().insert(source.room.clone());
        rule(source)
    });
    for room in rooms {
        assert!(seen.borrow().contains(*room), "{room} has no code");
    }
}

/// Whether the text of a file has a test of this name that runs when nobody asks for it.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let function = format!("fn {name}(");
    let Some(at) = lines.iter().position(|line| line.starts_with(&function)) else {
        return false;
    };
    let is_above = |line: &&&str| line.starts_with("#[") || line.starts_with("//");
    let above: Vec<&&str> = lines[..at].iter().rev().take_while(is_above).collect();
    above.contains(&&"#[test]") && !above.iter().any(|line| line.starts_with("#[ignore"))
}

#[test]
fn every_invariant_of_the_page_is_held_and_no_other() {
    let page = page::read("docs/architecture.md");
    let mut on_page = BTreeMap::new();
    let mut lines = page.lines().skip_while(|line| *line != "## Modules");
    while let Some(line) = lines.next() {
        let Some((room, _)) = line
            .strip_prefix("- **`")
            .and_then(|rest| rest.split_once("`**"))
        else {
            continue;
        };
        let invariant = lines.next().unwrap_or_default();
        let invariant = invariant
            .strip_prefix("  Invariant: ")
            .unwrap_or_else(|| panic!("{room}: {invariant}"));
        on_page.insert(room, invariant);
    }
    for (room, says, held) in INVARIANTS {
        assert_eq!(
            on_page.remove(room),
            Some(*says),
            "left: docs/architecture.md on {room}, right: INVARIANTS"
        );
        assert!(!held.is_empty(), "nothing holds the invariant of {room}");
    }
    assert!(on_page.is_empty(), "INVARIANTS does not have {on_page:#?}");
}

#[test]
fn what_an_invariant_says_is_not_there_is_not_there() {
    for (room, _, held) in INVARIANTS {
        for held in *held {
            match held {
                InCode(rule, _) => hold(&[room], rule),
                InRooms(rooms, rule, _) => hold(rooms, rule),
                Has(text) => {
                    let seen = Cell::new(false);
                    hold(&[room], |source| {
                        seen.set(seen.get() || source.code.contains(text));
                        Vec::new()
                    });
                    assert!(seen.get(), "{room} has no {text:?}");
                }
                ByTests(file, names) => {
                    let text = page::read(file);
                    for name in *names {
                        assert!(has_test(&text, name), "{room}: {file} runs no test {name}");
                    }
                }
            }
        }
    }
}

#[test]
fn an_invariant_that_is_broken_is_found() {
    for (room, _, held) in INVARIANTS {
        for held in *held {
            let (InCode(rule, breaks) | InRooms(_, rule, breaks)) = held else {
                continue;
            };
            assert!(!breaks.is_empty(), "{room}: nobody has seen its rule fail");
            for code in *breaks {
                // The head of a crate is no room, so this is judged as code of any room.
                let broken = rule(&Source::new("src/lib.rs", code));
                assert!(!broken.is_empty(), "{room}: {code}");
            }
        }
    }
}

#[test]
fn only_a_test_that_runs_is_a_test() {
    let text = "#[test]\nfn runs() {}\n
        /// It is written down.\n    #[test]\n    fn runs_too(x in 0..9) {}\n
        #[test]\n#[ignore = \"long\"]\nfn waits() {}\n
        #[test]\nfn one() {}\nfn helps() {}\n";
    for name in ["runs", "runs_too"] {
        assert!(has_test(text, name), "{name}");
    }
    for name in ["waits", "helps", "run", "is_gone"] {
        assert!(!has_test(text, name), "{name}");
    }
}
