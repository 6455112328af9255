//! A status as one line of JSON. docs/metrics.md has every field. The names are those of the wire. A number that can be
//! larger than 2^53 is a string, because many readers of JSON have no larger integers; a sequence always is.

use std::collections::BTreeMap;

use ipseity_core::words::{
    BoundsStatus, CodecStatus, Counters, EntryKind, GrantCounts, Histogram, JoinStatus,
    ObjectionStatus, PeerStatus, SpinStatus, Status, StorageStatus, StoreStatus, TlsStatus,
    VitalsStatus,
};
use serde::{Serialize, Serializer};

use crate::lag;
use ipseity_console::{code_name, plain_json, remaining};

/// The status as one line of JSON, without a line end. `server` is the address of the server, where the reader may have asked
/// several.
pub fn status_json(status: &Status, server: Option<&str>) -> String {
    let json = serde_json::to_string(&StatusJson::of(status, server));
    let json = json.expect("texts and numbers can always be written");
    // The texts may come from the network. None of their characters can move a cursor or end the line.
    plain_json(&json)
}

/// A number as a string.
fn text<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

#[derive(Serialize)]
struct StatusJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
    version: &'a str,
    cluster: &'a str,
    pid: u16,
    /// This and the next two are null if the server does not show them.
    incarnation: Option<String>,
    boot: Option<u64>,
    session: Option<String>,
    standing: &'static str,
    /// Null once the start is decided.
    join: Option<&'a JoinStatus>,
    /// Null if nobody objects.
    objection: Option<ObjectionJson<'a>>,
    #[serde(serialize_with = "text")]
    sequence: u64,
    #[serde(serialize_with = "text")]
    remaining: u64,
    uptime_ms: u64,
    connections: u32,
    connections_max: u32,
    counters: CountersJson,
    errors: BTreeMap<String, u64>,
    storage: StorageJson,
    peers_total: u32,
    peers: Vec<PeerJson<'a>>,
    bounds: BoundsJson,
    tls: &'a TlsStatus,
    vitals: VitalsJson<'a>,
    store: StoreJson<'a>,
    spin: &'a SpinStatus,
}

impl StatusJson<'_> {
    fn of<'a>(status: &'a Status, server: Option<&'a str>) -> StatusJson<'a> {
        let life = status.life();
        let errors = status.counters.errors.iter();
        StatusJson {
            server,
            version: &status.version,
            cluster: status.cluster.as_str(),
            pid: status.pid.get(),
            incarnation: life.map(|life| format!("{:#034x}", life.incarnation)),
            boot: life.map(|life| life.boot),
            session: life.map(|life| format!("{:#018x}", life.session)),
            standing: status.standing.name(),
            join: status.join.as_ref(),
            objection: status.objection.as_ref().map(ObjectionJson::of),
            sequence: status.sequence,
            remaining: remaining(status.sequence),
            uptime_ms: status.uptime_ms,
            connections: status.connections,
            connections_max: status.connections_max,
            counters: CountersJson::of(&status.counters),
            errors: errors
                .map(|(code, count)| (code_name(*code), *count))
                .collect(),
            storage: StorageJson::of(&status.storage),
            peers_total: status.peers_total,
            peers: (0u16..)
                .zip(&status.peers)
                .map(|(place, peer)| PeerJson::of(place, peer, status))
                .collect(),
            bounds: BoundsJson::of(&status.bounds),
            tls: &status.tls,
            vitals: VitalsJson::of(&status.vitals),
            store: StoreJson::of(&status.store),
            spin: &status.spin,
        }
    }
}

#[derive(Serialize)]
struct ObjectionJson<'a> {
    #[serde(serialize_with = "text")]
    above: u64,
    /// This and the reason are null if no peer has objected since the start.
    peer: Option<&'a str>,
    pid: Option<u16>,
    reason: Option<&'a str>,
}

