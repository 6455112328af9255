//! The reader of HTTP. The input: how the stream is cut, and the stream.

use ipseity_core::{
    identity::Identity,
    text::is_plain,
    words::{ErrorCode, ErrorReply},
};
use ipseity_http::{
    Asked, Content, HostNames, Parsed, StatusCode,
    limits::{HTTP_BODY_BYTES_MAX, HTTP_COUNT_MAX, HTTP_HEAD_BYTES_MAX},
    parse, write_error, write_identities, write_page, write_refusal, write_text,
};

use super::input::{Input, pieces};

/// A stream gives the same requests however it is cut. Each is made of its own bytes alone, and its answer is one whole
/// answer, whose head has nothing of the request.
pub fn check(input: &[u8]) {
    let mut input = Input::new(input);
    let cut = input.byte();
    let stream = input.rest();
    let whole = read(&[stream]);
    assert_eq!(read(&pieces(stream, cut)), whole, "cut {cut}");
    let mut rest = stream;
    for parsed in &whole {
        let closes = parsed.exchange.closes();
        if !closes {
            // The bytes behind it play no part, and without its last byte it is not whole.
            let (own, behind) = rest.split_at(parsed.consumed);
            assert_eq!(parse(own, &names()).as_ref(), Some(parsed));
            assert_eq!(parse(&own[..own.len() - 1], &names()), None);
            rest = behind;
        }
        check_answer(parsed);
    }
}

fn names() -> HostNames {
    let mut names = HostNames::default();
    names.add("ids.example").expect("a name");
    names
}

/// Reads as a server does: between two pieces a connection keeps what is not a whole request.
fn read(pieces: &[&[u8]]) -> Vec<Parsed> {
    let names = names();
    let mut requests = Vec::new();
    let mut rest = Vec::new();
    for piece in pieces {
        rest.extend_from_slice(piece);
        while let Some(mut parsed) = parse(&rest, &names) {
            assert!((1..=rest.len()).contains(&parsed.consumed));
            rest.drain(..parsed.consumed);
            if parsed.exchange.closes() {
                // How much of the rest is taken is of no account.
                parsed.consumed = 0;
                requests.push(parsed);
                return requests;
            }
            requests.push(parsed);
        }
        assert!(rest.len() < HTTP_HEAD_BYTES_MAX + HTTP_BODY_BYTES_MAX);
    }
    requests
}

fn check_answer(parsed: &Parsed) {
    let exchange = parsed.exchange;
    let mut out = Vec::new();
    match &parsed.asked {
        Asked::Identities { count, after } => {
            assert!((1..=HTTP_COUNT_MAX).contains(count));
            let first = Identity::from_u64(*after).expect("after is an identity");
            if let Some(first) = first.checked_add(1) {
                write_identities(exchange, first, *count, &mut out);
                is_answer(&out, exchange.closes());
                out.clear();
            }
            write_error(
                exchange,
                &ErrorReply::new(ErrorCode::Joining, "not yet"),
                &mut out,
            );
        }
        Asked::Status | Asked::Metrics | Asked::Live | Asked::Ready => {
            write_text(exchange, StatusCode::Ok, Content::Text, b"ok\n", &mut out);
        }
        Asked::Page => write_page(exchange, &mut out),
        Asked::Refused(refusal) => {
            assert!(exchange.closes() || !refusal.closes());
            let text = refusal.to_string();
            assert!(
                text.lines().all(|line| line.chars().all(is_plain)),
                "{text:?}"
            );
            write_refusal(exchange, refusal, &mut out);
        }
    }
    is_answer(&out, exchange.closes());
}

/// Whether these bytes are one answer of HTTP/1.1: its head has only the headers that there are, and its body has the
/// length that is said, or is left out.
pub(super) fn is_answer(bytes: &[u8], closes: bool) {
    const HEADERS: [&str; 10] = [
        "Content-Type",
        "Content-Length",
        "Cache-Control",
        "X-Content-Type-Options",
        "Connection",
        "Allow",
        "Retry-After",
        "Content-Security-Policy",
        "X-Frame-Options",
        "Referrer-Policy",
    ];
    let text = str::from_utf8(bytes).expect("an answer is text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.split("\r\n");
    assert!(lines.next().expect("a first line").starts_with("HTTP/1.1 "));
    let headers: Vec<(&str, &str)> = lines
        .map(|line| line.split_once(": ").expect(line))
        .collect();
    assert!(
        headers
            .iter()
            .all(|(name, value)| HEADERS.contains(name) && value.chars().all(is_plain))
    );
    let value = |name: &str| {
        headers
            .iter()
            .find(|(other, _)| *other == name)
            .map(|(_, value)| *value)
    };
    let length: usize = value("Content-Length")
        .expect("a length")
        .parse()
        .expect("a number");
    assert!(body.is_empty() || body.len() == length, "{text}");
    assert_eq!(value("Connection") == Some("close"), closes, "{text}");
}
