//! The files that say whom to believe and who asks: [`Secrets`].

use std::{
    fmt,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use ipseity_core::text::Plain;
use ipseity_tls::{Credentials, Dialer, Hints, Roots, TlsError, read_text};

/// The longest text of a user. A name and a password have room in it several times.
const USER_BYTES_MAX: usize = 4096;

/// The mode bits that let others than the owner and the group read a file, or others than the owner write it.
const EXPOSING_BITS: u32 = 0o026;

/// What to write for another connection to etcd.
const HINTS: Hints = Hints {
    certificate: "--etcd-cert, --etcd-key",
    plain: "write etcd:// in --store",
};

/// The files that say whom to believe and who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// `--etcd-ca`: the CAs that sign the certificates of etcd.
    pub ca: Option<PathBuf>,
    /// `--etcd-cert`: the certificate that is shown to etcd.
    pub certificate: Option<PathBuf>,
    /// `--etcd-key`: its private key.
    pub key: Option<PathBuf>,
    /// `--etcd-user`: a file with one line, `USER:PASSWORD`.
    pub user: Option<PathBuf>,
}

/// What is wrong with [`Secrets`].
#[derive(Debug)]
pub enum SecretsError {
    /// `etcds://` without `--etcd-ca`.
    NoCa,
    /// This flag with `etcd://`, which uses no TLS.
    Unused(&'static str),
    /// One of `--etcd-cert` and `--etcd-key` without the other.
    Half,
    /// A file cannot be read, or has not the certificates or the key that it should have.
    File(TlsError),
    /// The file of a user does not have one line `USER:PASSWORD`.
    NoUser(PathBuf),
}

impl Secrets {
    /// Whether they fit together, and all files can be read.
    ///
    /// # Errors
    /// See [`SecretsError`].
    pub fn check(&self, uses_tls: bool) -> Result<(), SecretsError> {
        if uses_tls {
            self.dialer()?;
        } else {
            for (flag, file) in [
                ("--etcd-ca", &self.ca),
                ("--etcd-cert", &self.certificate),
                ("--etcd-key", &self.key),
            ] {
                if file.is_some() {
                    return Err(SecretsError::Unused(flag));
                }
            }
        }
        if let Some(file) = &self.user {
            User::read(file)?;
        }
        Ok(())
    }

    /// The files that others can read or write, each with its mode, of those that others must not know.
    pub fn exposed(&self) -> Vec<(PathBuf, u32)> {
        let files = self.key.iter().chain(&self.user);
        let exposed = files.filter_map(|file| {
            let mode = file.metadata().ok()?.permissions().mode() & 0o777;
            (mode & EXPOSING_BITS != 0).then(|| (file.clone(), mode))
        });
        exposed.collect()
    }

    /// What the files of TLS say now.
    pub(super) fn dialer(&self) -> Result<Dialer, SecretsError> {
        let ca = self.ca.as_ref().ok_or(SecretsError::NoCa)?;
        let own = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                Some(Credentials::read(certificate, key).map_err(SecretsError::File)?)
            }
            (None, None) => None,
            _ => return Err(SecretsError::Half),
        };
        let roots = Roots::read(ca).map_err(SecretsError::File)?;
        Ok(Dialer::hinting(roots, own, HINTS))
    }
}

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl User {
    /// Reads a file with one line, `USER:PASSWORD`.
    pub fn read(file: &Path) -> Result<User, SecretsError> {
        let text = read_text(file).map_err(SecretsError::File)?;
        User::parse(&text).ok_or_else(|| SecretsError::NoUser(file.to_owned()))
    }

    fn parse(text: &str) -> Option<User> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (name, password) = line.split_once(':')?;
        // Bytes that are no UTF-8 have been read as U+FFFD, and would make another password.
        let is_line = !line.contains(['\n', '\r', char::REPLACEMENT_CHARACTER]);
        let is_good = !name.is_empty() && !password.is_empty() && is_line;
        let fits = text.len() <= USER_BYTES_MAX;
        (is_good && fits).then(|| User {
            name: name.to_owned(),
            password: password.to_owned(),
        })
    }
}

