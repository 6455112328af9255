//! The deadline of a connection: what it has to do next, and until when.

use std::time::Duration;

use ipseity_core::time::Instant;

use super::{Connection, ConnectionState, Opening, Resume};
use crate::{
    edge::Socket,
    limits::{
        DIAL_TIMEOUT, FRAME_TIMEOUT, HANDSHAKE_TIMEOUT, HTTP_IDLE_TIMEOUT, LINGER_TIMEOUT,
        RESERVE_TIMEOUT, WRITE_TIMEOUT,
    },
};

impl<S: Socket> Connection<S> {
    /// The deadline of the connection, if it has one. While something is under way it must make progress; the idle
    /// deadline applies only when nothing is.
    pub(crate) fn deadline(&self, idle_timeout: Option<Duration>) -> Option<(Instant, Overdue)> {
        let (wait, overdue) = match self.state {
            ConnectionState::Connecting => (DIAL_TIMEOUT, Overdue::Dial),
            ConnectionState::Lingering => (LINGER_TIMEOUT, Overdue::Linger),
            ConnectionState::Closed => return None,
            // It has asked, or has come as far with its handshake as it can before the server has its turn.
            ConnectionState::Reserve if self.owed > 0 || self.resume == Resume::Handshake => {
                return None;
            }
            // What may wait for it here is a part of its handshake. It has no longer for that.
            // bug ReserveForEver instead: ConnectionState::Reserve => (if BUG { WRITE_TIMEOUT } else { RESERVE_TIMEOUT }, Overdue::Reserve),
            ConnectionState::Reserve => (RESERVE_TIMEOUT, Overdue::Reserve),
            _ if self.pending_bytes() > 0 => (WRITE_TIMEOUT, Overdue::Unread),
            // It may only begin a handshake, and has not.
            ConnectionState::Open if self.opening == Opening::Sealed && !self.is_held_up() => {
                (HANDSHAKE_TIMEOUT, Overdue::Silent)
            }
            ConnectionState::Open if self.is_shaking() => match self.resume {
                Resume::Handshake => return None,
                _ => (HANDSHAKE_TIMEOUT, Overdue::Handshake),
            },
            ConnectionState::Open if !self.is_held_up() && self.has_begun() => {
                (FRAME_TIMEOUT, Overdue::Frame)
            }
            ConnectionState::Open if self.may_idle() => {
                let own = self.codec.is_http().then_some(HTTP_IDLE_TIMEOUT);
                (own.into_iter().chain(idle_timeout).min()?, Overdue::Idle)
            }
            ConnectionState::Open | ConnectionState::Draining => return None,
        };
        Some((self.progress_at.after(wait), overdue))
    }
}

/// What a connection is late with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// Being connected.
    Dial,
    /// Showing that it may stay, or asking for what is answered beyond the limit.
    Reserve,
    /// Beginning a TLS handshake.
    Silent,
    /// Completing its TLS handshake.
    Handshake,
    /// Completing a frame.
    Frame,
    /// Reading its replies.
    Unread,
    /// Doing anything at all.
    Idle,
    /// Closing its side.
    Linger,
}
