//! The requests of operators, the objections and overrules of peers, and how the actor refuses those who may not ask.
//! One scenario a function, as in tests/core/actor.rs.

// Long because: it has one short scenario for each of these messages, and they share helper functions.

use std::{collections::BTreeMap, time::Duration};

use ipseity_core::{
    actor::{
        Actor, ActorConfig, Effect, Event, Outcome, Remembered, Report, Tally, Write, Written,
    },
    identity::{Pid, Sequence},
    ids::{ConnectionId, Count, Link, PeerId},
    time::Instant,
    words::{
        DecidedBy, ErrorCode, ErrorReply, Forget, Grants, Hello, LifeMarks, Message, Objection,
        Overrule, Stage, Standing, SyncMessage, Told, WIRE_VERSION,
    },
};
use ipseity_sim::config::{actor_config, peer_says};

const ALICE: ConnectionId = ConnectionId::new(0, 1);
const BOB: ConnectionId = ConnectionId::new(1, 2);
const PEER: PeerId = PeerId(0);
const DIALED: Link = Link::Dialed(PEER);

const CEILING_WRITTEN: Event = Event::Written(Written::Ceiling(Outcome::Durable));
const CEILING_FAILED: Event = Event::Written(Written::Ceiling(Outcome::Failed));
const MEMBERS_WRITTEN: Event = Event::Written(Written::Members(Outcome::Durable));

struct Scene {
    actor: Actor,
    now: Instant,
}

impl Scene {
    fn new(change: impl FnOnce(&mut ActorConfig)) -> Scene {
        let mut config = actor_config();
        change(&mut config);
        Scene {
            actor: Actor::new(config),
            now: Instant::from_nanos(1_000_000_000_000),
        }
    }

    /// A scene with a connected peer that has said this.
    fn with_peer(said: SyncMessage, change: impl FnOnce(&mut ActorConfig)) -> (Scene, Vec<Effect>) {
        let mut scene = Scene::new(change);
        scene.on(Event::PeerConnected(PEER));
        let effects = scene.hear(said);
        (scene, effects)
    }

    fn on(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.actor.handle(event, self.now, &mut effects);
        // The reports about raises and operators have tests of their own.
        effects.retain(|effect| {
            !matches!(
                effect,
                Effect::Report(
                    Report::Raised { .. }
                        | Report::Advanced { .. }
                        | Report::Forgot { .. }
                        | Report::ForgotClaims { .. }
                )
            )
        });
        effects
    }

    fn hear(&mut self, said: SyncMessage) -> Vec<Effect> {
        self.on(Event::SyncReply {
            from: PEER,
            sync: Box::new(said),
        })
    }

    fn forget(&mut self, pid: Pid, trusted: bool) -> Vec<Effect> {
        self.forget_what(Forget::All(pid), trusted)
    }

    fn forget_what(&mut self, what: Forget, trusted: bool) -> Vec<Effect> {
        let from = ALICE;
        let event = Event::ForgetRequest { from, what };
        self.on_granted(&Message::ForgetRequest { what }, trusted, event)
    }

    fn advance(&mut self, above: u64, trusted: bool) -> Vec<Effect> {
        let from = ALICE;
        let event = Event::AdvanceRequest { from, above };
        self.on_granted(&Message::AdvanceRequest { above }, trusted, event)
    }

    /// The event that the server gives to the actor when a connection asks, trusted or not.
    fn on_granted(&mut self, asked: &Message, trusted: bool, event: Event) -> Vec<Effect> {
        let grants = match trusted {
            true => Grants::ALL,
            false => Grants::EVERYBODY,
        };
        let from = ALICE;
        match grants.check(asked, DecidedBy::Address).map_err(Box::new) {
            Ok(()) => self.on(event),
            Err(error) => self.on(Event::Denied { from, error }),
        }
    }

    fn ask(&mut self) -> Vec<Effect> {
        self.on(Event::IdentityRequest {
            from: ALICE,
            count: Count::saturating(1),
            after: 0,
        })
    }

    fn overrule(&mut self, link: Link, overrule: Overrule) -> Vec<Effect> {
        self.on(Event::Overrule(Box::new((link, overrule))))
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }
}

fn sequence(value: u64) -> Sequence {
    Sequence::new(value).unwrap()
}

fn seven() -> Pid {
    Pid::new(7).unwrap()
}

/// What pid 7 says about itself after its directory was lost.
fn lost() -> SyncMessage {
    SyncMessage {
        incarnation: 0xbb,
        session: 0x99,
        sequence: 10,
        ..peer_says(seven())
    }
}

/// The memory of pid 7: another directory, which had come to sequence 500.
fn remembered() -> Remembered {
    Remembered {
        incarnation: 0xaa,
        boot: 4,
        session: 0x88,
        ..Remembered::new(seven(), sequence(500))
    }
}

/// The overrule with which the operator of pid 7 answers.
fn word(above: u64) -> Overrule {
    Overrule {
        pid: seven(),
        incarnation: 0xbb,
        session: 0x99,
        above,
    }
}

fn done(sequence: u64) -> Effect {
    let message = Message::DoneReply { sequence };
    Effect::Reply { to: ALICE, message }
}

fn refused(code: ErrorCode, text: &str) -> Vec<Effect> {
    let message = Message::ErrorReply(Box::new(ErrorReply::new(code, text)));
    vec![Effect::Reply { to: ALICE, message }]
}

