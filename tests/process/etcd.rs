//! Ten servers without disks, whose pids are in a real etcd, while both are hurt: servers are killed, stopped, paused, and
//! come back with other pids; etcd is killed, paused, cut in two, filled up, compacted and slowed down. No two clients
//! receive the same identity, the identities of each pid increase over all its lives, and in the end all servers hand out
//! again and agree.
//!
//! The ordinary runs have a few of these faults. The long one has many of each, with one member and with three:
//!
//! ```text
//! cargo test --test process etcd:: -- --ignored --nocapture
//! ```
//!
//! All print their seed. `IPSEITY_SEED=...` makes the same choices again, and `IPSEITY_FAULTS=...` sets how many faults of
//! etcd the long run has.

use std::{collections::BTreeMap, env, fmt, net::SocketAddr, thread, time::Duration};

use fastrand::Rng;
use ipseity_core::words::Message;
use ipseity_etcd::{Call, CallError, Gateway, Op, Secrets, Txn};
use ipseity_harness::{
    clients::{Between, EndOfLoad, Load, agree, meet, pause, stay_with_an_address},
    etcd::{Etcd, Setting},
    failing::strace::{self, Attached},
    program,
    server::{Port, Refusal, Server, eventually},
};
use ipseity_sim::checker::{Answer, report::RunReport};

/// How many servers there are, and from how many pids they take theirs.
const SERVERS: usize = 10;
const PIDS: &str = "0-31";

/// Short, so that some leases end in a run.
const LEASE: Duration = Duration::from_secs(2);

/// How many bytes an etcd may have that is going to be filled up.
const QUOTA: &str = "8388608";

/// Answers that must have come for each fault of etcd. With fewer the run has shown nothing.
const ANSWERS_PER_FAULT_MIN: usize = 50;

/// How much longer each write of a slow etcd takes to be durable.
const SLOW: Duration = Duration::from_millis(300);

#[test]
fn servers_outlive_the_faults_of_one_etcd() {
    run(1, &[Fault::Kill, Fault::Full, Fault::Compact]);
}

#[test]
fn servers_outlive_an_etcd_that_is_slow_or_silent() {
    run(1, &[Fault::Slow, Fault::Pause]);
}

#[test]
fn servers_outlive_the_faults_of_three_etcds() {
    run(3, &[Fault::Kill, Fault::CutOff, Fault::Pause]);
}

#[test]
#[ignore = "takes minutes: cargo test --test process etcd:: -- --ignored --nocapture"]
fn many_faults_of_etcd_and_of_servers_repeat_nothing() {
    let count = number("IPSEITY_FAULTS").unwrap_or(60) as usize;
    let mut rng = Rng::with_seed(seed());
    for members in [1, 3] {
        let mut faults: Vec<Fault> = Vec::new();
        while faults.len() < count {
            let fault = rng.choice(Fault::ALL).unwrap();
            if members > 1 || fault != Fault::CutOff {
                faults.push(fault);
            }
        }
        run(members, &faults);
    }
}

fn number(variable: &str) -> Option<u64> {
    Some(env::var(variable).ok()?.parse().unwrap())
}

fn seed() -> u64 {
    let seed = number("IPSEITY_SEED").unwrap_or_else(|| fastrand::u64(..));
    // Shown when the test fails.
    println!("IPSEITY_SEED={seed}");
    seed
}

/// What is done to an etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// A member is killed, and starts again later.
    Kill,
    /// A member keeps its connections and does nothing for a while.
    Pause,
    /// A member is cut off from the others, and clients still reach it.
    CutOff,
    /// There is no space left.
    Full,
    /// All earlier revisions are forgotten.
    Compact,
    /// What a member makes durable takes long.
    Slow,
}

impl Fault {
    const ALL: [Fault; 6] = [
        Fault::Kill,
        Fault::Pause,
        Fault::CutOff,
        Fault::Full,
        Fault::Compact,
        Fault::Slow,
    ];
}

