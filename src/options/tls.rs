//! The flags of TLS.

use std::path::PathBuf;

use super::{UsageError, given::Given};
use crate::secure::{Files, PlainFrom};

/// The files of TLS, if it is wanted.
pub(super) fn files(given: &Given) -> Result<Option<Files>, UsageError> {
    let file = |flag: &str| match given.value(flag) {
        Some(text) if text.is_empty() => Err(given.bad(flag, &text, "the path of a file")),
        text => Ok(text.map(PathBuf::from)),
    };
    match (file("tls-cert")?, file("tls-key")?) {
        (Some(certificate), Some(key)) => Ok(Some(Files {
            certificate,
            key,
            client_ca: file("tls-client-ca")?,
            peer_ca: file("tls-peer-ca")?,
        })),
        (Some(_), None) => Err(UsageError::new(format!(
            "{} needs --tls-key, the private key of the certificate",
            given.name("tls-cert")
        ))),
        (None, Some(_)) => Err(UsageError::new(format!(
            "{} needs --tls-cert, the certificate of the key",
            given.name("tls-key")
        ))),
        (None, None) => {
            let needs = ["tls-client-ca", "tls-peer-ca", "plain", "tls-recheck"];
            match needs.into_iter().find(|flag| given.is_given(flag)) {
                Some(flag) => Err(UsageError::new(format!(
                    "{} needs TLS: give --tls-cert and --tls-key too",
                    given.name(flag)
                ))),
                None => Ok(None),
            }
        }
    }
}

/// Where connections without TLS are taken from.
pub(super) fn plain(given: &Given) -> Result<PlainFrom, UsageError> {
    match given.value("plain").as_deref() {
        None | Some("loopback") => Ok(PlainFrom::Loopback),
        Some("never") => Ok(PlainFrom::Nowhere),
        Some("any") => Ok(PlainFrom::Anywhere),
        Some(text) => Err(given.bad("plain", text, "never, loopback or any")),
    }
}

/// Whether a peer is dialed without TLS although it is offered, and its address without the scheme.
pub(super) fn scheme<'a>(
    given: &Given,
    text: &'a str,
    tls: Option<&Files>,
) -> Result<(bool, &'a str), UsageError> {
    let is_dialed_by_tls = tls.is_some_and(|files| files.peer_ca.is_some());
    if let Some(address) = text.strip_prefix("plain://") {
        return Ok((tls.is_some(), address));
    }
    let address = text.strip_prefix("tls://");
    if address.unwrap_or(text).contains("://") {
        return Err(given.bad(
            "peer",
            text,
            "HOST:PORT, with tls:// or plain:// before it or nothing",
        ));
    }
    match (address, tls) {
        (_, Some(_)) if !is_dialed_by_tls => Err(UsageError::new(format!(
            "{} {text} would be dialed by TLS, and without --tls-peer-ca nobody knows which CA has signed its \
             certificate: give that file, or write plain:// before the address",
            given.name("peer")
        ))),
        (Some(_), None) => Err(UsageError::new(format!(
            "{} {text} needs TLS: give --tls-cert, --tls-key and --tls-peer-ca too",
            given.name("peer")
        ))),
        (address, _) => Ok((false, address.unwrap_or(text))),
    }
}
