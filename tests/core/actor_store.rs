//! The actor with a store that fences and may be away: doubt, patience, and a life that is fenced.

use std::{ops::Range, time::Duration};

use ipseity_core::{
    actor::{Actor, ActorConfig, Effect, Event, Outcome, Report, Write, Written},
    identity::{Identity, Pid, Sequence},
    ids::{ConnectionId, Count, Link, PeerId},
    limits::{BOOT_JUMP_MAX, SAVE_BURST, STORE_PATIENCE},
    time::Instant,
    words::{ErrorCode, Message, Objection, Stage, Standing, StoreState, SyncMessage, Told, Vote},
};
use ipseity_sim::config::{actor_config, peer_says};

const ALICE: ConnectionId = ConnectionId::new(0, 1);
const BOB: ConnectionId = ConnectionId::new(1, 2);
const PEER: PeerId = PeerId(0);
const LEASE: Duration = Duration::from_secs(60);
const MILLI: Duration = Duration::from_millis(1);

const CEILING_WRITTEN: Event = Event::Written(Written::Ceiling(Outcome::Durable));
const CEILING_FENCED: Event = Event::Written(Written::Ceiling(Outcome::Fenced));

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Identities, from this sequence on.
    From(u64),
    Refused(ErrorCode),
    Done(u64),
}
use Answer::{Done, From, Refused};

const AWAY: Answer = Refused(ErrorCode::StoreUnavailable);
const STOPPING: Answer = Refused(ErrorCode::Stopping);

struct Scene {
    actor: Actor,
    now: Instant,
}

/// An actor of pid 1 in a store, with a ceiling of 10, whose lease is confirmed for a minute.
fn scene() -> Scene {
    given(|_| {})
}

fn given(change: impl FnOnce(&mut ActorConfig)) -> Scene {
    let now = Instant::from_nanos(1_000_000_000_000);
    let mut config = ActorConfig {
        ceiling: sequence(10),
        votes: false,
        fences: true,
        boot: 2,
        lease: Some(now.after(LEASE)),
        patience: Some(STORE_PATIENCE),
        ..actor_config()
    };
    change(&mut config);
    Scene {
        actor: Actor::new(config),
        now,
    }
}

fn sequence(value: u64) -> Sequence {
    Sequence::new(value).unwrap()
}

impl Scene {
    /// One turn of a server with one event.
    fn on(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.actor.look_at_clock(self.now);
        self.actor.handle(event, self.now, &mut effects);
        effects
    }

    fn answers(&mut self, event: Event) -> Vec<(ConnectionId, Answer)> {
        answers(&self.on(event))
    }

    fn ask(&mut self, from: ConnectionId, count: u32) -> Vec<(ConnectionId, Answer)> {
        self.ask_after(from, count, 0)
    }

    fn ask_after(
        &mut self,
        from: ConnectionId,
        count: u32,
        after: u64,
    ) -> Vec<(ConnectionId, Answer)> {
        let count = Count::saturating(count);
        let after = match after {
            0 => 0,
            after => Identity::new(sequence(after), Pid::new(2).unwrap()).get(),
        };
        self.answers(Event::IdentityRequest { from, count, after })
    }

    fn wait(&mut self, wait: Duration) {
        self.now = self.now.after(wait);
    }

    /// The store's timer expires.
    fn timeout(&mut self) -> Vec<Effect> {
        let deadline = self.actor.store_deadline().expect("a timer is set");
        self.now = self.now.max(deadline);
        self.on(Event::StoreTimeout)
    }

    fn leased(&mut self, wait: Duration) -> Vec<Effect> {
        let until = self.now.after(wait);
        self.on(Event::Leased { until })
    }

    fn reports(effects: &[Effect]) -> Vec<&Report> {
        effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Report(report) => Some(report),
                _ => None,
            })
            .collect()
    }
}

fn answers(effects: &[Effect]) -> Vec<(ConnectionId, Answer)> {
    let answer = |effect: &Effect| match effect {
        Effect::ReplyIdentities { to, first, .. } => Some((*to, From(first.sequence().get()))),
        Effect::Reply { to, message } => match message {
            Message::ErrorReply(error) => {
                Some((*to, Refused(ErrorCode::from_u16(error.code).unwrap())))
            }
            Message::DoneReply { sequence } => Some((*to, Done(*sequence))),
            _ => None,
        },
        _ => None,
    };
    effects.iter().filter_map(answer).collect()
}

