//! The client: one server at a time, the next one when it fails, and each call within its time.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ipseity_core::{
    identity::Identity,
    words::{ClusterName, Message, Status},
};
use ipseity_frames::Kind;

#[cfg(feature = "tls")]
use crate::Dialer;
use crate::{
    Block, ClientError, ClientOptions, Counters, Hooks, Pipeline, Rounds, ServerAddress,
    choice::{Choice, Pauses},
    clock::{Deadline, Stopwatch},
    closed::Closed,
    connecting::{Connecting, Outcome},
    connection::Connection,
    error::FailureCause,
    judge::{Trouble, disowns, goes_on_after, hello, refusal, wrong_kind},
    limits::{CLIENT_BLOCK_COUNT, CLIENT_IN_FLIGHT_MAX, TIMEOUT_MIN},
    setup::{Failures, Setup},
    stream::Cutter,
    turn::Turns,
    watch::Watch,
};
#[cfg(doc)]
use ipseity_core::words::ErrorCode;

/// A connection to one of several servers, which threads may share. See the [crate](crate) for what it keeps.
#[derive(Debug)]
pub struct Client {
    setup: Setup,
    /// The newest identity that was seen; 0 for none.
    newest: AtomicU64,
    /// The place in the list of servers of the one that answered last, or is tried first.
    current: AtomicUsize,
    line: Turns<Line>,
    watch: Watch,
    closed: Closed,
    /// What cuts off the call that is under way.
    cutter: Mutex<Cutter>,
}

/// What the calls of a client have one after the other.
#[derive(Debug)]
struct Line {
    born: Stopwatch,
    choice: Choice,
    connection: Option<Connection>,
    /// An attempt to connect that a call has left behind when its time was over. There is no connection meanwhile.
    connecting: Option<Connecting>,
}

impl Line {
    /// The order in which the servers are tried now. What is under way comes first.
    fn order(&self) -> Vec<usize> {
        let mut order = self.choice.order(self.born.elapsed());
        if let Some(connecting) = &self.connecting {
            order.sort_by_key(|place| *place != connecting.place);
        }
        order
    }

    fn hang_up(&mut self) {
        self.connection = None;
        self.connecting = None;
    }
}

/// Why a server has brought a call nothing.
enum Missed {
    By(Trouble),
    /// The time of the call was over before there was a connection. That says nothing of the server.
    TooLate,
}

impl<T: Into<Trouble>> From<T> for Missed {
    fn from(trouble: T) -> Missed {
        Missed::By(trouble.into())
    }
}

impl Client {
    /// A client of these servers, with default options. Nothing is looked up or connected before the first call.
    ///
    /// # Errors
    /// [`ClientError::NoServers`] if there are none, [`ClientError::Address`] if one is not an address.
    pub fn new<A: AsRef<str>>(servers: impl IntoIterator<Item = A>) -> Result<Client, ClientError> {
        Client::with_options(servers, ClientOptions::default())
    }

    /// A client of these servers, with these options.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`ClientError::NoTime`] if a time is zero.
    pub fn with_options<A: AsRef<str>>(
        servers: impl IntoIterator<Item = A>,
        options: ClientOptions,
    ) -> Result<Client, ClientError> {
        let setup = Setup::new(servers, options)?;
        Ok(Client::of(setup, Hooks::default()))
    }

    pub(crate) fn of(setup: Setup, hooks: Hooks) -> Client {
        let first = setup.first();
        Client {
            line: Turns::new(Line {
                born: Stopwatch::start(),
                choice: Choice::new(setup.servers.len(), first),
                connection: None,
                connecting: None,
            }),
            setup,
            newest: AtomicU64::new(0),
            current: AtomicUsize::new(first),
            watch: Watch {
                hooks,
                ..Watch::default()
            },
            closed: Closed::default(),
            cutter: Mutex::default(),
        }
    }

    /// The same client, for servers of this cluster only. On each new connection the name is sent with the first request,
    /// so it costs no round trip. A server of another cluster ends the call with
    /// [`ClientError::WrongCluster`], and none of its identities is returned.
    ///
    /// ```
    /// # let server = ipseity_harness::fake::Fake::serving(1);
    /// # let address = server.address();
    /// use ipseity_client::Client;
    ///
    /// let client = Client::new([address]).unwrap();
    /// let client = client.cluster("ipseity".parse().unwrap());
    /// println!("{}", client.next().unwrap());
    /// ```
    #[must_use]
    pub fn cluster(mut self, name: ClusterName) -> Client {
        self.setup.cluster = Some(name);
        self.unconnected()
    }

