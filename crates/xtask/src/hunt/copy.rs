//! The copy of the repository: which files it has, and how it is updated.
//!
//! A file that has not changed is not written again. Otherwise cargo would build everything again. A file that is no
//! longer in the repository is removed from the copy.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// In the copy, cargo adds the crate `bugs` to this file.
const LOCK: &str = "Cargo.lock";

/// The files of the copy, by their path in it.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Tree {
    /// Writes a file there, in place of the one before.
    pub fn put(&mut self, path: PathBuf, bytes: Vec<u8>) {
        self.files.insert(path, bytes);
    }

    /// The text of a file that was put there.
    pub fn text(&self, path: &Path) -> Result<String, String> {
        let bytes = self.files.get(path);
        let bytes = bytes.ok_or_else(|| format!("{} is missing", path.display()))?;
        String::from_utf8(bytes.clone()).map_err(|_| format!("{}: not UTF-8", path.display()))
    }

    /// Writes a folder with exactly these files.
    pub fn write(&self, folder: &Path) -> Result<(), String> {
        create_folder(folder)?;
        for path in files(folder)? {
            if !self.files.contains_key(&path) && path != Path::new(LOCK) {
                let path = folder.join(path);
                fs::remove_file(&path)
                    .map_err(|error| format!("{} cannot be removed: {error}", path.display()))?;
            }
        }
        for (path, bytes) in &self.files {
            let path = folder.join(path);
            if fs::read(&path).is_ok_and(|before| before == *bytes) {
                continue;
            }
            if let Some(parent) = path.parent() {
                create_folder(parent)?;
            }
            fs::write(&path, bytes)
                .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        }
        Ok(())
    }
}

/// The paths of all files below a folder, except those that `.gitignore` names and those that begin with a dot.
pub fn files(top: &Path) -> Result<Vec<PathBuf>, String> {
    let ignored = fs::read_to_string(top.join(".gitignore")).unwrap_or_default();
    let ignored: Vec<&str> = ignored
        .lines()
        .map(|line| line.trim_matches('/'))
        .filter(|line| !line.is_empty())
        .collect();
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let shown = top.join(&folder);
        let fail = |error| format!("{} cannot be read: {error}", shown.display());
        for entry in fs::read_dir(&shown).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let path = folder.join(entry.file_name());
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if is_hidden || ignored.iter().any(|ignored| path == Path::new(ignored)) {
                continue;
            }
            let kind = entry.file_type().map_err(fail)?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The bytes of a file.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn create_folder(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("{} cannot be made: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::{super::folder::Folder, *};

    #[test]
    fn files_that_git_ignores_are_not_copied() {
        let top = Folder::new("ignored");
        top.put(".gitignore", "/target\n/fuzz/corpus\n");
        for path in [
            ".git/config",
            "target/debug/a",
            "fuzz/corpus/b",
            "fuzz/c.rs",
            "src/d/e.rs",
        ] {
            top.put(path, "");
        }
        let found = files(&top.0).expect("it can be read");
        assert_eq!(found, [Path::new("fuzz/c.rs"), Path::new("src/d/e.rs")]);
    }

    #[test]
    fn only_changed_files_are_written_and_missing_ones_are_removed() {
        let folder = Folder::new("written");
        let mut tree = Tree::default();
        for path in ["a.rs", "b/c.rs", "b/d.rs"] {
            tree.put(path.into(), path.into());
        }
        tree.write(&folder.0).expect("it can be written");
        for path in ["a.rs", "b/c.rs"] {
            let file = fs::File::options().write(true).open(folder.0.join(path));
            let file = file.expect("it is there");
            file.set_modified(SystemTime::UNIX_EPOCH).expect("a time");
        }
        tree.put("b/c.rs".into(), "other".into());
        tree.files.remove(Path::new("b/d.rs"));
        folder.put(LOCK, "what cargo wrote");
        tree.write(&folder.0).expect("it can be written");

        let modified = |path| fs::metadata(folder.0.join(path)).and_then(|of| of.modified());
        let at = |path| modified(path).expect("it is there");
        assert_eq!(at("a.rs"), SystemTime::UNIX_EPOCH);
        assert!(at("b/c.rs") > SystemTime::UNIX_EPOCH);
        assert_eq!(read(&folder.0.join("b/c.rs")), Ok(b"other".to_vec()));
        let found = files(&folder.0).expect("it can be read");
        assert_eq!(
            found,
            [Path::new(LOCK), Path::new("a.rs"), Path::new("b/c.rs")]
        );
    }
}
