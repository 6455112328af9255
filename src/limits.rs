//! The bounds of the server, each with its reason; `const` assertions tie those that depend on each other.
//! Those of the core and of a frame are in their own crates, `ipseity_core::limits` and
//! `ipseity_frames::limits`.

// Long because: whoever looks for a bound of the server finds it here, with its reason.

use std::time::Duration;

use ipseity_core::limits::{
    CONNECTION_SLOT_BITS, JOIN_WAIT, PEERS_MAX, PROBE_TIMEOUT, RESERVE_MAX, WRITE_LATE,
};
use ipseity_frames::limits::{
    FRAME_BYTES_MAX, FRAME_HEADER_BYTES, READ_BUFFER_BYTES, SYNC_LENGTH_MAX,
};

// The mailbox and the turn of the loop.

/// The size of an entry of the mailbox: two words. In a prototype, boxed events took 1.6 times as much CPU.
pub const ENTRY_BYTES_MAX: usize = 16;

/// The most readiness events that one poll may bring.
pub const POLL_EVENTS_MAX: usize = 1024;

/// Entries handled in one turn before replies are flushed: enough that the replies of a batch share one write, and
/// few enough that the first of them does not wait for long.
pub const TURN_ENTRIES_MAX: usize = 8192;

/// One turn in so many is measured: to read the clock costs as much as a fifth of a request, so a turn cannot do it twice.
pub const TURN_SAMPLE: u32 = 64;

/// How long the loop looks again before it sleeps, by default. Behind an answer, a client that is awake needs five to
/// fifteen microseconds until its next request is here, and one that the kernel has to wake some twenty more.
pub const SPIN_DEFAULT: Duration = Duration::from_micros(50);

/// The least that can be set for that: a look takes about half of it.
pub const SPIN_MIN: Duration = Duration::from_micros(1);

/// The most that can be set for that. To wake a thread takes a twentieth of it, so more cannot pay.
pub const SPIN_MAX: Duration = Duration::from_millis(1);

/// Of so many of the last spins it is known whether they met something. Fewer would stop the loop from spinning by mere
/// chance; more would make it slow to notice that clients have gone.
pub const SPINS_RECORDED: u32 = u32::BITS;

/// While most spins meet nothing, one is tried behind one turn in so many that answered somebody. Where client and server
/// share a CPU, each trial costs its whole length, which is about three requests: more trials would be felt.
pub const SPIN_TRIAL_TURNS: u32 = 256;

/// The longest times of the buckets for turns, in microseconds. A turn with one request takes ten of them, a full one some
/// hundreds. Above a millisecond clients begin to notice, and above a second something has blocked the loop.
pub const TURN_TIMES_US: [u64; 11] = [
    10, 25, 50, 100, 250, 500, 1000, 2500, 10_000, 100_000, 1_000_000,
];

/// The longest times of the buckets for writes of the state directory, in microseconds: from a disk with a battery or a
/// simulated one (tens of them) over SSDs (up to a few thousand) and spinning disks (tens of thousands) to disks that hang.
/// From a second on a warning says so.
pub const WRITE_TIMES_US: [u64; 12] = [
    100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 100_000, 250_000, 1_000_000, 10_000_000,
];

// Every turn polls, however many entries wait. So a turn must be able to take out more than its poll brings.
const _: () = assert!(POLL_EVENTS_MAX < TURN_ENTRIES_MAX);

/// Frames of all connections that are decoded and not answered yet. They are in the mailbox or wait for the disk.
/// Beyond this number no frame is decoded, and TCP makes the clients wait.
pub const FRAMES_IN_FLIGHT_MAX: usize = 32_768;

/// The same for one connection, so that a greedy one shares with the others: once it has this many in flight, it goes
/// on only after the others had their turn.
pub const FRAMES_PER_CONNECTION_MAX: usize = 1024;

