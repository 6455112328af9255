//! `decode`: an identity in all its forms. It asks no server.

use std::io::Write;

use getopts::Matches;

use ipseity_console::{Flags, Form};

use crate::{
    command::{Command, no_more},
    failure::Failure,
    values,
};

/// The command.
pub const COMMAND: Command = Command {
    name: "decode",
    arguments: " ID",
    summary: "Show an identity in all its forms, without asking a server",
    details: "ID is an identity: decimal (1025), hexadecimal (0x401) or sequence:pid (1:1).",
    options,
    run,
};

fn options(_: &mut Flags) {}

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    let Some((text, rest)) = matches.free.split_first() else {
        return Err(Failure::Usage("no identity to decode".to_owned()));
    };
    no_more(rest)?;
    let identity = values::identity("ID", text)?;
    for (form, name) in Form::ALL {
        write!(out, "{name:<8} ")?;
        form.write(out, identity)?;
        writeln!(out)?;
    }
    writeln!(out, "sequence {}", identity.sequence())?;
    writeln!(out, "pid      {}", identity.pid())?;
    Ok(())
}
