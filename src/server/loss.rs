//! Losing peers: giving up a peer, and logging once for each peer that is down, with the name it was given.
//!
//! A peer is often heard on two links: the one that this server dialed and the one that it accepted. When the peer
//! dies both are lost. The reason why each was closed is kept until its `peerDisconnected` is handled. Then the actor
//! reports that the peer is down, or it is still heard on another link.

use log::{debug, warn};

use super::{
    Server, Stopping,
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
    /// The address at the other end, for log lines.
    address: String,
    reason: String,
    /// The reason, without the parts that differ each time.
    kind: String,
}

impl<E: Edge> Server<E> {
    /// Gives up the connection to a peer. A peer that does not answer is given up on every link on which it was
    /// silent for as long. Otherwise it would count as up for ever, because of a connection that it once made.
    pub(super) fn hang_up(&mut self, peer: PeerId, cause: HangUp) {
        if let HangUp::Silent(silence) = cause {
            let links = self.actor.links();
            // It may have said nothing yet on this connection, but on one before.
            let pid = links.get(&Link::Dialed(peer)).and_then(|state| state.pid);
            let pid = pid.or_else(|| self.peers.pid(peer));
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

    /// Notes that the connection of a link was closed, and dispatches an event for the actor.
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

    /// Logs that a peer is down. The actor reports this when the last link to the peer is gone.
    pub(super) fn tell_of_loss(&mut self, link: Link, pid: Pid) {
        let Some(loss) = self.losses.remove(&link) else {
            return;
        };
        let named = self.peers.named(pid);
        if let Link::Dialed(peer) = link
            && named.is_none()
            && self.peers.is_only_asked(peer)
        {
            debug!(
                event = "rememberedPeerDown", peer:% = loss.address, pid = pid.get(), reason:% = loss.reason;
                "peer {} (pid {pid}) is gone: {}",
                loss.address,
                loss.reason
            );
        } else if self.may_tell(Line::PeerDown, self.whom_of(pid)) {
            let name = named.map_or(loss.address, |peer| self.peers.title(peer));
            warn!(
                event = "peerDown", peer:% = name, pid = pid.get(), reason:% = loss.reason;
                "peer {name} (pid {pid}) is down: {}",
                loss.reason
            );
        }
        if let Some(peer) = named {
            self.peers.lost(peer);
        }
    }

    /// Forgets a link that is gone. If the actor did not report that its peer is down, no peer was heard on it, or
    /// the same peer is heard on another link.
    pub(super) fn forget_loss(&mut self, link: Link) {
        let Some(loss) = self.losses.remove(&link) else {
            return;
        };
        match link {
            Link::Dialed(peer) => self.tell_of_failure(peer, &loss.reason, &loss.kind),
            Link::Accepted(_) => debug!(
                event = "peerConnectionClosed", peer:% = loss.address, reason:% = loss.reason;
                "a connection of peer {} is gone: {}",
                loss.address, loss.reason
            ),
        }
    }

    /// Logs that a peer cannot be reached, if that is news and the peer is not up on a connection that it made
    /// itself.
    pub(super) fn tell_of_failure(&mut self, peer: PeerId, reason: &str, kind: &str) {
        let name = self.peers.title(peer);
        let pid = self.peers.pid(peer);
        if pid.is_some() && self.actor.links().values().any(|state| state.pid == pid) {
            debug!(
                event = "peerConnectionClosed", peer:% = name, reason:% = reason;
                "peer {name} is up, on another connection: {reason}"
            );
        } else if matches!(self.stopping, Stopping::Over(_)) {
            debug!(
                event = "peerDown", peer:% = name, reason:% = reason;
                "peer {name} is down, and this server ends: {reason}"
            );
        } else if self.peers.is_only_asked(peer) {
            debug!(
                event = "rememberedPeerDown", peer:% = name, reason:% = reason;
                "the remembered peer {name} is down: {reason}"
            );
        } else if self.peers.is_news(peer, kind) && self.may_tell(Line::PeerDown, Whom::Named(peer))
        {
            warn!(
                event = "peerDown", peer:% = name, reason:% = reason;
                "peer {name} is down: {reason}; the server keeps trying"
            );
        }
    }
}
