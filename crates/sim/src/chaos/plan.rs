//! What a seed draws before the run begins: the cluster, its clients, the faults, and when each of them strikes.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use fastrand::Rng;
use ipseity::{
    limits::{
        HTTP_CONNECTIONS_MAX, IDLE_MIN, JOIN_TIMEOUT_DEFAULT, READ_BYTES_MAX, RESERVE_TIMEOUT,
        SPIN_DEFAULT, SPIN_MAX,
    },
    trust::TrustOptions,
};
use ipseity_core::{
    actor::{Budgets, JoinMode},
    identity::Sequence,
    limits::{ADVANCE_MAX_DEFAULT, AFTER_BURST_DEFAULT, PEER_BURST_DEFAULT},
    time::Instant,
};

use super::{
    calls::FloodKind,
    etcd_plan::{self, EtcdPlan, InEtcd, VOTERS_MIN},
    fault::{Fault, Faults, HTTP_PER_MILLE, chance, stream},
    starts::{self, is_about_starts},
};
use crate::world::{DiskFault, WriteFate, address};

/// When the world begins.
pub const BEGIN: Instant = Instant::from_nanos(1_000_000_000);

/// When the faults end at the latest, in milliseconds after [`BEGIN`], and when they do in a seed about starts.
const FAULTS_MS: u64 = 22_000;
const STARTS_MS: u64 = 10_000;

/// The shortest time of a scan. It is long enough for the ids of connections to repeat.
pub const SCAN_MIN: Duration = Duration::from_millis(2500);

/// How long somebody holds connections at least. By then those that say nothing have long been idle.
pub const HOLD_MIN: Duration = IDLE_MIN.saturating_mul(4);

/// How long a crowd comes at least. By then the first of it have been in the reserve for as long as they may.
pub const PUSH_MIN: Duration = RESERVE_TIMEOUT.saturating_mul(2);

/// For how many connections beyond the places there are descriptors, where there are few: from a few operators and peers
/// to a whole reserve.
const DESCRIPTORS_BEYOND: std::ops::Range<usize> = 8..80;

/// One server.
#[derive(Clone, Debug)]
pub struct ServerPlan {
    pub pid: u16,
    pub peers: Vec<String>,
    pub speed_ppm: u64,
    /// How many peers must accept its starts.
    pub join: JoinMode,
    pub sync_interval: Duration,
    pub latency: Duration,
    pub connections_max: usize,
    /// How many connections by HTTP have a place.
    pub http_max: usize,
    /// How many accepted connections there are file descriptors for.
    pub descriptors_max: Option<usize>,
    /// The `--max-connections-per-address`.
    pub per_address_max: Option<usize>,
    /// Whether idle clients make room.
    pub closes_idle: bool,
    /// The most that it reads from one connection at a time. A sync message of this cluster has 100 bytes, or 132
    /// with a life that is remembered. So with such a limit a read ends exactly where the message of a peer ends.
    pub read_bytes_max: usize,
    /// The `--recover-above` of the first start, near the end of the sequence.
    pub recover_above: Option<Sequence>,
    /// It believes each address of a server, and not only those that it names.
    pub believes_servers: bool,
    pub trusts_loopback: bool,
    /// Its pid is in etcd.
    pub etcd: Option<InEtcd>,
}

/// Where clients come from: the third byte of their addresses. [`ServerPlan::trust`] says what each means.
pub const STRANGERS: u8 = 0;
pub const BELIEVED: u8 = 100;
pub const LIARS: u8 = 101;
pub const OPERATORS: u8 = 200;
pub const FOREIGN_PEERS: u8 = 201;
pub const FOREIGN_OPERATORS: u8 = 202;

/// What the address of a client says about it.
fn kind_of(address: IpAddr) -> Option<u8> {
    match address.to_canonical() {
        IpAddr::V4(ip) => match ip.octets() {
            [192, 168, kind, _] => Some(kind),
            _ => None,
        },
        IpAddr::V6(_) => None,
    }
}

impl ServerPlan {
    /// To how many addresses its names may lead, with one at which nobody listens.
    pub fn addresses_max(&self, servers: usize) -> usize {
        match self.peers.iter().any(|peer| peer == NAME_OF_ALL) {
            true => servers + 1,
            false => 2 * self.peers.len(),
        }
    }

    /// Whether operators may come from there.
    pub fn takes_operators(&self, address: IpAddr) -> bool {
        let kind = kind_of(address);
        kind.is_some_and(|kind| [OPERATORS, FOREIGN_OPERATORS].contains(&kind))
    }

