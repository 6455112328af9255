//! What the steps are examples of: a model in which something never happens says nothing about it.

/// Something that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Event {
    MainHolds,
    ClaimHolds,
    CandidateHolds,
    HeldFaceToFace,
    OtherIncarnation,
    LowBoot,
    UnknownLife,
    UnknownCeiling,
    StaleAtTheClaim,
    HolderIsSilent,
    Accepted,
    CandidateIsDropped,
    ClaimIsJudgedAgain,
    ClaimTakesThePlaceOfAnother,
    ClaimOfTheDead,
    ClaimIsWithdrawn,
    ClaimBeforeReturns,
    ClaimBecomesMain,
    NewerBecomesMain,
    OlderIsStopped,
    OlderWasDead,
    BothStop,
    IsAlone,
    AloneIsRefused,
    ClaimRefuses,
    AloneServesAtLast,
    MainSaysGoodbye,
    TwiceByOneThatWasCutOff,
    TwiceBeforeTheCopyWasHeard,
    TwiceByWhatWasNotTold,
    TwiceByOneThatWasAlone,
    TwiceByOneThatAskedNobodyWhoRemembers,
    TakesOverFromOneThatLives,
    TakenOverIsNotAsked,
    LowerIsRefused,
    LowerIsStopped,
    LowerStepsBack,
    IsFenced,
    DoubtEnds,
}

impl Event {
    pub(crate) const ALL: [Event; 39] = [
        Event::MainHolds,
        Event::ClaimHolds,
        Event::CandidateHolds,
        Event::HeldFaceToFace,
        Event::OtherIncarnation,
        Event::LowBoot,
        Event::UnknownLife,
        Event::UnknownCeiling,
        Event::StaleAtTheClaim,
        Event::HolderIsSilent,
        Event::Accepted,
        Event::CandidateIsDropped,
        Event::ClaimIsJudgedAgain,
        Event::ClaimTakesThePlaceOfAnother,
        Event::ClaimOfTheDead,
        Event::ClaimIsWithdrawn,
        Event::ClaimBeforeReturns,
        Event::ClaimBecomesMain,
        Event::NewerBecomesMain,
        Event::OlderIsStopped,
        Event::OlderWasDead,
        Event::BothStop,
        Event::IsAlone,
        Event::AloneIsRefused,
        Event::ClaimRefuses,
        Event::AloneServesAtLast,
        Event::MainSaysGoodbye,
        Event::TwiceByOneThatWasCutOff,
        Event::TwiceBeforeTheCopyWasHeard,
        Event::TwiceByWhatWasNotTold,
        Event::TwiceByOneThatWasAlone,
        Event::TwiceByOneThatAskedNobodyWhoRemembers,
        Event::TakesOverFromOneThatLives,
        Event::TakenOverIsNotAsked,
        Event::LowerIsRefused,
        Event::LowerIsStopped,
        Event::LowerStepsBack,
        Event::IsFenced,
        Event::DoubtEnds,
    ];
}

/// A set of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Events(u64);

impl Events {
    pub(crate) fn note(&mut self, event: Event) {
        self.0 |= 1 << event as u8;
    }

    pub(crate) fn add(&mut self, other: Events) {
        self.0 |= other.0;
    }

    pub(crate) fn has(self, event: Event) -> bool {
        self.0 & (1 << event as u8) != 0
    }
}
