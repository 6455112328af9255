//! Advances that wait alone for the disk. Also the reports and the standing: late writes, the end of the sequence,
//! large raises, operators, objections.

use std::time::Duration;

use ipseity_core::{
    actor::{
        Actor, ActorConfig, Effect, Event, Objected, Outcome, Remembered, Report, Write, Written,
    },
    identity::{Identity, Pid, Sequence},
    ids::{ConnectionId, Count, Link, PeerId},
    limits::{RAISE_REPORT_INTERVAL, RAISE_REPORTS_MAX, WRITE_LATE},
    time::Instant,
    words::{ErrorCode, Forget, Message, Objection, Standing, SyncMessage},
};
use ipseity_sim::config::{actor_config, peer_says};

const ALICE: ConnectionId = ConnectionId::new(0, 1);
const BOB: ConnectionId = ConnectionId::new(1, 2);
const PEER: PeerId = PeerId(0);

const CEILING_WRITTEN: Event = Event::Written(Written::Ceiling(Outcome::Durable));
const CEILING_FAILED: Event = Event::Written(Written::Ceiling(Outcome::Failed));

struct Scene {
    actor: Actor,
    now: Instant,
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
        // Saving the memory of the peers has tests of its own.
        effects.retain(|effect| {
            !matches!(
                effect,
                Effect::Write(Write::Members(_)) | Effect::Report(Report::PeerUp { .. })
            )
        });
        effects
    }

    /// The effects without the reports.
    fn quietly(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = self.on(event);
        effects.retain(|effect| !matches!(effect, Effect::Report(_)));
        effects
    }

    fn ask(&mut self, from: ConnectionId, count: u32) -> Vec<Effect> {
        self.on(request(from, count, 0))
    }

    fn after(&mut self, from: ConnectionId, count: u32, after: u64) -> Vec<Effect> {
        self.quietly(request(from, count, after << 10))
    }

    fn advance(&mut self, from: ConnectionId, above: u64) -> Vec<Effect> {
        self.on(Event::AdvanceRequest { from, above })
    }

    /// A peer asks on a connection that it has made.
    fn peer_asks(&mut self, from: ConnectionId, sequence: u64) -> Vec<Effect> {
        let sync = Box::new(peer(sequence));
        self.on(Event::SyncRequest { from, sync })
    }

    /// The dialed peer answers.
    fn peer_answers(&mut self, sequence: u64) -> Vec<Effect> {
        let sync = Box::new(peer(sequence));
        self.on(Event::SyncReply { from: PEER, sync })
    }

    fn wait(&mut self, wait: Duration) {
        self.now = self.now.after(wait);
    }

    fn sequence(&self) -> u64 {
        self.actor.sequence().get()
    }
}

fn sequence(value: u64) -> Sequence {
    Sequence::new(value).unwrap()
}

fn request(from: ConnectionId, count: u32, after: u64) -> Event {
    let count = Count::saturating(count);
    Event::IdentityRequest { from, count, after }
}

fn peer(sequence: u64) -> SyncMessage {
    SyncMessage {
        incarnation: 0x2222,
        boot: 9,
        session: 0x52,
        sequence,
        ..peer_says(Pid::new(2).unwrap())
    }
}

fn remembered() -> Remembered {
    let said = peer(0);
    Remembered {
        incarnation: said.incarnation,
        boot: said.boot - 1,
        session: 0x51,
        ..Remembered::new(said.pid, Sequence::ZERO)
    }
}

fn identities(to: ConnectionId, first: u64, count: u32) -> Effect {
    let first = Identity::new(sequence(first), Pid::new(1).unwrap());
    Effect::ReplyIdentities { to, first, count }
}

fn done(to: ConnectionId, sequence: u64) -> Effect {
    let message = Message::DoneReply { sequence };
    Effect::Reply { to, message }
}

fn write_ceiling(at: u64, ceiling: u64) -> Effect {
    Effect::Write(Write::Ceiling {
        sequence: sequence(at),
        ceiling: sequence(ceiling),
    })
}

