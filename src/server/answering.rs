//! Answering identityRequests. Nearly every event is one. Requests of one connection that follow each other are
//! handled together.

use std::ops::ControlFlow;

use ipseity_core::{
    actor::{Actor, Effect, Event, Outbox},
    identity::Identity,
    ids::{ConnectionId, Count},
    time::Instant,
};

use super::{Server, watching::Watched};
use crate::{codec::Replies, edge::Edge, mailbox::Mailbox};

impl<E: Edge> Server<E> {
    /// Handles an identityRequest and those of the same connection that directly follow it, at most `most` in all.
    /// Each is handled completely before the next, but the connection is looked up only once. Returns how many were
    /// handled.
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
        let most = watch.batch_of(most);
        let mut handled = 1;
        transport.answer(from, |replies, owed| {
            if !replies.are_frames() {
                return ask_alone(actor, from, count, after, *now, effects);
            }
            let first = Event::IdentityRequest { from, count, after };
            let mut outlet = Outlet { replies, effects };
            actor.handle(first, *now, &mut Watched(&mut outlet, watch));
            // Nearly every client waits for its answer before it asks again. Behind its request none can follow.
            let most = most.min(owed);
            if most > 1 && outlet.effects.is_empty() {
                handled += handle_more(actor, mailbox, from, most - 1, *now, &mut outlet);
            }
        });
        if !self.effects.is_empty() {
            self.carry_out_effects();
        }
        handled
    }
}

/// Handles the requests of the connection that follow the first one. This is a function of its own, and so has all the
/// registers that its loop needs.
#[inline(never)]
fn handle_more(
    actor: &mut Actor,
    mailbox: &mut Mailbox,
    from: ConnectionId,
    most: usize,
    now: Instant,
    outlet: &mut Outlet<'_, '_>,
) -> usize {
    mailbox.take_identity_requests(from, most, |count, after| {
        let next = Event::IdentityRequest { from, count, after };
        actor.handle(next, now, outlet);
        outlet.go_on()
    })
}

/// Handles a request that came by HTTP. They come one by one, and are answered like everything else.
#[cold]
#[inline(never)]
fn ask_alone(
    actor: &mut Actor,
    from: ConnectionId,
    count: Count,
    after: u64,
    now: Instant,
    effects: &mut Vec<Effect>,
) {
    actor.handle(Event::IdentityRequest { from, count, after }, now, effects);
}

/// Receives what the actor wants done. The answer to an identityRequest goes to its connection at once; all other
/// effects go into the list.
pub(super) struct Outlet<'a, 'b> {
    /// The replies of the connection that sent all these requests.
    replies: &'a mut Replies<'b>,
    effects: &'a mut Vec<Effect>,
}

impl Outlet<'_, '_> {
    /// Stops after an event with effects in the list, because these must be carried out before the next event. Few
    /// events have any.
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
        self.replies.identities_in_frames(first, count);
    }

    #[inline(always)]
    fn list(&mut self) -> &mut Vec<Effect> {
        self.effects
    }
}
