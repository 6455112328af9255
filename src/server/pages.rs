//! Answering requests for pages, which come by HTTP. Those for the status and the metrics are not here: they are events of
//! the actor, as if they had come in frames.

use ipseity_core::{actor::Event, ids::ConnectionId};
use ipseity_http::{Refusal, bad_count};
use ipseity_monitor::{live, ready};

use super::Server;
use crate::{
    codec::PageAnswer,
    edge::Edge,
    mailbox::{HttpRequest, Page},
};

impl<E: Edge> Server<E> {
    /// Answers it.
    #[cold]
    pub(super) fn on_http(&mut self, (from, request): (ConnectionId, HttpRequest)) {
        let answer = match request {
            // That it is answered at all is what the probe asks.
            HttpRequest::Page(Page::Live) => PageAnswer::Health(live()),
            HttpRequest::Page(Page::Ready) => {
                let standing = self.standing_now();
                // bug ReadyWhileObjected: let standing = if BUG && matches!(standing, ipseity_core::words::Standing::Conflict | ipseity_core::words::Standing::Stale) { ipseity_core::words::Standing::Serving } else { standing };
                // bug ReadyWhileJoining: let standing = if BUG && standing == ipseity_core::words::Standing::Joining { ipseity_core::words::Standing::Serving } else { standing };
                let (store, storage) = (self.store_status(), self.edge.storage());
                PageAnswer::Health(ready(standing, &store, &storage))
            }
            HttpRequest::Page(Page::Overview) => PageAnswer::Overview,
            HttpRequest::Refused(Refusal::BadCount(no_number)) => {
                // An error like that for a count which only the server finds too large, and counted with it.
                let count_max = self.actor.config().count_max;
                let error = Box::new(bad_count(no_number, count_max));
                return self.on_event(Event::Denied { from, error });
            }
            HttpRequest::Refused(refusal) => PageAnswer::Refused(refusal),
        };
        self.transport
            .answer(from, |replies, _| replies.page(&answer));
    }
}