/// The code and the text of the one refusal among these effects.
fn refusal(effects: &[Effect]) -> (u16, &str) {
    let errors: Vec<&ErrorReply> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Reply {
                message: Message::ErrorReply(error),
                ..
            } => Some(&**error),
            _ => None,
        })
        .collect();
    assert_eq!(errors.len(), 1, "{effects:?}");
    (errors[0].code, &errors[0].message)
}

fn is_objection(effect: &Effect) -> bool {
    matches!(effect, Effect::Object { .. })
}

const NOT_TRUSTED: &str = "only an operator may ask for this: from the server's own machine (unless it was given \
    --trust-loopback no), or from an address that it was given with --trust";

#[test]
fn untrusted_forget_and_advance_requests_are_refused() {
    let (mut scene, _) = Scene::with_peer(lost(), |_| {});
    for effects in [scene.forget(seven(), false), scene.advance(90, false)] {
        assert_eq!(effects, refused(ErrorCode::NotTrusted, NOT_TRUSTED));
    }
    assert_eq!(scene.actor.sequence(), sequence(10));
    let effects = scene.forget(seven(), true);
    assert_eq!(effects.last(), Some(&done(10)), "it is still known");
}

#[test]
fn a_pid_is_forgotten_once_and_durably() {
    let mut scene = Scene::new(|config| config.remembered = vec![remembered()]);
    assert_eq!(
        scene.forget(seven(), true),
        [Effect::Write(Write::Members(Vec::new())), done(500)]
    );
    assert_eq!(
        scene.forget(seven(), true),
        refused(
            ErrorCode::UnknownPid,
            "nothing is known here of pid 7: ipseity-cli members lists those known"
        )
    );
}

/// A life of another directory that has claimed pid 7 and never served.
fn claim() -> LifeMarks {
    LifeMarks {
        incarnation: 0xcc,
        boot: 9,
        session: 0x77,
    }
}

#[test]
fn lives_that_never_served_are_forgotten_and_those_that_did_are_not() {
    let claimed = Remembered {
        claim: Some(claim()),
        claim_before: Some(LifeMarks {
            session: 0x66,
            ..claim()
        }),
        ..remembered()
    };
    let eight = Pid::new(8).unwrap();
    let only_claimed = Remembered {
        incarnation: claim().incarnation,
        boot: claim().boot,
        session: claim().session,
        claim: Some(claim()),
        ..Remembered::new(eight, sequence(3))
    };
    let mut scene =
        Scene::new(|config| config.remembered = vec![claimed.clone(), only_claimed.clone()]);
    assert_eq!(
        scene.forget_what(Forget::NeverServed(seven()), false),
        refused(ErrorCode::NotTrusted, NOT_TRUSTED)
    );
    let left = Write::Members(vec![remembered(), only_claimed]);
    assert_eq!(
        scene.forget_what(Forget::NeverServed(seven()), true),
        [Effect::Write(left), done(500)]
    );
    scene.on(MEMBERS_WRITTEN);
    let left = Write::Members(vec![remembered()]);
    assert_eq!(
        scene.forget_what(Forget::AllNeverServed, true),
        [Effect::Write(left), done(3)]
    );
    scene.on(MEMBERS_WRITTEN);
    // Nothing is left to forget, and nothing is written.
    assert_eq!(scene.forget_what(Forget::AllNeverServed, true), [done(0)]);
    assert_eq!(
        scene.forget_what(Forget::NeverServed(seven()), true),
        [done(0)]
    );
    assert_eq!(
        refusal(&scene.forget_what(Forget::NeverServed(eight), true)).0,
        ErrorCode::UnknownPid.get()
    );
}

#[test]
fn a_start_that_only_a_claim_refuses_is_accepted_when_that_is_forgotten() {
    let asks = |is_forgotten| {
        let claimed = Remembered {
            claim: Some(claim()),
            ..remembered()
        };
        let mut scene = Scene::new(|config| config.remembered = vec![claimed]);
        if is_forgotten {
            scene.forget_what(Forget::AllNeverServed, true);
        }
        let sync = SyncMessage {
            incarnation: 0xaa,
            boot: 5,
            sequence: 500,
            told: Told {
                stage: Stage::Joins,
                ..Told::default()
            },
            ..lost()
        };
        let from = BOB;
        let mut effects = scene.on(Event::SyncRequest {
            from,
            sync: Box::new(sync),
        });
        scene.wait(3);
        effects.extend(scene.on(Event::ProbeTimeout));
        effects
    };
    let refused = asks(false);
    // A claim may come to nothing, so the start is only sent away, and nothing of that lasts.
    assert_eq!(refusal(&refused).0, ErrorCode::HeldByAnother.get());
    assert!(!refused.iter().any(is_objection), "{refused:?}");
    let accepted = asks(true);
    let is_reply = |effect: &Effect| {
        matches!(
            effect,
            Effect::Reply {
                to: BOB,
                message: Message::SyncReply(_)
            }
        )
    };
    assert!(accepted.iter().any(is_reply), "{accepted:?}");
    assert!(!accepted.iter().any(is_objection), "{accepted:?}");
}

