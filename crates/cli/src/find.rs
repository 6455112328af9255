//! The commands, and the way from a command line to one of them. It connects to nothing.

use std::ffi::OsString;

use getopts::{Fail, Matches};
use ipseity_console::{Flags, dashed, explain, nearest, usage};

use crate::{
    EXIT_CODES, advance, bench, cert,
    command::{Command, too_many},
    decode,
    failure::Failure,
    members, next, pids, ping, servers, status, tint, watch,
};

/// All commands, in the order of the help.
pub const COMMANDS: [&Command; 10] = [
    &next::COMMAND,
    &status::COMMAND,
    &decode::COMMAND,
    &ping::COMMAND,
    &watch::COMMAND,
    &members::COMMAND,
    &advance::COMMAND,
    &pids::COMMAND,
    &cert::COMMAND,
    &bench::COMMAND,
];

/// What a command line asks for.
pub enum Found {
    /// This help.
    Help(String),
    /// The version.
    Version,
    /// This command, with these options.
    Command(&'static Command, Matches),
}

/// Finds what `arguments`, without the program's name, ask for.
pub fn find(arguments: &[OsString]) -> Result<Found, Failure> {
    if let Some(word) = arguments.iter().find(|word| word.to_str().is_none()) {
        let text = format!("{word:?} is not UTF-8: every argument must be");
        return Err(Failure::Usage(text).with_help_of(None));
    }
    let every = every_option();
    let matches = every.options().parse(arguments).map_err(|fail| {
        // The flags of the command that is meant are nearer than those of all.
        let is_name = |word: &&OsString| word.to_str().and_then(by_name).is_some();
        let command = arguments
            .iter()
            .find(is_name)
            .and_then(|word| by_name(word.to_str()?));
        let flags = command.map_or_else(|| every.clone(), flags_of);
        unclear(&fail, &flags).with_help_of(command.map(|command| command.name))
    })?;
    if matches.opt_present("version") {
        return Ok(Found::Version);
    }
    let helps = matches.opt_present("help");
    let Some(name) = matches.free.first() else {
        return if helps {
            Ok(Found::Help(overview()))
        } else {
            Err(no_command("the command is missing"))
        };
    };
    if name == HELP {
        return match &matches.free[1..] {
            [] => Ok(Found::Help(overview())),
            [name] => Ok(Found::Help(help(named(name)?))),
            [_, extra, ..] => Err(too_many(extra).with_help_of(None)),
        };
    }
    let command = named(name)?;
    if helps {
        return Ok(Found::Help(help(command)));
    }
    let flags = flags_of(command);
    let mut matches = flags.options().parse(arguments).map_err(|fail| {
        let failure = match &fail {
            // It is one of another command, and so it is spelled right.
            Fail::UnrecognizedOption(name) => {
                Failure::Usage(format!("{} takes no {}", command.name, dashed(name)))
            }
            _ => unclear(&fail, &flags),
        };
        failure.with_help_of(Some(command.name))
    })?;
    matches.free.remove(0);
    Ok(Found::Command(command, matches))
}

/// The word that stands for `--help`.
const HELP: &str = "help";

fn by_name(name: &str) -> Option<&'static Command> {
    COMMANDS.into_iter().find(|command| command.name == name)
}

fn named(name: &str) -> Result<&'static Command, Failure> {
    by_name(name).ok_or_else(|| {
        let words = COMMANDS.map(|command| command.name);
        let meant = nearest(name, words.into_iter().chain([HELP]));
        let meant = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
        no_command(&format!("there is no command {name:?}{meant}"))
    })
}

fn no_command(reason: &str) -> Failure {
    let names = COMMANDS.map(|command| command.name).join(", ");
    Failure::Usage(format!("{reason}; the commands are {names}")).with_help_of(None)
}

/// What is wrong with a flag, and which of `flags` was meant instead.
fn unclear(fail: &Fail, flags: &Flags) -> Failure {
    Failure::Usage(match fail {
        Fail::UnrecognizedOption(name) => {
            let names = flags.iter().map(|flag| flag.name);
            // A letter is like every other one.
            let is_word = name.chars().count() > 1;
            let meant = is_word.then(|| nearest(name, names)).flatten();
            let meant =
                meant.map_or_else(String::new, |meant| format!("; did you mean --{meant}?"));
            format!("{} here{meant}", explain(fail))
        }
        _ => explain(fail),
    })
}

