//! Clients of real servers that keep asking while faults strike the servers or the network. They note everything that
//! they get, for [`check`](ipseity_sim::checker::check).
//!
//! Each client has its own thread. A test makes a [`Load`], spawns clients on it, and ends it with [`EndOfLoad`].

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use fastrand::Rng;
use ipseity_client::{Client, ClientError, ClientOptions};
use ipseity_core::{
    identity::Identity,
    words::{ErrorCode, Message},
};
use ipseity_frames::encode;

use ipseity_sim::checker::{Answer, Clock, report::Tally};

use crate::server::{Connection, Server};

/// On a network that loses packets, a client leaves a server after it has waited this long. It is long enough for a
/// retransmission, and short enough to try again within one fault.
const FAULTY_NETWORK_PATIENCE: Duration = Duration::from_millis(400);

/// The network between the clients and the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// A network that delivers everything: a connection ends only if the server ends it.
    SoundNetwork,
    /// A network that may lose packets and break connections.
    FaultyNetwork,
}

/// What all threads of a run share.
#[derive(Debug)]
pub struct Load {
    clock: Clock,
    between: Between,
    /// The newest identity of all clients that pass their identities on.
    passed_on: AtomicU64,
    notes: Mutex<Notes>,
    is_over: AtomicBool,
}

impl Load {
    /// Clients over this kind of network.
    pub fn over(between: Between) -> Load {
        Load {
            clock: Clock::default(),
            between,
            passed_on: AtomicU64::new(0),
            notes: Mutex::new(Notes::default()),
            is_over: AtomicBool::new(false),
        }
    }

    /// All answers that clients got, and how their requests ended. Call it when the clients have ended.
    pub fn results(self) -> (Vec<Answer>, Tally) {
        let notes = self.notes.into_inner().unwrap();
        (notes.answers, notes.tally)
    }

    /// The lives, each a pid and a boot, that have said that their peers remember a newer state of their pid. Where pids
    /// move from server to server, that is said by a life whose pid was taken while it was paused, and by no other.
    pub fn stale_lives(&self) -> BTreeSet<(u16, u64)> {
        self.notes.lock().unwrap().stale.clone()
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    fn connect(&self, address: SocketAddr) -> Option<Connection> {
        match self.between {
            // Refused while the server is down.
            Between::SoundNetwork => TcpStream::connect(address).ok().map(Connection::new),
            Between::FaultyNetwork => {
                let stream = TcpStream::connect_timeout(&address, FAULTY_NETWORK_PATIENCE).ok()?;
                let mut connection = Connection::new(stream);
                let stream = connection.stream();
                stream
                    .set_read_timeout(Some(FAULTY_NETWORK_PATIENCE))
                    .unwrap();
                Some(connection)
            }
        }
    }

    /// The replies that came before the connection ended.
    fn exchange(&self, connection: &mut Connection, requests: &[Message]) -> Vec<Message> {
        let mut bytes = Vec::new();
        for request in requests {
            encode(request, &mut bytes);
        }
        // If the server is gone, this is noticed below, after its last answers.
        let _ = connection.stream().write_all(&bytes);
        let mut replies = Vec::new();
        while replies.len() < requests.len()
            && let Some(reply) = match self.between {
                Between::SoundNetwork => connection.try_receive(),
                Between::FaultyNetwork => connection.receive_or_give_up(),
            }
        {
            replies.push(reply);
        }
        replies
    }

    fn file(&self, notes: Notes) {
        let mut all = self.notes.lock().unwrap();
        all.answers.extend(notes.answers);
        all.tally.add(notes.tally);
        all.stale.extend(notes.stale);
    }
}

/// Ends the load when it is dropped, also after a panic, because somebody waits for the threads.
#[derive(Debug)]
pub struct EndOfLoad<'a>(pub &'a Load);

impl Drop for EndOfLoad<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// The notes of one client, and in the end of all.
#[derive(Debug, Default)]
struct Notes {
    answers: Vec<Answer>,
    tally: Tally,
    stale: BTreeSet<(u16, u64)>,
}

/// One exchange of requests for identities with one server.
struct Asked<'a> {
    server: u16,
    /// Whether the pid may move to another server.
    moves: bool,
    life: Option<u64>,
    client: u32,
    begun: u64,
    ended: u64,
    after: u64,
    requests: usize,
    replies: &'a [Message],
}

