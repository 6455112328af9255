//! The events that the actor handles, as plain data that can be stored, printed and replayed.

use std::fmt;

use super::{ConnectionId, Count, Link, PeerId, Written};
use crate::{
    identity::Pid,
    time::Instant,
    words::{
        ClusterName, EntryKind, ErrorReply, Forget, Goodbye, Hello, KnownLife, Objection, Overrule,
        Probe, SyncMessage, Told,
    },
};

/// An event for the actor. The events of the model come first. Each kind has one handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A frame that no handler accepts, with the reason.
    Unknown {
        /// The connection that sent it.
        from: ConnectionId,
        /// What is wrong with it.
        error: Box<ErrorReply>,
    },
    /// A message that this connection is not allowed to send.
    Denied {
        /// The connection that sent it.
        from: ConnectionId,
        /// Why it is not allowed.
        error: Box<ErrorReply>,
    },
    /// A client asks for identities.
    IdentityRequest {
        /// The connection that sent the request.
        from: ConnectionId,
        /// How many identities it asks for.
        count: Count,
        /// The identities must be greater than this one; 0 means that any will do.
        after: u64,
    },
    /// The ticker expired: it is time to ask the peers.
    SyncTimeout,
    /// A peer tells its sequence and asks for the sequence of this server.
    SyncRequest {
        /// The connection of the peer. The answer goes there.
        from: ConnectionId,
        /// What the peer tells about itself.
        sync: Box<SyncMessage>,
    },
    /// A peer answers a syncRequest.
    SyncReply {
        /// The peer, which this server dialed.
        from: PeerId,
        /// What the peer tells about itself.
        sync: Box<SyncMessage>,
    },
    /// A peer answers a syncRequest with an error.
    ErrorReply {
        /// The peer, which this server dialed.
        from: PeerId,
        /// The error.
        error: Box<ErrorReply>,
    },
    /// Someone asks for the status.
    StatusRequest {
        /// The connection that sent the request.
        from: ConnectionId,
    },
    /// A connection to a peer is established.
    PeerConnected(PeerId),
    /// The connection to or from a peer is gone.
    PeerDisconnected(Link),
    /// A connection that is owed answers is gone. Nothing of it comes after this.
    Disconnected(ConnectionId),
    /// A peer says why this server, or an earlier process in its place, must not hand out identities.
    Objection(Box<(Link, Objection)>),
    /// A server that was objected to says that its operator has confirmed its state.
    Overrule(Box<(Link, Overrule)>),
    /// A peer asks whether a life of this pid is alive.
    Probe(Box<(Link, Probe)>),
    /// A life answers a probe.
    Alive(Box<(Link, Probe)>),
    /// A peer says that its life is over.
    Goodbye(Box<(Link, Goodbye)>),
    /// A peer could not be reached.
    PeerUnreachable(PeerId),
    /// This address of a peer is forgotten: nothing that concerns it comes any more.
    PeerForgotten(PeerId),
    /// While this server joins: no other answer is expected.
    AllAsked,
    /// The time for asking the peers before the first identity is over.
    JoinTimeout,
    /// The lives that may still have a pid have been asked for long enough.
    ProbeTimeout,
    /// The memory of the peers may be saved again.
    SaveTimeout,
    /// The write that is under way may be late: see [`Actor::write_deadline`](super::Actor::write_deadline).
    WriteTimeout,
    /// Someone asks which servers this one knows.
    MembersRequest {
        /// The connection that sent the request.
        from: ConnectionId,
        /// The lowest pid that was requested.
        first: Pid,
    },
    /// An operator asks to forget a pid, or lives that never served.
    ForgetRequest {
        /// The connection that sent the request.
        from: ConnectionId,
        /// What to forget.
        what: Forget,
    },
    /// A client asks who this server is, and may say which cluster it expects.
    HelloRequest {
        /// The connection that sent the request.
        from: ConnectionId,
        /// What it says.
        hello: Box<Hello>,
    },
    /// An operator asks to go on above a sequence.
    AdvanceRequest {
        /// The connection that sent the request.
        from: ConnectionId,
        /// The sequence to go on above.
        above: u64,
    },
    /// A write is durable, or has failed, or has met the state of another session.
    Written(Written),
    /// The store has confirmed that this life has its pid, until this moment. A moment that has passed says that it is not
    /// confirmed any more.
    Leased {
        /// Counted from before the question was sent.
        until: Instant,
    },
    /// Another session has the state of this pid in the store.
    Fenced,
    /// Something waits for the store for too long, or the moment of the last [`Event::Leased`] has come: see
    /// [`Actor::store_deadline`](super::Actor::store_deadline).
    StoreTimeout,
    /// The server is stopping: hand out nothing more, and make the exact sequence durable.
    Stop,
}

