//! A CA, and certificates that it has signed, for tests of TLS.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use ipseity::secure::{Files, Settings};
use ipseity_tls::{Credentials, Role, Roots, client_config, server_name};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::{ClientConnection, time_provider::DefaultTimeProvider};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime, macros::datetime};

/// The moment so many days from now.
pub fn days(days: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::days(days)
}

/// A CA with a directory of files.
pub struct Pki {
    ca: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

/// What is in a certificate.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its common name, and the name of its files.
    pub name: String,
    /// The name stands in it.
    pub is_named: bool,
    pub hosts: Vec<String>,
    pub roles: Vec<Role>,
    /// URI names beside those of its roles.
    pub uris: Vec<String>,
    pub for_servers: bool,
    pub for_clients: bool,
    /// From when to when it is valid.
    pub valid: (OffsetDateTime, OffsetDateTime),
}

impl Leaf {
    /// A peer that is reached at these hosts.
    pub fn peer(name: &str, hosts: &[&str]) -> Leaf {
        Leaf {
            name: name.to_owned(),
            is_named: true,
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            roles: vec![Role::Peer],
            uris: Vec::new(),
            for_servers: true,
            for_clients: true,
            valid: (days(-1), days(365)),
        }
    }

    /// Somebody with this role who is no server.
    pub fn client(name: &str, role: Option<Role>) -> Leaf {
        Leaf {
            name: name.to_owned(),
            is_named: true,
            hosts: Vec::new(),
            roles: role.into_iter().collect(),
            uris: Vec::new(),
            for_servers: false,
            for_clients: true,
            valid: (days(-1), days(365)),
        }
    }
}

impl Pki {
    pub fn new(name: &str) -> Pki {
        let mut parameters = CertificateParams::default();
        // Valid in every run of every test, and in the fixed time of a simulation.
        let valid = (
            datetime!(2020-01-01 0:00 UTC),
            datetime!(2050-01-01 0:00 UTC),
        );
        set_common(&mut parameters, Some(name), valid);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), ca.pem()).unwrap();
        Pki { ca, directory }
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file with the certificate of the CA.
    pub fn ca(&self) -> PathBuf {
        self.directory().join("ca.pem")
    }

    pub fn ca_pem(&self) -> String {
        self.ca.pem()
    }

    /// Makes a certificate and its key, and returns their files. Those of the same name are replaced.
    pub fn make(&self, leaf: &Leaf) -> (PathBuf, PathBuf) {
        let mut parameters = CertificateParams::default();
        let name = leaf.is_named.then_some(leaf.name.as_str());
        set_common(&mut parameters, name, leaf.valid);
        for host in &leaf.hosts {
            parameters
                .subject_alt_names
                .push(match host.parse::<IpAddr>() {
                    Ok(address) => SanType::IpAddress(address),
                    Err(_) => SanType::DnsName(host.as_str().try_into().unwrap()),
                });
        }
        let roles = leaf.roles.iter().map(|role| role.uri());
        for uri in roles.chain(leaf.uris.iter().map(String::as_str)) {
            let name = uri.try_into().unwrap();
            parameters.subject_alt_names.push(SanType::URI(name));
        }
        if leaf.for_servers {
            let purpose = ExtendedKeyUsagePurpose::ServerAuth;
            parameters.extended_key_usages.push(purpose);
        }
        if leaf.for_clients {
            let purpose = ExtendedKeyUsagePurpose::ClientAuth;
            parameters.extended_key_usages.push(purpose);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.ca).unwrap();
        let file = |end: &str| self.directory().join(format!("{}.{end}", leaf.name));
        std::fs::write(file("pem"), certificate.pem()).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        (file("pem"), file("key"))
    }

    /// What somebody with this certificate shows.
    pub fn credentials(&self, leaf: &Leaf) -> Credentials {
        let (certificate, key) = self.make(leaf);
        Credentials::read(&certificate, &key).unwrap()
    }

    pub fn roots(&self) -> Roots {
        Roots::read(&self.ca()).unwrap()
    }

    /// The files of a server with this certificate. This CA is that of clients and peers if they are asked for one.
    pub fn files(&self, leaf: &Leaf, asks_clients: bool, asks_peers: bool) -> Files {
        let (certificate, key) = self.make(leaf);
        Files {
            certificate,
            key,
            client_ca: asks_clients.then(|| self.ca()),
            peer_ca: asks_peers.then(|| self.ca()),
        }
    }

    /// The settings of a server, from such files.
    pub fn settings(&self, leaf: &Leaf, asks_clients: bool, asks_peers: bool) -> Arc<Settings> {
        let roots = |asks: bool| asks.then(|| self.roots());
        let settings = Settings::new(
            self.credentials(leaf),
            roots(asks_clients),
            roots(asks_peers),
            Arc::new(DefaultTimeProvider),
        );
        Arc::new(settings.unwrap())
    }

    /// The session of a client that expects a server of this CA at `host`, and shows this certificate.
    pub fn dial(&self, host: &str, leaf: Option<&Leaf>) -> ClientConnection {
        let credentials = leaf.map(|leaf| self.credentials(leaf));
        let (config, _) = client_config(&self.roots(), credentials.as_ref());
        ClientConnection::new(Arc::new(config), server_name(host).unwrap()).unwrap()
    }
}

fn set_common(
    parameters: &mut CertificateParams,
    name: Option<&str>,
    valid: (OffsetDateTime, OffsetDateTime),
) {
    parameters.distinguished_name = DistinguishedName::new();
    if let Some(name) = name {
        parameters.distinguished_name.push(DnType::CommonName, name);
    }
    (parameters.not_before, parameters.not_after) = valid;
}
