//! Failing disks, for tests of a real server: system calls that are made to fail, file systems that belong to the
//! test, and a client that checks its identities.

pub mod client;
pub mod strace;
pub mod volume;
