//! What a life does: how it begins, what it makes of the answers, and how it ends.

use crate::{
    events::Event,
    peer::{Answer, Known},
    properties,
    rules::{Join, Model, Rule},
    state::{Confirmation, Directory, LIVES, LastWord, Life, Lives, Pair, Stage, State},
};

/// A life begins in a directory. Its boot and a new ceiling are durable before it says anything.
pub(crate) fn start(state: &mut State, model: &Model, from: Directory) {
    let life = usize::from(state.born);
    state.born += 1;
    let from = forgetting(from, model);
    let mut directory = from;
    if from.boot == 0 {
        directory.incarnation = life as u8;
    }
    directory.boot += 1;
    directory.resume = from.resume + 1;
    directory.record[life] = directory.resume;
    directory.began.add(Lives::only(life));
    state.lives[life] = Life {
        stage: Stage::Joins,
        incarnation: directory.incarnation,
        boot: directory.boot,
        record: from.record,
        limit: directory.resume,
        begins_at: from.resume,
        sequence: from.resume,
        directory,
        ..Life::default()
    };
    state.lives[life].ghost.before = from.began;
}

/// What is left of a directory when the next start is to be recorded too. It goes on at the ceiling of the life that it
/// forgets, or above.
pub(crate) fn forgetting(mut directory: Directory, model: &Model) -> Directory {
    // The lives of one directory began in the order of their numbers.
    let recorded = |record: &[u8; LIVES]| record.iter().filter(|ceiling| **ceiling > 0).count();
    while recorded(&directory.record) >= model.lives_recorded {
        let oldest = directory.record.iter_mut().find(|ceiling| **ceiling > 0);
        let ceiling = oldest.map(std::mem::take).unwrap_or_default();
        if !model.lacks(Rule::ForgetsAtTheCeiling) {
            directory.resume = directory.resume.max(ceiling);
        }
    }
    directory
}

/// A peer has answered a life that joins.
pub(crate) fn answered(state: &mut State, model: &Model, peer: usize, life: usize, answer: Answer) {
    match answer {
        Answer::Nothing | Answer::Objection(_) => {}
        Answer::Good(known) => match is_behind(state, model, life, known) {
            Some(behind) => {
                state.events.note(behind.event);
                refused(state, model, life, behind.lasts);
            }
            None => state.peers[peer].pairs[life].accepted = true,
        },
        Answer::HeldByAnother => refused(state, model, life, false),
        Answer::StaleState => refused(state, model, life, true),
    }
}

/// A peer has answered a claim. A confirmation is on its way for some time; nothing depends on when a refusal comes.
pub(crate) fn claim_answered(
    state: &mut State,
    model: &Model,
    peer: usize,
    life: usize,
    answer: Answer,
) {
    if state.lives[life].stage != Stage::Claims {
        return;
    }
    match answer {
        Answer::Nothing | Answer::Objection(_) => {}
        Answer::Good(known) => {
            let confirmation = match is_behind(state, model, life, known) {
                Some(behind) if behind.lasts => Confirmation::Stale,
                Some(_) => Confirmation::Claimed,
                None => Confirmation::Good,
            };
            state.peers[peer].pairs[life].confirmation = confirmation;
        }
        Answer::HeldByAnother => refused(state, model, life, false),
        Answer::StaleState => refused(state, model, life, true),
    }
}

/// The answer to a claim has come.
pub(crate) fn confirmed(state: &mut State, model: &Model, peer: usize, life: usize) {
    let pair = &mut state.peers[peer].pairs[life];
    match std::mem::take(&mut pair.confirmation) {
        Confirmation::None => {}
        Confirmation::Good => {
            pair.confirmed = true;
            properties::note_confirmation(state, peer, life);
        }
        Confirmation::Stale => {
            state.events.note(Event::StaleAtTheClaim);
            refused(state, model, life, true);
        }
        Confirmation::Claimed => {
            state.events.note(Event::ClaimRefuses);
            refused(state, model, life, false);
        }
    }
}

