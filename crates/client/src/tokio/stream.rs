//! The bytes of one connection, plain or by TLS. What they mean is decided above.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::dial::connect;
#[cfg(not(feature = "tls"))]
use crate::stream::built_without_tls;
#[cfg(feature = "tls")]
use crate::stream::no_ca;
use crate::{FailureCause, ServerAddress, clock::Deadline, setup::Setup};

/// A connection to a server.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<tls::TlsStream>),
}

impl Stream {
    /// Connects, and for a server that speaks TLS makes the handshake, all before the deadline.
    pub(super) async fn open(
        setup: &Setup,
        server: &ServerAddress,
        deadline: Deadline,
    ) -> Result<Stream, FailureCause> {
        if server.is_tls() {
            return Stream::open_tls(setup, server, deadline).await;
        }
        let socket = connect(server, deadline).await?;
        socket.set_nodelay(true).map_err(FailureCause::Io)?;
        Ok(Stream::Plain(socket))
    }

    #[cfg(feature = "tls")]
    async fn open_tls(
        setup: &Setup,
        server: &ServerAddress,
        deadline: Deadline,
    ) -> Result<Stream, FailureCause> {
        let dialer = setup.dialer.as_ref().ok_or_else(no_ca)?;
        let dialed = dialer.dial(server.host()).map_err(FailureCause::Tls)?;
        let socket = connect(server, deadline).await?;
        socket.set_nodelay(true).map_err(FailureCause::Io)?;
        let stream = tls::TlsStream::open(socket, dialed, deadline).await?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    #[cfg(not(feature = "tls"))]
    async fn open_tls(_: &Setup, _: &ServerAddress, _: Deadline) -> Result<Stream, FailureCause> {
        Err(built_without_tls())
    }

    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Stream::Plain(_))
    }

    /// Reads some bytes; 0 is the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut space = ReadBuf::new(space);
        let read = match self {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, &mut space),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(&mut stream.stream).poll_read(context, &mut space),
        };
        read.map_ok(|()| space.filled().len())
    }

    /// Takes some bytes. They are on their way when [`poll_flush`](Self::poll_flush) has ended.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writer().poll_write(context, bytes)
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_flush(context)
    }

    /// Shuts the sending side, after the farewell of TLS.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_shutdown(context)
    }

    /// What an error of the stream means.
    pub(super) fn cause_of(&self, error: io::Error) -> FailureCause {
        match self {
            Stream::Plain(_) => FailureCause::Io(error),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => tls::cause_of(&stream.dialed, error),
        }
    }

    fn writer(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        Pin::new(match self {
            Stream::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => &mut stream.stream,
        })
    }
}

#[cfg(feature = "tls")]
mod tls {
    use std::io::{self, ErrorKind};

    use ipseity_tls::Dialed;
    use tokio::net::TcpStream;
    use tokio_rustls::{TlsConnector, client, rustls};

    use crate::{FailureCause, clock::Deadline, stream::closed_early, tokio::wait::within};

    #[derive(Debug)]
    pub(crate) struct TlsStream {
        pub(super) stream: client::TlsStream<TcpStream>,
        pub(super) dialed: Dialed,
    }

    impl TlsStream {
        /// Makes the handshake on a connected socket, before the deadline.
        pub(super) async fn open(
            socket: TcpStream,
            dialed: Dialed,
            deadline: Deadline,
        ) -> Result<TlsStream, FailureCause> {
            let connector = TlsConnector::from(dialed.config());
            match within(deadline, connector.connect(dialed.name(), socket)).await {
                Some(Ok(stream)) => Ok(TlsStream { stream, dialed }),
                Some(Err(error)) => match error.kind() {
                    ErrorKind::UnexpectedEof
                    | ErrorKind::BrokenPipe
                    | ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted => Err(closed_early()),
                    _ => Err(cause_of(&dialed, error)),
                },
                None => Err(FailureCause::HandshakeTimeout(deadline.limit())),
            }
        }
    }

    /// What an error of a TLS connection means.
    pub(super) fn cause_of(dialed: &Dialed, error: io::Error) -> FailureCause {
        let inner = error.get_ref();
        match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(inner) => FailureCause::Tls(dialed.explain(inner)),
            None => FailureCause::Io(error),
        }
    }
}
