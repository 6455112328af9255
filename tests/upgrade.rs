//! This version beside the one before it. A state directory, a cluster and clients go to this version and back.
//! `.ci/full upgrade` builds the programs of the earlier version and runs this.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a panic is the report, tests print, and waiting is bounded by the clock"
)]

use std::{
    collections::{HashMap, HashSet},
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use ipseity_harness::{
    program::Run,
    programs,
    server::{Port, Server, eventually},
};
use tempfile::TempDir;

/// The variable with the folder of the earlier programs.
const PREVIOUS: &str = "IPSEITY_PREVIOUS";

/// So many identities take several raises of the ceiling. A server that only counts the few that it is asked for does not
/// come so far within a test.
const MANY: usize = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Previous,
    This,
}

use Version::{Previous, This};

impl Version {
    fn program(self, name: &str) -> PathBuf {
        match (self, name) {
            (Previous, _) => {
                let folder = env::var_os(PREVIOUS).unwrap_or_else(|| {
                    panic!(
                        "{PREVIOUS} is not set: it names the folder with ipseity and ipseity-cli of the version before; \
                         `.ci/full upgrade` builds them and sets it"
                    )
                });
                PathBuf::from(folder).join(name)
            }
            (This, "ipseity") => programs::ipseity(),
            (This, _) => programs::ipseity_cli(),
        }
    }

    fn run(self, program: &str, arguments: &[&str]) -> Run {
        let mut command = Command::new(self.program(program));
        command.args(arguments).stdin(Stdio::null());
        for (variable, _) in env::vars_os() {
            if variable.to_string_lossy().starts_with("IPSEITY_") {
                command.env_remove(variable);
            }
        }
        command.output().unwrap().into()
    }

    fn cli(self, arguments: &[&str]) -> Run {
        self.run("ipseity-cli", arguments)
    }
}

/// A server that is now of one version and now of the other.
struct Member {
    server: Server,
    version: Version,
    _home: TempDir,
    _port: Port,
}

impl Member {
    fn start(version: Version, port: Port, flags: &[&str]) -> Member {
        let home = TempDir::new().unwrap();
        let state = home.path().join("state");
        let listen = port.address().to_string();
        let all = [&["--data-dir", state.to_str().unwrap()], flags].concat();
        let server = Server::start_under(&runner(version), &["--listen", &listen], &all)
            .unwrap_or_else(|refusal| panic!("{version:?} did not start:\n{}", refusal.log));
        Member {
            server,
            version,
            _home: home,
            _port: port,
        }
    }

    fn start_as(&mut self, version: Version) {
        self.server.restart_under(&runner(version));
        self.version = version;
    }

    /// Waits until it hands out identities.
    fn wait_until_ready(&self) {
        let is_ready = || self.ask(&["status", "--check"]).code == Some(0);
        assert!(eventually(is_ready), "{}", self.server.log());
    }

    /// Runs the client of its version.
    fn ask(&self, command: &[&str]) -> Run {
        let server = self.server.address();
        self.version
            .cli(&[command, &["--server", &server]].concat())
    }

    /// Takes so many identities.
    fn take(&self, count: usize) -> Vec<u64> {
        let taken = self.ask(&["next", "-n", &count.to_string()]).good();
        let taken: Vec<u64> = taken.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(taken.len(), count);
        taken
    }
}

/// What becomes the server of this version in the place of the one that is started.
fn runner(version: Version) -> Vec<String> {
    let script = |program: PathBuf| format!("exec '{}' \"$@\"", program.display());
    match version {
        This => Vec::new(),
        Previous => [
            "sh".into(),
            "-c".into(),
            script(Previous.program("ipseity")),
        ]
        .into(),
    }
}

fn sequence(identity: u64) -> u64 {
    identity >> 10
}

#[test]
#[ignore = "it needs the programs of the version before; `.ci/full upgrade` builds them"]
fn the_versions_differ() {
    let [previous, this] = [Previous, This].map(|version| {
        ["ipseity", "ipseity-cli"].map(|program| version.run(program, &["--version"]).good())
    });
    for (previous, this) in previous.iter().zip(&this) {
        let number = |said: &str| said.split_whitespace().nth(1).unwrap().to_owned();
        assert_eq!(number(this), env!("CARGO_PKG_VERSION"));
        assert_ne!(number(previous), number(this), "{previous}");
    }
}

