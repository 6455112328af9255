//! How a server treats a life that asks for a pid which another one has, or had: whom it asks, and how long it waits.

use std::time::Duration;

use ipseity_core::{
    actor::{Actor, ActorConfig, Effect, Event, Life, Outcome, Remembered, Report, Written},
    identity::{Pid, Sequence},
    ids::{ConnectionId, Link, PeerId},
    limits::PROBE_TIMEOUT,
    time::Instant,
    words::{
        ErrorCode, Goodbye, KnownLife, LifeMarks, Message, Probe, Stage, Standing, SyncMessage,
        Told,
    },
};
use ipseity_sim::config::{actor_config, peer_says};

const OLD: PeerId = PeerId(0);
const ALICE: ConnectionId = ConnectionId::new(0, 1);
const BOB: ConnectionId = ConnectionId::new(1, 2);

const AT: &str = "seven.test:1";

struct Scene {
    actor: Actor,
    now: Instant,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            actor: Actor::new(actor_config()),
            now: Instant::from_nanos(1_000_000_000_000),
        }
    }

    fn remembering(known: Remembered) -> Scene {
        let config = ActorConfig {
            remembered: vec![known],
            ..actor_config()
        };
        Scene {
            actor: Actor::new(config),
            ..Scene::new()
        }
    }

    fn on(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.actor.handle(event, self.now, &mut effects);
        self.now = self.now.after(Duration::from_millis(1));
        effects
    }

    fn asked(&mut self, from: ConnectionId, boot: u64, stage: Stage) -> Vec<Effect> {
        let sync = Box::new(life(boot, stage));
        self.on(Event::SyncRequest { from, sync })
    }

    /// A life joins, claims its pid and serves.
    fn serves(&mut self, from: ConnectionId, boot: u64) {
        self.asked(from, boot, Stage::Joins);
        self.asked(from, boot, Stage::Claims);
        self.on(Event::Written(Written::Members(Outcome::Durable)));
        self.asked(from, boot, Stage::Serves);
        self.on(Event::Written(Written::Members(Outcome::Durable)));
    }
}

/// What a life of pid 7 says of itself.
fn life(boot: u64, stage: Stage) -> SyncMessage {
    SyncMessage {
        boot,
        session: boot,
        advertise: AT.to_owned(),
        told: Told {
            stage,
            ..Told::default()
        },
        ..peer_says(Pid::new(7).unwrap())
    }
}

/// What the life that asked is told: nothing yet, that it is accepted, or why not.
fn answer(effects: &[Effect]) -> Option<Result<(), u16>> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply { message, .. } => match message {
            Message::SyncReply(_) => Some(Ok(())),
            Message::ErrorReply(error) => Some(Err(error.code)),
            _ => None,
        },
        Effect::Object { charge, answers } => answers.then_some(Err(charge.code.get())),
        _ => None,
    })
}

fn dialed(effects: &[Effect]) -> bool {
    let is_it = |effect: &Effect| matches!(effect, Effect::DialOnce(at) if **at == *AT);
    effects.iter().any(is_it)
}

/// Nothing answered where a life was dialed, and it has connected here itself since. So that says nothing about it.
#[test]
fn an_address_where_nobody_was_before_a_life_was_heard_says_nothing_about_it() {
    for is_tried_again in [false, true] {
        let mut scene = Scene::new();
        scene.on(Event::PeerConnected(OLD));
        let sync = Box::new(life(1, Stage::Serves));
        scene.on(Event::SyncReply { from: OLD, sync });
        scene.on(Event::PeerDisconnected(Link::Dialed(OLD)));
        scene.on(Event::PeerUnreachable(OLD));
        // The next start finds no life, asks on a connection of its own, and closes that.
        scene.serves(ALICE, 2);
        scene.on(Event::PeerDisconnected(Link::Accepted(ALICE)));
        if is_tried_again {
            scene.on(Event::PeerUnreachable(OLD));
        }
        let effects = scene.asked(BOB, 3, Stage::Joins);
        let at_once = is_tried_again.then_some(Ok(()));
        assert_eq!(
            (answer(&effects), dialed(&effects)),
            (at_once, !is_tried_again)
        );
        if !is_tried_again {
            // It is there, and has the pid.
            let dial = PeerId(1);
            let question = scene.on(Event::PeerConnected(dial));
            let mut sync = Box::new(life(2, Stage::Serves));
            sync.told.heard = asked_with(&question).expect("it is asked");
            let effects = scene.on(Event::SyncReply { from: dial, sync });
            assert_eq!(answer(&effects), Some(Err(ErrorCode::HeldByAnother.get())));
        }
    }
}

