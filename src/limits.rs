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

// The state directory.

/// A block of the state file: the unit that `O_DIRECT` takes on every disk in use, and that a disk with
/// 4 KiB sectors writes whole.
pub const BLOCK_BYTES: usize = 4096;

/// The blocks of the state file: two copies of the newest generation and two of the one before.
pub const BLOCK_COUNT: u32 = 4;

/// The most that one raise of the ceiling may add without announcing it on the disk first, and so the
/// most that a start skips when both copies of a newer record may have been lost. A server that hands
/// out ten million identities a second needs seven minutes for it, and two million such skips fit into
/// the sequence space.
pub const STEP_MAX: u64 = 1 << 32;

const _: () = assert!(STEP_MAX <= (1 << 53) >> 20);

/// How often a system call that a signal interrupted before it moved a byte is repeated. Signals do not
/// come in hundreds; a call that is interrupted that often is not going to be let through.
pub const INTERRUPTED_MAX: u32 = 100;

/// How often a block is read again that came back short. Only the end of the file makes every one short.
pub const SHORT_READS_MAX: u32 = 3;

/// How many other servers are remembered: one per pid.
pub const REMEMBERED_MAX: usize = 1 << 10;
