//! The state directory: who may use it, and the order of a start.
//!
//! ```text
//! lock      held while a server uses the directory; names its process, or says `stopped`
//! state     four blocks, see `record` and `slots`
//! members   what other servers said about themselves, see `members`
//! ```
//!
//! A start takes the lock, makes durable whatever an earlier run may have left in the page cache, reads
//! the medium, and writes a boot of its own before it returns. If it refuses a directory, it changes no byte of the
//! state in it.

// Long because: its tests check the text of every error.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    error::StoreError,
    files::{create_directory, create_one_directory, parent, sync_directory},
    lock::{Lock, LockError},
    slots::{self, BlockDevice, Owner, RecoverError, Recovered, Slots},
    starting::{Note, Started, begin},
    state_file::{Access, StateFile},
};
use ipseity_core::{
    actor::Objected,
    identity::{Pid, Sequence},
    words::ClusterName,
};

// The names of the files in the directory.
pub(super) const LOCK: &str = "lock";
pub(super) const STATE: &str = "state";
const STATE_TEMPORARY: &str = "state.new";
pub(super) const MEMBERS: &str = "members";
/// What becomes of the state file when its pid goes on in another store.
pub(super) const MOVED: &str = "state.moved";
/// Names the store into which it was moved.
pub(super) const MOVED_TO: &str = "state.moved-to";
pub(super) const MOVED_TO_TEMPORARY: &str = "state.moved-to.new";

/// The files of a state directory.
pub const FILES: [&str; 3] = [LOCK, STATE, MEMBERS];

// The permission bits that let everybody write, and the group.
const MODE_WRITE_ALL: u32 = 0o002;
const MODE_WRITE_GROUP: u32 = 0o020;

/// What a start needs to know.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The state directory. It is made if it does not exist.
    pub directory: PathBuf,
    /// Missing directories above it are made too.
    pub makes_parents: bool,
    /// It must already hold a state: this start may not make one.
    pub is_existing: bool,
    /// It is accepted even if everybody may write to it.
    pub may_be_shared: bool,
    /// The random value of this process, which it writes into each record.
    pub session: u64,
    /// The cluster that it must belong to.
    pub cluster: ClusterName,
    /// The pid that it must belong to.
    pub pid: Pid,
    /// How far the first ceiling is above the start, in sequences.
    pub first_step: u64,
    /// An operator's word that the start is not below this. It also allows a start in a used directory whose state
    /// file is gone.
    pub recover_above: Option<Sequence>,
    /// An operator's word that a list of members that is gone will not come back.
    pub members_lost: bool,
}

/// A state directory in use. Dropping it gives up the lock.
///
/// After a write or a sync has failed, or the directory was removed, every call fails with
/// [`StoreError::Poisoned`] and nothing more is written. Only a new start shows what the disk holds.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    slots: Slots<StateFile>,
    lock: Lock,
}

impl Store {
    /// Takes the directory, and makes it on the first start. When this returns, the boot and its ceiling are
    /// durable.
    ///
    /// # Errors
    ///
    /// Every [`StoreError`] but `Poisoned`, `Stopped` and `Backwards`. If a directory is in use, belongs to another
    /// server, is damaged or has a newer format, no byte of its state is changed.
    pub fn open(options: &StoreOptions) -> Result<(Store, Started), StoreError> {
        Store::open_with(options, Access::Direct)
    }

