//! The peers: which names were given with `--peer` or found in the store, which addresses they lead to, and how these
//! are dialed: which one, when, and on which connection each is reached now.
//!
//! It does no I/O: it is told what happened and says what is due. Names and addresses are apart. A *name* is looked
//! up, now and then and whenever none of its addresses can be reached (`names.rs`). Every *address* that was found is a
//! peer of its own, because one name may stand for many servers. All of them are dialed, and each is kept connected,
//! unless it turns out to be this server itself or another address of a server that is connected already. What people
//! are shown of this is in `shown.rs`.
//!
//! Names are also looked up again when somebody says that it is a peer and no name has its address: it may be a peer that
//! has moved.
//!
//! The addresses of one name are tried one after the other, as RFC 8305 ("Happy Eyeballs Version 2", section 5) does
//! it: the next attempt begins as soon as the last one has ended, and after [`ATTEMPT_DELAY`] at the latest. The next
//! address is always the one whose wait is over for the longest time. So after a failure it is the one behind, and
//! never the first one again.
//!
//! Dialing never gives up. Between two attempts at one address it waits with exponential backoff and "equal jitter"
//! (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015), so that servers that lost the same peer
//! do not come back all at once.

mod names;
mod owners;
mod remembered;
mod shown;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use ipseity_core::{
    identity::Pid,
    ids::{ConnectionId, NameId, PeerId},
    time::Instant,
};

use self::names::{Name, Source};
pub use self::{
    owners::OwnersChange,
    remembered::to_ask,
    shown::{Progress, Shown},
};
use crate::limits::{ATTEMPT_DELAY, BACKOFF_MAX, BACKOFF_MIN, BACKOFF_NOT_A_PEER, BACKOFF_REFUSED};

/// How far the dialing of a peer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dial {
    /// Waiting for the next attempt.
    Waiting {
        /// When it is due.
        due: Instant,
    },
    /// An attempt is about to be made.
    Starting,
    /// A connection is being made.
    Connecting(ConnectionId),
    /// The connection is established.
    Connected(ConnectionId),
    /// It is another address of the server that is connected as this peer. It is dialed again when that one is lost.
    Parked(PeerId),
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// This name has to be looked up.
    Lookup(NameId),
    /// This peer has to be dialed, at this address.
    Dial(PeerId, SocketAddr),
}

/// Why an attempt or a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The peer was not reached, or the connection broke.
    Unreached,
    /// The connection was refused: nobody is there.
    NobodyThere,
    /// One of the two has refused the other.
    Refused,
    /// The same, because they belong to two clusters. It will never be a peer.
    Foreign,
    /// The peer does not know this server's address yet, and looks the names of its peers up again.
    NotAPeer,
    /// Both have the same pid.
    SamePid,
    /// The address leads to this server itself.
    Oneself,
}

/// What a server that joins can still expect of its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// One of them may still answer.
    Open,
    /// None has answered, and nobody is there.
    NobodyThere,
    /// No other answer is expected.
    AllAsked,
}

/// What the answer of a peer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has answered before on this connection.
    Again,
    /// It is the first answer on this connection.
    First,
    /// It comes from a server that is connected already, at another address. The connection to this peer is given up.
    SameServer(PeerId),
}

/// One address.
#[derive(Debug)]
struct Peer {
    address: SocketAddr,
    /// The name that led to it first.
    name: NameId,
    /// The names that lead to it now. When there is none any more, it is not dialed again.
    names: Vec<NameId>,
    dial: Dial,
    /// Attempts since the peer last answered.
    failures: u32,
    /// The last attempt ended in a refusal.
    refused: bool,
    /// How many did.
    refusals: u64,
    /// How it counts while this server joins.
    asked: Asked,
    /// The address leads to this server itself.
    is_oneself: bool,
    /// The pid that answered there last.
    pid: Option<Pid>,
    /// The process that has answered on the connection of now.
    session: Option<u64>,
    /// If the last log line about it said that it is down: what that line said.
    told: Option<Told>,
}

