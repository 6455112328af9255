//! Joining: a server that starts asks its peers whether they know of anything that speaks against it, and
//! hands out nothing before. Who asks for identities meanwhile waits (see [`waiting`](super::waiting)).

use std::collections::BTreeSet;

use super::{ActorConfig, PeerId, Report};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Join {
    /// How many peers were named.
    peers: usize,
    requires_peer: bool,
    /// The named peers that have judged this server and not objected.
    answered: BTreeSet<PeerId>,
    /// Those, and the named peers that turned out to be no peers.
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

    /// A named peer has judged this server and did not object.
    pub(super) fn answered(&mut self, peer: PeerId) {
        self.answered.insert(peer);
        self.decided.insert(peer);
    }

    /// A named peer is no peer, and will not become one: it is not waited for.
    pub(super) fn is_none(&mut self, peer: PeerId) {
        self.decided.insert(peer);
    }

    /// Whether nobody is left whose answer would matter.
    pub(super) fn is_complete(&self) -> bool {
        self.decided.len() >= self.peers && self.is_enough()
    }

    /// Whether those that have answered are enough, if time does not allow for more.
    pub(super) fn is_enough(&self) -> bool {
        !self.requires_peer || !self.answered.is_empty()
    }

    /// What people should hear when it is over.
    pub(super) fn report(&self) -> Report {
        Report::Joined {
            answered: self.answered.len(),
            asked: self.peers,
        }
    }
}
