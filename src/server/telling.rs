//! Limits the log lines that others can cause: a number of lines of each kind in a minute, and a number about each
//! peer. The lines that are left out are counted, and the count is logged when the minute is over.
//!
//! It reads no clock and writes no line. Its memory is bounded: it remembers only the peers about which a line was
//! logged in this minute. Lines about this server itself (that it was objected to, that its disk failed) are logged
//! once in its life and are not limited here.

use std::{cmp::Reverse, collections::BTreeMap};

use ipseity_core::{
    identity::Pid,
    ids::{NameId, PeerId},
    time::Instant,
};

use crate::limits::{DIALED_MAX, LINE_KINDS, LINES_PER_KIND_MAX, LINES_PER_PEER_MAX, LINES_SPAN};

/// The kinds of lines that others can cause. `tests/house/log_lines.rs` names every line that needs no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Line {
    PeerUp,
    PeerDown,
    /// A peer that does not belong to this cluster.
    Refused,
    RoundRefused,
    AdvanceRefused,
    /// Two live servers use one pid.
    Conflict,
    /// The state of a peer is older than what is remembered of it.
    Stale,
    Overruled,
    AcceptFailed,
    /// The sequence in the objection to this server is higher now.
    ObjectedHigher,
    /// An operator has raised the sequence.
    Advanced,
    /// An operator has made this server forget a pid.
    Forgot,
    /// The store takes long, or has answered at last.
    SlowWrite,
    /// SIGHUP.
    Hangup,
    /// A signal to stop while the server is about to exit anyway.
    StopRepeated,
    /// A TLS session could not be made, or broke.
    Handshake,
    /// Too many TLS handshakes are under way.
    Handshakes,
    /// The files of TLS were read again, and are not taken.
    ReloadFailed,
}

impl Line {
    const ALL: [Line; LINE_KINDS] = [
        Line::PeerUp,
        Line::PeerDown,
        Line::Refused,
        Line::RoundRefused,
        Line::AdvanceRefused,
        Line::Conflict,
        Line::Stale,
        Line::Overruled,
        Line::AcceptFailed,
        Line::ObjectedHigher,
        Line::Advanced,
        Line::Forgot,
        Line::SlowWrite,
        Line::Hangup,
        Line::StopRepeated,
        Line::Handshake,
        Line::Handshakes,
        Line::ReloadFailed,
    ];

    /// What the line is about, in words.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Line::PeerUp => "a peer is up",
            Line::PeerDown => "a peer is down",
            Line::Refused => "refused a peer",
            Line::RoundRefused => "not synchronized with a peer",
            Line::AdvanceRefused => "refused an advance that a client asked for",
            Line::Conflict => "a pid is used by two live servers",
            Line::Stale => "the state of a pid is not the newest",
            Line::Overruled => "a pid goes on by its operator's word",
            Line::AcceptFailed => "cannot accept a connection",
            Line::ObjectedHigher => "a peer says a higher sequence",
            Line::Advanced => "an operator has advanced this server",
            Line::Forgot => "an operator has made this server forget a pid",
            Line::SlowWrite => "the store took long",
            Line::Hangup => "asked by SIGHUP to open or read files again",
            Line::StopRepeated => "asked to stop",
            Line::Handshake => "TLS failed",
            Line::ReloadFailed => "the certificates were NOT read again",
            Line::Handshakes => "too many TLS handshakes are under way",
        }
    }

    /// How many lines about one peer are logged in a minute.
    const fn most_per_peer(self) -> u32 {
        match self {
            // One line says everything, and many of these come at once.
            Line::AdvanceRefused
            | Line::Stale
            | Line::AcceptFailed
            | Line::Handshake
            | Line::Handshakes => 1,
            Line::PeerUp
            | Line::PeerDown
            | Line::Refused
            | Line::RoundRefused
            | Line::Conflict
            | Line::Overruled
            | Line::ObjectedHigher
            | Line::Hangup
            | Line::StopRepeated => LINES_PER_PEER_MAX,
            // An operator may work through a list by hand, mostly from one host, or try again and again. A disk may be slow
            // again and again.
            Line::Advanced | Line::Forgot | Line::SlowWrite | Line::ReloadFailed => {
                LINES_PER_KIND_MAX
            }
        }
    }
}

