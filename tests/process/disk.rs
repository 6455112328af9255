//! A real server on disks that fail: system calls that return errors, power cuts, and file systems that are full,
//! read-only, removed or hang. Whatever happens, no identity is handed out twice, and the log says what happened.
//!
//! The ordinary run takes a sample. All of it is
//! `cargo test --test process disk -- --include-ignored --nocapture`, as root, because it mounts file systems. What
//! the machine does not allow is skipped, and the output says so.

#![allow(
    clippy::disallowed_macros,
    reason = "tests print, and one that cannot may fail"
)]
#![cfg(target_os = "linux")]

use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use ipseity::{
    limits::{BLOCK_BYTES, BLOCK_COUNT, STOP_TIMEOUT},
    store::record::{Block, Record},
};
use ipseity_core::{
    limits::STEP_MAX,
    words::{ErrorCode, Message},
};
use ipseity_harness::failing::{
    client::{Answer, Client, GENEROUS, History, LOAD_RAISES, far_above, run_load},
    strace::{self, Attached},
    volume::{self, Volume},
};
use ipseity_harness::server::{Connection, Refusal, Server, eventually};

/// A server on `data_dir`, started by `runner`, that can be made to write often.
fn start_under(runner: &[String], data_dir: &Path) -> Result<Server, Refusal> {
    let mut flags = vec!["--data-dir", data_dir.to_str().unwrap()];
    flags.extend(GENEROUS);
    Server::start_under(runner, &["--listen", "127.0.0.1:0"], &flags)
}

fn start(data_dir: &Path) -> Server {
    start_under(&[], data_dir).unwrap_or_else(|refusal| panic!("{}", refusal.log))
}

/// A start on `data_dir` is refused with one line that names it and contains `why`.
fn assert_refused(data_dir: &Path, why: &str) {
    let refusal = start_under(&[], data_dir).unwrap_err();
    assert_eq!(refusal.code, Some(1), "{}", refusal.log);
    assert_eq!(refusal.log.lines().count(), 1, "{}", refusal.log);
    assert!(refusal.log.contains(why), "{}", refusal.log);
    assert!(
        refusal.log.contains(data_dir.to_str().unwrap()),
        "{}",
        refusal.log
    );
}

/// One more life of the directory, without any fault. It must go on above everything that was handed out.
fn assert_goes_on(data_dir: &Path, history: &mut History) {
    let mut server = start(data_dir);
    let mut client = Client::connect(server.socket_address());
    assert_eq!(client.ask(3, 0, history), Answer::Identities);
    assert_eq!(client.ask(5_000, 0, history), Answer::Identities);
    assert_eq!(server.stop(), 0, "{}", server.log());
}

/// The server notices that its disk has failed when it is asked for more than the ceiling allows, tells its clients,
/// and exits. Its log contains `why`.
fn assert_fails(server: &mut Server, history: &mut History, why: &str) {
    assert!(!run_load(server, history), "{}", server.log());
    assert_eq!(server.wait().code(), Some(1), "{}", server.log());
    server.wait_for_log(why);
    server.wait_for_log("the state directory cannot be written: exiting");
}

mod every_call {
    //! Every system call on the files of the state directory fails, one in each run: once, or from some time on.

    use super::*;

