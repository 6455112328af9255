//! The faults that a seed may draw, and a stream of random numbers for each purpose.

use std::fmt;

use fastrand::Rng;

macro_rules! faults {
    ($($(#[doc = $what:literal])+ $name:ident,)+) => {
        /// A class of faults. A seed draws which classes it uses. If one is masked off, the others are drawn as
        /// before.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Fault {
            $($(#[doc = $what])+ $name,)+
        }

        impl Fault {
            pub const ALL: &[Fault] = &[$(Fault::$name,)+];
        }
    };
}

faults! {
    /// Messages are delayed, each for a different time.
    Delay,
    /// Packets are lost, and TCP sends them again later.
    Loss,
    /// Connections carry a few bytes at a time, through windows of a few bytes.
    Slow,
    /// Connections break after any byte.
    Cut,
    /// Nothing gets through on a connection any more, and neither side is told.
    Silence,
    /// Some hosts do not reach some others, one way or both.
    Partition,
    /// Attempts to connect fail at once, or never end.
    Unreachable,
    /// Name lookups are slow, find nothing, or find wrong addresses first.
    Lookup,
    /// Accepting fails, as it does when a process has no file descriptors left.
    Accept,
    /// More connections than a server takes.
    Crowd,
    /// A write fails; the server exits.
    DiskFails,
    /// A write takes a long time.
    DiskHangs,
    /// The memory of the peers cannot be saved.
    SaveFails,
    /// Bits rot in blocks of the state file between two lives.
    Rot,
    /// The process dies.
    Kill,
    /// The machine loses power: writes under way are torn or lost, and connections vanish without a packet.
    PowerLoss,
    /// The process dies in the middle of a start.
    KillInStart,
    /// A clean stop and a restart.
    Stop,
    /// A second signal, which forces the exit.
    Force,
    /// A server is paused for a while.
    Pause,
    /// Clocks run at different speeds.
    Clock,
    /// A server loses the file in which it remembers its peers.
    Amnesia,
    /// Malformed frames.
    Garbage,
    /// Frames that begin and never end.
    Unfinished,
    /// Clients that close their side after their requests.
    HalfClose,
    /// Clients that vanish, with requests under way.
    Leave,
    /// Clients that do not read.
    Unread,
    /// Requests are repeated on another connection, answered or not.
    Repeat,
    /// An old message of a peer comes again, on a connection of its own.
    Replay,
    /// Peers of other clusters and versions.
    Stranger,
    /// A server that is named as its own peer.
    Oneself,
    /// An `after` far ahead, at the limits and beyond.
    After,
    /// Small budgets, which are soon used up.
    Budget,
    /// Requests to forget a pid or to advance, from operators and from clients that may not.
    Operator,
    /// Servers that need an answer of a peer before they hand out anything (`--join require`).
    Require,
    /// The end of the sequence.
    Exhaustion,
    /// A copy of a directory is started too.
    Copy,
    /// A new server with the pid of another one.
    WrongPid,
    /// A directory is lost.
    Lost,
    /// A directory is rolled back.
    Rollback,
    /// A second server is started on a directory, and the file system does not share its locks.
    SharedDirectory,
    /// A peer sends without end, and each message has something to log or to save.
    Flood,
    /// A client asks for the status and the members without end, faster than it is answered.
    Looks,
    /// A client sends requests without end that are refused, and each refusal could be a log line.
    Refusals,
    /// So many connections come and go that the ids of connections repeat.
    Scan,
    /// Nobody reads the log for a while: its lines are dropped and counted.
    LogStalls,
    /// Reads end exactly where the buffer does.
    FullRead,
    /// Somebody from an address that no peer has says that it is one.
    Claim,
    /// A peer claims a boot that no server can have come to.
    BootJump,
    /// One address may have few connections, and somebody wants more.
    PerAddress,
    /// When all places are taken, idle connections make room, and somebody holds as many as they can.
    CloseIdle,
    /// More than half of the other servers have to accept a start (`--join majority`).
    Majority,
    /// Servers talk to each other over TLS. It is no fault, but everything else can happen to it.
    Tls,
    /// Some clients speak HTTP. It is no fault either.
    Http,
    /// The etcd that holds the pids is restored from a backup.
    Restore,
    /// All places are taken, and a crowd comes that would push everybody else out of the reserve.
    Reserve,
}

/// In how many of 1000 seeds some clients speak HTTP.
pub const HTTP_PER_MILLE: u32 = 500;

/// A set of faults.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Faults(pub u64);

impl Faults {
    pub const ALL: Faults = Faults((1 << Fault::ALL.len()) - 1);
    pub const NONE: Faults = Faults(0);

    pub fn has(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u8) != 0
    }

    pub fn with(self, fault: Fault) -> Faults {
        Faults(self.0 | 1 << fault as u8)
    }

    pub fn without(self, fault: Fault) -> Faults {
        Faults(self.0 & !(1 << fault as u8))
    }

    pub fn and(self, other: Faults) -> Faults {
        Faults(self.0 & other.0)
    }

    /// Whether nothing can keep a server that runs from answering its peers at once.
    pub fn all_can_answer(self) -> bool {
        let hinders = |fault| {
            matches!(
                fault,
                Fault::Delay
                    | Fault::Loss
                    | Fault::Slow
                    | Fault::Cut
                    | Fault::Silence
                    | Fault::Partition
                    | Fault::Unreachable
                    | Fault::Lookup
                    | Fault::Accept
                    | Fault::Crowd
                    | Fault::Pause
                    | Fault::Flood
                    | Fault::Looks
                    | Fault::Refusals
                    | Fault::Scan
                    | Fault::PerAddress
                    | Fault::CloseIdle
                    | Fault::Reserve
            )
        };
        !self.iter().any(hinders)
    }

    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL
            .iter()
            .copied()
            .filter(move |fault| self.has(*fault))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Random numbers for one purpose. The streams of a seed do not influence each other.
pub fn stream(seed: u64, purpose: u64) -> Rng {
    // The finalizer of SplitMix64, so that neighbouring seeds have nothing in common.
    let mut x = seed.wrapping_add((purpose + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Rng::with_seed(x ^ (x >> 31))
}

/// Draws whether something happens. It does in `per_mille` of 1000 cases.
pub fn chance(rng: &mut Rng, per_mille: u32) -> bool {
    rng.u32(0..1000) < per_mille
}
