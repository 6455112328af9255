//! A poll and nothing else: bytes are read and counted, and every three bytes get the same fifteen bytes as their
//! answer.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net,
};

use ipseity::limits::{POLL_EVENTS_MAX, READ_BYTES_MAX};
use ipseity_core::words::Message;
use ipseity_frames::{encode, limits::FRAME_HEADER_BYTES};
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use slab::Slab;

/// The token of the listener. A connection uses its place in the slab.
const LISTENER: Token = Token(usize::MAX);

struct Connection {
    stream: TcpStream,
    /// How many bytes of an unfinished request have come.
    begun: usize,
    /// How many bytes of replies the kernel has not taken yet.
    owed: usize,
    /// How many bytes of the first of these replies it has taken.
    told: usize,
}

/// The state of a connection after a readiness was handled.
#[derive(PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

/// Serves clients until accepting fails.
pub fn serve(listener: net::TcpListener) -> io::Error {
    match run(listener) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn run(listener: net::TcpListener) -> io::Result<std::convert::Infallible> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(POLL_EVENTS_MAX);
    let mut connections: Slab<Connection> = Slab::new();
    let mut one = Vec::new();
    let reply = Message::IdentityReply {
        first: 1024,
        count: 1,
    };
    encode(&reply, &mut one);
    // The replies to everything that one read can request, and one more to start in.
    let replies = one.repeat(READ_BYTES_MAX / FRAME_HEADER_BYTES + 2);
    let mut buffer = vec![0; READ_BYTES_MAX];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut connections)?;
                continue;
            }
            let place = event.token().0;
            let Some(connection) = connections.get_mut(place) else {
                continue;
            };
            let state = connection.serve(event, &mut buffer, &replies, one.len());
            // A connection that fails is treated like one that closes.
            if !matches!(state, Ok(State::Open)) {
                connections.remove(place);
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    connections: &mut Slab<Connection>,
) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        let place = connections.vacant_entry();
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry()
            .register(&mut stream, Token(place.key()), both)?;
        place.insert(Connection {
            stream,
            begun: 0,
            owed: 0,
            told: 0,
        });
    }
}

impl Connection {
    fn serve(
        &mut self,
        event: &mio::event::Event,
        buffer: &mut [u8],
        replies: &[u8],
        reply_bytes: usize,
    ) -> io::Result<State> {
        self.write(replies, reply_bytes)?;
        // While replies wait, nothing is read. When there is room again, the readiness leads here.
        while self.owed == 0 {
            let bytes = match self.stream.read(buffer) {
                Ok(0) => return Ok(State::Closed),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            self.begun += bytes;
            self.owed = self.begun / FRAME_HEADER_BYTES * reply_bytes;
            self.begun %= FRAME_HEADER_BYTES;
            self.write(replies, reply_bytes)?;
            // A short read has emptied the socket, unless the other side has closed after these bytes.
            if bytes < buffer.len() && !event.is_read_closed() {
                break;
            }
        }
        Ok(State::Open)
    }

    fn write(&mut self, replies: &[u8], reply_bytes: usize) -> io::Result<()> {
        while self.owed > 0 {
            match self
                .stream
                .write(&replies[self.told..self.told + self.owed])
            {
                Ok(bytes) => {
                    self.owed -= bytes;
                    self.told = (self.told + bytes) % reply_bytes;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
