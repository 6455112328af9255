//! What a life knows of its own pid.
//!
//! # Why no sequence of a pid is handed out twice
//!
//! What is assumed of etcd: transactions take place one after the other, each as a whole, a read shows all of them that were
//! acknowledged before it was sent, and nothing that was acknowledged is ever undone. (If it is undone, see
//! [`breach`](crate::breach).) Nothing is assumed of messages: a call may be lost, take effect twice, or take effect long
//! after its caller has given it up. Nothing is assumed of clocks and leases.
//!
//! 1. *The values of a state form one chain.* Every write of a state is a transaction that compares its revision and its
//!    value with those of the value that it replaces, so each value has one successor. Nobody removes a state. (The value
//!    is compared too because revisions are used again after a restore.)
//! 2. *A life is a part of that chain without a gap.* A session is drawn for one attempt to claim a pid. Its claim may be
//!    sent again, but it is the same transaction then, so it takes effect once. It replaces a value of another session.
//!    Every other write of a session replaces a value of its own session. So once another session has written, no write of
//!    the life before succeeds any more, however late it arrives.
//! 3. *A life hands out only above the ceiling that its claim has replaced*, because that is the claim's `sequence`.
//! 4. *A life hands out only up to a ceiling that it has read or that was acknowledged to it*, under its own session. So
//!    the last value of its session has a ceiling that is at least as high. A raise never lowers the ceiling. A stop
//!    lowers it to the last sequence that was handed out, and after that was asked for, nothing more is. A raise that was
//!    sent before the stop and arrives after it finds another value and does nothing.
//! 5. *The successor begins above the ceiling of that last value*: by (2) it is the value that the successor's claim
//!    replaces, and by (3) it hands out only above.
//!
//! So the allowances of two lives are disjoint. A life that is paused and wakes after a takeover can spend only what is left
//! of its own.
//!
//! What an answer that does not come means follows from the same. Whoever reads its own session has written that value, and
//! may go on from it, whatever its ceiling is. Whoever reads another session is not the owner any more. The attempt that
//! was given up may still take effect, but only while the value that it compares with stands, and then it is the next
//! attempt that fails and reads again.
//!
//! A call without an answer is sent again just as it was. Either it takes effect now, or its comparison fails and it reads,
//! and then the first one either has taken effect or never will. An attempt to claim that is given up without that
//! knowledge is given up with its session and its lease. If it takes effect later, it is a life that hands out nothing. Its
//! lease is revoked before the next attempt, so that the owner that it would put ends at once, or is not put at all.
//!
//! **What can come again after a restore.** Epochs, boots and revisions are counted in etcd. If a backup is restored that is
//! older than the last operator's word, they come again in another history, and so may the text of `meta`, if the operator
//! says the same sequence. Sessions are drawn, and none is in two histories that part before its claim. So a life of the other
//! history finds another session and writes nothing more; that it finds its own epoch proves nothing. Where a life is
//! compared without etcd, by its peers, boots alone decide which one is the newer, so an operator has to raise the epoch
//! above all those of the other history: see docs/etcd.md.
//!
//! Every write compares the key `meta` too, so an operator who raises the epoch ends all lives with that one write. A claim
//! in a later epoch begins above the ceiling that it replaces and above the operator's word.

use std::{fmt, time::Duration};

use ipseity_core::{
    actor::Life,
    address::HostPort,
    identity::{Pid, Sequence},
};
use ipseity_etcd::{Compare, KeyRange, KeyValue, LeaseId, Op};

use crate::{
    breach::{Breach, Watch},
    layout::{Layout, Owner, State, Value},
    survey::{Entry, Seen, entry_of},
};

/// What a life knows of its own pid: made by a [`Claim`](crate::Claim), and kept up to date with what the other
/// procedures return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenure {
    /// Where the keys are.
    pub layout: Layout,
    /// The pid.
    pub pid: Pid,
    /// Only greater sequences may be handed out.
    pub above: Sequence,
    /// How many sequences were skipped at most, because the life before did not stop cleanly.
    pub skipped: u64,
    /// The pid was never claimed before, nor brought from a directory.
    pub is_first: bool,
    /// Nothing was there of the cluster: this claim has made it.
    pub made_cluster: bool,
    /// Who this life says that it is.
    pub owner: Owner,
    /// How long the lease lasts without a sign of life, as was asked for.
    pub ttl: Duration,
    /// The lease under which the owner is. [`Keep`](crate::Keep) returns another one when it has ended.
    pub lease: LeaseId,
    /// The newest state of this life that it has written and knows of. [`Raise`](crate::Raise) returns the next one.
    pub state: Seen<State>,
    /// What it has seen of the store.
    pub watch: Watch,
}

/// A value of the state that this life has written, as it was acknowledged or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The value.
    pub state: Seen<State>,
    /// What was seen of the store.
    pub watch: Watch,
}

/// A life may hand out nothing more: why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Another life has claimed the pid.
    Fenced {
        /// The pid.
        pid: Pid,
        /// The life that has it now.
        by: Life,
    },
    /// The store is not what it was.
    Breach(Breach),
}

