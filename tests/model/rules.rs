//! Which model is searched: how starts ask, what may happen, and which rule is turned off.

use crate::{
    scenes::Scene,
    state::{LIVES, PEERS},
};

/// `--join` of every start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    Majority,
    Require,
    Prefer,
}

/// A rule, to be turned off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Rule {
    /// A life may only be accepted where its holders were asked.
    HolderIsAsked,
    /// Also a holder that was not heard since the peer started is asked.
    HolderIsDialed,
    /// A holder that does not answer is dead, and holds nothing.
    SilenceEnds,
    /// The life whose claim was confirmed is a holder.
    ClaimHolds,
    /// The candidate is a holder.
    CandidateHolds,
    /// A life that was accepted is the candidate: its claim is not judged again.
    CandidateIsKept,
    /// The candidate is dropped when some life is heard that serves.
    HeardDropsCandidate,
    /// The candidate is dropped when a claim is confirmed.
    ClaimDropsCandidate,
    /// A life claims before it serves.
    Claims,
    /// A claim is durable before it is confirmed.
    ClaimIsDurable,
    /// A claim of a life that is not the candidate is judged.
    ClaimIsJudged,
    /// A claim that is withdrawn gives back the one whose place it took.
    ClaimBeforeReturns,
    /// A life whose claim stands is told the one whose place it took.
    ClaimBeforeIsTold,
    /// A claim of main changes nothing.
    MainClaimsNothing,
    /// The claim of a life that says that it serves becomes main.
    ClaimBecomesMain,
    /// A newer life that did not ask here becomes main when it says that it serves.
    NewerBecomesMain,
    /// A life that is older than main is told to stop.
    OlderIsStopped,
    /// A life that serves also judges by itself what a peer knows.
    ServerJudgesKnown,
    /// Another incarnation is stale.
    Incarnation,
    /// A boot that is not higher is stale.
    Boot,
    /// A directory that does not know the life which a peer tells is stale.
    KnowsLife,
    /// A directory that does not know the ceiling which a peer tells is stale.
    KnowsCeiling,
    /// That ceiling is compared with what the directory has of that life, not with the highest of all.
    CeilingOfThatLife,
    /// A directory that has forgotten a life begins above what a peer knows of that one, or is stale.
    CeilingOfForgottenLife,
    /// A directory that forgets a life begins at the ceiling of that one, or above.
    ForgetsAtTheCeiling,
    /// Main is told, also where there is a claim.
    MainIsTold,
    /// A clean stop keeps the ceiling.
    StopKeepsCeiling,
    /// Under `majority` more than half of the others must accept and confirm.
    MoreThanHalf,
    /// A peer that lost its memory has no vote.
    LostMemoryHasNoVote,
    /// A life that was refused ends.
    RefusalEnds,
    /// A life that gives up withdraws its claim.
    GivesUp,
    /// Main that said goodbye holds nothing.
    Goodbye,
    /// A life that nobody has confirmed does not say that it serves.
    AloneIsNoServer,
    /// A life refuses another one of its pid that asks it.
    FaceToFace,
    /// Where a store fences, a life that has lost its pid does not raise its ceiling.
    Fences,
    /// A life whose store has not confirmed it in time hands out nothing.
    WaitsInDoubt,
    /// A newcomer that has taken the pid over need not ask the lives before it.
    TakenOverHoldsNothing,
    /// A life that asks for its pid is refused where a later one is known.
    LowerIsRefused,
    /// A life that serves is stopped where a later one is known.
    LowerIsStopped,
    /// Of two lives that a store keeps apart, only the lower one is objected to.
    OwnerIsNotStopped,
    /// Of two such lives that meet, only the lower one steps back.
    KeptApart,
    /// What is said against the lower one is not noted in the store, which is that of its successor.
    OnlyForThisLife,
}

/// What may be handed out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exemption {
    /// By an original that did not answer those who confirmed its copy, as it was paused or cut off.
    CutOff,
    /// The same, where such a peer has heard it again, but has not yet heard that the copy serves.
    CopyNotHeard,
    /// What a dead original handed out under a ceiling that it had not told.
    NotTold,
    /// With `prefer`: by a start whose time was over before anybody confirmed it.
    Alone,
    /// With `prefer` and `require`: by a start that asked nobody who remembers.
    NobodyRemembers,
}

/// What is searched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    pub(crate) join: Join,
    /// How many lives there are at most.
    pub(crate) lives: usize,
    /// How many others vote.
    pub(crate) peers: usize,
    /// The highest sequence.
    pub(crate) sequence_max: u8,
    /// The steps with which it begins. What follows is searched in all ways.
    pub(crate) beginning: Scene,
    /// Whether operators copy, roll back, lose directories and mistype.
    pub(crate) operators_err: bool,
    /// Whether peers lose what they remember.
    pub(crate) memory_is_lost: bool,
    /// Whether what is not promised is saved later than it is heard.
    pub(crate) saves_late: bool,
    pub(crate) peers_crash: bool,
    /// Whether claims and words that a life serves come late or doubled, and answers to a question are lost.
    pub(crate) is_late: bool,
    /// How many of its lives a directory remembers.
    pub(crate) lives_recorded: usize,
    /// Whether the pid is in a store that fences.
    pub(crate) fences: bool,
    pub(crate) rules_off: u64,
    pub(crate) exemptions_off: u8,
}

impl Model {
    /// Everything happens but that memory is lost.
    pub(crate) fn new(join: Join, lives: usize, sequence_max: u8) -> Model {
        Model {
            join,
            lives,
            peers: PEERS,
            sequence_max,
            beginning: &[],
            operators_err: true,
            memory_is_lost: false,
            saves_late: true,
            peers_crash: true,
            is_late: true,
            lives_recorded: LIVES,
            fences: false,
            rules_off: 0,
            exemptions_off: 0,
        }
    }

    /// Peers do not crash, save at once, and nothing comes late.
    pub(crate) fn calm(self) -> Model {
        Model {
            saves_late: false,
            peers_crash: false,
            is_late: false,
            ..self
        }
    }

    /// The pid is in a store that fences.
    pub(crate) fn fenced(self) -> Model {
        Model {
            fences: true,
            operators_err: false,
            ..self
        }
    }

    /// The same, from there on.
    pub(crate) fn after(self, beginning: Scene) -> Model {
        Model { beginning, ..self }
    }

    pub(crate) fn off(mut self, rule: Rule) -> Model {
        self.rules_off |= 1 << rule as u8;
        self
    }

    pub(crate) fn lacks(&self, rule: Rule) -> bool {
        self.rules_off & (1 << rule as u8) != 0
    }

    pub(crate) fn unforgiving(mut self, exemption: Exemption) -> Model {
        self.exemptions_off |= 1 << exemption as u8;
        self
    }

    pub(crate) fn forgives(&self, exemption: Exemption) -> bool {
        let is_for_others = match exemption {
            Exemption::CutOff | Exemption::CopyNotHeard | Exemption::NotTold => false,
            Exemption::Alone => self.join != Join::Prefer,
            Exemption::NobodyRemembers => self.join == Join::Majority,
        };
        !self.fences && !is_for_others && self.exemptions_off & (1 << exemption as u8) == 0
    }

    /// How many peers must accept a start, and confirm it.
    pub(crate) fn enough(&self) -> usize {
        match self.join {
            Join::Majority if !self.lacks(Rule::MoreThanHalf) => self.peers / 2 + 1,
            Join::Majority | Join::Require | Join::Prefer => 1,
        }
    }
}
