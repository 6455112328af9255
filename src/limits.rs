//! The bounds of the server, each with its reason; `const` assertions tie those that depend on each other.
//! Those of the core and of a frame stand in their own crates, `ipseity_core::limits` and
//! `ipseity_frames::limits`.

use std::time::Duration;

use ipseity_core::limits::{CONNECTION_SLOT_BITS, PEERS_MAX};
use ipseity_frames::limits::{FRAME_BYTES_MAX, READ_BUFFER_BYTES, SYNC_LENGTH_MAX};

// The mailbox and the turn of the loop.

/// An entry of the mailbox: two words. In prototypes boxed events cost 1.6 times the CPU of these.
pub const ENTRY_BYTES_MAX: usize = 16;

/// As many readiness events as one poll may bring.
pub const POLL_EVENTS_MAX: usize = 1024;

/// Entries handled in one turn before replies are flushed: enough that replies of a batch share one write,
/// few enough that the first of them does not wait for long.
pub const TURN_ENTRIES_MAX: usize = 8192;

// Every turn polls, however many entries wait: a turn takes out more than its poll may have brought.
const _: () = assert!(POLL_EVENTS_MAX < TURN_ENTRIES_MAX);

/// Frames of all connections that are decoded and not answered yet. They stand in the mailbox or wait for
/// the disk; beyond this number no frame is decoded, and TCP makes the clients wait.
pub const FRAMES_IN_FLIGHT_MAX: usize = 32_768;

/// The same for one connection, so that a greedy one shares with the others: when it has so many in flight
/// its next turn comes behind everybody else's.
pub const FRAMES_PER_CONNECTION_MAX: usize = 1024;

/// Requests to look (a status, the members) of all connections that are decoded and not answered yet. They cost
/// five bytes to send and up to 64 KiB to answer, which takes as long as some hundred requests for identities. So one is
/// answered in a turn, and whoever asks for identities comes in between. With four, the median of fifty of those took twice
/// as long (`benches/compare`, "bursts").
pub const LOOKS_IN_FLIGHT_MAX: usize = 1;

/// As much as is read of a connection while too many frames of all connections wait: enough to see whether it asks
/// for a status, which is answered even then.
pub const LOOK_BYTES_MAX: usize = 64;

// One greedy connection must not close the gate for all.
const _: () = assert!(FRAMES_PER_CONNECTION_MAX * 16 <= FRAMES_IN_FLIGHT_MAX);

// Connections.

/// As much as is read from one connection at a time: 5,461 of the smallest requests.
pub const READ_BYTES_MAX: usize = 16 * 1024;

const _: () = assert!(READ_BYTES_MAX + SYNC_LENGTH_MAX as usize + 2 <= READ_BUFFER_BYTES);

/// Client connections, unless `--max-connections` says otherwise; Redis has the same default.
pub const CONNECTIONS_MAX_DEFAULT: usize = 10_000;

/// The most that `--max-connections` may ask for: ids have room for it, for the reserve, for the peers and
/// for closed connections whose requests are still in flight.
pub const CONNECTIONS_LIMIT_MAX: usize = 1_000_000;

/// Connections beyond the limit that are kept open for a moment: a client is told that there are too many,
/// a peer gets in. When one more comes, the oldest of them is told at once.
pub const RESERVE_CONNECTIONS_MAX: usize = 64;

/// Connections beyond the limit from which an operator looks and operates, when all places are taken. They get no
/// identities.
pub const RESERVE_OPERATORS_MAX: usize = 16;

/// Connections beyond the limit that strangers may have who speak like a peer. The other half is for the peers
/// that were named.
pub const RESERVE_STRANGERS_MAX: usize = RESERVE_CONNECTIONS_MAX / 2;

/// Addresses of named peers that are known: a name may have several.
pub const NAMED_ADDRESSES_MAX: usize = 4 * PEERS_MAX;

/// How long a connection beyond the limit may take to show that it is a peer.
pub const RESERVE_TIMEOUT: Duration = Duration::from_secs(1);

const _: () = assert!(
    CONNECTIONS_LIMIT_MAX + RESERVE_CONNECTIONS_MAX + PEERS_MAX + FRAMES_IN_FLIGHT_MAX
        <= 1 << CONNECTION_SLOT_BITS
);

/// Descriptors that are not connections: standard streams, listener, poll, waker, signals, state directory,
/// trace, lookups, and some to spare.
pub const DESCRIPTORS_OTHER: usize = 64;

/// The fewest descriptors with which a client can be served: 3 standard streams, the listener, the poll, the
/// waker, 4 for signals, the lock, the state, 2 to save the members, the trace, and a few that the system's
/// resolver opens. With fewer a start is refused.
pub const DESCRIPTORS_MIN: usize = 24;

