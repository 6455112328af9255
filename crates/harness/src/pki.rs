//! Certificates for tests, with any dates: a CA, and files of what it has signed.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ipseity_client::{Credentials, Dialer, Roots};
use ipseity_sim::pki::Leaf;
use ipseity_tls::{PROTOCOLS, provider};
use rustls::{ServerConfig, server::WebPkiClientVerifier};
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

impl Life {
    fn dates(self) -> (OffsetDateTime, OffsetDateTime) {
        match self {
            Life::Now => (EARLY, LATE),
            Life::Expired => (EARLY, datetime!(2021-01-01 0:00 UTC)),
            Life::NotYet => (datetime!(2049-01-01 0:00 UTC), LATE),
        }
    }
}

/// A CA in a directory of its own, which goes when it is dropped.
pub struct Pki(ipseity_sim::pki::Pki);

impl Pki {
    /// A CA with this name.
    pub fn new(name: &str) -> Pki {
        Pki(ipseity_sim::pki::Pki::new(name))
    }

    /// The file of a name in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.directory().join(name)
    }

    /// The same as text.
    pub fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Makes the files `FILE.pem` and `FILE.key`: a certificate for these hosts, for servers and clients.
    pub fn issue(&self, file: &str, hosts: &[&str], life: Life) {
        self.0.make(&Leaf {
            roles: Vec::new(),
            valid: life.dates(),
            ..Leaf::peer(file, hosts)
        });
    }

    /// The same without a common name in it, and valid now.
    pub fn issue_unnamed(&self, file: &str, hosts: &[&str]) {
        self.0.make(&Leaf {
            is_named: false,
            roles: Vec::new(),
            valid: Life::Now.dates(),
            ..Leaf::peer(file, hosts)
        });
    }

    /// What a client needs that believes this CA, and shows the certificate in these files.
    pub fn dialer(&self, own: Option<&str>) -> Dialer {
        Dialer::new(
            self.roots(),
            own.map(|own| credentials_of(self.0.directory(), own)),
        )
    }

    /// What a server needs that has the certificate in these files. If `asks`, it takes only clients with a certificate
    /// of this CA.
    pub fn server(&self, file: &str, asks: bool) -> Arc<ServerConfig> {
        server_of(self.0.directory(), file, asks)
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
