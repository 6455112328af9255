//! What people are shown of the peers: the names of peers in log lines, the list in the status, and what is news.
//!
//! A name stands for one peer until servers are found behind it, and then for these. An address is not shown if it is
//! this server itself, if it is another address of a server that is shown, or if it never answered and may well be
//! such another one: because the name has led to a server by the other family of addresses.

use std::collections::BTreeMap;

use ipseity_core::{
    identity::Pid,
    ids::{NameId, PeerId},
};

use super::{Dial, Peer, Peers, Source, Told, names::Name};

/// One line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A name behind which no server was found yet.
    Name(NameId),
    /// An address.
    Peer(PeerId),
}

impl Peers {
    /// The peers that people are shown, in the order in which they were named.
    pub fn shown(&self) -> Vec<Shown> {
        let chosen = self.chosen();
        let mut shown = Vec::new();
        let by_name = self.peers_by_name();
        let named = (0..).map(NameId).zip(self.names.iter().zip(by_name));
        for (id, (name, peers)) in named.filter(|(id, _)| self.was_named(*id)) {
            if peers.iter().any(|(_, peer)| peer.pid.is_some()) {
                let is_shown = |(id, peer): &&(PeerId, &Peer)| match peer.pid {
                    Some(pid) => chosen.get(&pid) == Some(id) || peer.is_connected(),
                    None => !peer.is_oneself && !self.may_be_shown_already(peer),
                };
                let peers = peers.iter().filter(is_shown);
                shown.extend(peers.map(|(id, _)| Shown::Peer(*id)));
            } else if !name.is_over
                && (name.addresses.is_empty() || !peers.iter().all(|(_, peer)| peer.is_oneself))
            {
                shown.push(Shown::Name(id));
            }
        }
        shown
    }

    /// How many servers a start can hear: those that are shown, and those that are only remembered.
    pub fn expected(&self) -> usize {
        let is_another = |name: &&Name| {
            let is_named = |pid| self.named(pid).is_some();
            let peers = || name.addresses.iter().map(|peer| &self.peers[peer]);
            let is_known = |peer: &Peer| {
                peer.is_oneself || self.was_named(peer.name) || peer.pid.is_some_and(is_named)
            };
            !name.is_over && (name.addresses.is_empty() || !peers().all(is_known))
        };
        let remembered = self
            .names
            .iter()
            .filter(|name| name.source == Source::Memory);
        let remembered = remembered.filter(is_another);
        self.shown().len() + remembered.count()
    }

    /// For each pid that has answered where somebody has named it, the address that is shown for it: one that is connected, or else the first.
    fn chosen(&self) -> BTreeMap<Pid, PeerId> {
        let mut chosen: BTreeMap<Pid, PeerId> = BTreeMap::new();
        let named = self
            .peers
            .iter()
            .filter(|(_, peer)| self.was_named(peer.name));
        for (id, peer) in named {
            let Some(pid) = peer.pid else { continue };
            let before = chosen.get(&pid).map(|before| &self.peers[before]);
            if before.is_none_or(|before| !before.is_connected() && peer.is_connected()) {
                chosen.insert(pid, *id);
            }
        }
        chosen
    }

    /// For each name the peers that belong to it: those to which it leads and to which no other one led first, and those
    /// that are still connected although it does not lead to them any more. All in one pass, because there may be a
    /// thousand of both.
    fn peers_by_name(&self) -> Vec<Vec<(PeerId, &Peer)>> {
        let mut by_name = vec![Vec::new(); self.names.len()];
        for (id, peer) in &self.peers {
            by_name[usize::from(peer.name.0)].push((*id, peer));
        }
        by_name
    }

    /// Whether this address never answered, while its name has led to a server by the other family of addresses.
    fn may_be_shown_already(&self, peer: &Peer) -> bool {
        let answers = |other: &PeerId| {
            let other = &self.peers[other];
            other.pid.is_some() && other.address.is_ipv6() != peer.address.is_ipv6()
        };
        peer.pid.is_none() && self.name(peer.name).addresses.iter().any(answers)
    }

    /// What the peer is called: its name, `host:port`. If the name has several addresses of one family, each of them may
    /// be a server of its own, so the address stands behind it.
    pub fn title(&self, peer: PeerId) -> String {
        let Some(peer) = self.peers.get(&peer) else {
            return "an address that is not known any more".to_owned();
        };
        let name = self.name(peer.name);
        match self.has_many(peer.name) {
            true => format!("{} ({})", name.text, peer.address),
            false => name.text.clone(),
        }
    }

