//! A whole server and a stranger on a connection to it. The stranger has connected, or is a peer that the server
//! has dialed. The input: how everything is set up, how the stream is cut, and what the stranger sends.
//! Meanwhile an honest client keeps asking.

use std::time::Duration;

use ipseity::{limits::FRAME_TIMEOUT, secure::PlainFrom, server::Exit};
use ipseity_core::words::{ErrorCode, Message};
use ipseity_frames::{Kind, Receiver};
use ipseity_http::looks_like_http;

use super::{
    frames::{self, Outcome},
    http::is_answer,
    input::{Input, pieces},
    sealed::offered,
    streams::{are_records, begins_tls, decoded},
};
use crate::world::{Client, DiskMode, Setup, World};

/// The most pieces that a stream is cut into. The rest comes at once.
const PIECES_MAX: usize = 64;

/// Twice this is longer than any other wait that a connection is allowed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

const _: () = assert!(IDLE_TIMEOUT.as_nanos() >= 2 * FRAME_TIMEOUT.as_nanos());

/// How long a write of the disk takes.
const WRITE: Duration = Duration::from_millis(1);

/// How an input sets up the world.
struct Scene {
    /// Whether the stranger is a peer that the server has dialed.
    is_dialed: bool,
    /// Whether the stranger comes when there are enough connections already.
    is_beyond: bool,
    /// Whether it may send the requests of an operator.
    is_trusted: bool,
    /// Whether the server asks its peers before it hands anything out.
    joins: bool,
    /// Whether the server offers TLS. The stranger may then begin a handshake, but it seals nothing.
    offers_tls: bool,
    disk: DiskMode,
    /// Whether windows and buffers are small, so that replies leave in pieces.
    is_narrow: bool,
    /// Whether it cuts the connection at the end, instead of closing its side.
    resets: bool,
    /// Whether it does nothing at the end.
    stays: bool,
    /// The time between two pieces.
    pause: Duration,
    cut: u8,
}

impl Scene {
    fn read(input: &mut Input) -> Scene {
        let [flags, disk] = [input.byte(), input.byte()];
        let is = |bit: u8| flags & (1 << bit) != 0;
        Scene {
            is_dialed: is(0),
            is_beyond: is(1),
            is_trusted: is(2),
            joins: is(3),
            // A server dials without TLS only where the peer is named so, and that is another scene.
            offers_tls: !is(0) && disk & 4 != 0,
            is_narrow: is(4),
            resets: is(5),
            stays: is(6),
            pause: match (is(7), disk / 64) {
                (false, _) => Duration::ZERO,
                (true, 0) => WRITE,
                (true, 1) => Duration::from_millis(300),
                (true, 2) => Duration::from_secs(2),
                (true, _) => FRAME_TIMEOUT,
            },
            disk: match disk % 4 {
                0 => DiskMode::Ephemeral,
                1 => DiskMode::Takes(Duration::ZERO),
                2 => DiskMode::Takes(WRITE),
                _ => DiskMode::FailsAfter(WRITE),
            },
            cut: input.byte(),
        }
    }

    fn world(&self) -> World {
        let mut world = World::new();
        if self.is_narrow {
            let mut net = world.net();
            (net.window_bytes, net.send_buffer_bytes) = (100, 50);
        }
        let mut setup = Setup::new(1);
        if self.is_dialed {
            let mut net = world.net();
            net.names.insert("peer".to_owned(), vec![PEER.into()]);
            drop(net);
            world.listen(PEER.into());
            setup = setup.peers(&["peer:3264"]);
            setup.actor.joins = self.joins;
        }
        if self.disk != DiskMode::Ephemeral {
            setup = setup.disk(self.disk, 20);
        }
        if self.is_beyond {
            setup.limits.connections_max = 1;
        }
        if self.is_trusted {
            setup.limits.trust.operators = vec!["192.168.0.1/32".parse().unwrap()];
        }
        if self.offers_tls {
            setup.tls = Some(offered());
            setup.limits.plain = PlainFrom::Anywhere;
        }
        setup.limits.idle_timeout = Some(IDLE_TIMEOUT);
        world.start(setup);
        world
    }
}

const PEER: ([u8; 4], u16) = ([10, 9, 9, 9], 3264);

