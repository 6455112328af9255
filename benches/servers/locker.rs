//! The real actor under a mutex: whoever has an event handles it.

use std::sync::{Mutex, PoisonError};

use ipseity::{
    actor::{Actor, ConnectionId, Count, Effect, Event},
    time::Instant,
    wire::encode,
};

use super::{Request, actor, threads::Service};

/// The actor, and the buffer for its effects.
#[derive(Debug)]
pub struct Locker(Mutex<(Actor, Vec<Effect>)>);

impl Locker {
    /// One that has handed out nothing.
    pub fn new() -> Locker {
        Locker(Mutex::new((actor(), Vec::new())))
    }
}

impl Service for Locker {
    type Session = ConnectionId;

    fn open(&self, serial: u32) -> ConnectionId {
        ConnectionId::from_u32(serial)
    }

    fn take(&self, from: &mut ConnectionId, request: Request, out: &mut Vec<u8>) {
        let event = Event::IdentityRequest {
            from: *from,
            count: Count::saturating(request.count),
            after: request.after,
        };
        let mut guarded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (actor, effects) = &mut *guarded;
        // Time fills the budget for `after`, which no measurement here draws on.
        actor.handle(event, Instant::START, effects);
        for effect in effects.drain(..) {
            if let Effect::Reply { message, .. } = effect {
                encode(&message, out);
            }
        }
    }
}
