//! What can be wrong with the flags of a command line, in words.

use getopts::Fail;

/// The name of a flag as it is written: `-n`, `--server`.
pub fn dashed(name: &str) -> String {
    match name.chars().count() {
        1 => format!("-{name}"),
        _ => format!("--{name}"),
    }
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
