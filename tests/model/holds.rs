//! The promises hold, as far as a search has gone; and what can happen does happen there.

use crate::{
    events::Event,
    rules::{Join, Model, Rule},
    scenes::{COPIED, COPIED_AND_STARTED_AGAIN, SERVES},
    search::{Found, search, wander},
};

const JOINS: [Join; 3] = [Join::Majority, Join::Require, Join::Prefer];

#[track_caller]
fn assert_holds(found: &Found, model: &Model) {
    println!(
        "{:?}, {} lives, {} peers: {}",
        model.join,
        model.lives,
        model.peers,
        found.tell()
    );
    assert_eq!(found.fault, None, "{model:?}: {}", found.tell());
}

/// A server in a cluster of three has two others.
fn with_two_others(model: Model) -> Model {
    Model { peers: 2, ..model }
}

/// All states of two lives where one of them serves, with the policies that one of two others is enough for and with
/// the one that needs both.
#[test]
fn two_lives_beside_two_others_hold() {
    for join in JOINS {
        let model = with_two_others(Model::new(join, 2, 2).calm().after(SERVES));
        let found = search(&model, usize::MAX);
        assert!(found.is_complete);
        assert_holds(&found, &model);
    }
}

/// The same where a directory remembers only its last life.
#[test]
fn two_lives_with_short_records_hold() {
    for join in JOINS {
        let model = Model {
            lives_recorded: 1,
            ..with_two_others(Model::new(join, 2, 2).calm().after(SERVES))
        };
        let found = search(&model, usize::MAX);
        assert_holds(&found, &model);
        assert!(found.is_complete);
    }
}

/// All states of two lives whose store fences, and nobody is refused but the one that has lost the pid.
#[test]
fn two_lives_that_a_store_fences_hold() {
    for join in JOINS {
        let model = with_two_others(Model::new(join, 2, 3).calm().fenced());
        for model in [
            model.after(SERVES),
            Model {
                lives_recorded: 1,
                ..model.after(SERVES)
            },
        ] {
            let found = search(&model, usize::MAX);
            assert_holds(&found, &model);
            assert!(found.is_complete);
        }
    }
}

#[test]
fn the_nearest_states_hold_with_everything() {
    for join in JOINS {
        let model = Model::new(join, 3, 3);
        assert_holds(&search(&model, 4_000), &model);
    }
}

#[test]
fn walks_by_lot_hold_with_everything() {
    for join in JOINS {
        let everything = Model {
            memory_is_lost: true,
            ..Model::new(join, 3, 3)
        };
        let short_records = Model {
            lives_recorded: 1,
            ..everything
        };
        for model in [
            everything,
            everything.after(SERVES),
            everything.fenced(),
            everything.fenced().after(SERVES),
            short_records,
            short_records.after(SERVES),
        ] {
            assert_holds(&wander(&model, 300, 60, 1), &model);
        }
    }
}

/// These rules save time or keep memories current; that they are off breaks no promise.
#[test]
fn without_what_only_saves_time_all_holds() {
    let rules = [
        Rule::CandidateHolds,
        Rule::CandidateIsKept,
        Rule::NewerBecomesMain,
        Rule::Boot,
        Rule::Goodbye,
        Rule::FaceToFace,
        Rule::ServerJudgesKnown,
        Rule::MainClaimsNothing,
    ];
    for rule in rules {
        let model = Model::new(Join::Majority, 3, 3).after(SERVES).off(rule);
        assert_holds(&wander(&model, 100, 60, 5), &model);
    }
}

/// The same where a store fences.
#[test]
fn without_what_only_saves_time_all_holds_where_a_store_fences() {
    for rule in [Rule::LowerIsRefused, Rule::FaceToFace, Rule::OlderIsStopped] {
        let model = with_two_others(Model::new(Join::Majority, 2, 3).calm().fenced());
        let model = model.after(SERVES).off(rule);
        let found = search(&model, usize::MAX);
        assert_holds(&found, &model);
        assert!(found.is_complete);
    }
}

/// Otherwise that all holds would say little.
#[test]
fn what_can_happen_happens() {
    let three = Model::new(Join::Majority, 3, 3);
    let two = Model::new(Join::Majority, 2, 2).calm();
    let prefer = Model {
        join: Join::Prefer,
        ..three.calm()
    };
    let copied = with_two_others(two.after(COPIED));
    let found = search(&copied, usize::MAX);
    assert_holds(&found, &copied);
    let mut events = found.events;
    for model in [
        three.after(SERVES),
        prefer,
        prefer.after(SERVES),
        three.calm().after(COPIED_AND_STARTED_AGAIN),
        three.fenced().after(SERVES),
    ] {
        events.add(wander(&model, 1_000, 60, 3).events);
    }
    let never = Event::ALL.iter().filter(|event| !events.has(**event));
    let never: Vec<&Event> = never.collect();
    assert!(never.is_empty(), "{never:?}");
}

#[test]
#[ignore = "minutes, and some gigabytes: .ci/full"]
fn two_lives_hold_with_all_states() {
    for join in JOINS {
        let quiet = Model::new(join, 2, 2).calm();
        let crashing = Model {
            peers_crash: true,
            ..quiet
        };
        for model in [quiet, crashing, with_two_others(crashing)] {
            assert_holds(&search(&model, 20_000_000), &model);
        }
    }
}

#[test]
#[ignore = "minutes, and some gigabytes: .ci/full"]
fn lives_that_a_store_fences_hold_with_all_states() {
    for join in JOINS {
        let two = with_two_others(Model::new(join, 2, 3).fenced());
        let quiet = with_two_others(Model::new(join, 3, 3).calm().fenced());
        let crashing = Model {
            peers_crash: true,
            ..quiet
        };
        for model in [two.after(SERVES), quiet, crashing.after(SERVES)] {
            assert_holds(&search(&model, 20_000_000), &model);
        }
    }
}

#[test]
#[ignore = "minutes, and some gigabytes: .ci/full"]
fn three_lives_hold_as_far_as_memory_goes() {
    for join in JOINS {
        let model = Model::new(join, 3, 3).calm().after(SERVES);
        for model in [model, with_two_others(model), Model::new(join, 3, 3)] {
            assert_holds(&search(&model, 15_000_000), &model);
        }
    }
}

#[test]
#[ignore = "minutes: .ci/full"]
fn long_walks_by_lot_hold_with_everything() {
    for join in JOINS {
        let everything = Model {
            memory_is_lost: true,
            ..Model::new(join, 3, 3)
        };
        for (seed, model) in [(3, everything), (5, everything.after(SERVES))] {
            for model in [model, with_two_others(model), model.calm()] {
                assert_holds(&wander(&model, 500_000, 70, seed), &model);
            }
        }
    }
}
