//! The nemesis of a cluster: it draws faults of processes and of the network from a seed. Several are in force at once,
//! and each ends after its time. It makes sure that each fault has affected something.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use ipseity::limits::PEER_SILENCE_MIN;

use crate::{
    hosts::{self, Fault, Network, Treatment},
    server::{PATIENCE, Server},
};

/// How many faults are in force at once. With one more, servers would hardly ever answer.
const AT_ONCE_MAX: usize = 3;

/// How long most faults last. TCP retransmits after 200 ms at the earliest.
const LASTS_MS: Range<u64> = 150..800;

/// In a long run, one in this many faults lasts as long as a silence.
const LONG_ONE_IN: u32 = 20;

/// How long the nemesis waits between two faults.
const GAP_MS: Range<u64> = 10..200;

/// How much longer a fault lasts that has not affected anything yet.
const PROLONGATION: Duration = Duration::from_millis(50);

/// The speed of a slow cable in bits a second. A request has 600 bits with all its headers, so this is 25 to 400
/// packets a second.
const SLOW_BITS_PER_SECOND: Range<u32> = 16_000..256_000;

/// How many lines of the journal a failed run shows.
const JOURNAL_LINES_SHOWN: usize = 60;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// Packets from one host to another are lost, and those back are not.
    OneWayDrop,
    /// The same between two servers, for so long that they close their connection.
    Silence,
    /// Two halves, each with a server, lose all packets between them.
    Partition,
    /// Some packets from and to a server are lost.
    Loss,
    /// Two hosts are told that their connections are broken.
    Reset,
    /// Packets to a server wait for each other.
    SlowCable,
    /// A server is paused.
    Pause,
    /// A server is killed, and perhaps again while it starts.
    Kill,
    /// A server is stopped, as an operator would do it.
    Stop,
}

/// The faults of each round.
const ROUND: [FaultKind; 17] = [
    FaultKind::OneWayDrop,
    FaultKind::OneWayDrop,
    FaultKind::Partition,
    FaultKind::Partition,
    FaultKind::Loss,
    FaultKind::Loss,
    FaultKind::Reset,
    FaultKind::Reset,
    FaultKind::SlowCable,
    FaultKind::SlowCable,
    FaultKind::Pause,
    FaultKind::Pause,
    FaultKind::Kill,
    FaultKind::Kill,
    FaultKind::Stop,
    FaultKind::Stop,
    FaultKind::Silence,
];

/// How often a kind of fault was in force, and how many packets or processes it has affected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// How often it was in force.
    pub times: u64,
    /// How many packets were dropped, answered with a reset or delayed, or how many processes were paused or ended.
    pub met: u64,
}

/// Everything that was done to a cluster.
#[derive(Clone, Debug, Default)]
pub struct Deeds(pub BTreeMap<FaultKind, Applied>);

impl Deeds {
    /// How often these kinds were in force, added up.
    pub fn times(&self, kinds: &[FaultKind]) -> u64 {
        kinds.iter().map(|kind| self.0[kind].times).sum()
    }
}

impl fmt::Display for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, applied) in &self.0 {
            let Applied { times, met } = applied;
            let kind = format!("{kind:?}");
            writeln!(f, "{kind:<18}  {times} times, met {met}")?;
        }
        Ok(())
    }
}

/// The actions of the nemesis, shown when the test fails.
#[derive(Debug)]
pub struct Journal {
    begun: Instant,
    lines: Mutex<Vec<String>>,
}

impl Journal {
    /// An empty journal.
    pub fn begin() -> Journal {
        Journal {
            begun: Instant::now(),
            lines: Mutex::new(Vec::new()),
        }
    }

    fn note(&self, what: &str) {
        let at = self.begun.elapsed().as_secs_f64();
        self.lines.lock().unwrap().push(format!("{at:8.3} {what}"));
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if thread::panicking() {
            let lines = self.lines.lock().unwrap();
            let shown = &lines[lines.len().saturating_sub(JOURNAL_LINES_SHOWN)..];
            println!("the last actions of the nemesis:\n{}", shown.join("\n"));
        }
    }
}