    /// Whether peers may come from there, whoever they are.
    pub fn takes_peers(&self, address: IpAddr) -> bool {
        let is_server =
            matches!(address.to_canonical(), IpAddr::V4(ip) if ip.octets()[..3] == [10, 0, 0]);
        let kind = kind_of(address);
        is_server && self.believes_servers
            || kind.is_some_and(|kind| [BELIEVED, FOREIGN_PEERS, FOREIGN_OPERATORS].contains(&kind))
    }

    /// Whom it believes.
    pub fn trust(&self) -> TrustOptions {
        let clients = |kind: u8| format!("192.168.{kind}.0/24");
        let networks = |texts: &[String]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let mut peers = [BELIEVED, FOREIGN_PEERS, FOREIGN_OPERATORS]
            .map(clients)
            .to_vec();
        if self.believes_servers {
            peers.push("10.0.0.0/24".to_owned());
        }
        TrustOptions {
            loopback: self.trusts_loopback,
            operators: networks(&[OPERATORS, FOREIGN_OPERATORS].map(clients)),
            peers: networks(&peers),
        }
    }
}

/// How a client behaves. A number without a comment is how often it does this, of 1000 cases.
#[derive(Clone, Debug, Default)]
pub struct ClientPlan {
    /// The mean wait between two requests.
    pub think: Duration,
    pub batch_max: usize,
    pub count_max: u32,
    /// Whether it sends its newest identity as `after`.
    pub carries: bool,
    pub statuses: u32,
    pub garbage: u32,
    pub unfinished: u32,
    pub half_close: u32,
    pub leave: u32,
    pub unread: u32,
    pub repeat: u32,
    pub stranger: u32,
    pub after: u32,
    pub operator: u32,
    /// Whether it comes from an address from which the servers take operators.
    pub is_trusted: bool,
    /// Whether it comes from an address from which the servers take peers.
    pub is_believed: bool,
    /// Whether it opens a new connection for each batch and keeps the old ones.
    pub crowds: bool,
    /// It speaks HTTP.
    pub by_http: bool,
    /// Sends its requests in two pieces.
    pub pieces: u32,
    /// Says nothing for a while.
    pub silent: u32,
}

impl ClientPlan {
    /// Whether servers show it which lives they are in.
    pub fn sees_lives(&self) -> bool {
        self.is_trusted || self.is_believed
    }
}

/// What is done to the cluster.
#[derive(Clone, Debug)]
pub enum Act {
    /// A process dies, or a machine loses power. `downtime` is what happens before the next start.
    Crash {
        server: usize,
        power: bool,
        fate: WriteFate,
        downtime: Downtime,
    },
    /// A clean stop, perhaps with a second signal.
    Stop {
        server: usize,
        again: Option<Duration>,
        downtime: Downtime,
    },
    Pause {
        server: usize,
        wait: Duration,
    },
    Disk {
        server: usize,
        fault: DiskFault,
    },
    /// Half of the hosts do not reach the others.
    Partition {
        seed: u64,
        both_ways: bool,
        wait: Duration,
    },
    Unreachable {
        server: usize,
        hangs: bool,
        wait: Duration,
    },
    Lookup {
        kind: u32,
        wait: Duration,
    },
    Accept {
        server: usize,
        wait: Duration,
    },
    /// A copy of a directory is started too.
    Copy {
        server: usize,
        meanwhile: Meanwhile,
    },
    /// A new directory with the pid of another server is started.
    WrongPid {
        server: usize,
    },
    /// A second server is started on the same directory.
    Share {
        server: usize,
        start: Beside,
    },
    /// A copy of a directory is kept for later.
    Backup {
        server: usize,
    },
    Replay {
        seed: u64,
    },
    /// Somebody from an address that no peer has says that it is one.
    Claim {
        server: usize,
        seed: u64,
    },
    /// Somebody who is believed claims a boot that no server can have come to.
    BootJump {
        seed: u64,
    },
    /// Somebody floods a server for this long.
    Flood {
        server: usize,
        wait: Duration,
        kind: FloodKind,
    },
    /// Nobody reads the log of a server for this long.
    LogStalls {
        server: usize,
        wait: Duration,
    },
    /// A backup of etcd is made.
    BackUpEtcd,
    /// It takes the place of etcd.
    RestoreEtcd(Restore),
}

