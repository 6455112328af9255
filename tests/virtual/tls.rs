//! TLS between a client and a server in virtual time: edges, pieces, deadlines, the turn of handshakes, and endings.

use std::{
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ipseity::{
    limits::{
        CERTIFICATES_INTERVAL, FRAME_TIMEOUT, HANDSHAKE_STEPS_PER_TURN, HANDSHAKE_TIMEOUT,
        HANDSHAKES_MAX, LINGER_TIMEOUT, READING_SPAN, RECHECKS_PER_TURN, SWEEP_INTERVAL,
    },
    secure::{PlainFrom, Settings},
    server::TlsConfig,
};
use ipseity_core::identity::Pid;
use ipseity_core::words::{ErrorCode, Forget, Message, PeerState, Standing};
use ipseity_frames::{FrameDecoder, Receiver, encode};
use ipseity_sim::{
    config::peer_says,
    pki::{Leaf, Pki, days},
    world::{Client, Setup, World, address},
};
use ipseity_tls::Role;
use rustls::{ClientConnection, time_provider::TimeProvider};
use rustls_pki_types::UnixTime;

/// A client that speaks TLS over a connection of the world.
pub struct Sealed {
    pub client: Client,
    pub tls: ClientConnection,
    pub decoder: FrameDecoder,
    /// How the session ended, if it failed.
    pub error: Option<rustls::Error>,
    pub has_ended: bool,
}

impl Sealed {
    pub fn new(client: Client, tls: ClientConnection) -> Sealed {
        let mut sealed = Sealed {
            client,
            tls,
            decoder: FrameDecoder::new(),
            error: None,
            has_ended: false,
        };
        sealed.flush();
        sealed
    }

    fn flush(&mut self) {
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes).unwrap();
        }
        self.client.send(&bytes);
    }

    /// Takes what has arrived, and answers what TLS has to answer.
    pub fn pump(&mut self) {
        let bytes = self.client.bytes();
        let mut rest = &bytes[..];
        while !rest.is_empty() && self.error.is_none() {
            self.tls.read_tls(&mut rest).unwrap();
            match self.tls.process_new_packets() {
                Ok(state) => self.has_ended |= state.peer_has_closed(),
                Err(error) => self.error = Some(error),
            }
            let space = self.decoder.space();
            if let Ok(bytes) = self.tls.reader().read(space) {
                self.decoder.filled(bytes);
            }
        }
        self.flush();
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.tls.writer().write_all(bytes).unwrap();
        self.flush();
    }

    fn ask(&mut self, requests: usize) {
        self.send(&[0, 1, 1].repeat(requests));
    }

    pub fn send_message(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        encode(message, &mut bytes);
        self.send(&bytes);
    }

    fn replies(&mut self) -> Vec<Message> {
        self.pump();
        let mut messages = Vec::new();
        while let Some(message) = self.decoder.next(Receiver::Client).unwrap() {
            messages.push(message);
        }
        messages
    }

    pub fn codes(&mut self) -> Vec<u16> {
        let code = |message| match message {
            Message::ErrorReply(error) => error.code,
            _ => 0,
        };
        self.replies().into_iter().map(code).collect()
    }
}

/// A server that offers TLS, with a CA for clients and peers if they are asked for certificates.
pub fn offering(pki: &Pki, pid: u16, asks: bool) -> Setup {
    let host = address(usize::from(pid) - 1).ip().to_string();
    let mut setup = Setup::new(pid);
    setup.tls = Some(TlsConfig {
        settings: pki.settings(&Leaf::peer("server", &[&host]), asks, asks),
        rechecks: false,
        plain_peers: Default::default(),
    });
    setup.limits.plain = PlainFrom::Anywhere;
    setup
}

/// Lets both sides speak until neither has anything to say.
pub fn talk(world: &mut World, clients: &mut [&mut Sealed]) {
    for _ in 0..8 {
        world.drive();
        for client in &mut *clients {
            client.pump();
        }
    }
    world.drive();
}

