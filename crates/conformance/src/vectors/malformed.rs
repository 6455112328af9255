//! Bytes that a client must refuse, and why.

use serde_json::{Value, json};

use super::File;
use crate::message::{hex, unhex};

/// The lengths in strings are 8 bytes.
const HELLO: &str =
    "0026 12 0000000000000007 69707365697479 0000000000000005 302e312e30 0002 000003e8 0001 00";

const ERROR: &str = "0014 ff 0022 0000000000000009 657868617573746564";

pub(super) fn file() -> File {
    let mut list = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>, why: &str| {
        list.push(json!({"name": name, "bytes": hex(&bytes), "why": why}));
    };
    for (name, digits, why) in BY_HAND {
        add(name, bytes(digits), why);
    }
    for (name, whole, end, why) in CUT {
        let whole = bytes(whole);
        add(name, whole[..whole.len() - end].to_vec(), why);
    }
    for (name, from, to, whole, why) in CHANGED {
        let changed = whole.replacen(from, to, 1);
        assert_ne!(changed, *whole, "{name} changes nothing");
        add(name, bytes(&changed), why);
    }
    add(
        "errorReply-text-513",
        text_frame("ff 0022", 513),
        "the text of an errorReply has at most 512 bytes, so its length is at most 523",
    );
    add(
        "helloReply-cluster-256",
        hello_with(&[b'a'; 256], b"0.1.0"),
        "the name of a cluster has at most 255 bytes",
    );
    add(
        "helloReply-version-65",
        hello_with(b"ipseity", &[b'1'; 65]),
        "a version has at most 64 bytes",
    );
    let vectors: Vec<Value> = list;
    File {
        name: "malformed.json",
        about: "Bytes of one frame each that a client must refuse with an error of class protocol, and why. A client \
                takes identityReply, helloReply and errorReply.",
        lists: vec![("malformed", vectors)],
    }
}

/// Frames that are wrong as a whole.
const BY_HAND: &[(&str, &str, &str)] = &[
    ("length-0", "0000", "a frame has at least its kind"),
    ("kind-0", "0001 00", "no message has kind 0"),
    ("kind-99", "0001 63", "no message has kind 99"),
    ("kind-254", "0001 fe", "no message has kind 254"),
    (
        "identityRequest",
        "0001 01",
        "a server sends no identityRequest",
    ),
    (
        "identityRequest-long",
        "000d 01 00000001 0000000000000000",
        "a server sends no identityRequest",
    ),
    (
        "helloRequest",
        "0009 11 0000000000000000",
        "a server sends no helloRequest",
    ),
    (
        "statusRequest",
        "0001 05",
        "a server sends no statusRequest",
    ),
    (
        "objection",
        "002b 07 0002 3132333435363738 0026 00000000000003e8 000000000000000e 6e6f7420746865206e6577657374",
        "only peers send an objection, and a client never gets one",
    ),
    (
        "alive",
        "0013 0f 0002 3132333435363738 1112131415161720",
        "only peers send an alive, and a client never gets one",
    ),
    (
        "identityReply-empty",
        "0001 02",
        "an identityReply has length 13",
    ),
    (
        "identityReply-short",
        "000c 02 0000000000000401 000000",
        "an identityReply has length 13",
    ),
    (
        "identityReply-long",
        "000e 02 0000000000000401 00000001 00",
        "an identityReply has length 13",
    ),
    (
        "identityReply-longest",
        "ffff 02",
        "an identityReply has length 13, and nobody waits for more",
    ),
    (
        "errorReply-empty",
        "0001 ff",
        "an errorReply has a length of 11 or more",
    ),
    (
        "errorReply-short",
        "000a ff 0022 00000000000000",
        "an errorReply has a length of 11 or more",
    ),
    (
        "errorReply-too-long",
        "020c ff",
        "an errorReply has a length of 523 or less, and nobody waits for more",
    ),
    (
        "helloReply-short",
        "001a 12 0000000000000001 61 0000000000000000 0002 000003e8 0001",
        "a helloReply has a length of 27 or more",
    ),
    (
        "helloReply-too-long",
        "015a 12",
        "a helloReply has a length of 345 or less, and nobody waits for more",
    ),
    (
        "helloReply-no-cluster",
        "001b 12 0000000000000000 0000000000000001 31 0002 000003e8 0001 00",
        "the name of a cluster has at least 1 byte",
    ),
];

