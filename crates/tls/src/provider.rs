//! What is spoken: the one provider of cryptography, and the versions of TLS.

use std::sync::Arc;

use rustls::{
    SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    version::{TLS12, TLS13},
};

/// The versions of TLS that are spoken, the better one first.
pub static PROTOCOLS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// The keys whose signatures it takes, in a part of a sentence.
pub const TAKEN_KEYS: &str = "ECDSA P-256 or P-384, Ed25519, or RSA with 2048 to 8192 bits";

/// The provider of cryptography. Its suites are those of TLS 1.3, and for TLS 1.2 only those with forward secrecy and
/// authenticated encryption.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_modern_suites_are_spoken() {
        let suites: Vec<String> = provider()
            .cipher_suites
            .iter()
            .map(|suite| format!("{:?}", suite.suite()))
            .collect();
        assert!(suites.iter().any(|suite| suite.starts_with("TLS13_")));
        for suite in &suites {
            let modern = suite.starts_with("TLS13_") || suite.starts_with("TLS_ECDHE_");
            assert!(modern, "{suite}");
            assert!(
                suite.contains("GCM") || suite.contains("POLY1305"),
                "{suite}"
            );
        }
    }
}
