//! A stranger that speaks TLS, and beside it, in a world of its own, one that sends the same without TLS. The input:
//! how both worlds are set up, how the records and the bytes in them are cut, what is done to them on the way, and
//! what the strangers send.

use std::{
    io::{Read as _, Write as _},
    sync::{Arc, OnceLock},
    time::Duration,
};

use ipseity::{
    limits::{FRAME_TIMEOUT, LINGER_TIMEOUT, READ_BYTES_MAX, SWEEP_INTERVAL},
    secure::{PlainFrom, Settings},
    server::TlsConfig,
};
use ipseity_core::words::{ErrorCode, Message};
use ipseity_tls::{Role, client_config, server_name};
use rustls::{ClientConfig, ClientConnection};

use super::{
    input::{Input, pieces},
    streams::{are_records, begins_tls, decoded},
};
use crate::{
    pki::{Leaf, Pki},
    world::{Client, Setup, World, address},
};

/// The most pieces that the records are cut into. The rest comes at once.
const PIECES_MAX: usize = 64;

/// How many bytes the server reads at a time, in one world or another.
const READS: [usize; 6] = [1, 5, 64, 1000, 4096, READ_BYTES_MAX];

/// What happens to the bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// They arrive.
    Open,
    /// One byte is changed.
    Changed { at: u16, by: u8 },
    /// What the stranger sends is sealed by nobody. It comes first, or after a handshake.
    Unsealed { is_first: bool },
}

/// How an input sets up both worlds.
struct Scene {
    /// Whether windows and buffers are small, so that replies leave in pieces.
    is_narrow: bool,
    /// Whether the stranger may do what an operator may do.
    is_operator: bool,
    /// Whether nothing happens for a long time before the end.
    waits: bool,
    /// Whether the end of the session is said before the socket is closed.
    says_end: bool,
    /// Whether keys are renewed between the pieces.
    renews: bool,
    way: Way,
    read_bytes_max: usize,
    /// How the stream is cut into records, and the records into pieces.
    cuts: [u8; 2],
}

impl Scene {
    fn read(input: &mut Input) -> Scene {
        let [flags, reads] = [input.byte(), input.byte()];
        let is = |bit: u8| flags & (1 << bit) != 0;
        Scene {
            is_narrow: is(0),
            is_operator: is(1),
            waits: is(2),
            says_end: is(3),
            renews: is(4),
            read_bytes_max: READS[usize::from(reads) % READS.len()],
            cuts: [input.byte(), input.byte()],
            way: match flags >> 5 {
                0..=3 => Way::Open,
                4 | 5 => Way::Changed {
                    at: input.u16(),
                    by: input.byte().max(1),
                },
                6 => Way::Unsealed { is_first: false },
                _ => Way::Unsealed { is_first: true },
            },
        }
    }

    /// A world with a server that offers TLS and takes plain connections, too.
    fn world(&self) -> World {
        let mut world = World::new();
        if self.is_narrow {
            let mut net = world.net();
            (net.window_bytes, net.send_buffer_bytes) = (100, 50);
        }
        let mut setup = Setup::new(1);
        setup.tls = Some(offered());
        setup.limits.plain = PlainFrom::Anywhere;
        setup.limits.read_bytes_max = self.read_bytes_max;
        if self.is_operator {
            setup.limits.trust.operators = vec!["192.168.0.1/32".parse().unwrap()];
        }
        world.start(setup);
        world
    }
}

/// The settings of the server, and those of a client that is a peer and perhaps an operator. They are made once,
/// because keys take long.
struct Keys {
    server: Arc<Settings>,
    peer: Arc<ClientConfig>,
    operator: Arc<ClientConfig>,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let pki = Pki::new("CA");
        let host = address(0).ip().to_string();
        let client = |name: &str, roles: &[Role]| {
            let mut leaf = Leaf::client(name, None);
            leaf.roles = roles.to_vec();
            let (config, _) = client_config(&pki.roots(), Some(&pki.credentials(&leaf)));
            Arc::new(config)
        };
        Keys {
            server: pki.settings(&Leaf::peer("server", &[&host]), true, true),
            peer: client("peer", &[Role::Peer]),
            operator: client("operator", &[Role::Peer, Role::Operator]),
        }
    })
}

