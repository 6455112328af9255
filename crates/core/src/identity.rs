//! The identity and its two parts, the sequence and the pid: packing, ordering, parsing, display.
//!
//! ```text
//! bit 63   62 ........................ 10   9 ....... 0
//!   0      sequence (53 bits, from 1)       pid (10 bits, 0..=1023)
//! ```
//!
//! An identity is a Lamport timestamp (L. Lamport, "Time, Clocks, and the Ordering of Events in a
//! Distributed System", CACM 21(7), 1978) in one positive integer: comparing two identities compares
//! their sequences and then their pids. It fits a signed BIGINT, a Java `long` and a Go `int64`.
//!
//! This module does no I/O and imports nothing of ours.

// A plain `+` or `-` would wrap in a release build. What is needed of them has to say what happens at the end.
#![forbid(clippy::arithmetic_side_effects)]

#[cfg(feature = "serde")]
mod serde;
#[cfg(feature = "sqlx")]
mod sqlx;
mod text;

use std::{fmt, num::ParseIntError, str::FromStr};

use ::serde::{Deserialize, Serialize};

pub use self::text::BASE32_CHARS;

/// The number of low bits that hold the pid.
pub const PID_BITS: u32 = 10;

/// How far apart two identities of one block stand: one sequence, 2^10.
pub const IDENTITY_STRIDE: u64 = 1 << PID_BITS;

/// The actor's own number in its cluster, 0 to 1023.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "u16", into = "u16")]
pub struct Pid(u16);

impl Pid {
    /// The smallest pid. A server without `--pid` has it.
    pub const MIN: Pid = Pid(0);
    /// The largest pid.
    pub const MAX: Pid = Pid((1 << PID_BITS) - 1);

    /// The pid `value`, or `None` above 1023.
    pub const fn new(value: u16) -> Option<Pid> {
        if value <= Self::MAX.0 {
            Some(Pid(value))
        } else {
            None
        }
    }

    /// The number itself, 0 to 1023.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Pid> for u16 {
    fn from(pid: Pid) -> u16 {
        pid.0
    }
}

impl TryFrom<u16> for Pid {
    type Error = IdentityError;

    fn try_from(value: u16) -> Result<Pid, IdentityError> {
        Pid::new(value).ok_or(IdentityError::PidTooLarge(u64::from(value)))
    }
}

impl FromStr for Pid {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Pid, IdentityError> {
        let value: u64 = parse_decimal(text)?;
        u16::try_from(value)
            .ok()
            .and_then(Pid::new)
            .ok_or(IdentityError::PidTooLarge(value))
    }
}

/// The actor's counter, 0 to 2^53 - 1. Zero means that nothing has been handed out or absorbed yet; the
/// first sequence of an identity is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u64);

impl Sequence {
    /// Before the first identity.
    pub const ZERO: Sequence = Sequence(0);
    /// The last sequence there is, 2^53 - 1.
    pub const MAX: Sequence = Sequence((1 << 53) - 1);