/// How etcd is restored.
#[derive(Clone, Copy, Debug)]
pub struct Restore {
    /// All servers that use it are stopped before, as docs/etcd.md says. If not, those that run find out themselves.
    pub stops_first: bool,
    /// It has another number afterwards, as it has where its members have other names.
    pub is_renamed: bool,
    /// When an operator says above which sequence the pids begin.
    pub operator_after: Duration,
}

impl Act {
    /// Its class of faults, if it has one and it is not counted elsewhere.
    pub fn fault(&self) -> Option<Fault> {
        Some(match self {
            Act::Crash { power: true, .. } => Fault::PowerLoss,
            Act::Crash { .. } => Fault::Kill,
            Act::Stop { .. } => Fault::Stop,
            Act::Pause { .. } => Fault::Pause,
            Act::Unreachable { .. } => Fault::Unreachable,
            Act::Lookup { .. } => Fault::Lookup,
            Act::Accept { .. } => Fault::Accept,
            Act::LogStalls { .. } => Fault::LogStalls,
            Act::Copy { .. } => Fault::Copy,
            Act::WrongPid { .. } => Fault::WrongPid,
            Act::Share { .. } => Fault::SharedDirectory,
            Act::Disk { .. }
            | Act::Partition { .. }
            | Act::Backup { .. }
            | Act::Replay { .. }
            | Act::Claim { .. }
            | Act::BootJump { .. }
            | Act::Flood { .. }
            | Act::BackUpEtcd
            | Act::RestoreEtcd(_) => {
                return None;
            }
        })
    }
}

/// When a second server on a directory starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// While the first one runs.
    Later,
    /// It reads the directory, and writes only after this long.
    Slowly(Duration),
    /// At the same moment as the first one, which is started again.
    AtOnce,
}

/// What the server does whose directory is copied, while the copy starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// It runs.
    Runs,
    /// It is started at the same moment, after its process was ended.
    Starts,
    /// It is paused for this long.
    Pauses(Duration),
    /// It reaches nobody for this long.
    IsCutOff(Duration),
    /// It runs, and the copy reaches nobody for this long.
    CopyIsCutOff(Duration),
}

/// What happens to a directory while no server runs on it.
#[derive(Clone, Debug, Default)]
pub struct Downtime {
    pub wait: Duration,
    /// Bits that rot: the block and the place in it.
    pub rot: Vec<(usize, usize)>,
    pub amnesia: bool,
    /// The start is cut short after this many writes.
    pub cut_short: Option<(u32, WriteFate)>,
    pub loss: DirectoryLoss,
    /// Whether an operator vouches for the restored directory, with `--recover-above`.
    pub recovers: bool,
}

/// What becomes of the directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirectoryLoss {
    #[default]
    Nothing,
    Lost,
    RolledBack,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub faults: Faults,
    pub servers: Vec<ServerPlan>,
    /// The etcd in which the pids of some servers are.
    pub etcd: Option<EtcdPlan>,
    pub clients: Vec<ClientPlan>,
    pub count_max: u32,
    pub advance_max: u64,
    pub budgets: Budgets,
    /// How long a start waits for its peers.
    pub join_timeout: Duration,
    /// The servers tell each other where they can be dialed, so each asks those that it remembers, too.
    pub advertises: bool,
    /// The `--reserve` of all servers.
    pub reserve: Duration,
    /// How long a turn takes.
    pub turn: Duration,
    /// How long a server may look again before it sleeps.
    pub spin: Option<Duration>,
    /// When the faults end.
    pub end: Instant,
    pub acts: Vec<(Instant, Act)>,
    /// Whether little else than starts happens.
    pub is_about_starts: bool,
    /// Whether the run waits until all servers have logged how many lines they left out in a flood. Few seeds take
    /// that time.
    pub lingers: bool,
}

