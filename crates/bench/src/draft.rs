//! A file that replaces another one as a whole: it is written beside it, and takes its name when it is complete.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process,
};

/// A file that is being made. If it is dropped before it is published, it is removed, and what was there stays.
#[derive(Debug)]
pub struct Draft {
    /// Where it will be.
    place: PathBuf,
    /// Where it is now.
    beside: PathBuf,
}

impl Draft {
    /// Makes an empty draft beside `path`, which shows that the file can be written before anything is measured.
    pub fn beside(path: &Path) -> Result<Draft, String> {
        if path.is_dir() {
            return Err(format!(
                "--plot: cannot write {}: it is a directory",
                path.display()
            ));
        }
        // Behind a symbolic link stands the file that is meant.
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut name = place.file_name().unwrap_or_default().to_owned();
        // Two benches that draw into one file have a draft each.
        name.push(format!(".{}.draft", process::id()));
        let draft = Draft {
            beside: place.with_file_name(name),
            place,
        };
        draft.write("").map_err(|error| draft.failed(&error))?;
        Ok(draft)
    }

    /// Fills it with this text and puts it into its place.
    pub fn publish(self, text: &str) -> Result<(), String> {
        let keep_permissions = |old: fs::Metadata| {
            // Not worth failing for: the plot is there, readable by who made it.
            let _ = fs::set_permissions(&self.beside, old.permissions());
        };
        self.write(text)
            .map(|()| fs::metadata(&self.place).map(keep_permissions))
            .and_then(|_| fs::rename(&self.beside, &self.place))
            .map_err(|error| self.failed(&error))
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&self.beside)?;
        file.write_all(text.as_bytes())
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("--plot: cannot write {}: {error}", self.place.display())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It is gone already if it was published.
        let _ = fs::remove_file(&self.beside);
    }
}
