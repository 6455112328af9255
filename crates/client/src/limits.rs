//! The bounds of a client, each with its reason.

use ipseity_core::limits::COUNT_MAX_DEFAULT;

/// How many identities a client asks for in one request when it needs many: the most that a server gives
/// by default. A reply has 15 bytes whatever its count, so a larger block would save next to nothing.
pub const CLIENT_BLOCK_COUNT: u32 = COUNT_MAX_DEFAULT;

/// The most requests that a client keeps in flight on one connection. Their replies together, 15 KiB, fit the
/// smallest socket buffers in use, so a client that writes them all before it reads cannot be stuck with
/// a server that waits for it to read.
pub const CLIENT_IN_FLIGHT_MAX: usize = 1024;
