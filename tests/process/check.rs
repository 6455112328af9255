//! What a server says of a start before it takes place, and that saying it changes nothing.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ipseity::{limits::BLOCK_BYTES, store::record::Block};
use ipseity_core::words::Message;
use ipseity_harness::{
    pki::{Life, Pki},
    programs,
    server::Server,
};
use tempfile::TempDir;

/// What a check has said.
struct Said {
    code: Option<i32>,
    out: String,
    faults: String,
}

impl Said {
    fn has(&self, line: &str) {
        let is_there = self.out.lines().any(|found| found == line);
        assert!(is_there, "no line {line:?} in\n{}{}", self.out, self.faults);
    }

    fn is_good(&self) {
        assert_eq!((self.code, &*self.faults), (Some(0), ""), "{}", self.out);
        assert_eq!(self.out.lines().last(), Some("no fault was found"));
    }

    /// It found these faults, each by a part of its text.
    fn is_bad(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.faults);
        assert!(!self.out.contains("no fault"), "{}", self.out);
        assert_eq!(self.faults.lines().count(), parts.len(), "{}", self.faults);
        for (line, part) in self.faults.lines().zip(parts) {
            assert!(
                line.starts_with("ipseity: ") && line.contains(part),
                "{part:?}: {line}"
            );
        }
    }
}

