//! The bounds of the core, each with its reason; `const` assertions tie those that depend on each other.
//! This module imports nothing of ours.

use std::time::Duration;

/// The greatest length of a server's version in a helloReply, in bytes.
pub const VERSION_BYTES_MAX: usize = 64;

/// The name of a cluster; it stands in every sync message.
pub const CLUSTER_NAME_BYTES_MAX: usize = 255;

/// The text of an errorReply: enough for two sentences with two addresses and a cluster name.
pub const ERROR_TEXT_BYTES_MAX: usize = 512;

/// Bits of a connection id that name its slot: room for 1,048,576 connections.
pub const CONNECTION_SLOT_BITS: u32 = 20;

/// The most that `--max-count` may allow in one request: 24 bits less one value, which stands for
/// everything above.
pub const COUNT_LIMIT_MAX: u32 = (1 << 24) - 2;

/// Identities in one request, unless `--max-count` says otherwise. A client that only asks for the largest block can
/// use up the sequence: at ten million requests a second in ten days with this default, and in four hours with 65,536.
/// So the default stays small. Anyone who needs more sets `--max-count`.
pub const COUNT_MAX_DEFAULT: u32 = 1_000;

/// How far a peer or an `after` may raise the sequence at once, unless `--max-advance` says otherwise: 2^40
/// is 12 days at a million a second, more than servers drift apart, and 8,192 of such jumps fit the
/// sequence.
pub const ADVANCE_MAX_DEFAULT: u64 = 1 << 40;

/// The least by which the ceiling is raised: what a crash of an idle server skips at most.
pub const STEP_MIN: u64 = 1 << 10;

/// A busy server writes to the disk about once in this time.
pub const STEP_SPAN: Duration = Duration::from_secs(1);

/// How much recent demand is left below the ceiling when a raise is requested, unless `--reserve` says otherwise. A
/// write may take this long before somebody has to wait for it. Disks that work well take milliseconds.
pub const RESERVE_DEFAULT: Duration = STEP_SPAN;

/// The least that `--reserve` may be: with less, clients would wait for each write of an ordinary disk.
pub const RESERVE_MIN: Duration = Duration::from_millis(100);

/// The most that `--reserve` may be. A crash skips what is left, and five minutes of ten million a second are less than
/// the largest step.
pub const RESERVE_MAX: Duration = Duration::from_secs(300);

const _: () = assert!(ADVANCE_RATE_DEFAULT * RESERVE_MAX.as_secs() <= STEP_MAX);
const _: () = assert!(RESERVE_MIN.as_nanos() <= RESERVE_DEFAULT.as_nanos());

/// A write that takes longer than this is late. It is logged, and the standing shows it while somebody waits for the
/// write. A disk that works takes a hundredth of it, even a busy one.
pub const WRITE_LATE: Duration = Duration::from_secs(1);

/// How long a request waits for a store on the network. Clients give up after a second, unless they are told otherwise; one
/// that is told before can still ask another server.
pub const STORE_PATIENCE: Duration = Duration::from_millis(500);

/// The shortest time over which demand is measured. Otherwise two requests that happen to come close together would
/// look like a flood.
pub const STEP_DEMAND_FLOOR: Duration = Duration::from_millis(50);

/// The room that a list keeps once it is empty, in items. Where requests wait for the disk, all frames in
/// flight can stand in one, perhaps once in a second; in between their memory is given back.
pub const EMPTY_LIST_ROOM_MAX: usize = 1024;

/// The most peers that may be named: there are no more pids.
pub const PEERS_MAX: usize = 1023;

/// The most that one raise of the ceiling may add without announcing it on the disk first, and so the
/// most that a start skips when both copies of a newer record may have been lost. A server that hands
/// out ten million identities a second needs seven minutes for it, and two million such skips fit into
/// the sequence space.
pub const STEP_MAX: u64 = 1 << 32;

const _: () = assert!(STEP_MAX <= (1 << 53) >> 20);

/// How many other servers are remembered: one per pid.
pub const REMEMBERED_MAX: usize = 1 << 10;

/// The longest address that a peer is remembered with: a host name, which may have 255 bytes, a colon, and a port of five
/// digits.
pub const ADDRESS_BYTES_MAX: usize = 255 + 1 + 5;

/// The port of a server, unless it is given another one.
pub const PORT_DEFAULT: u16 = 3264;

/// Processes remembered of one pid: the one that runs, the one before it, and two more that should not be there. A new
/// one takes the place of the one that was heard longest ago.
pub const LIVES_PER_PID_MAX: usize = 4;

