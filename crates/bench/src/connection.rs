//! One connection of the bench: what is in flight on it, and what has not been sent yet. All requests are the
//! same, so the number of bytes is enough.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read as _, Write as _},
    mem,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use ipseity_client::{
    AddressFailure, Dialer, FailureCause, ServerAddress, ServerFailure, handshake,
};
use ipseity_tls::TlsClient;

use crate::{
    check::{CounterId, CounterKey},
    clock::Moment,
};

/// Requests that were sent at one moment, and what their answers must exceed.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// The moment of the turn in which they were given to the kernel.
    pub sent: Moment,
    /// What their answers must exceed: the newest of the counter that had been received by then.
    pub floor: u64,
    /// How many of them have no answer yet.
    pub left: u32,
}

/// A connection, its requests in flight, and how many bytes of requests have not been sent yet.
pub struct Connection {
    pub socket: mio::net::TcpStream,
    /// Between the socket and the requests, if the server is spoken to by TLS.
    tls: Option<Box<TlsClient>>,
    /// By TLS: whether the last read has emptied the socket.
    is_empty: bool,
    /// Its place among the connections.
    pub place: usize,
    /// The place of its server in the list of servers.
    pub server: usize,
    /// The counter whose identities come here; not known before the first.
    pub counter: Option<(CounterKey, CounterId)>,
    /// The newest identity that came here.
    pub newest: u64,
    /// What is in flight, in order.
    pub batches: VecDeque<Batch>,
    /// How many requests have been sent and not been answered.
    pub in_flight: u32,
    /// The beginning of a reply.
    pub rest: Vec<u8>,
    /// In an open loop: how many requests should have left, how many have, and how many are answered.
    pub due: u64,
    pub sent: u64,
    pub answered: u64,
    unsent_bytes: usize,
    /// How many bytes of the request at the front have been sent.
    sent_of_request: usize,
}