fn connect(world: &mut World, pki: &Pki, leaf: Option<&Leaf>) -> Sealed {
    let host = address(0).ip().to_string();
    let client = world.connect(0);
    let mut sealed = Sealed::new(client, pki.dial(&host, leaf));
    talk(world, &mut [&mut sealed]);
    sealed
}

fn sequences(replies: Vec<Message>) -> Vec<u64> {
    let sequence = |message| match message {
        Message::IdentityReply { first, count: 1 } => first >> 10,
        other => panic!("{other:?}"),
    };
    replies.into_iter().map(sequence).collect()
}

/// What a new client gets by HTTP over TLS for this request.
fn ask_by_http(world: &mut World, pki: &Pki, leaf: Option<&Leaf>, request: &str) -> String {
    let host = address(0).ip().to_string();
    let client = world.connect_by_http(0);
    let mut sealed = Sealed::new(client, pki.dial(&host, leaf));
    talk(world, &mut [&mut sealed]);
    sealed.send(request.as_bytes());
    talk(world, &mut [&mut sealed]);
    String::from_utf8(sealed.decoder.rest().to_vec()).unwrap()
}

#[test]
fn by_http_a_client_without_the_certificate_that_is_wanted_gets_only_the_probes() {
    let pki = Pki::new("CA");
    let mut setup = offering(&pki, 1, true);
    setup.limits.plain = PlainFrom::Nowhere;
    let mut world = World::with(setup);
    let host = "Host: localhost\r\n\r\n";
    let post = format!("POST /identities HTTP/1.1\r\nContent-Type: application/json\r\n{host}");
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\n{host}");
    let leaf = Leaf::client("client", Some(Role::Client));
    for (request, without) in [
        (post, "403"),
        (get("/status"), "403"),
        (get("/metrics"), "403"),
        (get("/"), "403"),
        (get("/livez"), "200"),
        (get("/readyz"), "200"),
    ] {
        for (leaf, expected) in [(None, without), (Some(&leaf), "200")] {
            let answer = ask_by_http(&mut world, &pki, leaf, &request);
            let start = format!("HTTP/1.1 {expected} ");
            assert!(answer.starts_with(&start), "{request}{answer}");
        }
    }
    // What is refused for want of a certificate was never counted, and what counts agrees with that.
    let status = ask_by_http(
        &mut world,
        &pki,
        Some(&leaf),
        &format!("GET /metrics HTTP/1.1\r\n{host}"),
    );
    assert!(status.contains("ipseity_"), "{status}");
    // Without TLS it is told in HTTP what is wanted.
    for mut client in [world.connect_by_http(0), world.connect(0)] {
        client.send(format!("GET /livez HTTP/1.1\r\n{host}").as_bytes());
        world.drive();
        let answer = String::from_utf8(client.bytes()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains("\r\nConnection: close"), "{answer}");
        assert!(client.has_ended());
    }
}

#[test]
fn plain_and_sealed_clients_use_one_port() {
    let pki = Pki::new("CA");
    let mut world = World::with(offering(&pki, 1, false));
    let mut sealed = connect(&mut world, &pki, None);
    let mut plain = world.connect(0);
    world.drive();
    for round in 0..3 {
        sealed.ask(2);
        world.drive();
        plain.ask(1);
        world.drive();
        let first = 3 * round + 1;
        assert_eq!(sequences(sealed.replies()), [first, first + 1]);
        assert_eq!(plain.sequences(), [first + 2]);
    }
    let status = world.status(0);
    assert_eq!((status.tls.offered, status.tls.connections), (true, 1));
    assert_eq!(
        (status.tls.handshakes, status.tls.handshakes_under_way),
        (1, 0)
    );
}

#[test]
fn reads_may_end_anywhere_in_a_record() {
    let pki = Pki::new("CA");
    for bytes in [1, 2, 5, 7, 64, 1000] {
        let mut setup = offering(&pki, 1, false);
        setup.limits.read_bytes_max = bytes;
        let mut world = World::with(setup);
        let mut sealed = connect(&mut world, &pki, None);
        let mut had = 0;
        for count in [1, 2, 300, 5000] {
            sealed.ask(count);
            let mut got = Vec::new();
            for _ in 0..40 {
                world.drive();
                got.extend(sequences(sealed.replies()));
            }
            assert_eq!(got.len(), count, "in pieces of {bytes}");
            assert_eq!(got[0], had + 1);
            had = *got.last().unwrap();
        }
        assert_eq!(sealed.error, None);
    }
}