    /// When in the life of a server its calls fail.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Phase {
        /// From its first start on.
        FirstStart,
        /// From the start after a crash on.
        Start,
        /// From when it serves. strace counts the calls of each thread, and otherwise the calls of the start would come
        /// first in the count.
        Running,
        /// As from a start after a crash on, but where the file system refuses `O_DIRECT`, so that each write
        /// needs a sync. Only syncs fail.
        PageCache,
    }

    const PHASES: [Phase; 4] = [
        Phase::FirstStart,
        Phase::Start,
        Phase::Running,
        Phase::PageCache,
    ];

    /// What fails in every life of a phase: opening the third file, with `O_DIRECT`. Only a start opens files, so
    /// it fails once in each life.
    fn always(phase: Phase) -> &'static [&'static str] {
        match phase {
            Phase::FirstStart | Phase::Start | Phase::Running => &[],
            Phase::PageCache => &["openat:error=EINVAL:when=3"],
        }
    }

    const ERRORS: [&str; 4] = ["error=EIO", "error=ENOSPC", "error=EROFS", "error=EINTR"];
    /// For calls that move bytes. No such call of the server asks for fewer.
    const SHORT: &str = "retval=5";

    #[derive(Clone, Debug)]
    struct Fault {
        phase: Phase,
        call: String,
        what: &'static str,
        /// As strace takes it: the 3rd time, or from the 3rd time on.
        when: String,
    }

    impl Fault {
        fn injection(&self) -> String {
            format!("{}:{}:when={}", self.call, self.what, self.when)
        }

        /// Whether a server that goes on as if nothing had happened would be wrong.
        fn is_fatal(&self) -> bool {
            match self.call.as_str() {
                // A call that was interrupted before it moved a byte is repeated.
                "pwrite64" => self.what != "error=EINTR",
                "fsync" | "fdatasync" => true,
                _ => false,
            }
        }
    }

    /// How a life with a fault went.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Course {
        /// The fault did no harm.
        WentOn,
        Refused,
        /// Clients were told, and it exited.
        Failed,
        /// It was asked to stop and could not do so cleanly.
        StopFailed,
    }

    /// One life with `injection`, and then one without.
    fn live(phase: Phase, injection: Option<String>, log: &Path) -> Course {
        let always = always(phase).iter().map(|&always| always.to_owned());
        let injections: Vec<String> = always.chain(injection).collect();
        let home = tempfile::tempdir().unwrap();
        let data_dir = home.path().join("state-of-1");
        let mut history = History::default();
        if matches!(phase, Phase::Start | Phase::PageCache) {
            let mut server = start(&data_dir);
            let mut client = Client::connect(server.socket_address());
            assert_eq!(client.ask(2_000, 0, &mut history), Answer::Identities);
            server.kill();
        }
        let runner = match phase {
            Phase::FirstStart | Phase::Start | Phase::PageCache => {
                strace::runner(log, &data_dir, &injections)
            }
            Phase::Running => Vec::new(),
        };
        let course = match start_under(&runner, &data_dir) {
            Ok(mut server) => {
                let attached = (phase == Phase::Running)
                    .then(|| Attached::to(&server, log, &data_dir, &injections));
                if phase == Phase::PageCache {
                    server.wait_for_log("through the page cache");
                }
                let course = serve(&mut server, &mut history);
                // strace ends with the server, and has written everything down by then.
                if let Some(attached) = attached {
                    attached.finish();
                }
                course
            }
            Err(refusal) => {
                assert_eq!(refusal.code, Some(1), "{}", refusal.log);
                let lines = refusal.log.lines().filter(|line| !line.contains(" WARN "));
                assert_eq!(lines.count(), 1, "{}", refusal.log);
                let place = home.path().to_str().unwrap();
                assert!(refusal.log.contains(place), "{}", refusal.log);
                Course::Refused
            }
        };
        assert_goes_on(&data_dir, &mut history);
        course
    }

    fn serve(server: &mut Server, history: &mut History) -> Course {
        if !run_load(server, history) {
            assert_eq!(server.wait().code(), Some(1), "{}", server.log());
            server.wait_for_log("the state directory cannot be written: exiting");
            return Course::Failed;
        }
        match server.stop() {
            0 => Course::WentOn,
            1 => {
                // The log says why.
                server.wait_for_log("ERROR");
                Course::StopFailed
            }
            code => panic!("exit code {code}: {}", server.log()),
        }
    }

    /// Every call that a life makes on the files, with every error, at every time.
    fn all_faults() -> Vec<Fault> {
        let mut faults = Vec::new();
        for phase in PHASES {
            let logs = tempfile::tempdir().unwrap();
            let log = logs.path().join("strace");
            assert_eq!(live(phase, None, &log), Course::WentOn);
            assert_eq!(strace::injected(&log), always(phase).len());
            let calls = strace::calls(&log);
            if phase == Phase::Running {
                // Each raise writes two blocks at least.
                assert!(calls["pwrite64"] > 2 * LOAD_RAISES, "{calls:?}");
            }
            for (call, times) in calls {
                if phase == Phase::PageCache && !call.ends_with("sync") {
                    continue;
                }
                let moves_bytes = call.starts_with("pread") || call.starts_with("pwrite");
                let short = moves_bytes.then_some(SHORT);
                for what in ERRORS.into_iter().chain(short) {
                    for nth in 1..=times {
                        // A disk may fail once or for good. An interruption passes.
                        let lasts = what != "error=EINTR";
                        let for_good = lasts.then(|| format!("{nth}+"));
                        let whens = [format!("{nth}")].into_iter().chain(for_good);
                        faults.extend(whens.map(|when| Fault {
                            phase,
                            call: call.clone(),
                            what,
                            when,
                        }));
                    }
                }
            }
        }
        faults
    }

    /// Runs a life for each of the faults, several at a time, and prints how they went.
    fn inject(faults: &[Fault]) {
        let next = AtomicUsize::new(0);
        let injected = AtomicUsize::new(0);
        let untouched = AtomicUsize::new(0);
        let courses = [const { AtomicUsize::new(0) }; 4];
        let work = || {
            let logs = tempfile::tempdir().unwrap();
            while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                let log = logs.path().join("strace");
                let injection = Some(fault.injection());
                let outcome = std::panic::catch_unwind(|| live(fault.phase, injection, &log));
                let Ok(course) = outcome else {
                    let calls = fs::read_to_string(&log).unwrap_or_default();
                    let lines: Vec<&str> = calls.lines().rev().take(50).collect();
                    panic!(
                        "with {fault:?}; the last calls, the newest first:\n{}",
                        lines.join("\n")
                    );
                };
                let failed = strace::injected(&log) - always(fault.phase).len();
                injected.fetch_add(failed, Ordering::Relaxed);
                // The number of calls varies a little from one life to the next.
                if failed == 0 {
                    untouched.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(course, Course::WentOn, "{fault:?}");
                } else if fault.is_fatal() {
                    assert_ne!(course, Course::WentOn, "{fault:?} was ignored");
                }
                courses[course as usize].fetch_add(1, Ordering::Relaxed);
            }
        };
        // The runs mostly wait.
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(work);
            }
        });
        let [injected, untouched] = [injected, untouched].map(AtomicUsize::into_inner);
        let [went_on, refused, failed, stop_failed] = courses.map(AtomicUsize::into_inner);
        eprintln!(
            "{injected} faults injected in {} lives ({untouched} more had none): {went_on} went on, {refused} \
             refused to start, {failed} told their clients and exited, {stop_failed} did not stop cleanly",
            faults.len() - untouched
        );
        assert!(untouched * 10 < faults.len(), "most are injected");
        assert!(went_on > 0);
        assert!(refused > 0);
        assert!(failed > 0);
    }

    #[test]
    fn a_sample_of_failing_calls_breaks_no_promise() {
        if strace::is_allowed() {
            let all = all_faults();
            let sample: Vec<Fault> = all.iter().step_by(all.len() / 37).cloned().collect();
            inject(&sample);
        }
    }

    #[test]
    #[ignore = "the long form, about two minutes: every call, every error, every time"]
    fn no_failing_call_breaks_a_promise() {
        if strace::is_allowed() {
            inject(&all_faults());
        }
    }
}

