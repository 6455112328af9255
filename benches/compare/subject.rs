//! The servers that are compared: how to start each one, and how to measure it.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use ipseity_harness::{
    etcd::{Etcd, Setting},
    measured::{self, Program, line},
};
use ipseity_sim::pki::{Leaf, Pki};
use tempfile::TempDir;

use crate::load::{Load, Place};

/// A server that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The real server with a state directory, as in production.
    Ipseity,
    /// The same, but the client does not look at the identities, just as it does not look at the replies of the floor.
    Unchecked,
    /// The same with TLS.
    Sealed,
    /// The same without TLS, behind nginx, which terminates it.
    Nginx,
    /// The real server with its state in an etcd of its own, which has one member and may use all CPUs.
    Stored,
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
pub struct Running {
    subject: Subject,
    program: Program,
    /// The server that stands behind the program.
    behind: Option<Program>,
    /// The etcd that has its state.
    _etcd: Option<Etcd>,
    /// The CA of its certificate, and the directory of that. It is removed with it.
    pki: Option<Pki>,
    /// The directory for its files. It is removed with it.
    _directory: TempDir,
}

impl Subject {
    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Subject::Ipseity | Subject::Unchecked => "Ipseity",
            Subject::Sealed => "Ipseity, TLS",
            Subject::Nginx => "nginx",
            Subject::Stored => "Ipseity, etcd",
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
            Subject::Ipseity
            | Subject::Unchecked
            | Subject::Sealed
            | Subject::Ephemeral
            | Subject::Essay(_) => None,
            Subject::Stored => Some(("etcd", "etcd-server or etcd-client")),
            Subject::Nginx => Some(("nginx", "libnginx-mod-stream")),
            Subject::Redis(_) => Some(("redis-server", "redis-server")),
            Subject::Memcached => Some(("memcached", "memcached")),
        }
    }

    /// Whether it can be measured here. If not, it prints why.
    pub fn is_here(self) -> bool {
        match self.needs() {
            Some((program, package)) if !is_installed(program) => {
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
        let mut behind = None;
        let mut etcd = None;
        let pki = matches!(self, Subject::Sealed | Subject::Nginx).then(|| Pki::new("CA"));
        let files = pki.as_ref().map(|pki| {
            let leaf = Leaf::peer("server", &["127.0.0.1"]);
            let (certificate, key) = pki.make(&leaf);
            [certificate, key].map(|file| file.to_str().unwrap().to_owned())
        });
        let program = match self {
            Subject::Sealed => {
                let [certificate, key] = files.unwrap();
                all.extend(line(&[env!("CARGO_BIN_EXE_ipseity"), "--data-dir", path]));
                all.extend(line(&["--listen", "127.0.0.1:0"]));
                all.extend(line(&["--tls-cert", &certificate, "--tls-key", &key]));
                Program::start(&all)
            }
            Subject::Nginx => {
                let state = directory.path().join("state");
                let state = state.to_str().unwrap();
                let mut server = all.clone();
                server.extend(line(&[env!("CARGO_BIN_EXE_ipseity"), "--data-dir", state]));
                server.extend(line(&["--listen", "127.0.0.1:0"]));
                let server = Program::start(&server);
                let address = measured::free_address();
                let text = nginx(address, server.address(), &files.unwrap());
                let file = directory.path().join("nginx.conf");
                fs::write(&file, text).unwrap();
                all.extend(line(&["nginx", "-p", path, "-c", file.to_str().unwrap()]));
                behind = Some(server);
                Program::start_on(address, &all)
            }
            Subject::Ipseity | Subject::Unchecked => {
                all.extend(line(&[env!("CARGO_BIN_EXE_ipseity"), "--data-dir", path]));
                all.extend(line(&["--listen", "127.0.0.1:0"]));
                Program::start(&all)
            }
            Subject::Stored => {
                let store = etcd.insert(start_etcd(Place::Free)).target();
                all.extend(line(&[env!("CARGO_BIN_EXE_ipseity"), "--store", &store]));
                all.extend(line(&["--pid", "auto", "--listen", "127.0.0.1:0"]));
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
            behind,
            _etcd: etcd,
            pki,
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

    /// The file of the CA, if it is reached by TLS.
    pub fn ca(&self) -> Option<PathBuf> {
        self.pki.as_ref().map(Pki::ca)
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
            Subject::Sealed | Subject::Nginx => {
                let ca = self.ca().unwrap();
                let ca = ca.to_str().unwrap();
                line(&["--server", &format!("tls://{address}"), "--tls-ca", ca])
            }
            Subject::Ipseity | Subject::Stored | Subject::Ephemeral | Subject::Essay(_) => {
                line(&["--server", &address.to_string()])
            }
        });
        let milliseconds = |duration: Duration| format!("{}ms", duration.as_millis());
        all.extend(line(&["-c", &load.connections.to_string()]));
        all.extend(line(&["-P", &load.in_flight.to_string()]));
        all.extend(line(&["--count", &load.count.to_string()]));
        all.extend(line(&["--duration", &milliseconds(time)]));
        all.extend(line(&["--warmup", &milliseconds(warmup)]));
        if let Some(rate) = load.rate {
            all.extend(line(&["--rate", &rate.to_string()]));
        }
        for program in [Some(&self.program), self.behind.as_ref()] {
            all.extend(
                program
                    .iter()
                    .flat_map(|program| line(&["--process", &program.pid().to_string()])),
            );
        }
        all.extend(line(&["--format", "json"]));
        all
    }
}

/// Where Debian has the module of nginx that is not for HTTP. Elsewhere it may be part of the program.
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// Whether a program that is compared is installed, and what belongs to it.
pub fn is_installed(program: &str) -> bool {
    match program {
        "nginx" => {
            measured::succeeds(&["nginx", "-v"]) && fs::exists(STREAM_MODULE).is_ok_and(|is| is)
        }
        "etcd" => [&["etcd", "--version"][..], &["etcdctl", "version"]]
            .iter()
            .all(|line| measured::succeeds(line)),
        program => measured::succeeds(&[program, "--version"]),
    }
}

/// An etcd with one member, on the disk of the build.
pub fn start_etcd(place: Place) -> Etcd {
    let before = place.of_server();
    let setting = Setting {
        before: &before,
        folder: Some(env!("CARGO_TARGET_TMPDIR").as_ref()),
        ..Setting::default()
    };
    Etcd::start_as(1, &setting)
}

/// The configuration of an nginx with one process that terminates TLS in front of `server`.
fn nginx(own: SocketAddr, server: SocketAddr, [certificate, key]: &[String; 2]) -> String {
    format!(
        "load_module {STREAM_MODULE};\n\
         daemon off;\n\
         master_process off;\n\
         pid nginx.pid;\n\
         error_log stderr crit;\n\
         events {{ worker_connections 4096; }}\n\
         stream {{\n\
             tcp_nodelay on;\n\
             server {{\n\
                 listen {own} ssl;\n\
                 ssl_certificate {certificate};\n\
                 ssl_certificate_key {key};\n\
                 ssl_protocols TLSv1.3 TLSv1.2;\n\
                 proxy_pass {server};\n\
             }}\n\
         }}\n"
    )
}
