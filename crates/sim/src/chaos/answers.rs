//! The answers of a server by HTTP, from bytes. It is strict: an answer that a client could misread is an error.

use ipseity_core::{
    identity::{IDENTITY_STRIDE, Identity},
    words::ErrorCode,
};

/// The longest head that a server writes. A head that is longer than this is none.
const HEAD_BYTES_MAX: usize = 1024;

/// The headers that an answer may have.
const HEADERS: [&str; 7] = [
    "Content-Type",
    "Content-Length",
    "Cache-Control",
    "X-Content-Type-Options",
    "Connection",
    "Allow",
    "Retry-After",
];

/// One whole answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub status: u16,
    pub content: &'a str,
    /// It says that the connection ends.
    pub closes: bool,
    pub body: &'a str,
}

/// What an answer says.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    Identities {
        first: u64,
        count: u32,
        /// As lines, and not as JSON.
        is_text: bool,
    },
    Error {
        code: ErrorCode,
        message: &'a str,
    },
    /// Something else: a page, or the refusal of a malformed request.
    Page,
}

/// The first answer in `bytes` and its length, or `None` while it is not whole.
pub fn next_answer(bytes: &[u8]) -> Result<Option<(Answer<'_>, usize)>, String> {
    let start = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let Some(head_bytes) = start.windows(4).position(|four| four == b"\r\n\r\n") else {
        return match start.len() < HEAD_BYTES_MAX {
            true => Ok(None),
            false => Err("a head has no end".to_owned()),
        };
    };
    let head = str::from_utf8(&bytes[..head_bytes]).map_err(|error| error.to_string())?;
    let wrong = |what: &str| format!("{what} in the head {head:?}");
    let (first, headers) = head.split_once("\r\n").ok_or_else(|| wrong("no header"))?;
    let status = first
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.split_once(' '))
        .and_then(|(status, _)| status.parse().ok())
        .ok_or_else(|| wrong("no status"))?;
    let (mut content, mut length, mut closes, mut retries) = (None, None, false, false);
    for line in headers.split("\r\n") {
        let (name, value) = line.split_once(": ").ok_or_else(|| wrong("no header"))?;
        let is_known = HEADERS.contains(&name);
        match name {
            "Content-Type" => content = Some(value),
            "Content-Length" if length.is_none() => length = value.parse::<usize>().ok(),
            "Content-Length" => return Err(wrong("two lengths")),
            "Connection" => closes = value == "close",
            "Retry-After" => retries = true,
            _ if !is_known => return Err(wrong("an unknown header")),
            _ => {}
        }
    }
    let length = length.ok_or_else(|| wrong("no length"))?;
    let content = content.ok_or_else(|| wrong("no type"))?;
    if (status == 503) != retries {
        return Err(wrong("503 without Retry-After, or the other way round"));
    }
    let begin = head_bytes + 4;
    let Some(body) = bytes.get(begin..begin + length) else {
        return Ok(None);
    };
    let body = str::from_utf8(body).map_err(|error| error.to_string())?;
    let answer = Answer {
        status,
        content,
        closes,
        body,
    };
    Ok(Some((answer, begin + length)))
}

impl<'a> Answer<'a> {
    /// What it says.
    pub fn said(&self) -> Result<Said<'a>, String> {
        let body = self.body;
        let is_json = self.content == "application/json";
        let wrong = || format!("{self:?} cannot be understood");
        if let Some(list) = body.strip_prefix("{\"identities\":[").filter(|_| is_json) {
            let list = list.strip_suffix("]}\n").ok_or_else(wrong)?;
            let quoted = list.split(',').map(|one| {
                let inside = one.strip_prefix('"')?.strip_suffix('"')?;
                inside.parse().ok()
            });
            return identities(quoted, false).ok_or_else(wrong);
        }
        if let Some(rest) = body.strip_prefix("{\"error\":\"").filter(|_| is_json) {
            let (name, rest) = rest.split_once("\",\"message\":\"").ok_or_else(wrong)?;
            let message = rest.strip_suffix("\"}\n").ok_or_else(wrong)?;
            // A refusal, whose name frames do not have.
            if name == "badAfter" {
                return Ok(Said::Page);
            }
            let code = code(name).ok_or_else(wrong)?;
            return Ok(Said::Error { code, message });
        }
        let is_number = |c: u8| c.is_ascii_digit() || c == b'\n';
        if !body.is_empty() && body.bytes().all(is_number) {
            let whole = body.strip_suffix('\n').ok_or_else(wrong)?;
            return identities(whole.split('\n').map(|line| line.parse().ok()), true)
                .ok_or_else(wrong);
        }
        let error = body
            .split_once(": ")
            .and_then(|(name, message)| Some((code(name)?, message)));
        Ok(match error {
            Some((code, message)) if self.status != 200 => Said::Error { code, message },
            Some(_) | None => Said::Page,
        })
    }
}

fn code(name: &str) -> Option<ErrorCode> {
    let mut codes = ErrorCode::ALL.iter().copied();
    codes.find(|code| code.name() == name)
}

/// A list of identities. They have to follow each other, as those of one block do.
fn identities<'a>(
    mut listed: impl Iterator<Item = Option<u64>>,
    is_text: bool,
) -> Option<Said<'a>> {
    let first = listed.next()??;
    Identity::from_u64(first)?;
    let mut last = first;
    let mut count = 1;
    for identity in listed {
        let identity = identity?;
        if identity != last.checked_add(IDENTITY_STRIDE)? {
            return None;
        }
        last = identity;
        count += 1;
    }
    Some(Said::Identities {
        first,
        count,
        is_text,
    })
}