/// So much room must be free before those that wait for room get any of it: enough that each gets a share that is
/// worth a read and a write.
pub const ROOM_TO_SHARE: usize = FRAMES_IN_FLIGHT_MAX / 2;

/// The room is divided among all that wait for it, but nobody gets a smaller share than this. With sixteen requests for
/// a read and a write, a request would cost little more than with a thousand (docs/benchmarks.md). But what was not read
/// yet stays in the kernel, for all that wait at once. With 9,900 clients that never read, a server took 319 MiB with 16,
/// 272 MiB with 64, and 166 MiB with 256.
pub const FRAMES_SHARE_MIN: usize = 256;

/// Bytes that are read for each frame of a share, so that those that wait hold no more bytes here than they can use.
/// The longest request for identities fits.
pub const SHARE_BYTES_PER_FRAME: usize = READ_BYTES_MAX / FRAMES_PER_CONNECTION_MAX;

const _: () =
    assert!(SHARE_BYTES_PER_FRAME > FRAME_HEADER_BYTES + size_of::<u32>() + size_of::<u64>());

/// Requests to look (a status, the members) of all connections that are decoded and not answered yet. They cost
/// five bytes to send and up to 64 KiB to answer, which takes as long as a hundred requests for identities. So only one
/// is answered in a turn, and requests for identities are answered in between. With four, the median of fifty clients
/// beside 9,000 of them was twice as long (`benches/compare`, "bursts").
pub const LOOKS_IN_FLIGHT_MAX: usize = 1;

/// The most bytes read from a connection while too many frames of all connections wait: enough to see whether it
/// asks for a status, which is answered even then.
pub const LOOK_BYTES_MAX: usize = 64;

// One greedy connection must not close the gate for all.
const _: () = assert!(FRAMES_PER_CONNECTION_MAX * 16 <= FRAMES_IN_FLIGHT_MAX);

// Connections.

/// The most bytes read from one connection at a time: 5,461 of the smallest requests.
pub const READ_BYTES_MAX: usize = 16 * 1024;

const _: () = assert!(READ_BYTES_MAX + SYNC_LENGTH_MAX as usize + 2 <= READ_BUFFER_BYTES);

/// What the server itself keeps of an idle connection. Ten thousand of them are less than a megabyte.
pub const CONNECTION_BYTES_MAX: usize = 72;

/// Client connections, unless `--max-connections` says otherwise; Redis has the same default.
pub const CONNECTIONS_MAX_DEFAULT: usize = 10_000;

/// The most that `--max-connections` may ask for: ids have room for it, for the reserve, for the peers and
/// for closed connections whose requests are still in flight.
pub const CONNECTIONS_LIMIT_MAX: usize = 1_000_000;

/// Connections by HTTP. They are for people, for those who scrape and probe, and for clients that have only HTTP: a few
/// hundred in a large cluster. They are not counted in `--max-connections`.
pub const HTTP_CONNECTIONS_MAX: usize = 1024;

/// The longest name of a host that the flags take, as in DNS. A longer one would be looked up in vain for ever.
pub const HOST_BYTES_MAX: usize = 255;

/// The same of a part between two dots.
pub const HOST_PART_BYTES_MAX: usize = 63;

/// The most names of `--http-name`: each request for the page or for identities is compared with all of them.
pub const HOST_NAMES_MAX: usize = 32;

/// How long a connection by HTTP may be idle: longer than the usual interval of a scrape (a minute), so that it need not
/// connect again for each. nginx has the same.
pub const HTTP_IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// Connections beyond the limit that are kept open for a moment: a client is told that there are too many,
/// a peer gets in. When one more comes, one of those from the address with most of them is told at once. Those that have
/// asked and are owed an answer are not counted: they are gone soon.
pub const RESERVE_CONNECTIONS_MAX: usize = 64;

