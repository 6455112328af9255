//! Looking up names, dialing peers, hearing them, and handling connections that were closed.

use std::{io, net::SocketAddr};

use log::{debug, warn};

use super::{
    Server,
    stopping::Stopping,
    telling::{Line, Whom},
};
use ipseity_core::{
    actor::{Event, HangUp},
    identity::Pid,
    ids::{Link, NameId, PeerId},
    limits::JOIN_WAIT,
    timer::Timer,
    words::{ErrorCode, ErrorReply},
};

use crate::{
    connection::{CloseReason, Origin},
    edge::Edge,
    limits::ADDRESSES_PER_NAME_MAX,
    mailbox::Entry,
    peers::{Answer, Dial, Due, Failure, Outlook},
    transport::{Closure, Linked},
};

impl<E: Edge> Server<E> {
    /// Starts every lookup and every attempt to dial that is due.
    pub(super) fn dial_due(&mut self) {
        if self.stopping != Stopping::No {
            return;
        }
        while let Some(due) = self.peers.take_due(self.now) {
            match due {
                Due::Lookup(name) => self.edge.resolve(name, self.peers.text(name)),
                Due::Dial(peer, address) => self.dial(peer, address),
            }
        }
        self.note_all_asked();
        self.arm_dial();
    }

    /// Looks the names of peers up again, unless that was done just now: somebody says that it is a peer, and no name has
    /// its address.
    pub(super) fn look_up_again(&mut self) {
        if self.stopping != Stopping::No {
            return;
        }
        for name in self.peers.take_lookups_again(self.now) {
            self.edge.resolve(name, self.peers.text(name));
        }
        self.arm_dial();
    }

    pub(super) fn arm_dial(&mut self) {
        let due = [self.peers.next_due(), self.alone_until];
        match due.into_iter().flatten().min() {
            Some(due) => self.timers.set(Timer::Dial, due),
            None => self.timers.stop(Timer::Dial),
        }
    }

    /// Takes the addresses that were found for a name. Those that are new are dialed at once.
    #[cold]
    pub(super) fn on_resolved(&mut self, name: NameId) {
        match self.edge.resolved(name) {
            Ok(addresses) => {
                if self.peers.was_named(name) {
                    self.transport
                        .note_named(name, addresses.iter().map(SocketAddr::ip));
                }
                match addresses.is_empty() {
                    true => self.lookup_failed(name, "its name has no address"),
                    false => self.have_addresses(name, addresses),
                }
            }
            // Those whom it found the last time are still believed.
            Err(error) => self.lookup_failed(name, &cannot_look_up(&error)),
        }
        self.forget_peers();
        self.dial_due();
    }

    /// Takes the addresses of those who own the other pids. They are dialed and believed as if they had been given with
    /// `--peer`.
    #[cold]
    pub(super) fn on_owners(&mut self) {
        let owners = self.edge.owners();
        let change = self.peers.set_owners(&owners, self.now);
        for name in change.gone {
            self.transport.note_named(name, []);
        }
        for name in change.came {
            let address = self.peers.literal(name);
            self.transport
                .note_named(name, address.map(|address| address.ip()));
        }
        self.forget_peers();
        self.dial_due();
    }

    fn have_addresses(&mut self, name: NameId, addresses: Vec<SocketAddr>) {
        if let Some(left_out) = self.peers.looked_up(name, addresses, self.now) {
            let name = self.peers.text(name);
            warn!(
                event = "addressesLeftOut", peer:% = name;
                "--peer {name} has too many addresses, and {left_out} of them are not used: a name may have \
                 {ADDRESSES_PER_NAME_MAX}; name the servers behind it apart, with several --peer"
            );
        }
        self.note_all_asked();
    }

