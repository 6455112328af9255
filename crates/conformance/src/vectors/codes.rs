//! What a client does on each code of an errorReply.

use ipseity_core::words::ErrorCode;
use serde_json::json;

use super::File;

/// Every code up to the last that this version knows.
const LAST: u16 = 70;

/// Some codes of the future.
const LATER: &[u16] = &[71, 127, 128, 255, 256, 32767, 32768, 65535];

/// What a client does on this code: `elsewhere`, `wrongCluster` or `refused`.
pub fn action(code: u16) -> &'static str {
    match ErrorCode::from_u16(code) {
        Some(
            ErrorCode::TooManyConnections
            | ErrorCode::TlsRequired
            | ErrorCode::TlsNotOffered
            | ErrorCode::CertificateRefused
            | ErrorCode::Exhausted
            | ErrorCode::Storage
            | ErrorCode::Stopping
            | ErrorCode::PidConflict
            | ErrorCode::StaleState
            | ErrorCode::OverBudget
            | ErrorCode::Joining
            | ErrorCode::StoreUnavailable,
        ) => "elsewhere",
        Some(ErrorCode::ForeignCluster) => "wrongCluster",
        Some(
            ErrorCode::UnknownKind
            | ErrorCode::BadLength
            | ErrorCode::BadBody
            | ErrorCode::Incomplete
            | ErrorCode::BadCount
            | ErrorCode::AdvanceTooLarge
            | ErrorCode::NotTrusted
            | ErrorCode::UnknownPid
            | ErrorCode::ForeignVersion
            | ErrorCode::SamePid
            | ErrorCode::Oneself
            | ErrorCode::NotAPeer
            | ErrorCode::BootTooFar
            | ErrorCode::HeldByAnother,
        )
        | None => "refused",
    }
}

pub(super) fn file() -> File {
    let vector = |code: u16| {
        json!({
            "code": code,
            "name": ErrorCode::from_u16(code).map(ErrorCode::name),
            "action": action(code),
            "closes": !(32..64).contains(&code),
        })
    };
    File {
        name: "codes.json",
        about: "What a client does on each code of an errorReply: it asks elsewhere, or the call ends with refused \
                or with wrongCluster. And whether the code ends the connection. A code without a name is not known.",
        lists: vec![(
            "codes",
            (0..=LAST)
                .chain(LATER.iter().copied())
                .map(vector)
                .collect(),
        )],
    }
}
