//! What goes wrong, as the stand-in says it.

use ipseity_core::words::ErrorCode;
use serde_json::{Value, json};

use super::faults::has;

/// An error, as an adapter tells it.
#[derive(Clone, Debug)]
pub(super) struct Failure(pub(super) Value);

impl Failure {
    pub(super) fn of(class: &str, message: &str) -> Failure {
        let mut message = message.to_owned();
        if has("says-it-differently") {
            message.insert_str(0, "error: ");
        }
        if has("says-not-what-to-do") {
            message.truncate(message.rfind(" (").unwrap_or(message.len()));
        }
        Failure(json!({"class": class, "message": message}))
    }

    pub(super) fn closed() -> Failure {
        let text = "the client or source was closed (make a new one to go on)";
        Failure::of("closed", text)
    }

    /// The server of this name has refused it.
    pub(super) fn refused(server: &str, code: u16, said: &str) -> Failure {
        let advice = match code {
            32 => "ask for as many as it allows, or raise its --max-count",
            33 => "check where so large a number comes from",
            41 => "show a certificate that it trusts, or ask from an address that it trusts",
            1..=4 => "check that the server is not older than this program",
            _ => "correct the request",
        };
        let code_in_words = code_in_words(code);
        let mut failure = Failure::of(
            "refused",
            &format!("{server} refused the request with {code_in_words}: {said} ({advice})"),
        );
        failure.0["code"] = json!(code);
        failure
    }

    /// The server of this name is of another cluster.
    pub(super) fn wrong_cluster(server: &str, said: &str) -> Failure {
        let advice = "correct the list of servers, or the name of the cluster";
        let text = format!("{server} is of another cluster: {said} ({advice})");
        Failure::of("wrongCluster", &text)
    }

    /// No server has answered: each with its cause.
    pub(super) fn unavailable(failures: &[(String, String)]) -> Failure {
        let texts: Vec<String> = failures
            .iter()
            .map(|(server, cause)| format!("{server}: {cause}"))
            .collect();
        let (before, many) = match failures.len() {
            1 => (String::new(), ""),
            count => (format!("none of {count} servers answered: "), "s"),
        };
        let text = texts.join("; ");
        let advice = format!("try again later; if it goes on, look at the server{many}");
        let mut failure = Failure::of("unavailable", &format!("{before}{text} ({advice})"));
        let listed = failures
            .iter()
            .map(|(server, cause)| json!({"server": server, "cause": cause}));
        failure.0["failures"] = listed.collect();
        failure
    }
}

/// The name of a code, or its number.
pub(super) fn code_in_words(code: u16) -> String {
    let known = ErrorCode::from_u16(code).map(|code| code.to_string());
    known.unwrap_or_else(|| format!("code {code}"))
}
