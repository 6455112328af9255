//! The names: when each is looked up, and what becomes of the addresses that are found.

use std::{collections::BTreeSet, net::SocketAddr};

use ipseity_core::{
    ids::{NameId, PeerId},
    time::Instant,
};

use super::{Asked, Dial, Peer, Peers, backoff};
use crate::limits::{
    ADDRESSES_PER_NAME_MAX, DIALED_MAX, LOOKUP_AGAIN_MIN, LOOKUP_INTERVAL, LOOKUP_INTERVAL_JOINING,
    LOOKUPS_AGAIN_MAX, NAMES_JOINING_MAX,
};

/// Who says that there is a peer. Of two names that lead to one address, the one of the earlier source counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// An operator, with `--peer`.
    Given,
    /// The store, where the owner of a pid has put its address.
    Owner,
    /// The memory of this server. It is only asked.
    Memory,
}

/// One name: as it was given with `--peer`, an owner's address, or an address that is only remembered.
#[derive(Debug)]
pub(super) struct Name {
    /// `host:port`.
    pub(super) text: String,
    pub(super) source: Source,
    lookup: Lookup,
    /// What it leads to, in the order in which the addresses are tried.
    pub(super) addresses: Vec<PeerId>,
    /// No attempt at one of its addresses begins before this moment.
    pub(super) held_until: Instant,
    looked_up_at: Instant,
    /// Lookups in a row that led to no connection.
    fruitless: u32,
    /// The reason that was last logged why it cannot be looked up.
    told: Option<String>,
    /// It was logged that it has too many addresses.
    pub(super) has_told_excess: bool,
    /// It was not given, and is not asked any more. Its place is free once no lookup of it is under way.
    pub(super) is_over: bool,
}

/// How a name is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookup {
    /// Never: it is an address.
    Never,
    /// It is due at this moment.
    Due(Instant),
    /// It is under way.
    UnderWay,
}

impl Name {
    pub(super) fn due(&self) -> Option<Instant> {
        match self.lookup {
            Lookup::Due(at) => Some(at),
            Lookup::Never | Lookup::UnderWay => None,
        }
    }

    /// It is not asked any more.
    pub(super) fn end(&mut self) {
        self.addresses.clear();
        self.is_over = true;
        if self.lookup != Lookup::UnderWay {
            self.lookup = Lookup::Never;
        }
    }

    /// Whether the last lookup was in vain.
    pub(super) const fn has_failed(&self) -> bool {
        self.fruitless > 0
    }

    pub(super) fn is_being_looked_up(&self) -> bool {
        self.lookup == Lookup::UnderWay
    }
}

impl Peers {
    /// Puts a name into its place: at the end, or where one was that is over. It is due at once.
    pub(super) fn add_name(&mut self, id: NameId, text: String, source: Source, now: Instant) {
        let address = text.parse().ok();
        let name = Name {
            text,
            source,
            lookup: match address {
                Some(_) => Lookup::Never,
                None => Lookup::Due(now),
            },
            addresses: Vec::new(),
            held_until: Instant::START,
            looked_up_at: Instant::START,
            fruitless: 0,
            told: None,
            has_told_excess: false,
            is_over: false,
        };
        match self.names.get_mut(usize::from(id.0)) {
            Some(place) => *place = name,
            None => self.names.push(name),
        }
        if let Some(address) = address {
            let peer = self.peer_at(address, id, now);
            self.names[usize::from(id.0)].addresses.extend(peer);
        }
    }

    /// The names that were given, in their order, and then those of owners.
    pub fn ids(&self) -> Vec<NameId> {
        let places = 0..self.names.len() as u16;
        let named = places.map(NameId).filter(|name| {
            let name = self.name(*name);
            name.source != Source::Memory && !name.is_over
        });
        named.collect()
    }

    /// A free place for a name of this source, if there are fewer than `most` of its places. Each source keeps to its own.
    pub(super) fn place_for(&self, source: Source, most: usize) -> Option<NameId> {
        let is_used = |index| {
            let is_first = |peer: &Peer| usize::from(peer.name.0) == index;
            self.peers.values().any(is_first)
        };
        let places = || {
            let places = self.names.iter().enumerate();
            places.filter(|(_, name)| name.source == source)
        };
        let mut over = places().filter(|(_, name)| name.is_over && !name.is_being_looked_up());
        let free = over.find(|(index, _)| !is_used(*index));
        let index = match free {
            Some((index, _)) => index,
            None if places().count() < most => self.names.len(),
            None => return None,
        };
        Some(NameId(index as u16))
    }