fn run(members: usize, faults: &[Fault]) {
    let mut rng = Rng::with_seed(seed());
    let flags = ["--quota-backend-bytes", QUOTA];
    let setting = Setting {
        flags: &flags,
        ..Setting::default()
    };
    let mut etcd = Etcd::start_as(members, &setting);
    let mut fleet = Fleet::start(&etcd.target());
    let load = Load::over(Between::SoundNetwork);
    thread::scope(|scope| {
        let end = EndOfLoad(&load);
        for (client, address) in (1..).zip(fleet.addresses()) {
            let (load, rng) = (&load, rng.fork());
            scope.spawn(move || stay_with_an_address(load, client, address, rng));
        }
        for fault in faults {
            fleet.hurt(3, &mut rng);
            // The leader more often than not: that is what is felt.
            let victim = match rng.u32(..3) {
                0 => rng.usize(..members),
                _ => etcd.leader(),
            };
            // With one member, everything that harms it harms all calls.
            fleet.may_fail = members == 1 || *fault == Fault::Full;
            suffer(&mut etcd, *fault, victim, || fleet.hurt(4, &mut rng));
            etcd.wait_until_ready();
            fleet.may_fail = false;
        }
        fleet.restart_all();
        agree(&fleet.servers());
        drop(end);
    });
    let servers = fleet.servers();
    meet(&servers);
    let (history, tally) = load.results();
    let report = RunReport::on(&history, tally);
    println!("{members} member(s), {faults:?}\n{}\n{report}", fleet.done);
    assert!(report.is_valid());
    let summary = report.verdict.unwrap();
    assert!(
        summary.answers >= faults.len() * ANSWERS_PER_FAULT_MIN,
        "too few: {summary:?}"
    );
    assert!(summary.servers.len() >= SERVERS, "{summary:?}");
    nothing_is_above_its_ceiling(&etcd, &history);
}

/// Hurts a member, lets `meanwhile` happen, and heals it.
fn suffer(etcd: &mut Etcd, fault: Fault, victim: usize, meanwhile: impl FnOnce()) {
    match fault {
        Fault::Kill => {
            etcd.kill(victim);
            meanwhile();
            etcd.restart(victim);
        }
        Fault::Pause => {
            etcd.pause(victim);
            meanwhile();
            etcd.resume(victim);
        }
        Fault::CutOff => {
            etcd.cut_off(victim);
            meanwhile();
            etcd.heal();
        }
        Fault::Full => {
            fill(etcd);
            meanwhile();
            etcd.ctl(&["del", "--prefix", "junk/"]);
            compact(etcd);
            etcd.ctl(&["defrag"]);
            etcd.ctl(&["alarm", "disarm"]);
        }
        Fault::Compact => {
            meanwhile();
            compact(etcd);
        }
        Fault::Slow => {
            let slowed = strace::is_allowed()
                .then(|| Attached::slowing(etcd.pid(victim), "fdatasync", SLOW));
            meanwhile();
            drop(slowed);
        }
    }
}

/// Writes until there is no space left.
fn fill(etcd: &Etcd) {
    let target = etcd.target().parse().unwrap();
    let mut gateway = Gateway::new(&target, &Secrets::default()).unwrap();
    let value = "x".repeat(1 << 20);
    let mut count = 0;
    let is_full = eventually(|| {
        count += 1;
        let put = Op::Put {
            key: format!("junk/{count}"),
            value: value.clone(),
            lease: None,
        };
        let write = Call::Txn(Txn {
            then: vec![put],
            ..Txn::default()
        });
        let said = gateway.call(&write);
        matches!(said, Err(CallError::Unanswered(text)) if text.contains("it is full"))
    });
    assert!(is_full, "etcd takes more than it may");
}

fn compact(etcd: &Etcd) {
    let status = etcd.ctl(&["endpoint", "status", "--write-out", "fields"]);
    let revision = status
        .lines()
        .find_map(|line| line.strip_prefix("\"Revision\" : "))
        .unwrap();
    // Somebody may have compacted it so far already.
    let _ = etcd.try_ctl(&["compact", revision]);
}

/// No client has anything above what is noted in etcd for its pid.
fn nothing_is_above_its_ceiling(etcd: &Etcd, history: &[Answer]) {
    let keys = etcd.ctl(&["get", "--prefix", "ipseity/"]);
    let mut lines = keys.lines();
    let mut ceilings: BTreeMap<u16, u64> = BTreeMap::new();
    while let (Some(key), Some(value)) = (lines.next(), lines.next()) {
        if let Some(pid) = key.strip_suffix("/state") {
            let pid = pid.rsplit('/').next().unwrap().parse().unwrap();
            let state: serde_json::Value = serde_json::from_str(value).unwrap();
            ceilings.insert(pid, state["ceiling"].as_u64().unwrap());
        }
    }
    for answer in history {
        let last = (answer.first >> 10) + u64::from(answer.count - 1);
        let ceiling = ceilings[&answer.server];
        assert!(last <= ceiling, "{answer:?} is above {ceiling}");
    }
}

