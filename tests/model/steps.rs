//! All that can happen, one step at a time.

use crate::{
    events::{Event, Events},
    life,
    peer::{self, Wish},
    properties,
    rules::{Model, Rule},
    state::{Confirmation, Directory, LIVES, LastWord, Lives, Stage, State},
};

/// A step. Lives and peers are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The first life begins, or an operator has lost the directory or mistyped the pid.
    StartsAnew,
    /// A life begins in the directory of one that is gone.
    Restarts {
        of: u8,
    },
    /// An operator copies a directory, of a life that runs or not.
    IsCopied {
        of: u8,
    },
    /// A life begins in that copy. While the original is gone that is a rollback.
    StartsFromCopy,
    /// A life begins in that copy, and crashes before it says a word.
    StartsInVain,
    /// A life asks a peer. Those in `silent` do not answer the probe: they are paused, or cut off from this peer.
    Asks {
        life: u8,
        peer: u8,
        silent: Lives,
        is_lost: bool,
    },
    /// Enough have accepted a life.
    BeginsToClaim {
        life: u8,
    },
    /// A claim comes to a peer, perhaps late, doubled, or from the dead.
    Claims {
        life: u8,
        peer: u8,
        silent: Lives,
    },
    /// The confirmation comes back.
    IsConfirmed {
        life: u8,
        peer: u8,
    },
    /// Enough have confirmed a life.
    Serves {
        life: u8,
    },
    /// The time of a start is over, and it hands out although nobody has confirmed it.
    IsAlone {
        life: u8,
    },
    HandsOut {
        life: u8,
    },
    /// A higher ceiling becomes durable.
    Raises {
        life: u8,
    },
    /// A life that serves says so, and hears the answer.
    Syncs {
        life: u8,
        peer: u8,
    },
    /// That comes late, doubled, or from the dead, or the answer is lost.
    SyncsLate {
        life: u8,
        peer: u8,
        ceiling: u8,
    },
    /// A life asks another one of its pid.
    Meets {
        life: u8,
        other: u8,
    },
    /// The last word of a life comes.
    SaysLastWord {
        life: u8,
        peer: u8,
    },
    /// In a store that fences, a life takes the pid over.
    TakesOver,
    /// The store of a life has not confirmed it in time.
    Doubts {
        life: u8,
    },
    /// It has.
    DoubtsNoMore {
        life: u8,
    },
    /// A life hears from its store that another one has the pid.
    IsFenced {
        life: u8,
    },
    Crashes {
        life: u8,
    },
    Stops {
        life: u8,
    },
    PeerCrashes {
        peer: u8,
    },
    PeerForgets {
        peer: u8,
    },
    PeerSaves {
        peer: u8,
    },
}

/// Where everything begins.
pub(crate) fn origin(model: &Model) -> State {
    let mut state = State::default();
    for step in model.beginning.iter().copied().flatten() {
        take(&mut state, model, *step);
    }
    state
}

/// The steps that can come next.
pub(crate) fn steps(state: &State, model: &Model, steps: &mut Vec<Step>) {
    steps.clear();
    if usize::from(state.born) < model.lives {
        starts(state, model, steps);
    }
    for life in 0..state.born {
        steps_of_life(state, model, life, steps);
        for peer in 0..model.peers as u8 {
            steps_of_start(state, model, life, peer, steps);
            steps_of_server(state, model, life, peer, steps);
        }
    }
    for peer in 0..model.peers as u8 {
        let here = &state.peers[usize::from(peer)];
        if model.peers_crash && state.born > 0 {
            steps.push(Step::PeerCrashes { peer });
        }
        if model.memory_is_lost && !here.lost && state.born > 0 {
            steps.push(Step::PeerForgets { peer });
        }
        let waits_for_save = model.saves_late && here.disk != here.memory;
        if waits_for_save && !model.lacks(Rule::ClaimIsDurable) {
            steps.push(Step::PeerSaves { peer });
        }
    }
}

