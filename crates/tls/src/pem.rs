//! Reading PEM files. What is in them is returned as bytes; what the bytes mean is decided elsewhere.

use std::{fs::File, io::Read, path::Path};

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error, PemObject},
};

use crate::{
    error::{Fault, TlsError},
    limits::FILE_BYTES_MAX,
};

const BEGIN_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// Reads all certificates of a file, in its order. There is at least one.
///
/// # Errors
/// The file cannot be read, or has no certificate in PEM form.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = certificates(&read(path)?).map_err(|fault| TlsError::new(path, fault))?;
    Ok(certificates.into_iter().map(|(_, der)| der).collect())
}

/// Reads the first private key of a file.
///
/// # Errors
/// The file cannot be read, or has no private key in PEM form, or an encrypted one.
pub fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    key(&read(path)?).map_err(|fault| TlsError::new(path, fault))
}

/// Reads a file that is not longer than [`FILE_BYTES_MAX`].
pub fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |error| TlsError::new(path, Fault::Io(error));
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    match bytes.len() as u64 {
        0..=FILE_BYTES_MAX => Ok(bytes),
        _ => Err(TlsError::new(path, Fault::TooLong)),
    }
}

/// The certificates in a file, each with the line where it begins. There is at least one.
pub fn certificates(bytes: &[u8]) -> Result<Vec<(usize, CertificateDer<'static>)>, Fault> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| line.starts_with(BEGIN_CERTIFICATE))
        .map(|(_, number)| number);
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(bytes) {
        let line = lines.next().unwrap_or(1);
        match certificate {
            Ok(certificate) => certificates.push((line, certificate)),
            Err(error) => {
                let reason = error.to_string();
                return Err(Fault::Pem { line, reason });
            }
        }
    }
    match certificates.is_empty() {
        true => Err(Fault::NoCertificate),
        false => Ok(certificates),
    }
}

/// The first private key in a file: PKCS#8, SEC1 or PKCS#1.
pub fn key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| {
        let text = String::from_utf8_lossy(bytes);
        match error {
            // The old form of OpenSSL has a line `Proc-Type: 4,ENCRYPTED` inside.
            _ if text.contains("ENCRYPTED") => Fault::EncryptedKey,
            Error::NoItemsFound if text.contains(BEGIN_CERTIFICATE) => Fault::CertificatesOnly,
            Error::NoItemsFound => Fault::NoKey,
            other => Fault::Pem {
                line: text
                    .lines()
                    .position(|line| line.contains("PRIVATE KEY-----"))
                    .unwrap_or(0)
                    + 1,
                reason: other.to_string(),
            },
        }
    })
}
