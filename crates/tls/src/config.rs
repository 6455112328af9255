//! The configuration of the side that dials, and the name that it expects there.

use std::sync::Arc;

use rustls::{
    ClientConfig,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
};
use rustls_pki_types::{InvalidDnsNameError, ServerName};

use crate::{
    credentials::Credentials,
    facts::shown,
    provider::{PROTOCOLS, provider},
    roots::Roots,
    watched::Watched,
};

/// The configuration of the side that dials: the other side must show a certificate that a CA in `roots` has signed, and
/// is shown `credentials` if it asks for a certificate. Nothing is remembered from one connection to the next, because a
/// resumed session would not look at the certificate again.
///
/// The verifier remembers the certificate that it refused, for [`explain`](crate::explain()). It belongs to one connection
/// at a time: whoever dials from several threads makes a configuration for each.
pub fn client_config(
    roots: &Roots,
    credentials: Option<&Credentials>,
) -> (ClientConfig, Arc<Watched<dyn ServerCertVerifier>>) {
    client_config_with(provider(), roots, credentials)
}

/// The same with another provider of cryptography. That of a simulation is not random.
pub fn client_config_with(
    provider: Arc<CryptoProvider>,
    roots: &Roots,
    credentials: Option<&Credentials>,
) -> (ClientConfig, Arc<Watched<dyn ServerCertVerifier>>) {
    let verifier: Arc<dyn ServerCertVerifier> =
        WebPkiServerVerifier::builder_with_provider(roots.store(), Arc::clone(&provider))
            .build()
            .expect(
                "only an empty store or a broken revocation list is refused, and there is neither",
            );
    let watched = Arc::new(Watched::new(verifier));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(PROTOCOLS)
        .expect("every provider has a suite for one of these versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&watched) as Arc<dyn ServerCertVerifier>);
    let mut config = match credentials {
        Some(credentials) => builder.with_client_cert_resolver(credentials.for_client()),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    (config, watched)
}

/// The name of a host as a certificate has it: an IP address (without brackets), or a name of the DNS. Only the latter
/// goes across the wire, as SNI.
///
/// # Errors
/// The text is neither.
pub fn server_name(host: &str) -> Result<ServerName<'static>, InvalidDnsNameError> {
    // A dot at the end only tells the resolver not to search; no certificate has it.
    ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned())
}

/// A text that is not the [name](server_name) of a host, and how to write it, if that is known.
pub fn unnameable(host: &str) -> String {
    let shown = shown(host);
    match host.is_ascii() {
        true => format!("{shown:?}"),
        false => format!("{shown:?}: write it in ASCII, as xn--..."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for (host, name) in [
            ("one.example", "DnsName(\"one.example\")"),
            ("one.example.", "DnsName(\"one.example\")"),
            ("10.0.0.1", "IpAddress(V4(Ipv4Addr([10, 0, 0, 1])))"),
        ] {
            assert_eq!(format!("{:?}", server_name(host).unwrap()), name);
        }
        assert!(matches!(server_name("::1"), Ok(ServerName::IpAddress(_))));
        assert!(server_name("a b").is_err());
        assert!(server_name("").is_err());
    }
}
