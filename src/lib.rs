//! Ipseity hands out monotonically increasing, unique 64-bit identities, and keeps its counter in step
//! with its peers.

pub mod identity;
pub mod limits;
pub mod store;
pub mod wire;