/// The peer that a line is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whom {
    /// A name that was given with `--peer`, where it cannot be looked up.
    Name(NameId),
    /// A peer to which such a name leads. There are few of these at a time, so they have a share that strangers cannot
    /// use up.
    Named(PeerId),
    /// Any other peer, by the pid that it claims.
    Pid(Pid),
    /// A host about which nothing else is known.
    Host(String),
    /// No peer.
    Nobody,
}

/// Lines of one kind that were left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) line: Line,
    pub(super) count: u64,
    /// The peer that caused most of them, if known, and how many it caused.
    pub(super) most: Option<(Whom, u64)>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Telling {
    /// When the minute began.
    began_at: Instant,
    kinds: [Count; LINE_KINDS],
    peers: BTreeMap<(Line, Whom), Count>,
    has_left_out: bool,
}

/// The number of lines in a minute.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    told: u32,
    left_out: u64,
    /// Of a kind: how many named peers it is about. A name that leads elsewhere again and again makes new ones.
    named: usize,
}

impl Telling {
    pub(super) fn new() -> Telling {
        Telling {
            began_at: Instant::START,
            kinds: [Count::default(); LINE_KINDS],
            peers: BTreeMap::new(),
            has_left_out: false,
        }
    }

    /// Whether a line may be logged. If not, it is counted.
    pub(super) fn may_tell(&mut self, line: Line, whom: Whom, now: Instant) -> bool {
        // bug FloodToldInFull: return true;
        if now.since(self.began_at) >= LINES_SPAN && !self.has_left_out {
            self.begin(now);
        }
        let kind = &mut self.kinds[line as usize];
        let is_named = matches!(whom, Whom::Name(_) | Whom::Named(_));
        let key = (line, whom);
        // Only strangers about whom a line was logged are remembered. Otherwise the memory would have no bound.
        let has_share = match is_named {
            true => kind.named < DIALED_MAX || self.peers.contains_key(&key),
            false => kind.told < LINES_PER_KIND_MAX,
        };
        if is_named && has_share && !self.peers.contains_key(&key) {
            kind.named += 1;
        }
        let peer = match has_share {
            true => Some(self.peers.entry(key).or_default()),
            false => self.peers.get_mut(&key),
        };
        match peer {
            Some(peer) if has_share && peer.told < line.most_per_peer() => {
                peer.told += 1;
                kind.told += u32::from(!is_named);
                return true;
            }
            Some(peer) => peer.left_out += 1,
            None => {}
        }
        kind.left_out += 1;
        self.has_left_out = true;
        false
    }

