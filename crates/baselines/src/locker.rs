//! The real actor under a mutex: each thread handles its own events.

use std::sync::{Mutex, PoisonError};

use ipseity_core::{
    actor::{Actor, Effect, Event, Outbox},
    identity::Identity,
    ids::{ConnectionId, Count},
    time::Instant,
};
use ipseity_frames::encode_identities;

use super::{Reply, Request, actor, threads::Service};

/// The actor, and the buffer for its effects.
#[derive(Debug)]
pub struct Locker(Mutex<(Actor, Vec<Effect>)>);

impl Locker {
    /// An actor that has handed out nothing.
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
        // Time would only fill the budget for `after`, and no measurement here uses that.
        actor.handle(event, Instant::START, &mut Direct { out, effects });
        for (_, reply) in effects.drain(..).filter_map(Reply::of) {
            reply.encode(out);
        }
    }
}

/// Writes the usual reply directly, as the real server does. Other effects go into the list.
struct Direct<'a> {
    out: &'a mut Vec<u8>,
    effects: &'a mut Vec<Effect>,
}

impl Outbox for Direct<'_> {
    fn reply_identities(&mut self, _to: ConnectionId, first: Identity, count: u32) {
        encode_identities(first, count, self.out);
    }

    fn list(&mut self) -> &mut Vec<Effect> {
        self.effects
    }
}
