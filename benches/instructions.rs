//! How many instructions and system calls the real server spends on a request. They are counted, not timed, under
//! `valgrind --tool=callgrind` and `strace -c`, with the load of [`lockstep`]. Each count is the difference between
//! a short run and a long one, so that start and stop do not count.
//!
//! ```text
//! cargo bench --bench instructions                  all cases, as a Markdown table
//! cargo bench --bench instructions -- 50x64 sync    only the cases whose name contains one of these
//! cargo bench --bench instructions -- --others      Redis and memcached, for comparison
//! cargo bench --bench instructions -- --check       exit code 1 when a count is above its ceiling
//! ... -- --server target/release/ipseity            counts this server, not the one that was built with it
//! ```
//!
//! Client and server share one CPU. The server is scheduled as a batch process, which does not preempt the client.
//! So it finds each round complete, and two runs differ by less than one percent.

#![allow(
    clippy::disallowed_macros,
    reason = "benchmarks print, and may fail if they cannot"
)]
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

use std::{fs, net::TcpListener, process::ExitCode};

use ipseity_core::{identity::Pid, words::Message};
use ipseity_harness::{
    lockstep::{self, Lines, Load},
    measured::{self, Program, eventually},
};

/// A ceiling is this much above the count. It allows small changes in the compiler or a library, but no work that is
/// done twice.
const HEADROOM_PERCENT: f64 = 20.0;

/// The counts when each line was last changed: the work, instructions, system calls.
const NOTED: &[(&str, f64, f64)] = &[
    ("identityRequest 1x1", 641.0, 3.0),
    ("identityRequest 50x1", 448.0, 2.02),
    ("identityRequest 50x16", 104.0, 0.13),
    ("identityRequest 50x64", 76.0, 0.03),
    ("identityRequest 50x256", 69.0, 0.01),
    ("identityRequest 1x1, count 1000", 741.0, 3.0),
    ("identityRequest 1x1, after", 741.0, 3.0),
    ("syncRequest 1x1", 5538.0, 3.53),
    // It tells the vitals too since there are metrics: histograms, events by kind, connections by codec and grant.
    ("statusRequest 1x1", 8322.0, 3.0),
    ("membersRequest 1x1", 2637.0, 3.19),
    ("syncTimeout, one peer", 6864.0, 3.99),
    ("accept, identityRequest, close", 2699.0, 13.0),
];

/// The server that is built with this program.
const SERVER: &str = env!("CARGO_BIN_EXE_ipseity");

/// The work that the server repeats while it is counted.
#[derive(Debug)]
enum Work {
    /// It answers requests.
    Answers(Load),
    /// It accepts a connection and answers one request on it, and then the client closes it.
    ComeAndGo,
    /// It asks its only peer, which answers.
    Asks,
    /// Another server does the counting.
    Other(Lines),
}

/// One line of the table.
#[derive(Debug)]
struct Case {
    name: String,
    work: Work,
    /// The rounds of the short run, in which buffers grow to their size, and of the long run.
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

/// Other servers that people use instead, with the loads of the comparison.
fn others() -> Vec<Case> {
    let redis = Lines {
        server: &["redis-server", "--save", "", "--port"],
        preparation: "DEL n\r\n",
        request: "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n",
        connections: 0,
        in_flight: 0,
    };
    let memcached = Lines {
        // One thread.
        server: &[
            "memcached",
            "-U",
            "0",
            "-u",
            "root",
            "-t",
            "1",
            "-c",
            "2000",
            "-p",
        ],
        preparation: "set n 0 0 1\r\n0\r\n",
        request: "incr n 1\r\n",
        ..redis
    };
    let mut cases = Vec::new();
    for lines in [redis, memcached] {
        let name = lines.server[0];
        if !measured::succeeds(&[name, "--version"]) {
            eprintln!("SKIPPED: {name} is not installed");
            continue;
        }
        for (connections, in_flight, rounds) in [
            (1, 1, [200, 2200]),
            (50, 1, [20, 120]),
            (50, 16, [10, 50]),
            (50, 64, [5, 25]),
        ] {
            let lines = Lines {
                connections,
                in_flight,
                ..lines
            };
            let name = format!("{name} {connections}x{in_flight}");
            cases.push(Case::new(name, Work::Other(lines), rounds));
        }
    }
    cases
}

impl Case {
    fn new(name: impl Into<String>, work: Work, rounds: [u64; 2]) -> Case {
        Case {
            name: name.into(),
            work,
            rounds,
        }
    }

    fn is_chosen(&self, words: &[String]) -> bool {
        words.is_empty() || words.iter().any(|word| self.name.contains(word.as_str()))
    }

    /// How often the work is done in this many rounds.
    fn times(&self, rounds: u64) -> u64 {
        match &self.work {
            Work::Answers(load) => rounds * load.requests_per_round(),
            Work::ComeAndGo | Work::Asks => rounds,
            Work::Other(lines) => rounds * lines.requests_per_round(),
        }
    }