#[test]
fn a_request_may_come_with_the_last_step_of_the_handshake() {
    let pki = Pki::new("CA");
    let mut world = World::with(offering(&pki, 1, false));
    let host = address(0).ip().to_string();
    let client = world.connect(0);
    let mut sealed = Sealed::new(client, pki.dial(&host, None));
    // TLS keeps it until it can be sealed, and then sends it behind its own last words.
    sealed.tls.writer().write_all(&[0, 1, 1]).unwrap();
    talk(&mut world, &mut [&mut sealed]);
    assert_eq!(sequences(sealed.replies()), [1]);
}

#[test]
fn a_side_that_has_said_all_gets_all_answers_and_the_end() {
    let pki = Pki::new("CA");
    // With close_notify, with FIN alone at rest, and with both.
    for (says_so, shuts) in [(true, false), (false, true), (true, true)] {
        let mut world = World::with(offering(&pki, 1, false));
        let mut sealed = connect(&mut world, &pki, None);
        sealed.ask(100);
        if says_so {
            sealed.tls.send_close_notify();
            sealed.flush();
        }
        if shuts {
            sealed.client.finish();
        }
        world.advance(LINGER_TIMEOUT + SWEEP_INTERVAL);
        assert_eq!(sequences(sealed.replies()).len(), 100);
        assert!(sealed.has_ended, "close_notify comes before the end");
        assert!(sealed.client.has_ended());
        assert_eq!(world.status(0).tls.connections, 0);
    }
}

#[test]
fn an_end_in_the_middle_of_a_frame_is_told() {
    let pki = Pki::new("CA");
    let mut world = World::with(offering(&pki, 1, false));
    let mut sealed = connect(&mut world, &pki, None);
    sealed.send(&[0, 1, 1, 0]);
    sealed.tls.send_close_notify();
    sealed.flush();
    talk(&mut world, &mut [&mut sealed]);
    assert_eq!(sealed.codes(), [0, ErrorCode::Incomplete.get()]);
}

#[test]
fn a_handshake_that_is_never_finished_is_closed() {
    let pki = Pki::new("CA");
    let mut world = World::with(offering(&pki, 1, false));
    let client = world.connect(0);
    world.drive();
    client.send(&[0x16, 3, 1, 1, 0]);
    world.drive();
    assert_eq!(world.status(0).tls.handshakes_under_way, 1);
    // However steadily its bytes trickle in.
    let step = Duration::from_millis(500);
    world.advance(HANDSHAKE_TIMEOUT - step);
    assert!(!client.has_ended());
    client.send(&[1]);
    let waited = world.advance_until(2 * HANDSHAKE_TIMEOUT, |_| client.has_ended());
    assert!(waited <= step + SWEEP_INTERVAL, "{waited:?}");
    let tls = world.status(0).tls;
    assert_eq!((tls.handshakes_failed, tls.handshakes_under_way), (1, 0));
}

#[test]
fn a_record_that_is_never_completed_closes_the_connection() {
    let pki = Pki::new("CA");
    let mut world = World::with(offering(&pki, 1, false));
    let mut sealed = connect(&mut world, &pki, None);
    sealed.ask(1);
    talk(&mut world, &mut [&mut sealed]);
    assert_eq!(sequences(sealed.replies()), [1]);
    world.advance(2 * FRAME_TIMEOUT);
    assert!(!sealed.client.has_ended(), "nothing is under way");
    sealed.client.send(&[0x17, 3]);
    let step = Duration::from_secs(2);
    world.advance(step);
    // However steadily its bytes trickle in.
    sealed.client.send(&[3, 0, 40, 1]);
    let waited = world.advance_until(2 * FRAME_TIMEOUT, |_| sealed.client.has_ended());
    assert!(
        waited + step <= FRAME_TIMEOUT + SWEEP_INTERVAL,
        "{waited:?}"
    );
}