/// The code and the text of the one refusal among these effects.
fn refusal(effects: &[Effect]) -> (u16, &str) {
    let mut errors = effects.iter().filter_map(|effect| match effect {
        Effect::Reply {
            message: Message::ErrorReply(error),
            ..
        } => Some((error.code, error.message.as_str())),
        _ => None,
    });
    let error = errors.next().unwrap_or_else(|| panic!("{effects:?}"));
    assert_eq!(errors.next(), None);
    error
}

/// The code with which a peer's sequence was refused, and the text in the log.
fn refused(effects: &[Effect]) -> (u16, &str) {
    let code = effects.iter().find_map(|effect| match effect {
        Effect::Reply {
            message: Message::SyncReply(sync),
            ..
        } => Some(sync.told.refused),
        _ => None,
    });
    let text = effects.iter().find_map(|effect| match effect {
        Effect::Report(Report::RoundRefused { error, .. }) => Some(error.message.as_str()),
        _ => None,
    });
    (code.expect("it is answered"), text.unwrap_or_default())
}

fn reports(effects: Vec<Effect>) -> Vec<Report> {
    let report = |effect| match effect {
        Effect::Report(report) => Some(report),
        _ => None,
    };
    effects.into_iter().filter_map(report).collect()
}

// Advances that wait alone.

#[test]
fn an_after_above_the_ceiling_waits_alone_and_keeps_the_order_of_its_connection() {
    let mut scene = given(|_| {});
    assert_eq!(scene.ask(ALICE, 10), vec![identities(ALICE, 1, 10)]);
    // The raise covers everything that waits.
    assert_eq!(
        scene.after(ALICE, 5, 50_000),
        vec![write_ceiling(10, 50_005 + 1024)]
    );
    assert_eq!(scene.sequence(), 10, "it moves nothing");
    // Everybody else goes on, and Alice's later requests wait with it.
    assert_eq!(scene.ask(BOB, 3), vec![identities(BOB, 11, 3)]);
    assert_eq!(scene.ask(ALICE, 1), vec![]);
    assert_eq!(scene.on(Event::StatusRequest { from: ALICE }), vec![]);
    assert_eq!(scene.ask(BOB, 1), vec![identities(BOB, 14, 1)]);
    assert_eq!(scene.actor.waiting_for_disk(), 3);
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![
            identities(ALICE, 50_001, 5),
            identities(ALICE, 50_006, 1),
            Effect::ReplyStatus { to: ALICE },
        ]
    );
    assert_eq!(scene.sequence(), 50_006);
    assert_eq!(scene.actor.waiting_for_disk(), 0);
    assert_eq!(scene.actor.tally().waited, 2);
    assert_eq!(scene.ask(BOB, 1), vec![identities(BOB, 50_007, 1)]);
}

#[test]
fn an_after_whose_count_reaches_above_the_ceiling_waits_alone_too() {
    let mut scene = given(|_| {});
    assert_eq!(
        scene.after(ALICE, 500, 1900),
        vec![write_ceiling(0, 2400 + 1024)]
    );
    assert_eq!(scene.ask(BOB, 1), vec![identities(BOB, 1, 1)]);
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![identities(ALICE, 1901, 500)]
    );
}

#[test]
fn an_after_that_others_have_passed_meanwhile_is_an_ordinary_request() {
    let mut scene = given(|_| {});
    assert_eq!(
        scene.after(ALICE, 500, 1600),
        vec![write_ceiling(0, 2100 + 1024)]
    );
    for first in [1, 501, 1001] {
        assert_eq!(scene.ask(BOB, 500), vec![identities(BOB, first, 500)]);
    }
    assert_eq!(scene.ask(BOB, 400), vec![identities(BOB, 1501, 400)]);
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![identities(ALICE, 1901, 500)]
    );
}

#[test]
fn requests_during_a_raise_are_covered_by_the_next_raise() {
    let mut scene = given(|_| {});
    scene.after(ALICE, 1, 10_000);
    assert_eq!(scene.after(BOB, 1, 90_000), vec![], "one raise at a time");
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![
            identities(ALICE, 10_001, 1),
            write_ceiling(10_001, 90_001 + 1024)
        ]
    );
    assert_eq!(scene.on(CEILING_WRITTEN), vec![identities(BOB, 90_001, 1)]);
}

