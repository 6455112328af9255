//! Frames: the binary codec of Ipseity. Bytes in, messages out, and back.
//!
//! ```text
//! frame = length:u16  kind:u8  body        length = 1 + len(body), all integers big-endian
//! ```
//!
//! No I/O. Nothing is reserved for a length that the other side merely claims. `body.rs` is the one file that
//! names bincode. What the messages mean stands in `ipseity_core::words`; docs/protocol.md describes each of
//! them byte by byte, and a test holds that page to the same bytes.

mod body;
mod error;
mod frame;
mod kind;
mod length;
pub mod limits;

pub use error::WireError;
pub use frame::{FrameDecoder, IdentityRequests, Receiver, encode, encode_identities};
pub use kind::Kind;
