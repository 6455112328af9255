//! The golden frames: every message as a value and as its bytes, and every malformed input with the
//! errorReply that answers it. The bytes are written down here, never made by the code under test.

// Each test file uses a part of this.
#![allow(dead_code)]

use ipseity::{
    identity::Pid,
    wire::{
        Counters, ErrorReply, Kind, Message, PeerState, PeerStatus, Receiver, Standing, Status,
        StorageStatus, SyncMessage, WireError,
    },
};

/// A message, who reads it, and its bytes.
pub struct Golden {
    /// The name that docs/protocol.md shows it under.
    pub name: &'static str,
    pub receiver: Receiver,
    pub message: Message,
    pub bytes: Vec<u8>,
}

/// Bytes that are refused, and how.
pub struct Malformed {
    /// The name that docs/protocol.md shows it under; the answer stands there as `NAME-answer`.
    pub name: &'static str,
    pub receiver: Receiver,
    pub bytes: Vec<u8>,
    pub error: WireError,
    /// How many of the bytes have to arrive for the error to be found.
    pub judged_at: usize,
    /// The code and the text of the answer.
    pub code: u16,
    pub text: &'static str,
}

impl Malformed {
    /// The errorReply that answers it, put together by hand.
    pub fn answer(&self) -> Vec<u8> {
        error_reply(self.code, self.text)
    }
}

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
            "003c 03 0001 0000000000000007 69707365697479 0001
             000102030405060708090a0b0c0d0e0f 0000000000000002 1112131415161718 0000000000000005",
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
                ..sync_message()
            })),
            "003c 04 0001 0000000000000007 69707365697479 0002
             202122232425262728292a2b2c2d2e2f 0000000000000001 3132333435363738 0000000000000009",
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
            "012c 06
             0000000000000005 302e312e30  0000000000000007 69707365697479  0001
             000102030405060708090a0b0c0d0e0f 0000000000000002 1112131415161718
             00 0000000000000005 000000000000ee48 00000003 00002710
             000000000000000c 0000000000000007 0000000000000009 0000000000000001
             0000000000000002 0000000000000003 0000000000000001
             0000000000000002  0002 0000000000000001  0020 0000000000000004
             01 0000000000010005 0000000000000000 0000000000000002 00000000000005dc
             0000000000000000
             00000002 0000000000000002
             000000000000000d 31302e302e302e323a33323634 01 0002 03 0000000000000009
             01 00000000000000fa
             000000000000000e 632e6578616d706c653a33323634 00 01 0000000000000000 00",
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

/// The malformed inputs that docs/protocol.md shows byte by byte, as a server meets them.
pub fn malformed() -> Vec<Malformed> {
    let judged = |judged_at, name, bytes, error, code, text| Malformed {
        name,
        receiver: Receiver::Server,
        bytes: hex(bytes),
        error,
        judged_at,
        code,
        text,
    };
    let kind = Kind::SyncRequest;
    vec![
        judged(
            3,
            "unknownKind",
            "0001 07",
            WireError::UnknownKind(7),
            1,
            "unknown kind 7",
        ),
        judged(
            3,
            "replyToServer",
            "000d 02 0000000000000401 00000001",
            WireError::UnexpectedKind(Kind::IdentityReply),
            1,
            "kind 2 (identityReply) is not taken on this side of a connection",
        ),
        judged(
            2,
            "lengthZero",
            "0000",
            WireError::EmptyFrame,
            2,
            "frame length 0: a frame has at least its kind byte",
        ),
        judged(
            3,
            "badLength",
            "0005 01 00000001",
            WireError::BadLength {
                kind: Kind::IdentityRequest,
                length: 5,
            },
            2,
            "frame length 5: that of identityRequest is 1 or 13",
        ),
        judged(
            2,
            "tooLong",
            "0401 03",
            WireError::FrameTooLong {
                length: 1025,
                length_max: 1024,
            },
            2,
            "frame length 1025: the longest frame taken here has 1024",
        ),
        judged(
            58,
            "badBody",
            "0038 03 0001 0000000000000003 656173 0400
             000102030405060708090a0b0c0d0e0f 0000000000000002 1112131415161718 0000000000000005",
            WireError::BadBody {
                kind,
                reason: "pid 1024 is beyond the last, 1023".to_owned(),
            },
            3,
            "the body of syncRequest does not decode: pid 1024 is beyond the last, 1023",
        ),
        judged(
            60,
            "leftOver",
            "003a 03 0001 0000000000000003 656173 0001
             000102030405060708090a0b0c0d0e0f 0000000000000002 1112131415161718 0000000000000005
             0000",
            WireError::LeftOver { kind, bytes: 2 },
            3,
            "the body of syncRequest has 2 bytes more than its fields",
        ),
        judged(
            5,
            "foreignVersion",
            "0003 03 0002",
            WireError::ForeignVersion { kind, version: 2 },
            65,
            "syncRequest of version 2: this server speaks version 1",
        ),
    ]
}

