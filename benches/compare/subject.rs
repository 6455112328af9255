//! The servers that are compared: how to start each one, and how to measure it.

use std::{net::SocketAddr, time::Duration};

use ipseity_harness::measured::{self, Program, line};
use tempfile::TempDir;

use crate::load::{Load, Place};

/// A server that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The real server with a state directory, as in production.
    Ipseity,
    /// The same, but the client does not look at the identities, just as it does not look at the replies of the floor.
    Unchecked,
    /// The real server without a disk.
    Ephemeral,
    /// One of the essay's servers, or the floor.
    Essay(ipseity_baselines::Baseline),
    /// Redis, and how it uses its disk.
    Redis(Disk),
    /// memcached.
    Memcached,
}

/// How Redis uses its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Not at all.
    None,
    /// It appends each command to a file and syncs it once a second.
    EverySecond,
    /// It syncs before it answers.
    Always,
}

/// A running subject.
#[derive(Debug)]
pub struct Running {
    subject: Subject,
    program: Program,
    /// The directory for its files. It is removed with it.
    _directory: TempDir,
}

impl Subject {
    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Subject::Ipseity | Subject::Unchecked => "Ipseity",
            Subject::Ephemeral => "Ipseity, ephemeral",
            Subject::Essay(kind) => kind.name(),
            Subject::Redis(Disk::None) => "Redis, no disk",
            Subject::Redis(Disk::EverySecond) => "Redis, everysec",
            Subject::Redis(Disk::Always) => "Redis, always",
            Subject::Memcached => "memcached",
        }
    }

    /// The program that has to be installed for it, and its package.
    const fn needs(self) -> Option<(&'static str, &'static str)> {
        match self {
            Subject::Ipseity | Subject::Unchecked | Subject::Ephemeral | Subject::Essay(_) => None,
            Subject::Redis(_) => Some(("redis-server", "redis-server")),
            Subject::Memcached => Some(("memcached", "memcached")),
        }
    }

    /// Whether it can be measured here. If not, it prints why.
    pub fn is_here(self) -> bool {
        match self.needs() {
            Some((program, package)) if !measured::succeeds(&[program, "--version"]) => {
                println!(
                    "Not measured: {}, because the package {package} is not installed.\n",
                    self.name()
                );
                false
            }
            _ => true,
        }
    }

    /// Starts it on a free port.
    pub fn start(self, place: Place) -> Running {
        // On the disk of the build, because /tmp may not be on a disk.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = directory.path().to_str().unwrap();
        let mut all = place.of_server();
        let program = match self {
            Subject::Ipseity | Subject::Unchecked => {
                all.extend(line(&[env!("CARGO_BIN_EXE_ipseity"), "--data-dir", path]));
                all.extend(line(&["--listen", "127.0.0.1:0"]));
                Program::start(&all)
            }
            Subject::Ephemeral => {
                all.extend(line(&[env!("CARGO_BIN_EXE_ipseity"), "--ephemeral"]));
                all.extend(line(&["--listen", "127.0.0.1:0"]));
                Program::start(&all)
            }
            Subject::Essay(kind) => {
                let me = std::env::current_exe().unwrap();
                let me = me.to_str().unwrap();
                all.extend(line(&[me, "serve", kind.name(), "--listen", "127.0.0.1:0"]));
                Program::start(&all)
            }
            Subject::Redis(disk) => {
                let address = measured::free_address();
                let port = address.port().to_string();
                all.extend(line(&["redis-server", "--bind", "127.0.0.1"]));
                all.extend(line(&["--port", &port, "--dir", path, "--save", ""]));
                all.extend(line(match disk {
                    Disk::None => &["--appendonly", "no"],
                    Disk::EverySecond => &["--appendonly", "yes", "--appendfsync", "everysec"],
                    Disk::Always => &["--appendonly", "yes", "--appendfsync", "always"],
                }));
                Program::start_on(address, &all)
            }
            Subject::Memcached => {
                let address = measured::free_address();
                let port = address.port().to_string();
                // One thread: it shares a CPU, and only counts under one key.
                all.extend(line(&["memcached", "-l", "127.0.0.1", "-p", &port]));
                all.extend(line(&["-U", "0", "-u", "root", "-t", "1", "-c", "2048"]));
                Program::start_on(address, &all)
            }
        };
        Running {
            subject: self,
            program,
            _directory: directory,
        }
    }
}

impl Running {
    /// The name in tables.
    pub fn name(&self) -> &'static str {
        self.subject.name()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.program.address()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// The command line that measures it.
    pub fn client(&self, load: Load, time: Duration, warmup: Duration) -> Vec<String> {
        let address = self.address();
        let mut all = line(&[env!("CARGO_BIN_EXE_ipseity-cli"), "bench"]);
        all.extend(match self.subject {
            Subject::Redis(_) => line(&["--target", &format!("redis://{address}")]),
            Subject::Memcached => line(&["--target", &format!("memcached://{address}")]),
            Subject::Unchecked | Subject::Essay(ipseity_baselines::Baseline::Raw) => {
                line(&["--target", &format!("raw://{address}")])
            }
            Subject::Ipseity | Subject::Ephemeral | Subject::Essay(_) => {
                line(&["--server", &address.to_string()])
            }
        });
        let milliseconds = |duration: Duration| format!("{}ms", duration.as_millis());
        all.extend(line(&["-c", &load.connections.to_string()]));
        all.extend(line(&["-P", &load.in_flight.to_string()]));
        all.extend(line(&["--count", &load.count.to_string()]));
        all.extend(line(&["--duration", &milliseconds(time)]));
        all.extend(line(&["--warmup", &milliseconds(warmup)]));
        all.extend(line(&["--process", &self.pid().to_string()]));
        all.extend(line(&["--format", "json"]));
        all
    }
}
