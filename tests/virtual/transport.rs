//! The transport over sockets that do what a test says. A real socket would rarely do these things.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use ipseity::{
    edge::{Edge, Socket},
    limits::{
        FRAMES_IN_FLIGHT_MAX, FRAMES_PER_CONNECTION_MAX, HTTP_CONNECTIONS_MAX, READ_BYTES_MAX,
        SWEEP_INTERVAL,
    },
    listeners::Listener,
    mailbox::{Entry, Mailbox, Readiness},
    secure::{PlainFrom, Settings},
    transport::{Arrival, Transport, TransportLimits},
    trust::TrustOptions,
};
use ipseity_core::{
    actor::Event,
    ids::{ConnectionId, ListenerId, NameId},
    time::Instant,
    words::{Grant, Grants, Message, Standing, StorageStatus, WriteTimes},
};
use ipseity_http::HostNames;

/// The other end of a socket, in the hands of the test.
#[derive(Debug, Default)]
struct Wire {
    /// What the next reads find. After that there is nothing to read for now.
    reads: VecDeque<Found>,
    /// What the next writes fail with.
    refusals: VecDeque<ErrorKind>,
    written: Vec<u8>,
    shut: bool,
    reads_made: usize,
}

#[derive(Clone, Debug)]
enum Found {
    Bytes(&'static [u8]),
    /// A signal, before anything else.
    Signal,
    /// One more byte at every read.
    Endless,
    End,
}

#[derive(Debug)]
struct Fake(Rc<RefCell<Wire>>);

impl Read for Fake {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        wire.reads_made += 1;
        assert!(wire.reads_made < 100, "it never stops reading");
        match wire.reads.front().cloned() {
            None => Err(ErrorKind::WouldBlock.into()),
            Some(Found::Bytes(bytes)) => {
                wire.reads.pop_front();
                let (now, later) = bytes.split_at(bytes.len().min(buffer.len()));
                if !later.is_empty() {
                    wire.reads.push_front(Found::Bytes(later));
                }
                buffer[..now.len()].copy_from_slice(now);
                Ok(now.len())
            }
            Some(Found::Signal) => {
                wire.reads.pop_front();
                Err(ErrorKind::Interrupted.into())
            }
            Some(Found::Endless) => Ok(1),
            Some(Found::End) => Ok(0),
        }
    }
}

