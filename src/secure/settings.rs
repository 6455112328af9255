//! The settings of TLS: everything that is read from the files of `--tls-…`. They do not change. A reload makes new ones.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use ipseity_core::{text::Plain, words::Grants};
use ipseity_tls::{
    Context, Credentials, Date, Facts, Hints, PROTOCOLS, Role, Roots, TlsError, Watched,
    client_config_with, explain, provider, server_name, unnameable,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::danger::ServerCertVerifier,
    crypto::CryptoProvider,
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::SingleCertAndKey,
    time_provider::{DefaultTimeProvider, TimeProvider},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Dialing, Session, roles::Roles};

/// The files that the settings are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate of this server, and those between it and the CA (`--tls-cert`).
    pub certificate: PathBuf,
    /// Its private key (`--tls-key`).
    pub key: PathBuf,
    /// The CAs of clients (`--tls-client-ca`). With it, every client has to show a certificate.
    pub client_ca: Option<PathBuf>,
    /// The CAs of the other servers (`--tls-peer-ca`).
    pub peer_ca: Option<PathBuf>,
}

/// A certificate that the server has, for those who watch when it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it is for.
    pub what: &'static str,
    /// The file that it was read from.
    pub file: PathBuf,
    /// What it says.
    pub facts: Facts,
}

/// How peers are dialed.
struct Dialed {
    config: Arc<ClientConfig>,
    verifier: Arc<Watched<dyn ServerCertVerifier>>,
}

/// See the [module](super).
pub struct Settings {
    credentials: Credentials,
    client_ca: Option<Roots>,
    peer_ca: Option<Roots>,
    server: Arc<ServerConfig>,
    /// The same where nobody has to show a certificate, but may.
    optional: Arc<ServerConfig>,
    /// Judges the certificates of those who connect; `None` if none is asked for.
    clients: Option<Arc<Watched<dyn ClientCertVerifier>>>,
    /// How peers are dialed; `None` without CAs for peers.
    dialing: Option<Dialed>,
    roles: Roles,
    time: Arc<dyn TimeProvider>,
}

