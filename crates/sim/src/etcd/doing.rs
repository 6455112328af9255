//! A procedure under way: it waits for an answer, or for a moment.

use std::{collections::BTreeMap, time::Duration};

use fastrand::Rng;
use ipseity_core::time::Instant;
use ipseity_etcd::{Call, Procedure, Step};

use super::{CallId, CallResult};

/// The answers that have come and were not looked at.
pub type Inbox = BTreeMap<CallId, CallResult>;

/// See the [module](self).
pub struct Doing<P> {
    pub procedure: P,
    pub begun: Instant,
    /// When the newest lease, or the newest sign of life for one, was asked for.
    pub asked_at: Instant,
    call: Option<CallId>,
    /// When it goes on without an answer.
    resumes: Option<Instant>,
}

impl<P: Procedure> Doing<P> {
    pub fn new(procedure: P, begun: Instant) -> Doing<P> {
        Doing {
            procedure,
            begun,
            asked_at: begun,
            call: None,
            resumes: Some(begun),
        }
    }

    /// When it goes on, if it does not wait for an answer.
    pub fn next(&self) -> Option<Instant> {
        self.resumes
    }

    /// Takes it as far as it comes now. `takes` says how long a wait takes by the clock of whoever does it, and `send` sends
    /// a call.
    pub fn go(
        &mut self,
        now: Instant,
        inbox: &mut Inbox,
        random: &mut Rng,
        takes: impl FnOnce(Duration) -> Duration,
        send: impl FnOnce(Call) -> CallId,
    ) -> Option<P::Output> {
        let result = match (self.call, self.resumes) {
            (Some(call), _) => {
                let result = inbox.remove(&call)?;
                self.call = None;
                Some(result)
            }
            (None, Some(at)) if at > now => return None,
            (None, _) => None,
        };
        self.resumes = None;
        match self.procedure.step(result, &mut || random.u64(..)) {
            Step::Call(call) => {
                if matches!(call, Call::Grant { .. } | Call::KeepAlive(_)) {
                    self.asked_at = now;
                }
                self.call = Some(send(call));
                None
            }
            Step::Wait(wait) => {
                self.resumes = Some(now.after(takes(wait)));
                None
            }
            Step::Done(output) => Some(output),
        }
    }
}
