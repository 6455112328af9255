//! `advance`: an operator tells one server to go on above a sequence.

use std::io::Write;

use getopts::{Matches, Options};
use ipseity_core::identity::Sequence;

use crate::{
    command::{Command, no_more},
    failure::Failure,
    servers, values,
};

/// The last sequence would leave the server none to hand out.
const ABOVE_MAX: u64 = Sequence::MAX.get() - 1;

/// The command.
pub const COMMAND: Command = Command {
    name: "advance",
    arguments: " --above SEQUENCE",
    summary: "Tell one server to go on above a sequence; shows where it goes on",
    details: "\
It goes past --max-advance and every budget of the server, and is durable when this is done. A
server that is past the sequence already has nothing to do. Sequences that are jumped over are gone
for good. Taken only on the server's own machine, or from an address that it was given with --trust.",
    options,
    run,
};

fn options(options: &mut Options) {
    options.optopt("", "above", "the sequence; required", "SEQUENCE");
}

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    no_more(&matches.free)?;
    let above = values::number(matches, "above", 0..=ABOVE_MAX)?
        .and_then(Sequence::new)
        .ok_or_else(|| Failure::Usage("--above SEQUENCE is missing".to_owned()))?;
    let servers = servers::addresses(matches)?;
    if servers.len() != 1 {
        return Err(Failure::Usage(format!(
            "one server is advanced at a time, and {} are named: name one with --server",
            servers.len()
        )));
    }
    let goes_on_above = servers::client(matches)?.advance(above)?;
    Ok(writeln!(out, "{goes_on_above}")?)
}
