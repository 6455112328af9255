//! Log lines on standard error: `2026-01-31T12:00:00.000Z INFO peer 10.0.0.2:3264 is up: ...`.

use std::{io::Write, time::SystemTime};

use log::{LevelFilter, Log, Metadata, Record};

/// Writes every line at once: what was logged before a crash has left the process.
struct StandardError;

impl Log for StandardError {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    #[allow(clippy::disallowed_methods)] // People want the time of day; nothing else looks at it.
    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let line = format!("{time} {:<5} {}\n", record.level(), record.args());
        // Where nobody can be told, nobody can be told that either.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Logs to standard error from now on, lines of `level` and above.
pub fn init(level: LevelFilter) {
    // Fails only where a logger was set before, as in a test with several servers: then that one stays.
    if log::set_logger(&StandardError).is_ok() {
        log::set_max_level(level);
    }
}
