//! The state directory between servers, operators and strangers: who may use it, what may be in it, and what a start
//! says and leaves behind.
#![cfg(target_os = "linux")]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::Path,
    process::Command,
    thread,
};

use ipseity::{
    limits::BLOCK_BYTES,
    store::record::{Block, MembersMark, Record},
};
use ipseity_core::words::Message;
use ipseity_harness::{
    command,
    failing::strace,
    hosts::cage,
    server::{Port, Refusal, Server, eventually},
};
use tempfile::TempDir;

/// A server on a free port, with these flags.
fn start(flags: &[&str]) -> Result<Server, Refusal> {
    Server::start_under(&[], &["--listen", "127.0.0.1:0"], flags)
}

fn start_on(directory: &Path) -> Result<Server, Refusal> {
    start(&["--data-dir", directory.to_str().unwrap()])
}

fn up(started: Result<Server, Refusal>) -> Server {
    started.unwrap_or_else(|refusal| panic!("it did not start:\n{}", refusal.log))
}

/// Checks that the start was refused with one line that contains all of these.
fn assert_refused(started: Result<Server, Refusal>, says: &[&str]) {
    let Err(refusal) = started else {
        panic!("it started");
    };
    assert_eq!(refusal.code, Some(1), "{}", refusal.log);
    assert_eq!(refusal.log.lines().count(), 1, "{}", refusal.log);
    for part in says {
        assert!(refusal.log.contains(part), "{:?} in {}", part, refusal.log);
    }
}

/// A directory that a server has used and left.
fn used(home: &TempDir) -> std::path::PathBuf {
    let directory = home.path().join("7");
    let mut server = up(start_on(&directory));
    assert_eq!(server.stop(), 0);
    directory
}

#[test]
fn anything_but_a_regular_file_is_refused_by_its_name() {
    for name in ["lock", "state", "members"] {
        let home = TempDir::new().unwrap();
        let directory = used(&home);
        let (file, aside) = (directory.join(name), home.path().join("aside"));
        match name {
            // A server without peers has no such file. Nobody reads what is in it.
            "members" => fs::write(&aside, "").unwrap(),
            _ => fs::rename(&file, &aside).unwrap(),
        }

        symlink(&aside, &file).unwrap();
        let path = file.to_str().unwrap();
        assert_refused(start_on(&directory), &[path, "symbolic link"]);

        fs::remove_file(&file).unwrap();
        command::run(Command::new("mkfifo").arg(&file)).unwrap();
        // A start that opened it would wait for ever for the other end. It would be killed and have no exit code.
        assert_refused(start_on(&directory), &[path, "regular file"]);

        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_refused(start_on(&directory), &[path]);
    }
}

#[test]
fn a_directory_that_everybody_may_write_is_refused_and_smaller_risks_are_logged() {
    let home = TempDir::new().unwrap();
    let directory = used(&home);
    let path = directory.to_str().unwrap();
    let chmod = |mode| fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();

    for mode in [0o707, 0o1777] {
        chmod(mode);
        assert_refused(
            start_on(&directory),
            &[path, "chmod o-w", "--allow-shared-dir"],
        );
    }
    let mut server = up(start(&["--data-dir", path, "--allow-shared-dir"]));
    server.wait_for_log("everybody may write to the state directory");
    assert_eq!(server.stop(), 0);

    chmod(0o770);
    let mut server = up(start_on(&directory));
    server.wait_for_log("its group may write to the state directory");
    assert_eq!(server.stop(), 0);

    chmod(0o700);
    // A file whose content others can change is no better than a directory in which they can replace it.
    for name in ["state", "lock"] {
        let file = directory.join(name);
        let chmod = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        chmod(0o666);
        let path = file.to_str().unwrap();
        assert_refused(
            start_on(&directory),
            &[path, "mode 0666", "chmod o-w", "--allow-shared-dir"],
        );
        chmod(0o660);
        let mut server = up(start_on(&directory));
        server.wait_for_log(&format!("its group may write to the file {path}"));
        assert_eq!(server.stop(), 0);
        chmod(0o600);
    }

    let mut server = up(start_on(&directory));
    assert_eq!(server.stop(), 0);
    assert_eq!(server.count_log("WARN"), 0, "{}", server.log());

    match chown(&directory, Some(4_321), None) {
        Ok(()) => {
            let mut server = up(start_on(&directory));
            server.wait_for_log("belongs to user 4321");
            assert_eq!(server.stop(), 0);
        }
        Err(error) => eprintln!("SKIPPED: a directory of somebody else: {error}"),
    }
}

