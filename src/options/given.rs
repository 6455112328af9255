//! What is given: the flags of the command line and those of the environment, and which is which.

use std::{collections::BTreeSet, fmt};

use getopts::Matches;
use ipseity_console::dashed;

use super::{
    UsageError,
    flags::{table, variable},
};

/// The flags that are given, with their values as text.
pub(super) struct Given {
    matches: Matches,
    /// Those that came from the environment.
    from_environment: BTreeSet<&'static str>,
}

impl Given {
    pub(super) fn new(matches: Matches, from_environment: BTreeSet<&'static str>) -> Given {
        Given {
            matches,
            from_environment,
        }
    }

    pub(super) fn is_given(&self, flag: &str) -> bool {
        self.matches.opt_present(flag)
    }

    pub(super) fn value(&self, flag: &str) -> Option<String> {
        self.matches.opt_str(flag)
    }

    /// All values of a flag that may be given many times.
    pub(super) fn values(&self, flag: &str) -> Vec<String> {
        self.matches.opt_strs(flag)
    }

    /// Each flag with a variable that is given, with its values, in the order of the help.
    pub(super) fn all(&self) -> Vec<String> {
        let given = table().into_iter().filter(|flag| self.is_given(flag.name));
        given
            .map(|flag| {
                let values = self.values(flag.name).join(", ");
                format!("{} {values}", self.name(flag.name))
                    .trim_end()
                    .to_owned()
            })
            .collect()
    }

    /// What people find in their settings: the variable if the value came from there, and else the flag.
    pub(super) fn name(&self, flag: &str) -> String {
        if self.from_environment.contains(flag) {
            variable(flag)
        } else {
            dashed(flag)
        }
    }

    /// The error for a value that is not what was expected.
    pub(super) fn bad(&self, flag: &str, text: &str, expected: impl fmt::Display) -> UsageError {
        UsageError::new(format!("{} {text:?}: expected {expected}", self.name(flag)))
    }
}