/// How far a peer has come with checking this server, while this server joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// It was not reached yet.
    NotYet,
    /// An attempt has failed. A later one may succeed.
    Failed,
    /// The connection was refused, so nobody is there.
    NobodyThere,
    /// It has checked this server and did not object.
    Answered,
    /// It is no peer: this server itself, or one of another cluster.
    NoPeer,
}

/// What was logged about a peer that is down.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// It was up and was lost. That it cannot be reached now is then not news.
    Lost,
    /// It could not be reached, for this reason.
    Unreached(String),
}

/// See the [module](self).
#[derive(Debug)]
pub struct Peers {
    /// First those that were given with `--peer`, then those of owners and those that are only remembered.
    names: Vec<Name>,
    /// As long as this server joins: how many of them must accept it.
    needed: Option<usize>,
    peers: BTreeMap<PeerId, Peer>,
    /// The id of the next peer.
    next: PeerId,
    /// When names were last looked up again because of somebody with an unknown address.
    looked_again_at: Option<Instant>,
    /// The place of the name that has the next turn to be looked up again.
    next_again: usize,
}

impl Peers {
    /// Takes the names of the peers, each `host:port`, and the addresses that are only remembered, see [`to_ask`]. All of
    /// them are due at once.
    pub fn new(names: Vec<String>, remembered: Vec<String>) -> Peers {
        let mut peers = Peers {
            needed: None,
            names: Vec::new(),
            peers: BTreeMap::new(),
            next: PeerId(0),
            looked_again_at: None,
            next_again: 0,
        };
        for (index, text) in names.into_iter().enumerate() {
            peers.add_name(NameId(index as u16), text, Source::Given, Instant::START);
        }
        for text in remembered {
            peers.ask(text, Instant::START);
        }
        peers
    }

    /// How far dialing it has come. `None` if no name leads to it any more and it was forgotten.
    pub fn dial(&self, peer: PeerId) -> Option<Dial> {
        self.peers.get(&peer).map(|peer| peer.dial)
    }

    /// The pid of the server that answered there last, since this process began.
    pub fn pid(&self, peer: PeerId) -> Option<Pid> {
        self.peers.get(&peer)?.pid
    }

    /// The named peer at whose address this pid answered last; if there are several, one that is connected.
    pub fn named(&self, pid: Pid) -> Option<PeerId> {
        let at = self
            .peers
            .iter()
            .filter(|(id, peer)| peer.pid == Some(pid) && !self.is_only_asked(**id));
        at.min_by_key(|(_, peer)| !peer.is_connected())
            .map(|(id, _)| *id)
    }

    /// The connection to the peer, if one is established.
    pub fn connection(&self, peer: PeerId) -> Option<ConnectionId> {
        match self.dial(peer)? {
            Dial::Connected(connection) => Some(connection),
            Dial::Waiting { .. } | Dial::Starting | Dial::Connecting(_) | Dial::Parked(_) => None,
        }
    }

    /// When the next lookup or the next attempt to dial is due.
    pub fn next_due(&self) -> Option<Instant> {
        let lookups = self.names.iter().filter_map(Name::due);
        let dials = self.peers.values().filter_map(|peer| self.due(peer));
        lookups.chain(dials).min()
    }

    /// Takes what is due; call it until there is nothing. The caller looks the name up, or dials.
    pub fn take_due(&mut self, now: Instant) -> Option<Due> {
        if let Some(name) = self.take_lookup(now) {
            return Some(Due::Lookup(name));
        }
        let dials = self
            .peers
            .iter()
            .filter(|(_, peer)| self.due(peer).is_some_and(|due| due <= now));
        // Of those that wait equally long, the first one in the order of the addresses.
        let (id, _) = dials.min_by_key(|(id, peer)| (peer.due(), **id))?;
        let id = *id;
        let peer = self.peers.get_mut(&id).expect("it was found above");
        peer.dial = Dial::Starting;
        let due = Due::Dial(id, peer.address);
        self.hold_names(id, now.after(ATTEMPT_DELAY));
        Some(due)
    }

