//! The flags of TLS.

use std::path::PathBuf;

use getopts::Matches;

use super::{UsageError, bad};
use crate::secure::{Files, PlainFrom};

/// The files of TLS, if it is wanted.
pub(super) fn files(matches: &Matches) -> Result<Option<Files>, UsageError> {
    let file = |flag: &str| match matches.opt_str(flag) {
        Some(text) if text.is_empty() => Err(bad(flag, &text, "the path of a file")),
        text => Ok(text.map(PathBuf::from)),
    };
    match (file("tls-cert")?, file("tls-key")?) {
        (Some(certificate), Some(key)) => Ok(Some(Files {
            certificate,
            key,
            client_ca: file("tls-client-ca")?,
            peer_ca: file("tls-peer-ca")?,
        })),
        (Some(_), None) => Err(UsageError::new(
            "--tls-cert needs --tls-key, the private key of the certificate",
        )),
        (None, Some(_)) => Err(UsageError::new(
            "--tls-key needs --tls-cert, the certificate of the key",
        )),
        (None, None) => {
            let needs = ["tls-client-ca", "tls-peer-ca", "plain", "tls-recheck"];
            match needs.into_iter().find(|flag| matches.opt_present(flag)) {
                Some(flag) => Err(UsageError::new(format!(
                    "--{flag} needs TLS: give --tls-cert and --tls-key too"
                ))),
                None => Ok(None),
            }
        }
    }
}

/// Where connections without TLS are taken from.
pub(super) fn plain(matches: &Matches) -> Result<PlainFrom, UsageError> {
    match matches.opt_str("plain").as_deref() {
        None | Some("loopback") => Ok(PlainFrom::Loopback),
        Some("never") => Ok(PlainFrom::Nowhere),
        Some("any") => Ok(PlainFrom::Anywhere),
        Some(text) => Err(bad("plain", text, "never, loopback or any")),
    }
}

/// Whether a peer is dialed without TLS although it is offered, and its address without the scheme.
pub(super) fn scheme<'a>(
    text: &'a str,
    tls: Option<&Files>,
) -> Result<(bool, &'a str), UsageError> {
    let is_dialed_by_tls = tls.is_some_and(|files| files.peer_ca.is_some());
    if let Some(address) = text.strip_prefix("plain://") {
        return Ok((tls.is_some(), address));
    }
    let address = text.strip_prefix("tls://");
    if address.unwrap_or(text).contains("://") {
        return Err(bad(
            "peer",
            text,
            "HOST:PORT, with tls:// or plain:// before it or nothing",
        ));
    }
    match (address, tls) {
        (_, Some(_)) if !is_dialed_by_tls => Err(UsageError::new(format!(
            "--peer {text} would be dialed by TLS, and without --tls-peer-ca nobody knows which CA has signed its \
             certificate: give that file, or write plain:// before the address"
        ))),
        (Some(_), None) => Err(UsageError::new(format!(
            "--peer {text} needs TLS: give --tls-cert, --tls-key and --tls-peer-ca too"
        ))),
        (address, _) => Ok((false, address.unwrap_or(text))),
    }
}
