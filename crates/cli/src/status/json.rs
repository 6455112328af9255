//! A status as one line of JSON. The names are those of the fields on the wire; whatever can exceed 2^53 is
//! a string, since many readers of JSON have no larger integers.

use std::{collections::BTreeMap, io, io::Write};

use ipseity_core::words::{PeerStatus, Status};
use serde::Serialize;

use super::lag;
use crate::json::write_line;
use ipseity_console::{code_name, remaining};

#[derive(Serialize)]
struct StatusJson<'a> {
    server: &'a str,
    version: &'a str,
    cluster: &'a str,
    pid: u16,
    /// This and the next two are null if the server does not show them.
    incarnation: Option<String>,
    boot: Option<u64>,
    session: Option<String>,
    standing: &'static str,
    sequence: u64,
    remaining: u64,
    uptime_ms: u64,
    connections: u32,
    connections_max: u32,
    counters: CountersJson,
    errors: BTreeMap<String, u64>,
    storage: &'a ipseity_core::words::StorageStatus,
    peers_total: u32,
    peers: Vec<PeerJson<'a>>,
    bounds: &'a ipseity_core::words::BoundsStatus,
    tls: &'a ipseity_core::words::TlsStatus,
}

#[derive(Serialize)]
struct CountersJson {
    accepted: u64,
    identity_requests: u64,
    identities: u64,
    waited: u64,
    sync_requests: u64,
    sync_replies: u64,
    absorbed: u64,
}

#[derive(Serialize)]
struct PeerJson<'a> {
    address: &'a str,
    pid: Option<u16>,
    state: &'static str,
    tls: bool,
    sequence: u64,
    lag: u64,
    last_heard_ms: Option<u64>,
}

/// Writes the line, with its end.
pub fn write(out: &mut dyn Write, server: &str, status: &Status) -> io::Result<()> {
    let counters = &status.counters;
    let life = status.life();
    let report = StatusJson {
        server,
        version: &status.version,
        cluster: status.cluster.as_str(),
        pid: status.pid.get(),
        incarnation: life.map(|life| format!("{:#034x}", life.incarnation)),
        boot: life.map(|life| life.boot),
        session: life.map(|life| format!("{:#018x}", life.session)),
        standing: status.standing.name(),
        sequence: status.sequence,
        remaining: remaining(status.sequence),
        uptime_ms: status.uptime_ms,
        connections: status.connections,
        connections_max: status.connections_max,
        counters: CountersJson {
            accepted: counters.accepted,
            identity_requests: counters.identity_requests,
            identities: counters.identities,
            waited: counters.waited,
            sync_requests: counters.sync_requests,
            sync_replies: counters.sync_replies,
            absorbed: counters.absorbed,
        },
        errors: counters
            .errors
            .iter()
            .map(|(code, count)| (code_name(*code), *count))
            .collect(),
        storage: &status.storage,
        peers_total: status.peers_total,
        peers: status
            .peers
            .iter()
            .map(|peer| PeerJson::of(peer, status.sequence))
            .collect(),
        bounds: &status.bounds,
        tls: &status.tls,
    };
    write_line(out, &report)
}

impl PeerJson<'_> {
    fn of(peer: &PeerStatus, sequence: u64) -> PeerJson<'_> {
        PeerJson {
            address: &peer.address,
            pid: peer.pid.map(|pid| pid.get()),
            state: peer.state.name(),
            tls: peer.tls,
            sequence: peer.sequence,
            lag: lag(sequence, peer.sequence),
            last_heard_ms: peer.last_heard_ms,
        }
    }
}
