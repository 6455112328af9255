//! A server in a memory cgroup, as in a container, with clients that never read.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
};

use ipseity_core::words::Message;
use ipseity_harness::server::{Server, eventually};
use socket2::{Domain, Socket, Type};

use crate::load::{may_have_descriptors, skipped};

const MIB: u64 = 1 << 20;

/// How often each client sends as much as it can.
const ROUNDS: usize = 8;

/// A memory cgroup of this test. It is removed at the end.
struct Cgroup {
    directory: PathBuf,
    is_v2: bool,
}

impl Cgroup {
    /// Makes a cgroup, or says why it cannot be made.
    fn make(name: &str, limit: u64) -> Result<Cgroup, String> {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let is_v2 = !v1.is_dir();
        let top = if is_v2 { v1.parent().unwrap() } else { v1 };
        let directory = top.join(format!("ipseity-{name}-{}", std::process::id()));
        fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let cgroup = Cgroup { directory, is_v2 };
        let file = if is_v2 {
            "memory.max"
        } else {
            "memory.limit_in_bytes"
        };
        cgroup.set(file, limit)?;
        match is_v2 {
            // Without swap, memory over the limit cannot hide. Not every kernel has swap at all.
            true => _ = cgroup.set("memory.swap.max", 0),
            // Version 1 counts sockets separately, and only when they have a limit.
            false => cgroup.set("memory.kmem.tcp.limit_in_bytes", limit)?,
        }
        cgroup.peak().map(|_| cgroup)
    }

    fn set(&self, file: &str, value: u64) -> Result<(), String> {
        let path = self.directory.join(file);
        fs::write(&path, value.to_string()).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn get(&self, file: &str) -> Result<String, String> {
        let path = self.directory.join(file);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn number(&self, file: &str) -> Result<u64, String> {
        let text = self.get(file)?;
        text.trim()
            .parse()
            .map_err(|error| format!("{file}: {error}"))
    }

    /// The most memory that was in use, including the memory of sockets.
    fn peak(&self) -> Result<u64, String> {
        if self.is_v2 {
            return self.number("memory.peak");
        }
        let own = self.number("memory.max_usage_in_bytes")?;
        let sockets = self.number("memory.kmem.tcp.max_usage_in_bytes")?;
        Ok(own + sockets)
    }

    /// How many processes were killed because there was no memory left.
    fn killed(&self) -> u64 {
        let file = if self.is_v2 {
            "memory.events"
        } else {
            "memory.oom_control"
        };
        let text = self.get(file).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.unwrap().parse().unwrap()
    }

    /// The command that starts a program in the cgroup.
    fn runner(&self) -> [String; 3] {
        let procs = self.directory.join("cgroup.procs");
        let script = format!("echo $$ > {} && exec \"$0\" \"$@\"", procs.display());
        ["sh".to_owned(), "-c".to_owned(), script]
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Its last process may still be ending.
        eventually(|| fs::remove_dir(&self.directory).is_ok());
    }
}

/// A client whose own side buffers little.
fn connect_narrow(server: &Server) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    socket.connect(&server.socket_address().into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.into()
}

/// Starts a server with this memory limit. This many clients ask and never read, and other clients must be served.
fn survives(name: &str, limit: u64, pending_total: u64, clients: u64) {
    if !may_have_descriptors(clients + 2_000) {
        let why = format!("the hard limit of open files is below {}", clients + 2_000);
        return skipped(name, &why);
    }
    let cgroup = match Cgroup::make(name, limit) {
        Ok(cgroup) => cgroup,
        Err(why) => return skipped(name, &format!("no memory cgroup can be made: {why}")),
    };
    let bound = pending_total.to_string();
    let flags = [
        "--ephemeral",
        "--pid",
        "1",
        "--max-pending-bytes-total",
        &bound,
    ];
    let listen = ["--listen", "127.0.0.1:0"];
    let server = Server::start_under(&cgroup.runner(), &listen, &flags)
        .unwrap_or_else(|refusal| panic!("it did not start:\n{}", refusal.log));
    let mut honest = server.connect();
    let mut deaf: Vec<TcpStream> = (0..clients).map(|_| connect_narrow(&server)).collect();
    let requests = [0, 1, 1].repeat(4096);
    for _ in 0..ROUNDS {
        for (number, client) in deaf.iter_mut().enumerate() {
            match client.write(&requests) {
                Ok(_) => {}
                // Its buffers are full, or the server has cut it off.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                    ) => {}
                Err(error) => panic!("{error}"),
            }
            if number % 500 == 0 {
                honest.send(&Message::IdentityRequest { count: 1, after: 0 });
                let reply = honest.receive();
                assert!(matches!(reply, Message::IdentityReply { .. }), "{reply:?}");
            }
        }
    }
    let status = server.status();
    let peak = cgroup.peak().unwrap();
    println!(
        "at most {} MiB of {}, {:?}",
        peak / MIB,
        limit / MIB,
        status.bounds
    );
    assert_eq!(cgroup.killed(), 0);
    assert!(status.bounds.cut_off > 0, "{:?}", status.bounds);
    assert!(
        status.bounds.pending_bytes <= pending_total,
        "{:?}",
        status.bounds
    );
    assert!(
        peak < limit,
        "{peak} bytes were in use, and {limit} are the limit"
    );
}

#[test]
fn two_thousand_clients_that_never_read_fit_into_80_mib() {
    survives("deaf-2000", 80 * MIB, 16 * MIB, 2_000);
}

#[test]
#[ignore = "it takes half a minute and 20,000 descriptors; .ci/full runs it"]
fn ten_thousand_clients_that_never_read_fit_into_256_mb() {
    survives("deaf-9900", 256_000_000, 64 * MIB, 9_900);
}
