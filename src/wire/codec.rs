//! Bodies to bytes and back. The only code that names bincode.
//!
//! Nothing here reserves memory for a length that has only been claimed. bincode's limit alone does not
//! see to that: it counts a text before it reads it, so a frame of a few bytes could still make it reserve
//! the whole limit, and through serde it does not count lists at all, of which serde then reserves up to
//! a mebibyte in advance. So every text and list in a message is read by [`text`] and [`list`].

use std::{fmt, marker::PhantomData};

use bincode::{
    config::{self, BigEndian, Configuration, Fixint, Limit},
    enc::write::{SizeWriter, Writer},
    error::{DecodeError, EncodeError},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error, SeqAccess, Visitor},
};

use super::error::Bytes;
use crate::limits::BODY_BYTES_LIMIT;

const CONFIG: Configuration<BigEndian, Fixint, Limit<BODY_BYTES_LIMIT>> = config::standard()
    .with_big_endian()
    .with_fixed_int_encoding()
    .with_limit::<BODY_BYTES_LIMIT>();

/// Appends `body` to `out`.
pub(super) fn encode_body<T: Serialize>(body: T, out: &mut Vec<u8>) {
    write_body(body, Appender(out));
}

/// How many bytes [`encode_body`] appends.
pub(super) fn body_bytes<T: Serialize>(body: T) -> usize {
    let mut size = SizeWriter::default();
    write_body(body, &mut size);
    size.bytes_written
}

/// Reads a `T` from the front of `body` and returns it with the number of bytes that it took. The caller
/// judges what is left over.
pub(super) fn decode_body<T: DeserializeOwned>(body: &[u8]) -> Result<(T, usize), String> {
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

/// Reads a text: its length is compared with the bytes that are there, and only then are they copied.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Text;

    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
    }

    deserializer.deserialize_str(Text)
}

/// Reads a list: it grows with the items that are there, whatever number stands before them.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct List<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(List(PhantomData))
}

fn write_body<T: Serialize>(body: T, writer: impl Writer) {
    // What it can refuse is a list of unknown length and a writer that is full; no message has the one,
    // and neither writer here is ever the other.
    bincode::serde::encode_into_writer(body, writer, CONFIG)
        .expect("a message in memory has a form on the wire");
}

/// Writes straight to the end of a buffer: nothing is zeroed first, and nothing is cut off after.
struct Appender<'a>(&'a mut Vec<u8>);

impl Writer for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::{Error, U8Deserializer};

    use super::*;

    #[test]
    fn what_is_no_text_and_no_list_is_said_to_be_none() {
        let number = U8Deserializer::<Error>::new(7);
        assert_eq!(
            text(number).unwrap_err().to_string(),
            "invalid type: integer `7`, expected a text"
        );
        assert_eq!(
            list::<_, u8>(number).unwrap_err().to_string(),
            "invalid type: integer `7`, expected a list"
        );
    }

    #[test]
    fn an_error_of_another_kind_says_what_bincode_says() {
        let error = decode_body::<char>(&[0xff]).unwrap_err();
        assert!(error.contains("InvalidCharEncoding"), "{error}");
    }
}
