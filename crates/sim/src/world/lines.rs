//! The traces of servers, kept for tests to read.

use std::{cell::RefCell, io, rc::Rc};

/// Where a server writes its trace.
#[derive(Clone, Default)]
pub struct Lines(Rc<RefCell<Vec<u8>>>);

impl Lines {
    /// All of the trace so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }

    /// The lines that contain `what`, without their serial numbers and moments.
    pub fn with(&self, what: &str) -> Vec<String> {
        let text = self.text();
        let lines = text.lines().filter(|line| line.contains(what));
        lines
            .map(|line| line.splitn(3, ' ').last().unwrap_or_default().to_owned())
            .collect()
    }

    /// Prints the last lines, when a test fails.
    pub fn show_last(&self, count: usize) {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(count)..] {
            eprintln!("  {line}");
        }
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