    /// When a peer is due: its own wait must be over, and the attempt before it at the same name.
    fn due(&self, peer: &Peer) -> Option<Instant> {
        // It may stand behind several names. It is tried in the order of the first one.
        let name = peer.names.first()?;
        let held_until = self.names[usize::from(name.0)].held_until;
        peer.due().map(|due| due.max(held_until))
    }

    /// The next attempt at the names that lead to this peer begins at this moment at the earliest.
    fn hold_names(&mut self, peer: PeerId, until: Instant) {
        for name in self
            .peers
            .get(&peer)
            .into_iter()
            .flat_map(|peer| &peer.names)
        {
            self.names[usize::from(name.0)].held_until = until;
        }
    }

    /// Notes that a connection is being made.
    pub fn connecting(&mut self, peer: PeerId, connection: ConnectionId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.dial = Dial::Connecting(connection);
        }
    }

    /// Notes that the connection that was being made is established.
    pub fn connected(&mut self, peer: PeerId) {
        if let Some(peer) = self.peers.get_mut(&peer)
            && let Dial::Connecting(connection) = peer.dial
        {
            peer.dial = Dial::Connected(connection);
        }
    }

    /// Notes that the peer answered: with which pid, and which process. If it is lost later, the first wait is short
    /// again.
    pub fn answered(&mut self, id: PeerId, pid: Pid, session: u64) -> Answer {
        let Some(peer) = self.peers.get_mut(&id) else {
            return Answer::Again;
        };
        peer.failures = 0;
        peer.refused = false;
        peer.is_oneself = false;
        peer.pid = Some(pid);
        peer.told = None;
        if peer.session.replace(session) == Some(session) {
            return Answer::Again;
        }
        self.reached(id);
        // The next address need not wait any longer.
        self.hold_names(id, Instant::START);
        match self.same_server(id) {
            // One that is only asked is given up soon in any case.
            Some(other) if self.is_only_asked(other) => Answer::SameServer(other),
            Some(_) => Answer::SameServer(id),
            None => Answer::First,
        }
    }

    /// Another peer that is connected to the same process.
    fn same_server(&self, id: PeerId) -> Option<PeerId> {
        let peer = self.peers.get(&id)?;
        let is_same = |(other_id, other): &(&PeerId, &Peer)| {
            **other_id != id
                && other.is_connected()
                && peer.session.is_some()
                && (other.pid, other.session) == (peer.pid, peer.session)
        };
        self.peers.iter().find(is_same).map(|(other, _)| *other)
    }

    /// Notes that the connection to another address of a connected server was given up. It is due when that one is lost.
    pub fn park(&mut self, id: PeerId, now: Instant) {
        // The one that is connected may have been lost in this moment.
        let dial = match self.same_server(id) {
            Some(other) => Dial::Parked(other),
            None => Dial::Waiting { due: now },
        };
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.dial = dial;
            peer.session = None;
        }
    }

    /// Notes that the peer has checked this server and did not object.
    pub fn checked(&mut self, peer: PeerId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.asked = Asked::Answered;
        }
    }

    /// What this server, while it joins, can still expect. As long as nobody has answered, an address that could not be
    /// reached is worth waiting for, unless it said that nobody is there, and so is a name that could not be looked up.
    /// Beside one that has answered, each of them is tried once.
    pub fn outlook(&self) -> Outlook {
        let asked = || self.peers.values().map(|peer| peer.asked);
        let is_answered = asked().any(|asked| asked == Asked::Answered);
        let is_tried = |name: &Name| {
            name.is_over || !name.addresses.is_empty() || is_answered && name.has_failed()
        };
        let is_open = self.peers.values().any(|peer| match peer.asked {
            Asked::NotYet => true,
            Asked::Failed => !is_answered,
            // Somebody has come meanwhile.
            Asked::NobodyThere => peer.is_connected(),
            Asked::Answered | Asked::NoPeer => false,
        });
        if is_open || !self.names.iter().all(is_tried) {
            return Outlook::Open;
        }
        match !is_answered && asked().any(|asked| asked == Asked::NobodyThere) {
            true => Outlook::NobodyThere,
            false => Outlook::AllAsked,
        }
    }

    /// Notes that the loss of the peer, which was up, was logged.
    pub fn lost(&mut self, peer: PeerId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.told = Some(Told::Lost);
        }
    }

    /// Notes that the attempt failed or the connection is gone, and sets the time of the next attempt. `random` is 64
    /// random bits. Returns how long the wait is.
    pub fn failed(&mut self, id: PeerId, failure: Failure, now: Instant, random: u64) -> Duration {
        let Some(peer) = self.peers.get_mut(&id) else {
            return Duration::ZERO;
        };
        let wait = match failure {
            Failure::Unreached | Failure::NobodyThere => backoff(peer.failures, random),
            // Both have stopped by now. This server asks again soon, so that the other one learns its last sequence.
            Failure::SamePid if !peer.refused => backoff(peer.failures, random),
            Failure::SamePid | Failure::Refused | Failure::Foreign | Failure::Oneself => {
                BACKOFF_REFUSED
            }
            Failure::NotAPeer => jittered(BACKOFF_NOT_A_PEER, random),
        };
        peer.refused = !matches!(
            failure,
            Failure::Unreached | Failure::NobodyThere | Failure::Oneself
        );
        peer.refusals += u64::from(peer.refused);
        peer.is_oneself = failure == Failure::Oneself;
        peer.asked = match (failure, peer.asked) {
            (Failure::Oneself | Failure::Foreign, _) => Asked::NoPeer,
            (_, Asked::Answered) => Asked::Answered,
            (Failure::NobodyThere, _) => Asked::NobodyThere,
            _ => Asked::Failed,
        };
        peer.failures = peer.failures.saturating_add(1);
        peer.session = None;
        peer.dial = Dial::Waiting {
            due: now.after(wait),
        };
        // The next address of the name has its turn now.
        // bug StopsAtOneself: if failure == Failure::Oneself { self.names.iter_mut().for_each(|name| name.held_until = now.after(Duration::from_hours(24))); return wait; }
        self.hold_names(id, now);
        self.unpark_those_behind(id, now);
        self.look_up_soon(id, now, random);
        wait
    }

    /// The other addresses of a server are dialed again when its connection is lost.
    fn unpark_those_behind(&mut self, lost: PeerId, now: Instant) {
        for peer in self.peers.values_mut() {
            if peer.dial == Dial::Parked(lost) {
                peer.dial = Dial::Waiting { due: now };
            }
        }
    }

    /// Whether the address is known to lead to this server itself.
    pub fn is_oneself(&self, peer: PeerId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.is_oneself)
    }
}

impl Peer {
    fn due(&self) -> Option<Instant> {
        match self.dial {
            Dial::Waiting { due } => Some(due),
            Dial::Starting | Dial::Connecting(_) | Dial::Connected(_) | Dial::Parked(_) => None,
        }
    }

    fn is_connected(&self) -> bool {
        matches!(self.dial, Dial::Connected(_))
    }
}

/// The wait grows exponentially.
fn backoff(failures: u32, random: u64) -> Duration {
    let doubled = BACKOFF_MIN.saturating_mul(1 << failures.min(16));
    jittered(doubled.min(BACKOFF_MAX), random)
}

/// Half of the wait is certain, the other half is random.
fn jittered(longest: Duration, random: u64) -> Duration {
    let half = longest / 2;
    let nanos = u64::try_from(half.as_nanos()).expect("the longest backoff is a few seconds");
    half + Duration::from_nanos(random % (nanos + 1))
}

#[cfg(test)]
mod tests;