    /// The sequence `value`, or `None` above 2^53 - 1.
    pub const fn new(value: u64) -> Option<Sequence> {
        if value <= Self::MAX.0 {
            Some(Sequence(value))
        } else {
            None
        }
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sequence `steps` further on, or `None` beyond the last.
    pub const fn checked_add(self, steps: u64) -> Option<Sequence> {
        self.checked_add_up_to(steps, Self::MAX)
    }

    /// The sequence `steps` further on, or `None` beyond `limit`.
    pub const fn checked_add_up_to(self, steps: u64, limit: Sequence) -> Option<Sequence> {
        match self.0.checked_add(steps) {
            Some(value) if value <= limit.0 => Some(Sequence(value)),
            _ => None,
        }
    }

    /// The sequence `steps` further on, or the last there is.
    pub const fn saturating_add(self, steps: u64) -> Sequence {
        match self.checked_add(steps) {
            Some(sequence) => sequence,
            None => Self::MAX,
        }
    }

    /// How many sequences follow this one.
    pub const fn remaining(self) -> u64 {
        Self::MAX.ahead_of(self)
    }

    /// How far this sequence is ahead of `other`; 0 if it is not ahead.
    pub const fn ahead_of(self, other: Sequence) -> u64 {
        self.0.saturating_sub(other.0)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Sequence {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Sequence, IdentityError> {
        let value = parse_decimal(text)?;
        Sequence::new(value).ok_or(IdentityError::SequenceTooLarge(value))
    }
}

/// What Ipseity hands out: a sequence and the pid of the server that handed it out, in 63 bits.
///
/// ```
/// use ipseity_core::identity::{Identity, Pid, Sequence};
///
/// let identity = Identity::new(Sequence::new(1).unwrap(), Pid::new(1).unwrap());
/// assert_eq!(identity.get(), 1025);
/// assert_eq!("0x401".parse(), Ok(identity));
/// assert_eq!("1:1".parse(), Ok(identity));
/// assert!(identity < Identity::new(Sequence::new(2).unwrap(), Pid::MIN));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(u64);

impl Identity {
    /// Packs the two parts.
    pub const fn new(sequence: Sequence, pid: Pid) -> Identity {
        Identity((sequence.0 << PID_BITS) | pid.0 as u64)
    }

    /// The identity with this integer, or `None` if bit 63 is set: it is 0 in every identity.
    pub const fn from_u64(value: u64) -> Option<Identity> {
        if value >> 63 == 0 {
            Some(Identity(value))
        } else {
            None
        }
    }

    /// The integer, as it crosses the wire and stands in a database.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The counter's part, bits 10 to 62.
    pub const fn sequence(self) -> Sequence {
        Sequence(self.0 >> PID_BITS)
    }

    /// The part of the server that handed it out, bits 0 to 9.
    pub const fn pid(self) -> Pid {
        Pid((self.0 & (IDENTITY_STRIDE - 1)) as u16)
    }

    /// The identity of the same pid `steps` sequences later, or `None` beyond the last sequence.
    pub const fn checked_add(self, steps: u64) -> Option<Identity> {
        match self.sequence().checked_add(steps) {
            Some(sequence) => Some(Identity::new(sequence, self.pid())),
            None => None,
        }
    }
}

impl fmt::Display for Identity {
    /// Writes the integer in decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    /// Reads decimal (`1025`), hexadecimal (`0x401`) or a pair `sequence:pid` (`1:1`).
    fn from_str(text: &str) -> Result<Identity, IdentityError> {
        if let Some((sequence, pid)) = text.split_once(':') {
            return Ok(Identity::new(sequence.parse()?, pid.parse()?));
        }
        let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            // `from_str_radix` would take a sign here.
            Some(digits) if digits.starts_with(['+', '-']) => {
                return Err(IdentityError::NotANumber);
            }
            Some(digits) => u64::from_str_radix(digits, 16).map_err(not_a_number)?,
            None => parse_decimal(text)?,
        };
        Identity::from_u64(value).ok_or(IdentityError::SequenceTooLarge(value >> PID_BITS))
    }
}

/// Why a text or a number is not an identity, a sequence or a pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityError {
    /// Not decimal digits, not `0x` and hexadecimal digits, and not a pair.
    NotANumber,
    /// Not 13 characters of base32.
    NotBase32,
    /// The number has more than 64 bits.
    Overflow,
    /// The sequence is beyond 2^53 - 1.
    SequenceTooLarge(u64),
    /// The pid is beyond 1023.
    PidTooLarge(u64),
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber => f.write_str(
                "not a number: expected decimal (1025), hexadecimal (0x401) or sequence:pid (1:1)",
            ),
            Self::NotBase32 => write!(
                f,
                "not base32: expected {BASE32_CHARS} characters of 0 to 9 and A to Z without I, L, O and U"
            ),
            Self::Overflow => f.write_str("the number does not fit 64 bits"),
            Self::SequenceTooLarge(value) => {
                write!(f, "sequence {value} is beyond the last, {}", Sequence::MAX)
            }
            Self::PidTooLarge(value) => write!(f, "pid {value} is beyond the last, {}", Pid::MAX),
        }
    }
}

impl std::error::Error for IdentityError {}

fn parse_decimal(text: &str) -> Result<u64, IdentityError> {
    // `u64::from_str` would take a leading plus.
    if text.starts_with('+') {
        return Err(IdentityError::NotANumber);
    }
    text.parse().map_err(not_a_number)
}

