//! The faults that a seed may draw, and chance for each of them.

use std::fmt;

use fastrand::Rng;

macro_rules! faults {
    ($($(#[doc = $what:literal])+ $name:ident,)+) => {
        /// A class of faults. A seed draws which of them it uses; masking one off leaves the chance of the others
        /// as it is.
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
    /// Messages take their time, and never the same.
    Delay,
    /// Packets are lost, and TCP sends them again later.
    Loss,
    /// A few bytes at a time, through windows of a few bytes.
    Slow,
    /// Connections break, at any byte.
    Cut,
    /// Nothing comes through on a connection any more, and nobody is told.
    Silence,
    /// Some hosts do not reach some others, one way or both.
    Partition,
    /// Attempts to connect fail at once, or never end.
    Unreachable,
    /// Names are looked up slowly, to nothing, or to wrong addresses first.
    Lookup,
    /// Accepting fails, as without descriptors.
    Accept,
    /// More connections than a server takes.
    Crowd,
    /// A write fails; the server exits.
    DiskFails,
    /// A write takes long.
    DiskHangs,
    /// What is remembered of the peers cannot be saved.
    SaveFails,
    /// Bits rot in blocks of the state file between two lives.
    Rot,
    /// The process dies.
    Kill,
    /// The machine loses its power: writes under way are torn or gone, connections gone without a word.
    PowerLoss,
    /// It dies in the middle of a start.
    KillInStart,
    /// A clean stop and a restart.
    Stop,
    /// A second signal.
    Force,
    /// A server stands still for a while.
    Pause,
    /// Clocks go at different speeds.
    Clock,
    /// The memory of the peers is lost.
    Amnesia,
    /// Malformed frames.
    Garbage,
    /// Frames that are begun and not finished.
    Unfinished,
    /// Clients that close their side behind their requests.
    HalfClose,
    /// Clients that vanish, with requests under way.
    Leave,
    /// Clients that do not read.
    Unread,
    /// Requests are repeated on another connection, answered or not.
    Repeat,
    /// An old message of a peer comes once more, on a connection of its own.
    Replay,
    /// Peers of other clusters and versions.
    Stranger,
    /// A server that is named as its own peer.
    Oneself,
    /// An `after` far ahead, at the limits and beyond.
    After,
    /// Budgets that are soon used up.
    Budget,
    /// Operators that forget and advance, and others that would like to.
    Operator,
    /// Servers that want a peer before they hand out.
    Require,
    /// The end of the sequence.
    Exhaustion,
    /// A copy of a directory is started too.
    Copy,
    /// A server with the pid of another one.
    WrongPid,
    /// A directory is lost.
    Lost,
    /// A directory is rolled back.
    Rollback,
    /// A second server is started on a directory, and the file system does not share its locks.
    SharedDirectory,
    /// A peer speaks without end, and in each message there is something that people hear of or that is saved.
    Flood,
    /// A client asks for the status and the members without end, faster than it is answered.
    Looks,
    /// A client asks without end for what is refused, and each refusal could be a log line.
    Refusals,
    /// Connections come and go, so many that the names of connections repeat.
    Scan,
    /// Nobody reads the log for a while: its lines are dropped and counted.
    LogStalls,
    /// Reads end exactly where the buffer does.
    FullRead,
    /// One address may have few connections, and somebody wants more.
    PerAddress,
    /// When all places are taken, idle connections make room, and somebody holds as many as he can.
    CloseIdle,
}

/// A set of them.
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

/// Chance for one purpose: the streams of a seed do not touch each other.
pub fn stream(seed: u64, purpose: u64) -> Rng {
    // The finalizer of SplitMix64, so that neighbours have nothing in common.
    let mut x = seed.wrapping_add((purpose + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Rng::with_seed(x ^ (x >> 31))
}

/// Whether something happens that happens in `per_mille` of all cases.
pub fn chance(rng: &mut Rng, per_mille: u32) -> bool {
    rng.u32(0..1000) < per_mille
}
