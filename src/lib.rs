//! Ipseity hands out monotonically increasing, unique 64-bit identities, and keeps its counter in step
//! with its peers.
//!
//! The crate is three things. To use a server from Rust, [`client`] is all that is needed. To run one, there
//! are the programs `ipseity` and `ipseity-cli`. The rest is the server itself, public so that it can be
//! read, tested and run in a simulation. docs/protocol.md has what crosses the network, byte by byte.
//!
//! # The turn of the loop
//!
//! One thread owns everything. Each readiness of a socket, each timer that expires, each frame that was
//! decoded and each signal is an entry in one queue, the [`mailbox`]. One turn of the [`server`]: wait until
//! the kernel has something to tell, and put it into the mailbox; put the timers that expired behind it;
//! take the entries out one at a time, in order, and handle each to its end; write the replies that have
//! come together for each connection; free the connections that were closed. An entry that is a readiness
//! goes to the [`transport`], which reads, decodes, and puts an event for each frame at the end of the same
//! mailbox. An event goes to the [`actor`], which owns the sequence: it changes its private state and returns
//! effects (reply, send, persist, start the ticker), and the server carries them out before it takes the next
//! entry. An identity is decided when its request is handled, and leaves when the disk holds a ceiling above
//! it: durable first, reply after.
//!
//! # Where to start reading
//!
//! At [`server`], whose one function `turn` is the paragraph above; then [`actor`], whose `handle` is the
//! table of all that can happen. docs/architecture.md has the picture, the bounds and the traps;
//! docs/guarantees.md has what is promised, and what happens under which fault.
//!
//! # The modules, each above those that may name it
//!
//! - [`limits`]: every bound, with its reason.
//! - [`time`]: a moment as a plain number; nothing reads a clock there.
//! - [`identity`]: the identity, its sequence and its pid; packing, order, text.
//! - [`wire`]: messages, frames, and what can be wrong with them; no I/O.
//! - [`actor`]: the state machine that owns the sequence; no I/O, no clock, no randomness.
//! - [`timer`]: the ticker and the few other deadlines.
//! - [`mailbox`]: the one queue.
//! - [`options`]: the server's command line.
//! - [`client`]: the blocking client, from one server or the first of several that answers.
//! - [`store`]: the state directory, which outlives every crash, and what is remembered of the peers.
//! - [`trace`]: a line for each entry and each effect.
//! - [`edge`]: what the server asks of the world, as two traits.
//! - [`codec`]: how bytes become messages, and messages bytes.
//! - [`listeners`]: by which doors connections come in, and what each may do.
//! - `buffer`: what connections borrow while something is under way.
//! - [`connection`]: one connection and the state it is in.
//! - [`transport`]: all connections: reading, decoding, writing, closing, reaping.
//! - [`peers`]: whom to dial, and when.
//! - [`server`]: the turn of the loop.
//! - [`os`]: the edge to a real operating system, by way of `mio`.

mod buffer;
pub mod codec;
pub mod connection;
pub mod edge;
pub mod limits;
pub mod listeners;
pub mod mailbox;
pub mod options;
pub mod os;
pub mod peers;
pub mod server;
pub mod store;
pub mod trace;
pub mod transport;
