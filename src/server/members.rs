//! The content of a membersReply. The actor knows the pids; the addresses are added here.

use std::sync::Arc;

use super::Server;
use ipseity_core::{
    actor::Known,
    address::HostPort,
    identity::Pid,
    ids::Link,
    limits::{LIVES_PER_PID_MAX, REMEMBERED_MAX},
    words::{Grant, Grants, Member, Members, Message, SyncMessage},
};

use crate::{edge::Edge, limits::STRANGERS_LIST_MAX};

/// Where one process was last heard.
#[derive(Debug)]
pub(super) struct Heard {
    session: u64,
    /// The link, while it exists.
    link: Option<Link>,
    /// Where the other end of the link is, with its port. It tells apart two servers on one machine.
    address: Arc<str>,
    /// What `members` shows. It never has the port from which a peer connected, because nobody can dial that one.
    shown: Address,
}

/// A process that has just spoken, and where it says that it can be dialed.
#[derive(Debug)]
pub(super) struct Speaker {
    session: u64,
    /// As it has said it. It is seldom needed, so it is read only then.
    advertise: Box<str>,
}

impl Speaker {
    /// The one that has sent this, if it tells an address.
    pub(super) fn of(sync: &SyncMessage) -> Option<Speaker> {
        (!sync.advertise.is_empty()).then(|| Speaker {
            session: sync.session,
            advertise: sync.advertise.as_str().into(),
        })
    }

    /// Where it can be dialed, if what it tells can be.
    fn listens_at(&self) -> Option<Arc<str>> {
        let told: HostPort = self.advertise.parse().ok()?;
        told.is_dialable().then(|| told.to_string().into())
    }
}

/// Where people are told that a process is.
#[derive(Clone, Debug)]
enum Address {
    /// It was dialed there: a name, or an address, with its port.
    Dialed(Arc<str>),
    /// It says that it can be dialed there.
    Told(Arc<str>),
    /// It connected from this host, and nobody has told at which port it listens.
    Host(Arc<str>),
}

impl Address {
    fn text(&self) -> Arc<str> {
        match self {
            Address::Dialed(text) | Address::Told(text) | Address::Host(text) => Arc::clone(text),
        }
    }
}

impl<E: Edge> Server<E> {
    /// The answer to a membersRequest for the pids from `first` on. Only an operator gets all of them in one answer.
    pub(super) fn member_list(&self, first: Pid, asker: Grants) -> Message {
        let known = self.actor.members().range(first..);
        let total = known.clone().count() as u32;
        let most = match asker.has(Grant::Operate) {
            true => REMEMBERED_MAX,
            false => STRANGERS_LIST_MAX,
        };
        let members: Vec<Member> = known
            .take(most)
            .map(|(pid, known)| self.member(*pid, known, asker))
            .collect();
        Message::MembersReply(Box::new(Members { total, members }))
    }

    fn member(&self, pid: Pid, known: &Known, asker: Grants) -> Member {
        let remembered = &known.remembered;
        let life = remembered.life().for_eyes_of(asker);
        let heard = self.addresses.get(&pid).and_then(|heard| heard.last());
        Member {
            pid,
            incarnation: life.incarnation,
            boot: life.boot,
            session: life.session,
            sequence: remembered.sequence.get(),
            address: match (&remembered.address, heard) {
                (Some(advertised), _) => Arc::clone(advertised),
                (None, Some(heard)) => heard.shown.text(),
                (None, None) => Arc::default(),
            },
            last_heard_ms: known.heard_at.map(|heard_at| self.ms_since(heard_at)),
            objection: known.objection().map_or(0, |code| code.get()),
        }
    }

    /// Notes that a process of `pid` is heard on `link`.
    pub(super) fn note_address(&mut self, pid: Pid, session: u64, link: Link) {
        let newest = |heard: &Heard| heard.session == session && heard.link == Some(link);
        let known = self.addresses.get(&pid);
        if known.and_then(|heard| heard.last()).is_some_and(newest) {
            return;
        }
        let heard = known.and_then(|heard| heard.iter().find(|heard| heard.session == session));
        let dialed = heard.map(|heard| heard.shown.clone());
        let dialed = dialed.filter(|shown| matches!(shown, Address::Dialed(_)));
        let address = self.link_address(link);
        let shown = match (link, dialed) {
            (Link::Dialed(peer), _) => Address::Dialed(self.peers.dialed_at(peer).into()),
            // It was dialed too, and still listens there.
            (Link::Accepted(_), Some(dialed)) => dialed,
            (Link::Accepted(connection), None) => match self.told_by(session) {
                Some(told) => Address::Told(told),
                None => Address::Host(self.host_name(connection).into()),
            },
        };
        let heard = self.addresses.entry(pid).or_default();
        heard.retain(|heard| heard.session != session);
        if heard.len() >= LIVES_PER_PID_MAX {
            heard.remove(0);
        }
        heard.push(Heard {
            session,
            link: Some(link),
            address: address.into(),
            shown,
        });
    }

    /// The address at the other end of a link, if somebody with that pid was heard there last. To make the text again
    /// costs ten times as much.
    pub(super) fn known_address(&self, pid: Option<Pid>, link: Link) -> Option<Arc<str>> {
        let heard = self.addresses.get(&pid?)?;
        let heard = heard.iter().find(|heard| heard.link == Some(link))?;
        Some(Arc::clone(&heard.address))
    }

    /// Where a process is, as an operator looks for it: the address at which it was dialed, or the one that it tells and the
    /// one from which it has connected, because a copy of a server tells the same. `None` if it was never heard.
    pub(super) fn place(&self, pid: Pid, session: u64, link: Option<Link>) -> Option<String> {
        let heard = self.addresses.get(&pid);
        let heard = heard.and_then(|heard| heard.iter().find(|heard| heard.session == session));
        let from = match link {
            Some(link) => self.link_address(link),
            None => heard?.address.to_string(),
        };
        let told = || self.told_by(session);
        Some(match (link, heard.map(|heard| &heard.shown)) {
            (Some(Link::Dialed(_)), _) => from,
            (_, Some(Address::Dialed(at))) => at.to_string(),
            (_, Some(Address::Told(at))) => with_source(at, &from),
            (_, Some(Address::Host(_)) | None) => match told() {
                Some(at) => with_source(&at, &from),
                None => from,
            },
        })
    }

    /// Where this process has just said that it can be dialed.
    fn told_by(&self, session: u64) -> Option<Arc<str>> {
        let speaker = self.speaker.as_ref();
        speaker
            .filter(|speaker| speaker.session == session)?
            .listens_at()
    }

    /// The actor has handled the loss of a link. Nothing names the link any more, so the slot of its connection can
    /// be freed.
    pub(super) fn forget_link(&mut self, link: Link) {
        for heard in self.addresses.values_mut().flatten() {
            heard.link.take_if(|heard_on| *heard_on == link);
        }
        debug_assert!(!self.losses.contains_key(&link));
        if let Link::Accepted(connection) = link {
            self.transport.release_link(connection);
        }
    }
}

/// An address that a process tells, with the one from which it has connected.
fn with_source(told: &str, from: &str) -> String {
    format!("{told} (connected from {from})")
}
