//! Each rule is needed: without it something that is promised does not hold. And so is each exemption.

use crate::{
    properties::Fault,
    rules::{Exemption, Join, Model, Rule},
    scenes::{
        COPIED, COPIED_AND_STARTED_AGAIN, COPIED_BEFORE_IT_WAS_HEARD, GIVEN_UP_BY_A_COPY, MISTYPED,
        RAISED_SINCE_A_CLAIM, RAISED_SINCE_THE_COPY, SERVES, TWO_FROM_ONE_COPY, TWO_JOIN,
    },
    search::search,
};

/// Enough to find each of them.
const STATES_MAX: usize = 1_000_000;

/// Two lives at `majority`, where little else happens.
fn two_lives() -> Model {
    Model::new(Join::Majority, 2, 2).calm()
}

fn three_lives() -> Model {
    Model::new(Join::Majority, 3, 3).calm()
}

fn ordinary(model: Model) -> Model {
    Model {
        operators_err: false,
        ..model
    }
}

fn with_crashes_of_peers(model: Model) -> Model {
    Model {
        peers_crash: true,
        ..model
    }
}

fn with_two_others(model: Model) -> Model {
    Model { peers: 2, ..model }
}

/// The pid is in a store that fences, and two others have heard the life that serves.
fn in_a_store() -> Model {
    with_two_others(Model::new(Join::Majority, 2, 3).calm().fenced()).after(SERVES)
}

/// A directory remembers only its last life.
fn with_short_records(model: Model) -> Model {
    Model {
        lives_recorded: 1,
        ..model
    }
}

#[track_caller]
fn assert_needed(model: Model, rules: &[Rule], promise: Fault) {
    let broken = rules.iter().fold(model, |model, rule| model.off(*rule));
    let found = search(&broken, STATES_MAX);
    println!("{rules:?}: {}", found.tell());
    let fault = found.fault.as_ref().map(|(fault, _)| *fault);
    assert_eq!(fault, Some(promise), "{rules:?}: {}", found.tell());
}

macro_rules! needed {
    ($($name:ident: $rules:expr, $promise:ident, $model:expr;)+) => {
        $(#[test]
        fn $name() {
            use Rule::*;
            assert_needed($model, &$rules, Fault::$promise);
        })+
    };
}

