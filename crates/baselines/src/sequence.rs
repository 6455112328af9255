//! A counter object that locks itself: each of its methods is one step under the lock.

use std::sync::{Mutex, PoisonError};

use super::{Reply, Request, raised, threads::Service};

/// The counter of the essay: it is raised to the sequences of others, and gives the next numbers.
#[derive(Debug, Default)]
struct Counter(Mutex<u64>);

impl Counter {
    /// Raises it to `sequence`, if that is higher.
    fn update(&self, sequence: u64) {
        let mut value = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *value = sequence.max(*value);
    }

    /// Moves it on by `count`, and returns where it was.
    fn next(&self, count: u32) -> u64 {
        let mut value = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *value;
        *value += u64::from(count);
        before
    }
}

/// A service around a counter that locks itself.
#[derive(Debug, Default)]
pub struct Sequenced(Counter);

impl Service for Sequenced {
    type Session = ();

    fn open(&self, _serial: u32) {}

    fn take(&self, (): &mut (), request: Request, out: &mut Vec<u8>) {
        let reply = match raised(0, request) {
            Ok(after) => {
                if after > 0 {
                    self.0.update(after);
                }
                Reply::after(self.0.next(request.count), request.count)
            }
            Err(error) => error,
        };
        reply.encode(out);
    }
}
