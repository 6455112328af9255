//! The actor's transitions, one scenario a function: given a state, an event happens, and these effects are
//! expected, no more and no others.

// Long because: it has one short scenario for each handler and each error, and they share helper functions.

use std::time::Duration;

use ipseity_core::{
    actor::{
        Actor, ActorConfig, Effect, Event, HangUp, JoinMode, Objected, Outcome, Report, Tally,
        Write, Written,
    },
    identity::{Identity, Pid, Sequence},
    ids::{ConnectionId, Count, Link, PeerId},
    limits::{BOOT_JUMP_MAX, CLAIM_WAIT, JOIN_WAIT, SAVE_BURST},
    time::Instant,
    words::{ErrorCode, ErrorReply, Message, Objection, Stage, Standing, SyncMessage, Told},
};
use ipseity_frames::{Kind, WireError};
use ipseity_sim::config::{actor_config, peer_says};

const ALICE: ConnectionId = ConnectionId::new(0, 1);
const BOB: ConnectionId = ConnectionId::new(1, 2);
const PEER: PeerId = PeerId(0);
const OTHER_PEER: PeerId = PeerId(1);

const CEILING_WRITTEN: Event = Event::Written(Written::Ceiling(Outcome::Durable));
const CEILING_FAILED: Event = Event::Written(Written::Ceiling(Outcome::Failed));

/// An actor, and the time at which the next event happens to it.
struct Scene {
    actor: Actor,
    now: Instant,
}

/// A fresh actor of pid 1 under a durable ceiling of 2000, long after its start.
fn fresh() -> Scene {
    given(|_| {})
}

fn given(change: impl FnOnce(&mut ActorConfig)) -> Scene {
    let mut config = actor_config();
    change(&mut config);
    Scene {
        actor: Actor::new(config),
        now: Instant::from_nanos(1_000_000_000_000),
    }
}

impl Scene {
    fn on(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.actor.handle(event, self.now, &mut effects);
        crate::without_told(&mut effects);
        // Saving the memory of the peers and reporting large raises have tests of their own.
        effects.retain(|effect| {
            !matches!(
                effect,
                Effect::Write(Write::Members(_))
                    | Effect::Report(Report::Raised { .. } | Report::Advanced { .. })
            )
        });
        effects
    }

    fn ask(&mut self, from: ConnectionId, count: u32) -> Vec<Effect> {
        self.on(identity_request(from, count, 0))
    }

    fn sequence(&self) -> u64 {
        self.actor.sequence().get()
    }

    fn wait(&mut self, wait: Duration) {
        self.now = self.now.after(wait);
    }

    /// The peer is connected and has answered the first request.
    fn meet(&mut self, peer: PeerId, pid: u16) {
        self.on(Event::PeerConnected(peer));
        self.on(sync_reply(peer, hello(pid, 0)));
    }
}

fn sequence(value: u64) -> Sequence {
    Sequence::new(value).unwrap()
}

/// The identity of pid 1 with this sequence.
fn identity(value: u64) -> u64 {
    Identity::new(sequence(value), Pid::new(1).unwrap()).get()
}

fn identity_request(from: ConnectionId, count: u32, after: u64) -> Event {
    let count = Count::saturating(count);
    Event::IdentityRequest { from, count, after }
}

fn unknown(from: ConnectionId) -> Event {
    let error = Box::new(WireError::EmptyFrame.reply());
    Event::Unknown { from, error }
}

/// What a peer says about itself.
fn hello(pid: u16, sequence: u64) -> SyncMessage {
    SyncMessage {
        incarnation: 0x2222,
        boot: 9,
        session: 0x52,
        sequence,
        ..peer_says(Pid::new(pid).unwrap())
    }
}

/// What this actor says about itself.
fn own(sequence: u64) -> Box<SyncMessage> {
    let config = actor_config();
    Box::new(SyncMessage {
        cluster: config.cluster,
        incarnation: config.incarnation,
        boot: config.boot,
        session: config.session,
        sequence,
        ..peer_says(config.pid)
    })
}

fn sync_request(from: ConnectionId, sync: SyncMessage) -> Event {
    let sync = Box::new(sync);
    Event::SyncRequest { from, sync }
}

fn sync_reply(from: PeerId, sync: SyncMessage) -> Event {
    let sync = Box::new(sync);
    Event::SyncReply { from, sync }
}

fn error_reply(from: PeerId, code: ErrorCode) -> Event {
    let error = refusal(code);
    Event::ErrorReply { from, error }
}

fn refusal(code: ErrorCode) -> Box<ErrorReply> {
    Box::new(ErrorReply::new(code, "no"))
}

fn identities(to: ConnectionId, first: u64, count: u32) -> Effect {
    let first = Identity::new(sequence(first), Pid::new(1).unwrap());
    Effect::ReplyIdentities { to, first, count }
}

fn error(to: ConnectionId, code: ErrorCode, text: &str) -> Effect {
    let message = Message::ErrorReply(Box::new(ErrorReply::new(code, text)));
    Effect::Reply { to, message }
}

fn synced(to: ConnectionId, sequence: u64) -> Effect {
    let message = Message::SyncReply(own(sequence));
    Effect::Reply { to, message }
}

/// The answer of a server at this stage, which does not absorb the sequence of the question if there is a reason.
fn synced_as(to: ConnectionId, sequence: u64, stage: Stage, refused: Option<ErrorCode>) -> Effect {
    let mut sync = own(sequence);
    sync.told.stage = stage;
    sync.told.refused = refused.map_or(0, ErrorCode::get);
    let message = Message::SyncReply(sync);
    Effect::Reply { to, message }
}

fn asked(to: PeerId, sequence: u64) -> Effect {
    let message = Message::SyncRequest(own(sequence));
    Effect::Send { to, message }
}

fn write_ceiling(at: u64, ceiling: u64) -> Effect {
    Effect::Write(Write::Ceiling {
        sequence: sequence(at),
        ceiling: sequence(ceiling),
    })
}

fn peer_up(link: Link, pid: u16, sequence: u64) -> Effect {
    let pid = Pid::new(pid).unwrap();
    Effect::Report(Report::PeerUp {
        link,
        pid,
        sequence,
    })
}

fn peer_down(link: Link, pid: u16) -> Effect {
    let pid = Pid::new(pid).unwrap();
    Effect::Report(Report::PeerDown { link, pid })
}

fn storage_failed(to: ConnectionId) -> Effect {
    error(
        to,
        ErrorCode::Storage,
        "this server cannot write its state directory and is about to exit: ask another one",
    )
}

fn stopping(to: ConnectionId) -> Effect {
    error(
        to,
        ErrorCode::Stopping,
        "this server is stopping: ask another one",
    )
}

fn bad_count(to: ConnectionId) -> Effect {
    error(
        to,
        ErrorCode::BadCount,
        "count must be 1 to 500 (--max-count)",
    )
}

/// The text of a refusal, by whom it concerns.
fn beyond_max_advance(whom: &str) -> String {
    format!(
        "sequence 1000001 is 1000001 ahead of {whom}, more than --max-advance 1000000 allows at once"
    )
}

// Identity requests.

#[test]
fn each_request_is_answered_with_the_next_identity() {
    let mut scene = fresh();
    assert_eq!(scene.ask(ALICE, 1), vec![identities(ALICE, 1, 1)]);
    assert_eq!(scene.ask(BOB, 1), vec![identities(BOB, 2, 1)]);
    assert_eq!(scene.sequence(), 2);
}

