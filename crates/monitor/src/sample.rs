//! A status for tests, here and in what shows one in another form.

use ipseity_core::{
    identity::Pid,
    words::{
        BoundsStatus, CertificateStatus, CodecStatus, Counters, GrantCounts, Histogram, JoinStatus,
        ObjectionStatus, PeerState, PeerStatus, SpinStatus, Standing, Status, StorageStatus,
        StoreKind, StoreState, StoreStatus, TlsStatus, VitalsStatus, WriteTimes,
    },
};

/// A status in which every part has something to show.
pub fn status() -> Status {
    Status {
        version: "0.1.0\u{1b}[2J".to_owned(),
        cluster: "blue".parse().expect("it is a name"),
        pid: Pid::new(1).expect("it is a pid"),
        incarnation: 0xabc,
        boot: 3,
        session: u64::MAX,
        standing: Standing::Serving,
        sequence: 1000,
        uptime_ms: 3_723_456,
        connections: 2,
        connections_max: 10_000,
        counters: Counters {
            accepted: 12,
            identity_requests: 30,
            identities: 900,
            waited: 1,
            sync_requests: 4,
            sync_replies: 5,
            absorbed: 6,
            errors: vec![(1, 2), (32, 7), (40, 3), (63, 1)],
        },
        storage: StorageStatus {
            durable: true,
            ceiling: 5000,
            skipped: 10,
            writes: 8,
            longest_write_us: 1500,
            current_write_us: 0,
        },
        peers_total: 3,
        peers: vec![
            PeerStatus {
                address: "b:3264".into(),
                pid: Pid::new(2),
                state: PeerState::Up,
                tls: true,
                sequence: 990,
                last_heard_ms: Some(250),
            },
            PeerStatus {
                address: "c:3264".into(),
                pid: None,
                state: PeerState::Connecting,
                tls: false,
                sequence: 0,
                last_heard_ms: None,
            },
        ],
        bounds: BoundsStatus {
            waiting_for_disk: 9,
            log_lines_dropped: 4,
            pending_bytes: 700,
            cut_off: 3,
            refused_for_address: 2,
            closed_idle: 5,
            advance_max: 1 << 40,
        },
        tls: TlsStatus {
            offered: true,
            connections: 2,
            handshakes: 7,
            handshakes_failed: 3,
            handshakes_under_way: 1,
            longest_wait_us: 1250,
            certificates: vec![CertificateStatus {
                purpose: "the certificate of this server".to_owned(),
                name: "a\u{1b}".to_owned(),
                expires_in_s: 3 * 86_400 - 1,
            }],
        },
        vitals: VitalsStatus {
            turns: 640,
            turn_times: Histogram {
                buckets: vec![(10, 6), (1_000_000, 3)],
                above: 1,
                sum_us: 2_000_123,
            },
            mailbox: 5,
            mailbox_max: 77,
            events: vec![(2, 31), (32, 20), (200, 1)],
            codecs: vec![CodecStatus {
                name: "frames".to_owned(),
                identity_requests: 30,
                identity_requests_refused: 7,
                identities: 900,
                connections: GrantCounts {
                    none: 0,
                    take: 0,
                    look: 1,
                    sync: 0,
                    operate: 1,
                },
            }],
            demand_per_second: 400,
            writes: WriteTimes {
                times: Histogram {
                    buckets: vec![(1000, 7), (2500, 1)],
                    above: 0,
                    sum_us: 4_100,
                },
                failed: 1,
            },
            refusals: vec![(1, 3)],
        },
        join: Some(JoinStatus {
            accepted: 1,
            confirmed: 0,
            needed: 2,
        }),
        objection: Some(ObjectionStatus {
            above: 2000,
            peer: "b:3264".to_owned(),
            pid: Pid::new(2),
            reason: "not the newest\u{1b}".to_owned(),
        }),
        store: StoreStatus {
            kind: StoreKind::Etcd,
            state: StoreState::Ready,
            confirmed_us: 20_000_000,
            target: "etcd://a:2379/ipseity".to_owned(),
            answered_us: 3000,
            doubts: 2,
            leases_lost: 1,
            fenced: false,
        },
        spin: SpinStatus {
            spins: 21,
            met: 13,
            took_us: 250,
        },
    }
}
