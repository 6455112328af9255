//! The bugs that the simulation has to find. Each is a `// bug` directive in the code.
//!
//! A directive is a comment, so no ordinary build has a bug. `cargo run -p xtask -- hunt` makes a copy of the tree
//! in which they are real; see docs/testing.md, "Planted bugs".

/// Those that take many seeds. Only a long hunt looks for them: one that is told how many seeds, or which bug.
pub const RARE: &[&str] = &[
    "ProbeUnanswered",
    "NoGoodbye",
    "SecondWins",
    "ClaimKept",
    "DisplacedGoesOn",
    "RestsCountsAsServed",
    "ForkUnseen",
    "RolledBackLifeUnseen",
    "ClosedWithRequest",
];

/// The name of each bug, and what the program does wrong with it.
pub const BUGS: &[(&str, &str)] = &[
    // The state file.
    (
        "ResumeBelowCeiling",
        "A start begins at the sequence in the newest record and not above its ceiling.",
    ),
    (
        "ServeEarlierBoot",
        "A start writes nothing and hands out under the ceiling of an earlier boot.",
    ),
    ("BootNotRaised", "A start does not count the boot."),
    (
        "CleanStopTrusted",
        "A start believes the exact sequence of a clean stop, although a later boot has written since.",
    ),
    (
        "CleanFlagKept",
        "A start leaves the flag of a clean stop set, and the next start believes it.",
    ),
    (
        "NoChecksum",
        "A block is believed even if its checksum is wrong.",
    ),
    (
        "SingleSlot",
        "Every generation overwrites the one before it, in the same block.",
    ),
    ("OneCopy", "Only one copy of a generation is written."),
    (
        "GenerationWraps",
        "Generations are compared by their lowest four bits.",
    ),
    (
        "LostPairNotSkipped",
        "A start does not skip ahead, although both blocks that could hold the newest generation are bad.",
    ),
    (
        "FailedSyncIgnored",
        "A write or sync that failed is treated as done.",
    ),
    (
        "StartReadsCache",
        "A start reads what was written, not what is durable. A simulated device has to do the same.",
    ),
    (
        "ForeignRecordIgnored",
        "A server does not check whether another process has written its state file.",
    ),
    // The counter and its ceiling.
    (
        "ReplyBeforeDurable",
        "A reply leaves before the ceiling that covers it is durable.",
    ),
    (
        "AbsorptionBypassesCeiling",
        "A sequence that came from a peer is handed out above the ceiling.",
    ),
    (
        "AdvanceMovesAll",
        "An advance above the ceiling moves the counter at once, and everybody else waits for the disk.",
    ),
    (
        "HeardForgotten",
        "The sequence of a peer that was above the ceiling is not absorbed once it is durable.",
    ),
    (
        "BudgetRefilled",
        "Every start begins with the whole burst for clients.",
    ),
    (
        "PeerBurstRefilled",
        "Every start lets known peers raise it by their whole burst.",
    ),
    (
        "LateWriteUntold",
        "A write that takes long is not reported.",
    ),
    ("AfterIgnored", "The `after` of a request is ignored."),
    ("BudgetIgnored", "Advances cost nothing."),
    (
        "CountUnchecked",
        "A request for more than `--max-count` is served.",
    ),
    (
        "BlockOverlaps",
        "The counter moves by one for a whole block.",
    ),
    ("PidLeftOut", "Every identity has pid 0."),
    (
        "EndWraps",
        "After the last sequence the counter begins again at 1.",
    ),
    (
        "ServesWhileStopping",
        "A server goes on handing out while the exact sequence of its stop is being written.",
    ),
    (
        "ReplyOvertakes",
        "An answer that waits for nothing overtakes answers of the same connection that wait for the disk.",
    ),
    (
        "ErrorCloses",
        "A request that cannot be served closes its connection.",
    ),
    // The peers.
    (
        "SyncAssigns",
        "The sequence of a peer replaces that of the server, even if it is smaller.",
    ),
    (
        "SyncTakesSmaller",
        "A server takes the sequence of a peer if it is smaller than its own, and not if it is larger.",
    ),
    ("SyncNeverAnswers", "A syncRequest is not answered."),
    ("CeilingGossiped", "Peers are told the ceiling."),
    (
        "ToldBeforeDurable",
        "Peers are told a sequence that is not durable yet.",
    ),
    (
        "JoinIgnored",
        "A start that has to ask its peers hands out at once.",
    ),
    (
        "RestartTakenForConflict",
        "A restart is taken for two live servers.",
    ),
    (
        "RollbackUnseen",
        "A state that is older than the remembered one is not noticed.",
    ),
    // One pid, one life.
    (
        "IncumbentNotAsked",
        "A newcomer gets its pid without a question to the life that serves.",
    ),
    (
        "ServesUnclaimed",
        "A life serves as soon as it is accepted, and claims nothing.",
    ),
    (
        "ServesUnconfirmed",
        "A life that has claimed its pid does not wait until enough peers have confirmed that.",
    ),
    (
        "ProbeUnanswered",
        "A life does not answer a peer that asks whether it is alive.",
    ),
    (
        "NoGoodbye",
        "A server that stops does not say goodbye, so its next start is made to wait.",
    ),
    (
        "ClaimNotDurable",
        "A peer confirms a claim before it has made that durable.",
    ),
    (
        "SecondWins",
        "Of two lives that claim one pid, the second is accepted too.",
    ),
    ("ClaimKept", "The claim of a life that has given up stays."),
    (
        "ClaimNeverServes",
        "A life that was accepted and serves does not take the place of the one before.",
    ),
    (
        "DisplacedGoesOn",
        "A life in whose place another one was accepted is not stopped.",
    ),
    (
        "ConflictUnseen",
        "Two lives that have both served, and live at the same time, are not stopped.",
    ),
    (
        "RestsCountsAsServed",
        "A life that has only claimed its pid and says that it rests is remembered as one that has served.",
    ),
    (
        "ForkUnseen",
        "A start does not see that its directory does not know a life that a peer remembers.",
    ),
    (
        "RolledBackLifeUnseen",
        "A start does not see that its directory knows a life only up to a lower ceiling.",
    ),
    (
        "ConflictForgotten",
        "After a restart, a conflict is taken for a state that is not the newest.",
    ),
    (
        "ObjectionNotDurable",
        "After a restart, an objection is forgotten.",
    ),
    (
        "OnlyFirstAddress",
        "Only the first address of a name is dialed.",
    ),
    (
        "StopsAtOneself",
        "A name that leads to the server itself is not dialed any further.",
    ),
    (
        "BootJumpTaken",
        "A boot that no server can have come to is remembered.",
    ),
    // The loop and its connections.
    (
        "MailboxLifo",
        "Requests for one identity go to the head of the mailbox.",
    ),
    (
        "BatchRunsOn",
        "A batch of requests goes on, although the request before has effects that are not carried out yet.",
    ),
    (
        "GrantsIgnored",
        "It is not checked what a connection may do.",
    ),
    (
        "StrangerTakenForPeer",
        "A server synchronizes with whoever says that it is a peer.",
    ),
    (
        "LoopbackTrusted",
        "Whoever connects from the server's own machine is trusted, although the operator has said no.",
    ),
    (
        "LivesShownToAll",
        "The status and the members show anybody which lives the servers are in.",
    ),
    (
        "TickerNotRestarted",
        "A ticker that was stopped never runs again.",
    ),
    (
        "StaleToken",
        "The serial in the id of a connection is not compared, and a slot is not held for late answers.",
    ),
    (
        "EdgeLost",
        "Reading stops after a short read, although the other side has closed and the poll will not report it again.",
    ),
    (
        "RequestLostAtGate",
        "The request after the last one for which there is room is lost.",
    ),
    ("HangupStops", "SIGHUP stops the server."),
    // The places for clients.
    (
        "AddressUnbounded",
        "One address may have as many connections as it wants.",
    ),
    (
        "HolderNotLeft",
        "A connection that is gone still counts for its address.",
    ),
    (
        "TrustedBounded",
        "A trusted address may have no more connections than any other.",
    ),
    (
        "ClosedWithRequest",
        "A client whose request has arrived is closed to make room.",
    ),
    (
        "NewestIdleCloses",
        "The client that has been idle for the shortest time makes room.",
    ),
    (
        "IdleSearchedOnce",
        "Idle clients are searched for once, and never again.",
    ),
    // What others can cause.
    (
        "FloodToldInFull",
        "Every line that others cause is logged, however many there are.",
    ),
    (
        "SavesUnbounded",
        "A new state of a peer is saved each time, however often it changes.",
    ),
    (
        "DroppedLinesUntold",
        "The status does not show how many log lines were dropped.",
    ),
];
