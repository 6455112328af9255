//! How a connection to an endpoint is made: the name is looked up, a socket is connected, and TLS is put around it.
//!
//! It has the place of ureq's own connector for three reasons. Names are looked up only for a new connection, so a DNS that
//! is away harms nobody who is connected. TLS and its errors are the same as everywhere else in Ipseity. And whatever
//! fails here fails before anything was sent, which the errors of ureq do not tell.

use std::{io, sync::Arc, time};

use ipseity_tls::TlsFailed;
use rustls::ClientConnection;
use ureq::{
    Error, Timeout,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{
            Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, TcpConnector,
            Transport, TransportAdapter,
            time::{Duration, Instant},
        },
    },
};

use super::{
    secrets::Secrets,
    secured::{Secured, problem_of},
    unreached::NotReached,
};
use crate::target::Endpoint;

/// Looks up nothing: [`Dial`] does, if there is no connection yet.
#[derive(Debug)]
pub struct NamesLater;

impl Resolver for NamesLater {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

/// Makes the connections to one endpoint.
#[derive(Debug)]
pub struct Dial {
    endpoint: Endpoint,
    secrets: Secrets,
    connect_max: time::Duration,
}

impl Dial {
    /// For this endpoint, with what these files say at the time.
    pub fn new(endpoint: &Endpoint, secrets: &Secrets, connect_max: time::Duration) -> Dial {
        Dial {
            endpoint: endpoint.clone(),
            secrets: secrets.clone(),
            connect_max,
        }
    }

    fn open(&self, details: &ConnectionDetails) -> Result<Box<dyn Transport>, String> {
        let names = DefaultResolver::default();
        let addrs = names
            .resolve(details.uri, details.config, details.timeout)
            .map_err(|error| {
                let text = self.failed("its name cannot be looked up", &error);
                format!("{text}; is the name right in --store, and do the name servers answer?")
            })?;
        let resolved = ConnectionDetails {
            uri: details.uri,
            addrs,
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
        };
        let socket = TcpConnector::default()
            .connect(&resolved, None::<()>)
            .map_err(|error| {
                let text = self.failed("it cannot be reached", &error);
                format!("{text}; is it running?")
            })?
            .ok_or("it cannot be reached")?;
        let stream = match self.endpoint.uses_tls() {
            false => Box::new(socket),
            true => self.secure(Box::new(socket), details)?,
        };
        Ok(Box::new(Link {
            stream,
            unsent: None,
            has_heard: false,
        }))
    }

    fn failed(&self, what: &str, error: &Error) -> String {
        match error {
            Error::Io(error) => format!("{what}: {error}"),
            Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                format!("{what} in {} s", self.connect_max.as_secs())
            }
            error => format!("{what}: {error}"),
        }
    }

    fn secure(
        &self,
        socket: Box<dyn Transport>,
        details: &ConnectionDetails,
    ) -> Result<Box<dyn Transport>, String> {
        let dialer = self.secrets.dialer().map_err(|error| error.to_string())?;
        let dialed = dialer.dial(self.endpoint.host())?;
        let mut connection = ClientConnection::new(dialed.config(), dialed.name())
            .map_err(|error| dialed.explain(&error))?;
        let mut socket = TransportAdapter::new(socket, Arc::clone(&details.current_time));
        socket.set_timeout(rest_of(details));
        if let Err(error) = connection.complete_io(&mut socket) {
            return Err(match problem_of(&error) {
                Some(problem) => dialed.explain(problem),
                None if is_an_end(&error) => {
                    "it ends the connection in the TLS handshake: if it speaks no TLS, write etcd:// in --store"
                        .to_owned()
                }
                None => self.failed("its TLS handshake does not end", &Error::from(error)),
            });
        }
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Box::new(Secured::new(connection, socket, buffers, dialed)))
    }
}

impl Connector for Dial {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Box<dyn Transport>>, Error> {
        let opened = self.open(details);
        opened
            .map(Some)
            .map_err(|text| Error::Other(Box::new(NotReached(text))))
    }
}

/// What is left of the time for a connection.
fn rest_of(details: &ConnectionDetails) -> NextTimeout {
    let mut rest = details.timeout;
    let moments = ((details.current_time)(), details.now);
    if let (Duration::Exact(limit), (Instant::Exact(now), Instant::Exact(began))) =
        (rest.after, moments)
    {
        let used = now.saturating_duration_since(began);
        rest.after = Duration::Exact(limit.saturating_sub(used));
    }
    rest
}

/// Whether the other side has ended the connection.
fn is_an_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// A connection. Where a request cannot be sent to its end, what came in its place is read: whoever refuses a request
/// because of its first bytes says why, and goes.
#[derive(Debug)]
struct Link {
    stream: Box<dyn Transport>,
    /// Why the request could not be sent to its end. So it was not done: its last byte closes the JSON.
    unsent: Option<io::Error>,
    /// Whether anything has come yet.
    has_heard: bool,
}

impl Transport for Link {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.stream.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.unsent.is_some() {
            return Ok(());
        }
        match self.stream.transmit_output(amount, timeout) {
            Err(Error::Io(error)) if TlsFailed::text_of(&error).is_none() => {
                self.unsent = Some(error);
                Ok(())
            }
            sent => sent,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let came = self.stream.await_input(timeout);
        let is_mute = matches!(came, Ok(false) | Err(Error::Io(_)))
            && !matches!(&came, Err(Error::Io(error)) if TlsFailed::text_of(error).is_some());
        let hint = match self.has_heard || self.is_tls() {
            true => "",
            false => " (if it speaks TLS, write etcds:// in --store)",
        };
        self.has_heard |= matches!(came, Ok(true));
        match (came, &self.unsent) {
            (_, Some(unsent)) if is_mute => {
                let text =
                    format!("the connection broke before the request was sent: {unsent}{hint}");
                Err(Error::Other(Box::new(NotReached(text))))
            }
            (Ok(false), None) => {
                let text = format!("it ended the connection{hint}");
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, text).into())
            }
            (Err(Error::Io(error)), None) if is_mute => {
                let text = format!("{error}{hint}");
                Err(io::Error::new(error.kind(), text).into())
            }
            (came, _) => came,
        }
    }

    fn is_open(&mut self) -> bool {
        self.unsent.is_none() && self.stream.is_open()
    }

    fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }
}
