//! Above what a claim begins, and the lives that it notes.

use ipseity_core::{
    actor::Life,
    identity::{Pid, Sequence},
};

use crate::{
    layout::{LIVES_MAX, Meta, State},
    survey::Survey,
};

/// A claim does not begin above another pid that is higher than this. Whoever drives one pid to the end of its sequences must
/// not take all others with it. It is half of all sequences: nobody comes there by handing out identities.
const OTHERS_MAX: u64 = Sequence::MAX.get() / 2;

/// Above what a life of this pid begins, and how many sequences the pid skips at most because the life before it did not stop
/// cleanly.
///
/// It begins above the lives of all other pids too, as far as they can be known to be over. A single server that
/// comes back with another pid has nobody to ask how far it was, and would go back otherwise. Of a pid that has an owner
/// only what was noted with its last raise counts, and not its ceiling. Otherwise each start would lift the whole cluster by
/// the reserve of a server. No allowance depends on this: it only lets a life begin higher.
pub fn floor(pid: Pid, survey: &Survey, meta: &Meta) -> (Sequence, u64) {
    let (own, skipped) = own_floor(survey.pid(pid).state.seen().map(|seen| &seen.value), meta);
    let others = survey.pids.iter().filter(|(other, _)| **other != pid);
    let others = others.filter_map(|(_, found)| {
        let state = &found.state.seen()?.value;
        Some(match found.owner.is_absent() {
            true => state.ceiling,
            false => state.sequence,
        })
    });
    let others = others.filter(|above| above.get() <= OTHERS_MAX);
    (others.fold(own, Sequence::max), skipped)
}

/// The same, without the other pids.
fn own_floor(old: Option<&State>, meta: &Meta) -> (Sequence, u64) {
    // bug EpochForgotten: let meta = if BUG { &Meta { above: Sequence::ZERO, ..*meta } } else { meta };
    let Some(old) = old else {
        return (meta.above, 0);
    };
    // Of a life that is forgotten now, a peer may still tell the ceiling. Whoever begins at or above that cannot be older
    // than the peer knows.
    // bug FloorFromNote: return (old.sequence, 0);
    let forgotten = match old.epoch < meta.epoch {
        true => old.lives.len(),
        false => forgotten_of(old),
    };
    let above = old.lives[..forgotten]
        .iter()
        .map(|life| life.ceiling)
        .fold(old.ceiling.max(meta.above), Sequence::max);
    (above, above.ahead_of(old.sequence))
}

/// How many of the oldest lives of this state have no room any more, because this one needs a place too.
fn forgotten_of(old: &State) -> usize {
    old.lives.len().saturating_sub(LIVES_MAX - 1)
}

/// The lives that a claim notes after this state.
pub(crate) fn lives_of(old: &State) -> Vec<Life> {
    let mut lives = old.lives[forgotten_of(old)..].to_vec();
    lives.push(old.life());
    lives
}
