//! Every malformed input with the errorReply that answers it.

use ipseity_frames::{Kind, Receiver, WireError};

use super::{Malformed, hex, messages};

/// The malformed inputs of a server that docs/protocol.md shows byte by byte.
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
            "0001 63",
            WireError::UnknownKind(99),
            1,
            "unknown kind 99",
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
            "frame length 5: identityRequest needs 1 or 13",
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
            96,
            "badBody",
            "005e 03 0002 0000000000000003 656173 0400
             000102030405060708090a0b0c0d0e0f 0000000000000002 1112131415161718 0000000000000005
             02 0000000000000000 00 00 00 0000000000000000 0000000000000000 0000
             0000000000000000",
            WireError::BadBody {
                kind,
                reason: "pid 1024 is beyond the last, 1023".to_owned(),
            },
            3,
            "the body of syncRequest does not decode: pid 1024 is beyond the last, 1023",
        ),
        judged(
            98,
            "leftOver",
            "0060 03 0002 0000000000000003 656173 0001
             000102030405060708090a0b0c0d0e0f 0000000000000002 1112131415161718 0000000000000005
             02 0000000000000000 00 00 00 0000000000000000 0000000000000000 0000
             0000000000000000 0000",
            WireError::LeftOver { kind, bytes: 2 },
            3,
            "the body of syncRequest has 2 bytes more than its fields",
        ),
        judged(
            5,
            "foreignVersion",
            "0003 03 0003",
            WireError::ForeignVersion { kind, version: 3 },
            65,
            "syncRequest of version 3: this server speaks version 2; upgrade the one with the lower version",
        ),
    ]
}

/// Frames that begin and never end: the same bytes, once from a sender that closes and once from one that falls
/// silent.
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