fn check(home: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Said {
    let output = Command::new(programs::ipseity())
        .arg("--check")
        .args(flags)
        .envs(variables.iter().copied())
        .current_dir(home)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        faults: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The mode of a file, its number, when it was changed last, and its bytes.
type Seen = (u32, u64, (i64, i64), Vec<u8>);

/// Everything below a folder.
fn everything(folder: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let seen = fs::symlink_metadata(&path).unwrap();
        let bytes = match seen.is_dir() {
            true => {
                found.extend(everything(&path));
                Vec::new()
            }
            false => fs::read(&path).unwrap(),
        };
        let changed = (seen.ctime(), seen.ctime_nsec());
        found.insert(path, (seen.mode(), seen.ino(), changed, bytes));
    }
    found
}

#[test]
fn a_check_of_a_new_server_says_what_it_would_do_and_makes_nothing() {
    let home = TempDir::new().unwrap();
    let said = check(
        home.path(),
        &[
            "--peer",
            "127.0.0.1:1",
            "--peer-from",
            "10.0.0.0/8",
            "--join=require",
            "--listen",
            "localhost:0",
            "--listen",
            "127.0.0.1:4000",
            "--advertise",
            "ids.example:3264",
        ],
        &[
            ("IPSEITY_PID", "3"),
            ("IPSEITY_MAX_COUNT", "7"),
            ("IPSEITY_PORT", "tcp://10.0.0.1:1"),
            // It would keep every server from starting.
            ("IPSEITY_CHECK", "true"),
        ],
    );
    said.is_good();
    let state = home.path().canonicalize().unwrap().join("ipseity-data/3");
    said.has("pid        3, by IPSEITY_PID");
    said.has("cluster    ipseity");
    said.has("advertises ids.example:3264, where others reach it");
    said.has("peer       127.0.0.1:1, dialed without TLS");
    said.has("peer       any that connects from 10.0.0.0/8");
    said.has("joins      first asks its peers, for 12s at most; one of them has to accept it");
    said.has(&format!(
        "state      {}: no state is there; the start makes it, and begins above sequence 0",
        state.display()
    ));
    said.has("tls        none");
    said.has("set        IPSEITY_MAX_COUNT 7");
    said.has("set        --listen localhost:0, 127.0.0.1:4000");
    said.has("ignored    IPSEITY_PORT: no flag has this variable");
    said.has("ignored    IPSEITY_CHECK: no flag has this variable");
    let listens = said
        .out
        .lines()
        .find(|line| line.starts_with("listens "))
        .unwrap();
    assert!(
        listens.contains("127.0.0.1:0 127.0.0.1:4000 (localhost:0 127.0.0.1:4000);"),
        "{listens}"
    );
    assert_eq!(home.path().read_dir().unwrap().count(), 0);
    // The same without a disk, alone.
    let said = check(home.path(), &["--ephemeral"], &[]);
    said.is_good();
    said.has("pid        0, by default");
    said.has("joins      asks nobody, and hands out identities at once");
    said.has("state      EPHEMERAL: nothing is kept on a disk, and after a restart the same identities come again");
}

#[test]
fn a_check_says_what_a_start_does_that_waits_for_no_peer() {
    let home = TempDir::new().unwrap();
    let waits = |more: &[&str], line: &str| {
        let flags = ["--pid", "1", "--peer", "127.0.0.1:1", "--join-timeout", "0"];
        let said = check(home.path(), &[&flags, more].concat(), &[]);
        said.is_good();
        said.has(&format!("joins      waits for no peer: {line}"));
    };
    waits(
        &[],
        "it hands out identities at once, and stops if a peer objects",
    );
    waits(
        &["--join=require"],
        "requests get the error joining until one of its peers has accepted it",
    );
    waits(
        &["--join=majority", "--cluster-size", "4"],
        "requests get the error joining until 2 of the 3 other servers have accepted it",
    );
}

#[test]
fn a_check_beside_a_server_changes_nothing() {
    let mut server = Server::start(&["--pid", "7"]);
    let Message::IdentityReply { .. } = server.ask(1, 0) else {
        panic!("no identity");
    };
    let directory = server.data_dir();
    let scratch = server.scratch().to_owned();
    let address = server.address();
    let flags = [
        "--pid",
        "7",
        "--listen",
        &address,
        "--data-dir",
        directory.to_str().unwrap(),
    ];
    let before = everything(&directory);
    let said = check(&scratch, &flags, &[]);
    said.is_good();
    let shown = directory.display();
    said.has(&format!(
        "state      {shown}: the start is boot 2, and hands out identities above sequence 1024"
    ));
    said.has(&format!(
        "state      process {}, which is in its lock file, is running: if it is a server, a start is refused until it ends",
        server.pid()
    ));
    assert_eq!(everything(&directory), before);
    // The server has noticed nothing: it raises its ceiling, which it does only if nobody else has written.
    for _ in 0..4 {
        server.ask(1000, 0);
    }
    assert_eq!(server.stop(), 0);
    let before = everything(&directory);
    let said = check(&scratch, &flags, &[]);
    said.is_good();
    said.has(&format!(
        "state      {shown}: the start is boot 2, and hands out identities above sequence 4001"
    ));
    said.has("state      nothing is skipped");
    assert_eq!(everything(&directory), before);
    server.restart();
    assert_eq!(server.status().boot, 2, "the check was none");
    server.kill();
    let before = everything(&directory);
    let said = check(&scratch, &flags, &[]);
    said.is_good();
    assert!(
        said.out
            .contains("the last run did not stop cleanly: up to "),
        "{}",
        said.out
    );
    assert_eq!(everything(&directory), before);
}

#[test]
fn a_check_has_every_fault_of_a_start_and_in_the_same_words() {
    let mut server = Server::start(&["--pid", "7"]);
    assert_eq!(server.stop(), 0);
    let directory = server.data_dir();
    let home = server.scratch().to_owned();
    let state = directory.join("state");
    let at = |more: &[&'static str]| {
        let flags = [
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            directory.to_str().unwrap(),
        ];
        [&flags[..], more].concat()
    };
    // The start says the same, and is refused before it listens. It is asked second, as it may leave something behind.
    let same = |flags: &[&str], parts: &[&str]| {
        let before = everything(&home);
        let said = check(&home, flags, &[]);
        said.is_bad(parts);
        assert_eq!(everything(&home), before);
        let output = Command::new(programs::ipseity())
            .args(flags)
            .current_dir(&home)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), said.faults);
    };
    same(
        &at(&["--pid", "8"]),
        &["belongs to pid 7, and this server has pid 8"],
    );
    same(
        &at(&["--pid", "7", "--cluster", "blue"]),
        &["belongs to the cluster"],
    );
    let flags = ["--listen", "127.0.0.1:0", "--data-dir", "a/b"];
    same(
        &flags,
        &["a does not exist; check that the volume is mounted"],
    );
    let flags = ["--listen", "127.0.0.1:0", "--existing"];
    same(&flags, &["--existing"]);
    let flags = ["--listen", "nowhere.invalid:3264"];
    same(&flags, &["cannot listen on nowhere.invalid:3264"]);
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
    same(&at(&["--pid", "7"]), &["everybody may write"]);
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    // One damaged block is a warning, and four are a fault.
    let good = fs::read(&state).unwrap();
    let mut bytes = good.clone();
    bytes[..BLOCK_BYTES].copy_from_slice(&Block::ZERO.0);
    fs::write(&state, &bytes).unwrap();
    let said = check(&home, &at(&["--pid", "7"]), &[]);
    said.is_good();
    assert!(
        said.out.contains("\nwarning    in the state file "),
        "{}",
        said.out
    );
    fs::write(&state, vec![0; bytes.len()]).unwrap();
    same(&at(&["--pid", "7"]), &["no block of the state file"]);
    fs::write(directory.join("members"), "nonsense").unwrap();
    fs::write(&state, good).unwrap();
    same(&at(&["--pid", "7"]), &["members"]);
    fs::remove_file(directory.join("members")).unwrap();
    fs::remove_file(&state).unwrap();
    same(&at(&["--pid", "7"]), &["state"]);
    // A wrong command line is one with --check too.
    let said = check(&home, &["--pid", "x"], &[]);
    assert_eq!((said.code, &*said.out), (Some(2), ""));
    assert!(
        said.faults.contains("--pid \"x\": expected a number"),
        "{}",
        said.faults
    );
}

