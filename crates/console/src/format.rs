//! How things look: identities in their forms, tables, durations, and text that came from the network.

use std::{fmt, io, io::Write, str::FromStr, time::Duration};

use ipseity_core::{
    identity::{Identity, Sequence},
    words::ErrorCode,
};

/// How an identity is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `1025`
    Decimal,
    /// `0x0000000000000401`: always 16 digits, so that the order of texts is the order of identities.
    Hex,
    /// `1:1`, the sequence and the pid
    Pair,
    /// `0000000000101`: always 13 characters, whose order is that of the identities.
    Base32,
}

impl Form {
    /// Each form and its name.
    pub const ALL: [(Form, &'static str); 4] = [
        (Form::Decimal, "decimal"),
        (Form::Hex, "hex"),
        (Form::Pair, "pair"),
        (Form::Base32, "base32"),
    ];

    /// Writes `identity` without a line end.
    pub fn write(self, out: &mut dyn Write, identity: Identity) -> io::Result<()> {
        match self {
            Form::Decimal => write!(out, "{identity}"),
            Form::Hex => write!(out, "{identity:#018x}"),
            Form::Pair => write!(out, "{}:{}", identity.sequence(), identity.pid()),
            Form::Base32 => out.write_all(identity.to_base32().as_bytes()),
        }
    }
}

impl FromStr for Form {
    type Err = ();

    fn from_str(text: &str) -> Result<Form, ()> {
        Form::ALL
            .into_iter()
            .find(|(_, name)| *name == text)
            .map(|(form, _)| form)
            .ok_or(())
    }
}

/// The name of a code of an error, or its number if this build does not know it.
pub fn code_name(code: u16) -> String {
    ErrorCode::from_u16(code).map_or_else(|| code.to_string(), |code| code.name().to_owned())
}

/// A number for people, with a comma before each third digit from the end: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many there are, and the word for them: `1 server`, `2 servers`.
pub fn counted(count: u64, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    }
}

/// A duration for people, without digits that say nothing.
pub fn age(ms: u64) -> impl fmt::Display {
    let coarse = if ms < 1000 { ms } else { ms - ms % 1000 };
    humantime::format_duration(Duration::from_millis(coarse))
}

/// The duration in milliseconds with three decimals: `1.500 ms`. It is rounded to a microsecond.
pub fn milliseconds(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1000.0)
}

/// How many sequences remain after this one; 0 for the last one and beyond.
pub fn remaining(sequence: u64) -> u64 {
    Sequence::new(sequence).map_or(0, Sequence::remaining)
}

/// The part of all sequences that remains, rounded down, so that less than everything is never shown as 100 %.
pub fn remaining_percent(sequence: u64) -> String {
    let part = u128::from(remaining(sequence)) * 1_000_000 / u128::from(Sequence::MAX.get());
    format!("{}.{:04} %", part / 10_000, part % 10_000)
}

/// Rows as lines with aligned columns. A column is as wide as its longest cell, and at least as wide as `widths` says. It
/// is aligned to the right if its width there is negative. The last column is never padded.
pub fn table(rows: &[Vec<String>], widths: &[i8]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let least = usize::from(widths[column].unsigned_abs());
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
            .max(least)
    };
    let columns: Vec<usize> = (0..widths.len()).map(width).collect();
    rows.iter()
        .map(|row| {
            let mut line = String::new();
            for ((cell, width), least) in row.iter().zip(&columns).zip(widths) {
                line += &match least {
                    ..0 => format!("{cell:>width$}  "),
                    0.. => format!("{cell:<width$}  "),
                };
            }
            line.truncate(line.trim_end().len());
            line
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(form: Form, identity: u64) -> String {
        let mut out = Vec::new();
        form.write(&mut out, Identity::from_u64(identity).unwrap())
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_form_is_written_and_read_by_its_name() {
        assert_eq!(shown(Form::Decimal, 1025), "1025");
        assert_eq!(shown(Form::Hex, 1025), "0x0000000000000401");
        assert_eq!(shown(Form::Hex, i64::MAX as u64), "0x7fffffffffffffff");
        assert_eq!(shown(Form::Pair, 1025), "1:1");
        assert_eq!(shown(Form::Base32, 1025), "0000000000101");
        for (form, name) in Form::ALL {
            assert_eq!(name.parse(), Ok(form));
        }
        assert_eq!("Hex".parse::<Form>(), Err(()));
    }

    #[test]
    fn people_are_shown_digits_by_threes_and_the_right_word() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(counted(0, "server"), "0 servers");
        assert_eq!(counted(1, "server"), "1 server");
    }

    #[test]
    fn what_remains_is_rounded_down() {
        assert_eq!(remaining_percent(0), "100.0000 %");
        assert_eq!(remaining_percent(1), "99.9999 %");
        assert_eq!(remaining_percent(1 << 52), "49.9999 %");
        assert_eq!(remaining_percent(Sequence::MAX.get()), "0.0000 %");
        assert_eq!(remaining_percent(u64::MAX), "0.0000 %");
    }

    #[test]
    fn ages_have_no_milliseconds_beyond_the_first_second() {
        assert_eq!(age(7).to_string(), "7ms");
        assert_eq!(age(61_999).to_string(), "1m 1s");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [
            vec!["a".into(), "1".into(), "x".into()],
            vec!["bcd".into(), "22".into()],
        ];
        assert_eq!(table(&rows, &[0, -4, 0]), ["a       1  x", "bcd    22"]);
    }
}