impl Event {
    /// Its kind.
    pub const fn kind(&self) -> EntryKind {
        match self {
            Event::Unknown { .. } => EntryKind::Unknown,
            Event::Denied { .. } => EntryKind::Denied,
            Event::IdentityRequest { .. } => EntryKind::IdentityRequest,
            Event::SyncTimeout => EntryKind::SyncTimeout,
            Event::SyncRequest { .. } => EntryKind::SyncRequest,
            Event::SyncReply { .. } => EntryKind::SyncReply,
            Event::ErrorReply { .. } => EntryKind::ErrorReply,
            Event::StatusRequest { .. } => EntryKind::StatusRequest,
            Event::PeerConnected(_) => EntryKind::PeerConnected,
            Event::PeerDisconnected(_) => EntryKind::PeerDisconnected,
            Event::Disconnected(_) => EntryKind::Disconnected,
            Event::Objection(_) => EntryKind::Objection,
            Event::Overrule(_) => EntryKind::Overrule,
            Event::Probe(_) => EntryKind::Probe,
            Event::Alive(_) => EntryKind::Alive,
            Event::Goodbye(_) => EntryKind::Goodbye,
            Event::PeerUnreachable(_) => EntryKind::PeerUnreachable,
            Event::PeerForgotten(_) => EntryKind::PeerForgotten,
            Event::AllAsked => EntryKind::AllAsked,
            Event::JoinTimeout => EntryKind::JoinTimeout,
            Event::ProbeTimeout => EntryKind::ProbeTimeout,
            Event::SaveTimeout => EntryKind::SaveTimeout,
            Event::WriteTimeout => EntryKind::WriteTimeout,
            Event::MembersRequest { .. } => EntryKind::MembersRequest,
            Event::ForgetRequest { .. } => EntryKind::ForgetRequest,
            Event::HelloRequest { .. } => EntryKind::HelloRequest,
            Event::AdvanceRequest { .. } => EntryKind::AdvanceRequest,
            Event::Written(written) => written.kind(),
            Event::Leased { .. } => EntryKind::Leased,
            Event::Fenced => EntryKind::Fenced,
            Event::StoreTimeout => EntryKind::StoreTimeout,
            Event::Stop => EntryKind::Stop,
        }
    }

    /// The name in logs, traces and metrics.
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// The connection that waits for the answer, if this is a request that has no effect without one. What a peer says
    /// is heard even if its connection is gone.
    pub const fn client(&self) -> Option<ConnectionId> {
        match self {
            Event::IdentityRequest { from, .. }
            | Event::HelloRequest { from, .. }
            | Event::StatusRequest { from }
            | Event::MembersRequest { from, .. }
            | Event::ForgetRequest { from, .. }
            | Event::AdvanceRequest { from, .. } => Some(*from),
            Event::Unknown { .. }
            | Event::Denied { .. }
            | Event::SyncTimeout
            | Event::SyncRequest { .. }
            | Event::SyncReply { .. }
            | Event::ErrorReply { .. }
            | Event::PeerConnected(_)
            | Event::PeerDisconnected(_)
            | Event::Disconnected(_)
            | Event::Objection(_)
            | Event::Overrule(_)
            | Event::Probe(_)
            | Event::Alive(_)
            | Event::Goodbye(_)
            | Event::PeerUnreachable(_)
            | Event::PeerForgotten(_)
            | Event::AllAsked
            | Event::JoinTimeout
            | Event::ProbeTimeout
            | Event::SaveTimeout
            | Event::WriteTimeout
            | Event::Written(_)
            | Event::Leased { .. }
            | Event::Fenced
            | Event::StoreTimeout
            | Event::Stop => None,
        }
    }
}