/// The server does not stop or spin. It answers requests in order and with whole frames, hands nothing out twice,
/// keeps serving others, and gets rid of the stranger in the end.
pub fn check(input: &[u8]) {
    let mut input = Input::new(input);
    let scene = Scene::read(&mut input);
    let stream = input.rest();
    let mut world = scene.world();
    let mut honest = Honest::new(world.connect(0));
    world.drive();
    let mut stranger = match scene.is_dialed {
        false => world.connect(0),
        true => world.accept(PEER.into()).expect("the server has dialed"),
    };
    world.drive();

    let mut pieces = pieces(stream, scene.cut);
    if pieces.len() > PIECES_MAX {
        let begun = pieces[..PIECES_MAX].iter().map(|piece| piece.len()).sum();
        pieces.truncate(PIECES_MAX);
        pieces.push(&stream[begun..]);
    }
    let mut replies = Vec::new();
    for piece in pieces {
        if stranger.is_reset() {
            break;
        }
        stranger.send(piece);
        honest.ask();
        world.advance(scene.pause);
        replies.extend(all_bytes(&mut stranger, &mut world));
        honest.hear(&mut world);
    }
    let mut stranger = Some(stranger);
    if let Some(stranger) = stranger.take_if(|_| scene.resets) {
        stranger.reset();
    } else if let Some(stranger) = stranger.as_ref().filter(|s| !scene.stays && !s.is_reset()) {
        stranger.finish();
    }
    // The honest client is not idle meanwhile.
    for _ in 0..4 {
        honest.ask();
        // First the waits for the disk, then the idle time.
        for wait in [WRITE, WRITE, IDLE_TIMEOUT / 2] {
            world.advance(wait);
            if let Some(stranger) = &mut stranger {
                replies.extend(all_bytes(stranger, &mut world));
            }
            honest.hear(&mut world);
        }
    }
    if let Some(stranger) = stranger {
        judge(&scene, stream, &replies, &mut honest, &world);
        let read = frames::read(Receiver::Server, &[stream]);
        let mut messages = read.messages.iter();
        let is_peer = messages.any(|message| matches!(message, Message::SyncRequest(_)));
        let may_stay = scene.is_dialed || (scene.stays && is_peer);
        assert!(
            may_stay || stranger.has_ended(),
            "no stranger stays for ever"
        );
    }
    match world.exit(0) {
        None => honest.is_answered(),
        Some(exit) => {
            assert_eq!(exit, Exit::StorageFailed);
            assert_eq!(scene.disk, DiskMode::FailsAfter(WRITE));
        }
    }
}

/// All bytes that come for a client that keeps reading at this moment.
fn all_bytes(client: &mut Client, world: &mut World) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let bytes = client.bytes();
        if bytes.is_empty() {
            return all;
        }
        all.extend(bytes);
        world.drive();
    }
}

/// A client that behaves well.
struct Honest {
    client: Client,
    asked: usize,
    answered: usize,
    /// The blocks that anybody got: the first and the last sequence of each.
    given: Vec<(u64, u64)>,
    newest: u64,
}

impl Honest {
    fn new(client: Client) -> Honest {
        Honest {
            client,
            asked: 0,
            answered: 0,
            given: Vec::new(),
            newest: 0,
        }
    }

    fn ask(&mut self) {
        // A server whose disk failed is gone.
        if !self.client.is_reset() {
            self.client.ask(1);
            self.asked += 1;
        }
    }

