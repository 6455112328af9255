//! Why a request is refused: an enum, and the only place with the texts that people read.

use std::fmt;

use ipseity_core::{
    identity::IdentityError,
    text::Plain,
    words::{ErrorCode, ErrorReply},
};

use crate::{
    limits::{
        HTTP_BODY_BYTES_MAX, HTTP_COUNT_MAX, HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX,
        SHOWN_CHARACTERS_MAX,
    },
    status::StatusCode,
};

/// Why a request is refused before anybody handles it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// HTTP that has come to the port of the binary protocol.
    WrongPort,
    /// The first line is not `METHOD TARGET HTTP/VERSION`.
    RequestLine,
    /// A header has a name that cannot be one.
    HeaderName,
    /// A header has a value that cannot be one.
    HeaderValue,
    /// A line ends with something other than CR LF.
    LineEnd,
    /// The head is longer than [`HTTP_HEAD_BYTES_MAX`].
    HeadTooLarge,
    /// There are more than [`HTTP_HEADERS_MAX`] headers.
    TooManyHeaders,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    Version,
    /// HTTP/1.1 without `Host`.
    HostMissing,
    /// `Host` comes twice.
    HostTwice,
    /// `Host` is not a host and perhaps a port.
    HostMalformed,
    /// `Content-Length` is not a number.
    LengthMalformed,
    /// `Content-Length` comes twice.
    LengthTwice,
    /// `Content-Length` and `Transfer-Encoding` together.
    LengthAndCoding,
    /// The body is chunked.
    Chunked,
    /// The body has another transfer coding.
    Coding,
    /// The body is longer than [`HTTP_BODY_BYTES_MAX`].
    BodyTooLarge,
    /// `Expect` asks for something other than `100-continue`.
    Expectation,
    /// What is asked for is not a path.
    Target,
    /// There is no such path.
    NotFound,
    /// The path is not for this method, but for the others.
    Method(Allow),
    /// `POST` without `Content-Type: application/json`.
    ContentType,
    /// The name in `Host`, or in `http://HOST/`, is not one of this server.
    HostNotAllowed(Shown),
    /// No name is there.
    HostEmpty,
    /// A parameter that the path does not have.
    UnknownParameter(Shown),
    /// A parameter comes twice.
    ParameterTwice(Parameter),
    /// `count` is not a number, and this instead; or it is not one from 1 to [`HTTP_COUNT_MAX`]. A server answers with
    /// [`bad_count`], because its own bound may be smaller.
    BadCount(Option<Shown>),
    /// `after` is not an identity.
    BadAfter(IdentityError),
}

/// The methods that a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    /// Paths to look at.
    Get,
    /// `/identities`.
    Post,
    /// The server as a whole.
    All,
}

/// A parameter of `/identities`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// How many identities.
    Count,
    /// What all of them have to be greater than.
    After,
}

/// The beginning of something that the client has sent, safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(Box<str>);

impl Shown {
    pub(crate) fn new(text: &str) -> Shown {
        let start: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
        Shown(Plain(&start).to_string().into())
    }
}

/// The error for a `count` that is more than HTTP takes, or is `no_number` but this. `count_max` is the bound of the
/// server (`--max-count`). The smaller bound is named.
#[cold]
pub fn bad_count(no_number: Option<Shown>, count_max: u32) -> ErrorReply {
    let text = match count_max <= HTTP_COUNT_MAX {
        // As the server says it where a count is only more than that.
        true => format!(
            "{}count must be 1 to {count_max} (--max-count)",
            is_no_number(no_number.as_ref())
        ),
        false => Refusal::BadCount(no_number).to_string(),
    };
    ErrorReply::new(ErrorCode::BadCount, text)
}

fn is_no_number(text: Option<&Shown>) -> String {
    text.map_or(String::new(), |text| {
        format!("\"{}\" is not a number: ", text.0)
    })
}

impl Allow {
    /// The value of the header `Allow`.
    pub(crate) const fn methods(self) -> &'static str {
        match self {
            Allow::Get => "GET, HEAD",
            Allow::Post => "POST",
            Allow::All => "GET, HEAD, POST",
        }
    }
}

impl Parameter {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Parameter::Count => "count",
            Parameter::After => "after",
        }
    }
}

impl Refusal {
    /// The status of the answer.
    pub const fn status(&self) -> StatusCode {
        match self {
            Refusal::WrongPort
            | Refusal::RequestLine
            | Refusal::HeaderName
            | Refusal::HeaderValue
            | Refusal::LineEnd
            | Refusal::HostMissing
            | Refusal::HostTwice
            | Refusal::HostMalformed
            | Refusal::LengthMalformed
            | Refusal::LengthTwice
            | Refusal::LengthAndCoding
            | Refusal::Target
            | Refusal::UnknownParameter(_)
            | Refusal::ParameterTwice(_)
            | Refusal::BadCount(_)
            | Refusal::BadAfter(_) => StatusCode::BadRequest,
            Refusal::NotFound => StatusCode::NotFound,
            Refusal::Method(_) => StatusCode::MethodNotAllowed,
            Refusal::Chunked => StatusCode::LengthRequired,
            Refusal::BodyTooLarge => StatusCode::ContentTooLarge,
            Refusal::ContentType => StatusCode::UnsupportedMediaType,
            Refusal::Expectation => StatusCode::ExpectationFailed,
            Refusal::HostNotAllowed(_) | Refusal::HostEmpty => StatusCode::MisdirectedRequest,
            Refusal::HeadTooLarge | Refusal::TooManyHeaders => StatusCode::HeadersTooLarge,
            Refusal::Coding => StatusCode::NotImplemented,
            Refusal::Version => StatusCode::VersionNotSupported,
        }
    }

