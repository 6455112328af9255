//! From answers to bytes.
//!
//! No answer has a `Date`: the server reads no wall clock, and HTTP lets one without a clock leave it out. None has a
//! header of CORS, so no page of somebody else can read an answer, or ask for identities.

use ipseity_core::{
    identity::{IDENTITY_STRIDE, Identity},
    words::{ErrorCode, ErrorReply},
};

use crate::{
    exchange::{Exchange, Form, Then},
    limits::RETRY_AFTER_S,
    page::{CONTENT_SECURITY_POLICY, PAGE},
    refusal::Refusal,
    status::{StatusCode, of_error},
};

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text,
    /// JSON.
    Json,
    /// Metrics in Prometheus' text format 0.0.4.
    Metrics,
    /// The page.
    Html,
}

impl Content {
    const fn kind(self) -> &'static str {
        match self {
            Content::Text => "text/plain; charset=utf-8",
            Content::Json => "application/json",
            Content::Metrics => "text/plain; version=0.0.4; charset=utf-8",
            Content::Html => "text/html; charset=utf-8",
        }
    }
}

/// In every answer: each is true only at its moment, and is what it says it is.
const ALWAYS: &[u8] =
    b"\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Length: ";

/// The name of the error for an `after` that is no identity. The binary protocol has none, because there every `after` is
/// one.
const BAD_AFTER: &str = "badAfter";

/// Around the identities of a JSON answer.
const JSON_START: &[u8] = b"{\"identities\":[";
const JSON_END: &[u8] = b"]}\n";

/// Appends the answer with the identities `first`, `first + 1024`, ..., `count` of them.
pub fn write_identities(exchange: Exchange, first: Identity, count: u32, out: &mut Vec<u8>) {
    let last = first.get() + u64::from(count) * IDENTITY_STRIDE;
    let identities = || (first.get()..last).step_by(IDENTITY_STRIDE as usize);
    let digits: usize = identities().map(digits).sum();
    let count = count as usize;
    match exchange.form {
        Form::Json => {
            // Each has two quotes, and a comma stands between two.
            let around = JSON_START.len() + JSON_END.len();
            let length = around + digits + 3 * count - usize::from(count > 0);
            start(exchange, StatusCode::Ok, Content::Json, "", length, out);
            out.extend_from_slice(JSON_START);
            for (place, identity) in identities().enumerate() {
                out.extend_from_slice(if place == 0 { b"\"" } else { b",\"" });
                number(identity, out);
                out.push(b'"');
            }
            out.extend_from_slice(JSON_END);
        }
        Form::Text => {
            start(
                exchange,
                StatusCode::Ok,
                Content::Text,
                "",
                digits + count,
                out,
            );
            for identity in identities() {
                number(identity, out);
                out.push(b'\n');
            }
        }
    }
}

/// Appends the answer that is an error.
#[cold]
pub fn write_error(exchange: Exchange, error: &ErrorReply, out: &mut Vec<u8>) {
    let code = ErrorCode::from_u16(error.code);
    let status = code.map_or(StatusCode::InternalServerError, of_error);
    let name = code.map_or("unknown", ErrorCode::name);
    let message = match code {
        // The text of the error speaks of frames.
        Some(ErrorCode::Incomplete) => {
            "the request had not arrived whole when its time was over or the client closed its side: send it again, on a \
             new connection"
        }
        _ => error.message.as_str(),
    };
    let exchange = match code.is_none_or(ErrorCode::closes) {
        true => exchange.closing(),
        false => exchange,
    };
    let (content, body) = match exchange.form {
        Form::Json => (Content::Json, error_json(name, message)),
        Form::Text => (Content::Text, format!("{name}: {message}\n").into_bytes()),
    };
    write_text(exchange, status, content, &body, out);
}

/// An error as JSON.
fn error_json(name: &str, message: &str) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(b"{\"error\":\"");
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(b"\",\"message\":\"");
    escape(message, &mut body);
    body.extend_from_slice(b"\"}\n");
    body
}

/// Appends the answer to a request that is refused.
#[cold]
pub fn write_refusal(exchange: Exchange, refusal: &Refusal, out: &mut Vec<u8>) {
    let exchange = match refusal.closes() {
        true => exchange.closing(),
        false => exchange,
    };
    let extra = match refusal {
        Refusal::Method(allow) => format!("\r\nAllow: {}", allow.methods()),
        _ => String::new(),
    };
    let (content, body) = match exchange.form {
        Form::Json => (Content::Json, error_json(BAD_AFTER, &refusal.to_string())),
        Form::Text => (Content::Text, format!("{refusal}\n").into_bytes()),
    };
    whole(exchange, refusal.status(), content, &extra, &body, out);
}

/// Appends the answer with the page.
pub fn write_page(exchange: Exchange, out: &mut Vec<u8>) {
    let (status, content) = (StatusCode::Ok, Content::Html);
    whole(
        exchange,
        status,
        content,
        CONTENT_SECURITY_POLICY,
        PAGE.as_bytes(),
        out,
    );
}

/// Appends an answer with this body.
pub fn write_text(
    exchange: Exchange,
    status: StatusCode,
    content: Content,
    body: &[u8],
    out: &mut Vec<u8>,
) {
    let extra = match status {
        StatusCode::ServiceUnavailable => format!("\r\nRetry-After: {RETRY_AFTER_S}"),
        _ => String::new(),
    };
    whole(exchange, status, content, &extra, body, out);
}

fn whole(
    exchange: Exchange,
    status: StatusCode,
    content: Content,
    extra: &str,
    body: &[u8],
    out: &mut Vec<u8>,
) {
    start(exchange, status, content, extra, body.len(), out);
    if !exchange.is_head {
        out.extend_from_slice(body);
    }
}

/// Appends what stands before the body. Each line of `extra` begins with a line end.
fn start(
    exchange: Exchange,
    status: StatusCode,
    content: Content,
    extra: &str,
    length: usize,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.words().as_bytes());
    out.extend_from_slice(b"\r\nContent-Type: ");
    out.extend_from_slice(content.kind().as_bytes());
    out.extend_from_slice(extra.as_bytes());
    out.extend_from_slice(ALWAYS);
    number(length as u64, out);
    out.extend_from_slice(match exchange.then {
        Then::KeepAlive => b"\r\n\r\n",
        Then::KeepAliveTold => b"\r\nConnection: keep-alive\r\n\r\n",
        Then::Close => b"\r\nConnection: close\r\n\r\n",
    });
}

fn number(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// How many digits a number has.
fn digits(value: u64) -> usize {
    value.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Appends a text as it stands within the quotes of JSON.
fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            ..b' ' => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
}
