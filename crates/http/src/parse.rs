//! From bytes to what is asked.

use std::mem::MaybeUninit;

use httparse::{Error, Request, Status};

use crate::{
    asked::Asked,
    exchange::{Exchange, Form, Then},
    head,
    host::HostNames,
    limits::{HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX},
    refusal::Refusal,
    target::look_up,
};

/// A request that has arrived whole, or one that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// How many bytes it took.
    pub consumed: usize,
    /// What it asks for.
    pub asked: Asked,
    /// How it has to be answered.
    pub exchange: Exchange,
}

/// The first request in `bytes`, or `None` while more bytes are needed. A request that cannot become a good one is
/// refused at once.
///
/// If the exchange [closes](Exchange::closes), nothing may be parsed behind it. Bytes that come one by one are looked at
/// again each time, from the start; the head's bound keeps that small.
pub fn parse(bytes: &[u8], hosts: &HostNames) -> Option<Parsed> {
    // httparse skips it as an empty line, and then waits for more.
    if bytes.first() == Some(&b'\n') {
        return Some(unclear(bytes, Refusal::LineEnd, false));
    }
    let start = &bytes[..bytes.len().min(HTTP_HEAD_BYTES_MAX)];
    let mut room = [const { MaybeUninit::uninit() }; HTTP_HEADERS_MAX];
    let mut request = Request::new(&mut []);
    let status = request.parse_with_uninit_headers(start, &mut room);
    // The method is known as soon as it has been read, whatever comes behind it.
    let is_head = request.method == Some("HEAD");
    let head = match status {
        Ok(Status::Complete(head_bytes)) => {
            head::read(&request, &start[..head_bytes]).map(|head| (head_bytes, head))
        }
        Ok(Status::Partial) if bytes.len() < HTTP_HEAD_BYTES_MAX => return None,
        Ok(Status::Partial) => Err(Refusal::HeadTooLarge),
        Err(error) => Err(malformed(error, start)),
    };
    let (head_bytes, head) = match head {
        Ok(head) => head,
        Err(refusal) => return Some(unclear(bytes, refusal, is_head)),
    };
    let end = head_bytes + head.body_bytes;
    if bytes.len() < end && !head.waits_to_send {
        return None;
    }
    let asked = look_up(&head, hosts).unwrap_or_else(Asked::from);
    let exchange = Exchange {
        what: asked.what(),
        form: match asked {
            Asked::Identities { .. } => head.form,
            // It is answered with the error that a server gives, as if it had got the value.
            Asked::Refused(ref refusal) if refusal.is_of_a_value() => head.form,
            _ => Form::Text,
        },
        is_head,
        then: match head.waits_to_send {
            // No answer depends on the body, so the answer itself is given instead of 100. Whether the client still sends
            // the body is up to it, so the connection ends.
            true => Then::Close,
            false => head.then,
        },
    };
    Some(Parsed {
        // bug BodyNotSkipped instead: consumed: if BUG { head_bytes } else { end.min(bytes.len()) },
        consumed: end.min(bytes.len()),
        asked,
        exchange,
    })
}

/// The refusal of a request whose end is not known. The connection ends, so all bytes are taken.
#[cold]
fn unclear(bytes: &[u8], refusal: Refusal, is_head: bool) -> Parsed {
    Parsed {
        consumed: bytes.len(),
        asked: refusal.into(),
        exchange: Exchange {
            is_head,
            ..Exchange::default()
        },
    }
}

/// How many bytes of empty lines are at the start. Some clients send one behind a body, and a server ignores it.
pub fn empty_lines(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some(behind) = rest.strip_prefix(b"\r\n") {
        rest = behind;
    }
    bytes.len() - rest.len()
}

#[cold]
fn malformed(error: Error, bytes: &[u8]) -> Refusal {
    match error {
        Error::HeaderName => Refusal::HeaderName,
        Error::HeaderValue => Refusal::HeaderValue,
        Error::NewLine => Refusal::LineEnd,
        Error::TooManyHeaders => Refusal::TooManyHeaders,
        Error::Version if names_version(bytes) => Refusal::Version,
        Error::Version | Error::Token | Error::Status => Refusal::RequestLine,
    }
}

/// Whether the request line names a version of HTTP: `HTTP/` and a digit stand behind the second space. HTTP/2 without
/// TLS begins with such a line too.
fn names_version(bytes: &[u8]) -> bool {
    let line = bytes.trim_ascii_start();
    let version = line.splitn(3, |byte| *byte == b' ').nth(2);
    version
        .and_then(|version| version.strip_prefix(b"HTTP/"))
        .and_then(<[u8]>::first)
        .is_some_and(u8::is_ascii_digit)
}
