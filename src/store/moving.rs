//! Moves what a state directory holds into another store, so that its pid goes on there.
//!
//! The state file is put aside before the other store has the state. If the move breaks off in between, no server starts in
//! the directory, and the move can be done again. The other way round a server could start there while another one goes on
//! with the pid elsewhere, and both would hand out the same identities. For the same reason the directory notes into which
//! store it is moved, and is moved into no other one.

use std::{
    fs::OpenOptions,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use ipseity_core::{identity::Pid, words::ClusterName};
use ipseity_pids::{Directory, Held, Imported};
use rustix::fs::OFlags;

use super::{
    directory::{MOVED, MOVED_TO, MOVED_TO_TEMPORARY, STATE, exists, sync_names, take_lock},
    error::{StoreError, in_use},
    files::{create_temporary, open_regular, sync_all},
    lock::Lock,
    record::{Block, Record},
    slots::{self, BlockDevice, Owner},
    state_file::{Access, StateFile},
};
use crate::limits::BLOCK_COUNT;

/// The longest name of a store that is read. One with the most members, each with the longest name, has room in it.
const PLACE_BYTES_MAX: u64 = 8192;

/// Stands in the note, below the name of the store, once the state is there.
const DONE: &str = "done";

/// Takes a state directory to move its pid.
///
/// # Errors
/// One line for people.
pub fn open_to_move(path: &Path) -> Result<Box<dyn Directory>, String> {
    match Moving::begin(path) {
        Ok(moving) => Ok(Box::new(moving)),
        Err(StoreError::Locked { directory, holder }) => Err(format!(
            "{}; stop that server first",
            in_use(&directory, holder)
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// A state directory that is being moved. No server can use it while this lives.
#[derive(Debug)]
pub struct Moving {
    directory: PathBuf,
    is_aside: bool,
    held: Held,
    /// Held for as long as this lives, both that of the directory and that of the state file.
    _locks: (Lock, StateFile),
}

impl Moving {
    /// Takes the directory and reads what it holds. Nothing is changed. A move that broke off is taken up again.
    ///
    /// # Errors
    /// The directory is in use, holds no state, or cannot be read.
    pub fn begin(directory: &Path) -> Result<Moving, StoreError> {
        let aside = directory.join(MOVED);
        let is_aside = exists(&aside).map_err(StoreError::io("look for the state file", &aside))?;
        let file = match is_aside {
            true => aside,
            false => directory.join(STATE),
        };
        if !exists(&file).map_err(StoreError::io("look for the state file", &file))? {
            return Err(StoreError::NothingToMove { file });
        }
        let lock = take_lock(directory)?;
        let (held, device) = read(directory, &file)?;
        Ok(Moving {
            directory: directory.to_owned(),
            is_aside,
            held,
            _locks: (lock, device),
        })
    }

    /// Notes something about the move.
    fn note(&self, text: &str) -> Result<(), StoreError> {
        let (path, new) = (
            self.directory.join(MOVED_TO),
            self.directory.join(MOVED_TO_TEMPORARY),
        );
        let written = create_temporary(&new).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            sync_all(&file)?;
            std::fs::rename(&new, &path)
        });
        written.map_err(StoreError::io("write the place of the move to", path))?;
        sync_names(&self.directory)
    }

    /// Refuses another store than the one that was noted, and any once the move has come to its end. If nothing was noted,
    /// somebody has removed the note, and knows why.
    fn refuse_other(&self, place: &str) -> Result<(), StoreError> {
        let file = self.directory.join(MOVED_TO);
        let noted =
            read_note(&file).map_err(StoreError::io("read the place of the move in", &file))?;
        let Some(noted) = noted else { return Ok(()) };
        let (to, rest) = noted.split_once('\n').unwrap_or((&noted, ""));
        let at = to.to_owned();
        if at != place {
            return Err(StoreError::MovedElsewhere { file, place: at });
        }
        match rest.trim_end() {
            DONE => Err(StoreError::MovedAndGone { file, place: at }),
            _ => Ok(()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let (from, to) = (self.directory.join(from), self.directory.join(to));
        std::fs::rename(&from, &to).map_err(StoreError::io("rename the state file", from))?;
        sync_names(&self.directory)
    }
}

impl Directory for Moving {
    fn held(&self) -> &Held {
        &self.held
    }

    fn is_aside(&self) -> bool {
        self.is_aside
    }

    fn put_aside(&mut self, place: &str) -> Result<(), String> {
        let done = match self.is_aside {
            true => self.refuse_other(place),
            // The note of a move that was taken back counts no more.
            false => self
                .note(&format!("{place}\n"))
                .and_then(|()| self.rename(STATE, MOVED)),
        };
        done.map_err(|error| error.to_string())?;
        self.is_aside = true;
        Ok(())
    }

    fn note_brought(&mut self, place: &str) -> Result<(), String> {
        let noted = self.note(&format!("{place}\n{DONE}\n"));
        noted.map_err(|error| error.to_string())
    }

    fn put_back(&mut self) -> Result<(), String> {
        self.rename(MOVED, STATE)
            .map_err(|error| error.to_string())?;
        self.is_aside = false;
        Ok(())
    }
}

/// The store that a directory was moved into, if it is noted.
fn read_note(path: &Path) -> io::Result<Option<String>> {
    let file = match open_regular(path, OpenOptions::new().read(true), OFlags::empty()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(PLACE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Reads a state file that no server uses.
fn read(directory: &Path, file: &Path) -> Result<(Held, StateFile), StoreError> {
    let open = |access| StateFile::open(file, access);
    let mut device = open(Access::Direct).map_err(StoreError::io("open the state file", file))?;
    let is_locked = device.try_lock().map_err(StoreError::io("lock", file))?;
    if !is_locked {
        return Err(StoreError::Locked {
            directory: directory.to_owned(),
            holder: None,
        });
    }
    // Whoever it belongs to, it is moved.
    let owner = owner_of(&mut device);
    let kept = open(Access::Buffered).map_err(StoreError::io("open the state file", file))?;
    let recovered = slots::recover(kept, &owner).map_err(|error| {
        StoreError::recover(
            error,
            directory.to_owned(),
            file.to_owned(),
            owner.pid,
            &owner.cluster,
        )
    })?;
    let newest = recovered.newest();
    let held = Held {
        cluster: newest.cluster.clone(),
        imported: Imported {
            pid: newest.pid,
            incarnation: newest.incarnation,
            lives: match newest.boot {
                0 => Vec::new(),
                // A record of an older version names only the start that wrote it.
                _ if newest.lives.is_empty() => vec![newest.life()],
                _ => newest.lives.clone(),
            },
            sequence: newest.sequence,
            ceiling: recovered.start(),
            stopped: newest.clean,
        },
        is_objected: newest.objected.is_some(),
        has_lost_record: recovered.hidden(),
    };
    Ok((held, device))
}

/// The server that the blocks name; anybody if none can be read, which the caller finds out again.
fn owner_of(device: &mut StateFile) -> Owner {
    let mut bytes = Box::new(Block::ZERO);
    let record = (0..BLOCK_COUNT).find_map(|block| {
        device.read(block, &mut bytes).ok()?;
        Record::decode(&bytes, block).ok()
    });
    record.map_or_else(
        || Owner {
            cluster: ClusterName::default(),
            pid: Pid::MIN,
        },
        |record| Owner {
            cluster: record.cluster,
            pid: record.pid,
        },
    )
}

#[cfg(test)]
mod tests {
    use ipseity_core::identity::Sequence;

    use super::super::{Store, StoreOptions, prospect};
    use super::*;

    fn options(directory: &Path) -> StoreOptions {
        StoreOptions {
            directory: directory.to_owned(),
            makes_parents: false,
            is_existing: false,
            may_be_shared: false,
            session: 7,
            cluster: "blue".parse().unwrap(),
            pid: Pid::new(5).unwrap(),
            first_step: 100,
            recover_above: None,
            members_lost: false,
        }
    }

    #[test]
    fn what_a_directory_holds_is_moved_and_no_server_starts_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let (store, started) = Store::open(&options(&path)).unwrap();
        match Moving::begin(&path) {
            Err(StoreError::Locked { .. }) => {}
            other => panic!("{other:?}"),
        }
        drop(store);
        let mut moving = Moving::begin(&path).unwrap();
        let all = moving.held().clone();
        let held = all.imported.clone();
        assert_eq!(held.incarnation, started.incarnation);
        assert_eq!(
            (&held.lives, held.ceiling),
            (&started.lives, started.ceiling)
        );
        assert!(!held.stopped && !all.has_lost_record && !all.is_objected);
        assert_eq!((held.pid.get(), all.cluster.as_str()), (5, "blue"));
        assert!(!moving.is_aside());
        match Store::open(&options(&path)) {
            Err(StoreError::Locked { .. }) => {}
            other => panic!("{other:?}"),
        }
        moving.put_aside("etcd://one:2379/a").unwrap();
        drop(moving);
        let above = StoreOptions {
            recover_above: Some(Sequence::MAX),
            ..options(&path)
        };
        for options in [options(&path), above] {
            assert!(matches!(
                Store::open(&options),
                Err(StoreError::Moved { .. })
            ));
            assert!(matches!(prospect(&options), Err(StoreError::Moved { .. })));
        }
        // It is taken up again, and put back if the other store has not taken it.
        let mut moving = Moving::begin(&path).unwrap();
        assert!(moving.is_aside());
        assert_eq!(*moving.held(), all);
        moving.put_aside("etcd://one:2379/a").unwrap();
        // It may go on there, so it is moved nowhere else.
        let refusal = moving.put_aside("etcd://one:2379/b").unwrap_err();
        assert!(
            refusal.contains("was moved into \"etcd://one:2379/a\", "),
            "{refusal}"
        );
        moving.put_back().unwrap();
        drop(moving);
        // Once it is taken back, it may be moved anywhere.
        let mut moving = Moving::begin(&path).unwrap();
        moving.put_aside("etcd://one:2379/b").unwrap();
        // What was brought and is not there any more is not brought once more.
        moving.note_brought("etcd://one:2379/b").unwrap();
        let refusal = moving.put_aside("etcd://one:2379/b").unwrap_err();
        assert!(refusal.contains("is not there any more"), "{refusal}");
        // Whoever knows better removes the note.
        std::fs::remove_file(path.join(MOVED_TO)).unwrap();
        moving.put_aside("etcd://one:2379/c").unwrap();
        moving.put_back().unwrap();
        drop(moving);
        let (mut store, started) = Store::open(&options(&path)).unwrap();
        assert_eq!((started.boot, started.sequence), (2, held.ceiling));
        // After a clean stop, what was handed out last is what counts.
        let last = started.sequence.saturating_add(3);
        store.write_stop(last).unwrap();
        drop(store);
        let moving = Moving::begin(&path).unwrap();
        let held = &moving.held().imported;
        assert_eq!((held.sequence, held.ceiling), (last, last));
        assert!(held.stopped);
        assert_eq!(held.lives.len(), 2);
    }

    #[test]
    fn where_there_is_no_state_nothing_is_moved() {
        let directory = tempfile::tempdir().unwrap();
        let error = Moving::begin(directory.path()).unwrap_err();
        assert!(matches!(error, StoreError::NothingToMove { .. }), "{error}");
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }
}
