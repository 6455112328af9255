//! The proof that the simulation catches bugs: it finds every bug that is planted in the code.
//!
//! No ordinary build has the bugs or this test. `cargo run -p xtask -- hunt` makes a copy of the tree that has both.
//! There the crate `bugs` switches them on.

#![cfg(planted)]

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use ipseity_sim::{
    chaos::{
        Options,
        bugs::{BUGS, Bug, OF_ETCD, OF_PIDS, RARE},
        etcd_plan::FIRST_SEED,
        run,
    },
    etcd::workers,
};

/// A bug that is not found in this many seeds has escaped.
const SEEDS_MAX: u64 = 20_000;

/// The places in the table of the bugs that are hunted: all, or the one that `IPSEITY_BUG` names.
fn hunted() -> Vec<usize> {
    let named = std::env::var("IPSEITY_BUG").ok();
    let is_hunted = |place: &usize| {
        named
            .as_deref()
            .is_none_or(|name| name == BUGS[*place].name)
    };
    let hunted: Vec<usize> = (0..BUGS.len()).filter(is_hunted).collect();
    assert!(
        !hunted.is_empty(),
        "{named:?} is not in crates/sim/src/chaos/bugs.rs"
    );
    hunted
}

/// Whether a bug is hunted whatever it takes. A rare one whose seed does not find it any more is left to a hunt that says
/// how many seeds it takes, or that names it.
fn is_hunted_long(bug: &Bug) -> bool {
    let is_told = |name| std::env::var_os(name).is_some();
    is_told("IPSEITY_SEEDS") || is_told("IPSEITY_BUG") || !RARE.contains(&bug.name)
}

/// A seed that finds a bug, and the broken promise.
fn hunt(bug: &Bug) -> Option<(u64, String)> {
    bugs::choose(Some(bug.name));
    let seeds = std::env::var("IPSEITY_SEEDS").map_or(SEEDS_MAX, |seeds| seeds.parse().unwrap());
    let before = match OF_ETCD.contains(&bug.name) {
        true => FIRST_SEED - 1,
        false => 0,
    };
    let others = match is_hunted_long(bug) {
        true => before + 1..=before + seeds,
        false => 1..=0,
    };
    let found = std::iter::once(bug.seed)
        .chain(others)
        .find_map(|seed| Some((seed, violation(bug, seed)?)));
    bugs::choose(None);
    found
}

/// What a run of this seed breaks.
fn violation(bug: &Bug, seed: u64) -> Option<String> {
    match OF_PIDS.contains(&bug.name) {
        true => workers::run(seed).violation,
        false => run(seed, &Options::default()).violation,
    }
}

#[test]
fn every_bug_is_found() {
    let places = hunted();
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(place) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = hunt(&BUGS[*place]);
                    rows.lock().unwrap().push((*place, found));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort();
    println!("| bug | what the program does wrong | seed | what broke |");
    println!("| --- | --- | --- | --- |");
    let mut escaped = Vec::new();
    for (place, found) in &rows {
        let bug = &BUGS[*place];
        let (seed, violation) = match found {
            Some((seed, violation)) => (seed.to_string(), violation.as_str()),
            None if is_hunted_long(bug) => {
                escaped.push(bug.name);
                ("never".to_owned(), "")
            }
            None => ("left to a long hunt".to_owned(), ""),
        };
        println!("| `{}` | {} | {seed} | {violation} |", bug.name, bug.wrong);
    }
    assert!(escaped.is_empty(), "not found: {escaped:?}");
}
