//! A status as metrics for Prometheus. docs/metrics.md says what each one means.

use std::collections::BTreeMap;

use ipseity_console::{COMMIT, code_name};
use ipseity_core::{
    identity::Sequence,
    words::{EntryKind, PeerState, PeerStatus, Standing, Status, StoreKind, StoreState},
};

use crate::{
    lag, names,
    text::{Family, Seconds, histogram, single, write_labels},
};

/// Appends the status as metrics, in Prometheus' text format 0.0.4.
pub fn metrics_text(status: &Status, out: &mut Vec<u8>) {
    process(status, out);
    sequence(status, out);
    requests(status, out);
    turns(status, out);
    connections(status, out);
    disk(status, out);
    store(status, out);
    single(names::LOG_DROPPED, status.bounds.log_lines_dropped, out);
    tls(status, out);
    peers(status, out);
}

fn process(status: &Status, out: &mut Vec<u8>) {
    // Only the server itself writes its metrics, so the commit of this program is that of the server.
    let commit = COMMIT.unwrap_or_default();
    Family::new(names::BUILD_INFO, out).labelled([&status.version, commit], 1);
    let uptime = status.uptime_ms.saturating_mul(1000);
    single(names::UPTIME, Seconds(uptime), out);
    // It is shown only to peers and operators.
    if let Some(life) = status.life() {
        single(names::BOOT, life.boot, out);
    }
    let mut standing = Family::new(names::STANDING, out);
    for one in Standing::ALL {
        standing.labelled([one.name()], u8::from(one == status.standing));
    }
    if let Some(join) = &status.join {
        let mut peers = Family::new(names::JOIN_PEERS, out);
        peers.labelled(["accepted"], join.accepted);
        peers.labelled(["confirmed"], join.confirmed);
        peers.labelled(["needed"], join.needed);
    }
    if let Some(objection) = &status.objection {
        let pid = objection.pid.map(|pid| pid.to_string()).unwrap_or_default();
        Family::new(names::OBJECTION, out).labelled([&objection.peer, &*pid], objection.above);
    }
}

fn sequence(status: &Status, out: &mut Vec<u8>) {
    single(names::SEQUENCE, status.sequence, out);
    let used = status.sequence as f64 / Sequence::MAX.get() as f64;
    single(names::SEQUENCE_USED, used, out);
    let demand = status.vitals.demand_per_second;
    single(names::DEMAND, demand, out);
    // Without a disk there is no ceiling, and nothing can be skipped.
    if status.storage.durable {
        let ceiling = status.storage.ceiling;
        single(names::CEILING, ceiling, out);
        let left = ceiling.saturating_sub(status.sequence);
        match demand {
            0 => single(names::CEILING_LEFT, "+Inf", out),
            _ => single(names::CEILING_LEFT, left as f64 / demand as f64, out),
        }
        single(names::SKIPPED, status.storage.skipped, out);
    }
}

fn requests(status: &Status, out: &mut Vec<u8>) {
    let codecs = &status.vitals.codecs;
    let mut requests = Family::new(names::IDENTITY_REQUESTS, out);
    for codec in codecs {
        requests.labelled([&codec.name, "answered"], codec.identity_requests);
        requests.labelled([&codec.name, "refused"], codec.identity_requests_refused);
    }
    let mut identities = Family::new(names::IDENTITIES, out);
    for codec in codecs {
        identities.labelled([&codec.name], codec.identities);
    }
    single(names::WAITED, status.counters.waited, out);
    single(names::ABSORBED, status.counters.absorbed, out);
    let mut errors = Family::new(names::ERRORS, out);
    for (code, count) in &status.counters.errors {
        errors.labelled([&code_name(*code)], count);
    }
}

