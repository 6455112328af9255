//! Reading PEM files. What is in them is returned as bytes; what the bytes mean is decided elsewhere.

use std::{
    fs::{FileType, Metadata, OpenOptions, metadata},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error, PemObject},
};

use crate::{
    error::{Fault, TlsError},
    limits::FILE_BYTES_MAX,
};

const BEGIN_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// Some editors put it before a text in UTF-8. It means nothing.
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// With these bytes a text in UTF-16 begins.
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// A file that was read.
pub struct Content {
    pub bytes: Vec<u8>,
    /// Who may read and write it: the lowest nine bits of its mode.
    pub mode: u32,
}

/// Reads all certificates of a file, in its order. There is at least one.
///
/// # Errors
/// The file cannot be read, or has no certificate in PEM form.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates =
        certificates(&read(path)?.bytes).map_err(|fault| TlsError::new(path, fault))?;
    Ok(certificates.into_iter().map(|(_, der)| der).collect())
}

/// Reads the first private key of a file.
///
/// # Errors
/// The file cannot be read, or has no private key in PEM form, or an encrypted one.
pub fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    read(path)
        .and_then(|content| key(&content.bytes).map_err(|fault| TlsError::new(path, fault)))
        .map_err(TlsError::about_key)
}

/// Reads the text of a regular file that is not longer than [`FILE_BYTES_MAX`]. What is not UTF-8 in it is replaced: no
/// part in PEM form has such bytes.
///
/// # Errors
/// The file cannot be read.
pub fn read_text(path: &Path) -> Result<String, TlsError> {
    let content = read(path)?;
    Ok(String::from_utf8_lossy(&content.bytes).into_owned())
}

/// Reads a regular file that is not longer than [`FILE_BYTES_MAX`], without a byte order mark.
pub fn read(path: &Path) -> Result<Content, TlsError> {
    read_content(path).map_err(|fault| TlsError::new(path, fault))
}

fn read_content(path: &Path) -> Result<Content, Fault> {
    // Without NONBLOCK, to open a pipe would wait for somebody who writes into it. A terminal must not become that of this
    // process. The names of a file that lead to it may be symbolic links, as they are in Kubernetes.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) => return Err(unopened(path, error)),
    };
    let about = file.metadata().map_err(Fault::Io)?;
    if let Some(what) = odd(about.file_type()) {
        return Err(Fault::NotAFile(what));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(Fault::Io)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Fault::TooLong);
    }
    if UTF16_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        return Err(Fault::Utf16);
    }
    if bytes.starts_with(UTF8_MARK) {
        bytes.drain(..UTF8_MARK.len());
    }
    let mode = about.permissions().mode() & 0o777;
    Ok(Content { bytes, mode })
}

/// Why a file could not be opened. A socket, for one, cannot be opened at all, and what the system says about that helps
/// nobody.
fn unopened(path: &Path, error: io::Error) -> Fault {
    let kind = metadata(path).as_ref().map(Metadata::file_type).ok();
    match kind.and_then(odd) {
        Some(what) => Fault::NotAFile(what),
        None => Fault::Io(error),
    }
}

/// What is there instead of a regular file.
fn odd(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
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
                let reason = reason(&error);
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
                reason: reason(&other),
            },
        }
    })
}