impl Notes {
    /// Returns the last identity of the exchange, or `newest` if there is none.
    fn take(&mut self, asked: &Asked<'_>, mut newest: u64) -> u64 {
        self.tally.attempted += asked.requests as u64;
        self.tally.unanswered += (asked.requests - asked.replies.len()) as u64;
        for reply in asked.replies {
            let &Message::IdentityReply { first, count } = reply else {
                match asked.life {
                    Some(life) if asked.moves && is_stale(reply) => {
                        self.stale.insert((asked.server, life));
                    }
                    _ => assert_may_be_refused(reply, asked.after),
                }
                self.tally.refused += 1;
                continue;
            };
            self.tally.acknowledged += 1;
            self.answers.push(Answer {
                server: asked.server,
                life: asked.life,
                client: asked.client,
                begun: asked.begun,
                ended: asked.ended,
                after: asked.after,
                first,
                count,
            });
            let last = first + 1024 * u64::from(count - 1);
            assert!(
                asked.after == 0 || last > newest,
                "replies come in the order of their requests"
            );
            newest = newest.max(last);
        }
        newest
    }
}

fn is_stale(reply: &Message) -> bool {
    let stale = Some(ErrorCode::StaleState);
    matches!(reply, Message::ErrorReply(error) if ErrorCode::from_u16(error.code) == stale)
}

/// A server that is stopping may say so. A server that has just started again begins with an empty budget. It may
/// refuse an `after` that is ahead of it, until a peer raises it or some milliseconds have filled the budget. Nothing
/// else keeps one of these servers from handing out. Above all, no peer objects to a server that only died and came
/// back.
fn assert_may_be_refused(reply: &Message, after: u64) {
    let code = match reply {
        Message::ErrorReply(error) => ErrorCode::from_u16(error.code),
        _ => None,
    };
    let is_allowed = match code {
        Some(ErrorCode::Stopping) => true,
        Some(ErrorCode::OverBudget) => after > 0,
        // Only a server whose store is on the network says so.
        Some(ErrorCode::StoreUnavailable) => true,
        _ => false,
    };
    assert!(is_allowed, "{reply:?}");
}

/// Lets the load go on for a random number of milliseconds. It does not wait for anything.
pub fn pause(rng: &mut Rng, most_ms: u64) {
    thread::sleep(Duration::from_millis(rng.u64(1..=most_ms)));
}

/// A client that asks only one server, notices each of its lives, and pipelines its requests.
pub fn stay_with_one(load: &Load, client: u32, server: u16, address: SocketAddr, rng: Rng) {
    stay_at(load, client, Some(server), address, rng);
}

/// The same where each life may have another pid.
pub fn stay_with_an_address(load: &Load, client: u32, address: SocketAddr, rng: Rng) {
    stay_at(load, client, None, address, rng);
}

fn stay_at(load: &Load, client: u32, server: Option<u16>, address: SocketAddr, mut rng: Rng) {
    let mut notes = Notes::default();
    let mut newest = 0;
    while load.goes_on() {
        if let Some(mut connection) = load.connect(address) {
            let status = load.exchange(&mut connection, &[Message::StatusRequest]);
            let (pid, life) = match status.first() {
                Some(Message::StatusReply(status)) => {
                    let shown = status.life().map(|life| life.boot);
                    let life =
                        shown.expect("this client is trusted, so it is shown which life it is");
                    (status.pid.get(), Some(life))
                }
                _ => continue,
            };
            while load.goes_on() {
                let after = if rng.bool() { newest } else { 0 };
                let requests: Vec<Message> = (0..rng.usize(1..5))
                    .map(|_| {
                        let count = rng.u32(1..200);
                        Message::IdentityRequest { count, after }
                    })
                    .collect();
                let begun = load.clock.tick();
                let replies = load.exchange(&mut connection, &requests);
                let asked = Asked {
                    server: server.unwrap_or(pid),
                    moves: server.is_none(),
                    life,
                    client,
                    begun,
                    ended: load.clock.tick(),
                    after,
                    requests: requests.len(),
                    replies: &replies,
                };
                newest = notes.take(&asked, newest);
                if replies.len() < requests.len() {
                    break;
                }
                pause(&mut rng, 2);
            }
        }
        pause(&mut rng, 5);
    }
    load.file(notes);
}