#[test]
fn a_hello_is_answered_and_one_to_another_cluster_ends_the_connection() {
    let mut scene = Scene::new(|_| {});
    let own = actor_config().cluster;
    let mut hello = |cluster| {
        let hello = Box::new(Hello { cluster });
        scene.on(Event::HelloRequest { from: ALICE, hello })
    };
    for cluster in [None, Some(own.clone())] {
        let [
            Effect::Reply {
                to: ALICE,
                message: Message::HelloReply(reply),
            },
        ] = &hello(cluster)[..]
        else {
            panic!("one helloReply");
        };
        assert_eq!(reply.cluster, own);
        assert_eq!(reply.pid, actor_config().pid);
        assert_eq!(reply.count_max, actor_config().count_max);
        assert_eq!(reply.standing, Standing::Serving);
        assert_eq!(reply.wire_version, WIRE_VERSION);
    }
    let effects = hello(Some("another".parse().unwrap()));
    assert_eq!(refusal(&effects).0, ErrorCode::ForeignCluster.get());
    assert_eq!(effects.last(), Some(&Effect::Close(ALICE)));
}

#[test]
fn the_actor_leaves_the_list_of_members_to_the_server() {
    let mut scene = Scene::new(|_| {});
    let (from, first) = (ALICE, seven());
    assert_eq!(
        scene.on(Event::MembersRequest { from, first }),
        [Effect::ReplyMembers { to: ALICE, first }]
    );
}

#[test]
fn an_operator_may_advance_to_the_last_sequence_and_no_further() {
    let mut scene = Scene::new(|config| config.ceiling = Sequence::MAX);
    let most = Sequence::MAX.get();
    assert_eq!(
        scene.advance(most + 1, true),
        refused(
            ErrorCode::AdvanceTooLarge,
            "sequence 9007199254740992 is beyond the last there is, 9007199254740991"
        )
    );
    assert_eq!(scene.advance(800, true), [done(800)]);
    // A second time changes nothing, and the sequence never goes back.
    assert_eq!(scene.advance(800, true), [done(800)]);
    assert_eq!(scene.advance(5, true), [done(800)]);
    assert_eq!(scene.advance(most, true)[0], done(most));
}

#[test]
fn a_server_that_is_stopping_or_whose_disk_failed_refuses_an_advance() {
    for (event, code) in [
        (CEILING_FAILED, ErrorCode::Storage),
        (Event::Stop, ErrorCode::Stopping),
    ] {
        let mut scene = Scene::new(|_| {});
        scene.on(event);
        assert_eq!(refusal(&scene.advance(90, true)).0, code.get());
        assert_eq!(scene.actor.sequence(), Sequence::ZERO);
    }
}

#[test]
fn clients_and_peers_have_separate_budgets_for_advances() {
    let (mut scene, _) = Scene::with_peer(lost(), |config| {
        config.budgets.after_burst = 100;
        config.budgets.peer_burst = 50;
        config.budgets.rate_per_second = 1;
    });
    let after = |sequence: u64| Event::IdentityRequest {
        from: ALICE,
        count: Count::saturating(1),
        after: sequence << 10,
    };
    // The peer has raised it to 10.
    assert!(matches!(
        scene.on(after(110))[0],
        Effect::ReplyIdentities { .. }
    ));
    let effects = scene.on(after(116));
    assert_eq!(
        refusal(&effects),
        (
            ErrorCode::OverBudget.get(),
            "after: sequence 116 is 5 ahead of this server, and its budget for advances allows 0 now: try \
             again later, or have an operator run ipseity-cli advance"
        )
    );
    let told = |effect: &Effect| matches!(effect, Effect::Report(Report::AdvanceRefused { .. }));
    // It is reported each time; the server limits how often that is logged.
    assert!(effects.iter().any(told));
    // Clients and peers share the refill.
    assert!(scene.on(after(117)).iter().any(told));
    scene.wait(9);
    assert_eq!(
        refusal(&scene.on(after(116))).0,
        ErrorCode::OverBudget.get()
    );
    scene.wait(1);
    assert!(matches!(
        scene.on(after(116))[0],
        Effect::ReplyIdentities { .. }
    ));
    // Ten of the peers' fifty are spent, and five have been refilled.
    let said = |sequence| SyncMessage { sequence, ..lost() };
    scene.hear(said(117 + 46));
    assert_eq!(scene.actor.sequence(), sequence(117));
    scene.hear(said(117 + 45));
    assert_eq!(scene.actor.sequence(), sequence(162));
}

#[test]
fn a_connection_speaks_for_one_pid() {
    let (mut scene, _) = Scene::with_peer(lost(), |_| {});
    let mut other = lost();
    other.pid = Pid::new(8).unwrap();
    other.sequence = 90;
    let effects = scene.hear(other);
    let hangs_up = effects.iter().any(|effect| match effect {
        Effect::HangUp { peer, cause } => {
            *peer == PEER
                && cause.to_string()
                    == "refused: this connection was for pid 7 before, and now is for pid 8: a peer keeps its pid"
        }
        _ => false,
    });
    assert!(hangs_up, "{effects:?}");
    assert_eq!(scene.actor.sequence(), sequence(10), "it is not believed");
}