/// What a server of a property offers.
pub(super) fn offered() -> TlsConfig {
    TlsConfig {
        settings: Arc::clone(&keys().server),
        rechecks: false,
        plain_peers: Default::default(),
    }
}

/// The stranger without TLS or with it.
struct Stranger {
    client: Client,
    session: Option<ClientConnection>,
    /// What has come, opened.
    heard: Vec<u8>,
    /// What has come, as it came.
    raw: Vec<u8>,
    error: Option<rustls::Error>,
}

impl Stranger {
    fn new(client: Client, session: Option<ClientConnection>) -> Stranger {
        Stranger {
            client,
            session,
            heard: Vec::new(),
            raw: Vec::new(),
            error: None,
        }
    }

    /// Lets both sides speak until neither has anything to say at this moment.
    fn settle(&mut self, world: &mut World) {
        loop {
            world.drive();
            let bytes = self.client.bytes();
            self.hear(&bytes);
            let answer = self.records();
            if bytes.is_empty() && answer.is_empty() {
                return;
            }
            self.send(&answer);
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        if !self.client.is_reset() {
            self.client.send(bytes);
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.raw.extend(bytes);
        let Some(session) = &mut self.session else {
            return self.heard.extend(bytes);
        };
        let mut rest = bytes;
        while !rest.is_empty() && self.error.is_none() {
            if session.read_tls(&mut rest).unwrap() == 0 {
                break;
            }
            self.error = session.process_new_packets().err();
            // It says so when there is nothing more, in one way or another.
            let _ = session.reader().read_to_end(&mut self.heard);
        }
    }

    /// What the session has to send.
    fn records(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        if let Some(session) = &mut self.session {
            while session.wants_write() {
                session.write_tls(&mut records).unwrap();
            }
        }
        records
    }

    /// Seals each of the pieces, and cuts the records into other pieces.
    fn sealed(&mut self, scene: &Scene, stream: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        for piece in at_most(PIECES_MAX, pieces(stream, scene.cuts[0]), stream) {
            if let Some(session) = &mut self.session {
                session.writer().write_all(piece).unwrap();
                if scene.renews {
                    session.refresh_traffic_keys().unwrap();
                }
            }
            all.extend(self.records());
        }
        all
    }

    fn end(&mut self, scene: &Scene) {
        if let Some(session) = self.session.as_mut().filter(|_| scene.says_end) {
            session.send_close_notify();
        }
        let last = self.records();
        self.send(&last);
        if !self.client.is_reset() {
            self.client.finish();
        }
    }

    fn replies(&self, may_be_cut: bool) -> Vec<Message> {
        decoded(&self.heard, may_be_cut)
    }
}

/// The first pieces of a stream, and all the rest of it as the last one.
fn at_most<'a>(most: usize, mut pieces: Vec<&'a [u8]>, stream: &'a [u8]) -> Vec<&'a [u8]> {
    if pieces.len() > most {
        let begun = pieces[..most].iter().map(|piece| piece.len()).sum();
        pieces.truncate(most);
        pieces.push(&stream[begun..]);
    }
    pieces
}

/// The stranger with TLS gets the answers that the one without gets, however its bytes are cut, and however often the
/// keys are renewed. If a byte was changed on the way, what was sent before it is answered, and nothing else. Whatever
/// is sent that was not sealed, the server goes on, gets rid of the stranger, and serves the next one.
pub fn check(input: &[u8]) {
    let mut input = Input::new(input);
    let scene = Scene::read(&mut input);
    let stream = input.rest();
    let mut world = scene.world();
    let mut sealed = meet(&scene, &mut world);
    send_all(&scene, stream, &mut sealed, &mut world);
    assert!(sealed.client.has_ended() || sealed.client.is_reset());
    let tls = world.status(0).tls;
    assert_eq!((tls.connections, tls.handshakes_under_way), (0, 0));
    assert!(tls.handshakes + tls.handshakes_failed <= 1);
    if let Way::Unsealed { .. } = scene.way {
        return are_records(&sealed.raw, false);
    }
    assert_eq!(tls.handshakes, 1);
    if begins_tls(stream) {
        // Without TLS it would be a handshake, and there is nothing to compare.
        return;
    }

    let mut world = scene.world();
    let mut plain = Stranger::new(world.connect(0), None);
    send_all(&scene, stream, &mut plain, &mut world);
    assert!(plain.client.has_ended() || plain.client.is_reset());
    // A client that is told why it is cut off, and goes on sending, may be cut off before it has read that.
    let is_cut = plain.client.is_reset() || sealed.client.is_reset();
    let (mut replies, expected) = (sealed.replies(is_cut), plain.replies(is_cut));
    match scene.way {
        Way::Open => {
            assert_eq!(sealed.error, None);
            assert!(
                is_cut || replies.len() == expected.len(),
                "{replies:?} and not {expected:?}"
            );
        }
        // What comes last may be a complaint that a message was not complete.
        _ => drop(replies.pop_if(|reply| closes(reply))),
    }
    for (reply, expected) in replies.iter().zip(&expected) {
        let are_same = match (reply, expected) {
            // They count connections with TLS.
            (Message::StatusReply(_), Message::StatusReply(_)) => true,
            // They say how to be let in, with TLS and without.
            (Message::ErrorReply(one), Message::ErrorReply(other)) => one.code == other.code,
            (reply, expected) => reply == expected,
        };
        assert!(are_same, "{reply:?} and not {expected:?}");
    }
    assert!(
        replies.len() <= expected.len(),
        "{replies:?} and not {expected:?}"
    );
}

/// A stranger that has made its handshake, unless what it sends comes first.
fn meet(scene: &Scene, world: &mut World) -> Stranger {
    let config = match scene.is_operator {
        true => &keys().operator,
        false => &keys().peer,
    };
    let name = server_name(&address(0).ip().to_string()).unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    let is_first = scene.way == (Way::Unsealed { is_first: true });
    let mut stranger = Stranger::new(world.connect(0), (!is_first).then_some(session));
    let hello = stranger.records();
    stranger.send(&hello);
    stranger.settle(world);
    if is_first {
        // Otherwise it would not be TLS.
        stranger.send(&[0x16]);
    }
    stranger
}

/// Sends everything and ends the stream, and lets the world go on for as long as anything can wait.
fn send_all(scene: &Scene, stream: &[u8], stranger: &mut Stranger, world: &mut World) {
    let is_sealed = stranger.session.is_some() && !matches!(scene.way, Way::Unsealed { .. });
    let mut bytes = match is_sealed {
        true => stranger.sealed(scene, stream),
        false => stream.to_vec(),
    };
    if let (true, Way::Changed { at, by }) = (is_sealed, scene.way)
        && !bytes.is_empty()
    {
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= by;
    }
    for piece in at_most(PIECES_MAX, pieces(&bytes, scene.cuts[1]), &bytes) {
        stranger.send(piece);
        stranger.settle(world);
    }
    if scene.waits {
        world.advance(2 * FRAME_TIMEOUT);
        stranger.settle(world);
    }
    stranger.end(scene);
    for _ in 0..4 {
        stranger.settle(world);
        world.advance((LINGER_TIMEOUT + SWEEP_INTERVAL).max(Duration::from_secs(1)));
    }
}

fn closes(reply: &Message) -> bool {
    match reply {
        Message::ErrorReply(error) => ErrorCode::from_u16(error.code).unwrap().closes(),
        _ => false,
    }
}
