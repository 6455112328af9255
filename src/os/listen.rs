//! The listening socket.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
};

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use crate::limits::{LISTEN_BACKLOG, SEND_BUFFER_BYTES};

/// Binds the first address of `listen` (`host:port`) that can be bound.
pub(super) fn bind(listen: &str) -> io::Result<TcpListener> {
    let mut failed = None;
    for address in listen.to_socket_addrs()? {
        match bind_address(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed
        .unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
}

fn bind_address(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for connections of the last run to time out.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` means every address, as it does for Redis and etcd.
        socket.set_only_v6(false)?;
    }
    // Accepted sockets inherit it, and it must be set before the handshake.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}
