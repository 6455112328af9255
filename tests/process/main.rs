//! The real server as a process: real sockets, signals, disks and networks.
//!
//! The tests run side by side, so no test changes anything of this process. Instead they limit, hold or cut off programs
//! that they start.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a panic is the report, tests print, and waiting is bounded by the clock"
)]

mod check; // what a server says of a start before it takes place
mod cluster; // several servers that synchronize, and survive each other
mod container; // a server in a memory cgroup, with clients that never read
mod directory; // who may use a state directory, and what a start says and leaves behind
mod disk; // a server on disks that fail
mod environment; // a server that is set up by its environment, and by its host name
mod etcd; // servers without disks in a real etcd, while both are hurt
mod flood; // how much others can make a server log and save
mod full; // a server whose places are all taken: who gets in, and who makes room
mod guard; // two servers of one pid, and state that is lost or rolled back
mod http; // HTTP: every path, identities beside frames, refusals, TLS, strangers and crashes
mod kills; // servers under load that are killed, stopped and paused at random
mod life; // the life of one server: start, stop, signals, and what it says
mod lives; // starts of a pid that is in use or was: which life hands out identities
mod load; // memory and fairness under load, and against hostile clients
mod log; // a log and a trace that nobody reads, and streams that fail
mod log_format; // what the log looks like: JSON for programs, priorities for the journal
mod names; // names with several addresses, and several addresses to listen on
mod namespaces; // a cluster in network namespaces, and a nemesis
mod netcat; // the protocol, spoken with netcat
mod operator; // what an operator does: members, forget, advance
mod operators; // operators who copy a directory, put an old one back, and mistype a pid
mod pids; // servers whose state is in etcd: pids, peers that are found, an etcd that is away
mod probes; // probes by HTTP in a crowd, with few descriptors, and while certificates are replaced
mod scrape; // what Prometheus gets from a server
mod signals; // what each signal does, also to process 1
mod soak; // every hostile client at once, beside honest ones
mod stop; // what a stop still answers: over TLS, and to a client that reads late
mod store_faults; // the state directory where system calls and file systems fail
mod supervisor; // what the supervisor is told: ready, the standing, the watchdog
mod tls; // TLS: certificates, roles, reloads, and openssl and Python as clients
mod told; // what the log and the status report: a disk that hangs, the end of the sequence, large raises
mod trace; // the trace of scripted runs, line by line
mod trust; // who may speak as a peer
mod waiting; // the calls of the loop's thread, and threads that wait in its place
