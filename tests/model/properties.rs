//! What is promised, and who breaks it. The notes that the judge takes are no part of the rules.

use crate::{
    events::Event,
    life,
    peer::{self, Wish},
    rules::{Exemption, Model, Rule},
    state::{LIVES, Lives, Peer, Stage, State},
};

/// A property that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// A sequence was handed out twice, and no exemption covers it.
    HandedOutTwice,
    /// A life that serves was stopped for one that was not accepted by those that it asked.
    StoppedForUnaccepted,
    /// Nobody erred, and the newest life was refused or stopped.
    OrdinaryRestartRefused,
    /// Nobody erred, all goes well from now on, and a start does not come to serve.
    NeverServes,
    /// A life went on although it had talked to a peer that knew a later one, and their store fences.
    LowerGoesOn,
    /// A life handed out something after a later one of its pid had, and their store fences.
    OutOfOrder,
    /// A start was refused for good for a life that had told this peer that it gives up.
    RefusedForOneThatGaveUp,
}

/// What the judge notes of a life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ghost {
    /// The lives that began in its directory before it.
    pub(crate) before: Lives,
    /// Enough have accepted it, and none that it had heard before had refused it.
    pub(crate) accepted: bool,
    /// It has heard that it is refused.
    pub(crate) refused: bool,
    /// The lives that some peer which confirmed it had ever remembered.
    aware: Lives,
    /// Those that such a peer remembered, and that would have answered it.
    reachable: Lives,
    /// Those that were alive when it claimed.
    alive: Lives,
    /// The highest ceiling that each of them had told to such a peer.
    floor: [u8; LIVES],
    /// A peer has answered it that had confirmed another one before.
    is_in_touch: bool,
    /// A peer has answered it that had heard before that another one serves.
    is_told: bool,
}

/// What the judge notes when a peer confirms a claim, until the life hears of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Note {
    aware: Lives,
    reachable: Lives,
    alive: Lives,
    ceiling: u8,
}

/// A peer is about to make a claim durable.
pub(crate) fn note_claim(state: &mut State, peer: usize, life: usize) {
    let here = state.peers[peer];
    state.peers[peer].pairs[life].gave_up = false;
    let is_new = here.memory.claim != Lives::only(life);
    if state.lives[life].stage != Stage::Claims || !is_new {
        return;
    }
    let memory = here.memory;
    let aware = memory.seen.without(Lives::only(life));
    let alive = state.alive(aware);
    let main = if memory.ended {
        Lives::NONE
    } else {
        memory.main
    };
    let holders = Lives(alive.0 & main.and(memory.claim).0);
    state.peers[peer].pairs[life].note = Note {
        aware,
        alive,
        reachable: holders.without(here.pairs[life].silent),
        ceiling: memory.main.one().map_or(0, |main| memory.told[main]),
    };
}

/// The life has heard that its claim is confirmed.
pub(crate) fn note_confirmation(state: &mut State, peer: usize, life: usize) {
    let memory = state.peers[peer].memory;
    let note = std::mem::take(&mut state.peers[peer].pairs[life].note);
    let ghost = &mut state.lives[life].ghost;
    ghost.aware.add(note.aware);
    ghost.alive.add(note.alive);
    ghost.reachable.add(note.reachable);
    for other in note.aware.all() {
        // What main has told since is not known to the life.
        let told = match memory.main.has(other) {
            true => note.ceiling,
            false => memory.told[other],
        };
        ghost.floor[other] = ghost.floor[other].max(told);
    }
}

/// It has heard that it is refused.
pub(crate) fn note_refusal(state: &mut State, life: usize) {
    state.lives[life].ghost.refused = true;
    judge_ordinary(state, life);
}

/// A peer is about to refuse a start for good.
pub(crate) fn judge_given_up(state: &mut State, peer: usize) {
    let here = &state.peers[peer];
    if here
        .memory
        .claim
        .all()
        .any(|claim| here.pairs[claim].gave_up)
    {
        state.fault = Some(Fault::RefusedForOneThatGaveUp);
    }
}

/// A start finds that it must not serve.
pub(crate) fn note_start_refused(state: &mut State) {
    state.fault = Some(Fault::OrdinaryRestartRefused);
}

/// A life that serves is to be stopped for another.
pub(crate) fn judge_stop(state: &mut State, model: &Model, life: usize, rival: usize) {
    judge_ordinary(state, life);
    // A store that fences ends the lower one, whether anybody accepts the other.
    if !model.fences && state.is_alive(life) && !state.lives[rival].ghost.accepted {
        state.fault = Some(Fault::StoppedForUnaccepted);
    }
}

fn judge_ordinary(state: &mut State, life: usize) {
    if !state.erred && state.newest() == Some(life) {
        state.fault = Some(Fault::OrdinaryRestartRefused);
    }
}

/// A life has had the answer to its sync, and goes on.
pub(crate) fn note_exchange(state: &mut State, peer: usize, life: usize) {
    let me = Lives::only(life);
    if !State::after(state.peers[peer].fencing, life).is_empty() {
        state.fault = Some(Fault::LowerGoesOn);
    }
    let memory = state.peers[peer].memory;
    let ghost = &mut state.lives[life].ghost;
    let others = memory.main.and(memory.claim).without(me);
    ghost.is_in_touch |= !others.is_empty();
    ghost.is_told |= !others_that_served_after(memory.served, memory.main, me).is_empty();
}

