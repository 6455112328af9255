//! The bugs that the simulation has to find. Each is a `// bug` directive in the code.
//!
//! A directive is a comment, so no ordinary build has a bug. `cargo run -p xtask -- hunt` makes a copy of the tree
//! in which they are real; see docs/testing.md, "Planted bugs".

/// Those that take many seeds. When the seed in the table does not find one of them any more, only a long hunt looks for
/// another one: a hunt that is told how many seeds, or which bug.
pub const RARE: &[&str] = &[
    "ProbeUnanswered",
    "NoGoodbye",
    "SecondWins",
    "ClaimKept",
    "DisplacedGoesOn",
    "RestsCountsAsServed",
    "ClaimCountsAsServed",
    "ForkUnseen",
    "RolledBackLifeUnseen",
    "ClosedWithRequest",
    "WordsUnheard",
];

/// Those that are found where lives share pids in a simulated etcd, without servers around them: see
/// [`workers`](crate::etcd::workers).
pub const OF_PIDS: &[&str] = &[
    "ClaimUncompared",
    "LeaseTrusted",
    "FloorFromNote",
    "ForeignClaimAdopted",
    "ForeignAdopted",
    "RaiseUncompared",
    "RaiseSupposed",
    "StopUncompared",
    "ReplyBeforeAcknowledged",
    "EpochForgotten",
    "FormerLeaderBelieved",
];

/// Those that are found in seeds in which pids live in etcd: see [`etcd_plan`](super::etcd_plan).
pub const OF_ETCD: &[&str] = &[
    "FallenRevisionIgnored",
    "OlderStateFences",
    "OtherEtcdIgnored",
    "EpochUntold",
    "OwnBootJumpTaken",
    "DoubtIgnored",
    "DecidedIsTold",
    "FencedGoesOn",
    "TakenBackLeaves",
    "FencedIncumbentAsked",
    "GuardObjectsToOwner",
];

/// A bug that somebody could well make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bug {
    pub name: &'static str,
    /// What the program does wrong with it.
    pub wrong: &'static str,
    /// A seed that has found it. It is tried first. When it does not find it any more, because the core or the simulation has
    /// changed, seeds are tried from 1 on.
    pub seed: u64,
}

