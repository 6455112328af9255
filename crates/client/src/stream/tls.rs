//! A connection by TLS: rustls between the bytes of the wire and those of the protocol, on a blocking socket.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use ipseity_tls::TlsClient;

use super::{Got, cause_of};
use crate::{clock::Deadline, error::FailureCause, limits::TIMEOUT_MIN};

#[derive(Debug)]
pub(crate) struct TlsStream {
    socket: Arc<TcpStream>,
    tls: TlsClient,
}

impl TlsStream {
    /// Makes the handshake on a connected socket, before the deadline.
    pub(crate) fn open(
        socket: TcpStream,
        mut tls: TlsClient,
        deadline: Deadline,
    ) -> Result<TlsStream, FailureCause> {
        shake_hands(&socket, &mut tls, deadline)?;
        let socket = Arc::new(socket);
        Ok(TlsStream { socket, tls })
    }

    pub(crate) fn socket(&self) -> &Arc<TcpStream> {
        &self.socket
    }

    pub(crate) fn has_unwritten(&self) -> bool {
        self.tls.wants_write()
    }

    /// Takes as many bytes as rustls has room for, and writes once.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.tls.writer().write(bytes)?;
        if self.tls.wants_write() {
            self.tls.write_tls(&mut &*self.socket)?;
        }
        Ok(taken)
    }

    /// Reads what is decrypted already, or else once from the socket. A stream that ends without the farewell of TLS ends
    /// all the same: whether something is missing, the frames tell.
    pub(crate) fn read(&mut self, space: &mut [u8]) -> io::Result<Got> {
        if let Some(got) = self.decrypted(space)? {
            return Ok(got);
        }
        let taken = self.take_in()?;
        Ok(match self.decrypted(space)? {
            Some(got) => got,
            None if taken == 0 => Got::End,
            None => Got::Nothing,
        })
    }

    /// What is decrypted and not read yet; `None` if there is nothing and more may come.
    fn decrypted(&mut self, space: &mut [u8]) -> io::Result<Option<Got>> {
        match self.tls.reader().read(space) {
            Ok(0) => Ok(Some(Got::End)),
            Ok(bytes) => Ok(Some(Got::Bytes(bytes))),
            Err(error) => match error.kind() {
                ErrorKind::UnexpectedEof => Ok(Some(Got::End)),
                ErrorKind::WouldBlock => Ok(None),
                _ => Err(error),
            },
        }
    }

    fn take_in(&mut self) -> io::Result<usize> {
        take_in(&self.socket, &mut self.tls)
    }
}

impl Drop for TlsStream {
    /// Says farewell (close_notify), if there is room for it now.
    fn drop(&mut self) {
        self.tls.send_close_notify();
        if self.socket.set_nonblocking(true).is_ok() {
            let _ = self.tls.write_tls(&mut &*self.socket);
        }
    }
}

/// Makes the TLS handshake on a connected, blocking socket, within `timeout`: as every call of a [`Client`](crate::Client)
/// does, for programs that speak to a server in their own way. A timeout of less than 1 ms is taken as 1 ms. The timeouts
/// of the socket are changed.
///
/// # Errors
/// [`FailureCause::Tls`], [`FailureCause::HandshakeTimeout`] or [`FailureCause::Io`].
pub fn handshake(
    socket: &TcpStream,
    tls: &mut TlsClient,
    timeout: Duration,
) -> Result<(), FailureCause> {
    shake_hands(socket, tls, Deadline::within(timeout.max(TIMEOUT_MIN)))
}

fn shake_hands(
    mut socket: &TcpStream,
    tls: &mut TlsClient,
    deadline: Deadline,
) -> Result<(), FailureCause> {
    socket.set_nodelay(true).map_err(FailureCause::Io)?;
    while tls.is_handshaking() || tls.wants_write() {
        let Some(left) = deadline.left() else {
            return Err(FailureCause::HandshakeTimeout(deadline.limit()));
        };
        let left = Some(left.max(TIMEOUT_MIN));
        let step = if tls.wants_write() {
            socket.set_write_timeout(left).map_err(FailureCause::Io)?;
            tls.write_tls(&mut socket)
        } else {
            socket.set_read_timeout(left).map_err(FailureCause::Io)?;
            take_in(socket, tls)
        };
        match step {
            Ok(0) => return Err(closed_early()),
            Ok(_) => {}
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                ErrorKind::BrokenPipe
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted => return Err(closed_early()),
                _ => return Err(cause_of(error)),
            },
        }
    }
    Ok(())
}

fn take_in(mut socket: &TcpStream, tls: &mut TlsClient) -> io::Result<usize> {
    let taken = tls.take_in(&mut socket);
    if let Err(error) = &taken
        && error.kind() == ErrorKind::InvalidData
    {
        // The alert that tells the server why. It is short, so there is room for it.
        let _ = tls.write_tls(&mut socket);
    }
    taken
}

pub(crate) fn closed_early() -> FailureCause {
    FailureCause::Tls("it closed the connection in the middle of the TLS handshake".to_owned())
}