impl Tenure {
    /// The random value of this life.
    pub fn session(&self) -> u64 {
        self.state.value.session
    }

    /// No greater sequence may be handed out.
    pub fn ceiling(&self) -> Sequence {
        self.state.value.ceiling
    }

    /// The last lives of the pid, with this one, the newest last.
    pub fn lives(&self) -> Vec<Life> {
        let mut lives = self.state.value.lives.clone();
        lives.push(self.state.value.life());
        lives
    }

    /// Takes over what a raise has returned.
    pub fn note(&mut self, mark: Mark) {
        let seen = self.watch.revision;
        self.watch = mark.watch;
        self.watch.revision = self.watch.revision.max(seen);
        self.state = mark.state;
    }

    /// Takes over what a sign of life has returned. A raise may have seen more meanwhile.
    pub fn kept(&mut self, lease: LeaseId, watch: &Watch) {
        self.lease = lease;
        self.watch.revision = self.watch.revision.max(watch.revision);
    }

    /// That the state is just as this life knows it.
    pub(crate) fn is_mine(&self) -> Vec<Compare> {
        let mut compare = stands(self.layout.state(self.pid), &self.state);
        compare.extend(stands(self.layout.meta(), &self.watch.meta));
        compare
    }

    /// Reads what [`Tenure::reread`] judges.
    pub(crate) fn read_again(&self) -> Vec<Op> {
        let keys = [self.layout.meta(), self.layout.state(self.pid)];
        keys.map(|key| Op::Range(KeyRange::Key(key))).into()
    }

    /// Judges what [`Tenure::read_again`] has read, and takes it over.
    ///
    /// # Errors
    /// This life may hand out nothing more.
    pub(crate) fn reread(&mut self, ranges: &[Vec<KeyValue>]) -> Result<(), Lost> {
        let [meta, state] = ranges else {
            return Err(Breach::WrongAnswer.into());
        };
        self.watch.meta(&entry_of(meta))?;
        self.state = self.judge(&entry_of(state))?;
        Ok(())
    }

    /// Sets the state to another value.
    pub(crate) fn put(&self, state: &State) -> Op {
        Op::Put {
            key: self.layout.state(self.pid),
            value: state.text(),
            lease: None,
        }
    }

    /// What a read of the state means for this life.
    ///
    /// # Errors
    /// The state is not that of this life, or older than what was acknowledged to it.
    pub(crate) fn judge(&self, found: &Entry<State>) -> Result<Seen<State>, Lost> {
        let pid = self.pid;
        let seen = match found {
            Entry::Seen(seen) => seen,
            Entry::Absent => return Err(Breach::StateGone { pid }.into()),
            Entry::Unreadable(what) => return Err(Breach::StateUnreadable(what.clone()).into()),
        };
        let (mine, is) = (&self.state.value, &seen.value);
        // bug ForeignAdopted: if BUG { return Ok(seen.clone()); }
        if is.session != mine.session {
            // Each claim takes a higher boot, so only a store that was put back has a life from before this one. It may
            // show nothing else, if its revision has come as far again.
            // bug OlderStateFences instead: if is.boot > mine.boot || BUG {
            if is.boot > mine.boot {
                return Err(Lost::Fenced { pid, by: is.life() });
            }
            return Err(Breach::OlderLife {
                pid,
                was: mine.boot,
                is: is.boot,
            }
            .into());
        }
        // A stop may lower it.
        if is.ceiling < mine.ceiling && !is.stopped {
            return Err(Breach::StateFell {
                pid,
                was: mine.ceiling,
                is: is.ceiling,
            }
            .into());
        }
        Ok(seen.clone())
    }
}

/// That a key was last changed when this was seen, and has that value.
pub(crate) fn stands<T>(key: String, seen: &Seen<T>) -> Vec<Compare> {
    vec![
        Compare::Revision {
            key: key.clone(),
            is: seen.revision,
        },
        Compare::Value {
            key,
            is: seen.text.clone(),
        },
    ]
}

/// That there is no such key.
pub(crate) fn is_absent(key: String) -> Compare {
    Compare::Revision { key, is: 0 }
}

/// What a server says about itself when it claims a pid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Where its peers find it.
    pub address: HostPort,
    /// The time, for people; at most [`SINCE_BYTES_MAX`](crate::layout::SINCE_BYTES_MAX) bytes, or empty.
    pub since: String,
    /// How long its lease lasts without a sign of life.
    pub ttl: Duration,
    /// By how much the ceiling is raised with the claim.
    pub step: u64,
}

impl From<Breach> for Lost {
    fn from(breach: Breach) -> Lost {
        Lost::Breach(breach)
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Fenced { pid, by } => write!(
                f,
                "another server has claimed pid {pid}: its boot is {} and its session {:016x}",
                by.boot, by.session
            ),
            Lost::Breach(breach) => breach.fmt(f),
        }
    }
}

impl std::error::Error for Lost {}