impl ObjectionJson<'_> {
    fn of(objection: &ObjectionStatus) -> ObjectionJson<'_> {
        let told = |text: &'_ str| !text.is_empty();
        ObjectionJson {
            above: objection.above,
            peer: Some(&*objection.peer).filter(|peer| told(peer)),
            pid: objection.pid.map(|pid| pid.get()),
            reason: Some(&*objection.reason).filter(|reason| told(reason)),
        }
    }
}

#[derive(Serialize)]
struct CountersJson {
    accepted: u64,
    identity_requests: u64,
    #[serde(serialize_with = "text")]
    identities: u64,
    waited: u64,
    sync_requests: u64,
    sync_replies: u64,
    absorbed: u64,
}

impl CountersJson {
    fn of(counters: &Counters) -> CountersJson {
        CountersJson {
            accepted: counters.accepted,
            identity_requests: counters.identity_requests,
            identities: counters.identities,
            waited: counters.waited,
            sync_requests: counters.sync_requests,
            sync_replies: counters.sync_replies,
            absorbed: counters.absorbed,
        }
    }
}

#[derive(Serialize)]
struct StorageJson {
    durable: bool,
    #[serde(serialize_with = "text")]
    ceiling: u64,
    #[serde(serialize_with = "text")]
    skipped: u64,
    writes: u64,
    longest_write_us: u64,
    current_write_us: u64,
}

impl StorageJson {
    fn of(storage: &StorageStatus) -> StorageJson {
        StorageJson {
            durable: storage.durable,
            ceiling: storage.ceiling,
            skipped: storage.skipped,
            writes: storage.writes,
            longest_write_us: storage.longest_write_us,
            current_write_us: storage.current_write_us,
        }
    }
}

#[derive(Serialize)]
struct StoreJson<'a> {
    kind: &'static str,
    state: &'static str,
    /// Null if there is nothing to confirm.
    confirmed_ago_us: Option<u64>,
    /// Null if there is nothing to confirm.
    target: Option<&'a str>,
    answered_us: u64,
    doubts: u64,
    leases_lost: u64,
    fenced: bool,
}

impl StoreJson<'_> {
    fn of(store: &StoreStatus) -> StoreJson<'_> {
        StoreJson {
            kind: store.kind.name(),
            state: store.state.name(),
            confirmed_ago_us: Some(store.confirmed_us).filter(|us| *us > 0),
            target: Some(store.target.as_str()).filter(|target| !target.is_empty()),
            answered_us: store.answered_us,
            doubts: store.doubts,
            leases_lost: store.leases_lost,
            fenced: store.fenced,
        }
    }
}

#[derive(Serialize)]
struct PeerJson<'a> {
    address: &'a str,
    pid: Option<u16>,
    state: &'static str,
    tls: bool,
    #[serde(serialize_with = "text")]
    sequence: u64,
    #[serde(serialize_with = "text")]
    lag: u64,
    last_heard_ms: Option<u64>,
    refusals: u64,
}

impl PeerJson<'_> {
    fn of<'a>(place: u16, peer: &'a PeerStatus, status: &Status) -> PeerJson<'a> {
        PeerJson {
            address: &peer.address,
            pid: peer.pid.map(|pid| pid.get()),
            state: peer.state.name(),
            tls: peer.tls,
            sequence: peer.sequence,
            lag: lag(status.sequence, peer),
            last_heard_ms: peer.last_heard_ms,
            refusals: status.vitals.refusals_of(place),
        }
    }
}

#[derive(Serialize)]
struct BoundsJson {
    waiting_for_disk: u64,
    log_lines_dropped: u64,
    pending_bytes: u64,
    cut_off: u64,
    refused_for_address: u64,
    closed_idle: u64,
    #[serde(serialize_with = "text")]
    advance_max: u64,
}

impl BoundsJson {
    fn of(bounds: &BoundsStatus) -> BoundsJson {
        BoundsJson {
            waiting_for_disk: bounds.waiting_for_disk,
            log_lines_dropped: bounds.log_lines_dropped,
            pending_bytes: bounds.pending_bytes,
            cut_off: bounds.cut_off,
            refused_for_address: bounds.refused_for_address,
            closed_idle: bounds.closed_idle,
            advance_max: bounds.advance_max,
        }
    }
}

