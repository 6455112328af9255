//! What can be wrong with a file of certificates or keys: [`TlsError`].

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use ipseity_core::text::Plain;

use crate::{limits::FILE_BYTES_MAX, provider::TAKEN_KEYS};

/// What is wrong with a file of certificates or keys, and what to do. `Display` names the file.
#[derive(Debug)]
pub struct TlsError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
    /// Whether a private key was looked for in it, and not certificates. Both may be in one file.
    pub of_key: bool,
}

impl TlsError {
    /// An error of a file of certificates.
    pub(crate) fn new(file: &Path, fault: Fault) -> TlsError {
        let (file, of_key) = (file.to_owned(), false);
        TlsError {
            file,
            fault,
            of_key,
        }
    }

    /// The same for the file of a key.
    pub(crate) fn about_key(self) -> TlsError {
        TlsError {
            of_key: true,
            ..self
        }
    }
}

/// What is wrong with a file.
#[derive(Debug)]
pub enum Fault {
    /// It cannot be read.
    Io(io::Error),
    /// It is not a regular file, but this. Reading it might never end.
    NotAFile(&'static str),
    /// It is longer than [`FILE_BYTES_MAX`](crate::limits::FILE_BYTES_MAX).
    TooLong,
    /// It is a text in UTF-16.
    Utf16,
    /// It is not in PEM form at this line, counted from 1, or after it.
    Pem {
        /// The line where the broken part begins.
        line: usize,
        /// What the reader said.
        reason: String,
    },
    /// It contains no certificate.
    NoCertificate,
    /// A certificate in it cannot be understood.
    BadCertificate {
        /// The line where it begins.
        line: usize,
        /// What the reader said.
        reason: String,
    },
    /// A certificate in a file of CAs is not that of a CA.
    NotACa {
        /// The line where it begins.
        line: usize,
        /// The name in the certificate.
        name: String,
    },
    /// No signature of a CA in it can be accepted.
    UntakenKey {
        /// The line where the certificate begins.
        line: usize,
        /// The name in the certificate.
        name: String,
        /// What its key is.
        key: String,
    },
    /// A certificate in it is signed in a way that is not accepted.
    UntakenSignature {
        /// The line where the certificate begins.
        line: usize,
        /// The name in the certificate.
        name: String,
        /// How it is signed.
        signature: String,
    },
    /// The first certificate in it is that of a CA, where a certificate of a server or a client is wanted.
    IsACa {
        /// The name in the certificate.
        name: String,
    },
    /// It contains no private key, but certificates.
    CertificatesOnly,
    /// It contains no private key.
    NoKey,
    /// Its private key is encrypted.
    EncryptedKey,
    /// Its private key is of a kind that is not taken, or it is broken.
    BadKey(String),
    /// The private key belongs to another certificate.
    WrongKey {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The name in the certificate.
        name: String,
    },
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.to_string_lossy();
        write!(f, "{}: {}", Plain(&file), self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Io(error) => write!(f, "cannot be read: {error}"),
            Fault::NotAFile(what) => write!(
                f,
                "is {what}, and only regular files are read: write the certificates or the key to a file, and name that"
            ),
            Fault::TooLong => write!(
                f,
                "is longer than {FILE_BYTES_MAX} bytes, so it is no file of certificates or keys"
            ),
            Fault::Pem { line, reason } => write!(
                f,
                "is not in PEM form from line {line} on ({}): copy the whole file again",
                Plain(reason)
            ),
            Fault::Utf16 => f.write_str("is a text in UTF-16: write it again in UTF-8"),
            Fault::NoCertificate => f.write_str(
                "has no certificate: it must be in PEM form, with a line -----BEGIN CERTIFICATE-----",
            ),
            Fault::BadCertificate { line, reason } => write!(
                f,
                "the certificate in line {line} cannot be used: {}",
                Plain(reason)
            ),
            Fault::NotACa { line, name } => write!(
                f,
                "the certificate in line {line} ({name}) is not that of a CA: name the file of the CA that \
                 signed it"
            ),
            Fault::UntakenKey { line, name, key } => write!(
                f,
                "the CA in line {line} ({name}) has a key of the kind {key}, so nothing that it signs is accepted: a \
                 CA's key must be {TAKEN_KEYS}"
            ),
            Fault::UntakenSignature {
                line,
                name,
                signature,
            } => write!(
                f,
                "the certificate in line {line} ({name}) is signed with {signature}, which is not accepted: the key of \
                 its CA must be {TAKEN_KEYS}, and the hash SHA-256 or SHA-384 (with RSA also SHA-512)"
            ),
            Fault::IsACa { name } => write!(
                f,
                "is the certificate of a CA ({name}), which nobody accepts from a server or a client: sign a \
                 certificate with it, and name that one"
            ),
            Fault::CertificatesOnly => f.write_str(
                "has certificates and no private key: is it the file of the certificate?",
            ),
            Fault::NoKey => f.write_str(
                "has no private key: it must be in PEM form, with a line -----BEGIN PRIVATE KEY-----, or EC or \
                 RSA before PRIVATE",
            ),
            Fault::EncryptedKey => f.write_str(
                "its private key is encrypted, and nobody is asked for a passphrase here: decrypt it with \
                 `openssl pkey -in FILE -out NEW`",
            ),
            Fault::BadKey(reason) => write!(
                f,
                "its private key cannot be used ({}): it must be {TAKEN_KEYS}",
                Plain(reason)
            ),
            Fault::WrongKey { certificate, name } => {
                let certificate = certificate.to_string_lossy();
                write!(
                    f,
                    "is not the private key of the certificate in {} ({name}): the two files must have been made \
                     together",
                    Plain(&certificate)
                )
            }
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Io(error) => Some(error),
            _ => None,
        }
    }
}
