//! The lock on a state directory: a file that one process at a time has locked, and that says which.
//!
//! The operating system releases the lock when the process ends, however it ends. The text in the file is for people
//! and may be out of date; the lock is what counts. After a clean stop the text is `stopped`. It is never empty again,
//! because an empty file tells a start that the directory was never used.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    process,
};

use rustix::{
    fs::OFlags,
    io::Errno,
    process::{Pid, test_kill_process},
};

use super::files::{open_regular, uninterrupted};

/// The length of the text: a process id or a word, blanks up to a fixed width, and a newline. So one text replaces
/// another completely.
const TEXT_BYTES: usize = 12;

/// The text after a clean stop.
const STOPPED: &str = "stopped";

/// The lock, held while this lives.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    used: bool,
}

/// Why the lock is not held.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process holds it; with its id, if the file has one.
    Held(Option<u32>),
    /// The file cannot be opened or locked.
    Io(io::Error),
}

/// What the file says to somebody who does not take the lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed {
    /// A server has used this directory before.
    pub(super) used: bool,
    /// The process that is named in it.
    process: Option<u32>,
}

impl Signed {
    /// The process that is named in it, if there is one with this number now, other than this one.
    pub(super) fn running(self) -> Option<u32> {
        let number = self.process.filter(|number| *number != process::id())?;
        let pid = Pid::from_raw(i32::try_from(number).ok()?)?;
        match test_kill_process(pid) {
            // It is there, and belongs to somebody else.
            Ok(()) | Err(Errno::PERM) => Some(number),
            Err(_) => None,
        }
    }
}

/// Reads the file at `path`, and opens it as a start would; `None` if there is none. Whether the lock is held cannot be
/// found out without taking it, and that could be in the way of a start.
pub(super) fn look(path: &Path) -> io::Result<Option<Signed>> {
    let mut how = OpenOptions::new();
    let file = match open_regular(path, how.read(true).write(true), OFlags::empty()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let (length, process) = read(&file)?;
    Ok(Some(Signed {
        used: length > 0,
        process,
    }))
}

/// The length of the text, and the number of the process if it is one.
fn read(file: &File) -> io::Result<(usize, Option<u32>)> {
    let mut text = [0; TEXT_BYTES];
    let length = uninterrupted(|| file.read_at(&mut text, 0))?;
    // A file system that fails may claim to have read more than there is room for. That is no number.
    let text = text.get(..length).unwrap_or_default();
    let text = std::str::from_utf8(text).unwrap_or_default();
    Ok((length, text.trim().parse().ok()))
}

impl Lock {
    /// Takes the lock at `path`, or returns which process has it. It never waits.
    pub(super) fn take(path: &Path) -> Result<Lock, LockError> {
        let mut how = OpenOptions::new();
        how.read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let file = open_regular(path, &mut how, OFlags::empty()).map_err(LockError::Io)?;
        let held = match file.try_lock() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        };
        let (length, process) = read(&file).map_err(LockError::Io)?;
        if held {
            return Err(LockError::Held(process));
        }
        let used = length > 0;
        Ok(Lock { file, used })
    }

    /// Whether a server has used this directory before.
    pub(super) fn used(&self) -> bool {
        self.used
    }

    /// Writes this process's id into the file.
    pub(super) fn sign(&mut self) -> io::Result<()> {
        self.write(&process::id().to_string())
    }

    /// Writes into the file that no process uses the directory any more.
    pub(super) fn sign_off(&mut self) -> io::Result<()> {
        self.write(STOPPED)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let text = format!("{text:<0$}\n", TEXT_BYTES - 1);
        let length = uninterrupted(|| self.file.write_at(text.as_bytes(), 0))?;
        // Part of a number is another number, and somebody may act on it.
        if length != text.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.used = true;
        Ok(())
    }
}

impl Drop for Lock {
    /// Releases the lock now, and not with the last descriptor of the file: a child process that another thread is
    /// just starting has a descriptor too, until it executes its program.
    fn drop(&mut self) {
        // If this fails, closing the file releases the lock.
        let _ = self.file.unlock();
    }
}
