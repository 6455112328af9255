//! The bounds of a client, each with its reason.

use std::time::Duration;

use ipseity_core::limits::COUNT_MAX_DEFAULT;

/// How many identities a client asks for in one request when it needs many: the most that a server gives
/// by default. A reply has 15 bytes whatever its count, so a larger block would save next to nothing.
pub const CLIENT_BLOCK_COUNT: u32 = COUNT_MAX_DEFAULT;

/// The most requests that a client keeps in flight on one connection. Their replies together, 15 KiB, fit the
/// smallest socket buffers in use, so a client that writes them all before it reads cannot be stuck with
/// a server that waits for it to read.
pub const CLIENT_IN_FLIGHT_MAX: usize = 1024;

/// The shortest timeout that the operating system accepts. Zero would mean no timeout.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// The most lookups of names that are under way at once, over all clients of a process. Each has a thread, which ends
/// only when the system's resolver does. That can take half a minute for each name while no name server answers. A
/// lookup beyond this waits for one of them to end, within its own time.
pub const LOOKUPS_MAX: usize = 64;

/// How long the attempts at two addresses of a name are apart, unless the first fails before: the Connection Attempt
/// Delay that RFC 8305 recommends (section 5). Most connections are there before, so the second attempt is rare.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The shortest time between two attempts, where many addresses share a short timeout. RFC 8305 forbids less
/// (section 5).
pub const ATTEMPT_DELAY_MIN: Duration = Duration::from_millis(10);

/// The most attempts that have a thread of their own, over all clients of a process. Attempts that came too late go on
/// until their time is over, because the standard library cannot cancel them. An attempt beyond this is made on the
/// caller's thread, with a share of the time that is left.
pub const ATTEMPT_THREADS_MAX: usize = 64;

/// How soon a call that is connecting notices that its client was closed. It looks so often only while it is connecting.
pub const CLOSE_NOTICED: Duration = Duration::from_millis(50);

/// How long a server that has failed once is avoided. It is as long as the usual time of a reply, so that a call that failed
/// over does not come back to a frozen server at once.
pub const AVOIDED_FIRST: Duration = Duration::from_secs(1);

/// How long a server is avoided at most, however often it has failed. After half a minute one more try costs little.
pub const AVOIDED_MAX: Duration = Duration::from_secs(30);

/// The bound of the first wait of a call whose servers have all failed. A server that restarts is often back within it.
pub const PAUSE_FIRST: Duration = Duration::from_millis(50);

/// The bound of each further wait, however many there are. A call has 2 seconds, and should try a few times in them.
pub const PAUSE_MAX: Duration = Duration::from_millis(400);

/// How many identities a source takes first, and at least. Whoever needs few skips few at the end.
pub const REFILL_MIN: u32 = 16;

/// How many identities a source takes at most, unless it was told another number. They last a fifth of a millisecond at
/// full speed, which is longer than a round trip on a local network.
pub const BLOCK_MAX_DEFAULT: u32 = 65_536;

/// The greatest [`block_max`](crate::SourceOptions::block_max): what a thousand requests of the usual size bring.
pub const BLOCK_MAX_LIMIT: u32 = CLIENT_BLOCK_COUNT * CLIENT_IN_FLIGHT_MAX as u32;

/// If a refill follows the one before within this time, the next one is twice as large.
pub const REFILL_SOON: Duration = Duration::from_millis(100);

/// If a refill follows the one before after more than this time, the next one is half as large.
pub const REFILL_LATE: Duration = Duration::from_secs(1);
