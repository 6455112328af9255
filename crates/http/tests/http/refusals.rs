//! Every refusal: its status, whether it closes, and what it says.

use ipseity_core::{identity::IdentityError, text::is_plain, words::ErrorCode};
use ipseity_http::{Asked, Exchange, HostNames, Refusal, bad_count, limits, parse, write_refusal};

use crate::{parsed, refused};

/// The answer to a request, and whether the connection ends.
fn answer(request: &str) -> (String, bool) {
    let (refusal, exchange) = refused(request);
    let mut out = Vec::new();
    write_refusal(exchange, &refusal, &mut out);
    (String::from_utf8(out).unwrap(), exchange.closes())
}

/// A request, the status of its answer, whether the connection ends, and a piece of the text.
const REFUSED: &[(&str, &str, bool, &str)] = &[
    (
        "nonsense\n\n",
        "400 Bad Request",
        true,
        "the first line has to be METHOD TARGET HTTP/1.1",
    ),
    (
        "GET / HTTP/1.1\nHost : a\n\n",
        "400 Bad Request",
        true,
        "no space before the colon",
    ),
    (
        "GET / HTTP/1.1\nHost: a\nX: \u{1}\n\n",
        "400 Bad Request",
        true,
        "control character",
    ),
    (
        "GET / HTTP/1.1 \nHost: a\n\n",
        "400 Bad Request",
        true,
        "CR LF",
    ),
    (
        "GET / HTTP/1.1\n\n",
        "400 Bad Request",
        true,
        "send Host: NAME:PORT",
    ),
    (
        "GET / HTTP/1.1\nHost: a\nHost: a\n\n",
        "400 Bad Request",
        true,
        "two Host headers: send one",
    ),
    (
        "GET / HTTP/1.1\nHost: a b\n\n",
        "400 Bad Request",
        true,
        "send Host: NAME:PORT",
    ),
    (
        "GET / HTTP/1.1\nHost: a\nContent-Length: x\n\n",
        "400 Bad Request",
        true,
        "decimal digits",
    ),
    (
        "GET / HTTP/1.1\nHost: a\nContent-Length: 1, 1\n\n",
        "400 Bad Request",
        true,
        "twice: send it once",
    ),
    (
        "GET / HTTP/1.1\nHost: a\nContent-Length: 1\nTransfer-Encoding: chunked\n\n",
        "400 Bad Request",
        true,
        "send Content-Length only",
    ),
    (
        "GET / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n",
        "411 Length Required",
        true,
        "one with Content-Length",
    ),
    (
        "GET / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip\n\n",
        "501 Not Implemented",
        true,
        "one with Content-Length",
    ),
    (
        "GET / HTTP/1.1\nHost: a\nContent-Length: 5000\n\n",
        "413 Content Too Large",
        true,
        "4096 bytes",
    ),
    (
        "GET / HTTP/1.1\nHost: a\nExpect: more\n\n",
        "417 Expectation Failed",
        true,
        "only be 100-continue",
    ),
    (
        "GET / HTTP/2.0\nHost: a\n\n",
        "505 HTTP Version Not Supported",
        true,
        "HTTP/1.1 and HTTP/1.0",
    ),
    (
        "GET x HTTP/1.1\nHost: a\n\n",
        "400 Bad Request",
        false,
        "GET /status HTTP/1.1",
    ),
    (
        "CONNECT a:1 HTTP/1.1\nHost: a\n\n",
        "400 Bad Request",
        false,
        "neither a path",
    ),
    (
        "GET /nowhere HTTP/1.1\nHost: a\n\n",
        "404 Not Found",
        false,
        "\nPOST /identities?count=N&after=ID\n",
    ),
    (
        "GET /status/ HTTP/1.1\nHost: a\n\n",
        "404 Not Found",
        false,
        "\nGET /status\n",
    ),
    (
        "GET //identities HTTP/1.1\nHost: a\n\n",
        "404 Not Found",
        false,
        "no such path",
    ),
    (
        "GET /identities HTTP/1.1\nHost: a\n\n",
        "405 Method Not Allowed",
        false,
        "use POST",
    ),
    (
        "POST /status HTTP/1.1\nHost: a\n\n",
        "405 Method Not Allowed",
        false,
        "use GET, HEAD",
    ),
    (
        "get /status HTTP/1.1\nHost: a\n\n",
        "405 Method Not Allowed",
        false,
        "use GET, HEAD",
    ),
    (
        "OPTIONS /identities HTTP/1.1\nHost: a\n\n",
        "405 Method Not Allowed",
        false,
        "use POST",
    ),
    (
        "OPTIONS * HTTP/1.1\nHost: a\n\n",
        "405 Method Not Allowed",
        false,
        "use GET, HEAD, POST",
    ),
    (
        "GET / HTTP/1.1\nHost: a\n\n",
        "421 Misdirected Request",
        false,
        "--http-name",
    ),
    (
        "POST /identities HTTP/1.1\nHost: localhost\n\n",
        "415 Unsupported Media Type",
        false,
        "Content-Type: application/json",
    ),
];

