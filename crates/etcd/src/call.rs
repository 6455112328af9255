//! Calls and answers as plain data, in the words of etcd's API (version 3).
//!
//! Keys and values are text: everything that Ipseity stores there can be read with `etcdctl`. What others store there and
//! is no text has U+FFFD in the place of each part that is no character.

use std::{fmt, time::Duration};

/// A revision: etcd counts every change of its store. After etcd was restored from a backup, revisions are used again.
pub type Revision = i64;

/// The number of a lease. The one who asks for a lease draws it at random, so that the lease can be revoked even where the
/// answer was lost.
pub type LeaseId = i64;

/// A request to etcd. All of them are linearizable: a read is never answered from the memory of a member that has
/// been cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Reads keys.
    Range(KeyRange),
    /// Compares, and then does the one or the other, as one step.
    Txn(Txn),
    /// Makes a lease of this number. etcd counts whole seconds.
    Grant {
        /// Its number, above zero.
        lease: LeaseId,
        /// How long it lasts without a sign of life, rounded up to seconds.
        ttl: Duration,
    },
    /// Lets a lease begin anew.
    KeepAlive(LeaseId),
    /// Ends a lease, and with it every key that was put under it.
    Revoke(LeaseId),
}

/// Which keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRange {
    /// This one.
    Key(String),
    /// All that begin with this, in their order.
    Prefix(String),
}

/// A transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// Whether all of these hold decides.
    pub compare: Vec<Compare>,
    /// What is done if they hold.
    pub then: Vec<Op>,
    /// What is done if one does not.
    pub otherwise: Vec<Op>,
}

/// A condition on a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The key was last changed at this revision. At revision 0: there is no such key.
    Revision {
        /// The key.
        key: String,
        /// Its `mod_revision`.
        is: Revision,
    },
    /// The key has this value. False if there is no such key.
    Value {
        /// The key.
        key: String,
        /// Its value.
        is: String,
    },
}

/// A part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets a key.
    Put {
        /// The key.
        key: String,
        /// Its new value.
        value: String,
        /// The lease with which it ends, if there is one.
        lease: Option<LeaseId>,
    },
    /// Removes a key.
    Delete(String),
    /// Reads keys.
    Range(KeyRange),
}

/// What etcd says about itself with every answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The random number that was made with the cluster of etcd. A restore from a backup makes a new one.
    pub cluster_id: u64,
    /// The revision of the store when it answered.
    pub revision: Revision,
    /// The term of the leader who made the last change that this member knew of when it answered. Of two leaders the
    /// later one has the higher term.
    pub term: u64,
}

/// A key with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// When it was made.
    pub create_revision: Revision,
    /// When it was last changed.
    pub mod_revision: Revision,
    /// The lease with which it ends, if there is one.
    pub lease: Option<LeaseId>,
}

/// An answer of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// See [`Header`].
    pub header: Header,
    /// What was asked for.
    pub answered: Answered,
}

/// See [`Answer`]. Each call has one kind of answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// To [`Call::Range`].
    Range(Vec<KeyValue>),
    /// To [`Call::Txn`].
    Txn {
        /// Whether the conditions held.
        succeeded: bool,
        /// What each [`Op::Range`] among those that were done has read, in their order.
        ranges: Vec<Vec<KeyValue>>,
    },
    /// To [`Call::Grant`].
    Granted {
        /// How long the lease lasts; etcd may give more than was asked for.
        ttl: Duration,
    },
    /// To [`Call::KeepAlive`]: how long the lease lasts from now on; `None` if there is no such lease any more.
    KeptAlive(Option<Duration>),
    /// To [`Call::Revoke`]: there is no such lease any more.
    Revoked,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// Nobody has said whether it was done, is being done, or will still be done: no answer in time, a connection that
    /// broke, or an error that leaves this open. The text says what happened, at which endpoint.
    Unanswered(String),
    /// etcd has said that it was not done and why: no space left, no permission, no leader. The same call may be
    /// repeated.
    Refused(String),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Unanswered(text) | CallError::Refused(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for CallError {}
