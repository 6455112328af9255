//! Why the actor refuses something: an enum, and the only place with the texts that people read.

use crate::{
    identity::{Pid, Sequence},
    limits::BOOT_JUMP_MAX,
    words::{ClusterName, ErrorCode, ErrorReply},
};

/// Why a request, an advance or a peer is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    BadCount {
        count_max: u32,
    },
    Exhausted {
        remaining: u64,
    },
    Joining,
    Conflict,
    Stale,
    Stopping,
    StorageFailed,
    StoreUnavailable,
    /// An `after` that is not a valid identity.
    NoIdentity {
        after: u64,
    },
    /// A sequence that does not exist.
    NoSequence {
        sequence: u64,
        source: Source,
    },
    TooFar {
        sequence: Sequence,
        advance: u64,
        advance_max: u64,
        source: Source,
    },
    OverBudget {
        sequence: Sequence,
        advance: u64,
        left: u64,
        source: Source,
    },
    /// More than its budget can ever hold.
    NeverPaid {
        sequence: Sequence,
        advance: u64,
        most: u64,
        source: Source,
    },
    UnknownPid(Pid),
    ForeignCluster {
        own: ClusterName,
        theirs: ClusterName,
    },
    /// A client that expects another cluster.
    NotThatCluster {
        own: ClusterName,
        expected: ClusterName,
    },
    /// A peer that uses another pid than before.
    OtherPid {
        before: Pid,
        pid: Pid,
    },
    Oneself,
    SamePid(Pid),
    /// A boot that no server can have come to.
    BootTooFar {
        pid: Pid,
        boot: u64,
        known: u64,
    },
    /// Another life of that pid is alive.
    HeldByAnother(Pid),
    /// Another life of that pid has claimed it, and is silent.
    Claimed(Pid),
    /// A life of this server's own directory that came before this one.
    LateWord(Pid),
    /// Another life of this server's pid, for which this one gives up.
    Yields(Pid),
}

/// Who asks to raise the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A client, with `after`.
    After,
    /// A peer that has connected here, with its sequence.
    Peer,
    /// A peer that this server was told to dial, or that it remembers from before its start, with its sequence.
    KnownPeer,
    /// An operator. Budgets do not apply.
    Operator,
}

impl Source {
    /// The start of the text.
    const fn prefix(self) -> &'static str {
        match self {
            Source::After => "after: ",
            Source::Peer | Source::KnownPeer => "sequence of a peer: ",
            Source::Operator => "",
        }
    }

    /// Who refuses. Both servers log what is said of the sequence of a peer, so the text must be true on both.
    const fn whom(self) -> &'static str {
        match self {
            Source::After | Source::Operator => "this server",
            Source::Peer | Source::KnownPeer => "the server that was told it",
        }
    }

    /// The flag that sets how much it may take at once.
    const fn burst_flag(self) -> &'static str {
        match self {
            Source::After => "--after-burst",
            Source::Peer | Source::KnownPeer | Source::Operator => "--peer-burst",
        }
    }
}

impl Refusal {
    /// Whether this is the refusal of an advance, which is reported.
    pub(super) const fn is_of_advance(&self) -> bool {
        matches!(
            self,
            Refusal::NoIdentity { .. }
                | Refusal::NoSequence { .. }
                | Refusal::TooFar { .. }
                | Refusal::NeverPaid { .. }
                | Refusal::OverBudget { .. }
        )
    }

