//! The rows of `watch`: what was seen of each server in one round, against the round before. Nothing here
//! asks a server or reads a clock: a rate is by the server's own uptime.

use ipseity_client::Client;
use ipseity_core::words::{Standing, Status};

use crate::{
    status::{days_left, peers_up},
    tint::Tint,
    unseen::Unseen,
};

/// The headings of the columns. The last one is empty: that column holds the reason if a server was not seen.
pub const HEADER: [&str; 10] = [
    "server",
    "pid",
    "sequence",
    "standing",
    "connections",
    "identities/s",
    "peers",
    "lag",
    "tls",
    "",
];

/// Wide enough for most, so that lines in a pipe stay aligned from round to round.
pub const WIDTHS: [i8; 10] = [20, -4, -16, 20, -11, -12, -7, -8, -5, 0];

/// One server in one round.
pub struct Seen {
    /// The server, as `HOST:PORT`.
    pub server: String,
    /// How it does, or why that is not known.
    pub status: Result<Status, Unseen>,
}

impl Seen {
    /// Asks the server, for at most its timeouts.
    pub fn now(client: &mut Client) -> Seen {
        let status = client.status().map_err(|error| Unseen::new(&error));
        Seen {
            server: client.server().to_string(),
            status,
        }
    }
}

/// A row for each server, in the order of `seen`. `before` is the round before, or empty.
pub fn rows(seen: &[Seen], before: &[Seen], tint: Tint) -> Vec<Vec<String>> {
    let highest = highest(seen);
    seen.iter()
        .enumerate()
        .map(|(index, seen)| {
            let earlier = before.get(index).and_then(|seen| seen.status.as_ref().ok());
            row(seen, earlier, highest, tint)
        })
        .collect()
}

fn row(seen: &Seen, earlier: Option<&Status>, highest: u64, tint: Tint) -> Vec<String> {
    let unknown = || "-".to_owned();
    let status = match &seen.status {
        Ok(status) => status,
        Err(Unseen { word, reason, .. }) => {
            let mut row = vec![seen.server.clone(), unknown(), unknown()];
            row.push((*word).to_owned());
            row.extend([unknown(), unknown(), unknown(), unknown(), unknown()]);
            row.push(reason.clone());
            return row;
        }
    };
    let up = peers_up(status);
    vec![
        seen.server.clone(),
        status.pid.to_string(),
        status.sequence.to_string(),
        status.standing.to_string(),
        tint.number(status.connections),
        rate(status, earlier).map_or_else(unknown, |rate| tint.number(rate)),
        format!("{up}/{}", status.peers_total),
        tint.number(highest - status.sequence),
        tls(status),
    ]
}

/// How much trouble a server is in: 0 for none, more for more.
pub fn trouble(seen: &Seen) -> u8 {
    match &seen.status {
        Err(_) => 4,
        Ok(status) if !status.standing.hands_out() => 3,
        Ok(status) if status.standing != Standing::Serving => 2,
        Ok(status) if peers_up(status) < status.peers_total as usize => 1,
        Ok(_) => 0,
    }
}

/// The names of the columns in JSON and CSV.
pub const NAMES: [&str; 12] = [
    "time",
    "server",
    "standing",
    "pid",
    "sequence",
    "connections",
    "identities_per_second",
    "peers_up",
    "peers",
    "lag",
    "tls",
    "error",
];

/// The values of a server for [`NAMES`]; `None` where nothing is known.
pub fn values(
    time: &str,
    seen: &Seen,
    earlier: Option<&Seen>,
    highest: u64,
) -> [Option<String>; NAMES.len()] {
    let (time, server) = (Some(time.to_owned()), Some(seen.server.clone()));
    let status = match &seen.status {
        Ok(status) => status,
        Err(Unseen { word, reason, .. }) => {
            let mut values = [const { None }; NAMES.len()];
            (values[0], values[1]) = (time, server);
            values[2] = Some((*word).to_owned());
            values[NAMES.len() - 1] = Some(reason.clone());
            return values;
        }
    };
    let earlier = earlier.and_then(|seen| seen.status.as_ref().ok());
    [
        time,
        server,
        Some(status.standing.to_string()),
        Some(status.pid.to_string()),
        Some(status.sequence.to_string()),
        Some(status.connections.to_string()),
        rate(status, earlier).map(|rate| rate.to_string()),
        Some(peers_up(status).to_string()),
        Some(status.peers_total.to_string()),
        Some((highest - status.sequence).to_string()),
        Some(tls(status)),
        None,
    ]
}

/// The highest sequence of a round.
pub fn highest(seen: &[Seen]) -> u64 {
    let statuses = seen.iter().filter_map(|seen| seen.status.as_ref().ok());
    let sequences = statuses.map(|status| status.sequence);
    sequences.max().unwrap_or(0)
}

