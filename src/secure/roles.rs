//! What a certificate allows. This is the one place that decides it.
//!
//! - Where the CAs for clients and for peers are different, the CA decides: who is signed by one is a client, who is signed
//!   by the other is a peer. A certificate of the CA for clients may name the role operator.
//! - Where they have a CA in common, the role in the certificate decides, and one without a role is not let in. The same
//!   holds where there are only CAs for peers, but there a certificate without a role is a peer's.
//!
//! A role is a URI name in the certificate: see [`Role`]. A certificate with one that is misspelt, or that this build does
//! not know, is refused: otherwise it would be taken for one that names no role, and that may be a peer's.

use std::sync::Arc;

use ipseity_core::words::{Grant, Grants};
use ipseity_tls::{Facts, Role, Roots};
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};

/// How roles are decided.
#[derive(Debug)]
pub(super) enum Roles {
    /// No certificate is asked for.
    Nobody,
    /// The CAs for peers are the only ones. Clients need no certificate.
    PeersOnly,
    /// The CAs for clients are the only ones.
    ClientsOnly,
    /// A CA is for both.
    Shared,
    /// The CAs are different. This one judges whether a certificate is a peer's.
    Apart(Arc<dyn ClientCertVerifier>),
}

impl Roles {
    /// Decides by the CAs that there are. `judge` makes a verifier for the CAs of peers.
    pub(super) fn new(
        clients: Option<&Roots>,
        peers: Option<&Roots>,
        judge: impl FnOnce(&Roots) -> Arc<dyn ClientCertVerifier>,
    ) -> Roles {
        match (clients, peers) {
            (None, None) => Roles::Nobody,
            (None, Some(_)) => Roles::PeersOnly,
            (Some(_), None) => Roles::ClientsOnly,
            (Some(clients), Some(peers)) if clients.shares_any(peers) => Roles::Shared,
            (Some(_), Some(peers)) => Roles::Apart(judge(peers)),
        }
    }

    /// Whether everybody has to show a certificate.
    pub(super) fn wants_certificate(&self) -> bool {
        match self {
            Roles::Nobody | Roles::PeersOnly => false,
            Roles::ClientsOnly | Roles::Shared | Roles::Apart(_) => true,
        }
    }

