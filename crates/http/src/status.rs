//! The statuses of answers, and which of them an error of the server has.

use ipseity_core::words::ErrorCode;

/// The status of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 9110")]
pub enum StatusCode {
    Ok,
    BadRequest,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    LengthRequired,
    ContentTooLarge,
    UnsupportedMediaType,
    ExpectationFailed,
    MisdirectedRequest,
    HeadersTooLarge,
    InternalServerError,
    NotImplemented,
    ServiceUnavailable,
    VersionNotSupported,
}

impl StatusCode {
    /// The number and the words of the status line.
    pub const fn words(self) -> &'static str {
        match self {
            StatusCode::Ok => "200 OK",
            StatusCode::BadRequest => "400 Bad Request",
            StatusCode::Forbidden => "403 Forbidden",
            StatusCode::NotFound => "404 Not Found",
            StatusCode::MethodNotAllowed => "405 Method Not Allowed",
            StatusCode::RequestTimeout => "408 Request Timeout",
            StatusCode::LengthRequired => "411 Length Required",
            StatusCode::ContentTooLarge => "413 Content Too Large",
            StatusCode::UnsupportedMediaType => "415 Unsupported Media Type",
            StatusCode::ExpectationFailed => "417 Expectation Failed",
            StatusCode::MisdirectedRequest => "421 Misdirected Request",
            StatusCode::HeadersTooLarge => "431 Request Header Fields Too Large",
            StatusCode::InternalServerError => "500 Internal Server Error",
            StatusCode::NotImplemented => "501 Not Implemented",
            StatusCode::ServiceUnavailable => "503 Service Unavailable",
            StatusCode::VersionNotSupported => "505 HTTP Version Not Supported",
        }
    }
}

/// The status of an errorReply. 4xx is for what the client has to change; with 503 another server can help, or this one
/// later.
pub(crate) const fn of_error(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadCount
        | ErrorCode::AdvanceTooLarge
        | ErrorCode::UnknownKind
        | ErrorCode::BadLength
        | ErrorCode::BadBody
        | ErrorCode::TlsNotOffered => StatusCode::BadRequest,
        ErrorCode::NotTrusted
        | ErrorCode::TlsRequired
        | ErrorCode::CertificateRefused
        | ErrorCode::ForeignCluster
        | ErrorCode::ForeignVersion
        | ErrorCode::SamePid
        | ErrorCode::Oneself
        | ErrorCode::NotAPeer
        | ErrorCode::BootTooFar
        | ErrorCode::HeldByAnother => StatusCode::Forbidden,
        ErrorCode::UnknownPid => StatusCode::NotFound,
        ErrorCode::Incomplete => StatusCode::RequestTimeout,
        ErrorCode::TooManyConnections
        | ErrorCode::Exhausted
        | ErrorCode::Storage
        | ErrorCode::Stopping
        | ErrorCode::PidConflict
        | ErrorCode::StaleState
        | ErrorCode::OverBudget
        | ErrorCode::Joining
        | ErrorCode::StoreUnavailable => StatusCode::ServiceUnavailable,
    }
}