#[test]
fn a_peers_sequence_above_the_ceiling_is_absorbed_once_it_is_durable() {
    let mut scene = given(|_| {});
    scene.on(Event::PeerConnected(PEER));
    scene.peer_answers(10);
    assert_eq!(scene.sequence(), 10);
    scene.peer_answers(50_000);
    assert_eq!(scene.ask(ALICE, 1), vec![identities(ALICE, 11, 1)]);
    // While that is written the peer has come further than it covers.
    scene.peer_answers(200_000);
    assert_eq!(scene.ask(ALICE, 1), vec![identities(ALICE, 12, 1)]);
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![write_ceiling(50_000, 200_000 + 1024)],
        "what is durable is absorbed, and the rest is asked for"
    );
    assert_eq!(scene.sequence(), 50_000);
    assert_eq!(scene.ask(ALICE, 1), vec![identities(ALICE, 50_001, 1)]);
    assert_eq!(scene.on(CEILING_WRITTEN), vec![]);
    assert_eq!(scene.sequence(), 200_000);
    assert_eq!(scene.actor.tally().absorbed, 3);
}

#[test]
fn of_several_sequences_of_peers_all_that_a_raise_covers_are_absorbed_with_it() {
    let mut scene = given(|_| {});
    scene.on(Event::PeerConnected(PEER));
    scene.peer_answers(50_000);
    // The raise under way covers the next sequence, which came after the raise was requested, but not the one after.
    scene.peer_answers(50_100);
    scene.peer_answers(200_000);
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![write_ceiling(50_100, 200_000 + 1024)]
    );
    assert_eq!(scene.sequence(), 50_100);
}

#[test]
fn no_raise_is_requested_after_the_exact_sequence_of_a_stop() {
    let mut scene = given(|_| {});
    scene.on(Event::PeerConnected(PEER));
    scene.peer_answers(50_000);
    // The raise under way does not cover this one, which waits for another.
    scene.peer_answers(200_000);
    assert_eq!(scene.quietly(Event::Stop), vec![]);
    let stop = Effect::Write(Write::Stop {
        sequence: sequence(50_000),
    });
    assert_eq!(scene.quietly(CEILING_WRITTEN), vec![stop]);
    // The disk would refuse a raise, and the server would take that for a failure.
    let effects = scene.peer_asks(ALICE, 10);
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Write(_))),
        "{effects:?}"
    );
}

#[test]
fn an_operators_advance_above_the_ceiling_waits_alone() {
    let mut scene = given(|_| {});
    assert_eq!(
        scene.advance(ALICE, 70_000),
        vec![
            Effect::Report(Report::Advanced {
                from: ALICE,
                above: sequence(70_000),
                sequence: Sequence::ZERO,
            }),
            write_ceiling(0, 70_000 + 1024)
        ]
    );
    assert_eq!(scene.ask(BOB, 1), vec![identities(BOB, 1, 1)]);
    assert_eq!(scene.ask(ALICE, 1), vec![], "behind it");
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![done(ALICE, 70_000), identities(ALICE, 70_001, 1)]
    );
}

#[test]
fn an_operators_advance_is_done_while_the_server_joins() {
    let mut scene = given(|config| {
        config.joins = true;
    });
    assert_eq!(scene.ask(BOB, 1), vec![]);
    scene.advance(ALICE, 70_000);
    assert_eq!(
        scene.actor.waiting_for_disk(),
        0,
        "a request that waits for the peers does not wait for the disk"
    );
    assert_eq!(scene.on(CEILING_WRITTEN), vec![done(ALICE, 70_000)]);
    let effects = scene.quietly(Event::JoinTimeout);
    assert_eq!(effects, vec![identities(BOB, 70_001, 1)]);
}