fn raises(effects: &[Effect]) -> usize {
    let is_raise = |effect: &&Effect| matches!(effect, Effect::Write(Write::Ceiling { .. }));
    effects.iter().filter(is_raise).count()
}

#[test]
fn nothing_is_handed_out_from_the_moment_on_to_which_the_pid_is_confirmed() {
    let mut scene = scene();
    scene.wait(LEASE - MILLI);
    assert_eq!(scene.ask(ALICE, 1), [(ALICE, From(1))]);
    assert_eq!(scene.actor.standing(), Standing::Serving);
    scene.wait(MILLI);
    assert_eq!(scene.ask(ALICE, 1), []);
    assert_eq!(scene.ask(BOB, 2), []);
    assert_eq!(scene.actor.standing(), Standing::WaitingForDisk);
    assert_eq!(scene.actor.store_state(), StoreState::InDoubt);
    // The store answers in time, and they go on in their order.
    scene.wait(STORE_PATIENCE / 2);
    let effects = scene.leased(LEASE);
    assert_eq!(answers(&effects), [(ALICE, From(2)), (BOB, From(3))]);
    let took = STORE_PATIENCE / 2;
    assert_eq!(Scene::reports(&effects), [&Report::Confirmed { took }]);
    assert_eq!(scene.ask(ALICE, 1), [(ALICE, From(5))]);
    assert_eq!(scene.actor.store_state(), StoreState::Ready);
    assert_eq!(scene.actor.standing(), Standing::Serving);
}

#[test]
fn doubt_is_told_when_its_timer_expires_and_a_late_confirmation_ends_nothing() {
    let mut scene = scene();
    assert_eq!(
        scene.actor.store_deadline(),
        Some(scene.now.after(LEASE)),
        "nothing waits"
    );
    let effects = scene.timeout();
    assert_eq!(Scene::reports(&effects), [&Report::InDoubt]);
    assert_eq!(scene.actor.store_deadline(), None, "it is told once");
    let effects = scene.leased(Duration::ZERO);
    assert_eq!(effects, [], "that moment has passed too");
    assert_eq!(scene.actor.store_state(), StoreState::InDoubt);
    // And a moment that has passed takes the confirmation away.
    scene.leased(LEASE);
    assert_eq!(scene.ask(ALICE, 1), [(ALICE, From(1))]);
    assert_eq!(
        Scene::reports(&scene.leased(Duration::ZERO)),
        [&Report::InDoubt]
    );
    assert_eq!(scene.ask(ALICE, 1), []);
}

#[test]
fn with_nothing_to_confirm_a_lease_says_nothing() {
    let mut scene = given(|config| config.lease = None);
    assert_eq!(scene.leased(Duration::ZERO), []);
    scene.wait(LEASE * 2);
    assert_eq!(scene.ask(ALICE, 1), [(ALICE, From(1))]);
    assert_eq!(scene.actor.store_deadline(), None);
}

#[test]
fn who_waits_in_doubt_for_too_long_is_refused_and_so_are_all_until_the_store_answers() {
    let mut scene = scene();
    scene.wait(LEASE);
    assert_eq!(scene.ask(ALICE, 1), []);
    assert_eq!(
        scene.actor.store_deadline(),
        Some(scene.now.after(STORE_PATIENCE))
    );
    scene.wait(STORE_PATIENCE - MILLI);
    assert_eq!(scene.ask(BOB, 1), []);
    assert_eq!(scene.on(Event::StoreTimeout), [], "too early");
    let effects = scene.timeout();
    assert_eq!(answers(&effects), [(ALICE, AWAY), (BOB, AWAY)]);
    assert_eq!(
        Scene::reports(&effects),
        [&Report::StoreAway { waiting: 2 }]
    );
    assert_eq!(scene.actor.store_state(), StoreState::Away);
    assert_eq!(scene.actor.standing(), Standing::WaitingForDisk);
    assert_eq!(scene.actor.store_deadline(), None);
    assert_eq!(scene.ask(ALICE, 1), [(ALICE, AWAY)], "at once");
    let advance = Event::AdvanceRequest {
        from: BOB,
        above: 1,
    };
    assert_eq!(scene.answers(advance.clone()), [(BOB, AWAY)]);
    scene.wait(LEASE);
    let effects = scene.leased(LEASE);
    assert!(Scene::reports(&effects).contains(&&Report::StoreBack { took: LEASE }));
    assert_eq!(scene.ask(ALICE, 1), [(ALICE, From(1))]);
    assert_eq!(scene.answers(advance), [(BOB, Done(1))]);
    assert_eq!(scene.actor.tally().refused, 3);
}

