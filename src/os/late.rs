//! Says so when a call waits for a disk that hangs, where no loop can say it: at the start, or on a helper thread.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
};

use ipseity_core::time::Instant;
use log::warn;

use super::clock::Clock;
use crate::limits::{LINES_SPAN, START_LATE};

/// Does `work`, which waits for a disk. If that takes long, a thread says so, and again when it is over. `what` is the
/// work in words, and `meanwhile` is what follows from the wait.
pub fn tell_if_late<T>(what: &str, meanwhile: &'static str, work: impl FnOnce() -> T) -> T {
    let (working, over) = mpsc::channel();
    let name = what.to_owned();
    let watcher = thread::Builder::new()
        .name("ipseity-late".to_owned())
        .spawn(move || watch(&name, meanwhile, &over));
    let done = work();
    drop(working);
    // Without a thread nobody says anything, and the start goes on all the same. A panic there changes nothing either.
    if let Ok(watcher) = watcher {
        let _ = watcher.join();
    }
    done
}

/// Waits until the other end of `over` is dropped.
fn watch(what: &str, meanwhile: &str, over: &mpsc::Receiver<()>) {
    let clock = Clock::begin();
    let took = || clock.now().since(Instant::START);
    let mut wait = START_LATE;
    let mut is_told = false;
    while over.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        warn!(
            event = "diskLate";
            "still waiting for the disk: {what} has taken {} s so far, and {meanwhile}",
            took().as_secs()
        );
        is_told = true;
        wait = LINES_SPAN;
    }
    if is_told {
        warn!(
            event = "diskAnswered";
            "the disk has answered: {what} took {} ms",
            took().as_millis()
        );
    }
}
