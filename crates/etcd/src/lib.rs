//! The few calls of etcd (version 3) that Ipseity needs.
//!
//! - [`call`]: calls and their answers as plain data. What decides what to ask knows only this, so it runs unchanged
//!   before a simulated etcd.
//! - [`step`]: what something that asks etcd wants next.
//! - [`run`]: takes such steps until there is a result.

pub mod call;
pub mod run;
pub mod step;

pub use call::{
    Answer, Answered, Call, CallError, Compare, Header, KeyRange, KeyValue, LeaseId, Op, Revision,
    Txn,
};
pub use run::{World, run};
pub use step::{Procedure, Step};
