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
    signing::{self, signing_key},
    words::unusable,
};

/// Who must not have these rights to a private key: everybody to read it, the group and everybody to write it. The group
/// may read it, because a server in Kubernetes reads its files as a member of their group.
const EXPOSING_MODE: u32 = 0o026;

/// A certificate chain and the private key of its first certificate, from two PEM files.
#[derive(Debug)]
pub struct Credentials {
    file: PathBuf,
    key: PrivateKeyDer<'static>,
    certified: Arc<CertifiedKey>,
    facts: Facts,
    /// What the certificates behind its own say.
    between: Vec<Facts>,
    key_file: PathBuf,
    key_mode: u32,
}

impl Credentials {
    /// Reads the certificate (and those between it and the CA, if there are any) from one file and the private key from the
    /// other.
    ///
    /// # Errors
    /// A file cannot be read or does not have what it should, the first certificate is that of a CA or is signed in a way
    /// that is not accepted, or the key belongs to another certificate. Whether the certificate has expired is not an error
    /// here.
    pub fn read(certificate: &Path, key: &Path) -> Result<Credentials, TlsError> {
        let in_certificate = |fault| TlsError::new(certificate, fault);
        let in_key = |fault| TlsError::new(key, fault).about_key();
        let content = pem::read(certificate)?;
        let mut chain = Vec::new();
        let mut all_facts = Vec::new();
        let mut lines = Vec::new();
        for (line, der) in pem::certificates(&content.bytes).map_err(in_certificate)? {
            let facts = Facts::of(&der)
                .map_err(|reason| in_certificate(Fault::BadCertificate { line, reason }))?;
            all_facts.push(facts);
            chain.push(der);
            lines.push(line);
        }
        let facts = all_facts.remove(0);
        let (line, name) = (lines[0], facts.name());
        if facts.is_ca {
            return Err(in_certificate(Fault::IsACa { name }));
        }
        if let Some(signature) = signing::untaken_signature(&chain[0]) {
            return Err(in_certificate(Fault::UntakenSignature {
                line,
                name,
                signature,
            }));
        }
        let content = pem::read(key).map_err(TlsError::about_key)?;
        let private = pem::key(&content.bytes).map_err(in_key)?;
        let signing = signing_key(private.clone_key()).map_err(in_key)?;
        let certified = CertifiedKey::new(chain, signing);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                let certificate = certificate.to_owned();
                return Err(in_key(Fault::WrongKey { certificate, name }));
            }
            // The key is good, so it is the certificate that cannot be used.
            Err(error) => {
                let reason = unusable(&error);
                return Err(in_certificate(Fault::BadCertificate { line, reason }));
            }
        }
        Ok(Credentials {
            file: certificate.to_owned(),
            key: private,
            certified: Arc::new(certified),
            facts,
            between: all_facts,
            key_file: key.to_owned(),
            key_mode: content.mode,
        })
    }

    /// The file that the certificate was read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The certificates, the one that the key is for first. There is at least one.
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

    /// What its own certificate says.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the certificates between its own and the CA say, in the order of the file.
    pub(crate) fn between(&self) -> &[Facts] {
        &self.between
    }

    /// The file that the key was read from, and its mode, if others can read or write it. Only their readers know whether
    /// this is a fault: on a machine of one user it is none.
    pub fn exposed_key(&self) -> Option<(&Path, u32)> {
        (self.key_mode & EXPOSING_MODE != 0).then_some((&*self.key_file, self.key_mode))
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
            between: self.between.clone(),
            key_file: self.key_file.clone(),
            key_mode: self.key_mode,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use rcgen::CustomExtension;

    use super::*;
    use crate::tests::{Ca, directory, leaf, parameters, signed};

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

    #[test]
    fn a_fault_of_the_certificate_is_not_blamed_on_the_key() {
        let folder = directory();
        let ca = Ca::new("ca");
        let mut odd = parameters("one.example");
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        odd.custom_extensions = vec![extension];
        let (certificate, key) = signed(&ca, odd);
        // Both in one file: only what was looked for tells which flag is wrong.
        let file = folder.path().join("both.pem");
        for (text, of_key, says) in [
            (
                format!("{certificate}{key}"),
                false,
                "the certificate in line 1 cannot be used: it has a critical extension that is not known here \
                 (UnsupportedCriticalExtension)",
            ),
            (key.clone(), false, "has no certificate"),
            (
                leaf(&ca, "two.example").0,
                true,
                "has certificates and no private key",
            ),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = Credentials::read(&file, &file).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert_eq!(error.of_key, of_key, "{error}");
        }
    }

    #[test]
    fn a_key_that_others_can_read_or_write_is_found() {
        let folder = directory();
        let (certificate, key) = leaf(&Ca::new("ca"), "one.example");
        let files = ["one.pem", "one.key"].map(|name| folder.path().join(name));
        std::fs::write(&files[0], certificate).unwrap();
        std::fs::write(&files[1], key).unwrap();
        for (mode, is_exposed) in [
            (0o600, false),
            (0o400, false),
            (0o440, false),
            (0o640, false),
            (0o644, true),
            (0o604, true),
            (0o660, true),
            (0o602, true),
        ] {
            std::fs::set_permissions(&files[1], Permissions::from_mode(mode)).unwrap();
            let credentials = Credentials::read(&files[0], &files[1]).unwrap();
            let expected = is_exposed.then_some((&*files[1], mode));
            assert_eq!(credentials.exposed_key(), expected, "{mode:o}");
            assert_eq!(credentials.clone().exposed_key(), expected);
        }
    }
}