    fn open_with(options: &StoreOptions, access: Access) -> Result<(Store, Started), StoreError> {
        let directory = options.directory.clone();
        let file = directory.join(STATE);
        refuse_moved(&directory)?;
        let there = exists(&file).map_err(StoreError::io("look for the state file", &file))?;
        if options.is_existing && !there {
            return Err(StoreError::NotExisting { file });
        }
        make_directory(options)?;
        let mut notes = check_rights(options)?;
        let mut lock = take_lock(&directory)?;
        // It may have been moved, or another start may have made it, before this one had the lock.
        refuse_moved(&directory)?;
        if !exists(&file).map_err(StoreError::io("look for the state file", &file))? {
            let used = lock.used() || exists(&directory.join(MEMBERS)).unwrap_or(true);
            if used && options.recover_above.is_none() {
                return Err(StoreError::Missing { file });
            }
            create_state(options, &file)?;
        }

        let mut recovered = recover(options, &file, access)?;
        notes.extend(look_for_members(&mut recovered, options)?);
        lock.sign()
            .map_err(StoreError::io("write the lock file", directory.join(LOCK)))?;
        notes.extend(notes_on(&recovered, &file));
        let (slots, mut started) = begin(
            recovered,
            options.session,
            options.recover_above,
            options.first_step,
        )
        .map_err(StoreError::slots(&file))?;
        if started.first_start {
            notes.push(first_start_note(&directory));
        }
        started.notes = notes;
        if slots.device().access() == Access::Buffered {
            started.notes.push(Note {
                event: "writesBuffered",
                text: format!(
                    "the file system of {} does not allow O_DIRECT: it is written through the page cache, \
                     with fdatasync",
                    file.display()
                ),
            });
        }
        let mut store = Store {
            directory,
            slots,
            lock,
        };
        store.check_in_place()?;
        Ok((store, started))
    }

    /// Makes `ceiling` durable: when this returns, identities up to it may be handed out. `sequence`, the
    /// highest handed out or absorbed so far, is noted with it, so that a start after a crash can say
    /// how much it skipped. If it is above the ceiling, the ceiling is noted.
    ///
    /// Before it writes, it reads the file back. If there is a record of another process, this server is not
    /// alone on the directory, whatever the locks say. Then nothing is written.
    ///
    /// A ceiling that is already durable is not written again. If the ceiling is more than [`STEP_MAX`] above the
    /// last one, two records are written instead of one.
    ///
    /// # Errors
    ///
    /// `Write`, `Foreign`, `Unseen`, `Gone`, `Io`, `Poisoned`, `Stopped` or `Exhausted`: the old ceiling still
    /// counts, the new one does not. Calling again does not help.
    ///
    /// [`STEP_MAX`]: ipseity_core::limits::STEP_MAX
    pub fn write_ceiling(
        &mut self,
        sequence: Sequence,
        ceiling: Sequence,
    ) -> Result<(), StoreError> {
        self.slots
            .write_ceiling(sequence, ceiling)
            .map_err(StoreError::slots(self.file()))?;
        self.check_in_place()
    }

    /// Notes that a peer objected to this directory, because another one of the same pid may have handed out
    /// identities: see [`Started::objected`].
    ///
    /// # Errors
    ///
    /// As for [`Store::write_ceiling`].
    pub fn write_objection(&mut self, objected: Objected) -> Result<(), StoreError> {
        self.slots
            .write_objection(objected)
            .map_err(StoreError::slots(self.file()))?;
        self.check_in_place()
    }

    /// Notes that the members file was saved, unless that is noted already. Only a saved file of which this is durable may
    /// be relied on: see [`Started::members_lost`].
    ///
    /// # Errors
    ///
    /// As for [`Store::write_ceiling`], but it is no error after a clean stop.
    pub fn write_members_saved(&mut self) -> Result<(), StoreError> {
        self.slots
            .write_members_saved()
            .map_err(StoreError::slots(self.file()))?;
        self.check_in_place()
    }

    /// Notes a clean stop: the next start begins exactly after `sequence`, the highest handed out or
    /// absorbed. Nothing may be handed out from this call on, even if it fails; then the next start
    /// skips to the ceiling.
    ///
    /// # Errors
    ///
    /// As for [`Store::write_ceiling`], and `Backwards` if `sequence` is lower than one noted before.
    pub fn write_stop(&mut self, sequence: Sequence) -> Result<(), StoreError> {
        self.slots
            .write_stop(sequence)
            .map_err(StoreError::slots(self.file()))?;
        self.check_in_place()?;
        // The stop itself is durable by now. But a disk that does not take this text is not healthy, and somebody may
        // act on the process id that stays in the file.
        self.lock.sign_off().map_err(StoreError::io(
            "write the lock file",
            self.directory.join(LOCK),
        ))
    }