#[test]
fn what_waits_for_a_connection_that_is_gone_is_forgotten() {
    let mut scene = given(|_| {});
    scene.ask(ALICE, 1);
    let before = scene.sequence();
    scene.after(ALICE, 1, 90_000);
    scene.ask(ALICE, 1);
    assert_eq!(scene.actor.waiting_for_disk(), 2);
    assert_eq!(scene.on(Event::Disconnected(ALICE)), vec![]);
    assert_eq!(scene.actor.waiting_for_disk(), 0);
    assert_eq!(scene.on(CEILING_WRITTEN), vec![]);
    assert_eq!(scene.sequence(), before, "nobody moves the counter");
    // The others keep the answers that they wait for, in order.
    scene.after(ALICE, 1, 900_000);
    scene.after(BOB, 1, 900_000);
    scene.on(Event::Disconnected(ALICE));
    assert_eq!(scene.on(CEILING_WRITTEN), vec![identities(BOB, 900_001, 1)]);
}

#[test]
fn a_failed_disk_takes_back_also_what_was_decided_for_connections_that_are_gone() {
    let mut scene = given(|_| {});
    let durable = scene.actor.ceiling().get();
    scene.on(Event::PeerConnected(PEER));
    scene.peer_answers(durable - 10);
    // The request needs more than is durable, so it waits for the disk. Then its connection is gone.
    scene.ask(ALICE, 20);
    assert_eq!(scene.actor.waiting_for_disk(), 1);
    scene.on(Event::Disconnected(ALICE));
    assert_eq!(scene.actor.waiting_for_disk(), 0);
    scene.on(CEILING_FAILED);
    // Identities that are durable are still handed out.
    assert_eq!(
        scene.ask(BOB, 1),
        vec![identities(BOB, durable - 10 + 1, 1)]
    );
}

#[test]
fn a_request_whose_answer_is_taken_back_because_the_disk_failed_counts_as_refused() {
    let mut scene = given(|_| {});
    let durable = scene.actor.ceiling().get();
    scene.on(Event::PeerConnected(PEER));
    scene.peer_answers(durable - 10);
    scene.ask(ALICE, 20);
    scene.ask(BOB, 1);
    assert_eq!(scene.actor.tally().refused, 0);
    scene.on(CEILING_FAILED);
    assert_eq!(scene.actor.tally().refused, 2);
}

#[test]
fn a_failed_disk_takes_back_nothing_that_was_answered_if_some_connections_are_gone() {
    let mut scene = given(|config| config.count_max = u32::MAX);
    let durable = scene.actor.ceiling().get();
    scene.on(Event::PeerConnected(PEER));
    let effects = scene.peer_answers(durable - 10);
    let raised = asked_ceiling(&effects);
    // One client is gone before the raise is durable, and another one waits for its answer.
    scene.ask(ALICE, 20);
    scene.ask(BOB, 5);
    scene.on(Event::Disconnected(ALICE));
    // One more asks for so much that it has to wait for the next raise, and is gone too.
    scene.ask(ALICE, u32::try_from(raised - durable).unwrap());
    scene.on(Event::Disconnected(ALICE));
    let effects = scene.on(CEILING_WRITTEN);
    assert_eq!(effects[0], identities(BOB, durable + 11, 5));
    asked_ceiling(&effects);
    scene.on(CEILING_FAILED);
    let last = durable + 15;
    assert!(
        scene.sequence() >= last,
        "{last} was handed out, and the server is at {}",
        scene.sequence()
    );
}

/// The ceiling that these effects ask the disk for.
fn asked_ceiling(effects: &[Effect]) -> u64 {
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::Write(Write::Ceiling { ceiling, .. }) => Some(ceiling.get()),
        _ => None,
    });
    asked.expect("a ceiling is requested")
}

#[test]
fn when_the_disk_fails_what_waited_alone_is_refused_and_not_absorbed() {
    let mut scene = given(|_| {});
    scene.after(ALICE, 1, 50_000);
    scene.peer_asks(BOB, 60_000);
    let effects = scene.on(CEILING_FAILED);
    assert_eq!(refusal(&effects).0, ErrorCode::Storage.get());
    assert_eq!(scene.ask(BOB, 5), vec![identities(BOB, 1, 5)]);
}

#[test]
fn a_server_that_is_objected_to_refuses_waiting_requests() {
    let mut scene = given(|_| {});
    scene.on(Event::PeerConnected(PEER));
    scene.after(ALICE, 1, 50_000);
    let effects = scene.on(objection(ErrorCode::StaleState, 7));
    assert_eq!(refusal(&effects).0, ErrorCode::StaleState.get());
}

