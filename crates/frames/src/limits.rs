//! The bounds of a frame, each with its reason.

use ipseity_core::limits::CLUSTER_NAME_BYTES_MAX;

/// The length and the kind of a frame.
pub const FRAME_HEADER_BYTES: usize = 3;

/// A whole frame: a length field of 16 bits and as much as it can count.
pub const FRAME_BYTES_MAX: usize = 2 + u16::MAX as usize;

/// The buffer that a frame decoder reads into. It holds the longest frame and one byte more, so that
/// there is always space to read into, rounded up to whole pages. One server has one of them.
pub const READ_BUFFER_BYTES: usize = 68 * 1024;

const _: () = assert!(READ_BUFFER_BYTES > FRAME_BYTES_MAX);

/// What bincode may read of one body, in bytes; without a limit it would take any length on the wire at its
/// word. It is no less than the longest body, which the frame's own length bounds already.
pub const BODY_BYTES_LIMIT: usize = 65536;

const _: () = assert!(BODY_BYTES_LIMIT >= FRAME_BYTES_MAX - FRAME_HEADER_BYTES);

/// The length field of a sync message. One of this version has at most 53 + 255; the rest is room for a
/// later version, which is to be refused for its version and not for its length. It stays below 0x1600,
/// so that no frame that a server takes begins like TLS does.
pub const SYNC_LENGTH_MAX: u16 = 1024;

const _: () = assert!(SYNC_LENGTH_MAX as usize >= 53 + CLUSTER_NAME_BYTES_MAX);
const _: () = assert!(SYNC_LENGTH_MAX < 0x1600);
