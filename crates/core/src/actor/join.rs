//! Joining: every server that has peers first asks them whether it may use its pid. It hands out nothing until then.
//! Requests for identities wait meanwhile (see [`waiting`](super::waiting)).

use std::collections::{BTreeMap, BTreeSet};

use super::{ActorConfig, PeerId, Report};
use crate::{identity::Pid, words::JoinStatus};

/// How many peers must accept a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinMode {
    /// Those that can answer. If none can, the server serves all the same.
    Prefer,
    /// At least one.
    Require,
    /// More than half of the other servers of a cluster of this size. Each has one vote, whatever the number of its
    /// addresses.
    Majority {
        /// How many servers the cluster has, this one included.
        cluster_size: usize,
    },
}

impl JoinMode {
    /// How many votes are needed.
    pub const fn needed(self) -> usize {
        match self {
            JoinMode::Prefer => 0,
            JoinMode::Require => 1,
            // More than half of the others. This server cannot count: a copy of its directory could too.
            JoinMode::Majority { cluster_size } => cluster_size.saturating_sub(1) / 2 + 1,
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Join {
    mode: JoinMode,
    /// The dialed peers that have accepted this server.
    accepted: BTreeMap<PeerId, Voter>,
    /// Those of them that have made its claim durable.
    confirmed: BTreeSet<PeerId>,
    /// The dialed peers that could not be reached.
    unreachable: BTreeSet<PeerId>,
    /// No other answer is expected. Which names lead to which peers, and who can still answer, the server knows.
    all_asked: bool,
}

/// A peer that has accepted this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Voter {
    pub(super) pid: Pid,
    /// Its acceptance counts where votes are counted.
    pub(super) votes: bool,
}

impl Join {
    pub(super) fn new(config: &ActorConfig) -> Join {
        Join {
            mode: config.join_mode,
            accepted: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            unreachable: BTreeSet::new(),
            all_asked: false,
        }
    }

    /// A dialed peer has accepted this server. Returns whether it is the first.
    pub(super) fn accepted(&mut self, peer: PeerId, voter: Voter) -> bool {
        self.unreachable.remove(&peer);
        self.accepted.insert(peer, voter);
        self.accepted.len() == 1
    }

    pub(super) fn has_accepted(&self, peer: PeerId) -> bool {
        self.accepted.contains_key(&peer)
    }

    /// A dialed peer has made the claim of this server durable.
    pub(super) fn confirmed(&mut self, peer: PeerId) {
        if self.accepted.contains_key(&peer) {
            self.confirmed.insert(peer);
        }
    }

    /// A dialed server is not a peer and will not become one.
    pub(super) fn rule_out(&mut self, peer: PeerId) {
        self.accepted.remove(&peer);
    }

    /// A peer is dialed no more.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.accepted.remove(&peer);
        self.confirmed.remove(&peer);
        self.unreachable.remove(&peer);
    }

    /// No other answer is expected.
    pub(super) const fn all_asked(&mut self) {
        self.all_asked = true;
    }

    /// A dialed peer could not be reached.
    pub(super) fn unreachable(&mut self, peer: PeerId) {
        self.unreachable.insert(peer);
    }

    /// Whether no other answer can make a difference.
    pub(super) fn is_complete(&self) -> bool {
        self.all_asked && self.is_enough()
    }

    /// Whether enough peers have accepted this server for it to claim its pid when the time is over.
    pub(super) fn is_enough(&self) -> bool {
        self.votes(|_| true) >= self.mode.needed()
    }

    /// Whether nobody has accepted this server: there is nobody to tell a claim.
    pub(super) fn is_alone(&self) -> bool {
        self.accepted.is_empty()
    }

    /// Whether all that accepted this server, and can still be reached, have made its claim durable. One that answered at
    /// several addresses is asked at one of them only.
    pub(super) fn is_confirmed(&self) -> bool {
        let confirmed = self.pids(|peer| self.confirmed.contains(peer), |_| true);
        let is_reached = |peer: &PeerId| !self.unreachable.contains(peer);
        self.is_confirmed_enough() && self.pids(is_reached, |_| true).is_subset(&confirmed)
    }

    /// Whether enough peers have made the claim durable for it to serve when the time is over.
    pub(super) fn is_confirmed_enough(&self) -> bool {
        // bug ServesUnconfirmed: return true;
        self.votes(|peer| self.confirmed.contains(peer)) >= self.mode.needed()
    }

    /// How many of these peers count. Where a majority is asked for, only votes do; each pid has one.
    fn votes(&self, of: impl Fn(&PeerId) -> bool) -> usize {
        let counts = |voter: &Voter| match self.mode {
            JoinMode::Prefer | JoinMode::Require => true,
            JoinMode::Majority { .. } => voter.votes,
        };
        self.pids(of, counts).len()
    }

    /// The pids of the peers that have accepted this server, of which both are true. Each is counted once, at however many
    /// addresses it was dialed.
    fn pids(&self, of: impl Fn(&PeerId) -> bool, counts: impl Fn(&Voter) -> bool) -> BTreeSet<Pid> {
        let accepted = self.accepted.iter();
        let of_these = accepted.filter(|(peer, voter)| of(peer) && counts(voter));
        of_these.map(|(_, voter)| voter.pid).collect()
    }

    /// How far the start has come, as people are told while it lasts.
    pub(super) fn status(&self) -> JoinStatus {
        JoinStatus {
            accepted: self.votes(|_| true) as u32,
            confirmed: self.votes(|peer| self.confirmed.contains(peer)) as u32,
            needed: self.mode.needed() as u32,
        }
    }

    /// What people are told when joining is over.
    pub(super) fn report(&self) -> Report {
        Report::Joined {
            answered: self.pids(|_| true, |_| true).len(),
        }
    }
}