#[test]
fn an_overrule_ends_an_objection_unless_it_is_too_low() {
    let scene = || {
        let (scene, effects) =
            Scene::with_peer(lost(), |config| config.remembered = vec![remembered()]);
        assert_eq!(effects.iter().filter(|e| is_objection(e)).count(), 1);
        scene
    };
    let settled = |above| {
        let new = Remembered {
            incarnation: 0xbb,
            boot: 0,
            session: 0x99,
            ..Remembered::new(seven(), sequence(above))
        };
        vec![
            Effect::Report(Report::Overruled {
                link: DIALED,
                pid: seven(),
                above,
            }),
            Effect::Write(Write::Members(vec![new])),
        ]
    };
    for above in [500, 501] {
        let mut scene = scene();
        scene.wait(60);
        assert_eq!(scene.overrule(DIALED, word(above)), settled(above));
        scene.on(MEMBERS_WRITTEN);
        // From now on it is heard like any other, and its boot is soon on the disk.
        scene.on(Event::SyncTimeout);
        scene.wait(2);
        let effects = scene.hear(lost());
        assert!(!effects.iter().any(is_objection));
        let boots = effects.iter().find_map(|effect| match effect {
            Effect::Write(Write::Members(members)) => Some(members[0].boot),
            _ => None,
        });
        assert_eq!(boots, Some(1));
    }
    let other_session = Overrule {
        session: 0x98,
        ..word(500)
    };
    let other_pid = Overrule {
        pid: Pid::MAX,
        ..word(500)
    };
    let accepted = Link::Accepted(ALICE);
    for (link, overrule) in [
        (DIALED, word(499)),
        (DIALED, other_session),
        (DIALED, other_pid),
        (accepted, word(500)),
    ] {
        let mut scene = scene();
        assert_eq!(scene.overrule(link, overrule), []);
        scene.on(Event::SyncTimeout);
        assert!(scene.hear(lost()).iter().any(is_objection));
    }
}

/// From before its restart the server remembers a sequence that is further ahead than it would now believe.
#[test]
fn a_peer_too_far_ahead_to_be_believed_is_not_taken_for_rolled_back() {
    let observer = |said: SyncMessage| {
        Scene::with_peer(said, |config| {
            config.advance_max = 100;
            config.remembered = vec![remembered()];
        })
    };
    let next = |ahead| SyncMessage {
        incarnation: remembered().incarnation,
        boot: remembered().boot + 1,
        sequence: ahead,
        ..lost()
    };
    for (ahead, is_behind) in [(499, true), (500, false), (9000, false), (u64::MAX, false)] {
        let (scene, effects) = observer(next(ahead));
        assert_eq!(effects.iter().any(is_objection), is_behind, "{ahead}");
        let known = &scene.actor.members()[&seven()].remembered;
        assert_eq!(known.sequence, sequence(500), "nothing is learned from it");
    }
    // An overrule is not taken for too low because it is too far ahead to be believed.
    for (above, is_enough) in [(499, false), (500, true), (9000, true)] {
        let (mut scene, _) = observer(lost());
        let effects = scene.overrule(DIALED, word(above));
        assert_eq!(!effects.is_empty(), is_enough, "{above}");
        let known = &scene.actor.members()[&seven()].remembered;
        assert_eq!(known.sequence, sequence(500));
    }
}

#[test]
fn a_server_started_with_recover_above_overrules_an_objection_and_goes_on() {
    let stale = |sequence| {
        let config = actor_config();
        let code = ErrorCode::StaleState;
        let objection = Objection::new(config.pid, config.session, code, sequence, "older");
        Event::Objection(Box::new((DIALED, objection)))
    };
    for (recovered, objected, goes_on) in [(0, 0, false), (600, 601, false), (600, 600, true)] {
        let (mut scene, _) =
            Scene::with_peer(lost(), |config| config.recovered = sequence(recovered));
        let effects = scene.on(stale(objected));
        if goes_on {
            let overrule = Overrule {
                pid: actor_config().pid,
                incarnation: actor_config().incarnation,
                session: actor_config().session,
                above: 600,
            };
            let message = Message::Overrule(Box::new(overrule));
            assert_eq!(
                effects,
                [Effect::Tell {
                    to: DIALED,
                    message
                }]
            );
            assert!(matches!(scene.ask()[0], Effect::ReplyIdentities { .. }));
            assert!(!scene.actor.is_objected());
            assert_eq!(scene.actor.standing(), Standing::Serving);
        } else {
            assert!(scene.actor.is_objected());
            assert_eq!(scene.actor.standing(), Standing::Stale);
            let is_told = |effect: &Effect| {
                let standing = Standing::Stale;
                let why = "older".to_owned();
                let above = sequence(objected);
                *effect
                    == Effect::Report(Report::Objected {
                        standing,
                        above,
                        by: DIALED,
                        why,
                    })
            };
            assert!(effects.iter().any(is_told), "{effects:?}");
            assert_eq!(refusal(&scene.ask()).0, ErrorCode::StaleState.get());
        }
    }
}

#[test]
fn an_objection_to_another_process_or_of_an_unknown_kind_is_ignored() {
    let own = actor_config();
    let stale = ErrorCode::StaleState;
    let mut unknown = Objection::new(own.pid, own.session, stale, 900, "");
    unknown.code = ErrorCode::BadCount.get();
    for objection in [
        Objection::new(seven(), own.session, stale, 900, ""),
        Objection::new(own.pid, own.session + 1, stale, 900, ""),
        unknown,
    ] {
        let (mut scene, _) = Scene::with_peer(lost(), |_| {});
        assert_eq!(
            scene.on(Event::Objection(Box::new((DIALED, objection)))),
            []
        );
        assert!(matches!(scene.ask()[0], Effect::ReplyIdentities { .. }));
    }
}

