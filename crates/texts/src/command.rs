//! The programs as clap describes them, made of their tables of flags.

use clap::{
    Arg, ArgAction, Command, ValueHint,
    builder::{PossibleValuesParser, ValueParser},
};
use ipseity_console::{Flag, Flags, Takes};

/// A program, or a command of one, and its flags.
pub(crate) struct Program {
    /// What people type, such as `ipseity-cli`.
    pub(crate) name: &'static str,
    /// What it does, in a line.
    pub(crate) about: &'static str,
    /// What follows the name besides flags.
    pub(crate) arguments: &'static str,
    /// What it does, in whole lines. Those that begin with a space are shown as they are.
    pub(crate) details: &'static str,
    /// Command lines, and what each is for.
    pub(crate) examples: &'static [(&'static str, &'static str)],
    pub(crate) flags: Flags,
    /// Its commands; empty if it has none.
    pub(crate) commands: Vec<Program>,
}

/// The server and the client.
pub(crate) fn programs() -> [Program; 2] {
    let server = Program {
        name: "ipseity",
        about: "hand out unique, increasing 64-bit identities",
        arguments: "",
        details: "\
The server listens for clients and for other servers over TCP, and keeps its counter in step with its peers. It runs in the \
foreground until SIGTERM or SIGINT stops it, and logs to standard error. Ask it with ipseity-cli(1).

A duration is 250ms, 2s or 1h; a bare number is milliseconds.",
        examples: &[],
        flags: ipseity::options::flags(),
        commands: Vec::new(),
    };
    let commands = ipseity_cli::COMMANDS.map(|command| Program {
        name: command.name,
        about: command.summary,
        arguments: command.arguments,
        details: command.details,
        examples: command.examples,
        flags: ipseity_cli::flags_of(command),
        commands: Vec::new(),
    });
    let client = Program {
        name: "ipseity-cli",
        about: "get identities from Ipseity servers, see how the servers are doing, and manage them",
        arguments: " COMMAND",
        details: "\
The flags below stand before the command or behind it. Each command has a page of its own, such as ipseity-cli-next(1), \
which lists those of them that it takes, and its own.",
        examples: &[],
        flags: ipseity_cli::common_flags(),
        commands: commands.into(),
    };
    [server, client]
}

impl Program {
    /// The program as clap describes it. Where the first argument is one of some words, each of them is a command: only so
    /// fish completes them.
    pub(crate) fn command(&self) -> Command {
        let (words, others) = match self.arguments.trim_start().split_once(' ') {
            // One that may be left out stands in brackets.
            Some((first, others)) => (given(first.trim_matches(['[', ']'])), others),
            None => (Vec::new(), ""),
        };
        let kinds = words
            .into_iter()
            .map(|word| self.bare(word).args(positionals(others)));
        let command = self
            .bare(self.name.to_owned())
            .about(self.about)
            .subcommands(self.commands.iter().map(Program::command));
        let command = match self.commands.is_empty() {
            true => command,
            false => command.subcommand(self.help()),
        };
        match kinds.len() {
            0 => command.args(positionals(self.arguments)),
            _ => command.subcommands(kinds),
        }
    }

    /// `help`, and `help COMMAND`.
    fn help(&self) -> Command {
        let names = self
            .commands
            .iter()
            .map(|command| Command::new(command.name));
        Command::new("help")
            .about("show the help, or that of a command")
            .disable_help_flag(true)
            .disable_help_subcommand(true)
            .subcommands(names.map(|name| name.disable_help_flag(true)))
    }

    /// A command with the flags of this program, and nothing else.
    fn bare(&self, name: String) -> Command {
        Command::new(name)
            .disable_help_flag(true)
            .disable_version_flag(true)
            .disable_help_subcommand(true)
            .args(self.flags.iter().map(argument))
    }
}

/// The words of a hint that are meant as they are, such as `yes` and `no` in `yes|no`. The others, such as `N` in `N|all`,
/// stand for something.
fn given(hint: &str) -> Vec<String> {
    hint.split('|')
        .filter(|word| word.starts_with(|first: char| first.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}

fn argument(flag: &Flag) -> Arg {
    let id = if flag.name.is_empty() {
        flag.letter
    } else {
        flag.name
    };
    let mut argument = Arg::new(id).help(flag.help.clone());
    if let Some(letter) = flag.letter.chars().next() {
        argument = argument.short(letter);
    }
    if !flag.name.is_empty() {
        argument = argument.long(flag.name);
    }
    match flag.takes {
        Takes::Nothing => argument.action(ArgAction::SetTrue),
        Takes::Value(hint) => with_values(argument.action(ArgAction::Set), hint),
        Takes::Values(hint) => with_values(argument.action(ArgAction::Append), hint),
    }
}

/// The arguments that are not flags: the words of a usage line, such as ` ID` or ` client|server [NAME...]`. The value of a
/// flag that is required (` --above SEQUENCE`) is none of them.
fn positionals(usage: &'static str) -> Vec<Arg> {
    let words: Vec<&str> = usage.split_whitespace().collect();
    let is_value = |index: usize| index > 0 && words[index - 1].starts_with("--");
    let is_positional = |(index, word): &(usize, &&str)| {
        !word.starts_with("--") && !is_value(*index) && **word != "COMMAND"
    };
    words
        .iter()
        .enumerate()
        .filter(is_positional)
        .map(|(_, word)| {
            let hint = word.trim_matches(['[', ']']);
            let argument = match word.contains("...") {
                true => Arg::new(hint.to_owned())
                    .action(ArgAction::Append)
                    .num_args(0..),
                false => Arg::new(hint.to_owned()),
            };
            with_values(argument, hint)
        })
        .collect()
}

/// Says what the values are. A hint in small letters, such as `yes|no`, lists them; `FILE` and `DIR` are paths; everything
/// else is for people to know.
fn with_values(argument: Arg, hint: &str) -> Arg {
    let words = given(hint);
    let (values, hinted) = if !words.is_empty() {
        let words = PossibleValuesParser::new(words);
        (ValueParser::from(words), ValueHint::Unknown)
    } else if hint.split('|').any(|word| word.starts_with("FILE")) {
        (ValueParser::string(), ValueHint::FilePath)
    } else if hint == "DIR" {
        (ValueParser::string(), ValueHint::DirPath)
    } else {
        (ValueParser::string(), ValueHint::Other)
    };
    argument
        .value_name(hint.to_owned())
        .value_parser(values)
        .value_hint(hinted)
        // The name of the value shows them already.
        .hide_possible_values(true)
}
