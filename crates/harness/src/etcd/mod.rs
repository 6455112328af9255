//! A real etcd for a test: one member or several, on free ports of 127.0.0.1 with directories of their own. What it
//! started is killed when it is dropped.

mod relay;

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    command,
    pki::Pki,
    server::{PATIENCE, Port, eventually},
};
use relay::{Cut, Relay};

/// How often etcd is asked whether it is ready, while it starts. Each time costs a process.
const ASKED_EVERY: Duration = Duration::from_millis(50);

/// The user with all rights that [`Etcd::enable_users`] makes, and its password.
pub const ROOT: (&str, &str) = ("root", "secret of root");

/// How an etcd is started.
#[derive(Clone, Copy, Default)]
pub struct Setting<'a> {
    /// What stands in front of the command line of every member, such as `taskset`. It must become the member.
    pub before: &'a [String],
    /// Where the directories are made. If it is not said, among the temporary files.
    pub folder: Option<&'a Path>,
    /// More flags of every member.
    pub flags: &'a [&'a str],
    /// Clients speak TLS, and show a certificate of this CA: the files `etcd.pem` and `etcd.key` are those of the
    /// members, `ctl.pem` and `ctl.key` those of `etcdctl`.
    pub tls: Option<&'a Pki>,
}

/// A running etcd.
pub struct Etcd {
    members: Vec<Member>,
    cut: Cut,
    scheme: &'static str,
    /// What `etcdctl` needs beside the endpoints.
    access: Vec<String>,
    has_users: bool,
    /// How often it was restored from a backup. Each time it begins in new directories.
    restores: usize,
    directory: TempDir,
}

struct Member {
    name: String,
    client: Port,
    /// Where it listens for the others, who reach it by way of the relay.
    peer: Port,
    relay: Relay,
    before: Vec<String>,
    flags: Vec<String>,
    child: Option<Child>,
}

impl Etcd {
    /// One member.
    pub fn start() -> Etcd {
        Etcd::start_as(1, &Setting::default())
    }

    /// One member with these additional flags.
    pub fn start_with(flags: &[&str]) -> Etcd {
        let setting = Setting {
            flags,
            ..Setting::default()
        };
        Etcd::start_as(1, &setting)
    }

    /// Three members.
    pub fn cluster() -> Etcd {
        Etcd::start_as(3, &Setting::default())
    }

    /// So many members.
    pub fn start_as(count: usize, setting: &Setting) -> Etcd {
        let directory = match setting.folder {
            Some(folder) => TempDir::new_in(folder),
            None => TempDir::new(),
        };
        let directory = directory.unwrap();
        let cut = Cut::default();
        let member = |index| {
            let peer = Port::reserve();
            Member {
                name: format!("member{index}"),
                client: Port::reserve(),
                relay: Relay::new(index, peer.address(), cut.clone()),
                peer,
                before: setting.before.to_vec(),
                flags: setting.flags.iter().map(|&flag| flag.to_owned()).collect(),
                child: None,
            }
        };
        let (scheme, access) = match setting.tls {
            None => ("http", Vec::new()),
            Some(pki) => ("https", access_by(pki)),
        };
        let mut etcd = Etcd {
            members: (0..count).map(member).collect(),
            cut,
            scheme,
            access,
            has_users: false,
            restores: 0,
            directory,
        };
        for index in 0..count {
            let mut flags = etcd.flags_of(index);
            flags.extend(setting.tls.into_iter().flat_map(served_by));
            etcd.members[index].flags.splice(0..0, flags);
            etcd.spawn(index);
        }
        etcd.wait_until_ready();
        etcd
    }

    /// What a client names: `http://127.0.0.1:1,http://127.0.0.1:2`.
    fn urls(&self) -> String {
        let members = self.members.iter();
        let urls: Vec<String> = members
            .map(|member| format!("{}://{}", self.scheme, member.client.address()))
            .collect();
        urls.join(",")
    }

    /// The value of `--store`, without a prefix.
    pub fn target(&self) -> String {
        let endpoints: Vec<String> = self.endpoints().iter().map(|at| at.to_string()).collect();
        let scheme = if self.scheme == "https" {
            "etcds"
        } else {
            "etcd"
        };
        format!("{scheme}://{}", endpoints.join(","))
    }

    /// Where clients reach each member.
    pub fn endpoints(&self) -> Vec<SocketAddr> {
        let members = self.members.iter();
        members.map(|member| member.client.address()).collect()
    }

