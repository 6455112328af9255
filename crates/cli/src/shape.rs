//! The shape of what is written, `--format text|json|csv`, and how an identity is written, `--as
//! decimal|hex|pair|base32`: the same flags for every command.

use std::io::{self, Write};

use getopts::Matches;
use ipseity_console::{Flags, Form, plain};
use ipseity_core::identity::Identity;

use crate::failure::Failure;

/// The shape of what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Json,
    /// A header, and a row a line.
    Csv,
}

impl Shape {
    fn from_name(name: &str) -> Option<Shape> {
        match name {
            "text" => Some(Shape::Text),
            "json" => Some(Shape::Json),
            "csv" => Some(Shape::Csv),
            _ => None,
        }
    }

    /// Refuses CSV for something whose answer is no table.
    ///
    /// # Errors
    /// The shape is CSV.
    pub fn not_csv(self, of: &str) -> Result<(), Failure> {
        match self {
            Shape::Csv => Err(Failure::Usage(format!(
                "{of} has no CSV: use --format text or json"
            ))),
            Shape::Text | Shape::Json => Ok(()),
        }
    }
}

/// Declares `--format`.
pub fn options(options: &mut Flags) {
    options.optopt(
        "",
        "format",
        "the shape of the output (default: text)",
        "text|json|csv",
    );
}

/// Declares `--format`, and `--json`, which is another word for `--format json`.
pub fn options_with_json(flags: &mut Flags) {
    options(flags);
    flags.optflag("", "json", "the same as --format json");
}

/// Declares `--format` and `--as`.
pub fn identity_options(flags: &mut Flags) {
    options(flags);
    flags.optopt(
        "",
        "as",
        "how an identity is written (default: decimal)",
        "decimal|hex|pair|base32",
    );
}

/// What `--format` says, or `--json` where a command has it.
pub fn shape(matches: &Matches) -> Result<Shape, Failure> {
    let as_json = matches.opt_defined("json") && matches.opt_present("json");
    match matches.opt_str("format") {
        None if as_json => Ok(Shape::Json),
        None => Ok(Shape::Text),
        Some(_) if as_json => Err(Failure::Usage(
            "--json and --format cannot be given together".to_owned(),
        )),
        Some(name) => Shape::from_name(&name).ok_or_else(|| wrong(&name)),
    }
}

fn wrong(name: &str) -> Failure {
    Failure::Usage(format!("--format takes text, json or csv, not {name:?}"))
}

/// How identities are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    pub shape: Shape,
    pub form: Form,
}

impl Default for Shown {
    fn default() -> Shown {
        Shown {
            shape: Shape::Text,
            form: Form::Decimal,
        }
    }
}

/// The columns of an identity in CSV.
pub const IDENTITY_HEADER: &str = "identity,sequence,pid";

impl Shown {
    /// What the flags say; `None` without any. `--format decimal`, `hex` and `pair` are older words for `--as`.
    pub fn of(matches: &Matches) -> Result<Option<Shown>, Failure> {
        let (format, form) = (matches.opt_str("format"), matches.opt_str("as"));
        if format.is_none() && form.is_none() {
            return Ok(None);
        }
        let older = format.as_deref().and_then(|name| name.parse::<Form>().ok());
        let form = match form {
            None => older.unwrap_or(Form::Decimal),
            Some(_) if older.is_some() => {
                let older = format.unwrap_or_default();
                return Err(Failure::Usage(format!(
                    "--format {older} and --as cannot be given together"
                )));
            }
            Some(name) => name.parse().map_err(|()| {
                Failure::Usage(format!(
                    "--as takes decimal, hex, pair or base32, not {name:?}"
                ))
            })?,
        };
        let shape = match older {
            Some(_) => Shape::Text,
            None => shape(matches)?,
        };
        Ok(Some(Shown { shape, form }))
    }

    /// Whether a line with [`IDENTITY_HEADER`] comes first.
    pub fn has_header(self) -> bool {
        self.shape == Shape::Csv
    }

    /// Writes the identity as a line.
    pub fn write(self, out: &mut dyn Write, identity: Identity) -> io::Result<()> {
        let (sequence, pid) = (identity.sequence(), identity.pid());
        match self.shape {
            Shape::Text => {
                self.form.write(out, identity)?;
                out.write_all(b"\n")
            }
            // Many programs read a number of JSON as a float of 64 bits, and would round large ones, so what may be large
            // is a string.
            Shape::Json => {
                out.write_all(br#"{"identity":""#)?;
                self.form.write(out, identity)?;
                writeln!(out, r#"","sequence":"{sequence}","pid":{pid}}}"#)
            }
            Shape::Csv => {
                self.form.write(out, identity)?;
                writeln!(out, ",{sequence},{pid}")
            }
        }
    }
}

/// Writes a row of CSV (RFC 4180, with a line feed at the end). What came from the network cannot end the row or control
/// a terminal.
pub fn write_csv<T: AsRef<str>>(
    out: &mut dyn Write,
    fields: impl IntoIterator<Item = T>,
) -> io::Result<()> {
    let fields: Vec<String> = fields
        .into_iter()
        .map(|field| quoted(field.as_ref()))
        .collect();
    writeln!(out, "{}", fields.join(","))
}

fn quoted(field: &str) -> String {
    let field = plain(field);
    match field.contains([',', '"']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Result<Option<Shown>, Failure> {
        let mut flags = Flags::new();
        identity_options(&mut flags);
        let arguments: Vec<&str> = line.split_whitespace().collect();
        Shown::of(&flags.options().parse(arguments).unwrap())
    }

    #[test]
    fn older_words_for_the_form_are_taken() {
        let hex = Shown {
            shape: Shape::Text,
            form: Form::Hex,
        };
        assert_eq!(shown("--format hex").unwrap(), Some(hex));
        assert_eq!(shown("--as hex").unwrap(), Some(hex));
        assert_eq!(shown("").unwrap(), None);
        let csv = shown("--format csv --as base32").unwrap().unwrap();
        assert_eq!((csv.shape, csv.form), (Shape::Csv, Form::Base32));
        for line in [
            "--format hex --as pair",
            "--as xml",
            "--as json",
            "--format xml",
        ] {
            assert!(matches!(shown(line), Err(Failure::Usage(_))), "{line}");
        }
    }

    #[test]
    fn each_shape_writes_an_identity_in_each_form() {
        let identity = Identity::from_u64(1025).unwrap();
        let written = |line: &str| {
            let mut out = Vec::new();
            shown(line)
                .unwrap()
                .unwrap()
                .write(&mut out, identity)
                .unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written("--format text"), "1025\n");
        assert_eq!(written("--as base32"), "0000000000101\n");
        assert_eq!(
            written("--format json --as hex"),
            "{\"identity\":\"0x0000000000000401\",\"sequence\":\"1\",\"pid\":1}\n"
        );
        assert_eq!(written("--format csv --as pair"), "1:1,1,1\n");
    }

    #[test]
    fn a_field_of_csv_is_quoted_where_it_must_be() {
        let mut out = Vec::new();
        write_csv(&mut out, ["a", "b,c", "d\"e", "f\ng", ""]).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "a,\"b,c\",\"d\"\"e\",f\\ng,\n");
    }
}
