//! The clients of a cluster: well-behaved ones, careless ones, and strangers that send anything.

use std::{collections::VecDeque, io::Read, io::Write, net::SocketAddr, time::Duration};

use fastrand::Rng;
use ipseity_core::{
    actor::ActorConfig,
    identity::{Identity, Pid, Sequence},
    time::Instant,
    words::{ErrorCode, Forget, Message, SyncMessage, Told, WIRE_VERSION},
};
use ipseity_frames::encode;

use super::{
    fault::{Fault, chance, stream},
    plan::{ClientPlan, FOREIGN_OPERATORS, FOREIGN_PEERS, OPERATORS, STRANGERS},
};
use crate::world::SimSocket;

/// A lower bound: everything that a server hands out from some moment on must be greater.
#[derive(Clone, Copy, Debug, Default)]
pub struct Floor {
    /// The highest sequence of its pid that had left by then.
    pub left: u64,
    /// The highest sequence that it had told anybody. This does not count once its disk has failed.
    pub told: u64,
    /// The highest sequence that it had absorbed. This counts as long as the process lives.
    pub absorbed: u64,
    /// When that process began.
    pub began: Instant,
    /// When the request was made, or a little before.
    pub asked_at: Instant,
}

/// A request of a client that is not answered yet.
#[derive(Clone, Debug)]
pub enum Asked {
    Identities {
        count: u32,
        after: u64,
        /// The identities must be greater than this.
        floor: Floor,
    },
    Status {
        floor: Floor,
    },
    Members {
        from: Pid,
    },
    Forget,
    Advance {
        above: u64,
    },
    /// A malformed frame: an error comes, and then the end.
    Nonsense,
    /// A request by HTTP.
    Web(Box<WebAsked>),
}

impl Asked {
    /// Whether the connection ends with the answer.
    pub fn ends(&self) -> bool {
        match self {
            Asked::Nonsense => true,
            Asked::Web(asked) => asked.closes,
            _ => false,
        }
    }
}

/// A request by HTTP that is not answered yet.
#[derive(Clone, Debug)]
pub struct WebAsked {
    pub what: Web,
    /// The answer has to say that the connection ends.
    pub closes: bool,
    /// What was known of the server when it was asked.
    pub known: Known,
}

/// What it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Web {
    Identities {
        count: u32,
        after: u64,
        is_text: bool,
    },
    Status,
    Metrics,
    Live,
    Ready,
    /// It is malformed, and this is the status of the answer.
    Refused(u16),
    /// It begins and never ends.
    Unfinished,
}

/// What is known of a server when somebody asks it by HTTP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Everything that it hands out must be greater.
    pub floor: Floor,
    pub at: Instant,
    /// The connection is surely one to the present life. What follows is about that life.
    pub is_present: bool,
    /// It has said that it is stopped, or that its sequence is used up, and neither ever ends.
    pub is_stopped: bool,
    /// It has handed out something, so it does not join any more.
    pub has_given: bool,
    /// The highest sequence that anybody has seen.
    pub highest: u64,
}

/// A connection of a client.
pub struct Connection {
    pub socket: SimSocket,
    pub server: usize,
    /// When the client began to connect.
    pub began: Instant,
    /// The bytes of a frame, or of an answer by HTTP, that has only partly arrived.
    pub partial: Vec<u8>,
    /// What is left of a request that was sent in pieces.
    pub later: Vec<u8>,
    pub asked: VecDeque<Asked>,
    /// Nothing more is sent.
    pub is_shut: bool,
    /// Nothing is read before this.
    pub unread_until: Option<Instant>,
    /// An error came that ends the connection.
    pub is_told: bool,
    /// The client gives the connection up if no answer has come by then.
    pub patience_until: Instant,
}

impl Connection {
    /// Whether a part of an answer by HTTP has come. Then the rest is owed.
    pub fn partial_answer(&self) -> bool {
        self.partial.starts_with(b"HTTP/")
    }
}

/// See the head of this file.
pub struct Client {
    pub home: SocketAddr,
    pub plan: ClientPlan,
    pub rng: Rng,
    pub connection: Option<Connection>,
    /// Connections that it keeps without using them.
    pub kept: Vec<SimSocket>,
    /// The newest identity that it was given.
    pub newest: u64,
    /// When it acts next.
    pub due: Instant,
    /// If it is a probe of the recovery: the server that it probes.
    pub probes: Option<usize>,
    /// When it last asked for a server's status.
    pub asked_at: Instant,
    /// Requests (count and `after`) on a connection that is gone, to be sent again.
    pub lost: Vec<(u32, u64)>,
}

/// What a batch consists of.
#[derive(Default)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub asked: Vec<Asked>,
    pub faults: Vec<Fault>,
    pub ending: Ending,
    /// Only so many bytes are sent at first.
    pub cut: Option<usize>,
}

