//! The state directory when the machine itself fails: system calls that return errors, a full and a read-only file
//! system.
//!
//! The code under test runs in a process of its own: this test binary, started again with an environment variable,
//! under strace or with its own mounts. If the machine does not allow a test, it is skipped, and the output says so.

#![allow(
    clippy::disallowed_macros,
    reason = "tests print, and one that cannot may fail"
)]
#![cfg(target_os = "linux")]

use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
};

use ipseity::store::{Store, StoreError, StoreOptions};
use ipseity_core::{
    identity::{Pid, Sequence},
    limits::STEP_MAX,
};

/// The variable that gives the directory to a process that has to act as the server.
const DIRECTORY: &str = "IPSEITY_TEST_DIRECTORY";

fn sequence(value: u64) -> Sequence {
    Sequence::new(value).unwrap()
}

fn options(directory: &Path) -> StoreOptions {
    StoreOptions {
        directory: directory.to_path_buf(),
        makes_parents: true,
        is_existing: false,
        may_be_shared: false,
        session: 11,
        cluster: "here".parse().unwrap(),
        pid: Pid::new(7).unwrap(),
        first_step: 1000,
        recover_above: None,
        members_lost: false,
    }
}

/// This is not a test but the server of the other tests. It lives one life and prints each promise that was made to it.
/// So the tests know only what it printed before it failed.
#[test]
fn server() {
    if let Some(directory) = env::var_os(DIRECTORY)
        && let Err(error) = live(Path::new(&directory))
    {
        // On a new line, whatever the test runner has begun to write.
        println!("\nERROR {error}");
    }
}

fn live(directory: &Path) -> Result<(), StoreError> {
    let (mut store, started) = Store::open(&options(directory))?;
    println!("\nBOOT {}", started.boot);
    println!("CEILING {}", started.ceiling);
    let mut last = started.sequence;
    for step in [10, 500, 2 * STEP_MAX, 3000] {
        let ceiling = last.saturating_add(step + 2000);
        if let Err(error) = store.write_ceiling(last, ceiling) {
            // Whatever it says now, no later call may succeed.
            for again in [
                store.write_ceiling(last, ceiling),
                store.write_ceiling(last, started.ceiling),
                store.write_stop(last),
            ] {
                assert!(
                    matches!(again, Err(StoreError::Poisoned { .. })),
                    "{again:?}"
                );
            }
            return Err(error);
        }
        println!("CEILING {ceiling}");
        last = ceiling;
    }
    println!("STOPPING {last}");
    store.write_stop(last)?;
    println!("STOPPED {last}");
    Ok(())
}

/// What a server printed, and how it ended.
struct Told {
    ceiling: Option<u64>,
    stopped: Option<u64>,
    error: Option<String>,
}

impl Told {
    fn by(output: &Output) -> Told {
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let last = |word: &str| {
            let mut lines = text.lines().rev();
            lines.find_map(|line| Some(line.strip_prefix(word)?.trim().to_owned()))
        };
        Told {
            ceiling: last("CEILING").map(|number| number.parse().unwrap()),
            stopped: last("STOPPED").map(|number| number.parse().unwrap()),
            error: last("ERROR"),
        }
    }

    /// The next start must begin at or above everything that was promised, and exactly there after a clean stop.
    fn check(&self, directory: &Path) {
        let (_, started) = Store::open(&options(directory)).unwrap();
        let start = started.sequence.get();
        assert!(
            start >= self.ceiling.unwrap_or(0),
            "{start} < {:?}",
            self.ceiling
        );
        if let Some(stopped) = self.stopped {
            assert_eq!(start, stopped);
        }
    }
}

/// This binary as a server on `directory`, run by `runner` (a program and its arguments).
fn run_server(runner: &[String], directory: &Path) -> Output {
    Command::new(&runner[0])
        .args(&runner[1..])
        .arg(env::current_exe().unwrap())
        .args([
            "--exact",
            "store_faults::server",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DIRECTORY, directory)
        .output()
        .unwrap()
}

/// The strace command that injects `faults` into the calls on the files of `directory`.
fn strace(directory: &Path, faults: &[String]) -> Vec<String> {
    let mut runner: Vec<String> = ["strace", "-f", "-qq", "-o", "/dev/null"]
        .map(String::from)
        .into();
    for name in ["", "state", "state.new", "lock"] {
        runner.extend(["-P".to_owned(), directory.join(name).display().to_string()]);
    }
    for fault in faults {
        runner.extend(["-e".to_owned(), format!("inject={fault}")]);
    }
    runner
}

fn can_strace() -> bool {
    let works = Command::new("strace")
        .args([
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "inject=getpid:error=EIO",
            "true",
        ])
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        eprintln!(
            "SKIPPED: strace is missing or not allowed here; no system call was made to fail"
        );
    }
    works
}