#[derive(Serialize)]
struct VitalsJson<'a> {
    turns: u64,
    turn_times: HistogramJson<'a>,
    mailbox: u64,
    mailbox_max: u64,
    events: BTreeMap<String, u64>,
    codecs: BTreeMap<&'a str, CodecJson<'a>>,
    #[serde(serialize_with = "text")]
    demand_per_second: u64,
    write_times: HistogramJson<'a>,
    writes_failed: u64,
}

impl VitalsJson<'_> {
    fn of(vitals: &VitalsStatus) -> VitalsJson<'_> {
        let events = vitals.events.iter();
        VitalsJson {
            turns: vitals.turns,
            turn_times: HistogramJson::of(&vitals.turn_times),
            mailbox: vitals.mailbox,
            mailbox_max: vitals.mailbox_max,
            events: events
                .map(|(kind, count)| (EntryKind::name_of(*kind), *count))
                .collect(),
            codecs: vitals
                .codecs
                .iter()
                .map(|codec| (&*codec.name, CodecJson::of(codec)))
                .collect(),
            demand_per_second: vitals.demand_per_second,
            write_times: HistogramJson::of(&vitals.writes.times),
            writes_failed: vitals.writes.failed,
        }
    }
}

#[derive(Serialize)]
struct CodecJson<'a> {
    identity_requests: u64,
    identity_requests_refused: u64,
    #[serde(serialize_with = "text")]
    identities: u64,
    connections: &'a GrantCounts,
}

impl CodecJson<'_> {
    fn of(codec: &CodecStatus) -> CodecJson<'_> {
        CodecJson {
            identity_requests: codec.identity_requests,
            identity_requests_refused: codec.identity_requests_refused,
            identities: codec.identities,
            connections: &codec.connections,
        }
    }
}

#[derive(Serialize)]
struct HistogramJson<'a> {
    /// Pairs: the longest time of a bucket in microseconds, and how many were in it and in none before it.
    buckets_us: &'a [(u64, u64)],
    above: u64,
    sum_us: u64,
}

