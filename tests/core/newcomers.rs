//! How a server treats a life that asks for a pid which another one has, or had: whom it asks, and how long it waits.

use std::time::Duration;

use ipseity_core::{
    actor::{Actor, Effect, Event, Outcome, Written},
    identity::Pid,
    ids::{ConnectionId, Link, PeerId},
    time::Instant,
    words::{ErrorCode, Message, Stage, SyncMessage, Told},
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
