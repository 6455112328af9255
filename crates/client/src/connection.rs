//! One connection to one server: requests out, replies in, each within its time. It decides nothing about identities
//! and never tries another server.

use std::{io::ErrorKind, time::Duration};

use super::{
    ClientOptions, Dialer,
    address::ServerAddress,
    clock::{Deadline, Stopwatch},
    error::{FailureCause, Violation},
    limits::TIMEOUT_MIN,
    refusal,
    stream::{Got, Stream, cause_of},
    wrong_kind,
};
use ipseity_core::{
    identity::Pid,
    words::{ClusterName, ErrorCode, ErrorReply, Hello, Message},
};
use ipseity_frames::{FrameDecoder, Kind, Receiver, WireError, encode};

/// Why an attempt at one server brought no reply.
pub(super) enum Trouble {
    /// The server failed; the next one is tried.
    Failed(FailureCause),
    /// The server answered with an error, and no other server is tried.
    Answered(ErrorReply),
    /// The server broke the protocol.
    Violated(Violation),
}

impl From<FailureCause> for Trouble {
    fn from(cause: FailureCause) -> Trouble {
        Trouble::Failed(cause)
    }
}

impl From<Violation> for Trouble {
    fn from(violation: Violation) -> Trouble {
        Trouble::Violated(violation)
    }
}

impl From<WireError> for Trouble {
    fn from(error: WireError) -> Trouble {
        Trouble::Violated(Violation::Undecodable(error))
    }
}

/// A connection and the requests that are under way on it.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    decoder: FrameDecoder,
    /// Requests that are not written yet.
    outgoing: Vec<u8>,
    /// Requests that have no reply yet, written or not.
    awaited: usize,
    /// The time that a reply has.
    reply_timeout: Duration,
    /// What the socket's read timeout is set to.
    read_timeout: Duration,
    /// The pid of the identities that came so far.
    pub(super) pid: Option<Pid>,
    /// The cluster that was named in a hello whose reply has not come yet.
    hello: Option<ClusterName>,
}

impl Connection {
    /// Looks up the name, connects to the first of its addresses that accepts, and makes a TLS handshake if the server
    /// speaks TLS.
    pub(super) fn open(
        server: &ServerAddress,
        options: &ClientOptions,
        cluster: Option<&ClusterName>,
        dialer: Option<&Dialer>,
    ) -> Result<Connection, FailureCause> {
        let reply_timeout = options.reply_timeout.max(TIMEOUT_MIN);
        let deadline = Deadline::within(options.connect_timeout.max(TIMEOUT_MIN));
        let stream = Stream::open(server, dialer, deadline, reply_timeout)?;
        let mut outgoing = Vec::new();
        // It is written together with the first request.
        if let Some(cluster) = cluster {
            let hello = Hello {
                cluster: Some(cluster.clone()),
            };
            encode(&Message::HelloRequest(Box::new(hello)), &mut outgoing);
        }
        Ok(Connection {
            stream,
            decoder: FrameDecoder::new(),
            outgoing,
            awaited: 0,
            reply_timeout,
            read_timeout: reply_timeout,
            pid: None,
            hello: cluster.cloned(),
        })
    }

    /// How many requests have no reply yet.
    pub(super) fn awaited(&self) -> usize {
        self.awaited
    }

    /// Queues a request. All queued requests are written together when the next reply has to be waited for, so that many
    /// requests take one system call.
    pub(super) fn queue(&mut self, request: &Message) -> Result<(), Trouble> {
        match self.decoder.rest().len() {
            bytes if bytes > 0 && self.awaited == 0 => Err(Violation::Unasked { bytes }.into()),
            _ => {
                encode(request, &mut self.outgoing);
                self.awaited += 1;
                Ok(())
            }
        }
    }

    /// The next reply, in the order of the requests. An errorReply is returned as the message that it is.
    pub(super) fn receive(&mut self) -> Result<Message, Trouble> {
        // The whole time is left, so neither the clock nor the socket's timeout is needed.
        self.receive_within(Stopwatch::start(), self.reply_timeout)
    }

