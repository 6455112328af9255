//! The kit itself: a client that keeps all rules passes, and each way to break one is found by the scenario that is
//! for it.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{LazyLock, Mutex},
    thread,
    time::Duration,
};

use ipseity_conformance::{
    clients::Client,
    exam, load,
    perform::Outcome,
    run::{Plan, run, vectors_row},
    scenario::{self, Scenario},
    stand_in::faults::{FAULTS, VARIABLE},
    table::Table,
};

/// How many faults are looked for at a time. They wait more than they compute.
const AT_ONCE: usize = 24;

/// They are read once, as every fault looks for some of them.
static SCENARIOS: LazyLock<Vec<Scenario>> = LazyLock::new(|| scenario::all().unwrap());

/// The stand-in with this fault, or with none.
fn stand_in(fault: &str) -> Client {
    Client {
        name: "stand-in".to_owned(),
        needs: Vec::new(),
        build: Vec::new(),
        run: vec![env!("CARGO_BIN_EXE_ipseity-stand-in").to_owned()],
        env: BTreeMap::from([(VARIABLE.to_owned(), fault.to_owned())]),
        directory: PathBuf::from("."),
    }
}

/// What comes of these rows for the stand-in with this fault.
fn rows(fault: &str, is_meant: impl Fn(&str) -> bool, jobs: usize) -> Table {
    run(&Plan {
        clients: vec![stand_in(fault)],
        scenarios: SCENARIOS
            .iter()
            .filter(|scenario| is_meant(&scenario.name))
            .cloned()
            .collect(),
        vectors: exam::FILES
            .into_iter()
            .filter(|file| is_meant(&vectors_row(file)))
            .collect(),
        loads: load::Kind::ALL
            .into_iter()
            .filter(|kind| is_meant(&kind.row()))
            .collect(),
        load_times: load::Times {
            time: Duration::ZERO,
            // Only the one that gets stuck on purpose waits for so long.
            patience: Duration::from_secs(if fault.is_empty() { 30 } else { 5 }),
        },
        jobs,
        builds: false,
        tells: false,
    })
}

#[test]
fn a_client_that_keeps_the_rules_passes() {
    let table = rows("", |_| true, AT_ONCE);
    assert!(!table.has_failed(), "{}", table.summary());
    let passed = SCENARIOS.iter().filter(|scenario| {
        let cell = table.cell("stand-in", &scenario.name).unwrap();
        matches!(cell.outcome, Outcome::Passed | Outcome::Skipped(_))
    });
    let without_tls = SCENARIOS
        .iter()
        .filter(|scenario| !scenario.name.contains("tls"));
    assert!(
        passed.count() >= without_tls.count() - 5,
        "{}",
        table.summary()
    );
}

#[test]
fn every_broken_rule_is_found() {
    let queue = Mutex::new(FAULTS.iter());
    let missed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((fault, finders)) = queue.lock().unwrap().next() else {
                        break;
                    };
                    // Whether an adapter ends is only seen after something else.
                    let is_meant = |row: &str| {
                        finders.contains(&row) || (*finders == ["end"] && row == "next")
                    };
                    let table = rows(fault, is_meant, finders.len());
                    for finder in *finders {
                        let cell = table.cell("stand-in", finder);
                        // What this machine cannot try finds nothing.
                        let is_found = cell.is_some_and(|cell| {
                            matches!(cell.outcome, Outcome::Failed(_) | Outcome::Skipped(_))
                        });
                        if !is_found {
                            missed
                                .lock()
                                .unwrap()
                                .push(format!("{fault}, by {finder}: {cell:?}"));
                        }
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(
        missed.is_empty(),
        "these were not found:\n{}",
        missed.join("\n")
    );
}
