//! Answering identityRequests, which nearly every event is: those of one connection that stand one behind the other
//! are handled in one go.

use std::ops::ControlFlow;

use ipseity_core::{
    actor::{Effect, Event, Outbox},
    identity::Identity,
    ids::{ConnectionId, Count},
};

use super::{Server, watching::Watched};
use crate::{codec::Replies, edge::Edge};

impl<E: Edge> Server<E> {
    /// Handles an identityRequest, and those of the same connection that stand behind it, `most` in all: each for
    /// itself and to its end, but the connection is looked up once for all. Returns how many.
    #[inline(always)]
    pub(super) fn on_identity_requests(
        &mut self,
        from: ConnectionId,
        count: Count,
        after: u64,
        most: usize,
    ) -> usize {
        let Self {
            actor,
            transport,
            mailbox,
            effects,
            watch,
            now,
            ..
        } = self;
        let most = most.min(watch.batch_max());
        let mut handled = 1;
        transport.answer(from, |replies| {
            let mut outlet = Outlet { replies, effects };
            let first = Event::IdentityRequest { from, count, after };
            actor.handle(first, *now, &mut Watched(&mut outlet, watch));
            if most > 1 && outlet.effects.is_empty() {
                handled += mailbox.take_identity_requests(from, most - 1, |count, after| {
                    let next = Event::IdentityRequest { from, count, after };
                    actor.handle(next, *now, &mut outlet);
                    outlet.go_on()
                });
            }
        });
        if !self.effects.is_empty() {
            self.carry_out_effects();
        }
        handled
    }
}

/// Where the actor puts what it wants done: the answer to an identityRequest goes to its connection at once,
/// everything else into the list.
pub(super) struct Outlet<'a, 'b> {
    /// The replies to the connection from which all requests come.
    replies: &'a mut Replies<'b>,
    effects: &'a mut Vec<Effect>,
}

impl Outlet<'_, '_> {
    /// Few events have an effect besides a reply, and that is to be carried out before the next one is handled.
    #[inline(always)]
    fn go_on(&self) -> ControlFlow<()> {
        // bug BatchRunsOn: return ControlFlow::Continue(());
        if self.effects.is_empty() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

impl Outbox for Outlet<'_, '_> {
    #[inline(always)]
    fn reply_identities(&mut self, _to: ConnectionId, first: Identity, count: u32) {
        self.replies.identities(first, count);
    }

    #[inline(always)]
    fn list(&mut self) -> &mut Vec<Effect> {
        self.effects
    }
}
