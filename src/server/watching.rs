//! Only watching: here everything is shown to the trace, and nothing comes back. So no line of the loop can depend on
//! whether there is a trace, and tests that use a trace see the code that runs in production.

use log::error;

use ipseity_core::{
    actor::{Effect, Outbox},
    identity::Identity,
    ids::ConnectionId,
    time::Instant,
};

use crate::{limits::TURN_ENTRIES_MAX, mailbox::Entry, trace::Trace};

/// The trace, if there is one. No code can ask whether there is. It is boxed because it is checked for each entry,
/// and the check is then one comparison with zero.
#[derive(Debug)]
pub(super) struct Watch(Option<Box<Trace>>);

impl Watch {
    pub(super) fn new(trace: Option<Trace>) -> Watch {
        Watch(trace.map(Box::new))
    }

    /// Shows the entry that is about to be handled, which is made only if there is a trace. If the loop showed the one that
    /// it has, it would have to keep it in memory.
    #[inline(always)]
    pub(super) fn entry(&mut self, now: Instant, entry: impl FnOnce() -> Entry) {
        if let Some(trace) = &mut self.0 {
            trace.entry(now, &entry());
        }
    }

    /// Shows a rare entry that is about to be handled.
    pub(super) fn other(&mut self, now: Instant, entry: &Entry) {
        if let Some(trace) = &mut self.0 {
            trace.entry(now, entry);
        }
    }

    /// Shows an effect of the entry that was shown last.
    #[inline(always)]
    pub(super) fn effect(&mut self, effect: &Effect) {
        if let Some(trace) = &mut self.0 {
            trace.effect(effect);
        }
    }

    /// Shows the reply of the entry that was shown last.
    #[inline(always)]
    fn reply_identities(&mut self, to: ConnectionId, first: Identity, count: u32) {
        if let Some(trace) = &mut self.0 {
            trace.effect(&Effect::ReplyIdentities { to, first, count });
        }
    }

    /// How many requests may be handled together, of as many as the turn has room for. With a trace it is one, so that each
    /// request gets its own lines.
    #[inline(always)]
    pub(super) fn batch_of(&self, most: usize) -> usize {
        match self.0 {
            Some(_) => 1,
            // The compiler counts on this bound.
            None => most.min(TURN_ENTRIES_MAX),
        }
    }

    /// Passes on what was shown in this turn. If the trace cannot be written, it is given up.
    pub(super) fn flush(&mut self) {
        if let Some(trace) = &mut self.0
            && let Err(error) = trace.flush()
        {
            error!(
                event = "traceFailed", reason:% = error;
                "cannot write the trace: {error}; going on without a trace"
            );
            self.0 = None;
        }
    }
}

/// An outbox that also shows everything to the trace.
pub(super) struct Watched<'a, O>(pub(super) &'a mut O, pub(super) &'a mut Watch);

impl<O: Outbox> Outbox for Watched<'_, O> {
    #[inline(always)]
    fn reply_identities(&mut self, to: ConnectionId, first: Identity, count: u32) {
        self.1.reply_identities(to, first, count);
        self.0.reply_identities(to, first, count);
    }

    #[inline(always)]
    fn list(&mut self) -> &mut Vec<Effect> {
        self.0.list()
    }
}
