//! The loop that keeps servers busy: one thread, one poll, one buffer to read into. A request must not cost it much
//! more than it costs the server. So requests of a connection leave in one write, replies are read where they lie,
//! nothing is allocated for a request, and the clock is read once for each read.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use ipseity_frames::limits::READ_BUFFER_BYTES;
use ipseity_tls::{TlsClient, TlsFailed};
use mio::{Events, Interest, Poll, Token, event::Event};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use crate::{
    alarm::Alarm,
    check::Checks,
    clock::{Clock, Moment},
    connection::{Connection, Requests, connect, find, secure},
    pace::{Amount, Closed, Open},
    process::{cpu_of, own_cpu, raise_descriptors},
    protocol::{Ipseity, Memcached, Protocol, Raw, Redis},
    replies::{Ledger, take},
    settings::Settings,
    tally::{ErrorCount, Latency, Tally},
    target::Target,
};

/// The longest reply of an Ipseity server fits, and so do 4,642 of the usual ones.
const READ_BYTES: usize = READ_BUFFER_BYTES;

/// How many connections one poll may report.
const EVENTS_MAX: usize = 1024;

/// How often the loop looks for overdue replies and shows its progress.
const TICK: Duration = Duration::from_millis(100);

// The token of a connection is its place.
const SIGNALS: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);

/// What is made once and used in every round: the poll, the signals, the clock, the addresses.
pub struct Generator {
    poll: Poll,
    events: Events,
    signals: Signals,
    alarm: Alarm,
    clock: Clock,
    buffer: Box<[u8]>,
    addresses: Vec<SocketAddr>,
}

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All that was asked for was sent and answered.
    Done,
    /// SIGINT or SIGTERM came.
    Interrupted,
    /// A server did not answer, broke a promise or the protocol; one line that says which and how.
    Failed(String),
}

/// The result of a round.
#[derive(Clone, Debug)]
pub struct Round {
    /// Requests that were answered with identities.
    pub requests: u64,
    /// From the moment when the first might leave to the moment when the last was answered.
    pub elapsed: Duration,
    /// How long the replies took that are counted in `requests`.
    pub latency: Latency,
    /// Requests that were answered with errors.
    pub errors: Vec<ErrorCount>,
    /// Requests of an open loop that were due and were not sent.
    pub unsent: u64,
    /// The processor time of this program, if the system tells it.
    pub own_cpu: Option<Duration>,
    /// The processor time of each process that was named, in the order in which they were.
    pub cpu: Vec<Duration>,
    /// How it ended.
    pub ended: Ended,
}

impl Generator {
    /// Looks the servers up, and prepares each of them once.
    pub fn new(settings: &Settings) -> Result<Generator, String> {
        let system = |error: io::Error| format!("cannot set up the loop: {error}");
        raise_descriptors(settings.points.iter().copied().max().unwrap_or(0))?;
        let mut addresses = Vec::new();
        for server in &settings.servers {
            let timeout = settings.timeouts.connect_timeout;
            let (stream, address) = find(server, timeout)?;
            // A certificate that is not accepted is found before anything is measured.
            secure(server, settings.dialer.as_ref(), &stream, timeout)?;
            settings
                .target
                .prepare(stream, settings.timeouts.reply_timeout)
                .map_err(|error| format!("{server}: {error}"))?;
            addresses.push(address);
        }
        let poll = Poll::new().map_err(system)?;
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(system)?;
        poll.registry()
            .register(&mut signals, SIGNALS, Interest::READABLE)
            .map_err(system)?;
        Ok(Generator {
            alarm: Alarm::new(&poll, ALARM).map_err(system)?,
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            signals,
            clock: Clock::start(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            addresses,
        })
    }

    /// Runs one round over this many connections. `watch` is called with the part of it that is
    /// done, and how many requests have been answered.
    pub fn round(
        &mut self,
        settings: &Settings,
        connections: usize,
        checks: &mut Checks,
        watch: &mut dyn FnMut(f64, u64),
    ) -> Result<Round, String> {
        let connected = self.connect(settings, connections)?;
        let count = settings.count;
        let round = Run {
            generator: self,
            settings,
            requests: Requests::new(&settings.target.request(count), settings.in_flight),
            connections: connected,
            checks,
            watch,
        };
        match settings.target {
            Target::Ipseity => round.run(Ipseity::new(count)),
            Target::Redis => round.run(Redis { count }),
            Target::Memcached => round.run(Memcached { count }),
            Target::Raw => round.run(Raw),
        }
    }

    fn connect(&self, settings: &Settings, count: usize) -> Result<Vec<Connection>, String> {
        let timeout = settings.timeouts.connect_timeout;
        let (servers, kinds) = (&settings.servers, self.addresses.len());
        (0..count)
            .map(|place| {
                let server = place % kinds;
                let stream = connect(&servers[server], self.addresses[server], timeout)?;
                let tls = secure(&servers[server], settings.dialer.as_ref(), &stream, timeout)?;
                self.register(stream, tls, place, server)
                    .map_err(|error| format!("{}: {error}", servers[server]))
            })
            .collect::<Result<_, _>>()
            .map_err(|error: String| match count {
                1 => error,
                _ => format!("connecting {count} times: {error}"),
            })
    }

    fn register(
        &self,
        stream: TcpStream,
        tls: Option<Box<TlsClient>>,
        place: usize,
        server: usize,
    ) -> io::Result<Connection> {
        let mut connection = Connection::new(stream, tls, place, server)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut connection.socket, Token(place), interest)?;
        Ok(connection)
    }
}

