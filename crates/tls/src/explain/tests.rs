//! Handshakes in memory that fail, and what is said about them on both sides.

use std::{fs, sync::Arc};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, SanType};
use rustls::{
    ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};
use tempfile::TempDir;

use super::*;
use crate::{
    Credentials, PROTOCOLS, Watched, client_config, provider, server_name,
    tests::{Ca, date, directory, parameters, signed},
};

/// 2026-11-18: as good as the time at which the tests run, for certificates that are valid for decades.
const NOW: u64 = 1_795_000_000;

/// A folder with files of certificates.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(directory())
    }

    fn roots(&self, ca: &Ca) -> Roots {
        let file = self.0.path().join("ca.pem");
        fs::write(&file, ca.pem()).unwrap();
        Roots::read(&file).unwrap()
    }

    fn credentials(&self, ca: &Ca, parameters: CertificateParams) -> Credentials {
        self.credentials_with(ca, parameters, "")
    }

    /// With these certificates behind its own.
    fn credentials_with(
        &self,
        ca: &Ca,
        parameters: CertificateParams,
        behind: &str,
    ) -> Credentials {
        let (certificate, key) = signed(ca, parameters);
        let certificate = format!("{certificate}{behind}");
        let files = ["one.pem", "one.key"].map(|name| self.0.path().join(name));
        fs::write(&files[0], certificate).unwrap();
        fs::write(&files[1], key).unwrap();
        Credentials::read(&files[0], &files[1]).unwrap()
    }
}

/// Two sides of one handshake.
struct Sides<'a> {
    roots: &'a Roots,
    server: &'a Credentials,
    client: Option<&'a Credentials>,
    client_roots: Option<&'a Roots>,
    host: &'a str,
    version: &'static rustls::SupportedProtocolVersion,
}

impl Sides<'_> {
    /// What each side says in the end; `None` for one that found nothing wrong.
    fn meet(&self) -> [Option<String>; 2] {
        let (mut config, seen) = client_config(self.roots, self.client);
        if self.version != &TLS13 {
            config = only_tls12(self.roots);
        }
        let name = server_name(self.host).unwrap();
        let mut client = Connection::Client(ClientConnection::new(Arc::new(config), name).unwrap());
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(PROTOCOLS)
            .unwrap();
        let mut judge = None;
        let builder = match self.client_roots {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let verifier: Arc<dyn ClientCertVerifier> =
                    WebPkiClientVerifier::builder_with_provider(roots.store(), provider())
                        .build()
                        .unwrap();
                let watched = Arc::new(Watched::new(verifier));
                judge = Some(Arc::clone(&watched));
                builder.with_client_cert_verifier(watched)
            }
        };
        let chain = self.server.chain().to_vec();
        let config = builder
            .with_single_cert(chain, self.server.key().clone_key())
            .unwrap();
        let mut server = Connection::Server(ServerConnection::new(Arc::new(config)).unwrap());
        let mut failed: [Option<Error>; 2] = [None, None];
        // A handshake takes two round trips, and an alert one more.
        for _ in 0..4 {
            carry(&mut client, &mut server, &mut failed[1]);
            carry(&mut server, &mut client, &mut failed[0]);
        }
        let contexts = [
            Context {
                dialed: true,
                refused: seen.take_refused(),
                roots: Some(self.roots),
                own: self.client,
                is_server: false,
                now: Some(NOW),
                hints: Hints::default(),
            },
            Context {
                dialed: false,
                refused: judge.and_then(|judge| judge.take_refused()),
                roots: self.client_roots,
                own: Some(self.server),
                is_server: true,
                now: Some(NOW),
                hints: Hints::default(),
            },
        ];
        let mut said = failed
            .iter()
            .zip(&contexts)
            .map(|(error, context)| error.as_ref().map(|error| explain(error, context)));
        [said.next().unwrap(), said.next().unwrap()]
    }
}

fn only_tls12(roots: &Roots) -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(roots.store())
        .with_no_client_auth()
}

