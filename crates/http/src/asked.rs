//! What a request asks for.

use crate::{exchange::What, refusal::Refusal};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `POST /identities`.
    Identities {
        /// How many; 1 to [`HTTP_COUNT_MAX`](crate::limits::HTTP_COUNT_MAX).
        count: u32,
        /// An identity that all of them must be greater than, or 0.
        after: u64,
    },
    /// `GET /status`.
    Status,
    /// `GET /metrics`.
    Metrics,
    /// `GET /livez`.
    Live,
    /// `GET /readyz`.
    Ready,
    /// `GET /`.
    Page,
    /// Nothing that can be answered. It is boxed so that the others stay small.
    Refused(Box<Refusal>),
}

impl Asked {
    /// The same, without its parameters.
    pub(crate) const fn what(&self) -> What {
        match self {
            Asked::Identities { .. } => What::Identities,
            Asked::Status => What::Status,
            Asked::Metrics => What::Metrics,
            Asked::Live => What::Live,
            Asked::Ready => What::Ready,
            Asked::Page => What::Page,
            Asked::Refused(_) => What::Nothing,
        }
    }
}

impl From<Refusal> for Asked {
    #[cold]
    fn from(refusal: Refusal) -> Asked {
        Asked::Refused(Box::new(refusal))
    }
}
