//! A stop answers all that has arrived: while the kernel still holds it, over TLS, and for a client that reads late. A client
//! that never reads does not hold it up for ever.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use ipseity::limits::{KERNEL_BYTES, PENDING_BYTES_MAX_DEFAULT, RECEIVE_BUFFER_BYTES};
use ipseity_core::words::{ErrorCode, Message};
use ipseity_frames::{FrameDecoder, Receiver, encode};
use ipseity_harness::server::{Port, Server, eventually};
use ipseity_sim::pki::{Leaf, Pki};
use rustls::StreamOwned;
use socket2::{Domain, Socket, Type};

/// How long a read may take. Only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(20);

/// The smallest request, which has three bytes, and its answer.
const REQUEST: Message = Message::IdentityRequest { count: 1, after: 0 };
const REPLY_BYTES: usize = 15;

/// What the kernel may hold for the client. It is little, so that the client is slow.
const CLIENT_BYTES: usize = 4096;

/// How many requests a slow reader sends at first: their answers about fill the room that the server has for them. Then so
/// many at a time, and so many in all at most: by then the answers would fill the server and the kernel on both sides
/// several times.
const FIRST: usize = PENDING_BYTES_MAX_DEFAULT / REPLY_BYTES;
const AT_ONCE: usize = 1000;
const REQUESTS_MAX: usize = 100_000;

const _: () = assert!(REQUESTS_MAX * REPLY_BYTES > 4 * (PENDING_BYTES_MAX_DEFAULT + KERNEL_BYTES));

/// So few that all of them have surely arrived: with what TLS adds they fill half of the kernel's buffer for a connection.
const FEW: usize = RECEIVE_BUFFER_BYTES / 2 / REPLY_BYTES;

/// A stop has some seconds for all of this. A machine that is busy may not let it and the client have them, and then the
/// server says so. In so many runs it is not that busy.
const RUNS: usize = 5;

/// What a stop says of clients that do not read.
const NOT_READ: &str = "some clients do not read their replies";

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// A client of the server, and its address.
struct Client {
    stream: Box<dyn Stream>,
    address: SocketAddr,
}

impl Client {
    fn connect(server: &Server, pki: Option<&Pki>) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(CLIENT_BYTES).unwrap();
        socket.connect(&server.socket_address().into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let address = stream.local_addr().unwrap();
        let mut client = Client {
            stream: match pki {
                Some(pki) => Box::new(StreamOwned::new(pki.dial("127.0.0.1", None), stream)),
                None => Box::new(stream),
            },
            address,
        };
        // The server knows it, and has ended the handshake.
        client.ask(1);
        let mut first = [0; REPLY_BYTES];
        client.stream.read_exact(&mut first).unwrap();
        client
    }

    fn ask(&mut self, requests: usize) {
        let mut bytes = Vec::new();
        for _ in 0..requests {
            encode(&REQUEST, &mut bytes);
        }
        self.stream.write_all(&bytes).unwrap();
        self.stream.flush().unwrap();
    }

    /// The bytes that the kernel holds of what was sent to the server: those that have not arrived there, and those that
    /// have and were not read.
    fn on_the_way(&self, server: &Server) -> (u64, u64) {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let port = |address: &SocketAddr| format!(":{:04X}", address.port());
        let (own, other) = (port(&self.address), port(&server.socket_address()));
        let queues = |from: &str, to: &str| {
            let mut rows = table
                .lines()
                .map(|row| row.split_whitespace().collect::<Vec<_>>());
            let row = rows.find(|row| row[1].ends_with(from) && row[2].ends_with(to));
            let row = row.unwrap_or_else(|| panic!("no connection from {from} to {to}\n{table}"));
            let (sent, arrived) = row[4].split_once(':').unwrap();
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            (number(sent), number(arrived))
        };
        (queues(&own, &other).0, queues(&other, &own).1)
    }