fn starts(state: &State, model: &Model, steps: &mut Vec<Step>) {
    let has_room =
        |directory: &Directory| life::forgetting(*directory, model).resume < model.sequence_max;
    if state.born == 0 || model.operators_err {
        steps.push(Step::StartsAnew);
    }
    if model.fences {
        let newest = state.newest().map(|newest| &state.lives[newest].directory);
        if life::may_be_taken_over(state) && newest.is_some_and(has_room) {
            steps.push(Step::TakesOver);
        }
        return;
    }
    if state.copy.as_ref().is_some_and(has_room) {
        steps.push(Step::StartsFromCopy);
        steps.push(Step::StartsInVain);
    }
    for of in 0..state.born {
        let one = &state.lives[usize::from(of)];
        if one.stage == Stage::Gone && !one.taken && has_room(&one.directory) {
            steps.push(Step::Restarts { of });
        }
        if model.operators_err && state.copy.is_none() && !one.taken {
            steps.push(Step::IsCopied { of });
        }
    }
}

fn steps_of_life(state: &State, model: &Model, life: u8, steps: &mut Vec<Step>) {
    let index = usize::from(life);
    let one = &state.lives[index];
    if one.stage == Stage::Gone {
        return;
    }
    steps.push(Step::Crashes { life });
    steps.push(Step::Stops { life });
    if model.fences {
        match (one.taken, one.doubts) {
            (_, false) => steps.push(Step::Doubts { life }),
            (false, true) => steps.push(Step::DoubtsNoMore { life }),
            (true, true) => {}
        }
        if one.taken {
            steps.push(Step::IsFenced { life });
        }
    }
    for other in (0..state.born).filter(|other| *other != life) {
        if state.is_alive(usize::from(other)) {
            steps.push(Step::Meets { life, other });
        }
    }
    if life::may_claim(state, model, index) {
        steps.push(Step::BeginsToClaim { life });
    }
    if life::may_serve(state, model, index) {
        steps.push(Step::Serves { life });
    }
    if life::may_be_alone(state, model, index) {
        steps.push(Step::IsAlone { life });
    }
    if one.stage == Stage::Serves || one.alone {
        if one.sequence == one.limit {
            if life::may_raise(state, model, index) {
                steps.push(Step::Raises { life });
            }
        } else if !one.doubts || model.lacks(Rule::WaitsInDoubt) {
            steps.push(Step::HandsOut { life });
        }
    }
}

fn steps_of_start(state: &State, model: &Model, life: u8, peer: u8, steps: &mut Vec<Step>) {
    let index = usize::from(life);
    let one = &state.lives[index];
    let here = &state.peers[usize::from(peer)];
    let pair = &here.pairs[index];
    if matches!(one.stage, Stage::Joins | Stage::Claims) && !pair.accepted {
        for silent in silences(state, model, peer, life, Wish::Joins) {
            for is_lost in [false, true] {
                steps.push(Step::Asks {
                    life,
                    peer,
                    silent,
                    is_lost,
                });
            }
        }
    }
    let is_in_time = one.stage == Stage::Claims && !pair.confirmed;
    if one.claimed && pair.accepted && (is_in_time || model.is_late) {
        for silent in silences(state, model, peer, life, Wish::Claims) {
            steps.push(Step::Claims { life, peer, silent });
        }
    }
    if pair.confirmation != Confirmation::None {
        steps.push(Step::IsConfirmed { life, peer });
    }
}

fn steps_of_server(state: &State, model: &Model, life: u8, peer: u8, steps: &mut Vec<Step>) {
    let one = &state.lives[usize::from(life)];
    if one.stage == Stage::Serves {
        steps.push(Step::Syncs { life, peer });
    }
    if one.served && model.is_late {
        for ceiling in 1..=one.limit {
            steps.push(Step::SyncsLate {
                life,
                peer,
                ceiling,
            });
        }
    }
    if one.last_word != LastWord::Nothing {
        steps.push(Step::SaysLastWord { life, peer });
    }
}

/// The sets of holders that may be silent. Those that are dead are silent anyway.
fn silences(
    state: &State,
    model: &Model,
    peer: u8,
    life: u8,
    wish: Wish,
) -> impl Iterator<Item = Lives> {
    let (peer, life) = (usize::from(peer), usize::from(life));
    let asked = match peer::is_judged(state, model, peer, life, wish) {
        true => Lives::NONE,
        false => state.alive(peer::holders(state, model, peer, life)),
    };
    let sets = (0..1 << LIVES).map(Lives);
    sets.filter(move |silent| silent.without(asked).is_empty())
}