const _: () = assert!(DESCRIPTORS_MIN <= DESCRIPTORS_OTHER);

/// Bytes of replies that may wait for a client that does not read, unless `--max-pending-bytes` says
/// otherwise: when so many wait, nothing more is read from it.
pub const PENDING_BYTES_MAX_DEFAULT: usize = 256 * 1024;

/// Bytes of replies that may wait for all connections together, unless `--max-pending-bytes-total` says otherwise:
/// beyond it, the connections for which most waits are closed. A thousand clients that do not read would otherwise
/// fill the memory.
pub const PENDING_BYTES_TOTAL_DEFAULT: usize = 64 * 1024 * 1024;

/// The least that `--max-pending-bytes-total` may be: room for a few large replies.
pub const PENDING_BYTES_TOTAL_MIN: usize = 1 << 20;

/// The most that `--max-pending-bytes-total` may be.
pub const PENDING_BYTES_TOTAL_MAX: usize = 1 << 40;

/// What the kernel may hold of replies for one connection (`SO_SNDBUF`, which Linux doubles). By default it
/// would be almost 4 MB for each client that never reads.
pub const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// Buffers kept for the next connection that needs some; those beyond it are freed.
pub const BUFFER_POOL_MAX: usize = 64;

/// A buffer that grew larger is freed instead of kept.
pub const BUFFER_POOL_BYTES_MAX: usize = 64 * 1024;

/// How long a frame that was begun may take to be complete, however steadily its bytes trickle.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may leave replies unread, once the kernel takes no more, before it is cut off.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a connection that was told why it is closed may take to close its side. Closing at once would
/// reset it and could destroy what it was told.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// How often connections are looked over for these deadlines: they are kept to this precision.
pub const SWEEP_INTERVAL: Duration = Duration::from_millis(250);

/// How soon accepting is tried again after the process ran out of descriptors.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Connections accepted before other entries get their turn.
pub const ACCEPTS_PER_TURN_MAX: usize = 256;

/// The queue of connections that the kernel keeps for the listener.
pub const LISTEN_BACKLOG: i32 = 4096;

/// TCP keepalive: idle for so long before the first probe, so that the connections of clients that vanished
/// do not stay for ever; Redis has the same default.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(300);

/// The same for a peer that asks: it is gone half a minute after it vanished.
pub const PEER_KEEPALIVE_IDLE: Duration = Duration::from_secs(15);

/// The time between two probes of such a peer.
pub const PEER_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// Probes that such a peer may leave unanswered.
pub const PEER_KEEPALIVE_RETRIES: u32 = 3;

/// The time between two probes.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);

// Peers.

/// How often peers are asked, unless `--sync-interval` says otherwise.
pub const SYNC_INTERVAL_DEFAULT: Duration = Duration::from_secs(1);

/// The shortest and the longest sync interval. Below a millisecond rounds would overlap on a local network.
pub const SYNC_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// See [`SYNC_INTERVAL_MIN`]; beyond an hour synchronization has no point.
pub const SYNC_INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// As many of its peers as a server asks in a round, unless `--fanout` says otherwise. Up to so many it asks
/// all, and is at most one interval and one round trip behind any of them. Beyond it the cost of asking all
/// grows with the square of the servers, and 32 by lot have told 1,000 servers within three rounds
/// (docs/scale.md).
pub const FANOUT_DEFAULT: usize = 32;

/// How long a peer may take to answer, at least; with long intervals it is three of them.
pub const PEER_SILENCE_MIN: Duration = Duration::from_secs(5);

/// How long a connection to a peer may take to stand.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// The wait before the first attempt to dial again; it doubles with each.
pub const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// The longest wait between two attempts: a peer that comes back is found within it.
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// The wait after a refusal, which only an operator can resolve.
pub const BACKOFF_REFUSED: Duration = Duration::from_secs(30);

/// Lookups of peers' names at one time; each has a thread, because the system's resolver blocks. The others
/// wait for their turn.
pub const LOOKUPS_MAX: usize = 16;

// Stopping.

/// A second signal within this time is the same request told twice, as by `timeout` and some supervisors,
/// which tell the process and then its group. A later one means that the server is to exit at once.
pub const STOP_REPEAT: Duration = Duration::from_millis(200);

/// How long a stop may go on answering what had arrived before it.
pub const STOP_DRAIN: Duration = Duration::from_secs(2);

/// How long a stop may take from the signal to the end of the process: supervisors count on it.
pub const STOP_MAX: Duration = Duration::from_secs(5);

/// How long the process waits at its end for the last lines of the log and of the trace. They are on their way
/// already, so only those wait whose log is slow or not read at all.
pub const LAST_LINES_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a stop may take until the loop ends: what has not been written by then is lost.
pub const STOP_TIMEOUT: Duration = Duration::from_millis(4500);