#[test]
fn what_waits_for_a_raise_is_taken_back_and_the_raise_stays_under_way() {
    let mut scene = scene();
    assert_eq!(scene.ask(ALICE, 6), [(ALICE, From(1))]);
    assert_eq!(scene.ask(ALICE, 5), []);
    assert_eq!(scene.on(Event::StatusRequest { from: ALICE }), []);
    assert_eq!(scene.ask_after(BOB, 1, 1000), []);
    let effects = scene.timeout();
    assert_eq!(answers(&effects), [(ALICE, AWAY), (BOB, AWAY)]);
    assert!(effects.contains(&Effect::ReplyStatus { to: ALICE }));
    assert_eq!(scene.actor.sequence(), sequence(6), "nothing is taken");
    // What is durable is still served. What is not is refused at once, and asks for no second raise.
    assert_eq!(scene.ask(ALICE, 1), [(ALICE, From(7))]);
    assert_eq!(scene.ask(ALICE, 4), [(ALICE, AWAY)]);
    assert_eq!(scene.ask_after(ALICE, 1, 20), [(ALICE, AWAY)]);
    // A sign of life does not help: what is missing is the raise.
    scene.leased(LEASE);
    assert_eq!(scene.ask(ALICE, 4), [(ALICE, AWAY)]);
    let effects = scene.on(CEILING_WRITTEN);
    assert!(matches!(
        Scene::reports(&effects)[..],
        [Report::StoreBack { .. }]
    ));
    assert_eq!(scene.ask(ALICE, 4), [(ALICE, From(8))], "each once");
}

#[test]
fn a_connection_that_is_gone_does_not_keep_what_it_waited_for() {
    let mut scene = scene();
    assert_eq!(scene.ask(ALICE, 5), [(ALICE, From(1))]);
    assert_eq!(scene.ask(BOB, 8), []);
    assert_eq!(scene.ask(ALICE, 8), []);
    scene.on(Event::Disconnected(BOB));
    assert_eq!(answers(&scene.timeout()), [(ALICE, AWAY)]);
    assert_eq!(scene.ask(ALICE, 5), [(ALICE, From(6))]);
}

#[test]
fn an_answer_of_the_store_begins_the_wait_anew() {
    let mut scene = scene();
    scene.ask(ALICE, 500);
    scene.wait(STORE_PATIENCE - MILLI);
    assert_eq!(scene.ask(BOB, 500), []);
    // It covers the first, and the next raise is under way at once.
    let effects = scene.on(CEILING_WRITTEN);
    assert_eq!(answers(&effects)[0], (ALICE, From(1)));
    scene.ask(ALICE, 500);
    scene.ask(ALICE, 500);
    scene.wait(MILLI);
    assert_eq!(scene.on(Event::StoreTimeout), []);
}

#[test]
fn a_raise_that_succeeds_in_doubt_lets_nothing_leave() {
    let mut scene = scene();
    scene.wait(LEASE - MILLI);
    assert_eq!(scene.ask(ALICE, 20), []);
    scene.wait(MILLI);
    let effects = scene.on(CEILING_WRITTEN);
    assert_eq!(answers(&effects), []);
    assert_eq!(scene.ask(BOB, 1), []);
    let effects = scene.leased(LEASE);
    assert_eq!(answers(&effects), [(ALICE, From(1)), (BOB, From(21))]);
    // The same again, but the confirmation comes too late: then it was taken by nobody.
    let mut scene = self::scene();
    scene.wait(LEASE - MILLI);
    assert_eq!(scene.ask(ALICE, 20), []);
    scene.wait(MILLI);
    scene.on(CEILING_WRITTEN);
    assert_eq!(answers(&scene.timeout()), [(ALICE, AWAY)]);
    scene.leased(LEASE);
    assert_eq!(scene.ask(BOB, 1), [(BOB, From(1))]);
}