/// The same by HTTP, where a probe is answered. These have places of their own, so that whoever reaches only that port keeps
/// no peer and no operator out of the other one. A crowd from fewer addresses than this pushes out only itself, and a server
/// is probed by a few machines, each with one connection at a time.
pub const RESERVE_HTTP_MAX: usize = 64;

/// Connections beyond the limit for operators, when all places are taken. They may look and operate, but they get no
/// identities.
pub const RESERVE_OPERATORS_MAX: usize = 16;

/// Connections beyond the limit for peers that were not named: from loopback or `--peer-from`. The other half is for
/// those that were.
pub const RESERVE_UNNAMED_MAX: usize = RESERVE_CONNECTIONS_MAX / 2;

/// With `--when-full close-idle`, only a client that has asked for nothing for this long is closed to make room. It is
/// also how often they are searched for, which takes a look at every connection.
pub const IDLE_MIN: Duration = Duration::from_secs(1);

/// The most addresses that are kept for the named peers; a name may have several. What a resolver answers beyond it does
/// not count.
pub const NAMED_ADDRESSES_MAX: usize = 4096;

const _: () = assert!(NAMED_ADDRESSES_MAX >= DIALED_MAX);

/// How long a connection beyond the limit may take for each of its steps: to begin, to end its TLS handshake, and to show
/// that it is a peer or to ask. For as long as it waits for the server, nothing is counted.
pub const RESERVE_TIMEOUT: Duration = Duration::from_secs(1);

const _: () = assert!(
    CONNECTIONS_LIMIT_MAX
        + HTTP_CONNECTIONS_MAX
        + 2 * RESERVE_CONNECTIONS_MAX
        + RESERVE_HTTP_MAX
        + RESERVE_OPERATORS_MAX
        + DIALED_MAX
        + FRAMES_IN_FLIGHT_MAX
        <= 1 << CONNECTION_SLOT_BITS
);

/// The most addresses that the server listens on: more than a machine has that serves.
pub const LISTENERS_MAX: usize = 32;

/// Descriptors that are not connections: standard streams, listeners, poll, waker, signals, state directory,
/// trace, and some to spare.
pub const DESCRIPTORS_OTHER: usize = 64;

/// The fewest descriptors with which a client can be served: 3 standard streams, the listener, the poll, the
/// waker, 4 for signals, the lock, the state, 2 to save the members, the trace, and a few that the system's
/// resolver opens. With fewer a start is refused.
pub const DESCRIPTORS_MIN: usize = 24;

const _: () = assert!(DESCRIPTORS_MIN + LISTENERS_MAX <= DESCRIPTORS_OTHER);

/// Bytes of replies that may wait for a client that does not read, unless `--max-pending-bytes` says
/// otherwise. Once this many wait, nothing more is read from it.
pub const PENDING_BYTES_MAX_DEFAULT: usize = 256 * 1024;

/// Bytes of memory that what waits in all connections together may take, unless `--max-pending-bytes-total` says
/// otherwise: replies that are not read, and what TLS holds of records and handshakes that are not complete. Beyond this, connections are closed: first those that have read nothing
/// for longest, and among equals those with the most waiting bytes. Otherwise a thousand clients that do not read
/// would fill the memory, or ten thousand that begin a record of TLS and do not end it.
pub const PENDING_BYTES_TOTAL_DEFAULT: usize = 64 * 1024 * 1024;

/// The least that `--max-pending-bytes-total` may be: room for a few large replies.
pub const PENDING_BYTES_TOTAL_MIN: usize = 1 << 20;

/// How exactly it is counted for how long a connection has read nothing, when some are closed for that bound. A client
/// that reads makes progress more often than this, even one that is far away. So of those that read, the one with the
/// most waiting bytes goes first.
pub const READING_SPAN: Duration = Duration::from_millis(250);

/// The most that `--max-pending-bytes-total` may be.
pub const PENDING_BYTES_TOTAL_MAX: usize = 1 << 40;

