//! A client whose load is the same in every run: in each round it writes the requests of all connections,
//! then reads all their replies, and only then begins the next round.
//!
//! If the server runs on the same CPU and does not preempt this client, it finds all requests of a round at once.
//! So it does the same work in the same turns each time, and counts of instructions and system calls can be
//! repeated. Times cannot be measured like this.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
};

use ipseity_core::{
    identity::Pid,
    words::{Message, SyncMessage},
};
use ipseity_frames::{FrameDecoder, Receiver, encode};
use ipseity_sim::config::peer_says;

use crate::measured::PATIENCE;

/// The request, the number of connections, and the number of requests in flight on each.
#[derive(Clone, Debug)]
pub struct Load {
    /// How many connections.
    pub connections: usize,
    /// How many requests are in flight on each.
    pub in_flight: usize,
    /// The request.
    pub request: Message,
}

impl Load {
    /// Requests in one round.
    pub fn requests_per_round(&self) -> u64 {
        (self.connections * self.in_flight) as u64
    }

    /// Runs this many rounds against the server there. Panics if a reply does not fit its request, or if the
    /// identities on a connection do not increase.
    pub fn run(&self, server: SocketAddr, rounds: u64) {
        let mut one = Vec::new();
        encode(&self.request, &mut one);
        let batch = one.repeat(self.in_flight);
        let mut connections: Vec<(TcpStream, u64)> = (0..self.connections)
            .map(|_| (connect(server), 0))
            .collect();
        let mut decoder = FrameDecoder::new();
        for _ in 0..rounds {
            for (stream, _) in &mut connections {
                stream.write_all(&batch).unwrap();
            }
            for (stream, newest) in &mut connections {
                for _ in 0..self.in_flight {
                    let reply = receive(stream, &mut decoder, self.receiver());
                    self.check(&reply, newest);
                }
                assert!(decoder.rest().is_empty(), "more came than was requested");
            }
        }
    }

    fn receiver(&self) -> Receiver {
        match self.request {
            Message::SyncRequest(_) => Receiver::Dialer,
            _ => Receiver::Client,
        }
    }

    fn check(&self, reply: &Message, newest: &mut u64) {
        match (&self.request, reply) {
            (
                Message::IdentityRequest { count: asked, .. },
                Message::IdentityReply { first, count },
            ) => {
                assert_eq!(asked, count);
                assert!(first > newest, "{first} came after {newest}");
                *newest = first + 1024 * u64::from(count - 1);
            }
            (Message::SyncRequest(_), Message::SyncReply(_))
            | (Message::StatusRequest, Message::StatusReply(_))
            | (Message::MembersRequest { .. }, Message::MembersReply(_)) => {}
            (request, reply) => panic!("asked {request:?} and got {reply:?}"),
        }
    }
}

/// The same for a server that answers each request with a line.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// The command line of the server, to which a port is added.
    pub server: &'static [&'static str],
    /// This is sent first, and the server answers it with a line too.
    pub preparation: &'static str,
    /// How many connections.
    pub connections: usize,
    /// How many requests are in flight on each.
    pub in_flight: usize,
    /// The request.
    pub request: &'static str,
}

impl Lines {
    /// Requests in one round.
    pub fn requests_per_round(&self) -> u64 {
        (self.connections * self.in_flight) as u64
    }

    /// Runs this many rounds against the server there.
    pub fn run(&self, server: SocketAddr, rounds: u64) {
        let mut buffer = vec![0; LINES_BYTES];
        let mut stream = connect(server);
        stream.write_all(self.preparation.as_bytes()).unwrap();
        take_lines(&mut stream, &mut buffer, 1);
        let batch = self.request.repeat(self.in_flight);
        let mut connections: Vec<TcpStream> =
            (0..self.connections).map(|_| connect(server)).collect();
        for _ in 0..rounds {
            for stream in &mut connections {
                stream.write_all(batch.as_bytes()).unwrap();
            }
            for stream in &mut connections {
                take_lines(stream, &mut buffer, self.in_flight);
            }
        }
    }
}

/// The most bytes of lines that are read at a time.
const LINES_BYTES: usize = 64 * 1024;

fn take_lines(stream: &mut TcpStream, buffer: &mut [u8], count: usize) {
    let mut lines = 0;
    while lines < count {
        let bytes = stream.read(buffer).unwrap();
        assert!(
            bytes > 0,
            "the server closed the connection before its reply"
        );
        lines += buffer[..bytes]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
    }
    assert_eq!(lines, count, "more came than was requested");
}

/// Makes this many connections, one after the other, each with one request for an identity.
pub fn come_and_go(server: SocketAddr, connections: u64) {
    let load = Load {
        connections: 1,
        in_flight: 1,
        request: identity_request(),
    };
    for _ in 0..connections {
        load.run(server, 1);
    }
}

/// Answers this many syncRequests of a server that has dialed `listener`.
pub fn answer_rounds(listener: &TcpListener, rounds: u64) {
    let (mut stream, _) = listener.accept().unwrap();
    prepare(&stream);
    let mut decoder = FrameDecoder::new();
    let mut reply = Vec::new();
    encode(&Message::SyncReply(Box::new(peer())), &mut reply);
    for _ in 0..rounds {
        let request = receive(&mut stream, &mut decoder, Receiver::Server);
        assert!(
            matches!(request, Message::SyncRequest(_)),
            "a server that dials sends syncRequests: {request:?}"
        );
        stream.write_all(&reply).unwrap();
    }
}

/// The smallest request.
pub fn identity_request() -> Message {
    Message::IdentityRequest { count: 1, after: 0 }
}

/// The sync message of a peer that is not ahead of anybody.
pub fn peer() -> SyncMessage {
    peer_says(Pid::new(7).unwrap())
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    prepare(&stream);
    stream
}

fn prepare(stream: &TcpStream) {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
}

fn receive(stream: &mut TcpStream, decoder: &mut FrameDecoder, receiver: Receiver) -> Message {
    loop {
        if let Some(message) = decoder.next(receiver).unwrap() {
            return message;
        }
        match stream.read(decoder.space()) {
            Ok(0) => panic!("the server closed the connection before its reply"),
            Ok(bytes) => decoder.filled(bytes),
            Err(error) => panic!("no reply came: {error}"),
        }
    }
}
