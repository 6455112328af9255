//! What can go wrong with the state directory. Each text names the file, what happened and what to do.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use super::{
    record::FORMAT,
    slots::{BlockFault, Foreign, LookError, RecoverError, SlotsError},
};
use ipseity_core::{
    identity::{Pid, Sequence},
    words::ClusterName,
};

/// Why a state directory cannot be used, or cannot be used any longer.
#[derive(Debug)]
pub enum StoreError {
    /// The operating system refused.
    Io {
        /// What was attempted, as "lock" in "cannot lock".
        doing: &'static str,
        /// The file or the directory.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// Another process uses the directory.
    Locked {
        /// The directory.
        directory: PathBuf,
        /// That process's id, if it is known.
        holder: Option<u32>,
    },
    /// The directory belongs to another pid. It was not touched.
    ForeignPid {
        /// The directory.
        directory: PathBuf,
        /// The pid that it belongs to.
        found: Pid,
        /// The pid of this server.
        wanted: Pid,
    },
    /// The directory belongs to another cluster. It was not touched.
    ForeignCluster {
        /// The directory.
        directory: PathBuf,
        /// The cluster that it belongs to.
        found: ClusterName,
        /// The cluster of this server.
        wanted: ClusterName,
    },
    /// The state file was written by a newer Ipseity. It was not touched.
    NewerFormat {
        /// The state file.
        file: PathBuf,
        /// Its format; this build knows up to [`FORMAT`].
        found: u16,
    },
    /// A newer Ipseity has noted something in the state file that this one does not know. It was not touched.
    NewerFields {
        /// The state file.
        file: PathBuf,
    },
    /// There is no state, and this start may not make one. Nothing was made.
    NotExisting {
        /// The state file.
        file: PathBuf,
    },
    /// The directory above the state directory does not exist. Nothing was made.
    NoParent {
        /// The state directory.
        directory: PathBuf,
        /// The directory above it.
        parent: PathBuf,
    },
    /// Everybody may write to the directory. It was not touched.
    Shared {
        /// What it is, in words: the state directory, or a file in it.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// No block of the state file is good. It was not touched.
    Damaged {
        /// The state file.
        file: PathBuf,
        /// What is wrong with each block.
        faults: Vec<BlockFault>,
    },
    /// The blocks of the state file come from different directories. It was not touched.
    Mixed {
        /// The state file.
        file: PathBuf,
    },
    /// The directory has been used, and its state file is gone.
    Missing {
        /// The state file.
        file: PathBuf,
    },
    /// What the directory held was moved into another store, where its pid goes on. It was not touched.
    Moved {
        /// The state file, as it is called since then.
        file: PathBuf,
    },
    /// What the directory held was moved into another store than the one that is named now.
    MovedElsewhere {
        /// The file that says so.
        file: PathBuf,
        /// That store.
        place: String,
    },
    /// What the directory held was moved into the store that is named now, and that has it no more.
    MovedAndGone {
        /// The file that says so.
        file: PathBuf,
        /// The store.
        place: String,
    },
    /// There is no state to be moved.
    NothingToMove {
        /// The state file.
        file: PathBuf,
    },
    /// The path no longer leads to the open state file: the directory was removed, renamed or replaced.
    /// The next start will not find the last record. Nothing more is written.
    Gone {
        /// The state file.
        file: PathBuf,
    },
    /// Another process has written the state file, or somebody has put it back. Nothing more is written.
    Foreign {
        /// The state file.
        file: PathBuf,
        /// What was found there.
        found: Box<Foreign>,
    },
    /// The state file does not show the record that was written last. Nothing more is written.
    Unseen {
        /// The state file.
        file: PathBuf,
        /// What is wrong with its blocks.
        faults: Vec<BlockFault>,
    },
    /// A write or a sync failed. Nothing more is written.
    Write {
        /// The state file.
        file: PathBuf,
        /// The number of the block, 0 to 3.
        block: u32,
        /// The failure.
        source: io::Error,
    },
    /// A write, a sync or the directory failed earlier, and nothing was written since.
    Poisoned {
        /// The state file.
        file: PathBuf,
        /// The earlier failure.
        cause: String,
    },
    /// A call after the clean stop.
    Stopped {
        /// The state file.
        file: PathBuf,
    },
    /// The sequence of a clean stop is lower than one that was noted before. It was not written.
    Backwards {
        /// The state file.
        file: PathBuf,
        /// The sequence that was to be the last.
        sequence: Sequence,
        /// The sequence that the newest record notes.
        noted: Sequence,
    },
    /// The count of boots or of generations is used up.
    Exhausted {
        /// The state file.
        file: PathBuf,
        /// "boots" or "generations".
        what: &'static str,
    },
}

/// The way out when a server's own record of what it handed out is lost.
const WAY_OUT: &str = "give this server an unused --pid and a new --data-dir (recommended), or move \
    the directory aside and start with --recover-above SEQUENCE, not lower than any sequence that this \
    pid ever handed out (ipseity-cli members shows what the other servers remember)";

impl StoreError {
    /// For `map_err`: the refusal of the operating system at `path`.
    pub(super) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> StoreError {
        move |source| StoreError::Io {
            doing,
            path: path.into(),
            source,
        }
    }

    /// For `map_err`: an error of the slots in `file`.
    pub(super) fn slots(file: impl Into<PathBuf>) -> impl FnOnce(SlotsError) -> StoreError {
        move |error| {
            let file = file.into();
            match error {
                SlotsError::Write { block, source } => StoreError::Write {
                    file,
                    block,
                    source,
                },
                SlotsError::Look(LookError::Device(source)) => {
                    StoreError::io("read back the state file", file)(source)
                }
                SlotsError::Look(LookError::Unseen { faults }) => {
                    StoreError::Unseen { file, faults }
                }
                SlotsError::Look(LookError::Foreign(found)) => StoreError::Foreign { file, found },
                SlotsError::Poisoned(cause) => StoreError::Poisoned { file, cause },
                SlotsError::Stopped => StoreError::Stopped { file },
                SlotsError::Backwards { sequence, noted } => StoreError::Backwards {
                    file,
                    sequence,
                    noted,
                },
                SlotsError::GenerationsExhausted => StoreError::Exhausted {
                    file,
                    what: "generations",
                },
                SlotsError::BootsExhausted => StoreError::Exhausted {
                    file,
                    what: "boots",
                },
            }
        }
    }

    /// An error of a start, with the directory and the server that was started on it.
    pub(super) fn recover(
        error: RecoverError,
        directory: PathBuf,
        file: PathBuf,
        pid: Pid,
        cluster: &ClusterName,
    ) -> StoreError {
        match error {
            RecoverError::Settle(source) => StoreError::io("sync the state file", file)(source),
            RecoverError::NoneGood { faults } => StoreError::Damaged { file, faults },
            RecoverError::Newer { found } => StoreError::NewerFormat { file, found },
            RecoverError::NewerFields => StoreError::NewerFields { file },
            RecoverError::Mixed => StoreError::Mixed { file },
            RecoverError::ForeignPid { found } => StoreError::ForeignPid {
                directory,
                found,
                wanted: pid,
            },
            RecoverError::ForeignCluster { found } => StoreError::ForeignCluster {
                directory,
                found,
                wanted: cluster.clone(),
            },
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io {
                doing,
                path,
                source,
            } => write!(
                f,
                "cannot {doing} {}: {source}; {}",
                path.display(),
                advice(source)
            ),
            Self::Locked { directory, holder } => write!(
                f,
                "{}; stop that server, or give this one its own --pid and --data-dir",
                in_use(directory, *holder)
            ),
            Self::ForeignPid {
                directory,
                found,
                wanted,
            } => write!(
                f,
                "the state directory {} belongs to pid {found}, and this server has pid {wanted}; start \
                 it with --pid {found}, or give it a --data-dir of its own",
                directory.display()
            ),
            Self::ForeignCluster {
                directory,
                found,
                wanted,
            } => write!(
                f,
                "the state directory {} belongs to the cluster {found:?}, and this server to {wanted:?}; \
                 start it with --cluster {found:?}, or give it a --data-dir of its own",
                directory.display(),
                found = found.as_str(),
                wanted = wanted.as_str(),
            ),
            Self::NewerFormat { file, found } => write!(
                f,
                "the state file {} has format {found}, and this version reads up to {FORMAT}; start the \
                 version that wrote it, or a newer one",
                file.display()
            ),
            Self::NewerFields { file } => write!(
                f,
                "the state file {} has fields that this version does not know; start the version that wrote \
                 it, or a newer one",
                file.display()
            ),
            Self::NotExisting { file } => write!(
                f,
                "there is no state file {}, and --existing requires one; check that the volume is mounted and \
                 --data-dir is right, or leave --existing out for a first start",
                file.display()
            ),
            Self::Moved { file } => write!(
                f,
                "this pid was moved into a store in etcd, and its old state is in {}; start it with --store in place of \
                 --data-dir, or run `ipseity-cli pids import` again if the move did not come to its end",
                file.display()
            ),
            Self::MovedElsewhere { file, place } => write!(
                f,
                "this pid was moved into {place:?}, and may go on there: give that --store, or, if no server was ever started \
                 with it there, remove the file {} and run this again",
                file.display()
            ),
            Self::MovedAndGone { file, place } => write!(
                f,
                "this pid was moved into {place:?}, as {} says, and is not there any more; if etcd was restored or its keys were \
                 lost, do not move it again: see docs/etcd.md, backups and restores",
                file.display()
            ),
            Self::NothingToMove { file } => write!(
                f,
                "there is no state file {}; check that --data-dir is right",
                file.display()
            ),
            Self::NoParent { directory, parent } => write!(
                f,
                "cannot make the state directory {}: {} does not exist; check that the volume is mounted and \
                 --data-dir is right, or make that directory yourself",
                directory.display(),
                parent.display()
            ),
            Self::Shared { what, path, mode } => write!(
                f,
                "everybody may write to the {what} {} (mode {mode:04o}), and so could replace the \
                 state; take that right away (chmod o-w), or start with --allow-shared-dir",
                path.display()
            ),
            Self::Damaged { file, faults } => {
                write!(f, "no block of the state file {} is good", file.display())?;
                for fault in faults {
                    write!(f, ", {fault}")?;
                }
                write!(f, "; nothing was changed; {WAY_OUT}")
            }
            Self::Mixed { file } => write!(
                f,
                "the state file {} holds blocks of different state directories, as after a careless copy; \
                 nothing was changed; {WAY_OUT}",
                file.display()
            ),
            Self::Missing { file } => write!(
                f,
                "the state file {} is gone from a directory that a server has used; put it back if it \
                 was moved (never an older copy), otherwise {WAY_OUT}",
                file.display()
            ),
            Self::Gone { file } => write!(
                f,
                "the state file {} is no longer in its place: its directory was removed, renamed or \
                 replaced, and what is written now would be lost; put it back before the next start, \
                 otherwise {WAY_OUT}",
                file.display()
            ),
            Self::Foreign { file, found } => write!(
                f,
                "another process has written this state directory, or an older state was put back into it: in \
                 {}, {found}; find the other server, or what restores snapshots, and stop it (two mounts or two \
                 hosts may not share locks), then start one server again",
                file.display()
            ),
            Self::Unseen { file, faults } => {
                write!(
                    f,
                    "the state file {} does not show the record that was written last",
                    file.display()
                )?;
                for fault in faults {
                    write!(f, ", {fault}")?;
                }
                f.write_str("; check the disk, then start the server again: it reads what the disk really holds")
            }
            Self::Write {
                file,
                block,
                source,
            } => write!(
                f,
                "writing block {block} of the state file {} failed: {source}; {}, then start the server \
                 again: it reads what the disk really holds",
                file.display(),
                advice(source)
            ),
            Self::Poisoned { file, cause } => write!(
                f,
                "the state file {} failed before ({cause}) and is not written again; start the server \
                 again: it reads what the disk really holds",
                file.display()
            ),
            Self::Stopped { file } => write!(
                f,
                "the state file {} has been closed by a clean stop; start the server again",
                file.display()
            ),
            Self::Backwards {
                file,
                sequence,
                noted,
            } => write!(
                f,
                "refused to note {sequence} as the last sequence in {}, which has noted {noted} before; this is \
                 a bug in Ipseity, please report it; the next start skips ahead, and nothing is handed out twice",
                file.display()
            ),
            Self::Exhausted { file, what } => write!(
                f,
                "the state file {} has used up all the {what} that it can count; give this server an \
                 unused --pid and a new --data-dir",
                file.display()
            ),
        }
    }
}

/// Who has a state directory.
pub(super) fn in_use(directory: &Path, holder: Option<u32>) -> String {
    let directory = directory.display();
    match holder {
        Some(id) => format!("the state directory {directory} is in use by process {id}"),
        None => format!("the state directory {directory} is in use by another process"),
    }
}

/// What to do about an error of the operating system.
pub(super) fn advice(error: &io::Error) -> &'static str {
    if is_out_of_descriptors(error) {
        return "raise the limit of open files (ulimit -n, LimitNOFILE=)";
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "let the server's user read and write there, or name another place with --data-dir"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "mount the file system for writing, or name another place with --data-dir"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the file system",
        // There is a symbolic link, a FIFO or the like instead of a file.
        io::ErrorKind::AlreadyExists => "move it away, or name another place with --data-dir",
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory | io::ErrorKind::NotFound => {
            "name a directory with --data-dir"
        }
        _ => "check the disk and the kernel's log",
    }
}

/// Whether the process, or the whole machine, has too many files open.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    let [process, machine] = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
    [process, machine]
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&error.raw_os_error())
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Write { source, .. } => Some(source),
            Self::Locked { .. }
            | Self::ForeignPid { .. }
            | Self::ForeignCluster { .. }
            | Self::NewerFormat { .. }
            | Self::NewerFields { .. }
            | Self::NotExisting { .. }
            | Self::NoParent { .. }
            | Self::Shared { .. }
            | Self::Foreign { .. }
            | Self::Unseen { .. }
            | Self::Damaged { .. }
            | Self::Mixed { .. }
            | Self::Missing { .. }
            | Self::Moved { .. }
            | Self::MovedElsewhere { .. }
            | Self::MovedAndGone { .. }
            | Self::NothingToMove { .. }
            | Self::Gone { .. }
            | Self::Poisoned { .. }
            | Self::Stopped { .. }
            | Self::Backwards { .. }
            | Self::Exhausted { .. } => None,
        }
    }
}
