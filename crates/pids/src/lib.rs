//! The pids of a cluster whose store is etcd: who has which pid, and how far each may count.
//!
//! It does no I/O and reads no clock: each procedure says which call it wants next, and is given the answer.
