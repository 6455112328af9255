//! What the actor wants done, as plain data.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    Charge, ConnectionId, Link, Outcome, PeerId, Write,
    event::{Fields, GoodbyeFields, ObjectionFields, OverruleFields, ProbeFields},
};
use crate::{
    identity::{Identity, Pid, Sequence},
    words::{ClusterName, ErrorReply, Message, Standing},
};

/// What the actor wants done. The server carries out all effects of an event, in order, before the next event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer an identityRequest with identities. Nearly every effect is this one, so it allocates nothing.
    ReplyIdentities {
        /// The connection that sent the request.
        to: ConnectionId,
        /// The first identity.
        first: Identity,
        /// How many identities, in a row from the first.
        count: u32,
    },
    /// Answer a request. Each request is answered exactly once, in the order of the requests of its connection.
    Reply {
        /// The connection that sent the request.
        to: ConnectionId,
        /// The answer.
        message: Message,
    },
    /// Answer a statusRequest. The server knows the rest of the content.
    ReplyStatus {
        /// The connection that sent the request.
        to: ConnectionId,
    },
    /// Answer a membersRequest. The server adds the addresses.
    ReplyMembers {
        /// The connection that sent the request.
        to: ConnectionId,
        /// The lowest pid that was requested.
        first: Pid,
    },
    /// Tell a process why it must not hand out identities. If the charge is new, people are told too. The server adds
    /// the addresses.
    Object {
        /// Which process, on which link, and why.
        charge: Charge,
        /// Whether this is the answer to a request that came on that link.
        answers: bool,
    },
    /// Send a message that is not an answer, on a link.
    Tell {
        /// The link.
        to: Link,
        /// The message.
        message: Message,
    },
    /// Close the connection after its answers have been written.
    Close(ConnectionId),
    /// Send a message to a peer. It is dropped if the peer is not connected: the next round makes up for it.
    Send {
        /// The peer.
        to: PeerId,
        /// The message.
        message: Message,
    },
    /// Give up the connection to a peer. It is dialed again later.
    HangUp {
        /// The peer.
        peer: PeerId,
        /// Why it is given up.
        cause: HangUp,
    },
    /// Start the ticker.
    StartTicker,
    /// Stop the ticker: there is no peer to ask.
    StopTicker,
    /// Dispatch `joinTimeout` after this time, if it is not due before.
    JoinWithin(Duration),
    /// Dispatch `joinTimeout` after this time, whenever it was due before: another wait begins.
    ClaimWithin(Duration),
    /// Dial this address of a peer once: a life that was heard may be there, and has to answer.
    DialOnce(Arc<str>),
    /// Another server has the pid: exit, with a failure.
    GiveUp,
    /// Dispatch `saveTimeout` after this time. Then the memory of the peers may be saved again.
    SaveLater(Duration),
    /// Make something durable, and dispatch `written` or `writeFailed`.
    Write(Write),
    /// The stop is over. Its exact sequence is durable, or could not be made durable.
    Stopped(Outcome),
    /// Report something to people.
    Report(Report),
}

/// Receives what the actor wants done.
///
/// A plain list takes every effect. A server may instead carry out the most common effect at once. An event has
/// either that effect alone, or effects that all go into the list. So the order is kept, as long as the list is empty
/// when an event is handled.
pub trait Outbox {
    /// Takes the [`Effect::ReplyIdentities`] of an event that has only this effect.
    fn reply_identities(&mut self, to: ConnectionId, first: Identity, count: u32);

    /// Takes all effects of any other event, in order.
    fn list(&mut self) -> &mut Vec<Effect>;
}

impl Outbox for Vec<Effect> {
    fn reply_identities(&mut self, to: ConnectionId, first: Identity, count: u32) {
        self.push(Effect::ReplyIdentities { to, first, count });
    }

    fn list(&mut self) -> &mut Vec<Effect> {
        self
    }
}

