//! The text of an objection. The actor decides against whom and why; the addresses are added here.

use log::error;

use super::{Server, telling::Line};
use ipseity_core::{
    actor::Charge,
    words::{ErrorCode, Message, Objection},
};

use crate::{edge::Edge, transport::address_that_is_gone};

impl<E: Edge> Server<E> {
    /// The objection that is sent to a process. It is also logged if it is new.
    pub(super) fn objection(&mut self, charge: &Charge) -> Message {
        let Charge {
            pid,
            session,
            link,
            code,
            sequence,
            rival,
            is_new,
        } = *charge;
        let address = self.link_address(link);
        let text = if code == ErrorCode::PidConflict {
            format!(
                "pid {pid} is used by two live servers, {address} and {}: neither may hand out identities. \
                 Stop both. Start the one that keeps the pid with --recover-above SEQUENCE, at least {sequence} \
                 and not lower than anything that either may have handed out; start the other with an \
                 unused --pid and a new state directory",
                rival.map_or_else(address_that_is_gone, |rival| self.link_address(rival))
            )
        } else {
            format!(
                "the state of pid {pid} at {address} is not the newest: another state directory of this pid, or a \
                 later state of this one, had reached sequence {sequence}. Start it with an unused --pid \
                 and a new state directory; or, if the other state is gone for ever, with --recover-above \
                 SEQUENCE, at least {sequence} and not lower than anything that it may have handed out"
            )
        };
        let line = match rival {
            Some(_) => Line::Conflict,
            None => Line::Stale,
        };
        if is_new && self.may_tell(line, self.whom_of(pid)) {
            error!("{text}");
        }
        Message::Objection(Box::new(Objection::new(
            pid,
            session,
            code,
            sequence.get(),
            &text,
        )))
    }
}
