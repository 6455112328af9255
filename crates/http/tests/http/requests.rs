//! What is asked.

use ipseity_http::{Asked, Exchange, What, limits::HTTP_COUNT_MAX, parse, write_identities};

use crate::{answers::identity, names, parsed};

fn post(query: &str) -> String {
    format!("POST /identities{query} HTTP/1.1\nHost: localhost\nContent-Type: application/json\n\n")
}

#[test]
fn every_path_is_found_and_may_be_asked_for_its_head() {
    for (path, asked, what) in [
        ("/status", Asked::Status, What::Status),
        ("/metrics", Asked::Metrics, What::Metrics),
        ("/livez", Asked::Live, What::Live),
        ("/readyz", Asked::Ready, What::Ready),
        ("/", Asked::Page, What::Page),
        ("/status?pretty=yes", Asked::Status, What::Status),
    ] {
        for method in ["GET", "HEAD"] {
            let parsed = parsed(&format!(
                "{method} {path} HTTP/1.1\nHost: localhost:3265\n\n"
            ));
            assert_eq!(parsed.asked, asked, "{method} {path}");
            assert_eq!(parsed.exchange.asks(), what);
            assert!(!parsed.exchange.closes());
        }
    }
}

#[test]
fn the_parameters_say_how_many_and_after_what() {
    for (query, count, after) in [
        ("", 1, 0),
        ("?", 1, 0),
        ("?count=1", 1, 0),
        ("?count=500&after=1025", 500, 1025),
        ("?after=0x401&count=2", 2, 1025),
        ("?after=1:1", 1, 1025),
        ("?after=1%3a1", 1, 1025),
        ("?%63ount=%32", 2, 0),
        ("?&count=007&", 7, 0),
        ("?count=10000", HTTP_COUNT_MAX, 0),
        ("?after=9223372036854775807", 1, i64::MAX as u64),
    ] {
        let parsed = parsed(&post(query));
        assert_eq!(parsed.asked, Asked::Identities { count, after }, "{query}");
        assert_eq!(parsed.exchange.asks(), What::Identities);
    }
}

#[test]
fn what_a_browser_or_a_probe_sends_is_taken() {
    for text in [
        // curl
        "POST /identities HTTP/1.1\nHost: 127.0.0.1:3265\nUser-Agent: curl/8.14.1\nAccept: */*\n\
         Content-Type: application/json\nContent-Length: 2\n\n{}",
        // The same with a charset, and header names in another case.
        "POST /identities HTTP/1.1\nHOST: [::1]:3265\ncontent-type:application/JSON; charset=utf-8\n\n",
        // Empty lines before a request are allowed.
        "\n\nPOST /identities HTTP/1.1\nHost: localhost\nContent-Type: application/json\n\n",
        // As sent to a proxy. The name in the target counts.
        "POST http://localhost:3265/identities HTTP/1.1\nHost: other.example\nContent-Type: application/json\n\n",
        // An old client without Host.
        "POST /identities HTTP/1.0\nContent-Type: application/json\n\n",
    ] {
        let asked = Asked::Identities { count: 1, after: 0 };
        assert_eq!(parsed(text).asked, asked, "{text}");
    }
    let probe = "GET /readyz HTTP/1.1\nHost: 10.0.0.5:3265\nUser-Agent: kube-probe/1.33\nAccept: */*\nConnection: close\n\n";
    let parsed = parsed(probe);
    assert_eq!(parsed.asked, Asked::Ready);
    assert!(parsed.exchange.closes());
}

