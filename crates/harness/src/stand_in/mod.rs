//! A server of another kind, made of threads: it counts like Redis or memcached, or answers like a raw target. It knows
//! only the part of their protocols that `ipseity-cli bench` uses. Any other request is a mistake of the bench, and
//! ends the connection.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

/// The kind of server that it imitates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Redis,
    Memcached,
    Raw,
}

/// A server on a port of its own of 127.0.0.1. It ends when it is dropped.
pub struct StandIn {
    manner: Manner,
    port: u16,
    shared: Arc<Mutex<Shared>>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    counter: u64,
    /// How many more requests are served correctly, before `then`.
    good: Option<u64>,
    then: Fault,
    streams: Vec<TcpStream>,
    stopping: bool,
}

#[derive(Clone, Copy, Default)]
enum Fault {
    #[default]
    Refuse,
    Repeat,
}

impl StandIn {
    pub fn new(manner: Manner) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming() {
                    let stream = stream.unwrap();
                    let mut state = shared.lock().unwrap();
                    if state.stopping {
                        return;
                    }
                    state.streams.push(stream.try_clone().unwrap());
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || converse(stream, manner, &shared));
                }
            }
        });
        StandIn {
            manner,
            port,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// Its URL for the bench.
    pub fn url(&self) -> String {
        let scheme = match self.manner {
            Manner::Redis => "redis",
            Manner::Memcached => "memcached",
            Manner::Raw => "raw",
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// How far it has counted.
    pub fn counted(&self) -> u64 {
        self.shared.lock().unwrap().counter
    }

    /// After this many requests, all are refused.
    pub fn refuse_after(&self, good: u64) {
        let mut shared = self.shared.lock().unwrap();
        (shared.good, shared.then) = (Some(good), Fault::Refuse);
    }

    /// After this many requests, the last number comes again.
    pub fn repeat_after(&self, good: u64) {
        let mut shared = self.shared.lock().unwrap();
        (shared.good, shared.then) = (Some(good), Fault::Repeat);
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let mut shared = self.shared.lock().unwrap();
        shared.stopping = true;
        for stream in &shared.streams {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(shared);
        // Wakes the acceptor, which then sees that it has to stop.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn converse(mut stream: TcpStream, manner: Manner, shared: &Mutex<Shared>) {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
        while let Some((request, length)) = Request::first_of(&bytes, manner) {
            bytes.drain(..length);
            let answer = shared.lock().unwrap().answer(request, manner);
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    }
}

enum Request {
    Add(u64),
    Make,
    Raw,
}

impl Request {
    /// The whole request at the front of `bytes`, and its length.
    fn first_of(bytes: &[u8], manner: Manner) -> Option<(Request, usize)> {
        let lines = |count: usize| {
            let text = std::str::from_utf8(bytes).unwrap();
            let ends: Vec<usize> = text.match_indices("\r\n").map(|(at, _)| at + 2).collect();
            let end = *ends.get(count - 1)?;
            Some((text[..end].lines().collect::<Vec<&str>>(), end))
        };
        match manner {
            Manner::Raw => (bytes.len() >= 3).then_some((Request::Raw, 3)),
            Manner::Redis => {
                let (head, _) = lines(1)?;
                let words: usize = head[0].strip_prefix('*').unwrap().parse().unwrap();
                let (lines, length) = lines(1 + 2 * words)?;
                for pair in lines[1..].chunks(2) {
                    assert_eq!(pair[0], format!("${}", pair[1].len()));
                }
                let words: Vec<&str> = lines.iter().skip(2).step_by(2).copied().collect();
                let count = match words[..] {
                    ["INCR", "ipseity-bench"] => 1,
                    ["INCRBY", "ipseity-bench", count] => count.parse().unwrap(),
                    _ => panic!("{words:?}"),
                };
                Some((Request::Add(count), length))
            }
            Manner::Memcached => {
                let (head, length) = lines(1)?;
                match head[0].split(' ').collect::<Vec<_>>()[..] {
                    ["incr", "ipseity-bench", count] => {
                        Some((Request::Add(count.parse().unwrap()), length))
                    }
                    ["add", "ipseity-bench", "0", "0", "1"] => {
                        let (lines, length) = lines(2)?;
                        assert_eq!(lines[1], "0");
                        Some((Request::Make, length))
                    }
                    _ => panic!("{head:?}"),
                }
            }
        }
    }
}

impl Shared {
    fn answer(&mut self, request: Request, manner: Manner) -> Vec<u8> {
        let count = match request {
            Request::Raw => {
                self.counter += 1;
                return b"any 15 bytes...".to_vec();
            }
            Request::Make if self.counter == 0 => return b"STORED\r\n".to_vec(),
            Request::Make => return b"NOT_STORED\r\n".to_vec(),
            Request::Add(count) => count,
        };
        let is_good = self.good != Some(0);
        self.good = self.good.map(|good| good.saturating_sub(1));
        match (is_good, self.then, manner) {
            (false, Fault::Refuse, Manner::Redis) => return b"-ERR no more\r\n".to_vec(),
            (false, Fault::Refuse, _) => return b"SERVER_ERROR no more\r\n".to_vec(),
            (false, Fault::Repeat, _) => {}
            (true, _, _) => self.counter += count,
        }
        let colon = if manner == Manner::Redis { ":" } else { "" };
        format!("{colon}{}\r\n", self.counter).into_bytes()
    }
}