    /// The state directory.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    fn file(&self) -> PathBuf {
        self.directory.join(STATE)
    }

    /// Called after the writes. If the directory was removed before or between them, they are void. If it is removed
    /// later, they were durable until then.
    fn check_in_place(&mut self) -> Result<(), StoreError> {
        let file = self.file();
        let error = match self.slots.device().is_in_place() {
            Ok(true) => return Ok(()),
            Ok(false) => StoreError::Gone { file },
            Err(error) => StoreError::io("look for the state file", file)(error),
        };
        self.slots.poison(error.to_string());
        Err(error)
    }
}

/// Makes the directory. Missing directories above it are made only for the default path. A volume that is not mounted,
/// or a mistyped path, must not lead to a first start.
fn make_directory(options: &StoreOptions) -> Result<(), StoreError> {
    let directory = &options.directory;
    let made = match options.makes_parents {
        true => create_directory(directory),
        false => create_one_directory(directory),
    };
    let above = parent(directory);
    let is_missing = |error: &io::Error| {
        error.kind() == io::ErrorKind::NotFound
            && !options.makes_parents
            && !exists(&above).unwrap_or(true)
    };
    match made {
        Err(error) if is_missing(&error) => Err(StoreError::NoParent {
            directory: directory.clone(),
            parent: above,
        }),
        made => made.map_err(StoreError::io("make the state directory", directory)),
    }
}

/// Refuses a directory if everybody may write to it, or to a file in it. Returns warnings if anybody else may.
pub(super) fn check_rights(options: &StoreOptions) -> Result<Vec<Note>, StoreError> {
    let directory = &options.directory;
    let found = std::fs::metadata(directory)
        .map_err(StoreError::io("look at the state directory", directory))?;
    let mut notes = rights("state directory", directory, &found, options)?;
    for name in FILES {
        let file = directory.join(name);
        match std::fs::symlink_metadata(&file) {
            // What is not a file is refused where it is opened.
            Ok(found) if found.is_file() => notes.extend(rights("file", &file, &found, options)?),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("look at the file", file)(error)),
        }
    }
    Ok(notes)
}

/// Who may write to `path`, besides this server.
fn rights(
    what: &'static str,
    path: &Path,
    found: &Metadata,
    options: &StoreOptions,
) -> Result<Vec<Note>, StoreError> {
    let mode = found.mode() & 0o7777;
    let shown = path.display();
    let mut notes = Vec::new();
    if mode & MODE_WRITE_ALL != 0 {
        if !options.may_be_shared {
            return Err(StoreError::Shared {
                what,
                path: path.to_owned(),
                mode,
            });
        }
        notes.push(Note {
            event: "writableByAll",
            text: format!(
                "everybody may write to the {what} {shown} (mode {mode:04o}), as --allow-shared-dir allows"
            ),
        });
    } else if mode & MODE_WRITE_GROUP != 0 {
        notes.push(Note {
            event: "writableByGroup",
            text: format!(
                "its group may write to the {what} {shown} (mode {mode:04o}): any member of the group can \
                 replace the state"
            ),
        });
    }
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own {
        notes.push(Note {
            event: "foreignOwner",
            text: format!(
                "the {what} {shown} belongs to user {}, and this server runs as user {own}: its owner can \
                 replace the state",
                found.uid()
            ),
        });
    }
    Ok(notes)
}

/// Refuses a directory whose pid goes on in another store.
pub(super) fn refuse_moved(directory: &Path) -> Result<(), StoreError> {
    let file = directory.join(MOVED);
    match exists(&file).map_err(StoreError::io("look for the state file", &file))? {
        true => Err(StoreError::Moved { file }),
        false => Ok(()),
    }
}

fn first_start_note(directory: &Path) -> Note {
    // If the full path cannot be found out, the path as it was given is shown.
    let shown = std::path::absolute(directory).unwrap_or_else(|_| directory.to_path_buf());
    Note {
        event: "firstStart",
        text: format!(
            "first start in {}: a new, empty state was made. If this pid has \
             run before, stop this server: its state is somewhere else",
            shown.display()
        ),
    }
}

pub(super) fn take_lock(directory: &Path) -> Result<Lock, StoreError> {
    let path = directory.join(LOCK);
    Lock::take(&path).map_err(|error| match error {
        LockError::Held(holder) => StoreError::Locked {
            directory: directory.to_path_buf(),
            holder,
        },
        LockError::Io(source) => StoreError::io("lock", path)(source),
    })
}

