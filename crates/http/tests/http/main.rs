//! HTTP by its bytes: what is taken, what is refused and why, and every answer as it leaves.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod answers; // the bytes of every answer
mod framing; // where a request ends: cuts, pipelines, and what a proxy may see otherwise
mod hosts; // who may be named in Host
mod page; // docs/http.md
mod refusals; // every refusal, its status and what it says
mod requests; // what is asked

use ipseity_http::{Asked, Exchange, HostNames, Parsed, Refusal, parse};

/// The names of the server of these tests.
fn names() -> HostNames {
    let mut names = HostNames::default();
    names.add("ids.example.com").unwrap();
    names
}

/// The one request in a text, in which a line ends as in a source file.
fn parsed(text: &str) -> Parsed {
    let bytes = text.replace('\n', "\r\n");
    let parsed = parse(bytes.as_bytes(), &names()).expect("a whole request");
    assert_eq!(parsed.consumed, bytes.len(), "{text}");
    parsed
}

fn refused(text: &str) -> (Refusal, Exchange) {
    match parsed(text) {
        Parsed {
            asked: Asked::Refused(refusal),
            exchange,
            ..
        } => (*refusal, exchange),
        parsed => panic!("{text}\n{parsed:?}"),
    }
}