impl Plan {
    /// Draws everything. `allowed` masks faults off, and the faults end at `end_max` at the latest.
    pub fn new(seed: u64, allowed: Faults, end_max: Option<Instant>) -> Plan {
        let mut rng = stream(seed, 0);
        let drawn = draw_faults(seed, rng.u32(100..500));
        let faults = drawn.and(allowed);
        let faults = etcd_plan::faults(seed, faults);
        let mut servers = draw_servers(seed, &mut rng, faults);
        let etcd = etcd_plan::draw(seed, servers.len(), faults).map(|drawn| {
            let with_disks = drawn.servers.iter().filter(|own| own.is_none()).count();
            for (server, own) in servers.iter_mut().zip(drawn.servers) {
                if let Some((pid, in_etcd)) = own {
                    (server.pid, server.etcd) = (pid.get(), Some(in_etcd));
                    server.join = JoinMode::Prefer;
                } else if let JoinMode::Majority { cluster_size } = &mut server.join {
                    // Servers in etcd have no vote.
                    match with_disks < VOTERS_MIN {
                        true => server.join = JoinMode::Prefer,
                        false => *cluster_size = with_disks,
                    }
                }
            }
            drawn.etcd
        });
        let mut plan = Plan {
            seed,
            faults,
            etcd,
            clients: Vec::new(),
            count_max: *rng.choice(&[10, 100, 1000]).unwrap(),
            advance_max: ADVANCE_MAX_DEFAULT,
            budgets: Budgets {
                after_burst: AFTER_BURST_DEFAULT,
                // So much that no peer is refused, not even after many restarts: each gives a smaller part of it.
                peer_burst: PEER_BURST_DEFAULT << 6,
                // Enough that no client is refused for long.
                rate_per_second: 1 << 32,
            },
            reserve: Duration::from_millis(
                *stream(seed, 3)
                    .choice(&[100, 1000, 1000, 10_000, 60_000])
                    .unwrap(),
            ),
            // Often short, or the faults would end before anybody has waited that long in vain.
            join_timeout: *stream(seed, 6)
                .choice(&[Duration::from_secs(3), JOIN_TIMEOUT_DEFAULT])
                .unwrap(),
            is_about_starts: is_about_starts(seed),
            advertises: stream(seed, 7).bool(),
            turn: Duration::from_nanos(rng.u64(500..30_000)),
            // Long enough that some clients send meanwhile.
            spin: *stream(seed, 10)
                .choice(&[None, Some(SPIN_DEFAULT), Some(SPIN_MAX)])
                .unwrap(),
            end: BEGIN.after(Duration::from_millis(match is_about_starts(seed) {
                true => rng.u64(5_000..STARTS_MS),
                false => rng.u64(5_000..FAULTS_MS),
            })),
            acts: Vec::new(),
            lingers: faults.has(Fault::Flood) && seed.is_multiple_of(4),
            servers,
        };
        if faults.has(Fault::Budget) {
            let mut rng = stream(seed, 2);
            plan.advance_max = *rng.choice(&[5_000, 1 << 20, 1 << 40]).unwrap();
            plan.budgets = Budgets {
                after_burst: *rng.choice(&[0, 10_000, 1 << 21]).unwrap(),
                peer_burst: *rng.choice(&[20_000, 1 << 22, 1 << 40]).unwrap(),
                rate_per_second: *rng.choice(&[0, 1000, 100_000]).unwrap(),
            };
        }
        plan.end = end_max.map_or(plan.end, |end| end.min(plan.end));
        plan.draw_clients(&mut rng);
        for fault in faults.iter() {
            plan.draw_acts(fault, &mut stream(seed, 200 + fault as u64));
        }
        plan.acts.sort_by_key(|(at, _)| *at);
        plan
    }

    /// The faults that are there from the beginning.
    pub fn standing_faults(&self) -> Vec<Fault> {
        let mut standing = self.faults.iter().collect::<Vec<_>>();
        standing.retain(|fault| match fault {
            Fault::Clock
            | Fault::Crowd
            | Fault::Http
            | Fault::Oneself
            | Fault::Budget
            | Fault::Exhaustion
            | Fault::Tls => true,
            Fault::Require => self.joins_as(|mode| mode == JoinMode::Require),
            Fault::Majority => self.joins_as(|mode| matches!(mode, JoinMode::Majority { .. })),
            Fault::FullRead => {
                let is_small = |server: &ServerPlan| server.read_bytes_max < READ_BYTES_MAX;
                self.servers.iter().any(is_small)
            }
            _ => false,
        });
        standing
    }

    fn joins_as(&self, is_it: impl Fn(JoinMode) -> bool) -> bool {
        self.servers.iter().any(|server| is_it(server.join))
    }

