//! Certificates for tests, with any dates: a CA, and files of what it has signed.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use ipseity_client::{Credentials, Dialer, Roots};
use ipseity_tls::{PROTOCOLS, provider};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::{ServerConfig, server::WebPkiClientVerifier};
use tempfile::TempDir;
use time::{OffsetDateTime, macros::datetime};

const EARLY: OffsetDateTime = datetime!(2020-01-01 0:00 UTC);
const LATE: OffsetDateTime = datetime!(2050-01-01 0:00 UTC);

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// From 2020 to 2050.
    Now,
    /// Until 2021-01-01.
    Expired,
    /// From 2049-01-01 on.
    NotYet,
}

/// A CA in a directory of its own, which goes when it is dropped.
pub struct Pki {
    directory: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    /// A CA with this name.
    pub fn new(name: &str) -> Pki {
        let mut parameters = parameters(name, Life::Now);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let ca = CertifiedIssuer::self_signed(parameters, key).unwrap();
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("ca.pem"), ca.pem()).unwrap();
        Pki { directory, ca }
    }

    /// The file of a name in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The same as text.
    pub fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Makes the files `FILE.pem` and `FILE.key`: a certificate for these hosts, for servers and clients.
    pub fn issue(&self, file: &str, hosts: &[&str], life: Life) {
        let mut parameters = parameters(file, life);
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        parameters.subject_alt_names = CertificateParams::new(hosts).unwrap().subject_alt_names;
        parameters.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.ca).unwrap();
        fs::write(self.path(&format!("{file}.pem")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    /// What a client needs that believes this CA, and shows the certificate in these files.
    pub fn dialer(&self, own: Option<&str>) -> Dialer {
        Dialer::new(
            self.roots(),
            own.map(|own| credentials_of(self.directory.path(), own)),
        )
    }

    /// What a server needs that has the certificate in these files. If `asks`, it takes only clients with a certificate
    /// of this CA.
    pub fn server(&self, file: &str, asks: bool) -> Arc<ServerConfig> {
        server_of(self.directory.path(), file, asks)
    }

    fn roots(&self) -> Roots {
        Roots::read(&self.path("ca.pem")).unwrap()
    }
}

/// What a server needs whose files, and that of its CA, are in this directory.
pub fn server_of(directory: &Path, file: &str, asks: bool) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(PROTOCOLS)
        .unwrap();
    let builder = match asks {
        false => builder.with_no_client_auth(),
        true => {
            let roots = Roots::read(&directory.join("ca.pem")).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.store(), provider());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let own = credentials_of(directory, file);
    let chain = own.chain().to_vec();
    let config = builder.with_single_cert(chain, own.key().clone_key());
    Arc::new(config.unwrap())
}

fn credentials_of(directory: &Path, file: &str) -> Credentials {
    let [certificate, key] = ["pem", "key"].map(|end| directory.join(format!("{file}.{end}")));
    Credentials::read(&certificate, &key).unwrap()
}

fn parameters(name: &str, life: Life) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    (parameters.not_before, parameters.not_after) = match life {
        Life::Now => (EARLY, LATE),
        Life::Expired => (EARLY, datetime!(2021-01-01 0:00 UTC)),
        Life::NotYet => (datetime!(2049-01-01 0:00 UTC), LATE),
    };
    parameters
}
