//! `watch`: how several servers do, round after round. All are asked at once, so that servers that hang cost a round no
//! more than one timeout. On a terminal the rows are redrawn in their place; into a pipe they are appended as clean
//! lines.

mod row;

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    convert::Infallible,
    io::{self, IsTerminal as _, Write},
    thread,
    time::Duration,
};

use getopts::Matches;
use ipseity_client::{Client, ClientOptions};
use ipseity_console::{Flags, Key, Keyboard, age, counted, window_lines};

use crate::{
    at_once::at_once,
    clock,
    command::{Command, no_more},
    failure::Failure,
    json::write_line,
    servers,
    shape::{self, Shape, write_csv},
    status::mood,
    tint::{Mood, Tint},
    values::{duration, number},
};
use row::{HEADER, NAMES, Seen, WIDTHS, highest, rows, trouble, values};

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
    details: "\
Each row is a server: its pid, its sequence, its standing, its connections, identities a second
since the last round, how many of its peers are up, and how many sequences it is behind the highest
of all rows. In a pipe each round adds its rows, in the order in which the servers are named.

On a terminal the rows are redrawn in their place, as many as fit the window, and those in trouble
come first. The keys: q quits, h shows the keys, s sorts as named, and space asks at once.",
    examples: &[
        ("ipseity-cli watch -n 1", "one look at all servers"),
        (
            "ipseity-cli watch -n 3 --interval 100ms --format csv",
            "for a program",
        ),
    ],
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
    shape::options(options);
    servers::options(options);
}

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    no_more(&matches.free)?;
    let rounds = number(matches, "n", 1..=ROUNDS_MAX)?.unwrap_or(u64::MAX);
    let interval =
        duration(matches, "interval", INTERVAL_MIN..=INTERVAL_MAX)?.unwrap_or(INTERVAL_DEFAULT);
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
    let mut screen = Screen::new(shape::shape(matches)?, Tint::of(matches)?, interval);
    let mut before: Vec<Seen> = Vec::new();
    for round in 1..=rounds {
        let seen = ask(&mut clients);
        screen.show(out, &seen, &before)?;
        before = seen;
        if round < rounds && screen.wait(interval) {
            break;
        }
    }
    drop(screen);
    // It is not a failure that some servers are down, but it is one that no server was seen.
    if before.iter().all(|seen| seen.status.is_err()) {
        return Err(Failure::Failed(
            "no server answered in the last round: each row says why".to_owned(),
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

/// Where the rounds are shown.
enum Screen {
    /// Lines are appended.
    Lines(Lines),
    /// A terminal, where they are redrawn in place.
    Window(Window),
}

impl Screen {
    fn new(shape: Shape, tint: Tint, interval: Duration) -> Screen {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        match shape == Shape::Text && io::stdout().is_terminal() && !dumb {
            true => Screen::Window(Window::new(tint, interval)),
            false => Screen::Lines(Lines {
                shape,
                tint,
                is_headed: false,
            }),
        }
    }

    fn show(&mut self, out: &mut dyn Write, seen: &[Seen], before: &[Seen]) -> io::Result<()> {
        match self {
            Screen::Lines(lines) => lines.show(out, seen, before)?,
            Screen::Window(window) => {
                let size = window_lines().unwrap_or(LINES_DEFAULT);
                let text = window.drawn(seen, before, size, &clock::stamp());
                out.write_all(text.as_bytes())?;
            }
        }
        out.flush()
    }

    /// Waits for the next round. Returns whether somebody wants to end.
    fn wait(&mut self, interval: Duration) -> bool {
        match self {
            Screen::Lines(_) => {
                thread::sleep(interval);
                false
            }
            Screen::Window(window) => window.wait(interval),
        }
    }
}

/// Rows that are appended, into a pipe or a file.
struct Lines {
    shape: Shape,
    tint: Tint,
    /// The header goes once.
    is_headed: bool,
}

impl Lines {
    fn show(&mut self, out: &mut dyn Write, seen: &[Seen], before: &[Seen]) -> io::Result<()> {
        let is_headed = std::mem::replace(&mut self.is_headed, true);
        if self.shape == Shape::Text {
            let lines = table(&rows(seen, before, self.tint));
            let mut lines = lines.iter().skip(usize::from(is_headed));
            return lines.try_for_each(|line| writeln!(out, "{line}"));
        }
        if self.shape == Shape::Csv && !is_headed {
            write_csv(out, NAMES)?;
        }
        let (time, highest) = (clock::stamp(), highest(seen));
        for (place, seen) in seen.iter().enumerate() {
            let values = values(&time, seen, before.get(place), highest);
            match self.shape {
                Shape::Csv => write_csv(out, values.map(Option::unwrap_or_default))?,
                _ => {
                    let object: BTreeMap<&str, Option<String>> =
                        NAMES.into_iter().zip(values).collect();
                    write_line(out, &object)?;
                }
            }
        }
        Ok(())
    }
}

/// The rows below their header.
fn table(rows: &[Vec<String>]) -> Vec<String> {
    let header = HEADER.map(str::to_owned).to_vec();
    ipseity_console::table(&[&[header], rows].concat(), &WIDTHS)
}

/// The lines of a window that does not say how many it has.
const LINES_DEFAULT: usize = 24;

const KEYS: &str = "q: quit   s: sort as named, or by trouble   space: ask now   h: hide this line";

/// A window of a terminal.
struct Window {
    tint: Tint,
    interval: Duration,
    /// `None` if standard input is no terminal.
    keyboard: Option<Keyboard>,
    shows_keys: bool,
    sorts_as_named: bool,
    /// How many lines were written. The cursor is below the last one.
    lines: usize,
    /// How many the window had then.
    size: usize,
}

impl Window {
    fn new(tint: Tint, interval: Duration) -> Window {
        Window {
            tint,
            interval,
            keyboard: Keyboard::take(),
            shows_keys: false,
            sorts_as_named: false,
            lines: 0,
            size: 0,
        }
    }

    /// What draws a round over the one before, in a window with `size` lines.
    fn drawn(&mut self, seen: &[Seen], before: &[Seen], size: usize, time: &str) -> String {
        let mut text = String::new();
        if self.lines > 0 && self.size != size {
            // Nobody knows where the lines are after the size has changed.
            text += "\x1b[H\x1b[2J";
            self.lines = 0;
        }
        let page = self.page(seen, before, size, time);
        text += &redrawn(&page, self.lines);
        (self.lines, self.size) = (page.len(), size);
        text
    }

    /// The lines of a round. There is always room for the cursor below them.
    fn page(&self, seen: &[Seen], before: &[Seen], size: usize, time: &str) -> Vec<String> {
        let troubles: Vec<u8> = seen.iter().map(trouble).collect();
        let in_trouble = troubles.iter().filter(|trouble| **trouble > 0).count();
        let about = format!(
            "{time}  {}, {in_trouble} in trouble  every {}",
            counted(seen.len() as u64, "server"),
            age(u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX)),
        );
        let mut page = vec![match self.keyboard {
            Some(_) => format!("{about}  q quits, h shows the keys"),
            None => about,
        }];
        page.extend(self.shows_keys.then(|| KEYS.to_owned()));
        let mut table = table(&rows(seen, before, self.tint)).into_iter();
        page.extend(table.next());
        let lines = seen.iter().zip(troubles).zip(table);
        let mut lines: Vec<(u8, String)> = lines
            .map(|((seen, trouble), line)| (trouble, self.painted(seen, line)))
            .collect();
        if !self.sorts_as_named {
            // A stable sort: those that do alike stay as they were named.
            lines.sort_by_key(|(trouble, _)| Reverse(*trouble));
        }
        let room = size.saturating_sub(page.len() + 1).max(1);
        let shown = match lines.len() > room {
            true => room - 1,
            false => lines.len(),
        };
        let hidden = lines.len() - shown;
        page.extend(lines.into_iter().take(shown).map(|(_, line)| line));
        if hidden > 0 {
            page.push(format!("and {hidden} more: the window is too small"));
        }
        page
    }

    /// The line with its standing in colour.
    fn painted(&self, seen: &Seen, line: String) -> String {
        let (mood, word) = match &seen.status {
            Ok(status) => (mood(status.standing), status.standing.name()),
            Err(unseen) => (Mood::Bad, unseen.word),
        };
        // The name of the server comes first, so it has no spaces before it.
        let painted = self.tint.paint(mood, word);
        line.replacen(&format!("  {word}"), &format!("  {painted}"), 1)
    }

    /// Waits for a key. Returns whether somebody wants to end.
    fn wait(&mut self, interval: Duration) -> bool {
        let Some(keyboard) = &self.keyboard else {
            thread::sleep(interval);
            return false;
        };
        match keyboard.wait(interval) {
            Key::Pressed(b'q' | b'Q') | Key::Over => return true,
            Key::Pressed(b'h' | b'?') => self.shows_keys = !self.shows_keys,
            Key::Pressed(b's') => self.sorts_as_named = !self.sorts_as_named,
            Key::Pressed(_) | Key::None => {}
        }
        false
    }
}

/// The lines, over those that were written before. While they are written a long line is cut at the
/// terminal's edge: wrapped, it would take two rows, and the next redraw would miss by one.
fn redrawn(page: &[String], lines_before: usize) -> String {
    let mut text = String::new();
    if lines_before > 0 {
        text += &format!("\x1b[{lines_before}A");
    }
    text += "\x1b[?7l";
    for line in page {
        // Each clears the rest of an earlier line that was longer.
        text += &format!("\r{line}\x1b[K\n");
    }
    // And what is left of an earlier page that had more lines.
    text + "\x1b[J\x1b[?7h"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unseen::Unseen;

    #[test]
    fn a_redraw_begins_where_the_last_one_did() {
        let table = ["one".to_owned(), "two".to_owned()];
        let drawn = "\x1b[?7l\rone\x1b[K\n\rtwo\x1b[K\n\x1b[J\x1b[?7h";
        assert_eq!(redrawn(&table, 0), drawn);
        assert_eq!(redrawn(&table, 2), format!("\x1b[2A{drawn}"));
    }

    fn unreachable(server: &str) -> Seen {
        Seen {
            server: server.to_owned(),
            status: Err(Unseen {
                word: "unreachable",
                reason: "gone".to_owned(),
                code: None,
            }),
        }
    }

    #[test]
    fn a_pipe_gets_the_header_once() {
        let mut lines = Lines {
            shape: Shape::Text,
            tint: Tint::NONE,
            is_headed: false,
        };
        let mut out = Vec::new();
        for _ in 0..2 {
            lines.show(&mut out, &[unreachable("a:1")], &[]).unwrap();
        }
        let shown = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("server"), "{shown}");
        assert!(
            lines[1..].iter().all(|line| line.starts_with("a:1 ")),
            "{shown}"
        );
    }

    #[test]
    fn a_page_fits_its_window_and_trouble_comes_first() {
        let mut window = Window {
            tint: Tint::NONE,
            interval: Duration::from_secs(1),
            keyboard: None,
            shows_keys: false,
            sorts_as_named: false,
            lines: 0,
            size: 0,
        };
        let mut seen: Vec<Seen> = (0..10).map(|n| unreachable(&format!("s{n}:1"))).collect();
        let well = Seen {
            server: "well:1".to_owned(),
            status: Ok(ipseity_monitor::sample::status()),
        };
        seen.insert(0, well);
        for size in 0..20 {
            let page = window.page(&seen, &[], size, "now");
            assert!(page.len() < size.max(4), "{size}: {page:?}");
            let whole = page.len() == 2 + seen.len();
            let says = page.last().unwrap().starts_with("and ");
            assert_ne!(whole, says, "{size}: {page:?}");
        }
        let page = window.page(&seen, &[], 30, "now");
        assert!(
            page[0].starts_with("now  11 servers, 11 in trouble  every 1s"),
            "{page:?}"
        );
        assert!(
            page[2].starts_with("s0:1 ") && page[12].starts_with("well:1 "),
            "{page:?}"
        );
        window.sorts_as_named = true;
        assert!(window.page(&seen, &[], 30, "now")[2].starts_with("well:1 "));

        // A window of another size is drawn from its top.
        assert!(!window.drawn(&seen, &[], 30, "now").contains("\x1b[2J"));
        assert!(!window.drawn(&seen, &[], 30, "now").contains("\x1b[2J"));
        assert!(
            window
                .drawn(&seen, &[], 8, "now")
                .starts_with("\x1b[H\x1b[2J")
        );
    }
}
