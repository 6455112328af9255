//! A connection to etcd that speaks TLS, as ureq wants it.

use std::{
    fmt,
    io::{self, Read as _, Write as _},
};

use ipseity_tls::{Dialed, TlsFailed};
use rustls::{AlertDescription, ClientConnection, Error as TlsProblem, StreamOwned};
use ureq::{
    Error,
    unversioned::transport::{Buffers, LazyBuffers, NextTimeout, Transport, TransportAdapter},
};

use super::unreached::NotReached;

/// A connection that speaks TLS.
pub struct Secured {
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    buffers: LazyBuffers,
    dialed: Dialed,
    /// Whether anything has come from the other side after the handshake.
    has_heard: bool,
}

impl Secured {
    /// A connection after its handshake.
    pub fn new(
        connection: ClientConnection,
        socket: TransportAdapter,
        buffers: LazyBuffers,
        dialed: Dialed,
    ) -> Secured {
        Secured {
            stream: StreamOwned::new(connection, socket),
            buffers,
            dialed,
            has_heard: false,
        }
    }

    /// The error that the other side has sent before it went. The stream may have read it already, and not said so.
    fn last_words(&mut self) -> Option<io::Error> {
        let StreamOwned { conn, sock } = &mut self.stream;
        loop {
            if let Err(problem) = conn.process_new_packets() {
                return Some(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
            if conn.read_tls(sock).ok()? == 0 {
                return None;
            }
        }
    }

    /// The same error in plain words.
    fn explained(&self, error: io::Error) -> Error {
        let Some(problem) = problem_of(&error) else {
            return error.into();
        };
        let text = self.dialed.explain(problem);
        match problem {
            // In TLS 1.3 the other side judges a certificate after the first request was sent, and before it reads it.
            TlsProblem::AlertReceived(alert) if !self.has_heard && refuses_handshake(*alert) => {
                Error::Other(Box::new(NotReached(text)))
            }
            _ => Error::Io(io::Error::new(error.kind(), TlsFailed(text))),
        }
    }
}

impl Transport for Secured {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        let written = self.stream.write_all(output);
        written.map_err(|error| self.explained(error))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let input = self.buffers.input_append_buf();
        let read = self.stream.read(input);
        if let Ok(amount @ 1..) = read {
            self.buffers.input_appended(amount);
            self.has_heard = true;
            return Ok(true);
        }
        match self.last_words() {
            Some(words) => Err(self.explained(words)),
            None => read.map(|_| false).map_err(|error| self.explained(error)),
        }
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").finish_non_exhaustive()
    }
}

/// What TLS has against the connection, if it is that.
pub fn problem_of(error: &io::Error) -> Option<&TlsProblem> {
    error.get_ref()?.downcast_ref()
}

/// Whether an alert is only sent instead of the end of a handshake.
fn refuses_handshake(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::HandshakeFailure
    )
}
