//! Writing Prometheus' text format, version 0.0.4.

use std::{fmt, io::Write};

use ipseity_console::plain;
use ipseity_core::words::Histogram;

use crate::names::{Kind, Metric};

/// One metric, of which the head has been written.
pub(crate) struct Family<'a> {
    out: &'a mut Vec<u8>,
    metric: Metric,
}

impl<'a> Family<'a> {
    /// Writes the head.
    pub(crate) fn new(metric: Metric, out: &'a mut Vec<u8>) -> Family<'a> {
        let Metric {
            name, kind, help, ..
        } = metric;
        put(out, format_args!("# HELP {name} {help}\n"));
        put(out, format_args!("# TYPE {name} {kind}\n"));
        Family { out, metric }
    }

    /// Writes a value with the values of all labels.
    pub(crate) fn labelled<const N: usize>(&mut self, labels: [&str; N], value: impl fmt::Display) {
        let mut text = String::new();
        write_labels(self.metric, labels, &mut text);
        self.sample("", &text, value);
    }

    /// Writes a value with labels that were written by [`write_labels`].
    pub(crate) fn sample(&mut self, suffix: &str, labels: &str, value: impl fmt::Display) {
        debug_assert_eq!(suffix.is_empty(), self.metric.kind != Kind::Histogram);
        put(self.out, format_args!("{}{suffix}", self.metric.name));
        if !labels.is_empty() {
            put(self.out, format_args!("{{{labels}}}"));
        }
        put(self.out, format_args!(" {value}\n"));
    }

    /// The same as [`sample`](Self::sample) for a whole number, and fast.
    pub(crate) fn number(&mut self, labels: &str, value: u64) {
        self.begin(labels);
        self.out.extend_from_slice(digits_of(value, &mut [0; 20]));
        self.out.push(b'\n');
    }

    /// The same for a number of milliseconds, which is shown in seconds.
    pub(crate) fn milliseconds(&mut self, labels: &str, ms: u64) {
        self.begin(labels);
        let out = &mut *self.out;
        out.extend_from_slice(digits_of(ms / 1000, &mut [0; 20]));
        if !ms.is_multiple_of(1000) {
            // With a digit in front, so that zeros stay.
            let rest = 1000 + ms % 1000;
            let mut digits = [0; 20];
            let mut rest = &digits_of(rest, &mut digits)[1..];
            while let [shorter @ .., b'0'] = rest {
                rest = shorter;
            }
            out.push(b'.');
            out.extend_from_slice(rest);
        }
        out.push(b'\n');
    }

    fn begin(&mut self, labels: &str) {
        let out = &mut *self.out;
        out.extend_from_slice(self.metric.name.as_bytes());
        out.push(b'{');
        out.extend_from_slice(labels.as_bytes());
        out.extend_from_slice(b"} ");
    }
}

/// The digits of a number, written into the end of `digits`. The machinery of formatting costs ten times as much.
fn digits_of(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

/// Writes a metric that has one value.
pub(crate) fn single(metric: Metric, value: impl fmt::Display, out: &mut Vec<u8>) {
    debug_assert!(metric.labels.is_empty());
    Family::new(metric, out).sample("", "", value);
}

/// Writes a histogram. Its buckets add up: each counts what is in it and in those before it.
pub(crate) fn histogram(metric: Metric, histogram: &Histogram, out: &mut Vec<u8>) {
    let mut family = Family::new(metric, out);
    let mut sum = 0u64;
    for (bound, count) in &histogram.buckets {
        sum = sum.saturating_add(*count);
        family.sample("_bucket", &format!("le=\"{}\"", Seconds(*bound)), sum);
    }
    family.sample("_bucket", "le=\"+Inf\"", histogram.count());
    family.sample("_sum", "", Seconds(histogram.sum_us));
    family.sample("_count", "", histogram.count());
}

/// Appends the labels of a metric with these values.
pub(crate) fn write_labels<const N: usize>(metric: Metric, values: [&str; N], out: &mut String) {
    assert_eq!(metric.labels.len(), N, "every label has a value");
    for (label, value) in metric.labels.iter().zip(values) {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(label);
        out.push_str("=\"");
        escape(value, out);
        out.push('"');
    }
}

/// Appends the value of a label. It may come from the network: nothing in it can end the value or the line, or control the
/// terminal of somebody who looks at it.
fn escape(value: &str, out: &mut String) {
    // All bytes are looked at, because then the compiler takes many at once.
    let is_usual = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    if value.bytes().fold(true, |all, byte| all & is_usual(byte)) {
        return out.push_str(value);
    }
    for character in plain(value).chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes everything");
}

/// A number of microseconds, shown in seconds.
pub(crate) struct Seconds(pub(crate) u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        match rest {
            0 => write!(f, "{whole}"),
            rest => {
                let digits = format!("{rest:06}");
                write!(f, "{whole}.{}", digits.trim_end_matches('0'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    #[test]
    fn seconds_are_exact_and_have_no_idle_zeros() {
        let shown = |us| Seconds(us).to_string();
        assert_eq!(shown(0), "0");
        assert_eq!(shown(10), "0.00001");
        assert_eq!(shown(2_500_000), "2.5");
        assert_eq!(shown(u64::MAX), "18446744073709.551615");
    }

    #[test]
    fn numbers_are_written_as_the_formatter_writes_them() {
        let mut out = Vec::new();
        let mut family = Family::new(names::PEER_LAG, &mut out);
        let numbers = [
            0,
            1,
            9,
            10,
            1000,
            1001,
            1010,
            1100,
            999_999,
            u64::MAX / 1000,
        ];
        for number in numbers {
            family.number("a=\"b\"", number);
            family.milliseconds("a=\"b\"", number);
        }
        family.number("a=\"b\"", u64::MAX);
        let text = String::from_utf8(out).unwrap();
        let shown: Vec<&str> = text.lines().skip(2).collect();
        let name = names::PEER_LAG.name;
        let mut expected = Vec::new();
        for number in numbers {
            expected.push(format!("{name}{{a=\"b\"}} {number}"));
            expected.push(format!("{name}{{a=\"b\"}} {}", Seconds(number * 1000)));
        }
        expected.push(format!("{name}{{a=\"b\"}} {}", u64::MAX));
        assert_eq!(shown, expected);
    }

    #[test]
    fn nothing_from_the_network_leaves_its_label() {
        let mut text = String::new();
        let evil = "a\"} 1\nipseity_up 1\\\u{1b}[2J\u{202e}ü";
        write_labels(names::PEER_UP, [evil, ""], &mut text);
        assert_eq!(
            text,
            "peer=\"a\\\"} 1\\\\nipseity_up 1\\\\\\\\u{1b}[2J\\\\u{202e}ü\",pid=\"\""
        );
    }
}
