//! The links on which peers are heard or asked, and what was said on each link.
//!
//! A link is a connection to a peer: one that this server dialed, or one on which a syncRequest was accepted. The
//! same peer is often heard on two links.

mod fanout;

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::Duration,
};

use self::fanout::Lots;
use super::{ActorConfig, Effect, HangUp, Link, PeerId, Tally};
use crate::{
    identity::Pid,
    time::Instant,
    words::{Message, Stage, SyncMessage},
};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Links {
    fanout: usize,
    peer_silence: Duration,
    links: BTreeMap<Link, LinkState>,
    /// What is known of each peer that was dialed, also while there is no connection to it.
    dialed: BTreeMap<PeerId, Dialed>,
    /// On which links each pid is heard. There are too many links to search.
    links_of: BTreeMap<Pid, BTreeSet<Link>>,
    lots: Lots,
    requests: u64,
    replies: u64,
}

/// What the actor knows of the peer at the other end of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    /// Its pid, once it has sent a message.
    pub pid: Option<Pid>,
    /// The last sequence that it told.
    pub sequence: u64,
    /// When it last sent a message.
    pub heard_at: Option<Instant>,
    /// When it was asked the question that it has not answered yet.
    asked_at: Option<Instant>,
    /// The pass of draws in which it was last asked; 0 before the first.
    pass: u64,
    /// The session of its process, once it has sent a message.
    session: Option<u64>,
    /// The nonce of its last message.
    heard: u64,
    /// What this server wanted when it asked last.
    asked_as: Option<Stage>,
    /// How the last round ended.
    round: Round,
}

/// What is known of a peer that was dialed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Dialed {
    /// The life that answered there last.
    life: Option<(Pid, u64)>,
    /// The nonce of its last message.
    heard: u64,
    /// Since then it could not be reached.
    is_unreachable: bool,
    /// When it answered there, or could not be reached.
    seen_at: Option<Instant>,
}

/// How a round ended. People are told only of the first in a row of refused rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Round {
    #[default]
    Agreed,
    Refused,
}

impl Links {
    pub(super) fn new(config: &ActorConfig) -> Links {
        Links {
            fanout: config.fanout,
            peer_silence: config.peer_silence,
            links: BTreeMap::new(),
            dialed: BTreeMap::new(),
            links_of: BTreeMap::new(),
            lots: Lots::new(config.session),
            requests: 0,
            replies: 0,
        }
    }

    /// All links.
    pub(super) const fn states(&self) -> &BTreeMap<Link, LinkState> {
        &self.links
    }

    pub(super) const fn count_into(&self, tally: &mut Tally) {
        tally.sync_requests = self.requests;
        tally.sync_replies = self.replies;
    }

    /// Whether there is a peer to ask.
    pub(super) fn has_dialed(&self) -> bool {
        self.links.range(..Link::FIRST_ACCEPTED).next().is_some()
    }

    /// Whether a peer that was dialed has not answered its last question yet.
    pub(super) fn awaits_answer(&self) -> bool {
        let mut dialed = self.links.range(..Link::FIRST_ACCEPTED);
        dialed.any(|(_, state)| state.asked_at.is_some())
    }

    /// Whether the link exists.
    pub(super) fn has(&self, link: Link) -> bool {
        self.links.contains_key(&link)
    }

    /// The pid of the peer on a link, once it has sent a message.
    pub(super) fn pid(&self, link: Link) -> Option<Pid> {
        self.links.get(&link)?.pid
    }

    /// The first link on which a pid is heard.
    pub(super) fn first_of(&self, pid: Pid) -> Option<(Link, &LinkState)> {
        let link = *self.links_of.get(&pid)?.first()?;
        Some((link, self.links.get(&link)?))
    }

    /// The links on which a life is heard.
    pub(super) fn of_life(&self, pid: Pid, session: u64) -> impl Iterator<Item = Link> {
        let links = self.links_of.get(&pid).into_iter().flatten().copied();
        links.filter(move |link| self.links[link].session == Some(session))
    }

    /// Whether a life that is heard on no link may still answer where its pid was dialed. `None` if nobody knows: its pid
    /// was never heard there, or nothing has come from there since its pid was heard last, at `heard_at`. It may have
    /// connected here itself meanwhile.
    pub(super) fn may_answer(
        &self,
        pid: Pid,
        session: u64,
        heard_at: Option<Instant>,
    ) -> Option<bool> {
        let of_pid = |dialed: &&Dialed| dialed.life.is_some_and(|life| life.0 == pid);
        let answers =
            |dialed: &Dialed| dialed.life == Some((pid, session)) && !dialed.is_unreachable;
        let mut known = self.dialed.values().filter(of_pid).peekable();
        known.peek()?;
        if known.clone().any(answers) {
            return Some(true);
        }
        known
            .all(|dialed| dialed.seen_at >= heard_at)
            .then_some(false)
    }

    /// The nonce of the last message on a link, or of the last one from the peer that was dialed.
    pub(super) fn heard(&self, link: Link) -> u64 {
        match link {
            Link::Dialed(peer) => self.dialed.get(&peer).map_or(0, |dialed| dialed.heard),
            Link::Accepted(_) => self.links.get(&link).map_or(0, |state| state.heard),
        }
    }

    /// What this server wanted when it last asked on a link.
    pub(super) fn asked_as(&self, link: Link) -> Option<Stage> {
        self.links.get(&link)?.asked_as
    }

    /// What this server was when it last asked on a link, if that is answered.
    pub(super) fn answered_as(&self, link: Link) -> Option<Stage> {
        let state = self.links.get(&link)?;
        state.asked_as.filter(|_| state.asked_at.is_none())
    }

