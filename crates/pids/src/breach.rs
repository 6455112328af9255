//! What must not happen to a store: signs that it is not the one that the pids were written to, or has been put back.
//!
//! etcd keeps what it has acknowledged. If somebody restores it from a backup, wipes the keys or replaces it, a pid could
//! begin below what it has already handed out, and no comparison can see that. So whoever sees a sign of it stops and says
//! so, and an operator decides.

use std::fmt;

use ipseity_core::identity::{Pid, Sequence};
use ipseity_etcd::{Header, Revision};

use crate::{
    layout::Meta,
    survey::{Entry, Seen, Survey, Unreadable},
};

/// A sign that the store is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// What the cluster has in common is not there, although pids are, or although this life has seen it.
    MetaMissing,
    /// It cannot be read.
    MetaUnreadable(Unreadable),
    /// These are the pids of another cluster now.
    OtherCluster {
        /// The id that this life has begun with.
        was: u128,
        /// The id now.
        is: u128,
    },
    /// An operator has said that this etcd is the right one, after this life had begun.
    OtherEpoch {
        /// The epoch in which this life began.
        was: u64,
        /// The epoch now.
        is: u64,
    },
    /// This is another etcd than the one to which the pids were written.
    OtherEtcd {
        /// The number of that one.
        was: u64,
        /// The number of this one.
        is: u64,
    },
    /// The state of a pid was written in a later epoch than that of the cluster.
    EpochFell {
        /// The pid.
        pid: Pid,
    },
    /// A pid was claimed as often as can be counted.
    NoBootLeft {
        /// The pid.
        pid: Pid,
    },
    /// The revision of the store is lower than it was.
    RevisionFell {
        /// The highest that was seen.
        was: Revision,
        /// The revision now.
        is: Revision,
    },
    /// The state of this life's pid is gone.
    StateGone {
        /// The pid.
        pid: Pid,
    },
    /// The state of this life's pid cannot be read.
    StateUnreadable(Unreadable),
    /// The state is that of this life, but older than what was acknowledged to it.
    StateFell {
        /// The pid.
        pid: Pid,
        /// The ceiling that was acknowledged.
        was: Sequence,
        /// The ceiling now.
        is: Sequence,
    },
    /// The state is that of a life that has not come after this one, although etcd had acknowledged this one as the newest.
    OlderLife {
        /// The pid.
        pid: Pid,
        /// The boot of this life.
        was: u64,
        /// The boot of the life that has the state now.
        is: u64,
    },
    /// The state is that of this life, and says that the life has stopped, which it has not.
    GivenBack {
        /// The pid.
        pid: Pid,
    },
    /// An answer that does not fit its call.
    WrongAnswer,
}

/// What somebody has seen of a store, to notice when it is not the same any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// What the cluster has in common.
    pub meta: Seen<Meta>,
    /// The highest revision of the store that was seen.
    pub revision: Revision,
}

impl Watch {
    /// Judges what etcd said about itself with the answer to a read or a transaction. Other answers do not tell the
    /// revision of the whole store, only how far one member had come.
    ///
    /// # Errors
    /// It is not the same store, or it has been put back.
    pub fn see(&mut self, header: &Header) -> Result<(), Breach> {
        same_etcd(&self.meta.value, header)?;
        // bug FallenRevisionIgnored instead: if header.revision < self.revision && !BUG {
        if header.revision < self.revision {
            return Err(Breach::RevisionFell {
                was: self.revision,
                is: header.revision,
            });
        }
        self.revision = header.revision;
        Ok(())
    }

    /// Judges all that a read has found.
    ///
    /// # Errors
    /// It is not the same store, or it has been put back.
    pub fn survey(&mut self, survey: &Survey) -> Result<(), Breach> {
        self.see(&survey.header)?;
        self.meta(&survey.meta)
    }