/// Bytes of replies that the kernel may hold for one connection (`SO_SNDBUF`, which Linux doubles, because it counts
/// its own structures too). By default it would be almost 4 MB for each client that never reads, and the memory limit of
/// a container counts it. It has room for 800 replies.
pub const SEND_BUFFER_BYTES: usize = 8 * 1024;

/// Bytes of requests that the kernel may hold for one connection (`SO_RCVBUF`, which Linux doubles as well). They fill
/// up when the server has stopped reading from a client that does not read. By default it would be 128 KiB and more.
pub const RECEIVE_BUFFER_BYTES: usize = 8 * 1024;

/// What the kernel holds for a client that does not read: both buffers, doubled. It is added to the replies that wait in
/// the server, as soon as there are any.
pub const KERNEL_BYTES: usize = 2 * (SEND_BUFFER_BYTES + RECEIVE_BUFFER_BYTES);

/// Buffers kept for the next connection that needs some; those beyond it are freed.
pub const BUFFER_POOL_MAX: usize = 64;

/// A buffer that grew larger is freed instead of kept.
pub const BUFFER_POOL_BYTES_MAX: usize = 64 * 1024;

/// How long a frame may take from its first byte to its last, however steadily its bytes trickle in.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a TLS handshake may take from its first byte to its last, without the time for which it waits for the
/// server. It takes the other side two round trips and some arithmetic.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Steps of TLS handshakes that are done in one turn of the loop. A step takes as long as hundreds of requests, so the
/// clients that are connected are served in between.
pub const HANDSHAKE_STEPS_PER_TURN: usize = 1;

/// Connections that are ended in one turn, if there are many. As many are freed, or a quarter of those that wait for it. To end a connection takes a
/// few system calls. A thousand clients that leave at once would hold up the others for as long as a thousand requests.
pub const ENDINGS_PER_TURN: usize = 16;

/// Reads in one turn of what comes from those who were told that nothing more is read, beside one for each that the poll
/// reports. They serve nobody, and the other side may send as fast as this one reads. Together they take as long as some
/// dozen requests.
pub const DISCARDS_PER_TURN: usize = 16;

/// TLS handshakes that may be under way at once. Each holds up to 20 KiB until it is over. When there are more, some that
/// wait for the other side are closed: first those that have not sent what they begin with, the oldest first. Clients that
/// never finish a handshake must not keep others out.
pub const HANDSHAKES_MAX: usize = 1024;

/// How often the server looks how long its certificates are still valid. It also looks when the next one expires.
pub const CERTIFICATES_INTERVAL: Duration = Duration::from_secs(600);

/// It does not look more often than this, however many certificates expire.
pub const CERTIFICATES_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Connections whose certificate is looked at again in one turn, with `--tls-recheck`. Each takes a tenth of a millisecond, and
/// ten thousand at once would hold up everybody for a second.
pub const RECHECKS_PER_TURN: usize = 4;

/// Threads that read the files of TLS at once. There is more than one only where a disk does not answer and SIGHUP asks
/// again; that may help, if the files are elsewhere by then.
pub const TLS_READS_MAX: usize = 4;

/// How many certificates a status shows: a few CAs, while they are replaced.
pub const CERTIFICATES_SHOWN_MAX: usize = 16;

/// The most bytes that a certificate takes in a statusReply. Its name is cut to 100 characters.
pub const CERTIFICATE_BYTES_MAX: usize = 8 + 64 + 8 + 4 * 103 + 8;

/// When a certificate is about to expire, a line says so each time that fewer days than this are left; the last one when it
/// has expired.
pub const EXPIRY_WARNINGS_DAYS: [i64; 4] = [30, 7, 1, 0];

/// How long a client may leave replies unread, once the kernel takes no more, before it is cut off.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the other side may take to close, after it was told why the connection ends. Closing at once would reset
/// the connection and could destroy the last reply.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// How often connections are checked for these deadlines, and so how exactly they are kept.
pub const SWEEP_INTERVAL: Duration = Duration::from_millis(250);

