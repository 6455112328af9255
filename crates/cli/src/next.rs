//! `next`: identities, one a line. Many come in blocks, several in flight, and are written as they come,
//! so that any number takes the same memory.

use std::io::Write;

use getopts::Matches;
use ipseity_client::limits::CLIENT_BLOCK_COUNT;
use ipseity_core::identity::Sequence;

use ipseity_console::{Flags, Form};

use crate::{
    command::{Command, no_more},
    failure::{Failure, advice},
    servers, values,
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
A hexadecimal identity has 16 digits, so sorting the lines as text sorts the identities.",
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
    options.optopt(
        "",
        "format",
        "how to write them (default: decimal)",
        "decimal|hex|pair|json",
    );
}

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    no_more(&matches.free)?;
    let count = values::number(matches, "n", 1..=Sequence::MAX.get())?.unwrap_or(1);
    let after = matches
        .opt_str("after")
        .map(|text| values::identity("--after", &text))
        .transpose()?;
    let form = match matches.opt_str("format") {
        None => Form::Decimal,
        Some(text) => text.parse().map_err(|()| {
            Failure::Usage(format!(
                "--format takes decimal, hex, pair or json, not {text:?}"
            ))
        })?,
    };
    let mut client = servers::client(matches)?;
    if let Some(after) = after {
        client.observe(after);
    }
    let mut written: u64 = 0;
    for block in client.pipeline(BLOCKS_IN_FLIGHT, block_counts(count)) {
        let block = block.map_err(|error| {
            Failure::Failed(match written {
                0 => advice(&error),
                _ => format!("after {written} of {count} identities: {}", advice(&error)),
            })
        })?;
        for identity in block {
            form.write(out, identity)?;
            out.write_all(b"\n")?;
        }
        written += u64::from(block.count());
    }
    Ok(())
}

/// The sizes of the blocks that make up `count`.
fn block_counts(count: u64) -> impl Iterator<Item = u32> {
    let mut left = count;
    std::iter::from_fn(move || {
        let block =
            u32::try_from(left).map_or(CLIENT_BLOCK_COUNT, |left| left.min(CLIENT_BLOCK_COUNT));
        left -= u64::from(block);
        (block > 0).then_some(block)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_add_up_and_none_is_empty() {
        assert_eq!(block_counts(1).collect::<Vec<_>>(), [1]);
        assert_eq!(block_counts(1_000).collect::<Vec<_>>(), [1_000]);
        assert_eq!(block_counts(2_500).collect::<Vec<_>>(), [1_000, 1_000, 500]);
        assert_eq!(
            block_counts(Sequence::MAX.get()).next(),
            Some(CLIENT_BLOCK_COUNT)
        );
    }
}
