//! `ipseity-cli` as a process, and how it ended.

use std::process::{Command, Output, Stdio};

use crate::programs;

/// The program with these arguments, an environment that names no server and no files, and no input.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(programs::ipseity_cli());
    command.args(arguments).stdin(Stdio::null());
    for variable in [
        "IPSEITY_SERVER",
        "IPSEITY_STORE",
        "IPSEITY_CLUSTER",
        "IPSEITY_ETCD_CA",
        "IPSEITY_ETCD_CERT",
        "IPSEITY_ETCD_KEY",
        "IPSEITY_ETCD_USER",
        "IPSEITY_TLS_CA",
        "IPSEITY_TLS_CERT",
        "IPSEITY_TLS_KEY",
    ] {
        command.env_remove(variable);
    }
    command
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        Run {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub fn run(arguments: &[&str]) -> Run {
    command(arguments).output().unwrap().into()
}

impl Run {
    /// Standard output, of a run that ended with code 0 and wrote nothing to standard error.
    pub fn good(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        self.out
    }

    /// The one line on standard error, of a run that ended with `code`.
    pub fn bad(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        let line = self.err.strip_suffix('\n').unwrap();
        assert!(!line.contains('\n'), "{line}");
        line.strip_prefix("ipseity-cli: ").unwrap()
    }
}
