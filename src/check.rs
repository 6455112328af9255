//! What `--check` says: lines about everything that a start would do, made of what was read for it.
//!
//! It opens nothing and looks nothing up: the program reads, with the same code as at a start, and this room tells people
//! what was found.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipseity_core::{actor::JoinMode, address::HostPort, text::Plain};
use ipseity_tls::{Date, Facts, Role};

use crate::{
    options::{Options, StateAt},
    pid_store::{PidProspect, Takes},
    secure::{PlainFrom, Settings},
    store::{Note, Prospect},
};

/// How wide the first column is.
const TOPIC_COLUMNS: usize = 10;

/// What was read for a start. An error is one line, the same as that of the start.
#[derive(Debug)]
pub struct Found {
    /// The addresses to listen on.
    pub addresses: Result<Vec<SocketAddr>, String>,
    /// The addresses to speak HTTP on.
    pub http: Result<Vec<SocketAddr>, String>,
    /// What there are too few descriptors for, and what to do; `None` if there are enough.
    pub descriptors: Result<Option<String>, String>,
    /// The file for the trace can be had.
    pub trace: Result<(), String>,
    /// What the files of TLS say; `None` without TLS.
    pub tls: Result<Option<Settings>, String>,
    /// What is in the state directory; `None` for a server without a disk.
    pub state: Result<Option<State>, String>,
    /// What is in etcd; `None` for a server whose state is elsewhere.
    pub in_etcd: Result<Option<PidProspect>, String>,
}

/// What is in the state directory.
#[derive(Debug)]
pub struct State {
    /// Where it is, with its full path.
    pub directory: PathBuf,
    /// What a start would make of it.
    pub prospect: Prospect,
    /// How many other servers it remembers.
    pub remembered: usize,
    /// How many addresses it remembers of them that a start would ask besides those of `--peer`.
    pub asked: usize,
    /// Why a start would hand out nothing, although it would run.
    pub objection: Option<String>,
}

/// What people are told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What a start would do, one line each, and what it would warn of.
    pub lines: Vec<String>,
    /// Why it would fail, or would hand out no identities; one line each, and none if all is well.
    pub faults: Vec<String>,
}

impl Report {
    /// Says what a start with these options would do. `given` are the flags and variables that the options come from.
    pub fn new(options: &Options, given: &[String], found: &Found) -> Report {
        let mut report = Report::default();
        report.say("pid", pid(options, given));
        report.say("cluster", options.cluster.as_str());
        report.listens(options, found);
        report.peers(options);
        report.joins(options, found);
        report.state(options, found);
        report.tls(options, found);
        report.connections(found);
        if let Err(error) = &found.trace {
            report.faults.push(error.clone());
        }
        for setting in given {
            report.say("set", setting);
        }
        for variable in &options.unknown_variables {
            report.say("ignored", format!("{variable}: no flag has this variable"));
        }
        report
    }

    fn say(&mut self, topic: &str, text: impl AsRef<str>) {
        let text = Plain(text.as_ref());
        self.lines.push(format!("{topic:<TOPIC_COLUMNS$} {text}"));
    }

    fn listens(&mut self, options: &Options, found: &Found) {
        self.addresses("listens", &options.listen, &found.addresses);
        if !options.http.is_empty() {
            self.addresses("http", &options.http, &found.http);
        }
        if let Some(advertise) = &options.advertise {
            self.say("advertises", format!("{advertise}, where others reach it"));
        }
    }

    fn addresses(
        &mut self,
        topic: &str,
        given: &[String],
        found: &Result<Vec<SocketAddr>, String>,
    ) {
        match found {
            Ok(addresses) => {
                let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
                let given = given.join(" ");
                self.say(
                    topic,
                    match addresses.join(" ") {
                        addresses if addresses == given => format!("on {addresses}"),
                        addresses => format!("on {addresses} ({given})"),
                    } + "; whether another program listens there was not tried",
                );
            }
            Err(error) => self.faults.push(error.clone()),
        }
    }

    fn peers(&mut self, options: &Options) {
        let by_tls = options
            .tls
            .as_ref()
            .is_some_and(|files| files.peer_ca.is_some());
        for peer in &options.peers {
            let how = match by_tls && !options.plain_peers.contains(peer) {
                true => "by TLS",
                false => "without TLS",
            };
            self.say("peer", format!("{peer}, dialed {how}"));
        }
        for network in &options.trust.peers {
            self.say("peer", format!("any that connects from {network}"));
        }
        if options.state.etcd().is_some() {
            self.say("peer", "those who have the other pids, as etcd says");
        } else if options.peers.is_empty() && options.trust.peers.is_empty() {
            self.say("peer", "none");
        }
    }

