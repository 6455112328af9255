//! The values of options: counts, durations, identities. Each error names the option and what it takes.

use std::{ops::RangeInclusive, time::Duration};

use getopts::Matches;
use ipseity_core::identity::Identity;

use ipseity_console::{Expected, dashed};

use crate::failure::Failure;

/// The number after `-NAME` or `--NAME`, if it is given.
pub fn number(
    matches: &Matches,
    name: &str,
    range: RangeInclusive<u64>,
) -> Result<Option<u64>, Failure> {
    value(matches, name, |text| ipseity_console::number(text, range))
}

/// The duration after `--NAME`, if it is given.
pub fn duration(
    matches: &Matches,
    name: &str,
    range: RangeInclusive<Duration>,
) -> Result<Option<Duration>, Failure> {
    value(matches, name, |text| ipseity_console::duration(text, range))
}

fn value<T>(
    matches: &Matches,
    name: &str,
    read: impl FnOnce(&str) -> Result<T, Expected>,
) -> Result<Option<T>, Failure> {
    let Some(text) = matches.opt_str(name) else {
        return Ok(None);
    };
    read(&text).map(Some).map_err(|expected| {
        let name = dashed(name);
        Failure::Usage(format!("{name} takes {expected}, not {text:?}"))
    })
}

/// An identity in any form.
pub fn identity(what: &str, text: &str) -> Result<Identity, Failure> {
    text.parse()
        .map_err(|error| Failure::Usage(format!("{what} {text:?}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(arguments: &[&str]) -> Matches {
        let mut options = getopts::Options::new();
        options.optopt("n", "", "", "");
        options.optopt("", "above", "", "");
        options.optopt("", "wait", "", "");
        options.parse(arguments).unwrap()
    }

    #[test]
    fn values_out_of_range_name_the_option_and_the_range() {
        assert_eq!(number(&matches(&[]), "n", 1..=9).unwrap(), None);
        assert_eq!(number(&matches(&["-n9"]), "n", 1..=9).unwrap(), Some(9));
        for text in ["0", "10", "+1", "-1", "1e3", "", "99999999999999999999"] {
            for (option, name) in [("-n", "n"), ("--above", "above")] {
                match number(&matches(&[option, text]), name, 1..=9) {
                    Err(Failure::Usage(error)) => assert_eq!(
                        error,
                        format!("{option} takes a number from 1 to 9, not {text:?}")
                    ),
                    other => panic!("{text}: {other:?}"),
                }
            }
        }
        let range = Duration::from_millis(10)..=Duration::from_secs(60);
        let second = duration(&matches(&["--wait", "1s"]), "wait", range.clone());
        assert_eq!(second.unwrap(), Some(Duration::from_secs(1)));
        match duration(&matches(&["--wait", "2h"]), "wait", range) {
            Err(Failure::Usage(error)) => {
                assert_eq!(
                    error,
                    "--wait takes a duration from 10ms to 1m, such as 250ms or 2s, not \"2h\""
                );
            }
            other => panic!("{other:?}"),
        }
    }
}
