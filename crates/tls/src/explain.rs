//! What a failed handshake means, in plain words: [`explain`].

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use rustls_pki_types::ServerName;

use crate::{
    date::Date,
    facts::{Facts, shown},
    roots::Roots,
};

/// What is known about the handshake that failed, beside the error.
#[derive(Clone, Debug, Default)]
pub struct Context<'a> {
    /// Whether this side dialed.
    pub dialed: bool,
    /// The certificate of the other side that was refused: see [`Watched::take_refused`](crate::Watched::take_refused).
    pub refused: Option<Facts>,
    /// The CAs that the other side is judged by.
    pub roots: Option<&'a Roots>,
    /// What this side's own certificate says, if it has one.
    pub own: Option<&'a Facts>,
}

/// Says in one line what went wrong, as a sentence about the other side without its name: `its certificate (...) expired at
/// 2026-11-28 15:14 UTC`. Texts from certificates in it are safe to show.
pub fn explain(error: &Error, context: &Context<'_>) -> String {
    match error {
        Error::InvalidCertificate(error) => refused_here(error, context),
        Error::AlertReceived(alert) => refused_there(*alert, context),
        Error::NoCertificatesPresented => {
            "it shows no certificate, and here a certificate is wanted".to_owned()
        }
        // Records have a type from 20 to 24 and a version that begins with 3.
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => match context.dialed {
            true => "it does not speak TLS: for a plain connection leave tls:// away".to_owned(),
            false => "it does not speak TLS".to_owned(),
        },
        Error::PeerIncompatible(reason) => incompatible(reason),
        Error::DecryptError => {
            "a record from it was changed on its way, or is not for this connection".to_owned()
        }
        Error::PeerSentOversizedRecord => "a record from it is longer than TLS allows".to_owned(),
        Error::InvalidMessage(reason) => format!("it breaks the TLS protocol ({reason:?})"),
        Error::PeerMisbehaved(reason) => format!("it breaks the TLS protocol ({reason:?})"),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            format!("it breaks the TLS protocol ({error})")
        }
        other => format!("TLS failed: {other}"),
    }
}

/// Why this side refused the certificate of the other side.
fn refused_here(error: &CertificateError, context: &Context<'_>) -> String {
    let refused = context.refused.as_ref();
    let its = match refused {
        Some(facts) => format!(
            "its certificate ({}, signed by {})",
            facts.name(),
            facts.issuer_name()
        ),
        None => "its certificate".to_owned(),
    };
    let file = context.roots.map_or_else(
        || "the file of CAs".to_owned(),
        |roots| {
            let names: Vec<String> = roots.facts().iter().map(Facts::name).collect();
            format!(
                "{} ({})",
                shown(&roots.file().to_string_lossy()),
                names.join(", ")
            )
        },
    );
    match error {
        CertificateError::Expired => format!("{its} has expired"),
        CertificateError::ExpiredContext { not_after, .. } => {
            let (ended, own) = (not_after.as_secs(), refused.map(|facts| facts.not_after));
            match own.is_none_or(|own| own == ended) {
                true => format!("{its} expired at {}", Date(ended)),
                // One of those between it and the CA.
                false => format!(
                    "a certificate that {its} builds on expired at {}",
                    Date(ended)
                ),
            }
        }
        CertificateError::NotValidYet => format!("{its} is not valid yet"),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "{its} is not valid before {}, and the clock here says {}",
            Date(not_before.as_secs()),
            Date(time.as_secs())
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let hosts = match refused {
                Some(facts) => facts.hosts(),
                None => shown(&presented.join(", ")),
            };
            let wanted = match expected {
                ServerName::DnsName(name) => name.as_ref().to_owned(),
                ServerName::IpAddress(address) => std::net::IpAddr::from(*address).to_string(),
                other => format!("{other:?}"),
            };
            match hosts.is_empty() {
                true => format!(
                    "{its} is not for {}: it has no name or address among its alternative names",
                    shown(&wanted)
                ),
                false => format!("{its} is not for {}: it is for {hosts}", shown(&wanted)),
            }
        }
        CertificateError::NotValidForName => format!("{its} is for another name"),
        CertificateError::UnknownIssuer => format!("{its} is not signed by any CA of {file}"),
        CertificateError::BadSignature => format!(
            "{its} is not signed by any CA of {file}, although one has the name of its CA: perhaps the CA was \
             made anew"
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            let (whom, purpose) = match context.dialed {
                true => ("servers", "serverAuth"),
                false => ("clients", "clientAuth"),
            };
            format!("{its} is not made for {whom}: its extended key usage lacks {purpose}")
        }
        CertificateError::Revoked => format!("{its} is revoked"),
        CertificateError::BadEncoding => format!("{its} cannot be understood"),
        #[allow(deprecated)]
        CertificateError::UnsupportedSignatureAlgorithm
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => format!(
            "{its} is signed in a way that is not taken: a CA's key must be ECDSA P-256 or P-384, Ed25519, or RSA \
             with 2048 bits or more, and SHA-1 is too weak"
        ),
        _ if refused.is_some_and(|facts| facts.is_ca) => format!(
            "{its} is that of a CA, which nobody accepts from a server or a client: sign a certificate with it, \
             and use that one"
        ),
        other => format!("{its} is not accepted: {other}"),
    }
}

