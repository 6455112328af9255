//! One end of a connection: its phase, and the bytes that it has sent and received.

use std::{collections::VecDeque, net::SocketAddr};

use ipseity::mailbox::Readiness;
use ipseity_core::{ids::ConnectionId, time::Instant};

/// The port at which each server speaks HTTP.
pub const HTTP_PORT: u16 = 8264;

/// The place of an end in the list of ends, which only grows.
pub type EndId = usize;

/// How it stood when a server accepted a connection.
#[derive(Clone, Copy, Debug)]
pub struct Came {
    pub at: Instant,
    /// How many it had accepted before.
    pub number: u64,
    /// How many accepted connections the server had then that speak in the same way, without those that were surely beyond
    /// its places, and how many in all came from the same address.
    pub held: usize,
    pub of_address: usize,
    /// Which of those in frames with a place had been silent for longest, and since when.
    pub silent: Option<(Instant, EndId)>,
    /// The server had dialed this address before.
    pub is_dialed: bool,
}

/// The phase of an end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Connecting,
    Open,
    Refused,
}

/// One end of a connection.
pub struct End {
    pub(super) own: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) other: Option<EndId>,
    /// The server to wake, and what it calls the connection.
    pub(super) registered: Option<(usize, ConnectionId)>,
    /// The client to tell when something changes.
    pub(super) client: Option<usize>,
    pub(super) phase: Phase,
    pub(super) arrived: VecDeque<u8>,
    /// In how many pieces bytes have arrived.
    pub(super) pieces: u64,
    pub(super) on_the_way: usize,
    pub(super) window_bytes: usize,
    pub(super) unsent: VecDeque<u8>,
    pub(super) send_buffer_bytes: usize,
    /// Whether a write got `WouldBlock`, so that its owner has to be told when there is space.
    pub(super) is_blocked: bool,
    pub(super) fin_wanted: bool,
    pub(super) fin_sent: bool,
    pub(super) fin_arrived: bool,
    pub(super) is_reset: bool,
    pub(super) is_dropped: bool,
    /// When the last thing that was sent to it arrives. Nothing overtakes anything on a connection.
    pub(super) last_arrival: Instant,
    /// The most bytes that are sent at one moment.
    pub(super) segment_bytes: usize,
    /// Whether nothing arrives here any more.
    pub(super) is_silenced: bool,
    /// The serial of the listener that it came to; 0 for the end that connected.
    pub(super) listener: u64,
    /// The server has accepted it.
    pub came: Option<Came>,
    /// It certainly has a place there. Whoever knows the limits of the server says so.
    pub has_place: bool,
    /// It certainly came when all places were taken.
    pub is_beyond: bool,
    /// When its owner last accepted it, or read or wrote something there, and how many bytes that were.
    pub used_at: Instant,
    pub taken: usize,
    pub given: usize,
}

impl End {
    pub fn new(
        own: SocketAddr,
        remote: SocketAddr,
        phase: Phase,
        window_bytes: usize,
        send_buffer_bytes: usize,
    ) -> End {
        End {
            own,
            remote,
            other: None,
            registered: None,
            client: None,
            phase,
            arrived: VecDeque::new(),
            pieces: 0,
            on_the_way: 0,
            window_bytes,
            unsent: VecDeque::new(),
            send_buffer_bytes,
            is_blocked: false,
            fin_wanted: false,
            fin_sent: false,
            fin_arrived: false,
            is_reset: false,
            is_dropped: false,
            last_arrival: Instant::START,
            segment_bytes: usize::MAX,
            is_silenced: false,
            listener: 0,
            came: None,
            has_place: false,
            is_beyond: false,
            used_at: Instant::START,
            taken: 0,
            given: 0,
        }
    }

    /// From now on its owner can write any number of bytes, even if the other side does not read.
    pub fn set_unbounded(&mut self) {
        self.send_buffer_bytes = usize::MAX;
    }

    /// Whether it has come to the listener for HTTP of a server.
    pub fn is_http(&self) -> bool {
        self.listener > 0 && self.own.port() == HTTP_PORT
    }

    pub fn has_ended(&self) -> bool {
        (self.is_reset || self.fin_arrived) && self.arrived.is_empty()
    }

    /// Whether its owner has cut the connection.
    pub fn is_cut(&self) -> bool {
        self.is_dropped && self.fin_sent
    }

    pub fn is_reset(&self) -> bool {
        self.is_reset
    }

    /// Whether the other side has closed it, or the network has.
    pub fn is_left(&self) -> bool {
        self.is_reset || self.fin_arrived
    }

    /// The address of the other side.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// How many bytes have arrived that its owner has not read.
    pub fn unread(&self) -> usize {
        self.arrived.len()
    }

    /// Nothing was ever said on it.
    pub fn is_silent(&self) -> bool {
        self.taken + self.given + self.unread() == 0 && !self.is_left()
    }

    /// From now on nothing arrives here.
    pub fn silence(&mut self) {
        self.is_silenced = true;
    }

    /// Whether the end is cut or closed, so nothing more happens to it.
    pub fn is_over(&self) -> bool {
        self.is_reset || self.is_dropped
    }

    /// Whether its owner has closed it.
    pub fn is_dropped(&self) -> bool {
        self.is_dropped
    }

    /// The machine that held it loses power: nobody is told, and nothing more is sent.
    pub fn vanish(&mut self) {
        self.is_dropped = true;
        self.registered = None;
        self.arrived.clear();
        self.unsent.clear();
        self.fin_wanted = true;
        self.fin_sent = true;
    }

    /// What a poll reports about it now, if anything.
    pub fn readiness(&self) -> Option<Readiness> {
        let broken = self.is_reset || self.phase == Phase::Refused;
        let closed = broken || self.fin_arrived;
        let readable = closed || !self.arrived.is_empty();
        let writable = broken || (self.phase == Phase::Open && self.has_space());
        (readable || writable).then(|| Readiness::new(readable, writable, closed))
    }

    pub(super) fn has_space(&self) -> bool {
        self.unsent.len() <= self.send_buffer_bytes / 3 * 2
    }
}