#[test]
fn an_advance_that_waits_is_paid_for_once() {
    let mut scene = given(|config| config.budgets.after_burst = 100_000);
    scene.after(ALICE, 1, 50_000);
    // The second pays only what goes beyond the first.
    assert_eq!(scene.after(BOB, 1, 90_000), vec![]);
    let effects = scene.after(ConnectionId::new(2, 3), 1, 100_001);
    assert_eq!(refusal(&effects).0, ErrorCode::AdvanceTooLarge.get());
    assert_eq!(scene.after(ConnectionId::new(2, 3), 1, 100_000), vec![]);
    scene.on(CEILING_WRITTEN);
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        vec![
            identities(BOB, 90_001, 1),
            identities(ConnectionId::new(2, 3), 100_001, 1)
        ]
    );
}

// Budgets.

#[test]
fn an_advance_that_can_never_be_paid_says_so_and_what_to_do() {
    let mut scene = given(|config| {
        config.budgets.after_burst = 100;
        config.budgets.peer_burst = 200;
        config.budgets.rate_per_second = 1;
    });
    let effects = scene.after(ALICE, 1, 101);
    assert_eq!(
        refusal(&effects),
        (
            ErrorCode::AdvanceTooLarge.get(),
            "after: sequence 101 is 101 ahead of this server, and its budget for advances never allows more than 100 \
             (--after-burst): have an operator run ipseity-cli advance --above 101"
        )
    );
    // The operator reads it in the log too, with the client that asked.
    let reports = reports(scene.on(request(ALICE, 1, 101 << 10)));
    assert!(
        matches!(reports[..], [Report::AdvanceRefused { from: ALICE, .. }]),
        "{reports:?}"
    );
    let effects = scene.peer_asks(BOB, 201);
    let (_, text) = refused(&effects);
    assert!(text.contains("never allows more than 200 (--peer-burst)"));
    // The error says so if the advance can be paid later.
    scene.after(ALICE, 1, 100);
    let effects = scene.after(ALICE, 1, 150);
    let (code, text) = refusal(&effects);
    assert_eq!(code, ErrorCode::OverBudget.get());
    assert!(text.contains("try again later"), "{text}");
}

#[test]
fn after_a_restart_the_budgets_are_empty_except_for_known_peers() {
    let restarted = || {
        let mut scene = given(|config| {
            config.first_start = false;
            config.remembered = vec![remembered()];
            config.budgets.after_burst = 1000;
            config.budgets.peer_burst = 1000;
            config.budgets.rate_per_second = 10;
        });
        scene.now = Instant::START;
        scene.on(Event::PeerConnected(PEER));
        scene
    };
    let mut scene = restarted();
    let over = ErrorCode::OverBudget.get();
    assert_eq!(refusal(&scene.after(ALICE, 1, 500)).0, over);
    let stranger = SyncMessage {
        pid: Pid::new(3).unwrap(),
        ..peer(500)
    };
    for _ in 0..2 {
        let sync = Box::new(stranger.clone());
        let effects = scene.on(Event::SyncRequest { from: BOB, sync });
        assert_eq!(
            refused(&effects).0,
            over,
            "having spoken does not make it known"
        );
    }
    assert_eq!(scene.sequence(), 0);
    // A peer that it remembers, and a peer that it dials.
    scene.peer_asks(ConnectionId::new(2, 3), 300);
    assert_eq!(scene.sequence(), 300);
    scene.peer_answers(900);
    assert_eq!(scene.sequence(), 900);
    scene.peer_answers(1100);
    assert_eq!(scene.sequence(), 900, "the budget is spent");
    scene.wait(Duration::from_secs(20));
    scene.peer_answers(1100);
    assert_eq!(scene.sequence(), 1100);
    assert_eq!(refusal(&scene.after(ALICE, 1, 1201)).0, over);
    scene.after(ALICE, 1, 1200);
    assert_eq!(scene.sequence(), 1201);
}

// A disk that takes its time.

