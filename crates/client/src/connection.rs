//! One connection to one server: requests out, replies in, each within its time. It decides nothing about identities
//! and never tries another server.

use std::{collections::VecDeque, io::ErrorKind, mem, time::Duration};

use super::{
    Block,
    clock::{Deadline, Stopwatch},
    error::{FailureCause, Violation},
    judge::{Asked, Server, Trouble, hello, no_frame},
    limits::TIMEOUT_MIN,
    setup::{Greeting, Setup},
    stream::{Cutter, Got, Stream, cause_of},
};
use ipseity_core::{identity::Identity, words::Message};
use ipseity_frames::{FrameDecoder, Receiver, WireError, encode};

/// The timeout of a socket may be longer than what is left by this part of it.
const READ_TIMEOUT_SLACK: u32 = 16;

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
    /// The time of the call that uses the connection.
    call: Deadline,
    /// Since when no call has used it.
    pub(super) idle_since: Stopwatch,
    /// The hello whose reply has not come yet.
    greeting: Greeting,
    /// The requests for identities that have no reply yet, the oldest first.
    asked: VecDeque<Asked>,
    pub(super) server: Server,
}

impl Connection {
    /// Looks up the name, connects to the first of its addresses that accepts, and makes a TLS handshake if the server
    /// speaks TLS, all in this time. `place` is that of the server in the list.
    pub(super) fn open(
        setup: &Setup,
        place: usize,
        time: Duration,
    ) -> Result<Connection, FailureCause> {
        let (server, dialer) = (&setup.servers[place], setup.dialer.as_ref());
        let greeting = setup.greeting();
        let reply_timeout = setup.options.reply_timeout.max(TIMEOUT_MIN);
        let deadline = Deadline::within(time.max(TIMEOUT_MIN));
        let stream = Stream::open(server, dialer, deadline, reply_timeout)?;
        let mut outgoing = Vec::new();
        // It is written together with the first request.
        if let Greeting::Hello(cluster) = &greeting {
            encode(&hello(cluster.as_ref()), &mut outgoing);
        }
        Ok(Connection {
            stream,
            decoder: FrameDecoder::new(),
            outgoing,
            awaited: 0,
            reply_timeout,
            read_timeout: reply_timeout,
            call: deadline,
            idle_since: Stopwatch::start(),
            greeting,
            asked: VecDeque::new(),
            server: Server::default(),
        })
    }

    /// A call uses the connection from now on.
    pub(super) fn begin(&mut self, call: Deadline) {
        self.call = call;
    }

    /// What cuts the connection off from another thread.
    pub(super) fn cutter(&self) -> Cutter {
        self.stream.cutter()
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

    /// Queues a request for identities.
    pub(super) fn ask(&mut self, count: u32, after: Option<Identity>) -> Result<(), Trouble> {
        let asked = Asked { count, after };
        self.queue(&asked.message())?;
        self.asked.push_back(asked);
        Ok(())
    }

    /// The identities of the oldest request for some.
    pub(super) fn receive_block(&mut self) -> Result<Block, Trouble> {
        let reply = self.receive()?;
        // A reply that nothing had asked for, such as an errorReply of a server that is full, comes before any request.
        let asked = self.asked.pop_front();
        let asked = asked.expect("who waits for identities has asked for some");
        self.server.judge_block(asked, reply)
    }

    /// The next reply, in the order of the requests. An errorReply is returned as the message that it is.
    pub(super) fn receive(&mut self) -> Result<Message, Trouble> {
        self.receive_by(self.reply_deadline())
    }

    /// The time that a reply has from now on.
    pub(super) fn reply_deadline(&self) -> Deadline {
        self.call.and_within(self.reply_timeout)
    }

    /// The same, for several replies that share one time limit.
    pub(super) fn receive_by(&mut self, deadline: Deadline) -> Result<Message, Trouble> {
        loop {
            let next = self.decoder.next(Receiver::Client);
            if let Some(message) = next.map_err(|error| self.broken(error))? {
                if let Greeting::Hello(expected) = mem::replace(&mut self.greeting, Greeting::None)
                {
                    self.server.judge_hello(expected.as_ref(), message)?;
                    continue;
                }
                // Not below zero: a server may send an errorReply before it was asked anything, and then
                // close the connection.
                self.awaited = self.awaited.saturating_sub(1);
                return Ok(message);
            }
            self.flush(deadline)?;
            self.read(deadline)?;
        }
    }

    /// Writes what waits, within the time of the reply.
    fn flush(&mut self, deadline: Deadline) -> Result<(), FailureCause> {
        let mut written = 0;
        while written < self.outgoing.len() || self.stream.has_unwritten() {
            match self.stream.write(&self.outgoing[written..]) {
                Ok(bytes) => written += bytes,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(timeout(deadline)),
                    // The server closed. What it said before may still be there to read: an errorReply
                    // that gives the reason is worth more than "broken pipe".
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => break,
                    _ => return Err(cause_of(error)),
                },
            }
            if deadline.left().is_none() {
                return Err(timeout(deadline));
            }
        }
        self.outgoing.clear();
        Ok(())
    }

    /// Reads once.
    fn read(&mut self, deadline: Deadline) -> Result<(), FailureCause> {
        let Some(left) = deadline.left() else {
            return Err(timeout(deadline));
        };
        // Setting the timeout of the socket is a system call. So it stays as it is while it is a little longer than what is
        // left, as it is for nearly every reply.
        let is_close = (left..=left + left / READ_TIMEOUT_SLACK).contains(&self.read_timeout);
        if !is_close {
            let left = left.max(TIMEOUT_MIN);
            self.stream
                .set_read_timeout(left)
                .map_err(FailureCause::Io)?;
            self.read_timeout = left;
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
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(timeout(deadline)),
                ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Err(self.closed()),
                _ => Err(cause_of(error)),
            },
        }
    }

    fn broken(&self, error: WireError) -> Trouble {
        let is_plain = matches!(self.stream, Stream::Plain(_));
        no_frame(error, self.decoder.rest(), is_plain)
    }

    fn closed(&self) -> FailureCause {
        FailureCause::Closed {
            bytes: self.decoder.rest().len(),
        }
    }
}

fn timeout(deadline: Deadline) -> FailureCause {
    FailureCause::Timeout(deadline.limit())
}