/// How soon accepting is tried again after the process ran out of descriptors.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Connections accepted in one go before the others have their turn. To accept one takes as long as some tens of requests,
/// and thousands may come at once: with 256, clients that were connected waited for milliseconds.
pub const ACCEPTS_PER_TURN_MAX: usize = 16;

/// The queue of connections that the kernel keeps for the listener.
pub const LISTEN_BACKLOG: i32 = 4096;

/// TCP keepalive: idle for this long before the first probe, so that the connections of clients that vanished
/// do not stay for ever; Redis has the same default.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(300);

/// The time between two probes.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);

/// The same for a peer that connected to this server: it is given up half a minute after it vanished.
pub const PEER_KEEPALIVE_IDLE: Duration = Duration::from_secs(15);

/// The time between two probes of such a peer.
pub const PEER_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// Probes that such a peer may leave unanswered.
pub const PEER_KEEPALIVE_RETRIES: u32 = 3;

// Peers.

/// How often peers are asked, unless `--sync-interval` says otherwise.
pub const SYNC_INTERVAL_DEFAULT: Duration = Duration::from_secs(1);

/// The shortest and the longest sync interval. Below a millisecond rounds would overlap on a local network.
pub const SYNC_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// See [`SYNC_INTERVAL_MIN`]; beyond an hour synchronization has no point.
pub const SYNC_INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// How many of its peers a server asks in a round, unless `--fanout` says otherwise. If it has no more peers than
/// that, it asks all of them, and is at most one interval and one round trip behind any of them. If it has more,
/// asking all would cost a number of messages that grows with the square of the number of servers. With 32, chosen
/// at random, 1,000 servers hear of a new sequence within three rounds (docs/scale.md).
pub const FANOUT_DEFAULT: usize = 32;

/// How long a peer may be silent before it is given up. If three sync intervals are longer, they count instead.
pub const PEER_SILENCE_MIN: Duration = Duration::from_secs(5);

/// How long a connection to a peer may take to be established. TCP asks again after one second and after three, so two
/// lost packets do no harm.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an attempt to connect may go on before one at the next address of the same name begins; RFC 8305, section
/// 8, recommends it.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The most addresses of one name that are used. If nothing is heard from any of them, the last one is still tried
/// while a start asks its peers.
pub const ADDRESSES_PER_NAME_MAX: usize = 32;

/// The most addresses of all names together: there are no more than [`PEERS_MAX`] servers to find, and some have
/// several addresses.
pub const DIALED_MAX: usize = 1 << 12;

const _: () = assert!(4 * PEERS_MAX <= DIALED_MAX);

/// The most addresses that are dialed at once because they are remembered and not because they are named: those of the
/// other servers of a cluster of the usual size. In a larger one the servers have names.
pub const REMEMBERED_DIALED_MAX: usize = 64;

/// The most owners of other pids that are dialed: there are no more servers to find.
pub const OWNERS_MAX: usize = PEERS_MAX;

/// Where there are few file descriptors, one in so many is kept for connections to owners of other pids. Nobody knows at a
/// start how many there will be, and a server that cannot take clients because others might come is of no use.
pub const OWNERS_SHARE: usize = 8;

/// How often a name is looked up again while one of its addresses is connected. A new server behind it is found within
/// that time.
pub const LOOKUP_INTERVAL: Duration = Duration::from_secs(30);

/// The same while this server joins and the name leads to too few servers for that: the others may have started a moment
/// later than it did, and a name that stands for all of them leads to those that are there.
pub const LOOKUP_INTERVAL_JOINING: Duration = Duration::from_secs(2);

/// With more names than this each stands for few servers, and a join does not look them up more often: they would make too
/// many lookups.
pub const NAMES_JOINING_MAX: usize = 8;