/// A life of pid 7 claims it, and that is durable.
fn claimed(boot: u64) -> Scene {
    let mut scene = Scene::new();
    scene.asked(ALICE, boot, Stage::Joins);
    scene.asked(ALICE, boot, Stage::Claims);
    let effects = scene.on(Event::Written(Written::Members(Outcome::Durable)));
    assert_eq!(answer(&effects), Some(Ok(())));
    scene
}

/// The question whether the life of Alice is alive.
fn probe(effects: &[Effect]) -> Probe {
    let probe = effects.iter().find_map(|effect| match effect {
        Effect::Tell {
            to: Link::Accepted(ALICE),
            message: Message::Probe(probe),
        } => Some(*probe),
        _ => None,
    });
    probe.expect("Alice is asked")
}

/// Each of two has been accepted first by some peers. Were both refused by the others, nobody would have the pid.
#[test]
fn of_two_that_claim_a_pid_the_same_one_waits_everywhere_for_the_other_to_give_up() {
    let held = Some(Err(ErrorCode::HeldByAnother.get()));
    // The one that started less often is refused at once.
    let mut scene = claimed(3);
    let effects = scene.asked(BOB, 2, Stage::Joins);
    let is_alive = Event::Alive(Box::new((Link::Accepted(ALICE), probe(&effects))));
    assert_eq!(answer(&scene.on(is_alive)), held);
    // The other one waits.
    let waiting = || {
        let mut scene = claimed(2);
        let effects = scene.asked(BOB, 3, Stage::Joins);
        let is_alive = Event::Alive(Box::new((Link::Accepted(ALICE), probe(&effects))));
        assert_eq!(answer(&scene.on(is_alive)), None);
        scene
    };
    let mut scene = waiting();
    let goodbye = Goodbye {
        pid: Pid::new(7).unwrap(),
        session: 2,
        served: false,
    };
    let effects = scene.on(Event::Goodbye(Box::new((Link::Accepted(ALICE), goodbye))));
    assert_eq!(answer(&effects), Some(Ok(())));
    // Once the first one serves, it has won.
    let mut scene = waiting();
    let effects = scene.asked(ALICE, 2, Stage::Serves);
    let is_alive = Event::Alive(Box::new((Link::Accepted(ALICE), probe(&effects))));
    let of_bob: Vec<Effect> = scene.on(is_alive);
    assert_eq!(answer(&of_bob), held);
    // And it does not wait for ever.
    let mut scene = waiting();
    scene.now = scene.now.after(PROBE_TIMEOUT);
    assert_eq!(answer(&scene.on(Event::ProbeTimeout)), held);
}

/// It gave up elsewhere while this server was about to note its claim, and its goodbye was not read any more.
#[test]
fn a_claim_that_nobody_waits_for_any_more_is_as_if_it_had_been_lost() {
    let mut scene = Scene::new();
    scene.asked(ALICE, 2, Stage::Joins);
    scene.asked(ALICE, 2, Stage::Claims);
    scene.on(Event::PeerDisconnected(Link::Accepted(ALICE)));
    scene.on(Event::Disconnected(ALICE));
    assert_eq!(answer(&scene.asked(BOB, 2, Stage::Joins)), Some(Ok(())));
    // One that was told that its claim stands may serve.
    let mut scene = claimed(2);
    scene.on(Event::PeerDisconnected(Link::Accepted(ALICE)));
    scene.on(Event::Disconnected(ALICE));
    assert_eq!(
        answer(&scene.asked(BOB, 2, Stage::Joins)),
        Some(Ok(())),
        "it is the same life"
    );
    let effects = scene.asked(BOB, 1, Stage::Joins);
    assert_eq!(answer(&effects), None);
}

