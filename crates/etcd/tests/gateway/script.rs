//! A server that follows a script.

use std::{
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What it does with a request.
#[derive(Clone, Debug)]
pub enum Play {
    /// Sends these bytes, and waits for the next request.
    Send(Vec<u8>),
    /// Sends these bytes and ends the connection.
    SendAndEnd(Vec<u8>),
    /// Sends nothing more, and keeps the connection.
    Hang,
}

/// A request that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub path: String,
    pub head: String,
    pub body: String,
}

/// A server. When its script is over it ends every connection.
pub struct Script {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    plays: VecDeque<Play>,
    asked: Vec<Asked>,
    kept: Vec<TcpStream>,
}

impl Script {
    pub fn new(plays: impl IntoIterator<Item = Play>) -> Script {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            plays: plays.into_iter().collect(),
            ..State::default()
        }));
        let shared = Arc::downgrade(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(state) = shared.upgrade() else { break };
                thread::spawn(move || {
                    // A client may go whenever it wants.
                    let _ = follow(stream, &state);
                });
            }
        });
        Script { address, state }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// How many requests have come.
    pub fn count(&self) -> usize {
        self.asked().len()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.state.lock().unwrap().kept.clear();
        // The thread looks whether anybody still needs it.
        let _ = TcpStream::connect(self.address);
    }
}

fn follow(mut stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    while let Some(asked) = read_request(&mut stream)? {
        let play = {
            let mut state = state.lock().unwrap();
            state.asked.push(asked);
            state.plays.pop_front()
        };
        match play {
            Some(Play::Send(bytes)) => stream.write_all(&bytes)?,
            Some(Play::SendAndEnd(bytes)) => return stream.write_all(&bytes),
            Some(Play::Hang) => {
                state.lock().unwrap().kept.push(stream);
                return Ok(());
            }
            None => return Ok(()),
        }
    }
    Ok(())
}

fn read_request(stream: &mut TcpStream) -> io::Result<Option<Asked>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(asked) = whole(&String::from_utf8_lossy(&bytes)) {
            return Ok(Some(asked));
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            count => bytes.extend(&buffer[..count]),
        }
    }
}

fn whole(text: &str) -> Option<Asked> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)?
        .split("\r\n")
        .next()?;
    (body.len() == length.parse::<usize>().unwrap()).then(|| Asked {
        path: head.split(' ').nth(1).unwrap().to_owned(),
        body: body.to_owned(),
        head,
    })
}

/// An answer with this status and body.
pub fn answer(status: u16, body: &str) -> Play {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} x\r\nContent-Type: application/json");
    let text = format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}");
    Play::Send(text.into_bytes())
}

/// The same in chunks, with a field behind its end, as etcd sends errors and streams.
pub fn chunked(status: u16, body: &str) -> Play {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nTrailer: Grpc-Trailer-Content-Type\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    let trailer = "0\r\nGrpc-Trailer-Content-Type: application/grpc\r\n\r\n";
    Play::Send(format!("{head}{length:x}\r\n{body}\r\n{trailer}").into_bytes())
}

/// An error of etcd: a status of HTTP, a code of gRPC, and a text.
pub fn error(status: u16, code: u32, text: &str) -> Play {
    let body = format!("{{\"error\":\"{text}\",\"message\":\"{text}\",\"code\":{code}}}");
    chunked(status, &body)
}
