//! The words for what rustls says about certificates and about the other side. Its own name for it stands behind them, in
//! brackets, for those who search for it.

use rustls::{CertificateError, Error, InvalidMessage, PeerMisbehaved};

/// Why a certificate cannot be used at all, as a sentence about it.
pub fn unusable(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        other => format!("it is not taken ({other})"),
    }
}

/// Why a certificate is not accepted, as a sentence about it, where nothing more is known.
pub fn certificate(error: &CertificateError) -> String {
    let name = match error {
        // What is in it has no name but that of its debug form.
        CertificateError::Other(other) => format!("{:?}", other.0),
        other => format!("{other:?}"),
    };
    let name = name.split(['(', ' ']).next().unwrap_or_default();
    let words = match name {
        "BadDer"
        | "BadDerTime"
        | "BadEncoding"
        | "ExtensionValueInvalid"
        | "InvalidSerialNumber"
        | "MalformedDnsIdentifier"
        | "MalformedExtensions"
        | "MalformedNameConstraint"
        | "SignatureAlgorithmMismatch"
        | "TrailingData" => "it is damaged, or not written as X.509 demands",
        "CaUsedAsEndEntity" => "it is that of a CA",
        "EmptyEkuExtension" => "its extended key usage is empty",
        "EndEntityUsedAsCa" => {
            "one of the certificates between it and the CA is not that of a CA, so it cannot sign"
        }
        "MaximumNameConstraintComparisonsExceeded"
        | "MaximumPathBuildCallsExceeded"
        | "MaximumPathDepthExceeded"
        | "MaximumSignatureChecksExceeded" => "too many certificates stand between it and the CA",
        "NameConstraintViolation" => "its CA may not sign for its names (name constraints)",
        "PathLenConstraintViolated" => {
            "a CA in between is signed by one that may not sign CAs (pathlen)"
        }
        "UnhandledCriticalExtension" | "UnsupportedCriticalExtension" => {
            "it has a critical extension that is not known here"
        }
        "UnsupportedCertVersion" => "it is not of version 3 of X.509",
        _ => "it is not taken",
    };
    format!("{words} ({name})")
}

/// What is wrong with a message of the other side, as a sentence about it.
pub fn message(reason: &InvalidMessage) -> String {
    let words = match reason {
        InvalidMessage::CertificatePayloadTooLarge
        | InvalidMessage::HandshakePayloadTooLarge
        | InvalidMessage::MessageTooLarge => {
            "it has sent a message of a handshake that is longer than what is taken here"
        }
        InvalidMessage::MessageTooShort | InvalidMessage::MissingData(_) => {
            "it has sent a message of TLS that lacks a part"
        }
        InvalidMessage::InvalidServerName => {
            "the name by which it calls this side is not that of a host"
        }
        _ => "it breaks the TLS protocol",
    };
    format!("{words} ({reason:?})")
}

/// What the other side has done against the rules, as a sentence about it.
pub fn misbehaviour(reason: &PeerMisbehaved) -> String {
    let words = match reason {
        PeerMisbehaved::TooManyKeyUpdateRequests => {
            "it changes the keys of the connection too often"
        }
        PeerMisbehaved::TooManyRenegotiationRequests => {
            "it asks again and again for a new handshake, which is never made here"
        }
        PeerMisbehaved::TooManyEmptyFragments => "it sends too many empty records",
        PeerMisbehaved::TooManyWarningAlertsReceived => "it sends too many warnings",
        PeerMisbehaved::ServerNameMustContainOneHostName
        | PeerMisbehaved::DuplicateServerNameTypes => {
            "the name by which it calls this side is not that of one host"
        }
        _ => "it breaks the TLS protocol",
    };
    format!("{words} ({reason:?})")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::OtherError;

    use super::*;

    #[test]
    fn words_for_people_come_first() {
        #[derive(Debug)]
        struct EndEntityUsedAsCa;
        impl std::fmt::Display for EndEntityUsedAsCa {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("?")
            }
        }
        impl std::error::Error for EndEntityUsedAsCa {}
        let other = CertificateError::Other(OtherError(Arc::new(EndEntityUsedAsCa)));
        for (said, says) in [
            (
                certificate(&other),
                "between it and the CA is not that of a CA, so it cannot sign (EndEntityUsedAsCa)",
            ),
            (
                certificate(&CertificateError::BadEncoding),
                "it is damaged, or not written as X.509 demands (BadEncoding)",
            ),
            (
                certificate(&CertificateError::UnknownRevocationStatus),
                "it is not taken (UnknownRevocationStatus)",
            ),
            (
                message(&InvalidMessage::HandshakePayloadTooLarge),
                "longer than what is taken here (HandshakePayloadTooLarge)",
            ),
            (
                misbehaviour(&PeerMisbehaved::TooManyKeyUpdateRequests),
                "it changes the keys of the connection too often (TooManyKeyUpdateRequests)",
            ),
            (
                misbehaviour(&PeerMisbehaved::ServerNameMustContainOneHostName),
                "is not that of one host (ServerNameMustContainOneHostName)",
            ),
        ] {
            assert!(said.ends_with(says), "{said}");
            assert!(
                said.starts_with("it ")
                    || said.starts_with("one of ")
                    || said.starts_with("the name ")
            );
        }
    }
}
