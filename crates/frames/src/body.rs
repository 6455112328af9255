//! Bodies to bytes and back. The only code that names bincode.
//!
//! Nothing here reserves memory for a length that was only claimed. bincode's limit alone is not enough for that. It
//! counts a text before it reads it, so a frame of a few bytes could still make it reserve the whole limit. And through
//! serde it does not count lists at all: serde reserves up to a mebibyte for a list in advance. So every text and list
//! in a message has its own reader, in `words`.

use bincode::{
    config::{self, BigEndian, Configuration, Fixint, Limit},
    enc::write::{SizeWriter, Writer},
    error::{DecodeError, EncodeError},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{error::Bytes, limits::BODY_BYTES_LIMIT};

const CONFIG: Configuration<BigEndian, Fixint, Limit<BODY_BYTES_LIMIT>> = config::standard()
    .with_big_endian()
    .with_fixed_int_encoding()
    .with_limit::<BODY_BYTES_LIMIT>();

/// Appends the bytes of `body` to `out`, without the length and the kind of a frame.
pub(crate) fn encode_body<T: Serialize>(body: T, out: &mut Vec<u8>) {
    write_body(body, Appender(out));
}

/// How many bytes [`encode_body`] appends.
pub(crate) fn body_bytes<T: Serialize>(body: T) -> usize {
    let mut size = SizeWriter::default();
    write_body(body, &mut size);
    size.bytes_written
}

/// Reads a `T` from the front of `body`. Returns it with the number of bytes that it took. The caller decides about the
/// bytes that are left over.
pub(crate) fn decode_body<T: DeserializeOwned>(body: &[u8]) -> Result<(T, usize), String> {
    bincode::serde::decode_from_slice(body, CONFIG).map_err(|error| match error {
        DecodeError::UnexpectedEnd { additional } => {
            format!("a field needs {} more", Bytes(additional))
        }
        DecodeError::LimitExceeded => "a length in it is over the limit".to_owned(),
        DecodeError::Utf8 { .. } => "a text in it is not UTF-8".to_owned(),
        DecodeError::InvalidBooleanValue(byte) => format!("a boolean in it is {byte}"),
        DecodeError::UnexpectedVariant { found, .. } => {
            format!("an option in it begins with {found}")
        }
        DecodeError::OtherString(reason) => reason,
        other => other.to_string(),
    })
}

fn write_body<T: Serialize>(body: T, writer: impl Writer) {
    // It fails only for a list of unknown length, which no message has, and for a full writer, which neither of the
    // two is.
    bincode::serde::encode_into_writer(body, writer, CONFIG)
        .expect("a message in memory has a form on the wire");
}

/// Writes straight to the end of a buffer. Nothing is zeroed before, and nothing is cut off after.
struct Appender<'a>(&'a mut Vec<u8>);

impl Writer for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_another_kind_says_what_bincode_says() {
        let error = decode_body::<char>(&[0xff]).unwrap_err();
        assert!(error.contains("InvalidCharEncoding"), "{error}");
    }
}
