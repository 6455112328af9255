//! Durations as people write them.

use std::time::Duration;

/// Reads `250ms`, `2s`, `1m 30s`; a bare number is milliseconds.
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
}