    /// Judges what a read has found of the whole cluster.
    ///
    /// # Errors
    /// It is another one.
    pub fn meta(&mut self, found: &Entry<Meta>) -> Result<(), Breach> {
        let seen = match found {
            Entry::Seen(seen) => seen,
            Entry::Absent => return Err(Breach::MetaMissing),
            Entry::Unreadable(what) => return Err(Breach::MetaUnreadable(what.clone())),
        };
        let (mine, is) = (self.meta.value, seen.value);
        if is.id != mine.id {
            return Err(Breach::OtherCluster {
                was: mine.id,
                is: is.id,
            });
        }
        if is.epoch != mine.epoch {
            return Err(Breach::OtherEpoch {
                was: mine.epoch,
                is: is.epoch,
            });
        }
        // The same text, perhaps at another revision, if somebody has put it there by hand.
        self.meta = seen.clone();
        Ok(())
    }
}

/// Whether this is the etcd to which the pids were written.
pub(crate) fn same_etcd(meta: &Meta, header: &Header) -> Result<(), Breach> {
    // bug OtherEtcdIgnored: return Ok(());
    match meta.etcd == header.cluster_id {
        true => Ok(()),
        false => Err(Breach::OtherEtcd {
            was: meta.etcd,
            is: header.cluster_id,
        }),
    }
}

/// What to do after any of them.
const WAY_OUT: &str = "if etcd was restored or its keys were lost, stop all servers of the cluster that use it, then run \
                       `ipseity-cli pids epoch --above SEQUENCE` with a sequence above all that were ever handed out";

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Breach::MetaMissing => f.write_str(
                "the key `meta` of the cluster is gone, so what else is there may be older than what was handed out",
            )?,
            Breach::MetaUnreadable(what) | Breach::StateUnreadable(what) => {
                return write!(
                    f,
                    "{what}; nothing is handed out on a guess: start a version that can read it, or, if what was there is \
                     lost, stop all servers that use this etcd, remove that key, and run `ipseity-cli pids epoch --above \
                     SEQUENCE`"
                );
            }
            Breach::OtherCluster { was, is } => write!(
                f,
                "these are the pids of another cluster: its id is {is:032x} and was {was:032x}"
            )?,
            Breach::OtherEpoch { was, is } => {
                return write!(
                    f,
                    "an operator has raised the epoch of the pids from {was} to {is}; a new start goes on above what that \
                     has set"
                );
            }
            Breach::OtherEtcd { was, is } => write!(
                f,
                "the pids were written to the etcd {was:016x}, and this is {is:016x}: it was restored from a backup, or \
                 replaced, or not all hosts of --store are members of one etcd"
            )?,
            Breach::EpochFell { pid } => write!(
                f,
                "the state of pid {pid} was written in a later epoch than the cluster has"
            )?,
            Breach::NoBootLeft { pid } => {
                return write!(f, "the boots of pid {pid} are used up; take another pid");
            }
            Breach::RevisionFell { was, is } => write!(
                f,
                "the revision of etcd has fallen from {was} to {is}: it was restored from a backup, or replaced"
            )?,
            Breach::StateGone { pid } => {
                write!(f, "the state of pid {pid} is gone, and nobody removes it")?;
            }
            Breach::StateFell { pid, was, is } => write!(
                f,
                "the ceiling of pid {pid} has fallen from {was} to {is}: etcd was restored from a backup, or somebody has \
                 written there"
            )?,
            Breach::OlderLife { pid, was, is } => write!(
                f,
                "pid {pid} has another owner, with boot {is}, which is not later than boot {was} of this server: etcd \
                 was restored from a backup, or somebody has written there"
            )?,
            Breach::GivenBack { pid } => write!(
                f,
                "the state says that pid {pid} was given back, and the server that has it did not do that: somebody has \
                 written there"
            )?,
            Breach::WrongAnswer => {
                return f.write_str(
                    "the answer does not fit what was asked: is this etcd, with its v3 API?",
                );
            }
        }
        write!(f, "; {WAY_OUT}")
    }
}

impl std::error::Error for Breach {}