    /// How many members it has.
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// The process of a member.
    pub fn pid(&self, index: usize) -> u32 {
        self.members[index].child.as_ref().unwrap().id()
    }

    /// What a member has said, in all its lives.
    pub fn log(&self, index: usize) -> String {
        std::fs::read_to_string(self.log_file(index)).unwrap_or_default()
    }

    /// Kills a member.
    pub fn kill(&mut self, index: usize) {
        self.members[index].kill();
    }

    /// Starts a member again that was killed, and does not wait for it.
    pub fn restart(&mut self, index: usize) {
        assert!(self.members[index].child.is_none());
        self.spawn(index);
    }

    /// Pauses a member: it keeps its connections and does nothing.
    pub fn pause(&self, index: usize) {
        self.members[index].signal("STOP");
        // The signal is sent, but a busy machine may let threads run on for a moment.
        let pid = self.pid(index);
        assert!(eventually(|| is_paused(pid)), "etcd does not pause");
    }

    /// Lets a paused member go on.
    pub fn resume(&self, index: usize) {
        self.members[index].signal("CONT");
    }

    /// Cuts a member off from the others. Clients still reach it.
    pub fn cut_off(&self, index: usize) {
        self.cut.cut(index);
    }

    /// Lets all members reach each other again.
    pub fn heal(&self) {
        self.cut.heal();
    }

    /// The member that leads.
    pub fn leader(&self) -> usize {
        let end = Instant::now() + PATIENCE;
        loop {
            let leads = |&index: &usize| self.leads(index);
            if let Some(index) = (0..self.size()).find(leads) {
                return index;
            }
            assert!(Instant::now() < end, "nobody leads:\n{}", self.logs());
            thread::sleep(ASKED_EVERY);
        }
    }