    fn lookup_failed(&mut self, name: NameId, reason: &str) {
        let random = self.edge.random();
        let is_news = self.peers.lookup_failed(name, reason, self.now, random);
        if !self.is_joining {
            self.peers.give_up_name(name);
        }
        if !self.peers.was_named(name) {
            let name = self.peers.text(name);
            debug!(
                event = "rememberedPeerDown", peer:% = name, reason:% = reason;
                "the remembered peer {name} is down: {reason}"
            );
        } else if is_news && self.may_tell(Line::PeerDown, Whom::Name(name)) {
            let name = self.peers.text(name);
            warn!(
                event = "peerDown", peer:% = name, reason:% = reason;
                "peer {name} is down: {reason}; the server keeps trying"
            );
        }
        self.note_all_asked();
    }

    fn dial(&mut self, peer: PeerId, address: SocketAddr) {
        let dialing = match self.dialing(peer) {
            Ok(dialing) => dialing,
            Err(text) => return self.dial_failed(peer, &CloseReason::Tls(text)),
        };
        let dialed = self.edge.connect(address).and_then(|socket| {
            self.transport
                .dial(&mut self.edge, socket, peer, dialing, self.now)
        });
        match dialed {
            Ok(connection) => self.peers.connecting(peer, connection),
            Err(error) => self.dial_failed(peer, &CloseReason::Dial(error)),
        }
    }

    fn dial_failed(&mut self, peer: PeerId, reason: &CloseReason) {
        self.mailbox
            .dispatch(Entry::Event(Event::PeerUnreachable(peer)));
        self.attempt_ended(peer, reason);
        let reason = reason.to_string();
        self.tell_of_failure(peer, &reason, &reason);
        self.forget_peers();
    }

    /// Notes that an attempt has failed or that a connection to a peer is gone, and plans the next attempt.
    fn attempt_ended(&mut self, peer: PeerId, reason: &CloseReason) {
        let failure = failure(reason);
        let is_first = failure == Failure::Oneself && !self.peers.is_oneself(peer);
        let random = self.edge.random();
        self.peers.failed(peer, failure, self.now, random);
        if !self.is_joining {
            self.peers.give_up(peer);
        }
        self.arm_dial();
        self.note_all_asked();
        if is_first && !self.peers.is_only_asked(peer) {
            let name = self.peers.title(peer);
            debug!(
                event = "oneself", peer:% = name;
                "--peer {name} leads to this server itself, which is passed over"
            );
        }
    }

    pub(super) fn on_connected(&mut self, peer: PeerId) {
        self.peers.connected(peer);
        self.note_all_asked();
        self.mailbox
            .dispatch(Entry::Event(Event::PeerConnected(peer)));
    }

    /// While this server joins: tells the actor when no other peer is expected to answer.
    pub(super) fn note_all_asked(&mut self) {
        if !self.is_asking {
            return;
        }
        let is_over = match self.peers.outlook() {
            Outlook::Open => {
                self.alone_until = None;
                false
            }
            // One of them may be about to start.
            Outlook::NobodyThere => {
                let until = *self.alone_until.get_or_insert(self.now.after(JOIN_WAIT));
                self.now >= until
            }
            Outlook::AllAsked => true,
        };
        if is_over {
            self.is_asking = false;
            self.alone_until = None;
            self.mailbox.dispatch(Entry::Event(Event::AllAsked));
        }
        self.arm_dial();
    }

    /// An address that nobody has named is hung up on once the peer there has answered what it was asked: while this server
    /// joined, and then that it serves.
    pub(super) fn hang_up_if_only_asked(&mut self, peer: PeerId) {
        if !self.peers.is_only_asked(peer) || !self.actor.has_told_outcome(peer) {
            return;
        }
        if let Some(connection) = self.peers.connection(peer) {
            self.transport.close(connection, CloseReason::OnlyAsked);
        }
    }

    /// Dials an address that is remembered of a peer, to hear whether a life is there.
    pub(super) fn ask_once(&mut self, address: &str) {
        let can_dial = self.transport.tls().is_none_or(|tls| tls.dials());
        if self.stopping == Stopping::No && can_dial && self.peers.ask(address.to_owned(), self.now)
        {
            self.arm_dial();
        }
    }