#[test]
fn a_start_with_existing_makes_no_state() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("7");
    let path = directory.to_str().unwrap();
    let flags = ["--data-dir", path, "--existing"];
    assert_refused(start(&flags), &[path, "--existing"]);
    assert!(!directory.exists(), "nothing was made");

    assert_eq!(up(start_on(&directory)).stop(), 0);
    let mut server = up(start(&flags));
    assert_eq!(server.stop(), 0);
    // Not even with --recover-above.
    fs::remove_file(directory.join("state")).unwrap();
    let with_word = [&flags[..], &["--recover-above", "5"]].concat();
    assert_refused(start(&with_word), &[path, "--existing"]);
}

#[test]
fn the_parents_of_a_named_directory_are_not_made() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("volume").join("7");
    let parent = home.path().join("volume");
    let says = [parent.to_str().unwrap(), "does not exist"];
    assert_refused(start_on(&directory), &says);
    assert!(!parent.exists(), "nothing was made");
}

/// The directory's thread notes the list when it is saved. Nothing else tells that there was one.
#[test]
fn a_lost_list_of_members_is_logged_until_an_operator_gives_it_up() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("7");
    let path = directory.to_str().unwrap();
    let peer = up(start(&["--ephemeral", "--pid", "8"]));
    let address = peer.address();
    let flags = ["--data-dir", path, "--pid", "7", "--peer", &address];
    let mut server = up(start(&flags));
    let is_noted = || {
        let bytes = fs::read(directory.join("state")).unwrap();
        let blocks = bytes.chunks_exact(BLOCK_BYTES).zip(0..);
        let records = blocks.filter_map(|(bytes, number)| {
            Record::decode(&Block(bytes.try_into().unwrap()), number).ok()
        });
        records
            .into_iter()
            .any(|record| record.members == MembersMark::Saved)
    };
    assert!(eventually(is_noted));
    server.kill();
    fs::remove_file(directory.join("members")).unwrap();

    let lost = format!("the list of members {path}/members was lost");
    let alone = ["--data-dir", path, "--pid", "7"];
    for _ in 0..2 {
        let mut server = up(start(&alone));
        server.wait_for_log(&lost);
        assert_eq!(server.stop(), 0);
    }
    let given_up = [&alone[..], &["--members-lost"]].concat();
    for flags in [&given_up, &alone[..]] {
        let mut server = up(start(flags));
        assert_eq!(server.stop(), 0);
        assert_eq!(server.count_log("was lost"), 0, "{}", server.log());
    }
}

#[test]
fn a_first_start_and_every_start_say_where_the_state_is() {
    let home = TempDir::new().unwrap();
    let at_home = [
        "env".to_owned(),
        "-C".to_owned(),
        home.path().display().to_string(),
    ];
    let listen = ["--listen", "127.0.0.1:0"];
    for (flags, place) in [(&["--data-dir", "7"][..], "7"), (&[], "ipseity-data/0")] {
        let place = fs::canonicalize(home.path()).unwrap().join(place);
        let place = place.to_str().unwrap();
        for is_first in [true, false] {
            let mut server = up(Server::start_under(&at_home, &listen, flags));
            let announced = server.wait_for_log(" listens on ");
            assert!(
                announced.contains(&format!("data directory {place} (boot ")),
                "{announced}"
            );
            assert_eq!(server.stop(), 0);
            let told = server.count_log(&format!("first start in {place}:"));
            assert_eq!(told, usize::from(is_first), "{}", server.log());
            assert_eq!(server.count_log("WARN"), told, "{}", server.log());
        }
    }
}

#[test]
fn the_lock_names_the_server_while_it_runs_and_says_when_it_has_stopped() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("7");
    let text = || fs::read_to_string(directory.join("lock")).unwrap();
    let (state, aside) = (directory.join("state"), home.path().join("aside"));
    // A start on a used directory without its state is not a first start, however the last server ended.
    let is_known_as_used = || {
        fs::rename(&state, &aside).unwrap();
        assert_refused(
            start_on(&directory),
            &["is gone from a directory that a server has used"],
        );
        fs::rename(&aside, &state).unwrap();
    };
    let mut server = up(start_on(&directory));
    assert_eq!(text().trim(), server.pid().to_string());
    assert_eq!(server.stop(), 0);
    assert_eq!(text().trim(), "stopped");
    is_known_as_used();
    let mut server = up(start_on(&directory));
    assert_eq!(text().trim(), server.pid().to_string());
    server.kill();
    is_known_as_used();
}

