//! `watch`: how several servers do, round after round. All are asked at once, so that servers that hang cost a round no
//! more than one timeout. On a terminal the rows are redrawn in their place; into a pipe they are appended as clean
//! lines.

mod row;

use std::{
    convert::Infallible,
    io::{self, IsTerminal as _, Write},
    thread,
    time::Duration,
};

use getopts::Matches;
use ipseity_client::{Client, ClientOptions};
use ipseity_console::Flags;

use crate::{
    at_once::at_once,
    command::{Command, no_more},
    failure::Failure,
    servers, values,
};
use row::{HEADER, Seen, WIDTHS, rows};

const INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
const INTERVAL_MIN: Duration = Duration::from_millis(10);
const INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// A server has at least this time to answer, however short the interval is, and at most as long as a client
/// gives it otherwise.
const TIMEOUT_MIN: Duration = Duration::from_millis(250);

const ROUNDS_MAX: u64 = 1_000_000_000;

/// The command.
pub const COMMAND: Command = Command {
    name: "watch",
    arguments: "",
    summary: "Watch servers side by side until Ctrl-C",
    details:
        "\
Each row is a server: its pid, its sequence, its standing, its connections, identities a second
since the last round, how many of its peers are up, and how many sequences it is behind the highest
of all rows. On a terminal the rows are redrawn in their place. In a pipe each round adds its rows.",
    options,
    run,
};

fn options(options: &mut Flags) {
    options.optopt("n", "", "end after this many rounds", "ROUNDS");
    options.optopt(
        "",
        "interval",
        "the time between two rounds: 250ms, 2s; a bare number means milliseconds (default: 1s)",
        "DURATION",
    );
}

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    no_more(&matches.free)?;
    let rounds = values::number(matches, "n", 1..=ROUNDS_MAX)?.unwrap_or(u64::MAX);
    let interval = values::duration(matches, "interval", INTERVAL_MIN..=INTERVAL_MAX)?
        .unwrap_or(INTERVAL_DEFAULT);
    let ordinary = ClientOptions::one_round();
    let patience = interval.max(TIMEOUT_MIN);
    let mut clients = servers::clients(
        matches,
        ClientOptions {
            connect_timeout: patience.min(ordinary.connect_timeout),
            reply_timeout: patience.min(ordinary.reply_timeout),
            ..ordinary
        },
    )?;
    let mut screen = Screen::new();
    let mut before: Vec<Seen> = Vec::new();
    for round in 1..=rounds {
        let seen = ask(&mut clients);
        screen.show(out, &rows(&seen, &before))?;
        before = seen;
        if round < rounds {
            thread::sleep(interval);
        }
    }
    // It is not a failure that some servers are down, but it is one that no server was seen.
    if before.iter().all(|seen| seen.status.is_err()) {
        return Err(Failure::Failed(
            "no server answered in the last round".to_owned(),
        ));
    }
    Ok(())
}

/// Asks all servers at once. Returns what was seen of each, in their order.
fn ask(clients: &mut [Client]) -> Vec<Seen> {
    let mut all = Vec::new();
    let Ok(()) = at_once(clients, Seen::now, |_, seen| {
        all.push(seen);
        Ok::<(), Infallible>(())
    });
    all
}

/// Standard output, and what has been written there so far.
struct Screen {
    /// Whether rows are redrawn in place.
    redraws: bool,
    /// How many lines were written. The cursor is below the last one.
    lines: usize,
}

impl Screen {
    fn new() -> Screen {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Screen {
            redraws: io::stdout().is_terminal() && !dumb,
            lines: 0,
        }
    }

    fn show(&mut self, out: &mut dyn Write, rows: &[Vec<String>]) -> Result<(), Failure> {
        let header = HEADER.map(str::to_owned).to_vec();
        let table = ipseity_console::table(&[&[header], rows].concat(), &WIDTHS);
        // Into a pipe the header goes once.
        let skipped = usize::from(!self.redraws && self.lines > 0);
        let text = match self.redraws {
            true => redrawn(&table, self.lines),
            false => table[skipped..]
                .iter()
                .map(|line| format!("{line}\n"))
                .collect(),
        };
        self.lines = table.len();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }
}

/// The lines, over those that were written before. While they are written a long line is cut at the
/// terminal's edge: wrapped, it would take two rows, and the next redraw would miss by one.
fn redrawn(table: &[String], lines_before: usize) -> String {
    let mut text = String::new();
    if lines_before > 0 {
        text += &format!("\x1b[{lines_before}A");
    }
    text += "\x1b[?7l";
    for line in table {
        // Each clears the rest of an earlier line that was longer.
        text += &format!("\r{line}\x1b[K\n");
    }
    text + "\x1b[?7h"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redraw_begins_where_the_last_one_did() {
        let table = ["one".to_owned(), "two".to_owned()];
        let drawn = "\x1b[?7l\rone\x1b[K\n\rtwo\x1b[K\n\x1b[?7h";
        assert_eq!(redrawn(&table, 0), drawn);
        assert_eq!(redrawn(&table, 2), format!("\x1b[2A{drawn}"));
    }

    #[test]
    fn a_pipe_gets_the_header_once() {
        let mut screen = Screen {
            redraws: false,
            lines: 0,
        };
        let rows = [vec!["a:1".to_owned()]];
        let mut out = Vec::new();
        screen.show(&mut out, &rows).unwrap();
        screen.show(&mut out, &rows).unwrap();
        let shown = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("server"), "{shown}");
        assert_eq!(lines[1..], ["a:1", "a:1"]);
    }
}
