//! Losing peers: giving one up, and telling people once of each that is down, by the name that they gave it.
//!
//! A peer is often heard on two links, the one that this server dialed and the one that it accepted, and
//! both fall together when the peer dies. Why each was closed is kept until its `peerDisconnected` comes out of the
//! mailbox: then the actor reports whether the peer is down, or another link leads to it.

use log::{debug, warn};

use super::{
    Server,
    telling::{Line, Whom},
};
use ipseity_core::{
    actor::{Event, HangUp},
    identity::Pid,
    ids::{Link, PeerId},
};

use crate::{connection::CloseReason, edge::Edge, mailbox::Entry};

/// A link whose connection was closed.
#[derive(Debug)]
pub(super) struct Loss {
    /// The address at the other end, for people.
    address: String,
    reason: String,
    /// The reason without what differs from one time to the next.
    kind: String,
}

impl<E: Edge> Server<E> {
    /// Gives up the connection to a peer. One that does not answer is given up on every link on which it was
    /// silent as long: else it would stay up for ever on a connection that it once made.
    pub(super) fn hang_up(&mut self, peer: PeerId, cause: HangUp) {
        if let HangUp::Silent(silence) = cause {
            let links = self.actor.links();
            let pid = links.get(&Link::Dialed(peer)).and_then(|state| state.pid);
            let is_silent = |link: &Link| {
                links.get(link).is_some_and(|state| {
                    state.pid.is_some()
                        && state.pid == pid
                        && state
                            .heard_at
                            .is_some_and(|heard_at| self.now.since(heard_at) >= silence)
                })
            };
            let silent: Vec<_> = links
                .keys()
                .filter_map(|link| match link {
                    Link::Accepted(connection) if is_silent(link) => Some(*connection),
                    Link::Accepted(_) | Link::Dialed(_) => None,
                })
                .collect();
            for connection in silent {
                let cause = HangUp::Silent(silence);
                self.transport.close(connection, CloseReason::HungUp(cause));
            }
        }
        if let Some(connection) = self.peers.connection(peer) {
            self.transport.close(connection, CloseReason::HungUp(cause));
        }
    }

    /// Notes that the connection of a link was closed, and lets the actor know.
    pub(super) fn lose(&mut self, link: Link, reason: &CloseReason) {
        let loss = Loss {
            address: self.link_name(link),
            reason: reason.to_string(),
            kind: match reason {
                CloseReason::HungUp(HangUp::Silent(_)) => "silent".to_owned(),
                other => other.to_string(),
            },
        };
        self.losses.insert(link, loss);
        self.mailbox
            .dispatch(Entry::Event(Event::PeerDisconnected(link)));
    }

    /// Tells people that a peer is down: the actor reports it with the last link on which it was heard.
    pub(super) fn tell_of_loss(&mut self, link: Link, pid: Pid) {
        let Some(loss) = self.losses.remove(&link) else {
            return;
        };
        let named = self.peers.named(pid);
        if self.may_tell(Line::PeerDown, self.whom_of(pid)) {
            let name = named.map_or(&*loss.address, |peer| self.peers.name(peer));
            warn!("peer {name} (pid {pid}) is down: {}", loss.reason);
        }
        if let Some(peer) = named {
            self.peers.lost(peer);
        }
    }

    /// A link is gone. If the actor did not report that its peer is down, then nobody was heard on it, or another
    /// link leads to the same peer.
    pub(super) fn forget_loss(&mut self, link: Link) {
        let Some(loss) = self.losses.remove(&link) else {
            return;
        };
        match link {
            Link::Dialed(peer) => self.tell_of_failure(peer, &loss.reason, &loss.kind),
            Link::Accepted(_) => debug!(
                "a connection of peer {} is gone: {}",
                loss.address, loss.reason
            ),
        }
    }

    /// Tells people that a peer cannot be reached, when that is news, and when it is not up on a connection
    /// that it made itself.
    pub(super) fn tell_of_failure(&mut self, peer: PeerId, reason: &str, kind: &str) {
        let name = self.peers.name(peer);
        let pid = self.peers.pid(peer);
        if pid.is_some() && self.actor.links().values().any(|state| state.pid == pid) {
            debug!("peer {name} is up and cannot be reached: {reason}");
        } else if self.peers.is_news(peer, kind) && self.may_tell(Line::PeerDown, Whom::Named(peer))
        {
            let name = self.peers.name(peer);
            warn!("peer {name} is down: {reason}; trying again and again");
        }
    }
}