#[test]
fn peers_are_told_only_what_cannot_be_taken_back() {
    let mut scene = scene();
    assert_eq!(scene.ask(ALICE, 3), [(ALICE, From(1))]);
    scene.wait(LEASE);
    // Decided, below the ceiling, and held because of the doubt.
    assert_eq!(scene.ask(ALICE, 4), []);
    assert_eq!(scene.actor.sequence(), sequence(3));
    assert_eq!(answers(&scene.timeout()), [(ALICE, AWAY)]);
    assert_eq!(scene.actor.sequence(), sequence(3));
    // The same for one whose client is gone, and for one of which only a part is below the ceiling.
    scene.leased(LEASE);
    assert_eq!(scene.ask(BOB, 20), []);
    scene.on(Event::Disconnected(BOB));
    assert_eq!(scene.ask(ALICE, 1), []);
    assert_eq!(scene.actor.sequence(), sequence(3));
    scene.on(CEILING_WRITTEN);
    assert_eq!(scene.actor.sequence(), sequence(24));
}

#[test]
fn a_disk_is_waited_for_without_a_bound() {
    let mut scene = given(|config| {
        config.lease = None;
        config.patience = None;
    });
    assert_eq!(scene.ask(ALICE, 20), []);
    assert_eq!(scene.actor.store_deadline(), None);
    scene.wait(LEASE);
    assert_eq!(scene.on(Event::StoreTimeout), []);
    assert_eq!(answers(&scene.on(CEILING_WRITTEN)), [(ALICE, From(1))]);
}

#[test]
fn a_life_that_is_fenced_hands_out_nothing_more() {
    for news in [CEILING_FENCED, Event::Fenced] {
        let mut scene = scene();
        scene.on(Event::PeerConnected(PEER));
        assert_eq!(scene.ask(ALICE, 6), [(ALICE, From(1))]);
        assert_eq!(scene.ask(ALICE, 5), []);
        assert_eq!(scene.ask_after(BOB, 1, 1000), []);
        let effects = scene.on(news.clone());
        assert_eq!(answers(&effects), [(ALICE, STOPPING), (BOB, STOPPING)]);
        assert_eq!(Scene::reports(&effects), [&Report::Fenced]);
        let says_goodbye = |effect: &Effect| matches!(effect, Effect::Tell { to: Link::Dialed(PEER), message: Message::Goodbye(goodbye) } if goodbye.served);
        assert!(effects.iter().any(says_goodbye), "{effects:?}");
        assert_eq!(scene.ask(ALICE, 1), [(ALICE, STOPPING)], "{news:?}");
        assert_eq!(scene.actor.standing(), Standing::Stopping);
        assert_eq!(scene.actor.store_deadline(), None);
        // Whatever comes still, it stays so: the other thread's news, a raise that had succeeded, a lease, a stop.
        for late in [
            Event::Fenced,
            CEILING_FENCED,
            CEILING_WRITTEN,
            Event::StoreTimeout,
            Event::Stop,
        ] {
            assert_eq!(scene.on(late), []);
        }
        scene.leased(LEASE);
        assert_eq!(scene.ask(ALICE, 1), [(ALICE, STOPPING)]);
    }
}

#[test]
fn a_stop_that_finds_another_session_ends_at_once() {
    // While it waits for a raise.
    let mut scene = scene();
    assert_eq!(scene.ask(ALICE, 20), []);
    assert_eq!(scene.on(Event::Stop), []);
    let effects = scene.on(CEILING_FENCED);
    assert_eq!(answers(&effects), [(ALICE, STOPPING)]);
    assert_eq!(effects.last(), Some(&Effect::Stopped(Outcome::Fenced)));
    // With its last write.
    let mut scene = self::scene();
    let stop = Write::Stop {
        sequence: Sequence::ZERO,
    };
    assert_eq!(scene.on(Event::Stop), [Effect::Write(stop)]);
    assert_eq!(scene.on(Event::Fenced), [], "the write will tell");
    assert_eq!(
        scene.on(Event::Written(Written::Stop(Outcome::Fenced))),
        [Effect::Stopped(Outcome::Fenced)]
    );
}

