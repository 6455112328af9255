//! `ipseity-cli`: identities, how the servers do, and what an operator tells them, from a shell.
//!
//! Each command is a file with one `command::Command` in it. This file finds the command, and turns its
//! result into an exit code: 0 it worked, 1 it failed, 2 the command line is wrong, 3 a server does not
//! hand out identities. It opens no connection, and writes only help and the version.

mod advance;
mod at_once;
mod bench;
mod cert;
mod clock;
mod command;
mod decode;
mod failure;
mod find;
mod json;
mod members;
mod next;
mod pids;
mod ping;
mod servers;
mod shape;
mod status;
mod tint;
mod unread;
mod unseen;
mod values;
mod watch;

use std::{
    ffi::OsString,
    io::{self, BufWriter, Write},
    process::ExitCode,
};

pub use command::Command;
use failure::Failure;
pub use find::{COMMANDS, common_flags, flags_of};
use ipseity_pids::OpenDirectory;

/// The exit codes, and what each means. The help, the man pages and docs/operations.md show this table.
pub const EXIT_CODES: [(&str, &str); 4] = [
    ("0", "It worked."),
    ("1", "It failed, or a server could not be asked."),
    ("2", "The command line is wrong."),
    ("3", "A server hands out no identities (status and ping)."),
];

/// Large enough that thousands of identities leave with one system call.
const OUTPUT_BUFFER_BYTES: usize = 64 * 1024;

/// Runs the program: reads the arguments of this process, writes to its standard output and error, and returns
/// its exit code. `open` takes a state directory: how that is read is known to the crate of the server only.
pub fn main(open: OpenDirectory) -> ExitCode {
    pids::open_with(open);
    if let Err(error) = ipseity_console::outlive_file_size_limit() {
        return failure::report(Failure::Failed(format!("cannot handle signals: {error}")));
    }
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut out = BufWriter::with_capacity(OUTPUT_BUFFER_BYTES, io::stdout().lock());
    let result = run(&arguments, &mut out);
    // What was written before a failure is still good: identities that were handed out, say.
    let flushed = out.flush().map_err(Failure::from);
    // Whatever is still in it could not be written; dropping it would try again.
    let _ = out.into_parts();
    result
        .and(flushed)
        .map_or_else(failure::report, |()| ExitCode::SUCCESS)
}

fn run(arguments: &[OsString], out: &mut dyn Write) -> Result<(), Failure> {
    match find::find(arguments)? {
        find::Found::Help(text) => Ok(out.write_all(text.as_bytes())?),
        find::Found::Version => Ok(writeln!(
            out,
            "{}",
            ipseity_console::version("ipseity-cli")
        )?),
        find::Found::Command(command, matches) => {
            // A wrong `--color` is refused by commands too that have nothing to colour.
            let checked = tint::Tint::of(&matches).map(drop);
            checked
                .and_then(|()| (command.run)(&matches, out))
                .map_err(|failure| failure.with_help_of(Some(command.name)))
        }
    }
}
