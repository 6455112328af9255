//! Log lines on standard error: `2026-01-31T12:00:00.000Z INFO peer 10.0.0.2:3264 is up: ...`.
//!
//! No line is written by the thread that logs it: standard error may be a pipe that nobody reads, or a terminal that
//! is stopped. The lines wait in a bounded queue for a thread that writes them. Lines that find no room are dropped
//! and counted, and one line later says how many.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt,
    io::{self, Write},
    panic::{self, PanicHookInfo},
    sync::OnceLock,
    thread,
    time::{Duration, SystemTime},
};

use ipseity_core::text::Plain;
use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, poll};

use super::line_queue::{Bounds, LineQueue, Sink};
use crate::limits::{LAST_LINES_TIMEOUT, LOG_BYTES_MAX, LOG_LINES_MAX};

/// The one log of the process, once there is one.
static LOG: OnceLock<LineQueue> = OnceLock::new();

/// Logs to standard error from now on, lines of `level` and above. A panic is logged too, in place of the usual
/// report, which would wait for standard error.
///
/// # Errors
/// The thread cannot be started.
pub fn init(level: LevelFilter) -> io::Result<()> {
    let bounds = Bounds {
        lines: LOG_LINES_MAX,
        bytes: LOG_BYTES_MAX,
    };
    let queue = LineQueue::begin("ipseity-log", bounds, StandardError, false)?;
    // Both are called once in a process; a second call would change nothing.
    if LOG.set(queue).is_ok() && log::set_logger(&Queued).is_ok() {
        log::set_max_level(level);
        panic::set_hook(Box::new(report_panic));
    }
    Ok(())
}

/// Writes a line at every log level: who this server is, and where it listens.
pub fn announce(what: fmt::Arguments<'_>) {
    put(&line(Level::Info, what));
}

/// Says why the process ends, in a line without a time and a level.
pub fn say(what: &str) {
    // A path may hold anything.
    put(&format!("ipseity: {}\n", Plain(what)));
}

/// How many lines were dropped since the start, because they found no room or could not be written.
pub fn dropped() -> u64 {
    LOG.get().map_or(0, LineQueue::dropped)
}

/// Waits until all lines are written, but no longer than this.
pub(super) fn finish(timeout: Duration) {
    if let Some(log) = LOG.get() {
        log.finish(timeout);
    }
}

/// Receives the lines of the macros of `log`.
struct Queued;

impl Log for Queued {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            put(&line(record.level(), *record.args()));
        }
    }

    fn flush(&self) {
        finish(LAST_LINES_TIMEOUT);
    }
}

/// Standard error as the thread sees it. The log writes into it, and so may the trace.
pub(super) struct StandardError;

impl StandardError {
    /// Writes some bytes, whole lines of one writer where the stream takes them.
    pub(super) fn write(bytes: &[u8]) -> io::Result<usize> {
        loop {
            // The lock is held even while the write waits. Only the threads that write lines take it, and nothing
            // waits for those.
            let mut stream = io::stderr().lock();
            match stream.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_until_writable(&stream)?;
                }
                done => return done,
            }
        }
    }
}

impl Sink for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        StandardError::write(bytes)
    }

    fn missing(&self, lines: u64) -> String {
        line(
            Level::Warn,
            format_args!("{lines} log lines are missing here: standard error took no more of them"),
        )
    }
}

/// Waits for a stream that does not wait itself: somebody, perhaps another process, has made it non-blocking.
pub(super) fn wait_until_writable(stream: &impl std::os::fd::AsFd) -> io::Result<()> {
    let mut wanted = [PollFd::new(stream, PollFlags::OUT)];
    match poll(&mut wanted, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn put(line: &str) {
    if let Some(log) = LOG.get() {
        log.push(line.as_bytes());
        log.wake();
    }
}

#[allow(clippy::disallowed_methods)] // The time of day, for people only.
fn line(level: Level, what: fmt::Arguments<'_>) -> String {
    let time = humantime::format_rfc3339_millis(SystemTime::now());
    // Some lines contain text that a peer has sent. It must not look like another line, or move the cursor.
    format!("{time} {level:<5} {}\n", Plain(&what.to_string()))
}

/// Logs a panic, and waits a moment for the line to be written: the process may end right after this.
fn report_panic(info: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let name = thread.name().unwrap_or("without a name").to_owned();
    let what = info.payload_as_str().unwrap_or("the panic has no text");
    let place = info
        .location()
        .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    put(&line(
        Level::Error,
        format_args!("the thread {name} panicked at {place}: {what}"),
    ));
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        put(&format!("{trace}\n"));
    }
    finish(LAST_LINES_TIMEOUT);
}
