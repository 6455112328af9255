//! Log lines on standard error: `2026-01-31T12:00:00.000Z INFO peer 10.0.0.2:3264 is up: ...`.
//!
//! No line is written by the thread that logs it: standard error may be a pipe that nobody reads, or a terminal that
//! is stopped. The lines wait in a bounded queue for a thread that writes them. Lines that find no room are dropped
//! and counted, and one line later says how many.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    env, fmt,
    io::{self, Write},
    panic::{self, PanicHookInfo},
    sync::OnceLock,
    thread,
    time::{Duration, SystemTime},
};

use ipseity_core::text::Plain;
use log::{
    Level, LevelFilter, Log, Metadata, Record,
    kv::{Key, Source, Value},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::fstat,
};

use super::{
    line_queue::{Bounds, LineQueue, Sink},
    log_line::{Entry, Look, priority},
};
use crate::limits::{LAST_LINES_TIMEOUT, LOG_BYTES_MAX, LOG_LINES_MAX};

/// The one log of the process, once there is one.
static LOG: OnceLock<LogOut> = OnceLock::new();

/// The event of a line that names none, because a library has logged it.
const UNNAMED: &str = "other";

/// For a line that has no parts of its own.
const NO_FIELDS: [(&str, Value<'_>); 0] = [];

/// Logs to standard error from now on, lines of `level` and above, `as_json` or as text. A panic is logged too, in
/// place of the usual report, which would wait for standard error.
///
/// # Errors
/// The thread cannot be started.
pub fn init(level: LevelFilter, as_json: bool) -> io::Result<()> {
    let look = match as_json {
        true => Look::Json,
        false if is_journal() => Look::Journal,
        false => Look::Text,
    };
    let bounds = Bounds {
        lines: LOG_LINES_MAX,
        bytes: LOG_BYTES_MAX,
    };
    let queue = LineQueue::begin("ipseity-log", bounds, LogSink(look), false)?;
    // Both are called once in a process; a second call would change nothing.
    if LOG.set(LogOut { queue, look }).is_ok() && log::set_logger(&Queued).is_ok() {
        log::set_max_level(level);
        panic::set_hook(Box::new(report_panic));
    }
    Ok(())
}

/// Whether standard error leads to the journal of systemd, which then has named it in the environment. The variable
/// alone proves nothing: a child keeps it, though its standard error may lead elsewhere.
fn is_journal() -> bool {
    let Ok(named) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    fstat(io::stderr()).is_ok_and(|found| named == format!("{}:{}", found.st_dev, found.st_ino))
}

/// Writes a line at every log level: who this server is, and where it listens.
pub fn announce(address: &str, pid: u16, what: fmt::Arguments<'_>) {
    let fields = [("address", Value::from(address)), ("pid", Value::from(pid))];
    put(Level::Info, "listening", &fields, what);
}

/// Says why the process ends. As text, it is a line without a time and a level.
pub fn say(what: &str) {
    let Some(log) = LOG.get() else {
        return;
    };
    // A path may hold anything.
    let plain = Plain(what);
    match log.look {
        Look::Text => log.put(&format!("ipseity: {plain}\n")),
        Look::Journal => log.put(&format!("{}ipseity: {plain}\n", priority(Level::Error))),
        Look::Json => put(Level::Error, "failed", &NO_FIELDS, format_args!("{what}")),
    }
}

/// The time of day, for people.
#[allow(clippy::disallowed_methods)] // The time of day, for people only.
pub fn time_of_day() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// How many lines were dropped since the start, because they found no room or could not be written.
pub fn dropped() -> u64 {
    LOG.get().map_or(0, |log| log.queue.dropped())
}

/// Waits until all lines are written, but no longer than this.
pub(super) fn finish(timeout: Duration) {
    if let Some(log) = LOG.get() {
        log.queue.finish(timeout);
    }
}

/// Where the lines go, and how they look.
struct LogOut {
    queue: LineQueue,
    look: Look,
}

impl LogOut {
    fn put(&self, lines: &str) {
        self.queue.push(lines.as_bytes());
        self.queue.wake();
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
            let fields = record.key_values();
            let event = fields.get(Key::from_str("event"));
            let event = event.and_then(|event| event.to_borrowed_str());
            // A library names no event.
            let event = event.unwrap_or(UNNAMED);
            put(record.level(), event, &fields, *record.args());
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

/// Standard error, with what is missing in it told like any other line.
struct LogSink(Look);

impl Sink for LogSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        StandardError::write(bytes)
    }

    fn missing(&self, lines: u64) -> String {
        let what =
            format_args!("{lines} log lines are missing here: standard error took no more of them");
        line(self.0, Level::Warn, "linesMissing", &NO_FIELDS, what)
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

fn put(level: Level, event: &str, fields: &dyn Source, what: fmt::Arguments<'_>) {
    if let Some(log) = LOG.get() {
        log.put(&line(log.look, level, event, fields, what));
    }
}

#[allow(clippy::disallowed_methods)] // The time of day, for people only.
fn line(
    look: Look,
    level: Level,
    event: &str,
    fields: &dyn Source,
    what: fmt::Arguments<'_>,
) -> String {
    let entry = Entry {
        time: SystemTime::now(),
        level,
        event,
        fields,
        message: &what.to_string(),
    };
    entry.show(look)
}

/// Logs a panic, and waits a moment for the line to be written: the process may end right after this.
fn report_panic(info: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let name = thread.name().unwrap_or("without a name").to_owned();
    let what = info.payload_as_str().unwrap_or("the panic has no text");
    let place = info
        .location()
        .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let what = format_args!("the thread {name} panicked at {place}: {what}");
    put(Level::Error, "panicked", &NO_FIELDS, what);
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        put_trace(&trace.to_string());
    }
    finish(LAST_LINES_TIMEOUT);
}

/// Logs a backtrace, which has many lines. People know it by its shape.
fn put_trace(trace: &str) {
    let Some(log) = LOG.get() else {
        return;
    };
    match log.look {
        Look::Text => log.put(&format!("{trace}\n")),
        Look::Journal | Look::Json => {
            for line in trace.lines() {
                put(
                    Level::Error,
                    "backtrace",
                    &NO_FIELDS,
                    format_args!("{line}"),
                );
            }
        }
    }
}