/// Carries the bytes that one side has for the other.
fn carry(from: &mut Connection, to: &mut Connection, failed: &mut Option<Error>) {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut rest = &bytes[..];
    while !rest.is_empty() && failed.is_none() {
        to.read_tls(&mut rest).unwrap();
        *failed = to.process_new_packets().err();
    }
}

fn role(word: &str) -> CertificateParams {
    let mut parameters = parameters("one.example");
    let uri = format!("ipseity:role:{word}");
    parameters
        .subject_alt_names
        .push(SanType::URI(uri.try_into().unwrap()));
    parameters
}

fn has(said: &Option<String>, expected: &str) {
    let said = said.as_deref().unwrap_or("nothing");
    assert!(said.contains(expected), "{expected:?} in: {said}");
}

#[test]
fn what_is_wrong_with_a_server_is_said_on_both_sides() {
    let files = Files::new();
    let (ca, other) = (Ca::new("Example CA"), Ca::new("Other CA"));
    let (roots, good) = (files.roots(&ca), parameters("one.example"));
    let meet = |signer: &Ca, parameters: CertificateParams, host: &str| {
        let server = files.credentials(signer, parameters);
        Sides {
            roots: &roots,
            server: &server,
            client: None,
            client_roots: None,
            host,
            version: &TLS13,
        }
        .meet()
    };
    assert_eq!(meet(&ca, good.clone(), "one.example"), [None, None]);

    let [here, there] = meet(&ca, good.clone(), "two.example");
    has(
        &here,
        "its certificate (one.example, signed by Example CA) is not for two.example: it is for one.example",
    );
    has(
        &there,
        "it does not accept our certificate (one.example, signed by Example CA)",
    );
    let [here, _] = meet(&ca, good.clone(), "10.0.0.1");
    has(&here, "is not for 10.0.0.1: it is for one.example");
    let mut nameless = good.clone();
    nameless.subject_alt_names.clear();
    let [here, _] = meet(&ca, nameless, "one.example");
    has(&here, "is not for one.example: it has no name or address");

    let [here, there] = meet(&other, good.clone(), "one.example");
    has(
        &here,
        "(one.example, signed by Other CA) is not signed by any CA of ",
    );
    has(&here, "ca.pem (Example CA)");
    has(
        &there,
        "it does not know the CA that signed our certificate (one.example",
    );
    let namesake = Ca::new("Example CA");
    let [here, _] = meet(&namesake, good.clone(), "one.example");
    has(&here, "although one has the name of its CA");
    has(
        &here,
        "or a key is of a kind that is not taken (taken are ECDSA P-256",
    );
    let [_, there] = meet(&namesake, good.clone(), "one.example");
    has(
        &there,
        "it finds a signature wrong (TLS alert decrypt_error): mostly its CA has the name of the one that signed our \
         certificate (one.example, signed by Example CA), and another key, because the CA was made anew",
    );

    let mut expired = good.clone();
    expired.not_after = date(1_600_000_000);
    let [here, there] = meet(&ca, expired, "one.example");
    has(&here, "expired at 2020-09-13 12:26 UTC");
    has(
        &there,
        "has expired or is not valid yet: it is valid from 2020-01-01 00:00 UTC to 2020-09-13",
    );
    let mut early = good.clone();
    early.not_before = date(2_500_000_000);
    let [here, there] = meet(&ca, early, "one.example");
    has(
        &here,
        "is not valid before 2049-03-22 04:26 UTC, and the clock here says 20",
    );
    has(&there, "has expired or is not valid yet");

    let mut client = good;
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let [here, _] = meet(&ca, client, "one.example");
    has(
        &here,
        "is not made for servers: its extended key usage lacks serverAuth",
    );
}

