//! The peers that were named with `--peer`, and how they are dialed: which one, when, at which address, and on
//! which connection each is reached now.
//!
//! Names are also looked up again when somebody says that it is a peer and no name has its address: it may be a peer that
//! has moved.
//!
//! It does no I/O: it is told what happened and says what is due. Dialing never gives up. Between two attempts it
//! waits with exponential backoff and "equal jitter" (M. Brooker, "Exponential Backoff And Jitter", AWS
//! Architecture Blog, 2015), so that servers that lost the same peer do not come back all at once.

use std::{net::SocketAddr, time::Duration};

use ipseity_core::{
    identity::Pid,
    ids::{ConnectionId, PeerId},
    time::Instant,
};

use crate::limits::{
    BACKOFF_MAX, BACKOFF_MIN, BACKOFF_NOT_A_PEER, BACKOFF_REFUSED, LOOKUP_AGAIN_MIN,
    LOOKUPS_AGAIN_MAX,
};

/// How far the dialing of a peer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dial {
    /// Waiting for the next attempt.
    Waiting {
        /// When it is due.
        due: Instant,
    },
    /// Its name is being looked up.
    Resolving,
    /// A connection is being made.
    Connecting(ConnectionId),
    /// The connection is established.
    Connected(ConnectionId),
}

/// Why an attempt or a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The peer was not reached, or the connection broke.
    Unreached,
    /// One of the two has refused the other.
    Refused,
    /// The peer does not know this server's address yet, and looks the names of its peers up again.
    NotAPeer,
    /// Both have the same pid.
    SamePid,
}

/// One peer.
#[derive(Debug)]
struct Peer {
    /// As it was given: `host:port`.
    name: String,
    dial: Dial,
    /// A lookup of its name is under way. There is never a second one.
    is_looked_up: bool,
    /// Addresses of the last lookup that were not tried yet, the next one last.
    addresses: Vec<SocketAddr>,
    /// Attempts since the peer last answered.
    failures: u32,
    /// The last attempt ended in a refusal.
    refused: bool,
    /// The pid that answered there last.
    pid: Option<Pid>,
    /// If the last log line about it said that it is down: what that line said.
    told: Option<Told>,
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
    peers: Vec<Peer>,
    /// When names were last looked up again.
    looked_again_at: Option<Instant>,
    /// The peer whose name has the next turn to be looked up again.
    next_again: usize,
}

impl Peers {
    /// Takes the names of the peers, each `host:port`. All of them are due at once.
    pub fn new(names: Vec<String>) -> Peers {
        let peer = |name| Peer {
            name,
            dial: Dial::Waiting {
                due: Instant::START,
            },
            is_looked_up: false,
            addresses: Vec::new(),
            failures: 0,
            refused: false,
            pid: None,
            told: None,
        };
        Peers {
            peers: names.into_iter().map(peer).collect(),
            looked_again_at: None,
            next_again: 0,
        }
    }

    /// Every peer, in the order in which they were named.
    pub fn ids(&self) -> impl Iterator<Item = PeerId> + use<> {
        (0..self.peers.len()).map(|index| PeerId(index as u16))
    }

    /// The peer's name, `host:port`.
    pub fn name(&self, peer: PeerId) -> &str {
        &self.peer(peer).name
    }

    /// How far dialing it has come.
    pub fn dial(&self, peer: PeerId) -> Dial {
        self.peer(peer).dial
    }

    /// Whether the last attempt ended in a refusal.
    pub fn is_refused(&self, peer: PeerId) -> bool {
        self.peer(peer).refused
    }

    /// The pid of the server that answered there last, since this process began.
    pub fn pid(&self, peer: PeerId) -> Option<Pid> {
        self.peer(peer).pid
    }

    /// The peer at whose address this pid answered last.
    pub fn named(&self, pid: Pid) -> Option<PeerId> {
        self.ids().find(|peer| self.pid(*peer) == Some(pid))
    }

    /// The connection to the peer, if one is established.
    pub fn connection(&self, peer: PeerId) -> Option<ConnectionId> {
        match self.dial(peer) {
            Dial::Connected(connection) => Some(connection),
            Dial::Waiting { .. } | Dial::Resolving | Dial::Connecting(_) => None,
        }
    }