#[test]
fn handshakes_have_their_turns_and_clients_that_are_connected_are_served_between_them() {
    const CROWD: usize = 40;
    let pki = Pki::new("CA");
    let mut world = World::with(offering(&pki, 1, false));
    let mut honest = connect(&mut world, &pki, None);
    let host = address(0).ip().to_string();
    let mut crowd: Vec<Sealed> = (0..CROWD)
        .map(|_| Sealed::new(world.connect(0), pki.dial(&host, None)))
        .collect();
    let mut answered_after = 0;
    honest.ask(1);
    loop {
        world.step(0);
        for client in &mut crowd {
            client.pump();
        }
        let done = crowd.iter().filter(|client| !client.tls.is_handshaking());
        if sequences(honest.replies()).len() == 1 {
            break;
        }
        answered_after = done.count();
    }
    assert!(
        answered_after <= 2 * HANDSHAKE_STEPS_PER_TURN,
        "{answered_after} came first"
    );
    for _ in 0..4 * CROWD {
        world.drive();
        for client in &mut crowd {
            client.pump();
        }
    }
    for client in &mut crowd {
        client.ask(1);
    }
    world.drive();
    for client in &mut crowd {
        assert_eq!(sequences(client.replies()).len(), 1);
    }
    let tls = world.status(0).tls;
    assert_eq!(tls.handshakes, CROWD as u64 + 1);
    assert_eq!(tls.connections, CROWD as u64 + 1);
}

#[test]
fn clients_that_never_finish_a_handshake_do_not_keep_others_out() {
    let pki = Pki::new("CA");
    let mut setup = offering(&pki, 1, false);
    setup.limits.connections_max = 2 * HANDSHAKES_MAX;
    let mut world = World::with(setup);
    let crowd: Vec<Client> = (0..HANDSHAKES_MAX + 10)
        .map(|_| {
            let client = world.connect(0);
            client.send(&[0x16, 3, 1, 1, 0]);
            world.drive();
            client
        })
        .collect();
    let closed = crowd.iter().filter(|client| client.has_ended()).count();
    assert_eq!(closed, 10);
    assert!(crowd[0].has_ended(), "the oldest go first");
    let mut honest = connect(&mut world, &pki, None);
    honest.ask(1);
    world.drive();
    assert_eq!(sequences(honest.replies()), [1]);
}

#[test]
fn the_certificate_decides_what_a_client_may_do() {
    let pki = Pki::new("CA");
    let mut world = World::with(offering(&pki, 1, true));
    let sync = Message::SyncRequest(Box::new(peer_says(Pid::new(7).unwrap())));
    let forget = Message::ForgetRequest {
        what: Forget::AllNeverServed,
    };
    let (refused, not_peer) = (ErrorCode::CertificateRefused, ErrorCode::NotAPeer);
    let not_trusted = ErrorCode::NotTrusted.get();
    for (role, forgets, syncs) in [
        (Some(Role::Client), not_trusted, Some(not_peer)),
        (Some(Role::Operator), 0, Some(not_peer)),
        (Some(Role::Peer), not_trusted, None),
    ] {
        let leaf = Leaf::client("somebody", role);
        let mut sealed = connect(&mut world, &pki, Some(&leaf));
        sealed.ask(1);
        sealed.send_message(&Message::StatusRequest);
        sealed.send_message(&forget);
        talk(&mut world, &mut [&mut sealed]);
        assert_eq!(sealed.codes(), [0, 0, forgets], "{role:?}");
        if let Some(code) = syncs {
            sealed.send_message(&sync);
            talk(&mut world, &mut [&mut sealed]);
            assert_eq!(sealed.codes(), [code.get()], "{role:?}");
        }
    }
    // A certificate without a role, where one CA is for all.
    let mut sealed = connect(&mut world, &pki, Some(&Leaf::client("nobody", None)));
    assert_eq!(sealed.codes(), [refused.get()]);
    // None at all, and one of another CA.
    for leaf in [None, Some(Leaf::client("stranger", Some(Role::Client)))] {
        let other = Pki::new("another CA");
        let credentials = leaf.as_ref().map(|leaf| other.credentials(leaf));
        let (config, _) = ipseity_tls::client_config(&pki.roots(), credentials.as_ref());
        let host = ipseity_tls::server_name(&address(0).ip().to_string()).unwrap();
        let tls = ClientConnection::new(config.into(), host).unwrap();
        let mut sealed = Sealed::new(world.connect(0), tls);
        talk(&mut world, &mut [&mut sealed]);
        assert!(
            matches!(sealed.error, Some(rustls::Error::AlertReceived(_))),
            "{:?}",
            sealed.error
        );
        world.advance(LINGER_TIMEOUT + SWEEP_INTERVAL);
        assert!(sealed.client.has_ended());
    }
    assert_eq!(world.status(0).tls.handshakes_failed, 3);
}

