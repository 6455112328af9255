//! Every message as a value and as its bytes.

use ipseity_core::words::{
    BoundsStatus, CertificateStatus, CodecStatus, Counters, ErrorReply, Forget, Goodbye,
    GrantCounts, Hello, Histogram, Introduction, JoinStatus, KnownLife, Member, Members, Message,
    Objection, ObjectionStatus, Overrule, PeerState, PeerStatus, Probe, SpinStatus, Stage,
    Standing, Status, StorageStatus, StoreKind, StoreState, StoreStatus, SyncMessage, TlsStatus,
    Told, VitalsStatus, Vote, WriteTimes,
};
use ipseity_frames::Receiver;

use super::{Golden, hex, pid};

/// Every message, in each form that it has.
pub fn messages() -> Vec<Golden> {
    let golden = |name, receiver, message, bytes| Golden {
        name,
        receiver,
        message,
        bytes: hex(bytes),
    };
    vec![
        golden(
            "identityRequest",
            Receiver::Server,
            Message::IdentityRequest { count: 1, after: 0 },
            "0001 01",
        ),
        golden(
            "identityRequest-count-after",
            Receiver::Server,
            Message::IdentityRequest {
                count: 3,
                after: 5122,
            },
            "000d 01 00000003 0000000000001402",
        ),
        golden(
            "identityReply",
            Receiver::Client,
            Message::IdentityReply {
                first: 1025,
                count: 1,
            },
            "000d 02 0000000000000401 00000001",
        ),
        golden(
            "identityReply-block",
            Receiver::Client,
            Message::IdentityReply {
                first: 6145,
                count: 3,
            },
            "000d 02 0000000000001801 00000003",
        ),
        golden(
            "syncRequest",
            Receiver::Server,
            Message::SyncRequest(Box::new(sync_message())),
            "0062 03 0002 0000000000000007 69707365697479 0001
             000102030405060708090a0b0c0d0e0f 0000000000000002 1112131415161718 0000000000000005
             02 0000000000000400 01 00 00 1112131415161719 0000000000000000 0000
             0000000000000000",
        ),
        golden(
            "syncReply",
            Receiver::Dialer,
            Message::SyncReply(Box::new(SyncMessage {
                pid: pid(2),
                incarnation: 0x2021_2223_2425_2627_2829_2a2b_2c2d_2e2f,
                boot: 1,
                session: 0x3132_3334_3536_3738,
                sequence: 9,
                told: Told {
                    stage: Stage::Joins,
                    known: Some(KnownLife {
                        boot: 2,
                        session: 0x1112_1314_1516_1718,
                        ceiling: 1024,
                        sequence: 5,
                    }),
                    nonce: 0x3132_3334_3536_3740,
                    heard: 0x1112_1314_1516_1719,
                    refused: 39,
                    votes: Vote::Fenced,
                    ..sync_message().told
                },
                advertise: "10.0.0.2:3264".to_owned(),
                ..sync_message()
            })),
            "008f 04 0002 0000000000000007 69707365697479 0002
             202122232425262728292a2b2c2d2e2f 0000000000000001 3132333435363738 0000000000000009
             00 0000000000000400 02
             01 0000000000000002 1112131415161718 0000000000000400 0000000000000005 00
             3132333435363740 1112131415161719 0027
             000000000000000d 31302e302e302e323a33323634",
        ),
        golden(
            "statusRequest",
            Receiver::Server,
            Message::StatusRequest,
            "0001 05",
        ),
        golden(
            "statusReply",
            Receiver::Client,
            Message::StatusReply(Box::new(status())),
            "035c 06
             0000000000000005 302e312e30  0000000000000007 69707365697479  0001
             000102030405060708090a0b0c0d0e0f 0000000000000002 1112131415161718
             00 0000000000000005 000000000000ee48 00000003 00002710
             000000000000000c 0000000000000007 0000000000000009 0000000000000001
             0000000000000002 0000000000000003 0000000000000001
             0000000000000002  0002 0000000000000001  0020 0000000000000004
             01 0000000000010005 0000000000000000 0000000000000002 00000000000005dc
             0000000000000000
             00000002 0000000000000002
             000000000000000d 31302e302e302e323a33323634 01 0002 03 01 0000000000000009
             01 00000000000000fa
             000000000000000e 632e6578616d706c653a33323634 00 01 00 0000000000000000 00
             0000000000000004 0000000000000011 0000000000001000 0000000000000002
             0000000000000006 0000000000000001 0000010000000000
             01 0000000000000002 0000000000000008 0000000000000003 0000000000000001
             0000000000000384 0000000000000001
             000000000000001e 746865206365727469666963617465206f66207468697320736572766572
             0000000000000009 612e6578616d706c65 0000000000015180
             0000000000000082
             0000000000000002 000000000000000a 0000000000000001 00000000000003e8 0000000000000000
             0000000000000001 00000000000007d7
             0000000000000003 0000000000000028
             0000000000000002 02 0000000000000007 20 000000000000000b
             0000000000000001 0000000000000006 6672616d6573
             0000000000000007 0000000000000004 0000000000000009
             00000000 00000000 00000001 00000000 00000002
             0000000000000006
             0000000000000001 00000000000009c4 0000000000000002 0000000000000000 000000000000076c
             0000000000000000
             0000000000000001 0001 0000000000000005
             01 00000001 00000000 00000002
             01 0000000000000009 000000000000000d 31302e302e302e323a33323634 01 0002
             0000000000000002 6e6f
             02 01 0000000001312d00
             0000000000000015 657463643a2f2f613a323337392f69707365697479
             0000000000000bb8 0000000000000002 0000000000000001 00
             0000000000000009 0000000000000007 000000000000005f",
        ),
        golden(
            "objection",
            Receiver::Dialer,
            Message::Objection(Box::new(Objection {
                pid: pid(2),
                session: 0x3132_3334_3536_3738,
                code: 38,
                sequence: 1000,
                message: "not the newest".to_owned(),
            })),
            "002b 07 0002 3132333435363738 0026 00000000000003e8
             000000000000000e 6e6f7420746865206e6577657374",
        ),
        golden(
            "overrule",
            Receiver::Server,
            Message::Overrule(Box::new(Overrule {
                pid: pid(2),
                incarnation: 0x2021_2223_2425_2627_2829_2a2b_2c2d_2e2f,
                session: 0x3132_3334_3536_3738,
                above: 5000,
            })),
            "0023 08 0002 202122232425262728292a2b2c2d2e2f 3132333435363738 0000000000001388",
        ),
        golden(
            "probe",
            Receiver::Dialer,
            Message::Probe(probe()),
            "0013 0e 0002 3132333435363738 1112131415161720",
        ),
        golden(
            "alive",
            Receiver::Server,
            Message::Alive(probe()),
            "0013 0f 0002 3132333435363738 1112131415161720",
        ),
        golden(
            "goodbye",
            Receiver::Server,
            Message::Goodbye(Goodbye {
                pid: pid(2),
                session: 0x3132_3334_3536_3738,
                served: true,
            }),
            "000c 10 0002 3132333435363738 01",
        ),
        golden(
            "membersRequest",
            Receiver::Server,
            Message::MembersRequest { from: pid(0) },
            "0003 09 0000",
        ),
        golden(
            "membersReply",
            Receiver::Client,
            Message::MembersReply(Box::new(members())),
            "008c 0a
             00000003 0000000000000002
             0002 202122232425262728292a2b2c2d2e2f 0000000000000001 3132333435363738
             0000000000000009 000000000000000d 31302e302e302e323a33323634
             01 00000000000000fa 0026
             0003 404142434445464748494a4b4c4d4e4f 0000000000000005 5152535455565758
             0000000000000007 0000000000000000 00 0000",
        ),
        golden(
            "forgetRequest",
            Receiver::Server,
            Message::ForgetRequest {
                what: Forget::All(pid(3)),
            },
            "0004 0b 00 0003",
        ),
        golden(
            "forgetRequest-never-served",
            Receiver::Server,
            Message::ForgetRequest {
                what: Forget::NeverServed(pid(3)),
            },
            "0004 0b 01 0003",
        ),
        golden(
            "forgetRequest-all-never-served",
            Receiver::Server,
            Message::ForgetRequest {
                what: Forget::AllNeverServed,
            },
            "0004 0b 02 0000",
        ),
        golden(
            "advanceRequest",
            Receiver::Server,
            Message::AdvanceRequest { above: 1_000_000 },
            "0009 0c 00000000000f4240",
        ),
        golden(
            "doneReply",
            Receiver::Client,
            Message::DoneReply {
                sequence: 1_000_000,
            },
            "0009 0d 00000000000f4240",
        ),
        golden(
            "helloRequest",
            Receiver::Server,
            Message::HelloRequest(Box::new(Hello {
                cluster: Some("ipseity".parse().unwrap()),
            })),
            "0010 11 0000000000000007 69707365697479",
        ),
        golden(
            "helloRequest-any",
            Receiver::Server,
            Message::HelloRequest(Box::new(Hello { cluster: None })),
            "0009 11 0000000000000000",
        ),
        golden(
            "helloReply",
            Receiver::Client,
            Message::HelloReply(Box::new(Introduction {
                cluster: "ipseity".parse().unwrap(),
                version: "0.1.0".to_owned(),
                wire_version: 2,
                count_max: 1000,
                pid: pid(1),
                standing: Standing::Serving,
            })),
            "0026 12 0000000000000007 69707365697479 0000000000000005 302e312e30
             0002 000003e8 0001 00",
        ),
        golden(
            "errorReply",
            Receiver::Client,
            Message::ErrorReply(Box::new(ErrorReply {
                code: 34,
                message: "exhausted".to_owned(),
            })),
            "0014 ff 0022 0000000000000009 657868617573746564",
        ),
    ]
}