#[test]
fn a_block_is_contiguous_and_the_next_request_begins_after_it() {
    let mut scene = fresh();
    assert_eq!(scene.ask(ALICE, 500), vec![identities(ALICE, 1, 500)]);
    assert_eq!(scene.ask(BOB, 1), vec![identities(BOB, 501, 1)]);
}

#[test]
fn a_count_of_zero_or_over_the_limit_is_refused_and_changes_nothing() {
    let mut scene = fresh();
    for count in [0, 501, u32::MAX] {
        assert_eq!(scene.ask(ALICE, count), vec![bad_count(ALICE)]);
    }
    assert_eq!(scene.sequence(), 0);
    let refused = Tally {
        refused: 3,
        ..Tally::default()
    };
    assert_eq!(scene.actor.tally(), refused);
}

#[test]
fn an_after_that_is_smaller_or_equal_changes_nothing() {
    let mut scene = fresh();
    scene.ask(ALICE, 10);
    let effects = scene.on(identity_request(ALICE, 1, identity(9)));
    assert_eq!(effects, vec![identities(ALICE, 11, 1)]);
    let effects = scene.on(identity_request(ALICE, 1, identity(11)));
    assert_eq!(effects, vec![identities(ALICE, 12, 1)]);
    assert_eq!(scene.actor.tally().absorbed, 0);
}

#[test]
fn an_after_that_is_larger_is_absorbed() {
    let mut scene = fresh();
    // The pid in it does not matter: the sequence is what counts.
    let after = Identity::new(sequence(700), Pid::MAX).get();
    let effects = scene.on(identity_request(ALICE, 3, after));
    assert_eq!(effects, vec![identities(ALICE, 701, 3)]);
    assert_eq!(scene.sequence(), 703);
    assert_eq!(scene.actor.tally().absorbed, 1);
}

#[test]
fn an_after_too_far_ahead_is_refused_and_changes_nothing() {
    let mut scene = fresh();
    let text = format!("after: {}", beyond_max_advance("this server"));
    let refused = error(ALICE, ErrorCode::AdvanceTooLarge, &text);
    for _ in 0..2 {
        let effects = scene.on(identity_request(ALICE, 1, identity(1_000_001)));
        assert_eq!(effects, vec![advance_refused(&text), refused.clone()]);
    }
    assert_eq!(scene.sequence(), 0);
    // One less is the furthest that is allowed. The disk has to allow it first.
    let effects = scene.on(identity_request(ALICE, 1, identity(1_000_000)));
    // A single jump is not lasting demand, so the step is the smallest.
    assert_eq!(effects, vec![write_ceiling(0, 1_000_001 + 1024)]);
}

#[test]
fn an_after_beyond_every_identity_is_refused() {
    for after in [1 << 63, u64::MAX] {
        let mut scene = fresh();
        let text =
            format!("after {after} is beyond the last identity there is, 9223372036854775807");
        assert_eq!(
            scene.on(identity_request(ALICE, 1, after)),
            vec![
                advance_refused(&text),
                error(ALICE, ErrorCode::AdvanceTooLarge, &text)
            ]
        );
        assert_eq!(scene.sequence(), 0);
    }
}

#[test]
fn a_block_that_crosses_the_end_is_refused_and_a_smaller_one_is_not() {
    let last = Sequence::MAX.get();
    let mut scene = given(|config| {
        config.sequence = sequence(last - 10);
        config.ceiling = Sequence::MAX;
    });
    assert!(scene.actor.start_report().is_some());
    assert_eq!(
        scene.ask(ALICE, 11),
        vec![error(
            ALICE,
            ErrorCode::Exhausted,
            "only 10 sequences are left, and the count asks for more"
        )]
    );
    assert_eq!(
        scene.ask(ALICE, 10),
        vec![
            identities(ALICE, last - 9, 10),
            Effect::Report(Report::Exhausted)
        ],
        "a refused request takes nothing"
    );
    assert_eq!(
        scene.ask(ALICE, 1),
        vec![error(
            ALICE,
            ErrorCode::Exhausted,
            "only 0 sequences are left, and the count asks for more"
        )]
    );
    assert_eq!(scene.sequence(), last);
}

#[test]
fn an_after_at_the_end_leaves_nothing_and_takes_nothing() {
    let last = Sequence::MAX.get();
    let mut scene = given(|config| {
        config.sequence = sequence(last - 10);
        config.ceiling = Sequence::MAX;
    });
    assert!(scene.actor.start_report().is_some());
    assert_eq!(
        scene.on(identity_request(ALICE, 1, i64::MAX as u64)),
        vec![error(
            ALICE,
            ErrorCode::Exhausted,
            "only 0 sequences are left, and the count asks for more"
        )]
    );
    assert_eq!(scene.ask(ALICE, 1), vec![identities(ALICE, last - 9, 1)]);
}

// The disk.

#[test]
fn the_ceiling_is_raised_once_when_half_is_left() {
    let mut scene = fresh();
    scene.ask(ALICE, 500);
    assert_eq!(scene.ask(ALICE, 499), vec![identities(ALICE, 501, 499)]);
    assert_eq!(
        scene.ask(ALICE, 1),
        vec![identities(ALICE, 1000, 1), write_ceiling(1000, 2000 + 1024)]
    );
    assert_eq!(
        scene.ask(ALICE, 500),
        vec![identities(ALICE, 1001, 500)],
        "one raise at a time"
    );
    assert_eq!(scene.on(CEILING_WRITTEN), vec![]);
    assert_eq!(scene.actor.ceiling(), sequence(3024));
}

#[test]
fn requests_above_the_ceiling_are_answered_once_the_raise_is_durable() {
    let mut scene = given(|config| config.ceiling = sequence(10));
    assert_eq!(
        scene.ask(ALICE, 8),
        vec![identities(ALICE, 1, 8), write_ceiling(8, 10 + 1024)]
    );
    assert_eq!(scene.ask(ALICE, 3), vec![]);
    assert_eq!(scene.ask(BOB, 1), vec![]);
    assert_eq!(scene.sequence(), 8, "never what may be taken back");
    let tally = scene.actor.tally();
    assert_eq!((tally.identity_requests, tally.identities), (1, 8));
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![identities(ALICE, 9, 3), identities(BOB, 12, 1)]
    );
    assert_eq!(scene.sequence(), 12);
    let tally = scene.actor.tally();
    assert_eq!((tally.identity_requests, tally.identities), (3, 12));
    assert_eq!(tally.waited, 2);
}

#[test]
fn a_raise_that_is_not_enough_is_followed_by_another() {
    let mut scene = given(|config| config.ceiling = sequence(10));
    assert_eq!(scene.ask(ALICE, 11), vec![write_ceiling(10, 11 + 1024)]);
    // Two more requests, the second of which the write does not cover.
    assert_eq!(
        scene.on(identity_request(BOB, 1, identity(1000))),
        Vec::new()
    );
    assert_eq!(
        scene.on(identity_request(BOB, 1, identity(5000))),
        Vec::new()
    );
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![
            identities(ALICE, 1, 11),
            identities(BOB, 1001, 1),
            // A single jump is not lasting demand, so the step is the smallest.
            write_ceiling(1001, 5001 + 1024)
        ]
    );
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![identities(BOB, 5001, 1)],
        "and no other raise is due"
    );
}