#[test]
fn the_connection_goes_on_as_the_client_asks() {
    for (version, connection, closes, told) in [
        ("1.1", "", false, ""),
        ("1.1", "Connection: keep-alive\n", false, ""),
        ("1.1", "Connection: close\n", true, "Connection: close"),
        (
            "1.1",
            "connection: Upgrade, CLOSE\n",
            true,
            "Connection: close",
        ),
        (
            "1.1",
            "Connection: keep-alive\nConnection: close\n",
            true,
            "Connection: close",
        ),
        ("1.1", "Connection: closed\n", false, ""),
        ("1.0", "", true, "Connection: close"),
        (
            "1.0",
            "Connection: Keep-Alive\n",
            false,
            "Connection: keep-alive",
        ),
        (
            "1.0",
            "Connection: keep-alive, close\n",
            true,
            "Connection: close",
        ),
    ] {
        let text = format!("GET /livez HTTP/{version}\nHost: a\n{connection}\n");
        let exchange = parsed(&text).exchange;
        assert_eq!(exchange.closes(), closes, "{text}");
        let mut out = Vec::new();
        write_identities(exchange, identity(1), 1, &mut out);
        let answer = String::from_utf8(out).unwrap();
        let line = answer.lines().find(|line| line.starts_with("Connection"));
        assert_eq!(line.unwrap_or_default(), told, "{text}");
        assert!(exchange.closing().closes());
        assert_eq!(exchange.closing().asks(), exchange.asks());
    }
}

#[test]
fn lines_of_text_come_only_to_a_client_that_names_them() {
    for (accept, is_text) in [
        ("", false),
        ("*/*", false),
        ("text/plain", true),
        ("Text/Plain; charset=utf-8", true),
        ("text/*", true),
        ("text/plain, */*", true),
        ("text/plain;q=0.5, */*", false),
        ("text/plain;q=0", false),
        ("application/json", false),
        ("application/json, text/plain", false),
        ("application/json;q=0.5, text/plain;q=0.9", true),
        ("application/json; q=0.5, text/plain ;q=0.1", false),
        ("text/plain;q=many", true),
        ("text/plain;q=NaN, application/json;q=0.1", false),
        ("text/html,application/xhtml+xml,*/*;q=0.8", false),
        ("\u{e9},;;,=", false),
    ] {
        let text = post("").replace("\n\n", &format!("\nAccept: {accept}\n\n"));
        let mut out = Vec::new();
        write_identities(parsed(&text).exchange, identity(1), 1, &mut out);
        let kind = if is_text {
            "Content-Type: text/plain"
        } else {
            "Content-Type: application/json"
        };
        let answer = String::from_utf8(out).unwrap();
        assert!(answer.contains(kind), "{accept}: {answer}");
    }
    // Two headers are one list.
    let text = post("").replace("\n\n", "\nAccept: text/plain\nAccept: application/json\n\n");
    let mut out = Vec::new();
    write_identities(parsed(&text).exchange, identity(1), 1, &mut out);
    assert!(out.ends_with(b"]}\n"));
}

#[test]
fn a_client_that_waits_before_it_sends_its_body_is_answered_and_hung_up_on() {
    let head = "POST /identities?count=3 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Expect: 100-Continue\r\nContent-Length: 9\r\n\r\n";
    for body in ["", "{\"a", "{\"a\": 1}\n"] {
        let bytes = format!("{head}{body}");
        let parsed = parse(bytes.as_bytes(), &names()).unwrap();
        assert_eq!(parsed.asked, Asked::Identities { count: 3, after: 0 });
        assert!(
            parsed.exchange.closes(),
            "whether the body comes is not known"
        );
        assert_eq!(parsed.consumed, bytes.len());
    }
    // There is nothing to wait for, or the client is too old to know the word.
    let nothing = head.replace("Length: 9", "Length: 0");
    assert!(
        !parse(nothing.as_bytes(), &names())
            .unwrap()
            .exchange
            .closes()
    );
    let old = head.replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(
        parse(old.as_bytes(), &names()),
        None,
        "it waits for the body"
    );
}

#[test]
fn the_exchange_of_no_request_closes() {
    assert!(Exchange::default().closes());
    assert_eq!(Exchange::default().asks(), What::Nothing);
}
