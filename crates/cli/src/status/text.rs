//! A status for people.

use std::{io, io::Write, time::Duration};

use ipseity_core::words::{
    BoundsStatus, CertificateStatus, JoinStatus, ObjectionStatus, PeerStatus, Standing, Status,
    StorageStatus, StoreKind, StoreState, StoreStatus, TlsStatus,
};

use super::days_left;
use crate::tint::{Mood, Tint};
use ipseity_console::{
    age, code_name, counted, milliseconds, plain, remaining, remaining_percent, table,
};
use ipseity_monitor::{framed_connections, lag};

/// Writes it, one thing a line, and a table of the peers.
pub fn write(out: &mut dyn Write, server: &str, status: &Status, tint: Tint) -> io::Result<()> {
    let Status {
        pid,
        sequence,
        counters,
        ..
    } = status;
    let head = [
        ("server", server.to_owned()),
        ("version", plain(&status.version)),
        ("pid", pid.to_string()),
        ("cluster", plain(status.cluster.as_str())),
        ("standing", standing(status, tint)),
    ];
    let join = status.join.as_ref().map(|join| ("join", joined(join)));
    let objection = status.objection.as_ref().map(objected);
    let lines = [
        ("sequence", sequence.to_string()),
        (
            "remaining",
            format!(
                "{} ({})",
                tint.number(remaining(*sequence)),
                remaining_percent(*sequence)
            ),
        ),
        (
            "uptime",
            format!("{}, boot {}", age(status.uptime_ms), boot(status)),
        ),
        ("connections", connections(status, tint)),
        (
            "unread",
            format!(
                "{} bytes wait, {} cut off",
                tint.number(status.bounds.pending_bytes),
                counted(status.bounds.cut_off, "client")
            ),
        ),
        (
            "requests",
            format!(
                "{}, of which {} waited for {}",
                tint.number(counters.identity_requests),
                tint.number(counters.waited),
                match status.store.kind {
                    StoreKind::Etcd => "etcd",
                    StoreKind::None | StoreKind::Directory => "the disk",
                }
            ),
        ),
        ("identities", tint.number(counters.identities)),
        (
            "sync",
            format!(
                "{} requests answered, {} replies received, {} times raised",
                tint.number(counters.sync_requests),
                tint.number(counters.sync_replies),
                tint.number(counters.absorbed)
            ),
        ),
        ("errors", errors(&counters.errors)),
        (
            "storage",
            storage(&status.storage, &status.bounds, &status.store),
        ),
        ("log", log(&status.bounds)),
        ("tls", tls(&status.tls)),
        ("certificates", certificates(&status.tls)),
        ("peers", peers_count(status)),
    ];
    let decided = join.into_iter().chain(objection.into_iter().flatten());
    for (name, value) in head.into_iter().chain(decided).chain(lines) {
        writeln!(out, "{name:<12} {value}")?;
    }
    if !status.peers.is_empty() {
        writeln!(out)?;
        for line in peers(&status.peers, *sequence) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// How far a start has come.
fn joined(join: &JoinStatus) -> String {
    let JoinStatus {
        accepted,
        confirmed,
        needed,
    } = join;
    match needed {
        0 => format!("{accepted} peers have accepted it, and it waits for those that can answer"),
        _ => format!(
            "{accepted} of the {needed} peers that must accept it have done so, {confirmed} have confirmed it"
        ),
    }
}

/// Who objects, why, and what to do: all of it, or only the number, if the peer has said the rest.
fn objected(objection: &ObjectionStatus) -> [(&'static str, String); 2] {
    let ObjectionStatus {
        above,
        peer,
        pid,
        reason,
    } = objection;
    let by = match (peer.is_empty(), pid) {
        (true, _) => plain(reason),
        (false, None) => format!("by {}: {}", plain(peer), plain(reason)),
        (false, Some(pid)) => format!("by {} (pid {pid}): {}", plain(peer), plain(reason)),
    };
    let least = match above {
        0 => "SEQUENCE must be".to_owned(),
        _ => format!("SEQUENCE must be at least {above}, and"),
    };
    let out = match reason.contains("--recover-above") {
        true if *above == 0 => "as the peer says".to_owned(),
        true => format!("as the peer says; SEQUENCE must be at least {above}"),
        false => format!(
            "stop it; start it with an unused --pid and a new state directory, or with --recover-above SEQUENCE. {least} \
             not lower than anything that the other state or server may have handed out"
        ),
    };
    [("objection", by), ("way out", out)]
}

fn boot(status: &Status) -> String {
    match status.life() {
        Some(life) => life.boot.to_string(),
        None => "shown only to peers and operators".to_owned(),
    }
}

/// Its standing: good if it hands out identities and nothing delays them.
fn standing(status: &Status, tint: Tint) -> String {
    tint.paint(mood(status.standing), status.standing.name())
}

/// How a standing is meant.
pub fn mood(standing: Standing) -> Mood {
    match (standing, standing.hands_out()) {
        (Standing::Serving, _) => Mood::Good,
        (_, true) => Mood::Doubtful,
        (Standing::Joining | Standing::Stopping, false) => Mood::Doubtful,
        (_, false) => Mood::Bad,
    }
}

fn connections(status: &Status, tint: Tint) -> String {
    let framed = framed_connections(status);
    // HTTP has places of its own.
    let http = match u64::from(status.connections).saturating_sub(framed) {
        0 => String::new(),
        count => format!(", {count} by HTTP"),
    };
    let accepted = format!(
        "{framed} of at most {}{http}, {} accepted so far",
        tint.number(status.connections_max),
        tint.number(status.counters.accepted)
    );
    match (status.bounds.refused_for_address, status.bounds.closed_idle) {
        (0, 0) => accepted,
        (refused, closed) => {
            format!("{accepted}; {refused} refused for their address, {closed} closed as idle")
        }
    }
}

fn errors(errors: &[(u16, u64)]) -> String {
    if errors.is_empty() {
        return "none".to_owned();
    }
    let texts: Vec<String> = errors
        .iter()
        .map(|(code, count)| format!("{} {count}", code_name(*code)))
        .collect();
    texts.join(", ")
}

fn log(bounds: &BoundsStatus) -> String {
    match bounds.log_lines_dropped {
        0 => "no line dropped".to_owned(),
        dropped => format!(
            "{} dropped: nobody reads it, or it cannot be written",
            counted(dropped, "line")
        ),
    }
}

/// Whether etcd answers, where it keeps the state. A state directory is not told of: its writes are.
fn etcd(store: &StoreStatus) -> String {
    let state = match store.state {
        StoreState::Ready => "ready",
        StoreState::InDoubt => "in doubt, so requests wait until it confirms the pid",
        StoreState::Away => "away, so requests are refused until it answers",
    };
    match store.kind {
        StoreKind::Etcd => format!(
            "{} is {state} (confirmed {} ago in {}, {}, {}{}), ",
            plain(&store.target),
            age(store.confirmed_us / 1000),
            milliseconds(Duration::from_micros(store.answered_us)),
            counted(store.doubts, "doubt"),
            counted(store.leases_lost, "lost lease"),
            match store.fenced {
                true => ", FENCED: another server has the pid",
                false => "",
            },
        ),
        StoreKind::None | StoreKind::Directory => String::new(),
    }
}

fn storage(storage: &StorageStatus, bounds: &BoundsStatus, store: &StoreStatus) -> String {
    if !storage.durable {
        return "none (ephemeral): a restart begins again at 1".to_owned();
    }
    let current = match storage.current_write_us {
        0 => "none under way".to_owned(),
        us => format!(
            "one under way for {}, and {}",
            milliseconds(Duration::from_micros(us)),
            match bounds.waiting_for_disk {
                1 => "1 request waits".to_owned(),
                waiting => format!("{waiting} requests wait"),
            }
        ),
    };
    format!(
        "{}ceiling {}, {} skipped at start, {} writes, longest {}, {current}",
        etcd(store),
        storage.ceiling,
        storage.skipped,
        storage.writes,
        milliseconds(Duration::from_micros(storage.longest_write_us)),
    )
}

fn tls(tls: &TlsStatus) -> String {
    if !tls.offered {
        return "not offered".to_owned();
    }
    format!(
        "{} connections, {} handshakes, {} failed, {} under way, longest wait {}",
        tls.connections,
        tls.handshakes,
        tls.handshakes_failed,
        tls.handshakes_under_way,
        milliseconds(Duration::from_micros(tls.longest_wait_us)),
    )
}

fn certificates(tls: &TlsStatus) -> String {
    if tls.certificates.is_empty() {
        return "none".to_owned();
    }
    let one = |certificate: &CertificateStatus| {
        let left = match (certificate.expires_in_s, days_left(certificate)) {
            (0, _) => "EXPIRED".to_owned(),
            (_, 0) => "less than a day left".to_owned(),
            (_, 1) => "1 day left".to_owned(),
            (_, days) => format!("{days} days left"),
        };
        let (purpose, name) = (plain(&certificate.purpose), plain(&certificate.name));
        format!("{purpose}, {name} ({left})")
    };
    let all: Vec<String> = tls.certificates.iter().map(one).collect();
    all.join("; ")
}

fn peers_count(status: &Status) -> String {
    let listed = status.peers.len();
    match status.peers_total as usize {
        total if total > listed => format!("{total}, the first {listed} of them below"),
        total => total.to_string(),
    }
}

fn peers(peers: &[PeerStatus], sequence: u64) -> Vec<String> {
    let header = [
        "address",
        "pid",
        "state",
        "tls",
        "sequence",
        "lag",
        "last heard",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for peer in peers {
        rows.push(vec![
            plain(&peer.address),
            peer.pid
                .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            peer.state.to_string(),
            if peer.tls { "yes" } else { "no" }.to_owned(),
            peer.sequence.to_string(),
            lag(sequence, peer).to_string(),
            peer.last_heard_ms
                .map_or_else(|| "never".to_owned(), |ms| format!("{} ago", age(ms))),
        ]);
    }
    table(&rows, &[0, -3, 0, 0, -8, -3, 0])
}
