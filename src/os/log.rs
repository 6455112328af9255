//! Log lines on standard error: `2026-01-31T12:00:00.000Z INFO peer 10.0.0.2:3264 is up: ...`.

use std::{fmt, io::Write, time::SystemTime};

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Writes every line at once: what was logged before a crash has left the process.
struct StandardError;

impl Log for StandardError {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            write_line(record.level(), *record.args());
        }
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

/// Writes a line that no log level keeps back: who this server is, and where it listens.
pub fn announce(what: fmt::Arguments<'_>) {
    write_line(Level::Info, what);
}

#[allow(clippy::disallowed_methods)] // People want the time of day; nothing else looks at it.
fn write_line(level: Level, what: fmt::Arguments<'_>) {
    let time = humantime::format_rfc3339_millis(SystemTime::now());
    let mut line = format!("{time} {level:<5} ");
    // Texts of peers stand in some lines: none of them may look like another line, or move the cursor.
    for character in what.to_string().chars() {
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line.push('\n');
    // Where nobody can be told, nobody can be told that either.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
