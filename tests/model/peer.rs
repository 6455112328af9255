//! What a peer does with what it hears of the pid.

use crate::{
    events::Event,
    properties,
    rules::{Model, Rule},
    state::{LastWord, Lives, Memory, State},
};

/// The lives that a peer knows of the pid of whom it answers, and the ceiling that main has told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) main: Lives,
    pub(crate) ceiling: u8,
    pub(crate) claim: Lives,
}

/// What a peer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing: it has no vote.
    Nothing,
    /// Nothing here speaks against it. What the peer knows may.
    Good(Known),
    HeldByAnother,
    StaleState,
    /// To a life that serves: it must stop, for this one.
    Objection(usize),
}

/// What a life wants that does not serve yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Joins,
    Claims,
}

/// A life joins or claims. The lives in `silent` do not answer a probe of this peer.
pub(crate) fn asked(
    state: &mut State,
    model: &Model,
    peer: usize,
    life: usize,
    wish: Wish,
    silent: Lives,
) -> Answer {
    let me = Lives::only(life);
    if state.peers[peer].lost && !model.lacks(Rule::LostMemoryHasNoVote) {
        return Answer::Nothing;
    }
    if model.fences && has_lost_pid(state, model, peer, life) {
        state.events.note(Event::LowerIsRefused);
        return Answer::StaleState;
    }
    if !is_judged(state, model, peer, life, wish) {
        if let Some(refusal) = judged(state, model, peer, life, silent) {
            return refusal;
        }
        if wish == Wish::Claims {
            state.events.note(Event::ClaimIsJudgedAgain);
        }
    }
    let here = &state.peers[peer];
    let known = known(model, &here.memory, me);
    if here.memory.main == me && !model.lacks(Rule::MainClaimsNothing) {
        return Answer::Good(known);
    }
    match wish {
        Wish::Joins => {
            state.events.note(Event::Accepted);
            if !model.lacks(Rule::CandidateIsKept) {
                state.peers[peer].candidate = me;
            }
        }
        Wish::Claims => confirm(state, model, peer, life),
    }
    Answer::Good(known)
}

/// Whether the life was judged before and nothing has happened since that counts.
pub(crate) fn is_judged(
    state: &State,
    model: &Model,
    peer: usize,
    life: usize,
    wish: Wish,
) -> bool {
    let here = &state.peers[peer];
    let me = Lives::only(life);
    here.memory.main == me
        || here.memory.claim == me
        || here.candidate == me
        || (wish == Wish::Claims && model.lacks(Rule::ClaimIsJudged))
}

/// Asks the holders, and compares the life with what is remembered. Returns the refusal.
fn judged(
    state: &mut State,
    model: &Model,
    peer: usize,
    life: usize,
    silent: Lives,
) -> Option<Answer> {
    let asked = holders(state, model, peer, life);
    let alive = state.alive(asked);
    if model.fences {
        // Who answers has told that its store fences.
        state.peers[peer].fencing.add(alive.without(silent));
    }
    let holders = holders(state, model, peer, life);
    if holders != asked {
        state.events.note(Event::TakenOverIsNotAsked);
    }
    let alive = state.alive(holders);
    if let Some(holder) = alive.without(silent).one() {
        let memory = &state.peers[peer].memory;
        let event = match (memory.main.has(holder), memory.claim.has(holder)) {
            (true, _) => Event::MainHolds,
            (_, true) => Event::ClaimHolds,
            _ => Event::CandidateHolds,
        };
        state.events.note(event);
        return Some(Answer::HeldByAnother);
    }
    if model.lacks(Rule::SilenceEnds) && !holders.is_empty() {
        return Some(Answer::HeldByAnother);
    }
    if !alive.is_empty() {
        state.events.note(Event::HolderIsSilent);
    }
    state.peers[peer].pairs[life].silent.add(alive);
    let memory = &state.peers[peer].memory;
    let by_main = is_stale(state, model, life, memory.main);
    // A claim may come to nothing, so nothing that lasts follows from it.
    let event = by_main.or_else(|| is_stale(state, model, life, memory.claim))?;
    state.events.note(event);
    properties::judge_given_up(state, peer);
    match by_main {
        Some(_) => Some(Answer::StaleState),
        None => {
            state.events.note(Event::ClaimRefuses);
            Some(Answer::HeldByAnother)
        }
    }
}

