//! The content of a statusReply, collected from the parts that know it.

use std::sync::Arc;

use super::Server;
use ipseity_core::{
    actor::{LinkState, Tally},
    identity::Pid,
    ids::Link,
    time::Instant,
    words::{
        BoundsStatus, CodecStatus, Counters, Grant, Grants, LifeMarks, Message, ObjectionStatus,
        PeerState, PeerStatus, Status, StorageStatus, StoreStatus, VitalsStatus,
    },
};

use crate::{
    codec::Codec,
    edge::Edge,
    limits::{STATUS_PEER_BYTES_MAX, STATUS_PEERS_BYTES_MAX, STRANGERS_LIST_MAX},
    peers::{Progress, Shown},
    transport::ByHttp,
};

/// The reason of an objection that only the disk knows. The disk keeps the number, and not who has said it.
const NOTED_EARLIER: &str = "an earlier run of this server was objected to, and no peer has said why since this start; \
                             ipseity-cli members, asked of the other servers, shows which of them objects";

impl<E: Edge> Server<E> {
    /// The answer to a statusRequest.
    pub(super) fn status(&self, asker: Grants) -> Message {
        let own = self.actor.config();
        let tally = self.actor.tally();
        let shown = self.peers.shown();
        let (peers, peers_total) = self.peer_statuses(&shown, asker.has(Grant::Operate));
        let vitals = self.vitals_status(&tally, shown.iter().take(peers.len()));
        let life = LifeMarks {
            incarnation: own.incarnation,
            boot: own.boot,
            session: own.session,
        };
        let life = life.for_eyes_of(asker);
        Message::StatusReply(Box::new(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: own.cluster.clone(),
            pid: own.pid,
            incarnation: life.incarnation,
            boot: life.boot,
            session: life.session,
            standing: self.standing_now(),
            sequence: self.actor.sequence().get(),
            uptime_ms: self.ms_since(self.started_at),
            connections: self.transport.accepted_open() as u32,
            connections_max: self.transport.limits().connections_max as u32,
            counters: Counters {
                // bug CounterFalls instead: accepted: if BUG { self.transport.accepted_open() as u64 } else { self.transport.accepted_total() },
                accepted: self.transport.accepted_total(),
                identity_requests: tally.identity_requests,
                identities: tally.identities,
                waited: tally.waited,
                sync_requests: tally.sync_requests,
                sync_replies: tally.sync_replies,
                absorbed: tally.absorbed,
                errors: self
                    .transport
                    .errors()
                    .iter()
                    .map(|(code, count)| (*code, *count))
                    .collect(),
            },
            storage: StorageStatus {
                ceiling: self.actor.ceiling().get(),
                skipped: self.skipped,
                ..self.edge.storage()
            },
            peers_total,
            peers,
            bounds: BoundsStatus {
                waiting_for_disk: self.actor.waiting_for_disk() as u64,
                // bug DroppedLinesUntold instead: log_lines_dropped: if BUG { 0 } else { self.edge.log_lines_dropped() },
                log_lines_dropped: self.edge.log_lines_dropped(),
                pending_bytes: self.transport.pending_bytes() as u64,
                cut_off: self.transport.crowded_out(),
                refused_for_address: self.transport.refused_for_address(),
                closed_idle: self.transport.closed_idle(),
                advance_max: own.advance_max,
            },
            tls: self.tls_status(),
            vitals,
            join: self.actor.join_status(),
            objection: self.actor.is_objected().then(|| self.objection_status()),
            store: self.store_status(),
            spin: self.spin.status(),
        }))
    }

    /// What keeps the state, and whether that answers.
    pub(super) fn store_status(&self) -> StoreStatus {
        StoreStatus {
            state: self.actor.store_state(),
            doubts: self.actor.doubts(),
            fenced: self.actor.is_fenced(),
            ..self.edge.store()
        }
    }

    /// Who objects to this server, why, and what to go on above.
    fn objection_status(&self) -> ObjectionStatus {
        let above = self.actor.objected_above().get();
        match &self.objector {
            None => ObjectionStatus {
                above,
                reason: NOTED_EARLIER.to_owned(),
                ..ObjectionStatus::default()
            },
            Some(objector) => ObjectionStatus {
                above,
                peer: objector.peer.clone(),
                pid: objector.pid.or_else(|| self.pid_on(objector.link)),
                reason: objector.reason.clone(),
            },
        }
    }

    /// The pid that the peer on this link has told.
    fn pid_on(&self, link: Link) -> Option<Pid> {
        self.link_pid(link).or_else(|| match link {
            Link::Dialed(peer) => self.peers.pid(peer),
            Link::Accepted(_) => None,
        })
    }

    /// What the loop, the disk and the connections do. `listed` are the named ones of the peers in the list.
    fn vitals_status<'a>(
        &self,
        tally: &Tally,
        listed: impl Iterator<Item = &'a Shown>,
    ) -> VitalsStatus {
        let connections = self.transport.open_by();
        let by_http = self.transport.by_http();
        let in_frames = ByHttp {
            answered: tally.identity_requests - by_http.answered,
            refused: tally.refused - by_http.refused,
            identities: tally.identities - by_http.identities,
        };
        let codecs = Codec::NAMES
            .iter()
            .zip([in_frames, by_http])
            .zip(connections);
        let refusals = (0u16..).zip(listed);
        VitalsStatus {
            turns: self.vitals.turns(),
            turn_times: self.vitals.turn_times().clone(),
            mailbox: self.mailbox.len() as u64,
            mailbox_max: self.vitals.mailbox_max() as u64,
            events: self.vitals.events(),
            codecs: codecs
                .map(|((name, done), connections)| CodecStatus {
                    name: (*name).to_owned(),
                    identity_requests: done.answered,
                    identity_requests_refused: done.refused,
                    identities: done.identities,
                    connections: *connections,
                })
                .collect(),
            demand_per_second: self.actor.demand_per_second(self.now),
            writes: self.edge.writes(),
            refusals: refusals
                .map(|(place, shown)| (place, self.peers.refusals(*shown)))
                .filter(|(_, refusals)| *refusals > 0)
                .collect(),
        }
    }

    /// The peers: first the named ones, then those that connected and were not named. A named peer without a dialed
    /// connection is up if it has connected itself. `shown` are the named ones. The list holds as many as fit; the number says how many there
    /// are.
    fn peer_statuses(&self, shown: &[Shown], operates: bool) -> (Vec<PeerStatus>, u32) {
        let links = self.actor.links();
        let named = shown.iter().map(|shown| self.named_peer(*shown));
        let is_named =
            |state: &LinkState| state.pid.is_some_and(|pid| self.peers.named(pid).is_some());
        let accepted = links
            .range(Link::FIRST_ACCEPTED..)
            .filter_map(|(link, state)| match link {
                Link::Accepted(connection) if !is_named(state) => Some((*connection, state)),
                Link::Accepted(_) | Link::Dialed(_) => None,
            });
        let total = shown.len() + accepted.clone().count();
        let accepted = accepted.map(|(connection, state)| {
            let known = self.known_address(state.pid, Link::Accepted(connection));
            let asked = || self.transport.address(connection).into();
            self.present_peer(
                known.unwrap_or_else(asked),
                Link::Accepted(connection),
                state,
            )
        });
        let most = match operates {
            true => total,
            false => STRANGERS_LIST_MAX,
        };
        let mut bytes = 0;
        let fitting = named.chain(accepted).take(most).take_while(|peer| {
            bytes += STATUS_PEER_BYTES_MAX + peer.address.len();
            bytes <= STATUS_PEERS_BYTES_MAX
        });
        (fitting.collect(), total as u32)
    }

    fn named_peer(&self, shown: Shown) -> PeerStatus {
        let Shown::Peer(peer) = shown else {
            return self.absent_peer(shown);
        };
        let dialed = Link::Dialed(peer);
        let link = self.actor.links().get(&dialed);
        let has_spoken = link.filter(|link| link.pid.is_some());
        let own_link = || self.actor.link_of(self.peers.pid(peer)?);
        match has_spoken.map(|link| (dialed, link)).or_else(own_link) {
            Some((at, link)) => self.present_peer(self.peers.title(peer).into(), at, link),
            None => self.absent_peer(shown),
        }
    }

    /// A named peer that is not heard now. If it ever answered, its pid and its last sequence are shown.
    fn absent_peer(&self, shown: Shown) -> PeerStatus {
        let (address, pid) = match shown {
            Shown::Name(name) => (self.peers.text(name).into(), None),
            Shown::Peer(peer) => (self.peers.title(peer).into(), self.peers.pid(peer)),
        };
        let known = pid.and_then(|pid| self.actor.members().get(&pid));
        PeerStatus {
            address,
            pid,
            tls: false,
            state: match self.peers.progress(shown) {
                Progress::Down => PeerState::Down,
                Progress::Refused => PeerState::Refused,
                Progress::Connecting => PeerState::Connecting,
                Progress::Connected => PeerState::Connected,
            },
            sequence: known.map_or(0, |known| known.remembered.sequence.get()),
            last_heard_ms: known
                .and_then(|known| known.heard_at)
                .map(|heard_at| self.ms_since(heard_at)),
        }
    }

    fn present_peer(&self, address: Arc<str>, at: Link, link: &LinkState) -> PeerStatus {
        let connection = match at {
            Link::Accepted(connection) => Some(connection),
            Link::Dialed(peer) => self.peers.connection(peer),
        };
        let is_sealed = connection.is_some_and(|id| self.transport.is_sealed(id));
        PeerStatus {
            address,
            pid: link.pid,
            state: PeerState::Up,
            tls: is_sealed,
            sequence: link.sequence,
            last_heard_ms: link.heard_at.map(|heard_at| self.ms_since(heard_at)),
        }
    }

    /// How many milliseconds ago `earlier` was, as shown to people.
    pub(super) fn ms_since(&self, earlier: Instant) -> u64 {
        self.now.since(earlier).as_millis() as u64
    }
}