/// Frames that are begun and never completed: the same bytes, of a sender that closes and of one that
/// falls silent.
pub fn unfinished() -> Vec<Malformed> {
    let bytes = hex("000d 01 0000");
    vec![
        Malformed {
            name: "incomplete",
            receiver: Receiver::Server,
            error: WireError::Incomplete { bytes: bytes.len() },
            judged_at: usize::MAX,
            code: 4,
            text: "the connection was closed 5 bytes into a frame",
            bytes: bytes.clone(),
        },
        Malformed {
            name: "stalled",
            receiver: Receiver::Server,
            error: WireError::Stalled {
                bytes: bytes.len(),
                timeout_ms: 10_000,
            },
            judged_at: usize::MAX,
            code: 4,
            text: "only 5 bytes of a frame arrived within 10000 ms",
            bytes,
        },
    ]
}

/// More inputs that are refused. docs/protocol.md quotes the text of each that a server may meet.
pub fn malformed_too() -> Vec<Malformed> {
    fn malformed(
        receiver: Receiver,
        judged_at: usize,
        bytes: &str,
        error: WireError,
        code: u16,
        text: &'static str,
    ) -> Malformed {
        let bytes = hex(bytes);
        Malformed {
            name: text,
            receiver,
            judged_at: judged_at.min(bytes.len()),
            bytes,
            error,
            code,
            text,
        }
    }
    /// A whole frame whose body does not decode.
    fn bad_body(receiver: Receiver, bytes: &str, kind: Kind, text: &'static str) -> Malformed {
        let (_, reason) = text.split_once("does not decode: ").unwrap();
        let reason = reason.to_owned();
        let error = WireError::BadBody { kind, reason };
        malformed(receiver, usize::MAX, bytes, error, 3, text)
    }
    /// The golden statusReply with another byte at `offset`.
    fn bad_status(offset: usize, byte: u8, text: &'static str) -> Malformed {
        let golden = messages()
            .into_iter()
            .find(|golden| golden.name == "statusReply");
        let mut bytes = golden.unwrap().bytes;
        bytes[offset] = byte;
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        bad_body(Receiver::Client, &digits, Kind::StatusReply, text)
    }
    let sync = Kind::SyncRequest;
    let rest_of_sync = "0001 000102030405060708090a0b0c0d0e0f
        0000000000000002 1112131415161718 0000000000000005";
    vec![
        // A TLS ClientHello, whose first byte is 0x16, and the beginning of a GET.
        malformed(
            Receiver::Server,
            2,
            "1603 01 0200",
            WireError::FrameTooLong {
                length: 5635,
                length_max: 1024,
            },
            2,
            "frame length 5635: the longest frame taken here has 1024",
        ),
        malformed(
            Receiver::Server,
            2,
            "4745 54 202f",
            WireError::FrameTooLong {
                length: 18245,
                length_max: 1024,
            },
            2,
            "frame length 18245: the longest frame taken here has 1024",
        ),
        malformed(
            Receiver::Server,
            3,
            "0002 05 00",
            WireError::BadLength {
                kind: Kind::StatusRequest,
                length: 2,
            },
            2,
            "frame length 2: that of statusRequest is 1",
        ),
        malformed(
            Receiver::Server,
            3,
            "0002 03 00",
            WireError::BadLength {
                kind: sync,
                length: 2,
            },
            2,
            "frame length 2: that of syncRequest is 3 to 1024",
        ),
        malformed(
            Receiver::Server,
            3,
            "000b ff 0022 0000000000000000",
            WireError::UnexpectedKind(Kind::ErrorReply),
            1,
            "kind 255 (errorReply) is not taken on this side of a connection",
        ),
        malformed(
            Receiver::Server,
            usize::MAX,
            "0009 03 0003 000000000000",
            WireError::ForeignVersion {
                kind: sync,
                version: 3,
            },
            65,
            "syncRequest of version 3: this server speaks version 1",
        ),
        malformed(
            Receiver::Server,
            usize::MAX,
            &format!("0037 03 0001 0000000000000001 78 {rest_of_sync} 00"),
            WireError::LeftOver {
                kind: sync,
                bytes: 1,
            },
            3,
            "the body of syncRequest has 1 byte more than its fields",
        ),
        bad_body(
            Receiver::Server,
            "0003 03 0001",
            sync,
            "the body of syncRequest does not decode: a field needs 8 bytes more",
        ),
        bad_body(
            Receiver::Server,
            "000c 03 0001 0000000000000002 78",
            sync,
            "the body of syncRequest does not decode: a field needs 1 byte more",
        ),
        bad_body(
            Receiver::Server,
            "000c 03 0001 ffffffffffffffff 78",
            sync,
            "the body of syncRequest does not decode: a length in it is over the limit",
        ),
        bad_body(
            Receiver::Server,
            &format!("0036 03 0001 0000000000000001 ff {rest_of_sync}"),
            sync,
            "the body of syncRequest does not decode: a text in it is not UTF-8",
        ),
        bad_body(
            Receiver::Server,
            &format!("0035 03 0001 0000000000000000 {rest_of_sync}"),
            sync,
            "the body of syncRequest does not decode: \
             a cluster name has 1 to 255 bytes, this one has 0",
        ),
        bad_body(
            Receiver::Server,
            &format!(
                "0135 03 0001 0000000000000100 {} {rest_of_sync}",
                "78".repeat(256)
            ),
            sync,
            "the body of syncRequest does not decode: \
             a cluster name has 1 to 255 bytes, this one has 256",
        ),
        bad_body(
            Receiver::Server,
            &format!("0036 03 0001 0000000000000001 0a {rest_of_sync}"),
            sync,
            "the body of syncRequest does not decode: a cluster name holds no control characters",
        ),
        // What a client and a dialing server refuse.
        malformed(
            Receiver::Client,
            3,
            "0001 01",
            WireError::UnexpectedKind(Kind::IdentityRequest),
            1,
            "kind 1 (identityRequest) is not taken on this side of a connection",
        ),
        malformed(
            Receiver::Dialer,
            3,
            "000d 02 0000000000000401 00000001",
            WireError::UnexpectedKind(Kind::IdentityReply),
            1,
            "kind 2 (identityReply) is not taken on this side of a connection",
        ),
        malformed(
            Receiver::Client,
            3,
            "000e 02 0000000000000401 00000001 00",
            WireError::BadLength {
                kind: Kind::IdentityReply,
                length: 14,
            },
            2,
            "frame length 14: that of identityReply is 13",
        ),
        malformed(
            Receiver::Client,
            3,
            "00c1 06",
            WireError::BadLength {
                kind: Kind::StatusReply,
                length: 193,
            },
            2,
            "frame length 193: that of statusReply is 194 to 65535",
        ),
        malformed(
            Receiver::Client,
            3,
            "020c ff",
            WireError::BadLength {
                kind: Kind::ErrorReply,
                length: 524,
            },
            2,
            "frame length 524: that of errorReply is 11 to 523",
        ),
        malformed(
            Receiver::Client,
            usize::MAX,
            "0010 ff 0022 0000000000000003 61626364 00",
            WireError::LeftOver {
                kind: Kind::ErrorReply,
                bytes: 2,
            },
            3,
            "the body of errorReply has 2 bytes more than its fields",
        ),
        bad_status(
            65,
            9,
            "the body of statusReply does not decode: 9 is no standing",
        ),
        bad_status(
            174,
            2,
            "the body of statusReply does not decode: a boolean in it is 2",
        ),
        bad_status(
            248,
            3,
            "the body of statusReply does not decode: an option in it begins with 3",
        ),
        bad_status(
            251,
            5,
            "the body of statusReply does not decode: 5 is no state of a peer",
        ),
    ]
}

