//! Which keys and signatures of certificates are accepted, and who has signed a certificate.

use std::sync::Arc;

use rustls::sign::SigningKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::{
    Certificate,
    der::{
        self, Decode, Encode, Reader as _, SliceReader,
        asn1::{AnyRef, ObjectIdentifier, UintRef},
    },
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
};

use crate::{error::Fault, limits::CHAIN_MAX, provider::provider};

/// The lengths of the modulus of RSA keys that are taken, in bytes.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// How long each of the two numbers of an ECDSA signature is at most, in bytes: those of P-384.
const ECDSA_NUMBER_BYTES_MAX: usize = 48;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// The arc of the signatures with RSA, and that of those with ECDSA.
const RSA_SIGNATURES: &str = "1.2.840.113549.1.1.";
const ECDSA_SIGNATURES: &str = "1.2.840.10045.4.";

/// What people call the kinds that are not taken.
const NAMES: &[(&str, &str)] = &[
    ("1.2.840.10045.3.1.1", "ECDSA P-192"),
    ("1.2.840.10045.4.1", "ECDSA and SHA-1"),
    ("1.2.840.10045.4.3.1", "ECDSA and SHA-224"),
    ("1.2.840.10045.4.3.4", "ECDSA and SHA-512"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.113549.1.1.4", "RSA and MD5"),
    ("1.2.840.113549.1.1.5", "RSA and SHA-1"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.113549.1.1.14", "RSA and SHA-224"),
    ("1.3.36.3.3.2.8.1.1.7", "ECDSA brainpoolP256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "ECDSA brainpoolP384r1"),
    ("1.3.101.113", "Ed448"),
    ("1.3.132.0.10", "ECDSA secp256k1"),
    ("1.3.132.0.33", "ECDSA P-224"),
    ("1.3.132.0.35", "ECDSA P-521"),
];

/// Makes a private key ready to sign.
pub fn signing_key(key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Fault> {
    provider()
        .key_provider
        .load_private_key(key)
        .map_err(|error| Fault::BadKey(error.to_string()))
}

/// What the key of a certificate is, if no signature of that key can be accepted.
pub fn untaken_key(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let key = certificate.tbs_certificate().subject_public_key_info();
    let kind = key.algorithm.oid;
    if kind == RSA {
        return match modulus_bytes(key) {
            Ok(bytes) if RSA_BYTES.contains(&bytes) => None,
            Ok(bytes) => Some(format!("RSA with {} bits", bytes * 8)),
            Err(_) => Some("RSA, and broken".to_owned()),
        };
    }
    let algorithm = content(&key.algorithm).ok()?;
    let is_taken = provider()
        .signature_verification_algorithms
        .all
        .iter()
        .any(|taken| taken.public_key_alg_id().as_ref() == algorithm);
    // The kind of an EC key is that of its curve.
    let curve = || {
        let parameters = key.algorithm.parameters.as_ref()?;
        parameters.decode_as::<ObjectIdentifier>().ok()
    };
    (!is_taken).then(|| match kind == EC {
        true => curve().map_or_else(|| "ECDSA with a curve of its own".to_owned(), named),
        false => named(kind),
    })
}

/// How a certificate is signed, if this can never be accepted. The length of a signature tells that of the key.
pub fn untaken_signature(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let algorithm = certificate.signature_algorithm();
    let bytes = content(algorithm).ok()?;
    let is_taken = provider()
        .signature_verification_algorithms
        .all
        .iter()
        .any(|taken| taken.signature_alg_id().as_ref() == bytes);
    let (kind, signature) = (
        algorithm.oid.to_string(),
        certificate.signature().raw_bytes(),
    );
    if !is_taken && algorithm.oid == RSA_PSS {
        return Some("RSA-PSS and a hash or a salt of another length".to_owned());
    }
    if !is_taken {
        return Some(named(algorithm.oid));
    }
    if kind.starts_with(RSA_SIGNATURES) && !RSA_BYTES.contains(&signature.len()) {
        return Some(format!("an RSA key of {} bits", signature.len() * 8));
    }
    let is_long = |length: usize| length > ECDSA_NUMBER_BYTES_MAX;
    match kind.starts_with(ECDSA_SIGNATURES) && number_bytes(signature).is_ok_and(is_long) {
        true => Some("an ECDSA key that is longer than P-384".to_owned()),
        false => None,
    }
}

/// The first of these CAs to which a chain leads, by its signatures and not by names. The first certificate of a chain is
/// the one that is asked about, and the others are those between it and the CA, in any order.
pub fn signer_of(chain: &[CertificateDer<'_>], cas: &[CertificateDer<'_>]) -> Option<usize> {
    let (mut current, between) = chain.split_first()?;
    for _ in 0..CHAIN_MAX {
        if let Some(place) = cas.iter().position(|ca| is_signed_by(current, ca)) {
            return Some(place);
        }
        current = between.iter().find(|other| is_signed_by(current, other))?;
    }
    None
}

/// Whether the key of another certificate has signed this one.
fn is_signed_by(certificate: &CertificateDer<'_>, other: &CertificateDer<'_>) -> bool {
    verify(certificate, other).unwrap_or(false)
}

fn verify(certificate: &CertificateDer<'_>, other: &CertificateDer<'_>) -> der::Result<bool> {
    let signed = Certificate::from_der(certificate)?;
    let other = Certificate::from_der(other)?;
    let key = other.tbs_certificate().subject_public_key_info();
    let (with, of) = (
        content(signed.signature_algorithm())?,
        content(&key.algorithm)?,
    );
    // What was signed are the bytes as they stand in the certificate.
    let whole = AnyRef::from_der(certificate)?;
    let mut inside = SliceReader::new(whole.value())?;
    let message = inside.tlv_bytes()?;
    Ok(provider()
        .signature_verification_algorithms
        .all
        .iter()
        .filter(|taken| {
            taken.signature_alg_id().as_ref() == with && taken.public_key_alg_id().as_ref() == of
        })
        .any(|taken| {
            let public = key.subject_public_key.raw_bytes();
            let signature = signed.signature().raw_bytes();
            taken.verify_signature(public, message, signature).is_ok()
        }))
}

/// An identifier as rustls has it: without the head of its sequence.
fn content(algorithm: &AlgorithmIdentifierOwned) -> der::Result<Vec<u8>> {
    let der = algorithm.to_der()?;
    Ok(AnyRef::from_der(&der)?.value().to_vec())
}

fn modulus_bytes(key: &SubjectPublicKeyInfoOwned) -> der::Result<usize> {
    let numbers = AnyRef::from_der(key.subject_public_key.raw_bytes())?;
    let mut inside = SliceReader::new(numbers.value())?;
    Ok(UintRef::decode(&mut inside)?.as_bytes().len())
}

/// The length of the longer number of an ECDSA signature.
fn number_bytes(signature: &[u8]) -> der::Result<usize> {
    let numbers = AnyRef::from_der(signature)?;
    let mut inside = SliceReader::new(numbers.value())?;
    let mut length = || UintRef::decode(&mut inside).map(|number| number.as_bytes().len());
    Ok(length()?.max(length()?))
}

fn named(kind: ObjectIdentifier) -> String {
    let number = kind.to_string();
    match NAMES.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("number {number}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
        process::{Command, Stdio},
    };

    use super::*;
    use crate::{
        Credentials, Roots, read_certificates,
        tests::{Ca, der, directory, leaf},
    };

    /// A folder where openssl makes CAs and certificates, because rcgen makes few kinds.
    struct Files(tempfile::TempDir);

    impl Files {
        fn at(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn openssl(&self, arguments: &str) {
            let made = Command::new("openssl")
                .args(arguments.split_whitespace())
                .current_dir(self.0.path())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            assert!(made.status.success(), "{arguments}: {made:?}");
        }

        /// Makes `ca.pem` with such a key, and `one.pem`, which it has signed with such a hash.
        fn make(&self, key: &str, hash: &str) {
            self.openssl(&format!(
                "req -x509 -newkey {key} -nodes -days 3650 -subj /CN=ca -keyout ca.key -out ca.pem"
            ));
            self.openssl(
                "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=one -keyout one.key -out one.csr",
            );
            self.openssl(&format!(
                "x509 -req -in one.csr -CA ca.pem -CAkey ca.key -CAcreateserial {hash} -days 3650 -extfile v3.cnf \
                 -out one.pem"
            ));
        }

        /// What is said of the CA, and of the certificate.
        fn said(&self) -> [Result<(), String>; 2] {
            let text = |error: crate::TlsError| error.fault.to_string();
            [
                Roots::read(&self.at("ca.pem")).map(|_| ()).map_err(text),
                Credentials::read(&self.at("one.pem"), &self.at("one.key"))
                    .map(|_| ())
                    .map_err(text),
            ]
        }
    }

    #[test]
    fn a_ca_whose_signatures_are_never_accepted_is_refused_when_it_is_read() {
        let files = Files(directory());
        fs::write(files.at("v3.cnf"), "subjectAltName=DNS:one\n").unwrap();
        let curve = |name: &str| format!("ec -pkeyopt ec_paramgen_curve:{name}");
        for (key, hash, kind, signed) in [
            (
                &*curve("P-521"),
                "-sha256",
                "ECDSA P-521",
                "an ECDSA key that is longer than P-384",
            ),
            (
                &curve("P-521"),
                "-sha512",
                "ECDSA P-521",
                "ECDSA and SHA-512",
            ),
            ("ed448", "", "Ed448", "Ed448"),
            (
                "rsa:1024",
                "-sha256",
                "RSA with 1024 bits",
                "an RSA key of 1024 bits",
            ),
        ] {
            files.make(key, hash);
            let [ca, one] = files.said().map(Result::unwrap_err);
            let says = format!("the CA in line 1 (ca) has a key of the kind {kind}, so nothing");
            assert!(ca.starts_with(&says), "{ca}");
            let says = format!(
                "the certificate in line 1 (one) is signed with {signed}, which is not accepted"
            );
            assert!(one.starts_with(&says), "{one}");
        }
        // The key of the CA is taken, and the hash is not.
        files.make("rsa:2048", "-sha1");
        let [ca, one] = files.said();
        assert_eq!(ca, Ok(()));
        assert!(one.unwrap_err().contains("is signed with RSA and SHA-1"));
        for (key, hash) in [
            (&*curve("P-256"), "-sha256"),
            (&curve("P-384"), "-sha384"),
            ("ed25519", ""),
            ("rsa:2048", "-sha512"),
            (
                "rsa:2048",
                "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32",
            ),
        ] {
            files.make(key, hash);
            assert_eq!(files.said(), [Ok(()), Ok(())], "{key} {hash}");
            assert_eq!(
                signer(&files.at("one.pem"), &files.at("ca.pem")),
                Some(0),
                "{key}"
            );
        }
    }

    fn signer(chain: &Path, cas: &Path) -> Option<usize> {
        let roots = Roots::read(cas).unwrap();
        roots.signer_of(&read_certificates(chain).unwrap())
    }

    #[test]
    fn the_signature_tells_who_signed_and_the_name_does_not() {
        let (new, old) = (Ca::new("ca"), Ca::new("ca"));
        let cas = [der(&new.pem()), der(&old.pem())];
        let one = der(&leaf(&old, "one").0);
        assert_eq!(signer_of(std::slice::from_ref(&one), &cas), Some(1));
        assert_eq!(signer_of(&[one], &cas[..1]), None);
        // Over two CAs in between, whatever their order.
        let upper = old.between("upper", |_| {});
        let lower = upper.between("lower", |_| {});
        let two = der(&leaf(&lower, "two").0);
        let chain = [two, der(&upper.pem()), der(&lower.pem())];
        assert_eq!(signer_of(&chain, &cas), Some(1));
        assert_eq!(signer_of(&chain[..2], &cas), None);
        // One that has signed itself leads nowhere.
        let stranger = Ca::new("ca");
        let three = der(&leaf(&stranger, "three").0);
        assert_eq!(signer_of(&[three, der(&stranger.pem())], &cas), None);
        assert_eq!(signer_of(&[], &cas), None);
    }
}
