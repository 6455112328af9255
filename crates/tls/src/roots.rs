//! The CAs that are trusted: [`Roots`].

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::{
    error::{Fault, TlsError},
    facts::Facts,
    pem,
    signing::{self, signing_key},
    words::unusable,
};

/// The CAs of one file, in its order. A new CA stands before the old one while certificates of both are in use.
#[derive(Clone, Debug)]
pub struct Roots {
    file: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
    facts: Vec<Facts>,
    store: Arc<RootCertStore>,
}

impl Roots {
    /// Reads a PEM file with the certificates of one or more CAs.
    ///
    /// # Errors
    /// The file cannot be read, has no certificate, or has one that cannot be understood, is not that of a CA, or has a
    /// key whose signatures are not accepted. Whether a CA has expired is not an error here.
    pub fn read(path: &Path) -> Result<Roots, TlsError> {
        Roots::parse(path, &pem::read(path)?.bytes).map_err(|fault| TlsError::new(path, fault))
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Roots, Fault> {
        let mut certificates = Vec::new();
        let mut all_facts = Vec::new();
        let mut store = RootCertStore::empty();
        for (line, certificate) in pem::certificates(bytes)? {
            let bad = |reason| Fault::BadCertificate { line, reason };
            let facts = Facts::of(&certificate).map_err(bad)?;
            if !facts.is_ca {
                let name = facts.name();
                return Err(Fault::NotACa { line, name });
            }
            // Otherwise whoever has a certificate of it would be refused, and the reason would seem to be another one.
            if let Some(key) = signing::untaken_key(&certificate) {
                let name = facts.name();
                return Err(Fault::UntakenKey { line, name, key });
            }
            store
                .add(certificate.clone())
                .map_err(|error| bad(unusable(&error)))?;
            certificates.push(certificate);
            all_facts.push(facts);
        }
        Ok(Roots {
            file: path.to_owned(),
            certificates,
            facts: all_facts,
            store: Arc::new(store),
        })
    }

    /// The file that they were read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The certificates, in the order of the file. There is at least one.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// What each certificate says, in the order of the file.
    pub fn facts(&self) -> &[Facts] {
        &self.facts
    }

    /// The same for a verifier.
    pub fn store(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.store)
    }

    /// The first CA with this public key, as its place in the file. The key is a SubjectPublicKeyInfo in DER.
    pub fn position_of(&self, public_key: &[u8]) -> Option<usize> {
        // An anchor has it without the head of its outer sequence.
        self.store
            .roots
            .iter()
            .position(|root| public_key.ends_with(&root.subject_public_key_info))
    }

    /// The first CA that this private key belongs to, as its place in the file.
    ///
    /// # Errors
    /// The key cannot be used; the text says why.
    pub fn position_of_key(&self, key: &PrivateKeyDer<'static>) -> Result<Option<usize>, Fault> {
        let key = signing_key(key.clone_key())?;
        // Every kind of key that is taken has a public part.
        let public = key.public_key();
        Ok(public.and_then(|public| self.position_of(&public)))
    }

    /// The first CA that has signed the first of these certificates, as its place in the file. The others may stand
    /// between the two. What counts are the signatures: two CAs may have the same name.
    pub fn signer_of(&self, chain: &[CertificateDer<'_>]) -> Option<usize> {
        signing::signer_of(chain, &self.certificates)
    }

    /// Whether both have a CA in common: the same name with the same key. A CA can have several certificates, when its
    /// life was prolonged.
    pub fn shares_any(&self, other: &Roots) -> bool {
        self.store.roots.iter().any(|one| {
            other.store.roots.iter().any(|another| {
                one.subject == another.subject
                    && one.subject_public_key_info == another.subject_public_key_info
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Ca, directory, leaf};

    #[test]
    fn all_cas_of_a_file_are_read_in_their_order() {
        let folder = directory();
        let (new, old, other) = (Ca::new("new"), Ca::new("old"), Ca::new("other"));
        let both = folder.path().join("both.pem");
        // Texts between the certificates are allowed: openssl writes them.
        std::fs::write(&both, format!("Subject: new\n{}\n{}", new.pem(), old.pem())).unwrap();
        let roots = Roots::read(&both).unwrap();
        assert_eq!(roots.file(), both);
        let names: Vec<String> = roots.facts().iter().map(Facts::name).collect();
        assert_eq!(names, ["new", "old"]);
        assert_eq!((roots.certificates().len(), roots.store().len()), (2, 2));
        let only = |ca: &Ca, name: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, ca.pem()).unwrap();
            Roots::read(&file).unwrap()
        };
        assert!(roots.shares_any(&only(&old, "old.pem")));
        assert!(only(&new, "new.pem").shares_any(&roots));
        assert!(!roots.shares_any(&only(&other, "other.pem")));
        // The name alone is not the CA.
        assert!(!roots.shares_any(&only(&Ca::new("old"), "namesake.pem")));
    }

    #[test]
    fn a_file_that_is_no_file_of_cas_is_refused_with_its_name_and_the_line() {
        let folder = directory();
        let ca = Ca::new("ca");
        let (leaf, key) = leaf(&ca, "one.example");
        let cut = ca.pem().replacen("-----END CERTIFICATE-----", "", 1);
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (text, says) in [
            (String::new(), "has no certificate"),
            ("nonsense".to_owned(), "has no certificate"),
            (key, "has no certificate"),
            (
                format!("{}{leaf}", ca.pem()),
                "the certificate in line 13 (one.example) is not that of a CA",
            ),
            (format!("\n\n{cut}"), "is not in PEM form from line 3 on"),
            (
                format!("{}{garbage}", ca.pem()),
                "the certificate in line 13 cannot be used: it is damaged, or no certificate of X.509 (",
            ),
            (
                "x".repeat(crate::limits::FILE_BYTES_MAX as usize + 1),
                "is longer than 1048576 bytes",
            ),
        ] {
            // The lines of a certificate differ a little with the lengths of its numbers.
            let says = says.replace("13", &(ca.pem().lines().count() + 1).to_string());
            let file = folder.path().join("ca.pem");
            std::fs::write(&file, &text).unwrap();
            let error = Roots::read(&file).unwrap_err().to_string();
            assert!(error.starts_with(file.to_str().unwrap()), "{error}");
            assert!(error.contains(&says), "{says}: {error}");
        }
        let error = Roots::read(&folder.path().join("none.pem")).unwrap_err();
        assert!(matches!(error.fault, Fault::Io(_)), "{error}");
        let error = Roots::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("is a directory"), "{error}");
    }
}
