//! Deadlines: now and then all connections are checked for being idle, stalled or lingering too long.

use std::io;

use super::{Transport, shared::Shared};
use ipseity_core::time::Instant;
use ipseity_frames::WireError;

use crate::{
    connection::{CloseReason, Connection, ConnectionState, Overdue, Resume},
    edge::Socket,
    limits::{FRAME_TIMEOUT, HANDSHAKE_TIMEOUT},
    mailbox::Mailbox,
};

impl<S: Socket> Transport<S> {
    /// Whether any connection has come under a deadline since the last call.
    pub fn take_sweep_wanted(&mut self) -> bool {
        std::mem::take(&mut self.shared.sweep_wanted)
    }

    /// Whether connections are under a deadline from the moment they are accepted.
    pub fn has_idle_timeout(&self) -> bool {
        self.shared.limits.idle_timeout.is_some()
    }

    /// Checks every connection for deadlines that have passed. Returns whether any connection is still under one.
    pub fn sweep(&mut self, now: Instant, mailbox: &mut Mailbox) -> bool {
        let idle_timeout = self.shared.limits.idle_timeout;
        let mut waiting = false;
        for (_, c) in &mut self.connections {
            match c.deadline(idle_timeout) {
                Some((deadline, what)) if deadline <= now => {
                    waiting = true;
                    self.shared.on_overdue(c, what, now, mailbox);
                }
                Some(_) => waiting = true,
                // When it has been answered it comes under the idle deadline, and nothing reports that. The same with one that
                // has waited for its turn.
                None => {
                    let may_idle = idle_timeout.is_some() || c.codec.is_http();
                    waiting |= match c.state {
                        ConnectionState::Open => may_idle || c.resume == Resume::Handshake,
                        ConnectionState::Reserve => true,
                        _ => false,
                    };
                }
            }
        }
        waiting
    }
}

impl Shared {
    fn on_overdue<S: Socket>(
        &mut self,
        c: &mut Connection<S>,
        what: Overdue,
        now: Instant,
        mailbox: &mut Mailbox,
    ) {
        match what {
            Overdue::Dial => self.close(c, CloseReason::Dial(io::ErrorKind::TimedOut.into())),
            Overdue::Reserve if c.can_be_told() => {
                let error = self.refusal(c);
                self.broken(c, error, mailbox);
            }
            Overdue::Reserve => self.refuse_untold(c),
            Overdue::Handshake => {
                let timeout = HANDSHAKE_TIMEOUT.as_millis();
                let text = format!("the handshake was not over within {timeout} ms");
                self.close(c, CloseReason::Tls(text));
            }
            Overdue::Frame if c.input().is_empty() => {
                let timeout = FRAME_TIMEOUT.as_millis();
                let text = format!("a record was not complete within {timeout} ms");
                self.close(c, CloseReason::Tls(text));
            }
            Overdue::Frame => {
                let timeout_ms = FRAME_TIMEOUT.as_millis() as u64;
                let bytes = c.input().len();
                self.broken(c, WireError::Stalled { bytes, timeout_ms }, mailbox);
            }
            Overdue::Unread => {
                let wait = now.since(c.progress_at);
                self.close_unread(c, CloseReason::Unread(wait));
            }
            Overdue::Silent | Overdue::Idle => {
                let wait = now.since(c.progress_at);
                self.close(c, CloseReason::Idle(wait));
            }
            Overdue::Linger => {
                self.parting.late_to_close(c);
                self.close(c, CloseReason::Told);
            }
        }
    }
}
