//! How servers are set up, and where they are.

use std::{net::SocketAddr, time::Duration};

use ipseity::{
    limits::{
        HTTP_CONNECTIONS_MAX, PENDING_BYTES_MAX_DEFAULT, PENDING_BYTES_TOTAL_DEFAULT,
        READ_BYTES_MAX, SYNC_INTERVAL_DEFAULT,
    },
    secure::PlainFrom,
    server::TlsConfig,
    transport::TransportLimits,
    trust::TrustOptions,
};
use ipseity_core::{
    actor::ActorConfig,
    identity::{Pid, Sequence},
};
use ipseity_http::HostNames;

use super::end::HTTP_PORT;
use super::node::DiskMode;
use crate::config::actor_config;

/// How a server is set up.
#[derive(Clone)]
pub struct Setup {
    pub actor: ActorConfig,
    pub limits: TransportLimits,
    pub peers: Vec<String>,
    /// Addresses that it remembers of peers, and asks too.
    pub remembered: Vec<String>,
    pub sync_interval: Duration,
    pub disk: DiskMode,
    pub tls: Option<TlsConfig>,
    /// How long it may look again before it sleeps.
    pub spin: Option<Duration>,
    pub cpus: usize,
    /// Whether the server writes a trace. Its behaviour must not depend on that.
    pub is_traced: bool,
}

impl Setup {
    /// A server without peers and without a disk.
    pub fn new(pid: u16) -> Setup {
        let mut actor = actor_config();
        actor.pid = Pid::new(pid).unwrap();
        actor.session = 100 + u64::from(pid);
        actor.incarnation = 200 + u128::from(pid);
        actor.ceiling = Sequence::MAX;
        Setup {
            actor,
            limits: TransportLimits {
                connections_max: 100,
                http_max: HTTP_CONNECTIONS_MAX,
                per_address_max: None,
                closes_idle: false,
                read_bytes_max: READ_BYTES_MAX,
                pending_bytes_max: PENDING_BYTES_MAX_DEFAULT,
                pending_bytes_total: PENDING_BYTES_TOTAL_DEFAULT,
                idle_timeout: None,
                trust: TrustOptions {
                    // Any address may be that of a peer, except in a test about that.
                    peers: vec!["0.0.0.0/0".parse().unwrap()],
                    ..TrustOptions::default()
                },
                plain: PlainFrom::default(),
                hosts: HostNames::default(),
            },
            peers: Vec::new(),
            remembered: Vec::new(),
            sync_interval: SYNC_INTERVAL_DEFAULT,
            disk: DiskMode::Ephemeral,
            tls: None,
            spin: None,
            cpus: 2,
            is_traced: true,
        }
    }

    /// The same with a disk, on which `ceiling` is durable.
    pub fn disk(mut self, disk: DiskMode, ceiling: u64) -> Setup {
        self.disk = disk;
        self.actor.ceiling = Sequence::new(ceiling).unwrap();
        self
    }

    /// The same, but only those that it names, and its own machine, are believed to be peers.
    pub fn believes_nobody(mut self) -> Setup {
        self.limits.trust.peers.clear();
        self
    }

    /// The same with these peers.
    pub fn peers(mut self, peers: &[&str]) -> Setup {
        self.peers = peers.iter().map(|peer| (*peer).to_owned()).collect();
        self
    }
}

/// The address of a server, by its number: it is known before the server is started.
pub fn address(server: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, server as u8 + 1], 3264))
}

/// Where the server with this address speaks HTTP.
pub fn http_address(of: SocketAddr) -> SocketAddr {
    SocketAddr::from((of.ip(), HTTP_PORT))
}
