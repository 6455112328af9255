//! What can be wrong with a file of certificates or keys: [`TlsError`].

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use ipseity_core::text::Plain;

use crate::limits::FILE_BYTES_MAX;

/// What is wrong with a file of certificates or keys, and what to do. `Display` names the file.
#[derive(Debug)]
pub struct TlsError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

impl TlsError {
    pub(crate) fn new(file: &Path, fault: Fault) -> TlsError {
        let file = file.to_owned();
        TlsError { file, fault }
    }
}

/// What is wrong with a file.
#[derive(Debug)]
pub enum Fault {
    /// It cannot be read.
    Io(io::Error),
    /// It is longer than [`FILE_BYTES_MAX`](crate::limits::FILE_BYTES_MAX).
    TooLong,
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
            Fault::TooLong => write!(
                f,
                "is longer than {FILE_BYTES_MAX} bytes, so it is no file of certificates or keys"
            ),
            Fault::Pem { line, reason } => write!(
                f,
                "is not in PEM form from line {line} on ({}): copy the whole file again",
                Plain(reason)
            ),
            Fault::NoCertificate => f.write_str(
                "has no certificate: it must be in PEM form, with a line -----BEGIN CERTIFICATE-----",
            ),
            Fault::BadCertificate { line, reason } => write!(
                f,
                "the certificate in line {line} cannot be understood: {}",
                Plain(reason)
            ),
            Fault::NotACa { line, name } => write!(
                f,
                "the certificate in line {line} ({name}) is not that of a CA: name the file of the CA that \
                 signed it"
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
                "its private key cannot be used ({}): it must be of the kind ECDSA P-256 or P-384, Ed25519, or \
                 RSA with 2048 bits or more",
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
