//! The bugs that the simulation has to find: what stands in `// bug` directives of the code, and what the program
//! then does wrong.
//!
//! A directive is a comment, so no ordinary build has a bug. `cargo run -p xtask -- hunt` makes a copy of the tree
//! in which they are real; see docs/testing.md, "Planted bugs".

/// The name of each, and what the program does wrong.
pub const BUGS: &[(&str, &str)] = &[
    // The state file.
    (
        "ResumeBelowCeiling",
        "A start begins at the sequence that the newest record notes, not above its ceiling.",
    ),
    (
        "ServeEarlierBoot",
        "A start writes nothing, and serves under the ceiling of an earlier boot.",
    ),
    ("BootNotRaised", "A start does not count the boot."),
    (
        "CleanStopTrusted",
        "A start believes the exact sequence of a clean stop, although a later boot has written since.",
    ),
    (
        "CleanFlagKept",
        "A start leaves the flag of a clean stop set, and the next one believes it.",
    ),
    (
        "NoChecksum",
        "A block is believed whatever its checksum says.",
    ),
    (
        "SingleSlot",
        "Every generation overwrites the one before it, in one and the same block.",
    ),
    ("OneCopy", "Only one copy of a generation is written."),
    (
        "GenerationWraps",
        "Generations are compared by their lowest four bits.",
    ),
    (
        "LostPairNotSkipped",
        "A start does not skip although both blocks that could hold the newest generation are bad.",
    ),
    (
        "FailedSyncIgnored",
        "A write or sync that failed counts as done.",
    ),
    (
        "StartReadsCache",
        "A start reads what was written, not what is durable. A simulated device has to do the same.",
    ),
    (
        "ForeignRecordIgnored",
        "A server does not look whether somebody else has written its state file.",
    ),
    // The counter and its ceiling.
    (
        "ReplyBeforeDurable",
        "A reply leaves before the ceiling that covers it is durable.",
    ),
    (
        "AbsorptionBypassesCeiling",
        "What a peer raised the sequence to is handed out above the ceiling.",
    ),
    (
        "AdvanceMovesAll",
        "An advance above the ceiling moves the counter at once, and all others wait for it.",
    ),
    (
        "HeardForgotten",
        "What a peer has said above the ceiling is not absorbed when that is durable.",
    ),
    (
        "RequestOvertakesAdvance",
        "What a client asks behind an advance that waits is decided before it.",
    ),
    (
        "BudgetRefilled",
        "Every start begins with the whole burst for clients.",
    ),
    (
        "LateWriteUntold",
        "A write that takes long is told to nobody.",
    ),
    (
        "AfterIgnored",
        "The `after` of a request counts for nothing.",
    ),
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
    ("EndWraps", "Behind the last sequence comes the first."),
    (
        "ServesWhileStopping",
        "A server goes on handing out while the exact sequence of its stop is made durable.",
    ),
    (
        "ReplyOvertakes",
        "An answer that waits for nothing overtakes those of its connection that wait for the disk.",
    ),
    (
        "ErrorCloses",
        "A request that cannot be served closes its connection.",
    ),
    // The peers.
    (
        "SyncAssigns",
        "The sequence of a peer replaces that of the server, the larger one too.",
    ),
    (
        "SyncTakesSmaller",
        "Of a peer's sequence and that of the server the smaller one is taken.",
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
        "ConflictUnseen",
        "Two live servers of one pid are not noticed.",
    ),
    (
        "RestartTakenForConflict",
        "A restart is taken for two live servers.",
    ),
    (
        "RollbackUnseen",
        "A state that is older than the one that is remembered is not noticed.",
    ),
    (
        "ConflictForgotten",
        "A restart takes a conflict for a state that is not the newest.",
    ),
    (
        "ObjectionNotDurable",
        "An objection is forgotten when the server is restarted.",
    ),
    // The loop and its connections.
    (
        "MailboxLifo",
        "Requests for one identity go to the head of the mailbox.",
    ),
    (
        "BatchRunsOn",
        "Requests of a batch are handled although the one before them has effects that are not carried out.",
    ),
    (
        "GrantsIgnored",
        "What a connection may do is not looked at.",
    ),
    (
        "TickerNotRestarted",
        "A ticker that was stopped does not run again.",
    ),
    (
        "StaleToken",
        "The serial in a connection's id is not looked at, and a slot is not held for late answers.",
    ),
    (
        "ReserveNotLeft",
        "A connection that leaves the reserve stays in its list, and whoever has its name later is turned away for it.",
    ),
    (
        "EdgeLost",
        "Reading stops after a short read, although the other side has closed and no edge comes any more.",
    ),
    (
        "FullReadLost",
        "What follows a full read that ended in a peer's word is read when the peer speaks again.",
    ),
    (
        "RequestLostAtGate",
        "The request behind the last one for which there is room is lost.",
    ),
    (
        "HangupStops",
        "A request to open files anew is taken for one to stop.",
    ),
    // What others can cause.
    (
        "FloodToldInFull",
        "Every line that others cause is logged, however many there are.",
    ),
    (
        "SavesUnbounded",
        "Who a peer is, is saved as often as peers say that it has changed.",
    ),
    (
        "DroppedLinesUntold",
        "A status does not tell of log lines that were dropped.",
    ),
];