/// The status in `messages`, as a value.
pub fn status() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        cluster: "ipseity".parse().unwrap(),
        pid: pid(1),
        incarnation: sync_message().incarnation,
        boot: 2,
        session: sync_message().session,
        standing: Standing::Serving,
        sequence: 5,
        uptime_ms: 61_000,
        connections: 3,
        connections_max: 10_000,
        counters: Counters {
            accepted: 12,
            identity_requests: 7,
            identities: 9,
            waited: 1,
            sync_requests: 2,
            sync_replies: 3,
            absorbed: 1,
            errors: vec![(2, 1), (32, 4)],
        },
        storage: StorageStatus {
            durable: true,
            ceiling: 65_541,
            skipped: 0,
            writes: 2,
            longest_write_us: 1_500,
            current_write_us: 0,
        },
        peers_total: 2,
        peers: vec![
            PeerStatus {
                address: "10.0.0.2:3264".into(),
                pid: Some(pid(2)),
                state: PeerState::Up,
                tls: true,
                sequence: 9,
                last_heard_ms: Some(250),
            },
            PeerStatus {
                address: "c.example:3264".into(),
                pid: None,
                state: PeerState::Connecting,
                tls: false,
                sequence: 0,
                last_heard_ms: None,
            },
        ],
        bounds: BoundsStatus {
            waiting_for_disk: 4,
            log_lines_dropped: 17,
            pending_bytes: 4096,
            cut_off: 2,
            refused_for_address: 6,
            closed_idle: 1,
            advance_max: 1 << 40,
        },
        tls: TlsStatus {
            offered: true,
            connections: 2,
            handshakes: 8,
            handshakes_failed: 3,
            handshakes_under_way: 1,
            longest_wait_us: 900,
            certificates: vec![CertificateStatus {
                purpose: "the certificate of this server".to_owned(),
                name: "a.example".to_owned(),
                expires_in_s: 86_400,
            }],
        },
        vitals: VitalsStatus {
            turns: 130,
            turn_times: Histogram {
                buckets: vec![(10, 1), (1000, 0)],
                above: 1,
                sum_us: 2007,
            },
            mailbox: 3,
            mailbox_max: 40,
            events: vec![(2, 7), (32, 11)],
            codecs: vec![CodecStatus {
                name: "frames".to_owned(),
                identity_requests: 7,
                identity_requests_refused: 4,
                identities: 9,
                connections: GrantCounts {
                    none: 0,
                    take: 0,
                    look: 1,
                    sync: 0,
                    operate: 2,
                },
            }],
            demand_per_second: 6,
            writes: WriteTimes {
                times: Histogram {
                    buckets: vec![(2500, 2)],
                    above: 0,
                    sum_us: 1_900,
                },
                failed: 0,
            },
            refusals: vec![(1, 5)],
        },
        join: Some(JoinStatus {
            accepted: 1,
            confirmed: 0,
            needed: 2,
        }),
        objection: Some(ObjectionStatus {
            above: 9,
            peer: "10.0.0.2:3264".to_owned(),
            pid: Some(pid(2)),
            reason: "no".to_owned(),
        }),
        store: StoreStatus {
            kind: StoreKind::Etcd,
            state: StoreState::InDoubt,
            confirmed_us: 20_000_000,
            target: "etcd://a:2379/ipseity".to_owned(),
            answered_us: 3000,
            doubts: 2,
            leases_lost: 1,
            fenced: false,
        },
        spin: SpinStatus {
            spins: 9,
            met: 7,
            took_us: 95,
        },
    }
}

