//! The bounds of a frame, each with its reason.

use ipseity_core::limits::{ADDRESS_BYTES_MAX, CLUSTER_NAME_BYTES_MAX};

/// The length and the kind of a frame.
pub const FRAME_HEADER_BYTES: usize = 3;

/// A whole frame: a length field of 16 bits and as much as it can count.
pub const FRAME_BYTES_MAX: usize = 2 + u16::MAX as usize;

/// The buffer that a frame decoder reads into. It holds the longest frame and one byte more, so that
/// there is always space to read into, rounded up to whole pages. One server has one of them.
pub const READ_BUFFER_BYTES: usize = 68 * 1024;

const _: () = assert!(READ_BUFFER_BYTES > FRAME_BYTES_MAX);

/// How many bytes bincode may read of one body. Without a limit it would believe any length on the wire. It is not less
/// than the longest body, which the length of the frame already bounds.
pub const BODY_BYTES_LIMIT: usize = 65536;

const _: () = assert!(BODY_BYTES_LIMIT >= FRAME_BYTES_MAX - FRAME_HEADER_BYTES);

/// The greatest length field of a sync message. In this version it is 155 + 255 + 261. The rest is room for a later version,
/// so that it is refused for its version and not for its length. It stays below 0x1600, so that no frame that a server
/// accepts begins as TLS does.
pub const SYNC_LENGTH_MAX: u16 = 1024;

const _: () = assert!(SYNC_LENGTH_MAX as usize >= 155 + CLUSTER_NAME_BYTES_MAX + ADDRESS_BYTES_MAX);
const _: () = assert!(SYNC_LENGTH_MAX < 0x1600);
