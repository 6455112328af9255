//! Servers whose state is in a real etcd: taking pids and giving them back, finding each other, and an etcd that is away.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use ipseity_core::{
    identity::{Identity, Pid, Sequence},
    words::{ErrorCode, Message, PeerState, Standing, StoreKind, StoreState},
};
use ipseity_harness::{
    etcd::{Etcd, Setting},
    pki::{Life, Pki},
    program::run,
    server::{Refusal, Server, eventually},
};
use ipseity_pids::layout::{State, Value as _};
use tempfile::TempDir;

use crate::http::{Answer, Http, get};

const ANY: [&str; 2] = ["--listen", "127.0.0.1:0"];

/// Short, so that a test which waits for one is quick.
const LEASE: [&str; 2] = ["--lease", "2s"];

/// The flags of a server in this etcd.
fn flags<'a>(store: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--store", store][..], &LEASE, more].concat()
}

fn start(etcd: &Etcd, more: &[&str]) -> Server {
    Server::start_with(&ANY, &flags(&etcd.target(), more))
}

/// The end of a start that has to fail.
fn refused(etcd: &Etcd, more: &[&str]) -> Refusal {
    match Server::start_under(&[], &ANY, &flags(&etcd.target(), more)) {
        Ok(server) => panic!("it has started:\n{}", server.log()),
        Err(refusal) => refusal,
    }
}

fn pid(server: &Server) -> Pid {
    server.status().pid
}

/// One identity of a server that hands them out. On a busy machine etcd may be too slow for a lease of two seconds.
fn next(server: &Server) -> Identity {
    let mut next = None;
    let has_answered = eventually(|| {
        match server.ask(1, 0) {
            Message::IdentityReply { first, .. } => next = Identity::from_u64(first),
            Message::ErrorReply(error) if error.code == ErrorCode::StoreUnavailable.get() => {}
            other => panic!("{other:?}\n{}", server.log()),
        }
        next.is_some()
    });
    assert!(has_answered, "{}", server.log());
    next.unwrap()
}

/// What a probe is told.
fn readiness(server: &Server) -> Answer {
    Http::to(server.http_address()).ask(&get("/readyz"))
}

fn pids(etcd: &Etcd, more: &[&str]) -> String {
    let target = etcd.target();
    run(&[&["pids", "--store", &target], more].concat()).good()
}

/// What is listed where nobody was.
fn no_pid(etcd: &Etcd) -> String {
    let target = etcd.target();
    format!("no pid of cluster \"ipseity\" is there yet, in {target}/ipseity\n")
}

/// What `--check` finds with these flags: its exit code, and what it says.
fn check(etcd: &Etcd, more: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(ipseity_harness::programs::ipseity())
        .args(["--check", "--store", &etcd.target()])
        .args(["--listen", "127.0.0.1:0"])
        .args(more)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code(),
        text(&output.stdout) + &text(&output.stderr),
    )
}

#[test]
fn each_start_takes_a_pid_of_its_own_and_a_clean_stop_gives_it_back() {
    let etcd = Etcd::start();
    let range = ["--pid", "auto", "--pid-range", "7-8"];
    let mut one = start(&etcd, &range);
    let other = start(&etcd, &range);
    let (pid_one, pid_other) = (pid(&one), pid(&other));
    assert_ne!(pid_one, pid_other);
    let first = next(&one);
    assert_eq!(first.pid(), pid_one);
    let listed = pids(&etcd, &[]);
    assert!(listed.contains(&one.address()), "{listed}");
    // None is left.
    let full = refused(&etcd, &range);
    assert_eq!(full.code, Some(1), "{}", full.log);
    for says in [
        "waiting for up to 4 s: no pid from 7 to 8 is free",
        "no pid from 7 to 8 is free, and none was after",
    ] {
        assert!(full.log.contains(says), "{}", full.log);
    }
    // What was stopped is free at once, and used again before a new one. Nothing is skipped.
    assert_eq!(one.stop(), 0);
    let again = start(&etcd, &["--pid", "auto", "--pid-range", "0-8"]);
    assert_eq!(pid(&again), pid_one);
    let second = next(&again);
    assert!(second > first);
    assert_eq!(second.sequence().get(), first.sequence().get() + 1);
    assert!(!again.log().contains("waiting for"), "{}", again.log());
}

