//! The client. The input: a request, and all the bytes that the server answers before it closes, whatever they
//! are. The server is a real socket on 127.0.0.1, because the client can only connect to real sockets.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use ipseity_client::{Client, ClientError, ClientOptions};
use ipseity_core::{
    identity::{Identity, Pid, Sequence},
    words::{Message, Status},
};
use ipseity_frames::encode;

use super::{input::Input, is_a_line};

/// Timeouts that are never reached, because the server closes after its answer.
const OPTIONS: ClientOptions = ClientOptions {
    connect_timeout: Duration::from_secs(20),
    reply_timeout: Duration::from_secs(20),
    ..ClientOptions::one_round()
};

/// The client does not panic or hang, and gives its caller nothing that breaks a promise.
pub fn check(input: &[u8]) {
    SERVER.with(|server| {
        let mut input = Input::new(input);
        let (asked, count, after) = (input.byte(), input.byte(), input.u16());
        let answer = input.rest();
        let mut client = Client::with_options([&server.address], OPTIONS).unwrap();
        let newest = Identity::from_u64(u64::from(after));
        newest.into_iter().for_each(|newest| client.observe(newest));
        *server.answer.lock().unwrap() = answer.to_vec();
        let error = ask(&mut client, asked, u32::from(count), newest, answer).err();
        drop(client);
        if let Some(error) = error {
            is_a_line(&error.to_string());
        }
    });
}

fn ask(
    client: &mut Client,
    asked: u8,
    count: u32,
    newest: Option<Identity>,
    answer: &[u8],
) -> Result<(), ClientError> {
    match asked % 7 {
        0 => assert!(Some(client.next()?) > newest),
        1 => {
            let block = client.block(count)?;
            assert_eq!(block.count(), count);
            assert!(Some(block.first()) > newest);
            assert!(block.into_iter().is_sorted());
        }
        2 => is_what_was_said(client.status()?, answer),
        3 => {
            let members = client.members()?;
            assert!(members.is_sorted_by(|one, next| one.pid < next.pid));
        }
        4 => {
            client.forget(Pid::MIN)?;
        }
        5 => {
            let above = Sequence::ZERO.saturating_add(u64::from(count));
            assert!(client.advance(above)? >= above);
        }
        _ => {
            let mut newest = newest;
            for block in client.pipeline(4, [1, count, 1, count, 2]) {
                let block = block?;
                assert!(Some(block.first()) > newest);
                newest = Some(block.last());
            }
        }
    }
    Ok(())
}

/// Checks that a status encodes to the bytes at the start of the answer, behind the length: a later version may show more.
fn is_what_was_said(status: Status, answer: &[u8]) {
    let mut again = Vec::new();
    encode(&Message::StatusReply(Box::new(status)), &mut again);
    assert!(answer[2..].starts_with(&again[2..]));
}

thread_local! {
    /// One server for all inputs of a thread.
    static SERVER: Server = Server::start();
}

/// Answers every connection at once, without waiting for a request.
struct Server {
    address: String,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answer = Arc::new(Mutex::new(Vec::new()));
        let server = Server {
            address,
            answer: Arc::clone(&answer),
        };
        // The thread ends with the process. One connection at a time is enough: the client closes one before it
        // makes the next.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let answer = answer.lock().unwrap().clone();
                // A client that has gone is not a fault of the server.
                let _ = give(stream.unwrap(), &answer);
            }
        });
        server
    }
}

fn give(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.write_all(answer)?;
    stream.shutdown(Shutdown::Write)?;
    // Closing while requests are unread would cut the connection, and the answer would be lost.
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}
