//! Where searches begin that would take too long from the very beginning.

use crate::{state::Lives, steps::Step};

/// A life asks a peer, and hears that it is accepted.
const fn asks(life: u8, peer: u8) -> Step {
    asks_beside(life, peer, Lives::NONE)
}

/// The same. Those in `silent` are paused.
const fn asks_beside(life: u8, peer: u8, silent: Lives) -> Step {
    Step::Asks {
        life,
        peer,
        silent,
        is_lost: false,
    }
}

const fn claims(life: u8, peer: u8) -> Step {
    Step::Claims {
        life,
        peer,
        silent: Lives::NONE,
    }
}

const fn is_confirmed(life: u8, peer: u8) -> Step {
    Step::IsConfirmed { life, peer }
}

const fn syncs(life: u8, peer: u8) -> Step {
    Step::Syncs { life, peer }
}

const FIRST: Lives = Lives(1);

/// The steps with which a search begins, in parts: most scenes begin alike.
pub(crate) type Scene = &'static [&'static [Step]];

/// The first life has claimed its pid, and two peers have confirmed that.
const CONFIRMED: &[Step] = &[
    Step::StartsAnew,
    asks(0, 0),
    asks(0, 1),
    Step::BeginsToClaim { life: 0 },
    claims(0, 0),
    claims(0, 1),
    is_confirmed(0, 0),
    is_confirmed(0, 1),
];

/// It serves.
const SERVED: &[Step] = &[Step::Serves { life: 0 }];

/// Two peers hear how far the first life has come.
const HEARD: &[Step] = &[syncs(0, 0), syncs(0, 1)];

/// A copy of its directory starts. Then the first life raises its ceiling, and does not tell that.
const RAISED_BESIDE_ITS_COPY: &[Step] = &[
    Step::IsCopied { of: 0 },
    Step::StartsFromCopy,
    Step::HandsOut { life: 0 },
    Step::Raises { life: 0 },
];

/// Two lives join at one time, and one of them claims.
pub(crate) const TWO_JOIN: Scene = &[&[
    Step::StartsAnew,
    Step::StartsAnew,
    asks(0, 0),
    asks(0, 1),
    Step::BeginsToClaim { life: 0 },
]];

/// The first life serves, and two peers have heard it.
pub(crate) const SERVES: Scene = &[CONFIRMED, SERVED, HEARD];

/// The first life serves, and two peers have heard it. A copy of its directory has started, and since it was made the
/// first life has raised its ceiling, and has not told that.
pub(crate) const COPIED: Scene = &[CONFIRMED, SERVED, HEARD, RAISED_BESIDE_ITS_COPY];

/// The same, but no peer has heard the first life serve.
pub(crate) const COPIED_BEFORE_IT_WAS_HEARD: Scene = &[CONFIRMED, SERVED, RAISED_BESIDE_ITS_COPY];

/// The first life serves, and two peers have heard it. A second one that an operator gave the same pid has crashed.
pub(crate) const MISTYPED: Scene = &[
    CONFIRMED,
    SERVED,
    HEARD,
    &[
        Step::HandsOut { life: 0 },
        Step::StartsAnew,
        Step::Stops { life: 1 },
        Step::Restarts { of: 1 },
    ],
];

/// The first life is about to serve, and is paused. Its copy has claimed, and has given up.
pub(crate) const GIVEN_UP_BY_A_COPY: Scene = &[
    CONFIRMED,
    &[
        Step::IsCopied { of: 0 },
        Step::StartsFromCopy,
        asks_beside(1, 0, FIRST),
        asks(1, 2),
        Step::BeginsToClaim { life: 1 },
        claims(1, 0),
        Step::Stops { life: 1 },
        Step::SaysLastWord { life: 1, peer: 0 },
    ],
];

/// The first life serves, and two peers have heard it. Its copy has claimed there while it was paused, and has crashed.
/// Then the first life has told a higher ceiling.
pub(crate) const RAISED_SINCE_A_CLAIM: Scene = &[
    CONFIRMED,
    SERVED,
    HEARD,
    &[
        Step::IsCopied { of: 0 },
        Step::StartsFromCopy,
        asks_beside(1, 0, FIRST),
        asks_beside(1, 1, FIRST),
        Step::BeginsToClaim { life: 1 },
        claims(1, 0),
        claims(1, 1),
        Step::Crashes { life: 1 },
        Step::HandsOut { life: 0 },
        Step::Raises { life: 0 },
        Step::HandsOut { life: 0 },
        Step::Raises { life: 0 },
        syncs(0, 0),
        syncs(0, 1),
    ],
];

/// The first life was copied, and its directory has started again and serves, which
/// no peer has heard. The copy has started twice since.
pub(crate) const COPIED_AND_STARTED_AGAIN: Scene = &[&[
    Step::StartsAnew,
    asks(0, 0),
    asks(0, 1),
    Step::IsCopied { of: 0 },
    Step::Crashes { life: 0 },
    Step::Restarts { of: 0 },
    asks(1, 0),
    asks(1, 1),
    Step::BeginsToClaim { life: 1 },
    claims(1, 0),
    claims(1, 1),
    is_confirmed(1, 0),
    is_confirmed(1, 1),
    Step::Serves { life: 1 },
    Step::StartsInVain,
    Step::StartsFromCopy,
]];

/// The first life serves, was copied, has raised its ceiling and told that; then the copy has
/// started, and has been stopped.
pub(crate) const RAISED_SINCE_THE_COPY: Scene = &[
    CONFIRMED,
    SERVED,
    &[
        Step::IsCopied { of: 0 },
        Step::HandsOut { life: 0 },
        Step::Raises { life: 0 },
        Step::HandsOut { life: 0 },
        syncs(0, 0),
        syncs(0, 1),
        Step::StartsFromCopy,
        Step::Stops { life: 1 },
    ],
];

/// Two lives have begun in one copy, each on its own. The first of them is about to serve, and has not been heard; the
/// second was accepted while it was paused.
pub(crate) const TWO_FROM_ONE_COPY: Scene = &[&[
    Step::StartsAnew,
    Step::IsCopied { of: 0 },
    Step::Crashes { life: 0 },
    Step::StartsFromCopy,
    Step::StartsInVain,
    Step::StartsFromCopy,
    asks(1, 0),
    asks(1, 1),
    Step::BeginsToClaim { life: 1 },
    asks_beside(2, 0, Lives(2)),
    Step::Claims {
        life: 1,
        peer: 0,
        silent: Lives(4),
    },
    is_confirmed(1, 0),
    asks_beside(2, 1, Lives(2)),
    Step::Claims {
        life: 1,
        peer: 1,
        silent: Lives(4),
    },
    is_confirmed(1, 1),
    Step::Serves { life: 1 },
    Step::HandsOut { life: 1 },
    Step::Raises { life: 1 },
    Step::HandsOut { life: 1 },
    Step::BeginsToClaim { life: 2 },
]];
