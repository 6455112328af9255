//! A client that remembers every identity it got, and a load that makes the server write.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
};

use ipseity_core::{
    limits::STEP_MAX,
    words::{ErrorCode, Message},
};
use ipseity_frames::encode;

use crate::server::{Connection, Server};

/// The distance between two identities of one server.
const STRIDE: u64 = 1 << 10;

/// Flags that let a client raise the sequence as far as it likes, so that each of its requests reaches the ceiling.
pub const GENEROUS: [&str; 6] = [
    "--max-count",
    "16777214",
    "--after-burst",
    "9007199254740991",
    // A restart does not bring the burst back.
    "--advance-rate",
    "9007199254740991",
];

/// Everything that one client got from one server, in order, across the server's lives.
#[derive(Debug, Default)]
pub struct History {
    /// The newest identity; 0 before the first.
    pub newest: u64,
}

impl History {
    /// Remembers a block of identities. Panics unless all of them are greater than all before.
    pub fn add(&mut self, first: u64, count: u32) {
        assert!(first > self.newest, "{first} came after {}", self.newest);
        self.newest = first + (u64::from(count) - 1) * STRIDE;
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Identities,
    /// The error code *storage*.
    Storage,
    /// The connection is closed.
    Closed,
}

/// One connection of a client that expects only identities, storage errors and the end of the connection.
#[derive(Debug)]
pub struct Client {
    connection: Option<Connection>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let connection = TcpStream::connect(address).ok().map(Connection::new);
        Client { connection }
    }

    /// Sends a request. Only the answer shows whether it arrived.
    pub fn send(&mut self, count: u32, after: u64) {
        let mut bytes = Vec::new();
        encode(&Message::IdentityRequest { count, after }, &mut bytes);
        if let Some(connection) = &mut self.connection
            && connection.stream().write_all(&bytes).is_err()
        {
            self.connection = None;
        }
    }

    pub fn receive(&mut self, history: &mut History) -> Answer {
        match self.connection.as_mut().and_then(Connection::try_receive) {
            Some(Message::IdentityReply { first, count }) => {
                history.add(first, count);
                Answer::Identities
            }
            Some(Message::ErrorReply(error)) => {
                assert_eq!(error.code, ErrorCode::Storage.get(), "{}", error.message);
                Answer::Storage
            }
            None => Answer::Closed,
            Some(other) => panic!("not an answer to a request for identities: {other:?}"),
        }
    }

    pub fn ask(&mut self, count: u32, after: u64, history: &mut History) -> Answer {
        self.send(count, after);
        self.receive(history)
    }
}

/// An identity further above the newest than any raise goes. A client that sends it as `after` waits for the disk,
/// and for an announcement before that.
pub fn far_above(history: &History) -> u64 {
    history.newest + 2 * STEP_MAX * STRIDE
}

/// How many raises [`run_load`] causes. It waits for each.
pub const LOAD_RAISES: usize = 5;

/// Asks for more than the ceiling allows, again and again, with one more request after each. Returns whether every
/// answer was identities. If not, everything after the first failure was an error, the end of the connection, or
/// identities below the durable ceiling.
pub fn run_load(server: &Server, history: &mut History) -> bool {
    let mut client = Client::connect(server.socket_address());
    // Each count is larger than the step that the count before it causes.
    for step in [Some(1_500), Some(70_000), Some(3_000_000), None, None] {
        let (count, after) = match step {
            Some(count) => (count, 0),
            None => (1, far_above(history)),
        };
        client.send(count, after);
        client.send(1, 0);
        let answers = [client.receive(history), client.receive(history)];
        if answers != [Answer::Identities; 2] {
            // Identities far above every ceiling can no longer be handed out. Those below the ceiling can.
            for _ in 0..3 {
                client.ask(1, 0, history);
                let above = client.ask(1, far_above(history), history);
                assert_ne!(above, Answer::Identities, "the disk has failed");
            }
            while client.receive(history) != Answer::Closed {}
            return false;
        }
    }
    true
}
