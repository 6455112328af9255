//! What one side shows of itself: [`Credentials`].

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    Error, InconsistentKeys,
    client::ResolvesClientCert,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::{
    error::{Fault, TlsError},
    facts::Facts,
    pem,
    provider::provider,
};

/// A certificate chain and the private key of its first certificate, from two PEM files.
#[derive(Debug)]
pub struct Credentials {
    file: PathBuf,
    key: PrivateKeyDer<'static>,
    certified: Arc<CertifiedKey>,
    facts: Facts,
}

impl Credentials {
    /// Reads the certificate (and those between it and the CA, if there are any) from one file and the private key from the
    /// other.
    ///
    /// # Errors
    /// A file cannot be read or does not have what it should, the first certificate is that of a CA, or the key belongs to
    /// another certificate. Whether the certificate has expired is not an error here.
    pub fn read(certificate: &Path, key: &Path) -> Result<Credentials, TlsError> {
        let in_certificate = |fault| TlsError::new(certificate, fault);
        let in_key = |fault| TlsError::new(key, fault);
        let mut chain = Vec::new();
        let mut first = None;
        for (line, der) in pem::certificates(&pem::read(certificate)?).map_err(in_certificate)? {
            let facts = Facts::of(&der)
                .map_err(|reason| in_certificate(Fault::BadCertificate { line, reason }))?;
            first.get_or_insert(facts);
            chain.push(der);
        }
        let facts = first.expect("there is at least one certificate");
        if facts.is_ca {
            let name = facts.name();
            return Err(in_certificate(Fault::IsACa { name }));
        }
        let private = pem::key(&pem::read(key)?).map_err(in_key)?;
        let certified = CertifiedKey::from_der(chain, private.clone_key(), &provider());
        let certified = certified.map_err(|error| {
            in_key(match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Fault::WrongKey {
                    certificate: certificate.to_owned(),
                    name: facts.name(),
                },
                other => Fault::BadKey(other.to_string()),
            })
        })?;
        Ok(Credentials {
            file: certificate.to_owned(),
            key: private,
            certified: Arc::new(certified),
            facts,
        })
    }

    /// The file that the certificate was read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The certificates, the own one first. There is at least one.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// The private key.
    pub fn key(&self) -> &PrivateKeyDer<'static> {
        &self.key
    }

    /// Chain and key as rustls takes them, parsed once.
    pub fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    /// What the own certificate says.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Shows this certificate to every server that asks for one.
    pub(crate) fn for_client(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(SingleCertAndKey::from(self.certified()))
    }
}

impl Clone for Credentials {
    fn clone(&self) -> Credentials {
        Credentials {
            file: self.file.clone(),
            key: self.key.clone_key(),
            certified: self.certified(),
            facts: self.facts.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Ca, directory, leaf};

    #[test]
    fn a_certificate_and_its_key_are_read() {
        let folder = directory();
        let ca = Ca::new("ca");
        let (certificate, key) = leaf(&ca, "one.example");
        let files = ["one.pem", "one.key"].map(|name| folder.path().join(name));
        std::fs::write(&files[0], format!("{certificate}{}", ca.pem())).unwrap();
        std::fs::write(&files[1], &key).unwrap();
        let credentials = Credentials::read(&files[0], &files[1]).unwrap();
        assert_eq!(credentials.chain().len(), 2);
        assert_eq!(credentials.facts().name(), "one.example");
        assert_eq!(credentials.file(), files[0]);
        assert!(matches!(credentials.key(), PrivateKeyDer::Pkcs8(_)));
        // Both may be in one file.
        std::fs::write(&files[0], format!("{key}{certificate}")).unwrap();
        let credentials = Credentials::read(&files[0], &files[0]).unwrap();
        assert_eq!(credentials.clone().chain().len(), 1);
    }

    #[test]
    fn what_does_not_belong_together_is_refused_with_the_file_and_what_to_do() {
        let folder = directory();
        let ca = Ca::new("ca");
        let (one, one_key) = leaf(&ca, "one.example");
        let (_, two_key) = leaf(&ca, "two.example");
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let cut = one_key.replace("-----END PRIVATE KEY-----", "");
        for (certificate, key, file, says) in [
            (
                &*one,
                &*two_key,
                "key",
                "is not the private key of the certificate in",
            ),
            (&one, "", "key", "has no private key"),
            (&one, &one, "key", "has certificates and no private key"),
            (&one, encrypted, "key", "is encrypted"),
            (&one, broken, "key", "its private key cannot be used"),
            (&one, &cut, "key", "is not in PEM form from line 1 on"),
            ("", &one_key, "pem", "has no certificate"),
            (&one_key, &one_key, "pem", "has no certificate"),
            (
                &ca.pem(),
                &ca.key(),
                "pem",
                "is the certificate of a CA (ca)",
            ),
        ] {
            let files = ["one.pem", "one.key"].map(|name| folder.path().join(name));
            std::fs::write(&files[0], certificate).unwrap();
            std::fs::write(&files[1], key).unwrap();
            let error = Credentials::read(&files[0], &files[1]).unwrap_err();
            let named = folder.path().join(format!("one.{file}"));
            let text = error.to_string();
            assert!(text.starts_with(named.to_str().unwrap()), "{says}: {text}");
            assert!(text.contains(says), "{says}: {text}");
        }
    }
}
