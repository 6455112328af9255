//! Where a trace goes: a file, a terminal, a pipe, or standard error. Like the log it is written by a thread, so that
//! the server never waits for it.
//!
//! Lines are only ever added to the end of the file. It is opened again on request, so that it can be moved away while
//! the server runs.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use log::{error, info};
use rustix::fs::{Access, OFlags, access};

use super::{
    line_queue::{Bounds, LineQueue, Sink},
    log::{StandardError, wait_until_writable},
};
use crate::{
    limits::{SYMLINKS_MAX, TRACE_BYTES_MAX, TRACE_LINES_MAX},
    store::FILES,
};

/// Lines are handed over to the thread at the end of each turn, and within a turn after this many bytes.
const WAKE_BYTES: usize = 64 * 1024;

const BOUNDS: Bounds = Bounds {
    lines: TRACE_LINES_MAX,
    bytes: TRACE_BYTES_MAX,
};

/// A trace to write to. Each write is one whole line, and never waits or fails. A clone is the same trace.
#[derive(Clone, Debug)]
pub struct TraceOut {
    queue: LineQueue,
    has_file: bool,
    bytes_since_wake: usize,
}

impl TraceOut {
    /// A trace among the log lines, on standard error.
    ///
    /// # Errors
    /// The thread that writes it cannot be started.
    pub fn standard_error() -> io::Result<TraceOut> {
        TraceOut::begin(StandardErrorTrace, false, false)
    }

    /// A trace at the end of a file, which is made if it does not exist. A pipe or a terminal works too.
    ///
    /// # Errors
    /// It cannot be opened for writing, or the thread that writes it cannot be started.
    pub fn file(place: TracePlace) -> io::Result<TraceOut> {
        let path = place.path.clone();
        let file = place.open()?;
        let cut = ends_inside_a_line(&path, &file);
        let sink = FileTrace {
            path,
            file,
            has_failed: false,
        };
        TraceOut::begin(sink, true, cut)
    }

    /// Opens the file again, because it may have been moved away. The lines that wait go into the new file. If
    /// `is_told`, a log line says how it went.
    pub fn reopen(&self, is_told: bool) {
        if self.has_file {
            self.queue.reopen(is_told);
        }
    }

    pub(super) fn queue(&self) -> &LineQueue {
        &self.queue
    }

    fn begin(sink: impl Sink, has_file: bool, cut: bool) -> io::Result<TraceOut> {
        Ok(TraceOut {
            queue: LineQueue::begin("ipseity-trace", BOUNDS, sink, cut)?,
            has_file,
            bytes_since_wake: 0,
        })
    }
}

impl Write for TraceOut {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.push(line);
        self.bytes_since_wake += line.len();
        if self.bytes_since_wake >= WAKE_BYTES {
            self.flush()?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.bytes_since_wake > 0 {
            self.bytes_since_wake = 0;
            self.queue.wake();
        }
        Ok(())
    }
}

/// A place where a trace can be written. Nothing was changed there yet.
#[derive(Debug)]
pub struct TracePlace {
    path: PathBuf,
    /// The file, if it exists already. It stays open, because the reader of a pipe would otherwise see the end.
    file: Option<File>,
}

impl TracePlace {
    /// Checks whether a trace can be written at `path`. A start that is refused because of its trace must not change
    /// anything, so this is called before anything is written.
    ///
    /// # Errors
    /// The path is in the state directory, is a pipe that nobody reads, or cannot be opened for writing.
    pub fn find(path: &Path, state_directory: Option<&Path>) -> io::Result<TracePlace> {
        if let Some(directory) = state_directory
            && is_inside(path, directory)
        {
            return Err(io::Error::other(format!(
                "it is in the state directory {}, where only the server's own files may be",
                directory.display()
            )));
        }
        let file = match open(path, false) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if matches!(path.as_os_str().as_encoded_bytes(), [] | [.., b'/']) {
                    return Err(io::Error::other("it names no file"));
                }
                let made = resolved(path);
                access(in_directory(&made), Access::WRITE_OK | Access::EXEC_OK)?;
                None
            }
            Err(error) => return Err(error),
        };
        let path = path.to_owned();
        Ok(TracePlace { path, file })
    }

    fn open(self) -> io::Result<File> {
        self.file.map_or_else(|| open(&self.path, true), Ok)
    }
}