#[test]
fn a_check_reads_the_certificates_and_says_how_long_they_are_good() {
    let pki = Pki::new("a CA");
    pki.issue("one", &["localhost", "127.0.0.1"], Life::Now);
    pki.issue("old", &["localhost"], Life::Expired);
    let home = TempDir::new().unwrap();
    let (ca, one, key) = (pki.file("ca.pem"), pki.file("one.pem"), pki.file("one.key"));
    let tls = ["--tls-cert", &one, "--tls-key", &key, "--tls-peer-ca", &ca];
    let flags = [
        &tls[..],
        &[
            "--pid",
            "1",
            "--peer",
            "localhost:1",
            "--peer",
            "plain://localhost:2",
        ],
    ]
    .concat();
    let said = check(home.path(), &flags, &[]);
    said.is_good();
    said.has("tls        offered, without it only from this machine");
    said.has("peer       localhost:1, dialed by TLS");
    said.has("peer       localhost:2, dialed without TLS");
    let own = format!("tls        the certificate of this server in {one}: ");
    let line = said
        .out
        .lines()
        .find(|line| line.starts_with(&own))
        .unwrap();
    assert!(
        line.contains(", for localhost, 127.0.0.1, ") && line.ends_with(" days left)"),
        "{line}"
    );
    let (old, old_key) = (pki.file("old.pem"), pki.file("old.key"));
    let said = check(
        home.path(),
        &["--tls-cert", &old, "--tls-key", &old_key],
        &[],
    );
    said.is_good();
    assert!(said.out.contains(" (EXPIRED)\n"), "{}", said.out);
    // The key of another certificate, and a file that is not there; and what else is wrong is said too.
    let said = check(
        home.path(),
        &["--tls-cert", &one, "--tls-key", &old_key, "--existing"],
        &[],
    );
    said.is_bad(&["--existing", "--tls-key"]);
    let said = check(
        home.path(),
        &["--tls-cert", "gone.pem", "--tls-key", &key],
        &[],
    );
    said.is_bad(&["--tls-cert gone.pem: cannot be read"]);
    assert_eq!(home.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_check_opens_no_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = TempDir::new().unwrap();
    let said = check(home.path(), &["--listen", &address], &[]);
    said.is_good();
    said.has(&format!(
        "listens    on {address}; whether another program listens there was not tried"
    ));
}
