//! How a server treats a life that asks for a pid which another one has, or had: whom it asks, and how long it waits.

use std::time::Duration;

use ipseity_core::{
    actor::{Actor, ActorConfig, Effect, Event, Outcome, Remembered, Written},
    identity::{Pid, Sequence},
    ids::{ConnectionId, Link, PeerId},
    limits::PROBE_TIMEOUT,
    time::Instant,
    words::{ErrorCode, Goodbye, LifeMarks, Message, Stage, SyncMessage, Told},
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

/// The sessions of the claims that are remembered of pid 7.
fn claims(scene: &Scene) -> [Option<u64>; 2] {
    let remembered = &scene.actor.members()[&Pid::new(7).unwrap()].remembered;
    [remembered.claim, remembered.claim_before].map(|claim| claim.map(|claim| claim.session))
}
