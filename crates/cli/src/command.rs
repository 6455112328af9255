//! What each command is made of.

use std::io::Write;

use getopts::Matches;
use ipseity_console::Flags;

use crate::failure::Failure;

/// One command. A new one is a new file and a line in `find::COMMANDS`.
pub struct Command {
    /// Its name on the command line.
    pub name: &'static str,
    /// What follows the name besides options, for the help.
    pub arguments: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// The rest of its help, in whole lines.
    pub details: &'static str,
    /// Command lines, and what each is for. The help shows them, and a test runs them in this order.
    pub examples: &'static [(&'static str, &'static str)],
    /// Declares its options. A letter or a name has the same kind of value in all commands, so that the
    /// command can be found before its options are known.
    pub options: fn(&mut Flags),
    /// Runs it with its flags. It writes to the writer, and the caller flushes it.
    pub(crate) run: fn(&Matches, &mut dyn Write) -> Result<(), Failure>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Fails if an argument is left over.
pub fn no_more(arguments: &[String]) -> Result<(), Failure> {
    match arguments.first() {
        None => Ok(()),
        Some(extra) => Err(too_many(extra)),
    }
}

/// What is said of an argument that is left over.
pub fn too_many(extra: &str) -> Failure {
    Failure::Usage(format!("{extra:?} is one argument too many"))
}
