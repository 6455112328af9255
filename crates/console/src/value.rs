//! Values as people type them: numbers and durations.

use std::{fmt, ops::RangeInclusive, time::Duration};

/// What a value has to be, such as `a number from 1 to 9`. Its `Display` is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected(String);

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a number of decimal digits, without a sign.
///
/// # Errors
/// It is not a number, or not one of `range`.
pub fn number(text: &str, range: RangeInclusive<u64>) -> Result<u64, Expected> {
    // `u64::from_str` would take a leading plus.
    let is_signed = text.starts_with('+');
    let number = text.parse().ok().filter(|_| !is_signed);
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            Expected(format!(
                "a number from {} to {}",
                range.start(),
                range.end()
            ))
        })
}

/// Reads `250ms`, `2s`, `1m 30s`; a bare number is milliseconds.
///
/// # Errors
/// It is not a duration, or not one of `range`.
pub fn duration(text: &str, range: RangeInclusive<Duration>) -> Result<Duration, Expected> {
    let duration = parse_duration(text).filter(|duration| range.contains(duration));
    duration.ok_or_else(|| {
        let [least, most] =
            [range.start(), range.end()].map(|end| humantime::format_duration(*end));
        Expected(format!(
            "a duration from {least} to {most}, such as 250ms or 2s"
        ))
    })
}

/// Reads a duration of any length: `250ms`, `2s`, `1m 30s`; a bare number is milliseconds. `None` if it is not
/// one.
pub fn parse_duration(text: &str) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok().map(Duration::from_millis)
    } else {
        humantime::parse_duration(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_milliseconds() {
        assert_eq!(parse_duration("250"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("1m 30s"), Some(Duration::from_secs(90)));
        for text in ["", "-1", "+1", "1.5", "soon", "99999999999999999999"] {
            assert_eq!(parse_duration(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_number_has_digits_and_nothing_else() {
        assert_eq!(number("0", 0..=9), Ok(0));
        assert_eq!(number(&u64::MAX.to_string(), 0..=u64::MAX), Ok(u64::MAX));
        for text in [
            "",
            "+1",
            "-1",
            "1e3",
            " 1",
            "1.0",
            "0",
            "10",
            "18446744073709551616",
        ] {
            let expected = number(text, 1..=9).expect_err(text);
            assert_eq!(expected.to_string(), "a number from 1 to 9");
        }
    }

    #[test]
    fn a_duration_out_of_its_range_says_the_range() {
        let range = Duration::from_millis(10)..=Duration::from_secs(60);
        assert_eq!(duration("1s", range.clone()), Ok(Duration::from_secs(1)));
        for text in ["2h", "9ms", "soon"] {
            let expected = duration(text, range.clone()).expect_err(text);
            assert_eq!(
                expected.to_string(),
                "a duration from 10ms to 1m, such as 250ms or 2s"
            );
        }
    }
}