    /// When the next attempt to dial any of them is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.peers.iter().filter_map(Peer::due).min()
    }

    /// The address that was given in the place of a name, if it was. It needs no lookup.
    pub fn literal(&self, peer: PeerId) -> Option<SocketAddr> {
        self.name(peer).parse().ok()
    }

    /// A lookup of the peer's name is wanted. Returns whether to begin one: not if one is under way.
    pub fn begin_lookup(&mut self, peer: PeerId) -> bool {
        !std::mem::replace(&mut self.peer_mut(peer).is_looked_up, true)
    }

    /// Notes that the lookup is over. Returns whether the peer waits for it to be dialed.
    pub fn end_lookup(&mut self, peer: PeerId) -> bool {
        self.peer_mut(peer).is_looked_up = false;
        self.dial(peer) == Dial::Resolving
    }

    /// Somebody says that it is a peer, and no name has its address. Returns the peers whose names are to be looked up
    /// again: only some at a time, in turn, and none if it is too soon.
    pub fn take_lookups_again(&mut self, now: Instant) -> Vec<PeerId> {
        let is_soon = |at| now.since(at) < LOOKUP_AGAIN_MIN;
        if self.looked_again_at.is_some_and(is_soon) {
            return Vec::new();
        }
        self.looked_again_at = Some(now);
        let count = self.peers.len();
        let under_way = self.peers.iter().filter(|peer| peer.is_looked_up).count();
        let turns = (self.next_again..self.next_again + count).map(|turn| turn % count);
        let again: Vec<PeerId> = turns
            .map(|index| PeerId(index as u16))
            .filter(|peer| self.literal(*peer).is_none() && !self.peer(*peer).is_looked_up)
            .take(LOOKUPS_AGAIN_MAX.saturating_sub(under_way))
            .collect();
        if let Some(last) = again.last() {
            self.next_again = (usize::from(last.0) + 1) % count;
        }
        again
    }

    /// Takes a peer that is due to be dialed; call it until there is none. The caller looks up its name.
    pub fn take_due(&mut self, now: Instant) -> Option<PeerId> {
        let index = self
            .peers
            .iter()
            .position(|peer| peer.due().is_some_and(|due| due <= now))?;
        self.peers[index].dial = Dial::Resolving;
        Some(PeerId(index as u16))
    }

    /// Notes the result of a lookup: the addresses to try, in order.
    pub fn resolved(&mut self, peer: PeerId, mut addresses: Vec<SocketAddr>) {
        addresses.reverse();
        self.peer_mut(peer).addresses = addresses;
    }

    /// The next address to try, until there is none.
    pub fn next_address(&mut self, peer: PeerId) -> Option<SocketAddr> {
        self.peer_mut(peer).addresses.pop()
    }

    /// Notes that a connection is being made.
    pub fn connecting(&mut self, peer: PeerId, connection: ConnectionId) {
        self.peer_mut(peer).dial = Dial::Connecting(connection);
    }

    /// Notes that the connection that was being made is established.
    pub fn connected(&mut self, peer: PeerId) {
        let peer = self.peer_mut(peer);
        if let Dial::Connecting(connection) = peer.dial {
            peer.dial = Dial::Connected(connection);
            peer.addresses.clear();
        }
    }

    /// Notes that the peer answered, and with which pid. If it is lost later, the first wait is short again.
    pub fn answered(&mut self, peer: PeerId, pid: Pid) {
        let peer = self.peer_mut(peer);
        peer.failures = 0;
        peer.refused = false;
        peer.pid = Some(pid);
        peer.told = None;
    }

    /// Notes that the loss of the peer, which was up, was logged.
    pub fn lost(&mut self, peer: PeerId) {
        self.peer_mut(peer).told = Some(Told::Lost);
    }

    /// Notes that the attempt failed or the connection is gone, and sets the time of the next attempt. `random` is 64
    /// random bits. Returns how long the wait is.
    pub fn failed(
        &mut self,
        peer: PeerId,
        failure: Failure,
        now: Instant,
        random: u64,
    ) -> Duration {
        let peer = self.peer_mut(peer);
        let wait = match failure {
            Failure::Unreached => backoff(peer.failures, random),
            // Both have stopped by now. This server asks again soon, so that the other one learns its last sequence.
            Failure::SamePid if !peer.refused => backoff(peer.failures, random),
            Failure::SamePid | Failure::Refused => BACKOFF_REFUSED,
            Failure::NotAPeer => jittered(BACKOFF_NOT_A_PEER, random),
        };
        peer.refused = failure != Failure::Unreached;
        peer.failures = peer.failures.saturating_add(1);
        peer.dial = Dial::Waiting {
            due: now.after(wait),
        };
        wait
    }

    /// Whether to log that an attempt failed for `reason`: not if the last line about this peer said so too.
    pub fn is_news(&mut self, peer: PeerId, reason: &str) -> bool {
        let peer = self.peer_mut(peer);
        let news = match &peer.told {
            None => true,
            // Only an operator can resolve a refusal.
            Some(Told::Lost) => peer.refused,
            Some(Told::Unreached(told)) => told != reason,
        };
        if news {
            peer.told = Some(Told::Unreached(reason.to_owned()));
        }
        news
    }

    fn peer(&self, peer: PeerId) -> &Peer {
        &self.peers[usize::from(peer.0)]
    }

    fn peer_mut(&mut self, peer: PeerId) -> &mut Peer {
        &mut self.peers[usize::from(peer.0)]
    }
}

