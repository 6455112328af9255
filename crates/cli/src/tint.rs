//! Colours and commas, for people at a terminal: which words stand out, and how numbers are easier to read. What goes into
//! a file or a pipe has neither, so that scripts read it as ever.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use getopts::Matches;
use ipseity_console::{Flags, grouped};

use crate::failure::Failure;

/// How standard output is dressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tint {
    has_colour: bool,
    has_commas: bool,
}

/// How a word is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Good,
    /// It needs somebody to look at it.
    Doubtful,
    Bad,
}

/// Declares `--color`.
pub fn options(options: &mut Flags) {
    options.optopt(
        "",
        "color",
        "whether words are coloured; auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)",
        "auto|always|never",
    );
}

impl Tint {
    /// No colour and no commas.
    #[cfg(test)]
    pub const NONE: Tint = Tint {
        has_colour: false,
        has_commas: false,
    };

    /// What `--color`, the environment and standard output say.
    pub fn of(matches: &Matches) -> Result<Tint, Failure> {
        let is_terminal = io::stdout().is_terminal();
        let has_colour = match matches.opt_str("color").as_deref() {
            None | Some("auto") => is_terminal && is_wanted(),
            Some("always") => true,
            Some("never") => false,
            Some(other) => {
                return Err(Failure::Usage(format!(
                    "--color takes auto, always or never, not {other:?}"
                )));
            }
        };
        Ok(Tint {
            has_colour,
            has_commas: is_terminal,
        })
    }

    /// The text in the colour of its mood.
    pub fn paint(self, mood: Mood, text: &str) -> String {
        let code = match mood {
            _ if !self.has_colour => return text.to_owned(),
            Mood::Good => 32,
            Mood::Doubtful => 33,
            Mood::Bad => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// How many there are.
    pub fn number(self, number: impl Into<u64>) -> String {
        let number = number.into();
        match self.has_commas {
            true => grouped(number),
            false => number.to_string(),
        }
    }
}

/// <https://no-color.org>: any value that is not empty means no colour.
fn is_wanted() -> bool {
    let is_refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
    !is_refused && !is_dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_people_are_shown_colours_and_commas() {
        assert_eq!(Tint::NONE.paint(Mood::Bad, "down"), "down");
        assert_eq!(Tint::NONE.number(1_000_u64), "1000");
        let all = Tint {
            has_colour: true,
            has_commas: true,
        };
        assert_eq!(all.paint(Mood::Bad, "down"), "\x1b[31mdown\x1b[0m");
        assert_eq!(all.number(1_000_u64), "1,000");
    }
}