#[test]
fn replies_of_one_connection_keep_their_order_while_others_go_on() {
    let mut scene = given(|config| config.ceiling = sequence(10));
    assert_eq!(scene.ask(ALICE, 11), vec![write_ceiling(10, 11 + 1024)]);
    // All of these come after the reply that waits for the disk ...
    assert_eq!(
        scene.on(Event::StatusRequest { from: ALICE }),
        Vec::<Effect>::new()
    );
    assert_eq!(scene.ask(ALICE, 0), vec![]);
    let link = Link::Accepted(ALICE);
    assert_eq!(
        scene.on(sync_request(ALICE, hello(2, 3))),
        vec![peer_up(link, 2, 3)]
    );
    assert_eq!(scene.on(unknown(ALICE)), vec![]);
    // ... and none of these, which belong to another connection.
    assert_eq!(
        scene.on(Event::StatusRequest { from: BOB }),
        vec![Effect::ReplyStatus { to: BOB }]
    );
    assert_eq!(scene.ask(BOB, 0), vec![bad_count(BOB)]);
    assert_eq!(
        scene.on(sync_request(BOB, hello(3, 4))),
        vec![peer_up(Link::Accepted(BOB), 3, 4), synced(BOB, 4)]
    );
    assert_eq!(
        scene.on(unknown(BOB)),
        vec![
            error(
                BOB,
                ErrorCode::BadLength,
                "frame length 0: a frame has at least its kind byte"
            ),
            Effect::Close(BOB)
        ]
    );
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![
            identities(ALICE, 1, 11),
            Effect::ReplyStatus { to: ALICE },
            bad_count(ALICE),
            synced(ALICE, 3),
            error(
                ALICE,
                ErrorCode::BadLength,
                "frame length 0: a frame has at least its kind byte"
            ),
            Effect::Close(ALICE),
        ]
    );
}

#[test]
fn when_the_disk_fails_waiting_requests_are_refused_and_the_rest_is_still_served() {
    let mut scene = given(|config| config.ceiling = sequence(10));
    scene.ask(ALICE, 6);
    assert_eq!(scene.ask(ALICE, 5), vec![]);
    assert_eq!(scene.on(Event::StatusRequest { from: ALICE }), vec![]);
    assert_eq!(scene.ask(BOB, 1), vec![]);
    assert_eq!(
        scene.on(CEILING_FAILED),
        vec![
            storage_failed(ALICE),
            Effect::ReplyStatus { to: ALICE },
            storage_failed(BOB),
            Effect::Report(Report::StorageFailed),
        ]
    );
    assert_eq!(scene.actor.standing(), Standing::StorageFailed);
    assert_eq!(scene.sequence(), 6, "refused requests have taken nothing");
    let tally = scene.actor.tally();
    assert_eq!((tally.identity_requests, tally.identities), (1, 6));
    assert_eq!(tally.refused, 2);
    assert_eq!(scene.ask(ALICE, 5), vec![storage_failed(ALICE)]);
    assert_eq!(scene.ask(ALICE, 4), vec![identities(ALICE, 7, 4)]);
    assert_eq!(scene.ask(ALICE, 1), vec![storage_failed(ALICE)]);
    assert_eq!(
        scene.on(identity_request(BOB, 1, u64::MAX)),
        vec![storage_failed(BOB)]
    );
}

#[test]
fn after_a_failure_nothing_is_absorbed_and_the_disk_is_not_asked_again() {
    let mut scene = fresh();
    scene.ask(ALICE, 500);
    assert_eq!(
        scene.ask(ALICE, 500),
        vec![identities(ALICE, 501, 500), write_ceiling(1000, 3024)]
    );
    scene.on(CEILING_FAILED);
    let link = Link::Accepted(BOB);
    assert_eq!(
        scene.on(sync_request(BOB, hello(2, 1900))),
        vec![peer_up(link, 2, 1900), synced(BOB, 1000)]
    );
    assert_eq!(scene.ask(ALICE, 500), vec![identities(ALICE, 1001, 500)]);
    assert_eq!(scene.ask(ALICE, 500), vec![identities(ALICE, 1501, 500)]);
    assert_eq!(scene.on(Event::Stop), vec![], "it is about to exit anyway");
}

// Stopping.

#[test]
fn a_stop_refuses_new_requests_and_makes_the_exact_sequence_durable() {
    let mut scene = fresh();
    scene.ask(ALICE, 7);
    let stop = Effect::Write(Write::Stop {
        sequence: sequence(7),
    });
    assert_eq!(scene.on(Event::Stop), vec![stop]);
    assert_eq!(scene.ask(ALICE, 1), vec![stopping(ALICE)]);
    assert_eq!(
        scene.on(Event::StatusRequest { from: ALICE }),
        vec![Effect::ReplyStatus { to: ALICE }]
    );
    assert_eq!(
        scene.on(sync_request(BOB, hello(2, 100))),
        vec![
            peer_up(Link::Accepted(BOB), 2, 100),
            synced_as(BOB, 7, Stage::Rests, None)
        ],
        "the sequence on its way to the disk does not change any more"
    );
    assert_eq!(
        scene.on(Event::Stop),
        vec![],
        "a second one changes nothing"
    );
}

#[test]
fn a_stop_waits_for_the_write_that_is_under_way() {
    let mut scene = given(|config| config.ceiling = sequence(10));
    scene.ask(ALICE, 8);
    assert_eq!(scene.ask(ALICE, 4), vec![]);
    assert_eq!(scene.on(Event::Stop), vec![]);
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![
            identities(ALICE, 9, 4),
            Effect::Write(Write::Stop {
                sequence: sequence(12)
            })
        ]
    );
}

#[test]
fn a_stop_waits_until_everything_that_was_decided_is_durable() {
    let mut scene = given(|config| config.ceiling = sequence(10));
    scene.ask(ALICE, 11);
    for _ in 0..3 {
        assert_eq!(scene.ask(BOB, 500), vec![]);
    }
    assert_eq!(scene.on(Event::Stop), vec![]);
    scene.wait(Duration::from_secs(1000));
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![
            identities(ALICE, 1, 11),
            identities(BOB, 12, 500),
            identities(BOB, 512, 500),
            write_ceiling(1035, 1511 + 1024)
        ],
        "one write did not cover it"
    );
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![
            identities(BOB, 1012, 500),
            Effect::Write(Write::Stop {
                sequence: sequence(1511)
            })
        ]
    );
}

#[test]
fn a_stop_refuses_waiting_requests_that_are_not_decided_yet() {
    let mut scene = given(|config| config.ceiling = sequence(10));
    assert_eq!(
        scene.on(identity_request(BOB, 1, identity(5000))),
        vec![write_ceiling(0, 5001 + 1024)]
    );
    assert_eq!(scene.ask(BOB, 1), vec![]);
    assert_eq!(
        scene.on(Event::Stop),
        vec![stopping(BOB), stopping(BOB)],
        "nobody knows how long the disk takes"
    );
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![Effect::Write(Write::Stop {
            sequence: sequence(0)
        })]
    );
}

#[test]
fn a_disk_that_fails_during_a_stop_ends_the_stop() {
    let mut scene = given(|config| config.ceiling = sequence(10));
    scene.ask(ALICE, 11);
    scene.on(Event::Stop);
    assert_eq!(
        scene.on(CEILING_FAILED),
        vec![storage_failed(ALICE), Effect::Report(Report::StorageFailed)]
    );
    assert_eq!(scene.actor.standing(), Standing::StorageFailed);
}

// Asking peers.

#[test]
fn a_peer_is_asked_as_soon_as_it_is_connected_and_then_with_every_tick() {
    let mut scene = fresh();
    scene.ask(ALICE, 3);
    assert_eq!(
        scene.on(Event::PeerConnected(PEER)),
        vec![Effect::StartTicker, asked(PEER, 3)]
    );
    assert_eq!(
        scene.on(sync_reply(PEER, hello(2, 1))),
        vec![peer_up(Link::Dialed(PEER), 2, 1)]
    );
    assert_eq!(scene.on(Event::SyncTimeout), vec![asked(PEER, 3)]);
}

