//! A server whose log goes where the test wants: into a pipe that nobody reads, a terminal, a full device. So nothing
//! here waits for a log line; it waits for answers.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::{fd::AsFd, unix::process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use ipseity_core::words::Message;
use ipseity_frames::encode;
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
};
use tempfile::TempDir;

use crate::{
    programs,
    server::{Connection, Port, eventually},
};

/// See the [module](self). Dropping it kills the process.
#[derive(Debug)]
pub struct Unheard {
    child: Child,
    /// The process that gets the signals. It is not the child if the child only started the server.
    pid: u32,
    port: Port,
    home: TempDir,
}

impl Unheard {
    /// Starts a server and waits until it answers.
    pub fn start(log: impl Into<Stdio>, flags: &[&str]) -> Unheard {
        Unheard::start_under(&[], log, flags)
    }

    /// The same, with a `runner` that becomes the server: a program and its arguments.
    pub fn start_under(runner: &[&str], log: impl Into<Stdio>, flags: &[&str]) -> Unheard {
        let mut server = Unheard::begin(runner, log, flags);
        server.wait_until_it_answers();
        server
    }

    /// The same, without waiting for it to answer.
    pub fn begin(runner: &[&str], log: impl Into<Stdio>, flags: &[&str]) -> Unheard {
        let (home, port) = (TempDir::new().unwrap(), Port::reserve());
        let child = spawn(home.path(), &port, runner, log.into(), flags);
        Unheard {
            pid: child.id(),
            child,
            port,
            home,
        }
    }

    /// Starts it again, after it has ended, with other flags.
    pub fn restart(&mut self, log: impl Into<Stdio>, flags: &[&str]) {
        assert!(!self.runs(), "it still runs");
        self.child = spawn(self.home.path(), &self.port, &[], log.into(), flags);
        self.pid = self.child.id();
        self.wait_until_it_answers();
    }

    /// Waits for an answer, because a connection alone proves little: the kernel accepts it as soon as the server
    /// listens.
    fn wait_until_it_answers(&mut self) {
        let address = self.port.address();
        let answers = eventually(|| {
            let ended = self.child.try_wait().unwrap();
            assert_eq!(ended, None, "it did not start");
            is_answered(address).is_ok()
        });
        assert!(answers, "it never answered");
    }

    /// From now on signals go to the one child of the process that was started.
    pub fn follow_the_child(&mut self) {
        let of = self.child.id();
        let children = format!("/proc/{of}/task/{of}/children");
        let found = eventually(|| {
            let text = fs::read_to_string(&children).unwrap_or_default();
            let pid = text.trim().parse().ok();
            pid.inspect(|pid| self.pid = *pid).is_some()
        });
        assert!(found, "the process has no child");
    }

    /// The process that gets the signals.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A path in a directory that lives as long as the server.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The address where it listens, or will listen.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// A connection to it.
    pub fn connect(&self) -> Connection {
        Connection::new(TcpStream::connect(self.port.address()).unwrap())
    }

    /// Asks for one identity, and returns its sequence.
    pub fn next(&self) -> u64 {
        let mut connection = self.connect();
        let request = Message::IdentityRequest { count: 1, after: 0 };
        connection.send(&request);
        match connection.receive() {
            Message::IdentityReply { first, count: 1 } => first >> 10,
            other => panic!("{other:?}"),
        }
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal: `TERM`, `HUP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid.to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits for it to end. Returns how it ended and after how long.
    pub fn wait(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let mut status = None;
        let ended = eventually(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "it does not end");
        (status.unwrap(), begun.elapsed())
    }

    /// Sends a signal, and waits for the process to end by itself. Returns its exit code, and after how long.
    pub fn stop(&mut self, signal: &str) -> (i32, Duration) {
        self.signal(signal);
        let (status, waited) = self.wait();
        let code = status
            .code()
            .unwrap_or_else(|| panic!("ended by signal {:?}", status.signal()));
        (code, waited)
    }
}

fn spawn(home: &Path, port: &Port, runner: &[&str], log: Stdio, flags: &[&str]) -> Child {
    let program = programs::ipseity().display().to_string();
    let line: Vec<&str> = runner.iter().copied().chain([&*program]).collect();
    Command::new(line[0])
        .args(&line[1..])
        .args(["--listen", &port.address().to_string(), "--data-dir"])
        .arg(home.join("state"))
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Unheard {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fills a pipe, so that the next write of any process waits.
pub fn fill(pipe: impl AsFd) {
    let flags = fcntl_getfl(&pipe).unwrap();
    fcntl_setfl(&pipe, flags | OFlags::NONBLOCK).unwrap();
    for size in [4096, 1] {
        loop {
            match rustix::io::write(&pipe, &vec![b'\n'; size]) {
                Ok(_) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    fcntl_setfl(&pipe, flags).unwrap();
}

/// Makes every write to a stream fail that would have to wait, for all processes that have the stream.
pub fn never_wait(stream: impl AsFd) {
    let flags = fcntl_getfl(&stream).unwrap();
    fcntl_setfl(&stream, flags | OFlags::NONBLOCK).unwrap();
}

/// Asks for a status, and waits for the first byte of the answer.
fn is_answered(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut request = Vec::new();
    encode(&Message::StatusRequest, &mut request);
    stream.write_all(&request)?;
    stream.read_exact(&mut [0])
}
