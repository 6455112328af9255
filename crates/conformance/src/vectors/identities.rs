//! Identities in every form, and texts that are none.

use ipseity_core::identity::Identity;
use serde_json::{Value, json};

use super::File;

/// D. Crockford's alphabet.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The characters of `base32`: 13 times 5 bits hold 63.
const BASE32_CHARACTERS: u32 = 13;

/// Identities at the edges of something.
const EDGES: &[u64] = &[
    0,
    1,
    // The last pid without a sequence, and the first sequence.
    1023,
    1024,
    // The example of every page.
    1025,
    5122,
    // Either side of 32 bits.
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    // Either side of what a number of JavaScript holds.
    (1 << 53) - 1,
    1 << 53,
    (1 << 53) + 1,
    // Every character of base32 is in these three.
    0x0088_6429_8E84_A96C,
    0x16B9_F08C_A74A_DAF8,
    0x7CEB_7CEF_BE00_8864,
    // The first identity of the last sequence, and the last identity.
    ((1 << 53) - 1) << 10,
    (1 << 63) - 1,
];

/// An identity in all forms.
pub fn forms(identity: Identity) -> Value {
    let base32: String = (0..BASE32_CHARACTERS)
        .rev()
        .map(|place| ALPHABET[(identity.get() >> (5 * place) & 31) as usize] as char)
        .collect();
    json!({
        "decimal": identity.to_string(),
        "hex": format!("{:#x}", identity.get()),
        "pair": format!("{}:{}", identity.sequence(), identity.pid()),
        "base32": base32,
        "sequence": identity.sequence().to_string(),
        "pid": identity.pid().get(),
    })
}

pub(super) fn file() -> File {
    let edge = |value: &u64| forms(Identity::from_u64(*value).expect("an identity"));
    let text_and_decimal =
        |(text, decimal): &(&str, &str)| json!({"text": text, "decimal": decimal});
    let text_and_why = |(text, why): &(&str, &str)| json!({"text": text, "why": why});
    File {
        name: "identities.json",
        about: "Identities in every form, in the order of their numbers; other texts that are identities; and texts \
                that are none, with the reason. Those of base32 have a function of their own.",
        lists: vec![
            ("identities", EDGES.iter().map(edge).collect()),
            ("also", ALSO.iter().map(text_and_decimal).collect()),
            (
                "also_base32",
                ALSO_BASE32.iter().map(text_and_decimal).collect(),
            ),
            ("invalid", INVALID.iter().map(text_and_why).collect()),
            (
                "invalid_base32",
                INVALID_BASE32.iter().map(text_and_why).collect(),
            ),
        ],
    }
}

/// Texts that are read, and written in another way.
const ALSO: &[(&str, &str)] = &[
    ("0001025", "1025"),
    ("0X401", "1025"),
    ("0x0401", "1025"),
    ("0xAbC", "2748"),
    ("0x00000000000000000401", "1025"),
    ("01:0001", "1025"),
    (
        "00000000000000000000009223372036854775807",
        "9223372036854775807",
    ),
];

const ALSO_BASE32: &[(&str, &str)] = &[
    ("000000000010i", "1025"),
    ("000000000010l", "1025"),
    ("OOOOOOOOOO1O1", "1025"),
    ("oooooooooo1ol", "1025"),
    ("IIIIIIIIIIIII", "1190112520884487201"),
    ("LLLLLLLLLLLLL", "1190112520884487201"),
    ("7zzzzzzzzzzzz", "9223372036854775807"),
    ("00000000000aB", "331"),
];

const DIGITS: &str = "only the digits 0 to 9 count, without a sign or a blank";
const BEYOND: &str = "an identity is at most 2^63 - 1";