/// The lives that are asked before this one is accepted.
pub(crate) fn holders(state: &State, model: &Model, peer: usize, life: usize) -> Lives {
    let here = &state.peers[peer];
    let mut holders = Lives::NONE;
    if model.lacks(Rule::HolderIsAsked) {
        return holders;
    }
    if !here.memory.ended {
        holders.add(here.memory.main);
    }
    if !model.lacks(Rule::ClaimHolds) {
        holders.add(here.memory.claim);
    }
    if !model.lacks(Rule::CandidateHolds) {
        holders.add(here.candidate);
    }
    if model.lacks(Rule::HolderIsDialed) {
        holders.0 &= here.heard.0;
    }
    if model.fences && !model.lacks(Rule::TakenOverHoldsNothing) {
        holders = holders.without(State::before(here.fencing, life));
    }
    holders.without(Lives::only(life))
}

/// Notes that the store of a life fences. Returns whether a later one is known, which has the pid for good.
fn has_lost_pid(state: &mut State, model: &Model, peer: usize, life: usize) -> bool {
    let here = &mut state.peers[peer];
    here.fencing.add(Lives::only(life));
    !State::after(here.fencing, life).is_empty() && !model.lacks(Rule::LowerIsRefused)
}

/// The life for which one that serves is objected to, because a store keeps the two apart.
fn rival_in_store(state: &mut State, model: &Model, peer: usize, life: usize) -> Option<usize> {
    let here = &mut state.peers[peer];
    here.fencing.add(Lives::only(life));
    let others = match model.lacks(Rule::OwnerIsNotStopped) {
        true => here.fencing.without(Lives::only(life)),
        false => State::after(here.fencing, life),
    };
    others.one().filter(|_| !model.lacks(Rule::LowerIsStopped))
}

/// Whether a life begins in a state that is older than one that is remembered. Whether it knows the lives that are
/// remembered is seen by itself.
fn is_stale(state: &State, model: &Model, life: usize, known: Lives) -> Option<Event> {
    let known = known.one()?;
    let (newcomer, known) = (&state.lives[life], &state.lives[known]);
    if newcomer.incarnation != known.incarnation && !model.lacks(Rule::Incarnation) {
        return Some(Event::OtherIncarnation);
    }
    let is_low = newcomer.boot <= known.boot && !model.lacks(Rule::Boot);
    is_low.then_some(Event::LowBoot)
}

/// What the peer tells a life of the others.
fn known(model: &Model, memory: &Memory, me: Lives) -> Known {
    // Where its own claim stands, it is told the one whose place it took: its first answer may be lost.
    let claim = match memory.claim == me && !model.lacks(Rule::ClaimBeforeIsTold) {
        true => memory.claim_before,
        false => memory.claim.without(me),
    };
    let hides_main = !claim.is_empty() && model.lacks(Rule::MainIsTold);
    Known {
        main: match hides_main {
            true => Lives::NONE,
            false => memory.main.without(me),
        },
        ceiling: memory.ceiling,
        claim,
    }
}

/// Makes a claim durable.
fn confirm(state: &mut State, model: &Model, peer: usize, life: usize) {
    let me = Lives::only(life);
    properties::note_claim(state, peer, life);
    if !state.is_alive(life) {
        state.events.note(Event::ClaimOfTheDead);
    }
    let here = &mut state.peers[peer];
    if here.memory.claim != me {
        if !here.memory.claim.is_empty() {
            state.events.note(Event::ClaimTakesThePlaceOfAnother);
        }
        here.memory.claim_before = match model.lacks(Rule::ClaimBeforeReturns) {
            true => Lives::NONE,
            false => here.memory.claim,
        };
    }
    here.memory.claim = me;
    here.memory.seen.add(me);
    if !model.lacks(Rule::ClaimDropsCandidate) {
        here.candidate = Lives::NONE;
    }
    if !model.lacks(Rule::ClaimIsDurable) {
        here.disk = here.memory;
    }
}

