//! The proof that the simulation catches bugs: it finds every bug that is planted in the code.
//!
//! No ordinary build has the bugs or this test. `cargo run -p xtask -- hunt` makes a copy of the tree that has both.
//! There the crate `bugs` switches them on.

#![cfg(planted)]

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use ipseity_sim::chaos::{
    Options,
    bugs::{BUGS, RARE},
    run,
};

/// A bug that is not found in this many seeds has escaped.
const SEEDS_MAX: u64 = 20_000;

/// The places in the table of the bugs that are hunted: all, or the one that `IPSEITY_BUG` names. The rare ones are left to
/// a hunt that says how many seeds it takes.
fn hunted() -> Vec<usize> {
    let named = std::env::var("IPSEITY_BUG").ok();
    let is_long = std::env::var_os("IPSEITY_SEEDS").is_some();
    let is_hunted = |place: &usize| {
        let bug = BUGS[*place].0;
        let is_due = is_long || !RARE.contains(&bug);
        named.as_deref().map_or(is_due, |name| name == bug)
    };
    let hunted: Vec<usize> = (0..BUGS.len()).filter(is_hunted).collect();
    assert!(
        !hunted.is_empty(),
        "{named:?} is not in crates/sim/src/chaos/bugs.rs"
    );
    hunted
}

/// The first seed that finds a bug, and the broken promise.
fn hunt(name: &'static str) -> Option<(u64, String)> {
    bugs::choose(Some(name));
    let seeds = std::env::var("IPSEITY_SEEDS").map_or(SEEDS_MAX, |seeds| seeds.parse().unwrap());
    let found =
        (1..=seeds).find_map(|seed| Some((seed, run(seed, &Options::default()).violation?)));
    bugs::choose(None);
    found
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
                    let found = hunt(BUGS[*place].0);
                    rows.lock().unwrap().push((*place, found));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort();
    println!("| bug | what the program does wrong | seeds | what broke |");
    println!("| --- | --- | --- | --- |");
    let mut escaped = Vec::new();
    for (place, found) in &rows {
        let (name, wrong) = BUGS[*place];
        let (seeds, violation) = match found {
            Some((seed, violation)) => (seed.to_string(), violation.as_str()),
            None => ("never".to_owned(), ""),
        };
        println!("| `{name}` | {wrong} | {seeds} | {violation} |");
        if found.is_none() {
            escaped.push(name);
        }
    }
    assert!(escaped.is_empty(), "not found: {escaped:?}");
}