/// A fault that is in force.
#[derive(Debug)]
struct Active {
    kind: FaultKind,
    ends: Instant,
    what: What,
}

#[derive(Debug)]
enum What {
    OfNetwork(Fault),
    SlowCable(usize),
    Held(usize),
    Down(usize),
}

/// The servers are on the first hosts, one on each. The clients are on the others.
#[derive(Debug)]
pub struct Nemesis<'a> {
    network: Network,
    servers: &'a mut [Server],
    hosts: usize,
    rng: Rng,
    journal: &'a Journal,
    active: Vec<Active>,
    deeds: Deeds,
}

impl<'a> Nemesis<'a> {
    /// A nemesis that has done nothing yet.
    pub fn new(
        network: Network,
        servers: &'a mut [Server],
        hosts: usize,
        rng: Rng,
        journal: &'a Journal,
    ) -> Nemesis<'a> {
        Nemesis {
            network,
            servers,
            hosts,
            rng,
            journal,
            active: Vec::new(),
            deeds: Deeds(
                ROUND
                    .iter()
                    .map(|kind| (*kind, Applied::default()))
                    .collect(),
            ),
        }
    }

    /// Does this many rounds, each with every kind of fault. At the end everything is healed, and every server runs.
    pub fn rage(mut self, rounds: usize) -> Deeds {
        for round in 1..=rounds {
            let mut kinds = ROUND;
            self.rng.shuffle(&mut kinds);
            if rounds == 1 {
                // A silence lasts as long as all other faults together.
                let silence = kinds.iter().position(|kind| *kind == FaultKind::Silence);
                kinds.swap(0, silence.unwrap());
            }
            for kind in kinds {
                self.make_room(kind);
                let lasts = self.duration(kind, rounds > 1);
                self.begin(kind, lasts);
                let gap = Duration::from_millis(self.rng.u64(GAP_MS));
                self.pass(gap);
            }
            if rounds > 1 {
                println!("round {round} of {rounds}");
            }
        }
        while !self.active.is_empty() {
            self.pass(PROLONGATION);
        }
        self.journal.note("healed");
        self.deeds
    }

    fn duration(&mut self, kind: FaultKind, may_be_long: bool) -> Duration {
        let long = may_be_long && self.rng.u32(..LONG_ONE_IN) == 0;
        let at_least = match long || kind == FaultKind::Silence {
            true => PEER_SILENCE_MIN,
            false => Duration::ZERO,
        };
        at_least + Duration::from_millis(self.rng.u64(LASTS_MS))
    }

    /// Waits until there is room for one more fault of this kind.
    fn make_room(&mut self, kind: FaultKind) {
        let is_of_server = matches!(kind, FaultKind::Pause | FaultKind::Kill | FaultKind::Stop);
        let slow_already = |active: &Active| matches!(active.what, What::SlowCable(_));
        loop {
            let is_full = self.active.len() >= AT_ONCE_MAX
                || is_of_server && self.running().is_empty()
                || kind == FaultKind::SlowCable && self.active.iter().any(slow_already);
            if !is_full {
                return;
            }
            self.pass(PROLONGATION);
        }
    }

    /// Lets time pass, and ends the faults that have lasted long enough.
    fn pass(&mut self, time: Duration) {
        thread::sleep(time);
        let now = Instant::now();
        for index in (0..self.active.len()).rev() {
            let active = &self.active[index];
            if now < active.ends {
                continue;
            }
            let met = match &active.what {
                What::OfNetwork(fault) => self.network.hits(fault),
                What::SlowCable(host) => hosts::waits(*host),
                What::Held(_) | What::Down(_) => 1,
            };
            if met > 0 {
                let active = self.active.swap_remove(index);
                self.end(active, met);
            } else {
                assert!(
                    now < active.ends + PATIENCE,
                    "a fault affects nothing: {active:?}"
                );
            }
        }
    }

    fn begin(&mut self, kind: FaultKind, lasts: Duration) {
        let servers = self.servers.len();
        let what = match kind {
            FaultKind::OneWayDrop => {
                let (from, to) = self.two_hosts();
                self.treat(&[(from, to)], Treatment::Drop)
            }
            FaultKind::Silence => {
                let from = self.rng.usize(..servers);
                let to = (from + self.rng.usize(1..servers)) % servers;
                self.treat(&[(from, to)], Treatment::Drop)
            }
            FaultKind::Partition => {
                let mut side: Vec<bool> = (0..self.hosts).map(|_| self.rng.bool()).collect();
                // Each half has a server.
                let one = self.rng.usize(..servers);
                side[one] = true;
                side[(one + self.rng.usize(1..servers)) % servers] = false;
                let ways: Vec<(usize, usize)> = (0..self.hosts)
                    .flat_map(|from| (0..self.hosts).map(move |to| (from, to)))
                    .filter(|(from, to)| side[*from] != side[*to])
                    .collect();
                self.treat(&ways, Treatment::Drop)
            }
            FaultKind::Loss => {
                let server = self.rng.usize(..servers);
                let ways: Vec<(usize, usize)> = (0..self.hosts)
                    .filter(|host| *host != server)
                    .flat_map(|host| [(host, server), (server, host)])
                    .collect();
                let percent = self.rng.u32(10..60);
                self.treat(&ways, Treatment::Lose(percent))
            }
            FaultKind::Reset => {
                let (one, other) = self.two_hosts();
                self.treat(&[(one, other), (other, one)], Treatment::Reset)
            }
            FaultKind::SlowCable => {
                let server = self.rng.usize(..servers);
                hosts::slow(server, self.rng.u32(SLOW_BITS_PER_SECOND));
                What::SlowCable(server)
            }
            FaultKind::Pause => {
                let server = self.a_running_one();
                self.servers[server].signal("STOP");
                What::Held(server)
            }
            FaultKind::Kill => {
                let server = self.a_running_one();
                self.servers[server].kill();
                if self.rng.bool() {
                    let lives_for = Duration::from_micros(self.rng.u64(..20_000));
                    self.servers[server].start_in_vain_under(&hosts::runner(server), lives_for);
                }
                What::Down(server)
            }
            FaultKind::Stop => {
                let server = self.a_running_one();
                self.servers[server].signal("TERM");
                let code = self.servers[server].wait().code();
                assert_eq!(code, Some(0), "{}", self.servers[server].log());
                What::Down(server)
            }
        };
        self.journal
            .note(&format!("{kind:?} begins for {lasts:?}: {what:?}"));
        self.active.push(Active {
            kind,
            ends: Instant::now() + lasts,
            what,
        });
    }

    fn treat(&mut self, ways: &[(usize, usize)], treatment: Treatment) -> What {
        let fault = self.network.treat(ways, treatment);
        self.journal
            .note(&format!("{treatment:?} on {ways:?}: {fault:?}"));
        What::OfNetwork(fault)
    }

    fn end(&mut self, active: Active, met: u64) {
        match &active.what {
            What::OfNetwork(fault) => self.network.lift(fault),
            What::SlowCable(host) => hosts::quicken(*host),
            What::Held(server) => self.servers[*server].signal("CONT"),
            What::Down(server) => self.servers[*server].restart_under(&hosts::runner(*server)),
        }
        let applied = self.deeds.0.entry(active.kind).or_default();
        applied.times += 1;
        applied.met += met;
        self.journal.note(&format!(
            "{:?} ends, met {met}: {:?}",
            active.kind, active.what
        ));
    }

    /// The servers that are neither paused nor down.
    fn running(&self) -> Vec<usize> {
        let is_running = |server: &usize| {
            !self.active.iter().any(|active| {
                matches!(active.what, What::Held(other) | What::Down(other) if other == *server)
            })
        };
        (0..self.servers.len()).filter(is_running).collect()
    }

    fn a_running_one(&mut self) -> usize {
        let running = self.running();
        running[self.rng.usize(..running.len())]
    }

    /// Two different hosts. One of them has a server, because clients do not speak with each other.
    fn two_hosts(&mut self) -> (usize, usize) {
        let server = self.rng.usize(..self.servers.len());
        let other = (server + self.rng.usize(1..self.hosts)) % self.hosts;
        match self.rng.bool() {
            true => (server, other),
            false => (other, server),
        }
    }
}