fn turns(status: &Status, out: &mut Vec<u8>) {
    let vitals = &status.vitals;
    let mut events = Family::new(names::EVENTS, out);
    for (kind, count) in &vitals.events {
        events.labelled([&EntryKind::name_of(*kind)], count);
    }
    single(names::TURNS, vitals.turns, out);
    histogram(names::TURN_TIMES, &vitals.turn_times, out);
    let mut spins = Family::new(names::SPINS, out);
    let missed = status.spin.spins.saturating_sub(status.spin.met);
    spins.labelled(["met"], status.spin.met);
    spins.labelled(["missed"], missed);
    single(names::SPUN, Seconds(status.spin.took_us), out);
    single(names::MAILBOX, vitals.mailbox, out);
    single(names::MAILBOX_MAX, vitals.mailbox_max, out);
}

fn connections(status: &Status, out: &mut Vec<u8>) {
    let mut connections = Family::new(names::CONNECTIONS, out);
    for codec in &status.vitals.codecs {
        for (grant, count) in codec.connections.named() {
            connections.labelled([&codec.name, grant], count);
        }
    }
    single(names::CONNECTIONS_MAX, status.connections_max, out);
    single(names::ACCEPTED, status.counters.accepted, out);
    let bounds = &status.bounds;
    single(names::CUT_OFF, bounds.cut_off, out);
    single(names::REFUSED_FOR_ADDRESS, bounds.refused_for_address, out);
    single(names::CLOSED_IDLE, bounds.closed_idle, out);
    single(names::PENDING_BYTES, bounds.pending_bytes, out);
}

fn disk(status: &Status, out: &mut Vec<u8>) {
    single(names::DURABLE, u8::from(status.storage.durable), out);
    let writes = &status.vitals.writes;
    histogram(names::WRITE_TIMES, &writes.times, out);
    single(names::WRITES_FAILED, writes.failed, out);
    let under_way = Seconds(status.storage.current_write_us);
    single(names::WRITE_UNDER_WAY, under_way, out);
    single(names::WAITING, status.bounds.waiting_for_disk, out);
}

fn store(status: &Status, out: &mut Vec<u8>) {
    let store = &status.store;
    let mut kind = Family::new(names::STORE, out);
    for one in StoreKind::ALL {
        kind.labelled([one.name()], u8::from(one == store.kind));
    }
    let mut state = Family::new(names::STORE_STATE, out);
    for one in StoreState::ALL {
        state.labelled([one.name()], u8::from(one == store.state));
    }
    // A directory has nothing to confirm.
    if store.confirmed_us > 0 {
        single(names::STORE_CONFIRMED, Seconds(store.confirmed_us), out);
        single(names::STORE_ANSWERED, Seconds(store.answered_us), out);
        single(names::STORE_DOUBTS, store.doubts, out);
        single(names::STORE_LEASES_LOST, store.leases_lost, out);
        single(names::STORE_FENCED, u8::from(store.fenced), out);
    }
}

fn tls(status: &Status, out: &mut Vec<u8>) {
    let tls = &status.tls;
    single(names::TLS_CONNECTIONS, tls.connections, out);
    let mut handshakes = Family::new(names::HANDSHAKES, out);
    handshakes.labelled(["ok"], tls.handshakes);
    handshakes.labelled(["failed"], tls.handshakes_failed);
    single(names::HANDSHAKES_UNDER_WAY, tls.handshakes_under_way, out);
    // While a certificate is replaced, two can have the same name. The one that expires first counts.
    let mut left = BTreeMap::new();
    for one in &tls.certificates {
        let left: &mut u64 = left.entry((&*one.name, &*one.purpose)).or_insert(u64::MAX);
        *left = one.expires_in_s.min(*left);
    }
    let mut certificates = Family::new(names::CERTIFICATES, out);
    for ((name, purpose), left) in left {
        certificates.labelled([name, purpose], left);
    }
}

/// A peer in the list, with its labels as text.
struct Shown<'a> {
    place: u16,
    peer: &'a PeerStatus,
    labels: &'a str,
}