/// The call fails once in each run: the 1st time, the 2nd, and so on beyond the last. First this is done on new
/// directories, then on used ones. Returns how many runs ended in an error.
fn inject_at_every_call(call: &str, fault: &str, always: &[String]) -> usize {
    let mut failed = 0;
    for fresh in [true, false] {
        for nth in 1..=CALLS_MAX {
            let home = tempfile::tempdir().unwrap();
            if !fresh {
                let (mut store, _) = Store::open(&options(home.path())).unwrap();
                store.write_ceiling(sequence(5), sequence(50_000)).unwrap();
            }
            let mut faults = always.to_vec();
            faults.push(format!("{call}:{fault}:when={nth}"));
            let told = Told::by(&run_server(&strace(home.path(), &faults), home.path()));
            if let Some(text) = &told.error {
                let place = home.path().display().to_string();
                assert!(text.contains(&place), "{text:?} does not name {place}");
                failed += 1;
            }
            told.check(home.path());
        }
    }
    failed
}

/// More calls of one kind than one life makes on the files of the directory.
const CALLS_MAX: u32 = 20;

#[test]
fn a_failing_write_breaks_no_promise() {
    if can_strace() {
        for fault in ["error=EIO", "retval=512"] {
            assert!(inject_at_every_call("pwrite64", fault, &[]) > 10, "{fault}");
        }
    }
}

#[test]
fn an_interrupted_write_is_repeated() {
    if can_strace() {
        assert_eq!(inject_at_every_call("pwrite64", "error=EINTR", &[]), 0);
    }
}

#[test]
#[ignore = "the long form, about a minute: every call with every error"]
fn every_call_with_every_error_breaks_no_promise() {
    if !can_strace() {
        return;
    }
    let calls = [
        "pwrite64",
        "pread64",
        "fsync",
        "fdatasync",
        "openat",
        "rename",
        "flock",
        "fadvise64",
        "mkdir",
    ];
    for call in calls {
        for fault in [
            "error=EIO",
            "error=ENOSPC",
            "error=EROFS",
            "error=EINTR",
            "retval=100",
        ] {
            // Only some calls return a number of bytes.
            if fault.starts_with("retval") && !call.starts_with('p') {
                continue;
            }
            let failed = inject_at_every_call(call, fault, &[]);
            eprintln!("{call} {fault}: {failed} runs ended in an error");
        }
    }
}

/// The first read with `O_DIRECT` is refused, so that each write is followed by an fdatasync. One of these fails.
#[test]
fn a_failing_sync_breaks_no_promise() {
    if can_strace() {
        let buffered = ["pread64:error=EINVAL:when=2".to_owned()];
        assert!(inject_at_every_call("fdatasync", "error=ENOSPC", &buffered) > 10);
    }
}

/// The system calls on the state file in one life on a used directory, one a line, each beginning with its name.
fn calls(faults: &[String]) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    Store::open(&options(home.path())).unwrap();
    let log = home.path().join("calls");
    let mut runner = strace(home.path(), faults);
    for argument in runner.iter_mut().filter(|a| *a == "/dev/null") {
        *argument = log.display().to_string();
    }
    Told::by(&run_server(&runner, home.path())).check(home.path());
    let text = std::fs::read_to_string(log).unwrap();
    let call = |line: &str| {
        line.split_once(char::is_whitespace)
            .map(|(_, call)| call.trim().to_owned())
    };
    text.lines().filter_map(call).collect()
}

fn place(calls: &[String], part: &str) -> Option<usize> {
    calls.iter().position(|call| call.contains(part))
}

fn takes_direct() -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    let flags = rustix::fs::OFlags::DIRECT;
    rustix::fs::open(file.path(), flags, rustix::fs::Mode::empty()).is_ok()
}