mod power_cuts {
    //! The file under a mounted file system is copied while the server writes: what a disk would hold after a
    //! power cut at that moment, if it keeps all that it was given.
    //!
    //! A copy takes a while, and a copy of a changing file may be a state that never existed. So the server is
    //! paused first, wherever it is between two system calls, and the file is read until it is the same twice: what
    //! the kernel still writes by itself has an end. Nothing in it ever changes back, so the copy is the state of the
    //! moment between the two readings. This cannot show a block that the cut tore in the middle, nor a disk that
    //! loses what it was not told to flush.

    use super::*;

    /// Raises the sequence without end, so that the disk is written before or while each request is answered. Every
    /// identity goes into `newest` as soon as it has come.
    fn load(server: &Server, newest: &AtomicU64, is_over: &AtomicBool) {
        let mut history = History::default();
        let mut client = Client::connect(server.socket_address());
        for turn in 0_u64.. {
            // Half of the longest step: mostly the ceiling is raised after the answer. Requests far above it wait.
            let half_a_step = newest.load(Ordering::SeqCst) + (STEP_MAX << 10) / 2;
            let after = if turn % 4 == 0 {
                far_above(&history)
            } else {
                half_a_step
            };
            if is_over.load(Ordering::SeqCst) {
                return;
            }
            match client.ask(1, after, &mut history) {
                Answer::Identities => newest.fetch_max(history.newest, Ordering::SeqCst),
                other => panic!("{other:?}: {}", server.log()),
            };
        }
    }