/// What is wrong with a part in PEM form, for people.
fn reason(error: &Error) -> String {
    match error {
        Error::MissingSectionEnd { end_marker } => format!(
            "there is no line -----END {}-----",
            String::from_utf8_lossy(end_marker)
        ),
        Error::IllegalSectionStart { line } => format!(
            "the line {:?} does not end with -----",
            String::from_utf8_lossy(line).trim_end()
        ),
        // The number of the character is all that the reader tells, in the form of Rust.
        Error::Base64Decode(text) => {
            let number = text
                .strip_prefix("InvalidCharacter(")
                .and_then(|rest| rest.strip_suffix(')'))
                .and_then(|number| number.parse::<u8>().ok());
            match number {
                Some(byte) if byte.is_ascii_graphic() => format!(
                    "between its BEGIN and its END stands {:?}, which is no character of base64",
                    char::from(byte)
                ),
                _ => "what stands between its BEGIN and its END is not base64".to_owned(),
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{fs::symlink, net::UnixListener},
        path::PathBuf,
    };

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::{
        Credentials, Roots,
        tests::{Ca, directory, leaf},
    };

    /// What each reader says about the file.
    fn said(path: &Path) -> Vec<String> {
        vec![
            read_certificates(path).unwrap_err().to_string(),
            read_key(path).unwrap_err().to_string(),
            read_text(path).unwrap_err().to_string(),
            Roots::read(path).unwrap_err().to_string(),
            Credentials::read(path, path).unwrap_err().to_string(),
        ]
    }

    #[test]
    fn what_is_not_a_regular_file_is_refused_at_once() {
        let folder = directory();
        let at = |name: &str| folder.path().join(name);
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        symlink("pipe", at("link")).unwrap();
        let _bound = UnixListener::bind(at("socket")).unwrap();
        for (path, what) in [
            (at("pipe"), "a pipe"),
            (at("link"), "a pipe"),
            (at("socket"), "a socket"),
            (folder.path().to_owned(), "a directory"),
            (PathBuf::from("/dev/zero"), "a device"),
        ] {
            for text in said(&path) {
                let says = format!("is {what}, and only regular files are read");
                assert!(text.contains(&says), "{text}");
                assert!(text.starts_with(path.to_str().unwrap()), "{text}");
            }
        }
    }

    #[test]
    fn a_file_behind_links_is_read() {
        let folder = directory();
        let at = |name: &str| folder.path().join(name);
        // As Kubernetes lays out what it mounts.
        fs::create_dir(at("..data1")).unwrap();
        fs::write(at("..data1/ca.pem"), Ca::new("ca").pem()).unwrap();
        symlink("..data1", at("..data")).unwrap();
        symlink("..data/ca.pem", at("ca.pem")).unwrap();
        assert_eq!(read_certificates(&at("ca.pem")).unwrap().len(), 1);
    }

    #[test]
    fn a_byte_order_mark_does_not_hide_what_stands_behind_it() {
        let folder = directory();
        let ca = Ca::new("ca");
        let (certificate, key) = leaf(&ca, "one.example");
        let files = ["one.pem", "one.key"].map(|name| folder.path().join(name));
        fs::write(&files[0], format!("\u{feff}{certificate}")).unwrap();
        fs::write(&files[1], format!("\u{feff}{key}")).unwrap();
        Credentials::read(&files[0], &files[1]).unwrap();
        for marked in [
            [b"\xff\xfe".to_vec(), wide(&certificate, u16::to_le_bytes)],
            [b"\xfe\xff".to_vec(), wide(&certificate, u16::to_be_bytes)],
        ] {
            fs::write(&files[0], marked.concat()).unwrap();
            let error = read_certificates(&files[0]).unwrap_err().to_string();
            assert!(error.ends_with("is a text in UTF-16: write it again in UTF-8"));
        }
    }

    fn wide(text: &str, bytes: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn what_is_not_pem_is_said_in_words() {
        let good = Ca::new("ca").pem();
        for (text, says) in [
            (
                good.replace("-----END CERTIFICATE-----", ""),
                "from line 1 on (there is no line -----END CERTIFICATE-----): copy",
            ),
            (
                good.replacen("\nMII", "\nM!I", 1),
                "(between its BEGIN and its END stands '!', which is no character of base64)",
            ),
            (
                good.replacen("\nMII", "\nM\u{7}I", 1),
                "(what stands between its BEGIN and its END is not base64)",
            ),
            (
                good.replacen("CERTIFICATE-----", "CERTIFICATE--", 1),
                "(the line \"-----BEGIN CERTIFICATE--\" does not end with -----)",
            ),
        ] {
            let said = certificates(text.as_bytes()).unwrap_err().to_string();
            assert!(said.contains(says), "{says}: {said}");
        }
    }
}
