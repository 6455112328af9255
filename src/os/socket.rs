//! A TCP connection that never blocks.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr},
    time::Duration,
};

use mio::net::TcpStream;
use rustix::{io::Errno, net::SendFlags};
use socket2::{SockRef, TcpKeepalive};

use crate::{
    edge::Socket,
    limits::{
        KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KERNEL_BYTES, PEER_KEEPALIVE_IDLE,
        PEER_KEEPALIVE_INTERVAL, PEER_KEEPALIVE_RETRIES, SEND_BUFFER_BYTES,
    },
};

/// A TCP connection that never blocks.
#[derive(Debug)]
pub struct TcpSocket(TcpStream);

impl TcpSocket {
    /// A connection that came in.
    pub(super) fn accepted(stream: TcpStream) -> TcpSocket {
        tune(&stream);
        TcpSocket(stream)
    }

    /// A connection that is being made.
    pub(super) fn connect(address: SocketAddr) -> io::Result<TcpSocket> {
        let stream = TcpStream::connect(address)?;
        tune(&stream);
        // If this fails, the system's default stays, which only takes more memory.
        let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES);
        Ok(TcpSocket(stream))
    }

    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.0
    }
}

/// Lets replies leave at once, and detects connections whose other side has vanished. Errors are ignored: a connection
/// that cannot be tuned is broken, and its first read shows that.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

// These two are called for nearly every request. rustix makes the system call itself; the C library's functions
// are points at which a thread may be cancelled, which costs 50 instructions in a program that has threads.
impl Read for TcpSocket {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        rustix::io::read(&self.0, buffer).map_err(failed)
    }
}

impl Write for TcpSocket {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        rustix::net::send(&self.0, bytes, SendFlags::NOSIGNAL).map_err(failed)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// Out of line, or the compiler makes the error before it has looked whether there is one.
#[cold]
#[inline(never)]
fn failed(error: Errno) -> io::Error {
    error.into()
}

impl Socket for TcpSocket {
    fn is_connected(&self) -> io::Result<bool> {
        if let Some(error) = self.0.take_error()? {
            return Err(error);
        }
        match self.0.peer_addr() {
            // A dial to a free port of this machine may get that same port as its own, and so reach itself.
            Ok(peer) if self.0.local_addr()? == peer => {
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn peer_address(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }

    fn watch(&self) {
        let keepalive = TcpKeepalive::new()
            .with_time(PEER_KEEPALIVE_IDLE)
            .with_interval(PEER_KEEPALIVE_INTERVAL)
            .with_retries(PEER_KEEPALIVE_RETRIES);
        // Without it a dead peer is noticed later.
        let _ = SockRef::from(&self.0).set_tcp_keepalive(&keepalive);
    }

    // Full buffers hold what they may, so there is no need to ask the kernel (SIOCOUTQ).
    fn held_bytes(&self) -> usize {
        KERNEL_BYTES
    }

    fn has_input(&self) -> bool {
        // The end of the stream and a broken connection bring no bytes.
        self.0.peek(&mut [0]).is_ok_and(|bytes| bytes > 0)
    }

    fn discard(&self) {
        // If this fails, the kernel frees the memory later.
        let _ = SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}