#[test]
fn a_late_write_is_reported_once_and_again_when_it_is_over() {
    let mut scene = given(|_| {});
    assert_eq!(scene.actor.write_deadline(), None);
    scene.after(ALICE, 1, 50_000);
    let deadline = scene.now.after(WRITE_LATE);
    assert_eq!(scene.actor.write_deadline(), Some(deadline));
    assert_eq!(scene.on(Event::WriteTimeout), vec![], "it is not late yet");
    assert_eq!(scene.actor.standing(), Standing::Serving);
    scene.now = deadline;
    let late = Report::WriteLate {
        took: WRITE_LATE,
        waiting: 1,
    };
    assert_eq!(scene.on(Event::WriteTimeout), vec![Effect::Report(late)]);
    assert_eq!(scene.actor.standing(), Standing::WaitingForDisk);
    assert_eq!(scene.actor.write_deadline(), None, "it is reported once");
    assert_eq!(scene.on(Event::WriteTimeout), vec![]);
    scene.ask(BOB, 400);
    scene.ask(ALICE, 1);
    scene.wait(Duration::from_secs(8));
    let over = Report::WriteOver {
        took: Duration::from_secs(9),
        waited: 2,
    };
    assert_eq!(reports(scene.on(CEILING_WRITTEN)), vec![over]);
    assert_eq!(scene.actor.standing(), Standing::Serving);
}

#[test]
fn a_late_write_changes_the_standing_only_when_somebody_waits() {
    let mut scene = given(|_| {});
    for _ in 0..2 {
        scene.ask(ALICE, 500);
    }
    scene.wait(WRITE_LATE);
    let late = Report::WriteLate {
        took: WRITE_LATE,
        waiting: 0,
    };
    assert_eq!(scene.on(Event::WriteTimeout), vec![Effect::Report(late)]);
    assert_eq!(scene.actor.standing(), Standing::Serving);
    // Up to the ceiling nobody waits, and above it everybody does.
    scene.ask(ALICE, 500);
    scene.ask(ALICE, 500);
    assert_eq!(scene.actor.standing(), Standing::Serving);
    scene.ask(ALICE, 1);
    assert_eq!(scene.actor.standing(), Standing::WaitingForDisk);
}

// The end of the sequence.

#[test]
fn the_end_of_the_sequence_is_reported_at_once_and_at_each_start() {
    let last = Sequence::MAX.get();
    for ceiling in [last - 5, last] {
        let mut scene = given(|config| {
            config.sequence = sequence(last - 10);
            config.ceiling = sequence(ceiling);
        });
        assert_eq!(
            scene.actor.start_report(),
            Some(Report::Exhaustion {
                percent: 90,
                remaining: 10
            })
        );
        assert_eq!(scene.actor.start_report(), None);
        let told = reports(scene.ask(ALICE, 10));
        assert_eq!(told, vec![Report::Exhausted]);
        if ceiling < last {
            assert_eq!(
                scene.actor.standing(),
                Standing::Serving,
                "the last ones are not handed out yet"
            );
            scene.on(CEILING_WRITTEN);
        }
        assert_eq!(scene.actor.standing(), Standing::Exhausted);
        let effects = scene.ask(ALICE, 1);
        assert_eq!(refusal(&effects).0, ErrorCode::Exhausted.get());
        assert_eq!(reports(effects), vec![], "reported once");
    }
    let mut next = given(|config| {
        config.sequence = Sequence::MAX;
        config.ceiling = Sequence::MAX;
    });
    assert_eq!(next.actor.start_report(), Some(Report::Exhausted));
    assert_eq!(next.actor.standing(), Standing::Exhausted);
}

#[test]
fn an_ephemeral_server_warns_of_the_end_too() {
    let percent = Sequence::MAX.get() / 100;
    let mut scene = given(|config| {
        config.sequence = sequence(75 * percent - 2);
        config.ceiling = Sequence::MAX;
    });
    let level = |report: Option<Report>| match report {
        Some(Report::Exhaustion { percent, .. }) => percent,
        other => panic!("{other:?}"),
    };
    assert_eq!(level(scene.actor.start_report()), 50);
    assert_eq!(reports(scene.ask(ALICE, 1)), vec![]);
    assert_eq!(level(reports(scene.ask(ALICE, 1)).pop()), 75);
    assert_eq!(reports(scene.ask(ALICE, 1)), vec![]);
}