    /// Waits until no thread of the server runs any more.
    fn pause(server: &Server) {
        server.signal("STOP");
        let is_stopped = || {
            let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
            tasks.map(|task| task.unwrap().path()).all(|task| {
                fs::read_to_string(task.join("status")).is_ok_and(|text| text.contains("State:\tT"))
            })
        };
        assert!(eventually(is_stopped));
    }

    /// The state of the volume's disk at one moment.
    fn copy(volume: &Volume) -> Vec<u8> {
        let mut bytes = fs::read(volume.image()).unwrap();
        let is_still = || {
            let before = std::mem::replace(&mut bytes, fs::read(volume.image()).unwrap());
            before == bytes
        };
        assert!(eventually(is_still), "the file never stops changing");
        bytes
    }

    /// Whether the newest record has not been written to both of its blocks.
    fn is_amid_a_raise(state: &[u8]) -> bool {
        let records = (0..BLOCK_COUNT).filter_map(|block| {
            let bytes = &state[block as usize * BLOCK_BYTES..][..BLOCK_BYTES];
            Record::decode(&Block(bytes.try_into().unwrap()), block).ok()
        });
        let generations: Vec<u64> = records.map(|record| record.generation).collect();
        let newest = generations.iter().max().unwrap();
        generations.iter().filter(|one| *one == newest).count() == 1
    }

    /// Ends the load, also when the test panics.
    struct Over<'a>(&'a Server, &'a AtomicBool);

    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.1.store(true, Ordering::SeqCst);
            // It may have ended, which is reported already.
            let _ = Command::new("kill")
                .args(["-CONT", &self.0.pid().to_string()])
                .status();
        }
    }

    fn cut_power(images: usize) {
        if !volume::is_allowed() {
            return;
        }
        let volume = Volume::new();
        let server = start(&volume.path().join("1"));
        let (newest, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        let mut amid_a_raise = 0;
        thread::scope(|scope| {
            let over = Over(&server, &is_over);
            for _ in 0..2 {
                scope.spawn(|| load(&server, &newest, &is_over));
            }
            for _ in 0..images {
                let seen = newest.load(Ordering::SeqCst);
                assert!(
                    eventually(|| newest.load(Ordering::SeqCst) > seen),
                    "the load goes on"
                );
                let moment = Duration::from_micros(getrandom::u64().unwrap() % 20_000);
                thread::sleep(moment);
                pause(&server);
                let bytes = copy(&volume);
                // The server has answered nothing since before the copy began, so this demand is fair.
                let given = newest.load(Ordering::SeqCst);
                let after_the_cut = Volume::from_image(&bytes);
                let data_dir = after_the_cut.path().join("1");
                let state = fs::read(data_dir.join("state")).unwrap();
                amid_a_raise += usize::from(is_amid_a_raise(&state));
                let mut history = History { newest: given };
                assert_goes_on(&data_dir, &mut history);
                drop(after_the_cut);
                server.signal("CONT");
            }
            drop(over);
        });
        eprintln!(
            "started from {images} images of a power cut, {amid_a_raise} of them between the two copies of a record"
        );
    }

    #[test]
    fn a_few_power_cuts_repeat_nothing() {
        cut_power(8);
    }

    #[test]
    #[ignore = "the long form, about a minute"]
    fn a_hundred_and_fifty_power_cuts_repeat_nothing() {
        cut_power(150);
    }
}

mod file_systems {
    //! Full, read-only, removed and replaced.

    use super::*;