#[test]
fn the_ticker_runs_while_any_dialed_peer_is_connected() {
    let mut scene = fresh();
    let dialed = |peer| Event::PeerDisconnected(Link::Dialed(peer));
    assert_eq!(
        scene.on(Event::PeerConnected(PEER)),
        vec![Effect::StartTicker, asked(PEER, 0)]
    );
    assert_eq!(
        scene.on(Event::PeerConnected(OTHER_PEER)),
        vec![asked(OTHER_PEER, 0)]
    );
    assert_eq!(scene.on(dialed(PEER)), vec![]);
    assert_eq!(scene.on(dialed(OTHER_PEER)), vec![Effect::StopTicker]);
}

#[test]
fn an_accepted_peer_neither_starts_nor_stops_the_ticker() {
    let mut scene = fresh();
    assert_eq!(
        scene.on(sync_request(BOB, hello(2, 0))),
        vec![peer_up(Link::Accepted(BOB), 2, 0), synced(BOB, 0)]
    );
    assert_eq!(scene.on(Event::SyncTimeout), vec![]);
    scene.on(Event::PeerConnected(PEER));
    let accepted = Event::PeerDisconnected(Link::Accepted(BOB));
    assert_eq!(scene.on(accepted), vec![peer_down(Link::Accepted(BOB), 2)]);
    assert!(!scene.actor.links().contains_key(&Link::Accepted(BOB)));
}

#[test]
fn a_silent_peer_is_not_asked_again_and_is_hung_up_on_in_the_end() {
    let mut scene = fresh();
    scene.on(Event::PeerConnected(PEER));
    scene.wait(Duration::from_millis(4999));
    assert_eq!(scene.on(Event::SyncTimeout), vec![]);
    scene.wait(Duration::from_millis(1));
    assert_eq!(
        scene.on(Event::SyncTimeout),
        vec![Effect::HangUp {
            peer: PEER,
            cause: HangUp::Silent(Duration::from_secs(5))
        }]
    );
}

#[test]
fn a_reply_raises_the_sequence_and_a_smaller_one_does_not() {
    let mut scene = fresh();
    scene.meet(PEER, 2);
    assert_eq!(scene.on(sync_reply(PEER, hello(2, 900))), vec![]);
    assert_eq!(scene.sequence(), 900);
    assert_eq!(scene.on(sync_reply(PEER, hello(2, 800))), vec![]);
    assert_eq!(scene.on(sync_reply(PEER, hello(2, 900))), vec![]);
    assert_eq!(scene.sequence(), 900);
    assert_eq!(scene.ask(ALICE, 1), vec![identities(ALICE, 901, 1)]);
    assert_eq!(scene.actor.tally().absorbed, 1);
    assert_eq!(scene.actor.tally().sync_replies, 4);
}

#[test]
fn absorbing_raises_the_ceiling_like_handing_out() {
    let mut scene = fresh();
    scene.meet(PEER, 2);
    assert_eq!(
        scene.on(sync_reply(PEER, hello(2, 5000))),
        // 5000 in 1000 seconds is less than the smallest step.
        vec![write_ceiling(0, 5000 + 1024)]
    );
    assert_eq!(scene.sequence(), 0, "never what is not durable");
    assert_eq!(
        scene.ask(ALICE, 1),
        vec![identities(ALICE, 1, 1)],
        "it waits alone"
    );
    assert_eq!(scene.on(CEILING_WRITTEN), vec![]);
    assert_eq!(scene.sequence(), 5000);
    assert_eq!(scene.ask(ALICE, 1), vec![identities(ALICE, 5001, 1)]);
    assert_eq!(scene.actor.tally().absorbed, 1);
}

#[test]
fn a_late_reply_from_a_peer_that_is_gone_does_nothing() {
    let mut scene = fresh();
    scene.meet(PEER, 2);
    scene.on(Event::PeerDisconnected(Link::Dialed(PEER)));
    assert_eq!(scene.on(sync_reply(PEER, hello(2, 900))), vec![]);
    assert_eq!(
        scene.on(error_reply(PEER, ErrorCode::SamePid)),
        Vec::<Effect>::new()
    );
    assert_eq!(scene.sequence(), 0);
    assert!(scene.actor.links().is_empty());
}

#[test]
fn a_wrong_peer_that_answers_is_hung_up_on() {
    for (answer, code, text) in wrong_peers() {
        let mut scene = fresh();
        scene.on(Event::PeerConnected(PEER));
        let mut expected = conflict(code, Link::Dialed(PEER), text, 5);
        expected.push(Effect::HangUp {
            peer: PEER,
            cause: HangUp::Refused(Box::new(ErrorReply::new(code, text))),
        });
        assert_eq!(scene.on(sync_reply(PEER, answer)), expected);
        assert_eq!(scene.sequence(), 0);
        assert_eq!(scene.actor.tally().sync_replies, 0);
    }
}

/// What a server does first when it meets its own pid, at the sequence `heard`.
fn conflict(code: ErrorCode, by: Link, why: &str, heard: u64) -> Vec<Effect> {
    if code != ErrorCode::SamePid {
        return Vec::new();
    }
    let objected = Report::Objected {
        standing: Standing::Conflict,
        above: sequence(heard),
        by,
        why: why.to_owned(),
    };
    vec![
        Effect::Write(Write::Objection(Objected::conflict(sequence(heard)))),
        Effect::Report(objected),
    ]
}

fn advance_refused(text: &str) -> Effect {
    let error = Box::new(ErrorReply::new(ErrorCode::AdvanceTooLarge, text));
    Effect::Report(Report::AdvanceRefused { from: ALICE, error })
}