#[test]
fn a_stop_while_the_store_is_away_refuses_what_is_not_durable() {
    let mut scene = scene();
    assert_eq!(scene.ask(ALICE, 6), [(ALICE, From(1))]);
    assert_eq!(scene.ask(ALICE, 5), []);
    assert_eq!(scene.on(Event::Stop), []);
    assert_eq!(answers(&scene.timeout()), [(ALICE, AWAY)]);
    // The raise has to be over first. What it makes durable was handed out to nobody.
    let effects = scene.on(CEILING_WRITTEN);
    let stop = Write::Stop {
        sequence: sequence(6),
    };
    assert!(effects.contains(&Effect::Write(stop)), "{effects:?}");
    // In doubt there may be nothing under way, and then the stop goes on at once.
    let mut scene = self::scene();
    scene.wait(LEASE);
    assert_eq!(scene.ask(ALICE, 1), []);
    let effects = scene.on(Event::Stop);
    assert_eq!(answers(&effects), [(ALICE, STOPPING)]);
    assert!(matches!(
        effects.last(),
        Some(Effect::Write(Write::Stop { .. }))
    ));
}

#[test]
fn a_start_that_asks_its_peers_waits_for_both() {
    let mut scene = given(|config| config.joins = true);
    scene.wait(LEASE);
    assert_eq!(scene.ask(ALICE, 1), []);
    assert_eq!(
        Scene::reports(&scene.on(Event::AllAsked)),
        [&Report::Joined { answered: 0 }]
    );
    assert_eq!(scene.actor.store_state(), StoreState::InDoubt);
    assert_eq!(answers(&scene.leased(LEASE)), [(ALICE, From(1))]);
}

/// What a life of pid 1 in the store says, with that boot.
fn life(boot: u64, stage: Stage) -> SyncMessage {
    let config = actor_config();
    SyncMessage {
        boot,
        session: boot.wrapping_add(0x100),
        incarnation: config.incarnation,
        sequence: 5,
        told: Told {
            stage,
            votes: Vote::Fenced,
            ..Told::default()
        },
        ..peer_says(config.pid)
    }
}

fn hears(scene: &mut Scene, from: ConnectionId, sync: SyncMessage) -> Vec<Effect> {
    let sync = Box::new(sync);
    scene.on(Event::SyncRequest { from, sync })
}

#[test]
fn of_two_lives_that_meet_the_later_one_goes_on() {
    // The earlier one is told that it is too late, and changes nothing here.
    for stage in [Stage::Serves, Stage::Joins] {
        let mut scene = scene();
        let effects = hears(&mut scene, BOB, life(1, stage));
        assert_eq!(
            answers(&effects),
            [(BOB, Refused(ErrorCode::HeldByAnother))]
        );
        assert_eq!(scene.ask(ALICE, 1), [(ALICE, From(1))]);
        assert!(!scene.actor.is_objected());
    }
    // The later one is not made to give up, and this one stops for the rest of its life.
    for stage in [Stage::Serves, Stage::Joins, Stage::Claims] {
        let mut scene = scene();
        let effects = hears(&mut scene, BOB, life(3, stage));
        assert_eq!(answers(&effects), [(BOB, Refused(ErrorCode::Joining))]);
        assert_eq!(
            scene.ask(ALICE, 1),
            [(ALICE, Refused(ErrorCode::StaleState))]
        );
        assert_eq!(scene.actor.standing(), Standing::Stale);
    }
    // The same boot twice is a store that was rolled back: both stop.
    let mut scene = scene();
    let effects = hears(&mut scene, BOB, life(2, Stage::Serves));
    assert_eq!(answers(&effects), [(BOB, Refused(ErrorCode::SamePid))]);
    assert_eq!(scene.actor.standing(), Standing::Conflict);
}

#[test]
fn a_boot_that_no_server_can_have_come_to_stops_no_life() {
    for boot in [3 + BOOT_JUMP_MAX, u64::MAX] {
        let mut scene = scene();
        let effects = hears(&mut scene, BOB, life(boot, Stage::Serves));
        assert_eq!(answers(&effects), [(BOB, Refused(ErrorCode::BootTooFar))]);
        assert_eq!(scene.ask(ALICE, 1), [(ALICE, From(1))]);
        assert!(!scene.actor.is_objected());
    }
}