    fn draw_clients(&mut self, rng: &mut Rng) {
        let count = match self.is_about_starts {
            true => rng.usize(1..=2),
            false => rng.usize(1..=5),
        };
        let count = count + if self.faults.has(Fault::Crowd) { 3 } else { 0 };
        for index in 0..count {
            let mut rng = stream(self.seed, 300 + index as u64);
            let mut plan = ClientPlan {
                think: match self.is_about_starts {
                    true => Duration::from_millis(*rng.choice(&[20, 60, 200]).unwrap()),
                    false => Duration::from_millis(*rng.choice(&[3, 20, 60, 200, 500]).unwrap()),
                },
                batch_max: *rng.choice(&[1, 1, 4, 20]).unwrap(),
                count_max: *rng.choice(&[1, 1, 5, self.count_max]).unwrap(),
                carries: rng.bool(),
                statuses: rng.u32(0..100),
                ..ClientPlan::default()
            };
            let faults = self.faults;
            let mut some = |fault, most: u32| {
                let drawn = if rng.bool() { rng.u32(1..=most) } else { 0 };
                if faults.has(fault) { drawn } else { 0 }
            };
            plan.garbage = some(Fault::Garbage, 150);
            plan.unfinished = some(Fault::Unfinished, 150);
            plan.half_close = some(Fault::HalfClose, 300);
            plan.leave = some(Fault::Leave, 300);
            plan.unread = some(Fault::Unread, 200);
            plan.repeat = some(Fault::Repeat, 300);
            plan.stranger = some(Fault::Stranger, 200);
            plan.after = some(Fault::After, 200);
            plan.operator = some(Fault::Operator, 100);
            plan.crowds = some(Fault::Crowd, 2) > 0;
            plan.is_trusted = plan.operator > 0 && rng.bool();
            plan.is_believed = plan.stranger > 0 && stream(self.seed, 700 + index as u64).bool();
            self.clients.push(plan);
        }
        self.draw_web_clients();
    }

    /// Those who speak HTTP stand behind the others, so that the others are as they would be without them.
    fn draw_web_clients(&mut self) {
        let mut rng = stream(self.seed, 800);
        let count = match self.faults.has(Fault::Http) {
            false => 0,
            true if self.faults.has(Fault::Crowd) => rng.usize(2..=4),
            true => rng.usize(1..=2),
        };
        for _ in 0..count {
            let mut plan = ClientPlan {
                think: Duration::from_millis(*rng.choice(&[20, 100, 200, 500]).unwrap()),
                batch_max: *rng.choice(&[1, 1, 4, 10]).unwrap(),
                count_max: *rng.choice(&[1, 1, 5, self.count_max.min(100)]).unwrap(),
                carries: rng.bool(),
                by_http: true,
                pieces: rng.u32(..300),
                silent: rng.u32(..50),
                ..ClientPlan::default()
            };
            let faults = self.faults;
            let mut some = |fault, most: u32| {
                let drawn = rng.u32(1..=most);
                if faults.has(fault) { drawn } else { 0 }
            };
            plan.garbage = some(Fault::Garbage, 100);
            plan.unfinished = some(Fault::Unfinished, 100);
            plan.half_close = some(Fault::HalfClose, 200);
            plan.leave = some(Fault::Leave, 200);
            plan.unread = some(Fault::Unread, 200);
            plan.after = some(Fault::After, 200);
            self.clients.push(plan);
        }
    }

    /// In a seed about starts, what else happens is aimed at the server whose directory is copied.
    fn meanwhile(&self, draws: &[u64]) -> Meanwhile {
        let wait = Duration::from_millis(2_200 + draws[2] % 4_000);
        let hinders = |fault| self.is_about_starts && self.faults.has(fault);
        match draws[1] % 4 {
            0 => Meanwhile::Starts,
            1 => Meanwhile::Runs,
            _ if hinders(Fault::Pause) => Meanwhile::Pauses(wait),
            2 if hinders(Fault::Partition) => Meanwhile::IsCutOff(wait),
            // Long enough that it may serve without an answer.
            _ if hinders(Fault::Partition) => Meanwhile::CopyIsCutOff(wait * 2),
            _ => Meanwhile::Runs,
        }
    }

    /// Plans what has to be done so long before a moment.
    fn act_before(&mut self, at: Instant, before: Duration, act: Act) {
        let at = Instant::START.after(at.since(Instant::START).saturating_sub(before));
        self.acts.push((at.max(BEGIN), act));
    }