/// Declares the flags that every command takes.
fn global_options(options: &mut Flags) {
    tint::options(options);
    options.optflag("h", "help", "show this help, or that of a command");
    options.optflag("V", "version", "show the version");
}

/// The flags that several commands have in common, for the help of the program.
pub fn common_flags() -> Flags {
    let mut flags = Flags::new();
    servers::options(&mut flags);
    global_options(&mut flags);
    flags
}

/// All flags that this command takes.
pub fn flags_of(command: &Command) -> Flags {
    let mut flags = Flags::new();
    (command.options)(&mut flags);
    global_options(&mut flags);
    flags
}

fn every_option() -> Flags {
    let mut options = Flags::new();
    for command in COMMANDS {
        (command.options)(&mut options);
    }
    global_options(&mut options);
    options
}

fn overview() -> String {
    let mut brief = String::from(
        "Gets identities from Ipseity servers, shows how the servers are doing, and manages them.\n\n\
         Usage: ipseity-cli [FLAGS] COMMAND [FLAGS]\n\nCommands:\n",
    );
    for command in COMMANDS {
        brief += &format!("    {:<8} {}\n", command.name, command.summary);
    }
    brief += "    help     Show this help, or that of a command: help next\n\nExit code:\n";
    for (code, meaning) in EXIT_CODES {
        brief += &format!("    {code}  {meaning}\n");
    }
    brief += "\nThese flags stand before the command or behind it. The help of a command lists those of them that\n\
              it takes, and its own.";
    usage(&common_flags(), &brief)
}