#[test]
fn what_is_wrong_with_a_client_is_said_on_both_sides() {
    let files = Files::new();
    let (ca, other) = (Ca::new("Example CA"), Ca::new("Other CA"));
    let roots = files.roots(&ca);
    let server = files.credentials(&ca, parameters("one.example"));
    let meet = |client: Option<&Credentials>| {
        Sides {
            roots: &roots,
            server: &server,
            client,
            client_roots: Some(&roots),
            host: "one.example",
            version: &TLS13,
        }
        .meet()
    };
    let good = files.credentials(&ca, role("client"));
    assert_eq!(meet(Some(&good)), [None, None]);
    let [there, here] = meet(None);
    has(
        &here,
        "it shows no certificate, and here a certificate is wanted",
    );
    has(
        &there,
        "it wants a certificate, and none was given: --tls-cert, --tls-key",
    );
    let foreign = files.credentials(&other, role("client"));
    let [there, here] = meet(Some(&foreign));
    has(
        &here,
        "(one.example, signed by Other CA) is not signed by any CA of ",
    );
    has(
        &there,
        "it does not know the CA that signed our certificate (one.example, signed by Other CA)",
    );
    let mut expired = role("client");
    expired.not_after = date(1_600_000_000);
    let expired = files.credentials(&ca, expired);
    let [there, here] = meet(Some(&expired));
    has(
        &here,
        "its certificate (one.example, signed by Example CA) expired at 2020-09-13 12:26 UTC",
    );
    has(
        &there,
        "it says that our certificate (one.example, signed by Example CA) has expired",
    );
    let mut server_only = role("client");
    server_only.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server_only = files.credentials(&ca, server_only);
    let [there, here] = meet(Some(&server_only));
    has(
        &here,
        "is not made for clients: its extended key usage lacks clientAuth",
    );
    has(
        &there,
        "it does not accept our certificate (one.example, signed by Example CA): it is not made for clients, because \
         its extended key usage lacks clientAuth",
    );
}

