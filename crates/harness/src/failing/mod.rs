//! Disks that fail, for a test of a real server: system calls that are made to fail, file systems of the
//! test's own, and a client that checks what it is given.

pub mod client;
pub mod strace;
pub mod volume;