fn peers(status: &Status, out: &mut Vec<u8>) {
    single(names::SYNC_REQUESTS, status.counters.sync_requests, out);
    single(names::SYNC_REPLIES, status.counters.sync_replies, out);
    let mut peers = Family::new(names::PEERS, out);
    let mut counts = [0u32; PeerState::ALL.len()];
    for peer in &status.peers {
        counts[peer.state as usize] += 1;
    }
    for (state, count) in PeerState::ALL.into_iter().zip(counts) {
        peers.labelled([state.name()], count);
    }
    let not_listed =
        status.peers_total as usize - status.peers.len().min(status.peers_total as usize);
    peers.labelled(["not_listed"], not_listed);

    // With thousands of peers, this is most of the text.
    let labels: Vec<String> = status.peers.iter().map(peer_labels).collect();
    let shown = shown_peers(status, &labels);
    let mut up = Family::new(names::PEER_UP, out);
    for one in &shown {
        up.number(one.labels, u64::from(one.peer.state == PeerState::Up));
    }
    let mut behind = Family::new(names::PEER_LAG, out);
    // One that never spoke has told no sequence.
    for one in shown.iter().filter(|one| one.peer.last_heard_ms.is_some()) {
        behind.number(one.labels, lag(status.sequence, one.peer));
    }
    let mut silent = Family::new(names::PEER_SILENT, out);
    for one in &shown {
        if let Some(ms) = one.peer.last_heard_ms {
            silent.milliseconds(one.labels, ms);
        }
    }
    let mut refusals = Family::new(names::PEER_REFUSALS, out);
    for one in &shown {
        refusals.number(one.labels, status.vitals.refusals_of(one.place));
    }
}

/// The labels of a peer.
fn peer_labels(peer: &PeerStatus) -> String {
    let pid = peer.pid.map_or_else(String::new, |pid| pid.to_string());
    // Room for the names, too.
    let mut labels = String::with_capacity(peer.address.len() + 32);
    write_labels(names::PEER_UP, [&peer.address, &pid], &mut labels);
    labels
}

