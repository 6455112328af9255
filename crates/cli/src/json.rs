//! JSON as the commands write it: an object a line.

use std::io::{self, Write};

use ipseity_client::ClientError;
use ipseity_console::{code_name, plain_json};
use serde::Serialize;

use crate::unseen::Unseen;

/// What is shown instead of a server's answer: why there is no answer.
#[derive(Serialize)]
struct Unanswered<'a> {
    server: &'a str,
    error: &'a str,
    code: Option<String>,
}

/// Writes an object with the server, what happened there in words, and the name of the error if the server
/// answered with one.
pub fn write_error(out: &mut dyn Write, server: &str, error: &ClientError) -> io::Result<()> {
    let unseen = Unseen::new(error);
    let code = unseen.code.map(code_name);
    let error = &unseen.reason;
    write_line(
        out,
        &Unanswered {
            server,
            error,
            code,
        },
    )
}

/// Writes `object` and a line end. Its strings may come from the network: none of their characters can move a
/// cursor or end the line, even where somebody looks at the JSON itself.
pub fn write_line(out: &mut dyn Write, object: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_string(object)?;
    writeln!(out, "{}", plain_json(&json))
}
