//! How many instructions and system calls the real server spends on a request, counted and not timed: under
//! `valgrind --tool=callgrind` and `strace -c`, with the load of [`support::lockstep`], as the difference of a
//! short run and a long one, so that start and stop count for nothing.
//!
//! ```text
//! cargo bench --bench instructions                  all cases, as a Markdown table
//! cargo bench --bench instructions -- 50x64 sync    only the cases whose name holds one of these
//! cargo bench --bench instructions -- --check       exit code 1 when a count is above its ceiling
//! ```
//!
//! Client and server share one CPU, and the server is scheduled as a batch process, which does not preempt
//! the client: so it finds each round whole, and two runs differ by less than one percent.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod support;

use std::{fs, net::TcpListener, process::ExitCode};

use ipseity::{identity::Pid, wire::Message};
use support::{
    lockstep::{self, Load},
    program::{self, Program, eventually},
};

/// A ceiling is this much above what was counted: a compiler or a library that changes a little passes, work
/// that is done twice does not.
const HEADROOM_PERCENT: f64 = 20.0;

/// What was counted when a line was last changed: the work, instructions, system calls.
const NOTED: &[(&str, f64, f64)] = &[
    ("identityRequest 1x1", 929.0, 3.0),
    ("identityRequest 50x1", 752.0, 2.02),
    ("identityRequest 50x16", 209.0, 0.13),
    ("identityRequest 50x64", 182.0, 0.03),
    ("identityRequest 50x256", 175.0, 0.01),
    ("identityRequest 1x1, count 1000", 933.0, 3.0),
    ("identityRequest 1x1, after", 980.0, 3.0),
    ("syncRequest 1x1", 3669.0, 3.0),
    ("statusRequest 1x1", 2950.0, 3.0),
    ("membersRequest 1x1", 1982.0, 3.0),
    ("syncTimeout, one peer", 4321.0, 4.0),
    ("accept, identityRequest, close", 2399.0, 13.0),
];

/// What the server does again and again while it is counted.
#[derive(Debug)]
enum Work {
    /// It answers.
    Answers(Load),
    /// It takes a connection, answers one request on it, and is left.
    ComeAndGo,
    /// It asks its one peer, which answers.
    Asks,
}

/// One line of the table.
#[derive(Debug)]
struct Case {
    name: &'static str,
    work: Work,
    /// Rounds of the short run, which makes buffers grow to their size, and of the long one.
    rounds: [u64; 2],
}

fn cases() -> Vec<Case> {
    let identities = |connections, in_flight| {
        Work::Answers(Load {
            connections,
            in_flight,
            request: lockstep::identity_request(),
        })
    };
    let one = |request| {
        Work::Answers(Load {
            connections: 1,
            in_flight: 1,
            request,
        })
    };
    let block = Message::IdentityRequest {
        count: 1000,
        after: 0,
    };
    let after = Message::IdentityRequest {
        count: 1,
        after: 1024,
    };
    let sync = Message::SyncRequest(Box::new(lockstep::peer()));
    let members = Message::MembersRequest { from: Pid::MIN };
    vec![
        Case::new("identityRequest 1x1", identities(1, 1), [200, 2200]),
        Case::new("identityRequest 50x1", identities(50, 1), [20, 120]),
        Case::new("identityRequest 50x16", identities(50, 16), [10, 50]),
        Case::new("identityRequest 50x64", identities(50, 64), [5, 25]),
        Case::new("identityRequest 50x256", identities(50, 256), [3, 13]),
        Case::new("identityRequest 1x1, count 1000", one(block), [200, 2200]),
        Case::new("identityRequest 1x1, after", one(after), [200, 2200]),
        Case::new("syncRequest 1x1", one(sync), [200, 1200]),
        Case::new(
            "statusRequest 1x1",
            one(Message::StatusRequest),
            [200, 1200],
        ),
        Case::new("membersRequest 1x1", one(members), [200, 1200]),
        Case::new("syncTimeout, one peer", Work::Asks, [100, 600]),
        Case::new(
            "accept, identityRequest, close",
            Work::ComeAndGo,
            [100, 600],
        ),
    ]
}

impl Case {
    const fn new(name: &'static str, work: Work, rounds: [u64; 2]) -> Case {
        Case { name, work, rounds }
    }

    fn is_chosen(&self, words: &[String]) -> bool {
        words.is_empty() || words.iter().any(|word| self.name.contains(word.as_str()))
    }

    /// How often the work is done in so many rounds.
    fn times(&self, rounds: u64) -> u64 {
        match &self.work {
            Work::Answers(load) => rounds * load.requests_per_round(),
            Work::ComeAndGo | Work::Asks => rounds,
        }
    }