/// A wrong prefix would begin a cluster of its own, whose identities are those of the right one.
#[test]
fn a_start_that_makes_a_cluster_says_so_and_with_existing_it_makes_none() {
    let etcd = Etcd::start();
    let strict = ["--pid", "auto", "--existing"];
    let none = "nothing is there of the cluster, below ipseity/ipseity/";
    let advice = "and --existing requires it; check --store and --cluster";
    let first = refused(&etcd, &strict);
    assert_eq!(first.code, Some(1), "{}", first.log);
    let (code, said) = check(&etcd, &strict);
    assert_eq!(code, Some(1), "{said}");
    for text in [&first.log, &said] {
        assert!(text.contains(none) && text.contains(advice), "{text}");
    }
    let made = format!(
        "first start in {}/ipseity: nothing was there of cluster",
        etcd.target()
    );
    let server = start(&etcd, &["--pid", "auto"]);
    let says_so = eventually(|| server.log().contains(&made));
    assert!(says_so, "{}", server.log());
    let other = start(&etcd, &strict);
    next(&other);
    assert!(!other.log().contains("first start"), "{}", other.log());
    assert_ne!(pid(&server), pid(&other));
}

#[test]
fn after_a_crash_a_start_with_the_same_pid_waits_for_the_lease() {
    let etcd = Etcd::start();
    let mut server = start(&etcd, &["--pid", "7"]);
    let first = next(&server);
    server.kill();
    let again = start(&etcd, &["--pid", "7"]);
    let log = again.log();
    let waits = format!("s: pid 7 is owned by {}", server.address());
    assert!(log.contains(&waits), "{log}");
    assert!(next(&again) > first);
    assert_eq!(again.status().boot, 2);
    // The pid of a server that lives is not given away.
    let second = refused(&etcd, &["--pid", "7"]);
    assert_eq!(second.code, Some(1), "{}", second.log);
    let says = format!("pid 7 is owned by {}, and still was after", again.address());
    assert!(second.log.contains(&says), "{}", second.log);
    assert!(
        second.log.contains("stop that server first"),
        "{}",
        second.log
    );
    assert!(next(&again) > first);
}

#[test]
fn servers_find_each_other_and_those_with_disks_are_named() {
    let etcd = Etcd::start();
    let one = start(&etcd, &["--pid", "auto"]);
    let other = start(&etcd, &["--pid", "auto"]);
    let third = start(&etcd, &["--pid", "auto"]);
    let servers = [&one, &other, &third];
    for server in servers {
        server.wait_for_status("two peers", |status| {
            let up = |peer: &&_| matches!(peer_state(peer), PeerState::Up);
            status.peers.iter().filter(up).count() == 2
        });
    }
    // What one hands out, the others exceed.
    let highest = 5000;
    let advance = ["advance", "--above", "5000", "--server", &one.address()];
    run(&advance).good();
    for server in servers {
        server.wait_for_status("the sequence of the others", |status| {
            status.sequence >= highest
        });
        assert!(next(server).sequence().get() > highest);
    }
    // One with a disk joins them.
    let disk = Server::start(&["--pid", "1000", "--peer", &one.address()]);
    let named = start(
        &etcd,
        &[
            "--pid",
            "auto",
            "--pid-range",
            "0-99",
            "--peer",
            &disk.address(),
        ],
    );
    for server in [&disk, &named] {
        server.wait_for_status("the sequence of the others", |status| {
            status.sequence >= highest
        });
        assert!(next(server).sequence().get() > highest);
    }
    // Who has gone is dialed no more.
    drop(third);
    one.wait_for_status("one peer less", |status| {
        let known = |peer: &&_| !matches!(peer_state(peer), PeerState::Down);
        let all = status.peers.len();
        all == status.peers.iter().filter(known).count()
    });
}

fn peer_state(peer: &ipseity_core::words::PeerStatus) -> PeerState {
    peer.state
}

