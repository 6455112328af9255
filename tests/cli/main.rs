//! `ipseity-cli` as a process, and the examples of the README for both programs.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a panic is the report, tests print, and waiting is bounded by the clock"
)]

mod bench; // `ipseity-cli bench`: what it counts, refuses and finds
mod cert; // `ipseity-cli cert`: the files that it makes, as openssl sees them, and what it refuses
mod cluster; // clusters as a person sees them, and failover in the middle of an output
mod commands; // each command: its output, errors and exit codes
mod names; // servers given by name: a resolver that hangs, and a name with several addresses
mod pids; // `pids`: the variables of a server, as in its container
mod readme; // every example of README.md, run as it is shown
mod several; // commands that ask several servers: all at once, shown in the order of the command line
mod shapes; // the shape of the output, the forms of an identity, the help and its examples, and what is for people only
mod tls; // the commands by TLS: servers at tls://, their flags and variables, and what is said when a handshake fails
