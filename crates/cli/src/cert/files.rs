//! Writing certificates and keys. Nothing is overwritten unasked, a key is never readable for others, not even for a
//! moment, and a file is never seen half written under its name.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use ipseity_console::plain;

use crate::failure::Failure;

/// Only the owner may read a private key.
const KEY_MODE: u32 = 0o600;

/// What the umask leaves of it.
const CERTIFICATE_MODE: u32 = 0o644;

/// A file that is to be written.
pub struct New<'a> {
    pub path: PathBuf,
    pub text: &'a str,
    pub is_key: bool,
}

impl<'a> New<'a> {
    pub fn key(path: PathBuf, text: &'a str) -> New<'a> {
        let is_key = true;
        New { path, text, is_key }
    }

    pub fn certificate(path: PathBuf, text: &'a str) -> New<'a> {
        let is_key = false;
        New { path, text, is_key }
    }
}

/// Writes files that must not exist. If one cannot be written, none is left.
pub fn create(files: &[New<'_>], exists: &str) -> Result<(), Failure> {
    for (done, file) in files.iter().enumerate() {
        let written = match write(&file.path, file) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(failed(&file.path, &format!("exists already: {exists}")))
            }
            Err(error) => {
                remove(&file.path);
                Err(unwritten(&file.path, &error))
            }
            Ok(()) => Ok(()),
        };
        if written.is_err() {
            files[..done].iter().for_each(|file| remove(&file.path));
            return written;
        }
    }
    Ok(())
}

/// Writes files that may exist, in this order, each in one step: whoever opens one finds the old or the new one. If one
/// cannot be replaced, all are as they were, because a key and a certificate that do not belong together are of no use.
pub fn replace(files: &[New<'_>]) -> Result<(), Failure> {
    let beside: Vec<PathBuf> = files.iter().map(|file| beside(&file.path)).collect();
    let written = files.iter().zip(&beside).try_for_each(|(file, beside)| {
        // Left by a run that was killed.
        remove(beside);
        write(beside, file).map_err(|error| unwritten(beside, &error))
    });
    let renamed = written.and_then(|()| rename(files, &beside));
    // Those that were renamed are not there any more.
    beside.iter().for_each(|path| remove(path));
    renamed
}

/// Gives the new files their names. If one cannot get it, those before it get their old contents back.
fn rename(files: &[New<'_>], new: &[PathBuf]) -> Result<(), Failure> {
    let mut kept = Vec::new();
    let mut done = 0;
    let all_kept = files
        .iter()
        .try_for_each(|file| keep(&file.path).map(|name| kept.push(name)));
    let renamed = all_kept.and_then(|()| {
        files.iter().zip(new).try_for_each(|(file, new)| {
            fs::rename(new, &file.path).map_err(|error| unwritten(&file.path, &error))?;
            done += 1;
            Ok(())
        })
    });
    if renamed.is_err() {
        for (file, kept) in files.iter().zip(&kept).take(done) {
            match kept {
                // What was possible a moment ago: if it is not now, nothing else is.
                Some(kept) => drop(fs::rename(kept, &file.path)),
                None => remove(&file.path),
            }
        }
    }
    kept.iter().flatten().for_each(|kept| remove(kept));
    renamed
}

/// Gives a file a second name, for the case that it has to come back. `None` if there is no such file.
fn keep(path: &Path) -> Result<Option<PathBuf>, Failure> {
    if fs::symlink_metadata(path).is_ok_and(|about| about.is_dir()) {
        return Err(failed(path, "cannot be written: it is a directory"));
    }
    let kept = with_end(path, ".undo-cert");
    // Left by a run that was killed.
    remove(&kept);
    // Some file systems have no second names, and the kernel may refuse one for a file of somebody else. A copy has the mode
    // of the file from the beginning.
    let kept_by = match fs::hard_link(path, &kept) {
        Err(error) if error.kind() != ErrorKind::NotFound => fs::copy(path, &kept).map(drop),
        other => other,
    };
    match kept_by {
        Ok(()) => Ok(Some(kept)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            remove(&kept);
            Err(unwritten(path, &error))
        }
    }
}

/// Whether there is something with this name.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// A failure that begins with the name of the file.
pub fn failed(path: &Path, text: &str) -> Failure {
    Failure::Failed(format!("{}: {text}", plain(&path.to_string_lossy())))
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    failed(path, &format!("cannot be written: {error}"))
}

fn beside(path: &Path) -> PathBuf {
    with_end(path, ".new")
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn write(path: &Path, file: &New<'_>) -> std::io::Result<()> {
    let mode = match file.is_key {
        true => KEY_MODE,
        false => CERTIFICATE_MODE,
    };
    // A file that is created anew is nobody else's, and nobody has it open.
    let mut opened: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    opened.write_all(file.text.as_bytes())?;
    opened.sync_all()
}

fn remove(path: &Path) {
    // It may not be there.
    let _ = fs::remove_file(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_one_file_cannot_be_replaced_none_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("one.key"), "old key").unwrap();
        // No file gets this name.
        fs::create_dir(at("one.pem")).unwrap();
        let new = || {
            [
                New::key(at("one.key"), "new key"),
                New::certificate(at("one.pem"), "new certificate"),
            ]
        };
        let Err(Failure::Failed(text)) = replace(&new()) else {
            panic!("a directory was replaced");
        };
        assert!(text.contains("one.pem: cannot be written"), "{text}");
        let names = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.collect();
            names.sort();
            names
        };
        assert_eq!(fs::read_to_string(at("one.key")).unwrap(), "old key");
        assert_eq!(names(), ["one.key", "one.pem"]);

        // The same where it comes to light only at the second renaming.
        let gone = [at("one.key.new"), at("one.pem.new")];
        fs::remove_dir(at("one.pem")).unwrap();
        fs::write(&gone[0], "new key").unwrap();
        rename(&new(), &gone).unwrap_err();
        assert_eq!(fs::read_to_string(at("one.key")).unwrap(), "old key");
        assert_eq!(names(), ["one.key"]);
        fs::remove_file(at("one.key")).unwrap();
        fs::write(&gone[0], "new key").unwrap();
        rename(&new(), &gone).unwrap_err();
        assert_eq!(names(), [""; 0]);

        replace(&new()).unwrap();
        assert_eq!(names(), ["one.key", "one.pem"]);
    }
}
