//! docs/http.md says what is true.

use ipseity_core::words::{ErrorCode, ErrorReply};
use ipseity_http::{
    Asked, Exchange, Parsed, Refusal, StatusCode, limits, write_error, write_identities,
    write_refusal,
};

use crate::{answers::identity, parsed};

const PAGE: &str = include_str!("../../../../docs/http.md");

/// The blocks of the page that are HTTP, each with its name.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fences = PAGE.split("```http ").skip(1);
    let blocks = fences.map(|text| text.split_once("\n```").unwrap().0);
    blocks.map(|text| text.split_once('\n').unwrap()).collect()
}

#[test]
fn every_request_on_the_page_gets_the_answer_below_it() {
    let blocks = blocks();
    let (pairs, rest) = blocks.as_chunks::<2>();
    assert!(pairs.len() >= 3 && rest.is_empty(), "{blocks:?}");
    for [(name, request), (answer_name, answer)] in pairs {
        assert_eq!(*answer_name, format!("{name}-answer"));
        let mut out = Vec::new();
        let Parsed {
            asked, exchange, ..
        } = parsed(&format!("{request}\n"));
        match asked {
            Asked::Identities { count, .. } => {
                write_identities(exchange, identity(1), count, &mut out)
            }
            Asked::Refused(refusal) => write_refusal(exchange, &refusal, &mut out),
            other => panic!("{other:?} is not written here"),
        }
        let written = String::from_utf8(out).unwrap().replace("\r\n", "\n");
        assert_eq!(written, format!("{answer}\n"));
    }
}

/// The cells of the rows behind a heading, without the head of the table.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let part = PAGE.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let part = part.split("\n## ").next().unwrap();
    let lines = part
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    lines
        .skip(2)
        .map(|line| line.split(" | ").collect())
        .collect()
}

#[test]
fn the_table_of_errors_has_their_statuses() {
    let mut shown = 0;
    for row in rows("Errors") {
        for name in row[1].split(", ") {
            let code = ErrorCode::ALL
                .into_iter()
                .find(|code| name == format!("`{code}`"));
            let code = code.unwrap_or_else(|| panic!("{name}"));
            let mut out = Vec::new();
            write_error(Exchange::default(), &ErrorReply::new(code, ""), &mut out);
            assert!(
                out.starts_with(format!("HTTP/1.1 {} ", row[0]).as_bytes()),
                "{row:?}"
            );
            shown += 1;
        }
    }
    // Of the other half some are for frames, and some for peers.
    assert_eq!(shown, 15);
    let closing = PAGE
        .lines()
        .find(|line| line.starts_with("The connection ends after `incomplete`"));
    let closing = closing.unwrap().split(". ").next().unwrap();
    for row in rows("Errors") {
        for name in row[1].split(", ") {
            let code = ErrorCode::ALL
                .into_iter()
                .find(|code| name == format!("`{code}`"))
                .unwrap();
            assert_eq!(closing.contains(name), code.closes(), "{name}");
        }
    }
}

#[test]
fn the_table_of_refusals_has_their_statuses() {
    let rows = rows("Refusals");
    let shown: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(
        shown,
        [
            "400", "400", "404", "405", "411", "413", "415", "417", "421", "431", "501", "505"
        ]
    );
    for refusal in [
        Refusal::NotFound,
        Refusal::Chunked,
        Refusal::BodyTooLarge,
        Refusal::ContentType,
        Refusal::Expectation,
        Refusal::HeadTooLarge,
        Refusal::Coding,
        Refusal::Version,
    ] {
        let status = &refusal.status().words()[..3];
        let row = rows.iter().find(|row| row[0] == status).unwrap();
        assert_eq!(
            row[2],
            if refusal.closes() {
                "closes"
            } else {
                "goes on"
            },
            "{refusal:?}"
        );
    }
    assert_eq!(Refusal::NotFound.status(), StatusCode::NotFound);
}

#[test]
fn every_path_and_every_bound_is_on_the_page() {
    let paths = Refusal::NotFound.to_string();
    let paths: Vec<&str> = paths.lines().skip(1).collect();
    let on_page: Vec<String> = rows("Paths")
        .iter()
        .map(|row| format!("{} {}", row[0], row[1].trim_matches('`')))
        .collect();
    assert_eq!(paths.len(), on_page.len());
    for (path, on_page) in paths.iter().zip(&on_page) {
        assert_eq!(path.split('?').next().unwrap(), on_page);
    }
    let bounds: Vec<usize> = rows("Bounds")
        .iter()
        .map(|row| row[1].split([' ', ',']).next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(
        bounds,
        [
            limits::HTTP_HEAD_BYTES_MAX,
            limits::HTTP_HEADERS_MAX,
            limits::HTTP_BODY_BYTES_MAX,
            limits::HTTP_COUNT_MAX as usize,
            limits::HOST_NAME_BYTES_MAX,
        ]
    );
}