/// Frames that are cut off: how many bytes are missing at their end.
const CUT: &[(&str, &str, usize, &str)] = &[
    (
        "identityReply-cut",
        "000d 02 0000000000000401 00000001",
        1,
        "it ends before its length says so",
    ),
    (
        "identityReply-only-length",
        "000d 02",
        1,
        "it ends before its kind",
    ),
    (
        "helloReply-cut",
        HELLO,
        1,
        "it ends before its length says so",
    ),
    (
        "errorReply-cut",
        ERROR,
        9,
        "it ends before its length says so",
    ),
];

/// What is changed in a good frame.
const CHANGED: &[(&str, &str, &str, &str, &str)] = &[
    (
        "errorReply-text-too-long",
        "0000000000000009",
        "000000000000000a",
        ERROR,
        "the text of the message goes beyond the frame",
    ),
    (
        "errorReply-left-over",
        "0000000000000009",
        "0000000000000008",
        ERROR,
        "a byte is left over behind the last field",
    ),
    (
        "errorReply-text-huge",
        "0000000000000009",
        "7fffffffffffffff",
        ERROR,
        "the text of the message claims to have 2^63 - 1 bytes; nobody may reserve memory for it",
    ),
    (
        "errorReply-text-negative",
        "0000000000000009",
        "ffffffffffffffff",
        ERROR,
        "the text of the message claims to have 2^64 - 1 bytes, which is -1 for some languages",
    ),
    (
        "errorReply-text-2^32",
        "0000000000000009",
        "0000000100000009",
        ERROR,
        "the text of the message claims to have 2^32 + 9 bytes, which is 9 for those who look at 32 bits",
    ),
    (
        "errorReply-not-utf-8",
        "657868",
        "65ff68",
        ERROR,
        "the text of the message is not UTF-8",
    ),
    (
        "errorReply-surrogate",
        "657868",
        "eda080",
        ERROR,
        "the text of the message has a surrogate, which is not UTF-8",
    ),
    (
        "helloReply-cluster-too-long",
        "0000000000000007",
        "0000000000000027",
        HELLO,
        "the name of the cluster goes beyond the frame",
    ),
    (
        "helloReply-cluster-huge",
        "0000000000000007",
        "ffffffffffffffff",
        HELLO,
        "the name of the cluster claims to have 2^64 - 1 bytes, which is -1 for some languages",
    ),
    (
        "helloReply-left-over",
        "0026 12 0000000000000007 69707365697479",
        "0026 12 0000000000000006 697073656974",
        "0026 12 0000000000000007 69707365697479 0000000000000005 302e312e30 0002 000003e8 0001 00 00",
        "a byte is left over behind the last field",
    ),
    (
        "helloReply-control",
        "69707365697479",
        "6970730a697479",
        HELLO,
        "the name of a cluster has no control characters",
    ),
    (
        "helloReply-cluster-not-utf-8",
        "69707365697479",
        "697073c3287479",
        HELLO,
        "the name of the cluster is not UTF-8",
    ),
    (
        "helloReply-version-not-utf-8",
        "302e312e30",
        "302ec02e30",
        HELLO,
        "the version is not UTF-8",
    ),
    (
        "helloReply-pid-1024",
        "000003e8 0001",
        "000003e8 0400",
        HELLO,
        "a pid is 0 to 1023",
    ),
];

fn bytes(digits: &str) -> Vec<u8> {
    unhex(digits).expect("hexadecimal digits")
}

/// A frame that begins with these bytes behind its length and ends with a text of so many bytes.
fn text_frame(start: &str, text_bytes: usize) -> Vec<u8> {
    let mut body = bytes(start);
    string(&mut body, &vec![b'a'; text_bytes]);
    framed(body)
}

/// A helloReply with this name of a cluster and this version.
fn hello_with(cluster: &[u8], version: &[u8]) -> Vec<u8> {
    let mut body = vec![0x12];
    string(&mut body, cluster);
    string(&mut body, version);
    body.extend(bytes("0002 000003e8 0001 00"));
    framed(body)
}

fn string(body: &mut Vec<u8>, text: &[u8]) {
    body.extend((text.len() as u64).to_be_bytes());
    body.extend(text);
}

fn framed(body: Vec<u8>) -> Vec<u8> {
    let length = body.len() as u16;
    [length.to_be_bytes().to_vec(), body].concat()
}
