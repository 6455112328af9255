//! Texts that are addresses of servers, and texts that are none.

use serde_json::json;

use super::File;

const VALID: &[(&str, &str, u16, bool)] = &[
    ("127.0.0.1:4000", "127.0.0.1", 4000, false),
    ("127.0.0.1", "127.0.0.1", 3264, false),
    ("ids", "ids", 3264, false),
    ("ids:1", "ids", 1, false),
    ("ids.example.org:65535", "ids.example.org", 65535, false),
    ("ids-1.example.org", "ids-1.example.org", 3264, false),
    ("[::1]:4000", "::1", 4000, false),
    ("[::1]", "::1", 3264, false),
    ("::1", "::1", 3264, false),
    ("2001:db8::1:4000", "2001:db8::1:4000", 3264, false),
    ("[::ffff:10.0.0.5]:1", "::ffff:10.0.0.5", 1, false),
    ("[fe80::1%eth0]:4000", "fe80::1%eth0", 4000, false),
    ("tls://ids:4000", "ids", 4000, true),
    ("tls://ids", "ids", 3264, true),
    ("tls://127.0.0.1", "127.0.0.1", 3264, true),
    ("tls://[::1]:4000", "::1", 4000, true),
    ("tls://::1", "::1", 3264, true),
];

const PORT: &str = "a port is 1 to 65535, in digits";
const HOST: &str = "there is no host";
const CHARACTER: &str = "no host has this character";
const SCHEME: &str = "tls://, in small letters, is the one scheme that there is";
const BRACKETS: &str = "an IPv6 address with a port is written [::1]:3264";

const INVALID: &[(&str, &str)] = &[
    ("", HOST),
    (" ", CHARACTER),
    (":3264", HOST),
    ("a b:1", CHARACTER),
    (" ids:1", CHARACTER),
    ("a\nb:1", CHARACTER),
    ("ids\u{0}:1", CHARACTER),
    ("ids/path", CHARACTER),
    ("ids:1/path", PORT),
    ("a]:1", CHARACTER),
    ("ids:", PORT),
    ("ids:0", PORT),
    ("ids:65536", PORT),
    (
        "ids:4294970560",
        "a port is 1 to 65535, also for those who look at 32 bits",
    ),
    ("ids:+1", PORT),
    ("ids:-1", PORT),
    ("ids: 1", PORT),
    ("ids:1 ", PORT),
    ("ids:1_0", PORT),
    ("ids:0x50", PORT),
    ("ids:１", "these are digits of another script"),
    ("ids:http", PORT),
    ("ids:1:2", PORT),
    ("[::1", BRACKETS),
    ("[::1]3264", BRACKETS),
    ("[::1]:", PORT),
    ("[::1]:0", PORT),
    ("[ids]:1", BRACKETS),
    ("[127.0.0.1]:1", BRACKETS),
    ("[1::2::3]:1", BRACKETS),
    ("[]:1", BRACKETS),
    ("::1]:1", "a bracket is missing"),
    ("tls://", HOST),
    ("tls://:3264", HOST),
    ("tls://ids:0", PORT),
    ("tls://tls://ids", SCHEME),
    ("TLS://ids:1", SCHEME),
    ("https://ids", SCHEME),
    ("tcp://ids:3264", SCHEME),
    ("ipseity://ids", SCHEME),
    ("://ids", SCHEME),
];

pub(super) fn file() -> File {
    let valid = VALID.iter().map(|(text, host, port, tls)| {
        let address = json!({"host": host, "port": port, "tls": tls});
        json!({"text": text, "address": address})
    });
    let invalid = INVALID
        .iter()
        .map(|(text, why)| json!({"text": text, "why": why}));
    File {
        name: "addresses.json",
        about: "Texts that are the address of a server, and texts that are none, with the reason.",
        lists: vec![
            ("addresses", valid.collect()),
            ("invalid", invalid.collect()),
        ],
    }
}