/// Why a directory is older than what a peer knows.
pub(crate) struct Behind {
    pub(crate) event: Event,
    /// Nothing that lasts follows from a claim.
    lasts: bool,
}

/// Whether the directory is older than what a peer knows: it does not know a life of its own, or not how far that came.
pub(crate) fn is_behind(state: &State, model: &Model, life: usize, known: Known) -> Option<Behind> {
    let one = &state.lives[life];
    let is_own = |other: &usize| state.lives[*other].incarnation == one.incarnation;
    // One that is older than all that the directory remembers.
    let is_forgotten = |other: usize| {
        let boot = state.lives[other].boot;
        let is_newer = |known: usize| one.record[known] == 0 || state.lives[known].boot > boot;
        model.lives_recorded < LIVES && one.boot > boot && (0..LIVES).all(is_newer)
    };
    let knows_life =
        |other: usize| one.record[other] > 0 || is_forgotten(other) || model.lacks(Rule::KnowsLife);
    let knows_all = |lives: Lives| lives.all().filter(is_own).all(knows_life);
    let behind = |event: Event, lasts: bool| Some(Behind { event, lasts });
    if !knows_all(known.main) {
        return behind(Event::UnknownLife, true);
    }
    let knows_ceiling = |main: usize| {
        let highest = match model.lacks(Rule::CeilingOfThatLife) {
            true => one.record.iter().copied().max().unwrap_or_default(),
            false if one.record[main] == 0 && is_forgotten(main) => {
                return one.begins_at >= known.ceiling || model.lacks(Rule::CeilingOfForgottenLife);
            }
            false => one.record[main],
        };
        highest >= known.ceiling || model.lacks(Rule::KnowsCeiling)
    };
    let mut main = known.main.all().filter(is_own);
    if !main.all(knows_ceiling) {
        return behind(Event::UnknownCeiling, true);
    }
    match knows_all(known.claim) {
        true => None,
        false => behind(Event::UnknownLife, false),
    }
}

/// How many peers have this between them and the life.
fn count(state: &State, life: usize, has: impl Fn(&Pair) -> bool) -> usize {
    let with = state.peers.iter().filter(|peer| has(&peer.pairs[life]));
    with.count()
}

/// Whether enough have accepted it that it may claim.
pub(crate) fn may_claim(state: &State, model: &Model, life: usize) -> bool {
    state.lives[life].stage == Stage::Joins
        && count(state, life, |pair| pair.accepted) >= model.enough()
        && !model.lacks(Rule::Claims)
}

/// Whether it may serve: enough have confirmed it.
pub(crate) fn may_serve(state: &State, model: &Model, life: usize) -> bool {
    let stage = state.lives[life].stage;
    if model.lacks(Rule::Claims) {
        let accepted = count(state, life, |pair| pair.accepted);
        return stage == Stage::Joins && accepted >= model.enough();
    }
    stage == Stage::Claims && count(state, life, |pair| pair.confirmed) >= model.enough()
}

/// Whether it may hand out although nobody has confirmed it: its time is over, and nobody has answered.
pub(crate) fn may_be_alone(state: &State, model: &Model, life: usize) -> bool {
    let one = &state.lives[life];
    model.join == Join::Prefer
        && one.stage == Stage::Joins
        && !one.alone
        && count(state, life, |pair| pair.accepted) == 0
}

/// It claims.
pub(crate) fn claim(state: &mut State, life: usize) {
    let one = &mut state.lives[life];
    one.stage = Stage::Claims;
    one.claimed = true;
    one.ghost.accepted = !one.ghost.refused;
}

/// It serves.
pub(crate) fn serve(state: &mut State, life: usize) {
    if state.lives[life].alone {
        state.events.note(Event::AloneServesAtLast);
    }
    let one = &mut state.lives[life];
    one.stage = Stage::Serves;
    one.served = true;
    one.alone = false;
    for peer in &mut state.peers {
        let pair = &mut peer.pairs[life];
        pair.confirmed = false;
        pair.confirmation = Confirmation::None;
        pair.note = Default::default();
    }
}

