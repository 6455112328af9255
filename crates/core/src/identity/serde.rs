//! An identity for serde: a string in decimal where people read it, as in JSON, because JavaScript rounds numbers above 2^53.
//! In binary formats it is a number.

use std::fmt;

use ::serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

use super::Identity;

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(self),
            false => serializer.serialize_u64(self.get()),
        }
    }
}

impl<'de> Deserialize<'de> for Identity {
    /// Reads a string in any form of [`FromStr`](std::str::FromStr), and a number.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Identity, D::Error> {
        match deserializer.is_human_readable() {
            true => deserializer.deserialize_any(AnyForm),
            false => deserializer.deserialize_u64(AnyForm),
        }
    }
}

struct AnyForm;

impl Visitor<'_> for AnyForm {
    type Value = Identity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an identity: a string such as \"1025\", or a number from 0 to 2^63 - 1")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Identity, E> {
        Identity::from_u64(value).ok_or_else(|| E::custom("an identity is at most 2^63 - 1"))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Identity, E> {
        let value = u64::try_from(value);
        self.visit_u64(value.map_err(|_| E::custom("an identity is not below 0"))?)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Identity, E> {
        text.parse().map_err(E::custom)
    }
}
