//! The listening sockets.
//!
//! They listen as soon as they are bound. Two sockets can be bound to one address as long as neither listens, so the
//! one that listens second would find out too late: its start would have used up a boot of its state directory.
//! Connections that come in before the server accepts them wait in the kernel's queue.

use std::{collections::BTreeSet, fmt, io, net::SocketAddr};

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use super::lookup::look_up;
use crate::limits::{LISTEN_BACKLOG, LISTENERS_MAX, RECEIVE_BUFFER_BYTES, SEND_BUFFER_BYTES};

/// A socket that listens on an address that no other process has. Connections wait in its queue; none is accepted yet.
#[derive(Debug)]
pub struct Bound(Socket);

/// Why the server cannot listen.
#[derive(Debug)]
pub struct ListenError {
    /// The flag whose address it is, such as `--listen`.
    pub flag: &'static str,
    /// What was given with it.
    listen: String,
    /// The address of it that cannot be had, unless it could not be looked up.
    address: Option<SocketAddr>,
    /// What the system says.
    pub error: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListenError {
            listen,
            address,
            error,
            ..
        } = self;
        match address {
            Some(address) if address.to_string() != *listen => {
                write!(
                    f,
                    "cannot listen on {address}, an address of {listen}: {error}"
                )
            }
            _ => write!(f, "cannot listen on {listen}: {error}"),
        }
    }
}

impl std::error::Error for ListenError {}

impl Bound {
    /// Binds every address of each of these (`host:port`), which `flag` has given, or none. An address that comes twice is
    /// bound once. There may be `most` of them.
    ///
    /// # Errors
    /// One cannot be bound: a name has no address, an address is not one of this machine, or it is taken. Or the system
    /// refuses a socket, or there are too many addresses.
    pub fn all(
        flag: &'static str,
        listens: &[String],
        most: usize,
    ) -> Result<Vec<Bound>, ListenError> {
        let bind = |(listen, address): (&String, SocketAddr)| {
            bind(address).map(Bound).map_err(|error| ListenError {
                flag,
                listen: listen.clone(),
                address: Some(address),
                error,
            })
        };
        find_all(flag, listens, most)?
            .into_iter()
            .map(bind)
            .collect()
    }

    /// The address that was bound, with the real port even if 0 was given.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0
            .local_addr()?
            .as_socket()
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// From now on, connections can be accepted.
    pub(super) fn into_listener(self) -> TcpListener {
        TcpListener::from_std(self.0.into())
    }
}

/// Looks up on which addresses a server would listen for this flag, and binds none of them.
///
/// # Errors
/// A name has no address, or there are too many addresses.
pub fn listen_addresses(
    flag: &'static str,
    listens: &[String],
) -> Result<Vec<SocketAddr>, ListenError> {
    let found = find_all(flag, listens, LISTENERS_MAX)?.into_iter();
    Ok(found.map(|(_, address)| address).collect())
}

/// Every address of each of these, with the one of them that it is of. An address that comes twice is there once.
fn find_all<'a>(
    flag: &'static str,
    listens: &'a [String],
    most: usize,
) -> Result<Vec<(&'a String, SocketAddr)>, ListenError> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for listen in listens {
        let failed = |address| {
            move |error| ListenError {
                flag,
                listen: listen.clone(),
                address,
                error,
            }
        };
        for address in addresses(listen).map_err(failed(None))? {
            // With port 0 each has a port of its own.
            if address.port() != 0 && !seen.insert(address) {
                continue;
            }
            if found.len() >= most {
                let many = format!("there are more than {LISTENERS_MAX} addresses to listen on");
                return Err(failed(Some(address))(io::Error::other(many)));
            }
            found.push((listen, address));
        }
    }
    Ok(found)
}

fn addresses(listen: &str) -> io::Result<Vec<SocketAddr>> {
    let addresses = look_up(listen)?;
    match addresses.is_empty() {
        true => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        )),
        false => Ok(addresses),
    }
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait until the connections of the last run have timed out.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` means every address, as it does for Redis and etcd.
        socket.set_only_v6(false)?;
    }
    // Accepted sockets inherit both, and the second must be set before the handshake.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket)
}
