//! What stands in `conformance/vectors`: `--write-vectors` makes the files of this, and a test holds them in step. So
//! an adapter's author reads plain files, and nobody edits them by hand.

mod addresses;
mod codes;
mod frames;
mod identities;
mod malformed;

use std::{fs, io, path::PathBuf};

use ipseity_harness::programs::repository;
use serde_json::Value;

pub use codes::action;
pub use identities::forms;

/// A file of vectors.
pub struct File {
    /// Its name in `conformance/vectors`.
    pub name: &'static str,
    /// What it has.
    pub about: &'static str,
    /// Its lists, each with its name.
    pub lists: Vec<(&'static str, Vec<Value>)>,
}

/// All files.
pub fn files() -> [File; 5] {
    [
        frames::file(),
        malformed::file(),
        identities::file(),
        addresses::file(),
        codes::file(),
    ]
}

impl File {
    /// Where it is.
    pub fn path(&self) -> PathBuf {
        repository().join("conformance/vectors").join(self.name)
    }

    /// Its text: JSON with one vector a line, so that a change of one is a change of a line.
    pub fn text(&self) -> String {
        let mut text = format!("{{\n\"about\": {}", Value::from(self.about));
        for (name, vectors) in &self.lists {
            let lines: Vec<String> = vectors.iter().map(Value::to_string).collect();
            text += &format!(",\n\"{name}\": [\n{}\n]", lines.join(",\n"));
        }
        text + "\n}\n"
    }

    /// The vectors of one of its lists.
    pub fn list(&self, name: &str) -> &[Value] {
        let found = self.lists.iter().find(|(other, _)| *other == name);
        &found.expect("a list of this file").1
    }
}

/// Writes all files.
///
/// # Errors
/// One of them cannot be written.
pub fn write() -> io::Result<()> {
    for file in files() {
        fs::write(file.path(), file.text())?;
    }
    Ok(())
}