impl Connection {
    /// Takes over a stream that is connected (by TLS, the handshake is made too), and makes it nonblocking.
    pub fn new(
        stream: TcpStream,
        tls: Option<Box<TlsClient>>,
        place: usize,
        server: usize,
    ) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Connection {
            socket: mio::net::TcpStream::from_std(stream),
            tls,
            is_empty: false,
            place,
            server,
            counter: None,
            newest: 0,
            batches: VecDeque::new(),
            in_flight: 0,
            rest: Vec::new(),
            due: 0,
            sent: 0,
            answered: 0,
            unsent_bytes: 0,
            sent_of_request: 0,
        })
    }

    /// Sends `count` requests, or what the kernel takes of them; the rest leaves with
    /// [`write`](Self::write). `requests` holds as many requests as may be in flight.
    #[inline]
    pub fn send(
        &mut self,
        count: u32,
        now: Moment,
        floor: u64,
        requests: &Requests,
    ) -> io::Result<()> {
        self.batches.push_back(Batch {
            sent: now,
            floor,
            left: count,
        });
        self.in_flight += count;
        self.sent += u64::from(count);
        let waits = self.unsent_bytes > 0;
        self.unsent_bytes += count as usize * requests.each;
        match waits {
            // The kernel has said that it will tell when there is room.
            true => Ok(()),
            false => self.write(requests),
        }
    }

    /// Whether a read that brings less than it has room for has brought all that is there.
    pub fn short_reads_are_last(&self) -> bool {
        self.tls.is_none()
    }

    /// Reads once, or what TLS has for the reader. 0 is the end. If the other side is closing, the end is looked for too.
    #[inline]
    pub fn read(&mut self, space: &mut [u8], closing: bool) -> io::Result<usize> {
        let Connection {
            socket,
            tls,
            is_empty,
            ..
        } = self;
        let Some(tls) = tls else {
            return socket.read(space);
        };
        loop {
            match tls.reader().read(space) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The end, without the farewell of TLS.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                other => return other,
            }
            // The kernel tells when there is more.
            if mem::take(is_empty) && !closing {
                return Err(ErrorKind::WouldBlock.into());
            }
            let mut watched = Watched {
                socket,
                is_empty: false,
            };
            tls.take_in(&mut watched)?;
            *is_empty = watched.is_empty;
        }
    }

    /// Gives bytes to the kernel, or to TLS and that to the kernel. Returns how many were taken.
    #[inline]
    fn give(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.socket.write(bytes);
        };
        while tls.wants_write() {
            tls.write_tls(&mut self.socket)?;
        }
        let taken = tls.writer().write(bytes)?;
        while tls.wants_write() {
            match tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                // It is kept, and leaves before the next bytes.
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Whether TLS keeps bytes that the kernel has not taken.
    fn keeps_bytes(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Sends what has not been sent yet, as far as the kernel takes it.
    pub fn write(&mut self, requests: &Requests) -> io::Result<()> {
        while self.unsent_bytes > 0 || self.keeps_bytes() {
            let begin = self.sent_of_request;
            let end = requests.bytes.len().min(begin + self.unsent_bytes);
            match self.give(&requests.bytes[begin..end]) {
                Ok(written) if written == self.unsent_bytes => {
                    self.unsent_bytes = 0;
                    self.sent_of_request = 0;
                }
                Ok(written) => {
                    self.unsent_bytes -= written;
                    self.sent_of_request = (begin + written) % requests.each;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for Connection {
    /// Says the farewell of TLS, if there is room for it now.
    fn drop(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut self.socket);
        }
    }
}

/// A socket, and whether a read has emptied it: it brought less than there was room for.
struct Watched<'a> {
    socket: &'a mut mio::net::TcpStream,
    is_empty: bool,
}

impl io::Read for Watched<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let read = self.socket.read(space)?;
        self.is_empty = read < space.len();
        Ok(read)
    }
}

/// As many requests as one connection may have in flight, one after the other.
pub struct Requests {
    bytes: Vec<u8>,
    /// How many bytes one request has.
    each: usize,
}

impl Requests {
    /// `count` copies of this request, one after the other.
    pub fn new(request: &[u8], count: u32) -> Requests {
        Requests {
            bytes: request.repeat(count as usize),
            each: request.len(),
        }
    }
}

/// Connects to the first of a server's addresses that accepts. Returns that address too, for further connections.
pub fn find(server: &ServerAddress, timeout: Duration) -> Result<(TcpStream, SocketAddr), String> {
    let failed = |cause| not_reached(server, cause);
    let stream = ipseity_client::connect(server, timeout).map_err(failed)?;
    let address = stream.peer_addr().map_err(FailureCause::Io);
    Ok((stream, address.map_err(failed)?))
}

/// Connects to a server at the address that was found.
pub fn connect(
    server: &ServerAddress,
    address: SocketAddr,
    timeout: Duration,
) -> Result<TcpStream, String> {
    match TcpStream::connect_timeout(&address, timeout) {
        // A dial to a free port of this machine may be given that very port, and reach itself.
        Ok(stream) if stream.local_addr().is_ok_and(|own| own == address) => {
            Err(ErrorKind::ConnectionRefused.into())
        }
        other => other,
    }
    .map_err(|error| {
        let failure = AddressFailure { address, error };
        not_reached(server, FailureCause::Connect(vec![failure]))
    })
}

/// Makes the TLS handshake with a server that is spoken to by TLS.
pub fn secure(
    server: &ServerAddress,
    dialer: Option<&Dialer>,
    stream: &TcpStream,
    timeout: Duration,
) -> Result<Option<Box<TlsClient>>, String> {
    let failed = |cause| {
        let server = server.clone();
        ServerFailure { server, cause }.to_string()
    };
    let Some(dialer) = dialer.filter(|_| server.is_tls()) else {
        return Ok(None);
    };
    let begun = dialer.begin(server.host());
    let mut tls = begun.map_err(|text| failed(FailureCause::Tls(text)))?;
    handshake(stream, &mut tls, timeout).map_err(failed)?;
    Ok(Some(Box::new(tls)))
}

fn is_refused(failure: &AddressFailure) -> bool {
    failure.error.kind() == ErrorKind::ConnectionRefused
}

/// The words of the other commands, and what to do where that is known. What is measured need not be a server of ours.
fn not_reached(server: &ServerAddress, cause: FailureCause) -> String {
    let nobody =
        matches!(&cause, FailureCause::Connect(failures) if failures.iter().all(is_refused));
    let server = server.clone();
    let text = ServerFailure { server, cause }.to_string();
    match nobody {
        true => format!("{text} (is it running there? --server or --target chooses another)"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, net::TcpListener, thread};

    use super::*;

    #[test]
    fn what_the_kernel_does_not_take_at_once_leaves_later_to_the_last_byte() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let mut connection = Connection::new(stream, None, 0, 0).unwrap();
        // More than the kernel keeps for both sides, in requests of a length that no buffer is a multiple of.
        let request: Vec<u8> = (0..251).collect();
        let count = 200_000;
        let requests = Requests::new(&request, count);
        connection.send(count, Moment(0), 0, &requests).unwrap();
        assert!(connection.unsent_bytes > 0);

        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            server.read_to_end(&mut bytes).unwrap();
            bytes
        });
        while connection.unsent_bytes > 0 {
            connection.write(&requests).unwrap();
            thread::yield_now();
        }
        drop(connection);
        assert!(reader.join().unwrap() == requests.bytes);
    }
}