#[test]
fn a_pid_is_moved_from_a_directory_and_the_directory_is_used_no_more() {
    let etcd = Etcd::start();
    let folder = TempDir::new().unwrap();
    let directory = folder.path().join("7");
    let directory = directory.to_str().unwrap();
    let on_disk = ["--pid", "7", "--data-dir", directory];
    let import = ["import", "--data-dir", directory];
    let mut server = Server::start_with(&ANY, &on_disk);
    let incarnation = server.status().incarnation;
    let last = next(&server);
    let target = etcd.target();
    let busy = run(&[&["pids", "--store", &target][..], &import].concat());
    assert!(
        busy.bad(1).ends_with("; stop that server first"),
        "{busy:?}"
    );
    server.stop();
    // A wrong prefix does not begin another cluster.
    let none = run(&[&["pids", "--store", &target][..], &import].concat());
    let none = none.bad(1);
    let says = format!("nothing is there of cluster \"ipseity\" in {target}/ipseity");
    assert!(
        none.contains(&says) && none.contains("add --new-cluster"),
        "{none}"
    );
    let first = [&import[..], &["--new-cluster"]].concat();
    let made = pids(&etcd, &first);
    let says = format!("pid 7 is in {target}/ipseity now, and goes on above sequence 1");
    assert!(made.starts_with(&says), "{made}");
    assert!(made.contains("cluster \"ipseity\" is new there"), "{made}");
    let moved = pids(&etcd, &import);
    assert!(
        moved.starts_with(&says) && !moved.contains("new"),
        "{moved}"
    );
    // It may go on there, so it is moved nowhere else.
    let elsewhere = format!("{target}/elsewhere");
    let twice = run(&[&["pids", "--store", &elsewhere][..], &first].concat());
    let twice = twice.bad(1);
    let says = format!("this pid was moved into \"{target}/ipseity\", and may go on there");
    assert!(twice.contains(&says), "{twice}");
    // Once more changes nothing, and nobody starts there any more.
    assert_eq!(pids(&etcd, &import), moved);
    let old = Server::try_start(&ANY, &on_disk).unwrap_err();
    assert!(
        old.contains("this pid was moved into a store in etcd"),
        "{old}"
    );
    let server = start(&etcd, &["--pid", "7"]);
    let status = server.status();
    assert_eq!((status.incarnation, status.boot), (incarnation, 2));
    assert_eq!(next(&server).sequence().get(), last.sequence().get() + 1);
}

/// Nobody knows how far it went on in etcd, so no import brings it back, whatever was lost there.
#[test]
fn what_was_moved_is_moved_once() {
    let etcd = Etcd::start();
    let folder = TempDir::new().unwrap();
    let directory = folder.path().join("7");
    let directory = directory.to_str().unwrap();
    let on_disk = ["--pid", "7", "--data-dir", directory];
    Server::start_with(&ANY, &on_disk).stop();
    start(&etcd, &["--pid", "8"]).stop();
    let target = etcd.target();
    let import = [
        "pids",
        "import",
        "--data-dir",
        directory,
        "--store",
        &target,
    ];
    run(&import).good();
    let stays_aside = |says: &str| {
        let refusal = run(&import);
        assert!(refusal.bad(1).contains(says), "{refusal:?}");
        let old = Server::try_start(&ANY, &on_disk).unwrap_err();
        assert!(old.contains("this pid was moved"), "{old}");
    };
    etcd.ctl(&["del", "--prefix", "ipseity/ipseity/pid/0007/"]);
    stays_aside("and is not there any more");
    // Nor does an error of etcd put back what another import has put aside.
    fs::remove_file(folder.path().join("7/state.moved-to")).unwrap();
    etcd.ctl(&["del", "ipseity/ipseity/meta"]);
    stays_aside("the key `meta` of the cluster is gone");
}

