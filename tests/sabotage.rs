//! The proof that the simulation catches bugs: every bug that can be switched on is found by it.
//!
//! The switches are in no ordinary build, and this file neither:
//! `RUSTFLAGS="--cfg sabotage" cargo test --release --test sabotage -- --nocapture`

#![cfg(sabotage)]
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use ipseity_core::sabotage::{Sabotage, choose};
use ipseity_sim::chaos::{Options, run};

/// A bug that is not found in so many seeds has got away.
const SEEDS_MAX: u64 = 20_000;

/// `IPSEITY_SABOTAGE` names one, and then only that is hunted.
fn hunted() -> Vec<Sabotage> {
    let named = std::env::var("IPSEITY_SABOTAGE").ok();
    let is_hunted = |one: &Sabotage| named.as_deref().is_none_or(|name| name == one.name());
    Sabotage::ALL.iter().copied().filter(is_hunted).collect()
}

/// The first seed that finds a bug, and what it says.
fn hunt(bug: Sabotage) -> Option<(u64, String)> {
    choose(Some(bug));
    let seeds = std::env::var("IPSEITY_SEEDS").map_or(SEEDS_MAX, |seeds| seeds.parse().unwrap());
    let found =
        (1..=seeds).find_map(|seed| Some((seed, run(seed, &Options::default()).violation?)));
    choose(None);
    found
}

#[test]
fn every_bug_is_found() {
    let bugs = hunted();
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = hunt(*bug);
                    rows.lock().unwrap().push((*bug, found));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by_key(|(bug, _)| *bug as usize);
    println!("| bug | what the program does wrong | seeds | what broke |");
    println!("| --- | --- | --- | --- |");
    for (bug, found) in &rows {
        let (seeds, violation) = match found {
            Some((seed, violation)) => (seed.to_string(), violation.as_str()),
            None => ("never".to_owned(), ""),
        };
        println!(
            "| `{}` | {} | {seeds} | {violation} |",
            bug.name(),
            bug.description()
        );
    }
    let escaped = rows.iter().filter(|(_, found)| found.is_none());
    let escaped: Vec<_> = escaped.map(|(bug, _)| bug.name()).collect();
    assert!(escaped.is_empty(), "not found: {escaped:?}");
}