// Raises and who caused them.

#[test]
fn a_raise_by_more_than_a_step_is_reported_with_its_source() {
    let mut scene = given(|config| {
        config.ceiling = sequence(900_000);
        config.sequence = sequence(800_000);
    });
    let raised = |link, by, to| Report::Raised {
        link,
        by,
        to: sequence(to),
        untold: 0,
    };
    let alice = Link::Accepted(ALICE);
    let told = reports(scene.on(request(ALICE, 1, 899_999 << 10)));
    assert_eq!(told, vec![], "that is a step and no more");
    let told = reports(scene.on(request(ALICE, 1, 1_000_001 << 10)));
    assert_eq!(told, vec![raised(alice, 100_001, 1_000_001)]);
    // The raise that waits has been reported, so only the part above it is reported next.
    let told = reports(scene.peer_asks(BOB, 1_700_000));
    assert_eq!(told, vec![raised(Link::Accepted(BOB), 699_999, 1_700_000)]);
}

#[test]
fn many_large_raises_are_reported_as_a_number() {
    let mut scene = given(|_| {});
    let mut told = Vec::new();
    for index in 1..=RAISE_REPORTS_MAX + 5 {
        let effects = scene.on(request(ALICE, 1, (u64::from(index) * 10_000) << 10));
        told.extend(reports(effects));
        told.extend(reports(scene.on(CEILING_WRITTEN)));
    }
    assert_eq!(told.len() as u32, RAISE_REPORTS_MAX);
    scene.wait(RAISE_REPORT_INTERVAL);
    let told = reports(scene.on(request(ALICE, 1, 900_000 << 10)));
    assert!(
        matches!(told[..], [Report::Raised { untold: 5, .. }]),
        "{told:?}"
    );
}

#[test]
fn forget_and_advance_are_reported_with_their_connection() {
    let mut scene = given(|config| config.remembered = vec![remembered()]);
    let pid = remembered().pid;
    let told = reports(scene.on(Event::ForgetRequest {
        from: ALICE,
        what: Forget::All(pid),
    }));
    let forgot = Report::Forgot {
        from: ALICE,
        pid,
        sequence: Sequence::ZERO,
    };
    assert_eq!(told, vec![forgot]);
    scene.ask(BOB, 7);
    let told = reports(scene.advance(ALICE, 100));
    let advanced = Report::Advanced {
        from: ALICE,
        above: sequence(100),
        sequence: sequence(7),
    };
    assert_eq!(told, vec![advanced]);
    // A request that is refused is not reported.
    let refused = scene.on(Event::AdvanceRequest {
        from: BOB,
        above: u64::MAX,
    });
    assert_eq!(reports(refused), vec![]);
}

// Objections.

fn objection(code: ErrorCode, sequence: u64) -> Event {
    let config = actor_config();
    let objection = Objection::new(config.pid, config.session, code, sequence, "no");
    Event::Objection(Box::new((Link::Dialed(PEER), objection)))
}

fn written(effects: &[Effect]) -> Option<Objected> {
    effects.iter().find_map(|effect| match effect {
        Effect::Write(Write::Objection(objected)) => Some(*objected),
        _ => None,
    })
}

#[test]
fn an_objection_keeps_the_sequence_that_the_peer_says() {
    // It does not matter how far this server has come by itself, because it begins above that in any case.
    let mut scene = given(|config| config.sequence = sequence(1500));
    scene.on(Event::PeerConnected(PEER));
    let effects = scene.on(objection(ErrorCode::PidConflict, 1200));
    assert_eq!(written(&effects), Some(Objected::conflict(sequence(1200))));
    let objected = Report::Objected {
        standing: Standing::Conflict,
        above: sequence(1200),
        by: Link::Dialed(PEER),
        why: "no".to_owned(),
    };
    assert_eq!(reports(effects), vec![objected]);
    // The peer hears more of the other server. That is reported too: the last number in the log is the one that counts.
    scene.wait(Duration::from_secs(1));
    let effects = scene.on(objection(ErrorCode::PidConflict, 1700));
    assert_eq!(written(&effects), Some(Objected::conflict(sequence(1700))));
    let higher = Report::ObjectedHigher {
        above: sequence(1700),
        by: Link::Dialed(PEER),
        why: "no".to_owned(),
    };
    assert_eq!(reports(effects), vec![higher]);
    let effects = scene.on(objection(ErrorCode::PidConflict, 1700));
    assert_eq!(effects, vec![]);
}

