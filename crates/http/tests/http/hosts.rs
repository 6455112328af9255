//! Who may be named in Host.

use ipseity_http::{Asked, HostNames, Refusal, StatusCode};

use crate::{parsed, refused};

const GUARDED: [&str; 2] = [
    "GET / HTTP/1.1\n",
    "POST /identities HTTP/1.1\nContent-Type: application/json\n",
];

#[test]
fn addresses_localhost_and_the_names_of_the_server_are_taken() {
    for host in [
        "localhost",
        "LocalHost:3265",
        "localhost.",
        "127.0.0.1",
        "10.1.2.3:80",
        "[::1]",
        "[2001:DB8::1]:3265",
        "[::ffff:10.0.0.5]:1",
        "ids.example.com",
        "IDS.Example.COM.:3265",
        "ids.example.com:",
    ] {
        for request in GUARDED {
            let text = format!("{request}Host: {host}\n\n");
            assert!(!matches!(parsed(&text).asked, Asked::Refused(_)), "{text}");
        }
    }
}

#[test]
fn other_names_are_refused_and_shown() {
    for (host, shown) in [
        ("evil.example", "evil.example"),
        ("evil.example:3265", "evil.example"),
        ("localhost.evil.example", "localhost.evil.example"),
        (
            "ids.example.com.evil.example",
            "ids.example.com.evil.example",
        ),
        ("127.0.0.1.evil.example", "127.0.0.1.evil.example"),
        // Not addresses, though some programs would take them for one.
        ("127.1", "127.1"),
        ("0x7f000001", "0x7f000001"),
        ("2130706433", "2130706433"),
    ] {
        for request in GUARDED {
            let (refusal, exchange) = refused(&format!("{request}Host: {host}\n\n"));
            assert_eq!(refusal.status(), StatusCode::MisdirectedRequest, "{host}");
            assert!(!exchange.closes());
            let text = refusal.to_string();
            assert!(text.contains(&format!("\"{shown}\"")), "{text}");
            assert!(text.contains("--http-name"), "{text}");
        }
    }
    let long = "a".repeat(300);
    let (refusal, _) = refused(&format!("{}Host: {long}\n\n", GUARDED[0]));
    assert!(
        refusal
            .to_string()
            .contains(&format!("\"{}\"", &long[..64])),
        "{refusal}"
    );
}

#[test]
fn a_request_that_names_no_host_is_told_so() {
    for host in ["", ":3265"] {
        for request in GUARDED {
            let (refusal, exchange) = refused(&format!("{request}Host: {host}\n\n"));
            assert_eq!(refusal, Refusal::HostEmpty, "{host}");
            assert_eq!(refusal.status(), StatusCode::MisdirectedRequest);
            assert!(!exchange.closes());
        }
    }
}

#[test]
fn probes_and_monitors_may_use_any_name() {
    for path in ["/livez", "/readyz", "/status", "/metrics"] {
        let text = format!("GET {path} HTTP/1.1\nHost: whatever.example:99\n\n");
        assert!(!matches!(parsed(&text).asked, Asked::Refused(_)), "{path}");
    }
}

#[test]
fn the_name_in_the_target_counts_and_not_that_in_the_header() {
    let target = |host: &str| format!("GET http://{host}/ HTTP/1.1\nHost: localhost\n\n");
    assert_eq!(parsed(&target("127.0.0.1:1")).asked, Asked::Page);
    let (refusal, _) = refused(&target("evil.example"));
    assert_eq!(refusal.status(), StatusCode::MisdirectedRequest);
    let text = refusal.to_string();
    assert!(
        text.starts_with("the request was sent to \"evil.example\"") && !text.contains("header"),
        "{text}"
    );
    for path in ["", "?x=1"] {
        let text = format!("GET HTTPS://localhost{path} HTTP/1.1\nHost: localhost\n\n");
        assert_eq!(parsed(&text).asked, Asked::Page);
    }
    for target in [
        "http://",
        "http:///",
        "http://a@localhost/",
        "ftp://localhost/",
        "http://[::1/",
        "localhost:80",
        "*",
    ] {
        let (refusal, _) = refused(&format!("GET {target} HTTP/1.1\nHost: localhost\n\n"));
        assert_eq!(refusal, Refusal::Target, "{target}");
    }
}

#[test]
fn a_host_that_is_none_is_refused_everywhere() {
    for (host, refusal) in [
        ("", Refusal::HostMissing),
        ("Host: a\nHost: a\n", Refusal::HostTwice),
        ("Host: a, b\n", Refusal::HostMalformed),
        ("Host: a b\n", Refusal::HostMalformed),
        ("Host: a@b\n", Refusal::HostMalformed),
        ("Host: http://a\n", Refusal::HostMalformed),
        ("Host: a:b\n", Refusal::HostMalformed),
        ("Host: ::1\n", Refusal::HostMalformed),
        ("Host: [::1]80\n", Refusal::HostMalformed),
        ("Host: [::1\n", Refusal::HostMalformed),
        ("Host: ::1]\n", Refusal::HostMalformed),
        ("Host: [localhost]\n", Refusal::HostMalformed),
        ("Host: a[::1]\n", Refusal::HostMalformed),
        ("Host: 127.0.0.1:65536\n", Refusal::HostMalformed),
        ("Host: 127.0.0.1:99999999\n", Refusal::HostMalformed),
        ("Host: [::1]:+80\n", Refusal::HostMalformed),
        ("Host: \u{e9}.example\n", Refusal::HostMalformed),
    ] {
        let (found, exchange) = refused(&format!("GET /livez HTTP/1.1\n{host}\n"));
        assert_eq!(found, refusal, "{host}");
        assert!(exchange.closes());
    }
    assert_eq!(
        refused("GET /livez HTTP/1.0\nHost: a\nHost: b\n\n").0,
        Refusal::HostTwice
    );
}

#[test]
fn only_a_name_can_be_a_name_of_the_server() {
    let mut names = HostNames::default();
    for name in [
        "ids",
        "ids.example.com",
        "IDS.example.com.",
        "a_b-c.example",
    ] {
        names.add(name).unwrap();
    }
    for name in [
        "",
        ".",
        "http://ids",
        "ids:80",
        "ids/",
        "i ds",
        "[::1]",
        "*",
        "\u{e9}\n",
        "..",
        "a..b",
        ".a",
        "-",
        "-a",
        "a.b-",
    ] {
        let error = names.add(name).unwrap_err().to_string();
        assert!(error.contains("is not the name of a host"), "{error}");
        assert!(error.chars().all(ipseity_core::text::is_plain), "{error:?}");
    }
    let label = "a".repeat(63);
    let longest = [&*label; 4].join(".");
    names.add(&longest).unwrap();
    names.add(&format!("{longest}.")).unwrap();
    let error = names.add(&format!("{longest}a")).unwrap_err().to_string();
    assert!(
        error.contains("256 bytes") && error.contains("at most 255"),
        "{error}"
    );
}

#[test]
fn what_is_no_name_is_shown_so_that_it_can_be_read() {
    let error = HostNames::default().add("a\"b").unwrap_err().to_string();
    assert!(error.starts_with("\"a\\\"b\" is not the name"), "{error}");
}
