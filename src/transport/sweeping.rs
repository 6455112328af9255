//! Deadlines: connections that idle, stall or linger are found by looking them over now and then.

use std::io;

use super::Transport;
use ipseity_core::{ids::ConnectionId, time::Instant};
use ipseity_frames::WireError;

use crate::{
    connection::{CloseReason, ConnectionState, Overdue},
    edge::Socket,
    limits::FRAME_TIMEOUT,
    mailbox::Mailbox,
};

impl<S: Socket> Transport<S> {
    /// Whether a connection has come under a deadline since the last call.
    pub fn take_sweep_wanted(&mut self) -> bool {
        std::mem::take(&mut self.sweep_wanted)
    }

    /// Whether connections are under a deadline from the moment when they are accepted.
    pub fn has_idle_timeout(&self) -> bool {
        self.limits.idle_timeout.is_some()
    }

    /// Looks every connection over for deadlines that have passed. Says whether any is still under one.
    pub fn sweep(&mut self, now: Instant, mailbox: &mut Mailbox) -> bool {
        let mut overdue = Vec::new();
        let mut waiting = false;
        for (_, c) in &self.connections {
            match c.deadline(self.limits.idle_timeout) {
                Some((deadline, what)) if deadline <= now => overdue.push((c.id, what)),
                Some(_) => waiting = true,
                // It comes under the deadline on idleness without a word when it is answered.
                None => waiting |= self.has_idle_timeout() && c.state == ConnectionState::Open,
            }
        }
        for (id, what) in overdue {
            waiting = true;
            self.on_overdue(id, what, now, mailbox);
        }
        waiting
    }

    fn on_overdue(&mut self, id: ConnectionId, what: Overdue, now: Instant, mailbox: &mut Mailbox) {
        let Some(c) = self.get(id) else { return };
        match what {
            Overdue::Dial => self.close(id, CloseReason::Dial(io::ErrorKind::TimedOut.into())),
            Overdue::Reserve => self.broken(id, self.too_many(), mailbox),
            Overdue::Frame => {
                let timeout_ms = FRAME_TIMEOUT.as_millis() as u64;
                self.broken(
                    id,
                    WireError::Stalled {
                        bytes: c.input().len(),
                        timeout_ms,
                    },
                    mailbox,
                );
            }
            Overdue::Unread => {
                self.close(id, CloseReason::Unread(now.since(c.progress_at)));
            }
            Overdue::Idle => self.close(id, CloseReason::Idle(now.since(c.progress_at))),
            Overdue::Linger => self.close(id, CloseReason::Told),
        }
    }
}
