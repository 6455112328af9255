//! The table of all results.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::perform::Outcome;

/// A result, in a cell of the table.
#[derive(Clone, Debug)]
pub struct Cell {
    pub outcome: Outcome,
    pub took: Duration,
    /// What is worth telling of a result that is good.
    pub note: String,
}

/// All results: a column for each client, a row for each scenario.
#[derive(Default)]
pub struct Table {
    rows: Vec<String>,
    columns: Vec<String>,
    cells: BTreeMap<(String, String), Cell>,
    skipped: BTreeMap<String, String>,
}

impl Table {
    /// An empty table with these rows.
    pub fn new(rows: Vec<String>) -> Table {
        Table {
            rows,
            ..Table::default()
        }
    }

    /// Notes that a client takes part.
    pub fn column(&mut self, client: &str) {
        self.columns.push(client.to_owned());
    }

    /// Notes that a client is skipped, and why.
    pub fn skip(&mut self, client: &str, why: &str) {
        self.skipped.insert(client.to_owned(), why.to_owned());
    }

    /// Notes a result.
    pub fn set(&mut self, client: &str, row: &str, cell: Cell) {
        if !self.rows.iter().any(|other| other == row) {
            self.rows.insert(0, row.to_owned());
        }
        self.cells.insert((client.to_owned(), row.to_owned()), cell);
    }

    /// A result, if there is one.
    pub fn cell(&self, client: &str, row: &str) -> Option<&Cell> {
        self.cells.get(&(client.to_owned(), row.to_owned()))
    }

    /// Whether anything differs.
    pub fn has_failed(&self) -> bool {
        self.cells
            .values()
            .any(|cell| matches!(cell.outcome, Outcome::Failed(_)))
    }

    fn word(&self, client: &str, row: &str) -> &'static str {
        match self.cell(client, row).map(|cell| &cell.outcome) {
            None => "",
            Some(Outcome::Passed) => "ok",
            Some(Outcome::Failed(_)) => "FAILED",
            Some(Outcome::Unsupported(_)) => "none",
            Some(Outcome::Skipped(_)) => "skipped",
        }
    }

    /// The table as text.
    pub fn text(&self) -> String {
        let width = self.rows.iter().map(String::len).max().unwrap_or(0);
        let mut text = format!("{:width$}", "");
        for client in &self.columns {
            text += &format!("  {client}");
        }
        for row in &self.rows {
            text += &format!("\n{row:width$}");
            for client in &self.columns {
                text += &format!("  {:1$}", self.word(client, row), client.len());
            }
            text.truncate(text.trim_end().len());
        }
        text + "\n"
    }

    /// A line for each client, and what differs.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for client in &self.columns {
            let cells: Vec<&Cell> = self
                .rows
                .iter()
                .filter_map(|row| self.cell(client, row))
                .collect();
            let count =
                |is: fn(&Outcome) -> bool| cells.iter().filter(|cell| is(&cell.outcome)).count();
            text += &format!(
                "{client}: {} ok, {} not in the language, {} failed\n",
                count(|outcome| *outcome == Outcome::Passed),
                count(|outcome| matches!(outcome, Outcome::Unsupported(_))),
                count(|outcome| matches!(outcome, Outcome::Failed(_))),
            );
        }
        for (client, why) in &self.skipped {
            text += &format!("{client}: SKIPPED: {why}\n");
        }
        for client in &self.columns {
            for row in &self.rows {
                match self.cell(client, row) {
                    Some(Cell {
                        outcome: Outcome::Failed(reason),
                        ..
                    }) => {
                        let reason = reason.trim_end().replace('\n', "\n    ");
                        text += &format!("\n{client}, {row}: FAILED\n    {reason}\n");
                    }
                    Some(Cell {
                        outcome: Outcome::Unsupported(why),
                        ..
                    }) => {
                        text += &format!("{client}, {row}: not in the language: {why}\n");
                    }
                    Some(Cell {
                        outcome: Outcome::Skipped(why),
                        ..
                    }) => {
                        text += &format!("{client}, {row}: SKIPPED: {why}\n");
                    }
                    Some(Cell { note, .. }) if !note.is_empty() => {
                        text += &format!("{client}, {row}: {note}\n");
                    }
                    _ => {}
                }
            }
        }
        text
    }

    /// The table as Markdown, with the summary behind it.
    pub fn markdown(&self) -> String {
        let mut text = format!("| scenario | {} |\n", self.columns.join(" | "));
        text += &format!("| --- |{}\n", " --- |".repeat(self.columns.len()));
        for row in &self.rows {
            let words: Vec<&str> = self
                .columns
                .iter()
                .map(|client| self.word(client, row))
                .collect();
            text += &format!("| {row} | {} |\n", words.join(" | "));
        }
        format!("{text}\n```\n{}```\n", self.summary())
    }

    /// All results, for programs.
    pub fn json(&self) -> Value {
        let results = self.cells.iter().map(|((client, row), cell)| {
            let (result, reason) = match &cell.outcome {
                Outcome::Passed => ("ok", &cell.note),
                Outcome::Failed(reason) => ("failed", reason),
                Outcome::Unsupported(why) => ("unsupported", why),
                Outcome::Skipped(why) => ("skipped", why),
            };
            let took_ms = cell.took.as_millis() as u64;
            json!({"client": client, "scenario": row, "result": result, "text": reason, "took_ms": took_ms})
        });
        json!({"results": results.collect::<Vec<_>>(), "skipped": self.skipped})
    }
}