    /// Tells the actor which addresses are not dialed any more.
    pub(super) fn forget_peers(&mut self) {
        for peer in self.peers.forget_unnamed() {
            self.mailbox
                .dispatch(Entry::Event(Event::PeerForgotten(peer)));
        }
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
        match &closure.reason {
            CloseReason::Tls(text) => self.tell_of_handshake(id, text),
            CloseReason::HandshakesFull => self.tell_of_full_line(id),
            reason => debug!(
                event = "connectionClosed", reason:% = reason;
                "connection {id} closed: {reason}"
            ),
        }
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
            Some(Dial::Connecting(connection)) if connection == closure.connection => {
                self.dial_failed(peer, &closure.reason);
            }
            Some(Dial::Connected(connection)) if connection == closure.connection => {
                match &closure.reason {
                    CloseReason::SameServer => {
                        self.peers.park(peer, self.now);
                        self.arm_dial();
                    }
                    reason => self.attempt_ended(peer, reason),
                }
                self.lose(Link::Dialed(peer), &closure.reason);
            }
            // It belongs to an attempt that was given up.
            Some(
                Dial::Waiting { .. }
                | Dial::Starting
                | Dial::Connecting(_)
                | Dial::Connected(_)
                | Dial::Parked(_),
            )
            | None => {}
        }
    }

    /// Notes that a peer was heard, unless the actor refused it.
    pub(super) fn on_heard(&mut self, link: Link, session: u64) {
        let Some(pid) = self.link_pid(link) else {
            return;
        };
        self.note_address(pid, session, link);
        match link {
            Link::Dialed(peer) => self.on_answer(peer, pid, session),
            Link::Accepted(connection) => {
                if self.transport.set_link(connection, &mut self.mailbox) == Linked::Late {
                    // The connection was closed while its request was in the mailbox.
                    self.mailbox
                        .dispatch(Entry::Event(Event::PeerDisconnected(link)));
                }
            }
        }
    }

    /// A dialed peer has answered. One that is another address of a connected server is given up.
    fn on_answer(&mut self, peer: PeerId, pid: Pid, session: u64) {
        match self.peers.answered(peer, pid, session) {
            Answer::Again => {}
            Answer::First => self.arm_dial(),
            Answer::SameServer(given_up) => {
                if let Some(connection) = self.peers.connection(given_up) {
                    self.transport.close(connection, CloseReason::SameServer);
                }
                self.arm_dial();
            }
        }
    }
}

fn cannot_look_up(error: &io::Error) -> String {
    format!("cannot look up its name: {error}")
}

/// What the end of a connection means for the next attempt.
fn failure(reason: &CloseReason) -> Failure {
    match reason {
        CloseReason::HungUp(HangUp::Refused(error)) => match ErrorCode::from_u16(error.code) {
            Some(ErrorCode::Oneself) => Failure::Oneself,
            Some(ErrorCode::ForeignCluster) => Failure::Foreign,
            _ => Failure::Refused,
        },
        CloseReason::HungUp(HangUp::RefusedBy(error)) => refused_by(error),
        CloseReason::Dial(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Failure::NobodyThere
        }
        _ => Failure::Unreached,
    }
}

/// What a refusal by the peer means for the next attempt.
fn refused_by(error: &ErrorReply) -> Failure {
    match ErrorCode::from_u16(error.code) {
        // The cause may go away without an operator.
        Some(ErrorCode::TooManyConnections | ErrorCode::Incomplete) => Failure::Unreached,
        Some(ErrorCode::SamePid) => Failure::SamePid,
        Some(ErrorCode::Oneself) => Failure::Oneself,
        Some(ErrorCode::ForeignCluster) => Failure::Foreign,
        Some(ErrorCode::NotAPeer) => Failure::NotAPeer,
        _ => Failure::Refused,
    }
}
