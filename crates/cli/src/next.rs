//! `next`: identities, one a line. Many come in blocks, several in flight, and are written as they come,
//! so that any number takes the same memory.

use std::io::{self, Write};

use getopts::Matches;
use ipseity_client::{Client, ClientError, limits::CLIENT_BLOCK_COUNT};
use ipseity_core::{
    identity::{Identity, Sequence},
    words::ErrorCode,
};

use ipseity_console::Flags;

use crate::{
    command::{Command, no_more},
    failure::{Failure, advice},
    servers,
    shape::{self, IDENTITY_HEADER, Shown},
    values,
};

/// Enough that the server works while this side writes.
const BLOCKS_IN_FLIGHT: usize = 4;

/// The command.
pub const COMMAND: Command = Command {
    name: "next",
    arguments: "",
    summary: "Get identities, one a line; each is greater than the one before",
    details: "\
With several servers, the next one is tried when one fails, and the identities still increase.
Hexadecimal has 16 digits and base32 13 characters, so sorting the lines as text sorts the
identities. Many identities are asked for in blocks, as large as the server gives.",
    examples: &[
        ("ipseity-cli next", "one identity"),
        ("ipseity-cli next -n 3 --as hex", "three, in hexadecimal"),
        (
            "ipseity-cli next --after 9000:7",
            "one that is greater than 9000:7",
        ),
        (
            "ipseity-cli next -n 1000 --format csv",
            "a table for a spreadsheet",
        ),
    ],
    options,
    run,
};

fn options(options: &mut Flags) {
    options.optopt("n", "", "how many identities (default: 1)", "COUNT");
    options.optopt(
        "",
        "after",
        "get only identities greater than this one: 1025, 0x401 or 1:1",
        "ID",
    );
    shape::identity_options(options);
    servers::options(options);
}

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    no_more(&matches.free)?;
    let count = values::number(matches, "n", 1..=Sequence::MAX.get())?.unwrap_or(1);
    let after = matches
        .opt_str("after")
        .map(|text| values::identity("--after", &text))
        .transpose()?;
    let shown = Shown::of(matches)?.unwrap_or_default();
    let mut client = servers::client(matches)?;
    if let Some(after) = after {
        client.observe(after);
    }
    if shown.has_header() {
        writeln!(out, "{IDENTITY_HEADER}")?;
    }
    let mut written: u64 = 0;
    let mut at_once = CLIENT_BLOCK_COUNT;
    while written < count {
        match take(&mut client, count, &mut written, at_once, &mut |identity| {
            shown.write(out, identity)
        })? {
            None => {}
            Some(refused) => {
                let asked =
                    u32::try_from(count - written).map_or(at_once, |left| left.min(at_once));
                at_once = less(&client, asked, refused, written, count)?;
            }
        }
    }
    Ok(())
}

/// Takes blocks of at most `at_once` until `count` identities are written. Returns the error of a server that gives less
/// at once.
fn take(
    client: &mut Client,
    count: u64,
    written: &mut u64,
    at_once: u32,
    show: &mut dyn FnMut(Identity) -> io::Result<()>,
) -> Result<Option<ClientError>, Failure> {
    for block in client.pipeline(BLOCKS_IN_FLIGHT, block_counts(count - *written, at_once)) {
        let block = match block {
            Ok(block) => block,
            Err(error) if error.code() == Some(ErrorCode::BadCount) => return Ok(Some(error)),
            Err(error) => return Err(failed(&error, *written, count)),
        };
        let size = u64::from(block.count());
        block.into_iter().try_for_each(&mut *show)?;
        *written += size;
    }
    Ok(None)
}

/// How many to ask for at once after a server has refused `at_once`: what it says that it gives, or half as many, because
/// it may be another server that answers, or one that does not say.
fn less(
    client: &Client,
    at_once: u32,
    refused: ClientError,
    written: u64,
    count: u64,
) -> Result<u32, Failure> {
    if at_once == 1 {
        return Err(failed(&refused, written, count));
    }
    let half = at_once / 2;
    let says = client.count_max().ok();
    Ok(says
        .filter(|most| (1..at_once).contains(most))
        .unwrap_or(half))
}

fn failed(error: &ClientError, written: u64, count: u64) -> Failure {
    Failure::Failed(match written {
        0 => advice(error),
        _ => format!("after {written} of {count} identities: {}", advice(error)),
    })
}

/// The sizes of the blocks that make up `count`, of which none is greater than `at_once`.
fn block_counts(count: u64, at_once: u32) -> impl Iterator<Item = u32> {
    let mut left = count;
    std::iter::from_fn(move || {
        let block = u32::try_from(left).map_or(at_once, |left| left.min(at_once));
        left -= u64::from(block);
        (block > 0).then_some(block)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_add_up_and_none_is_empty() {
        assert_eq!(block_counts(1, 1_000).collect::<Vec<_>>(), [1]);
        assert_eq!(block_counts(1_000, 1_000).collect::<Vec<_>>(), [1_000]);
        assert_eq!(
            block_counts(2_500, 1_000).collect::<Vec<_>>(),
            [1_000, 1_000, 500]
        );
        assert_eq!(
            block_counts(Sequence::MAX.get(), CLIENT_BLOCK_COUNT).next(),
            Some(CLIENT_BLOCK_COUNT)
        );
    }
}