/// One of two servers of one pid that meet face to face.
fn twin(session: u64, has_come_to: u64) -> Scene {
    given(|config| {
        config.session = session;
        config.sequence = sequence(has_come_to);
    })
}

/// `asks` dials `answers` and asks; it hands out `meanwhile` identities before the answer is there. Returns the sequence
/// that each of them notes, if it notes one.
fn meet(asks: &mut Scene, answers: &mut Scene, meanwhile: u32) -> [Option<u64>; 2] {
    let question = asks.on(Event::PeerConnected(PEER));
    let sync = question.into_iter().find_map(|effect| match effect {
        Effect::Send {
            message: Message::SyncRequest(sync),
            ..
        } => Some(sync),
        _ => None,
    });
    asks.ask(ALICE, meanwhile);
    let sync = sync.expect("it asks when it is connected");
    let effects = answers.on(Event::SyncRequest { from: BOB, sync });
    let mut noted = [None, written(&effects)];
    for effect in effects {
        let event = match effect {
            Effect::Tell {
                to: Link::Accepted(BOB),
                message: Message::Objection(objection),
            } => Event::Objection(Box::new((Link::Dialed(PEER), *objection))),
            Effect::Reply {
                to: BOB,
                message: Message::ErrorReply(error),
            } => Event::ErrorReply { from: PEER, error },
            _ => continue,
        };
        noted[0] = written(&asks.on(event)).or(noted[0]);
    }
    asks.on(Event::PeerDisconnected(Link::Dialed(PEER)));
    noted.map(|noted| noted.map(|objected| objected.sequence.get()))
}

#[test]
fn two_that_meet_face_to_face_note_the_same_number() {
    for (first, second) in [(700, 300), (300, 700)] {
        let (mut asks, mut answers) = (twin(1, first), twin(2, second));
        assert_eq!(meet(&mut asks, &mut answers, 0), [Some(700), Some(700)]);
        assert_eq!(
            meet(&mut asks, &mut answers, 0),
            [None, None],
            "both have said it already"
        );
        for scene in [&asks, &answers] {
            assert_eq!(scene.actor.standing(), Standing::Conflict);
        }
    }
    // When a server asks again, both know what it handed out before it heard from the other.
    let (mut asks, mut answers) = (twin(1, 700), twin(2, 300));
    assert_eq!(meet(&mut asks, &mut answers, 5), [Some(705), Some(700)]);
    assert_eq!(meet(&mut asks, &mut answers, 0), [None, Some(705)]);
}

#[test]
fn a_conflict_stays_a_conflict_after_a_restart() {
    let mut scene = given(|_| {});
    scene.on(Event::PeerConnected(PEER));
    let effects = scene.on(objection(ErrorCode::StaleState, 500));
    assert_eq!(written(&effects), Some(Objected::stale(sequence(500))));
    // Written at once, although the last objection was a moment ago, and although the sequence is no higher.
    let effects = scene.on(objection(ErrorCode::PidConflict, 400));
    let kept = Objected::conflict(sequence(500));
    assert_eq!(written(&effects), Some(kept));
    for (objected, standing, code) in [
        (kept, Standing::Conflict, ErrorCode::PidConflict),
        (
            Objected::stale(sequence(500)),
            Standing::Stale,
            ErrorCode::StaleState,
        ),
    ] {
        let mut next = given(|config| config.objected = Some(objected));
        assert_eq!(next.actor.standing(), standing);
        assert_eq!(refusal(&next.ask(ALICE, 1)).0, code.get());
        assert!(next.actor.is_objected());
    }
}
