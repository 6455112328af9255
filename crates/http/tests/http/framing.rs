//! Where a request ends. A proxy in front of the server must not see other requests in the same bytes than the server
//! does: then one client could put a request into the connection of another (request smuggling).

use ipseity_http::{
    Asked, Refusal, StatusCode,
    limits::{HTTP_BODY_BYTES_MAX, HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX},
    parse,
};

use crate::{names, parsed};

/// What is refused in these very bytes. The connection has to end.
fn refused_in(bytes: &[u8]) -> Refusal {
    let parsed = parse(bytes, &names()).expect("it is refused at once");
    assert!(parsed.exchange.closes(), "{}", bytes.escape_ascii());
    match parsed.asked {
        Asked::Refused(refusal) => {
            assert!(refusal.closes());
            *refusal
        }
        asked => panic!("{asked:?}: {}", bytes.escape_ascii()),
    }
}

#[test]
fn what_leaves_the_end_of_a_request_open_is_refused_and_closes() {
    use Refusal::*;
    for (headers, refusal) in [
        // Two lengths.
        ("Content-Length: 5\r\nContent-Length: 6", LengthTwice),
        ("Content-Length: 5\r\nContent-Length: 5", LengthTwice),
        ("Content-Length: 5, 5", LengthTwice),
        ("Content-Length: 5,", LengthTwice),
        // Lengths that somebody may read as a number.
        ("Content-Length: +5", LengthMalformed),
        ("Content-Length: -5", LengthMalformed),
        ("Content-Length: 0x5", LengthMalformed),
        ("Content-Length: 5 5", LengthMalformed),
        ("Content-Length: 5.0", LengthMalformed),
        ("Content-Length:", LengthMalformed),
        ("Content-Length: \u{665}", LengthMalformed),
        ("Content-Length: 4097", BodyTooLarge),
        ("Content-Length: 18446744073709551616", BodyTooLarge),
        (
            "Content-Length: 99999999999999999999999999999999999999999",
            BodyTooLarge,
        ),
        // A length and a coding.
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            LengthAndCoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            LengthAndCoding,
        ),
        (
            "Transfer-Encoding: identity\r\nContent-Length: 5",
            LengthAndCoding,
        ),
        ("Transfer-Encoding:\r\nContent-Length: 5", LengthAndCoding),
        // Codings, hidden or not.
        ("Transfer-Encoding: chunked", Chunked),
        ("transfer-encoding:\tCHUNKED ", Chunked),
        ("Transfer-Encoding: xchunked", Coding),
        ("Transfer-Encoding: chunked, identity", Coding),
        ("Transfer-Encoding: identity", Coding),
        ("Transfer-Encoding: \"chunked\"", Coding),
        (
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
            Coding,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            Coding,
        ),
        ("Transfer-Encoding: \x0bchunked", HeaderValue),
        // Names that somebody may read as another name.
        ("Transfer-Encoding : chunked", HeaderName),
        ("Content-Length : 5", HeaderName),
        ("Content-Length\t: 5", HeaderName),
        (" Content-Length: 5", HeaderName),
        ("Content Length: 5", HeaderName),
        ("X: a\r\n Content-Length: 5", HeaderName),
        ("X: a\r\n\tTransfer-Encoding: chunked", HeaderName),
        (": 5", HeaderName),
        ("Content-Length", HeaderName),
        ("X\0: a", HeaderName),
        ("X: a\0b", HeaderValue),
        ("X: a\u{7f}b", HeaderValue),
        // Ends of lines that somebody may read as another end.
        ("X: a\nContent-Length: 5", LineEnd),
        ("X: a\n", LineEnd),
        ("X: a\rContent-Length: 5", HeaderValue),
        ("X: a\r\r\nContent-Length: 5", HeaderValue),
    ] {
        let bytes = format!("GET /livez HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n");
        assert_eq!(refused_in(bytes.as_bytes()), refusal, "{headers:?}");
    }
}