impl fmt::Display for Effect {
    /// The text in a trace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::ReplyIdentities { to, first, count } => {
                write!(
                    f,
                    "reply connection={to} identityReply first={first} count={count}"
                )
            }
            Effect::Reply { to, message } => {
                write!(f, "reply connection={to} {}", MessageFields(message))
            }
            Effect::ReplyStatus { to } => write!(f, "reply connection={to} statusReply"),
            Effect::ReplyMembers { to, first } => {
                write!(f, "reply connection={to} membersReply first={first}")
            }
            Effect::Object { charge, answers } => {
                let Charge {
                    pid,
                    session,
                    link,
                    code,
                    sequence,
                    rival,
                    is_new: _,
                    may_be_over: _,
                } = charge;
                let verb = if *answers { "reply" } else { "tell" };
                let code = code.get();
                write!(
                    f,
                    "{verb} {link} objection pid={pid} session={session:016x} code={code} \
                     sequence={sequence}"
                )?;
                match rival.and_then(|rival| rival.link) {
                    Some(link) => write!(f, " rival {link}"),
                    None => Ok(()),
                }
            }
            Effect::Tell { to, message } => write!(f, "tell {to} {}", MessageFields(message)),
            Effect::Close(connection) => write!(f, "close connection={connection}"),
            Effect::Send { to, message } => write!(f, "send peer={to} {}", MessageFields(message)),
            Effect::HangUp { peer, cause } => {
                write!(f, "hangUp peer={peer} cause={:?}", cause.to_string())
            }
            Effect::StartTicker => f.write_str("startTicker"),
            Effect::StopTicker => f.write_str("stopTicker"),
            Effect::JoinWithin(wait) => write!(f, "joinWithin ms={}", wait.as_millis()),
            Effect::ClaimWithin(wait) => write!(f, "claimWithin ms={}", wait.as_millis()),
            Effect::DialOnce(address) => write!(f, "dialOnce address={address:?}"),
            Effect::GiveUp => f.write_str("giveUp"),
            Effect::SaveLater(wait) => write!(f, "saveLater ms={}", wait.as_millis()),
            Effect::Write(write) => write!(f, "write {write}"),
            Effect::Stopped(Outcome::Durable) => f.write_str("stopped"),
            Effect::Stopped(Outcome::Failed) => f.write_str("stopFailed"),
            Effect::Stopped(Outcome::Fenced) => f.write_str("stopFenced"),
            Effect::Report(report) => write!(f, "report {report}"),
        }
    }
}

/// A message, as text in a trace.
struct MessageFields<'a>(&'a Message);

impl fmt::Display for MessageFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.name();
        match self.0 {
            Message::IdentityRequest { count, after } => {
                write!(f, "{name} count={count} after={after}")
            }
            Message::IdentityReply { first, count } => {
                write!(f, "{name} first={first} count={count}")
            }
            Message::SyncRequest(sync) | Message::SyncReply(sync) => {
                write!(f, "{name} {}", Fields(sync))
            }
            Message::ErrorReply(error) => {
                write!(f, "{name} code={} message={:?}", error.code, error.message)
            }
            Message::Objection(objection) => write!(f, "{name} {}", ObjectionFields(objection)),
            Message::Overrule(overrule) => write!(f, "{name} {}", OverruleFields(overrule)),
            Message::Probe(probe) | Message::Alive(probe) => {
                write!(f, "{name} {}", ProbeFields(probe))
            }
            Message::Goodbye(goodbye) => write!(f, "{name} {}", GoodbyeFields(goodbye)),
            Message::MembersRequest { from: pid } => write!(f, "{name} pid={pid}"),
            Message::ForgetRequest { what } => write!(f, "{name} {what}"),
            Message::AdvanceRequest { above: sequence } | Message::DoneReply { sequence } => {
                write!(f, "{name} sequence={sequence}")
            }
            Message::HelloRequest(hello) => {
                let name = hello.cluster.as_ref().map_or("", ClusterName::as_str);
                write!(f, "helloRequest cluster={name:?}")
            }
            Message::HelloReply(hello) => write!(f, "{name} standing={}", hello.standing),
            Message::StatusRequest | Message::StatusReply(_) | Message::MembersReply(_) => {
                f.write_str(name)
            }
        }
    }
}

/// Why the actor gives up the connection to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// It has not answered for this long.
    Silent(Duration),
    /// This server refuses the peer.
    Refused(Box<ErrorReply>),
    /// The peer refuses this server.
    RefusedBy(Box<ErrorReply>),
}

