//! A simulated cluster with every fault that we can think of, over many seeds: see docs/testing.md.

#![allow(
    clippy::disallowed_macros,
    reason = "tests print, and one that cannot may fail"
)]

use std::time::Duration;

use ipseity_core::{timer::Timer, words::ErrorCode};
use ipseity_sim::chaos::{
    Options,
    coverage::Heard,
    etcd_plan::FIRST_SEED,
    fault::{Fault, Faults},
    hunt::{Hunt, HuntReport, failure_report, shrink},
    run,
};

/// Seeds of the ordinary run: as many as it has time for.
const SEEDS: u64 = if cfg!(debug_assertions) { 120 } else { 600 };

/// The seeds whose handled entries are counted. The others run without a trace, as most servers do: then requests of
/// one connection are handled in a row.
const TRACED: u64 = 100;

/// Seeds of the ordinary run in which pids live in etcd, and how many of these write traces.
const ETCD_SEEDS: u64 = if cfg!(debug_assertions) { 60 } else { 300 };
const ETCD_TRACED: u64 = 20;

/// The first of these seeds. Only in one of about seventy a raise is what finds that the pid was taken, and these begin with
/// such a one.
const ETCD_FIRST: u64 = FIRST_SEED + 80;

/// Seeds of long runs that have failed once.
const FAILED_ONCE: [u64; 21] = [
    // The goodbye of a life whose claim was being saved was not read.
    299,
    // A claim was confirmed again, although another life had been heard to serve since.
    4_502,
    // How far a claim said that its life had come counted for the one that serves.
    9_031_751,
    // The judge took a goodbye for heard that was sent to a process which was over.
    10_032_347,
    // The judge measured the age of a server too coarsely, and so took its budgets for smaller than they were.
    974_592,
    // The judge missed the rest of a refusal that was lost with its descriptor. Less than it was in the buffers of a slow link.
    202_876,
    // A life in etcd took the claim of a boot that no server can have come to for its successor.
    1_099_511_627_785,
    // A server with a disk remembered a pid that a restored etcd did not know, and was not told what the operator had said.
    1_099_511_627_858,
    // The judge did not know that the answer to a claim can come after the next life has begun.
    1_099_512_000_433,
    // A server in etcd that was fenced saved what it remembered of its peers in each turn until it exited.
    1_099_512_000_480,
    // An operator said after a restore that all pids begin above zero, and that counted as not said.
    1_099_520_000_180,
    // The judge took the answer of a life in etcd for absorbed, although its later life had been heard and it was objected to.
    1_099_511_627_925,
    // A server in etcd forgot the revision that it had seen in a sign of life which came to nothing, and missed a restore.
    1_099_512_002_167,
    // The judge did not know that a peer may still remember a claim of a start that a restored etcd knows nothing of.
    1_099_512_102_521,
    // The judge did not know that the budget for peers is next to nothing after an operator's word, because boots are so high.
    1_099_512_010_256,
    // The judge counted the status of a process that was over, which came by HTTP after an operator's word.
    1_099_600_015_222,
    // A life that found a life before it in a restored etcd said that another server had claimed its pid.
    1_099_600_023_528,
    // What waited for the disk by HTTP was counted as handed out in frames until it was answered.
    1_099_600_024_721,
    // The word of an operator came to an etcd that was restored again since.
    1_099_600_033_006,
    // The judge did not know that a life in etcd may be held back by a left claim while it serves, and be stopped then.
    1_099_600_086_051,
    // The judge counted connections that their client had left, whose places a server had given away already.
    1_099_600_274_559,
];

/// What no seed brings, because there all servers take connections without TLS, their certificates are good, and a run is
/// shorter than the time between two looks at them: `tests/virtual/tls.rs` has them. Nor do they have a supervisor:
/// `tests/virtual/deadlines.rs` has one. And hardly a run lasts for the minute after which a server tells how many log lines
/// it has left out: `tests/virtual/flood.rs` waits for it.
const ELSEWHERE: [&str; 6] = [
    "tlsRequired",
    "tlsNotOffered",
    "certificateRefused",
    "certificatesTimeout",
    "notifyTimeout",
    "tellTimeout",
];

/// The names of the entries of the mailbox, without the timers.
const ENTRIES: [&str; 34] = [
    "acceptable",
    "readable",
    "writable",
    "readableWritable",
    "resolved",
    "signal",
    "unknown",
    "identityRequest",
    "syncRequest",
    "syncReply",
    "errorReply",
    "statusRequest",
    "peerConnected",
    "peerDisconnected",
    "objection",
    "overrule",
    "allAsked",
    "joinTimeout",
    "membersRequest",
    "forgetRequest",
    "advanceRequest",
    "written ceiling",
    "written objection",
    "written members",
    "written stop",
    "writeFailed ceiling",
    "stop",
    "syncTimeout",
    "pageRequest",
    "httpRefused",
    "leased",
    "owners",
    "fenced lease",
    "fenced ceiling",
];

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {text}")),
    )
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn expect_no_failure(found: &HuntReport, options: &Options) {
    if let Some((seed, violation)) = found.failures.first() {
        panic!("\n{}", failure_report(*seed, violation, options));
    }
}

