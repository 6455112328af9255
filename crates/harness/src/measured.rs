//! A server program of any kind, for a benchmark that measures it from outside: it is started and waited for, and
//! killed when it is dropped. Also what a benchmark needs to know about the machine: its CPUs, and whether a
//! command is installed.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStderr, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take for anything. It is long because a start takes a second under valgrind, and because
/// machines are shared.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running server that has said where it listens.
#[derive(Debug)]
pub struct Program {
    child: Child,
    address: SocketAddr,
    /// The standard error of the program, if it is read.
    log: Option<BufReader<ChildStderr>>,
}

impl Program {
    /// Starts `line`, a program and its arguments, and waits for it to say ` listens on ADDRESS`, as the real
    /// server does.
    pub fn start(line: &[String]) -> Program {
        let mut child = Command::new(&line[0])
            .args(&line[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", line.join(" ")));
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        let mut found = None;
        while found.is_none() {
            let before = seen.len();
            if log.read_line(&mut seen).unwrap() == 0 {
                break;
            }
            found = listens_on(&seen[before..]);
        }
        match found {
            Some(address) => Program {
                child,
                address,
                log: Some(log),
            },
            None => {
                let status = child.wait().unwrap();
                panic!("{} ended with {status}:\n{seen}", line.join(" "));
            }
        }
    }

    /// Starts a program whose arguments tell it to listen there, and waits until it does. Its output is lost.
    pub fn start_on(address: SocketAddr, line: &[String]) -> Program {
        let mut child = Command::new(&line[0])
            .args(&line[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", line.join(" ")));
        let mut ended = None;
        let listens = eventually(|| {
            ended = child.try_wait().unwrap();
            ended.is_some() || TcpStream::connect(address).is_ok()
        });
        assert!(
            listens && ended.is_none(),
            "{} does not listen on {address}: {ended:?}",
            line.join(" ")
        );
        Program {
            child,
            address,
            log: None,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it as an operator would.
    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        if let Some(mut rest) = self.log.take() {
            // The log is read to its end, because a program that cannot write its log may never end.
            rest.read_to_string(&mut String::new()).unwrap();
        }
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a line that says ` listens on ADDRESS`, which a colon or the end of the line follows.
fn listens_on(line: &str) -> Option<SocketAddr> {
    let (_, behind) = line.split_once(" listens on ")?;
    let word = behind.split_whitespace().next()?;
    word.trim_end_matches(':').parse().ok()
}

/// An address of this machine at which nothing listens.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Makes the command line for [`Program::start`] from words.
pub fn line(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// The CPUs on which this process may run.
pub fn cpus() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .expect("the kernel lists the CPUs of a process");
    let span = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().unwrap(), last.parse().unwrap());
        first..=last
    };
    let numbers = list.trim().split(',').flat_map(span);
    numbers.map(|number| number.to_string()).collect()
}

/// Binds this process, and everything that it starts from now on, to one CPU.
pub fn pin_to(cpu: &str) {
    let me = std::process::id().to_string();
    let output = Command::new("taskset")
        .args(["-cp", cpu, &me])
        .output()
        .unwrap_or_else(|error| panic!("cannot run taskset (package util-linux): {error}"));
    assert!(output.status.success(), "taskset -cp {cpu} {me} failed");
}

/// Whether a command can be run here and ends with code 0.
pub fn succeeds(line: &[&str]) -> bool {
    Command::new(line[0])
        .args(&line[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Waits until the condition is true. Returns whether it became true in time.
pub fn eventually(mut is_true: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while !is_true() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
    true
}