/// The status of `messages`, as a value.
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
                address: "10.0.0.2:3264".to_owned(),
                pid: Some(pid(2)),
                state: PeerState::Up,
                sequence: 9,
                last_heard_ms: Some(250),
            },
            PeerStatus {
                address: "c.example:3264".to_owned(),
                pid: None,
                state: PeerState::Connecting,
                sequence: 0,
                last_heard_ms: None,
            },
        ],
    }
}

/// The syncRequest of `messages`, as a value.
pub fn sync_message() -> SyncMessage {
    SyncMessage {
        version: 1,
        cluster: "ipseity".parse().unwrap(),
        pid: pid(1),
        incarnation: 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f,
        boot: 2,
        session: 0x1112_1314_1516_1718,
        sequence: 5,
    }
}

/// An errorReply, put together by hand.
pub fn error_reply(code: u16, text: &str) -> Vec<u8> {
    let length = u16::try_from(1 + 2 + 8 + text.len()).unwrap();
    let mut bytes = Vec::new();
    bytes.extend(length.to_be_bytes());
    bytes.push(255);
    bytes.extend(code.to_be_bytes());
    bytes.extend((text.len() as u64).to_be_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// Reads hexadecimal digits; spaces and line ends between them are for people.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "half a byte in {text:?}");
    digits
        .chunks(2)
        .map(|pair| {
            let byte = String::from_iter(pair);
            u8::from_str_radix(&byte, 16).unwrap_or_else(|_| panic!("{byte:?} is no byte"))
        })
        .collect()
}

fn pid(value: u16) -> Pid {
    Pid::new(value).unwrap()
}
