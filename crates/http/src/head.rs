//! The head of a request: where the request ends, and what its headers say. Whatever leaves open where the next request
//! begins is refused, so that no proxy in front can see other requests than this server does.

use httparse::{Header, Request};

use crate::{
    accept::Accepted,
    exchange::{Form, Then},
    host::is_host,
    limits::HTTP_BODY_BYTES_MAX,
    refusal::Refusal,
};

/// What the head of a request says.
pub(crate) struct Head<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    /// The host that the request was sent to. An HTTP/1.0 client may leave it out.
    pub(crate) host: Option<&'a str>,
    /// The length of the body.
    pub(crate) body_bytes: usize,
    /// Whether the client waits for an answer before it sends the body.
    pub(crate) waits_to_send: bool,
    /// Whether the body is said to be JSON.
    pub(crate) is_json: bool,
    /// The form in which it asks for identities.
    pub(crate) form: Form,
    /// What it asks to become of the connection.
    pub(crate) then: Then,
}

/// Reads the parts of a head that has arrived whole.
pub(crate) fn read<'a>(request: &Request<'_, 'a>, bytes: &[u8]) -> Result<Head<'a>, Refusal> {
    // httparse has checked that these are there. It takes LF for CR LF, which a proxy in front may see otherwise.
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(Refusal::RequestLine);
    };
    if has_bare_lf(bytes) {
        return Err(Refusal::LineEnd);
    }
    let is_old = version == 0;
    let mut fields = Fields::default();
    for header in &*request.headers {
        fields.take(header, is_old)?;
    }
    if fields.host.is_none() && !is_old {
        return Err(Refusal::HostMissing);
    }
    let body_bytes = fields.body_bytes()?;
    Ok(Head {
        method,
        target,
        host: fields.host,
        body_bytes,
        waits_to_send: fields.waits_to_send && body_bytes > 0,
        is_json: fields.is_json == Some(true),
        form: fields.accepted.form(),
        then: match (fields.closes, is_old, fields.keeps) {
            (true, ..) | (false, true, false) => Then::Close,
            (false, true, true) => Then::KeepAliveTold,
            (false, false, _) => Then::KeepAlive,
        },
    })
}

/// Whether a line ends with LF alone.
fn has_bare_lf(head: &[u8]) -> bool {
    let follows_cr = head.iter().zip(head.get(1..).unwrap_or_default());
    // Without a way out of the loop it is done many bytes at a time.
    let bare = follows_cr.fold(false, |found, (before, byte)| {
        found | ((*byte == b'\n') & (*before != b'\r'))
    });
    bare || head.first() == Some(&b'\n')
}

/// The headers that mean something here, as they come.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a str>,
    length: Option<&'a [u8]>,
    coding: Option<&'a [u8]>,
    waits_to_send: bool,
    is_json: Option<bool>,
    accepted: Accepted,
    closes: bool,
    keeps: bool,
}

impl<'a> Fields<'a> {
    fn take(&mut self, header: &Header<'a>, is_old: bool) -> Result<(), Refusal> {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let value = header.value.trim_ascii();
        if is("host") {
            let host = str::from_utf8(value).ok().filter(|host| is_host(host));
            let host = host.ok_or(Refusal::HostMalformed)?;
            if self.host.replace(host).is_some() {
                return Err(Refusal::HostTwice);
            }
        } else if is("accept") {
            self.accepted.add(value);
        } else if is("connection") {
            for token in tokens(value) {
                self.closes |= token.eq_ignore_ascii_case(b"close");
                self.keeps |= token.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if is("content-type") {
            let kind = value.split(|byte| *byte == b';').next().unwrap_or_default();
            let is_json = kind.trim_ascii().eq_ignore_ascii_case(b"application/json");
            self.is_json = Some(is_json && self.is_json != Some(false));
        } else if is("content-length") {
            if self.length.replace(value).is_some() {
                return Err(Refusal::LengthTwice);
            }
        } else if is("transfer-encoding") {
            // Of two the last is said to be the outer one. None is taken, so it is enough to know that it is not
            // chunked alone.
            self.coding = Some(match self.coding {
                None => value,
                Some(_) => b"two",
            });
        } else if is("expect") && !is_old {
            if !value.eq_ignore_ascii_case(b"100-continue") {
                return Err(Refusal::Expectation);
            }
            self.waits_to_send = true;
        }
        Ok(())
    }

    fn body_bytes(&self) -> Result<usize, Refusal> {
        match (self.length, self.coding) {
            (None, None) => Ok(0),
            (Some(_), Some(_)) => Err(Refusal::LengthAndCoding),
            (None, Some(coding)) => Err(match coding.eq_ignore_ascii_case(b"chunked") {
                true => Refusal::Chunked,
                false => Refusal::Coding,
            }),
            (Some(length), None) => length_of(length),
        }
    }
}

fn length_of(text: &[u8]) -> Result<usize, Refusal> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(match text.contains(&b',') {
            true => Refusal::LengthTwice,
            false => Refusal::LengthMalformed,
        });
    }
    let length = text.iter().fold(0_usize, |length, digit| {
        length
            .saturating_mul(10)
            .saturating_add(usize::from(digit - b'0'))
    });
    match length <= HTTP_BODY_BYTES_MAX {
        true => Ok(length),
        false => Err(Refusal::BodyTooLarge),
    }
}

/// The parts of a list in a header.
pub(crate) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}