/// A life says that it serves, and its ceiling. Returns also what the peer tells it.
pub(crate) fn heard(
    state: &mut State,
    model: &Model,
    peer: usize,
    life: usize,
    ceiling: u8,
) -> (Answer, Known) {
    let me = Lives::only(life);
    let here = &mut state.peers[peer];
    here.heard.add(me);
    for pair in &mut here.pairs {
        pair.silent = pair.silent.without(me);
    }
    let memory = here.memory;
    if model.fences
        && let Some(rival) = rival_in_store(state, model, peer, life)
    {
        state.events.note(Event::LowerIsStopped);
        return (Answer::Objection(rival), Known::default());
    }
    let here = &mut state.peers[peer];
    // A claim stops nobody that serves.
    let known = Known {
        claim: Lives::NONE,
        ..known(model, &memory, me)
    };
    if memory.main == me {
        learn(state, model, peer, life, ceiling);
    } else if memory.claim == me {
        if !model.lacks(Rule::ClaimBecomesMain) {
            here.memory.claim = Lives::NONE;
            here.memory.claim_before = Lives::NONE;
            state.events.note(Event::ClaimBecomesMain);
            become_main(state, model, peer, life, ceiling);
        }
    } else if is_newer(state, peer, life) {
        if !model.lacks(Rule::NewerBecomesMain) {
            state.events.note(Event::NewerBecomesMain);
            become_main(state, model, peer, life, ceiling);
        }
    } else if let Some(main) = memory.main.one()
        && !model.lacks(Rule::OlderIsStopped)
    {
        let is_alive = state.is_alive(life);
        state.events.note(match is_alive {
            true => Event::OlderIsStopped,
            false => Event::OlderWasDead,
        });
        return (Answer::Objection(main), known);
    }
    (Answer::Good(known), known)
}

fn is_newer(state: &State, peer: usize, life: usize) -> bool {
    let Some(main) = state.peers[peer].memory.main.one() else {
        return true;
    };
    let (one, main) = (&state.lives[life], &state.lives[main]);
    one.incarnation == main.incarnation && one.boot > main.boot
}

fn become_main(state: &mut State, model: &Model, peer: usize, life: usize, ceiling: u8) {
    let memory = &mut state.peers[peer].memory;
    memory.main = Lives::only(life);
    memory.ended = false;
    memory.ceiling = 0;
    memory.seen.add(Lives::only(life));
    memory.served.add(Lives::only(life));
    learn(state, model, peer, life, ceiling);
}

fn learn(state: &mut State, model: &Model, peer: usize, life: usize, ceiling: u8) {
    let here = &mut state.peers[peer];
    here.memory.ceiling = here.memory.ceiling.max(ceiling);
    here.memory.told[life] = here.memory.told[life].max(ceiling);
    if !model.lacks(Rule::HeardDropsCandidate) {
        if !here.candidate.without(Lives::only(life)).is_empty() {
            state.events.note(Event::CandidateIsDropped);
        }
        here.candidate = Lives::NONE;
    }
    save_soon(state, model, peer);
}

fn save_soon(state: &mut State, model: &Model, peer: usize) {
    let here = &mut state.peers[peer];
    if !model.saves_late {
        here.disk = here.memory;
    }
}

/// A life says its last word.
pub(crate) fn heard_last_word(state: &mut State, model: &Model, peer: usize, life: usize) {
    let gives_up = state.lives[life].last_word == LastWord::GivesUp;
    let me = Lives::only(life);
    let here = &mut state.peers[peer];
    here.candidate = here.candidate.without(me);
    here.pairs[life].gave_up = gives_up;
    if here.memory.main == me && !model.lacks(Rule::Goodbye) {
        state.events.note(Event::MainSaysGoodbye);
        here.memory.ended = true;
    } else if here.memory.claim == me && gives_up && !model.lacks(Rule::GivesUp) {
        state.events.note(Event::ClaimIsWithdrawn);
        if !here.memory.claim_before.is_empty() {
            state.events.note(Event::ClaimBeforeReturns);
        }
        here.memory.claim = here.memory.claim_before;
        here.memory.claim_before = Lives::NONE;
    } else if here.memory.claim_before == me && gives_up {
        here.memory.claim_before = Lives::NONE;
    }
    save_soon(state, model, peer);
}

/// The peer crashes and starts again.
pub(crate) fn crash(state: &mut State, peer: usize) {
    let here = &mut state.peers[peer];
    here.memory = here.disk;
    here.candidate = Lives::NONE;
    here.heard = Lives::NONE;
    here.fencing = Lives::NONE;
    for pair in &mut here.pairs {
        pair.gave_up = false;
    }
}

/// The peer loses its `members` file, and notices when it starts again.
pub(crate) fn lose_memory(state: &mut State, peer: usize) {
    state.peers[peer].disk = Memory::default();
    crash(state, peer);
    state.peers[peer].lost = true;
}
