//! What the files of the state directory have in common: they are regular files, their names are durable, and
//! a signal may interrupt the calls on them.
//!
//! It may import `limits`; it does not know what the files contain.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{fs::OFlags, io::Errno};

use crate::limits::INTERRUPTED_MAX;

/// Repeats a call that was interrupted before it moved a byte, a bounded number of times.
///
/// It is not for a sync: see [`sync_all`].
pub(super) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..INTERRUPTED_MAX {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
    call()
}

/// Makes a file durable, with its length. Unlike `std`, it does not repeat an interrupted sync: the kernel may report
/// a failed write in the very call that is interrupted, and then never again.
pub(super) fn sync_all(file: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return Ok(rustix::fs::fsync(file)?);
    // Elsewhere `std` knows which call reaches the medium.
    #[cfg(not(target_os = "linux"))]
    return file.sync_all();
}

/// Makes the bytes of a file durable. See [`sync_all`].
pub(super) fn sync_data(file: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return Ok(rustix::fs::fdatasync(file)?);
    #[cfg(not(target_os = "linux"))]
    return file.sync_data();
}

/// Makes the names in a directory durable: what was created, renamed or removed in it.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    match sync_all(&File::open(directory)?) {
        // A file system without this operation, such as some network file systems, makes names durable by itself.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

/// The directory that holds the name of `path`.
pub(super) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Opens a file as `how` says, if it is a regular file. It follows no symbolic link and does not wait: somebody else
/// may have put a link or a FIFO there, and a FIFO would wait for its other end.
///
/// `flags` are added to those that this needs.
pub(super) fn open_regular(path: &Path, how: &mut OpenOptions, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    // The bits of a C int.
    let file = match how.custom_flags(flags.bits() as i32).open(path) {
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            return Err(not_regular("it is a symbolic link"));
        }
        // A FIFO that nobody reads, or a socket.
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
            return Err(not_regular("it is not a regular file"));
        }
        opened => opened?,
    };
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(not_regular("it is not a regular file")),
    }
}

fn not_regular(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("{what}, and it must be a regular file"),
    )
}

/// Makes `directory` with mode 0700 and a durable name, where the one above it exists.
pub(super) fn create_one_directory(directory: &Path) -> io::Result<()> {
    create_in(&parent(directory), directory)
}

/// Makes `directory` and the missing ones above it, each with mode 0700 and a durable name.
pub(super) fn create_directory(directory: &Path) -> io::Result<()> {
    let above = parent(directory);
    match create_in(&above, directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && above != Path::new(".") => {
            create_directory(&above)?;
            // Tried once again and no further: some places, such as `/proc`, exist but take no directory, and report
            // it as not found.
            create_in(&above, directory)
        }
        done => done,
    }
}

fn create_in(above: &Path, directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => sync_directory(above),
        // Another server may have made it just now. If it is a file, its first use shows that.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Creates a file under a temporary name, to be written as a whole. It first removes a file that a crash may have left
/// there, because no write to a new file can have failed before.
pub(super) fn create_temporary(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}
