//! Reading fields that have a length of their own: texts and lists. It imports nothing of ours.
//!
//! Nothing here reserves memory for a length that was only claimed. serde by itself reserves up to a mebibyte
//! for a list before its first item is there. So every text and list in a message is read by [`text`] and
//! [`list`], whichever codec reads it.

use std::{fmt, marker::PhantomData, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serializer,
    de::{Error, SeqAccess, Visitor},
};

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

/// The same, for a text that is shared.
pub(super) fn shared_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Arc<str>, D::Error> {
    text(deserializer).map(Arc::from)
}

/// Writes a text that is shared, like any other.
pub(super) fn write_shared_text<S: Serializer>(
    text: &Arc<str>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
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

#[cfg(test)]
mod tests {
    use serde::de::value::{Error, U8Deserializer};

    use super::*;

    #[test]
    fn a_number_is_neither_a_text_nor_a_list() {
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
}