/// The wait before the first attempt to dial again; it doubles with each.
pub const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// The longest wait between two attempts: a peer that comes back is found within it.
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// The wait after a refusal, which only an operator can resolve.
pub const BACKOFF_REFUSED: Duration = Duration::from_secs(30);

/// The wait after a peer has refused this server because it does not know its address. The peer looks the names up again
/// meanwhile, so the next attempt mostly succeeds.
pub const BACKOFF_NOT_A_PEER: Duration = Duration::from_secs(1);

/// The names of peers are looked up again because somebody with an unknown address says that it is one, but not more often
/// than this: a stranger must not make this server flood a resolver.
pub const LOOKUP_AGAIN_MIN: Duration = Duration::from_secs(1);

/// No name is looked up again while so many lookups are under way; the others have their turn the next time. In a cluster
/// of the usual size all have it at once.
pub const LOOKUPS_AGAIN_MAX: usize = 8;

// Other lookups are never kept waiting by these, however long a resolver takes.
const _: () = assert!(LOOKUPS_AGAIN_MAX <= LOOKUPS_MAX / 2);

/// Symbolic links that are followed to find out where a trace would be written. The kernel follows no more in one path.
pub const SYMLINKS_MAX: usize = 40;

/// Lookups of peers' names at one time; each has a thread, because the system's resolver blocks. There is one for each
/// name and each remembered address, so none waits behind others that hang.
pub const LOOKUPS_MAX: usize = 1087;

const _: () = assert!(LOOKUPS_MAX == PEERS_MAX + REMEMBERED_DIALED_MAX);

/// The stack of such a thread: the system's resolver needs a tenth of it.
pub const LOOKUP_STACK_BYTES: usize = 1 << 20;

/// How long a lookup takes when the first name server is dead: after this time the system's resolver asks the second
/// one (resolv.conf(5), `timeout`).
pub const LOOKUP_SLOW: Duration = Duration::from_secs(5);

// The supervisor.

/// How soon a supervisor that takes no message is told again. It reads within milliseconds, unless it hangs.
pub const NOTIFY_RETRY: Duration = Duration::from_secs(1);

/// A watchdog is told no more often than this that the loop turns, however short its time is.
pub const WATCHDOG_PING_MIN: Duration = Duration::from_millis(10);

// Stopping.

/// A second signal within this time counts as the first one: `timeout` and some supervisors signal the process and
/// then its group. A later one makes the server exit at once.
pub const STOP_REPEAT: Duration = Duration::from_millis(200);

/// How long a stop may go on answering what had arrived before it.
pub const STOP_DRAIN: Duration = Duration::from_secs(2);

/// How long a stop may take from the signal to the end of the process: supervisors count on it.
pub const STOP_MAX: Duration = Duration::from_secs(5);

/// How long the process waits at its end for the last lines of the log and of the trace. A thread is already writing
/// them, so it waits this long only if nobody reads them.
pub const LAST_LINES_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a stop may take until the loop ends: what has not been written by then is lost. The last lines come after
/// it, and what remains of [`STOP_MAX`] is for the system to end the process.
pub const STOP_TIMEOUT: Duration = Duration::from_millis(4250);

const _: () = assert!(STOP_DRAIN.as_nanos() < STOP_TIMEOUT.as_nanos());

/// How long the disk has at least for the last write of a stop.
pub const SETTLE_LEAST: Duration = STOP_TIMEOUT.saturating_sub(STOP_DRAIN);

/// A timer of a stop that is this late shows that the process was paused: a turn of the loop takes less. A pause is
/// not time that the disk had.
pub const PAUSED: Duration = Duration::from_millis(100);

/// How often a pause puts off the end of a stop. A process whose timer is late each time is not paused but gets too little of
/// a CPU, and if its disk hangs too, it would never end.
pub const STOP_PAUSES_MAX: u32 = 2;
const _: () =
    assert!(STOP_TIMEOUT.as_nanos() + LAST_LINES_TIMEOUT.as_nanos() <= STOP_MAX.as_nanos());