    fn draw_acts(&mut self, fault: Fault, rng: &mut Rng) {
        let count = match fault {
            Fault::Copy | Fault::WrongPid | Fault::SharedDirectory | Fault::Scan => 1,
            Fault::Restore => etcd_plan::restores(self.seed),
            Fault::Lost
            | Fault::Rollback
            | Fault::PerAddress
            | Fault::CloseIdle
            | Fault::Reserve => rng.usize(1..=2),
            Fault::Rot | Fault::KillInStart | Fault::Amnesia => rng.usize(1..=4),
            _ => rng.usize(1..=6),
        };
        let servers = self.servers.len();
        for number in 0..count {
            // Drawn from the whole range, so that an earlier end does not change the rest.
            let until = match self.is_about_starts {
                true => STARTS_MS,
                false => FAULTS_MS,
            };
            let at = BEGIN.after(Duration::from_millis(rng.u64(300..until)));
            let server = rng.usize(..servers);
            let wait = Duration::from_millis(match rng.u32(..4) {
                0 => rng.u64(1..100),
                1 | 2 => rng.u64(100..1500),
                _ => rng.u64(1500..7000),
            });
            let fate = match rng.u32(..3) {
                0 => WriteFate::Old,
                1 => WriteFate::New,
                _ => WriteFate::Torn(within_a_block(rng)),
            };
            let draws: [u64; 4] = std::array::from_fn(|_| rng.u64(..));
            let coin = draws[0].is_multiple_of(2);
            let downtime = Downtime {
                wait,
                ..Downtime::default()
            };
            let flood = |kind, wait| Act::Flood { server, wait, kind };
            let crash = |downtime| Act::Crash {
                server,
                power: coin,
                fate,
                downtime,
            };
            let mut backup = None;
            let act = match fault {
                // When only the process dies, no write is torn: the machine goes on.
                Fault::Kill => Act::Crash {
                    server,
                    power: false,
                    fate: if coin { WriteFate::Old } else { WriteFate::New },
                    downtime,
                },
                Fault::PowerLoss => Act::Crash {
                    server,
                    power: true,
                    fate,
                    downtime,
                },
                Fault::KillInStart => crash(Downtime {
                    cut_short: Some((draws[1] as u32 % 6, fate)),
                    ..downtime
                }),
                Fault::Rot => crash(Downtime {
                    rot: rotten(&draws[1..]),
                    ..downtime
                }),
                Fault::Amnesia => crash(Downtime {
                    amnesia: true,
                    ..downtime
                }),
                Fault::Lost => crash(Downtime {
                    loss: DirectoryLoss::Lost,
                    recovers: draws[1].is_multiple_of(2),
                    ..downtime
                }),
                Fault::Rollback => {
                    backup = Some(Duration::from_millis(300 + draws[2] % 9000));
                    crash(Downtime {
                        loss: DirectoryLoss::RolledBack,
                        recovers: draws[1].is_multiple_of(2),
                        ..downtime
                    })
                }
                Fault::Stop => Act::Stop {
                    server,
                    again: None,
                    downtime,
                },
                Fault::Force => Act::Stop {
                    server,
                    again: Some(Duration::from_millis(draws[1] % 1500)),
                    downtime,
                },
                Fault::Pause => Act::Pause { server, wait },
                Fault::DiskFails => Act::Disk {
                    server,
                    fault: DiskFault::Fails(draws[1] as u32 % 4, fate),
                },
                Fault::DiskHangs => Act::Disk {
                    server,
                    fault: DiskFault::Hangs(wait * 2),
                },
                Fault::SaveFails => Act::Disk {
                    server,
                    fault: DiskFault::SaveFails,
                },
                Fault::Partition => Act::Partition {
                    seed: draws[1],
                    both_ways: coin,
                    wait: wait * 2,
                },
                Fault::Unreachable => Act::Unreachable {
                    server,
                    hangs: coin,
                    wait,
                },
                Fault::Lookup => Act::Lookup {
                    kind: draws[1] as u32 % 3,
                    wait,
                },
                Fault::Accept => Act::Accept { server, wait },
                Fault::Copy => Act::Copy {
                    server,
                    meanwhile: self.meanwhile(&draws),
                },
                Fault::WrongPid => Act::WrongPid { server },
                Fault::SharedDirectory => Act::Share {
                    server,
                    start: match draws[1] % 3 {
                        0 => Beside::Later,
                        1 => Beside::Slowly(wait),
                        _ => Beside::AtOnce,
                    },
                },
                Fault::Replay => Act::Replay { seed: draws[1] },
                Fault::Claim => Act::Claim {
                    server,
                    seed: draws[1],
                },
                Fault::BootJump => Act::BootJump { seed: draws[1] },
                Fault::Flood => flood(FloodKind::Peer, wait),
                Fault::Looks => flood(FloodKind::Looks, wait),
                Fault::Refusals => flood(FloodKind::Refusals, wait),
                Fault::Scan => flood(FloodKind::Scan, wait.max(SCAN_MIN)),
                Fault::PerAddress | Fault::CloseIdle => flood(FloodKind::Hold, wait.max(HOLD_MIN)),
                Fault::Reserve => flood(FloodKind::Push { by_http: coin }, wait.max(PUSH_MIN)),
                Fault::LogStalls => Act::LogStalls { server, wait },
                Fault::Restore => {
                    // Some of the later ones take the same backup again.
                    let has_own = number == 0 || (draws[2] / 2).is_multiple_of(2);
                    let before = Duration::from_millis(match draws[1] % 3 {
                        // Etcd was only moved, and nothing was written since.
                        0 => 1,
                        _ => 300 + draws[1] % 6_000,
                    });
                    if has_own {
                        self.act_before(at, before, Act::BackUpEtcd);
                    }
                    Act::RestoreEtcd(Restore {
                        stops_first: coin,
                        is_renamed: draws[2].is_multiple_of(2),
                        operator_after: Duration::from_millis(draws[3] % 8_000),
                    })
                }
                // The other faults are part of how clients, servers and the network behave.
                _ => return,
            };
            if let Some(before) = backup {
                self.act_before(at, before, Act::Backup { server });
            }
            if at < self.end {
                self.acts.push((at, act));
            }
        }
    }
}

