//! The other forms of an identity as text: hexadecimal, pair and base32.
//!
//! base32 is D. Crockford's alphabet (<https://www.crockford.com/base32.html>), 5 bits a character, the highest first.
//! It always has [`BASE32_CHARS`] characters, and its characters ascend in ASCII. So texts sort as their identities do.

use std::fmt;

use super::{Identity, IdentityError, PID_BITS};

/// The characters of an identity in base32: 63 bits, 5 in each.
pub const BASE32_CHARS: usize = 13;

/// The bits of one character of base32.
const BITS: u32 = 5;

/// The character of each value.
const ALPHABET: &[u8; 1 << BITS] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Identity {
    /// The identity in base32: 13 characters, in capitals, which sort as text in the order of the identities.
    ///
    /// ```
    /// use ipseity_core::identity::Identity;
    ///
    /// let identity: Identity = "1025".parse().unwrap();
    /// assert_eq!(identity.to_base32(), "0000000000101");
    /// assert_eq!(Identity::from_base32("0000000000101"), Ok(identity));
    /// ```
    pub fn to_base32(self) -> String {
        let mut left = self.0;
        let mut text = [0; BASE32_CHARS];
        for character in text.iter_mut().rev() {
            *character = ALPHABET[(left % (1 << BITS)) as usize];
            left >>= BITS;
        }
        text.iter()
            .map(|character| char::from(*character))
            .collect()
    }

    /// Reads base32. Small letters are taken too, and so are `I` and `L` for 1 and `O` for 0, as Crockford has it. This is
    /// not part of [`FromStr`](std::str::FromStr), because `1000000000000` may be decimal or base32.
    ///
    /// # Errors
    /// [`IdentityError::NotBase32`] if it has another length or another character, and
    /// [`IdentityError::SequenceTooLarge`] if it has more than 63 bits.
    pub fn from_base32(text: &str) -> Result<Identity, IdentityError> {
        if text.len() != BASE32_CHARS {
            return Err(IdentityError::NotBase32);
        }
        let mut digits = text.bytes().map(value_of);
        let value = digits.try_fold(0u128, |value, digit| {
            Some(value << BITS | u128::from(digit?))
        });
        let value = value.ok_or(IdentityError::NotBase32)?;
        let sequence = u64::try_from(value >> PID_BITS).unwrap_or(u64::MAX);
        u64::try_from(value)
            .ok()
            .and_then(Identity::from_u64)
            .ok_or(IdentityError::SequenceTooLarge(sequence))
    }

    /// The identity as `sequence:pid`, such as `1:1`.
    pub fn to_pair(self) -> String {
        format!("{}:{}", self.sequence(), self.pid())
    }
}

impl fmt::LowerHex for Identity {
    /// With `{:#x}` it is what [`FromStr`](std::str::FromStr) reads, such as `0x401`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

fn value_of(character: u8) -> Option<u8> {
    let character = match character.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    let value = ALPHABET.iter().position(|other| *other == character)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Sequence;

    fn identity(value: u64) -> Identity {
        Identity::from_u64(value).unwrap()
    }

    #[test]
    fn an_identity_has_thirteen_characters_of_base32() {
        for (value, text) in [
            (0, "0000000000000"),
            (31, "000000000000Z"),
            (1025, "0000000000101"),
            (i64::MAX as u64, "7ZZZZZZZZZZZZ"),
        ] {
            assert_eq!(identity(value).to_base32(), text);
            assert_eq!(Identity::from_base32(text), Ok(identity(value)));
        }
    }

    #[test]
    fn base32_is_read_as_crockford_has_it() {
        let expected = Ok(identity(1025));
        for text in ["oooooooooolol", "OOOOOOOOOOIOI", "00000000001O1"] {
            assert_eq!(Identity::from_base32(text), expected, "{text}");
        }
        assert_eq!(
            Identity::from_base32("7zzzzzzzzzzzz"),
            Ok(identity(i64::MAX as u64))
        );
    }

    #[test]
    fn other_texts_are_not_base32() {
        for text in [
            "",
            "000000000101",
            "00000000000101",
            "0000-00000101",
            "000000000010U",
            "000000000010é",
            " 000000000101",
        ] {
            let read = Identity::from_base32(text);
            assert_eq!(read, Err(IdentityError::NotBase32), "{text:?}");
        }
        let beyond = Sequence::MAX.get() + 1;
        assert_eq!(
            Identity::from_base32("8000000000000"),
            Err(IdentityError::SequenceTooLarge(beyond))
        );
        assert_eq!(
            Identity::from_base32("ZZZZZZZZZZZZZ"),
            Err(IdentityError::SequenceTooLarge((1 << 55) - 1))
        );
    }

    #[test]
    fn texts_in_base32_sort_as_identities() {
        let mut values: Vec<u64> = (0..63).map(|bit| 1 << bit).collect();
        values.extend((0..63).map(|bit| (1 << bit) - 1 + 31));
        values.sort_unstable();
        let texts: Vec<String> = values.iter().map(|v| identity(*v).to_base32()).collect();
        assert!(texts.is_sorted());
    }

    #[test]
    fn hexadecimal_and_pair_are_read_again() {
        let one = identity(1025);
        assert_eq!(format!("{one:#x}"), "0x401");
        assert_eq!("0x401".parse(), Ok(one));
        assert_eq!(one.to_pair(), "1:1");
        assert_eq!("1:1".parse(), Ok(one));
    }
}