#[test]
fn links_and_members_show_what_is_known_of_peers() {
    let (mut scene, _) = Scene::with_peer(lost(), |config| config.remembered = vec![remembered()]);
    let link = &scene.actor.links()[&DIALED];
    assert_eq!((link.pid, link.sequence), (Some(seven()), 10));
    assert_eq!(link.heard_at, Some(scene.now));
    let known = &scene.actor.members()[&seven()];
    assert_eq!(
        known.remembered,
        remembered(),
        "what is objected to is not believed"
    );
    assert_eq!(known.heard_at, Some(scene.now));
    assert_eq!(known.objection(), Some(ErrorCode::StaleState));
    assert_eq!(scene.actor.tally().sync_replies, 1);
    // A second link to it, and one on which nobody has spoken.
    let (from, sync) = (ALICE, Box::new(lost()));
    scene.on(Event::SyncRequest { from, sync });
    scene.on(Event::PeerConnected(PeerId(1)));
    let mut lose = |link| {
        let effects = scene.on(Event::PeerDisconnected(link));
        effects.into_iter().find_map(|effect| match effect {
            Effect::Report(Report::PeerDown { link, pid }) => Some((link, pid)),
            _ => None,
        })
    };
    assert_eq!(
        lose(Link::Accepted(ALICE)),
        None,
        "it is up on the other link"
    );
    assert_eq!(lose(Link::Dialed(PeerId(1))), None, "nobody spoke on it");
    assert_eq!(lose(DIALED), Some((DIALED, seven())));
    assert_eq!(lose(DIALED), None, "it is told once");
    assert!(scene.actor.links().is_empty());
    assert_eq!(scene.actor.members().len(), 1);
}

#[test]
fn an_overrule_of_a_forgotten_pid_is_ignored() {
    let (mut scene, _) = Scene::with_peer(lost(), |config| config.remembered = vec![remembered()]);
    scene.forget(seven(), true);
    scene.wait(60);
    assert_eq!(scene.overrule(DIALED, word(500)), []);
}

#[test]
fn later_requests_wait_for_the_disk_only_on_their_own_connection() {
    let mut scene = Scene::new(|config| {
        config.ceiling = sequence(5);
        config.remembered = vec![remembered()];
    });
    let ask = |from| Event::IdentityRequest {
        from,
        count: Count::saturating(10),
        after: 0,
    };
    let members = |from| Event::MembersRequest {
        from,
        first: Pid::MIN,
    };
    let objected = |from| Event::SyncRequest {
        from,
        sync: Box::new(lost()),
    };
    assert!(matches!(
        scene.on(ask(ALICE))[..],
        [Effect::Write(Write::Ceiling { .. })]
    ));
    assert_eq!(scene.on(Event::StatusRequest { from: ALICE }), []);
    assert_eq!(scene.on(members(ALICE)), []);
    assert_eq!(scene.advance(3, true), []);
    let speaks = |effect: &Effect| matches!(effect, Effect::Object { .. } | Effect::Reply { .. });
    assert!(!scene.on(objected(ALICE)).iter().any(speaks));
    for event in [
        Event::StatusRequest { from: BOB },
        members(BOB),
        objected(BOB),
    ] {
        let effects = scene.on(event.clone());
        let answers = |effect: &Effect| {
            speaks(effect)
                || matches!(
                    effect,
                    Effect::ReplyStatus { .. } | Effect::ReplyMembers { .. }
                )
        };
        assert!(effects.iter().any(answers), "{event}: {effects:?}");
    }
    let effects = scene.on(CEILING_WRITTEN);
    assert!(
        matches!(
            effects[..],
            [
                Effect::ReplyIdentities { to: ALICE, .. },
                Effect::ReplyStatus { to: ALICE },
                Effect::ReplyMembers { to: ALICE, .. },
                Effect::Reply { to: ALICE, .. },
                Effect::Object { answers: true, .. },
                ..
            ]
        ),
        "{effects:?}"
    );
}

#[test]
fn a_waiting_advance_does_not_hold_up_other_connections() {
    let mut scene = Scene::new(|config| {
        config.joins = true;
    });
    assert_eq!(scene.ask(), []);
    assert_eq!(scene.advance(100, true), []);
    assert_eq!(
        scene.on(Event::StatusRequest { from: BOB }),
        [Effect::ReplyStatus { to: BOB }]
    );
    let effects = scene.on(Event::JoinTimeout);
    assert_eq!(effects.last(), Some(&done(100)));
}

#[test]
fn the_tally_counts_requests_identities_and_absorptions() {
    let (mut scene, _) = Scene::with_peer(lost(), |_| {});
    let ask = |count, after: u64| Event::IdentityRequest {
        from: BOB,
        count: Count::saturating(count),
        after: after << 10,
    };
    let asks = |sequence| Event::SyncRequest {
        from: ALICE,
        sync: Box::new(SyncMessage { sequence, ..lost() }),
    };
    // The peer has answered with 10. What raises nothing is not absorbed.
    for event in [
        ask(3, 0),
        ask(2, 20),
        ask(0, 0),
        ask(1, 1),
        asks(40),
        asks(50),
        asks(50),
    ] {
        scene.on(event);
    }
    scene.hear(SyncMessage {
        sequence: 60,
        ..lost()
    });
    // Above the ceiling of 2000.
    for _ in 0..5 {
        scene.on(ask(500, 0));
    }
    let answered = Tally {
        identity_requests: 6,
        refused: 1,
        identities: 1506,
        waited: 2,
        sync_requests: 3,
        sync_replies: 2,
        absorbed: 5,
    };
    assert_eq!(scene.actor.tally(), answered);
    // The two that have waited are not answered, because their connection is gone.
    scene.on(Event::Disconnected(BOB));
    assert_eq!(scene.actor.tally(), answered);
    scene.on(Event::Written(Written::Ceiling(Outcome::Durable)));
    assert_eq!(scene.actor.tally(), answered);
}