/// The servers. Each has its own address, which it keeps, and any pid.
struct Fleet {
    places: Vec<Place>,
    flags: Vec<String>,
    /// Whether a start or a stop may fail now, because etcd does not answer.
    may_fail: bool,
    done: Done,
}

struct Place {
    port: Port,
    server: Option<Server>,
}

/// What was done to the servers, and what became of them.
#[derive(Debug, Default)]
struct Done {
    starts: usize,
    failed_starts: usize,
    kills: usize,
    stops: usize,
    failed_stops: usize,
    pauses: usize,
    long_pauses: usize,
    fenced: usize,
}

impl Fleet {
    fn start(target: &str) -> Fleet {
        let lease = format!("{}s", LEASE.as_secs());
        let flags = [
            ["--store", target],
            ["--pid", "auto"],
            ["--pid-range", PIDS],
            ["--lease", &lease],
            // Little, so that it is used up while etcd is away.
            ["--reserve", "100ms"],
            ["--sync-interval", "50ms"],
        ];
        let place = |_| Place {
            port: Port::reserve(),
            server: None,
        };
        let mut fleet = Fleet {
            places: (0..SERVERS).map(place).collect(),
            flags: flags
                .as_flattened()
                .iter()
                .map(|&word| word.to_owned())
                .collect(),
            may_fail: false,
            done: Done::default(),
        };
        fleet.restart_all();
        fleet
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let places = self.places.iter();
        places.map(|place| place.port.address()).collect()
    }

    /// All that run, taken out.
    fn servers(&mut self) -> Vec<Server> {
        let places = self.places.iter_mut();
        places.filter_map(|place| place.server.take()).collect()
    }

    /// Does something to some servers, one after the other.
    fn hurt(&mut self, times: usize, rng: &mut Rng) {
        for _ in 0..times {
            let index = rng.usize(..self.places.len());
            self.bury(index);
            match rng.u32(..10) {
                _ if self.places[index].server.is_none() => self.try_restart(index),
                0..4 => self.kill(index, rng),
                4..6 => self.stop(index),
                6 => {
                    self.pause(index, LEASE + Duration::from_secs(2));
                    self.done.long_pauses += 1;
                }
                _ => {
                    self.pause(index, Duration::from_millis(rng.u64(1..100)));
                    self.done.pauses += 1;
                }
            }
            if self.places[index].server.is_none() && rng.bool() {
                // At once, as a supervisor would: with another pid, because its own is still taken.
                self.try_restart(index);
            }
            pause(rng, 200);
        }
    }

    fn kill(&mut self, index: usize, rng: &mut Rng) {
        let mut server = self.places[index].server.take().unwrap();
        if rng.u32(..4) == 0 {
            // Killed while it is paused, with requests that it has not read.
            server.signal("STOP");
            pause(rng, 20);
        }
        server.kill();
        self.done.kills += 1;
    }

    fn stop(&mut self, index: usize) {
        let mut server = self.places[index].server.take().unwrap();
        let code = server.stop();
        self.done.stops += 1;
        self.done.failed_stops += usize::from(code != 0);
        assert!(code == 0 || self.may_fail, "{}", server.log());
    }

    fn pause(&mut self, index: usize, time: Duration) {
        let server = self.places[index].server.as_ref().unwrap();
        server.signal("STOP");
        thread::sleep(time);
        server.signal("CONT");
    }

    /// A server may have ended by itself, if somebody has taken its pid while it was paused.
    fn bury(&mut self, index: usize) {
        let place = &mut self.places[index];
        let Some(server) = &mut place.server else {
            return;
        };
        if let Some(status) = server.ended() {
            let log = server.log();
            assert_eq!(status.code(), Some(1), "{log}");
            assert!(log.contains("FENCED"), "{log}");
            self.done.fenced += 1;
            place.server = None;
        }
    }

    fn try_restart(&mut self, index: usize) {
        let place = &mut self.places[index];
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let listen = place.port.address().to_string();
        match Server::start_under(&[], &["--listen", &listen], &flags) {
            Ok(server) => {
                place.server = Some(server);
                self.done.starts += 1;
            }
            Err(Refusal { log, code }) => {
                assert!(self.may_fail && code == Some(1), "{code:?}\n{log}");
                self.done.failed_starts += 1;
            }
        }
    }

    fn restart_all(&mut self) {
        for index in 0..self.places.len() {
            self.bury(index);
            if self.places[index].server.is_none() {
                self.try_restart(index);
            }
        }
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