/// Takes a step.
pub(crate) fn take(state: &mut State, model: &Model, step: Step) {
    state.events = Events::default();
    match step {
        Step::StartsAnew
        | Step::TakesOver
        | Step::Restarts { .. }
        | Step::IsCopied { .. }
        | Step::StartsFromCopy
        | Step::StartsInVain => take_start(state, model, step),
        Step::Asks {
            life,
            peer,
            silent,
            is_lost,
        } => {
            let (life, peer) = (usize::from(life), usize::from(peer));
            let answer = peer::asked(state, model, peer, life, Wish::Joins, silent);
            if !is_lost {
                life::answered(state, model, peer, life, answer);
            }
        }
        Step::BeginsToClaim { life } => life::claim(state, usize::from(life)),
        Step::Claims { life, peer, silent } => {
            let (life, peer) = (usize::from(life), usize::from(peer));
            let answer = peer::asked(state, model, peer, life, Wish::Claims, silent);
            life::claim_answered(state, model, peer, life, answer);
        }
        Step::IsConfirmed { life, peer } => {
            life::confirmed(state, model, usize::from(peer), usize::from(life));
        }
        Step::Serves { life } => {
            let life = usize::from(life);
            if model.lacks(Rule::Claims) {
                life::claim(state, life);
            }
            life::serve(state, life);
        }
        Step::IsAlone { life } => life::be_alone(state, model, usize::from(life)),
        Step::HandsOut { life } => {
            state.lives[usize::from(life)].sequence += 1;
            properties::judge_handing_out(state, model, usize::from(life));
        }
        Step::Raises { life } => raise(state, usize::from(life)),
        Step::Syncs { life, peer } => sync(state, model, usize::from(life), usize::from(peer)),
        Step::SyncsLate {
            life,
            peer,
            ceiling,
        } => {
            peer::heard(state, model, usize::from(peer), usize::from(life), ceiling);
        }
        Step::Meets { life, other } => {
            life::met(state, model, usize::from(life), usize::from(other));
        }
        Step::SaysLastWord { life, peer } => {
            peer::heard_last_word(state, model, usize::from(peer), usize::from(life));
        }
        Step::Doubts { life } => state.lives[usize::from(life)].doubts = true,
        Step::DoubtsNoMore { life } => {
            state.events.note(Event::DoubtEnds);
            state.lives[usize::from(life)].doubts = false;
        }
        Step::IsFenced { life } => life::is_fenced(state, model, usize::from(life)),
        Step::Crashes { life } => life::end(state, usize::from(life)),
        Step::Stops { life } => life::stop(state, model, usize::from(life)),
        Step::PeerCrashes { peer } => peer::crash(state, usize::from(peer)),
        Step::PeerForgets { peer } => peer::lose_memory(state, usize::from(peer)),
        Step::PeerSaves { peer } => {
            let here = &mut state.peers[usize::from(peer)];
            here.disk = here.memory;
        }
    }
    life::tidy_up(state, model);
}

fn take_start(state: &mut State, model: &Model, step: Step) {
    match step {
        Step::Restarts { of } => {
            let from = state.lives[usize::from(of)].directory;
            life::take_directory(state, usize::from(of));
            life::start(state, model, from);
        }
        Step::TakesOver => life::take_over(state, model),
        Step::IsCopied { of } => state.copy = Some(state.lives[usize::from(of)].directory),
        Step::StartsFromCopy => {
            state.erred = true;
            life::start(state, model, state.copy.unwrap_or_default());
        }
        Step::StartsInVain => {
            if let Some(copy) = &mut state.copy {
                copy.boot += 1;
                copy.resume += 1;
            }
        }
        _ => {
            state.erred |= state.born > 0;
            life::start(state, model, Directory::default());
        }
    }
}

fn raise(state: &mut State, life: usize) {
    let one = &mut state.lives[life];
    one.limit += 1;
    one.directory.resume = one.limit;
    one.directory.record[life] = one.limit;
}

fn sync(state: &mut State, model: &Model, life: usize, peer: usize) {
    let ceiling = state.lives[life].limit;
    let (answer, known) = peer::heard(state, model, peer, life, ceiling);
    if let peer::Answer::Objection(rival) = answer {
        life::stopped(state, model, life, rival);
    } else if let Some(behind) = life::is_behind(state, model, life, known)
        && !model.lacks(Rule::ServerJudgesKnown)
    {
        state.events.note(behind.event);
        life::stopped(state, model, life, known.main.one().unwrap_or(life));
    } else {
        properties::note_exchange(state, peer, life);
    }
}