/// Its goodbye comes on another link than its claim, which is being noted.
#[test]
fn a_claim_is_not_noted_again_when_its_life_has_said_goodbye() {
    let mut scene = Scene::new();
    scene.on(Event::PeerConnected(OLD));
    scene.asked(ALICE, 2, Stage::Joins);
    scene.asked(ALICE, 2, Stage::Claims);
    let sync = Box::new(life(2, Stage::Claims));
    scene.on(Event::SyncReply { from: OLD, sync });
    let goodbye = Goodbye {
        pid: Pid::new(7).unwrap(),
        session: 2,
        served: false,
    };
    scene.on(Event::Goodbye(Box::new((Link::Dialed(OLD), goodbye))));
    scene.on(Event::Written(Written::Members(Outcome::Durable)));
    assert_eq!(answer(&scene.asked(BOB, 2, Stage::Joins)), Some(Ok(())));
    let members = scene.actor.members();
    assert!(members.is_empty(), "{members:?}");
}

/// A directory whose last start is that one, and an actor of pid 1 in it that joins.
fn starts(lives: Vec<Life>, joins: bool) -> Scene {
    let config = ActorConfig {
        boot: 40,
        sequence: Sequence::new(1000).unwrap(),
        lives,
        joins,
        ..actor_config()
    };
    Scene {
        actor: Actor::new(config),
        now: Instant::from_nanos(1_000_000_000_000),
    }
}

const fn began(boot: u64, session: u64, ceiling: Sequence) -> Life {
    Life {
        boot,
        session,
        ceiling,
    }
}

/// What pid 2 answers a start of pid 1 that it accepts. It remembers these lives.
fn accepts(known: Option<KnownLife>, claimed: Option<KnownLife>) -> Event {
    let told = Told {
        known,
        claimed,
        ..Told::default()
    };
    Event::SyncReply {
        from: OLD,
        sync: Box::new(SyncMessage {
            told,
            ..peer_says(Pid::new(2).unwrap())
        }),
    }
}

fn life_of(boot: u64, session: u64, ceiling: u64) -> Option<KnownLife> {
    Some(KnownLife {
        boot,
        session,
        ceiling,
        sequence: 500,
    })
}

fn gives_up(effects: &[Effect]) -> bool {
    effects.contains(&Effect::GiveUp)
}

/// More starts than a directory remembers have pushed it out: starts that were refused count too.
#[test]
fn a_life_that_is_forgotten_counts_as_far_as_a_peer_knows_it() {
    for (ceiling, standing) in [(1000, Standing::Joining), (1001, Standing::Stale)] {
        let mut scene = starts(vec![began(39, 3, Sequence::ZERO)], true);
        scene.on(Event::PeerConnected(OLD));
        scene.on(accepts(life_of(7, 7, ceiling), None));
        assert_eq!(scene.actor.standing(), standing, "{ceiling}");
    }
}

#[test]
fn a_start_that_does_not_know_a_claim_may_be_made_again() {
    let lives = vec![began(39, 3, Sequence::ZERO)];
    let mut scene = starts(lives.clone(), true);
    scene.on(Event::PeerConnected(OLD));
    let effects = scene.on(accepts(None, life_of(39, 4, 0)));
    assert!(gives_up(&effects), "{effects:?}");
    assert!(!scene.actor.is_objected());
    // One that has served is another matter.
    let mut scene = starts(lives, true);
    scene.on(Event::PeerConnected(OLD));
    let effects = scene.on(accepts(life_of(39, 4, 0), None));
    assert!(!gives_up(&effects), "{effects:?}");
    assert!(scene.actor.is_objected());
}