fn help(command: &Command) -> String {
    let Command {
        name,
        arguments,
        summary,
        details,
        examples,
        ..
    } = command;
    let mut brief = format!(
        "{summary}\n\nUsage: ipseity-cli {name} [FLAGS]{arguments}\n\n{details}\n\nExamples:\n"
    );
    for (line, purpose) in *examples {
        brief += &format!("    # {purpose}\n    {line}\n");
    }
    usage(&flags_of(command), brief.trim_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::ProptestConfig;

    use super::*;

    fn found(line: &str) -> Result<Found, Failure> {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        find(&arguments)
    }

    fn refused(line: &str) -> String {
        match found(line) {
            Err(Failure::Usage(text)) => text,
            Err(other) => panic!("{line}: {other:?}"),
            Ok(_) => panic!("{line} was accepted"),
        }
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in [
            "--server a:1 next -n 3",
            "next -n 3 --server a:1",
            "next -s a:1 -n3",
        ] {
            match found(line) {
                Ok(Found::Command(command, matches)) => {
                    assert_eq!(command.name, "next");
                    assert_eq!(matches.opt_str("n").as_deref(), Some("3"));
                    assert_eq!(matches.opt_strs("server"), ["a:1"]);
                    assert!(matches.free.is_empty());
                }
                _ => panic!("{line}"),
            }
        }
    }

    #[test]
    fn an_argument_that_is_not_utf_8_is_called_that() {
        use std::os::unix::ffi::OsStringExt as _;
        let odd = OsString::from_vec(vec![0xff, 0xfe]);
        for arguments in [
            vec!["cert".into(), "client".into(), odd.clone()],
            vec!["next".into(), "--server".into(), odd.clone()],
            vec![odd],
        ] {
            match find(&arguments) {
                Err(Failure::Usage(text)) => {
                    assert!(
                        text.starts_with("\"\\xFF\\xFE\" is not UTF-8: every argument must be"),
                        "{text}"
                    );
                }
                _ => panic!("{arguments:?} was accepted"),
            }
        }
    }

    #[test]
    fn a_value_is_never_taken_for_the_command() {
        match found("--server status ping") {
            Ok(Found::Command(command, _)) => assert_eq!(command.name, "ping"),
            _ => panic!("the command is ping"),
        }
    }

    #[test]
    fn a_wrong_command_line_says_what_is_wrong() {
        for (line, part) in [
            ("", "the command is missing; the commands are next, status"),
            ("nxt", "there is no command \"nxt\"; did you mean next?"),
            (
                "help nxt",
                "there is no command \"nxt\"; did you mean next?",
            ),
            ("help next ping", "\"ping\" is one argument too many"),
            (
                "next --fromat hex",
                "there is no flag \"--fromat\" here; did you mean --format?",
            ),
            ("next --jsn", "there is no flag \"--jsn\" here (see"),
            (
                "status --jsn",
                "did you mean --json? (see ipseity-cli status --help)",
            ),
            ("next --frobnicate", "there is no flag \"--frobnicate\""),
            ("next -x", "there is no flag \"-x\""),
            ("next -n", "-n needs a value"),
            ("next -n 1 -n 2", "-n is given more than once"),
            ("status --json --json", "--json is given more than once"),
            ("status --json=yes", "--json takes no value"),
            (
                "next --json",
                "next takes no --json (see ipseity-cli next --help)",
            ),
            (
                "--timeout 1s decode 5",
                "decode takes no --timeout (see ipseity-cli decode --help)",
            ),
            ("ping -c 1", "ping takes no -c (see ipseity-cli ping"),
        ] {
            let text = refused(line);
            assert!(text.contains(part), "{line}: {text}");
            assert!(!text.contains('\n'), "{line}: {text}");
        }
    }

    #[test]
    fn help_is_there_for_all_and_for_each() {
        assert!(matches!(found("help"), Ok(Found::Help(_))));
        match found("--help") {
            Ok(Found::Help(text)) => {
                for command in COMMANDS {
                    assert!(text.contains(command.summary), "{text}");
                }
            }
            _ => panic!("no help"),
        }
        let words = COMMANDS.map(|command| {
            [
                format!("{} -h", command.name),
                format!("help {}", command.name),
            ]
        });
        for (command, line) in COMMANDS
            .into_iter()
            .zip(words)
            .flat_map(|(command, lines)| lines.map(|line| (command, line)))
        {
            match found(&line) {
                Ok(Found::Help(text)) => {
                    for (example, _) in command.examples {
                        assert!(text.contains(example), "{text}");
                    }
                    assert!(text.contains(command.summary), "{text}");
                    let asks_nobody = ["decode", "cert", "pids"].contains(&command.name);
                    for flag in ["--server", "--timeout", "--tls-ca"] {
                        assert_eq!(text.contains(flag), !asks_nobody, "{flag}: {text}");
                    }
                    for line in text.lines() {
                        assert!(line.chars().count() <= 100, "{line}");
                    }
                }
                _ => panic!("no help for {}", command.name),
            }
        }
        assert!(matches!(found("next --version"), Ok(Found::Version)));
    }

    proptest::proptest! {
        // A failure prints the smallest input that fails. A file beside the sources would add nothing.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_arguments_give_a_result_or_an_error_of_one_line(
            arguments in proptest::collection::vec(any_argument(), 0..6),
        ) {
            let arguments: Vec<OsString> = arguments.into_iter().map(OsString::from).collect();
            match find(&arguments) {
                Ok(Found::Command(command, matches)) => {
                    // Commands check their values when they run. This one can be run here, as it asks no server.
                    let reads_input = matches.free.first().is_none_or(|text| text == "-");
                    if command.name == "decode" && !reads_input {
                        let _ = (command.run)(&matches, &mut std::io::sink());
                    }
                }
                Ok(Found::Help(_) | Found::Version) => {}
                Err(Failure::Usage(text)) => assert!(!text.contains(char::is_control), "{text:?}"),
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    fn any_argument() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let known = [
            "next",
            "status",
            "decode",
            "members",
            "advance",
            "--server",
            "-n",
            "-n3",
            "--json",
            "--timeout",
            "--help",
            "-V",
            "--",
            "-",
            "--json=1",
            "1:1",
            "0x401",
            "a:1",
        ];
        prop_oneof![
            4 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
            1 => any::<String>(),
            1 => any::<String>().prop_map(|text| format!("--{text}")),
        ]
    }
}
