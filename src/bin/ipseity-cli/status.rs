//! `status`: how each server does, for people or as JSON.

mod json;
mod text;

use std::io::Write;

use getopts::{Matches, Options};
use ipseity::client::ClientOptions;

use crate::{
    command::{Command, no_more},
    failure::{Failure, advice, complain},
    servers,
};

/// The command.
pub const COMMAND: Command = Command {
    name: "status",
    arguments: "",
    summary: "Show how each server does, and how it sees its peers",
    details: "A server that cannot be reached is named on standard error; the others are shown.",
    options,
    run,
};

fn options(options: &mut Options) {
    options.optflag("", "json", "one JSON object a line for each server");
}

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    no_more(&matches.free)?;
    let as_json = matches.opt_present("json");
    let (mut shown, mut failed) = (0, false);
    for mut client in servers::clients(matches, ClientOptions::default())? {
        match client.status() {
            Ok(status) => {
                let server = client.server().to_string();
                if as_json {
                    json::write(out, &server, &status)?;
                } else {
                    if shown > 0 {
                        writeln!(out)?;
                    }
                    text::write(out, &server, &status)?;
                }
                // So that it stands before what is said of the next server on standard error.
                out.flush()?;
                shown += 1;
            }
            Err(error) => {
                complain(&advice(&error));
                failed = true;
            }
        }
    }
    if failed { Err(Failure::Said) } else { Ok(()) }
}

/// How far the peer is behind the server.
fn lag(server_sequence: u64, peer_sequence: u64) -> u64 {
    server_sequence.saturating_sub(peer_sequence)
}

/// The name of a code in `errors`, or its number if this build does not know it.
fn code_name(code: u16) -> String {
    ipseity::wire::ErrorCode::from_u16(code)
        .map_or_else(|| code.to_string(), |code| code.name().to_owned())
}

#[cfg(test)]
mod tests;