#[test]
fn a_life_of_another_cluster_stops_no_life() {
    let mut scene = scene();
    let sync = SyncMessage {
        cluster: "other".parse().unwrap(),
        ..life(3, Stage::Serves)
    };
    let effects = hears(&mut scene, BOB, sync);
    assert_eq!(
        answers(&effects),
        [(BOB, Refused(ErrorCode::ForeignCluster))]
    );
    assert_eq!(scene.ask(ALICE, 1), [(ALICE, From(1))]);
}

#[test]
fn a_life_in_a_store_that_ends_saves_nothing_of_its_peers() {
    // Peers that restart in a loop speak to it until the process is gone, and no budget bounds what a stop saves.
    let restarts = |scene: &mut Scene, boots: Range<u64>| {
        let mut saves = 0;
        for boot in boots {
            let pid = Pid::new(2).unwrap();
            let peer = SyncMessage {
                pid,
                ..life(boot, Stage::Serves)
            };
            for effect in hears(scene, ALICE, peer) {
                if let Effect::Write(Write::Members(_)) = effect {
                    saves += 1;
                    scene.on(Event::Written(Written::Members(Outcome::Durable)));
                }
            }
        }
        saves
    };
    for end in [Event::Fenced, CEILING_FENCED, Event::Stop] {
        let mut scene = scene();
        assert_eq!(restarts(&mut scene, 1..101), SAVE_BURST, "while it serves");
        scene.on(end.clone());
        assert_eq!(restarts(&mut scene, 101..201), 0, "{end:?}");
        assert!(
            scene.actor.has_saved(),
            "nothing is lost that it could have kept"
        );
    }
}

#[test]
fn a_joining_life_gives_up_for_a_later_one() {
    let mut scene = given(|config| config.joins = true);
    let effects = hears(&mut scene, BOB, life(3, Stage::Joins));
    assert!(effects.contains(&Effect::GiveUp), "{effects:?}");
}

#[test]
fn an_objection_stops_a_life_in_a_store_and_nothing_else() {
    let mut scene = scene();
    scene.on(Event::PeerConnected(PEER));
    let own = scene.actor.config();
    let objection = Objection::new(own.pid, own.session, ErrorCode::StaleState, 7, "older");
    scene.on(Event::Objection(Box::new((Link::Dialed(PEER), objection))));
    assert_eq!(
        scene.ask(ALICE, 1),
        [(ALICE, Refused(ErrorCode::StaleState))]
    );
    // Its store says so too, and then it ends.
    assert_eq!(Scene::reports(&scene.on(Event::Fenced)), [&Report::Fenced]);
    assert_eq!(scene.ask(ALICE, 1), [(ALICE, STOPPING)]);
}

#[test]
fn peers_are_told_that_the_store_fences() {
    for (fences, votes, told) in [
        (true, false, Vote::Fenced),
        (false, true, Vote::Counts),
        (false, false, Vote::None),
    ] {
        let mut scene = given(|config| {
            config.fences = fences;
            config.votes = votes;
        });
        let effects = scene.on(Event::PeerConnected(PEER));
        let says = |effect: &Effect| match effect {
            Effect::Send {
                message: Message::SyncRequest(sync),
                ..
            } => Some(sync.told.votes),
            _ => None,
        };
        assert_eq!(effects.iter().find_map(says), Some(told));
    }
}

#[test]
fn one_raise_is_under_way_at_a_time_however_often_the_store_is_away() {
    let mut scene = scene();
    let count = Count::saturating(20);
    let request = Event::IdentityRequest {
        from: ALICE,
        count,
        after: 0,
    };
    assert_eq!(raises(&scene.on(request.clone())), 1);
    for _ in 0..3 {
        if scene.actor.store_deadline().is_some() {
            assert_eq!(raises(&scene.timeout()), 0);
        }
        assert_eq!(raises(&scene.on(request.clone())), 0);
        scene.leased(LEASE);
    }
    scene.on(CEILING_WRITTEN);
    assert_eq!(scene.ask(ALICE, 20), [(ALICE, From(1))]);
}