/// The documented command finds the server by the lock, and does not find another process that got the same number
/// since.
#[test]
fn the_documented_way_to_stop_a_server_finds_no_other_process() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("7");
    let lock = directory.join("lock");
    let pkill = || {
        let mut command = Command::new("pkill");
        command.args(["-x", "ipseity", "-F"]).arg(&lock);
        command.output()
    };
    let mut server = up(start_on(&directory));
    match pkill() {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => {
            eprintln!("SKIPPED: pkill: {error}");
            return;
        }
    }
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(!pkill().unwrap().status.success(), "it has stopped");
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(&lock, format!("{:<11}\n", other.id())).unwrap();
    let found = pkill().unwrap();
    let lives = other.try_wait().unwrap().is_none();
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(!found.status.success() && lives, "{found:?}");
}

#[test]
fn when_two_start_at_once_on_one_port_the_loser_leaves_nothing_behind() {
    for _ in 0..8 {
        let home = TempDir::new().unwrap();
        let port = Port::reserve();
        let listen = port.address().to_string();
        let directories = ["1", "2"].map(|name| home.path().join(name));
        let begin = |directory: &Path| {
            let flags = ["--data-dir", directory.to_str().unwrap()];
            Server::start_under(&[], &["--listen", &listen], &flags)
        };
        let [one, two] = thread::scope(|scope| {
            let starts = [0, 1].map(|number| {
                let directory = &directories[number];
                scope.spawn(move || begin(directory))
            });
            starts.map(|start| start.join().unwrap())
        });
        let (winner, loser, left) = match (one, two) {
            (Ok(winner), loser) => (winner, loser, &directories[1]),
            (loser, Ok(winner)) => (winner, loser, &directories[0]),
            (Err(one), Err(two)) => panic!("neither started:\n{}\n{}", one.log, two.log),
        };
        assert_refused(loser, &[&listen, "is another server running there?"]);
        assert!(!left.exists(), "the loser made a directory");
        drop(winner);
    }
}

#[test]
fn a_missing_system_resource_is_named_and_the_address_is_not_blamed() {
    if !strace::is_allowed() {
        return;
    }
    for (fault, says) in [
        ("socket:error=EMFILE", ["cannot open a socket", "ulimit -n"]),
        (
            "epoll_create1:error=EMFILE",
            ["cannot make a poll", "ulimit -n"],
        ),
        // The first thread writes the log.
        (
            "clone3:error=EAGAIN:when=2+",
            ["cannot start the thread", "ulimit -u"],
        ),
    ] {
        let home = TempDir::new().unwrap();
        let directory = home.path().join("7");
        let runner = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e"].map(str::to_owned);
        let runner = [&runner[..], &[format!("inject={fault}")]].concat();
        let flags = ["--data-dir", directory.to_str().unwrap()];
        let started = Server::start_under(&runner, &["--listen", "127.0.0.1:0"], &flags);
        let refusal = started.expect_err(fault);
        assert_eq!(refusal.code, Some(1), "{}", refusal.log);
        for part in says {
            assert!(refusal.log.contains(part), "{fault}: {}", refusal.log);
        }
        let blamed = ["cannot listen", "--listen takes"];
        assert!(
            !blamed.iter().any(|part| refusal.log.contains(part)),
            "{}",
            refusal.log
        );
    }
}

#[test]
fn a_start_with_too_few_descriptors_to_serve_anybody_is_refused() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("7");
    let script = "ulimit -n 15 && exec \"$0\" \"$@\"";
    let runner = ["sh", "-c", script].map(str::to_owned);
    let flags = ["--data-dir", directory.to_str().unwrap()];
    let started = Server::start_under(&runner, &["--listen", "127.0.0.1:0"], &flags);
    assert_refused(started, &["15 open files", "ulimit -Hn"]);
    assert!(!directory.exists(), "nothing was made");
}

/// Two overlays over one directory: each sees what the other one writes, but not the other's locks.
struct Overlays {
    home: TempDir,
}