    /// A peer could not be reached.
    pub(super) fn unreachable(&mut self, peer: PeerId, now: Instant) {
        if let Some(dialed) = self.dialed.get_mut(&peer) {
            dialed.is_unreachable = true;
            dialed.seen_at = Some(now);
        }
    }

    /// A peer is dialed no more.
    pub(super) fn forget_dialed(&mut self, peer: PeerId) {
        debug_assert!(!self.has(Link::Dialed(peer)), "it is not connected");
        self.dialed.remove(&peer);
    }

    /// A connection to a peer is established, and the peer is asked with this message.
    pub(super) fn connect(
        &mut self,
        peer: PeerId,
        message: SyncMessage,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        self.dialed.entry(peer).or_default().is_unreachable = false;
        let state = self.links.entry(Link::Dialed(peer)).or_default();
        state.pass = self.lots.pass();
        ask(peer, state, message, now, effects);
    }

    /// A connection is gone. Returns the pid of its peer if that is heard on no other link.
    pub(super) fn disconnect(&mut self, link: Link) -> Option<Pid> {
        let pid = self.links.remove(&link)?.pid?;
        let Entry::Occupied(mut links) = self.links_of.entry(pid) else {
            unreachable!("a pid that was heard on a link is counted");
        };
        links.get_mut().remove(&link);
        if !links.get().is_empty() {
            return None;
        }
        links.remove();
        Some(pid)
    }

    /// Notes what a peer tells about itself. Returns whether it is heard on no other link.
    pub(super) fn hear(&mut self, link: Link, sync: &SyncMessage, now: Instant) -> bool {
        let state = self.links.entry(link).or_default();
        // Messages on one link stay in order, so the last one is the newest.
        state.sequence = sync.sequence;
        state.heard_at = Some(now);
        state.asked_at = None;
        state.session = Some(sync.session);
        state.heard = sync.told.nonce;
        if let Link::Dialed(peer) = link {
            self.dialed.insert(
                peer,
                Dialed {
                    life: Some((sync.pid, sync.session)),
                    heard: sync.told.nonce,
                    is_unreachable: false,
                    seen_at: Some(now),
                },
            );
        }
        if state.pid.is_some() {
            debug_assert_eq!(state.pid, Some(sync.pid), "it speaks for one pid only");
            return false;
        }
        state.pid = Some(sync.pid);
        let links = self.links_of.entry(sync.pid).or_default();
        links.insert(link);
        links.len() == 1
    }

    /// The peer on a link answers with an error. Returns false if the link is gone, which means that the error came
    /// late.
    pub(super) fn hear_error(&mut self, link: Link, now: Instant) -> bool {
        let Some(state) = self.links.get_mut(&link) else {
            return false;
        };
        state.asked_at = None;
        state.heard_at = Some(now);
        true
    }

    /// The peer on a link objects, which is an answer too. Returns false if the link is gone or never existed.
    pub(super) fn hear_objection(&mut self, link: Link) -> bool {
        let Some(state) = self.links.get_mut(&link) else {
            return false;
        };
        state.asked_at = None;
        true
    }

    /// A syncRequest was agreed to.
    pub(super) fn agreed_to_request(&mut self, link: Link) {
        self.requests += 1;
        self.agreed(link);
    }

    /// A syncReply was received, whatever its outcome.
    pub(super) const fn count_reply(&mut self) {
        self.replies += 1;
    }

    /// A round was agreed to.
    pub(super) fn agreed(&mut self, link: Link) {
        if let Some(state) = self.links.get_mut(&link) {
            state.round = Round::Agreed;
        }
    }

    /// A round was refused, by either side. Returns whether the round before was not refused.
    pub(super) fn refused(&mut self, link: Link) -> bool {
        self.links.get_mut(&link).is_some_and(|state| {
            std::mem::replace(&mut state.round, Round::Refused) == Round::Agreed
        })
    }

    /// Asks all or some of the peers that have answered their last question, with the message that `make` makes for each,
    /// and gives up those that have been silent too long.
    pub(super) fn ask_round(
        &mut self,
        whom: Whom,
        mut make: impl FnMut(Option<Pid>, Option<u64>, u64) -> SyncMessage,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let fanout = match whom {
            Whom::Some => self.fanout,
            Whom::All => self.links.len(),
        };
        let drawn = self.lots.draw(fanout, &mut self.links);
        for (link, state) in &mut self.links {
            let Link::Dialed(peer) = *link else { continue };
            match state.asked_at {
                None if drawn.contains(&peer) => {
                    let heard = self.dialed.get(&peer).map_or(0, |dialed| dialed.heard);
                    ask(
                        peer,
                        state,
                        make(state.pid, state.session, heard),
                        now,
                        effects,
                    );
                }
                // It is asked in a later round.
                None => {}
                // One question at a time: a peer that is late is not asked again, and nothing is sent to a peer that
                // has stopped reading.
                Some(asked_at) if now.since(asked_at) < self.peer_silence => {}
                Some(asked_at) => {
                    effects.push(Effect::HangUp {
                        peer,
                        cause: HangUp::Silent(now.since(asked_at)),
                    });
                }
            }
        }
    }
}

/// Which peers are asked in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// As many as `--fanout` allows.
    Some,
    /// All peers.
    All,
}

fn ask(
    peer: PeerId,
    state: &mut LinkState,
    message: SyncMessage,
    now: Instant,
    effects: &mut Vec<Effect>,
) {
    state.asked_at = Some(now);
    state.asked_as = Some(message.told.stage);
    effects.push(Effect::Send {
        to: peer,
        message: Message::SyncRequest(Box::new(message)),
    });
}
