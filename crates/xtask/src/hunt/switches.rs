//! The switches of the planted bugs. At most one is on, for a thread or for a whole process.
//!
//! This file is the crate `bugs` in the copy that `cargo run -p xtask -- hunt` makes; no ordinary build has it.
//! Each thread makes its own choice, so that tests can run side by side. `IPSEITY_BUG=AfterIgnored` in the
//! environment chooses for every thread of a process from its start, for tests that run real servers.

use std::{cell::Cell, sync::LazyLock};

static FROM_ENVIRONMENT: LazyLock<Option<&'static str>> =
    LazyLock::new(|| Some(&*std::env::var("IPSEITY_BUG").ok()?.leak()));

thread_local! {
    static CHOSEN: Cell<Option<&'static str>> = Cell::new(*FROM_ENVIRONMENT);
}

/// Whether this bug is on in this thread.
#[inline]
pub fn is(name: &str) -> bool {
    CHOSEN.get() == Some(name)
}

/// Turns one bug on for this thread, or all off.
pub fn choose(name: Option<&'static str>) {
    CHOSEN.set(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_counts_for_one_bug_and_one_thread() {
        choose(Some("EdgeLost"));
        assert!(is("EdgeLost"));
        assert!(!is("EdgeLos"));
        assert!(!is("AfterIgnored"));
        let elsewhere = std::thread::spawn(|| CHOSEN.get());
        assert_eq!(elsewhere.join().expect("no panic"), *FROM_ENVIRONMENT);
        choose(None);
        assert!(!is("EdgeLost"));
    }
}
