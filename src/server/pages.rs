//! Answering requests for pages, which come by HTTP. Those for the status and the metrics are not here: they are events of
//! the actor, as if they had come in frames.

use ipseity_core::ids::ConnectionId;
use ipseity_http::Refusal;
use ipseity_monitor::{live, ready};

use super::Server;
use crate::{codec::PageAnswer, edge::Edge, mailbox::Page};

impl<E: Edge> Server<E> {
    /// Answers a request for a page.
    #[cold]
    pub(super) fn on_page(&mut self, from: ConnectionId, page: Page) {
        let answer = match page {
            // That it is answered at all is what the probe asks.
            Page::Live => PageAnswer::Health(live()),
            Page::Ready => PageAnswer::Health(ready(self.actor.standing(), &self.edge.storage())),
            Page::Overview => PageAnswer::Overview,
        };
        self.answer_page(from, &answer);
    }

    /// Answers a request that HTTP refuses.
    #[cold]
    pub(super) fn on_refused(&mut self, (from, refusal): (ConnectionId, Refusal)) {
        self.answer_page(from, &PageAnswer::Refused(refusal));
    }

    fn answer_page(&mut self, to: ConnectionId, answer: &PageAnswer) {
        self.transport.answer(to, |replies| replies.page(answer));
    }
}
