//! `advance`: an operator tells one server to go on above a sequence.

use std::io::Write;

use getopts::Matches;
use ipseity_console::Flags;
use ipseity_core::identity::Sequence;

use crate::{
    command::{Command, no_more},
    failure::Failure,
    servers,
    shape::{self, Shape},
    values,
};

/// The last sequence would leave the server none to hand out.
const ABOVE_MAX: u64 = Sequence::MAX.get() - 1;

/// The command.
pub const COMMAND: Command = Command {
    name: "advance",
    arguments: " --above SEQUENCE",
    summary: "Make one server go on above a sequence",
    details: "\
The server goes on above this sequence, whatever its --max-advance and its budgets are. That is on
its disk, or in etcd, when the command ends. If the server is above the sequence already, nothing
changes. The command shows the sequence above which the server goes on.

Sequences that are jumped over are never handed out, and the peers of the server follow it. So a
jump of more than the --max-advance of the server (2^40 by default) needs --yes.

A server takes this command only from its own machine, or from an address that it was given with
--trust.",
    examples: &[
        (
            "ipseity-cli advance --above 5000",
            "go on above sequence 5000",
        ),
        (
            "ipseity-cli advance --above 5000 --format json",
            "the same, for a program",
        ),
    ],
    options,
    run,
};

fn options(options: &mut Flags) {
    options.optopt("", "above", "the sequence; required", "SEQUENCE");
    options.optflag(
        "",
        "yes",
        "allow a jump of more than the --max-advance of the server",
    );
    shape::options(options);
    servers::options(options);
}

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    no_more(&matches.free)?;
    let above = values::number(matches, "above", 0..=ABOVE_MAX)?
        .and_then(Sequence::new)
        .ok_or_else(|| Failure::Usage("--above SEQUENCE is missing".to_owned()))?;
    let shape = shape::shape(matches)?;
    let servers = servers::addresses(matches)?;
    if servers.len() != 1 {
        return Err(Failure::Usage(format!(
            "one server is advanced at a time, and {} are named: name one with --server",
            servers.len()
        )));
    }
    let client = servers::client(matches)?;
    if !matches.opt_present("yes") {
        let status = client.status()?;
        check_jump(status.sequence, above.get(), status.bounds.advance_max)?;
    }
    let goes_on_above = client.advance(above)?;
    let server = client.server();
    Ok(match shape {
        Shape::Text => writeln!(out, "{goes_on_above}"),
        Shape::Json => writeln!(
            out,
            r#"{{"server":"{server}","sequence":"{goes_on_above}"}}"#
        ),
        Shape::Csv => writeln!(out, "server,sequence\n{server},{goes_on_above}"),
    }?)
}

/// Refuses a jump that is longer than what the server takes from peers and clients at once: it may be a mistake.
fn check_jump(from: u64, above: u64, most: u64) -> Result<(), Failure> {
    let jump = above.saturating_sub(from);
    if jump <= most {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "--above {above} jumps over {jump} sequences, which are then gone for good: the server is at {from}, and \
         its --max-advance is {most}. If you mean it, add --yes"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_jump_beyond_what_the_server_takes_at_once_needs_a_yes() {
        const MOST: u64 = 1000;
        for (from, above) in [(0, 0), (9, 5), (7, 7 + MOST), (0, MOST)] {
            assert!(check_jump(from, above, MOST).is_ok(), "{from} to {above}");
        }
        for (from, above) in [(0, MOST + 1), (7, 8 + MOST), (0, ABOVE_MAX)] {
            match check_jump(from, above, MOST) {
                Err(Failure::Usage(text)) => {
                    let jump = format!("jumps over {} sequences", above - from);
                    assert!(text.contains(&jump) && text.contains("--yes"), "{text}");
                }
                other => panic!("{from} to {above}: {other:?}"),
            }
        }
    }
}