impl fmt::Display for Event {
    /// The name and the fields, as text in a trace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Event::Unknown { from, error } | Event::Denied { from, error } => {
                write!(f, " connection={from} error={:?}", error.message)
            }
            Event::IdentityRequest { from, count, after } => {
                write!(f, " connection={from} count={count:?} after={after}")
            }
            Event::SyncRequest { from, sync } => write!(f, " connection={from} {}", Fields(sync)),
            Event::SyncReply { from, sync } => write!(f, " peer={from} {}", Fields(sync)),
            Event::ErrorReply { from, error } => {
                write!(
                    f,
                    " peer={from} code={} message={:?}",
                    error.code, error.message
                )
            }
            Event::StatusRequest { from } => write!(f, " connection={from}"),
            Event::HelloRequest { from, hello } => {
                let name = hello.cluster.as_ref().map_or("", ClusterName::as_str);
                write!(f, " connection={from} cluster={name:?}")
            }
            Event::PeerConnected(peer)
            | Event::PeerUnreachable(peer)
            | Event::PeerForgotten(peer) => write!(f, " peer={peer}"),
            Event::Probe(heard) | Event::Alive(heard) => {
                write!(f, " {} {}", heard.0, ProbeFields(&heard.1))
            }
            Event::Goodbye(heard) => write!(f, " {} {}", heard.0, GoodbyeFields(&heard.1)),
            Event::PeerDisconnected(link) => write!(f, " {link}"),
            Event::Disconnected(connection) => write!(f, " connection={connection}"),
            Event::Objection(heard) => {
                let (link, objection) = &**heard;
                write!(f, " {link} {}", ObjectionFields(objection))
            }
            Event::Overrule(heard) => write!(f, " {} {}", heard.0, OverruleFields(&heard.1)),
            Event::MembersRequest { from, first } => write!(f, " connection={from} first={first}"),
            Event::ForgetRequest { from, what } => write!(f, " connection={from} {what}"),
            Event::AdvanceRequest { from, above } => {
                write!(f, " connection={from} above={above}")
            }
            Event::Written(written) => write!(f, " {written}"),
            Event::Leased { until } => {
                write!(f, " untilMs={}", until.since(Instant::START).as_millis())
            }
            Event::Fenced => f.write_str(" lease"),
            Event::SyncTimeout
            | Event::AllAsked
            | Event::JoinTimeout
            | Event::ProbeTimeout
            | Event::SaveTimeout
            | Event::WriteTimeout
            | Event::StoreTimeout
            | Event::Stop => Ok(()),
        }
    }
}

/// A sync message, as text in a trace.
pub(super) struct Fields<'a>(pub(super) &'a SyncMessage);

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SyncMessage {
            version,
            cluster,
            pid,
            incarnation,
            boot,
            session,
            sequence,
            told:
                Told {
                    stage,
                    ceiling,
                    votes,
                    known,
                    claimed,
                    nonce,
                    heard,
                    refused,
                },
            advertise,
        } = self.0;
        write!(
            f,
            "version={version} cluster={:?} pid={pid} incarnation={incarnation:032x} boot={boot} \
             session={session:016x} sequence={sequence} stage={} ceiling={ceiling} votes={} nonce={nonce:016x} \
             heard={heard:016x} refused={refused}",
            cluster.as_str(),
            stage.name(),
            votes.name()
        )?;
        for (name, life) in [("known", known), ("claimed", claimed)] {
            let Some(life) = life else { continue };
            let KnownLife {
                boot,
                session,
                ceiling,
                sequence,
            } = life;
            write!(f, " {name}={boot}/{session:016x}/{ceiling}/{sequence}")?;
        }
        match advertise.is_empty() {
            true => Ok(()),
            false => write!(f, " advertise={advertise:?}"),
        }
    }
}

/// A probe or its answer, as text in a trace.
pub(super) struct ProbeFields<'a>(pub(super) &'a Probe);

impl fmt::Display for ProbeFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Probe {
            pid,
            session,
            nonce,
        } = self.0;
        write!(f, "pid={pid} session={session:016x} nonce={nonce:016x}")
    }
}

/// A goodbye, as text in a trace.
pub(super) struct GoodbyeFields<'a>(pub(super) &'a Goodbye);

impl fmt::Display for GoodbyeFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Goodbye {
            pid,
            session,
            served,
        } = self.0;
        write!(f, "pid={pid} session={session:016x} served={served}")
    }
}

/// An objection, as text in a trace.
pub(super) struct ObjectionFields<'a>(pub(super) &'a Objection);

impl fmt::Display for ObjectionFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Objection {
            pid,
            session,
            code,
            sequence,
            message,
        } = self.0;
        write!(
            f,
            "pid={pid} session={session:016x} code={code} sequence={sequence} message={message:?}"
        )
    }
}

/// An overrule, as text in a trace.
pub(super) struct OverruleFields<'a>(pub(super) &'a Overrule);

impl fmt::Display for OverruleFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Overrule {
            pid,
            incarnation,
            session,
            above,
        } = self.0;
        write!(
            f,
            "pid={pid} incarnation={incarnation:032x} session={session:016x} above={above}"
        )
    }
}