/// Makes the state file: first complete and durable under a temporary name, so that an incomplete file never has its
/// name.
fn create_state(options: &StoreOptions, file: &Path) -> Result<(), StoreError> {
    let temporary = options.directory.join(STATE_TEMPORARY);
    let owner = owner(options);
    let mut incarnation = [0; 16];
    getrandom::fill(&mut incarnation)
        .map_err(io::Error::other)
        .map_err(StoreError::io("draw a random incarnation for", file))?;
    let mut device = StateFile::create(&temporary)
        .map_err(StoreError::io("create the state file", &temporary))?;
    slots::format(&mut device, &owner, u128::from_be_bytes(incarnation))
        .and_then(|()| device.settle())
        .map_err(StoreError::io("write the new state file", &temporary))?;
    std::fs::rename(&temporary, file).map_err(StoreError::io("rename the new state file to", file))
}

/// Makes the name of the state file durable, and that of its directory: the start that made them may have
/// been killed, or have failed, before it could.
pub(super) fn sync_names(directory: &Path) -> Result<(), StoreError> {
    sync_directory(directory).map_err(StoreError::io("sync the directory", directory))?;
    let above = parent(directory);
    match sync_directory(&above) {
        // This server may not read it, so no earlier start has made it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done.map_err(StoreError::io("sync the directory", above)),
    }
}

/// Reads what the medium holds. The only thing it may write is what was already in the page cache.
fn recover(
    options: &StoreOptions,
    file: &Path,
    access: Access,
) -> Result<Recovered<StateFile>, StoreError> {
    let device =
        StateFile::open(file, access).map_err(StoreError::io("open the state file", file))?;
    let locked = device.try_lock().map_err(StoreError::io("lock", file))?;
    if !locked {
        return Err(StoreError::Locked {
            directory: options.directory.clone(),
            holder: None,
        });
    }
    sync_names(&options.directory)?;
    slots::recover(device, &owner(options)).map_err(|error| recovery_error(error, options, file))
}

/// What was found cannot be used.
pub(super) fn recovery_error(
    error: RecoverError,
    options: &StoreOptions,
    file: &Path,
) -> StoreError {
    StoreError::recover(
        error,
        options.directory.clone(),
        file.to_path_buf(),
        options.pid,
        &options.cluster,
    )
}

/// Looks whether the members file is where it has to be, for the boot to note it. Returns a warning if it is lost.
pub(super) fn look_for_members(
    recovered: &mut Recovered<impl BlockDevice>,
    options: &StoreOptions,
) -> Result<Option<Note>, StoreError> {
    let file = options.directory.join(MEMBERS);
    let is_there = exists(&file).map_err(StoreError::io("look for the list of members", &file))?;
    recovered.see_members(is_there, options.members_lost);
    let note = Note {
        event: "membersLost",
        text: format!(
            "the list of members {} was lost: until this server has heard from a peer again, it does not notice if the \
             directory of that peer is lost or rolled back; put the list back if you can, and start once with \
             --members-lost",
            file.display()
        ),
    };
    Ok(recovered.has_lost_members().then_some(note))
}

pub(super) fn notes_on(recovered: &Recovered<impl BlockDevice>, file: &Path) -> Vec<Note> {
    let mut notes: Vec<Note> = recovered
        .faults()
        .iter()
        .map(|fault| Note {
            event: "blockBad",
            text: format!(
                "in the state file {}, {fault}; the other copies are used, and this one is written again",
                file.display()
            ),
        })
        .collect();
    if recovered.hidden() {
        notes.push(Note {
            event: "recordLost",
            text: format!(
                "the newest record of the state file {} may have been lost; skipping to sequence {}, so \
                 that nothing that it can have allowed is repeated",
                file.display(),
                recovered.start()
            ),
        });
    }
    notes
}

pub(super) fn owner(options: &StoreOptions) -> Owner {
    Owner {
        cluster: options.cluster.clone(),
        pid: options.pid,
    }
}