/// Whether TLS is offered, and if so, in how many days the first certificate expires.
fn tls(status: &Status) -> String {
    let days = status.tls.certificates.iter().map(days_left).min();
    match days {
        Some(days) => format!("{days}d"),
        None => "no".to_owned(),
    }
}

/// Identities a second since `earlier`; `None` if that is from another run of the server, or if no time has
/// passed.
fn rate(status: &Status, earlier: Option<&Status>) -> Option<u64> {
    let earlier = earlier.filter(|earlier| earlier.session == status.session)?;
    let ms = status.uptime_ms.checked_sub(earlier.uptime_ms)?;
    let identities = status
        .counters
        .identities
        .checked_sub(earlier.counters.identities)?;
    let rate = (u128::from(identities) * 1000).checked_div(u128::from(ms))?;
    u64::try_from(rate).ok()
}

#[cfg(test)]
mod tests {
    use ipseity_core::{
        identity::Pid,
        words::{
            BoundsStatus, CertificateStatus, ClusterName, Counters, PeerState, PeerStatus,
            Standing, StorageStatus, TlsStatus, VitalsStatus,
        },
    };

    use super::*;

    fn seen(sequence: u64, uptime_ms: u64, session: u64) -> Seen {
        let peer = |state| PeerStatus {
            address: "b:1".into(),
            pid: None,
            state,
            tls: true,
            sequence: 0,
            last_heard_ms: None,
        };
        Seen {
            server: "a:1".to_owned(),
            status: Ok(Status {
                version: "0.1.0".to_owned(),
                cluster: ClusterName::default(),
                pid: Pid::new(4).unwrap(),
                incarnation: 1,
                boot: 1,
                session,
                standing: Standing::Serving,
                sequence,
                uptime_ms,
                connections: 5,
                connections_max: 10,
                counters: Counters {
                    identities: sequence,
                    ..Counters::default()
                },
                storage: StorageStatus::default(),
                peers_total: 3,
                peers: vec![peer(PeerState::Up), peer(PeerState::Down)],
                bounds: BoundsStatus::default(),
                tls: TlsStatus {
                    certificates: [40, 29]
                        .map(|days| CertificateStatus {
                            purpose: "a CA".to_owned(),
                            name: "a".to_owned(),
                            expires_in_s: days * 86_400 + 5,
                        })
                        .to_vec(),
                    ..TlsStatus::default()
                },
                vitals: VitalsStatus::default(),
                join: None,
                objection: None,
                store: Default::default(),
                spin: Default::default(),
            }),
        }
    }

    fn unreachable() -> Seen {
        Seen {
            server: "a:1".to_owned(),
            status: Err(Unseen {
                word: "unreachable",
                reason: "gone".to_owned(),
                code: None,
            }),
        }
    }

    #[test]
    fn lag_is_to_the_highest_of_the_round() {
        let rows = rows(
            &[seen(100, 0, 1), unreachable(), seen(130, 0, 2)],
            &[],
            Tint::NONE,
        );
        assert_eq!(
            rows[0],
            ["a:1", "4", "100", "serving", "5", "-", "1/3", "30", "29d"]
        );
        assert_eq!(
            rows[1],
            [
                "a:1",
                "-",
                "-",
                "unreachable",
                "-",
                "-",
                "-",
                "-",
                "-",
                "gone"
            ]
        );
        assert_eq!(rows[2][7], "0");
        assert!(rows.iter().all(|row| row.len() <= HEADER.len()));
    }

    #[test]
    fn a_server_that_cannot_be_asked_is_in_the_greatest_trouble() {
        let standing = |standing| {
            let mut seen = seen(1, 0, 1);
            seen.status
                .as_mut()
                .unwrap_or_else(|_| panic!("seen"))
                .standing = standing;
            trouble(&seen)
        };
        assert_eq!(trouble(&unreachable()), 4);
        assert_eq!(standing(Standing::Joining), 3);
        // One of its peers is down.
        assert_eq!(standing(Standing::Serving), 1);
    }

    #[test]
    fn a_rate_is_between_two_rounds_of_one_run_of_the_server() {
        let rate = |now: Seen, before: Seen| rows(&[now], &[before], Tint::NONE)[0][5].clone();
        assert_eq!(rate(seen(1500, 3000, 1), seen(500, 1000, 1)), "500");
        // Restarted, no time passed, went back, not seen before.
        assert_eq!(rate(seen(1500, 3000, 2), seen(500, 1000, 1)), "-");
        assert_eq!(rate(seen(1500, 1000, 1), seen(500, 1000, 1)), "-");
        assert_eq!(rate(seen(400, 3000, 1), seen(500, 1000, 1)), "-");
        assert_eq!(rate(seen(1500, 3000, 1), unreachable()), "-");
        // Where the session is not shown, the time since its start tells.
        assert_eq!(rate(seen(1500, 3000, 0), seen(500, 1000, 0)), "500");
        assert_eq!(rate(seen(1500, 900, 0), seen(500, 1000, 0)), "-");
    }
}