/// A slow proxy, or somebody who has recorded it, brings what an earlier start of this directory had said.
#[test]
fn the_late_word_of_an_earlier_start_changes_nothing() {
    let lives = vec![began(39, 3, Sequence::new(900).unwrap())];
    let says = |session, ceiling| Event::SyncRequest {
        from: ALICE,
        sync: Box::new(SyncMessage {
            incarnation: actor_config().incarnation,
            boot: 39,
            session,
            told: Told {
                ceiling,
                ..Told::default()
            },
            ..peer_says(actor_config().pid)
        }),
    };
    for joins in [false, true] {
        let mut scene = starts(lives.clone(), joins);
        let standing = scene.actor.standing();
        let effects = scene.on(says(3, 900));
        let told = Effect::Report(Report::LateWord { from: ALICE });
        assert!(effects.contains(&told), "{effects:?}");
        assert!(!gives_up(&effects), "{effects:?}");
        assert_eq!(scene.actor.standing(), standing);
    }
    // One that has gone on, or that this directory does not know, is alive beside this one.
    for (session, ceiling) in [(3, 901), (4, 900)] {
        let mut scene = starts(lives.clone(), false);
        scene.on(says(session, ceiling));
        assert_eq!(scene.actor.standing(), Standing::Conflict);
    }
}

/// The nonce of a question among these effects.
fn asked_with(effects: &[Effect]) -> Option<u64> {
    effects.iter().find_map(|effect| match effect {
        Effect::Send {
            message: Message::SyncRequest(sync),
            ..
        } => Some(sync.told.nonce),
        _ => None,
    })
}

/// The first life of a pid that a server hears of claims it, and is stopped before it serves.
#[test]
fn a_life_that_rests_before_it_serves_has_only_claimed_its_pid() {
    let mut scene = Scene::new();
    scene.asked(ALICE, 1, Stage::Claims);
    scene.on(Event::PeerConnected(OLD));
    let sync = Box::new(life(1, Stage::Rests));
    scene.on(Event::SyncReply { from: OLD, sync });
    let remembered = &scene.actor.members()[&Pid::new(7).unwrap()].remembered;
    assert_eq!(remembered.claim.map(|claim| claim.session), Some(1));
    // The claim is not durable yet, so it is not confirmed.
    let effects = scene.asked(BOB, 1, Stage::Claims);
    assert_eq!(answer(&effects), None);
}

/// A claim alone changes nothing for the life that serves, not even if that is heard for the first time.
#[test]
fn a_life_that_serves_is_not_stopped_by_a_claim() {
    let served = Remembered {
        incarnation: life(1, Stage::Serves).incarnation,
        boot: 1,
        session: 1,
        claim: Some(LifeMarks {
            incarnation: life(2, Stage::Claims).incarnation,
            boot: 2,
            session: 2,
        }),
        ..Remembered::new(Pid::new(7).unwrap(), Sequence::ZERO)
    };
    let mut scene = Scene::remembering(served);
    let effects = scene.asked(ALICE, 1, Stage::Serves);
    assert_eq!(answer(&effects), Some(Ok(())));
}

/// Two copies of a directory claim its pid while the original is silent. When the second one gives up, the first one's
/// claim counts again.
#[test]
fn a_claim_counts_again_when_the_one_that_took_its_place_is_given_up() {
    let mut scene = Scene::new();
    scene.asked(ALICE, 2, Stage::Claims);
    scene.on(Event::Written(Written::Members(Outcome::Durable)));
    scene.on(Event::PeerDisconnected(Link::Accepted(ALICE)));
    // The first one is asked, and does not answer.
    assert_eq!(answer(&scene.asked(BOB, 3, Stage::Claims)), None);
    scene.now = scene.now.after(PROBE_TIMEOUT);
    scene.on(Event::ProbeTimeout);
    assert_eq!(claims(&scene), [Some(3), Some(2)]);
    let effects = scene.on(Event::Written(Written::Members(Outcome::Durable)));
    assert_eq!(answer(&effects), Some(Ok(())));
    let goodbye = Goodbye {
        pid: Pid::new(7).unwrap(),
        session: 3,
        served: false,
    };
    scene.on(Event::Goodbye(Box::new((Link::Accepted(BOB), goodbye))));
    assert_eq!(claims(&scene), [Some(2), None]);
}

