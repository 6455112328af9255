//! How a run of the program ends when it does not end well.

use std::{
    io::{self, ErrorKind},
    process::ExitCode,
};

use ipseity_client::{ClientError, FailureCause};
use ipseity_core::words::Standing;

/// Why a command ended before its end.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong: one line that names the argument. Exit code 2.
    Usage(String),
    /// It did not work: one line that says what happened, where, and what to do. Exit code 1.
    Failed(String),
    /// It did not work and everything has been said. Exit code 1.
    Said,
    /// It worked, and a server does not hand out identities; that has been said. Exit code 3.
    HandsOutNothing,
    /// Nobody reads the output any more, as in `... | head -1`. That is a normal end: exit code 0, and no message.
    NobodyReads,
}

impl Failure {
    /// Adds to a usage error which help shows the right usage: that of a command, or of all.
    pub fn with_help_of(self, command: Option<&str>) -> Failure {
        match (self, command) {
            (Failure::Usage(text), Some(name)) => {
                Failure::Usage(format!("{text} (see ipseity-cli {name} --help)"))
            }
            (Failure::Usage(text), None) => {
                Failure::Usage(format!("{text} (see ipseity-cli --help)"))
            }
            (other, _) => other,
        }
    }
}

impl From<io::Error> for Failure {
    /// An error of standard output, the only thing that the program writes to.
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            ErrorKind::BrokenPipe => Failure::NobodyReads,
            _ => Failure::Failed(format!("cannot write to standard output: {error}")),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        Failure::Failed(advice(&error))
    }
}

/// The error and what can be done about it, in one line.
pub fn advice(error: &ClientError) -> String {
    let ClientError::Unavailable(failures) = error else {
        return error.to_string();
    };
    let causes = failures.iter().map(|failure| &failure.cause);
    match causes.filter_map(remedy).max() {
        Some(remedy) => format!("{} ({})", error.without_advice(), remedy.text()),
        None => error.to_string(),
    }
}

/// What to do about servers that gave no answer. Of several the greatest is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Remedy {
    MendTheName,
    MendTheResolver,
    AskWhetherTls,
    AskWhy,
    StartIt,
}

/// What to do about one cause. A server that refuses is running, and its answer says what to do; so does what is wrong with
/// TLS.
fn remedy(cause: &FailureCause) -> Option<Remedy> {
    match cause {
        FailureCause::Refused(_) | FailureCause::Tls(_) | FailureCause::NotTried => None,
        FailureCause::Lookup(_) | FailureCause::NoAddress => Some(Remedy::MendTheName),
        FailureCause::LookupTimeout(_) => Some(Remedy::MendTheResolver),
        FailureCause::HandshakeTimeout(_) => Some(Remedy::AskWhetherTls),
        FailureCause::Timeout(_) => Some(Remedy::AskWhy),
        FailureCause::Connect(_)
        | FailureCause::NoConnection(_)
        | FailureCause::Closed { .. }
        | FailureCause::Io(_) => Some(Remedy::StartIt),
        _ => None,
    }
}

impl Remedy {
    fn text(self) -> &'static str {
        match self {
            Remedy::MendTheName => "is the name right? --server takes IP addresses too",
            Remedy::MendTheResolver => {
                "do the name servers answer? --timeout gives them more time, and --server takes IP addresses too"
            }
            Remedy::AskWhetherTls => {
                "does it speak TLS there? --timeout gives it more time, and without tls:// the connection is plain"
            }
            Remedy::AskWhy => {
                "if ipseity runs there, it may still be joining or waiting for its disk or etcd: ipseity-cli status shows it"
            }
            Remedy::StartIt => "is ipseity running there? --server chooses another",
        }
    }
}

/// Writes to standard error, always as one line. If standard error is closed, that is not a second failure.
pub fn complain(text: &str) {
    ipseity_console::complain("ipseity-cli", text);
}

/// What came of asking several servers, for the exit code.
#[derive(Debug, Default)]
pub struct Outcome {
    failed: bool,
    hands_out_nothing: bool,
}

impl Outcome {
    /// A server could not be asked.
    pub fn failed(&mut self) {
        self.failed = true;
    }

    /// A server has told its standing.
    pub fn stands(&mut self, standing: Standing) {
        self.hands_out_nothing |= !standing.hands_out();
    }

    /// The end of a command that has reported all this. A server that could not be asked counts for more than one that
    /// hands out nothing, because nobody knows how it does.
    pub fn end(self) -> Result<(), Failure> {
        match (self.failed, self.hands_out_nothing) {
            (true, _) => Err(Failure::Said),
            (false, true) => Err(Failure::HandsOutNothing),
            (false, false) => Ok(()),
        }
    }
}

/// Reports the failure, and returns the exit code.
pub fn report(failure: Failure) -> ExitCode {
    match failure {
        Failure::NobodyReads => ExitCode::SUCCESS,
        Failure::Said => ExitCode::from(1),
        Failure::HandsOutNothing => ExitCode::from(3),
        Failure::Failed(text) => {
            complain(&text);
            ExitCode::from(1)
        }
        Failure::Usage(text) => {
            complain(&text);
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ipseity_client::ServerFailure;
    use ipseity_core::words::{ErrorCode, ErrorReply};

    use super::*;

    fn advised(causes: Vec<FailureCause>) -> String {
        let failures = causes.into_iter().map(|cause| {
            let server = "127.0.0.1:3264".parse().unwrap();
            ServerFailure { server, cause }
        });
        advice(&ClientError::Unavailable(failures.collect()))
    }

    #[test]
    fn the_advice_does_not_doubt_that_a_server_runs_which_has_answered() {
        let silent = advised(vec![FailureCause::Closed { bytes: 0 }]);
        assert!(silent.contains("is ipseity running there?"), "{silent}");
        let full = ErrorReply::new(ErrorCode::TooManyConnections, "it is full");
        let full = advised(vec![FailureCause::Refused(full)]);
        assert!(!full.contains("is ipseity running there?"), "{full}");
    }

    #[test]
    fn the_advice_about_a_server_that_does_not_answer_in_time_is_to_look_at_its_standing() {
        let late = || FailureCause::Timeout(Duration::from_millis(500));
        let joining = advised(vec![late()]);
        assert!(joining.contains("it may still be joining"), "{joining}");
        assert!(!joining.contains("is ipseity running"), "{joining}");
        let down = advised(vec![late(), FailureCause::Closed { bytes: 0 }]);
        assert!(down.contains("is ipseity running there?"), "{down}");
    }

    #[test]
    fn the_advice_about_a_name_is_about_the_name() {
        let slow = || FailureCause::LookupTimeout(Duration::from_millis(500));
        let unknown = advised(vec![FailureCause::NoAddress]);
        assert!(unknown.ends_with("(is the name right? --server takes IP addresses too)"));
        let slower = advised(vec![FailureCause::NoAddress, slow()]);
        assert!(
            slower.contains("--timeout gives them more time"),
            "{slower}"
        );
        let down = advised(vec![slow(), FailureCause::Closed { bytes: 0 }]);
        assert!(down.contains("is ipseity running there?"), "{down}");
    }
}
