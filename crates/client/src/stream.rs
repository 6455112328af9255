//! The bytes of one connection, plain or by TLS. What they mean is decided above.

#[cfg(feature = "tls")]
mod tls;

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::{Arc, Weak},
    time::Duration,
};

use crate::{
    Dialer, address::ServerAddress, clock::Deadline, dial::connect_by, error::FailureCause,
};

#[cfg(all(feature = "tls", feature = "tokio"))]
pub(crate) use tls::closed_early;
#[cfg(feature = "tls")]
pub use tls::handshake;

/// A connection to a server.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(Arc<TcpStream>),
    #[cfg(feature = "tls")]
    Tls(Box<tls::TlsStream>),
}

/// What a read brought.
pub(crate) enum Got {
    /// So many bytes, 1 or more.
    Bytes(usize),
    /// None yet: what came was only for TLS itself.
    #[cfg(feature = "tls")]
    Nothing,
    /// The end of the stream.
    End,
}

impl Stream {
    /// Connects, and for a server that speaks TLS makes the handshake, all before the deadline. Each later write takes at
    /// most `reply_timeout`.
    pub(crate) fn open(
        server: &ServerAddress,
        dialer: Option<&Dialer>,
        deadline: Deadline,
        reply_timeout: Duration,
    ) -> Result<Stream, FailureCause> {
        if server.is_tls() {
            return Stream::open_tls(server, dialer, deadline, reply_timeout);
        }
        let stream = connect_by(server, deadline)?;
        prepare(&stream, reply_timeout).map_err(FailureCause::Io)?;
        Ok(Stream::Plain(Arc::new(stream)))
    }

    #[cfg(feature = "tls")]
    fn open_tls(
        server: &ServerAddress,
        dialer: Option<&Dialer>,
        deadline: Deadline,
        reply_timeout: Duration,
    ) -> Result<Stream, FailureCause> {
        let dialer = dialer.ok_or_else(no_ca)?;
        let client = dialer.begin(server.host()).map_err(FailureCause::Tls)?;
        let socket = connect_by(server, deadline)?;
        let stream = tls::TlsStream::open(socket, client, deadline)?;
        prepare(stream.socket(), reply_timeout).map_err(FailureCause::Io)?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    #[cfg(not(feature = "tls"))]
    fn open_tls(
        _: &ServerAddress,
        _: Option<&Dialer>,
        _: Deadline,
        _: Duration,
    ) -> Result<Stream, FailureCause> {
        Err(built_without_tls())
    }

    /// Takes bytes to write, and writes some. Returns how many it took.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => (&**stream).write(bytes),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    /// Whether bytes that were taken are not written yet.
    pub(crate) fn has_unwritten(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.has_unwritten(),
        }
    }

    /// Reads at most once from the socket.
    pub(crate) fn read(&mut self, space: &mut [u8]) -> io::Result<Got> {
        match self {
            Stream::Plain(stream) => Ok(match (&**stream).read(space)? {
                0 => Got::End,
                bytes => Got::Bytes(bytes),
            }),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.read(space),
        }
    }

    pub(crate) fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.socket().set_read_timeout(Some(timeout))
    }

    /// What cuts the connection off from another thread.
    pub(crate) fn cutter(&self) -> Cutter {
        Cutter(Arc::downgrade(self.socket()))
    }

    fn socket(&self) -> &Arc<TcpStream> {
        match self {
            Stream::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.socket(),
        }
    }
}

/// Cuts a connection off while another thread waits for its reply.
#[derive(Debug, Default)]
pub(crate) struct Cutter(Weak<TcpStream>);

impl Cutter {
    /// The other thread then finds the end of the stream. A connection that is gone already stays so.
    pub(crate) fn cut(&self) {
        if let Some(socket) = self.0.upgrade() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn prepare(stream: &TcpStream, reply_timeout: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(reply_timeout))?;
    stream.set_write_timeout(Some(reply_timeout))
}

#[cfg(feature = "tls")]
pub(crate) fn no_ca() -> FailureCause {
    let text =
        "it is to be spoken to by TLS, and no CA is given that could have signed its certificate";
    FailureCause::Tls(text.to_owned())
}

#[cfg(not(feature = "tls"))]
pub(crate) fn built_without_tls() -> FailureCause {
    let text =
        "it is to be spoken to by TLS, and this program was built without it (the feature `tls`)";
    FailureCause::Tls(text.to_owned())
}

/// What an error of a stream means.
pub(crate) fn cause_of(error: io::Error) -> FailureCause {
    #[cfg(feature = "tls")]
    if let Some(text) = ipseity_tls::TlsFailed::text_of(&error) {
        return FailureCause::Tls(text.to_owned());
    }
    FailureCause::Io(error)
}
