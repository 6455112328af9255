//! What a failed handshake means, in plain words: [`explain`].

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use rustls_pki_types::ServerName;

use crate::{
    credentials::Credentials,
    date::Date,
    facts::{Facts, shown},
    provider::TAKEN_KEYS,
    roots::Roots,
    words,
};

/// What is known about the handshake that failed, beside the error.
#[derive(Clone, Debug, Default)]
pub struct Context<'a> {
    /// Whether this side dialed.
    pub dialed: bool,
    /// Whether this side is a server, which dials its peers by TLS without being asked for it.
    pub is_server: bool,
    /// The certificate of the other side that was refused: see [`Watched::take_refused`](crate::Watched::take_refused).
    pub refused: Option<Facts>,
    /// The CAs that the other side is judged by.
    pub roots: Option<&'a Roots>,
    /// What this side shows of itself, if anything.
    pub own: Option<&'a Credentials>,
    /// The time in seconds since 1970, if it is known.
    pub now: Option<u64>,
    /// What to write for another connection.
    pub hints: Hints,
}

/// How people write what a side that dials is given, for the advice in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hints {
    /// The flags for its own certificate.
    pub certificate: &'static str,
    /// What makes a connection without TLS.
    pub plain: &'static str,
}

impl Default for Hints {
    fn default() -> Hints {
        Hints {
            certificate: "--tls-cert, --tls-key",
            plain: "leave tls:// away",
        }
    }
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
        ) => match (context.dialed, context.is_server) {
            (true, false) => format!(
                "it does not speak TLS: for a plain connection {}",
                context.hints.plain
            ),
            (true, true) => "it does not speak TLS: for a plain connection write plain:// before its address in \
                             --peer"
                .to_owned(),
            (false, _) => "it does not speak TLS".to_owned(),
        },
        Error::PeerIncompatible(reason) => incompatible(reason),
        Error::DecryptError => {
            "a record from it was changed on its way, or is not for this connection".to_owned()
        }
        Error::PeerSentOversizedRecord => "a record from it is longer than TLS allows".to_owned(),
        Error::InvalidMessage(reason) => words::message(reason),
        Error::PeerMisbehaved(reason) => words::misbehaviour(reason),
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
        CertificateError::UnknownIssuer => format!(
            "{its} is not signed by any CA of {file}: if a CA in between has signed it, the certificate of that CA \
             belongs behind it, into the same file"
        ),
        CertificateError::BadSignature => format!(
            "{its} is not signed by any CA of {file}, although one has the name of its CA: perhaps the CA was \
             made anew, or a key is of a kind that is not taken (taken are {TAKEN_KEYS})"
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            let (whom, purpose) = purpose(context.dialed);
            let is_made_for_it = refused.is_some_and(|facts| match context.dialed {
                true => facts.for_servers,
                false => facts.for_clients,
            });
            match is_made_for_it {
                false => {
                    format!("{its} is not made for {whom}: its extended key usage lacks {purpose}")
                }
                true => format!(
                    "a CA that {its} builds on may not sign for {whom}: its extended key usage lacks {purpose}"
                ),
            }
        }
        CertificateError::Revoked => format!("{its} is revoked"),
        #[allow(deprecated)]
        CertificateError::UnsupportedSignatureAlgorithm
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => format!(
            "{its} is signed in a way that is not taken: a CA's key must be {TAKEN_KEYS}, and SHA-1 is too weak"
        ),
        _ if refused.is_some_and(|facts| facts.is_ca) => format!(
            "{its} is that of a CA, which nobody accepts from a server or a client: sign a certificate with it, \
             and use that one"
        ),
        other => format!("{its} is not accepted: {}", words::certificate(other)),
    }
}

/// For whom the certificate of a side has to be made, and what its extended key usage then has.
fn purpose(of_server: bool) -> (&'static str, &'static str) {
    match of_server {
        true => ("servers", "serverAuth"),
        false => ("clients", "clientAuth"),
    }
}