/// How long a start waits for its state directory before a line says so: as long as a server that runs waits for a
/// write.
pub const START_LATE: Duration = WRITE_LATE;

/// How long a server whose disk failed still hands out identities up to the durable ceiling, and tells its clients
/// about the failure, before it exits.
pub const STORAGE_EXIT: Duration = Duration::from_secs(1);

// The log and the trace. Their lines wait in memory for a thread that writes them, because a write to a pipe, a
// terminal or a disk can wait for ever. The thread may hold as much again: what it is writing.

/// Log lines that wait to be written. Beyond this number they are dropped, and one line says how many: nobody
/// misses the ten thousandth line of a log that nobody reads.
pub const LOG_LINES_MAX: usize = 10_000;

/// Bytes of log lines that wait to be written: a few thousand lines, and little compared with what connections take.
pub const LOG_BYTES_MAX: usize = 1 << 20;

// The longest text that a peer can send is one frame, and each of its bytes may take up to ten characters to show.
const _: () = assert!(10 * FRAME_BYTES_MAX < LOG_BYTES_MAX);

/// The time for which the bounds below count. When it is over, one line for each kind says how many were left out.
pub const LINES_SPAN: Duration = Duration::from_secs(60);

/// How many kinds of lines others can cause.
pub const LINE_KINDS: usize = 18;

/// Lines of one kind about one peer in that time: enough to show each of a few restarts.
pub const LINES_PER_PEER_MAX: u32 = 5;

/// Lines of one kind in that time about all peers together that were not named with `--peer`: strangers can have any
/// number of addresses and pids. As many are enough for an operator who advances servers and forgets pids by hand. All
/// kinds together are nine lines a second at most, some tens of megabytes a day.
pub const LINES_PER_KIND_MAX: u32 = 30;

const _: () = assert!(LINE_KINDS as u64 * LINES_PER_KIND_MAX as u64 <= 9 * LINES_SPAN.as_secs());

/// Lines of the trace that wait to be written: a few full turns, each entry with an effect or two.
pub const TRACE_LINES_MAX: usize = 65_536;

const _: () = assert!(TRACE_LINES_MAX >= 8 * TURN_ENTRIES_MAX);

/// Bytes of the trace that wait to be written: room for that many lines of the usual length, 128 bytes each.
pub const TRACE_BYTES_MAX: usize = 1 << 23;

const _: () = assert!(TRACE_BYTES_MAX >= 128 * TRACE_LINES_MAX);

// Status.

/// The most bytes that a peer takes in a statusReply, besides its address.
pub const STATUS_PEER_BYTES_MAX: usize = 8 + 3 + 1 + 1 + 8 + 9 + REFUSALS_BYTES;

/// The bytes of a peer's refusals, which stand behind the peers.
const REFUSALS_BYTES: usize = 2 + 8;

/// The most peers in a statusReply, and the most members in a membersReply, for anybody who is not an operator: it
/// takes time to collect each of them.
pub const STRANGERS_LIST_MAX: usize = 64;

/// The most bytes that all peers together may take in a statusReply: a frame, less room for the rest. The rest is
/// fixed fields, a version, a cluster name, a count for each error code, an objection, and the certificates.
pub const STATUS_PEERS_BYTES_MAX: usize =
    FRAME_BYTES_MAX - 4096 - CERTIFICATES_SHOWN_MAX * CERTIFICATE_BYTES_MAX;

// The state directory.

/// A block of the state file: the unit that `O_DIRECT` takes on every disk in use, and that a disk with
/// 4 KiB sectors writes whole.
pub const BLOCK_BYTES: usize = 4096;

/// The blocks of the state file: two copies of the newest generation and two of the one before.
pub const BLOCK_COUNT: u32 = 4;

