//! The gateway before servers that follow a script, and before a real etcd.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a panic is the report, tests print, and waiting is bounded by the clock"
)]

mod cluster; // three members of a real etcd, some of which are away
mod real; // one real etcd: every call, and everything that it refuses
mod script; // a server that follows a script
mod scripted; // everything that a real etcd does rarely, and what others answer in its place

use std::time::Duration;

use ipseity_etcd::{
    Answer, Answered, Call, CallError, Compare, Gateway, KeyRange, KeyValue, LeaseId, Op, Secrets,
    Txn,
};
use ipseity_harness::server::PATIENCE;

/// A way to a real etcd. It waits for long, because a machine that is busy may hold up a disk for seconds.
fn patient(target: &str) -> Gateway {
    patient_with(target, &Secrets::default())
}

fn patient_with(target: &str, secrets: &Secrets) -> Gateway {
    Gateway::with_patience(&target.parse().unwrap(), secrets, PATIENCE).unwrap()
}

/// A way as a server has it.
fn gateway(target: &str) -> Gateway {
    gateway_with(target, &Secrets::default())
}

fn gateway_with(target: &str, secrets: &Secrets) -> Gateway {
    Gateway::new(&target.parse().unwrap(), secrets).unwrap()
}

fn read(key: &str) -> Call {
    Call::Range(KeyRange::Key(key.to_owned()))
}

fn read_all(prefix: &str) -> Call {
    Call::Range(KeyRange::Prefix(prefix.to_owned()))
}

fn grant(lease: LeaseId, seconds: u64) -> Call {
    let ttl = Duration::from_secs(seconds);
    Call::Grant { lease, ttl }
}

fn put(key: &str, value: &str) -> Op {
    put_under(key, value, None)
}

fn put_under(key: &str, value: &str, lease: Option<LeaseId>) -> Op {
    Op::Put {
        key: key.to_owned(),
        value: value.to_owned(),
        lease,
    }
}

fn has_revision(key: &str, is: i64) -> Compare {
    let key = key.to_owned();
    Compare::Revision { key, is }
}

fn has_value(key: &str, is: &str) -> Compare {
    let (key, is) = (key.to_owned(), is.to_owned());
    Compare::Value { key, is }
}

/// A transaction without a condition.
fn write(then: Vec<Op>) -> Call {
    Call::Txn(Txn {
        then,
        ..Txn::default()
    })
}

/// What was read.
fn values(answer: Answer) -> Vec<KeyValue> {
    match answer.answered {
        Answered::Range(values) => values,
        other => panic!("{other:?}"),
    }
}

/// Whether the conditions held, and what was read.
fn outcome(answer: Answer) -> (bool, Vec<Vec<KeyValue>>) {
    match answer.answered {
        Answered::Txn { succeeded, ranges } => (succeeded, ranges),
        other => panic!("{other:?}"),
    }
}

fn refused(result: Result<Answer, CallError>) -> String {
    match result {
        Err(CallError::Refused(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn unanswered(result: Result<Answer, CallError>) -> String {
    match result {
        Err(CallError::Unanswered(text)) => text,
        other => panic!("{other:?}"),
    }
}