    #[test]
    fn raises_go_on_when_the_file_system_is_full() {
        if !volume::is_allowed() {
            return;
        }
        let volume = Volume::new();
        let data_dir = volume.path().join("1");
        let mut history = History::default();
        let mut server = start(&data_dir);
        volume.fill();
        for _ in 0..10 {
            assert!(run_load(&server, &mut history), "{}", server.log());
        }
        server.kill();
        // A start after a crash and a clean stop work too.
        assert_goes_on(&data_dir, &mut history);
    }

    #[test]
    fn a_first_start_on_a_full_file_system_is_refused_and_works_once_there_is_room() {
        if !volume::is_allowed() {
            return;
        }
        let volume = Volume::new();
        let with_directory = volume.path().join("with-directory");
        fs::create_dir(&with_directory).unwrap();
        volume.fill();
        let without_directory = volume.path().join("without-directory");
        for data_dir in [&with_directory, &without_directory] {
            assert_refused(data_dir, "make room on the file system");
        }
        fs::remove_file(volume.path().join("filler")).unwrap();
        for data_dir in [&with_directory, &without_directory] {
            assert_goes_on(data_dir, &mut History::default());
        }
    }

    #[test]
    fn a_read_only_file_system_is_refused_and_untouched() {
        if !volume::is_allowed() {
            return;
        }
        let mut volume = Volume::new();
        let data_dir = volume.path().join("1");
        let mut history = History::default();
        let mut server = start(&data_dir);
        assert!(run_load(&server, &mut history));
        server.kill();
        volume.mount_again("ro");
        let before = fs::read(volume.image()).unwrap();
        assert_refused(&data_dir, "mount the file system for writing");
        assert_refused(
            &volume.path().join("2"),
            "mount the file system for writing",
        );
        assert!(fs::read(volume.image()).unwrap() == before, "not a byte");
        volume.mount_again("rw");
        assert_goes_on(&data_dir, &mut history);
    }

    /// What ext4 does by default on many systems when it finds itself damaged.
    #[test]
    fn a_file_system_that_turns_read_only_stops_the_server_and_repeats_nothing() {
        if !volume::is_allowed() {
            return;
        }
        let mut volume = Volume::with_options("errors=remount-ro");
        let data_dir = volume.path().join("1");
        let mut history = History::default();
        let mut server = start(&data_dir);
        assert!(run_load(&server, &mut history));
        if let Err(error) = volume.report_damage() {
            eprintln!("SKIPPED: this kernel does not let a test damage an ext4: {error}");
            return;
        }
        assert_fails(
            &mut server,
            &mut history,
            "mount the file system for writing",
        );
        assert_refused(&data_dir, "mount the file system for writing");
        volume.mount_again("rw");
        assert_goes_on(&data_dir, &mut history);
    }

    #[test]
    fn a_directory_that_is_removed_stops_the_server() {
        let home = tempfile::tempdir().unwrap();
        let data_dir = home.path().join("1");
        let mut history = History::default();
        let mut server = start(&data_dir);
        assert!(run_load(&server, &mut history));
        fs::remove_dir_all(&data_dir).unwrap();
        assert_fails(&mut server, &mut history, "is no longer in its place");
        assert!(!data_dir.exists(), "it is not made again");
    }

    #[test]
    fn a_directory_that_is_moved_away_and_back_loses_nothing() {
        let home = tempfile::tempdir().unwrap();
        let (data_dir, aside) = (home.path().join("1"), home.path().join("aside"));
        let mut history = History::default();
        let mut server = start(&data_dir);
        assert!(run_load(&server, &mut history));
        fs::rename(&data_dir, &aside).unwrap();
        assert_fails(
            &mut server,
            &mut history,
            "put it back before the next start",
        );
        fs::rename(&aside, &data_dir).unwrap();
        assert_goes_on(&data_dir, &mut history);
    }