/// A start reads the disk and not the page cache, and no write counts before it is on the disk.
#[test]
fn writes_bypass_the_page_cache_or_are_synced_one_by_one() {
    if !can_strace() {
        return;
    }
    if takes_direct() {
        let direct = calls(&[]);
        let opened = place(&direct, "O_DIRECT").expect("O_DIRECT is tried first");
        assert!(direct[opened].contains("SYNC"), "{}", direct[opened]);
        assert_eq!(place(&direct, "fdatasync"), None, "{direct:#?}");
        assert_eq!(place(&direct, "fadvise64"), None, "{direct:#?}");
        let synced = place(&direct, "fsync").unwrap();
        // One read finds out whether the file system really allows it; the four that count come after the sync.
        let reads = |calls: &[String]| calls.iter().filter(|c| c.starts_with("pread64")).count();
        assert_eq!(reads(&direct[opened..synced]), 1, "{direct:#?}");
        let is_block = |call: &&String| call.starts_with("pwrite64") && call.contains("IPSEITY");
        let first_write = direct.iter().position(|call| is_block(&call)).unwrap();
        assert_eq!(reads(&direct[synced..first_write]), 4, "{direct:#?}");
        // Before each later generation, which is two writes, all four blocks are read.
        let running = &direct[first_write + 2..];
        let generations = running.iter().filter(is_block).count() / 2;
        assert!(generations >= 5, "{direct:#?}");
        assert_eq!(reads(running), 4 * generations, "{direct:#?}");
        assert!(
            running[0].starts_with("statx"),
            "the boot is done: {}",
            running[0]
        );

        // Opening it with O_DIRECT is refused.
        let opens = direct[..=opened].iter().filter(|c| c.starts_with("openat"));
        let refusal = format!("openat:error=EINVAL:when={}", opens.count());
        syncs_each_write(&calls(&[refusal]));
        // A block that cannot be read does not count as a refusal.
        let faulty = calls(&["pread64:error=EIO:when=2".to_owned()]);
        assert_eq!(place(&faulty, "fdatasync"), None, "{faulty:#?}");
    } else {
        eprintln!("SKIPPED: the file system takes no O_DIRECT");
    }

    // The first read with O_DIRECT is refused.
    syncs_each_write(&calls(&["pread64:error=EINVAL:when=2".to_owned()]));
}

fn syncs_each_write(calls: &[String]) {
    let forgotten = place(calls, "POSIX_FADV_DONTNEED").expect("it drops the cached pages");
    assert!(place(calls, "fsync").unwrap() < forgotten);
    assert!(forgotten < place(calls, "pwrite64").unwrap());
    for (at, call) in calls.iter().enumerate() {
        let next = calls.get(at + 1).map_or("", String::as_str);
        // The lock file gets a line for people, which need not be durable.
        let is_block = call.starts_with("pwrite64") && call.contains("IPSEITY");
        assert!(!is_block || next.starts_with("fdatasync"), "{calls:#?}");
    }
}

/// Whatever the machine does after a first start, the next one finds the directory and the file under their names.
#[test]
fn a_first_start_makes_its_names_durable() {
    if !can_strace() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("7");
    let log = home.path().join("calls");
    let mut runner = strace(&directory, &[]);
    for argument in runner.iter_mut().filter(|a| *a == "/dev/null") {
        *argument = log.display().to_string();
    }
    // The path as the kernel shows it.
    let above = fs::canonicalize(home.path()).unwrap();
    let [within, above] = [above.join("7"), above].map(|path| path.display().to_string());
    // With the path of each descriptor.
    runner.extend(["-y", "-P", &above, "-P", &within].map(str::to_owned));
    Told::by(&run_server(&runner, &directory)).check(&directory);
    let text = fs::read_to_string(log).unwrap();
    let calls: Vec<String> = text.lines().map(str::to_owned).collect();
    let synced = |path: &str| {
        let call = format!("<{path}>");
        calls
            .iter()
            .rposition(|c| c.contains("fsync(") && c.contains(&call))
    };
    let made = place(&calls, "mkdir").expect("the directory is made");
    let named = place(&calls, "rename").expect("the file gets its name");
    assert!(synced(&above) > Some(made), "{calls:#?}");
    assert!(synced(&within) > Some(named), "{calls:#?}");
}