    fn hear(&mut self, world: &mut World) {
        let bytes = all_bytes(&mut self.client, world);
        for reply in decoded(&bytes, world.exit(0).is_some()) {
            self.answered += 1;
            match reply {
                Message::IdentityReply { first, count: 1 } => {
                    assert!(first > self.newest);
                    self.newest = first;
                    self.given.push((first >> 10, first >> 10));
                }
                Message::ErrorReply(error) => {
                    let code = ErrorCode::from_u16(error.code).unwrap();
                    assert!(!code.closes(), "{error:?}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn is_answered(&self) {
        assert_eq!(self.answered, self.asked);
        assert!(!self.client.has_ended());
    }
}

/// Compares the replies to the stranger with its requests.
fn judge(scene: &Scene, stream: &[u8], replies: &[u8], honest: &mut Honest, world: &World) {
    // A server whose disk has failed exits even if only a part of a reply has left.
    if scene.offers_tls && begins_tls(stream) {
        return are_records(replies, world.exit(0).is_some());
    }
    // Who begins with HTTP is told so in HTTP, once. Behind a frame that would only be a malformed frame.
    if !scene.is_dialed && looks_like_http(stream) && replies.starts_with(b"HTTP/") {
        return is_answer(replies, true);
    }
    let replies = decoded(replies, world.exit(0).is_some());
    if scene.is_dialed {
        // The server only sends requests and tells things, and its frames are whole whatever the stranger answers.
        let asks = |message: &Message| Receiver::Server.takes(Kind::from(message));
        assert!(replies.iter().all(asks), "{replies:?}");
        return;
    }
    let objected = replies
        .iter()
        .any(|reply| matches!(reply, Message::Objection(_) | Message::Overrule(_)));
    let closes = |reply: &Message| match reply {
        Message::ErrorReply(error) => ErrorCode::from_u16(error.code).unwrap().closes(),
        _ => false,
    };
    let ends = replies.iter().position(closes);
    assert!(ends.is_none_or(|at| at + 1 == replies.len()), "{replies:?}");
    if !objected && !scene.is_beyond {
        pair_up(scene, stream, &replies, ends.is_some(), world);
    }
    let mut newest = 0;
    for reply in &replies {
        if let Message::IdentityReply { first, count } = reply {
            let (first, count) = (first >> 10, u64::from(*count));
            assert!(first > newest, "{first} after {newest}");
            newest = first + count - 1;
            honest.given.push((first, newest));
        }
    }
    honest.given.sort_unstable();
    for two in honest.given.windows(2) {
        assert!(two[0].1 < two[1].0, "{two:?} have something in common");
    }
}

/// Whether a message is owed no answer and answers no request. It ends the connection unless that is a peer's.
fn is_word(message: &Message) -> bool {
    matches!(
        message,
        Message::Objection(_)
            | Message::Overrule(_)
            | Message::Probe(_)
            | Message::Alive(_)
            | Message::Goodbye(_)
    )
}

/// Every request has its reply, in its place.
fn pair_up(scene: &Scene, stream: &[u8], replies: &[Message], ended: bool, world: &World) {
    let Outcome {
        messages,
        error,
        consumed,
    } = frames::read(Receiver::Server, &[stream]);
    let mut replies = replies.iter().filter(|reply| !is_word(reply));
    for message in messages.iter().filter(|message| !is_word(message)) {
        let reply = replies.next();
        match (message, reply) {
            (_, None) => {
                let is_over = ended || world.exit(0).is_some();
                assert!(is_over, "{message:?} has no reply");
                return;
            }
            (
                Message::IdentityRequest { count, after },
                Some(Message::IdentityReply {
                    first,
                    count: given,
                }),
            ) => {
                assert_eq!(count, given);
                assert!(first >> 10 > after >> 10);
            }
            (Message::SyncRequest(_), Some(Message::SyncReply(_)))
            | (Message::HelloRequest(_), Some(Message::HelloReply(_)))
            | (Message::StatusRequest, Some(Message::StatusReply(_)))
            | (Message::MembersRequest { .. }, Some(Message::MembersReply(_)))
            | (
                Message::ForgetRequest { .. } | Message::AdvanceRequest { .. },
                Some(Message::DoneReply { .. }),
            )
            | (_, Some(Message::ErrorReply(_))) => {}
            (_, Some(reply)) => panic!("{message:?} has the reply {reply:?}"),
        }
    }
    if world.exit(0).is_some() {
        return;
    }
    // The error after the last message, if there is one, and if the bytes did not come too slowly.
    let is_read = scene.pause <= WRITE && !messages.iter().any(is_word);
    match (replies.next(), error) {
        (Some(Message::ErrorReply(reply)), Some(error)) if is_read => {
            let code = match begins_tls(stream) {
                true => ErrorCode::TlsNotOffered.get(),
                false => error.reply().code,
            };
            assert_eq!(reply.code, code);
        }
        (Some(Message::ErrorReply(_)), _) => assert!(consumed < stream.len() || ended),
        (Some(other), _) => panic!("{other:?} answers nothing"),
        (None, _) => assert!(ended || consumed == stream.len(), "it is told"),
    }
    assert!(replies.next().is_none());
}