impl fmt::Display for HangUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HangUp::Silent(silence) => write!(f, "no answer for {} ms", silence.as_millis()),
            HangUp::Refused(error) => write!(f, "refused: {}", error.message),
            HangUp::RefusedBy(error) => {
                write!(f, "it refuses this server and says: {}", error.message)
            }
        }
    }
}

/// Something that people should know. The server adds addresses, and leaves some out when there are very many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A peer is heard, and was not heard on any other link before.
    PeerUp {
        /// The link on which it is heard.
        link: Link,
        /// The peer's pid.
        pid: Pid,
        /// The sequence that it told.
        sequence: u64,
    },
    /// A peer that was up is not heard on any link any more.
    PeerDown {
        /// The last link on which it was heard.
        link: Link,
        /// Its pid.
        pid: Pid,
    },
    /// A peer was refused, and its connection is about to be closed.
    Refused {
        /// The connection of the peer.
        from: ConnectionId,
        /// What the peer was told.
        error: Box<ErrorReply>,
    },
    /// An earlier life of this server's own directory was heard, and its connection is about to be closed.
    LateWord {
        /// The connection.
        from: ConnectionId,
    },
    /// A round was refused, by this server or by the peer, after one that was not. The connection stays open.
    RoundRefused {
        /// The link of the round.
        link: Link,
        /// Why it was refused.
        error: Box<ErrorReply>,
    },
    /// An advance that a client asked for was refused.
    AdvanceRefused {
        /// The connection that sent the request.
        from: ConnectionId,
        /// What the client was told.
        error: Box<ErrorReply>,
    },
    /// A peer or a client has raised the sequence by more than a step of the ceiling. The number of such reports in a
    /// span of time is bounded.
    Raised {
        /// The link of the peer, or the connection of the client.
        link: Link,
        /// By how many sequences.
        by: u64,
        /// To which sequence.
        to: Sequence,
        /// How many of this kind were not reported since the last one.
        untold: u64,
    },
    /// An operator has the server go on above a sequence.
    Advanced {
        /// The connection of the operator.
        from: ConnectionId,
        /// That sequence.
        above: Sequence,
        /// The sequence of the server before that.
        sequence: Sequence,
    },
    /// An operator has this server forget a pid.
    Forgot {
        /// The connection of the operator.
        from: ConnectionId,
        /// The pid.
        pid: Pid,
        /// The highest sequence that was known of it.
        sequence: Sequence,
    },
    /// An operator has this server forget lives that have claimed a pid and never said that they serve.
    ForgotClaims {
        /// The connection of the operator.
        from: ConnectionId,
        /// The pid; `None` for all.
        pid: Option<Pid>,
        /// How many such lives were remembered.
        claims: usize,
    },
    /// A peer objects to this server, which hands out nothing from now on.
    Objected {
        /// The standing of this server from now on.
        standing: Standing,
        /// What `--recover-above` must be at least.
        above: Sequence,
        /// The link on which the peer is heard.
        by: Link,
        /// What the peer said.
        why: String,
    },
    /// A peer knows of a higher sequence of this pid than the one that was reported.
    ObjectedHigher {
        /// What `--recover-above` must be at least.
        above: Sequence,
        /// The link on which the peer is heard.
        by: Link,
        /// What the peer said.
        why: String,
    },
    /// An earlier run was objected to, and now a peer has told this one why. It is not logged again, only shown.
    ObjectedStill {
        /// The link on which the peer is heard.
        by: Link,
        /// What the peer said.
        why: String,
    },
    /// An operator has confirmed the state of a peer that was objected to.
    Overruled {
        /// The link on which the peer is heard.
        link: Link,
        /// Its pid.
        pid: Pid,
        /// The sequence above which the peer started.
        above: u64,
    },
    /// The peers have been asked, and identities are handed out from now on.
    Joined {
        /// How many peers answered.
        answered: usize,
    },
    /// Not enough peers have answered in time.
    JoinWaits,
    /// Another server has the pid, and this one gives up.
    GaveUp {
        /// What was said about it.
        why: String,
    },
    /// A large part of the sequence is used up.
    Exhaustion {
        /// The part that is used up, in percent.
        percent: u64,
        /// How many sequences are left.
        remaining: u64,
    },
    /// The whole sequence is used up.
    Exhausted,
    /// A write is late.
    WriteLate {
        /// How long it has taken so far.
        took: Duration,
        /// How many requests wait for the disk.
        waiting: usize,
    },
    /// A write that was late is over.
    WriteOver {
        /// How long it took.
        took: Duration,
        /// How many requests have waited for it.
        waited: usize,
    },
    /// The disk failed: the server must exit.
    StorageFailed,
    /// Another session has the state of this pid in the store: nothing is handed out any more, and the server must exit.
    Fenced,
    /// The store has not confirmed in time that this life has its pid. Nothing is handed out until it does.
    InDoubt,
    /// The store has confirmed it again.
    Confirmed {
        /// How long nothing was handed out.
        took: Duration,
    },
    /// The store has not answered for so long that requests which need it are refused from now on.
    StoreAway {
        /// How many have waited until now.
        waiting: usize,
    },
    /// The store has answered again.
    StoreBack {
        /// How long requests were refused.
        took: Duration,
    },
}

