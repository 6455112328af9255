//! The rows of `watch`: what was seen of each server in one round, against the round before. Nothing here
//! asks a server or reads a clock: a rate is by the server's own uptime.

use ipseity_client::Client;
use ipseity_core::words::{PeerState, Status};

use crate::{status::days_left, unseen::Unseen};

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
pub fn rows(seen: &[Seen], before: &[Seen]) -> Vec<Vec<String>> {
    let highest = seen
        .iter()
        .filter_map(|seen| seen.status.as_ref().ok())
        .map(|status| status.sequence)
        .max()
        .unwrap_or(0);
    seen.iter()
        .enumerate()
        .map(|(index, seen)| {
            let earlier = before.get(index).and_then(|seen| seen.status.as_ref().ok());
            row(seen, earlier, highest)
        })
        .collect()
}

fn row(seen: &Seen, earlier: Option<&Status>, highest: u64) -> Vec<String> {
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
    let up = status
        .peers
        .iter()
        .filter(|peer| peer.state == PeerState::Up)
        .count();
    vec![
        seen.server.clone(),
        status.pid.to_string(),
        status.sequence.to_string(),
        status.standing.to_string(),
        status.connections.to_string(),
        rate(status, earlier).map_or_else(unknown, |rate| rate.to_string()),
        format!("{up}/{}", status.peers_total),
        (highest - status.sequence).to_string(),
        tls(status),
    ]
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
            BoundsStatus, CertificateStatus, ClusterName, Counters, PeerStatus, Standing,
            StorageStatus, TlsStatus, VitalsStatus,
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
        let rows = rows(&[seen(100, 0, 1), unreachable(), seen(130, 0, 2)], &[]);
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
    fn a_rate_is_between_two_rounds_of_one_run_of_the_server() {
        let rate = |now: Seen, before: Seen| rows(&[now], &[before])[0][5].clone();
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