    /// When the number of lines that were left out has to be logged, if any were.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.has_left_out.then(|| self.began_at.after(LINES_SPAN))
    }

    /// What was left out in this minute, with one item for each kind. Then the next minute begins.
    pub(super) fn take_left_out(&mut self, now: Instant) -> Vec<LeftOut> {
        let left_out = Line::ALL
            .into_iter()
            .filter_map(|line| self.left_out(line))
            .collect();
        self.begin(now);
        left_out
    }

    fn left_out(&self, line: Line) -> Option<LeftOut> {
        let count = self.kinds[line as usize].left_out;
        let most = self
            .peers
            .iter()
            .filter(|((of, _), peer)| *of == line && peer.left_out > 0)
            .min_by_key(|(_, peer)| Reverse(peer.left_out))
            .map(|((_, whom), peer)| (whom.clone(), peer.left_out));
        (count > 0).then_some(LeftOut { line, count, most })
    }

    fn begin(&mut self, now: Instant) {
        self.began_at = now;
        self.kinds = [Count::default(); LINE_KINDS];
        self.peers.clear();
        self.has_left_out = false;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PEER: Whom = Whom::Named(PeerId(3));

    fn at(seconds: u64) -> Instant {
        Instant::START.after(Duration::from_secs(seconds))
    }

    fn host(number: u32) -> Whom {
        Whom::Host(format!("10.0.0.{number}"))
    }

    /// How many of `lines` lines are logged.
    fn told(telling: &mut Telling, line: Line, whom: impl Fn(u32) -> Whom, lines: u32) -> u32 {
        let mut told = 0;
        for number in 0..lines {
            told += u32::from(telling.may_tell(line, whom(number), at(0)));
        }
        told
    }

    #[test]
    fn every_kind_has_its_place() {
        for (index, line) in Line::ALL.into_iter().enumerate() {
            assert_eq!(line as usize, index);
        }
    }

    #[test]
    fn lines_of_a_kind_about_one_peer_are_limited() {
        let mut telling = Telling::new();
        assert_eq!(
            told(&mut telling, Line::PeerUp, |_| PEER, 1000),
            LINES_PER_PEER_MAX
        );
        // Another kind and another peer have their own share.
        assert!(telling.may_tell(Line::PeerDown, PEER, at(59)));
        assert!(telling.may_tell(Line::PeerUp, Whom::Named(PeerId(4)), at(59)));
        let count = u64::from(1000 - LINES_PER_PEER_MAX);
        let left_out = LeftOut {
            line: Line::PeerUp,
            count,
            most: Some((PEER, count)),
        };
        assert_eq!(telling.due_at(), Some(at(60)));
        assert_eq!(telling.take_left_out(at(60)), [left_out]);
        assert_eq!(telling.due_at(), None);
        assert_eq!(telling.take_left_out(at(60)), []);
        assert!(telling.may_tell(Line::PeerUp, PEER, at(60)));
    }

    #[test]
    fn lines_of_a_kind_about_all_strangers_are_limited() {
        let mut telling = Telling::new();
        assert_eq!(
            told(&mut telling, Line::Refused, host, 100_000),
            LINES_PER_KIND_MAX
        );
        assert!(telling.peers.len() <= LINES_PER_KIND_MAX as usize);
        // Lines about named peers are still logged.
        assert!(telling.may_tell(Line::Refused, PEER, at(1)));
        // A host of the first lines is not logged again either, and it is known to have caused the most.
        assert_eq!(told(&mut telling, Line::Refused, |_| host(0), 10), 0);
        let left_out = LeftOut {
            line: Line::Refused,
            count: 100_010 - u64::from(LINES_PER_KIND_MAX),
            most: Some((host(0), 10)),
        };
        assert_eq!(telling.take_left_out(at(60)), [left_out]);
    }

    #[test]
    fn a_quiet_minute_is_followed_by_a_new_one() {
        let mut telling = Telling::new();
        for minute in 0..10 {
            for _ in 0..LINES_PER_PEER_MAX {
                assert!(telling.may_tell(Line::PeerDown, PEER, at(60 * minute)));
            }
            assert_eq!(telling.due_at(), None);
        }
        // If the minute ends late, the count is not lost: it is logged first.
        assert!(!telling.may_tell(Line::PeerDown, PEER, at(599)));
        assert!(!telling.may_tell(Line::PeerDown, PEER, at(700)));
        assert_eq!(telling.take_left_out(at(700))[0].count, 2);
    }

    #[test]
    fn lines_that_come_in_crowds_are_logged_once_a_minute() {
        for line in [Line::AdvanceRefused, Line::Stale, Line::AcceptFailed] {
            let mut telling = Telling::new();
            assert_eq!(told(&mut telling, line, |_| Whom::Nobody, 100), 1);
            assert_eq!(telling.take_left_out(at(60))[0].count, 99);
        }
    }

    #[test]
    fn a_flood_does_not_make_it_remember_more_than_its_bound() {
        let mut telling = Telling::new();
        for line in Line::ALL {
            for number in 0..2 * DIALED_MAX as u32 {
                telling.may_tell(line, host(number), at(0));
                let pid = Pid::new((number % 1024) as u16).unwrap();
                telling.may_tell(line, Whom::Pid(pid), at(0));
                telling.may_tell(line, Whom::Named(PeerId(number)), at(0));
            }
        }
        let most = LINE_KINDS * (LINES_PER_KIND_MAX as usize + DIALED_MAX);
        assert!(telling.peers.len() <= most, "{}", telling.peers.len());
        telling.take_left_out(at(60));
        assert!(telling.peers.is_empty());
    }
}