/// More malformed inputs. docs/protocol.md quotes the error text of each one that a server may get.
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
        0000000000000002 1112131415161718 0000000000000005
        02 0000000000000000 00 00 00 0000000000000000 0000000000000000 0000
        0000000000000000";
    vec![
        // Text that is not HTTP.
        malformed(
            Receiver::Server,
            2,
            "4142 43 4445",
            WireError::FrameTooLong {
                length: 16706,
                length_max: 1024,
            },
            2,
            "frame length 16706: the longest frame taken here has 1024",
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
            "frame length 2: statusRequest needs 1",
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
            "frame length 2: syncRequest needs 3 to 1024",
        ),
        malformed(
            Receiver::Server,
            3,
            "0002 07 00",
            WireError::BadLength {
                kind: Kind::Objection,
                length: 2,
            },
            2,
            "frame length 2: objection needs 29 to 541",
        ),
        malformed(
            Receiver::Server,
            3,
            "0002 08 00",
            WireError::BadLength {
                kind: Kind::Overrule,
                length: 2,
            },
            2,
            "frame length 2: overrule needs 35",
        ),
        malformed(
            Receiver::Server,
            3,
            "0002 09 00",
            WireError::BadLength {
                kind: Kind::MembersRequest,
                length: 2,
            },
            2,
            "frame length 2: membersRequest needs 3",
        ),
        malformed(
            Receiver::Server,
            3,
            "0002 0b 00",
            WireError::BadLength {
                kind: Kind::ForgetRequest,
                length: 2,
            },
            2,
            "frame length 2: forgetRequest needs 4",
        ),
        malformed(
            Receiver::Server,
            3,
            "0002 0c 00",
            WireError::BadLength {
                kind: Kind::AdvanceRequest,
                length: 2,
            },
            2,
            "frame length 2: advanceRequest needs 9",
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
            "syncRequest of version 3: this server speaks version 2; upgrade the one with the lower version",
        ),
        malformed(
            Receiver::Server,
            usize::MAX,
            &format!("005d 03 0002 0000000000000001 78 {rest_of_sync} 00"),
            WireError::LeftOver {
                kind: sync,
                bytes: 1,
            },
            3,
            "the body of syncRequest has 1 byte more than its fields",
        ),
        bad_body(
            Receiver::Server,
            "0003 03 0002",
            sync,
            "the body of syncRequest does not decode: a field needs 8 bytes more",
        ),
        bad_body(
            Receiver::Server,
            "000c 03 0002 0000000000000002 78",
            sync,
            "the body of syncRequest does not decode: a field needs 1 byte more",
        ),
        bad_body(
            Receiver::Server,
            "000c 03 0002 ffffffffffffffff 78",
            sync,
            "the body of syncRequest does not decode: a length in it is over the limit",
        ),
        bad_body(
            Receiver::Server,
            &format!("005c 03 0002 0000000000000001 ff {rest_of_sync}"),
            sync,
            "the body of syncRequest does not decode: a text in it is not UTF-8",
        ),
        bad_body(
            Receiver::Server,
            &format!("005b 03 0002 0000000000000000 {rest_of_sync}"),
            sync,
            "the body of syncRequest does not decode: \
             a cluster name has 1 to 255 bytes, this one has 0",
        ),
        bad_body(
            Receiver::Server,
            &format!(
                "015b 03 0002 0000000000000100 {} {rest_of_sync}",
                "78".repeat(256)
            ),
            sync,
            "the body of syncRequest does not decode: \
             a cluster name has 1 to 255 bytes, this one has 256",
        ),
        bad_body(
            Receiver::Server,
            &format!("005c 03 0002 0000000000000001 0a {rest_of_sync}"),
            sync,
            "the body of syncRequest does not decode: a cluster name holds no control characters",
        ),
        bad_body(
            Receiver::Server,
            "001d 07 0400 3132333435363738 0026 00000000000003e8 0000000000000000",
            Kind::Objection,
            "the body of objection does not decode: pid 1024 is beyond the last, 1023",
        ),
        bad_body(
            Receiver::Server,
            "001e 07 0002 3132333435363738 0026 00000000000003e8 0000000000000002 78",
            Kind::Objection,
            "the body of objection does not decode: a field needs 1 byte more",
        ),
        bad_body(
            Receiver::Server,
            "001e 07 0002 3132333435363738 0026 00000000000003e8 ffffffffffffffff 78",
            Kind::Objection,
            "the body of objection does not decode: a length in it is over the limit",
        ),
        bad_body(
            Receiver::Server,
            "001e 07 0002 3132333435363738 0026 00000000000003e8 0000000000000001 ff",
            Kind::Objection,
            "the body of objection does not decode: a text in it is not UTF-8",
        ),
        malformed(
            Receiver::Server,
            usize::MAX,
            "001e 07 0002 3132333435363738 0026 00000000000003e8 0000000000000000 78",
            WireError::LeftOver {
                kind: Kind::Objection,
                bytes: 1,
            },
            3,
            "the body of objection has 1 byte more than its fields",
        ),
        bad_body(
            Receiver::Server,
            "0023 08 0400 202122232425262728292a2b2c2d2e2f 3132333435363738 0000000000001388",
            Kind::Overrule,
            "the body of overrule does not decode: pid 1024 is beyond the last, 1023",
        ),
        bad_body(
            Receiver::Server,
            "0003 09 0400",
            Kind::MembersRequest,
            "the body of membersRequest does not decode: pid 1024 is beyond the last, 1023",
        ),
        bad_body(
            Receiver::Server,
            "0004 0b 00 0400",
            Kind::ForgetRequest,
            "the body of forgetRequest does not decode: pid 1024 is beyond the last, 1023",
        ),
        bad_body(
            Receiver::Server,
            "0004 0b 02 0003",
            Kind::ForgetRequest,
            "the body of forgetRequest does not decode: all pids are meant, and pid 3 is named",
        ),
        bad_body(
            Receiver::Server,
            "0004 0b 03 0003",
            Kind::ForgetRequest,
            "the body of forgetRequest does not decode: 3 is nothing that can be forgotten",
        ),
        // Inputs that a client or a dialing server refuses.
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
            "frame length 14: identityReply needs 13",
        ),
        malformed(
            Receiver::Client,
            3,
            "01df 06",
            WireError::BadLength {
                kind: Kind::StatusReply,
                length: 479,
            },
            2,
            "frame length 479: statusReply needs 480 to 65535",
        ),
        malformed(
            Receiver::Client,
            3,
            "000c 0a",
            WireError::BadLength {
                kind: Kind::MembersReply,
                length: 12,
            },
            2,
            "frame length 12: membersReply needs 13 to 65535",
        ),
        malformed(
            Receiver::Client,
            3,
            "0008 0d",
            WireError::BadLength {
                kind: Kind::DoneReply,
                length: 8,
            },
            2,
            "frame length 8: doneReply needs 9",
        ),
        malformed(
            Receiver::Client,
            3,
            "002b 07 0002",
            WireError::UnexpectedKind(Kind::Objection),
            1,
            "kind 7 (objection) is not taken on this side of a connection",
        ),
        malformed(
            Receiver::Dialer,
            3,
            "0003 09 0000",
            WireError::UnexpectedKind(Kind::MembersRequest),
            1,
            "kind 9 (membersRequest) is not taken on this side of a connection",
        ),
        bad_body(
            Receiver::Client,
            "0042 0a 00000001 0000000000000001
             0002 202122232425262728292a2b2c2d2e2f 0000000000000001 3132333435363738
             0000000000000009 0000000000000000 02 0000",
            Kind::MembersReply,
            "the body of membersReply does not decode: an option in it begins with 2",
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
            "frame length 524: errorReply needs 11 to 523",
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
            "the body of statusReply does not decode: 9 is not a standing",
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
            "the body of statusReply does not decode: 5 is not the state of a peer",
        ),
    ]
}