#[test]
fn a_first_line_that_is_not_one_is_refused_and_closes() {
    use Refusal::*;
    for (bytes, refusal) in [
        ("GET /livez HTTP/1.1\nHost: a\n\n", LineEnd),
        ("\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n", LineEnd),
        ("\rGET /livez HTTP/1.1\r\nHost: a\r\n\r\n", LineEnd),
        ("GET /livez\r\n\r\n", RequestLine),
        ("GET  /livez HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        ("GET\t/livez HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        ("GET /li vez HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        ("GET /livez HTTP/1.1 \r\nHost: a\r\n\r\n", LineEnd),
        ("GET /livez FTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        ("GET /livez HTTP/x.1\r\nHost: a\r\n\r\n", RequestLine),
        ("GET /livez http/1.1\r\nHost: a\r\n\r\n", RequestLine),
        ("GET /li\0vez HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (" GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        ("G\u{e9}T /livez HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        ("GET /livez HTTP/0.9\r\n\r\n", Version),
        ("GET /livez HTTP/1.2\r\nHost: a\r\n\r\n", Version),
        ("GET /livez HTTP/1.10\r\nHost: a\r\n\r\n", LineEnd),
        ("GET /livez HTTP/2\r\nHost: a\r\n\r\n", Version),
        ("GET /livez HTTP/3.0\r\nHost: a\r\n\r\n", Version),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Version),
        // The binary protocol.
        ("\0\x01\x01", RequestLine),
        // TLS.
        ("\x16\x03\x01\x02\0\x01", RequestLine),
    ] {
        assert_eq!(refused_in(bytes.as_bytes()), refusal, "{bytes:?}");
    }
}

#[test]
fn a_request_cut_anywhere_is_the_same_request() {
    for text in [
        "GET /livez HTTP/1.1\nHost: a\n\n",
        "POST /identities?count=3&after=1025 HTTP/1.1\nHost: localhost:1\nAccept: text/plain\n\
         Content-Type: application/json\nContent-Length: 11\nConnection: close\n\n{\"a\": \"\u{e9}\"}",
        "POST /nowhere HTTP/1.0\nConnection: keep-alive\nContent-Length: 3\n\nabc",
    ] {
        let whole = parsed(text);
        let bytes = text.replace('\n', "\r\n");
        for end in 0..bytes.len() {
            assert_eq!(
                parse(&bytes.as_bytes()[..end], &names()),
                None,
                "{end}: {text}"
            );
        }
        // What comes behind it changes nothing.
        for behind in ["GET /status HTTP/1.1\r\n", "\0", "\r\n\r\n"] {
            let bytes = format!("{bytes}{behind}");
            assert_eq!(
                parse(bytes.as_bytes(), &names()),
                Some(whole.clone()),
                "{text}"
            );
        }
    }
}

#[test]
fn a_body_is_skipped_whatever_is_in_it() {
    let smuggled = "GET /status HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = smuggled.len();
    for (first, asked) in [
        ("GET /livez", Asked::Live),
        ("POST /identities", Asked::Identities { count: 1, after: 0 }),
    ] {
        let head = format!(
            "{first} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        let bytes = format!("{head}{smuggled}GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        let parsed = parse(bytes.as_bytes(), &names()).unwrap();
        assert_eq!(
            (parsed.asked, parsed.consumed),
            (asked, head.len() + length)
        );
        let next = parse(&bytes.as_bytes()[parsed.consumed..], &names()).unwrap();
        assert_eq!(next.asked, Asked::Metrics);
    }
}

#[test]
fn a_request_that_is_only_wrong_leaves_the_next_one_in_its_place() {
    let body = "GET /status HTTP/1.1\r\n\r\n";
    let length = body.len();
    for first in [
        "POST /nowhere HTTP/1.1\r\nHost: a\r\n",
        "PUT /status HTTP/1.1\r\nHost: a\r\n",
        "POST /identities HTTP/1.1\r\nHost: localhost\r\n",
        "POST /identities HTTP/1.1\r\nHost: other.example\r\nContent-Type: application/json\r\n",
        "POST /identities?count=0 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n",
        "GET livez HTTP/1.1\r\nHost: a\r\n",
    ] {
        let request = format!("{first}Content-Length: {length}\r\n\r\n{body}");
        let bytes = format!("{request}GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
        let parsed = parse(bytes.as_bytes(), &names()).unwrap();
        assert!(matches!(parsed.asked, Asked::Refused(_)), "{first}");
        assert!(!parsed.exchange.closes(), "{first}");
        assert_eq!(parsed.consumed, request.len(), "{first}");
        let next = parse(&bytes.as_bytes()[parsed.consumed..], &names()).unwrap();
        assert_eq!(next.asked, Asked::Live, "{first}");
    }
}

#[test]
fn every_bound_is_reached_and_not_passed() {
    let head = |length: usize| {
        let start = "GET /livez HTTP/1.1\r\nHost: a\r\nX: ";
        let filling = "x".repeat(length - start.len() - 4);
        format!("{start}{filling}\r\n\r\n")
    };
    let largest = head(HTTP_HEAD_BYTES_MAX);
    assert_eq!(
        parse(largest.as_bytes(), &names()).unwrap().asked,
        Asked::Live
    );
    // It is refused as soon as it is known, and not before.
    let too_large = head(HTTP_HEAD_BYTES_MAX + 1);
    let at_bound = &too_large.as_bytes()[..HTTP_HEAD_BYTES_MAX];
    assert_eq!(parse(&at_bound[..HTTP_HEAD_BYTES_MAX - 1], &names()), None);
    assert_eq!(refused_in(at_bound), Refusal::HeadTooLarge);
    assert_eq!(refused_in(too_large.as_bytes()), Refusal::HeadTooLarge);
    let target = format!("GET /{}", "x".repeat(HTTP_HEAD_BYTES_MAX));
    assert_eq!(refused_in(target.as_bytes()), Refusal::HeadTooLarge);
    let empty = "\r\n".repeat(HTTP_HEAD_BYTES_MAX / 2);
    assert_eq!(refused_in(empty.as_bytes()), Refusal::HeadTooLarge);

    let headers = |count: usize| {
        let others = "X: a\r\n".repeat(count - 1);
        format!("GET /livez HTTP/1.1\r\nHost: a\r\n{others}\r\n")
    };
    let most = headers(HTTP_HEADERS_MAX);
    assert_eq!(parse(most.as_bytes(), &names()).unwrap().asked, Asked::Live);
    let too_many = headers(HTTP_HEADERS_MAX + 1);
    assert_eq!(refused_in(too_many.as_bytes()), Refusal::TooManyHeaders);
    assert_eq!(
        Refusal::TooManyHeaders.status(),
        StatusCode::HeadersTooLarge
    );

    let body = |length: usize| {
        let body = "x".repeat(length);
        format!("GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let largest = body(HTTP_BODY_BYTES_MAX);
    let parsed = parse(largest.as_bytes(), &names()).unwrap();
    assert_eq!(
        (parsed.asked, parsed.consumed),
        (Asked::Live, largest.len())
    );
    let too_large = body(HTTP_BODY_BYTES_MAX + 1);
    let start = too_large.find("\r\n\r\n").unwrap() + 4;
    assert_eq!(
        refused_in(&too_large.as_bytes()[..start]),
        Refusal::BodyTooLarge
    );
}