/// The peers that are written, with their labels. No two have the same: if a peer is listed twice, the one that is up counts,
/// or else the first.
fn shown_peers<'a>(status: &'a Status, labels: &'a [String]) -> Vec<Shown<'a>> {
    let mut shown: Vec<Shown<'_>> = Vec::with_capacity(labels.len());
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for ((place, peer), labels) in (0u16..).zip(&status.peers).zip(labels) {
        let one = Shown {
            place,
            peer,
            labels,
        };
        let next = shown.len();
        let at = *places.entry(labels).or_insert(next);
        if at == next {
            shown.push(one);
        } else if peer.state == PeerState::Up && shown[at].peer.state != PeerState::Up {
            shown[at] = one;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        io::Write as _,
        process::{Command, Stdio},
    };

    use super::*;
    use crate::{METRICS, names::Kind, sample};

    fn text(status: &Status) -> String {
        let mut out = Vec::new();
        metrics_text(status, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// What stands before the value, which is a name and labels.
    fn series(line: &str) -> &str {
        line.rsplit_once(' ').unwrap().0
    }

    #[test]
    fn every_metric_is_written_once_with_its_labels_and_in_order() {
        let text = text(&sample::status());
        let mut heads = Vec::new();
        for line in text.lines() {
            if let Some(head) = line.strip_prefix("# TYPE ") {
                heads.push(head.to_owned());
                continue;
            }
            if line.starts_with('#') {
                continue;
            }
            let (name, labels) = match series(line).split_once('{') {
                Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
                None => (series(line), ""),
            };
            let metric = METRICS[heads.len() - 1];
            let suffix = name.strip_prefix(metric.name).unwrap();
            let suffixes: &[&str] = match metric.kind {
                Kind::Histogram => &["_bucket", "_sum", "_count"],
                Kind::Counter | Kind::Gauge => &[""],
            };
            assert!(suffixes.contains(&suffix), "{line}");
            if metric.kind != Kind::Histogram {
                let labels = labels.split("\",").filter(|label| !label.is_empty());
                let labels: Vec<&str> = labels.map(|l| l.split_once('=').unwrap().0).collect();
                assert_eq!(labels, metric.labels, "{line}");
            }
        }
        let expected = METRICS.iter().map(|m| format!("{} {}", m.name, m.kind));
        assert_eq!(heads, expected.collect::<Vec<_>>());
    }

    #[test]
    fn values_are_in_base_units() {
        let text = text(&sample::status());
        let commit = COMMIT.unwrap_or_default();
        let build =
            format!("ipseity_build_info{{version=\"0.1.0\\\\u{{1b}}[2J\",commit=\"{commit}\"}} 1");
        for line in [
            &*build,
            "ipseity_uptime_seconds 3723.456",
            "ipseity_boot 3",
            "ipseity_standing{standing=\"serving\"} 1",
            "ipseity_standing{standing=\"pid conflict\"} 0",
            "ipseity_ceiling_left_seconds 10",
            "ipseity_identity_requests_total{codec=\"frames\",outcome=\"answered\"} 30",
            "ipseity_identity_requests_total{codec=\"frames\",outcome=\"refused\"} 7",
            "ipseity_errors_total{code=\"badCount\"} 7",
            "ipseity_errors_total{code=\"63\"} 1",
            "ipseity_events_total{kind=\"readableWritable\"} 20",
            "ipseity_turn_duration_seconds_bucket{le=\"0.00001\"} 6",
            "ipseity_turn_duration_seconds_bucket{le=\"1\"} 9",
            "ipseity_turn_duration_seconds_bucket{le=\"+Inf\"} 10",
            "ipseity_turn_duration_seconds_sum 2.000123",
            "ipseity_turn_duration_seconds_count 10",
            "ipseity_connections{codec=\"frames\",grant=\"operate\"} 1",
            "ipseity_tls_certificate_expires_seconds{name=\"a\\\\u{1b}\",purpose=\"the certificate of this server\"} 259199",
            "ipseity_peers{state=\"up\"} 1",
            "ipseity_peers{state=\"not_listed\"} 1",
            "ipseity_peer_up{peer=\"b:3264\",pid=\"2\"} 1",
            "ipseity_peer_lag_sequences{peer=\"b:3264\",pid=\"2\"} 10",
            "ipseity_peer_silent_seconds{peer=\"b:3264\",pid=\"2\"} 0.25",
            "ipseity_peer_refusals_total{peer=\"c:3264\",pid=\"\"} 3",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
        // It has never spoken.
        assert!(
            !text.contains("ipseity_peer_silent_seconds{peer=\"c"),
            "{text}"
        );
        assert!(
            !text.contains("ipseity_peer_lag_sequences{peer=\"c"),
            "{text}"
        );
    }

    #[test]
    fn promtool_finds_nothing_to_mend() {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool: .ci/setup installs it");
        let mut input = promtool.stdin.take().unwrap();
        input.write_all(text(&sample::status()).as_bytes()).unwrap();
        drop(input);
        let output = promtool.wait_with_output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!((output.status.code(), &*said), (Some(0), ""));
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut status = sample::status();
        (status.incarnation, status.boot, status.session) = (0, 0, 0);
        status.vitals.demand_per_second = 0;
        assert!(!text(&status).contains("ipseity_boot"));
        assert!(text(&status).contains("ipseity_ceiling_left_seconds +Inf\n"));
        status.storage.durable = false;
        assert!(!text(&status).contains("ipseity_ceiling"));
    }

    #[test]
    fn no_series_is_written_twice_whatever_the_peers_are_called() {
        let mut status = sample::status();
        let [up, connecting] = [status.peers[0].clone(), status.peers[1].clone()];
        for address in ["x\u{1b}", "x\\u{1b}", "x\u{1b}"] {
            for peer in [&connecting, &up, &connecting] {
                let mut peer = peer.clone();
                (peer.address, peer.pid) = (address.into(), None);
                status.peers.push(peer);
            }
        }
        status
            .tls
            .certificates
            .push(status.tls.certificates[0].clone());
        let text = text(&status);
        let mut seen = BTreeSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(seen.insert(series(line)), "{line} is written twice");
        }
        // The one that is up counts.
        let line = "ipseity_peer_up{peer=\"x\\\\u{1b}\",pid=\"\"} 1";
        assert!(text.lines().any(|other| other == line), "{text}");
    }
}
