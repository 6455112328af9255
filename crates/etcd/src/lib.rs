//! The few calls of etcd (version 3) that Ipseity needs.
//!
//! - [`call`]: calls and their answers as plain data. What decides what to ask knows only this, so it runs unchanged
//!   before a simulated etcd.
//! - [`step`]: what something that asks etcd wants next.
//! - [`run`](mod@run): takes such steps until there is a result.
//! - [`target`]: where etcd is, as people write it.
//! - [`gateway`]: a real etcd, over HTTP. Only this does I/O.

pub mod call;
pub mod gateway;
pub mod run;
pub mod step;
pub mod target;

pub use call::{
    Answer, Answered, Call, CallError, Compare, Header, KeyRange, KeyValue, LeaseId, Op, Revision,
    Txn,
};
pub use gateway::{Gateway, Secrets, SecretsError};
pub use run::{World, run};
pub use step::{Procedure, Step};
pub use target::{Target, TargetError};