impl Write for Fake {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        if let Some(refusal) = wire.refusals.pop_front() {
            return Err(refusal.into());
        }
        wire.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Fake {
    fn is_connected(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn peer_address(&self) -> io::Result<SocketAddr> {
        Ok(([127, 0, 0, 1], 1).into())
    }

    fn held_bytes(&self) -> usize {
        0
    }

    fn has_input(&self) -> bool {
        let wire = self.0.borrow();
        matches!(wire.reads.front(), Some(Found::Bytes(_) | Found::Endless))
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.0.borrow_mut().shut = true;
        Ok(())
    }
}

/// A world in which connections are registered, and nothing else happens.
#[derive(Debug, Default)]
struct World {
    registered: Vec<ConnectionId>,
}

impl Edge for World {
    type Socket = Fake;

    fn register(&mut self, _: &mut Fake, connection: ConnectionId) -> io::Result<()> {
        self.registered.push(connection);
        Ok(())
    }

    fn now(&self) -> Instant {
        unreachable!()
    }
    fn poll(&mut self, _: Option<Instant>, _: &mut Mailbox) -> io::Result<()> {
        unreachable!()
    }
    fn accept(&mut self, _: ListenerId) -> io::Result<(Fake, SocketAddr)> {
        unreachable!()
    }
    fn stop_accepting(&mut self) {
        unreachable!()
    }
    fn connect(&mut self, _: SocketAddr) -> io::Result<Fake> {
        unreachable!()
    }
    fn resolve(&mut self, _: NameId, _: &str) {
        unreachable!()
    }
    fn resolved(&mut self, _: NameId) -> io::Result<Vec<SocketAddr>> {
        unreachable!()
    }
    fn write(&mut self, _: ipseity_core::actor::Write) {
        unreachable!()
    }
    fn log_lines_dropped(&self) -> u64 {
        0
    }

    fn reopen(&mut self, _: bool) {
        unreachable!()
    }
    fn storage(&self) -> StorageStatus {
        unreachable!()
    }
    fn writes(&self) -> WriteTimes {
        unreachable!()
    }
    fn read_tls(&mut self) {
        unreachable!()
    }
    fn tls_read(&mut self) -> Result<Settings, String> {
        unreachable!()
    }
    fn owners(&mut self) -> Vec<String> {
        unreachable!()
    }
    fn notify(&mut self, _: Standing) -> Option<Duration> {
        unreachable!()
    }
    fn random(&mut self) -> u64 {
        unreachable!()
    }
}

fn arrival(socket: Fake) -> Arrival<Fake> {
    Arrival {
        socket,
        address: ([192, 168, 0, 1], 1).into(),
        listener: Listener::PLAIN,
    }
}

/// One connection, which may have 4096 bytes of replies that wait and may be idle as long as it likes.
fn limits() -> TransportLimits {
    TransportLimits {
        connections_max: 1,
        http_max: HTTP_CONNECTIONS_MAX,
        per_address_max: None,
        closes_idle: false,
        read_bytes_max: READ_BYTES_MAX,
        pending_bytes_max: 4096,
        pending_bytes_total: 1 << 30,
        idle_timeout: None,
        trust: TrustOptions::default(),
        plain: PlainFrom::default(),
        hosts: HostNames::default(),
    }
}

/// A transport with one connection that was accepted.
struct Scene {
    transport: Transport<Fake>,
    mailbox: Mailbox,
    wire: Rc<RefCell<Wire>>,
    id: ConnectionId,
    now: Instant,
}

impl Scene {
    fn new(idle_timeout: Option<Duration>) -> Scene {
        let mut transport = Transport::new(
            TransportLimits {
                idle_timeout,
                ..limits()
            },
            None,
        );
        let (mut world, mut mailbox) = (World::default(), Mailbox::new());
        let wire = Rc::new(RefCell::new(Wire::default()));
        let now = Instant::START;
        let arrival = arrival(Fake(Rc::clone(&wire)));
        transport.admit(&mut world, arrival, now, &mut mailbox);
        Scene {
            transport,
            mailbox,
            wire,
            id: world.registered[0],
            now,
        }
    }

    /// The poll reports that there is something to read.
    fn ready(&mut self, found: &[Found]) {
        self.wire.borrow_mut().reads.extend(found.iter().cloned());
        self.on_ready();
    }

    fn on_ready(&mut self) {
        self.transport
            .on_ready(self.id, Readiness::READABLE, self.now, &mut self.mailbox);
    }

    fn take(&mut self) -> Option<Entry> {
        self.mailbox.take()
    }

    /// Answers the one event that waits, as the actor would.
    fn answer(&mut self) {
        match self.take() {
            Some(Entry::Event(Event::IdentityRequest { from, count, .. })) => {
                let count = count.get();
                let reply = Message::IdentityReply { first: 1025, count };
                self.transport.reply(from, &reply);
            }
            Some(Entry::Event(Event::Unknown { from, error })) => {
                let reply = Message::ErrorReply(error);
                self.transport.reply(from, &reply);
                self.transport.drain(from);
            }
            other => panic!("{other:?}"),
        }
        self.transport.flush(self.now, &mut self.mailbox);
    }

    /// Whether the transport has told itself to read, so that it needs no readiness from the poll.
    fn is_told_to_read(&mut self) -> bool {
        let connection = self.id;
        let readiness = Readiness::READABLE;
        self.take()
            == Some(Entry::Ready {
                connection,
                readiness,
            })
    }

    fn is_open(&self) -> bool {
        self.transport.accepted_open() == 1
    }
}

#[test]
fn a_client_that_was_busy_during_a_sweep_is_found_idle_later() {
    let idle_timeout = Duration::from_secs(1);
    let mut scene = Scene::new(Some(idle_timeout));
    scene.ready(&[Found::Bytes(&[0, 1, 1])]);
    // Its request waits, perhaps for the disk.
    scene.now = scene.now.after(SWEEP_INTERVAL);
    let again = scene.transport.sweep(scene.now, &mut scene.mailbox);
    scene.answer();
    assert!(again || scene.transport.take_sweep_wanted());
    scene.now = scene.now.after(idle_timeout);
    scene.transport.sweep(scene.now, &mut scene.mailbox);
    assert!(!scene.is_open());
}

#[test]
fn an_end_that_came_while_nothing_was_read_is_noticed() {
    let mut scene = Scene::new(None);
    scene.ready(&[Found::Bytes(&[0, 1, 7])]);
    // The other side closes before it is answered, and the poll reports that only once.
    scene.ready(&[Found::End]);
    scene.answer();
    assert!(scene.wire.borrow().shut);
    assert!(scene.is_told_to_read());
    scene.on_ready();
    assert!(!scene.is_open());
}

#[test]
fn a_client_that_goes_on_sending_after_its_error_does_not_hold_up_the_others() {
    let mut scene = Scene::new(None);
    scene.ready(&[Found::Bytes(&[0, 1, 7])]);
    scene.answer();
    while scene.take().is_some() {}
    scene.ready(&[Found::Endless]);
    // It is read a little in each turn, and the mailbox is for the others.
    for _ in 0..3 {
        assert!(scene.take().is_none());
        assert!(scene.transport.is_behind());
        scene.transport.flush(scene.now, &mut scene.mailbox);
    }
    assert!(scene.is_open());
}

#[test]
fn a_connection_that_cannot_be_written_is_closed() {
    let mut scene = Scene::new(None);
    scene.wire.borrow_mut().refusals = [ErrorKind::BrokenPipe].into();
    scene.ready(&[Found::Bytes(&[0, 1, 1])]);
    scene.answer();
    assert!(!scene.is_open());
}

#[test]
fn a_read_that_is_interrupted_is_made_again() {
    let mut scene = Scene::new(None);
    scene.ready(&[Found::Signal, Found::Bytes(&[0, 1, 1])]);
    assert!(scene.is_told_to_read());
    scene.on_ready();
    scene.answer();
    assert_eq!(scene.wire.borrow().written.len(), 15);
    // It is at rest, and the poll is waited for.
    assert_eq!(scene.take(), None);
    assert!(scene.is_open());
}

#[test]
fn a_write_that_is_interrupted_or_finds_no_room_loses_nothing() {
    let mut scene = Scene::new(None);
    scene.wire.borrow_mut().refusals = [ErrorKind::Interrupted, ErrorKind::WouldBlock].into();
    scene.ready(&[Found::Bytes(&[0, 1, 1])]);
    scene.answer();
    assert!(scene.is_open());
    assert_eq!(scene.wire.borrow().written, [0u8; 0]);
    let room = Readiness::new(false, true, false);
    let Scene { id, now, .. } = scene;
    let mailbox = &mut scene.mailbox;
    scene.transport.on_ready(id, room, now, mailbox);
    scene.transport.flush(now, mailbox);
    assert_eq!(
        scene.wire.borrow().written,
        [0, 13, 2, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 1]
    );
}

#[test]
fn waiting_requests_count_towards_the_bound_of_a_connection() {
    let most: &'static [u8] = [0, 1, 1].repeat(FRAMES_PER_CONNECTION_MAX - 1).leak();
    let mut scene = Scene::new(None);
    for _ in 0..2 {
        scene.ready(&[Found::Bytes(most)]);
    }
    assert_eq!(scene.transport.in_flight(), FRAMES_PER_CONNECTION_MAX);
}

#[test]
fn a_connection_that_waits_for_the_gate_over_all_is_not_overtaken() {
    const CROWD: usize = FRAMES_IN_FLIGHT_MAX / FRAMES_PER_CONNECTION_MAX;
    let many: &'static [u8] = [0, 1, 1].repeat(2 * FRAMES_PER_CONNECTION_MAX).leak();
    let mut transport = Transport::new(
        TransportLimits {
            connections_max: CROWD + 1,
            pending_bytes_max: 1 << 20,
            ..limits()
        },
        None,
    );
    let (mut world, mut mailbox) = (World::default(), Mailbox::new());
    let now = Instant::START;
    for _ in 0..CROWD + 1 {
        let wire = Rc::new(RefCell::new(Wire::default()));
        wire.borrow_mut().reads.push_back(Found::Bytes(many));
        transport.admit(&mut world, arrival(Fake(wire)), now, &mut mailbox);
    }
    // All but the last fill the server up, and each has as many requests again.
    for id in &world.registered {
        transport.on_ready(*id, Readiness::READABLE, now, &mut mailbox);
    }
    let (first, last) = (world.registered[0], world.registered[CROWD]);
    assert_eq!(transport.in_flight(), FRAMES_IN_FLIGHT_MAX);
    // One after the other is answered. The first one is the quickest to ask again.
    let answer_one = |transport: &mut Transport<Fake>, mailbox: &mut Mailbox| {
        for _ in 0..FRAMES_PER_CONNECTION_MAX {
            let Some(Entry::Event(Event::IdentityRequest { from, .. })) = mailbox.take() else {
                panic!("a request was in line");
            };
            transport.reply(from, &Message::IdentityReply { first: 1, count: 1 });
        }
        transport.flush(now, mailbox);
    };
    for answered in 1..CROWD / 2 {
        answer_one(&mut transport, &mut mailbox);
        transport.on_ready(first, Readiness::READABLE, now, &mut mailbox);
        let left = FRAMES_IN_FLIGHT_MAX - answered * FRAMES_PER_CONNECTION_MAX;
        assert_eq!(transport.in_flight(), left, "it has passed the last one");
    }
    answer_one(&mut transport, &mut mailbox);
    let entries: Vec<Entry> = std::iter::from_fn(|| mailbox.take()).collect();
    // The last one has its share now, and after it the first one has its second share.
    let share_of = |id: ConnectionId| {
        let is_its = |entry: &Entry| matches!(entry, Entry::Event(Event::IdentityRequest { from, .. }) if *from == id);
        let place = entries.iter().position(is_its);
        (place, entries.iter().filter(|entry| is_its(entry)).count())
    };
    let (ahead, behind) = (share_of(last), share_of(first));
    assert!(
        ahead.0.is_some() && ahead.0 < behind.0,
        "{ahead:?} {behind:?}"
    );
    assert_eq!(
        (ahead.1, behind.1),
        (FRAMES_PER_CONNECTION_MAX, FRAMES_PER_CONNECTION_MAX)
    );
}

#[test]
fn a_connection_is_denied_what_its_listener_does_not_grant_and_stays_open() {
    let requests: &'static [u8] = &[0, 1, 1, 0, 1, 5, 0, 1, 1];
    let mut transport = Transport::new(limits(), None);
    let (mut world, mut mailbox) = (World::default(), Mailbox::new());
    let now = Instant::START;
    let wire = Rc::new(RefCell::new(Wire::default()));
    wire.borrow_mut().reads.push_back(Found::Bytes(requests));
    let shows = Listener {
        grants: Grants::NONE.and(Grant::Look),
        ..Listener::PLAIN
    };
    let arrival = Arrival {
        listener: shows,
        ..arrival(Fake(wire))
    };
    transport.admit(&mut world, arrival, now, &mut mailbox);
    let id = world.registered[0];
    let mut entries = Vec::new();
    transport.on_ready(id, Readiness::READABLE, now, &mut mailbox);
    while let Some(entry) = mailbox.take() {
        match entry {
            Entry::Event(event) => {
                entries.push(event.name());
                transport.reply(id, &Message::DoneReply { sequence: 0 });
            }
            Entry::Ready { readiness, .. } => {
                transport.on_ready(id, readiness, now, &mut mailbox);
            }
            other => panic!("{other:?}"),
        }
        transport.flush(now, &mut mailbox);
    }
    assert_eq!(entries, ["denied", "statusRequest", "denied"]);
}
