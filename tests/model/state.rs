//! What there is: the lives of one pid, their directories, and the peers that remember them. Plain data, small enough
//! to have millions of it.

use crate::{
    events::Events,
    properties::{Fault, Ghost, Note},
};

/// The most lives of the pid.
pub(crate) const LIVES: usize = 3;
/// The most peers. A cluster of four servers has three others.
pub(crate) const PEERS: usize = 3;
/// The highest sequence that fits.
pub(crate) const SEQUENCES: usize = 3;

/// A set of lives, each named by its number. Where there is one life at most, a set of one is smaller than an
/// `Option`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Lives(pub(crate) u8);

impl Lives {
    pub(crate) const NONE: Lives = Lives(0);

    pub(crate) fn only(life: usize) -> Lives {
        Lives(1 << life)
    }

    pub(crate) fn has(self, life: usize) -> bool {
        self.0 & (1 << life) != 0
    }

    pub(crate) fn add(&mut self, other: Lives) {
        self.0 |= other.0;
    }

    pub(crate) fn and(self, other: Lives) -> Lives {
        Lives(self.0 | other.0)
    }

    pub(crate) fn without(self, other: Lives) -> Lives {
        Lives(self.0 & !other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn all(self) -> impl Iterator<Item = usize> {
        (0..LIVES).filter(move |life| self.has(*life))
    }

    /// The only one.
    pub(crate) fn one(self) -> Option<usize> {
        self.all().next()
    }
}

/// What a state directory holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Directory {
    /// The number of the life that made it stands for its random value.
    pub(crate) incarnation: u8,
    pub(crate) boot: u8,
    /// The lives that began in it, each with the highest ceiling that it had; 0 for the others.
    pub(crate) record: [u8; LIVES],
    /// For the judge: all lives that began in it.
    pub(crate) began: Lives,
    /// The next life begins above this: the ceiling, or after a clean stop the exact sequence.
    pub(crate) resume: u8,
    /// A peer has refused or stopped it for good.
    pub(crate) stopped: bool,
}

/// How far a life has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stage {
    /// It is not born, or dead, or hands out nothing any more.
    #[default]
    Gone,
    Joins,
    Claims,
    Serves,
}

/// What a life says at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum LastWord {
    #[default]
    Nothing,
    /// Goodbye, and it has not served.
    GivesUp,
    /// Goodbye, and it has served.
    Goodbye,
}

/// One process of the pid. Its number stands for its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Life {
    pub(crate) stage: Stage,
    pub(crate) incarnation: u8,
    pub(crate) boot: u8,
    /// What its directory recorded of the lives before it.
    pub(crate) record: [u8; LIVES],
    /// Its directory, as it is on the disk now.
    pub(crate) directory: Directory,
    /// Another life goes on in its directory, or nobody can. Where a store fences: another life has the pid.
    pub(crate) taken: bool,
    /// It may hand out up to this.
    pub(crate) limit: u8,
    /// It hands out above this.
    pub(crate) begins_at: u8,
    /// The highest sequence that it has used.
    pub(crate) sequence: u8,
    /// Its time is over, and it hands out although nobody has confirmed it. It goes on joining.
    pub(crate) alone: bool,
    /// Its store has not confirmed in time that it has the pid.
    pub(crate) doubts: bool,
    /// It has claimed, so its claims can come late.
    pub(crate) claimed: bool,
    /// It has said that it serves, so that can come late.
    pub(crate) served: bool,
    pub(crate) last_word: LastWord,
    pub(crate) ghost: Ghost,
}

/// What a peer remembers of the pid, durably.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Memory {
    /// The life that last said that it serves.
    pub(crate) main: Lives,
    /// It has said goodbye.
    pub(crate) ended: bool,
    /// The highest ceiling that main has told.
    pub(crate) ceiling: u8,
    /// A life whose claim was confirmed, and which has not said that it serves.
    pub(crate) claim: Lives,
    /// The claim that this one took the place of.
    pub(crate) claim_before: Lives,
    /// For the judge: every life that was ever main or claim here.
    pub(crate) seen: Lives,
    /// For the judge: those of them that said here that they serve.
    pub(crate) served: Lives,
    /// For the judge: the highest ceiling that each life has told.
    pub(crate) told: [u8; LIVES],
}

/// The answer to a claim, on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Confirmation {
    #[default]
    None,
    Good,
    /// What the peer tells shows the life that its directory is not the newest.
    Stale,
    /// The directory does not know a life that has claimed the pid.
    Claimed,
}

/// What is between one life and one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pair {
    /// The life has heard that it is accepted.
    pub(crate) accepted: bool,
    /// The life has heard that its claim is confirmed.
    pub(crate) confirmed: bool,
    pub(crate) confirmation: Confirmation,
    /// For the judge: lives that did not answer a probe for this one, and were not heard since.
    pub(crate) silent: Lives,
    /// For the judge: what the peer knew when it confirmed the claim.
    pub(crate) note: Note,
    /// For the judge: the peer has heard that this life gives up, and no late claim of it since.
    pub(crate) gave_up: bool,
}

/// One peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Peer {
    pub(crate) memory: Memory,
    /// What of that is durable.
    pub(crate) disk: Memory,
    /// It lost its memory, so it has no vote.
    pub(crate) lost: bool,
    /// A joining life that it would accept.
    pub(crate) candidate: Lives,
    /// The lives that it has heard to serve since it started.
    pub(crate) heard: Lives,
    /// The lives that have told it since then that their store fences.
    pub(crate) fencing: Lives,
    pub(crate) pairs: [Pair; LIVES],
}

/// Everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// In the order in which they began.
    pub(crate) lives: [Life; LIVES],
    pub(crate) born: u8,
    pub(crate) peers: [Peer; PEERS],
    /// A copy of a directory that an operator keeps.
    pub(crate) copy: Option<Directory>,
    /// An operator did what only a mistaken one does.
    pub(crate) erred: bool,
    /// For the judge: who handed out each sequence.
    pub(crate) handed: [Lives; SEQUENCES + 1],
    /// Those of them that had been answered by a peer which had confirmed another one.
    pub(crate) handed_in_touch: [Lives; SEQUENCES + 1],
    /// Those of them that had been answered by a peer which had heard that another one serves.
    pub(crate) handed_told: [Lives; SEQUENCES + 1],
    /// Those of them that nobody had confirmed.
    pub(crate) handed_alone: [Lives; SEQUENCES + 1],
    pub(crate) fault: Option<Fault>,
    /// What the last step was an example of.
    pub(crate) events: Events,
}

impl State {
    pub(crate) fn is_alive(&self, life: usize) -> bool {
        self.lives[life].stage != Stage::Gone
    }

    /// Those of the lives that are alive.
    pub(crate) fn alive(&self, lives: Lives) -> Lives {
        let dead = lives.all().filter(|life| !self.is_alive(*life));
        dead.fold(lives, |alive, life| alive.without(Lives::only(life)))
    }

    /// Those of the lives that began after this one. A store that fences counts their boots in this order.
    pub(crate) fn after(lives: Lives, life: usize) -> Lives {
        Lives(lives.0 & !0 << (life + 1))
    }

    /// Those of the lives that began before this one.
    pub(crate) fn before(lives: Lives, life: usize) -> Lives {
        Lives(lives.0 & !(!0 << life))
    }

    /// The life that began last.
    pub(crate) fn newest(&self) -> Option<usize> {
        usize::from(self.born).checked_sub(1)
    }
}