/// A place in a block. Half of the time it is among the first fields, the only part that is not empty.
fn within_a_block(rng: &mut Rng) -> usize {
    let (near, far) = (rng.usize(32..96), rng.usize(1..4096));
    if rng.bool() { near } else { far }
}

/// Mostly one block, sometimes more, never all of them: then no start would be possible.
fn rotten(draws: &[u64]) -> Vec<(usize, usize)> {
    let blocks = match draws[0] % 10 {
        0..7 => 1,
        7 | 8 => 2,
        _ => 3,
    };
    let first = draws[1] as usize;
    (0..blocks)
        .map(|index| {
            let byte = within_a_block(&mut Rng::with_seed(draws[2]));
            ((first + index) % 4, byte * 8 + draws[2] as usize % 8)
        })
        .collect()
}

/// Some seeds have nearly all faults and some have few. Rare mixes need both.
fn draw_faults(seed: u64, density: u32) -> Faults {
    if is_about_starts(seed) {
        return starts::faults(seed);
    }
    let mut faults = Faults::NONE;
    for fault in Fault::ALL {
        // A fault that takes a server out for good would hide the other faults.
        let density = match fault {
            Fault::Copy
            | Fault::WrongPid
            | Fault::Lost
            | Fault::Rollback
            | Fault::SharedDirectory
            | Fault::Exhaustion => density / 3,
            // A handshake takes as long as hundreds of messages.
            Fault::Tls => density / 4,
            Fault::Http => HTTP_PER_MILLE,
            // These take as long as everything else in a run.
            Fault::Looks | Fault::Refusals => density / 3,
            Fault::Scan => density / 6,
            Fault::Budget
            | Fault::Oneself
            | Fault::Crowd
            | Fault::PerAddress
            | Fault::CloseIdle => density / 2,
            Fault::Reserve => density / 4,
            _ => density,
        };
        if chance(&mut stream(seed, 20 + *fault as u64), density) {
            faults = faults.with(*fault);
        }
    }
    faults
}

