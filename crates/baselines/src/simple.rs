//! A number under a mutex.

use std::sync::{Mutex, PoisonError};

use super::{Reply, Request, raised, threads::Service};

/// The highest sequence handed out.
#[derive(Debug, Default)]
pub struct Simple(Mutex<u64>);

impl Service for Simple {
    type Session = ();

    fn open(&self, _serial: u32) {}

    fn take(&self, (): &mut (), request: Request, out: &mut Vec<u8>) {
        let mut sequence = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = match raised(*sequence, request) {
            Ok(before) => {
                *sequence = before + u64::from(request.count);
                Reply::after(before, request.count)
            }
            Err(error) => error,
        };
        drop(sequence);
        reply.encode(out);
    }
}
