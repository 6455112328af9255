//! Ipseity hands out monotonically increasing, unique 64-bit identities, and keeps its counter in step
//! with its peers.

pub mod actor;
mod buffer;
pub mod client;
pub mod connection;
pub mod edge;
pub mod identity;
pub mod limits;
pub mod mailbox;
pub mod options;
pub mod os;
pub mod peers;
pub mod server;
pub mod store;
pub mod time;
pub mod timer;
pub mod trace;
pub mod transport;
pub mod wire;