    pub(super) const fn code(&self) -> ErrorCode {
        match self {
            Refusal::BadCount { .. } => ErrorCode::BadCount,
            Refusal::Exhausted { .. } => ErrorCode::Exhausted,
            Refusal::Joining | Refusal::Yields(_) => ErrorCode::Joining,
            Refusal::Conflict => ErrorCode::PidConflict,
            Refusal::Stale => ErrorCode::StaleState,
            Refusal::Stopping => ErrorCode::Stopping,
            Refusal::StorageFailed => ErrorCode::Storage,
            Refusal::StoreUnavailable => ErrorCode::StoreUnavailable,
            Refusal::NoIdentity { .. }
            | Refusal::NoSequence { .. }
            | Refusal::TooFar { .. }
            | Refusal::NeverPaid { .. } => ErrorCode::AdvanceTooLarge,
            Refusal::OverBudget { .. } => ErrorCode::OverBudget,
            Refusal::UnknownPid(_) => ErrorCode::UnknownPid,
            Refusal::ForeignCluster { .. } | Refusal::NotThatCluster { .. } => {
                ErrorCode::ForeignCluster
            }
            Refusal::OtherPid { .. } => ErrorCode::BadBody,
            Refusal::Oneself => ErrorCode::Oneself,
            Refusal::SamePid(_) => ErrorCode::SamePid,
            Refusal::BootTooFar { .. } => ErrorCode::BootTooFar,
            Refusal::HeldByAnother(_) | Refusal::Claimed(_) | Refusal::LateWord(_) => {
                ErrorCode::HeldByAnother
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Refusal::BadCount { count_max } => {
                format!("count must be 1 to {count_max} (--max-count)")
            }
            Refusal::Exhausted { remaining } => {
                format!("only {remaining} sequences are left, and the count asks for more")
            }
            Refusal::Joining => {
                "this server has to hear from its peers before it hands out identities \
                                 (--join), and too few have answered yet: ask another one, and have an \
                                 operator look at its log"
                    .to_owned()
            }
            Refusal::Conflict => {
                "another live server has the pid of this one, so neither hands out \
                                  identities: ask another one, and have an operator look at ipseity-cli status"
                    .to_owned()
            }
            Refusal::Stale => {
                "the peers of this server remember a newer state of its pid, so it hands \
                               out no identities: ask another one, and have an operator look at ipseity-cli \
                               status"
                    .to_owned()
            }
            Refusal::Stopping => "this server is stopping: ask another one".to_owned(),
            Refusal::StorageFailed => {
                "this server cannot write its state directory and is about to exit: \
                                       ask another one"
                    .to_owned()
            }
            Refusal::StoreUnavailable => "the store that keeps the state of this server does not answer: ask another \
                                          server, or this one later, and have an operator look at its log"
                .to_owned(),
            Refusal::NoIdentity { after } => {
                format!(
                    "after {after} is beyond the last identity there is, {}",
                    i64::MAX
                )
            }
            Refusal::NoSequence { sequence, source } => format!(
                "{}sequence {sequence} is beyond the last there is, {}",
                source.prefix(),
                Sequence::MAX
            ),
            Refusal::TooFar {
                sequence,
                advance,
                advance_max,
                source,
            } => format!(
                "{}sequence {sequence} is {advance} ahead of {}, more than --max-advance \
                 {advance_max} allows at once",
                source.prefix(),
                source.whom()
            ),
            Refusal::OverBudget {
                sequence,
                advance,
                left,
                source,
            } => format!(
                "{}sequence {sequence} is {advance} ahead of {}, and its budget for advances \
                 allows {left} now: try again later, or have an operator run ipseity-cli advance",
                source.prefix(),
                source.whom()
            ),
            Refusal::NeverPaid {
                sequence,
                advance,
                most,
                source,
            } => format!(
                "{}sequence {sequence} is {advance} ahead of {}, and its budget for advances never allows \
                 more than {most} ({}): have an operator run ipseity-cli advance --above {sequence}",
                source.prefix(),
                source.whom(),
                source.burst_flag()
            ),
            Refusal::UnknownPid(pid) => {
                format!("nothing is known here of pid {pid}: ipseity-cli members lists those known")
            }
            Refusal::ForeignCluster { own, theirs } => format!(
                "a server of cluster {:?} refuses one of cluster {:?}: check --cluster and --peer on both",
                own.as_str(),
                theirs.as_str()
            ),
            Refusal::NotThatCluster { own, expected } => format!(
                "this server is of cluster {:?}, and the client expects {:?}: check which server the client asks, and \
                 which cluster it names",
                own.as_str(),
                expected.as_str()
            ),
            Refusal::OtherPid { before, pid } => {
                format!(
                    "this connection was for pid {before} before, and now is for pid {pid}: a peer keeps its pid"
                )
            }
            Refusal::Oneself => {
                "a server was named as its own peer, which does no harm".to_owned()
            }
            Refusal::SamePid(pid) => format!(
                "pid {pid} is this server's pid too, so both stop handing out identities: start the one \
                that keeps it with --recover-above, and the other with an unused --pid"
            ),
            Refusal::BootTooFar { pid, boot, known } => format!(
                "boot {boot} of pid {pid} is more than {BOOT_JUMP_MAX} above the last one known here, {known}: no \
                 server starts so often, so look at who speaks for that pid, and at its state directory"
            ),
            Refusal::HeldByAnother(pid) => format!(
                "another server with pid {pid} is running: start with an unused --pid and a new --data-dir; or, if \
                 this one is to take its place, stop the other one first"
            ),
            Refusal::Claimed(pid) => format!(
                "another start of pid {pid} has claimed it, never said that it serves, and is silent: start this one \
                 again; if that does not help, and that start never handed out anything, forget it at this peer with \
                 ipseity-cli members --forget {pid} --never-served"
            ),
            Refusal::Yields(pid) => format!(
                "another start of pid {pid} has met this one, and only one of the two can go on: this one gives up"
            ),
            Refusal::LateWord(pid) => format!(
                "this server runs with pid {pid}, and this is the word of an earlier start of its own state directory: \
                 it comes late, or a copy of that directory is running"
            ),
        }
    }
}

impl From<Refusal> for ErrorReply {
    #[cold]
    fn from(refusal: Refusal) -> ErrorReply {
        ErrorReply::new(refusal.code(), refusal.text())
    }
}