/// The probe in `messages`, as a value.
fn probe() -> Probe {
    Probe {
        pid: pid(2),
        session: 0x3132_3334_3536_3738,
        nonce: 0x1112_1314_1516_1720,
    }
}

/// The syncRequest in `messages`, as a value.
pub fn sync_message() -> SyncMessage {
    SyncMessage {
        version: 2,
        cluster: "ipseity".parse().unwrap(),
        pid: pid(1),
        incarnation: 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f,
        boot: 2,
        session: 0x1112_1314_1516_1718,
        sequence: 5,
        told: Told {
            stage: Stage::Serves,
            ceiling: 1024,
            votes: Vote::Counts,
            known: None,
            claimed: None,
            nonce: 0x1112_1314_1516_1719,
            heard: 0,
            refused: 0,
        },
        advertise: String::new(),
    }
}

/// The members in `messages`, as a value.
pub fn members() -> Members {
    Members {
        total: 3,
        members: vec![
            Member {
                pid: pid(2),
                incarnation: 0x2021_2223_2425_2627_2829_2a2b_2c2d_2e2f,
                boot: 1,
                session: 0x3132_3334_3536_3738,
                sequence: 9,
                address: "10.0.0.2:3264".into(),
                last_heard_ms: Some(250),
                objection: 38,
            },
            Member {
                pid: pid(3),
                incarnation: 0x4041_4243_4445_4647_4849_4a4b_4c4d_4e4f,
                boot: 5,
                session: 0x5152_5354_5556_5758,
                sequence: 7,
                address: "".into(),
                last_heard_ms: None,
                objection: 0,
            },
        ],
    }
}