#[test]
fn where_plain_connections_are_not_taken_they_are_told_so() {
    let pki = Pki::new("CA");
    for (plain, from_afar, from_here) in [
        (
            PlainFrom::Nowhere,
            ErrorCode::TlsRequired.get(),
            ErrorCode::TlsRequired.get(),
        ),
        (PlainFrom::Loopback, ErrorCode::TlsRequired.get(), 0),
        (PlainFrom::Anywhere, 0, 0),
    ] {
        let mut setup = offering(&pki, 1, false);
        setup.limits.plain = plain;
        let mut world = World::with(setup);
        for (ip, code) in [("10.9.9.9", from_afar), ("127.0.0.1", from_here)] {
            let mut client = world.connect_from(0, ip.parse().unwrap());
            world.drive();
            client.ask(1);
            world.drive();
            assert_eq!(client.codes(), [code], "{plain:?} from {ip}");
        }
    }
    // And TLS where there is none.
    let mut world = World::with(Setup::new(1));
    let mut sealed = Sealed::new(world.connect(0), pki.dial("10.0.0.1", None));
    world.drive();
    let bytes = sealed.client.bytes();
    let mut decoder = FrameDecoder::new();
    decoder.restore(&bytes);
    let Ok(Some(Message::ErrorReply(error))) = decoder.next(Receiver::Client) else {
        panic!("{bytes:?}");
    };
    assert_eq!(error.code, ErrorCode::TlsNotOffered.get());
    sealed.pump();
}

#[test]
fn tls_in_the_middle_of_a_plain_connection_is_a_malformed_frame() {
    let pki = Pki::new("CA");
    let mut world = World::with(offering(&pki, 1, false));
    let mut client = world.connect(0);
    world.drive();
    client.send(&[0, 1, 1, 0x16, 3, 1]);
    world.drive();
    assert_eq!(client.codes(), [0, ErrorCode::BadLength.get()]);
}

#[test]
fn a_record_that_was_changed_ends_the_connection_with_an_alert() {
    let pki = Pki::new("CA");
    let mut world = World::with(offering(&pki, 1, false));
    let mut sealed = connect(&mut world, &pki, None);
    sealed.ask(3);
    talk(&mut world, &mut [&mut sealed]);
    assert_eq!(sequences(sealed.replies()).len(), 3);
    // A record whose contents belong to no session.
    let mut record = vec![0x17, 3, 3, 0, 40];
    record.extend([7; 40]);
    sealed.client.send(&record);
    world.advance(LINGER_TIMEOUT + SWEEP_INTERVAL);
    sealed.pump();
    let alert = sealed.error.clone();
    assert!(
        matches!(alert, Some(rustls::Error::AlertReceived(_))),
        "{alert:?}"
    );
    assert!(sealed.client.has_ended());
    assert_eq!(world.status(0).tls.connections, 0);
}