    /// The cost of doing the work once. `count` gives the cost of a whole run.
    fn cost(&self, count: impl Fn(&Case, u64) -> u64) -> f64 {
        let [short, long] = self.rounds;
        let more = count(self, long).saturating_sub(count(self, short));
        more as f64 / (self.times(long) - self.times(short)) as f64
    }

    /// Whether a count is below its ceiling. If not, it prints the count.
    fn holds(&self, what: &str, now: f64, then: f64) -> bool {
        let ceiling = then * (1.0 + HEADROOM_PERCENT / 100.0);
        let within = now <= ceiling;
        if !within {
            eprintln!(
                "{}: {now:.2} {what}, and {then:.2} when last noted: find out what the server does now that it did not \
                do before, or change its line in benches/instructions.rs and say why",
                self.name
            );
        }
        within
    }

    /// Runs a server under `runner`, from its start to its stop, while it does its work for this many rounds.
    fn run(&self, server: &str, runner: &[&str], rounds: u64) {
        let mut line = measured::line(&["chrt", "--batch", "0"]);
        if let Work::Other(_) = self.work {
            // memcached asks for 2000 descriptors, one for each connection. Under valgrind this works only with a
            // limit of 2012, because valgrind keeps twelve for itself.
            line.extend(measured::line(&["prlimit", "--nofile=2012:2012"]));
        }
        line.extend(measured::line(runner));
        if let Work::Other(lines) = &self.work {
            let address = measured::free_address();
            line.extend(measured::line(lines.server));
            line.push(address.port().to_string());
            let server = Program::start_on(address, &line);
            lines.run(address, rounds);
            server.stop();
            return;
        }
        line.extend(measured::line(&[server]));
        line.extend(measured::line(&["--ephemeral", "--listen", "127.0.0.1:0"]));
        // The peer of a server that asks.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = listener.local_addr().unwrap().to_string();
        if let Work::Asks = self.work {
            line.extend(measured::line(&["--pid", "1", "--peer", &peer]));
            line.extend(measured::line(&["--sync-interval", "1ms"]));
        }
        let server = Program::start(&line);
        match &self.work {
            Work::Answers(load) => load.run(server.address(), rounds),
            Work::ComeAndGo => lockstep::come_and_go(server.address(), rounds),
            Work::Asks => lockstep::answer_rounds(&listener, rounds),
            Work::Other(_) => unreachable!("it has been done"),
        }
        server.stop();
    }
}

/// The user-mode instructions of a whole run.
fn instructions(case: &Case, server: &str, rounds: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let to_log = format!("--log-file={}", log.display());
    case.run(
        server,
        &[
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            &to_log,
        ],
        rounds,
    );
    let log = fs::read_to_string(log).unwrap();
    log.lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, count)| count.trim().parse().ok())
        .unwrap_or_else(|| panic!("valgrind gave no count:\n{log}"))
}

/// The system calls of a whole run.
fn system_calls(case: &Case, server: &str, rounds: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("calls");
    case.run(
        server,
        &["strace", "-D", "-f", "-c", "-o", table.to_str().unwrap()],
        rounds,
    );
    // strace runs as another process, and writes its table when the server has ended.
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
    let is_of_others = words.iter().any(|word| word == "--others");
    // The word after --server is the path.
    let place = words.iter().position(|word| word == "--server");
    let server = match place.map(|place| words.get(place + 1)) {
        None => SERVER,
        Some(Some(path)) => path,
        Some(None) => {
            eprintln!("instructions: --server needs the path of a server");
            return ExitCode::FAILURE;
        }
    };
    // cargo adds a flag of its own.
    let chosen: Vec<String> = words
        .iter()
        .filter(|word| !word.starts_with("--") && *word != server)
        .cloned()
        .collect();
    let tools = [
        ("valgrind", "valgrind"),
        ("strace", "strace"),
        ("chrt", "util-linux"),
        ("taskset", "util-linux"),
    ];
    for (tool, package) in tools {
        if !measured::succeeds(&[tool, "--version"]) {
            eprintln!("instructions: {tool} is missing: install the package {package}");
            return ExitCode::FAILURE;
        }
    }
    let traces = measured::succeeds(&["strace", "-D", "-qq", "-o", "/dev/null", "true"]);
    if !traces {
        eprintln!("SKIPPED: strace is not allowed here; no system calls were counted");
    }
    measured::pin_to(&measured::cpus()[0]);
    println!("| work of the server | instructions | system calls |");
    println!("| --- | ---: | ---: |");
    let mut code = ExitCode::SUCCESS;
    let cases = if is_of_others { others() } else { cases() };
    for case in cases.iter().filter(|case| case.is_chosen(&chosen)) {
        let instructions = case.cost(|case, rounds| instructions(case, server, rounds));
        let calls = traces.then(|| case.cost(|case, rounds| system_calls(case, server, rounds)));
        let shown = calls.map_or("-".to_owned(), |calls| format!("{calls:.2}"));
        println!("| {} | {instructions:.0} | {shown} |", case.name);
        if !is_of_others {
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
    }
    code
}