#[test]
fn a_joining_server_waits_for_every_peer_that_may_answer() {
    let (mut scene, effects) = Scene::with_peer(lost(), |config| {
        config.joins = true;
    });
    let joined = |effect: &Effect| matches!(effect, Effect::Report(Report::Joined { .. }));
    assert!(!effects.iter().any(joined));
    assert_eq!(scene.ask(), []);
    scene.on(Event::PeerConnected(PeerId(1)));
    let sync = Box::new(SyncMessage {
        pid: Pid::MAX,
        ..lost()
    });
    let from = PeerId(1);
    let effects = scene.on(Event::SyncReply {
        from,
        sync: sync.clone(),
    });
    assert!(!effects.iter().any(joined), "there may be a third");
    // Both have accepted it, and both have to note that.
    scene.on(Event::AllAsked);
    let effects = scene.on(Event::SyncReply { from, sync });
    assert!(!effects.iter().any(joined), "the other has not noted it");
    let effects = scene.on(Event::SyncReply {
        from: PeerId(0),
        sync: Box::new(lost()),
    });
    let joined = Effect::Report(Report::Joined { answered: 2 });
    assert!(effects.contains(&joined), "{effects:?}");
}

#[test]
fn where_a_life_can_be_dialed_is_remembered_as_long_as_it_says_so() {
    let address = |scene: &Scene| {
        let known = &scene.actor.members()[&seven()];
        known.remembered.address.clone()
    };
    let at = |advertise: &str, boot, session| SyncMessage {
        advertise: advertise.to_owned(),
        boot,
        session,
        ..lost()
    };
    let (mut scene, _) = Scene::with_peer(at("seven.test:1", 1, 0x99), |_| {});
    assert_eq!(address(&scene).as_deref(), Some("seven.test:1"));
    for (told, remembered) in [
        ("seven.test:2", Some("seven.test:2")),
        ("seven.test", None),
        ("[::1]:3264", Some("[::1]:3264")),
        ("a\nb:1", None),
        ("seven.test:3", Some("seven.test:3")),
        ("", None),
    ] {
        scene.hear(at(told, 1, 0x99));
        assert_eq!(address(&scene).as_deref(), remembered, "{told:?}");
    }
    // The next life of the directory.
    scene.hear(at("other.test:1", 2, 0x9a));
    assert_eq!(address(&scene).as_deref(), Some("other.test:1"));
    scene.hear(at("", 3, 0x9b));
    assert_eq!(address(&scene), None);
    // One that is not believed changes nothing.
    scene.hear(at("seven.test:9", 1, 0x9c));
    assert_eq!(address(&scene), None);
}

#[test]
fn a_server_tells_its_peers_where_it_can_be_dialed() {
    let mut scene = Scene::new(|config| config.advertise = "one.test:1".to_owned());
    let effects = scene.on(Event::PeerConnected(PEER));
    assert!(
        effects.iter().any(|effect| matches!(
            effect,
            Effect::Send { message: Message::SyncRequest(sync), .. } if sync.advertise == "one.test:1"
        )),
        "{effects:?}"
    );
}

/// The nonce of the answer among these effects.
fn nonce(effects: &[Effect]) -> Option<u64> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply {
            message: Message::SyncReply(sync),
            ..
        } => Some(sync.told.nonce),
        _ => None,
    })
}

/// An objection to this process.
fn objection(code: ErrorCode, sequence: u64) -> Event {
    let config = actor_config();
    let objection = Objection::new(config.pid, config.session, code, sequence, "no");
    Event::Objection(Box::new((DIALED, objection)))
}

fn writes_objection(effects: &[Effect]) -> bool {
    let writes_objection =
        |effect: &Effect| matches!(effect, Effect::Write(Write::Objection { .. }));
    effects.iter().any(writes_objection)
}

#[test]
fn an_objection_with_nothing_new_is_not_written_again() {
    let (mut scene, _) = Scene::with_peer(lost(), |_| {});
    for (sequence, is_written) in [(900, true), (900, false), (899, false), (901, true)] {
        let effects = scene.on(objection(ErrorCode::StaleState, sequence));
        assert_eq!(writes_objection(&effects), is_written, "{sequence}");
        scene.wait(60);
    }
}

#[test]
fn a_stale_server_can_come_into_conflict_but_not_the_other_way_round() {
    let (mut scene, _) = Scene::with_peer(lost(), |_| {});
    let mut hear = |code| {
        let effects = scene.on(objection(code, 900));
        let told = |effect: &Effect| matches!(effect, Effect::Report(Report::Objected { .. }));
        (effects.iter().any(told), scene.actor.standing())
    };
    assert_eq!(hear(ErrorCode::StaleState), (true, Standing::Stale));
    assert_eq!(hear(ErrorCode::StaleState), (false, Standing::Stale));
    assert_eq!(hear(ErrorCode::PidConflict), (true, Standing::Conflict));
    assert_eq!(hear(ErrorCode::PidConflict), (false, Standing::Conflict));
    assert_eq!(hear(ErrorCode::StaleState), (false, Standing::Conflict));
}

