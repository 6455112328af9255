//! What is in etcd of a cluster, as one read has found it.

use std::{collections::BTreeMap, fmt};

use ipseity_core::{identity::Pid, text::Plain};
use ipseity_etcd::{Answer, Answered, Header, KeyValue, LeaseId, Revision};

use crate::layout::{Key, Layout, Meta, Owner, State, Value};

/// A value with all that a comparison needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<T> {
    /// The value.
    pub value: T,
    /// The value as it stands there.
    pub text: String,
    /// When it was last changed.
    pub revision: Revision,
    /// The lease with which it ends, if there is one.
    pub lease: Option<LeaseId>,
}

/// What stands under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<T> {
    /// Nothing.
    Absent,
    /// This.
    Seen(Seen<T>),
    /// Something that this version cannot read.
    Unreadable(Unreadable),
}

/// A value that this version cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its key.
    pub key: String,
    /// What is wrong with it, for people.
    pub error: String,
}

/// What is known of a pid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it may hand out.
    pub state: Entry<State>,
    /// Who has it now.
    pub owner: Entry<Owner>,
}

/// All that one read has found, at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// What etcd said about itself.
    pub header: Header,
    /// What the cluster has in common.
    pub meta: Entry<Meta>,
    /// The pids of which there is anything.
    pub pids: BTreeMap<Pid, Found>,
    /// Keys that this version knows nothing of. They change nothing.
    pub unknown: Vec<String>,
}

impl<T> Entry<T> {
    /// What was read, if it could be.
    pub fn seen(&self) -> Option<&Seen<T>> {
        match self {
            Entry::Seen(seen) => Some(seen),
            Entry::Absent | Entry::Unreadable(_) => None,
        }
    }

    /// Whether nothing is there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Entry::Absent)
    }
}

impl Found {
    /// What is known of a pid of which there is nothing.
    pub const NOTHING: Found = Found {
        state: Entry::Absent,
        owner: Entry::Absent,
    };
}

impl Survey {
    /// What the answer to a read of [`Layout::all`] holds. `None` if it is not an answer to a read.
    pub fn of(layout: &Layout, answer: &Answer) -> Option<Survey> {
        match &answer.answered {
            Answered::Range(keys) => Some(Survey::read(layout, answer.header, keys)),
            Answered::Txn { .. }
            | Answered::Granted { .. }
            | Answered::KeptAlive(_)
            | Answered::Revoked => None,
        }
    }

    /// What these keys hold.
    pub fn read(layout: &Layout, header: Header, keys: &[KeyValue]) -> Survey {
        let mut survey = Survey {
            header,
            meta: Entry::Absent,
            pids: BTreeMap::new(),
            unknown: Vec::new(),
        };
        for of in keys {
            match layout.key(&of.key) {
                Some(Key::Meta) => survey.meta = entry(of),
                Some(Key::State(pid)) => survey.found(pid).state = entry(of),
                Some(Key::Owner(pid)) => survey.found(pid).owner = entry(of),
                None => survey.unknown.push(of.key.clone()),
            }
        }
        survey
    }

    /// What is known of a pid.
    pub fn pid(&self, pid: Pid) -> &Found {
        self.pids.get(&pid).unwrap_or(&Found::NOTHING)
    }

    /// Who has which pid.
    pub fn owners(&self) -> Vec<(Pid, Owner)> {
        let owner = |(pid, found): (&Pid, &Found)| Some((*pid, found.owner.seen()?.value.clone()));
        self.pids.iter().filter_map(owner).collect()
    }

    fn found(&mut self, pid: Pid) -> &mut Found {
        self.pids.entry(pid).or_insert(Found::NOTHING)
    }
}

/// Whether a read of one key has found this value.
pub(crate) fn holds<T: Value + PartialEq>(ranges: &[Vec<KeyValue>], value: &T) -> bool {
    let keys = ranges.first().map_or(&[][..], Vec::as_slice);
    entry_of::<T>(keys)
        .seen()
        .is_some_and(|seen| seen.value == *value)
}

/// What a read of one key has found.
pub(crate) fn entry_of<T: Value>(keys: &[KeyValue]) -> Entry<T> {
    keys.first().map_or(Entry::Absent, entry)
}

fn entry<T: Value>(of: &KeyValue) -> Entry<T> {
    match T::read(&of.value) {
        Ok(value) => Entry::Seen(Seen {
            value,
            text: of.value.clone(),
            revision: of.mod_revision,
            lease: of.lease,
        }),
        Err(error) => Entry::Unreadable(Unreadable {
            key: of.key.clone(),
            error: format!("{} cannot be read: {error}", T::NAME),
        }),
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the key {}: {}; a later version of Ipseity may have written it, or somebody else",
            Plain(&self.key),
            Plain(&self.error)
        )
    }
}