    fn joins(&mut self, options: &Options, found: &Found) {
        let asked = match &found.state {
            Ok(Some(state)) if state.objection.is_some() => {
                return self.say(
                    "joins",
                    "asks nobody: a peer has objected to its state directory",
                );
            }
            Ok(Some(state)) => state.asked,
            Ok(None) => 0,
            // Whom it remembers is not known.
            Err(_) => return,
        };
        if options.peers.is_empty() && options.state.etcd().is_some() {
            return match &found.in_etcd {
                Ok(Some(prospect)) if prospect.owned == 0 => {
                    self.say("joins", "asks nobody, because no pid has an owner");
                }
                Ok(_) if options.join_timeout.is_zero() => {
                    self.say("joins", waits_for_nobody(options.join));
                }
                Ok(_) => self.say("joins", "first asks the owners of the other pids"),
                Err(_) => {}
            };
        }
        if options.peers.is_empty() && asked == 0 {
            return self.say("joins", "asks nobody, and hands out identities at once");
        }
        if options.join_timeout.is_zero() {
            return self.say("joins", waits_for_nobody(options.join));
        }
        let needed = match options.join {
            JoinMode::Prefer => "goes on without those that do not answer".to_owned(),
            JoinMode::Require => "one of them has to accept it".to_owned(),
            JoinMode::Majority { cluster_size } => {
                format!("{} have to accept it", voters(options.join, cluster_size))
            }
        };
        let remembered = match asked {
            0 => String::new(),
            asked => format!(", and at {asked} addresses that it remembers"),
        };
        self.say(
            "joins",
            format!(
                "first asks its peers{remembered}, for {} at most; {needed}",
                humantime::format_duration(options.join_timeout)
            ),
        );
    }

    fn state(&mut self, options: &Options, found: &Found) {
        match &options.state {
            StateAt::Etcd(etcd) => self.in_etcd(&etcd.target.to_string(), etcd.lease, found),
            StateAt::Directory(_) | StateAt::Nowhere => self.in_directory(found),
        }
    }

    fn in_etcd(&mut self, target: &str, lease: Duration, found: &Found) {
        let prospect = match &found.in_etcd {
            Ok(Some(prospect)) => prospect,
            Ok(None) => return,
            Err(error) => return self.faults.push(error.clone()),
        };
        let takes = match &prospect.takes {
            Takes::First => "nothing is there of this cluster; the start makes it".to_owned(),
            Takes::New(pid) => format!("pid {pid} is free and was never used"),
            Takes::Used { pid, boot, above } => {
                let boot = boot.map_or(String::new(), |boot| format!("is boot {boot}, and "));
                format!(
                    "pid {pid} is free; the start {boot}hands out identities above sequence {above}"
                )
            }
            Takes::Any { free } => format!("{free} pids are free, and the start takes one of them"),
            Takes::Waits(waiting) => format!(
                "{waiting}; the start waits for up to {}, and fails if that is still so",
                humantime::format_duration(lease)
            ),
        };
        self.say("state", format!("{target}: {takes}"));
        if prospect.owned > 0 {
            self.say(
                "state",
                format!("pids that have owners: {}", prospect.owned),
            );
        }
    }

    fn in_directory(&mut self, found: &Found) {
        let state = match &found.state {
            Ok(Some(state)) => state,
            Ok(None) => {
                return self.say(
                    "state",
                    "EPHEMERAL: nothing is kept on a disk, and after a restart the same identities come again",
                );
            }
            Err(error) => return self.faults.push(error.clone()),
        };
        let directory = state.directory.display();
        let Prospect {
            started,
            is_new,
            holder,
        } = &state.prospect;
        if state.objection.is_some() {
            self.say(
                "state",
                format!(
                    "{directory}: the start is boot {}, and hands out nothing",
                    started.boot
                ),
            );
        } else if *is_new {
            self.say(
                "state",
                format!("{directory}: no state is there; the start makes it, and begins above sequence {}", started.sequence),
            );
        } else {
            self.say(
                "state",
                format!(
                    "{directory}: the start is boot {}, and hands out identities above sequence {}",
                    started.boot, started.sequence
                ),
            );
        }
        if !*is_new {
            self.say(
                "state",
                last_run(started.first_start, started.skipped, *holder),
            );
        }
        if state.remembered > 0 {
            self.say(
                "state",
                format!("remembers other servers: {}", state.remembered),
            );
        }
        for Note { text, .. } in &started.notes {
            self.say("warning", text);
        }
        self.faults.extend(state.objection.clone());
    }

