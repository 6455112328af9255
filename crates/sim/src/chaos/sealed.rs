//! TLS between simulated servers, without its secrets: everything that is random comes from the seed, and nothing is
//! encrypted, so that a seed always does the same and the judge can read every byte.
//!
//! Only the arithmetic is replaced: the key exchange and the cipher. The records, the handshake, the certificates and the
//! layer in the server are those of production.

use std::{
    cell::RefCell,
    fs,
    sync::{Arc, OnceLock},
};

use fastrand::Rng;
use ipseity::secure::Settings;
use ipseity_tls::{Credentials, Role, Roots};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SanType,
};
use rustls::{
    CipherSuite, ConnectionTrafficSecrets, Error, NamedGroup, SupportedCipherSuite,
    Tls13CipherSuite,
    crypto::{
        ActiveKeyExchange, CipherSuiteCommon, CryptoProvider, GetRandomFailed, SecureRandom,
        SharedSecret, SupportedKxGroup,
        cipher::{
            AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter,
            MessageEncrypter, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload,
            Tls13AeadAlgorithm, UnsupportedOperationError,
        },
        ring,
    },
    time_provider::TimeProvider,
};
use rustls_pki_types::UnixTime;

use crate::world::address;

/// More servers than any seed has.
const SERVERS_MAX: usize = 32;

thread_local! {
    /// Where the randomness of TLS comes from. A seed runs on one thread.
    static RANDOM: RefCell<Rng> = const { RefCell::new(Rng::with_seed(0)) };
}

/// From now on the randomness of TLS on this thread follows from this seed.
pub fn set_seed(seed: u64) {
    RANDOM.set(Rng::with_seed(seed));
}

/// The settings of every server. One certificate is for all of them, because a seed may add servers and move names.
pub fn settings() -> Arc<Settings> {
    static SETTINGS: OnceLock<Arc<Settings>> = OnceLock::new();
    Arc::clone(SETTINGS.get_or_init(|| Arc::new(make_settings())))
}

fn make_settings() -> Settings {
    let key = || KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let mut of_ca = CertificateParams::default();
    of_ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    of_ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = CertifiedIssuer::self_signed(of_ca, key()).unwrap();
    let mut of_server = CertificateParams::default();
    let name = |name: String| SanType::DnsName(name.try_into().unwrap());
    of_server.subject_alt_names = (0..SERVERS_MAX)
        .flat_map(|server| {
            let address = SanType::IpAddress(address(server).ip());
            [name(format!("server{server}.test")), address]
        })
        .chain([
            name("all.test".to_owned()),
            SanType::URI(Role::Peer.uri().try_into().unwrap()),
        ])
        .collect();
    of_server.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = key();
    let certificate = of_server.signed_by(&key, &ca).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let roots = Roots::read(&write("ca.pem", ca.pem())).unwrap();
    let credentials = Credentials::read(
        &write("server.pem", certificate.pem()),
        &write("server.key", key.serialize_pem()),
    );
    Settings::with_provider(
        credentials.unwrap(),
        None,
        Some(roots),
        Arc::new(provider()),
        Arc::new(SameTime),
    )
    .unwrap()
}

fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![SupportedCipherSuite::Tls13(open_suite())],
        kx_groups: vec![&OpenExchange],
        secure_random: &SeededRandom,
        ..ring::default_provider()
    }
}

/// The suite of TLS 1.3 that everybody has, with a cipher that hides nothing.
fn open_suite() -> &'static Tls13CipherSuite {
    static SUITE: OnceLock<Tls13CipherSuite> = OnceLock::new();
    let SupportedCipherSuite::Tls13(real) = ring::cipher_suite::TLS13_AES_128_GCM_SHA256 else {
        unreachable!("it is a suite of TLS 1.3");
    };
    SUITE.get_or_init(|| Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
            hash_provider: real.common.hash_provider,
            confidentiality_limit: u64::MAX,
        },
        hkdf_provider: real.hkdf_provider,
        aead_alg: &OpenCipher,
        quic: None,
    })
}

/// 2026-01-01. The certificates begin earlier and end later.
#[derive(Debug)]
struct SameTime;

impl TimeProvider for SameTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            1_767_225_600,
        )))
    }
}

#[derive(Debug)]
struct SeededRandom;

impl SecureRandom for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        RANDOM.with_borrow_mut(|random| random.fill(bytes));
        Ok(())
    }
}

/// How long a public value and a secret are, as X25519 has them.
const SHARE_BYTES: usize = 32;

/// A key exchange whose secret everybody knows.
#[derive(Debug)]
struct OpenExchange;

impl SupportedKxGroup for OpenExchange {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut share = [0; SHARE_BYTES];
        SeededRandom.fill(&mut share)?;
        Ok(Box::new(OpenShare(share)))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct OpenShare([u8; SHARE_BYTES]);

impl ActiveKeyExchange for OpenShare {
    fn complete(self: Box<Self>, _: &[u8]) -> Result<SharedSecret, Error> {
        Ok(SharedSecret::from(&[7; SHARE_BYTES][..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.0
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// The tag behind each record. It has the number of the record, so that one that is lost or comes twice is found.
const TAG_BYTES: usize = 16;

fn tag(number: u64) -> [u8; TAG_BYTES] {
    let mut tag = [0; TAG_BYTES];
    tag[..8].copy_from_slice(&number.to_be_bytes());
    tag
}

/// A cipher that hides nothing.
struct OpenCipher;

impl Tls13AeadAlgorithm for OpenCipher {
    fn encrypter(&self, _: AeadKey, _: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(OpenCipher)
    }

    fn decrypter(&self, _: AeadKey, _: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(OpenCipher)
    }

    fn key_len(&self) -> usize {
        16
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

impl MessageEncrypter for OpenCipher {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        number: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let length = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(length);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&[u8::from(message.typ)]);
        payload.extend_from_slice(&tag(number));
        Ok(OutboundOpaqueMessage::new(
            rustls::ContentType::ApplicationData,
            rustls::ProtocolVersion::TLSv1_2,
            payload,
        ))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        length + 1 + TAG_BYTES
    }
}

impl MessageDecrypter for OpenCipher {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        number: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let payload = &mut message.payload;
        match payload.len().checked_sub(TAG_BYTES) {
            Some(length) if payload[length..] == tag(number) => payload.truncate(length),
            Some(_) | None => return Err(Error::DecryptError),
        }
        message.into_tls13_unpadded_message()
    }
}

/// The first byte of a record of a handshake, and of one that is sealed.
const HANDSHAKE: u8 = 0x16;
const SEALED: u8 = 0x17;

/// What one side writes on a connection: the bytes of its messages, whether they are in records or not.
#[derive(Debug, Default)]
pub struct Opened {
    is_tls: Option<bool>,
    partial: Vec<u8>,
}

impl Opened {
    /// The bytes of messages in what was written now.
    pub fn read<'a>(&mut self, written: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8] {
        let Some(first) = written.first() else {
            return written;
        };
        if !*self.is_tls.get_or_insert(*first == HANDSHAKE) {
            return written;
        }
        self.partial.extend_from_slice(written);
        let mut at = 0;
        while let Some(head) = self.partial[at..].first_chunk::<5>() {
            let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
            let Some(body) = self.partial[at + 5..].get(..length) else {
                break;
            };
            if head[0] == SEALED {
                let (kind, text) = body[..length - TAG_BYTES].split_last().unwrap();
                if *kind == SEALED {
                    room.extend_from_slice(text);
                }
            }
            at += 5 + length;
        }
        self.partial.drain(..at);
        room
    }

    /// Whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls == Some(true)
    }
}