#[test]
#[ignore = "it needs the programs of the version before; `.ci/full upgrade` builds them"]
fn a_state_directory_goes_to_this_version_and_back() {
    for is_killed in [false, true] {
        let mut member = Member::start(Previous, Port::reserve(), &["--pid", "7"]);
        let mut last = 0;
        for version in [This, Previous, This] {
            for identity in member.take(MANY) {
                assert_eq!(identity % 1024, 7);
                assert!(
                    identity > last,
                    "{:?}: {identity} after {last}",
                    member.version
                );
                last = identity;
            }
            let is_exact = if is_killed {
                member.server.kill();
                false
            } else {
                member.server.stop_unless_disk_is_slow()
            };
            member.start_as(version);
            let next = member.take(1)[0];
            if is_exact {
                assert_eq!(next, last + 1024, "{version:?} skips sequences");
            } else {
                assert!(next > last, "{version:?}: {next} after {last}");
            }
            last = next;
        }
    }
}

/// All that a cluster has handed out.
#[derive(Default)]
struct Taken {
    all: HashSet<u64>,
    last: HashMap<u64, u64>,
}

impl Taken {
    /// Takes so many identities from the server. Returns the last one.
    fn from(&mut self, member: &Member, count: usize) -> u64 {
        let taken = member.take(count);
        for &identity in &taken {
            assert!(self.all.insert(identity), "{identity} comes twice");
            let before = self.last.insert(identity % 1024, identity);
            assert!(before < Some(identity), "{identity} after {before:?}");
        }
        taken[count - 1]
    }
}

/// Each server stops and starts as the other version, while the other two work on.
#[test]
#[ignore = "it needs the programs of the version before; `.ci/full upgrade` builds them"]
fn a_cluster_goes_to_this_version_and_back_one_server_at_a_time() {
    let ports: Vec<Port> = (0..3).map(|_| Port::reserve()).collect();
    let names: Vec<String> = ports
        .iter()
        .map(|port| port.address().to_string())
        .collect();
    let mut members: Vec<Member> = ports
        .into_iter()
        .enumerate()
        .map(|(index, port)| {
            let pid = index.to_string();
            let mut flags = vec!["--pid", &pid, "--sync-interval", "50ms"];
            for name in names.iter().filter(|name| **name != names[index]) {
                flags.extend(["--peer", name]);
            }
            Member::start(Previous, port, &flags)
        })
        .collect();
    members.iter().for_each(Member::wait_until_ready);

    let mut taken = Taken::default();
    for version in [This, Previous] {
        for index in 0..members.len() {
            members[index].server.stop_unless_disk_is_slow();
            for other in (0..members.len()).filter(|other| *other != index) {
                taken.from(&members[other], 100);
            }
            members[index].start_as(version);
            members[index].wait_until_ready();
            // Each hears how far each other has come.
            for ahead in &members {
                let reached = sequence(taken.from(ahead, MANY));
                for behind in &members {
                    let follows = || sequence(taken.from(behind, 1)) >= reached;
                    assert!(eventually(follows), "{}", behind.server.log());
                }
            }
            for member in &members {
                let log = member.server.log();
                // What nobody listens on refuses a connection, too.
                let log = log.replace("Connection refused", "");
                assert!(!log.contains("refuse") && !log.contains("object"), "{log}");
            }
        }
    }
}

#[test]
#[ignore = "it needs the programs of the version before; `.ci/full upgrade` builds them"]
fn clients_and_servers_of_two_versions_talk() {
    for (client, version, fault) in [
        // 0.1.0 takes no field behind those that it knows. Every later version does.
        (Previous, This, " bytes more than its fields"),
        (
            This,
            Previous,
            "(check that it is an Ipseity server, and its version)",
        ),
    ] {
        let member = Member::start(version, Port::reserve(), &["--pid", "7"]);
        let server = member.server.address();
        let ask = |command: &[&str]| client.cli(&[command, &["--server", &server]].concat());
        let take = |command: &[&str]| -> u64 { ask(command).good().trim().parse().unwrap() };
        let first = take(&["next"]);
        let after = first + 5000 * 1024;
        assert_eq!(take(&["next", "--after", &after.to_string()]), after + 1024);
        assert_eq!(ask(&["members"]).good(), "no other server is known\n");
        // These begin with the status.
        for command in [&["status"][..], &["ping"], &["advance", "--above", "9000"]] {
            let run = ask(command);
            assert!(run.code == Some(1) && run.err.contains(fault), "{run:?}");
        }
    }
}
