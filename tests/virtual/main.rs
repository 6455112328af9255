//! The server's loop, transport and peers in a simulated world that each test sets up. Its network, disk and time are
//! not real, so nothing here waits, and nothing depends on the machine.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    reason = "a panic is the report, and tests print"
)]

mod crowd; // clients that come, ask, stall and vanish in any order
mod deadlines; // when a connection that waits too long is closed
mod fairness; // who goes first when there is not enough room for all
mod fanout; // rounds in which a server asks only some of its peers
mod flood; // how much others can make a server log and save
mod health; // what probes and monitors are told over HTTP
mod http; // HTTP: one request at a time, its deadlines and its places
mod peers; // dialing, synchronizing with and losing peers
mod reserve; // who is turned away when all places are taken, and who is answered even then
mod spin; // when the loop looks again before it sleeps
mod stopping; // how a server stops, and what a failed disk does to it
mod tls; // TLS, piece by piece
mod transport; // reads and writes, over sockets that do what a test says
mod trust; // who is believed to be a peer, and who is not
mod turn; // what one turn of the loop takes, handles and settles