impl HistogramJson<'_> {
    fn of(histogram: &Histogram) -> HistogramJson<'_> {
        HistogramJson {
            buckets_us: &histogram.buckets,
            above: histogram.above,
            sum_us: histogram.sum_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::sample::status;

    #[test]
    fn json_is_one_line_with_the_names_of_the_wire() {
        assert_eq!(
            status_json(&status(), Some("a:3264")),
            concat!(
                r#"{"server":"a:3264","version":"0.1.0\u001b[2J","cluster":"blue","pid":1,"#,
                r#""incarnation":"0x00000000000000000000000000000abc","boot":3,"#,
                r#""session":"0xffffffffffffffff","standing":"serving","#,
                r#""join":{"accepted":1,"confirmed":0,"needed":2},"objection":{"above":"2000","#,
                r#""peer":"b:3264","pid":2,"reason":"not the newest\u001b"},"sequence":"1000","#,
                r#""remaining":"9007199254739991","uptime_ms":3723456,"connections":2,"#,
                r#""connections_max":10000,"counters":{"accepted":12,"identity_requests":30,"#,
                r#""identities":"900","waited":1,"sync_requests":4,"sync_replies":5,"absorbed":6},"#,
                r#""errors":{"63":1,"badCount":7,"joining":3,"unknownKind":2},"#,
                r#""storage":{"durable":true,"ceiling":"5000","skipped":"10","writes":8,"#,
                r#""longest_write_us":1500,"current_write_us":0},"peers_total":3,"peers":["#,
                r#"{"address":"b:3264","pid":2,"state":"up","tls":true,"sequence":"990","lag":"10","#,
                r#""last_heard_ms":250,"refusals":0},{"address":"c:3264","pid":null,"state":"connecting","#,
                r#""tls":false,"sequence":"0","lag":"1000","last_heard_ms":null,"refusals":3}],"#,
                r#""bounds":{"waiting_for_disk":9,"log_lines_dropped":4,"pending_bytes":700,"#,
                r#""cut_off":3,"refused_for_address":2,"closed_idle":5,"advance_max":"1099511627776"},"#,
                r#""tls":{"offered":true,"connections":2,"handshakes":7,"handshakes_failed":3,"#,
                r#""handshakes_under_way":1,"longest_wait_us":1250,"certificates":["#,
                r#"{"purpose":"the certificate of this server","name":"a\u001b","#,
                r#""expires_in_s":259199}]},"vitals":{"turns":640,"turn_times":{"buckets_us":[[10,6],"#,
                r#"[1000000,3]],"above":1,"sum_us":2000123},"mailbox":5,"mailbox_max":77,"#,
                r#""events":{"200":1,"identityRequest":31,"readableWritable":20},"#,
                r#""codecs":{"frames":{"identity_requests":30,"identity_requests_refused":7,"#,
                r#""identities":"900","connections":{"none":0,"take":0,"look":1,"sync":0,"operate":1}}},"#,
                r#""demand_per_second":"400","write_times":{"buckets_us":[[1000,7],[2500,1]],"#,
                r#""above":0,"sum_us":4100},"writes_failed":1},"#,
                r#""store":{"kind":"etcd","state":"ready","confirmed_ago_us":20000000,"#,
                r#""target":"etcd://a:2379/ipseity","answered_us":3000,"doubts":2,"leases_lost":1,"fenced":false},"#,
                r#""spin":{"spins":21,"met":13,"took_us":250}}"#,
            )
        );
    }

    /// The fields of a value, each with its type, as docs/metrics.md writes them.
    fn fields(path: &str, value: &Value, into: &mut BTreeMap<String, &'static str>) {
        // The names in these are data.
        const NAMES: [&str; 4] = ["errors", "vitals.events", "vitals.codecs", "connections"];
        let shown = match value {
            Value::Object(object) => {
                let are_data = NAMES.iter().any(|name| path.ends_with(name));
                for (name, value) in object {
                    let name = if are_data { "*" } else { name };
                    let dot = if path.is_empty() { "" } else { "." };
                    fields(&format!("{path}{dot}{name}"), value, into);
                }
                return;
            }
            Value::Array(list) if !path.ends_with(']') => {
                for value in list {
                    fields(&format!("{path}[]"), value, into);
                }
                return;
            }
            // Another of the list has it.
            Value::Null => return,
            Value::Array(_) => "array",
            Value::String(_) => "string",
            Value::Number(_) => "number",
            Value::Bool(_) => "boolean",
        };
        into.insert(path.to_owned(), shown);
    }

    #[test]
    fn the_page_has_every_field_and_no_other() {
        let value = serde_json::from_str(&status_json(&status(), Some("a"))).unwrap();
        let mut there = BTreeMap::new();
        fields("", &value, &mut there);
        let page = include_str!("../../../docs/metrics.md");
        let (_, section) = page.split_once("\n## The status as JSON\n").unwrap();
        let (section, _) = section.split_once("\n## ").unwrap();
        let rows = section.lines().filter_map(|line| {
            let (field, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
            Some((field.to_owned(), rest.split_once(" |")?.0))
        });
        let shown: BTreeMap<String, &str> = rows.collect();
        assert_eq!(shown, there);
    }

    #[test]
    fn without_a_server_only_its_address_is_missing() {
        let with = status_json(&status(), Some("a"));
        let without = status_json(&status(), None);
        assert_eq!(with.replacen(r#""server":"a","#, "", 1), without);
    }

    #[test]
    fn numbers_that_javascript_cannot_hold_are_strings() {
        let mut status = status();
        let large = (1 << 53) - 1;
        status.sequence = large;
        (status.storage.ceiling, status.counters.identities) = (large, u64::MAX);
        let value: Value = serde_json::from_str(&status_json(&status, None)).unwrap();
        assert_eq!(value["sequence"], "9007199254740991");
        assert_eq!(value["counters"]["identities"], u64::MAX.to_string());
    }
}
