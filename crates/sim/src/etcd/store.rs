//! The state machine of etcd: keys with their revisions, leases, and what each call does to them, one after the other.

use std::{collections::BTreeMap, time::Duration};

use ipseity_core::time::Instant;
use ipseity_etcd::{
    Answer, Answered, Call, Compare, Header, KeyRange, KeyValue, LeaseId, Op, Revision, Txn,
};

/// The shortest lease that etcd grants, with its ordinary election timeout.
const TTL_MIN: Duration = Duration::from_secs(2);

/// How long after its end a lease is still there at most: etcd looks every half second.
const EXPIRY_LATE: Duration = Duration::from_millis(500);

/// A lease.
#[derive(Clone, Copy, Debug)]
struct Lease {
    ttl: Duration,
    ends: Instant,
}

/// All that etcd keeps. A clone is a backup.
#[derive(Clone, Debug)]
pub struct Store {
    pub cluster_id: u64,
    revision: Revision,
    /// Each leader has a higher one.
    term: u64,
    keys: BTreeMap<String, KeyValue>,
    leases: BTreeMap<LeaseId, Lease>,
    /// Nothing more is written, because there is no space left.
    pub is_full: bool,
}

impl Store {
    /// An empty etcd. Its revision is 1.
    pub fn new(cluster_id: u64) -> Store {
        Store {
            cluster_id,
            revision: 1,
            term: 1,
            keys: BTreeMap::new(),
            leases: BTreeMap::new(),
            is_full: false,
        }
    }

    /// What it says about itself.
    pub fn header(&self) -> Header {
        Header {
            cluster_id: self.cluster_id,
            revision: self.revision,
            term: self.term,
        }
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(|of| of.value.as_str())
    }

    /// Does a call, or says why it was not done.
    pub fn apply(&mut self, call: &Call, now: Instant) -> Result<Answer, String> {
        let answered = match call {
            Call::Range(range) => Answered::Range(self.range(range)),
            Call::Txn(txn) => self.txn(txn)?,
            Call::Grant { lease, ttl } => {
                self.check_space()?;
                if self.leases.contains_key(lease) {
                    return Err("etcdserver: lease already exists".to_owned());
                }
                let ttl = Duration::from_secs(ttl.as_millis().div_ceil(1000) as u64).max(TTL_MIN);
                let ends = now.after(ttl + EXPIRY_LATE);
                self.leases.insert(*lease, Lease { ttl, ends });
                Answered::Granted { ttl }
            }
            Call::KeepAlive(lease) => Answered::KeptAlive(self.leases.get_mut(lease).map(|of| {
                of.ends = now.after(of.ttl + EXPIRY_LATE);
                of.ttl
            })),
            Call::Revoke(lease) => {
                self.end(*lease);
                Answered::Revoked
            }
        };
        Ok(Answer {
            header: self.header(),
            answered,
        })
    }

    /// Ends the leases whose time is over.
    pub fn expire(&mut self, now: Instant) {
        let over = |(lease, of): (&LeaseId, &Lease)| (of.ends <= now).then_some(*lease);
        let over: Vec<LeaseId> = self.leases.iter().filter_map(over).collect();
        for lease in over {
            self.end(lease);
        }
    }

    /// When the next lease ends.
    pub fn next_end(&self) -> Option<Instant> {
        self.leases.values().map(|lease| lease.ends).min()
    }

    /// The leases that there are.
    pub fn leases(&self) -> Vec<LeaseId> {
        self.leases.keys().copied().collect()
    }

    /// Ends a lease before its time, or revokes it.
    pub fn end(&mut self, lease: LeaseId) {
        if self.leases.remove(&lease).is_none() {
            return;
        }
        let before = self.keys.len();
        self.keys.retain(|_, of| of.lease != Some(lease));
        if self.keys.len() < before {
            self.revision += 1;
        }
    }

    /// A new leader lets all leases begin anew.
    pub fn begin_term(&mut self, now: Instant) {
        self.term += 1;
        for lease in self.leases.values_mut() {
            lease.ends = now.after(lease.ttl + EXPIRY_LATE);
        }
    }

    /// Sets a key by hand.
    pub fn put(&mut self, key: &str, value: &str) {
        self.revision += 1;
        self.do_op(&Op::Put {
            key: key.to_owned(),
            value: value.to_owned(),
            lease: None,
        });
    }

    /// Removes every key that begins so.
    pub fn wipe(&mut self, prefix: &str) {
        self.keys.retain(|key, _| !key.starts_with(prefix));
        self.revision += 1;
    }

    fn check_space(&self) -> Result<(), String> {
        match self.is_full {
            true => Err("etcdserver: mvcc: database space exceeded".to_owned()),
            false => Ok(()),
        }
    }

    fn range(&self, range: &KeyRange) -> Vec<KeyValue> {
        match range {
            KeyRange::Key(key) => self.keys.get(key).into_iter().cloned().collect(),
            KeyRange::Prefix(prefix) => self
                .keys
                .range(prefix.clone()..)
                .take_while(|(key, _)| key.starts_with(prefix))
                .map(|(_, of)| of.clone())
                .collect(),
        }
    }

    fn holds(&self, compare: &Compare) -> bool {
        match compare {
            Compare::Revision { key, is } => {
                self.keys.get(key).map_or(0, |of| of.mod_revision) == *is
            }
            Compare::Value { key, is } => self.keys.get(key).is_some_and(|of| of.value == *is),
        }
    }

    fn txn(&mut self, txn: &Txn) -> Result<Answered, String> {
        let puts = |ops: &[Op]| ops.iter().any(|op| matches!(op, Op::Put { .. }));
        if puts(&txn.then) || puts(&txn.otherwise) {
            self.check_space()?;
        }
        let succeeded = txn.compare.iter().all(|compare| self.holds(compare));
        let ops = if succeeded { &txn.then } else { &txn.otherwise };
        for op in ops {
            if let Op::Put {
                lease: Some(lease), ..
            } = op
                && !self.leases.contains_key(lease)
            {
                return Err("etcdserver: requested lease not found".to_owned());
            }
        }
        // All changes of a transaction have one revision. A removal of what is not there is no change.
        let changes = ops.iter().any(|op| match op {
            Op::Put { .. } => true,
            Op::Delete(key) => self.keys.contains_key(key),
            Op::Range(_) => false,
        });
        if changes {
            self.revision += 1;
        }
        let mut ranges = Vec::new();
        for op in ops {
            ranges.extend(self.do_op(op));
        }
        Ok(Answered::Txn { succeeded, ranges })
    }

    /// Returns what was read, if it was a read.
    fn do_op(&mut self, op: &Op) -> Option<Vec<KeyValue>> {
        match op {
            Op::Put { key, value, lease } => {
                let before = self.keys.get(key);
                let of = KeyValue {
                    key: key.clone(),
                    value: value.clone(),
                    create_revision: before.map_or(self.revision, |of| of.create_revision),
                    mod_revision: self.revision,
                    lease: *lease,
                };
                self.keys.insert(key.clone(), of);
                None
            }
            Op::Delete(key) => {
                self.keys.remove(key);
                None
            }
            Op::Range(range) => Some(self.range(range)),
        }
    }
}