impl fmt::Display for Report {
    /// The text in a trace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::PeerUp {
                link,
                pid,
                sequence,
            } => {
                write!(f, "peerUp {link} pid={pid} sequence={sequence}")
            }
            Report::PeerDown { link, pid } => write!(f, "peerDown {link} pid={pid}"),
            Report::Refused { from, error } => {
                write!(
                    f,
                    "refused connection={from} code={} message={:?}",
                    error.code, error.message
                )
            }
            Report::LateWord { from } => write!(f, "lateWord connection={from}"),
            Report::RoundRefused { link, error } => {
                write!(
                    f,
                    "roundRefused {link} code={} message={:?}",
                    error.code, error.message
                )
            }
            Report::AdvanceRefused { from, error } => {
                write!(
                    f,
                    "advanceRefused connection={from} code={} message={:?}",
                    error.code, error.message
                )
            }
            Report::Raised {
                link,
                by,
                to,
                untold,
            } => write!(f, "raised {link} by={by} to={to} untold={untold}"),
            Report::Advanced {
                from,
                above,
                sequence,
            } => {
                write!(
                    f,
                    "advanced connection={from} above={above} sequence={sequence}"
                )
            }
            Report::Forgot {
                from,
                pid,
                sequence,
            } => write!(f, "forgot connection={from} pid={pid} sequence={sequence}"),
            Report::ForgotClaims { from, pid, claims } => {
                write!(f, "forgotClaims connection={from}")?;
                if let Some(pid) = pid {
                    write!(f, " pid={pid}")?;
                }
                write!(f, " claims={claims}")
            }
            Report::Objected {
                standing,
                above,
                by,
                why,
            } => {
                write!(
                    f,
                    "objected {by} standing={standing:?} above={above} why={why:?}"
                )
            }
            Report::ObjectedHigher { above, by, why } => {
                write!(f, "objectedHigher {by} above={above} why={why:?}")
            }
            Report::ObjectedStill { by, why } => write!(f, "objectedStill {by} why={why:?}"),
            Report::Overruled { link, pid, above } => {
                write!(f, "overruled {link} pid={pid} above={above}")
            }
            Report::Joined { answered } => write!(f, "joined answered={answered}"),
            Report::JoinWaits => f.write_str("joinWaits"),
            Report::GaveUp { why } => write!(f, "gaveUp why={why:?}"),
            Report::Exhaustion { percent, remaining } => {
                write!(f, "exhaustion percent={percent} remaining={remaining}")
            }
            Report::Exhausted => f.write_str("exhausted"),
            Report::WriteLate { took, waiting } => {
                write!(f, "writeLate ms={} waiting={waiting}", took.as_millis())
            }
            Report::WriteOver { took, waited } => {
                write!(f, "writeOver ms={} waited={waited}", took.as_millis())
            }
            Report::StorageFailed => f.write_str("storageFailed"),
            Report::Fenced => f.write_str("fenced"),
            Report::InDoubt => f.write_str("inDoubt"),
            Report::Confirmed { took } => write!(f, "confirmed ms={}", took.as_millis()),
            Report::StoreAway { waiting } => write!(f, "storeAway waiting={waiting}"),
            Report::StoreBack { took } => write!(f, "storeBack ms={}", took.as_millis()),
        }
    }
}