/// Its time is over, and it hands out.
pub(crate) fn be_alone(state: &mut State, model: &Model, life: usize) {
    state.events.note(Event::IsAlone);
    match model.lacks(Rule::AloneIsNoServer) {
        true => serve(state, life),
        false => state.lives[life].alone = true,
    }
}

/// It was refused: it says so, and ends. It may come back, unless its directory is stale, or it has handed out what
/// the other one may hand out too.
fn refused(state: &mut State, model: &Model, life: usize, is_stale: bool) {
    properties::note_refusal(state, life);
    if model.lacks(Rule::RefusalEnds) {
        return;
    }
    if state.lives[life].alone {
        state.events.note(Event::AloneIsRefused);
    }
    let is_for_good = is_stale || state.lives[life].alone;
    note_stop(state, model, life, is_for_good);
    stop(state, model, life);
}

/// It served, and has to stop for another one.
pub(crate) fn stopped(state: &mut State, model: &Model, life: usize, rival: usize) {
    properties::judge_stop(state, model, life, rival);
    note_stop(state, model, life, true);
    end(state, life);
}

/// Notes on the disk that it was stopped for good. A store that fences has no place for that: what is there is its
/// successor's.
fn note_stop(state: &mut State, model: &Model, life: usize, is_for_good: bool) {
    let directory = match (model.fences, state.newest()) {
        (false, _) => life,
        (true, Some(newest)) if model.lacks(Rule::OnlyForThisLife) => newest,
        (true, _) => return,
    };
    state.lives[directory].directory.stopped |= is_for_good;
}

/// A life takes the pid over in a store that fences, whatever the one before it does.
pub(crate) fn take_over(state: &mut State, model: &Model) {
    let Some(before) = state.newest() else { return };
    if state.is_alive(before) {
        state.events.note(Event::TakesOverFromOneThatLives);
    }
    let from = state.lives[before].directory;
    if from.stopped {
        properties::note_start_refused(state);
    }
    take_directory(state, before);
    start(state, model, from);
}

/// Whether another life can take the pid over.
pub(crate) fn may_be_taken_over(state: &State) -> bool {
    let newest = state.newest().map(|newest| &state.lives[newest]);
    newest.is_some_and(|newest| newest.stage == Stage::Gone || newest.doubts)
}

/// Whether it may raise its ceiling.
pub(crate) fn may_raise(state: &State, model: &Model, life: usize) -> bool {
    let one = &state.lives[life];
    let is_fenced = model.fences && one.taken && !model.lacks(Rule::Fences);
    one.limit < model.sequence_max && !is_fenced
}

/// Its store tells it that another life has the pid.
pub(crate) fn is_fenced(state: &mut State, model: &Model, life: usize) {
    state.events.note(Event::IsFenced);
    stop(state, model, life);
}

/// It stops cleanly, writes where it stands, and says its last word.
pub(crate) fn stop(state: &mut State, model: &Model, life: usize) {
    let one = &mut state.lives[life];
    one.directory.resume = one.sequence;
    if model.lacks(Rule::StopKeepsCeiling) {
        one.directory.record[life] = one.sequence.max(1);
    }
    one.last_word = match one.served {
        true => LastWord::Goodbye,
        false => LastWord::GivesUp,
    };
    end(state, life);
}

/// It is gone. What is on its disk and under way stays.
pub(crate) fn end(state: &mut State, life: usize) {
    state.lives[life].stage = Stage::Gone;
    state.lives[life].alone = false;
    state.lives[life].doubts = false;
    for peer in &mut state.peers {
        let pair = &mut peer.pairs[life];
        pair.confirmed = false;
        pair.confirmation = Confirmation::None;
        pair.note = Default::default();
    }
    if state.lives[life].directory.stopped {
        take_directory(state, life);
    }
}

