//! The variables of the environment, as words of a command line: one parser reads both.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
};

use ipseity_console::Takes;

use super::{
    UsageError,
    flags::{table, variable},
};

/// How the names of the variables begin.
const PREFIX: &str = "IPSEITY_";

/// What the environment says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FromEnvironment {
    /// The words that it stands for, such as `--pid=3`.
    pub(super) arguments: Vec<String>,
    /// The flags in them.
    pub(super) flags: BTreeSet<&'static str>,
    /// The variables that begin like ours and that no flag is called by. Kubernetes sets some for a service that is called
    /// `ipseity`.
    pub(super) unknown: Vec<String>,
    /// The variables that another flag overrules.
    pub(super) overruled: Vec<String>,
}

impl FromEnvironment {
    /// Reads the variables. A flag that `is_on_command_line` wins over its variable, which is not even looked at.
    ///
    /// # Errors
    /// A variable is not UTF-8, or that of a flag without a value is neither true nor false.
    pub(super) fn read(
        variables: &[(OsString, OsString)],
        is_on_command_line: impl Fn(&str) -> bool,
    ) -> Result<FromEnvironment, UsageError> {
        let mut set: BTreeMap<String, &OsStr> = variables
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.as_os_str()))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        let mut read = FromEnvironment::default();
        for flag in table() {
            let variable = variable(flag.name);
            let Some(value) = set.remove(&variable) else {
                continue;
            };
            if is_on_command_line(flag.name) {
                continue;
            }
            let Some(value) = value.to_str() else {
                return Err(UsageError::new(format!("{variable} is not UTF-8")));
            };
            match flag.takes {
                Takes::Nothing if !is_true(&variable, value)? => continue,
                Takes::Nothing => read.arguments.push(format!("--{}", flag.name)),
                Takes::Value(_) => read.arguments.push(format!("--{}={value}", flag.name)),
                // The spaces are allowed in the lists of ipseity-cli too.
                Takes::Values(_) => read.arguments.extend(
                    value
                        .split(',')
                        .map(|value| format!("--{}={}", flag.name, value.trim())),
                ),
            }
            read.flags.insert(flag.name);
        }
        read.unknown = set.into_keys().collect();
        if is_on_command_line("store") || read.flags.contains("store") {
            read.forget_directory();
        }
        Ok(read)
    }

    /// The image says where a state directory would be, for those who want one. Whoever names a store wants none.
    fn forget_directory(&mut self) {
        let flag = "data-dir";
        if self.flags.remove(flag) {
            let word = format!("--{flag}=");
            self.arguments.retain(|given| !given.starts_with(&word));
            self.overruled.push(variable(flag));
        }
    }
}

/// Whether a variable turns on a flag that takes no value.
fn is_true(variable: &str, value: &str) -> Result<bool, UsageError> {
    match value {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(UsageError::new(format!(
            "{variable} {value:?}: expected true, false, 1, 0, yes or no"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<FromEnvironment, UsageError> {
        let variables: Vec<(OsString, OsString)> = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        FromEnvironment::read(&variables, |flag| flag == "max-count")
    }

    #[test]
    fn a_store_overrules_the_directory_of_the_environment_and_nothing_else() {
        let directory = ("IPSEITY_DATA_DIR", "/data/state");
        for store in [true, false] {
            let mut variables = vec![directory, ("IPSEITY_PID", "7")];
            variables.extend(store.then_some(("IPSEITY_STORE", "etcd://a")));
            let read = read(&variables).unwrap();
            assert_eq!(read.flags.contains("data-dir"), !store);
            let words = read.arguments;
            assert_eq!(words.iter().any(|word| word.contains("data")), !store);
            assert!(words.contains(&"--pid=7".to_owned()));
            let overruled: &[&str] = if store { &["IPSEITY_DATA_DIR"] } else { &[] };
            assert_eq!(read.overruled, overruled);
        }
    }

    #[test]
    fn variables_become_words() {
        let read = read(&[
            ("IPSEITY_PEER", "a:1, b:2,[::1]:3"),
            ("IPSEITY_TRACE", "a,b=c"),
            ("IPSEITY_EPHEMERAL", "yes"),
            ("IPSEITY_EXISTING", "no"),
            ("IPSEITY_CLUSTER", ""),
            // It is on the command line.
            ("IPSEITY_MAX_COUNT", "what?"),
            ("PID", "5"),
        ])
        .unwrap();
        assert_eq!(
            read.arguments,
            [
                "--peer=a:1",
                "--peer=b:2",
                "--peer=[::1]:3",
                "--ephemeral",
                "--trace=a,b=c"
            ]
        );
        assert_eq!(read.flags, BTreeSet::from(["ephemeral", "peer", "trace"]));
        assert_eq!(read.unknown, [""; 0]);
    }

    #[test]
    fn a_flag_without_a_value_is_true_or_false() {
        for (value, expected) in [
            ("true", true),
            ("1", true),
            ("yes", true),
            ("false", false),
            ("0", false),
            ("no", false),
            ("", false),
        ] {
            let read = read(&[("IPSEITY_EPHEMERAL", value)]).unwrap();
            assert_eq!(read.flags.contains("ephemeral"), expected, "{value:?}");
        }
        for value in ["2", "on", "TRUE", " true"] {
            let said = read(&[("IPSEITY_EPHEMERAL", value)])
                .unwrap_err()
                .to_string();
            let expected =
                format!("IPSEITY_EPHEMERAL {value:?}: expected true, false, 1, 0, yes or no");
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_only_where_it_counts() {
        let value = || OsString::from_vec(b"a\xff".to_vec());
        let read = |name: OsString| FromEnvironment::read(&[(name, value())], |_| false);
        let said = read("IPSEITY_DATA_DIR".into()).unwrap_err().to_string();
        assert_eq!(said, "IPSEITY_DATA_DIR is not UTF-8");
        assert_eq!(read("IPSEITY_X".into()).unwrap().unknown, ["IPSEITY_X"]);
        let name = OsString::from_vec(b"IPSEITY_\xff".to_vec());
        assert_eq!(read(name).unwrap().unknown, ["IPSEITY_\u{fffd}"]);
    }

    /// Kubernetes sets these for a service that is called `ipseity` or `ipseity-...`: they must never be flags.
    #[test]
    fn no_flag_has_a_name_that_kubernetes_gives_to_a_variable() {
        for flag in table() {
            let name = variable(flag.name);
            let is_of_kubernetes = name.ends_with("_PORT")
                || name.ends_with("_SERVICE_HOST")
                || name.contains("_PORT_")
                || name.contains("_SERVICE_PORT");
            assert!(!is_of_kubernetes, "{name}");
        }
        let read = read(&[
            ("IPSEITY_SERVICE_HOST", "10.0.0.1"),
            ("IPSEITY_PORT", "tcp://10.0.0.1:3264"),
            ("IPSEITY_EMPTY", ""),
        ])
        .unwrap();
        assert_eq!(read.arguments, [""; 0]);
        assert_eq!(read.unknown, ["IPSEITY_PORT", "IPSEITY_SERVICE_HOST"]);
    }
}