/// A round that is about to run.
struct Run<'a> {
    generator: &'a mut Generator,
    settings: &'a Settings,
    requests: Requests,
    connections: Vec<Connection>,
    checks: &'a mut Checks,
    watch: &'a mut dyn FnMut(f64, u64),
}

impl Run<'_> {
    fn run<P: Protocol>(self, protocol: P) -> Result<Round, String> {
        let Run {
            generator,
            settings,
            requests,
            connections,
            checks,
            watch,
        } = self;
        let count = connections.len();
        let start = generator.clock.now();
        let measured_from = start.after(settings.warmup);
        let pace = match settings.rate {
            None => Pace::Closed(Closed::new(measured_from, settings.amount)),
            Some(rate) => Pace::Open(Open::new(
                start,
                measured_from,
                settings.amount,
                rate,
                count,
            )),
        };
        let mut turns = Turns {
            protocol,
            settings,
            requests,
            connections,
            checks,
            tally: Tally::new(),
            pace,
            in_flight: 0,
            now: start,
            measured_from,
            clock: generator.clock,
        };
        let mut meter = Meter::new(settings)?;
        let ended = match turns.all(generator, &mut meter, watch) {
            Ok(ended) => ended,
            Err(error) => Ended::Failed(error),
        };
        let (own_cpu, cpu) = meter.used(settings);
        let tally = &turns.tally;
        Ok(Round {
            requests: tally.requests,
            elapsed: tally
                .last
                .map_or(Duration::ZERO, |last| last.since(measured_from)),
            latency: tally.latency(),
            errors: tally.errors.clone(),
            unsent: turns.unsent(),
            own_cpu,
            cpu,
            ended,
        })
    }
}

/// Processor times at the beginning.
struct Meter {
    own: Option<Duration>,
    others: Vec<Duration>,
}

impl Meter {
    fn new(settings: &Settings) -> Result<Meter, String> {
        let others = settings.processes.iter().map(|process| cpu_of(*process));
        Ok(Meter {
            own: own_cpu(),
            others: others.collect::<Result<_, _>>()?,
        })
    }

    /// What has been used since. A process that has ended has used nothing.
    fn used(&self, settings: &Settings) -> (Option<Duration>, Vec<Duration>) {
        let others = settings.processes.iter().zip(&self.others);
        let used = |(process, before): (&u32, &Duration)| {
            cpu_of(*process).map_or(Duration::ZERO, |now| now.saturating_sub(*before))
        };
        let own = own_cpu().zip(self.own);
        (
            own.map(|(now, before)| now.saturating_sub(before)),
            others.map(used).collect(),
        )
    }
}

enum Pace {
    Closed(Closed),
    Open(Open),
}

/// A round that is under way.
struct Turns<'a, P> {
    protocol: P,
    settings: &'a Settings,
    requests: Requests,
    connections: Vec<Connection>,
    checks: &'a mut Checks,
    tally: Tally,
    pace: Pace,
    in_flight: u64,
    /// The clock, as it was read last.
    now: Moment,
    measured_from: Moment,
    clock: Clock,
}