    #[test]
    fn a_state_file_that_is_removed_stops_the_server_and_the_next_start_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let data_dir = home.path().join("1");
        let mut history = History::default();
        let mut server = start(&data_dir);
        assert!(run_load(&server, &mut history));
        fs::remove_file(data_dir.join("state")).unwrap();
        assert_fails(&mut server, &mut history, "is no longer in its place");
        assert_refused(&data_dir, "is gone from a directory that a server has used");
    }

    #[test]
    fn a_state_file_that_is_replaced_stops_the_server() {
        let home = tempfile::tempdir().unwrap();
        let data_dir = home.path().join("1");
        let (file, aside) = (data_dir.join("state"), home.path().join("aside"));
        let mut history = History::default();
        let mut server = start(&data_dir);
        assert!(run_load(&server, &mut history));
        fs::rename(&file, &aside).unwrap();
        fs::copy(&aside, &file).unwrap();
        let copied = fs::read(&file).unwrap();
        assert_fails(&mut server, &mut history, "is no longer in its place");
        assert_eq!(fs::read(&file).unwrap(), copied, "the copy is not written");
        // The file itself is put back, as the log says.
        fs::rename(&aside, &file).unwrap();
        assert_goes_on(&data_dir, &mut history);
    }

    #[test]
    fn a_place_where_no_directory_can_be_made_is_refused() {
        assert_refused(
            Path::new("/proc/ipseity"),
            "name a directory with --data-dir",
        );
    }
}

mod hanging {
    //! A disk that does not fail but is slow, and stops meanwhile.

    use super::*;

    /// A new server. From now on its next write takes `seconds`.
    fn slow_server(home: &Path, seconds: u64) -> (Server, Attached) {
        let data_dir = home.join("1");
        let server = start(&data_dir);
        let delay = format!("pwrite64:delay_enter={}:when=1", seconds * 1_000_000);
        let attached = Attached::to(&server, &home.join("strace"), &data_dir, &[delay]);
        (server, attached)
    }

    fn identity_request(count: u32) -> Message {
        Message::IdentityRequest { count, after: 0 }
    }

