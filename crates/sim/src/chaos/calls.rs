//! Actions that the cluster schedules for a later moment, and the data that they need.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use ipseity_core::time::Instant;

use crate::world::SimSocket;

/// An action that the cluster has scheduled with the world.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    Client(usize),
    Act(usize),
    Undo(usize),
    Restart(usize),
    Signal(usize),
    Flood(usize),
    Check(usize),
    Claimed(usize),
    Operator,
    Recover,
}

impl Call {
    pub fn token(self) -> u64 {
        let (kind, index) = match self {
            Call::Client(index) => (0, index),
            Call::Act(index) => (1, index),
            Call::Undo(index) => (2, index),
            Call::Restart(index) => (3, index),
            Call::Signal(index) => (4, index),
            Call::Recover => (5, 0),
            Call::Flood(index) => (6, index),
            Call::Check(index) => (7, index),
            Call::Claimed(index) => (8, index),
            Call::Operator => (9, 0),
        };
        kind << 32 | index as u64
    }

    pub fn from_token(token: u64) -> Call {
        let index = token as u32 as usize;
        match token >> 32 {
            0 => Call::Client(index),
            1 => Call::Act(index),
            2 => Call::Undo(index),
            3 => Call::Restart(index),
            4 => Call::Signal(index),
            6 => Call::Flood(index),
            7 => Call::Check(index),
            8 => Call::Claimed(index),
            9 => Call::Operator,
            _ => Call::Recover,
        }
    }
}

/// How to end a fault that lasts for a while.
#[derive(Clone, Debug)]
pub enum Undo {
    Route(SocketAddr),
    Names,
    Accept(usize),
}

/// Something that must be true at a later moment.
#[derive(Clone, Debug)]
pub enum Check {
    /// This server does not remember the claim of this session any more.
    Withdrawn {
        by: usize,
        began: Instant,
        session: u64,
    },
    /// This server serves. The moments are those at which each of the servers began.
    Serves { server: usize, began: Vec<Instant> },
}

/// What a flood consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloodKind {
    /// A peer: it sends something to be saved and something to be logged, in turn.
    Peer,
    /// Requests for the status and the members.
    Looks,
    /// Requests that are refused, each of which could be a log line.
    Refusals,
    /// Connections that come and go.
    Scan,
    /// Connections that stay, and on which seldom anything is asked.
    Hold,
    /// Many connections of a crowd that say nothing, beside a few of others that come to ask something.
    Push { by_http: bool },
}

/// Somebody who comes beside a crowd.
pub struct Other {
    /// When he asks, until he has.
    pub asks_at: Option<Instant>,
    pub by_http: bool,
    pub socket: SimSocket,
}

/// Somebody who sends messages, or connects, without end.
pub struct Flood {
    pub kind: FloodKind,
    pub server: usize,
    /// Messages are sent here, unless the flood consists of connections.
    pub socket: Option<SimSocket>,
    /// Where it comes from.
    pub home: IpAddr,
    /// Connections that it holds, and whether it may ask on them next.
    pub held: Vec<SimSocket>,
    pub asks_next: bool,
    /// Those who come beside a crowd.
    pub others: VecDeque<Other>,
    pub until: Instant,
    /// The boot that a peer claimed last.
    pub boot: u64,
}