const INVALID: &[(&str, &str)] = &[
    ("", "there is nothing"),
    (" ", DIGITS),
    (" 1", DIGITS),
    ("1 ", DIGITS),
    ("1\n", DIGITS),
    ("\t1", DIGITS),
    ("1\u{0}", DIGITS),
    ("+1", DIGITS),
    ("-1", DIGITS),
    ("-0", DIGITS),
    ("1_000", DIGITS),
    ("1,000", DIGITS),
    ("1.0", DIGITS),
    ("1e3", DIGITS),
    ("1n", DIGITS),
    ("1L", DIGITS),
    ("0b1", DIGITS),
    ("0o7", DIGITS),
    ("one", DIGITS),
    ("401h", DIGITS),
    ("abc", "hexadecimal digits need 0x before them"),
    ("١", "these are digits of another script"),
    ("１", "these are digits of another script"),
    ("0x", "there are no digits"),
    ("0x+1", "only hexadecimal digits count behind 0x"),
    ("0x-1", "only hexadecimal digits count behind 0x"),
    ("0x 1", "only hexadecimal digits count behind 0x"),
    ("0x_1", "only hexadecimal digits count behind 0x"),
    ("0x0x1", "only hexadecimal digits count behind 0x"),
    ("0xg", "only hexadecimal digits count behind 0x"),
    ("0x1.0", "only hexadecimal digits count behind 0x"),
    ("0x1p3", "only hexadecimal digits count behind 0x"),
    ("-0x1", DIGITS),
    ("x401", DIGITS),
    ("#401", DIGITS),
    (":", "a pair is two numbers"),
    ("1:", "a pair is two numbers"),
    (":1", "a pair is two numbers"),
    ("1:1:1", "a pair is two numbers"),
    ("1: 1", "a pair is two numbers, without a sign or a blank"),
    ("1 :1", "a pair is two numbers, without a sign or a blank"),
    ("1:+1", "a pair is two numbers, without a sign or a blank"),
    ("+1:1", "a pair is two numbers, without a sign or a blank"),
    ("1:-1", "a pair is two numbers, without a sign or a blank"),
    ("0x1:1", "a pair is in decimal"),
    ("1:0x1", "a pair is in decimal"),
    ("1;1", "a pair has a colon"),
    ("1:1024", "a pid is at most 1023"),
    (
        "1:65537",
        "a pid is at most 1023, also for those who look at 16 bits",
    ),
    (
        "1:4294967297",
        "a pid is at most 1023, also for those who look at 32 bits",
    ),
    (
        "1:18446744073709551617",
        "a pid is at most 1023, also for those who look at 64 bits",
    ),
    ("9007199254740992:0", "a sequence is at most 2^53 - 1"),
    (
        "18014398509481985:1",
        "a sequence is at most 2^53 - 1, also for those who shift it out of 64 bits",
    ),
    (
        "18446744073709551617:1",
        "a sequence is at most 2^53 - 1, also for those who look at 64 bits",
    ),
    ("9223372036854775808", BEYOND),
    ("18446744073709551615", BEYOND),
    ("18446744073709551616", BEYOND),
    (
        "18446744073709552641",
        "an identity is at most 2^63 - 1, also for those who look at 64 bits",
    ),
    ("99999999999999999999999999999999999999999", BEYOND),
    ("0x8000000000000000", BEYOND),
    ("0xffffffffffffffff", BEYOND),
    ("0x10000000000000401", BEYOND),
    ("0000000000101G", "this is no number"),
];

const THIRTEEN: &str = "it has 13 characters";
const CROCKFORD: &str = "this character is not in the alphabet";

const INVALID_BASE32: &[(&str, &str)] = &[
    ("", THIRTEEN),
    ("101", THIRTEEN),
    ("000000000101", THIRTEEN),
    ("00000000000101", THIRTEEN),
    (" 000000000101", CROCKFORD),
    ("000000000101 ", CROCKFORD),
    ("0000000000101\n", THIRTEEN),
    ("000000-000101", "hyphens are not read"),
    ("0000-0000-00101", "hyphens are not read"),
    ("00000000001U1", "U is not in the alphabet"),
    ("00000000001u1", "u is not in the alphabet"),
    ("000000000010*", CROCKFORD),
    (
        "000000000010~",
        "the check symbols of Crockford are not read",
    ),
    (
        "000000000010$",
        "the check symbols of Crockford are not read",
    ),
    ("000000000010=", CROCKFORD),
    ("+000000000101", CROCKFORD),
    ("-000000000101", CROCKFORD),
    (
        "000000000010ı",
        "a small i without its dot is another letter, though its capital is I",
    ),
    (
        "000000000010ſ",
        "a long s is another letter, though its capital is S",
    ),
    (
        "000000000010\u{212a}",
        "the sign of the unit kelvin is no K, though its small letter is k",
    ),
    ("000000000010１", "these are digits of another script"),
    ("8000000000000", "the first character is 0 to 7"),
    ("Z000000000000", "the first character is 0 to 7"),
    ("zzzzzzzzzzzzz", "the first character is 0 to 7"),
    ("000000000010\u{0}", CROCKFORD),
];