impl<P: Protocol> Turns<'_, P> {
    fn all(
        &mut self,
        generator: &mut Generator,
        meter: &mut Meter,
        watch: &mut dyn FnMut(f64, u64),
    ) -> Result<Ended, String> {
        let Generator {
            poll,
            events,
            signals,
            alarm,
            buffer,
            ..
        } = generator;
        let system = |error: io::Error| format!("the loop failed: {error}");
        let mut metered = self.settings.warmup.is_zero();
        let mut tick = self.now;
        // The first requests of a closed loop; those of an open one wait for their moments.
        if let Pace::Closed(_) = self.pace {
            for place in 0..self.connections.len() {
                self.send(place, self.settings.in_flight)?;
            }
        }
        loop {
            let wait = self.wait(tick, alarm).map_err(system)?;
            match poll.poll(events, Some(wait)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(system(error)),
            }
            let before = self.now;
            for event in &*events {
                match event.token() {
                    SIGNALS if signals.pending().next().is_some() => {
                        return Ok(Ended::Interrupted);
                    }
                    // The alarm has done what it is for: it has ended the poll.
                    SIGNALS | ALARM => {}
                    Token(place) => self.ready(place, event, buffer)?,
                }
            }
            if self.now == before || matches!(self.pace, Pace::Open(_)) {
                self.now = self.clock.now();
            }
            if let Pace::Open(_) = self.pace {
                self.send_due()?;
            }
            if self.now >= tick {
                if !metered && self.now >= self.measured_from {
                    *meter = Meter::new(self.settings)?;
                    metered = true;
                }
                self.look_for_overdue()?;
                watch(self.part_done(), self.tally.requests);
                tick = self.now.after(TICK);
                if !metered {
                    tick = tick.min(self.measured_from);
                }
            }
            if self.is_done() {
                return Ok(Ended::Done);
            }
        }
    }

    /// How long the poll may wait, until the next tick; an alarm may end it earlier.
    fn wait(&mut self, tick: Moment, alarm: &Alarm) -> io::Result<Duration> {
        let mut wait = tick.since(self.now);
        if let Pace::Open(open) = &self.pace
            && let Some(next) = open.wakes_at()
        {
            let until_next = next.since(self.now);
            if until_next.is_zero() {
                wait = until_next;
            } else if until_next < wait {
                alarm.set(until_next)?;
                wait = alarm.poll_timeout(until_next).unwrap_or(wait);
            }
        }
        Ok(wait)
    }

    /// A connection can be read or written.
    fn ready(&mut self, place: usize, event: &Event, buffer: &mut [u8]) -> Result<(), String> {
        let closing = event.is_read_closed() || event.is_error();
        let result = match event.is_readable() || closing {
            true => self.read(place, closing, buffer),
            false => Ok(()),
        };
        result?;
        if event.is_writable() {
            let connection = &mut self.connections[place];
            let written = connection.write(&self.requests);
            written.map_err(|error| self.lost(place, &error))?;
        }
        Ok(())
    }

    /// Reads until the connection is empty, takes the replies, and sends as many requests as they make room
    /// for.
    fn read(&mut self, place: usize, closing: bool, buffer: &mut [u8]) -> Result<(), String> {
        loop {
            let connection = &mut self.connections[place];
            let begun = connection.rest.len();
            let read = match connection.read(&mut buffer[begun..], closing) {
                Ok(0) => return Err(self.closed(place)),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.lost(place, &error)),
            };
            self.now = self.clock.now();
            if begun > 0 {
                buffer[..begun].copy_from_slice(&connection.rest);
                connection.rest.clear();
            }
            let room = buffer.len() - begun;
            let bytes = &buffer[..begun + read];
            let open = match &self.pace {
                Pace::Closed(_) => None,
                Pace::Open(open) => Some(open),
            };
            let mut ledger = Ledger {
                tally: &mut self.tally,
                checks: self.checks,
                measured_from: self.measured_from,
                open,
            };
            let taken = take(
                &mut self.protocol,
                &mut self.connections,
                place,
                bytes,
                self.now,
                &mut ledger,
            )
            .map_err(|error| format!("{}: {error}", self.server(place)))?;
            if taken.bytes < bytes.len() {
                let rest = &mut self.connections[place].rest;
                rest.extend_from_slice(&bytes[taken.bytes..]);
            }
            self.in_flight -= u64::from(taken.replies);
            if taken.replies > 0 {
                self.send(place, taken.replies)?;
            }
            // After a short read there is nothing more, unless the end is there too.
            let is_last = read < room && self.connections[place].short_reads_are_last();
            if is_last && !closing {
                return Ok(());
            }
        }
    }

    /// Sends what may be sent on this connection, which has room for `room` requests more than before.
    #[inline]
    fn send(&mut self, place: usize, room: u32) -> Result<(), String> {
        let connection = &mut self.connections[place];
        let count = match &mut self.pace {
            Pace::Closed(closed) => closed.grant(room, self.now),
            Pace::Open(open) => {
                let late = connection.due - connection.sent;
                let room = self.settings.in_flight - connection.in_flight;
                match open.is_open(self.now) {
                    true => late.min(u64::from(room)) as u32,
                    false => 0,
                }
            }
        };
        if count == 0 {
            return Ok(());
        }
        let floor = match connection.counter {
            Some((_, counter)) => self.checks.newest(counter),
            None => 0,
        };
        self.in_flight += u64::from(count);
        let sent = connection.send(count, self.now, floor, &self.requests);
        sent.map_err(|error| self.lost(place, &error))
    }

    /// Sends what is due in an open loop. Requests of one connection that are due at the same time are sent together.
    fn send_due(&mut self) -> Result<(), String> {
        let mut first = None;
        let mut count = 0;
        if let Pace::Open(open) = &mut self.pace {
            while let Some(place) = open.next_due(self.now) {
                self.connections[place].due += 1;
                first.get_or_insert(place);
                count += 1;
            }
        }
        // The connections take turns, so the due ones follow each other.
        let (first, all) = (first.unwrap_or(0), self.connections.len());
        for turn in 0..count.min(all) {
            self.send((first + turn) % all, 0)?;
        }
        Ok(())
    }

    fn look_for_overdue(&self) -> Result<(), String> {
        let limit = self.settings.timeouts.reply_timeout;
        for connection in &self.connections {
            if let Some(oldest) = connection.batches.front()
                && self.now.since(oldest.sent) > limit
            {
                return Err(format!(
                    "{}: no reply within {} (--timeout gives it more)",
                    self.server(connection.place),
                    humantime::format_duration(limit)
                ));
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        if self.in_flight > 0 {
            return false;
        }
        match &self.pace {
            // It sends as long as it may, so nothing in flight means that it may not.
            Pace::Closed(_) => true,
            Pace::Open(open) => {
                open.wakes_at().is_none() && (self.late() == 0 || !open.is_open(self.now))
            }
        }
    }

    /// Requests that are due and were not sent.
    fn late(&self) -> u64 {
        self.connections
            .iter()
            .map(|connection| connection.due - connection.sent)
            .sum()
    }

    fn unsent(&self) -> u64 {
        match &self.pace {
            Pace::Closed(_) => 0,
            Pace::Open(_) => self.late(),
        }
    }

    fn part_done(&self) -> f64 {
        match self.settings.amount {
            Amount::Requests(count) => self.tally.requests as f64 / count as f64,
            Amount::For(duration) => {
                self.now.since(self.measured_from).as_secs_f64() / duration.as_secs_f64()
            }
        }
    }

    fn server(&self, place: usize) -> String {
        self.settings.servers[self.connections[place].server].to_string()
    }

    fn closed(&self, place: usize) -> String {
        let connection = &self.connections[place];
        let mut text = format!("{}: the server closed a connection", self.server(place));
        match (connection.rest.len(), connection.in_flight) {
            (0, requests) => text += &format!(" with {requests} requests unanswered"),
            (bytes, _) => text += &format!(" {bytes} bytes into a reply"),
        }
        if let Some(error) = self.tally.errors.last() {
            text += &format!("; it had refused with {}: {}", error.code, error.text);
        }
        text
    }

    fn lost(&self, place: usize, error: &io::Error) -> String {
        // It is chance whether a read or a write is the first to notice that the server has closed.
        if let ErrorKind::BrokenPipe | ErrorKind::ConnectionReset = error.kind() {
            return self.closed(place);
        }
        match TlsFailed::text_of(error) {
            Some(text) => format!("{}: {text}", self.server(place)),
            None => format!("{}: the connection failed: {error}", self.server(place)),
        }
    }
}
