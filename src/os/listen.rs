//! The listening socket.
//!
//! It listens as soon as it is bound. Two sockets can be bound to one address as long as neither listens, so the
//! one that listens second would find out too late: its start would have used up a boot of its state directory.
//! Connections that come in before the server accepts them wait in the kernel's queue.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
};

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use crate::limits::{LISTEN_BACKLOG, RECEIVE_BUFFER_BYTES, SEND_BUFFER_BYTES};

/// A socket that listens on an address that no other process has. Connections wait in its queue; none is accepted yet.
#[derive(Debug)]
pub struct Bound(Socket);

impl Bound {
    /// Binds the first address of `listen` (`host:port`) that can be bound.
    ///
    /// # Errors
    /// None can be bound: the name has no address, the address is not one of this machine, or it is taken. Or the
    /// system refuses a socket.
    pub fn new(listen: &str) -> io::Result<Bound> {
        let mut failed = None;
        for address in listen.to_socket_addrs()? {
            match bind(address) {
                Ok(socket) => return Ok(Bound(socket)),
                Err(error) => failed = Some(error),
            }
        }
        let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        Err(failed.unwrap_or_else(none))
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
