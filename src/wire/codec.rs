//! Bodies to bytes and back. The only file that names bincode.

use bincode::{
    config::{self, BigEndian, Configuration, Fixint, Limit},
    error::DecodeError,
};
use serde::{Serialize, de::DeserializeOwned};

/// The limit is what keeps a length on the wire from becoming an allocation: without it a list that
/// claims 2^32 items makes the decoder reserve for them before it finds the body too short.
const CONFIG: Configuration<BigEndian, Fixint, Limit<65536>> = config::standard()
    .with_big_endian()
    .with_fixed_int_encoding()
    .with_limit::<65536>();

/// Writes `body` to the front of `out` and returns how many bytes that took, or `None` when `out` is too
/// short.
pub(super) fn encode_body<T: Serialize>(body: T, out: &mut [u8]) -> Option<usize> {
    bincode::serde::encode_into_slice(body, out, CONFIG).ok()
}

/// Reads a `T` from the front of `body` and returns it with the number of bytes that it took. The caller
/// judges what is left over.
pub(super) fn decode_body<T: DeserializeOwned>(body: &[u8]) -> Result<(T, usize), String> {
    bincode::serde::decode_from_slice(body, CONFIG).map_err(|error| match error {
        DecodeError::UnexpectedEnd { additional } => format!("it ends {additional} bytes early"),
        DecodeError::LimitExceeded => "a length in it is over the limit".to_owned(),
        DecodeError::Utf8 { .. } => "a text in it is not UTF-8".to_owned(),
        DecodeError::OtherString(reason) => reason,
        other => other.to_string(),
    })
}
