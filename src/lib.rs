//! Ipseity hands out monotonically increasing, unique 64-bit identities, and keeps its counter in step
//! with its peers.

pub mod client;
pub mod identity;
pub mod limits;
pub mod wire;