/// Nobody else can start in this directory.
pub(crate) fn take_directory(state: &mut State, life: usize) {
    state.lives[life].taken = true;
    state.lives[life].directory = Directory::default();
}

/// A life asks another one of its pid, face to face, and hears the answer.
pub(crate) fn met(state: &mut State, model: &Model, life: usize, other: usize) {
    if model.lacks(Rule::FaceToFace) {
        return;
    }
    if model.fences && !model.lacks(Rule::KeptApart) {
        let (lower, owner) = (life.min(other), life.max(other));
        state.events.note(Event::LowerStepsBack);
        match state.lives[lower].stage {
            Stage::Serves => stopped(state, model, lower, owner),
            Stage::Joins | Stage::Claims => refused(state, model, lower, true),
            Stage::Gone => {}
        }
        return;
    }
    let (one, that) = (&state.lives[life], &state.lives[other]);
    let is_refused = match (one.stage, that.stage) {
        (Stage::Joins | Stage::Claims, Stage::Serves | Stage::Claims) => true,
        // One that hands out counts more than one that does not; else the one that began first.
        (Stage::Joins, Stage::Joins) if one.alone != that.alone => that.alone,
        (Stage::Joins, Stage::Joins) => life > other,
        (Stage::Serves, Stage::Serves) => {
            state.events.note(Event::BothStop);
            stopped(state, model, life, other);
            stopped(state, model, other, life);
            false
        }
        _ => false,
    };
    if is_refused {
        state.events.note(Event::HeldFaceToFace);
        refused(state, model, life, false);
    }
}

/// Makes alike what differs only in what nobody will look at again: there are fewer states so.
pub(crate) fn tidy_up(state: &mut State, model: &Model) {
    let is_last = usize::from(state.born) == model.lives;
    // In a store that fences, who has the pid decides more than who starts next.
    if is_last && !model.fences {
        // Nobody starts any more.
        state.copy = None;
        for life in 0..LIVES {
            take_directory(state, life);
        }
    }
    for life in 0..usize::from(state.born) {
        match state.lives[life].stage {
            Stage::Gone => bury(state, model, life),
            Stage::Serves => {
                for peer in &mut state.peers {
                    let pair = &mut peer.pairs[life];
                    pair.accepted &= model.is_late;
                    pair.silent = Lives::NONE;
                }
            }
            Stage::Joins | Stage::Claims => {
                for peer in 0..model.peers {
                    let silent = state.peers[peer].pairs[life].silent;
                    state.peers[peer].pairs[life].silent = state.alive(silent);
                }
            }
        }
    }
}

/// What is left of a life that is gone.
fn bury(state: &mut State, model: &Model, life: usize) {
    let me = Lives::only(life);
    let one = &mut state.lives[life];
    one.sequence = 0;
    one.claimed &= model.is_late;
    let comes_late = model.is_late && one.served;
    if !comes_late {
        one.limit = 0;
    }
    let has_claimed = one.claimed;
    let is_harmless = !state.handed.iter().any(|lives| lives.has(life));
    let mut is_named = false;
    for peer in &mut state.peers {
        let pair = &mut peer.pairs[life];
        pair.accepted &= has_claimed;
        pair.silent = Lives::NONE;
        is_named |= peer.candidate == me;
        for memory in [&mut peer.memory, &mut peer.disk] {
            is_named |= [memory.main, memory.claim, memory.claim_before].contains(&me);
            if is_harmless {
                memory.seen = memory.seen.without(me);
                memory.served = memory.served.without(me);
                memory.told[life] = 0;
            }
        }
    }
    if is_harmless {
        properties::forget(state, life);
    }
    if !is_named && !model.is_late {
        let one = &mut state.lives[life];
        one.served = false;
        one.last_word = LastWord::Nothing;
        for peer in &mut state.peers {
            peer.pairs[life].gave_up = false;
        }
    }
}