impl fmt::Display for SecretsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretsError::NoCa => {
                f.write_str("etcds:// needs --etcd-ca: name the file of the CA that signs the certificates of etcd")
            }
            SecretsError::Unused(flag) => {
                write!(f, "{flag} is for TLS: write etcds:// in --store, or leave it out")
            }
            SecretsError::Half => f.write_str("--etcd-cert and --etcd-key go together: name both or none"),
            SecretsError::File(error) => write!(f, "{error}"),
            SecretsError::NoUser(file) => {
                let file = file.to_string_lossy();
                write!(f, "{}: must have one line, USER:PASSWORD, in UTF-8", Plain(&file))
            }
        }
    }
}

impl std::error::Error for SecretsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SecretsError::File(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::fs::Permissions;

    fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    #[test]
    fn a_user_is_one_line_and_the_password_may_have_colons() {
        let folder = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("ann:secret\n", Some(("ann", "secret"))),
            ("ann:se:cr et", Some(("ann", "se:cr et"))),
            ("ann:secret\r\n", Some(("ann", "secret"))),
            ("\u{feff}ann:secret\n", Some(("ann", "secret"))),
            ("ann:\n", None),
            (":secret\n", None),
            ("ann\n", None),
            ("", None),
            ("ann:secret\nbob:secret\n", None),
            (&format!("ann:{}", "x".repeat(4096)), None),
        ] {
            let file = write(&folder, "user", text);
            let user = User::read(&file);
            match expected {
                Some((name, password)) => {
                    let user = user.unwrap_or_else(|error| panic!("{text:?}: {error}"));
                    assert_eq!((&*user.name, &*user.password), (name, password));
                }
                None => {
                    let error = user.err().unwrap().to_string();
                    assert!(error.ends_with("must have one line, USER:PASSWORD, in UTF-8"));
                    assert!(!error.contains("secret"), "{error}");
                }
            }
        }
        let error = User::read(&folder.path().join("none")).err().unwrap();
        assert!(error.to_string().contains("cannot be read"), "{error}");
        let error = User::read(folder.path()).err().unwrap();
        assert!(error.to_string().contains("only regular files"), "{error}");
        // A password of other bytes would be another one.
        let file = folder.path().join("bytes");
        std::fs::write(&file, b"ann:se\xffcret").unwrap();
        let error = User::read(&file).err().unwrap().to_string();
        assert!(error.ends_with("in UTF-8"), "{error}");
    }

    #[test]
    fn nobody_waits_for_who_writes_into_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let error = User::read(&pipe).err().unwrap().to_string();
        assert!(
            error.contains("is a pipe, and only regular files are read"),
            "{error}"
        );
    }

    #[test]
    fn secrets_have_to_fit_together() {
        let file = || Some(PathBuf::from("file"));
        let with = |change: &dyn Fn(&mut Secrets)| {
            let mut secrets = Secrets::default();
            change(&mut secrets);
            secrets
        };
        assert!(Secrets::default().check(false).is_ok());
        for (secrets, uses_tls, says) in [
            (Secrets::default(), true, "etcds:// needs --etcd-ca"),
            (with(&|it| it.ca = file()), false, "--etcd-ca is for TLS"),
            (
                with(&|it| it.certificate = file()),
                false,
                "--etcd-cert is for TLS",
            ),
            (with(&|it| it.key = file()), false, "--etcd-key is for TLS"),
            (
                with(&|it| (it.ca, it.key) = (file(), file())),
                true,
                "--etcd-cert and --etcd-key go together",
            ),
            (with(&|it| it.ca = file()), true, "file: cannot be read"),
            (with(&|it| it.user = file()), false, "file: cannot be read"),
        ] {
            let error = secrets.check(uses_tls).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
        }
    }

    #[test]
    fn files_that_others_can_read_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let (key, user) = (write(&folder, "key", ""), write(&folder, "user", ""));
        let secrets = Secrets {
            key: Some(key.clone()),
            user: Some(user.clone()),
            ..Secrets::default()
        };
        for file in [&key, &user] {
            std::fs::set_permissions(file, Permissions::from_mode(0o640)).unwrap();
        }
        assert_eq!(secrets.exposed(), []);
        std::fs::set_permissions(&user, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(secrets.exposed(), [(user, 0o644)]);
    }
}