    /// The address that was given in the place of a name, if it was. It needs no lookup.
    pub fn literal(&self, name: NameId) -> Option<SocketAddr> {
        self.text(name).parse().ok()
    }

    /// The name as it was given, `host:port`.
    pub fn text(&self, name: NameId) -> &str {
        &self.name(name).text
    }

    pub(super) fn name(&self, name: NameId) -> &Name {
        &self.names[usize::from(name.0)]
    }

    fn name_mut(&mut self, name: NameId) -> &mut Name {
        &mut self.names[usize::from(name.0)]
    }

    pub(super) fn take_lookup(&mut self, now: Instant) -> Option<NameId> {
        let is_due = |name: &Name| name.due().is_some_and(|due| due <= now);
        let index = self.names.iter().position(is_due)?;
        self.names[index].lookup = Lookup::UnderWay;
        Some(NameId(index as u16))
    }

    /// Somebody says that it is a peer, and no name has its address. Takes the names that are to be looked up again: only
    /// some at a time, in turn, and none if it is too soon. There is never a second lookup of a name beside the first.
    pub fn take_lookups_again(&mut self, now: Instant) -> Vec<NameId> {
        let is_soon = |at| now.since(at) < LOOKUP_AGAIN_MIN;
        if self.looked_again_at.is_some_and(is_soon) {
            return Vec::new();
        }
        self.looked_again_at = Some(now);
        let count = self.names.len();
        let under_way = self.names.iter().filter(|name| name.is_being_looked_up());
        let room = LOOKUPS_AGAIN_MAX.saturating_sub(under_way.count());
        let turns = (self.next_again..self.next_again + count).map(|turn| turn % count);
        let again: Vec<usize> = turns
            .filter(|index| {
                let name = &self.names[*index];
                name.source != Source::Memory && name.due().is_some()
            })
            .take(room)
            .collect();
        if let Some(last) = again.last() {
            self.next_again = (last + 1) % count;
        }
        for index in &again {
            self.names[*index].lookup = Lookup::UnderWay;
        }
        let ids = again.into_iter().map(|index| NameId(index as u16));
        ids.collect()
    }

    /// Notes the addresses that a lookup has found. Those that are new are due at once, one after the other. One that is
    /// not there any more is dialed no more, but a connection to it stays. Returns how many are left out because there
    /// are too many, if that was not logged before.
    pub fn looked_up(
        &mut self,
        name: NameId,
        found: impl IntoIterator<Item = SocketAddr>,
        now: Instant,
    ) -> Option<usize> {
        if self.ends_lookup(name) {
            return None;
        }
        let found = self.admit(interleave(found));
        let count = found.len();
        let mut addresses = Vec::new();
        // bug OnlyFirstAddress: let found = if BUG { found.into_iter().take(1).collect() } else { found };
        for address in found.into_iter().take(ADDRESSES_PER_NAME_MAX) {
            addresses.extend(self.peer_at(address, name, now));
        }
        let left_out = count - addresses.len();
        for (id, peer) in &mut self.peers {
            if !addresses.contains(id) {
                peer.names.retain(|leads_here| *leads_here != name);
            }
        }
        // One of the addresses may be that of this server.
        let is_too_few = self.needed.is_some_and(|needed| addresses.len() <= needed);
        let interval = match is_too_few && self.ids().len() <= NAMES_JOINING_MAX {
            true => LOOKUP_INTERVAL_JOINING,
            false => LOOKUP_INTERVAL,
        };
        let name = self.name_mut(name);
        name.addresses = addresses;
        name.lookup = Lookup::Due(now.after(interval));
        name.looked_up_at = now;
        name.told = None;
        let is_news = left_out > 0 && !std::mem::replace(&mut name.has_told_excess, true);
        is_news.then_some(left_out)
    }

    /// Puts the addresses that are known already in front if there are too many. Otherwise a name whose addresses come
    /// in another order each time would lead to others each time.
    fn admit(&self, mut found: Vec<SocketAddr>) -> Vec<SocketAddr> {
        if found.len() > ADDRESSES_PER_NAME_MAX {
            found.sort_by_key(|address| self.find(*address).is_none());
        }
        found
    }

    pub(super) fn find(&self, address: SocketAddr) -> Option<PeerId> {
        let mut peers = self.peers.iter();
        let at = peers.find(|(_, peer)| peer.address == address);
        at.map(|(id, _)| *id)
    }

