//! The files that say whom to believe and who asks: [`Secrets`].

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use ipseity_core::text::Plain;
use ipseity_tls::{Credentials, Dialer, Hints, Roots, TlsError};

/// The longest file of a user. A name and a password have room in it several times.
const USER_BYTES_MAX: u64 = 4096;

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
    /// A file of certificates or keys.
    Tls(TlsError),
    /// The file of a user cannot be read.
    User(PathBuf, io::Error),
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
                Some(Credentials::read(certificate, key).map_err(SecretsError::Tls)?)
            }
            (None, None) => None,
            _ => return Err(SecretsError::Half),
        };
        let roots = Roots::read(ca).map_err(SecretsError::Tls)?;
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
        let mut text = String::new();
        let read = File::open(file).and_then(|open| {
            let is_file = open.metadata()?.is_file();
            if !is_file {
                return Err(io::Error::other("it is not a regular file"));
            }
            open.take(USER_BYTES_MAX + 1).read_to_string(&mut text)
        });
        match read {
            Err(error) => Err(SecretsError::User(file.to_owned(), error)),
            Ok(_) => User::parse(&text).ok_or_else(|| SecretsError::NoUser(file.to_owned())),
        }
    }

    fn parse(text: &str) -> Option<User> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (name, password) = line.split_once(':')?;
        let is_good = !name.is_empty() && !password.is_empty() && !line.contains(['\n', '\r']);
        let fits = text.len() as u64 <= USER_BYTES_MAX;
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
            SecretsError::Tls(error) => write!(f, "{error}"),
            SecretsError::User(file, error) => {
                let file = file.to_string_lossy();
                write!(f, "{}: cannot be read: {error}", Plain(&file))
            }
            SecretsError::NoUser(file) => {
                let file = file.to_string_lossy();
                write!(f, "{}: must have one line, USER:PASSWORD", Plain(&file))
            }
        }
    }
}

impl std::error::Error for SecretsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SecretsError::Tls(error) => Some(error),
            SecretsError::User(_, error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
                    assert!(error.ends_with("must have one line, USER:PASSWORD"));
                    assert!(!error.contains("secret"), "{error}");
                }
            }
        }
        let error = User::read(&folder.path().join("none")).err().unwrap();
        assert!(error.to_string().contains("cannot be read"), "{error}");
        let error = User::read(folder.path()).err().unwrap();
        assert!(error.to_string().contains("not a regular file"), "{error}");
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
