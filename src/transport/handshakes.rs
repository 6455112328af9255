//! What the transport knows of TLS: the settings, the line of handshakes, and their counts. Only data.

use std::{collections::VecDeque, sync::Arc};

use ipseity_core::{ids::ConnectionId, time::Instant};
use ipseity_frames::WireError;

use crate::{limits::HANDSHAKE_STEPS_PER_TURN, secure::Settings};

/// What the transport knows of TLS.
#[derive(Debug)]
pub(super) struct Sealing {
    /// `None` if the server offers no TLS.
    pub(super) settings: Option<Arc<Settings>>,
    /// Memory for one read of sealed bytes. It is made with the first one.
    pub(super) read: Vec<u8>,
    /// Memory for what is about to be sealed.
    pub(super) room: Vec<u8>,
    /// Connections that wait with a step of their handshake, and since when, in the order in which they came.
    pub(super) line: VecDeque<(ConnectionId, Instant)>,
    /// How many more steps may be done in this turn.
    pub(super) steps_left: usize,
    /// Accepted connections whose handshake has begun, the oldest first. Some of these handshakes may have come further.
    pub(super) begun: VecDeque<ConnectionId>,
    /// Those of them that have sent what they begin with and were answered. Some of these handshakes may be over.
    pub(super) answered: VecDeque<ConnectionId>,
    pub(super) counts: Handshakes,
    /// Connections whose certificate is to be looked at again.
    pub(super) rechecks: VecDeque<ConnectionId>,
    /// How often the settings were renewed.
    pub(super) renewals: u64,
}

/// What has become of connections whose certificate was looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rechecked {
    /// How many were closed.
    pub closed: usize,
    /// Whether all were looked at.
    pub is_over: bool,
}

/// What has become of TLS handshakes since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// Handshakes that have succeeded.
    pub done: u64,
    /// Handshakes that have failed or took too long.
    pub failed: u64,
    /// Handshakes of accepted connections that are under way.
    pub under_way: usize,
    /// Open connections with TLS, accepted and dialed.
    pub open: usize,
    /// The longest time that a step of a handshake has waited for its turn, in microseconds.
    pub longest_wait_us: u64,
}

/// What the first byte of a connection begins.
pub(super) enum Begins {
    /// A message.
    Message,
    /// A TLS handshake. If it may go on now, there is a session, and that has the bytes.
    Handshake,
    /// Nothing that is taken here.
    Refused(WireError),
}

impl Sealing {
    /// The accepted connections whose handshake has begun: those that were answered, or those that were not.
    pub(super) fn list(&mut self, are_answered: bool) -> &mut VecDeque<ConnectionId> {
        match are_answered {
            true => &mut self.answered,
            false => &mut self.begun,
        }
    }

    pub(super) fn new(settings: Option<Arc<Settings>>) -> Sealing {
        Sealing {
            settings,
            read: Vec::new(),
            room: Vec::new(),
            line: VecDeque::new(),
            steps_left: HANDSHAKE_STEPS_PER_TURN,
            begun: VecDeque::new(),
            answered: VecDeque::new(),
            counts: Handshakes::default(),
            rechecks: VecDeque::new(),
            renewals: 0,
        }
    }
}
