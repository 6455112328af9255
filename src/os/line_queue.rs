//! Lines on their way to a stream that may be slow, full or gone: a bounded queue, and a thread that writes.
//!
//! Code that has a line to write puts it into the queue and goes on; only the thread ever waits for the stream. A line
//! that finds no room is dropped and counted, and one that could not be written is counted too. When the stream
//! accepts lines again, the first of them says how many are missing.
//!
//! It does not know what the lines say. It may import nothing of the server.

use std::{
    io, mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// The most memory that a queue keeps while it is empty.
const EMPTY_BYTES_MAX: usize = 64 * 1024;

/// Where the lines go. Only the thread uses it.
pub(super) trait Sink: Send + 'static {
    /// Writes some of these bytes and returns how many. It may wait as long as that takes.
    ///
    /// # Errors
    /// The stream accepts nothing now. The next lines are tried all the same.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Opens the stream again, if it has a name. `is_told` says whether a log line may tell how that went.
    fn reopen(&mut self, _is_told: bool) {}

    /// Is told about an error that has lost lines.
    fn failed(&mut self, _error: &io::Error) {}

    /// The line that is written in place of this many missing ones.
    fn missing(&self, lines: u64) -> String;
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) lines: usize,
    pub(super) bytes: usize,
}

/// The end of the queue into which lines are put. A clone is the same queue.
#[derive(Clone, Debug)]
pub(super) struct LineQueue {
    shared: Arc<Shared>,
}

impl LineQueue {
    /// Starts a thread that writes what is put into the queue to `sink`. The thread ends with the process. With `cut`,
    /// the stream ends in the middle of a line, so a newline is written first.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn begin(
        name: &str,
        bounds: Bounds,
        sink: impl Sink,
        cut: bool,
    ) -> io::Result<LineQueue> {
        let shared = Arc::new(Shared {
            bounds,
            waiting: Mutex::default(),
            filled: Condvar::new(),
            written: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            sink,
            missing: 0,
            cut,
        };
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || writer.run())?;
        Ok(LineQueue { shared })
    }

    /// Puts whole lines into the queue, or drops them. It waits for nobody: the lock is held for a few copies, and
    /// never while something is written.
    pub(super) fn push(&self, lines: &[u8]) {
        let count = line_ends(lines);
        let bounds = self.shared.bounds;
        let mut waiting = self.shared.lock();
        // Once a line was dropped, all further ones are dropped until the thread takes the rest. So all missing
        // lines are in one place, after it.
        if waiting.dropped > 0
            || waiting.lines + count > bounds.lines
            || waiting.bytes.len() + lines.len() > bounds.bytes
        {
            self.shared.count_dropped(count, &mut waiting.dropped);
            return;
        }
        waiting.bytes.extend_from_slice(lines);
        waiting.lines += count;
    }

    /// Tells the thread that there is something to write. Without this call, lines may stay in the queue.
    pub(super) fn wake(&self) {
        let waiting = self.shared.lock();
        if waiting.is_idle && waiting.is_something() {
            self.shared.filled.notify_one();
        }
    }

    /// Tells the thread to open the stream again before it writes the lines that wait.
    pub(super) fn reopen(&self, is_told: bool) {
        let mut waiting = self.shared.lock();
        waiting.reopen = true;
        waiting.is_told |= is_told;
        drop(waiting);
        self.wake();
    }

    /// How many lines were dropped since the start, or could not be written.
    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Waits until every line was written or failed, but no longer than `timeout`.
    pub(super) fn finish(&self, timeout: Duration) {
        self.wake();
        let waiting = self.shared.lock();
        let is_under_way = |waiting: &mut Waiting| waiting.is_something() || !waiting.is_idle;
        let waited = self
            .shared
            .written
            .wait_timeout_while(waiting, timeout, is_under_way);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// What both ends of a queue see.
#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    waiting: Mutex<Waiting>,
    /// Signals that there is something to write.
    filled: Condvar,
    /// Signals that everything was written.
    written: Condvar,
    dropped: AtomicU64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No code panics while it holds the lock, and what it guards is valid after every single step.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts lost lines, in the total and in the count that is reported next.
    fn count_dropped(&self, lines: usize, unreported: &mut u64) {
        *unreported += lines as u64;
        self.dropped.fetch_add(lines as u64, Ordering::Relaxed);
    }

    /// Waits until there is something to do, and takes it. The batch that was taken before is done.
    fn take(&self, batch: &mut Waiting) {
        batch.clear();
        let mut waiting = self.lock();
        while !waiting.is_something() {
            waiting.is_idle = true;
            self.written.notify_all();
            waiting = self
                .filled
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        waiting.is_idle = false;
        mem::swap(&mut *waiting, batch);
    }
}

/// The lines that wait to be written.
#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    lines: usize,
    /// How many lines were dropped after these.
    dropped: u64,
    reopen: bool,
    /// One of the requests to open the stream again may be told.
    is_told: bool,
    /// The thread waits for something to do.
    is_idle: bool,
}

impl Waiting {
    fn is_something(&self) -> bool {
        !self.bytes.is_empty() || self.dropped > 0 || self.reopen
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(EMPTY_BYTES_MAX);
        *self = Waiting {
            bytes: mem::take(&mut self.bytes),
            ..Waiting::default()
        };
    }
}

/// The state of the thread.
struct Writer<S> {
    shared: Arc<Shared>,
    sink: S,
    /// Lines lost but not yet reported in the stream.
    missing: u64,
    /// The stream ends in the middle of a line.
    cut: bool,
}

impl<S: Sink> Writer<S> {
    fn run(mut self) {
        let mut batch = Waiting::default();
        loop {
            self.shared.take(&mut batch);
            if batch.reopen {
                self.sink.reopen(batch.is_told);
            }
            let outcome = self.write_batch(&batch);
            self.missing += batch.dropped;
            match outcome {
                Ok(()) if batch.dropped > 0 => {
                    // If this fails, it is tried again with the next lines.
                    let _ = self.report_missing();
                }
                Ok(()) => {}
                Err(error) => self.sink.failed(&error),
            }
        }
    }

    /// Writes the lines, and counts those that could not be written.
    fn write_batch(&mut self, batch: &Waiting) -> io::Result<()> {
        let outcome = match self.report_missing() {
            Ok(()) => self.write_all(&batch.bytes),
            Err(error) => Err((batch.bytes.len(), error)),
        };
        outcome.map_err(|(left, error)| {
            let rest = &batch.bytes[batch.bytes.len() - left..];
            self.shared
                .count_dropped(line_ends(rest), &mut self.missing);
            error
        })
    }

    fn report_missing(&mut self) -> io::Result<()> {
        let mut text = String::new();
        if self.cut {
            text.push('\n');
        }
        if self.missing > 0 {
            text += &self.sink.missing(self.missing);
        }
        self.write_all(text.as_bytes())
            .map_err(|(_, error)| error)?;
        self.missing = 0;
        Ok(())
    }

    /// Writes all of it. With an error it returns how many bytes are left.
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.sink.write(rest) {
                Ok(0) => return Err((rest.len(), io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    self.cut = rest[written - 1] != b'\n';
                    rest = &rest[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((rest.len(), error)),
            }
        }
        Ok(())
    }
}

fn line_ends(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests;
