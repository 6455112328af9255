//! Where a trace goes: a file, a terminal, a pipe, or standard error. Like the log it is written by a thread, so that
//! the server never waits for it.
//!
//! Lines are only ever added to the end of the file. It is opened again on request, so that it can be moved away while
//! the server runs.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use log::{error, info};
use rustix::fs::OFlags;

use super::{
    line_queue::{Bounds, LineQueue, Sink},
    log::{StandardError, wait_until_writable},
};
use crate::limits::{TRACE_BYTES_MAX, TRACE_LINES_MAX};

/// Lines are handed over to the thread at the end of each turn, and after so many bytes within one.
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
    pub fn file(path: &Path) -> io::Result<TraceOut> {
        let file = open(path)?;
        let cut = ends_inside_a_line(path, &file);
        let sink = FileTrace {
            path: path.to_owned(),
            file,
            has_failed: false,
        };
        TraceOut::begin(sink, true, cut)
    }

    /// Opens the file again, because it may have been moved away. The lines that wait go into the new file.
    pub fn reopen(&self) {
        if self.has_file {
            self.queue.reopen();
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

/// Checks whether a trace can be opened at this path, as far as that can be seen without changing anything.
///
/// # Errors
/// The path is a directory, or its directory does not exist, or it cannot be looked at.
pub fn check_trace_path(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = path.parent().filter(|above| *above != Path::new(""));
            fs::metadata(directory.unwrap_or(Path::new("."))).map(|_| ())
        }
        Err(error) => Err(error),
    }
}

/// Opens the path for adding to its end, without waiting for the reader of a pipe or for a modem.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    opened.map_err(|error| match fs::metadata(path) {
        Ok(found) if found.file_type().is_fifo() => {
            io::Error::other("it is a named pipe that nobody reads; start its reader first")
        }
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

    fn reopen(&mut self) {
        let path = self.path.display();
        match open(&self.path) {
            Ok(file) => {
                info!("the trace goes on in {path}, which was opened again");
                self.file = file;
                self.has_failed = false;
            }
            Err(error) => {
                error!("cannot open the trace {path} again: {error}; going on with the old file");
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !self.has_failed {
            error!(
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