impl Peer {
    fn due(&self) -> Option<Instant> {
        match self.dial {
            Dial::Waiting { due } => Some(due),
            Dial::Resolving | Dial::Connecting(_) | Dial::Connected(_) => None,
        }
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
mod tests {
    use super::*;

    const PEER: PeerId = PeerId(0);

    fn peers() -> Peers {
        Peers::new(vec!["a:1".to_owned(), "b:2".to_owned()])
    }

    #[test]
    fn the_wait_doubles_up_to_its_bound_and_half_of_it_is_random() {
        assert_eq!(backoff(0, 0), BACKOFF_MIN / 2);
        for failures in 0..80 {
            let least = backoff(failures, 0);
            for random in [1, u64::MAX / 3, u64::MAX] {
                let wait = backoff(failures, random);
                assert!(least <= wait && wait <= 2 * least && wait <= BACKOFF_MAX);
            }
        }
        let half = BACKOFF_MIN.as_nanos() as u64 / 2;
        assert_eq!(backoff(0, half), BACKOFF_MIN, "the longest is possible too");
        assert_eq!(backoff(1, 0), BACKOFF_MIN);
        assert_eq!(backoff(79, 0), BACKOFF_MAX / 2);
    }

    #[test]
    fn every_peer_is_due_at_once_and_taken_once() {
        let mut peers = peers();
        assert_eq!(peers.next_due(), Some(Instant::START));
        assert_eq!(peers.take_due(Instant::START), Some(PeerId(0)));
        assert_eq!(peers.take_due(Instant::START), Some(PeerId(1)));
        assert_eq!(peers.take_due(Instant::START), None);
        assert_eq!(peers.next_due(), None);
        assert_eq!(peers.dial(PEER), Dial::Resolving);
    }

    #[test]
    fn addresses_are_tried_in_their_order() {
        let mut peers = peers();
        let addresses: Vec<SocketAddr> =
            vec!["[::1]:1".parse().unwrap(), "127.0.0.1:1".parse().unwrap()];
        peers.resolved(PEER, addresses.clone());
        assert_eq!(peers.next_address(PEER), Some(addresses[0]));
        assert_eq!(peers.next_address(PEER), Some(addresses[1]));
        assert_eq!(peers.next_address(PEER), None);
    }

    #[test]
    fn only_an_established_connection_is_used() {
        let mut peers = peers();
        let connection = ConnectionId::new(1, 1);
        peers.connected(PEER);
        assert_eq!(peers.connection(PEER), None, "none was being made");
        peers.connecting(PEER, connection);
        assert_eq!(peers.connection(PEER), None);
        peers.connected(PEER);
        assert_eq!(peers.connection(PEER), Some(connection));
        let wait = peers.failed(PEER, Failure::Unreached, Instant::START, 0);
        assert_eq!(peers.connection(PEER), None);
        assert_eq!(
            peers.dial(PEER),
            Dial::Waiting {
                due: Instant::START.after(wait)
            }
        );
    }

    #[test]
    fn an_answer_makes_the_next_wait_short_and_a_refusal_makes_it_long() {
        let mut peers = peers();
        for _ in 0..10 {
            peers.failed(PEER, Failure::Unreached, Instant::START, 0);
        }
        assert_eq!(
            peers.failed(PEER, Failure::Unreached, Instant::START, 0),
            BACKOFF_MAX / 2
        );
        peers.answered(PEER, Pid::MIN);
        assert_eq!(
            peers.failed(PEER, Failure::Unreached, Instant::START, 0),
            BACKOFF_MIN / 2
        );
        let refused = Failure::Refused;
        assert_eq!(
            peers.failed(PEER, refused, Instant::START, 0),
            BACKOFF_REFUSED
        );
        assert!(peers.is_refused(PEER));
        peers.answered(PEER, Pid::MIN);
        assert!(!peers.is_refused(PEER));
    }

    #[test]
    fn no_failure_in_any_state_gives_a_peer_up() {
        let to_state: [fn(&mut Peers); 4] = [
            |_| {},
            |peers| assert_eq!(peers.take_due(Instant::START), Some(PEER)),
            |peers| peers.connecting(PEER, ConnectionId::new(1, 1)),
            |peers| {
                peers.connecting(PEER, ConnectionId::new(1, 1));
                peers.connected(PEER);
            },
        ];
        for (place, to_state) in to_state.iter().enumerate() {
            for failure in [
                Failure::Unreached,
                Failure::Refused,
                Failure::SamePid,
                Failure::NotAPeer,
            ] {
                let mut peers = Peers::new(vec!["a:1".to_owned()]);
                to_state(&mut peers);
                for times in 0..100 {
                    peers.failed(PEER, failure, Instant::START, u64::MAX);
                    let due = peers.next_due().expect("it is dialed again");
                    let latest = Instant::START.after(BACKOFF_REFUSED);
                    assert!(due <= latest, "state {place}, {failure:?} {times}");
                }
            }
        }
    }

    #[test]
    fn a_peer_that_does_not_know_the_address_yet_is_asked_again_in_a_second() {
        let mut peers = peers();
        for failures in 0..10 {
            let mut wait = |random| peers.failed(PEER, Failure::NotAPeer, Instant::START, random);
            assert_eq!(wait(0), BACKOFF_NOT_A_PEER / 2, "after {failures} failures");
            assert!(wait(u64::MAX) <= BACKOFF_NOT_A_PEER);
        }
        assert!(peers.is_refused(PEER));
    }

    #[test]
    fn names_are_looked_up_again_in_turn_and_not_too_often() {
        let names = (0..LOOKUPS_AGAIN_MAX + 2).map(|number| format!("host{number}:1"));
        let mut peers = Peers::new(
            [String::from("10.0.0.1:1")]
                .into_iter()
                .chain(names)
                .collect(),
        );
        let at = |ms| Instant::START.after(Duration::from_millis(ms));
        let first = peers.take_lookups_again(at(0));
        assert_eq!(first.len(), LOOKUPS_AGAIN_MAX);
        assert!(!first.contains(&PEER), "an address is no name");
        assert_eq!(peers.take_lookups_again(at(999)), []);
        // The two that are left come first, and then the others again, but not the one that is under way. It counts too.
        assert!(peers.begin_lookup(PeerId(1)) && !peers.begin_lookup(PeerId(1)));
        let second = peers.take_lookups_again(at(1000));
        let last = LOOKUPS_AGAIN_MAX as u16;
        assert_eq!(second[..3], [last + 1, last + 2, 2].map(PeerId));
        assert_eq!(second.len(), LOOKUPS_AGAIN_MAX - 1);
        assert!(!peers.end_lookup(PeerId(1)), "nobody waits to dial it");
        assert!(peers.begin_lookup(PeerId(1)));
        assert_eq!(Peers::new(Vec::new()).take_lookups_again(at(0)), []);
    }

    #[test]
    fn after_the_first_refusal_for_the_same_pid_it_asks_again_soon() {
        let mut peers = peers();
        let mut wait = || peers.failed(PEER, Failure::SamePid, Instant::START, 0);
        assert_eq!(wait(), BACKOFF_MIN / 2);
        assert_eq!(wait(), BACKOFF_REFUSED);
        assert_eq!(wait(), BACKOFF_REFUSED);
        assert!(peers.is_refused(PEER));
    }

    #[test]
    fn a_failure_is_news_once_until_the_reason_changes() {
        let mut peers = peers();
        assert!(peers.is_news(PEER, "connection refused"));
        assert!(!peers.is_news(PEER, "connection refused"));
        assert!(peers.is_news(PEER, "timed out"));
        assert!(peers.is_news(PEER, "connection refused"));
        peers.answered(PEER, Pid::MIN);
        assert!(peers.is_news(PEER, "connection refused"));
    }

    #[test]
    fn after_a_peer_was_lost_only_a_refusal_is_news() {
        let mut peers = peers();
        peers.lost(PEER);
        peers.failed(PEER, Failure::Unreached, Instant::START, 0);
        assert!(!peers.is_news(PEER, "connection refused"));
        assert!(!peers.is_news(PEER, "timed out"));
        peers.failed(PEER, Failure::Refused, Instant::START, 0);
        assert!(peers.is_news(PEER, "it refuses this server"));
        assert!(!peers.is_news(PEER, "it refuses this server"));
    }

    #[test]
    fn a_peer_is_known_by_the_pid_that_answered_last() {
        let mut peers = peers();
        let (one, two) = (Pid::new(1).unwrap(), Pid::new(2).unwrap());
        assert_eq!(peers.named(one), None);
        peers.answered(PeerId(1), one);
        assert_eq!(peers.named(one), Some(PeerId(1)));
        peers.answered(PeerId(1), two);
        assert_eq!(
            (peers.named(one), peers.named(two)),
            (None, Some(PeerId(1)))
        );
        assert_eq!((peers.pid(PEER), peers.pid(PeerId(1))), (None, Some(two)));
    }
}