#[test]
fn a_fault_of_a_ca_in_between_is_not_blamed_on_the_certificate() {
    let files = Files::new();
    let root = Ca::new("Example CA");
    let roots = files.roots(&root);
    let server = files.credentials(&root, parameters("one.example"));
    // With the CA in between in the file, and without it.
    let meet = |between: &Ca, behind: &str| {
        let client = files.credentials_with(between, role("client"), behind);
        Sides {
            roots: &roots,
            server: &server,
            client: Some(&client),
            client_roots: Some(&roots),
            host: "one.example",
            version: &TLS13,
        }
        .meet()
    };
    let good = root.between("Between", |_| {});
    assert_eq!(meet(&good, &good.pem()), [None, None]);

    let [there, here] = meet(&good, "");
    has(
        &here,
        "(Example CA): if a CA in between has signed it, the certificate of that CA belongs behind it, into the same file",
    );
    has(
        &there,
        "it does not know the CA that signed our certificate (one.example, signed by Between): if that is a CA in \
         between, its certificate belongs behind ours, into ",
    );
    has(&there, "one.pem");

    let expired = root.between("Between", |wanted| wanted.not_after = date(1_600_000_000));
    let [there, here] = meet(&expired, &expired.pem());
    has(
        &here,
        "a certificate that its certificate (one.example, signed by Between) builds on expired at 2020-09-13",
    );
    has(
        &there,
        "it says that a certificate has expired or is not valid yet: the certificate of the CA Between in ",
    );
    has(
        &there,
        "is valid from 2020-01-01 00:00 UTC to 2020-09-13 12:26 UTC",
    );

    let no_ca = root.between("Between", |wanted| wanted.is_ca = IsCa::ExplicitNoCa);
    let [there, here] = meet(&no_ca, &no_ca.pem());
    has(
        &here,
        "is not accepted: one of the certificates between it and the CA is not that of a CA, so it cannot sign \
         (EndEntityUsedAsCa)",
    );
    has(&there, "it does not accept our certificate (one.example");

    let for_servers = root.between("Between", |wanted| {
        wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let [_, here] = meet(&for_servers, &for_servers.pem());
    has(
        &here,
        "a CA that its certificate (one.example, signed by Between) builds on may not sign for clients",
    );
}

#[test]
fn what_an_alert_cannot_mean_is_left_out() {
    let files = Files::new();
    let ca = Ca::new("Example CA");
    let own = files.credentials(&ca, role("client"));
    let alert = |alert, now| {
        let context = Context {
            dialed: true,
            own: Some(&own),
            now,
            ..Context::default()
        };
        explain(&Error::AlertReceived(alert), &context)
    };
    let expired = AlertDescription::CertificateExpired;
    let said = alert(expired, Some(NOW));
    assert!(
        said.ends_with(
            "is valid from 2020-01-01 00:00 UTC to 2050-01-01 00:00 UTC, so it means that of a CA, or its clock or \
             that of this machine is wrong"
        ),
        "{said}"
    );
    let said = alert(expired, None);
    assert!(
        said.contains("has expired or is not valid yet: it is valid from"),
        "{said}"
    );
    // Whoever refuses it may have another alert for it.
    let said = alert(AlertDescription::BadCertificate, Some(2_600_000_000));
    assert!(
        said.ends_with(": it is valid from 2020-01-01 00:00 UTC to 2050-01-01 00:00 UTC"),
        "{said}"
    );
}

#[test]
fn what_is_not_in_common_is_said_in_words() {
    for (reason, says) in [
        (
            PeerIncompatible::SignatureAlgorithmsExtensionRequired,
            "it speaks neither TLS 1.2 nor TLS 1.3, but TLS 1.1 or older",
        ),
        (
            PeerIncompatible::NoKxGroupsInCommon,
            "it has no way to exchange keys in common with this side, which takes X25519, P-256 and P-384 \
             (NoKxGroupsInCommon)",
        ),
        (
            PeerIncompatible::NoSignatureSchemesInCommon,
            "it takes no signature that the key of our certificate can make (NoSignatureSchemesInCommon)",
        ),
    ] {
        assert_eq!(explain(&reason.into(), &Context::default()), says);
    }
    let groups: Vec<String> = provider()
        .kx_groups
        .iter()
        .map(|group| format!("{:?}", group.name()))
        .collect();
    assert_eq!(groups, ["X25519", "secp256r1", "secp384r1"]);
}

#[test]
fn tls_1_2_is_spoken_too() {
    let files = Files::new();
    let ca = Ca::new("Example CA");
    let (roots, server) = (
        files.roots(&ca),
        files.credentials(&ca, parameters("one.example")),
    );
    let mut sides = Sides {
        roots: &roots,
        server: &server,
        client: None,
        client_roots: None,
        host: "one.example",
        version: &TLS12,
    };
    assert_eq!(sides.meet(), [None, None]);
    sides.client_roots = Some(&roots);
    let [there, _] = sides.meet();
    has(&there, "it wants a certificate, and none was given");
}

#[test]
fn bytes_that_are_not_tls_are_called_that() {
    let files = Files::new();
    let ca = Ca::new("Example CA");
    let (config, _) = client_config(&files.roots(&ca), None);
    let config = Arc::new(config);
    for bytes in [
        &b"\x00\x0d\x04 not found"[..],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"-ERR unknown\r\n",
    ] {
        let name = server_name("one.example").unwrap();
        let mut client = ClientConnection::new(Arc::clone(&config), name).unwrap();
        client.read_tls(&mut &bytes[..]).unwrap();
        let error = client.process_new_packets().unwrap_err();
        let mut context = Context::default();
        assert_eq!(explain(&error, &context), "it does not speak TLS");
        context.dialed = true;
        let said = explain(&error, &context);
        assert_eq!(
            said,
            "it does not speak TLS: for a plain connection leave tls:// away"
        );
        // Nobody writes tls:// in --peer.
        context.is_server = true;
        let said = explain(&error, &context);
        assert_eq!(
            said,
            "it does not speak TLS: for a plain connection write plain:// before its address in --peer"
        );
    }
}

#[test]
fn every_alert_is_a_sentence_in_one_line() {
    for number in 0..=u8::MAX {
        for dialed in [true, false] {
            let alert = AlertDescription::from(number);
            let context = Context {
                dialed,
                ..Context::default()
            };
            let said = explain(&Error::AlertReceived(alert), &context);
            assert!(said.starts_with("it ") && !said.contains('\n'), "{said}");
        }
    }
}
