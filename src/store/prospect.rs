//! What a start would find in the state directory and make of it, for somebody who only asks (`--check`).
//!
//! It does what a start does, with the same code, but on a copy of the blocks in memory. Nothing in the directory is made,
//! written or locked, so a server that runs there notices nothing. Nor is anything synced: the kernel reports a write that
//! has failed to one sync only, and that has to be the one of a start.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, accessat};

use super::{
    directory::{
        LOCK, MEMBERS, STATE, StoreOptions, check_rights, exists, look_for_members, notes_on,
        owner, recovery_error, refuse_moved,
    },
    error::StoreError,
    files::parent,
    lock::{self, Signed},
    record::Block,
    slots::{self, BlockDevice, RecoverError, Recovered},
    starting::{Started, begin},
    state_file::{Access, StateFile},
};
use crate::limits::{BLOCK_COUNT, LOOKS_AT_BLOCKS_MAX};

/// What a start would find and begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prospect {
    /// What a start would have made durable, and its warnings.
    pub started: Started,
    /// There is no state yet: the start would make it.
    pub is_new: bool,
    /// The process that the lock file names, if there is one with this number now. It may be a server that uses the
    /// directory. A start would be refused while that is so.
    pub holder: Option<u32>,
}

/// Looks at the directory as a start with these options would.
///
/// # Errors
/// Those of [`Store::open`](super::Store::open), except that the directory is in use, and what only a write can show.
pub fn prospect(options: &StoreOptions) -> Result<Prospect, StoreError> {
    let directory = &options.directory;
    let file = directory.join(STATE);
    refuse_moved(directory)?;
    let there = exists(&file).map_err(StoreError::io("look for the state file", &file))?;
    if options.is_existing && !there {
        return Err(StoreError::NotExisting { file });
    }
    let mut notes = Vec::new();
    let mut signed = None;
    if exists(directory).map_err(StoreError::io("look for the state directory", directory))? {
        notes = check_rights(options)?;
        let lock = directory.join(LOCK);
        signed = lock::look(&lock).map_err(StoreError::io("lock", &lock))?;
        if signed.is_none() {
            check_writable(directory).map_err(StoreError::io("lock", &lock))?;
        }
    } else {
        check_can_be_made(options)?;
    }
    if !there && options.recover_above.is_none() {
        let used = signed.is_some_and(|signed| signed.used)
            || exists(&directory.join(MEMBERS)).unwrap_or(true);
        if used {
            return Err(StoreError::Missing { file });
        }
    }
    let recovered = match there {
        true => read(options, &file)?,
        false => make(options).map_err(StoreError::io("write the new state file", &file))?,
    };
    let mut recovered = recovered.map_err(|error| recovery_error(error, options, &file))?;
    notes.extend(look_for_members(&mut recovered, options)?);
    notes.extend(notes_on(&recovered, &file));
    let (_, started) = begin(
        recovered,
        options.session,
        options.recover_above,
        options.first_step,
    )
    .map_err(StoreError::slots(&file))?;
    Ok(Prospect {
        started: Started { notes, ..started },
        is_new: !there,
        holder: signed.and_then(Signed::running),
    })
}

/// What was found in the blocks.
type Found = Result<Recovered<Copied>, RecoverError>;

/// Reads the blocks. A server that runs may be writing one of them just now, which then looks damaged, so a damage counts
/// only if it stays.
fn read(options: &StoreOptions, file: &Path) -> Result<Found, StoreError> {
    // Through the page cache: what an earlier run may have left there is what a start makes durable before it reads.
    let mut device = StateFile::open(file, Access::Buffered)
        .map_err(StoreError::io("open the state file", file))?;
    let mut look = || slots::recover(Copied::of(&mut device), &owner(options));
    let mut found = look();
    for _ in 1..LOOKS_AT_BLOCKS_MAX {
        match &found {
            Ok(recovered) if recovered.faults().is_empty() && !recovered.hidden() => break,
            _ => found = look(),
        }
    }
    Ok(found)
}

/// Makes the blocks of a new state file.
fn make(options: &StoreOptions) -> io::Result<Found> {
    let mut blocks = Copied((0..BLOCK_COUNT).map(|_| Ok(Block::ZERO)).collect());
    slots::format(&mut blocks, &owner(options), 0)?;
    Ok(slots::recover(blocks, &owner(options)))
}

/// Fails as making the directory would.
fn check_can_be_made(options: &StoreOptions) -> Result<(), StoreError> {
    let directory = &options.directory;
    let mut above = parent(directory);
    let is_there = |path: &PathBuf| exists(path).unwrap_or(true);
    if !is_there(&above) && !options.makes_parents {
        return Err(StoreError::NoParent {
            directory: directory.clone(),
            parent: above,
        });
    }
    while !is_there(&above) {
        above = parent(&above);
    }
    check_writable(&above).map_err(StoreError::io("make the state directory", directory))
}

/// Fails if this process may not make a file in the directory.
fn check_writable(directory: &Path) -> io::Result<()> {
    let wanted = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    Ok(accessat(CWD, directory, wanted, AtFlags::EACCESS)?)
}

/// The blocks of a state file, in memory.
#[derive(Debug)]
struct Copied(Vec<Result<Block, io::Error>>);

impl Copied {
    fn of(device: &mut StateFile) -> Copied {
        let copy = |index| {
            let mut block = Block::ZERO;
            device.read(index, &mut block).map(|()| block)
        };
        Copied((0..BLOCK_COUNT).map(copy).collect())
    }
}

impl BlockDevice for Copied {
    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn look_again(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, index: u32, block: &mut Block) -> io::Result<()> {
        match &self.0[index as usize] {
            Ok(copied) => {
                block.clone_from(copied);
                Ok(())
            }
            // The same error, as the copy keeps its own.
            Err(error) => Err(match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            }),
        }
    }

    fn write(&mut self, index: u32, block: &Block) -> io::Result<()> {
        self.0[index as usize] = Ok(block.clone());
        Ok(())
    }
}