/// All of them.
pub const BUGS: &[Bug] = &[
    // The state file.
    Bug {
        name: "ResumeBelowCeiling",
        wrong: "A start begins at the sequence in the newest record and not above its ceiling.",
        seed: 1,
    },
    Bug {
        name: "ServeEarlierBoot",
        wrong: "A start writes nothing and hands out under the ceiling of an earlier boot.",
        seed: 1,
    },
    Bug {
        name: "BootNotRaised",
        wrong: "A start does not count the boot.",
        seed: 1,
    },
    Bug {
        name: "CleanStopTrusted",
        wrong: "A start believes the exact sequence of a clean stop, although a later boot has written since.",
        seed: 23,
    },
    Bug {
        name: "CleanFlagKept",
        wrong: "A start leaves the flag of a clean stop set, and the next start believes it.",
        seed: 1,
    },
    Bug {
        name: "NoChecksum",
        wrong: "A block is believed even if its checksum is wrong.",
        seed: 1,
    },
    Bug {
        name: "SingleSlot",
        wrong: "Every generation overwrites the one before it, in the same block.",
        seed: 1,
    },
    Bug {
        name: "OneCopy",
        wrong: "Only one copy of a generation is written.",
        seed: 1,
    },
    Bug {
        name: "GenerationWraps",
        wrong: "Generations are compared by their lowest four bits.",
        seed: 93,
    },
    Bug {
        name: "LostPairNotSkipped",
        wrong: "A start does not skip ahead, although both blocks that could hold the newest generation are bad.",
        seed: 64,
    },
    Bug {
        name: "FailedSyncIgnored",
        wrong: "A write or sync that failed is treated as done.",
        seed: 1,
    },
    Bug {
        name: "StartReadsCache",
        wrong: "A start reads what was written, not what is durable. A simulated device has to do the same.",
        seed: 1,
    },
    Bug {
        name: "ForeignRecordIgnored",
        wrong: "A server does not check whether another process has written its state file.",
        seed: 131,
    },
    // The counter and its ceiling.
    Bug {
        name: "ReplyBeforeDurable",
        wrong: "A reply leaves before the ceiling that covers it is durable.",
        seed: 4,
    },
    Bug {
        name: "AbsorptionBypassesCeiling",
        wrong: "A sequence that came from a peer is handed out above the ceiling.",
        seed: 1,
    },
    Bug {
        name: "AdvanceMovesAll",
        wrong: "An advance above the ceiling moves the counter at once, and everybody else waits for the disk.",
        seed: 1,
    },
    Bug {
        name: "HeardForgotten",
        wrong: "The sequence of a peer that was above the ceiling is not absorbed once it is durable.",
        seed: 4,
    },
    Bug {
        name: "BudgetRefilled",
        wrong: "Every start begins with the whole burst for clients.",
        seed: 55,
    },
    Bug {
        name: "PeerBurstRefilled",
        wrong: "Every start lets known peers raise it by their whole burst.",
        seed: 114,
    },
    Bug {
        name: "LateWriteUntold",
        wrong: "A write that takes long is not reported.",
        seed: 21,
    },
    Bug {
        name: "AfterIgnored",
        wrong: "The `after` of a request is ignored.",
        seed: 4,
    },
    Bug {
        name: "BudgetIgnored",
        wrong: "Advances cost nothing.",
        seed: 5,
    },
    Bug {
        name: "CountUnchecked",
        wrong: "A request for more than `--max-count` is served.",
        seed: 1,
    },
    Bug {
        name: "BlockOverlaps",
        wrong: "The counter moves by one for a whole block.",
        seed: 1,
    },
    Bug {
        name: "PidLeftOut",
        wrong: "Every identity has pid 0.",
        seed: 1,
    },
    Bug {
        name: "EndWraps",
        wrong: "After the last sequence the counter begins again at 1.",
        seed: 14,
    },
    Bug {
        name: "ServesWhileStopping",
        wrong: "A server goes on handing out while the exact sequence of its stop is being written.",
        seed: 1,
    },
    Bug {
        name: "ReplyOvertakes",
        wrong: "An answer that waits for nothing overtakes answers of the same connection that wait for the disk.",
        seed: 10,
    },
    Bug {
        name: "ErrorCloses",
        wrong: "A request that cannot be served closes its connection.",
        seed: 1,
    },
    // The peers.
    Bug {
        name: "SyncAssigns",
        wrong: "The sequence of a peer replaces that of the server, even if it is smaller.",
        seed: 1,
    },
    Bug {
        name: "SyncTakesSmaller",
        wrong: "A server takes the sequence of a peer if it is smaller than its own, and not if it is larger.",
        seed: 1,
    },
    Bug {
        name: "SyncNeverAnswers",
        wrong: "A syncRequest is not answered.",
        seed: 25,
    },
    Bug {
        name: "CeilingGossiped",
        wrong: "Peers are told the ceiling.",
        seed: 1,
    },
    Bug {
        name: "ToldBeforeDurable",
        wrong: "Peers are told a sequence that is not durable yet.",
        seed: 10,
    },
    Bug {
        name: "JoinIgnored",
        wrong: "A start that has to ask its peers hands out at once.",
        seed: 8,
    },
    Bug {
        name: "RestartTakenForConflict",
        wrong: "A restart is taken for two live servers.",
        seed: 6,
    },
    Bug {
        name: "RollbackUnseen",
        wrong: "A state that is older than the remembered one is not noticed.",
        seed: 22,
    },
    // One pid, one life.
    Bug {
        name: "IncumbentNotAsked",
        wrong: "A newcomer gets its pid without a question to the life that serves.",
        seed: 242,
    },
    Bug {
        name: "ServesUnclaimed",
        wrong: "A life serves as soon as it is accepted, and claims nothing.",
        seed: 8,
    },
    Bug {
        name: "ServesUnconfirmed",
        wrong: "A life that has claimed its pid does not wait until enough peers have confirmed that.",
        seed: 66,
    },
    Bug {
        name: "ProbeUnanswered",
        wrong: "A life does not answer a peer that asks whether it is alive.",
        seed: 757,
    },
    Bug {
        name: "NoGoodbye",
        wrong: "A server that stops does not say goodbye, so its next start is made to wait.",
        seed: 2401,
    },
    Bug {
        name: "ClaimNotDurable",
        wrong: "A peer confirms a claim before it has made that durable.",
        seed: 1,
    },
    Bug {
        name: "SecondWins",
        wrong: "Of two lives that claim one pid, the second is accepted too.",
        seed: 27_073,
    },
    Bug {
        name: "ClaimKept",
        wrong: "The claim of a life that has given up stays.",
        seed: 253,
    },
    Bug {
        name: "ClaimNeverServes",
        wrong: "A life that was accepted and serves does not take the place of the one before.",
        seed: 177,
    },
    Bug {
        name: "DisplacedGoesOn",
        wrong: "A life in whose place another one was accepted is not stopped.",
        seed: 717,
    },
    Bug {
        name: "ConflictUnseen",
        wrong: "Two lives that have both served, and live at the same time, are not stopped.",
        seed: 25,
    },
    Bug {
        name: "RestsCountsAsServed",
        wrong: "A life that has only claimed its pid and says that it rests is remembered as one that has served.",
        seed: 2341,
    },
    Bug {
        name: "ClaimCountsAsServed",
        wrong: "How far a life says that it has come counts for its pid, even if that life has only claimed it.",
        seed: 9_031_751,
    },
    Bug {
        name: "ForkUnseen",
        wrong: "A start does not see that its directory does not know a life that a peer remembers.",
        seed: 11463,
    },
    Bug {
        name: "RolledBackLifeUnseen",
        wrong: "A start does not see that its directory knows a life only up to a lower ceiling.",
        seed: 11463,
    },
    Bug {
        name: "ConflictForgotten",
        wrong: "After a restart, a conflict is taken for a state that is not the newest.",
        seed: 864,
    },
    Bug {
        name: "ObjectionNotDurable",
        wrong: "After a restart, an objection is forgotten.",
        seed: 13,
    },
    Bug {
        name: "OnlyFirstAddress",
        wrong: "Only the first address of a name is dialed.",
        seed: 27,
    },
    Bug {
        name: "StopsAtOneself",
        wrong: "A name that leads to the server itself is not dialed any further.",
        seed: 186,
    },
    Bug {
        name: "BootJumpTaken",
        wrong: "A boot that no server can have come to is remembered.",
        seed: 22,
    },
    // The loop and its connections.
    Bug {
        name: "MailboxLifo",
        wrong: "Requests for one identity go to the head of the mailbox.",
        seed: 7,
    },
    Bug {
        name: "BatchRunsOn",
        wrong: "A batch of requests goes on, although the request before has effects that are not carried out yet.",
        seed: 1,
    },
    Bug {
        name: "GrantsIgnored",
        wrong: "It is not checked what a connection may do.",
        seed: 10,
    },
    Bug {
        name: "StrangerTakenForPeer",
        wrong: "A server synchronizes with whoever says that it is a peer.",
        seed: 11,
    },
    Bug {
        name: "LoopbackTrusted",
        wrong: "Whoever connects from the server's own machine is trusted, although the operator has said no.",
        seed: 54,
    },
    Bug {
        name: "LivesShownToAll",
        wrong: "The status and the members show anybody which lives the servers are in.",
        seed: 1,
    },
    Bug {
        name: "TickerNotRestarted",
        wrong: "A ticker that was stopped never runs again.",
        seed: 65,
    },
    Bug {
        name: "StaleToken",
        wrong: "The serial in the id of a connection is not compared, and a slot is not held for late answers.",
        seed: 20,
    },
    Bug {
        name: "EdgeLost",
        wrong: "Reading stops after a short read, although the other side has closed and the poll will not report it again.",
        seed: 20,
    },
    Bug {
        name: "RequestLostAtGate",
        wrong: "The request after the last one for which there is room is lost.",
        seed: 1,
    },
    Bug {
        name: "WordsUnheard",
        wrong: "A life that waits for its answer is not heard meanwhile, even if it says that it gives up.",
        seed: 12_566,
    },
    Bug {
        name: "HangupStops",
        wrong: "SIGHUP stops the server.",
        seed: 14,
    },
    // HTTP.
    Bug {
        name: "PipelineUngated",
        wrong: "A request by HTTP is read before the one before it is answered, and that one is then answered in its form.",
        seed: 2,
    },
    Bug {
        name: "AfterIgnoredByHttp",
        wrong: "The `after` of a request by HTTP is ignored.",
        seed: 5,
    },
    Bug {
        name: "LastAnswerLost",
        wrong: "A connection that ends with an answer is closed before that answer is written.",
        seed: 2,
    },
    Bug {
        name: "CloseIgnored",
        wrong: "A connection goes on behind an answer that says that it ends.",
        seed: 2,
    },
    Bug {
        name: "BodyNotSkipped",
        wrong: "The body of a request by HTTP is taken for the next request.",
        seed: 2,
    },
    Bug {
        name: "ReadyWhileObjected",
        wrong: "A server to which a peer objects says that it is ready.",
        seed: 15,
    },
    Bug {
        name: "ReadyWhileJoining",
        wrong: "A server that waits for its peers says that it is ready.",
        seed: 84,
    },
    Bug {
        name: "CounterFalls",
        wrong: "The connections that are open are shown as those that were accepted, so a counter falls.",
        seed: 7,
    },
    // TLS.
    Bug {
        name: "OpenedForgotten",
        wrong: "What a session has opened, and the decoder had no room for, waits until more arrives.",
        seed: 22,
    },
    Bug {
        name: "HandshakesStarve",
        wrong: "A connection that waits with a step of its handshake has its turn only in the turn in which it came.",
        seed: 22,
    },
    Bug {
        name: "SessionSilent",
        wrong: "What TLS itself has to say waits until somebody else says something.",
        seed: 22,
    },
    // The places for clients.
    Bug {
        name: "AddressUnbounded",
        wrong: "One address may have as many connections as it wants.",
        seed: 33,
    },
    Bug {
        name: "HolderNotLeft",
        wrong: "A connection that is gone still counts for its address.",
        seed: 20,
    },
    Bug {
        name: "TrustedBounded",
        wrong: "A trusted address may have no more connections than any other.",
        seed: 33,
    },
    Bug {
        name: "ClosedWithRequest",
        wrong: "A client whose request has arrived is closed to make room.",
        seed: 4_523,
    },
    Bug {
        name: "NewestIdleCloses",
        wrong: "The client that has been idle for the shortest time makes room.",
        seed: 23,
    },
    Bug {
        name: "IdleSearchedOnce",
        wrong: "Idle clients are searched for once, and never again.",
        seed: 68,
    },
    // The reserve.
    Bug {
        name: "LongestWaitGoes",
        wrong: "Whoever has waited longest in the reserve goes, and not one of a crowd.",
        seed: 58,
    },
    Bug {
        name: "NewestOfCrowdGoes",
        wrong: "Of a crowd in the reserve the newest goes.",
        seed: 58,
    },
    Bug {
        name: "WaitedStillCounts",
        wrong: "A connection that has left the reserve still counts for its address there.",
        seed: 58,
    },
    Bug {
        name: "ReserveUnbounded",
        wrong: "Nobody is turned away from the reserve, however many come.",
        seed: 118,
    },
    Bug {
        name: "ReserveTooSmall",
        wrong: "Somebody is turned away although the reserve has places.",
        seed: 58,
    },
    Bug {
        name: "ReserveForEver",
        wrong: "Who says nothing stays in the reserve.",
        seed: 363,
    },
    Bug {
        name: "TurnedAwayUnread",
        wrong: "A connection is turned away before it is read.",
        seed: 118,
    },
    Bug {
        name: "OwedTurnedAway",
        wrong: "A connection is turned away although it has just asked for something that is answered.",
        seed: 118,
    },
    Bug {
        name: "PeersGoFirst",
        wrong: "Without descriptors, those who come to the port of the peers go before those by HTTP.",
        seed: 58,
    },
    // What others can cause.
    Bug {
        name: "FloodToldInFull",
        wrong: "Every line that others cause is logged, however many there are.",
        seed: 9,
    },
    Bug {
        name: "SavesUnbounded",
        wrong: "A new state of a peer is saved each time, however often it changes.",
        seed: 82,
    },
    Bug {
        name: "DroppedLinesUntold",
        wrong: "The status does not show how many log lines were dropped.",
        seed: 7,
    },
    // The pids in etcd.
    Bug {
        name: "ClaimUncompared",
        wrong: "A claim does not compare the state with what it has read.",
        seed: 1,
    },
    Bug {
        name: "LeaseTrusted",
        wrong: "A claim compares only whether the lease of the last owner has ended.",
        seed: 32,
    },
    Bug {
        name: "FloorFromNote",
        wrong: "A claim begins at what the last life had noted and not above its ceiling.",
        seed: 2,
    },
    Bug {
        name: "ForeignClaimAdopted",
        wrong: "A claim whose comparison fails goes on with the state that it finds.",
        seed: 1,
    },
    Bug {
        name: "ForeignAdopted",
        wrong: "A life that finds the state of another life goes on with it.",
        seed: 1,
    },
    Bug {
        name: "RaiseUncompared",
        wrong: "A raise does not compare the state with what this life has written.",
        seed: 3,
    },
    Bug {
        name: "RaiseSupposed",
        wrong: "A raise without an answer is taken for done.",
        seed: 1,
    },
    Bug {
        name: "StopUncompared",
        wrong: "A stop does not compare the state with what this life has written.",
        seed: 4,
    },
    Bug {
        name: "ReplyBeforeAcknowledged",
        wrong: "A life hands out up to a ceiling that was not acknowledged yet.",
        seed: 3,
    },
    Bug {
        name: "EpochForgotten",
        wrong: "A claim after a restore does not begin above what an operator has said.",
        seed: 4,
    },
    Bug {
        name: "FormerLeaderBelieved",
        wrong: "A sign of life counts although a leader of etcd may have taken it that was none any more.",
        seed: 6,
    },
    // A store that fences.
    Bug {
        name: "DoubtIgnored",
        wrong: "A life hands out although its store has not confirmed in time that it has its pid.",
        seed: 1_099_511_627_874,
    },
    Bug {
        name: "DecidedIsTold",
        wrong: "Peers are told a sequence that was decided and may still be taken back.",
        seed: 1_099_511_627_827,
    },
    Bug {
        name: "FencedGoesOn",
        wrong: "A life goes on although another session has its state in the store.",
        seed: 1_099_511_627_794,
    },
    Bug {
        name: "TakenBackLeaves",
        wrong: "What is taken back leaves all the same, and is handed out again.",
        seed: 1_099_511_627_788,
    },
    Bug {
        name: "FencedIncumbentAsked",
        wrong: "A life that has taken over a pid by its store waits for the one before it.",
        seed: 1_099_511_627_789,
    },
    Bug {
        name: "GuardObjectsToOwner",
        wrong: "A peer objects to the life that has taken over a pid, and not to the one before it.",
        seed: 1_099_511_627_778,
    },
    Bug {
        name: "FallenRevisionIgnored",
        wrong: "A life goes on in an etcd whose revision has fallen.",
        seed: 1_099_511_627_926,
    },
    Bug {
        name: "OlderStateFences",
        wrong: "A life that finds a life before it in a restored etcd takes that for one that followed it.",
        seed: 1_099_600_023_528,
    },
    Bug {
        name: "OtherEtcdIgnored",
        wrong: "A life goes on in another etcd than the one in which it has claimed its pid.",
        seed: 1_099_511_627_915,
    },
    Bug {
        name: "EpochUntold",
        wrong: "A life that begins after a restore does not tell its peers what an operator has said.",
        seed: 1_099_511_627_858,
    },
    Bug {
        name: "OwnBootJumpTaken",
        wrong: "A life gives up its pid for a boot that no server can have come to.",
        seed: 1_099_511_627_785,
    },
];