/// Whether `path` leads into `directory`: directly, through symbolic links, through another mount, or because it is a
/// hard link to one of the files there.
fn is_inside(path: &Path, directory: &Path) -> bool {
    let path = resolved(path);
    let is_same = |one: &Path, other: &Path| match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    };
    path.starts_with(resolved(directory))
        || path.ancestors().any(|above| is_same(above, directory))
        || FILES
            .iter()
            .any(|name| is_same(&path, &directory.join(name)))
}

/// The path without symbolic links. The file at its end need not exist.
fn resolved(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..SYMLINKS_MAX {
        if let Ok(resolved) = fs::canonicalize(&path) {
            return resolved;
        }
        // A link to a file that does not exist: opening it would make that file.
        match fs::read_link(&path) {
            Ok(target) => path = in_directory(&path).join(target),
            Err(_) => break,
        }
    }
    match (fs::canonicalize(in_directory(&path)), path.file_name()) {
        (Ok(above), Some(name)) => above.join(name),
        _ => std::path::absolute(&path).unwrap_or(path),
    }
}

fn in_directory(path: &Path) -> &Path {
    let above = path.parent().filter(|above| *above != Path::new(""));
    above.unwrap_or(Path::new("."))
}

/// Opens the path for adding to its end, without waiting for the reader of a pipe or for a modem.
fn open(path: &Path, makes: bool) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = OpenOptions::new()
        .append(true)
        .create(makes)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    opened.map_err(|error| match fs::metadata(path) {
        Ok(found) if found.file_type().is_fifo() => {
            io::Error::other("it is a named pipe that nobody reads; start its reader first")
        }
        Ok(found) if found.is_dir() => io::ErrorKind::IsADirectory.into(),
        Ok(found) if found.file_type().is_socket() => {
            io::Error::other("it is a socket, and only a file, a pipe or a terminal will do")
        }
        _ => error,
    })
}

/// Whether what an earlier process wrote ends in the middle of a line. If that cannot be read, it does not.
fn ends_inside_a_line(path: &Path, file: &File) -> bool {
    let Ok(length) = file.metadata().map(|found| match found.is_file() {
        true => found.len(),
        false => 0,
    }) else {
        return false;
    };
    let mut last = [b'\n'];
    length > 0
        && File::open(path).is_ok_and(|file| file.read_at(&mut last, length - 1).is_ok())
        && last != [b'\n']
}

/// The line of a trace that is written in place of this many missing ones. It has no serial of its own: each of them
/// had one.
fn missing(lines: u64) -> String {
    format!("- - missing lines={lines}\n")
}

struct FileTrace {
    path: PathBuf,
    file: File,
    /// It was logged that the file cannot be written.
    has_failed: bool,
}

impl Sink for FileTrace {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_until_writable(&self.file)?;
                }
                done => return done,
            }
        }
    }

    fn reopen(&mut self, is_told: bool) {
        let path = self.path.display();
        match open(&self.path, true) {
            Ok(file) => {
                if is_told {
                    info!(
                        event = "traceOpened";
                        "the trace goes on in {path}, which was opened again"
                    );
                    // A new failure is logged too. After an untold attempt it is not: on a full disk each attempt
                    // could add a line.
                    self.has_failed = false;
                }
                self.file = file;
            }
            Err(error) if is_told => {
                error!(
                    event = "traceNotOpened", reason:% = error;
                    "cannot open the trace {path} again: {error}; going on with the old file"
                );
            }
            Err(_) => {}
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !self.has_failed {
            error!(
                event = "traceFailed", reason:% = error;
                "cannot write the trace {}: {error}; going on, and dropping the lines that it does not take",
                self.path.display()
            );
            self.has_failed = true;
        }
    }

    fn missing(&self, lines: u64) -> String {
        missing(lines)
    }
}

/// A trace on standard error. If that fails, there is no other place to report it.
struct StandardErrorTrace;

impl Sink for StandardErrorTrace {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        StandardError::write(bytes)
    }

    fn missing(&self, lines: u64) -> String {
        missing(lines)
    }
}