/// How far a peer's boot may be above the highest that is remembered of its pid, or above zero where nothing is. A boot
/// is one start, and nobody starts a server four billion times between two messages. What is above it is a mistake or a
/// lie, and to remember it would turn away every later start of that pid.
pub const BOOT_JUMP_MAX: u64 = 1 << 32;

/// How long the lives that may still have a pid are asked before a newcomer gets it. A server that runs answers within a
/// round trip. A pause of its machine, or of its network, may take seconds; after that it is cut off.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How much longer a start waits for the other peers once the first has answered. Servers that are up answer within a
/// round trip; the others are most likely down.
pub const JOIN_WAIT: Duration = Duration::from_millis(500);

/// How long a start waits for its peers to make its claim durable: until another life that claims the pid too has served
/// or given up, then for a token of [`CLAIM_SAVE_RATE_PER_SECOND`], and for a write to a busy disk. Where all goes well it
/// takes a write and a round trip.
pub const CLAIM_WAIT: Duration = Duration::from_secs(3);

const _: () = assert!(
    PROBE_TIMEOUT.as_millis() + 1000 / CLAIM_SAVE_RATE_PER_SECOND as u128 + JOIN_WAIT.as_millis()
        < CLAIM_WAIT.as_millis()
);

/// A life that was heard within this time may come back on another connection. A server dials its peers again after at
/// most 5 s, and one that was just started has not heard all of them yet.
pub const RECENT: Duration = Duration::from_secs(10);

/// How often the sequences of peers are written to the disk. A new peer is written as soon as possible.
pub const MEMBERS_SAVE_INTERVAL: Duration = Duration::from_secs(10);

/// The most writes to the disk that others can cause at once: the servers of a cluster that starts together are
/// remembered without a wait. The memory of the peers and the objections of peers have this many each.
pub const SAVE_BURST: u64 = 10;

/// How many of them are added each second. A peer that restarts in a loop, or a stranger who pretends to be one, must
/// not keep the disk busy or wear it out.
pub const SAVE_RATE_PER_SECOND: u64 = 1;

/// The most saves of claims at once. A life that claims its pid waits for that save, so it has its own budget: another
/// one that restarts in a loop, or what strangers caused before, must not make it wait. Only peers can claim, and one
/// save holds all claims that wait.
pub const CLAIM_SAVE_BURST: u64 = 32;

/// How many of them are added each second.
pub const CLAIM_SAVE_RATE_PER_SECOND: u64 = 4;

/// How much `after` may absorb at once, unless `--after-burst` says otherwise: 2^32 is 7 minutes at ten
/// million a second, more than servers that synchronize are ever apart.
pub const AFTER_BURST_DEFAULT: u64 = 1 << 32;

/// How much peers may raise the sequence at once, unless `--peer-burst` says otherwise: as much as
/// `--max-advance` allows, so that a new server can catch up.
pub const PEER_BURST_DEFAULT: u64 = 1 << 40;

/// How much is added to both together each second, unless `--advance-rate` says otherwise. Ten million a second is
/// more than a cluster hands out, and sustained abuse needs 28 years for the 2^53 sequences.
pub const ADVANCE_RATE_DEFAULT: u64 = 10_000_000;

/// A year, in seconds.
const YEAR_S: u64 = 31_557_600;

/// All boots that a state directory can count give its known peers less than this many bursts: the n-th boot gives an
/// n-th of one, there are less than 2^64, and the sum of 1/n up to there is less than 1 + ln(2^64).
pub const BURSTS_OF_ALL_BOOTS_MAX: u64 = 46;

// As docs/guarantees.md says. What restarts can give in all shortens it by two months.
const _: () = assert!(
    ((1 << 53) - BURSTS_OF_ALL_BOOTS_MAX * PEER_BURST_DEFAULT - AFTER_BURST_DEFAULT)
        / ADVANCE_RATE_DEFAULT
        / YEAR_S
        >= 28
);

/// At most this many raises by clients, and as many by peers, are logged in each [`RAISE_REPORT_INTERVAL`], one line
/// each. The rest are only counted.
pub const RAISE_REPORTS_MAX: u32 = 10;

/// See [`RAISE_REPORTS_MAX`].
pub const RAISE_REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Parts of the sequence, in percent, at which a warning is logged that it comes to its end.
pub const EXHAUSTION_WARNINGS_PERCENT: [u64; 3] = [50, 75, 90];
