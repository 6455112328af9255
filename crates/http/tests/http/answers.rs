//! The bytes of every answer.

use ipseity_core::{
    identity::{Identity, Pid, Sequence},
    words::{ErrorCode, ErrorReply},
};
use ipseity_http::{
    Content, Exchange, PAGE, Refusal, StatusCode, limits::HTTP_COUNT_MAX, looks_like_http,
    write_error, write_identities, write_page, write_refusal, write_text,
};

use crate::parsed;

/// The identity of this sequence and pid 1.
pub fn identity(sequence: u64) -> Identity {
    Identity::new(Sequence::new(sequence).unwrap(), Pid::new(1).unwrap())
}

/// What is written, as text, in which a line ends as in a source file.
fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    // What is there already stays.
    let mut out = b"before".to_vec();
    write(&mut out);
    let text = String::from_utf8(out).unwrap();
    let text = text.strip_prefix("before").unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    if !body.is_empty() {
        assert_eq!(length, Some(body.len().to_string().as_str()), "{text}");
    }
    format!("{}\n\n{body}", head.replace("\r\n", "\n"))
}

fn exchange(first: &str) -> Exchange {
    let text = format!("{first} HTTP/1.1\nHost: localhost\nContent-Type: application/json\n\n");
    parsed(&text).exchange
}

fn lines() -> Exchange {
    let text = "POST /identities HTTP/1.1\nHost: localhost\nContent-Type: application/json\nAccept: text/plain\n\n";
    parsed(text).exchange
}

#[test]
fn identities_are_strings_in_json() {
    let json = exchange("POST /identities");
    assert_eq!(
        written(|out| write_identities(json, identity(1), 1, out)),
        "HTTP/1.1 200 OK\nContent-Type: application/json\nCache-Control: no-store\n\
         X-Content-Type-Options: nosniff\nContent-Length: 24\n\n{\"identities\":[\"1025\"]}\n"
    );
    assert_eq!(
        written(|out| write_identities(json.closing(), identity(97), 3, out)),
        "HTTP/1.1 200 OK\nContent-Type: application/json\nCache-Control: no-store\n\
         X-Content-Type-Options: nosniff\nContent-Length: 43\nConnection: close\n\n\
         {\"identities\":[\"99329\",\"100353\",\"101377\"]}\n"
    );
}

#[test]
fn identities_are_lines_of_text_for_a_client_that_wants_them() {
    assert_eq!(
        written(|out| write_identities(lines(), identity(97), 3, out)),
        "HTTP/1.1 200 OK\nContent-Type: text/plain; charset=utf-8\nCache-Control: no-store\n\
         X-Content-Type-Options: nosniff\nContent-Length: 20\n\n99329\n100353\n101377\n"
    );
}

#[test]
fn every_block_is_written_whole_up_to_the_largest_and_the_last() {
    let last = Sequence::MAX.get();
    for (first, count) in [
        (1, HTTP_COUNT_MAX),
        (last - u64::from(HTTP_COUNT_MAX) + 1, HTTP_COUNT_MAX),
        (last, 1),
        (9_765_620, 20),
    ] {
        let wanted: Vec<String> = (first..first + u64::from(count))
            .map(|sequence| identity(sequence).to_string())
            .collect();
        let json = written(|out| {
            write_identities(exchange("POST /identities"), identity(first), count, out)
        });
        assert!(json.len() < 256 * 1024);
        let (_, body) = json.split_once("\n\n").unwrap();
        let value: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(value, serde_json::json!({ "identities": wanted }));
        let text = written(|out| write_identities(lines(), identity(first), count, out));
        let (_, body) = text.split_once("\n\n").unwrap();
        assert!(body.ends_with('\n'));
        assert_eq!(body.lines().collect::<Vec<_>>(), wanted);
    }
}