    fn add(reply: &Message, history: &mut History) {
        match reply {
            Message::IdentityReply { first, count } => history.add(*first, *count),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until a write has been under way for more than `micros`.
    fn wait_for_a_write_of(server: &Server, micros: u64) -> u64 {
        let status = server.wait_for_status("a write that takes long", |status| {
            status.storage.current_write_us > micros
        });
        status.storage.current_write_us
    }

    #[test]
    fn only_requests_above_the_ceiling_wait_for_a_disk_that_hangs() {
        if !strace::is_allowed() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let (mut server, attached) = slow_server(home.path(), 10);
        let mut history = History::default();
        // Half of the first step is used, so the raise begins. Requests below the ceiling are answered meanwhile.
        for count in [600, 100, 100] {
            add(&server.ask(count, 0), &mut history);
        }
        let early = wait_for_a_write_of(&server, 10_000);
        add(&server.ask(1, 0), &mut history);
        let mut waiting: Vec<Connection> = Vec::new();
        for count in [1_000, 1, 1] {
            let mut connection = server.connect();
            connection.send(&identity_request(count));
            waiting.push(connection);
            let waited = waiting.len() as u64;
            server.wait_for_status("one more that waits", |status| {
                let answered = status.counters.identity_requests;
                (status.bounds.waiting_for_disk, answered) == (waited, 4)
            });
        }
        let late = wait_for_a_write_of(&server, early);
        let status = server.status();
        assert!(status.storage.current_write_us >= late, "it grows");
        assert_eq!(status.storage.ceiling, 1_024);
        assert_eq!(status.storage.writes, 0, "and nobody was answered");
        for connection in &mut waiting {
            add(&connection.receive(), &mut history);
        }
        let status = server.wait_for_status("the end of the write", |status| {
            status.storage.current_write_us == 0
        });
        assert!(status.storage.longest_write_us >= late, "{status:?}");
        assert_eq!(server.stop(), 0);
        attached.finish();
        assert_goes_on(&home.path().join("1"), &mut history);
    }

    #[test]
    fn a_stop_waits_for_the_raise_that_is_under_way() {
        if !strace::is_allowed() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let (mut server, attached) = slow_server(home.path(), 2);
        let mut history = History::default();
        let mut connection = server.connect();
        connection.send(&identity_request(5_000));
        wait_for_a_write_of(&server, 0);
        server.signal("TERM");
        add(&connection.receive(), &mut history);
        assert_eq!(server.wait().code(), Some(0), "{}", server.log());
        attached.finish();
        // It was a clean stop: nothing is skipped.
        let next = start(&home.path().join("1"));
        assert_eq!(
            next.ask(1, 0),
            Message::IdentityReply {
                first: history.newest + 1024,
                count: 1
            }
        );
    }

    #[test]
    fn a_stop_with_a_disk_that_hangs_ends_and_the_next_start_skips() {
        if !strace::is_allowed() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let (mut server, attached) = slow_server(home.path(), 3_600);
        let mut history = History::default();
        add(&server.ask(700, 0), &mut history);
        let mut connection = server.connect();
        connection.send(&identity_request(5_000));
        wait_for_a_write_of(&server, 0);
        server.signal("TERM");
        assert_eq!(connection.try_receive(), None, "it was never durable");
        server.wait_for_log("the disk takes too long");
        // The process cannot end before strace lets go of the thread that it holds.
        drop(attached);
        assert_eq!(server.wait().code(), Some(1), "{}", server.log());
        let slowest = server.slowest_write_of_stop().unwrap();
        assert!(slowest >= STOP_TIMEOUT, "{}", server.log());
        let next = start(&home.path().join("1"));
        assert!(next.status().storage.skipped > 0);
        drop(next);
        assert_goes_on(&home.path().join("1"), &mut history);
    }

    #[test]
    fn a_start_that_waits_for_the_disk_says_so() {
        if !strace::is_allowed() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let data_dir = home.path().join("1");
        let log = home.path().join("strace");
        let slow = "pwrite64:delay_enter=1500000:when=1".to_owned();
        let server = start_under(&strace::runner(&log, &data_dir, &[slow]), &data_dir).unwrap();
        let text = server.log();
        let place = |what: &str| {
            text.find(what)
                .unwrap_or_else(|| panic!("no {what:?}: {text}"))
        };
        let shown = data_dir.display();
        let late = place(&format!(
            "still waiting for the disk: opening the state directory {shown} has taken 1 s so far"
        ));
        let over = place("the disk has answered: opening the state directory");
        assert!(late < over && over < place(" listens on "), "{text}");
    }

    #[test]
    fn a_raise_that_fails_during_a_stop_refuses_its_request_and_sets_the_exit_code() {
        if !strace::is_allowed() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let data_dir = home.path().join("1");
        let mut server = start(&data_dir);
        let fails_late = "pwrite64:error=EIO:delay_enter=3000000:when=1".to_owned();
        let log = home.path().join("strace");
        let attached = Attached::to(&server, &log, &data_dir, &[fails_late]);
        let mut history = History::default();
        add(&server.ask(700, 0), &mut history);
        let mut connection = server.connect();
        connection.send(&identity_request(5_000));
        wait_for_a_write_of(&server, 0);
        server.signal("TERM");
        match connection.receive() {
            Message::ErrorReply(error) => assert_eq!(error.code, ErrorCode::Storage.get()),
            other => panic!("{other:?}"),
        }
        assert_eq!(server.wait().code(), Some(1), "{}", server.log());
        attached.finish();
        assert_eq!(strace::injected(&log), 1);
        assert_goes_on(&data_dir, &mut history);
    }

    /// The same on a file system that really hangs, where not even a kill ends the wait of the thread that writes: the
    /// clients' connections are closed in time, and the process ends when the disk comes back.
    #[test]
    fn a_stop_on_a_file_system_that_hangs_closes_the_clients_connections() {
        if !volume::is_allowed() {
            return;
        }
        let volume = Volume::new();
        let data_dir = volume.path().join("1");
        let mut server = start(&data_dir);
        let mut history = History::default();
        add(&server.ask(10, 0), &mut history);
        let frozen = volume.freeze();
        let mut connection = server.connect();
        connection.send(&identity_request(5_000));
        wait_for_a_write_of(&server, 100_000);
        server.signal("TERM");
        assert_eq!(connection.try_receive(), None, "it was never durable");
        server.wait_for_log("the disk takes too long");
        drop(frozen);
        assert_eq!(server.wait().code(), Some(1), "{}", server.log());
        assert_goes_on(&data_dir, &mut history);
    }
}
