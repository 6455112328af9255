//! An output whose reader may leave.

use std::io::{self, ErrorKind, Write};

/// For commands whose exit code or work matters even if nobody reads their output: when the reader has left, they go
/// on without it.
pub struct Unread<'a> {
    out: &'a mut dyn Write,
    has_left: bool,
}

impl<'a> Unread<'a> {
    pub fn new(out: &'a mut dyn Write) -> Unread<'a> {
        let has_left = false;
        Unread { out, has_left }
    }

    /// Whether the reader has left.
    pub fn has_left(&self) -> bool {
        self.has_left
    }

    fn unless_left<T>(&mut self, result: io::Result<T>, instead: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.has_left = true;
                Ok(instead)
            }
            other => other,
        }
    }
}

impl Write for Unread<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.has_left {
            return Ok(bytes.len());
        }
        let written = self.out.write(bytes);
        self.unless_left(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.has_left {
            return Ok(());
        }
        let flushed = self.out.flush();
        self.unless_left(flushed, ())
    }
}
