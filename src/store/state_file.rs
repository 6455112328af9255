//! The state file: four blocks in a file, past the page cache where the file system allows it.
//!
//! With `O_DIRECT | O_DSYNC` a write goes to the medium and is durable when it returns, and a read shows
//! what the medium holds. Where that is refused, a write goes through the page cache and an fdatasync
//! follows, and the cache is dropped before the blocks are read.
//!
//! It never repeats a write or a sync that failed: the kernel may have marked the pages clean, and would
//! then report success for data that is not there. It may import `slots`, `limits` and `files`.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::{
    files::{create_temporary, open_regular, sync_all, sync_data, uninterrupted},
    record::Block,
    slots::BlockDevice,
};

use crate::limits::{BLOCK_BYTES, SHORT_READS_MAX};

/// How the bytes reach the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// `O_DIRECT | O_DSYNC`.
    Direct,
    /// Through the page cache, with fdatasync.
    Buffered,
}

/// The open file.
#[derive(Debug)]
pub(super) struct StateFile {
    file: File,
    path: PathBuf,
    access: Access,
}

impl StateFile {
    /// A new file under a temporary name, for the blocks to be written to.
    pub(super) fn create(path: &Path) -> io::Result<StateFile> {
        Ok(StateFile {
            file: create_temporary(path)?,
            path: path.to_path_buf(),
            access: Access::Buffered,
        })
    }

    /// Opens the file, past the page cache if that is asked for and not refused.
    pub(super) fn open(path: &Path, access: Access) -> io::Result<StateFile> {
        // bug StartReadsCache instead: if access == Access::Direct && !BUG {
        if access == Access::Direct {
            match StateFile::open_direct(path) {
                Err(error) if refuses_direct(&error) => {}
                Ok(mut direct) => match direct.read(0, &mut Block::ZERO.clone()) {
                    // Some file systems take the flag and refuse the first use of it. Any other error
                    // is for the one who reads the blocks.
                    Err(error) if refuses_direct(&error) => {}
                    _ => return Ok(direct),
                },
                Err(error) => return Err(error),
            }
        }
        Ok(StateFile {
            file: open_regular(
                path,
                OpenOptions::new().read(true).write(true),
                OFlags::empty(),
            )?,
            path: path.to_path_buf(),
            access: Access::Buffered,
        })
    }

    #[cfg(target_os = "linux")]
    fn open_direct(path: &Path) -> io::Result<StateFile> {
        let flags = OFlags::DIRECT | OFlags::DSYNC;
        Ok(StateFile {
            file: open_regular(path, OpenOptions::new().read(true).write(true), flags)?,
            path: path.to_path_buf(),
            access: Access::Direct,
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn open_direct(_path: &Path) -> io::Result<StateFile> {
        Err(io::ErrorKind::InvalidInput.into())
    }

    /// How the bytes reach the medium.
    pub(super) fn access(&self) -> Access {
        self.access
    }

    /// Locks the file itself, for the case that somebody removed the lock file of a running server.
    /// False when another process has it.
    pub(super) fn try_lock(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether the path still leads to this file: it does not after the directory was removed, renamed
    /// or replaced, and then the next start would not find what is written here.
    pub(super) fn is_in_place(&self) -> io::Result<bool> {
        let open = self.file.metadata()?;
        match std::fs::symlink_metadata(&self.path) {
            Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Drop for StateFile {
    /// As with the lock file: the lock goes with this, and not with the last descriptor.
    fn drop(&mut self) {
        // Where it fails, closing the file gives the lock back.
        let _ = self.file.unlock();
    }
}

fn refuses_direct(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

impl BlockDevice for StateFile {
    fn settle(&mut self) -> io::Result<()> {
        sync_all(&self.file)?;
        // bug StartReadsCache: return Ok(());
        self.look_again()
    }

    /// With `O_DIRECT` a read passes the page cache by: it shows what the device, or the server of a network
    /// file system, holds. So it shows what every process on this machine has written, and what another machine
    /// has written there past its own cache, as Ipseity does. It does not show what another machine still keeps.
    ///
    /// Without it the cached pages are dropped first. All of them are durable, so that they can be. That is
    /// advice to the kernel: a file system that answers from memory of its own, or has no other medium, may not
    /// take it. Then what another process on this machine writes is seen, and what another machine writes may
    /// not be.
    fn look_again(&mut self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if self.access == Access::Buffered {
            rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
        Ok(())
    }

    fn read(&mut self, index: u32, block: &mut Block) -> io::Result<()> {
        let mut length = 0;
        // What is missing cannot be read on its own: its offset would not be aligned.
        for _ in 0..SHORT_READS_MAX {
            length = uninterrupted(|| self.file.read_at(&mut block.0, offset(index)))?;
            if length == BLOCK_BYTES {
                return Ok(());
            }
        }
        Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the file holds {length} of its {BLOCK_BYTES} bytes"),
        ))
    }

    fn write(&mut self, index: u32, block: &Block) -> io::Result<()> {
        let length = uninterrupted(|| self.file.write_at(&block.0, offset(index)))?;
        // One aligned block of a preallocated file is taken whole by a disk that works.
        if length != BLOCK_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::WriteZero,
                format!("the disk took {length} of {BLOCK_BYTES} bytes"),
            ));
        }
        match self.access {
            Access::Direct => Ok(()),
            Access::Buffered => sync_data(&self.file),
        }
    }
}

fn offset(index: u32) -> u64 {
    u64::from(index) * BLOCK_BYTES as u64
}
