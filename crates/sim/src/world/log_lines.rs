//! The log lines that the servers on this thread write: counted, and kept where a test wants to read them.

use std::{
    cell::{Cell, RefCell},
    sync::Once,
};

use log::{Level, LevelFilter, Log, Metadata, Record};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static KEPT: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

struct Listener;

impl Log for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            COUNT.set(COUNT.get() + 1);
            let line = record.args().to_string();
            KEPT.with_borrow_mut(|kept| kept.as_mut().map(|kept| kept.push(line)));
        }
    }

    fn flush(&self) {}
}

/// How many lines this thread has written since the first call in this process.
pub fn count_log_lines() -> u64 {
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| {
        log::set_logger(&Listener).expect("there is no other logger in a simulation");
        log::set_max_level(LevelFilter::Info);
    });
    COUNT.get()
}

/// Begins to keep the lines of this thread, for [`take_log_lines`].
pub fn keep_log_lines() {
    count_log_lines();
    KEPT.set(Some(Vec::new()));
}

/// The lines of this thread since the last call, or since [`keep_log_lines`].
pub fn take_log_lines() -> Vec<String> {
    KEPT.with_borrow_mut(|kept| kept.as_mut().map(std::mem::take))
        .expect("the lines are kept")
}