    /// The name, `host:port`, that led to it first. Its certificate has to be for that host.
    pub fn name_of(&self, peer: PeerId) -> &str {
        self.peers
            .get(&peer)
            .map_or("", |peer| &self.name(peer.name).text)
    }

    /// Where others can dial it too: its name, or its address if the name has several of one family.
    pub fn dialed_at(&self, peer: PeerId) -> String {
        match self.peers.get(&peer) {
            Some(peer) if self.has_many(peer.name) => peer.address.to_string(),
            _ => self.title(peer),
        }
    }

    fn has_many(&self, name: NameId) -> bool {
        let addresses = &self.name(name).addresses;
        let v6 = addresses
            .iter()
            .filter(|peer| self.peers[peer].address.is_ipv6());
        let v6 = v6.count();
        v6 > 1 || addresses.len() - v6 > 1
    }

    /// How far a peer, or a name, has come. Of a name, the address that has come furthest counts.
    pub fn progress(&self, shown: Shown) -> Progress {
        let of = |peer: &Peer| match peer.dial {
            Dial::Connected(_) => Progress::Connected,
            Dial::Starting | Dial::Connecting(_) => Progress::Connecting,
            Dial::Waiting { .. } | Dial::Parked(_) if peer.refused => Progress::Refused,
            Dial::Waiting { .. } | Dial::Parked(_) => Progress::Down,
        };
        match shown {
            Shown::Peer(peer) => self.peers.get(&peer).map_or(Progress::Down, of),
            Shown::Name(name) => {
                let addresses = &self.name(name).addresses;
                let furthest = addresses.iter().map(|peer| of(&self.peers[peer])).max();
                match self.name(name).is_being_looked_up() {
                    true => furthest.max(Some(Progress::Connecting)),
                    false => furthest,
                }
                .unwrap_or(Progress::Down)
            }
        }
    }

    /// How often a peer, or those behind a name, have refused this server or were refused.
    pub fn refusals(&self, shown: Shown) -> u64 {
        let of = |peer: &PeerId| self.peers.get(peer).map_or(0, |peer| peer.refusals);
        match shown {
            Shown::Peer(peer) => of(&peer),
            Shown::Name(name) => self.name(name).addresses.iter().map(of).sum(),
        }
    }

    /// Whether to log that an attempt failed for `reason`: not if the last line about this peer said so too, if there is
    /// still hope that the next address of the name is that of the same server, or if that has answered already.
    pub fn is_news(&mut self, id: PeerId, reason: &str) -> bool {
        let Some(peer) = self.peers.get(&id) else {
            return false;
        };
        if peer.is_oneself || self.may_be_shown_already(peer) || self.has_untried(id, peer) {
            return false;
        }
        let is_told_of_other = !self.has_many(peer.name)
            && self.name(peer.name).addresses.iter().any(|other| {
                *other != id && self.peers[other].told == Some(Told::Unreached(reason.to_owned()))
            });
        let Some(peer) = self.peers.get_mut(&id) else {
            return false;
        };
        let news = match &peer.told {
            None => !is_told_of_other,
            // Only an operator can resolve a refusal.
            Some(Told::Lost) => peer.refused,
            Some(Told::Unreached(told)) => told != reason,
        };
        if news || peer.told.is_none() {
            peer.told = Some(Told::Unreached(reason.to_owned()));
        }
        news
    }

    /// Whether a server that has never answered here may still be reached at another address of the name, for the
    /// first time.
    fn has_untried(&self, id: PeerId, peer: &Peer) -> bool {
        let is_untried = |other: &PeerId| {
            let is_other = *other != id;
            let other = &self.peers[other];
            is_other && other.failures == 0 && other.pid.is_none()
        };
        peer.pid.is_none()
            && !self.has_many(peer.name)
            && self.name(peer.name).addresses.iter().any(is_untried)
    }
}

/// How far a peer has come, in words for people. What is greater is further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// It was not reached.
    Down,
    /// One of the two has refused the other.
    Refused,
    /// It is being reached.
    Connecting,
    /// There is a connection.
    Connected,
}
