//! What crosses the network: messages, and the frames that carry them.
//!
//! ```text
//! frame = length:u16  kind:u8  body        length = 1 + len(body), all integers big-endian
//! ```
//!
//! No I/O: bytes in, messages out, and back. Nothing is reserved for a length that the other side merely
//! claims. This is the one place that knows bincode. It may import `identity` and `limits`.
//! docs/protocol.md describes every message byte by byte, and tests/golden.rs holds it to the same bytes.

mod cluster;
mod codec;
mod error;
mod frame;
mod message;
mod status;

pub use cluster::{Member, Members, Objection, Overrule};
pub use error::{ErrorCode, WireError};
pub use frame::{FrameDecoder, IdentityRequests, Receiver, encode, encode_identities};
pub use message::{
    ClusterName, ClusterNameError, ErrorReply, Kind, Message, SyncMessage, WIRE_VERSION,
};
pub use status::{Counters, PeerState, PeerStatus, Standing, Status, StorageStatus};
