//! Other servers with the same protocol: the kinds that the essay compares (docs/benchmarks.md names it), and the
//! floor below all of them.
//!
//! Each takes identityRequests of both forms, reads in batches and answers a batch in one write. It uses the
//! decoder and the encoder of the real server. So they differ in one thing: how many clients share one counter.
//!
//! None of them has a disk, a peer or a limit on its memory, so they are useful only for measurements.

mod channel;
mod locker;
mod raw;
mod sequence;
mod simple;
mod threads;

use std::{io, net::TcpListener};

use ipseity::limits::PEER_SILENCE_MIN;
use ipseity_core::{
    actor::{Actor, ActorConfig, Budgets, Effect, JoinMode},
    identity::{Identity, Pid, Sequence},
    ids::ConnectionId,
    limits::{
        ADVANCE_MAX_DEFAULT, ADVANCE_RATE_DEFAULT, AFTER_BURST_DEFAULT, COUNT_MAX_DEFAULT,
        PEER_BURST_DEFAULT, PEERS_MAX, RESERVE_DEFAULT,
    },
    words::{ErrorCode, ErrorReply, Message},
};
use ipseity_frames::{encode, encode_identities};

/// One of these servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// A thread for each connection; the counter is a number under a mutex.
    Simple,
    /// The same; the counter is an object whose methods lock it, one for each step of a request.
    Sequence,
    /// The same; the mutex is around the real actor, which handles an event under it.
    Locker,
    /// The threads dispatch events into a bounded channel. One more thread owns the real actor and sends the replies
    /// back.
    Channel,
    /// One thread and one poll, which ignores what it receives: every three bytes get the same fifteen bytes as their
    /// answer. No server with one thread can be faster.
    Raw,
}

impl Baseline {
    /// All of them.
    pub const ALL: [Baseline; 5] = [
        Baseline::Simple,
        Baseline::Sequence,
        Baseline::Locker,
        Baseline::Channel,
        Baseline::Raw,
    ];

    /// The name on the command line and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Baseline::Simple => "simple",
            Baseline::Sequence => "sequence",
            Baseline::Locker => "locker",
            Baseline::Channel => "channel",
            Baseline::Raw => "raw",
        }
    }

    /// The server with that name.
    pub fn from_name(name: &str) -> Option<Baseline> {
        Baseline::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Serves clients for as long as the process lives.
    pub fn serve(self, listener: TcpListener) -> io::Error {
        match self {
            Baseline::Simple => threads::serve(&listener, simple::Simple::default()),
            Baseline::Sequence => threads::serve(&listener, sequence::Sequenced::default()),
            Baseline::Locker => threads::serve(&listener, locker::Locker::new()),
            Baseline::Channel => threads::serve(&listener, channel::Dispatcher::start()),
            Baseline::Raw => raw::serve(listener),
        }
    }
}

/// The fields of a request.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    count: u32,
    after: u64,
}

/// The reply to a request.
#[derive(Debug)]
enum Reply {
    /// This many identities, beginning with this one.
    Identities(Identity, u32),
    /// The request cannot be served.
    Error(Box<ErrorReply>),
}

impl Reply {
    /// This many identities after `sequence`, of pid 0.
    fn after(sequence: u64, count: u32) -> Reply {
        match Sequence::new(sequence + 1) {
            Some(first) => Reply::Identities(Identity::new(first, Pid::MIN), count),
            None => Reply::error(ErrorCode::Exhausted, "the sequence is used up"),
        }
    }

    fn error(code: ErrorCode, text: &str) -> Reply {
        Reply::Error(Box::new(ErrorReply::new(code, text)))
    }

    /// The reply in an effect of the actor; `None` for effects that only report something to people.
    fn of(effect: Effect) -> Option<(ConnectionId, Reply)> {
        match effect {
            Effect::ReplyIdentities { to, first, count } => {
                Some((to, Reply::Identities(first, count)))
            }
            Effect::Reply {
                to,
                message: Message::ErrorReply(error),
            } => Some((to, Reply::Error(error))),
            Effect::Report(_) => None,
            other => unreachable!("without disk and peers the actor has no other effects: {other}"),
        }
    }

    /// Appends the frame of the reply to `out`.
    fn encode(self, out: &mut Vec<u8>) {
        match self {
            Reply::Identities(first, count) => encode_identities(first, count, out),
            Reply::Error(error) => encode(&Message::ErrorReply(error), out),
        }
    }
}

/// The sequence after which the identities begin, if the counter is at `sequence` and `request` comes. An error
/// reply if it cannot be served.
fn raised(sequence: u64, request: Request) -> Result<u64, Reply> {
    if request.count == 0 || request.count > COUNT_MAX_DEFAULT {
        let text = "a request is for 1 to 1000 identities";
        return Err(Reply::error(ErrorCode::BadCount, text));
    }
    let after = Identity::from_u64(request.after).map_or(0, |identity| identity.sequence().get());
    Ok(sequence.max(after))
}

/// The real actor, without a disk and without peers.
pub fn actor() -> Actor {
    Actor::new(ActorConfig {
        cluster: Default::default(),
        pid: Pid::MIN,
        incarnation: 1,
        boot: 1,
        session: 1,
        sequence: Sequence::ZERO,
        ceiling: Sequence::MAX,
        count_max: COUNT_MAX_DEFAULT,
        advance_max: ADVANCE_MAX_DEFAULT,
        budgets: Budgets {
            after_burst: AFTER_BURST_DEFAULT,
            peer_burst: PEER_BURST_DEFAULT,
            rate_per_second: ADVANCE_RATE_DEFAULT,
        },
        first_start: true,
        reserve: RESERVE_DEFAULT,
        recovered: Sequence::ZERO,
        objected: None,
        remembered: Vec::new(),
        fanout: PEERS_MAX,
        joins: false,
        join_mode: JoinMode::Prefer,
        lives: Vec::new(),
        votes: true,
        fences: false,
        lease: None,
        patience: None,
        advertise: String::new(),
        peer_silence: PEER_SILENCE_MIN,
    })
}
