//! The flags of a command line: their help, and what can be wrong with them.

use getopts::{Fail, Options};

/// The name of a flag as it is written: `-n`, `--server`.
pub fn dashed(name: &str) -> String {
    match name.chars().count() {
        1 => format!("-{name}"),
        _ => format!("--{name}"),
    }
}

/// The text of a help: `brief`, and a list of the flags below it.
pub fn usage(flags: &Options, brief: &str) -> String {
    let heading = |word| format!("\n\n{word}:\n");
    flags
        .usage(brief)
        .replacen(&heading("Options"), &heading("Flags"), 1)
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
        let mut flags = Options::new();
        flags.optflag("v", "version", "show the version");
        let help = usage(&flags, "Usage: program [FLAGS]");
        assert_eq!(
            help,
            "Usage: program [FLAGS]\n\nFlags:\n    -v, --version       show the version\n"
        );
    }
}