    /// What somebody may do who has shown these certificates, all of them verified, and comes from an address that allows
    /// `by_address`. Where no certificate is wanted from clients, an address can still make somebody an operator. It never
    /// makes anybody a peer.
    ///
    /// # Errors
    /// Nothing; the text says why.
    pub(super) fn grants(
        &self,
        certificates: &[CertificateDer<'_>],
        by_address: Grants,
        now: UnixTime,
    ) -> Result<Grants, String> {
        let mut grants = match certificates.first() {
            Some(_) => self.grants_of(certificates, now)?,
            None if self.wants_certificate() => {
                return Err("no certificate was shown, and this server wants one".to_owned());
            }
            None => Grants::EVERYBODY,
        };
        if !self.wants_certificate() && by_address.has(Grant::Operate) {
            grants = grants.and(Grant::Operate);
        }
        Ok(grants)
    }

    fn grants_of(
        &self,
        certificates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Grants, String> {
        let facts = Facts::of(&certificates[0])
            .map_err(|reason| format!("the certificate cannot be used: {reason}"))?;
        facts
            .check_roles()
            .map_err(|fault| format!("the certificate ({}) {fault}", facts.name()))?;
        let roles = self.roles(certificates, &facts, now)?;
        Ok(roles
            .into_iter()
            .fold(Grants::EVERYBODY, |grants, role| match role {
                Role::Client => grants,
                Role::Operator => grants.and(Grant::Operate),
                Role::Peer => grants.and(Grant::Sync),
            }))
    }

    /// The roles of whoever has shown this certificate.
    fn roles(
        &self,
        certificates: &[CertificateDer<'_>],
        facts: &Facts,
        now: UnixTime,
    ) -> Result<Vec<Role>, String> {
        let named = facts.roles();
        let is_named = |role| named.contains(&role);
        let whose = || format!("the certificate ({})", facts.name());
        match self {
            Roles::Nobody => Ok(Vec::new()),
            Roles::Shared if named.is_empty() => Err(format!(
                "{} names no role, and this server has one CA for clients and peers: make it with `ipseity-cli cert \
                 client`, `operator` or `peer`",
                whose()
            )),
            Roles::Shared => Ok(named),
            Roles::PeersOnly if named.is_empty() => Ok(vec![Role::Peer]),
            Roles::PeersOnly => Ok(named),
            Roles::Apart(peers) if is_peer(peers, certificates, now) => {
                match named.is_empty() || is_named(Role::Peer) {
                    true => Ok(vec![Role::Peer]),
                    false => Err(format!(
                        "{} is signed by a CA for peers, but does not name the role peer",
                        whose()
                    )),
                }
            }
            Roles::ClientsOnly | Roles::Apart(_) if is_named(Role::Operator) => {
                Ok(vec![Role::Operator])
            }
            Roles::ClientsOnly | Roles::Apart(_) if named.is_empty() || is_named(Role::Client) => {
                Ok(vec![Role::Client])
            }
            Roles::ClientsOnly | Roles::Apart(_) => Err(format!(
                "{} names the role peer, but is signed by a CA for clients",
                whose()
            )),
        }
    }

    /// Whether the server that this one has dialed, and that has shown this certificate, is a peer. A CA for peers has
    /// signed it.
    ///
    /// # Errors
    /// It is not; the text says why.
    pub(super) fn check_dialed(&self, certificate: &CertificateDer<'_>) -> Result<(), String> {
        let facts = Facts::of(certificate)
            .map_err(|reason| format!("its certificate cannot be used: {reason}"))?;
        facts
            .check_roles()
            .map_err(|fault| format!("its certificate ({}) {fault}", facts.name()))?;
        let named = facts.roles();
        let may_name_none = !matches!(self, Roles::Shared);
        match named.contains(&Role::Peer) || (named.is_empty() && may_name_none) {
            true => Ok(()),
            false => Err(format!(
                "its certificate ({}) does not name the role peer: make it with `ipseity-cli cert peer`",
                facts.name()
            )),
        }
    }
}

fn is_peer(
    peers: &Arc<dyn ClientCertVerifier>,
    certificates: &[CertificateDer<'_>],
    now: UnixTime,
) -> bool {
    let (first, others) = (&certificates[0], &certificates[1..]);
    peers.verify_client_cert(first, others, now).is_ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ipseity_sim::pki::{Leaf, Pki, days};
    use rustls::{RootCertStore, server::WebPkiClientVerifier};

    use super::*;

    fn judge(roots: &Roots) -> Arc<dyn ClientCertVerifier> {
        let store: Arc<RootCertStore> = roots.store();
        WebPkiClientVerifier::builder_with_provider(store, ipseity_tls::provider())
            .build()
            .unwrap()
    }

    #[test]
    fn a_misspelt_role_is_nobody_wherever_roles_are_decided() {
        let (pki, other) = (Pki::new("CA"), Pki::new("another CA"));
        let (one, two) = (pki.roots(), other.roots());
        let now = u64::try_from(days(0).unix_timestamp()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        for (clients, peers, signer, known) in [
            (None, Some(&one), &pki, Role::Peer),
            (Some(&one), None, &pki, Role::Client),
            (Some(&one), Some(&one), &pki, Role::Peer),
            (Some(&one), Some(&two), &pki, Role::Client),
            (Some(&one), Some(&two), &other, Role::Peer),
        ] {
            let roles = Roles::new(clients, peers, judge);
            let shown = |uris: &[&str]| {
                let leaf = Leaf {
                    uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
                    ..Leaf::client("somebody", None)
                };
                signer.credentials(&leaf).chain().to_vec()
            };
            for uri in [
                "ipseity:role:admin",
                "ipseity:role:Operator",
                "IPSEITY:ROLE:CLIENT",
                "ipseity:role:client,operator",
                "ipseity:role:operator ",
                "ipseity:role:",
            ] {
                // One that is known beside it does not help.
                for uris in [&[uri][..], &[known.uri(), uri]] {
                    let shown = shown(uris);
                    let says = format!("certificate (somebody) names the unknown role {uri:?}: ");
                    let refused = roles.grants(&shown, Grants::EVERYBODY, now).unwrap_err();
                    assert!(refused.contains(&says), "{roles:?}: {refused}");
                    let refused = roles.check_dialed(&shown[0]).unwrap_err();
                    assert!(refused.contains(&says), "{roles:?}: {refused}");
                }
            }
            // Other names mean nothing, as before.
            let shown = shown(&["spiffe://example/role", known.uri()]);
            let granted = roles.grants(&shown, Grants::EVERYBODY, now).unwrap();
            assert_eq!(granted.has(Grant::Sync), known == Role::Peer, "{roles:?}");
        }
    }
}