/// Unlike `Path::exists`, this does not take an error for an absence.
pub(super) fn exists(path: &Path) -> io::Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(value: u64) -> Sequence {
        Sequence::new(value).unwrap()
    }

    /// The promises also hold if `O_DIRECT` is refused, on a disk and in memory, and if a file is written first with
    /// one and then with the other.
    #[test]
    #[allow(
        clippy::disallowed_macros,
        reason = "tests print, and one that cannot may fail"
    )]
    fn the_promises_hold_through_the_page_cache_too() {
        let mut homes = vec![tempfile::tempdir().unwrap()];
        match tempfile::tempdir_in("/dev/shm") {
            Ok(home) => homes.push(home),
            Err(error) => eprintln!("SKIPPED: a state directory on /dev/shm: {error}"),
        }
        for home in homes {
            let options = StoreOptions {
                directory: home.path().to_path_buf(),
                makes_parents: false,
                is_existing: false,
                may_be_shared: false,
                session: 1,
                cluster: ClusterName::default(),
                pid: Pid::MIN,
                first_step: 10,
                recover_above: None,
                members_lost: false,
            };
            let (mut store, started) = Store::open_with(&options, Access::Buffered).unwrap();
            assert!(
                started
                    .notes
                    .iter()
                    .any(|note| note.text.contains("O_DIRECT"))
            );
            store.write_ceiling(sequence(5), sequence(1000)).unwrap();
            drop(store);
            let (mut store, started) = Store::open_with(&options, Access::Direct).unwrap();
            assert_eq!((started.sequence, started.skipped), (sequence(1000), 995));
            store.write_stop(sequence(1004)).unwrap();
            drop(store);
            let (mut store, started) = Store::open_with(&options, Access::Buffered).unwrap();
            assert_eq!((started.sequence, started.skipped), (sequence(1004), 0));
            std::fs::remove_file(home.path().join(STATE)).unwrap();
            let error = store
                .write_ceiling(sequence(1005), sequence(2000))
                .unwrap_err();
            assert!(matches!(error, StoreError::Gone { .. }), "{error}");
        }
    }

    #[test]
    fn every_error_names_the_place_and_what_to_do() {
        let file = PathBuf::from("/somewhere/state");
        let directory = file.clone();
        let errors = [
            StoreError::io("open", &file)(io::ErrorKind::StorageFull.into()),
            StoreError::Locked {
                directory: directory.clone(),
                holder: Some(77),
            },
            StoreError::Locked {
                directory: directory.clone(),
                holder: None,
            },
            StoreError::ForeignPid {
                directory: directory.clone(),
                found: Pid::MIN,
                wanted: Pid::MAX,
            },
            StoreError::ForeignCluster {
                directory,
                found: ClusterName::default(),
                wanted: ClusterName::default(),
            },
            StoreError::NewerFormat {
                file: file.clone(),
                found: 3,
            },
            StoreError::NewerFields { file: file.clone() },
            StoreError::NotExisting { file: file.clone() },
            StoreError::NoParent {
                directory: file.clone(),
                parent: PathBuf::from("/somewhere"),
            },
            StoreError::Shared {
                what: "state directory",
                path: file.clone(),
                mode: 0o777,
            },
            StoreError::Unseen {
                file: file.clone(),
                faults: Vec::new(),
            },
            StoreError::Damaged {
                file: file.clone(),
                faults: Vec::new(),
            },
            StoreError::Mixed { file: file.clone() },
            StoreError::Missing { file: file.clone() },
            StoreError::Moved { file: file.clone() },
            StoreError::NothingToMove { file: file.clone() },
            StoreError::Gone { file: file.clone() },
            StoreError::Write {
                file: file.clone(),
                block: 3,
                source: io::ErrorKind::ReadOnlyFilesystem.into(),
            },
            StoreError::Poisoned {
                file: file.clone(),
                cause: "it failed".to_owned(),
            },
            StoreError::Stopped { file: file.clone() },
            StoreError::Backwards {
                file: file.clone(),
                sequence: sequence(1),
                noted: sequence(2),
            },
            StoreError::Exhausted {
                file,
                what: "boots",
            },
        ];
        for error in errors {
            let text = error.to_string();
            assert!(text.contains("/somewhere/state"), "{text}");
            assert!(
                text.contains("; "),
                "what to do comes after a semicolon: {text}"
            );
            assert!(!text.contains("  ") && !text.contains('\n'), "{text}");
        }
    }
}
