//! The flags of a command line: a list that the parser, the help, the man pages and the completions are made of, and what
//! can be wrong with them.

use getopts::{Fail, Options};

/// One flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its letter, without the dash; empty if it has none.
    pub letter: &'static str,
    /// Its name, without the dashes; empty if it has only a letter.
    pub name: &'static str,
    /// What follows it.
    pub takes: Takes,
    /// What it does, with its default.
    pub help: String,
    /// The variable of the environment that stands for it.
    pub variable: Option<String>,
}

/// What follows a flag, and how often the flag may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing follows it, and it may be given once.
    Nothing,
    /// A value, which the help shows as this word.
    Value(&'static str),
    /// The same, and the flag may be given many times.
    Values(&'static str),
}

/// A list of flags, in the order of the help.
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<Flag>);

impl Flags {
    /// No flags yet.
    pub fn new() -> Flags {
        Flags::default()
    }

    /// Adds a flag that no value follows.
    pub fn optflag(&mut self, letter: &'static str, name: &'static str, help: &str) -> &mut Flags {
        self.add(letter, name, help, Takes::Nothing)
    }

    /// Adds a flag with a value, which the help shows as `hint`.
    pub fn optopt(
        &mut self,
        letter: &'static str,
        name: &'static str,
        help: &str,
        hint: &'static str,
    ) -> &mut Flags {
        self.add(letter, name, help, Takes::Value(hint))
    }

    /// Adds a flag with a value that may be given many times.
    pub fn optmulti(
        &mut self,
        letter: &'static str,
        name: &'static str,
        help: &str,
        hint: &'static str,
    ) -> &mut Flags {
        self.add(letter, name, help, Takes::Values(hint))
    }

    /// Adds a flag.
    pub fn add(
        &mut self,
        letter: &'static str,
        name: &'static str,
        help: &str,
        takes: Takes,
    ) -> &mut Flags {
        self.0.push(Flag {
            letter,
            name,
            takes,
            help: help.to_owned(),
            variable: None,
        });
        self
    }

    /// A variable stands for the flag that was added last. The help shows it.
    pub fn variable(&mut self, variable: String) -> &mut Flags {
        if let Some(flag) = self.0.last_mut() {
            flag.variable = Some(variable);
        }
        self
    }

    /// All flags.
    pub fn iter(&self) -> std::slice::Iter<'_, Flag> {
        self.0.iter()
    }

    /// The flags for the parser.
    pub fn options(&self) -> Options {
        let mut options = Options::new();
        for flag in &self.0 {
            let help = match &flag.variable {
                Some(variable) => format!("{} [{variable}]", flag.help),
                None => flag.help.clone(),
            };
            match flag.takes {
                Takes::Nothing => options.optflag(flag.letter, flag.name, &help),
                Takes::Value(hint) => options.optopt(flag.letter, flag.name, &help, hint),
                Takes::Values(hint) => options.optmulti(flag.letter, flag.name, &help, hint),
            };
        }
        options
    }
}

/// The name of a flag as it is written: `-n`, `--server`.
pub fn dashed(name: &str) -> String {
    match name.chars().count() {
        1 => format!("-{name}"),
        _ => format!("--{name}"),
    }
}

/// The text of a help: `brief`, and a list of the flags below it.
pub fn usage(flags: &Flags, brief: &str) -> String {
    let heading = |word| format!("\n\n{word}:\n");
    let text = flags
        .options()
        .usage(brief)
        .replacen(&heading("Options"), &heading("Flags"), 1);
    // A space stands where the value of a flag would begin, also behind a long name without a value.
    text.split_inclusive('\n')
        .flat_map(|line| match line.strip_suffix('\n') {
            Some(line) => [line.trim_end(), "\n"],
            None => [line.trim_end(), ""],
        })
        .collect()
}

/// One line that names the flag and says what is wrong with it.
pub fn explain(fail: &Fail) -> String {
    match fail {
        Fail::ArgumentMissing(name) => format!("{} needs a value", dashed(name)),
        // It may hold anything that somebody typed.
        Fail::UnrecognizedOption(name) => format!("there is no flag {:?}", dashed(name)),
        Fail::OptionMissing(name) => format!("{} is missing", dashed(name)),
        Fail::OptionDuplicated(name) => format!("{} is given more than once", dashed(name)),
        Fail::UnexpectedArgument(name) => format!("{} takes no value", dashed(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_flags_has_its_heading() {
        let mut flags = Flags::new();
        flags.optflag("v", "version", "show the version");
        let help = usage(&flags, "Usage: program [FLAGS]");
        assert_eq!(
            help,
            "Usage: program [FLAGS]\n\nFlags:\n    -v, --version       show the version\n"
        );
    }

    #[test]
    fn no_line_ends_with_a_space() {
        let mut flags = Flags::new();
        flags.optflag("", "longer-than-its-column", "do it");
        let help = usage(&flags, "Usage: program [FLAGS]");
        assert!(help.contains("--longer-than-its-column\n"), "{help:?}");
        assert!(help.ends_with("do it\n"), "{help:?}");
    }
}