#[test]
fn peers_synchronize_over_tls() {
    let pki = Pki::new("CA");
    let mut world = World::new();
    for pid in [1u16, 2] {
        let other = address(usize::from(2 - pid)).to_string();
        let mut setup = offering(&pki, pid, true).peers(&[&other]).believes_nobody();
        setup.limits.plain = PlainFrom::Nowhere;
        world.start(setup);
    }
    world.advance(Duration::from_secs(5));
    let leaf = Leaf::client("app", Some(Role::Client));
    let mut sealed = connect(&mut world, &pki, Some(&leaf));
    sealed.ask(5);
    world.advance(Duration::from_secs(2));
    assert_eq!(sequences(sealed.replies()).len(), 5);
    sealed.send_message(&Message::StatusRequest);
    world.drive();
    let Some(Message::StatusReply(status)) = sealed.replies().pop() else {
        panic!("no status");
    };
    assert_eq!(status.standing, Standing::Serving);
    let peer = &status.peers[0];
    assert_eq!((peer.state, peer.tls), (PeerState::Up, true));
    assert_eq!(peer.sequence, 5);
}

#[test]
fn a_peer_that_is_not_let_in_says_why_and_both_go_on() {
    let pki = Pki::new("CA");
    // The certificate of the second is for another name, or is of another CA.
    let other_ca = Pki::new("another CA");
    let wrong_name = Leaf::peer("server", &["10.0.0.77"]);
    let right = Leaf::peer("server", &["10.0.0.2"]);
    for (ca, leaf, says) in [
        (&pki, wrong_name, "is not for 10.0.0.2: it is for 10.0.0.77"),
        (&other_ca, right, "is not signed by any CA of"),
    ] {
        ipseity_sim::world::keep_log_lines();
        let mut world = World::new();
        world.start(
            offering(&pki, 1, true)
                .peers(&["10.0.0.2:3264"])
                .believes_nobody(),
        );
        let mut second = offering(&pki, 2, true).believes_nobody();
        second.tls.as_mut().unwrap().settings = ca.settings(&leaf, true, true);
        world.start(second);
        world.advance(Duration::from_secs(20));
        let lines = ipseity_sim::world::take_log_lines();
        assert!(
            lines.iter().any(|line| line.contains(says)),
            "{says}: {lines:?}"
        );
        let status = world.status(0);
        assert_eq!(status.standing, Standing::Serving);
        assert_ne!(status.peers[0].state, PeerState::Up);
    }
}

#[test]
fn a_peer_that_speaks_another_way_is_told_and_so_is_the_log() {
    let pki = Pki::new("CA");
    // The first dials with TLS a server that has none, and without TLS a server that takes nothing else.
    for (sealed, says) in [
        (true, "it does not speak TLS"),
        (false, "this server takes only TLS from your address"),
    ] {
        ipseity_sim::world::keep_log_lines();
        let mut world = World::new();
        let mut first = Setup::new(1).peers(&["10.0.0.2:3264"]);
        let mut second = Setup::new(2);
        if sealed {
            first = offering(&pki, 1, true).peers(&["10.0.0.2:3264"]);
        } else {
            second = offering(&pki, 2, true);
            second.limits.plain = PlainFrom::Nowhere;
        }
        world.start(first);
        world.start(second);
        world.advance(Duration::from_secs(20));
        let lines = ipseity_sim::world::take_log_lines();
        assert!(
            lines
                .iter()
                .any(|line| line.contains("10.0.0.2:3264") && line.contains(says)),
            "{says}: {lines:?}"
        );
        assert_eq!(world.status(0).standing, Standing::Serving);
    }
}

