//! One machine of a cluster: the server process that runs on it now, and what is planned for it. Its disk and
//! its clock are in the [`Node`] of the world with the same number.

use std::{collections::BTreeSet, net::SocketAddr};

use ipseity::{
    limits::PEER_SILENCE_MIN,
    listeners::Listener,
    peers::to_ask,
    secure::PlainFrom,
    server::{Server, ServerConfig, TlsConfig},
    store::{Started, slots::Owner},
    trace::Trace,
    transport::TransportLimits,
};
use ipseity_core::{
    actor::ActorConfig,
    identity::{Pid, Sequence},
    limits::STORE_PATIENCE,
    time::Instant,
    words::{ClusterName, Standing},
};
use ipseity_http::HostNames;

use super::{
    fault::Fault,
    plan::{Downtime, Plan, ServerPlan},
    scrapes::Scrape,
    sealed::settings,
};
use crate::world::{Clock, Lines, Node, Shared, SimEdge, Storage, address};

/// See the [module](self).
pub struct Machine {
    pub plan: ServerPlan,
    pub address: SocketAddr,
    pub server: Option<Server<SimEdge>>,
    /// When this life began.
    pub began: Instant,
    /// No turn begins before this: the last one takes until then, or the process is paused.
    pub ready_at: Instant,
    /// When its next timer expires.
    pub wakes_at: Option<Instant>,
    /// Log lines of this life.
    pub log_lines: u64,
    /// Nobody reads its log until then.
    pub log_stalls_until: Instant,
    /// When it was asked to stop.
    pub signals: Vec<Instant>,
    /// Faults of the disk that were met before this life began.
    pub faults_before: u32,
    /// Whether its disk has failed, in this life or an earlier one.
    pub has_failed: bool,
    /// Whether the last life ended with a clean stop and nothing was done to the directory since.
    pub is_clean: bool,
    /// If it stopped cleanly and all others must have heard its goodbye: when each of the servers began.
    pub took_leave: Option<Vec<Instant>>,
    /// What happens before it is started again.
    pub downtime: Option<Downtime>,
    /// The `--recover-above` of the next start.
    pub recover_above: Option<Sequence>,
    /// The `--recover-above` that its directory holds.
    pub recovered: Sequence,
    pub backup: Option<Storage>,
    pub trace: Option<Lines>,
    /// The machine of the other server that uses the pid.
    pub rival: Option<usize>,
    /// Whether it was taken away and is not started again.
    pub is_gone: bool,
    /// Whether its last start was refused because another life has the pid.
    pub is_refused: bool,
    /// Whether its acceptance counts as a vote: it has not lost what it remembers.
    pub votes: bool,
    /// Whether there was an objection to it when it stopped cleanly, and no operator has acted since.
    pub was_objected: bool,
    /// Whether that objection was about a pid conflict, and its status said so.
    pub was_in_conflict: bool,
    /// Whether it began with an objection on its disk.
    pub is_objected: bool,
    /// The servers that can tell that the directory is not the newest, and when each of their lives began.
    pub witnesses: Vec<(usize, Instant)>,
    /// Its last life in etcd has seen that etcd was restored.
    pub has_seen_breach: bool,
    /// Its last status (standing and sequence), and when it was asked for it.
    pub status: Option<(Instant, Standing, u64)>,
    /// This life has said by HTTP that it is stopped, or that its sequence is used up.
    pub is_stopped: bool,
    /// What a monitor has read of this life last.
    pub scraped: Option<Scrape>,
    /// Whether a client got identities from it at the very end, or an answer that is as good.
    pub is_served: bool,
}

impl Machine {
    pub fn new(number: usize, plan: ServerPlan, now: Instant, with_trace: bool) -> Machine {
        Machine {
            recover_above: plan.recover_above,
            plan,
            address: address(number),
            server: None,
            began: now,
            ready_at: now,
            wakes_at: None,
            log_lines: 0,
            log_stalls_until: Instant::START,
            signals: Vec::new(),
            faults_before: 0,
            has_failed: false,
            is_clean: false,
            took_leave: None,
            downtime: None,
            recovered: Sequence::ZERO,
            backup: None,
            trace: with_trace.then(Lines::default),
            rival: None,
            is_gone: false,
            is_refused: false,
            votes: true,
            was_objected: false,
            was_in_conflict: false,
            is_objected: false,
            has_seen_breach: false,
            witnesses: Vec::new(),
            status: None,
            is_stopped: false,
            scraped: None,
            is_served: false,
        }
    }

