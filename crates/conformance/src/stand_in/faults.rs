//! The faults that a stand-in can have, and what must find each of them.

use std::{env, sync::LazyLock};

/// The variable that names the fault of a stand-in.
pub const VARIABLE: &str = "IPSEITY_STAND_IN_FAULT";

/// Each fault, and the rows of the table that must find it.
pub const FAULTS: &[(&str, &[&str])] = &[
    ("reads-blanks", &["vectors-identities"]),
    ("reads-hyphens", &["vectors-identities"]),
    ("reads-any-scheme", &["vectors-addresses"]),
    ("decodes-anything", &["vectors-malformed"]),
    ("encodes-little", &["vectors-frames"]),
    ("mixes-codes", &["vectors-codes"]),
    ("never-checks-count", &["check-count", "check-count-zero"]),
    (
        "never-checks-after",
        &["check-not-after", "check-less", "after-over-servers"],
    ),
    ("never-checks-order", &["check-pipelined-order"]),
    (
        "never-checks-range",
        &["check-sequence-zero", "check-beyond", "check-bit-63"],
    ),
    (
        "never-checks-pid",
        &[
            "check-pid-changes",
            "check-pid-not-of-hello",
            "source-wrong-pid",
        ],
    ),
    (
        "never-checks-cluster",
        &["cluster-wrong-by-hello", "cluster-any-byte"],
    ),
    (
        "says-no-hello",
        &["cluster-right", "cluster-wrong", "source-first-refill"],
    ),
    ("takes-unasked", &["check-unasked"]),
    (
        "forgets-after",
        &["after-carried", "observe", "failover-carries-after"],
    ),
    ("forgets-observed", &["observe", "source-observe"]),
    (
        "goes-elsewhere-always",
        &[
            "refused-33-advanceTooLarge",
            "refused-44-unknown",
            "refused-70-heldByAnother",
        ],
    ),
    (
        "goes-elsewhere-never",
        &["elsewhere-36-stopping", "elsewhere-39-overBudget", "full"],
    ),
    (
        "goes-elsewhere-after-violation",
        &["check-http", "check-kind"],
    ),
    ("goes-back", &["sticks-after-failover"]),
    ("avoids-nobody", &["failover-frozen-avoided"]),
    ("tries-first-address", &["name-closed", "name-frozen"]),
    ("shares-time-of-addresses", &["name-frozen"]),
    ("hurries-no-address", &["name-frozen-many"]),
    ("avoids-for-ever", &["comes-back", "avoided-comes-last"]),
    ("avoids-as-short", &["avoided-grows"]),
    ("asks-without-bound", &["under-way-bounded"]),
    ("shares-with-child", &["fork", "source-fork"]),
    ("tries-one-round", &["retry-rounds", "unavailable-nobody"]),
    ("waits-in-vain", &["no-wait-exhausted", "no-wait-mixed"]),
    ("connects-in-call-time", &["connecting-outlives-call"]),
    ("never-ends", &["unavailable-nobody", "unavailable-silent"]),
    ("waits-for-each-byte", &["failover-drip"]),
    ("waits-for-no-reply", &["slow-reply"]),
    ("fails-after-idle", &["idle-closed", "idle-half-closed"]),
    ("tries-idle-for-ever", &["idle-closed-twice"]),
    ("uses-idle-for-ever", &["idle-max"]),
    ("connects-each-time", &["next", "concurrent"]),
    (
        "shifts-replies",
        &["cancelled-does-not-shift", "cancelled-first"],
    ),
    ("asks-one-at-a-time", &["pipelined"]),
    ("reads-whole-packets", &["split-reply", "byte-by-byte"]),
    ("serves-when-closed", &["close", "source-close"]),
    ("closes-late", &["close-ends-calls"]),
    (
        "names-no-server",
        &["refused-33-advanceTooLarge", "check-count"],
    ),
    (
        "says-it-differently",
        &[
            "configuration-no-servers",
            "configuration-call-timeout",
            "vectors-addresses",
            "unavailable-nobody",
            "refused-32-badCount",
            "cluster-wrong",
            "check-count",
            "close",
        ],
    ),
    (
        "says-not-what-to-do",
        &[
            "configuration-no-servers",
            "unavailable-nobody",
            "refused-33-advanceTooLarge",
            "refused-41-notTrusted",
            "refused-1-unknownKind",
            "cluster-wrong-by-hello",
            "check-count",
            "source-close",
        ],
    ),
    ("lists-one-failure", &["unavailable-nobody"]),
    ("says-no-reason", &["unavailable-says-why"]),
    ("counts-wrong", &["counters"]),
    (
        "calls-no-hook",
        &["counters", "counters-failover", "source-hooks"],
    ),
    (
        "takes-zero-times",
        &["configuration-call-timeout", "configuration-idle-max"],
    ),
    ("source-never-grows", &["source-grows"]),
    ("source-always-grows", &["source-does-not-grow"]),
    ("source-never-shrinks", &["source-shrinks"]),
    ("source-grows-threefold", &["source-doubles"]),
    (
        "source-grows-late",
        &["source-slow-refill", "source-does-not-grow"],
    ),
    ("source-counts-from-end", &["source-slow-refill"]),
    ("source-counts-failed", &["source-failed-is-no-demand"]),
    ("source-counts-dropped", &["source-dropped-is-no-demand"]),
    ("source-asks-one-at-a-time", &["source-pipelines"]),
    ("source-refills-late", &["source-refill-ahead"]),
    ("source-ignores-count-max", &["source-count-max"]),
    ("source-ignores-block-max", &["source-block-max"]),
    ("source-keeps-old", &["source-age"]),
    (
        "source-keeps-pid",
        &["source-pidConflict", "source-staleState"],
    ),
    ("source-drops-all", &["source-other-error-drops-nothing"]),
    (
        "source-keeps-observed",
        &["source-observe", "source-observe-in-block"],
    ),
    ("source-fails-for-all", &["source-failing-refill"]),
    ("hands-out-twice", &["next", "load-client"]),
    ("hands-out-backwards", &["load-client"]),
    ("gets-stuck", &["load-client"]),
    ("never-exits", &["end"]),
    ("writes-no-json", &["next"]),
    ("crashes", &["next"]),
];

static FAULT: LazyLock<String> = LazyLock::new(|| env::var(VARIABLE).unwrap_or_default());

/// Whether this stand-in has this fault.
pub(super) fn has(fault: &str) -> bool {
    debug_assert!(FAULTS.iter().any(|(known, _)| *known == fault), "{fault}");
    *FAULT == fault
}
