//! The side that dials: whom it believes and what it shows, and one TLS connection as bytes in and bytes out.

use std::{
    io,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, Error, IoState, client::danger::ServerCertVerifier};
use rustls_pki_types::ServerName;

use crate::{
    config::{client_config, server_name, unnameable},
    credentials::Credentials,
    explain::{Context, Hints, explain},
    roots::Roots,
    watched::Watched,
};

/// Whom somebody who dials believes, and what certificate they show if they are asked for one. A clone is cheap.
#[derive(Clone, Debug)]
pub struct Dialer(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    roots: Roots,
    credentials: Option<Credentials>,
    hints: Hints,
}

impl Dialer {
    /// A dialer that believes servers whose certificate one of these CAs has signed.
    pub fn new(roots: Roots, credentials: Option<Credentials>) -> Dialer {
        Dialer::hinting(roots, credentials, Hints::default())
    }

    /// The same, for those who are given roots and credentials by other flags.
    pub fn hinting(roots: Roots, credentials: Option<Credentials>, hints: Hints) -> Dialer {
        Dialer(Arc::new(Parts {
            roots,
            credentials,
            hints,
        }))
    }

    /// The CAs that it believes.
    pub fn roots(&self) -> &Roots {
        &self.0.roots
    }

    /// What it shows of itself.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.0.credentials.as_ref()
    }

    /// Begins a connection to this host, whose certificate must have this name or address.
    ///
    /// # Errors
    /// The host is neither a name nor an address; the text says so.
    pub fn begin(&self, host: &str) -> Result<TlsClient, String> {
        let dialed = self.dial(host)?;
        let connection = ClientConnection::new(Arc::clone(&dialed.config), dialed.name.clone())
            .map_err(|error| explain(&error, &Context::default()))?;
        Ok(TlsClient { connection, dialed })
    }

    /// What one connection to this host needs, for those who have a TLS connection of their own.
    ///
    /// # Errors
    /// The host is neither a name nor an address; the text says so.
    pub fn dial(&self, host: &str) -> Result<Dialed, String> {
        let name = server_name(host)
            .map_err(|_| format!("a certificate cannot have the name {}", unnameable(host)))?;
        let (config, verifier) = client_config(self.roots(), self.credentials());
        Ok(Dialed {
            config: Arc::new(config),
            name,
            verifier,
            dialer: self.clone(),
        })
    }
}

/// What one connection of a [`Dialer`] needs, and how its errors are explained.
#[derive(Debug)]
pub struct Dialed {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    verifier: Arc<Watched<dyn ServerCertVerifier>>,
    dialer: Dialer,
}

impl Dialed {
    /// The configuration. It is for one connection only.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// The name that the certificate must have.
    pub fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    /// Why the connection is of no use any more, as a sentence about the server.
    pub fn explain(&self, error: &Error) -> String {
        // The clock by which rustls judges certificates.
        let now = self.config.time_provider.current_time();
        let context = Context {
            dialed: true,
            is_server: false,
            refused: self.verifier.take_refused(),
            roots: Some(self.dialer.roots()),
            own: self.dialer.credentials(),
            now: now.map(|now| now.as_secs()),
            hints: self.dialer.0.hints,
        };
        explain(error, &context)
    }
}

/// One connection of a [`Dialer`]: a [`ClientConnection`] of rustls, without a socket, whose errors are explained.
#[derive(Debug)]
pub struct TlsClient {
    connection: ClientConnection,
    dialed: Dialed,
}

impl TlsClient {
    /// Works on what `read_tls` of the connection took in.
    ///
    /// # Errors
    /// The connection is of no use any more. The text says why, as a sentence about the server. An alert for the server
    /// may be left to write.
    pub fn process(&mut self) -> Result<IoState, String> {
        let worked = self.connection.process_new_packets();
        worked.map_err(|error| self.dialed.explain(&error))
    }

    /// Reads once, and works on what came. Returns how many bytes came; 0 is the end of the stream.
    ///
    /// # Errors
    /// What the stream says, or, in a [`TlsFailed`] inside, what is wrong with what came.
    pub fn take_in(&mut self, from: &mut dyn io::Read) -> io::Result<usize> {
        let taken = self.connection.read_tls(from)?;
        self.process()
            .map_err(|text| io::Error::new(io::ErrorKind::InvalidData, TlsFailed(text)))?;
        Ok(taken)
    }
}

impl Deref for TlsClient {
    type Target = ClientConnection;

    fn deref(&self) -> &ClientConnection {
        &self.connection
    }
}

impl DerefMut for TlsClient {
    fn deref_mut(&mut self) -> &mut ClientConnection {
        &mut self.connection
    }
}

/// Why a TLS connection is of no use any more, as a sentence about the other side; inside of an [`io::Error`].
#[derive(Clone, Debug)]
pub struct TlsFailed(pub String);

impl TlsFailed {
    /// The sentence in an error, if it has one.
    pub fn text_of(error: &io::Error) -> Option<&str> {
        let inner = error.get_ref()?.downcast_ref::<TlsFailed>()?;
        Some(&inner.0)
    }
}

impl std::fmt::Display for TlsFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsFailed {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Ca, directory};

    fn dialer() -> Dialer {
        let folder = directory();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, Ca::new("ca").pem()).unwrap();
        Dialer::new(Roots::read(&file).unwrap(), None)
    }

    #[test]
    fn a_hello_goes_out_and_only_a_name_is_told() {
        for (host, is_told) in [("one.example", true), ("127.0.0.1", false), ("::1", false)] {
            let mut client = dialer().begin(host).unwrap();
            let mut hello = Vec::new();
            client.write_tls(&mut hello).unwrap();
            assert_eq!(hello[0], 0x16);
            let told = hello
                .windows(host.len())
                .any(|bytes| bytes == host.as_bytes());
            assert_eq!(told, is_told, "{host}");
        }
        assert!(dialer().begin("a b").unwrap_err().contains("\"a b\""));
        let error = dialer().begin("bücher.example").unwrap_err();
        assert!(error.contains("write it in ASCII, as xn--..."), "{error}");
    }

    #[test]
    fn what_is_wrong_is_in_the_error() {
        let mut client = dialer().begin("one.example").unwrap();
        let error = client.take_in(&mut &b"HTTP/1.1 400"[..]).unwrap_err();
        let text = TlsFailed::text_of(&error).unwrap();
        assert!(text.starts_with("it does not speak TLS"), "{text}");
        assert_eq!(error.to_string(), text);
        assert!(TlsFailed::text_of(&io::ErrorKind::TimedOut.into()).is_none());
        // The other side is told.
        assert!(client.wants_write());
    }
}