    fn tls(&mut self, options: &Options, found: &Found) {
        let settings = match &found.tls {
            Ok(Some(settings)) => settings,
            Ok(None) => return self.say("tls", "none"),
            Err(error) => return self.faults.push(error.clone()),
        };
        let without = match options.plain {
            PlainFrom::Nowhere => "nothing is taken without it",
            PlainFrom::Loopback => "without it only from this machine",
            PlainFrom::Anywhere => "and without it from anywhere",
        };
        self.say("tls", format!("offered, {without}"));
        let now = settings.unix_seconds();
        for (index, kept) in settings.kept().iter().enumerate() {
            let facts = &kept.facts;
            let names = match index {
                0 => format!(", for {}, {}", facts.hosts(), roles(facts)),
                _ => String::new(),
            };
            let line = format!(
                "{} in {}: {}{names}, until {} ({})",
                kept.what,
                kept.file.display(),
                facts.name(),
                facts.until(),
                left(facts, now)
            );
            self.say("tls", line);
        }
        for warning in settings.warnings() {
            self.say("warning", warning.text);
        }
        for peer in options
            .peers
            .iter()
            .filter(|peer| !options.plain_peers.contains(*peer))
        {
            let Ok(address) = peer.parse::<HostPort>() else {
                continue;
            };
            if let Err(error) = settings.dial(address.host()) {
                self.say("warning", format!("peer {peer} cannot be dialed: {error}"));
            }
        }
    }

    fn connections(&mut self, found: &Found) {
        match &found.descriptors {
            Ok(None) => {}
            Ok(Some(shortage)) => self.say("warning", shortage),
            Err(error) => self.faults.push(error.clone()),
        }
    }
}

/// What a start does with `--join-timeout 0`.
fn waits_for_nobody(join: JoinMode) -> String {
    match join {
        JoinMode::Prefer => {
            "waits for no peer: it hands out identities at once, and stops if a peer objects".to_owned()
        }
        JoinMode::Require => {
            "waits for no peer: requests get the error joining until one of its peers has accepted it"
                .to_owned()
        }
        JoinMode::Majority { cluster_size } => format!(
            "waits for no peer: requests get the error joining until {} have accepted it",
            voters(join, cluster_size)
        ),
    }
}

/// How many servers have to accept a start, of how many.
fn voters(join: JoinMode, cluster_size: usize) -> String {
    format!(
        "{} of the {} other servers",
        join.needed(),
        cluster_size - 1
    )
}

/// The pid, and where it comes from.
fn pid(options: &Options, given: &[String]) -> String {
    let source = given
        .iter()
        .filter_map(|setting| setting.split(' ').next())
        .find(|name| {
            [
                "--pid",
                "IPSEITY_PID",
                "--pid-from-hostname",
                "IPSEITY_PID_FROM_HOSTNAME",
            ]
            .contains(name)
        });
    format!("{}, by {}", options.pid, source.unwrap_or("default"))
}

fn last_run(is_first: bool, skipped: u64, holder: Option<u32>) -> String {
    match (holder, is_first, skipped) {
        (Some(process), ..) => format!(
            "process {process}, which is in its lock file, is running: if it is a server, a start is refused until it ends"
        ),
        (None, true, _) => "no start has come to its end yet".to_owned(),
        (None, false, 0) => "nothing is skipped".to_owned(),
        (None, false, skipped) => {
            format!("the last run did not stop cleanly: up to {skipped} sequences are skipped")
        }
    }
}

fn roles(facts: &Facts) -> String {
    let roles: Vec<String> = facts.roles().iter().map(Role::to_string).collect();
    match roles.is_empty() {
        true => "without a role".to_owned(),
        false => format!("with the role {}", roles.join(" and ")),
    }
}

/// How long a certificate is good.
fn left(facts: &Facts, now: u64) -> String {
    match facts.days_left(now) {
        ..0 => "EXPIRED".to_owned(),
        _ if facts.not_before > now => format!("NOT VALID before {}", Date(facts.not_before)),
        0 => "less than a day left".to_owned(),
        1 => "1 day left".to_owned(),
        days => format!("{days} days left"),
    }
}
