//! Ipseity hands out monotonically increasing, unique 64-bit identities, and keeps its counter in step
//! with its peers.
//!
//! This crate is the server and the two programs, `ipseity` and `ipseity-cli`; it is public so that it can be
//! read, tested and run in a simulation. To use a server from Rust, `ipseity-client` is all you need.
//! docs/protocol.md shows every message on the network, byte by byte.
//!
//! # The turn of the loop
//!
//! One thread owns everything. Each readiness of a socket, each timer that expires, each decoded frame and
//! each signal is an entry in one queue, the [`mailbox`]. One turn of the [`server`] goes like this: wait
//! until the kernel reports something, and put it into the mailbox; put the expired timers behind it; take
//! entries out one at a time, in order, and handle each completely; write the replies that were collected
//! for each connection; free the connections that were closed.
//!
//! An entry that is a readiness goes to the [`transport`], which reads, decodes, and puts an event for each
//! frame at the end of the same mailbox. An event goes to the [`actor`](ipseity_core::actor), which owns the
//! sequence: it changes its private state and returns effects (reply, send, write, start the ticker), and
//! the server carries them out before it takes the next entry. An identity is decided when its request is
//! handled. It leaves when the ceiling on the disk allows it: durable first, reply after.
//!
//! # Where to start reading
//!
//! Start with [`server`], whose function `turn` is the paragraph above. Then read
//! [`actor`](ipseity_core::actor), whose `handle` is the table of everything that can happen.
//! docs/architecture.md has the picture, the bounds and the traps. docs/guarantees.md says what is promised,
//! and what happens under each fault.
//!
//! You can skip a comment that begins with `// bug`. It says how a bug would be made there, and only a hunt
//! puts it into the code: see docs/testing.md, "Planted bugs".
//!
//! # The modules, each above those that may name it
//!
//! Above all of them are [`ipseity_core`], which has the identity, the words and the actor, and
//! [`ipseity_frames`], which has the bytes.
//!
//! - [`limits`]: every bound of the server, with its reason.
//! - [`mailbox`]: the one queue.
//! - [`options`]: the server's command line.
//! - [`store`]: the state directory, which survives every crash, and the memory of the peers.
//! - [`pid_store`]: the pid of a server whose state is in etcd.
//! - [`trace`]: a line for each entry and each effect.
//! - [`edge`]: what the server needs from the world, as two traits.
//! - [`codec`]: how bytes become messages, and messages bytes.
//! - [`trust`]: whom the server believes, by the address.
//! - [`listeners`]: where connections come in, and what they may do there.
//! - [`secure`]: TLS as a layer of bytes, and what a certificate allows.
//! - `buffer`: what connections borrow while something is under way.
//! - [`connection`]: one connection and the state it is in.
//! - [`transport`]: all connections: reading, decoding, writing, closing, reaping.
//! - [`peers`]: which peers to dial, and when.
//! - [`server`]: the turn of the loop.
//! - [`os`]: the edge to a real operating system, by way of `mio`.
//! - [`opening`]: opens what keeps the state.
//! - [`check`]: what `--check` says.

mod buffer;
pub mod check;
pub mod codec;
pub mod connection;
pub mod edge;
pub mod limits;
pub mod listeners;
pub mod mailbox;
pub mod opening;
pub mod options;
pub mod os;
pub mod peers;
pub mod pid_store;
pub mod secure;
pub mod server;
pub mod store;
pub mod trace;
pub mod transport;
pub mod trust;