    /// The peer with this address, to which this name leads; a new one if there is none yet. `None` if there are too
    /// many.
    fn peer_at(&mut self, address: SocketAddr, name: NameId, now: Instant) -> Option<PeerId> {
        if let Some(id) = self.find(address) {
            let peer = self.peers.get_mut(&id)?;
            if !peer.names.contains(&name) {
                peer.names.push(name);
            }
            let source = |name: NameId| self.names[usize::from(name.0)].source;
            if source(name) < source(peer.name) {
                peer.name = name;
            }
            return Some(id);
        }
        if self.peers.len() >= DIALED_MAX {
            return None;
        }
        let id = self.next;
        self.next = PeerId(id.0.checked_add(1)?);
        self.peers.insert(
            id,
            Peer {
                address,
                name,
                names: vec![name],
                dial: Dial::Waiting { due: now },
                failures: 0,
                refused: false,
                refusals: 0,
                asked: Asked::NotYet,
                is_oneself: false,
                pid: None,
                session: None,
                told: None,
            },
        );
        Some(id)
    }

    /// A lookup is over. Returns whether its name is over too, so that nobody wants the result.
    fn ends_lookup(&mut self, name: NameId) -> bool {
        let name = self.name_mut(name);
        if name.is_over {
            name.lookup = Lookup::Never;
        }
        name.is_over
    }

    /// Notes that a lookup has failed, and sets the time of the next one. What was found before stays. Returns whether
    /// to log it for this reason: not if the last line about this name said so too, or if one of its addresses is
    /// connected.
    pub fn lookup_failed(&mut self, name: NameId, reason: &str, now: Instant, random: u64) -> bool {
        if self.ends_lookup(name) {
            return false;
        }
        let is_up = self.is_up(name);
        let name = self.name_mut(name);
        name.lookup = Lookup::Due(now.after(backoff(name.fruitless, random)));
        name.looked_up_at = now;
        name.fruitless = name.fruitless.saturating_add(1);
        !is_up && name.told.replace(reason.to_owned()).as_deref() != Some(reason)
    }

    /// Whether one of the addresses of a name is connected.
    fn is_up(&self, name: NameId) -> bool {
        let addresses = &self.name(name).addresses;
        addresses.iter().any(|peer| self.peers[peer].is_connected())
    }

    /// A peer has answered, so the lookups that led to it were good.
    pub(super) fn reached(&mut self, peer: PeerId) {
        for name in self.peers[&peer].names.clone() {
            self.name_mut(name).fruitless = 0;
        }
    }

    /// When none of the addresses of a name can be reached, the name is looked up again: it may lead elsewhere by now.
    /// The waits between such lookups grow like those between attempts.
    pub(super) fn look_up_soon(&mut self, failed: PeerId, now: Instant, random: u64) {
        for id in self.peers[&failed].names.clone() {
            let has_failed = |peer: &PeerId| {
                let peer = &self.peers[peer];
                !peer.is_connected() && peer.failures > 0
            };
            let all_failed = self.name(id).addresses.iter().all(has_failed);
            let name = self.name_mut(id);
            let Some(due) = name.due().filter(|_| all_failed) else {
                continue;
            };
            let soon = name.looked_up_at.after(backoff(name.fruitless, random));
            if soon < due {
                name.fruitless = name.fruitless.saturating_add(1);
                name.lookup = Lookup::Due(soon.max(now));
            }
        }
    }
}

/// The addresses in the order in which they are tried: IPv6 and IPv4 in turn, beginning with the family of the first
/// one, and each family in its own order (RFC 8305, section 4). Each address is there once.
fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = BTreeSet::new();
    let mut left: Vec<SocketAddr> = addresses
        .into_iter()
        .filter(|address| seen.insert(*address))
        .collect();
    let Some(mut v6) = left.first().map(SocketAddr::is_ipv6) else {
        return left;
    };
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let next = left.iter().position(|address| address.is_ipv6() == v6);
        // When one family is used up, the rest of the other follows.
        ordered.push(left.remove(next.unwrap_or(0)));
        v6 = !v6;
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_families_take_turns_and_that_of_the_first_address_begins() {
        let mixed = [
            "1.0.0.1:1",
            "1.0.0.2:1",
            "[::1]:1",
            "1.0.0.1:1",
            "[::2]:1",
            "[::3]:1",
        ];
        assert_eq!(
            interleave(addresses(&mixed)),
            addresses(&["1.0.0.1:1", "[::1]:1", "1.0.0.2:1", "[::2]:1", "[::3]:1"])
        );
        let v6_first = ["[::1]:1", "[::2]:1", "1.0.0.1:1"];
        assert_eq!(
            interleave(addresses(&v6_first)),
            addresses(&["[::1]:1", "1.0.0.1:1", "[::2]:1"])
        );
        assert_eq!(interleave([]), []);
    }
}
