//! strace, which makes system calls of a server fail: from its start, or from a later moment.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::server::{Server, eventually};

/// Whether strace can do here what these tests need. If not, it prints why.
pub fn is_allowed() -> bool {
    let works = Command::new("strace")
        .args(["-D", "-f", "-qq", "-o", "/dev/null"])
        .args(["-e", "inject=getpid:error=EIO", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        eprintln!(
            "SKIPPED: strace is missing or not allowed here; no system call was made to fail"
        );
    }
    works
}

/// The common part of the command lines: what to follow, where to record it, and which calls fail.
fn command_line(log: &Path, data_dir: &Path, injections: &[String]) -> Vec<String> {
    let mut line: Vec<String> = ["strace", "-f", "-qq", "-o"].map(String::from).into();
    line.push(log.display().to_string());
    let above = data_dir.parent().unwrap();
    let names = ["state", "state.new", "lock", "members", "members.new"];
    let inside = names.iter().map(|name| data_dir.join(name));
    for path in [above.to_path_buf(), data_dir.to_path_buf()]
        .into_iter()
        .chain(inside)
    {
        line.extend(["-P".to_owned(), path.display().to_string()]);
    }
    for injection in injections {
        line.extend(["-e".to_owned(), format!("inject={injection}")]);
    }
    line
}

/// What to put in front of a server's command line. The process becomes the server; strace runs as another process
/// and ends with it.
pub fn runner(log: &Path, data_dir: &Path, injections: &[String]) -> Vec<String> {
    let mut line = command_line(log, data_dir, injections);
    line.insert(1, "-D".to_owned());
    line
}

/// strace attached to a server that runs. Dropping it lets go of the server.
#[derive(Debug)]
pub struct Attached {
    strace: Child,
}

impl Attached {
    /// Follows all threads of `server` from now on.
    pub fn to(server: &Server, log: &Path, data_dir: &Path, injections: &[String]) -> Attached {
        Attached::by(server.pid(), &command_line(log, data_dir, injections))
    }

    /// Follows all threads of `server` from now on. A thread that makes one of these calls is held until this is
    /// dropped.
    pub fn holding(server: &Server, log: &Path, calls: &str) -> Attached {
        let an_hour = 3_600_000_000_u64;
        let mut line: Vec<String> = ["strace", "-f", "-qq", "-o"].map(String::from).into();
        line.push(log.display().to_string());
        line.extend(["-e".to_owned(), format!("trace={calls}")]);
        line.extend([
            "-e".to_owned(),
            format!("inject={calls}:delay_enter={an_hour}"),
        ]);
        Attached::by(server.pid(), &line)
    }

    /// Follows all threads of a process from now on. Each of these calls takes so much longer.
    pub fn slowing(process: u32, calls: &str, delay: Duration) -> Attached {
        let delay = delay.as_micros();
        let mut line: Vec<String> = ["strace", "-f", "-qq", "-o", "/dev/null"]
            .map(String::from)
            .into();
        for what in [
            format!("trace={calls}"),
            format!("inject={calls}:delay_enter={delay}"),
        ] {
            line.extend(["-e".to_owned(), what]);
        }
        Attached::by(process, &line)
    }

    fn by(process: u32, line: &[String]) -> Attached {
        let strace = Command::new(&line[0])
            .args(&line[1..])
            .args(["-p", &process.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let attached = Attached { strace };
        let tracer = format!("TracerPid:\t{}\n", attached.strace.id());
        let all_traced = || {
            let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
            tasks.map(|task| task.unwrap().path()).all(|task| {
                fs::read_to_string(task.join("status")).is_ok_and(|text| text.contains(&tracer))
            })
        };
        assert!(eventually(all_traced), "strace attaches to every thread");
        attached
    }

    /// Waits for the server to end, and strace with it.
    pub fn finish(mut self) {
        let ended = eventually(|| self.strace.try_wait().unwrap().is_some());
        assert!(ended, "strace ends with the server");
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // If the server has ended, strace has too.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// What to put in front of a server's command line so that every system call of all its threads is recorded.
pub fn recorder(log: &Path) -> Vec<String> {
    let mut line: Vec<String> = ["strace", "-D", "-f", "-qq", "-o"].map(String::from).into();
    line.push(log.display().to_string());
    line
}

/// The names of the system calls that a thread has made, in order.
pub fn calls_of_thread(log: &Path, thread: u32) -> Vec<String> {
    let name = thread.to_string();
    let text = fs::read_to_string(log).unwrap();
    let calls = text.lines().filter_map(|line| {
        let (of, rest) = line.split_once(' ')?;
        let (call, _) = rest.trim_start().split_once('(')?;
        let is_name = call.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (of == name && is_name).then(|| call.to_owned())
    });
    calls.collect()
}

/// Whether strace has stopped a thread of this process with this name.
pub fn is_held(process: u32, thread: &str) -> bool {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    tasks.map(|task| task.unwrap().path()).any(|task| {
        let read = |file| fs::read_to_string(task.join(file)).unwrap_or_default();
        read("comm").trim_end() == thread && read("status").contains("State:\tt (tracing stop)")
    })
}

/// How often each system call was made on the files, by the thread that made it most often. strace counts calls for
/// each thread, too.
pub fn calls(log: &Path) -> BTreeMap<String, usize> {
    let mut by_thread: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let mut words = line.split_whitespace();
        let (Some(thread), Some(rest)) = (words.next(), words.next()) else {
            continue;
        };
        if let Some((call, _)) = rest.split_once('(')
            && call.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            *by_thread
                .entry((thread.to_owned(), call.to_owned()))
                .or_default() += 1;
        }
    }
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for ((_, call), count) in by_thread {
        let most = calls.entry(call).or_default();
        *most = count.max(*most);
    }
    calls
}

/// How many system calls have really failed because of strace.
pub fn injected(log: &Path) -> usize {
    fs::read_to_string(log)
        .unwrap()
        .lines()
        .filter(|line| line.contains("(INJECTED)"))
        .count()
}