/// Peers that every server refuses: of another cluster, with the same pid, and the server itself.
fn wrong_peers() -> [(SyncMessage, ErrorCode, &'static str); 3] {
    let mut foreign = hello(2, 5);
    foreign.cluster = "other".parse().unwrap();
    let mut twin = hello(1, 5);
    twin.session = 0x77;
    let mut oneself = hello(1, 5);
    oneself.session = actor_config().session;
    [
        (
            foreign,
            ErrorCode::ForeignCluster,
            "a server of cluster \"ipseity\" refuses one of cluster \"other\": check --cluster and --peer on both",
        ),
        (
            twin,
            ErrorCode::SamePid,
            "pid 1 is this server's pid too, so both stop handing out identities: start the one that keeps it with --recover-above, and the other with an unused --pid",
        ),
        (
            oneself,
            ErrorCode::Oneself,
            "a server was named as its own peer, which does no harm",
        ),
    ]
}

/// What a peer says with this boot, and the error that refuses it.
fn far(pid: u16, boot: u64, known: u64) -> (SyncMessage, Box<ErrorReply>) {
    let text = format!(
        "boot {boot} of pid {pid} is more than 4294967296 above the last one known here, {known}: no server starts so \
         often, so look at who speaks for that pid, and at its state directory"
    );
    let sync = SyncMessage {
        boot,
        ..hello(pid, 5)
    };
    (sync, Box::new(ErrorReply::new(ErrorCode::BootTooFar, text)))
}

#[test]
fn a_boot_that_jumps_too_far_is_refused_and_nothing_of_it_is_remembered() {
    // Pid 2 is known with boot 9, pid 3 is not known, and pid 1 is the server's own, with boot 1.
    for (pid, known) in [(2, 9), (3, 0), (1, 1)] {
        for boot in [known + BOOT_JUMP_MAX + 1, u64::MAX] {
            let mut scene = fresh();
            scene.meet(PEER, 2);
            let before = scene.actor.members().clone();
            let (sync, error) = far(pid, boot, known);
            let expected = [
                Effect::Report(Report::Refused {
                    from: ALICE,
                    error: error.clone(),
                }),
                Effect::Reply {
                    to: ALICE,
                    message: Message::ErrorReply(error),
                },
                Effect::Close(ALICE),
            ];
            assert_eq!(
                scene.on(sync_request(ALICE, sync)),
                expected,
                "{pid} {boot}"
            );
            assert_eq!(scene.actor.members(), &before);
            assert_eq!(
                (scene.actor.standing(), scene.sequence()),
                (Standing::Serving, 0)
            );
        }
    }
}

#[test]
fn a_boot_that_jumps_as_far_as_it_may_is_remembered() {
    let mut scene = fresh();
    for boot in [BOOT_JUMP_MAX, 2 * BOOT_JUMP_MAX] {
        let (mut sync, _) = far(3, boot, 0);
        sync.session = boot;
        scene.on(sync_request(ALICE, sync));
        let known = &scene.actor.members()[&Pid::new(3).unwrap()];
        assert_eq!(known.remembered.boot, boot);
        assert_eq!(known.objection(), None);
    }
}

#[test]
fn a_peer_that_answers_with_a_boot_too_far_is_hung_up_on() {
    let mut scene = fresh();
    scene.on(Event::PeerConnected(PEER));
    let (sync, error) = far(2, u64::MAX, 0);
    let expected = Effect::HangUp {
        peer: PEER,
        cause: HangUp::Refused(error),
    };
    assert_eq!(scene.on(sync_reply(PEER, sync)), vec![expected]);
    assert!(scene.actor.members().is_empty());
}

#[test]
fn who_is_not_believed_to_be_a_peer_is_reported_and_its_connection_ends() {
    for (code, ends) in [(ErrorCode::NotAPeer, true), (ErrorCode::NotTrusted, false)] {
        let error = refusal(code);
        let reply = Effect::Reply {
            to: ALICE,
            message: Message::ErrorReply(error.clone()),
        };
        let report = Effect::Report(Report::Refused {
            from: ALICE,
            error: error.clone(),
        });
        let expected = match ends {
            true => vec![report, reply, Effect::Close(ALICE)],
            false => vec![reply],
        };
        let denied = Event::Denied { from: ALICE, error };
        assert_eq!(fresh().on(denied), expected, "{code}");
    }
}

#[test]
fn a_join_goes_on_while_a_peer_does_not_know_the_address() {
    let mut scene = joining(false);
    scene.on(Event::PeerConnected(PEER));
    scene.on(error_reply(PEER, ErrorCode::NotAPeer));
    assert_eq!(scene.actor.standing(), Standing::Joining);
}

#[test]
fn a_peer_that_refuses_this_server_is_hung_up_on() {
    for code in [
        ErrorCode::ForeignCluster,
        ErrorCode::ForeignVersion,
        ErrorCode::SamePid,
        ErrorCode::Oneself,
        ErrorCode::NotAPeer,
        ErrorCode::BootTooFar,
        ErrorCode::TooManyConnections,
    ] {
        let mut scene = fresh();
        scene.on(Event::PeerConnected(PEER));
        let mut expected = conflict(code, Link::Dialed(PEER), &refusal(code).message, 0);
        expected.push(Effect::HangUp {
            peer: PEER,
            cause: HangUp::RefusedBy(refusal(code)),
        });
        assert_eq!(scene.on(error_reply(PEER, code)), expected);
    }
}

#[test]
fn an_unknown_error_code_is_taken_for_a_refusal() {
    let mut scene = fresh();
    scene.on(Event::PeerConnected(PEER));
    let error = Box::new(ErrorReply {
        code: 999,
        message: "no".to_owned(),
    });
    assert_eq!(
        scene.on(Event::ErrorReply {
            from: PEER,
            error: error.clone()
        }),
        vec![Effect::HangUp {
            peer: PEER,
            cause: HangUp::RefusedBy(error)
        }]
    );
}

#[test]
fn a_round_that_the_peer_refuses_is_reported_once_and_the_connection_stays_open() {
    let mut scene = fresh();
    scene.meet(PEER, 2);
    let code = ErrorCode::AdvanceTooLarge;
    let link = Link::Dialed(PEER);
    let told = Effect::Report(Report::RoundRefused {
        link,
        error: refusal(code),
    });
    scene.on(Event::SyncTimeout);
    assert_eq!(scene.on(error_reply(PEER, code)), vec![told.clone()]);
    assert_eq!(
        scene.on(Event::SyncTimeout),
        vec![asked(PEER, 0)],
        "it has answered"
    );
    assert_eq!(scene.on(error_reply(PEER, code)), vec![]);
    // A round that succeeds makes the next refusal news.
    scene.on(sync_reply(PEER, hello(2, 0)));
    assert_eq!(scene.on(error_reply(PEER, code)), vec![told]);
}

#[test]
fn a_reply_too_far_ahead_is_refused_and_reported_once() {
    let mut scene = fresh();
    scene.meet(PEER, 2);
    let beyond = beyond_max_advance("the server that was told it");
    let text = format!("sequence of a peer: {beyond}");
    let told = Effect::Report(Report::RoundRefused {
        link: Link::Dialed(PEER),
        error: Box::new(ErrorReply::new(ErrorCode::AdvanceTooLarge, text)),
    });
    assert_eq!(
        scene.on(sync_reply(PEER, hello(2, 1_000_001))),
        vec![told.clone()]
    );
    assert_eq!(scene.on(sync_reply(PEER, hello(2, 1_000_001))), vec![]);
    assert_eq!(scene.sequence(), 0);
    assert_eq!(
        scene.on(Event::SyncTimeout),
        vec![asked(PEER, 0)],
        "the connection goes on"
    );
    scene.on(sync_reply(PEER, hello(2, 0)));
    assert_eq!(
        scene.on(sync_reply(PEER, hello(2, 1_000_001))),
        vec![told],
        "reported again after a round that succeeded"
    );
}

// Answering peers.

#[test]
fn a_sync_request_raises_the_sequence_and_is_answered_with_the_larger_one() {
    let mut scene = fresh();
    assert_eq!(
        scene.on(sync_request(BOB, hello(2, 40))),
        vec![peer_up(Link::Accepted(BOB), 2, 40), synced(BOB, 40)]
    );
    scene.ask(ALICE, 10);
    assert_eq!(
        scene.on(sync_request(BOB, hello(2, 45))),
        vec![synced(BOB, 50)]
    );
    assert_eq!(scene.actor.tally().sync_requests, 2);
}

#[test]
fn a_peer_that_is_heard_on_two_links_is_announced_once() {
    let mut scene = fresh();
    scene.meet(PEER, 2);
    assert_eq!(
        scene.on(sync_request(BOB, hello(2, 0))),
        vec![synced(BOB, 0)]
    );
    let (dialed, accepted) = (Link::Dialed(PEER), Link::Accepted(BOB));
    assert_eq!(
        scene.on(Event::PeerDisconnected(dialed)),
        vec![Effect::StopTicker]
    );
    assert_eq!(
        scene.on(Event::PeerDisconnected(accepted)),
        vec![peer_down(accepted, 2)]
    );
}

#[test]
fn a_peers_sequence_above_the_ceiling_is_not_passed_on_before_it_is_durable() {
    let mut scene = fresh();
    assert_eq!(
        scene.on(sync_request(BOB, hello(2, 2500))),
        vec![
            peer_up(Link::Accepted(BOB), 2, 2500),
            write_ceiling(0, 2500 + 1024),
            synced(BOB, 0)
        ]
    );
    assert_eq!(scene.on(CEILING_WRITTEN), vec![]);
    assert_eq!(
        scene.on(sync_request(BOB, hello(2, 2500))),
        vec![synced(BOB, 2500)]
    );
}

#[test]
fn a_wrong_peer_that_asks_is_told_why_and_closed() {
    for (question, code, text) in wrong_peers() {
        let mut scene = fresh();
        let mut expected = conflict(code, Link::Accepted(BOB), text, 5);
        if code == ErrorCode::SamePid {
            let objection = Objection::new(
                question.pid,
                question.session,
                ErrorCode::PidConflict,
                5,
                text,
            );
            expected.push(Effect::Tell {
                to: Link::Accepted(BOB),
                message: Message::Objection(Box::new(objection)),
            });
        }
        expected.extend([
            Effect::Report(Report::Refused {
                from: BOB,
                error: Box::new(ErrorReply::new(code, text)),
            }),
            error(BOB, code, text),
            Effect::Close(BOB),
        ]);
        assert_eq!(scene.on(sync_request(BOB, question)), expected);
        assert_eq!(scene.sequence(), 0);
        assert!(scene.actor.links().is_empty());
    }
}

#[test]
fn a_peer_of_another_version_is_told_why_and_reported() {
    let mut scene = fresh();
    let wrong = WireError::ForeignVersion {
        kind: Kind::SyncRequest,
        version: 7,
    };
    let text = "syncRequest of version 7: this server speaks version 2; upgrade the one with the lower version";
    let code = ErrorCode::ForeignVersion;
    assert_eq!(
        scene.on(Event::Unknown {
            from: BOB,
            error: Box::new(wrong.reply())
        }),
        vec![
            Effect::Report(Report::Refused {
                from: BOB,
                error: Box::new(ErrorReply::new(code, text))
            }),
            error(BOB, code, text),
            Effect::Close(BOB),
        ]
    );
}

#[test]
fn a_peer_too_far_ahead_is_refused_and_its_connection_stays_open() {
    let mut scene = fresh();
    let link = Link::Accepted(BOB);
    let beyond = beyond_max_advance("the server that was told it");
    let text = format!("sequence of a peer: {beyond}");
    let code = ErrorCode::AdvanceTooLarge;
    let told = Effect::Report(Report::RoundRefused {
        link,
        error: Box::new(ErrorReply::new(code, text.clone())),
    });
    assert_eq!(
        scene.on(sync_request(BOB, hello(2, 1_000_001))),
        vec![
            peer_up(link, 2, 1_000_001),
            told.clone(),
            synced_as(BOB, 0, Stage::Serves, Some(code))
        ]
    );
    assert_eq!(
        scene.on(sync_request(BOB, hello(2, 1_000_001))),
        vec![synced_as(BOB, 0, Stage::Serves, Some(code))],
        "reported once"
    );
    assert_eq!(
        scene.on(sync_request(BOB, hello(2, 5))),
        vec![synced(BOB, 5)]
    );
    assert_eq!(
        scene.on(sync_request(BOB, hello(2, Sequence::MAX.get() + 1))),
        vec![
            Effect::Report(Report::RoundRefused {
                link,
                error: Box::new(ErrorReply::new(
                    code,
                    "sequence of a peer: sequence 9007199254740992 is beyond the last there is, 9007199254740991"
                )),
            }),
            synced_as(BOB, 5, Stage::Serves, Some(code))
        ],
        "reported again after a round that succeeded"
    );
    assert_eq!(scene.sequence(), 5);
}

#[test]
#[should_panic(expected = "only a raise that was asked for becomes durable")]
fn a_raise_that_was_not_asked_for_panics() {
    fresh().on(CEILING_WRITTEN);
}

#[test]
#[should_panic(expected = "an actor starts at or below its ceiling")]
fn an_actor_that_starts_above_its_ceiling_panics() {
    given(|config| config.sequence = sequence(2001));
}

// Joining.

/// An actor that asks one peer before it hands out identities.
fn joining(require: bool) -> Scene {
    given(|config| {
        config.joins = true;
        config.join_mode = match require {
            true => JoinMode::Require,
            false => JoinMode::Prefer,
        };
    })
}

/// What a server does that was accepted by its only peer: it asks it to note that.
fn claims(sequence: u64) -> Vec<Effect> {
    let claim = SyncMessage {
        told: Told {
            stage: Stage::Claims,
            ..Told::default()
        },
        ..*own(sequence)
    };
    vec![
        Effect::JoinWithin(JOIN_WAIT),
        Effect::ClaimWithin(CLAIM_WAIT),
        Effect::Send {
            to: PEER,
            message: Message::SyncRequest(Box::new(claim)),
        },
    ]
}

fn joined(answered: usize) -> Effect {
    Effect::Report(Report::Joined { answered })
}

#[test]
fn requests_to_a_joining_server_wait_and_are_answered_in_order() {
    let mut scene = joining(false);
    scene.on(Event::PeerConnected(PEER));
    assert_eq!(scene.ask(ALICE, 2), vec![]);
    assert_eq!(
        scene.on(Event::StatusRequest { from: ALICE }),
        vec![],
        "behind what waits"
    );
    assert_eq!(
        scene.on(Event::StatusRequest { from: BOB }),
        vec![Effect::ReplyStatus { to: BOB }]
    );
    assert_eq!(scene.ask(BOB, 1), vec![]);
    let effects = scene.on(sync_reply(PEER, hello(2, 30)));
    assert_eq!(effects[1..], [Effect::JoinWithin(JOIN_WAIT)]);
    assert!(scene.actor.has_answered(PEER) && !scene.actor.has_answered(PeerId(9)));
    // Another one may answer.
    assert_eq!(scene.ask(BOB, 1), vec![]);
    assert_eq!(scene.on(Event::AllAsked), claims(30)[1..]);
    let effects = scene.on(sync_reply(PEER, hello(2, 30)));
    assert_eq!(
        effects[..5],
        [
            joined(1),
            identities(ALICE, 31, 2),
            Effect::ReplyStatus { to: ALICE },
            identities(BOB, 33, 1),
            identities(BOB, 34, 1),
        ]
    );
    assert_eq!(scene.on(Event::JoinTimeout), vec![]);
}

#[test]
fn a_joining_server_waits_for_a_silent_peer_only_until_the_timeout() {
    let mut scene = joining(false);
    assert_eq!(scene.ask(ALICE, 1), vec![]);
    assert_eq!(
        scene.on(Event::JoinTimeout),
        vec![joined(0), identities(ALICE, 1, 1)]
    );
    assert_eq!(scene.on(Event::JoinTimeout), vec![]);
}

#[test]
fn with_join_require_requests_are_refused_after_the_timeout_until_a_peer_answers() {
    let mut scene = joining(true);
    let text = "this server has to hear from its peers before it hands out identities (--join), and too few have \
                answered yet: ask another one, and have an operator look at its log";
    let told = error(ALICE, ErrorCode::Joining, text);
    assert_eq!(scene.ask(ALICE, 1), vec![]);
    assert_eq!(
        scene.on(Event::JoinTimeout),
        vec![Effect::Report(Report::JoinWaits), told.clone()]
    );
    assert_eq!(scene.ask(ALICE, 1), vec![told]);
    scene.on(Event::PeerConnected(PEER));
    assert_eq!(scene.on(Event::AllAsked), vec![], "nobody has answered");
    let effects = scene.on(sync_reply(PEER, hello(2, 0)));
    assert_eq!(effects[1..], claims(0));
    let effects = scene.on(sync_reply(PEER, hello(2, 0)));
    assert_eq!(effects[0], joined(1));
    assert_eq!(scene.ask(ALICE, 1), vec![identities(ALICE, 1, 1)]);
}

#[test]
fn a_joining_server_that_is_objected_to_hands_out_nothing() {
    let mut scene = joining(false);
    scene.on(Event::PeerConnected(PEER));
    assert_eq!(scene.ask(ALICE, 1), vec![]);
    let objection = |session, code: u16| {
        let objection = Objection {
            pid: Pid::new(1).unwrap(),
            session,
            code,
            sequence: 77,
            message: "no".to_owned(),
        };
        Event::Objection(Box::new((Link::Dialed(PEER), objection)))
    };
    let own = actor_config().session;
    let stale = ErrorCode::StaleState.get();
    assert_eq!(
        scene.on(objection(own + 1, stale)),
        vec![],
        "for another process"
    );
    assert_eq!(
        scene.on(objection(own, 999)),
        vec![],
        "for an unknown reason"
    );
    let effects = scene.on(objection(own, stale));
    assert_eq!(
        effects[..2],
        [
            Effect::Write(Write::Objection(Objected::stale(sequence(77)))),
            Effect::Report(Report::Objected {
                standing: Standing::Stale,
                above: sequence(77),
                by: Link::Dialed(PEER),
                why: "no".to_owned()
            }),
        ]
    );
    let Effect::Reply {
        to: ALICE,
        message: Message::ErrorReply(told),
    } = &effects[2]
    else {
        panic!("{effects:?}");
    };
    assert_eq!(told.code, stale);
    assert_eq!(scene.on(Event::JoinTimeout), vec![], "it does not wear off");
    assert_eq!(scene.actor.standing(), Standing::Stale);
}

#[test]
fn only_a_refusal_of_what_it_asked_before_it_served_stops_a_server() {
    let held = || error_reply(PEER, ErrorCode::HeldByAnother);
    for is_early in [true, false] {
        let mut scene = joining(false);
        if is_early {
            scene.on(Event::PeerConnected(PEER));
        }
        scene.on(Event::JoinTimeout);
        if !is_early {
            scene.on(Event::PeerConnected(PEER));
        }
        assert_eq!(scene.ask(ALICE, 5), vec![identities(ALICE, 1, 5)]);
        let effects = scene.on(held());
        let objected = Effect::Write(Write::Objection(Objected::stale(sequence(5))));
        assert_eq!(effects.contains(&objected), is_early, "{effects:?}");
        let standing = match is_early {
            true => Standing::Stale,
            false => Standing::Serving,
        };
        assert_eq!(scene.actor.standing(), standing);
    }
}

#[test]
fn strangers_cannot_object() {
    let mut scene = fresh();
    let objection = Objection {
        pid: Pid::new(1).unwrap(),
        session: actor_config().session,
        code: ErrorCode::PidConflict.get(),
        sequence: 0,
        message: "no".to_owned(),
    };
    let heard = Box::new((Link::Accepted(BOB), objection));
    assert_eq!(scene.on(Event::Objection(heard)), vec![]);
    assert_eq!(scene.actor.standing(), Standing::Serving);
}

#[test]
fn an_absorbed_sequence_stays_absorbed_when_the_disk_fails() {
    let mut scene = given(|config| config.ceiling = sequence(1000));
    scene.ask(ALICE, 490);
    scene.ask(ALICE, 490);
    // Held: 980 + 50 is above the ceiling.
    assert_eq!(scene.ask(ALICE, 50), vec![]);
    // One of these is durable. The other waited for the raise and was never absorbed.
    scene.on(sync_request(BOB, hello(2, 990)));
    scene.on(sync_request(BOB, hello(2, 5000)));
    scene.on(CEILING_FAILED);
    // 981 to 990 are durable, but not above what was absorbed.
    assert_eq!(scene.sequence(), 990);
    assert_eq!(scene.ask(ALICE, 10), vec![identities(ALICE, 991, 10)]);
    assert_eq!(refused_with(&scene.ask(ALICE, 1)), ErrorCode::Storage.get());
}

#[test]
fn a_peers_sequence_stays_absorbed_when_decided_replies_are_taken_back() {
    let speaks = |event: fn(SyncMessage) -> Event| {
        let mut scene = given(|config| config.ceiling = sequence(10));
        scene.meet(PEER, 2);
        scene.ask(ALICE, 6);
        // Held: 7 to 11 reach above the ceiling. The peer is not ahead of that, so it raises nothing.
        assert_eq!(scene.ask(ALICE, 5), vec![]);
        scene.on(event(hello(2, 8)));
        scene.on(CEILING_FAILED);
        assert_eq!(
            scene.sequence(),
            8,
            "7 and 8 would not be above what was absorbed"
        );
        assert_eq!(scene.ask(ALICE, 1), vec![identities(ALICE, 9, 1)]);
    };
    speaks(|sync| sync_request(BOB, sync));
    speaks(|sync| sync_reply(PEER, sync));
}

#[test]
fn peers_hear_no_lower_sequence_after_a_failed_write() {
    let mut scene = given(|config| config.ceiling = sequence(10));
    scene.ask(ALICE, 6);
    scene.ask(ALICE, 5);
    let told = scene.on(sync_request(BOB, hello(2, 0)));
    // A part of what was decided is below the ceiling, but none of it has left.
    assert_eq!(told.last(), Some(&synced(BOB, 6)));
    scene.on(CEILING_FAILED);
    let told = scene.on(sync_request(BOB, hello(2, 0)));
    assert_eq!(told, vec![synced(BOB, 6)]);
    // Earlier versions told 10 first. A peer hears both, and then the next life, which begins above the ceiling.
    let mut peer = given(|config| config.pid = Pid::new(2).unwrap());
    let next = SyncMessage {
        boot: 10,
        session: 0x53,
        ..hello(1, 10)
    };
    for sync in [hello(1, 10), hello(1, 6), next] {
        let effects = peer.on(sync_request(BOB, sync));
        assert!(
            effects.contains(&Effect::Reply {
                to: BOB,
                message: Message::SyncReply(Box::new(SyncMessage {
                    pid: Pid::new(2).unwrap(),
                    ..*own(10)
                })),
            }),
            "{effects:?}"
        );
    }
}

#[test]
fn warnings_are_reported_before_the_sequence_ends() {
    let percent = Sequence::MAX.get() / 100;
    for (at, level) in [(49, None), (50, Some(50)), (80, Some(75)), (99, Some(90))] {
        let mut scene = given(|config| {
            config.sequence = sequence(at * percent + 100);
            config.ceiling = sequence(at * percent + 200);
        });
        let warned = |effects: &[Effect]| {
            effects.iter().find_map(|effect| match effect {
                Effect::Report(Report::Exhaustion { percent, .. }) => Some(*percent),
                _ => None,
            })
        };
        assert_eq!(warned(&scene.ask(ALICE, 60)), level, "{at}");
        // Reported once.
        scene.on(CEILING_WRITTEN);
        assert_eq!(warned(&scene.ask(ALICE, 500)), None);
        assert_eq!(warned(&scene.ask(ALICE, 500)), None);
    }
}

/// An objection to this actor, heard on this link.
fn objection(link: Link, code: ErrorCode, sequence: u64) -> Event {
    let objection = Objection {
        pid: Pid::new(1).unwrap(),
        session: actor_config().session,
        code: code.get(),
        sequence,
        message: "no".to_owned(),
    };
    Event::Objection(Box::new((link, objection)))
}

/// The code with which the only effect refuses.
fn refused_with(effects: &[Effect]) -> u16 {
    match effects {
        [
            Effect::Reply {
                message: Message::ErrorReply(error),
                ..
            },
        ] => error.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failing_disk_does_not_make_a_refused_server_serve_again() {
    // A server that met its own pid while a raise was under way.
    let mut scene = fresh();
    scene.ask(ALICE, 500);
    scene.ask(ALICE, 500);
    let mut twin = hello(1, 50);
    twin.session = 0x77;
    scene.on(sync_request(BOB, twin));
    let conflict = ErrorCode::PidConflict.get();
    assert_eq!(refused_with(&scene.ask(ALICE, 1)), conflict);
    scene.on(CEILING_FAILED);
    let storage = ErrorCode::Storage.get();
    assert_eq!(refused_with(&scene.ask(ALICE, 1)), storage);

    // A server that had not joined yet.
    let mut scene = joining(true);
    scene.ask(ALICE, 1);
    scene.on(sync_request(BOB, hello(3, 1500)));
    let effects = scene.on(CEILING_FAILED);
    assert_eq!(refused_with(&effects[..1]), storage);

    // A server that is objected to after the failure stops handing out at once.
    let mut scene = fresh();
    scene.on(Event::PeerConnected(PEER));
    scene.ask(ALICE, 500);
    scene.ask(ALICE, 500);
    scene.on(CEILING_FAILED);
    assert_eq!(scene.ask(ALICE, 1), vec![identities(ALICE, 1001, 1)]);
    scene.on(objection(Link::Dialed(PEER), ErrorCode::StaleState, 0));
    assert_eq!(refused_with(&scene.ask(ALICE, 1)), storage);
}

#[test]
fn a_higher_objection_counts_and_one_too_high_is_cut_to_max_advance() {
    let written = |effects: Vec<Effect>| {
        effects.into_iter().find_map(|effect| match effect {
            Effect::Write(Write::Objection(objected)) => Some(objected.sequence.get()),
            _ => None,
        })
    };
    let mut scene = fresh();
    scene.on(Event::PeerConnected(PEER));
    let stale = |sequence| objection(Link::Dialed(PEER), ErrorCode::StaleState, sequence);
    for sequence in 1000..1000 + SAVE_BURST {
        assert_eq!(written(scene.on(stale(sequence))), Some(sequence));
    }
    assert_eq!(written(scene.on(stale(5000))), None, "not that soon");
    scene.now = scene.now.after(Duration::from_secs(1));
    assert_eq!(written(scene.on(stale(5000))), Some(5000));
    scene.now = scene.now.after(Duration::from_secs(1));
    assert_eq!(written(scene.on(stale(4000))), None);
    // Nobody can use up the sequence with an objection: --max-advance limits it too.
    assert_eq!(written(scene.on(stale(u64::MAX))), Some(1_000_000));
}

#[test]
fn an_objection_during_a_stop_counts_only_while_it_can_still_be_made_durable() {
    let objected = |scene: &mut Scene| {
        let effects = scene.on(objection(Link::Dialed(PEER), ErrorCode::StaleState, 7));
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Write(Write::Objection { .. })))
    };
    // A write is under way, and the stop waits for it: there is time.
    let mut scene = given(|config| config.ceiling = sequence(10));
    scene.on(Event::PeerConnected(PEER));
    scene.ask(ALICE, 11);
    assert_eq!(scene.on(Event::Stop), vec![]);
    assert!(objected(&mut scene));
    assert!(scene.actor.is_objected());

    // The stop is on its way to the disk, and nothing is written after it. If the server said at its end that a
    // peer had objected, people would believe it, but the next start would know nothing about it.
    let mut scene = fresh();
    scene.on(Event::PeerConnected(PEER));
    scene.on(Event::Stop);
    assert!(!objected(&mut scene));
    assert!(!scene.actor.is_objected());
}

#[test]
fn an_advance_waits_behind_earlier_requests_of_its_connection() {
    let mut scene = joining(false);
    assert_eq!(scene.ask(ALICE, 10), vec![]);
    let advance = Event::AdvanceRequest {
        from: ALICE,
        above: 100,
    };
    assert_eq!(scene.on(advance), vec![]);
    let done = Effect::Reply {
        to: ALICE,
        message: Message::DoneReply { sequence: 100 },
    };
    assert_eq!(
        scene.on(Event::JoinTimeout),
        vec![joined(0), identities(ALICE, 1, 10), done]
    );
}

#[test]
fn two_live_servers_with_one_pid_are_noticed_however_far_ahead_they_are() {
    let mut scene = fresh();
    let mut charged = Vec::new();
    let own = scene.actor.config().session;
    for round in 0..6 {
        let (from, session) = [(ALICE, 7), (BOB, 8)][round % 2];
        let mut sync = hello(5, 5_000_000);
        // It has received the answer to its last question. Each round takes two messages.
        sync.told.heard = own + (2 * round as u64).saturating_sub(2);
        // A copied directory: with one more boot.
        (sync.session, sync.boot) = (session, session);
        for effect in scene.on(sync_request(from, sync)) {
            if let Effect::Object { charge, .. } = effect {
                assert_eq!(charge.code, ErrorCode::PidConflict);
                charged.push(charge.session);
            }
        }
    }
    assert!(charged.contains(&7) && charged.contains(&8), "{charged:?}");
}

#[test]
fn a_join_does_not_count_itself_or_another_cluster() {
    for code in [ErrorCode::Oneself, ErrorCode::ForeignCluster] {
        let mut scene = joining(false);
        scene.on(Event::PeerConnected(PEER));
        assert_eq!(scene.on(error_reply(PEER, code)).len(), 1, "{code}");
        assert_eq!(scene.on(Event::AllAsked)[0], joined(0), "{code}");
        // If a peer must answer, this does not count as an answer.
        let mut scene = joining(true);
        scene.on(Event::PeerConnected(PEER));
        let effects = scene.on(error_reply(PEER, code));
        assert_eq!(effects.len(), 1, "{code}: {effects:?}");
        assert_eq!(scene.on(Event::AllAsked), vec![], "{code}");
        assert_eq!(scene.actor.standing(), Standing::Joining);
    }
}

/// The wait for those that may still answer is one thing, and that for the confirmation of a claim another.
#[test]
fn a_peer_that_answers_late_does_not_cut_the_wait_for_a_claim() {
    let late = PeerId(1);
    let mut scene = joining(false);
    scene.on(Event::PeerConnected(PEER));
    scene.on(Event::PeerConnected(late));
    scene.on(sync_reply(PEER, hello(2, 30)));
    let claims = scene.on(Event::JoinTimeout);
    assert!(
        claims.contains(&Effect::ClaimWithin(CLAIM_WAIT)),
        "{claims:?}"
    );
    let effects = scene.on(sync_reply(late, hello(3, 30)));
    let is_cut = |effect: &Effect| matches!(effect, Effect::JoinWithin(_));
    assert!(!effects.iter().any(is_cut), "{effects:?}");
}

#[test]
fn a_peer_that_answers_at_two_addresses_confirms_at_one_of_them() {
    let other = PeerId(1);
    let mut scene = joining(false);
    for peer in [PEER, other] {
        scene.on(Event::PeerConnected(peer));
        scene.on(sync_reply(peer, hello(2, 30)));
    }
    // It is the same process, so the server gives up the second connection.
    scene.on(Event::PeerDisconnected(Link::Dialed(other)));
    assert_eq!(scene.on(Event::AllAsked), claims(30)[1..]);
    let effects = scene.on(sync_reply(PEER, hello(2, 30)));
    assert_eq!(effects[0], joined(1));
}