/// Something that is not good about settings, although they work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The kind of warning, by the name that the log has for it.
    pub event: &'static str,
    /// What people read.
    pub text: String,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of the key.
        f.debug_struct("Settings")
            .field("certificate", self.credentials.facts())
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the files. It may block.
    ///
    /// # Errors
    /// A file is wrong, or they do not fit together; the text says which flag and what to do.
    pub fn read(files: &Files) -> Result<Settings, String> {
        let of = |flag: &'static str| move |error: TlsError| format!("{flag} {error}");
        // The two may be one file, so its name does not tell what was looked for in it.
        let of_own = |error: TlsError| match error.of_key {
            true => of("--tls-key")(error),
            false => of("--tls-cert")(error),
        };
        let credentials = Credentials::read(&files.certificate, &files.key).map_err(of_own)?;
        let roots = |file: &Option<PathBuf>, flag| {
            file.as_deref()
                .map(Roots::read)
                .transpose()
                .map_err(of(flag))
        };
        let client_ca = roots(&files.client_ca, "--tls-client-ca")?;
        let peer_ca = roots(&files.peer_ca, "--tls-peer-ca")?;
        Settings::new(
            credentials,
            client_ca,
            peer_ca,
            Arc::new(DefaultTimeProvider),
        )
    }

    /// Makes settings of what was read. `time` says what time it is, for the certificates of others.
    ///
    /// # Errors
    /// The certificates do not fit together; the text says which flag and what to do.
    pub fn new(
        credentials: Credentials,
        client_ca: Option<Roots>,
        peer_ca: Option<Roots>,
        time: Arc<dyn TimeProvider>,
    ) -> Result<Settings, String> {
        Settings::with_provider(credentials, client_ca, peer_ca, provider(), time)
    }

    /// The same with another provider of cryptography: that of a simulation is not random.
    ///
    /// # Errors
    /// As with [`new`](Settings::new).
    pub fn with_provider(
        credentials: Credentials,
        client_ca: Option<Roots>,
        peer_ca: Option<Roots>,
        provider: Arc<CryptoProvider>,
        time: Arc<dyn TimeProvider>,
    ) -> Result<Settings, String> {
        let roles = Roles::new(client_ca.as_ref(), peer_ca.as_ref(), |peers| {
            verifier(peers.store(), true)
        });
        check_own(&credentials, &roles, peer_ca.is_some())?;
        let store = all_roots(client_ca.as_ref(), peer_ca.as_ref()).map(Arc::new);
        let clients = store.as_ref().map(|store| {
            let verifier = verifier(Arc::clone(store), roles.wants_certificate());
            Arc::new(Watched::new(verifier))
        });
        let config = |clients| {
            let (provider, time) = (Arc::clone(&provider), Arc::clone(&time));
            Arc::new(server_config(&credentials, clients, provider, time))
        };
        let server = config(clients.clone());
        let optional = match (store, &clients) {
            (Some(store), Some(clients)) if roles.wants_certificate() => {
                config(Some(Arc::new(clients.with(verifier(store, false)))))
            }
            _ => Arc::clone(&server),
        };
        let dialing = peer_ca.as_ref().map(|roots| {
            let (mut config, verifier) =
                client_config_with(Arc::clone(&provider), roots, Some(&credentials));
            config.time_provider = Arc::clone(&time);
            let config = Arc::new(config);
            Dialed { config, verifier }
        });
        Ok(Settings {
            credentials,
            client_ca,
            peer_ca,
            server,
            optional,
            clients,
            dialing,
            roles,
            time,
        })
    }

    /// What its own certificate says.
    pub fn own(&self) -> &Facts {
        self.credentials.facts()
    }

    /// The file of its own certificate.
    pub fn own_file(&self) -> &Path {
        self.credentials.file()
    }

    /// Every certificate that it has: its own, and those of the CAs.
    pub fn kept(&self) -> Vec<Kept> {
        let own = Kept {
            what: "the certificate of this server",
            file: self.own_file().to_owned(),
            facts: self.own().clone(),
        };
        let mut kept = vec![own];
        for (what, roots) in [
            ("a CA of clients", &self.client_ca),
            ("a CA of peers", &self.peer_ca),
        ] {
            if let Some(roots) = roots {
                kept.extend(roots.facts().iter().map(|facts| Kept {
                    what,
                    file: roots.file().to_owned(),
                    facts: facts.clone(),
                }));
            }
        }
        kept
    }

    /// What is not good about these settings, although they work: a line for each, for people who have just started the
    /// server or changed its files. That a certificate expires is not among it, because that comes with time.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if let Some((file, mode)) = self.credentials.exposed_key() {
            let file = Plain(&file.to_string_lossy()).to_string();
            warnings.push(Warning {
                event: "keyExposed",
                text: format!(
                    "others can read or write the private key of this server: {file} has the mode {mode:04o}. Whoever has \
                     the key can pretend to be this server: chmod 600 {file}"
                ),
            });
        }
        let now = self.unix_seconds();
        for Kept { what, file, facts } in self.kept() {
            if facts.not_before > now {
                warnings.push(Warning {
                    event: "certificateEarly",
                    text: format!(
                        "{what} in {} ({}) is NOT VALID before {}, and the clock of this machine says {}: wait, set the \
                         clock, or replace the file and send SIGHUP",
                        Plain(&file.to_string_lossy()),
                        facts.name(),
                        Date(facts.not_before),
                        Date(now)
                    ),
                });
            }
        }
        warnings
    }

    /// What time it is, in seconds since 1970, as the clock of this machine says.
    pub fn unix_seconds(&self) -> u64 {
        self.now().as_secs()
    }

    fn now(&self) -> UnixTime {
        self.time
            .current_time()
            .unwrap_or_else(|| UnixTime::since_unix_epoch(std::time::Duration::ZERO))
    }

    /// Whether peers can be dialed with TLS.
    pub fn dials(&self) -> bool {
        self.dialing.is_some()
    }

    /// The session of a connection to a peer at `host`, a name or an address.
    ///
    /// # Errors
    /// No certificate can be for such a host; the text says so.
    pub fn dial(&self, host: &str) -> Result<Dialing, String> {
        let Some(Dialed { config, .. }) = &self.dialing else {
            return Err("without --tls-peer-ca no peer can be dialed by TLS".to_owned());
        };
        let name = server_name(host)
            .map_err(|_| format!("a certificate cannot have the name {}", unnameable(host)))?;
        Session::dialed(Arc::clone(config), name)
            .map(Dialing)
            .map_err(|error| error.to_string())
    }

    /// The session of a connection that was accepted and has begun with these bytes. If `needs_none`, it need not show a
    /// certificate, whatever the others have to.
    pub(crate) fn accept(&self, begun: &[u8], needs_none: bool) -> Session {
        let config = match needs_none {
            true => &self.optional,
            false => &self.server,
        };
        Session::accepted(Arc::clone(config), begun)
            .expect("only a bad length of fragments is refused, and none is set")
    }

    /// What somebody may do who has connected, has shown these certificates, and comes from an address that allows
    /// `by_address`. If `needs_none` and a certificate is wanted, whoever shows none is let in and may do nothing.
    ///
    /// # Errors
    /// Nothing; the text says why.
    pub(crate) fn grants(
        &self,
        certificates: &[CertificateDer<'_>],
        by_address: Grants,
        needs_none: bool,
    ) -> Result<Grants, String> {
        if needs_none && certificates.is_empty() && self.roles.wants_certificate() {
            return Ok(Grants::NONE);
        }
        self.roles.grants(certificates, by_address, self.now())
    }

    /// Whether the server that was dialed is a peer.
    ///
    /// # Errors
    /// It is not; the text says why.
    pub(crate) fn check_dialed(&self, certificates: &[CertificateDer<'_>]) -> Result<(), String> {
        match certificates.first() {
            Some(certificate) => self.roles.check_dialed(certificate),
            None => Err("it has shown no certificate".to_owned()),
        }
    }

    /// Whether the certificates of somebody who has connected would be accepted now.
    ///
    /// # Errors
    /// They would not; the text says why.
    pub(crate) fn recheck_accepted(
        &self,
        certificates: &[CertificateDer<'_>],
    ) -> Result<(), String> {
        let (Some(verifier), [first, others @ ..]) = (&self.clients, certificates) else {
            // Whether one is wanted is asked with the grants.
            return Ok(());
        };
        verifier
            .verify_client_cert(first, others, self.now())
            .map(|_| ())
            .map_err(|error| self.explain_accepted(&error))
    }

    /// Whether the certificates of a peer that was dialed as `name` would be accepted now.
    ///
    /// # Errors
    /// They would not; the text says why.
    pub(crate) fn recheck_dialed(
        &self,
        certificates: &[CertificateDer<'_>],
        name: Option<&ServerName<'static>>,
    ) -> Result<(), String> {
        let (Some(Dialed { verifier, .. }), Some(name), [first, others @ ..]) =
            (&self.dialing, name, certificates)
        else {
            return Err("there are no CAs for peers any more (--tls-peer-ca)".to_owned());
        };
        verifier
            .verify_server_cert(first, others, name, &[], self.now())
            .map(|_| ())
            .map_err(|error| self.explain_dialed(&error))
    }

    /// Says in plain words why somebody who has connected is not let in. It is asked right after the error.
    pub(crate) fn explain_accepted(&self, error: &rustls::Error) -> String {
        let refused = self
            .clients
            .as_ref()
            .and_then(|watched| watched.take_refused());
        explain(
            error,
            &Context {
                dialed: false,
                is_server: true,
                refused,
                roots: self.client_ca.as_ref().or(self.peer_ca.as_ref()),
                own: Some(&self.credentials),
                now: Some(self.unix_seconds()),
                hints: Hints::default(),
            },
        )
    }

    /// Says in plain words why a peer that was dialed is not believed. It is asked right after the error.
    pub(crate) fn explain_dialed(&self, error: &rustls::Error) -> String {
        let watched = self.dialing.as_ref().map(|dialed| &dialed.verifier);
        explain(
            error,
            &Context {
                dialed: true,
                is_server: true,
                refused: watched.and_then(|watched| watched.take_refused()),
                roots: self.peer_ca.as_ref(),
                own: Some(&self.credentials),
                now: Some(self.unix_seconds()),
                hints: Hints::default(),
            },
        )
    }
}

/// Refuses a certificate with which this server could not do its work.
fn check_own(credentials: &Credentials, roles: &Roles, has_peers: bool) -> Result<(), String> {
    let facts = credentials.facts();
    let whose = format!(
        "--tls-cert {} ({})",
        credentials.file().display(),
        facts.name()
    );
    facts
        .check_roles()
        .map_err(|fault| format!("{whose} {fault}"))?;
    if !facts.for_servers {
        return Err(format!(
            "{whose} is not made for servers: its extended key usage lacks serverAuth; make it with `ipseity-cli cert \
             server` or `peer`"
        ));
    }
    if has_peers && !facts.for_clients {
        return Err(format!(
            "{whose} cannot be shown to other servers, and --tls-peer-ca is given: its extended key usage lacks \
             clientAuth; make it with `ipseity-cli cert peer`"
        ));
    }
    let names_peer = facts.roles().contains(&Role::Peer);
    if matches!(roles, Roles::Shared) && !names_peer {
        return Err(format!(
            "--tls-client-ca and --tls-peer-ca have a CA in common, so certificates must name their roles, and {whose} \
             does not name the role peer: make it with `ipseity-cli cert peer`, or use two CAs"
        ));
    }
    Ok(())
}

fn all_roots(client_ca: Option<&Roots>, peer_ca: Option<&Roots>) -> Option<RootCertStore> {
    let mut all = RootCertStore::empty();
    for roots in [client_ca, peer_ca].into_iter().flatten() {
        all.extend(roots.store().roots.iter().cloned());
    }
    (!all.is_empty()).then_some(all)
}

/// Judges the certificates of those who connect.
fn verifier(store: Arc<RootCertStore>, is_wanted: bool) -> Arc<dyn ClientCertVerifier> {
    let builder = WebPkiClientVerifier::builder_with_provider(store, provider());
    let builder = match is_wanted {
        true => builder,
        false => builder.allow_unauthenticated(),
    };
    builder
        .build()
        .expect("only an empty store or a broken revocation list is refused, and there is neither")
}

fn server_config(
    credentials: &Credentials,
    clients: Option<Arc<Watched<dyn ClientCertVerifier>>>,
    provider: Arc<CryptoProvider>,
    time: Arc<dyn TimeProvider>,
) -> ServerConfig {
    let builder = ServerConfig::builder_with_details(provider, time)
        .with_protocol_versions(PROTOCOLS)
        .expect("every provider has a suite for one of these versions");
    let asks = clients.is_some();
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let certified = SingleCertAndKey::from(credentials.certified());
    let mut config = builder.with_cert_resolver(Arc::new(certified));
    if asks {
        // A resumed session would carry the old certificate, and nobody would look at it again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use ipseity_sim::pki::{Leaf, Pki, days};

    use super::*;

    fn files((certificate, key): (PathBuf, PathBuf)) -> Files {
        Files {
            certificate,
            key,
            client_ca: None,
            peer_ca: None,
        }
    }

    fn chmod(file: &PathBuf, mode: u32) {
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_flag_that_is_blamed_is_the_one_whose_file_lacks_something() {
        let pki = Pki::new("CA");
        let leaf = Leaf::peer("one", &["127.0.0.1"]);
        let (certificate, key) = pki.make(&leaf);
        let misspelt = Leaf {
            uris: vec!["ipseity:role:Peer".to_owned()],
            ..Leaf::peer("misspelt", &["127.0.0.1"])
        };
        let encrypted = pki.directory().join("encrypted.key");
        fs::write(
            &encrypted,
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        )
        .unwrap();
        for (pair, says) in [
            (
                (key.clone(), key.clone()),
                format!("--tls-cert {}: has no certificate", key.display()),
            ),
            (
                (certificate.clone(), certificate.clone()),
                format!(
                    "--tls-key {}: has certificates and no private key",
                    certificate.display()
                ),
            ),
            (
                (certificate.clone(), encrypted.clone()),
                format!(
                    "--tls-key {}: its private key is encrypted",
                    encrypted.display()
                ),
            ),
            (
                pki.make(&misspelt),
                "(misspelt) names the unknown role \"ipseity:role:Peer\"".to_owned(),
            ),
        ] {
            let error = Settings::read(&files(pair)).unwrap_err();
            assert!(error.contains(&says), "{says}: {error}");
        }
    }

    #[test]
    fn a_key_for_all_and_a_certificate_of_tomorrow_are_warned_of() {
        let pki = Pki::new("CA");
        let pair = pki.make(&Leaf::peer("one", &["127.0.0.1"]));
        let texts = |warnings: Vec<Warning>| -> Vec<String> {
            warnings.into_iter().map(|warning| warning.text).collect()
        };
        let warnings = |pair| texts(Settings::read(&files(pair)).unwrap().warnings());
        chmod(&pair.1, 0o640);
        assert_eq!(warnings(pair.clone()), [""; 0]);
        chmod(&pair.1, 0o644);
        let said = warnings(pair.clone());
        let key = pair.1.display();
        assert_eq!(
            said,
            [format!(
                "others can read or write the private key of this server: {key} has the mode 0644. Whoever has the key \
                 can pretend to be this server: chmod 600 {key}"
            )]
        );
        let early = Leaf {
            valid: (days(2), days(10)),
            ..Leaf::peer("early", &["127.0.0.1"])
        };
        let early = pki.make(&early);
        chmod(&early.1, 0o600);
        let said = warnings(early);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].starts_with("the certificate of this server in "),
            "{said:?}"
        );
        assert!(
            said[0].contains("early.pem (early) is NOT VALID before 20"),
            "{said:?}"
        );
        // A CA is looked at too.
        let settings = Settings::new(
            pki.credentials(&Leaf::peer("two", &["127.0.0.1"])),
            Some(pki.roots()),
            None,
            Arc::new(LongAgo),
        );
        let said = texts(settings.unwrap().warnings());
        let ca = |text: &String| text.contains("ca.pem (CA) is NOT VALID before 2020-01-01");
        assert!(said.iter().any(ca), "{said:?}");
    }

    /// A clock of 1970.
    #[derive(Debug)]
    struct LongAgo;

    impl TimeProvider for LongAgo {
        fn current_time(&self) -> Option<UnixTime> {
            Some(UnixTime::since_unix_epoch(std::time::Duration::ZERO))
        }
    }
}