#[test]
fn a_check_says_what_a_start_would_take_and_changes_nothing() {
    let etcd = Etcd::start();
    let check = |more: &[&str]| check(&etcd, more);
    let (code, said) = check(&["--pid", "auto"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("nothing is there of this cluster"), "{said}");
    assert_eq!(pids(&etcd, &[]), no_pid(&etcd));
    let server = start(&etcd, &["--pid", "7"]);
    let (code, said) = check(&["--pid", "7"]);
    assert_eq!(code, Some(0), "{said}");
    let owned = format!("pid 7 is owned by {}", server.address());
    assert!(said.contains(&owned), "{said}");
    let (_, said) = check(&["--pid", "8"]);
    assert!(said.contains("pid 8 is free and was never used"), "{said}");
    assert!(
        said.contains("first asks the owners of the other pids"),
        "{said}"
    );
    let (code, said) = check(&["--pid", "8", "--etcd-user", "/nowhere/user"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("/nowhere/user: cannot be read"), "{said}");
}

#[test]
fn an_address_that_nobody_can_dial_is_refused_before_a_pid_is_taken() {
    let etcd = Etcd::start();
    let target = etcd.target();
    let flags = flags(&target, &["--pid", "auto"]);
    let refusal = Server::start_under(&[], &["--listen", "0.0.0.0:0"], &flags).unwrap_err();
    assert_eq!(refusal.code, Some(2), "{}", refusal.log);
    assert!(refusal.log.contains("needs --advertise"), "{}", refusal.log);
    assert_eq!(pids(&etcd, &[]), no_pid(&etcd));
}

#[test]
fn while_etcd_is_away_the_reserve_is_handed_out_and_then_requests_are_refused_until_it_is_back() {
    let etcd = Etcd::start();
    // It hands out what it has, whatever the lease is.
    let http = ["--http", "127.0.0.1:0"];
    let server = start(
        &etcd,
        &[&["--pid", "7", "--on-doubt", "serve"][..], &http].concat(),
    );
    let mut last = next(&server);
    etcd.pause(0);
    let mut handed_out = 0;
    let refusal = loop {
        match server.ask(100, 0) {
            Message::IdentityReply { first, count } => {
                let first = Identity::from_u64(first).unwrap();
                assert!(first > last);
                let end = first.sequence().get() + u64::from(count) - 1;
                last = Identity::new(Sequence::new(end).unwrap(), first.pid());
                handed_out += count;
            }
            Message::ErrorReply(error) => break error,
            other => panic!("{other:?}"),
        }
    };
    // The ceiling of the start, less what had been handed out.
    assert!((800..=1024).contains(&handed_out), "{handed_out}");
    assert_eq!(refusal.code, ErrorCode::StoreUnavailable.get());
    let status = server.status();
    assert_eq!(status.standing, Standing::WaitingForDisk);
    assert_eq!(status.store.state, StoreState::Away);
    let probe = readiness(&server);
    let why = "\netcd failed: requests have waited too long for it, and are refused with storeUnavailable until it answers; ";
    assert!(probe.status == 503 && probe.body.contains(why), "{probe:?}");
    server.wait_for_log("etcd does not answer, and nothing more may be handed out until it does");
    etcd.resume(0);
    server.wait_for_log("etcd answers again: this server hands out identities");
    assert!(eventually(|| server.status().standing == Standing::Serving));
    // What was taken back may be handed out now, and nothing that left comes again.
    assert!(next(&server) > last);
    assert_eq!(server.status().boot, 1);
}

#[test]
fn while_the_lease_is_in_doubt_nothing_is_handed_out() {
    let etcd = Etcd::start();
    let server = start(&etcd, &["--pid", "7", "--http", "127.0.0.1:0"]);
    let last = next(&server);
    etcd.pause(0);
    server.wait_for_log("etcd has not confirmed in time that this server still has its pid");
    // The line may be of an earlier doubt, on a busy machine. A probe says what it waits for, also while nobody asks.
    let mut probe = None;
    let says_why = eventually(|| {
        let answer = probe.insert(readiness(&server));
        let why = "\netcd failed: it confirmed ";
        answer.status == 503 && answer.body.contains(why) && !answer.body.contains("disk")
    });
    assert!(says_why, "{probe:?}");
    match server.ask(1, 0) {
        Message::ErrorReply(error) => assert_eq!(error.code, ErrorCode::StoreUnavailable.get()),
        other => panic!("{other:?}"),
    }
    let store = server.status().store;
    assert_eq!(store.kind, StoreKind::Etcd);
    assert_eq!(store.target, format!("{}/ipseity", etcd.target()));
    assert!(store.doubts > 0 && !store.fenced);
    etcd.resume(0);
    server.wait_for_log("etcd has confirmed that this server has its pid");
    let is_ready = eventually(|| readiness(&server).body.contains("\netcd ok\n"));
    assert!(is_ready, "{}", server.log());
    assert!(eventually(|| server.status().standing == Standing::Serving));
    assert!(next(&server) > last);
}

#[test]
fn a_server_whose_pid_was_taken_hands_out_nothing_more_and_exits() {
    let etcd = Etcd::start();
    let mut server = start(&etcd, &["--pid", "7"]);
    let last = next(&server);
    // It is away for longer than its lease, and another one takes the pid.
    server.signal("STOP");
    let other = start(&etcd, &["--pid", "7"]);
    assert!(next(&other) > last);
    server.signal("CONT");
    let said = server.wait_for_log("FENCED: another server has claimed pid 7");
    assert!(said.contains("its boot is 2"), "{said}");
    assert_eq!(server.wait().code(), Some(1));
    assert!(next(&other) > last);
    assert_eq!(other.status().standing, Standing::Serving);
}

#[test]
fn a_server_stops_when_its_state_is_gone() {
    let etcd = Etcd::start();
    let mut server = start(&etcd, &["--pid", "7"]);
    etcd.ctl(&["del", "--prefix", "ipseity/"]);
    let said = server.wait_for_log("THE STORE IS NOT WHAT IT WAS");
    assert!(said.contains("pids epoch --above SEQUENCE"), "{said}");
    assert_eq!(server.wait().code(), Some(1));
}

/// Nobody in etcd knows the pid any more, but its peers do.
#[test]
fn a_pid_whose_state_was_deleted_is_refused_by_those_who_remember_it() {
    let etcd = Etcd::start();
    let mut server = start(&etcd, &["--pid", "7"]);
    let other = start(&etcd, &["--pid", "8"]);
    next(&server);
    let incarnation = server.status().incarnation;
    other.wait_for_status("what it has handed out", |status| status.sequence > 0);
    etcd.ctl(&["del", "ipseity/ipseity/pid/0007/state"]);
    server.wait_for_log("the state of pid 7 is gone");
    assert_eq!(server.wait().code(), Some(1));
    let again = start(&etcd, &["--pid", "7"]);
    assert_ne!(again.status().incarnation, incarnation);
    let said = again.wait_for_log("NOT HANDING OUT IDENTITIES (stale state)");
    assert!(said.contains("so --recover-above does not count"), "{said}");
    assert!(!matches!(again.ask(1, 0), Message::IdentityReply { .. }));
}

#[test]
fn a_server_whose_pid_was_given_back_by_somebody_else_exits_and_says_so() {
    let etcd = Etcd::start();
    let mut server = start(&etcd, &["--pid", "7"]);
    next(&server);
    let key = "ipseity/ipseity/pid/0007/state";
    let state = etcd.ctl(&["get", "--print-value-only", key]);
    let mut state = State::read(state.trim()).unwrap();
    (state.stopped, state.ceiling) = (true, state.sequence);
    etcd.ctl(&["put", key, &state.text()]);
    let said = server.wait_for_log("THE STORE IS NOT WHAT IT WAS");
    assert!(said.contains("says that pid 7 was given back"), "{said}");
    assert_eq!(server.wait().code(), Some(1));
}

#[test]
fn an_epoch_where_nothing_was_is_told_apart() {
    let etcd = Etcd::start();
    let epoch = ["epoch", "--above", "5", "--yes", "--cluster", "shop"];
    let made = pids(&etcd, &epoch);
    assert!(
        made.starts_with("epoch 1: all pids of cluster \"shop\" in etcd://"),
        "{made}"
    );
    assert!(made.contains("nothing was there of this cluster"), "{made}");
    let raised = pids(&etcd, &epoch);
    assert!(raised.starts_with("epoch 2: "), "{raised}");
    assert!(!raised.contains("nothing was there"), "{raised}");
    let json = pids(&etcd, &[&epoch[..], &["--json"]].concat());
    assert!(
        json.contains(r#""cluster":"shop","above":"5","was_there":true"#),
        "{json}"
    );
}

#[test]
fn a_server_that_comes_back_with_another_pid_goes_on_above_the_first() {
    let etcd = Etcd::start();
    let mut server = start(&etcd, &["--pid", "8"]);
    let above = ["advance", "--above", "5000", "--server", &server.address()];
    run(&above).good();
    let last = next(&server);
    assert_eq!(last.sequence().get(), 5001);
    assert_eq!(server.stop(), 0);
    let again = start(&etcd, &["--pid", "7"]);
    assert_eq!(next(&again).sequence().get(), 5002);
}

#[test]
fn a_stop_that_waits_for_etcd_names_it_and_what_to_do() {
    let mut etcd = Etcd::start();
    let mut server = start(&etcd, &["--pid", "7"]);
    let last = next(&server);
    etcd.kill(0);
    assert_eq!(server.stop(), 1);
    let log = server.log();
    let says = "etcd takes too long: exiting without a clean stop";
    assert!(log.contains(says) && log.contains("has a leader"), "{log}");
    assert!(!log.contains("the disk"), "{log}");
    etcd.restart(0);
    etcd.wait_until_ready();
    assert!(next(&start(&etcd, &["--pid", "7"])) > last);
}

#[test]
fn a_server_shows_etcd_its_certificate_and_its_password() {
    let pki = Pki::new("ca of etcd");
    for (file, hosts) in [("etcd", &["127.0.0.1"][..]), ("ctl", &[])] {
        pki.issue(file, hosts, Life::Now);
    }
    // Where there are users too, etcd takes no certificate with a common name from its gateway.
    pki.issue_unnamed("ipseity", &[]);
    pki.issue("named", &[], Life::Now);
    // Quick to check a password, so that no call is late on a busy machine.
    let setting = Setting {
        tls: Some(&pki),
        flags: &["--bcrypt-cost", "4"],
        ..Setting::default()
    };
    let mut etcd = Etcd::start_as(1, &setting);
    etcd.add_user("ann", "secret: of ann", "ipseity/");
    etcd.enable_users();
    assert!(etcd.target().starts_with("etcds://"));
    let user = pki.path("user");
    fs::write(&user, "ann:secret: of ann\n").unwrap();
    fs::set_permissions(&user, fs::Permissions::from_mode(0o600)).unwrap();
    let [ca, certificate, key, user, named, named_key] = [
        "ca.pem",
        "ipseity.pem",
        "ipseity.key",
        "user",
        "named.pem",
        "named.key",
    ]
    .map(|file| pki.file(file));
    let access = [
        "--etcd-ca",
        &ca,
        "--etcd-cert",
        &certificate,
        "--etcd-key",
        &key,
    ];
    let known = [&access[..], &["--etcd-user", &user]].concat();
    let mut server = start(&etcd, &[&known[..], &["--pid", "7"]].concat());
    let first = next(&server);
    let other = start(&etcd, &[&known[..], &["--pid", "auto"]].concat());
    assert!(next(&other).pid() != first.pid());
    let target = etcd.target();
    let list = [&["pids", "--store", &target][..], &known].concat();
    assert!(eventually(|| run(&list).out.contains(&server.address())));
    // The lease lives on, by calls that show both.
    let confirmed = server.status().store.confirmed_us;
    assert!(confirmed > 0);
    assert!(eventually(
        || (1..confirmed).contains(&server.status().store.confirmed_us)
    ));
    assert_eq!(server.stop(), 0, "{}", server.log());

    // Whoever lacks one of them is refused, and told which.
    let without_user = [&access[..], &["--pid", "7"]].concat();
    let without_certificate = ["--etcd-ca", &ca, "--etcd-user", &user, "--pid", "7"];
    let with_a_name = [
        "--etcd-ca",
        &ca,
        "--etcd-cert",
        &named,
        "--etcd-key",
        &named_key,
        "--etcd-user",
        &user,
        "--pid",
        "7",
    ];
    for (flags, says) in [
        (&without_user[..], "--etcd-user"),
        (&without_certificate, "certificate"),
        (&with_a_name, "CommonName"),
    ] {
        let mut said = String::new();
        let is_told = eventually(|| {
            let (code, text) = check(&etcd, flags);
            assert_eq!(code, Some(1), "{text}");
            said = text;
            said.contains(says)
        });
        assert!(is_told, "{says}: {said}");
    }
    let again = start(&etcd, &[&known[..], &["--pid", "7"]].concat());
    assert!(next(&again) > first);
}