/// A clock that a test moves.
#[derive(Debug)]
struct Clock(AtomicU64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = self.0.load(Ordering::Relaxed);
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

#[test]
fn a_certificate_that_expires_is_told_in_time_and_ends_its_connection_if_that_is_wanted() {
    const DAY: u64 = 86_400;
    let pki = Pki::new("CA");
    let leaf = Leaf::client("app", Some(Role::Client));
    for rechecks in [false, true] {
        ipseity_sim::world::keep_log_lines();
        let now = UnixTime::now().as_secs();
        let clock = Arc::new(Clock(AtomicU64::new(now)));
        let server = Leaf {
            valid: (days(-1), days(100)),
            ..Leaf::peer("server", &["10.0.0.1"])
        };
        let settings = Settings::new(
            pki.credentials(&server),
            Some(pki.roots()),
            None,
            Arc::clone(&clock) as Arc<dyn TimeProvider>,
        );
        let mut setup = offering(&pki, 1, true);
        setup.tls = Some(TlsConfig {
            settings: Arc::new(settings.unwrap()),
            rechecks,
            plain_peers: Default::default(),
        });
        let mut world = World::with(setup);
        let mut sealed = connect(&mut world, &pki, Some(&leaf));
        sealed.ask(1);
        talk(&mut world, &mut [&mut sealed]);
        assert_eq!(sequences(sealed.replies()), [1]);
        // More than are looked at in one turn.
        let others: Vec<Sealed> = (0..3 * RECHECKS_PER_TURN)
            .map(|_| connect(&mut world, &pki, Some(&leaf)))
            .collect();
        let mut told = Vec::new();
        for day in 60..110 {
            clock.0.store(now + day * DAY, Ordering::Relaxed);
            world.advance(CERTIFICATES_INTERVAL);
            let lines = ipseity_sim::world::take_log_lines();
            told.extend(
                lines
                    .into_iter()
                    .filter(|line| line.contains("pem (server)")),
            );
        }
        assert_eq!(told.len(), 4, "{told:?}");
        for (line, says) in told
            .iter()
            .zip(["29 days", "6 days", "less than a day", "EXPIRED at"])
        {
            assert!(line.contains(says), "{line}");
        }
        // That of the client is valid for a year.
        assert!(!sealed.client.has_ended());
        clock.0.store(now + 366 * DAY, Ordering::Relaxed);
        world.advance(CERTIFICATES_INTERVAL + SWEEP_INTERVAL);
        assert_eq!(sealed.client.has_ended(), rechecks);
        let ended = others.iter().filter(|other| other.client.has_ended());
        let all = if rechecks { others.len() } else { 0 };
        assert_eq!(ended.count(), all);
        let lines = ipseity_sim::world::take_log_lines();
        let says = format!("connections closed by --tls-recheck: {}", others.len() + 1);
        let count = lines.iter().filter(|line| line.contains(&says)).count();
        assert_eq!(count, usize::from(rechecks), "{lines:?}");
    }
}

/// Whoever may only speak TLS takes a place with a connection on which nothing comes.
#[test]
fn a_connection_that_never_begins_its_handshake_is_closed_where_only_tls_is_taken() {
    let pki = Pki::new("CA");
    for plain in [PlainFrom::Nowhere, PlainFrom::Anywhere] {
        let mut setup = offering(&pki, 1, false);
        setup.limits.plain = plain;
        let mut world = World::with(setup);
        let silent = world.connect(0);
        world.advance(HANDSHAKE_TIMEOUT - SWEEP_INTERVAL);
        assert!(!silent.has_ended());
        world.advance(3 * SWEEP_INTERVAL);
        assert_eq!(silent.has_ended(), plain == PlainFrom::Nowhere);
    }
}

/// It costs nothing to begin handshakes. One that is under way is not cut off for those that have sent a byte.
#[test]
fn a_handshake_that_goes_on_is_not_cut_off_for_many_that_only_begin() {
    let pki = Pki::new("CA");
    let mut setup = offering(&pki, 1, false);
    setup.limits.connections_max = 2 * HANDSHAKES_MAX;
    let mut world = World::with(setup);
    ipseity_sim::world::keep_log_lines();
    let host = address(0).ip().to_string();
    let mut slow = Sealed::new(world.connect(0), pki.dial(&host, None));
    world.drive();
    let crowd: Vec<Client> = (0..HANDSHAKES_MAX + 10)
        .map(|_| {
            let client = world.connect(0);
            client.send(&[0x16]);
            world.drive();
            client
        })
        .collect();
    let closed = crowd.iter().filter(|client| client.has_ended()).count();
    assert_eq!(closed, 11);
    talk(&mut world, &mut [&mut slow]);
    slow.ask(1);
    world.drive();
    assert_eq!(sequences(slow.replies()), [1]);
    let lines = ipseity_sim::world::take_log_lines();
    let told = lines
        .iter()
        .filter(|line| line.contains("TLS handshakes are under way"));
    assert_eq!(told.count(), 1, "{lines:?}");
}

/// Each holds what it has sent of a record that it does not end, or of a handshake.
#[test]
fn what_tls_holds_over_all_connections_is_bounded_and_others_are_served() {
    const BOUND: usize = 100_000;
    /// The heads of records of 16 KiB: of a handshake, with a message that is longer than a record, and of a session.
    const BEGUN: [&[u8]; 2] = [
        &[0x16, 3, 1, 0x40, 0, 1, 0, 0xf0, 0],
        &[0x17, 3, 3, 0x40, 0],
    ];
    let pki = Pki::new("CA");
    for is_open in [false, true] {
        let mut setup = offering(&pki, 1, false);
        setup.limits.pending_bytes_total = BOUND;
        let mut world = World::with(setup);
        let mut honest = connect(&mut world, &pki, None);
        let mut begun = Vec::new();
        for _ in 0..20 {
            let mut client = match is_open {
                true => connect(&mut world, &pki, None).client,
                false => world.connect(0),
            };
            client.send(BEGUN[usize::from(is_open)]);
            client.send(&[0; 15_000]);
            world.advance(READING_SPAN);
            client.bytes();
            begun.push(client);
        }
        world.drive();
        let status = world.status(0);
        let held = status.bounds.pending_bytes as usize;
        assert!(held > BOUND / 2 && held <= BOUND, "{held}");
        assert!(status.bounds.cut_off >= 10, "{:?}", status.bounds);
        assert!(begun[0].has_ended() && !begun[19].has_ended());
        honest.ask(1);
        world.drive();
        assert_eq!(honest.codes(), [0]);
        // Nothing is counted for connections that are gone.
        drop(begun);
        world.drive();
        assert_eq!(world.status(0).bounds.pending_bytes, 0);
    }
}

/// rustls holds a message of TLS itself until it is complete, and does not say what it holds.
#[test]
fn what_says_nothing_to_the_server_counts_as_held_until_something_does() {
    let pki = Pki::new("CA");
    let mut world = World::with(offering(&pki, 1, false));
    let mut sealed = connect(&mut world, &pki, None);
    for _ in 0..5 {
        sealed.tls.refresh_traffic_keys().unwrap();
        sealed.flush();
        talk(&mut world, &mut [&mut sealed]);
    }
    assert!(world.status(0).bounds.pending_bytes >= 100);
    sealed.ask(1);
    talk(&mut world, &mut [&mut sealed]);
    assert_eq!(sequences(sealed.replies()), [1]);
    assert_eq!(world.status(0).bounds.pending_bytes, 0);
}

#[test]
fn by_http_a_record_or_a_request_that_is_never_completed_closes_the_connection() {
    let pki = Pki::new("CA");
    let mut world = World::with(offering(&pki, 1, false));
    let host = address(0).ip().to_string();
    for is_record in [true, false] {
        let client = world.connect_by_http(0);
        let mut sealed = Sealed::new(client, pki.dial(&host, None));
        talk(&mut world, &mut [&mut sealed]);
        match is_record {
            true => sealed.client.send(&[0x17, 3]),
            false => sealed.send(b"GET /livez HTTP/1.1\r\n"),
        }
        let step = Duration::from_secs(2);
        world.advance(step);
        // However steadily it trickles in.
        match is_record {
            true => sealed.client.send(&[3, 0, 40, 1]),
            false => sealed.send(b"Host: a\r\n"),
        }
        let waited = world.advance_until(2 * FRAME_TIMEOUT, |_| {
            sealed.pump();
            sealed.client.has_ended()
        });
        assert!(
            waited + step <= FRAME_TIMEOUT + SWEEP_INTERVAL,
            "{waited:?}"
        );
        let said = String::from_utf8_lossy(sealed.decoder.rest()).into_owned();
        assert_eq!(said.starts_with("HTTP/1.1 408 "), !is_record, "{said}");
    }
}