/// Every promise is kept in every seed, and together the seeds cover every fault, every error code and every handler.
#[test]
fn no_seed_breaks_a_promise_and_together_they_exercise_everything() {
    let options = Options::from_environment();
    let one = number("IPSEITY_SEED");
    let hunt = |first, seeds, traced| {
        let found = Hunt {
            first,
            seeds,
            duration: None,
            options: options.clone(),
            traced,
            threads: threads(),
            shows_progress: false,
        }
        .run();
        println!("{}", found.progress());
        expect_no_failure(&found, &options);
        found
    };
    if let Some(one) = one {
        hunt(one, 1, TRACED);
    } else {
        let mut found = hunt(1, SEEDS, TRACED);
        let in_etcd = hunt(ETCD_FIRST, ETCD_SEEDS, ETCD_TRACED);
        assert!(in_etcd.coverage.takeovers > 0, "nobody takes over a pid");
        assert!(in_etcd.coverage.fenced > 0, "nobody is fenced");
        assert!(in_etcd.coverage.breached > 0, "nobody sees a restore");
        found.coverage.add(&in_etcd.coverage);
        let never = never(&found);
        assert!(
            never.is_empty(),
            "these never happened: {}",
            never.join(", ")
        );
    }
}

#[test]
fn no_seed_that_has_failed_once_fails_again() {
    let options = Options::default();
    for seed in FAILED_ONCE {
        if let Some(violation) = run(seed, &options).violation {
            panic!("\n{}", failure_report(seed, &violation, &options));
        }
    }
}

/// The faults, codes, answers by HTTP and entries that never happened.
fn never(found: &HuntReport) -> Vec<String> {
    let coverage = &found.coverage;
    let faults = Fault::ALL.iter().zip(&coverage.faults);
    let codes = ErrorCode::ALL.iter().zip(&coverage.codes);
    let timers = Timer::ALL.iter().map(|timer| timer.name());
    let entries = ENTRIES.into_iter().chain(timers);
    let mut never: Vec<String> = Vec::new();
    never.extend(
        faults
            .filter(|(_, count)| **count == 0)
            .map(|(fault, _)| format!("{fault:?}")),
    );
    never.extend(
        codes
            .filter(|(_, count)| **count == 0)
            .map(|(code, _)| code.name().to_owned()),
    );
    let heard = Heard::ALL.iter().zip(&coverage.heard);
    never.extend(
        heard
            .filter(|(_, count)| **count == 0)
            .map(|(heard, _)| format!("{heard:?} by HTTP")),
    );
    never.extend(
        entries
            .filter(|name| !coverage.entries.contains_key(*name))
            .map(str::to_owned),
    );
    never.retain(|name| !ELSEWHERE.contains(&name.as_str()));
    never
}

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte() {
    let options = Options {
        trace: true,
        ..Options::default()
    };
    for seed in 1..=5 {
        let (one, other) = (run(seed, &options), run(seed, &options));
        assert!(one.traces == other.traces, "seed {seed}");
        assert_eq!(one.digest, other.digest, "seed {seed}");
        // A trace changes nothing.
        assert_eq!(
            one.digest,
            run(seed, &Options::default()).digest,
            "seed {seed}"
        );
    }
    assert_ne!(run(1, &options).digest, run(2, &options).digest);
}

/// The judge can find something: on disks that forget what they have acknowledged, uniqueness must break.
#[test]
fn lying_disks_are_found_out_and_the_seed_is_shrunk() {
    let options = Options {
        disks_lie: true,
        ..Options::default()
    };
    let found = Hunt {
        first: 1,
        seeds: 200,
        duration: None,
        options: options.clone(),
        traced: 0,
        threads: 1,
        shows_progress: false,
    }
    .run();
    let (seed, violation) = found.failures.first().expect("a promise is broken");
    let (smallest, outcome) = shrink(*seed, &options);
    assert!(outcome.violation.is_some());
    // A power loss is enough. A fault or two that happen to be there may be left.
    assert!(outcome.faults.iter().count() <= 3, "{:?}", outcome.faults);
    assert!(smallest.faults != Faults::ALL);
    let text = failure_report(*seed, violation, &options);
    assert!(text.contains(&format!("IPSEITY_SEED={seed}")), "{text}");
    assert!(text.contains("the last of server 0:"), "{text}");
}

/// As many seeds as `IPSEITY_SEEDS` says, or for as long as `IPSEITY_DURATION` says (`10min`), from `IPSEITY_SEED`
/// on.
#[test]
#[ignore = "takes as long as it is told to"]
fn no_seed_of_a_long_run_breaks_a_promise() {
    let options = Options::from_environment();
    let duration = std::env::var("IPSEITY_DURATION").ok().map(|text| {
        let wrong = |error| panic!("IPSEITY_DURATION is a duration as 10min, not {text}: {error}");
        humantime::parse_duration(&text).unwrap_or_else(wrong)
    });
    let seeds =
        number("IPSEITY_SEEDS").unwrap_or(if duration.is_some() { u64::MAX } else { 20_000 });
    let found = Hunt {
        first: number("IPSEITY_SEED").unwrap_or(1),
        seeds,
        duration,
        options: options.clone(),
        traced: 0,
        threads: threads(),
        shows_progress: true,
    }
    .run();
    println!("{}", found.progress());
    println!("{:#?}", Table(&found));
    expect_no_failure(&found, &options);
    assert!(found.simulated > Duration::ZERO);
}

/// The coverage, as a table for people.
struct Table<'a>(&'a HuntReport);

impl std::fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let coverage = &self.0.coverage;
        let faults = Fault::ALL.iter().map(|fault| format!("{fault:?}"));
        let codes = ErrorCode::ALL.iter().map(|code| code.name().to_owned());
        f.debug_map()
            .entries(faults.zip(&coverage.faults))
            .entries(codes.zip(&coverage.codes))
            .entries(
                Heard::ALL
                    .iter()
                    .map(|heard| format!("{heard:?} by HTTP"))
                    .zip(&coverage.heard),
            )
            .entry(&"lives", &coverage.lives)
            .entry(&"replies", &coverage.replies)
            .entry(&"turns", &coverage.turns)
            .entry(&"what became of mistakes", &coverage.breaches)
            .entry(&"identities repeated after a breach", &coverage.repeats)
            .finish()
    }
}