    /// Its clock, as it would be in a process that began with the world.
    pub fn clock(&self) -> Clock {
        Clock {
            speed_ppm: self.plan.speed_ppm,
            ..Clock::default()
        }
    }

    pub fn owner(&self) -> Owner {
        Owner {
            cluster: ClusterName::default(),
            pid: Pid::new(self.plan.pid).unwrap(),
        }
    }

    /// Makes the process, as the program does. Returns whether it asks its peers before it hands out anything.
    pub fn begin(
        &mut self,
        number: usize,
        net: &Shared,
        plan: &Plan,
        started: &Started,
        session: u64,
        confirmed_until: Option<Instant>,
    ) -> bool {
        let now = net.borrow().now;
        let in_etcd = self.plan.etcd;
        let remembered = match in_etcd {
            Some(_) => Vec::new(),
            None => {
                let members = storage(&net.borrow().nodes[number]).members.clone();
                members.unwrap_or_default()
            }
        };
        let template = actor_template(plan);
        let advertise = match plan.advertises {
            true => self.address.to_string(),
            false => String::new(),
        };
        let addresses = remembered
            .iter()
            .filter_map(|known| known.address.as_deref());
        let asked = to_ask(&self.plan.peers, &advertise, addresses);
        let joins = !self.plan.peers.is_empty() || !asked.is_empty();
        self.votes = in_etcd.is_none() && !started.members_lost;
        let config = ServerConfig {
            actor: ActorConfig {
                pid: Pid::new(self.plan.pid).unwrap(),
                incarnation: started.incarnation,
                boot: started.boot,
                session,
                sequence: started.sequence,
                ceiling: started.ceiling,
                recovered: started.recovered,
                objected: started.objected,
                first_start: started.first_start,
                joins,
                remembered,
                advertise,
                join_mode: self.plan.join,
                lives: started.lives.clone(),
                votes: self.votes,
                fences: in_etcd.is_some(),
                lease: confirmed_until.filter(|_| in_etcd.is_some_and(|of| of.waits_in_doubt)),
                patience: in_etcd.map(|_| STORE_PATIENCE),
                peer_silence: PEER_SILENCE_MIN.max(3 * self.plan.sync_interval),
                ..template
            },
            limits: TransportLimits {
                connections_max: self.plan.connections_max,
                http_max: self.plan.http_max,
                per_address_max: self.plan.per_address_max,
                closes_idle: self.plan.closes_idle,
                read_bytes_max: self.plan.read_bytes_max,
                pending_bytes_max: 16 * 1024,
                pending_bytes_total: ipseity::limits::PENDING_BYTES_TOTAL_DEFAULT,
                idle_timeout: None,
                trust: self.plan.trust(),
                plain: PlainFrom::Anywhere,
                hosts: HostNames::default(),
            },
            listeners: vec![Listener::PLAIN, Listener::HTTP],
            peers: self.plan.peers.clone(),
            remembered: asked,
            owners: Vec::new(),
            sync_interval: self.plan.sync_interval,
            join_timeout: plan.join_timeout,
            skipped: started.skipped,
            spin: plan.spin,
            cpus: 2,
            tls: plan.faults.has(Fault::Tls).then(|| TlsConfig {
                settings: settings(),
                rechecks: false,
                plain_peers: BTreeSet::new(),
            }),
        };
        let trace = self.trace.clone().map(|lines| Trace::new(Box::new(lines)));
        self.server = Some(Server::new(SimEdge::new(net, number), config, trace));
        self.began = now;
        self.ready_at = now;
        self.wakes_at = Some(now);
        self.signals.clear();
        self.has_seen_breach = false;
        self.log_lines = 0;
        self.status = None;
        self.is_stopped = false;
        self.scraped = None;
        self.is_clean = false;
        joins
    }
}

/// The disk of a server.
pub fn storage(node: &Node) -> &Storage {
    node.storage.as_ref().expect("every server here has one")
}

/// The part of the configuration that all actors of a cluster have in common.
pub fn actor_template(plan: &Plan) -> ActorConfig {
    ActorConfig {
        count_max: plan.count_max,
        advance_max: plan.advance_max,
        budgets: plan.budgets,
        reserve: plan.reserve,
        ..crate::config::actor_config()
    }
}