    /// What one time costs, by a count of what a whole run cost.
    fn cost(&self, count: impl Fn(&Case, u64) -> u64) -> f64 {
        let [short, long] = self.rounds;
        let more = count(self, long).saturating_sub(count(self, short));
        more as f64 / (self.times(long) - self.times(short)) as f64
    }

    /// Whether a count is below its ceiling; if not, it says so.
    fn holds(&self, what: &str, now: f64, then: f64) -> bool {
        let ceiling = then * (1.0 + HEADROOM_PERCENT / 100.0);
        let within = now <= ceiling;
        if !within {
            eprintln!(
                "{}: {now:.2} {what}, and {then:.2} when last noted: find out what the server does that it did not \
                 do before, or change its line in benches/instructions.rs and say why",
                self.name
            );
        }
        within
    }

    /// A server under `runner`, from its start to its stop, that does its work for so many rounds. Returns what
    /// was written to standard error.
    fn run(&self, runner: &[&str], rounds: u64) -> String {
        let mut line = program::line(&["chrt", "--batch", "0"]);
        line.extend(program::line(runner));
        line.extend(program::line(&[
            env!("CARGO_BIN_EXE_ipseity"),
            "--ephemeral",
            "--listen",
            "127.0.0.1:0",
            "--max-count",
            "1000",
        ]));
        match &self.work {
            Work::Answers(load) => {
                let server = Program::start(&line);
                load.run(server.address(), rounds);
                server.stop()
            }
            Work::ComeAndGo => {
                let server = Program::start(&line);
                lockstep::come_and_go(server.address(), rounds);
                server.stop()
            }
            Work::Asks => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let peer = listener.local_addr().unwrap().to_string();
                line.extend(program::line(&["--pid", "1", "--peer", &peer]));
                line.extend(program::line(&["--sync-interval", "1ms"]));
                let server = Program::start(&line);
                lockstep::answer_rounds(&listener, rounds);
                server.stop()
            }
        }
    }
}

/// The user-mode instructions of a whole run.
fn instructions(case: &Case, rounds: u64) -> u64 {
    let log = case.run(
        &[
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
        ],
        rounds,
    );
    log.lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, count)| count.trim().parse().ok())
        .unwrap_or_else(|| panic!("valgrind gave no count:\n{log}"))
}

/// The system calls of a whole run.
fn system_calls(case: &Case, rounds: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("calls");
    case.run(
        &["strace", "-D", "-f", "-c", "-o", table.to_str().unwrap()],
        rounds,
    );
    // strace stands beside the server and writes its table when the server has ended.
    let mut total = None;
    eventually(|| {
        let text = fs::read_to_string(&table).unwrap_or_default();
        total = text.lines().find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [_, _, _, calls, .., "total"] => calls.parse().ok(),
                _ => None,
            }
        });
        total.is_some()
    });
    total.expect("strace writes its table when the server has ended")
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let checks = words.iter().any(|word| word == "--check");
    // cargo adds a flag of its own.
    let chosen: Vec<String> = words
        .into_iter()
        .filter(|word| !word.starts_with("--"))
        .collect();
    let tools = [
        ("valgrind", "valgrind"),
        ("strace", "strace"),
        ("chrt", "util-linux"),
        ("taskset", "util-linux"),
    ];
    for (tool, package) in tools {
        if !program::succeeds(&[tool, "--version"]) {
            eprintln!("instructions: {tool} is missing: install the package {package}");
            return ExitCode::FAILURE;
        }
    }
    let traces = program::succeeds(&["strace", "-D", "-qq", "-o", "/dev/null", "true"]);
    if !traces {
        eprintln!("SKIPPED: strace is not allowed here; no system calls were counted");
    }
    program::pin_to(&program::cpus()[0]);
    println!("| work of the server | instructions | system calls |");
    println!("| --- | ---: | ---: |");
    let mut code = ExitCode::SUCCESS;
    for case in cases().iter().filter(|case| case.is_chosen(&chosen)) {
        let instructions = case.cost(instructions);
        let calls = traces.then(|| case.cost(system_calls));
        let shown = calls.map_or("-".to_owned(), |calls| format!("{calls:.2}"));
        println!("| {} | {instructions:.0} | {shown} |", case.name);
        let (_, instructions_then, calls_then) = NOTED
            .iter()
            .find(|(name, ..)| *name == case.name)
            .expect("every case has a line in NOTED");
        let within = case.holds("instructions", instructions, *instructions_then)
            & case.holds("system calls", calls.unwrap_or_default(), *calls_then);
        if checks && !within {
            code = ExitCode::FAILURE;
        }
    }
    code
}