/// A client that asks one server after another. It asks for identities that are greater than all that it, or another
/// client of this kind, got from any server.
pub fn carry_between(load: &Load, client: u32, addresses: &[SocketAddr], mut rng: Rng) {
    let mut notes = Notes::default();
    let mut connections: Vec<Option<Connection>> = addresses.iter().map(|_| None).collect();
    let mut last = 0;
    while load.goes_on() {
        // Any server but the last one.
        let index = (last + rng.usize(1..addresses.len())) % addresses.len();
        last = index;
        let mut connection = connections[index]
            .take()
            .or_else(|| load.connect(addresses[index]));
        if let Some(connection) = &mut connection {
            let after = load.passed_on.load(Ordering::SeqCst);
            let request = Message::IdentityRequest {
                count: rng.u32(1..200),
                after,
            };
            let begun = load.clock.tick();
            let replies = load.exchange(connection, &[request]);
            let asked = Asked {
                server: index as u16 + 1,
                moves: false,
                life: None,
                client,
                begun,
                ended: load.clock.tick(),
                after,
                requests: 1,
                replies: &replies,
            };
            let newest = notes.take(&asked, after);
            load.passed_on.fetch_max(newest, Ordering::SeqCst);
            if replies.is_empty() {
                pause(&mut rng, 5);
                continue;
            }
        }
        connections[index] = connection;
        pause(&mut rng, 2);
    }
    load.file(notes);
}

/// A client that fails over and carries its newest identity as `after`.
pub fn take_whoever_answers(load: &Load, client: u32, addresses: &[SocketAddr], mut rng: Rng) {
    let pids: BTreeMap<String, u16> = addresses
        .iter()
        .map(SocketAddr::to_string)
        .zip(1..)
        .collect();
    let mut order: Vec<String> = pids.keys().cloned().collect();
    rng.shuffle(&mut order);
    let options = match load.between {
        Between::SoundNetwork => ClientOptions {
            connect_timeout: Duration::from_secs(1),
            // If a server is paused, the client goes to the next.
            reply_timeout: Duration::from_millis(30),
            ..ClientOptions::one_round()
        },
        Between::FaultyNetwork => ClientOptions {
            connect_timeout: FAULTY_NETWORK_PATIENCE,
            reply_timeout: FAULTY_NETWORK_PATIENCE,
            ..ClientOptions::one_round()
        },
    };
    let session = Client::with_options(&order, options).unwrap();
    let mut notes = Notes::default();
    while load.goes_on() {
        let after = session.newest().map_or(0, Identity::get);
        let begun = load.clock.tick();
        notes.tally.attempted += 1;
        match session.block(rng.u32(1..200)) {
            Ok(block) => {
                notes.tally.acknowledged += 1;
                notes.answers.push(Answer {
                    server: pids[&session.server().to_string()],
                    life: None,
                    client,
                    begun,
                    ended: load.clock.tick(),
                    after,
                    first: block.first().get(),
                    count: block.count(),
                });
            }
            // No server can be reached.
            Err(ClientError::Unavailable(_)) => notes.tally.unanswered += 1,
            Err(error) => panic!("{error}"),
        }
        pause(&mut rng, 2);
    }
    load.file(notes);
}

/// Under load the counters of servers are equal only for moments. The promise is one interval and one round trip: all
/// servers pass the sequence that was the highest.
pub fn agree(servers: &[Server]) {
    for _ in 0..3 {
        let sequences = servers.iter().map(|server| server.status().sequence);
        let highest = sequences.max().unwrap();
        for server in servers {
            server.wait_for_status("what the others have", |status| status.sequence >= highest);
        }
    }
}

/// Without load the counters become equal. Returns the sequence that all servers have then.
pub fn meet(servers: &[Server]) -> u64 {
    let mut sequences = Vec::new();
    let met = crate::server::eventually(|| {
        sequences = servers
            .iter()
            .map(|server| server.status().sequence)
            .collect();
        sequences.iter().all(|sequence| *sequence == sequences[0])
    });
    assert!(
        met,
        "nobody asks any more, and the servers do not agree: {sequences:?}"
    );
    sequences[0]
}
