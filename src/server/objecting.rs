//! The text of an objection. The actor decides against whom and why; the addresses are added here.

use log::{error, info};

use super::{Server, telling::Line};
use ipseity_core::{
    actor::{Charge, Rival},
    identity::{Pid, Sequence},
    words::{ErrorCode, Message, Objection},
};

use crate::edge::Edge;

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
            may_be_over,
        } = *charge;
        let place = self.place(pid, session, Some(link));
        let address = place.unwrap_or_else(|| self.link_address(link));
        let text = if code == ErrorCode::PidConflict {
            format!(
                "pid {pid} is used by two live servers, {address} and {}: neither may hand out identities. \
                 Stop both. Start the one that keeps the pid with --recover-above SEQUENCE, {}not lower than \
                 anything that either may have handed out; start the other with an unused --pid and a new state \
                 directory",
                self.rival_address(pid, rival),
                at_least(sequence)
            )
        } else {
            let reached = match sequence {
                Sequence::ZERO => "has been used".to_owned(),
                _ => format!("had reached sequence {sequence}"),
            };
            format!(
                "the state of pid {pid} at {address} is not the newest: another state directory of this pid, or a \
                 later state of this one, {reached}. Start it with an unused --pid and a new state directory; or, if \
                 the other state is gone for ever, with --recover-above SEQUENCE, {}not lower than anything that it \
                 may have handed out",
                at_least(sequence)
            )
        };
        let (line, event) = match code {
            ErrorCode::PidConflict => (Line::Conflict, "pidConflict"),
            _ => (Line::Stale, "pidStale"),
        };
        if is_new && self.may_tell(line, self.whom_of(pid)) {
            match may_be_over {
                true => info!(event = event, pid = pid.get(), address:% = address; "{text}"),
                false => error!(event = event, pid = pid.get(), address:% = address; "{text}"),
            }
        }
        Message::Objection(Box::new(Objection::new(
            pid,
            session,
            code,
            sequence.get(),
            &text,
        )))
    }

    /// The address of the other server, or the one where it was last heard.
    fn rival_address(&self, pid: Pid, rival: Option<Rival>) -> String {
        let Some(Rival { session, link }) = rival else {
            return "another one".to_owned();
        };
        match (link, self.place(pid, session, link)) {
            (Some(_), Some(place)) => place,
            (None, Some(place)) => format!("{place} (not connected now)"),
            (_, None) => "another one (not connected now)".to_owned(),
        }
    }
}

/// What `--recover-above` must be at least, for a sentence that goes on with "not lower than". Nothing is said of zero:
/// it is what a server has told that has handed out nothing yet, and it is no sequence that the flag takes.
pub fn at_least(sequence: Sequence) -> String {
    match sequence {
        Sequence::ZERO => String::new(),
        _ => format!("at least {sequence} and "),
    }
}
