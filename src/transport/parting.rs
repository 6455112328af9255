//! Parting at the end of a stop: who has to close before the process may exit.
//!
//! An exit closes all sockets. Where the other side is still sending, the kernel then resets the connection and throws
//! away the answers that were not read yet. So a client that reads late, or still sends, is waited for: its
//! input is dropped until it closes too. It must do so within `LINGER_TIMEOUT`, and within the time of the stop. Other
//! clients are not waited for: most keep their connection without looking at it. Nor are peers.

use std::collections::BTreeSet;

use ipseity_core::ids::ConnectionId;

use super::Transport;
use crate::{
    connection::{Connection, ConnectionState, Origin, Resume},
    edge::Socket,
};

/// The clients that a stop waits for.
#[derive(Debug, Default)]
pub(super) struct Parting {
    /// Whether a stop has begun.
    has_begun: bool,
    /// Those that have to close. Some may have done so.
    awaited: BTreeSet<ConnectionId>,
    /// How many did not close in time.
    late: usize,
}

impl<S: Socket> Transport<S> {
    /// A stop begins. From now on, clients that read late are noted, and those for which replies wait already.
    pub fn begin_parting(&mut self) {
        let Self {
            connections,
            shared,
        } = self;
        shared.parting.has_begun = true;
        for (_, c) in connections {
            if c.state != ConnectionState::Closed && c.pending_bytes() > 0 {
                shared.parting.await_close(c);
            }
        }
    }

    /// Whether every reply has been written, and nobody has to be waited for.
    pub fn has_parted(&mut self) -> bool {
        self.is_flushed() && !self.may_still_send() && !self.awaits()
    }

    /// How many clients have not closed, although all was written for them.
    pub fn late_to_part(&self) -> usize {
        let parting = &self.shared.parting;
        let is_late = |id: &&ConnectionId| {
            self.get(**id)
                .is_some_and(|c| c.state == ConnectionState::Lingering)
        };
        parting.late + parting.awaited.iter().filter(is_late).count()
    }

    /// Whether a connection was not looked at since its sending side was shut. Its client may have sent more.
    fn may_still_send(&self) -> bool {
        let mut all = self.connections.iter();
        all.any(|(_, c)| {
            is_waited_for(c)
                && c.state == ConnectionState::Lingering
                && matches!(c.resume, Resume::Mailbox | Resume::Discard)
        })
    }

    /// Whether a client has to close yet. Those before it have closed, and are not looked at again.
    fn awaits(&mut self) -> bool {
        while let Some(id) = self.shared.parting.awaited.first() {
            if self.is_open(*id) {
                return true;
            }
            self.shared.parting.awaited.pop_first();
        }
        false
    }

    fn is_open(&self, id: ConnectionId) -> bool {
        self.get(id)
            .is_some_and(|c| c.state != ConnectionState::Closed)
    }
}

impl Parting {
    /// The client reads late: the kernel takes no more for it. Or it sends although it was told that nothing more is read.
    /// If a stop has begun, it has to close before the exit.
    pub(super) fn await_close<S: Socket>(&mut self, c: &Connection<S>) {
        if self.has_begun && is_waited_for(c) {
            self.awaited.insert(c.id);
        }
    }

    /// A connection is closed because its other side did not close in time.
    pub(super) fn late_to_close<S>(&mut self, c: &Connection<S>) {
        if self.awaited.remove(&c.id) {
            self.late += 1;
        }
    }
}

/// Whether it is one of those that a stop waits for. A peer misses nothing: the next server tells it the same.
fn is_waited_for<S: Socket>(c: &Connection<S>) -> bool {
    c.origin == Origin::Accepted && !c.is_peer()
}