/// Runs a server on a used directory, where the kernel answers that this user may not open `path`.
fn run_forbidden(directory: &Path, path: &Path) -> Told {
    drop(Store::open(&options(directory)).unwrap());
    let mut runner = ["strace", "-f", "-qq", "-o", "/dev/null", "-P"]
        .map(String::from)
        .to_vec();
    runner.push(path.display().to_string());
    runner.extend(["-e", "inject=openat:error=EACCES"].map(String::from));
    Told::by(&run_server(&runner, directory))
}

#[test]
fn a_file_that_may_not_be_opened_is_named_with_what_to_do() {
    if can_strace() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("state");
        let text = run_forbidden(home.path(), &file).error.unwrap();
        assert!(text.contains(file.to_str().unwrap()), "{text}");
        assert!(text.contains("let the server's user read"), "{text}");
    }
}

/// A server that cannot know that it is alone does not start: first the lock file, then the state file itself.
#[test]
fn a_lock_that_cannot_be_taken_ends_the_start() {
    if can_strace() {
        for (nth, file) in [(1, "lock"), (2, "state")] {
            let home = tempfile::tempdir().unwrap();
            drop(Store::open(&options(home.path())).unwrap());
            let faults = [format!("flock:error=ENOLCK:when={nth}")];
            let told = Told::by(&run_server(&strace(home.path(), &faults), home.path()));
            let text = told.error.unwrap();
            let path = home.path().join(file);
            let says = format!("cannot lock {}", path.display());
            assert!(text.contains(&says), "{text}");
            assert_eq!(told.ceiling, None);
        }
    }
}

#[test]
fn a_directory_may_be_inside_one_that_cannot_be_read() {
    if can_strace() {
        let home = tempfile::tempdir().unwrap();
        let told = run_forbidden(&home.path().join("7"), home.path());
        assert_eq!(told.error, None);
        assert!(told.stopped.is_some());
    }
}

/// Runs `script` and then a server, as a user who may mount, in a mount namespace that ends with it.
fn run_mounted(script: &str, directory: &Path) -> Option<Output> {
    // Slaves: a file system that another test unmounts must not stay mounted in this namespace.
    let unshare = [
        "unshare",
        "--mount",
        "--propagation=slave",
        "--map-root-user",
    ];
    let allowed = Command::new(unshare[0])
        .args(&unshare[1..])
        .args(["mount", "-t", "tmpfs", "tmpfs"])
        .arg(directory)
        .output()
        .is_ok_and(|output| output.status.success());
    if !allowed {
        eprintln!(
            "SKIPPED: this user may not mount anything here; no read-only or full file system"
        );
        return None;
    }
    let mut runner = unshare.map(String::from).to_vec();
    let script = format!("set -e; cd \"${DIRECTORY}\"; {script}; exec \"$@\"");
    runner.extend(["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]);
    Some(run_server(&runner, directory))
}

#[test]
fn a_read_only_file_system_is_an_error_that_says_so() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("7");
    drop(Store::open(&options(&directory)).unwrap());
    let state = fs::read(directory.join("state")).unwrap();
    let script = "mount --bind . . && mount -o remount,bind,ro \"$PWD\"";
    if let Some(output) = run_mounted(script, &directory) {
        let text = Told::by(&output).error.unwrap();
        assert!(text.contains("mount the file system for writing"), "{text}");
        assert!(text.contains(directory.to_str().unwrap()), "{text}");
        assert_eq!(fs::read(directory.join("state")).unwrap(), state);
    }
}

#[test]
fn a_full_file_system_stops_a_first_start_but_no_later_raise() {
    let home = tempfile::tempdir().unwrap();
    let full = "mount -t tmpfs -o size=32k,mode=700 tmpfs \"$PWD\" && cd \"$PWD\"";
    let fill = "dd if=/dev/zero of=fill bs=4096 2>/dev/null || true";
    if let Some(output) = run_mounted(&format!("{full}; {fill}"), home.path()) {
        let text = Told::by(&output).error.unwrap();
        assert!(text.contains("make room"), "{text}");
    }
    // The directory is made while there is room, and used when there is none.
    let first = "env \"$@\" >/dev/null";
    if let Some(output) = run_mounted(&format!("{full}; {first}; {fill}"), home.path()) {
        let told = Told::by(&output);
        assert_eq!(told.error, None);
        assert!(told.stopped.is_some());
    }
}
