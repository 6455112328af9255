//! Dialing peers, and handling connections that were closed.

use std::net::SocketAddr;

use log::debug;

use super::{Server, stopping::Stopping};
use ipseity_core::{
    actor::{Event, HangUp},
    ids::{Link, PeerId},
    timer::Timer,
    words::{ErrorCode, ErrorReply},
};

use crate::{
    connection::{CloseReason, Origin},
    edge::Edge,
    mailbox::Entry,
    peers::{Dial, Failure},
    transport::Closure,
};

impl<E: Edge> Server<E> {
    /// Starts every attempt to dial that is due.
    pub(super) fn dial_due(&mut self) {
        if self.stopping != Stopping::No {
            return;
        }
        while let Some(peer) = self.peers.take_due(self.now) {
            match self.peers.literal(peer) {
                Some(address) => {
                    self.peers.resolved(peer, vec![address]);
                    self.dial_next(peer, None);
                }
                None => self.look_up(peer),
            }
        }
        self.arm_dial();
    }

    /// Looks the names of peers up again, unless that was done just now: somebody says that it is a peer, and no name has
    /// its address.
    pub(super) fn look_up_again(&mut self) {
        if self.stopping != Stopping::No {
            return;
        }
        for peer in self.peers.take_lookups_again(self.now) {
            self.look_up(peer);
        }
    }

    fn look_up(&mut self, peer: PeerId) {
        if self.peers.begin_lookup(peer) {
            self.edge.resolve(peer, self.peers.name(peer));
        }
    }

    fn arm_dial(&mut self) {
        match self.peers.next_due() {
            Some(due) => self.timers.set(Timer::Dial, due),
            None => self.timers.stop(Timer::Dial),
        }
    }

    #[cold]
    pub(super) fn on_resolved(&mut self, peer: PeerId) {
        let is_waited_for = self.peers.end_lookup(peer);
        match self.edge.resolved(peer) {
            Ok(addresses) => {
                self.transport
                    .note_named(peer, addresses.iter().map(SocketAddr::ip));
                if is_waited_for {
                    self.peers.resolved(peer, addresses);
                    self.dial_next(peer, None);
                }
            }
            Err(error) if is_waited_for => {
                self.dial_failed(peer, &format!("cannot look up its name: {error}"));
            }
            // What it found the last time still counts.
            Err(_) => {}
        }
    }

    /// Connects to the next address of a peer. If there is none, the attempt has failed. `reason` says why the
    /// address before could not be reached.
    fn dial_next(&mut self, peer: PeerId, mut reason: Option<String>) {
        if self.stopping != Stopping::No {
            return;
        }
        while let Some(address) = self.peers.next_address(peer) {
            let dialed = self
                .edge
                .connect(address)
                .and_then(|socket| self.transport.dial(&mut self.edge, socket, peer, self.now));
            match dialed {
                Ok(connection) => return self.peers.connecting(peer, connection),
                Err(error) => reason = Some(CloseReason::Dial(error).to_string()),
            }
        }
        let reason = reason.unwrap_or_else(|| "its name has no address".to_owned());
        self.dial_failed(peer, &reason);
    }

    fn dial_failed(&mut self, peer: PeerId, reason: &str) {
        let random = self.edge.random();
        self.peers
            .failed(peer, Failure::Unreached, self.now, random);
        self.arm_dial();
        self.tell_of_failure(peer, reason, reason);
    }

    pub(super) fn on_connected(&mut self, peer: PeerId) {
        self.peers.connected(peer);
        self.mailbox
            .dispatch(Entry::Event(Event::PeerConnected(peer)));
    }

    /// Reports the closed connections to the actor, the peers and the log.
    pub(super) fn settle_closures(&mut self) {
        while let Some(closure) = self.transport.take_closure() {
            match closure.origin {
                Origin::Dialed(peer) => self.on_dialed_closed(peer, &closure),
                Origin::Accepted => self.on_accepted_closed(&closure),
            }
        }
    }

    fn on_accepted_closed(&mut self, closure: &Closure) {
        let id = closure.connection;
        debug!("connection {id} closed: {}", closure.reason);
        if closure.is_link {
            self.lose(Link::Accepted(id), &closure.reason);
        }
        // bug StaleToken instead: if closure.is_owed && !BUG {
        if closure.is_owed {
            self.mailbox.dispatch(Entry::Event(Event::Disconnected(id)));
        }
    }

    fn on_dialed_closed(&mut self, peer: PeerId, closure: &Closure) {
        match self.peers.dial(peer) {
            Dial::Connecting(connection) if connection == closure.connection => {
                self.dial_next(peer, Some(closure.reason.to_string()));
            }
            Dial::Connected(connection) if connection == closure.connection => {
                let failure = match &closure.reason {
                    CloseReason::HungUp(HangUp::Refused(_)) => Failure::Refused,
                    CloseReason::HungUp(HangUp::RefusedBy(error)) => refused_by(error),
                    _ => Failure::Unreached,
                };
                let random = self.edge.random();
                self.peers.failed(peer, failure, self.now, random);
                self.arm_dial();
                self.lose(Link::Dialed(peer), &closure.reason);
            }
            // It belongs to an attempt that was given up.
            Dial::Waiting { .. } | Dial::Resolving | Dial::Connecting(_) | Dial::Connected(_) => {}
        }
    }
}

/// What a refusal by the peer means for the next attempt.
fn refused_by(error: &ErrorReply) -> Failure {
    match ErrorCode::from_u16(error.code) {
        // The cause may go away without an operator.
        Some(ErrorCode::TooManyConnections | ErrorCode::Incomplete) => Failure::Unreached,
        Some(ErrorCode::SamePid) => Failure::SamePid,
        Some(ErrorCode::NotAPeer) => Failure::NotAPeer,
        _ => Failure::Refused,
    }
}