    /// Whether the connection ends: it is not known, or not agreed on, where the next request begins.
    pub const fn closes(&self) -> bool {
        match self {
            Refusal::WrongPort
            | Refusal::RequestLine
            | Refusal::HeaderName
            | Refusal::HeaderValue
            | Refusal::LineEnd
            | Refusal::HeadTooLarge
            | Refusal::TooManyHeaders
            | Refusal::Version
            | Refusal::HostMissing
            | Refusal::HostTwice
            | Refusal::HostMalformed
            | Refusal::LengthMalformed
            | Refusal::LengthTwice
            | Refusal::LengthAndCoding
            | Refusal::Chunked
            | Refusal::Coding
            | Refusal::BodyTooLarge
            | Refusal::Expectation => true,
            Refusal::Target
            | Refusal::NotFound
            | Refusal::Method(_)
            | Refusal::ContentType
            | Refusal::HostNotAllowed(_)
            | Refusal::HostEmpty
            | Refusal::UnknownParameter(_)
            | Refusal::ParameterTwice(_)
            | Refusal::BadCount(_)
            | Refusal::BadAfter(_) => false,
        }
    }

    /// Whether only the value of a parameter is wrong. A program may have computed it, so it gets the answer in the form
    /// that it reads.
    pub(crate) const fn is_of_a_value(&self) -> bool {
        matches!(self, Refusal::BadCount(_) | Refusal::BadAfter(_))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::WrongPort => f.write_str(
                "this port speaks Ipseity's binary protocol and not HTTP: ask the port of --http, if the server was \
                 started with it, or ask here with ipseity-cli",
            ),
            Refusal::RequestLine => f.write_str(
                "this is not a request of HTTP/1.1: the first line has to be METHOD TARGET HTTP/1.1, with one space \
                 between them. The binary protocol has a port of its own (--listen)",
            ),
            Refusal::HeaderName => f.write_str(
                "the name of a header is malformed: a header is NAME: VALUE, on one line, with no space before the \
                 colon",
            ),
            Refusal::HeaderValue => f.write_str(
                "the value of a header has a control character: send none",
            ),
            Refusal::LineEnd => f.write_str(
                "a line of the head does not end with CR LF: send both, and no other CR or LF",
            ),
            Refusal::HeadTooLarge => write!(
                f,
                "the request line and the headers have more than {HTTP_HEAD_BYTES_MAX} bytes: send fewer or shorter \
                 headers, such as no cookies"
            ),
            Refusal::TooManyHeaders => {
                write!(f, "there are more than {HTTP_HEADERS_MAX} headers: send fewer")
            }
            Refusal::Version => {
                f.write_str("this server speaks HTTP/1.1 and HTTP/1.0: send one of the two")
            }
            Refusal::HostMissing => {
                f.write_str("there is no Host header: HTTP/1.1 requires it, so send Host: NAME:PORT")
            }
            Refusal::HostTwice => f.write_str("there are two Host headers: send one"),
            Refusal::HostMalformed => f.write_str(
                "the Host header is not a name or an address, and perhaps a port: send Host: NAME:PORT, and an IPv6 \
                 address in brackets",
            ),
            Refusal::LengthMalformed => {
                f.write_str("Content-Length is not a number: send the length of the body in decimal digits")
            }
            Refusal::LengthTwice => f.write_str("Content-Length comes twice: send it once"),
            Refusal::LengthAndCoding => f.write_str(
                "Content-Length and Transfer-Encoding come together, so it is unclear where the request ends: send \
                 Content-Length only",
            ),
            Refusal::Chunked => f.write_str(
                "a chunked body is not taken: send no body, or one with Content-Length",
            ),
            Refusal::Coding => f.write_str(
                "this Transfer-Encoding is not known: send no body, or one with Content-Length",
            ),
            Refusal::BodyTooLarge => write!(
                f,
                "the body has more than {HTTP_BODY_BYTES_MAX} bytes: send none, because it is not looked at"
            ),
            Refusal::Expectation => {
                f.write_str("Expect may only be 100-continue: send the request without it")
            }
            Refusal::Target => {
                f.write_str(
                    "what is asked for is neither a path nor http://HOST/PATH: a request names one, such as \
                     GET /status HTTP/1.1",
                )
            }
            Refusal::NotFound => f.write_str(
                "there is no such path. There are:\n\
                 POST /identities?count=N&after=ID\n\
                 GET /status\n\
                 GET /metrics\n\
                 GET /livez\n\
                 GET /readyz\n\
                 GET /",
            ),
            Refusal::Method(allow) => {
                write!(f, "this path is not for this method: use {}", allow.methods())
            }
            Refusal::ContentType => f.write_str(
                "a POST needs the header Content-Type: application/json, even without a body, so that no page of \
                 somebody else can ask in a browser",
            ),
            Refusal::HostNotAllowed(host) => write!(
                f,
                "the request was sent to \"{0}\", which is not a name of this server: use its address, or start it with \
                 --http-name and that name",
                host.0
            ),
            Refusal::HostEmpty => {
                f.write_str("the request names no host: send Host: NAME:PORT, with the address of this server")
            }
            Refusal::UnknownParameter(name) => write!(
                f,
                "there is no parameter \"{}\": there are count and after",
                name.0
            ),
            Refusal::ParameterTwice(parameter) => {
                write!(f, "the parameter {} comes twice: give it once", parameter.name())
            }
            Refusal::BadCount(no_number) => write!(
                f,
                "{}count must be 1 to {HTTP_COUNT_MAX} over HTTP: ask several times if necessary, or by the binary \
                 protocol",
                is_no_number(no_number.as_ref())
            ),
            Refusal::BadAfter(error) => write!(f, "after: {error}"),
        }
    }
}
