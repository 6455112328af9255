//! Joining: a server that starts asks its peers whether they know of anything that speaks against it, and
//! hands out nothing before. Who asks for identities meanwhile waits, and is answered in order when it is
//! decided.

use std::collections::{BTreeSet, VecDeque};

use super::{ActorConfig, ConnectionId, Effect, PeerId, Report, line::Line};
use crate::identity::Sequence;

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
    /// Requests that wait for the peers; bounded by the frames that the server keeps in flight.
    waiting: Line<Waiting>,
}

/// What waits until it is decided whether this server hands out identities.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A request for identities.
    Request { count: u32, after: u64 },
    /// An operator's word.
    Advance { above: Sequence },
    /// The answer to something that the same connection asked behind one.
    Answer(Effect),
}

impl Join {
    pub(super) fn new(config: &ActorConfig) -> Join {
        Join {
            peers: config.peers,
            requires_peer: config.join_requires_peer,
            answered: BTreeSet::new(),
            decided: BTreeSet::new(),
            waiting: Line::new(),
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

    /// Whether something waits that came on that connection.
    pub(super) fn has(&self, connection: ConnectionId) -> bool {
        self.waiting.has(connection)
    }

    /// Lets something wait.
    pub(super) fn wait(&mut self, from: ConnectionId, waiting: Waiting) {
        self.waiting.push(from, waiting);
    }

    /// All that waits, in its order.
    pub(super) fn take_waiting(&mut self) -> VecDeque<(ConnectionId, Waiting)> {
        self.waiting.take_all()
    }
}