fn not_a_number(error: ParseIntError) -> IdentityError {
    match error.kind() {
        std::num::IntErrorKind::PosOverflow => IdentityError::Overflow,
        _ => IdentityError::NotANumber,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(sequence: u64, pid: u16) -> Identity {
        Identity::new(Sequence::new(sequence).unwrap(), Pid::new(pid).unwrap())
    }

    #[test]
    fn the_layout_is_53_bits_of_sequence_above_10_bits_of_pid() {
        assert_eq!(identity(1, 1).get(), 0x401);
        assert_eq!(identity(0, 1023).get(), 0x3ff);
        assert_eq!(identity(Sequence::MAX.get(), 1023).get(), i64::MAX as u64);
        assert_eq!(identity(7, 9).sequence().get(), 7);
        assert_eq!(identity(7, 9).pid().get(), 9);
    }

    #[test]
    fn order_is_by_sequence_and_then_by_pid() {
        assert!(identity(1, 1023) < identity(2, 0));
        assert!(identity(2, 0) < identity(2, 1));
    }

    #[test]
    fn the_ends_are_refused_and_never_wrap() {
        assert_eq!(Sequence::ZERO.remaining(), Sequence::MAX.get());
        assert_eq!(Sequence::MAX.remaining(), 0);
        assert_eq!(Pid::new(1024), None);
        assert_eq!(Sequence::new(1 << 53), None);
        assert_eq!(Sequence::MAX.checked_add(1), None);
        assert_eq!(Sequence::ZERO.checked_add(u64::MAX), None);
        assert_eq!(Sequence::MAX.checked_add(u64::MAX), None);
        let five = Sequence::new(5).unwrap();
        assert_eq!(Sequence::ZERO.checked_add_up_to(5, five), Some(five));
        assert_eq!(Sequence::ZERO.checked_add_up_to(6, five), None);
        assert_eq!(five.checked_add_up_to(u64::MAX, five), None);
        assert_eq!(
            Sequence::new(5).unwrap().saturating_add(u64::MAX),
            Sequence::MAX
        );
        assert_eq!(Identity::from_u64(1 << 63), None);
        assert_eq!(identity(Sequence::MAX.get(), 0).checked_add(1), None);
        assert_eq!(identity(1, 3).checked_add(2), Some(identity(3, 3)));
        assert_eq!(Sequence::MAX.remaining(), 0);
        assert_eq!(
            Sequence::new(3)
                .unwrap()
                .ahead_of(Sequence::new(5).unwrap()),
            0
        );
        assert_eq!(
            Sequence::new(5)
                .unwrap()
                .ahead_of(Sequence::new(3).unwrap()),
            2
        );
    }

    #[test]
    fn texts_are_read_in_three_forms() {
        assert_eq!("1025".parse(), Ok(identity(1, 1)));
        assert_eq!("0x401".parse(), Ok(identity(1, 1)));
        assert_eq!("0X401".parse(), Ok(identity(1, 1)));
        assert_eq!("1:1".parse(), Ok(identity(1, 1)));
        assert_eq!(
            "9223372036854775807".parse(),
            Ok(identity(Sequence::MAX.get(), 1023))
        );
        for text in [
            "", " 1", "+1", "-1", "0x", "0x+1", "0xg", "1:", ":1", "1:1:1", "one", "1:+1",
        ] {
            assert_eq!(
                text.parse::<Identity>(),
                Err(IdentityError::NotANumber),
                "{text:?}"
            );
        }
        assert_eq!(
            "18446744073709551616".parse::<Identity>(),
            Err(IdentityError::Overflow)
        );
        assert_eq!(
            "9223372036854775808".parse::<Identity>(),
            Err(IdentityError::SequenceTooLarge(1 << 53))
        );
        assert_eq!(
            "9007199254740992:0".parse::<Identity>(),
            Err(IdentityError::SequenceTooLarge(1 << 53))
        );
        assert_eq!(
            "1:1024".parse::<Identity>(),
            Err(IdentityError::PidTooLarge(1024))
        );
        assert_eq!(
            "1:65537".parse::<Identity>(),
            Err(IdentityError::PidTooLarge(65537))
        );
    }

    #[test]
    fn what_is_shown_is_what_is_read() {
        assert_eq!(identity(1, 1).to_string(), "1025");
        assert_eq!(Sequence::MAX.to_string(), "9007199254740991");
        assert_eq!(Pid::MAX.to_string(), "1023");
        for error in [
            IdentityError::NotANumber,
            IdentityError::NotBase32,
            IdentityError::Overflow,
            IdentityError::SequenceTooLarge(1 << 53),
            IdentityError::PidTooLarge(1024),
        ] {
            assert!(!error.to_string().is_empty());
        }
    }
}
