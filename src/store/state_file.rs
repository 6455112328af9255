//! The state file: four blocks in a file, past the page cache where the file system allows it.
//!
//! With `O_DIRECT | O_DSYNC` a write goes to the medium and is durable when it returns, and a read shows
//! what the medium holds. If the file system refuses that, a write goes through the page cache and an fdatasync
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

    /// Opens the file, past the page cache if `access` says so and the file system allows it.
    pub(super) fn open(path: &Path, access: Access) -> io::Result<StateFile> {
        // bug StartReadsCache instead: if access == Access::Direct && !BUG {
        if access == Access::Direct {
            match StateFile::open_direct(path) {
                Err(error) if refuses_direct(&error) => {}
                Ok(mut direct) => match direct.read(0, &mut Block::ZERO.clone()) {
                    // Some file systems accept the flag and refuse its first use. Any other error will come again
                    // when the blocks are read.
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

    /// Locks the state file too, in case somebody removed the lock file of a running server. Returns false if another
    /// process has locked it.
    pub(super) fn try_lock(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether the path still leads to this file. If the directory was removed, renamed or replaced, it does not, and
    /// the next start would not find what is written here.
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
    /// Releases the lock now, as with the lock file.
    fn drop(&mut self) {
        // If this fails, closing the file releases the lock.
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

    /// With `O_DIRECT` a read bypasses the page cache: it shows what the device, or the server of a network
    /// file system, holds. So it shows what every process on this machine has written, and what another machine
    /// has written past its own cache, as Ipseity does. It does not show what another machine still has in its cache.
    ///
    /// Without `O_DIRECT` the cached pages are dropped first, which is possible because all of them are durable. But
    /// this is only advice to the kernel: a file system that answers from memory of its own, or has no other medium,
    /// may ignore it. Then a write of another process on this machine is still seen, but one of another machine may
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
        // The missing part cannot be read alone, because its offset would not be aligned.
        for _ in 0..SHORT_READS_MAX {
            length = uninterrupted(|| self.file.read_at(&mut block.0, offset(index)))?;
            if length == BLOCK_BYTES {
                return Ok(());
            }
        }
        Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("only {length} of its {BLOCK_BYTES} bytes could be read"),
        ))
    }

    fn write(&mut self, index: u32, block: &Block) -> io::Result<()> {
        let length = uninterrupted(|| self.file.write_at(&block.0, offset(index)))?;
        // A disk that works takes an aligned block of a preallocated file as a whole.
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