/// Main, if it is another one, or a claim that has said that it serves.
fn others_that_served_after(served: Lives, main: Lives, me: Lives) -> Lives {
    match main == me {
        true => Lives::NONE,
        false => served.without(me),
    }
}

/// What is noted of a life that is gone and has handed out nothing is of no use any more.
pub(crate) fn forget(state: &mut State, life: usize) {
    let me = Lives::only(life);
    let Ghost { accepted, .. } = state.lives[life].ghost;
    state.lives[life].ghost = Ghost {
        accepted,
        ..Ghost::default()
    };
    state.lives[life].record = [0; LIVES];
    for other in 0..LIVES {
        let ghost = &mut state.lives[other].ghost;
        ghost.aware = ghost.aware.without(me);
        ghost.reachable = ghost.reachable.without(me);
        ghost.alive = ghost.alive.without(me);
        ghost.floor[life] = 0;
    }
}

/// A life has handed out its sequence.
pub(crate) fn judge_handing_out(state: &mut State, model: &Model, life: usize) {
    let one = state.lives[life];
    let at = usize::from(one.sequence);
    let me = Lives::only(life);
    state.handed[at].add(me);
    let later = state.handed.iter();
    if model.fences
        && later
            .copied()
            .any(|lives| !State::after(lives, life).is_empty())
    {
        state.fault = Some(Fault::OutOfOrder);
    }
    if one.alone {
        state.handed_alone[at].add(me);
    }
    if one.ghost.is_in_touch {
        state.handed_in_touch[at].add(me);
    }
    if one.ghost.is_told {
        state.handed_told[at].add(me);
    }
    for other in state.handed[at].without(me).all() {
        let forgiven = forgiven(state, model, at, life, other)
            .or_else(|| forgiven(state, model, at, other, life));
        match forgiven {
            Some(event) => state.events.note(event),
            None => state.fault = Some(Fault::HandedOutTwice),
        }
    }
}

/// Why nobody could know that `new` must not hand out what `old` has handed out.
fn forgiven(state: &State, model: &Model, at: usize, old: usize, new: usize) -> Option<Event> {
    let is = |lives: Lives, life: usize| lives.has(life);
    let when = |forgiven: bool, exemption: Exemption, event: Event| {
        (forgiven && model.forgives(exemption)).then_some(event)
    };
    let ghost = &state.lives[new].ghost;
    let is_alone = is(state.handed_alone[at], old) || is(state.handed_alone[at], new);
    if is_alone {
        return when(true, Exemption::Alone, Event::TwiceByOneThatWasAlone);
    }
    if !ghost.aware.has(old) {
        let nobody = !state.lives[old].ghost.aware.has(new);
        let event = Event::TwiceByOneThatAskedNobodyWhoRemembers;
        return when(nobody, Exemption::NobodyRemembers, event);
    }
    let is_copy = ghost.before.has(old);
    let was_told = at <= usize::from(ghost.floor[old]);
    let is_told = is(state.handed_told[at], old);
    if ghost.reachable.has(old) || was_told || is_told || !is_copy {
        return None;
    }
    if !ghost.alive.has(old) {
        return when(true, Exemption::NotTold, Event::TwiceByWhatWasNotTold);
    }
    match is(state.handed_in_touch[at], old) {
        true => {
            let event = Event::TwiceBeforeTheCopyWasHeard;
            when(true, Exemption::CopyNotHeard, event)
        }
        false => when(true, Exemption::CutOff, Event::TwiceByOneThatWasCutOff),
    }
}

/// Whether an ordinary start comes to serve when from now on all goes well: all links are up, and nothing is lost.
pub(crate) fn judge_progress(state: &mut State, model: &Model) {
    let votes = |peer: &&Peer| !peer.lost;
    let voters = state.peers[..model.peers].iter().filter(votes).count();
    if state.erred || voters < model.enough() {
        return;
    }
    let Some(life) = state.newest() else { return };
    if !matches!(state.lives[life].stage, Stage::Joins | Stage::Claims) {
        return;
    }
    if !comes_to_serve(*state, model, life) {
        state.fault = Some(Fault::NeverServes);
    }
}

fn comes_to_serve(mut state: State, model: &Model, life: usize) -> bool {
    let starts = |state: &State| matches!(state.lives[life].stage, Stage::Joins | Stage::Claims);
    for peer in 0..model.peers {
        if starts(&state) && !state.peers[peer].pairs[life].accepted {
            let answer = peer::asked(&mut state, model, peer, life, Wish::Joins, Lives::NONE);
            life::answered(&mut state, model, peer, life, answer);
        }
    }
    if life::may_claim(&state, model, life) && !model.lacks(Rule::Claims) {
        life::claim(&mut state, life);
    }
    for peer in 0..model.peers {
        if state.lives[life].stage == Stage::Claims && state.peers[peer].pairs[life].accepted {
            let answer = peer::asked(&mut state, model, peer, life, Wish::Claims, Lives::NONE);
            life::claim_answered(&mut state, model, peer, life, answer);
            life::confirmed(&mut state, model, peer, life);
        }
    }
    life::may_serve(&state, model, life)
}
