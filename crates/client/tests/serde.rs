//! An identity as serde writes and reads it.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

use ipseity_client::Identity;

fn identity(value: u64) -> Identity {
    Identity::from_u64(value).unwrap()
}

#[test]
fn in_json_it_is_a_string_and_numbers_are_read_too() {
    let last = identity(i64::MAX as u64);
    let json = serde_json::to_string(&last).unwrap();
    assert_eq!(json, "\"9223372036854775807\"");
    for text in [&json, "9223372036854775807", "\"0x7fffffffffffffff\""] {
        assert_eq!(serde_json::from_str::<Identity>(text).unwrap(), last);
    }
    for text in [
        "9223372036854775808",
        "-1",
        "1.5",
        "\"one\"",
        "null",
        "\"\"",
    ] {
        assert!(serde_json::from_str::<Identity>(text).is_err(), "{text}");
    }
}

#[test]
fn in_a_binary_format_it_is_a_number() {
    let config = bincode::config::standard()
        .with_big_endian()
        .with_fixed_int_encoding();
    let bytes = bincode::serde::encode_to_vec(identity(1025), config).unwrap();
    assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 4, 1]);
    let (read, _): (Identity, usize) = bincode::serde::decode_from_slice(&bytes, config).unwrap();
    assert_eq!(read, identity(1025));
    let beyond = bincode::serde::decode_from_slice::<Identity, _>(&[0xff; 8], config);
    assert!(beyond.is_err());
}