impl Overlays {
    /// Called in a cage, where no address is up yet.
    fn mount() -> Option<Overlays> {
        command::run(Command::new("ip").args(["link", "set", "lo", "up"])).unwrap();
        let home = TempDir::new_in("/run").unwrap();
        for name in ["lower", "upper", "work-one", "work-two", "one", "two"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        // Files that are made later in one mount would not be visible in the other.
        used_in(&home.path().join("upper"));
        for name in ["one", "two"] {
            let at = |part: &str| home.path().join(part).display().to_string();
            let options = format!(
                "lowerdir={},upperdir={},workdir={}",
                at("lower"),
                at("upper"),
                at(&format!("work-{name}"))
            );
            let mut mount = Command::new("mount");
            mount.args(["-t", "overlay", "overlay", "-o", &options, &at(name)]);
            if let Err(error) = command::run(&mut mount) {
                eprintln!("SKIPPED: no two overlays over one directory can be had here: {error}");
                return None;
            }
        }
        Some(Overlays { home })
    }

    fn start(&self, mount: &str) -> Server {
        up(start_on(&self.home.path().join(mount).join("7")))
    }
}

fn used_in(above: &Path) {
    assert_eq!(up(start_on(&above.join("7"))).stop(), 0);
}

/// All sequences that it hands out until it refuses or has answered this many times, and whether it still answers.
fn take(server: &Server, times: usize) -> (Vec<u64>, bool) {
    let mut given = Vec::new();
    for _ in 0..times {
        let mut connection = server.connect();
        connection.send(&Message::IdentityRequest {
            count: 900,
            after: 0,
        });
        match connection.try_receive() {
            Some(Message::IdentityReply { first, count }) => {
                given.extend((0..u64::from(count)).map(|index| (first >> 10) + index));
            }
            _ => return (given, false),
        }
    }
    (given, true)
}

/// More requests than one ceiling allows, whatever the demand before it was.
const ENOUGH: usize = 3000;

const FOREIGN: &str = "another process has written this state directory";

#[test]
fn a_server_stops_when_another_one_starts_beside_it_without_its_lock() {
    let name = "directory::a_server_stops_when_another_one_starts_beside_it_without_its_lock";
    cage::run(name, || {
        let Some(overlays) = Overlays::mount() else {
            return;
        };
        let mut one = overlays.start("one");
        let (before, goes_on) = take(&one, 3);
        assert!(goes_on, "{}", one.log());
        let mut two = overlays.start("two");
        let (of_two, goes_on) = take(&two, 5);
        assert!(goes_on, "{}", two.log());
        // It hands out what its ceiling allows, and then it sees the other server's record.
        let (after, goes_on) = take(&one, ENOUGH);
        assert!(!goes_on, "{}", one.log());
        assert_eq!(one.wait().code(), Some(1), "{}", one.log());
        one.wait_for_log(FOREIGN);
        let (more_of_two, goes_on) = take(&two, 20);
        assert!(goes_on, "the other one is alone now: {}", two.log());
        assert_eq!(two.stop(), 0, "{}", two.log());

        let mut again = overlays.start("one");
        let (again_of_one, goes_on) = take(&again, 3);
        assert!(goes_on, "{}", again.log());
        assert_eq!(again.stop(), 0);
        let all = [before, of_two, after, more_of_two, again_of_one].concat();
        let distinct: BTreeSet<&u64> = all.iter().collect();
        assert_eq!(
            distinct.len(),
            all.len(),
            "an identity was handed out twice"
        );
    });
}

#[test]
fn when_two_servers_start_at_once_without_a_lock_at_least_one_stops() {
    let name = "directory::when_two_servers_start_at_once_without_a_lock_at_least_one_stops";
    cage::run(name, || {
        let Some(overlays) = Overlays::mount() else {
            return;
        };
        for _ in 0..5 {
            let mut servers = thread::scope(|scope| {
                let starts = ["one", "two"].map(|mount| {
                    let overlays = &overlays;
                    scope.spawn(move || overlays.start(mount))
                });
                starts.map(|start| start.join().unwrap())
            });
            let taken = thread::scope(|scope| {
                let takes = servers
                    .each_ref()
                    .map(|server| scope.spawn(|| take(server, ENOUGH)));
                takes.map(|take| take.join().unwrap())
            });
            let stopped = [0, 1].map(|number| !taken[number].1);
            assert!(stopped.contains(&true), "both go on");
            for (server, stopped) in servers.iter_mut().zip(stopped) {
                match stopped {
                    true => {
                        assert_eq!(server.wait().code(), Some(1), "{}", server.log());
                        server.wait_for_log(FOREIGN);
                    }
                    false => assert_eq!(server.stop(), 0, "{}", server.log()),
                }
            }
        }
    });
}
