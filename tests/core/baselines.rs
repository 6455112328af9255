//! The servers that the real one is compared with (crates/baselines) keep the same promise. Otherwise the comparison
//! would mean nothing. Identities are unique and increase on each connection, however many requests are in flight.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use ipseity_baselines::Baseline;
use ipseity_core::words::{ErrorCode, Message};
use ipseity_frames::{FrameDecoder, Receiver, encode};

const PATIENCE: Duration = Duration::from_secs(30);

/// The baselines that hand out identities.
const COUNTERS: [Baseline; 4] = [
    Baseline::Simple,
    Baseline::Sequence,
    Baseline::Locker,
    Baseline::Channel,
];

/// A baseline on a free port. It ends with the test process.
fn start(kind: Baseline) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || kind.serve(listener));
    address
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends `requests` in one write and returns their replies.
fn ask(stream: &mut TcpStream, requests: &[Message]) -> Vec<Message> {
    let mut bytes = Vec::new();
    for request in requests {
        encode(request, &mut bytes);
    }
    stream.write_all(&bytes).unwrap();
    let mut decoder = FrameDecoder::new();
    let mut replies = Vec::new();
    while replies.len() < requests.len() {
        let read = stream.read(decoder.space()).unwrap();
        assert!(read > 0, "the server closed the connection");
        decoder.filled(read);
        while let Some(reply) = decoder.next(Receiver::Client).unwrap() {
            replies.push(reply);
        }
    }
    replies
}

fn request(count: u32, after: u64) -> Message {
    Message::IdentityRequest { count, after }
}

fn code(reply: &Message) -> Option<u16> {
    match reply {
        Message::ErrorReply(error) => Some(error.code),
        _ => None,
    }
}

#[test]
fn identities_are_unique_and_increase_on_each_connection() {
    const CLIENTS: usize = 8;
    const BATCHES: usize = 20;
    for kind in COUNTERS {
        let server = start(kind);
        let client = move || {
            let mut stream = connect(server);
            let mut mine = Vec::new();
            // More than one read takes in, so that a batch is cut somewhere.
            let batch: Vec<Message> = (0..300).map(|place| request(1 + place % 3, 0)).collect();
            for _ in 0..BATCHES {
                for (reply, asked) in ask(&mut stream, &batch).iter().zip(&batch) {
                    let (
                        Message::IdentityReply { first, count },
                        Message::IdentityRequest { count: wanted, .. },
                    ) = (reply, asked)
                    else {
                        panic!("asked {asked:?} and got {reply:?}");
                    };
                    assert_eq!(count, wanted);
                    mine.extend((0..u64::from(*count)).map(|place| first + 1024 * place));
                }
            }
            assert!(mine.is_sorted_by(|a, b| a < b), "{}", kind.name());
            mine
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| thread::spawn(client)).collect();
        let mut all = BTreeSet::new();
        let mut received = 0;
        for client in clients {
            let mine = client.join().unwrap();
            received += mine.len();
            all.extend(mine);
        }
        assert_eq!(all.len(), received, "{} repeated one", kind.name());
        // No identity is lost: the last sequence equals their number.
        assert_eq!(
            all.last(),
            Some(&(received as u64 * 1024)),
            "{}",
            kind.name()
        );
    }
}

#[test]
fn an_after_raises_the_sequence_and_a_wrong_count_is_refused() {
    for kind in COUNTERS {
        let mut stream = connect(start(kind));
        let replies = ask(
            &mut stream,
            &[
                request(1, 5 << 10 | 7),
                request(2, 3 << 10),
                request(0, 0),
                request(1001, 0),
                request(1, 0),
            ],
        );
        let reply = |sequence: u64, count| Message::IdentityReply {
            first: sequence << 10,
            count,
        };
        let bad_count = Some(ErrorCode::BadCount.get());
        assert_eq!(replies[..2], [reply(6, 1), reply(7, 2)], "{}", kind.name());
        assert_eq!(code(&replies[2]), bad_count, "{}", kind.name());
        assert_eq!(code(&replies[3]), bad_count, "{}", kind.name());
        assert_eq!(replies[4], reply(9, 1), "{}", kind.name());
    }
}

#[test]
fn a_malformed_frame_is_answered_and_closes_the_connection() {
    for kind in COUNTERS {
        let mut stream = connect(start(kind));
        let mut bytes = Vec::new();
        encode(&request(1, 0), &mut bytes);
        bytes.extend([0, 1, 99]);
        stream.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let mut decoder = FrameDecoder::new();
        decoder.restore(&answer);
        let first = decoder.next(Receiver::Client).unwrap().unwrap();
        assert!(matches!(first, Message::IdentityReply { first: 1024, .. }));
        let second = decoder.next(Receiver::Client).unwrap().unwrap();
        assert_eq!(code(&second), Some(ErrorCode::UnknownKind.get()));
        assert!(decoder.rest().is_empty(), "{}", kind.name());
    }
}

#[test]
fn the_raw_baseline_answers_every_three_bytes_with_fifteen() {
    let server = start(Baseline::Raw);
    let mut one = Vec::new();
    let constant = Message::IdentityReply {
        first: 1024,
        count: 1,
    };
    encode(&constant, &mut one);
    // A client that does not read for a while, so that the server meets a full socket.
    const REQUESTS: usize = 400_000;
    let mut stream = connect(server);
    let mut writing = stream.try_clone().unwrap();
    let writer = thread::spawn(move || writing.write_all(&vec![0; 3 * REQUESTS]).unwrap());
    thread::sleep(Duration::from_millis(50));
    let mut answer = vec![0; 15 * REQUESTS];
    stream.read_exact(&mut answer).unwrap();
    writer.join().unwrap();
    assert!(answer.chunks(15).all(|reply| reply == one));
    // A request in two pieces, and the end right after another request.
    let mut stream = connect(server);
    stream.set_nodelay(true).unwrap();
    stream.write_all(&[0, 1]).unwrap();
    thread::sleep(Duration::from_millis(20));
    stream.write_all(&[1, 0, 1, 1, 0]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, one.repeat(2));
}