needed! {
    the_holder_is_asked: [HolderIsAsked], HandedOutTwice, two_lives().after(COPIED);
    the_holder_is_dialed: [HolderIsDialed], HandedOutTwice,
        with_crashes_of_peers(with_two_others(two_lives().after(COPIED)));
    silence_ends: [SilenceEnds], NeverServes, ordinary(two_lives());
    a_claim_holds: [ClaimHolds], HandedOutTwice, two_lives().after(COPIED_BEFORE_IT_WAS_HEARD);
    what_is_heard_drops_the_candidate: [HeardDropsCandidate], HandedOutTwice,
        with_two_others(two_lives().after(SERVES));
    a_claim_drops_the_candidate: [ClaimDropsCandidate], HandedOutTwice,
        Model { sequence_max: 1, ..two_lives() }.after(TWO_JOIN);
    a_life_claims: [Claims], HandedOutTwice, Model { sequence_max: 1, ..two_lives() };
    a_claim_is_durable: [ClaimIsDurable], HandedOutTwice,
        with_crashes_of_peers(with_two_others(two_lives().after(COPIED_BEFORE_IT_WAS_HEARD)));
    a_claim_is_judged: [ClaimIsJudged], HandedOutTwice, with_two_others(two_lives().after(SERVES));
    the_claim_before_returns: [ClaimBeforeReturns], HandedOutTwice,
        Model { sequence_max: 1, ..three_lives() }.after(GIVEN_UP_BY_A_COPY);
    the_claim_before_is_told: [ClaimBeforeIsTold], HandedOutTwice,
        with_two_others(three_lives().after(TWO_FROM_ONE_COPY));
    a_claim_becomes_main: [ClaimBecomesMain], HandedOutTwice, two_lives().after(COPIED);
    an_older_life_stops: [OlderIsStopped, ServerJudgesKnown], HandedOutTwice,
        with_two_others(two_lives().after(COPIED));
    another_incarnation_is_stale: [Incarnation], HandedOutTwice, three_lives().after(MISTYPED);
    a_directory_knows_the_life: [KnowsLife], HandedOutTwice,
        three_lives().after(COPIED_AND_STARTED_AGAIN);
    a_directory_knows_the_ceiling: [KnowsCeiling], HandedOutTwice, two_lives().after(COPIED);
    it_is_the_ceiling_of_that_life: [CeilingOfThatLife], HandedOutTwice,
        three_lives().after(RAISED_SINCE_THE_COPY);
    what_was_forgotten_counts: [CeilingOfForgottenLife], HandedOutTwice,
        with_short_records(two_lives().after(COPIED));
    a_directory_forgets_at_the_ceiling: [ForgetsAtTheCeiling], NeverServes,
        ordinary(with_short_records(two_lives()));
    main_is_told_beside_a_claim: [MainIsTold], HandedOutTwice,
        three_lives().after(RAISED_SINCE_A_CLAIM);
    a_clean_stop_keeps_the_ceiling: [StopKeepsCeiling], NeverServes,
        ordinary(two_lives());
    more_than_half_accept: [MoreThanHalf], HandedOutTwice, two_lives().after(SERVES);
    a_lost_memory_has_no_vote: [LostMemoryHasNoVote], HandedOutTwice,
        Model { memory_is_lost: true, sequence_max: 1, ..two_lives().after(SERVES) };
    a_refusal_ends_a_life: [RefusalEnds], StoppedForUnaccepted, two_lives().after(SERVES);
    a_claim_is_withdrawn: [GivesUp], RefusedForOneThatGaveUp, three_lives().after(GIVEN_UP_BY_A_COPY);
    a_store_fences: [Fences], NeverServes, in_a_store();
    who_is_in_doubt_waits: [WaitsInDoubt], OutOfOrder, in_a_store();
    who_was_taken_over_holds_nothing: [TakenOverHoldsNothing], NeverServes, in_a_store();
    a_lower_life_stops: [LowerIsStopped], LowerGoesOn, in_a_store();
    the_owner_is_not_stopped: [OwnerIsNotStopped], OrdinaryRestartRefused, in_a_store();
    the_owner_does_not_step_back: [KeptApart], OrdinaryRestartRefused, in_a_store();
    a_stop_is_only_for_this_life: [OnlyForThisLife], NeverServes,
        Model { lives: 3, ..in_a_store() };
    who_is_alone_is_no_server: [AloneIsNoServer], StoppedForUnaccepted,
        Model { join: Join::Prefer, ..two_lives() }.after(SERVES);
}

macro_rules! forgiven {
    ($($name:ident: $exemption:ident, $model:expr;)+) => {
        $(#[test]
        fn $name() {
            let model = $model.unforgiving(Exemption::$exemption);
            assert_needed(model, &[], Fault::HandedOutTwice);
        })+
    };
}

forgiven! {
    an_original_that_was_cut_off: CutOff, with_two_others(two_lives().after(COPIED));
    an_original_whose_copy_was_not_heard: CopyNotHeard, with_two_others(two_lives().after(COPIED));
    a_ceiling_that_was_not_told: NotTold, with_two_others(two_lives().after(COPIED));
    a_life_that_was_alone: Alone, Model { join: Join::Prefer, ..two_lives() }.after(SERVES);
    nobody_who_remembers_was_asked_with_prefer: NobodyRemembers,
        Model { join: Join::Prefer, ..two_lives() }.after(SERVES);
    nobody_who_remembers_was_asked_with_require: NobodyRemembers,
        Model { join: Join::Require, ..two_lives() }.after(SERVES);
}
