//! `decode`: identities in all their forms. It asks no server.

use std::io::{self, BufRead, IsTerminal as _, Read as _, Write};

use getopts::Matches;

use ipseity_console::{Flags, Form};
use ipseity_core::identity::Identity;

use crate::{
    command::{Command, no_more},
    failure::Failure,
    shape::{self, IDENTITY_HEADER, Shape, Shown},
};

/// The longest line that is read. The longest identity has 21 characters, so this leaves room for spaces.
const LINE_BYTES_MAX: usize = 256;

/// The command.
pub const COMMAND: Command = Command {
    name: "decode",
    arguments: " [ID|-]",
    summary: "Show an identity in all its forms, without asking a server",
    details: "\
ID is an identity: decimal (1025), hexadecimal (0x401), sequence:pid (1:1), or base32 with a letter
in it (000000008S900). With --base32 it is base32 in any case: digits alone could be decimal too.

With - in place of ID, and without ID if standard input is no terminal, identities are read from
standard input, one a line. With --format or --as each is shown as one line.",
    examples: &[
        ("ipseity-cli decode 9217024", "in all forms"),
        (
            "ipseity-cli decode --base32 0000000000101",
            "digits that are base32",
        ),
        (
            "ipseity-cli next -n 5 | ipseity-cli decode --as base32",
            "what comes from a pipe, one a line",
        ),
        ("ipseity-cli decode --format json 1:1", "for a program"),
    ],
    options,
    run,
};

fn options(options: &mut Flags) {
    options.optflag(
        "",
        "base32",
        "read base32, also where there are only digits",
    );
    shape::identity_options(options);
}

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    let mut shower = Shower {
        out,
        shown: Shown::of(matches)?,
        count: 0,
    };
    let is_base32 = matches.opt_present("base32");
    let (text, rest) = match matches.free.split_first() {
        Some((text, rest)) => (Some(text.as_str()), rest),
        None => (None, &[][..]),
    };
    no_more(rest)?;
    let missing = || {
        Failure::Usage(
            "ID is missing: decode 1025, or identities on standard input, one a line".to_owned(),
        )
    };
    match text {
        None if io::stdin().is_terminal() => Err(missing()),
        None => {
            read(&mut io::stdin().lock(), is_base32, &mut shower)?;
            if shower.count == 0 {
                return Err(missing());
            }
            Ok(())
        }
        Some("-") => read(&mut io::stdin().lock(), is_base32, &mut shower),
        Some(text) => {
            let wrong = |reason| Failure::Usage(format!("ID {text:?}: {reason}"));
            let identity = parse(text, is_base32).map_err(wrong)?;
            Ok(shower.show(identity)?)
        }
    }
}

/// Shows the identity of each line. Empty lines are skipped.
fn read(input: &mut impl BufRead, is_base32: bool, shower: &mut Shower<'_>) -> Result<(), Failure> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let most = LINE_BYTES_MAX as u64 + 1;
        let read = (&mut *input).take(most).read_until(b'\n', &mut line);
        let read = read.map_err(|error| {
            Failure::Failed(format!("cannot read from standard input: {error}"))
        })?;
        if read == 0 {
            return Ok(());
        }
        let wrong = |what: String| Failure::Failed(format!("line {number}: {what}"));
        if line.len() > LINE_BYTES_MAX {
            return Err(wrong(format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let identity =
            parse(text, is_base32).map_err(|reason| wrong(format!("{text:?}: {reason}")))?;
        shower.show(identity)?;
    }
    Ok(())
}

/// Reads an identity in any form, or says why it is none. Base32 with a letter in it cannot be meant as anything else.
fn parse(text: &str, is_base32: bool) -> Result<Identity, String> {
    if is_base32 {
        return Identity::from_base32(text).map_err(|error| error.to_string());
    }
    text.parse().or_else(|error| {
        let has_letter = text.bytes().any(|byte| byte.is_ascii_alphabetic());
        let base32 = has_letter.then(|| Identity::from_base32(text).ok());
        base32.flatten().ok_or_else(|| format!("{error}"))
    })
}

/// Shows one identity after the other.
struct Shower<'a> {
    out: &'a mut dyn Write,
    /// How each is shown as a line; `None`: in all forms.
    shown: Option<Shown>,
    count: u64,
}

impl Shower<'_> {
    fn show(&mut self, identity: Identity) -> io::Result<()> {
        let is_first = self.count == 0;
        self.count += 1;
        let Some(shown) = self.shown else {
            if !is_first {
                writeln!(self.out)?;
            }
            return self.show_all_forms(identity);
        };
        if is_first && shown.has_header() {
            writeln!(self.out, "{IDENTITY_HEADER}")?;
        }
        shown.write(self.out, identity)
    }

    fn show_all_forms(&mut self, identity: Identity) -> io::Result<()> {
        for (form, name) in Form::ALL {
            write!(self.out, "{name:<8} ")?;
            form.write(self.out, identity)?;
            writeln!(self.out)?;
        }
        write!(self.out, "json     ")?;
        let json = Shown {
            shape: Shape::Json,
            form: Form::Decimal,
        };
        json.write(self.out, identity)?;
        writeln!(self.out, "sequence {}", identity.sequence())?;
        writeln!(self.out, "pid      {}", identity.pid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_read_where_it_can_be_nothing_else() {
        let identity = |value| Ok(Identity::from_u64(value).unwrap());
        assert_eq!(parse("000000008S900", false), identity(9_217_024));
        assert_eq!(parse("000000008s900", false), identity(9_217_024));
        assert_eq!(parse("0000000000101", false), identity(101));
        assert_eq!(parse("0000000000101", true), identity(1025));
        assert!(parse("1025", true).is_err());
        assert!(parse("0xZ", false).is_err());
    }

    #[test]
    fn a_line_that_is_no_identity_is_named() {
        let decode = |input: &str| {
            let mut out = Vec::new();
            let mut shower = Shower {
                out: &mut out,
                shown: Some(Shown::default()),
                count: 0,
            };
            let result = read(&mut input.as_bytes(), false, &mut shower);
            (
                result.map_err(|failure| format!("{failure:?}")),
                String::from_utf8(out).unwrap(),
            )
        };
        assert_eq!(decode("1:1\n\n 0x401 \n1025"), (Ok(()), "1025\n".repeat(3)));
        let (result, out) = decode("1\ntwo\n3\n");
        assert!(
            result
                .unwrap_err()
                .contains("line 2: \\\"two\\\": not a number")
        );
        assert_eq!(out, "1\n");
        let (result, _) = decode(&"1".repeat(1_000_000));
        assert!(
            result
                .unwrap_err()
                .contains("line 1: longer than 256 bytes")
        );
    }
}
