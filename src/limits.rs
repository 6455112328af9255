//! Every bound, in one place, each with its reason; `const` assertions tie those that depend on each
//! other. This module imports nothing.

/// The length and the kind of a frame.
pub const FRAME_HEADER_BYTES: usize = 3;

/// A whole frame: a length field of 16 bits and as much as it can count.
pub const FRAME_BYTES_MAX: usize = 2 + u16::MAX as usize;

/// The buffer that a frame decoder reads into. It holds the longest frame and one byte more, so that
/// there is always space to read into, rounded up to whole pages. One server has one of them.
pub const READ_BUFFER_BYTES: usize = 68 * 1024;

const _: () = assert!(READ_BUFFER_BYTES > FRAME_BYTES_MAX);

/// The name of a cluster; it stands in every sync message.
pub const CLUSTER_NAME_BYTES_MAX: usize = 255;

/// The length field of a sync message. One of this version has at most 54 + 255; the rest is room for a
/// later version, which is to be refused for its version and not for its length. It stays below 0x1600,
/// so that no frame that a server takes begins like TLS does.
pub const SYNC_LENGTH_MAX: u16 = 1024;

const _: () = assert!(SYNC_LENGTH_MAX as usize >= 54 + CLUSTER_NAME_BYTES_MAX);
const _: () = assert!(SYNC_LENGTH_MAX < 0x1600);

/// The text of an errorReply: enough for two sentences with two addresses and a cluster name.
pub const ERROR_TEXT_BYTES_MAX: usize = 512;

/// As many identities as a client asks for in one request when it needs many. A reply has 15 bytes
/// whatever its count, so a larger block would save next to nothing; this one stays well below what a
/// server gives by default, and one that is lost with its connection skips little of the sequence.
pub const CLIENT_BLOCK_COUNT: u32 = 10_000;

/// As many requests as a client keeps in flight on one connection. Their replies together, 15 KiB, fit the
/// smallest socket buffers in use, so a client that writes them all before it reads cannot be stuck with
/// a server that waits for it to read.
pub const CLIENT_IN_FLIGHT_MAX: usize = 1024;