fn draw_servers(seed: u64, rng: &mut Rng, faults: Faults) -> Vec<ServerPlan> {
    let counts: &[usize] = match is_about_starts(seed) {
        true => &[2, 3, 3, 3, 4, 5],
        false => &[1, 2, 3, 3, 3, 4, 5],
    };
    let count = *rng.choice(counts).unwrap();
    let by_name = rng.bool() || faults.has(Fault::Lookup);
    // Each server names all others, or those before it, or the next one.
    let topology = rng.u32(..4);
    let mut pids: Vec<u16> = Vec::new();
    while pids.len() < count {
        let pid = *rng.choice(&[0, 1, 2, 3, 7, 500, 1022, 1023]).unwrap();
        if !pids.contains(&pid) {
            pids.push(pid);
        }
    }
    let intervals: &[u64] = match is_about_starts(seed) {
        // Long ones too: then no message of a round says by chance that a life is alive.
        true => &[100, 1000, 5000, 10_000],
        false => &[100, 300, 1000, 1000, 2500],
    };
    let interval = *rng.choice(intervals).unwrap();
    let by_one_name = by_name && count > 1 && stream(seed, 5).u32(..3) == 0;
    let near_end = rng.u64(..20_000);
    // Where all name all, names are enough, unless somebody starts a server that nobody names.
    let all_named = topology < 2 && !faults.has(Fault::Copy) && !faults.has(Fault::WrongPid);
    let mut trust = stream(seed, 4);
    let believes_servers = trust.bool() || !all_named;
    let trusts_loopback = trust.bool();
    (0..count)
        .map(|index| {
            let mut rng = stream(seed, 400 + index as u64);
            let mut bounds = stream(seed, 450 + index as u64);
            let closes_idle = faults.has(Fault::CloseIdle) && bounds.u32(..3) > 0;
            let per_address_max = bounds.usize(1..=4);
            let named = |other: usize| match topology {
                0 | 1 => other != index,
                2 => other < index,
                _ => other == (index + 1) % count && other != index,
            };
            let is_named =
                |other: &usize| named(*other) || (*other == index && faults.has(Fault::Oneself));
            let clock = rng.u64(500_000..2_000_000);
            let has_peer = by_one_name || (0..count).any(named);
            let requires = rng.bool() && faults.has(Fault::Require) && has_peer;
            // Where each server names all others. With fewer than three, one that is down would stop the other.
            let join = match requires {
                _ if faults.has(Fault::Majority) && topology < 2 && count > 2 => {
                    JoinMode::Majority {
                        cluster_size: count,
                    }
                }
                true => JoinMode::Require,
                false => JoinMode::Prefer,
            };
            // Peers use places of clients too, and so does the check at the end.
            let crowded = rng.usize(1..6) + count;
            let is_full = faults.has(Fault::Crowd) || faults.has(Fault::Reserve);
            let http_max = match is_full {
                true => stream(seed, 480 + index as u64).usize(0..=2),
                false => HTTP_CONNECTIONS_MAX,
            };
            let connections_max = if is_full || closes_idle { crowded } else { 100 };
            let mut descriptors = stream(seed, 490 + index as u64);
            ServerPlan {
                pid: pids[index],
                peers: match by_one_name {
                    true => vec![NAME_OF_ALL.to_owned()],
                    false => (0..count)
                        .filter(is_named)
                        .map(|other| name(other, by_name))
                        .collect(),
                },
                speed_ppm: if faults.has(Fault::Clock) {
                    clock
                } else {
                    1_000_000
                },
                join,
                sync_interval: Duration::from_millis(interval),
                latency: Duration::from_micros(*rng.choice(&[20, 200, 2000, 20_000]).unwrap()),
                per_address_max: faults.has(Fault::PerAddress).then_some(per_address_max),
                closes_idle,
                connections_max,
                http_max,
                // In half of them, enough for all places and for some of the reserves.
                descriptors_max: (faults.has(Fault::Reserve) && descriptors.bool())
                    .then(|| connections_max + http_max + descriptors.usize(DESCRIPTORS_BEYOND)),
                read_bytes_max: match rng.u32(..3) {
                    0 if faults.has(Fault::FullRead) => *bounds.choice(&[100, 132]).unwrap(),
                    _ => READ_BYTES_MAX,
                },
                recover_above: faults
                    .has(Fault::Exhaustion)
                    .then(|| Sequence::new(Sequence::MAX.get() - near_end).unwrap()),
                believes_servers,
                trusts_loopback,
                etcd: None,
            }
        })
        .collect()
}

/// One name for all servers, as a headless service has it.
pub const NAME_OF_ALL: &str = "all.test:3264";

/// An address at which nobody listens.
pub fn nobody() -> SocketAddr {
    SocketAddr::from(([10, 9, 9, 9], 3264))
}

/// How its peers name a server.
fn name(server: usize, by_name: bool) -> String {
    match by_name {
        true => format!("server{server}.test:3264"),
        false => address(server).to_string(),
    }
}

/// What the names lead to. That of all leads to each server itself too, and to an address at which nobody listens.
pub fn names(servers: usize) -> BTreeMap<String, Vec<SocketAddr>> {
    let each = (0..servers).map(|server| (format!("server{server}.test"), vec![address(server)]));
    let all = (0..servers).map(address).chain([nobody()]).collect();
    each.chain([("all.test".to_owned(), all)]).collect()
}