/// Why the other side ended the handshake, as far as its alert says, and as far as this side can see what is wrong with
/// what it has shown.
fn refused_there(alert: AlertDescription, context: &Context<'_>) -> String {
    let own = context.own.map(Credentials::facts);
    let ours = match own {
        Some(facts) => format!(
            "our certificate ({}, signed by {})",
            facts.name(),
            facts.issuer_name()
        ),
        None => "our certificate".to_owned(),
    };
    let none_given = context.dialed && own.is_none();
    let flags = context.hints.certificate;
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => match none_given
        {
            true => format!("it wants a certificate, and none was given: {flags}"),
            false => "it wants a certificate, and was shown none".to_owned(),
        },
        AlertDescription::UnknownCA => match context.own {
            Some(own) if own.between().is_empty() => format!(
                "it does not know the CA that signed {ours}: if that is a CA in between, its certificate belongs behind \
                 ours, into {}",
                shown(&own.file().to_string_lossy())
            ),
            _ => format!("it does not know the CA that signed {ours}"),
        },
        AlertDescription::CertificateExpired => dated_there(&ours, context),
        AlertDescription::CertificateRevoked => {
            format!("it says that somebody has revoked {ours}")
        }
        AlertDescription::BadCertificate if none_given => {
            format!("it does not accept our certificate; if it wants one: {flags}")
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => match own_fault(context) {
            Some(fault) => format!("it does not accept {ours}: {fault}"),
            None => format!("it does not accept {ours}"),
        },
        // That is what rustls says where the signature of a CA is wrong. Other programs say it of records too.
        AlertDescription::DecryptError => format!(
            "it finds a signature wrong (TLS alert decrypt_error): mostly its CA has the name of the one that signed \
             {ours}, and another key, because the CA was made anew; or a key is of a kind that it does not take"
        ),
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            match none_given {
                true => format!(
                    "it has no cipher suite or signature in common with this side, or it wants a certificate ({flags})"
                ),
                false => "it has no cipher suite or signature in common with this side".to_owned(),
            }
        }
        AlertDescription::ProtocolVersion => "it speaks neither TLS 1.2 nor TLS 1.3".to_owned(),
        AlertDescription::UnrecognisedName => {
            "it has no certificate for the name that it was called by".to_owned()
        }
        AlertDescription::InternalError => {
            "it reports an error of its own (internal_error)".to_owned()
        }
        AlertDescription::UserCanceled => "it gave the handshake up".to_owned(),
        other => format!(
            "it ended the connection, and says no more than the name of a TLS alert ({other:?})"
        ),
    }
}

/// What is wrong with what this side shows, as far as this side can see it.
fn own_fault(context: &Context<'_>) -> Option<String> {
    let own = context.own?;
    let facts = own.facts();
    let is_made_for_it = match context.dialed {
        true => facts.for_clients,
        false => facts.for_servers,
    };
    if !is_made_for_it {
        let (whom, purpose) = purpose(!context.dialed);
        return Some(format!(
            "it is not made for {whom}, because its extended key usage lacks {purpose}"
        ));
    }
    let now = context.now?;
    if !facts.is_valid_at(now) {
        return Some(format!("it is {}", validity(facts)));
    }
    let between = own.between().iter().find(|ca| !ca.is_valid_at(now))?;
    Some(format!(
        "the certificate of the CA {} in {} is {}",
        between.name(),
        shown(&own.file().to_string_lossy()),
        validity(between)
    ))
}

/// The other side says that a certificate has expired or is not valid yet. It does not say which.
fn dated_there(ours: &str, context: &Context<'_>) -> String {
    let Some(own) = context.own else {
        return format!("it says that {ours} has expired");
    };
    let facts = own.facts();
    if context.now.is_none_or(|now| !facts.is_valid_at(now)) {
        return format!(
            "it says that {ours} has expired or is not valid yet: it is {}",
            validity(facts)
        );
    }
    let says = "it says that a certificate has expired or is not valid yet";
    match own_fault(context) {
        Some(fault) => format!("{says}: {fault}"),
        None => format!(
            "{says}: {ours} is {}, so it means that of a CA, or its clock or that of this machine is wrong",
            validity(facts)
        ),
    }
}

fn validity(facts: &Facts) -> String {
    format!("valid from {} to {}", Date(facts.not_before), facts.until())
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
        // Every program that speaks TLS 1.2 sends this.
        PeerIncompatible::SignatureAlgorithmsExtensionRequired => {
            "it speaks neither TLS 1.2 nor TLS 1.3, but TLS 1.1 or older".to_owned()
        }
        PeerIncompatible::NoCipherSuitesInCommon => {
            format!("it has no cipher suite in common with this side ({reason:?})")
        }
        PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NamedGroupsExtensionRequired
        | PeerIncompatible::KeyShareExtensionRequired
        | PeerIncompatible::NoEcPointFormatsInCommon
        | PeerIncompatible::EcPointsExtensionRequired
        | PeerIncompatible::UncompressedEcPointsRequired => format!(
            "it has no way to exchange keys in common with this side, which takes X25519, P-256 and P-384 ({reason:?})"
        ),
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            format!("it takes no signature that the key of our certificate can make ({reason:?})")
        }
        PeerIncompatible::ExtendedMasterSecretExtensionRequired => format!(
            "its TLS 1.2 is too old: it lacks the extended master secret of RFC 7627 ({reason:?})"
        ),
        other => format!("it lacks a part of TLS that is needed here ({other:?})"),
    }
}

#[cfg(test)]
mod tests;