/// Why the other side ended the handshake, as far as its alert says.
fn refused_there(alert: AlertDescription, context: &Context<'_>) -> String {
    let ours = match context.own {
        Some(facts) => format!(
            "our certificate ({}, signed by {})",
            facts.name(),
            facts.issuer_name()
        ),
        None => "our certificate".to_owned(),
    };
    let none_given = context.dialed && context.own.is_none();
    let reason = match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            return match none_given {
                true => {
                    "it wants a certificate, and none was given: --tls-cert, --tls-key".to_owned()
                }
                false => "it wants a certificate, and was shown none".to_owned(),
            };
        }
        AlertDescription::UnknownCA => "does not know the CA that signed",
        AlertDescription::CertificateExpired => {
            return match context.own {
                Some(facts) => format!(
                    "it says that {ours} has expired or is not valid yet: it is valid from {} to {}",
                    Date(facts.not_before),
                    facts.until()
                ),
                None => format!("it says that {ours} has expired"),
            };
        }
        AlertDescription::CertificateRevoked => "says that somebody has revoked",
        AlertDescription::BadCertificate if none_given => {
            return "it does not accept our certificate; if it wants one: --tls-cert, --tls-key"
                .to_owned();
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => "does not accept",
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            return match none_given {
                true => "it has no cipher suite or signature in common with this side, or it wants a certificate \
                         (--tls-cert, --tls-key)"
                    .to_owned(),
                false => "it has no cipher suite or signature in common with this side".to_owned(),
            };
        }
        AlertDescription::ProtocolVersion => {
            return "it speaks neither TLS 1.2 nor TLS 1.3".to_owned();
        }
        AlertDescription::UnrecognisedName => {
            return "it has no certificate for the name that it was called by".to_owned();
        }
        AlertDescription::InternalError => {
            return "it reports an error of its own (internal_error)".to_owned();
        }
        AlertDescription::UserCanceled => return "it gave the handshake up".to_owned(),
        other => return format!("it ended the connection with the TLS alert {other:?}"),
    };
    format!("it {reason} {ours}")
}

fn incompatible(reason: &PeerIncompatible) -> String {
    match reason {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => {
            "it speaks neither TLS 1.2 nor TLS 1.3".to_owned()
        }
        PeerIncompatible::NoCipherSuitesInCommon
        | PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            format!("it has no cipher suite or signature in common with this side ({reason:?})")
        }
        other => format!("it lacks a part of TLS that is needed here ({other:?})"),
    }
}

#[cfg(test)]
mod tests;