#[test]
fn an_error_in_place_of_identities_is_json_too() {
    let error = ErrorReply::new(ErrorCode::Joining, "not \"yet\": \\ \n\u{1f} Grüße");
    assert_eq!(
        written(|out| write_error(exchange("POST /identities"), &error, out)),
        "HTTP/1.1 503 Service Unavailable\nContent-Type: application/json\nRetry-After: 1\nCache-Control: no-store\n\
         X-Content-Type-Options: nosniff\nContent-Length: 69\n\n\
         {\"error\":\"joining\",\"message\":\"not \\\"yet\\\": \\\\ \\u000a\\u001f Grüße\"}\n"
    );
    let body = written(|out| write_error(exchange("POST /identities"), &error, out));
    let value: serde_json::Value =
        serde_json::from_str(body.split_once("\n\n").unwrap().1).unwrap();
    assert_eq!(value["message"], error.message);
    assert_eq!(
        written(|out| write_error(lines(), &ErrorReply::new(ErrorCode::BadCount, "count"), out)),
        "HTTP/1.1 400 Bad Request\nContent-Type: text/plain; charset=utf-8\nCache-Control: no-store\n\
         X-Content-Type-Options: nosniff\nContent-Length: 16\n\nbadCount: count\n"
    );
    assert_eq!(
        written(|out| write_error(
            exchange("HEAD /status"),
            &ErrorReply::new(ErrorCode::NotTrusted, "no"),
            out
        )),
        "HTTP/1.1 403 Forbidden\nContent-Type: text/plain; charset=utf-8\nCache-Control: no-store\n\
         X-Content-Type-Options: nosniff\nContent-Length: 15\n\n"
    );
}

#[test]
fn every_code_has_a_status_and_closes_as_in_the_binary_protocol() {
    let statuses = [
        (
            400,
            "unknownKind badLength badBody tlsNotOffered badCount advanceTooLarge",
        ),
        (
            403,
            "tlsRequired certificateRefused notTrusted foreignCluster foreignVersion samePid oneself notAPeer bootTooFar \
             heldByAnother",
        ),
        (404, "unknownPid"),
        (408, "incomplete"),
        (
            503,
            "tooManyConnections exhausted storage stopping pidConflict staleState overBudget joining storeUnavailable",
        ),
    ];
    for code in ErrorCode::ALL {
        let answer = written(|out| {
            write_error(
                exchange("POST /identities"),
                &ErrorReply::new(code, "text"),
                out,
            );
        });
        let named = |(_, names): &&(u16, &str)| names.split(' ').any(|name| name == code.name());
        let (status, _) = statuses
            .iter()
            .find(named)
            .expect("every code is in the table");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{code}: {answer}"
        );
        assert!(
            answer.contains(&format!("{{\"error\":\"{code}\",")),
            "{answer}"
        );
        assert_eq!(
            answer.contains("\nConnection: close\n"),
            code.closes(),
            "{answer}"
        );
        assert_eq!(
            answer.contains("\nRetry-After: 1\n"),
            *status == 503,
            "{answer}"
        );
    }
    let unknown = ErrorReply {
        code: 60_000,
        message: "new".to_owned(),
    };
    let answer = written(|out| write_error(Exchange::default(), &unknown, out));
    assert!(
        answer.starts_with("HTTP/1.1 500 Internal Server Error\n"),
        "{answer}"
    );
    assert!(
        answer.ends_with("\nConnection: close\n\nunknown: new\n"),
        "{answer}"
    );
}

#[test]
fn a_request_that_is_not_completed_is_told_so_and_not_of_frames() {
    let error = ErrorReply::new(ErrorCode::Incomplete, "a frame has begun");
    let answer = written(|out| write_error(Exchange::default(), &error, out));
    assert!(
        answer.starts_with("HTTP/1.1 408 Request Timeout\n"),
        "{answer}"
    );
    assert!(!answer.contains("frame"), "{answer}");
}