const _: () = assert!(STOP_DRAIN.as_nanos() < STOP_TIMEOUT.as_nanos());
const _: () =
    assert!(STOP_TIMEOUT.as_nanos() + LAST_LINES_TIMEOUT.as_nanos() <= STOP_MAX.as_nanos());

/// How long a server whose disk failed goes on with what lies under the durable ceiling, and with telling
/// its clients, before it exits.
pub const STORAGE_EXIT: Duration = Duration::from_secs(1);

// The log and the trace. Both wait in memory for a thread that writes them, because a write to a pipe, a terminal
// or a disk can wait for ever. Beside what waits, the thread holds as much again: what it is writing.

/// Log lines that wait to be written. Beyond this number they are dropped, and one line says how many: nobody
/// misses the ten thousandth line of a log that stands still.
pub const LOG_LINES_MAX: usize = 10_000;

/// Bytes of log lines that wait to be written: some thousand lines, and little beside what connections take.
pub const LOG_BYTES_MAX: usize = 1 << 20;

// The longest text that a peer can send is one frame, and each of its bytes can be shown by up to ten characters.
const _: () = assert!(10 * FRAME_BYTES_MAX < LOG_BYTES_MAX);

/// The time in which so many lines are told as stand here below. What was left out is told when it is over.
pub const LINES_SPAN: Duration = Duration::from_secs(60);

/// The kinds of lines that others can cause.
pub const LINE_KINDS: usize = 9;

/// Lines of one kind about one peer in that time: a server that is restarted a few times is seen to be.
pub const LINES_PER_PEER_MAX: u32 = 5;

/// Lines of one kind in that time about all those who were not named with `--peer`: strangers can have any number of
/// addresses and pids. With all kinds it is less than five lines a second, some ten megabytes a day.
pub const LINES_PER_KIND_MAX: u32 = 30;

const _: () = assert!(LINE_KINDS as u64 * LINES_PER_KIND_MAX as u64 <= 5 * LINES_SPAN.as_secs());

/// Lines of the trace that wait to be written: a few full turns, each entry with an effect or two.
pub const TRACE_LINES_MAX: usize = 65_536;

const _: () = assert!(TRACE_LINES_MAX >= 8 * TURN_ENTRIES_MAX);

/// Bytes of the trace that wait to be written: room for so many lines of the usual length, 128 bytes each.
pub const TRACE_BYTES_MAX: usize = 1 << 23;

const _: () = assert!(TRACE_BYTES_MAX >= 128 * TRACE_LINES_MAX);

// Status.

/// What a peer takes in a statusReply beside its address, at most.
pub const STATUS_PEER_BYTES_MAX: usize = 8 + 3 + 1 + 8 + 9;

/// As many peers as a statusReply names, and members a membersReply, for somebody who is no operator: each of them
/// costs time to put together.
pub const STRANGERS_LIST_MAX: usize = 64;

/// What all peers together may take in a statusReply: a frame, less room for the rest. The rest has fixed
/// fields, a version, a cluster name and a count for each error code.
pub const STATUS_PEERS_BYTES_MAX: usize = FRAME_BYTES_MAX - 2048;

// The state directory.

/// A block of the state file: the unit that `O_DIRECT` takes on every disk in use, and that a disk with
/// 4 KiB sectors writes whole.
pub const BLOCK_BYTES: usize = 4096;

/// The blocks of the state file: two copies of the newest generation and two of the one before.
pub const BLOCK_COUNT: u32 = 4;

/// How often a system call that a signal interrupted before it moved a byte is repeated. Signals do not
/// come in hundreds; a call that is interrupted that often is not going to be let through.
pub const INTERRUPTED_MAX: u32 = 100;

/// How often a block is read again that came back short. Only the end of the file makes every one short.
pub const SHORT_READS_MAX: u32 = 3;

// Options.

/// The least that `--max-pending-bytes` may be: room for the replies of one full read.
pub const PENDING_BYTES_LIMIT_MIN: usize = 4 * 1024;

/// The most that `--max-pending-bytes` may be: with more, a handful of clients would fill the memory.
pub const PENDING_BYTES_LIMIT_MAX: usize = 1 << 30;

/// The longest `--idle-timeout`.
pub const IDLE_TIMEOUT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

// The guard of a cluster.

/// How long a first start waits for its peers, unless `--join-timeout` says otherwise: long enough for a
/// lookup and a few attempts to dial.
pub const JOIN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(3);

/// The longest `--join-timeout`.
pub const JOIN_TIMEOUT_MAX: Duration = Duration::from_secs(3600);
