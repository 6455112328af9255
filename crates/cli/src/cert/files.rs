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

/// Writes files that may exist, in this order, each in one step: whoever opens one finds the old or the new one.
pub fn replace(files: &[New<'_>]) -> Result<(), Failure> {
    let beside: Vec<PathBuf> = files.iter().map(|file| beside(&file.path)).collect();
    let written = files.iter().zip(&beside).try_for_each(|(file, beside)| {
        // Left by a run that was killed.
        remove(beside);
        write(beside, file).map_err(|error| unwritten(beside, &error))
    });
    let renamed = written.and_then(|()| {
        files.iter().zip(&beside).try_for_each(|(file, beside)| {
            fs::rename(beside, &file.path).map_err(|error| unwritten(&file.path, &error))
        })
    });
    // Those that were renamed are not there any more.
    beside.iter().for_each(|path| remove(path));
    renamed
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
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
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