    /// The same, for several replies that share one time limit, which began with the stopwatch.
    pub(super) fn receive_since(&mut self, stopwatch: Stopwatch) -> Result<Message, Trouble> {
        let left = stopwatch.left_of(self.reply_timeout).unwrap_or_default();
        self.receive_within(stopwatch, left)
    }

    fn receive_within(
        &mut self,
        stopwatch: Stopwatch,
        mut left: Duration,
    ) -> Result<Message, Trouble> {
        loop {
            let next = self.decoder.next(Receiver::Client);
            if let Some(message) = next.map_err(|error| self.broken(error))? {
                if let Some(expected) = self.hello.take() {
                    judge_hello(&expected, message)?;
                    continue;
                }
                // Not below zero: a server may send an errorReply before it was asked anything, and then
                // close the connection.
                self.awaited = self.awaited.saturating_sub(1);
                return Ok(message);
            }
            self.flush(stopwatch)?;
            self.read(left)?;
            left = stopwatch.left_of(self.reply_timeout).unwrap_or_default();
        }
    }

    /// Writes what waits, within the time of the reply.
    fn flush(&mut self, stopwatch: Stopwatch) -> Result<(), FailureCause> {
        let mut written = 0;
        while written < self.outgoing.len() || self.stream.has_unwritten() {
            match self.stream.write(&self.outgoing[written..]) {
                Ok(bytes) => written += bytes,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(self.timeout()),
                    // The server closed. What it said before may still be there to read: an errorReply
                    // that gives the reason is worth more than "broken pipe".
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => break,
                    _ => return Err(cause_of(error)),
                },
            }
            if stopwatch.left_of(self.reply_timeout).is_none() {
                return Err(self.timeout());
            }
        }
        self.outgoing.clear();
        Ok(())
    }

    /// Reads once, for at most `left`.
    fn read(&mut self, left: Duration) -> Result<(), FailureCause> {
        if left.is_zero() {
            return Err(self.timeout());
        }
        // Nearly every reply comes in one read, with the whole time left. Then the timeout need not be set.
        let timeout = left.max(TIMEOUT_MIN);
        if timeout != self.read_timeout {
            self.stream
                .set_read_timeout(timeout)
                .map_err(FailureCause::Io)?;
            self.read_timeout = timeout;
        }
        match self.stream.read(self.decoder.space()) {
            Ok(Got::End) => Err(self.closed()),
            #[cfg(feature = "tls")]
            Ok(Got::Nothing) => Ok(()),
            Ok(Got::Bytes(bytes)) => {
                self.decoder.filled(bytes);
                Ok(())
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => Ok(()),
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(self.timeout()),
                ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Err(self.closed()),
                _ => Err(cause_of(error)),
            },
        }
    }

    /// What bytes mean that are not a frame. A server that speaks TLS answers a plain request with an alert, or says
    /// nothing; an alert is never the beginning of a frame for clients, and neither are the letters of HTTP.
    fn broken(&self, error: WireError) -> Trouble {
        match (&self.stream, self.decoder.rest()) {
            (Stream::Plain(_), [0x15 | 0x16, 0x03, ..]) => {
                FailureCause::Tls("it speaks TLS there: write tls:// before its address".to_owned())
                    .into()
            }
            (_, [b'H', b'T', b'T', ..]) => Violation::Http.into(),
            _ => error.into(),
        }
    }

    fn timeout(&self) -> FailureCause {
        FailureCause::Timeout(self.reply_timeout)
    }

    fn closed(&self) -> FailureCause {
        FailureCause::Closed {
            bytes: self.decoder.rest().len(),
        }
    }
}

/// Whether the server is of the cluster that the client expects.
fn judge_hello(expected: &ClusterName, reply: Message) -> Result<(), Trouble> {
    match reply {
        Message::HelloReply(server) if server.cluster == *expected => Ok(()),
        // It did not look at the name that it was told.
        Message::HelloReply(server) => Err(Trouble::Answered(ErrorReply::new(
            ErrorCode::ForeignCluster,
            format!(
                "this server is of cluster {:?}, and {:?} is expected",
                server.cluster.as_str(),
                expected.as_str()
            ),
        ))),
        Message::ErrorReply(reply) => Err(refusal(*reply)),
        other => Err(wrong_kind(Kind::HelloReply, &other)),
    }
}
