//! The tables of docs/scale.md, and where they are in it.

use super::rows::{Measured, Row, middle_and_most, theory};

/// A table of the page.
struct Table {
    /// Its first line.
    heading: &'static str,
    /// The column after servers and fanout: the prediction of the theory, if it has one.
    theory: Option<fn(&Row) -> String>,
    /// The columns with the measurements, without loss and with loss.
    cell: fn(&Measured) -> String,
}

const TABLES: [Table; 3] = [
    Table {
        heading: "| servers | fanout | theory | rounds, no loss | 10 % loss | 50 % loss |",
        theory: Some(|row| format!("{:.2}", theory(row.servers, row.fanout))),
        cell: |measured| spread(&measured.intervals),
    },
    Table {
        heading: "| servers | fanout | a second, no loss | 10 % loss | 50 % loss |",
        theory: None,
        cell: cost,
    },
    Table {
        heading: "| servers | fanout | behind, no loss | 10 % loss | 50 % loss |",
        theory: None,
        cell: |measured| spread(&measured.behind),
    },
];

/// The tables that show these rows: their headings and their lines.
pub fn tables(rows: &[Row]) -> Vec<(&'static str, Vec<String>)> {
    let line = |table: &Table, row: &Row| {
        let fanout = row.fanout.map_or("all".to_owned(), |few| few.to_string());
        let mut cells = vec![row.servers.to_string(), fanout];
        cells.extend(table.theory.map(|theory| theory(row)));
        cells.extend(row.measured.iter().map(table.cell));
        format!("| {} |", cells.join(" | "))
    };
    TABLES
        .iter()
        .map(|table| {
            let lines = rows.iter().map(|row| line(table, row)).collect();
            (table.heading, lines)
        })
        .collect()
}

/// The page, with these tables in place of those with the same headings.
pub fn with_tables(page: &str, tables: &[(&'static str, Vec<String>)]) -> String {
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    for (heading, rows) in tables {
        let at = lines.iter().position(|line| line == heading);
        // After the heading and the line under it.
        let first = at.unwrap_or_else(|| panic!("the page has no table {heading}")) + 2;
        let count = lines[first..]
            .iter()
            .take_while(|line| line.starts_with('|'))
            .count();
        lines.splice(first..first + count, rows.iter().cloned());
    }
    lines.join("\n") + "\n"
}

/// The median, and in brackets the greatest.
fn spread(sorted: &[f64]) -> String {
    let (middle, most) = middle_and_most(sorted);
    format!("{middle:.2} ({most:.2})")
}

/// A number and the prefix of its unit: `19.8`, `k`.
fn short(number: f64) -> (String, &'static str) {
    match number {
        ..1e3 => (format!("{number:.0}"), ""),
        1e3..1e6 => (format!("{:.1}", number / 1e3), "k"),
        _ => (format!("{:.2}", number / 1e6), "M"),
    }
}

fn cost(measured: &Measured) -> String {
    let (messages, thousands) = short(measured.messages);
    let (bytes, prefix) = short(measured.bytes);
    format!("{messages}{thousands}, {bytes} {prefix}B")
}