    /// The same client, with what it needs for servers at `tls://` addresses: which CAs it believes, and the certificate
    /// that it shows to servers that ask for one. The certificate of the server must be for the name or the address that
    /// stands in the list of servers.
    ///
    /// ```no_run
    /// use std::path::Path;
    ///
    /// use ipseity_client::{Client, Credentials, Dialer, Roots};
    ///
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let roots = Roots::read(Path::new("ca.pem"))?;
    /// let own = Credentials::read(Path::new("alice.pem"), Path::new("alice.key"))?;
    /// let client = Client::new(["tls://ids.example.org"])?;
    /// let client = client.tls(Dialer::new(roots, Some(own)));
    /// println!("{}", client.next()?);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, dialer: Dialer) -> Client {
        self.setup.dialer = Some(dialer);
        self.unconnected()
    }

    /// The same client, which calls these hooks.
    #[must_use]
    pub fn hooks(mut self, hooks: Hooks) -> Client {
        self.watch.hooks = hooks;
        self
    }

    /// A connection that was made before does not do what the client is told now.
    fn unconnected(self) -> Client {
        if let Some(mut line) = self.line.take(Deadline::within(Duration::MAX)) {
            line.hang_up();
        }
        self
    }

    /// One identity, greater than all that this client had seen when the call began.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means.
    pub fn next(&self) -> Result<Identity, ClientError> {
        self.block(1).map(|block| block.first())
    }

    /// `count` identities with one request, all greater than those that this client had seen when the call began. A server
    /// refuses 0, and more than its limit: 1000 unless its operator has set another.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means.
    pub fn block(&self, count: u32) -> Result<Block, ClientError> {
        self.attempt(0, |connection| {
            self.ask(connection, count)?;
            self.receive_block(connection)
        })
    }

    /// Sends a request for each of `counts`, keeps up to `in_flight` of them without a reply, and yields the
    /// replies in the order of the requests. `in_flight` is 1 to 1024; a value outside is taken as the
    /// nearest of these. See [`Pipeline`].
    pub fn pipeline<I>(&mut self, in_flight: usize, counts: I) -> Pipeline<'_, I::IntoIter>
    where
        I: IntoIterator<Item = u32>,
    {
        Pipeline::new(
            self,
            in_flight.clamp(1, CLIENT_IN_FLIGHT_MAX),
            counts.into_iter(),
        )
    }

    /// The most identities that a server gives with one request, as it says itself. With several servers, the first that
    /// answers.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means.
    pub fn count_max(&self) -> Result<u32, ClientError> {
        self.attempt(0, |connection| {
            let expected = self.setup.cluster.as_ref();
            connection.queue(&hello(expected))?;
            let reply = connection.receive()?;
            connection.server.judge_hello(expected, reply)?;
            Ok(connection.server.count_max.unwrap_or(CLIENT_BLOCK_COUNT))
        })
    }

    /// How the server does. With several servers, the first that answers.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means.
    pub fn status(&self) -> Result<Status, ClientError> {
        self.attempt(0, receive_status)
    }

    /// The time that a server takes to answer a status request on an open connection. With several
    /// servers, the first that answers.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means.
    pub fn ping(&self) -> Result<Duration, ClientError> {
        self.timed_status().map(|(_, time)| time)
    }

    /// How the server does, and the time that it took to answer on an open connection. With several
    /// servers, the first that answers.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means.
    pub fn timed_status(&self) -> Result<(Status, Duration), ClientError> {
        self.attempt(0, |connection| {
            let stopwatch = Stopwatch::start();
            let status = receive_status(connection)?;
            Ok((status, stopwatch.elapsed()))
        })
    }

    /// Makes an identity known that came another way: what calls that begin after this one return is greater.
    /// An identity that is not greater than the newest changes nothing. A server refuses an `after` that is too
    /// far ahead of its own sequence ([`ErrorCode::AdvanceTooLarge`]).
    ///
    /// ```
    /// # let server = ipseity_harness::fake::Fake::serving(1);
    /// # let address = server.address();
    /// use ipseity_client::{Client, Identity};
    ///
    /// let client = Client::new([address]).unwrap();
    /// let seen = Identity::from_u64(1_000_000).unwrap();
    /// client.observe(seen);
    /// assert!(client.next().unwrap() > seen);
    /// ```
    pub fn observe(&self, identity: Identity) {
        self.newest.fetch_max(identity.get(), Ordering::AcqRel);
    }

    /// The newest identity that this client has seen, received or told by [`observe`](Self::observe).
    pub fn newest(&self) -> Option<Identity> {
        let newest = self.newest.load(Ordering::Acquire);
        Identity::from_u64(newest).filter(|newest| newest.get() > 0)
    }

    /// The server that answered last, or is tried first.
    pub fn server(&self) -> &ServerAddress {
        &self.setup.servers[self.current.load(Ordering::Relaxed)]
    }

    /// What this client has done since it was made.
    pub fn counters(&self) -> Counters {
        self.watch.counters()
    }

    /// Closes the connection. A call that is under way, and every later one, ends with [`ClientError::Closed`]. Dropping the
    /// client closes the connection too.
    pub fn close(&self) {
        self.closed.close();
        self.cutter().cut();
        if let Some(mut line) = self.line.take(Deadline::within(Duration::ZERO)) {
            line.hang_up();
        }
    }

    /// Queues a request for identities that are greater than all that were seen.
    pub(crate) fn ask(&self, connection: &mut Connection, count: u32) -> Result<(), Trouble> {
        connection.ask(count, self.newest())?;
        self.watch.requests.add(1);
        Ok(())
    }

    /// Waits for the identities of the oldest request for some.
    pub(crate) fn receive_block(&self, connection: &mut Connection) -> Result<Block, Trouble> {
        let block = connection.receive_block()?;
        self.watch.identities.add(u64::from(block.count()));
        self.observe(block.last());
        Ok(block)
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The time of a call of a source is over before its refill is.
    pub(crate) fn too_late(&self, limit: Duration) -> ClientError {
        self.setup.too_late(limit)
    }

    /// Does `call` on the connection, or on one to the next server until one answers or the time is over.
    /// `awaited` is how many replies the caller expects on a connection that is open already.
    pub(crate) fn attempt<T>(
        &self,
        awaited: usize,
        mut call: impl FnMut(&mut Connection) -> Result<T, Trouble>,
    ) -> Result<T, ClientError> {
        let deadline = Deadline::within(self.setup.options.call_timeout.max(TIMEOUT_MIN));
        let turn = self.line.take(deadline);
        if self.closed.is_closed() {
            return Err(ClientError::Closed);
        }
        let Some(mut line) = turn else {
            return Err(self.setup.unavailable(Failures::default()));
        };
        let line = &mut *line;
        self.look_after(line);
        // Replies to a pipeline that was dropped would be taken for replies to this call.
        line.connection.take_if(|connection| {
            connection.awaited() != awaited
                || connection.idle_since.elapsed() > self.setup.options.idle_max.max(TIMEOUT_MIN)
        });
        let mut failures = Failures::default();
        let mut pauses = Pauses::new();
        loop {
            for place in line.order() {
                if deadline.left().is_none() {
                    return Err(self.setup.unavailable(failures));
                }
                let missed = match self.attempt_at(place, line, deadline, &mut call) {
                    Ok(value) => return Ok(value),
                    Err(missed) => missed,
                };
                let cause = match missed {
                    Missed::By(Trouble::Failed(cause)) => Some(cause),
                    Missed::By(trouble) => return Err(self.setup.ended(place, trouble)),
                    Missed::TooLate => None,
                };
                if self.closed.is_closed() {
                    line.hang_up();
                    return Err(ClientError::Closed);
                }
                let Some(cause) = cause else {
                    // This try was cut short, so an earlier one knows more.
                    failures.note_first(place, FailureCause::NoConnection(deadline.limit()));
                    return Err(self.setup.unavailable(failures));
                };
                self.failed(place, line, &cause, Stopwatch::start());
                failures.note(place, cause);
            }
            let pause = pauses.next(fastrand::f64());
            let left = deadline.left().unwrap_or_default();
            if self.setup.options.rounds == Rounds::One || failures.are_lasting() {
                return Err(self.setup.unavailable(failures));
            }
            if self.closed.wait(pause.min(left)) {
                return Err(ClientError::Closed);
            }
            // So little time would only hide why they have failed.
            if deadline.left().is_none_or(|left| left < TIMEOUT_MIN) {
                return Err(self.setup.unavailable(failures));
            }
        }
    }

    /// Does `call` at one server.
    fn attempt_at<T>(
        &self,
        place: usize,
        line: &mut Line,
        deadline: Deadline,
        call: &mut impl FnMut(&mut Connection) -> Result<T, Trouble>,
    ) -> Result<T, Missed> {
        // The open connection leads to the current server.
        let opened = line
            .connection
            .take()
            .filter(|_| place == line.choice.current());
        let used = opened.is_some();
        // Taken out, so that it is closed on every path that does not put it back: after a failure nobody knows which
        // reply comes next.
        let mut connection = match opened {
            Some(connection) => connection,
            None => self.open(place, line, deadline)?,
        };
        connection.begin(deadline);
        *self.cutter() = connection.cutter();
        // A close that came while it was being opened had nothing to cut.
        if self.closed.is_closed() {
            return Err(FailureCause::Closed { bytes: 0 }.into());
        }
        let answer = call(&mut connection);
        connection.idle_since = Stopwatch::start();
        match &answer {
            Ok(_) => self.answered(place, line, connection),
            Err(Trouble::Answered(reply)) if goes_on_after(reply) => {
                self.answered(place, line, connection);
            }
            // It was closed while it was idle, so its server has not failed.
            Err(Trouble::Failed(FailureCause::Closed { bytes: 0 }))
                if used && !self.closed.is_closed() =>
            {
                return self.attempt_at(place, line, deadline, call);
            }
            Err(Trouble::Failed(cause)) if disowns(cause) => {
                if let Some(pid) = connection.server.pid {
                    self.watch.disowned(pid);
                }
            }
            Err(_) => {}
        }
        Ok(answer?)
    }

    /// A new connection to this server, or the one that is being made already.
    fn open(
        &self,
        place: usize,
        line: &mut Line,
        deadline: Deadline,
    ) -> Result<Connection, Missed> {
        let under_way = line.connecting.take();
        let connecting = under_way
            .filter(|connecting| connecting.place == place)
            .unwrap_or_else(|| Connecting::begin(&self.setup, place, deadline));
        let Some(outcome) = connecting.wait(deadline, &self.closed) else {
            line.connecting = Some(connecting);
            return Err(Missed::TooLate);
        };
        let connection = outcome.opened.map_err(Trouble::Failed)?;
        self.watch.connected(&self.setup.servers[place]);
        Ok(connection)
    }

    /// Looks what has come of the attempt to connect that a call has left behind.
    fn look_after(&self, line: &mut Line) {
        let Some(connecting) = line.connecting.take() else {
            return;
        };
        let place = connecting.place;
        match connecting.outcome() {
            None => line.connecting = Some(connecting),
            Some(Outcome { ended, opened }) => match opened {
                Ok(connection) => {
                    self.watch.connected(&self.setup.servers[place]);
                    line.choice.turn_to(place);
                    self.current.store(place, Ordering::Relaxed);
                    line.connection = Some(connection);
                }
                Err(cause) => self.failed(place, line, &cause, ended),
            },
        }
    }

    /// A server has failed, at this time.
    fn failed(&self, place: usize, line: &mut Line, cause: &FailureCause, at: Stopwatch) {
        self.watch.failed(&self.setup.servers[place], cause);
        line.choice.failed(place, at.since(line.born));
        self.current.store(line.choice.current(), Ordering::Relaxed);
    }

    fn answered(&self, place: usize, line: &mut Line, connection: Connection) {
        line.choice.answered(place);
        line.connection = Some(connection);
        self.current.store(place, Ordering::Relaxed);
    }

    fn cutter(&self) -> std::sync::MutexGuard<'_, Cutter> {
        self.cutter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn receive_status(connection: &mut Connection) -> Result<Status, Trouble> {
    connection.queue(&Message::StatusRequest)?;
    match connection.receive()? {
        Message::StatusReply(status) => Ok(*status),
        Message::ErrorReply(reply) => Err(refusal(*reply)),
        other => Err(wrong_kind(Kind::StatusReply, &other)),
    }
}
