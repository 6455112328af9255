//! Whether a client is closed, for threads that ask and threads that pause until it is.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

#[derive(Debug, Default)]
pub(crate) struct Closed {
    is_closed: Mutex<bool>,
    news: Condvar,
}

impl Closed {
    pub(crate) fn close(&self) {
        *self.lock() = true;
        self.news.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.lock()
    }

    /// Waits for this long, or until the client is closed. Returns whether it is.
    pub(crate) fn wait(&self, pause: Duration) -> bool {
        let waited = self
            .news
            .wait_timeout_while(self.lock(), pause, |is_closed| !*is_closed);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    // Nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_closed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