    fn leads(&self, index: usize) -> bool {
        let url = format!("{}://{}", self.scheme, self.endpoints()[index]);
        let status = self.try_ctl_at(&url, &["endpoint", "status", "--write-out", "fields"]);
        let Ok(status) = status else { return false };
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            line.map(|line| line[name.len()..].trim().to_owned())
        };
        let own = field("\"MemberID\" :");
        own.is_some() && own == field("\"Leader\" :")
    }

    /// Runs `etcdctl` and returns what it said.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        self.try_ctl(arguments).unwrap()
    }

    /// The same, or why it failed.
    pub fn try_ctl(&self, arguments: &[&str]) -> Result<String, String> {
        self.try_ctl_at(&self.urls(), arguments)
    }

    fn try_ctl_at(&self, urls: &str, arguments: &[&str]) -> Result<String, String> {
        let mut ctl = Command::new("etcdctl");
        ctl.env("ETCDCTL_API", "3").args(["--endpoints", urls]);
        ctl.args(&self.access);
        if self.has_users {
            ctl.args(["--user", &format!("{}:{}", ROOT.0, ROOT.1)]);
        }
        command::run(ctl.args(arguments))
    }

    /// From now on who does anything has to be a user. [`ROOT`] may do everything.
    pub fn enable_users(&mut self) {
        self.ctl(&["user", "add", &format!("{}:{}", ROOT.0, ROOT.1)]);
        self.ctl(&["user", "grant-role", ROOT.0, "root"]);
        self.ctl(&["auth", "enable"]);
        self.has_users = true;
    }

    /// Adds a user who may read and write the keys below a prefix, and nothing else.
    pub fn add_user(&self, user: &str, password: &str, prefix: &str) {
        self.ctl(&["user", "add", &format!("{user}:{password}")]);
        self.ctl(&["role", "add", user]);
        let grant = ["role", "grant-permission", user, "readwrite", prefix];
        self.ctl(&[&grant[..], &["--prefix"]].concat());
        self.ctl(&["user", "grant-role", user, user]);
    }

    /// Makes a backup, and returns its file.
    pub fn back_up(&self) -> PathBuf {
        let file = self.directory.path().join("backup.db");
        // Only one member can be asked.
        let url = format!("{}://{}", self.scheme, self.endpoints()[0]);
        let path = file.to_str().unwrap();
        self.try_ctl_at(&url, &["snapshot", "save", path]).unwrap();
        file
    }

    /// Kills all members, and starts them again with what is in a backup.
    pub fn restore(&mut self, backup: &Path) {
        self.restores += 1;
        for index in 0..self.size() {
            self.kill(index);
            let member = &self.members[index];
            let mut restore = Command::new("etcdctl");
            restore.env("ETCDCTL_API", "3");
            restore.args(["snapshot", "restore"]).arg(backup);
            restore.arg("--data-dir").arg(self.data_dir(index));
            restore.args(["--name", &member.name]);
            restore.args(["--initial-cluster", &self.initial_cluster()]);
            restore.args(["--initial-advertise-peer-urls", &member.peer_url()]);
            command::run(&mut restore).unwrap();
        }
        for index in 0..self.size() {
            self.spawn(index);
        }
        self.wait_until_ready();
    }

    /// Waits until it answers.
    pub fn wait_until_ready(&self) {
        let end = Instant::now() + PATIENCE;
        while let Err(error) = self.try_ctl(&["endpoint", "health"]) {
            let is_late = Instant::now() > end;
            assert!(!is_late, "it is not ready: {error}\n{}", self.logs());
            thread::sleep(ASKED_EVERY);
        }
    }

    fn logs(&self) -> String {
        let logs = (0..self.size()).map(|index| self.log(index));
        logs.collect::<Vec<String>>().join("\n\n")
    }

    /// Those that a member has in each of its lives, beside its directory.
    fn flags_of(&self, index: usize) -> Vec<String> {
        let member = &self.members[index];
        let client = format!("{}://{}", self.scheme, member.client.address());
        let peer = format!("http://{}", member.peer.address());
        let mut flags = Vec::new();
        for (flag, value) in [
            ("--name", &member.name),
            ("--listen-client-urls", &client),
            ("--advertise-client-urls", &client),
            ("--listen-peer-urls", &peer),
            ("--initial-advertise-peer-urls", &member.peer_url()),
            ("--initial-cluster", &self.initial_cluster()),
        ] {
            flags.extend([flag.to_owned(), value.clone()]);
        }
        flags
    }

    fn initial_cluster(&self) -> String {
        let members = self.members.iter();
        let named: Vec<String> = members
            .map(|member| format!("{}={}", member.name, member.peer_url()))
            .collect();
        named.join(",")
    }

    fn data_dir(&self, index: usize) -> PathBuf {
        let life = format!("{}.{}", self.members[index].name, self.restores);
        self.directory.path().join(life)
    }

    fn log_file(&self, index: usize) -> PathBuf {
        let name = format!("{}.log", self.members[index].name);
        self.directory.path().join(name)
    }

    fn spawn(&mut self, index: usize) {
        let log = self.log_file(index);
        let log = File::options().create(true).append(true).open(log).unwrap();
        let member = &self.members[index];
        let mut words = member.before.clone();
        words.push("etcd".to_owned());
        words.extend(member.flags.iter().cloned());
        let mut etcd = Command::new(&words[0]);
        etcd.args(&words[1..]);
        etcd.arg("--data-dir").arg(self.data_dir(index));
        let started = etcd
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let child = started.unwrap_or_else(|error| panic!("etcd: {error}: call .ci/setup"));
        self.members[index].child = Some(child);
    }
}

impl Member {
    fn peer_url(&self) -> String {
        format!("http://{}", self.relay.address())
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        command::run(Command::new("kill").args([&format!("-{name}"), &pid])).unwrap();
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether no thread of a process runs.
fn is_paused(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat"));
        // The state stands behind the name, which is in parentheses. A thread may have just ended.
        stat.map_or(true, |stat| {
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('T'))
        })
    })
}

/// The flags of `etcdctl` for a server that speaks TLS.
fn access_by(pki: &Pki) -> Vec<String> {
    files(pki, "ctl", ["--cacert", "--cert", "--key"])
}

/// The flags of a member that speaks TLS with its clients.
fn served_by(pki: &Pki) -> Vec<String> {
    let mut flags = files(
        pki,
        "etcd",
        ["--trusted-ca-file", "--cert-file", "--key-file"],
    );
    flags.push("--client-cert-auth".to_owned());
    flags
}

fn files(pki: &Pki, name: &str, flags: [&str; 3]) -> Vec<String> {
    let files = ["ca.pem", &format!("{name}.pem"), &format!("{name}.key")];
    let pairs = flags.into_iter().zip(files);
    pairs
        .flat_map(|(flag, file)| [flag.to_owned(), pki.file(file)])
        .collect()
}
