//! Addresses that are remembered of peers and that nobody has named: they are asked while this server joins, and when the
//! guard wants to hear once whether a life is there. Each takes the place of a name for as long as it is asked.

use ipseity_core::{
    ids::{NameId, PeerId},
    time::Instant,
};

use super::{Dial, Name, Peers, Source};
use crate::limits::REMEMBERED_DIALED_MAX;

/// Which of the remembered addresses are asked besides those that were named: each once, not its own, and not more than
/// [`REMEMBERED_DIALED_MAX`].
pub fn to_ask<'a>(
    named: &[String],
    own: &str,
    remembered: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let mut asked: Vec<String> = Vec::new();
    for address in remembered {
        let is_known = address == own || named.iter().chain(&asked).any(|other| other == address);
        if !is_known && asked.len() < REMEMBERED_DIALED_MAX {
            asked.push(address.to_owned());
        }
    }
    asked
}

impl Peers {
    /// Dials an address that is remembered of a peer. Returns false if too many are dialed already.
    pub fn ask(&mut self, text: String, now: Instant) -> bool {
        self.hurry(&text, now);
        if self
            .names
            .iter()
            .any(|name| name.source != Source::Given && !name.is_over && name.text == text)
        {
            return true;
        }
        let place = self.place_for(Source::Memory, REMEMBERED_DIALED_MAX);
        if let Some(place) = place {
            self.add_name(place, text, Source::Memory, now);
        }
        place.is_some()
    }

    /// The names of addresses that are only remembered, also those that are over.
    fn remembered(&self) -> impl Iterator<Item = NameId> + use<> {
        let is_remembered = |name: &Name| name.source == Source::Memory;
        let are: Vec<bool> = self.names.iter().map(is_remembered).collect();
        let places = (0..).map(NameId).zip(are);
        places.filter_map(|(name, is_remembered)| is_remembered.then_some(name))
    }

    /// An address that is dialed already may be waiting for its next attempt. Somebody wants to know now who is there.
    fn hurry(&mut self, text: &str, now: Instant) {
        let known = text.parse().ok().and_then(|address| self.find(address));
        if let Some(peer) = known.and_then(|id| self.peers.get_mut(&id))
            && let Dial::Waiting { due } = &mut peer.dial
        {
            *due = now.min(*due);
        }
    }

    /// This server asks its peers whether it may use its pid, and so many must accept it.
    pub fn begin_join(&mut self, needed: usize) {
        self.needed = Some(needed);
    }

    /// This server has decided whether it may use its pid. The remembered addresses are not dialed again, but those that
    /// are connected stay for now.
    pub fn end_join(&mut self) {
        self.needed = None;
        for name in self.remembered() {
            self.drop_name(name);
        }
    }

    /// An address that is only remembered is not dialed again.
    pub fn give_up(&mut self, peer: PeerId) {
        for name in self.remembered() {
            let addresses = &mut self.names[usize::from(name.0)].addresses;
            addresses.retain(|other| *other != peer);
            if addresses.is_empty() && self.leads(name, peer) {
                self.drop_name(name);
            }
        }
        if let Some(peer) = self.peers.get_mut(&peer) {
            let source = |name: &NameId| self.names[usize::from(name.0)].source;
            peer.names.retain(|name| source(name) != Source::Memory);
        }
    }

    fn leads(&self, name: NameId, peer: PeerId) -> bool {
        self.peers
            .get(&peer)
            .is_some_and(|peer| peer.names.contains(&name))
    }

    /// A name that could not be looked up is not tried again, if it is only remembered.
    pub fn give_up_name(&mut self, name: NameId) {
        if !self.was_named(name) {
            self.drop_name(name);
        }
    }

    pub(super) fn drop_name(&mut self, id: NameId) {
        for peer in self.peers.values_mut() {
            peer.names.retain(|name| *name != id);
        }
        self.names[usize::from(id.0)].end();
    }

    /// Whether this name was given with `--peer`, or is that of an owner.
    pub fn was_named(&self, name: NameId) -> bool {
        self.name(name).source != Source::Memory
    }

    /// Whether nobody has named this address: it is only asked.
    pub fn is_only_asked(&self, peer: PeerId) -> bool {
        self.peers
            .get(&peer)
            .is_some_and(|peer| !self.was_named(peer.name))
    }

    /// Forgets the addresses to which no name leads any more, unless there is a connection. Returns which.
    pub fn forget_unnamed(&mut self) -> Vec<PeerId> {
        let is_idle = |dial| matches!(dial, Dial::Waiting { .. } | Dial::Parked(_));
        let gone = self
            .peers
            .extract_if(.., |_, peer| peer.names.is_empty() && is_idle(peer.dial));
        gone.map(|(id, _)| id).collect()
    }
}