    /// Reads a little at a time until the server closes. Returns how many requests were answered with an identity, and how
    /// many with the error that the server stops.
    fn read_all(&mut self) -> (usize, usize) {
        let (mut given, mut refused, mut newest) = (0, 0, 0);
        let mut decoder = FrameDecoder::new();
        let mut room = [0; 512];
        loop {
            let bytes = self.stream.read(&mut room).unwrap();
            if bytes == 0 {
                return (given, refused);
            }
            decoder.space()[..bytes].copy_from_slice(&room[..bytes]);
            decoder.filled(bytes);
            while let Some(message) = decoder.next(Receiver::Client).unwrap() {
                match message {
                    Message::IdentityReply { first, count: 1 } => {
                        assert!(first > newest, "{first} after {newest}");
                        (given, newest) = (given + 1, first);
                    }
                    Message::ErrorReply(error) if error.code == ErrorCode::Stopping.get() => {
                        refused += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

/// A server, and the CA of its certificate if it takes only TLS.
fn server(with_tls: bool) -> (Server, Option<Pki>) {
    if !with_tls {
        return (Server::start(&[]), None);
    }
    let pki = Pki::new("CA");
    let files = pki.files(&Leaf::peer("one", &["127.0.0.1"]), false, false);
    let [certificate, key] = [&files.certificate, &files.key].map(|file| file.to_str().unwrap());
    let flags = ["--tls-cert", certificate, "--tls-key", key];
    (Server::start_on(Port::reserve(), &flags), Some(pki))
}

/// Asks for more than the server can answer before the client reads. Returns how many requests that took.
fn ask_too_much(server: &Server, client: &mut Client) -> usize {
    client.ask(FIRST);
    let mut requests = FIRST;
    // Until the last ones have arrived, and the server does not read them because its answers are not read.
    let is_held_up = loop {
        let mut unread = 0;
        let has_arrived = eventually(|| {
            let on_the_way = client.on_the_way(server);
            unread = on_the_way.1;
            on_the_way.0 == 0
        });
        assert!(has_arrived, "{requests} requests do not arrive");
        let is_full = server.status().bounds.pending_bytes >= PENDING_BYTES_MAX_DEFAULT as u64;
        let is_held_up = is_full && unread > 0;
        if is_held_up || requests >= REQUESTS_MAX {
            break is_held_up;
        }
        client.ask(AT_ONCE);
        requests += AT_ONCE;
    };
    assert!(is_held_up, "the server reads without end");
    requests
}

/// Stops a server to which more requests have come than it can answer before the client reads. Returns whether all were
/// answered. If not, the stop took too long, and the server has said so.
fn answers_a_slow_reader(with_tls: bool) -> bool {
    let (mut server, pki) = server(with_tls);
    let mut client = Client::connect(&server, pki.as_ref());
    let requests = ask_too_much(&server, &mut client);
    server.signal("TERM");
    server.wait_for_log("asked to stop");
    let (given, refused) = client.read_all();
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    if given == requests {
        assert_eq!(refused, 0);
        return true;
    }
    let log = server.log();
    let took_too_long = refused > 0 || log.contains(NOT_READ);
    assert!(took_too_long, "{given} of {requests}\n{log}");
    false
}

fn ends_although_nobody_reads(with_tls: bool) {
    let (mut server, pki) = server(with_tls);
    let mut client = Client::connect(&server, pki.as_ref());
    ask_too_much(&server, &mut client);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(server.log().contains(NOT_READ), "{}", server.log());
}

#[test]
fn a_stop_answers_a_slow_reader() {
    assert!((0..RUNS).any(|_| answers_a_slow_reader(false)));
}

#[test]
fn a_stop_answers_a_slow_reader_over_tls() {
    assert!((0..RUNS).any(|_| answers_a_slow_reader(true)));
}

#[test]
fn a_stop_ends_although_a_client_never_reads() {
    ends_although_nobody_reads(false);
}

#[test]
fn a_stop_ends_although_a_client_never_reads_over_tls() {
    ends_although_nobody_reads(true);
}

#[test]
fn a_stop_answers_what_has_arrived_over_tls_and_was_not_read() {
    let (mut server, pki) = server(true);
    let mut client = Client::connect(&server, pki.as_ref());
    server.signal("STOP");
    client.ask(FEW);
    assert!(eventually(|| client.on_the_way(&server).0 == 0));
    server.signal("TERM");
    server.signal("CONT");
    assert_eq!(client.read_all(), (FEW, 0));
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}