#[test]
fn of_two_live_servers_with_one_pid_the_one_that_asks_is_answered_and_the_other_is_told() {
    let mut scene = Scene::new(|_| {});
    let mut heard = BTreeMap::new();
    let mut asks = |from, session| {
        // A copied directory, with one more boot.
        let boot = session;
        let mut sync = Box::new(SyncMessage {
            session,
            boot,
            ..lost()
        });
        sync.told.heard = heard.get(&from).copied().unwrap_or_default();
        let effects = scene.on(Event::SyncRequest { from, sync });
        heard.extend(nonce(&effects).map(|nonce| (from, nonce)));
        let objected = |effect: &Effect| match effect {
            Effect::Object { charge, answers } => {
                assert_eq!(charge.code, ErrorCode::PidConflict);
                Some((charge.link, charge.session, *answers))
            }
            _ => None,
        };
        effects.iter().filter_map(objected).collect::<Vec<_>>()
    };
    let (alice, bob) = (Link::Accepted(ALICE), Link::Accepted(BOB));
    assert_eq!(asks(ALICE, 1), []);
    for (from, session) in [(BOB, 2), (ALICE, 1), (BOB, 2)] {
        assert_eq!(asks(from, session), []);
    }
    // It asks after an answer that was sent when the other had been heard, so it is still alive.
    assert_eq!(asks(ALICE, 1), [(alice, 1, true), (bob, 2, false)]);
    assert_eq!(asks(BOB, 2)[0], (bob, 2, true));
}

#[test]
fn a_third_server_with_the_same_pid_is_reported_as_new() {
    const CAROL: ConnectionId = ConnectionId::new(2, 3);
    let mut scene = Scene::new(|_| {});
    let mut newest = 0;
    // Each is known to have received what this server has sent last, to whomever.
    let mut asks = |from, session| {
        let mut sync = Box::new(SyncMessage {
            session,
            boot: session,
            ..lost()
        });
        sync.told.heard = newest;
        let effects = scene.on(Event::SyncRequest { from, sync });
        newest = nonce(&effects).unwrap_or(newest);
        let charged = |effect: &Effect| match effect {
            Effect::Object { charge, .. } => Some((charge.session, charge.is_new)),
            _ => None,
        };
        effects.iter().filter_map(charged).collect::<Vec<_>>()
    };
    for (from, session) in [(ALICE, 1), (BOB, 2)] {
        assert_eq!(asks(from, session), []);
    }
    // The two are reported once.
    assert_eq!(asks(ALICE, 1), [(1, true), (2, false)]);
    assert_eq!(asks(BOB, 2), [(2, false)], "reported once");
    assert_eq!(asks(CAROL, 3), []);
    assert_eq!(asks(ALICE, 1), [(1, false)]);
    assert_eq!(asks(CAROL, 3), [(3, true), (1, false)]);
}

#[test]
fn late_messages_of_a_process_that_is_gone_raise_only_the_sequence() {
    let mut scene = Scene::new(|_| {});
    let mut hear = |from, boot, sequence| {
        let sync = Box::new(SyncMessage {
            session: boot,
            boot,
            sequence,
            ..lost()
        });
        scene.on(Event::SyncRequest { from, sync });
        let remembered = &scene.actor.members()[&seven()].remembered;
        (
            remembered.boot,
            remembered.session,
            remembered.sequence.get(),
        )
    };
    assert_eq!(hear(ALICE, 5, 100), (5, 5, 100));
    assert_eq!(hear(BOB, 6, 200), (6, 6, 200));
    assert_eq!(hear(ALICE, 5, 150), (6, 6, 200));
    assert_eq!(hear(ALICE, 5, 300), (6, 6, 300));
}

#[test]
fn a_lost_directory_is_reported_once_for_each_process() {
    let mut scene = Scene::new(|config| config.remembered = vec![remembered()]);
    let mut is_news = |session, seconds| {
        scene.wait(seconds);
        let sync = Box::new(SyncMessage { session, ..lost() });
        let effects = scene.on(Event::SyncRequest { from: ALICE, sync });
        let news = |effect: &Effect| match effect {
            Effect::Object { charge, .. } => Some(charge.is_new),
            _ => None,
        };
        effects.iter().find_map(news)
    };
    assert_eq!(is_news(1, 0), Some(true));
    assert_eq!(is_news(1, 0), Some(false));
    // Another process is news too, but only once, however long it goes on asking. Of many of them the server logs one
    // line a minute.
    assert_eq!(is_news(2, 59), Some(true));
    assert_eq!(is_news(2, 120), Some(false));
    assert_eq!(is_news(3, 0), Some(true));
}

#[test]
fn a_second_failure_of_the_disk_changes_nothing() {
    let mut scene = Scene::new(|_| {});
    let stale = |scene: &mut Scene| scene.on(objection(ErrorCode::StaleState, 0));
    scene.on(CEILING_FAILED);
    scene.on(CEILING_FAILED);
    assert!(matches!(scene.ask()[0], Effect::ReplyIdentities { .. }));

    let (mut scene, _) = Scene::with_peer(lost(), |_| {});
    stale(&mut scene);
    scene.on(CEILING_FAILED);
    scene.on(CEILING_FAILED);
    assert_eq!(refusal(&scene.ask()).0, ErrorCode::Storage.get());
}