/// The same for the parameters of `POST /identities`, which all get 400 and close nothing.
const PARAMETERS: &[(&str, &str)] = &[
    ("count=0", "count must be 1 to 10000"),
    ("count=10001", "count must be 1 to 10000"),
    ("count=", "count must be"),
    ("count", "count must be"),
    ("count=+5", "count must be"),
    ("count=-5", "count must be"),
    ("count=5x", "\"5x\" is not a number: count must be"),
    ("count=0x5", "count must be"),
    ("count=99999999999", "count must be"),
    ("count=%", "count must be"),
    ("count=%3", "count must be"),
    ("count=%zz", "count must be"),
    ("count=%+5", "count must be"),
    ("count=%ff", "count must be"),
    ("count=5&count=5", "count comes twice"),
    ("after=1&after=2", "after comes twice"),
    ("after=", "after: not a number"),
    ("after=x", "after: not a number"),
    ("after=%", "after: not a number"),
    (
        "after=18446744073709551616",
        "after: the number does not fit 64 bits",
    ),
    (
        "after=9223372036854775808",
        "after: sequence 9007199254740992 is beyond the last",
    ),
    ("after=1:1024", "after: pid 1024 is beyond the last"),
    (
        "cuont=5",
        "no parameter \"cuont\": there are count and after",
    ),
    ("Count=5", "no parameter \"Count\""),
    ("=5", "no parameter \"\""),
    ("a%00b=5", "no parameter \"a%00b\""),
    ("%=5", "no parameter \"%\""),
    ("\u{202e}=5", "no parameter \"\\u{202e}\""),
];

