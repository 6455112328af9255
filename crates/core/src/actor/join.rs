//! Joining: a server that starts first asks its peers whether they object to it. It hands out nothing until then.
//! Requests for identities wait meanwhile (see [`waiting`](super::waiting)).

use std::collections::BTreeSet;

use super::{ActorConfig, PeerId, Report};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Join {
    /// How many peers were named.
    peers: usize,
    requires_peer: bool,
    /// The named peers that have checked this server and did not object.
    answered: BTreeSet<PeerId>,
    /// The same, and the named peers that turned out not to be peers.
    decided: BTreeSet<PeerId>,
}

impl Join {
    pub(super) fn new(config: &ActorConfig) -> Join {
        Join {
            peers: config.peers,
            requires_peer: config.join_requires_peer,
            answered: BTreeSet::new(),
            decided: BTreeSet::new(),
        }
    }

    /// A named peer has checked this server and did not object.
    pub(super) fn answered(&mut self, peer: PeerId) {
        self.answered.insert(peer);
        self.decided.insert(peer);
    }

    /// A named server is not a peer and will not become one. It is not waited for.
    pub(super) fn rule_out(&mut self, peer: PeerId) {
        self.decided.insert(peer);
    }

    /// Whether no other answer can make a difference.
    pub(super) fn is_complete(&self) -> bool {
        self.decided.len() >= self.peers && self.is_enough()
    }

    /// Whether enough peers have answered to serve when the time is over.
    pub(super) fn is_enough(&self) -> bool {
        !self.requires_peer || !self.answered.is_empty()
    }

    /// What people are told when joining is over.
    pub(super) fn report(&self) -> Report {
        Report::Joined {
            answered: self.answered.len(),
            asked: self.peers,
        }
    }
}