#[test]
fn a_forget_after_a_waiting_request_is_answered_when_the_disk_fails() {
    let mut scene = Scene::new(|config| {
        config.ceiling = sequence(5);
        config.remembered = vec![remembered()];
    });
    scene.on(Event::IdentityRequest {
        from: ALICE,
        count: Count::saturating(10),
        after: 0,
    });
    let effects = scene.forget(seven(), true);
    assert_eq!(effects, [Effect::Write(Write::Members(Vec::new()))]);
    assert_eq!(scene.advance(50, true), []);
    let effects = scene.on(CEILING_FAILED);
    let codes: Vec<_> = effects[..3]
        .iter()
        .map(|effect| match effect {
            Effect::Reply {
                message: Message::ErrorReply(error),
                ..
            } => Err(error.code),
            Effect::Reply {
                message: Message::DoneReply { sequence },
                ..
            } => Ok(*sequence),
            other => panic!("{other}"),
        })
        .collect();
    let storage = Err(ErrorCode::Storage.get());
    assert_eq!(codes, [storage, Ok(500), storage]);
}

#[test]
fn a_stop_waits_for_a_raise_that_no_request_waits_for() {
    let mut scene = Scene::new(|_| {});
    for _ in 0..1000 {
        scene.ask();
    }
    assert_eq!(scene.on(Event::Stop), []);
    let sequence = sequence(1000);
    assert_eq!(
        scene.on(CEILING_WRITTEN),
        [Effect::Write(Write::Stop { sequence })]
    );
}

#[test]
fn while_the_members_are_being_saved_only_their_newest_state_waits() {
    fn saved(effects: &[Effect]) -> Option<u64> {
        effects.iter().find_map(|effect| match effect {
            Effect::Write(Write::Members(members)) => Some(members[0].boot),
            _ => None,
        })
    }
    let restarted = |boot| SyncMessage {
        boot,
        session: boot,
        sequence: 10 + boot,
        ..lost()
    };
    let (mut scene, effects) = Scene::with_peer(restarted(1), |_| {});
    assert_eq!(saved(&effects), Some(1));
    for boot in 2..=4 {
        scene.wait(60);
        assert_eq!(saved(&scene.hear(restarted(boot))), None, "the disk hangs");
    }
    assert_eq!(saved(&scene.on(MEMBERS_WRITTEN)), Some(4));
    // A write that fails is followed by the next one like any other.
    scene.wait(60);
    assert_eq!(saved(&scene.hear(restarted(5))), None);
    let failed = Event::Written(Written::Members(Outcome::Failed));
    assert_eq!(saved(&scene.on(failed)), Some(5));
    assert_eq!(saved(&scene.on(MEMBERS_WRITTEN)), None);
    // The same is true during a stop, which ends only when everything is saved.
    scene.wait(60);
    assert_eq!(saved(&scene.hear(restarted(6))), Some(6));
    assert_eq!(saved(&scene.hear(restarted(7))), None);
    assert_eq!(saved(&scene.on(Event::Stop)), None);
    assert_eq!(saved(&scene.on(MEMBERS_WRITTEN)), Some(7));
    for boot in 8..30 {
        assert_eq!(saved(&scene.hear(restarted(boot))), None);
        // No budget delays a stop.
        assert_eq!(saved(&scene.on(MEMBERS_WRITTEN)), Some(boot));
    }
    assert!(scene.actor.is_saving());
    scene.on(MEMBERS_WRITTEN);
    assert!(scene.actor.has_saved());
    // If the disk fails, a stop does not try again.
    assert_eq!(saved(&scene.hear(restarted(30))), Some(30));
    let failed = Event::Written(Written::Members(Outcome::Failed));
    assert_eq!(saved(&scene.on(failed)), None);
    assert!(!scene.actor.is_saving() && !scene.actor.has_saved());
}

/// What docs/guarantees.md says about a server that refuses: its error does not say who it is.
#[test]
fn a_peer_that_refuses_a_round_stays_unknown_until_it_says_who_it_is() {
    let mut scene = Scene::new(|config| config.remembered = vec![remembered()]);
    scene.on(Event::PeerConnected(PEER));
    for code in [ErrorCode::AdvanceTooLarge, ErrorCode::OverBudget] {
        let error = Box::new(ErrorReply::new(code, "no"));
        let effects = scene.on(Event::ErrorReply { from: PEER, error });
        assert!(!effects.iter().any(is_objection), "{effects:?}");
        assert_eq!(scene.actor.links()[&DIALED].pid, None);
    }
    assert!(scene.hear(lost()).iter().any(is_objection));
}

/// What docs/guarantees.md says about a copy of the newest boot: only its sequence gives it away, until another peer
/// has raised that.
#[test]
fn a_rolled_back_server_that_absorbs_first_is_not_noticed() {
    for (absorbs, is_noticed) in [(None, true), (Some(499), true), (Some(500), false)] {
        let mut rolled_back = Scene::new(|config| {
            config.pid = seven();
            config.incarnation = remembered().incarnation;
            config.boot = remembered().boot + 1;
            config.sequence = sequence(300);
        });
        if let Some(absorbs) = absorbs {
            let (pid, sequence) = (Pid::new(8).unwrap(), absorbs);
            let sync = Box::new(SyncMessage {
                pid,
                sequence,
                ..lost()
            });
            rolled_back.on(Event::SyncRequest { from: ALICE, sync });
        }
        let first_words = rolled_back.on(Event::PeerConnected(PEER));
        let said = first_words.into_iter().find_map(|effect| match effect {
            Effect::Send {
                message: Message::SyncRequest(sync),
                ..
            } => Some(*sync),
            _ => None,
        });
        let knows = |config: &mut ActorConfig| config.remembered = vec![remembered()];
        let (_, effects) = Scene::with_peer(said.unwrap(), knows);
        assert_eq!(
            effects.iter().any(is_objection),
            is_noticed,
            "{absorbs:?}: {effects:?}"
        );
    }
}