#[test]
fn an_answer_to_head_has_no_body_whatever_is_wrong() {
    let long = format!("HEAD / HTTP/1.1\nX: {}\n", "a".repeat(9000));
    for request in [
        "HEAD / HTTP/1.1\nHost : a\n\n",
        "HEAD / HTTP/1.1\nHost: a\nX: \u{1}\n\n",
        "HEAD / HTTP/2.0\nHost: a\n\n",
        "HEAD / HTTP/1.1\n\n",
        &long,
    ] {
        let (answer, closes) = answer(request);
        assert!(closes && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[test]
fn the_smaller_bound_of_a_count_is_named() {
    for (count_max, bound) in [
        (1, "count must be 1 to 1 (--max-count)"),
        (
            limits::HTTP_COUNT_MAX,
            "count must be 1 to 10000 (--max-count)",
        ),
        (
            limits::HTTP_COUNT_MAX + 1,
            "count must be 1 to 10000 over HTTP",
        ),
    ] {
        let error = bad_count(None, count_max);
        assert_eq!(error.code, ErrorCode::BadCount.get());
        assert!(error.message.starts_with(bound), "{}", error.message);
        let (Refusal::BadCount(no_number), _) = with_query("count=abc") else {
            panic!("abc is no count");
        };
        let error = bad_count(no_number, count_max);
        let text = format!("\"abc\" is not a number: {bound}");
        assert!(error.message.starts_with(&text), "{}", error.message);
    }
}

#[test]
fn every_refusal_has_its_status_and_says_what_to_do() {
    for (request, status, closes, text) in REFUSED {
        let (answer, does_close) = answer(request);
        check(&answer, status, text);
        assert_eq!(
            (does_close, answer.contains("Connection: close")),
            (*closes, *closes),
            "{request}"
        );
    }
    let post = |query: &str, kind: &str| {
        format!("POST /identities?{query} HTTP/1.1\nHost: localhost\nContent-Type: {kind}\n\n")
    };
    for (query, text) in PARAMETERS {
        let (answer, closes) = answer(&post(query, "application/json\nAccept: text/plain"));
        check(&answer, "400 Bad Request", text);
        assert!(!closes, "{query}");
    }
    for kind in [
        "text/plain",
        "application/jsonp",
        "application/x-www-form-urlencoded",
        "",
        "text/plain; application/json",
    ] {
        check(
            &answer(&post("", kind)).0,
            "415 Unsupported Media Type",
            "Content-Type",
        );
    }
    // What a page of somebody else may send without asking first must not become JSON beside another header.
    for kinds in [
        "text/plain\nContent-Type: application/json",
        "application/json\nContent-Type: text/plain",
    ] {
        check(
            &answer(&post("", kinds)).0,
            "415 Unsupported Media Type",
            "Content-Type",
        );
    }
}

fn check(answer: &str, status: &str, text: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let line = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n");
    assert!(head.starts_with(&line), "{answer}");
    assert!(body.contains(text), "{text:?} is not in {answer}");
    assert!(body.ends_with('\n'));
    assert!(
        body.lines().all(|line| line.chars().all(is_plain)),
        "{body:?}"
    );
    let allow = head
        .lines()
        .filter(|line| line.starts_with("Allow: "))
        .count();
    assert_eq!(allow, usize::from(status.starts_with("405")), "{answer}");
}

#[test]
fn a_head_is_refused_without_a_body() {
    for request in [
        "HEAD /identities HTTP/1.1\nHost: a\n\n",
        "HEAD /nowhere HTTP/1.1\nHost: a\n\n",
        "HEAD /status HTTP/1.1\nHost: a\nHost: b\n\n",
    ] {
        let (answer, _) = answer(request);
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(
            !answer.contains("Content-Length: 0"),
            "the length is that of the body of a GET"
        );
    }
}

#[test]
fn the_head_and_the_headers_have_bounds_that_the_texts_name() {
    for (refusal, number) in [
        (Refusal::HeadTooLarge, limits::HTTP_HEAD_BYTES_MAX),
        (Refusal::TooManyHeaders, limits::HTTP_HEADERS_MAX),
    ] {
        let mut out = Vec::new();
        write_refusal(Exchange::default(), &refusal, &mut out);
        let answer = String::from_utf8(out).unwrap();
        check(
            &answer,
            "431 Request Header Fields Too Large",
            &number.to_string(),
        );
        assert!(answer.contains("\r\nConnection: close\r\n"));
    }
}

#[test]
fn a_refusal_that_closes_closes_whatever_the_exchange_says() {
    let exchange = parsed("GET /livez HTTP/1.1\nHost: a\n\n").exchange;
    for (refusal, closes) in [
        (Refusal::Chunked, true),
        (Refusal::BadAfter(IdentityError::NotANumber), false),
    ] {
        let mut out = Vec::new();
        write_refusal(exchange, &refusal, &mut out);
        let answer = String::from_utf8(out).unwrap();
        assert_eq!(
            answer.contains("\r\nConnection: close\r\n"),
            closes,
            "{answer}"
        );
    }
}

fn with_query(query: &str) -> (Refusal, Exchange) {
    refused(&format!(
        "POST /identities?{query} HTTP/1.1\nHost: localhost\nContent-Type: application/json\n\n"
    ))
}

#[test]
fn an_after_that_is_no_identity_is_refused_in_the_form_that_was_asked_for() {
    let (refusal, exchange) = with_query("after=x");
    let mut out = Vec::new();
    write_refusal(exchange, &refusal, &mut out);
    let answer = String::from_utf8(out).unwrap();
    assert!(
        answer.contains("\r\nContent-Type: application/json\r\n"),
        "{answer}"
    );
    let body = "\r\n\r\n{\"error\":\"badAfter\",\"message\":\"after: not a number";
    assert!(answer.contains(body), "{answer}");
    // What is wrong with the request itself, no program has computed.
    let (refusal, exchange) = with_query("cuont=1");
    let mut out = Vec::new();
    write_refusal(exchange, &refusal, &mut out);
    assert!(!String::from_utf8(out).unwrap().contains("json"));
}

#[test]
fn a_bare_line_feed_before_a_request_is_refused_at_once() {
    for bytes in [&b"\n"[..], b"\nGET / HTTP/1.1\r\n", b"\n\r\n"] {
        let parsed = parse(bytes, &HostNames::default()).expect("no byte more is needed");
        assert_eq!(
            parsed.asked,
            Asked::Refused(Box::new(Refusal::LineEnd)),
            "{bytes:?}"
        );
        assert!(parsed.exchange.closes());
    }
    assert_eq!(parse(b"\r", &HostNames::default()), None);
}
