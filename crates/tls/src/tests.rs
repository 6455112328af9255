//! Certificates for the tests of this crate.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tempfile::TempDir;
use time::OffsetDateTime;

/// 2020-01-01 and 2050-01-01: valid for as long as anybody runs these tests.
pub const EARLY: u64 = 1_577_836_800;
pub const LATE: u64 = 2_524_608_000;

pub fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub fn date(seconds: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds as i64).unwrap()
}

pub fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// What a certificate of a server with this name has.
pub fn parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
    named(&mut parameters, name);
    parameters
}

fn named(parameters: &mut CertificateParams, name: &str) {
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    (parameters.not_before, parameters.not_after) = (date(EARLY), date(LATE));
}

/// A CA.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub fn new(name: &str) -> Ca {
        let mut parameters = CertificateParams::default();
        named(&mut parameters, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        Ca(CertifiedIssuer::self_signed(parameters, key).unwrap())
    }

    /// A certificate between this CA and another one, with these parameters.
    pub fn between(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Ca {
        let mut parameters = CertificateParams::default();
        named(&mut parameters, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        Ca(CertifiedIssuer::signed_by(parameters, key, &self.0).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn key(&self) -> String {
        self.0.key().serialize_pem()
    }
}

/// The certificate and the key of a server with this name.
pub fn leaf(ca: &Ca, name: &str) -> (String, String) {
    signed(ca, parameters(name))
}

/// The certificate and the key that somebody with these parameters gets from the CA.
pub fn signed(ca: &Ca, parameters: CertificateParams) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, &ca.0).unwrap();
    (certificate.pem(), key.serialize_pem())
}