/// What a client does after a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    #[default]
    Waits,
    /// Shuts its side.
    Shuts,
    /// Leaves, at once or a little later.
    Leaves,
    /// Does not read for this long.
    Unread(Duration),
}

impl Client {
    pub fn new(seed: u64, number: usize, plan: ClientPlan, now: Instant) -> Client {
        let kind = match (plan.is_trusted, plan.is_believed) {
            (false, false) => STRANGERS,
            (true, false) => OPERATORS,
            (false, true) => FOREIGN_PEERS,
            (true, true) => FOREIGN_OPERATORS,
        };
        let mut rng = stream(seed, 500 + number as u64);
        let due = now.after(Duration::from_millis(rng.u64(..500)));
        Client {
            home: SocketAddr::from(([192, 168, kind, number as u8 + 1], 1024)),
            plan,
            rng,
            connection: None,
            kept: Vec::new(),
            newest: 0,
            due,
            probes: None,
            asked_at: now,
            lost: Vec::new(),
        }
    }

    /// How long it waits before it acts again.
    pub fn think(&mut self) -> Duration {
        let mean = self.plan.think.as_nanos() as u64;
        Duration::from_nanos(self.rng.u64(..2 * mean) + 1)
    }

    /// Draws the next requests. Everything that this server hands out from now on must be greater than `floor`, and
    /// `known` is the highest sequence that anybody has seen.
    pub fn draw(&mut self, floor: Floor, known: u64, own: &ActorConfig) -> Batch {
        let mut batch = Batch::default();
        let requests = self.rng.usize(1..=self.plan.batch_max);
        for _ in 0..requests {
            self.draw_one(floor, known, own, &mut batch);
            if matches!(batch.asked.last(), Some(Asked::Nonsense)) {
                return batch;
            }
        }
        for (count, after) in std::mem::take(&mut self.lost) {
            batch.faults.push(Fault::Repeat);
            batch.identities(count, after, floor);
        }
        let plan = &self.plan;
        if chance(&mut self.rng, plan.half_close) {
            batch.faults.push(Fault::HalfClose);
            batch.ending = Ending::Shuts;
        } else if chance(&mut self.rng, plan.leave) {
            batch.faults.push(Fault::Leave);
            batch.ending = Ending::Leaves;
        } else if chance(&mut self.rng, plan.unread) {
            batch.faults.push(Fault::Unread);
            // Enough to fill the buffers on the way.
            for _ in 0..self.rng.usize(..3000) {
                batch.identities(1, 0, floor);
            }
            batch.ending = Ending::Unread(Duration::from_millis(self.rng.u64(..6000)));
        }
        batch
    }