/// How many of its last starts a state directory remembers. A peer may have missed all starts but one of them, and the
/// directory still knows whether what the peer remembers was itself: enough for a server that has crashed twice a minute for
/// a quarter of an hour. They take 512 bytes of a block.
pub const LIVES_REMEMBERED_MAX: usize = 32;

/// How often a system call is repeated that a signal interrupted before it moved a byte. Signals do not come in
/// hundreds: a call that is interrupted this often will not succeed.
pub const INTERRUPTED_MAX: u32 = 100;

/// How often `--check` reads the blocks of the state file if one looks damaged. A server that runs writes about once a
/// second, and a write takes less than a second on a disk that works, so the same one is hardly met this often.
pub const LOOKS_AT_BLOCKS_MAX: u32 = 5;

/// How often the read of a block is tried, as long as it brings fewer bytes than a block. Only the end of the file
/// makes every read short.
pub const SHORT_READS_MAX: u32 = 3;

// The store in etcd.

/// How long a pid stays taken by a server that gives no sign of life, unless `--lease` says otherwise: as long as the
/// reserve. So the two together let etcd be away for a minute, and nobody notices.
pub const LEASE_DEFAULT: Duration = Duration::from_secs(60);

/// How much time of recent demand is kept ready in etcd, unless `--reserve` says otherwise. A cluster of etcd needs some
/// seconds to choose a new leader, and a minute to be restarted in turn.
pub const STORE_RESERVE_DEFAULT: Duration = LEASE_DEFAULT;

/// The shortest `--lease`: etcd gives no shorter one with its usual settings.
pub const LEASE_MIN: Duration = Duration::from_secs(2);

/// The longest `--lease`: as long as the longest reserve. A longer one would only make a restart after a crash wait.
pub const LEASE_MAX: Duration = RESERVE_MAX;

/// Of a lease, one part in so many does not count: the clocks of two machines do not run at quite the same speed. They
/// differ by less than a thousandth, so this is plenty, and it is little. Nothing is left for elections: a sign of life
/// counts only if the leader has taken it (see [`Keep`](ipseity_pids::Keep)), and each new leader lets leases begin anew.
pub const LEASE_MARGIN_PARTS: u32 = 20;

/// How soon a sign of life is tried again that got no answer.
pub const KEEP_RETRY: Duration = Duration::from_millis(500);

const _: () = assert!(LEASE_MIN.as_nanos() <= LEASE_DEFAULT.as_nanos());
const _: () = assert!(LEASE_DEFAULT.as_nanos() <= LEASE_MAX.as_nanos());

// Options.

/// The least that `--max-pending-bytes` may be: room for the replies of one full read.
pub const PENDING_BYTES_LIMIT_MIN: usize = 4 * 1024;

/// The most that `--max-pending-bytes` may be: with more, a handful of clients would fill the memory.
pub const PENDING_BYTES_LIMIT_MAX: usize = 1 << 30;

/// The longest `--idle-timeout`.
pub const IDLE_TIMEOUT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

// The guard of a cluster.

/// How long a start that asks its peers first waits for them, unless `--join-timeout` says otherwise: longer than a slow
/// lookup and a slow dial together take. Otherwise a server could repeat identities although a healthy peer remembers
/// them.
pub const JOIN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(12);

const _: () =
    assert!(LOOKUP_SLOW.as_millis() + DIAL_TIMEOUT.as_millis() < JOIN_TIMEOUT_DEFAULT.as_millis());
const _: () = assert!(
    ADDRESSES_PER_NAME_MAX as u128 * ATTEMPT_DELAY.as_millis() < JOIN_TIMEOUT_DEFAULT.as_millis()
);

// Nor is a start over before its peers have asked whether another life has its pid.
const _: () =
    assert!(PROBE_TIMEOUT.as_millis() + JOIN_WAIT.as_millis() < JOIN_TIMEOUT_DEFAULT.as_millis());

/// The longest `--join-timeout`.
pub const JOIN_TIMEOUT_MAX: Duration = Duration::from_secs(3600);