/// A copy claims the pid where nothing is known of it, and says that it has come far, because it begins above its ceiling.
/// Its claim comes to nothing. The original has not come so far, and neither has its next life.
#[test]
fn how_far_a_claim_says_that_it_has_come_counts_for_nothing_beside_a_life_that_serves() {
    for serves_first in [false, true] {
        let mut scene = Scene::new();
        scene.on(Event::PeerConnected(OLD));
        let far = |boot, stage, sequence| {
            Box::new(SyncMessage {
                sequence,
                ..life(boot, stage)
            })
        };
        let original = |scene: &mut Scene, boot, sequence| {
            let sync = far(boot, Stage::Serves, sequence);
            let effects = scene.on(Event::SyncReply { from: OLD, sync });
            assert_eq!(answer(&effects), None, "nobody objects");
            let objects = |effect: &Effect| matches!(effect, Effect::Object { .. });
            assert!(!effects.iter().any(objects), "{effects:?}");
        };
        if serves_first {
            original(&mut scene, 1, 700);
        }
        let sync = far(2, Stage::Claims, 1800);
        scene.on(Event::SyncRequest { from: ALICE, sync });
        if serves_first {
            scene.now = scene.now.after(PROBE_TIMEOUT);
            scene.on(Event::ProbeTimeout);
        }
        scene.on(Event::Written(Written::Members(Outcome::Durable)));
        scene.on(Event::PeerDisconnected(Link::Accepted(ALICE)));
        original(&mut scene, 1, 800);
        // It is stopped and started in order, so it begins where it was.
        original(&mut scene, 3, 900);
        let known = &scene.actor.members()[&Pid::new(7).unwrap()];
        assert_eq!(known.remembered.sequence.get(), 900);
    }
}

/// A copy has claimed the pid at a server that knew nothing of the original. Then the original is heard.
#[test]
fn a_claim_is_judged_again_when_another_life_is_heard_to_serve() {
    let mut scene = claimed(3);
    assert_eq!(answer(&scene.asked(ALICE, 3, Stage::Claims)), Some(Ok(())));
    scene.asked(BOB, 1, Stage::Serves);
    scene.on(Event::Written(Written::Members(Outcome::Durable)));
    let effects = scene.asked(ALICE, 3, Stage::Claims);
    assert_eq!(answer(&effects), None);
    let probe = effects.iter().find_map(|effect| match effect {
        Effect::Tell {
            to: Link::Accepted(BOB),
            message: Message::Probe(probe),
        } => Some(*probe),
        _ => None,
    });
    let is_alive = Event::Alive(Box::new((Link::Accepted(BOB), probe.unwrap())));
    let held = Some(Err(ErrorCode::HeldByAnother.get()));
    assert_eq!(answer(&scene.on(is_alive)), held);
    // One that has served already is not asked for anything.
    let mut scene = claimed(3);
    scene.asked(ALICE, 3, Stage::Serves);
    scene.asked(BOB, 1, Stage::Serves);
    assert_eq!(answer(&scene.asked(ALICE, 3, Stage::Claims)), Some(Ok(())));
}

/// The sessions of the claims that are remembered of pid 7.
fn claims(scene: &Scene) -> [Option<u64>; 2] {
    let remembered = &scene.actor.members()[&Pid::new(7).unwrap()].remembered;
    [remembered.claim, remembered.claim_before].map(|claim| claim.map(|claim| claim.session))
}