    fn draw_one(&mut self, floor: Floor, known: u64, own: &ActorConfig, batch: &mut Batch) {
        let (rng, plan) = (&mut self.rng, &self.plan);
        if chance(rng, plan.statuses) {
            if rng.bool() {
                batch.add(&Message::StatusRequest, Asked::Status { floor });
            } else {
                let from = Pid::new(rng.u16(..1024)).unwrap();
                batch.add(&Message::MembersRequest { from }, Asked::Members { from });
            }
        } else if chance(rng, plan.garbage) {
            batch.faults.push(Fault::Garbage);
            let nonsense = nonsense(rng);
            batch.bytes.extend_from_slice(&nonsense);
            batch.asked.push(Asked::Nonsense);
        } else if chance(rng, plan.unfinished) {
            batch.faults.push(Fault::Unfinished);
            let whole = [0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
            batch
                .bytes
                .extend_from_slice(&whole[..rng.usize(1..whole.len())]);
            batch.asked.push(Asked::Nonsense);
            if rng.bool() {
                batch.ending = Ending::Shuts;
            }
        } else if chance(rng, plan.stranger) {
            batch.faults.push(Fault::Stranger);
            let is_foreign = rng.bool();
            let sync = SyncMessage {
                version: if is_foreign { WIRE_VERSION } else { 3 },
                cluster: "elsewhere".parse().unwrap(),
                pid: Pid::new(rng.u16(..1024)).unwrap(),
                incarnation: rng.u128(..),
                boot: rng.u64(..5),
                session: rng.u64(..),
                sequence: rng.u64(..1 << 53),
                told: Told::default(),
                advertise: String::new(),
            };
            batch.add(&Message::SyncRequest(Box::new(sync)), Asked::Nonsense);
        } else if chance(rng, plan.operator) {
            batch.faults.push(Fault::Operator);
            match rng.u32(..3) {
                0 => {
                    // A pid that no server has, so that no server forgets anything that matters.
                    let pid = Pid::new(rng.u16(600..700)).unwrap();
                    let what = Forget::All(pid);
                    batch.add(&Message::ForgetRequest { what }, Asked::Forget);
                }
                _ => {
                    let above = known + rng.u64(..5000);
                    let above = if rng.u32(..20) == 0 {
                        u64::MAX - above
                    } else {
                        above
                    };
                    batch.add(&Message::AdvanceRequest { above }, Asked::Advance { above });
                }
            }
        } else {
            let count = match rng.u32(..100) {
                0 => 0,
                1 => own.count_max + 1,
                2 => u32::MAX,
                _ => rng.u32(1..=plan.count_max),
            };
            let mut after = if plan.carries { self.newest } else { 0 };
            if chance(rng, plan.after) {
                batch.faults.push(Fault::After);
                let far = match rng.u32(..6) {
                    0 => rng.u64(..1000),
                    1 => rng.u64(..1 << 22),
                    2 => rng.u64(..1 << 33),
                    3 => own.advance_max,
                    4 => own.advance_max + rng.u64(1..1000),
                    _ => u64::MAX,
                };
                let sequence = known.checked_add(far).and_then(Sequence::new);
                after = sequence.map_or(rng.u64(1 << 63..), |sequence| {
                    Identity::new(sequence, Pid::MAX).get()
                });
            }
            batch.identities(count, after, floor);
        }
    }

    /// Tries to read, once.
    pub fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.connection {
            Some(connection) => connection.socket.read(buffer),
            None => Err(std::io::ErrorKind::WouldBlock.into()),
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> bool {
        let connection = self.connection.as_mut();
        connection.is_some_and(|connection| {
            connection
                .socket
                .write(bytes)
                .is_ok_and(|sent| sent == bytes.len())
        })
    }
}

impl Batch {
    fn add(&mut self, message: &Message, asked: Asked) {
        encode(message, &mut self.bytes);
        self.asked.push(asked);
    }

    pub fn identities(&mut self, count: u32, after: u64, floor: Floor) {
        self.add(
            &Message::IdentityRequest { count, after },
            Asked::Identities {
                count,
                after,
                floor,
            },
        );
    }
}

/// Malformed frames of every kind.
fn nonsense(rng: &mut Rng) -> Vec<u8> {
    match rng.u32(..6) {
        0 => vec![0, 1, rng.u8(14..255)],
        1 => vec![0, 0],
        2 => vec![0, rng.u8(2..13), 1],
        3 => vec![255, rng.u8(..), 1],
        // A body that does not decode: there is no such pid.
        4 => vec![0, 3, 9, 255, 255],
        _ => vec![0, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0],
    }
}

/// Whether an error with this code may ever answer this request.
pub fn may_answer(code: ErrorCode, asked: &Asked, own: &ActorConfig, plan: &ClientPlan) -> bool {
    let asks = matches!(asked, Asked::Identities { .. });
    match code {
        ErrorCode::UnknownKind
        | ErrorCode::BadLength
        | ErrorCode::BadBody
        | ErrorCode::Incomplete => matches!(asked, Asked::Nonsense),
        ErrorCode::TlsNotOffered => matches!(asked, Asked::Nonsense),
        ErrorCode::ForeignVersion => matches!(asked, Asked::Nonsense),
        ErrorCode::ForeignCluster => matches!(asked, Asked::Nonsense) && plan.is_believed,
        ErrorCode::NotAPeer => matches!(asked, Asked::Nonsense) && !plan.is_believed,
        ErrorCode::TooManyConnections => true,
        ErrorCode::BadCount => {
            matches!(asked, Asked::Identities { count, .. } if *count == 0 || *count > own.count_max)
        }
        ErrorCode::AdvanceTooLarge => match asked {
            Asked::Identities { after, .. } => *after > 0,
            Asked::Advance { above } => *above > Sequence::MAX.get(),
            _ => false,
        },
        ErrorCode::OverBudget => matches!(asked, Asked::Identities { after, .. } if *after > 0),
        ErrorCode::NotTrusted => {
            matches!(asked, Asked::Forget | Asked::Advance { .. }) && !plan.is_trusted
        }
        ErrorCode::UnknownPid => matches!(asked, Asked::Forget),
        ErrorCode::Exhausted
        | ErrorCode::PidConflict
        | ErrorCode::StaleState
        | ErrorCode::Joining => asks,
        ErrorCode::Storage | ErrorCode::Stopping | ErrorCode::StoreUnavailable => {
            asks || matches!(asked, Asked::Advance { .. })
        }
        ErrorCode::SamePid
        | ErrorCode::Oneself
        | ErrorCode::BootTooFar
        | ErrorCode::HeldByAnother
        | ErrorCode::TlsRequired
        | ErrorCode::CertificateRefused => false,
    }
}