#[test]
fn texts_have_the_kind_that_they_are() {
    let whole = |status, content| {
        written(|out| write_text(exchange("GET /readyz"), status, content, b"[+] a\n", out))
    };
    assert_eq!(
        whole(StatusCode::ServiceUnavailable, Content::Text),
        "HTTP/1.1 503 Service Unavailable\nContent-Type: text/plain; charset=utf-8\nRetry-After: 1\n\
         Cache-Control: no-store\nX-Content-Type-Options: nosniff\nContent-Length: 6\n\n[+] a\n"
    );
    for (content, kind) in [
        (Content::Text, "text/plain; charset=utf-8"),
        (Content::Json, "application/json"),
        (Content::Metrics, "text/plain; version=0.0.4; charset=utf-8"),
        (Content::Html, "text/html; charset=utf-8"),
    ] {
        let answer = whole(StatusCode::Ok, content);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 200 OK\nContent-Type: {kind}\n")),
            "{answer}"
        );
        assert!(!answer.contains("Retry-After"), "{answer}");
    }
}

#[test]
fn a_head_has_the_headers_of_the_answer_and_no_body() {
    let answers = ["GET /", "HEAD /"].map(|first| written(|out| write_page(exchange(first), out)));
    let [whole, head] = answers;
    assert_eq!(whole, format!("{head}{PAGE}"));
    assert!(head.ends_with("\n\n"));
    let answers = ["GET /livez", "HEAD /livez"].map(|first| {
        written(|out| write_text(exchange(first), StatusCode::Ok, Content::Text, b"ok\n", out))
    });
    let [whole, head] = answers;
    assert_eq!(whole, format!("{head}ok\n"));
}

#[test]
fn the_page_may_only_run_itself_and_stands_in_no_other_page() {
    let page = written(|out| write_page(exchange("GET /"), out));
    let (head, _) = page.split_once("\n\n").unwrap();
    for line in [
        "Content-Type: text/html; charset=utf-8",
        "X-Frame-Options: DENY",
        "Referrer-Policy: no-referrer",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
    ] {
        assert!(head.lines().any(|other| other == line), "{line} in {head}");
    }
    let policy = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Security-Policy: "));
    let policy: Vec<&str> = policy.unwrap().split("; ").collect();
    for part in [
        "default-src 'none'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ] {
        assert!(policy.contains(&part), "{part} in {policy:?}");
    }
    assert!(!head.contains("unsafe"));
}

#[test]
fn no_answer_lets_another_page_read_it_or_names_a_date() {
    let mut answers = vec![
        written(|out| write_page(exchange("GET /"), out)),
        written(|out| write_identities(exchange("POST /identities"), identity(1), 1, out)),
        written(|out| {
            write_text(
                exchange("GET /status"),
                StatusCode::Ok,
                Content::Json,
                b"{}",
                out,
            )
        }),
    ];
    answers.extend(ErrorCode::ALL.map(|code| {
        written(|out| write_error(Exchange::default(), &ErrorReply::new(code, ""), out))
    }));
    for answer in answers {
        let (head, _) = answer.split_once("\n\n").unwrap();
        assert!(
            !head.contains("Access-Control") && !head.contains("\nDate"),
            "{head}"
        );
    }
}

#[test]
fn http_on_the_port_of_the_binary_protocol_is_known_and_told() {
    for beginning in [
        "GET / HTTP/1.1\r\n",
        "POST /identities",
        "HEAD ",
        "PRI * HTTP/2.0\r\n\r\nSM",
        "OPTIONS * H",
        "GE",
        "PO",
    ] {
        assert!(looks_like_http(beginning.as_bytes()), "{beginning}");
    }
    for other in [
        "",
        "G",
        "GETS",
        "get /",
        "PRI *",
        "PRIX",
        "\0\x01\x01",
        "*1\r\n",
        "\x16\x03\x01",
    ] {
        // Of the preface of HTTP/2 a part may have come.
        let is_part = "PRI * HTTP/".starts_with(other) && other.len() > 1;
        assert_eq!(looks_like_http(other.as_bytes()), is_part, "{other:?}");
    }
    let answer = written(|out| write_refusal(Exchange::REFUSAL, &Refusal::WrongPort, out));
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\n"), "{answer}");
    assert!(answer.contains("\nConnection: close\n"), "{answer}");
    for word in ["--http", "ipseity-cli"] {
        assert!(answer.contains(word), "{answer}");
    }
}
